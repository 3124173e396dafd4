/* SPDX-License-Identifier: Apache-2.0 */
/* Joint classes of both sides, pairs that may differ, verdicts of both; see diff.h. */
#include "core/diff.h"

#include <errno.h>
#include <stdio.h>

#include "base/table.h"
#include "core/classes.h"
#include "core/diff_pair.h"
#include "core/list.h"
#include "core/outside.h"
#include "core/rule_changes.h"
#include "core/slices.h"

enum { SIDES = 2, BEFORE = 0, AFTER = 1 };
#define NOBODY UINT32_MAX

struct joint {             /* Ends that neither side tells apart. */
    uint32_t class[SIDES]; /* NOBODY: not there. */
    bool changed;
    struct list members; /* Indices of names; of the outside, only how many. */
    uint32_t n_outside;
};

struct pair_list { /* source << 32 | destination */
    uint64_t *items;
    size_t n, room;
};

struct comparing {
    struct diff *d;
    const struct world *w[SIDES];
    struct end_classes *classes[SIDES];
    struct lists joints_of[SIDES]; /* Of each class. */
    struct joint *joints;
    size_t n_joints, joints_room;
    struct table index;
    bool *rule_changed[SIDES];
    struct pair_list pairs;
    struct diff_pairs *judge;
    struct building {
        struct diff_found *key;
        uint32_t suspects;
        struct list from, to, slices; /* Joints, and slices. */
        uint64_t pairs, last;         /* The last pair counted. */
    } * building;
    size_t n_building, building_room;
    struct table built;
};

/* ---- joint classes ---- */

static bool is_joint(const void *context, uint32_t number, const void *key)
{
    const struct comparing *k = context;

    return memcmp(k->joints[number].class, key, sizeof k->joints[number].class) == 0;
}

static struct joint *find_joint(struct comparing *k, uint32_t before, uint32_t after)
{
    const uint32_t class[SIDES] = {before, after};
    uint32_t hash = table_hash(class, sizeof class, 0);
    uint32_t number = table_find(&k->index, hash, is_joint, k, class);

    if (number != TABLE_NONE)
        return &k->joints[number];
    GROW(k->joints, k->n_joints, k->joints_room);
    k->joints[k->n_joints] = (struct joint){.class = {before, after}};
    table_add(&k->index, hash, (uint32_t)k->n_joints);
    return &k->joints[k->n_joints++];
}

/* Endpoints of both inventories, which are sorted by name. */
static void join_endpoints(struct comparing *k)
{
    const struct inventory *a = k->w[BEFORE]->inventory, *b = k->w[AFTER]->inventory;
    struct diff *d = k->d;
    size_t i = 0, j = 0, n = a->n_endpoints + b->n_endpoints;

    d->names = arena_alloc(d->arena, n, sizeof *d->names);
    d->added = arena_alloc(d->arena, n, sizeof *d->added);
    d->removed = arena_alloc(d->arena, n, sizeof *d->removed);
    while (i < a->n_endpoints || j < b->n_endpoints) {
        int c = i == a->n_endpoints   ? 1
                : j == b->n_endpoints ? -1
                                      : strcmp(a->endpoints[i].name, b->endpoints[j].name);
        uint32_t name = (uint32_t)d->n_names++;

        d->names[name] = c <= 0 ? a->endpoints[i].name : b->endpoints[j].name;
        if (c < 0)
            d->removed[d->n_removed++] = name;
        if (c > 0)
            d->added[d->n_added++] = name;
        list_add(&find_joint(k, c <= 0 ? k->classes[BEFORE]->of_endpoint[i] : NOBODY,
                             c >= 0 ? k->classes[AFTER]->of_endpoint[j] : NOBODY)
                      ->members,
                 name);
        i += c <= 0;
        j += c >= 0;
    }
}

