/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/history/checksum.h"
#include "store/history/part.h"
#include "store/history/part_format.h"
#include "sys/file.h"

/* Exactly 'size' bytes from 'offset'.  -EUCLEAN: the file is shorter. */
static int read_at(int fd, uint64_t offset, size_t size, struct buf *out)
{
    size_t done = 0;

    if (out->room < size + 1) {
        out->data = xreallocarray(out->data, size + 1, 1);
        out->room = size + 1;
    }
    while (done < size) {
        ssize_t n = pread(fd, out->data + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EUCLEAN;
        done += (size_t)n;
    }
    out->size = size;
    return 0;
}

static bool inside(uint64_t offset, uint64_t size, uint64_t end)
{
    return offset >= PART_MAGIC_SIZE && offset <= end && size <= end - offset;
}

static bool take_block(struct reader *r, struct part_block *b, uint64_t end)
{
    b->offset = reader_be64(r);
    b->size = reader_be32(r);
    b->rows = reader_be32(r);
    b->first_ms = reader_be64(r);
    b->last_ms = reader_be64(r);
    b->checksum = reader_be64(r);
    return reader_ok(r) && b->rows > 0 && b->rows <= PART_BLOCK_ROWS &&
           b->size <= PART_BLOCK_SIZE_MAX && b->first_ms <= b->last_ms &&
           inside(b->offset, b->size, end);
}

static bool take_sections(struct reader *r, struct part *p, uint64_t end)
{
    const void *widths;
    uint64_t record = 0;

    p->tables_offset = reader_be64(r);
    p->tables_size = reader_be64(r);
    p->tables_checksum = reader_be64(r);
    p->totals_offset = reader_be64(r);
    p->totals_size = reader_be64(r);
    widths = reader_bytes(r, sizeof(p->widths));
    if (!widths || !inside(p->tables_offset, p->tables_size, end) ||
        p->tables_size > PART_TABLES_SIZE_MAX || !inside(p->totals_offset, p->totals_size, end))
        return false;
    memcpy(p->widths, widths, sizeof(p->widths));
    for (size_t i = 0; i < PART_TOTALS_WIDTHS; i++) {
        if (p->widths[i] > 8)
            return false;
        record += p->widths[i];
    }
    return p->totals_size ==
           p->info.n_edges * record +
               8 * (((uint64_t)p->info.n_edges + PART_TOTALS_PAGE - 1) / PART_TOTALS_PAGE);
}

static bool take_footer(struct reader *r, struct part *p, uint64_t end)
{
    struct part_info *i = &p->info;
    uint64_t rows = 0;

    if (reader_be32(r) != PART_VERSION)
        return false;
    i->day = reader_be64(r);
    i->id = reader_be64(r);
    i->rows = reader_be64(r);
    i->first_ms = reader_be64(r);
    i->last_ms = reader_be64(r);
    i->n_ends = reader_be32(r);
    i->n_manners = reader_be32(r);
    i->n_edges = reader_be32(r);
    if (!reader_ok(r) || i->n_ends > PILE_MAX || i->n_manners > PILE_MAX || i->n_edges > PILE_MAX ||
        !take_sections(r, p, end))
        return false;
    i->n_blocks = reader_be32(r);
    if (!reader_ok(r) || i->n_blocks > PART_BLOCKS_MAX)
        return false;
    p->blocks = xcalloc(i->n_blocks, sizeof(*p->blocks));
    p->damaged = xcalloc(i->n_blocks + 2, sizeof(*p->damaged));
    for (size_t b = 0; b < i->n_blocks; b++) {
        if (!take_block(r, &p->blocks[b], end) || p->blocks[b].first_ms < i->first_ms ||
            p->blocks[b].last_ms > i->last_ms)
            return false;
        rows += p->blocks[b].rows;
    }
    return reader_ok(r) && r->left == 0 && rows == i->rows;
}

static int read_footer(struct part *p)
{
    CLEANUP(buf_done) struct buf trailer = BUF_INIT, footer = BUF_INIT;
    struct stat st;
    struct reader r;
    uint64_t sum, size;
    uint32_t footer_size;
    const void *magic;
    int e;

    if (fstat(p->fd, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || size < PART_MAGIC_SIZE + PART_TRAILER_SIZE)
        return -EUCLEAN;
    e = read_at(p->fd, size - PART_TRAILER_SIZE, PART_TRAILER_SIZE, &trailer);
    if (e < 0)
        return e;
    r = reader_of(trailer.data, trailer.size);
    sum = reader_be64(&r);
    footer_size = reader_be32(&r);
    magic = reader_bytes(&r, PART_MAGIC_SIZE);
    /* The size counts the checksum that stands behind the footer. */
    if (!magic || memcmp(magic, part_magic, PART_MAGIC_SIZE) != 0 || footer_size < 8 ||
        footer_size > PART_FOOTER_SIZE_MAX || footer_size + 12 + PART_MAGIC_SIZE > size)
        return -EUCLEAN;
    footer_size -= 8;
    e = read_at(p->fd, size - PART_TRAILER_SIZE - footer_size, footer_size, &footer);
    if (e < 0)
        return e;
    if (!checksum_fits(footer.data, footer.size, 0, sum))
        return -EUCLEAN;
    p->info.size = size;
    r = reader_of(footer.data, footer.size);
    return take_footer(&r, p, size) ? 0 : -EUCLEAN;
}

int part_open(int folder, const char *name, struct part **ret_p)
{
    CLEANUP(part_putp) struct part *p = xcalloc(1, sizeof(*p));
    int r;

    p->refs = 1;
    p->fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0)
        return -errno;
    r = read_footer(p);
    if (r < 0)
        return r;
    *ret_p = TAKE_PTR(p);
    return 0;
}

struct part *part_get(struct part *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void part_put(struct part *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1)
        return;
    fd_closep(&p->fd);
    part_tables_put(p->tables);
    free(p->blocks);
    free((void *)(uintptr_t)p->damaged);
    free(p->of);
    free(p);
}

void part_tables_put(struct part_tables *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    history_tables_done(&t->tables);
    free(t);
}

/* Takes a column and stores each number by 'assign', which sees it as v and the thing as x. */
#define TAKE_TABLE(pile, type, max, assign)                                                        \
    do {                                                                                           \
        if (!planes_take(planes, r, numbers, n))                                                   \
            return false;                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            type *x = pile_at((pile), i);                                                          \
            uint64_t v = numbers[i];                                                               \
            if (v > (max))                                                                         \
                return false;                                                                      \
            assign;                                                                                \
        }                                                                                          \
    } while (0)

