/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_flow.h - flows through a port: their beginning, their state, their packets
 *
 * The first packet of a flow is judged, and its direction is the connection's; later packets find
 * the flow.  When the port's program or a trust has changed, the flow is judged again by its next
 * packet. */
#pragma once

#include "bpf/edge_again.h"
#include "bpf/edge_end.h"
#include "bpf/edge_frame.h"
#include "bpf/edge_judge.h"

enum { MAX_SYN_DATA = 65535 };

/* ---- The beginning --------------------------------------------------------------------------- */

static __always_inline void flow_key(struct edge_flow_key *key, const struct packet *p,
                                     __u32 number, __u32 direction)
{
    __builtin_memset(key, 0, sizeof(*key));
    key->port = number;
    key->remote = direction == ABI_OUT ? p->destination : p->source;
    key->local = direction == ABI_OUT ? p->source : p->destination;
    key->protocol = p->protocol;
    if (p->protocol == IPPROTO_ICMP) {
        /* A reply finds the request of the other direction. */
        __u32 is_reply = p->icmp == ICMP_REPLY;

        key->remote_port = p->icmp_id;
        key->local_port =
            (is_reply ? ICMP4_ECHO : p->destination_port) * 2 + (is_reply ? !direction : direction);
    } else {
        key->remote_port = direction == ABI_OUT ? p->destination_port : p->source_port;
        key->local_port = direction == ABI_OUT ? p->source_port : p->destination_port;
    }
}

/* Groups of machines have their own identity; a network's broadcast address is one of them, and
 * only the frame's MAC tells. */
static __always_inline void frame_key(struct edge_flow_key *key, const struct frame *f,
                                      __u32 number, __u32 direction)
{
    flow_key(key, &f->p, number, direction);
    if (direction == ABI_OUT && is_group_mac(f->mac_to) && !f->p.v6 &&
        (bpf_ntohl(key->remote.word[3]) >> 28) != 0xe)
        key->remote.word[3] = 0xffffffff;
}

static __always_inline __u16 service_port(const struct packet *p)
{
    return p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_ICMP
               ? p->destination_port
               : 0;
}

static __always_inline int full(__u8 protocol)
{
    return protocol == IPPROTO_TCP   ? EDGE_FULL_TCP
           : protocol == IPPROTO_UDP ? EDGE_FULL_UDP
                                     : EDGE_FULL_OTHER;
}

static __always_inline int key_reads(const struct scratch *s)
{
    return s->key.protocol == IPPROTO_TCP && (s->d.refine & ABI_REFINE_FUNCTION);
}

static __always_inline void ends_of(struct edge_ends *ends, const struct frame *f, __u32 direction)
{
    __builtin_memcpy(ends->local, direction == ABI_OUT ? f->mac_from : f->mac_to, 6);
    __builtin_memcpy(ends->remote, direction == ABI_OUT ? f->mac_to : f->mac_from, 6);
}