/* The class of the smallest range that holds the whole prefix. */
static uint32_t class_around(const struct comparing *k, int side, const struct prefix *p)
{
    const struct world *w = k->w[side];
    size_t best = 0;

    for (size_t i = 1; i < w->n_outside; i++) {
        const struct prefix *x = &w->outside[i].prefix;

        if (x->length <= p->length && x->length >= w->outside[best].prefix.length &&
            address_in_prefix(&p->address, &x->address, x->length))
            best = i;
    }
    return k->classes[side]->of_outside[best];
}

static void join_outside(struct comparing *k)
{
    CLEANUP(outside_done) struct outside cut = {.prefixes = NULL};
    CLEANUP(free_voidp) void *memory = NULL;
    struct outside_prefix *all;
    size_t n = 0;

    memory = xcalloc(k->w[BEFORE]->n_outside + k->w[AFTER]->n_outside, sizeof *all);
    all = memory;
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < k->w[side]->n_outside; i++)
            all[n++] = (struct outside_prefix){k->w[side]->outside[i].prefix, OUTSIDE_NO_GROUP};
    cut = outside_cut(all, n);
    for (size_t i = 0; i < cut.n_nodes; i++)
        find_joint(k, class_around(k, BEFORE, &cut.nodes[i].prefix),
                   class_around(k, AFTER, &cut.nodes[i].prefix))
            ->n_outside++;
}

static void list_joints(struct comparing *k)
{
    for (int side = 0; side < SIDES; side++) {
        struct lists *l = &k->joints_of[side];

        *l = lists_new(k->d->arena, k->classes[side]->n);
        for (size_t i = 0; i < k->n_joints; i++)
            if (k->joints[i].class[side] != NOBODY)
                list_count(l, k->joints[i].class[side]);
        lists_place(k->d->arena, l);
        for (size_t i = 0; i < k->n_joints; i++)
            if (k->joints[i].class[side] != NOBODY)
                list_put(l, k->joints[i].class[side], (uint32_t)i);
        lists_done(l);
    }
}

/* ---- ends that changed ---- */

static const struct end *end_of(const struct comparing *k, uint32_t joint, int side)
{
    uint32_t class = k->joints[joint].class[side];

    return class == NOBODY ? NULL : &k->classes[side]->items[class].end;
}

/* Each group of the old policy, as the new one numbers it. */
static uint32_t *map_groups(const struct comparing *k)
{
    const struct policy *a = k->w[BEFORE]->policy, *b = k->w[AFTER]->policy;
    uint32_t *map = xcalloc(a->n_groups, sizeof *map);

    for (size_t g = 0; g < a->n_groups; g++) {
        const struct group *same = policy_group(b, a->groups[g].name);

        map[g] = same ? (uint32_t)(same - b->groups) : NOBODY;
    }
    return map;
}

/* Groups that matter to one side only are named by changed rules alone. */
static bool has_other_groups(const struct comparing *k, const uint32_t *map, const struct end *a,
                             const struct end *b)
{
    const struct end_classes *ca = k->classes[BEFORE], *cb = k->classes[AFTER];

    for (uint32_t g = 0; g < k->w[BEFORE]->policy->n_groups; g++)
        if (map[g] != NOBODY && group_set_has(&ca->matter, g) &&
            group_set_has(&cb->matter, map[g]) &&
            group_set_has(&a->groups, g) != group_set_has(&b->groups, map[g]))
            return true;
    return false;
}

static bool changes_suspicion(const struct end *a, const struct end *b)
{
    return a && b && (a->trust == TRUST_BLACK) != (b->trust == TRUST_BLACK);
}

static void find_changed_ends(struct comparing *k)
{
    CLEANUP(free_voidp) uint32_t *map = map_groups(k);

    for (uint32_t i = 0; i < k->n_joints; i++) {
        const struct end *a = end_of(k, i, BEFORE), *b = end_of(k, i, AFTER);

        k->joints[i].changed = !a || !b || a->enforcers != b->enforcers ||
                               changes_suspicion(a, b) || has_other_groups(k, map, a, b);
    }
}

