/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/http.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

const char *http_method_name(enum http_method m)
{
    static const char *const names[] = {"GET", "PUT", "POST", "DELETE"};

    return names[m];
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Error";
}

const char *http_query(const struct http_request *q, const char *name)
{
    for (size_t i = 0; i < q->n_pairs; i++)
        if (strcmp(q->pairs[i].name, name) == 0)
            return q->pairs[i].value;
    return NULL;
}

void http_ok(struct http_response *a, json_t *json)
{
    a->status = 200;
    a->json = json ? json : json_object();
}

void http_problem(struct http_response *a, int status, const char *format, ...)
{
    CLEANUP(buf_done) struct buf detail = BUF_INIT;
    CLEANUP(buf_done) struct buf escaped = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    buf_escape(&escaped, buf_str(&detail), detail.size, 2000);
    json_decref(a->json);
    a->status = status;
    a->json = json_pack("{s:s,s:s,s:i,s:s}", "type", "about:blank", "title",
                        http_status_text(status), "status", status, "detail", buf_str(&escaped));
}

void http_request_done(struct http_request *q)
{
    for (size_t i = 0; i < q->n_pairs; i++) {
        free(q->pairs[i].name);
        free(q->pairs[i].value);
    }
    q->n_pairs = 0;
}

void http_response_done(struct http_response *a)
{
    json_decref(a->json);
    a->json = NULL;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding; NUL: broken, or a NUL inside. */
static char *decoded(const char *s, size_t len, bool plus)
{
    CLEANUP(free_voidp) char *out = xcalloc(len + 1, 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];

        if (c == '+' && plus)
            c = ' ';
        if (c == '%') {
            if (i + 2 >= len || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
                return NULL;
            c = hex(s[i + 1]) * 16 + hex(s[i + 2]);
            i += 2;
        }
        if (c == 0)
            return NULL;
        out[n++] = (char)c;
    }
    return TAKE_PTR(out);
}

static int split_query(struct http_request *q)
{
    const char *at = q->query;

    while (at && *at) {
        size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
        struct http_pair pair;

        if (q->n_pairs == HTTP_MAX_QUERY)
            return -1;
        pair.name = decoded(at, name_len, true);
        pair.value =
            name_len < len ? decoded(at + name_len + 1, len - name_len - 1, true) : xcalloc(1, 1);
        q->pairs[q->n_pairs++] = pair;
        if (!pair.name || !pair.value)
            return -1;
        at += len;
        at += *at == '&';
    }
    return 0;
}

/* A path with at most one {…} segment. */
static bool path_matches(const char *pattern, const char *path, char param[HTTP_PARAM_SIZE])
{
    const char *brace = strchr(pattern, '{');
    size_t head = brace ? (size_t)(brace - pattern) : strlen(pattern), len;
    CLEANUP(free_voidp) char *value = NULL;

    if (!brace)
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, head) != 0)
        return false;
    len = strcspn(path + head, "/");
    if (strcmp(path + head + len, strchr(brace, '}') + 1) != 0)
        return false;
    value = decoded(path + head, len, false);
    if (!value || !value[0] || strlen(value) >= HTTP_PARAM_SIZE)
        return false;
    memcpy(param, value, strlen(value) + 1);
    return true;
}

static bool query_known(const struct http_route *route, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = route->query; at && *at;) {
        if (strncmp(at, name, len) == 0 && at[len] == ':')
            return true;
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return false;
}

static void run(const struct http_route *route, void *app, struct http_request *q,
                struct http_response *a)
{
    if (q->role == ROLE_NONE && route->role != ROLE_NONE) {
        http_problem(a, 401, "this needs a token: Authorization: Bearer sma1....");
        return;
    }
    if (q->role < route->role) {
        http_problem(a, 403, "this needs the role %s; yours is %s", role_name(route->role),
                     role_name(q->role));
        return;
    }
    if (split_query(q) < 0) {
        http_problem(a, 400, "the query string cannot be read");
        return;
    }
    for (size_t i = 0; i < q->n_pairs; i++)
        if (!query_known(route, q->pairs[i].name)) {
            http_problem(a, 400, "unknown query parameter \"%s\"", q->pairs[i].name);
            return;
        }
    route->handle(app, q, a);
}

void http_dispatch(const struct http_route *routes, size_t n, void *app, struct http_request *q,
                   struct http_response *a)
{
    bool path_known = false;

    for (size_t i = 0; i < n; i++) {
        if (!path_matches(routes[i].path, q->path, q->param))
            continue;
        path_known = true;
        if (routes[i].method != q->method)
            continue;
        run(&routes[i], app, q, a);
        return;
    }
    if (path_known)
        http_problem(a, 405, "%s is not for this resource", http_method_name(q->method));
    else
        http_problem(a, 404, "no such resource: %s", q->path);
}
