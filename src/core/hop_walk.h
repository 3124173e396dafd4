/* SPDX-License-Identifier: Apache-2.0 */
/* hop_walk.h - from owned boxes over any number of hops, nearest first
 *
 * A walk keeps labels: a class that was reached, and the root, which is the one box that it was
 * reached from, or HOP_SEVERAL.  Each class is passed for at most two roots.  That is enough to say
 * of every end whether *another* box reaches it, and at how many hops: a class has at most one end
 * that is itself a root.
 *
 *     struct hop_walk w;
 *     hop_walk_init(&w, h);
 *     hop_walk_start(&w, class, root);  ...
 *     for (uint32_t at = 0; at < w.n; at++)
 *         hop_walk_on(&w, at);
 *     hop_walk_done(&w); */
#pragma once

#include "core/hop_graph.h"

#define HOP_SEVERAL UINT32_MAX /* As a root: more than one box. */
#define HOP_START UINT32_MAX   /* As a previous label: none. */

struct hop_label {
    uint32_t class;
    uint32_t root; /* The class of the one end; or HOP_SEVERAL. */
    uint32_t previous, way;
    uint32_t hops;
};

struct hop_mark {
    uint32_t roots[2];
    uint8_t n;
};

struct hop_walk {
    const struct hops *h;
    struct hop_label *labels;
    size_t n, room;
    struct hop_mark *classes, *segments, *knots;
    uint32_t passing; /* The label and way that hops are made from. */
    uint32_t way;

    bool stay_inside; /* What is outside is reached, and nothing from there. */

    /* Called for each arrival, also where the class was passed before; may be NULL. */
    void (*arrived)(struct hop_walk *w, uint32_t class, uint32_t root, uint32_t hops);
};

void hop_walk_init(struct hop_walk *w, const struct hops *h);
void hop_walk_done(struct hop_walk *w);

/* One end of the class is owned, or with HOP_SEVERAL more than one. */
void hop_walk_start(struct hop_walk *w, uint32_t class, uint32_t root);

/* Makes all hops from this label; new labels go behind the last. */
void hop_walk_on(struct hop_walk *w, uint32_t label);
