/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind hops; see hop.h.  The questions are in hop_ask.c. */
#include "core/hop.h"

#include <errno.h>

#include "core/hop_graph.h"
#include "core/people.h"

enum { WORD_BITS = 64 };

/* ---- kinds and segments ---- */

static bool is_same_kind(const struct end *a, const struct end *b)
{
    return a->enforcers == b->enforcers && a->mode == b->mode && !a->endpoint == !b->endpoint &&
           (a->trust == TRUST_BLACK) == (b->trust == TRUST_BLACK);
}

/* Kinds are few (16 sets of enforcers, 3 modes, 2 states of trust), so a plain search will do. */
static int find_kinds(struct hops *h)
{
    h->kinds = arena_alloc(h->arena, HOPS_MAX_KINDS, sizeof *h->kinds);
    h->kind = arena_alloc(h->arena, h->classes->n, sizeof *h->kind);
    for (size_t i = 0; i < h->classes->n; i++) {
        const struct end *e = &h->classes->items[i].end;
        uint32_t k = 0;

        if (e->is_multicast) {
            h->kind[i] = HOP_NOWHERE;
            continue;
        }
        while (k < h->n_kinds && !is_same_kind(&h->kinds[k], e))
            k++;
        if (k == HOPS_MAX_KINDS)
            return -E2BIG;
        if (k == h->n_kinds)
            h->kinds[h->n_kinds++] = *e;
        h->kind[i] = k;
    }
    return 0;
}

static void walk_groups(const struct hops *h, uint32_t class, struct lists *l,
                        void (*act)(struct lists *l, size_t group, uint32_t item))
{
    const uint64_t *words = h->classes->items[class].end.groups.words;

    for (size_t i = 0; i < h->world->n_words; i++)
        for (uint64_t left = words[i] & h->classes->matter.words[i]; left; left &= left - 1)
            act(l, i * WORD_BITS + (size_t)__builtin_ctzll(left), class);
    act(l, l->n - 1, class);
}

static void count_item(struct lists *l, size_t group, uint32_t item)
{
    (void)item; /* Only counted. */
    list_count(l, group);
}

/* Classes by group, those of one kind together: they are put in the order of kinds. */
static struct lists list_by_kind(const struct hops *h)
{
    struct lists l = lists_new(h->arena, h->world->policy->n_groups + 1);

    for (uint32_t i = 0; i < h->classes->n; i++)
        if (h->kind[i] != HOP_NOWHERE)
            walk_groups(h, i, &l, count_item);
    lists_place(h->arena, &l);
    for (uint32_t k = 0; k < h->n_kinds; k++)
        for (uint32_t i = 0; i < h->classes->n; i++)
            if (h->kind[i] == k)
                walk_groups(h, i, &l, list_put);
    lists_done(&l);
    return l;
}

/* Cuts the lists into segments; with 'segments' NULL only counts them. */
static void cut_lists(struct hops *h, const struct lists *l, struct segment *segments)
{
    h->n_segments = 0;
    for (size_t g = 0; g < l->n; g++)
        for (uint32_t i = l->first[g], end; i < l->first[g + 1]; i = end) {
            uint32_t kind = h->kind[l->items[i]];

            for (end = i; end < l->first[g + 1] && h->kind[l->items[end]] == kind;)
                end++;
            if (segments) {
                segments[h->n_segments] = (struct segment){i, end - i, kind};
                list_put(&h->of_group, g, (uint32_t)h->n_segments);
            } else {
                list_count(&h->of_group, g);
            }
            h->n_segments++;
        }
}

static void find_segments(struct hops *h)
{
    struct lists l = list_by_kind(h);

    h->segment_items = l.items;
    h->of_group = lists_new(h->arena, l.n);
    cut_lists(h, &l, NULL);
    lists_place(h->arena, &h->of_group);
    h->segments = arena_alloc(h->arena, h->n_segments, sizeof *h->segments);
    cut_lists(h, &l, h->segments);
    lists_done(&h->of_group);
}

/* ---- nevers, and who looks equal to them ---- */

static bool counts(const struct hops *h, const struct rule *r)
{
    return rule_is_alive(r, h->world->now_s) && r != h->without;
}

static void find_nevers(struct hops *h)
{
    const struct policy *p = h->world->policy;
    struct lists *l = &h->nevers_from;

    h->nevers = arena_alloc(h->arena, p->n_rules, sizeof *h->nevers);
    for (size_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].layer == LAYER_NEVER && counts(h, &p->rules[i]))
            h->nevers[h->n_nevers++] = &p->rules[i];
    *l = lists_new(h->arena, p->n_groups + 1);
    for (int put = 0; put < 2; put++) {
        for (uint32_t i = 0; i < h->n_nevers; i++) {
            const struct selector *s = &h->nevers[i]->match.from;

            for (size_t k = 0; k < (s->any ? 1 : s->n_groups); k++)
                put ? list_put(l, s->any ? p->n_groups : s->groups[k], i)
                    : list_count(l, s->any ? p->n_groups : s->groups[k]);
        }
        if (!put)
            lists_place(h->arena, l);
    }
    lists_done(l);
}

