/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of one exporter, one after the other: whatever comes, what is told is valid.
 * The input is pieces, each behind two bytes of length, so that templates meet their data. */
#include <stdlib.h>

#include "base/reader.h"
#include "collect/exports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RATE = 1000, STEP_MS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(exports_freep) struct exports *e = exports_new(RATE);
    struct reader r = reader_of(data, size);
    uint64_t now_ms = UINT64_C(1795300000000);
    struct sighting s;

    while (r.left > 2) {
        size_t piece = reader_be16(&r);
        const void *bytes;

        piece = piece < r.left ? piece : r.left;
        bytes = reader_bytes(&r, piece);
        (void)exports_take(e, EXPORTS_AUTO, bytes, piece, now_ms);
        now_ms += STEP_MS;
        while (exports_next(e, now_ms, &s))
            if (!sighting_is_valid(&s))
                abort();
    }
    if (exports_state(e)->n_templates > EXPORTS_MAX_TEMPLATES)
        abort();
    return 0;
}
