/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h - how far each reporter's batches are known: each is counted once
 *
 * A stream may come with another epoch (its spool was lost); the last few epochs are remembered, so
 * that a late batch of an old one is not counted again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"
#include "base/table.h"

enum { STREAM_EPOCHS = 4, STREAMS_MAX = 1 << 18 };

struct stream {
    char *name;
    struct stream_epoch {
        uint64_t epoch, taken, durable; /* Numbers of the last batch; taken 0: free. */
    } epochs[STREAM_EPOCHS];
    unsigned next; /* The epoch's place that is given away next. */
    bool dirty;    /* Something was taken since streams_take_news(). */
};

struct streams {
    struct stream *streams;
    size_t n, room;
    struct table index;
    uint32_t *dirty;
    size_t n_dirty, dirty_room;
};

void streams_done(struct streams *s);

enum stream_answer { STREAM_NEW, STREAM_KNOWN, STREAM_FULL };

/* Is this batch to be taken?  '*ret_missing': how many numbers before it never came. */
enum stream_answer streams_ask(const struct streams *s, const char *name, uint64_t epoch,
                               uint64_t sequence, uint64_t *ret_missing);

/* It was. */
void streams_take(struct streams *s, const char *name, uint64_t epoch, uint64_t sequence);

/* All that was taken is durable. */
void streams_synced(struct streams *s);

struct streams_news { /* What was taken and is to be made durable; by itself. */
    struct streams_new {
        uint32_t number;
        const char *name; /* The stream's, which stays where it is. */
        struct stream_epoch epochs[STREAM_EPOCHS];
        unsigned next;
    } * streams;
    size_t n;
};

/* What was taken since the last time. */
void streams_take_news(struct streams *s, struct streams_news *ret_news);
void streams_news_done(struct streams_news *n);
void streams_news_durable(struct streams *s, const struct streams_news *n); /* They are. */

uint64_t streams_durable(const struct streams *s, const char *name, uint64_t epoch);

/* Sets what was read back; nonsense is left out. */
void streams_set(struct streams *s, const char *name, unsigned place, uint64_t epoch,
                 uint64_t taken, unsigned next);

/* All that was taken, as bytes and back. */
void streams_put(const struct streams *s, struct buf *out);
bool streams_load(struct streams *s, struct reader *r);
