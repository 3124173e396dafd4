/* SPDX-License-Identifier: Apache-2.0 */
/* One connection with the controller; see internal.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/net/internal.h"
#include "base/log.h"
#include "sys/file.h"
#include "wire/frame.h"
#include "wire/records.h"

enum {
    HANDSHAKE_MS = 10000,
    IDLE_MS = 45000, /* Four polls of the controller, and a half. */
    BACKOFF_MIN_MS = 1000,
    BACKOFF_MAX_MS = 30000,
    MAX_OUT = 16 << 20,
    SEND_WAIT_MS = 5000, /* For the other half, which never waits for us. */
};

void link_say(struct link *n, const struct agent_message *m)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    if (n->open && agent_encode(m, &frame) == 0)
        (void)channel_send(n->channel, frame.data, frame.size);
}

/* ---- To the other half -------------------------------------------------------------------------
 */

int link_pass(struct link *n, enum ipc_kind kind, const void *body, size_t size)
{
    for (;;) {
        struct pollfd writable = {.fd = n->net->options.ipc_fd, .events = POLLOUT};
        int r = ipc_send(n->net->options.ipc_fd, kind, n->seat, body, size);

        if (r != -EAGAIN)
            return r;
        if (poll(&writable, 1, SEND_WAIT_MS) <= 0)
            return -ETIMEDOUT;
    }
}

static int pass_program(struct link *n, struct program *taken, uint32_t confirm_s,
                        uint64_t trust_sequence)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    CLEANUP(free_voidp) struct ipc_piece *piece = xcalloc(1, sizeof *piece);
    struct ipc_program announce = {.confirm_s = confirm_s, .trust_sequence = trust_sequence};
    int r;

    program_free(n->passed);
    n->passed = taken;
    program_encode(taken, &bytes);
    announce.size = bytes.size;
    r = link_pass(n, IPC_PROGRAM, &announce, sizeof(announce));
    for (size_t at = 0; r == 0 && at < bytes.size; at += IPC_PIECE_SIZE) {
        piece->size =
            (uint32_t)(bytes.size - at < IPC_PIECE_SIZE ? bytes.size - at : IPC_PIECE_SIZE);
        memcpy(piece->bytes, bytes.data + at, piece->size);
        r = link_pass(n, IPC_PIECE, piece, sizeof(*piece));
    }
    return r;
}

/* ---- What the controller says
 * -------------------------------------------------------------------- */

static void refuse(struct link *n, uint64_t revision, enum agent_reason reason, const char *text)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_ACK);

    m->ack.revision = revision;
    m->ack.result = AGENT_RESULT_REFUSED;
    m->ack.reason = (uint32_t)reason;
    m->ack.trust_sequence = n->trust_sequence;
    (void)snprintf(m->ack.text, sizeof(m->ack.text), "%s", text);
    log_warn("revision %llu refused: %s", (unsigned long long)revision, text);
    link_say(n, m);
}

static void take_program(struct link *n, struct program *taken, uint32_t confirm_s,
                         uint64_t trust_sequence)
{
    CLEANUP(program_freep) struct program *p = taken;
    uint64_t revision = p->revision;

    if (strcmp(p->endpoint, link_endpoint(n)) != 0)
        refuse(n, revision, AGENT_REASON_NOT_ME, "this program is for another endpoint");
    else if (pass_program(n, TAKE_PTR(p), confirm_s, trust_sequence) < 0)
        refuse(n, revision, AGENT_REASON_KERNEL, "the enforcing half does not take programs");
}

static void take_delta(struct link *n, struct agent_delta *d)
{
    CLEANUP(program_freep) struct program *p = NULL;
    const char *what = "there is no base for a delta";
    int r = n->held ? delta_apply(n->held, d->delta, &p, &what) : -ESTALE;

    if (r < 0)
        refuse(n, d->delta->put->revision, AGENT_REASON_BASE, what);
    else
        take_program(n, TAKE_PTR(p), d->confirm_s, d->trust_sequence);
}

static void take_trust(struct link *n, const struct agent_trust *t)
{
    for (size_t i = 0; i < t->n_items; i++) {
        struct ipc_trust one = {
            .sequence = t->sequence, .address = t->items[i].address, .trust = t->items[i].trust};

        if (link_pass(n, IPC_TRUST, &one, sizeof(one)) < 0)
            return;
        /* The base of later deltas knows it too. */
        for (size_t a = 0; n->held && a < n->held->n_addresses; a++)
            if (n->held->addresses[a].length == 128 &&
                address_compare(&n->held->addresses[a].address, &one.address) == 0) {
                n->held->addresses[a].trust = (uint8_t)one.trust;
                if (n->held->addresses[a].self)
                    n->held->trust = (enum trust)one.trust;
            }
    }
}

