/* SPDX-License-Identifier: Apache-2.0 */
/* Which tests and proofs notice what, of the policy in force. */
#include "base/buf.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "core/diagnostics.h"
#include "sys/clock.h"
#include "text/coverage_report.h"
#include "text/report.h"

/* Seconds to minutes over a large policy: nobody waits for it, and the loop does not stop. */
void get_coverage(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(coverage_freep) struct coverage *c = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    if (!app->is_child) {
        http_problem_field(a, 409, "",
                           "POST /api/v1/operations {\"get\": \"/api/v1/policy/coverage\"}",
                           "nobody can wait for this: ask for it as an operation");
        return;
    }
    if (coverage_new(desired_world(app->desired, clock_unix_s()), q->progress, &c) < 0) {
        http_problem(a, 422, "too many services or kinds of endpoints to ask about all of them");
        return;
    }
    coverage_report(c, d);
    diagnostics_sort(d);
    buf_putc(&b, '{');
    coverage_report_json(&b, c);
    buf_puts(&b, ", \"findings\": ");
    report_json(&b, d);
    buf_putc(&b, '}');
    coverage_report_text(&text, c);
    http_ok(a, json_of_report(&b, &text));
}
