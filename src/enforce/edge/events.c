/* SPDX-License-Identifier: Apache-2.0 */
/* The ring, the denials that it was spared, who misbehaves, and what was lost. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "edge.skel.h"
#include "enforce/edge/internal.h"

static uint64_t revision_of(const struct port *p, uint64_t active)
{
    for (size_t i = 0; i < EDGE_REVISIONS; i++)
        if (p->revisions[i].active == active)
            return p->revisions[i].revision;
    return 0;
}

static void give_flow(struct edge *e, const struct edge_event *v)
{
    const struct port *p = &e->ports[v->number < EDGE_PORTS ? v->number : 0];
    struct enforcer_flow f = {.endpoint = p->slots[p->kernel.active & 1].endpoint,
                              .local = address_of_abi(&v->local),
                              .direction = (enum direction)v->direction,
                              .verdict = (enum verdict)v->verdict,
                              .layer = (enum layer)v->layer,
                              .remote = address_of_abi(&v->remote),
                              .identity = v->identity,
                              .protocol = v->protocol,
                              .port = v->port,
                              .process = "",
                              .script = "",
                              .rule = v->rule,
                              .revision = revision_of(p, v->active),
                              .count = v->kind == ABI_EVENT_FLOW ? v->count : 0,
                              .bytes_out = v->bytes[ABI_OUT],
                              .bytes_in = v->bytes[ABI_IN]};

    if (p->used)
        e->events.flow(e->events.arg, &f);
}

static void tell_lease(struct edge *e, const struct edge_event *v)
{
    const struct port *p = &e->ports[v->number < EDGE_PORTS ? v->number : 0];
    char address[ADDRESS_TEXT_SIZE], server[ADDRESS_TEXT_SIZE];
    struct address a = address_of_abi(&v->local), b = address_of_abi(&v->remote);

    if (p->used)
        edge_notice(e, NOTICE_NIC, "%s (%s): %s was learned from the DHCP server %s, for %llu s",
                    p->binding.interface, p->slots[p->kernel.active & 1].endpoint,
                    address_format(&a, address), address_format(&b, server),
                    (unsigned long long)v->count);
}

static int take_event(void *e, void *data, size_t size)
{
    const struct edge_event *v = data;

    if (size < sizeof(*v))
        return 0;
    if (v->kind == EDGE_EVENT_LEASE)
        tell_lease(e, v);
    else
        give_flow(e, v);
    return 0;
}

int events_open(struct edge *e, struct buf *why)
{
    e->ring = ring_buffer__new(bpf_map__fd(e->bpf->maps.edge_events), take_event, e, NULL);
    if (e->ring)
        return 0;
    buf_printf(why, "cannot read the event ring: %s", strerror(errno));
    return -errno;
}

void events_done(struct edge *e)
{
    ring_buffer__free(e->ring);
}

int edge_events_fd(const struct edge *e)
{
    return ring_buffer__epoll_fd(e->ring);
}

int edge_drain(struct edge *e)
{
    return ring_buffer__consume(e->ring);
}

static void tell_denial(void *edge, const void *denied, const struct abi_denial *d)
{
    const struct edge_denial_key *key = denied;
    struct edge *e = edge;
    struct edge_event v = {.kind = ABI_EVENT_FLOW,
                           .number = key->number,
                           .remote = key->remote,
                           .port = key->port,
                           .protocol = key->protocol,
                           .direction = key->direction,
                           .verdict = ABI_DENY,
                           .count = d->pending,
                           .identity = d->identity,
                           .rule = d->rule,
                           .layer = d->layer};

    v.active = key->number < EDGE_PORTS ? e->ports[key->number].kernel.active : 0;
    give_flow(e, &v);
}

static uint64_t counter(const struct edge *e, uint32_t number, uint32_t which)
{
    int n_cpus = libbpf_num_possible_cpus();
    CLEANUP(free_voidp) uint64_t *values = xcalloc(n_cpus > 0 ? (size_t)n_cpus : 1, sizeof *values);
    uint32_t at = number * EDGE_COUNTERS + which;
    uint64_t sum = 0;

    if (bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.edge_counters), &at, values) < 0)
        return 0;
    for (int i = 0; i < n_cpus; i++)
        sum += values[i];
    return sum;
}

uint64_t edge_counter(const struct edge *e, const char *interface, size_t i)
{
    uint32_t number;

    return edge_find(e, interface, &number) && i < EDGE_COUNTERS ? counter(e, number, (uint32_t)i)
                                                                 : 0;
}

size_t edge_n_counters(void)
{
    return EDGE_COUNTERS;
}

const char *edge_counter_name(size_t i)
{
    static const char *const names[EDGE_COUNTERS] = {
        "passed",       "denied",     "closed",   "malformed", "vlan",       "control",
        "foreign",      "mac_spoof",  "ip_spoof", "arp_spoof", "nd_spoof",   "duplicate",
        "not_for_us",   "rogue_dhcp", "rogue_ra", "redirect",  "options",    "extensions",
        "encapsulated", "fragment",   "tiny",     "tcp_flags", "stray_tcp",  "stray",
        "function",     "request",    "full_tcp", "full_udp",  "full_other", "allowed",
        "would_deny",   "cut",        "answered", "leased",    "lost_flows", "lost_closes",
        "lost_denials"};

    return i < EDGE_COUNTERS ? names[i] : "?";
}

/* What honest guests do not do: told at most once a second for each port and kind. */
static void tell_spoofs(struct edge *e, uint32_t number)
{
    static const uint32_t spoofs[] = {EDGE_MAC_SPOOF, EDGE_IP_SPOOF,  EDGE_ARP_SPOOF,
                                      EDGE_ND_SPOOF,  EDGE_DUPLICATE, EDGE_ROGUE_DHCP,
                                      EDGE_ROGUE_RA,  EDGE_REDIRECT};
    struct port *p = &e->ports[number];

    for (size_t i = 0; i < ARRAY_SIZE(spoofs); i++) {
        uint64_t n = counter(e, number, spoofs[i]), *told = &p->spoofs_told[spoofs[i]];

        if (n > *told)
            edge_notice(e, NOTICE_SPOOF, "%s (%s): %llu frames dropped: %s", p->binding.interface,
                        p->slots[p->kernel.active & 1].endpoint, (unsigned long long)(n - *told),
                        edge_counter_name(spoofs[i]));
        *told = n;
    }
}

