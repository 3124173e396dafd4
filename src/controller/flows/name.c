/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch says in its own numbers, in those of the history; each text is looked up once. */
#include <inttypes.h>
#include <stdio.h>

#include "controller/flows/internal.h"

struct naming {
    struct flows *f;
    const struct flow_batch *batch;
    const struct roster *roster; /* That 'names' are of. */
    uint64_t second;             /* That it was asked for. */
    text_t *names;               /* By address; UNNAMED: not asked yet. */
    uint64_t *told_ms;           /* By address that was asked: since when an agent tells of it. */
    text_t *texts;               /* By number of the batch. */
    text_t *rules;               /* By kind. */
    text_t reporter, endpoint;
    struct address own[2]; /* The endpoint's, of each family; zeroes: none. */
    uint8_t origin;
    bool is_twin; /* All of it: the endpoint's own agent tells, too. */
};

#define UNNAMED UINT32_MAX

static text_t number_of(struct flows *f, const char *text)
{
    return history_text(f->history, text, strlen(text));
}

/* The agent's word, or the compiler's; else what is left of it. */
static text_t rule_of(struct naming *n, const struct flow_kind *k)
{
    char text[PROGRAM_NAME_SIZE];
    const char *id;

    if (k->rule_name)
        return n->texts[k->rule_name];
    if (!k->rule)
        return 0;
    id = k->revision >= n->f->first_revision /* Before, numbers meant something else. */
             ? compiled_rule_name(desired_compiled(n->f->options.desired), k->revision, k->rule)
             : NULL;
    if (id)
        return number_of(n->f, id);
    (void)snprintf(text, sizeof(text), "#%u@%" PRIu64, k->rule, k->revision);
    return number_of(n->f, text);
}

static void own_addresses(struct naming *n, const char *name)
{
    const struct inventory *inventory = desired_current(n->f->options.desired)->inventory;
    const struct endpoint *e = inventory_endpoint(inventory, name);

    for (size_t i = e ? e->n_addresses : 0; i-- > 0;) /* The first of each counts. */
        n->own[address_is_v4(&e->addresses[i])] = e->addresses[i];
}

static void naming_init(struct naming *n, struct flows *f, const char *stream,
                        const struct agent_flows *told)
{
    const struct flow_batch *b = &told->batch;

    *n = (struct naming){.f = f,
                         .batch = b,
                         .names = xcalloc(b->n_addresses, sizeof(*n->names)),
                         .told_ms = xcalloc(b->n_addresses, sizeof(*n->told_ms)),
                         .texts = xcalloc(b->n_texts + 1, sizeof(*n->texts)),
                         .rules = xcalloc(b->n_kinds, sizeof(*n->rules)),
                         .reporter = number_of(f, stream),
                         .endpoint = number_of(f, told->endpoint),
                         .origin = strchr(stream, '/') ? FLOW_EDGE : FLOW_AGENT};
    n->is_twin = n->origin == FLOW_EDGE && f->options.has_agent(f->options.user, told->endpoint);
    for (uint32_t i = 1; i <= b->n_texts; i++)
        n->texts[i] = number_of(f, flow_batch_text(b, i));
    for (size_t i = 0; i < b->n_kinds; i++)
        n->rules[i] = rule_of(n, &b->kinds[i]);
    own_addresses(n, told->endpoint);
}

static void naming_done(struct naming *n)
{
    free(n->names);
    free(n->told_ms);
    free(n->texts);
    free(n->rules);
}

static uint64_t told_since_ms(const struct flows_options *o, const struct roster_end *end)
{
    uint64_t since_ms = UINT64_MAX;

    for (size_t i = 0; end && i < ARRAY_SIZE(end->tellers); i++) {
        uint64_t ms = end->tellers[i] ? o->enrolled_ms(o->user, end->tellers[i]) : UINT64_MAX;

        since_ms = ms < since_ms ? ms : since_ms;
    }
    return since_ms;
}

/* Whose address it was at that time; 0: outside. */
static text_t name_at(struct naming *n, uint32_t address, uint64_t time_ms)
{
    if (!n->roster || time_ms / 1000 != n->second) {
        const struct roster *r = past_roster(n->f->past, (int64_t)(time_ms / 1000));

        n->second = time_ms / 1000;
        if (r != n->roster)
            memset(n->names, 0xff, n->batch->n_addresses * sizeof(*n->names));
        n->roster = r;
    }
    if (n->names[address] == UNNAMED) {
        const struct roster_end *end = roster_find(n->roster, &n->batch->addresses[address]);

        n->names[address] = end ? number_of(n->f, end->name) : 0;
        n->told_ms[address] = told_since_ms(&n->f->options, end);
    }
    return n->names[address];
}

/* True when the time was not believed. */
static bool set_times(struct flow *to, const struct flow_record *r, uint64_t now_ms)
{
    uint64_t oldest = now_ms > FLOWS_PAST_MS ? now_ms - FLOWS_PAST_MS : 0;

    to->first_ms = r->first_ms;
    to->last_ms = r->last_ms;
    if (r->last_ms <= now_ms + FLOWS_FUTURE_MS && r->first_ms >= oldest)
        return false;
    to->first_ms = to->last_ms = now_ms; /* Older than all that is kept, it would be lost. */
    return true;
}

static bool name_record(struct naming *n, const struct flow_record *r, uint64_t now_ms,
                        struct flow *to)
{
    static const struct address unknown;
    const struct flow_kind *k = &n->batch->kinds[r->kind];
    const struct address *remote = &n->batch->addresses[r->remote],
                         *local = &n->batch->addresses[k->local];
    bool out = k->direction == DIRECTION_OUT, moved;
    text_t name;

    *to = (struct flow){.count = r->count,
                        .bytes_out = out ? r->bytes_out : r->bytes_in,
                        .bytes_in = out ? r->bytes_in : r->bytes_out,
                        .revision = k->revision,
                        .reporter = n->reporter,
                        .process = n->texts[k->process],
                        .script = n->texts[k->script],
                        .user = n->texts[k->user],
                        .rule = n->rules[r->kind],
                        .uid = k->uid,
                        .port = k->port,
                        .protocol = k->protocol,
                        .direction = k->direction,
                        .verdict = k->verdict,
                        .layer = k->layer,
                        .origin = n->origin,
                        .marks = k->enforced ? FLOW_ENFORCED : 0};
    moved = set_times(to, r, now_ms);
    name = name_at(n, r->remote, to->first_ms);
    if (address_compare(local, &unknown) == 0)
        local = &n->own[address_is_v4(remote)];
    to->source = out ? *local : *remote;
    to->destination = out ? *remote : *local;
    if (n->is_twin || (!out && to->first_ms >= n->told_ms[r->remote]))
        to->marks |= FLOW_TWIN;
    to->from = out ? n->endpoint : name;
    to->to = out ? name : n->endpoint;
    return moved;
}

uint64_t name_batch(struct flows *f, const char *stream, const struct agent_flows *told,
                    uint64_t now_ms)
{
    const struct flow_batch *b = &told->batch;
    CLEANUP(naming_done) struct naming n;
    uint64_t moved = 0;

    naming_init(&n, f, stream, told);
    if (f->batch_room < b->n_records) {
        f->batch_room = b->n_records;
        f->batch = xreallocarray(f->batch, f->batch_room, sizeof(*f->batch));
    }
    for (size_t i = 0; i < b->n_records; i++)
        moved += name_record(&n, &b->records[i], now_ms, &f->batch[i]);
    return moved;
}