static void mark(uint64_t *words, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        words[s->groups[i] / WORD_BITS] |= UINT64_C(1) << (s->groups[i] % WORD_BITS);
}

struct look {
    const struct hops *h;
    const uint64_t *mask;
};

static uint64_t hash_look(const struct look *l, uint32_t class)
{
    const uint64_t *words = l->h->classes->items[class].end.groups.words;
    uint64_t hash = l->h->kind[class];

    for (size_t i = 0; i < l->h->world->n_words; i++) {
        hash = (hash ^ (words[i] & l->mask[i])) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

static bool looks_equal(const struct look *l, uint32_t a, uint32_t b)
{
    const uint64_t *x = l->h->classes->items[a].end.groups.words;
    const uint64_t *y = l->h->classes->items[b].end.groups.words;

    for (size_t i = 0; i < l->h->world->n_words; i++)
        if ((x[i] ^ y[i]) & l->mask[i])
            return false;
    return l->h->kind[a] == l->h->kind[b];
}

/* Numbers classes by kind and by the groups of the mask. */
static uint32_t *number_looks(const struct hops *h, const uint64_t *mask, uint32_t *ret_n)
{
    const struct look l = {h, mask};
    size_t n = h->classes->n, size = 64, at;
    CLEANUP(free_voidp) void *memory = NULL;
    uint32_t *looks = arena_alloc(h->arena, n, sizeof *looks), *slots;

    while (size < 2 * n)
        size *= 2;
    memory = xcalloc(size, sizeof *slots);
    slots = memory; /* A class plus 1. */
    *ret_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (at = hash_look(&l, i) & (size - 1); slots[at]; at = (at + 1) & (size - 1))
            if (looks_equal(&l, slots[at] - 1, i))
                break;
        if (slots[at]) {
            looks[i] = looks[slots[at] - 1];
        } else {
            slots[at] = i + 1;
            looks[i] = (*ret_n)++;
        }
    }
    return looks;
}

static void find_looks(struct hops *h)
{
    uint64_t *from = arena_alloc(h->arena, h->world->n_words, sizeof *from);
    uint64_t *to = arena_alloc(h->arena, h->world->n_words, sizeof *to);

    for (size_t i = 0; i < h->n_nevers; i++) {
        const struct rule *r = h->nevers[i];

        mark(from, &r->match.from);
        mark(to, &r->match.to);
        if (r->except) {
            mark(from, &r->except->from);
            mark(to, &r->except->to);
        }
    }
    h->never_groups = arena_alloc(h->arena, h->world->n_words, sizeof(uint64_t));
    for (size_t i = 0; i < h->n_nevers; i++)
        mark(h->never_groups, &h->nevers[i]->match.from);
    h->from_look = number_looks(h, from, &h->n_from_looks);
    h->to_look = number_looks(h, to, &h->n_to_looks);
}

/* ---- ways and what they carry ---- */

static const char *somebody_of(const struct hops *h, const struct rule *r)
{
    const struct inventory *inv = h->world->inventory;

    for (size_t i = 0; i < r->match.n_users; i++) {
        if (!r->match.users[i].is_group)
            return r->match.users[i].name;
        for (size_t k = 0; k < inv->n_users; k++)
            for (size_t g = 0; g < inv->users[k].n_groups; g++)
                if (strcmp(inv->users[k].groups[g], r->match.users[i].name) == 0)
                    return inv->users[k].name;
    }
    return "";
}

static void find_ways(struct hops *h)
{
    const struct policy *p = h->world->policy;
    struct lists *l = &h->ways_from;

    h->ways = arena_alloc(h->arena, p->n_rules + 2, sizeof *h->ways);
    for (size_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].layer != LAYER_NEVER && counts(h, &p->rules[i]))
            h->ways[h->n_ways++] =
                (struct way){WAY_RULE, &p->rules[i], somebody_of(h, &p->rules[i])};
    h->ways[h->n_ways++] = (struct way){.kind = WAY_LAX, .user = ""};
    h->ways[h->n_ways++] = (struct way){.kind = WAY_UNENFORCED, .user = ""};
    *l = lists_new(h->arena, p->n_groups + 1);
    for (int put = 0; put < 2; put++) {
        for (uint32_t i = 0; i < h->n_ways; i++) {
            const struct rule *r = h->ways[i].rule;
            bool any = !r || r->match.from.any;

            for (size_t k = 0; k < (any ? 1 : r->match.from.n_groups); k++)
                put ? list_put(l, any ? p->n_groups : r->match.from.groups[k], i)
                    : list_count(l, any ? p->n_groups : r->match.from.groups[k]);
        }
        if (!put)
            lists_place(h->arena, l);
    }
    lists_done(l);
}

