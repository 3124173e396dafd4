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

static __always_inline int is_loopback(const struct abi_address *a)
{
    return !a->word[0] && !a->word[1] &&
           ((!a->word[2] && a->word[3] == bpf_htonl(1)) ||
            (a->word[2] == bpf_htonl(0xffff) && (bpf_ntohl(a->word[3]) >> 24) == 127));
}

SEC("iter/tcp")
int rejudge(struct bpf_iter__tcp *ctx)
{
    struct sock_common *sk = ctx->sk_common;
    const struct abi_config *cfg = get_config();
    struct connection c = {};
    struct decision d = {};
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
    c.file = s->file;
    c.uid = s->uid;
    c.pid = s->pid;
    judge(&c, &d);
    s->active = d.active;
    s->remote = c.remote;
    s->identity = d.identity;
    s->rule = d.rule;
    s->port = c.port;
    s->protocol = IPPROTO_TCP;
    s->direction = c.direction;
    s->verdict = d.verdict;
    s->layer = d.layer;
    s->flags |= ABI_SOCKET_JUDGED;
    if (d.verdict != ABI_DENY) {
        if (!(s->flags & ABI_SOCKET_REPORTED)) {
            s->flags |= ABI_SOCKET_REPORTED;
            report_flow(&c, &d);
        }
        return 0;
    }
    report_denial(&c, &d);
    if (bpf_sock_destroy(sk) == 0)
        count(ABI_COUNT_DESTROYED);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
