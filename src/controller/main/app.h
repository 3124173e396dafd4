/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - the running controller: its parts, and the handlers of its routes */
#pragma once

#include "controller/api/events.h"
#include "controller/api/http.h"
#include "controller/api/server.h"
#include "controller/api/webfiles.h"
#include "controller/auth/accounts.h"
#include "controller/auth/ca.h"
#include "controller/auth/throttle.h"
#include "controller/auth/tokens.h"
#include "controller/desired.h"
#include "controller/dist/dist.h"
#include "controller/exporters/exporters.h"
#include "controller/flows/flows.h"
#include "controller/past.h"
#include "store/store.h"
#include "sys/loop.h"

enum { APP_MAX_NOTICES = 1000 };

struct app_logins {
    uint64_t n_good, n_failed, n_throttled;
    int64_t hour_s; /* Of the failures that the audit was told of. */
    uint64_t n_audited, n_unwritten;
};

struct notify;
struct operations;

struct app {
    struct store *store;
    struct desired *desired;
    struct past *past;
    struct flows *flows;
    struct ca *ca;
    struct exporters *exporters; /* NULL: no flows of network gear are taken. */
    struct dist *dist;           /* NULL in tests of the routes alone. */
    struct server *server;       /* As above. */
    struct crew *passwords;      /* NULL: nobody can log in. */
    struct throttle *throttle;
    struct idempotency *idempotency; /* NULL: keys are not looked at. */
    struct operations *operations;   /* NULL: there are none. */
    struct notify *notify;           /* NULL: nobody is told. */
    struct events *events;           /* NULL in tests of the routes alone. */
    struct webfiles *web;            /* NULL: no console is installed. */
    struct births *births;           /* Since when the rules in force stand. */
    struct flows_evidence *use;      /* Of the rules in 'use_revision'; NULL: not looked at. */
    uint64_t use_revision;
    bool is_child; /* A process that answers one long question: it has no store and no history. */
    struct app_logins logins;
    bool four_eyes;   /* Nobody applies what he himself has proposed. */
    json_t *enrolled; /* Endpoints whose agent has, or had, a certificate: since when (Unix ms). */
    json_t *notices;  /* The last ones, oldest first. */
    uint64_t n_notices; /* Ever. */
    int64_t started_s;
};

extern const struct http_route app_routes[];
extern const size_t app_n_routes;

/* The joints between dist and its siblings; 'user' is the app. */
struct dist_hooks app_dist_hooks(struct app *app);
void app_authenticate(void *user, const char *token, const char *cookie, struct who *ret_who);
/* Whether he still is who he was: fills role and scope anew, ROLE_NONE when his session or token
 * has ended.  For answers that go on. */
void app_renew(struct app *app, struct who *w);
bool app_within(void *user, const char *endpoint, const struct scope *scope);

/* True when the asker has no scope, or the endpoint is within. */
bool app_sees(struct app *app, const struct who *who, const char *endpoint);

/* Leaves in a list of flow records those with one end at least within the asker's scope. */
void app_keep_flows(struct app *app, const struct who *who, json_t *flows);

/* One entry, in a transaction of its own. */
void app_audit(void *user, const char *actor, const char *action, const char *object,
               const char *detail);

