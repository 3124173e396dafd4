/* SPDX-License-Identifier: Apache-2.0 */
/* The roll-up of a folder's history: answers as the records do, whatever becomes of its parts. */
#include "store/history/rollup.h"

#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "store/history/columns.h"
#include "unit/history_model.h"

static const uint64_t start_ms = UINT64_C(1793750400000); /* A midnight of 2026. */

enum { HOUR_MS = 3600000 };

static char folder[64];

static int in_a_new_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/sm-roll-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int clean_up(void **state)
{
    DIR *d = opendir(folder);
    const struct dirent *e;

    (void)state;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
    return rmdir(folder);
}

static struct history *opened(uint64_t max_age_ms)
{
    const struct history_options o = {.max_age_ms = max_age_ms};
    struct history *h = NULL;
    const char *what;

    assert_int_equal(history_open(folder, &o, &h, &what), 0);
    return h;
}

static const struct columns *columns_of(const struct history *h)
{
    return h->backend;
}

/* One more part, of records about 'offset_ms' after the start. */
static void add_part(struct model *m, struct history *h, uint64_t *sequence, uint64_t offset_ms)
{
    ++*sequence;
    assert_int_equal(model_append(m, h, "pc1", *sequence, 60, offset_ms), 0);
    assert_int_equal(history_columns_settle(h), 0);
}

struct all { /* Of an answer. */
    uint64_t first_ms, last_ms, count, bytes_out, bytes_in, revisions;
};

static int take_all(void *user, const struct flow *flows, size_t n)
{
    struct all *a = user;

    for (size_t i = 0; i < n; i++) {
        a->first_ms =
            !a->first_ms || flows[i].first_ms < a->first_ms ? flows[i].first_ms : a->first_ms;
        a->last_ms = flows[i].last_ms > a->last_ms ? flows[i].last_ms : a->last_ms;
        a->count += flows[i].count;
        a->bytes_out += flows[i].bytes_out;
        a->bytes_in += flows[i].bytes_in;
        a->revisions += flows[i].revision;
    }
    return 0;
}

static struct all ask(const struct history_snapshot *s, bool all_revisions)
{
    struct history_query q = HISTORY_QUERY_ALL;
    struct all a = {.count = 0};

    q.all_revisions = all_revisions;
    assert_int_equal(history_edges(s, &q, take_all, &a, NULL), 0);
    return a;
}

/* By the roll-up where it is of use, and by the parts. */
static void assert_same_twice(const struct history_snapshot *s)
{
    struct all rolled = ask(s, true), parts = ask(s, false);

    assert_int_equal(rolled.revisions, 0);
    parts.revisions = 0;
    assert_memory_equal(&rolled, &parts, sizeof(rolled));
}

static void it_answers_as_the_records_do_while_parts_come_merge_and_go(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(3 * day_ms);
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0, forgotten;

    (void)state;
    model_init(&m, 61, start_ms);
    for (unsigned round = 0; round < 60; round++) {
        uint64_t now_ms = start_ms + (uint64_t)round * 3 * HOUR_MS;
        uint64_t late_ms = round % 4 == 3 ? model_random(&m, 20) * HOUR_MS : 0;
        uint64_t offset_ms = now_ms - start_ms;

        add_part(&m, h, &sequence, offset_ms > late_ms ? offset_ms - late_ms : 0);
        if (round % 3 == 0)
            model_compare(&m, h, 8);
        if (round % 8 == 7) {
            assert_int_equal(history_retain(h, now_ms, &forgotten), 0);
            model_forget(&m, (now_ms - 3 * day_ms) / day_ms * day_ms);
        }
    }
    model_compare(&m, h, 20);
    assert_true(columns_of(h)->rollup->n_ids > 1);
    assert_true(columns_of(h)->rollup->n_ids + ROLLUP_WORTH > columns_of(h)->n_parts);
    assert_true(columns_of(h)->rollup->n_emptied >= 1); /* Days went. */
    history_free(TAKE_PTR(h));
    h = opened(3 * day_ms);
    model_compare(&m, h, 20);
}

static void parts_that_become_one_do_not_empty_it(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(0);
    CLEANUP(model_done) struct model m;
    size_t most = 0;
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 62, start_ms);
    for (unsigned i = 0; i < 4 * MERGE_PARTS; i++) {
        add_part(&m, h, &sequence, i * 60000);
        if (i % 5 == 2) /* Some parts of a merge are in it, others are not. */
            model_compare(&m, h, 1);
        most = columns_of(h)->n_parts > most ? columns_of(h)->n_parts : most;
    }
    assert_true(most < 2 * MERGE_PARTS); /* They were merged. */
    model_compare(&m, h, 20);
    assert_int_equal(columns_of(h)->rollup->n_emptied, 0);
    assert_true(columns_of(h)->rollup->rows > 0);
}

