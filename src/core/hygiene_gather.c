/* SPDX-License-Identifier: Apache-2.0 */
/* Records become hits and trends, judged connections become what a rule carries; see hygiene.h. */
#include "core/hygiene_internal.h"

enum { DAY_MS = 86400000 };

#define NOBODY UINT32_MAX

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct rule *const *)a)->id, (*(const struct rule *const *)b)->id);
}

static void cut_window(struct hygiene *h)
{
    uint64_t span = h->evidence.until_ms - h->evidence.since_ms, days = span / DAY_MS;

    h->n_buckets = days < 1 ? 1 : days > HYGIENE_BUCKETS ? HYGIENE_BUCKETS : (size_t)days;
    h->bucket_ms = (span + h->n_buckets - 1) / h->n_buckets;
    if (!h->bucket_ms)
        h->bucket_ms = 1;
}

struct hygiene *hygiene_new(const struct world *w, const struct hygiene_evidence *e,
                            const char *(*text)(const void *keeper, text_t number),
                            const void *keeper)
{
    struct hygiene *h = xcalloc(1, sizeof(*h));
    size_t n = w->policy->n_rules;

    h->w = w;
    h->evidence = *e;
    h->text = text;
    h->keeper = keeper;
    h->arena = arena_new();
    h->rules = xcalloc(n, sizeof(*h->rules));
    h->carrying = xcalloc(n, sizeof(*h->carrying));
    h->by_id = xcalloc(n, sizeof(struct rule *));
    for (size_t i = 0; i < n; i++) {
        h->rules[i] = (struct hygiene_rule){.rule = &w->policy->rules[i], .past = e->rules[i]};
        h->by_id[i] = &w->policy->rules[i];
    }
    if (n)
        qsort(h->by_id, n, sizeof(struct rule *), by_id);
    cut_window(h);
    return h;
}

void hygiene_free(struct hygiene *h)
{
    if (!h)
        return;
    arena_free(h->arena);
    table_done(&h->index);
    free(h->rules);
    free(h->carrying);
    free(h->by_id);
    free(h->rule_of);
    free(h->end_of);
    free(h->facts);
    free(h);
}

/* ---- texts to numbers ---- */

static uint32_t find_rule(const struct hygiene *h, const char *id)
{
    struct rule wanted = {.id = id};
    const struct rule *key = &wanted, *const * at;

    if (!h->w->policy->n_rules)
        return NOBODY;
    at = bsearch(&key, h->by_id, h->w->policy->n_rules, sizeof(struct rule *), by_id);
    return at ? (*at)->index : NOBODY;
}

static void make_room(struct hygiene *h, text_t t)
{
    size_t room = h->n_texts ? h->n_texts : 1024;

    if (t < h->n_texts)
        return;
    while (room <= t)
        room *= 2;
    h->rule_of = xreallocarray(h->rule_of, room, sizeof(*h->rule_of));
    h->end_of = xreallocarray(h->end_of, room, sizeof(*h->end_of));
    memset(h->rule_of + h->n_texts, 0, (room - h->n_texts) * sizeof(*h->rule_of));
    memset(h->end_of + h->n_texts, 0, (room - h->n_texts) * sizeof(*h->end_of));
    h->n_texts = room;
}

static uint32_t rule_of_text(struct hygiene *h, text_t t)
{
    make_room(h, t);
    if (!h->rule_of[t])
        h->rule_of[t] = find_rule(h, h->text(h->keeper, t)) + 2; /* NOBODY + 2 is 1. */
    return h->rule_of[t] - 2;
}

static uint32_t end_of_text(struct hygiene *h, text_t t)
{
    make_room(h, t);
    if (!h->end_of[t]) {
        const struct endpoint *e = inventory_endpoint(h->w->inventory, h->text(h->keeper, t));

        h->end_of[t] = e ? (uint32_t)(e - h->w->inventory->endpoints) + 2 : 1;
    }
    return h->end_of[t] - 2;
}

static bool tells(struct hygiene *h, text_t name)
{
    uint32_t e = name ? end_of_text(h, name) : NOBODY;

    return e != NOBODY && (h->evidence.ends[e] & HYGIENE_TELLS);
}

/* ---- hits ---- */

static void add_one(struct hygiene *h, const struct flow *f)
{
    uint32_t number = f->rule ? rule_of_text(h, f->rule) : NOBODY;
    struct hygiene_rule *r;

    if (number == NOBODY || f->first_ms < h->evidence.since_ms ||
        f->first_ms >= h->evidence.until_ms || !flow_counts(f))
        return;
    r = &h->rules[number];
    r->hits += f->count;
    if (!h->carrying[number].first_ms || f->first_ms < h->carrying[number].first_ms)
        h->carrying[number].first_ms = f->first_ms;
    r->last_ms = f->last_ms > r->last_ms ? f->last_ms : r->last_ms;
    r->buckets[(f->first_ms - h->evidence.since_ms) / h->bucket_ms] += f->count;
}

void hygiene_add(struct hygiene *h, const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_one(h, &flows[i]);
}

/* ---- what is carried ---- */

