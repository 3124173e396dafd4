/* SPDX-License-Identifier: Apache-2.0 */
/* What history.h promises of every kind, beside a plain list. */
#include "store/history.h"

#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/history/clickhouse.h"
#include "store/history/columns.h"
#include "unit/clickhouse_server.h"
#include "unit/history_model.h"

static const uint64_t start_ms = UINT64_C(1793750400000); /* A midnight of 2026. */

static char folder[64];

static struct kind {
    bool columns, clickhouse;
    const char *format; /* Of 'where', with the folder. */
    char where[128];
} kind;

static int in_a_new_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/sm-hist-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(kind.where, sizeof(kind.where), "%s%s/history", kind.format, folder);
    return 0;
}

/* Everything comes to where it is kept for good. */
static void settle(struct history *h)
{
    if (kind.columns)
        assert_int_equal(history_columns_settle(h), 0);
    if (kind.clickhouse)
        assert_int_equal(history_clickhouse_settle(h), 0);
}

static int remove_tree(const char *path)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            buf_reset(&b);
            buf_printf(&b, "%s/%s", path, e->d_name);
            if (unlink(b.data) < 0)
                (void)remove_tree(b.data);
        }
    if (d)
        (void)closedir(d);
    return rmdir(path);
}

static int clean_up(void **state)
{
    (void)state;
    return remove_tree(folder);
}

static struct history *opened_with(const struct history_options *o)
{
    struct history *h = NULL;
    const char *what = "";
    int r = history_open(kind.where, o, &h, &what);

    if (r < 0)
        fail_msg("%s: %s: %s", kind.where, what, strerror(-r));
    return h;
}

static struct history *opened(void)
{
    return opened_with(NULL);
}

static void answers_are_those_of_a_plain_list(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 42, start_ms);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 20; i++, sequence++)
            assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 1 + model_random(&m, 200),
                                          sequence * 600000),
                             0);
        if (round % 3 == 1)
            assert_int_equal(history_sync(h), 0);
        if (round % 4 == 2)
            settle(h);
        if (round % 5 == 3) {
            assert_int_equal(history_sync(h), 0);
            history_free(TAKE_PTR(h));
            h = opened();
        }
        model_compare(&m, h, 20);
    }
}

static void a_batch_counts_once_however_often_it_comes(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    CLEANUP(model_done) struct model m;
    struct history_state st;

    (void)state;
    model_init(&m, 43, start_ms);
    for (uint64_t sequence = 1; sequence <= 5; sequence++)
        for (unsigned again = 0; again < 3; again++)
            assert_int_equal(model_append(&m, h, "pc1", sequence, 10, 0), 0);
    assert_int_equal(history_acknowledged(h, "pc1", 1), 0);
    assert_int_equal(history_sync(h), 0);
    assert_int_equal(history_acknowledged(h, "pc1", 1), 5);
    assert_int_equal(history_acknowledged(h, "pc1", 2), 0);
    assert_int_equal(history_acknowledged(h, "pc2", 1), 0);
    history_state(h, &st);
    assert_int_equal(st.rows, 50);
    assert_int_equal(st.duplicates, 10);
    history_free(TAKE_PTR(h));
    h = opened();
    assert_int_equal(history_acknowledged(h, "pc1", 1), 5);
    assert_int_equal(model_append(&m, h, "pc1", 5, 10, 0), 0);
    assert_int_equal(m.n, 50);
    model_compare(&m, h, 5);
}

static void missing_batches_and_what_reporters_dropped_are_counted_once(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    struct history_batch b = {.stream = "edge1/plc", .epoch = 9, .sequence = 1, .lost = 3};
    struct history_state st;
    bool known;

    (void)state;
    assert_int_equal(history_append(h, &b, &known), 0);
    b.sequence = 5; /* 2, 3 and 4 never came. */
    b.lost = 4;
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_true(known);
    b.sequence = 3; /* Too late: it was counted as lost. */
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_true(known);
    b.epoch = 10; /* The spool was lost; it begins anew. */
    b.sequence = 1;
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_false(known);
    b.epoch = 9; /* A late one of before is still known. */
    b.sequence = 5;
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_true(known);
    assert_int_equal(history_sync(h), 0);
    history_free(TAKE_PTR(h));
    h = opened();
    history_state(h, &st);
    assert_int_equal(st.lost_batches, 3);
    assert_int_equal(st.lost_records, 11);
}