static int by_mode(const void *a_, const void *b_)
{
    const struct diff_mode *a = a_, *b = b_;

    if (a->before != b->before)
        return a->before > b->before ? 1 : -1;
    if (a->after != b->after)
        return a->after > b->after ? 1 : -1;
    return (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}

static void find_modes(struct comparing *k)
{
    struct diff *d = k->d;

    d->modes = arena_alloc(d->arena, d->n_names, sizeof *d->modes);
    for (uint32_t i = 0; i < k->n_joints; i++) {
        const struct end *a = end_of(k, i, BEFORE), *b = end_of(k, i, AFTER);

        if (!a || !b || a->mode == b->mode)
            continue;
        for (size_t m = 0; m < k->joints[i].members.n; m++)
            d->modes[d->n_modes++] =
                (struct diff_mode){k->joints[i].members.items[m], a->mode, b->mode};
    }
    if (d->n_modes > 1)
        qsort(d->modes, d->n_modes, sizeof *d->modes, by_mode);
}

/* ---- pairs that may differ ---- */

static void add_pair(struct comparing *k, uint32_t from, uint32_t to)
{
    if (k->pairs.n == DIFF_MAX_PAIRS) {
        k->d->incomplete = true;
        return;
    }
    GROW(k->pairs.items, k->pairs.n, k->pairs.room);
    k->pairs.items[k->pairs.n++] = (uint64_t)from << 32 | to;
}

static void list_taken(const struct comparing *k, int side, const struct selector *s,
                       struct list *to)
{
    const struct end_classes *c = k->classes[side];
    size_t n_groups = k->w[side]->policy->n_groups;

    to->n = 0;
    for (size_t g = 0; g < (s->any ? 1 : s->n_groups); g++) {
        size_t group = s->any ? n_groups : s->groups[g];

        for (uint32_t i = 0; i < list_size(&c->of_group, group); i++) {
            uint32_t class = list_items(&c->of_group, group)[i];

            for (uint32_t j = 0; j < list_size(&k->joints_of[side], class); j++)
                list_add(to, list_items(&k->joints_of[side], class)[j]);
        }
    }
    list_sort(to);
}

static void add_rule_pairs(struct comparing *k, int side, const struct rule *r, bool all)
{
    struct list from = {.n = 0}, to = {.n = 0};

    list_taken(k, side, &r->match.from, &from);
    list_taken(k, side, &r->match.to, &to);
    for (size_t i = 0; i < from.n && !k->d->incomplete; i++)
        for (size_t j = 0; j < to.n && !k->d->incomplete; j++)
            if (all || k->joints[from.items[i]].changed || k->joints[to.items[j]].changed)
                add_pair(k, from.items[i], to.items[j]);
    free(from.items);
    free(to.items);
}

static bool takes_changed(const struct comparing *k, int side, const struct selector *s)
{
    for (uint32_t i = 0; i < k->n_joints; i++) {
        const struct end *e = k->joints[i].changed ? end_of(k, i, side) : NULL;

        if (e && selector_takes(s, e))
            return true;
    }
    return false;
}

/* What a suspect does is denied where the default only reported it, without any rule. */
static void add_suspect_pairs(struct comparing *k)
{
    for (uint32_t i = 0; i < k->n_joints; i++) {
        if (!changes_suspicion(end_of(k, i, BEFORE), end_of(k, i, AFTER)))
            continue;
        for (uint32_t j = 0; j < k->n_joints && !k->d->incomplete; j++) {
            add_pair(k, i, j);
            add_pair(k, j, i);
        }
    }
}

static int by_pair(const void *a_, const void *b_)
{
    uint64_t a = *(const uint64_t *)a_, b = *(const uint64_t *)b_;

    return (a > b) - (a < b);
}

static void find_pairs(struct comparing *k)
{
    size_t kept = 0;
    bool any_changed = false;

    for (uint32_t i = 0; i < k->n_joints; i++)
        any_changed |= k->joints[i].changed;
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < k->w[side]->policy->n_rules; i++) {
            const struct rule *r = &k->w[side]->policy->rules[i];

            if (!rule_is_alive(r, k->w[side]->now_s))
                continue;
            if (k->rule_changed[side][i])
                add_rule_pairs(k, side, r, true);
            else if (any_changed && (takes_changed(k, side, &r->match.from) ||
                                     takes_changed(k, side, &r->match.to)))
                add_rule_pairs(k, side, r, false);
        }
    add_suspect_pairs(k);
    if (k->pairs.n > 1)
        qsort(k->pairs.items, k->pairs.n, sizeof *k->pairs.items, by_pair);
    for (size_t i = 0; i < k->pairs.n; i++)
        if (!kept || k->pairs.items[kept - 1] != k->pairs.items[i])
            k->pairs.items[kept++] = k->pairs.items[i];
    k->pairs.n = kept;
}

