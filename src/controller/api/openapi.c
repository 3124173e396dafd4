/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/openapi.h"

#include <ctype.h>

#include "base/buf.h"

static json_t *parameter(const char *where, const char *name, size_t name_len, const char *text,
                         size_t text_len)
{
    return json_pack("{s:s,s:s%,s:b,s:s%,s:{s:s}}", "in", where, "name", name, name_len, "required",
                     strcmp(where, "path") == 0, "description", text, text_len, "schema", "type",
                     "string");
}

static json_t *parameters_of(const struct http_route *r)
{
    static const char prefer[] =
        "respond-async, wait=30: what takes more seconds goes on as an operation (202)";
    json_t *list = json_array();
    const char *brace = strchr(r->path, '{');

    if (brace)
        (void)json_array_append_new(
            list, parameter("path", brace + 1, strcspn(brace + 1, "}"), "which one", 9));
    for (const char *at = r->query; at && *at;) {
        size_t name_len = strcspn(at, ":"), len = strcspn(at, ",");

        (void)json_array_append_new(
            list, parameter("query", at, name_len, at + name_len + 1, len - name_len - 1));
        at += len;
        at += *at == ',';
    }
    if (r->need & LARGE_BODY)
        (void)json_array_append_new(
            list, parameter("header", "Content-Encoding", 16, "gzip: the body is packed", 24));
    if (r->need & SLOW_ANSWER)
        (void)json_array_append_new(list, parameter("header", "Prefer", 6, prefer, strlen(prefer)));
    return list;
}

static json_t *answer(const char *text, const char *type)
{
    return json_pack("{s:s,s:{s:{s:{s:s}}}}", "description", text, "content", type, "schema",
                     "type", "object");
}

/* The roles that have the right, as `x-roles`; everybody when none is needed. */
static json_t *roles_of(const struct http_route *r)
{
    json_t *list = json_array();

    for (enum role role = ROLE_VIEWER; role < ROLE_COUNT; role++)
        if ((role_rights(role) & r->need & RIGHT_MASK) || !(r->need & RIGHT_MASK))
            (void)json_array_append_new(list, json_string(role_name(role)));
    return list;
}

static const char *scope_of(const struct http_route *r)
{
    if (!(r->need & RIGHT_MASK) || (r->need & SCOPE_FREE))
        return "free";
    return r->need & (SCOPE_WITHIN | SCOPE_PARAM) ? "within" : "refused";
}

static json_t *operation_of(const struct http_route *r)
{
    json_t *responses = json_pack("{s:o,s:o}", "200", answer("done", "application/json"), "default",
                                  answer("a problem (RFC 9457)", "application/problem+json"));
    json_t *o =
        json_pack("{s:s,s:o,s:s,s:o,s:o}", "summary", r->summary, "x-roles", roles_of(r), "x-scope",
                  scope_of(r), "parameters", parameters_of(r), "responses", responses);

    if (r->need & SLOW_ANSWER)
        (void)json_object_set_new(
            responses, "202",
            answer("it goes on as the operation that Location names", "application/json"));
    if (!(r->need & RIGHT_MASK))
        (void)json_object_set_new(o, "security", json_array());
    if (r->body)
        (void)json_object_set_new(o, "requestBody",
                                  json_pack("{s:b,s:{s:{s:{s:s},s:o}}}", "required", 1, "content",
                                            "application/json", "schema", "type", "object",
                                            "example", json_loads(r->body, 0, NULL)));
    return o;
}

json_t *openapi_of(const struct http_route *routes, size_t n)
{
    json_t *paths = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *path = json_object_get(paths, routes[i].path);
        char method[8] = "";

        if (strncmp(routes[i].path, "/ui", 3) == 0 || strcmp(routes[i].path, "/") == 0)
            continue; /* Pages, no API. */

        for (size_t k = 0; http_method_name(routes[i].method)[k]; k++)
            method[k] = (char)tolower((unsigned char)http_method_name(routes[i].method)[k]);
        if (!path) {
            path = json_object();
            (void)json_object_set_new(paths, routes[i].path, path);
        }
        (void)json_object_set_new(path, method, operation_of(&routes[i]));
    }
    return json_pack("{s:s,s:{s:s,s:s,s:{s:s,s:s}},s:[{s:[]},{s:[]}],"
                     "s:{s:{s:{s:s,s:s},s:{s:s,s:s,s:s}}},s:o}",
                     "openapi", "3.0.3", "info", "title", "Suimitsu controller", "version", "1",
                     "license", "name", "Apache-2.0", "url",
                     "https://www.apache.org/licenses/LICENSE-2.0", "security", "token", "session",
                     "components", "securitySchemes", "token", "type", "http", "scheme", "bearer",
                     "session", "type", "apiKey", "in", "cookie", "name", "__Host-suimitsu",
                     "paths", paths);
}
