/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* host.bpf.c - the host enforcer: which program may talk to whom, decided where the socket is
 *
 *     socket()  --sock_create-->  the socket is tagged with its program and user
 *     bind()    --post_bind---->  the tag follows to the program that serves
 *     connect() --connect4/6--->  TCP: judged at once, the caller sees EPERM
 *     packets   --egress,ingress-> established TCP: one look at the tag; SYN, UDP, ICMP: judged
 *     NIC       --tc----------->  what has no socket of ours: ICMP answered by the kernel, packet
 *                                 sockets, forwarded traffic, sockets from outside the cgroup
 *     close()   --sock_release->  bytes are reported
 *
 * Every exit says open (1, TC_ACT_UNSPEC) or closed (0, TC_ACT_SHOT); what is not understood is
 * closed.
 */
#include "bpf/exe.h"
#include "bpf/packet.h"
#include "bpf/report.h"

#include <linux/pkt_cls.h>

enum {
    LOOPBACK_IFINDEX = 1, /* In every network name space. */
    STATE_SYN_SENT = 2,
    STATE_TIME_WAIT = 6,
    STATE_LISTEN = 10,
    STATE_NEW_SYN_RECV = 12,
    FAMILY_INET = 2,
    FAMILY_INET6 = 10,
    TYPE_STREAM = 1,
    TYPE_RAW = 3,
};

/* How long the other side may answer a datagram.  As Linux' conntrack for assured UDP streams. */
#define REPLY_NS (120 * SECOND_NS)

/* ---- Sockets get their tag ---------------------------------------------------------------- */

static __always_inline void tag(struct abi_socket *s, const struct abi_file *file)
{
    s->file = *file;
    s->uid = bpf_get_current_uid_gid();
    s->pid = bpf_get_current_pid_tgid() >> 32;
}

/* The running program takes a socket over.  Two different programs on one socket make it belong to
 * none: which of them would we be naming? */
static __always_inline void retag(struct abi_socket *s)
{
    struct abi_file file;

    exe_of((void *)bpf_get_current_task(), &file);
    if (s->file.inode == file.inode && s->file.device == file.device &&
        s->file.change_ns == file.change_ns)
        return;
    report_program(&file);
    if (s->flags & ABI_SOCKET_MIXED)
        return;
    __builtin_memset(&s->file, 0, sizeof(s->file));
    s->flags |= ABI_SOCKET_MIXED;
    s->flags &= ~ABI_SOCKET_JUDGED;
}

