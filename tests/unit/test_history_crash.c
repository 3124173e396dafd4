/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a history after kill -9, torn writes, refused writes and damage: what was
 * acknowledged is there once, and what is damaged costs itself only.
 *
 * The linker puts the functions below in place of the C library's (see tests/meson.build), so that
 * each single call that changes a disk can fail, or be the last one. */
#include "store/history/columns.h"

#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "unit/history_model.h"

static const uint64_t start_ms = UINT64_C(1793750400000);

/* ---- a disk that fails when it is told to ---- */

static struct fault {
    _Atomic unsigned calls;
    unsigned at;  /* This call; 0: none. */
    int error;    /* Fails with this; 0: the process ends in the middle of it. */
    bool forever; /* And all later ones. */
} fault;

/* True: this call is not to be done as it should. */
static bool strikes(void)
{
    unsigned call = atomic_fetch_add(&fault.calls, 1) + 1;

    return fault.at && (call == fault.at || (fault.forever && call > fault.at));
}

static void end_here(void)
{
    if (!fault.error)
        _exit(9);
    errno = fault.error;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (!strikes())
        return __real_write(fd, data, size);
    (void)__real_write(fd, data, size / 2);
    end_here();
    return -1;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    if (!strikes())
        return __real_pwrite64(fd, data, size, offset);
    (void)__real_pwrite64(fd, data, size / 2, offset);
    end_here();
    return -1;
}

#define WRAP(name, parameters, arguments)                                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        if (!strikes())                                                                            \
            return __real_##name arguments;                                                        \
        end_here();                                                                                \
        return -1;                                                                                 \
    }

WRAP(fsync, (int fd), (fd))
WRAP(fdatasync, (int fd), (fd))
WRAP(rename, (const char *from, const char *to), (from, to))
WRAP(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(ftruncate64, (int fd, off_t size), (fd, size))
WRAP(unlinkat, (int fd, const char *name, int flags), (fd, name, flags))

/* ---- folders ---- */

static char folder[64], where[96];

static int in_a_new_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/sm-hist-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(where, sizeof(where), "%s/history", folder);
    return 0;
}

static void each_file(const char *path, void (*what)(const char *path))
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            buf_reset(&b);
            buf_printf(&b, "%s/%s", path, e->d_name);
            what(b.data);
        }
    if (d)
        (void)closedir(d);
}

static void remove_file(const char *path)
{
    (void)unlink(path);
}

static void empty(void)
{
    each_file(where, remove_file);
    (void)rmdir(where);
}

static int clean_up(void **state)
{
    (void)state;
    fault = (struct fault){.at = 0};
    empty();
    return rmdir(folder);
}

static const struct history_options apart = {.apart = true};

static struct history *opened(void)
{
    struct history *h = NULL;
    const char *what = "";
    int r = history_open(where, NULL, &h, &what);

    if (r < 0)
        fail_msg("%s: %s: %s", where, what, strerror(-r));
    return h;
}

/* ---- what is written: batch n of a stream has n % 13 records over two days ---- */

static size_t size_of(uint64_t sequence)
{
    return sequence % 13;
}

static int append(struct history *h, uint64_t sequence)
{
    struct flow flows[13];
    struct history_batch b = {
        .stream = "pc1", .epoch = 5, .sequence = sequence, .flows = flows, .lost = sequence % 2};
    struct model m;
    bool known;

    model_init(&m, 1000 + sequence, start_ms);
    b.n_flows = size_of(sequence);
    for (size_t i = 0; i < b.n_flows; i++) {
        struct flow f = model_flow(&m, sequence * 50000 + i % 2 * day_ms);

        f.count = sequence; /* So that the records of a batch can be told. */
        flows[i] = model_translate(h, &f);
    }
    return history_append(h, &b, &known);
}

struct seen {
    const struct history *h;
    uint64_t of_batch[4096];
    size_t n;
};

static int see(void *user, const struct flow *flows, size_t n)
{
    struct seen *seen = user;

    for (size_t i = 0; i < n; i++) {
        assert_true(flows[i].count < ARRAY_SIZE(seen->of_batch));
        assert_true(!flows[i].from || *history_text_of(seen->h, flows[i].from));
        seen->of_batch[flows[i].count]++;
        seen->n++;
    }
    return 0;
}