/* Handlers of routes_policy.c. */
void get_policy(void *user, const struct http_request *q, struct http_response *a);
void put_policy(void *user, const struct http_request *q, struct http_response *a);
void get_policy_history(void *user, const struct http_request *q, struct http_response *a);
void get_policy_diff(void *user, const struct http_request *q, struct http_response *a);
void post_confirm(void *user, const struct http_request *q, struct http_response *a);
void post_rollback(void *user, const struct http_request *q, struct http_response *a);
void get_inventory(void *user, const struct http_request *q, struct http_response *a);
void put_inventory(void *user, const struct http_request *q, struct http_response *a);
void get_inventory_history(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_endpoints.c. */
void post_why(void *user, const struct http_request *q, struct http_response *a);
void get_endpoints(void *user, const struct http_request *q, struct http_response *a);
void get_endpoint(void *user, const struct http_request *q, struct http_response *a);
void get_groups(void *user, const struct http_request *q, struct http_response *a);
void get_group(void *user, const struct http_request *q, struct http_response *a);
void get_services(void *user, const struct http_request *q, struct http_response *a);
void post_quarantine(void *user, const struct http_request *q, struct http_response *a);
void post_release(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_account.c. */
void post_login(void *user, const struct http_request *q, struct http_response *a);
void post_logout(void *user, const struct http_request *q, struct http_response *a);
void get_me(void *user, const struct http_request *q, struct http_response *a);
void post_my_password(void *user, const struct http_request *q, struct http_response *a);
void get_accounts(void *user, const struct http_request *q, struct http_response *a);
void post_accounts(void *user, const struct http_request *q, struct http_response *a);
void delete_account(void *user, const struct http_request *q, struct http_response *a);
void post_account_password(void *user, const struct http_request *q, struct http_response *a);
void get_sessions(void *user, const struct http_request *q, struct http_response *a);

/* Handler of routes_people.c. */
void put_account(void *user, const struct http_request *q, struct http_response *a);

/* routes_events.c: the stream, and what feeds it. */
void get_events(void *user, const struct http_request *q, struct http_response *a);
int app_watch_events(struct app *app);                               /* Errors as store_watch(). */
void app_alert(struct app *app, const char *endpoint, json_t *data); /* Takes 'data'. */
void app_enforcer_changed(void *user, const char *endpoint);         /* NULL: many. */
void app_tell_operation(void *user, const char *owner, json_t *event); /* Takes 'event'. */

/* Handlers of routes_drafts.c, routes_metrics.c and routes_operations.c. */
void get_drafts(void *user, const struct http_request *q, struct http_response *a);
void post_drafts(void *user, const struct http_request *q, struct http_response *a);
void get_draft(void *user, const struct http_request *q, struct http_response *a);
void delete_draft(void *user, const struct http_request *q, struct http_response *a);
void post_draft_apply(void *user, const struct http_request *q, struct http_response *a);
void get_metrics(void *user, const struct http_request *q, struct http_response *a);
void post_operations(void *user, const struct http_request *q, struct http_response *a);
void get_operations(void *user, const struct http_request *q, struct http_response *a);
void get_operation(void *user, const struct http_request *q, struct http_response *a);
void post_operation_cancel(void *user, const struct http_request *q, struct http_response *a);

/* Answers as the table says; for operations. */
void app_answer_operation(void *user, bool is_child, struct http_request *q,
                          struct http_response *a);
/* What has begun becomes an operation, which 'a' tells of.  Takes the job. */
void app_adopt(struct app *app, const struct http_request *q, enum http_method method,
               const char *target, struct http_job *job, struct http_response *a);
/* The same for all of a request that has waited for long enough. */
void app_answer_late(struct app *app, const struct http_request *q, struct http_response *a);
void app_notify_metrics(struct app *app, struct buf *b);

/* Applies, or tries, a change whose body has a base of its own (drafts). */
void app_apply(struct app *app, const struct http_request *q, const json_t *body, bool dry_run,
               struct http_response *a);

/* Handlers of routes_web.c. */
void get_root(void *user, const struct http_request *q, struct http_response *a);
void get_ui(void *user, const struct http_request *q, struct http_response *a);
void get_ui_file(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_questions.c. */
void get_findings(void *user, const struct http_request *q, struct http_response *a);
void get_rules(void *user, const struct http_request *q, struct http_response *a);
void get_proofs(void *user, const struct http_request *q, struct http_response *a);
void get_coverage(void *user, const struct http_request *q, struct http_response *a);
void get_radius(void *user, const struct http_request *q, struct http_response *a);
void get_unprotected(void *user, const struct http_request *q, struct http_response *a);
void get_if_owned(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_past.c. */
void get_timeline(void *user, const struct http_request *q, struct http_response *a);
void post_timeline(void *user, const struct http_request *q, struct http_response *a);
void get_timeline_diff(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_console.c. */
void get_layout(void *user, const struct http_request *q, struct http_response *a);
void put_layout(void *user, const struct http_request *q, struct http_response *a);
void get_saved_views(void *user, const struct http_request *q, struct http_response *a);
void put_saved_views(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_flows.c. */
void get_flows(void *user, const struct http_request *q, struct http_response *a);
void get_edges(void *user, const struct http_request *q, struct http_response *a);
void get_rules_use(void *user, const struct http_request *q, struct http_response *a);

/* routes_exporters.c, routes_import.c */
void post_flows_import(void *user, const struct http_request *q, struct http_response *a);
void get_exporters(void *user, const struct http_request *q, struct http_response *a);
struct exporters_handlers app_exporters_handlers(struct app *app);

/* Callbacks of flows; 'user' is the app. */
struct flows_options app_flows_options(struct app *app);

/* Handler of routes_try.c. */
void post_try(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_hygiene.c. */
void get_flows_rare(void *user, const struct http_request *q, struct http_response *a);
void get_rules_hygiene(void *user, const struct http_request *q, struct http_response *a);

/* Looks up what the history knows of the rules in force: before a child is asked for findings. */
void app_know_use(struct app *app, const struct world *w, uint64_t revision);
/* Adds W-UNUSED to the findings of now. */
struct view;
void app_lint_use(struct app *app, const struct view *v, struct diagnostics *d);

/* Starts the question, or looks whether it is answered; NULL: 'a' says what is. */
json_t *app_flows_answer(struct app *app, const struct flows_question *f,
                         const struct http_request *q, struct http_response *a);

/* Files of a body, borrowed from it; the caller frees the list.  -EINVAL: not a list of {name,
 * text}. */
int app_files(const json_t *list, struct source **ret_sources, size_t *ret_n);

/* A problem for a negative result of store, desired and their like. */
void app_fail(struct http_response *a, int error, const char *what);

/* The body as a JSON object, or NULL and a problem.  'fields' are all that may be in it. */
json_t *app_body(const struct http_request *q, struct http_response *a, const char *const fields[],
                 size_t n_fields);

/* The "scope" of a body for a new account or token; false, with a problem, when it is none, or when
 * the role takes none. */
bool app_scope(const json_t *body, enum role role, struct scope *ret_scope,
               struct http_response *a);
