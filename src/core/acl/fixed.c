/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 792, RFC 4443, RFC 4861, RFC 2131, RFC 8415; see fixed.h. */
#include "core/acl/fixed.h"

#include <netinet/in.h>

static const struct prefix every4 = {{{[10] = 0xff, [11] = 0xff}}, 96}, every6 = {.length = 0},
                           broadcast = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
                                          0xff, 0xff}},
                                        128},
                           link_local = {{{0xfe, 0x80}}, 10},
                           dhcp_servers = {{{0xff, 2, [13] = 1, [15] = 2}}, 128};

static const struct {
    uint16_t request, reply;
} twins4[] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}}, twins6[] = {{128, 129}};

int fixed_reply_to(uint16_t type, bool v6)
{
    for (size_t i = 0; i < (v6 ? ARRAY_SIZE(twins6) : ARRAY_SIZE(twins4)); i++)
        if ((v6 ? twins6 : twins4)[i].request == type)
            return (v6 ? twins6 : twins4)[i].reply;
    return -1;
}

uint16_t fixed_request_of(uint16_t reply, bool v6)
{
    for (size_t i = 0; i < (v6 ? ARRAY_SIZE(twins6) : ARRAY_SIZE(twins4)); i++)
        if ((v6 ? twins6 : twins4)[i].reply == reply)
            return (v6 ? twins6 : twins4)[i].request;
    return 0;
}

static int by_address(const void *a_, const void *b_)
{
    const struct prefix *a = a_, *b = b_;

    return address_compare(&a->address, &b->address);
}

void fixed_sort(struct prefixes *p, bool v6)
{
    const struct prefix *every = v6 ? &every6 : &every4;
    struct prefix first;

    prefixes_add(p, &every->address, every->length);
    first = p->items[0];
    p->items[0] = p->items[p->n - 1];
    p->items[p->n - 1] = first;
    if (p->n > 2)
        qsort(p->items + 1, p->n - 1, sizeof *p->items, by_address);
}

static void add(struct acl *a, struct acl_entry e)
{
    GROW(a->entries, a->n, a->room);
    a->entries[a->n++] = e;
}

static void add_types(struct acl *a, enum acl_section section, const uint16_t types[], size_t n)
{
    const struct prefix every = a->v6 ? every6 : every4;

    for (size_t i = 0; i < n; i++)
        add(a, (struct acl_entry){.section = section,
                                  .action = ACL_PERMIT,
                                  .protocol = IPPROTO_ICMP,
                                  .has_ports = true,
                                  .low = types[i],
                                  .high = types[i],
                                  .local = every,
                                  .remote = every});
}

static void add_dhcp(struct acl *a)
{
    struct acl_entry e = {.section = ACL_LINK,
                          .action = ACL_PERMIT,
                          .protocol = IPPROTO_UDP,
                          .has_ports = true,
                          .has_peer_port = true,
                          .local = a->v6 ? link_local : every4};
    uint16_t client = a->v6 ? 546 : 68, server = a->v6 ? 547 : 67;

    e.low = e.high = a->way == ACL_IN ? server : client;
    e.peer_port = a->way == ACL_IN ? client : server;
    if (a->way == ACL_IN)
        e.remote = a->v6 ? dhcp_servers : broadcast;
    else
        e.remote = a->v6 ? link_local : every4;
    add(a, e);
}

void fixed_begin(struct acl *a)
{
    /* Router solicitation, neighbour solicitation and advertisement; listener reports. */
    static const uint16_t leave6[] = {133, 135, 136, 131, 132, 143};
    /* Router advertisement, neighbours, listener queries. */
    static const uint16_t enter6[] = {134, 135, 136, 130};
    static const uint16_t errors4[] = {3, 11, 12}, errors6[] = {1, 2, 3, 4};

    add_dhcp(a);
    if (a->v6 && a->way == ACL_IN)
        add_types(a, ACL_LINK, leave6, ARRAY_SIZE(leave6));
    else if (a->v6)
        add_types(a, ACL_LINK, enter6, ARRAY_SIZE(enter6));
    if (a->v6)
        add_types(a, ACL_ERRORS, errors6, ARRAY_SIZE(errors6));
    else
        add_types(a, ACL_ERRORS, errors4, ARRAY_SIZE(errors4));
}

/* The endpoint as the controller's client, or as the controller. */
static void add_lifeline(struct acl *a, const struct program_lifeline *l, const struct prefix *own,
                         bool is_here)
{
    struct acl_entry e = {.section = ACL_LIFELINE,
                          .action = ACL_PERMIT,
                          .protocol = l->protocol,
                          .has_ports = true,
                          .low = l->port,
                          .high = l->port,
                          .local = *own};

    e.remote = is_here ? (a->v6 ? every6 : every4) : (struct prefix){l->address, 128};
    e.is_reply = is_here == (a->way == ACL_IN);
    add(a, e);
}

static bool is_own(const struct program *view, const struct address *a)
{
    for (size_t i = 0; i < view->n_addresses; i++)
        if (view->addresses[i].self && address_compare(&view->addresses[i].address, a) == 0)
            return true;
    return false;
}

bool fixed_is_controller(const struct program *view)
{
    for (size_t i = 0; i < view->n_lifeline; i++)
        if (is_own(view, &view->lifeline[i].address))
            return true;
    return false;
}

void fixed_lifeline(struct acl *a, const struct program *view, const struct prefixes *own)
{
    for (size_t i = 0; i < view->n_lifeline; i++) {
        const struct program_lifeline *l = &view->lifeline[i];
        bool is_here = is_own(view, &l->address);

        for (size_t k = 0; address_is_v4(&l->address) != a->v6 && k < own->n; k++)
            add_lifeline(a, l, &own->items[k], is_here);
    }
}

void fixed_end(struct acl *a)
{
    const struct prefix every = a->v6 ? every6 : every4;

    add(a, (struct acl_entry){
               .section = ACL_END, .action = ACL_DENY, .local = every, .remote = every});
}
