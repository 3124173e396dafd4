/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the history of flows: answered by flows' thread, while the request waits. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <time.h>

#include "base/date.h"
#include "base/number.h"
#include "controller/api/page.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/main/view.h"

enum { PAGE = 200, EDGES = 1000 };

/* ---- what is asked ---- */

static bool read_time(const struct http_request *q, struct http_response *a, const char *name,
                      uint64_t *ret_ms)
{
    int64_t at_s;

    if (!view_time(q, name, 0, &at_s, a))
        return false;
    *ret_ms = at_s > 0 ? (uint64_t)at_s * 1000 : 0;
    return true;
}

/* "443", "tcp/443", "icmp/8", "47/0" */
static bool read_port(const struct http_request *q, struct http_response *a,
                      struct flows_question *f)
{
    static const struct {
        const char *name;
        int protocol;
    } known[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};
    const char *text = http_query(q, "port"), *slash = text ? strchr(text, '/') : NULL,
               *digits = slash ? slash + 1 : text;
    size_t len = slash ? (size_t)(slash - text) : 0;
    uint64_t n;

    if (!text)
        return true;
    for (size_t i = 0; slash && i < ARRAY_SIZE(known); i++)
        if (strlen(known[i].name) == len && strncmp(text, known[i].name, len) == 0)
            f->protocol = known[i].protocol;
    if (slash && f->protocol < 0 && number_parse(text, len, UINT8_MAX, &n) == 0)
        f->protocol = (int)n;
    if ((!slash || f->protocol >= 0) && number_parse(digits, strlen(digits), UINT16_MAX, &n) == 0) {
        f->port = (int)n;
        return true;
    }
    http_problem(a, 400, "port=%s: expected a port like 443 or tcp/443", text);
    return false;
}

static bool read_verdict(const struct http_request *q, struct http_response *a,
                         struct flows_question *f)
{
    const char *text = http_query(q, "verdict");

    for (int v = 0; text && v < FLOW_WORDS; v++)
        if (strcmp(text, flow_word_name((enum flow_word)v)) == 0)
            f->word = v;
    if (!text || f->word >= 0)
        return true;
    http_problem(a, 400, "verdict=%s: expected allow, deny, would-deny, seen or seen-deny", text);
    return false;
}

static bool read_max(const struct http_request *q, struct http_response *a, size_t limit,
                     struct flows_question *f)
{
    const char *text = http_query(q, "max");
    uint64_t n = f->max;

    if (text && (number_parse(text, strlen(text), limit, &n) < 0 || n == 0)) {
        http_problem(a, 400, "max=%s: expected a number of 1 to %zu", text, limit);
        return false;
    }
    f->max = n;
    return true;
}

/* False, with a problem: it cannot be asked. */
static bool read_question(const struct http_request *q, struct http_response *a, size_t limit,
                          struct flows_question *f)
{
    f->from = http_query(q, "from");
    f->to = http_query(q, "to");
    f->endpoint = http_query(q, "endpoint");
    f->rule = http_query(q, "rule");
    f->process = http_query(q, "process");
    f->user = http_query(q, "user");
    f->reporter = http_query(q, "reporter");
    f->denied = http_query(q, "denied") != NULL;
    f->port = f->protocol = f->word = -1;
    if (!read_time(q, a, "since", &f->since_ms) || !read_time(q, a, "until", &f->until_ms) ||
        !read_port(q, a, f) || !read_verdict(q, a, f) || !read_max(q, a, limit, f))
        return false;
    if (f->until_ms && f->until_ms <= f->since_ms) {
        http_problem(a, 400, "nothing lies between since and until");
        return false;
    }
    return true;
}

/* ---- answers ---- */

static void job_free(void *job)
{
    flows_job_free(job);
}

static void look_at_job(const void *job, struct progress *ret_p)
{
    flows_job_look(job, ret_p);
}

static void too_slow(const struct flows_job *j, struct http_response *a)
{
    struct progress p;

    flows_job_look(j, &p);
    http_problem(a, 503,
                 "not answered in time (%" PRIu64 " of %" PRIu64
                 " records read): ask for a shorter time, or more closely, or as an operation",
                 p.done, p.total);
    (void)json_object_set_new(a->json, "operation", json_true());
}

/* It is not answered yet. */
static void answer_late(struct app *app, struct flows_job *j, const struct http_request *q,
                        struct http_response *a)
{
    a->status = 0;
    if (!q->is_operation && app->operations && http_prefers_later(q) &&
        flows_job_step_aside(j) == 0)
        app_answer_late(app, q, a);
    else if (q->last_chance)
        too_slow(j, a);
}

/* Starts the question, or looks whether it is answered; NULL: 'a' says what is. */
json_t *app_flows_answer(struct app *app, const struct flows_question *f,
                         const struct http_request *q, struct http_response *a)
{
    struct flows_job *job = q->job ? q->job->data : NULL;
    struct flows_question asked = *f;
    json_t *answer = NULL;
    int r = app->flows && q->job ? 0 : -EBUSY;

    if (r == 0 && !job) {
        asked.may_take_long = q->is_operation;
        r = flows_ask(app->flows, &asked, &job);
        if (r == 0)
            *q->job = (struct http_job){.data = job, .free = job_free, .look = look_at_job};
    } else if (!job) {
        trial_free(f->trial);
    }
    if (r == 0 && !flows_job_is_done(job)) {
        answer_late(app, job, q, a);
        return NULL;
    }
    if (r == 0)
        r = flows_job_answer(job, &answer);
    if (r == -EINVAL)
        http_problem(a, 400, "cursor=%s: expected the next of an answer", f->cursor);
    else if (r == -EBUSY)
        http_problem(a, 503, "too many questions are being answered; ask again");
    else if (r == -E2BIG)
        http_problem(a, 422,
                     "more than %d different edges: ask for a shorter time, more closely, "
                     "or by a label",
                     FLOWS_GROUPS_MAX);
    else if (r < 0)
        app_fail(a, r, "the history");
    return r < 0 ? NULL : answer;
}

