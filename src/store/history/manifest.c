/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/manifest.h"

#include <errno.h>
#include <stdio.h>

#include "base/date.h"
#include "sys/sealed.h"

enum { VERSION = 1 };

void manifest_done(struct manifest *m)
{
    free(m->parts);
    *m = (struct manifest){.n_parts = 0};
}

void manifest_add(struct manifest *m, const struct part_info *info)
{
    GROW(m->parts, m->n_parts, m->room);
    m->parts[m->n_parts++] = *info;
}

const char *part_name(const struct part_info *info, char name[PART_NAME_SIZE])
{
    char day[DATE_TEXT_SIZE];

    (void)snprintf(name, PART_NAME_SIZE, "%.10s-%016llx.part",
                   date_format((int64_t)info->day * DATE_DAY_S, day), (unsigned long long)info->id);
    return name;
}

void manifest_put_tail(const struct history *h, struct buf *tail)
{
    buf_be64(tail, h->counters.duplicates);
    buf_be64(tail, h->counters.lost_batches);
    buf_be64(tail, h->counters.lost_records);
    buf_be64(tail, h->texts.n_other);
    buf_be32(tail, h->texts.n);
    streams_put(&h->streams, tail);
    uses_write(h->uses, tail);
}

static void put_info(struct buf *b, const struct part_info *i)
{
    buf_be64(b, i->day);
    buf_be64(b, i->id);
    buf_be64(b, i->rows);
    buf_be64(b, i->size);
    buf_be64(b, i->first_ms);
    buf_be64(b, i->last_ms);
    buf_be32(b, i->n_ends);
    buf_be32(b, i->n_manners);
    buf_be32(b, i->n_edges);
    buf_be32(b, i->n_blocks);
}

static void take_info(struct reader *r, struct part_info *i)
{
    i->day = reader_be64(r);
    i->id = reader_be64(r);
    i->rows = reader_be64(r);
    i->size = reader_be64(r);
    i->first_ms = reader_be64(r);
    i->last_ms = reader_be64(r);
    i->n_ends = reader_be32(r);
    i->n_manners = reader_be32(r);
    i->n_edges = reader_be32(r);
    i->n_blocks = reader_be32(r);
}

int manifest_write(const char *path, const struct manifest *m, const struct buf *tail)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_be32(&b, VERSION);
    buf_be64(&b, m->generation);
    buf_be64(&b, m->next_id);
    buf_be32(&b, (uint32_t)m->n_parts);
    for (size_t i = 0; i < m->n_parts; i++)
        put_info(&b, &m->parts[i]);
    buf_add(&b, tail->data, tail->size);
    return sealed_write(path, b.data, b.size);
}

static bool take_parts(struct reader *r, struct manifest *m)
{
    uint32_t n;

    if (reader_be32(r) != VERSION)
        return false;
    m->generation = reader_be64(r);
    m->next_id = reader_be64(r);
    n = reader_be32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        struct part_info info;

        take_info(r, &info);
        manifest_add(m, &info);
    }
    return reader_ok(r);
}

int manifest_read(const char *path, struct manifest *m, struct history *h)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct reader reader;
    int r = sealed_read(path, MANIFEST_SIZE_MAX, &b);

    if (r < 0)
        return r;
    reader = reader_of(b.data, b.size);
    if (!take_parts(&reader, m))
        return -EBADMSG;
    h->counters.duplicates = reader_be64(&reader);
    h->counters.lost_batches = reader_be64(&reader);
    h->counters.lost_records = reader_be64(&reader);
    h->texts.n_other = reader_be64(&reader);
    texts_pad(&h->texts, reader_be32(&reader));
    if (!streams_load(&h->streams, &reader) || !uses_load(h->uses, &reader) || reader.left)
        return -EBADMSG;
    return 0;
}
