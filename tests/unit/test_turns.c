/* SPDX-License-Identifier: Apache-2.0 */
/* What dist/turns.h promises. */
#include "controller/dist/turns.h"

#include "unit/test.h"

#include "base/base.h"

enum { MANY = 40, STEPS = 200000, MAX = 1000, PATIENCE = 50 };

static void who_finds_no_room_stands_in_line_and_goes_in_the_order_of_coming(void **state)
{
    (void)state;
    struct turns t = {.max = 100};
    struct turn x[4] = {{.size = 0}};

    assert_true(turns_ask(&t, &x[0]));
    turns_sent(&t, &x[0], 60, 1);
    assert_true(turns_ask(&t, &x[1]));
    turns_sent(&t, &x[1], 60, 1); /* The last of them may be over the bound. */
    assert_false(turns_ask(&t, &x[2]));
    assert_false(turns_ask(&t, &x[3]));
    assert_false(turns_ask(&t, &x[2])); /* It has its place already. */
    assert_int_equal(t.n_waiting, 2);
    assert_null(turns_next(&t));
    turns_done(&t, &x[0]);
    assert_ptr_equal(turns_next(&t), &x[2]);
    turns_sent(&t, &x[2], 40, 2);
    assert_null(turns_next(&t)); /* 60 and 40: full again. */
    turns_done(&t, &x[1]);
    assert_ptr_equal(turns_next(&t), &x[3]);
    assert_null(turns_next(&t));
    assert_int_equal(t.under_way, 40);
}

static void who_goes_leaves_the_line_and_gives_back_what_he_held(void **state)
{
    (void)state;
    struct turns t = {.max = 10};
    struct turn x[3] = {{.size = 0}};

    turns_sent(&t, &x[0], 10, 0);
    assert_false(turns_ask(&t, &x[1]));
    assert_false(turns_ask(&t, &x[2]));
    turns_done(&t, &x[2]); /* The last in line, */
    assert_false(turns_ask(&t, &x[2]));
    turns_done(&t, &x[1]); /* and the first. */
    turns_done(&t, &x[0]);
    assert_int_equal(t.under_way, 0);
    assert_ptr_equal(turns_next(&t), &x[2]);
    assert_int_equal(t.n_waiting, 0);
}

static void who_does_not_answer_keeps_the_others_waiting_for_so_long_only(void **state)
{
    (void)state;
    struct turns t = {.max = 10};
    struct turn slow = {.size = 0}, other = {.size = 0};

    turns_sent(&t, &slow, 10, 100);
    assert_false(turns_ask(&t, &other));
    turns_lose_patience(&t, &slow, 100 + PATIENCE - 1, PATIENCE);
    assert_null(turns_next(&t));
    turns_lose_patience(&t, &slow, 100 + PATIENCE, PATIENCE);
    assert_ptr_equal(turns_next(&t), &other);
    turns_done(&t, &slow); /* Late, and not counted twice. */
    assert_int_equal(t.under_way, 0);
}

/* Any order of events: the sum is that of those who have something, nobody is lost or doubled. */
static void in_any_order_of_events_the_bound_and_the_line_hold(void **state)
{
    (void)state;
    struct turns t = {.max = MAX};
    struct turn x[MANY] = {{.size = 0}};
    uint64_t random = 7, served = 0;

    for (uint64_t now = 0; now < STEPS; now++) {
        struct turn *one, *next;
        size_t sum = 0, waiting = 0;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        one = &x[(random >> 33) % MANY];
        if (random >> 62 == 0)
            turns_done(&t, one);
        else if (!one->size && turns_ask(&t, one))
            turns_sent(&t, one, 1 + (random >> 40) % 300, now);
        turns_lose_patience(&t, &x[now % MANY], now, PATIENCE * MANY);
        while ((next = turns_next(&t))) {
            turns_sent(&t, next, 1 + (random >> 40) % 300, now);
            served++;
        }
        for (size_t i = 0; i < MANY; i++) {
            sum += x[i].size;
            waiting += x[i].at != NULL;
            assert_false(x[i].at && x[i].size);
        }
        assert_int_equal(sum, t.under_way);
        assert_int_equal(waiting, t.n_waiting);
        assert_true(sum < MAX + 300);
        assert_true(!waiting || sum >= MAX);
    }
    assert_true(served > STEPS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_finds_no_room_stands_in_line_and_goes_in_the_order_of_coming),
        cmocka_unit_test(who_goes_leaves_the_line_and_gives_back_what_he_held),
        cmocka_unit_test(who_does_not_answer_keeps_the_others_waiting_for_so_long_only),
        cmocka_unit_test(in_any_order_of_events_the_bound_and_the_line_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
