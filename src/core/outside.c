/* SPDX-License-Identifier: Apache-2.0 */
/* In sorted order a prefix follows all that hold it, so these are a stack; see outside.h. */
#include "core/outside.h"

#include "base/base.h"

enum { LENGTHS = 129 };

/* What no single machine has. */
static const struct prefix multicast[] = {
    {{{[10] = 0xff, [11] = 0xff, [12] = 0xe0}}, 100},            /* 224.0.0.0/4 */
    {{{[10] = 0xff, [11] = 0xff, 0xff, 0xff, 0xff, 0xff}}, 128}, /* 255.255.255.255 */
    {{{0xff}}, 8},                                               /* ff00::/8 */
};

static int by_prefix(const void *a_, const void *b_)
{
    const struct outside_prefix *a = a_, *b = b_;
    int c = address_compare(&a->prefix.address, &b->prefix.address);

    if (!c)
        c = a->prefix.length - b->prefix.length;
    return c ? c : (a->group > b->group) - (a->group < b->group);
}

static bool is_multicast(const struct prefix *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(multicast); i++)
        if (p->length >= multicast[i].length &&
            address_in_prefix(&p->address, &multicast[i].address, multicast[i].length))
            return true;
    return false;
}

static bool is_same(const struct prefix *a, const struct prefix *b)
{
    return a->length == b->length && address_compare(&a->address, &b->address) == 0;
}

struct outside outside_cut(const struct outside_prefix prefixes[], size_t n)
{
    struct outside o = {.n_prefixes = n + 1 + ARRAY_SIZE(multicast)};
    uint32_t stack[LENGTHS]; /* Each is longer than the one below it. */
    size_t depth = 0;

    o.prefixes = xcalloc(o.n_prefixes, sizeof *o.prefixes);
    o.nodes = xcalloc(o.n_prefixes, sizeof *o.nodes);
    if (n)
        memcpy(o.prefixes, prefixes, n * sizeof *prefixes);
    o.prefixes[n].group = OUTSIDE_NO_GROUP; /* ::/0 */
    for (size_t i = 0; i < ARRAY_SIZE(multicast); i++)
        o.prefixes[n + 1 + i] = (struct outside_prefix){multicast[i], OUTSIDE_NO_GROUP};
    qsort(o.prefixes, o.n_prefixes, sizeof *o.prefixes, by_prefix);
    for (size_t i = 0; i < o.n_prefixes; i++) {
        const struct prefix *p = &o.prefixes[i].prefix;

        if (o.n_nodes && is_same(p, &o.nodes[o.n_nodes - 1].prefix)) {
            o.nodes[o.n_nodes - 1].n++;
            continue;
        }
        while (depth && !address_in_prefix(&p->address, &o.nodes[stack[depth - 1]].prefix.address,
                                           o.nodes[stack[depth - 1]].prefix.length))
            depth--;
        o.nodes[o.n_nodes] = (struct outside_node){.prefix = *p,
                                                   .around = depth ? stack[depth - 1] : UINT32_MAX,
                                                   .is_multicast = is_multicast(p),
                                                   .first = i,
                                                   .n = 1};
        stack[depth++] = (uint32_t)o.n_nodes++;
    }
    return o;
}

void outside_done(struct outside *o)
{
    free(o->prefixes);
    free(o->nodes);
    *o = (struct outside){.prefixes = NULL};
}
