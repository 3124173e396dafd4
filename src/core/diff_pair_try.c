/* SPDX-License-Identifier: Apache-2.0 */
/* What of a pair is to be asked; see diff_pair.h. */
#include "core/diff_pair_inner.h"
#include "core/rule_changes.h"

static void add_text(struct texts *t, const char *s)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->items[i], s) == 0)
            return;
    GROW(t->items, t->n, t->room);
    t->items[t->n++] = s;
}

/* ---- the rules of a pair ---- */

static void find_rules_of_source(struct diff_pairs *p, int side, const struct end *from)
{
    const struct end_classes *c = p->classes[side];
    const struct policy *q = p->w[side]->policy;
    struct list *to = &p->of_source[side];

    if (p->source[side] == from)
        return;
    p->source[side] = from;
    to->n = 0;
    for (size_t g = 0; from && g <= q->n_groups; g++) { /* The last one is `any`. */
        if (g < q->n_groups && !group_set_has(&from->groups, (uint32_t)g))
            continue;
        for (uint32_t i = 0; i < list_size(&c->from_rules, g); i++)
            list_add(to, list_items(&c->from_rules, g)[i]);
    }
    list_sort(to);
}

void diff_pair_find_rules(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        const struct policy *q = p->w[side]->policy;
        const struct list *all = &p->of_source[side];

        p->rules[side].n = 0;
        find_rules_of_source(p, side, ends[side].from);
        for (size_t i = 0; ends[side].to && i < all->n; i++)
            if (rule_is_alive(&q->rules[all->items[i]], p->w[side]->now_s) &&
                selector_takes(&q->rules[all->items[i]].match.to, ends[side].to))
                list_add(&p->rules[side], all->items[i]);
        while (p->pointers_room[side] < p->rules[side].n)
            GROW(p->pointers[side], p->pointers_room[side], p->pointers_room[side]);
        for (size_t i = 0; i < p->rules[side].n; i++)
            p->pointers[side][i] = &q->rules[p->rules[side].items[i]];
    }
}

static uint32_t kind_of_end(const struct end *e)
{
    if (!e)
        return UINT32_MAX;
    return (uint32_t)e->enforcers | (uint32_t)e->mode << 8 |
           (uint32_t)(e->trust == TRUST_BLACK) << 16 | (uint32_t)e->is_multicast << 17 |
           (uint32_t)(e->endpoint == NULL) << 18;
}

void diff_pair_make_key(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES])
{
    p->key.n = 0;
    for (int side = 0; side < SIDES; side++) {
        list_add(&p->key, kind_of_end(ends[side].from));
        list_add(&p->key, kind_of_end(ends[side].to));
        list_add(&p->key, (uint32_t)p->rules[side].n);
        for (size_t i = 0; i < p->rules[side].n; i++) {
            const struct match *x = p->pointers[side][i]->except;
            bool excepts = x && selector_takes(&x->from, ends[side].from) &&
                           selector_takes(&x->to, ends[side].to);

            list_add(&p->key, p->rules[side].items[i] << 1 | excepts);
        }
    }
}

/* ---- what is to be tried ---- */

static void add_programs(struct diff_pairs *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_processes; i++)
        add_text(&p->values[PROCESS], m->processes[i]);
    for (size_t i = 0; i < m->n_served_by; i++)
        add_text(&p->values[SERVED_BY], m->served_by[i]);
}

static void add_services(struct diff_pairs *p, int side, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++) {
        uint32_t service = diff_pair_services(p, side) + m->services[i];

        for (uint32_t k = 0; k < list_size(&p->slices->of_service, service); k++)
            list_add(&p->pair_slices, list_items(&p->slices->of_service, service)[k]);
    }
}

struct seen_refs { /* What rules of the pair say about users. */
    const struct inventory *inventory;
    const struct user_ref *ref;
};

/* Far apart, so that no two sums of them meet (the finalizer of splitmix64). */
static uint64_t spread(uint64_t x)
{
    x *= UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Which of them take him, as a sum. */
static uint64_t pattern_of(const struct seen_refs *refs, size_t n, const char *user)
{
    uint64_t pattern = 0;

    for (size_t i = 0; i < n; i++)
        if (user_ref_takes(refs[i].inventory, refs[i].ref, user))
            pattern += spread((uint64_t)i + 1);
    return pattern;
}

/* One person of each kind that the rules tell apart. */
static void add_users(struct diff_pairs *p, const struct seen_refs *refs, size_t n)
{
    CLEANUP(free_voidp) uint64_t *patterns = NULL;
    size_t n_patterns = 0, room = 0;

    for (int side = 0; n && side <= SIDES; side++) {
        const struct inventory *inv = side < SIDES ? p->w[side]->inventory : NULL;

        for (size_t i = 0; i < (inv ? inv->n_users : n); i++) {
            const char *name = inv                     ? inv->users[i].name
                               : refs[i].ref->is_group ? SOMETHING_ELSE
                                                       : refs[i].ref->name;
            uint64_t pattern = pattern_of(refs, n, name);
            bool known = pattern == 0;

            for (size_t k = 0; k < n_patterns && !known; k++)
                known = patterns[k] == pattern;
            if (known)
                continue;
            GROW(patterns, n_patterns, room);
            patterns[n_patterns++] = pattern;
            add_text(&p->values[USER], name);
        }
    }
}

void diff_pair_find_slices(struct diff_pairs *p)
{
    p->pair_slices.n = 0;
    list_add(&p->pair_slices, 0);
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < p->rules[side].n; i++) {
            const struct rule *r = p->pointers[side][i];

            add_services(p, side, &r->match);
            if (r->except)
                add_services(p, side, r->except);
        }
    list_sort(&p->pair_slices);
}

static void find_rules_in_slice(struct diff_pairs *p, uint32_t slice)
{
    for (int side = 0; side < SIDES; side++) {
        p->n_in_slice[side] = 0;
        for (size_t i = 0; i < p->rules[side].n; i++) {
            const struct rule *r = p->pointers[side][i];
            bool takes = r->match.n_services == 0;

            for (size_t k = 0; k < r->match.n_services && !takes; k++)
                takes = slices_in_service(p->slices, slice,
                                          diff_pair_services(p, side) + r->match.services[k]);
            if (!takes)
                continue;
            GROW(p->in_slice[side], p->n_in_slice[side], p->in_slice_room[side]);
            p->in_slice[side][p->n_in_slice[side]++] = r;
        }
    }
}

void diff_pair_find_values(struct diff_pairs *p, uint32_t slice)
{
    struct seen_refs *refs = NULL;
    size_t n_refs = 0, room = 0;

    find_rules_in_slice(p, slice);
    for (int d = 0; d < FUNCTION; d++) {
        p->values[d].n = 0;
        add_text(&p->values[d], SOMETHING_ELSE);
    }
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < 2 * p->n_in_slice[side]; i++) {
            const struct rule *r = p->in_slice[side][i / 2];
            const struct match *m = i % 2 ? r->except : &r->match;

            if (!m)
                continue;
            add_programs(p, m);
            for (size_t u = 0; u < m->n_users; u++) {
                GROW(refs, n_refs, room);
                refs[n_refs++] = (struct seen_refs){p->w[side]->inventory, &m->users[u]};
            }
        }
    add_users(p, refs, n_refs);
    free(refs);
}