SEC("cgroup/sock_create")
int socket_created(struct bpf_sock *ctx)
{
    struct abi_socket *s = bpf_sk_storage_get(&sockets, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
    struct abi_file file;

    exe_of((void *)bpf_get_current_task(), &file);
    report_program(&file);
    if (s)
        tag(s, &file);
    return OPEN; /* A socket by itself says nothing yet; without a tag it is an unknown program's.
                  */
}

static __always_inline int bound(struct bpf_sock *ctx)
{
    struct abi_socket *s = bpf_sk_storage_get(&sockets, ctx, 0, 0);

    if (s)
        retag(s);
    return OPEN;
}

SEC("cgroup/post_bind4")
int bound4(struct bpf_sock *ctx)
{
    return bound(ctx);
}

SEC("cgroup/post_bind6")
int bound6(struct bpf_sock *ctx)
{
    return bound(ctx);
}

SEC("cgroup/sock_release")
int socket_released(struct bpf_sock *ctx)
{
    struct abi_socket *s = bpf_sk_storage_get(&sockets, ctx, 0, 0);

    if (s)
        report_close(s);
    return OPEN;
}

/* ---- Judging a socket's connection ---------------------------------------------------------- */

static __always_inline int connecting(struct bpf_sock_addr *ctx, struct connection *c)
{
    struct abi_socket *s;

    if (ctx->type != TYPE_STREAM)
        return OPEN; /* connect() of a datagram socket sends nothing. */
    c->protocol = IPPROTO_TCP;
    c->direction = ABI_OUT;
    c->port = bpf_ntohs((__u16)ctx->user_port);
    if (is_loopback(&c->remote) || bpf_map_lookup_elem(&locals, &c->remote))
        return OPEN; /* Stays inside the box; if it does not, egress judges it. */
    s = ctx->sk ? bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
    if (!s)
        return CLOSED;
    if (!s->file.inode && !(s->flags & ABI_SOCKET_MIXED)) {
        count(ABI_COUNT_UNTAGGED);
        s->flags |= ABI_SOCKET_MIXED; /* Older than us and not adopted. */
    }
    retag(s);
    s->uid = bpf_get_current_uid_gid(); /* Who connects, not who made the socket. */
    s->pid = bpf_get_current_pid_tgid() >> 32;
    s->flags &= ~ABI_SOCKET_REPORTED;
    return judge_socket(s, c);
}

SEC("cgroup/connect4")
int connecting4(struct bpf_sock_addr *ctx)
{
    struct connection c = {};

    map_v4(&c.remote, ctx->user_ip4);
    return connecting(ctx, &c) ? OPEN : CLOSED;
}

SEC("cgroup/connect6")
int connecting6(struct bpf_sock_addr *ctx)
{
    struct connection c = {};

    c.remote.word[0] = ctx->user_ip6[0];
    c.remote.word[1] = ctx->user_ip6[1];
    c.remote.word[2] = ctx->user_ip6[2];
    c.remote.word[3] = ctx->user_ip6[3];
    return connecting(ctx, &c) ? OPEN : CLOSED;
}

/* ---- Flows without connection --------------------------------------------------------------- */

static __always_inline void start_flow(struct connection *c, const struct packet *p,
                                       __u32 direction)
{
    c->direction = direction;
    c->remote = direction == ABI_OUT ? p->destination : p->source;
    c->protocol = p->protocol;
    c->port =
        p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_ICMP
            ? p->destination_port
            : 0;
}

static __always_inline void flow_key(struct abi_flow_key *key, const struct packet *p,
                                     __u32 direction, __u64 cookie)
{
    __builtin_memset(key, 0, sizeof(*key));
    key->cookie = cookie;
    key->remote = direction == ABI_OUT ? p->destination : p->source;
    key->protocol = p->protocol;
    if (p->protocol == IPPROTO_ICMP) {
        key->remote_port = p->icmp_id;
    } else {
        key->remote_port = direction == ABI_OUT ? p->destination_port : p->source_port;
        key->local_port = direction == ABI_OUT ? p->source_port : p->destination_port;
    }
}

static __always_inline void add_bytes(struct abi_flow *f, __u32 direction, __u32 len, __u64 now)
{
    f->last_ns = now;
    if (direction == ABI_OUT)
        f->bytes_out += len;
    else
        f->bytes_in += len;
}

/* A function of its own for the sake of the stack, which all frames share: 512 bytes. */
__noinline int remember_flow(const struct abi_flow_key *asked, const struct connection *c,
                             const struct decision *d, __u32 direction, __u32 len)
{
    struct abi_flow_key key;
    struct abi_flow first = {};

    if (!asked || !c || !d)
        return 0;
    key = *asked;
    first.file = c->file;
    first.active = d->active;
    first.identity = d->identity;
    first.rule = d->rule;
    first.uid = c->uid;
    first.port = c->port;
    first.direction = c->direction;
    first.verdict = d->verdict;
    first.layer = d->layer;
    add_bytes(&first, direction, len, bpf_ktime_get_coarse_ns());
    bpf_map_update_elem(&flows, &key, &first, BPF_ANY);
    return 0;
}

/* Judges a packet as part of a datagram flow: its first packet decides the direction, answers pass
 * while they are fresh. */
__noinline int judge_flow(struct __sk_buff *skb, const struct packet *p, __u32 direction,
                          const struct abi_socket *s, __u64 cookie)
{
    const struct abi_config *cfg = get_config();
    __u64 now = bpf_ktime_get_coarse_ns();
    struct abi_flow_key key;
    struct connection c = {};
    struct decision d;
    struct abi_flow *f;
    int fresh = 0;

    if (!p || !cfg)
        return CLOSED;
    flow_key(&key, p, direction, cookie);
    f = bpf_map_lookup_elem(&flows, &key);
    if (f && (now - f->last_ns < REPLY_NS || f->direction == direction)) {
        if (f->active == cfg->active) {
            add_bytes(f, direction, skb->len, now);
            if (f->verdict != ABI_DENY)
                return OPEN;
        }
        fresh = 1;
    }
    if (!fresh && p->protocol == IPPROTO_ICMP && p->icmp == ICMP_REPLY) {
        count(ABI_COUNT_STRAY);
        return CLOSED;
    }

    /* Stale or new: judge in the direction of the first packet. */
    start_flow(&c, p, direction);
    if (fresh) {
        c.direction = f->direction;
        c.port = f->port;
        c.file = f->file;
        c.uid = f->uid;
    } else if (s) {
        c.file = s->file;
        c.uid = s->uid;
    }
    c.pid = s ? s->pid : 0;
    judge(&c, &d);
    if (d.verdict == ABI_DENY && !fresh && s && (s->flags & ABI_SOCKET_ADOPTED)) {
        /* Perhaps an answer in a flow that is older than us. */
        c.direction = !c.direction;
        c.port = p->source_port;
        judge(&c, &d);
    }
    if (d.verdict == ABI_DENY)
        report_denial(&c, &d);
    else if (!fresh)
        report_flow(&c, &d);
    if (fresh) {
        f->active = d.active;
        f->verdict = d.verdict;
        f->layer = d.layer;
        f->rule = d.rule;
    } else if (d.verdict != ABI_DENY) {
        remember_flow(&key, &c, &d, direction, skb->len);
    }
    return d.verdict == ABI_DENY ? CLOSED : OPEN;
}

/* An ICMP error passes when the packet that it quotes belongs to a connection that the policy
 * allows, in either direction; which program it was is not asked again. */
__noinline int judge_quoted(struct __sk_buff *skb, const struct packet *p, __u32 direction)
{
    struct connection c = {};
    struct packet quoted;
    struct decision d;

    if (!p)
        return CLOSED;
    read_packet(skb, p->transport + 8, p->v6, &quoted);
    if (quoted.malformed || quoted.fragment)
        return CLOSED;
    /* We send errors about what came in, and receive errors about what went out. */
    start_flow(&c, &quoted, direction == ABI_OUT ? ABI_IN : ABI_OUT);
    judge(&c, &d);
    if (d.verdict != ABI_DENY)
        return OPEN;
    /* Or about our answer: then the quoted source port is the one that was connected to. */
    c.direction = !c.direction;
    c.port = quoted.source_port;
    judge(&c, &d);
    return d.verdict == ABI_DENY ? CLOSED : OPEN;
}

static __always_inline int is_dhcp(const struct packet *p, __u32 direction)
{
    if (p->protocol != IPPROTO_UDP)
        return 0;
    if (direction == ABI_IN)
        return (p->source_port == DHCP4_SERVER && p->destination_port == DHCP4_CLIENT) ||
               (p->source_port == DHCP6_SERVER && p->destination_port == DHCP6_CLIENT);
    if (p->v6)
        return p->source_port == DHCP6_CLIENT && p->destination_port == DHCP6_SERVER &&
               stays_on_link(p);
    return p->source_port == DHCP4_CLIENT && p->destination_port == DHCP4_SERVER &&
           p->destination.word[3] == 0xffffffff;
}

/* What keeps the link itself alive: neighbours, routers, group membership, an address by DHCP.
 * It may leave towards the link only; a unicast question for a neighbour may not be told from one
 * for somebody else, and is let go. */
static __always_inline int is_link_upkeep(const struct packet *p, __u32 direction)
{
    if (p->protocol == IPPROTO_IGMP)
        return direction == ABI_IN || (!p->v6 && stays_on_link(p));
    if (p->protocol == IPPROTO_ICMP && p->icmp == ICMP_LINK)
        return direction == ABI_IN || stays_on_link(p) ||
               p->destination_port == ICMP6_SOLICITATION ||
               p->destination_port == ICMP6_ADVERTISEMENT;
    return is_dhcp(p, direction);
}

/* ---- Packets of sockets -----------------------------------------------------------------------
 */

static __always_inline void add_socket_bytes(struct abi_socket *s, __u32 direction, __u32 len)
{
    if (direction == ABI_OUT)
        s->bytes_out += len;
    else
        s->bytes_in += len;
}

/* A TCP packet that is not just one more of a judged connection.  Returns OPEN or CLOSED. */
__noinline int judge_tcp(struct __sk_buff *skb, __u32 state, struct abi_socket *s,
                         const struct packet *p, __u32 direction)
{
    struct connection c = {};

    if (!s || !p)
        return CLOSED;
    if (state == STATE_LISTEN) {
        if (direction == ABI_OUT)
            return OPEN; /* SYN-ACK: its SYN was let in. */
        s->flags |= ABI_SOCKET_LISTENED;
        if (!(p->tcp_flags & TCP_SYN))
            return OPEN; /* End of the handshake; the new socket's own packets are judged. */
    } else if (direction == ABI_OUT && state == STATE_SYN_SENT && (s->flags & ABI_SOCKET_JUDGED) &&
               s->direction == ABI_OUT && s->port == p->destination_port &&
               same_address(&s->remote, &p->destination)) {
        const struct abi_config *cfg = get_config();

        if (cfg && cfg->active == s->active)
            return s->verdict != ABI_DENY ? OPEN : CLOSED; /* As connect() was judged. */
    }

    c.protocol = IPPROTO_TCP;
    c.remote = direction == ABI_OUT ? p->destination : p->source;
    c.direction = s->flags & ABI_SOCKET_LISTENED ? ABI_IN : ABI_OUT;
    if (c.direction == ABI_IN)
        c.port = direction == ABI_OUT ? p->source_port : p->destination_port;
    else
        c.port = direction == ABI_OUT ? p->destination_port : p->source_port;

    if (state == STATE_LISTEN) {
        struct decision d;

        c.file = s->file;
        c.uid = s->uid;
        c.pid = s->pid;
        judge(&c, &d);
        if (d.verdict == ABI_DENY)
            report_denial(&c, &d);
        return d.verdict == ABI_DENY ? CLOSED : OPEN;
    }
    add_socket_bytes(s, direction, skb->len);
    return judge_socket(s, &c);
}

static __always_inline int socket_packet(struct __sk_buff *skb, __u32 direction)
{
    const struct abi_config *cfg = get_config();
    struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;
    struct abi_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : NULL;
    struct packet p;

    if (!cfg)
        return CLOSED;
    if (skb->ifindex == LOOPBACK_IFINDEX)
        return OPEN; /* Inside the box. */
    /* Established TCP: nothing is parsed. */
    if (s && s->active == cfg->active && (s->flags & ABI_SOCKET_JUDGED) &&
        s->protocol == IPPROTO_TCP && sk->type == TYPE_STREAM && sk->state != STATE_SYN_SENT &&
        sk->state != STATE_LISTEN) {
        add_socket_bytes(s, direction, skb->len);
        return s->verdict != ABI_DENY ? OPEN : CLOSED;
    }

    read_packet(skb, 0, skb->protocol == bpf_htons(ETH_P_IPV6), &p);
    if (p.malformed) {
        count(ABI_COUNT_MALFORMED);
        return CLOSED;
    }
    if (p.fragment) {
        /* The kernel fragments behind this hook and reassembles before it: somebody made this. */
        count(ABI_COUNT_STRAY);
        return CLOSED;
    }
    if (is_link_upkeep(&p, direction))
        return OPEN;
    if (p.protocol == IPPROTO_ICMP && p.icmp == ICMP_ERROR)
        return judge_quoted(skb, &p, direction);
    if (!s && sk) {
        s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
        if (s)
            s->flags |= ABI_SOCKET_MIXED;
        count(ABI_COUNT_UNTAGGED);
    }
    if (p.protocol == IPPROTO_TCP && s && sk && sk->type == TYPE_STREAM)
        return judge_tcp(skb, sk->state, s, &p, direction);
    /* Echo flows are shared with tc, which has no socket: cookie 0. */
    return judge_flow(skb, &p, direction, s,
                      p.protocol == IPPROTO_ICMP ? 0 : bpf_get_socket_cookie(skb));
}

SEC("cgroup_skb/egress")
int socket_egress(struct __sk_buff *skb)
{
    return socket_packet(skb, ABI_OUT) ? OPEN : CLOSED;
}

SEC("cgroup_skb/ingress")
int socket_ingress(struct __sk_buff *skb)
{
    return socket_packet(skb, ABI_IN) ? OPEN : CLOSED;
}

/* ---- The backstop at the NIC ------------------------------------------------------------------
 */

/* A reset that the kernel sends by itself tells that a port is closed: only to those who may ask.
 */
static __always_inline int judge_reset(struct __sk_buff *skb, const struct packet *p)
{
    struct connection c = {};
    struct decision d;
    __u8 length = 0;

    /* The kernel's own segments carry no data; what does is forged. */
    if (bpf_skb_load_bytes(skb, p->transport + 12, &length, 1) ||
        skb->len > p->transport + (length >> 4) * 4)
        return CLOSED;
    if (!(p->tcp_flags & TCP_RST))
        return p->tcp_flags & TCP_ACK && !(p->tcp_flags & TCP_SYN) ? OPEN : CLOSED;
    c.remote = p->destination;
    c.protocol = IPPROTO_TCP;
    c.direction = ABI_IN;
    c.port = p->source_port;
    judge(&c, &d);
    if (d.verdict != ABI_DENY)
        return OPEN;
    c.direction = ABI_OUT;
    c.port = p->destination_port;
    judge(&c, &d);
    if (d.verdict != ABI_DENY)
        return OPEN;
    count(ABI_COUNT_STRAY);
    return CLOSED;
}

/* 1: IPv4, 2: IPv6, 0: neither. */
static __always_inline int ip_family(const struct __sk_buff *skb)
{
    if (skb->protocol == bpf_htons(ETH_P_IP))
        return 1;
    return skb->protocol == bpf_htons(ETH_P_IPV6) ? 2 : 0;
}

static __always_inline int link_protocol(const struct __sk_buff *skb)
{
    return skb->protocol == bpf_htons(ETH_P_ARP) || skb->protocol == bpf_htons(ETH_P_PAE) ||
           skb->protocol == bpf_htons(ETH_P_LLDP);
}

/* TCP that no socket of ours sent: kernel-made resets and acknowledgements, or somebody else's. */
static __always_inline int stranger_tcp(struct __sk_buff *skb, struct bpf_sock *sk,
                                        const struct packet *p)
{
    /* The kernel's own resets and acknowledgements: by its control socket over IPv4, without any
     * over IPv6; what is forwarded came in somewhere. */
    if (sk ? sk->type == TYPE_RAW && sk->protocol == IPPROTO_TCP &&
                 (sk->family == FAMILY_INET || sk->family == FAMILY_INET6)
           : skb->ingress_ifindex == 0)
        return judge_reset(skb, p);
    if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) {
        struct abi_flow_key key;

        flow_key(&key, p, ABI_OUT, 0);
        if (!bpf_map_lookup_elem(&flows, &key)) {
            count(ABI_COUNT_STRAY);
            return CLOSED;
        }
    }
    return judge_flow(skb, p, ABI_OUT, NULL, 0);
}

