/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists under a lock, and a descriptor that wakes the loop; see worker.h. */
#include "controller/flows/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "sys/file.h"

struct list {
    struct worker_task *first, **end;
    size_t n;
};

struct worker {
    pthread_t thread;
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

static void *work(void *worker)
{
    struct worker *w = worker;
    struct worker_task *t;

    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        t = take(&w->waiting);
        if (!t && w->ends)
            break;
        if (!t) {
            (void)pthread_cond_wait(&w->news, &w->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&w->lock);
        t->run(t);
        (void)pthread_mutex_lock(&w->lock);
        put(&w->ready, t);
        (void)eventfd_write(w->ready_fd, 1); /* Only a full counter fails, which wakes as well. */
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
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
}

/* Signals are the loop's. */
static int start_thread(struct worker *w)
{
    sigset_t all, before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&w->thread, NULL, work, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

struct worker *worker_new(struct loop *l)
{
    struct worker *w = xcalloc(1, sizeof(*w));

    w->ready_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->ready_fd < 0 || pthread_mutex_init(&w->lock, NULL) || pthread_cond_init(&w->news, NULL))
        abort(); /* Out of memory or descriptors at the start. */
    w->watch = watch_new(l, w->ready_fd, some_are_ready, w);
    if (start_thread(w))
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
    (void)pthread_join(w->thread, NULL);
    finish_all(w);
    watch_free(w->watch);
    fd_closep(&w->ready_fd);
    (void)pthread_cond_destroy(&w->news);
    (void)pthread_mutex_destroy(&w->lock);
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
