/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of ends by what stands before them, asked pair by pair; see unprotected.h. */
#include "core/unprotected.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "core/classes.h"
#include "core/hop.h"
#include "core/verdict.h"

enum {
    V4_BYTES = 15, /* A /24 in the form of address.h. */
    V6_BYTES = 8,  /* A /64. */
    BYTE = 8,
    GROUPS_NAMED = 3,
    NO_FUNCTION = -1,
    UNNAMED_PROTOCOL = 253, /* For experiments (RFC 3692); no service can name it. */
};

const char *unprotected_reason_name(enum unprotected_reason reason)
{
    static const char *const names[] = {"no-enforcer", "agent-only", "plain-switch",
                                        "guessed-identity"};

    return names[reason];
}

const char *unprotected_reason_closed_by(enum unprotected_reason reason)
{
    static const char *const texts[] = {
        "an agent on either end, until that one is owned; an edge or an enforcing switch before "
        "the source, whoever is owned",
        "an edge or an enforcing switch before the source, or any enforcer of the destination's "
        "own",
        "an edge or an enforcing switch before each neighbour, or a network of its own for those "
        "without an enforcer",
        "an edge or an enforcing switch before each neighbour, which binds its addresses to its "
        "MAC and port, or a network of its own for each group",
    };

    return texts[reason];
}

/* ---- asking what no service names ---- */

struct asker {
    const struct world *w;
    const struct rule **rules; /* Alive, without service: no other takes what no service names. */
    size_t n_rules;
    struct verdict_facts facts;
};

static void asker_init(struct asker *a, struct arena *arena, const struct world *w)
{
    *a = (struct asker){.w = w, .facts = {.protocol = UNNAMED_PROTOCOL, .modbus = NO_FUNCTION}};
    a->rules = arena_alloc(arena, w->policy->n_rules, sizeof *a->rules);
    for (size_t i = 0; i < w->policy->n_rules; i++)
        if (!w->policy->rules[i].match.n_services && rule_is_alive(&w->policy->rules[i], w->now_s))
            a->rules[a->n_rules++] = &w->policy->rules[i];
}

static bool is_denied(const struct asker *a, const struct end *from, const struct end *to)
{
    return verdict_judge(a->w, from, to, &a->facts, a->rules, a->n_rules).verdict == VERDICT_DENY;
}

static bool is_outside_denied(const struct asker *a, const struct end *e, bool is_source)
{
    for (size_t i = 0; i < a->w->n_outside; i++) {
        const struct outside_range *o = &a->w->outside[i];
        struct end out = {.groups = o->groups, .mode = MODE_NONE, .is_multicast = o->is_multicast};

        if (!o->is_multicast && is_denied(a, is_source ? e : &out, is_source ? &out : e))
            return true;
    }
    return false;
}

/* ---- ends by the names of their groups ---- */

enum standing { STANDS_NOBODY, STANDS_INSIDE, STANDS_OUTSIDE };

static enum standing standing_of(uint8_t enforcers)
{
    return enforcers & STILL_COUNT_AT_SOURCE ? STANDS_OUTSIDE
           : enforcers                       ? STANDS_INSIDE
                                             : STANDS_NOBODY;
}

struct named_class {
    const char *name;
    uint32_t class;
    enum standing standing;
};

struct label_run { /* Classes of one name and standing. */
    uint32_t first, n;
};

struct search {
    struct asker asker;
    struct arena *arena, *rows_arena;
    struct end_classes *classes;
    struct named_class *named; /* Sorted; without those that an edge or switch stands before. */
    size_t n_named;
    struct label_run *runs;
    size_t n_runs;
    bool *is_target; /* By class: scratch. */
    struct unprotected_row *rows[UNPROTECTED_REASONS];
    size_t room[UNPROTECTED_REASONS];
    struct unprotected *u;
};

static const char *name_of(const struct search *s, const struct end *e)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct policy *p = s->asker.w->policy;
    uint32_t n = 0;

    for (uint32_t g = 0; g < p->n_groups; g++)
        if (group_set_has(&e->groups, g) && n++ < GROUPS_NAMED)
            buf_printf(&b, "%s%s", n > 1 ? ", " : "", p->groups[g].name);
    if (n > GROUPS_NAMED)
        buf_printf(&b, " and %u more", n - GROUPS_NAMED);
    if (!n)
        buf_puts(&b, "no group");
    return arena_text(s->rows_arena, buf_str(&b), b.size);
}

