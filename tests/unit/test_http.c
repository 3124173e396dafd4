/* SPDX-License-Identifier: Apache-2.0 */
/* What api/page.h, api/idempotency.h and sys/gzip.h promise. */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "controller/api/idempotency.h"
#include "controller/api/page.h"
#include "sys/gzip.h"

/* ---- pages ---- */

static json_t *names(const char *const list[], size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, json_pack("{s:s}", "name", list[i]));
    return array;
}

/* The page of 'list' behind 'cursor' as "a b c|next". */
static void get_page(json_t *list, size_t limit, const char *cursor, char text[256],
                     char next[PAGE_KEY_SIZE * 2])
{
    char number[16];
    struct http_request q = {.pairs = {{(char *)(uintptr_t) "limit", number},
                                       {(char *)(uintptr_t) "cursor", (char *)(uintptr_t)cursor}},
                             .n_pairs = cursor[0] ? 2 : 1};
    CLEANUP(http_response_done) struct http_response a = {.status = 200, .json = json_incref(list)};
    struct page p;
    json_t *item;
    size_t i, at = 0;

    (void)snprintf(number, sizeof(number), "%zu", limit);
    assert_true(page_read(&q, &p, &a));
    page_cut(&p, &a);
    text[0] = 0;
    json_array_foreach(json_object_get(a.json, "items"), i, item)
    {
        const char *key;
        json_t *value;

        json_object_foreach(item, key, value)
        {
            if (json_is_string(value))
                at += (size_t)snprintf(text + at, 256 - at, "%s ", json_string_value(value));
            else
                at += (size_t)snprintf(text + at, 256 - at, "%d ", (int)json_integer_value(value));
        }
    }
    (void)snprintf(next, PAGE_KEY_SIZE * 2, "%s",
                   json_string_value(json_object_get(a.json, "next")));
}

static void pages_follow_each_other_without_gap_or_repetition(void **state)
{
    (void)state;
    static const char *const all[] = {"a", "b", "c", "d", "e"};
    CLEANUP(json_decrefp) json_t *list = names(all, 5);
    char text[256], next[PAGE_KEY_SIZE * 2];

    get_page(list, 2, "", text, next);
    assert_string_equal(text, "a b ");
    get_page(list, 2, next, text, next);
    assert_string_equal(text, "c d ");
    get_page(list, 2, next, text, next);
    assert_string_equal(text, "e ");
    assert_string_equal(next, "");
    get_page(list, 5, "", text, next);
    assert_string_equal(next, "");
}

static void what_is_added_or_removed_meanwhile_hides_nothing_else(void **state)
{
    (void)state;
    static const char *const before[] = {"a", "b", "c", "d"}, *const after[] = {"0", "a", "c", "d"};
    CLEANUP(json_decrefp) json_t *list = names(before, 4);
    CLEANUP(json_decrefp) json_t *changed = names(after, 4);
    char text[256], next[PAGE_KEY_SIZE * 2];

    get_page(list, 2, "", text, next); /* Ends with "b", which goes. */
    get_page(changed, 2, next, text, next);
    assert_string_equal(text, "c d ");
}

static void items_of_one_key_stay_together(void **state)
{
    (void)state;
    static const char *const all[] = {"a", "b", "b", "c"};
    CLEANUP(json_decrefp) json_t *list = names(all, 4);
    char text[256], next[PAGE_KEY_SIZE * 2];

    get_page(list, 2, "", text, next);
    assert_string_equal(text, "a b b ");
    get_page(list, 2, next, text, next);
    assert_string_equal(text, "c ");
}

static void newest_first_lists_go_down(void **state)
{
    (void)state;
    CLEANUP(json_decrefp) json_t *list = json_array();
    char text[256], next[PAGE_KEY_SIZE * 2];

    for (int i = 12; i > 7; i--)
        (void)json_array_append_new(list, json_pack("{s:i}", "seq", i));
    get_page(list, 3, "", text, next);
    assert_string_equal(text, "12 11 10 ");
    (void)json_array_insert_new(list, 0, json_pack("{s:i}", "seq", 13));
    get_page(list, 3, next, text, next);
    assert_string_equal(text, "9 8 ");
}

