/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/seal.h"

#include <errno.h>
#include <unistd.h>

#include "store/history/journal.h"
#include "store/history/unite.h"

struct seal *seal_new(int folder, const char *path, struct memory *memory,
                      const struct manifest *manifest, struct buf *tail)
{
    struct seal *s = xcalloc(1, sizeof(*s));

    s->folder = folder;
    s->path = xstrdup(path);
    s->memory = memory_get(memory);
    s->manifest =
        (struct manifest){.generation = manifest->generation, .next_id = manifest->next_id};
    for (size_t i = 0; i < manifest->n_parts; i++)
        manifest_add(&s->manifest, &manifest->parts[i]);
    s->tail = *tail;
    *tail = BUF_INIT;
    return s;
}

static void forget_made(struct seal *s)
{
    for (size_t i = 0; i < s->n_made; i++)
        part_put(s->made[i]);
    s->n_made = 0;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    forget_made(s);
    for (size_t i = 0; i < s->n_merge; i++)
        part_put(s->merge[i]);
    free(s->made);
    free(s->path);
    memory_put(s->memory);
    manifest_done(&s->manifest);
    buf_done(&s->tail);
    free(s);
}

struct day { /* The rows of one day, and what is made of them. */
    struct part_info info;
    struct row *rows;
    size_t n;
    struct tables tables;
    struct part_total *totals;
};

static void day_done(struct day *d)
{
    free(d->rows);
    free(d->totals);
    history_tables_done(&d->tables);
}

static void add_to_total(struct part_total *t, const struct row *row)
{
    uint64_t last = row->first_ms + row->span_ms;

    if (!t->records || row->first_ms < t->first_ms)
        t->first_ms = row->first_ms;
    if (last > t->last_ms)
        t->last_ms = last;
    t->records++;
    t->count += row->count;
    t->bytes_out += row->bytes_out;
    t->bytes_in += row->bytes_in;
}

/* Copies the rows and numbers their edges anew. */
static bool take_rows(struct day *d, const struct memory *m, const uint32_t *order)
{
    size_t n_edges = m->tables.edges.n;
    CLEANUP(free_voidp) unsigned char *used = xcalloc(n_edges, 1);
    CLEANUP(free_voidp) uint32_t *map = xcalloc(n_edges, sizeof(*map));
    struct unite_source source = {.tables = &m->tables,
                                  .n_ends = m->tables.ends.n,
                                  .n_manners = m->tables.manners.n,
                                  .n_edges = n_edges,
                                  .used = used,
                                  .edge_map = map};

    d->rows = xcalloc(d->n, sizeof(*d->rows));
    for (size_t i = 0; i < d->n; i++) {
        d->rows[i] = *(const struct row *)pile_at(&m->rows, order[i]);
        used[d->rows[i].edge] = 1;
    }
    if (!unite(&source, 1, &d->tables))
        return false;
    d->totals = xcalloc(d->tables.edges.n, sizeof(*d->totals));
    for (size_t i = 0; i < d->n; i++) {
        d->rows[i].edge = map[d->rows[i].edge];
        add_to_total(&d->totals[d->rows[i].edge], &d->rows[i]);
    }
    return true;
}

/* Blocks follow each other in time; within a block rows are sorted by edge, then time. */
static int write_rows(struct part_writer *w, const struct day *d)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(d->n, sizeof(*order));
    CLEANUP(free_voidp) uint32_t *keys = xcalloc(d->n, sizeof(*keys));
    CLEANUP(free_voidp) struct row *block = xcalloc(PART_BLOCK_ROWS, sizeof(*block));

    for (uint32_t i = 0; i < d->n; i++) {
        order[i] = i;
        keys[i] = (uint32_t)(d->rows[i].first_ms - d->info.day * day_ms);
    }
    order_by(order, d->n, keys);
    for (size_t i = 0; i < d->n; i++)
        keys[i] = d->rows[i].edge;
    for (size_t from = 0; from < d->n; from += PART_BLOCK_ROWS) {
        size_t n = d->n - from < PART_BLOCK_ROWS ? d->n - from : PART_BLOCK_ROWS;
        int r;

        order_by(order + from, n, keys);
        for (size_t i = 0; i < n; i++)
            block[i] = d->rows[order[from + i]];
        r = part_writer_rows(w, block, n);
        if (r < 0)
            return r;
    }
    return 0;
}

