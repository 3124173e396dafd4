/* SPDX-License-Identifier: Apache-2.0 */
/* sFlow version 5: XDR, that is all in fours of bytes.  Flow samples are read, counters are not. */
#include <errno.h>
#include <netinet/in.h>

#include "collect/internal.h"

enum {
    SAMPLE_FLOW = 1,
    SAMPLE_FLOW_EXPANDED = 3,
    RECORD_HEADER = 1,
    RECORD_IPV4 = 3,
    RECORD_IPV6 = 4,
    HEADER_ETHERNET = 1,
    HEADER_IPV4 = 11,
    HEADER_IPV6 = 12,
    MAX_SAMPLES = 1024,
    MAX_RECORDS = 64,
    OUTPUT_FORMAT = 30, /* Bits below it: the interface, or why it was discarded. */
    OUTPUT_DISCARDED = 1,
};

struct sample {
    uint32_t rate, n_records;
    bool is_denied;
};

/* An opaque of XDR: as long as it says. */
static struct reader piece(struct reader *r, uint32_t size)
{
    const void *bytes = reader_bytes(r, size);

    return reader_of(bytes ? bytes : "", bytes ? size : 0);
}

static bool read_header_record(struct reader *r, struct heard *h)
{
    uint32_t protocol = reader_be32(r), length = reader_be32(r), size;
    struct reader header;

    (void)reader_be32(r); /* Bytes that were stripped. */
    size = reader_be32(r);
    header = piece(r, size);
    if (!reader_ok(r))
        return false;
    h->s.bytes_out = length;
    if (protocol == HEADER_ETHERNET)
        return packet_read(&header, PACKET_ETHERNET, h);
    if (protocol == HEADER_IPV4 || protocol == HEADER_IPV6)
        return packet_read(&header, protocol == HEADER_IPV4 ? PACKET_IPV4 : PACKET_IPV6, h);
    return false;
}

static bool read_ip_record(struct reader *r, bool is_v4, struct heard *h)
{
    size_t size = is_v4 ? 4 : 16;
    uint32_t protocol, flags;
    const void *source, *destination;

    h->s.bytes_out = reader_be32(r);
    protocol = reader_be32(r);
    source = reader_bytes(r, size);
    destination = reader_bytes(r, size);
    h->s.source_port = (uint16_t)reader_be32(r);
    h->s.port = (uint16_t)reader_be32(r);
    flags = reader_be32(r);
    if (!reader_ok(r) || protocol > UINT8_MAX || protocol == IPPROTO_ICMP ||
        protocol == IPPROTO_ICMPV6) /* Of ICMP it does not tell the type. */
        return false;
    if (is_v4) {
        h->s.source = packet_v4(source);
        h->s.destination = packet_v4(destination);
    } else {
        memcpy(h->s.source.bytes, source, size);
        memcpy(h->s.destination.bytes, destination, size);
    }
    h->s.protocol = (uint8_t)protocol;
    if (protocol == IPPROTO_TCP) {
        h->client = (int8_t)pairs_client_by_flags((uint8_t)flags, true);
        h->has_syn = flags & PAIRS_TCP_SYN;
    }
    return true;
}

/* The first record of a sample that names both ends is the one that counts. */
static bool read_records(struct reader *r, const struct sample *s, struct heard *h)
{
    bool found = false;

    for (uint32_t i = 0; i < s->n_records; i++) {
        uint32_t type = reader_be32(r), size = reader_be32(r);
        struct reader record = piece(r, size);
        struct heard next = {.s = {.count = 1, .origin = FLOW_SFLOW}, .adds_up = true};
        bool named = false;

        if (!reader_ok(r))
            break;
        if (type == RECORD_HEADER)
            named = read_header_record(&record, &next);
        else if (type == RECORD_IPV4 || type == RECORD_IPV6)
            named = read_ip_record(&record, type == RECORD_IPV4, &next);
        if (named && !found) {
            *h = next;
            found = true;
        }
    }
    return found;
}

static bool read_sample_head(struct reader *r, bool is_expanded, struct sample *ret_s)
{
    uint32_t output_format, output;

    (void)reader_be32(r);                       /* Sequence of the source. */
    (void)reader_bytes(r, is_expanded ? 8 : 4); /* Source. */
    ret_s->rate = reader_be32(r);
    (void)reader_bytes(r, is_expanded ? 16 : 12); /* Pool, drops, input. */
    output_format = is_expanded ? reader_be32(r) : 0;
    output = reader_be32(r);
    if (!is_expanded)
        output_format = output >> OUTPUT_FORMAT;
    ret_s->is_denied = output_format == OUTPUT_DISCARDED;
    ret_s->n_records = reader_be32(r);
    return reader_ok(r) && ret_s->n_records <= MAX_RECORDS;
}

static int read_flow_sample(struct exports *e, struct reader *r, bool is_expanded, uint64_t now_ms)
{
    struct sample s;
    struct heard h;

    if (!read_sample_head(r, is_expanded, &s))
        return -EPROTO;
    if (!read_records(r, &s, &h)) {
        e->state.skipped++;
        return reader_ok(r) ? 0 : -EPROTO;
    }
    h.s.first_ms = h.s.last_ms = now_ms;
    h.s.verdict = s.is_denied ? VERDICT_DENY : VERDICT_ALLOW;
    exports_hear(e, &h, s.rate, now_ms);
    return reader_ok(r) ? 0 : -EPROTO;
}

int sflow_take(struct exports *e, struct reader *r, uint64_t now_ms)
{
    uint32_t kind = reader_be32(r), agent, sequence, n;
    struct domain *d;
    int result = 0;

    (void)reader_bytes(r, kind == 1 ? 4 : 16); /* The agent says who it is; nobody believes it. */
    agent = reader_be32(r);
    sequence = reader_be32(r);
    (void)reader_be32(r); /* Uptime. */
    n = reader_be32(r);
    if (!reader_ok(r) || kind < 1 || kind > 2 || n > MAX_SAMPLES)
        return -EPROTO;
    d = exports_domain(e, 5 + 128, agent, now_ms); /* v5 of NetFlow has domains, too. */
    exports_sequence(e, d, sequence, 1, true);
    for (uint32_t i = 0; i < n && result == 0; i++) {
        uint32_t type = reader_be32(r), size = reader_be32(r);
        struct reader sample = piece(r, size);

        if (!reader_ok(r))
            return -EPROTO;
        if (type == SAMPLE_FLOW || type == SAMPLE_FLOW_EXPANDED)
            result = read_flow_sample(e, &sample, type == SAMPLE_FLOW_EXPANDED, now_ms);
    }
    return result;
}
