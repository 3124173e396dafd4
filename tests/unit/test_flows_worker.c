/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/flows/worker.h promises: tasks one after the other in the thread, their ends on
 * the loop, and none forgotten. */
#include "controller/flows/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "unit/test.h"

struct sum {
    struct worker_task task;
    struct loop *loop;
    pthread_t home;
    unsigned number, *n_done, last;
    _Atomic bool cancel, *hold;
    uint64_t steps;
    bool elsewhere;
};

static void run(struct worker_task *t)
{
    struct sum *s = (struct sum *)t;

    s->elsewhere = !pthread_equal(pthread_self(), s->home);
    while (s->hold && *s->hold && !s->cancel)
        continue;
    for (s->steps = 0; s->steps < 1000 && !s->cancel; s->steps++)
        continue;
}

static void done(struct worker_task *t)
{
    struct sum *s = (struct sum *)t;

    assert_true(pthread_equal(pthread_self(), s->home));
    assert_int_equal(s->number, *s->n_done); /* In order. */
    if (++*s->n_done == s->last)
        loop_stop(s->loop);
}

static void tasks_run_elsewhere_in_order_and_end_on_the_loop(void **state)
{
    (void)state;
    enum { N = 60 };
    CLEANUP(loop_freep) struct loop *l = loop_new();
    struct worker *w = worker_new(l);
    struct sum sums[N];
    unsigned n_done = 0;

    for (int round = 0; round < 50; round++) {
        n_done = 0;
        for (unsigned i = 0; i < N; i++) {
            sums[i] = (struct sum){.task = {.run = run, .done = done},
                                   .loop = l,
                                   .home = pthread_self(),
                                   .number = i,
                                   .n_done = &n_done,
                                   .last = N};
            assert_int_equal(worker_start(w, &sums[i].task), 0);
        }
        loop_run(l);
        assert_int_equal(n_done, N);
        for (unsigned i = 0; i < N; i++)
            assert_true(sums[i].elsewhere && sums[i].steps == 1000);
    }
    worker_free(w);
}

static void too_many_are_refused_and_the_end_waits_for_the_rest(void **state)
{
    (void)state;
    enum { N = WORKER_MAX + 8 };
    CLEANUP(loop_freep) struct loop *l = loop_new();
    struct worker *w = worker_new(l);
    CLEANUP(free_voidp) struct sum *sums = xcalloc(N, sizeof *sums);
    _Atomic bool hold = true;
    unsigned n_done = 0, n_taken = 0;

    for (unsigned i = 0; i < N; i++) {
        sums[i].task = (struct worker_task){.run = run, .done = done};
        sums[i].loop = l;
        sums[i].home = pthread_self();
        sums[i].number = i;
        sums[i].n_done = &n_done;
        sums[i].hold = &hold;
        if (worker_start(w, &sums[i].task) < 0)
            break;
        n_taken++;
    }
    assert_in_range(n_taken, WORKER_MAX, WORKER_MAX + 1); /* One may be under way. */
    hold = false;
    worker_free(w);
    assert_int_equal(n_done, n_taken);
}

static void a_task_under_way_can_be_told_to_end(void **state)
{
    (void)state;
    CLEANUP(loop_freep) struct loop *l = loop_new();
    struct worker *w = worker_new(l);
    _Atomic bool hold = true;
    unsigned n_done = 0;
    struct sum s = {.task = {.run = run, .done = done},
                    .loop = l,
                    .home = pthread_self(),
                    .n_done = &n_done,
                    .last = 1,
                    .hold = &hold};

    assert_int_equal(worker_start(w, &s.task), 0);
    s.cancel = true;
    loop_run(l);
    assert_int_equal(n_done, 1);
    assert_int_equal(s.steps, 0);
    worker_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_elsewhere_in_order_and_end_on_the_loop),
        cmocka_unit_test(too_many_are_refused_and_the_end_waits_for_the_rest),
        cmocka_unit_test(a_task_under_way_can_be_told_to_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
