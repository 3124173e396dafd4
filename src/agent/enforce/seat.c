/* SPDX-License-Identifier: Apache-2.0 */
/* See seat.h. */
#include "agent/enforce/seat.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "wire/records.h"

enum { RETRY_MS = 400 };

static const char *name_of(const struct seat *s)
{
    return s->port.endpoint[0] ? s->port.endpoint : "this machine";
}

void seat_ack(struct seat *s, uint64_t revision, enum ipc_result result, enum ipc_reason reason,
              const char *text)
{
    struct ipc_ack ack = {.revision = revision,
                          .trust_sequence = s->trust_sequence,
                          .result = (uint32_t)result,
                          .reason = (uint32_t)reason};

    (void)snprintf(ack.text, sizeof(ack.text), "%s", text);
    (void)s->ops->tell(s, IPC_ACK, &ack, sizeof(ack));
}

void seat_start_clock(struct seat *s)
{
    uint64_t now = state_now_ns();

    if (!s->pending.revision)
        timer_stop(s->confirm_timer);
    else
        timer_start(s->confirm_timer, s->pending.deadline_ns > now
                                          ? (s->pending.deadline_ns - now) / 1000000 + 1
                                          : 1);
}

/* Of the running program, or the one before. */
static void name_rule(void *arg, struct ipc_flow *flow)
{
    const struct seat *s = arg;
    const struct program *p = s->running;
    const char *name = "";

    if (flow->rule_name[0])
        return;
    if (p && flow->revision == p->revision && flow->rule && flow->rule <= p->n_rules)
        name = p->rules[flow->rule - 1].id;
    else if (flow->revision == s->former_revision && flow->rule && flow->rule <= s->n_former_rules)
        name = s->former_rules[flow->rule - 1].id;
    (void)snprintf(flow->rule_name, sizeof(flow->rule_name), "%s", name);
}

void seat_set_running(struct seat *s, struct program *p)
{
    if (s->running) { /* What was judged by it is still to be told, by its names. */
        report_name_rules(s->report, name_rule);
        free(s->former_rules);
        s->n_former_rules = s->running->n_rules;
        s->former_revision = s->running->revision;
        s->former_rules = TAKE_PTR(s->running->rules);
        s->running->n_rules = 0;
    }
    program_free(s->running);
    s->running = p;
}

static void end_pending(struct seat *s)
{
    s->pending = (struct pending){.revision = 0};
    (void)state_set_pending(s->dir, &s->pending);
    state_remove(s->dir, "former");
    seat_start_clock(s);
}

/* Nobody confirmed: what ran before runs again. */
static void go_back(void *arg)
{
    CLEANUP(program_freep) struct program *former = NULL;
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct seat *s = arg;
    uint64_t revision = s->pending.revision;

    if (!revision)
        return;
    if (state_load(s->dir, "former", &former) < 0 || state_save(s->dir, "program", former) < 0 ||
        s->ops->apply(s, former, &why) < 0) {
        log_err("revision %llu was not confirmed, and the former program cannot be restored, "
                "keeping it: %s",
                (unsigned long long)revision, buf_str(&why));
        timer_start(s->confirm_timer, RETRY_MS);
        return;
    }
    log_warn("%s: revision %llu was not confirmed in time: back to %llu", name_of(s),
             (unsigned long long)revision, (unsigned long long)former->revision);
    seat_set_running(s, TAKE_PTR(former));
    end_pending(s);
    seat_ack(s, s->running->revision, IPC_ROLLED_BACK, IPC_REASON_NONE, "not confirmed in time");
}

/* Writes down what to go back to before anything changes. */
static int begin_pending(struct seat *s, uint64_t revision, uint32_t confirm_s)
{
    struct pending p = {.revision = revision,
                        .deadline_ns = state_now_ns() + confirm_s * UINT64_C(1000000000)};
    int r = 0;

    /* A change upon an unconfirmed one goes back to before both. */
    if (!s->pending.revision)
        r = state_save(s->dir, "former", s->running);
    if (r == 0)
        r = state_set_pending(s->dir, &p);
    if (r == 0)
        s->pending = p;
    return r;
}

int seat_take_program(struct seat *s, struct program *taken, uint32_t confirm_s)
{
    CLEANUP(program_freep) struct program *p = taken;
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct pending before = s->pending;
    uint64_t revision = p->revision;
    int r = 0;

    if (s->port.endpoint[0] && strcmp(p->endpoint, s->port.endpoint) != 0) {
        seat_ack(s, revision, IPC_REFUSED, IPC_REASON_INVALID,
                 "this program is for another endpoint");
        return -EINVAL;
    }
    if (s->running && revision < s->running->revision) {
        buf_printf(&why, "revision %llu is older than %llu, which runs",
                   (unsigned long long)revision, (unsigned long long)s->running->revision);
        seat_ack(s, revision, IPC_REFUSED, IPC_REASON_OLDER, buf_str(&why));
        return -ESTALE;
    }
    if (confirm_s && s->running)
        r = begin_pending(s, revision, confirm_s);
    if (r == 0)
        r = s->ops->apply(s, p, &why);
    if (r == 0)
        r = state_save(s->dir, "program", p);
    if (r < 0) {
        log_err("%s: revision %llu: refused, keeping %llu: %s", name_of(s),
                (unsigned long long)revision, (unsigned long long)s->ops->revision(s),
                why.size ? buf_str(&why) : strerror(-r));
        s->pending = before;
        (void)state_set_pending(s->dir, &s->pending);
        seat_ack(s, revision, IPC_REFUSED, r == -E2BIG ? IPC_REASON_FULL : IPC_REASON_KERNEL,
                 why.size ? buf_str(&why) : strerror(-r));
        return r;
    }
    log_info("%s: revision %llu runs: %zu entries, %zu addresses%s", name_of(s),
             (unsigned long long)revision, p->n_entries, p->n_addresses,
             confirm_s ? ", awaiting confirmation" : "");
    seat_set_running(s, TAKE_PTR(p));
    if (!confirm_s && s->pending.revision)
        end_pending(s);
    seat_start_clock(s);
    seat_ack(s, revision, IPC_RUNNING, IPC_REASON_NONE, "");
    return 0;
}

