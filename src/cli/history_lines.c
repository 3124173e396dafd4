/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history_lines.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>

#include "base/date.h"
#include "base/number.h"
#include "core/program.h"
#include "text/json.h"
#include "text/port.h"

enum kind { TIME, ADDRESS, TEXT, NUMBER, UID, PROTOCOL, WORD, ENFORCED, MARKS };

static const char *const verdicts[] = {"deny", "allow", "would-deny", NULL};
static const char *const layers[] = {"lifeline", "quarantine", "glass", "never",
                                     "allow",    "default",    NULL};
static const char *const directions[] = {"out", "in", NULL};
static const char *const marks[] = {"guessed", "estimated", "retimed", "twin"}; /* From bit 1. */
static const char *const origins[] = {"agent", "edge", "ipfix", "netflow5", "netflow9",
                                      "sflow", "aws",  "azure", "gcp",      NULL};

static const struct field {
    const char *name;
    enum kind kind;
    size_t offset, size; /* In struct flow. */
    const char *const *words;
} fields[] = {
#define FIELD(name, kind, member, words)                                                           \
    {                                                                                              \
        name, kind, offsetof(struct flow, member), sizeof(((struct flow *)0)->member), words       \
    }
    FIELD("first", TIME, first_ms, NULL),
    FIELD("last", TIME, last_ms, NULL),
    FIELD("from", TEXT, from, NULL),
    FIELD("source", ADDRESS, source, NULL),
    FIELD("to", TEXT, to, NULL),
    FIELD("destination", ADDRESS, destination, NULL),
    FIELD("protocol", PROTOCOL, protocol, NULL),
    FIELD("port", NUMBER, port, NULL),
    FIELD("verdict", WORD, verdict, verdicts),
    FIELD("enforced", ENFORCED, marks, NULL),
    FIELD("layer", WORD, layer, layers),
    FIELD("rule", TEXT, rule, NULL),
    FIELD("revision", NUMBER, revision, NULL),
    FIELD("process", TEXT, process, NULL),
    FIELD("script", TEXT, script, NULL),
    FIELD("user", TEXT, user, NULL),
    FIELD("uid", UID, uid, NULL),
    FIELD("count", NUMBER, count, NULL),
    FIELD("bytes_out", NUMBER, bytes_out, NULL),
    FIELD("bytes_in", NUMBER, bytes_in, NULL),
    FIELD("reporter", TEXT, reporter, NULL),
    FIELD("direction", WORD, direction, directions),
    FIELD("origin", WORD, origin, origins),
    FIELD("marks", MARKS, marks, NULL),
};

enum { N_FIELDS = ARRAY_SIZE(fields), LINE_MAX_SIZE = 64 << 10 };
_Static_assert(N_FIELDS <= 32, "lines_reader.columns");

static uint64_t number_of(const struct field *d, const struct flow *f)
{
    const char *at = (const char *)f + d->offset;

    switch (d->size) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static void set_number(const struct field *d, struct flow *f, uint64_t v)
{
    char *at = (char *)f + d->offset;

    switch (d->size) {
    case 1:
        *(uint8_t *)at = (uint8_t)v;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)v;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)v;
        break;
    default:
        *(uint64_t *)at = v;
    }
}

/* ---- out ---- */

static void put_time(struct buf *b, uint64_t ms)
{
    char text[DATE_TEXT_SIZE];

    (void)date_format_time((int64_t)(ms / 1000), text);
    buf_printf(b, "%.19s.%03uZ", text, (unsigned)(ms % 1000));
}

static void put_marks(struct buf *b, uint64_t v)
{
    bool some = false;

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (v >> (i + 1) & 1) {
            buf_printf(b, "%s%s", some ? " " : "", marks[i]);
            some = true;
        }
}

