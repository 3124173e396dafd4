/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of strangers at a's port, in both directions: templates with bytes changed, cut or grown.
 * What leaves a is read again here, by a reader that shares nothing with the programs: it bears a's
 * MAC and addresses, and goes where the policy lets it or where a link's own traffic goes.
 *
 * Input: frames, each as template and direction, size, number of changes, (offset, value)... */
#include <arpa/inet.h>

#include "edge_bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PIECES = 16, ROOM = 600 };

struct input {
    const uint8_t *at, *end;
};

struct frames { /* Whose first piece passed, and how. */
    uint32_t piece_ids[MAX_PIECES];
    unsigned n_pieces;
    bool is_asked; /* A SYN from b to a:22 went in: a may answer. */
};

static struct frames seen;

static uint8_t take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static const uint8_t A6[16] = {0xfd, [15] = 1}, B6[16] = {0xfd, [15] = 2};
static const uint8_t A_LINK[16] = {0xfe, 0x80, [11] = 0xff, 0xfe, 0, 0, 0xa};

/* ---- The other reader ------------------------------------------------------------------------ */

static uint32_t two(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t four(const uint8_t *p)
{
    return two(p) << 16 | two(p + 2);
}

/* TCP or UDP from a to somebody: is it allowed, or an answer? */
static bool may_talk(uint8_t protocol, const uint8_t *p, uint32_t size, bool to_b)
{
    if (protocol == IPPROTO_TCP)
        return size >= 20 && to_b && (two(p + 2) == 502 || (two(p) == 22 && seen.is_asked));
    if (size < 8)
        return false;
    if ((two(p) == 68 && two(p + 2) == 67) || (two(p) == 546 && two(p + 2) == 547))
        return true; /* DHCP. */
    return to_b && two(p + 2) == 53;
}

static bool is_known_piece(uint32_t id)
{
    for (unsigned i = 0; i < seen.n_pieces && i < MAX_PIECES; i++)
        if (seen.piece_ids[i] == id)
            return true;
    return false;
}

static void note_piece(uint32_t id)
{
    seen.piece_ids[seen.n_pieces++ % MAX_PIECES] = id;
}

static bool may_leave_v4(const uint8_t *p, uint32_t size)
{
    uint32_t header, total, at, from, to;

    if (size < 20 || p[0] >> 4 != 4)
        return false;
    header = (p[0] & 15u) * 4;
    total = two(p + 2);
    at = two(p + 6);
    from = four(p + 12);
    to = four(p + 16);
    if (header < 20 || total < header || total > size || at & 0x8000)
        return false;
    if (p[9] == IPPROTO_IGMP && to >> 28 == 0xe)
        return from == 0x0a000001 || from == 0;
    if (header != 20 || (from != 0x0a000001 && (from || p[9] != IPPROTO_UDP)))
        return false;
    if (at & 0x1fff)
        return is_known_piece(two(p + 4));
    if (at & 0x2000)
        note_piece(two(p + 4));
    if (p[9] == IPPROTO_ICMP) /* Errors only: nobody may ping. */
        return total >= header + 8 && (p[20] == 3 || p[20] == 11 || p[20] == 12);
    if (p[9] != IPPROTO_TCP && p[9] != IPPROTO_UDP)
        return false;
    return may_talk(p[9], p + 20, total - 20, to == 0x0a000002);
}

static bool is_link_icmp6(uint8_t type)
{
    return (type >= 130 && type <= 136) || type == 143;
}

static bool may_leave_v6(const uint8_t *p, uint32_t size)
{
    bool is_a = memcmp(p + 8, A6, 16) == 0, to_b = memcmp(p + 24, B6, 16) == 0;
    static const uint8_t nobody[16];
    uint32_t end, at = 40;
    uint8_t next, this;

    if (size < 40 || p[0] >> 4 != 6 || two(p + 4) + 40 > size)
        return false;
    if (!is_a && memcmp(p + 8, A_LINK, 16) != 0 && memcmp(p + 8, nobody, 16) != 0)
        return false;
    end = 40 + two(p + 4);
    next = p[6];
    while (next == IPPROTO_HOPOPTS || next == IPPROTO_FRAGMENT || next == IPPROTO_DSTOPTS) {
        this = next;
        if (at + 8 > end)
            return false;
        if (this == IPPROTO_FRAGMENT && two(p + at + 2) & 0xfff8)
            return is_known_piece(four(p + at + 4));
        if (this == IPPROTO_FRAGMENT && two(p + at + 2) & 1)
            note_piece(four(p + at + 4));
        next = p[at];
        at += this == IPPROTO_FRAGMENT ? 8 : 8 + p[at + 1] * 8u;
    }
    if (at > end)
        return false;
    if (next == IPPROTO_ICMPV6)
        return end - at >= 4 && (is_link_icmp6(p[at]) || (is_a && p[at] >= 1 && p[at] <= 4));
    if (next != IPPROTO_TCP && next != IPPROTO_UDP)
        return false;
    return may_talk(next, p + at, end - at, to_b && is_a);
}

static bool may_leave(const uint8_t *p, uint32_t size)
{
    if (size < ETHER || memcmp(p + 6, MAC_OF[PORT_A], 6) != 0)
        return false;
    switch (two(p + 12)) {
    case ETH_P_ARP:
        return size >= ETHER + 28 && memcmp(p + ETHER + 8, MAC_OF[PORT_A], 6) == 0 &&
               (four(p + ETHER + 14) == 0x0a000001 || four(p + ETHER + 14) == 0);
    case ETH_P_IP:
        return may_leave_v4(p + ETHER, size - ETHER);
    case ETH_P_IPV6:
        return may_leave_v6(p + ETHER, size - ETHER);
    default:
        return false;
    }
}

/* What reaches a: for its MAC or a group's, and of the two families or ARP. */
static bool may_arrive(const uint8_t *p, uint32_t size)
{
    if (size < ETHER || (memcmp(p, MAC_OF[PORT_A], 6) != 0 && !(p[0] & 1)))
        return false;
    if (memcmp(p + 6, MAC_OF[PORT_A], 6) == 0)
        return false;
    return two(p + 12) == ETH_P_ARP || two(p + 12) == ETH_P_IP || two(p + 12) == ETH_P_IPV6;
}

/* ---- Templates ------------------------------------------------------------------------------- */

static uint32_t put_v4(uint8_t *p, bool leaves, uint8_t protocol, uint32_t size)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};

    ip.tot_len = htons((uint16_t)(sizeof(ip) + size));
    ip.saddr = htonl(leaves ? 0x0a000001 : 0x0a000002);
    ip.daddr = htonl(leaves ? 0x0a000002 : 0x0a000001);
    memcpy(p + ETHER, &ip, sizeof(ip));
    p[12] = 8;
    return ETHER + sizeof(ip);
}

