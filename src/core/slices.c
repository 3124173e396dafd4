/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep over where services begin and end; see slices.h. */
#include "core/slices.h"

#include <errno.h>

enum {
    PROTOCOL_NAMELESS = 253, /* RFC 3692: for experiments; services name tcp, udp and icmp. */
    N_PORTS = 1 << 16,
};

struct edge { /* Where a service begins or ends, by protocol * N_PORTS + port. */
    uint32_t at, service;
    int step; /* 1: from here on.  -1: no longer. */
};

struct sweep {
    struct slices *s;
    struct edge *edges;
    size_t n_edges;
    uint32_t *active; /* Services that hold the present port, ascending. */
    uint32_t *depth;  /* Of each: how many of its ranges do. */
    size_t n_active;
    uint64_t hash; /* Of the active ones: a sum, so that order means nothing. */

    uint32_t *slots; /* By hash: slice plus 1. */
    size_t mask;
    uint64_t *hashes; /* By slice. */
    uint32_t *items;  /* The services of all slices, one behind the other. */
    size_t n_items, room;
};

static int by_place(const void *a_, const void *b_)
{
    const struct edge *a = a_, *b = b_;

    return (a->at > b->at) - (a->at < b->at);
}

static size_t count_ranges(const struct policy *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_services; i++)
        n += p->services[i].n_ports;
    return n;
}

static void find_edges(struct sweep *w)
{
    const struct policy *p = w->s->policy;

    for (uint32_t i = 0; i < p->n_services; i++)
        for (size_t k = 0; k < p->services[i].n_ports; k++) {
            const struct port_range *r = &p->services[i].ports[k];
            uint32_t base = (uint32_t)r->protocol * N_PORTS;

            w->edges[w->n_edges++] = (struct edge){base + r->low, i, 1};
            w->edges[w->n_edges++] = (struct edge){base + r->high + 1, i, -1};
        }
    qsort(w->edges, w->n_edges, sizeof *w->edges, by_place);
}

static uint64_t scramble(uint64_t v)
{
    v = (v + 1) * UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ v >> 31) * UINT64_C(0xd6e8feb86659fd93);
    return v ^ v >> 32;
}

/* The first active service that is not before this one. */
static size_t find_active(const struct sweep *w, uint32_t service)
{
    size_t low = 0, high = w->n_active;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (w->active[mid] < service)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void cross(struct sweep *w, const struct edge *e)
{
    size_t at;

    w->depth[e->service] += (uint32_t)e->step;
    if (e->step > 0 && w->depth[e->service] == 1) {
        at = find_active(w, e->service);
        memmove(w->active + at + 1, w->active + at, (w->n_active - at) * sizeof *w->active);
        w->active[at] = e->service;
        w->n_active++;
        w->hash += scramble(e->service);
    } else if (e->step < 0 && w->depth[e->service] == 0) {
        at = find_active(w, e->service);
        w->n_active--;
        memmove(w->active + at, w->active + at + 1, (w->n_active - at) * sizeof *w->active);
        w->hash -= scramble(e->service);
    }
}

static bool is_slice(const struct sweep *w, uint32_t slice)
{
    const struct lists *l = &w->s->services;

    return w->hashes[slice] == w->hash && list_size(l, slice) == w->n_active &&
           memcmp(list_items(l, slice), w->active, w->n_active * sizeof *w->active) == 0;
}

/* The slice of the active services, found or new. */
static int take_slice(struct sweep *w, uint32_t *ret_slice)
{
    struct slices *s = w->s;
    size_t i = w->hash & w->mask;

    for (; w->slots[i]; i = (i + 1) & w->mask)
        if (is_slice(w, w->slots[i] - 1))
            break;
    if (!w->slots[i]) {
        if (w->n_items + w->n_active > SLICES_MAX_SERVICES)
            return -E2BIG;
        while (w->n_items + w->n_active > w->room) {
            w->room = w->room ? w->room * 2 : 256;
            w->items = xreallocarray(w->items, w->room, sizeof *w->items);
        }
        memcpy(w->items + w->n_items, w->active, w->n_active * sizeof *w->active);
        w->n_items += w->n_active;
        w->hashes[s->n] = w->hash;
        s->services.items = w->items;
        s->services.first[s->n + 1] = (uint32_t)w->n_items;
        s->example[s->n] = (uint32_t)s->n_ranges;
        w->slots[i] = (uint32_t)++s->n;
    }
    *ret_slice = w->slots[i] - 1;
    return 0;
}

static int run_sweep(struct sweep *w)
{
    struct slices *s = w->s;

    for (size_t i = 0; i < w->n_edges;) {
        uint32_t at = w->edges[i].at, slice;
        int r;

        for (; i < w->n_edges && w->edges[i].at == at; i++)
            cross(w, &w->edges[i]);
        if (!w->n_active)
            continue;
        r = take_slice(w, &slice);
        if (r < 0)
            return r;
        s->ranges[s->n_ranges++] =
            (struct slice_range){(uint8_t)(at / N_PORTS), (uint16_t)(at % N_PORTS),
                                 (uint16_t)(w->edges[i].at - 1), slice};
    }
    return 0;
}

static void list_slices_of_services(struct slices *s)
{
    struct lists *l = &s->of_service;

    *l = lists_new(s->arena, s->policy->n_services);
    for (size_t i = 0; i < s->services.first[s->n]; i++)
        list_count(l, s->services.items[i]);
    lists_place(s->arena, l);
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < list_size(&s->services, i); k++)
            list_put(l, list_items(&s->services, i)[k], i);
    lists_done(l);
}

