/* SPDX-License-Identifier: Apache-2.0 */
/* W-WIDE: what a rule lists and no endpoint of the inventory uses.
 *
 *   - a group or service in a list, all of which another one of the same list has;
 *   - an exception that never applies, since its ends or services are not the rule's.
 *
 * (An accept-weaker that no end needs is in widen.c.)  Groups without ends are left to W-EMPTY. */
#include "core/lint/linting.h"

enum { LONGEST = 32, MAX_STEPS = 1 << 24 }; /* Longer lists were not written by hand. */

struct widths {
    const struct linting *l;
    size_t n_steps;
};

/* ---- lists ---- */

static const struct end_class *class_of(const struct widths *v, uint32_t group, uint32_t i)
{
    const struct end_classes *k = v->l->cover->classes;

    return &k->items[list_items(&k->of_group, group)[i]];
}

/* Is every end of 'a' in 'b'? */
static bool is_group_within(struct widths *v, uint32_t a, uint32_t b)
{
    uint32_t n = list_size(&v->l->cover->classes->of_group, a);

    for (uint32_t i = 0; i < n; i++) {
        v->n_steps++;
        if (!group_set_has(&class_of(v, a, i)->end.groups, b))
            return false;
    }
    return n > 0;
}

static bool has_functions_of(const struct service *s, const struct service *t)
{
    for (size_t i = 0; t->n_modbus && i < s->n_modbus; i++)
        if (!memchr(t->modbus, s->modbus[i], t->n_modbus))
            return false;
    return !t->n_modbus || s->n_modbus;
}

static bool is_service_within(struct widths *v, uint32_t a, uint32_t b)
{
    const struct slices *s = v->l->cover->slices;
    const struct policy *p = v->l->w->policy;
    uint32_t n = list_size(&s->of_service, a);

    for (uint32_t i = 0; i < n; i++) {
        v->n_steps++;
        if (!slices_in_service(s, list_items(&s->of_service, a)[i], b))
            return false;
    }
    return n > 0 && has_functions_of(&p->services[a], &p->services[b]);
}

struct listed {
    const struct rule *rule;
    const char *field; /* "from", "to", "service"; of the exception: "from of the except" */
    const struct place *place;
    const uint32_t *items;
    size_t n;
    bool services;
};

static const char *name_of(const struct widths *v, const struct listed *f, uint32_t item)
{
    const struct policy *p = v->l->w->policy;

    return f->services ? p->services[item].name : p->groups[item].name;
}

static void tell_idle(const struct widths *v, const struct listed *f, uint32_t idle, uint32_t other)
{
    struct diagnostic *x = diagnostics_add(
        v->l->d, CODE_WIDE, f->place, "\"%s\" adds nothing to %s of \"%s\": \"%s\" has all of it%s",
        name_of(v, f, idle), f->field, f->rule->id, name_of(v, f, other),
        f->services ? "" : in_this_inventory(v->l));

    diagnostic_expected(x, "%s",
                        f->services ? "services that each bring in a port of their own"
                                    : "groups that each bring in an end of their own");
    diagnostic_fix(x, "leave out \"%s\"", name_of(v, f, idle));
}

/* Of two that are equal the later one is idle. */
static void check_list(struct widths *v, const struct listed *f)
{
    for (size_t i = 0; f->n <= LONGEST && i < f->n; i++)
        for (size_t k = 0; k < f->n && v->n_steps <= MAX_STEPS; k++) {
            uint32_t a = f->items[i], b = f->items[k];
            bool within, equal;

            if (i == k)
                continue;
            within = f->services ? is_service_within(v, a, b) : is_group_within(v, a, b);
            if (!within)
                continue;
            equal = f->services ? is_service_within(v, b, a) : is_group_within(v, b, a);
            if (equal && i < k)
                continue;
            tell_idle(v, f, a, b);
            break;
        }
}

static void check_lists(struct widths *v, const struct rule *r, const struct match *m, bool except)
{
    const struct listed lists[] = {
        {r, except ? "from of the except" : "from", &m->from.place, m->from.groups,
         m->from.any ? 0 : m->from.n_groups, false},
        {r, except ? "to of the except" : "to", &m->to.place, m->to.groups,
         m->to.any ? 0 : m->to.n_groups, false},
        {r, except ? "service of the except" : "service", &m->service_place, m->services,
         m->n_services, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        check_list(v, &lists[i]);
}

/* ---- exceptions ---- */

static bool has_ends(const struct widths *v, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (list_size(&v->l->cover->classes->of_group, s->groups[i]))
            return true;
    return s->any;
}

static bool ends_meet(struct widths *v, const struct selector *a, const struct selector *b)
{
    if (a->any || b->any || !has_ends(v, a) || !has_ends(v, b))
        return true; /* Or W-EMPTY says so. */
    for (size_t g = 0; g < a->n_groups; g++)
        for (uint32_t i = 0; i < list_size(&v->l->cover->classes->of_group, a->groups[g]); i++) {
            v->n_steps++;
            if (selector_takes(b, &class_of(v, a->groups[g], i)->end))
                return true;
        }
    return false;
}

static bool services_meet(struct widths *v, const struct match *a, const struct match *b)
{
    const struct slices *s = v->l->cover->slices;

    if (!a->n_services || !b->n_services)
        return true;
    for (size_t i = 0; i < a->n_services; i++)
        for (uint32_t k = 0; k < list_size(&s->of_service, a->services[i]); k++)
            for (size_t j = 0; j < b->n_services; j++) {
                v->n_steps++;
                if (slices_in_service(s, list_items(&s->of_service, a->services[i])[k],
                                      b->services[j]))
                    return true;
            }
    return false;
}

static void check_except(struct widths *v, const struct rule *r)
{
    const struct match *e = r->except;
    const char *field = !ends_meet(v, &r->match.from, &e->from) ? "from"
                        : !ends_meet(v, &r->match.to, &e->to)   ? "to"
                        : !services_meet(v, &r->match, e)       ? "service"
                                                                : NULL;
    struct diagnostic *x;

    if (!field)
        return;
    x = diagnostics_add(v->l->d, CODE_WIDE, &r->place,
                        "the except of \"%s\" never applies%s: nothing in its %s is in that of the "
                        "rule",
                        r->id, in_this_inventory(v->l), field);
    diagnostic_expected(x, "an exception from what the rule forbids");
    diagnostic_fix(x, "leave out the except, or let its %s name some of what \"%s\" forbids", field,
                   r->id);
}

void lint_wide(const struct linting *l)
{
    struct widths v = {.l = l};

    for (size_t i = 0; l->cover && l->has_inventory && i < l->w->policy->n_rules; i++) {
        const struct rule *r = &l->w->policy->rules[i];

        if (!rule_is_alive(r, l->w->now_s) || v.n_steps > MAX_STEPS)
            continue;
        check_lists(&v, r, &r->match, false);
        if (r->except) {
            check_lists(&v, r, r->except, true);
            check_except(&v, r);
        }
    }
    if (v.n_steps > MAX_STEPS)
        lint_unfinished(l, "rules wider than what is used");
}
