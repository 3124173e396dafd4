/* SPDX-License-Identifier: Apache-2.0 */
/* Rules by their ids, and what each says by names; see rule_changes.h. */
#include "core/rule_changes.h"

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

bool user_ref_takes(const struct inventory *inv, const struct user_ref *ref, const char *name)
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
    const struct inventory *sides[] = {a->inventory, b->inventory};

    if (x->is_group != y->is_group || strcmp(x->name, y->name) != 0)
        return false;
    for (int side = 0; x->is_group && side < 2; side++)
        for (size_t i = 0; i < sides[side]->n_users; i++)
            if (user_ref_takes(a->inventory, x, sides[side]->users[i].name) !=
                user_ref_takes(b->inventory, y, sides[side]->users[i].name))
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

bool *rule_changes(const struct world *mine, const struct world *other)
{
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
