/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes of a packet: Ethernet, VLAN tags, IPv4, IPv6, TCP, UDP, ICMP. */
#include <netinet/in.h>

#include "collect/internal.h"

enum {
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,
    TYPE_SERVICE_VLAN = 0x88a8,
    MAX_TAGS = 2,
    MAX_EXTENSIONS = 8,
    V4_HEADER = 20,
    V4_OFFSET_BITS = 0x1fff,
    V6_OFFSET_BITS = 0xfff8,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP4_ECHO = 8,
    ICMP_NO_TWIN = 255,
};

struct address packet_v4(const void *bytes)
{
    struct address a = {.bytes = {[10] = 0xff, [11] = 0xff}};

    memcpy(a.bytes + 12, bytes, 4);
    return a;
}

uint16_t packet_icmp6_type(uint8_t type)
{
    return type == ICMP6_ECHO ? ICMP4_ECHO : type == ICMP6_ECHO_REPLY ? 0 : ICMP_NO_TWIN;
}

static bool read_transport(struct reader *r, uint8_t protocol, bool is_first, struct heard *h)
{
    uint8_t flags;

    h->s.protocol = protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol;
    if (!is_first)
        return protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6; /* No type, no port. */
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
        uint8_t type = reader_u8(r);

        h->s.port = protocol == IPPROTO_ICMP ? type : packet_icmp6_type(type);
        return reader_ok(r);
    }
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
        return true;
    h->s.source_port = reader_be16(r);
    h->s.port = reader_be16(r);
    if (!reader_ok(r) || protocol == IPPROTO_UDP)
        return reader_ok(r);
    (void)reader_bytes(r, 9); /* Sequence, acknowledgement, offset. */
    flags = reader_u8(r);
    if (reader_ok(r)) {
        h->client = (int8_t)pairs_client_by_flags(flags, true);
        h->has_syn = flags & PAIRS_TCP_SYN;
    }
    return true;
}

static bool read_v4(struct reader *r, struct heard *h)
{
    uint8_t head = reader_u8(r), protocol;
    size_t size = (size_t)(head & 15) * 4;
    uint16_t fragment;
    const void *addresses;

    (void)reader_bytes(r, 5); /* Type of service, length, identification. */
    fragment = reader_be16(r);
    (void)reader_u8(r); /* Time to live. */
    protocol = reader_u8(r);
    (void)reader_be16(r); /* Checksum. */
    addresses = reader_bytes(r, 8);
    if (!addresses || head >> 4 != 4 || size < V4_HEADER)
        return false;
    h->s.source = packet_v4(addresses);
    h->s.destination = packet_v4((const char *)addresses + 4);
    (void)reader_bytes(r, size - V4_HEADER);
    return reader_ok(r) && read_transport(r, protocol, !(fragment & V4_OFFSET_BITS), h);
}

static bool read_v6(struct reader *r, struct heard *h)
{
    uint8_t head = reader_u8(r), next;
    const void *addresses;
    bool is_first = true;

    (void)reader_bytes(r, 5); /* Class and label, length. */
    next = reader_u8(r);
    (void)reader_u8(r); /* Hops. */
    addresses = reader_bytes(r, 32);
    if (!addresses || head >> 4 != 6)
        return false;
    memcpy(h->s.source.bytes, addresses, 16);
    memcpy(h->s.destination.bytes, (const char *)addresses + 16, 16);
    for (int i = 0; i < MAX_EXTENSIONS; i++) {
        uint8_t then, size;

        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_FRAGMENT)
            return read_transport(r, next, is_first, h);
        then = reader_u8(r);
        size = reader_u8(r);
        if (next == IPPROTO_FRAGMENT) {
            is_first = is_first && !(reader_be16(r) & V6_OFFSET_BITS);
            (void)reader_be32(r);
        } else {
            (void)reader_bytes(r, 6 + (size_t)size * 8);
        }
        if (!reader_ok(r))
            return false;
        next = then;
    }
    return false;
}

bool packet_read(struct reader *r, enum packet_layer layer, struct heard *h)
{
    uint16_t type = layer == PACKET_IPV4 ? TYPE_IPV4 : TYPE_IPV6;

    if (layer == PACKET_ETHERNET) {
        (void)reader_bytes(r, 12);
        type = reader_be16(r);
        for (int i = 0; i < MAX_TAGS && (type == TYPE_VLAN || type == TYPE_SERVICE_VLAN); i++) {
            (void)reader_be16(r);
            type = reader_be16(r);
        }
    }
    if (!reader_ok(r))
        return false;
    if (type == TYPE_IPV4)
        return read_v4(r, h);
    return type == TYPE_IPV6 && read_v6(r, h);
}
