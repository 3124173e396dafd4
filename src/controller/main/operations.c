/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/main/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "controller/json.h"
#include "sys/clock.h"

enum {
    OWNER_SIZE = 400,
    NICE = 10,
    CHUNK = 65536,
    FIRST_FD = 3,
    LOOK_MS = 1000,
    TICK_MS = 250,
    ALL = 100
};

enum state { WAITING, RUNNING, DONE, FAILED, CANCELLED };

static const char *const state_names[] = {"waiting", "running", "done", "failed", "cancelled"};

struct operation {
    struct operations *all;
    struct operation *next;
    char id[OPERATION_ID_SIZE];
    struct who who;
    char owner[OWNER_SIZE];
    enum http_method method;
    char *target;
    enum state state;
    int64_t created_s, ended_s;
    uint64_t done, total; /* As last seen. */
    unsigned percent;
    uint64_t told_ms; /* The last time, and what. */
    struct progress told;
    enum state told_state;
    struct http_job job;       /* Of one that was adopted. */
    struct progress *progress; /* Shared with the child; NULL: there is no memory for it. */
    pid_t pid;                 /* 0: it has no child. */
    int fd;                    /* The pipe's end; -1: none. */
    struct watch *watch;
    struct buf answer;
    json_t *result;  /* {status, body} */
    const char *why; /* FAILED. */
};

struct operations {
    struct loop *loop;
    struct timer *looker; /* At those that were adopted. */
    struct timer *teller; /* Of how far they are. */
    operations_answer *answer;
    operations_tell *tell;
    void *user;
    struct operation *first; /* Newest first. */
    size_t n, n_running;
};

static void look_at_adopted(void *operations);
static void tell_progress(void *operations);

struct operations *operations_new(struct loop *l, operations_answer *answer, operations_tell *tell,
                                  void *user)
{
    struct operations *o = xcalloc(1, sizeof(*o));

    o->loop = l;
    o->looker = timer_new(l, look_at_adopted, o);
    o->teller = timer_new(l, tell_progress, o);
    o->answer = answer;
    o->tell = tell;
    o->user = user;
    return o;
}

/* All that must be the same for them to be his; no part has an end of line in it. */
static void write_owner(const struct who *who, char owner[OWNER_SIZE])
{
    (void)snprintf(owner, OWNER_SIZE, "%s\n%s\n%s\n%s=%s", who->actor, who->token,
                   role_name(who->role), who->scope.label, who->scope.value);
}

bool operations_are_his(const struct who *who, const char *owner)
{
    char own[OWNER_SIZE];

    if (who_may(who, RIGHT_ADMIN))
        return true;
    write_owner(who, own);
    return strcmp(own, owner) == 0;
}

/* ---- the child ---- */

static void write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno != EINTR)
            _exit(1); /* Nobody reads any more. */
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* Only the pipe and this memory are left of what the daemon has. */
static void isolate(int fd)
{
    struct rlimit cpu = {OPERATION_CPU_S, OPERATION_CPU_S};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* Without it: only slower for the others. */
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    if (fd != FIRST_FD && dup2(fd, FIRST_FD) < 0)
        _exit(1);
    (void)close_range(FIRST_FD + 1, ~0u, 0);
}

static _Noreturn void run_child(const struct operation *p, int fd)
{
    struct http_job job = {.data = NULL};
    struct http_request q = {.method = HTTP_METHOD_GET,
                             .last_chance = true,
                             .is_operation = true,
                             .job = &job,
                             .progress = p->progress};
    struct http_response a = {.status = 500};
    char *query = strchr(p->target, '?'), *text;

    isolate(fd);
    if (query)
        *query++ = 0; /* Ours alone: the parent has its own. */
    q.path = p->target;
    q.query = query;
    q.body = "";
    q.who = &p->who;
    p->all->answer(p->all->user, true, &q, &a);
    text = json_dumps(json_pack("{s:i,s:O?}", "status", a.status, "body", a.json), JSON_COMPACT);
    if (!text)
        _exit(1);
    write_all(FIRST_FD, text, strlen(text));
    _exit(0);
}

/* ---- the daemon ---- */

static void start_more(struct operations *o);

/* How far it is. */
static void look(struct operation *p)
{
    struct progress now = {.done = p->done, .total = p->total};
    uint64_t percent;

    if (p->progress) {
        now.done = p->progress->done;
        now.total = p->progress->total;
    } else if (p->job.look) {
        p->job.look(p->job.data, &now);
    }
    p->done = now.done;
    p->total = now.total;
    if (p->total) { /* More may turn up, but it never goes back. */
        percent = p->done < p->total ? p->done * ALL / p->total : ALL - 1;
        p->percent = percent > p->percent ? (unsigned)percent : p->percent;
    }
}

static bool has_ended(const struct operation *p)
{
    return p->state != WAITING && p->state != RUNNING;
}

