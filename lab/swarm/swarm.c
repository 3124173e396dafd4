/* SPDX-License-Identifier: Apache-2.0 */
/* Members and their connections; see swarm.h. */
#include "swarm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "agent/net/identity.h"
#include "wire/frame.h"

enum {
    HANDSHAKE_MS = 10000,
    IDLE_MS = 120000,
    BACKOFF_MIN_MS = 1000,
    BACKOFF_MAX_MS = 30000,
    MAX_OUT = 64 << 20,
};

void swarm_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("agents: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t swarm_now_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- members by name ---- */

static bool is_named(const void *swarm, uint32_t number, const void *name)
{
    const struct swarm *s = swarm;

    return s->members[number] && strcmp(s->members[number]->name, name) == 0;
}

struct member *swarm_find(const struct swarm *s, const char *name)
{
    uint32_t n = table_find(&s->by_name, table_hash(name, strlen(name), 0), is_named, s, name);

    return n == TABLE_NONE ? NULL : s->members[n];
}

static struct member *add_member(struct swarm *s, const char *name)
{
    struct member *m = xcalloc(1, sizeof(*m));

    if (strlen(name) >= sizeof(m->name))
        swarm_die("%s: a name of less than %zu letters was expected", name, sizeof(m->name));
    m->swarm = s;
    m->number = (uint32_t)s->n_members;
    m->backoff_ms = BACKOFF_MIN_MS;
    m->spool_end = &m->spool;
    memcpy(m->name, name, strlen(name) + 1);
    if (getrandom(&m->epoch, sizeof(m->epoch), 0) < 0)
        swarm_die("no randomness");
    GROW(s->members, s->n_members, s->members_room);
    s->members[s->n_members++] = m;
    s->n_here++;
    table_add(&s->by_name, table_hash(name, strlen(name), 0), m->number);
    return m;
}

bool member_is_settled(const struct member *m, uint64_t revision)
{
    bool bare = m->swarm->bare;

    return m->is_enrolled && m->is_open && (m->running || bare) &&
           (!revision || (bare ? m->pushed : m->running) == revision);
}

void member_say(struct member *m, const struct agent_message *message)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    if (agent_encode(message, &frame) < 0)
        swarm_die("%s: a message over the limit", m->name);
    if (m->channel)
        (void)channel_send(m->channel, frame.data, frame.size); /* Else it is sent again. */
}

/* ---- an ordinary connection ---- */

static void connect_more(struct swarm *s);

static void first_is_over(struct member *m)
{
    m->swarm->n_first -= m->is_first;
    m->is_first = false;
}

static void acknowledge(struct member *m, uint64_t revision, enum agent_reason reason)
{
    struct agent_message answer = {
        .kind = AGENT_ACK,
        .ack = {.revision = revision,
                .result = reason ? AGENT_RESULT_REFUSED : AGENT_RESULT_RUNNING,
                .reason = (uint32_t)reason,
                .trust_sequence = m->trust_sequence}};

    if (reason)
        m->swarm->refused++;
    else if (!m->swarm->bare)
        m->running = revision;
    member_say(m, &answer);
    m->acked_ns = swarm_now_ns();
    first_is_over(m);
    connect_more(m->swarm);
    m->swarm->progress(m->swarm);
}

static void greet(struct member *m, uint64_t running)
{
    struct agent_message hello = {.kind = AGENT_HELLO,
                                  .hello = {.version = AGENT_PROTOCOL_VERSION,
                                            .running_revision = running,
                                            .trust_sequence = m->trust_sequence,
                                            .boot_id = "swarm",
                                            .kernel = "none",
                                            .software = "swarm"}};

    memcpy(hello.hello.endpoint, m->name, sizeof(m->name));
    member_say(m, &hello);
}

static void take_program(struct member *m, struct agent_message *message)
{
    enum agent_reason reason;
    uint64_t revision;

    if (message->kind == AGENT_SNAPSHOT) {
        revision = message->snapshot.program->revision;
        m->trust_sequence = message->snapshot.trust_sequence;
        m->swarm->snapshots++;
        reason = programs_take_snapshot(m, &message->snapshot.program);
    } else {
        revision = message->delta.delta->put->revision;
        m->trust_sequence = message->delta.trust_sequence;
        m->swarm->deltas++;
        reason = programs_take_delta(m, message->delta.delta);
    }
    acknowledge(m, revision, reason);
}

