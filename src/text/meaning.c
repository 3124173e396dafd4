/* SPDX-License-Identifier: Apache-2.0 */
/* A difference, written twice and bounded; see meaning.h. */
#include "text/meaning.h"

#include "base/buf.h"
#include "core/diff.h"
#include "core/reach.h"
#include "text/diff_report.h"
#include "text/reach_report.h"

void meaning_done(struct meaning *m)
{
    free(m->text);
    free(m->json);
    *m = (struct meaning){.text = NULL};
}

/* Whole lines only. */
static char *bounded_text(struct buf *b)
{
    size_t kept = MEANING_TEXT_MAX, cut = 0;

    if (b->size <= MEANING_TEXT_MAX)
        return buf_take(b);
    while (kept && b->data[kept - 1] != '\n')
        kept--;
    for (size_t i = kept; i < b->size; i++)
        cut += b->data[i] == '\n';
    b->data[b->size = kept] = 0;
    buf_printf(b, "! and %zu more lines\n", cut);
    return buf_take(b);
}

/* Groups that reach more or less; '*ret_n' 0 when ends are too many to be told apart. */
static struct reach_change *find_reach(const struct world *before, const struct world *after,
                                       size_t *ret_n)
{
    CLEANUP(hops_freep) struct hops *was = NULL;
    CLEANUP(hops_freep) struct hops *is = NULL;
    struct reach_change *changes = NULL;

    *ret_n = 0;
    if (hops_new(before, NULL, &was) < 0 || hops_new(after, NULL, &is) < 0)
        return NULL;
    *ret_n = reach_changes(was, is, &changes);
    return changes;
}

static void write_json(struct buf *b, const struct diff *d, const struct reach_change reach[],
                       size_t n)
{
    buf_putc(b, '{');
    diff_report_json_fields(b, d);
    buf_puts(b, ", \"reach\": ");
    reach_report_changes_json(b, reach, n);
    buf_putc(b, '}');
}

bool meaning_of(const struct world *before, const struct world *after, struct meaning *ret_m)
{
    static const struct diff untold = {.incomplete = true};
    CLEANUP(diff_freep) struct diff *d = NULL;
    CLEANUP(free_voidp) struct reach_change *reach = NULL;
    struct buf text = BUF_INIT, json = BUF_INIT;
    const struct diff *told = diff_new(before, after, &d) < 0 ? &untold : d;
    size_t n = 0;

    if (!diff_is_empty(told))
        reach = find_reach(before, after, &n);
    diff_report_text(&text, told, before, after);
    if (n)
        reach_report_changes_text(&text, "> ", reach, n, MEANING_REACH_SHOWN);
    write_json(&json, told, reach, n);
    if (json.size > MEANING_JSON_MAX) {
        buf_reset(&json);
        write_json(&json, &untold, reach, n);
    }
    *ret_m = (struct meaning){.text = bounded_text(&text), .json = buf_take(&json)};
    return diff_is_empty(told);
}
