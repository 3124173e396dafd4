/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - the API on its two doors: HTTPS with bearer tokens, and a unix socket for root
 *
 * Over the unix socket the kernel says who asks (SO_PEERCRED): user 0 is admin, anybody else
 * nobody. Over HTTPS a token gives role and name.  Limits: headers, body, time, connections, and
 * requests that wait for news.  What is answered is never cached and never framed. */
#pragma once

#include <stdint.h>

#include "controller/api/http.h"
#include "sys/loop.h"
#include "sys/tls.h"

enum { SERVER_MAX_CONNECTIONS = 256, SERVER_MAX_WAITING = 64, SERVER_TIMEOUT_S = 60 };

struct server;

struct server_options {
    const struct http_route *routes;
    size_t n_routes;
    void *app;
    struct tls *tls;
    /* The role that a bearer token gives, and whose it is; ROLE_NONE: none. */
    enum role (*authenticate)(void *app, const char *token, char *ret_actor, size_t size);
};

struct server *server_new(struct loop *l, const struct server_options *options);
void server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free)

/* Takes listening sockets. */
int server_listen_https(struct server *s, int fd);
int server_listen_unix(struct server *s, int fd);

uint16_t server_port(const struct server *s); /* Of HTTPS; 0: not listening. */

/* Something has changed: waiting requests are asked again soon. */
void server_wake(struct server *s);
