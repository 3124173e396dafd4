/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of the privileged half; see enforce.h. */
#include "agent/enforce/enforce.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cap-ng.h>

#include "agent/enforce/internal.h"
#include "base/log.h"
#include "sys/file.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { WATCH_MS = 400, FLUSH_MS = 500, DRAINS_A_ROUND = 64, MESSAGES_A_ROUND = 64 };

uint64_t enforce_unix_ms(void)
{
    struct timespec t = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- To the other half -------------------------------------------------------------------------
 */

static void tell(struct enforce *e, enum ipc_kind kind, const void *body, size_t size)
{
    if (e->options.net_fd < 0)
        return;
    if (ipc_send(e->options.net_fd, kind, body, size) < 0) {
        e->n_untold++; /* The other half does not keep up, or is being restarted. */
        return;
    }
}

void enforce_ack(struct enforce *e, uint64_t revision, enum ipc_result result,
                 enum ipc_reason reason, const char *text)
{
    struct ipc_ack ack = {.revision = revision,
                          .trust_sequence = e->trust_sequence,
                          .result = (uint32_t)result,
                          .reason = (uint32_t)reason};

    (void)snprintf(ack.text, sizeof(ack.text), "%s", text);
    tell(e, IPC_ACK, &ack, sizeof(ack));
}

static void on_flow(void *arg, const struct enforcer_flow *flow)
{
    struct enforce *e = arg;

    report_add(e->report, flow, enforce_unix_ms());
}

static void give_record(void *arg, const struct ipc_flow *flow)
{
    struct enforce *e = arg;

    tell(e, IPC_FLOW, flow, sizeof(*flow));
    if (e->flows)
        enforce_write_flow(e, flow);
}

static void on_notice(void *arg, enum enforcer_notice kind, const char *text)
{
    struct ipc_notice notice = {.time_ms = enforce_unix_ms(), .kind = (uint32_t)kind};
    struct enforce *e = arg;

    (void)snprintf(notice.text, sizeof(notice.text), "%s", text);
    if (kind == NOTICE_TAMPER)
        log_warn("tamper: %s", text);
    else
        log_info("%s: %s", notice_name(kind), text);
    tell(e, IPC_NOTICE, &notice, sizeof(notice));
    if (e->flows)
        enforce_write_notice(e, kind, text);
}

/* ---- Programs
 * ---------------------------------------------------------------------------------------- */

static void start_clock(struct enforce *e)
{
    uint64_t now = state_now_ns();

    if (!e->pending.revision)
        timer_stop(e->confirm_timer);
    else
        timer_start(e->confirm_timer, e->pending.deadline_ns > now
                                          ? (e->pending.deadline_ns - now) / 1000000 + 1
                                          : 1);
}

static void set_running(struct enforce *e, struct program *p)
{
    program_free(e->running);
    e->running = p;
}

static void end_pending(struct enforce *e)
{
    e->pending = (struct pending){.revision = 0};
    (void)state_set_pending(e->options.state_dir, &e->pending);
    state_remove(e->options.state_dir, "former");
    start_clock(e);
}

/* Nobody confirmed: what ran before runs again. */
static void go_back(void *arg)
{
    CLEANUP(program_freep) struct program *former = NULL;
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct enforce *e = arg;
    uint64_t revision = e->pending.revision;

    if (!revision)
        return;
    if (state_load(e->options.state_dir, "former", &former) < 0 ||
        state_save(e->options.state_dir, "program", former) < 0 ||
        host_apply(e->host, former, &why) < 0) {
        log_err("revision %llu was not confirmed, and the former program cannot be restored, "
                "keeping it: %s",
                (unsigned long long)revision, buf_str(&why));
        timer_start(e->confirm_timer, WATCH_MS);
        return;
    }
    log_warn("revision %llu was not confirmed in time: back to %llu", (unsigned long long)revision,
             (unsigned long long)former->revision);
    set_running(e, TAKE_PTR(former));
    end_pending(e);
    enforce_ack(e, e->running->revision, IPC_ROLLED_BACK, IPC_REASON_NONE, "not confirmed in time");
}

/* Writes down what to go back to before anything changes. */
static int begin_pending(struct enforce *e, uint64_t revision, uint32_t confirm_s)
{
    struct pending p = {.revision = revision,
                        .deadline_ns = state_now_ns() + confirm_s * UINT64_C(1000000000)};
    int r = 0;

    /* A change upon an unconfirmed one goes back to before both. */
    if (!e->pending.revision)
        r = state_save(e->options.state_dir, "former", e->running);
    if (r == 0)
        r = state_set_pending(e->options.state_dir, &p);
    if (r == 0)
        e->pending = p;
    return r;
}

int enforce_take_program(struct enforce *e, struct program *taken, uint32_t confirm_s)
{
    CLEANUP(program_freep) struct program *p = taken;
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct pending before = e->pending;
    uint64_t revision = p->revision;
    int r = 0;

    if (e->running && revision < e->running->revision) {
        buf_printf(&why, "revision %llu is older than %llu, which runs",
                   (unsigned long long)revision, (unsigned long long)e->running->revision);
        enforce_ack(e, revision, IPC_REFUSED, IPC_REASON_OLDER, buf_str(&why));
        return -ESTALE;
    }
    if (confirm_s && e->running)
        r = begin_pending(e, revision, confirm_s);
    if (r == 0)
        r = host_apply(e->host, p, &why);
    if (r == 0)
        r = state_save(e->options.state_dir, "program", p);
    if (r < 0) {
        log_err("revision %llu: refused, keeping %llu: %s", (unsigned long long)revision,
                (unsigned long long)host_revision(e->host),
                why.size ? buf_str(&why) : strerror(-r));
        e->pending = before;
        (void)state_set_pending(e->options.state_dir, &e->pending);
        enforce_ack(e, revision, IPC_REFUSED, r == -E2BIG ? IPC_REASON_FULL : IPC_REASON_KERNEL,
                    why.size ? buf_str(&why) : strerror(-r));
        return r;
    }
    log_info("revision %llu runs: %zu entries, %zu addresses%s", (unsigned long long)revision,
             p->n_entries, p->n_addresses, confirm_s ? ", awaiting confirmation" : "");
    set_running(e, TAKE_PTR(p));
    if (!confirm_s && e->pending.revision)
        end_pending(e);
    start_clock(e);
    enforce_ack(e, revision, IPC_RUNNING, IPC_REASON_NONE, "");
    return 0;
}

static void confirm(struct enforce *e, uint64_t revision)
{
    if (!e->pending.revision || revision != e->pending.revision) {
        enforce_ack(e, revision, IPC_REFUSED, IPC_REASON_OTHER, "nothing of that revision awaits");
        return;
    }
    end_pending(e);
    log_info("revision %llu is confirmed", (unsigned long long)revision);
    enforce_ack(e, revision, IPC_CONFIRMED, IPC_REASON_NONE, "");
}

/* Trust of one address: in the kernel at once, and in the program that would be restored. */
static void take_trust(struct enforce *e, const struct ipc_trust *t)
{
    bool self = false;
    int r = 0;

    if (t->trust > TRUST_BLACK || t->sequence < e->trust_sequence || !e->running)
        return;
    for (size_t i = 0; i < e->running->n_addresses; i++) {
        struct program_address *a = &e->running->addresses[i];

        if (a->length != 128 || address_compare(&a->address, &t->address) != 0)
            continue;
        a->trust = (uint8_t)t->trust;
        self = self || a->self;
    }
    r = host_set_trust(e->host, &t->address, (enum trust)t->trust);
    if (r == 0 && self) {
        e->running->trust = (enum trust)t->trust;
        r = host_set_own_trust(e->host, (enum trust)t->trust);
    }
    if (r < 0) {
        log_err("cannot change trust: %s", strerror(-r));
        return;
    }
    e->trust_sequence = t->sequence;
    e->trust_unsaved = true; /* Written down by the next flush: the kernel comes first. */
    enforce_ack(e, e->running->revision, IPC_RUNNING, IPC_REASON_NONE, "trust");
}

/* ---- From the other half
 * -------------------------------------------------------------------------------- */

static void take_piece(struct enforce *e, const struct ipc_piece *piece)
{
    CLEANUP(program_freep) struct program *p = NULL;
    const char *what;
    int r;

    if (piece->size > IPC_PIECE_SIZE || e->incoming.size + piece->size > e->incoming_size) {
        buf_reset(&e->incoming);
        e->incoming_size = 0;
        return;
    }
    buf_add(&e->incoming, piece->bytes, piece->size);
    if (e->incoming.size < e->incoming_size)
        return;
    r = program_decode(e->incoming.data, e->incoming.size, &p, &what);
    buf_done(&e->incoming);
    e->incoming_size = 0;
    if (r < 0) {
        enforce_ack(e, 0, IPC_REFUSED, IPC_REASON_INVALID, what);
        return;
    }
    if (e->incoming_trust > e->trust_sequence)
        e->trust_sequence = e->incoming_trust;
    (void)enforce_take_program(e, TAKE_PTR(p), e->incoming_confirm_s);
}

static void announce(struct enforce *e, const struct ipc_program *a)
{
    buf_reset(&e->incoming);
    e->incoming_size = a->size <= IPC_MAX_PROGRAM ? a->size : 0;
    e->incoming_confirm_s = a->confirm_s <= 86400 ? a->confirm_s : 86400;
    e->incoming_trust = a->trust_sequence;
}

static void tell_status(struct enforce *e)
{
    struct ipc_status s;

    enforce_status(e, &s);
    tell(e, IPC_STATUS, &s, sizeof(s));
}

static void take_message(struct enforce *e, enum ipc_kind kind, const struct ipc_piece *body)
{
    uint64_t revision;
    struct ipc_program announced;
    struct ipc_trust trust;

    switch (kind) {
    case IPC_PROGRAM:
        memcpy(&announced, body, sizeof(announced));
        announce(e, &announced);
        break;
    case IPC_PIECE:
        take_piece(e, body);
        break;
    case IPC_CONFIRM:
        memcpy(&revision, body, sizeof(revision));
        confirm(e, revision);
        break;
    case IPC_TRUST:
        memcpy(&trust, body, sizeof(trust));
        take_trust(e, &trust);
        break;
    case IPC_ASK_STATUS:
        tell_status(e);
        break;
    case IPC_VERIFY:
        host_watch(e->host);
        break;
    case IPC_ACK:
    case IPC_FLOW:
    case IPC_NOTICE:
    case IPC_STATUS:
        log_warn("the network half sent a message of kind %d that is not its to send", (int)kind);
        break;
    }
}

static void net_ready(int fd, void *arg)
{
    struct enforce *e = arg;
    enum ipc_kind kind;

    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        int r = ipc_receive(fd, &kind, e->message, sizeof(*e->message));

        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            log_warn("the network half is gone; enforcing goes on");
            watch_free(e->net_watch);
            e->net_watch = NULL;
            loop_stop(e->loop); /* The supervisor starts both halves again. */
            return;
        }
        take_message(e, kind, e->message);
    }
}

