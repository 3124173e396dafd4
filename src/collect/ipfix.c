/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v9 and IPFIX: sets of templates and of records that templates describe.
 *
 * A record is read into 'struct cells', whatever its order of fields; then the cells become what
 * was heard.  An element that is told in a size that it cannot have is not told. */
#include <errno.h>
#include <netinet/in.h>

#include "collect/internal.h"

enum {
    V9 = 9,
    SET_HEADER = 4,
    SET_TEMPLATE_V9 = 0,
    SET_OPTIONS_V9 = 1,
    SET_TEMPLATE = 2,
    SET_OPTIONS = 3,
    SET_DATA_MIN = 256,
    REVERSE_ENTERPRISE = 29305, /* RFC 5103 */
    SIZE_FOLLOWS = 255,         /* RFC 7011, 7 */
    REBOOT_MS = 60000,          /* An uptime that goes back by more. */
    STATUS_DROPPED = 2,         /* RFC 7270: the two upper bits of forwardingStatus. */
    FIREWALL_DENIED = 3,
};

#define NTP_TO_UNIX_S UINT64_C(2208988800)

/* Elements of IANA's registry that are read. */
enum element {
    OCTETS = 1,
    PACKETS = 2,
    PROTOCOL = 4,
    TCP_FLAGS = 6,
    SOURCE_PORT = 7,
    SOURCE_V4 = 8,
    DESTINATION_PORT = 11,
    DESTINATION_V4 = 12,
    END_UPTIME = 21,
    START_UPTIME = 22,
    SOURCE_V6 = 27,
    DESTINATION_V6 = 28,
    ICMP_V4 = 32,
    SAMPLING_INTERVAL = 34,
    SAMPLER_INTERVAL = 50,
    OCTETS_TOTAL = 85,
    PACKETS_TOTAL = 86,
    FORWARDING_STATUS = 89,
    ICMP_V6 = 139,
    START_S = 150,
    END_S = 151,
    START_MS = 152,
    END_MS = 153,
    START_US = 154,
    END_US = 155,
    START_NS = 156,
    END_NS = 157,
    START_AGO_US = 158,
    END_AGO_US = 159,
    SYSTEM_START_MS = 160,
    DURATION_MS = 161,
    ICMP_TYPE_V4 = 176,
    ICMP_TYPE_V6 = 178,
    UDP_SOURCE_PORT = 180,
    UDP_DESTINATION_PORT = 181,
    TCP_SOURCE_PORT = 182,
    TCP_DESTINATION_PORT = 183,
    INITIATOR_OCTETS = 231,
    RESPONDER_OCTETS = 232,
    FIREWALL_EVENT = 233,
    BIFLOW_DIRECTION = 239,
    PACKET_INTERVAL = 305,
    PACKET_SPACE = 306,
    OBSERVED_MS = 323,
};

struct cells {
    struct address source, destination;
    uint64_t octets, packets, back_octets, first_ms, last_ms, duration_ms;
    uint32_t first_up, last_up, sampling, space;
    uint16_t source_port, port;
    uint8_t protocol, flags, back_flags, icmp, biflow;
    bool has_source, has_destination, has_octets, is_total, has_icmp, is_biflow, has_uptimes;
    bool is_denied;
};

struct message {
    struct exports *e;
    struct domain *d;
    uint64_t sent_ms, now_ms, boot_ms; /* boot_ms 0: not told. */
    uint32_t uptime_ms;
    uint32_t n_records;
    bool counted; /* Every record was. */
};

/* ---- values ---- */

static uint64_t value_of(const unsigned char *p, size_t size)
{
    struct reader r = reader_of(p, size);
    uint64_t v = 0;

    while (r.left)
        v = v << 8 | reader_u8(&r);
    return v;
}

/* Seconds of 1900 and a fraction of 2^-32. */
static uint64_t ntp_to_ms(uint64_t v)
{
    uint64_t seconds = v >> 32;

    if (seconds < NTP_TO_UNIX_S)
        return 0;
    return (seconds - NTP_TO_UNIX_S) * 1000 + ((v & UINT32_MAX) * 1000 >> 32);
}

static void take_address(struct address *to, bool *has, const void *p, size_t size, size_t expected)
{
    if (size != expected)
        return;
    *has = true;
    if (size == 4)
        *to = packet_v4(p);
    else
        memcpy(to->bytes, p, sizeof(to->bytes));
}

