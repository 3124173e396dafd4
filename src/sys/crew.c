/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/crew.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    struct crew_job *first, **last;
    size_t n;
};

struct crew {
    pthread_mutex_t lock; /* Of the queues and 'ends'. */
    pthread_cond_t more;
    struct queue waiting, finished;
    bool ends;
    pthread_t threads[CREW_MAX_THREADS];
    size_t n_threads, max_waiting;
    int wake_fd;
    struct watch *watch;
};

static void queue_init(struct queue *q)
{
    *q = (struct queue){.last = &q->first};
}

static void queue_push(struct queue *q, struct crew_job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
    q->n++;
}

static struct crew_job *queue_pop(struct queue *q)
{
    struct crew_job *job = q->first;

    if (!job)
        return NULL;
    q->first = job->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    return job;
}

static struct crew_job *next_job(struct crew *w)
{
    struct crew_job *job;

    (void)pthread_mutex_lock(&w->lock); /* Fails for a broken mutex only. */
    while (!w->ends && !w->waiting.first)
        (void)pthread_cond_wait(&w->more, &w->lock);
    job = w->ends ? NULL : queue_pop(&w->waiting);
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *crew)
{
    struct crew *w = crew;
    struct crew_job *job;
    uint64_t one = 1;

    while ((job = next_job(w)) != NULL) {
        job->run(job);
        (void)pthread_mutex_lock(&w->lock);
        queue_push(&w->finished, job);
        (void)pthread_mutex_unlock(&w->lock);
        if (write(w->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN) /* Full: it is awake. */
            abort();
    }
    return NULL;
}

static struct crew_job *take_finished(struct crew *w)
{
    struct crew_job *job;

    (void)pthread_mutex_lock(&w->lock);
    job = queue_pop(&w->finished);
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void some_finished(int fd, void *crew)
{
    struct crew *w = crew;
    struct crew_job *job;
    uint64_t n;

    if (read(fd, &n, sizeof(n)) < 0) /* EAGAIN: another round took them. */
        return;
    while ((job = take_finished(w)) != NULL)
        job->done(job, true);
}

struct crew *crew_new(struct loop *l, size_t n_threads, size_t max_waiting)
{
    struct crew *w = xcalloc(1, sizeof(*w));
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->more, NULL);
    queue_init(&w->waiting);
    queue_init(&w->finished);
    w->max_waiting = max_waiting;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0)
        abort(); /* No descriptor left at the start. */
    w->watch = watch_new(l, w->wake_fd, some_finished, w);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (w->n_threads < n_threads && w->n_threads < CREW_MAX_THREADS)
        if (pthread_create(&w->threads[w->n_threads++], NULL, work, w) != 0)
            abort(); /* No thread left at the start. */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w;
}

int crew_submit(struct crew *w, struct crew_job *job)
{
    int r = 0;

    (void)pthread_mutex_lock(&w->lock);
    if (w->waiting.n >= w->max_waiting)
        r = -EBUSY;
    else
        queue_push(&w->waiting, job);
    (void)pthread_mutex_unlock(&w->lock);
    if (r == 0)
        (void)pthread_cond_signal(&w->more);
    return r;
}

void crew_free(struct crew *w)
{
    struct crew_job *job;

    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->ends = true;
    (void)pthread_cond_broadcast(&w->more);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->n_threads; i++)
        (void)pthread_join(w->threads[i], NULL);
    watch_free(w->watch);
    while ((job = take_finished(w)) != NULL)
        job->done(job, true);
    while ((job = queue_pop(&w->waiting)) != NULL)
        job->done(job, false);
    (void)close(w->wake_fd);
    (void)pthread_cond_destroy(&w->more);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
