/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of bits and sorted tables; see world.h. */
#include "core/world.h"

#include <errno.h>

#include "core/outside.h"

enum { WORD_BITS = 64 };

static struct group_set new_set(const struct world *w)
{
    return (struct group_set){arena_alloc(w->arena, w->n_words, sizeof(uint64_t))};
}

static void set_add(struct group_set *s, size_t group)
{
    s->words[group / WORD_BITS] |= UINT64_C(1) << (group % WORD_BITS);
}

bool group_set_has(const struct group_set *s, uint32_t group)
{
    return (s->words[group / WORD_BITS] >> (group % WORD_BITS)) & 1;
}

/* ---- membership by label: an index of (key, value), so that a group asks only its candidates ----
 */

struct labelled {
    const char *key, *value;
    uint32_t endpoint;
};

static int by_label(const void *a_, const void *b_)
{
    const struct labelled *a = a_, *b = b_;
    int c = strcmp(a->key, b->key);

    if (!c)
        c = strcmp(a->value, b->value);
    return c ? c : (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}

static struct labelled *index_labels(const struct inventory *inv, size_t *ret_n)
{
    struct labelled *all;
    size_t n = 0;

    for (size_t i = 0; i < inv->n_endpoints; i++)
        n += inv->endpoints[i].n_labels;
    all = xcalloc(n, sizeof *all);
    n = 0;
    for (size_t i = 0; i < inv->n_endpoints; i++)
        for (size_t j = 0; j < inv->endpoints[i].n_labels; j++) {
            const struct label *l = &inv->endpoints[i].labels[j];

            all[n++] = (struct labelled){l->key, l->value, (uint32_t)i};
        }
    qsort(all, n, sizeof *all, by_label);
    *ret_n = n;
    return all;
}

/* The first entry that is not before (key, value). */
static size_t lower_bound(const struct labelled *all, size_t n, const char *key, const char *value)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(all[mid].key, key);

        if (c < 0 || (c == 0 && strcmp(all[mid].value, value) < 0))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool has_label(const struct endpoint *e, const struct label_match *m)
{
    for (size_t i = 0; i < e->n_labels; i++)
        for (size_t j = 0; strcmp(e->labels[i].key, m->key) == 0 && j < m->n_values; j++)
            if (strcmp(e->labels[i].value, m->values[j]) == 0)
                return true;
    return false;
}

static bool has_labels(const struct endpoint *e, const struct group *g)
{
    for (size_t i = 0; i < g->n_matches; i++)
        if (!has_label(e, &g->matches[i]))
            return false;
    return true;
}

static void match_group(struct world *w, uint32_t group, const struct labelled *all, size_t n)
{
    const struct group *g = &w->policy->groups[group];
    const struct label_match *first = g->n_matches ? &g->matches[0] : NULL;

    for (size_t v = 0; first && v < first->n_values; v++) {
        const char *value = first->values[v];

        for (size_t i = lower_bound(all, n, first->key, value);
             i < n && strcmp(all[i].key, first->key) == 0 && strcmp(all[i].value, value) == 0; i++)
            if (has_labels(&w->inventory->endpoints[all[i].endpoint], g))
                set_add(&w->ends[all[i].endpoint].groups, group);
    }
}

static void find_members(struct world *w)
{
    CLEANUP(free_voidp) void *memory = NULL;
    const struct policy *p = w->policy;
    const struct labelled *all;
    size_t n;

    memory = index_labels(w->inventory, &n);
    all = memory;
    for (uint32_t g = 0; g < p->n_groups; g++) {
        const struct group *group = &p->groups[g];

        if (group->kind == GROUP_MATCH)
            match_group(w, g, all, n);
        for (size_t i = 0; group->kind == GROUP_MEMBERS && i < group->n_members; i++) {
            const struct endpoint *e = inventory_endpoint(w->inventory, group->members[i].name);

            if (e)
                set_add(&w->ends[e - w->inventory->endpoints].groups, g);
        }
    }
    w->n_members = arena_alloc(w->arena, p->n_groups, sizeof *w->n_members);
    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        for (size_t k = 0; k < w->n_words; k++)
            for (uint64_t left = w->ends[i].groups.words[k]; left; left &= left - 1)
                w->n_members[k * WORD_BITS + (size_t)__builtin_ctzll(left)]++;
}

/* The groups with an entry of each mode: an end is compared with sets, not with entries. */
struct mode_sets {
    struct group_set of[MODE_ENFORCE + 1];
};

static struct mode_sets list_modes(const struct world *w)
{
    struct mode_sets sets = {{{NULL}}};

    for (int mode = MODE_NONE; mode <= MODE_ENFORCE; mode++)
        sets.of[mode] = new_set(w);
    for (size_t i = 0; i < w->policy->n_modes; i++)
        set_add(&sets.of[w->policy->modes[i].mode], w->policy->modes[i].group);
    return sets;
}

static bool sets_meet(const struct world *w, const struct group_set *a, const struct group_set *b)
{
    for (size_t i = 0; i < w->n_words; i++)
        if (a->words[i] & b->words[i])
            return true;
    return false;
}

/* The strictest among the entries of its groups, else the default. */
static enum mode mode_of(const struct world *w, const struct mode_sets *sets, const struct end *end)
{
    for (int mode = MODE_ENFORCE; mode > MODE_NONE; mode--)
        if (sets_meet(w, &sets->of[mode], &end->groups))
            return (enum mode)mode;
    return w->policy->default_mode;
}

static int by_address(const void *a_, const void *b_)
{
    const struct world_address *a = a_, *b = b_;

    return address_compare(&a->address, &b->address);
}

static void find_addresses(struct world *w)
{
    const struct inventory *inv = w->inventory;
    size_t n = 0;

    for (size_t i = 0; i < inv->n_endpoints; i++)
        n += inv->endpoints[i].n_addresses;
    w->addresses = arena_alloc(w->arena, n, sizeof *w->addresses);
    for (size_t i = 0; i < inv->n_endpoints; i++)
        for (size_t j = 0; j < inv->endpoints[i].n_addresses; j++)
            w->addresses[w->n_addresses++] =
                (struct world_address){inv->endpoints[i].addresses[j], (uint32_t)i};
    qsort(w->addresses, n, sizeof *w->addresses, by_address);
}

/* ---- the outside ---- */

static void find_outside(struct world *w)
{
    const struct policy *p = w->policy;
    CLEANUP(free_voidp) void *memory = NULL;
    CLEANUP(outside_done) struct outside cut = {.prefixes = NULL};
    struct outside_prefix *all;
    size_t n = 0;

    for (size_t g = 0; g < p->n_groups; g++)
        n += p->groups[g].n_prefixes;
    memory = xcalloc(n, sizeof *all);
    all = memory;
    n = 0;
    for (size_t g = 0; g < p->n_groups; g++)
        for (size_t i = 0; i < p->groups[g].n_prefixes; i++)
            all[n++] = (struct outside_prefix){p->groups[g].prefixes[i], (uint32_t)g};
    cut = outside_cut(all, n);
    w->n_outside = cut.n_nodes;
    w->outside = arena_alloc(w->arena, cut.n_nodes, sizeof *w->outside);
    for (size_t i = 0; i < cut.n_nodes; i++) {
        const struct outside_node *node = &cut.nodes[i];
        struct outside_range *range = &w->outside[i];

        *range = (struct outside_range){node->prefix, new_set(w), node->is_multicast};
        if (node->around != UINT32_MAX)
            memcpy(range->groups.words, w->outside[node->around].groups.words,
                   w->n_words * sizeof(uint64_t));
        for (size_t k = node->first; k < node->first + node->n; k++)
            if (cut.prefixes[k].group != OUTSIDE_NO_GROUP)
                set_add(&range->groups, cut.prefixes[k].group);
    }
}

struct world *world_new(const struct policy *policy, const struct inventory *inventory,
                        int64_t now_s)
{
    struct arena *arena = arena_new();
    struct world *w = arena_alloc(arena, 1, sizeof *w);
    struct mode_sets modes;

    w->arena = arena;
    w->policy = policy;
    w->inventory = inventory;
    w->now_s = now_s;
    w->n_words = policy->n_groups / WORD_BITS + 1;
    w->ends = arena_alloc(arena, inventory->n_endpoints, sizeof *w->ends);
    for (size_t i = 0; i < inventory->n_endpoints; i++)
        w->ends[i].groups = new_set(w);
    find_members(w);
    modes = list_modes(w);
    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        struct end *end = &w->ends[i];

        end->endpoint = &inventory->endpoints[i];
        end->enforcers = end->endpoint->enforcers;
        end->trust = end->endpoint->trust;
        end->mode = mode_of(w, &modes, end);
    }
    find_addresses(w);
    find_outside(w);
    return w;
}

