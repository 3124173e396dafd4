/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted keys and a bitmap of what is taken; see numbering.h. */
#include "core/numbering.h"

#include <stdbool.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_key(const void *key, const void *item)
{
    return strcmp(key, ((const struct numbered *)item)->key);
}

uint32_t numbering_find(const struct numbering *n, const char *key)
{
    const struct numbered *found =
        n->n ? bsearch(key, n->items, n->n, sizeof *n->items, by_key) : NULL;

    return found ? found->number : 0;
}

struct numbering numbering_make(struct arena *arena, const struct numbering *previous,
                                const char *const keys[], size_t n)
{
    CLEANUP(free_voidp) void *sorted_memory = xcalloc(n, sizeof(char *));
    CLEANUP(free_voidp) void *taken_memory = xcalloc(n + 1, sizeof(bool));
    const char **sorted = sorted_memory;
    bool *taken = taken_memory; /* Numbers above n are never needed. */
    struct numbering to = {.items = arena_alloc(arena, n, sizeof *to.items)};
    uint32_t next = 1;

    for (size_t i = 0; i < n; i++)
        sorted[i] = keys[i];
    if (n > 1)
        qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; i++) {
        uint32_t old;

        if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0)
            continue;
        old = previous ? numbering_find(previous, sorted[i]) : 0;
        if (old > n)
            old = 0;
        if (old)
            taken[old] = true;
        to.items[to.n++] = (struct numbered){sorted[i], old};
    }
    for (size_t i = 0; i < to.n; i++) {
        struct numbered *x = &to.items[i];

        if (!x->number) {
            while (taken[next])
                next++;
            x->number = next++;
        }
        if (x->number > to.largest)
            to.largest = x->number;
    }
    return to;
}