static json_t *numbers(size_t n, const char *key)
{
    json_t *array = json_array();

    for (size_t i = 1; i <= n; i++)
        (void)json_array_append_new(array, json_pack("{s:I}", key, (json_int_t)i));
    return array;
}

static void a_list_that_nobody_cut_is_no_longer_than_a_page(void **state)
{
    (void)state;
    struct http_request q = {.n_pairs = 0};
    CLEANUP(http_response_done) struct http_response fits = {.status = 200};
    CLEANUP(http_response_done) struct http_response not = {.status = 200};
    struct page p, none = {.limit = 0};

    assert_true(page_read(&q, &p, &fits));
    fits.json = numbers(PAGE_DEFAULT, "number");
    page_cut(&p, &fits);
    assert_int_equal(json_array_size(fits.json), PAGE_DEFAULT);
    not .json = numbers(PAGE_DEFAULT + 1, "number");
    page_cut(&none, &not );
    assert_int_equal(json_array_size(not .json), PAGE_DEFAULT + 1); /* A route without pages. */
    page_cut(&p, &not );
    assert_int_equal(json_array_size(json_object_get(not .json, "items")), PAGE_DEFAULT);
    assert_true(page_wants_number(&p, 1, PAGE_DEFAULT + 1));
    assert_false(page_wants_number(&p, 1, PAGE_DEFAULT + 2));
    (void)snprintf(p.after, sizeof(p.after), "7");
    assert_false(page_wants_number(&p, 7, 0));
    assert_true(page_wants_number(&p, 8, 0));
}

static void rules_beside_other_things_are_cut_in_their_object(void **state)
{
    (void)state;
    struct http_request q = {.n_pairs = 0};
    CLEANUP(http_response_done) struct http_response a = {.status = 200};
    struct page p;

    assert_true(page_read(&q, &p, &a));
    a.json = json_pack("{s:o,s:i}", "rules", numbers(PAGE_DEFAULT + 1, "number"), "total", 3);
    page_cut(&p, &a);
    assert_int_equal(json_array_size(json_object_get(a.json, "rules")), PAGE_DEFAULT);
    assert_string_equal(json_string_value(json_object_get(a.json, "next")), "31303030");
    assert_int_equal(json_integer_value(json_object_get(a.json, "total")), 3);
}

static void a_wrong_limit_or_cursor_is_told(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"limit", "0"},     {"limit", "5001"}, {"limit", "x"},
                                           {"cursor", "xyz"},  {"cursor", "0"},   {"cursor", "00"},
                                           {"cursor", "6z6z"}, {"limit", "-1"}};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct http_request q = {
            .pairs = {{(char *)(uintptr_t)wrong[i][0], (char *)(uintptr_t)wrong[i][1]}},
            .n_pairs = 1};
        CLEANUP(http_response_done) struct http_response a = {.status = 200};
        struct page p;

        assert_false(page_read(&q, &p, &a));
        assert_int_equal(a.status, 400);
        assert_string_equal(json_string_value(json_object_get(a.json, "field")), wrong[i][0]);
    }
}

/* ---- idempotency ---- */

static const struct who mika = {.role = ROLE_ADMIN, .actor = "account mika"},
                        jun = {.role = ROLE_ADMIN, .actor = "account jun"};

static struct http_request post(const struct who *who, const char *key, const char *body)
{
    return (struct http_request){.method = HTTP_METHOD_POST,
                                 .path = "/x",
                                 .who = who,
                                 .idempotency_key = key,
                                 .body = body,
                                 .body_size = strlen(body)};
}

/* The status that the request gets, when doing it gives 'status'; *ret_done: whether it was done.
 */
static int ask(struct idempotency *i, const struct http_request *q, int64_t now_s, int status,
               bool is_secret, bool *ret_done)
{
    CLEANUP(http_response_done) struct http_response a = {.status = 0};

    *ret_done = !idempotency_before(i, q, now_s, &a);
    if (*ret_done) {
        a.status = status;
        a.json = json_pack("{s:s}", "secret", "sma1.x");
        idempotency_after(i, q, is_secret, &a);
    }
    return a.status;
}

