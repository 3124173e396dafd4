/* SPDX-License-Identifier: Apache-2.0 */
/* Records from FILE to ClickHouse, block by block; see clickhouse.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "store/history/clickhouse.h"

enum {
    REST_MS = 2000,
    FIRST_WAIT_MS = 500,
    LONGEST_WAIT_MS = 30000,
    ID_SIZE = 64,
    SIZES_MAX = 1 << 20
};

struct shipping {
    struct clickhouse *c;
    sqlite3 *db;
    bool has_table;   /* Of this run: made, or seen to be there. */
    uint64_t dropped; /* Days before this one are forgotten there, too. */
};

struct block {                 /* What is being sent; in FILE as meta. */
    uint64_t batch, day, last; /* Rows of the day up to this rowid. */
    bool is_tried;             /* It may be there already. */
    struct flow *flows;
    size_t n;
};

/* ---- FILE ---- */

static int put_meta(const struct shipping *s, const char *key, uint64_t value)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *q = NULL;
    int r = sqlite_prepare(s->db, "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", &q);

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(q, 2, (sqlite3_int64)value);
    return history_sqlite_error(sqlite3_step(q));
}

static int execute(const struct shipping *s, const char *sql)
{
    return history_sqlite_error(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

/* Both ends of a transaction around what 'r' says of its middle. */
static int commit(const struct shipping *s, int r)
{
    if (r == 0)
        r = execute(s, "COMMIT");
    if (r < 0)
        (void)execute(s, "ROLLBACK"); /* Perhaps SQLite did it already. */
    return r;
}

static int read_rows(const struct shipping *s, struct block *b, uint64_t up_to)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *q = NULL;
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    size_t room = 0;
    int r;

    buf_printf(&sql,
               "SELECT %s, rowid FROM flows_%" PRIu64 " WHERE rowid <= ?1 ORDER BY rowid LIMIT %d",
               sqlite_columns, b->day, CLICKHOUSE_BLOCK);
    r = sqlite_prepare(s->db, buf_str(&sql), &q);
    if (r < 0)
        return r;
    (void)sqlite3_bind_int64(q, 1, (sqlite3_int64)up_to);
    while ((r = sqlite3_step(q)) == SQLITE_ROW) {
        GROW(b->flows, b->n, room);
        sqlite_row(q, &b->flows[b->n++]);
        b->last = sqlite_number(q, SQLITE_COLUMNS);
    }
    return history_sqlite_error(r);
}

/* 1: there are some.  0: none, or the day was forgotten with its table. */
static int has_rows(const struct shipping *s, uint64_t day)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *table = NULL;
    CLEANUP(sqlite_finalizep) sqlite3_stmt *row = NULL;
    CLEANUP(buf_done) struct buf find = BUF_INIT, sql = BUF_INIT;
    int r;

    buf_printf(&find, "SELECT 1 FROM sqlite_master WHERE name = 'flows_%" PRIu64 "'", day);
    r = sqlite_prepare(s->db, buf_str(&find), &table);
    if (r == 0)
        r = sqlite3_step(table);
    if (r != SQLITE_ROW)
        return r < 0 ? r : history_sqlite_error(r);
    buf_printf(&sql, "SELECT 1 FROM flows_%" PRIu64 " LIMIT 1", day);
    r = sqlite_prepare(s->db, buf_str(&sql), &row);
    if (r == 0)
        r = sqlite3_step(row);
    return r == SQLITE_ROW ? 1 : r < 0 ? r : history_sqlite_error(r);
}

/* 1: a block is to be sent.  It is noted in FILE before anybody hears of it. */
static int next_block(const struct shipping *s, struct block *b)
{
    CLEANUP(days_done) struct days days = {.n = 0};
    int r;

    b->batch = sqlite_meta_number(s->db, "ship_batch");
    if (b->batch) {
        b->day = sqlite_meta_number(s->db, "ship_day");
        b->is_tried = true;
        r = has_rows(s, b->day);
        if (r == 1)
            r = read_rows(s, b, sqlite_meta_number(s->db, "ship_last"));
        return r < 0 ? r : 1;
    }
    r = sqlite_read_days(s->db, &days);
    for (size_t i = 0; r == 0 && i < days.n && !b->n; i++) {
        b->day = days.days[i].day;
        r = has_rows(s, b->day);
        if (r == 1)
            r = read_rows(s, b, INT64_MAX);
    }
    if (r < 0 || !b->n)
        return r;
    b->batch = sqlite_meta_number(s->db, "sent") + 1;
    r = execute(s, "BEGIN IMMEDIATE");
    if (r == 0)
        r = put_meta(s, "ship_batch", b->batch);
    if (r == 0)
        r = put_meta(s, "ship_day", b->day);
    if (r == 0)
        r = put_meta(s, "ship_last", b->last);
    r = commit(s, r);
    return r < 0 ? r : 1;
}

