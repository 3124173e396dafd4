/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v5: a header of 24 bytes and records of 48, all of one form. */
#include <errno.h>
#include <netinet/in.h>

#include "collect/internal.h"

enum { RECORD_SIZE = 48, RECORDS_MAX = 1000, SAMPLING_BITS = 0x3fff, NS_PER_MS = 1000000 };

struct export_clock { /* Of the exporter, when it sent this. */
    uint32_t uptime_ms;
    uint64_t unix_ms;
};

/* Uptimes have 32 bits of milliseconds and begin again every 49 days; what is not before now is
 * now. */
static uint64_t uptime_to_unix(const struct export_clock *c, uint32_t uptime_ms)
{
    uint32_t ago = c->uptime_ms - uptime_ms;

    if (ago > INT32_MAX)
        ago = 0;
    return c->unix_ms > ago ? c->unix_ms - ago : 0;
}

static struct address read_v4(struct reader *r)
{
    static const uint8_t none[4];
    const void *bytes = reader_bytes(r, 4);

    return packet_v4(bytes ? bytes : none);
}

static void read_record(struct exports *e, struct reader *r, const struct export_clock *c,
                        uint32_t sampling, uint64_t now_ms)
{
    struct heard h = {.s = {.count = 1, .verdict = VERDICT_ALLOW, .origin = FLOW_NETFLOW5}};
    uint32_t packets;
    uint8_t flags;

    h.s.source = read_v4(r);
    h.s.destination = read_v4(r);
    (void)reader_bytes(r, 8); /* Next hop, interfaces. */
    packets = reader_be32(r);
    h.s.bytes_out = reader_be32(r);
    h.s.first_ms = uptime_to_unix(c, reader_be32(r));
    h.s.last_ms = uptime_to_unix(c, reader_be32(r));
    h.s.source_port = reader_be16(r);
    h.s.port = reader_be16(r);
    (void)reader_u8(r);
    flags = reader_u8(r);
    h.s.protocol = reader_u8(r);
    (void)reader_bytes(r, 9); /* Type of service, systems, masks, padding. */
    if (h.s.protocol == IPPROTO_TCP) {
        h.client = (int8_t)pairs_client_by_flags(flags, packets == 1);
        h.has_syn = flags & PAIRS_TCP_SYN;
    } else if (h.s.protocol == IPPROTO_ICMP) { /* Type and code stand for a port. */
        h.s.port >>= 8;
        h.s.source_port = 0;
    } else if (h.s.protocol != IPPROTO_UDP) {
        h.s.port = h.s.source_port = 0;
    }
    exports_hear(e, &h, sampling, now_ms);
}

int netflow5_take(struct exports *e, struct reader *r, uint64_t now_ms)
{
    uint16_t count = reader_be16(r), engine;
    struct export_clock c = {.uptime_ms = reader_be32(r)};
    uint32_t sequence, sampling;
    struct domain *d;

    c.unix_ms = (uint64_t)reader_be32(r) * 1000;
    c.unix_ms += reader_be32(r) / NS_PER_MS;
    sequence = reader_be32(r);
    engine = reader_be16(r);
    sampling = reader_be16(r) & SAMPLING_BITS;
    if (!reader_ok(r) || !count || count > RECORDS_MAX || r->left != (size_t)count * RECORD_SIZE)
        return -EPROTO;
    d = exports_domain(e, 5, engine, now_ms);
    exports_sequence(e, d, sequence, count, true);
    for (uint16_t i = 0; i < count; i++)
        read_record(e, r, &c, sampling, now_ms);
    return 0;
}
