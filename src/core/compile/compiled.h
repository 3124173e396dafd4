/* SPDX-License-Identifier: Apache-2.0 */
/* compiled.h - the state behind compile.h; private to the compiler
 *
 * Objects
 * =======
 * Groups, services, rules, endpoints and users are objects: a name with a handle, and a definition
 * written as 32-bit words in which every other name is its handle.  Two definitions are the same
 * when their words are.  A put is staged in 'next'; the commit swaps it in.  A definition counts as
 * one use of each name it holds, so that handles stay as long as anybody has them.
 *
 * Files
 * =====
 * stage.c writes definitions; ports.c cuts services into classes; member.c finds groups,
 * identities and addresses of endpoints; pair.c works out the entries of a pair; commit.c orders
 * the steps of a commit; journal.c keeps what changed; addresses.c keeps everybody's addresses in
 * order; compile.c writes programs. */
#pragma once

#include "core/compile.h"
#include "core/list.h"
#include "core/numbering.h"
#include "core/outside.h"

enum kind { KIND_GROUP, KIND_SERVICE, KIND_RULE, KIND_ENDPOINT, KIND_USER, N_KINDS };

struct object {
    uint32_t *words, *next; /* NULL: not defined; not staged, or to be removed. */
    uint32_t n_words, n_next;
    bool is_staged;
    uint32_t seen; /* By which compiled_put_all(). */
};

/* ---- definitions ---- */

enum { /* A rule's words: these, then two matches of six spans, then what the spans point at. */
       RULE_LAYER,
       RULE_WEAKER,
       RULE_HAS_EXCEPT,
       RULE_FROM_GIVEN,
       RULE_TO_GIVEN,
       RULE_EXPIRES_LOW,
       RULE_EXPIRES_HIGH,
       RULE_SPANS,
};
enum span { SPAN_FROM, SPAN_TO, SPAN_SERVICE, SPAN_PROCESS, SPAN_SERVED_BY, SPAN_USER, N_SPANS };
enum {
    SPAN_WORDS = 2,
    MATCH_WORDS = N_SPANS * SPAN_WORDS,
    RULE_WORDS = RULE_SPANS + 2 * MATCH_WORDS
};

enum { ENDPOINT_ENFORCERS, ENDPOINT_TRUST, ENDPOINT_N_ADDRESSES, ENDPOINT_ADDRESSES };
enum { GROUP_KIND, GROUP_N, GROUP_ITEMS };
enum { ADDRESS_WORDS = 4, PREFIX_WORDS = 5, PORT_WORDS = 3 };

/* Of a rule's words: a span of its match, or of its except. */
static inline struct list_view rule_span(const uint32_t *words, bool except, enum span span)
{
    const uint32_t *at =
        words + RULE_SPANS + (except ? MATCH_WORDS : 0) + (size_t)span * SPAN_WORDS;

    return (struct list_view){words + at[0], at[1]};
}

/* ---- what follows from them ---- */

struct group_state {
    struct list identities;  /* That have it. */
    struct list rules[2][2]; /* [is quarantine][0: in from, 1: in to]: alive ones. */
    uint8_t mode, next_mode; /* enum mode; MODE_NONE: none. */
};

struct service_state {
    struct list classes; /* Handles, sorted. */
    struct list rules;   /* That name it, in match or except. */
    bool is_changed;     /* Within ports_update(). */
    bool is_cut;         /* Its ports are among the ranges. */
};

struct rule_state {
    bool is_indexed;
    bool is_touched;         /* By the commit that runs. */
    uint64_t stamp;          /* Another one whenever anything below, or the definition, changes. */
    struct list services[2]; /* Classes that match and except take; sorted handles. */
    struct list users[2];    /* Classes that their users take; sorted handles. */
};

struct endpoint_state {
    uint32_t *groups; /* Sorted handles. */
    uint32_t n_groups;
    uint32_t identity; /* Handle, TABLE_NONE: not defined. */
    uint8_t mode, trust, enforcers;
    bool is_touched;
    struct list member_of; /* Groups that name it. */
};

