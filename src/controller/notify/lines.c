/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/notify/lines.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/json.h"

static const struct {
    const char *name;
    const char *title;
    int severity; /* RFC 5424 table 2. */
} kinds[] = {
    [LINE_DENIAL] = {"denial", "Connection denied", 4},
    [LINE_NOTICE] = {"notice", "Agent noticed", 3},
    [LINE_POLICY] = {"policy", "Policy changed", 5},
    [LINE_TRUST] = {"quarantine", "Trust changed", 4},
    [LINE_LOGIN] = {"login", "Login", 6},
    [LINE_AUDIT] = {"audit", "Changed", 6},
};

enum line_kind line_kind_of_action(const char *action)
{
    if (strncmp(action, "login", 5) == 0 || strcmp(action, "logout") == 0)
        return LINE_LOGIN;
    if (strncmp(action, "policy.", 7) == 0 || strncmp(action, "inventory.", 10) == 0 ||
        strncmp(action, "draft.", 6) == 0)
        return LINE_POLICY;
    return strncmp(action, "endpoint.", 9) == 0 ? LINE_TRUST : LINE_AUDIT;
}

const char *line_kind_name(enum line_kind kind)
{
    return kinds[kind].name;
}

int line_severity(const struct line *l)
{
    if (l->kind == LINE_NOTICE && strcmp(json_text(l->data, "kind"), "tamper") == 0)
        return 2;
    if (l->kind == LINE_LOGIN && strcmp(json_text(l->data, "action"), "login.failed") == 0)
        return 4;
    return kinds[l->kind].severity;
}

/* ---- CEF (ArcSight Common Event Format, version 0) ---- */

/* Foreign text made harmless, then with a backslash before each of 'special'. */
static void add_escaped(struct buf *b, const char *text, const char *special)
{
    CLEANUP(buf_done) struct buf harmless = BUF_INIT;

    buf_escape(&harmless, text, strlen(text), LINE_VALUE_MAX);
    for (const char *at = buf_str(&harmless); *at; at++) {
        if (strchr(special, *at))
            buf_putc(b, '\\');
        buf_putc(b, *at);
    }
}

static void add_header(struct buf *b, const char *text)
{
    add_escaped(b, text, "\\|");
    buf_putc(b, '|');
}

static void add_text(struct buf *b, const char *key, const char *value)
{
    if (!value[0])
        return;
    buf_printf(b, " %s=", key);
    add_escaped(b, value, "\\=");
}

static void add_number(struct buf *b, const char *key, uint64_t value)
{
    buf_printf(b, " %s=%" PRIu64, key, value);
}

static void add_flow(struct buf *b, const json_t *f)
{
    add_text(b, "act", json_text(f, "verdict"));
    add_text(b, "src", json_text(f, "from_address"));
    add_text(b, "shost", json_text(f, "from"));
    add_text(b, "dst", json_text(f, "to_address"));
    add_text(b, "dhost", json_text(f, "to"));
    add_number(b, "dpt", json_uint(f, "port"));
    add_text(b, "proto", json_text(f, "protocol"));
    add_text(b, "sproc", json_text(f, "process"));
    add_text(b, "suser", json_text(f, "user"));
    add_number(b, "cnt", json_uint(f, "count"));
    buf_puts(b, " cs1Label=rule cs2Label=layer");
    add_text(b, "cs1", json_text(f, "rule"));
    add_text(b, "cs2", json_text(f, "layer"));
}

static void add_extension(struct buf *b, const struct line *l)
{
    buf_printf(b, "rt=%" PRId64, l->time_ms);
    if (l->kind == LINE_DENIAL) {
        add_flow(b, l->data);
    } else if (l->kind == LINE_NOTICE) {
        add_text(b, "dhost", json_text(l->data, "endpoint"));
        add_text(b, "act", json_text(l->data, "kind"));
        add_text(b, "filePath", json_text(l->data, "object"));
        add_text(b, "msg", json_text(l->data, "text"));
    } else {
        add_text(b, "suser", json_text(l->data, "actor"));
        add_text(b, "act", json_text(l->data, "action"));
        add_text(b, "msg", json_text(l->data, "detail"));
        add_number(b, "externalId", json_uint(l->data, "seq"));
        buf_puts(b, " cs1Label=object");
        add_text(b, "cs1", json_text(l->data, "object"));
    }
}

static void add_cef(struct buf *b, const struct line *l)
{
    const char *action = json_text(l->data, "action");

    buf_puts(b, "CEF:0|Suimitsu|suimitsud|" SUIMITSU_VERSION "|");
    add_header(b, action[0] ? action : kinds[l->kind].name);
    add_header(b, kinds[l->kind].title);
    buf_printf(b, "%d|", 10 - line_severity(l)); /* 0 to 10, the other way round. */
    add_extension(b, l);
}

/* ---- JSON ---- */

/* A copy in which each text is harmless and cut. */
static json_t *harmless(const json_t *data)
{
    json_t *copy = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)data, key, value)
    {
        CLEANUP(buf_done) struct buf text = BUF_INIT;

        if (!json_is_string(value)) {
            if (!json_is_object(value) && !json_is_array(value))
                (void)json_object_set(copy, key, value);
            continue;
        }
        buf_escape(&text, json_string_value(value), json_string_length(value), LINE_VALUE_MAX);
        (void)json_object_set_new(copy, key, json_any_text(buf_str(&text)));
    }
    return copy;
}

static void add_json(struct buf *b, const struct line *l)
{
    CLEANUP(json_decrefp)
    json_t *j = json_pack("{s:s,s:o}", "type", kinds[l->kind].name, "data", harmless(l->data));
    CLEANUP(free_voidp) char *text = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);

    if (!text)
        abort(); /* Out of memory. */
    buf_puts(b, text);
}

void line_content(struct buf *b, const struct line *l, enum line_format format)
{
    if (format == LINE_CEF)
        add_cef(b, l);
    else
        add_json(b, l);
}

void line_syslog(struct buf *b, const struct line *l, enum line_format format, const char *host,
                 int pid)
{
    char time[DATE_TEXT_SIZE];
    size_t len;

    (void)date_format_time(l->time_ms / 1000, time);
    len = strcspn(time, "Z");
    buf_printf(b, "<%d>1 %.*s.%03dZ ", LINE_FACILITY * 8 + line_severity(l), (int)len, time,
               (int)(l->time_ms % 1000));
    for (const char *at = host[0] ? host : "-"; *at; at++) /* PRINTUSASCII, RFC 5424 section 6. */
        buf_putc(b, (char)(*at > ' ' && *at <= '~' ? *at : '?'));
    buf_printf(b, " suimitsud %d %s - ", pid, kinds[l->kind].name);
    line_content(b, l, format);
}
