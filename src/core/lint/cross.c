/* SPDX-License-Identifier: Apache-2.0 */
/* W-CROSS: conditions that mix at different places. */
#include "base/table.h"
#include "core/lint/linting.h"

enum { WORD_BITS = 64, MAX_PAIRS = 1 << 22, MAX_SORTS = 1 << 12 };

/* Who decides a condition: the source's agent, the destination's, an edge. */
enum where { AT_SOURCE, AT_DESTINATION, AT_EDGE, N_WHERE };

static bool list_within(const char **a, size_t n_a, const char **b, size_t n_b)
{
    for (size_t i = 0; i < n_a; i++) {
        bool found = false;

        for (size_t j = 0; j < n_b; j++)
            found = found || strcmp(a[i], b[j]) == 0;
        if (!found)
            return false;
    }
    return n_a > 0 || n_b == 0;
}

static bool users_within(const struct match *a, const struct match *b)
{
    for (size_t i = 0; i < a->n_users; i++) {
        bool found = false;

        for (size_t j = 0; j < b->n_users; j++)
            found = found || (a->users[i].is_group == b->users[j].is_group &&
                              strcmp(a->users[i].name, b->users[j].name) == 0);
        if (!found)
            return false;
    }
    return a->n_users > 0 || b->n_users == 0;
}

static bool has_functions(const struct policy *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++)
        if (p->services[m->services[i]].n_modbus)
            return true;
    return false;
}

/* The functions with which a rule takes this slice; all of them when a service there has none.
 * False: it does not take it. */
static bool functions_at(const struct slices *slices, const struct match *m, uint32_t slice,
                         bool functions[MODEL_MAX_MODBUS + 1])
{
    bool taken = m->n_services == 0, all = taken;

    memset(functions, 0, MODEL_MAX_MODBUS + 1);
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &slices->policy->services[m->services[i]];

        if (!slices_in_service(slices, slice, m->services[i]))
            continue;
        taken = true;
        all = all || !s->n_modbus;
        for (size_t k = 0; k < s->n_modbus; k++)
            functions[s->modbus[k]] = true;
    }
    if (all)
        memset(functions, 1, MODEL_MAX_MODBUS + 1);
    return taken;
}

static bool is_subset(const bool a[MODEL_MAX_MODBUS + 1], const bool b[MODEL_MAX_MODBUS + 1])
{
    for (int f = 0; f <= MODEL_MAX_MODBUS; f++)
        if (a[f] && !b[f])
            return false;
    return true;
}

/* Does everything that meets a's conditions at this place meet b's too?  An empty list is no
 * condition; 'functions' says it for the edge. */
static bool within(const struct match *a, const struct match *b, enum where where, bool functions)
{
    switch (where) {
    case AT_SOURCE:
        return (b->n_processes == 0 ||
                list_within(a->processes, a->n_processes, b->processes, b->n_processes)) &&
               (b->n_users == 0 || users_within(a, b));
    case AT_DESTINATION:
        return b->n_served_by == 0 ||
               list_within(a->served_by, a->n_served_by, b->served_by, b->n_served_by);
    case AT_EDGE:
        return functions;
    case N_WHERE:
        break;
    }
    return true;
}

static bool ports_overlap(const struct policy *p, const struct match *a, const struct match *b)
{
    if (!a->n_services || !b->n_services)
        return true;
    for (size_t i = 0; i < a->n_services; i++) {
        const struct service *s = &p->services[a->services[i]];

        for (size_t k = 0; k < s->n_ports; k++)
            for (size_t j = 0; j < b->n_services; j++) {
                const struct service *t = &p->services[b->services[j]];

                for (size_t m = 0; m < t->n_ports; m++)
                    if (s->ports[k].protocol == t->ports[m].protocol &&
                        s->ports[k].low <= t->ports[m].high && t->ports[m].low <= s->ports[k].high)
                        return true;
            }
    }
    return false;
}

/* Each end lets through what some rule allows as far as it can see.  So a connection that meets a's
 * condition at one place and b's at another passes both, although neither rule allows it: unless
 * one rule's conditions are within the other's at all places but one. */
