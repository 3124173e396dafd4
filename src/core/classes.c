/* SPDX-License-Identifier: Apache-2.0 */
/* A hash partition, then lists by counting; see classes.h. */
#include "core/classes.h"

enum { WORD_BITS = 64 };

/* ---- lists: counts become places, and places are moved back when all is put ---- */

struct lists lists_new(struct arena *a, size_t n)
{
    return (struct lists){.first = arena_alloc(a, n + 2, sizeof(uint32_t)), .n = n};
}

void list_count(struct lists *l, size_t i)
{
    l->first[i + 1]++;
}

void lists_place(struct arena *a, struct lists *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->first[i + 1] += l->first[i];
    l->items = arena_alloc(a, l->first[l->n], sizeof *l->items);
}

void list_put(struct lists *l, size_t i, uint32_t item)
{
    l->items[l->first[i]++] = item;
}

void lists_done(struct lists *l)
{
    memmove(l->first + 1, l->first, l->n * sizeof *l->first);
    l->first[0] = 0;
}

/* ---- the groups that matter ---- */

static void add_group(struct group_set *s, uint32_t group)
{
    s->words[group / WORD_BITS] |= UINT64_C(1) << (group % WORD_BITS);
}

static void add_selector(struct group_set *s, const struct selector *selector)
{
    for (size_t i = 0; i < selector->n_groups; i++)
        add_group(s, selector->groups[i]);
}

static void find_groups_that_matter(struct end_classes *c, const uint32_t extra[], uint32_t n_extra)
{
    const struct policy *p = c->world->policy;
    bool all = n_extra == UINT32_MAX;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        add_selector(&c->matter, &r->match.from);
        add_selector(&c->matter, &r->match.to);
        if (r->except) {
            add_selector(&c->matter, &r->except->from);
            add_selector(&c->matter, &r->except->to);
        }
    }
    for (size_t i = 0; i < p->n_proofs; i++) {
        add_selector(&c->matter, &p->proofs[i].from);
        add_selector(&c->matter, &p->proofs[i].to);
    }
    for (uint32_t i = 0; i < (all ? p->n_groups : n_extra); i++)
        add_group(&c->matter, all ? i : extra[i]);
}

/* ---- the partition ---- */

static struct end end_of_range(const struct outside_range *r)
{
    return (struct end){.groups = r->groups, .is_multicast = r->is_multicast};
}

