/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/auth/accounts.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/versions.h"

enum { KEY_SIZE = 96, SECRET_BYTES = 32, OBJECT_SIZE = 96 };

bool account_name_is_good(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len < WHO_NAME_SIZE &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static const char *account_key(const char *name, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "account/%s", name);
    return key;
}

static const char *session_key(const char *digest, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "session/%s", digest);
    return key;
}

static int get_json(struct store *s, const char *key, json_t **ret_document, uint64_t *ret_revision)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    json_t *document;
    int r = store_get(s, key, &item);

    if (r < 0)
        return r;
    document = json_loadb(item.data, item.size, 0, NULL);
    if (!document)
        return -EUCLEAN;
    *ret_document = document;
    *ret_revision = item.revision;
    return 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
}

static int decode_account(const json_t *document, struct account *ret_a)
{
    json_t *scope = json_object_get(document, "scope"), *value;
    const char *label;

    *ret_a = (struct account){.name = ""};
    copy_text(ret_a->name, sizeof(ret_a->name), json_text(document, "name"));
    copy_text(ret_a->hash, sizeof(ret_a->hash), json_text(document, "hash"));
    ret_a->disabled = json_is_true(json_object_get(document, "disabled"));
    json_object_foreach(scope, label, value)
    {
        copy_text(ret_a->scope.label, sizeof(ret_a->scope.label), label);
        copy_text(ret_a->scope.value, sizeof(ret_a->scope.value), json_text(scope, label));
    }
    return role_parse(json_text(document, "role"), &ret_a->role) < 0 ? -EUCLEAN : 0;
}

int account_get(struct store *s, const char *name, struct account *ret_a)
{
    CLEANUP(json_decrefp) json_t *document = NULL;
    uint64_t revision;
    char key[KEY_SIZE];
    int r = account_name_is_good(name) ? get_json(s, account_key(name, key), &document, &revision)
                                       : -ENOENT;

    return r < 0 ? r : decode_account(document, ret_a);
}

static json_t *scope_json(const struct scope *scope)
{
    return scope_is_set(scope) ? json_pack("{s:s}", scope->label, scope->value) : json_object();
}

static int commit(struct store *s, struct store_transaction *t, const char *actor,
                  const char *action, const char *name, const char *detail)
{
    char object[OBJECT_SIZE];
    int r;

    (void)snprintf(object, sizeof(object), "account %s", name);
    r = audit_add(s, t,
                  &(struct audit_entry){
                      .actor = actor, .action = action, .object = object, .detail = detail});
    return r < 0 ? r : store_commit(s, t, NULL);
}

int account_add(struct store *s, const char *actor, const struct account *a, int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    CLEANUP(json_decrefp) json_t *document = NULL;
    struct account before;
    char key[KEY_SIZE], detail[OBJECT_SIZE * 2];
    int r = account_get(s, a->name, &before);

    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    r = store_list(s, "account/", NULL, false, ACCOUNT_MAX, &list);
    if (r < 0)
        return r;
    if (list.n >= ACCOUNT_MAX)
        return -E2BIG;
    document = json_pack("{s:s,s:s,s:o,s:s,s:I,s:I}", "name", a->name, "role", role_name(a->role),
                         "scope", scope_json(&a->scope), "hash", a->hash, "created", as_json(now_s),
                         "changed", as_json(now_s));
    if (!document)
        return -EINVAL; /* A scope that is no UTF-8. */
    store_expect(t, account_key(a->name, key), 0);
    version_put_json(t, key, document);
    (void)snprintf(detail, sizeof(detail), "%s%s%s%s%s", role_name(a->role),
                   scope_is_set(&a->scope) ? ", scope " : "", a->scope.label,
                   scope_is_set(&a->scope) ? "=" : "", a->scope.value);
    return commit(s, t, actor, "account.add", a->name, detail);
}

/* Adds to 't' the end of all sessions of 'account'. */
static int revoke_sessions(struct store *s, struct store_transaction *t, const char *account)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, "session/", NULL, false, SESSION_MAX + 1, &list);

    for (size_t i = 0; r == 0 && i < list.n; i++) {
        CLEANUP(json_decrefp)
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (strcmp(json_text(document, "account"), account) == 0)
            store_delete(t, list.items[i].key);
    }
    return r;
}

