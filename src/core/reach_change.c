/* SPDX-License-Identifier: Apache-2.0 */
/* What a change does to the reach of groups: totals of all, hops of the most changed. */
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

static struct reach find_reach(const struct hops *h, const char *group)
{
    const struct policy *p = h->world->policy;
    const struct group *found = policy_group(p, group);
    struct reach r = {.hop_of = NULL}; /* A group that is not there reaches nothing. */

    if (found)
        reach_of_group(h, (uint32_t)(found - p->groups), false, &r);
    return r;
}

static void tell_hops(struct reach_change *c, const struct hops *before, const struct hops *after)
{
    struct reach was = find_reach(before, c->group), is = find_reach(after, c->group);

    c->n_hops = settles_at(&was, &is);
    reach_done(&was);
    reach_done(&is);
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

struct side {
    const struct policy *policy;
    uint32_t *totals;
    bool *outside;
};

static struct side side_of(const struct hops *h)
{
    size_t n = h->world->policy->n_groups;
    struct side s = {h->world->policy, xcalloc(n, sizeof(uint32_t)), xcalloc(n, sizeof(bool))};

    reach_totals(h, s.totals, s.outside);
    return s;
}

static void side_done(struct side *s)
{
    free(s->totals);
    free(s->outside);
}

struct changes {
    struct reach_change *items;
    size_t n, room;
};

static void compare(struct changes *all, const char *group, const struct side *before,
                    const struct side *after)
{
    const struct group *old = policy_group(before->policy, group);
    const struct group *new = policy_group(after->policy, group);
    size_t o = old ? (size_t)(old - before->policy->groups) : 0;
    size_t n = new ? (size_t)(new - after->policy->groups) : 0;
    const struct reach_change c = {.group = group,
                                   .before = old ? before->totals[o] : 0,
                                   .after = new ? after->totals[n] : 0,
                                   .outside_before = old && before->outside[o],
                                   .outside_after = new && after->outside[n]};

    if (c.before == c.after && c.outside_before == c.outside_after)
        return;
    GROW(all->items, all->n, all->room);
    all->items[all->n++] = c;
}

size_t reach_changes(const struct hops *before, const struct hops *after,
                     struct reach_change **ret_changes)
{
    struct side old = side_of(before), new = side_of(after);
    struct changes all = {.n = 0};

    for (size_t i = 0; i < new.policy->n_groups; i++)
        compare(&all, new.policy->groups[i].name, &old, &new);
    for (size_t i = 0; i < old.policy->n_groups; i++)
        if (!policy_group(new.policy, old.policy->groups[i].name))
            compare(&all, old.policy->groups[i].name, &old, &new);
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, by_difference);
    for (size_t i = 0; i < all.n && i < REACH_TOLD; i++)
        tell_hops(&all.items[i], before, after);
    side_done(&old);
    side_done(&new);
    *ret_changes = all.items;
    return all.n;
}
