/* SPDX-License-Identifier: Apache-2.0 */
/* What an account may: role, scope, and whether it may log in at all. */
#include <errno.h>

#include "controller/json.h"
#include "controller/main/app.h"
#include "sys/clock.h"

/* What the body says; what it leaves out stays.  False, with a problem. */
static bool read_change(const json_t *body, struct account *x, struct http_response *a)
{
    const json_t *role = json_object_get(body, "role"),
                 *disabled = json_object_get(body, "disabled");

    if (role && (role_parse(json_text(body, "role"), &x->role) < 0 || x->role == ROLE_SCRAPER)) {
        http_problem_field(a, 422, "role", "\"role\": \"viewer\"",
                           "expected viewer, auditor, operator, editor, approver or admin");
        return false;
    }
    if (disabled && !json_is_boolean(disabled)) {
        http_problem_field(a, 422, "disabled", "\"disabled\": true", "expected true or false");
        return false;
    }
    if (disabled)
        x->disabled = json_is_true(disabled);
    if (json_object_get(body, "scope"))
        return app_scope(body, x->role, &x->scope, a);
    if (!scope_is_set(&x->scope) || role_takes_scope(x->role))
        return true;
    http_problem_field(a, 422, "scope", "\"scope\": {}",
                       "the account is limited to %s=%s, and the role %s cannot be", x->scope.label,
                       x->scope.value, role_name(x->role));
    return false;
}

void put_account(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"role", "scope", "disabled"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    struct account x;
    int r;

    if (!body)
        return;
    r = account_get(app->store, q->param, &x);
    if (r < 0) {
        if (r == -ENOENT)
            http_problem(a, 404, "no account \"%s\"", q->param);
        else
            app_fail(a, r, "account");
        return;
    }
    if (strcmp(x.name, q->who->account) == 0) { /* The last admin could not undo it. */
        http_problem(a, 409, "somebody else must change your own account");
        return;
    }
    if (!read_change(body, &x, a))
        return;
    r = account_change(app->store, q->who->actor, &x, clock_unix_s());
    if (r < 0)
        app_fail(a, r, "account");
    else
        http_ok(a, json_pack("{s:s,s:s,s:b}", "name", x.name, "role", role_name(x.role), "disabled",
                             x.disabled));
}