int account_remove(struct store *s, const char *actor, const char *name)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct account a;
    char key[KEY_SIZE];
    int r = account_get(s, name, &a);

    if (r < 0)
        return r;
    store_delete(t, account_key(name, key));
    (void)snprintf(key, sizeof(key), ACCOUNT_VIEWS_PREFIX "%s", name);
    store_delete(t, key);
    r = revoke_sessions(s, t, name);
    return r < 0 ? r : commit(s, t, actor, "account.remove", name, NULL);
}

int account_change(struct store *s, const char *actor, const struct account *a, int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = NULL;
    json_t *scope = scope_json(&a->scope);
    uint64_t revision;
    char key[KEY_SIZE], detail[OBJECT_SIZE * 2];
    int r = scope ? get_json(s, account_key(a->name, key), &document, &revision) : -EINVAL;

    if (r < 0) {
        json_decref(scope);
        return r;
    }
    (void)json_object_set_new(document, "role", json_string(role_name(a->role)));
    (void)json_object_set_new(document, "scope", scope);
    (void)json_object_set_new(document, "disabled", json_boolean(a->disabled));
    (void)json_object_set_new(document, "changed", json_integer(as_json(now_s)));
    store_expect(t, key, revision);
    version_put_json(t, key, document);
    if (a->disabled)
        r = revoke_sessions(s, t, a->name);
    (void)snprintf(detail, sizeof(detail), "%s%s%s%s%s%s", role_name(a->role),
                   scope_is_set(&a->scope) ? ", scope " : "", a->scope.label,
                   scope_is_set(&a->scope) ? "=" : "", a->scope.value,
                   a->disabled ? ", disabled" : "");
    return r < 0 ? r : commit(s, t, actor, "account.change", a->name, detail);
}

int account_set_password(struct store *s, const char *actor, const char *name, const char *hash,
                         int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = NULL;
    uint64_t revision;
    char key[KEY_SIZE];
    int r = account_name_is_good(name) ? get_json(s, account_key(name, key), &document, &revision)
                                       : -ENOENT;

    if (r < 0)
        return r;
    (void)json_object_set_new(document, "hash", json_string(hash));
    (void)json_object_set_new(document, "changed", json_integer(as_json(now_s)));
    store_expect(t, key, revision);
    version_put_json(t, key, document);
    r = revoke_sessions(s, t, name);
    return r < 0 ? r : commit(s, t, actor, "account.password", name, "all its sessions have ended");
}

static void tell_time(json_t *document, const char *key)
{
    char text[DATE_TEXT_SIZE];

    (void)date_format_time((int64_t)json_uint(document, key), text);
    (void)json_object_set_new(document, key, json_string(text));
}

int account_list(struct store *s, json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, "account/", NULL, false, ACCOUNT_MAX, &list);
    json_t *array;

    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (!document)
            continue;
        (void)json_object_del(document, "hash");
        if (!json_object_get(document, "disabled"))
            (void)json_object_set_new(document, "disabled", json_false());
        tell_time(document, "created");
        tell_time(document, "changed");
        (void)json_array_append_new(array, document);
    }
    *ret_array = array;
    return 0;
}

/* ---- sessions ---- */

static bool has_ended(const json_t *document, int64_t now_s)
{
    return now_s >= (int64_t)json_uint(document, "created") + SESSION_LIFE_S ||
           now_s >= (int64_t)json_uint(document, "seen") + SESSION_IDLE_S;
}

/* Adds to 't' the end of those that are over, and of the oldest when there are too many. */
static int sweep(struct store *s, struct store_transaction *t, int64_t now_s)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, "session/", NULL, false, SESSION_MAX + 1, &list);
    uint64_t oldest_s = UINT64_MAX;
    size_t oldest = 0, n_left = list.n;

    for (size_t i = 0; r == 0 && i < list.n; i++) {
        CLEANUP(json_decrefp)
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (!document || has_ended(document, now_s)) {
            store_delete(t, list.items[i].key);
            n_left--;
        } else if (json_uint(document, "seen") < oldest_s) {
            oldest_s = json_uint(document, "seen");
            oldest = i;
        }
    }
    if (r == 0 && n_left >= SESSION_MAX)
        store_delete(t, list.items[oldest].key);
    return r;
}