/* It is there: it waits no longer. */
static int forget_block(const struct shipping *s, const struct block *b)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    int r = execute(s, "BEGIN IMMEDIATE");

    buf_printf(&sql, "DELETE FROM flows_%" PRIu64 " WHERE rowid <= %" PRIu64, b->day, b->last);
    if (r == 0)
        r = has_rows(s, b->day); /* Else the day was forgotten meanwhile. */
    if (r == 1)
        r = execute(s, buf_str(&sql));
    if (r == 0)
        r = put_meta(s, "sent", b->batch);
    if (r == 0)
        r = execute(s, "DELETE FROM meta WHERE key IN ('ship_batch', 'ship_day', 'ship_last')");
    return commit(s, r);
}

/* ---- ClickHouse ---- */

static int command(const struct shipping *s, const char *sql)
{
    const struct clickhouse_ask a = {.sql = sql};

    return clickhouse_ask(&s->c->link, &a);
}

static int make_table(struct shipping *s)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT, table = BUF_INIT;
    int r;

    if (s->has_table)
        return 0;
    buf_printf(&sql, "CREATE DATABASE IF NOT EXISTS %s", s->c->link.database);
    r = command(s, buf_str(&sql));
    clickhouse_table(&table, s->c->link.database);
    if (r == 0)
        r = command(s, buf_str(&table));
    s->has_table = r == 0;
    return r;
}

/* Is it there?  -EAGAIN: its INSERT is still running, or nobody knows. */
static int ask_for(const struct shipping *s, const struct block *b, const char *id, bool *ret_there)
{
    CLEANUP(buf_done) struct buf running = BUF_INIT, there = BUF_INIT;
    uint64_t n = 0;
    int r;

    buf_printf(&running, "SELECT count() FROM system.processes WHERE query_id = '%s'", id);
    r = clickhouse_number(&s->c->link, buf_str(&running), &n);
    if (r == 0 && n)
        r = -EAGAIN;
    if (r < 0)
        return r;
    buf_printf(&there,
               "SELECT count() FROM %s.flows WHERE store = %" PRIu64 " AND batch = %" PRIu64
               " AND intDiv(first_ms, 86400000) = %" PRIu64,
               s->c->link.database, s->c->store, b->batch, b->day);
    r = clickhouse_number(&s->c->link, buf_str(&there), &n);
    *ret_there = n == b->n;
    return r == 0 && n && n != b->n ? -EUCLEAN : r;
}

static int send_block(const struct shipping *s, const struct block *b)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT, body = BUF_INIT;
    char id[ID_SIZE];
    struct clickhouse_ask a = {.body = &body, .query_id = id};
    bool there = false;
    int r = 0;

    (void)snprintf(id, sizeof(id), "suimitsu-%016" PRIx64 "-%" PRIu64, s->c->store, b->batch);
    if (!b->n) /* Its day was forgotten. */
        return 0;
    if (b->is_tried)
        r = ask_for(s, b, id, &there);
    if (r < 0 || there)
        return r;
    buf_printf(&sql, "INSERT INTO %s.flows (", s->c->link.database);
    clickhouse_columns(&sql);
    buf_puts(&sql, ", store, batch) FORMAT Native");
    clickhouse_block(&body, b->flows, b->n, s->c->store, b->batch);
    a.sql = buf_str(&sql);
    return clickhouse_ask(&s->c->link, &a);
}

/* Days that FILE has forgotten.  More than one store may share the table: then rows are deleted. */
static int drop_old(struct shipping *s)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT, others = BUF_INIT;
    uint64_t horizon = sqlite_meta_number(s->db, "horizon"), day = 0, n = 0;
    int r = 0;

    while (r == 0 && horizon > s->dropped) {
        buf_reset(&sql);
        buf_reset(&others);
        buf_printf(&sql,
                   "SELECT min(intDiv(first_ms, 86400000)) FROM %s.flows WHERE store = %" PRIu64
                   " AND intDiv(first_ms, 86400000) < %" PRIu64,
                   s->c->link.database, s->c->store, horizon);
        r = clickhouse_number(&s->c->link, buf_str(&sql), &day);
        if (r < 0)
            return r;
        if (!day) {
            s->dropped = horizon;
            return 0;
        }
        buf_printf(&others,
                   "SELECT count() FROM %s.flows WHERE store != %" PRIu64
                   " AND intDiv(first_ms, 86400000) = %" PRIu64,
                   s->c->link.database, s->c->store, day);
        r = clickhouse_number(&s->c->link, buf_str(&others), &n);
        if (r == 0 && n) { /* Somebody else's: they stay, and so do ours; queries leave them out. */
            s->dropped = horizon;
            return 0;
        }
        buf_reset(&sql);
        buf_printf(&sql, "ALTER TABLE %s.flows DROP PARTITION %" PRIu64, s->c->link.database, day);
        if (r == 0)
            r = command(s, buf_str(&sql));
    }
    return r;
}

