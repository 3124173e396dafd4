/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what a port enforces: programs and trust. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core/edge_view.h"
#include "edge.skel.h"
#include "enforce/edge/internal.h"

/* Slots first, then the one word that says which of them is in force. */
int edge_activate(struct edge *e, uint32_t number, unsigned slot)
{
    struct port *p = &e->ports[number];
    uint64_t before = p->kernel.active;
    int r = edge_store_port(e, number);

    if (r < 0)
        return r;
    p->kernel.active = ++e->generation << 1 | slot;
    r = edge_store_port(e, number);
    if (r < 0) {
        p->kernel.active = before;
        return r;
    }
    memmove(&p->revisions[1], &p->revisions[0], sizeof(p->revisions) - sizeof(p->revisions[0]));
    p->revisions[0].active = p->kernel.active;
    p->revisions[0].revision = p->kernel.slots[slot].revision;
    return 0;
}

static int store_suspects_flag(struct edge *e)
{
    e->config.flags &= ~(uint32_t)EDGE_FLAG_SUSPECTS;
    if (suspects_any(bpf_map__fd(e->bpf->maps.suspects)))
        e->config.flags |= EDGE_FLAG_SUSPECTS;
    return edge_store_config(e);
}

static bool stays_suspect(void *edge, const struct abi_address *a)
{
    const struct edge *e = edge;

    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (e->ports[number].used && suspects_have(&e->ports[number].suspects, a))
            return true;
    return false;
}

static int sync_trust(struct edge *e, struct port *port, const struct program *p)
{
    int fd = bpf_map__fd(e->bpf->maps.suspects), r = suspects_add(fd, p);

    if (r < 0)
        return r;
    suspects_done(&port->suspects);
    port->suspects = suspects_of(p);
    suspects_trim(fd, stays_suspect, e);
    return store_suspects_flag(e);
}

static size_t n_own(const struct program *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_addresses; i++)
        n += p->addresses[i].self;
    return n;
}

static int check_program(const struct edge *e, const struct port *port, const struct program *view,
                         struct buf *why)
{
    if (view->n_entries > e->options.max_entries || n_own(view) > EDGE_MAX_OWN) {
        buf_printf(why,
                   "the policy for %s needs %zu entries and %zu addresses of its own, the limits "
                   "here are %u and %d; %s keeps what it has",
                   view->endpoint, view->n_entries, n_own(view), e->options.max_entries,
                   EDGE_MAX_OWN, port->binding.interface);
        return -E2BIG;
    }
    if (n_own(view) == 0 && !port->binding.learn_dhcp) {
        buf_printf(why, "the policy for %s names no address of its own: %s could not speak",
                   view->endpoint, port->binding.interface);
        return -EINVAL;
    }
    return 0;
}

int edge_load(struct edge *e, const char *interface, const struct program *p, struct buf *why)
{
    CLEANUP(program_freep) struct program *view = edge_view(p);
    uint32_t number;
    struct port *port = edge_find(e, interface, &number);
    unsigned slot;
    int r;

    if (!port) {
        buf_printf(why, "%s is no port of this edge", interface);
        return -ENOENT;
    }
    r = check_program(e, port, view, why);
    if (r < 0)
        return r;
    slot = port->kernel.active ? !(port->kernel.active & 1) : 0;
    r = edge_fill(e, number, slot, view, why);
    if (r < 0)
        return r;
    port->kernel.slots[slot] = table_head(view);
    port->kernel.trust = (uint32_t)view->trust;
    r = sync_trust(e, port, view);
    if (r == 0)
        r = bindings_add_own(e, number, &port->slots[slot]);
    if (r == 0)
        r = edge_activate(e, number, slot);
    if (r < 0) {
        buf_printf(why, "cannot switch %s to revision %llu: %s", interface,
                   (unsigned long long)p->revision, strerror(-r));
        return r;
    }
    bindings_trim_own(e, number);
    return 0;
}

int edge_back(struct edge *e, const char *interface, struct buf *why)
{
    uint32_t number;
    struct port *p = edge_find(e, interface, &number);
    unsigned other = p ? !(p->kernel.active & 1) : 0;
    int r;

    if (!p || !p->slots[other].filled) {
        buf_printf(why, "%s has no former program to go back to", interface);
        return -ENOENT;
    }
    r = bindings_add_own(e, number, &p->slots[other]);
    if (r == 0)
        r = edge_activate(e, number, other);
    if (r < 0)
        buf_printf(why, "cannot switch %s back: %s", interface, strerror(-r));
    else
        bindings_trim_own(e, number);
    return r;
}

static bool port_has(const struct edge *e, uint32_t number, const struct abi_address *a)
{
    struct edge_own key = {.port = number, .address = *a};
    uint32_t found;

    return bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.own), &key, &found) == 0;
}

int edge_set_trust(struct edge *e, const struct address *address, enum trust trust)
{
    struct abi_address key = abi_address_of(address);
    int r = suspects_set(bpf_map__fd(e->bpf->maps.suspects), &key, trust);

    if (r == 0)
        r = store_suspects_flag(e);
    for (uint32_t number = 1; number < EDGE_PORTS && r == 0; number++) {
        struct port *p = &e->ports[number];

        if (p->used && trust == TRUST_WHITE)
            suspects_remove(&p->suspects, &key);
        if (!p->used || !p->kernel.active)
            continue;
        if (port_has(e, number, &key))
            p->kernel.trust = (uint32_t)trust;
        r = edge_activate(e, number, p->kernel.active & 1);
    }
    return r;
}
