/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes and the small one that keeps them alive. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/ipc.h"
#include "agent/main/commands.h"
#include "agent/net/net.h"
#include "base/log.h"
#include "sys/file.h"
#include "sys/privilege.h"

enum { TOKEN_MAX = 1024, RESTART_S = 1 };

struct halves {
    pid_t net, enforce;
};

/* Children die with us, so that a new agent finds no half of an old one. */
static pid_t fork_half(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    return 0;
}

static int start_halves(const struct net_options *net, const struct enforce_options *enforce,
                        struct halves *h)
{
    int fds[2];
    int r = ipc_pair(fds);

    if (r < 0)
        return r;
    h->net = fork_half();
    if (h->net == 0) {
        struct net_options mine = *net;
        sigset_t none;

        close(fds[0]);
        close(enforce->lock_fd);
        mine.ipc_fd = fds[1];
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        _exit(net_run(&mine));
    }
    h->enforce = h->net > 0 ? fork_half() : -1;
    if (h->enforce == 0) {
        struct enforce_options mine = *enforce;
        sigset_t none;

        close(fds[1]);
        mine.net_fd = fds[0];
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        _exit(enforce_run(&mine));
    }
    r = h->enforce < 0 ? -errno : 0;
    close(fds[0]);
    close(fds[1]);
    return r;
}

static void end_half(pid_t *pid)
{
    if (*pid <= 0)
        return;
    (void)kill(*pid, SIGTERM);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

/* Waits for a signal or a child's end.  Returns the exit code when it is time to go, -1 to restart.
 */
static int supervise(struct halves *h, const sigset_t *signals)
{
    for (;;) {
        int signal = 0, status = 0;
        pid_t gone;

        if (sigwait(signals, &signal) != 0)
            continue;
        if (signal == SIGTERM || signal == SIGINT)
            return 0;
        gone = waitpid(-1, &status, WNOHANG);
        if (gone <= 0)
            continue;
        if (gone == h->net)
            h->net = 0;
        if (gone == h->enforce)
            h->enforce = 0;
        log_err("the %s half ended with %d; the kernel goes on, starting both again",
                h->net == 0 ? "network" : "enforcing", status);
        return -1;
    }
}

/* Before the first half: that of a second agent would be taken for the first by the controller.
 * Returns as supervise(). */
static int lock_or_pause(struct enforce_options *e, const sigset_t *signals)
{
    const struct timespec pause = {.tv_sec = RESTART_S};
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    int r = e->lock_fd < 0 ? enforce_lock(e->run_dir, &e->lock_fd, &why) : 0;

    if (r == 0)
        return -1;
    log_err("%s; trying again", buf_str(&why));
    r = sigtimedwait(signals, NULL, &pause);
    return r == SIGTERM || r == SIGINT ? 0 : -1;
}

static int prepare_dir(const struct agent_options *o, char dir[512], struct net_options *net)
{
    int r = privilege_user(o->user, &net->uid, &net->gid);

    if (r < 0) {
        fprintf(stderr,
                "suimitsu-agent: there is no user %s for the network half; make one, or "
                "name another with --user\n",
                o->user);
        return r;
    }
    (void)snprintf(dir, 512, "%s/net", o->state_dir);
    if ((mkdir(o->state_dir, 0711) < 0 && errno != EEXIST) ||
        (mkdir(dir, 0700) < 0 && errno != EEXIST) || chmod(o->state_dir, 0711) < 0 ||
        chown(dir, net->uid, net->gid) < 0) {
        fprintf(stderr, "suimitsu-agent: cannot make %s: %s\n", dir, strerror(errno));
        return -errno;
    }
    net->dir = dir;
    return 0;
}

static int endpoint_of(const struct agent_options *o, char address[64], struct net_options *net)
{
    if (o->controller && net_parse_endpoint(o->controller, address, &net->port) == 0) {
        net->address = address;
        return 0;
    }
    fprintf(stderr,
            "suimitsu-agent: --controller %s: expected a numeric address and port, for "
            "example 192.0.2.1:7443 or [2001:db8::1]:7443\n",
            o->controller ? o->controller : "is missing");
    return -EINVAL;
}

int run_with_controller(const struct agent_options *o, const struct enforce_options *e)
{
    struct net_options net = {.ipc_fd = -1};
    struct enforce_options enforce = *e;
    char dir[512], address[64];
    struct halves h = {.net = 0};
    sigset_t signals;
    int r;

    if (endpoint_of(o, address, &net) < 0)
        return 2;
    if (prepare_dir(o, dir, &net) < 0)
        return 1;
    enforce.controller = (struct program_lifeline){.port = net.port, .protocol = IPPROTO_TCP};
    if (address_parse(net.address, &enforce.controller.address) < 0)
        return 2; /* Cannot be: it is numeric. */
    net.edge_only = o->edge_only;
    net.spool_bytes = o->spool_mb << 20;
    net.nft = o->nft;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    do {
        r = lock_or_pause(&enforce, &signals);
        if (r == 0 || enforce.lock_fd < 0)
            continue;
        r = start_halves(&net, &enforce, &h);
        if (r < 0) {
            log_err("cannot start: %s", strerror(-r));
            r = 1;
            break;
        }
        r = supervise(&h, &signals);
        end_half(&h.enforce); /* First: it tells what it knows to the other. */
        end_half(&h.net);
        if (r < 0)
            (void)nanosleep(&(struct timespec){.tv_sec = RESTART_S}, NULL);
    } while (r < 0);
    end_half(&h.enforce);
    end_half(&h.net);
    fd_closep(&enforce.lock_fd);
    return r;
}

static int read_token(const char *path, char token[TOKEN_MAX])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    size_t len;
    int r;

    if (!path) {
        fprintf(stderr, "suimitsu-agent: --token-file is missing; a token comes from: suimitsu "
                        "token create ENDPOINT, and is never given on the command line, where "
                        "everybody could read it\n");
        return -EINVAL;
    }
    r = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, TOKEN_MAX - 1, &text);
    if (r < 0) {
        fprintf(stderr, "suimitsu-agent: %s: %s\n", path, strerror(-r));
        return r;
    }
    len = strcspn(buf_str(&text), " \r\n");
    memcpy(token, buf_str(&text), len);
    token[len] = 0;
    return 0;
}

int enroll(const struct agent_options *o)
{
    struct net_options net = {.ipc_fd = -1};
    char dir[512], address[64], token[TOKEN_MAX];

    if (geteuid() != 0) {
        fprintf(stderr, "suimitsu-agent: enroll needs root\n");
        return 5;
    }
    if (endpoint_of(o, address, &net) < 0 || read_token(o->token_file, token) < 0)
        return 2;
    if (prepare_dir(o, dir, &net) < 0)
        return 1;
    /* The answer is a stranger's until its certificate has been checked: no privilege here either.
     */
    if (privilege_drop(net.uid, net.gid) < 0) {
        fprintf(stderr, "suimitsu-agent: cannot drop privilege\n");
        return 1;
    }
    if (net_enroll(address, net.port, token, dir) < 0)
        return 1;
    printf("Enrolled. Start it now: suimitsu-agent run --controller %s\n", o->controller);
    return 0;
}
