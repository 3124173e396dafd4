/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_end.h - how long flows stay, how many there may be, who looks at them
 *
 * Each flow is booked to be looked at after TELL_NS: then its bytes are told, and it is booked anew
 * or, when it is idle, removed.  All wait as long, so the book is a queue, and one clock turns it
 * over: in the kernel, so the table needs nobody in user space.  A timer for each flow would be
 * memory, a place in the processor's tree of timers and an interrupt for each: more than all else
 * that a new flow costs (docs/performance.md). */
#pragma once

#include "bpf/edge_judge.h"

#include <linux/pkt_cls.h>

#define TELL_NS (15 * SECOND_NS)     /* After which a flow is looked at. */
#define TURN_NS (4 * 1000 * 1000ull) /* Between two looks at the book, at least. */
#define SWEEP_NS (5 * SECOND_NS)     /* How often a full table is swept, at most. */
#define CLOCK_MONOTONIC 1

enum { MAX_LOOKS = 512 /* In a turn, some 0.1 ms. */, BUSY = 16 /* EBUSY */ };

/* Idle times, as Linux' conntrack has them where it is strict. */
static __always_inline __u64 idle_limit(const struct edge_flow *f, __u8 protocol)
{
    if (protocol == IPPROTO_TCP) {
        switch (f->state) {
        case EDGE_ESTABLISHED:
            return 5 * 24 * 3600 * SECOND_NS;
        case EDGE_HALF_CLOSED:
            return 3600 * SECOND_NS;
        case EDGE_CLOSED:
            return 10 * SECOND_NS;
        default:
            return 60 * SECOND_NS;
        }
    }
    if (protocol == IPPROTO_ICMP)
        return 30 * SECOND_NS;
    return f->kind == EDGE_WHOLE ? 180 * SECOND_NS : 60 * SECOND_NS;
}