static void send_hello(struct link *n, uint64_t running);

static void take_control(struct link *n, const struct agent_control *c)
{
    uint32_t nothing = 0;

    if (strcmp(c->target, n->net->identity.name) != 0) {
        refuse(n, 0, AGENT_REASON_NOT_ME, "this control message is for another endpoint");
        return;
    }
    switch (c->verb) {
    case AGENT_VERB_REPORT:
        (void)link_pass(n, IPC_REPORT, &nothing, sizeof(nothing));
        break;
    case AGENT_VERB_VERIFY:
        for (uint32_t i = 0; i < c->count; i++)
            (void)link_pass(n, IPC_VERIFY, &nothing, sizeof(nothing));
        break;
    case AGENT_VERB_RESYNC:
        send_hello(n, 0);
        return;
    default:
        refuse(n, 0, AGENT_REASON_UNSUPPORTED, "unknown control verb");
        return;
    }
    n->status_nonce = c->nonce;
    (void)link_pass(n, IPC_ASK_STATUS, &nothing, sizeof(nothing));
}

static void take_certificate(struct link *n, char *chain)
{
    struct identity next = {.chain_pem = chain};
    int r = identity_read_chain(&next);

    n->net->renewing = false;
    if (r < 0 || strcmp(next.name, n->net->identity.name) != 0) {
        log_warn("the renewed certificate is not ours; keeping the old one");
        return;
    }
    r = identity_store(n->net->options.dir, NULL, chain, NULL);
    if (r < 0)
        log_err("cannot store the renewed certificate, using it until the next start: %s",
                strerror(-r));
    free(n->net->identity.chain_pem);
    n->net->identity.chain_pem = xstrdup(chain);
    n->net->identity.not_before_s = next.not_before_s;
    n->net->identity.not_after_s = next.not_after_s;
    n->net->n_certificates++;
    log_info("certificate renewed");
}

static void on_message(struct channel *c, const void *data, size_t size, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    struct link *n = user;
    uint32_t nothing = 0;
    const char *what = "";

    if (agent_decode(AGENT_SIDE_CONTROLLER, data, size, &m, &what) < 0) {
        log_warn("the controller sent what we do not understand (%s): connecting again", what);
        channel_close(c, what);
        return;
    }
    switch (m->kind) {
    case AGENT_SNAPSHOT:
        take_program(n, TAKE_PTR(m->snapshot.program), m->snapshot.confirm_s,
                     m->snapshot.trust_sequence);
        break;
    case AGENT_DELTA:
        take_delta(n, &m->delta);
        break;
    case AGENT_CONFIRM:
        (void)link_pass(n, IPC_CONFIRM, &m->confirm, sizeof(m->confirm));
        break;
    case AGENT_TRUST:
        take_trust(n, &m->trust);
        break;
    case AGENT_STATUS_REQUEST:
        n->status_nonce = m->status_request;
        (void)link_pass(n, IPC_ASK_STATUS, &nothing, sizeof(nothing));
        break;
    case AGENT_CERTIFICATE:
        take_certificate(n, m->certificate);
        break;
    case AGENT_CONTROL:
        take_control(n, &m->control);
        break;
    case AGENT_REFUSED:
        log_err("the controller refused us: %s (%s)", m->refused.text,
                agent_reason_name(m->refused.reason));
        n->backoff_ms = BACKOFF_MAX_MS;
        break;
    case AGENT_PORTS:
        if (link_is_own(n))
            ports_take(n->net, &m->ports);
        break;
    case AGENT_FLOWS_ACK:
        telling_acknowledged(n, &m->flows_ack);
        break;
    case AGENT_ENROLLED:
    case AGENT_HELLO:
    case AGENT_ACK:
    case AGENT_FLOWS:
    case AGENT_NOTICE:
    case AGENT_STATUS_REPLY:
    case AGENT_RENEW:
    case AGENT_ENROLL:
        break; /* agent_decode() lets nobody say these to us. */
    }
}

/* ---- The connection
 * --------------------------------------------------------------------------------- */

