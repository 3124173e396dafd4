/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/history/checksum.h"
#include "store/history/part_format.h"
#include "sys/file.h"

enum { FLUSH_SIZE = 1 << 20 };

struct part_writer {
    int folder; /* Borrowed. */
    char *name, *temporary;
    int fd;
    struct part_info info;
    const struct tables *tables;
    struct planes *planes;
    struct part_block *blocks;
    size_t blocks_room;
    struct buf out;    /* Not yet written. */
    uint64_t offset;   /* Of the file's end, without 'out'. */
    uint64_t *numbers; /* PART_BLOCK_ROWS. */
    bool finished;
};

int part_writer_new(int folder, const char *name, const struct part_info *info,
                    const struct tables *tables, struct part_writer **ret_w)
{
    struct part_writer *w = xcalloc(1, sizeof(*w));
    CLEANUP(buf_done) struct buf temporary = BUF_INIT;
    int r;

    buf_printf(&temporary, "%s.new", name);
    w->folder = folder;
    w->name = xstrdup(name);
    w->temporary = buf_take(&temporary);
    w->info = *info;
    w->info.rows = w->info.last_ms = w->info.n_blocks = 0;
    w->info.first_ms = UINT64_MAX;
    w->tables = tables;
    w->planes = planes_new();
    w->numbers = xcalloc(PART_BLOCK_ROWS, sizeof(*w->numbers));
    (void)unlinkat(folder, w->temporary, 0); /* What a crash left behind. */
    w->fd =
        openat(folder, w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        r = -errno;
        part_writer_free(w);
        return r;
    }
    buf_add(&w->out, part_magic, PART_MAGIC_SIZE);
    *ret_w = w;
    return 0;
}

void part_writer_free(struct part_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0 && !w->finished)
        (void)unlinkat(w->folder, w->temporary, 0); /* Or the next start removes it. */
    fd_closep(&w->fd);
    planes_free(w->planes);
    free(w->name);
    free(w->temporary);
    free(w->blocks);
    free(w->numbers);
    buf_done(&w->out);
    free(w);
}

static int flush(struct part_writer *w)
{
    size_t done = 0;

    while (done < w->out.size) {
        ssize_t n = write(w->fd, w->out.data + done, w->out.size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    w->offset += done;
    buf_reset(&w->out);
    return 0;
}

static uint64_t position(const struct part_writer *w)
{
    return w->offset + w->out.size;
}

/* The block that began at 'start' of 'out' is complete. */
static int end_block(struct part_writer *w, size_t start, struct part_block block)
{
    GROW(w->blocks, w->info.n_blocks, w->blocks_room);
    block.offset = w->offset + start;
    block.size = (uint32_t)(w->out.size - start);
    block.checksum = checksum_of(w->out.data + start, block.size, 0);
    w->blocks[w->info.n_blocks++] = block;
    w->info.rows += block.rows;
    if (block.first_ms < w->info.first_ms)
        w->info.first_ms = block.first_ms;
    if (block.last_ms > w->info.last_ms)
        w->info.last_ms = block.last_ms;
    return w->out.size >= FLUSH_SIZE ? flush(w) : 0;
}

#define PUT_COLUMN(transform, value)                                                               \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            w->numbers[i] = (value);                                                               \
        planes_put(w->planes, &w->out, (transform), w->numbers, n);                                \
    } while (0)

int part_writer_rows(struct part_writer *w, const struct row *rows, size_t n)
{
    struct part_block block = {.first_ms = UINT64_MAX, .rows = (uint32_t)n};
    size_t start = w->out.size;

    for (size_t i = 0; i < n; i++) {
        uint64_t last = rows[i].first_ms + rows[i].span_ms;

        if (rows[i].first_ms < block.first_ms)
            block.first_ms = rows[i].first_ms;
        if (last > block.last_ms)
            block.last_ms = last;
    }
    PUT_COLUMN(PLANES_DELTA, rows[i].edge);
    PUT_COLUMN(PLANES_PLAIN, rows[i].first_ms);
    PUT_COLUMN(PLANES_PLAIN, rows[i].span_ms);
    PUT_COLUMN(PLANES_PLAIN, rows[i].count);
    PUT_COLUMN(PLANES_PLAIN, rows[i].bytes_out);
    PUT_COLUMN(PLANES_PLAIN, rows[i].bytes_in);
    return end_block(w, start, block);
}

int part_writer_block(struct part_writer *w, const struct part_block *block, const uint64_t *edges,
                      const struct part_columns *c)
{
    size_t start = w->out.size;

    planes_put(w->planes, &w->out, PLANES_DELTA, edges, c->n);
    buf_add(&w->out, c->rest.p, c->rest.left);
    return end_block(w, start, *block);
}

#define PUT_TABLE(pile, type, transform, value)                                                    \
    do {                                                                                           \
        for (size_t i = 0; i < (pile)->n; i++) {                                                   \
            const type *x = pile_at((pile), i);                                                    \
            numbers[i] = (value);                                                                  \
        }                                                                                          \
        planes_put(w->planes, &w->out, (transform), numbers, (pile)->n);                           \
    } while (0)

static void put_ends(struct part_writer *w, uint64_t *numbers)
{
    const struct pile *ends = &w->tables->ends;

    PUT_TABLE(ends, struct end, PLANES_DELTA, x->text);
    PUT_TABLE(ends, struct end, PLANES_PLAIN, part_number(x->address.bytes, 8));
    PUT_TABLE(ends, struct end, PLANES_PLAIN, part_number(x->address.bytes + 8, 8));
}

static void put_manners(struct part_writer *w, uint64_t *numbers)
{
    const struct pile *manners = &w->tables->manners;

    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->revision);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->process);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->script);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->user);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->rule);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->uid);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->port);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->protocol);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->direction);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->verdict);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->layer);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->origin);
    PUT_TABLE(manners, struct manner, PLANES_PLAIN, x->marks);
}

