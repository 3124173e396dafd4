/* SPDX-License-Identifier: Apache-2.0 */
/* What changed when, what it meant, and what people say of it. */
#include <errno.h>
#include <stdio.h>

#include "base/date.h"
#include "base/number.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "controller/notes.h"
#include "sys/clock.h"
#include "text/meaning.h"

enum { PAGE = 200, PAGE_MAX = 1000 };

/* Who applied the version, and what he said. */
static void add_author(json_t *event, const json_t *versions, uint64_t version)
{
    const json_t *v;
    size_t i;

    json_array_foreach(versions, i, v)
    {
        if (json_uint(v, "version") != version)
            continue;
        (void)json_object_set(event, "actor", json_object_get(v, "actor"));
        (void)json_object_set(event, "comment", json_object_get(v, "comment"));
    }
}

struct authors {
    json_t *policies, *inventories; /* All versions, without files. */
};

static void authors_done(struct authors *x)
{
    json_decref(x->policies);
    json_decref(x->inventories);
}

static json_t *event_json(const struct timeline_event *e, const struct timeline_event *before,
                          const struct authors *authors)
{
    bool policy = !before || before->policy != e->policy;
    bool inventory = !before || before->inventory != e->inventory;
    char when[DATE_TEXT_SIZE];
    json_t *what = json_array(), *event;

    if (policy)
        (void)json_array_append_new(what, json_string("policy"));
    if (inventory)
        (void)json_array_append_new(what, json_string("inventory"));
    if (e->endpoint)
        (void)json_array_append_new(what, json_string("trust"));
    if (json_array_size(what) == 0) /* Rules expired, or the daemon began anew. */
        (void)json_array_append_new(what, json_string("revision"));
    event = json_pack("{s:I,s:s,s:o,s:I,s:I}", "revision", (json_int_t)e->revision, "time",
                      date_format_time(e->time_s, when), "what", what, "policy",
                      (json_int_t)e->policy, "inventory", (json_int_t)e->inventory);
    if (e->endpoint) {
        (void)json_object_set_new(event, "endpoint", json_any_text(e->endpoint));
        (void)json_object_set_new(event, "trust", json_string(trust_name(e->trust)));
        (void)json_object_set_new(event, "actor", json_any_text(e->actor));
        (void)json_object_set_new(event, "comment", json_any_text(e->comment));
    }
    if (inventory)
        add_author(event, authors->inventories, e->inventory);
    if (policy)
        add_author(event, authors->policies, e->policy);
    return event;
}

/* A note, as an event: beside what was in force then. */
static json_t *note_event(const struct timeline *t, json_t *note)
{
    const struct timeline_event *e = timeline_of(t, json_uint(note, "revision"));
    char when[DATE_TEXT_SIZE];
    json_t *event = json_pack(
        "{s:I,s:s,s:[s],s:I,s:I,s:O,s:O,s:O}", "revision", (json_int_t)json_uint(note, "revision"),
        "time", date_format_time((int64_t)json_uint(note, "time"), when), "what", "note", "policy",
        (json_int_t)(e ? e->policy : 0), "inventory", (json_int_t)(e ? e->inventory : 0), "actor",
        json_object_get(note, "actor"), "comment", json_object_get(note, "comment"), "measured",
        json_object_get(note, "measured"));

    if (!event)
        abort(); /* Out of memory. */
    return event;
}

/* A note stands behind the event of its revision, and both lists begin with the newest. */
static json_t *with_notes(const struct timeline *t, json_t *events, const json_t *notes, size_t max)
{
    json_t *all = json_array();
    size_t i = 0, k = 0;

    while (json_array_size(all) < max) {
        json_t *event = json_array_get(events, i), *note = json_array_get(notes, k);

        if (!event && !note)
            break;
        if (note && (!event || json_uint(note, "revision") >= json_uint(event, "revision"))) {
            (void)json_array_append_new(all, note_event(t, note));
            k++;
        } else {
            (void)json_array_append(all, event);
            i++;
        }
    }
    json_decref(events);
    return all;
}

