/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/buf.h"
#include "base/number.h"
#include "controller/api/idempotency.h"
#include "controller/api/page.h"
#include "sys/gzip.h"

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
        {204, "No Content"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
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

__attribute__((format(printf, 3, 0))) static void problem(struct http_response *a, int status,
                                                          const char *format, va_list args)
{
    CLEANUP(buf_done) struct buf detail = BUF_INIT;
    CLEANUP(buf_done) struct buf escaped = BUF_INIT;

    buf_vprintf(&detail, format, args);
    buf_escape(&escaped, buf_str(&detail), detail.size, 2000);
    json_decref(a->json);
    a->status = status;
    a->json = json_pack("{s:s,s:s,s:i,s:s}", "type", "about:blank", "title",
                        http_status_text(status), "status", status, "detail", buf_str(&escaped));
}

void http_problem(struct http_response *a, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem(a, status, format, args);
    va_end(args);
}

void http_problem_field(struct http_response *a, int status, const char *field, const char *fix,
                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem(a, status, format, args);
    va_end(args);
    if (field[0])
        (void)json_object_set_new(a->json, "field", json_string(field));
    (void)json_object_set_new(a->json, "fix", json_string(fix));
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
    buf_done(&a->text);
    if (a->stream)
        a->stream->free(a->stream);
    a->stream = NULL;
    for (size_t i = 0; i < a->n_extra; i++) {
        free(a->extra[i].name);
        free(a->extra[i].value);
    }
    a->n_extra = 0;
}

void http_header(struct http_response *a, const char *name, const char *format, ...)
{
    CLEANUP(buf_done) struct buf value = BUF_INIT;
    va_list args;

    if (a->n_extra == HTTP_MAX_EXTRA)
        abort(); /* Our own bug. */
    va_start(args, format);
    buf_vprintf(&value, format, args);
    va_end(args);
    a->extra[a->n_extra].name = xstrdup(name);
    a->extra[a->n_extra++].value = buf_take(&value);
}

/* Whether the preference of 'len' bytes is 'name'; what stands behind its "=", as far as its own
 * parameters. */
static bool is_preference(const char *text, size_t len, const char *name, const char **ret_value,
                          size_t *ret_len)
{
    static const char space[] = " \t";
    size_t name_len = strlen(name), at;

    at = strspn(text, space);
    if (at + name_len > len || strncasecmp(text + at, name, name_len) != 0)
        return false;
    at += name_len;
    at += strspn(text + at, space);
    if (at >= len || text[at] == ';') {
        *ret_len = 0;
        return true;
    }
    if (text[at] != '=')
        return false;
    at++;
    at += strspn(text + at, " \t\"");
    *ret_value = text + at;
    *ret_len = strcspn(text + at, " \t\";,");
    return true;
}

bool http_prefers_later(const struct http_request *q)
{
    bool prefers = false;
    uint64_t wait_s = 0;
    size_t len;

    for (const char *at = q->prefer; at && *at; at += len + (at[len] == ',')) {
        const char *value = "";
        size_t value_len;

        len = strcspn(at, ",");
        if (is_preference(at, len, "respond-async", &value, &value_len))
            prefers = true;
        else if (is_preference(at, len, "wait", &value, &value_len) &&
                 number_parse(value, value_len, UINT32_MAX, &wait_s) < 0)
            wait_s = 0; /* Not understood, hence not there. */
    }
    return prefers && (q->last_chance || q->waited_ms >= wait_s * 1000);
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
    len = strchr(brace, '*') ? strlen(path + head) : strcspn(path + head, "/");
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

/* Whether a session's request was made by our own pages: see http.h. */
static bool is_our_own(const struct http_request *q)
{
    static const char https[] = "https://";

    if (q->fetch_site && strcmp(q->fetch_site, "same-origin") != 0)
        return false;
    return q->origin && q->host && strncmp(q->origin, https, strlen(https)) == 0 &&
           strcasecmp(q->origin + strlen(https), q->host) == 0;
}

/* What a browser must not be talked into: see http.h. */
static bool refuse_forged(const struct http_route *route, const struct http_request *q,
                          struct http_response *a)
{
    bool is_safe = route->method == HTTP_METHOD_GET;

    if (q->who->session[0] ? is_safe && !(route->need & RIGHT_MASK) : is_safe || !q->fetch_site)
        return false;
    if (is_safe ? !q->fetch_site || strcmp(q->fetch_site, "cross-site") != 0 : is_our_own(q))
        return false;
    http_problem(a, 403,
                 "this request comes from another site, or does not say where it comes from: with "
                 "a session, Origin must be https://%s",
                 q->host ? q->host : "this host");
    return true;
}

static bool refuse_role(const struct http_route *route, const struct http_request *q,
                        struct http_response *a)
{
    unsigned right = route->need & RIGHT_MASK;
    CLEANUP(buf_done) struct buf roles = BUF_INIT;

    if (!right || who_may(q->who, right))
        return false;
    for (enum role role = ROLE_VIEWER; role < ROLE_COUNT; role++)
        if (role_rights(role) & right)
            buf_printf(&roles, "%s%s", roles.size ? ", " : "", role_name(role));
    if (q->who->role == ROLE_NONE)
        http_problem(a, 401, "this needs a login, or a token: Authorization: Bearer sma1....");
    else
        http_problem(a, 403, "this needs one of the roles %s; yours is %s", buf_str(&roles),
                     role_name(q->who->role));
    return true;
}

static bool refuse_scope(const struct http_route *route, http_within *within, void *app,
                         const struct http_request *q, struct http_response *a)
{
    const struct scope *scope = &q->who->scope;

    if (!(route->need & RIGHT_MASK) || !scope_is_set(scope) ||
        (route->need & (SCOPE_FREE | SCOPE_WITHIN)))
        return false;
    if (!(route->need & SCOPE_PARAM)) {
        http_problem(a, 403, "this is about the whole, and you are limited to %s=%s", scope->label,
                     scope->value);
        return true;
    }
    if (within && within(app, q->param, scope))
        return false;
    http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
    return true;
}

/* Whether the body is what it says, so that the handler can read it. */
static bool unpack_body(const struct http_route *route, struct http_request *q,
                        struct buf *unpacked, struct http_response *a)
{
    bool takes_gzip = route->need & LARGE_BODY;
    int r;

    if (!q->content_encoding || strcasecmp(q->content_encoding, "identity") == 0 || q->is_again)
        return true;
    if (!takes_gzip || strcasecmp(q->content_encoding, "gzip") != 0) {
        http_problem_field(a, 415, "Content-Encoding", takes_gzip ? "gzip, or none" : "none",
                           "this resource does not take a body that is packed so");
        http_header(a, "Accept-Encoding", takes_gzip ? "gzip" : "identity");
        return false;
    }
    r = gzip_unpack(q->body, q->body_size, HTTP_MAX_UNPACKED, unpacked);
    if (r == -E2BIG)
        http_problem(a, 413, "the body holds more than %d bytes", HTTP_MAX_UNPACKED);
    else if (r < 0)
        http_problem_field(a, 400, "Content-Encoding", "one whole gzip member (RFC 1952)",
                           "the body cannot be unpacked");
    if (r < 0)
        return false;
    q->body = buf_str(unpacked); /* As long as the handler runs. */
    q->body_size = unpacked->size;
    return true;
}

static void handle(const struct http_route *route, void *app, struct http_request *q,
                   struct http_response *a)
{
    CLEANUP(buf_done) struct buf unpacked = BUF_INIT;
    const char *body = q->body;
    size_t body_size = q->body_size;

    if (unpack_body(route, q, &unpacked, a))
        route->handle(app, q, a);
    q->body = body;
    q->body_size = body_size;
}

static void run(const struct http_route *route, http_within *within, void *app,
                struct http_request *q, struct http_response *a)
{
    struct page page = {.is_asked = false};
    bool has_key;

    if (refuse_role(route, q, a) || refuse_forged(route, q, a) ||
        refuse_scope(route, within, app, q, a))
        return;
    if (split_query(q) < 0) {
        http_problem(a, 400, "the query string cannot be read");
        return;
    }
    for (size_t i = 0; i < q->n_pairs; i++)
        if (!query_known(route, q->pairs[i].name)) {
            http_problem(a, 400, "unknown query parameter \"%s\"", q->pairs[i].name);
            return;
        }
    if (query_known(route, "limit") && !page_read(q, &page, a))
        return;
    /* Without a name there is nobody whose keys they were. */
    has_key = route->method == HTTP_METHOD_POST && q->idempotency_key && q->idempotency &&
              q->who->role != ROLE_NONE;
    if (has_key && !q->is_again && idempotency_before(q->idempotency, q, q->now_s, a))
        return;
    if (has_key && !(route->need & SECRET_BODY))
        idempotency_ride(q->idempotency, q);
    handle(route, app, q, a);
    if (has_key && !(route->need & SECRET_BODY))
        idempotency_unride(q->idempotency, q);
    if (has_key && a->status)
        idempotency_after(q->idempotency, q, (route->need & SECRET_ANSWER) != 0, a);
    page_cut(&page, a);
}

void http_dispatch(const struct http_route *routes, size_t n, http_within *within, void *app,
                   struct http_request *q, struct http_response *a)
{
    bool path_known = false;

    for (size_t i = 0; i < n; i++) {
        if (!path_matches(routes[i].path, q->path, q->param))
            continue;
        path_known = true;
        if (routes[i].method != q->method)
            continue;
        run(&routes[i], within, app, q, a);
        return;
    }
    if (path_known)
        http_problem(a, 405, "%s is not for this resource", http_method_name(q->method));
    else
        http_problem(a, 404, "no such resource: %s", q->path);
}
