/* SPDX-License-Identifier: Apache-2.0 */
/* E-WIDEN: a check that no enforcer can make.  And of W-WIDE: that being accepted without need. */
#include "base/buf.h"
#include "core/lint/linting.h"

enum { WORD_BITS = 64 };

/* What the endpoints of a group lack; one pass over the inventory instead of one for each rule. */
struct lacking {
    uint32_t n_host, n_edge;
    const struct endpoint *host, *edge; /* The first of them; NULL: none. */
};

struct widening {
    const struct linting *l;
    struct lacking *groups; /* By group. */
    struct lacking all;     /* Of all endpoints. */
    size_t n_found;         /* Of the rule that is looked at. */
};

static void count_lacking(struct lacking *l, const struct endpoint *e)
{
    if (!(e->enforcers & ENFORCER_HOST) && !l->n_host++)
        l->host = e;
    if (!(e->enforcers & ENFORCER_EDGE) && !l->n_edge++)
        l->edge = e;
}

static void summarise(struct widening *s)
{
    const struct world *w = s->l->w;

    for (size_t i = 0; i < w->inventory->n_endpoints; i++) {
        count_lacking(&s->all, &w->inventory->endpoints[i]);
        for (size_t k = 0; k < w->n_words; k++)
            for (uint64_t left = w->ends[i].groups.words[k]; left; left &= left - 1)
                count_lacking(&s->groups[k * WORD_BITS + (size_t)__builtin_ctzll(left)],
                              &w->inventory->endpoints[i]);
    }
}

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
static bool has_blind_end(const struct widening *wide, const struct selector *s, bool edge,
                          bool suspects, struct buf *text)
{
    const struct policy *p = wide->l->w->policy;

    if (s->any) {
        size_t n = edge ? wide->all.n_edge : wide->all.n_host;
        const struct endpoint *first = edge ? wide->all.edge : wide->all.host;

        if (!suspects)
            buf_puts(text, "what is outside");
        else if (n)
            name_blind(text, n, "the inventory", first);
        return !suspects || n > 0;
    }
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct group *g = &p->groups[s->groups[i]];
        const struct lacking *k = &wide->groups[s->groups[i]];
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

static void widens(struct widening *wide, const struct rule *r, const struct place *place,
                   const char *what, const char *where, const char *expected)
{
    struct diagnostic *x;

    wide->n_found++;
    if (r->accept_weaker)
        return;
    x = diagnostics_add(wide->l->d, CODE_WIDEN, place, "nobody can check the %s of \"%s\" at %s",
                        what, r->id, where);
    diagnostic_expected(x, "%s", expected);
    diagnostic_fix(x, "put an enforcer there, narrow the rule, or write accept-weaker: REASON");
}

static void check_functions(struct widening *wide, const struct rule *r)
{
    const struct policy *p = wide->l->w->policy;
    struct buf from = BUF_INIT, to = BUF_INIT;
    bool functions = false;

    for (size_t i = 0; i < r->match.n_services; i++)
        functions = functions || p->services[r->match.services[i]].n_modbus;
    if (functions &&
        has_blind_end(wide, &r->match.from, true,
                      r->layer == LAYER_QUARANTINE && !r->match.from.given, &from) &&
        has_blind_end(wide, &r->match.to, true, r->layer == LAYER_QUARANTINE && !r->match.to.given,
                      &to)) {
        buf_printf(&from, ", nor at %s", buf_str(&to));
        widens(wide, r, &r->match.service_place, "protocol functions", buf_str(&from),
               "an edge at one of the two ends");
    }
    buf_done(&from);
    buf_done(&to);
}

static void check_rule(struct widening *wide, const struct rule *r)
{
    const struct match *m = &r->match;
    bool suspects_from = r->layer == LAYER_QUARANTINE && !m->from.given;
    bool suspects_to = r->layer == LAYER_QUARANTINE && !m->to.given;
    struct buf where = BUF_INIT;

    wide->n_found = 0;
    if ((m->n_processes || m->n_users) &&
        has_blind_end(wide, &m->from, false, suspects_from, &where)) {
        if (m->n_processes)
            widens(wide, r, &m->process_place, "program", buf_str(&where),
                   "a host agent at every endpoint in from");
        if (m->n_users)
            widens(wide, r, &m->user_place, "user", buf_str(&where),
                   "a host agent at every endpoint in from");
    }
    buf_reset(&where);
    if (m->n_served_by && has_blind_end(wide, &m->to, false, suspects_to, &where))
        widens(wide, r, &m->served_by_place, "serving program", buf_str(&where),
               "a host agent at every endpoint in to");
    buf_done(&where);
    check_functions(wide, r);
}

/* ---- accepted without need ---- */

static bool has_function(const struct policy *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++)
        if (p->services[m->services[i]].n_modbus)
            return true;
    return false;
}

static bool has_condition(const struct policy *p, const struct match *m)
{
    return m && (m->n_processes || m->n_users || m->n_served_by || has_function(p, m));
}

static bool has_empty_group(const struct world *w, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (w->policy->groups[s->groups[i]].kind != GROUP_OUTSIDE && !w->n_members[s->groups[i]])
            return true;
    return false;
}

/* Exceptions are left alone: nobody is told where they cannot be checked. */
static void check_acceptance(const struct widening *wide, const struct rule *r)
{
    const struct world *w = wide->l->w;
    struct diagnostic *x;

    if (!r->accept_weaker || wide->n_found || has_condition(w->policy, r->except) ||
        has_empty_group(w, &r->match.from) || has_empty_group(w, &r->match.to))
        return;
    x = diagnostics_add(wide->l->d, CODE_WIDE, &r->place,
                        has_condition(w->policy, &r->match)
                            ? "\"%s\" accepts weaker checks, and no end of it needs that with this "
                              "inventory"
                            : "\"%s\" accepts weaker checks, and has nothing to be checked weakly",
                        r->id);
    diagnostic_expected(x, "accept-weaker only while some end lacks the enforcer: it opens the "
                           "rule to those that come later, too");
    diagnostic_fix(x, "delete accept-weaker from \"%s\"", r->id);
}

void lint_widen(const struct linting *l)
{
    CLEANUP(free_voidp) void *memory = xcalloc(l->w->policy->n_groups, sizeof(struct lacking));
    struct widening wide = {.l = l, .groups = memory};

    summarise(&wide);
    for (size_t i = 0; l->has_inventory && i < l->w->policy->n_rules; i++)
        if (rule_is_alive(&l->w->policy->rules[i], l->w->now_s)) {
            check_rule(&wide, &l->w->policy->rules[i]);
            check_acceptance(&wide, &l->w->policy->rules[i]);
        }
}
