/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - text and bytes that are being built
 *
 * A growing array with a terminating NUL behind its last byte, so that 'data' is always a string.
 * The owner calls buf_done(), or takes the memory with buf_take().  A buffer that strangers can
 * make grow is given a limit by its owner, who checks 'size' before adding. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct buf {
    char *data;  /* Owned; NULL while empty. */
    size_t size; /* Bytes used, without the NUL. */
    size_t room;
};

#define BUF_INIT ((struct buf){.data = NULL})

void buf_done(struct buf *b);

/* The text so far, never NULL.  Borrowed until the next call. */
const char *buf_str(const struct buf *b);

/* Hands the memory to the caller (free()), and leaves an empty buffer.  Never NULL. */
char *buf_take(struct buf *b);

void buf_reset(struct buf *b);
void buf_reserve(struct buf *b, size_t more); /* So much will be added: it moves once, now. */
void buf_add(struct buf *b, const void *data, size_t size);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Adds at most 'max' bytes of foreign text so that it cannot do harm on a terminal or in a log:
 * control bytes, invalid UTF-8 and the Unicode characters that reorder or hide text
 * (U+200B-200F, U+202A-202E, U+2060-2069, U+FEFF) become \xNN; longer text ends in "...". */
void buf_escape(struct buf *b, const char *s, size_t len, size_t max);

/* Big-endian numbers, for wire formats. */
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);

void buf_varint(struct buf *b, uint64_t v); /* What reader_varint() reads. */