static json_t *describe(struct operation *p)
{
    char created[DATE_TEXT_SIZE], ended[DATE_TEXT_SIZE] = "";
    json_t *j;

    if (has_ended(p))
        (void)date_format_time(p->ended_s, ended);
    else
        look(p);
    j = json_pack("{s:s,s:o,s:s,s:s,s:s,s:s,s:I,s:I}", "id", p->id,
                  p->method == HTTP_METHOD_GET ? "get" : "post", json_any_text(p->target), "actor",
                  p->who.actor, "state", state_names[p->state], "created",
                  date_format_time(p->created_s, created), "ended", ended, "elapsed_s",
                  (json_int_t)((has_ended(p) ? p->ended_s : clock_unix_s()) - p->created_s), "done",
                  (json_int_t)p->done);
    if (p->total) {
        (void)json_object_set_new(j, "total", json_integer((json_int_t)p->total));
        (void)json_object_set_new(j, "percent", json_integer(p->percent));
    }
    if (p->state == FAILED)
        (void)json_object_set_new(j, "why", json_string(p->why));
    return j;
}

/* ---- who listens ---- */

static void tell(struct operation *p, const char *what)
{
    json_t *event = describe(p);

    (void)json_object_set_new(event, "what", json_string(what));
    p->told_ms = loop_now_ms();
    p->told = (struct progress){.done = p->done, .total = p->total};
    p->told_state = p->state;
    p->all->tell(p->all->user, p->owner, event);
    if (!timer_is_running(p->all->teller))
        timer_start(p->all->teller, TICK_MS);
}

static void tell_progress(void *operations)
{
    struct operations *o = operations;
    bool any = false;

    for (struct operation *p = o->first; p; p = p->next) {
        if (has_ended(p))
            continue;
        any = true;
        if (loop_now_ms() - p->told_ms < OPERATION_TELL_MS)
            continue;
        look(p);
        if (p->state != p->told_state || p->done != p->told.done || p->total != p->told.total)
            tell(p, "progress");
    }
    if (any)
        timer_start(o->teller, TICK_MS);
}

/* Ends what still runs, and reaps the child. */
static void reap(struct operation *p)
{
    if (p->state != RUNNING)
        return;
    look(p);
    if (p->job.free)
        p->job.free(p->job.data);
    p->job = (struct http_job){.data = NULL};
    if (!p->pid)
        return;
    if (p->progress)
        (void)munmap(p->progress, sizeof(*p->progress)); /* Ours: it does not fail. */
    p->progress = NULL;
    (void)kill(p->pid, SIGKILL); /* It may have ended. */
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    watch_free(p->watch);
    p->watch = NULL;
    (void)close(p->fd);
    p->fd = -1;
    p->all->n_running--;
}

static void end(struct operation *p, enum state state, const char *why)
{
    reap(p);
    p->state = state;
    p->percent = state == DONE ? ALL : p->percent;
    p->why = why;
    p->ended_s = clock_unix_s();
    buf_done(&p->answer);
    tell(p, state_names[state]);
    start_more(p->all);
}

static void came(int fd, void *operation)
{
    struct operation *p = operation;
    char chunk[CHUNK];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    if (n > 0 && p->answer.size + (size_t)n > OPERATION_MAX_ANSWER) {
        end(p, FAILED, "the answer is larger than 64 MiB: ask for less");
    } else if (n > 0) {
        buf_add(&p->answer, chunk, (size_t)n);
    } else if (n == 0) {
        p->result = json_loads(buf_str(&p->answer), 0, NULL);
        end(p, p->result ? DONE : FAILED, "it took more than its time, or crashed");
    } else if (errno != EAGAIN && errno != EINTR) {
        end(p, FAILED, "its answer cannot be read");
    }
}

static struct progress *new_shared(void)
{
    void *p = mmap(NULL, sizeof(struct progress), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void start(struct operation *p)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        end(p, FAILED, "there are no descriptors left");
        return;
    }
    p->progress = new_shared();
    p->pid = fork();
    if (p->pid == 0)
        run_child(p, fds[1]);
    (void)close(fds[1]);
    if (p->pid < 0) {
        (void)close(fds[0]);
        if (p->progress)
            (void)munmap(p->progress, sizeof(*p->progress));
        p->progress = NULL;
        end(p, FAILED, "no process can be made");
        return;
    }
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    p->fd = fds[0];
    p->watch = watch_new(p->all->loop, p->fd, came, p);
    p->state = RUNNING;
    p->all->n_running++;
}

/* The oldest that waits comes first. */
static void start_more(struct operations *o)
{
    while (o->n_running < OPERATIONS_RUNNING) {
        struct operation *oldest = NULL;

        for (struct operation *p = o->first; p; p = p->next)
            if (p->state == WAITING)
                oldest = p;
        if (!oldest)
            return;
        start(oldest);
    }
}

static void forget(struct operations *o, struct operation *p)
{
    struct operation **at = &o->first;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    o->n--;
    buf_done(&p->answer);
    json_decref(p->result);
    free(p->target);
    free(p);
}

/* Those whose time is over, and if that makes no room, the oldest that has ended. */
static bool make_room(struct operations *o)
{
    struct operation *oldest, *next;

    for (struct operation *p = o->first; p; p = next) {
        next = p->next;
        if (has_ended(p) && clock_unix_s() >= p->ended_s + OPERATION_KEPT_S)
            forget(o, p);
    }
    if (o->n < OPERATIONS_MAX)
        return true;
    oldest = NULL;
    for (struct operation *p = o->first; p; p = p->next)
        if (has_ended(p))
            oldest = p;
    if (oldest)
        forget(o, oldest);
    return oldest != NULL;
}

