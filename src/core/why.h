/* SPDX-License-Identifier: Apache-2.0 */
/* why.h - why a connection is allowed or denied, and what would change that
 *
 * What
 * ====
 * verdict() says what; this says why, as data, for any two ends and any connection:
 *
 *     ends      what the question named: an endpoint, an address outside, or a name that nobody
 *               knows, with the nearest that somebody does
 *     layers    each layer asked, from the top, with what it said; the last one decides
 *     decider   the rule that decides, each of its conditions, and who can check it where
 *     others    rules that say the same in the deciding layer, and a never whose exception applies
 *     nearest   of a deny: the allows (or quarantine rules) that lack the fewest conditions, what
 *               was found and wanted, how to give it, and what the verdict would be then
 *     below     of a deny by quarantine or never: what the layers below would say
 *     changes   what else would change it: a release, an exception, a rule of its own
 *
 * text/why_report.h writes it for people and for programs.
 *
 * A name that the inventory lacks
 * ===============================
 * is judged as an endpoint of that name with the labels of the question (or none), white, without
 * any enforcer: what nobody can tell is closed, and nothing is made up.  'is_known' says so, and
 * whoever asks for a script should treat it as "not found".
 *
 * Rules of use
 * ============
 * Borrows the world and the texts of the question for its life.  All decisions are
 * verdict_judge()'s; a hypothesis ("then") is judged on changed copies of the ends and facts, and
 * is absent where nothing that a person can give would fulfil the condition.
 *
 * Cost: a look at each rule, and a judgement of all rules for each of the few near ones; nothing by
 * the number of endpoints, but for the name that is nearest to an unknown one and the size of a
 * group in 'allow_like'.  With 10,000 rules and 100,000 endpoints 4 ms, or 25 ms for an unknown
 * name; the world, which took 64 ms, is the caller's: build it once, ask often. */
#pragma once

#include "core/verdict.h"

enum {
    WHY_MAX_NEAREST = 3, /* With as few differing conditions as the nearest of all; of these first
                          * those that fit in ends and service, then by what is not told, by id. */
    WHY_MAX_OTHERS = 5,
    WHY_MAX_CHANGES = 2, /* Besides those of near rules. */
    WHY_MAX_NAMED = 8, /* Groups, programs or services named in one condition; more are counted. */
};

enum why_what {
    WHY_FROM,
    WHY_TO,
    WHY_SERVICE,
    WHY_FUNCTION,
    WHY_PROCESS,
    WHY_USER,
    WHY_SERVED_BY,
    WHY_EXPIRY,
    WHY_NAMED_SERVICE, /* A group of machines is reached only by a service that is named. */
};

enum why_state {
    WHY_MET,
    WHY_UNMET,
    WHY_UNTOLD,   /* The question does not say it. */
    WHY_BLIND,    /* No enforcer there can see it. */
    WHY_ACCEPTED, /* Likewise, and the rule's accept-weaker lets it count as met. */
};

struct why_condition {
    enum why_what what;
    enum why_state state;
    uint8_t at_from, at_to; /* enum enforcer: who can check it at either end. */
    const char *found;      /* NULL: not told. */
    const char *wanted;
    const char *text; /* "web1 is not in db" */
};

enum why_action {
    WHY_JOIN_GROUP,    /* subject: the endpoint, value: the group. */
    WHY_ENROL,         /* An address or unknown name becomes an endpoint of a group. */
    WHY_WIDEN_OUTSIDE, /* subject: the address, value: the outside group. */
    WHY_USE_SERVICE,   /* value: the service. */
    WHY_USE_FUNCTION,  /* subject: the service, value: a function of it. */
    WHY_START_BY,      /* subject: the source, value: the program. */
    WHY_SERVE_BY,      /* subject: the destination, value: the program. */
    WHY_BE_USER,       /* subject: the user or "@group", value: such a user. */
    WHY_ADD_ENFORCER,  /* subject: the endpoint, value: "host" or "edge". */
    WHY_RENEW,         /* subject: the rule. */
    WHY_NAME_SERVICE,  /* subject: the rule. */
    WHY_RELEASE,       /* subject: the endpoint. */
    WHY_EXCEPT,        /* subject: the rule that stands above. */
    WHY_CHANGE_RULE,   /* subject: the rule, which has no way round. */
    WHY_NOTHING,       /* This condition cannot be given. */
};

struct why_change {
    enum why_action action;
    const char *subject, *value; /* May be NULL. */
    const char *text;            /* "start it by /opt/shop/bin/orders" */
};

struct why_rule {
    const struct rule *rule;
    bool is_excepted;                 /* A never that selects this, but its exception applies. */
    struct why_condition *conditions; /* Those that the rule states, in the order of enum. */
    size_t n_conditions;
    struct why_condition *excepts; /* Of a never's exception. */
    size_t n_excepts;
    size_t n_lacks;             /* Conditions that keep it from matching. */
    struct why_change *changes; /* One for each; of nearest rules alone. */
    size_t n_changes;
    bool has_then; /* All of these can be given; the verdict is 'then'. */
    struct verdict_answer then;
};

struct why_layer {
    enum layer layer;
    bool decides;
    const char *text; /* "neither end is a suspect" */
};

struct why_end {
    const char *asked;               /* As the question named it. */
    const char *name;                /* For sentences: "web1", or "web1 (10.20.1.11)". */
    const struct endpoint *endpoint; /* NULL: outside, or unknown. */
    bool is_known;                   /* False: a name that the inventory lacks. */
    const char *nearest;             /* Then: a name that was perhaps meant; or NULL. */
    struct address address;          /* Of the outside. */
    const char *groups;              /* "web, front"; "" for none. */
    const struct label *labels;      /* Of the endpoint, or of the question. */
    size_t n_labels;
    struct end end;
};

struct why_question {
    struct verdict_query verdict;
    const struct label *from_labels, *to_labels; /* Of an end that the inventory lacks. */
    size_t n_from_labels, n_to_labels;
};

struct why {
    struct arena *arena;
    const struct world *world;
    struct verdict_facts facts;
    struct why_end from, to;
    struct verdict_answer answer;
    struct why_layer layers[LAYER_DEFAULT + 1];
    size_t n_layers;
    struct why_rule *decider; /* NULL: none. */
    struct why_rule others[WHY_MAX_OTHERS];
    size_t n_others, n_others_more; /* More are only counted. */
    struct why_rule nearest[WHY_MAX_NEAREST];
    size_t n_nearest;
    bool has_below;
    struct verdict_answer below;
    struct why_change changes[WHY_MAX_CHANGES];
    size_t n_changes;
    const char *allow_like; /* A policy file that would allow it; NULL: nearer things would do. */
};

/* Never fails: any name has an answer. */
struct why *why_new(const struct world *w, const struct why_question *q);
void why_free(struct why *y);
DEFINE_CLEANUP(struct why, why_free)

/* The chain of reasons: one sentence for each layer asked, then what a deny lacks. */
struct sentences {
    char **items;
    size_t n, room;
};
void sentences_done(struct sentences *s);
void why_sentences(const struct why *y, struct sentences *s);

const char *why_what_name(enum why_what what);       /* "from", "served-by", ... */
const char *why_state_name(enum why_state state);    /* "met", "not met", "not told", ... */
const char *why_action_name(enum why_action action); /* "join-group", ... */
