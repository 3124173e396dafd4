/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/tables.h"

void history_tables_init(struct tables *t)
{
    t->index = (struct tables_index){.to_start = NULL};
    t->chains = NULL;
    pile_init(&t->ends, sizeof(struct end));
    pile_init(&t->manners, sizeof(struct manner));
    pile_init(&t->edges, sizeof(struct edge));
}

void history_tables_done(struct tables *t)
{
    pile_done(&t->ends);
    pile_done(&t->manners);
    pile_done(&t->edges);
    free(t->index.to_start);
    free(t->index.from_start);
    free(t->index.by_from);
    t->index = (struct tables_index){.to_start = NULL};
}

/* Counts become starts. */
static void add_up(uint32_t *starts, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i <= n; i++) {
        uint32_t count = starts[i];

        starts[i] = sum;
        sum += count;
    }
}

void tables_make_index(struct tables *t)
{
    size_t n_ends = t->ends.n, n_edges = t->edges.n;
    struct tables_index *x = &t->index;
    CLEANUP(free_voidp) uint32_t *next = NULL;

    x->to_start = xcalloc(n_ends + 1, sizeof(uint32_t));
    x->from_start = xcalloc(n_ends + 1, sizeof(uint32_t));
    x->by_from = xcalloc(n_edges, sizeof(uint32_t));
    for (uint32_t i = 0; i < n_edges; i++) {
        x->to_start[tables_edge(t, i)->to]++;
        x->from_start[tables_edge(t, i)->from]++;
    }
    add_up(x->to_start, n_ends);
    add_up(x->from_start, n_ends);
    next = xcalloc(n_ends + 1, sizeof(uint32_t));
    memcpy(next, x->from_start, (n_ends + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < n_edges; i++)
        x->by_from[next[tables_edge(t, i)->from]++] = i;
}

static bool is_thing(const void *context, uint32_t number, const void *key)
{
    const struct pile *p = context;

    return memcmp(pile_at(p, number), key, p->size) == 0;
}

uint32_t tables_place(struct pile *p, struct table *index, const void *thing, uint32_t hash)
{
    uint32_t at = table_find(index, hash, is_thing, p, thing);

    if (at == TABLE_NONE) {
        at = (uint32_t)p->n;
        memcpy(pile_add(p), thing, p->size);
        table_add(index, hash, at);
    }
    return at;
}

int end_compare(const struct end *a, const struct end *b)
{
    if (a->text != b->text)
        return a->text < b->text ? -1 : 1;
    return address_compare(&a->address, &b->address);
}

int manner_compare(const struct manner *a, const struct manner *b)
{
    return memcmp(a, b, sizeof(*a)); /* Any order will do. */
}

void tables_split(const struct flow *f, struct end *ret_from, struct end *ret_to,
                  struct manner *ret_manner)
{
    *ret_from = (struct end){f->from, f->source};
    *ret_to = (struct end){f->to, f->destination};
    *ret_manner = (struct manner){
        .revision = f->revision,
        .process = f->process,
        .script = f->script,
        .user = f->user,
        .rule = f->rule,
        .uid = f->uid,
        .port = f->port,
        .protocol = f->protocol,
        .direction = f->direction,
        .verdict = f->verdict,
        .layer = f->layer,
        .origin = f->origin,
        .marks = f->marks,
    };
}

void tables_flow(const struct tables *t, uint32_t edge, struct flow *ret_f)
{
    const struct edge *e = tables_edge(t, edge);
    const struct end *from = tables_end(t, e->from), *to = tables_end(t, e->to);
    const struct manner *m = tables_manner(t, e->manner);

    *ret_f = (struct flow){
        .source = from->address,
        .destination = to->address,
        .from = from->text,
        .to = to->text,
        .reporter = e->reporter,
        .revision = m->revision,
        .process = m->process,
        .script = m->script,
        .user = m->user,
        .rule = m->rule,
        .uid = m->uid,
        .port = m->port,
        .protocol = m->protocol,
        .direction = m->direction,
        .verdict = m->verdict,
        .layer = m->layer,
        .origin = m->origin,
        .marks = m->marks,
    };
}

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

static void order_by_digit(const uint32_t *order, uint32_t *out, size_t n, const uint32_t *keys,
                           unsigned shift)
{
    uint32_t starts[DIGITS + 1] = {0};

    for (size_t i = 0; i < n; i++)
        starts[keys[order[i]] >> shift & (DIGITS - 1)]++;
    add_up(starts, DIGITS);
    for (size_t i = 0; i < n; i++)
        out[starts[keys[order[i]] >> shift & (DIGITS - 1)]++] = order[i];
}

void order_by(uint32_t *order, size_t n, const uint32_t *keys)
{
    CLEANUP(free_voidp) uint32_t *other = xcalloc(n, sizeof(*other));
    uint32_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= keys[order[i]];
    for (unsigned shift = 0; shift < 32 && bits >> shift; shift += DIGIT_BITS) {
        order_by_digit(order, other, n, keys, shift);
        memcpy(order, other, n * sizeof(*order));
    }
}
