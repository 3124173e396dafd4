/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/auth/tokens.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/audit.h"
#include "controller/json.h"

enum { SECRET_BYTES = 32, KEY_SIZE = 64, FORGET_AT_ONCE = 1000 };

static void random_hex(char *hex, size_t n_bytes)
{
    unsigned char bytes[SECRET_BYTES];

    if (RAND_bytes(bytes, (int)n_bytes) != 1)
        abort(); /* No randomness: nothing that we would hand out could be secret. */
    for (size_t i = 0; i < n_bytes; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

static const char *key_of(const char *id, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "token/%s", id);
    return key;
}

static void put_json(struct store_transaction *t, const char *key, const json_t *document)
{
    CLEANUP(free_voidp) char *bytes = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);

    if (!bytes)
        abort(); /* Out of memory. */
    store_put(t, key, bytes, strlen(bytes));
}

/* Used ones are of stores that kept them. */
static bool is_dead(const struct store_item *item, int64_t now_s)
{
    CLEANUP(json_decrefp) json_t *document = json_loadb(item->data, item->size, 0, NULL);

    return json_is_true(json_object_get(document, "used")) ||
           now_s >= (int64_t)json_uint(document, "expires");
}

/* At the limit, what has expired makes room. */
static int make_room(struct store *s, struct store_transaction *t, int64_t now_s)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, "token/", NULL, false, TOKEN_MAX_LIVE, &list);
    size_t n = 0;

    if (r < 0 || list.n < TOKEN_MAX_LIVE)
        return r;
    for (size_t i = 0; i < list.n && n < FORGET_AT_ONCE; i++)
        if (is_dead(&list.items[i], now_s)) {
            store_delete(t, list.items[i].key);
            n++;
        }
    return n ? 0 : -E2BIG;
}

static int add_token(struct store *s, const char *actor, json_t *document, const char *action,
                     const char *what, int64_t now_s, char id[TOKEN_ID_SIZE],
                     char secret[2 * SECRET_BYTES + 1])
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    char key[KEY_SIZE], hash[AUDIT_DIGEST_SIZE], object[PROGRAM_NAME_SIZE + 64];
    int r = make_room(s, t, now_s);

    if (r < 0)
        return r;
    random_hex(id, (TOKEN_ID_SIZE - 1) / 2);
    random_hex(secret, SECRET_BYTES);
    (void)json_object_set_new(document, "id", json_string(id));
    (void)json_object_set_new(document, "hash",
                              json_string(audit_digest(secret, strlen(secret), hash)));
    store_expect(t, key_of(id, key), 0);
    put_json(t, key, document);
    (void)snprintf(object, sizeof(object), "token %s", id);
    r = audit_add(
        s, t,
        &(struct audit_entry){.actor = actor, .action = action, .object = object, .detail = what});
    return r < 0 ? r : store_commit(s, t, NULL);
}

int token_new_enroll(struct store *s, const char *actor, const char *endpoint, const char *ca_pin,
                     int64_t now_s, int64_t life_s, char ret_token[TOKEN_SIZE])
{
    char id[TOKEN_ID_SIZE], secret[2 * SECRET_BYTES + 1];
    CLEANUP(json_decrefp)
    json_t *document = json_pack("{s:s,s:s,s:I,s:I}", "kind", "enroll", "endpoint", endpoint,
                                 "created", as_json(now_s), "expires", as_json(now_s + life_s));
    int r = document ? add_token(s, actor, document, "token.create", endpoint, now_s, id, secret)
                     : -EINVAL;

    if (r == 0)
        (void)snprintf(ret_token, TOKEN_SIZE, "smt1.%s.%s.%s", id, secret, ca_pin);
    OPENSSL_cleanse(secret, sizeof(secret));
    return r;
}

int token_new_api(struct store *s, const char *actor, const char *name, enum role role,
                  const struct scope *scope, int64_t now_s, int64_t life_s,
                  char ret_token[TOKEN_SIZE])
{
    char id[TOKEN_ID_SIZE], secret[2 * SECRET_BYTES + 1];
    CLEANUP(json_decrefp)
    json_t *document =
        json_pack("{s:s,s:s,s:s,s:I,s:I}", "kind", "api", "name", name, "role", role_name(role),
                  "created", as_json(now_s), "expires", as_json(now_s + life_s));
    int r;

    if (document && scope_is_set(scope)) /* Neither is UTF-8 for sure. */
        (void)json_object_set_new(document, "scope",
                                  json_pack("{s:s}", scope->label, scope->value));
    if (!document || (scope_is_set(scope) && !json_object_get(document, "scope")))
        return -EINVAL;
    r = add_token(s, actor, document, "token.create", name, now_s, id, secret);
    if (r == 0)
        (void)snprintf(ret_token, TOKEN_SIZE, "sma1.%s.%s", id, secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return r;
}

struct parts {
    char id[TOKEN_ID_SIZE];
    char hash[AUDIT_DIGEST_SIZE]; /* Of the secret. */
};

static bool is_hex(const char *s, size_t len)
{
    return strspn(s, "0123456789abcdef") >= len;
}

/* "prefix.id.secret", and for enrolment anything behind another dot. */
static int split(const char *token, const char *prefix, struct parts *ret_parts)
{
    const size_t id_len = TOKEN_ID_SIZE - 1, secret_len = (size_t)2 * SECRET_BYTES;
    size_t prefix_len = strlen(prefix);
    const char *id = token + prefix_len, *secret = id + id_len + 1;

    if (strncmp(token, prefix, prefix_len) != 0 || strlen(id) < id_len + 1 + secret_len ||
        !is_hex(id, id_len) || id[id_len] != '.' || !is_hex(secret, secret_len) ||
        (secret[secret_len] && secret[secret_len] != '.'))
        return -EACCES;
    memcpy(ret_parts->id, id, id_len);
    ret_parts->id[id_len] = 0;
    (void)audit_digest(secret, secret_len, ret_parts->hash);
    return 0;
}

/* The document of a token whose secret is right. */
static int find(struct store *s, const struct parts *parts, const char *kind, json_t **ret_document,
                uint64_t *ret_revision)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];
    const char *hash;
    int r = store_get(s, key_of(parts->id, key), &item);

    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    document = json_loadb(item.data, item.size, 0, NULL);
    hash = json_text(document, "hash");
    if (strcmp(json_text(document, "kind"), kind) != 0 || strlen(hash) != AUDIT_DIGEST_SIZE - 1 ||
        CRYPTO_memcmp(hash, parts->hash, AUDIT_DIGEST_SIZE - 1) != 0)
        return -EACCES;
    *ret_document = TAKE_PTR(document);
    *ret_revision = item.revision;
    return 0;
}