/* ---- Timers and signals
 * -------------------------------------------------------------------------------------- */

static void watch_now(void *arg)
{
    struct enforce *e = arg;

    host_watch(e->host);
    timer_start(e->watch_timer, WATCH_MS);
}

static void flush_now(void *arg)
{
    struct enforce *e = arg;

    (void)host_drain(e->host); /* Connections that pass do not wake us. */
    if (++e->n_flushes % (1000 / FLUSH_MS) == 0)
        host_flush(e->host);
    report_flush(e->report, enforce_unix_ms());
    if (e->n_flushes % 120 == 0)
        report_forget_names(e->report);
    if (e->trust_unsaved && e->running && !e->pending.revision &&
        state_save(e->options.state_dir, "program", e->running) == 0)
        e->trust_unsaved = false;
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
                (unsigned long long)host_revision(e->host));
        return;
    }
    if (e->running && p->revision <= e->running->revision)
        e->running->revision = p->revision;
    (void)enforce_take_program(e, TAKE_PTR(p), 0);
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

/* Before the first policy: everybody may do everything, and is watched doing it. */
static struct program *learning_program(void)
{
    struct program *p = program_new();

    p->mode = MODE_LEARN;
    p->addresses = xcalloc(1, sizeof *p->addresses);
    p->n_addresses = 1; /* ::/0 */
    return p;
}