static void take_reverse(struct cells *c, uint16_t id, uint64_t v)
{
    c->is_biflow = true;
    if (id == OCTETS)
        c->back_octets = v;
    else if (id == TCP_FLAGS)
        c->back_flags = (uint8_t)v;
}

static void take_time(const struct message *m, struct cells *c, uint16_t id, uint64_t v)
{
    switch (id) {
    case START_UPTIME:
        c->first_up = (uint32_t)v;
        c->has_uptimes = true;
        break;
    case END_UPTIME:
        c->last_up = (uint32_t)v;
        c->has_uptimes = true;
        break;
    case START_S:
        c->first_ms = v * 1000;
        break;
    case END_S:
        c->last_ms = v * 1000;
        break;
    case START_MS:
        c->first_ms = v;
        break;
    case END_MS:
    case OBSERVED_MS:
        c->last_ms = v;
        break;
    case START_US:
    case START_NS:
        c->first_ms = ntp_to_ms(v);
        break;
    case END_US:
    case END_NS:
        c->last_ms = ntp_to_ms(v);
        break;
    case START_AGO_US:
        c->first_ms = m->sent_ms > v / 1000 ? m->sent_ms - v / 1000 : 0;
        break;
    case END_AGO_US:
        c->last_ms = m->sent_ms > v / 1000 ? m->sent_ms - v / 1000 : 0;
        break;
    case DURATION_MS:
        c->duration_ms = v;
        break;
    default:
        break;
    }
}

static void take_amount(struct cells *c, uint16_t id, uint64_t v)
{
    switch (id) {
    case OCTETS:
    case INITIATOR_OCTETS:
        c->octets = v;
        c->has_octets = true;
        c->is_biflow = c->is_biflow || id == INITIATOR_OCTETS;
        break;
    case OCTETS_TOTAL:
        if (!c->has_octets)
            c->octets = v;
        c->is_total = true;
        break;
    case RESPONDER_OCTETS:
        c->back_octets = v;
        c->is_biflow = true;
        break;
    case PACKETS:
    case PACKETS_TOTAL:
        c->packets = v;
        break;
    case SAMPLING_INTERVAL:
    case SAMPLER_INTERVAL:
    case PACKET_INTERVAL:
        c->sampling = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
        break;
    case PACKET_SPACE:
        c->space = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
        break;
    default:
        break;
    }
}

static void take_way(struct cells *c, uint16_t id, uint64_t v, size_t size)
{
    switch (id) {
    case PROTOCOL:
        c->protocol = (uint8_t)v;
        break;
    case TCP_FLAGS:
        c->flags = (uint8_t)v;
        break;
    case SOURCE_PORT:
    case UDP_SOURCE_PORT:
    case TCP_SOURCE_PORT:
        c->source_port = (uint16_t)v;
        break;
    case DESTINATION_PORT:
    case UDP_DESTINATION_PORT:
    case TCP_DESTINATION_PORT:
        c->port = (uint16_t)v;
        break;
    case ICMP_V4:
    case ICMP_V6:
        c->icmp = (uint8_t)(v >> 8);
        c->has_icmp = true;
        break;
    case ICMP_TYPE_V4:
    case ICMP_TYPE_V6:
        c->icmp = (uint8_t)v;
        c->has_icmp = true;
        break;
    case FORWARDING_STATUS: /* One byte, or four of which the last counts. */
        c->is_denied = c->is_denied || (v & 0xff) >> 6 == STATUS_DROPPED;
        break;
    case FIREWALL_EVENT:
        c->is_denied = c->is_denied || (size == 1 && v == FIREWALL_DENIED);
        break;
    case BIFLOW_DIRECTION:
        c->biflow = (uint8_t)v;
        break;
    default:
        break;
    }
}

static void take_cell(const struct message *m, struct cells *c, const struct template_field *f,
                      const unsigned char *p, size_t size)
{
    bool reverse = f->enterprise == REVERSE_ENTERPRISE;
    uint64_t v;

    if ((f->enterprise && !reverse) || !size)
        return;
    if (f->id == SOURCE_V4 || f->id == SOURCE_V6)
        take_address(&c->source, &c->has_source, p, size, f->id == SOURCE_V4 ? 4 : 16);
    else if (f->id == DESTINATION_V4 || f->id == DESTINATION_V6)
        take_address(&c->destination, &c->has_destination, p, size,
                     f->id == DESTINATION_V4 ? 4 : 16);
    if (size > sizeof(v))
        return;
    v = value_of(p, size);
    if (reverse) {
        take_reverse(c, f->id, v);
        return;
    }
    take_time(m, c, f->id, v);
    take_amount(c, f->id, v);
    take_way(c, f->id, v, size);
}

