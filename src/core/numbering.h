/* SPDX-License-Identifier: Apache-2.0 */
/* numbering.h - small numbers for keys, which keep them from one version to the next
 *
 * Numbers begin at 1.  A key that the previous numbering had keeps its number; a new one gets the
 * smallest that is free.  A number whose key went away may be given again at once: programs are
 * swapped whole, so no enforcer mixes two versions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct numbering {
    struct numbered {
        const char *key; /* Owned by the arena. */
        uint32_t number;
    } * items; /* Sorted by key. */
    size_t n;
    uint32_t largest; /* 0: none. */
};

/* Numbers 'keys' (any order, repeats allowed; borrowed for as long as the numbering lives). */
struct numbering numbering_make(struct arena *arena, const struct numbering *previous,
                                const char *const keys[], size_t n);

/* 0: no such key. */
uint32_t numbering_find(const struct numbering *n, const char *key);
