/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and what is sent to them; see dist.h. */
#include "controller/dist/dist.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "controller/dist/internal.h"
#include "sys/clock.h"
#include "sys/tickets.h"
#include "wire/frame.h"

enum {
    TICK_MS = 500,
    HANDSHAKE_MS = 10000,
    IDLE_MS = 60000, /* Six polls. */
    CONTEND_MS = 3000,
    MAX_OUT = 96 << 20,
    SPREAD_AT_ONCE = 1024, /* With 64 the last of a thousand heard later. */
    TICKET_AGAIN_MS = TICKET_LIFE_S * 1000 / 3,
};

/* Every change of a stage: counts and the index follow it. */
static void set_stage(struct session *s, enum stage stage)
{
    struct dist *d = s->dist;

    if (s->stage == LIVE)
        HASH_DELETE(hh, d->live[s->guards], s);
    d->n_strangers += (stage == STRANGER) - (s->stage == STRANGER);
    d->n_contending += (stage == CONTENDING) - (s->stage == CONTENDING);
    s->stage = stage;
    if (stage == LIVE)
        HASH_ADD(hh, d->live[s->guards], endpoint, strlen(s->endpoint), s);
    if (d->is_paused && d->n_strangers < DIST_MAX_STRANGERS) {
        d->is_paused = false;
        listener_pause(d->listener, false);
    }
}

static void session_free(struct session *s)
{
    struct dist *d = s->dist;

    set_stage(s, LEAVING);
    if (d->spread_next == s)
        d->spread_next = s->next;
    *(s->before ? &s->before->next : &d->sessions) = s->next;
    if (s->next)
        s->next->before = s->before;
    d->n_sessions--;
    d->n_gone += s->told != 0;
    turns_done(&d->turns, &s->turn); /* Others have its room at the next tick. */
    channel_free(s->channel);
    buf_done(&s->ports);
    free(s->boot_id);
    free(s->kernel);
    free(s->software);
    json_decref(s->features);
    json_decref(s->status);
    free(s);
}

static int say(struct session *s, const struct agent_message *m)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT;
    int r = agent_encode(m, &frame);

    if (r < 0)
        return r;
    return channel_send(s->channel, frame.data, frame.size);
}

static void set_text(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
}

void dist_refuse(struct session *s, enum agent_reason reason, const char *text)
{
    struct agent_message m = {.kind = AGENT_REFUSED, .refused = {.reason = reason}};

    set_text(m.refused.text, sizeof(m.refused.text), text);
    s->dist->counts.refused_connections++;
    log_warn("agent %s at %s: refused: %s", s->endpoint[0] ? s->endpoint : "(stranger)",
             channel_address(s->channel), text);
    (void)say(s, &m); /* It may be gone already. */
    set_stage(s, LEAVING);
    channel_close(s->channel, text);
}

static void say_confirmed(struct session *s, uint64_t revision)
{
    struct agent_message m = {.kind = AGENT_CONFIRM, .confirm = revision};

    (void)say(s, &m); /* A lost one is repeated after the next greeting. */
}

/* ---- news ---- */

static void bring_news(struct session *s)
{
    const struct inventory *inventory = desired_current(s->dist->desired)->inventory;

    if (s->stage == LIVE && s->guards &&
        !ports_is_guard(s, inventory_endpoint(inventory, s->endpoint))) {
        dist_refuse(s, AGENT_REASON_NOT_ME, "the inventory puts this endpoint elsewhere now");
        return;
    }
    ports_tell(s);
    sending_bring_up_to_date(s);
}

/* Some in each round of the loop: what they are sent leaves, and others are heard, meanwhile. */
static void spread_news(void *user)
{
    struct dist *d = user;

    for (size_t n = 0; d->spread_next && n < SPREAD_AT_ONCE; n++) {
        struct session *s = d->spread_next;

        d->spread_next = s->next;
        bring_news(s);
    }
    if (d->spread_next)
        timer_start(d->spreader, 0);
}

static void generation_changed(void *user)
{
    struct dist *d = user;

    d->spread_next = d->sessions; /* Again from the first, if some wait for the one before. */
    spread_news(d);
}

