/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of strangers to checked structs; see wire/agent.h.
 *
 * Unpacking gets a budget: two bytes of wire can ask for a struct of two hundred, and the frame's
 * limit alone would let one agent take a hundred times its size. */
#include <errno.h>

#include "base/utf8.h"
#include "wire/agent.h"
#include "wire/agent_pb.h"
#include "wire/frame.h"

enum {
    BUDGET_FROM_CONTROLLER = 1 << 30, /* 2^21 entries in ten columns, and their tables. */
    BUDGET_FROM_AGENT = 8 << 20,
    BUDGET_FROM_STRANGER = 256 << 10,
};

static void *budget_alloc(void *budget_, size_t size)
{
    size_t *budget = budget_;
    size_t cost = size + 32; /* What the allocator adds, roughly. */

    if (cost < size || cost > *budget)
        return NULL;
    *budget -= cost;
    return malloc(size ? size : 1);
}

static void budget_free(void *budget, void *p)
{
    (void)budget;
    free(p);
}

static int pem_from_pb(const char *from, char **ret_pem)
{
    size_t len = strlen(from), at;

    if (len == 0 || len >= AGENT_PEM_SIZE || !utf8_valid(from, len, &at))
        return -EINVAL;
    *ret_pem = xstrdup(from);
    return 0;
}

static int snapshot_from_pb(const Suimitsu__Snapshot *pb, struct agent_snapshot *m,
                            const char **ret_what)
{
    int r = program_from_pb(pb->program, &m->program, ret_what);

    if (r < 0)
        return r;
    r = program_check(m->program, ret_what);
    if (r < 0)
        return r;
    *ret_what = "the time to confirm";
    if (pb->confirm_s > AGENT_MAX_CONFIRM_S)
        return -EINVAL;
    m->confirm_s = pb->confirm_s;
    m->trust_sequence = pb->trust_sequence;
    return 0;
}

/* What it makes of its base is checked by delta_apply(). */
static int delta_from_pb(const Suimitsu__Delta *pb, struct agent_delta *m, const char **ret_what)
{
    struct delta *d = m->delta = delta_new();
    struct program *put;
    int r;

    r = program_from_pb(pb->put, &put, ret_what);
    if (r < 0)
        return r;
    program_free(d->put);
    d->put = put;
    r = entries_from_pb(pb->gone_entries, &d->gone_entries, &d->n_gone_entries, ret_what);
    if (r < 0)
        return r;
    r = addresses_from_pb(pb->gone_addresses, &d->gone_addresses, &d->n_gone_addresses, ret_what);
    if (r < 0)
        return r;
    *ret_what = "the time to confirm";
    if (pb->confirm_s > AGENT_MAX_CONFIRM_S)
        return -EINVAL;
    *ret_what = "a delta that does not rise";
    if (d->put->revision <= pb->base_revision)
        return -EINVAL;
    d->base = pb->base_revision;
    d->services_replaced = pb->services_replaced;
    d->processes_replaced = pb->processes_replaced;
    d->users_replaced = pb->users_replaced;
    d->rules_replaced = pb->rules_replaced;
    m->confirm_s = pb->confirm_s;
    m->trust_sequence = pb->trust_sequence;
    return 0;
}

static int trust_from_pb(const Suimitsu__Trust *pb, struct agent_trust *m, const char **ret_what)
{
    const size_t size = sizeof(m->items->address.bytes);

    *ret_what = "the number of trust changes";
    if (pb->n_trust > AGENT_MAX_TRUST)
        return -E2BIG;
    *ret_what = "a trust change";
    if (pb->address.len != pb->n_trust * size)
        return -EINVAL;
    m->sequence = pb->sequence;
    m->n_items = pb->n_trust;
    m->items = xcalloc(pb->n_trust, sizeof(*m->items));
    for (size_t i = 0; i < pb->n_trust; i++) {
        if (pb->trust[i] > TRUST_BLACK)
            return -EINVAL;
        m->items[i].trust = (uint8_t)pb->trust[i];
        memcpy(m->items[i].address.bytes, pb->address.data + i * size, size);
    }
    return 0;
}