static uint32_t put_v6(uint8_t *p, bool leaves, uint8_t next, uint32_t size)
{
    p[12] = 0x86;
    p[13] = 0xdd;
    p[ETHER] = 6 << 4;
    p[ETHER + 5] = (uint8_t)size;
    p[ETHER + 6] = next;
    p[ETHER + 7] = next == IPPROTO_ICMPV6 ? 255 : 64;
    memcpy(p + ETHER + 8, leaves ? A6 : B6, 16);
    memcpy(p + ETHER + 24, leaves ? B6 : A6, 16);
    return ETHER + 40;
}

static void put_ports(uint8_t *p, uint16_t from, uint16_t to)
{
    p[0] = (uint8_t)(from >> 8);
    p[1] = (uint8_t)from;
    p[2] = (uint8_t)(to >> 8);
    p[3] = (uint8_t)to;
}

static uint32_t put_tcp(uint8_t *p, uint32_t at, uint16_t from, uint16_t to, uint8_t flags)
{
    put_ports(p + at, from, to);
    p[at + 12] = 5 << 4;
    p[at + 13] = flags;
    return at + 20;
}

static uint32_t put_udp(uint8_t *p, uint32_t at, uint16_t from, uint16_t to, uint8_t size)
{
    put_ports(p + at, from, to);
    p[at + 5] = size;
    return at + size;
}

