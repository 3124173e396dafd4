/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_lease.h - addresses that a port learns from DHCP, where its binding says so
 *
 *     guest --REQUEST--> port: notes (MAC, xid)       server --ACK--> port: binds the address
 *
 * An ACK teaches when a server that is named by address sent it, or a port of this edge that may
 * serve DHCP and owns the address that it comes from; when it answers the last request of one of
 * the port's own MACs, by its number; and when nobody else of this edge owns the address.  It is
 * bound to that MAC's port for the time of the lease, and no longer.  A MAC has one lease: another
 * one ends the former.
 *
 * All in the kernel: the guest announces its address at once, and leases end without the agent. */
#pragma once

#include "bpf/edge_frame.h"

enum {
    BOOTP_REQUEST = 1, /* RFC 2131 section 2 */
    BOOTP_REPLY = 2,
    BOOTP_MAC = 28,   /* Where the client's MAC stands. */
    BOOTP_SIZE = 240, /* With the cookie, where options begin. */
    DHCP_COOKIE = 0x63825363,
    DHCP_PAD = 0, /* RFC 2132 */
    DHCP_LEASE_TIME = 51,
    DHCP_KIND = 53,
    DHCP_END = 255,
    DHCP_ACK = 5,
    MAX_DHCP_OPTIONS = 64,
};

#define ASKED_NS (60 * 1000000000ull) /* How long a request waits for its answer. */

struct bootp { /* Its first 20 bytes. */
    __u8 operation, hardware, hardware_size, hops;
    __be32 xid;
    __be16 seconds, flags;
    __be32 client, yours;
};

struct dhcp_found {
    __u32 seconds;
    __u32 kind;
};

static __always_inline void note_request(struct __sk_buff *skb, const struct frame *f, __u32 number)
{
    struct edge_mac key = {.port = number};
    struct edge_client first = {}, *client;
    struct bootp b;

    if (bpf_skb_load_bytes(skb, f->p.transport + UDP_HEADER, &b, sizeof(b)))
        return;
    __builtin_memcpy(key.mac, f->mac_from, 6);
    client = bpf_map_lookup_elem(&clients, &key);
    if (client) {
        client->xid = b.xid;
        client->asked_ns = bpf_ktime_get_coarse_ns();
        return;
    }
    first.xid = b.xid;
    first.asked_ns = bpf_ktime_get_coarse_ns();
    bpf_map_update_elem(&clients, &key, &first, BPF_NOEXIST);
}

/* One option.  Returns its size, or 0 at the end, or where it cannot be read. */
__noinline int read_option(struct __sk_buff *skb, struct dhcp_found *found, __u32 at, __u32 end)
{
    __u8 head[2] = {};
    __be32 word;
    __u8 kind;

    if (!found || at >= end || bpf_skb_load_bytes(skb, at, head, 1) || head[0] == DHCP_END)
        return 0;
    if (head[0] == DHCP_PAD)
        return 1;
    if (bpf_skb_load_bytes(skb, at, head, 2) || at + 2 + head[1] > end)
        return 0;
    if (head[0] == DHCP_KIND && head[1] == 1 && !bpf_skb_load_bytes(skb, at + 2, &kind, 1))
        found->kind = kind;
    if (head[0] == DHCP_LEASE_TIME && head[1] == 4 && !bpf_skb_load_bytes(skb, at + 2, &word, 4))
        found->seconds = bpf_ntohl(word);
    return 2 + head[1];
}

static __always_inline int is_authorised(const struct abi_address *server)
{
    const struct edge_port *port;
    const __u32 *owner;

    if (bpf_map_lookup_elem(&dhcp_servers, server))
        return 1;
    owner = bpf_map_lookup_elem(&owners, server);
    port = owner ? get_port(*owner) : NULL;
    return port && (port->flags & EDGE_PORT_DHCP_SERVER);
}

static __always_inline void tell_lease(__u32 number, const struct abi_address *address,
                                       const struct abi_address *server, __u32 seconds)
{
    struct edge_event *e = bpf_ringbuf_reserve(&edge_events, sizeof(*e), 0);

    if (!e)
        return; /* It is bound all the same. */
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = EDGE_EVENT_LEASE;
    e->number = number;
    e->count = seconds;
    e->local = *address;
    e->remote = *server;
    bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/* Binds 'address' to the MAC.  Its former lease ends; what is renewed goes on. */
static __always_inline void put_lease(__u32 number, const struct edge_mac *key,
                                      struct edge_client *client, const struct abi_address *address,
                                      const struct abi_address *server, __u32 seconds)
{
    const struct edge_port *port = get_port(number);
    struct abi_address former = client->leased;
    struct edge_lease lease = {.port = number}, *old;
    int is_new = !same_address(&former, address);

    if (!port)
        return;
    old = bpf_map_lookup_elem(&leases, &former);
    if (is_new && old && old->port == number)
        bpf_map_delete_elem(&leases, &former);
    lease.epoch = port->epoch;
    lease.expires_ns = bpf_ktime_get_coarse_ns() + seconds * 1000000000ull;
    __builtin_memcpy(lease.mac, key->mac, 6);
    if (bpf_map_update_elem(&leases, address, &lease, BPF_ANY))
        return;
    client->leased = *address;
    client->asked_ns = 0; /* One answer a request. */
    count(number, EDGE_COUNT_LEASED);
    if (is_new)
        tell_lease(number, address, server, seconds);
}

/* An ACK to one of the port's MACs. */
__noinline int learn_lease(struct __sk_buff *skb, const struct frame *f, __u32 number)
{
    struct edge_mac key = {.port = number};
    struct dhcp_found found = {};
    struct abi_address address, server;
    struct edge_client *client;
    const __u32 *owner;
    __u32 at, end, cookie;
    struct bootp b;

    if (!f || f->p.v6)
        return 0;
    at = f->p.transport + UDP_HEADER;
    end = f->p.transport + f->size;
    server = f->p.source;
    if (bpf_skb_load_bytes(skb, at, &b, sizeof(b)) || b.operation != BOOTP_REPLY ||
        b.hardware_size != 6 || bpf_skb_load_bytes(skb, at + BOOTP_MAC, key.mac, 6) ||
        bpf_skb_load_bytes(skb, at + BOOTP_SIZE - 4, &cookie, 4) ||
        cookie != bpf_htonl(DHCP_COOKIE))
        return 0;
    client = bpf_map_lookup_elem(&clients, &key);
    if (!client || client->xid != b.xid ||
        bpf_ktime_get_coarse_ns() - client->asked_ns >= ASKED_NS || !is_authorised(&server))
        return 0;
    at += BOOTP_SIZE;
    for (int i = 0; i < MAX_DHCP_OPTIONS; i++) {
        int taken = read_option(skb, &found, at, end);

        if (taken <= 0)
            break;
        at += taken;
    }
    map_v4(&address, b.yours);
    owner = bpf_map_lookup_elem(&owners, &address);
    if (found.kind != DHCP_ACK || !found.seconds || !b.yours || is_group(&address) ||
        is_loopback(&address) || (owner && *owner != number))
        return 0;
    put_lease(number, &key, client, &address, &server, found.seconds);
    return 0;
}
