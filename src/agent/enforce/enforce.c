/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of the privileged half; see enforce.h. */
#include "agent/enforce/enforce.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cap-ng.h>

#include "agent/enforce/internal.h"
#include "agent/enforce/nft_seat.h"
#include "base/log.h"
#include "enforce/nft/nft.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { WATCH_MS = 400, FLUSH_MS = 500, DRAINS_A_ROUND = 64, MESSAGES_A_ROUND = 64 };

/* ---- To the other half -------------------------------------------------------------------------
 */

static void on_flow(void *arg, const struct enforcer_flow *flow)
{
    struct enforce *e = arg;
    struct seat *s = flow->endpoint ? edges_find(e, flow->endpoint) : &e->host_seat;

    if (s)
        report_add(s->report, flow, clock_unix_ms());
}

void enforce_notice(void *arg, enum enforcer_notice kind, const char *text)
{
    struct ipc_notice notice = {.time_ms = clock_unix_ms(), .kind = (uint32_t)kind};
    struct enforce *e = arg;

    (void)snprintf(notice.text, sizeof(notice.text), "%s", text);
    if (kind == NOTICE_TAMPER)
        log_warn("tamper: %s", text);
    else
        log_info("%s: %s", notice_name(kind), text);
    (void)enforce_tell(&e->host_seat, IPC_NOTICE, &notice, sizeof(notice));
    if (e->flows)
        enforce_write_notice(e, kind, text);
}

struct enforcer_events enforce_events(struct enforce *e)
{
    return (struct enforcer_events){.flow = on_flow, .notice = enforce_notice, .arg = e};
}

/* ---- The machine's own seat ---- */

static int host_seat_apply(struct seat *s, const struct program *p, struct buf *why)
{
    const struct enforce *e = s->owner;

    (void)host_drain(e->host); /* What was judged until now, while its rules have names. */
    host_flush(e->host);
    return host_apply(e->host, p, why);
}

static int host_seat_trust(struct seat *s, const struct address *address, bool own,
                           enum trust trust)
{
    struct host *h = ((struct enforce *)s->owner)->host;
    int r = host_set_trust(h, address, trust);

    return r == 0 && own ? host_set_own_trust(h, trust) : r;
}

static uint64_t host_seat_revision(const struct seat *s)
{
    const struct host *h = ((const struct enforce *)s->owner)->host;

    return h ? host_revision(h) : 0;
}

static const struct seat_ops host_ops = {.apply = host_seat_apply,
                                         .set_trust = host_seat_trust,
                                         .revision = host_seat_revision,
                                         .tell = enforce_tell};

/* ---- From the other half
 * -------------------------------------------------------------------------------- */

static void tell_status(struct enforce *e, struct seat *s)
{
    struct ipc_status status;

    if (s == &e->host_seat)
        enforce_status(e, &status);
    else
        edges_status(e, s, &status);
    (void)enforce_tell(s, IPC_STATUS, &status, sizeof(status));
}

static void watch_all(struct enforce *e)
{
    if (e->host)
        host_watch(e->host);
    if (e->nft)
        nft_seat_watch(e);
    edges_watch(e);
}

static void take_seat_message(struct enforce *e, enum ipc_kind kind, struct seat *s,
                              const struct ipc_piece *body)
{
    uint64_t revision;
    struct ipc_program announced;
    struct ipc_trust trust;

    if (kind == IPC_PROGRAM && s == &e->host_seat && e->options.edge_only) {
        seat_ack(s, 0, IPC_REFUSED, IPC_REASON_OTHER, "this agent runs edges only");
    } else if (kind == IPC_PROGRAM) {
        memcpy(&announced, body, sizeof(announced));
        seat_announce(s, &announced);
    } else if (kind == IPC_PIECE) {
        seat_take_piece(s, body);
    } else if (kind == IPC_CONFIRM) {
        memcpy(&revision, body, sizeof(revision));
        seat_confirm(s, revision);
    } else if (kind == IPC_TRUST) {
        memcpy(&trust, body, sizeof(trust));
        seat_take_trust(s, &trust);
    } else if (kind == IPC_ASK_STATUS) {
        tell_status(e, s);
    } else if (kind == IPC_REPORT) {
        tell_report(e, s);
    } else { /* IPC_VERIFY */
        watch_all(e);
    }
}

