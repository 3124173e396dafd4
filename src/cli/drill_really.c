/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/drill_really.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/client.h"
#include "sys/loop.h"
#include "sys/scan.h"

enum { NAMELESS = 9, ALARM_WAIT_MS = 10000, ALARM_PAUSE_MS = 200 };

static void drill_done(struct drill *d)
{
    for (size_t i = 0; i < d->n_attempts; i++)
        json_decref(d->attempts[i].why);
    json_decref(d->endpoints);
    json_decref(d->computed);
    free(d);
}
DEFINE_CLEANUP(struct drill, drill_done)

/* ---- what there is to try ---- */

static int learn_endpoint(struct drill *d, const char *name)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r;

    buf_puts(&path, "/api/v1/endpoints/");
    url_add(&path, name);
    r = client_ask(d->in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r == EXIT_OK)
        (void)json_object_set(d->endpoints, name, a.json);
    return r;
}

static bool is_this_machines(const char *address)
{
    struct ifaddrs *list, *i;
    struct sockaddr_in6 wanted, mine;
    char text[INET6_ADDRSTRLEN];
    bool found = false;

    if (scan_address(address, 0, &wanted) < 0 || getifaddrs(&list) < 0)
        return false;
    for (i = list; i && !found; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *bytes =
            family == AF_INET    ? (void *)&((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr
            : family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr
                                 : NULL;

        found = bytes && inet_ntop(family, bytes, text, sizeof(text)) &&
                scan_address(text, 0, &mine) == 0 &&
                memcmp(&mine.sin6_addr, &wanted.sin6_addr, sizeof(mine.sin6_addr)) == 0;
    }
    freeifaddrs(list);
    return found;
}

/* A probe that claims to be another would compare with the wrong verdicts. */
static int check_source(struct drill *d)
{
    const json_t *addresses, *address;
    size_t i;
    int r = learn_endpoint(d, d->from);

    if (r != EXIT_OK)
        return r;
    addresses = json_object_get(json_object_get(d->endpoints, d->from), "addresses");
    json_array_foreach(addresses, i, address)
    {
        if (is_this_machines(json_string_value(address)))
            return EXIT_OK;
    }
    return complain(EXIT_NOT_ALLOWED,
                    "this machine has none of %s's addresses; a real drill begins where it runs",
                    d->from);
}

static int learn_hosts(struct drill *d)
{
    int r = EXIT_OK;

    if (d->in->n_args > DRILL_MAX_HOSTS)
        return complain(EXIT_USAGE, "%zu hosts; a real drill takes at most %d", d->in->n_args,
                        DRILL_MAX_HOSTS);
    for (size_t i = 0; i < d->in->n_args && r == EXIT_OK; i++) {
        if (strcmp(d->in->args[i], d->from) == 0)
            return complain(EXIT_USAGE, "%s is where the drill begins", d->from);
        if (json_object_get(d->endpoints, d->in->args[i]))
            return complain(EXIT_USAGE, "%s is named twice", d->in->args[i]);
        r = learn_endpoint(d, d->in->args[i]);
    }
    return r;
}

static int add_port(struct drill *d, uint16_t port)
{
    for (size_t i = 0; i < d->n_ports; i++)
        if (d->ports[i] == port)
            return EXIT_OK;
    if (d->n_ports == DRILL_MAX_PORTS)
        return complain(EXIT_USAGE,
                        "the policy's services have more than %d ports; choose one service with "
                        "--service",
                        DRILL_MAX_PORTS);
    d->ports[d->n_ports++] = port;
    return EXIT_OK;
}

/* The first port of each "tcp/5432" or "tcp/49152-65535". */
static int add_service(struct drill *d, const json_t *texts)
{
    const json_t *text;
    uint64_t port;
    size_t i;
    int r = EXIT_OK;

    json_array_foreach(texts, i, text)
    {
        const char *s = json_string_value(text);

        if (r == EXIT_OK && s && strncmp(s, "tcp/", 4) == 0 &&
            number_parse(s + 4, strcspn(s + 4, "-"), 65535, &port) == 0 && port)
            r = add_port(d, (uint16_t)port);
    }
    return r;
}

static int learn_ports(struct drill *d)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *form = NULL;
    const char *wanted = invocation_value(d->in, "service");
    const json_t *service;
    size_t i;
    int r = client_ask_list(d->in, "/api/v1/services", &a);

    if (r == EXIT_OK && !wanted)
        r = add_port(d, NAMELESS); /* That no service is likely to name. */
    json_array_foreach(a.json, i, service)
    {
        if (r == EXIT_OK && (!wanted || strcmp(text_of(service, "name"), wanted) == 0))
            r = add_service(d, json_object_get(service, "ports"));
    }
    if (r != EXIT_OK || !wanted)
        return r;
    if (!d->n_ports) {
        form = json_pack("[s]", wanted);
        r = add_service(d, form);
    }
    if (r == EXIT_OK && !d->n_ports)
        return complain(EXIT_USAGE, "--service %s: expected a service with TCP ports, or tcp/PORT",
                        wanted);
    return r;
}

static int learn_radius(struct drill *d)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    const json_t *hop, *name;
    size_t i, k;
    int r;

    buf_puts(&path, "/api/v1/policy/radius?inside&from=endpoint:");
    url_add(&path, d->from);
    r = client_ask(d->in, "GET", buf_str(&path), NULL, NULL, &a);
    json_array_foreach(json_object_get(a.json, "hops"), i, hop)
    {
        json_array_foreach(json_object_get(hop, "endpoints"), k, name)
        {
            (void)json_object_set(d->computed, json_string_value(name),
                                  json_object_get(hop, "hops"));
        }
    }
    return r;
}

