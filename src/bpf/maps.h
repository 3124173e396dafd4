/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* maps.h - the maps that all programs of the host enforcer share; see abi.h
 *
 * Each is pinned under its name, so that programs of a later version, and the agent after a
 * restart, find them as they are. */
#pragma once

#define TABLE_SLOTS ABI_SLOTS
#include "bpf/tables.h"

enum {
    MAX_FLOWS = 65536,
    MAX_DENIALS = 16384,
    MAX_PROGRAMS_SEEN = 16384,
    EVENTS_SIZE = 1 << 21 /* Bytes: 17,000 events. */
};

SLOTTED_MAP(processes, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1);
            __type(key, struct abi_file); __type(value, __u16););

SLOTTED_MAP(users, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, __u32);
            __type(value, __u16););

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct abi_config);
} config SEC(".maps");

/* Addresses of this machine's own interfaces: connecting to them stays inside the box. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct abi_address);
    __type(value, __u32);
} locals SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct abi_socket);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_FLOWS);
    __type(key, struct abi_flow_key);
    __type(value, struct abi_flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_DENIALS);
    __type(key, struct abi_denial_key);
    __type(value, struct abi_denial);
} denials SEC(".maps");

/* Program files whose path has been reported. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_PROGRAMS_SEEN);
    __type(key, struct abi_file);
    __type(value, __u32);
} programs_seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, EVENTS_SIZE);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, ABI_COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 what)
{
    __u64 *n = bpf_map_lookup_elem(&counters, &what);

    if (n)
        ++*n;
}
