/* SPDX-License-Identifier: Apache-2.0 */
/* The process; see net.h. */
#include "agent/net/net.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent/net/internal.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/privilege.h"

enum { MESSAGES_A_ROUND = 256, RENEW_CHECK_MS = 60000 };

/* At two thirds of its life the certificate is renewed. */
static void renew_in_time(void *user)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    struct net *n = user;
    int64_t now = clock_unix_s();
    int64_t life = n->identity.not_after_s - n->identity.not_before_s;

    timer_start(n->renew, life < 600 ? 1000 : RENEW_CHECK_MS);
    if (!n->links[0]->open || n->renewing || now < n->identity.not_before_s + life / 3 * 2)
        return;
    m = agent_message_new(AGENT_RENEW);
    m->renew = identity_request(n->identity.key_pem);
    if (!m->renew)
        return;
    n->renewing = true;
    link_say(n->links[0], m);
}

static uint64_t number_in(const struct ipc_piece *message)
{
    uint64_t n;

    memcpy(&n, message, sizeof(n));
    return n;
}

static void ipc_ready(int fd, void *user)
{
    struct net *net = user;
    enum ipc_kind kind;
    uint32_t seat;

    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        int r = ipc_receive(fd, &kind, &seat, net->message, sizeof(*net->message));
        struct link *n = r > 0 ? net->links[seat] : NULL;

        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            loop_stop(net->loop); /* The other half is gone; the supervisor starts both again. */
            return;
        }
        if (!n)
            continue; /* It was taken away meanwhile. */
        if (kind == IPC_ACK)
            link_take_ack(n, (const struct ipc_ack *)net->message);
        else if (kind == IPC_FLOW)
            link_take_flow(n, (const struct ipc_flow *)net->message);
        else if (kind == IPC_LOST)
            link_take_lost(n, number_in(net->message));
        else if (kind == IPC_REPORTED)
            telling_report(n);
        else if (kind == IPC_END)
            net->told_all = true;
        else if (kind == IPC_NOTICE)
            link_take_notice(n, (const struct ipc_notice *)net->message);
        else if (kind == IPC_STATUS)
            link_take_status(n, (const struct ipc_status *)net->message);
    }
}

/* ---- The process
 * ----------------------------------------------------------------------------------------- */

static void on_signal(int signal, void *user)
{
    struct net *n = user;

    (void)signal;
    loop_stop(n->loop);
}

/* What libevent, OpenSSL, and storing a certificate and flows need. */
static const char *const allowed_calls[] = {"read",
                                            "write",
                                            "readv",
                                            "writev",
                                            "close",
                                            "recvmsg",
                                            "sendmsg",
                                            "recvfrom",
                                            "sendto",
                                            "socket",
                                            "connect",
                                            "shutdown",
                                            "getsockname",
                                            "getpeername",
                                            "getsockopt",
                                            "setsockopt",
                                            "bind",
                                            "epoll_create1",
                                            "epoll_ctl",
                                            "epoll_wait",
                                            "epoll_pwait",
                                            "poll",
                                            "ppoll",
                                            "timerfd_create",
                                            "timerfd_settime",
                                            "eventfd2",
                                            "pipe2",
                                            "fcntl",
                                            "ioctl",
                                            "openat",
                                            "fstat",
                                            "newfstatat",
                                            "lseek",
                                            "rename",
                                            "renameat",
                                            "renameat2",
                                            "fsync",
                                            "unlink",
                                            "mkdir",
                                            "mkdirat",
                                            "getdents64",
                                            "ftruncate",
                                            "pwrite64",
                                            "unlinkat",
                                            "fchmod",
                                            "pread64",
                                            "clock_gettime",
                                            "clock_getres",
                                            "gettimeofday",
                                            "time",
                                            "getrandom",
                                            "futex",
                                            "mmap",
                                            "munmap",
                                            "mprotect",
                                            "mremap",
                                            "madvise",
                                            "brk",
                                            "rt_sigaction",
                                            "rt_sigprocmask",
                                            "rt_sigreturn",
                                            "sigaltstack",
                                            "getpid",
                                            "gettid",
                                            "getuid",
                                            "geteuid",
                                            "getgid",
                                            "getegid",
                                            "uname",
                                            "nanosleep",
                                            "clock_nanosleep",
                                            "restart_syscall",
                                            "sched_yield",
                                            "exit",
                                            "exit_group",
                                            "tgkill",
                                            "getppid",
                                            "prlimit64",
                                            "sysinfo",
                                            "rseq",
                                            "set_robust_list"};

static int restrict_calls(void)
{
    return privilege_filter(allowed_calls, ARRAY_SIZE(allowed_calls));
}

static int prepare(struct net *n)
{
    const char *what = "";
    int r = privilege_drop(n->options.uid, n->options.gid);

    if (r < 0) {
        log_err("cannot drop privilege, refusing to talk to the network: %s", strerror(-r));
        return r;
    }
    r = identity_load(n->options.dir, &n->identity, &what);
    if (r < 0) {
        log_err("%s/%s: %s; enroll first: suimitsu-agent enroll", n->options.dir, what,
                strerror(-r));
        return r;
    }
    r = restrict_calls();
    if (r < 0)
        log_err("cannot restrict system calls, refusing to talk to the network: %s", strerror(-r));
    return r;
}

/* Whatever is still on its way from the other half. */
static void take_the_rest(struct net *n)
{
    struct pollfd readable = {.fd = n->options.ipc_fd, .events = POLLIN};

    while (!n->told_all && poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN))
        ipc_ready(n->options.ipc_fd, n);
}

static void net_done(struct net *n)
{
    for (size_t i = 0; i < IPC_SEATS; i++)
        link_free(n->links[i]);
    timer_free(n->renew);
    watch_free(n->ipc_watch);
    identity_done(&n->identity);
    free(n->message);
    loop_free(n->loop);
}

int net_run(const struct net_options *options)
{
    CLEANUP(net_done) struct net n = {.options = *options};

    n.loop = loop_new();
    if (prepare(&n) < 0)
        return 1;
    n.message = xcalloc(1, sizeof *n.message);
    telling_begin(link_new(&n, 0));
    n.renew = timer_new(n.loop, renew_in_time, &n);
    n.ipc_watch = watch_new(n.loop, options->ipc_fd, ipc_ready, &n);
    loop_on_signal(n.loop, SIGTERM, on_signal, &n);
    loop_on_signal(n.loop, SIGINT, on_signal, &n);
    timer_start(n.renew, 1000);
    loop_run(n.loop);
    take_the_rest(&n);
    return 0;
}