/* What besides the groups tells ends apart. */
static uint64_t kind_of(const struct end *e)
{
    return (uint64_t)e->enforcers | (uint64_t)e->mode << 8 |
           (uint64_t)(e->trust == TRUST_BLACK) << 16 | (uint64_t)e->is_multicast << 17 |
           (uint64_t)(e->endpoint == NULL) << 18;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_end(const struct end_classes *c, const struct end *e)
{
    uint64_t hash = mix(1, kind_of(e));

    for (size_t i = 0; i < c->world->n_words; i++)
        hash = mix(hash, e->groups.words[i] & c->matter.words[i]);
    return hash;
}

static bool are_alike(const struct end_classes *c, const struct end *a, const struct end *b)
{
    if (kind_of(a) != kind_of(b))
        return false;
    for (size_t i = 0; i < c->world->n_words; i++)
        if ((a->groups.words[i] ^ b->groups.words[i]) & c->matter.words[i])
            return false;
    return true;
}

struct finding { /* Open addressing: a class's number plus 1. */
    struct end_classes *c;
    uint32_t *slots;
    size_t mask;
};

static uint32_t class_of(const struct finding *f, const struct end *e)
{
    struct end_classes *c = f->c;
    size_t i = hash_end(c, e) & f->mask;

    for (; f->slots[i]; i = (i + 1) & f->mask)
        if (are_alike(c, &c->items[f->slots[i] - 1].end, e))
            break;
    if (!f->slots[i]) {
        c->items[c->n] = (struct end_class){.end = *e, .outside = !e->endpoint};
        f->slots[i] = (uint32_t)++c->n;
    }
    c->items[f->slots[i] - 1].n++;
    return f->slots[i] - 1;
}

static void part(struct end_classes *c)
{
    const struct world *w = c->world;
    size_t n_endpoints = w->inventory->n_endpoints, n = n_endpoints + w->n_outside, size = 64;
    CLEANUP(free_voidp) void *memory = NULL;
    struct finding f = {.c = c};
    uint32_t at = 0;

    while (size < 2 * n)
        size *= 2;
    memory = xcalloc(size, sizeof *f.slots);
    f.slots = memory;
    f.mask = size - 1;
    for (size_t i = 0; i < n_endpoints; i++)
        c->of_endpoint[i] = class_of(&f, &w->ends[i]);
    c->n_of_endpoints = c->n;
    for (size_t i = 0; i < w->n_outside; i++) {
        struct end e = end_of_range(&w->outside[i]);

        c->of_outside[i] = class_of(&f, &e);
    }
    for (size_t i = 0; i < c->n; i++) {
        c->items[i].first = at;
        at += c->items[i].n;
        c->items[i].n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        bool outside = i >= n_endpoints;
        struct end_class *k =
            &c->items[outside ? c->of_outside[i - n_endpoints] : c->of_endpoint[i]];

        c->members[k->first + k->n++] = (uint32_t)(outside ? i - n_endpoints : i);
    }
}

/* ---- by group ---- */

static void for_each_group(const struct end_classes *c, size_t class, struct lists *l,
                           void (*act)(struct lists *l, size_t group, uint32_t item))
{
    const uint64_t *words = c->items[class].end.groups.words;

    for (size_t i = 0; i < c->world->n_words; i++)
        for (uint64_t left = words[i] & c->matter.words[i]; left; left &= left - 1)
            act(l, i * WORD_BITS + (size_t)__builtin_ctzll(left), (uint32_t) class);
    act(l, l->n - 1, (uint32_t) class);
}

static void count_item(struct lists *l, size_t group, uint32_t item)
{
    (void)item; /* Only counted. */
    list_count(l, group);
}

static void for_each_rule(const struct end_classes *c, bool to, struct lists *l,
                          void (*act)(struct lists *l, size_t group, uint32_t item))
{
    const struct policy *p = c->world->policy;

    for (uint32_t i = 0; i < p->n_rules; i++) {
        const struct match *m = &p->rules[i].match;
        const struct selector *s = to ? &m->to : &m->from;

        for (size_t k = 0; !s->any && k < s->n_groups; k++)
            act(l, s->groups[k], i);
        if (s->any)
            act(l, p->n_groups, i);
    }
}

static struct lists list_rules(const struct end_classes *c, bool to)
{
    struct lists l = lists_new(c->arena, c->world->policy->n_groups + 1);

    for_each_rule(c, to, &l, count_item);
    lists_place(c->arena, &l);
    for_each_rule(c, to, &l, list_put);
    lists_done(&l);
    return l;
}

static struct lists list_classes(const struct end_classes *c)
{
    struct lists l = lists_new(c->arena, c->world->policy->n_groups + 1);

    for (size_t i = 0; i < c->n; i++)
        for_each_group(c, i, &l, count_item);
    lists_place(c->arena, &l);
    for (size_t i = 0; i < c->n; i++)
        for_each_group(c, i, &l, list_put);
    lists_done(&l);
    return l;
}

struct end_classes *end_classes_new(const struct world *w, const uint32_t extra[], uint32_t n_extra)
{
    struct arena *a = arena_new();
    struct end_classes *c = arena_alloc(a, 1, sizeof *c);
    size_t n = w->inventory->n_endpoints + w->n_outside;

    c->arena = a;
    c->world = w;
    c->matter.words = arena_alloc(a, w->n_words, sizeof(uint64_t));
    find_groups_that_matter(c, extra, n_extra);
    c->items = arena_alloc(a, n, sizeof *c->items);
    c->members = arena_alloc(a, n, sizeof *c->members);
    c->of_endpoint = arena_alloc(a, w->inventory->n_endpoints, sizeof *c->of_endpoint);
    c->of_outside = arena_alloc(a, w->n_outside, sizeof *c->of_outside);
    part(c);
    c->of_group = list_classes(c);
    c->from_rules = list_rules(c, false);
    c->to_rules = list_rules(c, true);
    return c;
}

void end_classes_free(struct end_classes *c)
{
    if (c)
        arena_free(c->arena);
}
