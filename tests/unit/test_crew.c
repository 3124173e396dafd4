/* SPDX-License-Identifier: Apache-2.0 */
/* What sys/crew.h promises; built a second time under ThreadSanitizer. */
#include "unit/test.h"

#include <errno.h>

#include "sys/crew.h"

enum { N_JOBS = 200 };

struct sum {
    struct crew_job job;
    unsigned from, to;
    unsigned long result;
    bool is_done, has_run;
};

static struct loop *loop;
static size_t n_done;

static void add_up(struct crew_job *job)
{
    struct sum *s = (struct sum *)job;

    for (unsigned i = s->from; i <= s->to; i++)
        s->result += i;
}

static void count(struct crew_job *job, bool has_run)
{
    struct sum *s = (struct sum *)job;

    s->is_done = true;
    s->has_run = has_run;
    if (++n_done == N_JOBS)
        loop_stop(loop);
}

static void jobs_come_back_to_the_loop_with_their_results(void **state)
{
    static struct sum sums[N_JOBS];
    struct crew *w = crew_new(loop, 4, N_JOBS);

    (void)state;
    n_done = 0;
    for (unsigned i = 0; i < N_JOBS; i++) {
        sums[i] = (struct sum){.job = {.run = add_up, .done = count}, .from = i, .to = i + 1000};
        assert_int_equal(crew_submit(w, &sums[i].job), 0);
    }
    loop_run(loop);
    for (unsigned i = 0; i < N_JOBS; i++) {
        assert_true(sums[i].is_done && sums[i].has_run);
        assert_int_equal(sums[i].result, 1001ul * i + 1000ul * 1001 / 2);
    }
    crew_free(w);
}

static void more_than_may_wait_are_refused_and_what_waits_comes_back_in_the_end(void **state)
{
    static struct sum sums[16];
    struct crew *w = crew_new(loop, 0, 15); /* Nobody works. */

    (void)state;
    n_done = 0;
    for (unsigned i = 0; i < 16; i++) {
        sums[i] = (struct sum){.job = {.run = add_up, .done = count}};
        assert_int_equal(crew_submit(w, &sums[i].job), i < 15 ? 0 : -EBUSY);
    }
    crew_free(w);
    assert_int_equal(n_done, 15);
    assert_true(sums[0].is_done && !sums[0].has_run && !sums[15].is_done);
}

static void ending_waits_for_jobs_under_way(void **state)
{
    static struct sum sums[8];
    struct crew *w = crew_new(loop, 4, 8);

    (void)state;
    n_done = 0;
    for (unsigned i = 0; i < 8; i++) {
        sums[i] = (struct sum){.job = {.run = add_up, .done = count}, .from = 0, .to = 1000000};
        assert_int_equal(crew_submit(w, &sums[i].job), 0);
    }
    crew_free(w);
    for (unsigned i = 0; i < 8; i++)
        assert_true(sums[i].is_done && (!sums[i].has_run || sums[i].result == 500000500000ul));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_back_to_the_loop_with_their_results),
        cmocka_unit_test(more_than_may_wait_are_refused_and_what_waits_comes_back_in_the_end),
        cmocka_unit_test(ending_waits_for_jobs_under_way),
    };

    loop = loop_new();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