void seat_confirm(struct seat *s, uint64_t revision)
{
    if (!s->pending.revision || revision != s->pending.revision) {
        seat_ack(s, revision, IPC_REFUSED, IPC_REASON_OTHER, "nothing of that revision awaits");
        return;
    }
    end_pending(s);
    log_info("%s: revision %llu is confirmed", name_of(s), (unsigned long long)revision);
    seat_ack(s, revision, IPC_CONFIRMED, IPC_REASON_NONE, "");
}

/* Trust of one address: in the kernel at once, and in the program that would be restored. */
void seat_take_trust(struct seat *s, const struct ipc_trust *t)
{
    bool self = false;
    int r = 0;

    if (t->trust > TRUST_BLACK || t->sequence < s->trust_sequence || t->sequence < s->trust_taken ||
        !s->running)
        return;
    for (size_t i = 0; i < s->running->n_addresses; i++) {
        struct program_address *a = &s->running->addresses[i];

        if (a->length != 128 || address_compare(&a->address, &t->address) != 0)
            continue;
        a->trust = (uint8_t)t->trust;
        self = self || a->self;
    }
    r = s->ops->set_trust(s, &t->address, self, (enum trust)t->trust);
    if ((r == 0 || r == -EINPROGRESS) && self)
        s->running->trust = (enum trust)t->trust;
    if (r < 0 && r != -EINPROGRESS) {
        log_err("cannot change trust: %s", strerror(-r));
        return;
    }
    s->trust_taken = t->sequence;
    if (r == 0)
        seat_trust_holds(s);
}

void seat_trust_holds(struct seat *s)
{
    if (s->trust_taken > s->trust_sequence)
        s->trust_sequence = s->trust_taken;
    s->trust_unsaved = true; /* Written down by the next flush: the kernel comes first. */
    seat_ack(s, s->running->revision, IPC_RUNNING, IPC_REASON_NONE, "trust");
}

/* ---- from the other half ---- */

void seat_take_piece(struct seat *s, const struct ipc_piece *piece)
{
    CLEANUP(program_freep) struct program *p = NULL;
    const char *what;
    int r;

    if (piece->size > IPC_PIECE_SIZE || s->incoming.size + piece->size > s->incoming_size) {
        buf_reset(&s->incoming);
        s->incoming_size = 0;
        return;
    }
    buf_add(&s->incoming, piece->bytes, piece->size);
    if (s->incoming.size < s->incoming_size)
        return;
    r = program_decode(s->incoming.data, s->incoming.size, &p, &what);
    buf_done(&s->incoming);
    s->incoming_size = 0;
    if (r < 0) {
        seat_ack(s, 0, IPC_REFUSED, IPC_REASON_INVALID, what);
        return;
    }
    if (s->incoming_trust > s->trust_sequence)
        s->trust_sequence = s->incoming_trust;
    (void)seat_take_program(s, TAKE_PTR(p), s->incoming_confirm_s);
}

void seat_announce(struct seat *s, const struct ipc_program *a)
{
    buf_reset(&s->incoming);
    s->incoming_size = a->size <= IPC_MAX_PROGRAM ? a->size : 0;
    s->incoming_confirm_s = a->confirm_s <= 86400 ? a->confirm_s : 86400;
    s->incoming_trust = a->trust_sequence;
}

/* ---- start and end ---- */

int seat_load_stored(struct seat *s, struct program **ret_p)
{
    const char *dir = s->dir;
    int r;

    s->pending = state_pending(dir);
    if (s->pending.revision && s->pending.deadline_ns <= state_now_ns()) {
        r = state_load(dir, "former", ret_p);
        log_warn("%s: revision %llu was never confirmed: going back", name_of(s),
                 (unsigned long long)s->pending.revision);
        if (r == 0) {
            (void)state_save(dir, "program", *ret_p);
            end_pending(s);
            return 0;
        }
    }
    r = state_load(dir, "program", ret_p);
    if (r == -EBADMSG) {
        log_err("the stored policy is damaged and was moved aside; the kernel's, or the former, "
                "goes on until the controller sends one");
        if (state_load(dir, "former", ret_p) == 0)
            r = 0;
    }
    if (r == 0 && s->pending.revision != (*ret_p)->revision)
        end_pending(s);
    return r;
}

void seat_save_trust(struct seat *s)
{
    if (s->trust_unsaved && s->running && !s->pending.revision &&
        state_save(s->dir, "program", s->running) == 0)
        s->trust_unsaved = false;
}

static bool give_record(void *arg, const struct ipc_flow *flow)
{
    struct seat *s = arg;
    struct ipc_flow told = *flow;

    name_rule(s, &told);
    return s->ops->tell(s, IPC_FLOW, &told, sizeof(told)) == 0;
}

void seat_init(struct seat *s, struct loop *l, const struct seat_ops *ops, void *owner,
               const char *dir)
{
    *s = (struct seat){.ops = ops, .owner = owner, .number = SEAT_UNTOLD};
    (void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
    s->confirm_timer = timer_new(l, go_back, s);
    s->report = report_new(give_record, s);
}

void seat_done(struct seat *s)
{
    report_flush(s->report, REPORT_ALL);
    report_free(s->report);
    timer_free(s->confirm_timer);
    program_free(s->running);
    free(s->former_rules);
    buf_done(&s->incoming);
}