static void clear_counters(struct edge *e, uint32_t number)
{
    int n_cpus = libbpf_num_possible_cpus();
    CLEANUP(free_voidp) uint64_t *zeros = xcalloc(n_cpus > 0 ? (size_t)n_cpus : 1, sizeof *zeros);

    for (uint32_t i = 0; i < EDGE_COUNTERS; i++) {
        uint32_t at = number * EDGE_COUNTERS + i;

        (void)bpf_map_update_elem(bpf_map__fd(e->bpf->maps.edge_counters), &at, zeros, BPF_ANY);
    }
}

void events_start_port(struct edge *e, uint32_t number, bool anew)
{
    if (anew)
        clear_counters(e, number);
    for (uint32_t i = 0; i < EDGE_REASONS; i++)
        e->ports[number].spoofs_told[i] = counter(e, number, i);
}

static void tell_losses(struct edge *e)
{
    static const uint32_t losses[] = {EDGE_COUNT_LOST_FLOW, EDGE_COUNT_LOST_CLOSE,
                                      EDGE_COUNT_LOST_DENIAL};

    for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
        uint64_t n = 0, *told = &e->losses_told[losses[i]];

        for (uint32_t number = 1; number < EDGE_PORTS; number++)
            if (e->ports[number].used)
                n += counter(e, number, losses[i]);
        if (n > *told)
            edge_notice(e, NOTICE_LOST, "%s: %llu more", edge_counter_name(losses[i]),
                        (unsigned long long)(n - *told));
        *told = n;
    }
}

void edge_flush(struct edge *e)
{
    denials_sweep(bpf_map__fd(e->bpf->maps.edge_denials), sizeof(struct edge_denial_key),
                  tell_denial, e);
    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (e->ports[number].used && e->ports[number].bound)
            tell_spoofs(e, number);
    tell_losses(e);
}