static void what_is_no_batch_is_refused(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    struct flow f = {.first_ms = start_ms, .last_ms = start_ms};
    struct history_batch b = {.stream = "a", .epoch = 1, .sequence = 1, .flows = &f, .n_flows = 1};
    struct history_batch bad;
    bool known;

    (void)state;
    bad = b;
    bad.stream = "";
    assert_int_equal(history_append(h, &bad, &known), -EINVAL);
    bad = b;
    bad.sequence = 0;
    assert_int_equal(history_append(h, &bad, &known), -EINVAL);
    bad = b;
    bad.n_flows = HISTORY_BATCH_MAX + 1;
    assert_int_equal(history_append(h, &bad, &known), -E2BIG);
    f.last_ms--;
    assert_int_equal(history_append(h, &b, &known), -EINVAL);
    f.last_ms = f.first_ms + 86400001;
    assert_int_equal(history_append(h, &b, &known), -EINVAL);
    f.last_ms = f.first_ms;
    f.origin = FLOW_ORIGINS;
    assert_int_equal(history_append(h, &b, &known), -EINVAL);
    f.origin = 0;
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_false(known);
}

static void whole_days_are_forgotten_by_age(void **state)
{
    struct history_options o = {.max_age_ms = 2 * day_ms};
    CLEANUP(history_freep) struct history *h = opened_with(&o);
    CLEANUP(model_done) struct model m;
    struct history_state st;
    uint64_t forgotten, kept = 0;

    (void)state;
    model_init(&m, 44, start_ms);
    for (uint64_t i = 0; i < 48; i++)
        assert_int_equal(model_append(&m, h, "pc1", i + 1, 20, i * (day_ms / 12)), 0);
    assert_int_equal(history_sync(h), 0);
    settle(h);
    assert_int_equal(history_retain(h, start_ms + 4 * day_ms, &forgotten), 0);
    assert_int_equal(forgotten, 2 * 12 * 20);
    for (size_t i = 0; i < m.n; i++)
        if (m.flows[i].first_ms >= start_ms + 2 * day_ms)
            kept++;
    history_state(h, &st);
    assert_int_equal(st.rows, kept);
    assert_true(st.oldest_ms >= start_ms + 2 * day_ms);
    assert_int_equal(model_append(&m, h, "pc1", 49, 7, 0), 0); /* Of a forgotten day. */
    assert_int_equal(history_sync(h), 0);
    history_state(h, &st);
    assert_int_equal(st.rows, kept);
    assert_int_equal(st.lost_records, 7);
    history_free(TAKE_PTR(h));
    h = opened_with(&o);
    history_state(h, &st);
    assert_int_equal(st.rows, kept);
    assert_int_equal(st.lost_records, 7);
    assert_int_equal(history_retain(h, start_ms + 4 * day_ms, &forgotten), 0);
    assert_int_equal(forgotten, 0);
}

static int count_rows(void *user, const struct flow *flows, size_t n)
{
    (void)flows;
    *(size_t *)user += n;
    return 0;
}

static void a_snapshot_stays_as_it_was(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    CLEANUP(model_done) struct model m;
    struct history_query q = HISTORY_QUERY_ALL;
    struct history_snapshot *s;
    size_t n = 0;

    (void)state;
    model_init(&m, 45, start_ms);
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(model_append(&m, h, "pc1", i + 1, 200, i * 60000), 0);
    assert_int_equal(history_sync(h), 0);
    s = history_snapshot(h);
    for (uint64_t i = 30; i < 60; i++)
        assert_int_equal(model_append(&m, h, "pc1", i + 1, 200, i * 60000), 0);
    assert_int_equal(history_sync(h), 0);
    settle(h);
    assert_int_equal(history_scan(s, &q, count_rows, &n, NULL), 0);
    assert_int_equal(n, 6000);
    history_snapshot_free(s);
    model_compare(&m, h, 5);
}

struct asker {
    const struct history *h;
    struct history_snapshot *s;
    size_t rows, edges, texts;
};

static int read_texts(void *user, const struct flow *flows, size_t n)
{
    struct asker *a = user;

    for (size_t i = 0; i < n; i++)
        a->texts += *history_text_of(a->h, flows[i].from) != 0;
    a->rows += n;
    return 0;
}

