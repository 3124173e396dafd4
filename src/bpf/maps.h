/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* maps.h - the maps that all programs of the host enforcer share; see abi.h
 *
 * Each is pinned under its name, so that programs of a later version, and the agent after a
 * restart, find them as they are. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

enum {
    MAX_SUSPECTS = 65536,
    MAX_FLOWS = 65536,
    MAX_DENIALS = 16384,
    MAX_PROGRAMS_SEEN = 16384,
    EVENTS_SIZE = 1 << 21 /* Bytes: 17,000 events. */
};

/* An array of two inner maps, one a slot; the inner prototype gives type, key and value. */
#define SLOTTED_MAP(map_name, ...)                                                                 \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                  \
        __uint(max_entries, ABI_SLOTS);                                                            \
        __uint(key_size, sizeof(__u32));                                                           \
        __uint(value_size, sizeof(__u32));                                                         \
        __array(values, struct {__VA_ARGS__});                                                     \
    } map_name SEC(".maps")

SLOTTED_MAP(addresses, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1);
            __type(key, struct abi_address); __type(value, struct abi_remote););

SLOTTED_MAP(prefixes, __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 1);
            __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct abi_prefix);
            __type(value, struct abi_remote););

SLOTTED_MAP(services, __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, ABI_ROWS);
            __type(key, __u32); __type(value, __u16[ABI_PORTS]););

SLOTTED_MAP(entries, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1);
            __type(key, struct abi_entry_key); __type(value, struct abi_entry););

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

/* Endpoints whose trust is not white. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_SUSPECTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct abi_address);
    __type(value, __u32); /* enum trust */
} suspects SEC(".maps");

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

/* clang leaves out the layout of a structure that only an inner map names, and libbpf then cannot
 * tell its size.  Asking for the type's number puts it in. */
#define KEEP_TYPE(type)                                                                            \
    do {                                                                                           \
        __u64 id_ = bpf_core_type_id_local(type);                                                  \
        asm volatile("" : : "r"(id_));                                                             \
    } while (0)

static __always_inline void keep_inner_types(void)
{
    KEEP_TYPE(struct abi_remote);
    KEEP_TYPE(struct abi_prefix);
    KEEP_TYPE(struct abi_entry_key);
    KEEP_TYPE(struct abi_entry);
}
