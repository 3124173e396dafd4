/* SPDX-License-Identifier: Apache-2.0 */
/* What buf.h, reader.h, utf8.h and number.h promise. */
#include <errno.h>

#include "base/buf.h"
#include "base/number.h"
#include "base/reader.h"
#include "base/utf8.h"
#include "unit/test.h"

static void a_buffer_is_always_a_string(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    char *taken;

    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.size, 2000);
    assert_int_equal(strlen(b.data), 2000);
    taken = buf_take(&b);
    assert_int_equal(strlen(taken), 2000);
    assert_string_equal(buf_str(&b), "");
    free(taken);
}

static void foreign_text_cannot_reorder_or_control_a_terminal(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    static const char evil[] = "a\033[2Jb\xe2\x80\xae"
                               "c\xff"
                               "d\n"
                               "水";

    buf_escape(&b, evil, sizeof(evil) - 1, 100);
    assert_string_equal(buf_str(&b), "a\\x1b[2Jb\\xe2\\x80\\xaec\\xffd\\x0a水");
    buf_reset(&b);
    buf_escape(&b, "abcdef", 6, 3);
    assert_string_equal(buf_str(&b), "abc...");
}

static void utf8_refuses_overlong_surrogate_and_cut_characters(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xc0\x80",         "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf0\x80\x80\x80", "\xe6\xb0",     "\x80",         "\xff"};
    size_t at = 99;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i]), &at));
    assert_int_equal(at, 0);
    assert_true(utf8_valid("水密 ok \xf0\x9f\x9a\xa2", strlen("水密 ok \xf0\x9f\x9a\xa2"), &at));
    assert_false(utf8_valid("ok\xff", 3, &at));
    assert_int_equal(at, 2);
}

static void a_read_past_the_end_sticks(void **state)
{
    (void)state;
    struct reader r = reader_of("\x01\x02\x03\x04\x05", 5);

    assert_int_equal(reader_be32(&r), 0x01020304);
    assert_true(reader_ok(&r));
    assert_int_equal(reader_be16(&r), 0);
    assert_int_equal(reader_u8(&r), 0);
    assert_false(reader_ok(&r));
}

static void numbers_are_all_digits_or_nothing(void **state)
{
    (void)state;
    uint64_t v = 42;

    assert_int_equal(number_parse("65535", 5, 65535, &v), 0);
    assert_int_equal(v, 65535);
    assert_int_equal(number_parse("65536", 5, 65535, &v), -ERANGE);
    assert_int_equal(number_parse("18446744073709551616", 20, UINT64_MAX, &v), -ERANGE);
    assert_int_equal(number_parse("5", 1, 3, &v), -ERANGE);
    assert_int_equal(number_parse("", 0, 9, &v), -EINVAL);
    assert_int_equal(number_parse(" 1", 2, 9, &v), -EINVAL);
    assert_int_equal(number_parse("-1", 2, 9, &v), -EINVAL);
    assert_int_equal(number_parse("1x", 2, 9, &v), -EINVAL);
    assert_int_equal(v, 65535);
    assert_int_equal(duration_parse("5m", 3600, &v), 0);
    assert_int_equal(v, 300);
    assert_int_equal(duration_parse("2h", 3600, &v), -ERANGE);
    assert_int_equal(duration_parse("m", 3600, &v), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_always_a_string),
        cmocka_unit_test(foreign_text_cannot_reorder_or_control_a_terminal),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_and_cut_characters),
        cmocka_unit_test(a_read_past_the_end_sticks),
        cmocka_unit_test(numbers_are_all_digits_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
