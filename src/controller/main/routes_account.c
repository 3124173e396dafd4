/* SPDX-License-Identifier: Apache-2.0 */
/* Who one is: logging in and out, accounts, sessions. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/log.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "core/address.h"
#include "sys/clock.h"

enum {
    PAIR_LIMIT = 5,
    ADDRESS_LIMIT = 30,
    ACCOUNT_LIMIT = 50,
    FAILURES_AUDITED = 30,
    HOUR_S = 3600
};

struct keys { /* By which attempts are counted. */
    char pair[THROTTLE_KEY_SIZE], address[THROTTLE_KEY_SIZE], account[THROTTLE_KEY_SIZE];
};

/* ---- how often somebody may try ---- */

/* IPv6: who has one address has the whole /64. */
static void network_of(const char *text, char network[ADDRESS_TEXT_SIZE])
{
    struct address a;

    (void)snprintf(network, ADDRESS_TEXT_SIZE, "%.45s", text);
    if (address_parse(network, &a) < 0 || address_is_v4(&a))
        return;
    memset(a.bytes + 8, 0, 8);
    (void)address_format(&a, network);
}

static void make_keys(const char *account, const char *address, struct keys *k)
{
    char network[ADDRESS_TEXT_SIZE];

    network_of(address, network);
    (void)snprintf(k->pair, sizeof(k->pair), "pair %.63s %s", account, network);
    (void)snprintf(k->address, sizeof(k->address), "address %s", network);
    (void)snprintf(k->account, sizeof(k->account), "account %.63s", account);
}

/* True, with a problem, when there were too many attempts. */
static bool refuse_often(struct app *app, const struct keys *k, struct http_response *a)
{
    uint32_t wait_s = throttle_try(app->throttle, k->address, ADDRESS_LIMIT, clock_unix_s());

    if (!wait_s)
        wait_s = throttle_try(app->throttle, k->pair, PAIR_LIMIT, clock_unix_s());
    if (!wait_s)
        wait_s = throttle_try(app->throttle, k->account, ACCOUNT_LIMIT, clock_unix_s());
    if (!wait_s)
        return false;
    app->logins.n_throttled++;
    http_problem(a, 429, "too many attempts to log in; try again in %u s", wait_s);
    http_header(a, "Retry-After", "%u", wait_s);
    return true;
}

static void was_right(struct app *app, const struct keys *k)
{
    throttle_take_back(app->throttle, k->address);
    throttle_forget(app->throttle, k->pair);
    throttle_forget(app->throttle, k->account);
}

/* An attacker must not be able to push the audit's entries out with his own: FAILURES_AUDITED an
 * hour are written, and how many were not. */
static void audit_failure(struct app *app, const char *name, const char *address)
{
    struct app_logins *l = &app->logins;
    char object[WHO_NAME_SIZE + 16], detail[2 * WHO_NAME_SIZE + 64];

    l->n_failed++;
    if (clock_unix_s() >= l->hour_s + HOUR_S) {
        l->hour_s = clock_unix_s();
        l->n_audited = 0;
    }
    log_warn("login as \"%.63s\" from %s failed", account_name_is_good(name) ? name : "?", address);
    if (l->n_audited++ >= FAILURES_AUDITED) {
        l->n_unwritten++;
        return;
    }
    (void)snprintf(object, sizeof(object), "account %.63s",
                   account_name_is_good(name) ? name : "?");
    (void)snprintf(detail, sizeof(detail), "from %.63s; %llu more before were not written", address,
                   (unsigned long long)l->n_unwritten);
    l->n_unwritten = 0;
    app_audit(app, "nobody", "login.failed", object, detail);
}

/* ---- jobs for the passwords' threads ---- */

static void wake(void *user)
{
    struct app *app = user;

    if (app->server)
        server_wake_now(app->server);
}

/* Starts 'job' for this request, which waits for it.  Takes it. */
static void start_job(struct app *app, const struct http_request *q, struct http_response *a,
                      struct password_job *job)
{
    job->tell = wake;
    job->user = app;
    if (!app->passwords || !q->job || q->last_chance ||
        password_job_start(job, app->passwords) < 0) {
        password_job_drop(job);
        http_problem(a, 503, "too many passwords are being checked now; try again");
        http_header(a, "Retry-After", "2");
        return;
    }
    q->job->data = job;
    q->job->free = password_job_drop;
    a->status = 0;
}

