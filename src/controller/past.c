/* SPDX-License-Identifier: Apache-2.0 */
/* Two small caches; see past.h. */
#include "controller/past.h"

#include <errno.h>

#include "base/arena.h"
#include "base/date.h"
#include "base/log.h"
#include "base/table.h"

struct kept { /* A world that somebody asked for. */
    uint64_t revision;
    int64_t day;
    uint64_t used; /* When, counted in questions. */
    struct generation *generation;
    struct world *world;
};

struct roster {
    uint64_t version;
    uint64_t used;
    struct arena *arena; /* Of the names. */
    struct named_address {
        struct address address;
        struct roster_end end;
    } * addresses;
    size_t n, room;
    struct table index; /* Of 'addresses'. */
};

struct past {
    struct desired *desired;
    uint64_t n_questions;
    struct kept kept[PAST_KEPT];
    struct roster *rosters[PAST_ROSTERS];
};

static void kept_done(struct kept *k)
{
    world_free(k->world);
    generation_free(k->generation);
    *k = (struct kept){.revision = 0};
}

static void roster_free(struct roster *r)
{
    if (!r)
        return;
    table_done(&r->index);
    arena_free(r->arena);
    free(r->addresses);
    free(r);
}

struct past *past_new(struct desired *d)
{
    struct past *p = xcalloc(1, sizeof(*p));

    p->desired = d;
    return p;
}

void past_free(struct past *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < PAST_KEPT; i++)
        kept_done(&p->kept[i]);
    for (size_t i = 0; i < PAST_ROSTERS; i++)
        roster_free(p->rosters[i]);
    free(p);
}

/* ---- worlds ---- */

/* The one that is kept for this, or the place of the one that was not used for longest. */
static struct kept *place_of(struct past *p, uint64_t revision, int64_t day)
{
    struct kept *oldest = &p->kept[0];

    for (size_t i = 0; i < PAST_KEPT; i++) {
        struct kept *k = &p->kept[i];

        if (k->world && k->revision == revision && k->day == day)
            return k;
        if (k->used < oldest->used)
            oldest = k;
    }
    kept_done(oldest);
    return oldest;
}

int past_generation(const struct desired *d, const struct timeline_event *e,
                    struct generation **ret_g)
{
    int r = generation_get(desired_store(d), e->policy, e->inventory, ret_g);

    if (r < 0)
        return r;
    timeline_trust(desired_timeline(d), e, (*ret_g)->inventory);
    (*ret_g)->revision = e->revision;
    return 0;
}

static int build(struct past *p, const struct timeline_event *e, int64_t at_s, struct kept *k)
{
    int r = past_generation(p->desired, e, &k->generation);

    if (r < 0)
        return r;
    k->revision = e->revision;
    k->day = at_s / DATE_DAY_S;
    k->world = world_new(k->generation->policy, k->generation->inventory, at_s);
    return 0;
}

static int moment_of(struct past *p, const struct timeline_event *e, int64_t at_s, int64_t now_s,
                     struct moment *ret_m)
{
    struct moment m = {.at_s = at_s};
    struct kept *k;
    int r;

    if (!e)
        return -ENOENT;
    m.revision = e->revision;
    m.since_s = e->time_s;
    m.policy = e->policy;
    m.inventory = e->inventory;
    if (e->revision == desired_current(p->desired)->revision &&
        at_s / DATE_DAY_S == now_s / DATE_DAY_S) {
        m.world = desired_world(p->desired, now_s);
        *ret_m = m;
        return 0;
    }
    k = place_of(p, e->revision, at_s / DATE_DAY_S);
    r = k->world ? 0 : build(p, e, at_s, k);
    if (r < 0)
        return r;
    k->used = ++p->n_questions;
    m.world = k->world;
    *ret_m = m;
    return 0;
}