/* ---- records ---- */

static void set_times(const struct message *m, const struct cells *c, struct sighting *s)
{
    s->first_ms = c->first_ms;
    s->last_ms = c->last_ms;
    if (c->has_uptimes && !c->last_ms && !c->first_ms) {
        uint64_t boot = m->boot_ms;
        uint32_t first = m->uptime_ms - c->first_up, last = m->uptime_ms - c->last_up;

        if (m->d->version == V9) { /* 32 bits of milliseconds begin again every 49 days. */
            s->first_ms = m->sent_ms - (first > INT32_MAX ? 0 : first);
            s->last_ms = m->sent_ms - (last > INT32_MAX ? 0 : last);
        } else if (boot) {
            s->first_ms = boot + c->first_up;
            s->last_ms = boot + c->last_up;
        }
    }
    if (!s->last_ms)
        s->last_ms = s->first_ms ? s->first_ms + c->duration_ms : m->sent_ms;
    if (!s->first_ms)
        s->first_ms = s->last_ms > c->duration_ms ? s->last_ms - c->duration_ms : s->last_ms;
}

static void set_ports(const struct cells *c, struct heard *h)
{
    struct sighting *s = &h->s;

    s->protocol = c->protocol;
    if (c->protocol == IPPROTO_ICMPV6 || c->protocol == IPPROTO_ICMP) {
        uint8_t type = c->has_icmp ? c->icmp : (uint8_t)(c->port >> 8);

        s->port = c->protocol == IPPROTO_ICMPV6 ? packet_icmp6_type(type) : type;
        s->protocol = IPPROTO_ICMP;
    } else if (c->protocol == IPPROTO_TCP || c->protocol == IPPROTO_UDP) {
        s->source_port = c->source_port;
        s->port = c->port;
    }
}

/* Who began?  A biflow's source did, unless it says that the other did (RFC 5103). */
static void set_client(const struct cells *c, struct heard *h)
{
    if (c->biflow == 1 || c->biflow == 2)
        h->client = c->biflow == 1 ? CLIENT_IS_SOURCE : CLIENT_IS_DESTINATION;
    else if (c->is_biflow)
        h->client = CLIENT_IS_SOURCE;
    else if (c->protocol == IPPROTO_TCP)
        h->client = (int8_t)pairs_client_by_flags(c->flags, c->packets == 1);
    h->has_syn = c->protocol == IPPROTO_TCP && (c->flags & PAIRS_TCP_SYN);
}

static void hear_cells(const struct message *m, const struct cells *c)
{
    struct heard h = {.s = {.source = c->source,
                            .destination = c->destination,
                            .count = 1,
                            .bytes_out = c->octets,
                            .bytes_in = c->back_octets,
                            .verdict = c->is_denied ? VERDICT_DENY : VERDICT_ALLOW,
                            .origin = m->d->version == V9 ? FLOW_NETFLOW9 : FLOW_IPFIX}};

    if (!c->has_source || !c->has_destination) {
        m->e->state.skipped++;
        return;
    }
    if (c->is_total && !c->has_octets) /* Told again with the next record of the same flow. */
        h.s.marks |= FLOW_ESTIMATED;
    set_times(m, c, &h.s);
    set_ports(c, &h);
    set_client(c, &h);
    exports_hear(m->e, &h, c->sampling ? c->sampling : m->d->sampling, m->now_ms);
}

/* False: the rest of the set is no record. */
static bool read_cells(const struct message *m, const struct template *t, struct reader *set,
                       struct cells *c)
{
    for (uint16_t i = 0; i < t->n_fields; i++) {
        const struct template_field *f = &t->fields[i];
        size_t size = f->size;
        const unsigned char *p;

        if (f->size == TEMPLATE_VARIES && t->version != V9) {
            size = reader_u8(set);
            if (size == SIZE_FOLLOWS)
                size = reader_be16(set);
        }
        p = reader_bytes(set, size);
        if (!reader_ok(set))
            return false;
        take_cell(m, c, f, p, size);
    }
    return true;
}

