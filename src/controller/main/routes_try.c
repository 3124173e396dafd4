/* SPDX-License-Identifier: Apache-2.0 */
/* What if: recorded flows under another policy, or under this one without some rules. */
#include <errno.h>

#include "controller/json.h"
#include "controller/main/view.h"
#include "sys/clock.h"
#include "text/report.h"

enum { DAY_S = 86400, DEFAULT_DAYS = 30, CHANGES = 1000, CHANGES_MAX = 10000, DELETED_MAX = 1000 };

/* "since" and "until" of the body, as milliseconds. */
static bool read_window(const json_t *body, struct flows_question *f, struct http_response *a)
{
    const char *since = json_text(body, "since"), *until = json_text(body, "until");
    int64_t since_s = clock_unix_s() - (int64_t)DEFAULT_DAYS * DAY_S, until_s = 0;

    if ((since[0] && view_parse_time(since, &since_s) < 0) ||
        (until[0] && view_parse_time(until, &until_s) < 0) || since_s < 0) {
        http_problem(a, 422,
                     "since, until: expected a time like 2026-11-22T10:00, or an age like 30d");
        return false;
    }
    f->since_ms = (uint64_t)since_s * 1000;
    f->until_ms = (uint64_t)until_s * 1000;
    if (until_s && until_s <= since_s) {
        http_problem(a, 422, "nothing lies between since and until");
        return false;
    }
    return true;
}

/* The rules' ids, borrowed from the body. */
static bool read_deleted(const json_t *list, const char *ids[DELETED_MAX], size_t *ret_n,
                         struct http_response *a)
{
    const json_t *id;
    size_t i;

    *ret_n = 0;
    json_array_foreach(list, i, id)
    {
        if (!json_is_string(id) || i == DELETED_MAX)
            break;
        ids[(*ret_n)++] = json_string_value(id);
    }
    if (!list || (json_is_array(list) && *ret_n == json_array_size(list)))
        return true;
    http_problem(a, 422, "delete: expected a list of at most %d ids of rules", DELETED_MAX);
    return false;
}

static void refuse(struct http_response *a, int error, const char *what,
                   const struct diagnostics *d)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    if (error == -ENOENT) {
        http_problem(a, 404, "no rule \"%s\" in the policy", what);
        return;
    }
    if (error != -EBADMSG) {
        app_fail(a, error, what);
        return;
    }
    http_problem(a, 422, "%zu error(s), %zu warning(s)", d->n_errors, d->n_warnings);
    report_json(&text, d);
    (void)json_object_set_new(a->json, "findings", json_loads(buf_str(&text), 0, NULL));
}

/* Whether nothing but the deleted rules' own absence changes any verdict: others allow all of it.
 */
static bool is_redundant(struct app *app, const struct generation *g)
{
    int64_t now_s = clock_unix_s();
    CLEANUP(world_freep) struct world *after = world_new(g->policy, g->inventory, now_s);
    CLEANUP(meaning_done) struct meaning m = {.text = NULL};

    return meaning_of(desired_world(app->desired, now_s), after, &m);
}

static struct flows_trial *trial_of(struct app *app, const json_t *body, struct http_response *a)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(generation_freep) struct generation *g = NULL;
    CLEANUP(free_voidp) struct source *policy = NULL;
    CLEANUP(free_voidp) struct source *inventory = NULL;
    const json_t *files = json_object_get(body, "files"),
                 *second = json_object_get(body, "inventory");
    struct desired_change c = {.base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY};
    const char *deleted[DELETED_MAX], *what = "";
    struct flows_trial *t;
    size_t n_deleted;
    int r;

    if ((files && app_files(files, &policy, &c.n_policy) < 0) ||
        (second && app_files(second, &inventory, &c.n_inventory) < 0)) {
        http_problem(a, 422, "files, inventory: expected lists of {\"name\": ..., \"text\": ...}");
        return NULL;
    }
    if (!read_deleted(json_object_get(body, "delete"), deleted, &n_deleted, a))
        return NULL;
    c.policy = policy;
    c.inventory = inventory;
    t = xcalloc(1, sizeof(*t));
    r = desired_candidate(app->desired, &c, deleted, n_deleted, clock_unix_s(), d, &g, &t->compiled,
                          &what);
    if (r < 0 || !g) {
        refuse(a, r, what, d);
        trial_free(t);
        return NULL;
    }
    t->is_redundant = n_deleted && is_redundant(app, g);
    t->policy = TAKE_PTR(g->policy);
    t->inventory = TAKE_PTR(g->inventory);
    return t;
}

void post_try(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files", "inventory", "delete",   "since",
                                         "until", "max",       "operation"};
    struct app *app = user;
    struct flows_question f = {
        .kind = FLOWS_TRY, .max = CHANGES, .port = -1, .protocol = -1, .word = -1};
    struct http_job job = {.data = NULL};
    struct http_request as_operation = *q; /* Where it becomes one. */
    json_t *answer;

    if (!q->job || !q->job->data) { /* Asked for the first time. */
        CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
        uint64_t max = json_uint(body, "max");

        if (!body || !read_window(body, &f, a))
            return;
        if (max)
            f.max = max < CHANGES_MAX ? max : CHANGES_MAX;
        f.trial = trial_of(app, body, a);
        if (!f.trial)
            return;
        if (json_is_true(json_object_get(body, "operation"))) {
            as_operation.is_operation = true;
            as_operation.job = &job;
            q = &as_operation;
        }
    }
    answer = app_flows_answer(app, &f, q, a);
    if (job.data)
        app_adopt(app, q, HTTP_METHOD_POST, q->path, &job, a);
    else if (answer)
        http_ok(a, answer);
}
