/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that double in size, chained; see arena.h. */
#include "base/arena.h"

#include <stdalign.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct block {
    struct block *next;
    size_t used, room;
    alignas(max_align_t) char data[];
};

struct arena {
    struct block *blocks; /* The newest first. */
    size_t next_room;
};

struct arena *arena_new(void)
{
    struct arena *a = xcalloc(1, sizeof *a);

    a->next_room = FIRST_BLOCK;
    return a;
}

void arena_free(struct arena *a)
{
    struct block *next;

    if (!a)
        return;
    for (struct block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes, unit = alignof(max_align_t);
    struct block *b = a->blocks;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
        abort();
    bytes = (bytes + unit - 1) / unit * unit;
    if (!b || b->room - b->used < bytes) {
        size_t room = bytes > a->next_room ? bytes : a->next_room;

        b = xcalloc(1, sizeof *b + room);
        b->room = room;
        b->next = a->blocks;
        a->blocks = b;
        if (a->next_room < LARGEST_BLOCK)
            a->next_room *= 2;
    }
    p = b->data + b->used;
    b->used += bytes;
    return p;
}

char *arena_text(struct arena *a, const char *s, size_t len)
{
    char *p = arena_alloc(a, len + 1, 1);

    if (len)
        memcpy(p, s, len);
    return p;
}

void *arena_copy(struct arena *a, const void *data, size_t n, size_t size)
{
    void *p;

    if (!n)
        return NULL;
    p = arena_alloc(a, n, size);
    memcpy(p, data, n * size);
    return p;
}
