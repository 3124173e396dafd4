/* SPDX-License-Identifier: Apache-2.0 */
/* unite.h - one sorted set of tables out of several, and where each edge of those went */
#pragma once

#include "store/history/tables.h"

struct unite_source {
    const struct tables *tables;
    size_t n_ends, n_manners, n_edges; /* Of those tables. */
    const unsigned char *used;         /* By edge: 0, it is left out.  NULL: all are used. */
    uint32_t *edge_map;                /* Filled: by edge, its new place.  n_edges long. */
};

/* '*out' is initialised and empty.  False: more things than tables hold. */
bool unite(struct unite_source *sources, size_t n, struct tables *out);