static void put_value(struct buf *b, const struct field *d, const struct history *h,
                      const struct flow *f)
{
    char text[ADDRESS_TEXT_SIZE];
    uint64_t v = d->kind == ADDRESS ? 0 : number_of(d, f);

    switch (d->kind) {
    case TIME:
        put_time(b, v);
        break;
    case ADDRESS:
        buf_puts(b, address_format((const struct address *)((const char *)f + d->offset), text));
        break;
    case TEXT:
        buf_puts(b, history_text_of(h, (text_t)v));
        break;
    case UID:
        if (v == UINT32_MAX)
            break;
        buf_printf(b, "%llu", (unsigned long long)v);
        break;
    case NUMBER:
        buf_printf(b, "%llu", (unsigned long long)v);
        break;
    case PROTOCOL:
        buf_puts(b, protocol_name((uint8_t)v, text));
        break;
    case WORD:
        buf_puts(b, d->words[v]);
        break;
    case ENFORCED:
        buf_puts(b, v & FLOW_ENFORCED ? "yes" : "no");
        break;
    case MARKS:
        put_marks(b, v);
        break;
    }
}

void lines_header(struct buf *out, enum lines_format format)
{
    for (size_t i = 0; format == LINES_CSV && i < N_FIELDS; i++) {
        buf_puts(out, i ? "," : "");
        buf_puts(out, fields[i].name);
    }
    if (format == LINES_CSV)
        buf_putc(out, '\n');
}

static void put_csv(struct buf *out, const char *value)
{
    if (!strpbrk(value, ",\"\r\n")) {
        buf_puts(out, value);
        return;
    }
    buf_putc(out, '"');
    for (const char *p = value; *p; p++) {
        if (*p == '"')
            buf_putc(out, '"');
        buf_putc(out, *p);
    }
    buf_putc(out, '"');
}

static void put_json(struct buf *out, const struct field *d, const char *value)
{
    json_quote(out, d->name);
    buf_puts(out, ": ");
    if (d->kind == UID && !*value)
        buf_puts(out, "null");
    else if (d->kind == NUMBER || d->kind == UID)
        buf_puts(out, value);
    else
        json_quote(out, value);
}

void lines_put(struct buf *out, enum lines_format format, const struct history *h,
               const struct flow *f)
{
    CLEANUP(buf_done) struct buf value = BUF_INIT;

    if (format == LINES_JSON)
        buf_putc(out, '{');
    for (size_t i = 0; i < N_FIELDS; i++) {
        buf_reset(&value);
        put_value(&value, &fields[i], h, f);
        if (i)
            buf_puts(out, format == LINES_CSV ? "," : ", ");
        if (format == LINES_CSV)
            put_csv(out, buf_str(&value));
        else
            put_json(out, &fields[i], buf_str(&value));
    }
    buf_puts(out, format == LINES_CSV ? "\n" : "}\n");
}

/* ---- in ---- */

void lines_reader_done(struct lines_reader *r)
{
    if (r->file)
        (void)fclose(r->file); /* It was only read. */
    buf_done(&r->text);
    buf_done(&r->problem);
}

static int wrong(struct lines_reader *r, const struct field *d, const char *found,
                 const char *expected)
{
    buf_reset(&r->problem);
    buf_printf(&r->problem, "line %zu: ", r->line);
    if (d)
        buf_printf(&r->problem, "%s: ", d->name);
    if (found) {
        buf_putc(&r->problem, '"');
        buf_escape(&r->problem, found, strlen(found), 60);
        buf_puts(&r->problem, "\"; ");
    }
    buf_printf(&r->problem, "expected %s", expected);
    return -EINVAL;
}

/* "2026-11-22T10:00:00.123Z": the fraction is ours, the rest date.h's. */
static int take_time(const char *s, uint64_t *ret_ms)
{
    const char *dot = strchr(s, '.');
    int64_t seconds;
    uint64_t ms = 0;
    int r = date_parse_time(s, &seconds);

    if (r < 0 || seconds < 0)
        return -EINVAL;
    if (dot) {
        static const uint64_t scale[] = {0, 100, 10, 1};
        size_t digits = strspn(dot + 1, "0123456789");

        if (digits > 3)
            digits = 3;
        if (number_parse(dot + 1, digits, 999, &ms) < 0)
            return -EINVAL;
        ms *= scale[digits];
    }
    *ret_ms = (uint64_t)seconds * 1000 + ms;
    return 0;
}