static void take_options(const struct message *m, const struct cells *c)
{
    if (c->sampling && c->space > UINT32_MAX - c->sampling)
        return;
    /* One of 'sampling' packets, or 'sampling' packets and then 'space' that are left out. */
    if (c->sampling && c->space)
        m->d->sampling = (c->sampling + c->space) / c->sampling;
    else if (c->sampling)
        m->d->sampling = c->sampling;
}

static int read_data(struct message *m, uint16_t id, struct reader *set)
{
    const struct template *t = template_find(m->e, m->d, id, m->now_ms);

    if (!t) {
        m->e->state.untemplated++;
        m->counted = false;
        return 0;
    }
    while (set->left >= t->min_size) { /* Less is padding. */
        struct cells c = {.protocol = 0};

        if (!read_cells(m, t, set, &c)) {
            m->counted = false;
            return -EPROTO;
        }
        m->n_records++;
        if (t->is_options)
            take_options(m, &c);
        else
            hear_cells(m, &c);
    }
    return 0;
}

static bool is_padding(struct reader rest)
{
    bool zeroes = true;

    while (rest.left)
        zeroes = reader_u8(&rest) == 0 && zeroes;
    return zeroes;
}

static int read_templates(struct message *m, struct reader *set, bool is_options)
{
    while (set->left >= SET_HEADER && !is_padding(*set))
        if (!template_read(m->e, m->d, set, is_options, m->now_ms))
            return -EPROTO;
    return 0;
}

static int read_set(struct message *m, struct reader *r)
{
    uint16_t id = reader_be16(r), size = reader_be16(r);
    bool v9 = m->d->version == V9;
    const void *bytes;
    struct reader set;

    if (!reader_ok(r) || size < SET_HEADER)
        return -EPROTO;
    bytes = reader_bytes(r, size - SET_HEADER);
    if (!bytes && size > SET_HEADER)
        return -EPROTO;
    set = reader_of(bytes, size - SET_HEADER);
    if (id >= SET_DATA_MIN)
        return read_data(m, id, &set);
    if (id == (v9 ? SET_TEMPLATE_V9 : SET_TEMPLATE))
        return read_templates(m, &set, false);
    if (id == (v9 ? SET_OPTIONS_V9 : SET_OPTIONS))
        return read_templates(m, &set, true);
    return 0; /* Reserved: to be ignored. */
}

/* An uptime that goes back: it was started again, and its templates mean something else. */
static void look_at_uptime(struct message *m)
{
    struct domain *d = m->d;
    uint32_t back = d->uptime_ms - m->uptime_ms;

    if (d->uptime_ms > m->uptime_ms && back > REBOOT_MS && back < INT32_MAX) {
        template_forget(m->e, d, 0);
        d->has_sequence = false;
        m->e->state.restarts++;
    }
    d->uptime_ms = m->uptime_ms;
}

static bool read_header(struct message *m, struct reader *r, uint8_t version,
                        uint32_t *ret_sequence)
{
    size_t whole = r->left + 2;
    uint16_t size = reader_be16(r); /* v9: a count of records, which nobody needs. */
    uint32_t domain;

    m->uptime_ms = version == V9 ? reader_be32(r) : 0;
    m->sent_ms = (uint64_t)reader_be32(r) * 1000;
    *ret_sequence = reader_be32(r);
    domain = reader_be32(r);
    if (!reader_ok(r) || (version != V9 && size != whole))
        return false;
    m->d = exports_domain(m->e, version, domain, m->now_ms);
    return true;
}

int ipfix_take(struct exports *e, struct reader *r, uint8_t version, uint64_t now_ms)
{
    struct message m = {.e = e, .now_ms = now_ms, .counted = true};
    uint32_t sequence;
    int result = 0;

    if (!read_header(&m, r, version, &sequence))
        return -EPROTO;
    if (version == V9)
        look_at_uptime(&m);
    while (result == 0 && r->left >= SET_HEADER)
        result = read_set(&m, r);
    if (version == V9)
        exports_sequence(e, m.d, sequence, 1, true);
    else
        exports_sequence(e, m.d, sequence, m.n_records, m.counted && result == 0);
    return result;
}
