/* SPDX-License-Identifier: Apache-2.0 */
/* Findings that need the whole policy, and mostly an inventory; see lint.h. */
#include "core/lint.h"

#include "base/buf.h"
#include "base/date.h"
#include "core/verdict.h"

/* What the endpoints of a group lack; one pass over the inventory instead of one for each rule. */
struct lacking {
    uint32_t n_host, n_edge;
    const struct endpoint *host, *edge; /* The first of them; NULL: none. */
};

struct linting {
    const struct world *w;
    struct diagnostics *d;
    struct lacking *groups; /* By group. */
    struct lacking all;     /* Of all endpoints. */
};

static void count_lacking(struct lacking *l, const struct endpoint *e)
{
    if (!(e->enforcers & ENFORCER_HOST) && !l->n_host++)
        l->host = e;
    if (!(e->enforcers & ENFORCER_EDGE) && !l->n_edge++)
        l->edge = e;
}

static void summarise(struct linting *l)
{
    const struct world *w = l->w;

    for (size_t i = 0; i < w->inventory->n_endpoints; i++) {
        count_lacking(&l->all, &w->inventory->endpoints[i]);
        for (uint32_t g = 0; g < w->policy->n_groups; g++)
            if (group_set_has(&w->ends[i].groups, g))
                count_lacking(&l->groups[g], &w->inventory->endpoints[i]);
    }
}

/* ---- E-WIDEN ---- */

/* "web1 of web", "12 endpoints of web, such as web1" */
static void name_blind(struct buf *text, size_t n, const char *of, const struct endpoint *first)
{
    if (n == 1)
        buf_printf(text, "%s of %s", first->name, of);
    else
        buf_printf(text, "%zu endpoints of %s, such as %s", n, of, first->name);
}

/* Is there an end that the selector takes and that has no host agent (or no edge)?  '*text' says
 * which; quarantine's suspects are never outside. */
static bool has_blind_end(const struct linting *l, const struct selector *s, bool edge,
                          bool suspects, struct buf *text)
{
    const struct policy *p = l->w->policy;

    if (s->any) {
        size_t n = edge ? l->all.n_edge : l->all.n_host;
        const struct endpoint *first = edge ? l->all.edge : l->all.host;

        if (!suspects)
            buf_puts(text, "what is outside");
        else if (n)
            name_blind(text, n, "the inventory", first);
        return !suspects || n > 0;
    }
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct group *g = &p->groups[s->groups[i]];
        const struct lacking *k = &l->groups[s->groups[i]];
        size_t n = edge ? k->n_edge : k->n_host;

        if (g->kind == GROUP_OUTSIDE) {
            buf_printf(text, "%s, which is outside", g->name);
            return true;
        }
        if (n) {
            name_blind(text, n, g->name, edge ? k->edge : k->host);
            return true;
        }
    }
    return false;
}

static void widens(const struct linting *l, const struct rule *r, const struct place *place,
                   const char *what, const char *where, const char *expected)
{
    struct diagnostic *x = diagnostics_add(
        l->d, CODE_WIDEN, place, "nobody can check the %s of \"%s\" at %s", what, r->id, where);

    diagnostic_expected(x, "%s", expected);
    diagnostic_fix(x, "put an enforcer there, narrow the rule, or write accept-weaker: REASON");
}

static void lint_widen_functions(const struct linting *l, const struct rule *r)
{
    const struct policy *p = l->w->policy;
    struct buf from = BUF_INIT, to = BUF_INIT;
    bool functions = false;

    for (size_t i = 0; i < r->match.n_services; i++)
        functions = functions || p->services[r->match.services[i]].n_modbus;
    if (functions &&
        has_blind_end(l, &r->match.from, true, r->layer == LAYER_QUARANTINE && !r->match.from.given,
                      &from) &&
        has_blind_end(l, &r->match.to, true, r->layer == LAYER_QUARANTINE && !r->match.to.given,
                      &to)) {
        buf_printf(&from, ", nor at %s", buf_str(&to));
        widens(l, r, &r->match.service_place, "protocol functions", buf_str(&from),
               "an edge at one of the two ends");
    }
    buf_done(&from);
    buf_done(&to);
}

