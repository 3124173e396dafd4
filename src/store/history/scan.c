/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a folder's history: by units, which are blocks of parts and pieces of memories. */
#include <errno.h>

#include "store/history/columns.h"
#include "store/history/match.h"

enum { GIVE = 1024, TOGETHER = 32 }; /* Records at once; rows that are fetched at once. */

struct source { /* A part or a memory, and what the question means in it. */
    struct part *part;
    const struct columns_memory *memory;
    struct part_tables *loaded;
    const struct tables *tables;
    size_t n_edges;
    struct match match;
    bool ready, broken;
    bool rolled; /* The roll-up has told of it. */
    size_t units_left;
};

struct unit {
    uint64_t first_ms, last_ms;
    uint32_t source, index; /* Of the block or piece. */
    uint32_t rows;
};

struct scan {
    const struct columns_snapshot *snapshot;
    const struct history_query *q;
    history_take *take;
    void *user;
    struct history_progress *progress;
    struct source *sources;
    size_t n_sources;
    struct unit *units;
    size_t n_units, units_room;
    struct planes *planes;
    struct part_columns columns;
    struct flow given[GIVE];
    size_t n_given;
};

static void release(struct source *s)
{
    if (s->ready) {
        match_done(&s->match);
        part_tables_put(TAKE_PTR(s->loaded));
    }
    s->ready = false;
}

static void scan_done(struct scan *s)
{
    for (size_t i = 0; i < s->n_sources; i++)
        release(&s->sources[i]);
    free(s->sources);
    free(s->units);
    planes_free(s->planes);
    part_columns_done(&s->columns);
}

static void scan_init(struct scan *s)
{
    const struct columns_snapshot *snapshot = s->snapshot;

    s->sources = xcalloc(snapshot->n_parts + 2, sizeof(*s->sources));
    for (size_t i = 0; i < snapshot->n_parts; i++)
        s->sources[s->n_sources++] = (struct source){.part = snapshot->parts[i]};
    for (size_t i = 0; i < ARRAY_SIZE(snapshot->memories); i++)
        if (snapshot->memories[i].n_rows)
            s->sources[s->n_sources++] = (struct source){.memory = &snapshot->memories[i]};
    s->planes = planes_new();
    part_columns_init(&s->columns);
}

/* Loads the tables and finds the edges that are asked for.  False: nothing here. */
static bool prepare(struct scan *s, struct source *source)
{
    struct match_extent extent;

    if (source->ready || source->broken)
        return source->ready && (source->match.all || source->match.n);
    if (source->part) {
        if (cache_tables(s->snapshot->cache, source->part, s->planes, &source->loaded) < 0) {
            source->broken = true;
            return false;
        }
        source->tables = &source->loaded->tables;
        extent = (struct match_extent){source->part->info.n_ends, source->part->info.n_manners,
                                       source->part->info.n_edges};
    } else {
        source->tables = &source->memory->memory->tables;
        extent = source->memory->extent;
    }
    source->n_edges = extent.n_edges;
    match_init(&source->match, s->q, source->tables, &extent);
    source->ready = true;
    return source->match.all || source->match.n;
}

static void add_unit(struct scan *s, size_t source, size_t index, uint64_t first, uint64_t last,
                     size_t rows)
{
    if (!query_in_time(s->q, first, last))
        return;
    GROW(s->units, s->n_units, s->units_room);
    s->units[s->n_units++] =
        (struct unit){first, last, (uint32_t)source, (uint32_t)index, (uint32_t)rows};
    s->sources[source].units_left++;
    s->progress->rows_total += rows;
}

static void add_units(struct scan *s, size_t number)
{
    const struct source *source = &s->sources[number];
    const struct columns_memory *m = source->memory;

    if (source->part) {
        const struct part *p = source->part;

        if (query_in_time(s->q, p->info.first_ms, p->info.last_ms))
            for (size_t i = 0; i < p->info.n_blocks; i++)
                add_unit(s, number, i, p->blocks[i].first_ms, p->blocks[i].last_ms,
                         p->blocks[i].rows);
        return;
    }
    for (size_t i = 0; i * PILE_PIECE < m->n_rows; i++) {
        size_t rows = m->n_rows - i * PILE_PIECE;
        bool whole = rows >= PILE_PIECE; /* The last piece's times change meanwhile. */

        add_unit(s, number, i, whole ? m->memory->piece_first_ms[i] : 0,
                 whole ? m->memory->piece_last_ms[i] : UINT64_MAX, whole ? PILE_PIECE : rows);
    }
}

