/* SPDX-License-Identifier: Apache-2.0 */
/* Flows on their way: collected, spooled, sent, acknowledged; see internal.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/net/internal.h"
#include "base/log.h"
#include "sys/clock.h"

enum {
    URGENT_MS = 200,  /* What goes at once waits for its neighbours. */
    SPREAD_MS = 3000, /* Not all agents tell their minute in the same moment. */
    RESEND_MS = 30000,
    DIR_SIZE = 512,
    PORT_SHARE = 4, /* A guarded endpoint's spool: this part of the machine's own. */
};

/* ---- sending ---- */

static void send_batch(struct link *n, const struct spool_batch *b)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_FLOWS);

    (void)snprintf(m->flows.endpoint, sizeof(m->flows.endpoint), "%s", link_endpoint(n));
    m->flows.epoch = b->epoch;
    m->flows.sequence = b->sequence;
    m->flows.lost = b->lost < FLOWS_MAX_AMOUNT ? b->lost : FLOWS_MAX_AMOUNT;
    m->flows.interrupted = b->interrupted;
    m->flows.sent_ms = clock_unix_ms();
    m->flows.columns = b->columns;
    m->flows.columns_size = b->size;
    link_say(n, m);
}

static void send_some(struct link *n)
{
    struct spool_batch b;

    if (!n->open || !n->spool)
        return;
    while (spool_next(n->spool, &b))
        send_batch(n, &b);
    if (spool_waits(n->spool) && !timer_is_running(n->resend))
        timer_start(n->resend, RESEND_MS);
}

/* The controller may have had no room for what was sent. */
static void send_again(void *user)
{
    struct link *n = user;

    if (!n->open || !n->spool || !spool_waits(n->spool))
        return;
    spool_rewind(n->spool);
    send_some(n);
}

void telling_connected(struct link *n)
{
    if (n->spool)
        spool_rewind(n->spool);
    send_some(n);
}

void telling_acknowledged(struct link *n, const struct agent_flows_ack *ack)
{
    if (!n->spool || !spool_acknowledge(n->spool, ack->epoch, ack->sequence))
        return;
    timer_stop(n->resend);
    send_some(n);
}

/* ---- collecting ---- */

static void spool_batch(struct link *n, const struct flow_batch *b)
{
    CLEANUP(buf_done) struct buf columns = BUF_INIT;
    int r = -ENOENT;

    if (n->spool) {
        flow_batch_encode(b, &columns);
        r = spool_add(n->spool, columns.data, columns.size, b->n_records);
    }
    if (r < 0 && !n->lost_records)
        log_err("%s: %zu records of flows are lost, and so are more until there is room: %s",
                link_endpoint(n), b->n_records, strerror(-r));
    n->lost_records = r < 0 ? n->lost_records + b->n_records : 0;
}

static void tell(struct link *n, bool all)
{
    for (;;) {
        CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};

        if (!collect_take(n->collect, clock_unix_ms(), all, &b))
            break;
        spool_batch(n, &b);
    }
    send_some(n);
}

static void urgent_now(void *user)
{
    tell(user, false);
}

static void start_minute(struct link *n)
{
    uint64_t into = clock_unix_ms() % FLOW_MINUTE_MS;
    uint16_t spread = 0;

    if (getrandom(&spread, sizeof(spread), GRND_NONBLOCK) < 0)
        spread = (uint16_t)getpid(); /* Spread is all that is wanted. */
    timer_start(n->minute, FLOW_MINUTE_MS - into + COLLECT_LATE_MS + spread % SPREAD_MS);
}

static void minute_ended(void *user)
{
    struct link *n = user;

    tell(n, false);
    start_minute(n);
}

void telling_report(struct link *n)
{
    tell(n, true);
}

void link_take_flow(struct link *n, const struct ipc_flow *f)
{
    if (!n->collect)
        return; /* Cannot be: a seat is announced with its endpoint. */
    if (collect_is_full(n->collect))
        tell(n, true);
    if (collect_add(n->collect, f) && !timer_is_running(n->urgent))
        timer_start(n->urgent, URGENT_MS);
}

void link_take_lost(struct link *n, uint64_t n_records)
{
    log_warn("%s: %llu connections or their bytes will not be told: they came faster than they "
             "could be read",
             link_endpoint(n), (unsigned long long)n_records);
    if (n->spool)
        spool_lose(n->spool, n_records);
}

/* ---- beginning and end ---- */

void telling_begin(struct link *n)
{
    const struct net_options *o = &n->net->options;
    char dir[DIR_SIZE];
    int r = -EINVAL;

    n->collect = collect_new();
    n->urgent = timer_new(n->net->loop, urgent_now, n);
    n->minute = timer_new(n->net->loop, minute_ended, n);
    n->resend = timer_new(n->net->loop, send_again, n);
    /* Names are the controller's; this one becomes a folder's. */
    if (!strchr(link_endpoint(n), '/')) {
        (void)snprintf(dir, sizeof(dir), "%s/spool%s%s", o->dir, link_is_own(n) ? "" : "-",
                       link_is_own(n) ? "" : link_endpoint(n));
        r = spool_open(dir, link_is_own(n) ? o->spool_bytes : o->spool_bytes / PORT_SHARE,
                       &n->spool);
    }
    if (r < 0)
        log_err("%s: no spool in %s, records of flows are lost: %s", link_endpoint(n), o->dir,
                strerror(-r));
    start_minute(n);
}

void telling_end(struct link *n)
{
    if (!n->collect)
        return;
    tell(n, true);
    timer_free(n->urgent);
    timer_free(n->minute);
    timer_free(n->resend);
    collect_free(n->collect);
    if (n->net->told_all)
        spool_close(n->spool);
    else
        spool_free(n->spool);
}
