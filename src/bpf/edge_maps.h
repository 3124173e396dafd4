/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_maps.h - the maps of the edge enforcer; see edge_abi.h.  All are pinned under their names.
 */
#pragma once

#include "bpf/edge_abi.h"

#define TABLE_SLOTS (EDGE_PORTS * ABI_SLOTS)
#include "bpf/tables.h"

enum {
    MAX_FLOWS = 65536,    /* User space makes it larger or smaller before it loads. */
    MAX_FRAGMENTS = 8192, /* Datagrams that are on their way in pieces. */
    MAX_DENIALS = 16384,
    EVENTS_SIZE = 1 << 21,
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct edge_config);
} edge_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EDGE_PORTS);
    __type(key, __u32);
    __type(value, struct edge_port);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_PORTS);
    __type(key, __u32);
    __type(value, __u32);
} by_ifindex SEC(".maps");

/* What by_ifindex said last, at ifindex % EDGE_PORTS: true while the port says so itself. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EDGE_PORTS);
    __type(key, __u32);
    __type(value, __u32);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_BINDINGS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct edge_mac);
    __type(value, __u32);
} macs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_BINDINGS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct edge_own);
    __type(value, __u32);
} own SEC(".maps");

/* Addresses that exactly one port has. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_BINDINGS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct abi_address);
    __type(value, __u32);
} owners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_SERVERS);
    __type(key, struct abi_address);
    __type(value, __u32);
} dhcp_servers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_LEASES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct abi_address);
    __type(value, struct edge_lease);
} leases SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_LEASES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct edge_mac);
    __type(value, struct edge_client);
} clients SEC(".maps");

/* No LRU: a flood of new flows must not push out those that stand.  What does not fit is refused,
 * and idle flows leave by the clock (edge_end.h), agent or no agent. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_FLOWS);
    __type(key, struct edge_flow_key);
    __type(value, struct edge_flow);
} edge_flows SEC(".maps");

/* Flows in the order in which they are looked at; as many as edge_flows has. */
struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, MAX_FLOWS);
    __type(value, struct edge_due);
} dues SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct edge_clock);
} edge_clock SEC(".maps");

/* Of the flows whose requests are read; they come and go with them. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, EDGE_MAX_STREAMS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct edge_flow_key);
    __type(value, struct edge_stream);
} edge_streams SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, EDGE_PORTS);
    __type(key, __u32);
    __type(value, struct edge_use);
} uses SEC(".maps");

/* When idle flows were last looked for. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} swept SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_FRAGMENTS);
    __type(key, struct edge_fragment_key);
    __type(value, struct edge_fragment);
} fragments SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_DENIALS);
    __type(key, struct edge_denial_key);
    __type(value, struct abi_denial);
} edge_denials SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, EVENTS_SIZE);
} edge_events SEC(".maps");

/* number * EDGE_COUNTERS + enum edge_reason or edge_counter. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, EDGE_PORTS *EDGE_COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} edge_counters SEC(".maps");

static __always_inline void count(__u32 number, __u32 what)
{
    __u32 at = number * EDGE_COUNTERS + what;
    __u64 *n = bpf_map_lookup_elem(&edge_counters, &at);

    if (n)
        ++*n;
}

static __always_inline const struct edge_config *get_config(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&edge_config, &zero);
}

static __always_inline struct edge_port *get_port(__u32 number)
{
    return bpf_map_lookup_elem(&ports, &number);
}

/* 0: none.  A hash costs more than all else that is looked up for most frames. */
static __always_inline __u32 get_number(__u32 ifindex)
{
    __u32 at = ifindex % EDGE_PORTS, *near = bpf_map_lookup_elem(&numbers, &at), *number;
    const struct edge_port *port = near ? get_port(*near) : NULL;

    if (near && *near && port && port->ifindex == ifindex)
        return *near;
    number = bpf_map_lookup_elem(&by_ifindex, &ifindex);
    if (near && number)
        *near = *number;
    return number ? *number : 0;
}

/* Learned, and not expired. */
__noinline int is_leased(__u32 number, const struct abi_address *a)
{
    const struct edge_port *port = get_port(number);
    const struct edge_lease *l;
    struct abi_address key;

    if (!a || !port || !(port->flags & EDGE_PORT_LEARN))
        return 0;
    key = *a; /* Linux 6.1 takes map keys from the stack, not from a global function's caller. */
    l = bpf_map_lookup_elem(&leases, &key);
    return l && l->port == number && l->epoch == port->epoch &&
           bpf_ktime_get_coarse_ns() < l->expires_ns;
}

static __always_inline int is_own(__u32 number, const struct abi_address *a)
{
    struct edge_own key = {.port = number, .address = *a};

    return bpf_map_lookup_elem(&own, &key) || is_leased(number, a);
}

static __always_inline int is_own_mac(__u32 number, const __u8 mac[6])
{
    struct edge_mac key = {.port = number};

    __builtin_memcpy(key.mac, mac, 6);
    return bpf_map_lookup_elem(&macs, &key) != NULL;
}
