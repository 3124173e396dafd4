/* SPDX-License-Identifier: Apache-2.0 */
/* What has just happened, as server-sent events.  One stream a browser, of the topics that it asks
 * for and may see; who was away goes on where he was, or is told that he has missed something. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/number.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/main/operations.h"

enum { FLOWS_AT_ONCE = 200, EVENTS_AT_ONCE = 500, RETRY_MS = 3000, POSITION_SIZE = 80 };

struct event_source {
    struct http_stream stream;
    struct app *app;
    struct who who;
    unsigned topics;
    uint64_t sent, flows_sent; /* Numbers of the last ones that were told. */
    bool has_missed;           /* Where it was is not known any more. */
    bool has_begun;
};

/* Run, last event, last flow: what comes back as Last-Event-ID. */
static void write_event(struct event_source *s, struct buf *out, const char *name, const char *data)
{
    buf_printf(out, "id: %" PRIx64 "-%" PRIu64 "-%" PRIu64 "\nevent: %s\ndata: %s\n\n",
               (uint64_t)s->app->started_s, s->sent, s->flows_sent, name, data);
}

static void write_json(struct event_source *s, struct buf *out, const char *name, json_t *data)
{
    CLEANUP(free_voidp) char *text = json_dumps(data, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(data);
    write_event(s, out, name, text ? text : "{}");
}

static void begin(struct event_source *s, struct buf *out)
{
    json_t *topics = json_array();

    for (unsigned i = 0; i < EVENT_TOPICS; i++)
        if (s->topics & (1u << i))
            (void)json_array_append_new(topics, json_string(event_topic_name((enum event_topic)i)));
    buf_printf(out, "retry: %d\n", RETRY_MS);
    write_json(s, out, "hello",
               json_pack("{s:o,s:I}", "topics", topics, "revision",
                         (json_int_t)desired_head(s->app->desired)->revision));
    s->has_begun = true;
}

static void tell_missed(struct event_source *s, struct buf *out)
{
    uint64_t first = events_first(s->app->events);

    if (first && s->sent + 1 < first) {
        s->sent = first - 1;
        s->has_missed = true;
    }
    if (!s->has_missed)
        return;
    s->has_missed = false;
    write_json(s, out, "lost",
               json_pack("{s:s}", "fix", "some events were missed: ask for what you show again"));
}

static void tell_flows(struct event_source *s, struct buf *out)
{
    struct flows_question all = {.port = -1, .protocol = -1, .word = -1, .max = FLOWS_AT_ONCE};
    uint64_t last, before = s->flows_sent, after;
    json_t *list;

    if (!(s->topics & (1u << EVENT_FLOWS)) || !s->app->flows)
        return;
    last = flows_last(s->app->flows);
    if (last == before)
        return;
    after = last - before > FLOWS_AT_ONCE ? last - FLOWS_AT_ONCE : before;
    s->flows_sent = last;
    list = flows_tail(s->app->flows, &all, after);
    app_keep_flows(s->app, &s->who, list);
    if (json_array_size(list) == 0 && after == before) {
        json_decref(list);
        return;
    }
    write_json(s, out, "flows",
               json_pack("{s:I,s:I,s:I,s:o}", "after", (json_int_t)after, "last", (json_int_t)last,
                         "skipped", (json_int_t)(after - before), "flows", list));
}

static bool may_know(const struct event_source *s, const struct event *e)
{
    return e->owner[0] ? operations_are_his(&s->who, e->owner)
                       : app_sees(s->app, &s->who, e->endpoint);
}

static void tell_events(struct event_source *s, struct buf *out)
{
    for (unsigned n = 0; n < EVENTS_AT_ONCE; n++) {
        const struct event *e = events_next(s->app->events, s->sent, s->topics);

        if (!e) {
            s->sent = events_last(s->app->events);
            return;
        }
        s->sent = e->number;
        if (may_know(s, e))
            write_event(s, out, event_topic_name(e->topic), e->data);
    }
}

/* What of the topics a role may see: nobody reads the audit here who may not read it elsewhere, and
 * who has a scope is not told of the whole. */
static unsigned topics_of(const struct who *w)
{
    unsigned topics = (1u << EVENT_TOPICS) - 1;

    if (!who_may(w, RIGHT_READ))
        return 0;
    if (!who_may(w, RIGHT_AUDIT))
        topics &= ~(1u << EVENT_AUDIT);
    if (scope_is_set(&w->scope))
        topics &= ~(1u << EVENT_POLICY);
    return topics;
}

static int next(struct http_stream *stream, bool is_beat, struct buf *out)
{
    struct event_source *s = (struct event_source *)stream;

    app_renew(s->app, &s->who);
    s->topics &= topics_of(&s->who);
    if (!s->topics)
        return -EACCES;
    if (!s->has_begun)
        begin(s, out);
    tell_missed(s, out);
    tell_events(s, out);
    tell_flows(s, out);
    if (is_beat && out->size == 0)
        buf_puts(out, ": still here\n\n");
    return 0;
}

static void free_source(struct http_stream *stream)
{
    free(stream);
}

/* Goes on behind "run-event-flow"; -EINVAL: not that. */
static int go_on(struct event_source *s, const char *position)
{
    uint64_t event, flow;
    size_t run_len = strcspn(position, "-"), event_len, flow_len;
    char run[32];

    (void)snprintf(run, sizeof(run), "%" PRIx64, (uint64_t)s->app->started_s);
    if (!position[run_len] || strlen(position) >= POSITION_SIZE)
        return -EINVAL;
    event_len = strcspn(position + run_len + 1, "-");
    if (!position[run_len + 1 + event_len])
        return -EINVAL;
    flow_len = strlen(position + run_len + event_len + 2);
    if (number_parse(position + run_len + 1, event_len, INT64_MAX, &event) < 0 ||
        number_parse(position + run_len + event_len + 2, flow_len, INT64_MAX, &flow) < 0)
        return -EINVAL;
    if (strlen(run) != run_len || strncmp(run, position, run_len) != 0 || event > s->sent ||
        flow > s->flows_sent) {
        s->has_missed = true; /* Of another run of the daemon. */
        return 0;
    }
    s->sent = event;
    s->flows_sent = flow;
    return 0;
}

void get_events(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const char *list = http_query(q, "topics");
    const char *position = q->last_event_id ? q->last_event_id : http_query(q, "after");
    unsigned may = topics_of(q->who), topics = may;
    struct event_source *s;

    if (list && event_topics_parse(list, &topics) < 0) {
        http_problem_field(a, 400, "topics",
                           "topics=flows,alerts,enforcers,policy,audit,trust,operations",
                           "expected a list of known topics");
        return;
    }
    topics &= may; /* `hello` says what is left. */
    if (!topics) {
        http_problem_field(a, 403, "topics", "leave out audit, or policy when you have a scope",
                           "none of these topics is for you");
        return;
    }
    s = xcalloc(1, sizeof(*s));
    s->stream = (struct http_stream){.next = next, .free = free_source};
    s->app = app;
    s->who = *q->who;
    s->stream.owner = s->who.actor;
    s->topics = topics;
    s->sent = events_last(app->events);
    s->flows_sent = app->flows ? flows_last(app->flows) : 0;
    if (position && go_on(s, position) < 0) {
        free(s);
        http_problem_field(a, 400, "Last-Event-ID", "leave it out",
                           "expected the id of an event of this stream");
        return;
    }
    a->status = 200;
    a->stream = &s->stream;
}

/* ---- where events come from ---- */

static void add(struct app *app, enum event_topic topic, const char *endpoint, json_t *data)
{
    if (!app->events || !data) {
        json_decref(data);
        return;
    }
    (void)events_add(app->events, topic, endpoint, data);
    if (app->server)
        server_wake(app->server);
}

void app_tell_operation(void *user, const char *owner, json_t *event)
{
    struct app *app = user;

    (void)events_add_own(app->events, EVENT_OPERATIONS, owner, event);
    if (app->server)
        server_wake(app->server);
}

void app_alert(struct app *app, const char *endpoint, json_t *data)
{
    add(app, EVENT_ALERTS, endpoint, data);
}

void app_enforcer_changed(void *user, const char *endpoint)
{
    struct app *app = user;

    add(app, EVENT_ENFORCERS, endpoint ? endpoint : "",
        endpoint ? json_pack("{s:s}", "enforcer", endpoint)
                 : json_pack("{s:s}", "enforcer", "many"));
}

static void audited(const struct store_item *item, void *user)
{
    if (!item->deleted)
        add(user, EVENT_AUDIT, "", json_loadb(item->data, item->size, 0, NULL));
}

static void trust_changed(const struct store_item *item, void *user)
{
    const char *endpoint = item->key + strlen("trust/");
    CLEANUP(json_decrefp) json_t *stored = json_loadb(item->data, item->size, 0, NULL);

    add(user, EVENT_TRUST, endpoint,
        json_pack("{s:s,s:s}", "endpoint", endpoint, "trust",
                  item->deleted ? "white" : json_text(stored, "state")));
}

static void head_changed(const struct store_item *item, void *user)
{
    if (!item->deleted)
        add(user, EVENT_POLICY, "", json_loadb(item->data, item->size, 0, NULL));
}

int app_watch_events(struct app *app)
{
    uint64_t now = store_revision(app->store);
    int r = store_watch(app->store, "audit/", now, audited, app);

    app->events = events_new();
    if (r >= 0)
        r = store_watch(app->store, "trust/", now, trust_changed, app);
    if (r >= 0)
        r = store_watch(app->store, "desired/head", now, head_changed, app);
    return r < 0 ? r : 0;
}