static void trust_changed(const struct trust_change *c, void *user)
{
    struct dist *d = user;
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_TRUST);
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    m->trust.sequence = c->sequence;
    m->trust.n_items = c->n_addresses;
    m->trust.items = xcalloc(c->n_addresses, sizeof(*m->trust.items));
    for (size_t i = 0; i < c->n_addresses; i++)
        m->trust.items[i] =
            (struct agent_trust_item){.address = c->addresses[i], .trust = (uint8_t)c->trust};
    if (agent_encode(m, &frame) < 0)
        return; /* Cannot be: an endpoint has few addresses. */
    for (struct session *s = d->sessions; s; s = s->next)
        if (s->stage == LIVE)
            (void)channel_send(s->channel, frame.data, frame.size); /* Else it reconnects. */
}

static void confirmed(uint64_t revision, void *user)
{
    struct dist *d = user;

    (void)revision;
    for (struct session *s = d->sessions; s; s = s->next)
        if (s->stage == LIVE && s->running_revision)
            say_confirmed(s, s->sent_revision ? s->sent_revision : s->running_revision);
}

/* ---- greetings ---- */

struct session *dist_live_session(struct dist *d, const char *endpoint, bool guards)
{
    struct session *s;

    HASH_FIND(hh, d->live[guards], endpoint, strlen(endpoint), s);
    return s;
}

bool dist_has_agent(struct dist *d, const char *endpoint)
{
    return dist_live_session(d, endpoint, false);
}

/* Leaves with what is said next. */
static void give_ticket(struct session *s)
{
    s->ticket_ms = loop_now_ms();
    channel_give_ticket(s->channel);
}

static bool ticket_is_good(void *user, const char *endpoint, const char *serial)
{
    const struct dist *d = user;

    return inventory_endpoint(desired_current(d->desired)->inventory, endpoint) &&
           d->hooks.certificate_is_newest(d->hooks.user, endpoint, serial);
}

static void ask_status(struct session *s)
{
    struct agent_message m = {.kind = AGENT_STATUS_REQUEST};

    if (s->stage == LIVE && loop_now_ms() >= s->ticket_ms + TICKET_AGAIN_MS)
        give_ticket(s);
    if (RAND_bytes((unsigned char *)&s->nonce, sizeof(s->nonce)) != 1)
        abort();
    m.status_request = s->nonce;
    (void)say(s, &m); /* Without reply it is TIMEOUT. */
}

static void go_live(struct session *s)
{
    set_stage(s, LIVE);
    (void)enforcer_step(&s->watch, ENFORCER_CONNECTED, loop_now_ms());
    log_info("agent %s at %s: connected%s, running revision %" PRIu64, s->endpoint,
             channel_address(s->channel),
             channel_peer(s->channel)->is_resumed ? " again (session resumed)" : "",
             s->running_revision);
    give_ticket(s);
    if (s->running_revision && s->running_revision == desired_current(s->dist->desired)->revision &&
        !desired_head(s->dist->desired)->confirm_revision)
        say_confirmed(s, s->running_revision);
    ports_tell(s);
    sending_bring_up_to_date(s);
}

/* Whom this connection is about; false: it was refused. */
static bool accept_endpoint(struct session *s, const struct agent_hello *h)
{
    const struct inventory *inventory = desired_current(s->dist->desired)->inventory;
    const char *wanted = h->guards[0] ? h->guards : s->agent;

    if (strcmp(h->endpoint, s->agent) != 0) {
        s->dist->counts.foreign_reports++;
        dist_refuse(s, AGENT_REASON_NOT_ME,
                    "the greeting names another endpoint than the certificate");
        return false;
    }
    if (s->stage == LIVE && (strcmp(s->endpoint, wanted) != 0 || s->guards != !!h->guards[0])) {
        dist_refuse(s, AGENT_REASON_PROTOCOL, "a second greeting about another endpoint");
        return false;
    }
    if (!inventory_endpoint(inventory, wanted)) {
        dist_refuse(s, AGENT_REASON_UNKNOWN_ENDPOINT, "this endpoint is not in the inventory");
        return false;
    }
    if (h->guards[0] && !ports_is_guard(s, inventory_endpoint(inventory, wanted))) {
        s->dist->counts.foreign_reports++;
        dist_refuse(s, AGENT_REASON_NOT_ME, "the inventory puts that endpoint at no port of yours");
        return false;
    }
    s->guards = h->guards[0] != 0;
    set_text(s->endpoint, sizeof(s->endpoint), wanted);
    (void)snprintf(s->stream, sizeof(s->stream), "%s%s%s", s->guards ? s->agent : "",
                   s->guards ? "/" : "", wanted);
    return true;
}