/* Every address of every host by every port. */
static int make_targets(struct drill *d)
{
    for (size_t h = 0; h < d->in->n_args; h++)
        for (size_t p = 0; p < d->n_ports; p++) {
            struct attempt *t = &d->attempts[d->n_attempts++];
            const json_t *address;
            size_t i;

            *t = (struct attempt){
                .host = d->in->args[h], .port = d->ports[p], .first = d->n_targets};
            json_array_foreach(json_object_get(json_object_get(d->endpoints, t->host), "addresses"),
                               i, address)
            {
                const char *text = json_string_value(address);

                if (d->n_targets == SCAN_MAX_TARGETS)
                    return complain(EXIT_USAGE,
                                    "more than %d connections; name fewer hosts, or one --service",
                                    SCAN_MAX_TARGETS);
                if (scan_address(text, t->port, &d->targets[d->n_targets].address) == 0) {
                    d->addresses[d->n_targets++] = text;
                    t->n++;
                }
            }
        }
    return EXIT_OK;
}

/* ---- the walk, and who notices ---- */

static void listen_for_alarm(void *user)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    struct drill *d = user;

    if (d->alarm_ms >= 0)
        return;
    buf_printf(&path, "/api/v1/flows?verdict=deny&max=1&after=%lld&from=", d->known_flows);
    url_add(&path, d->from);
    if (client_ask(d->in, "GET", buf_str(&path), NULL, NULL, &a) == EXIT_OK &&
        json_array_size(json_object_get(a.json, "flows")))
        d->alarm_ms = (int64_t)(loop_now_ms() - d->began_ms);
}

static int walk(struct drill *d)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    const char *rate = invocation_value(d->in, "rate");
    uint64_t per_second = DRILL_RATE;
    int r;

    if (rate &&
        (number_parse(rate, strlen(rate), SCAN_MAX_RATE, &per_second) < 0 || per_second == 0))
        return complain(EXIT_USAGE, "--rate %s: expected 1 to %d connections a second", rate,
                        SCAN_MAX_RATE);
    r = client_ask(d->in, "GET", "/api/v1/status", NULL, NULL, &a);
    if (r != EXIT_OK)
        return r;
    d->known_flows = number_of(a.json, "flows");
    d->began_ms = loop_now_ms();
    r = scan_run(d->targets, d->n_targets, (unsigned)per_second, DRILL_ANSWER_MS, listen_for_alarm,
                 d);
    d->took_ms = loop_now_ms() - d->began_ms;
    return r < 0 ? complain(EXIT_PARTIAL, "the drill broke off: %s", strerror(-r)) : EXIT_OK;
}

/* Agents report about once a second; a machine that is busy takes its time. */
static void wait_for_alarm(struct drill *d)
{
    const struct timespec pause = {.tv_nsec = ALARM_PAUSE_MS * 1000000L};
    uint64_t end_ms = loop_now_ms() + ALARM_WAIT_MS;
    bool stopped = false;

    for (size_t i = 0; i < d->n_attempts; i++)
        stopped = stopped || (!d->attempts[i].passes && d->attempts[i].best != SCAN_OPEN);
    while (stopped && d->alarm_ms < 0 && loop_now_ms() < end_ms) {
        (void)nanosleep(&pause, NULL);
        listen_for_alarm(d);
    }
}

/* ---- what the policy says of it ---- */