static void the_same_request_is_done_once(void **state)
{
    (void)state;
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(NULL, 0);
    struct http_request q = post(&mika, "k1", "{}"), other = post(&mika, "k1", "{\"a\": 1}"),
                        his = post(&jun, "k1", "{}");
    bool done;

    assert_int_equal(ask(i, &q, 1000, 200, false, &done), 200);
    assert_true(done);
    assert_int_equal(ask(i, &q, 1001, 500, false, &done), 200);
    assert_false(done);
    assert_int_equal(ask(i, &other, 1001, 200, false, &done), 422);
    assert_false(done);
    assert_int_equal(ask(i, &his, 1001, 200, false, &done), 200);
    assert_true(done); /* Keys are the asker's own. */
    assert_int_equal(ask(i, &q, 1000 + IDEMPOTENCY_S, 200, false, &done), 200);
    assert_true(done);
}

static void a_failure_of_ours_may_be_tried_again_and_a_refusal_is_kept(void **state)
{
    (void)state;
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(NULL, 0);
    struct http_request q = post(&mika, "k1", "{}"), r = post(&mika, "k2", "{}");
    bool done;

    assert_int_equal(ask(i, &q, 1000, 507, false, &done), 507);
    assert_int_equal(ask(i, &q, 1001, 200, false, &done), 200);
    assert_true(done);
    assert_int_equal(ask(i, &r, 1000, 422, false, &done), 422);
    assert_int_equal(ask(i, &r, 1001, 200, false, &done), 422);
    assert_false(done);
}

static void a_secret_is_not_shown_twice(void **state)
{
    (void)state;
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(NULL, 0);
    struct http_request q = post(&mika, "k1", "{}");
    bool done;

    assert_int_equal(ask(i, &q, 1000, 200, true, &done), 200);
    assert_int_equal(ask(i, &q, 1001, 200, true, &done), 409);
    assert_false(done);
}

static void a_request_under_way_is_not_begun_again_until_it_counts_as_lost(void **state)
{
    (void)state;
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(NULL, 0);
    CLEANUP(http_response_done) struct http_response a = {.status = 0};
    struct http_request q = post(&mika, "k1", "{}");
    bool done;

    assert_false(idempotency_before(i, &q, 1000, &a));
    assert_int_equal(ask(i, &q, 1001, 200, false, &done), 409);
    assert_int_equal(ask(i, &q, 1000 + 2 * HTTP_MAX_WAIT_S, 200, false, &done), 200);
    assert_true(done);
}

/* ---- over restarts ---- */

static char folder[] = "/tmp/sm-http-XXXXXX";

static struct store *opened(void)
{
    struct store *s = NULL;
    const char *what;
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/db", folder);
    assert_int_equal(store_open(path, &s, &what), 0);
    return s;
}

static int in_a_new_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/sm-http-XXXXXX", sizeof(folder));
    return mkdtemp(folder) ? 0 : -1;
}

