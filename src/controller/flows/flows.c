/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of fixed records; see flows.h. */
#include "controller/flows/flows.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/json.h"

struct record {
    struct agent_flow flow;
    char from[PROGRAM_NAME_SIZE]; /* Empty: outside. */
    char to[PROGRAM_NAME_SIZE];
    char reporter[PROGRAM_NAME_SIZE];
    char rule[PROGRAM_NAME_SIZE];
};

struct flows {
    struct desired *desired;
    struct record *ring[FLOWS_KEPT]; /* Number n is at n % FLOWS_KEPT. */
    uint64_t last;
};

struct flows *flows_new(struct desired *desired)
{
    struct flows *f = xcalloc(1, sizeof(*f));

    f->desired = desired;
    return f;
}

void flows_free(struct flows *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < FLOWS_KEPT; i++)
        free(f->ring[i]);
    free(f);
}

static void name_of(const struct inventory *inventory, const struct address *a,
                    char name[PROGRAM_NAME_SIZE])
{
    name[0] = 0;
    for (size_t i = 0; i < inventory->n_endpoints; i++)
        for (size_t k = 0; k < inventory->endpoints[i].n_addresses; k++)
            if (address_compare(&inventory->endpoints[i].addresses[k], a) == 0) {
                (void)snprintf(name, PROGRAM_NAME_SIZE, "%s", inventory->endpoints[i].name);
                return;
            }
}

/* Rule numbers mean something only with the revision that they belong to. */
static void name_rule(struct flows *f, const struct agent_flow *flow, char rule[PROGRAM_NAME_SIZE])
{
    const char *id;

    rule[0] = 0;
    if (!flow->rule)
        return;
    id = compiled_rule_name(desired_compiled(f->desired), flow->revision, flow->rule);
    if (id)
        (void)snprintf(rule, PROGRAM_NAME_SIZE, "%s", id);
    else
        (void)snprintf(rule, PROGRAM_NAME_SIZE, "#%u@%" PRIu64, flow->rule, flow->revision);
}

void flows_add(struct flows *f, const struct agent_flows *batch)
{
    const struct inventory *inventory = desired_current(f->desired)->inventory;
    char rule[PROGRAM_NAME_SIZE] = "";
    uint64_t revision = 0;
    uint32_t number = 0;

    for (size_t i = 0; i < batch->n_flows; i++) {
        struct record **at = &f->ring[++f->last % FLOWS_KEPT], *r;
        const struct agent_flow *flow = &batch->flows[i];
        bool out = flow->direction == DIRECTION_OUT;

        if (!*at)
            *at = xcalloc(1, sizeof(**at));
        r = *at;
        r->flow = *flow;
        (void)snprintf(r->reporter, sizeof(r->reporter), "%s", batch->endpoint);
        (void)snprintf(out ? r->from : r->to, PROGRAM_NAME_SIZE, "%s", batch->endpoint);
        name_of(inventory, &flow->remote, out ? r->to : r->from);
        if (flow->rule != number || flow->revision != revision) /* Batches repeat their rules. */
            name_rule(f, flow, rule);
        number = flow->rule;
        revision = flow->revision;
        memcpy(r->rule, number ? rule : "", number ? sizeof(r->rule) : 1);
    }
}

static bool end_matches(const char *wanted, const char *name, const struct address *a)
{
    char text[ADDRESS_TEXT_SIZE];

    return !wanted || strcmp(wanted, name) == 0 || strcmp(wanted, address_format(a, text)) == 0;
}

static bool matches(const struct record *r, const struct flows_filter *q)
{
    bool out = r->flow.direction == DIRECTION_OUT;
    const struct address *source = out ? &r->flow.local : &r->flow.remote;
    const struct address *destination = out ? &r->flow.remote : &r->flow.local;

    return r->flow.last_ms >= q->since_ms && end_matches(q->from, r->from, source) &&
           end_matches(q->to, r->to, destination) &&
           (!q->denied || r->flow.verdict != VERDICT_ALLOW) &&
           (!q->verdict || strcmp(q->verdict, verdict_name((enum verdict)r->flow.verdict)) == 0);
}

static const char *protocol_name(uint8_t protocol, char text[8])
{
    if (protocol == IPPROTO_TCP)
        return "tcp";
    if (protocol == IPPROTO_UDP)
        return "udp";
    if (protocol == IPPROTO_ICMP)
        return "icmp";
    (void)snprintf(text, 8, "ip/%u", protocol);
    return text;
}

static json_t *record_json(const struct record *r, uint64_t number)
{
    const struct agent_flow *w = &r->flow;
    bool out = w->direction == DIRECTION_OUT;
    char local[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE], protocol[8];
    char first[DATE_TEXT_SIZE], last[DATE_TEXT_SIZE];
    json_t *j =
        json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:b,s:I}", "number",
                  (json_int_t)number, "reporter", r->reporter, "from", r->from, "to", r->to,
                  "from_address", address_format(out ? &w->local : &w->remote, local), "to_address",
                  address_format(out ? &w->remote : &w->local, remote), "port", w->port, "protocol",
                  protocol_name(w->protocol, protocol), "verdict",
                  verdict_name((enum verdict)w->verdict), "layer", layer_name((enum layer)w->layer),
                  "rule", r->rule, "enforced", w->enforced, "revision", (json_int_t)w->revision);

    if (!j)
        return json_object();
    (void)json_object_update_new(
        j, json_pack("{s:s,s:o,s:o,s:o,s:I,s:s,s:s,s:I,s:I,s:I}", "direction", out ? "out" : "in",
                     "process", json_any_text(w->process), "script", json_any_text(w->script),
                     "user", json_any_text(w->user), "uid",
                     w->uid == UINT32_MAX ? (json_int_t)-1 : (json_int_t)w->uid, "first",
                     date_format_time((int64_t)(w->first_ms / 1000), first), "last",
                     date_format_time((int64_t)(w->last_ms / 1000), last), "count",
                     (json_int_t)w->count, "bytes_out", (json_int_t)w->bytes_out, "bytes_in",
                     (json_int_t)w->bytes_in));
    return j;
}

json_t *flows_list(const struct flows *f, const struct flows_filter *q)
{
    uint64_t oldest = f->last > FLOWS_KEPT ? f->last - FLOWS_KEPT + 1 : 1;
    size_t max = q->max && q->max < FLOWS_PAGE_MAX ? q->max : FLOWS_PAGE_MAX, n = 0;
    uint64_t first = q->after + 1 > oldest ? q->after + 1 : oldest;
    json_t *array = json_array();

    if (!q->after) /* Where do the newest 'max' begin? */
        for (first = f->last + 1; first > oldest && n < max;)
            n += matches(f->ring[--first % FLOWS_KEPT], q);
    for (uint64_t i = first; i <= f->last && json_array_size(array) < max; i++)
        if (matches(f->ring[i % FLOWS_KEPT], q))
            (void)json_array_append_new(array, record_json(f->ring[i % FLOWS_KEPT], i));
    return array;
}

uint64_t flows_last(const struct flows *f)
{
    return f->last;
}
