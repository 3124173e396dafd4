/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds, ownership and encoding; decoding is in agent_decode.c, programs are in agent_program.c. */
#include "wire/agent.h"

#include <errno.h>

#include "wire/agent_pb.h"
#include "wire/frame.h"

struct agent_message *agent_message_new(enum agent_kind kind)
{
    struct agent_message *m = xcalloc(1, sizeof(*m));

    m->kind = kind;
    return m;
}

void agent_message_free(struct agent_message *m)
{
    if (!m)
        return;
    switch (m->kind) {
    case AGENT_SNAPSHOT:
        program_free(m->snapshot.program);
        break;
    case AGENT_DELTA:
        delta_free(m->delta.delta);
        break;
    case AGENT_TRUST:
        free(m->trust.items);
        break;
    case AGENT_CERTIFICATE:
        free(m->certificate);
        break;
    case AGENT_ENROLLED:
        free(m->enrolled.chain);
        free(m->enrolled.ca);
        break;
    case AGENT_PORTS:
        free(m->ports.items);
        break;
    case AGENT_HELLO:
        free(m->hello.features);
        break;
    case AGENT_FLOWS:
        flow_batch_done(&m->flows.batch);
        break;
    case AGENT_STATUS_REPLY:
        free(m->status_reply.counters);
        free(m->status_reply.hooks);
        break;
    case AGENT_RENEW:
        free(m->renew);
        break;
    case AGENT_ENROLL:
        free(m->enroll.csr);
        break;
    case AGENT_CONFIRM:
    case AGENT_STATUS_REQUEST:
    case AGENT_CONTROL:
    case AGENT_REFUSED:
    case AGENT_FLOWS_ACK:
    case AGENT_ACK:
    case AGENT_NOTICE:
        break;
    }
    free(m);
}

/* A zeroed and initialised generated struct of scratch memory. */
#define PB_NEW(s, type, init)                                                                      \
    ({                                                                                             \
        type *pb_ = scratch_new((s), 1, sizeof(type));                                             \
        init(pb_);                                                                                 \
        pb_;                                                                                       \
    })

static Suimitsu__Snapshot *snapshot_to_pb(struct scratch *s, const struct agent_snapshot *m)
{
    Suimitsu__Snapshot *pb = PB_NEW(s, Suimitsu__Snapshot, suimitsu__snapshot__init);

    pb->program = m->program ? program_to_pb(s, m->program) : NULL;
    pb->confirm_s = m->confirm_s;
    pb->trust_sequence = m->trust_sequence;
    return pb;
}

Suimitsu__Delta *delta_to_pb(struct scratch *s, const struct agent_delta *m)
{
    Suimitsu__Delta *pb = PB_NEW(s, Suimitsu__Delta, suimitsu__delta__init);
    const struct delta *d = m->delta;

    pb->confirm_s = m->confirm_s;
    pb->trust_sequence = m->trust_sequence;
    if (!d)
        return pb;
    pb->base_revision = d->base;
    pb->put = program_to_pb(s, d->put);
    pb->gone_entries = entries_to_pb(s, d->gone_entries, d->n_gone_entries);
    pb->gone_addresses = addresses_to_pb(s, d->gone_addresses, d->n_gone_addresses);
    pb->services_replaced = d->services_replaced;
    pb->processes_replaced = d->processes_replaced;
    pb->users_replaced = d->users_replaced;
    pb->rules_replaced = d->rules_replaced;
    return pb;
}

static Suimitsu__Trust *trust_to_pb(struct scratch *s, const struct agent_trust *m)
{
    Suimitsu__Trust *pb = PB_NEW(s, Suimitsu__Trust, suimitsu__trust__init);

    pb->sequence = m->sequence;
    pb->n_trust = m->n_items;
    pb->trust = scratch_new(s, m->n_items, sizeof(*pb->trust));
    pb->address.len = m->n_items * sizeof(m->items->address.bytes);
    pb->address.data = scratch_new(s, m->n_items, sizeof(m->items->address.bytes));
    for (size_t i = 0; i < m->n_items; i++) {
        pb->trust[i] = m->items[i].trust;
        memcpy(pb->address.data + i * sizeof(m->items->address.bytes), m->items[i].address.bytes,
               sizeof(m->items->address.bytes));
    }
    return pb;
}

