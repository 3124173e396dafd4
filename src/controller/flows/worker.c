/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists under a lock, a descriptor that wakes the loop, and threads; see worker.h. */
#include "controller/flows/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sys/file.h"

enum { NICE = 10 }; /* Of those aside, as of the children of operations. */

struct list {
    struct worker_task *first, **end;
    size_t n;
};

struct hand { /* A thread. */
    struct worker *worker;
    pthread_t thread;
    pid_t tid;
    struct worker_task *task; /* Under way; NULL: none. */
    bool is_aside;            /* This one is its last. */
    bool has_ended;
    struct hand *next;
};

struct worker {
    struct hand *hand;  /* Who takes from 'waiting'. */
    struct hand *aside; /* Not joined yet. */
    size_t n_aside;
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct list waiting, ready;
    bool ends;
    int ready_fd;
    struct watch *watch;
};

static void put(struct list *l, struct worker_task *t)
{
    t->next = NULL;
    *(l->first ? l->end : &l->first) = t;
    l->end = &t->next;
    l->n++;
}

static struct worker_task *take(struct list *l)
{
    struct worker_task *t = l->first;

    if (t) {
        l->first = t->next;
        l->n--;
    }
    return t;
}

static void *work(void *hand)
{
    struct hand *h = hand;
    struct worker *w = h->worker;

    (void)pthread_mutex_lock(&w->lock);
    h->tid = gettid();
    while (!h->is_aside) {
        h->task = take(&w->waiting);
        if (!h->task && w->ends)
            break;
        if (!h->task) {
            (void)pthread_cond_wait(&w->news, &w->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&w->lock);
        h->task->run(h->task);
        (void)pthread_mutex_lock(&w->lock);
        put(&w->ready, h->task);
        h->task = NULL;
        (void)eventfd_write(w->ready_fd, 1); /* Only a full counter fails, which wakes as well. */
    }
    h->has_ended = true;
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Those aside that have ended; or all, for whose end it waits. */
static void join_ended(struct worker *w, bool all)
{
    struct hand **at = &w->aside;

    while (*at) {
        struct hand *h = *at;
        bool has_ended;

        (void)pthread_mutex_lock(&w->lock);
        has_ended = h->has_ended;
        (void)pthread_mutex_unlock(&w->lock);
        if (!has_ended && !all) {
            at = &h->next;
            continue;
        }
        (void)pthread_join(h->thread, NULL);
        *at = h->next;
        w->n_aside--;
        free(h);
    }
}

static void finish_all(struct worker *w)
{
    struct worker_task *t;

    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        t = take(&w->ready);
        (void)pthread_mutex_unlock(&w->lock);
        if (!t)
            return;
        t->done(t);
    }
}

static void some_are_ready(int fd, void *worker)
{
    eventfd_t n;

    (void)eventfd_read(fd, &n);
    finish_all(worker);
    join_ended(worker, false);
}

/* Signals are the loop's.  NULL: there are no more threads. */
static struct hand *new_hand(struct worker *w)
{
    struct hand *h = xcalloc(1, sizeof(*h));
    sigset_t all, before;
    int r;

    h->worker = w;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&h->thread, NULL, work, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return h;
    free(h);
    return NULL;
}

struct worker *worker_new(struct loop *l)
{
    struct worker *w = xcalloc(1, sizeof(*w));

    w->ready_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->ready_fd < 0 || pthread_mutex_init(&w->lock, NULL) || pthread_cond_init(&w->news, NULL))
        abort(); /* Out of memory or descriptors at the start. */
    w->watch = watch_new(l, w->ready_fd, some_are_ready, w);
    w->hand = new_hand(w);
    if (!w->hand)
        abort();
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->ends = true;
    (void)pthread_cond_signal(&w->news);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->hand->thread, NULL);
    join_ended(w, true);
    finish_all(w);
    watch_free(w->watch);
    fd_closep(&w->ready_fd);
    (void)pthread_cond_destroy(&w->news);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->hand);
    free(w);
}

int worker_start(struct worker *w, struct worker_task *t)
{
    int r = 0;

    (void)pthread_mutex_lock(&w->lock);
    if (w->waiting.n >= WORKER_MAX)
        r = -EBUSY;
    else
        put(&w->waiting, t);
    (void)pthread_cond_signal(&w->news);
    (void)pthread_mutex_unlock(&w->lock);
    return r;
}

static bool take_out(struct list *l, const struct worker_task *t)
{
    struct worker_task **at = &l->first;

    while (*at && *at != t)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = t->next;
    l->n--;
    if (!t->next)
        l->end = at;
    return true;
}

/* Whose task it is goes on with it, and another takes from those that wait. */
static int go_aside(struct worker *w)
{
    struct hand *h = w->hand, *next = w->n_aside < WORKER_ASIDE_MAX ? new_hand(w) : NULL;

    if (!next)
        return -EBUSY;
    h->is_aside = true;
    h->next = w->aside;
    w->aside = h;
    w->n_aside++;
    w->hand = next;
    (void)setpriority(PRIO_PROCESS, (id_t)h->tid, NICE); /* Without: slower for others. */
    return 0;
}

int worker_step_aside(struct worker *w, struct worker_task *t, struct worker *to)
{
    int r = 0;
    bool waits;

    (void)pthread_mutex_lock(&w->lock);
    waits = take_out(&w->waiting, t);
    if (!waits && w->hand->task == t)
        r = go_aside(w);
    (void)pthread_mutex_unlock(&w->lock);
    if (!waits)
        return r;
    r = worker_start(to, t);
    if (r < 0) { /* Behind the others, but there. */
        (void)pthread_mutex_lock(&w->lock);
        put(&w->waiting, t);
        (void)pthread_cond_signal(&w->news);
        (void)pthread_mutex_unlock(&w->lock);
    }
    return r;
}
