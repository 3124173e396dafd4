/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of ClickHouse in the order of one table; numbers are little-endian there. */
#include <inttypes.h>
#include <stddef.h>

#include "store/history/clickhouse.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are copied as they are");

#define SUM(name, type, member, how)                                                               \
    {                                                                                              \
        name, type, offsetof(struct flow, member), sizeof(((struct flow *)0)->member), how         \
    }
#define COLUMN(name, type, member) SUM(name, type, member, NULL)

static const struct column {
    const char *name, *type;
    size_t offset, size;
    const char *sum; /* How records of an edge are added up; NULL: they agree. */
} columns[] = {
    SUM("first_ms", "UInt64", first_ms, "min"),
    SUM("last_ms", "UInt64", last_ms, "max"),
    COLUMN("source", "FixedString(16)", source),
    COLUMN("destination", "FixedString(16)", destination),
    SUM("count", "UInt64", count, "sum"),
    SUM("bytes_out", "UInt64", bytes_out, "sum"),
    SUM("bytes_in", "UInt64", bytes_in, "sum"),
    COLUMN("revision", "UInt64", revision),
    COLUMN("from_", "UInt32", from),
    COLUMN("to_", "UInt32", to),
    COLUMN("reporter", "UInt32", reporter),
    COLUMN("process", "UInt32", process),
    COLUMN("script", "UInt32", script),
    COLUMN("user", "UInt32", user),
    COLUMN("rule", "UInt32", rule),
    COLUMN("uid", "UInt32", uid),
    COLUMN("port", "UInt16", port),
    COLUMN("protocol", "UInt8", protocol),
    COLUMN("direction", "UInt8", direction),
    COLUMN("verdict", "UInt8", verdict),
    COLUMN("layer", "UInt8", layer),
    COLUMN("origin", "UInt8", origin),
    COLUMN("marks", "UInt8", marks),
};

void clickhouse_table(struct buf *sql, const char *database)
{
    buf_printf(sql, "CREATE TABLE IF NOT EXISTS %s.flows (", database);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        buf_printf(sql, "%s %s, ", columns[i].name, columns[i].type);
    buf_puts(sql, "store UInt64, batch UInt64) ENGINE = MergeTree"
                  " PARTITION BY intDiv(first_ms, 86400000) ORDER BY (from_, to_, first_ms)");
}

void clickhouse_columns(struct buf *sql)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        buf_printf(sql, "%s%s", i ? ", " : "", columns[i].name);
}

/* ---- there ---- */

/* Added up whatever it is. */
static bool is_left_out(const struct column *c, bool all_revisions)
{
    return all_revisions && c->offset == offsetof(struct flow, revision);
}

void clickhouse_sums(struct buf *sql, bool all_revisions)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        const struct column *c = &columns[i];

        if (is_left_out(c, all_revisions)) {
            buf_puts(sql, ", toUInt64(0)"); /* Not the first of them. */
            continue;
        }
        buf_printf(sql, "%s%s%s%s%s", i ? ", " : "", c->sum ? c->sum : "", c->sum ? "(" : "",
                   c->name, c->sum ? ")" : "");
    }
}

void clickhouse_keys(struct buf *sql, bool all_revisions)
{
    const char *comma = "";

    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (!columns[i].sum && !is_left_out(&columns[i], all_revisions)) {
            buf_printf(sql, "%s%s", comma, columns[i].name);
            comma = ", ";
        }
}

static void put_string(struct buf *out, const char *s)
{
    buf_varint(out, strlen(s));
    buf_puts(out, s);
}

static void put_same(struct buf *out, const char *name, uint64_t value, size_t n)
{
    put_string(out, name);
    put_string(out, "UInt64");
    for (size_t i = 0; i < n; i++)
        buf_add(out, &value, sizeof(value));
}

void clickhouse_block(struct buf *out, const struct flow *flows, size_t n, uint64_t store,
                      uint64_t batch)
{
    buf_varint(out, ARRAY_SIZE(columns) + 2);
    buf_varint(out, n);
    for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
        put_string(out, columns[c].name);
        put_string(out, columns[c].type);
        for (size_t i = 0; i < n; i++)
            buf_add(out, (const char *)&flows[i] + columns[c].offset, columns[c].size);
    }
    put_same(out, "store", store, n);
    put_same(out, "batch", batch, n);
}

/* ---- and back ---- */

void clickhouse_row(const unsigned char bytes[CLICKHOUSE_ROW], struct flow *ret_f)
{
    memset(ret_f, 0, sizeof(*ret_f));
    for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
        memcpy((char *)ret_f + columns[c].offset, bytes, columns[c].size);
        bytes += columns[c].size;
    }
}

static void put_number(struct buf *sql, const char *condition, uint64_t value, bool wanted)
{
    if (wanted)
        buf_printf(sql, " AND %s %" PRIu64, condition, value);
}

void clickhouse_conditions(struct buf *sql, const struct history_query *q)
{
    put_number(sql, "last_ms >=", q->since_ms, q->since_ms);
    put_number(sql, "first_ms <", q->until_ms, q->until_ms);
    put_number(sql, "from_ =", q->from, q->from);
    put_number(sql, "to_ =", q->to, q->to);
    put_number(sql, "rule =", q->rule, q->rule);
    put_number(sql, "process =", q->process, q->process);
    put_number(sql, "user =", q->user, q->user);
    put_number(sql, "reporter =", q->reporter, q->reporter);
    put_number(sql, "port =", (uint64_t)q->port, q->port >= 0);
    put_number(sql, "protocol =", (uint64_t)q->protocol, q->protocol >= 0);
    put_number(sql, "verdict =", (uint64_t)q->verdict, q->verdict >= 0);
    put_number(sql, "origin =", (uint64_t)q->origin, q->origin >= 0);
    if (q->endpoint)
        buf_printf(sql, " AND (from_ = %" PRIu32 " OR to_ = %" PRIu32 ")", q->endpoint,
                   q->endpoint);
    if (q->address) {
        CLEANUP(buf_done) struct buf hex = BUF_INIT;

        for (size_t i = 0; i < sizeof(q->address->bytes); i++)
            buf_printf(&hex, "%02x", q->address->bytes[i]);
        buf_printf(sql, " AND (source = unhex('%s') OR destination = unhex('%s'))", buf_str(&hex),
                   buf_str(&hex));
    }
}
