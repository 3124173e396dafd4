/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_link.h - who a port may claim to be, and what keeps its link alive
 *
 * ARP, neighbour discovery, DHCP and group membership pass without a rule of the policy, and are
 * looked at instead: nobody speaks for another's MAC or address, nobody but a router calls itself
 * one, nobody but a DHCP server answers as one. */
#pragma once

#include "bpf/edge_frame.h"
#include "bpf/edge_lease.h"

enum {
    ARP_REQUEST = 1, /* RFC 826 */
    ARP_REPLY = 2,
    ICMP6_ROUTER_SOLICITATION = 133, /* RFC 4861 */
    ICMP6_ROUTER = 134,
    ICMP4_REDIRECT = 5,
    ND_SOURCE_MAC = 1, /* Options. */
    ND_TARGET_MAC = 2,
    MAX_ND_OPTIONS = 8,
    IGMP_QUERY = 0x11, /* RFC 3376 */
};

/* fe80::/64 with the port's own MAC in it (RFC 4291 appendix A). */
static __always_inline int is_own_link_local(__u32 number, const struct abi_address *a)
{
    __u32 high = bpf_ntohl(a->word[2]), low = bpf_ntohl(a->word[3]);
    __u8 mac[6];

    if (a->word[0] != bpf_htonl(0xfe800000) || a->word[1])
        return 0;
    if ((high & 0xff) != 0xff || low >> 24 != 0xfe)
        return 0;
    mac[0] = (high >> 24) ^ 2;
    mac[1] = high >> 16;
    mac[2] = high >> 8;
    mac[3] = low >> 16;
    mac[4] = low >> 8;
    mac[5] = low;
    return is_own_mac(number, mac);
}

static __always_inline int is_ours(__u32 number, const struct abi_address *a)
{
    return is_own(number, a) || is_own_link_local(number, a);
}

static __always_inline int is_unspecified(const struct abi_address *a)
{
    return !a->word[0] && !a->word[1] && (a->word[2] == bpf_htonl(0xffff) || !a->word[2]) &&
           !a->word[3];
}

/* An address that a port of this machine has, claimed with a MAC that is not that port's. */
static __always_inline int is_stolen(const struct abi_address *a, const __u8 mac[6])
{
    const __u32 *owner = bpf_map_lookup_elem(&owners, a);
    const struct edge_lease *lease;

    if (owner)
        return !is_own_mac(*owner, mac);
    lease = bpf_map_lookup_elem(&leases, a);
    return lease && is_leased(lease->port, a) && !is_own_mac(lease->port, mac);
}

struct arp {
    __be16 hardware, protocol;
    __u8 hardware_size, protocol_size;
    __be16 operation;
    __u8 sender_mac[6];
    __u8 sender[4];
    __u8 target_mac[6];
    __u8 target[4];
};

static __always_inline void arp_address(struct abi_address *a, const __u8 bytes[4])
{
    __be32 v4;

    __builtin_memcpy(&v4, bytes, 4);
    map_v4(a, v4);
}

/* Returns an edge_reason, as all below. */
__noinline int check_arp(struct __sk_buff *skb, const struct frame *f, __u32 number,
                         __u32 direction)
{
    struct abi_address sender, target;
    struct arp arp;
    __u16 operation;

    if (!f || bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
        return EDGE_MALFORMED;
    operation = bpf_ntohs(arp.operation);
    if (arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) ||
        arp.hardware_size != 6 || arp.protocol_size != 4 ||
        (operation != ARP_REQUEST && operation != ARP_REPLY))
        return EDGE_MALFORMED;
    arp_address(&sender, arp.sender);
    arp_address(&target, arp.target);
    if (direction == ABI_OUT) {
        if (!same_mac(arp.sender_mac, f->mac_from))
            return EDGE_ARP_SPOOF;
        /* 0.0.0.0 asks whether an address is free (RFC 5227). */
        if (operation == ARP_REQUEST && is_unspecified(&sender))
            return EDGE_PASS;
        return is_own(number, &sender) ? EDGE_PASS : EDGE_ARP_SPOOF;
    }
    if (is_own(number, &sender))
        return EDGE_DUPLICATE;
    if (is_stolen(&sender, arp.sender_mac))
        return EDGE_ARP_SPOOF;
    /* Questions for others are not this port's business; what announces itself is. */
    if (operation == ARP_REQUEST && !is_own(number, &target) && !same_address(&sender, &target))
        return EDGE_NOT_FOR_US;
    return EDGE_PASS;
}

struct nd_option {
    __u8 type, size; /* In units of 8 bytes. */
    __u8 mac[6];
};