static void *ask(void *user)
{
    struct asker *a = user;
    struct history_query q = HISTORY_QUERY_ALL, some = q;

    some.port = 443;
    (void)history_scan(a->s, &q, read_texts, a, NULL);
    (void)history_edges(a->s, &some, count_rows, &a->edges, NULL);
    history_snapshot_free(a->s);
    return NULL;
}

static void another_thread_may_ask_a_snapshot_meanwhile(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 48, start_ms);
    for (unsigned round = 0; round < 12; round++) {
        struct asker a = {.h = h, .s = history_snapshot(h)};
        size_t expected = m.n;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
        for (unsigned i = 0; i < 30; i++, sequence++)
            assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 100, sequence * 60000), 0);
        assert_int_equal(history_sync(h), 0);
        if (round % 3 == 2)
            settle(h);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(a.rows, expected);
        assert_true(a.rows == 0 || (a.edges && a.texts));
    }
}

static void *write_commit(void *commit)
{
    history_commit_write(commit);
    return NULL;
}

static void batches_come_while_another_thread_writes_a_commit(void **state)
{
    const struct history_options apart = {.apart = true};
    CLEANUP(history_freep) struct history *h = opened_with(&apart);
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0, begun;

    (void)state;
    model_init(&m, 49, start_ms);
    for (unsigned round = 0; round < 6; round++) {
        struct history_commit *c;
        pthread_t thread;

        for (unsigned i = 0; i < 5; i++, sequence++)
            assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, sequence * 60000), 0);
        begun = sequence;
        c = history_commit_begin(h);
        assert_non_null(c);
        assert_int_equal(pthread_create(&thread, NULL, write_commit, c), 0);
        for (unsigned i = 0; i < 5; i++, sequence++)
            assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, sequence * 60000), 0);
        assert_int_equal(model_append(&m, h, "pc1", sequence, 5, 0), 0); /* Known. */
        assert_true(history_acknowledged(h, "pc1", 1) < begun);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(history_commit_end(h, c), 0);
        assert_int_equal(history_acknowledged(h, "pc1", 1), begun);
        if (round % 4 == 3)
            settle(h);
    }
    assert_int_equal(history_sync(h), 0);
    assert_int_equal(history_acknowledged(h, "pc1", 1), sequence);
    assert_null(history_commit_begin(h));
    model_compare(&m, h, 20);
    history_free(TAKE_PTR(h));
    h = opened();
    model_compare(&m, h, 20);
}

static void *write_retention(void *retention)
{
    history_retain_write(retention);
    return NULL;
}

static void batches_come_while_another_thread_forgets(void **state)
{
    const struct history_options o = {.apart = true, .max_age_ms = 2 * day_ms};
    CLEANUP(history_freep) struct history *h = opened_with(&o);
    CLEANUP(model_done) struct model m;
    struct history_retention *r;
    uint64_t sequence = 0, forgotten = 0, now_ms = start_ms + 4 * day_ms;
    pthread_t thread;

    (void)state;
    model_init(&m, 51, start_ms);
    for (; sequence < 48; sequence++)
        assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, sequence * (day_ms / 12)), 0);
    assert_int_equal(history_sync(h), 0);
    settle(h);
    for (uint64_t i = 0; i < 3; i++) /* Of a day that goes, and not on the disk. */
        assert_int_equal(model_append(&m, h, "pc2", i + 1, 20, i * (day_ms / 12)), 0);
    r = history_retain_begin(h, now_ms);
    assert_non_null(r);
    assert_int_equal(pthread_create(&thread, NULL, write_retention, r), 0);
    for (; sequence < 60; sequence++)
        assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, 4 * day_ms), 0);
    history_snapshot_free(history_snapshot(h));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(history_retain_end(h, r, &forgotten), 0);
    if (!kind.columns) /* Which have these in the part that is being made. */
        assert_int_equal(forgotten, 2 * 12 * 20 + 3 * 20);
    assert_int_equal(history_sync(h), 0);
    model_forget(&m, start_ms + 2 * day_ms);
    settle(h);
    model_compare(&m, h, 20);
    assert_null(history_retain_begin(h, now_ms));
    history_free(TAKE_PTR(h));
    h = opened_with(&o);
    model_compare(&m, h, 20);
}