static void take_message(struct enforce *e, enum ipc_kind kind, uint32_t seat,
                         const struct ipc_piece *body)
{
    struct seat *s = seat ? edges_of_number(e, seat) : &e->host_seat;
    struct ipc_port port;

    switch (kind) {
    case IPC_PROGRAM:
    case IPC_PIECE:
    case IPC_CONFIRM:
    case IPC_TRUST:
    case IPC_ASK_STATUS:
    case IPC_VERIFY:
    case IPC_REPORT:
        if (s)
            take_seat_message(e, kind, s, body);
        break;
    case IPC_PORT:
        memcpy(&port, body, sizeof(port));
        if (seat)
            edges_put(e, seat, &port);
        break;
    case IPC_PORT_GONE:
        if (s && seat)
            edges_remove(e, s);
        break;
    case IPC_ACK:
    case IPC_FLOW:
    case IPC_NOTICE:
    case IPC_STATUS:
    case IPC_LOST:
    case IPC_REPORTED:
    case IPC_END:
        log_warn("the network half sent a message of kind %d that is not its to send", (int)kind);
        break;
    }
}

static void net_ready(int fd, void *arg)
{
    struct enforce *e = arg;
    enum ipc_kind kind;
    uint32_t seat;

    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        int r = ipc_receive(fd, &kind, &seat, e->message, sizeof(*e->message));

        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            log_warn("the network half is gone; enforcing goes on");
            watch_free(e->net_watch);
            e->net_watch = NULL;
            loop_stop(e->loop); /* The supervisor starts both halves again. */
            return;
        }
        take_message(e, kind, seat, e->message);
    }
}

/* ---- Timers and signals
 * -------------------------------------------------------------------------------------- */

static void watch_now(void *arg)
{
    struct enforce *e = arg;

    watch_all(e);
    timer_start(e->watch_timer, WATCH_MS);
}

static void flush_now(void *arg)
{
    struct enforce *e = arg;
    struct seat *s = &e->host_seat;

    e->n_flushes++;
    if (e->host)
        (void)host_drain(e->host); /* Connections that pass do not wake us. */
    if (e->host && e->n_flushes % (1000 / FLUSH_MS) == 0)
        host_flush(e->host);
    report_flush(s->report, clock_unix_ms());
    tell_losses(e, s);
    edges_tell_losses(e);
    if (e->n_flushes % 120 == 0)
        report_forget_names(s->report);
    seat_save_trust(s);
    edges_flush(e, e->n_flushes % (1000 / FLUSH_MS) == 0);
    if (e->flows)
        (void)fflush(e->flows);
    timer_start(e->flush_timer, FLUSH_MS);
}

static void events_ready(int fd, void *arg)
{
    struct enforce *e = arg;

    (void)fd;
    (void)host_drain(e->host);
}

static void links_ready(int fd, void *arg)
{
    struct enforce *e = arg;

    (void)fd;
    host_links_changed(e->host);
}

static int read_program_file(const char *path, struct program **ret_p, struct buf *why)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    const char *what = NULL;
    int r = sealed_read(path, IPC_MAX_PROGRAM, &bytes);

    if (r == 0)
        r = program_decode(bytes.data, bytes.size, ret_p, &what);
    if (r < 0)
        buf_printf(why, "%s: %s", path,
                   what ? what
                   : r == -EBADMSG
                       ? "not a program file, or damaged; make one with suimitsu policy compile"
                       : strerror(-r));
    return r;
}

