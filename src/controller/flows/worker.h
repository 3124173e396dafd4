/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - one thread for what would keep the loop waiting
 *
 * A question about the history may read hundreds of megabytes.  It is answered by this thread, from
 * a snapshot, while the loop goes on: agents, alerts and other questions do not wait for it.
 *
 * Tasks are done one after the other.  A task belongs to the loop until worker_start(), to the
 * thread until 'done' is called on the loop, and to the loop again; nothing else is shared but
 * 'cancel', which the loop may set at any time, and which 'run' looks at.
 *
 * One that turns out to take long steps aside (worker_step_aside()) and loses nothing of what it
 * has done: the thread that runs it goes on with it alone, at low priority, and another takes over
 * the others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "sys/loop.h"

enum {
    WORKER_MAX = 64,      /* Tasks that wait. */
    WORKER_ASIDE_MAX = 8, /* Tasks aside. */
};

struct worker_task {
    void (*run)(struct worker_task *t);  /* In the thread. */
    void (*done)(struct worker_task *t); /* On the loop. */
    struct worker_task *next;
};

struct worker;

struct worker *worker_new(struct loop *l);

/* Waits for the tasks under way, and calls 'done' of all. */
void worker_free(struct worker *w);
DEFINE_CLEANUP(struct worker, worker_free)

/* -EBUSY: too many wait. */
int worker_start(struct worker *w, struct worker_task *t);

/* The others wait no more for this task of w's: it goes on aside, or, when it has not begun, waits
 * among those of 'to'.  Nothing happens to one that has ended.  -EBUSY: too many are aside, or wait
 * there; all is as it was. */
int worker_step_aside(struct worker *w, struct worker_task *t, struct worker *to);