/* ---- changes that mean the same are one ---- */

struct building_key {
    const struct diff_found *found;
    uint32_t suspects;
};

static bool is_built(const void *context, uint32_t number, const void *key_)
{
    const struct comparing *k = context;
    const struct building_key *key = key_;

    return k->building[number].suspects == key->suspects &&
           diff_found_same(k->building[number].key, key->found);
}

/* Which ends are suspects, so that what one does and what is done to it are two changes. */
static uint32_t suspects_of(const struct comparing *k, uint32_t from, uint32_t to)
{
    uint32_t suspects = 0;

    for (int side = 0; side < SIDES; side++) {
        const struct end *ends[] = {end_of(k, from, side), end_of(k, to, side)};

        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
            suspects = suspects << 1 | (ends[i] && ends[i]->trust == TRUST_BLACK);
    }
    return suspects;
}

static uint32_t find_building(struct comparing *k, const struct diff_found *f, uint32_t suspects)
{
    const struct building_key key = {f, suspects};
    uint32_t hash = diff_found_hash(f) + suspects;
    uint32_t number = table_find(&k->built, hash, is_built, k, &key);

    if (number != TABLE_NONE)
        return number;
    GROW(k->building, k->n_building, k->building_room);
    k->building[k->n_building] =
        (struct building){.key = arena_copy(k->d->arena, f, 1, sizeof *f), .suspects = suspects};
    table_add(&k->built, hash, (uint32_t)k->n_building);
    return (uint32_t)k->n_building++;
}

static uint64_t count_of(const struct joint *j)
{
    return j->members.n + j->n_outside;
}

/* Distinct ends, not an endpoint with itself; what outsiders do among themselves is not policy's
 * subject. */
static uint64_t count_pairs(const struct comparing *k, uint32_t from, uint32_t to)
{
    uint64_t n = !k->joints[from].members.n && !k->joints[to].members.n
                     ? 0
                     : count_of(&k->joints[from]) * count_of(&k->joints[to]);

    return from == to ? n - k->joints[from].members.n : n;
}

static void judge_pair(struct comparing *k, uint32_t from, uint32_t to)
{
    const struct diff_found *found;
    uint64_t pairs = count_pairs(k, from, to);
    const uint64_t here = (uint64_t)from << 32 | to;
    size_t n;

    if (!pairs)
        return;
    n = diff_pairs_judge(
        k->judge,
        (const struct diff_pair_ends[SIDES]){{end_of(k, from, BEFORE), end_of(k, to, BEFORE)},
                                             {end_of(k, from, AFTER), end_of(k, to, AFTER)}},
        &found);
    for (size_t i = 0; i < n; i++) {
        uint32_t number = find_building(k, &found[i], suspects_of(k, from, to));
        struct building *b = &k->building[number];

        list_add(&b->slices, found[i].slice);
        if (b->from.n && b->last == here)
            continue; /* Another slice of the same change. */
        list_add(&b->from, from);
        list_add(&b->to, to);
        b->pairs += pairs;
        b->last = here;
    }
}

static struct diff_ends ends_of(struct comparing *k, struct list *joints)
{
    struct list all = {.n = 0};
    struct diff_ends e = {.endpoints = NULL};