static size_t n_open(const struct operations *o, const struct who *who)
{
    char owner[OWNER_SIZE];
    size_t n = 0;

    write_owner(who, owner);
    for (const struct operation *p = o->first; p; p = p->next)
        n += !has_ended(p) && strcmp(p->owner, owner) == 0;
    return n;
}

/* NULL: there are too many. */
static struct operation *new_operation(struct operations *o, const struct who *who,
                                       const char *target, char ret_id[OPERATION_ID_SIZE])
{
    unsigned char bytes[(OPERATION_ID_SIZE - 1) / 2];
    struct operation *p;

    if (n_open(o, who) >= OPERATIONS_EACH || !make_room(o))
        return NULL;
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort(); /* No randomness. */
    p = xcalloc(1, sizeof(*p));
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(p->id + 2 * i, 3, "%02x", bytes[i]);
    p->all = o;
    p->who = *who;
    write_owner(who, p->owner);
    p->target = xstrdup(target);
    p->created_s = clock_unix_s();
    p->fd = -1;
    p->next = o->first;
    o->first = p;
    o->n++;
    memcpy(ret_id, p->id, OPERATION_ID_SIZE);
    return p;
}

int operations_add(struct operations *o, const struct who *who, const char *target,
                   char ret_id[OPERATION_ID_SIZE])
{
    struct operation *p = new_operation(o, who, target, ret_id);

    if (!p)
        return -EBUSY;
    tell(p, "created");
    start_more(o);
    return 0;
}

/* ---- those that were adopted ---- */

/* Where it came from was looked at when it was asked: what is left of a session is whose it is. */
static void ask_again(struct operation *p)
{
    CLEANUP(http_request_done)
    struct http_request q = {
        .method = p->method, .body = "", .is_again = true, .is_operation = true, .job = &p->job};
    CLEANUP(http_response_done) struct http_response a = {.status = 500};
    CLEANUP(free_voidp) char *path = xstrdup(p->target);
    char *query = strchr(path, '?');
    struct who who = p->who;

    if (query)
        *query++ = 0;
    who.session[0] = 0;
    q.path = path;
    q.query = query;
    q.who = &who;
    q.now_s = clock_unix_s();
    p->all->answer(p->all->user, false, &q, &a);
    if (a.status) {
        p->result = json_pack("{s:i,s:O?}", "status", a.status, "body", a.json);
        end(p, DONE, NULL);
    } else if (q.now_s >= p->created_s + OPERATION_HISTORY_S) {
        end(p, FAILED, "it took more than its time");
    }
}

static void look_at_adopted(void *operations)
{
    struct operations *o = operations;
    bool any = false;

    for (struct operation *p = o->first; p; p = p->next) {
        if (p->state != RUNNING || !p->job.data)
            continue;
        ask_again(p);
        any = any || p->state == RUNNING;
    }
    if (any)
        timer_start(o->looker, LOOK_MS);
}

void operations_wake(struct operations *o)
{
    for (const struct operation *p = o->first; p; p = p->next)
        if (p->job.data) {
            timer_start(o->looker, 0);
            return;
        }
}

int operations_adopt(struct operations *o, const struct who *who, enum http_method method,
                     const char *target, const struct http_job *job, char ret_id[OPERATION_ID_SIZE])
{
    struct operation *p = new_operation(o, who, target, ret_id);

    if (!p)
        return -EBUSY;
    p->method = method;
    p->job = *job;
    p->state = RUNNING;
    tell(p, "created");
    operations_wake(o);
    return 0;
}

void operations_free(struct operations *o)
{
    if (!o)
        return;
    while (o->first) {
        struct operation *p = o->first;

        reap(p);
        p->state = CANCELLED;
        forget(o, p);
    }
    timer_free(o->looker);
    timer_free(o->teller);
    free(o);
}

json_t *operations_list(struct operations *o, const struct who *who)
{
    json_t *list = json_array();

    for (struct operation *p = o->first; p; p = p->next)
        if (operations_are_his(who, p->owner))
            (void)json_array_append_new(list, describe(p));
    return list;
}

static struct operation *find(struct operations *o, const struct who *who, const char *id)
{
    for (struct operation *p = o->first; p; p = p->next)
        if (strcmp(p->id, id) == 0 && operations_are_his(who, p->owner))
            return p;
    return NULL;
}

json_t *operations_get(struct operations *o, const struct who *who, const char *id)
{
    struct operation *p = find(o, who, id);
    json_t *j = p ? describe(p) : NULL;

    if (j && p->state == DONE)
        (void)json_object_set(j, "result", p->result);
    return j;
}

int operations_cancel(struct operations *o, const struct who *who, const char *id)
{
    struct operation *p = find(o, who, id);

    if (!p)
        return -ENOENT;
    if (has_ended(p))
        return -EALREADY;
    end(p, CANCELLED, NULL);
    return 0;
}
