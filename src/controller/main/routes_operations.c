/* SPDX-License-Identifier: Apache-2.0 */
/* Long questions as operations; see operations.h. */
#include "controller/main/operations.h"

#include <errno.h>

#include "controller/json.h"
#include "controller/main/app.h"
#include "sys/clock.h"

enum { MAX_TARGET = 2000 };

void app_answer_operation(void *user, bool is_child, struct http_request *q,
                          struct http_response *a)
{
    struct app *app = user;

    app->is_child = is_child;
    http_dispatch(app_routes, app_n_routes, app_within, user, q, a);
}

/* How the route of path and query answers when it is asked so by him: LONG_ANSWER or SLOW_ANSWER;
 * 0, with a problem: not at all. */
static unsigned kind_of(const struct who *who, const char *target, struct http_response *a)
{
    const unsigned kinds = LONG_ANSWER | SLOW_ANSWER;
    size_t len = strcspn(target, "?");

    for (size_t i = 0; i < app_n_routes; i++) {
        const struct http_route *r = &app_routes[i];

        if (!(r->need & kinds) || r->method != HTTP_METHOD_GET || strlen(r->path) != len ||
            strncmp(r->path, target, len) != 0)
            continue;
        if (!who_may(who, r->need & RIGHT_MASK))
            http_problem(a, 403, "your role may not ask this");
        else if (scope_is_set(&who->scope) && !(r->need & (SCOPE_FREE | SCOPE_WITHIN)))
            http_problem(a, 403, "this is about the whole, and you are limited to %s=%s",
                         who->scope.label, who->scope.value);
        else
            return r->need & kinds;
        return 0;
    }
    http_problem_field(a, 422, "get", "/api/v1/policy/findings",
                       "expected path and query of a question that may take long: findings, "
                       "proofs, coverage, radius, unprotected; flows, edges, use and hygiene of "
                       "rules, rare flows");
    return 0;
}

/* The past is in the store, which a child has no part in. */
static bool is_past(const char *target)
{
    return strstr(target, "?at=") || strstr(target, "&at=") || strstr(target, "%");
}

static void refuse_more(struct http_response *a)
{
    http_problem(a, 503, "%d of your operations, or %d of all, have not ended yet", OPERATIONS_EACH,
                 OPERATIONS_MAX);
    http_header(a, "Retry-After", "10");
}

static void answer_begun(struct app *app, const struct http_request *q, const char *id,
                         struct http_response *a)
{
    http_ok(a, operations_get(app->operations, q->who, id));
    a->status = 202;
    http_header(a, "Location", "/api/v1/operations/%s", id);
}

void app_answer_late(struct app *app, const struct http_request *q, struct http_response *a)
{
    CLEANUP(buf_done) struct buf target = BUF_INIT;
    struct http_job job = *q->job;

    *q->job = (struct http_job){.data = NULL};
    buf_puts(&target, q->path);
    if (q->query)
        buf_printf(&target, "?%s", q->query);
    app_adopt(app, q, q->method, buf_str(&target), &job, a);
    if (a->status == 202)
        http_header(a, "Preference-Applied", "respond-async");
}

void app_adopt(struct app *app, const struct http_request *q, enum http_method method,
               const char *target, struct http_job *job, struct http_response *a)
{
    char id[OPERATION_ID_SIZE];

    if (app->operations &&
        operations_adopt(app->operations, q->who, method, target, job, id) == 0) {
        answer_begun(app, q, id, a);
        return;
    }
    job->free(job->data);
    refuse_more(a);
}

/* Asks it here; what the history has to look for becomes the operation. */
static void ask_history(struct app *app, const struct http_request *q, const char *target,
                        struct http_response *a)
{
    struct http_job job = {.data = NULL};
    CLEANUP(free_voidp) char *path = xstrdup(target);
    CLEANUP(http_request_done)
    struct http_request asked = {.method = HTTP_METHOD_GET,
                                 .path = path,
                                 .query = strchr(path, '?'),
                                 .body = "",
                                 .who = q->who,
                                 .now_s = q->now_s,
                                 .is_operation = true,
                                 .job = &job};

    if (asked.query) {
        path[asked.query - path] = 0;
        asked.query++;
    }
    http_dispatch(app_routes, app_n_routes, app_within, app, &asked, a);
    if (a->status == 0 && job.data)
        app_adopt(app, q, HTTP_METHOD_GET, target, &job, a);
    else if (a->status == 0)
        http_problem_field(a, 422, "get", "ask the route itself", "this waits for news");
}

void post_operations(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"get"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    const char *target = json_text(body, "get");
    char id[OPERATION_ID_SIZE];
    unsigned kind;

    if (!body)
        return;
    if (strlen(target) > MAX_TARGET) {
        http_problem_field(a, 422, "get", "ask for less", "at most %d bytes", MAX_TARGET);
        return;
    }
    kind = kind_of(q->who, target, a);
    if (kind == SLOW_ANSWER)
        ask_history(app, q, target, a);
    if (kind != LONG_ANSWER)
        return;
    if (is_past(target)) {
        http_problem_field(a, 422, "get", "ask the route itself",
                           "an operation is about now: no at=, and nothing percent-encoded");
        return;
    }
    app_know_use(app, desired_world(app->desired, clock_unix_s()),
                 desired_current(app->desired)->revision);
    if (!app->operations || operations_add(app->operations, q->who, target, id) < 0)
        refuse_more(a);
    else
        answer_begun(app, q, id, a);
}

void get_operations(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;

    http_ok(a, app->operations ? operations_list(app->operations, q->who) : json_array());
}

void get_operation(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    json_t *j = app->operations ? operations_get(app->operations, q->who, q->param) : NULL;

    if (j)
        http_ok(a, j);
    else
        http_problem(a, 404, "no operation \"%s\": it was forgotten, or is somebody else's",
                     q->param);
}

void post_operation_cancel(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = app->operations ? operations_cancel(app->operations, q->who, q->param) : -ENOENT;

    if (r == -ENOENT)
        http_problem(a, 404, "no operation \"%s\": it was forgotten, or is somebody else's",
                     q->param);
    else if (r == -EALREADY)
        http_problem(a, 409, "it has ended already");
    else
        http_ok(a, operations_get(app->operations, q->who, q->param));
}
