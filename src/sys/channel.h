/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h - messages over TLS: one connection between controller and agent, either end of it
 *
 *     connecting --handshake--> open --channel_close()--> flushing --> closed
 *         |                      |                                       ^
 *         '--- error, timeout, peer gone, limit ------------------------'
 *
 * A message is a header of four bytes, from which 'peek' (wire/frame.h: frame_peek) knows its
 * length, and a body.  Both directions are bounded: what the peer may send in one message, and what
 * may wait here for a peer that does not read; over the second, the connection is closed, since
 * whoever cannot follow starts again from a snapshot.
 *
 * Whoever takes megabytes holds nobody up: of what waits, CHANNEL_AT_ONCE bytes are encrypted and
 * written in a round of the loop, then others have theirs.
 *
 * Rules of use: on the loop's thread.  'closed' is called exactly once, at the end, and never from
 * inside channel_send() or channel_free(); the owner then calls channel_free().  channel_free() may
 * be called at any time, also inside the callbacks, and calls nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/rope.h"
#include "sys/loop.h"
#include "sys/tls.h"

struct channel;

enum { CHANNEL_AT_ONCE = 64 << 10 };

struct channel_options {
    /* As frame_peek() of wire/frame.h. */
    int (*peek)(const void *data, size_t size, size_t max, size_t *ret_size);
    size_t max_in;         /* Bytes of one message from the peer. */
    size_t max_out;        /* Bytes that may wait to be sent. */
    uint64_t handshake_ms; /* To connect and shake hands. */
    uint64_t idle_ms;      /* Without a byte from the peer; 0: for ever. */
};

struct channel_handlers {
    void (*open)(struct channel *c, void *user); /* Hands have been shaken. */
    void (*message)(struct channel *c, const void *data, size_t size, void *user);
    void (*closed)(struct channel *c, const char *why, void *user); /* 'why' is for people. */
    void *user;
};

/* The server's end of a connection that was accepted; takes 'fd'. */
struct channel *channel_accept(struct loop *l, struct tls *tls, int fd,
                               const struct channel_options *options,
                               const struct channel_handlers *handlers);

/* The client's end: 'address' is a numeric IPv4 or IPv6 address.  -EINVAL: it is not. */
int channel_connect(struct loop *l, struct tls *tls, const char *address, uint16_t port,
                    const struct channel_options *options, const struct channel_handlers *handlers,
                    struct channel **ret_c);

void channel_free(struct channel *c);
DEFINE_CLEANUP(struct channel, channel_free)

/* Queues whole frames, header included.  -EPIPE: closing or closed.  -ENOBUFS: too much is waiting;
 * the channel closes by itself. */
int channel_send(struct channel *c, const void *frames, size_t size);

/* The same; what lies in the rope's blocks is not copied, and held until it has been sent. */
int channel_send_rope(struct channel *c, const struct rope *frames);

/* Sends what is queued, then closes; 'closed' follows.  Messages that still arrive are dropped. */
void channel_close(struct channel *c, const char *why);

void channel_set_max_in(struct channel *c, size_t max_in);
void channel_set_idle(struct channel *c, uint64_t idle_ms);

/* Of a server, to a client that was judged: see tls_give_ticket(). */
void channel_give_ticket(struct channel *c);

const struct tls_peer *channel_peer(const struct channel *c); /* Since 'open'. */
const char *channel_address(const struct channel *c);         /* "192.0.2.1:40312" of the peer. */

/* Listens and calls 'accepted' with each new connection, which owns 'fd'.  A port of 0 is any.
 * -EADDRINUSE, -EACCES, ... as bind(2); -EINVAL: no numeric address. */
struct listener;
int listener_new(struct loop *l, const char *address, uint16_t port,
                 void (*accepted)(int fd, void *user), void *user, struct listener **ret_l);
void listener_free(struct listener *l);
DEFINE_CLEANUP(struct listener, listener_free)
uint16_t listener_port(const struct listener *l);

/* While it is paused, newcomers wait in the kernel. */
void listener_pause(struct listener *l, bool paused);

/* A listening socket of its own, for others who accept (evhttp).  As above; returns the fd. */
int listen_on(const char *address, uint16_t port, int *ret_fd);
