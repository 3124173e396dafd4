/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/planes.h"

#include <zstd.h>

enum { RAW, ZSTD }; /* Kinds of a plane. */
enum { LEVEL = 1, N_PLANES = 8 };

struct planes {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    unsigned char *plane;
    char *packed;
    size_t plane_room, packed_room;
};

struct planes *planes_new(void)
{
    struct planes *p = xcalloc(1, sizeof(*p));

    p->compressor = ZSTD_createCCtx();
    p->decompressor = ZSTD_createDCtx();
    if (!p->compressor || !p->decompressor)
        abort();
    return p;
}

void planes_free(struct planes *p)
{
    if (!p)
        return;
    (void)ZSTD_freeCCtx(p->compressor);
    (void)ZSTD_freeDCtx(p->decompressor);
    free(p->plane);
    free(p->packed);
    free(p);
}

static void make_room(struct planes *p, size_t n)
{
    size_t packed = ZSTD_compressBound(n);

    if (n > p->plane_room) {
        p->plane = xreallocarray(p->plane, n, 1);
        p->plane_room = n;
    }
    if (packed > p->packed_room) {
        p->packed = xreallocarray(p->packed, packed, 1);
        p->packed_room = packed;
    }
}

static void put_plane(struct planes *p, struct buf *out, size_t n)
{
    size_t size = ZSTD_compressCCtx(p->compressor, p->packed, p->packed_room, p->plane, n, LEVEL);
    bool noise = ZSTD_isError(size) || size >= n - n / 32;

    buf_u8(out, noise ? RAW : ZSTD);
    buf_be32(out, (uint32_t)(noise ? n : size));
    buf_add(out, noise ? (const void *)p->plane : p->packed, noise ? n : size);
}

/* A constant that all numbers (or differences) have at least, and all bits of what is over it. */
static uint64_t base_of(enum planes_transform transform, const uint64_t *values, size_t n,
                        uint64_t *ret_bits)
{
    uint64_t base = n ? UINT64_MAX : 0, bits = 0, before = 0;

    if (transform == PLANES_DELTA)
        base = n ? values[0] : 0;
    for (size_t i = 0; transform == PLANES_PLAIN && i < n; i++)
        base = values[i] < base ? values[i] : base;
    before = base;
    for (size_t i = 0; i < n; i++) {
        bits |= values[i] - (transform == PLANES_DELTA ? before : base);
        before = values[i];
    }
    *ret_bits = bits;
    return base;
}

void planes_put(struct planes *p, struct buf *out, enum planes_transform transform,
                const uint64_t *values, size_t n)
{
    uint64_t bits, base = base_of(transform, values, n, &bits);
    unsigned n_planes = 0;

    while (n_planes < N_PLANES && bits >> 8 * n_planes)
        n_planes++;
    make_room(p, n);
    buf_u8(out, (uint8_t)transform);
    buf_be64(out, base);
    buf_u8(out, (uint8_t)n_planes);
    for (unsigned plane = 0; plane < n_planes; plane++) {
        uint64_t before = base;

        for (size_t i = 0; i < n; i++) {
            p->plane[i] = (unsigned char)((values[i] - before) >> 8 * plane);
            if (transform == PLANES_DELTA)
                before = values[i];
        }
        put_plane(p, out, n);
    }
}

/* The bytes of a plane: borrowed, or unpacked to p->plane. */
static const unsigned char *take_plane(struct planes *p, struct reader *r, size_t n)
{
    uint8_t kind = reader_u8(r);
    uint32_t size = reader_be32(r);
    const void *bytes = reader_bytes(r, size);

    if (!bytes)
        return NULL;
    if (kind == RAW)
        return size == n ? bytes : NULL;
    if (kind != ZSTD)
        return NULL;
    return ZSTD_decompressDCtx(p->decompressor, p->plane, n, bytes, size) == n ? p->plane : NULL;
}

static void add_plane(uint64_t *values, const unsigned char *plane, size_t n, unsigned shift)
{
    if (!shift)
        for (size_t i = 0; i < n; i++)
            values[i] = plane[i];
    else
        for (size_t i = 0; i < n; i++)
            values[i] |= (uint64_t)plane[i] << shift;
}

bool planes_take(struct planes *p, struct reader *r, uint64_t *values, size_t n)
{
    uint8_t transform = reader_u8(r);
    uint64_t base = reader_be64(r);
    uint8_t n_planes = reader_u8(r);

    if (!reader_ok(r) || transform > PLANES_DELTA || n_planes > N_PLANES || n > PLANES_MAX_N)
        return false;
    make_room(p, n);
    if (!n_planes)
        memset(values, 0, n * sizeof(*values));
    for (unsigned i = 0; i < n_planes; i++) {
        const unsigned char *plane = take_plane(p, r, n);

        if (!plane)
            return false;
        add_plane(values, plane, n, 8 * i);
    }
    for (size_t i = 0; i < n; i++) {
        values[i] += base;
        if (transform == PLANES_DELTA)
            base = values[i];
    }
    return true;
}

bool planes_skip(struct reader *r)
{
    (void)reader_bytes(r, 9); /* Transform and base. */
    for (unsigned n = reader_u8(r); n > 0 && reader_ok(r); n--) {
        (void)reader_u8(r);
        (void)reader_bytes(r, reader_be32(r));
    }
    return reader_ok(r);
}
