/* SPDX-License-Identifier: Apache-2.0 */
/* hop.h - what somebody who owns one box can do to the next one
 *
 * What
 * ====
 * The attacker owns X.  X's agent and its own packet filter no longer count; an edge or switch in
 * front of X does, and so do all enforcers of Y.  A hop from X to Y exists when, for some packet,
 * program, user and serving program, the verdict is an allow or a would-deny, or it is a deny that
 * no enforcer that still counts carries out.  What the conditions of rules mean is verdict.h's
 * business: the destination relies on X's agent where the inventory says that it has one, and X's
 * agent says what the attacker likes.  So any program and any user may be claimed there, but only
 * those: users of the inventory, names in rules, and one that nobody knows.
 *
 * Outside ranges are boxes of the attacker too, except that nothing goes from outside to outside,
 * and multicast ranges are nobody.
 *
 * How
 * ===
 * A hop has one of these reasons, called ways: an allow, a quarantine rule, the lax default (both
 * ends in learn or test mode), or that nobody enforces.  A way goes from the classes of its `from`
 * to those of its `to`.  Only nevers come between, and only those that take a slice of its service,
 * and both ends.  Where no never takes the source and some slice, all classes of one kind
 * (enforcers, mode, trust, outside) are equal to the way, and one question answers for all.
 *
 * Rules of use: borrows the world; immutable after hops_new().  A struct hop_asker is the scratch
 * memory for questions: one for each thread of questions. */
#pragma once

#include "core/classes.h"
#include "core/slices.h"
#include "core/verdict.h"

enum { HOPS_MAX_KINDS = 256 };
#define HOP_NOWHERE UINT32_MAX

/* What still counts of the attacker's own enforcers.  Planted errors (tests/meson.build) change it
 * to see whether a test notices. */
#ifdef PLANT_OWN_AGENT_COUNTS
#define STILL_COUNT_AT_SOURCE (ENFORCER_EDGE | ENFORCER_SWITCH | ENFORCER_HOST)
#else
#define STILL_COUNT_AT_SOURCE (ENFORCER_EDGE | ENFORCER_SWITCH)
#endif

enum way_kind { WAY_RULE, WAY_LAX, WAY_UNENFORCED };

struct way {
    enum way_kind kind;
    const struct rule *rule; /* WAY_RULE */
    const char *user;        /* One whom the rule takes; "" when anybody or nobody. */
};

/* What a way may carry: slices, as 2 * slice + 1 where only protocol functions make it match. */
struct menu {
    const uint32_t *services; /* Restrict it; for the functions that count. */
    size_t n_services;
    struct lists items; /* By way. */
    struct arena *arena;
};

struct segment { /* The classes of one kind in one group. */
    uint32_t first, n;
    uint32_t kind;
};

struct hops {
    struct arena *arena;
    const struct world *world;
    const struct rule *without; /* As if it were not there; NULL: all are. */
    struct end_classes *classes;
    struct slices *slices;
    struct menu any_service;

    struct way *ways;
    size_t n_ways;
    struct lists ways_from; /* By group; the last list is for any. */

    struct end *kinds; /* One of each kind; groups are not to be looked at. */
    size_t n_kinds;
    uint32_t *kind; /* Of each class; HOP_NOWHERE: multicast, never a box. */

    struct segment *segments;
    struct lists of_group;   /* Segments of each group; the last list is for any. */
    uint32_t *segment_items; /* Classes. */
    size_t n_segments;

    const struct rule **nevers; /* Alive ones. */
    size_t n_nevers;
    uint64_t *never_groups;        /* Set of the groups that their `from` names. */
    struct lists nevers_from;      /* By group; the last list is for any. */
    uint32_t *from_look, *to_look; /* Classes with equal numbers are equal to all nevers. */
    uint32_t n_from_looks, n_to_looks;

    const char **users; /* people.h */
    size_t n_users;

    struct hop_graph *graph; /* Of any service; hop_graph.h. */
};

/* -E2BIG: slices_new().  'without' may be NULL. */
int hops_new(const struct world *w, const struct rule *without, struct hops **ret_h);
void hops_free(struct hops *h);
DEFINE_CLEANUP(struct hops, hops_free)

/* The menu of some services only: what the last hop of a proof is held to. */
struct menu menu_of_services(const struct hops *h, const uint32_t services[], size_t n_services);
void menu_done(struct menu *m);

struct texts {
    const char **items;
    size_t n, room;
};

struct hop_asker {
    const struct hops *h;
    uint32_t source;  /* The class that 'nevers' are for. */
    uint32_t *nevers; /* Those that take the source, ascending. */
    size_t n_nevers;
    bool all_blocked;  /* Some of them take every slice. */
    uint32_t *blocked; /* By slice: equals 'stamp' when some of them takes it. */
    uint32_t stamp;
    uint32_t *seen; /* By never: equals 'stamp'. */
    struct texts programs, servers, people;
    const struct rule **rules;
};

void hop_asker_init(struct hop_asker *a, const struct hops *h);
void hop_asker_done(struct hop_asker *a);

/* Looks at hops from this class from now on. */
void hop_from(struct hop_asker *a, uint32_t class);

/* An item of the menu that no never of the source takes; HOP_NOWHERE: each is taken by one. */
uint32_t hop_free_item(const struct hop_asker *a, const struct menu *m, uint32_t way);

struct hop_facts { /* How a hop is made. */
    struct verdict_facts facts;
    uint32_t slice;
    struct verdict_answer answer;
    bool unenforced; /* A deny, carried out by nobody. */
};

/* Is there a hop from the source to this class by this way?  'ret' may be NULL. */
bool hop_exists(struct hop_asker *a, const struct menu *m, uint32_t way, uint32_t to,
                struct hop_facts *ret);

/* The same where the item is known to be free of nevers. */
bool hop_exists_free(struct hop_asker *a, const struct menu *m, uint32_t way, uint32_t item,
                     uint32_t to, struct hop_facts *ret);

/* True when no enforcer that still counts stands between these kinds of ends. */
bool hop_is_unenforced(const struct end *from, const struct end *to);
