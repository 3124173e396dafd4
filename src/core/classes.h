/* SPDX-License-Identifier: Apache-2.0 */
/* classes.h - endpoints and outside ranges that nothing in the policy tells apart
 *
 * What
 * ====
 * Two ends are of one class when they are in the same groups that matter, have the same enforcers
 * and mode, and are both suspects or both not: then every verdict between one of them and a third
 * is the verdict of the other.  Groups that matter are those that a rule or a proof names, and what
 * the caller adds.  So whoever wants to know something about all pairs asks about classes, and
 * about the rules that a class's groups are named in: never about endpoints times groups, nor about
 * classes times classes.
 *
 * Of the outside each range of world.h is a member; ranges for multicast are in classes of their
 * own, since a rule without service does not reach them.
 *
 * Size: for n ends, m memberships in groups that matter, and r mentions of groups in rules, time is
 * O(n * (groups / 64) + m + r), and memory about 16 n + 40 c + 4 m + 4 r bytes for c classes.
 *
 * Rules of use: borrows the world, and is immutable. */
#pragma once

#include "core/world.h"

struct lists { /* Many lists in one piece of memory: list i is items[first[i] .. first[i + 1]). */
    uint32_t *first, *items;
    size_t n;
};

struct end_class {
    struct end end;    /* Any member's: to the policy all are alike. */
    uint32_t first, n; /* members[first .. first + n) */
    bool outside;
};

struct end_classes {
    const struct world *world;
    struct arena *arena;
    struct end_class *items; /* Endpoints' classes first. */
    size_t n, n_of_endpoints;
    uint32_t *members;       /* Indices of endpoints, or of outside ranges. */
    uint32_t *of_endpoint;   /* The class of each. */
    uint32_t *of_outside;    /* Of each range of world->outside. */
    struct group_set matter; /* The groups that the classes tell apart. */

    /* By group that matters; the list behind the last group is for `any`, and has all classes. */
    struct lists of_group; /* Classes. */
    struct lists from_rules,
        to_rules; /* Rules whose from (to) names it; expired ones, and repeats, too. */
};

/* 'extra': more groups to tell apart; UINT32_MAX for 'n_extra' means all groups. */
struct end_classes *end_classes_new(const struct world *w, const uint32_t extra[],
                                    uint32_t n_extra);
void end_classes_free(struct end_classes *c);
DEFINE_CLEANUP(struct end_classes, end_classes_free)

static inline const uint32_t *list_items(const struct lists *l, size_t i)
{
    return l->items + l->first[i];
}

static inline uint32_t list_size(const struct lists *l, size_t i)
{
    return l->first[i + 1] - l->first[i];
}

/* For making lists: count, list_places(), then list_put() as often as was counted.  All 'n' lists
 * hang on the arena. */
struct lists lists_new(struct arena *a, size_t n);
void list_count(struct lists *l, size_t i);
void lists_place(struct arena *a, struct lists *l);
void list_put(struct lists *l, size_t i, uint32_t item);
void lists_done(struct lists *l); /* After the last list_put(). */