/* A quiet place fills no memory for months. */
static void what_is_too_old_is_forgotten_also_where_little_is_told(void **state)
{
    const struct history_options o = {.apart = true, .max_age_ms = 2 * day_ms};
    CLEANUP(history_freep) struct history *h = opened_with(&o);
    CLEANUP(model_done) struct model m;
    uint64_t forgotten = 0, sequence = 0;

    (void)state;
    model_init(&m, 53, start_ms);
    for (; sequence < 5; sequence++)
        assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, sequence * day_ms), 0);
    assert_int_equal(history_sync(h), 0);
    assert_int_equal(history_retain(h, start_ms + 4 * day_ms, &forgotten), 0);
    assert_int_equal(history_sync(h), 0);
    history_free(TAKE_PTR(h)); /* Waits for what is being sealed. */
    h = opened_with(&o);
    model_forget(&m, start_ms + 2 * day_ms);
    model_compare(&m, h, 20);
    assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 20, 4 * day_ms), 0);
    assert_int_equal(history_sync(h), 0);
    assert_null(history_commit_begin(h)); /* Once a horizon: the parts of a day stay few. */
    model_compare(&m, h, 20);
}

/* As when the loop ends before its thread began. */
static void a_retention_that_nobody_wrote_forgets_nothing(void **state)
{
    const struct history_options o = {.apart = true, .max_age_ms = day_ms};
    CLEANUP(history_freep) struct history *h = opened_with(&o);
    CLEANUP(model_done) struct model m;
    struct history_retention *r;
    uint64_t forgotten = 0;

    (void)state;
    model_init(&m, 52, start_ms);
    assert_int_equal(model_append(&m, h, "pc1", 1, 50, 0), 0);
    assert_int_equal(history_sync(h), 0);
    settle(h);
    r = history_retain_begin(h, start_ms + 9 * day_ms);
    assert_int_equal(history_retain_end(h, r, &forgotten), -ECANCELED);
    model_compare(&m, h, 5);
    assert_int_equal(history_retain(h, start_ms + 9 * day_ms, &forgotten), 0);
    assert_int_equal(forgotten, 50);
}

/* As when the loop ends before its thread began. */
static void a_commit_that_nobody_wrote_is_the_next_one(void **state)
{
    const struct history_options apart = {.apart = true};
    CLEANUP(history_freep) struct history *h = opened_with(&apart);
    CLEANUP(model_done) struct model m;
    struct history_commit *c;

    (void)state;
    model_init(&m, 50, start_ms);
    assert_int_equal(model_append(&m, h, "pc1", 1, 50, 0), 0);
    c = history_commit_begin(h);
    assert_int_equal(model_append(&m, h, "pc1", 2, 50, 0), 0);
    assert_int_equal(history_commit_end(h, c), -ECANCELED);
    assert_int_equal(history_acknowledged(h, "pc1", 1), 0);
    c = history_commit_begin(h);
    history_commit_write(c);
    assert_int_equal(history_commit_end(h, c), 0);
    assert_int_equal(history_acknowledged(h, "pc1", 1), 1);
    assert_int_equal(history_sync(h), 0);
    assert_int_equal(history_acknowledged(h, "pc1", 1), 2);
    history_free(TAKE_PTR(h));
    h = opened();
    model_compare(&m, h, 20);
}

static int end_at_once(void *user, const struct flow *flows, size_t n)
{
    *(size_t *)user += n;
    (void)flows;
    return 77;
}

static void a_scan_ends_when_its_taker_or_somebody_else_says_so(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    CLEANUP(model_done) struct model m;
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = NULL;
    struct history_query q = HISTORY_QUERY_ALL;
    struct history_progress progress = {.cancel = true};
    size_t n = 0;

    (void)state;
    model_init(&m, 47, start_ms);
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(model_append(&m, h, "pc1", i + 1, 200, i * 60000), 0);
    assert_int_equal(history_sync(h), 0);
    s = history_snapshot(h);
    assert_int_equal(history_scan(s, &q, end_at_once, &n, NULL), 77);
    assert_true(n > 0 && n < 6000);
    n = 0;
    assert_int_equal(history_scan(s, &q, end_at_once, &n, &progress), -ECANCELED);
    assert_int_equal(n, 0);
}