static uint32_t put_arp(uint8_t *p, bool leaves)
{
    const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};

    p[12] = 8;
    p[13] = 6;
    memcpy(p + ETHER, head, sizeof(head));
    memcpy(p + ETHER + 8, MAC_OF[leaves ? PORT_A : PORT_B], 6);
    memcpy(p + ETHER + 14, leaves ? "\x0a\0\0\1" : "\x0a\0\0\2", 4);
    memcpy(p + ETHER + 24, leaves ? "\x0a\0\0\2" : "\x0a\0\0\1", 4);
    return ETHER + 28;
}

/* Returns the frame's size. */
static uint32_t put_template(uint8_t *p, uint8_t which, bool leaves)
{
    memcpy(p, MAC_OF[leaves ? PORT_B : PORT_A], 6);
    memcpy(p + 6, MAC_OF[leaves ? PORT_A : PORT_B], 6);
    switch (which % 12) {
    case 0:
        return put_tcp(p, put_v4(p, leaves, IPPROTO_TCP, 20), 4000, leaves ? 502 : 22, TCP_SYN);
    case 1:
        return put_tcp(p, put_v4(p, leaves, IPPROTO_TCP, 20), leaves ? 22 : 502, 4000, 0x12);
    case 2:
        return put_tcp(p, put_v4(p, leaves, IPPROTO_TCP, 32), 4000, 502, TCP_ACK) + 12;
    case 3:
        return put_udp(p, put_v4(p, leaves, IPPROTO_UDP, 28), 4000, 53, 28);
    case 4:
        p[ETHER + 6] = 0;
        (void)put_v4(p, leaves, IPPROTO_UDP, 24);
        p[ETHER + 6] = 0x20; /* More pieces. */
        return put_udp(p, ETHER + 20, 4000, 53, 24);
    case 5:
        (void)put_v4(p, leaves, IPPROTO_UDP, 16);
        p[ETHER + 7] = 3; /* Its second one. */
        return ETHER + 36;
    case 6:
        return put_tcp(p, put_v6(p, leaves, IPPROTO_TCP, 20), 4000, leaves ? 502 : 22, TCP_SYN);
    case 7:
        p[put_v6(p, leaves, IPPROTO_FRAGMENT, 32)] = IPPROTO_UDP;
        p[ETHER + 43] = 1;
        return put_udp(p, ETHER + 48, 4000, 53, 24);
    case 8:
        p[put_v6(p, leaves, IPPROTO_DSTOPTS, 36)] = IPPROTO_UDP;
        return put_udp(p, ETHER + 48, 4000, 53, 28);
    case 9:
        p[put_v4(p, leaves, IPPROTO_ICMP, 36)] = 3;
        memcpy(p + ETHER + 28, p + ETHER, 20);
        return ETHER + 56;
    case 10:
        p[put_v6(p, leaves, IPPROTO_ICMPV6, 24)] = 135;
        return ETHER + 64;
    default:
        return put_arp(p, leaves);
    }
}

/* 'which': 0x80 into a, 0x40 cut, 0x20 grown. */
static void one_frame(struct input *in)
{
    uint8_t which = take(in), n = take(in) % 16, *p = shim_packet.bytes;
    bool leaves = !(which & 0x80);
    uint32_t size;

    memset(p, 0, ROOM);
    size = put_template(p, which & 0x1f, leaves);
    if (which & 0x40)
        size -= take(in) % size;
    if (which & 0x20)
        size += take(in);
    for (uint8_t i = 0; i < n; i++) {
        uint32_t at = take(in);

        p[at] = take(in);
    }
    shim_packet.size = size;
    if (!bench_run(PORT_A, leaves ? ABI_OUT : ABI_IN) || shim_packet.n_clones)
        return;
    if (leaves ? !may_leave(p, size) : !may_arrive(p, size))
        abort();
    if (!leaves && size >= 54 && two(p + 12) == ETH_P_IP && p[23] == IPPROTO_TCP)
        seen.is_asked = true;
    if (!leaves && two(p + 12) == ETH_P_IPV6)
        seen.is_asked = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    struct input in = {data, data + size};

    if (!is_ready)
        bench_begin();
    is_ready = true;
    bench_again();
    seen = (struct frames){.n_pieces = 0};
    while (in.at < in.end)
        one_frame(&in);
    return 0;
}
