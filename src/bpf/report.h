/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* report.h - events to user space, and exact counts of those that were lost */
#pragma once

#include "bpf/judge.h"

#define SECOND_NS 1000000000ull

/* Waking the agent for each event costs more than judging it.  It looks twice a second by itself,
 * so connections that pass wait for that, unless the ring fills; what is denied wakes it at once.
 */
static __always_inline __u64 lazily(void)
{
    return wake_when_filling(bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA), EVENTS_SIZE);
}

static __always_inline void fill_event(struct abi_event *e, __u32 kind, const struct connection *c,
                                       const struct decision *d)
{
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = kind;
    e->count = 1;
    e->time_ns = bpf_ktime_get_ns();
    e->active = d->active;
    e->file = c->file;
    e->remote = c->remote;
    e->identity = d->identity;
    e->rule = d->rule;
    e->uid = c->uid;
    e->pid = c->pid;
    e->port = c->port;
    e->protocol = c->protocol;
    e->direction = c->direction;
    e->verdict = d->verdict;
    e->layer = d->layer;
}

static __always_inline void first_denial(const struct abi_denial_key *key, const struct decision *d,
                                         __u64 now, __u64 pending)
{
    struct abi_denial first = {.reported_ns = now,
                               .pending = pending,
                               .identity = d->identity,
                               .rule = d->rule,
                               .layer = d->layer};

    if (bpf_map_update_elem(&denials, key, &first, BPF_ANY) && pending)
        count(ABI_COUNT_LOST_DENIAL);
}

/* A denial: at most one event a second for each (program, user, peer, port); the rest is counted
 * and reported with the next one, or by the agent's sweep of the map. */
__noinline int report_denial(const struct connection *c, const struct decision *d)
{
    struct abi_denial_key key = {};
    struct abi_denial *seen;
    __u64 now = bpf_ktime_get_ns(), n = 1;
    struct abi_event *e;

    if (!c || !d)
        return 0;
    count(ABI_COUNT_DENIED);
    key.file = c->file;
    key.remote = c->remote;
    key.uid = c->uid;
    key.port = c->port;
    key.protocol = c->protocol;
    key.direction = c->direction;
    seen = bpf_map_lookup_elem(&denials, &key);
    if (seen && now - seen->reported_ns < SECOND_NS) {
        __sync_fetch_and_add(&seen->pending, 1);
        return 0;
    }
    if (seen)
        n += __sync_lock_test_and_set(&seen->pending, 0);
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) { /* Ring full: what is pending is found by the agent's sweep of the map. */
        if (seen)
            __sync_fetch_and_add(&seen->pending, n);
        else
            first_denial(&key, d, now, n);
        return 0;
    }
    fill_event(e, ABI_EVENT_FLOW, c, d);
    e->count = n;
    /* Forced: unread events of connections that passed would else keep the agent asleep. */
    bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
    if (seen)
        seen->reported_ns = now;
    else
        first_denial(&key, d, now, 0);
    return 0;
}

/* A connection or flow that passes, once. */
__noinline int report_flow(const struct connection *c, const struct decision *d)
{
    struct abi_event *e;

    if (!c || !d)
        return 0;
    count(d->verdict == ABI_ALLOW ? ABI_COUNT_ALLOWED : ABI_COUNT_WOULD_DENY);
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        count(ABI_COUNT_LOST_FLOW);
        return 0;
    }
    fill_event(e, ABI_EVENT_FLOW, c, d);
    bpf_ringbuf_submit(e, lazily());
    return 0;
}

/* The bytes of a connection since the last report. */
__noinline int report_close(struct abi_socket *s)
{
    struct abi_event *e;

    if (!s || !(s->flags & ABI_SOCKET_JUDGED))
        return 0;
    if (s->bytes_out == s->sent_out && s->bytes_in == s->sent_in)
        return 0;
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        count(ABI_COUNT_LOST_CLOSE);
        return 0;
    }
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = ABI_EVENT_CLOSE;
    e->count = 1;
    e->time_ns = bpf_ktime_get_ns();
    e->active = s->active;
    e->file = s->file;
    e->remote = s->remote;
    e->bytes_out = s->bytes_out - s->sent_out;
    e->bytes_in = s->bytes_in - s->sent_in;
    e->identity = s->identity;
    e->rule = s->rule;
    e->uid = s->uid;
    e->pid = s->pid;
    e->port = s->port;
    e->protocol = s->protocol;
    e->direction = s->direction;
    e->verdict = s->verdict;
    e->layer = s->layer;
    s->sent_out = s->bytes_out;
    s->sent_in = s->bytes_in;
    bpf_ringbuf_submit(e, lazily());
    return 0;
}

enum { CLOSED, OPEN }; /* What a hook says. */

static __always_inline void remember(struct abi_socket *s, const struct connection *c,
                                     const struct decision *d)
{
    s->active = d->active;
    s->remote = c->remote;
    s->identity = d->identity;
    s->rule = d->rule;
    s->port = c->port;
    s->protocol = c->protocol;
    s->direction = c->direction;
    s->verdict = d->verdict;
    s->layer = d->layer;
    s->flags |= ABI_SOCKET_JUDGED;
}

/* Judges, remembers and reports.  Returns OPEN or CLOSED. */
static __always_inline int judge_socket(struct abi_socket *s, struct connection *c)
{
    struct decision d;

    c->file = s->file;
    c->uid = s->uid;
    c->pid = s->pid;
    judge(c, &d);
    remember(s, c, &d);
    if (d.verdict == ABI_DENY) {
        report_denial(c, &d);
        return CLOSED;
    }
    if (!(s->flags & ABI_SOCKET_REPORTED)) {
        s->flags |= ABI_SOCKET_REPORTED;
        report_flow(c, &d);
    }
    return OPEN;
}