static int clean_up(void **state)
{
    static const char *const names[] = {"db", "db-wal", "db-shm"};
    char path[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* As ask(), by a handler that commits a document, or not; 'is_ended': nobody answers any more. */
static bool work(struct idempotency *i, struct store *s, const struct http_request *q, bool commits,
                 bool is_ended, struct http_response *a)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();

    if (idempotency_before(i, q, 1000, a))
        return false;
    idempotency_ride(i, q);
    if (commits) {
        store_put(t, "thing", "1", 1);
        assert_int_equal(store_commit(s, t, NULL), 0);
    }
    idempotency_unride(i, q);
    if (is_ended)
        return true;
    a->status = 200;
    a->json = json_pack("{s:i}", "revision", 7);
    idempotency_after(i, q, false, a);
    return true;
}

static void what_was_changed_is_answered_alike_after_a_restart(void **state)
{
    (void)state;
    struct http_request q = post(&mika, "k1", "{}"), other = post(&mika, "k1", "{\"a\": 1}"),
                        asked = post(&mika, "k2", "{}"), cut = post(&mika, "k3", "{}");
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(http_response_done) struct http_response a = {.status = 0}, b = a, c = a, d = a, e = a;

    {
        CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(s, 1000);

        assert_true(work(i, s, &q, true, false, &a));
        assert_true(work(i, s, &asked, false, false, &b));
        assert_true(work(i, s, &cut, true, true, &c));
        assert_int_equal(idempotency_size(i), 3);
    }
    {
        CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(s, 1001);

        assert_int_equal(idempotency_size(i), 2); /* What changed nothing is asked again. */
        assert_false(work(i, s, &q, true, false, &d));
        assert_int_equal(d.status, 200);
        assert_true(json_equal(d.json, a.json));
        http_response_done(&d);
        d = (struct http_response){.status = 0};
        assert_false(work(i, s, &other, true, false, &d));
        assert_int_equal(d.status, 422);
        assert_false(work(i, s, &cut, true, false, &e)); /* Its answer never came to the disk. */
        assert_int_equal(e.status, 409);
    }
    {
        CLEANUP(idempotency_freep)
        struct idempotency *i = idempotency_new(s, 1000 + IDEMPOTENCY_S);

        assert_int_equal(idempotency_size(i), 0); /* A day later. */
    }
}

static void what_is_forgotten_goes_from_the_store(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(s, 1000);
    char key[IDEMPOTENCY_KEY_LEN];
    struct http_request q = post(&mika, key, "{}");

    for (int n = 0; n < IDEMPOTENCY_MAX + 10; n++) {
        CLEANUP(http_response_done) struct http_response a = {.status = 0};

        (void)snprintf(key, sizeof(key), "%d", n);
        assert_true(work(i, s, &q, true, false, &a));
    }
    assert_int_equal(store_list(s, "idempotent/", NULL, false, 3 * IDEMPOTENCY_MAX, &list), 0);
    assert_int_equal(list.n, IDEMPOTENCY_MAX);
}

static void keys_are_bounded(void **state)
{
    (void)state;
    CLEANUP(idempotency_freep) struct idempotency *i = idempotency_new(NULL, 0);
    char key[IDEMPOTENCY_KEY_LEN + 2];
    struct http_request q = post(&mika, key, "{}");
    bool done;

    for (int n = 0; n < 3 * IDEMPOTENCY_MAX; n++) {
        (void)snprintf(key, sizeof(key), "%d", n);
        assert_int_equal(ask(i, &q, 1000, 200, false, &done), 200);
    }
    assert_int_equal(idempotency_size(i), IDEMPOTENCY_MAX);
    memset(key, 'x', sizeof(key) - 1);
    key[sizeof(key) - 1] = 0;
    assert_int_equal(ask(i, &q, 1000, 200, false, &done), 400);
    (void)snprintf(key, sizeof(key), "a b");
    assert_int_equal(ask(i, &q, 1000, 200, false, &done), 400);
    key[0] = 0;
    assert_int_equal(ask(i, &q, 1000, 200, false, &done), 400);
}

/* ---- packed bodies ---- */

static struct buf gzip(const char *text, size_t size)
{
    z_stream z = {.zalloc = Z_NULL};
    struct buf packed = BUF_INIT;
    uLong room;

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    room = deflateBound(&z, size);
    packed.data = xcalloc(room + 1, 1);
    packed.room = room + 1;
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)size;
    z.next_out = (unsigned char *)packed.data;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.size = z.total_out;
    (void)deflateEnd(&z);
    return packed;
}

static void what_was_packed_comes_out_up_to_the_bound(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    CLEANUP(free_voidp) char *text = xcalloc(SIZE, 1);
    CLEANUP(buf_done) struct buf packed = BUF_INIT;
    CLEANUP(buf_done) struct buf out = BUF_INIT;

    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i * i % 23);
    packed = gzip(text, SIZE);
    assert_int_equal(gzip_unpack(packed.data, packed.size, SIZE, &out), 0);
    assert_int_equal(out.size, SIZE);
    assert_memory_equal(out.data, text, SIZE);
    buf_reset(&out);
    assert_int_equal(gzip_unpack(packed.data, packed.size, SIZE - 1, &out), -E2BIG);
    assert_true(out.size < SIZE);
}

