/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* packet.h - what a packet says of itself
 *
 * Copies, not pointers into the packet: they see paged data too and need no bounds proof.  Works on
 * cgroup_skb programs (offset 0 is the IP header) and on tc programs (behind the Ethernet header).
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

enum {
    MAX_EXTENSIONS = 6,       /* IPv6 extension headers followed; RFC 8200 names fewer kinds. */
    FRAGMENT_OFFSET = 0x1fff, /* RFC 791 section 3.1 */
    MAX_PACKET_OFFSET = 0x3fff,
    IP_MORE_FRAGMENTS = 0x2000,

    ICMP4_ECHO_REPLY = 0, /* RFC 792 */
    ICMP4_UNREACHABLE = 3,
    ICMP4_ECHO = 8,
    ICMP4_TIME_EXCEEDED = 11,
    ICMP4_PARAMETER = 12,
    ICMP6_UNREACHABLE = 1, /* RFC 4443 */
    ICMP6_PARAMETER = 4,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP6_MLD_QUERY = 130, /* RFC 2710, 4861, 3810: multicast groups and neighbours. */
    ICMP6_SOLICITATION = 135,
    ICMP6_ADVERTISEMENT = 136,
    ICMP6_REDIRECT = 137,
    ICMP6_MLD2_REPORT = 143,

    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_ACK = 16,
    DHCP4_SERVER = 67, /* RFC 2131 */
    DHCP4_CLIENT = 68,
    DHCP6_CLIENT = 546, /* RFC 8415 */
    DHCP6_SERVER = 547,
};

enum icmp_kind { ICMP_NONE, ICMP_REQUEST, ICMP_REPLY, ICMP_ERROR, ICMP_LINK, ICMP_OTHER };

struct packet {
    struct abi_address source;
    struct abi_address destination;
    __u32 transport; /* Offset of the transport header. */
    __u16 source_port;
    __u16 destination_port; /* ICMP: type in ICMPv4's numbers. */
    __u16 icmp_id;
    __u8 protocol; /* ICMPv6 as IPPROTO_ICMP. */
    __u8 tcp_flags;
    __u8 icmp;     /* enum icmp_kind */
    __u8 fragment; /* Not the first fragment: there are no ports. */
    __u8 v6;
    __u8 malformed;
};

static __always_inline void map_v4(struct abi_address *a, __be32 v4)
{
    a->word[0] = 0;
    a->word[1] = 0;
    a->word[2] = bpf_htonl(0xffff);
    a->word[3] = v4;
}

static __always_inline void classify_icmp(struct packet *p, __u8 type)
{
    p->destination_port = type;
    if (!p->v6) {
        if (type == ICMP4_ECHO)
            p->icmp = ICMP_REQUEST;
        else if (type == ICMP4_ECHO_REPLY)
            p->icmp = ICMP_REPLY;
        else if (type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
                 type == ICMP4_PARAMETER)
            p->icmp = ICMP_ERROR;
        else
            p->icmp = ICMP_OTHER;
        return;
    }
    if (type == ICMP6_ECHO) {
        p->icmp = ICMP_REQUEST;
        p->destination_port = ICMP4_ECHO;
    } else if (type == ICMP6_ECHO_REPLY) {
        p->icmp = ICMP_REPLY;
        p->destination_port = ICMP4_ECHO_REPLY;
    } else if (type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER) {
        p->icmp = ICMP_ERROR;
    } else if ((type >= ICMP6_MLD_QUERY && type <= ICMP6_REDIRECT) || type == ICMP6_MLD2_REPORT) {
        p->icmp = ICMP_LINK;
    } else {
        p->icmp = ICMP_OTHER;
        p->destination_port = 255; /* No ICMPv4 twin. */
    }
}

