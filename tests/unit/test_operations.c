/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/main/operations.h promises: how far they are, and that ending one ends its work.
 * Children are real ones. */
#include "controller/main/operations.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "controller/json.h"
#include "unit/test.h"

static const struct who mika = {.role = ROLE_VIEWER, .actor = "account mika"};
static const struct who rie = {.role = ROLE_EDITOR, .actor = "account rie"};

/* What the history would be doing. */
struct search {
    uint64_t done, total;
    bool is_found, is_ended;
};

static void end_search(void *data)
{
    ((struct search *)data)->is_ended = true;
}

static void look_at_search(const void *data, struct progress *ret_p)
{
    const struct search *s = data;

    ret_p->done = s->done;
    ret_p->total = s->total;
}

/* In the child: four steps of ten, and no more. */
static void answer(void *user, bool is_child, struct http_request *q, struct http_response *a)
{
    const struct search *s = q->job->data;

    (void)user;
    assert_true(q->is_operation);
    if (is_child) {
        progress_expect(q->progress, 10);
        progress_step(q->progress, 4);
        for (;;)
            (void)pause();
    }
    assert_int_equal(q->who->session[0], 0);
    if (s->is_found)
        http_ok(a, json_pack("{s:s,s:s}", "path", q->path, "query", q->query));
    else
        a->status = 0;
}

/* What was told of one of mika's: the last is 'what', and progress came 'n_progress' times. */
struct told {
    char id[OPERATION_ID_SIZE], what[16], state[16];
    unsigned n, n_progress;
    uint64_t progress_ms;
    json_int_t done;
};

static struct told heard[OPERATIONS_EACH + 1];

static void hear(void *user, const char *owner, json_t *event)
{
    struct told *t = heard;
    uint64_t now_ms = loop_now_ms();

    (void)user;
    assert_int_equal(operations_are_his(&rie, owner),
                     strcmp(json_text(event, "actor"), rie.actor) == 0);
    while (t->id[0] && strcmp(t->id, json_text(event, "id")) != 0)
        t++;
    assert_true(t < heard + ARRAY_SIZE(heard));
    (void)snprintf(t->id, sizeof(t->id), "%s", json_text(event, "id"));
    (void)snprintf(t->what, sizeof(t->what), "%s", json_text(event, "what"));
    (void)snprintf(t->state, sizeof(t->state), "%s", json_text(event, "state"));
    t->done = json_integer_value(json_object_get(event, "done"));
    if (strcmp(t->what, "created") == 0 || strcmp(t->what, "progress") == 0) {
        assert_true(t->n == 0 || now_ms - t->progress_ms >= OPERATION_TELL_MS);
        t->progress_ms = now_ms;
        t->n_progress += t->what[0] == 'p';
    }
    assert_null(json_object_get(event, "result"));
    t->n++;
    json_decref(event);
}

struct fixture {
    struct loop *loop;
    struct operations *o;
};

static void open_all(struct fixture *f)
{
    memset(heard, 0, sizeof(heard));
    f->loop = loop_new();
    f->o = operations_new(f->loop, answer, hear, NULL);
}

static void close_all(struct fixture *f)
{
    operations_free(f->o);
    loop_free(f->loop);
}

static void adopt(struct fixture *f, struct search *s, const struct who *who,
                  char id[OPERATION_ID_SIZE])
{
    const struct http_job job = {.data = s, .free = end_search, .look = look_at_search};

    assert_int_equal(operations_adopt(f->o, who, HTTP_METHOD_GET, "/flows?port=443", &job, id), 0);
}

static void stop(void *loop)
{
    loop_stop(loop);
}

/* One round of whatever waits. */
static void turn(struct fixture *f)
{
    CLEANUP(timer_freep) struct timer *t = timer_new(f->loop, stop, f->loop);

    timer_start(t, 1);
    loop_run(f->loop);
}

