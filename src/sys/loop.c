/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/loop.h"

#include <event2/event.h>
#include <signal.h>
#include <time.h>

enum { MAX_SIGNALS = 8 };

struct on_signal {
    struct event *event;
    void (*fire)(int signal, void *user);
    void *user;
};

struct loop {
    struct event_base *base;
    struct on_signal signals[MAX_SIGNALS];
    size_t n_signals;
};

struct timer {
    struct event *event;
    void (*fire)(void *user);
    void *user;
};

struct watch {
    struct event *event;
    void (*ready)(int fd, void *user);
    void *user;
};

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));

    (void)signal(SIGPIPE, SIG_IGN); /* Fails for no valid signal number. */
    l->base = event_base_new();
    if (!l->base)
        abort(); /* No epoll and no poll: nothing can run here. */
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_signals; i++)
        event_free(l->signals[i].event);
    event_base_free(l->base);
    free(l);
}

void loop_run(struct loop *l)
{
    (void)event_base_dispatch(l->base); /* 1: nothing left to wait for, which is an end too. */
}

void loop_stop(struct loop *l)
{
    (void)event_base_loopbreak(l->base);
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

uint64_t loop_now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail for this clock. */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void timer_fired(evutil_socket_t fd, short what, void *timer)
{
    struct timer *t = timer;

    (void)fd;
    (void)what;
    t->fire(t->user);
}

static struct event *event_or_abort(struct event *e)
{
    if (!e)
        abort(); /* Out of memory. */
    return e;
}

struct timer *timer_new(struct loop *l, void (*fire)(void *user), void *user)
{
    struct timer *t = xcalloc(1, sizeof(*t));

    t->fire = fire;
    t->user = user;
    t->event = event_or_abort(event_new(l->base, -1, 0, timer_fired, t));
    return t;
}

void timer_free(struct timer *t)
{
    if (!t)
        return;
    event_free(t->event);
    free(t);
}

void timer_start(struct timer *t, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    if (event_add(t->event, &tv) < 0)
        abort(); /* Out of memory. */
}

void timer_stop(struct timer *t)
{
    (void)event_del(t->event);
}

bool timer_is_running(const struct timer *t)
{
    return event_pending(t->event, EV_TIMEOUT, NULL) != 0;
}

static void signal_fired(evutil_socket_t signal, short what, void *on)
{
    struct on_signal *s = on;

    (void)what;
    s->fire((int)signal, s->user);
}

void loop_on_signal(struct loop *l, int signal, void (*fire)(int signal, void *user), void *user)
{
    struct on_signal *s;

    if (l->n_signals == MAX_SIGNALS)
        abort(); /* Our own bug. */
    s = &l->signals[l->n_signals++];
    s->fire = fire;
    s->user = user;
    s->event = event_or_abort(evsignal_new(l->base, signal, signal_fired, s));
    (void)event_add(s->event, NULL);
}

static void watch_ready(evutil_socket_t fd, short what, void *watch)
{
    struct watch *w = watch;

    (void)what;
    w->ready((int)fd, w->user);
}

struct watch *watch_new(struct loop *l, int fd, void (*ready)(int fd, void *user), void *user)
{
    struct watch *w = xcalloc(1, sizeof(*w));

    w->ready = ready;
    w->user = user;
    w->event = event_or_abort(event_new(l->base, fd, EV_READ | EV_PERSIST, watch_ready, w));
    (void)event_add(w->event, NULL);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    event_free(w->event);
    free(w);
}
