/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes against tests/unit/routes.txt, which was written by hand. */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "controller/main/app.h"

enum { MAX_LINES = 200 };

static struct line {
    char method[8], path[128], roles[16], scope[16];
    bool is_used;
} lines[MAX_LINES];
static size_t n_lines;

static struct http_route routes[MAX_LINES]; /* The real table with handlers that only say "done". */

static void say_done(void *app, const struct http_request *q, struct http_response *a)
{
    (void)app;
    (void)q;
    a->status = 200;
    a->json = json_object();
}

static int read_lines(void **state)
{
    FILE *f = fopen(getenv("ROUTES_TXT"), "r");
    char text[256];

    (void)state;
    if (!f || app_n_routes > MAX_LINES)
        return -1;
    while (fgets(text, sizeof(text), f)) {
        struct line *l = &lines[n_lines];

        if (text[0] == '#' || text[0] == '\n')
            continue;
        if (n_lines == MAX_LINES ||
            sscanf(text, "%7s %127s %15s %15s", l->method, l->path, l->roles, l->scope) != 4)
            return -1;
        n_lines++;
    }
    memcpy(routes, app_routes, app_n_routes * sizeof(routes[0]));
    for (size_t i = 0; i < app_n_routes; i++)
        routes[i].handle = say_done;
    return fclose(f);
}

static const struct line *line_of(const struct http_route *r)
{
    for (size_t i = 0; i < n_lines; i++)
        if (strcmp(lines[i].path, r->path) == 0 &&
            strcmp(lines[i].method, http_method_name(r->method)) == 0) {
            lines[i].is_used = true;
            return &lines[i];
        }
    fail_msg("%s %s has no line in tests/unit/routes.txt", http_method_name(r->method), r->path);
    return NULL;
}

static bool only_web1(void *app, const char *endpoint, const struct scope *scope)
{
    (void)app;
    (void)scope;
    return strcmp(endpoint, "web1") == 0;
}

/* "/a/{name}/b" with 'value' for what stands in braces. */
static void fill_path(struct buf *b, const char *pattern, const char *value)
{
    size_t head = strcspn(pattern, "{");

    buf_add(b, pattern, head);
    if (pattern[head]) {
        buf_puts(b, value);
        buf_puts(b, strchr(pattern, '}') + 1);
    }
}

/* The status that 'who' gets, by a request that is our own pages'. */
static int ask(const struct http_route *r, const struct who *who, const char *value,
               const char *origin)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    CLEANUP(http_response_done) struct http_response a = {.status = 0};
    CLEANUP(http_request_done)
    struct http_request q = {.method = r->method, .who = who, .host = "c:7442", .body = ""};

    fill_path(&path, r->path, value);
    q.path = buf_str(&path);
    q.origin = origin;
    http_dispatch(routes, app_n_routes, only_web1, NULL, &q, &a);
    return a.status;
}

static const char letters[ROLE_COUNT + 1] = "-vaoepds";

static bool expected(const struct line *l, enum role role)
{
    return strcmp(l->roles, "all") == 0 || (role && strchr(l->roles, letters[role]));
}

static void every_role_gets_what_the_hand_written_table_gives_it_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < app_n_routes; i++) {
        const struct line *l = line_of(&routes[i]);

        for (enum role role = ROLE_NONE; role < ROLE_COUNT; role++) {
            struct who who = {.role = role};
            int status = ask(&routes[i], &who, "web1", NULL);
            int wanted = expected(l, role) ? 200 : role == ROLE_NONE ? 401 : 403;

            if (status != wanted)
                fail_msg("%s %s as %s: %d, expected %d", l->method, l->path, role_name(role),
                         status, wanted);
        }
    }
}

static void the_hand_written_table_has_no_route_too_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_lines; i++)
        if (!lines[i].is_used)
            fail_msg("%s %s is in routes.txt only", lines[i].method, lines[i].path);
}

static int wanted_in_scope(const struct line *l, enum role role, bool is_inside)
{
    if (!expected(l, role))
        return 403;
    if (strcmp(l->scope, "refused") == 0)
        return 403;
    return strcmp(l->scope, "param") == 0 && !is_inside ? 404 : 200;
}

static void whoever_has_a_scope_gets_only_what_can_be_limited(void **state)
{
    (void)state;
    for (size_t i = 0; i < app_n_routes; i++) {
        const struct line *l = line_of(&routes[i]);

        for (enum role role = ROLE_VIEWER; role < ROLE_COUNT; role++) {
            struct who who = {.role = role, .scope = {"site", "tokyo"}};

            for (int inside = 0; inside < 2; inside++) {
                int status = ask(&routes[i], &who, inside ? "web1" : "db1", NULL);
                int wanted = wanted_in_scope(l, role, inside);

                if (status != wanted)
                    fail_msg("%s %s as %s in a scope, inside %d: %d, expected %d", l->method,
                             l->path, role_name(role), inside, status, wanted);
            }
        }
    }
}

