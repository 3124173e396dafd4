/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoints hang on which ports of an agent's machine, as the inventory says. */
#include <stdio.h>

#include "controller/dist/internal.h"

bool ports_is_guard(const struct session *s, const struct endpoint *e)
{
    return e && e->edge && (e->enforcers & ENFORCER_EDGE) &&
           strcmp(e->edge->agent.name, s->agent) == 0;
}

/* Few of many endpoints hang on a port: they are looked for once, not for each agent. */
static void find_edged(struct dist *d, uint64_t version)
{
    const struct inventory *inventory = desired_current(d->desired)->inventory;

    d->n_edged = 0;
    d->edged_of = version;
    for (size_t i = 0; i < inventory->n_endpoints; i++)
        if (inventory->endpoints[i].edge && (inventory->endpoints[i].enforcers & ENFORCER_EDGE)) {
            GROW(d->edged, d->n_edged, d->edged_room);
            d->edged[d->n_edged++] = i;
        }
}

void ports_done(struct dist *d)
{
    free(d->edged);
}

static void list_ports(const struct session *s, struct agent_ports *to)
{
    const struct inventory *inventory = desired_current(s->dist->desired)->inventory;
    size_t room = 0;

    for (size_t i = 0; i < s->dist->n_edged && to->n_items < AGENT_MAX_PORTS; i++) {
        const struct endpoint *e = &inventory->endpoints[s->dist->edged[i]];
        struct agent_port *port;

        if (!ports_is_guard(s, e))
            continue;
        GROW(to->items, to->n_items, room);
        port = &to->items[to->n_items++];
        *port = (struct agent_port){.n_macs = e->edge->n_macs,
                                    .open_before = e->edge->open_before,
                                    .dhcp_server = e->edge->dhcp_server,
                                    .router = e->edge->router,
                                    .learn_dhcp = e->edge->learn_dhcp,
                                    .refusal = e->edge->refusal};
        (void)snprintf(port->endpoint, sizeof(port->endpoint), "%s", e->name);
        (void)snprintf(port->interface, sizeof(port->interface), "%s", e->edge->port.name);
        if (e->edge->pair)
            (void)snprintf(port->pair, sizeof(port->pair), "%s", e->edge->pair);
        memcpy(port->macs, e->edge->macs, e->edge->n_macs * sizeof(port->macs[0]));
    }
}

static void tell(struct session *s, uint64_t version)
{
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_PORTS);
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    if (s->dist->edged_of != version)
        find_edged(s->dist, version);
    list_ports(s, &m->ports);
    if (agent_encode(m, &frame) < 0)
        return;
    if ((!m->ports.n_items && !s->ports.size) ||
        (frame.size == s->ports.size && memcmp(frame.data, s->ports.data, frame.size) == 0)) {
        s->ports_of = version; /* An agent that was never told of any has none. */
        return;
    }
    if (channel_send(s->channel, frame.data, frame.size) < 0)
        return; /* It connects again, and is told then. */
    s->ports_of = version;
    buf_done(&s->ports);
    s->ports = frame;
    frame = (struct buf)BUF_INIT;
}

/* Only another inventory moves ports: changes of policy and trust look at nothing here. */
void ports_tell(struct session *s)
{
    uint64_t version = desired_head(s->dist->desired)->inventory + 1;

    if (s->stage == LIVE && !s->guards && s->ports_of != version)
        tell(s, version);
}
