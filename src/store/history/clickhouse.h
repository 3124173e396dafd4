/* SPDX-License-Identifier: Apache-2.0 */
/* clickhouse.h - a history whose records lie in ClickHouse, for those who outgrow one machine
 *
 *     clickhouse:http://[USER@]HOST[:8123]/DATABASE#FILE
 *
 * What
 * ====
 * FILE is an SQLite history (sqlite.h) and stays the keeper of texts, streams, uses of rules and
 * days.  Records are written there first, in the transaction that makes them durable; so a batch is
 * acknowledged whatever ClickHouse does.  A thread takes them from there to ClickHouse, in blocks
 * of one day, and removes them in the transaction that notes the block as sent.  While ClickHouse
 * is away they wait, CLICKHOUSE_WAITING_MAX at most (then history_append() says -ENOSPC, and
 * reporters keep theirs), and are caught up afterwards.
 *
 * Exactly once
 * ============
 *     meta ship_batch, ship_day, ship_last --> INSERT (query id: store and batch) --> rows removed,
 *     written before the first attempt                                                sent = batch
 *
 * A block has a number, and its rows carry it.  It is one INSERT in the format Native, which states
 * the number of rows before them: what is cut off is refused as a whole; and a block of one day is
 * one part, which is there or not.  After an answer that did not come, or a crash, ClickHouse is
 * asked first: is an INSERT of that query id still running; are rows of that number there?  Tables
 * that are not replicated have no deduplication of their own.
 *
 * Asking
 * ======
 * A snapshot is a transaction of FILE, which has the last number sent and the rows that are not:
 * exactly the others are asked of ClickHouse, a day at a time, with wait_end_of_query, so that an
 * answer is whole or an error.  Edges are added up there.  Queries contain numbers and hexadecimal
 * digits only; a name never goes there.  Without ClickHouse a scan ends with -EHOSTUNREACH (-EIO:
 * it refuses; -ETIMEDOUT).
 *
 * Limits: age forgets partitions of ClickHouse as well.  max_bytes counts FILE and what ClickHouse
 * told last of its partitions from the horizon on, of all stores that share the table.
 *
 * The thread has a connection of its own to FILE, shares nothing with the others but counters, and
 * is told by a condition that there is something to do, or that it shall end. */
#pragma once

#include <curl/curl.h>
#include <pthread.h>

#include "base/buf.h"
#include "store/history/sqlite.h"

enum {
    CLICKHOUSE_BLOCK = 32768, /* Removing them from FILE keeps its writer waiting. */
    CLICKHOUSE_WAITING_MAX = 1 << 24,
    CLICKHOUSE_NAME = 64,
};

/* ---- clickhouse_link.c: one server ---- */

struct clickhouse_link {
    char *url; /* "http://host:8123/", without user and database. */
    char user[CLICKHOUSE_NAME], database[CLICKHOUSE_NAME];
    char *secret;       /* Of the user; NULL: none. */
    _Atomic bool stops; /* Whatever is asked ends with -ECANCELED, within a second or two. */
};

/* 'where' up to '#'.  -EINVAL: not of that form.  -errno: the file of the secret. */
int clickhouse_link_init(struct clickhouse_link *l, const char *where, size_t len,
                         const char *password_file);
void clickhouse_link_done(struct clickhouse_link *l);

/* Takes pieces of an answer; what it returns other than 0 ends it. */
typedef int clickhouse_take(void *user, const void *data, size_t size);

struct clickhouse_ask {
    const char *sql;
    const struct buf *body; /* Of an INSERT; NULL: none. */
    const char *query_id;   /* NULL: any. */
    clickhouse_take *take;  /* NULL: the answer does not matter. */
    void *user;
    _Atomic bool *cancel; /* NULL: nobody can. */
};
/* 0, what 'take' returned, -EHOSTUNREACH, -ETIMEDOUT, -EIO, -ECANCELED. */
int clickhouse_ask(const struct clickhouse_link *l, const struct clickhouse_ask *a);

/* One number.  Errors as above. */
int clickhouse_number(const struct clickhouse_link *l, const char *sql, uint64_t *ret);

/* ---- clickhouse_rows.c: records as ClickHouse's columns ---- */

void clickhouse_table(struct buf *sql, const char *database); /* CREATE TABLE */
void clickhouse_columns(struct buf *sql);                     /* "first_ms, last_ms, ..." */

/* The same of records that agree in clickhouse_keys(), added up: "min(first_ms), ..." */
void clickhouse_sums(struct buf *sql, bool all_revisions);
void clickhouse_keys(struct buf *sql, bool all_revisions); /* "source, destination, ..." */

/* A block in the format Native, with the numbers of its store and of itself. */
void clickhouse_block(struct buf *out, const struct flow *flows, size_t n, uint64_t store,
                      uint64_t batch);

enum { CLICKHOUSE_ROW = 120 }; /* Bytes of a record in the format RowBinary. */
void clickhouse_row(const unsigned char bytes[CLICKHOUSE_ROW], struct flow *ret_f);

/* " AND port = 443" and so on. */
void clickhouse_conditions(struct buf *sql, const struct history_query *q);

/* ---- clickhouse_ship.c: the thread ---- */

struct clickhouse_size { /* A partition's, little-endian, as it comes. */
    uint64_t day, bytes;
};

struct clickhouse {
    struct clickhouse_link link;
    char *file;
    uint64_t store; /* Random: whose rows those in the table are. */
    bool runs;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool ends, hurry, idle;  /* Under the lock; idle: nothing waits. */
    _Atomic int64_t in_file; /* Records that wait there; below 0 while some that have just been
                              * written were sent before they were counted. */
    struct buf sizes;        /* Of its partitions, as it said last; under the lock. */
    _Atomic int error;       /* Of the last attempt. */
};

int clickhouse_ship_start(struct clickhouse *c); /* -errno of the thread. */
void clickhouse_ship_stop(struct clickhouse *c);

/* What ClickHouse has of this day and later ones. */
uint64_t clickhouse_bytes(struct clickhouse *c, uint64_t from_day);

/* For tests: tries at once. */
void history_clickhouse_hurry(struct history *h);
/* For tests: waits until all is there.  The error of the last attempt if that fails. */
int history_clickhouse_settle(struct history *h);
