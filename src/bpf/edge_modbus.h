/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_modbus.h - Modbus requests, read in the TCP stream of their client
 *
 *     transaction:2  protocol:2 (0)  size:2 (of unit, function and data)  unit:1  function:1  data
 *
 * Requests may come in pieces over segments, and several in one segment.  New bytes are read in
 * order; a segment that begins behind a hole is dropped, and TCP sends it again.  What passed
 * before may come again as it was (edge_again.h).
 *
 * A segment with a denied or unreadable request is dropped as a whole, and leaves the reader where
 * it was: nothing behind it can pass.  Where the port's binding says so, it is answered, and the
 * connection ends (edge_answer.h). */
#pragma once

#include "bpf/edge_again.h"

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

/* What the server has received it will not take again as something else. */
static __always_inline void acknowledge(struct edge_stream *t, __u32 number_of_next)
{
    if (number_of_next - t->acknowledged <= t->reader.sequence - t->acknowledged)
        t->acknowledged = number_of_next;
}

static __always_inline int is_answering(__u32 number)
{
    const struct edge_port *port = get_port(number);

    return port && (port->flags & (EDGE_PORT_RESET | EDGE_PORT_EXCEPTION));
}

/* Nothing but what has no data passes from now on.  Notes down what the answer needs, where the
 * binding says that there is one. */
static __always_inline void end_stream(struct edge_stream *t, const struct edge_reader *r,
                                       const struct frame *f, __u32 number, __u32 after,
                                       __u32 reason)
{
    struct scratch *s = get_scratch();
    struct edge_flow *flow = s ? bpf_map_lookup_elem(&edge_flows, &s->key) : NULL;

    t->over = 1;
    if (!flow)
        return;
    flow->state = EDGE_CLOSED;
    become_whole(number, flow);
    if (!is_answering(number))
        return;
    s->refusal = (struct refusal){.asked = 1,
                                  .next = t->reader.sequence,
                                  .after = after,
                                  .answered = t->answered,
                                  .transport = f->p.transport,
                                  .tcp_header = f->tcp_header,
                                  .v6 = f->p.v6};
    if (reason == EDGE_FUNCTION) {
        s->refusal.transaction = r->header[0] << 8 | r->header[1];
        s->refusal.unit = r->header[6];
        s->refusal.function = r->header[7];
    }
}

/* The server's side: what it has received and sent. */
static __always_inline void read_answers(struct edge_stream *t, const struct frame *f)
{
    __u32 end = f->tcp.sequence + f->size - f->tcp_header;

    if (f->p.tcp_flags & TCP_SYN)
        t->answered = end + 1;
    else if (!(f->p.tcp_flags & TCP_RST) && (__s32)(end - t->answered) > 0)
        t->answered = end;
    acknowledge(t, f->tcp.acknowledged);
}

/* The data of one segment, 'begin' to 'end': first what has passed before, then what is new. */
static __always_inline __u32 read_data(struct __sk_buff *skb, struct edge_stream *t,
                                       const struct frame *f, __u32 number, __u32 begin, __u32 end)
{
    __u32 known = (__s32)(end - t->reader.sequence) < 0 ? end : t->reader.sequence;
    __u32 at = f->p.transport + f->tcp_header, sum, then, reason;
    struct edge_reader r = t->reader;

    if (end - begin > SUM_PIECE * SUM_PIECES || !find_mark(t, begin, &sum) ||
        !find_mark(t, known, &then))
        return EDGE_REQUEST;
    if (add_to_sum(skb, at, known - begin, sum, t->secret) != then) {
        end_stream(t, &r, f, number, end, EDGE_REQUEST);
        return EDGE_REQUEST;
    }
    if (known == end)
        return EDGE_PASS;
    at += known - begin;
    reason = read_requests(skb, &r, number, at, end - known);
    if (reason != EDGE_PASS) {
        if (is_answering(number))
            end_stream(t, &r, f, number, end, reason);
        return reason;
    }
    if (add_mark(t, end, add_to_sum(skb, at, end - known, then, t->secret)))
        return EDGE_REQUEST;
    r.sequence = end;
    t->reader = r;
    return EDGE_PASS;
}

/* One segment of a connection whose requests are read; its key is in the scratch. */
__noinline int read_stream(struct __sk_buff *skb, const struct frame *f, __u32 number,
                           __u32 direction)
{
    struct scratch *s = get_scratch();
    const struct edge_flow *flow = s ? bpf_map_lookup_elem(&edge_flows, &s->key) : NULL;
    struct edge_stream *t = s ? get_stream(s) : NULL;
    __u32 size, reason;

    if (!f || !flow || !t)
        return EDGE_STRAY_TCP;
    if (direction != flow->direction) {
        read_answers(t, f);
        return EDGE_PASS;
    }
    if (f->more)
        return EDGE_REQUEST; /* The other pieces would pass unread. */
    size = f->size - f->tcp_header;
    if (!size)
        return EDGE_PASS;
    if (f->p.tcp_flags & (TCP_URG | TCP_SYN))
        return EDGE_REQUEST; /* Servers may take the urgent byte out of the stream. */
    if (!t->agreed)
        return EDGE_STRAY_TCP;
    if ((__s32)(f->tcp.sequence + size - t->acknowledged) <= 0)
        return EDGE_PASS; /* The server has it already. */
    if (t->over)
        return EDGE_REQUEST;
    if (flow->state == EDGE_CLOSED && (__s32)(f->tcp.sequence + size - t->reader.sequence) > 0)
        return EDGE_STRAY_TCP; /* What came before may come again, but nothing new. */
    if (take_stream(t))
        return EDGE_REQUEST;
    s->c.remote = s->key.remote;
    s->c.port = flow->port;
    s->c.protocol = IPPROTO_TCP;
    s->c.direction = flow->direction;
    reason = read_data(skb, t, f, number, f->tcp.sequence, f->tcp.sequence + size);
    give_stream(t);
    return reason;
}
