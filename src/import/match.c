/* SPDX-License-Identifier: Apache-2.0 */
/* Sets that get narrower, then one box; see match.h. */
#include "import/match.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/number.h"

enum { FIRST_FREE_PORT = 1024, OWNER_LEN = 100 };

struct match_parts match_begin(struct ruleset *rs, enum family family)
{
    struct arena *a = rs->arena;

    return (struct match_parts){.rs = rs,
                                .families = family,
                                .source = family_addresses(a, family),
                                .destination = family_addresses(a, family),
                                .protocols = ranges_one(a, 0, 255),
                                .ports = ranges_one(a, 1, 65535),
                                .source_ports = ranges_one(a, 1, 65535),
                                .types = ranges_one(a, 0, 255),
                                .types6 = ranges_one(a, 0, 255)};
}

static void narrow(struct match_parts *m, struct ranges *to, struct ranges set, bool negated)
{
    *to = negated ? ranges_minus(m->rs->arena, *to, set) : ranges_and(m->rs->arena, *to, set);
}

void match_address(struct match_parts *m, bool source, struct ranges set, bool negated)
{
    narrow(m, source ? &m->source : &m->destination, set, negated);
    m->names_destination = m->names_destination || !source;
}

void match_protocols(struct match_parts *m, struct ranges set, bool negated)
{
    narrow(m, &m->protocols, set, negated);
}

void match_ports(struct match_parts *m, bool source, struct ranges set, bool negated)
{
    narrow(m, source ? &m->source_ports : &m->ports, set, negated);
    *(source ? &m->has_source_ports : &m->has_ports) = true;
}

void match_types(struct match_parts *m, bool v6, struct ranges set, bool negated)
{
    narrow(m, v6 ? &m->types6 : &m->types, set, negated);
    *(v6 ? &m->has_types6 : &m->has_types) = true;
}

void match_interface(struct match_parts *m, bool outgoing, const char **names, size_t n,
                     bool negated)
{
    if (m->n_interfaces == MATCH_MAX_INTERFACES) {
        match_inexact(m, "more than %d conditions on interfaces", MATCH_MAX_INTERFACES);
        return;
    }
    m->interfaces[m->n_interfaces++] = (struct interface_match){
        arena_copy(m->rs->arena, names, n, sizeof *names), n, negated, outgoing};
}

void match_states(struct match_parts *m, unsigned states, bool negated)
{
    if (negated)
        states = STATE_ALL & ~states;
    m->never_opens = m->never_opens || !(states & STATE_NEW);
}

void match_flags(struct match_parts *m, unsigned mask, unsigned value, bool negated)
{
    bool matches = (FLAG_SYN & mask) == value;

    m->by_flags = true;
    m->never_opens = m->never_opens || matches == negated;
}

void match_inexact(struct match_parts *m, const char *format, ...)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(buf_done) struct buf safe = BUF_INIT;
    va_list args;

    if (m->inexact)
        return; /* One reason is enough. */
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    buf_escape(&safe, buf_str(&b), b.size, IMPORT_MAX_TEXT);
    m->inexact = arena_text(m->rs->arena, buf_str(&safe), safe.size);
}

unsigned state_of_name(const char *name)
{
    static const char *const names[] = {"new", "established", "related", "invalid", "untracked"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return 1u << i;
    return 0;
}

int flags_of_name(const char *name)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECN", "CWR"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return 1 << i;
    if (strcasecmp(name, "ALL") == 0)
        return 0x3f; /* What iptables(8) means by it. */
    return strcasecmp(name, "NONE") == 0 ? 0 : -1;
}

/* ---- the box ---- */

