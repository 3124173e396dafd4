/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the policy in force before somebody changes it: findings, proofs, reach. */
#include <errno.h>

#include "base/number.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "core/lint.h"
#include "core/reach.h"
#include "text/proof_report.h"
#include "text/reach_report.h"
#include "text/report.h"
#include "text/unprotected_report.h"

enum { PEAKS = 10, MAX_HOPS = 1000 };

/* False, with a problem, when there are too many kinds of ends to ask about all. */
static bool make_hops(const struct world *w, struct hops **ret_h, struct http_response *a)
{
    if (hops_new(w, NULL, ret_h) == 0)
        return true;
    http_problem(a, 422, "too many services or kinds of endpoints to ask about all of them");
    return false;
}

static void answer_text(struct http_response *a, struct buf *json, const struct view *v)
{
    http_ok(a, json_loads(buf_str(json), 0, NULL));
    buf_done(json);
    view_stamp(v, a);
}

void get_findings(void *user, const struct http_request *q, struct http_response *a)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct buf b = BUF_INIT;
    struct view v;

    if (!view_open(user, q, a, &v))
        return;
    progress_expect(q->progress, 2 + v.world->policy->n_tests + v.world->policy->n_proofs);
    policy_lint(v.world, true, d);
    progress_step(q->progress, 1);
    app_lint_use(user, &v, d);
    progress_step(q->progress, 1);
    (void)policy_run_tests(v.world, d); /* Failures are findings. */
    progress_step(q->progress, v.world->policy->n_tests);
    (void)policy_count_proofs(v.world, q->progress, d);
    report_json(&b, d);
    answer_text(a, &b, &v);
}

void get_proofs(void *user, const struct http_request *q, struct http_response *a)
{
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct buf b = BUF_INIT;
    struct view v;

    if (!view_open(user, q, a, &v))
        return;
    progress_expect(q->progress, 1 + v.world->policy->n_proofs);
    if (!make_hops(v.world, &h, a))
        return;
    progress_step(q->progress, 1);
    (void)proof_report_all_json(&b, h, q->progress); /* The answer says which hold. */
    answer_text(a, &b, &v);
}

static void answer_furthest(const struct view *v, const struct hops *h, struct http_response *a)
{
    struct reach_peak peaks[PEAKS];
    size_t n = reach_furthest(h, peaks, PEAKS);
    struct buf b = BUF_INIT;

    reach_report_peaks_json(&b, v->world->inventory, peaks, n);
    answer_text(a, &b, v);
}

void get_radius(void *user, const struct http_request *q, struct http_response *a)
{
    const char *from = http_query(q, "from"), *hops = http_query(q, "hops");
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct buf b = BUF_INIT;
    struct reach_start start;
    struct reach reach;
    struct view v;
    uint64_t max = 0;
    int r;

    if (!view_open(user, q, a, &v))
        return;
    if (hops && (!from || number_parse(hops, strlen(hops), MAX_HOPS, &max) < 0 || !max)) {
        http_problem(a, 400, "hops must be a number from 1 to %d, and goes with from", MAX_HOPS);
        return;
    }
    r = from ? reach_start_find(v.world, from, &start) : 0;
    if (r == -ENOTUNIQ) {
        http_problem(a, 400, "\"%s\" is a group and an endpoint: group:NAME or endpoint:NAME",
                     from);
        return;
    }
    if (r < 0) {
        http_problem(a, 404, "no group and no endpoint is named \"%s\"", from);
        return;
    }
    progress_expect(q->progress, 2);
    if (!make_hops(v.world, &h, a))
        return;
    progress_step(q->progress, 1);
    if (!from) {
        answer_furthest(&v, h, a);
        progress_step(q->progress, 1);
        return;
    }
    reach_of(h, &start, http_query(q, "inside") != NULL, &reach);
    progress_step(q->progress, 1);
    reach_report_json(&b, v.world->inventory, &start, &reach, max);
    reach_done(&reach);
    answer_text(a, &b, &v);
}

void get_unprotected(void *user, const struct http_request *q, struct http_response *a)
{
    const char *list = http_query(q, "reason");
    CLEANUP(unprotected_freep) struct unprotected *u = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct buf b = BUF_INIT;
    unsigned reasons = UNPROTECTED_ALL;
    struct view v;

    if (list && unprotected_reasons_parse(list, &reasons) < 0) {
        http_problem(
            a, 400,
            "reason: expected a list of no-enforcer, agent-only, plain-switch, guessed-identity");
        return;
    }
    if (!view_open(user, q, a, &v))
        return;
    if (unprotected_new(v.world, q->progress, &u) < 0) {
        http_problem(a, 422, "too many kinds of endpoints to ask about all pairs");
        return;
    }
    (void)unprotected_report_json(&b, u, reasons); /* The answer has the counts. */
    answer_text(a, &b, &v);
    (void)unprotected_report_text(&text, u, reasons);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
}

void get_if_owned(void *user, const struct http_request *q, struct http_response *a)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct buf b = BUF_INIT;
    const struct endpoint *e;
    struct view v;
    uint32_t index;

    if (!view_open(user, q, a, &v))
        return;
    e = inventory_endpoint(v.world->inventory, q->param);
    if (!e) {
        http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
        return;
    }
    index = (uint32_t)(e - v.world->inventory->endpoints);
    unprotected_report_owned_json(&b, v.world, index);
    answer_text(a, &b, &v);
    unprotected_report_owned_text(&text, v.world, index);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
}
