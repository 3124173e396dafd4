/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h - a record taken apart: who, with whom, in which manner, and only then when and how much
 *
 * Records repeat: the same program of the same host talks to the same server each minute.  What
 * they agree in is an edge, which is kept once; a row is the number of its edge, a time, and
 * counts.
 *
 *     end:    an endpoint's name and an address     (source or destination)
 *     manner: port, protocol, program, user, rule, verdict, ...
 *     edge:   from-end, to-end, manner, reporter
 *
 * In a sealed part the tables are sorted: ends by (text, address), edges by (to, from, manner,
 * reporter), and have an index.  In memory they are in order of arrival, and have chains. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "core/flow.h"
#include "store/history/chains.h"
#include "store/history/pile.h"

struct end {
    text_t text;
    struct address address;
};

struct manner {
    uint64_t revision;
    text_t process, script, user, rule;
    uint32_t uid;
    uint16_t port;
    uint8_t protocol, direction, verdict, layer, origin, marks;
    uint8_t zero[4]; /* Compared with memcmp(). */
};
_Static_assert(sizeof(struct manner) == 40, "no gaps");

struct edge {
    uint32_t from, to, manner; /* Places in the tables. */
    text_t reporter;
};

struct row {
    uint64_t first_ms, count, bytes_out, bytes_in;
    uint32_t edge, span_ms;
};

struct tables_index {
    uint32_t *to_start;   /* By end: its first edge as 'to'; one more at the end. */
    uint32_t *from_start; /* By end: its first place in by_from; one more at the end. */
    uint32_t *by_from;    /* Edges, sorted by from-end. */
};

struct tables_chains { /* By end: its edges. */
    struct chains to, from;
};

struct tables {
    struct pile ends, manners, edges;
    struct tables_index index;          /* Of sorted ones; else NULL. */
    const struct tables_chains *chains; /* Of those in memory; borrowed. */
};

void history_tables_init(struct tables *t);
void history_tables_done(struct tables *t);

static inline const struct end *tables_end(const struct tables *t, uint32_t i)
{
    return pile_at(&t->ends, i);
}

static inline const struct manner *tables_manner(const struct tables *t, uint32_t i)
{
    return pile_at(&t->manners, i);
}

static inline const struct edge *tables_edge(const struct tables *t, uint32_t i)
{
    return pile_at(&t->edges, i);
}

/* Builds the index of sorted tables. */
void tables_make_index(struct tables *t);

/* The place of a thing of p->size bytes in its table; it is added if it is new. */
uint32_t tables_place(struct pile *p, struct table *index, const void *thing, uint32_t hash);

/* Order of ends and of manners in sorted tables. */
int end_compare(const struct end *a, const struct end *b);
int manner_compare(const struct manner *a, const struct manner *b);

/* What 'f' says about its edge. */
void tables_split(const struct flow *f, struct end *ret_from, struct end *ret_to,
                  struct manner *ret_manner);

/* A record of an edge, without times and counts. */
void tables_flow(const struct tables *t, uint32_t edge, struct flow *ret_f);

/* Orders 'order', which holds n numbers of things, by keys[number], stably. */
void order_by(uint32_t *order, size_t n, const uint32_t *keys);