void get_timeline(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const struct timeline *timeline = desired_timeline(app->desired);
    const struct timeline_event *events = NULL;
    CLEANUP(authors_done) struct authors authors = {.policies = NULL};
    CLEANUP(json_decrefp) json_t *notes = NULL;
    const char *max_text = http_query(q, "max"), *before_text = http_query(q, "before");
    uint64_t max = PAGE, before = INT64_MAX;
    int64_t since_s, until_s;
    json_t *list;
    size_t n;

    if (!view_time(q, "since", 0, &since_s, a) ||
        !view_time(q, "until", clock_unix_s(), &until_s, a))
        return;
    if ((max_text && (number_parse(max_text, strlen(max_text), PAGE_MAX, &max) < 0 || !max)) ||
        (before_text && number_parse(before_text, strlen(before_text), INT64_MAX, &before) < 0)) {
        http_problem(a, 400, "max: 1 to %d; before: a revision", PAGE_MAX);
        return;
    }
    if (desired_versions(app->desired, "policy", &authors.policies) < 0 ||
        desired_versions(app->desired, "inventory", &authors.inventories) < 0) {
        app_fail(a, -EIO, "versions");
        return;
    }
    if (notes_list(app->store, since_s, until_s, before, (size_t)max, &notes) < 0) {
        app_fail(a, -EIO, "notes");
        return;
    }
    n = timeline_between(timeline, since_s, until_s, &events);
    while (n > 0 && events[n - 1].revision >= before)
        n--;
    list = json_array();
    for (; n > 0 && json_array_size(list) < max; n--) {
        const struct timeline_event *e = &events[n - 1];

        (void)json_array_append_new(
            list, event_json(e, timeline_of(timeline, e->revision - 1), &authors));
    }
    http_ok(a, with_notes(timeline, list, notes, (size_t)max));
}

/* An optional number of milliseconds; -1: absent. */
static bool read_ms(const json_t *body, const char *key, int64_t *ret_ms, struct http_response *a)
{
    const json_t *value = json_object_get(body, key);

    *ret_ms = value ? json_integer_value(value) : -1;
    if (!value || (json_is_integer(value) && *ret_ms >= 0 && *ret_ms <= NOTE_MEASURED_MAX_MS))
        return true;
    http_problem_field(a, 422, key, "leave it out, or say what was measured",
                       "%s: expected milliseconds, 0 to %d", key, NOTE_MEASURED_MAX_MS);
    return false;
}

void post_timeline(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"comment", "detect_ms", "contain_ms"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    struct note n = {.time_s = clock_unix_s(),
                     .revision = desired_head(app->desired)->revision,
                     .actor = q->who->actor,
                     .comment = json_text(body, "comment")};
    int r;

    if (!body)
        return;
    if (!n.comment[0] || strlen(n.comment) > MODEL_TEXT_LEN) {
        http_problem_field(a, 422, "comment", "\"comment\": \"drill from pc1\"",
                           "comment: required, at most %d bytes", MODEL_TEXT_LEN);
        return;
    }
    if (!read_ms(body, "detect_ms", &n.detect_ms, a) ||
        !read_ms(body, "contain_ms", &n.contain_ms, a))
        return;
    r = notes_add(app->store, &n);
    if (r < 0)
        app_fail(a, r, "note");
    else
        http_ok(a, json_pack("{s:I}", "revision", (json_int_t)n.revision));
}

/* The world of an instant, for good: the next question may take the other's place. */
static int read_then(struct app *app, int64_t at_s, int64_t now_s, struct generation **ret_g)
{
    const struct timeline *t = desired_timeline(app->desired);
    const struct timeline_event *e = timeline_at(t, at_s < now_s ? at_s : now_s);

    return e ? past_generation(app->desired, e, ret_g) : -ENOENT;
}

void get_timeline_diff(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(generation_freep) struct generation *before = NULL;
    CLEANUP(generation_freep) struct generation *after = NULL;
    CLEANUP(world_freep) struct world *w_before = NULL;
    CLEANUP(world_freep) struct world *w_after = NULL;
    CLEANUP(meaning_done) struct meaning m = {.text = NULL};
    int64_t now_s = clock_unix_s(), from_s, to_s;
    char from[DATE_TEXT_SIZE], to[DATE_TEXT_SIZE];
    int r;

    if (!http_query(q, "from")) {
        http_problem(a, 400, "from is required: a time like 2026-11-22T10:00, or an age like 5m");
        return;
    }
    if (!view_time(q, "from", 0, &from_s, a) || !view_time(q, "to", now_s, &to_s, a))
        return;
    r = read_then(app, from_s, now_s, &before);
    if (r == 0)
        r = read_then(app, to_s, now_s, &after);
    if (r == -ENOENT) {
        http_problem(a, 404, "nothing is known of then; see /api/v1/timeline");
        return;
    }
    if (r < 0 || !before || !after) {
        app_fail(a, r, "the policy or the inventory of then");
        return;
    }
    w_before = world_new(before->policy, before->inventory, from_s);
    w_after = world_new(after->policy, after->inventory, to_s);
    (void)meaning_of(w_before, w_after, &m); /* It says itself when there is none. */
    http_ok(a, json_pack("{s:s,s:s,s:o,s:o}", "from", date_format_time(from_s, from), "to",
                         date_format_time(to_s, to), "diff", json_loads(m.json, 0, NULL),
                         "diff_text", json_any_text(m.text)));
}
