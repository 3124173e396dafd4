/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, one question, one answer.  The token carries the fingerprint of the authority, so
 * nobody is trusted at first sight. */
#include <errno.h>
#include <stdio.h>

#include "agent/net/identity.h"
#include "agent/net/net.h"
#include "base/number.h"
#include "sys/channel.h"
#include "wire/agent.h"
#include "wire/frame.h"

enum { TIMEOUT_MS = 15000, HEX_PIN = 2 * TLS_PIN_SIZE };

struct enrollment {
    struct loop *loop;
    const char *token, *dir;
    char *key, *request;
    int result;
    struct buf why;
};

int net_parse_endpoint(const char *text, char address[64], uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t port;

    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (colon && memchr(text, ':', len)) {
        return -EINVAL; /* IPv6 without brackets: which colon is the port's? */
    }
    if (len == 0 || len >= 64 || number_parse(colon + 1, strlen(colon + 1), 65535, &port) < 0 ||
        port == 0)
        return -EINVAL;
    memcpy(address, text, len);
    address[len] = 0;
    *ret_port = (uint16_t)port;
    return 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int pin_of(const char *token, uint8_t pin[TLS_PIN_SIZE])
{
    const char *dot = strrchr(token, '.');

    if (strncmp(token, "smt1.", 5) != 0 || !dot || strlen(dot + 1) != HEX_PIN)
        return -EINVAL;
    for (size_t i = 0; i < TLS_PIN_SIZE; i++) {
        int high = digit(dot[1 + 2 * i]), low = digit(dot[2 + 2 * i]);

        if (high < 0 || low < 0)
            return -EINVAL;
        pin[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static void on_open(struct channel *c, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_ENROLL);
    CLEANUP(buf_done) struct buf frame = BUF_INIT;
    struct enrollment *e = user;

    m->enroll.version = AGENT_PROTOCOL_VERSION;
    (void)snprintf(m->enroll.token, sizeof(m->enroll.token), "%s", e->token);
    m->enroll.csr = xstrdup(e->request);
    if (agent_encode(m, &frame) == 0)
        (void)channel_send(c, frame.data, frame.size);
}

static void finish(struct enrollment *e, int result, const char *why)
{
    e->result = result;
    buf_reset(&e->why);
    buf_puts(&e->why, why);
    loop_stop(e->loop);
}

static void on_message(struct channel *c, const void *data, size_t size, void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    struct enrollment *e = user;
    const char *what = "";
    int r = agent_decode(AGENT_SIDE_CONTROLLER, data, size, &m, &what);

    (void)c;
    if (r < 0) {
        finish(e, r, what);
    } else if (m->kind == AGENT_REFUSED) {
        finish(e, -EACCES, m->refused.text);
    } else if (m->kind == AGENT_ENROLLED) {
        r = identity_store(e->dir, e->key, m->enrolled.chain, m->enrolled.ca);
        finish(e, r, r < 0 ? strerror(-r) : "");
    } else {
        finish(e, -EPROTO, "the controller answered something else");
    }
}

static void on_closed(struct channel *c, const char *why, void *user)
{
    struct enrollment *e = user;

    (void)c;
    if (e->result == -EINPROGRESS)
        finish(e, -ECONNREFUSED, why);
}

static int talk(struct enrollment *e, struct tls *tls, const char *address, uint16_t port)
{
    const struct channel_options options = {.peek = frame_peek,
                                            .max_in = FRAME_FROM_AGENT_MAX,
                                            .max_out = (size_t)FRAME_STRANGER_MAX * 2,
                                            .handshake_ms = TIMEOUT_MS,
                                            .idle_ms = TIMEOUT_MS};
    const struct channel_handlers handlers = {
        .open = on_open, .message = on_message, .closed = on_closed, .user = e};
    CLEANUP(channel_freep) struct channel *c = NULL;
    int r = channel_connect(e->loop, tls, address, port, &options, &handlers, &c);

    if (r < 0) {
        buf_printf(&e->why, "cannot connect: %s", strerror(-r));
        return r;
    }
    loop_run(e->loop);
    return e->result;
}

static void enrollment_done(struct enrollment *e)
{
    free(e->key);
    free(e->request);
    buf_done(&e->why);
    loop_free(e->loop);
}

int net_enroll(const char *address, uint16_t port, const char *token, const char *dir)
{
    CLEANUP(enrollment_done)
    struct enrollment e = {.loop = loop_new(),
                           .token = token,
                           .dir = dir,
                           .key = identity_new_key(),
                           .result = -EINPROGRESS};
    CLEANUP(tls_freep) struct tls *tls = NULL;
    uint8_t pin[TLS_PIN_SIZE];
    const char *what = "";
    int r = pin_of(token, pin);

    if (r < 0) {
        fprintf(stderr, "suimitsu-agent: this is no enrolment token; it looks like "
                        "smt1.ID.SECRET.FINGERPRINT and comes from: suimitsu token create\n");
        return r;
    }
    e.request = e.key ? identity_request(e.key) : NULL;
    r = e.request ? tls_new(&(struct tls_options){.role = TLS_CLIENT,
                                                  .pin = pin,
                                                  .peer_name = TLS_CONTROLLER_NAME},
                            &tls, &what)
                  : -EINVAL;
    if (r == 0)
        r = talk(&e, tls, address, port);
    if (r < 0)
        fprintf(stderr, "suimitsu-agent: the controller at %s port %u did not enroll us: %s\n",
                address, port, e.why.size ? buf_str(&e.why) : what);
    return r;
}
