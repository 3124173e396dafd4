/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor with a sticky error; see reader.h. */
#include "base/reader.h"

const void *reader_bytes(struct reader *r, size_t size)
{
    const void *p = r->p;

    if (r->failed || size > r->left) {
        r->failed = true;
        return NULL;
    }
    r->p += size;
    r->left -= size;
    return p;
}

static uint64_t number(struct reader *r, size_t size)
{
    const unsigned char *p = reader_bytes(r, size);
    uint64_t v = 0;

    for (size_t i = 0; p && i < size; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)number(r, 1);
}

uint16_t reader_be16(struct reader *r)
{
    return (uint16_t)number(r, 2);
}

uint32_t reader_be32(struct reader *r)
{
    return (uint32_t)number(r, 4);
}

uint64_t reader_be64(struct reader *r)
{
    return number(r, 8);
}

uint64_t reader_long_varint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);

        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return r->failed ? 0 : v;
    }
    r->failed = true;
    return 0;
}
