/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h - turning a full memory into parts, and many parts into one, in a thread of its own
 *
 * Sorting and packing half a million records takes a good tenth of a second, which the loop that
 * appends cannot wait for.  The thread owns its job until 'done': it reads the memory, which no
 * longer changes, writes new files, replaces the manifest, and removes the journal that is then in
 * the parts.  It shares nothing else but the roll-up: the one who started it waits, or looks at
 * 'done', and then takes the result over. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/history/manifest.h"
#include "store/history/memory.h"
#include "store/history/merge.h"
#include "store/history/rollup.h"

struct seal {
    int folder;                          /* Borrowed. */
    char *path;                          /* Of the folder. */
    struct memory *memory;               /* A reference. */
    struct part *merge[MERGE_PARTS_MAX]; /* References: parts that are to become one. */
    size_t n_merge;
    struct manifest manifest; /* As it is, then as it was written. */
    struct buf tail;
    uint64_t journals_from; /* To the manifest's generation: then in the parts. */
    struct cache *cache;    /* These two are shared, and have locks. */
    struct rollup *rollup;

    struct part **made; /* New parts, open. */
    size_t n_made, made_room;
    int error; /* 0: all of it is durable. */
    _Atomic bool done;
    pthread_t thread;
};

/* 'tail' is taken over. */
struct seal *seal_new(int folder, const char *path, struct memory *memory,
                      const struct manifest *manifest, struct buf *tail);
void seal_free(struct seal *s); /* Which runs no more. */

/* Starts the thread; seal_wait() ends it. */
void seal_start(struct seal *s);
void seal_wait(struct seal *s);
