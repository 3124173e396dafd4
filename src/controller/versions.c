/* SPDX-License-Identifier: Apache-2.0 */
/* Two documents for each version; see versions.h. */
#include "controller/versions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/date.h"
#include "controller/json.h"

enum {
    KEY_SIZE = 96,
    UNPACKED_MAX = 2 * VERSION_DOCUMENT_MAX + VERSION_PLAIN_MAX, /* JSON escapes. */
    LEVEL = 3,
};

static const char learn_all[] = "suimitsu: 1\nmode: {default: learn}\nallow: []\n";
static const char nobody[] = "suimitsu-inventory: 1\nendpoints: {}\n";

static const char *version_key(const char *what, uint64_t version, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "%s/%016" PRIu64, what, version);
    return key;
}

/* Lists of versions are made from documents without texts. */
static const char *log_key(const char *what, uint64_t version, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, "%s-log/%016" PRIu64, what, version);
    return key;
}

/* ---- large ones ---- */

static bool is_packed(const struct store_item *item)
{
    const unsigned char *b = (const unsigned char *)item->data;

    return item->size > 4 && ((uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 |
                              b[0]) == ZSTD_MAGICNUMBER;
}

static int unpack(const struct store_item *item, json_t **ret_document)
{
    unsigned long long size = ZSTD_getFrameContentSize(item->data, item->size);
    CLEANUP(free_voidp) char *text = NULL;

    if (size > UNPACKED_MAX) /* Unknown and wrong are the largest numbers. */
        return -EUCLEAN;
    text = xcalloc(size + 1, 1);
    if (ZSTD_decompress(text, size, item->data, item->size) != size)
        return -EUCLEAN;
    *ret_document = json_loadb(text, size, 0, NULL);
    return *ret_document ? 0 : -EUCLEAN;
}

static void put_packed(struct store_transaction *t, const char *key, const char *text, size_t size)
{
    size_t room = ZSTD_compressBound(size);
    CLEANUP(free_voidp) char *packed = xcalloc(room, 1);
    size_t n = ZSTD_compress(packed, room, text, size, LEVEL);

    if (ZSTD_isError(n))
        abort(); /* Out of memory. */
    store_put(t, key, packed, n);
}

void version_put_document(struct store_transaction *t, const char *key, const json_t *document)
{
    CLEANUP(free_voidp) char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    size_t size = text ? strlen(text) : 0;

    if (!text)
        abort(); /* Out of memory. */
    if (size > VERSION_PLAIN_MAX)
        put_packed(t, key, text, size);
    else
        store_put(t, key, text, size);
}

void version_put_json(struct store_transaction *t, const char *key, const json_t *document)
{
    CLEANUP(free_voidp) char *bytes = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);

    if (!bytes)
        abort(); /* Out of memory. */
    store_put(t, key, bytes, strlen(bytes));
}

/* ---- files ---- */

void version_files_done(struct version_files *f)
{
    json_decref(f->document);
    free(f->sources);
}

static void take_files(json_t *document, struct version_files *f)
{
    const json_t *list = json_object_get(document, "files"), *file;
    size_t i;

    f->document = document;
    f->sources = xcalloc(json_array_size(list), sizeof(*f->sources));
    json_array_foreach(list, i, file)
    {
        f->sources[f->n].name = json_text(file, "name");
        f->sources[f->n].data = json_text(file, "text");
        f->sources[f->n].size = strlen(f->sources[f->n].data);
        f->n++;
    }
}

int version_files_get(struct store *s, const char *what, uint64_t version,
                      struct version_files *ret_f)
{
    const char *text = strcmp(what, "policy") == 0 ? learn_all : nobody;
    const struct source built_in = {.name = "built-in.yaml", .data = text, .size = strlen(text)};
    json_t *document = NULL;
    int r;

    if (version == 0) {
        version_files_borrow(ret_f, &built_in, 1);
        return 0;
    }
    r = version_get(s, what, version, &document);
    if (r == 0)
        take_files(document, ret_f);
    return r;
}

