/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_modbus.h - Modbus requests, read in the TCP stream of their client
 *
 *     transaction:2  protocol:2 (0)  size:2 (of unit, function and data)  unit:1  function:1  data
 *
 * Requests may come in pieces over segments, and several in one segment.  What the server has not
 * acknowledged could be sent again with other contents (the first try with a bad checksum, say), so
 * it is read again then, from where the reader stood at the first unacknowledged byte.  A segment
 * that begins neither there nor at the next byte is dropped: TCP sends it again, in order.
 *
 * A segment with a denied or unreadable request is dropped as a whole, and leaves the reader where
 * it was: nothing behind it can pass. */
#pragma once

#include "bpf/edge_judge.h"

enum {
    MODBUS_HEADER = 8,
    MODBUS_MIN = 2, /* Unit and function. */
    MODBUS_MAX = 254,
    MODBUS_MAX_FUNCTION = 127, /* Above: exceptions, which only servers send. */
    MODBUS_STEPS = 64,         /* Headers and bodies of one segment: 32 requests. */
    TCP_URG = 32,
};

/* Judges the request whose header is complete; who asks whom is in the scratch. */
static __always_inline __u32 judge_request(struct edge_reader *r, __u32 number)
{
    struct scratch *s = get_scratch();
    __u16 size = r->header[4] << 8 | r->header[5];
    __u8 function = r->header[7];

    if (!s)
        return EDGE_NO_PORT;
    if (r->header[2] || r->header[3] || size < MODBUS_MIN || size > MODBUS_MAX || !function ||
        function > MODBUS_MAX_FUNCTION)
        return EDGE_REQUEST;
    s->function = function;
    edge_judge(number);
    s->function = 0;
    if (s->d.verdict == ABI_DENY) {
        report_denial(number);
        return EDGE_FUNCTION;
    }
    r->left = size - MODBUS_MIN;
    r->n = 0;
    return EDGE_PASS;
}

/* Takes a header, a byte of one, or what there is of a body.  Returns how many bytes, or an
 * edge_reason below 0.  A function of its own: the verifier looks at it once, not at each turn. */
__noinline int read_some(struct __sk_buff *skb, struct edge_reader *r, __u32 number, __u32 at,
                         __u32 rest)
{
    __u8 header[MODBUS_HEADER] = {};
    __u32 taken, reason;

    if (!r)
        return -EDGE_NO_PORT;
    if (r->left) {
        taken = r->left < rest ? r->left : rest;
        r->left -= taken;
        return taken;
    }
    if (r->n == 0 && rest >= MODBUS_HEADER) {
        if (bpf_skb_load_bytes(skb, at, header, MODBUS_HEADER))
            return -EDGE_MALFORMED;
        __builtin_memcpy(r->header, header, MODBUS_HEADER);
        taken = r->n = MODBUS_HEADER;
    } else {
        if (bpf_skb_load_bytes(skb, at, header, 1))
            return -EDGE_MALFORMED;
        for (int i = 0; i < MODBUS_HEADER; i++)
            if (i == r->n)
                r->header[i] = header[0];
        r->n++;
        taken = 1;
    }
    if (r->n < MODBUS_HEADER)
        return taken;
    reason = judge_request(r, number);
    return reason == EDGE_PASS ? (int)taken : -(int)reason;
}

/* Reads the segment's data with '*r'. */
static __always_inline __u32 read_requests(struct __sk_buff *skb, struct edge_reader *r,
                                           __u32 number, __u32 at, __u32 size)
{
    for (int i = 0; i < MODBUS_STEPS; i++) {
        int taken;

        if (!size)
            return EDGE_PASS;
        taken = read_some(skb, r, number, at, size);
        if (taken <= 0)
            return taken < 0 ? -taken : EDGE_REQUEST;
        at += taken;
        size = (__u32)taken < size ? size - taken : 0;
    }
    return size ? EDGE_REQUEST : EDGE_PASS;
}

/* What the server has received cannot be sent again as something else. */
static __always_inline void acknowledge(struct edge_flow *flow, __u32 number_of_next)
{
    if ((__s32)(number_of_next - flow->acknowledged) <= 0 ||
        (__s32)(number_of_next - flow->reader.sequence) > 0)
        return;
    flow->acknowledged = number_of_next;
    if (number_of_next == flow->reader.sequence)
        flow->again = flow->reader;
}

/* One segment of a connection whose requests are read; its key is in the scratch. */
__noinline int read_stream(struct __sk_buff *skb, const struct frame *f, __u32 number,
                           __u32 direction)
{
    struct scratch *s = get_scratch();
    struct edge_flow *flow = s ? bpf_map_lookup_elem(&edge_flows, &s->key) : NULL;
    struct edge_reader r;
    struct tcp_numbers n;
    __u32 size, reason;

    if (!f || !flow)
        return EDGE_STRAY_TCP;
    if (read_numbers(skb, &f->p, &n))
        return EDGE_MALFORMED;
    if (direction != flow->direction) {
        acknowledge(flow, n.acknowledged);
        return EDGE_PASS;
    }
    size = f->size - f->tcp_header;
    if (!size)
        return EDGE_PASS;
    if (f->p.tcp_flags & TCP_URG)
        return EDGE_REQUEST; /* Servers may take the urgent byte out of the stream. */
    if ((__s32)(n.sequence + size - flow->acknowledged) <= 0)
        return EDGE_PASS; /* The server has it already. */
    if (n.sequence == flow->reader.sequence)
        r = flow->reader;
    else if (n.sequence == flow->again.sequence)
        r = flow->again;
    else
        return EDGE_REQUEST;
    s->c.remote = s->key.remote;
    s->c.port = flow->port;
    s->c.protocol = IPPROTO_TCP;
    s->c.direction = flow->direction;
    reason = read_requests(skb, &r, number, f->p.transport + f->tcp_header, size);
    if (reason != EDGE_PASS)
        return reason;
    r.sequence = n.sequence + size;
    flow->reader = r;
    return EDGE_PASS;
}
