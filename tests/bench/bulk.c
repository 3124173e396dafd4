/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bulk.h"

#include <inttypes.h>

#include "store/history/clickhouse.h"

struct bulk {
    struct history *h;
    struct sqlite *keeper;
    struct flow *flows; /* Of one day. */
    size_t n;
    uint64_t batch; /* Sent last. */
    struct days days;
};

struct bulk *bulk_new(struct history *h)
{
    struct bulk *b = xcalloc(1, sizeof(*b));

    b->h = h;
    b->keeper = h->backend;
    b->flows = xcalloc(BULK_BLOCK, sizeof(*b->flows));
    return b;
}

void bulk_free(struct bulk *b)
{
    if (!b)
        return;
    free(b->flows);
    days_done(&b->days);
    free(b);
}

static void note_day(struct bulk *b, const struct flow *f)
{
    uint64_t number = f->first_ms / sqlite_day_ms;
    struct day *d;

    if (!b->days.n || b->days.days[b->days.n - 1].day != number) {
        GROW(b->days.days, b->days.n, b->days.room);
        b->days.days[b->days.n++] = (struct day){.day = number, .first_ms = UINT64_MAX};
    }
    d = &b->days.days[b->days.n - 1];
    d->rows++;
    d->first_ms = f->first_ms < d->first_ms ? f->first_ms : d->first_ms;
    d->last_ms = f->last_ms > d->last_ms ? f->last_ms : d->last_ms;
}

static int send_bulk(struct bulk *b)
{
    const struct clickhouse *c = b->keeper->away;
    CLEANUP(buf_done) struct buf sql = BUF_INIT, body = BUF_INIT;
    struct clickhouse_ask a = {.body = &body};

    if (!b->n)
        return 0;
    buf_printf(&sql, "INSERT INTO %s.flows (", c->link.database);
    clickhouse_columns(&sql);
    buf_puts(&sql, ", store, batch) FORMAT Native");
    a.sql = buf_str(&sql);
    clickhouse_block(&body, b->flows, b->n, c->store, ++b->batch);
    b->n = 0;
    return clickhouse_ask(&c->link, &a);
}

int bulk_put(struct bulk *b, const struct flow *flows, size_t n)
{
    int r = 0;

    uses_count(&b->h->uses, flows, n);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (b->n == BULK_BLOCK ||
            (b->n && b->flows[0].first_ms / sqlite_day_ms != flows[i].first_ms / sqlite_day_ms))
            r = send_bulk(b);
        note_day(b, &flows[i]);
        b->flows[b->n++] = flows[i];
    }
    return r;
}

/* The empty batch takes texts and uses of rules with it. */
int bulk_end(struct bulk *b)
{
    const struct history_batch none = {.stream = "bulk", .epoch = 7, .sequence = 1};
    CLEANUP(buf_done) struct buf sql = BUF_INIT;
    bool known;
    int r = send_bulk(b);

    for (size_t i = 0; i < b->days.n; i++) {
        const struct day *d = &b->days.days[i];

        buf_printf(&sql,
                   "INSERT INTO days VALUES (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 ");"
                   "CREATE TABLE flows_%" PRIu64 " (%s);",
                   d->day, d->rows, d->first_ms, d->last_ms, d->day, sqlite_columns);
    }
    buf_printf(&sql, "INSERT INTO meta (key, value) VALUES ('sent', %" PRIu64 ")", b->batch);
    if (r == 0)
        r = history_sqlite_error(sqlite3_exec(b->keeper->db, buf_str(&sql), NULL, NULL, NULL));
    if (r == 0)
        r = history_append(b->h, &none, &known);
    return r < 0 ? r : history_clickhouse_settle(b->h);
}
