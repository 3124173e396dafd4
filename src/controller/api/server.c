/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"

enum { WAKE_MS = 100, RETRY_MS = 1000 };

struct waiting {
    struct server *server;
    struct evhttp_request *request; /* NULL: its connection is gone. */
    uint64_t until_ms;
    bool by_unix;
    struct waiting *next;
};

struct server {
    struct loop *loop;
    struct server_options options;
    struct evhttp *https, *local;
    struct evconnlistener *listener;
    size_t n_connections;
    struct waiting *waiting;
    size_t n_waiting;
    struct timer *retry;
};

static int session_index = -1; /* OpenSSL's slot for the server that a session belongs to. */

static void session_gone(void *parent, void *server, CRYPTO_EX_DATA *data, int index, long l,
                         void *p)
{
    struct server *s = server;

    (void)parent;
    (void)data;
    (void)index;
    (void)l;
    (void)p;
    if (!s)
        return;
    s->n_connections--;
    if (s->listener)
        (void)evconnlistener_enable(s->listener);
}

static struct bufferevent *new_connection(struct event_base *base, void *server)
{
    struct server *s = server;
    SSL *session = tls_session(s->options.tls);

    if (SSL_set_ex_data(session, session_index, s) != 1)
        abort(); /* Out of memory. */
    if (++s->n_connections >= SERVER_MAX_CONNECTIONS && s->listener)
        (void)evconnlistener_disable(s->listener); /* The others wait in the kernel's queue. */
    return bufferevent_openssl_socket_new(base, -1, session, BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static const char *header(struct evhttp_request *r, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(r), name);
}

static enum role who_is_it(struct server *s, struct evhttp_request *r, bool by_unix, char *actor,
                           size_t size)
{
    const char *authorization = header(r, "Authorization");
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);
    int fd;

    if (!by_unix) {
        if (!authorization || strncmp(authorization, "Bearer ", 7) != 0)
            return ROLE_NONE;
        return s->options.authenticate(s->options.app, authorization + 7, actor, size);
    }
    fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(r)));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
        return ROLE_NONE;
    (void)snprintf(actor, size, "root (unix socket)");
    return ROLE_ADMIN;
}

static int method_of(struct evhttp_request *r, enum http_method *ret_m)
{
    enum evhttp_cmd_type type = evhttp_request_get_command(r);

    if (type == EVHTTP_REQ_GET)
        *ret_m = HTTP_METHOD_GET;
    else if (type == EVHTTP_REQ_PUT)
        *ret_m = HTTP_METHOD_PUT;
    else if (type == EVHTTP_REQ_POST)
        *ret_m = HTTP_METHOD_POST;
    else if (type == EVHTTP_REQ_DELETE)
        *ret_m = HTTP_METHOD_DELETE;
    else
        return -EINVAL;
    return 0;
}

static void reply(struct evhttp_request *r, const struct http_response *a)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r);
    CLEANUP(free_voidp) char *text = json_dumps(a->json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    struct evbuffer *out = evbuffer_new();

    if (!out || !text)
        abort(); /* Out of memory. */
    (void)evbuffer_add_printf(out, "%s\n", text);
    (void)evhttp_add_header(headers, "Content-Type",
                            a->status < 400 ? "application/json" : "application/problem+json");
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    (void)evhttp_add_header(headers, "X-Frame-Options", "DENY");
    (void)evhttp_add_header(headers, "Content-Security-Policy", "default-src 'none'");
    if (a->status == 401)
        (void)evhttp_add_header(headers, "WWW-Authenticate", "Bearer");
    if (a->etag[0])
        (void)evhttp_add_header(headers, "ETag", a->etag);
    evhttp_send_reply(r, a->status, http_status_text(a->status), out);
    evbuffer_free(out);
}

/* True when it has been answered. */
static bool attempt(struct server *s, struct evhttp_request *r, bool by_unix, bool last_chance)
{
    CLEANUP(http_request_done) struct http_request q = {.last_chance = last_chance};
    CLEANUP(http_response_done) struct http_response a = {.status = 500};
    CLEANUP(buf_done) struct buf body = BUF_INIT;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r);
    struct evbuffer *in = evhttp_request_get_input_buffer(r);
    size_t size = evbuffer_get_length(in);
    char actor[160] = "";

    buf_add(&body, size ? (const void *)evbuffer_pullup(in, -1) : "", size);
    q.path = uri && evhttp_uri_get_path(uri) ? evhttp_uri_get_path(uri) : "";
    q.query = uri ? evhttp_uri_get_query(uri) : NULL;
    q.if_match = header(r, "If-Match");
    q.body = buf_str(&body);
    q.body_size = body.size;
    q.actor = actor;
    if (method_of(r, &q.method) < 0) {
        http_problem(&a, 405, "this method is not known here");
    } else {
        q.role = who_is_it(s, r, by_unix, actor, sizeof(actor));
        http_dispatch(s->options.routes, s->options.n_routes, s->options.app, &q, &a);
    }
    if (a.status == 0 && !last_chance)
        return false;
    reply(r, &a);
    return true;
}

