/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about one hop; see hop.h.  Whatever a rule means is asked of verdict_judge(). */
#include "core/hop.h"

static void add_text(struct texts *t, const char *s)
{
    GROW(t->items, t->n, t->room);
    t->items[t->n++] = s;
}

void hop_asker_init(struct hop_asker *a, const struct hops *h)
{
    *a = (struct hop_asker){.h = h, .source = HOP_NOWHERE};
    a->nevers = xcalloc(h->n_nevers, sizeof *a->nevers);
    a->blocked = xcalloc(h->slices->n, sizeof *a->blocked);
    a->seen = xcalloc(h->n_nevers, sizeof *a->seen);
    a->rules = xcalloc(h->n_nevers + 1, sizeof *a->rules);
}

void hop_asker_done(struct hop_asker *a)
{
    free(a->nevers);
    free(a->blocked);
    free(a->seen);
    free(a->rules);
    free(a->programs.items);
    free(a->servers.items);
    free(a->people.items);
    *a = (struct hop_asker){.h = NULL};
}

/* ---- what nevers leave free ---- */

static int by_number(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void take_never(struct hop_asker *a, uint32_t never)
{
    const struct match *m = &a->h->nevers[never]->match;
    const struct slices *s = a->h->slices;

    if (a->seen[never] == a->stamp)
        return;
    a->seen[never] = a->stamp;
    a->nevers[a->n_nevers++] = never;
    if (!m->n_services)
        a->all_blocked = true;
    for (size_t i = 0; i < m->n_services; i++)
        for (uint32_t k = 0; k < list_size(&s->of_service, m->services[i]); k++)
            a->blocked[list_items(&s->of_service, m->services[i])[k]] = a->stamp;
}

static void take_nevers_of(struct hop_asker *a, size_t group)
{
    const struct lists *l = &a->h->nevers_from;

    for (uint32_t i = 0; i < list_size(l, group); i++)
        take_never(a, list_items(l, group)[i]);
}

void hop_from(struct hop_asker *a, uint32_t class)
{
    const struct hops *h = a->h;
    const struct end *e = &h->classes->items[class].end;
    bool equal = a->source != HOP_NOWHERE && h->from_look[a->source] == h->from_look[class];

    a->source = class;
    if (equal)
        return;
    a->n_nevers = 0;
    a->all_blocked = false;
    a->stamp++;
    if (e->trust == TRUST_BLACK || !h->n_nevers)
        return; /* Quarantine decides before nevers do. */
    for (size_t i = 0; i < h->world->n_words; i++)
        for (uint64_t left = e->groups.words[i] & h->never_groups[i]; left; left &= left - 1)
            take_nevers_of(a, i * 64 + (size_t)__builtin_ctzll(left));
    take_nevers_of(a, h->nevers_from.n - 1);
    qsort(a->nevers, a->n_nevers, sizeof *a->nevers, by_number);
}

static bool is_quarantine(const struct way *w)
{
    return w->rule && w->rule->layer == LAYER_QUARANTINE;
}

uint32_t hop_free_item(const struct hop_asker *a, const struct menu *m, uint32_t way)
{
    const uint32_t *items = list_items(&m->items, way);
    uint32_t n = list_size(&m->items, way), best = HOP_NOWHERE;
    bool blind = is_quarantine(&a->h->ways[way]);

    if (a->all_blocked && !blind)
        return HOP_NOWHERE;
    for (uint32_t i = 0; i < n; i++)
        if (blind || a->blocked[items[i] / 2] != a->stamp) {
            best = items[i];
            if (!(best & 1)) /* Whatever the function: as good as it gets. */
                break;
        }
    return best;
}

/* ---- candidates: what may be claimed, as far as the rules at hand tell it apart ---- */

enum program_field { FIELD_PROCESS, FIELD_SERVED_BY };

static size_t programs_of(const struct match *m, enum program_field field, const char ***ret_list)
{
    *ret_list = field == FIELD_PROCESS ? m->processes : m->served_by;
    return field == FIELD_PROCESS ? m->n_processes : m->n_served_by;
}

static void add_programs(struct texts *t, const struct match *m, enum program_field field)
{
    const char **list;

    for (size_t n = m ? programs_of(m, field, &list) : 0, i = 0; i < n; i++)
        add_text(t, list[i]);
}

/* Programs that the way takes; when it takes all, those that nevers name, and another. */
static void list_programs(struct hop_asker *a, const struct way *way, size_t n_rules,
                          enum program_field field, struct texts *t)
{
    const char **list;
    size_t n = way->rule ? programs_of(&way->rule->match, field, &list) : 0;

    t->n = 0;
    for (size_t i = 0; i < n; i++)
        add_text(t, list[i]);
    if (n)
        return;
    add_text(t, "");
    for (size_t i = 0; i < n_rules; i++)
        if (a->rules[i]->layer == LAYER_NEVER) {
            add_programs(t, &a->rules[i]->match, field);
            add_programs(t, a->rules[i]->except, field);
        }
}

static void list_people(struct hop_asker *a, const struct way *way, size_t n_rules)
{
    bool matters = false;

    a->people.n = 0;
    add_text(&a->people, way->user);
    for (size_t i = 0; i < n_rules; i++) {
        const struct rule *r = a->rules[i];

        matters = matters || (r->layer == LAYER_NEVER &&
                              (r->match.n_users || (r->except && r->except->n_users)));
    }
    for (size_t i = 0; matters && i < a->h->n_users; i++)
        add_text(&a->people, a->h->users[i]);
}

static void list_candidates(struct hop_asker *a, const struct way *way, size_t n_rules,
                            const struct end *from, const struct end *to)
{
    a->programs.n = a->servers.n = a->people.n = 0;
    if (from->enforcers & ENFORCER_HOST) {
        list_programs(a, way, n_rules, FIELD_PROCESS, &a->programs);
        list_people(a, way, n_rules);
    } else { /* Nobody looks. */
        add_text(&a->programs, "");
        add_text(&a->people, "");
    }
    if (to->enforcers & ENFORCER_HOST)
        list_programs(a, way, n_rules, FIELD_SERVED_BY, &a->servers);
    else
        add_text(&a->servers, "");
}

/* ---- one hop ---- */

struct asking {
    struct hop_asker *a;
    const struct rule *by; /* The way's; NULL: none. */
    const struct end *from, *to;
    size_t n_rules;
    struct hop_facts *ret;
};

static bool passes(const struct asking *q, const struct verdict_facts *facts)
{
    struct verdict_answer answer =
        verdict_judge(q->a->h->world, q->from, q->to, facts, q->a->rules, q->n_rules);

    if (answer.verdict == VERDICT_DENY || answer.rule != q->by)
        return false; /* What passes by another way is that way's. */
    if (q->ret) {
        q->ret->facts = *facts;
        q->ret->answer = answer;
    }
    return true;
}

static bool passes_somehow(const struct asking *q, struct verdict_facts facts)
{
    const struct hop_asker *a = q->a;

    for (size_t i = 0; i < a->programs.n; i++)
        for (size_t j = 0; j < a->people.n; j++)
            for (size_t k = 0; k < a->servers.n; k++) {
                facts.process = a->programs.items[i];
                facts.user = a->people.items[j];
                facts.served_by = a->servers.items[k];
                if (passes(q, &facts))
                    return true;
            }
    return false;
}

static bool menu_has_function(const struct hops *h, const struct menu *m, uint32_t slice, uint8_t f)
{
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &h->world->policy->services[m->services[i]];

        if (slices_in_service(h->slices, slice, m->services[i]) &&
            (!s->n_modbus || memchr(s->modbus, f, s->n_modbus)))
            return true;
    }
    return m->n_services == 0;
}