/* The job of this request; NULL: none was started. */
static struct password_job *job_of(const struct http_request *q)
{
    return q->job ? q->job->data : NULL;
}

static const char *short_text(const json_t *body, const char *key, size_t max)
{
    const json_t *v = json_object_get(body, key);

    return json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) <= max &&
                   strlen(json_string_value(v)) == json_string_length(v)
               ? json_string_value(v)
               : NULL;
}

/* jansson frees without wiping. */
static void wipe_text(const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);

    if (json_is_string(v))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(v), json_string_length(v));
}

/* ---- login ---- */

static json_t *rights_json(enum role role)
{
    static const char *const names[] = {"read",  "self",  "audit", "trust",  "try",
                                        "draft", "apply", "admin", "metrics"};
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (role_rights(role) & (1u << i))
            (void)json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *me_json(const struct app *app, const struct who *w)
{
    json_t *scope = scope_is_set(&w->scope) ? json_pack("{s:s}", w->scope.label, w->scope.value)
                                            : json_object();

    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:b}", "actor", w->actor, "account", w->account,
                     "role", role_name(w->role), "rights", rights_json(w->role), "scope",
                     scope ? scope : json_object(), "session", w->session[0] != 0, "four_eyes",
                     app->four_eyes);
}

static void set_cookie(struct http_response *a, const char *value, int max_age_s)
{
    http_header(a, "Set-Cookie", "%s=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%d",
                SERVER_COOKIE, value, max_age_s);
}

static void finish_login(struct app *app, const struct http_request *q, struct http_response *a,
                         struct password_job *job)
{
    char cookie[SESSION_COOKIE_SIZE];
    struct who who = {.role = ROLE_NONE};
    struct account account;
    struct keys keys;
    int r = account_get(app->store, job->account, &account);

    make_keys(job->account, q->who->address, &keys);
    /* The hash must still be the one that was compared: it may have changed meanwhile. */
    if (!job->is_right || r < 0 || account.disabled || strcmp(account.hash, job->encoded) != 0) {
        audit_failure(app, job->account, q->who->address);
        http_problem(a, 401, "wrong name or password");
        return;
    }
    was_right(app, &keys);
    r = session_new(app->store, &account, q->who->address, clock_unix_s(), cookie);
    if (r == 0)
        r = session_check(app->store, cookie, clock_unix_s(), &who);
    if (r < 0) {
        app_fail(a, r, "session");
        return;
    }
    app->logins.n_good++;
    set_cookie(a, cookie, SESSION_LIFE_S);
    OPENSSL_cleanse(cookie, sizeof(cookie));
    http_ok(a, me_json(app, &who));
    (void)json_object_set_new(a->json, "idle_s", json_integer(SESSION_IDLE_S));
    (void)json_object_set_new(a->json, "life_s", json_integer(SESSION_LIFE_S));
}

void post_login(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"name", "password"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = NULL;
    struct account account = {.hash = ""};
    const char *name, *password;
    struct password_job *job = job_of(q);
    struct keys keys;

    if (job) {
        a->status = 0;
        if (job->is_done)
            finish_login(app, q, a, job);
        return;
    }
    body = app_body(q, a, fields, ARRAY_SIZE(fields));
    if (!body)
        return;
    name = short_text(body, "name", WHO_NAME_SIZE - 1);
    password = short_text(body, "password", PASSWORD_MAX);
    if (!name || !password) {
        http_problem_field(a, 422, name ? "password" : "name", "{\"name\": ..., \"password\": ...}",
                           "expected a name and a password");
        return;
    }
    make_keys(name, q->who->address, &keys);
    if (refuse_often(app, &keys, a))
        return;
    if (account_get(app->store, name, &account) < 0)
        account.hash[0] = 0; /* Takes as long as if there were one. */
    job = password_job_new(account.hash, password, NULL);
    (void)snprintf(job->account, sizeof(job->account), "%s", name);
    start_job(app, q, a, job);
    wipe_text(body, "password");
}

