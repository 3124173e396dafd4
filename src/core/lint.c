/* SPDX-License-Identifier: Apache-2.0 */
/* Names, groups and days; and the order of the families in core/lint/; see lint.h. */
#include "core/lint.h"

#include "base/buf.h"
#include "base/date.h"
#include "core/lint/linting.h"

enum { NEAREST_SOUGHT = 20 }; /* Each is compared with all endpoints. */

void lint_unfinished(const struct linting *l, const char *what)
{
    struct diagnostic *x =
        diagnostics_add(l->d, CODE_UNFINISHED, NULL, "too much to look for all %s", what);

    diagnostic_expected(x, "rules that overlap less");
}

/* ---- groups ---- */

static void lint_members(const struct linting *l, const struct group *g, size_t *n_unknown)
{
    for (size_t i = 0; i < g->n_members; i++) {
        const struct named *m = &g->members[i];
        struct nearest near = nearest_to(m->name);
        struct diagnostic *x;

        if (inventory_endpoint(l->w->inventory, m->name))
            continue;
        for (size_t k = 0; *n_unknown < NEAREST_SOUGHT && k < l->w->inventory->n_endpoints; k++)
            nearest_offer(&near, l->w->inventory->endpoints[k].name);
        ++*n_unknown;
        x = diagnostics_add(l->d, CODE_UNKNOWN, &m->place, "no endpoint is named \"%s\"", m->name);
        diagnostic_expected(x, "an endpoint of the inventory");
        diagnostic_nearest(x, near.best);
    }
}

static void lint_groups(const struct linting *l)
{
    const struct policy *p = l->w->policy;
    size_t n_unknown = 0;

    for (size_t g = 0; g < p->n_groups; g++) {
        lint_members(l, &p->groups[g], &n_unknown);
        if (p->groups[g].kind != GROUP_OUTSIDE && !l->w->n_members[g]) {
            struct diagnostic *x =
                diagnostics_add(l->d, CODE_EMPTY, &p->groups[g].place,
                                "the group \"%s\" has no endpoint", p->groups[g].name);

            diagnostic_expected(x, "labels or names that some endpoint of the inventory has");
            diagnostic_fix(x,
                           "compare its labels with the inventory; rules of an empty group match "
                           "nothing");
        }
    }
}

/* ---- groups of users ---- */

struct user_groups { /* Sorted. */
    const char **items;
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct user_groups list_user_groups(const struct inventory *inv)
{
    struct user_groups g = {NULL, 0};
    size_t n = 0;

    for (size_t i = 0; i < inv->n_users; i++)
        n += inv->users[i].n_groups;
    g.items = xcalloc(n, sizeof *g.items);
    for (size_t i = 0; i < inv->n_users; i++)
        for (size_t k = 0; k < inv->users[i].n_groups; k++)
            g.items[g.n++] = inv->users[i].groups[k];
    if (n)
        qsort(g.items, n, sizeof *g.items, by_text);
    g.n = 0;
    for (size_t i = 0; i < n; i++)
        if (!g.n || strcmp(g.items[g.n - 1], g.items[i]) != 0)
            g.items[g.n++] = g.items[i];
    return g;
}

static void lint_users(const struct linting *l, const struct match *m, const struct user_groups *g)
{
    for (size_t i = 0; m && i < m->n_users; i++) {
        const char *name = m->users[i].name;
        struct nearest near = nearest_to(name);
        struct diagnostic *x;

        if (!m->users[i].is_group ||
            (g->n && bsearch(&name, g->items, g->n, sizeof *g->items, by_text)))
            continue;
        x = diagnostics_add(l->d, CODE_EMPTY, &m->user_place,
                            "the user group \"@%s\" has no member", name);
        for (size_t k = 0; l->d->n < DIAGNOSTICS_MAX && k < g->n; k++)
            nearest_offer(&near, g->items[k]);
        diagnostic_expected(x, "a group that a user of the inventory is in");
        diagnostic_nearest(x, near.best);
        diagnostic_fix(x, "in the inventory, users: {NAME: {groups: [%s]}}", name);
    }
}

static void lint_user_groups(const struct linting *l)
{
    struct user_groups g = list_user_groups(l->w->inventory);

    for (size_t i = 0; i < l->w->policy->n_rules; i++) {
        lint_users(l, &l->w->policy->rules[i].match, &g);
        lint_users(l, l->w->policy->rules[i].except, &g);
    }
    free(g.items);
}

/* ---- days ---- */

static void lint_expiry(const struct linting *l, const struct rule *r)
{
    char day[DATE_TEXT_SIZE];

    if (rule_is_alive(r, l->w->now_s))
        return;
    diagnostic_fix(diagnostics_add(l->d, CODE_EXPIRED, &r->expires_place,
                                   "\"%s\" expired at the end of %s and no longer matches", r->id,
                                   date_format(r->expires_s - DATE_DAY_S, day)),
                   "ask %s whether it is still needed: give it another day, or delete it",
                   r->owner);
}

/* NULL: too many services, which is told. */
static struct cover *make_cover(const struct world *w, bool has_inventory)
{
    CLEANUP(free_voidp) void *memory = xcalloc(w->policy->n_modes, sizeof(uint32_t));
    uint32_t *groups = memory;
    struct cover *c = NULL;

    for (size_t i = 0; i < w->policy->n_modes; i++)
        groups[i] = w->policy->modes[i].group;
    (void)cover_new(w, has_inventory, groups, (uint32_t)w->policy->n_modes, &c);
    return c;
}

void policy_lint(const struct world *w, bool has_inventory, struct diagnostics *d)
{
    struct linting l = {.w = w, .has_inventory = has_inventory, .d = d};
    const struct policy *p = w->policy;
    size_t n_allow = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        n_allow += p->rules[i].layer == LAYER_ALLOW;
        lint_expiry(&l, &p->rules[i]);
    }
    if (!n_allow)
        (void)diagnostics_add(d, CODE_NO_ALLOW, NULL,
                              "an empty allow list means nothing is "
                              "allowed");
    if (has_inventory) {
        lint_user_groups(&l);
        lint_groups(&l);
    }
    l.cover = make_cover(w, has_inventory);
    lint_widen(&l);
    lint_cross(&l);
    lint_cover(&l);
    lint_wide(&l);
    lint_mode(&l);
    lint_plain(&l);
    cover_free(l.cover);
}
