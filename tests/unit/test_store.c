/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises, then kill -9 of a real child at random moments. */
#include "store/store.h"

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static char folder[64], path[96];

static int in_a_new_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/sm-store-XXXXXX", 21);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    return 0;
}

static int clean_up(void **state)
{
    static const char *const names[] = {"db", "db-wal", "db-shm", "db-journal"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char name[128];

        (void)snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static struct store *opened(void)
{
    struct store *s = NULL;
    const char *what;

    assert_int_equal(store_open(path, &s, &what), 0);
    return s;
}

static int put(struct store *s, const char *key, const char *value)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();

    store_put(t, key, value, strlen(value));
    return store_commit(s, t, NULL);
}

static void assert_holds(struct store *s, const char *key, const char *value)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};

    assert_int_equal(store_get(s, key, &item), 0);
    assert_string_equal(item.data, value);
}

static void what_was_committed_is_there_after_opening_again(void **state)
{
    (void)state;
    struct store *s = opened();
    struct store_item item;

    assert_int_equal(store_get(s, "a", &item), -ENOENT);
    assert_int_equal(put(s, "a", "1"), 0);
    assert_int_equal(put(s, "a", "2"), 0);
    assert_int_equal(store_revision(s), 2);
    store_free(s);
    s = opened();
    assert_int_equal(store_revision(s), 2);
    assert_holds(s, "a", "2");
    store_free(s);
}

static void a_transaction_whose_expectation_fails_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct store_item item;

    assert_int_equal(put(s, "a", "1"), 0);
    assert_int_equal(put(s, "a", "2"), 0);
    store_put(t, "b", "x", 1);
    store_expect(t, "a", 1);
    assert_int_equal(store_commit(s, t, NULL), -ESTALE);
    assert_int_equal(store_get(s, "b", &item), -ENOENT);
    assert_int_equal(store_revision(s), 2);
}

static void an_expectation_of_absence_holds_after_deletion(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(store_transaction_freep) struct store_transaction *d = store_transaction_new();

    store_expect(t, "a", 0);
    store_put(t, "a", "new", 3);
    assert_int_equal(store_commit(s, t, NULL), 0);
    assert_int_equal(store_commit(s, t, NULL), -ESTALE);
    store_delete(d, "a");
    assert_int_equal(store_commit(s, d, NULL), 0);
    assert_int_equal(store_commit(s, t, NULL), 0);
}

static void a_list_holds_its_prefix_in_order_both_ways(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_list_done) struct store_list up = {.items = NULL};
    CLEANUP(store_list_done) struct store_list down = {.items = NULL};

    assert_int_equal(put(s, "x/2", "b"), 0);
    assert_int_equal(put(s, "x/1", "a"), 0);
    assert_int_equal(put(s, "x/3", "c"), 0);
    assert_int_equal(put(s, "y/1", "no"), 0);
    assert_int_equal(put(s, "w", "no"), 0);
    assert_int_equal(store_list(s, "x/", "x/1", false, 10, &up), 0);
    assert_int_equal(up.n, 2);
    assert_string_equal(up.items[0].key, "x/2");
    assert_int_equal(store_list(s, "x/", NULL, true, 2, &down), 0);
    assert_int_equal(down.n, 2);
    assert_string_equal(down.items[0].key, "x/3");
    assert_string_equal(down.items[1].data, "b");
}

static void note(const struct store_item *item, void *log)
{
    buf_printf(log, "%s%s=%s@%d ", item->deleted ? "-" : "", item->key,
               item->data ? item->data : "", (int)item->revision);
}

static void a_watch_tells_what_is_newer_and_then_each_change(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_transaction_freep) struct store_transaction *d = store_transaction_new();
    CLEANUP(buf_done) struct buf log = BUF_INIT;
    int handle;

    assert_int_equal(put(s, "p/old", "1"), 0);
    assert_int_equal(put(s, "p/a", "2"), 0);
    assert_int_equal(put(s, "p/b", "3"), 0);
    store_delete(d, "p/b");
    assert_int_equal(store_commit(s, d, NULL), 0);
    handle = store_watch(s, "p/", 1, note, &log);
    assert_true(handle >= 0);
    assert_string_equal(buf_str(&log), "p/a=2@2 -p/b=@4 ");
    assert_int_equal(put(s, "q/c", "no"), 0);
    assert_int_equal(put(s, "p/c", "5"), 0);
    store_unwatch(s, handle);
    assert_int_equal(put(s, "p/d", "6"), 0);
    assert_string_equal(buf_str(&log), "p/a=2@2 -p/b=@4 p/c=5@6 ");
}

static void what_is_over_a_limit_is_refused(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(free_voidp) char *large = xcalloc(STORE_VALUE_MAX + 1, 1);

    store_put(t, "a", large, STORE_VALUE_MAX + 1);
    assert_int_equal(store_commit(s, t, NULL), -E2BIG);
    assert_int_equal(put(s, "a b", "x"), -E2BIG);
    assert_int_equal(put(s, "", "x"), -E2BIG);
    assert_int_equal(store_revision(s), 0);
}

