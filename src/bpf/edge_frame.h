/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_frame.h - what a frame says of itself, read strictly
 *
 * The host's reader (packet.h) trusts the kernel around it; at the edge every byte is a stranger's.
 * What two readers could understand in two ways is refused here: options, routing headers, lengths
 * that do not agree, transport headers in pieces. */
#pragma once

#include <linux/udp.h>

#include "bpf/edge_maps.h"
#include "bpf/packet.h"

enum {
    MAX_EDGE_EXTENSIONS = 4,
    IP_RESERVED_FLAG = 0x8000, /* RFC 791: must be zero. */
    ETH_TYPE_FIRST = 0x600,    /* Below: a length, IEEE 802.3. */
    ETH_TYPE_LLDP = 0x88cc,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    ICMP_HEADER = 8,
    MAX_DATAGRAM = 65535,
    ND_HOPS = 255, /* RFC 4861: from this link, since every router takes one away. */
};

struct tcp_numbers {
    __u32 sequence, acknowledged;
};

struct frame {
    struct packet p;
    struct tcp_numbers tcp;
    __u32 id;    /* Of the datagram, when it comes in pieces. */
    __u32 begin; /* Where this piece begins in it. */
    __u32 piece; /* And its bytes. */
    __u32 size;  /* Bytes from the transport header to the end of the IP packet. */
    __u8 mac_to[6];
    __u8 mac_from[6];
    __u16 type;     /* Ethernet's. */
    __u8 more;      /* Pieces follow. */
    __u8 hops;      /* Time to live. */
    __u8 icmp_type; /* As on the wire. */
    __u8 tcp_header;
    __u8 pad[2];
};

static __always_inline int same_mac(const __u8 a[6], const __u8 b[6])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
           a[5] == b[5];
}

static __always_inline int is_group_mac(const __u8 mac[6])
{
    return mac[0] & 1;
}

