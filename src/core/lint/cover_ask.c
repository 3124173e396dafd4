/* SPDX-License-Identifier: Apache-2.0 */
/* One pair of classes, and all pairs of sorts; see cover.h. */
#include "core/lint/cover_ask.h"

#include "core/verdict.h"

enum { WORD_BITS = 64, UNTOLD = -1 };

bool cover_is_pair(const struct cover *c, uint32_t from, uint32_t to)
{
    return from != to || !c->has_inventory || c->classes->items[from].n > 1 ||
           c->classes->items[from].outside;
}

bool cover_on_slice(const struct cover *c, const struct rule *r, uint32_t slice)
{
    for (size_t i = 0; i < r->match.n_services; i++)
        if (slices_in_service(c->slices, slice, r->match.services[i]))
            return true;
    return r->match.n_services == 0;
}

/* ---- the values that make a difference ---- */

struct values {
    const char **items; /* NULL: not told. */
    size_t n, room;
};

struct point {
    struct cover *c;
    const struct rule *r;
    const struct rule **by;
    size_t n_by;
    struct end from, to;
    struct values processes, servers, people;
};

static void add_value(struct values *v, const char *s)
{
    GROW(v->items, v->n, v->room);
    v->items[v->n++] = s;
}

static bool is_never(const struct rule *r)
{
    return r->layer == LAYER_NEVER;
}

static void list_programs(const struct point *p, bool servers, struct values *v)
{
    const struct match *m = &p->r->match;
    const struct end *place = servers ? &p->to : &p->from;
    size_t n = servers ? m->n_served_by : m->n_processes;

    if (!(place->enforcers & ENFORCER_HOST) || !n || is_never(p->r))
        add_value(v, NULL);
    if (!(place->enforcers & ENFORCER_HOST))
        return;
    for (size_t i = 0; i < n; i++)
        add_value(v, servers ? m->served_by[i] : m->processes[i]);
    if (n || !p->n_by || !is_never(p->by[0]))
        return;
    add_value(v, "");
    for (size_t k = 0; k < p->n_by; k++) {
        const struct match *e = p->by[k]->except;

        for (size_t i = 0; e && i < (servers ? e->n_served_by : e->n_processes); i++)
            add_value(v, servers ? e->served_by[i] : e->processes[i]);
    }
}

static void add_everybody(const struct cover *c, struct values *v)
{
    for (size_t i = 0; i < c->n_users; i++)
        add_value(v, c->users[i]);
}

static void list_people(const struct point *p, struct values *v)
{
    const struct match *m = &p->r->match;
    bool blind = !(p->from.enforcers & ENFORCER_HOST), all = false;

    if (blind || !m->n_users || is_never(p->r))
        add_value(v, NULL);
    if (blind)
        return;
    for (size_t i = 0; i < m->n_users; i++) {
        all = all || m->users[i].is_group;
        if (!m->users[i].is_group)
            add_value(v, m->users[i].name);
    }
    if (!m->n_users && p->n_by && is_never(p->by[0])) {
        add_value(v, "");
        for (size_t k = 0; k < p->n_by; k++)
            all = all || (p->by[k]->except && p->by[k]->except->n_users);
    }
    if (all)
        add_everybody(p->c, v);
}

/* ---- one point ---- */

/* For quarantine, the suspect is at the end that the rule says; otherwise nobody is one. */
static void set_ends(struct point *p, uint32_t from, uint32_t to)
{
    const struct end_class *k = p->c->classes->items;
    bool quarantine = p->r->layer == LAYER_QUARANTINE;

    p->from = k[from].end;
    p->to = k[to].end;
    p->from.trust = quarantine && p->r->match.to.given ? TRUST_BLACK : TRUST_WHITE;
    p->to.trust = quarantine && !p->r->match.to.given ? TRUST_BLACK : TRUST_WHITE;
}

static bool takes(const struct point *p, const struct verdict_facts *f, const struct rule **rules,
                  size_t n)
{
    return verdict_judge(p->c->world, &p->from, &p->to, f, rules, n).rule != NULL;
}

