/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - the API on its two doors: HTTPS for tokens and sessions, and a unix socket for root
 *
 * Over the unix socket the kernel says who asks (SO_PEERCRED): user 0 is admin, anybody else
 * nobody. Over HTTPS a token or a session's cookie gives role, scope and name.
 *
 * Limits: headers, body, connections, streams, requests that wait for news, and time: a request
 * must be whole SERVER_REQUEST_S after the connection was made, or SERVER_TIMEOUT_S after the last
 * answer, however busily its bytes drip in.  When there is no more room, the connection that has
 * kept us waiting longest is closed for the newcomer, so that a crowd that connects and says
 * nothing keeps nobody out.  API answers are never cached, and nothing is ever framed. */
#pragma once

#include <stdint.h>

#include "controller/api/http.h"
#include "sys/loop.h"
#include "sys/tls.h"

enum {
    SERVER_MAX_CONNECTIONS = 1024,
    SERVER_MAX_WAITING = 64,
    SERVER_TIMEOUT_S = 60,
    SERVER_REQUEST_S = 30,
};

/* __Host-: browsers take it over HTTPS only, for this host alone and all of its paths. */
#define SERVER_COOKIE "__Host-suimitsu"

struct server;

struct server_options {
    const struct http_route *routes;
    size_t n_routes;
    void *app;
    struct tls *tls;
    http_within *within;
    struct idempotency *idempotency;
    /* Says whose token or cookie it is (the other is NULL); leaves ROLE_NONE for nobody's. */
    void (*authenticate)(void *app, const char *token, const char *cookie, struct who *ret_who);
};

struct server *server_new(struct loop *l, const struct server_options *options);
void server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free)

/* Takes listening sockets. */
int server_listen_https(struct server *s, int fd);
int server_listen_unix(struct server *s, int fd);

uint16_t server_port(const struct server *s); /* Of HTTPS; 0: not listening. */

/* Something has changed: waiting requests and streams are asked again soon; or requests at once. */
void server_wake(struct server *s);
void server_wake_now(struct server *s);

size_t server_connections(const struct server *s); /* Over HTTPS. */
size_t server_streams(const struct server *s);

/* Answers with a status of this class, 1 to 5, since the start. */
uint64_t server_answers(const struct server *s, unsigned status_class);
