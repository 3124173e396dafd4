/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/rollup.h"

#include <xxhash.h>

/* ---- which parts are in it ---- */

/* The place of the first number that is not below 'id'. */
static size_t place_of_id(const struct rollup *r, uint64_t id)
{
    size_t low = 0, high = r->n_ids;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_id(const struct rollup *r, uint64_t id)
{
    size_t at = place_of_id(r, id);

    return at < r->n_ids && r->ids[at] == id;
}

static void add_id(struct rollup *r, uint64_t id)
{
    size_t at = place_of_id(r, id);

    GROW(r->ids, r->n_ids, r->ids_room);
    memmove(&r->ids[at + 1], &r->ids[at], (r->n_ids - at) * sizeof(*r->ids));
    r->ids[at] = id;
    r->n_ids++;
}

static void remove_id(struct rollup *r, uint64_t id)
{
    size_t at = place_of_id(r, id);

    r->n_ids--;
    memmove(&r->ids[at], &r->ids[at + 1], (r->n_ids - at) * sizeof(*r->ids));
}

/* Is this part in it, perhaps as those that it was merged from? */
static bool holds(struct rollup *r, const struct part *p)
{
    if (has_id(r, p->info.id))
        return true;
    for (size_t i = 0; i < p->n_of; i++)
        if (!has_id(r, p->of[i]))
            return false;
    if (!p->n_of)
        return false;
    for (size_t i = 0; i < p->n_of; i++)
        remove_id(r, p->of[i]);
    add_id(r, p->info.id);
    return true;
}

/* ---- begin and end ---- */

static void begin(struct rollup *r)
{
    r->first_ms = UINT64_MAX;
    r->last_ms = r->rows = r->n_ids = 0;
    history_tables_init(&r->tables);
    chains_init(&r->edges_of.to);
    chains_init(&r->edges_of.from);
    r->tables.chains = &r->edges_of;
    pile_init(&r->totals, sizeof(struct part_total));
}

static void end(struct rollup *r)
{
    history_tables_done(&r->tables);
    chains_done(&r->edges_of.to);
    chains_done(&r->edges_of.from);
    table_done(&r->ends);
    table_done(&r->manners);
    table_done(&r->edges);
    pile_done(&r->totals);
}

static void empty(struct rollup *r)
{
    end(r);
    begin(r);
    r->n_emptied++;
}

struct rollup *rollup_new(void)
{
    struct rollup *r = xcalloc(1, sizeof(*r));

    (void)pthread_mutex_init(&r->lock, NULL);
    begin(r);
    return r;
}

void rollup_free(struct rollup *r)
{
    if (!r)
        return;
    end(r);
    free(r->ids);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- adding a part ---- */

struct adding { /* Of one part: where its things are in the roll-up. */
    struct part_tables *loaded;
    struct part_total *totals;
    uint32_t *ends, *manners;
};

static void adding_done(struct adding *a)
{
    part_tables_put(a->loaded);
    free(a->totals);
    free(a->ends);
    free(a->manners);
}

/* All of them, before any is added. */
static int read_totals(const struct part *p, struct adding *a)
{
    struct part_totals_page page = {.page = SIZE_MAX};
    int r = 0;

    a->totals = xcalloc(p->info.n_edges, sizeof(*a->totals));
    for (uint32_t i = 0; i < p->info.n_edges && r == 0; i++)
        r = part_total(p, i, &page, &a->totals[i]);
    buf_done(&page.bytes);
    return r;
}

static uint32_t hash_of(const void *thing, size_t size)
{
    return (uint32_t)XXH3_64bits(thing, size);
}

static void add_ends(struct rollup *r, const struct tables *t, struct adding *a)
{
    a->ends = xcalloc(t->ends.n, sizeof(*a->ends));
    for (uint32_t i = 0; i < t->ends.n; i++) {
        const struct end *e = tables_end(t, i);
        size_t n = r->tables.ends.n;

        a->ends[i] = tables_place(&r->tables.ends, &r->ends, e, hash_of(e, sizeof(*e)));
        if (r->tables.ends.n > n) {
            chains_own(&r->edges_of.to);
            chains_own(&r->edges_of.from);
        }
    }
}

static void add_manners(struct rollup *r, const struct tables *t, struct adding *a)
{
    a->manners = xcalloc(t->manners.n, sizeof(*a->manners));
    for (uint32_t i = 0; i < t->manners.n; i++) {
        struct manner m = *tables_manner(t, i);

        m.revision = 0;
        a->manners[i] = tables_place(&r->tables.manners, &r->manners, &m, hash_of(&m, sizeof(m)));
    }
}

static void add_total(struct part_total *sum, const struct part_total *t)
{
    sum->first_ms = t->first_ms < sum->first_ms ? t->first_ms : sum->first_ms;
    sum->last_ms = t->last_ms > sum->last_ms ? t->last_ms : sum->last_ms;
    sum->records += t->records;
    sum->count += t->count;
    sum->bytes_out += t->bytes_out;
    sum->bytes_in += t->bytes_in;
}

static void add_edges(struct rollup *r, const struct tables *t, const struct adding *a)
{
    for (uint32_t i = 0; i < t->edges.n; i++) {
        const struct edge *x = tables_edge(t, i);
        struct edge e = {a->ends[x->from], a->ends[x->to], a->manners[x->manner], x->reporter};
        size_t n = r->tables.edges.n;
        uint32_t at = tables_place(&r->tables.edges, &r->edges, &e, hash_of(&e, sizeof(e)));

        if (r->tables.edges.n == n) {
            add_total(pile_at(&r->totals, at), &a->totals[i]);
            continue;
        }
        *(struct part_total *)pile_add(&r->totals) = a->totals[i];
        chains_add(&r->edges_of.to, e.to);
        chains_add(&r->edges_of.from, e.from);
    }
}

/* A damaged one is left out, and asked as it is: that counts what is damaged. */
static void add_part(struct rollup *r, struct cache *cache, struct planes *planes, struct part *p)
{
    CLEANUP(adding_done) struct adding a = {.loaded = NULL};

    if (p->not_rolled || cache_tables(cache, p, planes, &a.loaded) < 0 || read_totals(p, &a) < 0) {
        p->not_rolled = true;
        return;
    }
    if (r->tables.edges.n + p->info.n_edges > ROLLUP_EDGES_MAX) {
        empty(r);
        r->full = true;
        return;
    }
    add_ends(r, &a.loaded->tables, &a);
    add_manners(r, &a.loaded->tables, &a);
    add_edges(r, &a.loaded->tables, &a);
    add_id(r, p->info.id);
    r->first_ms = p->info.first_ms < r->first_ms ? p->info.first_ms : r->first_ms;
    r->last_ms = p->info.last_ms > r->last_ms ? p->info.last_ms : r->last_ms;
    r->rows += p->info.rows;
}

static void add_missing(struct rollup *r, const struct rollup_parts *p)
{
    size_t missing = 0;
    uint64_t edges = 0;

    for (size_t i = 0; i < p->n; i++)
        missing += !p->in[i] && !p->parts[i]->not_rolled;
    for (size_t i = 0; i < p->n && missing >= ROLLUP_WORTH && !r->full; i++) {
        if (p->in[i] || p->parts[i]->not_rolled)
            continue;
        edges += p->parts[i]->info.n_edges;
        if (edges > ROLLUP_STEP && edges > p->parts[i]->info.n_edges)
            return;
        add_part(r, p->cache, p->planes, p->parts[i]);
        p->in[i] = has_id(r, p->parts[i]->info.id);
    }
}

/* ---- questions ---- */

/* False: it knows parts that this snapshot does not have, and not because they are gone. */
static bool fits(struct rollup *r, const struct rollup_parts *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->in[i] = holds(r, p->parts[i]);
    if (n < r->n_ids) {
        if (p->generation < r->generation)
            return false;
        empty(r);
        memset(p->in, 0, p->n);
    }
    if (p->generation > r->generation)
        r->generation = p->generation;
    return true;
}

bool rollup_take(struct rollup *r, const struct rollup_parts *p, bool adds)
{
    bool is_of_use;

    if (pthread_mutex_trylock(&r->lock) != 0)
        return false;
    is_of_use = !r->full && fits(r, p);
    if (is_of_use && adds)
        add_missing(r, p);
    is_of_use = is_of_use && !r->full && r->n_ids;
    if (!is_of_use)
        rollup_give_back(r);
    return is_of_use;
}

void rollup_give_back(struct rollup *r)
{
    (void)pthread_mutex_unlock(&r->lock);
}

void rollup_complete(struct rollup *r, struct cache *cache, struct part *const *parts, size_t n)
{
    size_t n_in = 0;

    (void)pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        n_in += holds(r, parts[i]);
    if (n_in && n_in < n) {
        CLEANUP(planes_freep) struct planes *planes = planes_new();

        for (size_t i = 0; i < n && !r->full; i++)
            if (!has_id(r, parts[i]->info.id))
                add_part(r, cache, planes, parts[i]);
    }
    (void)pthread_mutex_unlock(&r->lock);
}
