/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/memory.h"

#include <xxhash.h>

struct memory *memory_new(void)
{
    struct memory *m = xcalloc(1, sizeof(*m));

    m->refs = 1;
    m->first_ms = UINT64_MAX;
    history_tables_init(&m->tables);
    pile_init(&m->rows, sizeof(struct row));
    chains_init(&m->edges_of.to);
    chains_init(&m->edges_of.from);
    chains_init(&m->rows_of);
    m->tables.chains = &m->edges_of;
    return m;
}

struct memory *memory_get(struct memory *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void memory_put(struct memory *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) > 1)
        return;
    history_tables_done(&m->tables);
    pile_done(&m->rows);
    chains_done(&m->edges_of.to);
    chains_done(&m->edges_of.from);
    chains_done(&m->rows_of);
    table_done(&m->ends);
    table_done(&m->manners);
    table_done(&m->edges);
    free(m);
}

/* Four look-ups a record, each in a table that is larger than the processor's cache: one after the
 * other they wait for memory most of the time.  So some records go together, and what the next step
 * needs is fetched while the others are at this one. */
enum { TOGETHER = 32 };

struct wanted {
    struct end from, to;
    struct manner manner;
    struct edge edge;
    uint32_t from_hash, to_hash, manner_hash, edge_hash;
};

static uint32_t hash_of(const void *thing, size_t size)
{
    return (uint32_t)XXH3_64bits(thing, size);
}

static void fetch_slot(const struct table *t, uint32_t hash)
{
    if (t->room)
        __builtin_prefetch(&t->slots[hash & (t->room - 1)]);
}

static void fetch_thing(const struct pile *p, const struct table *t, uint32_t hash)
{
    const struct table_slot *slot = t->room ? &t->slots[hash & (t->room - 1)] : NULL;

    if (slot && slot->number < p->n)
        __builtin_prefetch(pile_at(p, slot->number));
}

static void fetch_slots(struct memory *m, struct wanted *w, const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tables_split(&flows[i], &w[i].from, &w[i].to, &w[i].manner);
        w[i].from_hash = hash_of(&w[i].from, sizeof(w[i].from));
        w[i].to_hash = hash_of(&w[i].to, sizeof(w[i].to));
        w[i].manner_hash = hash_of(&w[i].manner, sizeof(w[i].manner));
        fetch_slot(&m->ends, w[i].from_hash);
        fetch_slot(&m->ends, w[i].to_hash);
        fetch_slot(&m->manners, w[i].manner_hash);
    }
    for (size_t i = 0; i < n; i++) {
        fetch_thing(&m->tables.ends, &m->ends, w[i].from_hash);
        fetch_thing(&m->tables.ends, &m->ends, w[i].to_hash);
        fetch_thing(&m->tables.manners, &m->manners, w[i].manner_hash);
    }
}

static void chain_ends(struct memory *m)
{
    while (m->edges_of.to.newest.n < m->tables.ends.n) {
        chains_own(&m->edges_of.to);
        chains_own(&m->edges_of.from);
    }
}

static uint32_t edge_place(struct memory *m, const struct edge *e, uint32_t hash)
{
    struct pile *edges = &m->tables.edges;
    size_t n = edges->n;
    uint32_t at = tables_place(edges, &m->edges, e, hash);

    if (edges->n > n) {
        chains_own(&m->rows_of);
        chains_add(&m->edges_of.to, e->to);
        chains_add(&m->edges_of.from, e->from);
    }
    return at;
}

/* Fills edges[n]. */
static void find_edges(struct memory *m, const struct flow *flows, size_t n, uint32_t *edges)
{
    struct tables *t = &m->tables;
    struct wanted w[TOGETHER];

    fetch_slots(m, w, flows, n);
    for (size_t i = 0; i < n; i++) {
        struct edge *e = &w[i].edge;

        e->from = tables_place(&t->ends, &m->ends, &w[i].from, w[i].from_hash);
        e->to = tables_place(&t->ends, &m->ends, &w[i].to, w[i].to_hash);
        e->manner = tables_place(&t->manners, &m->manners, &w[i].manner, w[i].manner_hash);
        e->reporter = flows[i].reporter;
        w[i].edge_hash = hash_of(e, sizeof(*e));
        fetch_slot(&m->edges, w[i].edge_hash);
    }
    chain_ends(m);
    for (size_t i = 0; i < n; i++)
        fetch_thing(&t->edges, &m->edges, w[i].edge_hash);
    for (size_t i = 0; i < n; i++) {
        edges[i] = edge_place(m, &w[i].edge, w[i].edge_hash);
        __builtin_prefetch(pile_at(&m->rows_of.newest, edges[i]), 1);
    }
}

static void widen(uint64_t *first, uint64_t *last, const struct flow *f)
{
    if (f->first_ms < *first)
        *first = f->first_ms;
    if (f->last_ms > *last)
        *last = f->last_ms;
}

static void add_row(struct memory *m, const struct flow *f, uint32_t edge)
{
    size_t piece = m->rows.n / PILE_PIECE;
    struct row *row;

    if (m->rows.n % PILE_PIECE == 0)
        m->piece_first_ms[piece] = UINT64_MAX;
    row = pile_add(&m->rows);
    *row = (struct row){.first_ms = f->first_ms,
                        .count = f->count,
                        .bytes_out = f->bytes_out,
                        .bytes_in = f->bytes_in,
                        .edge = edge,
                        .span_ms = (uint32_t)(f->last_ms - f->first_ms)};
    chains_add(&m->rows_of, edge);
    widen(&m->piece_first_ms[piece], &m->piece_last_ms[piece], f);
    widen(&m->first_ms, &m->last_ms, f);
}

void memory_add(struct memory *m, const struct flow *flows, size_t n)
{
    for (size_t from = 0; from < n; from += TOGETHER) {
        size_t some = n - from < TOGETHER ? n - from : TOGETHER;
        uint32_t edges[TOGETHER];

        find_edges(m, flows + from, some, edges);
        for (size_t i = 0; i < some; i++)
            add_row(m, &flows[from + i], edges[i]);
    }
}
