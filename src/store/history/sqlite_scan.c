/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to an SQLite file; values are bound, never written into the SQL. */
#include <errno.h>

#include "store/history/sqlite.h"

enum { GIVE = 1024 };

struct sqlite_reader {
    sqlite3 *db; /* NULL: it could not be opened, and the answer is 'error'. */
    int error;
    struct days days;
    _Atomic uint64_t *damaged; /* The history's. */
};

void *sqlite_snapshot(struct history *h)
{
    struct sqlite *q = h->backend;
    struct sqlite_reader *s = xcalloc(1, sizeof(*s));

    s->damaged = &q->damaged;
    if (!h->options.read_only && !h->options.apart)
        s->error = history_sync(h); /* What waits is seen too. */
    if (s->error == 0)
        s->error =
            history_sqlite_error(sqlite3_open_v2(q->path, &s->db, SQLITE_OPEN_READONLY, NULL));
    if (s->error == 0) {
        (void)sqlite3_busy_timeout(s->db, SQLITE_BUSY_MS);
        s->error = history_sqlite_error(sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL));
    }
    if (s->error == 0)
        s->error = sqlite_read_days(s->db, &s->days); /* From here on it is as it is now. */
    return s;
}

void sqlite_snapshot_free(void *snapshot)
{
    struct sqlite_reader *s = snapshot;

    (void)sqlite3_close(s->db); /* Ends the transaction, which wrote nothing. */
    free(s->days.days);
    free(s);
}

struct asked { /* A condition, and the value of its parameter. */
    const char *sql;
    uint64_t value;
    bool wanted;
};

enum { CONDITIONS = 12 };

static void conditions_of(const struct history_query *q, struct asked asked[CONDITIONS])
{
    struct asked all[CONDITIONS] = {
        {"last_ms >= ?1", q->since_ms, q->since_ms != 0},
        {"first_ms < ?2", q->until_ms, q->until_ms != 0},
        {"(from_ = ?3 OR to_ = ?3)", q->endpoint, q->endpoint != 0},
        {"from_ = ?4", q->from, q->from != 0},
        {"to_ = ?5", q->to, q->to != 0},
        {"rule = ?6", q->rule, q->rule != 0},
        {"process = ?7", q->process, q->process != 0},
        {"user = ?8", q->user, q->user != 0},
        {"reporter = ?9", q->reporter, q->reporter != 0},
        {"port = ?10", (uint64_t)q->port, q->port >= 0},
        {"protocol = ?11", (uint64_t)q->protocol, q->protocol >= 0},
        {"verdict = ?12", (uint64_t)q->verdict, q->verdict >= 0},
    };

    memcpy(asked, all, sizeof(all));
}

static int prepare_day(const struct sqlite_reader *s, const struct history_query *q, uint64_t day,
                       sqlite3_stmt **ret_s)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    struct asked asked[CONDITIONS];
    int r;

    conditions_of(q, asked);
    buf_printf(&sql, "SELECT %s FROM flows_%llu WHERE 1", sqlite_columns, (unsigned long long)day);
    for (size_t i = 0; i < CONDITIONS; i++)
        if (asked[i].wanted)
            buf_printf(&sql, " AND %s", asked[i].sql);
    /* A record lasts a day at most: so the index on its beginning serves for its end, too. */
    if (q->since_ms > sqlite_day_ms)
        buf_puts(&sql, " AND first_ms >= ?15");
    if (q->origin >= 0)
        buf_puts(&sql, " AND origin = ?13");
    if (q->address)
        buf_puts(&sql, " AND (source = ?14 OR destination = ?14)");
    buf_printf(&sql, " ORDER BY first_ms %s", q->newest_first ? "DESC" : "");
    r = sqlite_prepare(s->db, sql.data, ret_s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < CONDITIONS; i++)
        if (asked[i].wanted)
            (void)sqlite3_bind_int64(*ret_s, (int)i + 1, (sqlite3_int64)asked[i].value);
    if (q->since_ms > sqlite_day_ms)
        (void)sqlite3_bind_int64(*ret_s, 15, (sqlite3_int64)(q->since_ms - sqlite_day_ms));
    if (q->origin >= 0)
        (void)sqlite3_bind_int(*ret_s, 13, q->origin);
    if (q->address)
        (void)sqlite3_bind_blob(*ret_s, 14, q->address->bytes, 16, SQLITE_STATIC);
    return 0;
}

