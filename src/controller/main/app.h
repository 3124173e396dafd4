/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - the running controller: its parts, and the handlers of its routes */
#pragma once

#include "controller/api/http.h"
#include "controller/api/server.h"
#include "controller/auth/ca.h"
#include "controller/auth/tokens.h"
#include "controller/desired.h"
#include "controller/dist/dist.h"
#include "controller/flows/flows.h"
#include "store/store.h"
#include "sys/loop.h"

enum { APP_MAX_NOTICES = 1000 };

struct app {
    struct store *store;
    struct desired *desired;
    struct flows *flows;
    struct ca *ca;
    struct dist *dist;     /* NULL in tests of the routes alone. */
    struct server *server; /* As above. */
    json_t *notices;       /* The last ones, oldest first. */
    int64_t started_s;
};

extern const struct http_route app_routes[];
extern const size_t app_n_routes;

/* The joints between dist and its siblings; 'user' is the app. */
struct dist_hooks app_dist_hooks(struct app *app);
enum role app_authenticate(void *user, const char *token, char *ret_actor, size_t size);

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
void post_why(void *user, const struct http_request *q, struct http_response *a);
void get_endpoints(void *user, const struct http_request *q, struct http_response *a);
void get_endpoint(void *user, const struct http_request *q, struct http_response *a);
void get_groups(void *user, const struct http_request *q, struct http_response *a);
void get_group(void *user, const struct http_request *q, struct http_response *a);
void get_services(void *user, const struct http_request *q, struct http_response *a);
void post_quarantine(void *user, const struct http_request *q, struct http_response *a);
void post_release(void *user, const struct http_request *q, struct http_response *a);

/* Handlers of routes_questions.c. */
void get_findings(void *user, const struct http_request *q, struct http_response *a);
void get_proofs(void *user, const struct http_request *q, struct http_response *a);
void get_radius(void *user, const struct http_request *q, struct http_response *a);
void get_unprotected(void *user, const struct http_request *q, struct http_response *a);
void get_if_owned(void *user, const struct http_request *q, struct http_response *a);

/* A problem for a negative result of store, desired and their like. */
void app_fail(struct http_response *a, int error, const char *what);

/* The body as a JSON object, or NULL and a problem.  'fields' are all that may be in it. */
json_t *app_body(const struct http_request *q, struct http_response *a, const char *const fields[],
                 size_t n_fields);
