/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/streams.h"

#include <stdio.h>

#include "store/history.h"

void streams_done(struct streams *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->streams[i].name);
    free(s->streams);
    free(s->dirty);
    table_done(&s->index);
    *s = (struct streams){.n = 0};
}

static bool same(const void *context, uint32_t number, const void *key)
{
    const struct streams *s = context;

    return strcmp(s->streams[number].name, key) == 0;
}

static struct stream *find(const struct streams *s, const char *name)
{
    uint32_t at = table_find(&s->index, table_hash(name, strlen(name), 0), same, s, name);

    return at == TABLE_NONE ? NULL : &s->streams[at];
}

static struct stream_epoch *epoch_of(struct stream *s, uint64_t epoch)
{
    for (size_t i = 0; s && i < STREAM_EPOCHS; i++)
        if (s->epochs[i].epoch == epoch && s->epochs[i].taken)
            return &s->epochs[i];
    return NULL;
}

enum stream_answer streams_ask(const struct streams *s, const char *name, uint64_t epoch,
                               uint64_t sequence, uint64_t *ret_missing)
{
    struct stream *stream = find(s, name);
    const struct stream_epoch *e = epoch_of(stream, epoch);
    uint64_t taken = e ? e->taken : 0;

    if (!stream && s->n >= STREAMS_MAX)
        return STREAM_FULL;
    if (sequence <= taken)
        return STREAM_KNOWN;
    *ret_missing = sequence - taken - 1;
    return STREAM_NEW;
}

static struct stream *add(struct streams *s, const char *name)
{
    GROW(s->streams, s->n, s->room);
    s->streams[s->n] = (struct stream){.name = xstrdup(name)};
    table_add(&s->index, table_hash(name, strlen(name), 0), (uint32_t)s->n);
    return &s->streams[s->n++];
}

void streams_take(struct streams *s, const char *name, uint64_t epoch, uint64_t sequence)
{
    struct stream *stream = find(s, name);
    struct stream_epoch *e = epoch_of(stream, epoch);

    if (!stream)
        stream = add(s, name);
    if (!e) {
        e = &stream->epochs[stream->next++ % STREAM_EPOCHS];
        *e = (struct stream_epoch){.epoch = epoch};
    }
    e->taken = sequence;
    if (!stream->dirty) {
        GROW(s->dirty, s->n_dirty, s->dirty_room);
        s->dirty[s->n_dirty++] = (uint32_t)(stream - s->streams);
        stream->dirty = true;
    }
}

void streams_synced(struct streams *s)
{
    for (size_t i = 0; i < s->n_dirty; i++) {
        struct stream *stream = &s->streams[s->dirty[i]];

        for (size_t j = 0; j < STREAM_EPOCHS; j++)
            stream->epochs[j].durable = stream->epochs[j].taken;
        stream->dirty = false;
    }
    s->n_dirty = 0;
}

void streams_take_news(struct streams *s, struct streams_news *ret_news)
{
    *ret_news = (struct streams_news){.n = s->n_dirty};
    ret_news->streams = xcalloc(s->n_dirty, sizeof(*ret_news->streams));
    for (size_t i = 0; i < s->n_dirty; i++) {
        struct stream *stream = &s->streams[s->dirty[i]];
        struct streams_new *n = &ret_news->streams[i];

        *n =
            (struct streams_new){.number = s->dirty[i], .name = stream->name, .next = stream->next};
        memcpy(n->epochs, stream->epochs, sizeof(n->epochs));
        stream->dirty = false;
    }
    s->n_dirty = 0;
}

void streams_news_done(struct streams_news *n)
{
    free(n->streams);
    *n = (struct streams_news){.n = 0};
}

void streams_news_durable(struct streams *s, const struct streams_news *n)
{
    for (size_t i = 0; i < n->n; i++) {
        struct stream *stream = &s->streams[n->streams[i].number];

        for (size_t j = 0; j < STREAM_EPOCHS; j++)
            if (stream->epochs[j].epoch == n->streams[i].epochs[j].epoch)
                stream->epochs[j].durable = n->streams[i].epochs[j].taken;
    }
}

uint64_t streams_durable(const struct streams *s, const char *name, uint64_t epoch)
{
    const struct stream_epoch *e = epoch_of(find(s, name), epoch);

    return e ? e->durable : 0;
}

void streams_set(struct streams *s, const char *name, unsigned place, uint64_t epoch,
                 uint64_t taken, unsigned next)
{
    struct stream *stream;

    if (!name || strlen(name) >= HISTORY_STREAM_SIZE || place >= STREAM_EPOCHS)
        return;
    stream = find(s, name);
    if (!stream)
        stream = add(s, name);
    stream->epochs[place] = (struct stream_epoch){epoch, taken, taken};
    stream->next = next % STREAM_EPOCHS;
}

void streams_put(const struct streams *s, struct buf *out)
{
    buf_be32(out, (uint32_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct stream *stream = &s->streams[i];

        buf_u8(out, (uint8_t)strlen(stream->name));
        buf_puts(out, stream->name);
        buf_u8(out, (uint8_t)(stream->next % STREAM_EPOCHS));
        for (size_t j = 0; j < STREAM_EPOCHS; j++) {
            buf_be64(out, stream->epochs[j].epoch);
            buf_be64(out, stream->epochs[j].taken);
        }
    }
}

bool streams_load(struct streams *s, struct reader *r)
{
    uint32_t n = reader_be32(r);

    for (uint32_t i = 0; i < n && reader_ok(r) && i < STREAMS_MAX; i++) {
        char name[HISTORY_STREAM_SIZE] = "";
        size_t len = reader_u8(r);
        const void *bytes = reader_bytes(r, len);
        struct stream *stream;

        if (!bytes || len >= sizeof(name))
            return false;
        memcpy(name, bytes, len);
        if (find(s, name))
            return false;
        stream = add(s, name);
        stream->next = reader_u8(r) % STREAM_EPOCHS;
        for (size_t j = 0; j < STREAM_EPOCHS; j++) {
            struct stream_epoch *e = &stream->epochs[j];

            e->epoch = reader_be64(r);
            e->taken = e->durable = reader_be64(r);
        }
    }
    return reader_ok(r) && n <= STREAMS_MAX;
}