static __always_inline int is_v4(const struct abi_address *a)
{
    return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

static __always_inline int is_group(const struct abi_address *a)
{
    if (is_v4(a))
        return (bpf_ntohl(a->word[3]) >> 28) == 0xe || a->word[3] == 0xffffffff;
    return (bpf_ntohl(a->word[0]) >> 24) == 0xff;
}

/* 01:80:c2:00:00:0x (IEEE 802.1Q table 8-1) and Cisco's 01:00:0c:cc:cc:cc and :cd. */
static __always_inline int is_control_mac(const __u8 m[6])
{
    if (m[0] != 1)
        return 0;
    if (m[1] == 0x80 && m[2] == 0xc2 && !m[3] && !m[4] && m[5] < 0x10)
        return 1;
    return !m[1] && m[2] == 0x0c && m[3] == 0xcc && m[4] == 0xcc && (m[5] & 0xfe) == 0xcc;
}

/* Copies what stands at 'at' to '*to': from the packet's own memory where it is all there, which
 * costs no call. */
#define READ(skb, at, to)                                                                          \
    ({                                                                                             \
        __u32 at_ = (at)&MAX_PACKET_OFFSET;                                                        \
        const char *from_ = (const char *)(long)(skb)->data + at_;                                 \
        int r_ = 0;                                                                                \
                                                                                                   \
        if (from_ + sizeof(*(to)) <= (const char *)(long)(skb)->data_end)                          \
            *(to) = *(const typeof(*(to)) *)from_;                                                 \
        else                                                                                       \
            r_ = bpf_skb_load_bytes(skb, at_, to, sizeof(*(to)));                                  \
        r_;                                                                                        \
    })

struct ethernet { /* As ethhdr, whose bytes may lie anywhere. */
    __be16 to[3], from[3];
    __be16 type;
};

static __always_inline __u32 read_ethernet(struct __sk_buff *skb, struct frame *f)
{
    struct ethernet eth;

    if (READ(skb, 0, &eth))
        return EDGE_MALFORMED;
    __builtin_memcpy(f->mac_to, eth.to, 6);
    __builtin_memcpy(f->mac_from, eth.from, 6);
    f->type = bpf_ntohs(eth.type);
    if (skb->vlan_present || f->type == ETH_P_8021Q || f->type == ETH_P_8021AD)
        return EDGE_VLAN;
    if (is_control_mac(f->mac_to) || f->type == ETH_TYPE_LLDP || f->type == ETH_P_PAE)
        return EDGE_CONTROL;
    if (f->type != ETH_P_IP && f->type != ETH_P_IPV6 && f->type != ETH_P_ARP)
        return EDGE_FOREIGN;
    return EDGE_PASS;
}

static __always_inline __u32 edge_read_v4(struct __sk_buff *skb, struct frame *f)
{
    struct packet *p = &f->p;
    struct iphdr ip;
    __u32 header, total;
    __u16 at;

    if (READ(skb, ETH_HLEN, &ip) || ip.version != 4 || ip.ihl < 5)
        return EDGE_MALFORMED;
    header = ip.ihl * 4;
    total = bpf_ntohs(ip.tot_len);
    at = bpf_ntohs(ip.frag_off);
    if (total < header || total + ETH_HLEN > skb->len || (at & IP_RESERVED_FLAG))
        return EDGE_MALFORMED;
    map_v4(&p->source, ip.saddr);
    map_v4(&p->destination, ip.daddr);
    /* Options can route around the destination that we judge; IGMP alone needs one. */
    if (ip.ihl > 5 && (ip.protocol != IPPROTO_IGMP || !stays_on_link(p)))
        return EDGE_OPTIONS;
    p->protocol = ip.protocol;
    p->transport = ETH_HLEN + header;
    f->size = f->piece = total - header;
    f->hops = ip.ttl;
    f->id = bpf_ntohs(ip.id);
    f->begin = (at & FRAGMENT_OFFSET) * 8;
    f->more = (at & IP_MORE_FRAGMENTS) != 0;
    return EDGE_PASS;
}

struct v6_fragment { /* RFC 8200 section 4.5 */
    __u8 next;
    __u8 reserved;
    __be16 at;
    __be32 id;
};

static __always_inline __u32 edge_read_v6(struct __sk_buff *skb, struct frame *f)
{
    struct packet *p = &f->p;
    struct ipv6hdr ip;
    __u32 end, fragments_seen = 0;
    __u8 next;

    if (READ(skb, ETH_HLEN, &ip) || ip.version != 6)
        return EDGE_MALFORMED;
    __builtin_memcpy(&p->source, &ip.saddr, 16);
    __builtin_memcpy(&p->destination, &ip.daddr, 16);
    p->v6 = 1;
    p->transport = ETH_HLEN + sizeof(ip);
    end = p->transport + bpf_ntohs(ip.payload_len);
    if (end > skb->len)
        return EDGE_MALFORMED;
    f->hops = ip.hop_limit;
    next = ip.nexthdr;
    for (int i = 0; i <= MAX_EDGE_EXTENSIONS; i++) {
        struct v6_fragment h;

        if (next == IPPROTO_ROUTING || (next == IPPROTO_HOPOPTS && i > 0))
            return EDGE_EXTENSIONS;
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT) {
            /* A v6 packet that calls itself ICMPv4 is no ping. */
            p->protocol = next == IPPROTO_ICMPV6 ? IPPROTO_ICMP
                          : next == IPPROTO_ICMP ? IPPROTO_RAW
                                                 : next;
            if (p->transport > end)
                return EDGE_MALFORMED;
            f->size = end - p->transport;
            return EDGE_PASS;
        }
        if (i == MAX_EDGE_EXTENSIONS)
            return EDGE_EXTENSIONS;
        if (p->transport + sizeof(h) > end || READ(skb, p->transport, &h))
            return EDGE_MALFORMED;
        if (next == IPPROTO_FRAGMENT) {
            if (fragments_seen++)
                return EDGE_EXTENSIONS;
            f->begin = bpf_ntohs(h.at) & 0xfff8;
            f->more = bpf_ntohs(h.at) & 1;
            f->id = bpf_ntohl(h.id);
            p->transport += sizeof(h);
            f->piece = end - p->transport;
            if (f->begin) /* What follows is a middle or an end. */
                return EDGE_PASS;
        } else {
            p->transport += 8 + h.reserved * 8; /* Where options have their length. */
        }
        p->transport &= MAX_PACKET_OFFSET;
        next = h.next;
    }
    return EDGE_EXTENSIONS;
}

