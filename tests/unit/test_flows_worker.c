/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/flows/worker.h promises: tasks one after the other in the thread, their ends on
 * the loop, and none forgotten. */
#include "controller/flows/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/test.h"

struct sum {
    struct worker_task task;
    struct loop *loop;
    pthread_t home;
    unsigned number, *n_done, last;
    _Atomic bool cancel, *hold;
    sem_t *begun;
    uint64_t steps;
    unsigned n_runs;
    bool elsewhere;
    pid_t tid;
};

static void run(struct worker_task *t)
{
    struct sum *s = (struct sum *)t;

    s->elsewhere = !pthread_equal(pthread_self(), s->home);
    s->tid = gettid();
    s->n_runs++;
    if (s->begun)
        (void)sem_post(s->begun);
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

/* Tasks whose ends come in the order of their numbers, each held by its own 'hold'. */
struct aside {
    struct loop *loop;
    struct worker *w, *to;
    _Atomic bool hold[WORKER_ASIDE_MAX + 2];
    struct sum sums[WORKER_ASIDE_MAX + 2];
    sem_t begun;
    unsigned n_done;
};

static void open_aside(struct aside *a)
{
    *a = (struct aside){.loop = loop_new()};
    a->w = worker_new(a->loop);
    a->to = worker_new(a->loop);
    assert_int_equal(sem_init(&a->begun, 0, 0), 0);
}

static void start_held(struct aside *a, size_t i, unsigned number)
{
    a->hold[i] = true;
    a->sums[i] = (struct sum){.task = {.run = run, .done = done},
                              .loop = a->loop,
                              .home = pthread_self(),
                              .number = number,
                              .n_done = &a->n_done,
                              .last = number + 1,
                              .hold = &a->hold[i],
                              .begun = &a->begun};
    assert_int_equal(worker_start(a->w, &a->sums[i].task), 0);
}

static void wait_until_begun(struct aside *a)
{
    assert_int_equal(sem_wait(&a->begun), 0);
}

static void close_aside(struct aside *a)
{
    for (size_t i = 0; i < ARRAY_SIZE(a->hold); i++)
        a->hold[i] = false;
    worker_free(a->w);
    worker_free(a->to);
    loop_free(a->loop);
    (void)sem_destroy(&a->begun);
}

static void one_that_steps_aside_goes_on_and_the_others_do_not_wait_for_it(void **state)
{
    struct aside a;

    (void)state;
    open_aside(&a);
    start_held(&a, 0, 1);
    wait_until_begun(&a);
    start_held(&a, 1, 0);
    assert_int_equal(worker_step_aside(a.w, &a.sums[0].task, a.to), 0);
    wait_until_begun(&a);
    assert_true(getpriority(PRIO_PROCESS, (id_t)a.sums[0].tid) >= 10);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)a.sums[1].tid), getpriority(PRIO_PROCESS, 0));
    a.hold[1] = false;
    loop_run(a.loop);
    assert_int_equal(a.sums[0].steps, 0); /* It is still at it. */
    a.hold[0] = false;
    loop_run(a.loop);
    assert_int_equal(a.sums[0].n_runs, 1);
    assert_int_equal(a.sums[0].steps, 1000);
    assert_int_equal(worker_step_aside(a.w, &a.sums[0].task, a.to), 0); /* It has ended. */
    close_aside(&a);
}

static void one_that_waits_steps_aside_into_the_queue_of_its_like(void **state)
{
    struct aside a;

    (void)state;
    open_aside(&a);
    start_held(&a, 0, 2);
    wait_until_begun(&a);
    start_held(&a, 1, 0); /* The last of the queue, */
    assert_int_equal(worker_step_aside(a.w, &a.sums[1].task, a.to), 0);
    wait_until_begun(&a);
    start_held(&a, 2, 3); /* which is a queue as before. */
    start_held(&a, 3, 1);
    start_held(&a, 4, 4);
    assert_int_equal(worker_step_aside(a.w, &a.sums[3].task, a.to), 0);
    a.hold[1] = a.hold[3] = false;
    wait_until_begun(&a);
    while (a.n_done < 2)
        loop_run(a.loop);
    a.hold[0] = a.hold[2] = a.hold[4] = false;
    while (a.n_done < 5)
        loop_run(a.loop);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(a.sums[i].n_runs, 1);
    close_aside(&a);
}

static void so_many_are_aside_and_no_more_until_one_ends(void **state)
{
    struct aside a;
    size_t last = WORKER_ASIDE_MAX;

    (void)state;
    open_aside(&a);
    for (size_t i = 0; i <= last; i++) {
        start_held(&a, i, (unsigned)i);
        wait_until_begun(&a);
        assert_int_equal(worker_step_aside(a.w, &a.sums[i].task, a.to), i < last ? 0 : -EBUSY);
    }
    a.hold[0] = false;
    while (a.n_done < 1)
        loop_run(a.loop);
    assert_int_equal(worker_step_aside(a.w, &a.sums[last].task, a.to), 0);
    for (size_t i = 1; i <= last; i++) { /* Ends come in order. */
        a.hold[i] = false;
        while (a.n_done < i + 1)
            loop_run(a.loop);
    }
    close_aside(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_elsewhere_in_order_and_end_on_the_loop),
        cmocka_unit_test(too_many_are_refused_and_the_end_waits_for_the_rest),
        cmocka_unit_test(a_task_under_way_can_be_told_to_end),
        cmocka_unit_test(one_that_steps_aside_goes_on_and_the_others_do_not_wait_for_it),
        cmocka_unit_test(one_that_waits_steps_aside_into_the_queue_of_its_like),
        cmocka_unit_test(so_many_are_aside_and_no_more_until_one_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
