/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what walks arrive at; see reach.h.  reach_furthest() is in reach_furthest.c. */
#include "core/reach.h"

#include <errno.h>

#include "core/hop_walk.h"

struct owned {        /* By class: */
    uint32_t *n;      /* how many of its ends fell, */
    uint32_t *fell;   /* the last of them, */
    uint32_t *others; /* hops to its ends, 0: out of reach, */
    uint32_t *self;   /* and to the one that fell. */
};

struct counting {
    struct hop_walk walk; /* First: arrived() gets it back. */
    struct owned owned;
    uint32_t *memory;
};

static void counting_init(struct counting *c, const struct hops *h)
{
    size_t n = h->classes->n;

    hop_walk_init(&c->walk, h);
    c->memory = xcalloc(4 * n, sizeof *c->memory);
    c->owned = (struct owned){c->memory, c->memory + n, c->memory + 2 * n, c->memory + 3 * n};
}

static void counting_done(struct counting *c)
{
    hop_walk_done(&c->walk);
    free(c->memory);
}

static void arrived(struct hop_walk *w, uint32_t class, uint32_t root, uint32_t hops)
{
    const struct owned *o = &((struct counting *)w)->owned;

    if (!o->others[class])
        o->others[class] = hops;
    if (o->n[class] == 1 && root != class && !o->self[class])
        o->self[class] = hops;
}

static void count_endpoint(struct reach *r, uint32_t endpoint, uint32_t hop)
{
    r->hop_of[endpoint] = hop;
    if (!hop)
        return;
    r->by_hop[hop - 1]++;
    r->total++;
    if (hop > r->n_hops)
        r->n_hops = hop;
}

static void count(const struct counting *c, struct reach *r)
{
    const struct end_classes *classes = c->walk.h->classes;
    const struct owned *o = &c->owned;

    *r = (struct reach){.n_endpoints = classes->world->inventory->n_endpoints};
    r->hop_of = xcalloc(r->n_endpoints, sizeof *r->hop_of);
    r->by_hop =
        xcalloc(c->walk.labels ? c->walk.labels[c->walk.n - 1].hops + 1 : 1, sizeof *r->by_hop);
    for (uint32_t i = 0; i < classes->n; i++) {
        const struct end_class *k = &classes->items[i];
        bool one = o->n[i] == 1;

        if (k->outside) {
            uint32_t hop = one && k->n == 1 ? o->self[i] : o->others[i];

            if (hop && (!r->outside_at || hop < r->outside_at))
                r->outside_at = hop;
            continue;
        }
        for (uint32_t m = k->first; m < k->first + k->n; m++) {
            bool self = one && classes->members[m] == o->fell[i];

            count_endpoint(r, classes->members[m], self ? o->self[i] : o->others[i]);
        }
    }
}

static void run(struct counting *c, bool inside, struct reach *ret_r)
{
    struct hop_walk *w = &c->walk;

    w->arrived = arrived;
    w->stay_inside = inside;
    for (uint32_t i = 0; i < w->h->classes->n; i++)
        if (c->owned.n[i])
            hop_walk_start(w, i, c->owned.n[i] > 1 ? HOP_SEVERAL : i);
    for (uint32_t at = 0; at < w->n; at++)
        hop_walk_on(w, at);
    count(c, ret_r);
    counting_done(c);
}

void reach_of_group(const struct hops *h, uint32_t group, bool inside, struct reach *ret_r)
{
    const struct end_classes *classes = h->classes;
    const struct world *w = h->world;
    struct counting c;

    counting_init(&c, h);
    for (uint32_t i = 0; i < w->inventory->n_endpoints; i++)
        if (group_set_has(&w->ends[i].groups, group)) {
            c.owned.n[classes->of_endpoint[i]]++;
            c.owned.fell[classes->of_endpoint[i]] = i;
        }
    for (size_t i = 0; i < w->n_outside; i++)
        c.owned.n[classes->of_outside[i]] += group_set_has(&w->outside[i].groups, group);
    run(&c, inside, ret_r);
}

void reach_of_endpoint(const struct hops *h, uint32_t endpoint, bool inside, struct reach *ret_r)
{
    uint32_t class = h->classes->of_endpoint[endpoint];
    struct counting c;

    counting_init(&c, h);
    c.owned.n[class] = 1;
    c.owned.fell[class] = endpoint;
    run(&c, inside, ret_r);
}

void reach_done(struct reach *r)
{
    free(r->hop_of);
    free(r->by_hop);
    *r = (struct reach){.hop_of = NULL};
}

/* ---- by name ---- */

/* What stands behind the prefix, or NULL. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

int reach_start_find(const struct world *w, const char *name, struct reach_start *ret_s)
{
    const char *group = behind(name, "group:"), *endpoint = behind(name, "endpoint:");
    struct reach_start s = {.n_endpoints = 1};

    if (!group && !endpoint)
        group = endpoint = name; /* No name has a colon. */
    if (group)
        s.group = policy_group(w->policy, group);
    if (endpoint)
        s.endpoint = inventory_endpoint(w->inventory, endpoint);
    if (s.group && s.endpoint)
        return -ENOTUNIQ;
    if (!s.group && !s.endpoint)
        return -ENOENT;
    if (s.group)
        s.n_endpoints = w->n_members[s.group - w->policy->groups];
    s.name = s.group ? s.group->name : s.endpoint->name;
    *ret_s = s;
    return 0;
}

void reach_of(const struct hops *h, const struct reach_start *s, bool inside, struct reach *ret_r)
{
    if (s->group)
        reach_of_group(h, (uint32_t)(s->group - h->world->policy->groups), inside, ret_r);
    else
        reach_of_endpoint(h, (uint32_t)(s->endpoint - h->world->inventory->endpoints), inside,
                          ret_r);
}
