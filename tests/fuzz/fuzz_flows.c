/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a batch of flows: whatever decodes points at what is there, encodes, and decodes
 * again alike. */
#include <stdlib.h>

#include "wire/flows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct flow_batch *b)
{
    for (size_t i = 0; i < b->n_records; i++) {
        const struct flow_record *r = &b->records[i];

        if (r->kind >= b->n_kinds || r->remote >= b->n_addresses ||
            b->kinds[r->kind].local >= b->n_addresses || r->last_ms < r->first_ms)
            abort();
        if (strlen(flow_batch_text(b, b->kinds[r->kind].process)) >= FLOWS_TEXT_SIZE)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL}, twin = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    const char *what;

    if (flow_batch_decode(data, size, &b, &what) < 0)
        return 0;
    look(&b);
    flow_batch_encode(&b, &out);
    if (out.size > flow_batch_size_max(&b) ||
        flow_batch_decode(out.data, out.size, &twin, &what) < 0 || twin.n_records != b.n_records)
        abort();
    return 0;
}