/* Every batch to the acknowledged one is there, whole and once; what follows it, whole or not. */
static uint64_t check(struct history *h, uint64_t at_least)
{
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = history_snapshot(h);
    struct history_query q = HISTORY_QUERY_ALL;
    struct seen *seen = xcalloc(1, sizeof(*seen));
    uint64_t acknowledged = history_acknowledged(h, "pc1", 5);
    struct history_state st;

    seen->h = h;
    history_state(h, &st);
    assert_true(acknowledged >= at_least);
    assert_int_equal(st.lost_batches, 0);
    assert_int_equal(st.lost_records, (acknowledged + 1) / 2);
    assert_int_equal(history_scan(s, &q, see, seen, NULL), 0);
    assert_int_equal(st.damaged_blocks, 0);
    assert_int_equal(seen->n, st.rows);
    for (uint64_t i = 1; i < ARRAY_SIZE(seen->of_batch); i++)
        assert_int_equal(seen->of_batch[i], i <= acknowledged ? size_of(i) : 0);
    free(seen);
    return acknowledged;
}

/* ---- the tests ---- */

/* Once in a while with a batch that comes meanwhile. */
static int save(struct history *h, uint64_t *sequence)
{
    struct history_commit *c = *sequence % 3 ? history_commit_begin(h) : NULL;

    if (!c)
        return history_sync(h);
    if (append(h, *sequence) == 0)
        ++*sequence;
    history_commit_write(c);
    return history_commit_end(h, c);
}

static void tell(int pipe, const struct history *h)
{
    uint64_t acknowledged = history_acknowledged(h, "pc1", 5);

    if (__real_write(pipe, &acknowledged, sizeof(acknowledged)) != sizeof(acknowledged))
        _exit(2);
}

/* Appends, flushes and seals until the end; tells what was acknowledged through the pipe. */
static void live(int pipe, uint64_t rounds)
{
    struct history *h = NULL;
    const char *what;
    uint64_t sequence;

    if (history_open(where, &apart, &h, &what) < 0)
        return; /* The disk refuses already. */
    sequence = history_acknowledged(h, "pc1", 5) + 1;

    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t forgotten;

        for (unsigned j = 0; j < 1 + i % 3; j++)
            if (append(h, sequence) == 0 || append(h, sequence) == 0)
                sequence++;
        if (save(h, &sequence) < 0)
            (void)save(h, &sequence);
        tell(pipe, h);
        if (i % 4 == 1)
            (void)history_columns_settle(h);
        if (i % 8 == 5)
            (void)history_retain(h, start_ms, &forgotten);
    }
    if (history_sync(h) < 0)
        (void)history_sync(h);
    tell(pipe, h);
    if (history_acknowledged(h, "pc1", 5) != sequence - 1 && !fault.forever)
        _exit(3);
    history_free(h);
}

static uint64_t last_told(int pipe)
{
    uint64_t last = 0, one;

    while (read(pipe, &one, sizeof(one)) == sizeof(one))
        last = one > last ? one : last;
    return last;
}

/* A child lives with this fault.  Returns its exit code, 9: it was cut off. */
static int live_with(const struct fault *f, uint64_t rounds, uint64_t *ret_told)
{
    int pipes[2], status = 0;
    pid_t child;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        (void)alarm(600);
        (void)close(pipes[0]);
        fault.calls = 0;
        fault.at = f->at;
        fault.error = f->error;
        fault.forever = f->forever;
        live(pipes[1], rounds);
        _exit(0);
    }
    assert_true(child > 0);
    (void)close(pipes[1]);
    *ret_told = last_told(pipes[0]);
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void ending_at_any_write_loses_nothing_acknowledged_and_doubles_nothing(void **state)
{
    struct fault f = {.at = 1};
    uint64_t told = 0;
    int code = 9;

    (void)state;
    for (; code == 9; f.at++) {
        struct history *h;

        empty();
        code = live_with(&f, 9, &told);
        assert_true(code == 9 || code == 0);
        h = opened();
        (void)check(h, told);
        history_free(h);
    }
    assert_true(f.at > 60); /* The scenario has that many calls at least. */
}

