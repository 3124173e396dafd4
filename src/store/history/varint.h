/* SPDX-License-Identifier: Apache-2.0 */
/* varint.h - numbers in as few bytes as they need: seven bits a byte, the lowest first */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"

enum { VARINT_MAX = 10 }; /* Bytes. */

/* Writes to 'to', which has room for VARINT_MAX; returns the byte behind. */
static inline unsigned char *varint_put(unsigned char *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    *to++ = (unsigned char)v;
    return to;
}

/* A number over 64 bits fails the reader, as one that is cut off does. */
static inline uint64_t varint_take(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (!r->left)
            break;
        byte = *r->p;
        r->p++;
        r->left--;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    r->failed = true;
    r->left = 0;
    return 0;
}

/* Small differences of either sign as small numbers. */
static inline uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (0 - (difference >> 63)); /* All ones for a negative one. */
}

static inline uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ -(v & 1);
}
