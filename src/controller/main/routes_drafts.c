/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts: a change that one person proposes and another applies.
 *
 *     draft/<id>          {id, author, time, comment, base}
 *     draft-files/<id>    {files, inventory}, which lists do not need; in drafts of before, there
 *
 * A draft is the body of a PUT /policy that waits.  Its base is what was in force when it was
 * proposed: when something else is in force meanwhile, applying it is refused (412), since it would
 * mean something else than what was looked at. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/versions.h"
#include "sys/clock.h"

enum { MAX_DRAFTS = 100, ID_BYTES = 8, ID_LEN = 16, KEY_SIZE = 64 };

static const char *key_of(const char *id, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "draft/%.40s", id);
    return key;
}

static const char *files_key_of(const char *id, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "draft-files/%.40s", id);
    return key;
}

/* What lists show. */
static json_t *get_head(struct app *app, const char *id, struct http_response *a)
{
    char key[KEY_SIZE];
    bool is_id = strspn(id, "0123456789abcdef") == strlen(id) && strlen(id) == ID_LEN;
    json_t *head = NULL;
    int r = is_id ? version_get_document(app->store, key_of(id, key), &head) : -ENOENT;

    if (r == -ENOENT)
        http_problem(a, 404, "no draft \"%s\": it was applied or withdrawn, or never was", id);
    else if (r < 0)
        app_fail(a, r, "draft");
    return head;
}

static json_t *get_document(struct app *app, const char *id, struct http_response *a)
{
    CLEANUP(json_decrefp) json_t *document = get_head(app, id, a);
    CLEANUP(json_decrefp) json_t *files = NULL;
    char key[KEY_SIZE];
    int r;

    if (!document)
        return NULL;
    r = version_get_document(app->store, files_key_of(id, key), &files);
    if (r < 0 && r != -ENOENT) {
        app_fail(a, r, "draft");
        return NULL;
    }
    if (files)
        (void)json_object_update(document, files);
    return TAKE_PTR(document);
}

static void delete_documents(struct store_transaction *t, const char *id)
{
    char key[KEY_SIZE];

    store_delete(t, key_of(id, key));
    store_delete(t, files_key_of(id, key));
}

static int commit(struct app *app, struct store_transaction *t, const struct http_request *q,
                  const char *action, const char *id, const char *detail)
{
    char object[KEY_SIZE];
    int r;

    (void)snprintf(object, sizeof(object), "draft %.40s", id);
    r = audit_add(
        app->store, t,
        &(struct audit_entry){
            .actor = q->who->actor, .action = action, .object = object, .detail = detail});
    return r < 0 ? r : store_commit(app->store, t, NULL);
}

void get_drafts(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(app->store, "draft/", NULL, false, MAX_DRAFTS, &list);
    json_t *array;

    (void)q;
    if (r < 0) {
        app_fail(a, r, "drafts");
        return;
    }
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        (void)json_object_del(document, "files");
        (void)json_object_del(document, "inventory");
        if (document)
            (void)json_array_append_new(array, document);
    }
    http_ok(a, array);
}

void get_draft(void *user, const struct http_request *q, struct http_response *a)
{
    json_t *document = get_document(user, q->param, a);

    if (document)
        http_ok(a, document);
}

/* Files of the body, or NULL when it has none. */
static json_t *part_of(const json_t *body, const char *key)
{
    json_t *files = json_object_get(body, key);

    return json_array_size(files) ? files : NULL;
}

void post_drafts(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files", "inventory", "comment"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(json_decrefp) json_t *document = NULL, *parts = NULL;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    const struct desired_head *h = desired_head(app->desired);
    unsigned char bytes[ID_BYTES];
    char id[2 * ID_BYTES + 1], key[KEY_SIZE], when[DATE_TEXT_SIZE];
    int r;

    if (!body)
        return;
    app_apply(app, q, body, true, a); /* Only what could be applied may wait. */
    if (a->status != 200)
        return;
    http_response_done(a);
    a->etag[0] = 0;
    if (store_list(app->store, "draft/", NULL, false, MAX_DRAFTS, &list) == 0 &&
        list.n >= MAX_DRAFTS) {
        http_problem(a, 409, "%d drafts are waiting; apply or withdraw one", MAX_DRAFTS);
        return;
    }
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort(); /* No randomness. */
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    document =
        json_pack("{s:s,s:s,s:s,s:s,s:{s:I,s:I}}", "id", id, "author", q->who->actor, "time",
                  date_format_time(clock_unix_s(), when), "comment", json_text(body, "comment"),
                  "base", "policy", (json_int_t)h->policy, "inventory", (json_int_t)h->inventory);
    parts = json_pack("{s:O*,s:O*}", "files", part_of(body, "files"), "inventory",
                      part_of(body, "inventory"));
    if (!document || !parts)
        abort(); /* Out of memory. */
    version_put_json(t, key_of(id, key), document);
    version_put_document(t, files_key_of(id, key), parts);
    r = commit(app, t, q, "draft.propose", id, json_text(body, "comment"));
    if (r < 0)
        app_fail(a, r, "draft");
    else
        http_ok(a, json_pack("{s:s,s:O}", "id", id, "base", json_object_get(document, "base")));
}

void delete_draft(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *document = get_head(app, q->param, a);
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    int r;

    if (!document)
        return;
    if (!who_may(q->who, RIGHT_APPLY) &&
        strcmp(json_text(document, "author"), q->who->actor) != 0) {
        http_problem(a, 403, "only %s, and who may apply it, can withdraw this draft",
                     json_text(document, "author"));
        return;
    }
    delete_documents(t, q->param);
    r = commit(app, t, q, "draft.withdraw", q->param, NULL);
    if (r < 0)
        app_fail(a, r, "draft");
    else
        http_ok(a, NULL);
}

static void forget(struct app *app, const struct http_request *q, const json_t *document)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    char detail[WHO_ACTOR_SIZE + 32];

    (void)snprintf(detail, sizeof(detail), "proposed by %s", json_text(document, "author"));
    delete_documents(t, q->param);
    if (commit(app, t, q, "draft.apply", q->param, detail) < 0)
        return; /* It stays, and a second attempt meets its old base. */
}

void post_draft_apply(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"confirm_s", "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *how = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(json_decrefp) json_t *document = how ? get_document(app, q->param, a) : NULL;
    CLEANUP(json_decrefp) json_t *body = NULL;
    json_t *inventory = json_object_get(document, "inventory");

    if (!document)
        return;
    if (app->four_eyes && !q->who->is_root &&
        strcmp(json_text(document, "author"), q->who->actor) == 0) {
        http_problem(a, 403, "four eyes: somebody else must apply what you have proposed");
        return;
    }
    body = json_pack("{s:O*,s:O*,s:O,s:O*,s:O*,s:O*}", "files", json_object_get(document, "files"),
                     "inventory", inventory, "base", json_object_get(document, "base"), "comment",
                     json_object_get(document, "comment"), "confirm_s",
                     json_object_get(how, "confirm_s"), "force", json_object_get(how, "force"));
    if (!body)
        abort(); /* Out of memory. */
    app_apply(app, q, body, false, a);
    if (a->status == 200)
        forget(app, q, document);
}
