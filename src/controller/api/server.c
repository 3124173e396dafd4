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

#include "base/buf.h"
#include "controller/api/streams.h"
#include "sys/clock.h"

enum { WAKE_MS = 100, RETRY_MS = 1000, SWEEP_MS = 1000, MAX_WAIT_MS = HTTP_MAX_WAIT_S * 1000 };

static const char cookie_name[] = SERVER_COOKIE "=";

struct connection { /* One of HTTPS, as long as its TLS session. */
    struct server *server;
    struct bufferevent *stream;
    uint64_t deadline_ms; /* Of the next whole request; 0: one is being answered. */
    struct connection *next, **at;
};

struct waiting {
    struct server *server;
    struct evhttp_request *request; /* NULL: its connection is gone. */
    uint64_t since_ms;
    bool by_unix;
    struct waiting *next;
    struct http_job job;
};

struct server {
    struct loop *loop;
    struct server_options options;
    struct evhttp *https, *local;
    struct evconnlistener *listener;
    struct connection *connections;
    size_t n_connections;
    struct waiting *waiting;
    size_t n_waiting;
    struct streams *streams;
    uint64_t answers[6]; /* By class of status. */
    struct timer *retry, *sweeper;
};

static int session_index = -1; /* OpenSSL's slot for the connection that a session belongs to. */

static void session_gone(void *parent, void *connection, CRYPTO_EX_DATA *data, int index, long l,
                         void *p)
{
    struct connection *c = connection;

    (void)parent;
    (void)data;
    (void)index;
    (void)l;
    (void)p;
    if (!c)
        return;
    c->server->n_connections--;
    if (c->server->listener)
        (void)evconnlistener_enable(c->server->listener);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    free(c);
}

/* evhttp owns the connection, and ends it when it sees its end. */
static void hang_up(struct connection *c)
{
    int fd = bufferevent_getfd(c->stream);

    c->deadline_ms = UINT64_MAX;
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* It may be gone already. */
}

/* Whoever keeps us waiting longest, for a request or for its rest, makes room for somebody new.
 * False: all are being answered. */
static bool make_room(struct server *s)
{
    struct connection *oldest = NULL;

    for (struct connection *c = s->connections; c; c = c->next)
        if (c->deadline_ms && c->deadline_ms != UINT64_MAX &&
            (!oldest || c->deadline_ms < oldest->deadline_ms))
            oldest = c;
    if (oldest)
        hang_up(oldest);
    return oldest != NULL;
}

static struct bufferevent *new_connection(struct event_base *base, void *server)
{
    struct server *s = server;
    SSL *session = tls_session(s->options.tls);
    struct connection *c = xcalloc(1, sizeof(*c));

    if (s->n_connections >= SERVER_MAX_CONNECTIONS && !make_room(s) && s->listener)
        (void)evconnlistener_disable(s->listener); /* The others wait in the kernel's queue. */
    c->server = s;
    c->deadline_ms = loop_now_ms() + (uint64_t)SERVER_REQUEST_S * 1000;
    c->next = s->connections;
    c->at = &s->connections;
    if (c->next)
        c->next->at = &c->next;
    s->connections = c;
    s->n_connections++;
    if (SSL_set_ex_data(session, session_index, c) != 1)
        abort(); /* Out of memory. */
    c->stream = bufferevent_openssl_socket_new(base, -1, session, BUFFEREVENT_SSL_ACCEPTING,
                                               BEV_OPT_CLOSE_ON_FREE);
    return c->stream;
}

/* One byte a minute is not a request: the whole of it has a deadline. */
static void sweep(void *server)
{
    struct server *s = server;
    uint64_t now_ms = loop_now_ms();

    for (struct connection *c = s->connections; c; c = c->next)
        if (c->deadline_ms && c->deadline_ms < now_ms)
            hang_up(c);
    timer_start(s->sweeper, SWEEP_MS);
}

static void set_deadline(struct evhttp_request *r, uint64_t deadline_ms)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r);
    SSL *session = connection
                       ? bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(connection))
                       : NULL;
    struct connection *c = session ? SSL_get_ex_data(session, session_index) : NULL;

    if (c && c->deadline_ms != UINT64_MAX)
        c->deadline_ms = deadline_ms;
}

static void answered(struct evhttp_request *r, void *unused)
{
    (void)unused;
    set_deadline(r, loop_now_ms() + (uint64_t)SERVER_TIMEOUT_S * 1000);
}