/* Standalone: whatever the operator put there, also an older revision. */
static void read_again(struct enforce *e)
{
    CLEANUP(program_freep) struct program *p = NULL;
    CLEANUP(buf_done) struct buf why = BUF_INIT;

    if (read_program_file(e->options.program_file, &p, &why) < 0 || !p) {
        log_err("%s; keeping revision %llu", buf_str(&why),
                (unsigned long long)e->host_seat.ops->revision(&e->host_seat));
        return;
    }
    if (e->host_seat.running && p->revision <= e->host_seat.running->revision)
        e->host_seat.running->revision = p->revision;
    (void)seat_take_program(&e->host_seat, TAKE_PTR(p), 0);
}

static void on_signal(int signal, void *arg)
{
    struct enforce *e = arg;

    if (signal == SIGHUP && e->options.program_file)
        read_again(e);
    else if (signal != SIGHUP)
        loop_stop(e->loop);
}

/* ---- Start
 * ------------------------------------------------------------------------------------------------------
 */

struct program *enforce_learning_program(void)
{
    struct program *p = program_new();

    p->mode = MODE_LEARN;
    p->addresses = xcalloc(1, sizeof *p->addresses);
    p->n_addresses = 1; /* ::/0 */
    return p;
}

/* Where there was a policy and nobody has it any more: nothing but the controller, who sends one.
 */
static struct program *closed_program(const struct program_lifeline *controller)
{
    struct program *p = enforce_learning_program();

    p->mode = MODE_ENFORCE;
    p->lifeline[p->n_lifeline++] = *controller;
    return p;
}

int enforce_first_program(struct enforce *e, bool held, uint64_t revision, struct buf *why)
{
    CLEANUP(program_freep) struct program *p = NULL;
    int r;

    if (e->options.program_file)
        r = read_program_file(e->options.program_file, &p, why);
    else
        r = seat_load_stored(&e->host_seat, &p);
    if (r < 0 && e->options.program_file)
        return r;
    if (r < 0 && held) {
        log_warn("no stored policy: the kernel goes on with what it holds, revision %llu",
                 (unsigned long long)revision);
        return 0;
    }
    if (r == 0 && !e->options.program_file && p->revision < revision) {
        log_warn("the kernel enforces revision %llu, newer than the stored %llu: keeping it",
                 (unsigned long long)revision, (unsigned long long)p->revision);
        return 0;
    }
    if (r == -EBADMSG && e->options.controller.port) {
        log_err("the stored policy is damaged and there is none in the kernel: all is closed until "
                "the controller sends one; remove the .bad file to start in learn mode");
        p = closed_program(&e->options.controller);
    } else if (r == -EBADMSG) {
        buf_puts(why, "the stored policy is damaged and there is none in the kernel: refusing to "
                      "start open; remove the .bad file to start in learn mode");
        return r;
    }
    if (!p)
        p = enforce_learning_program();
    r = e->host_seat.ops->apply(&e->host_seat, p, why);
    if (r == 0)
        seat_set_running(&e->host_seat, TAKE_PTR(p));
    return r;
}

static int keep_few_capabilities(void)
{
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_updatev(CAPNG_ADD,
                      (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
                      CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, -1) < 0)
        return -EPERM;
    return capng_apply(CAPNG_SELECT_BOTH) < 0 ? -EPERM : 0;
}

int enforce_make_dir(const char *path, struct buf *why)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    buf_printf(why, "cannot make %s: %s", path, strerror(errno));
    return -errno;
}

int enforce_lock(const char *run_dir, int *ret_fd, struct buf *why)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP(fd_closep) int fd = -1;
    char path[512];
    int r = enforce_make_dir(run_dir, why);

    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "%s/lock", run_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        buf_printf(why, "another agent runs with %s", run_dir);
        return -EBUSY;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int start_host(struct enforce *e, struct buf *why)
{
    const struct enforcer_events events = enforce_events(e);
    int r = host_new(&e->options.host, &events, &e->host, why);

    if (r == 0) {
        host_leave_nics(e->host, edges_hold, e);
        r = enforce_first_program(e, host_revision(e->host) > 0, host_revision(e->host), why);
    }
    if (r == 0)
        r = host_attach(e->host, why);
    if (r < 0)
        return r;
    e->events_watch = watch_new(e->loop, host_events_fd(e->host), events_ready, e);
    e->links_watch = watch_new(e->loop, host_link_fd(e->host), links_ready, e);
    return 0;
}

