/* SPDX-License-Identifier: Apache-2.0 */
/* Lines under findings; see report.h. */
#include "text/report.h"

#include "base/utf8.h"
#include "text/json.h"

enum {
    SHOWN_BEFORE = 60, /* Characters of a long line before the finding, and from it on. */
    SHOWN_FROM = 80,
    MESSAGE_MAX = 400,
};

static void escaped(struct buf *b, const char *s)
{
    buf_escape(b, s, strlen(s), MESSAGE_MAX);
}

/* The line with this number, without its end; NULL: there is none. */
static const char *find_line(const struct source *source, uint32_t line, size_t *ret_len)
{
    const char *p = source->data, *end = p + source->size, *newline;

    for (uint32_t at = 1; p < end; at++, p = newline + 1) {
        newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline)
            newline = end;
        if (at == line) {
            *ret_len = (size_t)(newline - p);
            if (*ret_len && p[*ret_len - 1] == '\r')
                --*ret_len;
            return p;
        }
        if (newline == end)
            break;
    }
    return NULL;
}

static void mark(struct buf *b, size_t n, char c)
{
    while (n--)
        buf_putc(b, c);
}

/* The source line from about 'column' on, and a caret line under it that has the same width. */
static void caret(struct buf *b, const struct source *source, const struct place *p)
{
    struct buf under = BUF_INIT;
    size_t len = 0, n, marked = 0;
    const char *s = find_line(source, p->line, &len);
    uint32_t column = 1, first = p->column > SHOWN_BEFORE ? p->column - SHOWN_BEFORE : 1;

    if (!s)
        return;
    buf_printf(b, "  %6u | %s", p->line, first > 1 ? "..." : "");
    buf_printf(&under, "         | %s", first > 1 ? "   " : "");
    for (size_t i = 0; i < len && column < p->column + SHOWN_FROM; i += n, column++) {
        size_t before = b->size, width;
        bool here = column >= p->column && column < p->column + p->width;

        n = utf8_decode(s + i, len - i, &(uint32_t){0});
        if (!n)
            n = 1;
        if (column < first)
            continue;
        if (s[i] == '\t')
            buf_putc(b, ' ');
        else
            buf_escape(b, s + i, n, n);
        /* A character that shows is one wide; what is escaped is as wide as its escape. */
        width = utf8_printable(s + i, n) || s[i] == '\t' ? 1 : b->size - before;
        if (here || column < p->column)
            mark(&under, width, column < p->column ? ' ' : '~');
        if (here && !marked++)
            under.data[under.size - width] = '^';
    }
    if (!marked) { /* At the end of the line. */
        buf_putc(&under, '^');
    }
    buf_putc(b, '\n');
    buf_puts(b, buf_str(&under));
    buf_putc(b, '\n');
    buf_done(&under);
}

static void detail(struct buf *b, const char *what, const char *s)
{
    if (!s)
        return;
    buf_printf(b, "         %s: ", what);
    escaped(b, s);
    buf_putc(b, '\n');
}

static void report_one(struct buf *b, const struct diagnostic *x, const struct source sources[],
                       size_t n)
{
    if (x->place.line) {
        escaped(b, x->place.file);
        buf_printf(b, ":%u:%u: ", x->place.line, x->place.column);
    }
    buf_printf(b, "%s %s: ", severity_name(code_severity(x->code)), code_name(x->code));
    escaped(b, x->message);
    buf_putc(b, '\n');
    for (size_t i = 0; i < n && x->place.line; i++)
        if (strcmp(sources[i].name, x->place.file) == 0) {
            caret(b, &sources[i], &x->place);
            break;
        }
    detail(b, "expected", x->expected);
    detail(b, "nearest", x->nearest);
    detail(b, "fix", x->fix);
}

void report_text(struct buf *b, const struct diagnostics *d, const struct source sources[],
                 size_t n)
{
    for (size_t i = 0; i < d->n; i++)
        report_one(b, &d->items[i], sources, n);
    if (d->n_dropped)
        buf_printf(b, "and %zu more\n", d->n_dropped);
}

static void count(struct buf *b, size_t n, const char *what)
{
    buf_printf(b, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

void report_summary(struct buf *b, const struct diagnostics *d)
{
    count(b, d->n_errors, "error");
    buf_puts(b, ", ");
    count(b, d->n_warnings, "warning");
}

static void put_text(struct buf *b, const char *key, const char *s)
{
    if (!s)
        return;
    buf_printf(b, ",\"%s\":", key);
    json_quote(b, s);
}

void report_json(struct buf *b, const struct diagnostics *d)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < d->n; i++) {
        const struct diagnostic *x = &d->items[i];

        buf_printf(b, "%s{\"code\":\"%s\",\"severity\":\"%s\"", i ? "," : "", code_name(x->code),
                   severity_name(code_severity(x->code)));
        if (x->place.line) {
            put_text(b, "file", x->place.file);
            buf_printf(b, ",\"line\":%u,\"column\":%u", x->place.line, x->place.column);
        }
        put_text(b, "message", x->message);
        put_text(b, "expected", x->expected);
        put_text(b, "nearest", x->nearest);
        put_text(b, "fix", x->fix);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}