/* In its own size: there are tens of thousands of them. */
static void keep_text(char **to, const char *text)
{
    free(*to);
    *to = xstrdup(text);
}

static void greet(struct session *s, const struct agent_hello *h)
{
    struct session *older;

    if (h->version != AGENT_PROTOCOL_VERSION) {
        dist_refuse(s, AGENT_REASON_VERSION, "another version of the protocol");
        return;
    }
    if (!accept_endpoint(s, h))
        return;
    json_decref(s->features);
    s->features = json_array();
    s->edge_only = false;
    for (size_t i = 0; i < h->n_features; i++) {
        (void)json_array_append_new(s->features, json_string(h->features[i]));
        s->edge_only = s->edge_only || strcmp(h->features[i], AGENT_EDGE_ONLY) == 0;
    }
    s->edge_only = s->edge_only && !s->guards;
    keep_text(&s->boot_id, h->boot_id);
    keep_text(&s->kernel, h->kernel);
    keep_text(&s->software, h->software);
    s->running_revision = h->running_revision;
    s->trust_sequence = h->trust_sequence;
    s->based_here = held_is(s->dist, s->stream, h->running_revision);
    sending_answered(s);
    s->refused_revision = 0;
    if (s->stage == LIVE) { /* A greeting again: RESYNC. */
        sending_bring_up_to_date(s);
        return;
    }
    older = dist_live_session(s->dist, s->endpoint, s->guards);
    if (!older) {
        go_live(s);
        return;
    }
    set_stage(s, CONTENDING);
    s->contend_by_ms = loop_now_ms() + CONTEND_MS;
    ask_status(older);
}

/* The older of two has given a sign of life: the newer is refused, both are named. */
static void older_is_alive(struct session *older)
{
    struct session *next;

    if (!older->dist->n_contending)
        return; /* As ever: nobody is looked at. */
    for (struct session *s = older->dist->sessions; s; s = next) {
        char detail[256];

        next = s->next;
        if (s->stage != CONTENDING || s->guards != older->guards ||
            strcmp(s->endpoint, older->endpoint) != 0)
            continue;
        (void)snprintf(detail, sizeof(detail),
                       "%s (boot %s) is refused: %s (boot %s) is connected with this identity",
                       channel_address(s->channel), s->boot_id, channel_address(older->channel),
                       older->boot_id);
        older->dist->hooks.audit(older->dist->hooks.user, "suimitsud", "agent.duplicate",
                                 s->endpoint, detail);
        dist_refuse(s, AGENT_REASON_DUPLICATE, detail);
    }
}

static void older_is_gone(struct session *newer)
{
    struct session *older = dist_live_session(newer->dist, newer->endpoint, newer->guards);

    if (older) {
        log_warn(
            "agent %s: the connection from %s does not answer, the one from %s takes its place",
            newer->endpoint, channel_address(older->channel), channel_address(newer->channel));
        set_stage(older, LEAVING);
        (void)enforcer_step(&older->watch, ENFORCER_DISCONNECTED, loop_now_ms());
        channel_close(older->channel, "replaced");
    }
    go_live(newer);
}

/* ---- messages ---- */

static void acknowledged(struct session *s, const struct agent_ack *a)
{
    static const char *const words[] = {"", "running", "refused", "rolled back", "confirmed"};

    s->trust_sequence = a->trust_sequence;
    (void)snprintf(s->last_result, sizeof(s->last_result), "%s%s%s%s%s", words[a->result],
                   a->reason ? ": " : "", a->reason ? agent_reason_name(a->reason) : "",
                   a->text[0] ? ": " : "", a->text);
    switch ((enum agent_result)a->result) {
    case AGENT_RESULT_RUNNING:
    case AGENT_RESULT_CONFIRMED:
        if (a->revision == s->sent_revision) {
            s->based_here = true;
            sending_answered(s);
            held_note(s->dist, s->stream, a->revision);
        }
        s->running_revision = a->revision;
        break;
    case AGENT_RESULT_REFUSED:
        if (a->revision != s->sent_revision)
            break; /* A control message, or an old one. */
        sending_answered(s);
        log_warn("agent %s: revision %" PRIu64 " refused, it keeps %" PRIu64 ": %s", s->endpoint,
                 a->revision, s->running_revision, s->last_result);
        if (a->reason == AGENT_REASON_BASE && s->based_here) {
            s->based_here = false; /* A snapshot follows. */
        } else {
            s->refused_revision = a->revision;
        }
        break;
    case AGENT_RESULT_ROLLED_BACK:
        log_warn("agent %s: rolled back to revision %" PRIu64, s->endpoint, a->revision);
        s->running_revision = a->revision;
        s->based_here = false;
        sending_answered(s);
        if (desired_head(s->dist->desired)->confirm_revision)
            s->refused_revision = desired_current(s->dist->desired)->revision;
        break;
    }
    sending_bring_up_to_date(s);
    sending_serve_line(s->dist);
}