point icmp6_point(unsigned type)
{
    static const struct {
        uint8_t v6, v4;
    } twins[] = {{1, 3}, {3, 11}, {4, 12}, {128, 8}, {129, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(twins); i++)
        if (twins[i].v6 == type)
            return SERVICE_ICMP + twins[i].v4;
    return SERVICE_ICMP6 + type;
}

struct service_list { /* Ranges on the service line, not yet sorted. */
    struct ruleset *rs;
    struct range *items;
    size_t n, room;
};

static void add_service(struct service_list *l, point low, point high)
{
    GROW(l->items, l->n, l->room);
    l->items[l->n++] = (struct range){low, high};
}

static void add_shifted(struct service_list *l, struct ranges set, point base)
{
    for (size_t i = 0; i < set.n; i++)
        add_service(l, base + set.items[i].low, base + set.items[i].high);
}

static bool has_protocol(const struct match_parts *m, unsigned protocol)
{
    return ranges_have(m->protocols, protocol);
}

static void add_icmp(struct service_list *l, const struct match_parts *m)
{
    if (has_protocol(m, IPPROTO_ICMP) && (m->families & FAMILY_V4) && !m->has_types6)
        add_shifted(l, m->types, SERVICE_ICMP);
    if (!has_protocol(m, IPPROTO_ICMPV6) || !(m->families & FAMILY_V6) || m->has_types)
        return;
    if (!m->has_types6) {
        add_service(l, SERVICE_ICMP, SERVICE_ICMP6 + 255);
        return;
    }
    for (size_t i = 0; i < m->types6.n; i++)
        for (point t = m->types6.items[i].low; t <= m->types6.items[i].high; t++)
            add_service(l, icmp6_point((unsigned)t), icmp6_point((unsigned)t));
}

static void add_others(struct service_list *l, const struct match_parts *m)
{
    static const uint8_t own_line[] = {IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};

    add_shifted(l, m->protocols, SERVICE_OTHER);
    for (size_t i = 0; i < ARRAY_SIZE(own_line); i++) /* They never stand there: no gaps. */
        add_service(l, own_line[i], own_line[i]);
}

static struct ranges services_of(const struct match_parts *m)
{
    struct service_list l = {.rs = m->rs};
    bool ports = m->has_ports || m->has_source_ports, types = m->has_types || m->has_types6;
    const struct range all = {0, 255};
    struct ranges set;

    if (!ports && !types && !m->by_flags && ranges_within((struct ranges){&all, 1}, m->protocols))
        return services_all(m->rs->arena);
    if (has_protocol(m, IPPROTO_TCP) && !types)
        add_shifted(&l, m->ports, SERVICE_TCP);
    if (has_protocol(m, IPPROTO_UDP) && !types && !m->by_flags)
        add_shifted(&l, m->ports, SERVICE_UDP);
    if (!ports && !m->by_flags)
        add_icmp(&l, m);
    if (!ports && !types && !m->by_flags)
        add_others(&l, m);
    set = ranges_of(m->rs->arena, l.items, l.n);
    free(l.items);
    return set;
}

/* A condition that holds for one family only. */
static void limit_family(struct match_parts *m)
{
    bool v4_only = (m->has_types && !m->has_types6) ||
                   (has_protocol(m, IPPROTO_ICMP) && !has_protocol(m, IPPROTO_ICMPV6));
    bool v6_only = (m->has_types6 && !m->has_types) ||
                   (has_protocol(m, IPPROTO_ICMPV6) && !has_protocol(m, IPPROTO_ICMP));
    bool alone = m->protocols.n == 1 && m->protocols.items[0].low == m->protocols.items[0].high;

    if (m->families != FAMILY_BOTH || (!v4_only && !v6_only) || m->has_ports)
        return;
    if (!alone && !m->has_types && !m->has_types6) {
        match_inexact(m, "ICMP of one family among other protocols");
        return;
    }
    m->families = v4_only ? FAMILY_V4 : FAMILY_V6;
}

static bool has_other_ports(const struct match_parts *m)
{
    static const uint8_t others[] = {IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE};

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (has_protocol(m, others[i]))
            return true;
    return false;
}

static void look_at_source_ports(struct match_parts *m, struct import_rule *rule)
{
    const struct range high = {FIRST_FREE_PORT, 65535};
    const struct range all = {1, 65535};

    if (!m->has_source_ports || ranges_within((struct ranges){&all, 1}, m->source_ports))
        return;
    if (rule->act == ACT_ACCEPT && ranges_within((struct ranges){&high, 1}, m->source_ports)) {
        rule->loosened =
            "a source port that only keeps out ports below 1024: any client may choose "
            "its own";
        return;
    }
    rule->by_source_port = rule->act == ACT_ACCEPT && !m->has_ports;
    match_inexact(m, "a source port, which whoever sends the packet chooses");
}

void match_finish(const struct match_parts *parts, struct import_rule *rule)
{
    struct match_parts m = *parts;
    struct arena *a = m.rs->arena;
    struct ranges family;

    limit_family(&m);
    family = family_addresses(a, m.families);
    if ((m.has_ports || m.has_source_ports) && has_other_ports(&m) && m.protocols.n &&
        m.protocols.items[0].low != 0)
        match_inexact(&m, "ports of a protocol other than tcp and udp");
    look_at_source_ports(&m, rule);
    rule->match.dim[DIM_SOURCE] = ranges_and(a, m.source, family);
    rule->match.dim[DIM_DESTINATION] = ranges_and(a, m.destination, family);
    rule->match.dim[DIM_SERVICE] = services_of(&m);
    rule->names_destination = m.names_destination;
    rule->inexact = m.inexact;
    rule->never_opens = m.never_opens;
    rule->by_flags = m.by_flags;
    rule->host_network = m.host_network;
    rule->interfaces = arena_copy(a, m.interfaces, m.n_interfaces, sizeof *m.interfaces);
    rule->n_interfaces = m.n_interfaces;
}

/* ---- text ---- */

const char *owner_of_comment(struct ruleset *rs, const char *comment)
{
    const char *at = comment ? strcasestr(comment, "owner") : NULL;
    size_t len;

    if (!at)
        return NULL;
    at += strlen("owner");
    at += strspn(at, " ");
    if (*at != ':' && *at != '=')
        return NULL;
    at++;
    at += strspn(at, " ");
    len = strcspn(at, " ,;)]\t");
    return len ? ruleset_safe(rs, at, len, OWNER_LEN) : NULL;
}

/* "24", or "255.255.255.0" as a length.  -EDOM: it has holes. */
static int parse_length(const char *s, bool v4, unsigned *ret)
{
    uint64_t v;
    struct address mask;
    point p;

    if (number_parse(s, strlen(s), v4 ? 32 : 128, &v) == 0) {
        *ret = (unsigned)v + (v4 ? 96 : 0);
        return 0;
    }
    if (address_parse(s, &mask) < 0 || address_is_v4(&mask) != v4)
        return -EINVAL;
    p = address_point(&mask);
    if (v4)
        p |= ~(point)0 << 32;
    *ret = 0;
    while (*ret < 128 && (p >> 127)) {
        p <<= 1;
        ++*ret;
    }
    return p ? -EDOM : 0;
}

static int parse_one(struct ruleset *rs, const char *s, size_t len, point *ret, bool *ret_v4)
{
    struct address a;

    if (address_parse(arena_text(rs->arena, s, len), &a) < 0)
        return -EINVAL;
    *ret = address_point(&a);
    *ret_v4 = address_is_v4(&a);
    return 0;
}

int parse_addresses(struct ruleset *rs, const char *s, struct range *ret_range, bool *ret_host)
{
    const char *dash = strchr(s, '-'), *slash = strchr(s, '/');
    size_t len = dash ? (size_t)(dash - s) : slash ? (size_t)(slash - s) : strlen(s);
    point low, high, behind;
    unsigned length = 128;
    bool v4, v4_high;
    int r = parse_one(rs, s, len, &low, &v4);

    *ret_host = false;
    if (r < 0)
        return r;
    if (dash) {
        r = parse_one(rs, dash + 1, strlen(dash + 1), &high, &v4_high);
        if (r < 0 || v4 != v4_high || low > high)
            return -EINVAL;
        *ret_range = (struct range){low, high};
        return 0;
    }
    if (slash)
        r = parse_length(slash + 1, v4, &length);
    if (r < 0)
        return r;
    behind = length < 128 ? ~(point)0 >> length : 0;
    *ret_host = (low & behind) != 0;
    *ret_range = (struct range){low & ~behind, low | behind};
    return 0;
}
