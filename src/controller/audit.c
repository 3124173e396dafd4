/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/json.h"
#include "sys/clock.h"

enum { KEY_SIZE = 32, BATCH = 500 };

const char *audit_digest(const void *data, size_t size, char digest[AUDIT_DIGEST_SIZE])
{
    unsigned char sha[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_Digest(data, size, sha, &n, EVP_sha256(), NULL) != 1)
        abort(); /* Out of memory. */
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(digest + (size_t)i * 2, 3, "%02x", sha[i]);
    return digest;
}

static const char *key_of(uint64_t seq, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "audit/%016" PRIu64, seq);
    return key;
}

static int last_entry(struct store *s, uint64_t *ret_seq, char digest[AUDIT_DIGEST_SIZE])
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    CLEANUP(json_decrefp) json_t *entry = NULL;
    int r = store_list(s, "audit/", NULL, true, 1, &list);

    if (r < 0)
        return r;
    *ret_seq = 0;
    digest[0] = 0;
    if (list.n == 0)
        return 0;
    entry = json_loadb(list.items[0].data, list.items[0].size, 0, NULL);
    *ret_seq = json_uint(entry, "seq");
    (void)audit_digest(list.items[0].data, list.items[0].size, digest);
    return *ret_seq ? 0 : -EUCLEAN;
}

static json_t *text(const char *s)
{
    json_t *j = json_string(s ? s : "");

    return j ? j : json_string("(not text)");
}

int audit_add(struct store *s, struct store_transaction *t, const struct audit_entry *e)
{
    CLEANUP(json_decrefp) json_t *entry = NULL;
    CLEANUP(free_voidp) char *bytes = NULL;
    char prev[AUDIT_DIGEST_SIZE], when[DATE_TEXT_SIZE], key[KEY_SIZE];
    uint64_t seq;
    int r = last_entry(s, &seq, prev);

    if (r < 0)
        return r;
    entry =
        json_pack("{s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "seq", as_json((int64_t)seq + 1), "time",
                  date_format_time(clock_unix_s(), when), "actor", text(e->actor), "action",
                  text(e->action), "object", text(e->object), "detail", text(e->detail), "before",
                  text(e->before), "after", text(e->after), "prev", prev);
    bytes = entry ? json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!bytes)
        abort(); /* Out of memory. */
    store_expect(t, key_of(seq + 1, key), 0);
    store_put(t, key, bytes, strlen(bytes));
    if (seq + 1 > AUDIT_HISTORY)
        store_delete(t, key_of(seq + 1 - AUDIT_HISTORY, key));
    return 0;
}

/* The first entry that is kept may follow one that is not: its 'prev' is taken as it is. */
static bool holds(const struct store_item *item, struct audit_state *state, bool first)
{
    CLEANUP(json_decrefp) json_t *entry = json_loadb(item->data, item->size, 0, NULL);
    char key[KEY_SIZE];
    uint64_t seq = json_uint(entry, "seq");

    if (!entry || strcmp(item->key, key_of(seq, key)) != 0)
        return false;
    if (first ? seq == 1 && json_text(entry, "prev")[0]
              : seq != state->n + 1 || strcmp(json_text(entry, "prev"), state->last) != 0)
        return false;
    state->n = seq;
    (void)audit_digest(item->data, item->size, state->last);
    return true;
}

int audit_verify(struct store *s, struct audit_state *ret_state)
{
    struct audit_state state = {.n = 0};
    char after[KEY_SIZE] = "audit/";
    bool first = true;

    for (;;) {
        CLEANUP(store_list_done) struct store_list list = {.items = NULL};
        int r = store_list(s, "audit/", after, false, BATCH, &list);

        if (r < 0)
            return r;
        if (list.n == 0)
            break;
        for (size_t i = 0; i < list.n; i++) {
            if (!holds(&list.items[i], &state, first)) {
                state.bad = state.n + 1;
                *ret_state = state;
                return 0;
            }
            first = false;
        }
        (void)key_of(state.n, after);
    }
    *ret_state = state;
    return 0;
}

int audit_list(struct store *s, uint64_t before, size_t max, json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    char key[KEY_SIZE];
    json_t *array;
    int r = store_list(s, "audit/", before ? key_of(before, key) : NULL, true, max, &list);

    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *entry = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (entry)
            (void)json_array_append_new(array, entry);
    }
    *ret_array = array;
    return 0;
}