static void hear(struct channel *c, const void *data, size_t size, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *message = NULL;
    struct member *m = user;
    struct agent_message answer = {.kind = AGENT_STATUS_REPLY};
    const char *what = "";

    (void)c;
    m->swarm->bytes_in += size + FRAME_HEADER_SIZE;
    if (m->swarm->bare) {
        acknowledge(m, ++m->pushed, AGENT_REASON_NONE);
        return;
    }
    if (agent_decode(AGENT_SIDE_CONTROLLER, data, size, &message, &what) < 0)
        swarm_die("%s: what the controller said cannot be read: %s", m->name, what);
    if (message->kind == AGENT_SNAPSHOT || message->kind == AGENT_DELTA) {
        take_program(m, message);
    } else if (message->kind == AGENT_FLOWS_ACK) {
        telling_acknowledged(m, &message->flows_ack);
    } else if (message->kind == AGENT_STATUS_REQUEST) {
        answer.status_reply.nonce = message->status_request;
        answer.status_reply.running_revision = m->running;
        answer.status_reply.trust_sequence = m->trust_sequence;
        member_say(m, &answer);
    } else if (message->kind == AGENT_TRUST) {
        m->trust_sequence = message->trust.sequence; /* The next program has it. */
    } else if (message->kind == AGENT_REFUSED) {
        m->swarm->refused++;
        m->backoff_ms = BACKOFF_MAX_MS;
    }
}

static void opened(struct channel *c, void *user)
{
    struct member *m = user;

    m->channel = c;
    m->is_open = true;
    m->backoff_ms = BACKOFF_MIN_MS;
    m->swarm->n_open++;
    m->swarm->connects++;
    m->swarm->resumed += channel_peer(c)->is_resumed;
    greet(m, m->shared ? m->running : 0);
    telling_connected(m);
    m->swarm->progress(m->swarm);
}

static void come_back_later(struct member *m);

static void closed(struct channel *c, const char *why, void *user)
{
    struct member *m = user;

    (void)why;
    m->swarm->n_open -= m->is_open;
    m->swarm->failures += !m->is_open;
    m->is_open = false;
    m->channel = NULL;
    channel_free(c);
    first_is_over(m);
    come_back_later(m);
    connect_more(m->swarm);
}

static void connect_now(void *user)
{
    static const struct channel_options options = {.peek = frame_peek,
                                                   .max_in = FRAME_TO_AGENT_MAX,
                                                   .max_out = MAX_OUT,
                                                   .handshake_ms = HANDSHAKE_MS,
                                                   .idle_ms = IDLE_MS};
    struct member *m = user;
    const struct channel_handlers handlers = {
        .open = opened, .message = hear, .closed = closed, .user = m};

    timer_free(TAKE_PTR(m->retry));
    if (channel_connect(m->swarm->loop, m->tls, m->swarm->address, m->swarm->port, &options,
                        &handlers, &m->channel) < 0)
        swarm_die("%s is no address", m->swarm->address);
}

/* As agent/net/link.c. */
static void come_back_later(struct member *m)
{
    uint32_t jitter = 0;

    if (!m->is_wanted)
        return;
    if (getrandom(&jitter, sizeof(jitter), 0) < 0)
        swarm_die("no randomness");
    m->retry = timer_new(m->swarm->loop, connect_now, m);
    timer_start(m->retry, m->backoff_ms / 2 + jitter % m->backoff_ms);
    m->backoff_ms = m->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : m->backoff_ms * 2;
}

static void want(struct member *m)
{
    if (!m->is_enrolled || m->is_wanted)
        return;
    m->is_wanted = true;
    m->is_first = true;
    m->swarm->n_first++;
    connect_now(m);
}

/* One process shakes all hands and reads all programs of this side: ten thousand at once would wait
 * for themselves until their time is up.  Who is not enrolled yet comes when he is. */
static void connect_more(struct swarm *s)
{
    while (s->first_unconnected < s->n_members && s->n_first < SWARM_CONNECTING) {
        struct member *m = s->members[s->first_unconnected++];

        if (m)
            want(m);
    }
}

void swarm_connect(struct swarm *s)
{
    s->wanted = true;
    s->first_unconnected = 0;
    connect_more(s);
}

/* ---- enrolment ---- */

static void enrol_more(struct swarm *s);

static void ask(struct channel *c, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *e = agent_message_new(AGENT_ENROLL);
    struct member *m = user;

    e->enroll.version = AGENT_PROTOCOL_VERSION;
    (void)snprintf(e->enroll.token, sizeof(e->enroll.token), "%s", m->token);
    e->enroll.csr = identity_request(m->key);
    m->channel = c;
    member_say(m, e);
}

