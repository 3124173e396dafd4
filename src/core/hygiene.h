/* SPDX-License-Identifier: Apache-2.0 */
/* hygiene.h - which rules nobody uses, and which are wider than what uses them
 *
 * What
 * ====
 * Two sources, both recorded connections (core/flow.h) of one window:
 *
 *   hits, last use, trend     by the rule that each record names: what really decided
 *   what a rule carries       by the rule of today's policy that replay.h finds for it, so that a
 *                             connection of last month counts for the rule that it needs now
 *
 * Used or not
 * ===========
 * A rule counts as unused only where that can be known (hygiene_judge()):
 *
 *     GUARD    never and quarantine: no hit is what they are for
 *     EXPIRED  it matches nothing any more
 *     USED     a hit in the window
 *     YOUNG    it has not stood as it stands now for all of the window
 *     SHORT    the history does not reach back to the window's begin
 *     GAPS     somebody who would have told of a use has lost records
 *     UNSEEN   it takes a pair of ends of which neither tells
 *     UNUSED   none of these
 *
 * Wider than used
 * ===============
 * For each allow that carries something: which members of its groups, ports of its services,
 * programs and users were never seen, and a narrower rule of the names that the policy has.  What
 * is seen is what the connections show that today's policy allows by this rule, at either end; so
 * every one of them is allowed by the narrower rules too, all of them put in at once.  A range of
 * more than HYGIENE_RANGE ports counts as one: its ports are picked by chance.  A service with
 * protocol functions is kept whole, as records do not tell functions.  Where a connection's program
 * or user was not told, that field is left as it is ('is_blind').
 *
 * Trend
 * =====
 * The window is cut into at most HYGIENE_BUCKETS equal pieces of a day or more; compared are the
 * last and the first third of those in which the rule could have had hits: none in the last:
 * STOPPED; half as many again or more: RISING; two thirds or less: FALLING; else STEADY.  Fewer
 * than three pieces, or no hit: NONE.
 *
 * Limits: HYGIENE_FACTS_MAX things seen; over it nothing is said to be wider than used. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"
#include "core/replay.h"
#include "core/world.h"

enum {
    HYGIENE_BUCKETS = 30,
    HYGIENE_DAYS = 90, /* Of the window that W-UNUSED looks at. */
    HYGIENE_RANGE = 16,
    HYGIENE_NAMED = 10, /* Of those never seen. */
    HYGIENE_FACTS_MAX = 1 << 20,
};

enum hygiene_status {
    HYGIENE_USED,
    HYGIENE_UNUSED,
    HYGIENE_GUARD,
    HYGIENE_EXPIRED,
    HYGIENE_YOUNG,
    HYGIENE_SHORT,
    HYGIENE_GAPS,
    HYGIENE_UNSEEN,
    HYGIENE_STATES,
};

enum hygiene_trend { TREND_NONE, TREND_RISING, TREND_STEADY, TREND_FALLING, TREND_STOPPED };

enum hygiene_end {                    /* Of an endpoint, or-ed. */
                   HYGIENE_TELLS = 1, /* Somebody reports its connections. */
                   HYGIENE_LOST = 2,  /* And has lost some in the window. */
};

struct hygiene_evidence { /* All borrowed. */
    uint64_t since_ms, until_ms;
    uint64_t oldest_ms; /* The history reaches back to then; 0: it is empty. */
    const struct hygiene_past {
        int64_t since_s;  /* It stands as it does now since then at the latest; 0: not known. */
        uint64_t last_ms; /* Last use ever; 0: never. */
    } * rules;            /* By index. */
    const uint8_t *ends;  /* By index of the endpoint: enum hygiene_end. */
    bool lost_elsewhere;  /* Records of nobody-knows-whom. */
};

/* ---- used or not, without reading records ---- */

struct hygiene_ends; /* What the evidence says of each group. */
struct hygiene_ends *hygiene_ends_new(const struct world *w, const struct hygiene_evidence *e);
void hygiene_ends_free(struct hygiene_ends *x);
DEFINE_CLEANUP(struct hygiene_ends, hygiene_ends_free)

enum hygiene_status hygiene_judge(const struct hygiene_ends *x, const struct rule *r);

/* Adds W-UNUSED for each, and N-UNFINISHED where it could not be known. */
void hygiene_lint(const struct world *w, const struct hygiene_evidence *e, struct diagnostics *d);

const char *hygiene_status_name(enum hygiene_status status); /* "unused" */
const char *hygiene_trend_name(enum hygiene_trend trend);    /* "rising"; "" for NONE. */

/* ---- with records ---- */

enum hygiene_field {
    HYGIENE_FROM,
    HYGIENE_TO,
    HYGIENE_SERVICE,
    HYGIENE_PROCESS,
    HYGIENE_SERVED_BY,
    HYGIENE_USER,
};

struct hygiene_item { /* One of the values of a rule's field. */
    enum hygiene_field field;
    const char *name;   /* Group, service, program, user ("@ops"); "any", or "" for every port. */
    uint64_t n, n_seen; /* Of its members or ports; n 0: it has no number. */
    uint64_t count;     /* Connections. */
    const uint32_t *never;                /* Endpoints of the inventory, HYGIENE_NAMED at most. */
    const struct port_range *never_ports; /* Likewise. */
    size_t n_never;
};

struct hygiene_narrow { /* The rule's fields, with less in them. */
    struct selector from, to;
    const uint32_t *services; /* Of the policy, whole, */
    size_t n_services;
    const struct port_range *ports; /* and these. */
    size_t n_ports;
    const char **processes, **served_by;
    size_t n_processes, n_served_by;
    struct user_ref *users;
    size_t n_users;
};

struct hygiene_rule {
    const struct rule *rule;
    enum hygiene_status status;
    enum hygiene_trend trend;
    struct hygiene_past past;
    uint64_t hits, last_ms; /* In the window, as recorded. */
    uint64_t buckets[HYGIENE_BUCKETS];
    uint64_t carried;                 /* Connections that today's policy allows by it. */
    bool is_blind[HYGIENE_USER + 1];  /* Fields that were not told of all of them. */
    const struct hygiene_item *items; /* Of an allow that carries something. */
    size_t n_items;
    const struct hygiene_narrow *narrow; /* NULL: nothing narrower carries the same. */
};

struct hygiene;

/* All borrowed until hygiene_free(); 'w' is of the policy and the inventory that the replay has
 * compiled. */
struct hygiene *hygiene_new(const struct world *w, const struct hygiene_evidence *e,
                            const char *(*text)(const void *keeper, text_t number),
                            const void *keeper);
void hygiene_free(struct hygiene *h);
DEFINE_CLEANUP(struct hygiene, hygiene_free)

void hygiene_add(struct hygiene *h, const struct flow *flows, size_t n);

/* For replay_watch(); 'hygiene' is one. */
void hygiene_see(void *hygiene, const struct replay_judged *j);

/* Not all connections were seen: nothing is then said to be wider than used. */
void hygiene_give_up(struct hygiene *h);

/* Once, after the last record. */
void hygiene_finish(struct hygiene *h);

/* By index of the policy's rules.  Borrowed. */
const struct hygiene_rule *hygiene_rules(const struct hygiene *h);
size_t hygiene_n_buckets(const struct hygiene *h);
uint64_t hygiene_bucket_ms(const struct hygiene *h);
bool hygiene_is_over(const struct hygiene *h); /* HYGIENE_FACTS_MAX was met. */
