/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/log.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/versions.h"

enum {
    UNDER_WAY_S = 2 * HTTP_MAX_WAIT_S,
    NAME_SIZE = WHO_ACTOR_SIZE + IDEMPOTENCY_KEY_LEN + 2,
    STORED_MAX = 2 * IDEMPOTENCY_MAX, /* Keys to be deleted stay until the next change. */
};

static const char prefix[] = "idempotent/";

struct kept {
    char name[NAME_SIZE];           /* Actor and key. */
    char digest[AUDIT_DIGEST_SIZE]; /* Of path, query and body. */
    int64_t time_s;
    int status; /* 0: under way. */
    bool is_secret;
    bool is_stored; /* The store has it. */
    bool is_lost;   /* It was done, and its answer did not reach the disk. */
    json_t *json;
    size_t size;
    UT_hash_handle hh;
};

struct idempotency {
    struct kept *all; /* In the order of their coming. */
    size_t bytes;
    struct store *store;
    struct store_transaction *gone; /* Deletions that go with the next answer to the store. */
};

static const char *store_key(const struct kept *k, char key[STORE_KEY_SIZE])
{
    char digest[AUDIT_DIGEST_SIZE];

    (void)snprintf(key, STORE_KEY_SIZE, "%s%s", prefix,
                   audit_digest(k->name, strlen(k->name), digest));
    return key;
}

static void drop(struct idempotency *i, struct kept *k)
{
    char key[STORE_KEY_SIZE];

    if (k->is_stored)
        store_delete(i->gone, store_key(k, key));
    HASH_DEL(i->all, k);
    i->bytes -= k->size;
    json_decref(k->json);
    free(k);
}

void idempotency_free(struct idempotency *i)
{
    if (!i)
        return;
    while (i->all) {
        i->all->is_stored = false; /* It shall stay there. */
        drop(i, i->all);
    }
    store_transaction_free(i->gone);
    free(i);
}

static void make_name(const struct http_request *q, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%s\n%.64s", q->who->actor, q->idempotency_key);
}

static struct kept *find(const struct idempotency *i, const struct http_request *q)
{
    char name[NAME_SIZE];
    struct kept *k = NULL;

    make_name(q, name);
    HASH_FIND_STR(i->all, name, k);
    return k;
}

static void digest_of(const struct http_request *q, char digest[AUDIT_DIGEST_SIZE])
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_printf(&b, "%s\n%s\n", q->path, q->query ? q->query : "");
    buf_add(&b, q->body, q->body_size);
    (void)audit_digest(b.data, b.size, digest);
    explicit_bzero(b.data, b.size);
}

static bool key_is_good(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    return len > 0 && len <= IDEMPOTENCY_KEY_LEN;
}

static void make_room(struct idempotency *i, int64_t now_s)
{
    while (i->all && (i->all->time_s + IDEMPOTENCY_S <= now_s ||
                      HASH_COUNT(i->all) >= IDEMPOTENCY_MAX || i->bytes > IDEMPOTENCY_MAX_BYTES))
        drop(i, i->all);
}

static void answer_again(const struct kept *k, const struct http_request *q,
                         struct http_response *a)
{
    char digest[AUDIT_DIGEST_SIZE];

    digest_of(q, digest);
    if (strcmp(digest, k->digest) != 0) {
        http_problem_field(a, 422, "Idempotency-Key", "choose another key",
                           "this key was used for another request");
    } else if (k->is_lost) {
        http_problem(a, 409,
                     "this was done, but its answer was lost when the controller was ended; look "
                     "what is in force");
    } else if (!k->status) {
        http_problem(a, 409, "the first request with this key is still under way");
    } else if (k->is_secret) {
        http_problem(a, 409, "this was done; its answer was shown then, and is not kept");
    } else {
        a->status = k->status;
        a->json = json_incref(k->json);
        http_header(a, "Idempotency-Replayed", "true");
    }
}

bool idempotency_before(struct idempotency *i, const struct http_request *q, int64_t now_s,
                        struct http_response *a)
{
    struct kept *k;

    if (!key_is_good(q->idempotency_key)) {
        http_problem_field(a, 400, "Idempotency-Key", "a UUID will do",
                           "expected 1 to %d printable characters", IDEMPOTENCY_KEY_LEN);
        return true;
    }
    k = find(i, q);
    if (k && !k->status && !k->is_lost && k->time_s + UNDER_WAY_S <= now_s) {
        drop(i, k); /* Its asker has gone, and nobody will answer it. */
        k = NULL;
    }
    if (k && k->time_s + IDEMPOTENCY_S > now_s) {
        answer_again(k, q, a);
        return true;
    }
    if (k)
        drop(i, k);
    make_room(i, now_s);
    k = xcalloc(1, sizeof(*k));
    make_name(q, k->name);
    digest_of(q, k->digest);
    k->time_s = now_s;
    HASH_ADD_STR(i->all, name, k);
    return false;
}

