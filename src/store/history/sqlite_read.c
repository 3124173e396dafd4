/* SPDX-License-Identifier: Apache-2.0 */
/* What an SQLite file of a history holds, read back; and what all of sqlite*.c use. */
#include <errno.h>

#include "store/history/sqlite.h"
#include "store/sqlite_error.h"

const char sqlite_columns[] =
    "first_ms, last_ms, source, destination, count, bytes_out, bytes_in, revision, from_, to_,"
    " reporter, process, script, user, rule, uid, port, protocol, direction, verdict, layer,"
    " origin, enforced";

int history_sqlite_error(int code)
{
    int r = sqlite_error(code);

    return r == -EBUSY ? -EIO : r; /* Busy is a history whose disk is far behind: history.h. */
}

void sqlite_finalizep(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s); /* Repeats the error of the step before. */
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_s)
{
    return history_sqlite_error(sqlite3_prepare_v2(db, sql, -1, ret_s, NULL));
}

uint64_t sqlite_number(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}

uint64_t sqlite_meta_number(sqlite3 *db, const char *key)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;

    if (sqlite_prepare(db, "SELECT value FROM meta WHERE key = ?1", &s) < 0)
        return 0;
    (void)sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    return sqlite3_step(s) == SQLITE_ROW ? sqlite_number(s, 0) : 0;
}

static int read_texts(sqlite3 *db, struct texts *t)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(db, "SELECT number, text FROM texts ORDER BY number", &s);

    if (r < 0)
        return r;
    while ((r = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t number = sqlite_number(s, 0);
        const char *text = sqlite3_column_blob(s, 1);
        int len = sqlite3_column_bytes(s, 1);

        if (number < t->n || number >= HISTORY_TEXTS_MAX || len >= HISTORY_TEXT_SIZE)
            return -EUCLEAN;
        texts_pad(t, (uint32_t)number);
        texts_add(t, text ? text : "", (size_t)len);
    }
    return history_sqlite_error(r);
}

static int read_streams(sqlite3 *db, struct streams *streams)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(db, "SELECT name, place, epoch, taken, next FROM streams", &s);

    if (r < 0)
        return r;
    while ((r = sqlite3_step(s)) == SQLITE_ROW)
        streams_set(streams, (const char *)sqlite3_column_text(s, 0),
                    (unsigned)sqlite3_column_int(s, 1), sqlite_number(s, 2), sqlite_number(s, 3),
                    (unsigned)sqlite3_column_int(s, 4));
    return history_sqlite_error(r);
}

static int read_uses(sqlite3 *db, struct uses *u)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(db, "SELECT rule, first_ms, last_ms, count FROM uses", &s);

    if (r < 0)
        return r;
    while ((r = sqlite3_step(s)) == SQLITE_ROW) {
        struct history_use use = {sqlite_number(s, 1), sqlite_number(s, 2), sqlite_number(s, 3)};

        uses_set(u, (text_t)sqlite_number(s, 0), &use);
    }
    return history_sqlite_error(r);
}

int sqlite_read_days(sqlite3 *db, struct days *d)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(db, "SELECT day, rows, first_ms, last_ms FROM days ORDER BY day", &s);

    if (r < 0)
        return r;
    while ((r = sqlite3_step(s)) == SQLITE_ROW) {
        GROW(d->days, d->n, d->room);
        d->days[d->n++] = (struct day){sqlite_number(s, 0), sqlite_number(s, 1),
                                       sqlite_number(s, 2), sqlite_number(s, 3)};
    }
    return history_sqlite_error(r);
}

const char *const sqlite_meta_keys[SQLITE_META] = {"duplicates", "lost_batches", "lost_records",
                                                   "other_texts", "horizon"};

void sqlite_meta(struct history *h, struct sqlite *q, uint64_t *numbers[SQLITE_META])
{
    numbers[0] = &h->counters.duplicates;
    numbers[1] = &h->counters.lost_batches;
    numbers[2] = &h->counters.lost_records;
    numbers[3] = &h->texts.n_other;
    numbers[4] = &q->horizon;
}

static int read_meta(struct history *h, struct sqlite *q)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    uint64_t *numbers[SQLITE_META];
    int r = sqlite_prepare(q->db, "SELECT value FROM meta WHERE key = ?1", &s);

    sqlite_meta(h, q, numbers);
    for (size_t i = 0; r == 0 && i < SQLITE_META; i++) {
        (void)sqlite3_bind_text(s, 1, sqlite_meta_keys[i], -1, SQLITE_STATIC);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW)
            *numbers[i] = sqlite_number(s, 0);
        r = history_sqlite_error(r);
        (void)sqlite3_reset(s);
    }
    return r;
}

int sqlite_read_all(struct history *h, struct sqlite *q)
{
    int r = read_texts(q->db, &h->texts);

    if (r == 0)
        r = read_streams(q->db, &h->streams);
    if (r == 0)
        r = read_uses(q->db, h->uses);
    if (r == 0)
        r = sqlite_read_days(q->db, &q->days);
    if (r == 0)
        r = read_meta(h, q);
    q->texts_saved = h->texts.n;
    return r;
}
