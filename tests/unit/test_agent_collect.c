/* SPDX-License-Identifier: Apache-2.0 */
/* What agent/net/collect.h promises: minutes with right sums, and no waiting where somebody waits.
 */
#include "agent/net/collect.h"

#include <stdio.h>

#include "unit/test.h"

static const uint64_t minute_1 = UINT64_C(30000000) * FLOW_MINUTE_MS;

static struct ipc_flow flow_at(uint64_t at_ms, uint16_t port, enum verdict verdict)
{
    return (struct ipc_flow){.first_ms = at_ms,
                             .last_ms = at_ms + 900,
                             .count = 1,
                             .bytes_out = 10,
                             .bytes_in = 20,
                             .revision = 7,
                             .port = port,
                             .protocol = 6,
                             .verdict = (uint8_t)verdict,
                             .layer = LAYER_ALLOW,
                             .process = "/usr/bin/curl",
                             .user = "ops"};
}

static bool add(struct collect *c, uint64_t at_ms, uint16_t port, enum verdict verdict)
{
    struct ipc_flow f = flow_at(at_ms, port, verdict);

    return collect_add(c, &f);
}

/* Takes one batch, and says how many connections are in it. */
static uint64_t take(struct collect *c, uint64_t now_ms, bool all)
{
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
    uint64_t n = 0;

    (void)collect_take(c, now_ms, all, &b);
    for (size_t i = 0; i < b.n_records; i++) {
        n += b.records[i].count;
        assert_int_equal(b.records[i].first_ms / FLOW_MINUTE_MS,
                         b.records[i].last_ms / FLOW_MINUTE_MS);
    }
    return n;
}

static void what_was_never_seen_goes_at_once_and_the_rest_with_its_minute(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();

    assert_true(add(c, minute_1 + 1000, 443, VERDICT_ALLOW));
    assert_int_equal(take(c, minute_1 + 2000, false), 1);
    for (int i = 0; i < 50; i++)
        assert_false(add(c, minute_1 + 2000 + 1000 * (uint64_t)i, 443, VERDICT_ALLOW));
    assert_int_equal(take(c, minute_1 + 59999, false), 0);
    assert_int_equal(take(c, minute_1 + 61999, false), 0); /* Its last reports may come yet. */
    assert_int_equal(take(c, minute_1 + 62000, false), 50);
    assert_false(add(c, minute_1 + 60000, 443, VERDICT_ALLOW)); /* Known by now. */
    assert_false(add(c, minute_1 + 60 * FLOW_MINUTE_MS, 443, VERDICT_ALLOW));
    assert_true(add(c, minute_1 + 122 * FLOW_MINUTE_MS, 443, VERDICT_ALLOW)); /* Forgotten. */
}

static void another_revision_of_the_policy_is_nothing_new(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();
    struct ipc_flow f = flow_at(minute_1, 443, VERDICT_ALLOW);

    assert_true(collect_add(c, &f));
    f.revision++;
    f.rule++;
    assert_false(collect_add(c, &f));
    assert_int_equal(take(c, minute_1, true), 2);
    memcpy(f.script, "/opt/x.py", 10);
    assert_true(collect_add(c, &f));
}

static void the_first_denial_of_a_minute_goes_at_once_and_sums_stay_right(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();
    uint64_t told = 0;

    for (uint64_t m = 0; m < 3; m++)
        for (uint64_t i = 0; i < 50; i++) {
            uint64_t at = minute_1 + m * FLOW_MINUTE_MS + i * 1000;

            assert_int_equal(add(c, at, 22, VERDICT_DENY), i == 0);
            told += take(c, at, false);
        }
    told += take(c, minute_1 + 4 * FLOW_MINUTE_MS, false);
    assert_int_equal(told, 150);
}

static void a_report_across_two_minutes_belongs_to_the_first(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();

    (void)add(c, minute_1 + 59500, 80, VERDICT_ALLOW);
    (void)add(c, minute_1 + 60500, 80, VERDICT_ALLOW);
    assert_int_equal(take(c, minute_1, true), 2); /* take() looks at the minutes. */
}

static void everything_comes_out_once_in_batches_of_bounded_size(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();
    uint64_t sum = 0;
    size_t batches = 0;

    for (unsigned i = 0; i < COLLECT_MAX; i++) {
        struct ipc_flow f = flow_at(minute_1 + i, (uint16_t)i, VERDICT_ALLOW);

        assert_false(collect_is_full(c));
        (void)snprintf(f.process, sizeof(f.process), "/opt/%0200u", i);
        (void)collect_add(c, &f);
    }
    assert_true(collect_is_full(c));
    for (;;) {
        CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
        CLEANUP(buf_done) struct buf out = BUF_INIT;

        if (!collect_take(c, minute_1, true, &b))
            break;
        flow_batch_encode(&b, &out);
        assert_in_range(out.size, 1, 512 << 10);
        assert_in_range(b.n_records, 1, COLLECT_BATCH);
        sum += b.n_records;
        batches++;
    }
    assert_int_equal(sum, COLLECT_MAX);
    assert_in_range(batches, COLLECT_MAX / COLLECT_BATCH, 1000);
}

static void a_flood_of_new_things_forgets_the_one_not_seen_for_longest(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();
    uint64_t at = minute_1;

    assert_true(add(c, at, 1, VERDICT_ALLOW));
    for (unsigned i = 0; i < COLLECT_SEEN; i++) {
        struct ipc_flow f = flow_at(at, 443, VERDICT_ALLOW);

        f.uid = i + 1;
        if (i == 1000)
            (void)add(c, at + FLOW_MINUTE_MS, 1, VERDICT_ALLOW); /* Seen again. */
        assert_true(collect_add(c, &f));
        if (collect_is_full(c))
            while (take(c, at, true))
                continue;
    }
    assert_false(add(c, at + 2 * FLOW_MINUTE_MS, 1, VERDICT_ALLOW));
}

static void a_clock_that_goes_back_holds_nothing_up(void **state)
{
    (void)state;
    CLEANUP(collect_freep) struct collect *c = collect_new();

    (void)add(c, minute_1 + 600 * FLOW_MINUTE_MS, 80, VERDICT_ALLOW);
    assert_int_equal(take(c, minute_1, false), 1);
    (void)add(c, minute_1 + 600 * FLOW_MINUTE_MS, 80, VERDICT_ALLOW);
    assert_int_equal(take(c, minute_1 + FLOW_MINUTE_MS, false), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_seen_goes_at_once_and_the_rest_with_its_minute),
        cmocka_unit_test(another_revision_of_the_policy_is_nothing_new),
        cmocka_unit_test(the_first_denial_of_a_minute_goes_at_once_and_sums_stay_right),
        cmocka_unit_test(a_report_across_two_minutes_belongs_to_the_first),
        cmocka_unit_test(everything_comes_out_once_in_batches_of_bounded_size),
        cmocka_unit_test(a_flood_of_new_things_forgets_the_one_not_seen_for_longest),
        cmocka_unit_test(a_clock_that_goes_back_holds_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
