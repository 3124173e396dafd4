/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/history/clickhouse.h"
#include "sys/file.h"

static const char schema[] =
    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS texts (number INTEGER PRIMARY KEY, text BLOB);"
    "CREATE TABLE IF NOT EXISTS streams (name TEXT, place INTEGER, epoch INTEGER, taken INTEGER,"
    " next INTEGER, PRIMARY KEY (name, place)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS uses (rule INTEGER PRIMARY KEY, first_ms INTEGER,"
    " last_ms INTEGER, count INTEGER);"
    "CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, rows INTEGER, first_ms INTEGER,"
    " last_ms INTEGER);";

static int execute(sqlite3 *db, const char *sql)
{
    return history_sqlite_error(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* One row with these numbers; what is behind is bound already. */
static int put_numbers(sqlite3_stmt *s, const uint64_t *numbers, int n)
{
    int r;

    for (int i = 0; i < n; i++)
        (void)sqlite3_bind_int64(s, i + 1, (sqlite3_int64)numbers[i]);
    r = history_sqlite_error(sqlite3_step(s));
    (void)sqlite3_reset(s);
    return r;
}

static void sqlite_free(void *backend)
{
    struct sqlite *q = backend;

    (void)sqlite3_close(q->db); /* Cannot fail: no statement is left. */
    fd_closep(&q->lock);
    free(q->pending);
    free(q->days.days);
    free(q->path);
    free(q);
}

static int lock(struct sqlite *q)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    buf_printf(&path, "%s-lock", q->path);
    q->lock = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (q->lock < 0)
        return -errno;
    if (fcntl(q->lock, F_OFD_SETLK, &whole) < 0)
        return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
    return 0;
}

static uint64_t pragma(const struct sqlite *q, const char *sql)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;

    if (sqlite_prepare(q->db, sql, &s) < 0 || sqlite3_step(s) != SQLITE_ROW)
        return 0;
    return sqlite_number(s, 0);
}

static uint64_t bytes_of(const struct sqlite *q)
{
    return (pragma(q, "PRAGMA page_count") - pragma(q, "PRAGMA freelist_count")) *
           pragma(q, "PRAGMA page_size");
}

static int sqlite_open(struct history *h, const char *where, const char **ret_what)
{
    struct sqlite *q = xcalloc(1, sizeof(*q));
    int flags =
        h->options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int r;

    h->backend = q;
    q->path = xstrdup(where);
    q->lock = -1;
    r = h->options.read_only ? 0 : lock(q);
    *ret_what = r == -EBUSY ? "another process has it" : "its lock cannot be made";
    if (r < 0)
        return r;
    *ret_what = "the file cannot be opened";
    r = history_sqlite_error(sqlite3_open_v2(where, &q->db, flags, NULL));
    if (r < 0)
        return r;
    (void)sqlite3_busy_timeout(q->db, SQLITE_BUSY_MS);
    if (!h->options.read_only)
        r = execute(q->db, schema);
    if (r == 0)
        r = sqlite_read_all(h, q);
    q->bytes = r == 0 ? bytes_of(q) : 0;
    if (r == 0)
        *ret_what = "";
    else if (r == -EUCLEAN)
        *ret_what = "not a history, or damaged";
    return r;
}

/* ---- writing ---- */

struct commit {
    struct sqlite *q;
    const struct texts *texts;
    uint32_t n_texts; /* They do not move, and those below this number do not change. */
    const struct streams_news *streams;
    struct uses_rule *uses;
    size_t n_uses;
    uint64_t meta[SQLITE_META];
    struct flow *flows;
    size_t n;
    struct days days; /* As they are then. */
    uint64_t bytes;
};

static int save_texts(const struct commit *k)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(k->q->db, "INSERT INTO texts (number, text) VALUES (?1, ?2)", &s);

    for (uint32_t i = k->q->texts_saved; r == 0 && i < k->n_texts; i++) {
        const char *text = texts_of(k->texts, i);
        uint64_t number = i;

        (void)sqlite3_bind_blob(s, 2, text, (int)strlen(text), SQLITE_STATIC);
        r = put_numbers(s, &number, 1);
    }
    return r;
}

static int save_streams(const struct commit *k)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(k->q->db,
                           "INSERT OR REPLACE INTO streams (place, epoch, taken, next, name)"
                           " VALUES (?1, ?2, ?3, ?4, ?5)",
                           &s);

    for (size_t i = 0; r == 0 && i < k->streams->n; i++) {
        const struct streams_new *stream = &k->streams->streams[i];

        for (uint64_t j = 0; r == 0 && j < STREAM_EPOCHS; j++) {
            uint64_t numbers[] = {j, stream->epochs[j].epoch, stream->epochs[j].taken,
                                  stream->next % STREAM_EPOCHS};

            (void)sqlite3_bind_text(s, 5, stream->name, -1, SQLITE_STATIC);
            r = stream->epochs[j].taken ? put_numbers(s, numbers, 4) : 0;
        }
    }
    return r;
}

