/* SPDX-License-Identifier: Apache-2.0 */
/* Which MACs and addresses belong to which port.  What is new is added before a switch of programs,
 * what is old is removed after it. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "edge.skel.h"
#include "enforce/edge/internal.h"

enum { ENDS = EDGE_MAX_BINDINGS };

static const uint32_t one = 1;

static struct edge_mac mac_key(uint32_t number, const uint8_t mac[6])
{
    struct edge_mac key = {.port = number};

    memcpy(key.mac, mac, sizeof(key.mac));
    return key;
}

static bool has_mac(const struct edge_binding *b, const uint8_t mac[6])
{
    for (size_t i = 0; i < b->n_macs; i++)
        if (memcmp(b->macs[i], mac, 6) == 0)
            return true;
    return false;
}

/* Removes the MACs of this port that the binding lacks; NULL: all. */
static void trim_macs(struct edge *e, uint32_t number, const struct edge_binding *keep)
{
    int fd = bpf_map__fd(e->bpf->maps.macs);
    struct edge_mac key, next;
    void *previous = NULL;

    for (int i = 0; i < ENDS && bpf_map_get_next_key(fd, previous, &next) == 0; i++) {
        if (next.port == number && !(keep && has_mac(keep, next.mac))) {
            (void)bpf_map_delete_elem(fd, &next); /* A walk over a hash begins again then. */
            previous = NULL;
            continue;
        }
        key = next;
        previous = &key;
    }
}

/* Removes what MACs asked for that the binding lacks. */
static void trim_clients(struct edge *e, uint32_t number, const struct edge_binding *keep)
{
    int fd = bpf_map__fd(e->bpf->maps.clients);
    struct edge_mac key, next;
    void *previous = NULL;

    for (int i = 0; i < ENDS && bpf_map_get_next_key(fd, previous, &next) == 0; i++) {
        if (next.port == number && !(keep && has_mac(keep, next.mac))) {
            (void)bpf_map_delete_elem(fd, &next);
            previous = NULL;
            continue;
        }
        key = next;
        previous = &key;
    }
}

/* And what they learned. */
static void trim_leases(struct edge *e, uint32_t number, const struct edge_binding *keep)
{
    int fd = bpf_map__fd(e->bpf->maps.leases);
    struct abi_address key, next;
    struct edge_lease lease;
    void *previous = NULL;

    for (int i = 0; i < ENDS && bpf_map_get_next_key(fd, previous, &next) == 0; i++) {
        if (bpf_map_lookup_elem(fd, &next, &lease) == 0 && lease.port == number &&
            !(keep && has_mac(keep, lease.mac))) {
            (void)bpf_map_delete_elem(fd, &next);
            previous = NULL;
            continue;
        }
        key = next;
        previous = &key;
    }
    trim_clients(e, number, keep);
}

size_t bindings_leases(const struct edge *e, uint32_t number, struct address addresses[],
                       size_t room)
{
    int fd = bpf_map__fd(e->bpf->maps.leases);
    struct abi_address key, next;
    struct edge_lease lease;
    void *previous = NULL;
    size_t n = 0;

    for (int i = 0; i < ENDS && n < room && bpf_map_get_next_key(fd, previous, &next) == 0; i++) {
        key = next;
        previous = &key;
        if (bpf_map_lookup_elem(fd, &key, &lease) == 0 && lease.port == number &&
            lease.epoch == e->ports[number].kernel.epoch && lease.expires_ns > kernel_now_ns())
            addresses[n++] = address_of_abi(&key);
    }
    return n;
}

int bindings_put_macs(struct edge *e, uint32_t number, const struct edge_binding *b)
{
    int fd = bpf_map__fd(e->bpf->maps.macs);

    for (size_t i = 0; i < b->n_macs; i++) {
        struct edge_mac key = mac_key(number, b->macs[i]);

        if (bpf_map_update_elem(fd, &key, &one, BPF_ANY) < 0)
            return -errno;
    }
    trim_macs(e, number, b);
    trim_leases(e, number, b->learn_dhcp ? b : NULL);
    return 0;
}

static bool slot_has(const struct port_slot *s, const struct abi_address *a)
{
    for (size_t i = 0; i < s->n_own; i++)
        if (memcmp(&s->own[i], a, sizeof(*a)) == 0)
            return true;
    return false;
}

/* Nobody but its one owner may claim an address; one that several ports have is nobody's here. */
static void put_owner(struct edge *e, uint32_t number, const struct abi_address *a)
{
    int fd = bpf_map__fd(e->bpf->maps.owners);

    for (uint32_t other = 1; other < EDGE_PORTS; other++) {
        const struct port *p = &e->ports[other];

        if (other != number && p->used && slot_has(&p->slots[p->kernel.active & 1], a)) {
            (void)bpf_map_delete_elem(fd, a);
            return;
        }
    }
    (void)bpf_map_update_elem(fd, a, &number, BPF_ANY);
}

int bindings_add_own(struct edge *e, uint32_t number, const struct port_slot *s)
{
    int fd = bpf_map__fd(e->bpf->maps.own);

    for (size_t i = 0; i < s->n_own; i++) {
        struct edge_own key = {.port = number, .address = s->own[i]};

        if (bpf_map_update_elem(fd, &key, &one, BPF_ANY) < 0)
            return -errno;
        put_owner(e, number, &s->own[i]);
    }
    return 0;
}

static void drop_owner(struct edge *e, uint32_t number, const struct abi_address *a)
{
    int fd = bpf_map__fd(e->bpf->maps.owners);
    uint32_t owner;

    if (bpf_map_lookup_elem(fd, a, &owner) == 0 && owner == number)
        (void)bpf_map_delete_elem(fd, a);
}

static void trim_own(struct edge *e, uint32_t number, const struct port_slot *keep)
{
    int fd = bpf_map__fd(e->bpf->maps.own);
    struct edge_own key, next;
    void *previous = NULL;

    for (int i = 0; i < ENDS && bpf_map_get_next_key(fd, previous, &next) == 0; i++) {
        if (next.port == number && !(keep && slot_has(keep, &next.address))) {
            (void)bpf_map_delete_elem(fd, &next);
            drop_owner(e, number, &next.address);
            previous = NULL;
            continue;
        }
        key = next;
        previous = &key;
    }
}

void bindings_trim_own(struct edge *e, uint32_t number)
{
    const struct port *p = &e->ports[number];

    trim_own(e, number, &p->slots[p->kernel.active & 1]);
}

void bindings_clear(struct edge *e, uint32_t number)
{
    trim_macs(e, number, NULL);
    trim_leases(e, number, NULL);
    trim_own(e, number, NULL);
}

void bindings_forget_flows(struct edge *e, uint32_t number)
{
    int fd = bpf_map__fd(e->bpf->maps.edge_flows);
    struct edge_flow_key key, next;
    void *previous = NULL;
    int r = bpf_map_get_next_key(fd, NULL, &next);

    /* The key after one that goes is asked for before it goes. */
    for (uint32_t i = 0; i < e->options.max_flows && r == 0; i++) {
        key = next;
        previous = &key;
        r = bpf_map_get_next_key(fd, previous, &next);
        if (key.port != number)
            continue;
        (void)bpf_map_delete_elem(fd, &key);
        (void)bpf_map_delete_elem(bpf_map__fd(e->bpf->maps.edge_streams), &key);
    }
}
