/* SPDX-License-Identifier: Apache-2.0 */
/* What a change does to the reach of groups; see reach.h. */
#include "core/reach.h"

#include <stdlib.h>

static uint32_t within(const struct reach *r, size_t hops)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->n_hops && i < hops; i++)
        n += r->by_hop[i];
    return n;
}

/* The smallest number of hops from which on the difference stays what it is in the end. */
static uint32_t settles_at(const struct reach *before, const struct reach *after)
{
    size_t n = before->n_hops > after->n_hops ? before->n_hops : after->n_hops;
    int64_t end = (int64_t)after->total - before->total;

    while (n > 1 && (int64_t)within(after, n - 1) - within(before, n - 1) == end)
        n--;
    return (uint32_t)n;
}

static bool find_reach(const struct hops *h, const char *group, struct reach *ret_r)
{
    const struct policy *p = h->world->policy;
    const struct group *found = policy_group(p, group);

    *ret_r = (struct reach){.hop_of = NULL};
    if (!found)
        return false;
    reach_of_group(h, (uint32_t)(found - p->groups), ret_r);
    return true;
}

static uint32_t difference(const struct reach_change *c)
{
    return c->before > c->after ? c->before - c->after : c->after - c->before;
}

static int by_difference(const void *a_, const void *b_)
{
    const struct reach_change *a = a_, *b = b_;
    uint32_t x = difference(a), y = difference(b);

    return x != y ? (x < y) - (x > y) : strcmp(a->group, b->group);
}

struct changes {
    struct reach_change *items;
    size_t n, room;
};

static void compare(struct changes *all, const char *group, const struct hops *before,
                    const struct hops *after)
{
    struct reach was, is;

    (void)find_reach(before, group, &was); /* A group that is not there reaches nothing. */
    (void)find_reach(after, group, &is);
    if (was.total != is.total || !was.outside_at != !is.outside_at) {
        GROW(all->items, all->n, all->room);
        all->items[all->n++] = (struct reach_change){group,
                                                     was.total,
                                                     is.total,
                                                     settles_at(&was, &is),
                                                     was.outside_at != 0,
                                                     is.outside_at != 0};
    }
    reach_done(&was);
    reach_done(&is);
}

size_t reach_changes(const struct hops *before, const struct hops *after,
                     struct reach_change **ret_changes)
{
    const struct policy *old = before->world->policy, *new = after->world->policy;
    struct changes all = {.n = 0};

    for (size_t i = 0; i < new->n_groups; i++)
        if (new->groups[i].kind != GROUP_OUTSIDE)
            compare(&all, new->groups[i].name, before, after);
    for (size_t i = 0; i < old->n_groups; i++)
        if (old->groups[i].kind != GROUP_OUTSIDE && !policy_group(new, old->groups[i].name))
            compare(&all, old->groups[i].name, before, after);
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, by_difference);
    *ret_changes = all.items;
    return all.n;
}
