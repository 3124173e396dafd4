/* SPDX-License-Identifier: Apache-2.0 */
/* From a query to a world; see view.h. */
#include "controller/main/view.h"

#include <errno.h>
#include <stdio.h>

#include "base/date.h"
#include "base/number.h"
#include "controller/json.h"
#include "sys/clock.h"

int view_parse_time(const char *text, int64_t *ret_s)
{
    int64_t now_s = clock_unix_s();
    uint64_t age_s;

    if (duration_parse(text, UINT32_MAX, &age_s) < 0)
        return date_parse_time(text, ret_s);
    *ret_s = now_s > (int64_t)age_s ? now_s - (int64_t)age_s : 0;
    return 0;
}

/* Says why there is no such view. */
static void refuse(struct app *app, int error, const char *asked, struct http_response *a)
{
    int64_t begin_s = timeline_begin(desired_timeline(app->desired));
    char text[DATE_TEXT_SIZE];

    if (error != -ENOENT) {
        app_fail(a, error, "the policy or the inventory of then");
        return;
    }
    http_problem(a, 404,
                 "%s: nothing is known of then: the timeline begins at %s, and keeps %d versions "
                 "of a policy and of an inventory",
                 asked, date_format_time(begin_s, text), VERSION_HISTORY);
}

bool view_open(struct app *app, const struct http_request *q, struct http_response *a,
               struct view *ret_v)
{
    const char *at = http_query(q, "at"), *revision = http_query(q, "revision");
    int64_t now_s = clock_unix_s(), at_s = now_s;
    struct view v = {.is_past = at || revision};
    uint64_t n = 0;
    int r;

    if ((at && revision) || (at && view_parse_time(at, &at_s) < 0) ||
        (revision && number_parse(revision, strlen(revision), INT64_MAX, &n) < 0)) {
        http_problem(a, 400,
                     "expected at, a time like 2026-11-22T10:00 or an age like 5m, or revision, a "
                     "number");
        return false;
    }
    r = revision ? past_of_revision(app->past, n, now_s, &v.moment)
                 : past_at(app->past, at_s, now_s, &v.moment);
    if (r < 0) {
        refuse(app, r, v.is_past ? at ? at : revision : "now", a);
        return false;
    }
    v.world = v.moment.world;
    *ret_v = v;
    return true;
}

void view_stamp(const struct view *v, struct http_response *a)
{
    char at[DATE_TEXT_SIZE], since[DATE_TEXT_SIZE];

    if (!v->is_past || !json_is_object(a->json))
        return;
    (void)json_object_set_new(
        a->json, "as_of",
        json_pack("{s:s,s:I,s:s,s:I,s:I}", "time", date_format_time(v->moment.at_s, at), "revision",
                  (json_int_t)v->moment.revision, "since",
                  date_format_time(v->moment.since_s, since), "policy",
                  (json_int_t)v->moment.policy, "inventory", (json_int_t)v->moment.inventory));
}

bool view_time(const struct http_request *q, const char *name, int64_t absent_s, int64_t *ret_s,
               struct http_response *a)
{
    const char *text = http_query(q, name);

    *ret_s = absent_s;
    if (!text || view_parse_time(text, ret_s) == 0)
        return true;
    http_problem(a, 400, "%s=%s: expected a time like 2026-11-22T10:00, or an age like 5m", name,
                 text);
    return false;
}
