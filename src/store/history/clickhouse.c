/* SPDX-License-Identifier: Apache-2.0 */
/* FILE for what is durable, ClickHouse for what is asked; see clickhouse.h. */
#include "store/history/clickhouse.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

enum { GIVE = 1024, SETTLE_MS = 10 };

/* ---- begin and end ---- */

static int know_store(struct clickhouse *c, const struct sqlite *q, bool read_only)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;

    c->store = sqlite_meta_number(q->db, "store");
    if (c->store || read_only)
        return 0;
    if (getrandom(&c->store, sizeof(c->store), 0) != (ssize_t)sizeof(c->store))
        return -errno;
    c->store = (c->store >> 1) | 1; /* SQLite's integers have a sign. */
    buf_printf(&sql, "INSERT INTO meta (key, value) VALUES ('store', %" PRIu64 ")", c->store);
    return history_sqlite_error(sqlite3_exec(q->db, buf_str(&sql), NULL, NULL, NULL));
}

static int count_waiting(struct clickhouse *c, const struct sqlite *q)
{
    for (size_t i = 0; i < q->days.n; i++) {
        CLEANUP(sqlite_finalizep) sqlite3_stmt *s = NULL;
        CLEANUP(buf_done) struct buf sql = BUF_INIT;
        int r;

        buf_printf(&sql, "SELECT count(*) FROM flows_%" PRIu64, q->days.days[i].day);
        r = sqlite_prepare(q->db, buf_str(&sql), &s);
        if (r < 0)
            return r;
        if (sqlite3_step(s) == SQLITE_ROW)
            c->in_file += (int64_t)sqlite_number(s, 0);
    }
    return 0;
}

static void clickhouse_free(void *backend)
{
    struct sqlite *q = backend;
    struct clickhouse *c = q->away;

    clickhouse_ship_stop(c);
    history_sqlite.free(q);
    clickhouse_link_done(&c->link);
    buf_done(&c->sizes);
    free(c->file);
    free(c);
}

/* 'c' becomes the backend's, or is freed. */
static int attach(struct history *h, struct clickhouse *c, const char **ret_what)
{
    struct sqlite *q;
    int r = history_sqlite.open(h, c->file, ret_what);

    q = h->backend;
    q->away = c;
    if (r == 0)
        r = know_store(c, q, h->options.read_only);
    if (r == 0)
        r = count_waiting(c, q);
    if (r == 0 && !h->options.read_only)
        r = clickhouse_ship_start(c);
    return r;
}

static int clickhouse_open(struct history *h, const char *where, const char **ret_what)
{
    const char *file = strrchr(where, '#');
    struct clickhouse *c = xcalloc(1, sizeof(*c));
    int r = -EINVAL;

    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* Before there are threads of ours. */
    *ret_what = "expected clickhouse:http://[USER@]HOST[:PORT]/DATABASE#FILE";
    if (file && file[1])
        r = clickhouse_link_init(&c->link, where, (size_t)(file - where), h->options.password_file);
    if (r < 0 && r != -EINVAL)
        *ret_what = "the file of ClickHouse's password";
    if (r < 0) {
        clickhouse_link_done(&c->link);
        free(c);
        return r;
    }
    c->file = xstrdup(file + 1);
    return attach(h, c, ret_what);
}

/* ---- writing ---- */

static void wake(struct clickhouse *c, bool hurry)
{
    if (!c->runs)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->hurry = c->hurry || hurry;
    c->idle = false;
    if (hurry)
        (void)pthread_cond_signal(&c->news);
    (void)pthread_mutex_unlock(&c->lock);
}

static uint64_t waiting(const struct clickhouse *c, const struct sqlite *q)
{
    int64_t in_file = c->in_file;

    return (in_file > 0 ? (uint64_t)in_file : 0) + q->n_committing + q->n_pending;
}

static void clickhouse_commit_end(struct history *h, void *commit, bool written)
{
    struct sqlite *q = h->backend;
    size_t n = q->n_committing;

    sqlite_commit_end(h, commit, written);
    if (!written)
        return;
    q->away->in_file += (int64_t)n;
    wake(q->away, waiting(q->away, q) >= CLICKHOUSE_BLOCK && !q->away->error);
}

static int clickhouse_append(struct history *h, const struct history_batch *b)
{
    struct sqlite *q = h->backend;

    if (waiting(q->away, q) >= CLICKHOUSE_WAITING_MAX)
        return -ENOSPC;
    return history_sqlite.append(h, b);
}

/* What is away is forgotten by the one who sends it. */
static uint64_t clickhouse_retain_end(struct history *h, void *retention, bool written)
{
    struct sqlite *q = h->backend;
    uint64_t horizon = q->horizon, forgotten = sqlite_retain_end(h, retention, written);

    if (forgotten || q->horizon > horizon)
        wake(q->away, true);
    return forgotten;
}

static void clickhouse_state(const struct history *h, struct history_state *s)
{
    const struct sqlite *q = h->backend;
    const struct clickhouse *c = q->away;

    history_sqlite.state(h, s);
    s->bytes += clickhouse_bytes(q->away, q->horizon);
    s->waiting = waiting(c, q);
    s->error = c->error;
}

void history_clickhouse_hurry(struct history *h)
{
    wake(((struct sqlite *)h->backend)->away, true);
}

