/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge.bpf.c - the edge enforcer: outside the guest, where its root cannot reach
 *
 *     guest ---- port (tap, veth) --ingress--> leaves the guest: OUT for its endpoint
 *                                 <--egress--  reaches the guest: IN
 *
 * Each frame gets one reason, which is counted for its port.  What is not understood is closed;
 * open means "no objection", so that other classifiers on the device still have their say. */
#include "bpf/edge_answer.h"
#include "bpf/edge_flow.h"
#include "bpf/edge_link.h"

#include <linux/pkt_cls.h>

static __always_inline __u32 check_igmp(struct __sk_buff *skb, const struct frame *f,
                                        __u32 direction, __u32 port_flags)
{
    __u8 type;

    if (bpf_skb_load_bytes(skb, f->p.transport, &type, 1))
        return EDGE_MALFORMED;
    if (direction == ABI_OUT && (f->p.v6 || !stays_on_link(&f->p)))
        return EDGE_MALFORMED;
    if (direction == ABI_OUT && type == IGMP_QUERY && !(port_flags & EDGE_PORT_ROUTER))
        return EDGE_ROGUE_RA;
    return EDGE_PASS;
}

/* An IP packet whose ends may be what they claim. */
static __always_inline __u32 examine_ip(struct __sk_buff *skb, const struct frame *f, __u32 number,
                                        __u32 direction, __u32 port_flags)
{
    __u32 reason;
    int r;

    if (f->p.fragment)
        return pass_fragment(skb, f, number, direction);
    if (!f->more) {
        if (f->p.protocol == IPPROTO_IGMP)
            return check_igmp(skb, f, direction, port_flags);
        if (f->p.protocol == IPPROTO_ICMP && f->p.icmp == ICMP_LINK)
            return check_nd(skb, f, number, direction, port_flags);
        r = check_dhcp(skb, f, number, direction, port_flags);
        if (r != NO_DHCP)
            return r;
    }
    if (f->p.protocol == IPPROTO_ICMP) {
        if (!f->p.v6 && f->icmp_type == ICMP4_REDIRECT)
            return EDGE_REDIRECT;
        if (f->p.icmp == ICMP_LINK) /* In pieces: nobody needs that. */
            return EDGE_FRAGMENT;
        if (f->p.icmp == ICMP_ERROR)
            return pass_error(skb, f, number, direction);
    }
    reason = pass_flow(skb, f, number, direction);
    return reason == EDGE_PASS && f->more ? begin_fragments(f, number, direction) : reason;
}

static __always_inline __u32 examine(struct __sk_buff *skb, __u32 number, __u32 direction)
{
    const struct edge_port *port = get_port(number);
    __u32 reason, flags;
    struct frame f;

    if (!port || !number)
        return EDGE_NO_PORT;
    flags = port->flags;
    if (!port->active)
        return flags & EDGE_PORT_OPEN_BEFORE ? EDGE_PASS : EDGE_NO_PORT;
    reason = read_frame(skb, &f);
    if (reason != EDGE_PASS)
        return reason;
    if (f.type != ETH_P_ARP && !(flags & EDGE_PORT_LEARN)) { /* What is leased ends by itself. */
        int known = pass_known(skb, &f, number, direction);

        if (known != NOT_KNOWN)
            return known;
    }
    reason = check_macs(&f, number, direction);
    if (reason != EDGE_PASS)
        return reason;
    if (f.type == ETH_P_ARP)
        return check_arp(skb, &f, number, direction);
    reason = check_addresses(&f, number, direction);
    if (reason != EDGE_PASS)
        return reason;
    return examine_ip(skb, &f, number, direction, flags);
}

static __always_inline int edge(struct __sk_buff *skb, __u32 direction)
{
    __u32 number = get_number(skb->ifindex);
    __u32 reason = number ? examine(skb, number, direction) : EDGE_NO_PORT;

    count(number, reason);
    if (reason == EDGE_PASS)
        return TC_ACT_UNSPEC;
    if ((reason == EDGE_FUNCTION || reason == EDGE_REQUEST) &&
        answer_refused(skb, number, direction))
        return TC_ACT_UNSPEC; /* A RST now. */
    return TC_ACT_SHOT;
}

SEC("tc")
int from_guest(struct __sk_buff *skb)
{
    return edge(skb, ABI_OUT);
}

SEC("tc")
int to_guest(struct __sk_buff *skb)
{
    return edge(skb, ABI_IN);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
