/* SPDX-License-Identifier: Apache-2.0 */
/* A link for each endpoint that hangs on a port of this machine; see internal.h. */
#include "agent/net/internal.h"
#include "base/log.h"

static bool same_port(const struct agent_port *a, const struct agent_port *b)
{
    return strcmp(a->interface, b->interface) == 0 && strcmp(a->pair, b->pair) == 0 &&
           a->n_macs == b->n_macs &&
           memcmp(a->macs, b->macs, a->n_macs * sizeof(a->macs[0])) == 0 &&
           a->open_before == b->open_before && a->dhcp_server == b->dhcp_server &&
           a->router == b->router && a->learn_dhcp == b->learn_dhcp && a->refusal == b->refusal;
}

static void announce_port(struct link *n)
{
    struct ipc_port p = {.n_macs = (uint32_t)n->port.n_macs,
                         .open_before = n->port.open_before,
                         .dhcp_server = n->port.dhcp_server,
                         .router = n->port.router,
                         .learn_dhcp = n->port.learn_dhcp,
                         .refusal = (uint32_t)n->port.refusal};

    memcpy(p.endpoint, n->port.endpoint, sizeof(p.endpoint));
    memcpy(p.interface, n->port.interface, sizeof(p.interface));
    memcpy(p.pair, n->port.pair, sizeof(p.pair));
    memcpy(p.macs, n->port.macs, sizeof(p.macs));
    if (link_pass(n, IPC_PORT, &p, sizeof(p)) < 0)
        log_err("%s: the enforcing half does not take its port", n->port.endpoint);
}

static uint32_t find_link(const struct net *net, const char *endpoint)
{
    for (uint32_t i = 1; i < IPC_SEATS; i++)
        if (net->links[i] && strcmp(net->links[i]->port.endpoint, endpoint) == 0)
            return i;
    return 0;
}

static void put_port(struct net *net, const struct agent_port *port)
{
    uint32_t seat = find_link(net, port->endpoint);
    struct link *n = net->links[seat];

    if (seat && same_port(&n->port, port))
        return;
    if (!seat) {
        for (seat = 1; seat < IPC_SEATS && net->links[seat];)
            seat++;
        if (seat == IPC_SEATS)
            return; /* Cannot be: as many as a message may have. */
        n = link_new(net, seat);
    }
    n->port = *port;
    if (!n->collect)
        telling_begin(n);
    announce_port(n);
}

void ports_take(struct net *net, const struct agent_ports *ports)
{
    uint32_t nothing = 0;

    for (uint32_t i = 1; i < IPC_SEATS; i++) {
        struct link *n = net->links[i];
        bool kept = !n;

        for (size_t k = 0; k < ports->n_items && !kept; k++)
            kept = strcmp(ports->items[k].endpoint, n->port.endpoint) == 0;
        if (kept)
            continue;
        log_info("%s no longer hangs here", n->port.endpoint);
        (void)link_pass(n, IPC_PORT_GONE, &nothing, sizeof(nothing));
        link_free(n);
    }
    for (size_t k = 0; k < ports->n_items; k++)
        put_port(net, &ports->items[k]);
}
