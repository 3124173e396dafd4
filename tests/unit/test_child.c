/* SPDX-License-Identifier: Apache-2.0 */
/* What sys/child.h promises, with real programs. */
#include "sys/child.h"

#include <errno.h>

#include "unit/test.h"

enum { LIMIT = 1 << 20, LONG_MS = 30000 };

static int run(const char *const argv[], const struct buf *input, struct buf *out, struct buf *err)
{
    return child_run(argv, input, LIMIT, LONG_MS, out, err);
}

static void a_program_reads_its_input_and_says_its_output(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf in = BUF_INIT, out = BUF_INIT, err = BUF_INIT;

    for (int i = 0; i < 100000; i++)
        buf_puts(&in, "a line\n"); /* More than any pipe holds. */
    assert_int_equal(run((const char *const[]){"/bin/cat", NULL}, &in, &out, &err), 0);
    assert_int_equal(out.size, in.size);
    assert_memory_equal(out.data, in.data, in.size);
    assert_int_equal(err.size, 0);
}

static void a_program_knows_nothing_of_our_environment(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT, err = BUF_INIT;

    assert_int_equal(run((const char *const[]){"/usr/bin/env", NULL}, NULL, &out, &err), 0);
    assert_string_equal(buf_str(&out), "LC_ALL=C\n");
}

static void a_failure_is_told_with_the_program_s_words(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT, err = BUF_INIT;
    const char *const argv[] = {"/bin/sh", "-c", "echo no >&2; exit 3", NULL};

    assert_int_equal(run(argv, NULL, &out, &err), -EIO);
    assert_string_equal(buf_str(&err), "no\n");
    assert_int_equal(run((const char *const[]){"/nonexistent", NULL}, NULL, &out, &err), -ENOENT);
}

static void a_program_that_does_not_end_is_ended(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT, err = BUF_INIT;
    const char *const argv[] = {"/bin/sleep", "1000", NULL};

    assert_int_equal(child_run(argv, NULL, LIMIT, 50, &out, &err), -ETIME);
}

static void a_program_that_says_too_much_is_not_believed(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT, err = BUF_INIT;
    const char *const argv[] = {"/usr/bin/head", "-c", "1001", "/dev/zero", NULL};

    assert_int_equal(child_run(argv, NULL, 1000, LONG_MS, &out, &err), -EFBIG);
    assert_int_equal(out.size, 0);
    assert_int_equal(child_run(argv, NULL, 1001, LONG_MS, &out, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_reads_its_input_and_says_its_output),
        cmocka_unit_test(a_program_knows_nothing_of_our_environment),
        cmocka_unit_test(a_failure_is_told_with_the_program_s_words),
        cmocka_unit_test(a_program_that_does_not_end_is_ended),
        cmocka_unit_test(a_program_that_says_too_much_is_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