static int keep(struct seal *s, const struct part_info *info)
{
    char name[PART_NAME_SIZE];
    struct part *p = NULL;
    int r = part_open(s->folder, part_name(info, name), &p);

    if (r < 0)
        return r;
    GROW(s->made, s->n_made, s->made_room);
    s->made[s->n_made++] = p;
    manifest_add(&s->manifest, info);
    return 0;
}

static int seal_day(struct seal *s, uint64_t day, const uint32_t *order, size_t n)
{
    CLEANUP(part_writer_freep) struct part_writer *w = NULL;
    CLEANUP(day_done) struct day d = {.n = n};
    char name[PART_NAME_SIZE];
    int r;

    d.info.day = day;
    d.info.id = s->manifest.next_id++;
    history_tables_init(&d.tables);
    if (!take_rows(&d, s->memory, order))
        return -EFBIG;
    r = part_writer_new(s->folder, part_name(&d.info, name), &d.info, &d.tables, &w);
    if (r < 0)
        return r;
    r = write_rows(w, &d);
    if (r < 0)
        return r;
    r = part_writer_finish(w, d.totals, &d.info);
    return r < 0 ? r : keep(s, &d.info);
}

static int seal_memory(struct seal *s)
{
    const struct memory *m = s->memory;
    CLEANUP(free_voidp) uint32_t *order = xcalloc(m->rows.n, sizeof(*order));
    CLEANUP(free_voidp) uint32_t *days = xcalloc(m->rows.n, sizeof(*days));

    for (uint32_t i = 0; i < m->rows.n; i++) {
        order[i] = i;
        days[i] = (uint32_t)(((const struct row *)pile_at(&m->rows, i))->first_ms / day_ms);
    }
    order_by(order, m->rows.n, days);
    for (size_t from = 0, to; from < m->rows.n; from = to) {
        uint32_t day = days[order[from]];
        int r;

        for (to = from + 1; to < m->rows.n && days[order[to]] == day;)
            to++;
        r = seal_day(s, day, order + from, to - from);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_manifest(struct seal *s)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    buf_printf(&path, "%s/manifest", s->path);
    return manifest_write(path.data, &s->manifest, &s->tail);
}

static void remove_journals(const struct seal *s)
{
    char name[JOURNAL_NAME_SIZE];

    for (uint64_t i = s->journals_from; i < s->manifest.generation; i++)
        (void)unlinkat(s->folder, journal_name(i, name), 0); /* Or the next start does. */
}

static void unlist(struct manifest *m, uint64_t id)
{
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].id == id) {
            m->parts[i] = m->parts[--m->n_parts];
            return;
        }
}

static void forget_merge(struct seal *s)
{
    while (s->n_merge)
        part_put(s->merge[--s->n_merge]);
}

/* Parts stay as they are when they cannot be merged: they answer as well, only slower. */
static void merge(struct seal *s)
{
    struct part_info info = {.day = s->n_merge ? s->merge[0]->info.day : 0};
    struct part *made;

    if (!s->n_merge)
        return;
    info.id = s->manifest.next_id++;
    if (merge_parts(s->folder, s->merge, s->n_merge, &info) < 0 || keep(s, &info) < 0) {
        forget_merge(s);
        return;
    }
    made = s->made[s->n_made - 1];
    made->of = xcalloc(s->n_merge, sizeof(*made->of));
    for (size_t i = 0; i < s->n_merge; i++) {
        unlist(&s->manifest, s->merge[i]->info.id);
        made->of[made->n_of++] = s->merge[i]->info.id;
    }
}

static void *run(void *user)
{
    struct seal *s = user;
    int r = seal_memory(s);

    if (r == 0) {
        merge(s);
        r = write_manifest(s);
    }
    if (r < 0)
        forget_made(s);
    else
        remove_journals(s);
    if (r == 0 && s->n_merge)
        rollup_complete(s->rollup, s->cache, s->merge, s->n_merge);
    s->error = r;
    atomic_store(&s->done, true);
    return NULL;
}

void seal_start(struct seal *s)
{
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        abort(); /* As out of memory. */
}

void seal_wait(struct seal *s)
{
    (void)pthread_join(s->thread, NULL);
}