static Suimitsu__Control *control_to_pb(struct scratch *s, const struct agent_control *m)
{
    Suimitsu__Control *pb = PB_NEW(s, Suimitsu__Control, suimitsu__control__init);

    pb->target = lend(m->target);
    pb->verb = m->verb;
    pb->count = m->count;
    pb->nonce = m->nonce;
    return pb;
}

static Suimitsu__Ports *ports_to_pb(struct scratch *s, const struct agent_ports *m)
{
    Suimitsu__Ports *pb = PB_NEW(s, Suimitsu__Ports, suimitsu__ports__init);

    pb->n_ports = m->n_items;
    pb->ports = scratch_new(s, m->n_items, sizeof(*pb->ports));
    for (size_t i = 0; i < m->n_items; i++) {
        Suimitsu__Port *to = PB_NEW(s, Suimitsu__Port, suimitsu__port__init);
        const struct agent_port *from = &m->items[i];

        to->endpoint = lend(from->endpoint);
        to->interface = lend(from->interface);
        to->mac.len = from->n_macs * sizeof(from->macs[0]);
        to->mac.data = scratch_new(s, from->n_macs, sizeof(from->macs[0]));
        memcpy(to->mac.data, from->macs, to->mac.len);
        to->open_before = from->open_before;
        to->dhcp_server = from->dhcp_server;
        to->router = from->router;
        to->pair = lend(from->pair);
        to->learn_dhcp = from->learn_dhcp;
        to->refusal = (uint32_t)from->refusal;
        pb->ports[i] = to;
    }
    return pb;
}

static Suimitsu__Hello *hello_to_pb(struct scratch *s, const struct agent_hello *m)
{
    Suimitsu__Hello *pb = PB_NEW(s, Suimitsu__Hello, suimitsu__hello__init);

    pb->version = m->version;
    pb->endpoint = lend(m->endpoint);
    pb->guards = lend(m->guards);
    pb->running_revision = m->running_revision;
    pb->trust_sequence = m->trust_sequence;
    pb->boot_id = lend(m->boot_id);
    pb->kernel = lend(m->kernel);
    pb->software = lend(m->software);
    pb->n_features = m->n_features;
    pb->features = scratch_new(s, m->n_features, sizeof(char *));
    for (size_t i = 0; i < m->n_features; i++)
        pb->features[i] = lend(m->features[i]);
    return pb;
}

static Suimitsu__Ack *ack_to_pb(struct scratch *s, const struct agent_ack *m)
{
    Suimitsu__Ack *pb = PB_NEW(s, Suimitsu__Ack, suimitsu__ack__init);

    pb->revision = m->revision;
    pb->result = m->result;
    pb->reason = m->reason;
    pb->trust_sequence = m->trust_sequence;
    pb->text = lend(m->text);
    return pb;
}

static Suimitsu__Flows *flows_to_pb(struct scratch *s, const struct agent_flows *m)
{
    Suimitsu__Flows *pb = PB_NEW(s, Suimitsu__Flows, suimitsu__flows__init);

    pb->endpoint = lend(m->endpoint);
    pb->epoch = m->epoch;
    pb->sequence = m->sequence;
    pb->lost = m->lost;
    pb->interrupted = m->interrupted;
    pb->sent_ms = m->sent_ms;
    if (m->columns) {
        pb->columns.data = scratch_new(s, 1, m->columns_size);
        memcpy(pb->columns.data, m->columns, m->columns_size);
        pb->columns.len = m->columns_size;
    } else {
        CLEANUP(buf_done) struct buf columns = BUF_INIT;

        flow_batch_encode(&m->batch, &columns);
        pb->columns.data = scratch_new(s, 1, columns.size);
        memcpy(pb->columns.data, columns.data, columns.size);
        pb->columns.len = columns.size;
    }
    return pb;
}

static Suimitsu__Notice *notice_to_pb(struct scratch *s, const struct agent_notice *m)
{
    Suimitsu__Notice *pb = PB_NEW(s, Suimitsu__Notice, suimitsu__notice__init);

    pb->kind = m->kind;
    pb->time_ms = m->time_ms;
    pb->text = lend(m->text);
    pb->object = lend(m->object);
    return pb;
}