static int start(struct enforce *e, struct buf *why)
{
    int r = enforce_make_dir(e->options.state_dir, why);

    if (r == 0 && e->lock_fd < 0)
        r = enforce_lock(e->options.run_dir, &e->lock_fd, why);
    if (r == 0 && e->options.flows_file) {
        e->flows = fopen(e->options.flows_file, "ae");
        if (!e->flows) {
            buf_printf(why, "%s: %s", e->options.flows_file, strerror(errno));
            r = -errno;
        }
    }
    if (r == 0 && e->options.nft)
        r = nft_seat_start(e, why);
    else if (r == 0 && !e->options.edge_only)
        r = start_host(e, why);
    if (r == 0)
        r = edges_start(e, why);
    if (r == 0)
        r = enforce_listen_status(e, why);
    if (r == 0 && !e->options.keep_capabilities && keep_few_capabilities() < 0)
        log_warn("cannot drop capabilities; going on with all of them");
    return r;
}

static void finish(struct enforce *e)
{
    seat_done(&e->host_seat);
    edges_finish(e);
    if (e->flows)
        (void)fclose(e->flows);
    enforce_end_status(e);
    watch_free(e->net_watch);
    watch_free(e->events_watch);
    watch_free(e->links_watch);
    timer_free(e->watch_timer);
    timer_free(e->flush_timer);
    if (e->host)
        host_free(e->host);
    nft_seat_finish(e);
    free(e->message);
    fd_closep(&e->lock_fd);
    loop_free(e->loop);
}

int enforce_run(const struct enforce_options *options)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct enforce e = {.options = *options, .lock_fd = options->lock_fd, .status_fd = -1};
    sigset_t hangup;
    int r;

    /* Until the loop takes it, a SIGHUP waits; its default would end us. */
    (void)sigemptyset(&hangup);
    (void)sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &hangup, NULL);
    e.loop = loop_new();
    seat_init(&e.host_seat, e.loop, options->nft ? &nft_seat_ops : &host_ops, &e,
              options->state_dir);
    e.host_seat.number = 0;
    e.message = xcalloc(1, sizeof *e.message);
    e.watch_timer = timer_new(e.loop, watch_now, &e);
    e.flush_timer = timer_new(e.loop, flush_now, &e);
    r = start(&e, &why);
    if (r < 0) {
        log_err("%s", buf_str(&why));
        finish(&e);
        return 1;
    }
    tell_begin(&e);
    if (options->net_fd >= 0)
        e.net_watch = watch_new(e.loop, options->net_fd, net_ready, &e);
    loop_on_signal(e.loop, SIGTERM, on_signal, &e);
    loop_on_signal(e.loop, SIGINT, on_signal, &e);
    loop_on_signal(e.loop, SIGHUP, on_signal, &e);
    (void)sigprocmask(SIG_UNBLOCK, &hangup, NULL);
    timer_start(e.watch_timer, WATCH_MS);
    timer_start(e.flush_timer, FLUSH_MS);
    seat_start_clock(&e.host_seat);
    if (e.host)
        log_info("enforcing on %s, revision %llu", options->host.cgroup,
                 (unsigned long long)host_revision(e.host));
    else if (e.nft)
        log_info("enforcing by nftables, revision %llu", (unsigned long long)nft_revision(e.nft));
    else
        log_info("enforcing at the ports of this machine, not on itself");
    tell_status(&e, &e.host_seat);
    loop_run(e.loop);
    tell_end(&e);
    log_info("stopping; the kernel goes on enforcing");
    finish(&e);
    return 0;
}
