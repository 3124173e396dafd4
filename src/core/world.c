/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of bits and sorted tables; see world.h. */
#include "core/world.h"

#include <errno.h>

#include "base/table.h"
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

/* ---- membership by label: each label of an endpoint asks only groups whose first condition it is
 * ---- */

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
    for (size_t i = 1; i < g->n_matches; i++) /* The first is why it was asked. */
        if (!has_label(e, &g->matches[i]))
            return false;
    return true;
}

struct first_label { /* One value of the first condition of a group. */
    const char *key, *value;
    uint32_t group;
    uint32_t next; /* With the same key and value; TABLE_NONE: the last. */
};

struct first_labels {
    struct first_label *items;
    size_t n;
    struct table table; /* The head of each chain. */
};

static void first_labels_done(struct first_labels *f)
{
    free(f->items);
    table_done(&f->table);
}

static uint32_t hash_label(const char *key, const char *value)
{
    return table_hash(value, strlen(value), table_hash(key, strlen(key), 0));
}

static bool is_label(const void *f_, uint32_t i, const void *label_)
{
    const struct first_labels *f = f_;
    const struct label *l = label_;

    return strcmp(f->items[i].key, l->key) == 0 && strcmp(f->items[i].value, l->value) == 0;
}

static uint32_t find_first_label(const struct first_labels *f, const struct label *l)
{
    return table_find(&f->table, hash_label(l->key, l->value), is_label, f, l);
}

static struct first_labels index_first_labels(const struct policy *p)
{
    struct first_labels f = {.n = 0};
    size_t n = 0;

    for (size_t g = 0; g < p->n_groups; g++)
        n += p->groups[g].n_matches ? p->groups[g].matches[0].n_values : 0;
    f.items = xcalloc(n, sizeof *f.items);
    for (uint32_t g = 0; g < p->n_groups; g++) {
        const struct label_match *m = p->groups[g].matches;

        for (size_t v = 0; p->groups[g].n_matches && v < m->n_values; v++) {
            const struct label l = {m->key, m->values[v]};
            uint32_t head = find_first_label(&f, &l);
            struct first_label *new = &f.items[f.n];

            *new = (struct first_label){m->key, m->values[v], g, TABLE_NONE};
            if (head == TABLE_NONE) {
                table_add(&f.table, hash_label(m->key, m->values[v]), (uint32_t)f.n);
            } else { /* Behind the head, which the table knows. */
                new->next = f.items[head].next;
                f.items[head].next = (uint32_t)f.n;
            }
            f.n++;
        }
    }
    return f;
}

static void find_groups_of(struct world *w, const struct first_labels *f, size_t i)
{
    const struct endpoint *e = &w->inventory->endpoints[i];

    for (size_t k = 0; k < e->n_labels; k++)
        for (uint32_t at = find_first_label(f, &e->labels[k]); at != TABLE_NONE;
             at = f->items[at].next)
            if (has_labels(e, &w->policy->groups[f->items[at].group]))
                set_add(&w->ends[i].groups, f->items[at].group);
}

static void find_members(struct world *w)
{
    const struct policy *p = w->policy;
    CLEANUP(first_labels_done) struct first_labels first = index_first_labels(p);

    for (size_t i = 0; first.n && i < w->inventory->n_endpoints; i++)
        find_groups_of(w, &first, i);
    for (uint32_t g = 0; g < p->n_groups; g++)
        for (size_t i = 0; i < p->groups[g].n_members; i++) {
            const struct endpoint *e =
                inventory_endpoint(w->inventory, p->groups[g].members[i].name);

            if (e)
                set_add(&w->ends[e - w->inventory->endpoints].groups, g);
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