static int save_uses(const struct commit *k)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(k->q->db, "INSERT OR REPLACE INTO uses VALUES (?1, ?2, ?3, ?4)", &s);

    for (size_t i = 0; r == 0 && i < k->n_uses; i++) {
        const struct uses_rule *u = &k->uses[i];
        uint64_t numbers[] = {u->rule, u->use.first_ms, u->use.last_ms, u->use.count};

        r = put_numbers(s, numbers, 4);
    }
    return r;
}

static void note_meta(struct history *h, struct sqlite *q, uint64_t values[SQLITE_META])
{
    uint64_t *numbers[SQLITE_META];

    sqlite_meta(h, q, numbers);
    for (size_t i = 0; i < SQLITE_META; i++)
        values[i] = *numbers[i];
}

static int save_meta(const struct sqlite *q, const uint64_t values[SQLITE_META])
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    /* None of these falls, and a commit that failed once may be older than what is there. */
    int r = sqlite_prepare(q->db,
                           "INSERT INTO meta (value, key) VALUES (?1, ?2) ON CONFLICT (key)"
                           " DO UPDATE SET value = max(value, ?1)",
                           &s);

    for (size_t i = 0; r == 0 && i < SQLITE_META; i++) {
        (void)sqlite3_bind_text(s, 2, sqlite_meta_keys[i], -1, SQLITE_STATIC);
        r = put_numbers(s, &values[i], 1);
    }
    return r;
}

static int make_day(const struct sqlite *q, uint64_t day)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    unsigned long long n = day;

    buf_printf(&sql, "CREATE TABLE IF NOT EXISTS flows_%llu (%s);", n, sqlite_columns);
    buf_printf(&sql, "CREATE INDEX IF NOT EXISTS time_%llu ON flows_%llu (first_ms);", n, n);
    buf_printf(&sql, "CREATE INDEX IF NOT EXISTS from_%llu ON flows_%llu (from_);", n, n);
    buf_printf(&sql, "CREATE INDEX IF NOT EXISTS to_%llu ON flows_%llu (to_);", n, n);
    return execute(q->db, sql.data);
}

static int put_row(sqlite3_stmt *s, const struct flow *f)
{
    uint64_t numbers[SQLITE_COLUMNS] = {
        f->first_ms,  f->last_ms,  0,        0,         f->count,    f->bytes_out,
        f->bytes_in,  f->revision, f->from,  f->to,     f->reporter, f->process,
        f->script,    f->user,     f->rule,  f->uid,    f->port,     f->protocol,
        f->direction, f->verdict,  f->layer, f->origin, f->marks};
    int r;

    for (int i = 0; i < SQLITE_COLUMNS; i++)
        if (i != 2 && i != 3)
            (void)sqlite3_bind_int64(s, i + 1, (sqlite3_int64)numbers[i]);
    (void)sqlite3_bind_blob(s, 3, f->source.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_blob(s, 4, f->destination.bytes, 16, SQLITE_STATIC);
    r = history_sqlite_error(sqlite3_step(s));
    (void)sqlite3_reset(s);
    return r;
}

static int save_day(const struct sqlite *q, const struct day *d)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    uint64_t numbers[] = {d->day, d->rows, d->first_ms, d->last_ms};
    int r = sqlite_prepare(
        q->db,
        "INSERT INTO days VALUES (?1, ?2, ?3, ?4) ON CONFLICT (day) DO UPDATE SET"
        " rows = rows + ?2, first_ms = min(first_ms, ?3), last_ms = max(last_ms, ?4)",
        &s);

    return r < 0 ? r : put_numbers(s, numbers, 4);
}

/* The rows of the day of the one at 'from'; marks them. */
static int save_rows(const struct commit *k, size_t from, unsigned char *saved)
{
    struct day d = {.day = k->flows[from].first_ms / sqlite_day_ms, .first_ms = UINT64_MAX};
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    int r = make_day(k->q, d.day);

    buf_printf(&sql, "INSERT INTO flows_%llu (%s) VALUES (?1", (unsigned long long)d.day,
               sqlite_columns);
    for (int i = 2; i <= SQLITE_COLUMNS; i++)
        buf_printf(&sql, ", ?%d", i);
    buf_putc(&sql, ')');
    if (r == 0)
        r = sqlite_prepare(k->q->db, sql.data, &s);
    for (size_t i = from; r == 0 && i < k->n; i++) {
        const struct flow *f = &k->flows[i];

        if (saved[i] || f->first_ms / sqlite_day_ms != d.day)
            continue;
        r = put_row(s, f);
        saved[i] = 1;
        d.rows++;
        d.first_ms = f->first_ms < d.first_ms ? f->first_ms : d.first_ms;
        d.last_ms = f->last_ms > d.last_ms ? f->last_ms : d.last_ms;
    }
    return r < 0 ? r : save_day(k->q, &d);
}

