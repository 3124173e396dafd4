/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - every flow record, and the questions that are asked about them
 *
 * What
 * ====
 * Records come in batches.  A batch belongs to a stream (one reporter's spool) and has a number in
 * it, which rises by one; a batch that is already known is counted as a duplicate and changes
 * nothing, so a reporter may send again whatever he has no answer for.  history_append() may keep
 * it in memory; what history_sync() returned 0 for survives kill -9, whole or not at all.
 *
 * Behind the interface stand column segments in a folder (history/columns.h), SQLite, and
 * ClickHouse (history/clickhouse.h).  All pass the same tests.
 *
 * Errors of every call that touches the disk
 * ==========================================
 * -ENOSPC: full.  -EROFS.  -EUCLEAN: damaged; what is whole goes on being answered, and
 * history_state() counts what is not.  -EIO.
 * After an error of history_sync() nothing of what it was to save is lost from memory; it may be
 * called again.
 *
 * With 'apart' history_append() says -EBUSY when the disk is far behind, and a question to SQLite
 * or ClickHouse is about what was committed.
 *
 * Rules of use: one thread appends.  Scans run on a snapshot (history_snapshot()), which may be
 * given to another thread and stays valid while the history goes on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "core/flow.h"

enum {
    HISTORY_BATCH_MAX = 65536,   /* Records. */
    HISTORY_TEXT_SIZE = 1024,    /* Bytes of one text, NUL included; longer ones are cut. */
    HISTORY_TEXTS_MAX = 4 << 20, /* Then new texts become "(other)", which is counted. */
    HISTORY_STREAM_SIZE = 128,
};

struct history;
struct history_commit;
struct history_retention;

struct history_options {
    uint64_t max_age_ms;       /* 0: for ever.  Whole days are forgotten. */
    uint64_t max_bytes;        /* 0: no limit.  The oldest goes first. */
    const char *password_file; /* For ClickHouse; NULL: none.  Read by history_open(). */
    bool read_only;            /* Beside the process that has it: what is on the disk now. */
    bool apart;                /* Commits are written by another thread (history_commit_begin());
                                * nothing else waits for the disk. */
    uint64_t cache_size; /* Of tables that questions need, in bytes; 0: 512 MiB. About 4 bytes a
                          * record keep all of them at hand. */
};

/* 'where': a folder ("/var/lib/suimitsu/history"), "sqlite:FILE", or
 * "clickhouse:http://[USER@]HOST[:PORT]/DATABASE#FILE" (history/clickhouse.h).  -EBUSY: another
 * process has it. -EINVAL: no such kind.  '*ret_what' (static) says more. */
int history_open(const char *where, const struct history_options *options, struct history **ret_h,
                 const char **ret_what);
void history_free(struct history *h); /* Without history_sync(). */
DEFINE_CLEANUP(struct history, history_free)

/* The number of a text, which stays the same for as long as a record uses it. */
text_t history_text(struct history *h, const char *text, size_t len);
/* The number of a text that is there; 0: no record can have it. */
text_t history_find_text(const struct history *h, const char *text, size_t len);

/* "" for unknown ones.  May be called by any thread. */
const char *history_text_of(const struct history *h, text_t number);

struct history_batch {
    const char *stream; /* "pc1" or "edge1/plc": who spooled it. */
    uint64_t epoch;     /* Of the spool: random, another after the spool was lost. */
    uint64_t sequence;  /* From 1, by one. */
    const struct flow *flows;
    size_t n_flows;
    uint64_t lost; /* Records that the reporter had to drop before this batch, since the last. */
};

/* 0: taken, or known already ('*ret_known').  A number above the next one is taken too: what is
 * missing between is counted as lost batches of the stream, once.  -EINVAL: not a batch (no stream,
 * sequence 0, a record that ends before it begins or lasts over a day).  -E2BIG: too many records.
 * -EUSERS: too many streams.  -EROFS: read-only.  Errors of the disk: nothing was taken; later
 * calls may be tried. */
int history_append(struct history *h, const struct history_batch *b, bool *ret_known);

/* Everything appended is on the disk.  Not while a commit is under way. */
int history_sync(struct history *h);

/* The same in three steps, of which only the second waits for the disk, and may be taken by another
 * thread: what was appended is set aside, is written, and is durable from then on.  Meanwhile
 * batches are appended and questions asked; one commit is under way at a time, and no
 * history_retain().  NULL: nothing is to be written. */
struct history_commit *history_commit_begin(struct history *h);
void history_commit_write(struct history_commit *c);
/* What writing it came to.  After an error the next commit is the same again, and what came since
 * waits for the one behind it. */
int history_commit_end(struct history *h, struct history_commit *c);

/* The last number of a stream that is durable; 0: none of this epoch. */
uint64_t history_acknowledged(const struct history *h, const char *stream, uint64_t epoch);

struct history_query {
    uint64_t since_ms, until_ms; /* last_ms >= since_ms and first_ms < until_ms; 0, 0: all. */
    text_t endpoint;             /* At either end; 0: any.  With 'from' or 'to': that end. */
    text_t from, to;
    const struct address *address;        /* At either end; NULL: any. */
    text_t rule, process, user, reporter; /* 0: any. */
    int port, protocol, verdict, origin;  /* -1: any. */
    bool newest_first;
    bool all_revisions; /* history_edges(): what agrees in all but the revision is added up, too;
                         * the revision is 0. Quicker over long windows. */
};

#define HISTORY_QUERY_ALL                                                                          \
    ((struct history_query){.port = -1, .protocol = -1, .verdict = -1, .origin = -1})

struct history_snapshot;
struct history_snapshot *history_snapshot(struct history *h);
void history_snapshot_free(struct history_snapshot *s);
DEFINE_CLEANUP(struct history_snapshot, history_snapshot_free)

struct history_progress { /* Filled by a scan while it runs; others may look, and cancel. */
    _Atomic uint64_t rows_read, rows_total; /* Of those blocks that the index did not exclude. */
    _Atomic bool cancel;
};

typedef int history_take(void *user, const struct flow *flows, size_t n);

/* Gives matching records in blocks, in time order of the blocks (records of a block: any order);
 * 'take' may return a number other than 0 to end the scan, which then returns it.  'progress' may
 * be NULL.  Damaged blocks are left out and counted.  -ECANCELED: by 'progress'. */
int history_scan(const struct history_snapshot *s, const struct history_query *q,
                 history_take *take, void *user, struct history_progress *progress);

/* Who talked to whom: as history_scan(), with the records of the window that agree in all but
 * times, counts and bytes added up - for maps and lists of peers, which this answers much quicker,
 * as whole days need not be read row by row.  first_ms and last_ms are those of the sum. The same
 * edge may be given more than once (of several files): the taker adds up. */
int history_edges(const struct history_snapshot *s, const struct history_query *q,
                  history_take *take, void *user, struct history_progress *progress);

struct history_use { /* Of a rule. */
    uint64_t first_ms, last_ms;
    uint64_t count; /* Of all reporters' records. */
};
/* Outlives the records: retention does not forget it.  -ENOENT: never. */
int history_rule_use(const struct history_snapshot *s, text_t rule, struct history_use *ret_use);

/* The same of now, for the thread that appends. */
int history_use(const struct history *h, text_t rule, struct history_use *ret_use);

/* Forgets what is over the limits of the options: whole days, the oldest first.  Records that come
 * later for a forgotten day are counted as lost. */
int history_retain(struct history *h, uint64_t now_ms, uint64_t *ret_forgotten);

/* The same in three steps, as of a commit: only the second waits for the disk.  Meanwhile batches
 * are appended and questions asked, but no commit begins.  NULL: nothing is to be forgotten. */
struct history_retention *history_retain_begin(struct history *h, uint64_t now_ms);
void history_retain_write(struct history_retention *r);
int history_retain_end(struct history *h, struct history_retention *r, uint64_t *ret_forgotten);

struct history_state {
    uint64_t rows, bytes, oldest_ms, newest_ms;
    uint64_t duplicates, lost_batches, lost_records, damaged_blocks, other_texts;
    uint64_t waiting; /* Records that have not come to where they are kept (ClickHouse); durable. */
    int error;        /* Why not, -errno; 0: it goes well. */
};
void history_state(const struct history *h, struct history_state *ret_state);