/* ---- functions ---- */

/* One function for each set of the slice's services that name it, and 0 for those that none
 * names.  Returns the number. */
static size_t tell_functions_apart(const struct slices *s, uint32_t slice,
                                   uint8_t ret_functions[MODEL_MAX_MODBUS + 1])
{
    uint64_t named[MODEL_MAX_MODBUS + 1] = {0};
    size_t n = 1;

    for (uint32_t i = 0; i < list_size(&s->services, slice); i++) {
        const struct service *v = &s->policy->services[list_items(&s->services, slice)[i]];

        for (size_t k = 0; k < v->n_modbus; k++)
            named[v->modbus[k]] += scramble(i);
    }
    ret_functions[0] = 0;
    for (int f = 1; f <= MODEL_MAX_MODBUS; f++) {
        bool known = false;

        for (size_t k = 0; k < n && !known; k++)
            known = named[ret_functions[k]] == named[f];
        if (!known)
            ret_functions[n++] = (uint8_t)f;
    }
    return n;
}

static void list_functions(struct slices *s)
{
    uint8_t functions[MODEL_MAX_MODBUS + 1];

    s->functions = lists_new(s->arena, s->n);
    for (uint32_t i = 0; i < s->n; i++)
        for (size_t n = tell_functions_apart(s, i, functions); n; n--)
            list_count(&s->functions, i);
    lists_place(s->arena, &s->functions);
    for (uint32_t i = 0; i < s->n; i++) {
        size_t n = tell_functions_apart(s, i, functions);

        for (size_t k = 0; k < n; k++)
            list_put(&s->functions, i, functions[k]);
    }
    lists_done(&s->functions);
}

int slices_new(const struct policy *p, struct slices **ret_s)
{
    CLEANUP(slices_freep) struct slices *s = NULL;
    struct arena *a = arena_new();
    size_t n = count_ranges(p), size = 64;
    struct sweep w = {.n_active = 0};
    int r;

    while (size < 4 * n + 4)
        size *= 2;
    s = arena_alloc(a, 1, sizeof *s);
    s->arena = a;
    s->policy = p;
    s->ranges = arena_alloc(a, 2 * n, sizeof *s->ranges);
    s->example = arena_alloc(a, 2 * n + 1, sizeof *s->example);
    s->services = (struct lists){.first = arena_alloc(a, 2 * n + 2, sizeof(uint32_t))};
    s->n = 1;
    w.s = s;
    w.edges = arena_alloc(a, 2 * n, sizeof *w.edges);
    w.active = arena_alloc(a, p->n_services + 1, sizeof *w.active);
    w.depth = arena_alloc(a, p->n_services, sizeof *w.depth);
    w.slots = arena_alloc(a, size, sizeof *w.slots);
    w.mask = size - 1;
    w.hashes = arena_alloc(a, 2 * n + 1, sizeof *w.hashes);
    find_edges(&w);
    r = run_sweep(&w);
    s->services.items = arena_copy(a, w.items, w.n_items, sizeof *w.items);
    s->services.n = s->n;
    free(w.items);
    if (r < 0)
        return r;
    list_slices_of_services(s);
    list_functions(s);
    *ret_s = TAKE_PTR(s);
    return 0;
}

void slices_free(struct slices *s)
{
    if (s)
        arena_free(s->arena);
}

/* ---- questions ---- */

uint32_t slices_find(const struct slices *s, uint8_t protocol, uint16_t port)
{
    size_t low = 0, high = s->n_ranges;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct slice_range *r = &s->ranges[mid];

        if (r->protocol < protocol || (r->protocol == protocol && r->high < port))
            low = mid + 1;
        else
            high = mid;
    }
    if (low == s->n_ranges || s->ranges[low].protocol != protocol || s->ranges[low].low > port)
        return 0;
    return s->ranges[low].slice;
}

bool slices_in_service(const struct slices *s, uint32_t slice, uint32_t service)
{
    const uint32_t *all = list_items(&s->of_service, service);
    size_t low = 0, high = list_size(&s->of_service, service);

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (all[mid] < slice)
            low = mid + 1;
        else
            high = mid;
    }
    return low < list_size(&s->of_service, service) && all[low] == slice;
}

void slices_example(const struct slices *s, uint32_t slice, uint8_t *ret_protocol,
                    uint16_t *ret_port)
{
    *ret_protocol = slice ? s->ranges[s->example[slice]].protocol : PROTOCOL_NAMELESS;
    *ret_port = slice ? s->ranges[s->example[slice]].low : 0;
}
