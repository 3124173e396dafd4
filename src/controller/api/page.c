/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/page.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"

static const struct {
    const char *name;
    bool is_falling;
} keys[] = {{"seq", true}, {"version", true},  {"number", false}, {"name", false},
            {"id", false}, {"session", false}, {"rule", false}};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_cursor(const char *cursor, char after[PAGE_KEY_SIZE])
{
    size_t len = strlen(cursor);

    if (len % 2 || len / 2 >= PAGE_KEY_SIZE)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex(cursor[i]), low = hex(cursor[i + 1]);

        if (high < 0 || low < 0 || high * 16 + low == 0)
            return false;
        after[i / 2] = (char)(high * 16 + low);
    }
    after[len / 2] = 0;
    return true;
}

bool page_read(const struct http_request *q, struct page *ret_p, struct http_response *a)
{
    const char *limit = http_query(q, "limit"), *cursor = http_query(q, "cursor");
    struct page p = {.is_asked = limit || cursor, .limit = PAGE_DEFAULT};
    uint64_t n = PAGE_DEFAULT;

    if (limit && (number_parse(limit, strlen(limit), PAGE_MAX, &n) < 0 || n == 0)) {
        http_problem_field(a, 400, "limit", "limit=1000", "expected a number from 1 to %d",
                           PAGE_MAX);
        return false;
    }
    p.limit = n;
    if (cursor && !read_cursor(cursor, p.after)) {
        http_problem_field(a, 400, "cursor", "leave it out for the beginning",
                           "expected \"next\" of the page before");
        return false;
    }
    *ret_p = p;
    return true;
}

/* The item's key; NULL: it has none. */
static const json_t *key_of(const json_t *item, bool *ret_falling)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *key = json_object_get(item, keys[i].name);

        if (json_is_string(key) || json_is_integer(key)) {
            *ret_falling = keys[i].is_falling;
            return key;
        }
    }
    return NULL;
}

static const char *text_of(const json_t *key, char text[PAGE_KEY_SIZE])
{
    if (json_is_integer(key))
        (void)snprintf(text, PAGE_KEY_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
    else
        (void)snprintf(text, PAGE_KEY_SIZE, "%s", json_string_value(key));
    return text;
}

/* Whether the item comes behind the one with the key 'after'. */
static bool is_behind(const json_t *item, const char *after)
{
    bool is_falling = false;
    const json_t *key = key_of(item, &is_falling);
    uint64_t n = 0;
    char text[PAGE_KEY_SIZE];

    if (!after[0] || !key)
        return true;
    if (json_is_string(key))
        return strcmp(text_of(key, text), after) > 0;
    if (number_parse(after, strlen(after), INT64_MAX, &n) < 0)
        return true;
    return is_falling ? json_integer_value(key) < (json_int_t)n
                      : json_integer_value(key) > (json_int_t)n;
}

static void add_cursor(struct buf *b, const json_t *item)
{
    bool is_falling;
    const json_t *key = key_of(item, &is_falling);
    char text[PAGE_KEY_SIZE];

    for (const char *at = key ? text_of(key, text) : ""; *at; at++)
        buf_printf(b, "%02x", (unsigned char)*at);
}

static bool same_key(const json_t *x, const json_t *y)
{
    bool unused;
    const json_t *a = key_of(x, &unused), *b = key_of(y, &unused);

    return a && b && json_equal(a, b);
}

/* What of the list is asked for, and where the next piece begins. */
static json_t *piece_of(const struct page *p, const json_t *list, struct buf *next)
{
    json_t *items = json_array(), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        size_t n = json_array_size(items);

        if (!is_behind(item, p->after))
            continue;
        if (n >= p->limit && !same_key(json_array_get(items, n - 1), item)) {
            add_cursor(next, json_array_get(items, n - 1));
            break;
        }
        (void)json_array_append(items, item);
    }
    return items;
}

bool page_is_cut(const struct page *p, size_t n)
{
    return p->limit && (p->is_asked || n > p->limit);
}

void page_cut(const struct page *p, struct http_response *a)
{
    bool is_list = json_is_array(a->json);
    json_t *list = is_list ? a->json : json_object_get(a->json, "rules"), *items;
    CLEANUP(buf_done) struct buf next = BUF_INIT;

    if (a->status != 200 || !json_is_array(list) || !page_is_cut(p, json_array_size(list)))
        return;
    items = piece_of(p, list, &next);
    if (is_list) {
        json_decref(list);
        a->json = json_pack("{s:o,s:s}", "items", items, "next", buf_str(&next));
    } else {
        (void)json_object_set_new(a->json, "rules", items);
        (void)json_object_set_new(a->json, "next", json_string(buf_str(&next)));
    }
}

bool page_wants(const struct page *p, const char *name, size_t n)
{
    return n < p->limit + 2 && strcmp(name, p->after) > 0;
}

bool page_wants_number(const struct page *p, uint64_t number, size_t n)
{
    uint64_t after = 0;

    if (p->after[0] && number_parse(p->after, strlen(p->after), INT64_MAX, &after) < 0)
        return false;
    return n < p->limit + 2 && number > after;
}