static int compare_named(const void *a, const void *b)
{
    const struct named_class *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r                            ? r
           : x->standing != y->standing ? (int)x->standing - (int)y->standing
                                        : (x->class > y->class) - (x->class < y->class);
}

static void name_classes(struct search *s)
{
    const struct end_classes *c = s->classes;

    s->named = arena_alloc(s->arena, c->n_of_endpoints, sizeof *s->named);
    s->runs = arena_alloc(s->arena, c->n_of_endpoints, sizeof *s->runs);
    s->is_target = arena_alloc(s->arena, c->n, sizeof *s->is_target);
    for (uint32_t i = 0; i < c->n_of_endpoints; i++) {
        enum standing standing = standing_of(c->items[i].end.enforcers);

        if (standing == STANDS_NOBODY)
            s->u->n_bare += c->items[i].n;
        if (standing == STANDS_INSIDE)
            s->u->n_agent_only += c->items[i].n;
        if (standing != STANDS_OUTSIDE)
            s->named[s->n_named++] =
                (struct named_class){name_of(s, &c->items[i].end), i, standing};
    }
    if (s->n_named)
        qsort(s->named, s->n_named, sizeof *s->named, compare_named);
    for (uint32_t i = 0; i < s->n_named; i++) {
        bool is_new = !i || strcmp(s->named[i - 1].name, s->named[i].name) != 0 ||
                      s->named[i - 1].standing != s->named[i].standing;

        if (is_new)
            s->runs[s->n_runs++] = (struct label_run){i, 0};
        s->runs[s->n_runs - 1].n++;
    }
}

static const struct named_class *of_run(const struct search *s, size_t run, uint32_t i)
{
    return &s->named[s->runs[run].first + i];
}

static const struct endpoint *member(const struct search *s, uint32_t class, uint32_t i)
{
    const struct end_classes *c = s->classes;

    return &s->asker.w->inventory->endpoints[c->members[c->items[class].first + i]];
}

/* ---- rows ---- */

static void add_row(struct search *s, const struct unprotected_row *row)
{
    struct unprotected_sum *sum = &s->u->sums[row->reason];
    size_t *room = &s->room[row->reason];

    if (!row->n_pairs)
        return;
    if (sum->n_rows == *room) {
        *room = *room ? *room * 2 : 16;
        s->rows[row->reason] = xreallocarray(s->rows[row->reason], *room, sizeof *row);
    }
    s->rows[row->reason][sum->n_rows++] = *row;
    sum->n_pairs += row->n_pairs;
}

static int compare_rows(const void *a, const void *b)
{
    const struct unprotected_row *x = a, *y = b;
    int r;

    if (x->n_pairs != y->n_pairs)
        return x->n_pairs < y->n_pairs ? 1 : -1;
    r = strcmp(x->from, y->from);
    return r ? r : strcmp(x->to, y->to);
}

static void take_rows(struct search *s)
{
    struct unprotected *u = s->u;

    for (size_t i = 0; i < UNPROTECTED_REASONS; i++) {
        struct unprotected_sum *sum = &u->sums[i];

        if (sum->n_rows)
            qsort(s->rows[i], sum->n_rows, sizeof *s->rows[i], compare_rows);
        sum->n_told = sum->n_rows < UNPROTECTED_MAX_ROWS ? sum->n_rows : UNPROTECTED_MAX_ROWS;
        u->n_rows += sum->n_told;
    }
    u->rows = arena_alloc(u->arena, u->n_rows, sizeof *u->rows);
    for (size_t i = 0, at = 0; i < UNPROTECTED_REASONS; at += u->sums[i++].n_told)
        if (u->sums[i].n_told)
            memcpy(u->rows + at, s->rows[i], u->sums[i].n_told * sizeof *u->rows);
    for (size_t i = 0; i < UNPROTECTED_REASONS; i++)
        free(s->rows[i]);
}

/* ---- pairs of groups ---- */

