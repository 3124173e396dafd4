/* SPDX-License-Identifier: Apache-2.0 */
/* What api/events.h promises. */
#include "unit/test.h"

#include <errno.h>

#include "controller/api/events.h"

static void readers_get_their_topics_in_order(void **state)
{
    (void)state;
    CLEANUP(events_freep) struct events *e = events_new();
    unsigned topics;

    assert_int_equal(events_first(e), 0);
    assert_null(events_next(e, 0, ~0u));
    for (int i = 0; i < 12; i++)
        (void)events_add(e, (enum event_topic)(i % EVENT_TOPICS), "web1",
                         json_pack("{s:i}", "i", i));
    assert_int_equal(event_topics_parse("audit,trust", &topics), 0);
    assert_int_equal(events_next(e, 0, topics)->number, 5);
    assert_string_equal(events_next(e, 0, topics)->data, "{\"i\":4}");
    assert_int_equal(events_next(e, 5, topics)->number, 6);
    assert_int_equal(events_next(e, 6, topics)->number, 12);
    assert_null(events_next(e, 12, topics));
    assert_string_equal(events_next(e, 0, topics)->endpoint, "web1");
}

static void what_is_somebodys_own_says_whose_it_is(void **state)
{
    (void)state;
    CLEANUP(events_freep) struct events *e = events_new();

    (void)events_add(e, EVENT_TRUST, "web1", json_object());
    (void)events_add_own(e, EVENT_OPERATIONS, "account mika", json_object());
    assert_string_equal(events_next(e, 0, ~0u)->owner, "");
    assert_string_equal(events_next(e, 1, ~0u)->owner, "account mika");
    assert_string_equal(events_next(e, 1, ~0u)->endpoint, "");
}

static void the_oldest_go_and_the_reader_can_tell(void **state)
{
    (void)state;
    CLEANUP(events_freep) struct events *e = events_new();

    for (int i = 0; i < EVENTS_MAX + 100; i++)
        (void)events_add(e, EVENT_AUDIT, NULL, json_object());
    assert_int_equal(events_last(e), EVENTS_MAX + 100);
    assert_true(events_first(e) > 100);
    assert_int_equal(events_next(e, 5, ~0u)->number, events_first(e));
}

static void large_events_do_not_make_it_grow_without_end(void **state)
{
    (void)state;
    CLEANUP(events_freep) struct events *e = events_new();
    CLEANUP(free_voidp) char *text = xcalloc((1 << 20) + 1, 1);

    memset(text, 'x', 1 << 20);
    for (int i = 0; i < 40; i++)
        (void)events_add(e, EVENT_AUDIT, NULL, json_pack("{s:s}", "x", text));
    assert_true(events_last(e) - events_first(e) + 1 <= EVENTS_MAX_BYTES >> 20);
    assert_true(events_last(e) - events_first(e) + 1 >= (EVENTS_MAX_BYTES >> 20) - 1);
}

static void unknown_topics_are_left_out(void **state)
{
    (void)state;
    unsigned topics = 0;

    assert_int_equal(event_topics_parse("", &topics), -EINVAL);
    assert_int_equal(event_topics_parse("audi", &topics), -EINVAL);
    assert_int_equal(event_topics_parse("weather,edges", &topics), -EINVAL);
    assert_int_equal(event_topics_parse("audit,edges,trust", &topics), 0);
    assert_int_equal(topics, (1u << EVENT_AUDIT) | (1u << EVENT_TRUST));
    assert_int_equal(
        event_topics_parse("flows,alerts,enforcers,policy,audit,trust,operations", &topics), 0);
    assert_int_equal(topics, (1u << EVENT_TOPICS) - 1);
}

static void count(const struct event *event, void *user)
{
    (void)event;
    ++*(int *)user;
}

static void listeners_hear_every_event_once(void **state)
{
    (void)state;
    CLEANUP(events_freep) struct events *e = events_new();
    int n = 0;

    (void)events_add(e, EVENT_AUDIT, NULL, json_object());
    events_listen(e, count, &n);
    (void)events_add(e, EVENT_TRUST, "a", json_object());
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_their_topics_in_order),
        cmocka_unit_test(what_is_somebodys_own_says_whose_it_is),
        cmocka_unit_test(the_oldest_go_and_the_reader_can_tell),
        cmocka_unit_test(large_events_do_not_make_it_grow_without_end),
        cmocka_unit_test(unknown_topics_are_left_out),
        cmocka_unit_test(listeners_hear_every_event_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
