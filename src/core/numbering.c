/* SPDX-License-Identifier: Apache-2.0 */
/* Interned keys, and a bitmap of the numbers taken; see numbering.h. */
#include "core/numbering.h"

#include <stdbool.h>

#include "base/base.h"

enum { WORD_BITS = 64 };

struct wanted {
    const char *key;
    size_t size;
};

static bool is_wanted(const void *context, uint32_t handle, const void *key)
{
    const struct numbering *n = context;
    const struct wanted *w = key;
    const struct numbered *x = &n->items[handle];

    return x->size == w->size && memcmp(x->key, w->key, w->size) == 0;
}

static uint32_t find(const struct numbering *n, const char *key, size_t size, uint32_t hash)
{
    const struct wanted w = {key, size};

    return table_find(&n->index, hash, is_wanted, n, &w);
}

uint32_t numbering_find(const struct numbering *n, const char *key, size_t size)
{
    return find(n, key, size, table_hash(key, size, 0));
}

static uint32_t new_handle(struct numbering *n)
{
    if (n->n_free)
        return n->free_handles[--n->n_free];
    GROW(n->items, n->n, n->room);
    return (uint32_t)n->n++;
}

static void note_change(struct numbering *n, uint32_t handle)
{
    if (n->items[handle].changed)
        return;
    n->items[handle].changed = true;
    GROW(n->changed, n->n_changed, n->changed_room);
    n->changed[n->n_changed++] = handle;
}

static uint32_t add(struct numbering *n, const char *key, size_t size, uint32_t hash)
{
    uint32_t handle = new_handle(n);
    char *copy = xcalloc(size + 1, 1);

    memcpy(copy, key, size);
    n->items[handle] = (struct numbered){.key = copy, .size = (uint32_t)size, .hash = hash};
    table_add(&n->index, hash, handle);
    n->n_keys++;
    note_change(n, handle);
    return handle;
}

uint32_t numbering_use(struct numbering *n, const char *key, size_t size)
{
    uint32_t hash = table_hash(key, size, 0), handle = find(n, key, size, hash);

    if (handle == TABLE_NONE)
        handle = add(n, key, size, hash);
    n->items[handle].uses++;
    return handle;
}

void numbering_use_again(struct numbering *n, uint32_t handle)
{
    n->items[handle].uses++;
}

void numbering_leave(struct numbering *n, uint32_t handle)
{
    if (--n->items[handle].uses == 0)
        note_change(n, handle);
}

static void take(struct numbering *n, uint32_t number)
{
    size_t word = number / WORD_BITS;

    if (word >= n->taken_words) {
        size_t words = word * 2 + 2;

        n->taken = xreallocarray(n->taken, words, sizeof *n->taken);
        memset(n->taken + n->taken_words, 0, (words - n->taken_words) * sizeof *n->taken);
        n->taken_words = words;
    }
    n->taken[word] |= UINT64_C(1) << (number % WORD_BITS);
    if (number > n->largest)
        n->largest = number;
}

static bool is_taken(const struct numbering *n, uint32_t number)
{
    return number / WORD_BITS < n->taken_words &&
           ((n->taken[number / WORD_BITS] >> (number % WORD_BITS)) & 1);
}

static void forget(struct numbering *n, uint32_t handle)
{
    struct numbered *x = &n->items[handle];

    if (x->number)
        n->taken[x->number / WORD_BITS] &= ~(UINT64_C(1) << (x->number % WORD_BITS));
    table_remove(&n->index, x->hash, handle);
    free(x->key);
    *x = (struct numbered){.key = NULL};
    n->n_keys--;
    GROW(n->free_handles, n->n_free, n->free_room);
    n->free_handles[n->n_free++] = handle;
}

/* The smallest number from 'from' on that is free. */
static uint32_t next_free(const struct numbering *n, uint32_t from)
{
    while (from / WORD_BITS < n->taken_words && is_taken(n, from))
        if (from % WORD_BITS == 0 && n->taken[from / WORD_BITS] == UINT64_MAX)
            from += WORD_BITS;
        else
            from++;
    return from;
}

struct fresh {
    const char *key;
    uint32_t handle;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct fresh *)a)->key, ((const struct fresh *)b)->key);
}

size_t numbering_commit(struct numbering *n)
{
    CLEANUP(free_voidp) void *memory = xcalloc(n->n_changed, sizeof(struct fresh));
    struct fresh *fresh = memory;
    size_t n_fresh = 0, n_gone = 0;
    uint32_t number = 1;

    for (size_t i = 0; i < n->n_changed; i++) {
        struct numbered *x = &n->items[n->changed[i]];

        x->changed = false;
        if (!x->uses) {
            n_gone += x->number != 0;
            forget(n, n->changed[i]);
        } else if (!x->number) {
            fresh[n_fresh++] = (struct fresh){x->key, n->changed[i]};
        }
    }
    while (n->largest && !is_taken(n, n->largest))
        n->largest--;
    if (n_fresh > 1)
        qsort(fresh, n_fresh, sizeof *fresh, by_key);
    for (size_t i = 0; i < n_fresh; i++) {
        number = next_free(n, number);
        take(n, number);
        n->items[fresh[i].handle].number = number;
    }
    n->n_changed = 0;
    return n_fresh + n_gone;
}

void numbering_inherit(struct numbering *n, const struct numbering *previous)
{
    for (size_t i = 0; i < previous->n; i++) {
        const struct numbered *x = &previous->items[i];
        uint32_t handle;

        if (!x->key || !x->number)
            continue;
        handle = add(n, x->key, x->size, x->hash);
        n->items[handle].number = x->number;
        take(n, x->number);
    }
}

void numbering_done(struct numbering *n)
{
    for (size_t i = 0; i < n->n; i++)
        free(n->items[i].key);
    free(n->items);
    table_done(&n->index);
    free(n->free_handles);
    free(n->changed);
    free(n->taken);
    *n = (struct numbering){.items = NULL};
}