static bool has_function(const struct service *s, uint8_t function)
{
    return !s->n_modbus || memchr(s->modbus, function, s->n_modbus);
}

static bool is_on(const struct hops *h, uint32_t slice, uint8_t function, const uint32_t services[],
                  size_t n_services)
{
    for (size_t i = 0; i < n_services; i++)
        if (slices_in_service(h->slices, slice, services[i]) &&
            has_function(&h->world->policy->services[services[i]], function))
            return true;
    return n_services == 0;
}

/* 2: whatever the function; 1: with some function only; 0: not at all. */
static int carries(const struct hops *h, const struct way *way, const struct menu *m,
                   uint32_t slice)
{
    const struct policy *p = h->world->policy;
    const struct match *match = way->rule ? &way->rule->match : NULL;
    const uint32_t *own = match ? match->services : NULL;
    size_t n_own = match ? match->n_services : 0;
    int found = 0;

    for (uint32_t i = 0; i < list_size(&h->slices->functions, slice); i++) {
        uint8_t f = (uint8_t)list_items(&h->slices->functions, slice)[i];

        if (is_on(h, slice, f, m->services, m->n_services) && is_on(h, slice, f, own, n_own))
            found = 1;
    }
    if (found && n_own == 0)
        return 2;
    for (size_t i = 0; found && i < n_own; i++)
        if (!p->services[own[i]].n_modbus && slices_in_service(h->slices, slice, own[i]))
            return 2;
    return found;
}

struct filling {
    const struct hops *h;
    struct menu *m;
    uint32_t *last; /* By slice: the way that was last asked about it, plus 1. */
    bool put;
};

static void fill_slice(const struct filling *f, uint32_t way, uint32_t slice)
{
    int how;

    if (f->last[slice] == way + 1)
        return;
    f->last[slice] = way + 1;
    how = carries(f->h, &f->h->ways[way], f->m, slice);
    if (how && f->put)
        list_put(&f->m->items, way, 2 * slice + (how == 1));
    else if (how)
        list_count(&f->m->items, way);
}

static void fill_services(const struct filling *f, uint32_t way, const uint32_t services[],
                          size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < list_size(&f->h->slices->of_service, services[i]); k++)
            fill_slice(f, way, list_items(&f->h->slices->of_service, services[i])[k]);
}

/* A way without services, asked without services: what no service names is enough, since a never
 * that takes it takes everything - but for the services of its except. */
static void fill_way(const struct filling *f, uint32_t way)
{
    const struct rule *r = f->h->ways[way].rule;
    const uint32_t *services = f->m->services;
    size_t n = f->m->n_services;

    if (r && r->match.n_services) {
        services = r->match.services;
        n = r->match.n_services;
    }
    fill_services(f, way, services, n);
    if (n)
        return;
    fill_slice(f, way, 0);
    for (size_t i = 0; i < f->h->n_nevers; i++)
        if (f->h->nevers[i]->except)
            fill_services(f, way, f->h->nevers[i]->except->services,
                          f->h->nevers[i]->except->n_services);
}

struct menu menu_of_services(const struct hops *h, const uint32_t services[], size_t n_services)
{
    struct menu m = {.services = services, .n_services = n_services, .arena = arena_new()};
    CLEANUP(free_voidp) void *memory = xcalloc(h->slices->n, sizeof(uint32_t));
    struct filling f = {h, &m, memory, false};

    m.items = lists_new(m.arena, h->n_ways);
    for (uint32_t i = 0; i < h->n_ways; i++)
        fill_way(&f, i);
    lists_place(m.arena, &m.items);
    memset(memory, 0, h->slices->n * sizeof(uint32_t));
    f.put = true;
    for (uint32_t i = 0; i < h->n_ways; i++)
        fill_way(&f, i);
    lists_done(&m.items);
    return m;
}

void menu_done(struct menu *m)
{
    arena_free(m->arena);
    *m = (struct menu){.arena = NULL};
}

int hops_new(const struct world *w, const struct rule *without, struct hops **ret_h)
{
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct arena *a = arena_new();
    int r;

    h = arena_alloc(a, 1, sizeof *h);
    h->arena = a;
    h->world = w;
    h->without = without;
    r = slices_new(w->policy, &h->slices);
    if (r < 0)
        return r;
    h->classes = end_classes_new(w, NULL, 0);
    r = find_kinds(h);
    if (r < 0)
        return r;
    find_segments(h);
    find_nevers(h);
    find_looks(h);
    find_ways(h);
    h->users = people_apart(a, w, &h->n_users);
    h->any_service = menu_of_services(h, NULL, 0);
    h->graph = hop_graph_new(h, &h->any_service);
    *ret_h = TAKE_PTR(h);
    return 0;
}

void hops_free(struct hops *h)
{
    if (!h)
        return;
    hop_graph_free(h->graph);
    if (h->any_service.arena)
        menu_done(&h->any_service);
    end_classes_free(h->classes);
    slices_free(h->slices);
    arena_free(h->arena);
}
