/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite.h - a history in one SQLite file: a table a day, for who wants to ask it with SQL
 *
 * Batches wait in memory until a commit, which writes rows, texts, streams and uses of rules
 * in one transaction: all of it is there after a crash, or nothing.  A snapshot is a reading
 * connection of its own in a transaction; what waits is written before. */
#pragma once

#include <stdlib.h>

#include <sqlite3.h>
#include <stdatomic.h>

#include "store/history/kind.h"

enum {
    SQLITE_PENDING_MAX = 262144, /* Records that wait for a commit. */
    SQLITE_BUSY_MS = 5000,
    SQLITE_COLUMNS = 23,
};

static const uint64_t sqlite_day_ms = 86400000;

/* Of a table of flows, in their order everywhere. */
extern const char sqlite_columns[];

struct day {
    uint64_t day, rows, first_ms, last_ms;
};

struct days {
    struct day *days; /* Ascending. */
    size_t n, room;
};

static inline void days_done(struct days *d)
{
    free(d->days);
}

struct clickhouse;

struct sqlite {
    struct clickhouse *away; /* Where the records go from here (clickhouse.h); NULL: they stay. */
    char *path;
    int lock;
    sqlite3 *db;
    struct flow *pending;
    size_t n_pending, pending_room;
    const struct flow *committing; /* Of the commit that is under way, or failed. */
    size_t n_committing;
    uint64_t bytes; /* Of the file, after the last commit. */
    uint32_t texts_saved;
    uint64_t horizon;
    struct days days;
    _Atomic uint64_t damaged;
};

/* sqlite_read.c */
int history_sqlite_error(int code); /* -errno. */
void sqlite_finalizep(sqlite3_stmt **s);
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_s);
uint64_t sqlite_number(sqlite3_stmt *s, int column);
int sqlite_read_days(sqlite3 *db, struct days *d);
int sqlite_read_all(struct history *h, struct sqlite *q);

/* All in one transaction, by any thread; see kind.h. */
void *sqlite_commit_new(struct history *h, const struct streams_news *streams);
int sqlite_commit_write(void *commit);
void sqlite_commit_end(struct history *h, void *commit, bool written);

/* As of kind.h; each day in a transaction of its own. */
void *sqlite_retain_new(struct history *h, uint64_t now_ms);
int sqlite_retain_write(void *retention);
uint64_t sqlite_retain_end(struct history *h, void *retention, bool written);

/* A row of sqlite_columns. */
void sqlite_row(sqlite3_stmt *s, struct flow *ret_f);
/* A number of meta by its key; 0: there is none. */
uint64_t sqlite_meta_number(sqlite3 *db, const char *key);

enum { SQLITE_META = 5 };
extern const char *const sqlite_meta_keys[SQLITE_META];
void sqlite_meta(struct history *h, struct sqlite *q, uint64_t *numbers[SQLITE_META]);

/* sqlite_scan.c */
void *sqlite_snapshot(struct history *h);
void sqlite_snapshot_free(void *snapshot);
int sqlite_scan(const void *snapshot, const struct history_query *q, history_take *take, void *user,
                struct history_progress *progress);
/* One day of it; days that it has; a number of its meta. */
int sqlite_scan_one(const void *snapshot, const struct history_query *q, uint64_t day,
                    history_take *take, void *user, struct history_progress *progress);
int sqlite_snapshot_days(const void *snapshot, const struct days **ret_days);
uint64_t sqlite_snapshot_number(const void *snapshot, const char *key);
