/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs, asked again without a rule, without some nevers, without a group; see coverage.h. */
#include "core/coverage_proof.h"

#include <errno.h>

#include "core/proof.h"

enum { WORD_BITS = 64 };

struct proving {
    struct coverage *c;
    struct progress *progress;
    const struct world *w;
    struct proof_fact {
        bool holds;
        struct list rules;          /* Of the hops that were found. */
        bool alone;                 /* All found hops are by one rule. */
        bool weak;                  /* It has another result without all nevers. */
        bool lax;                   /* Some found hop is only reported. */
        uint64_t *groups;           /* Of the endpoints on the path; of only-path's first hop. */
    } * facts;                      /* By proof. */
    uint64_t *in_never, *in_except; /* Sets of groups. */
    uint64_t *laxer, *stricter;     /* Those without which some mode is so. */
    int error;
};

static void mark(uint64_t *set, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        set[s->groups[i] / WORD_BITS] |= UINT64_C(1) << (s->groups[i] % WORD_BITS);
}

static bool has(const uint64_t *set, uint32_t group)
{
    return set[group / WORD_BITS] >> (group % WORD_BITS) & 1;
}

static bool names(const struct selector *s, uint32_t group)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (s->groups[i] == group)
            return true;
    return false;
}

static const struct proof *proof_of(const struct proving *v, size_t i)
{
    return &v->w->policy->proofs[i];
}

/* ---- as it is ---- */

static bool is_found_path(const struct proving *v, size_t i)
{
    return proof_of(v, i)->kind != PROOF_ONLY_PATH &&
           v->facts[i].holds == (proof_of(v, i)->kind == PROOF_PATH);
}

/* Only more hops can change it: there is no path, or nobody gets in. */
static bool is_about_absence(const struct proving *v, size_t i)
{
    return proof_of(v, i)->kind == PROOF_ONLY_PATH ? v->facts[i].holds : !is_found_path(v, i);
}

/* What is found stays, as long as its own ends stay in their groups. */
static void mark_end(const struct proving *v, uint64_t *groups, const char *name)
{
    const struct endpoint *e = inventory_endpoint(v->w->inventory, name);
    const struct group_set *s = e ? &v->w->ends[e - v->w->inventory->endpoints].groups : NULL;

    for (size_t i = 0; s && i < v->w->n_words; i++)
        groups[i] |= s->words[i];
}

static void find_facts(struct proving *v, const struct hops *h)
{
    for (size_t i = 0; i < v->w->policy->n_proofs; i++) {
        struct proof_fact *f = &v->facts[i];
        struct proof_result r;

        proof_run(h, proof_of(v, i), &r);
        f->holds = r.holds;
        f->alone = r.n_hops > 0;
        for (size_t k = 0; k < r.n_hops; k++) {
            if (r.hops[k].rule)
                list_add(&f->rules, r.hops[k].rule->index);
            f->lax = f->lax || r.hops[k].reported;
            if (k == 0 || proof_of(v, i)->kind != PROOF_ONLY_PATH) {
                mark_end(v, f->groups, r.hops[k].from);
                mark_end(v, f->groups, r.hops[k].to);
            }
            f->alone = f->alone && r.hops[k].rule && r.hops[k].rule == r.hops[0].rule;
        }
        list_sort(&f->rules);
        proof_result_done(&r);
    }
}

/* ---- asked again in another world ---- */

static bool changes(const struct proving *v, const struct hops *h, size_t i)
{
    struct proof_result r;
    bool changed;

    proof_run(h, &h->world->policy->proofs[i], &r);
    changed = r.holds != v->facts[i].holds;
    proof_result_done(&r);
    return changed;
}

static struct hops *make_hops(struct proving *v, const struct world *w, const struct rule *without)
{
    struct hops *h = NULL;
    int r = hops_new(w, without, &h);

    v->c->n_asked++;
    if (r < 0)
        v->error = r;
    return h;
}

/* ---- grants: only those on a path that was found ---- */

static bool may_miss(const struct proving *v, size_t proof, const struct rule *r)
{
    const struct proof_fact *f = &v->facts[proof];

    return !is_about_absence(v, proof) && list_has(&f->rules, r->index) &&
           (is_found_path(v, proof) || f->alone);
}

static void ask_without_grant(struct proving *v, const struct rule *r)
{
    CLEANUP(hops_freep) struct hops *h = NULL;

    for (size_t i = 0; i < v->w->policy->n_proofs && !v->error; i++) {
        if (!may_miss(v, i, r))
            continue;
        if (!h)
            h = make_hops(v, v->w, r);
        if (h && changes(v, h, i))
            list_add(&v->c->rules[r->index].proofs, (uint32_t)i);
    }
}

/* ---- nevers: by halves ---- */

/* The same world, where some rules have expired. */
struct thinned {
    struct policy policy;
    struct world world;
    struct rule *rules;
};

