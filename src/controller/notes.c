/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/notes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "controller/audit.h"
#include "controller/json.h"
#include "controller/versions.h"

enum { KEY_SIZE = 64 };

static const char prefix[] = "timeline-note/";

static const char *key_of(uint64_t number, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "%s%016" PRIu64, prefix, number);
    return key;
}

/* The number behind the last one. */
static int next_number(struct store *s, uint64_t *ret_number)
{
    CLEANUP(store_list_done) struct store_list last = {.items = NULL};
    int r = store_list(s, prefix, NULL, true, 1, &last);

    if (r == 0)
        *ret_number = last.n ? strtoull(last.items[0].key + strlen(prefix), NULL, 10) + 1 : 1;
    return r;
}

static json_t *document_of(const struct note *n)
{
    json_t *document = json_pack("{s:I,s:I,s:o,s:o}", "time", as_json(n->time_s), "revision",
                                 (json_int_t)n->revision, "actor", json_any_text(n->actor),
                                 "comment", json_any_text(n->comment));

    if (n->detect_ms >= 0)
        (void)json_object_set_new(document, "detect_ms", json_integer(as_json(n->detect_ms)));
    if (n->contain_ms >= 0)
        (void)json_object_set_new(document, "contain_ms", json_integer(as_json(n->contain_ms)));
    return document;
}

int notes_add(struct store *s, const struct note *n)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = document_of(n);
    char key[KEY_SIZE];
    uint64_t number = 0;
    int r = next_number(s, &number);

    if (r < 0)
        return r;
    version_put_json(t, key_of(number, key), document);
    if (number > NOTES_KEPT)
        store_delete(t, key_of(number - NOTES_KEPT, key));
    r = audit_add(s, t,
                  &(struct audit_entry){.actor = n->actor,
                                        .action = "timeline.note",
                                        .object = "timeline",
                                        .detail = n->comment});
    return r < 0 ? r : store_commit(s, t, NULL);
}

/* With what was measured in an object of its own. */
static void tidy(json_t *note)
{
    static const char *const fields[] = {"detect_ms", "contain_ms"};
    json_t *measured = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        json_t *value = json_object_get(note, fields[i]);

        if (!value)
            continue;
        (void)json_object_set(measured, fields[i], value);
        (void)json_object_del(note, fields[i]);
    }
    (void)json_object_set_new(note, "measured", measured);
}

int notes_list(struct store *s, int64_t since_s, int64_t until_s, uint64_t before, size_t max,
               json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, prefix, NULL, true, NOTES_KEPT, &list);
    json_t *array;

    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n && json_array_size(array) < max; i++) {
        json_t *note = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);
        int64_t time_s = (int64_t)json_uint(note, "time");

        if (!note || time_s < since_s || time_s > until_s ||
            json_uint(note, "revision") >= before) {
            json_decref(note);
            continue;
        }
        tidy(note);
        (void)json_array_append_new(array, note);
    }
    *ret_array = array;
    return 0;
}
