/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* iterate.h - what the iterators of sweep.bpf.c and rejudge.bpf.c see of sockets and tasks */
#pragma once

#include "bpf/exe.h"
#include "bpf/report.h"

enum {
    STATE_TIME_WAIT = 6,
    STATE_LISTEN = 10,
    STATE_NEW_SYN_RECV = 12,
    MAX_LISTENED_PORTS = 65536,
};

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
} KERNEL_STRUCT;

struct in6_addr___k {
    union {
        __u32 u6_addr32[4];
    } in6_u;
} KERNEL_STRUCT;

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    unsigned char skc_state;
    struct in6_addr___k skc_v6_daddr;
} KERNEL_STRUCT;

struct kuid {
    __u32 val;
};

struct sock {
    struct sock_common __sk_common;
    __u16 sk_type;
    __u16 sk_protocol;
    struct kuid sk_uid; /* kuid_t */
} KERNEL_STRUCT;

struct socket {
    struct sock *sk;
} KERNEL_STRUCT;

struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
    __u32 uid;
} KERNEL_STRUCT;

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
} KERNEL_STRUCT;

/* Ports with a listener: a connection older than us on one of them came in. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_LISTENED_PORTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u16);
    __type(value, struct abi_socket);
} listened SEC(".maps");
