/* SPDX-License-Identifier: Apache-2.0 */
/* hop_graph.h - all hops of some services, as a graph with knots
 *
 * Hops are not kept as pairs of classes.  A class goes to a knot for each of its ways, and a knot
 * to the segments of classes that the way reaches:
 *
 *     class --> knots           class_edges[class_first[c] .. class_first[c + 1])
 *     knot  --> classes         knot_edges[knot_first[k] .. knot_first[k + 1]), below n classes
 *           --> segments        the same, n classes added
 *     segment --> classes       as in hop.h
 *
 * Where nevers take no part, all classes of one kind share a knot; else all that look equal to the
 * nevers do.  So edges are about as many as memberships, and what would be asked of 10^8 pairs is
 * asked of 10^4 knots.
 *
 * A class that has only one end is in the reach of its own knots, too: whoever walks knows that an
 * end does not go to itself.
 *
 * Rules of use: borrows the hops; immutable. */
#pragma once

#include "core/hop.h"
#include "core/list.h"

struct hop_graph {
    struct list class_first, class_edges;
    struct list knot_first, knot_edges;
    struct list knot_ways; /* By which way the knot's hops go. */
    size_t n_knots;
};

/* The hops that carry something of the menu. */
struct hop_graph *hop_graph_new(const struct hops *h, const struct menu *m);
void hop_graph_free(struct hop_graph *g);
DEFINE_CLEANUP(struct hop_graph, hop_graph_free)

static inline struct list_view hop_graph_knots(const struct hop_graph *g, uint32_t class)
{
    uint32_t first = g->class_first.items[class], end = g->class_first.items[class + 1];

    return (struct list_view){g->class_edges.items + first, end - first};
}

static inline struct list_view hop_graph_targets(const struct hop_graph *g, uint32_t knot)
{
    uint32_t first = g->knot_first.items[knot], end = g->knot_first.items[knot + 1];

    return (struct list_view){g->knot_edges.items + first, end - first};
}