/* 'offset' of the IP header: devices like tun and wg have no Ethernet header. */
static __always_inline int nic_out(struct __sk_buff *skb, __u32 offset)
{
    struct bpf_sock *sk = skb->sk;
    struct bpf_sock *full = sk ? bpf_sk_fullsock(sk) : NULL;
    struct packet p;
    int family = ip_family(skb);

    /* Judged at its socket. */
    if (full && bpf_sk_storage_get(&sockets, full, 0, 0) && family)
        return OPEN;
    if (sk && !full && family && (sk->state == STATE_NEW_SYN_RECV || sk->state == STATE_TIME_WAIT))
        return OPEN;
    if (!family) {
        if (link_protocol(skb))
            return OPEN;
        count(ABI_COUNT_FOREIGN);
        return CLOSED;
    }

    read_packet(skb, offset, family == 2, &p);
    if (p.malformed) {
        count(ABI_COUNT_MALFORMED);
        return CLOSED;
    }
    /* DHCP clients use packet sockets before they have an address. */
    if (!p.fragment && is_link_upkeep(&p, ABI_OUT))
        return OPEN;
    if (!p.fragment && p.protocol == IPPROTO_ICMP && p.icmp == ICMP_ERROR)
        return judge_quoted(skb, &p, ABI_OUT);
    if (p.fragment) {
        /* The kernel fragments behind the cgroup hook and keeps the socket.  What has none of ours
         * is its own long echo reply, or forged. */
        if (p.protocol == IPPROTO_ICMP && full &&
            (full->family == FAMILY_INET || full->family == FAMILY_INET6))
            return OPEN;
        count(ABI_COUNT_STRAY);
        return CLOSED;
    }
    if (p.protocol == IPPROTO_TCP)
        return stranger_tcp(skb, full, &p);
    return judge_flow(skb, &p, ABI_OUT, NULL, 0);
}

