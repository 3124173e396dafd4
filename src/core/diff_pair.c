/* SPDX-License-Identifier: Apache-2.0 */
/* Representatives of all that rules tell apart, asked of both sides; see diff_pair.h. */
#include "core/diff_pair.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "base/table.h"
#include "core/list.h"
#include "core/slices.h"
#include "core/verdict.h"

enum { SIDES = 2, BEFORE = 0, AFTER = 1 };
#define SOMETHING_ELSE "?" /* No path and no name is written like this. */

enum dimension { PROCESS, USER, SERVED_BY, FUNCTION, DIMENSIONS };

struct texts {
    const char **items;
    size_t n, room;
};

struct answer { /* To one list of rules and kind of ends. */
    uint32_t *key;
    size_t n_key;
    struct diff_found *found;
    size_t n;
};

struct outcome {
    bool differs;
    enum diff_kind kind;
    struct diff_side side[SIDES];
};

struct diff_pairs {
    const struct world *w[SIDES];
    struct end_classes *classes[SIDES];
    struct policy both; /* The services of both sides, one behind the other. */
    struct slices *slices;
    struct arena *arena;

    const struct end *source[SIDES]; /* Whose rules these are. */
    struct list of_source[SIDES];
    struct list rules[SIDES]; /* Of the pair. */
    const struct rule **pointers[SIDES];
    size_t pointers_room[SIDES];
    const struct rule **in_slice[SIDES]; /* Those that may take the slice. */
    size_t n_in_slice[SIDES], in_slice_room[SIDES];
    bool incomplete;
    struct texts values[DIMENSIONS - 1];
    struct list pair_slices;
    struct list key;
    struct outcome *outcomes;
    size_t outcomes_room;
    struct diff_found *found;
    size_t n_found, found_room;
    struct answer *answers;
    size_t n_answers, answers_room;
    struct table index;
};

static void add_text(struct texts *t, const char *s)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->items[i], s) == 0)
            return;
    GROW(t->items, t->n, t->room);
    t->items[t->n++] = s;
}

/* ---- making ---- */

static uint32_t service_base(const struct diff_pairs *p, int side)
{
    return side == AFTER ? (uint32_t)p->w[BEFORE]->policy->n_services : 0;
}

int diff_pairs_new(const struct world *before, const struct world *after, struct diff_pairs **ret_p)
{
    struct diff_pairs *p = xcalloc(1, sizeof *p);
    const struct policy *a = before->policy, *b = after->policy;
    int r;

    p->w[BEFORE] = before;
    p->w[AFTER] = after;
    p->arena = arena_new();
    p->both.n_services = a->n_services + b->n_services;
    p->both.services = arena_alloc(p->arena, p->both.n_services, sizeof *p->both.services);
    for (size_t i = 0; i < p->both.n_services; i++)
        p->both.services[i] = i < a->n_services ? a->services[i] : b->services[i - a->n_services];
    r = slices_new(&p->both, &p->slices);
    if (r < 0) {
        diff_pairs_free(p);
        return r;
    }
    *ret_p = p;
    return 0;
}

void diff_pairs_use(struct diff_pairs *p, struct end_classes *const classes[SIDES])
{
    p->classes[BEFORE] = classes[BEFORE];
    p->classes[AFTER] = classes[AFTER];
}

void diff_pairs_free(struct diff_pairs *p)
{
    if (!p)
        return;
    for (int side = 0; side < SIDES; side++) {
        free(p->of_source[side].items);
        free(p->rules[side].items);
        free(p->pointers[side]);
        free(p->in_slice[side]);
    }
    for (int d = 0; d < FUNCTION; d++)
        free(p->values[d].items);
    for (size_t i = 0; i < p->n_answers; i++) {
        free(p->answers[i].key);
        free(p->answers[i].found);
    }
    free(p->answers);
    table_done(&p->index);
    free(p->pair_slices.items);
    free(p->key.items);
    free(p->outcomes);
    free(p->found);
    slices_free(p->slices);
    arena_free(p->arena);
    free(p);
}

/* ---- rules that have no equal ---- */