static void take_address(sqlite3_stmt *s, int column, struct address *a)
{
    if (sqlite3_column_bytes(s, column) == (int)sizeof(*a))
        memcpy(a, sqlite3_column_blob(s, column), sizeof(*a));
}

void sqlite_row(sqlite3_stmt *s, struct flow *ret_f)
{
    *ret_f = (struct flow){
        .first_ms = sqlite_number(s, 0),
        .last_ms = sqlite_number(s, 1),
        .count = sqlite_number(s, 4),
        .bytes_out = sqlite_number(s, 5),
        .bytes_in = sqlite_number(s, 6),
        .revision = sqlite_number(s, 7),
        .from = (text_t)sqlite_number(s, 8),
        .to = (text_t)sqlite_number(s, 9),
        .reporter = (text_t)sqlite_number(s, 10),
        .process = (text_t)sqlite_number(s, 11),
        .script = (text_t)sqlite_number(s, 12),
        .user = (text_t)sqlite_number(s, 13),
        .rule = (text_t)sqlite_number(s, 14),
        .uid = (uint32_t)sqlite_number(s, 15),
        .port = (uint16_t)sqlite_number(s, 16),
        .protocol = (uint8_t)sqlite_number(s, 17),
        .direction = (uint8_t)sqlite_number(s, 18),
        .verdict = (uint8_t)sqlite_number(s, 19),
        .layer = (uint8_t)sqlite_number(s, 20),
        .origin = (uint8_t)sqlite_number(s, 21),
        .marks = (uint8_t)sqlite_number(s, 22),
    };
    take_address(s, 2, &ret_f->source);
    take_address(s, 3, &ret_f->destination);
}

struct giving {
    history_take *take;
    void *user;
    struct history_progress *progress;
    struct flow flows[GIVE];
    size_t n;
};

static int flush(struct giving *g)
{
    int r = g->n ? g->take(g->user, g->flows, g->n) : 0;

    g->progress->rows_read += g->n;
    g->n = 0;
    if (r == 0 && g->progress->cancel)
        return -ECANCELED;
    return r;
}

/* '*ret_taken': what 'take' answered; the result is the disk's. */
static int scan_day(const struct sqlite_reader *s, const struct history_query *q, uint64_t day,
                    struct giving *g, int *ret_taken)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *statement = NULL;
    int r = prepare_day(s, q, day, &statement);

    *ret_taken = 0;
    if (r < 0)
        return r;
    while (*ret_taken == 0 && (r = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite_row(statement, &g->flows[g->n]);
        if (q->all_revisions)
            g->flows[g->n].revision = 0;
        g->n++;
        if (g->n == GIVE)
            *ret_taken = flush(g);
    }
    if (*ret_taken == 0)
        *ret_taken = flush(g);
    return history_sqlite_error(r);
}

int sqlite_snapshot_days(const void *snapshot, const struct days **ret_days)
{
    const struct sqlite_reader *s = snapshot;

    *ret_days = &s->days;
    return s->error;
}

uint64_t sqlite_snapshot_number(const void *snapshot, const char *key)
{
    const struct sqlite_reader *s = snapshot;

    return s->error < 0 ? 0 : sqlite_meta_number(s->db, key);
}

int sqlite_scan_one(const void *snapshot, const struct history_query *q, uint64_t day,
                    history_take *take, void *user, struct history_progress *progress)
{
    const struct sqlite_reader *s = snapshot;
    struct giving *g = xcalloc(1, sizeof(*g));
    int taken = 0;

    *g = (struct giving){.take = take, .user = user, .progress = progress};
    if (scan_day(s, q, day, g, &taken) < 0)
        atomic_fetch_add(s->damaged, 1); /* The other days answer. */
    free(g);
    return taken;
}

int sqlite_scan(const void *snapshot, const struct history_query *q, history_take *take, void *user,
                struct history_progress *progress)
{
    const struct sqlite_reader *s = snapshot;
    int taken = 0;

    if (s->error < 0)
        return s->error;
    if (progress->cancel)
        taken = -ECANCELED;
    for (size_t i = 0; i < s->days.n && taken == 0; i++) {
        const struct day *d = &s->days.days[q->newest_first ? s->days.n - 1 - i : i];

        if (d->last_ms < q->since_ms || (q->until_ms && d->first_ms >= q->until_ms))
            continue;
        progress->rows_total += d->rows;
        taken = sqlite_scan_one(s, q, d->day, take, user, progress);
    }
    return taken;
}