static bool cross(const struct match *a, const struct match *b, bool a_functions, bool b_functions)
{
    for (int i = 0; i < N_WHERE; i++)
        for (int j = 0; j < N_WHERE; j++)
            if (i != j && !within(b, a, (enum where)i, b_functions) &&
                !within(a, b, (enum where)j, a_functions))
                return true;
    return false;
}

static bool cross_at(const struct slices *slices, const struct match *a, const struct match *b,
                     uint32_t slice)
{
    bool in_a[MODEL_MAX_MODBUS + 1], in_b[MODEL_MAX_MODBUS + 1];

    return functions_at(slices, a, slice, in_a) && functions_at(slices, b, slice, in_b) &&
           cross(a, b, is_subset(in_a, in_b), is_subset(in_b, in_a));
}

/* Somewhere on the ports that both take: where services of a rule ask for other functions, or for
 * none, its ports differ. */
static bool rules_cross(const struct slices *slices, const struct match *a, const struct match *b)
{
    const struct match *with = a->n_services ? a : b;
    const struct lists *l = &slices->of_service;

    if (!has_functions(slices->policy, a) && !has_functions(slices->policy, b))
        return cross(a, b, true, true);
    for (size_t i = 0; i < with->n_services; i++)
        for (uint32_t k = 0; k < list_size(l, with->services[i]); k++)
            if (cross_at(slices, a, b, list_items(l, with->services[i])[k]))
                return true;
    return false;
}

static bool has_condition_elsewhere(const struct policy *p, const struct match *m)
{
    return m->n_served_by > 0 || has_functions(p, m);
}

static void check_pair(const struct linting *l, const struct rule *a, const struct rule *b)
{
    struct diagnostic *x;

    if (!ports_overlap(l->w->policy, &a->match, &b->match))
        return;
    x = diagnostics_add(l->d, CODE_CROSS, &b->place,
                        "\"%s\" and \"%s\" overlap, and their conditions are checked at different "
                        "places",
                        a->id, b->id);
    diagnostic_expected(x, "conditions that one place can check together: each end sees only its "
                           "half, so both let through a mixture that neither rule allows");
    diagnostic_fix(x, "give both rules the same condition at one of the places, or separate their "
                      "from, to or service");
}

/* A never whose conditions live at two places: nobody sees both, so nobody is sure enough to
 * forbid. */
static void check_never(const struct linting *l, const struct rule *r)
{
    const struct policy *p = l->w->policy;
    const struct match *e = r->except;
    bool source = r->match.n_processes || r->match.n_users || (e && (e->n_processes || e->n_users));
    bool edge = has_condition_elsewhere(p, &r->match) || (e && has_condition_elsewhere(p, e));
    struct diagnostic *x;

    if (!source || !edge)
        return;
    x = diagnostics_add(l->d, CODE_CROSS, &r->place,
                        "the conditions of the never \"%s\" are checked at different places",
                        r->id);
    diagnostic_expected(x, "program and user, or protocol functions: the agent sees the one and an "
                           "edge the other, and neither forbids what it cannot tell");
    diagnostic_fix(x, "write two rules, one for each place");
}

/* ---- sorts of conditions: rules of one sort never cross; those with functions have none ---- */

struct sorts {
    const struct slices *slices;
    uint32_t *of_rule;  /* TABLE_NONE: its services ask for functions, so that ports matter. */
    bool has_functions; /* Some rule. */
    const struct rule **items; /* A rule of each. */
    size_t n;
    struct table table;
    uint8_t *cross;     /* By sort and sort: 1 yes, 2 no; NULL: too many. */
    uint8_t *cross_any; /* By sort: with some other. */
};

static uint32_t hash_texts(const char **texts, size_t n, uint32_t hash)
{
    for (size_t i = 0; i < n; i++)
        hash = table_hash(texts[i], strlen(texts[i]) + 1, hash);
    return hash;
}

static uint32_t hash_conditions(const struct match *m)
{
    uint32_t hash = hash_texts(m->processes, m->n_processes, 0);

    hash = hash_texts(m->served_by, m->n_served_by, hash);
    for (size_t i = 0; i < m->n_users; i++)
        hash = table_hash(m->users[i].name, strlen(m->users[i].name) + 1, hash);
    return hash;
}

