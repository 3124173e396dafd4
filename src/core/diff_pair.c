/* SPDX-License-Identifier: Apache-2.0 */
/* Representatives of all that rules tell apart, asked of both sides; see diff_pair.h. */
#include "core/diff_pair_inner.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "core/verdict.h"

/* ---- making ---- */

int diff_pairs_new(const struct world *before, const struct world *after, struct diff_pairs **ret_p)
{
    struct diff_pairs *p = xcalloc(1, sizeof *p);
    const struct policy *a = before->policy, *b = after->policy;
    int r;

    p->w[BEFORE] = before;
    p->w[AFTER] = after;
    p->arena = arena_new();
    p->both.n_services = a->n_services + b->n_services;
    p->both.services = arena_alloc(p->arena, p->both.n_services, sizeof *p->both.services);
    for (size_t i = 0; i < p->both.n_services; i++)
        p->both.services[i] = i < a->n_services ? a->services[i] : b->services[i - a->n_services];
    r = slices_new(&p->both, &p->slices);
    if (r < 0) {
        diff_pairs_free(p);
        return r;
    }
    *ret_p = p;
    return 0;
}

void diff_pairs_use(struct diff_pairs *p, struct end_classes *const classes[SIDES])
{
    p->classes[BEFORE] = classes[BEFORE];
    p->classes[AFTER] = classes[AFTER];
}

void diff_pairs_free(struct diff_pairs *p)
{
    if (!p)
        return;
    for (int side = 0; side < SIDES; side++) {
        free(p->of_source[side].items);
        free(p->rules[side].items);
        free(p->pointers[side]);
        free(p->in_slice[side]);
    }
    for (int d = 0; d < FUNCTION; d++)
        free(p->values[d].items);
    for (size_t i = 0; i < p->n_answers; i++) {
        free(p->answers[i].key);
        free(p->answers[i].found);
    }
    free(p->answers);
    table_done(&p->index);
    free(p->pair_slices.items);
    free(p->key.items);
    free(p->outcomes);
    free(p->found);
    slices_free(p->slices);
    arena_free(p->arena);
    free(p);
}

/* ---- judging ---- */

static struct diff_side ask(const struct diff_pairs *p, int side, const struct diff_pair_ends *ends,
                            const struct verdict_facts *facts)
{
    struct diff_side s = {.verdict = VERDICT_DENY, .layer = LAYER_DEFAULT};
    struct verdict_answer a;

    if (!ends->from || !ends->to)
        return s;
    a = verdict_judge(p->w[side], ends->from, ends->to, facts, p->in_slice[side],
                      p->n_in_slice[side]);
    return (struct diff_side){a.verdict, a.layer, a.rule, true};
}

static struct outcome compare(const struct diff_side side[SIDES])
{
    const struct diff_side *a = &side[BEFORE], *b = &side[AFTER];
    struct outcome o = {.side = {*a, *b}};

    /* What only the roll-out changes is told by mode; what is not there is not reported either. */
    o.differs =
        a->verdict != b->verdict && !(a->layer == LAYER_DEFAULT && b->layer == LAYER_DEFAULT);
    if (a->verdict == VERDICT_DENY)
        o.kind = DIFF_GAIN;
    else if (b->verdict == VERDICT_DENY)
        o.kind = DIFF_LOSE;
    else
        o.kind = b->verdict == VERDICT_ALLOW ? DIFF_SETTLED : DIFF_REPORTED;
    return o;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->differs != b->differs)
        return false;
    return !a->differs || (a->kind == b->kind && a->side[BEFORE].rule == b->side[BEFORE].rule &&
                           a->side[AFTER].rule == b->side[AFTER].rule);
}

struct grid { /* All combinations for one slice. */
    size_t n[DIMENSIONS], all;
    const uint32_t *functions;
};

static size_t step_of(const struct grid *g, int dimension)
{
    size_t step = 1;

    for (int d = 0; d < dimension; d++)
        step *= g->n[d];
    return step;
}

static size_t coordinate(const struct grid *g, size_t i, int dimension)
{
    return i / step_of(g, dimension) % g->n[dimension];
}

