/* SPDX-License-Identifier: Apache-2.0 */
/* reach.h - how far an attacker gets who owns an endpoint: the blast radius
 *
 * What
 * ====
 * From the boxes that fell, over hops as core/hop.h defines them, any box that is reached may be
 * the next one.  An endpoint counts at the smallest number of hops by which some *other* box that
 * fell reaches it; so the members of a group may be within the group's own reach.  The outside is
 * passed through like a box, and told apart from endpoints.
 *
 * Cost, for c classes, k knots and e edges of the graph (hop_graph.h): reach_of() O(c + k + e);
 * reach_furthest(), which joins cycles and counts all classes at once in blocks of 512 targets,
 * that times c / 512, plus c * c / 8 additions.
 *
 * Rules of use: results are the caller's. */
#pragma once

#include "core/hop.h"

struct reach {
    uint32_t *hop_of; /* By endpoint: hops to reach it; 0: out of reach. */
    size_t n_endpoints;
    uint32_t *by_hop; /* [i]: endpoints that i + 1 hops reach and i do not. */
    size_t n_hops;
    uint32_t total;      /* Endpoints. */
    uint32_t outside_at; /* Hops to what is outside; 0: out of reach. */
};
void reach_done(struct reach *r);

/* Everything in the group, or this endpoint, fell.  With 'inside' nobody comes back from outside.
 */
void reach_of_group(const struct hops *h, uint32_t group, bool inside, struct reach *ret_r);
void reach_of_endpoint(const struct hops *h, uint32_t endpoint, bool inside, struct reach *ret_r);

struct reach_start { /* What fell, by name. */
    const char *name;
    const struct group *group; /* NULL: an endpoint. */
    const struct endpoint *endpoint;
    uint32_t n_endpoints; /* 0: a group of the outside, or without members. */
};

/* "NAME", "group:NAME" or "endpoint:NAME".  -ENOENT: there is none.  -ENOTUNIQ: both are called so.
 */
int reach_start_find(const struct world *w, const char *name, struct reach_start *ret_s);
void reach_of(const struct hops *h, const struct reach_start *s, bool inside, struct reach *ret_r);

struct reach_peak {
    uint32_t endpoint; /* One of those alike, the first by name. */
    uint32_t n_alike;  /* With it. */
    uint32_t reach;    /* Endpoints, over any number of hops. */
};

/* The classes of endpoints whose fall reaches furthest, at most 'room' of them, furthest first.
 * Returns their number. */
size_t reach_furthest(const struct hops *h, struct reach_peak peaks[], size_t room);

/* The totals of all groups at once, and whether they get outside; both by group, which no endpoint
 * is in: 0.  Of a group of the outside nothing is said. */
void reach_totals(const struct hops *h, uint32_t totals[], bool outside[]);

/* ---- what a change does to it ---- */

enum { REACH_TOLD = 16 };

struct reach_change {
    const char *group;      /* In both policies, or only in one: then the other has no reach. */
    uint32_t before, after; /* Endpoints, over any number of hops. */
    uint32_t n_hops;        /* By so many hops the difference is what it is in the end; 0: not told,
                             * which is for all but the first REACH_TOLD. */
    bool outside_before, outside_after; /* Gets outside. */
};

/* Groups whose reach differs, the largest difference first; the caller frees '*ret_changes'. */
size_t reach_changes(const struct hops *before, const struct hops *after,
                     struct reach_change **ret_changes);