/* Another processor may have been quicker with a later packet. */
static __always_inline __u64 idle_ns(const struct edge_flow *f, __u64 now)
{
    return now > f->last_ns ? now - f->last_ns : 0;
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static __always_inline struct edge_use *use_of(__u32 number)
{
    return bpf_map_lookup_elem(&uses, &number);
}

static __always_inline int take_place(__u32 number)
{
    const struct edge_config *cfg = get_config();
    struct edge_use *use = use_of(number);

    if (!cfg || !use || use->half >= cfg->max_port_half || use->flows >= cfg->max_port_flows)
        return -1;
    __sync_fetch_and_add(&use->flows, 1);
    __sync_fetch_and_add(&use->half, 1);
    return 0;
}

/* A port that went away took its counts with it. */
static __always_inline struct edge_use *use_in_epoch(__u32 number, __u32 epoch)
{
    const struct edge_port *port = get_port(number);

    return port && port->epoch == epoch ? use_of(number) : NULL;
}

static __always_inline void give_place(__u32 number, __u32 epoch, __u32 kind)
{
    struct edge_use *use = use_in_epoch(number, epoch);

    if (!use)
        return;
    __sync_fetch_and_add(&use->flows, -1);
    if (kind == EDGE_HALF)
        __sync_fetch_and_add(&use->half, -1);
}

static __always_inline void become_whole(__u32 number, struct edge_flow *f)
{
    struct edge_use *use;

    if (__sync_val_compare_and_swap(&f->kind, EDGE_HALF, EDGE_WHOLE) != EDGE_HALF)
        return;
    use = use_in_epoch(number, f->epoch);
    if (use)
        __sync_fetch_and_add(&use->half, -1);
}

/* ---- The end of a flow ----------------------------------------------------------------------- */

static __always_inline void report_bytes(const struct edge_flow_key *key, struct edge_flow *f,
                                         __u64 now)
{
    struct edge_event *e;

    if (f->bytes[ABI_OUT] == f->sent[ABI_OUT] && f->bytes[ABI_IN] == f->sent[ABI_IN])
        return;
    e = bpf_ringbuf_reserve(&edge_events, sizeof(*e), 0);
    if (!e) {
        count(key->port, EDGE_COUNT_LOST_CLOSE);
        return;
    }
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = ABI_EVENT_CLOSE;
    e->number = key->port;
    e->time_ns = now;
    e->active = f->active;
    e->remote = key->remote;
    e->local = key->local;
    e->bytes[ABI_OUT] = f->bytes[ABI_OUT] - f->sent[ABI_OUT];
    e->bytes[ABI_IN] = f->bytes[ABI_IN] - f->sent[ABI_IN];
    e->identity = f->identity;
    e->rule = f->rule;
    e->port = f->port;
    e->protocol = key->protocol;
    e->direction = f->direction;
    e->verdict = f->verdict;
    e->layer = f->layer;
    f->sent[ABI_OUT] += e->bytes[ABI_OUT];
    f->sent[ABI_IN] += e->bytes[ABI_IN];
    bpf_ringbuf_submit(e, lazily());
}

static __always_inline void end_flow(void *map, const struct edge_flow_key *key,
                                     const struct edge_flow *f)
{
    give_place(key->port, f->epoch, f->kind);
    if (f->reads)
        bpf_map_delete_elem(&edge_streams, key);
    bpf_map_delete_elem(map, key);
}

/* ---- The book -------------------------------------------------------------------------------- */

/* The flow of due->key will be looked at.  A full book is no reason to refuse it: its next packet
 * tries again. */
static __always_inline void book(struct edge_due *due, struct edge_flow *f, __u64 now)
{
    due->due_ns = now + TELL_NS;
    f->due_ns = bpf_map_push_elem(&dues, due, BPF_ANY) ? 0 : due->due_ns;
}

struct turn {
    __u64 now;
    __u64 wait_ns;
};

static long look(__u32 i, struct turn *t)
{
    struct edge_flow *f;
    struct edge_due due;

    (void)i;
    if (bpf_map_peek_elem(&dues, &due))
        return 1;
    if (due.due_ns > t->now) {
        t->wait_ns = due.due_ns - t->now;
        return 1;
    }
    bpf_map_pop_elem(&dues, &due);
    f = bpf_map_lookup_elem(&edge_flows, &due.key);
    if (!f || f->due_ns != due.due_ns)
        return 0; /* It is gone, and perhaps another one has its ends. */
    report_bytes(&due.key, f, t->now);
    if (idle_ns(f, t->now) >= idle_limit(f, due.key.protocol))
        end_flow(&edge_flows, &due.key, f);
    else
        book(&due, f, t->now);
    return 0;
}

static int turn_over(void *map, __u32 *key, struct edge_clock *clock)
{
    struct turn t = {.now = bpf_ktime_get_coarse_ns(), .wait_ns = TELL_NS};

    (void)map;
    (void)key;
    if (bpf_loop(MAX_LOOKS, look, &t, 0) == MAX_LOOKS || t.wait_ns < TURN_NS)
        t.wait_ns = TURN_NS;
    bpf_timer_start(&clock->timer, t.wait_ns, 0);
    return 0;
}

/* Run by the agent, at its start and now and then: from then on the book needs nobody in user
 * space. */
SEC("tc")
int start_clock(struct __sk_buff *skb)
{
    __u32 zero = 0;
    struct edge_clock *clock = bpf_map_lookup_elem(&edge_clock, &zero);
    int r;

    (void)skb;
    if (!clock)
        return TC_ACT_SHOT;
    r = bpf_timer_init(&clock->timer, &edge_clock, CLOCK_MONOTONIC);
    if ((r && r != -BUSY) || bpf_timer_set_callback(&clock->timer, turn_over) ||
        bpf_timer_start(&clock->timer, TURN_NS, 0))
        return TC_ACT_SHOT;
    return TC_ACT_UNSPEC;
}

static long remove_idle(void *map, struct edge_flow_key *key, struct edge_flow *f, __u64 *now)
{
    if (idle_ns(f, *now) >= idle_limit(f, key->protocol))
        end_flow(map, key, f);
    return 0;
}

/* A flow was refused.  Some may be idle and not booked; looking at all of them takes milliseconds,
 * hence seldom. */
__noinline int sweep_flows(void)
{
    __u64 now = bpf_ktime_get_coarse_ns(), *last;
    __u32 zero = 0;

    last = bpf_map_lookup_elem(&swept, &zero);
    if (!last || now - *last < SWEEP_NS)
        return 0;
    *last = now;
    bpf_for_each_map_elem(&edge_flows, remove_idle, &now, 0);
    return 0;
}
