/* SPDX-License-Identifier: Apache-2.0 */
/* A journal that a crash or a bad disk left: whatever it holds, what is taken from it are whole
 * batches, and what we write of them we read again. */
#include <stdlib.h>

#include "store/history/frames.h"
#include "store/history/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *user, const void *payload, size_t size)
{
    CLEANUP(buf_done) struct buf again = BUF_INIT;
    struct journal_batch b, other;
    bool fits = journal_take(payload, size, &b);
    size_t *n = user;

    if (fits) {
        *n += b.batch.n_flows;
        journal_put(&again, &b.batch, b.n_texts, 0);
        if (!journal_take(again.data + FRAME_HEAD, again.size - FRAME_HEAD, &other) ||
            other.batch.n_flows != b.batch.n_flows ||
            memcmp(other.flows, b.flows, b.batch.n_flows * sizeof(*b.flows)) != 0)
            abort();
        free(other.flows);
    }
    free(b.flows);
    return fits ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frames_found found;
    size_t n = 0;

    frames_read(data, size, take, &n, &found);
    if (found.end > size)
        abort();
    (void)take(&n, data, size); /* And as a single batch, without a frame. */
    return 0;
}