static void texts_keep_their_numbers_and_long_ones_are_cut(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    struct flow f = {.first_ms = start_ms, .last_ms = start_ms};
    struct history_batch b = {.stream = "a", .epoch = 1, .sequence = 1, .flows = &f, .n_flows = 1};
    char text[2 * HISTORY_TEXT_SIZE];
    bool known;

    (void)state;
    memset(text, 'x', sizeof(text));
    f.from = history_text(h, text, sizeof(text));
    f.to = history_text(h, "'; DROP TABLE flows; --", 23);
    f.rule = history_text(h, "a\\b\t\n\"c", 7);
    assert_int_equal(history_text(h, "", 0), 0);
    assert_int_equal(history_find_text(h, "absent", 6), 0);
    assert_int_equal(history_append(h, &b, &known), 0);
    assert_int_equal(history_sync(h), 0);
    history_free(TAKE_PTR(h));
    h = opened();
    assert_int_equal(strlen(history_text_of(h, f.from)), HISTORY_TEXT_SIZE - 1);
    assert_string_equal(history_text_of(h, f.to), "'; DROP TABLE flows; --");
    assert_string_equal(history_text_of(h, f.rule), "a\\b\t\n\"c");
    assert_int_equal(history_find_text(h, "'; DROP TABLE flows; --", 23), f.to);
    assert_int_equal(history_text(h, text, sizeof(text)), f.from);
    assert_string_equal(history_text_of(h, 1 << 30), "");
}

static void a_second_process_is_refused(void **state)
{
    CLEANUP(history_freep) struct history *h = opened();
    struct history *second = NULL;
    const char *what;

    (void)state;
    assert_non_null(h);
    assert_int_equal(history_open(kind.where, NULL, &second, &what), -EBUSY);
    assert_string_equal(what, "another process has it");
}

static int with_columns(void **state)
{
    kind = (struct kind){.columns = true, .format = ""};
    return in_a_new_folder(state);
}

static int with_sqlite(void **state)
{
    kind = (struct kind){.format = "sqlite:"};
    return in_a_new_folder(state);
}

/* ---- ClickHouse, where it is installed ---- */

static char server_folder[64];
static bool has_server;

static int begin_server(void **state)
{
    (void)state;
    (void)snprintf(server_folder, sizeof(server_folder), "/tmp/sm-click-XXXXXX");
    if (!mkdtemp(server_folder))
        return -1;
    has_server = clickhouse_begin(server_folder);
    if (!has_server)
        printf("# no clickhouse-server: what concerns it is skipped\n");
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    clickhouse_kill();
    return remove_tree(server_folder);
}

/* A database of its own for each test. */
static int with_clickhouse(void **state)
{
    static char format[80];
    static unsigned number;

    (void)snprintf(format, sizeof(format), "clickhouse:http://default@127.0.0.1:%d/test_%u#",
                   clickhouse_port(), ++number);
    kind = (struct kind){.clickhouse = true, .format = format};
    return in_a_new_folder(state);
}

static uint64_t waiting(const struct history *h)
{
    struct history_state st;

    history_state(h, &st);
    return st.waiting;
}

static void records_wait_while_clickhouse_is_away_and_are_caught_up(void **state)
{
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(model_done) struct model m;
    struct history_query q = HISTORY_QUERY_ALL;
    struct history_snapshot *s;
    uint64_t sequence = 0;
    size_t n = 0;

    (void)state;
    if (!has_server)
        skip();
    h = opened();
    model_init(&m, 50, start_ms);
    for (; sequence < 10; sequence++)
        assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 50, sequence * 3600000), 0);
    settle(h);
    assert_int_equal(waiting(h), 0);
    clickhouse_kill();
    for (; sequence < 20; sequence++)
        assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 50, sequence * 3600000), 0);
    assert_int_equal(history_sync(h), 0); /* The reporter may forget them. */
    assert_int_equal(history_acknowledged(h, "pc1", 1), 20);
    assert_int_equal(waiting(h), 500);
    assert_int_equal(history_clickhouse_settle(h), -EHOSTUNREACH);
    s = history_snapshot(h);
    assert_int_equal(history_scan(s, &q, count_rows, &n, NULL),
                     -EHOSTUNREACH); /* Not half of it. */
    history_snapshot_free(s);
    history_free(TAKE_PTR(h));
    h = opened(); /* Another run of the daemon, and still nobody there. */
    assert_int_equal(waiting(h), 500);
    assert_true(clickhouse_begin(server_folder));
    settle(h);
    assert_int_equal(waiting(h), 0);
    model_compare(&m, h, 20);
}