/* Link-layer addresses in the options have to be the sender's own. */
static __always_inline __u32 check_nd_options(struct __sk_buff *skb, const struct frame *f,
                                              __u32 offset)
{
    __u32 end = f->p.transport + f->size;

    for (int i = 0; i < MAX_ND_OPTIONS; i++) {
        struct nd_option o;

        if (offset >= end)
            return EDGE_PASS;
        if (offset + sizeof(o) > end || bpf_skb_load_bytes(skb, offset, &o, sizeof(o)) || !o.size)
            return EDGE_MALFORMED;
        if ((o.type == ND_SOURCE_MAC || o.type == ND_TARGET_MAC) && !same_mac(o.mac, f->mac_from))
            return EDGE_ND_SPOOF;
        offset = (offset + o.size * 8) & MAX_PACKET_OFFSET;
    }
    return EDGE_MALFORMED;
}

static __always_inline __u32 check_neighbour(struct __sk_buff *skb, const struct frame *f,
                                             __u32 number, __u32 direction)
{
    const struct packet *p = &f->p;
    struct abi_address target = {}, source = p->source;

    if (f->size < 24 || bpf_skb_load_bytes(skb, p->transport + 8, &target, sizeof(target)))
        return EDGE_MALFORMED;
    if (direction == ABI_OUT) {
        if (f->icmp_type == ICMP6_ADVERTISEMENT && !is_ours(number, &target))
            return EDGE_ND_SPOOF;
    } else {
        if (f->icmp_type == ICMP6_ADVERTISEMENT && is_ours(number, &target))
            return EDGE_DUPLICATE;
        if (f->icmp_type == ICMP6_ADVERTISEMENT ? is_stolen(&target, f->mac_from)
                                                : is_stolen(&source, f->mac_from))
            return EDGE_ND_SPOOF;
    }
    return check_nd_options(skb, f, p->transport + 24);
}

/* Neighbour discovery and multicast listeners: ICMP_LINK. */
__noinline int check_nd(struct __sk_buff *skb, const struct frame *f, __u32 number, __u32 direction,
                        __u32 port_flags)
{
    int is_listener, is_query;

    if (!f)
        return EDGE_MALFORMED;
    is_query = f->icmp_type == ICMP6_MLD_QUERY;
    is_listener = is_query || f->icmp_type == ICMP6_MLD2_REPORT ||
                  (f->icmp_type > ICMP6_MLD_QUERY && f->icmp_type < ICMP6_ROUTER_SOLICITATION);
    if (f->icmp_type == ICMP6_REDIRECT)
        return EDGE_REDIRECT;
    if (direction == ABI_OUT && (f->icmp_type == ICMP6_ROUTER || is_query) &&
        !(port_flags & EDGE_PORT_ROUTER))
        return EDGE_ROGUE_RA;
    if (is_listener)
        return direction == ABI_IN || is_group(&f->p.destination) ? EDGE_PASS : EDGE_ND_SPOOF;
    if (f->hops != ND_HOPS)
        return EDGE_ND_SPOOF;
    if (f->icmp_type == ICMP6_SOLICITATION || f->icmp_type == ICMP6_ADVERTISEMENT)
        return check_neighbour(skb, f, number, direction);
    if (direction == ABI_OUT && !stays_on_link(&f->p))
        return EDGE_ND_SPOOF;
    return f->icmp_type == ICMP6_ROUTER_SOLICITATION ? check_nd_options(skb, f, f->p.transport + 8)
                                                     : EDGE_PASS;
}

static __always_inline int is_dhcp_server(const struct abi_address *a)
{
    const struct edge_config *cfg = get_config();

    if (!cfg || !(cfg->flags & EDGE_FLAG_SERVERS))
        return 1;
    return bpf_map_lookup_elem(&dhcp_servers, a) != NULL;
}

enum { NO_DHCP = -1 };