/* A reporter is nearly always one of both ends: 0 the from-end, 1 the to-end, else its number + 2.
 */
static uint64_t reporter_code(const struct tables *t, const struct edge *e)
{
    if (e->reporter == tables_end(t, e->from)->text)
        return PART_REPORTER_FROM;
    if (e->reporter == tables_end(t, e->to)->text)
        return PART_REPORTER_TO;
    return (uint64_t)e->reporter + PART_REPORTER_OTHER;
}

static void put_edges(struct part_writer *w, uint64_t *numbers)
{
    const struct pile *edges = &w->tables->edges;

    PUT_TABLE(edges, struct edge, PLANES_DELTA, x->to);
    PUT_TABLE(edges, struct edge, PLANES_PLAIN, x->from);
    PUT_TABLE(edges, struct edge, PLANES_PLAIN, x->manner);
    PUT_TABLE(edges, struct edge, PLANES_PLAIN, reporter_code(w->tables, x));
}

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int put_tables(struct part_writer *w, uint64_t *ret_checksum)
{
    size_t most = max_of(w->tables->edges.n, max_of(w->tables->ends.n, w->tables->manners.n));
    CLEANUP(free_voidp) uint64_t *numbers = xcalloc(most, sizeof(*numbers));
    int r = flush(w);

    if (r < 0)
        return r;
    put_ends(w, numbers);
    put_manners(w, numbers);
    put_edges(w, numbers);
    *ret_checksum = checksum_of(w->out.data, w->out.size, 0);
    return w->out.size > PART_TABLES_SIZE_MAX ? -EFBIG : flush(w);
}

static void total_fields(const struct part_writer *w, const struct part_total *t,
                         uint64_t fields[PART_TOTALS_WIDTHS])
{
    fields[0] = t->first_ms - w->info.first_ms;
    fields[1] = t->last_ms - t->first_ms;
    fields[2] = t->records;
    fields[3] = t->count;
    fields[4] = t->bytes_out;
    fields[5] = t->bytes_in;
}

static void find_widths(const struct part_writer *w, const struct part_total *totals,
                        uint8_t widths[PART_TOTALS_WIDTHS])
{
    uint64_t bits[PART_TOTALS_WIDTHS] = {0}, fields[PART_TOTALS_WIDTHS];

    for (size_t i = 0; i < w->tables->edges.n; i++) {
        total_fields(w, &totals[i], fields);
        for (size_t j = 0; j < PART_TOTALS_WIDTHS; j++)
            bits[j] |= fields[j];
    }
    for (size_t j = 0; j < PART_TOTALS_WIDTHS; j++)
        for (widths[j] = 0; widths[j] < 8 && bits[j] >> 8 * widths[j];)
            widths[j]++;
}