static void ending_while_it_recovers_is_as_harmless(void **state)
{
    uint64_t told = 0, before = 0;
    struct history *h;

    (void)state;
    for (unsigned i = 0; i < 150; i++) { /* Each life goes on where the one before was cut off. */
        struct fault f = {.at = 1 + i * 7 % 31};

        (void)live_with(&f, 3, &told);
        before = told > before ? told : before;
    }
    h = opened();
    (void)check(h, before);
    history_free(h);
}

static void a_refused_write_is_an_error_and_loses_nothing(void **state)
{
    static const int errors[] = {ENOSPC, EIO};

    (void)state;
    for (size_t e = 0; e < ARRAY_SIZE(errors); e++)
        for (unsigned at = 12; at < 80; at++) { /* The first ones make the folder. */
            struct fault f = {.at = at, .error = errors[e]};
            uint64_t told = 0, acknowledged;
            struct history *h;

            empty();
            assert_int_equal(live_with(&f, 9, &told), 0);
            h = opened();
            acknowledged = check(h, told);
            assert_int_equal(acknowledged, told); /* All, as it was tried again. */
            assert_true(acknowledged >= 18);
            history_free(h);
        }
}

static void a_disk_that_stays_full_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    for (unsigned at = 12; at < 80; at += 3) {
        struct fault f = {.at = at, .error = ENOSPC, .forever = true};
        uint64_t told = 0;
        struct history *h;

        empty();
        assert_int_equal(live_with(&f, 9, &told), 0);
        h = opened();
        (void)check(h, told);
        history_free(h);
    }
}

static void kill_9_at_any_moment_loses_nothing_acknowledged(void **state)
{
    uint64_t told = 0;

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        int pipes[2], status;
        uint64_t first;
        struct history *h;
        pid_t child;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        child = fork();
        if (child == 0) {
            (void)alarm(600);
            (void)close(pipes[0]);
            live(pipes[1], UINT64_MAX);
            _exit(1);
        }
        (void)close(pipes[1]);
        for (unsigned j = 0; j < 1 + i % 11; j++)
            if (read(pipes[0], &first, sizeof(first)) == sizeof(first))
                told = first > told ? first : told;
        assert_int_equal(kill(child, SIGKILL), 0);
        first = last_told(pipes[0]);
        told = first > told ? first : told;
        (void)close(pipes[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        h = opened();
        (void)check(h, told);
        history_free(h);
    }
    assert_true(told > 100);
}

static void reading_beside_a_writer_sees_whole_batches(void **state)
{
    struct history_options o = {.read_only = true};
    int pipes[2], status;
    uint64_t told, seen = 0;
    pid_t child;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        (void)alarm(600);
        (void)close(pipes[0]);
        live(pipes[1], UINT64_MAX);
        _exit(1);
    }
    (void)close(pipes[1]);
    for (unsigned i = 0; i < 40; i++) {
        struct history *h = NULL;
        const char *what;
        uint64_t now;

        assert_int_equal(read(pipes[0], &told, sizeof(told)), sizeof(told));
        assert_int_equal(history_open(where, &o, &h, &what), 0);
        now = check(h, told);
        assert_true(now >= seen);
        seen = now;
        history_free(h);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* In a mount namespace of its own, a history on a tmpfs of a few hundred kilobytes. */
static int live_on_a_small_disk(void)
{
    struct history *h;
    const char *what;
    uint64_t sequence = 1, acknowledged, forgotten;
    int full = 0;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mkdir(where, 0700) < 0 || mount("none", where, "tmpfs", 0, "size=512k") < 0)
        return 77;
    if (history_open(where, NULL, &h, &what) < 0)
        return 1;
    for (unsigned i = 0; i < 3000; i++) {
        int r = append(h, sequence);

        sequence += r == 0;
        if (i % 100 == 99)
            (void)history_columns_settle(h);
        r = history_sync(h);
        if (r == -ENOSPC)
            full++;
        else if (r < 0)
            return 2;
    }
    acknowledged = history_acknowledged(h, "pc1", 5);
    if (!full || acknowledged == sequence - 1)
        return 3;
    history_free(h);
    if (history_open(where, NULL, &h, &what) < 0)
        return 4;
    if (history_acknowledged(h, "pc1", 5) < acknowledged)
        return 5;
    (void)check(h, acknowledged);
    (void)history_retain(h, start_ms, &forgotten);
    history_free(h);
    return 0;
}

static void a_full_disk_is_said_and_what_fitted_stays(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        (void)alarm(600);
        _exit(live_on_a_small_disk());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* No right to mount. */
    assert_int_equal(status, 0);
}

static char found[192];

static void note_journal(const char *path)
{
    if (strstr(path, "/journal-"))
        (void)snprintf(found, sizeof(found), "%s", path);
}

static void note_part(const char *path)
{
    if (strstr(path, ".part") && !strstr(path, ".damaged"))
        (void)snprintf(found, sizeof(found), "%s", path);
}

static void note_texts(const char *path)
{
    if (strstr(path, "/texts"))
        (void)snprintf(found, sizeof(found), "%s", path);
}

static void fill(uint64_t batches, bool settle)
{
    struct history *h = opened();

    for (uint64_t i = 1; i <= batches; i++) {
        assert_int_equal(append(h, i), 0);
        assert_int_equal(history_sync(h), 0);
    }
    if (settle)
        assert_int_equal(history_columns_settle(h), 0);
    history_free(h);
}

static void a_torn_tail_of_the_journal_ends_with_the_last_whole_batch(void **state)
{
    struct stat st;

    (void)state;
    fill(40, false);
    each_file(where, note_journal);
    assert_int_equal(stat(found, &st), 0);
    for (off_t size = st.st_size; size > 0; size -= 37) {
        struct history *h;
        uint64_t acknowledged;

        assert_int_equal(truncate(found, size), 0);
        h = opened();
        acknowledged = check(h, 0);
        assert_true(acknowledged <= 40);
        assert_int_equal(append(h, acknowledged + 1), 0); /* And it goes on. */
        assert_int_equal(history_sync(h), 0);
        assert_int_equal(check(h, acknowledged + 1), acknowledged + 1);
        history_free(h);
    }
}

static void flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char c;

    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(__real_pwrite64(fd, &c, 1, at), 1);
    (void)close(fd);
}