static json_t *record_of(const struct kept *k)
{
    json_t *j = json_pack("{s:s,s:s,s:I,s:i,s:b,s:O*}", "name", k->name, "digest", k->digest,
                          "time", as_json(k->time_s), "status", k->status, "secret", k->is_secret,
                          "answer", k->json);

    if (!j)
        abort(); /* Out of memory. */
    return j;
}

void idempotency_ride(struct idempotency *i, const struct http_request *q)
{
    struct kept *k = i->store ? find(i, q) : NULL;
    CLEANUP(json_decrefp) json_t *record = k && !k->is_stored ? record_of(k) : NULL;
    CLEANUP(free_voidp) char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    char key[STORE_KEY_SIZE];

    if (text)
        store_ride(i->store, store_key(k, key), text, strlen(text));
}

void idempotency_unride(struct idempotency *i, const struct http_request *q)
{
    struct kept *k = i->store && store_unride(i->store) ? find(i, q) : NULL;

    if (k)
        k->is_stored = true;
}

/* The answer, and what is no longer remembered. */
static void keep(struct idempotency *i, const struct kept *k)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = TAKE_PTR(i->gone);
    CLEANUP(json_decrefp) json_t *record = record_of(k);
    char key[STORE_KEY_SIZE];
    int r;

    i->gone = store_transaction_new();
    version_put_json(t, store_key(k, key), record);
    r = store_commit(i->store, t, NULL);
    if (r < 0)
        log_warn("the answer to a request with an idempotency key is kept in memory only: %s",
                 strerror(-r));
}

void idempotency_after(struct idempotency *i, const struct http_request *q, bool is_secret,
                       const struct http_response *a)
{
    struct kept *k = find(i, q);
    CLEANUP(free_voidp) char *text = NULL;

    if (!k)
        return;
    if (a->status >= 500 || a->status == 429 || a->status == 401) {
        drop(i, k);
        return;
    }
    k->status = a->status;
    k->is_secret = is_secret && a->status < 400;
    if (!k->is_secret && a->json) {
        text = json_dumps(a->json, JSON_COMPACT);
        k->size = text ? strlen(text) : 0;
        i->bytes += k->size;
        k->json = json_incref(a->json);
    }
    if (k->is_stored)
        keep(i, k);
}

/* ---- in the store ---- */

static int earlier(const void *a, const void *b)
{
    const struct kept *const *x = a, *const *y = b;

    return (*x)->time_s < (*y)->time_s ? -1 : (*x)->time_s > (*y)->time_s;
}

/* NULL: of an older form, or damaged; it is forgotten. */
static struct kept *decoded(const struct store_item *item)
{
    CLEANUP(json_decrefp) json_t *document = json_loadb(item->data, item->size, 0, NULL);
    const char *name = json_text(document, "name"), *digest = json_text(document, "digest");
    struct kept *k;

    if (!name[0] || strlen(name) >= NAME_SIZE || strlen(digest) != AUDIT_DIGEST_SIZE - 1)
        return NULL;
    k = xcalloc(1, sizeof(*k));
    (void)snprintf(k->name, NAME_SIZE, "%s", name);
    (void)snprintf(k->digest, AUDIT_DIGEST_SIZE, "%s", digest);
    k->time_s = (int64_t)json_uint(document, "time");
    k->status = (int)json_uint(document, "status");
    k->is_lost = !k->status;
    k->is_secret = json_is_true(json_object_get(document, "secret"));
    k->is_stored = true;
    k->json = json_incref(json_object_get(document, "answer"));
    k->size = item->size;
    return k;
}

static void take_over(struct idempotency *i, int64_t now_s)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    CLEANUP(free_voidp) struct kept **found = NULL;
    size_t n = 0;

    if (store_list(i->store, prefix, NULL, false, STORED_MAX, &list) < 0)
        return; /* The daemon does not start with a store that cannot be read. */
    found = xcalloc(list.n, sizeof(struct kept *));
    for (size_t k = 0; k < list.n; k++) {
        found[n] = decoded(&list.items[k]);
        if (found[n])
            n++;
        else
            store_delete(i->gone, list.items[k].key);
    }
    if (n)
        qsort(found, n, sizeof(struct kept *), earlier);
    for (size_t k = 0; k < n; k++) {
        HASH_ADD_STR(i->all, name, found[k]);
        i->bytes += found[k]->size;
        make_room(i, now_s);
    }
}

struct idempotency *idempotency_new(struct store *s, int64_t now_s)
{
    struct idempotency *i = xcalloc(1, sizeof(*i));

    i->store = s;
    i->gone = store_transaction_new();
    if (s)
        take_over(i, now_s);
    return i;
}

size_t idempotency_size(const struct idempotency *i)
{
    return HASH_COUNT(i->all);
}