void world_free(struct world *w)
{
    if (w)
        arena_free(w->arena);
}

struct end world_end_of_address(const struct world *w, const struct address *a)
{
    const struct world_address key = {.address = *a}, *found = NULL;
    const struct outside_range *best = &w->outside[0];

    if (w->n_addresses)
        found = bsearch(&key, w->addresses, w->n_addresses, sizeof key, by_address);
    if (found)
        return w->ends[found->endpoint];
    for (size_t i = 1; i < w->n_outside; i++) {
        const struct outside_range *r = &w->outside[i];

        if (r->prefix.length >= best->prefix.length &&
            address_in_prefix(a, &r->prefix.address, r->prefix.length))
            best = r;
    }
    return (struct end){.groups = best->groups, .is_multicast = best->is_multicast};
}

int world_end(const struct world *w, const char *name_or_address, struct end *ret_end,
              struct address *ret_address)
{
    const struct endpoint *e = inventory_endpoint(w->inventory, name_or_address);
    struct address a;

    if (e) {
        *ret_end = w->ends[e - w->inventory->endpoints];
        if (e->n_addresses)
            *ret_address = e->addresses[0];
        return 0;
    }
    if (address_parse(name_or_address, &a) < 0)
        return -ENOENT;
    *ret_end = world_end_of_address(w, &a);
    *ret_address = a;
    return 0;
}

bool selector_takes(const struct selector *s, const struct end *end)
{
    if (s->any)
        return true;
    for (size_t i = 0; i < s->n_groups; i++)
        if (group_set_has(&end->groups, s->groups[i]))
            return true;
    return false;
}