static void what_is_packed_here_comes_out_again(void **state)
{
    (void)state;
    static const char text[] = "{\"files\": []} {\"files\": []} {\"files\": []} {\"files\": []}";

    for (enum gzip_effort effort = GZIP_QUICK; effort <= GZIP_SMALL; effort++)
        for (size_t n = 0; n <= sizeof(text); n++) {
            CLEANUP(buf_done) struct buf packed = BUF_INIT;
            CLEANUP(buf_done) struct buf out = BUF_INIT;

            gzip_pack(text, n, effort, &packed);
            assert_int_equal(gzip_unpack(packed.data, packed.size, n, &out), 0);
            assert_int_equal(out.size, n);
            assert_true(n == 0 || memcmp(out.data, text, n) == 0);
            assert_true(n < sizeof(text) || packed.size < n);
        }
}

static void what_is_cut_damaged_or_followed_by_more_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"files\": []} and so on, and so on";
    CLEANUP(buf_done) struct buf packed = gzip(text, sizeof(text));
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    size_t size = packed.size;

    for (size_t n = 0; n < size; n++)
        assert_int_equal(gzip_unpack(packed.data, n, 1 << 20, &out), -EBADMSG);
    for (size_t i = size - 8; i < size; i++) { /* CRC and length, RFC 1952. */
        packed.data[i] ^= 1;
        assert_int_equal(gzip_unpack(packed.data, size, 1 << 20, &out), -EBADMSG);
        packed.data[i] ^= 1;
    }
    buf_putc(&packed, 'x');
    assert_int_equal(gzip_unpack(packed.data, packed.size, 1 << 20, &out), -EBADMSG);
    assert_int_equal(gzip_unpack("{}", 2, 1 << 20, &out), -EBADMSG);
    buf_reset(&out);
    assert_int_equal(gzip_unpack(packed.data, size, 1 << 20, &out), 0);
    assert_int_equal(out.size, sizeof(text));
}

static void tell_body(void *seen, const struct http_request *q, struct http_response *a)
{
    struct buf *b = seen;

    buf_reset(b);
    buf_add(b, q->body, q->body_size);
    http_ok(a, NULL);
}

/* Who has the right alone makes us unpack anything, and only where the route takes it. */
static void a_packed_body_is_opened_for_those_who_may_and_where_it_is_taken(void **state)
{
    (void)state;
    static const struct http_route routes[] = {
        {HTTP_METHOD_PUT, "/large", RIGHT_TRY | LARGE_BODY, tell_body, "", NULL, "{}"},
        {HTTP_METHOD_PUT, "/small", RIGHT_TRY, tell_body, "", NULL, "{}"},
    };
    static const struct who nobody = {.role = ROLE_NONE}, viewer = {.role = ROLE_VIEWER};
    static const struct {
        const char *path, *encoding;
        const struct who *who;
        bool is_whole;
        int status;
    } cases[] = {
        {"/large", "gzip", &mika, true, 200},    {"/large", "GZIP", &mika, true, 200},
        {"/large", "gzip", &mika, false, 400},   {"/large", "br", &mika, true, 415},
        {"/large", "gzip", &viewer, false, 403}, {"/large", "gzip", &nobody, false, 401},
        {"/small", "gzip", &mika, true, 415},    {"/small", "identity", &mika, true, 200},
    };
    CLEANUP(buf_done) struct buf packed = gzip("{\"a\": 1}", 8);
    CLEANUP(buf_done) struct buf seen = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_request q = {.method = HTTP_METHOD_PUT,
                                 .path = cases[i].path,
                                 .who = cases[i].who,
                                 .content_encoding = cases[i].encoding,
                                 .body = packed.data,
                                 .body_size = packed.size - !cases[i].is_whole};
        CLEANUP(http_response_done) struct http_response a = {.status = 0};

        buf_reset(&seen);
        http_dispatch(routes, ARRAY_SIZE(routes), NULL, &seen, &q, &a);
        http_request_done(&q);
        assert_int_equal(a.status, cases[i].status);
        assert_ptr_equal(q.body, packed.data);
        if (a.status == 200 && strcasecmp(cases[i].encoding, "gzip") == 0)
            assert_string_equal(buf_str(&seen), "{\"a\": 1}");
    }
}

