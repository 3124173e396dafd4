/* SPDX-License-Identifier: Apache-2.0 */
/* reach_graph.h - the graph behind reach.h, for its own files
 *
 *     class --> knots           class_edges[class_first[c] .. class_first[c + 1])
 *     knot  --> classes         knot_edges[knot_first[k] .. knot_first[k + 1]), below n classes
 *           --> segments        the same, n classes added
 *     segment --> classes       as in hop.h */
#pragma once

#include "base/table.h"
#include "core/list.h"
#include "core/reach.h"

struct reach_graph {
    const struct hops *hops;
    struct list class_first, class_edges;
    struct list knot_first, knot_edges;
    size_t n_knots;
};
