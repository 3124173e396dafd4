/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the policy in force before somebody changes it: findings, proofs, reach. */
#include <errno.h>
#include <time.h>

#include "base/number.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "core/lint.h"
#include "core/reach.h"
#include "text/proof_report.h"
#include "text/reach_report.h"
#include "text/report.h"
#include "text/unprotected_report.h"

enum { PEAKS = 10, MAX_HOPS = 1000 };

static const struct world *world_of(struct app *app)
{
    return desired_world(app->desired, (int64_t)time(NULL));
}

/* False, with a problem, when there are too many kinds of ends to ask about all. */
static bool make_hops(const struct world *w, struct hops **ret_h, struct http_response *a)
{
    if (hops_new(w, NULL, ret_h) == 0)
        return true;
    http_problem(a, 422, "too many services or kinds of endpoints to ask about all of them");
    return false;
}

static void answer_text(struct http_response *a, struct buf *json)
{
    http_ok(a, json_loads(buf_str(json), 0, NULL));
    buf_done(json);
}

void get_findings(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct buf b = BUF_INIT;

    (void)q;
    policy_lint(w, true, d);
    (void)policy_run_tests(w, d); /* Failures are findings. */
    (void)policy_run_proofs(w, d);
    report_json(&b, d);
    answer_text(a, &b);
}

void get_proofs(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct buf b = BUF_INIT;

    (void)q;
    if (!make_hops(w, &h, a))
        return;
    (void)proof_report_all_json(&b, h); /* The answer says which hold. */
    answer_text(a, &b);
}

static void answer_furthest(const struct world *w, const struct hops *h, struct http_response *a)
{
    struct reach_peak peaks[PEAKS];
    size_t n = reach_furthest(h, peaks, PEAKS);
    struct buf b = BUF_INIT;

    reach_report_peaks_json(&b, w->inventory, peaks, n);
    answer_text(a, &b);
}

void get_radius(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    const char *from = http_query(q, "from"), *hops = http_query(q, "hops");
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct buf b = BUF_INIT;
    struct reach_start start;
    struct reach reach;
    uint64_t max = 0;
    int r;

    if (hops && (!from || number_parse(hops, strlen(hops), MAX_HOPS, &max) < 0 || !max)) {
        http_problem(a, 400, "hops must be a number from 1 to %d, and goes with from", MAX_HOPS);
        return;
    }
    r = from ? reach_start_find(w, from, &start) : 0;
    if (r == -ENOTUNIQ) {
        http_problem(a, 400, "\"%s\" is a group and an endpoint: group:NAME or endpoint:NAME",
                     from);
        return;
    }
    if (r < 0) {
        http_problem(a, 404, "no group and no endpoint is named \"%s\"", from);
        return;
    }
    if (!make_hops(w, &h, a))
        return;
    if (!from) {
        answer_furthest(w, h, a);
        return;
    }
    reach_of(h, &start, http_query(q, "inside") != NULL, &reach);
    reach_report_json(&b, w->inventory, &start, &reach, max);
    reach_done(&reach);
    answer_text(a, &b);
}

void get_unprotected(void *user, const struct http_request *q, struct http_response *a)
{
    const char *list = http_query(q, "reason");
    CLEANUP(unprotected_freep) struct unprotected *u = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct buf b = BUF_INIT;
    unsigned reasons = UNPROTECTED_ALL;

    if (list && unprotected_reasons_parse(list, &reasons) < 0) {
        http_problem(a, 400, "reason: expected a list of no-enforcer, agent-only, plain-switch");
        return;
    }
    if (unprotected_new(world_of(user), &u) < 0) {
        http_problem(a, 422, "too many kinds of endpoints to ask about all pairs");
        return;
    }
    (void)unprotected_report_json(&b, u, reasons); /* The answer has the counts. */
    answer_text(a, &b);
    (void)unprotected_report_text(&text, u, reasons);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
}

void get_if_owned(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    const struct endpoint *e = inventory_endpoint(w->inventory, q->param);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct buf b = BUF_INIT;
    uint32_t index;

    if (!e) {
        http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
        return;
    }
    index = (uint32_t)(e - w->inventory->endpoints);
    unprotected_report_owned_json(&b, w, index);
    answer_text(a, &b);
    unprotected_report_owned_text(&text, w, index);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
}