static void a_second_opener_is_refused(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    struct store *second = NULL;
    const char *what;
    pid_t child;
    int status;

    assert_int_equal(put(s, "a", "1"), 0);
    child = fork(); /* POSIX locks do not hold inside one process. */
    if (child == 0)
        _exit(store_open(path, &second, &what) == -EBUSY ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_damaged_file_is_refused_and_named(void **state)
{
    (void)state;
    struct store *s = opened();
    CLEANUP(free_voidp) char *large = xcalloc(300000, 1);
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    const char *what = NULL;
    struct store *again = NULL;
    int fd;

    memset(large, 'x', 299999);
    store_put(t, "a", large, 300000);
    assert_int_equal(store_commit(s, t, NULL), 0);
    store_free(s);
    fd = open(path, O_WRONLY);
    for (off_t at = 4096; at < 16384; at += 64)
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
    assert_int_equal(close(fd), 0);
    assert_int_equal(store_open(path, &again, &what), -EUCLEAN);
    assert_non_null(strstr(what, "damaged"));
}

static void a_full_disk_refuses_and_keeps_the_old(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(free_voidp) char *large = xcalloc(1 << 20, 1);
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct rlimit before, small;
    int r;

    assert_int_equal(put(s, "a", "old"), 0);
    memset(large, 'x', 1 << 20);
    store_put(t, "a", large, 1 << 20);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 256 << 10, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    r = store_commit(s, t, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(r == -ENOSPC || r == -EIO);
    assert_holds(s, "a", "old");
    assert_int_equal(put(s, "a", "new"), 0);
    assert_holds(s, "a", "new");
}

/* Writes pairs that must stay equal, and says each acknowledged number through the pipe. */
static void child_writes(int pipe_fd)
{
    struct store *s = NULL;
    const char *what;

    if (store_open(path, &s, &what) < 0)
        _exit(2);
    for (uint32_t i = (uint32_t)store_revision(s) + 1;; i++) {
        struct store_transaction *t = store_transaction_new();
        char text[16];

        (void)snprintf(text, sizeof(text), "%u", i);
        store_put(t, "left", text, strlen(text));
        store_put(t, "right", text, strlen(text));
        if (store_commit(s, t, NULL) < 0)
            _exit(3);
        if (write(pipe_fd, &i, sizeof(i)) != sizeof(i))
            _exit(4);
        store_transaction_free(t);
    }
}

/* Kills the child after a random time and returns the last number that it acknowledged. */
static uint32_t kill_a_writer(unsigned wait_us)
{
    struct timespec pause = {.tv_nsec = (long)wait_us * 1000};
    uint32_t last = 0, got;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        child_writes(ends[1]);
    }
    (void)close(ends[1]);
    (void)nanosleep(&pause, NULL); /* The random moment. */
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &got, sizeof(got)) == sizeof(got))
        last = got;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

enum { KILLS = 60, MOST_KILLS = 2000, ENOUGH_WROTE = 20 };

static void kill_9_at_any_moment_loses_nothing_acknowledged_and_tears_nothing(void **state)
{
    (void)state;
    unsigned rng = 1, wrote = 0;
    uint32_t acknowledged = 0;

    /* Each round has its moment; on a busy machine some writers do not get to write before it. */
    for (int i = 0; i < KILLS || (wrote <= ENOUGH_WROTE && i < MOST_KILLS); i++) {
        CLEANUP(store_item_done) struct store_item left = {.key = NULL};
        CLEANUP(store_item_done) struct store_item right = {.key = NULL};
        struct store *s;
        uint32_t last;

        rng = rng * 1103515245u + 12345u;
        last = kill_a_writer((rng >> 16) % 30000);
        wrote += last > acknowledged;
        acknowledged = last > acknowledged ? last : acknowledged;
        s = opened();
        assert_true(store_revision(s) >= acknowledged);
        assert_true(store_revision(s) <= acknowledged + 1 || last == 0);
        if (acknowledged) {
            assert_int_equal(store_get(s, "left", &left), 0);
            assert_int_equal(store_get(s, "right", &right), 0);
            assert_string_equal(left.data, right.data);
            assert_int_equal(left.revision, store_revision(s));
        }
        store_free(s);
    }
    assert_true(wrote > ENOUGH_WROTE); /* Else the test proved little. */
}

static void a_rider_goes_with_the_next_commit_and_tells_whether_it_did(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = opened();
    CLEANUP(store_transaction_freep) struct store_transaction *wrong = store_transaction_new();
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};

    store_ride(s, "ride/1", "x", 1);
    store_expect(wrong, "a", 7);
    store_put(wrong, "a", "1", 1);
    assert_int_equal(store_commit(s, wrong, NULL), -ESTALE); /* Takes nothing along. */
    assert_int_equal(put(s, "a", "2"), 0);
    assert_int_equal(put(s, "b", "3"), 0);
    assert_true(store_unride(s));
    store_ride(s, "ride/2", "y", 1);
    assert_false(store_unride(s)); /* Nobody committed. */
    assert_int_equal(put(s, "c", "4"), 0);
    assert_false(store_unride(s));
    assert_int_equal(store_list(s, "ride/", NULL, false, 9, &list), 0);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.items[0].key, "ride/1");
    assert_int_equal(list.items[0].revision, store_revision(s) - 2); /* That of "a". */
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, in_a_new_folder, clean_up)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_rider_goes_with_the_next_commit_and_tells_whether_it_did),
        IN_FOLDER(what_was_committed_is_there_after_opening_again),
        IN_FOLDER(a_transaction_whose_expectation_fails_changes_nothing),
        IN_FOLDER(an_expectation_of_absence_holds_after_deletion),
        IN_FOLDER(a_list_holds_its_prefix_in_order_both_ways),
        IN_FOLDER(a_watch_tells_what_is_newer_and_then_each_change),
        IN_FOLDER(what_is_over_a_limit_is_refused),
        IN_FOLDER(a_second_opener_is_refused),
        IN_FOLDER(a_damaged_file_is_refused_and_named),
        IN_FOLDER(a_full_disk_refuses_and_keeps_the_old),
        IN_FOLDER(kill_9_at_any_moment_loses_nothing_acknowledged_and_tears_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