static bool is_same_sort(const void *context, uint32_t number, const void *key)
{
    const struct sorts *s = context;
    const struct match *a = &s->items[number]->match, *b = key;

    for (int i = 0; i < N_WHERE; i++)
        if (!within(a, b, (enum where)i, true) || !within(b, a, (enum where)i, true))
            return false;
    return true;
}

static void sort_conditions(struct sorts *s, const struct slices *slices)
{
    const struct policy *p = slices->policy;

    s->slices = slices;
    s->of_rule = xcalloc(p->n_rules, sizeof *s->of_rule);
    s->items = xcalloc(p->n_rules, sizeof *s->items);
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct match *m = &p->rules[i].match;
        uint32_t hash = hash_conditions(m);
        uint32_t sort = table_find(&s->table, hash, is_same_sort, s, m);

        if (has_functions(p, m)) {
            s->of_rule[i] = TABLE_NONE;
            s->has_functions = true;
            continue;
        }
        if (sort == TABLE_NONE) {
            sort = (uint32_t)s->n;
            s->items[s->n++] = &p->rules[i];
            table_add(&s->table, hash, sort);
        }
        s->of_rule[i] = sort;
    }
    if (s->n > MAX_SORTS)
        return;
    s->cross = xcalloc(s->n * s->n, 1);
    s->cross_any = xcalloc(s->n, 1);
}

static bool sorts_cross(const struct sorts *s, const struct rule *a, const struct rule *b)
{
    uint32_t x = s->of_rule[a->index], y = s->of_rule[b->index];
    uint8_t *known;

    if (x == TABLE_NONE || y == TABLE_NONE)
        return rules_cross(s->slices, &a->match, &b->match);
    if (x == y)
        return false;
    known = s->cross ? &s->cross[x * s->n + y] : NULL;
    if (!known)
        return rules_cross(s->slices, &a->match, &b->match);
    if (!*known)
        *known = rules_cross(s->slices, &a->match, &b->match) ? 1 : 2;
    return *known == 1;
}

/* Does it cross any rule of another sort, wherever that is? */
static bool crosses_any(const struct sorts *s, const struct rule *r)
{
    uint8_t *known;

    if (!s->cross_any || s->has_functions)
        return true;
    known = &s->cross_any[s->of_rule[r->index]];
    for (size_t i = 0; i < s->n && !*known; i++)
        if (sorts_cross(s, r, s->items[i]))
            *known = 1;
    if (!*known)
        *known = 2;
    return *known == 1;
}

static void sorts_done(struct sorts *s)
{
    free(s->of_rule);
    free(s->items);
    free(s->cross);
    free(s->cross_any);
    table_done(&s->table);
}

/* ---- rules whose ends overlap: asked of groups that share a class ---- */

struct crossing {
    const struct linting *l;
    size_t n_words;
    uint64_t *meets;     /* By group: the groups that share an end with it. */
    uint64_t *from, *to; /* Those that share one with the rule's. */
    uint32_t *seen;      /* By rule: equals the number of the rule asked about, plus 1. */
    size_t n_pairs;
    struct sorts sorts;
};

static void find_meetings(struct crossing *x)
{
    const struct end_classes *k = x->l->cover->classes;

    for (size_t c = 0; c < k->n; c++) {
        const uint64_t *words = k->items[c].end.groups.words;

        for (size_t i = 0; i < x->n_words; i++)
            for (uint64_t left = words[i] & k->matter.words[i]; left; left &= left - 1) {
                size_t group = i * WORD_BITS + (size_t)__builtin_ctzll(left);

                for (size_t j = 0; j < x->n_words; j++)
                    x->meets[group * x->n_words + j] |= words[j];
            }
    }
}

static void mark_near(const struct crossing *x, const struct selector *s, uint64_t *near)
{
    memset(near, s->any ? 0xff : 0, x->n_words * sizeof *near);
    for (size_t i = 0; i < s->n_groups; i++)
        for (size_t j = 0; j < x->n_words; j++)
            near[j] |= x->meets[s->groups[i] * x->n_words + j];
    for (size_t i = 0; i < s->n_groups; i++) /* Even if it has no end. */
        near[s->groups[i] / WORD_BITS] |= UINT64_C(1) << (s->groups[i] % WORD_BITS);
}

