/* SPDX-License-Identifier: Apache-2.0 */
/* Which rules are used and how, by the history; and what it adds to the findings. */
#include <errno.h>

#include "base/log.h"
#include "base/number.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "core/rare.h"
#include "sys/clock.h"

enum { DAY_S = 86400, RARE_LINES = 100, RARE_LINES_MAX = 10000 };

/* Policy and inventory in force, compiled apart: the question outlives changes. */
static struct flows_trial *in_force(struct app *app, struct http_response *a)
{
    const struct desired_change c = {.base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY};
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(generation_freep) struct generation *g = NULL;
    struct flows_trial *t = xcalloc(1, sizeof(*t));
    const char *what = "";
    int r =
        desired_candidate(app->desired, &c, NULL, 0, clock_unix_s(), d, &g, &t->compiled, &what);

    if (r < 0 || !g) {
        app_fail(a, r < 0 ? r : -EIO, what);
        trial_free(t);
        return NULL;
    }
    t->policy = TAKE_PTR(g->policy);
    t->inventory = TAKE_PTR(g->inventory);
    return t;
}

static void ready_births(struct app *app)
{
    int r = births_ready(app->births);

    if (r < 0)
        log_warn("rules: since when they stand is not known, and none is called unused: %s",
                 strerror(-r));
}

/* False, with a problem. */
static bool read_since(const struct http_request *q, struct http_response *a, int64_t days,
                       uint64_t *ret_ms)
{
    const char *text = http_query(q, "since");
    int64_t now_s = clock_unix_s(), since_s = now_s - days * DAY_S;

    if ((text && view_parse_time(text, &since_s) < 0) || since_s < 0 || since_s >= now_s) {
        http_problem(a, 400, "since=%s: expected a past time, or an age like %lldd",
                     text ? text : "", (long long)days);
        return false;
    }
    *ret_ms = (uint64_t)since_s * 1000;
    return true;
}

void get_rules_hygiene(void *user, const struct http_request *q, struct http_response *a)
{
    const char *rule = http_query(q, "rule");
    struct app *app = user;
    struct flows_question f = {
        .kind = FLOWS_HYGIENE, .rule = rule, .port = -1, .protocol = -1, .word = -1};
    json_t *answer;

    if (!q->job || !q->job->data) { /* Asked for the first time. */
        if (!read_since(q, a, HYGIENE_DAYS, &f.since_ms))
            return;
        if (rule && !policy_rule(desired_current(app->desired)->policy, rule)) {
            http_problem(a, 404, "no rule \"%s\" in the policy", rule);
            return;
        }
        f.trial = in_force(app, a);
        if (!f.trial)
            return;
        ready_births(app);
        f.births = app->births;
    }
    answer = app_flows_answer(app, &f, q, a);
    if (answer)
        http_ok(a, answer);
}

/* ---- rare flows ---- */

/* "new,scan" */
static bool read_kinds(const struct http_request *q, struct http_response *a, unsigned *ret_kinds)
{
    const char *list = http_query(q, "kind");
    unsigned kinds = 0;

    for (const char *word = list; word && *word;) {
        size_t len = strcspn(word, ",");
        unsigned kind = 0;

        while (kind < RARE_KINDS && (strlen(rare_kind_name((enum rare_kind)kind)) != len ||
                                     strncmp(rare_kind_name((enum rare_kind)kind), word, len) != 0))
            kind++;
        if (kind == RARE_KINDS) {
            http_problem(a, 400, "kind=%s: expected a list of new, once, program, scan", list);
            return false;
        }
        kinds |= 1u << kind;
        word += len + (word[len] == ',');
    }
    *ret_kinds = kinds ? kinds : RARE_ALL;
    return true;
}

static bool read_max(const struct http_request *q, struct http_response *a, size_t *ret_max)
{
    const char *text = http_query(q, "max");
    uint64_t n = RARE_LINES;

    if (text && (number_parse(text, strlen(text), RARE_LINES_MAX, &n) < 0 || !n)) {
        http_problem(a, 400, "max=%s: expected a number of 1 to %d", text, RARE_LINES_MAX);
        return false;
    }
    *ret_max = n;
    return true;
}

void get_flows_rare(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    struct flows_question f = {
        .kind = FLOWS_RARE, .births = app->births, .port = -1, .protocol = -1, .word = -1};
    json_t *answer;

    if (!q->job || !q->job->data) { /* Asked for the first time. */
        if (!read_since(q, a, 1, &f.since_ms) || !read_kinds(q, a, &f.rare_kinds) ||
            !read_max(q, a, &f.max))
            return;
        f.trial = in_force(app, a);
        if (!f.trial)
            return;
    }
    answer = app_flows_answer(app, &f, q, a);
    if (answer)
        http_ok(a, answer);
}

/* ---- findings ---- */

void app_know_use(struct app *app, const struct world *w, uint64_t revision)
{
    uint64_t now_ms = clock_unix_ms();

    flows_evidence_free(TAKE_PTR(app->use));
    if (!app->flows)
        return;
    ready_births(app);
    app->use = flows_evidence_new(app->flows, app->births, w->policy, w->inventory,
                                  now_ms - (uint64_t)HYGIENE_DAYS * DAY_S * 1000, now_ms);
    app->use_revision = revision;
}

void app_lint_use(struct app *app, const struct view *v, struct diagnostics *d)
{
    if (v->is_past)
        return; /* The history's table of uses is that of now. */
    if (!app->is_child)
        app_know_use(app, v->world, v->moment.revision);
    if (app->use && app->use_revision == v->moment.revision)
        hygiene_lint(v->world, &app->use->evidence, d);
}