void post_logout(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = q->who->session[0] ? session_end(app->store, q->who->actor, q->who->session) : -ENOENT;

    if (r == -ENOENT)
        http_problem(a, 404, "there is no session to end");
    else if (r < 0)
        app_fail(a, r, "session");
    else
        http_ok(a, NULL);
    if (r == 0)
        set_cookie(a, "", 0);
}

void get_me(void *user, const struct http_request *q, struct http_response *a)
{
    http_ok(a, me_json(user, q->who));
}

/* ---- passwords ---- */

static void finish_password(struct app *app, const struct http_request *q, struct http_response *a,
                            struct password_job *job)
{
    int r;

    if (!job->is_right) {
        audit_failure(app, job->account, q->who->address);
        http_problem(a, 403, "the old password is wrong");
        return;
    }
    if (!job->hash[0]) {
        http_problem(a, 503, "there is no memory for hashing now; nothing was changed");
        return;
    }
    r = account_set_password(app->store, q->who->actor, job->account, job->hash, clock_unix_s());
    if (r < 0)
        app_fail(a, r, job->account);
    else
        http_ok(a, json_pack("{s:s}", "account", job->account));
}

/* Checks the new password of a body and starts its hashing. */
static void start_password(struct app *app, const struct http_request *q, struct http_response *a,
                           const char *account, const char *encoded, const char *old,
                           const char *next)
{
    const char *problem = next ? password_problem(account, next) : "a text of 12 to 256 bytes";
    struct password_job *job;

    if (problem) {
        http_problem_field(a, 422, encoded ? "new" : "password", "choose another one", "%s",
                           problem);
        return;
    }
    job = password_job_new(encoded, old ? old : "", next);
    (void)snprintf(job->account, sizeof(job->account), "%s", account);
    start_job(app, q, a, job);
}

void post_my_password(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"old", "new"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = NULL;
    struct password_job *job = job_of(q);
    struct account account;
    struct keys keys;

    if (job) {
        a->status = 0;
        if (job->is_done)
            finish_password(app, q, a, job);
        return;
    }
    if (!q->who->account[0] || account_get(app->store, q->who->account, &account) < 0) {
        http_problem(a, 404, "you have no account: a token and root have no password");
        return;
    }
    body = app_body(q, a, fields, ARRAY_SIZE(fields));
    if (!body)
        return;
    make_keys(account.name, q->who->address, &keys);
    if (refuse_often(app, &keys, a))
        return;
    start_password(app, q, a, account.name, account.hash, short_text(body, "old", PASSWORD_MAX),
                   short_text(body, "new", PASSWORD_MAX));
    wipe_text(body, "old");
    wipe_text(body, "new");
}

void post_account_password(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"password"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = NULL;
    struct password_job *job = job_of(q);
    struct account account;

    if (job) {
        a->status = 0;
        if (job->is_done)
            finish_password(app, q, a, job);
        return;
    }
    if (account_get(app->store, q->param, &account) < 0) {
        http_problem(a, 404, "no account \"%s\"", q->param);
        return;
    }
    body = app_body(q, a, fields, ARRAY_SIZE(fields));
    if (!body)
        return;
    start_password(app, q, a, account.name, NULL, NULL, short_text(body, "password", PASSWORD_MAX));
    wipe_text(body, "password");
}

/* ---- accounts ---- */

void get_accounts(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    json_t *list = NULL;
    int r = account_list(app->store, &list);

    (void)q;
    if (r < 0)
        app_fail(a, r, "accounts");
    else
        http_ok(a, list);
}