static int flush(struct scan *s)
{
    int r = s->n_given ? s->take(s->user, s->given, s->n_given) : 0;

    s->n_given = 0;
    return r;
}

static int give(struct scan *s, const struct source *source, uint32_t edge,
                const struct part_total *t)
{
    struct flow *f = &s->given[s->n_given++];

    tables_flow(source->tables, edge, f);
    f->first_ms = t->first_ms;
    f->last_ms = t->last_ms;
    f->count = t->count;
    f->bytes_out = t->bytes_out;
    f->bytes_in = t->bytes_in;
    if (s->q->all_revisions)
        f->revision = 0;
    return s->n_given == GIVE ? flush(s) : 0;
}

/* What is done with a row that is asked for. */
typedef int row_taker(struct scan *s, struct source *source, void *user, uint32_t edge,
                      const struct part_total *row);

static int give_row(struct scan *s, struct source *source, void *user, uint32_t edge,
                    const struct part_total *row)
{
    (void)user; /* Only sums have some. */
    return give(s, source, edge, row);
}

static bool any_matches(const struct match *m, const struct part_columns *c)
{
    if (m->all)
        return true;
    for (size_t i = 0; i < c->n; i++)
        if (match_has(m, c->edge[i]))
            return true;
    return false;
}

static int walk_block(struct scan *s, struct source *source, size_t block, row_taker *take,
                      void *user)
{
    struct part_columns *c = &s->columns;
    int r = part_read_edges(source->part, block, s->planes, c);

    if (r == 0 && !any_matches(&source->match, c))
        return 0;
    if (r == 0)
        r = part_read_rest(source->part, block, s->planes, c);
    if (r < 0) {
        cache_damaged(s->snapshot->cache, source->part, block);
        return 0;
    }
    for (size_t i = 0; i < c->n && r == 0; i++) {
        struct part_total row = {
            c->first_ms[i], c->first_ms[i] + c->span_ms[i], 1, c->count[i], c->bytes_out[i],
            c->bytes_in[i]};

        if (match_has(&source->match, c->edge[i]) && query_in_time(s->q, row.first_ms, row.last_ms))
            r = take(s, source, user, (uint32_t)c->edge[i], &row);
    }
    return r;
}

static int walk_piece(struct scan *s, struct source *source, const struct unit *u, row_taker *take,
                      void *user)
{
    int r = 0;

    for (size_t i = 0; i < u->rows && r == 0; i++) {
        const struct row *x =
            pile_at(&source->memory->memory->rows, (size_t)u->index * PILE_PIECE + i);
        struct part_total row = {x->first_ms, x->first_ms + x->span_ms, 1, x->count, x->bytes_out,
                                 x->bytes_in};

        if (match_has(&source->match, x->edge) && query_in_time(s->q, row.first_ms, row.last_ms))
            r = take(s, source, user, x->edge, &row);
    }
    return r;
}

static int walk_unit(struct scan *s, const struct unit *u, row_taker *take, void *user)
{
    struct source *source = &s->sources[u->source];
    int r = 0;

    if (s->progress->cancel)
        return -ECANCELED;
    if (prepare(s, source))
        r = source->memory ? walk_piece(s, source, u, take, user)
                           : walk_block(s, source, u->index, take, user);
    s->progress->rows_read += u->rows;
    if (--source->units_left == 0)
        release(source);
    return r;
}

static int compare_oldest(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;

    return (x->first_ms > y->first_ms) - (x->first_ms < y->first_ms);
}

static int compare_newest(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;

    return (x->last_ms < y->last_ms) - (x->last_ms > y->last_ms);
}