static void an_older_snapshot_does_without_it(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(0);
    CLEANUP(history_snapshot_freep) struct history_snapshot *old = NULL;
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0;
    struct all before;
    size_t in;

    (void)state;
    model_init(&m, 63, start_ms);
    for (unsigned i = 0; i < 5; i++)
        add_part(&m, h, &sequence, i * 60000);
    old = history_snapshot(h);
    before = ask(old, true);
    for (unsigned i = 5; i < 12; i++)
        add_part(&m, h, &sequence, i * 60000);
    model_compare(&m, h, 5);
    in = columns_of(h)->rollup->n_ids;
    for (unsigned i = 0; i < 2; i++) {
        struct all again = ask(old, true);

        assert_memory_equal(&again, &before, sizeof(before));
        assert_same_twice(old);
    }
    assert_int_equal(columns_of(h)->rollup->n_ids, in);
    assert_int_equal(columns_of(h)->rollup->n_emptied, 0);
    model_compare(&m, h, 5);
}

static void a_window_that_cuts_it_is_asked_of_the_parts(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(0);
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = NULL;
    CLEANUP(model_done) struct model m;
    struct history_query q = HISTORY_QUERY_ALL;
    struct all some = {.count = 0}, records = {.count = 0};
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 64, start_ms);
    for (unsigned i = 0; i < 6; i++)
        add_part(&m, h, &sequence, i * day_ms);
    s = history_snapshot(h);
    assert_same_twice(s);
    assert_int_equal(columns_of(h)->rollup->n_ids, columns_of(h)->n_parts);
    q.since_ms = start_ms + 3 * day_ms / 2;
    q.all_revisions = true;
    assert_int_equal(history_edges(s, &q, take_all, &some, NULL), 0);
    assert_int_equal(history_scan(s, &q, take_all, &records, NULL), 0);
    assert_true(records.revisions > 0); /* Records keep theirs. */
    records.revisions = 0;
    assert_memory_equal(&some, &records, sizeof(some));
}

/* Flips a byte of a part's sums. */
static void damage(const struct part *p)
{
    char name[PART_NAME_SIZE], byte;
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int fd;

    buf_printf(&path, "%s/%s", folder, part_name(&p->info, name));
    fd = open(buf_str(&path), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)p->totals_offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)p->totals_offset), 1);
    (void)close(fd);
}

static void a_damaged_part_stays_out_of_it_and_is_counted(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(0);
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = NULL;
    CLEANUP(model_done) struct model m;
    struct history_state st;
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 65, start_ms);
    for (unsigned i = 0; i < 5; i++)
        add_part(&m, h, &sequence, i * day_ms);
    damage(columns_of(h)->parts[2]);
    s = history_snapshot(h);
    for (unsigned i = 0; i < 3; i++)
        assert_same_twice(s);
    assert_int_equal(columns_of(h)->rollup->n_ids + 1, columns_of(h)->n_parts);
    history_state(h, &st);
    assert_int_equal(st.damaged_blocks, 1);
}

struct asker {
    const struct history_snapshot *s;
    struct all rolled, parts;
};

static void *ask_both(void *user)
{
    struct asker *a = user;

    a->rolled = ask(a->s, true);
    a->parts = ask(a->s, false);
    return NULL;
}

static void several_threads_may_ask_while_parts_come_and_merge(void **state)
{
    CLEANUP(history_freep) struct history *h = opened(0);
    CLEANUP(model_done) struct model m;
    uint64_t sequence = 0;

    (void)state;
    model_init(&m, 66, start_ms);
    for (unsigned round = 0; round < 12; round++) {
        struct asker askers[3];
        pthread_t threads[ARRAY_SIZE(askers)];
        struct history_snapshot *s;

        add_part(&m, h, &sequence, round * 60000);
        s = history_snapshot(h);
        for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
            askers[i] = (struct asker){.s = s};
            assert_int_equal(pthread_create(&threads[i], NULL, ask_both, &askers[i]), 0);
        }
        add_part(&m, h, &sequence, round * 60000);
        for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            askers[i].parts.revisions = 0;
            assert_memory_equal(&askers[i].rolled, &askers[i].parts, sizeof(struct all));
        }
        history_snapshot_free(s);
    }
    model_compare(&m, h, 10);
}

#define ROLLUP_TEST(f) cmocka_unit_test_setup_teardown(f, in_a_new_folder, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROLLUP_TEST(it_answers_as_the_records_do_while_parts_come_merge_and_go),
        ROLLUP_TEST(parts_that_become_one_do_not_empty_it),
        ROLLUP_TEST(an_older_snapshot_does_without_it),
        ROLLUP_TEST(a_window_that_cuts_it_is_asked_of_the_parts),
        ROLLUP_TEST(a_damaged_part_stays_out_of_it_and_is_counted),
        ROLLUP_TEST(several_threads_may_ask_while_parts_come_and_merge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
