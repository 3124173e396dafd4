/* SPDX-License-Identifier: Apache-2.0 */
/* Flow logs of clouds: whatever a file holds, what is told is valid, and however it comes in
 * pieces, it says the same.  The first byte chooses the format. */
#include <stdlib.h>

#include "collect/cloud.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_file(const uint8_t *data, size_t size, enum cloud_format format, size_t step)
{
    CLEANUP(cloud_freep) struct cloud *c = cloud_new(format);
    const struct cloud_counts *n = cloud_counts(c);
    struct sighting s;
    uint32_t teller;
    uint64_t sum = 0;

    for (size_t at = 0; at < size; at += step)
        cloud_feed(c, (const char *)data + at, size - at < step ? size - at : step);
    cloud_end(c);
    while (cloud_next(c, &s, &teller)) {
        if (!sighting_is_valid(&s) || teller >= cloud_tellers(c) ||
            strlen(cloud_teller(c, teller)) >= CLOUD_TELLER_SIZE)
            abort();
        sum = sum * 31 + s.bytes_out + s.port + teller;
    }
    return sum + n->told + 7 * n->malformed + 11 * n->other + 13 * n->no_data + 17 * n->skip_data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum cloud_format format;

    if (!size)
        return 0;
    format = (enum cloud_format)(data[0] % CLOUD_FORMATS);
    if (read_file(data + 1, size - 1, format, size) != read_file(data + 1, size - 1, format, 7))
        abort();
    return 0;
}