static int load_stored(struct enforce *e, struct program **ret_p)
{
    const char *dir = e->options.state_dir;
    int r;

    e->pending = state_pending(dir);
    if (e->pending.revision && e->pending.deadline_ns <= state_now_ns()) {
        r = state_load(dir, "former", ret_p);
        log_warn("revision %llu was never confirmed: going back",
                 (unsigned long long)e->pending.revision);
        if (r == 0) {
            (void)state_save(dir, "program", *ret_p);
            end_pending(e);
            return 0;
        }
    }
    r = state_load(dir, "program", ret_p);
    if (r == -EBADMSG) {
        log_err("the stored policy is damaged and was moved aside; the kernel's, or the former, "
                "goes on until the controller sends one");
        r = state_load(dir, "former", ret_p);
    }
    if (r == 0 && e->pending.revision != (*ret_p)->revision)
        end_pending(e);
    return r;
}

static int first_program(struct enforce *e, struct buf *why)
{
    CLEANUP(program_freep) struct program *p = NULL;
    int r;

    if (e->options.program_file)
        r = read_program_file(e->options.program_file, &p, why);
    else
        r = load_stored(e, &p);
    if (r < 0 && e->options.program_file)
        return r;
    if (r < 0 && host_revision(e->host) > 0) {
        log_warn("no stored policy: the kernel goes on with revision %llu",
                 (unsigned long long)host_revision(e->host));
        return 0;
    }
    if (r == 0 && !e->options.program_file && p->revision < host_revision(e->host)) {
        log_warn("the kernel enforces revision %llu, newer than the stored %llu: keeping it",
                 (unsigned long long)host_revision(e->host), (unsigned long long)p->revision);
        return 0;
    }
    if (r == -EBADMSG) {
        buf_puts(why, "the stored policy is damaged and there is none in the kernel: refusing to "
                      "start open; enroll again, or remove the .bad file to start in learn mode");
        return r;
    }
    if (!p)
        p = learning_program();
    r = host_apply(e->host, p, why);
    if (r == 0)
        set_running(e, TAKE_PTR(p));
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

static int make_dir(const char *path, struct buf *why)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    buf_printf(why, "cannot make %s: %s", path, strerror(errno));
    return -errno;
}

