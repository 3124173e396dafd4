/* SPDX-License-Identifier: Apache-2.0 */
/* rollup.h - what is known of each edge over many parts, in memory, all revisions of the policy
 * together
 *
 * A peer is as many edges as there are parts that saw it, times the revisions of those days: who
 * talked to a busy server, ever, would be asked of every part.  Here they are one.  It begins
 * empty, and grows by questions about all that is kept that do not care for revisions
 * (history_query.all_revisions): the first adds the parts, at most ROLLUP_STEP edges of them, and
 * later ones the rest, and what was sealed since.  Who never asks pays nothing.
 *
 * It is exact because it knows the numbers of its parts: a question takes it only if all of them
 * are in its snapshot, and asks those that are not in it as before.  A part that was merged from
 * parts that are in it is in it; a part that was forgotten empties it.  Nothing of it is on the
 * disk.
 *
 * Locking: one question at a time has it; another does without.  Nobody waits but the sealing
 * thread. */
#pragma once

#include <pthread.h>

#include "base/table.h"
#include "store/history/cache.h"
#include "store/history/tables.h"

enum {
    ROLLUP_EDGES_MAX = 1 << 21, /* With more there is none; about 90 bytes each. */
    ROLLUP_STEP = 1 << 22,      /* Edges of parts that one question adds, but one part always. */
    ROLLUP_WORTH = 2,           /* Parts: fewer that are missing are asked as they are. */
};

struct rollup {
    pthread_mutex_t lock;
    uint64_t generation; /* Of the newest snapshot that had it. */
    bool full;           /* ROLLUP_EDGES_MAX, once: from then on there is none. */
    uint64_t n_emptied;  /* Times. */
    uint64_t *ids;       /* Parts in it, ascending. */
    size_t n_ids, ids_room;
    uint64_t first_ms, last_ms, rows;
    struct tables tables; /* Manners are of revision 0. */
    struct tables_chains edges_of;
    struct table ends, manners, edges;
    struct pile totals; /* By edge: struct part_total. */
};

struct rollup_parts { /* Of a snapshot. */
    struct part *const *parts;
    size_t n;
    uint64_t generation; /* Of the set of parts: rises with each change. */
    struct cache *cache;
    struct planes *planes;
    unsigned char *in; /* By part, filled: it is in the roll-up. */
};

struct rollup *rollup_new(void);
void rollup_free(struct rollup *r);

/* For a question; with 'adds' parts that are missing are added before.  False: it is of no use now,
 * and not taken. */
bool rollup_take(struct rollup *r, const struct rollup_parts *p, bool adds);
void rollup_give_back(struct rollup *r);

/* The sums of an edge. */
static inline const struct part_total *rollup_total(const struct rollup *r, uint32_t edge)
{
    return pile_at(&r->totals, edge);
}

/* These parts become one: if some of them are in it, the others are added. */
void rollup_complete(struct rollup *r, struct cache *cache, struct part *const *parts, size_t n);
