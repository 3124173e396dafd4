/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - requests, responses and the one table of routes, without any socket
 *
 * A route says method, path, the right that it needs (controller/role.h), how it honours a scope,
 * and what it does in a sentence: dispatching, authorisation, documentation (openapi.h) and tests
 * all read that table.  Handlers are plain functions from request to response; api/server.h joins
 * them to sockets, fuzzing calls them directly.
 *
 * A browser sends its session cookie by itself, also when another site told it to.  Hence with a
 * session every method that changes something needs an Origin header that names this very host,
 * Sec-Fetch-Site must not say otherwise, and the cookie is SameSite=Strict.
 *
 * A handler that must wait, for news or for a thread, answers with status 0 and is asked again;
 * what it has to remember meanwhile it leaves in 'kept'.
 *
 * A body has a bound that holds before anybody knows who sends it.  Routes with LARGE_BODY take
 * more from those who have their right: packed by gzip, unpacked for the time of the handler alone,
 * with a bound of its own.
 *
 * Errors are problem documents (RFC 9457): {type, title, status, detail, ...}.  Findings in a
 * policy come as "findings": [{code, severity, file, line, column, message, ...}]. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/progress.h"
#include "controller/role.h"

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_PUT, HTTP_METHOD_POST, HTTP_METHOD_DELETE };

enum {
    HTTP_MAX_BODY = 8 << 20,
    HTTP_MAX_UNPACKED = 48 << 20, /* What a packed body may hold. */
    HTTP_MAX_HEADERS = 16 << 10,
    HTTP_PARAM_SIZE = 128,
    HTTP_MAX_QUERY = 16, /* Parameters. */
    HTTP_ETAG_SIZE = 48,
    HTTP_MAX_WAIT_S = 30,
    HTTP_MAX_EXTRA = 8, /* Headers of a handler's own. */
};

struct http_pair {
    char *name, *value;
};

struct idempotency;

struct http_job { /* What a handler keeps until it can answer; zeroes at first. */
    void *data;
    void (*free)(void *data); /* It may be under way, and ends. */
    void (*look)(const void *data, struct progress *ret_p);
};

struct http_request {
    enum http_method method;
    const char *path;     /* Without query; percent-encoding as it came. */
    const char *query;    /* Raw; NULL: none. */
    const char *if_match; /* These headers: NULL: none. */
    const char *if_none_match, *origin, *host, *fetch_site, *accept_encoding, *last_event_id,
        *idempotency_key, *content_encoding, *prefer;
    const char *body; /* NUL-terminated; for handlers, unpacked. */
    size_t body_size;
    const struct who *who;
    struct idempotency *idempotency; /* NULL: keys are not looked at. */
    int64_t now_s;
    bool is_again;             /* Not the first time that this request is asked. */
    struct http_job *job;      /* NULL: there is no later. */
    uint64_t waited_ms;        /* It, by now. */
    bool last_chance;          /* A waiting request must be answered now. */
    bool is_operation;         /* No connection waits for the answer: it may take minutes. */
    struct progress *progress; /* Of an operation; NULL: nobody looks. */

    /* Filled by http_dispatch(). */
    char param[HTTP_PARAM_SIZE]; /* What stood for {…} in the path. */
    struct http_pair pairs[HTTP_MAX_QUERY];
    size_t n_pairs;
};

/* An answer that goes on (text/event-stream), pulled by the server as fast as the peer reads. */
struct http_stream {
    /* Adds what is new; 'is_beat': nothing was sent for a while, say something.
     * Negative: it ends, and so does the connection. */
    int (*next)(struct http_stream *s, bool is_beat, struct buf *out);
    void (*free)(struct http_stream *s);
    const char *owner; /* Who listens; lives as long as this. */
};

struct http_response {
    int status;   /* 0: not yet; ask again until last_chance. */
    json_t *json; /* Owned; NULL: no body, or 'bytes'. */
    char etag[HTTP_ETAG_SIZE];
    const char *type;  /* Of 'bytes'. */
    const void *bytes; /* Borrowed from what lives as long as the application, or from 'text'. */
    size_t bytes_size;
    struct buf text;            /* Owned. */
    struct http_stream *stream; /* Owned; instead of all that. */
    const char *csp;            /* NULL: nothing may be loaded. */
    struct http_pair extra[HTTP_MAX_EXTRA];
    size_t n_extra;
};

struct http_route {
    enum http_method method;
    const char *path; /* "/api/v1/enforcers/{name}"; "/ui/{file*}" takes the slashes too. */
    unsigned need;    /* RIGHT_… | SCOPE_…; RIGHT_NONE: anybody. */
    void (*handle)(void *app, const struct http_request *q, struct http_response *a);
    const char *summary;
    const char *query; /* "name:description,..."; NULL: takes none. */
    const char *body;  /* Example of the body; NULL: takes none. */
};

/* For routes with SCOPE_PARAM: whether the endpoint carries the scope's label. */
typedef bool http_within(void *app, const char *endpoint, const struct scope *scope);

/* Answers; never fails.  404 for no such path, 405, 401 and 403 by right, scope and origin, 404 for
 * an endpoint outside of the scope, 400 for a query parameter that the route does not know, else
 * what the handler says. */
void http_dispatch(const struct http_route *routes, size_t n, http_within *within, void *app,
                   struct http_request *q, struct http_response *a);
void http_request_done(struct http_request *q); /* What dispatch filled. */
void http_response_done(struct http_response *a);

const char *http_method_name(enum http_method m);
const char *http_status_text(int status);

/* Whether to answer 202 by now: Prefer: respond-async, wait=N (RFC 7240), and so many seconds are
 * over, or HTTP_MAX_WAIT_S; without 'wait' at once. */
bool http_prefers_later(const struct http_request *q);

/* For handlers. */
const char *http_query(const struct http_request *q, const char *name); /* NULL: absent. */
void http_ok(struct http_response *a, json_t *json);                    /* Takes 'json'. */
/* As http_problem(), with the field that is wrong ("": the whole) and how to mend it. */
void http_problem_field(struct http_response *a, int status, const char *field, const char *fix,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));
void http_header(struct http_response *a, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void http_problem(struct http_response *a, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