static void read_boot_id(char id[PROGRAM_NAME_SIZE])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    id[0] = 0;
    if (file_read("/proc/sys/kernel/random/boot_id", PROGRAM_NAME_SIZE, &text) == 0)
        (void)snprintf(id, PROGRAM_NAME_SIZE, "%.36s", buf_str(&text));
}

static void send_hello(struct link *n, uint64_t running)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_HELLO);
    struct utsname kernel;

    m->hello.version = AGENT_PROTOCOL_VERSION;
    m->hello.running_revision = running;
    m->hello.trust_sequence = n->trust_sequence;
    (void)snprintf(m->hello.endpoint, sizeof(m->hello.endpoint), "%s", n->net->identity.name);
    (void)snprintf(m->hello.guards, sizeof(m->hello.guards), "%s", n->port.endpoint);
    (void)snprintf(m->hello.software, sizeof(m->hello.software), "suimitsu-agent %s",
                   SUIMITSU_VERSION);
    if ((n->net->options.edge_only || n->net->options.nft) && link_is_own(n)) {
        m->hello.features = xcalloc(1, sizeof(*m->hello.features));
        m->hello.n_features = 1;
        (void)snprintf(m->hello.features[0], sizeof(m->hello.features[0]), "%s",
                       n->net->options.nft ? AGENT_NFT : AGENT_EDGE_ONLY);
    }
    if (uname(&kernel) == 0)
        (void)snprintf(m->hello.kernel, sizeof(m->hello.kernel), "%s", kernel.release);
    read_boot_id(m->hello.boot_id);
    link_say(n, m);
}

static void on_open(struct channel *c, void *user)
{
    struct link *n = user;

    log_info("%s: connected to the controller at %s%s", link_endpoint(n), channel_address(c),
             channel_peer(c)->is_resumed ? " (session resumed)" : "");
    n->open = true;
    n->backoff_ms = BACKOFF_MIN_MS;
    /* Without the program itself there is no base for deltas. */
    send_hello(n, n->held ? n->running : 0);
    telling_connected(n);
}

static void on_closed(struct channel *c, const char *why, void *user)
{
    struct link *n = user;
    uint32_t jitter = 0;

    if (n->open || n->backoff_ms < BACKOFF_MAX_MS)
        log_warn("%s: no controller (%s); the kernel goes on with revision %llu", link_endpoint(n),
                 why, (unsigned long long)n->running);
    n->open = false;
    if (link_is_own(n))
        n->net->renewing = false;
    channel_free(c);
    n->channel = NULL;
    if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) < 0)
        jitter = (uint32_t)getpid(); /* Spread is all that is wanted. */
    timer_start(n->retry, n->backoff_ms / 2 + jitter % n->backoff_ms);
    n->backoff_ms = n->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : n->backoff_ms * 2;
}

/* With the present certificate.  It is kept for as long as that is, and a ticket with it: after a
 * cut the session is taken up again. */
static int make_tls(struct link *n, const char **ret_what)
{
    const struct tls_options options = {.role = TLS_CLIENT,
                                        .chain_pem = n->net->identity.chain_pem,
                                        .key_pem = n->net->identity.key_pem,
                                        .ca_pem = n->net->identity.ca_pem,
                                        .peer_name = TLS_CONTROLLER_NAME};
    int r;

    if (n->tls && n->tls_of == n->net->n_certificates)
        return 0;
    tls_free(n->tls);
    n->tls = NULL;
    r = tls_new(&options, &n->tls, ret_what);
    if (r < 0)
        return r;
    tls_keep_tickets(n->tls);
    n->tls_of = n->net->n_certificates;
    return 0;
}

static void connect_now(void *user)
{
    const struct channel_options options = {.peek = frame_peek,
                                            .max_in = FRAME_TO_AGENT_MAX,
                                            .max_out = MAX_OUT,
                                            .handshake_ms = HANDSHAKE_MS,
                                            .idle_ms = IDLE_MS};
    struct link *n = user;
    const struct channel_handlers handlers = {
        .open = on_open, .message = on_message, .closed = on_closed, .user = n};
    const char *what = "";
    int r = make_tls(n, &what);

    if (r == 0)
        r = channel_connect(n->net->loop, n->tls, n->net->options.address, n->net->options.port,
                            &options, &handlers, &n->channel);
    if (r < 0) {
        log_err("cannot connect: %s %s", strerror(-r), what);
        timer_start(n->retry, BACKOFF_MAX_MS);
    }
}