/* Packets inside of packets: their own ends would not be judged, and no service can name them. */
static __always_inline int encapsulates(__u8 protocol)
{
    switch (protocol) {
    case 4:   /* IPv4 in IP */
    case 41:  /* IPv6 in IP (SIT) */
    case 47:  /* GRE */
    case 50:  /* ESP */
    case 51:  /* AH */
    case 55:  /* Minimal encapsulation */
    case 94:  /* IP within IP */
    case 97:  /* Ethernet within IP */
    case 98:  /* Encapsulation header */
    case 108: /* IPComp */
    case 115: /* L2TP */
    case 137: /* MPLS in IP */
        return 1;
    default:
        return 0;
    }
}

struct tcp_beginning { /* RFC 9293 section 3.1 */
    __be16 source, destination;
    __be32 sequence, acknowledged;
    __u8 header, flags;
    __be16 window;
};

struct icmp_beginning { /* Of an echo; RFC 792 */
    __u8 type, code;
    __be16 sum, id, sequence;
};

static __always_inline __u32 edge_read_tcp(struct __sk_buff *skb, struct frame *f, __u32 cut)
{
    struct tcp_beginning h;

    if (f->size < TCP_HEADER || READ(skb, f->p.transport, &h))
        return cut;
    f->tcp_header = (h.header >> 4) * 4;
    if (f->tcp_header < TCP_HEADER)
        return EDGE_MALFORMED;
    if (f->size < f->tcp_header)
        return cut;
    f->p.source_port = bpf_ntohs(h.source);
    f->p.destination_port = bpf_ntohs(h.destination);
    f->p.tcp_flags = h.flags;
    f->tcp.sequence = bpf_ntohl(h.sequence);
    f->tcp.acknowledged = bpf_ntohl(h.acknowledged);
    return EDGE_PASS;
}

static __always_inline __u32 edge_read_udp(struct __sk_buff *skb, struct frame *f, __u32 cut)
{
    struct udphdr h;

    if (f->size < sizeof(h) || READ(skb, f->p.transport, &h))
        return cut;
    if (bpf_ntohs(h.len) < sizeof(h) || (!f->more && bpf_ntohs(h.len) > f->size))
        return EDGE_MALFORMED;
    f->p.source_port = bpf_ntohs(h.source);
    f->p.destination_port = bpf_ntohs(h.dest);
    return EDGE_PASS;
}

static __always_inline __u32 edge_read_icmp(struct __sk_buff *skb, struct frame *f, __u32 cut)
{
    struct icmp_beginning h;

    if (f->size < sizeof(h) || READ(skb, f->p.transport, &h))
        return cut;
    f->icmp_type = h.type;
    classify_icmp(&f->p, h.type);
    f->p.icmp_id = h.id;
    return EDGE_PASS;
}

static __always_inline __u32 edge_read_transport(struct __sk_buff *skb, struct frame *f)
{
    __u32 cut = f->more ? EDGE_TINY : EDGE_MALFORMED;

    switch (f->p.protocol) {
    case IPPROTO_TCP:
        return edge_read_tcp(skb, f, cut);
    case IPPROTO_UDP:
        return edge_read_udp(skb, f, cut);
    case IPPROTO_ICMP:
        return edge_read_icmp(skb, f, cut);
    default:
        return EDGE_PASS;
    }
}

/* Reads a frame as far as its ports.  Returns an edge_reason. */
__noinline int read_frame(struct __sk_buff *skb, struct frame *f)
{
    __u32 reason;

    if (!f)
        return EDGE_MALFORMED;
    __builtin_memset(f, 0, sizeof(*f));
    reason = read_ethernet(skb, f);
    if (reason != EDGE_PASS || f->type == ETH_P_ARP)
        return reason;
    reason = f->type == ETH_P_IPV6 ? edge_read_v6(skb, f) : edge_read_v4(skb, f);
    if (reason != EDGE_PASS)
        return reason;
    if (f->more && (f->piece & 7 || !f->piece))
        return EDGE_MALFORMED;
    if (f->begin + f->piece > MAX_DATAGRAM)
        return EDGE_FRAGMENT;
    if (f->begin) {
        f->p.fragment = 1;
        return EDGE_PASS;
    }
    if (encapsulates(f->p.protocol))
        return EDGE_ENCAPSULATED;
    return edge_read_transport(skb, f);
}
