/* SPDX-License-Identifier: Apache-2.0 */
/* What report.h promises: few records, and no event lost or counted twice. */
#include "agent/enforce/report.h"

#include <stdio.h>

#include "unit/test.h"

struct given {
    size_t n;
    uint64_t count, bytes_out;
    struct ipc_flow last;
    size_t room; /* Takes no more than so many; 0: all. */
};

static bool give(void *arg, const struct ipc_flow *flow)
{
    struct given *g = arg;

    if (g->room && g->n == g->room)
        return false;
    g->n++;
    g->count += flow->count;
    g->bytes_out += flow->bytes_out;
    g->last = *flow;
    return true;
}

static struct enforcer_flow flow_to(uint16_t port, enum verdict verdict)
{
    return (struct enforcer_flow){.verdict = verdict,
                                  .process = "/usr/bin/curl",
                                  .script = "",
                                  .port = port,
                                  .protocol = 6,
                                  .count = 1,
                                  .bytes_out = 10};
}

static void equal_events_become_one_record_with_their_sum(void **state)
{
    (void)state;
    struct given g = {.n = 0};
    struct report *r = report_new(give, &g);
    struct enforcer_flow f = flow_to(443, VERDICT_ALLOW);

    for (int i = 0; i < 100; i++)
        report_add(r, &f, 1000 + (uint64_t)i);
    report_flush(r, 1500);
    assert_int_equal(g.n, 0); /* Not a second old yet. */
    report_flush(r, 2000);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.count, 100);
    assert_int_equal(g.bytes_out, 1000);
    assert_int_equal(g.last.first_ms, 1000);
    assert_int_equal(g.last.last_ms, 1099);
    assert_string_equal(g.last.process, "/usr/bin/curl");
    report_free(r);
}

static void a_denial_does_not_wait(void **state)
{
    (void)state;
    struct given g = {.n = 0};
    struct report *r = report_new(give, &g);
    struct enforcer_flow f = flow_to(22, VERDICT_DENY);

    report_add(r, &f, 1000);
    report_flush(r, 1001);
    assert_int_equal(g.n, 1);
    report_free(r);
}

static void call_it_by_its_number(void *arg, struct ipc_flow *flow)
{
    const struct given *g = arg;

    (void)snprintf(flow->rule_name, sizeof(flow->rule_name), "rule %u of %u", flow->rule,
                   (unsigned)g->room);
}

static void what_waits_keeps_the_name_that_its_rule_had(void **state)
{
    (void)state;
    struct given g = {.room = 7};
    struct report *r = report_new(give, &g);
    struct enforcer_flow f = flow_to(443, VERDICT_ALLOW);

    f.rule = 3;
    report_add(r, &f, 1000);
    report_name_rules(r, call_it_by_its_number);
    g.room = 8;
    report_add(r, &f, 1001);
    report_flush(r, 3000);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.last.count, 2);
    assert_string_equal(g.last.rule_name, "rule 3 of 7");
    report_free(r);
}

static void a_flood_of_different_events_is_given_away_early_and_whole(void **state)
{
    (void)state;
    struct given g = {.n = 0};
    struct report *r = report_new(give, &g);
    uint64_t sent = 0;

    for (unsigned i = 0; i < 3 * REPORT_MAX; i++) {
        struct enforcer_flow f = flow_to((uint16_t)i, VERDICT_ALLOW);

        f.uid = i / 65536;
        report_add(r, &f, 1000);
        sent++;
    }
    report_flush(r, 5000);
    assert_int_equal(g.count, sent);
    assert_int_equal(g.n, sent);
    report_free(r);
}

static void what_is_not_taken_waits_and_denials_go_first(void **state)
{
    (void)state;
    struct given g = {.room = 1};
    struct report *r = report_new(give, &g);
    struct enforcer_flow allowed = flow_to(443, VERDICT_ALLOW), denied = flow_to(22, VERDICT_DENY);

    report_add(r, &allowed, 1000);
    report_add(r, &denied, 1000);
    report_flush(r, 5000);
    assert_int_equal(g.n, 1);
    assert_int_equal(g.last.port, 22);
    assert_int_equal(report_waiting(r), 1);
    g.room = 0;
    report_flush(r, 5000);
    assert_int_equal(g.n, 2);
    assert_int_equal(report_lost(r), 0);
    report_free(r);
}

static void without_room_the_oldest_that_is_no_denial_goes_and_is_counted(void **state)
{
    (void)state;
    struct given g = {.room = 1, .n = 1}; /* Takes nothing. */
    struct report *r = report_new(give, &g);
    struct enforcer_flow denied = flow_to(22, VERDICT_DENY);
    uint64_t allowed = 10 * (uint64_t)REPORT_MAX;

    report_add(r, &denied, 1);
    for (unsigned i = 0; i < allowed; i++) {
        struct enforcer_flow f = flow_to((uint16_t)i, VERDICT_ALLOW);

        f.uid = i / 65536;
        report_add(r, &f, 1000 + i);
    }
    assert_int_equal(report_waiting(r), REPORT_MAX);
    assert_int_equal(report_lost(r), allowed + 1 - REPORT_MAX);
    g = (struct given){.room = 0};
    report_flush(r, UINT64_MAX / 2);
    assert_int_equal(g.n, REPORT_MAX); /* The denial among them, and the newest. */
    assert_int_equal(g.last.first_ms, 1000 + allowed - 1);
    report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_events_become_one_record_with_their_sum),
        cmocka_unit_test(a_denial_does_not_wait),
        cmocka_unit_test(what_waits_keeps_the_name_that_its_rule_had),
        cmocka_unit_test(a_flood_of_different_events_is_given_away_early_and_whole),
        cmocka_unit_test(what_is_not_taken_waits_and_denials_go_first),
        cmocka_unit_test(without_room_the_oldest_that_is_no_denial_goes_and_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