static void assert_is(struct fixture *f, const char *id, const char *state, json_int_t done,
                      json_int_t percent)
{
    CLEANUP(json_decrefp) json_t *j = operations_get(f->o, &mika, id);

    assert_string_equal(json_text(j, "state"), state);
    assert_int_equal(json_integer_value(json_object_get(j, "done")), done);
    if (percent >= 0)
        assert_int_equal(json_integer_value(json_object_get(j, "percent")), percent);
    else
        assert_null(json_object_get(j, "percent"));
}

static void a_search_tells_how_far_it_is_and_never_goes_back(void **state)
{
    struct search s = {.done = 7};
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    adopt(&f, &s, &mika, id);
    assert_is(&f, id, "running", 7, -1); /* Of how many, nobody knows. */
    s.total = 20;
    assert_is(&f, id, "running", 7, 35);
    s.total = 70; /* More turned up. */
    assert_is(&f, id, "running", 7, 35);
    s.done = 70;
    turn(&f);
    assert_is(&f, id, "running", 70, 99); /* Found is not yet told. */
    s.is_found = true;
    operations_wake(f.o);
    turn(&f);
    assert_is(&f, id, "done", 70, 100);
    assert_true(s.is_ended);
    close_all(&f);
}

static void what_was_found_is_the_answer_of_the_route_to_that_query(void **state)
{
    struct who here = mika;
    struct search s = {.is_found = true};
    json_t *j, *result;
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    memcpy(here.session, "5e55", 5);
    open_all(&f);
    adopt(&f, &s, &here, id);
    turn(&f);
    j = operations_get(f.o, &mika, id);
    result = json_object_get(j, "result");
    assert_int_equal(json_integer_value(json_object_get(result, "status")), 200);
    assert_string_equal(json_text(json_object_get(result, "body"), "path"), "/flows");
    assert_string_equal(json_text(json_object_get(result, "body"), "query"), "port=443");
    json_decref(j);
    close_all(&f);
}

static void cancelling_ends_the_search_and_only_whose_it_is_may(void **state)
{
    struct search s = {.total = 10};
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    adopt(&f, &s, &mika, id);
    assert_int_equal(operations_cancel(f.o, &rie, id), -ENOENT);
    assert_false(s.is_ended);
    assert_int_equal(operations_cancel(f.o, &mika, id), 0);
    assert_true(s.is_ended);
    assert_is(&f, id, "cancelled", 0, 0);
    assert_int_equal(operations_cancel(f.o, &mika, id), -EALREADY);
    close_all(&f);
}

static void whoever_is_not_what_he_was_when_he_asked_has_them_no_more(void **state)
{
    const struct who tokyo = {
        .role = ROLE_VIEWER, .actor = "account mika", .scope = {"site", "tokyo"}};
    struct who others[] = {tokyo, tokyo, tokyo, tokyo, mika, rie}, admin = {.role = ROLE_ADMIN};
    struct search s = {.total = 10};
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    others[0].role = ROLE_OPERATOR;
    (void)snprintf(others[1].scope.value, sizeof(others[1].scope.value), "osaka");
    (void)snprintf(others[2].scope.label, sizeof(others[2].scope.label), "tier");
    (void)snprintf(others[3].token, sizeof(others[3].token), "another");
    open_all(&f);
    adopt(&f, &s, &tokyo, id);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        CLEANUP(json_decrefp) json_t *list = operations_list(f.o, &others[i]);

        assert_int_equal(json_array_size(list), 0);
        assert_null(operations_get(f.o, &others[i], id));
        assert_int_equal(operations_cancel(f.o, &others[i], id), -ENOENT);
    }
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(json_decrefp) json_t *j = operations_get(f.o, i ? &admin : &tokyo, id);

        assert_non_null(j);
    }
    assert_int_equal(operations_cancel(f.o, &tokyo, id), 0);
    close_all(&f);
}

static void the_end_of_the_daemon_ends_the_searches(void **state)
{
    struct search s[2] = {{.total = 10}};
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    for (size_t i = 0; i < ARRAY_SIZE(s); i++)
        adopt(&f, &s[i], &mika, id);
    close_all(&f);
    assert_true(s[0].is_ended && s[1].is_ended);
}