/* NO_DHCP: not DHCP, or a renewal like any datagram, for the policy to judge. */
__noinline int check_dhcp(struct __sk_buff *skb, const struct frame *f, __u32 number,
                          __u32 direction, __u32 port_flags)
{
    int is_request, is_answer;
    struct abi_address source;
    __u8 mac[6], operation;

    if (!f || f->p.protocol != IPPROTO_UDP)
        return NO_DHCP;
    source = f->p.source;
    if (f->p.v6) {
        is_answer = f->p.source_port == DHCP6_SERVER && f->p.destination_port == DHCP6_CLIENT;
        is_request = f->p.source_port == DHCP6_CLIENT && f->p.destination_port == DHCP6_SERVER &&
                     is_group(&f->p.destination);
    } else {
        is_answer = f->p.source_port == DHCP4_SERVER && (f->p.destination_port == DHCP4_CLIENT ||
                                                         f->p.destination_port == DHCP4_SERVER);
        is_request = f->p.source_port == DHCP4_CLIENT && f->p.destination_port == DHCP4_SERVER &&
                     f->p.destination.word[3] == 0xffffffff;
    }
    if (is_answer && direction == ABI_OUT)
        return port_flags & EDGE_PORT_DHCP_SERVER ? EDGE_PASS : EDGE_ROGUE_DHCP;
    if (is_request && direction == ABI_IN)
        return port_flags & EDGE_PORT_DHCP_SERVER ? EDGE_PASS : EDGE_NOT_FOR_US;
    if (is_answer && !is_dhcp_server(&source))
        return EDGE_ROGUE_DHCP;
    if (direction == ABI_OUT && !f->p.v6 && (port_flags & EDGE_PORT_LEARN) &&
        f->p.source_port == DHCP4_CLIENT && f->p.destination_port == DHCP4_SERVER)
        note_request(skb, f, number);
    if (!is_request && !is_answer)
        return NO_DHCP;
    if (f->p.v6)
        return EDGE_PASS;
    /* The client's MAC inside is the one that the lease is for. */
    if (bpf_skb_load_bytes(skb, f->p.transport + UDP_HEADER, &operation, 1) ||
        bpf_skb_load_bytes(skb, f->p.transport + UDP_HEADER + BOOTP_MAC, mac, 6))
        return EDGE_MALFORMED;
    if (is_answer && !is_own_mac(number, mac))
        return EDGE_NOT_FOR_US;
    if (is_answer) {
        if (port_flags & EDGE_PORT_LEARN)
            learn_lease(skb, f, number);
        return EDGE_PASS;
    }
    if (operation != BOOTP_REQUEST || !same_mac(mac, f->mac_from))
        return EDGE_ROGUE_DHCP;
    return EDGE_PASS;
}

static __always_inline __u32 check_macs(const struct frame *f, __u32 number, __u32 direction)
{
    if (direction == ABI_OUT)
        return is_own_mac(number, f->mac_from) ? EDGE_PASS : EDGE_MAC_SPOOF;
    if (is_own_mac(number, f->mac_from))
        return EDGE_DUPLICATE;
    return is_group_mac(f->mac_to) || is_own_mac(number, f->mac_to) ? EDGE_PASS : EDGE_NOT_FOR_US;
}

/* 0.0.0.0 and :: speak only while they ask for an address, or whether one is free. */
static __always_inline int may_be_nobody(const struct frame *f)
{
    if (!f->p.v6)
        return f->p.protocol == IPPROTO_IGMP ||
               (f->p.protocol == IPPROTO_UDP && f->p.source_port == DHCP4_CLIENT &&
                f->p.destination_port == DHCP4_SERVER && f->p.destination.word[3] == 0xffffffff);
    return f->p.protocol == IPPROTO_ICMP && f->p.icmp == ICMP_LINK;
}

/* The IP addresses at both ends; the remote one is for the policy to judge. */
static __always_inline __u32 check_addresses(const struct frame *f, __u32 number, __u32 direction)
{
    const struct packet *p = &f->p;
    struct abi_address source = p->source, destination = p->destination;

    if (is_group(&source) || is_loopback(&source) || is_loopback(&destination) ||
        is_unspecified(&destination) ||
        (p->v6 && (is_v4(&source) || is_v4(&destination))) || /* RFC 4291: never on a wire. */
        (is_group_mac(f->mac_to) == 0 && is_group(&destination)))
        return EDGE_MALFORMED;
    if (is_unspecified(&source) && !may_be_nobody(f))
        return direction == ABI_OUT ? EDGE_IP_SPOOF : EDGE_MALFORMED;
    if (direction == ABI_OUT) {
        if (!is_unspecified(&source) && !is_ours(number, &source))
            return EDGE_IP_SPOOF;
        return is_ours(number, &destination) ? EDGE_MALFORMED : EDGE_PASS;
    }
    if (is_ours(number, &source))
        return EDGE_DUPLICATE;
    /* To a group's MAC goes what is for a group.  In IPv4 any address may be a network's broadcast.
     */
    if ((is_group_mac(f->mac_to) && (!p->v6 || is_group(&destination))) ||
        is_ours(number, &destination))
        return EDGE_PASS;
    /* An address that is only offered yet. */
    return !p->v6 && p->protocol == IPPROTO_UDP && p->source_port == DHCP4_SERVER &&
                   p->destination_port == DHCP4_CLIENT
               ? EDGE_PASS
               : EDGE_NOT_FOR_US;
}