static void thin(struct thinned *t, const struct world *w, struct list_view without)
{
    t->policy = *w->policy;
    t->world = *w;
    t->rules = xcalloc(t->policy.n_rules, sizeof *t->rules);
    memcpy(t->rules, w->policy->rules, t->policy.n_rules * sizeof *t->rules);
    for (uint32_t i = 0; i < without.n; i++)
        t->rules[without.items[i]].expires_s = INT64_MIN;
    t->policy.rules = t->rules;
    t->world.policy = &t->policy;
}

/* Of these proofs, those that change without all of these nevers; the caller frees the list. */
static struct list changed_without(struct proving *v, struct list_view nevers,
                                   struct list_view proofs)
{
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct list changed = {.n = 0};
    struct thinned t;

    thin(&t, v->w, nevers);
    h = make_hops(v, &t.world, NULL);
    for (uint32_t i = 0; h && i < proofs.n; i++)
        if (changes(v, h, proofs.items[i]))
            list_add(&changed, proofs.items[i]);
    free(t.rules);
    return changed;
}

static struct list_view list_view_of(const struct list *l)
{
    return (struct list_view){l->items, (uint32_t)l->n};
}

/* 'proofs' change without all of 'nevers': which of these are needed?  Halves wait in a list. */
static void search_nevers(struct proving *v, struct list_view nevers, struct list_view proofs)
{
    struct half {
        struct list_view nevers;
        struct list proofs;
    } *halves = NULL;
    size_t n = 0, room = 0;
    struct list first = {.n = 0};

    for (uint32_t i = 0; i < proofs.n; i++)
        list_add(&first, proofs.items[i]);
    GROW(halves, n, room);
    halves[n++] = (struct half){nevers, first};
    while (n) {
        struct half now = halves[--n];
        uint32_t middle = now.nevers.n / 2;

        for (size_t i = 0; now.nevers.n == 1 && i < now.proofs.n; i++)
            list_add(&v->c->rules[now.nevers.items[0]].proofs, now.proofs.items[i]);
        progress_step(v->progress, now.nevers.n == 1);
        for (int right = 0; now.nevers.n > 1 && right < 2 && !v->error; right++) {
            struct list_view part = {now.nevers.items + (right ? middle : 0),
                                     right ? now.nevers.n - middle : middle};
            struct list changed = changed_without(v, part, list_view_of(&now.proofs));

            if (!changed.n) {
                progress_step(v->progress, part.n);
                free(changed.items);
                continue;
            }
            GROW(halves, n, room);
            halves[n++] = (struct half){part, changed};
        }
        free(now.proofs.items);
    }
    free(halves);
}

static void ask_without_nevers(struct proving *v)
{
    const struct policy *p = v->w->policy;
    struct list nevers = {.n = 0}, proofs = {.n = 0}, weak = {.n = 0};

    for (size_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].layer == LAYER_NEVER && rule_is_alive(&p->rules[i], v->w->now_s))
            list_add(&nevers, (uint32_t)i);
    for (size_t i = 0; i < p->n_proofs; i++)
        if (is_about_absence(v, i))
            list_add(&proofs, (uint32_t)i);
    if (nevers.n && proofs.n)
        weak = changed_without(v, list_view_of(&nevers), list_view_of(&proofs));
    for (size_t i = 0; i < weak.n; i++)
        v->facts[weak.items[i]].weak = true;
    if (weak.n)
        search_nevers(v, list_view_of(&nevers), list_view_of(&weak));
    else
        progress_step(v->progress, nevers.n);
    free(nevers.items);
    free(proofs.items);
    free(weak.items);
}

/* ---- groups ---- */

static void find_groups(struct proving *v)
{
    const struct policy *p = v->w->policy;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        if (r->layer != LAYER_NEVER || !rule_is_alive(r, v->w->now_s))
            continue;
        mark(v->in_never, &r->match.from);
        mark(v->in_never, &r->match.to);
        if (r->except) {
            mark(v->in_except, &r->except->from);
            mark(v->in_except, &r->except->to);
        }
    }
}

static bool is_lax(enum mode mode)
{
    return mode == MODE_LEARN || mode == MODE_TEST;
}

/* Between learn and test no hop can tell. */
static void find_modes(struct proving *v, uint64_t *scratch)
{
    const struct policy *p = v->w->policy;

    for (size_t i = 0; i < p->n_modes; i++) {
        uint32_t group = p->modes[i].group;
        uint64_t bit = UINT64_C(1) << (group % WORD_BITS);

        for (size_t k = 0; k < v->w->inventory->n_endpoints; k++) {
            const struct end *e = &v->w->ends[k];
            bool after;

            if (!group_set_has(&e->groups, group))
                continue;
            after = is_lax(coverage_end_without(v->w, e, group, scratch).mode);
            v->laxer[group / WORD_BITS] |= after && !is_lax(e->mode) ? bit : 0;
            v->stricter[group / WORD_BITS] |= !after && is_lax(e->mode) ? bit : 0;
        }
    }
}

static bool is_on_path(const struct proving *v, size_t proof, uint32_t group)
{
    const struct list *rules = &v->facts[proof].rules;

    for (size_t i = 0; i < rules->n; i++) {
        const struct match *m = &v->w->policy->rules[rules->items[i]].match;

        if (names(&m->from, group) || names(&m->to, group))
            return true;
    }
    return false;
}