static bool same_texts(const char **a, size_t n_a, const char **b, size_t n_b)
{
    for (size_t i = 0; n_a == n_b && i < n_a; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return n_a == n_b;
}

static bool same_selector(const struct policy *p, const struct selector *a, const struct policy *q,
                          const struct selector *b)
{
    if (a->any != b->any || a->given != b->given || a->n_groups != b->n_groups)
        return false;
    for (size_t i = 0; i < a->n_groups; i++)
        if (strcmp(p->groups[a->groups[i]].name, q->groups[b->groups[i]].name) != 0)
            return false;
    return true;
}

static bool same_service(const struct service *a, const struct service *b)
{
    if (a->n_ports != b->n_ports || a->n_modbus != b->n_modbus)
        return false;
    for (size_t i = 0; i < a->n_ports; i++)
        if (a->ports[i].protocol != b->ports[i].protocol || a->ports[i].low != b->ports[i].low ||
            a->ports[i].high != b->ports[i].high)
            return false;
    return a->n_modbus == 0 || memcmp(a->modbus, b->modbus, a->n_modbus) == 0;
}

static bool user_is_in(const struct inventory *inv, const struct user_ref *ref, const char *name)
{
    const struct user *u;

    if (!ref->is_group)
        return strcmp(ref->name, name) == 0;
    u = inventory_user(inv, name);
    for (size_t i = 0; u && i < u->n_groups; i++)
        if (strcmp(u->groups[i], ref->name) == 0)
            return true;
    return false;
}

/* The same people, too. */
static bool same_user_ref(const struct world *a, const struct user_ref *x, const struct world *b,
                          const struct user_ref *y)
{
    const struct inventory *sides[SIDES] = {a->inventory, b->inventory};

    if (x->is_group != y->is_group || strcmp(x->name, y->name) != 0)
        return false;
    for (int side = 0; x->is_group && side < SIDES; side++)
        for (size_t i = 0; i < sides[side]->n_users; i++)
            if (user_is_in(a->inventory, x, sides[side]->users[i].name) !=
                user_is_in(b->inventory, y, sides[side]->users[i].name))
                return false;
    return true;
}

static bool same_match(const struct world *a, const struct match *x, const struct world *b,
                       const struct match *y)
{
    if (!same_selector(a->policy, &x->from, b->policy, &y->from) ||
        !same_selector(a->policy, &x->to, b->policy, &y->to) || x->n_services != y->n_services ||
        x->n_users != y->n_users ||
        !same_texts(x->processes, x->n_processes, y->processes, y->n_processes) ||
        !same_texts(x->served_by, x->n_served_by, y->served_by, y->n_served_by))
        return false;
    for (size_t i = 0; i < x->n_services; i++)
        if (!same_service(&a->policy->services[x->services[i]],
                          &b->policy->services[y->services[i]]))
            return false;
    for (size_t i = 0; i < x->n_users; i++)
        if (!same_user_ref(a, &x->users[i], b, &y->users[i]))
            return false;
    return true;
}

static bool same_rule(const struct world *a, const struct rule *x, const struct world *b,
                      const struct rule *y)
{
    return x->layer == y->layer && !x->accept_weaker == !y->accept_weaker &&
           rule_is_alive(x, a->now_s) == rule_is_alive(y, b->now_s) && !x->except == !y->except &&
           same_match(a, &x->match, b, &y->match) &&
           (!x->except || same_match(a, x->except, b, y->except));
}

struct by_id {
    const char *id;
    const struct rule *rule;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct by_id *)a)->id, ((const struct by_id *)b)->id);
}

bool *diff_pairs_changed_rules(const struct diff_pairs *p, int side)
{
    const struct world *mine = p->w[side], *other = p->w[!side];
    const struct policy *q = other->policy;
    bool *changed = xcalloc(mine->policy->n_rules, sizeof *changed);
    CLEANUP(free_voidp) void *memory = xcalloc(q->n_rules, sizeof(struct by_id));
    struct by_id *ids = memory;

    for (size_t i = 0; i < q->n_rules; i++)
        ids[i] = (struct by_id){q->rules[i].id, &q->rules[i]};
    if (q->n_rules > 1)
        qsort(ids, q->n_rules, sizeof *ids, compare_ids);
    for (size_t i = 0; i < mine->policy->n_rules; i++) {
        const struct rule *r = &mine->policy->rules[i];
        const struct by_id key = {.id = r->id}, *same = NULL;

        if (q->n_rules)
            same = bsearch(&key, ids, q->n_rules, sizeof key, compare_ids);
        changed[i] = !same || !same_rule(mine, r, other, same->rule);
    }
    return changed;
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

static void find_rules(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES])
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