static void status_replied(struct session *s, const struct agent_status *st)
{
    json_t *counters = json_object(), *hooks = json_array();

    if (st->nonce != s->nonce) {
        s->dist->counts.bad_messages++;
        json_decref(counters);
        json_decref(hooks);
        return;
    }
    for (size_t i = 0; i < st->n_counters; i++)
        (void)json_object_set_new(counters, st->counters[i].name,
                                  json_integer((json_int_t)st->counters[i].value));
    for (size_t i = 0; i < st->n_hooks; i++) {
        static const char *const states[] = {"", "attached", "missing", "repaired", "unsupported"};

        (void)json_array_append_new(hooks, json_pack("{s:s,s:s,s:I}", "name", st->hooks[i].name,
                                                     "state", states[st->hooks[i].state], "hits",
                                                     (json_int_t)st->hooks[i].hits));
    }
    json_decref(s->status);
    s->status = json_pack("{s:o,s:o}", "counters", counters, "hooks", hooks);
    s->trust_sequence = st->trust_sequence;
    if (!s->sent_revision && s->running_revision != st->running_revision) {
        s->running_revision = st->running_revision;
        s->based_here = false;
        sending_bring_up_to_date(s);
    }
    older_is_alive(s);
}

static void flows_came(struct session *s, const struct agent_flows *f)
{
    if (strcmp(f->endpoint, s->endpoint) != 0) {
        s->dist->counts.foreign_reports++;
        log_warn("agent %s: reports about %s, which is not its to report: refused", s->endpoint,
                 f->endpoint);
        return;
    }
    s->lost_flows += f->lost;
    s->dist->hooks.flows(s->dist->hooks.user, s->stream, f);
}

static void renewal_asked(struct session *s, const char *csr)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_CERTIFICATE);

    if (s->dist->hooks.renew(s->dist->hooks.user, s->agent, csr, &m->certificate) < 0) {
        s->dist->counts.bad_messages++;
        log_warn("agent %s: no certificate for its request", s->endpoint);
        return;
    }
    (void)say(s, m); /* It asks again. */
}

static bool enrolment_allowed(struct dist *d)
{
    uint64_t minute = loop_now_ms() / 60000;

    if (minute != d->minute)
        d->enrolments = 0;
    d->minute = minute;
    return ++d->enrolments <= d->max_enrolments;
}

static void enrol(struct session *s, const struct agent_enroll *e)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_ENROLLED);
    struct dist *d = s->dist;
    const char *why = "";

    if (e->version != AGENT_PROTOCOL_VERSION) {
        dist_refuse(s, AGENT_REASON_VERSION, "another version of the protocol");
        return;
    }
    if (!enrolment_allowed(d)) {
        dist_refuse(s, AGENT_REASON_BUSY, "too many enrolments this minute; try again later");
        return;
    }
    if (d->hooks.enroll(d->hooks.user, e->token, e->csr, &m->enrolled.chain, &m->enrolled.ca,
                        s->endpoint, &why) < 0) {
        log_warn("enrolment from %s: %s", channel_address(s->channel), why);
        dist_refuse(s, AGENT_REASON_TOKEN, "the token or the request is not accepted");
        return;
    }
    log_info("agent %s enrolled from %s", s->endpoint, channel_address(s->channel));
    (void)say(s, m); /* If it is lost, a new token is needed: one token, one certificate. */
    set_stage(s, LEAVING);
    channel_close(s->channel, "enrolled");
}