static void with_a_session_what_changes_something_needs_our_own_origin(void **state)
{
    (void)state;
    static const struct {
        const char *origin;
        int status;
    } cases[] = {
        {"https://c:7442", 200},      {NULL, 403},
        {"https://evil:7442", 403},   {"http://c:7442", 403},
        {"https://c:7442.evil", 403}, {"null", 403},
        {"https://c", 403},           {"", 403},
    };
    struct who who = {.role = ROLE_ADMIN, .session = "abcd"};

    for (size_t i = 0; i < app_n_routes; i++)
        for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
            int wanted = routes[i].method == HTTP_METHOD_GET ? 200 : cases[k].status;

            assert_int_equal(ask(&routes[i], &who, "web1", cases[k].origin), wanted);
        }
}

static void a_token_needs_no_origin(void **state)
{
    (void)state;
    struct who who = {.role = ROLE_ADMIN};

    for (size_t i = 0; i < app_n_routes; i++)
        assert_int_equal(ask(&routes[i], &who, "web1", NULL), 200);
}

static int ask_from_site(enum http_method method, const char *path, const struct who *who,
                         const char *site)
{
    CLEANUP(http_response_done) struct http_response a = {.status = 0};
    CLEANUP(http_request_done)
    struct http_request q = {.method = method,
                             .path = path,
                             .who = who,
                             .host = "c:7442",
                             .origin = "https://c:7442",
                             .fetch_site = site,
                             .body = ""};

    http_dispatch(routes, app_n_routes, only_web1, NULL, &q, &a);
    return a.status;
}

static void a_browser_that_names_another_site_is_not_believed_its_origin(void **state)
{
    (void)state;
    struct who who = {.role = ROLE_ADMIN, .session = "abcd"}, nobody = {.role = ROLE_NONE};

    assert_int_equal(ask_from_site(HTTP_METHOD_POST, "/api/v1/logout", &who, "same-origin"), 200);
    assert_int_equal(ask_from_site(HTTP_METHOD_POST, "/api/v1/logout", &who, "cross-site"), 403);
    assert_int_equal(ask_from_site(HTTP_METHOD_POST, "/api/v1/logout", &who, "same-site"), 403);
    assert_int_equal(ask_from_site(HTTP_METHOD_GET, "/api/v1/status", &who, "cross-site"), 403);
    assert_int_equal(ask_from_site(HTTP_METHOD_GET, "/api/v1/status", &who, "none"), 200);
    assert_int_equal(ask_from_site(HTTP_METHOD_GET, "/ui/", &who, "cross-site"), 200);
    assert_int_equal(ask_from_site(HTTP_METHOD_POST, "/api/v1/login", &nobody, "cross-site"), 403);
    assert_int_equal(ask_from_site(HTTP_METHOD_POST, "/api/v1/login", &nobody, "same-origin"), 200);
}

static void only_viewers_and_operators_can_be_limited(void **state)
{
    (void)state;
    struct scope s;

    for (enum role role = ROLE_NONE; role < ROLE_COUNT; role++)
        assert_int_equal(role_takes_scope(role), role == ROLE_VIEWER || role == ROLE_OPERATOR);
    assert_int_equal(scope_parse("site=tokyo", &s), 0);
    assert_string_equal(s.label, "site");
    assert_string_equal(s.value, "tokyo");
    assert_true(scope_parse("site", &s) < 0 && scope_parse("=x", &s) < 0 &&
                scope_parse("site=", &s) < 0);
}

/* "name:what it is,..." is cut at commas, so that a comma in the words would make a parameter. */
static void every_query_parameter_has_a_name_and_words(void **state)
{
    (void)state;

    for (size_t i = 0; i < app_n_routes; i++)
        for (const char *at = app_routes[i].query; at && *at;) {
            size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyz_-"), len = strcspn(at, ",");

            if (name == 0 || at[name] != ':' || name + 1 >= len)
                fail_msg("%s: \"%s\"", app_routes[i].path, at);
            at += len + (at[len] == ',');
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_query_parameter_has_a_name_and_words),
        cmocka_unit_test(every_role_gets_what_the_hand_written_table_gives_it_and_nothing_else),
        cmocka_unit_test(the_hand_written_table_has_no_route_too_many),
        cmocka_unit_test(whoever_has_a_scope_gets_only_what_can_be_limited),
        cmocka_unit_test(with_a_session_what_changes_something_needs_our_own_origin),
        cmocka_unit_test(a_token_needs_no_origin),
        cmocka_unit_test(a_browser_that_names_another_site_is_not_believed_its_origin),
        cmocka_unit_test(only_viewers_and_operators_can_be_limited),
    };

    return cmocka_run_group_tests(tests, read_lines, NULL);
}
