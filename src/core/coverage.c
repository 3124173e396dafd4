/* SPDX-License-Identifier: Apache-2.0 */
/* Tests, and what nothing notices; see coverage.h. */
#include "core/coverage.h"

#include "core/coverage_proof.h"
#include "core/tests.h"

enum { WORD_BITS = 64 };

/* ---- without a group ---- */

static enum mode mode_without(const struct world *w, const struct group_set *groups)
{
    enum mode mode = MODE_NONE;

    for (size_t i = 0; i < w->policy->n_modes; i++)
        if (w->policy->modes[i].mode > mode && group_set_has(groups, w->policy->modes[i].group))
            mode = w->policy->modes[i].mode;
    return mode == MODE_NONE ? w->policy->default_mode : mode;
}

struct end coverage_end_without(const struct world *w, const struct end *e, uint32_t group,
                                uint64_t *words)
{
    struct end less = *e;

    memcpy(words, e->groups.words, w->n_words * sizeof *words);
    words[group / WORD_BITS] &= ~(UINT64_C(1) << (group % WORD_BITS));
    less.groups.words = words;
    if (e->endpoint)
        less.mode = mode_without(w, &less.groups);
    return less;
}

/* ---- tests ---- */

static void ask_without_rules(struct coverage *c, const struct test_run *t, size_t test)
{
    const struct policy *p = c->world->policy;
    struct list deciders = {.n = 0};
    bool holds = test_run_holds(t, NULL, &t->from, &t->to, &deciders);

    for (size_t i = 0; i < deciders.n; i++)
        if (test_run_holds(t, &p->rules[deciders.items[i]], &t->from, &t->to, NULL) != holds)
            list_add(&c->rules[deciders.items[i]].tests, (uint32_t)test);
    free(deciders.items);
}

static void ask_without_groups(struct coverage *c, const struct test_run *t, size_t test)
{
    const struct world *w = c->world;
    CLEANUP(free_voidp) void *from_memory = xcalloc(w->n_words, sizeof(uint64_t));
    CLEANUP(free_voidp) void *to_memory = xcalloc(w->n_words, sizeof(uint64_t));
    bool holds = test_run_holds(t, NULL, &t->from, &t->to, NULL);

    for (size_t i = 0; i < w->n_words; i++)
        for (uint64_t left = t->from.groups.words[i] | t->to.groups.words[i]; left;
             left &= left - 1) {
            uint32_t group = (uint32_t)(i * WORD_BITS) + (uint32_t)__builtin_ctzll(left);
            struct end from = coverage_end_without(w, &t->from, group, from_memory);
            struct end to = coverage_end_without(w, &t->to, group, to_memory);

            if (test_run_holds(t, NULL, &from, &to, NULL) != holds)
                list_add(&c->groups[group].tests, (uint32_t)test);
        }
}

static void ask_tests(struct coverage *c, struct progress *p)
{
    for (size_t i = 0; i < c->world->policy->n_tests; i++) {
        struct test_run t;

        progress_step(p, 1);
        if (!test_run_init(&t, c->world, i))
            continue; /* It fails, whatever is there. */
        ask_without_rules(c, &t, i);
        ask_without_groups(c, &t, i);
        test_run_done(&t);
    }
}

/* ---- the whole ---- */

static void judge(struct coverage *c, struct coverage_item *item, enum coverage_state if_nothing)
{
    list_sort(&item->tests);
    list_sort(&item->proofs);
    item->state = if_nothing != COVERAGE_UNNOTICED  ? if_nothing
                  : item->tests.n || item->proofs.n ? COVERAGE_NOTICED
                                                    : COVERAGE_UNNOTICED;
    c->n_counted += item->state == COVERAGE_NOTICED || item->state == COVERAGE_UNNOTICED;
    c->n_noticed += item->state == COVERAGE_NOTICED;
}

int coverage_new(const struct world *w, struct progress *progress, struct coverage **ret_c)
{
    CLEANUP(coverage_freep) struct coverage *c = xcalloc(1, sizeof *c);
    const struct policy *p = w->policy;
    int r;

    c->world = w;
    c->n_rules = p->n_rules;
    c->n_groups = p->n_groups;
    c->rules = xcalloc(p->n_rules, sizeof *c->rules);
    c->groups = xcalloc(p->n_groups, sizeof *c->groups);
    progress_expect(progress, p->n_tests + (p->n_proofs ? p->n_rules + p->n_groups : 0));
    ask_tests(c, progress);
    r = coverage_ask_proofs(c, progress);
    if (r < 0)
        return r;
    for (size_t i = 0; i < p->n_rules; i++)
        judge(c, &c->rules[i],
              rule_is_alive(&p->rules[i], w->now_s) ? COVERAGE_UNNOTICED : COVERAGE_EXPIRED);
    for (size_t g = 0; g < p->n_groups; g++)
        judge(c, &c->groups[g],
              p->groups[g].kind == GROUP_OUTSIDE || w->n_members[g] ? COVERAGE_UNNOTICED
                                                                    : COVERAGE_EMPTY);
    *ret_c = TAKE_PTR(c);
    return 0;
}

static void items_free(struct coverage_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(items[i].tests.items);
        free(items[i].proofs.items);
    }
    free(items);
}

void coverage_free(struct coverage *c)
{
    if (!c)
        return;
    items_free(c->rules, c->n_rules); /* The world may be gone by now. */
    items_free(c->groups, c->n_groups);
    free(c);
}

void coverage_report(const struct coverage *c, struct diagnostics *d)
{
    const struct policy *p = c->world->policy;

    for (size_t i = 0; i < p->n_rules; i++) {
        struct diagnostic *x;

        if (c->rules[i].state != COVERAGE_UNNOTICED)
            continue;
        x = diagnostics_add(d, CODE_UNTESTED, &p->rules[i].place,
                            "no test or proof notices when \"%s\" is deleted", p->rules[i].id);
        diagnostic_expected(x, "a test or proof that then has another result");
        diagnostic_fix(x, "write a test with by: %s, or delete the rule", p->rules[i].id);
    }
    for (size_t g = 0; g < p->n_groups; g++) {
        struct diagnostic *x;

        if (c->groups[g].state != COVERAGE_UNNOTICED)
            continue;
        x = diagnostics_add(d, CODE_UNTESTED, &p->groups[g].place,
                            "no test or proof notices when the group \"%s\" matches nothing",
                            p->groups[g].name);
        diagnostic_expected(x, "a test or proof that then has another result");
        diagnostic_fix(x, "write a test with one of its ends where a rule that names it decides, "
                          "or a path from or to it");
    }
}