/* ---- preferences ---- */

enum { NEVER = -1 };

/* Seconds until it may be answered later; NEVER. */
static int patience_of(const char *prefer)
{
    struct http_request q = {.prefer = prefer};

    for (int s = 0; s <= HTTP_MAX_WAIT_S; s++) {
        q.waited_ms = (uint64_t)s * 1000;
        q.last_chance = s == HTTP_MAX_WAIT_S;
        if (http_prefers_later(&q))
            return s;
    }
    return NEVER;
}

static void who_prefers_it_may_be_answered_later_after_so_many_seconds(void **state)
{
    (void)state;
    assert_int_equal(patience_of(NULL), NEVER);
    assert_int_equal(patience_of(""), NEVER);
    assert_int_equal(patience_of("respond-async"), 0);
    assert_int_equal(patience_of("respond-async, wait=10"), 10);
    assert_int_equal(patience_of("WAIT = 7 ,return=minimal,\tRespond-Async"), 7);
    assert_int_equal(patience_of("respond-async; a=\"b\", wait=\"9\"; c"), 9);
    assert_int_equal(patience_of("respond-async,,wait=3,"), 3);
    assert_int_equal(patience_of("respond-async, wait=31"), HTTP_MAX_WAIT_S);
    assert_int_equal(patience_of("respond-async, wait=99999999999999999999"), 0);
    assert_int_equal(patience_of("respond-async, wait=-1"), 0);
    assert_int_equal(patience_of("respond-async, wait="), 0);
    assert_int_equal(patience_of("respond-async, wait"), 0);
}

static void whoever_does_not_say_so_is_not_answered_later(void **state)
{
    (void)state;
    assert_int_equal(patience_of("wait=10"), NEVER);
    assert_int_equal(patience_of("respond-asynchronously, wait=10"), NEVER);
    assert_int_equal(patience_of("respond-asyn"), NEVER);
    assert_int_equal(patience_of("x=respond-async"), NEVER);
    assert_int_equal(patience_of("respond-async x"), NEVER);
    assert_int_equal(patience_of(" ,; = \""), NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_follow_each_other_without_gap_or_repetition),
        cmocka_unit_test(what_is_added_or_removed_meanwhile_hides_nothing_else),
        cmocka_unit_test(items_of_one_key_stay_together),
        cmocka_unit_test(newest_first_lists_go_down),
        cmocka_unit_test(a_list_that_nobody_cut_is_no_longer_than_a_page),
        cmocka_unit_test(rules_beside_other_things_are_cut_in_their_object),
        cmocka_unit_test(a_wrong_limit_or_cursor_is_told),
        cmocka_unit_test(the_same_request_is_done_once),
        cmocka_unit_test(a_failure_of_ours_may_be_tried_again_and_a_refusal_is_kept),
        cmocka_unit_test(a_secret_is_not_shown_twice),
        cmocka_unit_test(a_request_under_way_is_not_begun_again_until_it_counts_as_lost),
        cmocka_unit_test(keys_are_bounded),
        cmocka_unit_test(what_was_packed_comes_out_up_to_the_bound),
        cmocka_unit_test(what_is_packed_here_comes_out_again),
        cmocka_unit_test(what_is_cut_damaged_or_followed_by_more_is_refused),
        cmocka_unit_test(a_packed_body_is_opened_for_those_who_may_and_where_it_is_taken),
        cmocka_unit_test(who_prefers_it_may_be_answered_later_after_so_many_seconds),
        cmocka_unit_test(whoever_does_not_say_so_is_not_answered_later),
        cmocka_unit_test_setup_teardown(what_was_changed_is_answered_alike_after_a_restart,
                                        in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(what_is_forgotten_goes_from_the_store, in_a_new_folder,
                                        clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
