/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes, and those handlers that are not about policy (routes_policy.c). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "base/number.h"
#include "controller/api/openapi.h"
#include "controller/api/page.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "sys/clock.h"

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
        if (body) {
            http_problem_field(a, 400, "", "{...}", "the body must be a JSON object");
            return NULL;
        }
        http_problem_field(a, 400, "", "a JSON object (RFC 8259)",
                           "the body is no JSON: line %d, column %d: %s", error.line, error.column,
                           error.text);
        (void)json_object_set_new(a->json, "line", json_integer(error.line));
        (void)json_object_set_new(a->json, "column", json_integer(error.column));
        return NULL;
    }
    json_object_foreach(body, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < n_fields; i++)
            known = known || strcmp(fields[i], key) == 0;
        if (!known) {
            http_problem_field(a, 400, key, "leave it out", "unknown field \"%s\"", key);
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

/* What somebody may know who sees a part. */
static void get_status_within(struct app *app, const struct who *who, struct http_response *a)
{
    const struct inventory *inventory = desired_current(app->desired)->inventory;
    size_t n = 0, n_black = 0;

    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];

        if (!app_sees(app, who, e->name))
            continue;
        n++;
        n_black += e->trust == TRUST_BLACK;
    }
    http_ok(a, json_pack("{s:s,s:I,s:{s:s},s:I,s:I}", "version", SUIMITSU_VERSION, "revision",
                         (json_int_t)desired_head(app->desired)->revision, "scope",
                         who->scope.label, who->scope.value, "endpoints", (json_int_t)n,
                         "quarantined", (json_int_t)n_black));
}

static void get_status(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const struct generation *g = desired_current(app->desired);
    const struct desired_head *h = desired_head(app->desired);
    struct dist_summary sum = {.n_expected = 0};
    char started[DATE_TEXT_SIZE], deadline[DATE_TEXT_SIZE] = "";
    size_t n_black = 0;

    if (scope_is_set(&q->who->scope)) {
        get_status_within(app, q->who, a);
        return;
    }
    if (app->dist)
        dist_summarise(app->dist, &sum);
    for (size_t i = 0; i < g->inventory->n_endpoints; i++)
        n_black += g->inventory->endpoints[i].trust == TRUST_BLACK;
    if (h->confirm_revision)
        (void)date_format_time(h->confirm_deadline_s, deadline);
    http_ok(a,
            json_pack(
                "{s:s,s:s,s:I,s:I,s:I,s:s,s:s,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I,s:I},"
                "s:I,s:o}",
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
                (json_int_t)(app->flows ? flows_last(app->flows) : 0), "history",
                app->flows ? flows_state_json(app->flows) : json_null()));
}

/* What dist knows, and what flows know of the same agent. */
static json_t *enforcers(struct app *app, const char *name)
{
    json_t *list = app->dist ? dist_enforcers(app->dist, name) : json_array(), *e;
    size_t i;

    json_array_foreach(list, i, e)
    {
        const char *edge = json_text(e, "edge");
        char stream[DIST_STREAM_SIZE];
        json_t *flows;

        (void)snprintf(stream, sizeof(stream), "%s%s%s", edge, edge[0] ? "/" : "",
                       json_text(e, "name"));
        flows = app->flows ? flows_stream_json(app->flows, stream) : NULL;
        if (flows)
            (void)json_object_set_new(e, "flows", flows);
    }
    return list;
}

/* Leaves in 'list' what is about endpoints within the asker's scope. */
static void app_keep_seen(struct app *app, const struct who *who, json_t *list, const char *key)
{
    for (size_t i = json_array_size(list); i-- > 0;)
        if (!app_sees(app, who, json_text(json_array_get(list, i), key)))
            (void)json_array_remove(list, i);
}

static void get_enforcers(void *user, const struct http_request *q, struct http_response *a)
{
    json_t *list = enforcers(user, NULL);

    app_keep_seen(user, q->who, list, "name");
    http_ok(a, list);
}