static Suimitsu__StatusReply *status_to_pb(struct scratch *s, const struct agent_status *m)
{
    Suimitsu__StatusReply *pb = PB_NEW(s, Suimitsu__StatusReply, suimitsu__status_reply__init);

    pb->nonce = m->nonce;
    pb->running_revision = m->running_revision;
    pb->trust_sequence = m->trust_sequence;
    pb->n_counters = m->n_counters;
    pb->counters = scratch_new(s, m->n_counters, sizeof(*pb->counters));
    for (size_t i = 0; i < m->n_counters; i++) {
        pb->counters[i] = PB_NEW(s, Suimitsu__Counter, suimitsu__counter__init);
        pb->counters[i]->name = lend(m->counters[i].name);
        pb->counters[i]->value = m->counters[i].value;
    }
    pb->n_hooks = m->n_hooks;
    pb->hooks = scratch_new(s, m->n_hooks, sizeof(*pb->hooks));
    for (size_t i = 0; i < m->n_hooks; i++) {
        pb->hooks[i] = PB_NEW(s, Suimitsu__Hook, suimitsu__hook__init);
        pb->hooks[i]->name = lend(m->hooks[i].name);
        pb->hooks[i]->state = m->hooks[i].state;
        pb->hooks[i]->hits = m->hooks[i].hits;
    }
    return pb;
}

static char *lend_text(const char *s)
{
    return lend(s ? s : "");
}

static void small_to_pb(struct scratch *s, const struct agent_message *m, Suimitsu__Message *pb)
{
    if (m->kind == AGENT_CONFIRM) {
        pb->confirm = PB_NEW(s, Suimitsu__Confirm, suimitsu__confirm__init);
        pb->confirm->revision = m->confirm;
    } else if (m->kind == AGENT_STATUS_REQUEST) {
        pb->status_request = PB_NEW(s, Suimitsu__StatusRequest, suimitsu__status_request__init);
        pb->status_request->nonce = m->status_request;
    } else if (m->kind == AGENT_CERTIFICATE) {
        pb->certificate = PB_NEW(s, Suimitsu__Certificate, suimitsu__certificate__init);
        pb->certificate->chain = lend_text(m->certificate);
    } else if (m->kind == AGENT_REFUSED) {
        pb->refused = PB_NEW(s, Suimitsu__Refused, suimitsu__refused__init);
        pb->refused->reason = m->refused.reason;
        pb->refused->text = lend(m->refused.text);
    } else if (m->kind == AGENT_ENROLLED) {
        pb->enrolled = PB_NEW(s, Suimitsu__Enrolled, suimitsu__enrolled__init);
        pb->enrolled->chain = lend_text(m->enrolled.chain);
        pb->enrolled->ca = lend_text(m->enrolled.ca);
    } else if (m->kind == AGENT_FLOWS_ACK) {
        pb->flows_ack = PB_NEW(s, Suimitsu__FlowsAck, suimitsu__flows_ack__init);
        pb->flows_ack->epoch = m->flows_ack.epoch;
        pb->flows_ack->sequence = m->flows_ack.sequence;
    } else if (m->kind == AGENT_RENEW) {
        pb->renew = PB_NEW(s, Suimitsu__Renew, suimitsu__renew__init);
        pb->renew->csr = lend_text(m->renew);
    } else {
        pb->enroll = PB_NEW(s, Suimitsu__Enroll, suimitsu__enroll__init);
        pb->enroll->version = m->enroll.version;
        pb->enroll->token = lend(m->enroll.token);
        pb->enroll->csr = lend_text(m->enroll.csr);
    }
}

static void body_to_pb(struct scratch *s, const struct agent_message *m, Suimitsu__Message *pb)
{
    switch (m->kind) {
    case AGENT_SNAPSHOT:
        pb->snapshot = snapshot_to_pb(s, &m->snapshot);
        break;
    case AGENT_DELTA:
        pb->delta = delta_to_pb(s, &m->delta);
        break;
    case AGENT_TRUST:
        pb->trust = trust_to_pb(s, &m->trust);
        break;
    case AGENT_CONTROL:
        pb->control = control_to_pb(s, &m->control);
        break;
    case AGENT_PORTS:
        pb->ports = ports_to_pb(s, &m->ports);
        break;
    case AGENT_HELLO:
        pb->hello = hello_to_pb(s, &m->hello);
        break;
    case AGENT_ACK:
        pb->ack = ack_to_pb(s, &m->ack);
        break;
    case AGENT_FLOWS:
        pb->flows = flows_to_pb(s, &m->flows);
        break;
    case AGENT_NOTICE:
        pb->notice = notice_to_pb(s, &m->notice);
        break;
    case AGENT_STATUS_REPLY:
        pb->status_reply = status_to_pb(s, &m->status_reply);
        break;
    case AGENT_CONFIRM:
    case AGENT_STATUS_REQUEST:
    case AGENT_CERTIFICATE:
    case AGENT_REFUSED:
    case AGENT_ENROLLED:
    case AGENT_FLOWS_ACK:
    case AGENT_RENEW:
    case AGENT_ENROLL:
        small_to_pb(s, m, pb);
        break;
    }
}

