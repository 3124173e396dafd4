/* SPDX-License-Identifier: Apache-2.0 */
/* kind.h - what is common to all kinds of history, and what each has to do
 *
 * history.c checks batches, knows streams, texts and uses of rules, and hands the rest to one of
 * the kinds. */
#pragma once

#include "store/history.h"
#include "store/history/streams.h"
#include "store/history/texts.h"
#include "store/history/uses.h"

struct history_kind {
    /* Fills h->backend, and what was saved of texts, streams, uses and counters.  -ESTALE:
     * read-only, and files changed meanwhile; it is to be tried again, unless h->last_try. */
    int (*open)(struct history *h, const char *where, const char **ret_what);
    void (*free)(void *backend);

    int (*append)(struct history *h, const struct history_batch *b); /* A new, valid batch. */

    /* history_commit_begin(): sets aside all that was appended, with its texts and 'streams', which
     * stay as they are.  commit_write(), in any thread, looks at nothing else that changes, and may
     * be called again after an error.  commit_end(): it was written, or is let go of. */
    bool (*commit_is_due)(const struct history *h); /* Also without new batches; NULL: never. */
    void *(*commit_new)(struct history *h, const struct streams_news *streams);
    int (*commit_write)(void *commit);
    void (*commit_end)(struct history *h, void *commit, bool written);

    void *(*snapshot)(struct history *h);
    void (*snapshot_free)(void *s);
    int (*scan)(const void *s, const struct history_query *q, history_take *take, void *user,
                struct history_progress *progress);
    int (*edges)(const void *s, const struct history_query *q, history_take *take, void *user,
                 struct history_progress *progress); /* NULL: as scan(). */

    /* history_retain_begin(): what is to be forgotten.  retain_write(), in any thread, looks at
     * nothing else that changes meanwhile.  retain_end(): it was written, or what was not stays. */
    void *(*retain_new)(struct history *h, uint64_t now_ms); /* NULL: nothing is to be done. */
    int (*retain_write)(void *retention);
    uint64_t (*retain_end)(struct history *h, void *retention, bool written); /* Forgotten. */
    void (*state)(const struct history *h, struct history_state *state);
};

struct history {
    const struct history_kind *kind;
    void *backend;
    struct history_options options;
    struct texts texts;
    struct streams streams;
    struct uses *uses;
    struct history_state counters; /* Duplicates, lost_*. */
    bool dirty;                    /* Something was appended since the last commit began. */
    bool commits;                  /* One is under way. */
    struct history_commit *failed; /* Is the next one. */
    bool last_try;                 /* Of reading beside a writer: take what there is. */
};

/* Counts a batch that is in: for kinds that read batches back when they open. */
void history_count(struct history *h, const struct history_batch *b);

extern const struct history_kind history_clickhouse;
extern const struct history_kind history_columns;
extern const struct history_kind history_sqlite;