bool app_scope(const json_t *body, enum role role, struct scope *ret_scope, struct http_response *a)
{
    const json_t *scope = json_object_get(body, "scope"), *value;
    const char *label = NULL, *text;
    void *first = json_object_iter((json_t *)(uintptr_t)scope);

    *ret_scope = (struct scope){.label = ""};
    if (!scope || (json_is_object(scope) && json_object_size(scope) == 0))
        return true;
    label = json_object_size(scope) == 1 ? json_object_iter_key(first) : NULL;
    value = label ? json_object_get(scope, label) : NULL;
    text = json_is_string(value) ? json_string_value(value) : "";
    if (!label || !label[0] || !text[0] || strlen(label) >= sizeof(ret_scope->label) ||
        strlen(text) >= sizeof(ret_scope->value)) {
        http_problem_field(a, 422, "scope", "{\"site\": \"tokyo\"}",
                           "expected one label with its value");
        return false;
    }
    if (!role_takes_scope(role)) {
        http_problem_field(a, 422, "scope", "leave it out, or choose viewer or operator",
                           "the role %s cannot be limited: policy, audit and accounts are of the "
                           "whole",
                           role_name(role));
        return false;
    }
    (void)snprintf(ret_scope->label, sizeof(ret_scope->label), "%s", label);
    (void)snprintf(ret_scope->value, sizeof(ret_scope->value), "%s", text);
    return true;
}

struct new_account {
    struct account account;
    const char *password;
};

static bool read_account(const json_t *body, struct new_account *n, struct http_response *a)
{
    const char *name = json_text(body, "name"), *problem;

    n->password = short_text(body, "password", PASSWORD_MAX);
    if (!account_name_is_good(name)) {
        http_problem_field(a, 422, "name", "use letters, digits, '-', '_' and '.'",
                           "expected 1 to 63 letters, digits, '-', '_' or '.'");
        return false;
    }
    if (role_parse(json_text(body, "role"), &n->account.role) < 0 ||
        n->account.role == ROLE_SCRAPER) {
        http_problem_field(a, 422, "role", "\"role\": \"viewer\"",
                           "expected viewer, auditor, operator, editor, approver or admin");
        return false;
    }
    if (!app_scope(body, n->account.role, &n->account.scope, a))
        return false;
    problem = n->password ? password_problem(name, n->password) : "expected 12 to 256 bytes";
    if (problem) {
        http_problem_field(a, 422, "password", "choose another one", "%s", problem);
        return false;
    }
    (void)snprintf(n->account.name, sizeof(n->account.name), "%s", name);
    return true;
}

static void finish_account(struct app *app, const struct http_request *q, struct http_response *a,
                           struct new_account *n, const struct password_job *job)
{
    int r;

    if (!job->hash[0]) {
        http_problem(a, 503, "there is no memory for hashing now; nothing was changed");
        return;
    }
    (void)snprintf(n->account.hash, sizeof(n->account.hash), "%s", job->hash);
    r = account_add(app->store, q->who->actor, &n->account, clock_unix_s());
    if (r == -EEXIST)
        http_problem(a, 409, "there is an account \"%s\" already", n->account.name);
    else if (r < 0)
        app_fail(a, r, "account");
    else
        http_ok(
            a, json_pack("{s:s,s:s}", "name", n->account.name, "role", role_name(n->account.role)));
}

void post_accounts(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"name", "role", "scope", "password"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = NULL;
    struct password_job *job = job_of(q);
    struct new_account n = {.password = NULL};
    struct account before;

    a->status = 0;
    if (job && !job->is_done)
        return;
    body = app_body(q, a, fields, ARRAY_SIZE(fields));
    if (!body || !read_account(body, &n, a))
        return;
    if (job)
        finish_account(app, q, a, &n, job);
    else if (account_get(app->store, n.account.name, &before) != -ENOENT)
        http_problem(a, 409, "there is an account \"%s\" already", n.account.name);
    else
        start_job(app, q, a, password_job_new(NULL, "", n.password));
    wipe_text(body, "password");
}

void delete_account(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = account_remove(app->store, q->who->actor, q->param);

    if (r == -ENOENT)
        http_problem(a, 404, "no account \"%s\"", q->param);
    else if (r < 0)
        app_fail(a, r, "account");
    else
        http_ok(a, NULL);
}

void get_sessions(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    json_t *list = NULL;
    int r = session_list(app->store, http_query(q, "account"), &list);

    if (r < 0)
        app_fail(a, r, "sessions");
    else
        http_ok(a, list);
}
