/* SPDX-License-Identifier: Apache-2.0 */
/* Which rules are used and how (core/hygiene.h), in the thread; and what is known without it. */
#include "controller/flows/job.h"
#include "controller/json.h"
#include "text/hygiene_report.h"

/* ---- on the loop ---- */

static void know_past(const struct flows *f, const struct births *births, const struct rule *r,
                      struct hygiene_past *ret)
{
    text_t text = history_find_text(f->history, r->id, strlen(r->id));
    struct history_use use;

    *ret = (struct hygiene_past){.since_s = births_of(births, r->id)};
    if (text && history_use(f->history, text, &use) == 0)
        ret->last_ms = use.last_ms;
}

struct flows_evidence *flows_evidence_new(const struct flows *f, const struct births *births,
                                          const struct policy *policy,
                                          const struct inventory *inventory, uint64_t since_ms,
                                          uint64_t until_ms)
{
    struct flows_evidence *e = xcalloc(1, sizeof(*e));
    struct history_state state;

    e->rules = xcalloc(policy->n_rules, sizeof(*e->rules));
    for (size_t i = 0; i < policy->n_rules; i++)
        know_past(f, births, &policy->rules[i], &e->rules[i]);
    e->ends = xcalloc(inventory->n_endpoints, 1);
    for (size_t i = 0; i < inventory->n_endpoints; i++)
        e->ends[i] =
            f->options.reports(f->options.user, inventory->endpoints[i].name) ? HYGIENE_TELLS : 0;
    history_state(f->history, &state);
    e->evidence = (struct hygiene_evidence){
        .since_ms = since_ms,
        .until_ms = until_ms,
        .oldest_ms = state.oldest_ms,
        .rules = e->rules,
        .ends = e->ends,
        .lost_elsewhere = gaps_mark(f, since_ms, until_ms, inventory, e->ends) ||
                          state.damaged_blocks || state.other_texts};
    return e;
}

void flows_evidence_free(struct flows_evidence *e)
{
    if (!e)
        return;
    free(e->rules);
    free(e->ends);
    free(e);
}

/* ---- in the thread ---- */

static const char *text_of(const void *keeper, text_t number)
{
    return history_text_of(keeper, number);
}

static int take(void *user, const struct flow *flows, size_t n)
{
    struct flows_job *j = user;

    hygiene_add(j->hygiene, flows, n);
    replay_add(j->replay, flows, n);
    return 0;
}

int job_hygiene(struct flows_job *j)
{
    const struct flows_trial *t = j->trial;
    const char *what;
    int r;

    j->world = world_new(t->policy, t->inventory, (int64_t)(j->until_ms / 1000));
    j->hygiene = hygiene_new(j->world, &j->evidence->evidence, text_of, j->f->history);
    j->replay = replay_new(t->compiled, t->inventory, text_of, j->f->history);
    replay_watch(j->replay, hygiene_see, j->hygiene);
    r = history_scan(j->snapshot, &j->asked.query, take, j, &j->progress);
    if (r == 0)
        r = replay_judge(j->replay, &what);
    if (r < 0)
        return r;
    if (replay_totals(j->replay)->n_over)
        hygiene_give_up(j->hygiene);
    hygiene_finish(j->hygiene);
    return r;
}

/* ---- on the loop, when it is done ---- */

json_t *job_hygiene_json(struct flows_job *j)
{
    const struct hygiene_told t = {.hygiene = j->hygiene,
                                   .world = j->world,
                                   .evidence = &j->evidence->evidence,
                                   .rule = j->rule};
    const struct replay_totals *totals = replay_totals(j->replay);
    CLEANUP(buf_done) struct buf json = BUF_INIT, text = BUF_INIT;
    json_t *answer;

    hygiene_report_json(&json, &t);
    hygiene_report_text(&text, &t);
    answer = json_of_report(&json, &text);
    (void)json_object_set_new(answer, "records", json_integer((json_int_t)totals->records));
    (void)json_object_set_new(answer, "connections", json_integer((json_int_t)totals->connections));
    return answer;
}