/* All on which the answer depends. */
static void make_key(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES])
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
        uint32_t service = service_base(p, side) + m->services[i];

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
        if (user_is_in(refs[i].inventory, refs[i].ref, user))
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

static void find_slices(struct diff_pairs *p)
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
                                          service_base(p, side) + r->match.services[k]);
            if (!takes)
                continue;
            GROW(p->in_slice[side], p->n_in_slice[side], p->in_slice_room[side]);
            p->in_slice[side][p->n_in_slice[side]++] = r;
        }
    }
}

/* What the rules of the slice tell apart. */
static void collect(struct diff_pairs *p)
{
    struct seen_refs *refs = NULL;
    size_t n_refs = 0, room = 0;

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

/* ---- judging ---- */

static struct diff_side ask(const struct diff_pairs *p, int side, const struct diff_pair_ends *ends,
                            const struct verdict_facts *facts)
{
    struct diff_side s = {.verdict = VERDICT_DENY, .layer = LAYER_DEFAULT};
    struct verdict_answer a;

    if (!ends->from || !ends->to)
        return s;
    a = verdict_judge(p->w[side], ends->from, ends->to, facts, p->in_slice[side],
                      p->n_in_slice[side]);
    return (struct diff_side){a.verdict, a.layer, a.rule, true};
}

static struct outcome compare(const struct diff_side side[SIDES])
{
    const struct diff_side *a = &side[BEFORE], *b = &side[AFTER];
    struct outcome o = {.side = {*a, *b}};

    /* What only the roll-out changes is told by mode; what is not there is not reported either. */
    o.differs =
        a->verdict != b->verdict && !(a->layer == LAYER_DEFAULT && b->layer == LAYER_DEFAULT);
    if (a->verdict == VERDICT_DENY)
        o.kind = DIFF_GAIN;
    else if (b->verdict == VERDICT_DENY)
        o.kind = DIFF_LOSE;
    else
        o.kind = b->verdict == VERDICT_ALLOW ? DIFF_SETTLED : DIFF_REPORTED;
    return o;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->differs != b->differs)
        return false;
    return !a->differs || (a->kind == b->kind && a->side[BEFORE].rule == b->side[BEFORE].rule &&
                           a->side[AFTER].rule == b->side[AFTER].rule);
}

struct grid { /* All combinations for one slice. */
    size_t n[DIMENSIONS], all;
    const uint32_t *functions;
};

static size_t step_of(const struct grid *g, int dimension)
{
    size_t step = 1;

    for (int d = 0; d < dimension; d++)
        step *= g->n[d];
    return step;
}

static size_t coordinate(const struct grid *g, size_t i, int dimension)
{
    return i / step_of(g, dimension) % g->n[dimension];
}

static void fill_grid(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES], uint32_t slice,
                      const struct grid *g)
{
    struct verdict_facts f = {.modbus = -1};

    slices_example(p->slices, slice, &f.protocol, &f.port);
    while (p->outcomes_room < g->all)
        GROW(p->outcomes, p->outcomes_room, p->outcomes_room);
    for (size_t i = 0; i < g->all; i++) {
        struct diff_side side[SIDES];

        f.process = p->values[PROCESS].items[coordinate(g, i, PROCESS)];
        f.user = p->values[USER].items[coordinate(g, i, USER)];
        f.served_by = p->values[SERVED_BY].items[coordinate(g, i, SERVED_BY)];
        f.modbus = (int)g->functions[coordinate(g, i, FUNCTION)];
        for (int s = 0; s < SIDES; s++)
            side[s] = ask(p, s, &ends[s], &f);
        p->outcomes[i] = compare(side);
    }
}