static bool is_near(const struct selector *s, const uint64_t *near, bool any)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (near[s->groups[i] / WORD_BITS] >> (s->groups[i] % WORD_BITS) & 1)
            return true;
    return s->any || any;
}

static void check_with(struct crossing *x, const struct rule *a, const struct rule *b)
{
    const struct policy *p = x->l->w->policy;
    bool both = has_condition_elsewhere(p, &b->match);

    if (x->seen[b->index] == a->index + 1)
        return;
    x->seen[b->index] = a->index + 1;
    if (a == b || a->layer != b->layer || (both && b->index < a->index) ||
        !rule_is_alive(b, x->l->w->now_s) || !sorts_cross(&x->sorts, a, b) ||
        ++x->n_pairs > MAX_PAIRS)
        return;
    if (a->layer == LAYER_QUARANTINE && a->match.to.given != b->match.to.given)
        return; /* One is for suspects that send, the other for those that receive. */
    if (!is_near(&b->match.from, x->from, a->match.from.any) ||
        !is_near(&b->match.to, x->to, a->match.to.any))
        return;
    check_pair(x->l, a->index < b->index ? a : b, a->index < b->index ? b : a);
}

static size_t sum_near(const struct lists *rules, const uint64_t *near)
{
    size_t n = list_size(rules, rules->n - 1);

    for (size_t g = 0; g + 1 < rules->n; g++)
        if (near[g / WORD_BITS] >> (g % WORD_BITS) & 1)
            n += list_size(rules, g);
    return n;
}

static void check_near(struct crossing *x, const struct rule *a, const struct lists *rules,
                       const uint64_t *near)
{
    for (size_t g = 0; g < rules->n; g++)
        if (g + 1 == rules->n || near[g / WORD_BITS] >> (g % WORD_BITS) & 1)
            for (uint32_t i = 0; i < list_size(rules, g) && x->n_pairs <= MAX_PAIRS; i++)
                check_with(x, a, &x->l->w->policy->rules[list_items(rules, g)[i]]);
}

static void check_rule(struct crossing *x, const struct rule *a)
{
    const struct end_classes *k = x->l->cover->classes;

    mark_near(x, &a->match.from, x->from);
    mark_near(x, &a->match.to, x->to);
    if (sum_near(&k->from_rules, x->from) < sum_near(&k->to_rules, x->to))
        check_near(x, a, &k->from_rules, x->from);
    else
        check_near(x, a, &k->to_rules, x->to);
}

void lint_cross(const struct linting *l)
{
    const struct policy *p = l->w->policy;
    struct crossing x = {.l = l, .n_words = l->w->n_words};

    for (size_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].layer == LAYER_NEVER && rule_is_alive(&p->rules[i], l->w->now_s))
            check_never(l, &p->rules[i]);
    if (!l->cover)
        return;
    x.meets = xcalloc(p->n_groups * x.n_words, sizeof *x.meets);
    x.from = xcalloc(x.n_words, sizeof *x.from);
    x.to = xcalloc(x.n_words, sizeof *x.to);
    x.seen = xcalloc(p->n_rules, sizeof *x.seen);
    for (size_t i = 0, met = 0; i < p->n_rules && x.n_pairs <= MAX_PAIRS; i++) {
        if (p->rules[i].layer == LAYER_NEVER || !rule_is_alive(&p->rules[i], l->w->now_s) ||
            !has_condition_elsewhere(p, &p->rules[i].match))
            continue;
        if (!met++) {
            sort_conditions(&x.sorts, l->cover->slices);
            find_meetings(&x);
        }
        if (crosses_any(&x.sorts, &p->rules[i]))
            check_rule(&x, &p->rules[i]);
    }
    if (x.n_pairs > MAX_PAIRS)
        lint_unfinished(l, "rules whose conditions cross");
    sorts_done(&x.sorts);
    free(x.meets);
    free(x.from);
    free(x.to);
    free(x.seen);
}
