/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"
#include "cli/drill_really.h"

static bool is_leak(const struct attempt *t)
{
    return t->best == SCAN_OPEN && !t->passes && !t->depends;
}

bool drill_is_reached(const struct attempt *t)
{
    return t->best == SCAN_OPEN || (t->best == SCAN_REFUSED && t->passes);
}

static void add_difference(json_t *list, const char *to, unsigned port, const char *kind,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

static void add_difference(json_t *list, const char *to, unsigned port, const char *kind,
                           const char *format, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    json_t *made;
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    made = json_pack("{s:s,s:s,s:s}", "to", to, "kind", kind, "text", buf_str(&text));
    if (port)
        (void)json_object_set_new(made, "port", json_integer((json_int_t)port));
    (void)json_array_append_new(list, made);
}

static void tell_attempt(const struct drill *d, const struct attempt *t, json_t *list)
{
    if (is_leak(t))
        add_difference(list, t->host, t->port, "leak",
                       "tcp/%u is open, and the policy denies it (%s): nobody between %s and %s "
                       "enforces it; see `suimitsu endpoint %s` and `suimitsu unprotected`",
                       t->port, t->reason, d->from, t->host, t->host);
    else if (t->passes && t->best != SCAN_OPEN && t->best != SCAN_REFUSED)
        add_difference(list, t->host, t->port, "no-answer",
                       "tcp/%u is allowed (%s), and the answer was: %s; no such server, a host "
                       "that is down, or a packet filter that is not ours",
                       t->port, t->reason, scan_result_name(t->best));
    else if (t->depends && t->best == SCAN_OPEN)
        add_difference(list, t->host, t->port, "depends",
                       "tcp/%u opens by %s, which asks for a server's program or a protocol's "
                       "functions: that is judged behind the connection",
                       t->port, t->reason);
}

/* Why an endpoint of the first hop was not reached. */
static void tell_unreached(const struct drill *d, const char *host, json_t *list)
{
    const json_t *rule, *condition;
    size_t i, k;

    for (size_t n = 0; n < d->n_attempts; n++) {
        if (strcmp(d->attempts[n].host, host) != 0)
            continue;
        json_array_foreach(json_object_get(d->attempts[n].why, "nearest"), i, rule)
        {
            json_array_foreach(json_object_get(rule, "conditions"), k, condition)
            {
                const char *what = text_of(condition, "what");
                bool own = strcmp(what, "process") == 0 || strcmp(what, "user") == 0;

                if (own && strcmp(text_of(condition, "state"), "not-met") == 0) {
                    add_difference(list, host, 0, "own-agent",
                                   "in the blast radius and not reached: rule %s asks for a %s "
                                   "that only %s's own agent sees; who owns %s ends that agent",
                                   text_of(rule, "id"), what, d->from, d->from);
                    return;
                }
            }
        }
    }
    add_difference(list, host, 0, "not-tried",
                   "in the blast radius and not reached: by another protocol, a port that was not "
                   "tried, or a server that does not run");
}

static void tell_host(const struct drill *d, const char *host, bool reached, json_t *list)
{
    json_int_t hops = json_integer_value(json_object_get(d->computed, host));

    if (hops == 1 && !reached)
        tell_unreached(d, host, list);
    else if (hops > 1 && !reached)
        add_difference(list, host, 0, "further",
                       "in the blast radius in %lld hops; a real drill takes no host over and does "
                       "not go on from there",
                       hops);
    else if (!hops && reached)
        add_difference(list, host, 0, "outside-radius", "reached, and not in the blast radius");
}

static json_t *connections(const struct drill *d)
{
    json_t *list = json_array();

    for (size_t i = 0; i < d->n_attempts; i++) {
        const struct attempt *t = &d->attempts[i];

        for (size_t k = t->first; k < t->first + t->n; k++)
            (void)json_array_append_new(
                list,
                json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "to", t->host, "address",
                          d->addresses[k], "protocol", "tcp", "port", (int)t->port, "result",
                          scan_result_name(d->targets[k].result), "verdict",
                          t->depends ? "depends" : text_of(t->why, "verdict"), "by", t->reason));
    }
    return list;
}

/* {"web1": ["pc1", "tcp/443"]} */
static json_t *reached(const struct drill *d)
{
    json_t *found = json_object();
    char service[16];

    for (size_t i = 0; i < d->n_attempts; i++) {
        const struct attempt *t = &d->attempts[i];

        (void)snprintf(service, sizeof(service), "tcp/%u", t->port);
        if (drill_is_reached(t) && !json_object_get(found, t->host))
            (void)json_object_set_new(found, t->host, json_pack("[s,s]", d->from, service));
    }
    return found;
}

json_t *drill_report(const struct drill *d, bool *ret_agrees)
{
    json_t *found = reached(d), *list = json_array();
    json_t *report = json_object();

    *ret_agrees = true;
    for (size_t i = 0; i < d->n_attempts; i++) {
        tell_attempt(d, &d->attempts[i], list);
        *ret_agrees = *ret_agrees && !is_leak(&d->attempts[i]);
    }
    for (size_t i = 0; i < d->in->n_args; i++)
        tell_host(d, d->in->args[i], json_object_get(found, d->in->args[i]) != NULL, list);
    (void)json_object_update_new(report, json_pack("{s:s,s:s,s:b,s:I,s:I}", "from", d->from, "as",
                                                   "this machine", "agrees", *ret_agrees, "reached",
                                                   (json_int_t)json_object_size(found), "of",
                                                   (json_int_t)d->in->n_args));
    (void)json_object_set_new(report, "waves",
                              json_object_size(found)
                                  ? json_pack("[{s:i,s:f,s:O}]", "hops", 1, "seconds",
                                              (double)d->took_ms / 1000, "reached", found)
                                  : json_array());
    json_decref(found);
    (void)json_object_set(report, "computed", d->computed);
    (void)json_object_set_new(report, "seconds", json_real((double)d->took_ms / 1000));
    (void)json_object_set_new(report, "first_alarm_s",
                              d->alarm_ms < 0 ? json_null()
                                              : json_real((double)d->alarm_ms / 1000));
    (void)json_object_set_new(report, "connections", connections(d));
    (void)json_object_set_new(report, "differences", list);
    return report;
}

void drill_print(const struct drill *d, const json_t *report, bool agrees)
{
    const json_t *difference;
    size_t i;

    (void)printf("from %s, this machine: %lld of %zu hosts; %zu connections tried in %.1f s\n",
                 d->from, number_of(report, "reached"), d->in->n_args, d->n_targets,
                 (double)d->took_ms / 1000);
    for (i = 0; i < d->n_attempts; i++)
        if (drill_is_reached(&d->attempts[i]))
            (void)printf("  hop 1  %-12s by tcp/%u%s\n", d->attempts[i].host, d->attempts[i].port,
                         d->attempts[i].best == SCAN_REFUSED ? ", where nothing serves" : "");
    if (d->alarm_ms >= 0)
        (void)printf("the first denial was reported after %.1f s\n", (double)d->alarm_ms / 1000);
    else
        (void)printf("no denial was reported\n");
    (void)printf(agrees ? "as the policy says\n" : "NOT as the policy says\n");
    json_array_foreach(json_object_get(report, "differences"), i, difference)
    {
        CLEANUP(buf_done) struct buf line = BUF_INIT;

        buf_printf(&line, "  %s: %s", text_of(difference, "to"), text_of(difference, "text"));
        (void)print_lines(stdout, buf_str(&line), 1);
    }
}