static bool matters(const struct diff_pairs *p, const struct grid *g, int dimension)
{
    size_t step = step_of(g, dimension);

    for (size_t i = 0; i < g->all; i++)
        if (coordinate(g, i, dimension) > 0 &&
            !same_outcome(&p->outcomes[i], &p->outcomes[i - coordinate(g, i, dimension) * step]))
            return true;
    return false;
}

static void judge_slice(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES],
                        uint32_t slice)
{
    struct grid g;
    bool shown[DIMENSIONS];

    find_rules_in_slice(p, slice);
    collect(p);
    g = (struct grid){.n = {p->values[PROCESS].n, p->values[USER].n, p->values[SERVED_BY].n,
                            list_size(&p->slices->functions, slice)},
                      .all = 1,
                      .functions = list_items(&p->slices->functions, slice)};
    for (int d = 0; d < DIMENSIONS; d++) {
        if (g.n[d] > DIFF_MAX_CASES / g.all) {
            p->incomplete = true;
            return;
        }
        g.all *= g.n[d];
    }
    fill_grid(p, ends, slice, &g);
    for (int d = 0; d < DIMENSIONS; d++)
        shown[d] = matters(p, &g, d);
    for (size_t i = 0; i < g.all; i++) {
        const struct outcome *o = &p->outcomes[i];
        bool is_first = true;

        for (int d = 0; d < DIMENSIONS; d++)
            is_first &= shown[d] || coordinate(&g, i, d) == 0;
        if (!o->differs || !is_first)
            continue;
        GROW(p->found, p->n_found, p->found_room);
        p->found[p->n_found++] = (struct diff_found){
            .kind = o->kind,
            .side = {o->side[BEFORE], o->side[AFTER]},
            .process = shown[PROCESS] ? p->values[PROCESS].items[coordinate(&g, i, PROCESS)] : NULL,
            .user = shown[USER] ? p->values[USER].items[coordinate(&g, i, USER)] : NULL,
            .served_by =
                shown[SERVED_BY] ? p->values[SERVED_BY].items[coordinate(&g, i, SERVED_BY)] : NULL,
            .modbus = shown[FUNCTION] ? (int)g.functions[coordinate(&g, i, FUNCTION)] : -1,
            .slice = slice};
    }
}

static bool is_answer(const void *context, uint32_t number, const void *key)
{
    const struct answer *a = &((const struct diff_pairs *)context)->answers[number];
    const struct list *k = key;

    return a->n_key == k->n && memcmp(a->key, k->items, k->n * sizeof *k->items) == 0;
}

static int by_found(const void *a_, const void *b_)
{
    const struct diff_found *a = a_, *b = b_;
    uint32_t x = diff_found_hash(a), y = diff_found_hash(b);

    if (x != y)
        return x > y ? 1 : -1;
    return (a->slice > b->slice) - (a->slice < b->slice);
}

size_t diff_pairs_judge(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES],
                        const struct diff_found **ret_found)
{
    uint32_t hash, number;
    struct answer *a;

    find_rules(p, ends);
    make_key(p, ends);
    hash = table_hash(p->key.items, p->key.n * sizeof *p->key.items, 0);
    number = table_find(&p->index, hash, is_answer, p, &p->key);
    if (number == TABLE_NONE) {
        find_slices(p);
        p->n_found = 0;
        for (size_t i = 0; i < p->pair_slices.n; i++)
            judge_slice(p, ends, p->pair_slices.items[i]);
        if (p->n_found > 1)
            qsort(p->found, p->n_found, sizeof *p->found, by_found);
        GROW(p->answers, p->n_answers, p->answers_room);
        number = (uint32_t)p->n_answers++;
        a = &p->answers[number];
        *a = (struct answer){.n_key = p->key.n, .n = p->n_found};
        a->key = xreallocarray(NULL, p->key.n, sizeof *a->key);
        memcpy(a->key, p->key.items, p->key.n * sizeof *a->key);
        a->found = xcalloc(p->n_found, sizeof *a->found);
        if (p->n_found)
            memcpy(a->found, p->found, p->n_found * sizeof *a->found);
        table_add(&p->index, hash, number);
    }
    a = &p->answers[number];
    *ret_found = a->found;
    return a->n;
}

