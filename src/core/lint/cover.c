/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to ask about; see cover.h.  The questions are in cover_ask.c. */
#include "core/lint/cover.h"

#include "core/lint/cover_ask.h"
#include "core/people.h"

enum { WORD_BITS = 64, SAMPLES = 6, KINDS = 4 };

/* ---- endpoints that stand for all ---- */

struct ref_name {
    const char *name;
};

static int by_name(const void *a_, const void *b_)
{
    const struct ref_name *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static size_t add_user_groups(struct ref_name *to, size_t n, const struct match *m)
{
    for (size_t i = 0; m && i < m->n_users; i++)
        if (m->users[i].is_group) {
            if (to)
                to[n].name = m->users[i].name;
            n++;
        }
    return n;
}

/* For each group of users that a rule names one user who is in it alone.  No user can be called
 * like a group with '@', which is how they are named here. */
static void make_users(struct arena *a, const struct policy *p, struct inventory *inv)
{
    struct ref_name *all = NULL;
    size_t n = 0;

    for (int put = 0; put < 2; put++) {
        if (put)
            all = arena_alloc(a, n, sizeof *all);
        n = 0;
        for (size_t i = 0; i < p->n_rules; i++) {
            n = add_user_groups(all, n, &p->rules[i].match);
            n = add_user_groups(all, n, p->rules[i].except);
        }
    }
    if (n)
        qsort(all, n, sizeof *all, by_name);
    inv->users = arena_alloc(a, n, sizeof *inv->users);
    for (size_t i = 0; i < n; i++) {
        struct user *u = &inv->users[inv->n_users];
        size_t len = strlen(all[i].name);
        char *name;

        if (i && strcmp(all[i - 1].name, all[i].name) == 0)
            continue;
        name = arena_alloc(a, len + 2, 1);
        name[0] = '@';
        memcpy(name + 1, all[i].name, len);
        *u = (struct user){.name = name, .groups = arena_alloc(a, 1, sizeof *u->groups)};
        u->groups[u->n_groups++] = all[i].name;
        inv->n_users++;
    }
}

/* One of each kind that matters in each group of endpoints, and in none. */
static const struct world *make_stand_ins(struct arena *a, const struct world *w)
{
    static const uint8_t kinds[KINDS] = {0, ENFORCER_HOST, ENFORCER_EDGE,
                                         ENFORCER_HOST | ENFORCER_EDGE};
    const struct policy *p = w->policy;
    struct inventory *inv = arena_alloc(a, 1, sizeof *inv);
    struct world *stand_in = arena_copy(a, w, 1, sizeof *w);
    size_t n = 0;

    inv->endpoints = arena_alloc(a, KINDS * (p->n_groups + 1), sizeof *inv->endpoints);
    stand_in->ends = arena_alloc(a, KINDS * (p->n_groups + 1), sizeof *stand_in->ends);
    for (size_t g = 0; g <= p->n_groups; g++) {
        if (g < p->n_groups && p->groups[g].kind == GROUP_OUTSIDE)
            continue;
        for (int k = 0; k < KINDS; k++) {
            struct end *e = &stand_in->ends[n];

            inv->endpoints[n].name = "?";
            e->endpoint = &inv->endpoints[n++];
            e->groups.words = arena_alloc(a, w->n_words, sizeof(uint64_t));
            if (g < p->n_groups)
                e->groups.words[g / WORD_BITS] = UINT64_C(1) << (g % WORD_BITS);
            e->enforcers = kinds[k];
            e->mode = MODE_ENFORCE;
        }
    }
    inv->n_endpoints = n;
    make_users(a, p, inv);
    stand_in->inventory = inv;
    return stand_in;
}

/* ---- making ---- */

static struct lists list_by_service(struct arena *a, const struct policy *p)
{
    struct lists l = lists_new(a, p->n_services + 1);

    for (int put = 0; put < 2; put++) {
        for (uint32_t i = 0; i < p->n_rules; i++) {
            const struct match *m = &p->rules[i].match;

            for (size_t k = 0; k < (m->n_services ? m->n_services : 1); k++) {
                size_t service = m->n_services ? m->services[k] : p->n_services;

                put ? list_put(&l, service, i) : list_count(&l, service);
            }
        }
        if (!put)
            lists_place(a, &l);
    }
    lists_done(&l);
    return l;
}

/* Two of each kind, and whether outside. */
static void list_kinds(struct cover *c)
{
    uint8_t seen[1 << 9] = {0};

    for (uint32_t i = 0; i < c->classes->n; i++) {
        const struct end_class *k = &c->classes->items[i];
        size_t kind = k->end.enforcers | (size_t)k->end.is_multicast << 4 | (size_t)k->outside << 5;

        if (seen[kind]++ < 2)
            list_add(&c->kinds, i);
        else
            seen[kind] = 2;
    }
}

int cover_new(const struct world *w, bool has_inventory, const uint32_t extra[], uint32_t n_extra,
              struct cover **ret_c)
{
    CLEANUP(cover_freep) struct cover *c = NULL;
    struct arena *a = arena_new();
    int r;

    c = arena_alloc(a, 1, sizeof *c);
    c->arena = a;
    c->has_inventory = has_inventory;
    c->world = has_inventory ? w : make_stand_ins(a, w);
    r = slices_new(w->policy, &c->slices);
    if (r < 0)
        return r;
    c->classes = end_classes_new(c->world, extra, n_extra);
    list_kinds(c);
    c->of_service = list_by_service(a, w->policy);
    c->users = people_apart(a, c->world, &c->n_users);
    c->seen = arena_alloc(a, w->policy->n_rules, sizeof *c->seen);
    c->seen_class = arena_alloc(a, c->classes->n, sizeof *c->seen_class);
    *ret_c = TAKE_PTR(c);
    return 0;
}

void cover_free(struct cover *c)
{
    if (!c)
        return;
    free(c->kinds.items);
    free(c->froms.items);
    free(c->tos.items);
    free(c->at_slices.items);
    free(c->near.items);
    end_classes_free(c->classes);
    slices_free(c->slices);
    arena_free(c->arena);
}

/* ---- ends and slices of a rule ---- */

static void list_ends(struct cover *c, const struct selector *s, bool suspects, struct list *ret)
{
    const struct end_classes *k = c->classes;
    size_t n_groups = c->world->policy->n_groups;

    ret->n = 0;
    c->stamp++;
    for (size_t g = 0; g < (s->any ? 1 : s->n_groups); g++) {
        size_t group = s->any ? n_groups : s->groups[g];

        for (uint32_t i = 0; i < list_size(&k->of_group, group); i++) {
            uint32_t class = list_items(&k->of_group, group)[i];

            if (c->seen_class[class] == c->stamp || (suspects && k->items[class].outside))
                continue;
            c->seen_class[class] = c->stamp;
            list_add(ret, class);
        }
    }
    c->n_steps += ret->n;
}

static bool is_about_suspects(const struct rule *r, bool to)
{
    return r->layer == LAYER_QUARANTINE && (to ? r->match.from.given : r->match.to.given);
}

static void add_slices(struct cover *c, const struct match *m)
{
    const struct lists *l = &c->slices->of_service;

    for (size_t i = 0; m && i < m->n_services; i++)
        for (uint32_t k = 0; k < list_size(l, m->services[i]); k++)
            list_add(&c->at_slices, list_items(l, m->services[i])[k]);
}

/* Where the rule takes everything, what no service names is the hardest to cover; but exceptions
 * of nevers have services. */
static void list_slices(struct cover *c, const struct rule *r, struct list_view by)
{
    c->at_slices.n = 0;
    add_slices(c, &r->match);
    if (!r->match.n_services) {
        list_add(&c->at_slices, 0);
        for (uint32_t i = 0; i < by.n; i++)
            add_slices(c, c->world->policy->rules[by.items[i]].except);
    }
    list_sort(&c->at_slices);
    c->n_steps += c->at_slices.n;
}

static bool looks_at_groups(const struct match *m, bool to)
{
    return m && !(to ? m->to.any : m->from.any);
}

/* Where neither the rule nor the candidates look at groups, two classes of each kind will do. */
static void list_ends_apart(struct cover *c, const struct rule *r, struct list_view by, bool to,
                            struct list *ret)
{
    bool suspects = is_about_suspects(r, to), looked = looks_at_groups(&r->match, to) || r->except;

    for (uint32_t i = 0; i < by.n && !looked; i++) {
        const struct rule *other = &c->world->policy->rules[by.items[i]];

        looked = looks_at_groups(&other->match, to) || looks_at_groups(other->except, to);
    }
    ret->n = 0;
    for (size_t i = 0; i < c->kinds.n && !looked; i++)
        if (!suspects || !c->classes->items[c->kinds.items[i]].outside)
            list_add(ret, c->kinds.items[i]);
    if (looked)
        list_ends(c, to ? &r->match.to : &r->match.from, suspects, ret);
}

void cover_set_rule(struct cover *c, const struct rule *r, struct list_view by)
{
    list_ends_apart(c, r, by, false, &c->froms);
    list_ends_apart(c, r, by, true, &c->tos);
    list_slices(c, r, by);
}

/* ---- rules near by ---- */

static bool may_cover(const struct cover *c, const struct rule *r, const struct rule *by,
                      enum layer layer, const bool *excluded)
{
    if (by == r || by->layer != layer || (excluded && excluded[by->index]) ||
        !rule_is_alive(by, c->world->now_s))
        return false;
    if (layer == LAYER_NEVER && by->except && !c->has_inventory)
        return false;
    return layer != LAYER_QUARANTINE || r->layer != layer ||
           by->match.to.given == r->match.to.given;
}

/* Lists of rules, of which each rule wanted is in one: by the groups of an end, or by service. */
static size_t sum_groups(const struct cover *c, const struct lists *l, const struct end *e)
{
    size_t n = list_size(l, l->n - 1);

    for (size_t i = 0; i < c->world->n_words; i++)
        for (uint64_t left = e->groups.words[i]; left; left &= left - 1)
            n += list_size(l, i * WORD_BITS + (size_t)__builtin_ctzll(left));
    return n;
}

struct taking {
    struct cover *c;
    const struct end *from, *to;
};

static void take_list(const struct taking *t, const struct lists *l, size_t i)
{
    struct cover *c = t->c;

    for (uint32_t k = 0; k < list_size(l, i); k++) {
        uint32_t rule = list_items(l, i)[k];
        const struct match *m = &c->world->policy->rules[rule].match;

        if (c->seen[rule] == c->stamp)
            continue;
        c->seen[rule] = c->stamp;
        if (selector_takes(&m->from, t->from) && selector_takes(&m->to, t->to))
            list_add(&c->near, rule);
    }
    c->n_steps += list_size(l, i);
}

static void take_groups(const struct taking *t, const struct lists *l, const struct end *e)
{
    for (size_t i = 0; i < t->c->world->n_words; i++)
        for (uint64_t left = e->groups.words[i]; left; left &= left - 1)
            take_list(t, l, i * WORD_BITS + (size_t)__builtin_ctzll(left));
    take_list(t, l, l->n - 1);
}

/* Rules of any layer that take both ends; of a slice when it is less work, else of all. */
static struct list_view find_near(struct cover *c, uint32_t from, uint32_t to,
                                  const uint32_t *slice)
{
    const struct end_classes *k = c->classes;
    const struct taking t = {c, &k->items[from].end, &k->items[to].end};
    const uint32_t *services = slice ? list_items(&c->slices->services, *slice) : NULL;
    uint32_t n_services = slice ? list_size(&c->slices->services, *slice) : 0;
    size_t n_from = sum_groups(c, &k->from_rules, t.from), n_to = sum_groups(c, &k->to_rules, t.to),
           n_of_slice = slice ? list_size(&c->of_service, c->of_service.n - 1) : SIZE_MAX;

    c->near.n = 0;
    c->stamp++;
    for (uint32_t i = 0; i < n_services; i++)
        n_of_slice += list_size(&c->of_service, services[i]);
    if (n_of_slice < n_from && n_of_slice < n_to) {
        for (uint32_t i = 0; i < n_services; i++)
            take_list(&t, &c->of_service, services[i]);
        take_list(&t, &c->of_service, c->of_service.n - 1);
    } else if (n_from < n_to) {
        take_groups(&t, &k->from_rules, t.from);
    } else {
        take_groups(&t, &k->to_rules, t.to);
    }
    return (struct list_view){c->near.items, (uint32_t)c->near.n};
}

struct list_view cover_rules_between(struct cover *c, uint32_t from, uint32_t to)
{
    return find_near(c, from, to, NULL);
}

/* ---- samples ---- */

/* One of the classes that the selector takes, spread over its groups; false: it has none there. */
static bool sample_class(const struct cover *c, const struct selector *s, bool suspect, size_t t,
                         uint32_t *ret_class)
{
    const struct lists *l = &c->classes->of_group;
    size_t group = s->any ? l->n - 1 : s->n_groups ? s->groups[t % s->n_groups] : 0;
    size_t n = list_size(l, group);

    if (s->any && suspect)
        n = c->classes->n_of_endpoints;
    if (!n || (!s->any && !s->n_groups))
        return false;
    *ret_class = list_items(l, group)[t * (n - 1) / (SAMPLES - 1)];
    return !suspect || !c->classes->items[*ret_class].outside;
}

static uint32_t sample_slice(const struct cover *c, const struct match *m, size_t t)
{
    uint32_t service = m->n_services ? m->services[t % m->n_services] : 0;
    uint32_t n = m->n_services ? list_size(&c->slices->of_service, service) : 0;

    return n ? list_items(&c->slices->of_service, service)[t / m->n_services % n] : 0;
}

bool cover_is_refuted(struct cover *c, const struct rule *r, enum layer layer, const bool *excluded)
{
    bool matched = false, taken = true;

    if (c->n_steps > COVER_MAX_STEPS)
        return true;
    for (size_t t = 0; t < SAMPLES && taken; t++) {
        uint32_t from, to, slice = sample_slice(c, &r->match, t);
        struct list by = {.n = 0};

        if (!sample_class(c, &r->match.from, is_about_suspects(r, false), t, &from) ||
            !sample_class(c, &r->match.to, is_about_suspects(r, true), SAMPLES - 1 - t, &to) ||
            !cover_is_pair(c, from, to))
            continue;
        (void)find_near(c, from, to, &slice);
        for (size_t i = 0; i < c->near.n; i++) {
            const struct rule *other = &c->world->policy->rules[c->near.items[i]];

            if (may_cover(c, r, other, layer, excluded) && cover_on_slice(c, other, slice))
                list_add(&by, other->index);
        }
        taken = cover_takes_at(c, r, (struct list_view){by.items, (uint32_t)by.n}, from, to, slice,
                               &matched);
        free(by.items);
    }
    return !taken;
}

/* ---- candidates ---- */

static uint64_t *merge_groups(struct cover *c, const struct selector *s, const struct list *classes)
{
    uint64_t *all = xcalloc(c->world->n_words, sizeof *all);
    size_t n_groups = c->world->policy->n_groups;

    for (size_t g = 0; s->any && g < n_groups; g++)
        all[g / WORD_BITS] |= UINT64_C(1) << (g % WORD_BITS);
    c->n_steps += s->any ? 0 : classes->n;
    for (size_t k = 0; !s->any && k < classes->n; k++)
        for (size_t i = 0; i < c->world->n_words; i++)
            all[i] |= c->classes->items[classes->items[k]].end.groups.words[i];
    return all;
}

void cover_candidates(struct cover *c, const struct rule *r, enum layer layer, const bool *excluded,
                      struct list *ret)
{
    const struct policy *p = c->world->policy;
    struct end from = {.endpoint = NULL}, to = {.endpoint = NULL};
    struct taking t = {c, &from, &to};

    ret->n = 0;
    if (cover_is_unfinished(c))
        return;
    if (!r->match.from.any)
        list_ends(c, &r->match.from, is_about_suspects(r, false), &c->froms);
    if (!r->match.to.any)
        list_ends(c, &r->match.to, is_about_suspects(r, true), &c->tos);
    list_slices(c, r, (struct list_view){NULL, 0});
    from.groups.words = merge_groups(c, &r->match.from, &c->froms);
    to.groups.words = merge_groups(c, &r->match.to, &c->tos);
    c->near.n = 0;
    c->stamp++;
    if (sum_groups(c, &c->classes->from_rules, &from) < sum_groups(c, &c->classes->to_rules, &to))
        take_groups(&t, &c->classes->from_rules, &from);
    else
        take_groups(&t, &c->classes->to_rules, &to);
    for (size_t i = 0; i < c->near.n; i++) {
        const struct rule *by = &p->rules[c->near.items[i]];
        bool meets = false;

        if (!may_cover(c, r, by, layer, excluded))
            continue;
        for (size_t k = 0; k < c->at_slices.n && !meets; k++)
            meets = cover_on_slice(c, by, c->at_slices.items[k]);
        c->n_steps += c->at_slices.n;
        if (meets)
            list_add(ret, by->index);
    }
    list_sort(ret);
    free(from.groups.words);
    free(to.groups.words);
}
