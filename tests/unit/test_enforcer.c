/* SPDX-License-Identifier: Apache-2.0 */
/* What dist/enforcer.h promises: every pair of state and event, then a day of polling. */
#include "controller/dist/enforcer.h"

#include "unit/test.h"

#include "base/base.h"

enum { NOW = 1000000 };

static struct enforcer_watch in_state(enum enforcer_state state)
{
    struct enforcer_watch w = {.state = ENFORCER_INACTIVE};

    if (state == ENFORCER_INACTIVE)
        return w;
    (void)enforcer_step(&w, ENFORCER_CONNECTED, NOW - ENFORCER_POLL_MS - ENFORCER_REPLY_MS);
    if (state == ENFORCER_TIMEOUT) {
        assert_true(enforcer_step(&w, ENFORCER_TICK, NOW - ENFORCER_REPLY_MS));
        assert_false(enforcer_step(&w, ENFORCER_TICK, NOW));
    }
    assert_int_equal(w.state, state);
    return w;
}

static void every_state_and_event_leads_where_the_diagram_says(void **state)
{
    (void)state;
    static const struct {
        enum enforcer_state from;
        enum enforcer_event event;
        enum enforcer_state to;
        bool asks;
    } table[] = {
        {ENFORCER_INACTIVE, ENFORCER_CONNECTED, ENFORCER_ACTIVE, false},
        {ENFORCER_INACTIVE, ENFORCER_HEARD, ENFORCER_INACTIVE, false},
        {ENFORCER_INACTIVE, ENFORCER_TICK, ENFORCER_INACTIVE, false},
        {ENFORCER_INACTIVE, ENFORCER_DISCONNECTED, ENFORCER_INACTIVE, false},
        {ENFORCER_ACTIVE, ENFORCER_CONNECTED, ENFORCER_ACTIVE, false},
        {ENFORCER_ACTIVE, ENFORCER_HEARD, ENFORCER_ACTIVE, false},
        {ENFORCER_ACTIVE, ENFORCER_TICK, ENFORCER_ACTIVE, true}, /* The poll is due. */
        {ENFORCER_ACTIVE, ENFORCER_DISCONNECTED, ENFORCER_INACTIVE, false},
        {ENFORCER_TIMEOUT, ENFORCER_CONNECTED, ENFORCER_ACTIVE, false},
        {ENFORCER_TIMEOUT, ENFORCER_HEARD, ENFORCER_ACTIVE, false},
        {ENFORCER_TIMEOUT, ENFORCER_TICK, ENFORCER_TIMEOUT, false}, /* Not before its period. */
        {ENFORCER_TIMEOUT, ENFORCER_DISCONNECTED, ENFORCER_INACTIVE, false},
    };

    assert_int_equal(ARRAY_SIZE(table), 3 * 4);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct enforcer_watch w = in_state(table[i].from);

        assert_int_equal(enforcer_step(&w, table[i].event, NOW), table[i].asks);
        assert_int_equal(w.state, table[i].to);
    }
}

static void a_silent_agent_is_asked_once_a_period_and_times_out(void **state)
{
    (void)state;
    struct enforcer_watch w = {.state = ENFORCER_INACTIVE};
    unsigned asked = 0;

    (void)enforcer_step(&w, ENFORCER_CONNECTED, 0);
    for (uint64_t ms = 0; ms < 24ull * 3600 * 1000; ms += 500) {
        asked += enforcer_step(&w, ENFORCER_TICK, ms);
        assert_int_equal(w.state, ms < ENFORCER_POLL_MS + ENFORCER_REPLY_MS ? ENFORCER_ACTIVE
                                                                            : ENFORCER_TIMEOUT);
    }
    assert_int_equal(asked, 24 * 3600 * 1000 / ENFORCER_POLL_MS - 1);
}

static void an_answering_agent_stays_active(void **state)
{
    (void)state;
    struct enforcer_watch w = {.state = ENFORCER_INACTIVE};

    (void)enforcer_step(&w, ENFORCER_CONNECTED, 0);
    for (uint64_t ms = 0; ms < 3600 * 1000; ms += 500) {
        if (enforcer_step(&w, ENFORCER_TICK, ms))
            (void)enforcer_step(&w, ENFORCER_HEARD, ms + 499);
        assert_int_equal(w.state, ENFORCER_ACTIVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_and_event_leads_where_the_diagram_says),
        cmocka_unit_test(a_silent_agent_is_asked_once_a_period_and_times_out),
        cmocka_unit_test(an_answering_agent_stays_active),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