/* With this function, do they take it for each program and user? */
static bool takes_function(const struct point *p, struct verdict_facts f, bool *matched)
{
    const struct rule *own[] = {p->r};

    for (size_t i = 0; i < p->processes.n; i++)
        for (size_t j = 0; j < p->people.n; j++)
            for (size_t k = 0; k < p->servers.n; k++) {
                f.process = p->processes.items[i];
                f.user = p->people.items[j];
                f.served_by = p->servers.items[k];
                p->c->n_steps += 1 + p->n_by;
                if (!takes(p, &f, own, 1))
                    continue;
                *matched = true;
                if (!takes(p, &f, p->by, p->n_by))
                    return false;
            }
    return true;
}

static bool takes_all(struct point *p, uint32_t slice, bool *matched)
{
    const struct lists *functions = &p->c->slices->functions;
    bool have =
        ((p->from.enforcers | p->to.enforcers) & ENFORCER_EDGE) && list_size(functions, slice) > 1;
    struct verdict_facts f = {.modbus = UNTOLD};
    bool ok;

    p->processes.n = p->servers.n = p->people.n = 0;
    list_programs(p, false, &p->processes);
    list_programs(p, true, &p->servers);
    list_people(p, &p->people);
    slices_example(p->c->slices, slice, &f.protocol, &f.port);
    ok = takes_function(p, f, matched);
    for (uint32_t i = 0; have && ok && i < list_size(functions, slice); i++) {
        f.modbus = (int)list_items(functions, slice)[i];
        ok = takes_function(p, f, matched);
    }
    return ok;
}

static void point_done(struct point *p)
{
    free(p->processes.items);
    free(p->servers.items);
    free(p->people.items);
    free(p->by);
}

bool cover_takes_at(struct cover *c, const struct rule *r, struct list_view by, uint32_t from,
                    uint32_t to, uint32_t slice, bool *matched)
{
    struct point p = {.c = c, .r = r, .by = xcalloc(by.n, sizeof *p.by), .n_by = by.n};
    bool ok;

    for (uint32_t i = 0; i < by.n; i++)
        p.by[i] = &c->world->policy->rules[by.items[i]];
    set_ends(&p, from, to);
    ok = takes_all(&p, slice, matched);
    point_done(&p);
    return ok;
}

/* ---- sorts: classes that neither the rule nor the candidates tell apart ---- */

struct sort {
    uint32_t class;
    size_t n; /* Classes. */
    uint64_t *bits;
};

struct sorts {
    struct sort *items;
    size_t n;
    uint32_t *slots; /* A sort plus 1. */
    size_t mask;
};

struct covering {
    struct cover *c;
    const struct rule *r;
    struct list_view by;
    size_t n_words; /* By candidate: takes it; its exception takes it.  Then the rule's own. */
    struct arena *arena;
    struct sorts from, to;
};

static void set_bit(uint64_t *bits, size_t i, bool on)
{
    bits[i / WORD_BITS] |= (uint64_t)on << (i % WORD_BITS);
}

