/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/journal.h"

#include <stdio.h>

#include "store/history/frames.h"
#include "store/history/rows.h"

const char *journal_name(uint64_t generation, char name[JOURNAL_NAME_SIZE])
{
    (void)snprintf(name, JOURNAL_NAME_SIZE, "journal-%016llx", (unsigned long long)generation);
    return name;
}

void journal_put(struct buf *out, const struct history_batch *b, uint32_t n_texts, uint64_t durable)
{
    size_t from = frames_begin(out);

    buf_be32(out, n_texts);
    buf_u8(out, (uint8_t)strlen(b->stream));
    buf_puts(out, b->stream);
    buf_be64(out, b->epoch);
    buf_be64(out, b->sequence);
    buf_be64(out, b->lost);
    rows_put(out, b->flows, b->n_flows);
    frames_end(out, from, durable);
}

bool journal_take(const void *payload, size_t size, struct journal_batch *ret_b)
{
    struct reader r = reader_of(payload, size);
    const void *stream;
    size_t len;

    *ret_b = (struct journal_batch){.n_texts = reader_be32(&r)};
    len = reader_u8(&r);
    stream = reader_bytes(&r, len);
    if (!stream || !len || len >= sizeof(ret_b->stream) || memchr(stream, 0, len))
        return false;
    memcpy(ret_b->stream, stream, len);
    ret_b->batch.stream = ret_b->stream;
    ret_b->batch.epoch = reader_be64(&r);
    ret_b->batch.sequence = reader_be64(&r);
    ret_b->batch.lost = reader_be64(&r);
    if (!rows_take(&r, HISTORY_BATCH_MAX, &ret_b->flows, &ret_b->batch.n_flows))
        return false;
    ret_b->batch.flows = ret_b->flows;
    return reader_ok(&r) && !r.left && ret_b->batch.sequence && ret_b->n_texts <= HISTORY_TEXTS_MAX;
}