bool diff_pairs_incomplete(const struct diff_pairs *p)
{
    return p->incomplete;
}

/* ---- changes that mean the same ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool diff_found_same(const struct diff_found *a, const struct diff_found *b)
{
    for (int side = 0; side < SIDES; side++)
        if (a->side[side].rule != b->side[side].rule ||
            a->side[side].layer != b->side[side].layer ||
            a->side[side].verdict != b->side[side].verdict ||
            a->side[side].exists != b->side[side].exists)
            return false;
    return a->kind == b->kind && same_text(a->process, b->process) && same_text(a->user, b->user) &&
           same_text(a->served_by, b->served_by) && a->modbus == b->modbus;
}

uint32_t diff_found_hash(const struct diff_found *f)
{
    const struct rule *a = f->side[BEFORE].rule, *b = f->side[AFTER].rule;
    const uint32_t numbers[] = {f->kind,
                                a ? a->index + 1 : 0,
                                b ? b->index + 1 : 0,
                                f->side[BEFORE].layer,
                                f->side[AFTER].layer,
                                (uint32_t)f->modbus};
    const char *const texts[] = {f->process, f->user, f->served_by};
    uint32_t hash = table_hash(numbers, sizeof numbers, 0);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        hash = table_hash(texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) : 0, hash);
    return hash;
}

/* ---- what slices are called ---- */

static bool has_all(const struct lists *of_service, uint32_t service, const bool *in)
{
    for (uint32_t i = 0; i < list_size(of_service, service); i++)
        if (!in[list_items(of_service, service)[i]])
            return false;
    return list_size(of_service, service) > 0;
}

static void add_service(struct arena *arena, struct diff_change *c, const char *name)
{
    c->services[c->n_services++] = arena_text(arena, name, strlen(name));
}

static void name_by_rule(const struct diff_pairs *p, int side, const struct rule *r,
                         struct arena *arena, const bool *in, bool *left, struct diff_change *c)
{
    for (size_t i = 0; r && i < r->match.n_services; i++) {
        uint32_t service = service_base(p, side) + r->match.services[i];
        bool is_new = false;

        if (!has_all(&p->slices->of_service, service, in))
            continue;
        for (uint32_t k = 0; k < list_size(&p->slices->of_service, service); k++) {
            bool *x = &left[list_items(&p->slices->of_service, service)[k]];

            is_new |= *x;
            *x = false;
        }
        if (is_new)
            add_service(arena, c, p->both.services[service].name);
    }
}

void diff_pairs_services(const struct diff_pairs *p, const uint32_t slices[], size_t n,
                         struct arena *arena, struct diff_change *c)
{
    CLEANUP(free_voidp) bool *in = xcalloc(p->slices->n, sizeof *in);
    CLEANUP(free_voidp) bool *left = xcalloc(p->slices->n, sizeof *left);
    static const char *const protocols[] = {
        [IPPROTO_ICMP] = "icmp", [IPPROTO_TCP] = "tcp", [IPPROTO_UDP] = "udp"};

    for (size_t i = 0; i < n; i++)
        in[slices[i]] = left[slices[i]] = true;
    c->other_services = in[0];
    c->services = arena_alloc(arena, p->both.n_services + p->slices->n_ranges, sizeof(char *));
    name_by_rule(p, AFTER, c->after.rule, arena, in, left, c);
    name_by_rule(p, BEFORE, c->before.rule, arena, in, left, c);
    for (size_t i = 0; i < p->slices->n_ranges; i++) {
        const struct slice_range *r = &p->slices->ranges[i];
        struct buf b = BUF_INIT;

        if (!left[r->slice])
            continue;
        buf_printf(&b, "%s/%u", protocols[r->protocol], r->low);
        if (r->high > r->low)
            buf_printf(&b, "-%u", r->high);
        add_service(arena, c, buf_str(&b));
        buf_done(&b);
    }
}
