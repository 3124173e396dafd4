/* SPDX-License-Identifier: Apache-2.0 */
/* See nft_seat.h. */
#include "agent/enforce/nft_seat.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "enforce/nft/nft.h"

#define TABLE_TEXT "table inet suimitsu"
enum { RETRY_MS = 400 };

static struct enforce *owner_of(const struct seat *s)
{
    return s->owner;
}

/* ---- what nft cannot check ---- */

/* Of conditions on who talks; NULL: there is none.  Users are asked for at the source only, and
 * functions are an edge's. */
static const struct program_entry *find_condition(const struct program *p)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct program_entry *e = &p->entries[i];

        if ((e->process && !(e->process & PROGRAM_FUNCTION)) ||
            (e->user && e->direction == DIRECTION_OUT))
            return e;
    }
    return NULL;
}

static int refuse_conditions(const struct program *p, struct buf *why)
{
    const struct program_entry *e = find_condition(p);

    if (!e)
        return 0;
    buf_puts(why, "E-WIDEN: nft cannot check programs or users");
    if (e->rule)
        buf_printf(why, ", which rule %s asks for", p->rules[e->rule - 1].id);
    buf_printf(why, "; say enforcers: [nft] of %s in the inventory, and let its rules do without",
               p->endpoint);
    return -EOPNOTSUPP;
}

/* ---- the seat ---- */

static int apply(struct seat *s, const struct program *p, struct buf *why)
{
    struct enforce *e = owner_of(s);
    int r = refuse_conditions(p, why);

    if (r == 0)
        r = nft_load(e->nft, p, why);
    if (r == -EBUSY) { /* It is in force; the next round of the watch loads it again. */
        log_warn("revision %llu: %s", (unsigned long long)p->revision, buf_str(why));
        e->nft_unsure = true;
        return 0;
    }
    return r;
}

/* The seat's program has the address already.  A table is replaced as a whole, so what comes in one
 * go is done in one go: an outbreak is hundreds of these. */
static int set_trust(struct seat *s, const struct address *address, bool own, enum trust trust)
{
    struct enforce *e = owner_of(s);

    (void)address;
    (void)own;
    (void)trust;
    timer_start(e->nft_trust_timer, 0);
    return -EINPROGRESS;
}

static void trust_now(void *arg)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct enforce *e = arg;
    struct seat *s = &e->host_seat;
    int r = s->running ? apply(s, s->running, &why) : 0;

    if (r == 0) {
        seat_trust_holds(s);
        return;
    }
    log_err("cannot change trust, trying again: %s", why.size ? buf_str(&why) : strerror(-r));
    timer_start(e->nft_trust_timer, RETRY_MS);
}

static uint64_t revision(const struct seat *s)
{
    const struct enforce *e = s->owner;

    return e->nft ? nft_revision(e->nft) : 0;
}

const struct seat_ops nft_seat_ops = {
    .apply = apply, .set_trust = set_trust, .revision = revision, .tell = enforce_tell};

/* ---- rounds ---- */

static void tell_failure(struct enforce *e, const char *what)
{
    char text[IPC_TEXT_SIZE];

    if (e->nft_failing)
        return; /* Told already; it is tried again in each round. */
    e->nft_failing = true;
    (void)snprintf(text, sizeof(text), TABLE_TEXT " cannot be vouched for: %s", what);
    enforce_notice(e, NOTICE_TAMPER, text);
}

void nft_seat_watch(struct enforce *e)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    int r = nft_check(e->nft, &why);

    if (r == -ENOENT)
        return;
    if (r < 0) {
        tell_failure(e, why.size ? buf_str(&why) : strerror(-r));
        return;
    }
    if (r > 0 && !e->nft_unsure) {
        e->nft_tampers++;
        enforce_notice(e, NOTICE_TAMPER,
                       TABLE_TEXT " was changed by somebody else; it has been loaded again");
    }
    if (e->nft_failing)
        log_info(TABLE_TEXT " is in force again");
    e->nft_failing = false;
    e->nft_unsure = false;
}

void nft_seat_status(const struct enforce *e, struct ipc_status *ret_s)
{
    *ret_s = (struct ipc_status){.revision = nft_revision(e->nft),
                                 .trust_sequence = e->host_seat.trust_sequence,
                                 .n_hooks = 1,
                                 .can_destroy = true, /* By a reset with the next packet. */
                                 .n_tampers = e->nft_tampers};
    (void)snprintf(ret_s->hooks[0].name, sizeof(ret_s->hooks[0].name), "nft " TABLE_TEXT);
    ret_s->hooks[0].attached = e->host_seat.running && !e->nft_failing;
}

/* ---- start and end ---- */

/* A stored program that nft cannot carry out was a host enforcer's here.  Only the controller can
 * mend that, so we start without it; it will say so again, or send one that does. */
static int start_program(struct enforce *e, bool held, struct buf *why)
{
    CLEANUP(program_freep) struct program *p = NULL;
    int r = enforce_first_program(e, held, 0, why);

    if (r != -EOPNOTSUPP || e->options.program_file)
        return r;
    log_err("the stored policy is refused, %s: %s",
            held ? "the table that the kernel holds goes on"
                 : "all is allowed until the controller sends another",
            buf_str(why));
    buf_reset(why);
    if (held)
        return 0;
    p = enforce_learning_program();
    r = apply(&e->host_seat, p, why);
    if (r == 0)
        seat_set_running(&e->host_seat, TAKE_PTR(p));
    return r;
}

int nft_seat_start(struct enforce *e, struct buf *why)
{
    int r;

    if (access(e->options.host.pin_dir, F_OK) == 0) {
        buf_printf(why,
                   "the host enforcer's programs are still attached (%s), and would judge by their "
                   "last policy beside nft; end them first: suimitsu-agent detach",
                   e->options.host.pin_dir);
        return -EBUSY;
    }
    r = nft_new(&(struct nft_options){.binary = NULL}, &e->nft);
    if (r < 0) {
        buf_printf(why, "cannot speak with nftables: %s", strerror(-r));
        return r;
    }
    e->nft_trust_timer = timer_new(e->loop, trust_now, e);
    r = nft_found(e->nft);
    if (r < 0) {
        buf_printf(why, "cannot run nft: %s", strerror(-r));
        return r;
    }
    return start_program(e, r == NFT_OURS, why);
}

void nft_seat_finish(struct enforce *e)
{
    timer_free(e->nft_trust_timer);
    nft_free(e->nft);
}

/* ---- for commands, without a running agent ---- */

int enforce_nft_try(struct buf *why)
{
    CLEANUP(nft_freep) struct nft *n = NULL;
    CLEANUP(program_freep) struct program *p = enforce_learning_program();
    int r = nft_new(&(struct nft_options){.binary = NULL}, &n);

    if (r == 0)
        r = nft_try(n, p, why);
    if (r < 0 && !why->size)
        buf_puts(why, strerror(-r));
    return r;
}

int enforce_nft_detach(struct buf *why)
{
    CLEANUP(nft_freep) struct nft *n = NULL;
    int r = nft_new(&(struct nft_options){.binary = NULL}, &n);

    if (r == 0)
        r = nft_found(n);
    if (r == NFT_NONE)
        return -ENOENT;
    return r < 0 ? r : nft_detach(n, why);
}