static int save_all(struct commit *k)
{
    CLEANUP(free_voidp) unsigned char *saved = xcalloc(k->n, 1);
    int r = execute(k->q->db, "BEGIN IMMEDIATE");

    for (size_t i = 0; r == 0 && i < k->n; i++)
        r = saved[i] ? 0 : save_rows(k, i, saved);
    if (r == 0)
        r = save_texts(k);
    if (r == 0)
        r = save_streams(k);
    if (r == 0)
        r = save_uses(k);
    if (r == 0)
        r = save_meta(k->q, k->meta);
    k->days.n = 0;
    if (r == 0)
        r = sqlite_read_days(k->q->db, &k->days);
    return r < 0 ? r : execute(k->q->db, "COMMIT");
}

void *sqlite_commit_new(struct history *h, const struct streams_news *streams)
{
    struct sqlite *q = h->backend;
    struct commit *k = xcalloc(1, sizeof(*k));

    *k = (struct commit){.q = q,
                         .texts = &h->texts,
                         .n_texts = h->texts.n,
                         .streams = streams,
                         .flows = q->pending,
                         .n = q->n_pending};
    k->n_uses = uses_take_dirty(h->uses, &k->uses);
    note_meta(h, q, k->meta);
    q->committing = q->pending;
    q->n_committing = q->n_pending;
    q->pending = NULL;
    q->n_pending = q->pending_room = 0;
    return k;
}

int sqlite_commit_write(void *commit)
{
    struct commit *k = commit;
    int r = save_all(k);

    if (r < 0)
        (void)execute(k->q->db, "ROLLBACK"); /* Perhaps SQLite did it already. */
    k->bytes = bytes_of(k->q);
    return r;
}

void sqlite_commit_end(struct history *h, void *commit, bool written)
{
    struct sqlite *q = h->backend;
    struct commit *k = commit;

    q->committing = NULL;
    q->n_committing = 0;
    if (written) {
        struct days days = q->days;

        q->days = k->days;
        k->days = days;
        q->texts_saved = k->n_texts;
        q->bytes = k->bytes;
    }
    days_done(&k->days);
    free(k->flows);
    free(k->uses);
    free(k);
}

static int sqlite_append(struct history *h, const struct history_batch *b)
{
    struct sqlite *q = h->backend;
    int r = q->n_pending >= SQLITE_PENDING_MAX && !h->options.apart ? history_sync(h) : 0;

    if (r < 0)
        return r;
    for (size_t i = 0; i < b->n_flows; i++) {
        if (b->flows[i].first_ms / sqlite_day_ms < q->horizon) {
            h->counters.lost_records++;
            continue;
        }
        GROW(q->pending, q->n_pending, q->pending_room);
        q->pending[q->n_pending++] = b->flows[i];
    }
    return 0;
}

/* ---- forgetting ---- */

struct retention {
    struct sqlite *q;
    uint64_t wanted, today, max_bytes;
    uint64_t horizon, rows, bytes; /* As they are in the file; rows that are gone. */
    struct days days;
    bool knows_days;
};

static bool is_too_much(const struct sqlite *q, uint64_t bytes, uint64_t horizon,
                        uint64_t max_bytes)
{
    return max_bytes && bytes + (q->away ? clickhouse_bytes(q->away, horizon) : 0) > max_bytes;
}

/* Whether the oldest day has to go. */
static bool has_to_go(const struct retention *k, const struct days *days, uint64_t bytes)
{
    const struct day *oldest = days->n ? &days->days[0] : NULL;

    return oldest &&
           (oldest->day < k->wanted ||
            (oldest->day < k->today && is_too_much(k->q, bytes, k->horizon, k->max_bytes)));
}

void *sqlite_retain_new(struct history *h, uint64_t now)
{
    struct sqlite *q = h->backend;
    struct retention *k = xcalloc(1, sizeof(*k));
    uint64_t age = h->options.max_age_ms;

    *k = (struct retention){.q = q,
                            .wanted = age && now > age ? (now - age) / sqlite_day_ms : 0,
                            .today = now / sqlite_day_ms,
                            .max_bytes = h->options.max_bytes,
                            .horizon = q->horizon};
    if (k->wanted > q->horizon || has_to_go(k, &q->days, bytes_of(q)))
        return k;
    free(k);
    return NULL;
}

static int drop_day(const struct sqlite *q, uint64_t day)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    unsigned long long n = day;

    buf_printf(&sql, "DROP TABLE IF EXISTS flows_%llu; DELETE FROM days WHERE day = %llu;", n, n);
    return execute(q->db, sql.data);
}