static void set_number(uint8_t *bytes, uint64_t v)
{
    for (size_t i = 8; i-- > 0; v >>= 8)
        bytes[i] = (uint8_t)v;
}

static void make_room(struct pile *p, size_t n)
{
    while (p->n < n)
        memset(pile_add(p), 0, p->size);
}

static bool take_ends(struct planes *planes, struct reader *r, struct tables *t, size_t n,
                      uint64_t *numbers)
{
    make_room(&t->ends, n);
    TAKE_TABLE(&t->ends, struct end, UINT32_MAX, x->text = (text_t)v);
    TAKE_TABLE(&t->ends, struct end, UINT64_MAX, set_number(x->address.bytes, v));
    TAKE_TABLE(&t->ends, struct end, UINT64_MAX, set_number(x->address.bytes + 8, v));
    return true;
}

static bool take_manners(struct planes *planes, struct reader *r, struct tables *t, size_t n,
                         uint64_t *numbers)
{
    struct pile *p = &t->manners;

    make_room(p, n);
    TAKE_TABLE(p, struct manner, UINT64_MAX, x->revision = v);
    TAKE_TABLE(p, struct manner, UINT32_MAX, x->process = (text_t)v);
    TAKE_TABLE(p, struct manner, UINT32_MAX, x->script = (text_t)v);
    TAKE_TABLE(p, struct manner, UINT32_MAX, x->user = (text_t)v);
    TAKE_TABLE(p, struct manner, UINT32_MAX, x->rule = (text_t)v);
    TAKE_TABLE(p, struct manner, UINT32_MAX, x->uid = (uint32_t)v);
    TAKE_TABLE(p, struct manner, UINT16_MAX, x->port = (uint16_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->protocol = (uint8_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->direction = (uint8_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->verdict = (uint8_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->layer = (uint8_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->origin = (uint8_t)v);
    TAKE_TABLE(p, struct manner, UINT8_MAX, x->marks = (uint8_t)v);
    return true;
}

static text_t reporter_of(const struct tables *t, const struct edge *e, uint64_t code)
{
    if (code == PART_REPORTER_FROM)
        return tables_end(t, e->from)->text;
    if (code == PART_REPORTER_TO)
        return tables_end(t, e->to)->text;
    return (text_t)(code - PART_REPORTER_OTHER);
}

static bool take_edges(struct planes *planes, struct reader *r, struct tables *t, size_t n,
                       uint64_t *numbers)
{
    struct pile *p = &t->edges;

    make_room(p, n);
    if (n && (!t->ends.n || !t->manners.n))
        return false;
    TAKE_TABLE(p, struct edge, t->ends.n - 1, x->to = (uint32_t)v);
    TAKE_TABLE(p, struct edge, t->ends.n - 1, x->from = (uint32_t)v);
    TAKE_TABLE(p, struct edge, t->manners.n - 1, x->manner = (uint32_t)v);
    TAKE_TABLE(p, struct edge, (uint64_t)UINT32_MAX + PART_REPORTER_OTHER,
               x->reporter = reporter_of(t, x, v));
    return true;
}

/* Searches by halving want the order that was promised. */
static bool sorted(const struct tables *t)
{
    for (uint32_t i = 1; i < t->ends.n; i++)
        if (end_compare(tables_end(t, i - 1), tables_end(t, i)) >= 0)
            return false;
    for (uint32_t i = 1; i < t->edges.n; i++)
        if (tables_edge(t, i - 1)->to > tables_edge(t, i)->to)
            return false;
    return true;
}

static bool take_tables(const struct part *p, struct planes *planes, struct reader *r,
                        struct tables *t)
{
    uint32_t most = p->info.n_edges;
    CLEANUP(free_voidp) uint64_t *numbers = NULL;

    most = p->info.n_ends > most ? p->info.n_ends : most;
    most = p->info.n_manners > most ? p->info.n_manners : most;
    numbers = xcalloc(most, sizeof(*numbers));
    return take_ends(planes, r, t, p->info.n_ends, numbers) &&
           take_manners(planes, r, t, p->info.n_manners, numbers) &&
           take_edges(planes, r, t, p->info.n_edges, numbers) && reader_ok(r) && r->left == 0 &&
           sorted(t);
}

static void tables_putp(struct part_tables **t)
{
    part_tables_put(*t);
}

int part_load_tables(const struct part *p, struct planes *planes, struct part_tables **ret_t)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    CLEANUP(tables_putp) struct part_tables *t = NULL;
    struct reader reader;
    int r;

    r = read_at(p->fd, p->tables_offset, p->tables_size, &bytes);
    if (r < 0)
        return r;
    if (!checksum_fits(bytes.data, bytes.size, 0, p->tables_checksum))
        return -EUCLEAN;
    t = xcalloc(1, sizeof(*t));
    t->refs = 1;
    history_tables_init(&t->tables);
    reader = reader_of(bytes.data, bytes.size);
    if (!take_tables(p, planes, &reader, &t->tables))
        return -EUCLEAN;
    tables_make_index(&t->tables);
    t->size = sizeof(*t) + p->info.n_ends * (sizeof(struct end) + 2 * sizeof(uint32_t)) +
              p->info.n_manners * sizeof(struct manner) +
              p->info.n_edges * (sizeof(struct edge) + sizeof(uint32_t));
    *ret_t = TAKE_PTR(t);
    return 0;
}

void part_columns_init(struct part_columns *c)
{
    uint64_t *all = xcalloc((size_t)6 * PART_BLOCK_ROWS, sizeof(*all));

    *c = (struct part_columns){.edge = all};
    c->first_ms = all + PART_BLOCK_ROWS;
    c->span_ms = c->first_ms + PART_BLOCK_ROWS;
    c->count = c->span_ms + PART_BLOCK_ROWS;
    c->bytes_out = c->count + PART_BLOCK_ROWS;
    c->bytes_in = c->bytes_out + PART_BLOCK_ROWS;
}

void part_columns_done(struct part_columns *c)
{
    free(c->edge);
    buf_done(&c->bytes);
}

int part_read_edges(const struct part *p, size_t block, struct planes *planes,
                    struct part_columns *c)
{
    const struct part_block *b = &p->blocks[block];
    int r = read_at(p->fd, b->offset, b->size, &c->bytes);

    if (r < 0)
        return r;
    if (!checksum_fits(c->bytes.data, c->bytes.size, 0, b->checksum))
        return -EUCLEAN;
    c->n = b->rows;
    c->rest = reader_of(c->bytes.data, c->bytes.size);
    if (!planes_take(planes, &c->rest, c->edge, c->n))
        return -EUCLEAN;
    for (size_t i = 0; i < c->n; i++)
        if (c->edge[i] >= p->info.n_edges)
            return -EUCLEAN;
    return 0;
}

int part_read_rest(const struct part *p, size_t block, struct planes *planes,
                   struct part_columns *c)
{
    const struct part_block *b = &p->blocks[block];

    if (!planes_take(planes, &c->rest, c->first_ms, c->n) ||
        !planes_take(planes, &c->rest, c->span_ms, c->n) ||
        !planes_take(planes, &c->rest, c->count, c->n) ||
        !planes_take(planes, &c->rest, c->bytes_out, c->n) ||
        !planes_take(planes, &c->rest, c->bytes_in, c->n) || c->rest.left)
        return -EUCLEAN;
    for (size_t i = 0; i < c->n; i++)
        if (c->first_ms[i] < b->first_ms || c->first_ms[i] > b->last_ms ||
            c->span_ms[i] > b->last_ms - c->first_ms[i])
            return -EUCLEAN;
    return 0;
}

/* A page's checksum stands behind its last number: eight bytes can always be read. */
static uint64_t number_in_page(const uint8_t *at, uint8_t width)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    return width ? be64toh(v) >> (64 - 8 * width) : 0;
}

int part_total(const struct part *p, uint32_t edge, struct part_totals_page *page,
               struct part_total *ret_total)
{
    size_t number = edge / PART_TOTALS_PAGE, record = 0, n;
    uint64_t fields[PART_TOTALS_WIDTHS], offset;
    const uint8_t *at;
    int r;

    for (size_t i = 0; i < PART_TOTALS_WIDTHS; i++)
        record += p->widths[i];
    if (page->page != number) {
        page->page = SIZE_MAX;
        n = p->info.n_edges - number * PART_TOTALS_PAGE;
        n = n < PART_TOTALS_PAGE ? n : PART_TOTALS_PAGE;
        offset = p->totals_offset + number * (PART_TOTALS_PAGE * record + 8);
        r = read_at(p->fd, offset, n * record + 8, &page->bytes);
        if (r < 0)
            return r;
        at = (const uint8_t *)page->bytes.data + n * record;
        if (!checksum_fits(page->bytes.data, n * record, 0, part_number(at, 8)))
            return -EUCLEAN;
        page->page = number;
    }
    at = (const uint8_t *)page->bytes.data + edge % PART_TOTALS_PAGE * record;
    for (size_t i = 0; i < PART_TOTALS_WIDTHS; at += p->widths[i++])
        fields[i] = number_in_page(at, p->widths[i]);
    *ret_total = (struct part_total){.first_ms = p->info.first_ms + fields[0],
                                     .records = fields[2],
                                     .count = fields[3],
                                     .bytes_out = fields[4],
                                     .bytes_in = fields[5]};
    ret_total->last_ms = ret_total->first_ms + fields[1];
    return 0;
}