int columns_scan(const void *snapshot, const struct history_query *q, history_take *take,
                 void *user, struct history_progress *progress)
{
    CLEANUP(scan_done)
    struct scan s = {
        .snapshot = snapshot, .q = q, .take = take, .user = user, .progress = progress};
    int r = 0;

    scan_init(&s);
    for (size_t i = 0; i < s.n_sources; i++)
        add_units(&s, i);
    if (s.n_units)
        qsort(s.units, s.n_units, sizeof(*s.units),
              q->newest_first ? compare_newest : compare_oldest);
    for (size_t i = 0; i < s.n_units && r == 0; i++)
        r = walk_unit(&s, &s.units[i], give_row, NULL);
    return r ? r : flush(&s);
}

struct sums {         /* Of the rows of one source, by edge. */
    uint32_t *places; /* By edge, + 1. */
    uint32_t *edges;
    struct part_total *totals;
    size_t n, edges_room, totals_room;
};

static void sums_done(struct sums *x)
{
    free(x->places);
    free(x->edges);
    free(x->totals);
}

static int sum_row(struct scan *s, struct source *source, void *user, uint32_t edge,
                   const struct part_total *row)
{
    struct sums *x = user;
    struct part_total *t;

    (void)s;
    (void)source;
    if (!x->places[edge]) {
        GROW(x->edges, x->n, x->edges_room);
        GROW(x->totals, x->n, x->totals_room);
        x->edges[x->n] = edge;
        x->totals[x->n] = *row;
        x->places[edge] = (uint32_t)++x->n;
        return 0;
    }
    t = &x->totals[x->places[edge] - 1];
    t->first_ms = row->first_ms < t->first_ms ? row->first_ms : t->first_ms;
    t->last_ms = row->last_ms > t->last_ms ? row->last_ms : t->last_ms;
    t->count += row->count;
    t->bytes_out += row->bytes_out;
    t->bytes_in += row->bytes_in;
    return 0;
}

/* A part that lies wholly in the window has its sums already. */
static int give_totals(struct scan *s, struct source *source)
{
    struct part_totals_page page = {.page = SIZE_MAX};
    size_t n = source->match.all ? source->n_edges : source->match.n;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        uint32_t edge = source->match.all ? (uint32_t)i : source->match.edges[i];
        struct part_total total;

        if (part_total(source->part, edge, &page, &total) < 0)
            cache_damaged(s->snapshot->cache, source->part,
                          source->part->info.n_blocks + DAMAGED_TOTALS);
        else
            r = give(s, source, edge, &total);
    }
    buf_done(&page.bytes);
    return r;
}

static void add_to(struct part_total *t, const struct row *row)
{
    uint64_t last_ms = row->first_ms + row->span_ms;

    if (!t->records || row->first_ms < t->first_ms)
        t->first_ms = row->first_ms;
    if (last_ms > t->last_ms)
        t->last_ms = last_ms;
    t->records++;
    t->count += row->count;
    t->bytes_out += row->bytes_out;
    t->bytes_in += row->bytes_in;
}

/* Sums up an edge's rows in memory.  They lie anywhere: some are fetched together. */
static void sum_chain(const struct scan *s, const struct columns_memory *memory, uint32_t edge,
                      struct part_total *total)
{
    const struct memory *m = memory->memory;
    uint32_t at = chains_newest(&m->rows_of, edge);

    while (at != CHAINS_END) {
        const struct row *rows[TOGETHER];
        size_t n = 0;

        for (; at != CHAINS_END && n < TOGETHER; at = chains_before(&m->rows_of, at))
            if (at < memory->n_rows) {
                rows[n] = pile_at(&m->rows, at);
                __builtin_prefetch(rows[n++]);
            }
        for (size_t i = 0; i < n; i++)
            if (query_in_time(s->q, rows[i]->first_ms, rows[i]->first_ms + rows[i]->span_ms))
                add_to(total, rows[i]);
    }
}

/* In memory an edge's rows are chained: the others are not looked at. */
static int give_chains(struct scan *s, struct source *source)
{
    int r = 0;

    for (size_t i = 0; i < source->match.n && r == 0; i++) {
        uint32_t edge = source->match.edges[i];
        struct part_total total = {.records = 0};

        sum_chain(s, source->memory, edge, &total);
        if (total.records)
            r = give(s, source, edge, &total);
        if (s->progress->cancel)
            r = -ECANCELED;
    }
    s->progress->rows_read += source->memory->n_rows;
    return r;
}