static void take_certificate(struct member *m, const struct agent_enrolled *e)
{
    const struct tls_options options = {.role = TLS_CLIENT,
                                        .chain_pem = e->chain,
                                        .key_pem = m->key,
                                        .ca_pem = e->ca,
                                        .peer_name = TLS_CONTROLLER_NAME};
    const char *what = "";

    if (tls_new(&options, &m->tls, &what) < 0)
        swarm_die("%s: its certificate is no good: %s", m->name, what);
    tls_keep_tickets(m->tls);
    m->is_enrolled = true;
    m->swarm->n_unenrolled--;
    free(TAKE_PTR(m->token));
}

static void hear_enrolled(struct channel *c, const void *data, size_t size, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *message = NULL;
    struct member *m = user;
    const char *what = "";

    (void)c;
    if (agent_decode(AGENT_SIDE_CONTROLLER, data, size, &message, &what) < 0)
        swarm_die("%s: what the controller said cannot be read: %s", m->name, what);
    if (message->kind == AGENT_REFUSED)
        swarm_die("%s is not enrolled: %s", m->name, message->refused.text);
    if (message->kind == AGENT_ENROLLED)
        take_certificate(m, &message->enrolled);
}

static void closed_enrolling(struct channel *c, const char *why, void *user)
{
    struct member *m = user;
    struct swarm *s = m->swarm;

    m->channel = NULL;
    channel_free(c);
    m->is_enrolling = false;
    s->n_enrolling--;
    if (!m->is_enrolled)
        swarm_die("%s is not enrolled: %s", m->name, why);
    if (s->wanted)
        want(m);
    enrol_more(s);
    s->progress(s);
}

static void begin_enrolment(struct member *m)
{
    static const struct channel_options options = {.peek = frame_peek,
                                                   .max_in = FRAME_TO_AGENT_MAX,
                                                   .max_out = 1 << 20,
                                                   .handshake_ms = HANDSHAKE_MS,
                                                   .idle_ms = IDLE_MS};
    const struct channel_handlers handlers = {
        .open = ask, .message = hear_enrolled, .closed = closed_enrolling, .user = m};
    struct swarm *s = m->swarm;

    m->is_enrolling = true;
    m->key = identity_new_key();
    s->n_enrolling++;
    if (!m->key || channel_connect(s->loop, s->stranger, s->address, s->port, &options, &handlers,
                                   &m->channel) < 0)
        swarm_die("%s: no key, or no address", m->name);
}

static void enrol_more(struct swarm *s)
{
    for (; s->first_waiting < s->n_members && s->n_enrolling < SWARM_ENROLLING; s->first_waiting++)
        if (s->members[s->first_waiting])
            begin_enrolment(s->members[s->first_waiting]);
}

void swarm_enrol(struct swarm *s, const char *name, const char *token)
{
    struct member *m;

    if (swarm_find(s, name))
        swarm_die("%s is there already", name);
    m = add_member(s, name);
    m->token = xstrdup(token);
    s->n_unenrolled++;
    enrol_more(s);
}

/* ---- leaving ---- */

void swarm_forget(struct swarm *s, struct member *m)
{
    if (m->is_enrolling)
        swarm_die("%s is being enrolled; settle first", m->name);
    m->is_wanted = false;
    s->n_open -= m->is_open;
    first_is_over(m);
    channel_free(m->channel);
    timer_free(m->retry);
    telling_end(m);
    programs_leave(m);
    tls_free(m->tls);
    tls_ticket_free(m->aside);
    table_remove(&s->by_name, table_hash(m->name, strlen(m->name), 0), m->number);
    s->members[m->number] = NULL;
    s->n_here--;
    free(m->key);
    free(m);
}

void swarm_drop(struct swarm *s)
{
    for (size_t i = 0; i < s->n_members; i++) {
        struct member *m = s->members[i];

        if (!m || !m->is_open)
            continue;
        m->is_open = false;
        s->n_open--;
        channel_free(TAKE_PTR(m->channel));
        come_back_later(m);
    }
}

void swarm_turn(struct swarm *s, uint16_t port, bool bare)
{
    for (size_t i = 0; i < s->n_members && s->bare != bare; i++)
        if (s->members[i] && s->members[i]->is_enrolled)
            tls_swap_ticket(s->members[i]->tls, &s->members[i]->aside);
    s->bare = bare;
    s->port = port;
    swarm_drop(s);
}

void swarm_forget_tickets(struct swarm *s)
{
    for (size_t i = 0; i < s->n_members; i++) {
        struct ssl_session_st *none = NULL;

        if (!s->members[i] || !s->members[i]->is_enrolled)
            continue;
        tls_swap_ticket(s->members[i]->tls, &none);
        tls_ticket_free(none);
        tls_ticket_free(TAKE_PTR(s->members[i]->aside));
    }
}