static void dispatch(struct session *s, struct agent_message *m)
{
    if (s->stage == STRANGER) {
        enrol(s, &m->enroll);
        return;
    }
    (void)enforcer_step(&s->watch, ENFORCER_HEARD, loop_now_ms());
    if (m->kind == AGENT_HELLO && s->stage != CONTENDING) {
        greet(s, &m->hello);
        return;
    }
    if (s->stage != LIVE) {
        s->dist->counts.bad_messages++;
        if (s->stage == GREETING)
            dist_refuse(s, AGENT_REASON_PROTOCOL, "the first message must be a greeting");
        return;
    }
    if (m->kind == AGENT_ACK)
        acknowledged(s, &m->ack);
    else if (m->kind == AGENT_FLOWS)
        flows_came(s, &m->flows);
    else if (m->kind == AGENT_NOTICE)
        s->dist->hooks.notice(s->dist->hooks.user, s->endpoint, &m->notice);
    else if (m->kind == AGENT_STATUS_REPLY)
        status_replied(s, &m->status_reply);
    else if (m->kind == AGENT_RENEW)
        renewal_asked(s, m->renew);
}

static void message_came(struct channel *c, const void *data, size_t size, void *user)
{
    struct session *s = user;
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    const char *what = "";
    int r;

    (void)c;
    r = agent_decode(s->stage == STRANGER ? AGENT_SIDE_STRANGER : AGENT_SIDE_AGENT, data, size, &m,
                     &what);
    if (r < 0) {
        s->dist->counts.bad_messages++;
        dist_refuse(s, AGENT_REASON_PROTOCOL, what);
        return;
    }
    dispatch(s, m);
}

static void opened(struct channel *c, void *user)
{
    struct session *s = user;
    const struct tls_peer *peer = channel_peer(c);

    if (!peer->has_certificate)
        return; /* A stranger stays one. */
    set_stage(s, GREETING);
    channel_set_max_in(c, FRAME_FROM_AGENT_MAX);
    channel_set_idle(c, IDLE_MS);
    set_text(s->agent, sizeof(s->agent), peer->name);
    set_text(s->endpoint, sizeof(s->endpoint), peer->name); /* Until it greets. */
    if (!s->dist->hooks.certificate_counts(s->dist->hooks.user, peer->name, peer->serial))
        dist_refuse(s, AGENT_REASON_UNKNOWN_ENDPOINT,
                    "this certificate counts no more; enrol again with a new token");
}

static void closed(struct channel *c, const char *why, void *user)
{
    struct session *s = user;

    (void)c;
    if (s->stage == LIVE)
        log_info("agent %s: disconnected: %s", s->endpoint, why);
    session_free(s);
}

/* So that those who only hold connections open cannot keep agents out for long. */
static bool drop_patient_stranger(struct dist *d)
{
    struct session *oldest = NULL;

    for (struct session *s = d->sessions; s; s = s->next) /* The newest is first. */
        if (s->stage == STRANGER)
            oldest = s;
    if (!oldest || loop_now_ms() < oldest->accepted_ms + DIST_PATIENCE_MS)
        return false;
    d->counts.refused_connections++;
    session_free(oldest);
    return true;
}

static void add_session(struct dist *d, int fd)
{
    static const struct channel_options options = {.peek = frame_peek,
                                                   .max_in = FRAME_STRANGER_MAX,
                                                   .max_out = MAX_OUT,
                                                   .handshake_ms = HANDSHAKE_MS,
                                                   .idle_ms = HANDSHAKE_MS};
    struct session *s = xcalloc(1, sizeof(*s));
    const struct channel_handlers handlers = {
        .open = opened, .message = message_came, .closed = closed, .user = s};

    s->dist = d;
    s->since_s = (uint64_t)clock_unix_s();
    s->accepted_ms = loop_now_ms();
    s->next = d->sessions;
    if (d->sessions)
        d->sessions->before = s;
    d->sessions = s;
    d->n_sessions++;
    s->stage = STRANGER;
    d->n_strangers++;
    s->channel = channel_accept(d->loop, d->tls, fd, &options, &handlers);
}

static void accepted(int fd, void *user)
{
    struct dist *d = user;

    if (d->n_sessions >= DIST_MAX_CONNECTIONS) {
        d->counts.refused_connections++;
        (void)close(fd); /* Nothing was said yet. */
        return;
    }
    add_session(d, fd);
    if (d->n_strangers >= DIST_MAX_STRANGERS && !drop_patient_stranger(d)) {
        d->is_paused = true; /* The others wait in the kernel until one of these is done. */
        listener_pause(d->listener, true);
    }
}

