/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_answer.h - what the ends hear of a refused request, where the port's binding says so
 *
 *     EDGE_PORT_RESET       RST to the client, RST to the server
 *     EDGE_PORT_EXCEPTION   Modbus exception 1 and FIN to the client, RST to the server
 *
 * The refused segment itself becomes both: trimmed and rewritten as the answer, it is cloned back
 * to where it came from; rewritten as a RST it goes on to the server, in the place of the request.
 * The connection cannot go on behind an answer: the client's end would count bytes that the server
 * has never seen, and somebody would have to rewrite both ends' numbers for the rest of its life.
 *
 * Answers begin at the number behind the server's last byte that passed here, so that its answers
 * to former requests, which are on their way, come before. */
#pragma once

#include "bpf/edge_flow.h"

enum {
    TCP_TIMES = 12, /* RFC 7323 appendix A: two NOPs and the option. */
    TCP_TIMES_BEGIN = 0x0101080a,
    TCP_CHECKSUM = 16,  /* Where it stands. */
    EXCEPTION_SIZE = 9, /* Transaction, protocol, size, unit, function, code. */
    EXCEPTION_ROOM = 12,
    ILLEGAL_FUNCTION = 1,
    ANSWER_HOPS = 64,
    TCP_PSH = 8,
};

struct segment { /* Header, times, data: what is written behind the IP header. */
    __be16 source, destination;
    __be32 sequence, acknowledged;
    __u8 header, flags; /* The header's words in the upper four bits. */
    __be16 window, checksum, urgent;
    __be32 rest[(TCP_TIMES + EXCEPTION_ROOM) / 4];
};
_Static_assert(sizeof(struct segment) == TCP_HEADER + TCP_TIMES + EXCEPTION_ROOM, "no padding");

struct ends { /* Of one packet, as they stand in the IP header. */
    __be32 source[4], destination[4];
};

static __always_inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Sum of RFC 9293's pseudo header. */
static __always_inline __u64 pseudo_sum(const struct ends *e, __u32 size)
{
    __u64 sum = bpf_htonl(size) + (__u64)bpf_htonl(IPPROTO_TCP);

    for (int i = 0; i < 4; i++)
        sum += (__u64)e->source[i] + e->destination[i];
    return sum;
}

/* Kernels leave the sum of what they send themselves to the device, which adds it to the pseudo
 * header's.  Nothing tells a program so, but such a packet cannot be cut before its checksum. */
static __always_inline int cut(struct __sk_buff *skb, __u32 transport, __u32 size,
                               int *ret_device_sums)
{
    *ret_device_sums = bpf_skb_change_tail(skb, transport + TCP_CHECKSUM + 1, 0) != 0;
    return bpf_skb_change_tail(skb, transport + size, 0);
}

