/* SPDX-License-Identifier: Apache-2.0 */
/* A difference, written twice and bounded; see meaning.h. */
#include "controller/meaning.h"

#include "base/buf.h"
#include "core/diff.h"
#include "text/diff_report.h"

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

void meaning_of(const struct world *before, const struct world *after, struct meaning *ret_m)
{
    static const struct diff untold = {.incomplete = true};
    CLEANUP(diff_freep) struct diff *d = NULL;
    struct buf text = BUF_INIT, json = BUF_INIT;
    const struct diff *told = diff_new(before, after, &d) < 0 ? &untold : d;

    diff_report_text(&text, told, before, after);
    diff_report_json(&json, told);
    if (json.size > MEANING_JSON_MAX) {
        buf_reset(&json);
        diff_report_json(&json, &untold);
    }
    *ret_m = (struct meaning){.text = bounded_text(&text), .json = buf_take(&json)};
}