/* What is told of an enforcer, as a number. */
static uint64_t shown(const struct session *s)
{
    return s->stage != LIVE ? 0
                            : 1 + (uint64_t)s->watch.state + (s->refused_revision ? 4u : 0u) +
                                  8 * s->running_revision;
}

static void tell_changes(struct dist *d)
{
    const char *one = NULL;
    size_t n = d->n_gone;

    d->n_gone = 0;
    for (struct session *s = d->sessions; s; s = s->next) {
        uint64_t now = shown(s);

        if (now == s->told)
            continue;
        s->told = now;
        one = s->endpoint;
        n++;
    }
    if (n && d->hooks.enforcer)
        d->hooks.enforcer(d->hooks.user, n == 1 ? one : NULL);
}

static void tick(void *user)
{
    struct dist *d = user;
    uint64_t now_ms = loop_now_ms();
    struct session *next;

    tell_changes(d);
    while (d->is_paused && drop_patient_stranger(d))
        ;
    for (struct session *s = d->sessions; s; s = next) {
        next = s->next;
        if (s->stage == LIVE && enforcer_step(&s->watch, ENFORCER_TICK, now_ms))
            ask_status(s);
        if (s->stage == CONTENDING && now_ms >= s->contend_by_ms)
            older_is_gone(s);
        turns_lose_patience(&d->turns, &s->turn, now_ms, DIST_PATIENCE_MS);
    }
    sending_serve_line(d);
    timer_start(d->ticker, TICK_MS);
}

int dist_new(struct loop *l, struct tls *tls, const char *address, uint16_t port,
             struct desired *desired, const struct dist_hooks *hooks, struct dist **ret_d)
{
    CLEANUP(dist_freep) struct dist *d = xcalloc(1, sizeof(*d));
    struct desired_listener listener = {
        .generation = generation_changed, .trust = trust_changed, .confirmed = confirmed};
    int r;

    d->loop = l;
    d->tls = tls;
    d->desired = desired;
    d->hooks = *hooks;
    d->max_enrolments = DIST_ENROLMENTS_PER_MINUTE;
    d->turns.max = DIST_UNDER_WAY_MAX;
    d->ticker = timer_new(l, tick, d);
    d->spreader = timer_new(l, spread_news, d);
    sending_prepare(d);
    r = listener_new(l, address, port, accepted, d, &d->listener);
    if (r < 0)
        return r;
    tls_accept_tickets(tls, ticket_is_good, d);
    listener.user = d;
    desired_listen(desired, &listener);
    timer_start(d->ticker, TICK_MS);
    *ret_d = TAKE_PTR(d);
    return 0;
}

void dist_free(struct dist *d)
{
    if (!d)
        return;
    while (d->sessions)
        session_free(d->sessions);
    listener_free(d->listener);
    timer_free(d->ticker);
    timer_free(d->spreader);
    sending_done(d);
    ports_done(d);
    held_done(d);
    free(d);
}

void dist_set_enrolments(struct dist *d, uint64_t per_minute)
{
    d->max_enrolments = per_minute;
}

uint16_t dist_port(const struct dist *d)
{
    return listener_port(d->listener);
}

int dist_control(struct dist *d, const char *target, uint32_t verb, uint32_t count)
{
    struct session *s = dist_live_session(d, target, false);
    struct agent_message m = {.kind = AGENT_CONTROL, .control = {.verb = verb, .count = count}};

    if (verb < AGENT_VERB_REPORT || verb > AGENT_VERB_RESYNC || count < 1 ||
        count > AGENT_MAX_CONTROL_COUNT)
        return -EINVAL;
    if (!s)
        return -ENOENT;
    set_text(m.control.target, sizeof(m.control.target), target);
    if (RAND_bytes((unsigned char *)&m.control.nonce, sizeof(m.control.nonce)) != 1)
        abort();
    return say(s, &m);
}

void dist_acknowledge_flows(struct dist *d, const char *stream, uint64_t epoch, uint64_t sequence)
{
    struct agent_message m = {.kind = AGENT_FLOWS_ACK,
                              .flows_ack = {.epoch = epoch, .sequence = sequence}};
    const char *slash = strchr(stream, '/');
    struct session *s = dist_live_session(d, slash ? slash + 1 : stream, slash != NULL);

    if (s && strcmp(s->stream, stream) == 0)
        (void)say(s, &m); /* Whoever is gone sends again, and is told then. */
}