static bool has_bit(const struct sort *s, size_t i)
{
    return s->bits[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static const struct selector *selector_of(const struct match *m, bool to)
{
    return to ? &m->to : &m->from;
}

static void look_at(const struct covering *k, uint32_t class, bool to, uint64_t *bits)
{
    const struct end *e = &k->c->classes->items[class].end;
    const struct rule *rules = k->c->world->policy->rules;
    size_t at = 2 * (size_t)k->by.n;

    memset(bits, 0, k->n_words * sizeof *bits);
    for (uint32_t i = 0; i < k->by.n; i++) {
        const struct rule *r = &rules[k->by.items[i]];

        set_bit(bits, i, selector_takes(selector_of(&r->match, to), e));
        set_bit(bits, k->by.n + i, r->except && selector_takes(selector_of(r->except, to), e));
    }
    set_bit(bits, at++, k->r->except && selector_takes(selector_of(k->r->except, to), e));
    set_bit(bits, at++, e->enforcers & ENFORCER_HOST);
    set_bit(bits, at++, e->enforcers & ENFORCER_EDGE);
    set_bit(bits, at, e->is_multicast);
}

static size_t hash_bits(const uint64_t *bits, size_t n)
{
    uint64_t hash = 1;

    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ bits[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (size_t)hash;
}

static void sort_classes(const struct covering *k, const struct list *classes, bool to,
                         struct sorts *s)
{
    CLEANUP(free_voidp) void *memory = xcalloc(k->n_words, sizeof(uint64_t));
    uint64_t *bits = memory;
    size_t size = 64, at;

    while (size < 2 * classes->n)
        size *= 2;
    s->items = arena_alloc(k->arena, classes->n, sizeof *s->items);
    s->slots = arena_alloc(k->arena, size, sizeof *s->slots);
    s->mask = size - 1;
    for (size_t i = 0; i < classes->n; i++) {
        look_at(k, classes->items[i], to, bits);
        for (at = hash_bits(bits, k->n_words) & s->mask; s->slots[at]; at = (at + 1) & s->mask)
            if (memcmp(s->items[s->slots[at] - 1].bits, bits, k->n_words * sizeof *bits) == 0)
                break;
        if (!s->slots[at]) {
            s->items[s->n] =
                (struct sort){classes->items[i], 0, arena_copy(k->arena, bits, k->n_words, 8)};
            s->slots[at] = (uint32_t)++s->n;
        }
        s->items[s->slots[at] - 1].n++;
    }
}

/* ---- all of them ---- */

static bool takes_pair(const struct covering *k, const struct sort *from, const struct sort *to,
                       uint32_t slice, bool *matched)
{
    const struct rule *rules = k->c->world->policy->rules;
    struct list by = {.n = 0};
    bool ok;

    for (uint32_t i = 0; i < k->by.n; i++)
        if (has_bit(from, i) && has_bit(to, i) &&
            cover_on_slice(k->c, &rules[k->by.items[i]], slice))
            list_add(&by, k->by.items[i]);
    k->c->n_steps += k->by.n;
    ok = cover_takes_at(k->c, k->r, (struct list_view){by.items, (uint32_t)by.n}, from->class,
                        to->class, slice, matched);
    free(by.items);
    return ok;
}

static bool is_real(const struct covering *k, const struct sort *from, const struct sort *to)
{
    return from->n > 1 || to->n > 1 || cover_is_pair(k->c, from->class, to->class);
}

static enum covered ask_all(const struct covering *k)
{
    const struct cover *c = k->c;
    bool matched = false;

    for (size_t i = 0; i < k->from.n; i++)
        for (size_t j = 0; j < k->to.n; j++)
            for (size_t s = 0; s < c->at_slices.n && is_real(k, &k->from.items[i], &k->to.items[j]);
                 s++) {
                if (c->n_steps > COVER_MAX_STEPS)
                    return COVER_UNKNOWN;
                if (!takes_pair(k, &k->from.items[i], &k->to.items[j], c->at_slices.items[s],
                                &matched))
                    return COVER_NO;
            }
    return matched ? COVER_YES : COVER_NOTHING;
}

enum covered cover_by(struct cover *c, const struct rule *r, struct list_view by)
{
    struct covering k = {.c = c, .r = r, .by = by};
    enum covered answer;

    cover_set_rule(c, r, by);
    c->n_steps += (c->froms.n + c->tos.n) * (by.n + 1);
    if (c->n_steps > COVER_MAX_STEPS)
        return COVER_UNKNOWN;
    k.n_words = (2 * (size_t)by.n + 4) / WORD_BITS + 1;
    k.arena = arena_new();
    sort_classes(&k, &c->froms, false, &k.from);
    sort_classes(&k, &c->tos, true, &k.to);
    answer = ask_all(&k);
    arena_free(k.arena);
    return answer;
}
