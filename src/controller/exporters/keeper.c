/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper and its worker's cage; see exporters.h. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "controller/exporters/messages.h"
#include "sys/privilege.h"

enum { NICE = 5, RESTART_S = 1, FDS = 1024 };

/* Receiving, sending, memory, time, logging, ending. */
static const char *const worker_calls[] = {
    "recvmmsg", "recvmsg",       "recvfrom",   "sendto",       "sendmsg",        "poll",
    "ppoll",    "clock_gettime", "brk",        "mmap",         "munmap",         "mremap",
    "madvise",  "write",         "exit_group", "rt_sigreturn", "restart_syscall"};

static bool is_kept(const struct worker_options *o, int fd)
{
    bool kept = fd == o->channel;

    for (size_t i = 0; i < o->config->n_sockets; i++)
        kept = kept || fd == o->sockets[i];
    return kept;
}

static int cage(const struct worker_options *o)
{
    int r = geteuid() == 0 ? privilege_drop(o->uid, o->gid) : privilege_lock();

    /* Whoever has the same user may not look at us, nor we at the controller. */
    if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
        r = -errno;
    return r;
}

static pid_t start_worker(const struct worker_options *o)
{
    pid_t keeper = getpid(), pid = fork();
    int r;

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(0);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* Then it competes as an equal. */
    r = privilege_filter(worker_calls, ARRAY_SIZE(worker_calls));
    if (r < 0) {
        log_err("exporters: system calls cannot be restricted, nothing is read: %s", strerror(-r));
        _exit(0);
    }
    _exit(reader_run(o));
}

void keeper_run(struct worker_options *o)
{
    pid_t parent = getppid(), worker;
    int status = 0, r;

    for (int fd = STDERR_FILENO + 1; fd < FDS; fd++)
        if (!is_kept(o, fd))
            (void)close(fd); /* Most are not open. */
    r = cage(o);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* Behind the change of user, which clears it. */
    if (r < 0 || getppid() != parent) {
        log_err("exporters: privilege cannot be dropped, nothing is read: %s", strerror(-r));
        _exit(1);
    }
    for (;;) {
        o->run++;
        worker = start_worker(o);
        while (worker > 0 && waitpid(worker, &status, 0) < 0 && errno == EINTR)
            continue;
        if (worker > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
            _exit(0);
        log_err("exporters: what reads their datagrams ended with %d; starting it again", status);
        (void)nanosleep(&(struct timespec){.tv_sec = RESTART_S}, NULL);
    }
}