int history_clickhouse_settle(struct history *h)
{
    struct clickhouse *c = ((struct sqlite *)h->backend)->away;
    bool idle = false;
    int r = history_sync(h);

    wake(c, true);
    while (r == 0 && !idle) {
        const struct timespec a_while = {.tv_nsec = SETTLE_MS * 1000000L};

        (void)nanosleep(&a_while, NULL);
        (void)pthread_mutex_lock(&c->lock);
        idle = c->idle && !c->hurry;
        (void)pthread_mutex_unlock(&c->lock);
        r = idle ? c->error : 0;
    }
    return r;
}

/* ---- asking ---- */

struct clickhouse_snapshot {
    struct clickhouse *c;
    void *local;
    uint64_t sent;
};

static void *clickhouse_snapshot_new(struct history *h)
{
    struct clickhouse_snapshot *s = xcalloc(1, sizeof(*s));

    s->c = ((struct sqlite *)h->backend)->away;
    s->local = sqlite_snapshot(h);
    s->sent = sqlite_snapshot_number(s->local, "sent");
    return s;
}

static void clickhouse_snapshot_end(void *snapshot)
{
    struct clickhouse_snapshot *s = snapshot;

    sqlite_snapshot_free(s->local);
    free(s);
}

struct giving { /* Rows out of an answer that comes in pieces. */
    history_take *take;
    void *user;
    struct history_progress *progress;
    bool sums; /* Edges, not records. */
    struct flow flows[GIVE];
    size_t n;
    unsigned char row[CLICKHOUSE_ROW]; /* Begun. */
    size_t have;
};

static int flush(struct giving *g)
{
    int r = g->n ? g->take(g->user, g->flows, g->n) : 0;

    if (!g->sums)
        g->progress->rows_read += g->n;
    g->n = 0;
    return r;
}

static int take_piece(void *user, const void *data, size_t size)
{
    struct giving *g = user;
    const unsigned char *p = data;

    while (size) {
        size_t part = CLICKHOUSE_ROW - g->have < size ? CLICKHOUSE_ROW - g->have : size;
        int r;

        memcpy(g->row + g->have, p, part);
        g->have += part;
        p += part;
        size -= part;
        if (g->have < CLICKHOUSE_ROW)
            break;
        clickhouse_row(g->row, &g->flows[g->n++]);
        g->have = 0;
        r = g->n == GIVE ? flush(g) : 0;
        if (r)
            return r;
    }
    return 0;
}

static int scan_there(const struct clickhouse_snapshot *s, const struct history_query *q,
                      uint64_t day, struct giving *g)
{
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    struct clickhouse_ask a = {.take = take_piece, .user = g, .cancel = &g->progress->cancel};
    int r;

    buf_puts(&sql, "SELECT ");
    if (g->sums)
        clickhouse_sums(&sql, q->all_revisions);
    else
        clickhouse_columns(&sql);
    buf_printf(&sql,
               " FROM %s.flows WHERE store = %" PRIu64 " AND batch <= %" PRIu64
               " AND intDiv(first_ms, 86400000) = %" PRIu64,
               s->c->link.database, s->c->store, s->sent, day);
    clickhouse_conditions(&sql, q);
    if (g->sums) {
        buf_puts(&sql, " GROUP BY ");
        clickhouse_keys(&sql, q->all_revisions);
    }
    buf_puts(&sql, " FORMAT RowBinary");
    a.sql = buf_str(&sql);
    g->have = 0;
    r = clickhouse_ask(&s->c->link, &a);
    if (r == 0 && g->have)
        r = -EIO; /* Half a row. */
    return r ? r : flush(g);
}

static int ask_days(const void *snapshot, const struct history_query *q, history_take *take,
                    void *user, struct history_progress *progress, bool sums)
{
    const struct clickhouse_snapshot *s = snapshot;
    const struct days *days;
    struct giving *g;
    int r = sqlite_snapshot_days(s->local, &days);

    if (r < 0)
        return r;
    if (progress->cancel)
        return -ECANCELED;
    g = xcalloc(1, sizeof(*g));
    *g = (struct giving){.take = take, .user = user, .progress = progress, .sums = sums};
    for (size_t i = 0; i < days->n && r == 0; i++) {
        const struct day *d = &days->days[q->newest_first ? days->n - 1 - i : i];

        if (d->last_ms < q->since_ms || (q->until_ms && d->first_ms >= q->until_ms))
            continue;
        progress->rows_total += d->rows;
        if (s->sent)
            r = scan_there(s, q, d->day, g);
        if (r == 0)
            r = sqlite_scan_one(s->local, q, d->day, take, user, progress);
        if (sums)
            progress->rows_read = progress->rows_total;
        if (r == 0 && progress->cancel)
            r = -ECANCELED;
    }
    free(g);
    return r;
}

static int clickhouse_scan(const void *snapshot, const struct history_query *q, history_take *take,
                           void *user, struct history_progress *progress)
{
    return ask_days(snapshot, q, take, user, progress, false);
}

static int clickhouse_edges(const void *snapshot, const struct history_query *q, history_take *take,
                            void *user, struct history_progress *progress)
{
    return ask_days(snapshot, q, take, user, progress, true);
}

const struct history_kind history_clickhouse = {
    .open = clickhouse_open,
    .free = clickhouse_free,
    .append = clickhouse_append,
    .commit_new = sqlite_commit_new,
    .commit_write = sqlite_commit_write,
    .commit_end = clickhouse_commit_end,
    .snapshot = clickhouse_snapshot_new,
    .snapshot_free = clickhouse_snapshot_end,
    .scan = clickhouse_scan,
    .edges = clickhouse_edges,
    .retain_new = sqlite_retain_new,
    .retain_write = sqlite_retain_write,
    .retain_end = clickhouse_retain_end,
    .state = clickhouse_state,
};
