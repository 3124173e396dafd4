/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - the tables of those parts that were asked for lately, and the damage that was met
 *
 * Scans run in several threads at once: everything here is locked. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "store/history/part.h"

enum { CACHE_SIZE_DEFAULT = 512 << 20 };

struct cache {
    pthread_mutex_t lock;
    struct part **parts; /* With tables; references. */
    size_t n, room;
    uint64_t size, max;
    uint64_t random;
    _Atomic uint64_t damaged;
};

void cache_init(struct cache *c, uint64_t max);
void cache_done(struct cache *c);

/* The tables of a part; the caller puts them.  -EUCLEAN, -EIO: counted once a part. */
int cache_tables(struct cache *c, struct part *p, struct planes *planes,
                 struct part_tables **ret_t);

/* Nobody will ask for this part again. */
void cache_forget(struct cache *c, struct part *p);

/* Counts a damaged place of a part once: a block's number, or one of those. */
enum damaged_place { DAMAGED_TABLES = 0, DAMAGED_TOTALS = 1 }; /* Behind the blocks. */
void cache_damaged(struct cache *c, struct part *p, size_t place);