/* True when nothing but what a connection does not show keeps the rule from matching. */
static bool lacks_only_what_is_unseen(const json_t *rule)
{
    const json_t *condition;
    size_t i, n = 0;

    json_array_foreach(json_object_get(rule, "conditions"), i, condition)
    {
        const char *what = text_of(condition, "what"), *state = text_of(condition, "state");

        if (strcmp(state, "met") == 0 || strcmp(state, "accepted") == 0)
            continue;
        if (strcmp(state, "not-told") != 0 ||
            (strcmp(what, "function") != 0 && strcmp(what, "served-by") != 0))
            return false;
        n++;
    }
    return n > 0;
}

static void read_verdict(struct attempt *t)
{
    const json_t *rule;
    size_t i;
    bool denied = strcmp(text_of(t->why, "verdict"), "deny") == 0 &&
                  json_is_true(json_object_get(t->why, "enforced"));

    t->passes = !denied;
    t->reason = text_of(t->why, "rule")[0] ? text_of(t->why, "rule") : text_of(t->why, "layer");
    if (!denied)
        return;
    json_array_foreach(json_object_get(t->why, "nearest"), i, rule)
    {
        if (strcmp(text_of(t->why, "layer"), "default") == 0 && lacks_only_what_is_unseen(rule)) {
            t->depends = true;
            t->reason = text_of(rule, "id");
        }
    }
}

static int judge(struct drill *d)
{
    const struct passwd *user = getpwuid(geteuid());
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    int r = EXIT_OK;

    exe[n > 0 ? n : 0] = 0;
    for (size_t i = 0; i < d->n_attempts && r == EXIT_OK; i++) {
        struct attempt *t = &d->attempts[i];
        CLEANUP(answer_done) struct answer a = {.json = NULL};
        CLEANUP(json_decrefp)
        json_t *query = json_pack("{s:s,s:s,s:s,s:i,s:s*,s:s*}", "from", d->from, "to", t->host,
                                  "protocol", "tcp", "port", (int)t->port, "process",
                                  exe[0] ? exe : NULL, "user", user ? user->pw_name : NULL);

        for (size_t k = t->first; k < t->first + t->n; k++)
            if (d->targets[k].result == SCAN_OPEN ||
                (d->targets[k].result == SCAN_REFUSED && t->best != SCAN_OPEN) || k == t->first)
                t->best = d->targets[k].result;
        r = client_ask(d->in, "POST", "/api/v1/why", query, NULL, &a);
        if (r == EXIT_OK) {
            t->why = json_incref(a.json);
            read_verdict(t);
        }
    }
    return r;
}

/* What was measured, for the timeline and the console's overview; needs the right to operate. */
static int write_note(const struct drill *d, const json_t *report)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    buf_printf(&text, "drill from %s, this machine: %lld of %zu hosts reached", d->from,
               (long long)number_of(report, "reached"), d->in->n_args);
    if (d->alarm_ms >= 0)
        buf_printf(&text, ", first denial reported after %.1f s", (double)d->alarm_ms / 1000);
    body = json_pack("{s:s}", "comment", buf_str(&text));
    if (body && d->alarm_ms >= 0)
        (void)json_object_set_new(body, "detect_ms", json_integer((json_int_t)d->alarm_ms));
    return body ? client_ask(d->in, "POST", "/api/v1/timeline", body, NULL, &a)
                : complain(EXIT_USAGE, "%s is not UTF-8", d->from);
}

int drill_really(const struct invocation *in)
{
    CLEANUP(drill_donep) struct drill *d = xcalloc(1, sizeof(*d));
    CLEANUP(json_decrefp) json_t *report = NULL;
    bool agrees = false;
    int r;

    d->in = in;
    d->from = invocation_value(in, "from");
    d->endpoints = json_object();
    d->computed = json_object();
    d->alarm_ms = -1;
    r = check_source(d);
    if (r == EXIT_OK)
        r = learn_hosts(d);
    if (r == EXIT_OK)
        r = learn_ports(d);
    if (r == EXIT_OK)
        r = learn_radius(d);
    if (r == EXIT_OK)
        r = make_targets(d);
    if (r == EXIT_OK)
        r = walk(d);
    if (r == EXIT_OK)
        r = judge(d);
    if (r != EXIT_OK)
        return r;
    wait_for_alarm(d);
    report = drill_report(d, &agrees);
    if (!print_document(in, report))
        drill_print(d, report, agrees);
    r = invocation_value(in, "note") ? write_note(d, report) : EXIT_OK;
    if (r != EXIT_OK)
        return r;
    return agrees ? EXIT_OK : EXIT_DIFFERS;
}
