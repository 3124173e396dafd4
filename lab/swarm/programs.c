/* SPDX-License-Identifier: Apache-2.0 */
/* One copy of each program for all members that run it; see swarm.h. */
#include <errno.h>
#include <stdio.h>

#include "swarm.h"

static struct shared *find(const struct swarm *s, uint64_t revision, identity_t identity)
{
    for (struct shared *p = s->programs; p; p = p->next)
        if (p->program->revision == revision && p->program->identity == identity)
            return p;
    return NULL;
}

static void unlink_shared(struct swarm *s, struct shared *p)
{
    struct shared **at = &s->programs;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    program_free(p->program);
    free(p);
}

void programs_leave(struct member *m)
{
    struct shared *p = m->shared;

    m->shared = NULL;
    if (p && --p->n_users == 0)
        unlink_shared(m->swarm, p);
}

static void run(struct member *m, struct shared *p)
{
    p->n_users++;
    programs_leave(m);
    m->shared = p;
}

/* Which address is the member's own differs, and nothing here asks for it. */
static void forget_self(struct program *p)
{
    for (size_t i = 0; i < p->n_addresses; i++)
        p->addresses[i].self = false;
}

static bool is_equal(const struct program *a, const struct program *b)
{
    return a->n_entries == b->n_entries && a->n_addresses == b->n_addresses &&
           a->n_services == b->n_services && a->n_processes == b->n_processes &&
           a->n_users == b->n_users && a->n_rules == b->n_rules &&
           memcmp(a->addresses, b->addresses, a->n_addresses * sizeof(*a->addresses)) == 0;
}

static struct shared *keep(struct swarm *s, struct program *taken)
{
    struct shared *p = xcalloc(1, sizeof(*p));

    p->program = taken;
    p->next = s->programs;
    s->programs = p;
    return p;
}

enum agent_reason programs_take_snapshot(struct member *m, struct program **taken)
{
    struct program *p = *taken;
    struct shared *known = find(m->swarm, p->revision, p->identity);

    if (strcmp(p->endpoint, m->name) != 0)
        return AGENT_REASON_NOT_ME;
    forget_self(p);
    if (known && !is_equal(known->program, p))
        swarm_die("%s: its program of revision %llu differs from that of %s, of the same identity",
                  m->name, (unsigned long long)p->revision, known->program->endpoint);
    if (known) {
        m->swarm->shared_found++;
        run(m, known);
    } else {
        run(m, keep(m->swarm, TAKE_PTR(*taken)));
    }
    return AGENT_REASON_NONE;
}

enum agent_reason programs_take_delta(struct member *m, const struct delta *d)
{
    struct shared *known = find(m->swarm, d->put->revision, d->put->identity);
    struct program *p = NULL;
    const char *what = "";
    int r;

    if (strcmp(d->put->endpoint, m->name) != 0)
        return AGENT_REASON_NOT_ME;
    if (!m->shared || m->running != d->base || m->shared->program->revision != d->base)
        return AGENT_REASON_BASE;
    if (known) {
        m->swarm->shared_found++;
        run(m, known);
        return AGENT_REASON_NONE;
    }
    r = delta_apply(m->shared->program, d, &p, &what);
    if (r == -ESTALE || r == -ENOENT)
        return AGENT_REASON_BASE;
    if (r < 0)
        return AGENT_REASON_INVALID;
    forget_self(p);
    run(m, keep(m->swarm, p));
    return AGENT_REASON_NONE;
}
