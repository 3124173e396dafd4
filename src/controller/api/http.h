/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - requests, responses and the one table of routes, without any socket
 *
 * A route says method, path, the role that it needs, and what it does in a sentence: dispatching,
 * authorisation, documentation (openapi.h) and tests all read that table.  Handlers are plain
 * functions from request to response; api/server.h joins them to sockets, fuzzing calls them
 * directly.
 *
 * Errors are problem documents (RFC 9457): {type, title, status, detail, ...}.  Findings in a
 * policy come as "findings": [{code, severity, file, line, column, message, ...}]. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/role.h"

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_PUT, HTTP_METHOD_POST, HTTP_METHOD_DELETE };

enum {
    HTTP_MAX_BODY = 8 << 20,
    HTTP_MAX_HEADERS = 16 << 10,
    HTTP_PARAM_SIZE = 128,
    HTTP_MAX_QUERY = 16, /* Parameters. */
    HTTP_ETAG_SIZE = 48,
    HTTP_MAX_WAIT_S = 30,
};

struct http_pair {
    char *name, *value;
};

struct http_request {
    enum http_method method;
    const char *path;     /* Without query; percent-encoding as it came. */
    const char *query;    /* Raw; NULL: none. */
    const char *if_match; /* NULL: none. */
    const char *body;     /* NUL-terminated. */
    size_t body_size;
    enum role role;
    const char *actor; /* For the audit. */
    bool last_chance;  /* A waiting request must be answered now. */

    /* Filled by http_dispatch(). */
    char param[HTTP_PARAM_SIZE]; /* What stood for {…} in the path. */
    struct http_pair pairs[HTTP_MAX_QUERY];
    size_t n_pairs;
};

struct http_response {
    int status;   /* 0: not yet; ask again until last_chance. */
    json_t *json; /* Owned; NULL: no body. */
    char etag[HTTP_ETAG_SIZE];
};

struct http_route {
    enum http_method method;
    const char *path; /* "/api/v1/enforcers/{name}" */
    enum role role;   /* ROLE_NONE: anybody. */
    void (*handle)(void *app, const struct http_request *q, struct http_response *a);
    const char *summary;
    const char *query; /* "name:description,..."; NULL: takes none. */
    const char *body;  /* Example of the body; NULL: takes none. */
};

/* Answers; never fails.  404 for no such path, 405, 401 and 403 by role, 400 for a query parameter
 * that the route does not know, else what the handler says. */
void http_dispatch(const struct http_route *routes, size_t n, void *app, struct http_request *q,
                   struct http_response *a);
void http_request_done(struct http_request *q); /* What dispatch filled. */
void http_response_done(struct http_response *a);

const char *http_method_name(enum http_method m);
const char *http_status_text(int status);

/* For handlers. */
const char *http_query(const struct http_request *q, const char *name); /* NULL: absent. */
void http_ok(struct http_response *a, json_t *json);                    /* Takes 'json'. */
void http_problem(struct http_response *a, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