static int control_from_pb(const Suimitsu__Control *pb, struct agent_control *m,
                           const char **ret_what)
{
    *ret_what = "a control message's target or count";
    if (text_from_pb(pb->target, m->target, sizeof(m->target)) < 0 || pb->count == 0 ||
        pb->count > AGENT_MAX_CONTROL_COUNT)
        return -EINVAL;
    m->verb = pb->verb;
    m->count = pb->count;
    m->nonce = pb->nonce;
    return 0;
}

static int port_from_pb(const Suimitsu__Port *pb, struct agent_port *m)
{
    size_t n = pb->mac.len / sizeof(m->macs[0]);

    if (text_from_pb(pb->endpoint, m->endpoint, sizeof(m->endpoint)) < 0 || !m->endpoint[0] ||
        text_from_pb(pb->interface, m->interface, sizeof(m->interface)) < 0 || !m->interface[0] ||
        text_from_pb(pb->pair, m->pair, sizeof(m->pair)) < 0 || pb->mac.len % sizeof(m->macs[0]) ||
        n == 0 || n > AGENT_MAX_MACS || pb->refusal > REFUSE_EXCEPTION)
        return -EINVAL;
    memcpy(m->macs, pb->mac.data, pb->mac.len);
    m->n_macs = n;
    m->open_before = pb->open_before;
    m->dhcp_server = pb->dhcp_server;
    m->router = pb->router;
    m->learn_dhcp = pb->learn_dhcp;
    m->refusal = (enum refusal)pb->refusal;
    return 0;
}

static int ports_from_pb(const Suimitsu__Ports *pb, struct agent_ports *m, const char **ret_what)
{
    *ret_what = "the number of ports";
    if (pb->n_ports > AGENT_MAX_PORTS)
        return -E2BIG;
    *ret_what = "a field of a port";
    m->items = xcalloc(pb->n_ports, sizeof(*m->items));
    m->n_items = pb->n_ports;
    for (size_t i = 0; i < pb->n_ports; i++)
        if (port_from_pb(pb->ports[i], &m->items[i]) < 0)
            return -EINVAL;
    return 0;
}

static int hello_from_pb(const Suimitsu__Hello *pb, struct agent_hello *m, const char **ret_what)
{
    *ret_what = "the number of features";
    if (pb->n_features > AGENT_MAX_FEATURES)
        return -E2BIG;
    *ret_what = "a text in hello";
    if (text_from_pb(pb->endpoint, m->endpoint, sizeof(m->endpoint)) < 0 || !m->endpoint[0] ||
        text_from_pb(pb->guards, m->guards, sizeof(m->guards)) < 0 ||
        text_from_pb(pb->boot_id, m->boot_id, sizeof(m->boot_id)) < 0 ||
        text_from_pb(pb->kernel, m->kernel, sizeof(m->kernel)) < 0 ||
        text_from_pb(pb->software, m->software, sizeof(m->software)) < 0)
        return -EINVAL;
    m->features = xcalloc(pb->n_features, sizeof(*m->features));
    m->n_features = pb->n_features;
    for (size_t i = 0; i < pb->n_features; i++)
        if (text_from_pb(pb->features[i], m->features[i], sizeof(m->features[i])) < 0)
            return -EINVAL;
    m->version = pb->version;
    m->running_revision = pb->running_revision;
    m->trust_sequence = pb->trust_sequence;
    return 0;
}

static int ack_from_pb(const Suimitsu__Ack *pb, struct agent_ack *m, const char **ret_what)
{
    *ret_what = "an acknowledgement's result or text";
    if (pb->result < AGENT_RESULT_RUNNING || pb->result > AGENT_RESULT_CONFIRMED ||
        text_from_pb(pb->text, m->text, sizeof(m->text)) < 0)
        return -EINVAL;
    m->revision = pb->revision;
    m->result = pb->result;
    m->reason = pb->reason;
    m->trust_sequence = pb->trust_sequence;
    return 0;
}