    list_sort(joints);
    for (size_t i = 0; i < joints->n; i++) {
        const struct joint *j = &k->joints[joints->items[i]];

        for (size_t m = 0; m < j->members.n; m++)
            list_add(&all, j->members.items[m]);
        e.n_outside += j->n_outside;
    }
    list_sort(&all);
    e.endpoints = arena_copy(k->d->arena, all.items, all.n, sizeof *all.items);
    e.n_endpoints = all.n;
    free(all.items);
    return e;
}

static int by_change(const void *a_, const void *b_)
{
    const struct diff_change *a = a_, *b = b_;
    const struct rule *x = a->after.rule ? a->after.rule : a->before.rule;
    const struct rule *y = b->after.rule ? b->after.rule : b->before.rule;
    int c;

    if (a->kind != b->kind)
        return a->kind > b->kind ? 1 : -1;
    c = strcmp(x ? x->id : "", y ? y->id : "");
    if (c)
        return c;
    return a->pairs < b->pairs ? 1 : a->pairs > b->pairs ? -1 : 0;
}

static void finish(struct comparing *k)
{
    struct diff *d = k->d;

    d->changes = arena_alloc(d->arena, k->n_building, sizeof *d->changes);
    for (size_t i = 0; i < k->n_building; i++) {
        struct building *b = &k->building[i];
        struct diff_change *c = &d->changes[d->n_changes++];

        *c = (struct diff_change){.kind = b->key->kind,
                                  .before = b->key->side[BEFORE],
                                  .after = b->key->side[AFTER],
                                  .process = b->key->process,
                                  .user = b->key->user,
                                  .served_by = b->key->served_by,
                                  .modbus = b->key->modbus,
                                  .pairs = b->pairs};
        c->from = ends_of(k, &b->from);
        c->to = ends_of(k, &b->to);
        list_sort(&b->slices);
        diff_pairs_services(k->judge, b->slices.items, b->slices.n, d->arena, c);
    }
    if (d->n_changes > 1)
        qsort(d->changes, d->n_changes, sizeof *d->changes, by_change);
    d->pairs_judged = k->pairs.n;
}

static void comparing_done(struct comparing *k)
{
    for (size_t i = 0; i < k->n_joints; i++)
        free(k->joints[i].members.items);
    for (size_t i = 0; i < k->n_building; i++) {
        free(k->building[i].from.items);
        free(k->building[i].to.items);
        free(k->building[i].slices.items);
    }
    free(k->joints);
    free(k->building);
    free(k->pairs.items);
    table_done(&k->index);
    table_done(&k->built);
    for (int side = 0; side < SIDES; side++) {
        end_classes_free(k->classes[side]);
        free(k->rule_changed[side]);
    }
    diff_pairs_free(k->judge);
}

int diff_new(const struct world *before, const struct world *after, struct diff **ret_d)
{
    CLEANUP(diff_freep) struct diff *d = NULL;
    CLEANUP(comparing_done) struct comparing k = {.w = {before, after}};
    struct arena *arena = arena_new();
    int r;

    d = arena_alloc(arena, 1, sizeof *d);
    d->arena = arena;
    k.d = d;
    r = diff_pairs_new(before, after, &k.judge);
    if (r < 0)
        return r;
    for (int side = 0; side < SIDES; side++) {
        k.classes[side] = end_classes_new(k.w[side], NULL, 0);
        k.rule_changed[side] = rule_changes(k.w[side], k.w[!side]);
    }
    diff_pairs_use(k.judge, k.classes);
    join_endpoints(&k);
    join_outside(&k);
    list_joints(&k);
    find_changed_ends(&k);
    find_modes(&k);
    find_pairs(&k);
    for (size_t i = 0; i < k.pairs.n; i++)
        judge_pair(&k, (uint32_t)(k.pairs.items[i] >> 32), (uint32_t)k.pairs.items[i]);
    d->incomplete |= diff_pairs_incomplete(k.judge);
    finish(&k);
    *ret_d = TAKE_PTR(d);
    return 0;
}

void diff_free(struct diff *d)
{
    if (d)
        arena_free(d->arena);
}

const char *diff_kind_name(enum diff_kind kind)
{
    static const char *const names[] = {"gain", "lose", "reported", "settled"};

    return names[kind];
}