static void join_pair(struct search *s, struct unprotected_row *row, uint32_t from, uint32_t to,
                      bool *from_counted)
{
    const struct end_class *f = &s->classes->items[from], *t = &s->classes->items[to];
    uint64_t pairs = (uint64_t)f->n * t->n - (from == to ? f->n : 0);

    if (!pairs || !is_denied(&s->asker, &f->end, &t->end))
        return;
    row->n_pairs += pairs;
    if (!*from_counted)
        row->n_from += f->n;
    *from_counted = true;
    if (!s->is_target[to])
        row->n_to += t->n;
    s->is_target[to] = true;
    if (row->from_example)
        return;
    row->from_example = member(s, from, 0);
    row->to_example = member(s, to, from == to ? 1 : 0);
}

static void ask_runs(struct search *s, size_t from, size_t to)
{
    const struct named_class *f = of_run(s, from, 0), *t = of_run(s, to, 0);
    struct unprotected_row row = {.reason = f->standing == STANDS_NOBODY ? UNPROTECTED_NO_ENFORCER
                                                                         : UNPROTECTED_AGENT_ONLY,
                                  .from = f->name,
                                  .to = t->name};

    for (uint32_t i = 0; i < s->runs[from].n; i++) {
        bool counted = false;

        for (uint32_t k = 0; k < s->runs[to].n; k++)
            join_pair(s, &row, of_run(s, from, i)->class, of_run(s, to, k)->class, &counted);
    }
    for (uint32_t k = 0; k < s->runs[to].n; k++)
        s->is_target[of_run(s, to, k)->class] = false;
    add_row(s, &row);
}

static void ask_outside(struct search *s, size_t run, bool is_source)
{
    const struct named_class *e = of_run(s, run, 0);
    struct unprotected_row row = {.reason = e->standing == STANDS_NOBODY ? UNPROTECTED_NO_ENFORCER
                                                                         : UNPROTECTED_AGENT_ONLY,
                                  .from = is_source ? e->name : "outside",
                                  .to = is_source ? "outside" : e->name};

    for (uint32_t i = 0; i < s->runs[run].n; i++) {
        uint32_t class = of_run(s, run, i)->class;
        const struct end_class *c = &s->classes->items[class];

        if (!is_outside_denied(&s->asker, &c->end, is_source))
            continue;
        row.n_pairs += c->n;
        *(is_source ? &row.n_from : &row.n_to) += c->n;
        if (!row.from_example && !row.to_example)
            *(is_source ? &row.from_example : &row.to_example) = member(s, class, 0);
    }
    add_row(s, &row);
}

/* A step for each of them, and one for the segments. */
static int ask_all_runs(struct search *s, struct progress *p)
{
    uint64_t asked, bare = 0;

    for (size_t i = 0; i < s->n_named; i++)
        bare += s->named[i].standing == STANDS_NOBODY;
    asked = bare * s->n_named + s->n_named * s->asker.w->n_outside;
    if (asked > UNPROTECTED_MAX_ASKED)
        return -E2BIG;
    progress_expect(p, s->n_runs + 1);
    for (size_t i = 0; i < s->n_runs; i++) {
        ask_outside(s, i, true);
        if (of_run(s, i, 0)->standing == STANDS_NOBODY)
            ask_outside(s, i, false);
        for (size_t k = 0; k < s->n_runs; k++)
            if (of_run(s, k, 0)->standing == STANDS_NOBODY)
                ask_runs(s, i, k);
        progress_step(p, 1);
    }
    return 0;
}

/* ---- segments ---- */

static size_t bytes_of(const struct address *a)
{
    return address_is_v4(a) ? V4_BYTES : V6_BYTES;
}

static bool is_neighbour(const struct address *a, const struct address *b)
{
    return address_is_v4(a) == address_is_v4(b) && memcmp(a->bytes, b->bytes, bytes_of(a)) == 0;
}

struct counted_class {
    uint32_t class, n, first; /* Members in this segment, and one of them. */
    bool is_counted;
};

struct neighbours { /* The classes met in one segment, without what is behind an edge or switch. */
    struct counted_class *items;
    uint32_t n;
    uint32_t *place; /* By class: place in items, plus 1; valid where items agree. */
    uint32_t *seen;  /* By endpoint: the number of the segment it was last met in. */
    uint32_t number;
    bool *told;                 /* By endpoint: its pairs in a segment were told of. */
    bool is_news, is_bare_news; /* Somebody is not told of; somebody without enforcer is not. */
};

