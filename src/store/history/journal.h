/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h - batches that are not in parts yet, each a frame (frames.h)
 *
 *     texts known by then: 4  stream's length: 1  stream  epoch: 8  sequence: 8  lost: 8  rows
 *
 * A frame is complete in itself: one that is damaged costs its own records only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/history.h"

enum { JOURNAL_NAME_SIZE = 32, JOURNAL_SIZE_MAX = 1 << 30 };

/* "journal-0000000000000007".  Returns 'name'. */
const char *journal_name(uint64_t generation, char name[JOURNAL_NAME_SIZE]);

/* 'durable': see frames.h. */
void journal_put(struct buf *out, const struct history_batch *b, uint32_t n_texts,
                 uint64_t durable);

struct journal_batch {
    struct history_batch batch; /* Points into this. */
    char stream[HISTORY_STREAM_SIZE];
    struct flow *flows;
    uint32_t n_texts;
};

/* False: not a batch.  The caller frees 'flows' in any case. */
bool journal_take(const void *payload, size_t size, struct journal_batch *ret_b);