/* All rows between these instants are in the window. */
static bool is_in_window(const struct history_query *q, uint64_t first_ms, uint64_t last_ms)
{
    return q->since_ms <= first_ms && (!q->until_ms || last_ms < q->until_ms);
}

static int give_rolled(struct scan *s, const struct rollup *up)
{
    const struct match_extent extent = {up->tables.ends.n, up->tables.manners.n,
                                        up->tables.edges.n};
    struct source source = {.tables = &up->tables, .n_edges = extent.n_edges};
    struct match *m = &source.match;
    size_t n;
    int r = 0;

    match_init(m, s->q, source.tables, &extent);
    n = m->all ? source.n_edges : m->n;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (!m->all && i + TOGETHER < n)
            __builtin_prefetch(rollup_total(up, m->edges[i + TOGETHER]));
        r = give(s, &source, m->all ? (uint32_t)i : m->edges[i],
                 rollup_total(up, m->all ? (uint32_t)i : m->edges[i]));
    }
    match_done(m);
    s->progress->rows_total += up->rows;
    s->progress->rows_read += up->rows;
    return r;
}

/* What the roll-up knows of a question that may ask it; its parts are asked no more. */
static int sum_rolled(struct scan *s)
{
    const struct columns_snapshot *snapshot = s->snapshot;
    CLEANUP(free_voidp) unsigned char *in = xcalloc(snapshot->n_parts, 1);
    struct rollup *up = snapshot->rollup;
    bool adds = s->q->all_revisions;
    int r = 0;

    for (size_t i = 0; i < snapshot->n_parts && adds; i++)
        adds =
            is_in_window(s->q, snapshot->parts[i]->info.first_ms, snapshot->parts[i]->info.last_ms);
    if (!s->q->all_revisions ||
        !rollup_take(up,
                     &(struct rollup_parts){snapshot->parts, snapshot->n_parts, snapshot->changes,
                                            snapshot->cache, s->planes, in},
                     adds))
        return 0;
    if (is_in_window(s->q, up->first_ms, up->last_ms)) {
        for (size_t i = 0; i < snapshot->n_parts; i++)
            s->sources[i].rolled = in[i];
        r = give_rolled(s, up);
    }
    rollup_give_back(up);
    return r;
}

static int sum_source(struct scan *s, size_t number)
{
    CLEANUP(sums_done) struct sums x = {.n = 0};
    struct source *source = &s->sources[number];
    int r = 0;

    s->n_units = 0;
    add_units(s, number);
    if (!s->n_units || !prepare(s, source)) {
        for (size_t i = 0; i < s->n_units; i++)
            s->progress->rows_read += s->units[i].rows;
        return 0;
    }
    if (source->part &&
        is_in_window(s->q, source->part->info.first_ms, source->part->info.last_ms)) {
        s->progress->rows_read += source->part->info.rows;
        return give_totals(s, source);
    }
    if (source->memory && !source->match.all)
        return give_chains(s, source);
    x.places = xcalloc(source->n_edges, sizeof(*x.places));
    source->units_left++; /* Not released before the sums are given. */
    for (size_t i = 0; i < s->n_units && r == 0; i++)
        r = walk_unit(s, &s->units[i], sum_row, &x);
    for (size_t i = 0; i < x.n && r == 0; i++)
        r = give(s, source, x.edges[i], &x.totals[i]);
    return r;
}

int columns_edges(const void *snapshot, const struct history_query *q, history_take *take,
                  void *user, struct history_progress *progress)
{
    CLEANUP(scan_done)
    struct scan s = {
        .snapshot = snapshot, .q = q, .take = take, .user = user, .progress = progress};
    int r = 0;

    scan_init(&s);
    r = sum_rolled(&s);
    for (size_t i = 0; i < s.n_sources && r == 0; i++) {
        if (s.sources[i].rolled)
            continue;
        r = progress->cancel ? -ECANCELED : sum_source(&s, i);
        release(&s.sources[i]);
    }
    return r ? r : flush(&s);
}