static int flows_from_pb(const Suimitsu__Flows *pb, struct agent_flows *m, const char **ret_what)
{
    *ret_what = "the endpoint or the number of a batch of flows";
    if (text_from_pb(pb->endpoint, m->endpoint, sizeof(m->endpoint)) < 0 || !pb->sequence ||
        pb->lost > FLOWS_MAX_AMOUNT)
        return -EINVAL;
    m->epoch = pb->epoch;
    m->sequence = pb->sequence;
    m->lost = pb->lost;
    m->interrupted = pb->interrupted;
    m->sent_ms = pb->sent_ms;
    return flow_batch_decode(pb->columns.data, pb->columns.len, &m->batch, ret_what);
}

static int notice_from_pb(const Suimitsu__Notice *pb, struct agent_notice *m, const char **ret_what)
{
    *ret_what = "a field of a notice";
    if (pb->kind < AGENT_NOTICE_TAMPER || pb->kind > AGENT_NOTICE_CUT ||
        text_from_pb(pb->text, m->text, sizeof(m->text)) < 0 ||
        text_from_pb(pb->object, m->object, sizeof(m->object)) < 0)
        return -EINVAL;
    m->kind = pb->kind;
    m->time_ms = pb->time_ms;
    return 0;
}

static int status_from_pb(const Suimitsu__StatusReply *pb, struct agent_status *m,
                          const char **ret_what)
{
    *ret_what = "the number of counters or hooks";
    if (pb->n_counters > AGENT_MAX_COUNTERS || pb->n_hooks > AGENT_MAX_HOOKS)
        return -E2BIG;
    *ret_what = "a counter or hook";
    m->counters = xcalloc(pb->n_counters, sizeof(*m->counters));
    m->n_counters = pb->n_counters;
    for (size_t i = 0; i < pb->n_counters; i++) {
        if (text_from_pb(pb->counters[i]->name, m->counters[i].name, PROGRAM_NAME_SIZE) < 0)
            return -EINVAL;
        m->counters[i].value = pb->counters[i]->value;
    }
    m->hooks = xcalloc(pb->n_hooks, sizeof(*m->hooks));
    m->n_hooks = pb->n_hooks;
    for (size_t i = 0; i < pb->n_hooks; i++) {
        const Suimitsu__Hook *hook = pb->hooks[i];

        if (text_from_pb(hook->name, m->hooks[i].name, PROGRAM_NAME_SIZE) < 0 ||
            hook->state < AGENT_HOOK_ATTACHED || hook->state > AGENT_HOOK_UNSUPPORTED)
            return -EINVAL;
        m->hooks[i].state = hook->state;
        m->hooks[i].hits = hook->hits;
    }
    m->nonce = pb->nonce;
    m->running_revision = pb->running_revision;
    m->trust_sequence = pb->trust_sequence;
    return 0;
}

static int enrolled_from_pb(const Suimitsu__Enrolled *pb, struct agent_enrolled *m)
{
    int r = pem_from_pb(pb->chain, &m->chain);

    return r < 0 ? r : pem_from_pb(pb->ca, &m->ca);
}

static int enroll_from_pb(const Suimitsu__Enroll *pb, struct agent_enroll *m)
{
    m->version = pb->version;
    if (text_from_pb(pb->token, m->token, sizeof(m->token)) < 0)
        return -EINVAL;
    return pem_from_pb(pb->csr, &m->csr);
}

static int refused_from_pb(const Suimitsu__Refused *pb, struct agent_refused *m)
{
    m->reason = pb->reason;
    return text_from_pb(pb->text, m->text, sizeof(m->text));
}