static void connection_gone(struct evhttp_connection *connection, void *waiting)
{
    struct waiting *w = waiting;

    (void)connection;
    w->request = NULL;
}

static void wait_for(struct server *s, struct evhttp_request *r, bool by_unix)
{
    struct waiting *w = xcalloc(1, sizeof(*w));

    w->server = s;
    w->request = r;
    w->by_unix = by_unix;
    w->until_ms = loop_now_ms() + (uint64_t)HTTP_MAX_WAIT_S * 1000;
    w->next = s->waiting;
    s->waiting = w;
    s->n_waiting++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(r), connection_gone, w);
    if (!timer_is_running(s->retry))
        timer_start(s->retry, RETRY_MS);
}

static void handle(struct server *s, struct evhttp_request *r, bool by_unix)
{
    bool room = s->n_waiting < SERVER_MAX_WAITING;

    if (!attempt(s, r, by_unix, !room))
        wait_for(s, r, by_unix);
}

static void handle_https(struct evhttp_request *r, void *server)
{
    handle(server, r, false);
}

static void handle_local(struct evhttp_request *r, void *server)
{
    handle(server, r, true);
}

static void retry_all(void *server)
{
    struct server *s = server;
    struct waiting **at = &s->waiting;

    while (*at) {
        struct waiting *w = *at;
        struct evhttp_request *r = w->request;

        if (r)
            evhttp_connection_set_closecb(evhttp_request_get_connection(r), NULL, NULL);
        if (!r || attempt(s, r, w->by_unix, loop_now_ms() >= w->until_ms)) {
            *at = w->next;
            s->n_waiting--;
            free(w);
        } else {
            evhttp_connection_set_closecb(evhttp_request_get_connection(r), connection_gone, w);
            at = &w->next;
        }
    }
    if (s->waiting)
        timer_start(s->retry, RETRY_MS);
}

void server_wake(struct server *s)
{
    if (s->waiting)
        timer_start(s->retry, WAKE_MS);
}

static struct evhttp *new_http(struct server *s,
                               void (*handler)(struct evhttp_request *r, void *server))
{
    struct evhttp *http = evhttp_new(loop_base(s->loop));

    if (!http)
        abort(); /* Out of memory. */
    evhttp_set_max_headers_size(http, HTTP_MAX_HEADERS);
    evhttp_set_max_body_size(http, HTTP_MAX_BODY);
    evhttp_set_timeout(http, SERVER_TIMEOUT_S);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST |
                                         EVHTTP_REQ_DELETE);
    evhttp_set_gencb(http, handler, s);
    return http;
}

struct server *server_new(struct loop *l, const struct server_options *options)
{
    struct server *s = xcalloc(1, sizeof(*s));

    if (session_index < 0)
        session_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, session_gone);
    s->loop = l;
    s->options = *options;
    s->retry = timer_new(l, retry_all, s);
    s->https = new_http(s, handle_https);
    evhttp_set_bevcb(s->https, new_connection, s);
    s->local = new_http(s, handle_local);
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    s->listener = NULL;
    while (s->waiting) {
        struct waiting *w = s->waiting;

        s->waiting = w->next;
        if (w->request)
            evhttp_connection_set_closecb(evhttp_request_get_connection(w->request), NULL, NULL);
        free(w);
    }
    evhttp_free(s->https);
    evhttp_free(s->local);
    timer_free(s->retry);
    free(s);
}

int server_listen_https(struct server *s, int fd)
{
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(s->https, fd);

    if (!bound)
        return -EINVAL;
    s->listener = evhttp_bound_socket_get_listener(bound);
    return 0;
}

uint16_t server_port(const struct server *s)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    struct sockaddr_in6 in6; /* Its port is at the same place as that of sockaddr_in. */

    if (!s->listener ||
        getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &len) < 0)
        return 0;
    memcpy(&in6, &at, sizeof(in6));
    return ntohs(in6.sin6_port);
}

int server_listen_unix(struct server *s, int fd)
{
    return evhttp_accept_socket(s->local, fd) < 0 ? -EINVAL : 0;
}
