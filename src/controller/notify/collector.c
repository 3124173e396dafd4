/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/notify/collector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

struct collector {
    struct loop *loop;
    enum collector_transport transport;
    struct sockaddr_storage to;
    socklen_t to_size;
    char address[64];
    struct tls *tls;
    int udp_fd;
    struct bufferevent *connection; /* NULL: none. */
    bool is_connected;
    struct evbuffer *waiting;
    struct timer *retry;
    uint64_t retry_s;
    struct collector_counts counts;
};

static void try_again(void *collector);

static int set_address(struct collector *c, const char *address, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        memcpy(&c->to, &in, sizeof(in));
        c->to_size = sizeof(in);
    } else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1) {
        memcpy(&c->to, &in6, sizeof(in6));
        c->to_size = sizeof(in6);
    } else {
        return -EINVAL;
    }
    return 0;
}

static void flush(struct collector *c)
{
    if (c->is_connected)
        (void)evbuffer_add_buffer(bufferevent_get_output(c->connection), c->waiting);
}

static void hang_up(struct collector *c)
{
    if (c->connection)
        bufferevent_free(c->connection);
    c->connection = NULL;
    c->is_connected = false;
}

static void happened(struct bufferevent *connection, short what, void *collector)
{
    struct collector *c = collector;

    (void)connection;
    if (what & BEV_EVENT_CONNECTED) {
        c->is_connected = true;
        c->counts.connects++;
        c->retry_s = 1;
        flush(c);
        return;
    }
    if (c->retry_s == 1)
        log_warn("syslog collector %s: no connection; up to %d bytes of messages wait", c->address,
                 COLLECTOR_MAX_BYTES);
    hang_up(c);
    timer_start(c->retry, c->retry_s * 1000);
    c->retry_s = c->retry_s * 2 < COLLECTOR_RETRY_MAX_S ? c->retry_s * 2 : COLLECTOR_RETRY_MAX_S;
}

/* Collectors say nothing; what comes all the same is not kept. */
static void said(struct bufferevent *connection, void *unused)
{
    struct evbuffer *in = bufferevent_get_input(connection);

    (void)unused;
    (void)evbuffer_drain(in, evbuffer_get_length(in));
}

static void try_again(void *collector)
{
    struct collector *c = collector;
    struct event_base *base = loop_base(c->loop);

    c->connection =
        c->tls ? bufferevent_openssl_socket_new(base, -1, tls_session(c->tls),
                                                BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE)
               : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!c->connection)
        abort(); /* Out of memory. */
    bufferevent_setcb(c->connection, said, NULL, happened, c);
    (void)bufferevent_enable(c->connection, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(c->connection, (struct sockaddr *)&c->to, (int)c->to_size) < 0 &&
        c->connection)
        happened(c->connection, BEV_EVENT_ERROR, c);
}

int collector_new(struct loop *l, const struct collector_options *o, struct collector **ret_c,
                  const char **ret_what)
{
    CLEANUP(collector_freep) struct collector *c = xcalloc(1, sizeof(*c));
    struct tls_options tls = {.role = TLS_CLIENT, .ca_pem = o->ca_pem, .peer_name = o->peer_name};
    int r;

    c->loop = l;
    c->transport = o->transport;
    c->udp_fd = -1;
    c->retry_s = 1;
    c->waiting = evbuffer_new();
    c->retry = timer_new(l, try_again, c);
    (void)strncpy(c->address, o->address, sizeof(c->address) - 1);
    *ret_what = "expected a numeric address";
    r = set_address(c, o->address, o->port);
    if (r < 0)
        return r;
    *ret_what = "no socket can be made";
    if (o->transport == COLLECTOR_UDP) {
        c->udp_fd = socket(c->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->udp_fd < 0)
            return -errno;
    }
    if (o->transport == COLLECTOR_TLS) {
        *ret_what = "TLS needs syslog-ca and syslog-name";
        if (!o->ca_pem || !o->peer_name)
            return -EINVAL;
        r = tls_new(&tls, &c->tls, ret_what);
        if (r < 0)
            return r;
    }
    if (o->transport != COLLECTOR_UDP)
        try_again(c);
    *ret_c = TAKE_PTR(c);
    return 0;
}

void collector_free(struct collector *c)
{
    if (!c)
        return;
    hang_up(c);
    timer_free(c->retry);
    evbuffer_free(c->waiting);
    tls_free(c->tls);
    if (c->udp_fd >= 0)
        (void)close(c->udp_fd);
    free(c);
}

static size_t n_waiting(const struct collector *c)
{
    size_t n = evbuffer_get_length(c->waiting);

    return c->connection ? n + evbuffer_get_length(bufferevent_get_output(c->connection)) : n;
}

void collector_send(struct collector *c, const char *message, size_t size)
{
    if (c->transport == COLLECTOR_UDP) {
        if (sendto(c->udp_fd, message, size, 0, (struct sockaddr *)&c->to, c->to_size) < 0)
            c->counts.dropped++;
        else
            c->counts.sent++;
        return;
    }
    if (n_waiting(c) + size > COLLECTOR_MAX_BYTES) {
        c->counts.dropped++;
        return;
    }
    (void)evbuffer_add_printf(c->waiting, "%zu ", size);
    (void)evbuffer_add(c->waiting, message, size);
    c->counts.sent++;
    flush(c);
}

struct collector_counts collector_counts(const struct collector *c)
{
    return c->counts;
}