static __always_inline void write_v4(struct __sk_buff *skb, const struct ends *e, __u32 size)
{
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .tot_len = bpf_htons(sizeof(ip) + size),
                       .frag_off = bpf_htons(0x4000), /* Do not fragment. */
                       .ttl = ANSWER_HOPS,
                       .protocol = IPPROTO_TCP,
                       .saddr = e->source[3],
                       .daddr = e->destination[3]};

    ip.check = ~fold((__u32)bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
    bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline void write_v6(struct __sk_buff *skb, const struct ends *e, __u32 size)
{
    struct ipv6hdr ip = {.version = 6,
                         .payload_len = bpf_htons(size),
                         .nexthdr = IPPROTO_TCP,
                         .hop_limit = ANSWER_HOPS};

    __builtin_memcpy(&ip.saddr, e->source, 16);
    __builtin_memcpy(&ip.daddr, e->destination, 16);
    bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

struct answering {
    struct segment segment;
    struct ends ends;
    __u32 v6;
    __u32 size; /* Of the segment. */
};

/* Makes the packet what 'a' says, its Ethernet header apart. */
__noinline int write_segment(struct __sk_buff *skb, struct answering *a)
{
    __u32 transport, size;
    int device_sums;
    __u64 sum;

    if (!a)
        return -1;
    size = a->size;
    transport = ETH_HLEN + (a->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
    if (size < TCP_HEADER || size > sizeof(a->segment) || cut(skb, transport, size, &device_sums))
        return -1;
    a->segment.checksum = 0;
    sum = pseudo_sum(&a->ends, size);
    if (device_sums)
        a->segment.checksum = fold(sum);
    else /* What is behind 'size' is zero. */
        a->segment.checksum = ~fold(
            sum + (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&a->segment, sizeof(a->segment), 0));
    if (a->v6)
        write_v6(skb, &a->ends, size);
    else
        write_v4(skb, &a->ends, size);
    if (bpf_skb_store_bytes(skb, transport, &a->segment, TCP_HEADER, BPF_F_RECOMPUTE_CSUM))
        return -1;
    transport += TCP_HEADER;
    size -= TCP_HEADER;
    if (size == TCP_TIMES)
        return bpf_skb_store_bytes(skb, transport, a->segment.rest, TCP_TIMES,
                                   BPF_F_RECOMPUTE_CSUM);
    if (size == EXCEPTION_SIZE)
        return bpf_skb_store_bytes(skb, transport, a->segment.rest, EXCEPTION_SIZE,
                                   BPF_F_RECOMPUTE_CSUM);
    if (size == TCP_TIMES + EXCEPTION_SIZE)
        return bpf_skb_store_bytes(skb, transport, a->segment.rest, TCP_TIMES + EXCEPTION_SIZE,
                                   BPF_F_RECOMPUTE_CSUM);
    return 0;
}

/* Reads the ends and the header of the refused segment, turned round.  -1: not answered. */
static __always_inline int turn_round(struct __sk_buff *skb, const struct refusal *r,
                                      struct answering *a)
{
    struct segment *s = &a->segment;
    __u32 at = ETH_HLEN;
    __be32 times;
    __be16 port;

    if (r->v6) {
        if (bpf_skb_load_bytes(skb, at + 8, a->ends.destination, 16) ||
            bpf_skb_load_bytes(skb, at + 24, a->ends.source, 16))
            return -1;
        at += sizeof(struct ipv6hdr);
    } else {
        if (bpf_skb_load_bytes(skb, at + 12, &a->ends.destination[3], 4) ||
            bpf_skb_load_bytes(skb, at + 16, &a->ends.source[3], 4))
            return -1;
        at += sizeof(struct iphdr);
    }
    a->v6 = r->v6;
    if (at != r->transport || bpf_skb_load_bytes(skb, at, s, TCP_HEADER))
        return -1; /* Behind extension headers: nobody sends Modbus so. */
    port = s->source;
    s->source = s->destination;
    s->destination = port;
    s->urgent = 0;
    a->size = TCP_HEADER;
    if (r->tcp_header < TCP_HEADER + TCP_TIMES ||
        bpf_skb_load_bytes(skb, at + TCP_HEADER, s->rest, TCP_TIMES))
        return 0;
    if (s->rest[0] != bpf_htonl(TCP_TIMES_BEGIN)) {
        __builtin_memset(s->rest, 0, TCP_TIMES);
        return 0;
    }
    times = s->rest[1];
    s->rest[1] = s->rest[2];
    s->rest[2] = times;
    a->size += TCP_TIMES;
    return 0;
}

static __always_inline void add_exception(struct segment *s, __u32 word, const struct refusal *r)
{
    s->rest[word] = bpf_htonl((__u32)r->transaction << 16);
    s->rest[word + 1] =
        bpf_htonl((EXCEPTION_SIZE - 6) << 16 | (__u32)r->unit << 8 | (r->function | 0x80u));
    s->rest[word + 2] = bpf_htonl((__u32)ILLEGAL_FUNCTION << 24);
}

/* To the client, by the way that it came. */
static __always_inline int answer_client(struct __sk_buff *skb, const struct refusal *r,
                                         struct answering *a, __u32 direction, int is_exception)
{
    struct ethhdr eth;
    __u8 mac[6];

    a->segment.header = a->size << 2;
    a->segment.sequence = bpf_htonl(r->answered);
    a->segment.acknowledged = bpf_htonl(r->after);
    a->segment.flags = is_exception ? TCP_FIN | TCP_PSH | TCP_ACK : TCP_RST | TCP_ACK;
    if (is_exception && a->size == TCP_HEADER)
        add_exception(&a->segment, 0, r);
    else if (is_exception)
        add_exception(&a->segment, TCP_TIMES / 4, r);
    if (is_exception)
        a->size += EXCEPTION_SIZE;
    if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
        return -1;
    __builtin_memcpy(mac, eth.h_dest, 6);
    __builtin_memcpy(eth.h_dest, eth.h_source, 6);
    __builtin_memcpy(eth.h_source, mac, 6);
    if (write_segment(skb, a) || bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
        return -1;
    return bpf_clone_redirect(skb, skb->ifindex, direction == ABI_IN ? BPF_F_INGRESS : 0);
}

/* To the server, in the request's place. */
static __always_inline int reset_server(struct __sk_buff *skb, const struct refusal *r,
                                        struct answering *a)
{
    struct ends ends = a->ends;
    struct ethhdr eth;
    __be16 port = a->segment.source;
    __u8 mac[6];

    __builtin_memcpy(a->ends.source, ends.destination, 16);
    __builtin_memcpy(a->ends.destination, ends.source, 16);
    a->segment.source = a->segment.destination;
    a->segment.destination = port;
    a->segment.sequence = bpf_htonl(r->next);
    a->segment.acknowledged = bpf_htonl(r->answered);
    a->segment.header = TCP_HEADER << 2;
    a->segment.flags = TCP_RST | TCP_ACK;
    __builtin_memset(a->segment.rest, 0, sizeof(a->segment.rest));
    a->size = TCP_HEADER;
    if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
        return -1;
    __builtin_memcpy(mac, eth.h_dest, 6);
    __builtin_memcpy(eth.h_dest, eth.h_source, 6);
    __builtin_memcpy(eth.h_source, mac, 6);
    return write_segment(skb, a) || bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0) ? -1 : 0;
}

/* Answers what read_stream() refused, if it was asked to.  1: what the packet is now may go on. */
__noinline int answer_refused(struct __sk_buff *skb, __u32 number, __u32 direction)
{
    const struct edge_port *port = get_port(number);
    struct scratch *s = get_scratch();
    struct answering a = {};
    struct refusal r;

    if (!port || !s || !s->refusal.asked)
        return 0;
    r = s->refusal; /* The answer may pass here before the call that sends it returns. */
    s->refusal.asked = 0;
    if (turn_round(skb, &r, &a))
        return 0;
    if (answer_client(skb, &r, &a, direction, (port->flags & EDGE_PORT_EXCEPTION) && r.function) ==
        0)
        count(number, EDGE_COUNT_ANSWERED);
    return reset_server(skb, &r, &a) == 0;
}
