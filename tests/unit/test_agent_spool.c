/* SPDX-License-Identifier: Apache-2.0 */
/* What agent/net/spool.h promises: whatever ends the agent or cuts the connection, each record
 * arrives once or is counted as lost once. */
#include "agent/net/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"

static unsigned rng = 1;

static unsigned next_random(unsigned n)
{
    rng = rng * 1103515245u + 12345u;
    return (rng >> 16) % n;
}

static char base[] = "/tmp/sm-spool-XXXXXX";
static char dir[64];
static unsigned n_dirs;

static void fresh_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "%s/%u", base, n_dirs++);
}

static struct spool *opened(uint64_t max)
{
    struct spool *s = NULL;

    assert_int_equal(spool_open(dir, max, &s), 0);
    return s;
}

/* The controller in small: it remembers the last number of the newest epoch only. */
struct other_end {
    uint64_t epoch, last;
    uint64_t received, lost, duplicates, interrupted;
};

static bool take(struct other_end *o, const struct spool_batch *b)
{
    uint32_t n;

    if (b->epoch == o->epoch && b->sequence <= o->last) {
        o->duplicates++;
        return false;
    }
    o->epoch = b->epoch;
    o->last = b->sequence;
    o->lost += b->lost;
    o->interrupted += b->interrupted;
    assert_in_range(b->size, sizeof(n), SPOOL_BATCH_MAX);
    memcpy(&n, b->columns, sizeof(n));
    o->received += n;
    return true;
}

static uint64_t add(struct spool *s, uint32_t n_records, size_t size)
{
    CLEANUP(free_voidp) char *bytes = xcalloc(size, 1);

    memcpy(bytes, &n_records, sizeof(n_records));
    (void)spool_add(s, bytes, size, n_records);
    return n_records;
}

/* Everything that is left, with acknowledgements at once. */
static void drain(struct spool *s, struct other_end *o)
{
    struct spool_batch b;

    spool_rewind(s);
    while (spool_next(s, &b)) {
        (void)take(o, &b);
        (void)spool_acknowledge(s, b.epoch, b.sequence);
    }
}

static void batches_come_out_in_order_and_the_window_bounds_them(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct spool_batch b;
    struct spool *s;
    uint64_t epoch = 0;

    fresh_dir();
    s = opened(1 << 20);
    for (uint32_t i = 1; i <= 20; i++)
        (void)add(s, i, 100);
    for (uint64_t i = 1; i <= SPOOL_WINDOW; i++) {
        assert_true(spool_next(s, &b));
        assert_int_equal(b.sequence, i);
        assert_false(b.interrupted);
        epoch = b.epoch;
        (void)take(&o, &b);
    }
    assert_false(spool_next(s, &b));
    assert_false(spool_acknowledge(s, epoch + 1, 3));
    assert_true(spool_acknowledge(s, epoch, 3));
    assert_false(spool_acknowledge(s, epoch, 3));
    for (uint64_t i = 9; i <= 11; i++) {
        assert_true(spool_next(s, &b));
        assert_int_equal(b.sequence, i);
    }
    assert_false(spool_next(s, &b));
    spool_rewind(s);
    assert_true(spool_next(s, &b));
    assert_int_equal(b.sequence, 4);
    drain(s, &o);
    assert_int_equal(o.received, 210);
    assert_int_equal(o.lost, 0);
    spool_free(s);
}

static void the_disk_is_freed_when_all_has_arrived(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct spool *s;

    fresh_dir();
    s = opened(1 << 20);
    for (int i = 0; i < 100; i++)
        (void)add(s, 1, 10000);
    assert_in_range(spool_bytes(s), 900000, 1 << 20);
    drain(s, &o);
    assert_int_equal(o.received, 100);
    assert_in_range(spool_bytes(s), 0, 1 << 16);
    spool_free(s);
}

static void over_its_limit_the_oldest_go_and_are_counted_exactly(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct spool_batch b;
    struct spool *s;
    uint64_t told = 0;

    fresh_dir();
    s = opened(1 << 20);
    told += add(s, 5, 10000);
    assert_true(spool_next(s, &b)); /* Under way: it may have arrived, and may not be dropped. */
    assert_true(take(&o, &b));
    for (int i = 0; i < 1000; i++)
        told += add(s, 1 + next_random(2000), 10000);
    assert_in_range(spool_bytes(s), 1, (1 << 20) + (1 << 16) + 20000);
    assert_in_range(spool_dropped(s), 1, told);
    drain(s, &o);
    assert_int_equal(o.duplicates, 1);
    assert_int_equal(o.lost, spool_dropped(s));
    assert_int_equal(o.received + o.lost, told);
    spool_free(s);
}

static void a_run_that_was_killed_is_said_to_be_interrupted_once(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct spool *s;

    fresh_dir();
    s = opened(1 << 20);
    (void)add(s, 1, 100);
    drain(s, &o);
    spool_close(s);
    s = opened(1 << 20);
    (void)add(s, 1, 100);
    drain(s, &o);
    assert_int_equal(o.interrupted, 0); /* It had ended in order. */
    spool_free(s);
    s = opened(1 << 20);
    spool_close(s); /* It told nothing, hence it could not say so. */
    s = opened(1 << 20);
    (void)add(s, 1, 100);
    (void)add(s, 1, 100);
    drain(s, &o);
    assert_int_equal(o.interrupted, 1);
    assert_int_equal(o.received, 4);
    spool_close(s);
}

static void losses_before_the_spool_are_told_with_the_next_batch(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct spool *s;

    fresh_dir();
    s = opened(1 << 20);
    (void)add(s, 3, 100);
    spool_lose(s, 40);
    (void)add(s, 3, 100);
    spool_lose(s, 2);
    drain(s, &o);
    assert_int_equal(o.lost, 40);
    spool_close(s);
    s = opened(1 << 20);
    (void)add(s, 3, 100);
    drain(s, &o);
    assert_int_equal(o.lost, 42);
    assert_int_equal(o.received, 9);
    spool_free(s);
}

