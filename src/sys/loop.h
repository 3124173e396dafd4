/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the one event loop of a process, its timers and signals
 *
 * A thin cover over libevent: a process has one loop and one thread; callbacks never block and do
 * bounded work.  Making a loop ignores SIGPIPE, since a peer that closes in the middle of a write
 * must not end the daemon.  Time is monotonic milliseconds.
 *
 * Whatever was made on a loop is freed before it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct event_base;
struct loop;
struct timer;
struct watch;

struct loop *loop_new(void);
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free)

/* Until loop_stop(), or until nothing is left to wait for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* For bufferevents, listeners and evhttp.  Borrowed. */
struct event_base *loop_base(struct loop *l);

uint64_t loop_now_ms(void);

/* A timer at rest; timer_start() (again) makes it fire once after 'ms'. */
struct timer *timer_new(struct loop *l, void (*fire)(void *user), void *user);
void timer_free(struct timer *t);
DEFINE_CLEANUP(struct timer, timer_free)
void timer_start(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);
bool timer_is_running(const struct timer *t);

/* Calls 'fire' for each of these signals until loop_free(). */
void loop_on_signal(struct loop *l, int signal, void (*fire)(int signal, void *user), void *user);

/* Calls 'ready' whenever 'fd' can be read; the caller keeps the descriptor and closes it after
 * watch_free(). */
struct watch *watch_new(struct loop *l, int fd, void (*ready)(int fd, void *user), void *user);
void watch_free(struct watch *w);
DEFINE_CLEANUP(struct watch, watch_free)