/* One agent an instance: two would fight over the hooks. */
static int take_lock(struct enforce *e, struct buf *why)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/lock", e->options.run_dir);
    e->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd >= 0 && fcntl(e->lock_fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    buf_printf(why, "another agent runs with %s", e->options.run_dir);
    return -EBUSY;
}

static int start(struct enforce *e, struct buf *why)
{
    const struct enforcer_events events = {.flow = on_flow, .notice = on_notice, .arg = e};
    int r = make_dir(e->options.state_dir, why);

    if (r == 0)
        r = make_dir(e->options.run_dir, why);
    if (r == 0)
        r = take_lock(e, why);
    if (r == 0 && e->options.flows_file) {
        e->flows = fopen(e->options.flows_file, "ae");
        if (!e->flows) {
            buf_printf(why, "%s: %s", e->options.flows_file, strerror(errno));
            r = -errno;
        }
    }
    if (r == 0)
        r = host_new(&e->options.host, &events, &e->host, why);
    if (r == 0)
        r = first_program(e, why);
    if (r == 0)
        r = host_attach(e->host, why);
    if (r == 0)
        r = enforce_listen_status(e, why);
    if (r == 0 && !e->options.keep_capabilities && keep_few_capabilities() < 0)
        log_warn("cannot drop capabilities; going on with all of them");
    return r;
}

static void finish(struct enforce *e)
{
    report_flush(e->report, UINT64_MAX / 2);
    if (e->flows)
        (void)fclose(e->flows);
    enforce_end_status(e);
    watch_free(e->net_watch);
    watch_free(e->events_watch);
    watch_free(e->links_watch);
    timer_free(e->watch_timer);
    timer_free(e->flush_timer);
    timer_free(e->confirm_timer);
    host_free(e->host);
    report_free(e->report);
    program_free(e->running);
    buf_done(&e->incoming);
    free(e->message);
    fd_closep(&e->lock_fd);
    loop_free(e->loop);
}

int enforce_run(const struct enforce_options *options)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct enforce e = {.options = *options, .lock_fd = -1, .status_fd = -1};
    sigset_t hangup;
    int r;

    /* Until the loop takes it, a SIGHUP waits; its default would end us. */
    (void)sigemptyset(&hangup);
    (void)sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &hangup, NULL);
    e.loop = loop_new();
    e.report = report_new(give_record, &e);
    e.message = xcalloc(1, sizeof *e.message);
    e.confirm_timer = timer_new(e.loop, go_back, &e);
    e.watch_timer = timer_new(e.loop, watch_now, &e);
    e.flush_timer = timer_new(e.loop, flush_now, &e);
    r = start(&e, &why);
    if (r < 0) {
        log_err("%s", buf_str(&why));
        finish(&e);
        return 1;
    }
    e.events_watch = watch_new(e.loop, host_events_fd(e.host), events_ready, &e);
    e.links_watch = watch_new(e.loop, host_link_fd(e.host), links_ready, &e);
    if (options->net_fd >= 0)
        e.net_watch = watch_new(e.loop, options->net_fd, net_ready, &e);
    loop_on_signal(e.loop, SIGTERM, on_signal, &e);
    loop_on_signal(e.loop, SIGINT, on_signal, &e);
    loop_on_signal(e.loop, SIGHUP, on_signal, &e);
    (void)sigprocmask(SIG_UNBLOCK, &hangup, NULL);
    timer_start(e.watch_timer, WATCH_MS);
    timer_start(e.flush_timer, FLUSH_MS);
    start_clock(&e);
    log_info("enforcing on %s, revision %llu", options->host.cgroup,
             (unsigned long long)host_revision(e.host));
    tell_status(&e);
    loop_run(e.loop);
    log_info("stopping; the kernel goes on enforcing revision %llu",
             (unsigned long long)host_revision(e.host));
    finish(&e);
    return 0;
}