static bool passes_slice(const struct asking *q, const struct menu *m, const struct way *way,
                         uint32_t slice)
{
    const struct hops *h = q->a->h;
    const struct lists *functions = &h->slices->functions;
    struct verdict_facts facts = {.modbus = 0};

    list_candidates(q->a, way, q->n_rules, q->from, q->to);
    slices_example(h->slices, slice, &facts.protocol, &facts.port);
    if (q->ret)
        q->ret->slice = slice;
    for (uint32_t i = 0; i < list_size(functions, slice); i++) {
        facts.modbus = (int)list_items(functions, slice)[i];
        if (menu_has_function(h, m, slice, (uint8_t)facts.modbus) && passes_somehow(q, facts))
            return true;
    }
    return false;
}

/* The way's own rule, and the nevers that take the source, this slice and the destination. */
static size_t list_rules(struct hop_asker *a, const struct way *way, uint32_t slice,
                         const struct end *to)
{
    const struct hops *h = a->h;
    size_t n = 0;

    if (way->rule)
        a->rules[n++] = way->rule;
    if (is_quarantine(way))
        return n;
    for (size_t i = 0; i < a->n_nevers; i++) {
        const struct match *m = &h->nevers[a->nevers[i]]->match;
        bool on = m->n_services == 0;

        for (size_t k = 0; k < m->n_services && !on; k++)
            on = slices_in_service(h->slices, slice, m->services[k]);
        if (on && selector_takes(&m->to, to))
            a->rules[n++] = h->nevers[a->nevers[i]];
    }
    return n;
}

static bool can_be(const struct asking *q)
{
    return q->from->endpoint || q->to->endpoint; /* Outside to outside is not policy's subject. */
}

bool hop_is_unenforced(const struct end *from, const struct end *to)
{
    unsigned counting = (from->enforcers & STILL_COUNT_AT_SOURCE) | to->enforcers;

    return (from->endpoint || to->endpoint) && !counting;
}

bool hop_exists_free(struct hop_asker *a, const struct menu *m, uint32_t way, uint32_t item,
                     uint32_t to, struct hop_facts *ret)
{
    const struct end_class *classes = a->h->classes->items;
    const struct way *w = &a->h->ways[way];
    struct asking q = {a, w->rule, &classes[a->source].end, &classes[to].end, 0, ret};

    if (!can_be(&q))
        return false;
    if (w->rule)
        a->rules[q.n_rules++] = w->rule;
    return passes_slice(&q, m, w, item / 2);
}

bool hop_exists(struct hop_asker *a, const struct menu *m, uint32_t way, uint32_t to,
                struct hop_facts *ret)
{
    const struct end_class *classes = a->h->classes->items;
    const struct way *w = &a->h->ways[way];
    struct asking q = {a, w->rule, &classes[a->source].end, &classes[to].end, 0, ret};

    if (!can_be(&q))
        return false;
    for (uint32_t i = 0; i < list_size(&m->items, way); i++) {
        uint32_t slice = list_items(&m->items, way)[i] / 2;

        q.n_rules = list_rules(a, w, slice, q.to);
        if (passes_slice(&q, m, w, slice))
            return true;
    }
    return false;
}