static const char *header(struct evhttp_request *r, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(r), name);
}

/* The value of our cookie among others; "": none. */
static void find_cookie(const char *cookies, char *value, size_t size)
{
    value[0] = 0;
    while (cookies && *cookies) {
        size_t len = strcspn(cookies, ";"), name_len = strlen(cookie_name);

        if (strncmp(cookies, cookie_name, name_len) == 0 && len - name_len < size) {
            memcpy(value, cookies + name_len, len - name_len);
            value[len - name_len] = 0;
            return;
        }
        cookies += len;
        cookies += strspn(cookies, "; ");
    }
}

static void who_is_it(struct server *s, struct evhttp_request *r, bool by_unix, struct who *w)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r);
    const char *authorization = header(r, "Authorization");
    char cookie[WHO_SESSION_SIZE], *address = NULL;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);
    uint16_t port;

    if (!by_unix) {
        evhttp_connection_get_peer(connection, &address, &port);
        (void)snprintf(w->address, sizeof(w->address), "%s", address ? address : "");
        find_cookie(header(r, "Cookie"), cookie, sizeof(cookie));
        if (authorization)
            s->options.authenticate(
                s->options.app, strncmp(authorization, "Bearer ", 7) == 0 ? authorization + 7 : "",
                NULL, w);
        else if (cookie[0])
            s->options.authenticate(s->options.app, NULL, cookie, w);
        return;
    }
    if (getsockopt(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), SOL_SOCKET,
                   SO_PEERCRED, &peer, &len) < 0 ||
        peer.uid != 0)
        return;
    (void)snprintf(w->actor, sizeof(w->actor), "root (unix socket)");
    w->role = ROLE_ADMIN;
    w->is_root = true;
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

