/* SPDX-License-Identifier: Apache-2.0 */
/* What joins dist to certificates, flows, notices and audit. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/date.h"
#include "base/log.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static void agent_key(const char *endpoint, char key[STORE_KEY_SIZE])
{
    (void)snprintf(key, STORE_KEY_SIZE, "agent/%s", endpoint);
}

/* The certificates that count: the newest, and on renewal the one before it. */
static void put_serials(struct store_transaction *t, const char *endpoint, const char *serial,
                        const char *before)
{
    CLEANUP(json_decrefp)
    json_t *document = json_pack("{s:s,s:s,s:I}", "serial", serial, "before", before, "issued",
                                 (json_int_t)now_s());
    CLEANUP(free_voidp) char *bytes = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    char key[STORE_KEY_SIZE];

    agent_key(endpoint, key);
    if (!bytes)
        abort(); /* Out of memory. */
    store_put(t, key, bytes, strlen(bytes));
}

static int enroll(void *user, const char *token, const char *csr, char **ret_chain, char **ret_ca,
                  char ret_endpoint[PROGRAM_NAME_SIZE], const char **ret_why)
{
    struct app *app = user;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    char id[TOKEN_ID_SIZE], serial[TLS_SERIAL_SIZE], object[PROGRAM_NAME_SIZE + 16], detail[64];
    struct audit_entry entry = {.action = "agent.enroll", .object = object, .detail = detail};
    int r = token_use(app->store, t, token, now_s(), ret_endpoint, id, ret_why);

    if (r < 0)
        return r;
    *ret_why = "the certificate request is not sound";
    r = ca_issue_agent(app->ca, csr, ret_endpoint, CA_AGENT_LIFE_S, &chain, serial);
    if (r < 0)
        return r;
    (void)snprintf(object, sizeof(object), "agent %s", ret_endpoint);
    (void)snprintf(detail, sizeof(detail), "certificate %s", serial);
    entry.actor = object;
    put_serials(t, ret_endpoint, serial, "");
    *ret_why = "the store does not take it";
    r = audit_add(app->store, t, &entry);
    if (r == 0)
        r = store_commit(app->store, t, NULL);
    if (r < 0)
        return r;
    *ret_chain = buf_take(&chain);
    *ret_ca = xstrdup(ca_pem(app->ca));
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
    put_serials(t, endpoint, serial, json_text(document, "serial"));
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

static void flows_came(void *user, const struct agent_flows *batch)
{
    struct app *app = user;

    flows_add(app->flows, batch);
    if (app->server)
        server_wake(app->server);
}

static void notice_came(void *user, const char *endpoint, const struct agent_notice *n)
{
    struct app *app = user;
    char when[DATE_TEXT_SIZE];

    if (n->kind == AGENT_NOTICE_TAMPER)
        log_warn("agent %s: tampering: %s: %s", endpoint, n->object, n->text);
    (void)json_array_append_new(
        app->notices, json_pack("{s:s,s:s,s:s,s:o,s:o}", "time",
                                date_format_time((int64_t)(n->time_ms / 1000), when), "endpoint",
                                endpoint, "kind", agent_notice_kind_name(n->kind), "object",
                                json_any_text(n->object), "text", json_any_text(n->text)));
    if (json_array_size(app->notices) > APP_MAX_NOTICES)
        (void)json_array_remove(app->notices, 0);
}

static void audit_it(void *user, const char *actor, const char *action, const char *object,
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
                               .flows = flows_came,
                               .notice = notice_came,
                               .audit = audit_it,
                               .user = app};
}

enum role app_authenticate(void *user, const char *token, char *ret_actor, size_t size)
{
    struct app *app = user;
    char name[PROGRAM_NAME_SIZE];
    enum role role = ROLE_NONE;

    if (token_check_api(app->store, token, now_s(), &role, name) < 0)
        return ROLE_NONE;
    (void)snprintf(ret_actor, size, "token %s", name);
    return role;
}