static void fill_grid(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES], uint32_t slice,
                      const struct grid *g)
{
    struct verdict_facts f = {.modbus = -1};

    slices_example(p->slices, slice, &f.protocol, &f.port);
    while (p->outcomes_room < g->all)
        GROW(p->outcomes, p->outcomes_room, p->outcomes_room);
    for (size_t i = 0; i < g->all; i++) {
        struct diff_side side[SIDES];

        f.process = p->values[PROCESS].items[coordinate(g, i, PROCESS)];
        f.user = p->values[USER].items[coordinate(g, i, USER)];
        f.served_by = p->values[SERVED_BY].items[coordinate(g, i, SERVED_BY)];
        f.modbus = (int)g->functions[coordinate(g, i, FUNCTION)];
        for (int s = 0; s < SIDES; s++)
            side[s] = ask(p, s, &ends[s], &f);
        p->outcomes[i] = compare(side);
    }
}

static bool matters(const struct diff_pairs *p, const struct grid *g, int dimension)
{
    size_t step = step_of(g, dimension);

    for (size_t i = 0; i < g->all; i++)
        if (coordinate(g, i, dimension) > 0 &&
            !same_outcome(&p->outcomes[i], &p->outcomes[i - coordinate(g, i, dimension) * step]))
            return true;
    return false;
}

static void judge_slice(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES],
                        uint32_t slice)
{
    struct grid g;
    bool shown[DIMENSIONS];

    diff_pair_find_values(p, slice);
    g = (struct grid){.n = {p->values[PROCESS].n, p->values[USER].n, p->values[SERVED_BY].n,
                            list_size(&p->slices->functions, slice)},
                      .all = 1,
                      .functions = list_items(&p->slices->functions, slice)};
    for (int d = 0; d < DIMENSIONS; d++) {
        if (g.n[d] > DIFF_MAX_CASES / g.all) {
            p->incomplete = true;
            return;
        }
        g.all *= g.n[d];
    }
    fill_grid(p, ends, slice, &g);
    for (int d = 0; d < DIMENSIONS; d++)
        shown[d] = matters(p, &g, d);
    for (size_t i = 0; i < g.all; i++) {
        const struct outcome *o = &p->outcomes[i];
        bool is_first = true;

        for (int d = 0; d < DIMENSIONS; d++)
            is_first &= shown[d] || coordinate(&g, i, d) == 0;
        if (!o->differs || !is_first)
            continue;
        GROW(p->found, p->n_found, p->found_room);
        p->found[p->n_found++] = (struct diff_found){
            .kind = o->kind,
            .side = {o->side[BEFORE], o->side[AFTER]},
            .process = shown[PROCESS] ? p->values[PROCESS].items[coordinate(&g, i, PROCESS)] : NULL,
            .user = shown[USER] ? p->values[USER].items[coordinate(&g, i, USER)] : NULL,
            .served_by =
                shown[SERVED_BY] ? p->values[SERVED_BY].items[coordinate(&g, i, SERVED_BY)] : NULL,
            .modbus = shown[FUNCTION] ? (int)g.functions[coordinate(&g, i, FUNCTION)] : -1,
            .slice = slice};
    }
}

static bool is_answer(const void *context, uint32_t number, const void *key)
{
    const struct answer *a = &((const struct diff_pairs *)context)->answers[number];
    const struct list *k = key;

    return a->n_key == k->n && memcmp(a->key, k->items, k->n * sizeof *k->items) == 0;
}

static int by_found(const void *a_, const void *b_)
{
    const struct diff_found *a = a_, *b = b_;
    uint32_t x = diff_found_hash(a), y = diff_found_hash(b);

    if (x != y)
        return x > y ? 1 : -1;
    return (a->slice > b->slice) - (a->slice < b->slice);
}

size_t diff_pairs_judge(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES],
                        const struct diff_found **ret_found)
{
    uint32_t hash, number;
    struct answer *a;

    diff_pair_find_rules(p, ends);
    diff_pair_make_key(p, ends);
    hash = table_hash(p->key.items, p->key.n * sizeof *p->key.items, 0);
    number = table_find(&p->index, hash, is_answer, p, &p->key);
    if (number == TABLE_NONE) {
        diff_pair_find_slices(p);
        p->n_found = 0;
        for (size_t i = 0; i < p->pair_slices.n; i++)
            judge_slice(p, ends, p->pair_slices.items[i]);
        if (p->n_found > 1)
            qsort(p->found, p->n_found, sizeof *p->found, by_found);
        GROW(p->answers, p->n_answers, p->answers_room);
        number = (uint32_t)p->n_answers++;
        a = &p->answers[number];
        *a = (struct answer){.n_key = p->key.n, .n = p->n_found};
        a->key = xreallocarray(NULL, p->key.n, sizeof *a->key);
        memcpy(a->key, p->key.items, p->key.n * sizeof *a->key);
        a->found = xcalloc(p->n_found, sizeof *a->found);
        if (p->n_found)
            memcpy(a->found, p->found, p->n_found * sizeof *a->found);
        table_add(&p->index, hash, number);
    }
    a = &p->answers[number];
    *ret_found = a->found;
    return a->n;
}