static bool may_miss_group(const struct proving *v, size_t proof, uint32_t group)
{
    const struct proof *p = proof_of(v, proof);
    bool own = names(&p->from, group) || names(&p->to, group);

    if (v->w->policy->groups[group].kind == GROUP_OUTSIDE)
        return true; /* Its prefixes tell ends apart, whoever names it. */
    if (is_about_absence(v, proof))
        return has(v->laxer, group) || (has(v->in_never, group) && v->facts[proof].weak) ||
               (own && p->kind == PROOF_ONLY_PATH);
    return own || has(v->in_except, group) || (has(v->stricter, group) && v->facts[proof].lax) ||
           is_on_path(v, proof, group);
}

/* An outside group takes its prefixes with it: everything is put together anew. */
static struct world *world_without_outside(struct thinned *t, const struct world *w, uint32_t group,
                                           struct group *groups)
{
    memcpy(groups, w->policy->groups, w->policy->n_groups * sizeof *groups);
    groups[group].kind = GROUP_MEMBERS;
    groups[group].n_prefixes = 0;
    t->policy = *w->policy;
    t->policy.groups = groups;
    return world_new(&t->policy, w->inventory, w->now_s);
}

static void empty_group(struct world *less, const struct world *w, uint32_t group, struct arena *a)
{
    size_t n = w->inventory->n_endpoints;

    *less = *w;
    less->ends = arena_copy(a, w->ends, n, sizeof *w->ends);
    for (size_t i = 0; i < n; i++)
        if (group_set_has(&w->ends[i].groups, group))
            less->ends[i] = coverage_end_without(w, &w->ends[i], group,
                                                 arena_alloc(a, w->n_words, sizeof(uint64_t)));
}

static struct hops *hops_without_group(struct proving *v, uint32_t group, struct arena *a,
                                       struct world **ret_anew)
{
    const struct policy *p = v->w->policy;
    struct thinned *t = arena_alloc(a, 1, sizeof *t);

    if (p->groups[group].kind == GROUP_OUTSIDE) {
        *ret_anew = world_without_outside(t, v->w, group,
                                          arena_alloc(a, p->n_groups, sizeof(struct group)));
        return make_hops(v, *ret_anew, NULL);
    }
    empty_group(&t->world, v->w, group, a);
    return make_hops(v, &t->world, NULL);
}

static void ask_without_group(struct proving *v, uint32_t group)
{
    CLEANUP(arena_freep) struct arena *a = arena_new();
    CLEANUP(world_freep) struct world *anew = NULL;
    CLEANUP(hops_freep) struct hops *h = NULL;

    for (size_t i = 0; i < v->w->policy->n_proofs && !v->error; i++) {
        if (!may_miss_group(v, i, group))
            continue;
        if (!h)
            h = hops_without_group(v, group, a, &anew);
        if (h && changes(v, h, i))
            list_add(&v->c->groups[group].proofs, (uint32_t)i);
    }
}

/* ---- all ---- */

static void ask_all(struct proving *v, uint64_t *scratch)
{
    const struct policy *p = v->w->policy;

    for (size_t i = 0; i < p->n_rules && !v->error; i++) {
        bool is_never = p->rules[i].layer == LAYER_NEVER;

        if (!is_never)
            ask_without_grant(v, &p->rules[i]);
        if (!is_never || !rule_is_alive(&p->rules[i], v->w->now_s))
            progress_step(v->progress, 1); /* The other nevers are asked below. */
    }
    if (!v->error)
        ask_without_nevers(v);
    find_groups(v);
    find_modes(v, scratch);
    for (uint32_t g = 0; g < p->n_groups && !v->error; g++) {
        if (p->groups[g].kind == GROUP_OUTSIDE || v->w->n_members[g])
            ask_without_group(v, g);
        progress_step(v->progress, 1);
    }
}

int coverage_ask_proofs(struct coverage *c, struct progress *progress)
{
    const struct policy *p = c->world->policy;
    CLEANUP(arena_freep) struct arena *a = arena_new();
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct proving v = {.c = c, .progress = progress, .w = c->world};

    if (!p->n_proofs)
        return 0;
    v.facts = arena_alloc(a, p->n_proofs, sizeof *v.facts);
    v.in_never = arena_alloc(a, v.w->n_words, sizeof(uint64_t));
    v.in_except = arena_alloc(a, v.w->n_words, sizeof(uint64_t));
    v.laxer = arena_alloc(a, v.w->n_words, sizeof(uint64_t));
    v.stricter = arena_alloc(a, v.w->n_words, sizeof(uint64_t));
    for (size_t i = 0; i < p->n_proofs; i++)
        v.facts[i].groups = arena_alloc(a, v.w->n_words, sizeof(uint64_t));
    h = make_hops(&v, v.w, NULL);
    if (h) {
        find_facts(&v, h);
        ask_all(&v, arena_alloc(a, v.w->n_words, sizeof(uint64_t)));
    }
    for (size_t i = 0; i < p->n_proofs; i++)
        free(v.facts[i].rules.items);
    return v.error;
}