static void lint_widen(const struct linting *l, const struct rule *r)
{
    const struct match *m = &r->match;
    bool suspects_from = r->layer == LAYER_QUARANTINE && !m->from.given;
    bool suspects_to = r->layer == LAYER_QUARANTINE && !m->to.given;
    struct buf where = BUF_INIT;

    if (r->accept_weaker)
        return;
    if ((m->n_processes || m->n_users) &&
        has_blind_end(l, &m->from, false, suspects_from, &where)) {
        if (m->n_processes)
            widens(l, r, &m->process_place, "program", buf_str(&where),
                   "a host agent at every endpoint in from");
        if (m->n_users)
            widens(l, r, &m->user_place, "user", buf_str(&where),
                   "a host agent at every endpoint in from");
    }
    buf_reset(&where);
    if (m->n_served_by && has_blind_end(l, &m->to, false, suspects_to, &where))
        widens(l, r, &m->served_by_place, "serving program", buf_str(&where),
               "a host agent at every endpoint in to");
    buf_done(&where);
    lint_widen_functions(l, r);
}

/* ---- W-CROSS ---- */

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

/* The functions of a rule's services; all 127 when some service has none. */
static void functions_of(const struct policy *p, const struct match *m,
                         bool functions[MODEL_MAX_MODBUS + 1])
{
    bool all = m->n_services == 0;

    memset(functions, 0, MODEL_MAX_MODBUS + 1);
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &p->services[m->services[i]];

        all = all || !s->n_modbus;
        for (size_t k = 0; k < s->n_modbus; k++)
            functions[s->modbus[k]] = true;
    }
    if (all)
        memset(functions, 1, MODEL_MAX_MODBUS + 1);
}

static bool functions_within(const struct policy *p, const struct match *a, const struct match *b)
{
    bool in_a[MODEL_MAX_MODBUS + 1], in_b[MODEL_MAX_MODBUS + 1];

    functions_of(p, a, in_a);
    functions_of(p, b, in_b);
    for (int f = 0; f <= MODEL_MAX_MODBUS; f++)
        if (in_a[f] && !in_b[f])
            return false;
    return true;
}

/* Does everything that meets a's conditions at this place meet b's too?  An empty list is no
 * condition. */
static bool within(const struct policy *p, const struct match *a, const struct match *b,
                   enum where where)
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
        return functions_within(p, a, b);
    case N_WHERE:
        break;
    }
    return true;
}

static bool ends_overlap(const struct world *w, const struct selector *a, const struct selector *b)
{
    if (a->any || b->any)
        return true;
    for (size_t i = 0; i < a->n_groups; i++)
        for (size_t j = 0; j < b->n_groups; j++)
            if (a->groups[i] == b->groups[j] ||
                (w->policy->groups[a->groups[i]].kind == GROUP_OUTSIDE &&
                 w->policy->groups[b->groups[j]].kind == GROUP_OUTSIDE))
                return true;
    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        if (selector_takes(a, &w->ends[i]) && selector_takes(b, &w->ends[i]))
            return true;
    return false;
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
static bool rules_cross(const struct policy *p, const struct match *a, const struct match *b)
{
    for (int i = 0; i < N_WHERE; i++)
        for (int j = 0; j < N_WHERE; j++)
            if (i != j && !within(p, b, a, (enum where)i) && !within(p, a, b, (enum where)j))
                return true;
    return false;
}

static bool has_condition_elsewhere(const struct policy *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++)
        if (p->services[m->services[i]].n_modbus)
            return true;
    return m->n_served_by > 0;
}

