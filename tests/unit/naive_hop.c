/* SPDX-License-Identifier: Apache-2.0 */
/* Brute force; see naive_hop.h. */
#include "unit/naive_hop.h"

#include <string.h>

#include "base/base.h"

/* One address of each range. */
static const char *const outside[N_OUTSIDE] = {"192.0.2.1", "203.0.113.5", "203.0.113.201",
                                               "198.51.100.7", "2001:db8::5"};
const char *const naive_ranges[N_OUTSIDE] = {"outside", "203.0.113.0/24", "203.0.113.128/25",
                                             "198.51.100.7", "2001:db8::/32"};
const char *const naive_services[N_SERVICES] = {NULL, "s1", "s2", "s3", "s4", "s5", "tcp/108"};

const char *naive_node(const struct n_policy *p, int node)
{
    return node < N_ENDPOINTS ? p->endpoints[node].name : outside[node - N_ENDPOINTS];
}

static bool service_takes(int service, const char *protocol, int port, int modbus)
{
    bool tcp = strcmp(protocol, "tcp") == 0;

    switch (service) {
    case 0:
        return true;
    case 1:
        return tcp && port == 100;
    case 2:
        return (tcp && port >= 100 && port <= 110) || (strcmp(protocol, "udp") == 0 && port == 100);
    case 3:
        return strcmp(protocol, "icmp") == 0 && port == 8;
    case 4:
        return tcp && port == 105 && (modbus == 1 || modbus == 2);
    case 5:
        return tcp && port >= 104 && port <= 106 && (modbus == 2 || modbus == 3);
    default:
        return tcp && port == 108;
    }
}

static bool counts(const struct n_policy *p, int x, int y)
{
    if (x < N_ENDPOINTS && p->endpoints[x].edge)
        return true;
    return y < N_ENDPOINTS && (p->endpoints[y].host || p->endpoints[y].edge || p->endpoints[y].nft);
}

static bool passes(const struct brute *b, int x, int y, struct n_query *q)
{
    static const char *const programs[] = {"/p/a", "/p/b", "/p/z"};
    static const char *const users[] = {"u1", "u2", "u3", "u4", "nobody"};

    q->from = naive_node(&b->policy, x);
    q->to = naive_node(&b->policy, y);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        for (size_t j = 0; j < ARRAY_SIZE(users); j++)
            for (size_t k = 0; k < ARRAY_SIZE(programs); k++) {
                q->process = programs[i];
                q->user = users[j];
                q->served_by = programs[k];
                if (strcmp(naive_judge(&b->policy, q).verdict, "deny") != 0)
                    return true;
            }
    return false;
}

static bool find_hop(const struct brute *b, int service, int x, int y)
{
    static const struct n_query packets[] = {
        {.protocol = "tcp", .port = 100}, {.protocol = "tcp", .port = 101},
        {.protocol = "tcp", .port = 104}, {.protocol = "tcp", .port = 105},
        {.protocol = "tcp", .port = 108}, {.protocol = "tcp", .port = 99},
        {.protocol = "udp", .port = 100}, {.protocol = "icmp", .port = 8},
        {.protocol = "icmp", .port = 13}, {.protocol = "gre", .port = 0},
    };
    static const int functions[] = {7, 1, 2, 3};

    if (x == y || (x >= N_ENDPOINTS && y >= N_ENDPOINTS))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
        for (size_t f = 0; f < (packets[i].port == 104 || packets[i].port == 105 ? 4 : 1); f++) {
            struct n_query q = packets[i];

            q.modbus = functions[f];
            if (service_takes(service, q.protocol, q.port, q.modbus) &&
                (!counts(&b->policy, x, y) || passes(b, x, y, &q)))
                return true;
        }
    return false;
}

bool naive_hop(struct brute *b, int service, int x, int y)
{
    signed char *known = &b->hop[service][x][y];

    if (!*known)
        *known = find_hop(b, service, x, y) ? 1 : -1;
    return *known > 0;
}

void naive_members(const struct n_policy *p, const char *group, bool to[NODES])
{
    for (int i = 0; i < NODES; i++)
        to[i] = naive_in_group(p, group, naive_node(p, i));
}