static void a_limit_in_bytes_counts_what_clickhouse_has(void **state)
{
    struct history_options o = {.max_bytes = 0};
    struct history_state before, after;
    uint64_t forgotten = 0;
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(model_done) struct model m;

    (void)state;
    if (!has_server)
        skip();
    h = opened();
    model_init(&m, 51, start_ms);
    for (uint64_t day = 0; day < 5; day++)
        assert_int_equal(model_append(&m, h, "pc1", day + 1, 2000, day * day_ms), 0);
    settle(h);
    history_state(h, &before);
    history_free(TAKE_PTR(h));
    o.max_bytes = before.bytes - 1000;
    h = opened_with(&o);
    settle(h);
    assert_int_equal(history_retain(h, start_ms + 9 * day_ms, &forgotten), 0);
    assert_true(forgotten >= 1000 && forgotten <= 6000);
    settle(h);
    history_state(h, &after);
    assert_int_equal(after.rows, before.rows - forgotten);
    assert_true(after.bytes <= o.max_bytes);
}

static void no_record_is_lost_or_twice_however_often_clickhouse_is_killed(void **state)
{
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(model_done) struct model m;
    const unsigned kills = getenv("SUIMITSU_LONG") ? 100 : 5;
    uint64_t sequence = 0;

    (void)state;
    if (!has_server)
        skip();
    h = opened();
    model_init(&m, 51, start_ms);
    for (unsigned round = 0; round < kills; round++) {
        struct timespec a_while = {.tv_nsec = (long)model_random(&m, 60) * 1000000};

        for (unsigned i = 0; i < 30; i++, sequence++)
            assert_int_equal(model_append(&m, h, "pc1", sequence + 1, 300, sequence * 600000), 0);
        assert_int_equal(history_sync(h), 0);
        history_clickhouse_hurry(h);
        (void)nanosleep(&a_while, NULL); /* Any instant is as good as another. */
        clickhouse_kill();
        if (round % 2) {
            history_free(TAKE_PTR(h));
            h = opened();
        }
        assert_true(clickhouse_begin(server_folder));
    }
    settle(h);
    model_compare(&m, h, 10);
}

