/* SPDX-License-Identifier: Apache-2.0 */
/* What joins dist to certificates, flows, notices and audit. */
#include <errno.h>
#include <stdio.h>

#include "base/date.h"
#include "base/log.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/main/notify.h"
#include "controller/main/operations.h"
#include "sys/clock.h"

static void agent_key(const char *endpoint, char key[STORE_KEY_SIZE])
{
    (void)snprintf(key, STORE_KEY_SIZE, "agent/%s", endpoint);
}

/* The certificates that count: the newest, and on renewal the one before it; and since when there
 * is an agent. */
static void put_serials(struct store_transaction *t, const char *endpoint, const char *serial,
                        const char *before, uint64_t since_ms)
{
    CLEANUP(json_decrefp)
    json_t *document = json_pack("{s:s,s:s,s:I,s:I}", "serial", serial, "before", before, "issued",
                                 (json_int_t)clock_unix_s(), "since_ms", (json_int_t)since_ms);
    CLEANUP(free_voidp) char *bytes = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    char key[STORE_KEY_SIZE];

    agent_key(endpoint, key);
    if (!bytes)
        abort(); /* Out of memory. */
    store_put(t, key, bytes, strlen(bytes));
}

static uint64_t enrolled_ms(void *user, const char *agent)
{
    const struct app *app = user;
    const json_t *since = json_object_get(app->enrolled, agent);

    return since ? (uint64_t)json_integer_value(since) : UINT64_MAX;
}

static int enroll(void *user, const char *token, const char *csr, char **ret_chain, char **ret_ca,
                  char ret_endpoint[PROGRAM_NAME_SIZE], const char **ret_why)
{
    struct app *app = user;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    char id[TOKEN_ID_SIZE], serial[TLS_SERIAL_SIZE], object[PROGRAM_NAME_SIZE + 16], detail[64];
    struct audit_entry entry = {.action = "agent.enroll", .object = object, .detail = detail};
    uint64_t since_ms;
    int r = token_use(app->store, t, token, clock_unix_s(), ret_endpoint, id, ret_why);

    if (r < 0)
        return r;
    *ret_why = "the certificate request is not sound";
    r = ca_issue_agent(app->ca, csr, ret_endpoint, CA_AGENT_LIFE_S, &chain, serial);
    if (r < 0)
        return r;
    (void)snprintf(object, sizeof(object), "agent %s", ret_endpoint);
    (void)snprintf(detail, sizeof(detail), "certificate %s", serial);
    entry.actor = object;
    since_ms = enrolled_ms(app, ret_endpoint);
    if (since_ms == UINT64_MAX)
        since_ms = clock_unix_ms();
    put_serials(t, ret_endpoint, serial, "", since_ms);
    *ret_why = "the store does not take it";
    r = audit_add(app->store, t, &entry);
    if (r == 0)
        r = store_commit(app->store, t, NULL);
    if (r < 0)
        return r;
    *ret_chain = buf_take(&chain);
    *ret_ca = xstrdup(ca_pem(app->ca));
    (void)json_object_set_new(app->enrolled, ret_endpoint, json_integer((json_int_t)since_ms));
    return 0;
}

static json_t *agent_document(struct app *app, const char *endpoint)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    char key[STORE_KEY_SIZE];

    agent_key(endpoint, key);
    if (store_get(app->store, key, &item) < 0)
        return NULL;
    return json_loadb(item.data, item.size, 0, NULL);
}

static int renew(void *user, const char *endpoint, const char *csr, char **ret_chain)
{
    struct app *app = user;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = agent_document(app, endpoint);
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    char serial[TLS_SERIAL_SIZE], object[PROGRAM_NAME_SIZE + 16], detail[64];
    struct audit_entry entry = {.action = "agent.renew", .object = object, .detail = detail};
    int r = ca_issue_agent(app->ca, csr, endpoint, CA_AGENT_LIFE_S, &chain, serial);

    if (r < 0)
        return r;
    (void)snprintf(object, sizeof(object), "agent %s", endpoint);
    (void)snprintf(detail, sizeof(detail), "certificate %s", serial);
    entry.actor = object;
    put_serials(t, endpoint, serial, json_text(document, "serial"), enrolled_ms(app, endpoint));
    r = audit_add(app->store, t, &entry);
    if (r == 0)
        r = store_commit(app->store, t, NULL);
    if (r < 0)
        return r;
    *ret_chain = buf_take(&chain);
    return 0;
}

static bool certificate_counts(void *user, const char *endpoint, const char *serial)
{
    CLEANUP(json_decrefp) json_t *document = agent_document(user, endpoint);

    return serial[0] && (strcmp(json_text(document, "serial"), serial) == 0 ||
                         strcmp(json_text(document, "before"), serial) == 0);
}

static bool certificate_is_newest(void *user, const char *endpoint, const char *serial)
{
    CLEANUP(json_decrefp) json_t *document = agent_document(user, endpoint);

    return serial[0] && strcmp(json_text(document, "serial"), serial) == 0;
}

