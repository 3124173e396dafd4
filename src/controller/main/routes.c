/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes, and those handlers that are not about policy (routes_policy.c). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/date.h"
#include "base/number.h"
#include "controller/api/openapi.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"

void app_fail(struct http_response *a, int error, const char *what)
{
    static const struct {
        int error, status;
        const char *text;
    } known[] = {
        {-ENOSPC, 507, "the disk is full; nothing was changed"},
        {-EROFS, 507, "the store is read-only; nothing was changed"},
        {-EUCLEAN, 500, "the store is damaged; nothing was changed"},
        {-EIO, 507, "the disk fails, or is full; nothing was changed"},
        {-E2BIG, 413, "over a limit"},
        {-ENOENT, 404, "not there"},
        {-ESTALE, 412, "somebody has changed it meanwhile; get it again and compare"},
        {-EALREADY, 409,
         "a change is waiting for confirmation; confirm it, or wait for its rollback"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].error == error) {
            http_problem(a, known[i].status, "%s%s%s", known[i].text, what[0] ? ": " : "", what);
            return;
        }
    http_problem(a, 500, "%s%s%s", strerror(-error), what[0] ? ": " : "", what);
}

json_t *app_body(const struct http_request *q, struct http_response *a, const char *const fields[],
                 size_t n_fields)
{
    json_error_t error;
    json_t *body = json_loadb(q->body, q->body_size, JSON_REJECT_DUPLICATES, &error), *value;
    const char *key;

    if (!json_is_object(body)) {
        json_decref(body);
        if (body)
            http_problem(a, 400, "the body must be a JSON object");
        else
            http_problem(a, 400, "the body is no JSON: line %d, column %d: %s", error.line,
                         error.column, error.text);
        return NULL;
    }
    json_object_foreach(body, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < n_fields; i++)
            known = known || strcmp(fields[i], key) == 0;
        if (!known) {
            http_problem(a, 400, "unknown field \"%s\"", key);
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

static void get_status(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const struct generation *g = desired_current(app->desired);
    const struct desired_head *h = desired_head(app->desired);
    struct dist_summary sum = {.n_expected = 0};
    char started[DATE_TEXT_SIZE], deadline[DATE_TEXT_SIZE] = "";
    size_t n_black = 0;

    (void)q;
    if (app->dist)
        dist_summarise(app->dist, &sum);
    for (size_t i = 0; i < g->inventory->n_endpoints; i++)
        n_black += g->inventory->endpoints[i].trust == TRUST_BLACK;
    if (h->confirm_revision)
        (void)date_format_time(h->confirm_deadline_s, deadline);
    http_ok(a,
            json_pack(
                "{s:s,s:s,s:I,s:I,s:I,s:s,s:s,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I,s:I},"
                "s:I}",
                "version", SUIMITSU_VERSION, "started", date_format_time(app->started_s, started),
                "revision", (json_int_t)h->revision, "policy", (json_int_t)h->policy, "inventory",
                (json_int_t)h->inventory, "confirm_by", deadline, "mode",
                h->policy ? "" : "learn: no policy was applied yet, nothing is blocked",
                "endpoints", (json_int_t)g->inventory->n_endpoints, "rules",
                (json_int_t)g->policy->n_rules, "quarantined", (json_int_t)n_black, "enforcers",
                "expected", (json_int_t)sum.n_expected, "connected", (json_int_t)sum.n_connected,
                "active", (json_int_t)sum.n_active, "current", (json_int_t)sum.n_current, "refused",
                (json_int_t)sum.n_refused, "counters", "foreign_reports",
                (json_int_t)sum.foreign_reports, "bad_messages", (json_int_t)sum.bad_messages,
                "refused_connections", (json_int_t)sum.refused_connections, "flows",
                (json_int_t)flows_last(app->flows)));
}

static void get_enforcers(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;

    (void)q;
    http_ok(a, app->dist ? dist_enforcers(app->dist, NULL) : json_array());
}

static void get_enforcer(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(json_decrefp)
    json_t *list = app->dist ? dist_enforcers(app->dist, q->param) : json_array();

    if (json_array_size(list) == 0)
        http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
    else
        http_ok(a, json_incref(json_array_get(list, 0)));
}

static void post_control(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"verb", "count"};
    static const char *const verbs[] = {"", "report", "verify", "resync"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    uint64_t count;
    uint32_t verb = 0;
    int r;

    if (!body)
        return;
    for (uint32_t i = 1; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(json_text(body, "verb"), verbs[i]) == 0)
            verb = i;
    count = json_object_get(body, "count") ? json_uint(body, "count") : 1;
    if (count > UINT32_MAX)
        count = 0;
    r = app->dist ? dist_control(app->dist, q->param, verb, (uint32_t)count) : -ENOENT;
    if (r == -EINVAL)
        http_problem(a, 422, "expected a verb of report, verify, resync, and a count of 1 to %d",
                     AGENT_MAX_CONTROL_COUNT);
    else if (r < 0)
        http_problem(a, 404, "\"%s\" is not connected", q->param);
    else
        http_ok(a, NULL);
}

/* "2026-11-22T00:00:00Z", or an age like 5m. */
static int parse_since(const char *text, uint64_t *ret_ms)
{
    uint64_t age_s;
    int64_t at_s;

    if (duration_parse(text, UINT32_MAX, &age_s) == 0)
        at_s = (int64_t)time(NULL) - (int64_t)age_s;
    else if (date_parse_time(text, &at_s) < 0)
        return -EINVAL;
    *ret_ms = at_s > 0 ? (uint64_t)at_s * 1000 : 0;
    return 0;
}

static void get_flows(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    struct flows_filter filter = {.from = http_query(q, "from"),
                                  .to = http_query(q, "to"),
                                  .verdict = http_query(q, "verdict"),
                                  .denied = http_query(q, "denied") != NULL,
                                  .max = 200};
    const char *since = http_query(q, "since"), *after = http_query(q, "after"),
               *max = http_query(q, "max");
    uint64_t n = 0;
    json_t *list;

    if (since && parse_since(since, &filter.since_ms) < 0) {
        http_problem(a, 400,
                     "since=%s: expected an age like 5m, or a time like "
                     "2026-11-22T10:00:00Z",
                     since);
        return;
    }
    if ((after && number_parse(after, strlen(after), INT64_MAX, &filter.after) < 0) ||
        (max && (number_parse(max, strlen(max), FLOWS_PAGE_MAX, &n) < 0 || n == 0))) {
        http_problem(a, 400, "after must be a number, max one of 1 to %d", FLOWS_PAGE_MAX);
        return;
    }
    if (max)
        filter.max = n;
    list = flows_list(app->flows, &filter);
    if (http_query(q, "wait") && json_array_size(list) == 0 && !q->last_chance) {
        json_decref(list);
        a->status = 0;
        return;
    }
    http_ok(a, json_pack("{s:I,s:o}", "last", (json_int_t)flows_last(app->flows), "flows", list));
}

static void get_notices(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;

    (void)q;
    http_ok(a, json_incref(app->notices));
}

static void get_tokens(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    json_t *list = NULL;
    int r = token_list(app->store, &list);

    (void)q;
    if (r < 0)
        app_fail(a, r, "tokens");
    else
        http_ok(a, list);
}

static bool good_name(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len < PROGRAM_NAME_SIZE &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static void post_tokens(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"kind", "endpoint", "name", "role", "valid_s"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    bool enroll = strcmp(json_text(body, "kind"), "enroll") == 0;
    const char *name = json_text(body, enroll ? "endpoint" : "name");
    uint64_t valid_s = json_uint(body, "valid_s");
    char token[TOKEN_SIZE];
    enum role role = ROLE_NONE;
    int r;

    if (!body)
        return;
    if (!enroll && (strcmp(json_text(body, "kind"), "api") != 0 ||
                    role_parse(json_text(body, "role"), &role) < 0)) {
        http_problem(a, 422,
                     "expected kind enroll with endpoint, or kind api with name and role "
                     "(admin or viewer)");
        return;
    }
    if (!good_name(name)) {
        http_problem(a, 422, "%s: expected 1 to %d letters, digits, '-', '_' or '.'",
                     enroll ? "endpoint" : "name", PROGRAM_NAME_SIZE - 1);
        return;
    }
    if (!valid_s)
        valid_s = enroll ? 3600 : 90 * 86400;
    if (valid_s > (uint64_t)(enroll ? TOKEN_ENROLL_MAX_S : TOKEN_API_MAX_S)) {
        http_problem(a, 422, "valid_s: at most %d", enroll ? TOKEN_ENROLL_MAX_S : TOKEN_API_MAX_S);
        return;
    }
    r = enroll ? token_new_enroll(app->store, q->actor, name, ca_fingerprint(app->ca),
                                  (int64_t)time(NULL), (int64_t)valid_s, token)
               : token_new_api(app->store, q->actor, name, role, (int64_t)time(NULL),
                               (int64_t)valid_s, token);
    if (r < 0) {
        app_fail(a, r, "token");
        return;
    }
    http_ok(a, json_pack("{s:s,s:b}", "token", token, "known_endpoint",
                         enroll && inventory_endpoint(desired_current(app->desired)->inventory,
                                                      name) != NULL));
    explicit_bzero(token, sizeof(token));
}

static void delete_token(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = token_revoke(app->store, q->actor, q->param);

    if (r < 0)
        app_fail(a, r, "token");
    else
        http_ok(a, NULL);
}

static void get_audit(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const char *before = http_query(q, "before");
    uint64_t n = 0;
    json_t *list = NULL;
    int r;

    if (before && number_parse(before, strlen(before), INT64_MAX, &n) < 0) {
        http_problem(a, 400, "before must be a number");
        return;
    }
    r = audit_list(app->store, n, 200, &list);
    if (r < 0)
        app_fail(a, r, "audit");
    else
        http_ok(a, list);
}

static void get_audit_verify(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    struct audit_state state;
    int r = audit_verify(app->store, &state);

    (void)q;
    if (r < 0)
        app_fail(a, r, "audit");
    else
        http_ok(a, json_pack("{s:b,s:I,s:I,s:s}", "whole", state.bad == 0, "entries",
                             (json_int_t)state.n, "first_bad", (json_int_t)state.bad, "last_digest",
                             state.last));
}

static void get_ca(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;

    (void)q;
    http_ok(a, json_pack("{s:s,s:s}", "certificate", ca_pem(app->ca), "sha256",
                         ca_fingerprint(app->ca)));
}

static void get_openapi(void *user, const struct http_request *q, struct http_response *a)
{
    (void)user;
    (void)q;
    http_ok(a, openapi_of(app_routes, app_n_routes));
}

#define FILES "[{\"name\": \"shop.yaml\", \"text\": \"suimitsu: 1\\n...\"}]"

const struct http_route app_routes[] = {
    {HTTP_METHOD_GET, "/api/v1/status", ROLE_VIEWER, get_status,
     "Revision, enforcers, what awaits confirmation", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy", ROLE_VIEWER, get_policy,
     "The policy's files; its version is the ETag", "version:an older version", NULL},
    {HTTP_METHOD_PUT, "/api/v1/policy", ROLE_ADMIN, put_policy,
     "Checks, compiles and applies a policy, and an inventory with it; If-Match: the version that "
     "it was written against, base: those that it was compared with; dry_run: changes nothing and "
     "says what it would mean; force: a reason to override failing tests and proofs",
     NULL,
     "{\"files\": " FILES
     ", \"inventory\": [], \"confirm_s\": 300, \"comment\": \"CHG-1234\", \"dry_run\": false, "
     "\"base\": {\"policy\": 12, \"inventory\": 12}, \"force\": \"the shop is down, CHG-1234\"}"},
    {HTTP_METHOD_GET, "/api/v1/policy/history", ROLE_VIEWER, get_policy_history,
     "Versions, newest first", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/findings", ROLE_VIEWER, get_findings,
     "What is wrong or suspicious in the policy in force, failing tests and proofs included", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/proofs", ROLE_VIEWER, get_proofs,
     "The proofs of the policy in force, with paths and over what each was computed", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/radius", ROLE_VIEWER, get_radius,
     "Whom the fall of an endpoint or group reaches, hop by hop; without from the ten furthest",
     "from:group or endpoint,hops:no further than this,inside:set: nobody comes back from outside",
     NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/diff", ROLE_VIEWER, get_policy_diff,
     "What changed in meaning from one version to another, with the inventory of now",
     "from:the older version,to:the newer one (absent: the one in force)", NULL},
    {HTTP_METHOD_POST, "/api/v1/policy/confirm", ROLE_ADMIN, post_confirm,
     "Keeps what was applied with confirm_s", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/policy/rollback", ROLE_ADMIN, post_rollback,
     "Applies an older version again, as a new one", NULL,
     "{\"version\": 12, \"confirm_s\": 0, \"force\": \"the new policy stopped the shop\"}"},
    {HTTP_METHOD_GET, "/api/v1/inventory", ROLE_VIEWER, get_inventory,
     "The inventory's files; its version is the ETag", "version:an older version", NULL},
    {HTTP_METHOD_PUT, "/api/v1/inventory", ROLE_ADMIN, put_inventory,
     "Checks, compiles and applies an inventory; If-Match as for the policy", NULL,
     "{\"files\": " FILES ", \"confirm_s\": 0, \"comment\": \"\", \"dry_run\": false, \"base\": "
     "{\"policy\": 12, \"inventory\": 12}, \"force\": \"db2 moves tonight, CHG-1235\"}"},
    {HTTP_METHOD_GET, "/api/v1/inventory/history", ROLE_VIEWER, get_inventory_history,
     "Versions, newest first", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints", ROLE_VIEWER, get_endpoints,
     "Endpoints with labels, addresses, groups and trust", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints/{name}", ROLE_VIEWER, get_endpoint, "One endpoint", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints/{name}/if-owned", ROLE_VIEWER, get_if_owned,
     "Its enforcers, which of them still hold when somebody owns it, and who is then open to it",
     NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/unprotected", ROLE_VIEWER, get_unprotected,
     "Where nobody carries out what the policy denies: no enforcer, agent only, plain switch",
     "reason:a list of no-enforcer and agent-only and plain-switch", NULL},
    {HTTP_METHOD_POST, "/api/v1/endpoints/{name}/quarantine", ROLE_ADMIN, post_quarantine,
     "Makes an endpoint black, at once everywhere", NULL,
     "{\"reason\": \"beacon to 203.0.113.9\"}"},
    {HTTP_METHOD_POST, "/api/v1/endpoints/{name}/release", ROLE_ADMIN, post_release,
     "Makes an endpoint white again", NULL, "{\"reason\": \"reinstalled\"}"},
    {HTTP_METHOD_GET, "/api/v1/groups", ROLE_VIEWER, get_groups, "Groups and their members", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/groups/{name}", ROLE_VIEWER, get_group, "One group", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/services", ROLE_VIEWER, get_services, "Named services", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/enforcers", ROLE_VIEWER, get_enforcers,
     "Wanted and running revision and state of each enforcer", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/enforcers/{name}", ROLE_VIEWER, get_enforcer, "One enforcer", NULL,
     NULL},
    {HTTP_METHOD_POST, "/api/v1/enforcers/{name}/control", ROLE_ADMIN, post_control,
     "Asks an agent to report, verify or resync", NULL, "{\"verb\": \"verify\", \"count\": 1}"},
    {HTTP_METHOD_POST, "/api/v1/why", ROLE_VIEWER, post_why,
     "Verdict and reasons for a connection under the current policy: every condition, the nearest "
     "allows, and what would change it; protocol and port may stand for service, and labels are of "
     "an end that the inventory lacks",
     NULL,
     "{\"from\": \"web9\", \"from_labels\": {\"app\": \"shop\"}, \"to\": \"db1\", \"service\": "
     "\"postgres\", \"process\": \"/opt/shop/bin/orders\"}"},
    {HTTP_METHOD_GET, "/api/v1/flows", ROLE_VIEWER, get_flows, "Reported connections",
     "from:endpoint or address,to:endpoint or address,verdict:allow or deny or "
     "would-deny,denied:set: "
     "only denied and would-be denied,since:age (5m) or time,after:number of the last one "
     "known,max:how many at most,wait:set: answer when there is something or after 30 s",
     NULL},
    {HTTP_METHOD_GET, "/api/v1/notices", ROLE_VIEWER, get_notices,
     "What agents noticed: tampering, replaced programs", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/tokens", ROLE_ADMIN, get_tokens, "Tokens, without their secrets",
     NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/tokens", ROLE_ADMIN, post_tokens,
     "A new token, shown this once: kind enroll (endpoint) or api (name, role)", NULL,
     "{\"kind\": \"enroll\", \"endpoint\": \"web1\", \"valid_s\": 3600}"},
    {HTTP_METHOD_DELETE, "/api/v1/tokens/{id}", ROLE_ADMIN, delete_token, "Revokes a token", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/audit", ROLE_VIEWER, get_audit, "Who changed what, newest first",
     "before:number of the oldest one known", NULL},
    {HTTP_METHOD_GET, "/api/v1/audit/verify", ROLE_VIEWER, get_audit_verify,
     "Whether the chain of the audit log is whole", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/ca", ROLE_NONE, get_ca, "The authority's certificate", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/openapi.json", ROLE_NONE, get_openapi, "This table", NULL, NULL},
};
const size_t app_n_routes = ARRAY_SIZE(app_routes);