static int take_sizes(void *user, const void *data, size_t size)
{
    struct buf *b = user;

    if (b->size + size > SIZES_MAX)
        return -EIO;
    buf_add(b, data, size);
    return 0;
}

static void ask_sizes(const struct shipping *s)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT, sizes = BUF_INIT;
    struct buf old;
    struct clickhouse_ask a = {.take = take_sizes, .user = &sizes};

    buf_printf(&sql,
               "SELECT toUInt64(partition), toUInt64(sum(bytes_on_disk)) FROM system.parts"
               " WHERE active AND database = '%s' AND table = 'flows' GROUP BY partition"
               " FORMAT RowBinary",
               s->c->link.database);
    a.sql = buf_str(&sql);
    if (clickhouse_ask(&s->c->link, &a) < 0 || sizes.size % sizeof(struct clickhouse_size))
        return; /* What it said before may do. */
    (void)pthread_mutex_lock(&s->c->lock);
    old = s->c->sizes;
    s->c->sizes = sizes;
    sizes = old; /* Freed behind the lock. */
    (void)pthread_mutex_unlock(&s->c->lock);
}

uint64_t clickhouse_bytes(struct clickhouse *c, uint64_t from_day)
{
    uint64_t bytes = 0;

    if (!c->runs) /* Nobody has asked. */
        return 0;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t at = 0; at < c->sizes.size; at += sizeof(struct clickhouse_size)) {
        struct clickhouse_size one;

        memcpy(&one, c->sizes.data + at, sizeof(one));
        bytes += one.day >= from_day ? one.bytes : 0;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return bytes;
}

/* ---- the thread ---- */

/* 1: there may be more. */
static int ship_one(struct shipping *s)
{
    struct block b = {.n = 0};
    int64_t waited = s->c->in_file;
    int r = make_table(s);

    if (r == 0)
        r = drop_old(s);
    if (r == 0)
        r = next_block(s, &b);
    if (r == 0 && waited > 0) /* What was forgotten before it was sent waits no longer. */
        (void)atomic_compare_exchange_strong(&s->c->in_file, &waited, 0);
    if (r == 1) {
        r = send_block(s, &b);
        if (r == 0)
            r = forget_block(s, &b);
        if (r == 0) {
            s->c->in_file -= (int64_t)b.n;
            r = 1;
        }
    }
    free(b.flows);
    return r;
}

/* False: it ends. */
static bool rest(struct clickhouse *c, int ms, bool idle)
{
    struct timespec until;
    bool ends;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->idle = idle && !c->hurry;
    while (!c->ends && !c->hurry && pthread_cond_timedwait(&c->news, &c->lock, &until) == 0)
        ;
    c->hurry = false;
    ends = c->ends;
    (void)pthread_mutex_unlock(&c->lock);
    return !ends;
}

static void *ship(void *clickhouse)
{
    struct shipping s = {.c = clickhouse};
    int wait_ms = FIRST_WAIT_MS, r;

    do {
        if (!s.db && sqlite3_open_v2(s.c->file, &s.db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
            (void)sqlite3_busy_timeout(s.db, SQLITE_BUSY_MS);
        r = ship_one(&s);
        s.c->error = r < 0 ? r : 0;
        if (r == 0)
            ask_sizes(&s);
        wait_ms = r >= 0                          ? FIRST_WAIT_MS
                  : wait_ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS
                                                  : wait_ms * 2;
    } while (rest(s.c, r > 0 ? 0 : r < 0 ? wait_ms : REST_MS, r <= 0));
    (void)sqlite3_close(s.db);
    return NULL;
}

int clickhouse_ship_start(struct clickhouse *c)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    int r;

    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->news, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)sigfillset(&all); /* Signals are the loop's. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&c->thread, NULL, ship, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->runs = r == 0;
    return -r;
}

void clickhouse_ship_stop(struct clickhouse *c)
{
    if (!c->runs)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->ends = true;
    c->link.stops = true; /* A server that does not answer shall not keep us. */
    (void)pthread_cond_broadcast(&c->news);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->news);
    (void)pthread_mutex_destroy(&c->lock);
    c->runs = false;
}