void version_files_borrow(struct version_files *f, const struct source *sources, size_t n)
{
    f->sources = xcalloc(n, sizeof(*sources));
    if (n) /* Nothing may lie nowhere. */
        memcpy(f->sources, sources, n * sizeof(*sources));
    f->n = n;
}

void version_files_digest(const struct version_files *f, char digest[AUDIT_DIGEST_SIZE])
{
    CLEANUP(buf_done) struct buf all = BUF_INIT;

    for (size_t i = 0; i < f->n; i++) {
        buf_add(&all, f->sources[i].name, strlen(f->sources[i].name) + 1);
        buf_be64(&all, f->sources[i].size);
        buf_add(&all, f->sources[i].data, f->sources[i].size);
    }
    (void)audit_digest(buf_str(&all), all.size, digest);
}

/* ---- documents ---- */

int version_get_document(struct store *s, const char *key, json_t **ret_document)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    int r = store_get(s, key, &item);

    if (r < 0)
        return r;
    if (is_packed(&item))
        return unpack(&item, ret_document);
    *ret_document = json_loadb(item.data, item.size, 0, NULL);
    return *ret_document ? 0 : -EUCLEAN;
}

int version_get(struct store *s, const char *what, uint64_t version, json_t **ret_document)
{
    char key[KEY_SIZE];

    return version_get_document(s, version_key(what, version, key), ret_document);
}

int version_list(struct store *s, const char *what, json_t **ret_array)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    char prefix[KEY_SIZE];
    json_t *array;
    int r;

    (void)snprintf(prefix, sizeof(prefix), "%s-log/", what);
    r = store_list(s, prefix, NULL, true, VERSION_HISTORY + 16, &list);
    if (r < 0)
        return r;
    array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        if (document)
            (void)json_array_append_new(array, document);
    }
    *ret_array = array;
    return 0;
}

static json_t *document_of(const char *what, uint64_t version, const struct version_files *f,
                           const struct version_note *note)
{
    char when[DATE_TEXT_SIZE];
    json_t *files = json_array();
    size_t total = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct source *s = &f->sources[i];
        json_t *file = json_pack("{s:s,s:s%}", "name", s->name, "text", s->data, s->size);

        total += s->size;
        if (!file || json_array_append_new(files, file) < 0 || total > VERSION_DOCUMENT_MAX) {
            json_decref(files);
            return NULL;
        }
    }
    return json_pack("{s:s,s:I,s:s,s:o,s:o,s:o}", "kind", what, "version", (json_int_t)version,
                     "time", date_format_time(note->now_s, when), "actor",
                     json_any_text(note->actor), "comment", json_any_text(note->comment), "files",
                     files);
}

int version_put(struct store_transaction *t, const char *what, uint64_t version,
                const struct version_files *f, const struct version_note *note)
{
    CLEANUP(json_decrefp) json_t *document = document_of(what, version, f, note);
    char key[KEY_SIZE];

    if (!document)
        return -E2BIG;
    version_put_document(t, version_key(what, version, key), document);
    (void)json_object_del(document, "files"); /* The rest is the history's line. */
    version_put_json(t, log_key(what, version, key), document);
    return 0;
}

int version_prune(struct store *s, struct store_transaction *t, const char *what,
                  const uint64_t used[], size_t n_used)
{
    CLEANUP(json_decrefp) json_t *versions = NULL;
    uint64_t oldest;
    char key[KEY_SIZE];
    size_t n;
    int r = version_list(s, what, &versions);

    if (r < 0)
        return r;
    n = json_array_size(versions);
    if (n < VERSION_HISTORY)
        return 0;
    oldest = json_uint(json_array_get(versions, n - 1), "version");
    for (size_t i = 0; i < n_used; i++)
        if (used[i] == oldest)
            return 0;
    store_delete(t, version_key(what, oldest, key));
    store_delete(t, log_key(what, oldest, key));
    return 0;
}