static int body_from_pb(const Suimitsu__Message *pb, struct agent_message *m, const char **ret_what)
{
    *ret_what = agent_kind_name(m->kind);
    switch (m->kind) {
    case AGENT_SNAPSHOT:
        return snapshot_from_pb(pb->snapshot, &m->snapshot, ret_what);
    case AGENT_DELTA:
        return delta_from_pb(pb->delta, &m->delta, ret_what);
    case AGENT_CONFIRM:
        m->confirm = pb->confirm->revision;
        return 0;
    case AGENT_TRUST:
        return trust_from_pb(pb->trust, &m->trust, ret_what);
    case AGENT_STATUS_REQUEST:
        m->status_request = pb->status_request->nonce;
        return 0;
    case AGENT_CERTIFICATE:
        return pem_from_pb(pb->certificate->chain, &m->certificate);
    case AGENT_CONTROL:
        return control_from_pb(pb->control, &m->control, ret_what);
    case AGENT_REFUSED:
        return refused_from_pb(pb->refused, &m->refused);
    case AGENT_ENROLLED:
        return enrolled_from_pb(pb->enrolled, &m->enrolled);
    case AGENT_PORTS:
        return ports_from_pb(pb->ports, &m->ports, ret_what);
    case AGENT_FLOWS_ACK:
        m->flows_ack.epoch = pb->flows_ack->epoch;
        m->flows_ack.sequence = pb->flows_ack->sequence;
        return 0;
    case AGENT_HELLO:
        return hello_from_pb(pb->hello, &m->hello, ret_what);
    case AGENT_ACK:
        return ack_from_pb(pb->ack, &m->ack, ret_what);
    case AGENT_FLOWS:
        return flows_from_pb(pb->flows, &m->flows, ret_what);
    case AGENT_NOTICE:
        return notice_from_pb(pb->notice, &m->notice, ret_what);
    case AGENT_STATUS_REPLY:
        return status_from_pb(pb->status_reply, &m->status_reply, ret_what);
    case AGENT_RENEW:
        return pem_from_pb(pb->renew->csr, &m->renew);
    case AGENT_ENROLL:
        return enroll_from_pb(pb->enroll, &m->enroll);
    }
    return -EBADMSG;
}

static bool may_say(enum agent_side from, enum agent_kind kind)
{
    switch (from) {
    case AGENT_SIDE_CONTROLLER:
        return kind < AGENT_HELLO;
    case AGENT_SIDE_AGENT:
        return kind >= AGENT_HELLO && kind != AGENT_ENROLL;
    case AGENT_SIDE_STRANGER:
        return kind == AGENT_ENROLL;
    }
    return false;
}

static size_t budget_of(enum agent_side from)
{
    switch (from) {
    case AGENT_SIDE_CONTROLLER:
        return BUDGET_FROM_CONTROLLER;
    case AGENT_SIDE_AGENT:
        return BUDGET_FROM_AGENT;
    case AGENT_SIDE_STRANGER:
        return BUDGET_FROM_STRANGER;
    }
    return 0;
}

int agent_decode(enum agent_side from, const void *data, size_t size, struct agent_message **ret_m,
                 const char **ret_what)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    size_t budget = budget_of(from);
    ProtobufCAllocator allocator = {
        .alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    Suimitsu__Message *pb;
    int r;

    *ret_what = "the size of a frame";
    if (size > agent_frame_max(from))
        return -E2BIG;
    *ret_what = "a frame that is no message";
    pb = suimitsu__message__unpack(&allocator, size, data);
    if (!pb)
        return -EBADMSG;
    if (pb->body_case == SUIMITSU__MESSAGE__BODY__NOT_SET) {
        r = -EBADMSG;
    } else if (!may_say(from, (enum agent_kind)pb->body_case)) {
        *ret_what = "a message that is not for this side to say";
        r = -EACCES;
    } else {
        m = agent_message_new((enum agent_kind)pb->body_case);
        r = body_from_pb(pb, m, ret_what);
    }
    suimitsu__message__free_unpacked(pb, &allocator);
    if (r < 0)
        return r;
    *ret_m = TAKE_PTR(m);
    return 0;
}
