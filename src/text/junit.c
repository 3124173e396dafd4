/* SPDX-License-Identifier: Apache-2.0 */
/* XML 1.0, by hand: five characters are special; see junit.h. */
#include "text/junit.h"

void junit_done(struct junit *j)
{
    buf_done(&j->cases);
}

static void escaped(struct buf *b, const char *s)
{
    struct buf safe = BUF_INIT;

    /* Line by line, so that the lines of details stay lines. */
    for (const char *line = s; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        buf_escape(&safe, line, strcspn(line, "\n"), SIZE_MAX);
        if (line[strcspn(line, "\n")])
            buf_putc(&safe, '\n');
    }
    for (const char *p = buf_str(&safe); *p; p++)
        switch (*p) {
        case '&':
            buf_puts(b, "&amp;");
            break;
        case '<':
            buf_puts(b, "&lt;");
            break;
        case '>':
            buf_puts(b, "&gt;");
            break;
        case '"':
            buf_puts(b, "&quot;");
            break;
        default:
            buf_putc(b, *p);
        }
    buf_done(&safe);
}

static void attribute(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, " %s=\"", name);
    escaped(b, value);
    buf_putc(b, '"');
}

void junit_case(struct junit *j, const char *kind, const char *name, const struct place *place,
                enum junit_result result, const char *message, const char *details)
{
    static const char *const elements[] = {"", "failure", "error", "skipped"};
    struct buf *b = &j->cases;

    j->n++;
    j->n_failed += result == JUNIT_FAILED;
    j->n_errors += result == JUNIT_ERROR;
    j->n_skipped += result == JUNIT_SKIPPED;
    buf_puts(b, "  <testcase");
    attribute(b, "classname", kind);
    attribute(b, "name", name);
    if (place && place->line) {
        attribute(b, "file", place->file);
        buf_printf(b, " line=\"%u\"", place->line);
    }
    if (result == JUNIT_PASSED) {
        buf_puts(b, "/>\n");
        return;
    }
    buf_printf(b, ">\n    <%s", elements[result]);
    attribute(b, "message", message);
    buf_putc(b, '>');
    escaped(b, details ? details : "");
    buf_printf(b, "</%s>\n  </testcase>\n", elements[result]);
}

void junit_write(struct buf *b, const struct junit *j, const char *suite)
{
    buf_puts(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite");
    attribute(b, "name", suite);
    buf_printf(b, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\">\n", j->n,
               j->n_failed, j->n_errors, j->n_skipped);
    buf_add(b, j->cases.data, j->cases.size);
    buf_puts(b, "</testsuite>\n");
}
