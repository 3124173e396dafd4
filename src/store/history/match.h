/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - which edges of a part a question means: asked once an edge, not once a record */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/history.h"
#include "store/history/tables.h"

struct match {
    bool all;
    uint64_t *bits;  /* By edge. */
    uint32_t *edges; /* Those that match; of sorted tables: ascending. */
    size_t n, room;
};

struct match_extent { /* What is looked at: of tables that grow meanwhile, what the snapshot has. */
    size_t n_ends, n_manners, n_edges;
};

void match_init(struct match *m, const struct history_query *q, const struct tables *t,
                const struct match_extent *extent);
void match_done(struct match *m);

static inline bool match_has(const struct match *m, uint64_t edge)
{
    return m->all || (m->bits[edge / 64] >> edge % 64 & 1);
}

/* A record against the question without its times, and its times. */
bool query_matches(const struct history_query *q, const struct flow *f);
static inline bool query_in_time(const struct history_query *q, uint64_t first_ms, uint64_t last_ms)
{
    return last_ms >= q->since_ms && (first_ms < q->until_ms || !q->until_ms);
}
