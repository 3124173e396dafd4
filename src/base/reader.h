/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - bytes from strangers, read through a cursor
 *
 * No pointer arithmetic on input anywhere else.  The first read past the end makes the error stick:
 * that read and all later ones yield zeros, and the caller checks reader_ok() once at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const unsigned char *p; /* Borrowed. */
    size_t left;
    bool failed;
};

static inline struct reader reader_of(const void *data, size_t size)
{
    return (struct reader){.p = data, .left = size};
}

static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}

/* Borrows the next 'size' bytes; NULL and a sticky error when there are fewer. */
const void *reader_bytes(struct reader *r, size_t size);

/* Big-endian numbers. */
uint8_t reader_u8(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);

/* LEB128, as protocol buffers have it: seven bits a byte, the lowest first.  More than 64 bits are
 * an error. */
uint64_t reader_long_varint(struct reader *r);
static inline uint64_t reader_varint(struct reader *r)
{
    if (r->failed || !r->left || *r->p > 0x7f)
        return reader_long_varint(r);
    r->left--;
    return *r->p++;
}
