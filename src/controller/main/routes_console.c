/* SPDX-License-Identifier: Apache-2.0 */
/* What the web console keeps here: places on the map, which all see, and each account's own views.
 *
 *     console-layout/<SHA-256 of by>    {by, places: {compartment: [x, y]}}
 *     console-views/<account>           {views: [{name, address}]}
 *
 * Nothing of it decides anything, so that the audit is not told.  Both are bounded. */
#include <errno.h>
#include <stdio.h>

#include "controller/audit.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "controller/versions.h"

enum {
    GROUPINGS_MAX = 32,
    PLACES_MAX = 500,
    NAME_MAX_LEN = 128,
    FAR = 1000000,
    VIEWS_MAX = 50,
    VIEW_NAME_LEN = 80,
    ADDRESS_LEN = 1000,
    KEY_SIZE = 128,
};

static const char layouts[] = "console-layout/";

/* The document, or an empty object; NULL and a problem when it cannot be read. */
static json_t *read_document(struct app *app, const char *key, struct http_response *a)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    int r = store_get(app->store, key, &item);
    json_t *document = r == 0         ? json_loadb(item.data, item.size, 0, NULL)
                       : r == -ENOENT ? json_object()
                                      : NULL;

    if (!document)
        app_fail(a, r < 0 ? r : -EUCLEAN, "console");
    return document;
}

static void write_document(struct app *app, const char *key, const json_t *document,
                           struct http_response *a)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    int r;

    version_put_json(t, key, document);
    r = store_commit(app->store, t, NULL);
    if (r < 0)
        app_fail(a, r, "console");
    else
        http_ok(a, NULL);
}

/* ---- places on the map ---- */

static bool is_short(const char *text, size_t max)
{
    return text && text[0] && strlen(text) <= max;
}

static const char *layout_key(const char *by, char key[KEY_SIZE])
{
    char digest[AUDIT_DIGEST_SIZE]; /* A label may have characters that a key may not. */

    (void)snprintf(key, KEY_SIZE, "%s%s", layouts, audit_digest(by, strlen(by), digest));
    return key;
}

void get_layout(void *user, const struct http_request *q, struct http_response *a)
{
    const char *by = http_query(q, "by");
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];

    if (!is_short(by, NAME_MAX_LEN)) {
        http_problem(a, 400, "by is required: group, or label:NAME");
        return;
    }
    document = read_document(user, layout_key(by, key), a);
    if (!document)
        return;
    if (!json_object_get(document, "places"))
        (void)json_object_set_new(document, "places", json_object());
    http_ok(a, json_pack("{s:s,s:O}", "by", by, "places", json_object_get(document, "places")));
}

static bool is_place(const char *name, const json_t *place)
{
    for (size_t i = 0; i < 2; i++) {
        const json_t *n = json_array_get(place, i);

        if (!json_is_integer(n) || json_integer_value(n) < -FAR || json_integer_value(n) > FAR)
            return false;
    }
    return is_short(name, NAME_MAX_LEN) && json_array_size(place) == 2;
}

static bool are_places(const json_t *places)
{
    const char *name;
    json_t *place;

    if (!json_is_object(places) || json_object_size(places) > PLACES_MAX)
        return false;
    json_object_foreach((json_t *)(uintptr_t)places, name, place)
    {
        if (!is_place(name, place))
            return false;
    }
    return true;
}

/* Whether another grouping may come; the old ones may change. */
static bool has_room(struct app *app, const char *key)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};

    if (store_list(app->store, layouts, NULL, false, GROUPINGS_MAX, &list) < 0)
        return true; /* The write says what is wrong. */
    for (size_t i = 0; i < list.n; i++)
        if (strcmp(list.items[i].key, key) == 0)
            return true;
    return list.n < GROUPINGS_MAX;
}

void put_layout(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"by", "places"};
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    const char *by = json_text(body, "by");
    char key[KEY_SIZE];

    if (!body)
        return;
    if (!is_short(by, NAME_MAX_LEN)) {
        http_problem_field(a, 422, "by", "\"by\": \"group\"", "by: expected 1 to %d bytes",
                           NAME_MAX_LEN);
        return;
    }
    if (!are_places(json_object_get(body, "places"))) {
        http_problem_field(a, 422, "places", "{\"web\": [120, 40]}",
                           "places: expected at most %d names of at most %d bytes, each with two "
                           "numbers from %d to %d",
                           PLACES_MAX, NAME_MAX_LEN, -FAR, FAR);
        return;
    }
    if (!has_room(user, layout_key(by, key)))
        http_problem(a, 409, "the places of %d groupings are kept already", GROUPINGS_MAX);
    else
        write_document(user, key, body, a);
}

/* ---- an account's own views ---- */

/* False, with a problem: who asks has no account. */
static bool views_key(const struct http_request *q, char key[KEY_SIZE], struct http_response *a)
{
    (void)snprintf(key, KEY_SIZE, ACCOUNT_VIEWS_PREFIX "%.63s", q->who->account);
    if (q->who->account[0])
        return true;
    http_problem(a, 404, "you have no account: nothing is saved for a token or for root");
    return false;
}

void get_saved_views(void *user, const struct http_request *q, struct http_response *a)
{
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];

    if (!views_key(q, key, a))
        return;
    document = read_document(user, key, a);
    if (!document)
        return;
    if (!json_object_get(document, "views"))
        (void)json_object_set_new(document, "views", json_array());
    http_ok(a, json_incref(document));
}

/* An address is one of the console itself: behind its hash. */
static bool is_view(const json_t *view)
{
    const char *address = json_text(view, "address");

    return json_is_object(view) && json_object_size(view) == 2 &&
           is_short(json_text(view, "name"), VIEW_NAME_LEN) && is_short(address, ADDRESS_LEN) &&
           strncmp(address, "#/", 2) == 0;
}

void put_saved_views(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"views"};
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    const json_t *views = json_object_get(body, "views"), *view;
    bool good = json_is_array(views) && json_array_size(views) <= VIEWS_MAX;
    char key[KEY_SIZE];
    size_t i;

    if (!body || !views_key(q, key, a))
        return;
    json_array_foreach(views, i, view) good = good && is_view(view);
    if (!good)
        http_problem_field(a, 422, "views", "[{\"name\": \"denied\", \"address\": \"#/flows\"}]",
                           "views: expected at most %d, each with a name of 1 to %d bytes and an "
                           "address that begins with #/, of at most %d",
                           VIEWS_MAX, VIEW_NAME_LEN, ADDRESS_LEN);
    else
        write_document(user, key, body, a);
}
