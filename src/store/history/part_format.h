/* SPDX-License-Identifier: Apache-2.0 */
/* part_format.h - what the writer and the reader of a part agree in */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "store/history/part.h"

enum {
    PART_MAGIC_SIZE = 8,
    PART_VERSION = 1,
    PART_TRAILER_SIZE = 8 + 4 + PART_MAGIC_SIZE, /* Footer's checksum and size, magic. */
    PART_FOOTER_SIZE_MAX = 64 + 64 * PART_BLOCKS_MAX,
    PART_REPORTER_FROM = 0,
    PART_REPORTER_TO = 1,
    PART_REPORTER_OTHER = 2, /* And the text's number. */
};

static const char part_magic[PART_MAGIC_SIZE] = {'S', 'M', 'P', 'A', 'R', 'T', '1', '\n'};

struct part_footer {
    uint64_t tables_offset, tables_size, tables_checksum, totals_offset, totals_size;
    uint8_t widths[PART_TOTALS_WIDTHS];
};

/* A big-endian number of 'size' bytes. */
static inline uint64_t part_number(const uint8_t *bytes, size_t size)
{
    uint64_t v = 0;

    for (size_t i = 0; i < size; i++)
        v = v << 8 | bytes[i];
    return v;
}
