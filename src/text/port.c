/* SPDX-License-Identifier: Apache-2.0 */
/* Names for numbers of RFC 792 and IANA's registry of protocols; see port.h. */
#include "text/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/number.h"

enum { PROTO_LEN = 7 };

static const struct name {
    const char *name;
    uint8_t number;
} protocols[] = {{"tcp", IPPROTO_TCP},        {"udp", IPPROTO_UDP},   {"icmp", IPPROTO_ICMP},
                 {"igmp", IPPROTO_IGMP},      {"ipip", IPPROTO_IPIP}, {"gre", IPPROTO_GRE},
                 {"esp", IPPROTO_ESP},        {"ah", IPPROTO_AH},     {"sctp", IPPROTO_SCTP},
                 {"udplite", IPPROTO_UDPLITE}},
  icmp_types[] = {{"echo-reply", 0},     {"unreachable", 3},        {"redirect", 5},  {"echo", 8},
                  {"time-exceeded", 11}, {"parameter-problem", 12}, {"timestamp", 13}};

static int lookup(const struct name *names, size_t n, const char *s, uint16_t *ret)
{
    uint64_t v;

    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i].name, s) == 0) {
            *ret = names[i].number;
            return 0;
        }
    if (number_parse(s, strlen(s), 255, &v) < 0 || (s[0] == '0' && s[1]))
        return -EINVAL;
    *ret = (uint16_t)v;
    return 0;
}

int icmp_type_parse(const char *s, uint16_t *ret_type)
{
    return lookup(icmp_types, ARRAY_SIZE(icmp_types), s, ret_type);
}

int protocol_parse(const char *s, uint8_t *ret_protocol)
{
    uint16_t v;

    if (lookup(protocols, ARRAY_SIZE(protocols), s, &v) < 0)
        return -EINVAL;
    *ret_protocol = (uint8_t)v;
    return 0;
}

const char *protocol_name(uint8_t protocol, char text[8])
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        if (protocols[i].number == protocol)
            return protocols[i].name;
    (void)snprintf(text, 8, "%u", protocol);
    return text;
}

static int parse_number(const char *s, size_t len, uint64_t max, uint16_t *ret)
{
    uint64_t v;
    int r = number_parse(s, len, max, &v);

    if (r < 0)
        return r;
    if (s[0] == '0' && len > 1)
        return -EINVAL;
    *ret = (uint16_t)v;
    return 0;
}

static int parse_range(const char *s, uint64_t min, uint64_t max, struct port_range *r)
{
    const char *dash = strchr(s, '-');
    int e = parse_number(s, dash ? (size_t)(dash - s) : strlen(s), max, &r->low);

    r->high = r->low;
    if (e == 0 && dash)
        e = parse_number(dash + 1, strlen(dash + 1), max, &r->high);
    if (e < 0)
        return e;
    return r->low < min || r->low > r->high ? -ERANGE : 0;
}

static int parse_icmp(const char *s, struct port_range *r, const char **ret_why,
                      const char **ret_nearest)
{
    struct nearest near = nearest_to(s);
    int e;

    *ret_why = "icmp/echo, another type's name, or a type from 0 to 255";
    if (icmp_type_parse(s, &r->low) == 0) {
        r->high = r->low;
        return 0;
    }
    e = parse_range(s, 0, 255, r);
    for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++)
        nearest_offer(&near, icmp_types[i].name);
    *ret_nearest = near.best;
    return e;
}

int port_parse(const char *s, struct port_range *ret_range, const char **ret_why,
               const char **ret_nearest)
{
    const char *slash = strchr(s, '/');
    struct port_range r = {.protocol = 0};
    char proto[PROTO_LEN + 1] = "";
    struct nearest near;
    int e;

    *ret_nearest = NULL;
    *ret_why = "tcp/PORT, udp/PORT, proto/LOW-HIGH, or icmp/echo";
    if (!slash)
        return -EINVAL;
    if (slash - s <= PROTO_LEN)
        memcpy(proto, s, (size_t)(slash - s));
    if (strcmp(proto, "icmp") == 0) {
        r.protocol = IPPROTO_ICMP;
        e = parse_icmp(slash + 1, &r, ret_why, ret_nearest);
    } else if (strcmp(proto, "tcp") == 0 || strcmp(proto, "udp") == 0) {
        r.protocol = strcmp(proto, "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
        e = parse_range(slash + 1, 1, 65535, &r);
        if (e == -ERANGE)
            *ret_why = "ports from 1 to 65535, the lower first";
    } else {
        near = nearest_to(proto);
        for (size_t i = 0; i < 3; i++)
            nearest_offer(&near, protocols[i].name);
        *ret_nearest = near.best;
        return -EINVAL;
    }
    if (e == 0)
        *ret_range = r;
    return e;
}

void port_format(const struct port_range *r, char *text, size_t size)
{
    char proto[8];
    const char *name = protocol_name(r->protocol, proto);

    if (r->protocol == IPPROTO_ICMP && r->low == r->high)
        for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++)
            if (icmp_types[i].number == r->low) {
                (void)snprintf(text, size, "icmp/%s", icmp_types[i].name);
                return;
            }
    if (r->low == r->high)
        (void)snprintf(text, size, "%s/%u", name, r->low);
    else
        (void)snprintf(text, size, "%s/%u-%u", name, r->low, r->high);
}
