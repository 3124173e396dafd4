/* SPDX-License-Identifier: Apache-2.0 */
/* What text/format.h and text/linediff.h promise. */
#include "text/format.h"

#include <errno.h>
#include <stdio.h>

#include "text/linediff.h"
#include "unit/test.h"

enum { WALKS = 2000, MAX_LINES = 40 };

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

static void random_text(struct buf *b, unsigned *state)
{
    unsigned n = next_random(state) % MAX_LINES;

    for (unsigned i = 0; i < n; i++)
        buf_printf(b, "%c\n", 'a' + (char)(next_random(state) % 4));
}

/* The old text with the diff applied, hunk by hunk, each line of context and removal compared. */
static void apply(struct buf *to, const char *old, const char *diff)
{
    const char *p = strstr(diff, "@@ ");
    size_t at = 1; /* The number of the next line of 'old'. */

    for (; p; p = strstr(p, "@@ ")) {
        unsigned first, n_old, first_new, n_new;

        assert_int_equal(sscanf(p, "@@ -%u,%u +%u,%u @@", &first, &n_old, &first_new, &n_new), 4);
        for (; at < first + (n_old == 0); at++, old += 2)
            buf_add(to, old, 2);
        for (p = strchr(p, '\n') + 1; *p && *p != '@'; p = strchr(p, '\n') + 1) {
            if (*p != '+') {
                assert_memory_equal(p + 1, old, 2);
                old += 2;
                at++;
            }
            if (*p != '-')
                buf_add(to, p + 1, 2);
        }
        if (!*p)
            break;
    }
    buf_puts(to, old);
}

static void a_diff_applied_to_the_old_text_gives_the_new_one(void **state)
{
    (void)state;
    unsigned seed = 7;

    for (int i = 0; i < WALKS; i++) {
        struct buf a = BUF_INIT, b = BUF_INIT, diff = BUF_INIT, applied = BUF_INIT;

        random_text(&a, &seed);
        random_text(&b, &seed);
        linediff(&diff, "f", buf_str(&a), a.size, buf_str(&b), b.size);
        apply(&applied, buf_str(&a), buf_str(&diff));
        assert_string_equal(buf_str(&applied), buf_str(&b));
        assert_int_equal(diff.size == 0, strcmp(buf_str(&a), buf_str(&b)) == 0);
        buf_done(&a);
        buf_done(&b);
        buf_done(&diff);
        buf_done(&applied);
    }
}

static void a_diff_is_the_shortest(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;

    linediff(&b, "f", "a\nb\nc\na\nb\nb\na\n", 14, "c\nb\na\nb\na\nc\n", 12);
    assert_int_equal(strstr(buf_str(&b), "--- f\n+++ f\n") == buf_str(&b), 1);
    size_t changes = 0;
    for (const char *p = strchr(strstr(buf_str(&b), "@@ "), '\n'); p && p[1];
         p = strchr(p + 1, '\n'))
        changes += p[1] == '+' || p[1] == '-';
    assert_int_equal(changes, 5); /* The example of Myers 1986. */
    buf_done(&b);
}

static int format(const char *name, const char *text, struct buf *out)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    const struct source s = {name, text, strlen(text)};

    return format_source(&s, d, out);
}

static void assert_formats_to(const char *text, const char *wanted)
{
    struct buf b = BUF_INIT;

    assert_int_equal(format("p.yaml", text, &b), 0);
    assert_string_equal(buf_str(&b), wanted);
    buf_done(&b);
}

static void fields_stand_in_the_order_of_the_table(void **state)
{
    (void)state;
    assert_formats_to("allow: [{owner: o, why: w, id: a, to: b}]\nsuimitsu: 1\n",
                      "suimitsu: 1\n\nallow:\n  - id: a\n    to: b\n    why: w\n    owner: o\n");
    assert_formats_to("suimitsu-inventory: 1\nusers:\nendpoints: {b: {}, a: {state: black}}\n",
                      "suimitsu-inventory: 1\n\nendpoints:\n  b: {}\n  a: {state: black}\n\n"
                      "users: {}\n");
}

static void a_comment_between_brackets_makes_lines_of_them(void **state)
{
    (void)state;
    assert_formats_to("suimitsu: 1\nservices: {s: [tcp/1, # one\n  tcp/2]}\n",
                      "suimitsu: 1\n\nservices:\n  s:\n    - tcp/1  # one\n    - tcp/2\n");
}

static void what_is_wrong_or_no_yaml_is_refused(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;

    assert_int_equal(format("p.yaml", "suimitsu: 1\nalow: []\n", &b), -EBADMSG);
    assert_int_equal(format("p.yaml", "", &b), -EBADMSG);
    assert_int_equal(format("p.json", "{\"suimitsu\": 1}", &b), -ENOTSUP);
    assert_int_equal(b.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_applied_to_the_old_text_gives_the_new_one),
        cmocka_unit_test(a_diff_is_the_shortest),
        cmocka_unit_test(fields_stand_in_the_order_of_the_table),
        cmocka_unit_test(a_comment_between_brackets_makes_lines_of_them),
        cmocka_unit_test(what_is_wrong_or_no_yaml_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