static void meet(const struct search *s, struct neighbours *g, uint32_t endpoint)
{
    uint32_t class = s->classes->of_endpoint[endpoint], at = g->place[class];
    enum standing standing = standing_of(s->classes->items[class].end.enforcers);

    if (g->seen[endpoint] == g->number || standing == STANDS_OUTSIDE)
        return;
    g->seen[endpoint] = g->number;
    g->is_news = g->is_news || !g->told[endpoint];
    g->is_bare_news = g->is_bare_news || (standing == STANDS_NOBODY && !g->told[endpoint]);
    if (!at || at > g->n || g->items[at - 1].class != class) {
        g->items[g->n] = (struct counted_class){.class = class, .first = endpoint};
        at = g->place[class] = ++g->n;
    }
    g->items[at - 1].n++;
}

static void join_neighbours(struct search *s, struct unprotected_row *row, struct counted_class *f,
                            struct counted_class *t, uint32_t other)
{
    const struct end_class *from = &s->classes->items[f->class], *to = &s->classes->items[t->class];
    const struct endpoint *all = s->asker.w->inventory->endpoints;
    uint64_t pairs = (uint64_t)f->n * t->n - (f == t ? f->n : 0);

    if (!pairs || !is_denied(&s->asker, &from->end, &to->end))
        return;
    row->n_pairs += pairs;
    row->n_to += t->is_counted ? 0 : t->n;
    t->is_counted = true;
    if (!row->from_example) {
        row->from_example = &all[f == t ? other : f->first];
        row->to_example = &all[t->first];
    }
}

/* Another member of the class in this stretch of addresses, for an example. */
static uint32_t another(const struct search *s, const struct counted_class *c, size_t i, size_t end)
{
    const struct world_address *a = s->asker.w->addresses;

    for (; i < end; i++)
        if (s->classes->of_endpoint[a[i].endpoint] == c->class && a[i].endpoint != c->first)
            return a[i].endpoint;
    return c->first;
}

static const char *network_of(const struct search *s, const struct address *a)
{
    struct address network = *a;
    char text[ADDRESS_TEXT_SIZE];

    memset(network.bytes + bytes_of(a), 0, sizeof network.bytes - bytes_of(a));
    (void)address_format_prefix(&network, (uint8_t)(bytes_of(a) * BYTE), text);
    return arena_text(s->rows_arena, text, strlen(text));
}

static void ask_segment(struct search *s, struct neighbours *g, size_t i, size_t end)
{
    const struct address *a = &s->asker.w->addresses[i].address;
    struct unprotected_row row = {.reason = UNPROTECTED_PLAIN_SWITCH};

    for (uint32_t f = 0; f < g->n; f++) {
        uint64_t before = row.n_pairs;

        for (uint32_t t = 0; t < g->n; t++)
            if (!s->classes->items[g->items[t].class].end.enforcers)
                join_neighbours(s, &row, &g->items[f], &g->items[t],
                                f == t ? another(s, &g->items[f], i, end) : 0);
        row.n_from += row.n_pairs > before ? g->items[f].n : 0;
    }
    if (!row.n_pairs)
        return;
    row.from = row.to = network_of(s, a);
    add_row(s, &row);
}

/* Does the policy tell them apart, so that there is something in the other's address? */
static bool is_told_apart(const struct search *s, const struct end *a, const struct end *b)
{
    return (a->trust == TRUST_BLACK) != (b->trust == TRUST_BLACK) ||
           memcmp(a->groups.words, b->groups.words,
                  s->asker.w->n_words * sizeof *a->groups.words) != 0;
}

static void ask_addresses(struct search *s, struct neighbours *g, size_t i)
{
    struct unprotected_row row = {.reason = UNPROTECTED_GUESSED_IDENTITY};

    for (uint32_t f = 0; f < g->n; f++) {
        const struct counted_class *from = &g->items[f];
        uint64_t others = 0;

        for (uint32_t t = 0; t < g->n; t++) {
            if (!is_told_apart(s, &s->classes->items[from->class].end,
                               &s->classes->items[g->items[t].class].end))
                continue;
            others += g->items[t].n;
            if (row.from_example)
                continue;
            row.from_example = &s->asker.w->inventory->endpoints[from->first];
            row.to_example = &s->asker.w->inventory->endpoints[g->items[t].first];
        }
        row.n_pairs += from->n * others;
        row.n_from += others ? from->n : 0;
    }
    if (!row.n_pairs)
        return;
    row.n_to = row.n_from; /* Who differs from another one is differed from. */
    row.from = row.to = network_of(s, &s->asker.w->addresses[i].address);
    add_row(s, &row);
}