int token_use(struct store *s, struct store_transaction *t, const char *token, int64_t now_s,
              char ret_endpoint[PROGRAM_NAME_SIZE], char ret_id[TOKEN_ID_SIZE],
              const char **ret_why)
{
    CLEANUP(json_decrefp) json_t *document = NULL;
    struct parts parts;
    uint64_t revision;
    char key[KEY_SIZE];
    const char *endpoint;
    int r;

    ret_id[0] = ret_endpoint[0] = 0;
    *ret_why = "not an enrolment token";
    r = split(token, "smt1.", &parts);
    if (r < 0)
        return r;
    memcpy(ret_id, parts.id, TOKEN_ID_SIZE);
    *ret_why = "unknown, used or revoked token, or wrong secret";
    r = find(s, &parts, "enroll", &document, &revision);
    if (r < 0)
        return r;
    endpoint = json_text(document, "endpoint");
    if (strlen(endpoint) >= PROGRAM_NAME_SIZE)
        return -EUCLEAN;
    memcpy(ret_endpoint, endpoint, strlen(endpoint) + 1);
    *ret_why = "token used before";
    if (json_is_true(json_object_get(document, "used")))
        return -EACCES;
    *ret_why = "token expired";
    if (now_s >= (int64_t)json_uint(document, "expires"))
        return -EACCES;
    store_expect(t, key_of(parts.id, key), revision);
    store_delete(t, key);
    return 0;
}

/* What a token's document says of its holder. */
static int read_holder(const json_t *document, int64_t now_s, struct who *ret_who)
{
    struct scope *scope = &ret_who->scope;
    json_t *value;
    const char *label;
    enum role role;

    if (now_s >= (int64_t)json_uint(document, "expires") ||
        role_parse(json_text(document, "role"), &role) < 0)
        return -EACCES;
    ret_who->role = role;
    json_object_foreach(json_object_get(document, "scope"), label, value)
    {
        (void)snprintf(scope->label, sizeof(scope->label), "%s", label);
        (void)snprintf(scope->value, sizeof(scope->value), "%s",
                       json_is_string(value) ? json_string_value(value) : "");
    }
    (void)snprintf(ret_who->token, sizeof(ret_who->token), "%s", json_text(document, "id"));
    (void)snprintf(ret_who->actor, sizeof(ret_who->actor), "token %s", json_text(document, "name"));
    return 0;
}

int token_check_api(struct store *s, const char *token, int64_t now_s, struct who *ret_who)
{
    CLEANUP(json_decrefp) json_t *document = NULL;
    struct parts parts;
    uint64_t revision;
    int r = split(token, "sma1.", &parts);

    if (r == 0)
        r = find(s, &parts, "api", &document, &revision);
    return r < 0 ? r : read_holder(document, now_s, ret_who);
}

int token_look(struct store *s, const char *id, int64_t now_s, struct who *ret_who)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];
    int r = store_get(s, key_of(id, key), &item);

    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    document = json_loadb(item.data, item.size, 0, NULL);
    return strcmp(json_text(document, "kind"), "api") == 0 ? read_holder(document, now_s, ret_who)
                                                           : -EACCES;
}

int token_revoke(struct store *s, const char *actor, const char *id)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    char key[KEY_SIZE], object[PROGRAM_NAME_SIZE];
    int r;

    if (strlen(id) != TOKEN_ID_SIZE - 1 || !is_hex(id, TOKEN_ID_SIZE - 1))
        return -ENOENT;
    r = store_get(s, key_of(id, key), &item);
    if (r < 0)
        return r;
    store_delete(t, key);
    (void)snprintf(object, sizeof(object), "token %s", id);
    r = audit_add(
        s, t, &(struct audit_entry){.actor = actor, .action = "token.revoke", .object = object});
    return r < 0 ? r : store_commit(s, t, NULL);
}

int token_list(struct store *s, json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    json_t *array;
    int r = store_list(s, "token/", NULL, false, TOKEN_MAX_LIVE, &list);

    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);
        static const char *const times[] = {"created", "expires"};

        if (!document)
            continue;
        (void)json_object_del(document, "hash");
        for (size_t k = 0; k < ARRAY_SIZE(times); k++) {
            char text[DATE_TEXT_SIZE];

            (void)date_format_time((int64_t)json_uint(document, times[k]), text);
            (void)json_object_set_new(document, times[k], json_string(text));
        }
        (void)json_array_append_new(array, document);
    }
    *ret_array = array;
    return 0;
}
