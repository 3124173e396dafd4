/* SPDX-License-Identifier: Apache-2.0 */
/* What happens, told to a collector of logs and to a webhook: denials, notices, and whatever the
 * audit is told of (policy, trust, logins and the rest). */
#include "controller/main/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/notify/collector.h"
#include "controller/notify/lines.h"
#include "controller/notify/webhook.h"
#include "sys/clock.h"
#include "sys/file.h"

enum {
    MAX_FILE = 65536,
    DENIALS_A_SECOND = 200,
    DENIALS_AT_ONCE = 1000,
    HOST_SIZE = 256,
    RETRY_MS = 1000,
    MIN_SECRET = 16
};

struct notify {
    struct app *app;
    struct collector *collector; /* NULL: none. */
    enum line_format format;
    struct webhook *webhook; /* NULL: none. */
    char host[HOST_SIZE];
    int pid;
    uint64_t flows_told; /* Number of the last record that was looked at. */
    int64_t second;
    unsigned n_denials; /* In this second. */
    uint64_t n_unsaid;
};

/* Takes 'data'. */
static void tell(struct notify *n, enum line_kind kind, json_t *data)
{
    struct line l = {.kind = kind, .time_ms = (int64_t)clock_unix_ms(), .data = data};
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    if (n->collector) {
        line_syslog(&text, &l, n->format, n->host, n->pid);
        collector_send(n->collector, text.data, text.size);
    }
    if (n->webhook)
        webhook_send(n->webhook, json_pack("{s:s,s:I,s:O}", "type", line_kind_name(kind), "time_ms",
                                           (json_int_t)l.time_ms, "data", data));
    json_decref(data);
}

static void event_came(const struct event *e, void *notify)
{
    struct notify *n = notify;
    json_t *data;

    if (e->topic != EVENT_AUDIT && e->topic != EVENT_ALERTS)
        return; /* Trust and policy come with their audit entries. */
    data = json_loads(e->data, 0, NULL);
    if (data)
        tell(n,
             e->topic == EVENT_ALERTS ? LINE_NOTICE
                                      : line_kind_of_action(json_text(data, "action")),
             data);
}

void notify_flows(struct notify *n)
{
    struct flows_question denied = {
        .port = -1, .protocol = -1, .word = -1, .denied = true, .max = DENIALS_AT_ONCE};
    CLEANUP(json_decrefp) json_t *list = NULL;
    json_t *flow;
    size_t i;

    if (!n || !n->app->flows || (!n->collector && !n->webhook))
        return;
    list = flows_tail(n->app->flows, &denied, n->flows_told);
    n->flows_told = flows_last(n->app->flows);
    json_array_foreach(list, i, flow)
    {
        if (strncmp(json_text(flow, "verdict"), "seen", 4) == 0)
            continue; /* Somebody else's denial, by his own rules. */
        if (clock_unix_s() != n->second) {
            n->second = clock_unix_s();
            n->n_denials = 0;
        }
        if (n->n_denials++ < DENIALS_A_SECOND)
            tell(n, LINE_DENIAL, json_incref(flow));
        else
            n->n_unsaid++;
    }
}

/* One line of a file, for a secret. */
static int read_line(const char *path, struct buf *b)
{
    int r = file_read(path, MAX_FILE, b);

    if (r < 0) {
        log_err("%s: %s", path, strerror(-r));
        return r;
    }
    b->size = strcspn(buf_str(b), "\r\n");
    if (b->data)
        b->data[b->size] = 0;
    return 0;
}

