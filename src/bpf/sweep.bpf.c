/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* sweep.bpf.c - iterators over what already exists: sockets, and files that are open
 *
 *     listeners  finds the ports on which this network name space listens
 *     adopt      gives a program to sockets that are older than the enforcer
 *     identify   tells user space which abi_file each of its own descriptors is */
#include "bpf/iterate.h"

SEC("iter/tcp")
int listeners(struct bpf_iter__tcp *ctx)
{
    struct sock_common *sk = ctx->sk_common;
    struct abi_socket *s, none = {};
    __u16 port;

    keep_inner_types();
    if (!sk || sk->skc_state != STATE_LISTEN)
        return 0;
    port = sk->skc_num;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    bpf_map_update_elem(&listened, &port, s ? s : &none, BPF_ANY);
    return 0;
}

SEC("iter/task_file")
int adopt(struct bpf_iter__task_file *ctx)
{
    struct task_struct *task = ctx->task;
    struct file *open_file = ctx->file;
    struct abi_socket *s;
    struct abi_file file;
    struct socket *socket;
    struct sock *sk;
    __u16 port;

    if (!task || !open_file)
        return 0;
    socket = bpf_sock_from_file(open_file);
    if (!socket)
        return 0;
    sk = socket->sk;
    if (!sk || (sk->__sk_common.skc_family != 2 && sk->__sk_common.skc_family != 10))
        return 0;
    if (bpf_sk_storage_get(&sockets, sk, 0, 0))
        return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!s)
        return 0;
    exe_of(task, &file);
    report_program_of(task, &file);
    s->file = file;
    s->pid = task->tgid;
    s->uid = sk->sk_uid.val;
    s->flags |= ABI_SOCKET_ADOPTED;
    /* What is connected on a port that is listened on was accepted there. */
    port = sk->__sk_common.skc_num;
    if (sk->__sk_common.skc_state == STATE_LISTEN ||
        (sk->sk_protocol == IPPROTO_TCP && bpf_map_lookup_elem(&listened, &port)))
        s->flags |= ABI_SOCKET_LISTENED;
    count(ABI_COUNT_ADOPTED);
    return 0;
}

struct identified {
    __u32 fd;
    __u32 pid;
    struct abi_file file;
};

SEC("iter/task_file")
int identify(struct bpf_iter__task_file *ctx)
{
    struct task_struct *task = ctx->task;
    struct identified out = {};
    struct file *file = ctx->file;

    if (!task || !file)
        return 0;
    out.fd = ctx->fd;
    out.pid = task->tgid;
    file_of_inode(BPF_CORE_READ(file, f_inode), &out.file);
    bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