static size_t max_of(enum agent_kind kind)
{
    if (kind == AGENT_ENROLL || kind == AGENT_ENROLLED)
        return FRAME_STRANGER_MAX;
    return kind < AGENT_HELLO ? FRAME_TO_AGENT_MAX : FRAME_FROM_AGENT_MAX;
}

int agent_encode(const struct agent_message *m, struct buf *out)
{
    CLEANUP(scratch_done) struct scratch s = {.blocks = NULL};
    CLEANUP(free_voidp) uint8_t *bytes = NULL;
    Suimitsu__Message pb = SUIMITSU__MESSAGE__INIT;
    size_t size;

    pb.body_case = (Suimitsu__Message__BodyCase)m->kind;
    body_to_pb(&s, m, &pb);
    size = suimitsu__message__get_packed_size(&pb);
    if (size > max_of(m->kind))
        return -EMSGSIZE;
    bytes = xcalloc(size, 1);
    (void)suimitsu__message__pack(&pb, bytes); /* Returns the size that we know. */
    frame_put(out, bytes, size);
    return 0;
}

size_t agent_frame_max(enum agent_side from)
{
    switch (from) {
    case AGENT_SIDE_CONTROLLER:
        return FRAME_TO_AGENT_MAX;
    case AGENT_SIDE_AGENT:
        return FRAME_FROM_AGENT_MAX;
    case AGENT_SIDE_STRANGER:
        return FRAME_STRANGER_MAX;
    }
    return 0;
}

const char *agent_kind_name(enum agent_kind kind)
{
    static const char *const names[] = {
        [AGENT_SNAPSHOT] = "snapshot",
        [AGENT_DELTA] = "delta",
        [AGENT_CONFIRM] = "confirm",
        [AGENT_TRUST] = "trust",
        [AGENT_STATUS_REQUEST] = "status request",
        [AGENT_CERTIFICATE] = "certificate",
        [AGENT_CONTROL] = "control",
        [AGENT_REFUSED] = "refused",
        [AGENT_ENROLLED] = "enrolled",
        [AGENT_PORTS] = "ports",
        [AGENT_FLOWS_ACK] = "flows ack",
        [AGENT_HELLO] = "hello",
        [AGENT_ACK] = "ack",
        [AGENT_FLOWS] = "flows",
        [AGENT_NOTICE] = "notice",
        [AGENT_STATUS_REPLY] = "status reply",
        [AGENT_RENEW] = "renew",
        [AGENT_ENROLL] = "enroll",
    };

    return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "unknown message";
}

const char *agent_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [AGENT_REASON_NONE] = "none",
        [AGENT_REASON_OLDER] = "older revision",
        [AGENT_REASON_BASE] = "another base",
        [AGENT_REASON_INVALID] = "invalid",
        [AGENT_REASON_MAP_FULL] = "map full",
        [AGENT_REASON_KERNEL] = "kernel error",
        [AGENT_REASON_NOT_ME] = "not for this endpoint",
        [AGENT_REASON_COUNT] = "count out of range",
        [AGENT_REASON_UNSUPPORTED] = "unsupported",
        [AGENT_REASON_DUPLICATE] = "duplicate identity",
        [AGENT_REASON_VERSION] = "protocol version",
        [AGENT_REASON_TOKEN] = "token not accepted",
        [AGENT_REASON_UNKNOWN_ENDPOINT] = "unknown endpoint",
        [AGENT_REASON_BUSY] = "busy",
        [AGENT_REASON_PROTOCOL] = "protocol error",
    };

    return reason < ARRAY_SIZE(names) ? names[reason] : "unknown reason";
}

const char *agent_notice_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [AGENT_NOTICE_TAMPER] = "tamper",
        [AGENT_NOTICE_ADOPTED] = "adopted",
        [AGENT_NOTICE_PROGRAM_CHANGED] = "program-changed",
        [AGENT_NOTICE_DEGRADED] = "degraded",
        [AGENT_NOTICE_STARTED] = "started",
        [AGENT_NOTICE_STOPPING] = "stopping",
        [AGENT_NOTICE_CUT] = "cut",
    };

    return kind > 0 && kind < ARRAY_SIZE(names) ? names[kind] : "unknown notice";
}
