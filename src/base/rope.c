/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rope.h"

#include <assert.h>

struct rope_block {
    size_t n_holders;
    struct buf bytes;
};

struct rope_block *rope_block_new(struct buf *bytes)
{
    struct rope_block *b = xcalloc(1, sizeof(*b));

    b->n_holders = 1;
    b->bytes = *bytes;
    *bytes = BUF_INIT;
    return b;
}

struct rope_block *rope_block_hold(struct rope_block *b)
{
    b->n_holders++;
    return b;
}

void rope_block_drop(struct rope_block *b)
{
    if (!b || --b->n_holders)
        return;
    buf_done(&b->bytes);
    free(b);
}

struct buf rope_block_reuse(struct rope_block *b)
{
    struct buf bytes = BUF_INIT;

    if (b && b->n_holders == 1) {
        bytes = b->bytes;
        b->bytes = BUF_INIT;
        buf_reset(&bytes);
    }
    rope_block_drop(b);
    return bytes;
}

const void *rope_block_data(const struct rope_block *b)
{
    return b->bytes.data;
}

size_t rope_block_size(const struct rope_block *b)
{
    return b->bytes.size;
}

void rope_add(struct rope *r, struct rope_block *b, size_t at, size_t size)
{
    assert(at <= b->bytes.size && size <= b->bytes.size - at);
    if (!size)
        return;
    GROW(r->pieces, r->n, r->room);
    r->pieces[r->n++] = (struct rope_piece){rope_block_hold(b), at, size};
    r->size += size;
}

void rope_done(struct rope *r)
{
    for (size_t i = 0; i < r->n; i++)
        rope_block_drop(r->pieces[i].block);
    free(r->pieces);
    *r = (struct rope){.n = 0};
}

void rope_copy(const struct rope *r, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++)
        buf_add(out, (const char *)rope_block_data(r->pieces[i].block) + r->pieces[i].at,
                r->pieces[i].size);
}