static uint64_t rows_told(struct history *h)
{
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = history_snapshot(h);
    struct history_query q = HISTORY_QUERY_ALL;
    struct seen *seen = xcalloc(1, sizeof(*seen));
    uint64_t n;

    seen->h = h;
    assert_int_equal(history_scan(s, &q, see, seen, NULL), 0);
    n = seen->n;
    for (uint64_t i = 0; i < ARRAY_SIZE(seen->of_batch); i++)
        assert_true(seen->of_batch[i] <= size_of(i));
    free(seen);
    return n;
}

static void a_flipped_bit_in_the_journal_costs_one_batch(void **state)
{
    struct stat st;
    uint64_t all = 0;

    (void)state;
    fill(40, false);
    for (uint64_t i = 1; i <= 40; i++)
        all += size_of(i);
    each_file(where, note_journal);
    assert_int_equal(stat(found, &st), 0);
    for (off_t at = 0; at < st.st_size * 9 / 10; at += 53) {
        struct history *h;
        struct history_state state_of;

        flip(found, at);
        h = opened();
        history_state(h, &state_of);
        assert_int_equal(state_of.damaged_blocks, 1);
        assert_true(rows_told(h) + 12 >= all);
        history_free(h);
        flip(found, at);
    }
}

static void a_flipped_bit_in_a_part_is_noticed_and_costs_no_other_part(void **state)
{
    struct stat st;
    struct history *h;
    uint64_t all;

    (void)state;
    fill(200, true);
    each_file(where, note_part);
    h = opened();
    all = rows_told(h);
    history_free(h);
    assert_int_equal(stat(found, &st), 0);
    for (off_t at = 0; at < st.st_size; at += 41) {
        CLEANUP(buf_done) struct buf aside = BUF_INIT;
        CLEANUP(history_snapshot_freep) struct history_snapshot *s = NULL;
        struct history_query q = HISTORY_QUERY_ALL;
        struct history_state state_of;
        struct seen *seen = xcalloc(1, sizeof(*seen));
        uint64_t rows;

        flip(found, at);
        h = opened();
        rows = rows_told(h);
        s = history_snapshot(h);
        seen->h = h;
        (void)history_edges(s, &q, see, seen, NULL);
        history_state(h, &state_of);
        if (at >= 8) /* The magic at the beginning is not read. */
            assert_true(state_of.damaged_blocks >= 1);
        assert_true(rows >= all / 3);
        history_snapshot_free(TAKE_PTR(s));
        history_free(h);
        buf_printf(&aside, "%s.damaged", found);
        if (rename(aside.data, found) == 0) { /* The footer: it was set aside. */
            free(seen);
            break;
        }
        flip(found, at);
        free(seen);
    }
}

