/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "sys/file.h"

enum {
    HEADER_SIZE = 4,
    WHY_SIZE = 200,
    ADDRESS_SIZE = 64,
    BACKLOG = 4096 /* The kernel's own limit, net.core.somaxconn, is as large. */
};

struct channel {
    struct channel_options options;
    struct channel_handlers handlers;
    struct bufferevent *bev;
    struct timer *deadline; /* Handshake, then flushing. */
    struct timer *ended;    /* Calls 'closed' from the loop, never from inside a call. */
    struct tls_peer peer;
    char address[ADDRESS_SIZE];
    char why[WHY_SIZE];
    struct piece *waiting, **waiting_end; /* What TLS has not been given yet. */
    size_t waiting_size;
    bool open, flushing, over;
    unsigned busy; /* Callbacks under way. */
    bool freed;
};

struct piece {
    struct piece *next;
    struct rope_piece of;
};

static void say_why(struct channel *c, const char *why)
{
    if (!c->why[0])
        (void)snprintf(c->why, sizeof(c->why), "%s", why);
}

/* ---- what waits to be sent ---- */

static void drop_first(struct channel *c)
{
    struct piece *p = c->waiting;

    c->waiting = p->next;
    if (!c->waiting)
        c->waiting_end = &c->waiting;
    c->waiting_size -= p->of.size;
    rope_block_drop(p->of.block);
    free(p);
}

static void drop_waiting(struct channel *c)
{
    while (c->waiting)
        drop_first(c);
}

static void wait_for_turn(struct channel *c, const struct rope_piece *of)
{
    struct piece *p = xcalloc(1, sizeof(*p));

    p->of = *of;
    (void)rope_block_hold(of->block);
    *c->waiting_end = p;
    c->waiting_end = &p->next;
    c->waiting_size += of->size;
}

static void has_been_sent(const void *data, size_t size, void *block)
{
    (void)data;
    (void)size;
    rope_block_drop(block);
}

/* Gives TLS as much as it may have at once. */
static void feed(struct channel *c)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    while (c->waiting && evbuffer_get_length(out) < CHANNEL_AT_ONCE) {
        struct rope_piece *p = &c->waiting->of;
        size_t room = CHANNEL_AT_ONCE - evbuffer_get_length(out);
        size_t n = p->size < room ? p->size : room;
        const char *data = (const char *)rope_block_data(p->block) + p->at;

        if (evbuffer_add_reference(out, data, n, has_been_sent, rope_block_hold(p->block)) < 0)
            abort(); /* Out of memory. */
        p->at += n;
        p->size -= n;
        c->waiting_size -= n;
        if (!p->size)
            drop_first(c);
    }
}

