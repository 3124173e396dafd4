/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what a port enforces: programs and trust. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core/edge_view.h"
#include "edge.skel.h"
#include "enforce/edge/internal.h"

/* Slots first, then the one word that says which of them is in force. */
static int activate(struct edge *e, uint32_t number, unsigned slot)
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

static bool stays_suspect(const struct program *p, const struct abi_address *key)
{
    struct address a = address_of_abi(key);

    for (size_t i = 0; i < p->n_addresses; i++)
        if (p->addresses[i].length == 128 && p->addresses[i].trust != TRUST_WHITE &&
            address_compare(&p->addresses[i].address, &a) == 0)
            return true;
    return false;
}

static int store_suspects_flag(struct edge *e)
{
    struct abi_address any;

    e->config.flags &= ~(uint32_t)EDGE_FLAG_SUSPECTS;
    if (bpf_map_get_next_key(bpf_map__fd(e->bpf->maps.suspects), NULL, &any) == 0)
        e->config.flags |= EDGE_FLAG_SUSPECTS;
    return edge_store_config(e);
}

/* Every program carries the trust of every address.  Adds before it removes: at no instant does a
 * suspect look white. */
static int sync_trust(struct edge *e, const struct program *p)
{
    int fd = bpf_map__fd(e->bpf->maps.suspects);
    struct abi_address key, next;
    void *previous = NULL;

    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];
        uint32_t trust = a->trust;

        key = abi_address_of(&a->address);
        if (trust != TRUST_WHITE && a->length == 128 &&
            bpf_map_update_elem(fd, &key, &trust, BPF_ANY) < 0)
            return -errno;
    }
    while (bpf_map_get_next_key(fd, previous, &next) == 0) {
        if (!stays_suspect(p, &next)) {
            (void)bpf_map_delete_elem(fd, &next);
            previous = NULL;
            continue;
        }
        key = next;
        previous = &key;
    }
    return store_suspects_flag(e);
}

static size_t n_own(const struct program *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_addresses; i++)
        n += p->addresses[i].self;
    return n;
}

static int check_program(const struct edge *e, const char *interface, const struct program *view,
                         struct buf *why)
{
    if (view->n_entries > e->options.max_entries || n_own(view) > EDGE_MAX_OWN) {
        buf_printf(why,
                   "the policy for %s needs %zu entries and %zu addresses of its own, the limits "
                   "here are %u and %d; %s keeps what it has",
                   view->endpoint, view->n_entries, n_own(view), e->options.max_entries,
                   EDGE_MAX_OWN, interface);
        return -E2BIG;
    }
    if (n_own(view) == 0) {
        buf_printf(why, "the policy for %s names no address of its own: %s could not speak",
                   view->endpoint, interface);
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
    r = check_program(e, interface, view, why);
    if (r < 0)
        return r;
    slot = port->kernel.active ? !(port->kernel.active & 1) : 0;
    r = edge_fill(e, number, slot, view, why);
    if (r < 0)
        return r;
    port->kernel.slots[slot] = table_head(view);
    port->kernel.trust = (uint32_t)view->trust;
    r = sync_trust(e, view);
    if (r == 0)
        r = bindings_add_own(e, number, &port->slots[slot]);
    if (r == 0)
        r = activate(e, number, slot);
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
        r = activate(e, number, other);
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
    int fd = bpf_map__fd(e->bpf->maps.suspects), r = 0;
    struct abi_address key = abi_address_of(address);
    uint32_t value = (uint32_t)trust;

    if (trust == TRUST_WHITE)
        r = bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT ? -errno : 0;
    else if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) < 0)
        r = -errno;
    if (r == 0)
        r = store_suspects_flag(e);
    for (uint32_t number = 1; number < EDGE_PORTS && r == 0; number++) {
        struct port *p = &e->ports[number];

        if (!p->used || !p->kernel.active)
            continue;
        if (port_has(e, number, &key))
            p->kernel.trust = value;
        r = activate(e, number, p->kernel.active & 1);
    }
    return r;
}