static int open_collector(struct notify *n, struct loop *l, const struct config *c)
{
    CLEANUP(buf_done) struct buf ca = BUF_INIT;
    struct collector_options o = {.transport = (enum collector_transport)c->syslog_transport,
                                  .address = c->syslog_address,
                                  .port = c->syslog_port,
                                  .peer_name = c->syslog_name[0] ? c->syslog_name : NULL};
    const char *what = "";
    int r = c->syslog_ca[0] ? file_read(c->syslog_ca, MAX_FILE, &ca) : 0;

    if (r < 0) {
        log_err("syslog-ca %s: %s", c->syslog_ca, strerror(-r));
        return r;
    }
    o.ca_pem = c->syslog_ca[0] ? buf_str(&ca) : NULL;
    n->format = c->syslog_cef ? LINE_CEF : LINE_JSON;
    r = collector_new(l, &o, &n->collector, &what);
    if (r < 0)
        log_err("syslog: %s", what);
    return r;
}

static int open_webhook(struct notify *n, struct loop *l, const struct config *c)
{
    CLEANUP(buf_done) struct buf secret = BUF_INIT;
    int r;

    if (!c->webhook_secret[0]) {
        log_err("webhook: needs webhook-secret-file, so that its receiver can tell who sends");
        return -EINVAL;
    }
    r = read_line(c->webhook_secret, &secret);
    if (r < 0)
        return r;
    if (secret.size < MIN_SECRET) {
        log_err("webhook-secret-file %s: expected at least %d bytes in its first line",
                c->webhook_secret, MIN_SECRET);
        return -EINVAL;
    }
    n->webhook = webhook_new(l, c->webhook, buf_str(&secret),
                             c->webhook_ca[0] ? c->webhook_ca : NULL, RETRY_MS);
    explicit_bzero(secret.data, secret.size);
    return 0;
}

int notify_open(struct app *app, struct loop *l, const struct config *c, struct notify **ret_n)
{
    CLEANUP(notify_freep) struct notify *n = xcalloc(1, sizeof(*n));
    int r = 0;

    n->app = app;
    n->pid = (int)getpid();
    if (gethostname(n->host, sizeof(n->host) - 1) < 0)
        n->host[0] = 0;
    if (c->syslog_address[0])
        r = open_collector(n, l, c);
    if (r == 0 && c->webhook[0])
        r = open_webhook(n, l, c);
    if (r < 0)
        return r;
    if (n->collector || n->webhook)
        events_listen(app->events, event_came, n);
    *ret_n = TAKE_PTR(n);
    return 0;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    collector_free(n->collector);
    webhook_free(n->webhook);
    n->collector = NULL;
    n->webhook = NULL;
    free(n);
}

static void write_counter(struct buf *b, const char *name, const char *help)
{
    buf_printf(b, "# HELP suimitsu_%s %s\n# TYPE suimitsu_%s counter\n", name, help, name);
}

void app_notify_metrics(struct app *app, struct buf *b)
{
    const struct notify *n = app->notify;
    struct collector_counts c = {.sent = 0};
    struct webhook_counts w = {.delivered = 0};

    if (n && n->collector)
        c = collector_counts(n->collector);
    if (n && n->webhook)
        w = webhook_counts(n->webhook);
    write_counter(b, "syslog_messages_total", "Messages to the collector of logs by result.");
    buf_printf(b, "suimitsu_syslog_messages_total{result=\"sent\"} %" PRIu64 "\n", c.sent);
    buf_printf(b, "suimitsu_syslog_messages_total{result=\"dropped\"} %" PRIu64 "\n", c.dropped);
    write_counter(b, "webhook_events_total", "Events to the webhook by result.");
    buf_printf(b, "suimitsu_webhook_events_total{result=\"delivered\"} %" PRIu64 "\n", w.delivered);
    buf_printf(b, "suimitsu_webhook_events_total{result=\"dropped\"} %" PRIu64 "\n", w.dropped);
    write_counter(b, "webhook_retries_total", "Attempts to deliver beyond the first.");
    buf_printf(b, "suimitsu_webhook_retries_total %" PRIu64 "\n", w.retried);
    write_counter(b, "denials_unsaid_total",
                  "Denials beyond 200 a second, which collector and webhook were not told of.");
    buf_printf(b, "suimitsu_denials_unsaid_total %" PRIu64 "\n", n ? n->n_unsaid : 0);
}