static size_t unsent(const struct channel *c)
{
    return c->waiting_size + evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* ---- the end ---- */

/* Ends the connection now; the owner hears of it from the loop. */
static void end(struct channel *c, const char *why)
{
    if (c->over)
        return;
    say_why(c, why);
    c->over = true;
    timer_stop(c->deadline);
    bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    drop_waiting(c);
    timer_start(c->ended, 0);
}

static void tell_ended(void *channel)
{
    struct channel *c = channel;

    if (c->open) {
        (void)SSL_shutdown(bufferevent_openssl_get_ssl(c->bev)); /* A courtesy to the peer. */
        ERR_clear_error();
    }
    bufferevent_free(c->bev); /* The peer learns now, not when our owner gets round to it. */
    c->bev = NULL;
    c->handlers.closed(c, c->why, c->handlers.user);
}

static void too_late(void *channel)
{
    struct channel *c = channel;

    end(c, c->open ? "the peer does not take what is left" : "no handshake in time");
}

static void destroy(struct channel *c)
{
    timer_free(c->deadline);
    timer_free(c->ended);
    if (c->bev)
        bufferevent_free(c->bev);
    drop_waiting(c);
    free(c);
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    c->over = true;
    timer_stop(c->ended);
    timer_stop(c->deadline);
    if (c->busy) {
        c->freed = true;
        bufferevent_disable(c->bev, EV_READ | EV_WRITE);
        return;
    }
    destroy(c);
}

static void leave(struct channel *c)
{
    c->busy--;
    if (!c->busy && c->freed)
        destroy(c);
}

/* 1: a message was delivered.  0: not whole yet, or over. */
static int deliver_one(struct channel *c, struct evbuffer *in)
{
    uint8_t header[HEADER_SIZE];
    size_t size = 0;
    const void *message;
    int r;

    if (c->over || c->flushing)
        return 0;
    if (evbuffer_copyout(in, header, sizeof(header)) < (ev_ssize_t)sizeof(header))
        return 0;
    r = c->options.peek(header, sizeof(header), c->options.max_in, &size);
    if (r < 0) {
        end(c, r == -EMSGSIZE ? "a message over the limit" : "an empty message");
        return 0;
    }
    if (evbuffer_get_length(in) < HEADER_SIZE + size)
        return 0;
    (void)evbuffer_drain(in, HEADER_SIZE);
    message = evbuffer_pullup(in, (ev_ssize_t)size);
    if (!message)
        abort(); /* Out of memory. */
    c->handlers.message(c, message, size, c->handlers.user);
    if (!c->freed)
        (void)evbuffer_drain(in, size);
    return !c->freed;
}

static void can_read(struct bufferevent *bev, void *channel)
{
    struct channel *c = channel;
    struct evbuffer *in = bufferevent_get_input(bev);

    c->busy++;
    while (deliver_one(c, in) > 0)
        ;
    if (c->flushing && !c->freed)
        (void)evbuffer_drain(in, evbuffer_get_length(in));
    leave(c);
}

static void can_write(struct bufferevent *bev, void *channel)
{
    struct channel *c = channel;

    (void)bev;
    if (c->over)
        return;
    feed(c);
    if (c->flushing && unsent(c) == 0)
        end(c, "closed by us");
}

static void handshake_done(struct channel *c)
{
    int fd = bufferevent_getfd(c->bev), one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* Slower without. */
    timer_stop(c->deadline);
    tls_peer_of(bufferevent_openssl_get_ssl(c->bev), &c->peer);
    c->open = true;
    channel_set_idle(c, c->options.idle_ms);
    if (c->handlers.open)
        c->handlers.open(c, c->handlers.user);
}

static void failed(struct channel *c, short what)
{
    unsigned long code = bufferevent_get_openssl_error(c->bev);
    long verify = SSL_get_verify_result(bufferevent_openssl_get_ssl(c->bev));
    char text[WHY_SIZE];

    if (code && !c->open && verify != X509_V_OK)
        (void)snprintf(text, sizeof(text), "the peer's certificate: %s",
                       X509_verify_cert_error_string(verify));
    else if (code && ERR_reason_error_string(code))
        (void)snprintf(text, sizeof(text), "TLS: %s", ERR_reason_error_string(code));
    else if (code) /* One of the system's, which OpenSSL passes on by number. */
        (void)snprintf(text, sizeof(text), "%s", strerror(ERR_GET_REASON(code)));
    else if (what & BEV_EVENT_TIMEOUT)
        (void)snprintf(text, sizeof(text), "silent for too long");
    else if (what & BEV_EVENT_EOF)
        (void)snprintf(text, sizeof(text), "closed by the peer");
    else
        (void)snprintf(text, sizeof(text), "%s",
                       errno ? evutil_socket_error_to_string(errno) : "broken");
    ERR_clear_error();
    end(c, text);
}

static void something_happened(struct bufferevent *bev, short what, void *channel)
{
    struct channel *c = channel;

    (void)bev;
    c->busy++;
    if (what & BEV_EVENT_CONNECTED)
        handshake_done(c);
    else
        failed(c, what);
    leave(c);
}

static void name_peer(struct channel *c, const struct sockaddr *a)
{
    char text[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;

    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, a, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        port = ntohs(in.sin_port);
        (void)snprintf(c->address, sizeof(c->address), "%s:%u", text, port);
    } else if (a->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, a, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        port = ntohs(in6.sin6_port);
        (void)snprintf(c->address, sizeof(c->address), "[%s]:%u", text, port);
    }
}

static struct channel *new_channel(struct loop *l, struct tls *tls, int fd,
                                   const struct channel_options *options,
                                   const struct channel_handlers *handlers)
{
    struct channel *c = xcalloc(1, sizeof(*c));

    c->options = *options;
    c->handlers = *handlers;
    c->waiting_end = &c->waiting;
    c->deadline = timer_new(l, too_late, c);
    c->ended = timer_new(l, tell_ended, c);
    c->bev = bufferevent_openssl_socket_new(loop_base(l), fd, tls_session(tls),
                                            tls_is_server(tls) ? BUFFEREVENT_SSL_ACCEPTING
                                                               : BUFFEREVENT_SSL_CONNECTING,
                                            BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!c->bev)
        abort(); /* Out of memory. */
    bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    bufferevent_setcb(c->bev, can_read, can_write, something_happened, c);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    timer_start(c->deadline, options->handshake_ms);
    return c;
}

struct channel *channel_accept(struct loop *l, struct tls *tls, int fd,
                               const struct channel_options *options,
                               const struct channel_handlers *handlers)
{
    struct channel *c;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);

    (void)evutil_make_socket_nonblocking(fd);
    c = new_channel(l, tls, fd, options, handlers);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        name_peer(c, (struct sockaddr *)&peer);
    return c;
}

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *ret_a,
                         socklen_t *ret_len)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(ret_a, 0, sizeof(*ret_a));
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        memcpy(ret_a, &in, sizeof(in));
        *ret_len = sizeof(in);
        return 0;
    }
    if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1) {
        memcpy(ret_a, &in6, sizeof(in6));
        *ret_len = sizeof(in6);
        return 0;
    }
    return -EINVAL;
}

