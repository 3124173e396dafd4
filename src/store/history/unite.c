/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/unite.h"

struct end_item {
    struct end end;
    uint32_t *map; /* Where its new place is noted. */
};

struct manner_item {
    struct manner manner;
    uint32_t *map;
};

struct maps { /* Of one source: which of its ends and manners are used, then their new places. */
    unsigned char *end_used, *manner_used;
    uint32_t *ends, *manners;
};

static int compare_ends(const void *a, const void *b)
{
    const struct end_item *x = a, *y = b;

    return end_compare(&x->end, &y->end);
}

static int compare_manners(const void *a, const void *b)
{
    const struct manner_item *x = a, *y = b;

    return manner_compare(&x->manner, &y->manner);
}

static bool uses(const struct unite_source *s, size_t edge)
{
    return !s->used || s->used[edge];
}

static void maps_of(const struct unite_source *s, struct maps *m)
{
    m->end_used = xcalloc(s->n_ends, 1);
    m->manner_used = xcalloc(s->n_manners, 1);
    m->ends = xcalloc(s->n_ends, sizeof(uint32_t));
    m->manners = xcalloc(s->n_manners, sizeof(uint32_t));
    for (uint32_t i = 0; i < s->n_edges; i++) {
        const struct edge *e = tables_edge(s->tables, i);

        if (!uses(s, i))
            continue;
        m->end_used[e->from] = m->end_used[e->to] = 1;
        m->manner_used[e->manner] = 1;
    }
}

static void unite_ends(const struct unite_source *sources, struct maps *maps, size_t n,
                       struct pile *out)
{
    CLEANUP(free_voidp) struct end_item *items = NULL;
    size_t n_items = 0, room = 0;

    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < sources[k].n_ends; i++) {
            if (!maps[k].end_used[i])
                continue;
            GROW(items, n_items, room);
            items[n_items++] =
                (struct end_item){*tables_end(sources[k].tables, i), &maps[k].ends[i]};
        }
    if (n_items)
        qsort(items, n_items, sizeof(*items), compare_ends);
    for (size_t i = 0; i < n_items && out->n < PILE_MAX; i++) {
        if (i == 0 || compare_ends(&items[i - 1], &items[i]) != 0)
            *(struct end *)pile_add(out) = items[i].end;
        *items[i].map = (uint32_t)out->n - 1;
    }
}

/* Orders the items by one of their numbers; those that were in order of another stay so. */
#define ORDER_BY(member)                                                                           \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            keys[i] = items[i].manner.member;                                                      \
        order_by(order, n, keys);                                                                  \
    } while (0)

static bool alike(const struct manner *a, const struct manner *b)
{
    return a->process == b->process && a->user == b->user && a->port == b->port &&
           a->rule == b->rule;
}

/* Manners are many; comparing them pair by pair would take longer than all the rest. */
static void sort_manners(struct manner_item *items, size_t n)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(n, sizeof(*order));
    CLEANUP(free_voidp) uint32_t *keys = xcalloc(n, sizeof(*keys));
    CLEANUP(free_voidp) struct manner_item *copy = xcalloc(n, sizeof(*copy));

    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    ORDER_BY(rule);
    ORDER_BY(port);
    ORDER_BY(user);
    ORDER_BY(process);
    for (size_t i = 0; i < n; i++)
        copy[i] = items[order[i]];
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && alike(&copy[to].manner, &copy[from].manner);)
            to++;
        if (to - from > 1)
            qsort(copy + from, to - from, sizeof(*copy), compare_manners);
    }
    if (n)
        memcpy(items, copy, n * sizeof(*items));
}

static void unite_manners(const struct unite_source *sources, struct maps *maps, size_t n,
                          struct pile *out)
{
    CLEANUP(free_voidp) struct manner_item *items = NULL;
    size_t n_items = 0, room = 0;

    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < sources[k].n_manners; i++) {
            if (!maps[k].manner_used[i])
                continue;
            GROW(items, n_items, room);
            items[n_items++] =
                (struct manner_item){*tables_manner(sources[k].tables, i), &maps[k].manners[i]};
        }
    sort_manners(items, n_items);
    for (size_t i = 0; i < n_items && out->n < PILE_MAX; i++) {
        if (i == 0 || compare_manners(&items[i - 1], &items[i]) != 0)
            *(struct manner *)pile_add(out) = items[i].manner;
        *items[i].map = (uint32_t)out->n - 1;
    }
}

struct edge_columns { /* The edges of all sources in the new numbers, as keys for order_by(). */
    uint32_t *to, *from, *manner, *reporter, **map;
    size_t n;
};

static void edge_columns_done(struct edge_columns *c)
{
    free(c->to);
    free(c->from);
    free(c->manner);
    free(c->reporter);
    free(c->map);
}

static void gather_edges(const struct unite_source *sources, const struct maps *maps, size_t n,
                         struct edge_columns *c)
{
    size_t most = 0;

    for (size_t k = 0; k < n; k++)
        most += sources[k].n_edges;
    *c = (struct edge_columns){.to = xcalloc(most, 4),
                               .from = xcalloc(most, 4),
                               .manner = xcalloc(most, 4),
                               .reporter = xcalloc(most, 4),
                               .map = xcalloc(most, sizeof(*c->map))};
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < sources[k].n_edges; i++) {
            const struct edge *e = tables_edge(sources[k].tables, i);

            if (!uses(&sources[k], i))
                continue;
            c->to[c->n] = maps[k].ends[e->to];
            c->from[c->n] = maps[k].ends[e->from];
            c->manner[c->n] = maps[k].manners[e->manner];
            c->reporter[c->n] = e->reporter;
            c->map[c->n++] = &sources[k].edge_map[i];
        }
}

static bool same_edge(const struct edge *a, const struct edge *b)
{
    return a->from == b->from && a->to == b->to && a->manner == b->manner &&
           a->reporter == b->reporter;
}

static bool unite_edges(const struct edge_columns *c, struct pile *out)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(c->n, sizeof(*order));
    const struct edge *before = NULL;

    for (uint32_t i = 0; i < c->n; i++)
        order[i] = i;
    order_by(order, c->n, c->reporter);
    order_by(order, c->n, c->manner);
    order_by(order, c->n, c->from);
    order_by(order, c->n, c->to);
    for (size_t i = 0; i < c->n; i++) {
        uint32_t o = order[i];
        struct edge e = {c->from[o], c->to[o], c->manner[o], c->reporter[o]};

        if (!before || !same_edge(before, &e)) {
            struct edge *added;

            if (out->n == PILE_MAX)
                return false;
            added = pile_add(out);
            *added = e;
            before = added;
        }
        *c->map[o] = (uint32_t)out->n - 1;
    }
    return true;
}

bool unite(struct unite_source *sources, size_t n, struct tables *out)
{
    CLEANUP(edge_columns_done) struct edge_columns c = {.n = 0};
    struct maps *maps = xcalloc(n, sizeof(*maps));
    bool fits;

    for (size_t k = 0; k < n; k++)
        maps_of(&sources[k], &maps[k]);
    unite_ends(sources, maps, n, &out->ends);
    unite_manners(sources, maps, n, &out->manners);
    gather_edges(sources, maps, n, &c);
    fits = out->ends.n < PILE_MAX && out->manners.n < PILE_MAX && unite_edges(&c, &out->edges);
    for (size_t k = 0; k < n; k++) {
        free(maps[k].end_used);
        free(maps[k].manner_used);
        free(maps[k].ends);
        free(maps[k].manners);
    }
    free(maps);
    return fits;
}
