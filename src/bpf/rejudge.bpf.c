/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* rejudge.bpf.c - judges every TCP connection again, and ends those that are no longer allowed
 *
 * An object of its own: where the kernel has no bpf_sock_destroy (before Linux 6.5) it does not
 * load, the enforcer says so, and forbidden connections starve at the packet hooks instead. */
#include "bpf/iterate.h"

extern int bpf_sock_destroy(struct sock_common *sk) __ksym;

static __always_inline void remote_of(struct sock_common *sk, struct abi_address *a)
{
    if (sk->skc_family == 10) {
        a->word[0] = sk->skc_v6_daddr.in6_u.u6_addr32[0];
        a->word[1] = sk->skc_v6_daddr.in6_u.u6_addr32[1];
        a->word[2] = sk->skc_v6_daddr.in6_u.u6_addr32[2];
        a->word[3] = sk->skc_v6_daddr.in6_u.u6_addr32[3];
    } else {
        a->word[0] = 0;
        a->word[1] = 0;
        a->word[2] = bpf_htonl(0xffff);
        a->word[3] = sk->skc_daddr;
    }
}

SEC("iter/tcp")
int rejudge(struct bpf_iter__tcp *ctx)
{
    struct sock_common *sk = ctx->sk_common;
    const struct abi_config *cfg = get_config();
    struct connection c = {};
    struct abi_socket *s, *listener;
    __u16 port;

    if (!sk || !cfg || sk->skc_state == STATE_LISTEN || sk->skc_state == STATE_TIME_WAIT ||
        sk->skc_state == STATE_NEW_SYN_RECV)
        return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!s)
        return 0; /* Not of this cgroup. */
    remote_of(sk, &c.remote);
    if (is_loopback(&c.remote) || bpf_map_lookup_elem(&locals, &c.remote))
        return 0;
    port = sk->skc_num;
    listener = bpf_map_lookup_elem(&listened, &port);
    if (listener && !(s->flags & ABI_SOCKET_JUDGED))
        s->flags |= ABI_SOCKET_LISTENED;
    c.protocol = IPPROTO_TCP;
    c.direction = s->flags & ABI_SOCKET_LISTENED ? ABI_IN : ABI_OUT;
    c.port = c.direction == ABI_IN ? port : bpf_ntohs(sk->skc_dport);
    if (judge_socket(s, &c) == CLOSED && bpf_sock_destroy(sk) == 0)
        count(ABI_COUNT_DESTROYED);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