static int save_horizon(const struct sqlite *q, uint64_t horizon)
{
    CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
    int r = sqlite_prepare(q->db, "INSERT OR REPLACE INTO meta (value, key) VALUES (?1, 'horizon')",
                           &s);

    return r < 0 ? r : put_numbers(s, &horizon, 1);
}

static int look_at_days(struct retention *k)
{
    int r;

    k->days.n = 0;
    r = sqlite_read_days(k->q->db, &k->days);
    k->knows_days = r == 0;
    return r;
}

/* Sets the horizon, and forgets what the oldest day has, if that is before it. */
static int move_horizon(struct retention *k, uint64_t horizon)
{
    const struct day *oldest = k->days.n ? &k->days.days[0] : NULL;
    bool has_one = oldest && oldest->day < horizon;
    uint64_t rows = has_one ? oldest->rows : 0;
    int r = execute(k->q->db, "BEGIN IMMEDIATE");

    if (r == 0 && has_one)
        r = drop_day(k->q, oldest->day);
    if (r == 0)
        r = save_horizon(k->q, horizon);
    if (r == 0)
        r = execute(k->q->db, "COMMIT");
    if (r < 0) {
        (void)execute(k->q->db, "ROLLBACK"); /* Perhaps SQLite did it already. */
        return r;
    }
    k->horizon = horizon;
    k->rows += rows;
    return look_at_days(k);
}

int sqlite_retain_write(void *retention)
{
    struct retention *k = retention;
    int r = look_at_days(k);

    while (r == 0 && has_to_go(k, &k->days, bytes_of(k->q))) {
        uint64_t behind = k->days.days[0].day + 1;

        r = move_horizon(k, behind > k->horizon ? behind : k->horizon);
    }
    if (r == 0 && k->wanted > k->horizon)
        r = move_horizon(k, k->wanted);
    if (k->rows)
        (void)execute(k->q->db, "PRAGMA incremental_vacuum"); /* Only gives room back. */
    k->bytes = bytes_of(k->q);
    return r;
}

/* What came for those days meanwhile goes with them. */
static uint64_t forget_pending(struct sqlite *q)
{
    size_t n = 0, n_before = q->n_pending;

    for (size_t i = 0; i < n_before; i++)
        if (q->pending[i].first_ms / sqlite_day_ms >= q->horizon)
            q->pending[n++] = q->pending[i];
    q->n_pending = n;
    return n_before - n;
}

uint64_t sqlite_retain_end(struct history *h, void *retention, bool written)
{
    struct sqlite *q = h->backend;
    struct retention *k = retention;
    uint64_t forgotten = k->rows;

    (void)written; /* Each day is gone, or is not; an error leaves the others. */
    q->horizon = k->horizon;
    forgotten += forget_pending(q);
    if (k->knows_days) {
        struct days days = q->days;

        q->bytes = k->bytes;
        q->days = k->days;
        k->days = days;
    }
    days_done(&k->days);
    free(k);
    return forgotten;
}

static void state_of_waiting(const struct flow *flows, size_t n, struct history_state *s)
{
    for (size_t i = 0; i < n; i++) {
        const struct flow *f = &flows[i];

        s->oldest_ms = f->first_ms < s->oldest_ms ? f->first_ms : s->oldest_ms;
        s->newest_ms = f->last_ms > s->newest_ms ? f->last_ms : s->newest_ms;
    }
    s->rows += n;
}

static void sqlite_state(const struct history *h, struct history_state *s)
{
    const struct sqlite *q = h->backend;

    s->oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < q->days.n; i++) {
        const struct day *d = &q->days.days[i];

        s->rows += d->rows;
        s->oldest_ms = d->first_ms < s->oldest_ms ? d->first_ms : s->oldest_ms;
        s->newest_ms = d->last_ms > s->newest_ms ? d->last_ms : s->newest_ms;
    }
    state_of_waiting(q->committing, q->n_committing, s);
    state_of_waiting(q->pending, q->n_pending, s);
    if (!s->rows)
        s->oldest_ms = 0;
    s->bytes = h->options.apart ? q->bytes : bytes_of(q); /* A commit may have the connection. */
    s->damaged_blocks = q->damaged;
}

const struct history_kind history_sqlite = {
    .open = sqlite_open,
    .free = sqlite_free,
    .append = sqlite_append,
    .commit_new = sqlite_commit_new,
    .commit_write = sqlite_commit_write,
    .commit_end = sqlite_commit_end,
    .snapshot = sqlite_snapshot,
    .snapshot_free = sqlite_snapshot_free,
    .scan = sqlite_scan,
    .retain_new = sqlite_retain_new,
    .retain_write = sqlite_retain_write,
    .retain_end = sqlite_retain_end,
    .state = sqlite_state,
};