static void get_enforcer(void *user, const struct http_request *q, struct http_response *a)
{
    CLEANUP(json_decrefp) json_t *list = enforcers(user, q->param);

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

static void get_notices(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    json_t *list = json_copy(app->notices);

    app_keep_seen(app, q->who, list, "endpoint");
    http_ok(a, list);
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

static void post_tokens(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"kind", "endpoint", "name", "role", "scope", "valid_s"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    bool enroll = strcmp(json_text(body, "kind"), "enroll") == 0;
    const char *name = json_text(body, enroll ? "endpoint" : "name");
    uint64_t valid_s = json_uint(body, "valid_s");
    char token[TOKEN_SIZE];
    enum role role = ROLE_NONE;
    struct scope scope = {.label = ""};
    int r;

    if (!body)
        return;
    if (!enroll && (strcmp(json_text(body, "kind"), "api") != 0 ||
                    role_parse(json_text(body, "role"), &role) < 0)) {
        http_problem_field(a, 422, strcmp(json_text(body, "kind"), "api") == 0 ? "role" : "kind",
                           "\"kind\": \"api\", \"name\": \"ci\", \"role\": \"viewer\"",
                           "expected kind enroll with endpoint, or kind api with name and role "
                           "(viewer, auditor, operator, editor, approver, admin or scraper)");
        return;
    }
    if (!enroll && !app_scope(body, role, &scope, a))
        return;
    if (!account_name_is_good(name)) {
        http_problem_field(a, 422, enroll ? "endpoint" : "name", "use such characters only",
                           "%s: expected 1 to %d letters, digits, '-', '_' or '.'",
                           enroll ? "endpoint" : "name", PROGRAM_NAME_SIZE - 1);
        return;
    }
    if (!valid_s)
        valid_s = enroll ? 3600 : 90 * 86400;
    if (valid_s > (uint64_t)(enroll ? TOKEN_ENROLL_MAX_S : TOKEN_API_MAX_S)) {
        http_problem_field(a, 422, "valid_s", "choose a shorter time", "valid_s: at most %d",
                           enroll ? TOKEN_ENROLL_MAX_S : TOKEN_API_MAX_S);
        return;
    }
    r = enroll ? token_new_enroll(app->store, q->who->actor, name, ca_fingerprint(app->ca),
                                  clock_unix_s(), (int64_t)valid_s, token)
               : token_new_api(app->store, q->who->actor, name, role, &scope, clock_unix_s(),
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
    int r = token_revoke(app->store, q->who->actor, q->param);

    if (r < 0)
        app_fail(a, r, "token");
    else
        http_ok(a, NULL);
}

static void get_audit(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const char *before = http_query(q, "before");
    struct page page;
    uint64_t n = 0;
    json_t *list = NULL;
    int r;

    if (!page_read(q, &page, a))
        return;
    if (page.after[0])
        before = page.after;
    if (before && number_parse(before, strlen(before), INT64_MAX, &n) < 0) {
        http_problem(a, 400, "before must be a number");
        return;
    }
    r = audit_list(app->store, n, page.is_asked ? page.limit + 1 : 200, &list);
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

#define FLOWS_QUERY                                                                                \
    "since:age (5m) or time,until:age or time,from:endpoint or address,to:endpoint or address,"    \
    "endpoint:at either end,verdict:allow or deny or would-deny or seen or seen-deny (the last "   \
    "two "                                                                                         \
    "by others than enforcers),denied:set: only denied and would-be denied,rule:id,"               \
    "process:program file,user:name,port:number or tcp/443,reporter:who told it"
/* For lists; app_page() reads them. */
#define PAGED                                                                                      \
    "limit:at most so many; next then says where more begin,cursor:next of the page before"

#define FILES "[{\"name\": \"shop.yaml\", \"text\": \"suimitsu: 1\\n...\"}]"

const struct http_route app_routes[] = {
    {HTTP_METHOD_GET, "/api/v1/status", RIGHT_READ | SCOPE_WITHIN, get_status,
     "Revision, enforcers, what awaits confirmation", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy", RIGHT_READ, get_policy,
     "The policy's files; its version is the ETag", "version:an older version," VIEW_QUERY, NULL},
    {HTTP_METHOD_PUT, "/api/v1/policy", RIGHT_TRY | LARGE_BODY, put_policy,
     "Checks, compiles and applies a policy, and an inventory with it; If-Match: the version that "
     "it was written against, base: those that it was compared with; dry_run: changes nothing and "
     "says what it would mean; force: a reason to override failing tests and proofs",
     NULL,
     "{\"files\": " FILES
     ", \"inventory\": [], \"confirm_s\": 300, \"comment\": \"CHG-1234\", \"dry_run\": false, "
     "\"base\": {\"policy\": 12, \"inventory\": 12}, \"force\": \"the shop is down, CHG-1234\"}"},
    {HTTP_METHOD_GET, "/api/v1/policy/history", RIGHT_READ, get_policy_history,
     "Versions, newest first", PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/findings", RIGHT_READ | LONG_ANSWER, get_findings,
     "What is wrong or suspicious in the policy in force, failing tests and proofs included",
     VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/rules", RIGHT_READ, get_rules,
     "The rules in force, each with its sentence", "language:en or ja," PAGED "," VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/proofs", RIGHT_READ | LONG_ANSWER, get_proofs,
     "The proofs of the policy in force, with paths and over what each was computed", VIEW_QUERY,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/coverage", RIGHT_READ | LONG_ANSWER, get_coverage,
     "Which tests and proofs notice the loss of each rule and group; as an operation only", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/radius", RIGHT_READ | LONG_ANSWER, get_radius,
     "Whom the fall of an endpoint or group reaches, hop by hop; without from the ten furthest",
     "from:group or endpoint,hops:no further than this,inside:set: nobody comes back from "
     "outside," VIEW_QUERY,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/diff", RIGHT_READ, get_policy_diff,
     "What changed in meaning from one version to another, with the inventory of now",
     "from:the older version,to:the newer one (absent: the one in force)", NULL},
    {HTTP_METHOD_GET, "/api/v1/policy/drafts", RIGHT_READ, get_drafts,
     "Changes that wait for somebody to apply them, without their files", PAGED, NULL},
    {HTTP_METHOD_POST, "/api/v1/policy/drafts", RIGHT_DRAFT | LARGE_BODY, post_drafts,
     "Proposes a change; it must be one that could be applied now", NULL,
     "{\"files\": " FILES ", \"inventory\": [], \"comment\": \"CHG-1234\"}"},
    {HTTP_METHOD_GET, "/api/v1/policy/drafts/{id}", RIGHT_READ, get_draft, "One draft", NULL, NULL},
    {HTTP_METHOD_DELETE, "/api/v1/policy/drafts/{id}", RIGHT_TRY, delete_draft,
     "Withdraws a draft: its author, or who may apply it", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/policy/drafts/{id}/apply", RIGHT_APPLY, post_draft_apply,
     "Applies a draft; 412 when something else is in force than when it was proposed", NULL,
     "{\"confirm_s\": 300}"},
    {HTTP_METHOD_POST, "/api/v1/policy/confirm", RIGHT_APPLY, post_confirm,
     "Keeps what was applied with confirm_s", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/policy/rollback", RIGHT_APPLY, post_rollback,
     "Applies an older version again, as a new one", NULL,
     "{\"version\": 12, \"confirm_s\": 0, \"force\": \"the new policy stopped the shop\"}"},
    {HTTP_METHOD_GET, "/api/v1/inventory", RIGHT_READ, get_inventory,
     "The inventory's files; its version is the ETag", "version:an older version," VIEW_QUERY,
     NULL},
    {HTTP_METHOD_PUT, "/api/v1/inventory", RIGHT_TRY | LARGE_BODY, put_inventory,
     "Checks, compiles and applies an inventory; If-Match as for the policy", NULL,
     "{\"files\": " FILES ", \"confirm_s\": 0, \"comment\": \"\", \"dry_run\": false, \"base\": "
     "{\"policy\": 12, \"inventory\": 12}, \"force\": \"db2 moves tonight, CHG-1235\"}"},
    {HTTP_METHOD_GET, "/api/v1/inventory/history", RIGHT_READ, get_inventory_history,
     "Versions, newest first", PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints", RIGHT_READ | SCOPE_WITHIN, get_endpoints,
     "Endpoints with labels, addresses, groups and trust", PAGED "," VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints/{name}", RIGHT_READ | SCOPE_PARAM, get_endpoint,
     "One endpoint", VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/endpoints/{name}/if-owned", RIGHT_READ, get_if_owned,
     "Its enforcers, which of them still hold when somebody owns it, and who is then open to it",
     VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/unprotected", RIGHT_READ | LONG_ANSWER, get_unprotected,
     "Where nobody carries out what the policy denies: no enforcer, agent only, plain switch",
     "reason:a list of no-enforcer and agent-only and plain-switch and "
     "guessed-identity," VIEW_QUERY,
     NULL},
    {HTTP_METHOD_POST, "/api/v1/endpoints/{name}/quarantine", RIGHT_TRUST | SCOPE_PARAM,
     post_quarantine, "Makes an endpoint black, at once everywhere", NULL,
     "{\"reason\": \"beacon to 203.0.113.9\"}"},
    {HTTP_METHOD_POST, "/api/v1/endpoints/{name}/release", RIGHT_TRUST | SCOPE_PARAM, post_release,
     "Makes an endpoint white again", NULL, "{\"reason\": \"reinstalled\"}"},
    {HTTP_METHOD_GET, "/api/v1/groups", RIGHT_READ, get_groups, "Groups and their members",
     PAGED "," VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/groups/{name}", RIGHT_READ, get_group, "One group", VIEW_QUERY,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/services", RIGHT_READ, get_services, "Named services",
     PAGED "," VIEW_QUERY, NULL},
    {HTTP_METHOD_GET, "/api/v1/timeline", RIGHT_READ, get_timeline,
     "What changed when: policy, inventory, trust, and notes, newest first",
     "since:time or age,until:time or age,before:revision of the oldest one known,max:how many at "
     "most",
     NULL},
    {HTTP_METHOD_POST, "/api/v1/timeline", RIGHT_TRUST, post_timeline,
     "A note at this moment; detect_ms, contain_ms: what a drill has measured", NULL,
     "{\"comment\": \"drill from pc1: 3 of 8 hosts\", \"detect_ms\": 420}"},
    {HTTP_METHOD_GET, "/api/v1/timeline/diff", RIGHT_READ, get_timeline_diff,
     "What changed in meaning from one instant to another: policy, inventory and trust",
     "from:time or age,to:time or age (absent: now)", NULL},
    {HTTP_METHOD_GET, "/api/v1/enforcers", RIGHT_READ | SCOPE_WITHIN, get_enforcers,
     "Wanted and running revision and state of each enforcer", PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/enforcers/{name}", RIGHT_READ | SCOPE_PARAM, get_enforcer,
     "One enforcer", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/enforcers/{name}/control", RIGHT_TRUST | SCOPE_PARAM, post_control,
     "Asks an agent to report, verify or resync", NULL, "{\"verb\": \"verify\", \"count\": 1}"},
    {HTTP_METHOD_GET, "/api/v1/exporters", RIGHT_READ, get_exporters,
     "Network gear that tells flows: templates, records, what is lost and refused; and who sends "
     "without being believed",
     PAGED, NULL},
    {HTTP_METHOD_POST, "/api/v1/why", RIGHT_READ | SCOPE_WITHIN, post_why,
     "Verdict and reasons for a connection: every condition, the nearest allows, and what would "
     "change it; protocol and port may stand for service, and labels are of an end that the "
     "inventory lacks.  Of the past: whether today differs",
     VIEW_QUERY,
     "{\"from\": \"web9\", \"from_labels\": {\"app\": \"shop\"}, \"to\": \"db1\", \"service\": "
     "\"postgres\", \"process\": \"/opt/shop/bin/orders\"}"},
    {HTTP_METHOD_GET, "/api/v1/flows", RIGHT_READ | SCOPE_WITHIN | SLOW_ANSWER, get_flows,
     "Reported connections from the history, a page of the newest, oldest first; next is the "
     "cursor "
     "of the page before them, last the number for after; incomplete says what agents lost in the "
     "window",
     FLOWS_QUERY ",max:how many at most,cursor:next of the page that is known,after:number of the "
                 "last one known: those that came since,wait:set: answer when there "
                 "is something or after 30 s",
     NULL},
    {HTTP_METHOD_GET, "/api/v1/flows/rare", RIGHT_READ | SLOW_ANSWER, get_flows_rare,
     "Connections that stand out, each with its reasons: first seen, seen once, a program that "
     "never "
     "did that, scan-like",
     "since:age or time (absent: 24h),kind:a list of new and once and program and scan (absent: "
     "all),max:of each kind at most",
     NULL},
    {HTTP_METHOD_POST, "/api/v1/flows/import", RIGHT_ADMIN, post_flows_import,
     "A batch of a file of flow logs: file is a sum of its content, batches count from 1, and none "
     "counts twice.  A record is [reporter, first and last in ms, addresses, ports, protocol, "
     "allow or deny, connections, bytes out and in, marks: 2 direction guessed, 4 estimated]",
     NULL,
     "{\"file\": \"00c0ffee00c0ffee\", \"batch\": 1, \"origin\": \"aws\", \"reporters\": "
     "[\"eni-1235b8ca\"], \"missing\": 0, \"records\": [[0, 1795300000000, 1795300060000, "
     "\"10.0.0.1\", \"10.0.0.2\", 40000, 5432, 6, \"allow\", 1, 2100, 4249, 2]]}"},
    {HTTP_METHOD_GET, "/api/v1/edges", RIGHT_READ | SLOW_ANSWER, get_edges,
     "Who talks to whom and how: connections added up, each counted once though both ends told it, "
     "the busiest first",
     FLOWS_QUERY ",max:how many at most,by:this label stands for endpoints,split:port: groups stay "
                 "apart by protocol and port",
     NULL},
    {HTTP_METHOD_GET, "/api/v1/rules/use", RIGHT_READ | SLOW_ANSWER, get_rules_use,
     "Hits, first and last use of every rule in force, and of those that were used in the window",
     "since:age (5m) or time,until:age or time," PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/rules/hygiene", RIGHT_READ | SLOW_ANSWER, get_rules_hygiene,
     "Of every rule in force: used or not, or why that is not known; last hit, trend; what it is "
     "wider than, and a narrower rule that blocks nothing recorded",
     "since:age or time (absent: 90d),rule:only this id", NULL},
    {HTTP_METHOD_POST, "/api/v1/try", RIGHT_TRY | LARGE_BODY | SLOW_ANSWER, post_try,
     "What a candidate policy would have done with the recorded flows; changes nothing.  files, "
     "inventory: absent for those in force; delete: rules of it that count as gone; since: 30d "
     "when absent; operation: 202 at once, and the answer as that of an operation",
     NULL,
     "{\"files\": " FILES
     ", \"delete\": [], \"since\": \"30d\", \"max\": 1000, \"operation\": true}"},
    {HTTP_METHOD_GET, "/api/v1/notices", RIGHT_READ | SCOPE_WITHIN, get_notices,
     "What agents noticed: tampering, replaced programs", PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/tokens", RIGHT_AUDIT, get_tokens, "Tokens, without their secrets",
     PAGED, NULL},
    {HTTP_METHOD_POST, "/api/v1/tokens", RIGHT_ADMIN | SECRET_ANSWER, post_tokens,
     "A new token, shown this once: kind enroll (endpoint), or api (name, role, and for viewer and "
     "operator a scope)",
     NULL, "{\"kind\": \"enroll\", \"endpoint\": \"web1\", \"valid_s\": 3600}"},
    {HTTP_METHOD_DELETE, "/api/v1/tokens/{id}", RIGHT_ADMIN, delete_token, "Revokes a token", NULL,
     NULL},
    {HTTP_METHOD_GET, "/api/v1/audit", RIGHT_AUDIT, get_audit, "Who changed what, newest first",
     "before:number of the oldest one known," PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/audit/verify", RIGHT_AUDIT, get_audit_verify,
     "Whether the chain of the audit log is whole", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/login", RIGHT_NONE | SECRET_BODY, post_login,
     "Opens a session, whose cookie comes back; 401: wrong, 429: too often", NULL,
     "{\"name\": \"mika\", \"password\": \"...\"}"},
    {HTTP_METHOD_POST, "/api/v1/logout", RIGHT_SELF | SCOPE_FREE, post_logout, "Ends the session",
     NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/me", RIGHT_SELF | SCOPE_FREE, get_me,
     "Who asks: role, rights, scope", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/me/password", RIGHT_SELF | SCOPE_FREE | SECRET_BODY,
     post_my_password, "Changes one's own password, and ends all one's sessions", NULL,
     "{\"old\": \"...\", \"new\": \"...\"}"},
    {HTTP_METHOD_GET, "/api/v1/accounts", RIGHT_AUDIT, get_accounts, "Accounts, without hashes",
     PAGED, NULL},
    {HTTP_METHOD_POST, "/api/v1/accounts", RIGHT_ADMIN | SECRET_BODY, post_accounts,
     "A new account; scope for viewer and operator only", NULL,
     "{\"name\": \"mika\", \"role\": \"operator\", \"scope\": {\"site\": \"tokyo\"}, "
     "\"password\": \"...\"}"},
    {HTTP_METHOD_PUT, "/api/v1/accounts/{name}", RIGHT_ADMIN, put_account,
     "Another role or scope, or whether it may log in; what is left out stays", NULL,
     "{\"role\": \"operator\", \"scope\": {\"site\": \"tokyo\"}, \"disabled\": false}"},
    {HTTP_METHOD_DELETE, "/api/v1/accounts/{name}", RIGHT_ADMIN, delete_account,
     "Removes an account and ends its sessions", NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/accounts/{name}/password", RIGHT_ADMIN | SECRET_BODY,
     post_account_password, "Sets an account's password, and ends its sessions", NULL,
     "{\"password\": \"...\"}"},
    {HTTP_METHOD_GET, "/api/v1/sessions", RIGHT_AUDIT, get_sessions, "Who is logged in",
     "account:of this one only," PAGED, NULL},
    {HTTP_METHOD_GET, "/api/v1/events", RIGHT_READ | SCOPE_WITHIN, get_events,
     "What happens, as server-sent events; Last-Event-ID goes on where one was",
     "topics:a list of flows and alerts and enforcers and policy and audit and trust and "
     "operations (absent: all "
     "that one may see),after:as Last-Event-ID",
     NULL},
    {HTTP_METHOD_POST, "/api/v1/operations", RIGHT_READ | SCOPE_WITHIN, post_operations,
     "Asks a question that may take long beside the others; 202 with the operation", NULL,
     "{\"get\": \"/api/v1/policy/findings\"}"},
    {HTTP_METHOD_GET, "/api/v1/operations", RIGHT_READ | SCOPE_WITHIN, get_operations,
     "One's own operations (an admin: all), newest first", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/operations/{id}", RIGHT_READ | SCOPE_WITHIN, get_operation,
     "State of an operation, how far it is (done of total, percent), and when it is done its "
     "result: status and body",
     NULL, NULL},
    {HTTP_METHOD_POST, "/api/v1/operations/{id}/cancel", RIGHT_READ | SCOPE_WITHIN,
     post_operation_cancel, "Ends an operation", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/console/layout", RIGHT_READ, get_layout,
     "Where the compartments of the map stand that somebody has moved", "by:group or label:NAME",
     NULL},
    {HTTP_METHOD_PUT, "/api/v1/console/layout", RIGHT_TRUST, put_layout,
     "Sets these places; none: they are worked out again", NULL,
     "{\"by\": \"label:site\", \"places\": {\"tokyo\": [120, 40]}}"},
    {HTTP_METHOD_GET, "/api/v1/console/views", RIGHT_SELF | SCOPE_FREE, get_saved_views,
     "Views of the console that the account has saved", NULL, NULL},
    {HTTP_METHOD_PUT, "/api/v1/console/views", RIGHT_SELF | SCOPE_FREE, put_saved_views,
     "Sets them, all at once", NULL,
     "{\"views\": [{\"name\": \"denied in tokyo\", \"address\": \"#/flows?denied=1\"}]}"},
    {HTTP_METHOD_GET, "/api/v1/ca", RIGHT_NONE, get_ca, "The authority's certificate", NULL, NULL},
    {HTTP_METHOD_GET, "/api/v1/openapi.json", RIGHT_NONE, get_openapi, "This table", NULL, NULL},
    {HTTP_METHOD_GET, "/metrics", RIGHT_METRICS | SCOPE_FREE, get_metrics,
     "Numbers for Prometheus, in its text format", NULL, NULL},
    {HTTP_METHOD_GET, "/", RIGHT_NONE, get_root, "Leads to the web console", NULL, NULL},
    {HTTP_METHOD_GET, "/ui/", RIGHT_NONE, get_ui, "The web console", NULL, NULL},
    {HTTP_METHOD_GET, "/ui/{file*}", RIGHT_NONE, get_ui_file,
     "A file of the web console; its page for any other path without a dot in its last part", NULL,
     NULL},
};
const size_t app_n_routes = ARRAY_SIZE(app_routes);