/* ---- What the other half says
 * -------------------------------------------------------------------------- */

static enum agent_reason reason_of(uint32_t reason)
{
    switch ((enum ipc_reason)reason) {
    case IPC_REASON_NONE:
        return AGENT_REASON_NONE;
    case IPC_REASON_OLDER:
        return AGENT_REASON_OLDER;
    case IPC_REASON_INVALID:
        return AGENT_REASON_INVALID;
    case IPC_REASON_FULL:
        return AGENT_REASON_MAP_FULL;
    case IPC_REASON_KERNEL:
    case IPC_REASON_OTHER:
        break;
    }
    return AGENT_REASON_KERNEL;
}

void link_take_ack(struct link *n, const struct ipc_ack *a)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_ACK);

    m->ack.revision = a->revision;
    m->ack.result = a->result;
    m->ack.reason = (uint32_t)reason_of(a->reason);
    m->ack.trust_sequence = n->trust_sequence = a->trust_sequence;
    (void)snprintf(m->ack.text, sizeof(m->ack.text), "%s", a->text);
    if (a->result == IPC_RUNNING && n->passed && n->passed->revision == a->revision) {
        program_free(n->held);
        n->held = TAKE_PTR(n->passed);
    } else if (a->result == IPC_REFUSED) {
        program_free(n->passed);
        n->passed = NULL;
    } else if (a->result == IPC_ROLLED_BACK) {
        program_free(n->held); /* Which program it is now, only the other half knows. */
        n->held = NULL;
    }
    if (a->result == IPC_RUNNING || a->result == IPC_ROLLED_BACK)
        n->running = a->revision;
    link_say(n, m);
}

/* enum enforcer_notice, in its order; agent/net does not see the enforcers. */
static uint32_t notice_kind(uint32_t kind)
{
    static const uint32_t kinds[] = {
        AGENT_NOTICE_TAMPER,   AGENT_NOTICE_PROGRAM_CHANGED, AGENT_NOTICE_DEGRADED,
        AGENT_NOTICE_DEGRADED, AGENT_NOTICE_ADOPTED,         AGENT_NOTICE_CUT,
        AGENT_NOTICE_ADOPTED,  AGENT_NOTICE_DEGRADED,        AGENT_NOTICE_TAMPER};

    return kind < ARRAY_SIZE(kinds) ? kinds[kind] : AGENT_NOTICE_DEGRADED;
}

void link_take_notice(struct link *n, const struct ipc_notice *notice)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_NOTICE);

    m->notice.kind = notice_kind(notice->kind);
    m->notice.time_ms = notice->time_ms;
    (void)snprintf(m->notice.text, sizeof(m->notice.text), "%s", notice->text);
    link_say(n, m);
}

void link_take_status(struct link *n, const struct ipc_status *s)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_STATUS_REPLY);

    n->running = s->revision;
    n->trust_sequence = s->trust_sequence;
    m->status_reply.nonce = n->status_nonce;
    m->status_reply.running_revision = s->revision;
    m->status_reply.trust_sequence = s->trust_sequence;
    m->status_reply.hooks = xcalloc(IPC_HOOKS, sizeof *m->status_reply.hooks);
    for (size_t i = 0; i < s->n_hooks && i < IPC_HOOKS; i++) {
        struct agent_hook *hook = &m->status_reply.hooks[m->status_reply.n_hooks++];

        (void)snprintf(hook->name, sizeof(hook->name), "%s", s->hooks[i].name);
        hook->state = s->hooks[i].attached ? AGENT_HOOK_ATTACHED : AGENT_HOOK_MISSING;
    }
    if (n->status_nonce)
        link_say(n, m);
    n->status_nonce = 0;
}

/* ---- beginning and end ---- */

struct link *link_new(struct net *net, uint32_t seat)
{
    struct link *n = xcalloc(1, sizeof(*n));

    n->net = net;
    n->seat = seat;
    n->backoff_ms = BACKOFF_MIN_MS;
    n->retry = timer_new(net->loop, connect_now, n);
    timer_start(n->retry, 1);
    net->links[seat] = n;
    return n;
}

void link_free(struct link *n)
{
    if (!n)
        return;
    n->net->links[n->seat] = NULL;
    n->open = false;
    telling_end(n);
    channel_free(n->channel);
    tls_free(n->tls);
    timer_free(n->retry);
    program_free(n->held);
    program_free(n->passed);
    free(n);
}