/* Open means "no objection": other classifiers on the device still have their say. */
SEC("tc")
int nic_egress(struct __sk_buff *skb)
{
    return nic_out(skb, ETH_HLEN) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("tc")
int nic_egress_l3(struct __sk_buff *skb)
{
    return nic_out(skb, 0) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* Is there a socket for this packet, and did we not tag it?  Then it lives outside our cgroup. */
static __always_inline int socket_is_foreign(struct __sk_buff *skb, const struct packet *p)
{
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock *sk, *full;
    __u32 size = p->v6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4);
    int foreign = 0;

    if (p->v6) {
        __builtin_memcpy(tuple.ipv6.saddr, &p->source, 16);
        __builtin_memcpy(tuple.ipv6.daddr, &p->destination, 16);
        tuple.ipv6.sport = bpf_htons(p->source_port);
        tuple.ipv6.dport = bpf_htons(p->destination_port);
    } else {
        tuple.ipv4.saddr = p->source.word[3];
        tuple.ipv4.daddr = p->destination.word[3];
        tuple.ipv4.sport = bpf_htons(p->source_port);
        tuple.ipv4.dport = bpf_htons(p->destination_port);
    }
    if (p->protocol == IPPROTO_TCP)
        sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
    else
        sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
    if (!sk)
        return 0;
    full = bpf_sk_fullsock(sk);
    if (full)
        foreign = bpf_sk_storage_get(&sockets, full, 0, 0) == NULL;
    bpf_sk_release(sk);
    return foreign;
}

/* Segments inside a TCP connection, and everything of TCP and UDP where no socket can be outside
 * our cgroup, are the socket hooks' business: one or two bytes tell. */
static __always_inline int sockets_will_judge(struct __sk_buff *skb, __u32 offset, int family,
                                              const struct abi_config *cfg)
{
    __u8 protocol = 0, first = 0, flags = TCP_SYN;
    __u32 transport = offset + (family == 2 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));

    if (bpf_skb_load_bytes(skb, offset + (family == 2 ? 6 : 9), &protocol, 1))
        return 0;
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
        return 0;
    if (cfg->flags & ABI_FLAG_ROOT)
        return 1;
    if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, offset, &first, 1) ||
        (family == 1 && first != 0x45) || bpf_skb_load_bytes(skb, transport + 13, &flags, 1))
        return 0;
    return !(flags & TCP_SYN);
}

