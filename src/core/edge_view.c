/* SPDX-License-Identifier: Apache-2.0 */
#include "core/edge_view.h"

static int permissiveness(const struct program_entry *e)
{
    return e->word == PROGRAM_ALLOW ? 2 : e->word == PROGRAM_DEFAULT ? 1 : 0;
}

/* Entries that program_judge() can find from this base; at the destination nobody asks for users.
 */
static bool can_be_found(const struct program_entry *e, const struct program_entry *base)
{
    if (e->process & PROGRAM_FUNCTION)
        return false; /* Kept as it is. */
    if (e->process && !(base->refine & REFINE_PROCESS))
        return false;
    return !e->user || (base->refine & REFINE_USER && base->direction == DIRECTION_OUT);
}

static bool same_base(const struct program_entry *a, const struct program_entry *b)
{
    return a->remote == b->remote && a->direction == b->direction && a->suspect == b->suspect &&
           a->service == b->service;
}

static void fold_entries(const struct program *p, struct program *view)
{
    view->entries = xcalloc(p->n_entries, sizeof *view->entries);
    for (size_t i = 0; i < p->n_entries;) {
        const struct program_entry *base = &p->entries[i], *best = base;
        size_t first = i, next = i + 1;

        for (; next < p->n_entries && same_base(base, &p->entries[next]); next++)
            if (can_be_found(&p->entries[next], base) &&
                permissiveness(&p->entries[next]) > permissiveness(best))
                best = &p->entries[next];
        i = next;
        if (base->process || base->user)
            continue; /* Refines nothing: a base sorts before what refines it. */
        view->entries[view->n_entries] = *best;
        view->entries[view->n_entries].process = 0;
        view->entries[view->n_entries].user = 0;
        view->entries[view->n_entries++].refine = base->refine & REFINE_FUNCTION;
        for (size_t k = first + 1; k < next && base->refine & REFINE_FUNCTION; k++)
            if (p->entries[k].process & PROGRAM_FUNCTION && !p->entries[k].user)
                view->entries[view->n_entries++] = p->entries[k];
    }
}

static void *copy(const void *table, size_t n, size_t size)
{
    void *to = xcalloc(n, size);

    if (n)
        memcpy(to, table, n * size);
    return to;
}

struct program *edge_view(const struct program *p)
{
    struct program *view = program_new();

    *view = *p;
    view->entries = NULL;
    view->n_entries = 0;
    fold_entries(p, view);
    view->addresses = copy(p->addresses, p->n_addresses, sizeof *p->addresses);
    view->services = copy(p->services, p->n_services, sizeof *p->services);
    view->rules = copy(p->rules, p->n_rules, sizeof *p->rules);
    view->processes = NULL;
    view->n_processes = 0;
    view->users = NULL;
    view->n_users = 0;
    return view;
}