static int ask_segments(struct search *s)
{
    const struct world *w = s->asker.w;
    struct neighbours g = {
        .items = arena_alloc(s->arena, s->classes->n_of_endpoints, sizeof *g.items),
        .place = arena_alloc(s->arena, s->classes->n_of_endpoints, sizeof *g.place),
        .seen = arena_alloc(s->arena, w->inventory->n_endpoints, sizeof *g.seen),
        .told = arena_alloc(s->arena, w->inventory->n_endpoints, sizeof *g.told)};
    uint64_t asked = 0;

    for (size_t i = 0, end; i < w->n_addresses; i = end) {
        const struct address *a = &w->addresses[i].address;

        g.number++;
        g.n = 0;
        g.is_news = g.is_bare_news = false;
        for (end = i; end < w->n_addresses && is_neighbour(a, &w->addresses[end].address); end++)
            meet(s, &g, w->addresses[end].endpoint);
        if (!g.is_news)
            continue;
        asked += (uint64_t)g.n * g.n;
        if (asked > UNPROTECTED_MAX_ASKED)
            return -E2BIG;
        if (g.is_bare_news)
            ask_segment(s, &g, i, end);
        ask_addresses(s, &g, i);
        for (size_t k = i; k < end; k++)
            g.told[w->addresses[k].endpoint] = true;
    }
    return 0;
}

/* ---- all of it ---- */

int unprotected_new(const struct world *w, struct progress *p, struct unprotected **ret_u)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(), *rows_arena = arena_new();
    CLEANUP(end_classes_freep) struct end_classes *classes = end_classes_new(w, NULL, UINT32_MAX);
    struct unprotected *u = arena_alloc(rows_arena, 1, sizeof *u);
    struct search s = {.arena = arena, .rows_arena = rows_arena, .classes = classes, .u = u};
    int r;

    asker_init(&s.asker, arena, w);
    u->n_endpoints = (uint32_t)w->inventory->n_endpoints;
    name_classes(&s);
    r = ask_all_runs(&s, p);
    if (r == 0)
        r = ask_segments(&s);
    progress_step(p, 1);
    u->arena = rows_arena;
    take_rows(&s);
    if (r < 0)
        return r;
    TAKE_PTR(rows_arena);
    *ret_u = u;
    return 0;
}

void unprotected_free(struct unprotected *u)
{
    if (u)
        arena_free(u->arena);
}

/* ---- one that fell ---- */

static bool is_beside(const struct endpoint *a, const struct endpoint *b)
{
    for (size_t i = 0; i < a->n_addresses; i++)
        for (size_t k = 0; k < b->n_addresses; k++)
            if (is_neighbour(&a->addresses[i], &b->addresses[k]))
                return true;
    return false;
}

static void tell_open(struct unprotected_owned *o, uint32_t endpoint, bool beside)
{
    size_t at = beside ? o->n_beside : o->n_open;

    o->n_open++;
    o->n_beside += beside;
    if (at >= UNPROTECTED_EXAMPLES)
        return;
    if (o->n_told == UNPROTECTED_EXAMPLES)
        o->n_told--;
    memmove(o->open + at + 1, o->open + at, (o->n_told - at) * sizeof *o->open);
    o->open[at] = endpoint;
    o->n_told++;
}

struct unprotected_owned unprotected_owned(const struct world *w, uint32_t endpoint)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const struct endpoint *all = w->inventory->endpoints;
    uint8_t own = all[endpoint].enforcers;
    struct unprotected_owned o = {.still = own & STILL_COUNT_AT_SOURCE,
                                  .gone = own & (uint8_t)~STILL_COUNT_AT_SOURCE};
    struct asker a;

    asker_init(&a, arena, w);
    for (uint32_t i = 0; i < w->inventory->n_endpoints; i++) {
        if (i == endpoint)
            continue;
        o.n_held += all[i].enforcers != 0;
        if (!o.still && !all[i].enforcers && is_denied(&a, &w->ends[endpoint], &w->ends[i]))
            tell_open(&o, i, is_beside(&all[endpoint], &all[i]));
    }
    o.outside_is_open = !o.still && is_outside_denied(&a, &w->ends[endpoint], true);
    return o;
}