int past_at(struct past *p, int64_t at_s, int64_t now_s, struct moment *ret_m)
{
    const struct timeline *t = desired_timeline(p->desired);

    if (at_s >= now_s) /* The present, also when the clock was set back. */
        return moment_of(p, timeline_of(t, UINT64_MAX), now_s, now_s, ret_m);
    return moment_of(p, timeline_at(t, at_s), at_s, now_s, ret_m);
}

int past_of_revision(struct past *p, uint64_t revision, int64_t now_s, struct moment *ret_m)
{
    const struct timeline_event *e = timeline_of(desired_timeline(p->desired), revision);

    return moment_of(p, e, e ? e->time_s : 0, now_s, ret_m);
}

/* ---- names ---- */

static bool is_address(const void *context, uint32_t number, const void *key)
{
    const struct roster *r = context;

    return address_compare(&r->addresses[number].address, key) == 0;
}

static void roster_add(struct roster *r, const struct address *a, const struct roster_end *end)
{
    GROW(r->addresses, r->n, r->room);
    r->addresses[r->n] = (struct named_address){*a, *end};
    table_add(&r->index, table_hash(a, sizeof(*a), 0), (uint32_t)r->n++);
}

static const char *keep(struct roster *r, const char *name)
{
    return arena_text(r->arena, name, strlen(name));
}

static struct roster *roster_new(uint64_t version, const struct inventory *inventory)
{
    struct roster *r = xcalloc(1, sizeof(*r));

    r->version = version;
    r->arena = arena_new();
    for (size_t i = 0; inventory && i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];
        struct roster_end end = {.name = keep(r, e->name)};

        if (e->enforcers & ENFORCER_HOST)
            end.tellers[0] = end.name;
        if ((e->enforcers & ENFORCER_EDGE) && e->edge)
            end.tellers[1] = keep(r, e->edge->agent.name);
        for (size_t k = 0; k < e->n_addresses; k++)
            if (!roster_find(r, &e->addresses[k]))
                roster_add(r, &e->addresses[k], &end);
    }
    return r;
}

static struct roster *roster_read(struct past *p, uint64_t version)
{
    CLEANUP(generation_freep) struct generation *g = NULL;
    int r;

    if (version == desired_head(p->desired)->inventory)
        return roster_new(version, desired_current(p->desired)->inventory);
    r = generation_get(desired_store(p->desired), 0, version, &g);
    if (r < 0)
        log_warn("flows: inventory %llu cannot be read for the names of then: %s",
                 (unsigned long long)version, strerror(-r));
    return roster_new(version, g ? g->inventory : NULL);
}

const struct roster *past_roster(struct past *p, int64_t at_s)
{
    const struct timeline *t = desired_timeline(p->desired);
    const struct timeline_event *e = timeline_at(t, at_s), *first = timeline_first_inventory(t);
    size_t oldest = 0;
    uint64_t version;

    if (first && (!e || e->revision < first->revision))
        e = first;
    version = e ? e->inventory : 0;
    for (size_t i = 0; i < PAST_ROSTERS; i++) {
        struct roster *r = p->rosters[i];

        if (r && r->version == version) {
            r->used = ++p->n_questions;
            return r;
        }
        if (!r || (p->rosters[oldest] && r->used < p->rosters[oldest]->used))
            oldest = i;
    }
    roster_free(p->rosters[oldest]);
    p->rosters[oldest] = roster_read(p, version);
    p->rosters[oldest]->used = ++p->n_questions;
    return p->rosters[oldest];
}

const struct roster_end *roster_find(const struct roster *r, const struct address *a)
{
    uint32_t n = table_find(&r->index, table_hash(a, sizeof(*a), 0), is_address, r, a);

    return n == TABLE_NONE ? NULL : &r->addresses[n].end;
}

const char *roster_name(const struct roster *r, const struct address *a)
{
    const struct roster_end *end = roster_find(r, a);

    return end ? end->name : NULL;
}

uint64_t roster_version(const struct roster *r)
{
    return r->version;
}