void app_keep_flows(struct app *app, const struct who *who, json_t *flows)
{
    for (size_t i = json_array_size(flows); scope_is_set(&who->scope) && i-- > 0;) {
        const json_t *flow = json_array_get(flows, i);

        if (!app_sees(app, who, json_text(flow, "from")) &&
            !app_sees(app, who, json_text(flow, "to")))
            (void)json_array_remove(flows, i);
    }
}

/* "pc1", or "edge1/plc" for a port of an edge. */
static bool sees_stream(struct app *app, const struct who *who, const char *stream)
{
    const char *slash = strchr(stream, '/');

    return app_sees(app, who, stream) || (slash && app_sees(app, who, slash + 1));
}

/* That something is missing is true for everybody; whose it is, is not for him who sees a part. */
static void hide_streams(struct app *app, const struct who *who, json_t *gaps)
{
    json_t *gap;
    size_t i;

    json_array_foreach(gaps, i, gap)
    {
        if (!sees_stream(app, who, json_text(gap, "stream")))
            (void)json_object_set_new(gap, "stream", json_string("(another)"));
    }
}

/* What came since a number, from memory. */
static void follow(struct app *app, const struct flows_question *f, const struct http_request *q,
                   struct http_response *a, const char *after)
{
    uint64_t n;
    json_t *list;

    if (number_parse(after, strlen(after), INT64_MAX, &n) < 0) {
        http_problem(a, 400, "after=%s: expected a number", after);
        return;
    }
    if (!app->flows) {
        http_problem(a, 503, "there is no history");
        return;
    }
    list = flows_tail(app->flows, f, n);
    app_keep_flows(app, q->who, list);
    if (http_query(q, "wait") && json_array_size(list) == 0 && !q->last_chance) {
        json_decref(list);
        a->status = 0;
        return;
    }
    http_ok(a, json_pack("{s:I,s:o}", "last", (json_int_t)flows_last(app->flows), "flows", list));
}

void get_flows(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    struct flows_question f = {.kind = FLOWS_LIST, .max = PAGE, .cursor = http_query(q, "cursor")};
    const char *after = http_query(q, "after");
    json_t *answer;

    if (!read_question(q, a, FLOWS_PAGE_MAX, &f))
        return;
    if (after) {
        follow(app, &f, q, a, after);
        return;
    }
    answer = app_flows_answer(app, &f, q, a);
    if (!answer)
        return;
    app_keep_flows(app, q->who, json_object_get(answer, "flows"));
    hide_streams(app, q->who, json_object_get(answer, "incomplete"));
    http_ok(a, answer);
}

void get_edges(void *user, const struct http_request *q, struct http_response *a)
{
    struct flows_question f = {.kind = FLOWS_EDGES, .max = EDGES, .by = http_query(q, "by")};
    const char *split = http_query(q, "split");
    json_t *answer;

    if (!read_question(q, a, FLOWS_EDGES_MAX, &f))
        return;
    if (split && (!f.by || strcmp(split, "port") != 0)) {
        http_problem(a, 400, "split=%s: expected port, and by with it", split);
        return;
    }
    f.by_port = split != NULL;
    answer = app_flows_answer(user, &f, q, a);
    if (answer)
        http_ok(a, answer);
}

/* Rules that are in force stand in the answer though nobody used them. */
static void add_unused(struct app *app, json_t *rules)
{
    const struct policy *policy = desired_current(app->desired)->policy;
    CLEANUP(json_decrefp) json_t *used = json_object();
    json_t *r;
    size_t n;

    json_array_foreach(rules, n, r)
    {
        (void)json_object_set(used, json_text(r, "rule"), r);
        (void)json_object_set_new(r, "in_force", json_false());
    }
    for (size_t i = 0; i < policy->n_rules; i++) {
        r = json_object_get(used, policy->rules[i].id);
        if (r)
            (void)json_object_set_new(r, "in_force", json_true());
        else
            (void)json_array_append_new(rules, json_pack("{s:s,s:i,s:s,s:s,s:b}", "rule",
                                                         policy->rules[i].id, "hits", 0, "first",
                                                         "", "last", "", "in_force", 1));
    }
}

static int by_rule(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;

    return strcmp(json_text(*x, "rule"), json_text(*y, "rule"));
}

/* The busiest first would be another order at each piece. */
static json_t *sorted_by_rule(const json_t *rules)
{
    size_t n = json_array_size(rules);
    CLEANUP(free_voidp) json_t **items = xcalloc(n, sizeof(*items));
    json_t *sorted = json_array();

    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(rules, i);
    if (n)
        qsort(items, n, sizeof(*items), by_rule);
    for (size_t i = 0; i < n; i++)
        (void)json_array_append(sorted, items[i]);
    return sorted;
}

void get_rules_use(void *user, const struct http_request *q, struct http_response *a)
{
    struct flows_question f = {.kind = FLOWS_RULES, .max = SIZE_MAX};
    struct page page;
    json_t *answer, *rules;

    if (!page_read(q, &page, a) || !read_question(q, a, SIZE_MAX, &f))
        return;
    answer = app_flows_answer(user, &f, q, a);
    if (!answer)
        return;
    rules = json_object_get(answer, "rules");
    add_unused(user, rules);
    if (page_is_cut(&page, json_array_size(rules)))
        (void)json_object_set_new(answer, "rules", sorted_by_rule(rules));
    http_ok(a, answer);
}