static void a_flipped_bit_in_the_texts_costs_names_but_gives_no_wrong_ones(void **state)
{
    struct history *h;
    struct history_state st;

    (void)state;
    fill(40, true);
    each_file(where, note_texts);
    for (off_t at = 5; at < 400; at += 31) {
        flip(found, at);
        h = opened();
        history_state(h, &st);
        assert_true(st.damaged_blocks >= 1);
        for (text_t i = 2; i < 2 + MODEL_WORDS; i++) {
            const char *text = history_text_of(h, i);

            assert_true(!*text || history_find_text(h, text, strlen(text)) == i);
        }
        assert_true(history_text(h, "something new", 13) >= 2);
        history_free(h);
        flip(found, at);
    }
}

static unsigned n_parts;

static void count_part(const char *path)
{
    n_parts += strstr(path, ".part") != NULL;
}

static void parts_of_a_day_become_one_and_answer_as_before(void **state)
{
    struct history *h = opened();

    (void)state;
    for (uint64_t i = 1; i <= 60; i++) {
        assert_int_equal(append(h, i), 0);
        assert_int_equal(history_sync(h), 0);
        assert_int_equal(history_columns_settle(h), 0);
    }
    n_parts = 0;
    each_file(where, count_part);
    assert_in_range(n_parts, 2, 20); /* Of two days; without merging 115. */
    assert_int_equal(check(h, 60), 60);
    history_free(h);
    h = opened();
    assert_int_equal(check(h, 60), 60);
    history_free(h);
}

static void batches_without_records_do_not_fill_the_disk(void **state)
{
    struct history_batch b = {.stream = "pc1", .epoch = 5, .lost = 1};
    struct history *h = opened();
    struct history_state st;
    bool known;

    (void)state;
    for (b.sequence = 1; b.sequence <= 1300000; b.sequence++)
        assert_int_equal(history_append(h, &b, &known), 0);
    assert_int_equal(history_sync(h), 0);
    history_state(h, &st);
    assert_in_range(st.bytes, 1, COLUMNS_JOURNAL_MAX / 2);
    history_free(h);
    h = opened();
    assert_int_equal(history_acknowledged(h, "pc1", 5), 1300000);
    history_state(h, &st);
    assert_int_equal(st.lost_records, 1300000);
    history_free(h);
}

static void a_damaged_manifest_is_refused_with_words(void **state)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    struct history *h = NULL;
    const char *what = NULL;

    (void)state;
    fill(40, true);
    buf_printf(&path, "%s/manifest", where);
    flip(path.data, 60);
    assert_int_equal(history_open(where, NULL, &h, &what), -EUCLEAN);
    assert_string_equal(what, "its manifest is damaged: put it back from a copy");
    assert_int_equal(unlink(path.data), 0);
    assert_int_equal(history_open(where, NULL, &h, &what), -EUCLEAN);
    assert_string_equal(what, "its manifest is missing");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, in_a_new_folder, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ending_at_any_write_loses_nothing_acknowledged_and_doubles_nothing),
        TEST(ending_while_it_recovers_is_as_harmless),
        TEST(a_refused_write_is_an_error_and_loses_nothing),
        TEST(a_disk_that_stays_full_keeps_what_was_acknowledged),
        TEST(kill_9_at_any_moment_loses_nothing_acknowledged),
        TEST(reading_beside_a_writer_sees_whole_batches),
        TEST(a_full_disk_is_said_and_what_fitted_stays),
        TEST(a_torn_tail_of_the_journal_ends_with_the_last_whole_batch),
        TEST(a_flipped_bit_in_the_journal_costs_one_batch),
        TEST(a_flipped_bit_in_a_part_is_noticed_and_costs_no_other_part),
        TEST(a_flipped_bit_in_the_texts_costs_names_but_gives_no_wrong_ones),
        TEST(parts_of_a_day_become_one_and_answer_as_before),
        TEST(batches_without_records_do_not_fill_the_disk),
        TEST(a_damaged_manifest_is_refused_with_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