bool diff_pairs_incomplete(const struct diff_pairs *p)
{
    return p->incomplete;
}

/* ---- changes that mean the same ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool diff_found_same(const struct diff_found *a, const struct diff_found *b)
{
    for (int side = 0; side < SIDES; side++)
        if (a->side[side].rule != b->side[side].rule ||
            a->side[side].layer != b->side[side].layer ||
            a->side[side].verdict != b->side[side].verdict ||
            a->side[side].exists != b->side[side].exists)
            return false;
    return a->kind == b->kind && same_text(a->process, b->process) && same_text(a->user, b->user) &&
           same_text(a->served_by, b->served_by) && a->modbus == b->modbus;
}

uint32_t diff_found_hash(const struct diff_found *f)
{
    const struct rule *a = f->side[BEFORE].rule, *b = f->side[AFTER].rule;
    const uint32_t numbers[] = {f->kind,
                                a ? a->index + 1 : 0,
                                b ? b->index + 1 : 0,
                                f->side[BEFORE].layer,
                                f->side[AFTER].layer,
                                (uint32_t)f->modbus};
    const char *const texts[] = {f->process, f->user, f->served_by};
    uint32_t hash = table_hash(numbers, sizeof numbers, 0);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        hash = table_hash(texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) : 0, hash);
    return hash;
}

/* ---- what slices are called ---- */

static bool has_all(const struct lists *of_service, uint32_t service, const bool *in)
{
    for (uint32_t i = 0; i < list_size(of_service, service); i++)
        if (!in[list_items(of_service, service)[i]])
            return false;
    return list_size(of_service, service) > 0;
}

static void add_service(struct arena *arena, struct diff_change *c, const char *name)
{
    c->services[c->n_services++] = arena_text(arena, name, strlen(name));
}

static void name_by_rule(const struct diff_pairs *p, int side, const struct rule *r,
                         struct arena *arena, const bool *in, bool *left, struct diff_change *c)
{
    for (size_t i = 0; r && i < r->match.n_services; i++) {
        uint32_t service = diff_pair_services(p, side) + r->match.services[i];
        bool is_new = false;

        if (!has_all(&p->slices->of_service, service, in))
            continue;
        for (uint32_t k = 0; k < list_size(&p->slices->of_service, service); k++) {
            bool *x = &left[list_items(&p->slices->of_service, service)[k]];

            is_new |= *x;
            *x = false;
        }
        if (is_new)
            add_service(arena, c, p->both.services[service].name);
    }
}

void diff_pairs_services(const struct diff_pairs *p, const uint32_t slices[], size_t n,
                         struct arena *arena, struct diff_change *c)
{
    CLEANUP(free_voidp) bool *in = xcalloc(p->slices->n, sizeof *in);
    CLEANUP(free_voidp) bool *left = xcalloc(p->slices->n, sizeof *left);
    static const char *const protocols[] = {
        [IPPROTO_ICMP] = "icmp", [IPPROTO_TCP] = "tcp", [IPPROTO_UDP] = "udp"};

    for (size_t i = 0; i < n; i++)
        in[slices[i]] = left[slices[i]] = true;
    c->other_services = in[0];
    c->services = arena_alloc(arena, p->both.n_services + p->slices->n_ranges, sizeof(char *));
    name_by_rule(p, AFTER, c->after.rule, arena, in, left, c);
    name_by_rule(p, BEFORE, c->before.rule, arena, in, left, c);
    for (size_t i = 0; i < p->slices->n_ranges; i++) {
        const struct slice_range *r = &p->slices->ranges[i];
        struct buf b = BUF_INIT;

        if (!left[r->slice])
            continue;
        buf_printf(&b, "%s/%u", protocols[r->protocol], r->low);
        if (r->high > r->low)
            buf_printf(&b, "-%u", r->high);
        add_service(arena, c, buf_str(&b));
        buf_done(&b);
    }
}
