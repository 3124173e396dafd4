/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h - a history in a folder: a memory with its journal, and parts
 *
 *     lock  manifest  texts  horizon  journal-<generation>  <day>-<id>.part
 *
 * Appending makes a frame for the journal and adds to the memory; a commit writes texts, then the
 * journal.  A commit that finds the memory full also begins the next memory and journal; when it is
 * durable the full one is sealed (seal.h) while the next one fills; until the seal is durable, its
 * journal stays.  What a crash leaves is the manifest, the parts that it names, and
 * journals from its generation on: opening reads those back into the memory. */
#pragma once

#include "store/history/cache.h"
#include "store/history/journal.h"
#include "store/history/kind.h"
#include "store/history/manifest.h"
#include "store/history/match.h"
#include "store/history/memory.h"
#include "store/history/rollup.h"
#include "store/history/seal.h"

enum {
    COLUMNS_SEAL_ROWS = 1 << 19,    /* Then a memory is sealed; */
    COLUMNS_ROWS_MAX = 3 << 19,     /* and when that cannot be done, this many are kept. */
    COLUMNS_PENDING_MAX = 8 << 20,  /* Bytes of the journal that wait for history_sync(). */
    COLUMNS_JOURNAL_MAX = 64 << 20, /* Bytes; then it is sealed, too: batches may be empty. */
    COLUMNS_RETRY_MS = 5000,        /* Between attempts to seal on a disk that refuses. */
};

struct columns {
    char *path;
    int folder, lock, journal, texts; /* Files; -1: not open. */
    bool read_only;
    uint64_t journal_size; /* Durable bytes. */
    struct buf pending;
    uint64_t texts_size;
    uint32_t texts_saved;

    struct memory *active, *sealing;
    bool rotates;            /* 'sealing' waits for the commit that is under way. */
    bool settles;            /* history_columns_settle(): what is there is to be sealed. */
    struct seal *seal;       /* Runs. */
    uint64_t retry_ms;       /* Monotonic: when a failed seal is tried again. */
    int seal_error;          /* Of the last attempt. */
    struct buf sealing_tail; /* For the next attempt. */

    uint64_t generation; /* Of the journal that is written. */
    uint64_t sealed;     /* First generation that is not in parts. */
    uint64_t next_id;
    uint64_t horizon; /* Days before this one are forgotten. */
    struct part **parts;
    size_t n_parts, parts_room;
    uint64_t changes; /* Of the set of parts. */
    struct rollup *rollup;
    uint64_t damaged; /* Places met when it was opened. */
    struct cache cache;
};

struct frames_found;

/* recover.c: reads back all that is there. */
int columns_recover(struct history *h, struct columns *c, const char **ret_what);
/* Makes a journal of this generation. */
int columns_new_journal(const struct columns *c, uint64_t generation, int *ret_fd);
void columns_take_texts(struct texts *t, const void *data, size_t size,
                        struct frames_found *ret_found);

/* columns_commit.c: as in kind.h.  Full: the next commit begins another memory and journal. */
bool columns_are_full(const struct columns *c);
bool columns_commit_is_due(const struct history *h);
void *columns_commit_new(struct history *h, const struct streams_news *streams);
int columns_commit_write(void *commit);
void columns_commit_end(struct history *h, void *commit, bool written);

/* columns.c: takes over what the sealing thread did, and begins what can be begun. */
void columns_poll(struct columns *c);

/* columns.c: for tests and tools: everything is in parts when it returns 0. */
int history_columns_settle(struct history *h);

/* scan.c */
struct columns_snapshot {
    struct cache *cache;
    struct rollup *rollup;
    uint64_t changes; /* Of the set of parts, until then. */
    struct part **parts;
    size_t n_parts;
    struct columns_memory {
        struct memory *memory;
        size_t n_rows;
        struct match_extent extent;
    } memories[2];
};

int columns_scan(const void *snapshot, const struct history_query *q, history_take *take,
                 void *user, struct history_progress *progress);
int columns_edges(const void *snapshot, const struct history_query *q, history_take *take,
                  void *user, struct history_progress *progress);