static bool same_fact(const void *facts, uint32_t number, const void *key)
{
    return memcmp(&((const struct fact *)facts)[number].key, key, sizeof(struct fact_key)) == 0;
}

/* True: it is new. */
static bool note(struct hygiene *h, uint32_t rule, enum fact_kind kind, uint32_t value,
                 uint64_t count)
{
    struct fact_key k = {rule, kind, value};
    uint32_t hash = table_hash(&k, sizeof(k), 0);
    uint32_t at = table_find(&h->index, hash, same_fact, h->facts, &k);

    if (at != TABLE_NONE) {
        h->facts[at].count += count;
        return false;
    }
    if (h->n_facts == HYGIENE_FACTS_MAX) {
        h->over = true;
        return false;
    }
    GROW(h->facts, h->n_facts, h->facts_room);
    h->facts[h->n_facts] = (struct fact){.key = k, .count = count};
    table_add(&h->index, hash, (uint32_t)h->n_facts++);
    return true;
}

/* A port each, but for long ranges. */
static void make_units(struct hygiene *h, const struct rule *r, struct carrying *c)
{
    const struct match *m = &r->match;
    size_t n = 0;

    c->has_units = true;
    for (size_t s = 0; s < m->n_services; s++)
        n += h->w->policy->services[m->services[s]].n_ports * HYGIENE_RANGE;
    c->units = arena_alloc(h->arena, n, sizeof(*c->units));
    for (uint32_t s = 0; s < m->n_services; s++) {
        const struct service *service = &h->w->policy->services[m->services[s]];

        for (size_t i = 0; i < service->n_ports; i++) {
            struct port_range p = service->ports[i];

            for (unsigned port = p.low; p.high - p.low < HYGIENE_RANGE && port <= p.high; port++)
                c->units[c->n_units++] =
                    (struct unit){{p.protocol, (uint16_t)port, (uint16_t)port}, s};
            if (p.high - p.low >= HYGIENE_RANGE)
                c->units[c->n_units++] = (struct unit){p, s};
        }
    }
}

static void see_port(struct hygiene *h, const struct rule *r, const struct flow *f, uint64_t count)
{
    struct carrying *c = &h->carrying[r->index];

    if (!r->match.n_services) {
        if (f->protocol != 6 && f->protocol != 17 && f->protocol != 1)
            c->odd_protocol = true; /* No service can name it. */
        else if (c->n_ports <= HYGIENE_RANGE)
            c->n_ports +=
                note(h, r->index, FACT_PORT, (uint32_t)f->protocol << 16 | f->port, count);
        return;
    }
    if (!c->has_units)
        make_units(h, r, c);
    for (uint32_t i = 0; i < c->n_units; i++) {
        const struct port_range *p = &c->units[i].range;

        if (p->protocol == f->protocol && p->low <= f->port && f->port <= p->high)
            (void)note(h, r->index, FACT_UNIT, i, count);
    }
}

static void see_end(struct hygiene *h, const struct rule *r, bool is_from, const struct end *end,
                    uint64_t count)
{
    const struct selector *s = is_from ? &r->match.from : &r->match.to;
    struct carrying *c = &h->carrying[r->index];

    if (end->endpoint) {
        (void)note(h, r->index, is_from ? FACT_FROM : FACT_TO,
                   (uint32_t)(end->endpoint - h->w->inventory->endpoints), count);
        return;
    }
    *(is_from ? &c->outside_from : &c->outside_to) = true;
    for (size_t i = 0; i < s->n_groups; i++)
        if (group_set_has(&end->groups, s->groups[i]))
            (void)note(h, r->index, is_from ? FACT_FROM_OUTSIDE : FACT_TO_OUTSIDE, s->groups[i],
                       count);
}

static void see_program(struct hygiene *h, const struct rule *r, const struct flow *f, bool out,
                        uint64_t count)
{
    const char *process = f->process ? h->text(h->keeper, f->process) : "";
    const char *script = f->script ? h->text(h->keeper, f->script) : "";
    const char **paths = out ? r->match.processes : r->match.served_by;
    size_t n = out ? r->match.n_processes : r->match.n_served_by;

    for (uint32_t i = 0; i < n; i++)
        if (strcmp(paths[i], process) == 0 || strcmp(paths[i], script) == 0)
            (void)note(h, r->index, out ? FACT_PROCESS : FACT_SERVED_BY, i, count);
}

static bool is_in(const struct user *u, const char *group)
{
    for (size_t i = 0; u && i < u->n_groups; i++)
        if (strcmp(u->groups[i], group) == 0)
            return true;
    return false;
}

static void see_user(struct hygiene *h, const struct rule *r, const char *name, uint64_t count)
{
    const struct user *u = inventory_user(h->w->inventory, name);

    for (uint32_t i = 0; i < r->match.n_users; i++) {
        const struct user_ref *ref = &r->match.users[i];

        if (ref->is_group ? is_in(u, ref->name) : strcmp(ref->name, name) == 0)
            (void)note(h, r->index, FACT_USER, i, count);
    }
}