static int put_totals(struct part_writer *w, const struct part_total *totals,
                      const uint8_t widths[PART_TOTALS_WIDTHS])
{
    size_t n = w->tables->edges.n, start = w->out.size;
    uint64_t fields[PART_TOTALS_WIDTHS];

    for (size_t i = 0; i < n; i++) {
        total_fields(w, &totals[i], fields);
        for (size_t j = 0; j < PART_TOTALS_WIDTHS; j++)
            for (unsigned byte = widths[j]; byte-- > 0;)
                buf_u8(&w->out, (uint8_t)(fields[j] >> 8 * byte));
        if ((i + 1) % PART_TOTALS_PAGE == 0 || i + 1 == n) {
            buf_be64(&w->out, checksum_of(w->out.data + start, w->out.size - start, 0));
            start = w->out.size;
        }
    }
    return flush(w);
}

static void put_footer(struct part_writer *w, const struct part_footer *f)
{
    size_t start = w->out.size;

    buf_be32(&w->out, PART_VERSION);
    buf_be64(&w->out, w->info.day);
    buf_be64(&w->out, w->info.id);
    buf_be64(&w->out, w->info.rows);
    buf_be64(&w->out, w->info.first_ms);
    buf_be64(&w->out, w->info.last_ms);
    buf_be32(&w->out, (uint32_t)w->tables->ends.n);
    buf_be32(&w->out, (uint32_t)w->tables->manners.n);
    buf_be32(&w->out, (uint32_t)w->tables->edges.n);
    buf_be64(&w->out, f->tables_offset);
    buf_be64(&w->out, f->tables_size);
    buf_be64(&w->out, f->tables_checksum);
    buf_be64(&w->out, f->totals_offset);
    buf_be64(&w->out, f->totals_size);
    buf_add(&w->out, f->widths, sizeof(f->widths));
    buf_be32(&w->out, w->info.n_blocks);
    for (size_t i = 0; i < w->info.n_blocks; i++) {
        const struct part_block *b = &w->blocks[i];

        buf_be64(&w->out, b->offset);
        buf_be32(&w->out, b->size);
        buf_be32(&w->out, b->rows);
        buf_be64(&w->out, b->first_ms);
        buf_be64(&w->out, b->last_ms);
        buf_be64(&w->out, b->checksum);
    }
    buf_be64(&w->out, checksum_of(w->out.data + start, w->out.size - start, 0));
    buf_be32(&w->out, (uint32_t)(w->out.size - start));
    buf_add(&w->out, part_magic, PART_MAGIC_SIZE);
}

int part_writer_finish(struct part_writer *w, const struct part_total *totals,
                       struct part_info *ret_info)
{
    struct part_footer f;
    int r;

    r = flush(w);
    if (r < 0)
        return r;
    f.tables_offset = position(w);
    r = put_tables(w, &f.tables_checksum);
    if (r < 0)
        return r;
    f.totals_offset = position(w);
    f.tables_size = f.totals_offset - f.tables_offset;
    find_widths(w, totals, f.widths);
    r = put_totals(w, totals, f.widths);
    if (r < 0)
        return r;
    f.totals_size = position(w) - f.totals_offset;
    put_footer(w, &f);
    r = flush(w);
    if (r == 0 && fsync(w->fd) < 0)
        r = -errno;
    if (r == 0 && renameat(w->folder, w->temporary, w->folder, w->name) < 0)
        r = -errno;
    if (r < 0)
        return r;
    w->finished = true;
    w->info.size = position(w);
    w->info.n_ends = (uint32_t)w->tables->ends.n;
    w->info.n_manners = (uint32_t)w->tables->manners.n;
    w->info.n_edges = (uint32_t)w->tables->edges.n;
    *ret_info = w->info;
    return fsync(w->folder) < 0 ? -errno : 0;
}
