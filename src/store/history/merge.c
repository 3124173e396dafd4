/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/merge.h"

#include <errno.h>

#include "store/history/manifest.h"
#include "store/history/unite.h"

static int by_day_and_rows(const void *a, const void *b)
{
    const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;

    if (x->info.day != y->info.day)
        return x->info.day < y->info.day ? -1 : 1;
    return (x->info.rows > y->info.rows) - (x->info.rows < y->info.rows);
}

/* How many of the parts of one day, the smallest first, make one part. */
static size_t choose_of_day(struct part *const *parts, size_t n, bool over)
{
    uint64_t rows = 0, edges = 0, blocks = 0;
    size_t take = 0;

    while (take < n && take < MERGE_PARTS_MAX && rows + parts[take]->info.rows <= PART_ROWS_MAX &&
           edges + parts[take]->info.n_edges <= MERGE_EDGES_MAX &&
           blocks + parts[take]->info.n_blocks <= PART_BLOCKS_MAX) {
        blocks += parts[take]->info.n_blocks;
        rows += parts[take]->info.rows;
        edges += parts[take]->info.n_edges;
        take++;
    }
    if (take >= MERGE_PARTS)
        return take;
    if (!over)
        return 0;
    /* The largest is copied for the sake of the others, unless they are next to nothing. */
    while (take >= 2 && (rows - parts[take - 1]->info.rows) * 4 < parts[take - 1]->info.rows)
        rows -= parts[--take]->info.rows;
    return take >= 2 ? take : 0;
}

size_t merge_choose(struct part *const *parts, size_t n, struct part *chosen[MERGE_PARTS_MAX])
{
    CLEANUP(free_voidp) struct part **sorted = xcalloc(n, sizeof(struct part *));
    size_t n_sorted = 0;

    for (size_t i = 0; i < n; i++)
        if (!parts[i]->whole_only)
            sorted[n_sorted++] = parts[i];
    if (n_sorted)
        qsort(sorted, n_sorted, sizeof(struct part *), by_day_and_rows);
    for (size_t from = 0, to; from < n_sorted; from = to) {
        size_t take;

        for (to = from + 1; to < n_sorted && sorted[to]->info.day == sorted[from]->info.day;)
            to++;
        take = choose_of_day(sorted + from, to - from, to < n_sorted);
        if (take) {
            memcpy(chosen, sorted + from, take * sizeof(struct part *));
            return take;
        }
    }
    return 0;
}

struct merge {
    struct part *const *parts;
    size_t n;
    struct part_tables **loaded;
    struct unite_source *sources;
    struct tables tables;
    struct part_total *totals;
    struct planes *planes;
    struct part_columns columns;
};

static void merge_done(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        part_tables_put(m->loaded[i]);
        free(m->sources[i].edge_map);
    }
    free(m->loaded);
    free(m->sources);
    free(m->totals);
    history_tables_done(&m->tables);
    planes_free(m->planes);
    part_columns_done(&m->columns);
}

static void merge_init(struct merge *m)
{
    m->loaded = xcalloc(m->n, sizeof(*m->loaded));
    m->sources = xcalloc(m->n, sizeof(*m->sources));
    m->planes = planes_new();
    history_tables_init(&m->tables);
    part_columns_init(&m->columns);
}

static int load(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct part_info *info = &m->parts[i]->info;
        int r = part_load_tables(m->parts[i], m->planes, &m->loaded[i]);

        if (r < 0)
            return r;
        m->sources[i] = (struct unite_source){.tables = &m->loaded[i]->tables,
                                              .n_ends = info->n_ends,
                                              .n_manners = info->n_manners,
                                              .n_edges = info->n_edges,
                                              .edge_map = xcalloc(info->n_edges, 4)};
    }
    return unite(m->sources, m->n, &m->tables) ? 0 : -EFBIG;
}

static void add_total(struct part_total *sum, const struct part_total *t)
{
    if (!sum->records || t->first_ms < sum->first_ms)
        sum->first_ms = t->first_ms;
    if (t->last_ms > sum->last_ms)
        sum->last_ms = t->last_ms;
    sum->records += t->records;
    sum->count += t->count;
    sum->bytes_out += t->bytes_out;
    sum->bytes_in += t->bytes_in;
}

static int add_totals(struct merge *m)
{
    m->totals = xcalloc(m->tables.edges.n, sizeof(*m->totals));
    for (size_t i = 0; i < m->n; i++) {
        struct part_totals_page page = {.page = SIZE_MAX};
        int r = 0;

        for (uint32_t edge = 0; edge < m->sources[i].n_edges && r == 0; edge++) {
            struct part_total t;

            r = part_total(m->parts[i], edge, &page, &t);
            if (r == 0)
                add_total(&m->totals[m->sources[i].edge_map[edge]], &t);
        }
        buf_done(&page.bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

struct block_place {
    uint64_t first_ms;
    uint32_t part, block;
};

static int by_time(const void *a, const void *b)
{
    const struct block_place *x = a, *y = b;

    return (x->first_ms > y->first_ms) - (x->first_ms < y->first_ms);
}

static int copy_block(struct merge *m, struct part_writer *w, const struct block_place *p)
{
    struct part_columns *c = &m->columns;
    const struct part *part = m->parts[p->part];
    int r = part_read_edges(part, p->block, m->planes, c);

    if (r < 0)
        return r;
    for (size_t i = 0; i < c->n; i++)
        c->edge[i] = m->sources[p->part].edge_map[c->edge[i]];
    return part_writer_block(w, &part->blocks[p->block], c->edge, c);
}

static int copy_blocks(struct merge *m, struct part_writer *w)
{
    CLEANUP(free_voidp) struct block_place *places = NULL;
    size_t n = 0, room = 0;
    int r = 0;

    for (size_t i = 0; i < m->n; i++)
        for (size_t b = 0; b < m->parts[i]->info.n_blocks; b++) {
            GROW(places, n, room);
            places[n++] =
                (struct block_place){m->parts[i]->blocks[b].first_ms, (uint32_t)i, (uint32_t)b};
        }
    if (n)
        qsort(places, n, sizeof(*places), by_time);
    for (size_t i = 0; i < n && r == 0; i++)
        r = copy_block(m, w, &places[i]);
    return r;
}

static int merge(struct merge *m, int folder, struct part_info *info)
{
    CLEANUP(part_writer_freep) struct part_writer *w = NULL;
    char name[PART_NAME_SIZE];
    int r = load(m);

    if (r == 0)
        r = add_totals(m);
    if (r == 0)
        r = part_writer_new(folder, part_name(info, name), info, &m->tables, &w);
    if (r == 0)
        r = copy_blocks(m, w);
    return r < 0 ? r : part_writer_finish(w, m->totals, info);
}

int merge_parts(int folder, struct part *const *parts, size_t n, struct part_info *info)
{
    CLEANUP(merge_done) struct merge m = {.parts = parts, .n = n};
    int r;

    merge_init(&m);
    r = merge(&m, folder, info);
    for (size_t i = 0; (r == -EUCLEAN || r == -EFBIG) && i < n; i++)
        parts[i]->whole_only = true;
    return r;
}