int session_new(struct store *s, const struct account *a, const char *address, int64_t now_s,
                char ret_cookie[SESSION_COOKIE_SIZE])
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp)
    json_t *document = json_pack("{s:s,s:s,s:I,s:I}", "account", a->name, "address", address,
                                 "created", as_json(now_s), "seen", as_json(now_s));
    unsigned char secret[SECRET_BYTES];
    char digest[AUDIT_DIGEST_SIZE], key[KEY_SIZE], detail[2 * OBJECT_SIZE], actor[OBJECT_SIZE];
    int r = sweep(s, t, now_s);

    if (r < 0)
        return r;
    if (RAND_bytes(secret, sizeof(secret)) != 1)
        abort(); /* No randomness: a session could be guessed. */
    for (size_t i = 0; i < sizeof(secret); i++)
        (void)snprintf(ret_cookie + 2 * i, 3, "%02x", secret[i]);
    OPENSSL_cleanse(secret, sizeof(secret));
    (void)audit_digest(ret_cookie, strlen(ret_cookie), digest);
    version_put_json(t, session_key(digest, key), document);
    (void)snprintf(detail, sizeof(detail), "from %s, session %.12s", address, digest);
    (void)snprintf(actor, sizeof(actor), "account %s", a->name);
    return commit(s, t, actor, "login", a->name, detail);
}

/* A session's last request is written down now and then only; a failure costs its owner a login. */
static void remember_seen(struct store *s, const char *key, json_t *document, uint64_t revision,
                          int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = NULL;

    if (now_s < (int64_t)json_uint(document, "seen") + SESSION_SEEN_S)
        return;
    t = store_transaction_new();
    (void)json_object_set_new(document, "seen", json_integer(as_json(now_s)));
    store_expect(t, key, revision);
    version_put_json(t, key, document);
    (void)store_commit(s, t, NULL);
}

static int look(struct store *s, const char *digest, int64_t now_s, bool is_request,
                struct who *ret_who)
{
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];
    struct account a;
    uint64_t revision;
    int r = get_json(s, session_key(digest, key), &document, &revision);

    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    if (has_ended(document, now_s))
        return -EACCES;
    r = account_get(s, json_text(document, "account"), &a);
    if (r < 0 || a.disabled)
        return r == -ENOENT || r == 0 ? -EACCES : r;
    if (is_request)
        remember_seen(s, key, document, revision, now_s);
    ret_who->role = a.role;
    ret_who->scope = a.scope;
    copy_text(ret_who->account, sizeof(ret_who->account), a.name);
    (void)snprintf(ret_who->actor, sizeof(ret_who->actor), "account %s", a.name);
    return 0;
}

int session_check(struct store *s, const char *cookie, int64_t now_s, struct who *ret_who)
{
    char digest[AUDIT_DIGEST_SIZE];
    int r;

    if (strlen(cookie) != (size_t)2 * SECRET_BYTES)
        return -EACCES;
    (void)audit_digest(cookie, strlen(cookie), digest);
    r = look(s, digest, now_s, true, ret_who);
    if (r == 0)
        copy_text(ret_who->session, sizeof(ret_who->session), digest);
    return r;
}

int session_look(struct store *s, const char *digest, int64_t now_s, struct who *ret_who)
{
    return look(s, digest, now_s, false, ret_who);
}

int session_end(struct store *s, const char *actor, const char *digest)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = NULL;
    uint64_t revision;
    char key[KEY_SIZE], detail[OBJECT_SIZE];
    int r = get_json(s, session_key(digest, key), &document, &revision);

    if (r < 0)
        return r;
    store_expect(t, key, revision);
    store_delete(t, key);
    (void)snprintf(detail, sizeof(detail), "session %.12s", digest);
    return commit(s, t, actor, "logout", json_text(document, "account"), detail);
}

int session_list(struct store *s, const char *account, json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, "session/", NULL, false, SESSION_MAX + 1, &list);
    json_t *array;

    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (!document || (account && strcmp(json_text(document, "account"), account) != 0)) {
            json_decref(document);
            continue;
        }
        (void)json_object_set_new(document, "session",
                                  json_stringn(list.items[i].key + strlen("session/"), 12));
        tell_time(document, "created");
        tell_time(document, "seen");
        (void)json_array_append_new(array, document);
    }
    *ret_array = array;
    return 0;
}
