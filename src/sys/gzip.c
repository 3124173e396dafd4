/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/gzip.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    PIECE = 1 << 16,
    WINDOW = 15 + 16, /* zlib.h: the largest, and gzip only. */
    MEMORY = 9,       /* zlib.h: the most, 400 kB for a moment. */
};

void gzip_pack(const void *data, size_t size, enum gzip_effort effort, struct buf *to)
{
    z_stream z = {.zalloc = Z_NULL};
    CLEANUP(free_voidp) unsigned char *out = NULL;
    int level = effort == GZIP_SMALL ? Z_BEST_COMPRESSION : Z_DEFAULT_COMPRESSION;
    uLong room;

    assert(size <= GZIP_MAX);
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* Out of memory. */
    room = deflateBound(&z, size);
    out = xcalloc(room, 1);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort(); /* Our own bug: deflateBound() is enough. */
    buf_add(to, out, z.total_out);
    (void)deflateEnd(&z);
}

static int inflate_all(z_stream *z, size_t max, struct buf *to)
{
    unsigned char piece[PIECE];
    size_t before = to->size;
    int r;

    do {
        z->next_out = piece;
        z->avail_out = sizeof(piece);
        r = inflate(z, Z_NO_FLUSH);
        if (r == Z_MEM_ERROR)
            abort(); /* Out of memory. */
        if (r != Z_OK && r != Z_STREAM_END)
            return -EBADMSG; /* Z_BUF_ERROR: it ends too soon. */
        if (to->size - before + (sizeof(piece) - z->avail_out) > max)
            return -E2BIG;
        buf_add(to, piece, sizeof(piece) - z->avail_out);
    } while (r != Z_STREAM_END);
    return z->avail_in ? -EBADMSG : 0;
}

int gzip_unpack(const void *data, size_t size, size_t max, struct buf *to)
{
    z_stream z = {.zalloc = Z_NULL};
    int r;

    if (size > GZIP_MAX)
        return -E2BIG;
    if (inflateInit2(&z, WINDOW) != Z_OK)
        abort(); /* Out of memory. */
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    r = inflate_all(&z, max, to);
    (void)inflateEnd(&z);
    return r;
}