static __always_inline int read_transport(struct __sk_buff *skb, struct packet *p)
{
    if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) {
        __be16 ports[2];

        if (bpf_skb_load_bytes(skb, p->transport, ports, sizeof(ports)))
            return -1;
        p->source_port = bpf_ntohs(ports[0]);
        p->destination_port = bpf_ntohs(ports[1]);
        if (p->protocol == IPPROTO_TCP &&
            bpf_skb_load_bytes(skb, p->transport + 13, &p->tcp_flags, 1))
            return -1;
    } else if (p->protocol == IPPROTO_ICMP) {
        struct {
            __u8 type, code;
            __be16 sum, id, sequence;
        } icmp;

        if (bpf_skb_load_bytes(skb, p->transport, &icmp, sizeof(icmp)))
            return -1;
        classify_icmp(p, icmp.type);
        p->icmp_id = icmp.id;
    }
    return 0;
}

static __always_inline int read_v4(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
    struct iphdr ip;

    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
        return -1;
    /* Options can route around the destination that we judge, and nobody needs them but IGMP. */
    if (ip.ihl > 5 && ip.protocol != IPPROTO_IGMP)
        return -1;
    map_v4(&p->source, ip.saddr);
    map_v4(&p->destination, ip.daddr);
    /* A v4 packet that calls itself ICMPv6 is no ping: keep it out of the ICMP tables. */
    p->protocol = ip.protocol;
    p->transport = offset + ip.ihl * 4;
    p->fragment = (ip.frag_off & bpf_htons(FRAGMENT_OFFSET)) != 0;
    return 0;
}

static __always_inline int read_v6(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
    struct ipv6hdr ip;
    __u8 next;

    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 6)
        return -1;
    __builtin_memcpy(&p->source, &ip.saddr, 16);
    __builtin_memcpy(&p->destination, &ip.daddr, 16);
    p->v6 = 1;
    p->transport = offset + sizeof(ip);
    next = ip.nexthdr;
    for (int i = 0; i < MAX_EXTENSIONS; i++) {
        __u8 header[4];

        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_FRAGMENT) {
            /* A v6 packet that calls itself ICMPv4 is no ping either. */
            p->protocol = next == IPPROTO_ICMPV6 ? IPPROTO_ICMP
                          : next == IPPROTO_ICMP ? IPPROTO_RAW
                                                 : next;
            return 0;
        }
        if (bpf_skb_load_bytes(skb, p->transport, header, sizeof(header)))
            return -1;
        if (next == IPPROTO_FRAGMENT) {
            __be16 at = *(__be16 *)&header[2];

            p->fragment = (at & bpf_htons(0xfff8)) != 0;
            p->transport += 8;
        } else {
            p->transport += 8 + header[1] * 8;
        }
        p->transport &= MAX_PACKET_OFFSET;
        next = header[0];
        if (p->fragment) {
            p->protocol = next == IPPROTO_ICMPV6 ? IPPROTO_ICMP : next;
            return 0;
        }
    }
    return -1; /* More extension headers than anybody needs. */
}

/* Multicast, or IPv6's link-local unicast: does not leave the link. */
static __always_inline int stays_on_link(const struct packet *p)
{
    __u32 first = bpf_ntohl(p->v6 ? p->destination.word[0] : p->destination.word[3]);

    if (p->v6)
        return (first >> 24) == 0xff || (first >> 22) == (0xfe80u >> 6);
    return (first >> 28) == 0xe;
}

/* Reads the IP packet at 'offset'.  'p->malformed' when it cannot be read to the ports. */
__noinline int read_packet(struct __sk_buff *skb, __u32 offset, __u32 v6, struct packet *p)
{
    int r;

    if (!p)
        return 0;
    __builtin_memset(p, 0, sizeof(*p));
    r = v6 ? read_v6(skb, offset & MAX_PACKET_OFFSET, p)
           : read_v4(skb, offset & MAX_PACKET_OFFSET, p);
    if (!r && !p->fragment)
        r = read_transport(skb, p);
    p->malformed = r != 0;
    return 0;
}
