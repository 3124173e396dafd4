/* SPDX-License-Identifier: Apache-2.0 */
/* numbering.h - small numbers for keys, which keep them from one version to the next
 *
 * What
 * ====
 * A key that is used has a handle, given at once, for our own tables; and a number, given by
 * numbering_commit(), for the tables of enforcers.  Numbers begin at 1.  A key keeps its number for
 * as long as it is used; new keys get the smallest free numbers in the order of their bytes, so
 * that the same keys after the same history have the same numbers, whatever the order in which they
 * came.  A number that became free may be given again by the same commit: programs are swapped
 * whole, so no enforcer mixes two versions.
 *
 * Uses are counted: the first numbering_use() of a key makes it, a key without uses goes with the
 * next commit.  Until then its handle, number and text can still be asked. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

struct numbering {
    struct numbered {
        char *key; /* Terminated; NULL: a free handle. */
        uint32_t size, hash, uses;
        uint32_t number;  /* 0: none yet. */
        uint32_t changed; /* It is among 'changed'. */
    } * items;            /* By handle. */
    size_t n, room;       /* Handles ever given. */
    size_t n_keys;
    uint32_t largest; /* Number; 0: none. */
    struct table index;
    uint32_t *free_handles;
    size_t n_free, free_room;
    uint32_t *changed; /* Handles whose uses came from or went to 0. */
    size_t n_changed, changed_room;
    uint64_t *taken; /* One bit for each number. */
    size_t taken_words;
};

uint32_t numbering_use(struct numbering *n, const char *key, size_t size);
void numbering_use_again(struct numbering *n, uint32_t handle);
void numbering_leave(struct numbering *n, uint32_t handle);

/* TABLE_NONE: no such key. */
uint32_t numbering_find(const struct numbering *n, const char *key, size_t size);

/* Forgets unused keys, numbers new ones.  Returns how many came or went. */
size_t numbering_commit(struct numbering *n);

/* For an empty numbering: what of 'previous' is used before the next commit keeps its number. */
void numbering_inherit(struct numbering *n, const struct numbering *previous);

void numbering_done(struct numbering *n);

static inline uint32_t numbering_number(const struct numbering *n, uint32_t handle)
{
    return n->items[handle].number;
}

static inline const char *numbering_key(const struct numbering *n, uint32_t handle)
{
    return n->items[handle].key;
}