static void one_asker_has_so_many_of_both_kinds_and_no_more(void **state)
{
    const struct http_job job = {.data = NULL};
    struct search s[OPERATIONS_EACH] = {{.total = 1}};
    char id[OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    for (size_t i = 1; i < ARRAY_SIZE(s); i++)
        adopt(&f, &s[i], &mika, id);
    assert_int_equal(operations_add(f.o, &mika, "/radius", id), 0);
    assert_int_equal(operations_add(f.o, &mika, "/radius", id), -EBUSY);
    assert_int_equal(operations_adopt(f.o, &mika, HTTP_METHOD_GET, "/flows", &job, id), -EBUSY);
    adopt(&f, &s[0], &rie, id);
    close_all(&f);
}

static void a_child_counts_where_the_daemon_sees_it(void **state)
{
    char id[OPERATION_ID_SIZE];
    struct fixture f;
    json_int_t done = 0;

    (void)state;
    open_all(&f);
    assert_int_equal(operations_add(f.o, &mika, "/radius", id), 0);
    while (done < 4) { /* meson has a time for all. */
        CLEANUP(json_decrefp) json_t *j = operations_get(f.o, &mika, id);

        done = json_integer_value(json_object_get(j, "done"));
        turn(&f);
    }
    assert_is(&f, id, "running", 4, 40);
    assert_int_equal(operations_cancel(f.o, &mika, id), 0);
    assert_is(&f, id, "cancelled", 4, 40);
    close_all(&f);
}

static void who_listens_hears_of_news_once_a_second_and_of_the_end(void **state)
{
    struct search moves = {.total = 1 << 30}, rests = {.total = 10};
    char id[2][OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    adopt(&f, &moves, &mika, id[0]);
    adopt(&f, &rests, &mika, id[1]);
    assert_string_equal(heard[0].what, "created");
    while (heard[0].n_progress < 2) { /* hear() looks at the time between them. */
        moves.done++;
        turn(&f);
    }
    assert_string_equal(heard[0].state, "running");
    assert_true(heard[0].done > 0);
    moves.is_found = true;
    operations_wake(f.o);
    turn(&f);
    assert_string_equal(heard[0].what, "done");
    assert_int_equal(heard[0].done, moves.done);
    assert_int_equal(heard[1].n, 1); /* There was nothing new. */
    assert_int_equal(operations_cancel(f.o, &mika, id[1]), 0);
    assert_string_equal(heard[1].what, "cancelled");
    close_all(&f);
}

static void that_one_which_waited_runs_is_news(void **state)
{
    char id[OPERATIONS_RUNNING + 1][OPERATION_ID_SIZE];
    struct fixture f;

    (void)state;
    open_all(&f);
    for (size_t i = 0; i < ARRAY_SIZE(id); i++)
        assert_int_equal(operations_add(f.o, &mika, "/radius", id[i]), 0);
    while (!heard[0].n_progress || !heard[1].n_progress)
        turn(&f);
    assert_string_equal(heard[0].state, "running");
    assert_string_equal(heard[OPERATIONS_RUNNING].state, "waiting");
    assert_int_equal(operations_cancel(f.o, &mika, id[0]), 0);
    while (!heard[OPERATIONS_RUNNING].n_progress)
        turn(&f);
    assert_string_equal(heard[OPERATIONS_RUNNING].state, "running");
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_tells_how_far_it_is_and_never_goes_back),
        cmocka_unit_test(what_was_found_is_the_answer_of_the_route_to_that_query),
        cmocka_unit_test(cancelling_ends_the_search_and_only_whose_it_is_may),
        cmocka_unit_test(whoever_is_not_what_he_was_when_he_asked_has_them_no_more),
        cmocka_unit_test(the_end_of_the_daemon_ends_the_searches),
        cmocka_unit_test(one_asker_has_so_many_of_both_kinds_and_no_more),
        cmocka_unit_test(a_child_counts_where_the_daemon_sees_it),
        cmocka_unit_test(who_listens_hears_of_news_once_a_second_and_of_the_end),
        cmocka_unit_test(that_one_which_waited_runs_is_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