int channel_connect(struct loop *l, struct tls *tls, const char *address, uint16_t port,
                    const struct channel_options *options, const struct channel_handlers *handlers,
                    struct channel **ret_c)
{
    struct sockaddr_storage to;
    struct channel *c;
    socklen_t len;
    int r = parse_address(address, port, &to, &len);

    if (r < 0)
        return r;
    c = new_channel(l, tls, -1, options, handlers);
    name_peer(c, (struct sockaddr *)&to);
    if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&to, (int)len) < 0)
        end(c, evutil_socket_error_to_string(errno));
    *ret_c = c;
    return 0;
}

static int make_room(struct channel *c, size_t size)
{
    if (c->over || c->flushing)
        return -EPIPE;
    if (size > c->options.max_out || unsent(c) > c->options.max_out - size) {
        end(c, "the peer does not take what is sent");
        return -ENOBUFS;
    }
    return 0;
}

int channel_send_rope(struct channel *c, const struct rope *frames)
{
    int r = make_room(c, frames->size);

    if (r < 0)
        return r;
    for (size_t i = 0; i < frames->n; i++)
        wait_for_turn(c, &frames->pieces[i]);
    feed(c);
    return 0;
}

int channel_send(struct channel *c, const void *frames, size_t size)
{
    CLEANUP(rope_done) struct rope rope = {.n = 0};
    struct buf copy = BUF_INIT;
    struct rope_block *block;
    int r = make_room(c, size);

    if (r < 0)
        return r;
    if (!c->waiting && unsent(c) + size <= CHANNEL_AT_ONCE) {
        if (bufferevent_write(c->bev, frames, size) < 0)
            abort(); /* Out of memory. */
        return 0;
    }
    buf_add(&copy, frames, size);
    block = rope_block_new(&copy);
    rope_add(&rope, block, 0, size);
    rope_block_drop(block);
    return channel_send_rope(c, &rope);
}

void channel_close(struct channel *c, const char *why)
{
    enum { FLUSH_MS = 5000 };

    if (c->over || c->flushing)
        return;
    say_why(c, why);
    if (!c->open || unsent(c) == 0) {
        end(c, why);
        return;
    }
    c->flushing = true;
    timer_start(c->deadline, FLUSH_MS);
}

void channel_set_max_in(struct channel *c, size_t max_in)
{
    c->options.max_in = max_in;
}

void channel_set_idle(struct channel *c, uint64_t idle_ms)
{
    struct timeval tv = {.tv_sec = (time_t)(idle_ms / 1000),
                         .tv_usec = (suseconds_t)(idle_ms % 1000) * 1000};

    c->options.idle_ms = idle_ms;
    if (c->over)
        return;
    (void)bufferevent_set_timeouts(c->bev, idle_ms ? &tv : NULL, NULL);
}

void channel_give_ticket(struct channel *c)
{
    if (c->open && !c->over && !c->flushing)
        tls_give_ticket(bufferevent_openssl_get_ssl(c->bev));
}

const struct tls_peer *channel_peer(const struct channel *c)
{
    return &c->peer;
}

const char *channel_address(const struct channel *c)
{
    return c->address;
}

struct listener {
    struct evconnlistener *inner;
    void (*accepted)(int fd, void *user);
    void *user;
    uint16_t port;
};

static void new_connection(struct evconnlistener *inner, evutil_socket_t fd, struct sockaddr *from,
                           int len, void *listener)
{
    struct listener *l = listener;

    (void)inner;
    (void)from;
    (void)len;
    l->accepted((int)fd, l->user);
}

int listen_on(const char *address, uint16_t port, int *ret_fd)
{
    CLEANUP(fd_closep) int fd = -1;
    struct sockaddr_storage at;
    socklen_t len;
    int one = 1, r = parse_address(address, port, &at, &len);

    if (r < 0)
        return r;
    fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return 0;
    if (at.ss_family == AF_INET) {
        memcpy(&in, &at, sizeof(in));
        return ntohs(in.sin_port);
    }
    memcpy(&in6, &at, sizeof(in6));
    return ntohs(in6.sin6_port);
}

int listener_new(struct loop *loop, const char *address, uint16_t port,
                 void (*accepted)(int fd, void *user), void *user, struct listener **ret_l)
{
    struct listener *l;
    int fd = -1, r = listen_on(address, port, &fd);

    if (r < 0)
        return r;
    l = xcalloc(1, sizeof(*l));
    l->accepted = accepted;
    l->user = user;
    l->port = port_of(fd);
    l->inner = evconnlistener_new(loop_base(loop), new_connection, l,
                                  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!l->inner)
        abort(); /* Out of memory. */
    *ret_l = l;
    return 0;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    evconnlistener_free(l->inner);
    free(l);
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

void listener_pause(struct listener *l, bool paused)
{
    if (paused)
        (void)evconnlistener_disable(l->inner); /* Fails for no listener of ours. */
    else
        (void)evconnlistener_enable(l->inner);
}