static int take_word(struct lines_reader *r, const struct field *d, const char *s, struct flow *f)
{
    CLEANUP(buf_done) struct buf expected = BUF_INIT;

    for (uint64_t i = 0; d->words[i]; i++) {
        if (strcmp(d->words[i], s) == 0) {
            set_number(d, f, i);
            return 0;
        }
        buf_printf(&expected, "%s%s", i ? ", " : "one of ", d->words[i]);
    }
    return wrong(r, d, s, expected.data);
}

static int take_number(struct lines_reader *r, const struct field *d, const char *s, struct flow *f)
{
    uint64_t v = UINT32_MAX, max = d->size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * d->size) - 1;

    if (!(d->kind == UID && !*s) && number_parse(s, strlen(s), max, &v) < 0)
        return wrong(r, d, s, "a number that fits");
    set_number(d, f, v);
    return 0;
}

/* Bits of one number that two columns share. */
static int take_enforced(struct lines_reader *r, const struct field *d, const char *s,
                         struct flow *f)
{
    bool yes = strcmp(s, "yes") == 0;

    if (!yes && strcmp(s, "no") != 0)
        return wrong(r, d, s, "one of no, yes");
    f->marks = (uint8_t)((f->marks & ~FLOW_ENFORCED) | (yes ? FLOW_ENFORCED : 0));
    return 0;
}

static int take_marks(struct lines_reader *r, const struct field *d, const char *s, struct flow *f)
{
    for (const char *at = s; *at; at += at[strspn(at, " ")] ? strspn(at, " ") : strlen(at)) {
        size_t len = strcspn(at, " "), i = 0;

        while (i < ARRAY_SIZE(marks) &&
               (strlen(marks[i]) != len || strncmp(marks[i], at, len) != 0))
            i++;
        if (i == ARRAY_SIZE(marks))
            return wrong(r, d, s, "some of guessed, estimated, retimed");
        f->marks |= (uint8_t)(2u << i);
        at += len;
    }
    return 0;
}

static int take_value(struct lines_reader *r, const struct field *d, const char *s, struct flow *f)
{
    uint64_t v = 0;
    uint8_t protocol;

    switch (d->kind) {
    case TIME:
        if (take_time(s, &v) < 0)
            return wrong(r, d, s, "a time like 2026-11-22T10:00:00.000Z");
        set_number(d, f, v);
        return 0;
    case ADDRESS:
        if (address_parse(s, (struct address *)((char *)f + d->offset)) < 0)
            return wrong(r, d, s, "an IPv4 or IPv6 address");
        return 0;
    case TEXT:
        set_number(d, f, r->h ? history_text(r->h, s, strlen(s)) : 0);
        return 0;
    case PROTOCOL:
        if (protocol_parse(s, &protocol) < 0)
            return wrong(r, d, s, "a protocol: tcp, udp, icmp, or a number");
        set_number(d, f, protocol);
        return 0;
    case UID:
    case NUMBER:
        return take_number(r, d, s, f);
    case WORD:
        return take_word(r, d, s, f);
    case ENFORCED:
        return take_enforced(r, d, s, f);
    case MARKS:
        return take_marks(r, d, s, f);
    }
    return 0;
}

static const struct field *field_of(const char *name)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* A line of JSON, or a record of CSV with the line ends in its quotes.  1, 0: the end. */
static int read_line(struct lines_reader *r)
{
    bool quoted = false;
    int c;

    buf_reset(&r->text);
    r->line++;
    while ((c = getc(r->file)) != EOF) {
        r->bytes++;
        if (c == '\n' && !quoted)
            return 1;
        r->line += c == '\n';
        if (c == '"' && r->format == LINES_CSV)
            quoted = !quoted;
        if (!c || r->text.size >= LINE_MAX_SIZE)
            return wrong(r, NULL, NULL, "text of at most 64 KiB a record, without NUL");
        buf_putc(&r->text, (char)c);
    }
    if (ferror(r->file))
        return -EIO;
    return r->text.size ? 1 : 0;
}

