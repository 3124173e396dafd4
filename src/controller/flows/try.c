/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded connections judged by a candidate (core/replay.h), in the thread. */

#include "base/date.h"
#include "controller/flows/job.h"
#include "controller/json.h"
#include "sys/clock.h"
#include "text/replay_report.h"

static const char *text_of(const void *keeper, text_t number)
{
    return history_text_of(keeper, number);
}

void trial_free(struct flows_trial *t)
{
    if (!t)
        return;
    compiled_free(t->compiled);
    inventory_free(t->inventory);
    policy_free(t->policy);
    free(t);
}

static int take(void *user, const struct flow *flows, size_t n)
{
    struct flows_job *j = user;

    for (size_t i = 0; i < n; i++)
        if (asked_matches(&j->asked, &flows[i]))
            replay_add(j->replay, &flows[i], 1);
    return 0;
}

int job_try(struct flows_job *j)
{
    const char *what;
    int r;

    j->replay = replay_new(j->trial->compiled, j->trial->inventory, text_of, j->f->history);
    r = history_scan(j->snapshot, &j->asked.query, take, j, &j->progress);
    return r < 0 ? r : replay_judge(j->replay, &what);
}

json_t *job_try_json(struct flows_job *j)
{
    uint64_t since_ms = j->since_ms > j->oldest_ms ? j->since_ms : j->oldest_ms;
    struct replay_told t = {
        .replay = j->replay,
        .current = desired_current(j->f->options.desired)->policy,
        .candidate = j->trial->policy,
        .text = text_of,
        .keeper = j->f->history,
        .since_s = (int64_t)(since_ms / 1000),
        .until_s = (int64_t)((j->until_ms ? j->until_ms : clock_unix_ms()) / 1000),
        .max = j->max,
    };
    CLEANUP(buf_done) struct buf json = BUF_INIT, text = BUF_INIT;
    json_t *answer;

    if (!j->replay) /* Nothing could be in the window. */
        j->replay = replay_new(j->trial->compiled, j->trial->inventory, text_of, j->f->history);
    t.replay = j->replay;
    replay_report_json(&json, &t);
    replay_report_text(&text, &t);
    answer = json_of_report(&json, &text);
    (void)json_object_set_new(answer, "redundant", json_boolean(j->trial->is_redundant));
    return answer;
}