static void flows_came(void *user, const char *stream, const struct agent_flows *told)
{
    struct app *app = user;

    if (app->flows)
        flows_take(app->flows, stream, told);
}

static void flows_are_durable(void *user, const char *stream, uint64_t epoch, uint64_t sequence)
{
    struct app *app = user;

    if (app->dist)
        dist_acknowledge_flows(app->dist, stream, epoch, sequence);
    if (app->server && strncmp(stream, "import/", strlen("import/")) == 0)
        server_wake(app->server);
}

static void flows_have_news(void *user)
{
    struct app *app = user;

    notify_flows(app->notify);
    if (app->operations)
        operations_wake(app->operations);
    if (app->server)
        server_wake(app->server);
}

/* An agent on it, or outside of it. */
static bool tells_of_itself(void *user, const char *endpoint)
{
    struct app *app = user;
    const struct endpoint *e =
        inventory_endpoint(desired_current(app->desired)->inventory, endpoint);

    return e && (((e->enforcers & ENFORCER_HOST) && enrolled_ms(app, e->name) != UINT64_MAX) ||
                 ((e->enforcers & ENFORCER_EDGE) && e->edge &&
                  enrolled_ms(app, e->edge->agent.name) != UINT64_MAX));
}

static bool has_agent(void *user, const char *endpoint)
{
    const struct app *app = user;

    return app->dist && dist_has_agent(app->dist, endpoint);
}

struct flows_options app_flows_options(struct app *app)
{
    return (struct flows_options){.store = app->store,
                                  .desired = app->desired,
                                  .past = app->past,
                                  .durable = flows_are_durable,
                                  .news = flows_have_news,
                                  .reports = tells_of_itself,
                                  .enrolled_ms = enrolled_ms,
                                  .has_agent = has_agent,
                                  .user = app};
}

static void notice_came(void *user, const char *endpoint, const struct agent_notice *n)
{
    struct app *app = user;
    char when[DATE_TEXT_SIZE];
    json_t *notice;

    if (n->kind == AGENT_NOTICE_TAMPER)
        log_warn("agent %s: tampering: %s: %s", endpoint, n->object, n->text);
    notice = json_pack("{s:I,s:s,s:s,s:s,s:o,s:o}", "number", (json_int_t)++app->n_notices, "time",
                       date_format_time((int64_t)(n->time_ms / 1000), when), "endpoint", endpoint,
                       "kind", agent_notice_kind_name(n->kind), "object", json_any_text(n->object),
                       "text", json_any_text(n->text));
    app_alert(app, endpoint, json_incref(notice));
    (void)json_array_append_new(app->notices, notice);
    if (json_array_size(app->notices) > APP_MAX_NOTICES)
        (void)json_array_remove(app->notices, 0);
}

void app_audit(void *user, const char *actor, const char *action, const char *object,
               const char *detail)
{
    struct app *app = user;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct audit_entry entry = {
        .actor = actor, .action = action, .object = object, .detail = detail};
    int r = audit_add(app->store, t, &entry);

    if (r == 0)
        r = store_commit(app->store, t, NULL);
    if (r < 0)
        log_err("audit: entry %s about %s is lost: %s", action, object, strerror(-r));
}

struct dist_hooks app_dist_hooks(struct app *app)
{
    return (struct dist_hooks){.enroll = enroll,
                               .renew = renew,
                               .certificate_counts = certificate_counts,
                               .certificate_is_newest = certificate_is_newest,
                               .flows = flows_came,
                               .notice = notice_came,
                               .audit = app_audit,
                               .enforcer = app_enforcer_changed,
                               .user = app};
}

void app_authenticate(void *user, const char *token, const char *cookie, struct who *ret_who)
{
    struct app *app = user;
    struct who who = *ret_who;
    int r = token ? token_check_api(app->store, token, clock_unix_s(), &who)
                  : session_check(app->store, cookie, clock_unix_s(), &who);

    if (r == 0)
        *ret_who = who;
}

void app_renew(struct app *app, struct who *w)
{
    struct who now = *w;
    int r = 0;

    if (w->is_root)
        return;
    now.role = ROLE_NONE;
    now.scope = (struct scope){.label = ""};
    if (w->session[0])
        r = session_look(app->store, w->session, clock_unix_s(), &now);
    else
        r = token_look(app->store, w->token, clock_unix_s(), &now);
    if (r < 0)
        now.role = ROLE_NONE;
    *w = now;
}

bool app_within(void *user, const char *endpoint, const struct scope *scope)
{
    struct app *app = user;
    const struct endpoint *e =
        inventory_endpoint(desired_current(app->desired)->inventory, endpoint);

    for (size_t i = 0; e && i < e->n_labels; i++)
        if (strcmp(e->labels[i].key, scope->label) == 0)
            return strcmp(e->labels[i].value, scope->value) == 0;
    return false;
}

bool app_sees(struct app *app, const struct who *who, const char *endpoint)
{
    return !scope_is_set(&who->scope) || app_within(app, endpoint, &who->scope);
}