struct identity_state {
    uint32_t *groups; /* Sorted handles. */
    uint32_t n_groups;
    uint8_t flags; /* enum identity_flag */
    bool is_used;
};
enum identity_flag {
    IDENTITY_INSIDE = 1,
    IDENTITY_HOST = 2,
    IDENTITY_EDGE = 4,
    IDENTITY_MULTICAST = 8
};

struct cut { /* Ports that the same services take. */
    uint8_t protocol;
    uint16_t low, high;
    uint32_t class; /* Handle. */
};

struct range { /* Of a service that rules use. */
    uint8_t protocol;
    uint16_t low, high;
    uint32_t service; /* Handle. */
};

struct outside_state {
    struct prefix prefix;
    uint32_t identity; /* Handle. */
};

struct row { /* An entry of the program of all endpoints that have 'local'. */
    identity_t local;
    struct program_entry entry;
};
struct rows {
    struct row *items;
    size_t n, room;
};

struct address_row {
    struct program_address address;
    uint32_t owner; /* Endpoint's handle; TABLE_NONE: outside. */
};
struct address_rows {
    struct address_row *items;
    size_t n, room;
};

struct moved {                 /* An endpoint with another identity. */
    uint32_t endpoint, handle; /* Handles of both. */
    identity_t before;         /* Its former number. */
};

struct renamed {
    uint32_t number;
    char id[PROGRAM_NAME_SIZE]; /* Empty: nobody had the number. */
};

struct step { /* What one commit changed. */
    uint64_t from, to;
    bool is_complete; /* False: too much to be kept. */
    bool services, processes, users, rules;
    struct rows before, after; /* Entries that differ, by local and key. */
    struct address_rows addresses_before, addresses_after; /* By address and length. */
    struct moved *moved;
    size_t n_moved, moved_room;
    struct renamed *renamed; /* Rule numbers whose name was another. */
    size_t n_renamed, renamed_room;
};

enum { STEPS_KEPT = 16 };

enum {              /* A pair's flags, and what its list of rules says besides. */
       PAIR_IN = 1, /* The program of the destination. */
       PAIR_SUSPECT_SHIFT = 1,
       PAIR_FROM_SHIFT = 3, /* Of the source: IDENTITY_HOST and IDENTITY_EDGE, shifted right. */
       PAIR_TO_SHIFT = 5,
       PAIR_MULTICAST = 128,
};

struct template_table {
    struct table index;
    struct template *items;
    size_t n, room, entries;
};

struct compiled {
    uint64_t revision;
    int64_t now_s, next_expiry_s;
    struct program_lifeline lifeline[PROGRAM_MAX_LIFELINE];
    size_t n_lifeline;
    enum mode default_mode, next_default_mode;
    bool modes_staged;
    uint32_t epoch; /* Of compiled_put_all(). */

    struct numbering names[N_KINDS];
    struct numbering labels, paths, refs;
    struct numbering identities, service_classes, user_classes;

    struct object *objects[N_KINDS];
    size_t objects_room[N_KINDS];
    struct list staged[N_KINDS];
    struct group_state *groups;
    struct service_state *services;
    struct rule_state *rules;
    struct endpoint_state *endpoints;
    uint32_t *user_class;      /* Of each user, handle; TABLE_NONE: none. */
    struct list *label_groups; /* By label: groups whose first condition takes it. */
    size_t label_groups_room;
    struct identity_state *identity; /* By handle. */
    size_t identity_room;
    struct list all_identities, new_identities; /* New: since the last commit. */
    uint32_t *ref_uses;                         /* By rules, of each user reference. */
    size_t ref_uses_room;
    struct list *class_refs; /* Of each class of users: references that take it, sorted. */
    size_t class_refs_room;
    struct list strangers; /* Persons whom only rules know: (reference, class). */

    struct list any_rules[2][2]; /* As group_state.rules, for "any". */
    struct range *ranges;        /* Sorted. */
    size_t n_ranges, ranges_room;
    struct cut *cuts; /* Sorted, disjoint. */
    size_t n_cuts, cuts_room;
    struct outside_state *outside; /* Sorted by address and length. */
    size_t n_outside;
    struct table addresses; /* Of endpoints: their handles. */
    uint64_t last_stamp;

    struct list touched_endpoints, touched_rules;

    struct template_table templates;
    struct step steps[STEPS_KEPT]; /* The last ones; steps[n_steps - 1] is the newest. */
    size_t n_steps;

