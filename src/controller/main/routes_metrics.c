/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics in Prometheus' text format (version 0.0.4): numbers without names of endpoints, so
 * that whoever scrapes learns how things are and not what is there. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/number.h"
#include "controller/main/app.h"
#include "sys/file.h"

enum { MAX_STATM = 256 };

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP suimitsu_%s %s\n# TYPE suimitsu_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
    head(b, name, "gauge", help);
    buf_printf(b, "suimitsu_%s %" PRIu64 "\n", name, value);
}

static void counter(struct buf *b, const char *name, const char *help, uint64_t value)
{
    head(b, name, "counter", help);
    buf_printf(b, "suimitsu_%s %" PRIu64 "\n", name, value);
}

static void labelled(struct buf *b, const char *name, const char *label, const char *value,
                     uint64_t n)
{
    buf_printf(b, "suimitsu_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, n);
}

static void write_policy(struct buf *b, struct app *app)
{
    const struct desired_head *h = desired_head(app->desired);
    const struct generation *g = desired_current(app->desired);
    size_t n_black = 0;

    for (size_t i = 0; i < g->inventory->n_endpoints; i++)
        n_black += g->inventory->endpoints[i].trust == TRUST_BLACK;
    gauge(b, "revision", "Revision that is wanted everywhere.", h->revision);
    gauge(b, "policy_version", "Version of the policy in force; 0: none was applied.", h->policy);
    gauge(b, "inventory_version", "Version of the inventory in force.", h->inventory);
    gauge(b, "rules", "Rules of the policy in force.", g->policy->n_rules);
    gauge(b, "endpoints", "Endpoints in the inventory.", g->inventory->n_endpoints);
    gauge(b, "endpoints_quarantined", "Endpoints that are black.", n_black);
    gauge(b, "confirmation_awaited", "1 while a change waits for its confirmation.",
          h->confirm_revision != 0);
}

static void write_enforcers(struct buf *b, struct app *app)
{
    struct dist_summary sum = {.n_expected = 0};

    if (app->dist)
        dist_summarise(app->dist, &sum);
    head(b, "enforcers", "gauge", "Enforcers by state.");
    labelled(b, "enforcers", "state", "expected", sum.n_expected);
    labelled(b, "enforcers", "state", "connected", sum.n_connected);
    labelled(b, "enforcers", "state", "active", sum.n_active);
    labelled(b, "enforcers", "state", "current", sum.n_current);
    labelled(b, "enforcers", "state", "refused", sum.n_refused);
    counter(b, "agent_bad_messages_total", "Messages of agents that were not understood.",
            sum.bad_messages);
    counter(b, "agent_foreign_reports_total", "Reports of agents about others.",
            sum.foreign_reports);
    counter(b, "agent_refused_connections_total", "Agents' connections that were refused.",
            sum.refused_connections);
}

static void write_exporters(struct buf *b, const struct app *app)
{
    struct exporters_sums s = exporters_sums(app->exporters);

    gauge(b, "exporters", "Exporters of flows that are configured.", s.n);
    gauge(b, "exporters_heard", "Exporters that were heard of in the last five minutes.",
          s.n_heard);
    counter(b, "exporter_datagrams_total", "Datagrams of exporters.", s.datagrams);
    counter(b, "exporter_records_total", "Flow records in them that were understood.", s.records);
    counter(b, "exporter_lost_total", "Records or datagrams missing by sequence numbers.", s.lost);
    counter(b, "exporter_refused_total", "Records over a bound.", s.refused);
    counter(b, "exporter_malformed_total", "Datagrams that were not understood.", s.malformed);
    counter(b, "exporter_without_template_total", "Data sets without their template.",
            s.untemplated);
    counter(b, "exporter_strangers_total", "Datagrams of addresses that nobody configured.",
            s.strangers);
    counter(b, "exporter_kernel_lost_total", "Datagrams that found the kernel's queue full.",
            s.kernel_lost);
}

static void write_api(struct buf *b, const struct app *app)
{
    const struct app_logins *l = &app->logins;
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

    counter(b, "flow_records_total", "Flow records that came, of agents and of others.",
            app->flows ? flows_last(app->flows) : 0);
    counter(b, "events_total", "Events since the start.",
            app->events ? events_last(app->events) : 0);
    head(b, "logins_total", "counter", "Attempts to log in by result.");
    labelled(b, "logins_total", "result", "good", l->n_good);
    labelled(b, "logins_total", "result", "failed", l->n_failed);
    labelled(b, "logins_total", "result", "throttled", l->n_throttled);
    if (!app->server)
        return;
    gauge(b, "api_connections", "Open HTTPS connections.", server_connections(app->server));
    gauge(b, "api_streams", "Browsers that listen to events.", server_streams(app->server));
    head(b, "api_requests_total", "counter", "Answered requests by class of status.");
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
        labelled(b, "api_requests_total", "status", classes[i], server_answers(app->server, i + 1));
}

static void write_process(struct buf *b, const struct app *app)
{
    CLEANUP(buf_done) struct buf statm = BUF_INIT;
    struct rusage usage = {.ru_maxrss = 0};
    uint64_t pages = 0;
    const char *resident;

    (void)getrusage(RUSAGE_SELF, &usage); /* Cannot fail for ourselves. */
    if (file_read("/proc/self/statm", MAX_STATM, &statm) == 0 &&
        (resident = strchr(buf_str(&statm), ' ')) != NULL)
        (void)number_parse(resident + 1, strcspn(resident + 1, " "), UINT32_MAX, &pages);
    buf_printf(b,
               "# HELP process_resident_memory_bytes Resident memory.\n"
               "# TYPE process_resident_memory_bytes gauge\n"
               "process_resident_memory_bytes %" PRIu64 "\n"
               "# HELP process_cpu_seconds_total Processor time.\n"
               "# TYPE process_cpu_seconds_total counter\n"
               "process_cpu_seconds_total %lld.%06ld\n"
               "# HELP process_start_time_seconds Start, in Unix time.\n"
               "# TYPE process_start_time_seconds gauge\n"
               "process_start_time_seconds %lld\n",
               pages * 4096, (long long)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec,
               (long)((usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) % 1000000),
               (long long)app->started_s);
}

void get_metrics(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    struct buf *b = &a->text;

    (void)q;
    head(b, "build_info", "gauge", "Version of the controller.");
    buf_puts(b, "suimitsu_build_info{version=\"" SUIMITSU_VERSION "\"} 1\n");
    write_policy(b, app);
    write_enforcers(b, app);
    write_exporters(b, app);
    write_api(b, app);
    write_process(b, app);
    app_notify_metrics(app, b);
    a->status = 200;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
}