static __always_inline int nic_in(struct __sk_buff *skb, __u32 offset)
{
    const struct abi_config *cfg = get_config();
    struct packet p;
    int family = ip_family(skb);

    if (!family)
        return OPEN; /* The kernel has its own mind about ARP, and ignores the rest. */
    if (!cfg)
        return CLOSED;
    if (sockets_will_judge(skb, offset, family, cfg))
        return OPEN;
    read_packet(skb, offset, family == 2, &p);
    if (p.malformed) {
        count(ABI_COUNT_MALFORMED);
        return CLOSED;
    }
    if (p.fragment)
        return OPEN; /* Reassembled before anybody sees it; the first fragment decides. */
    if (is_link_upkeep(&p, ABI_IN))
        return OPEN;
    if (p.protocol == IPPROTO_ICMP && p.icmp == ICMP_ERROR)
        return judge_quoted(skb, &p, ABI_IN);
    if ((p.protocol == IPPROTO_TCP && !(p.tcp_flags & TCP_SYN)) ||
        ((p.protocol == IPPROTO_TCP || p.protocol == IPPROTO_UDP) &&
         ((cfg->flags & ABI_FLAG_ROOT) || !socket_is_foreign(skb, &p))))
        return OPEN; /* The socket's own hooks judge it. */
    return judge_flow(skb, &p, ABI_IN, NULL, 0);
}

SEC("tc")
int nic_ingress(struct __sk_buff *skb)
{
    return nic_in(skb, ETH_HLEN) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("tc")
int nic_ingress_l3(struct __sk_buff *skb)
{
    return nic_in(skb, 0) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