static void in_its_file(const char *sql)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    sqlite3 *db = NULL;

    buf_printf(&path, "%s/history", folder);
    assert_int_equal(sqlite3_open(buf_str(&path), &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, SQLITE_BUSY_MS);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* As after a crash between ClickHouse's answer and its note. */
static void a_block_that_is_there_already_is_not_sent_again(void **state)
{
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(model_done) struct model m;

    (void)state;
    if (!has_server)
        skip();
    h = opened();
    model_init(&m, 52, start_ms);
    in_its_file("CREATE TRIGGER no BEFORE INSERT ON meta WHEN NEW.key = 'sent'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(model_append(&m, h, "pc1", 1, 200, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(history_clickhouse_settle(h), -EIO);
    assert_int_equal(waiting(h), 200);
    assert_int_equal(model_append(&m, h, "pc1", 2, 100, 0), 0); /* These are not of that block. */
    in_its_file("DROP TRIGGER no");
    settle(h);
    assert_int_equal(waiting(h), 0);
    model_compare(&m, h, 10);
}

static void a_block_whose_day_is_forgotten_meanwhile_is_let_go(void **state)
{
    struct history_options o = {.max_age_ms = day_ms};
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(model_done) struct model m;
    struct history_state st;
    uint64_t forgotten;

    (void)state;
    if (!has_server)
        skip();
    h = opened_with(&o);
    model_init(&m, 53, start_ms);
    in_its_file("CREATE TRIGGER no BEFORE INSERT ON meta WHEN NEW.key = 'sent'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(model_append(&m, h, "pc1", 1, 200, 0), 0);
    assert_int_equal(history_clickhouse_settle(h), -EIO);
    assert_int_equal(history_retain(h, start_ms + 9 * day_ms, &forgotten), 0);
    assert_int_equal(forgotten, 200);
    in_its_file("DROP TRIGGER no");
    settle(h);
    history_state(h, &st);
    assert_int_equal(st.rows, 0);
    assert_int_equal(st.waiting, 0);
    assert_int_equal(st.error, 0);
}

#define EACH(X)                                                                                    \
    X(answers_are_those_of_a_plain_list)                                                           \
    X(a_batch_counts_once_however_often_it_comes)                                                  \
    X(missing_batches_and_what_reporters_dropped_are_counted_once)                                 \
    X(what_is_no_batch_is_refused)                                                                 \
    X(whole_days_are_forgotten_by_age)                                                             \
    X(a_snapshot_stays_as_it_was)                                                                  \
    X(another_thread_may_ask_a_snapshot_meanwhile)                                                 \
    X(batches_come_while_another_thread_writes_a_commit)                                           \
    X(batches_come_while_another_thread_forgets)                                                   \
    X(what_is_too_old_is_forgotten_also_where_little_is_told)                                      \
    X(a_retention_that_nobody_wrote_forgets_nothing)                                               \
    X(a_commit_that_nobody_wrote_is_the_next_one)                                                  \
    X(a_scan_ends_when_its_taker_or_somebody_else_says_so)                                         \
    X(texts_keep_their_numbers_and_long_ones_are_cut)                                              \
    X(a_second_process_is_refused)

#define IN_CLICKHOUSE(f)                                                                           \
    static void clickhouse_##f(void **state)                                                       \
    {                                                                                              \
        if (!has_server)                                                                           \
            skip();                                                                                \
        f(state);                                                                                  \
    }
EACH(IN_CLICKHOUSE)

#define TEST(f)                                                                                    \
    {.name = #f " (columns)",                                                                      \
     .test_func = (f),                                                                             \
     .setup_func = with_columns,                                                                   \
     .teardown_func = clean_up},                                                                   \
        {.name = #f " (sqlite)",                                                                   \
         .test_func = (f),                                                                         \
         .setup_func = with_sqlite,                                                                \
         .teardown_func = clean_up},                                                               \
        {.name = #f " (clickhouse)",                                                               \
         .test_func = clickhouse_##f,                                                              \
         .setup_func = with_clickhouse,                                                            \
         .teardown_func = clean_up},

static void a_keeper_that_is_not_there_does_not_become_a_folder(void **state)
{
    static const char *const wrong[] = {"http://127.0.0.1:8123/db", "sqlit:x", "", "x:"};
    const struct history_options options = {0};
    struct history *h = NULL;
    const char *what = "";
    (void)state;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(history_open(wrong[i], &options, &h, &what), -EINVAL);
        assert_string_equal(what, "expected a folder, sqlite:FILE or clickhouse:URL#FILE");
        assert_null(h);
    }
}

static void a_clickhouse_that_cannot_be_meant_is_refused(void **state)
{
    static const char *const wrong[] = {
        "clickhouse:http://127.0.0.1:8123/db",   "clickhouse:http://127.0.0.1:8123/db#",
        "clickhouse:ftp://127.0.0.1/db#/tmp/x",  "clickhouse:http:///db#/tmp/x",
        "clickhouse:http://127.0.0.1#/tmp/x",    "clickhouse:http://h/d;DROP#/tmp/x",
        "clickhouse:http://h/#/tmp/x",           "clickhouse:http://a b@h/db#/tmp/x",
        "clickhouse:http://u:password@h/db#/tmp"};
    struct history *h = NULL;
    const char *what = "";
    (void)state;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(history_open(wrong[i], NULL, &h, &what), -EINVAL);
        assert_string_equal(what, "expected clickhouse:http://[USER@]HOST[:PORT]/DATABASE#FILE");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keeper_that_is_not_there_does_not_become_a_folder),
        cmocka_unit_test(a_clickhouse_that_cannot_be_meant_is_refused),
        EACH(TEST) /* One of each kind. */
        cmocka_unit_test_setup_teardown(records_wait_while_clickhouse_is_away_and_are_caught_up,
                                        with_clickhouse, clean_up),
        cmocka_unit_test_setup_teardown(a_block_whose_day_is_forgotten_meanwhile_is_let_go,
                                        with_clickhouse, clean_up),
        cmocka_unit_test_setup_teardown(a_block_that_is_there_already_is_not_sent_again,
                                        with_clickhouse, clean_up),
        cmocka_unit_test_setup_teardown(a_limit_in_bytes_counts_what_clickhouse_has,
                                        with_clickhouse, clean_up),
        cmocka_unit_test_setup_teardown(
            no_record_is_lost_or_twice_however_often_clickhouse_is_killed, with_clickhouse,
            clean_up),
    };

    return cmocka_run_group_tests(tests, begin_server, end_server);
}
