/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that stand out (core/rare.h), in the thread. */
#include "controller/flows/job.h"
#include "controller/json.h"
#include "text/rare_report.h"

static const char *text_of(const void *keeper, text_t number)
{
    return history_text_of(keeper, number);
}

static int take(void *user, const struct flow *flows, size_t n)
{
    struct flows_job *j = user;

    for (size_t i = 0; i < n; i++)
        if ((flows[i].first_ms >= j->since_ms) == j->in_window && flows[i].first_ms < j->until_ms)
            rare_add(j->rare, &flows[i], 1);
    return 0;
}

/* Of before only sums are wanted, which are read much quicker. */
int job_rare(struct flows_job *j)
{
    const struct flows_trial *t = j->trial;
    struct history_query before = HISTORY_QUERY_ALL, window = HISTORY_QUERY_ALL;
    int r;

    before.until_ms = window.since_ms = j->since_ms;
    window.until_ms = j->until_ms;
    j->world = world_new(t->policy, t->inventory, (int64_t)(j->until_ms / 1000));
    j->rare =
        rare_new(j->world, j->evidence->ends, j->rare_kinds, j->since_ms, text_of, j->f->history);
    r = history_edges(j->snapshot, &before, take, j, &j->progress);
    j->in_window = true;
    if (r == 0)
        r = history_scan(j->snapshot, &window, take, j, &j->progress);
    if (r == 0)
        j->n_rare = rare_find(j->rare, &j->rare_lines);
    return r;
}

json_t *job_rare_json(struct flows_job *j)
{
    const struct rare_told t = {.lines = j->rare_lines,
                                .n = j->n_rare,
                                .totals = rare_totals(j->rare),
                                .text = text_of,
                                .keeper = j->f->history,
                                .since_ms = j->since_ms,
                                .until_ms = j->until_ms,
                                .oldest_ms = j->oldest_ms,
                                .max = j->max,
                                .kinds = j->rare_kinds};
    CLEANUP(buf_done) struct buf json = BUF_INIT, text = BUF_INIT;

    rare_report_json(&json, &t);
    rare_report_text(&text, &t);
    return json_of_report(&json, &text);
}