static void the_name_of_a_segment(char path[128])
{
    (void)snprintf(path, 128, "%s/0000000000000001.flows", dir);
}

static void a_torn_end_is_cut_off_and_what_is_whole_is_told(void **state)
{
    (void)state;
    char path[128];
    struct stat st;
    uint64_t told = 0;

    for (int cut = 1; cut < 140; cut++) {
        struct other_end o = {.epoch = 0};
        struct spool *s;

        fresh_dir();
        s = opened(1 << 20);
        (void)add(s, 3, 100);
        (void)add(s, 7, 100);
        spool_free(s);
        the_name_of_a_segment(path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(truncate(path, st.st_size - cut), 0);
        s = opened(1 << 20);
        (void)add(s, 11, 100);
        drain(s, &o);
        assert_int_equal(o.received, cut <= 132 ? 3 + 11 : 11); /* A frame has 132 bytes. */
        told += o.received;
        spool_free(s);
    }
    assert_in_range(told, 1, UINT64_MAX);
}

static void a_flipped_byte_loses_that_and_what_is_behind_it_and_says_how_much(void **state)
{
    (void)state;
    char path[128];

    for (int at = 0; at < 500; at += 3) {
        struct other_end o = {.epoch = 0};
        struct spool *s;
        uint64_t told = 0;
        unsigned char byte;
        int fd;

        fresh_dir();
        s = opened(1 << 20); /* A segment of 64 kB: the second of three frames begins another. */
        told += add(s, 3, 100);
        told += add(s, 7, 70000);
        told += add(s, 11, 100);
        spool_free(s);
        the_name_of_a_segment(path);
        fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        s = opened(1 << 20);
        told += add(s, 13, 100);
        drain(s, &o);
        if (at < 36) /* The header of the first segment: where it began is not known any more. */
            assert_int_equal(o.received, 24);
        else
            assert_int_equal(o.received + o.lost, told);
        assert_in_range(o.received, 24, told - 1);
        spool_free(s);
    }
}

static void a_full_disk_is_a_loss_that_is_counted(void **state)
{
    (void)state;
    struct other_end o = {.epoch = 0};
    struct rlimit none = {.rlim_cur = 2000, .rlim_max = RLIM_INFINITY}, before;
    char byte[4000] = {0};
    struct spool *s;
    uint64_t told = 0;

    fresh_dir();
    s = opened(1 << 20);
    told += add(s, 5, 100);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* With SIGXFSZ ignored: EFBIG. */
    assert_true(spool_add(s, byte, sizeof(byte), 9) < 0);
    told += 9;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    told += add(s, 5, 100);
    drain(s, &o);
    assert_int_equal(o.received, 10);
    assert_int_equal(o.lost, 9);
    assert_int_equal(told, 19);
    spool_free(s);
}

/* Kills, orderly ends, cuts, late acknowledgements and overflow in any order. */
static void a_random_walk_counts_each_record_once(void **state)
{
    (void)state;
    uint64_t duplicates = 0, lost = 0, epochs = 0;

    for (int round = 0; round < 60; round++) {
        struct other_end o = {.epoch = 0};
        struct spool_batch b;
        struct spool *s;
        uint64_t told = 0;

        fresh_dir();
        s = opened(1 << 18);
        for (int step = 0; step < 600; step++) {
            unsigned what = next_random(100);

            if (what < 55) {
                told += add(s, next_random(50), 50 + next_random(6000));
            } else if (what < 58) {
                spool_lose(s, 3);
                told += 3;
            } else if (what < 80 && spool_next(s, &b)) {
                bool arrives = next_random(10) > 0;

                if (!arrives) /* The connection is cut here. */
                    spool_rewind(s);
                else
                    (void)take(&o, &b);
            } else if (what < 94) {
                if (next_random(2))
                    (void)spool_acknowledge(s, o.epoch, o.last);
            } else if (what < 96) {
                spool_rewind(s);
            } else if (what < 98) {
                spool_free(s);
                s = opened(1 << 18);
                epochs++;
            } else {
                spool_close(s);
                s = opened(1 << 18);
                epochs++;
            }
        }
        told += add(s, 1, 100); /* Which tells what was lost at last. */
        drain(s, &o);
        assert_int_equal(o.received + o.lost, told);
        duplicates += o.duplicates;
        lost += o.lost;
        spool_free(s);
    }
    print_message("# %llu duplicates, %llu lost, %llu runs\n", (unsigned long long)duplicates,
                  (unsigned long long)lost, (unsigned long long)epochs);
    assert_in_range(duplicates, 100, UINT64_MAX);
    assert_in_range(lost, 1000, UINT64_MAX);
}

static int begin(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    return mkdtemp(base) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_come_out_in_order_and_the_window_bounds_them),
        cmocka_unit_test(the_disk_is_freed_when_all_has_arrived),
        cmocka_unit_test(over_its_limit_the_oldest_go_and_are_counted_exactly),
        cmocka_unit_test(a_run_that_was_killed_is_said_to_be_interrupted_once),
        cmocka_unit_test(losses_before_the_spool_are_told_with_the_next_batch),
        cmocka_unit_test(a_torn_end_is_cut_off_and_what_is_whole_is_told),
        cmocka_unit_test(a_flipped_byte_loses_that_and_what_is_behind_it_and_says_how_much),
        cmocka_unit_test(a_full_disk_is_a_loss_that_is_counted),
        cmocka_unit_test(a_random_walk_counts_each_record_once),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