static void add_headers(struct evhttp_request *r, const struct http_response *a)
{
    struct evkeyvalq *h = evhttp_request_get_output_headers(r);
    static const char *const always[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    bool is_cacheable = false;

    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        (void)evhttp_add_header(h, always[i][0], always[i][1]);
    for (size_t i = 0; i < a->n_extra; i++) {
        is_cacheable = is_cacheable || strcmp(a->extra[i].name, "Cache-Control") == 0;
        (void)evhttp_add_header(h, a->extra[i].name, a->extra[i].value);
    }
    if (!is_cacheable)
        (void)evhttp_add_header(h, "Cache-Control", "no-store");
    (void)evhttp_add_header(h, "Content-Security-Policy",
                            a->csp ? a->csp : "default-src 'none'; frame-ancestors 'none'");
    if (a->status == 401)
        (void)evhttp_add_header(h, "WWW-Authenticate", "Bearer");
    if (a->etag[0])
        (void)evhttp_add_header(h, "ETag", a->etag);
    if (a->json)
        (void)evhttp_add_header(h, "Content-Type",
                                a->status < 400 ? "application/json" : "application/problem+json");
    else if (a->type)
        (void)evhttp_add_header(h, "Content-Type", a->type);
}

static void add_body(struct evbuffer *out, const struct http_response *a)
{
    CLEANUP(free_voidp) char *text = NULL;

    if (!a->json) {
        (void)evbuffer_add(out, a->text.size ? a->text.data : a->bytes,
                           a->text.size ? a->text.size : a->bytes_size);
        return;
    }
    text = json_dumps(a->json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (!text)
        abort(); /* Out of memory. */
    (void)evbuffer_add_printf(out, "%s\n", text);
}

static void reply(struct server *s, struct evhttp_request *r, struct http_response *a)
{
    struct evbuffer *out;

    if (a->stream && !streams_have_room(s->streams, a->stream->owner)) {
        a->stream->free(a->stream);
        a->stream = NULL;
        http_problem(a, 503, "%d streams are open already, or %d of yours; close one", STREAMS_MAX,
                     STREAMS_EACH);
        http_header(a, "Retry-After", "30");
    }
    s->answers[a->status / 100 % 6]++;
    add_headers(r, a);
    if (a->stream) {
        streams_add(s->streams, r, TAKE_PTR(a->stream));
        return;
    }
    out = evbuffer_new();
    if (!out)
        abort(); /* Out of memory. */
    add_body(out, a);
    evhttp_send_reply(r, a->status, http_status_text(a->status), out);
    evbuffer_free(out);
}

static void job_done(struct http_job *job)
{
    if (job->free)
        job->free(job->data);
    *job = (struct http_job){.data = NULL};
}

static void read_headers(struct evhttp_request *r, struct http_request *q)
{
    q->content_encoding = header(r, "Content-Encoding");
    q->if_match = header(r, "If-Match");
    q->if_none_match = header(r, "If-None-Match");
    q->origin = header(r, "Origin");
    q->host = header(r, "Host");
    q->fetch_site = header(r, "Sec-Fetch-Site");
    q->accept_encoding = header(r, "Accept-Encoding");
    q->last_event_id = header(r, "Last-Event-ID");
    q->idempotency_key = header(r, "Idempotency-Key");
    q->prefer = header(r, "Prefer");
}

/* True when it has been answered. */
static bool attempt(struct server *s, struct evhttp_request *r, bool by_unix, bool is_again,
                    uint64_t waited_ms, struct http_job *job)
{
    bool last_chance = waited_ms >= MAX_WAIT_MS;
    CLEANUP(http_request_done)
    struct http_request q = {.last_chance = last_chance,
                             .is_again = is_again,
                             .waited_ms = waited_ms,
                             .idempotency = s->options.idempotency,
                             .now_s = clock_unix_s(),
                             .job = job};
    CLEANUP(http_response_done) struct http_response a = {.status = 500};
    CLEANUP(buf_done) struct buf body = BUF_INIT;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r);
    struct evbuffer *in = evhttp_request_get_input_buffer(r);
    size_t size = evbuffer_get_length(in);
    struct who who = {.role = ROLE_NONE};

    buf_add(&body, size ? (const void *)evbuffer_pullup(in, -1) : "", size);
    q.path = uri && evhttp_uri_get_path(uri) ? evhttp_uri_get_path(uri) : "";
    q.query = uri ? evhttp_uri_get_query(uri) : NULL;
    q.body = buf_str(&body);
    q.body_size = body.size;
    q.who = &who;
    read_headers(r, &q);
    if (method_of(r, &q.method) < 0) {
        http_problem(&a, 405, "this method is not known here");
    } else {
        who_is_it(s, r, by_unix, &who);
        http_dispatch(s->options.routes, s->options.n_routes, s->options.within, s->options.app, &q,
                      &a);
    }
    if (a.status == 0 && !last_chance)
        return false;
    if (a.status == 0)
        http_problem(&a, 503, "this takes too long now; try again");
    reply(s, r, &a);
    if (body.size)
        explicit_bzero(body.data, body.size); /* Passwords come in bodies. */
    return true;
}

static void connection_gone(struct evhttp_connection *connection, void *waiting)
{
    struct waiting *w = waiting;

    (void)connection;
    w->request = NULL;
}

static void drop_waiting(struct waiting *w)
{
    w->server->n_waiting--;
    job_done(&w->job);
    free(w);
}

static void wait_for(struct server *s, struct evhttp_request *r, bool by_unix, struct http_job job)
{
    struct waiting *w = xcalloc(1, sizeof(*w));

    w->server = s;
    w->request = r;
    w->by_unix = by_unix;
    w->job = job;
    w->since_ms = loop_now_ms();
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
    struct http_job job = {.data = NULL};

    set_deadline(r, 0);
    evhttp_request_set_on_complete_cb(r, answered, NULL);
    if (attempt(s, r, by_unix, false, room ? 0 : MAX_WAIT_MS, &job))
        job_done(&job);
    else
        wait_for(s, r, by_unix, job);
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
        if (!r || attempt(s, r, w->by_unix, true, loop_now_ms() - w->since_ms, &w->job)) {
            *at = w->next;
            drop_waiting(w);
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
    streams_wake(s->streams);
}

void server_wake_now(struct server *s)
{
    if (s->waiting)
        timer_start(s->retry, 0);
}

size_t server_connections(const struct server *s)
{
    return s->n_connections;
}

size_t server_streams(const struct server *s)
{
    return streams_size(s->streams);
}

uint64_t server_answers(const struct server *s, unsigned status_class)
{
    return s->answers[status_class % ARRAY_SIZE(s->answers)];
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
    s->sweeper = timer_new(l, sweep, s);
    timer_start(s->sweeper, SWEEP_MS);
    s->streams = streams_new(l);
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
        drop_waiting(w);
    }
    streams_free(s->streams);
    evhttp_free(s->https);
    evhttp_free(s->local);
    timer_free(s->retry);
    timer_free(s->sweeper);
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
