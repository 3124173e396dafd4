/* SPDX-License-Identifier: Apache-2.0 */
/* A doubling array; see buf.h. */
#include "base/buf.h"

#include <stdio.h>

#include "base/utf8.h"

void buf_done(struct buf *b)
{
    free(b->data);
    *b = BUF_INIT;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *data = b->data ? b->data : xcalloc(1, 1);

    *b = BUF_INIT;
    return data;
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    if (b->data)
        b->data[0] = 0;
}

static char *reserve(struct buf *b, size_t more)
{
    if (b->room - b->size < more + 1) {
        size_t room = b->room ? b->room : 64;

        while (room - b->size < more + 1)
            room *= 2;
        b->data = xreallocarray(b->data, room, 1);
        b->room = room;
    }
    return b->data + b->size;
}

void buf_reserve(struct buf *b, size_t more)
{
    (void)reserve(b, more);
}

void buf_add(struct buf *b, const void *data, size_t size)
{
    char *to = reserve(b, size);

    if (size)
        memcpy(to, data, size);
    b->size += size;
    b->data[b->size] = 0;
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return; /* Only wide characters can fail, and we use none. */
    (void)vsnprintf(reserve(b, (size_t)len), (size_t)len + 1, format, args);
    b->size += (size_t)len;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_escape(struct buf *b, const char *s, size_t len, size_t max)
{
    size_t shown = len < max ? len : max, i = 0;

    while (i < shown) {
        size_t n = utf8_printable(s + i, shown - i);

        if (n) {
            buf_add(b, s + i, n);
            i += n;
        } else {
            buf_printf(b, "\\x%02x", (unsigned char)s[i]);
            i++;
        }
    }
    if (shown < len)
        buf_puts(b, "...");
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}

void buf_be16(struct buf *b, uint16_t v)
{
    buf_u8(b, (uint8_t)(v >> 8));
    buf_u8(b, (uint8_t)v);
}

void buf_be32(struct buf *b, uint32_t v)
{
    buf_be16(b, (uint16_t)(v >> 16));
    buf_be16(b, (uint16_t)v);
}

void buf_be64(struct buf *b, uint64_t v)
{
    buf_be32(b, (uint32_t)(v >> 32));
    buf_be32(b, (uint32_t)v);
}

void buf_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    for (; v > 0x7f; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    buf_add(b, bytes, n);
}