    struct program_address *sorted_addresses; /* Made when asked for, then follows; NULL: not. */
    size_t n_sorted_addresses;
    uint64_t addresses_stamp; /* Another one with each change of them. */

    struct scratch {           /* For one walk over the remote identities of one end. */
        uint32_t *head, *tail; /* Of each identity: its list of nodes. */
        size_t room;
        struct scratch_node {
            uint32_t rule, next;
        } * nodes;
        size_t n_nodes, nodes_room;
        struct list remotes, rules, candidates, groups;
    } scratch;
};

/* ---- stage.c ---- */
void stage_swap(struct compiled *c, enum kind kind, uint32_t handle); /* Takes 'next'. */
void objects_done(struct compiled *c);

/* ---- ports.c ---- */
/* Marks the rules whose classes may change when this service does. */
void ports_touch(struct compiled *c, uint32_t service);
/* Cuts again after 'changed' services (defined otherwise, or named by other rules) have changed,
 * and marks the rules whose classes did.  True: some slice is another one. */
bool ports_update(struct compiled *c, struct list *changed);

/* ---- commit.c ---- */
void commit_touch_rule(struct compiled *c, uint32_t rule);

/* ---- member.c ---- */
void member_index_group(struct compiled *c, uint32_t group, bool add);
bool member_same_labels(const uint32_t *a, const uint32_t *b); /* Two endpoints' words. */
void member_update(struct compiled *c, uint32_t endpoint);
void member_drop_identity(struct compiled *c, uint32_t handle);
void member_cut_outside(struct compiled *c);
uint32_t member_owner(const struct compiled *c, const struct address *a); /* Or TABLE_NONE. */
void member_own(struct compiled *c, uint32_t endpoint, bool add);
bool member_address_row(const struct compiled *c, const struct prefix *p, struct address_row *ret);

/* ---- pair.c ---- */
struct template
{ /* The entries of a pair, without the numbers of its ends. */
    uint64_t *key;
    size_t n_key;
    uint32_t hash;
    struct program_entry *entries;
    size_t n_entries;
};
/* 'rules': handles, sorted; bit 31 says that the except takes both ends. */
enum { PAIR_EXCEPT = 1u << 31 };
const struct template *pair_template(struct compiled *c, const uint32_t rules[], size_t n_rules,
                                     uint8_t flags);
void pair_forget(struct compiled *c);

/* ---- compile.c ---- */
struct entries {
    struct program_entry *items;
    size_t n, room;
};
void compile_entries(struct compiled *c, uint32_t identity, struct entries *to);
/* Both programs' entries for connections from one to the other; 'sources' are the rules that take
 * the source: plain ones and those of quarantine. */
void compile_source(const struct compiled *c, uint32_t from, struct list sources[2]);
void compile_pair(struct compiled *c, uint32_t from, uint32_t to, const struct list sources[2],
                  struct rows *rows);
/* Identities that some rule lets this one meet: as source, or as destination. */
void compile_remotes(struct compiled *c, uint32_t identity, bool is_source, struct list *to);
void compile_head(struct compiled *c, uint32_t endpoint, struct program *p);
void compile_tables(struct compiled *c, uint32_t endpoint, struct program *p, bool services,
                    bool processes, bool users, bool rules);

/* ---- addresses.c ---- */
int address_row_compare(const struct program_address *a, const struct program_address *b); /* Key */
void addresses_sort(struct compiled *c); /* From now on they are there. */
void addresses_add(struct compiled *c, uint32_t endpoint, struct program *p);
/* Which of the sorted rows are its own, ascending. */
void addresses_own(const struct compiled *c, uint32_t endpoint, struct list *to);
/* A commit put these rows in the place of those; NULL: of nobody knows which. */
void addresses_follow(struct compiled *c, const struct address_rows *before,
                      const struct address_rows *after);

/* ---- users.c ---- */
/* Takes the staged users; 'refs_changed': rules name other references than before.  True when the
 * table of users may be another one. */
bool users_update(struct compiled *c, bool refs_changed);

/* ---- journal.c ---- */
void journal_add(struct compiled *c, struct step *s); /* Takes it; drops what did not change. */
void step_done(struct step *s);