/* Each end tells of its own program; the source's of its user, too. */
static void see_conditions(struct hygiene *h, const struct rule *r, const struct replay_judged *j,
                           uint64_t count)
{
    const struct flow *f = j->flow;
    bool out = f->direction == DIRECTION_OUT, *is_blind = h->rules[r->index].is_blind;

    if (out) {
        is_blind[HYGIENE_PROCESS] |= !f->process;
        is_blind[HYGIENE_USER] |= !f->user;
        is_blind[HYGIENE_SERVED_BY] |= !tells(h, f->to);
        if (f->user)
            see_user(h, r, h->text(h->keeper, f->user), count);
    } else {
        is_blind[HYGIENE_SERVED_BY] |= !f->process;
        is_blind[HYGIENE_PROCESS] |= !tells(h, f->from);
        is_blind[HYGIENE_USER] |= !tells(h, f->from);
    }
    see_program(h, r, f, out, count);
}

void hygiene_see(void *hygiene, const struct replay_judged *j)
{
    struct hygiene *h = hygiene;
    const struct flow *f = j->flow;
    bool out = f->direction == DIRECTION_OUT;
    uint32_t number = j->rule[0] ? find_rule(h, j->rule) : NOBODY;
    struct end local = h->w->ends[j->local], remote;
    const struct rule *r;
    uint64_t count;

    if (f->script) /* What anybody runs keeps its name in the policy; see hygiene_narrow.c. */
        (void)note(h, NOBODY, FACT_SCRIPT, f->script, 0);
    if (number == NOBODY || j->layer != LAYER_ALLOW || j->verdict != VERDICT_ALLOW || h->over)
        return;
    r = &h->w->policy->rules[number];
    remote = world_end_of_address(h->w, &j->remote);
    count = !flow_is_others(f) && flow_counts(f) ? f->count : 0;
    h->rules[number].carried += count;
    see_end(h, r, true, out ? &local : &remote, count);
    see_end(h, r, false, out ? &remote : &local, count);
    see_port(h, r, f, count);
    see_conditions(h, r, j, count);
}

/* ---- the end ---- */

void hygiene_give_up(struct hygiene *h)
{
    h->over = true;
}

static enum hygiene_trend trend_of(const struct hygiene *h, const struct hygiene_rule *r)
{
    uint64_t begin = h->evidence.oldest_ms, since = (uint64_t)(r->past.since_s * 1000);
    uint64_t first_hit = h->carrying[r->rule->index].first_ms;
    size_t first = 0, third;
    uint64_t before = 0, now = 0, all = 0;

    if (!r->past.since_s || since > first_hit) /* Under its name it is older than as it stands. */
        since = first_hit;
    if (since > begin)
        begin = since;
    if (r->rule->layer == LAYER_ALLOW && begin > h->evidence.since_ms)
        first = (size_t)((begin - h->evidence.since_ms + h->bucket_ms - 1) / h->bucket_ms);
    third = first < h->n_buckets ? (h->n_buckets - first) / 3 : 0;
    for (size_t i = first; i < h->n_buckets; i++)
        all += r->buckets[i];
    for (size_t i = 0; i < third; i++) {
        before += r->buckets[first + i];
        now += r->buckets[h->n_buckets - 1 - i];
    }
    if (!third || !all)
        return TREND_NONE;
    if (!now)
        return TREND_STOPPED;
    return now * 2 >= before * 3   ? TREND_RISING
           : now * 3 <= before * 2 ? TREND_FALLING
                                   : TREND_STEADY;
}

static int by_key(const void *a_, const void *b_)
{
    const struct fact_key *a = &((const struct fact *)a_)->key;
    const struct fact_key *b = &((const struct fact *)b_)->key;

    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

void hygiene_finish(struct hygiene *h)
{
    CLEANUP(hygiene_ends_freep) struct hygiene_ends *x = hygiene_ends_new(h->w, &h->evidence);

    for (size_t i = 0; i < h->w->policy->n_rules; i++) {
        struct hygiene_rule *r = &h->rules[i];

        r->past.last_ms = r->last_ms > r->past.last_ms ? r->last_ms : r->past.last_ms;
        r->status = r->last_ms && hygiene_judge(x, r->rule) != HYGIENE_GUARD
                        ? HYGIENE_USED
                        : hygiene_judge(x, r->rule);
        r->trend = trend_of(h, r);
    }
    if (h->over || !h->n_facts)
        return;
    qsort(h->facts, h->n_facts, sizeof(*h->facts), by_key);
    for (size_t i = 0, n; i < h->n_facts; i += n) {
        uint32_t rule = h->facts[i].key.rule;

        if (rule == NOBODY)
            return;
        for (n = 1; i + n < h->n_facts && h->facts[i + n].key.rule == rule;)
            n++;
        hygiene_narrow_rule(h, &h->rules[rule], &h->facts[i], n);
    }
}

const struct hygiene_rule *hygiene_rules(const struct hygiene *h)
{
    return h->rules;
}

size_t hygiene_n_buckets(const struct hygiene *h)
{
    return h->n_buckets;
}

uint64_t hygiene_bucket_ms(const struct hygiene *h)
{
    return h->bucket_ms;
}

bool hygiene_is_over(const struct hygiene *h)
{
    return h->over;
}
