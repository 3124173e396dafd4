/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - finding a number by a hash: the index of a table that lies elsewhere
 *
 * Open addressing with linear probing.  The table keeps pairs of (hash, number); what the number
 * stands for, and whether it is the wanted one, its owner knows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table {
    struct table_slot {
        uint32_t hash, number;
    } * slots; /* Number TABLE_NONE: free; TABLE_NONE - 1: was removed. */
    size_t n, n_removed, room;
};

/* FNV-1a, 32 bits, mixed; 'seed' is 0 or the hash of what stands before. */
uint32_t table_hash(const void *data, size_t size, uint32_t seed);

/* The first number with this hash for which same(context, number, key) holds; or TABLE_NONE. */
uint32_t table_find(const struct table *t, uint32_t hash,
                    bool (*same)(const void *context, uint32_t number, const void *key),
                    const void *context, const void *key);

void table_add(struct table *t, uint32_t hash, uint32_t number); /* Which is not in it. */
void table_remove(struct table *t, uint32_t hash, uint32_t number);
void table_done(struct table *t);