/* Zeroes are no MAC that was seen, though a stranger may send from it. */
static __always_inline int same_ends(const struct edge_flow *flow, const struct frame *f,
                                     __u32 direction)
{
    struct edge_ends now;
    __u32 a[3], b[3];

    ends_of(&now, f, direction);
    __builtin_memcpy(a, &now, sizeof(a));
    __builtin_memcpy(b, &flow->ends, sizeof(b));
    return flow->has_ends && a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static __always_inline void keep_ends(struct edge_flow *flow, const struct frame *f,
                                      __u32 direction)
{
    ends_of(&flow->ends, f, direction);
    flow->has_ends = 1;
}

/* Whatever was there is another flow's.  A SYN was looked at wholly: its answer needs no more. */
static __always_inline void begin_ends(struct edge_flow *flow, const struct frame *f,
                                       __u32 direction)
{
    flow->has_ends = 0;
    if (f->p.protocol == IPPROTO_TCP && !is_group_mac(f->mac_to))
        keep_ends(flow, f, direction);
}

/* Puts the flow in the scratch into the table.  Returns an edge_reason. */
__noinline int add_flow(const struct frame *f, __u32 number, __u32 len)
{
    const struct edge_port *port = get_port(number);
    struct scratch *s = get_scratch();
    struct edge_flow first = {};

    if (!f || !port || !s)
        return EDGE_NO_PORT;
    if (take_place(number))
        return full(s->key.protocol);
    first.active = s->d.active;
    first.last_ns = s->now;
    first.bytes[s->c.direction & 1] = len;
    first.packets[s->c.direction & 1] = 1;
    first.identity = s->d.identity;
    first.rule = s->d.rule;
    first.epoch = port->epoch;
    first.port = s->c.port;
    first.direction = s->c.direction;
    first.verdict = s->d.verdict;
    first.layer = s->d.layer;
    first.state = s->key.protocol == IPPROTO_TCP ? EDGE_SYN_SENT : EDGE_NO_TCP;
    first.expect = f->tcp.sequence + 1;
    first.reads = key_reads(s);
    begin_ends(&first, f, s->c.direction);
    book(&s->due, &first, s->now);
    if (bpf_map_update_elem(&edge_flows, &s->key, &first, BPF_NOEXIST)) {
        give_place(number, first.epoch, EDGE_HALF);
        /* Perhaps another processor was faster with the same packet's twin. */
        return bpf_map_lookup_elem(&edge_flows, &s->key) ? EDGE_PASS : full(s->key.protocol);
    }
    return EDGE_PASS;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

enum { STEP_NEW = EDGE_COUNTERS, STEP_OTHER_WAY }; /* Beside the reasons. */

static __always_inline int flags_are_sane(__u8 flags)
{
    if (flags & TCP_SYN)
        return !(flags & (TCP_FIN | TCP_RST));
    if (flags & TCP_RST)
        return !(flags & TCP_FIN);
    return flags & TCP_ACK;
}

/* Does this segment answer the SYN before it?  Data may have gone with the SYN (RFC 7413). */
static __always_inline int answers(const struct edge_flow *flow, const struct tcp_numbers *n)
{
    return n->acknowledged - flow->expect <= MAX_SYN_DATA;
}

/* Where the stream is read, the server has to begin where the reader does. */
static __always_inline int agree(const struct edge_flow *flow, const struct tcp_numbers *n)
{
    const struct scratch *s = get_scratch();
    struct edge_stream *t;

    if (!flow->reads)
        return 1;
    t = s ? get_stream(s) : NULL;
    if (!t || n->acknowledged != t->begun)
        return 0;
    t->agreed = 1;
    return 1;
}

/* Until the handshake is over, somebody who cannot see the answers must not finish it. */
static __always_inline __u32 handshake_step(struct edge_flow *flow, const struct frame *f,
                                            __u32 number, int is_client)
{
    if (flow->state == EDGE_SYN_SENT) {
        if (is_client)
            return EDGE_STRAY_TCP;
        if (f->p.tcp_flags & TCP_SYN) {
            if (!answers(flow, &f->tcp) || !agree(flow, &f->tcp))
                return EDGE_STRAY_TCP;
            flow->state = EDGE_SYN_RECEIVED;
            flow->expect = f->tcp.sequence + 1;
        } else if (f->size > f->tcp_header) {
            return EDGE_STRAY_TCP; /* Without data it challenges a SYN (RFC 5961). */
        }
        return EDGE_PASS;
    }
    if (!is_client || f->p.tcp_flags & TCP_SYN)
        return EDGE_PASS;
    if (!answers(flow, &f->tcp))
        return EDGE_STRAY_TCP;
    flow->state = EDGE_ESTABLISHED;
    become_whole(number, flow);
    return EDGE_PASS;
}

/* Where a stream is read, nothing but the first SYN says where it begins.  Another one begins
 * another connection; the same one may come again until it is answered, and is late afterwards. */
static __always_inline __u32 syn_of_read(const struct edge_flow *flow, const struct frame *f)
{
    const struct scratch *s = get_scratch();
    const struct edge_stream *t = s ? get_stream(s) : NULL;

    if (!t || f->tcp.sequence + 1 != t->begun)
        return STEP_NEW;
    if (flow->state == EDGE_SYN_SENT || flow->state == EDGE_SYN_RECEIVED)
        return EDGE_PASS;
    return EDGE_REQUEST;
}

/* One segment of a known connection.  Returns an edge_reason, STEP_NEW when it begins another one,
 * or STEP_OTHER_WAY for a SYN against the connection's direction. */
static __always_inline __u32 tcp_step(struct edge_flow *flow, const struct frame *f, __u32 number,
                                      __u32 direction)
{
    int is_client = direction == flow->direction;
    __u8 flags = f->p.tcp_flags;
    int is_syn = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

    if (flow->state == EDGE_CLOSED)
        return is_syn ? STEP_NEW : EDGE_PASS;
    if (is_syn && is_client && flow->reads)
        return syn_of_read(flow, f);
    if (is_syn)
        return is_client ? EDGE_PASS : STEP_OTHER_WAY;
    if (flags & TCP_RST) {
        if (flow->state == EDGE_SYN_SENT && !is_client && !answers(flow, &f->tcp))
            return EDGE_STRAY_TCP;
        flow->state = EDGE_CLOSED;
        become_whole(number, flow);
        return EDGE_PASS;
    }
    if (flow->state == EDGE_SYN_SENT || flow->state == EDGE_SYN_RECEIVED) {
        __u32 reason = handshake_step(flow, f, number, is_client);

        if (reason != EDGE_PASS)
            return reason;
    }
    if (flags & TCP_FIN) {
        flow->fins |= 1 << (direction & 1);
        flow->state = flow->fins == 3 ? EDGE_CLOSED : EDGE_HALF_CLOSED;
        become_whole(number, flow);
    }
    return EDGE_PASS;
}

#include "bpf/edge_modbus.h"

/* ---- One packet ------------------------------------------------------------------------------ */

static __always_inline void add_bytes(struct edge_flow *flow, __u32 direction, __u32 len, __u64 now)
{
    flow->last_ns = now;
    flow->bytes[direction & 1] += len;
    flow->packets[direction & 1]++;
}

/* The policy has changed since the flow of the scratch's key was judged. */
__noinline int judge_again(__u32 number)
{
    struct scratch *s = get_scratch();
    struct edge_flow *flow = s ? bpf_map_lookup_elem(&edge_flows, &s->key) : NULL;
    __u8 before;

    if (!s || !flow)
        return EDGE_STRAY;
    before = flow->verdict;
    s->c.remote = s->key.remote;
    s->c.port = flow->port;
    s->c.protocol = s->key.protocol;
    s->c.direction = flow->direction;
    s->function = 0;
    edge_judge(number);
    if (key_reads(s) && !flow->reads)
        s->d.verdict =
            ABI_DENY; /* What went before was not read: where is a request's beginning? */
    flow->active = s->d.active;
    flow->verdict = s->d.verdict;
    flow->layer = s->d.layer;
    flow->rule = s->d.rule;
    flow->identity = s->d.identity;
    flow->has_ends = 0; /* Of the packet that comes now, perhaps only an error about the flow, they
                         * need not be; and others may be the port's. */
    if (s->d.verdict == ABI_DENY) {
        if (before != ABI_DENY)
            count(number, EDGE_COUNT_CUT);
        report_denial(number);
    }
    return EDGE_PASS;
}

static __always_inline void ask(struct scratch *s, const struct frame *f, __u32 number,
                                __u32 direction)
{
    s->c.remote = s->key.remote;
    s->c.port = service_port(&f->p);
    s->c.protocol = f->p.protocol;
    s->c.direction = direction;
    s->function = 0;
    edge_judge(number);
}

/* A packet that begins a flow; its key is in the scratch.  'flow' is one with its ends that is
 * over, or NULL: the new one takes its place. */
__noinline int begin_flow(struct __sk_buff *skb, const struct frame *f, struct edge_flow *flow,
                          __u32 number, __u32 direction)
{
    struct scratch *s = get_scratch();
    int reason;

    if (!f || !s)
        return EDGE_NO_PORT;
    ask(s, f, number, direction);
    if (s->d.verdict == ABI_DENY) {
        report_denial(number);
        return EDGE_DENIED;
    }
    if (key_reads(s) && f->size > f->tcp_header)
        return EDGE_REQUEST; /* No data before the handshake where it has to be read. */
    if (key_reads(s) && begin_stream(f->tcp.sequence + 1))
        return EDGE_FULL_TCP;
    if (flow) {
        flow->active = s->d.active;
        flow->identity = s->d.identity;
        flow->rule = s->d.rule;
        flow->port = s->c.port;
        flow->direction = direction;
        flow->verdict = s->d.verdict;
        flow->layer = s->d.layer;
        flow->fins = 0;
        flow->state = f->p.protocol == IPPROTO_TCP ? EDGE_SYN_SENT : EDGE_NO_TCP;
        flow->expect = f->tcp.sequence + 1;
        flow->reads = key_reads(s);
        begin_ends(flow, f, direction);
        add_bytes(flow, direction, skb->len, s->now);
    } else {
        reason = add_flow(f, number, skb->len);
        if (reason != EDGE_PASS) {
            if (key_reads(s))
                bpf_map_delete_elem(&edge_streams, &s->key);
            sweep_flows();
            return reason;
        }
    }
    report_flow(number);
    return EDGE_PASS;
}

/* A SYN against the direction of its connection (simultaneous open, or an end that restarted): it
 * has to be allowed by itself. */
__noinline int judge_other_way(const struct frame *f, __u32 number, __u32 direction)
{
    struct scratch *s = get_scratch();

    if (!f || !s)
        return EDGE_NO_PORT;
    ask(s, f, number, direction);
    if (s->d.verdict != ABI_DENY)
        return EDGE_PASS;
    report_denial(number);
    return EDGE_STRAY_TCP;
}

/* A packet of a flow that passes, whose key is in the scratch.  Returns an edge_reason. */
__noinline int go_on(struct __sk_buff *skb, const struct frame *f, struct edge_flow *flow,
                     __u32 number, __u32 direction)
{
    const struct scratch *s;
    __u32 step;

    if (!f || !flow)
        return EDGE_NO_PORT;
    if (f->p.protocol == IPPROTO_TCP) {
        step = tcp_step(flow, f, number, direction);
        if (step == STEP_NEW)
            return begin_flow(skb, f, flow, number, direction);
        if (step == STEP_OTHER_WAY) {
            step = judge_other_way(f, number, direction);
            if (step == EDGE_PASS && flow->state == EDGE_SYN_SENT)
                flow->state = EDGE_SYN_RECEIVED;
        }
        if (step == EDGE_PASS && flow->reads)
            step = read_stream(skb, f, number, direction);
        if (step != EDGE_PASS)
            return step;
    } else if (direction != flow->direction) {
        become_whole(number, flow);
    }
    if (!f->more)
        keep_ends(flow, f, direction);
    s = get_scratch(); /* Not before: the stack is full (Linux 6.1). */
    if (s)
        add_bytes(flow, direction, skb->len, s->now);
    return EDGE_PASS;
}

/* Judges one packet that has its ports.  Returns an edge_reason. */
__noinline int pass_flow(struct __sk_buff *skb, const struct frame *f, __u32 number,
                         __u32 direction)
{
    const struct edge_port *port = get_port(number);
    struct scratch *s = get_scratch();
    struct edge_flow *flow;

    if (!f || !port || !s)
        return EDGE_NO_PORT;
    if (f->p.protocol == IPPROTO_TCP && !flags_are_sane(f->p.tcp_flags))
        return EDGE_TCP_FLAGS;
    s->now = bpf_ktime_get_coarse_ns();
    frame_key(&s->key, f, number, direction);
    flow = bpf_map_lookup_elem(&edge_flows, &s->key);
    if (!flow || idle_ns(flow, s->now) >= idle_limit(flow, f->p.protocol)) {
        /* Perhaps over, though nobody has looked yet. */
        if (f->p.protocol == IPPROTO_TCP &&
            (f->p.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
            return EDGE_STRAY_TCP;
        if (f->p.protocol == IPPROTO_ICMP && f->p.icmp == ICMP_REPLY)
            return EDGE_STRAY;
        return begin_flow(skb, f, flow, number, direction);
    }
    if (flow->active != port->active)
        judge_again(number);
    if (flow->verdict == ABI_DENY)
        return EDGE_DENIED;
    if (!flow->due_ns)
        book(&s->due, flow, s->now);
    return go_on(skb, f, flow, number, direction);
}

/* What may be DHCP is looked at in any case; a SYN has hardly ever a flow. */
static __always_inline int may_be_known(const struct packet *p)
{
    if (p->protocol == IPPROTO_TCP)
        return flags_are_sane(p->tcp_flags) && (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
    return p->protocol == IPPROTO_UDP && p->source_port != DHCP4_SERVER &&
           p->source_port != DHCP4_CLIENT && p->source_port != DHCP6_SERVER &&
           p->source_port != DHCP6_CLIENT;
}

/* A segment that changes nothing but its flow's counts. */
static __always_inline int moves_nothing(const struct edge_flow *flow, const struct packet *p)
{
    return flow->state == EDGE_ESTABLISHED && !flow->reads &&
           (p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

enum { NOT_KNOWN = -1 };

/* The common case: a packet like one before it, which was looked at wholly - same ends, MACs too,
 * of a flow that passes - while neither the port's program nor its binding has changed, for these
 * change 'active'.  MACs and addresses need no look then.  Measured in docs/performance.md. */
__noinline int pass_known(struct __sk_buff *skb, const struct frame *f, __u32 number,
                          __u32 direction)
{
    const struct edge_port *port = get_port(number);
    struct scratch *s = get_scratch();
    struct edge_flow *flow;
    __u8 protocol;

    if (!f || !port || !s || f->p.fragment || f->more || !may_be_known(&f->p))
        return NOT_KNOWN;
    protocol = f->p.protocol;
    s->now = bpf_ktime_get_coarse_ns();
    flow_key(&s->key, &f->p, number, direction);
    flow = bpf_map_lookup_elem(&edge_flows, &s->key);
    if (!flow || flow->active != port->active || flow->verdict == ABI_DENY || !flow->due_ns ||
        idle_ns(flow, s->now) >= idle_limit(flow, protocol) || !same_ends(flow, f, direction))
        return NOT_KNOWN;
    if (protocol == IPPROTO_TCP && !moves_nothing(flow, &f->p))
        return go_on(skb, f, flow, number, direction);
    if (protocol == IPPROTO_UDP && direction != flow->direction)
        become_whole(number, flow);
    add_bytes(flow, direction, skb->len, s->now);
    return EDGE_PASS;
}

/* ---- Pieces of datagrams --------------------------------------------------------------------- */

#define FRAGMENT_NS (30 * SECOND_NS) /* RFC 791 recommends 15; Linux waits 30. */

static __always_inline void fragment_key(struct edge_fragment_key *key, const struct frame *f,
                                         __u32 number, __u32 direction)
{
    __builtin_memset(key, 0, sizeof(*key));
    key->port = number;
    key->id = f->id;
    key->source = f->p.source;
    key->destination = f->p.destination;
    key->protocol = f->p.v6 ? 0 : f->p.protocol; /* RFC 8200: v6 datagrams are told by id alone. */
    key->direction = direction;
}

/* The first piece has passed: what follows it may follow, in order and without overlap. */
__noinline int begin_fragments(const struct frame *f, __u32 number, __u32 direction)
{
    struct edge_fragment value = {}, *known;
    struct edge_fragment_key key;
    struct edge_flow_key flow;

    if (!f)
        return EDGE_FRAGMENT;
    fragment_key(&key, f, number, direction);
    flow_key(&flow, &f->p, number, direction);
    value.begun_ns = bpf_ktime_get_coarse_ns();
    value.next = f->piece;
    value.remote_port = flow.remote_port;
    value.local_port = flow.local_port;
    value.protocol = flow.protocol;
    known = bpf_map_lookup_elem(&fragments, &key);
    if (known && value.begun_ns - known->begun_ns < FRAGMENT_NS) {
        bpf_map_delete_elem(&fragments, &key); /* Two beginnings: which one would count? */
        return EDGE_FRAGMENT;
    }
    return bpf_map_update_elem(&fragments, &key, &value, BPF_ANY) ? EDGE_FRAGMENT : EDGE_PASS;
}

/* A middle or end: of a flow that passes, and exactly where the piece before it ended. */
__noinline int pass_fragment(struct __sk_buff *skb, const struct frame *f, __u32 number,
                             __u32 direction)
{
    __u64 now = bpf_ktime_get_coarse_ns();
    struct edge_flow_key flow_of = {};
    struct edge_fragment_key key;
    struct edge_fragment *known;
    struct edge_flow *flow;

    if (!f)
        return EDGE_FRAGMENT;
    fragment_key(&key, f, number, direction);
    known = bpf_map_lookup_elem(&fragments, &key);
    if (!known)
        return EDGE_FRAGMENT;
    if (f->begin != known->next || now - known->begun_ns >= FRAGMENT_NS) {
        bpf_map_delete_elem(&fragments, &key);
        return EDGE_FRAGMENT;
    }
    frame_key(&flow_of, f, number, direction);
    flow_of.remote_port = known->remote_port;
    flow_of.local_port = known->local_port;
    flow_of.protocol = known->protocol;
    known->next += f->piece;
    if (!f->more)
        bpf_map_delete_elem(&fragments, &key);
    flow = bpf_map_lookup_elem(&edge_flows, &flow_of);
    if (!flow || flow->verdict == ABI_DENY)
        return EDGE_FRAGMENT;
    add_bytes(flow, direction, skb->len, now);
    return EDGE_PASS;
}

/* ---- ICMP errors ----------------------------------------------------------------------------- */

/* The packet that an error quotes: its addresses and ports, of which 8 bytes are sure (RFC 792). */
static __always_inline int read_quoted(struct __sk_buff *skb, const struct frame *f,
                                       struct packet *p)
{
    __u32 at = f->p.transport + ICMP_HEADER;
    struct {
        __u8 type, code;
        __be16 sum, id;
    } icmp;
    __be16 words[2];

    if (f->p.v6) {
        struct ipv6hdr ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6)
            return -1;
        __builtin_memcpy(&p->source, &ip.saddr, 16);
        __builtin_memcpy(&p->destination, &ip.daddr, 16);
        p->v6 = 1;
        p->protocol = ip.nexthdr == IPPROTO_ICMPV6 ? IPPROTO_ICMP
                      : ip.nexthdr == IPPROTO_ICMP ? IPPROTO_RAW
                                                   : ip.nexthdr;
        at += sizeof(ip);
    } else {
        struct iphdr ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
            (ip.frag_off & bpf_htons(FRAGMENT_OFFSET)))
            return -1;
        map_v4(&p->source, ip.saddr);
        map_v4(&p->destination, ip.daddr);
        p->protocol = ip.protocol;
        at += ip.ihl * 4;
    }
    if (p->protocol == IPPROTO_ICMP) {
        if (bpf_skb_load_bytes(skb, at, &icmp, sizeof(icmp)))
            return -1;
        classify_icmp(p, icmp.type);
        p->icmp_id = icmp.id;
        return p->icmp == ICMP_ERROR || p->icmp == ICMP_LINK ? -1 : 0;
    }
    if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) {
        if (bpf_skb_load_bytes(skb, at, words, sizeof(words)))
            return -1;
        p->source_port = bpf_ntohs(words[0]);
        p->destination_port = bpf_ntohs(words[1]);
    }
    return 0;
}

/* An error passes when it is sent to who sent the packet that it quotes, and that packet's flow is
 * known and allowed. */
__noinline int pass_error(struct __sk_buff *skb, const struct frame *f, __u32 number,
                          __u32 direction)
{
    const struct edge_port *port = get_port(number);
    struct scratch *s = get_scratch();
    struct packet quoted = {};
    struct edge_flow *flow;

    if (!f || !port || !s)
        return EDGE_NO_PORT;
    if (f->more || read_quoted(skb, f, &quoted) || !same_address(&quoted.source, &f->p.destination))
        return EDGE_STRAY;
    flow_key(&s->key, &quoted, number, !direction);
    flow = bpf_map_lookup_elem(&edge_flows, &s->key);
    if (!flow)
        return EDGE_STRAY;
    if (flow->active != port->active)
        judge_again(number);
    return flow->verdict == ABI_DENY ? EDGE_DENIED : EDGE_PASS;
}