/* Cuts the next value off, in place; NULL: it is not CSV. */
static char *next_value(char **rest)
{
    char *value = *rest, *to = value, *from = value;

    if (*from != '"') {
        from += strcspn(from, ",");
        *rest = *from ? from + 1 : NULL;
        if (!*rest && from > value && from[-1] == '\r')
            from--;
        *from = 0;
        return value;
    }
    for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
        from += *from == '"';
        *to++ = *from;
    }
    if (*from != '"')
        return NULL;
    from++;
    from += *from == '\r' && !from[1];
    if (*from && *from != ',')
        return NULL;
    *rest = *from ? from + 1 : NULL;
    *to = 0;
    return value;
}

static int take_header(struct lines_reader *r)
{
    char *rest = r->text.data;

    while (rest) {
        char *value = next_value(&rest);
        const struct field *d = value ? field_of(value) : NULL;

        if (!d || r->n_columns == N_FIELDS)
            return wrong(r, NULL, value, "a header of the columns that export writes");
        r->columns[r->n_columns++] = (size_t)(d - fields);
    }
    return 0;
}

static int take_csv(struct lines_reader *r, struct flow *f)
{
    char *rest = r->text.data;

    for (size_t i = 0; i < r->n_columns; i++) {
        char *value = rest ? next_value(&rest) : NULL;
        int e = value ? take_value(r, &fields[r->columns[i]], value, f)
                      : wrong(r, &fields[r->columns[i]], NULL, "as many values as the header has");

        if (e < 0)
            return e;
    }
    return rest ? wrong(r, NULL, NULL, "as many values as the header has") : 0;
}

static int take_json_value(struct lines_reader *r, const char *key, const json_t *value,
                           struct flow *f)
{
    const struct field *d = field_of(key);
    char text[32];

    if (!d)
        return wrong(r, NULL, key, "only the keys that export writes");
    if (json_is_string(value) && d->kind != NUMBER && d->kind != UID)
        return take_value(r, d, json_string_value(value), f);
    if (json_is_null(value) && d->kind == UID)
        return take_value(r, d, "", f);
    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        (d->kind == NUMBER || d->kind == UID)) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        return take_value(r, d, text, f);
    }
    return wrong(r, d, NULL, d->kind == NUMBER ? "a number" : "a string");
}

static int take_json(struct lines_reader *r, struct flow *f)
{
    json_error_t error;
    json_t *line = json_loadb(r->text.data, r->text.size, JSON_REJECT_DUPLICATES, &error);
    const char *key;
    json_t *value;
    int e = 0;

    if (!json_is_object(line))
        e = wrong(r, NULL, line ? NULL : error.text, "a JSON object a line");
    json_object_foreach(line, key, value)
    {
        if (e == 0)
            e = take_json_value(r, key, value, f);
    }
    json_decref(line);
    return e;
}

int lines_read(struct lines_reader *r, struct flow *ret_f)
{
    struct flow f = {.uid = UINT32_MAX, .count = 1};
    int e = 0;

    if (r->format == LINES_CSV && !r->n_columns) {
        e = read_line(r);
        if (e == 1)
            e = take_header(r);
        if (e < 0)
            return e;
    }
    e = read_line(r);
    if (e != 1)
        return e;
    e = r->format == LINES_CSV ? take_csv(r, &f) : take_json(r, &f);
    if (e < 0)
        return e;
    if (!f.last_ms)
        f.last_ms = f.first_ms;
    if (!f.first_ms || f.last_ms < f.first_ms || f.last_ms - f.first_ms > 86400000)
        return wrong(r, NULL, NULL, "first and last, in order, at most a day apart");
    *ret_f = f;
    return 1;
}
