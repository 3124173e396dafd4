/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_judge.h - the verdict of one port's program, and the events that tell of it */
#pragma once

#include "bpf/edge_maps.h"

#define SECOND_NS 1000000000ull

/* What one frame needs on its way through the functions: all frames of the stack together have 512
 * bytes.  Classifiers run with bottom halves off, so one a processor is enough. */
/* A request that was refused, for the answer (edge_answer.h).  Numbers as the client counts. */
struct refusal {
    __u32 asked;    /* There is one. */
    __u32 next;     /* Number of the byte that the server waits for. */
    __u32 after;    /* Of the byte behind the segment. */
    __u32 answered; /* Of the byte that the client waits for. */
    __u32 transport;
    __u16 transaction;
    __u8 tcp_header;
    __u8 v6;
    __u8 unit;
    __u8 function; /* 0: the request cannot be read. */
    __u8 pad[2];
};

struct scratch {
    union {
        struct edge_flow_key key;
        struct edge_due due; /* Begins with it. */
    };
    __u64 now;      /* CLOCK_MONOTONIC, coarse: when the frame's flow was looked up. */
    __u32 function; /* Asked for; 0: none. */
    struct connection c;
    struct decision d;
    struct refusal refusal;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&scratches, &zero);
}

/* The entry that decides: the view of core/edge_view.h has none that refine but by function. */
static __always_inline const struct abi_entry *find_entry(__u32 index, struct abi_entry_key *key,
                                                          __u32 function)
{
    void *inner = bpf_map_lookup_elem(&entries, &index);
    const struct abi_entry *base, *e;

    if (!inner)
        return NULL;
    base = bpf_map_lookup_elem(inner, key);
    if (!base && key->service) {
        key->service = 0;
        base = bpf_map_lookup_elem(inner, key);
    }
    if (!base || !function || !(base->refine & ABI_REFINE_FUNCTION))
        return base;
    key->process = ABI_FUNCTION | function;
    e = bpf_map_lookup_elem(inner, key);
    if (!e) {
        key->process = ABI_FUNCTION; /* Any other one. */
        e = bpf_map_lookup_elem(inner, key);
    }
    return e ? e : base;
}

/* Judges the connection in the scratch; the decision is put beside it.  Everything unknown is
 * closed. */
__noinline int edge_judge(__u32 number)
{
    const struct edge_config *cfg = get_config();
    struct scratch *s = get_scratch();
    struct abi_entry_key key = {};
    const struct edge_port *port;
    struct decision *d;
    struct own_end own;
    __u32 mode, slot;

    if (!s)
        return 0;
    d = &s->d;
    __builtin_memset(d, 0, sizeof(*d));
    d->verdict = ABI_DENY;
    d->layer = ABI_LAYER_DEFAULT;
    port = get_port(number);
    if (!cfg || !port || !port->active)
        return 0;
    d->active = port->active;
    slot = d->active & 1;
    own.index = number * ABI_SLOTS + slot;
    own.trust = port->trust;
    own.has_suspects = cfg->flags & EDGE_FLAG_SUSPECTS;
    own.slot = &port->slots[slot];
    if (judge_begin(&own, &s->c, d, &key, &mode) == UNDECIDED)
        judge_end(find_entry(own.index, &key, s->function), key.suspect, mode, d);
    return 0;
}

/* Waking the agent for each event costs more than judging it; it looks twice a second by itself. */
static __always_inline __u64 lazily(void)
{
    return wake_when_filling(bpf_ringbuf_query(&edge_events, BPF_RB_AVAIL_DATA), EVENTS_SIZE);
}

static __always_inline void fill_event(struct edge_event *e, __u32 number, const struct scratch *s,
                                       __u64 now)
{
    const struct connection *c = &s->c;
    const struct decision *d = &s->d;

    __builtin_memset(e, 0, sizeof(*e));
    e->kind = ABI_EVENT_FLOW;
    e->number = number;
    e->count = 1;
    e->time_ns = now;
    e->active = d->active;
    e->remote = c->remote;
    e->local = s->key.local;
    e->identity = d->identity;
    e->rule = d->rule;
    e->port = c->port;
    e->protocol = c->protocol;
    e->direction = c->direction;
    e->verdict = d->verdict;
    e->layer = d->layer;
}

static __always_inline void first_denial(__u32 number, const struct edge_denial_key *key,
                                         const struct decision *d, __u64 now, __u64 pending)
{
    struct abi_denial first = {.reported_ns = now,
                               .pending = pending,
                               .identity = d->identity,
                               .rule = d->rule,
                               .layer = d->layer};

    if (bpf_map_update_elem(&edge_denials, key, &first, BPF_ANY) && pending)
        count(number, EDGE_COUNT_LOST_DENIAL);
}

/* At most one event a second for each (port, peer, service); the rest is counted and told with the
 * next one, or by user space's sweep of the map. */
__noinline int report_denial(__u32 number)
{
    const struct scratch *s = get_scratch();
    const struct connection *c;
    struct edge_denial_key key = {.number = number};
    struct abi_denial *seen;
    __u64 now = bpf_ktime_get_ns(), n = 1;
    struct edge_event *e;

    if (!s)
        return 0;
    c = &s->c;
    key.remote = c->remote;
    key.port = c->port;
    key.protocol = c->protocol;
    key.direction = c->direction;
    seen = bpf_map_lookup_elem(&edge_denials, &key);
    if (seen && now - seen->reported_ns < SECOND_NS) {
        __sync_fetch_and_add(&seen->pending, 1);
        return 0;
    }
    if (seen)
        n += __sync_lock_test_and_set(&seen->pending, 0);
    e = bpf_ringbuf_reserve(&edge_events, sizeof(*e), 0);
    if (!e) { /* Ring full: what is pending is found by the sweep of the map. */
        if (seen)
            __sync_fetch_and_add(&seen->pending, n);
        else
            first_denial(number, &key, &s->d, now, n);
        return 0;
    }
    fill_event(e, number, s, now);
    e->count = n;
    bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
    if (seen)
        seen->reported_ns = now;
    else
        first_denial(number, &key, &s->d, now, 0);
    return 0;
}

/* A flow that passes, once. */
__noinline int report_flow(__u32 number)
{
    const struct scratch *s = get_scratch();
    struct edge_event *e;

    if (!s)
        return 0;
    count(number, s->d.verdict == ABI_ALLOW ? EDGE_COUNT_ALLOWED : EDGE_COUNT_WOULD_DENY);
    e = bpf_ringbuf_reserve(&edge_events, sizeof(*e), 0);
    if (!e) {
        count(number, EDGE_COUNT_LOST_FLOW);
        return 0;
    }
    fill_event(e, number, s, s->now);
    bpf_ringbuf_submit(e, lazily());
    return 0;
}
