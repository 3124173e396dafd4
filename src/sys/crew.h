/* SPDX-License-Identifier: Apache-2.0 */
/* crew.h - threads for what would hold the loop up: password hashing, slow peers
 *
 * A password hash is slow by design (a tenth of a second and 64 MiB); on the loop, one login a
 * moment would stop every agent.  A job goes to one of a few threads through a queue and comes back
 * to the loop through another; an eventfd tells the loop.  A job's own memory is all that a thread
 * may touch, and while it is away nobody else touches it: nothing is shared but the two queues,
 * under one mutex.  The number of threads bounds the memory and processors that jobs take, the
 * queue's limit how many wait; test_crew runs under ThreadSanitizer.
 *
 * Rules of use: crew_submit() and crew_free() on the loop's thread. */
#pragma once

#include <stdbool.h>

#include "base/base.h"
#include "sys/loop.h"

struct crew;

struct crew_job {                      /* First member of the caller's own structure. */
    void (*run)(struct crew_job *job); /* In a thread. */
    void (*done)(struct crew_job *job, bool has_run); /* On the loop; the job is his again. */
    struct crew_job *next;                            /* The crew's. */
};

enum { CREW_MAX_THREADS = 8 };

/* Threads begin with all signals blocked, so that the loop gets them. */
struct crew *crew_new(struct loop *l, size_t n_threads, size_t max_waiting);

/* Waits for jobs under way; those that wait come back without having run. */
void crew_free(struct crew *w);
DEFINE_CLEANUP(struct crew, crew_free)

/* -EBUSY: as many as allowed are waiting. */
int crew_submit(struct crew *w, struct crew_job *job);