static void lint_cross_pair(const struct linting *l, const struct rule *a, const struct rule *b)
{
    struct diagnostic *x;

    if (!rules_cross(l->w->policy, &a->match, &b->match) ||
        !ports_overlap(l->w->policy, &a->match, &b->match) ||
        !ends_overlap(l->w, &a->match.from, &b->match.from) ||
        !ends_overlap(l->w, &a->match.to, &b->match.to))
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
static void lint_cross_never(const struct linting *l, const struct rule *r)
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

static void lint_cross(const struct linting *l)
{
    const struct policy *p = l->w->policy;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *a = &p->rules[i];

        if (!rule_is_alive(a, l->w->now_s))
            continue;
        if (a->layer == LAYER_NEVER)
            lint_cross_never(l, a);
        for (size_t j = 0; j < p->n_rules; j++) {
            const struct rule *b = &p->rules[j];
            bool both = has_condition_elsewhere(p, &b->match);

            if (a->layer == LAYER_NEVER || a->layer != b->layer ||
                !has_condition_elsewhere(p, &a->match) || (both && j <= i) || i == j ||
                !rule_is_alive(b, l->w->now_s))
                continue;
            if (a->layer == LAYER_QUARANTINE && a->match.to.given != b->match.to.given)
                continue; /* One is for suspects that send, the other for those that receive. */
            lint_cross_pair(l, i < j ? a : b, i < j ? b : a);
        }
    }
}

/* ---- the others ---- */

static void lint_members(const struct linting *l, const struct group *g)
{
    for (size_t i = 0; i < g->n_members; i++) {
        const struct named *m = &g->members[i];
        struct nearest near = nearest_to(m->name);
        struct diagnostic *x;

        if (inventory_endpoint(l->w->inventory, m->name))
            continue;
        for (size_t k = 0; k < l->w->inventory->n_endpoints; k++)
            nearest_offer(&near, l->w->inventory->endpoints[k].name);
        x = diagnostics_add(l->d, CODE_UNKNOWN, &m->place, "no endpoint is named \"%s\"", m->name);
        diagnostic_expected(x, "an endpoint of the inventory");
        diagnostic_nearest(x, near.best);
    }
}

static void lint_groups(const struct linting *l)
{
    const struct policy *p = l->w->policy;

    for (size_t g = 0; g < p->n_groups; g++) {
        lint_members(l, &p->groups[g]);
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

static bool user_group_exists(const struct inventory *inv, const char *name)
{
    for (size_t i = 0; i < inv->n_users; i++)
        for (size_t k = 0; k < inv->users[i].n_groups; k++)
            if (strcmp(inv->users[i].groups[k], name) == 0)
                return true;
    return false;
}

static void empty_user_group(const struct linting *l, const struct match *m, const char *name)
{
    const struct inventory *inv = l->w->inventory;
    struct nearest near = nearest_to(name);
    struct diagnostic *x = diagnostics_add(l->d, CODE_EMPTY, &m->user_place,
                                           "the user group \"@%s\" has no member", name);

    for (size_t i = 0; i < inv->n_users; i++)
        for (size_t k = 0; k < inv->users[i].n_groups; k++)
            nearest_offer(&near, inv->users[i].groups[k]);
    diagnostic_expected(x, "a group that a user of the inventory is in");
    diagnostic_nearest(x, near.best);
    diagnostic_fix(x, "in the inventory, users: {NAME: {groups: [%s]}}", name);
}

static void lint_users(const struct linting *l, const struct match *m)
{
    for (size_t i = 0; i < m->n_users; i++)
        if (m->users[i].is_group && !user_group_exists(l->w->inventory, m->users[i].name))
            empty_user_group(l, m, m->users[i].name);
}

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

void policy_lint(const struct world *w, bool has_inventory, struct diagnostics *d)
{
    CLEANUP(free_voidp) void *memory = xcalloc(w->policy->n_groups, sizeof(struct lacking));
    struct linting l = {.w = w, .d = d, .groups = memory};
    const struct policy *p = w->policy;
    size_t n_allow = 0;

    summarise(&l);
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        n_allow += r->layer == LAYER_ALLOW;
        lint_expiry(&l, r);
        if (!has_inventory)
            continue;
        if (rule_is_alive(r, w->now_s))
            lint_widen(&l, r);
        lint_users(&l, &r->match);
        if (r->except)
            lint_users(&l, r->except);
    }
    if (!n_allow)
        (void)diagnostics_add(d, CODE_NO_ALLOW, NULL,
                              "an empty allow list means nothing is "
                              "allowed");
    lint_cross(&l);
    if (!has_inventory)
        return;
    lint_groups(&l);
}
