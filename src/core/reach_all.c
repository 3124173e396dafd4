/* SPDX-License-Identifier: Apache-2.0 */
/* Many reaches at once: cycles are joined (Tarjan 1972), then sets of targets are handed up, one
 * block of targets after the other.  See reach.h. */
#include "core/reach.h"

#include "core/hop_graph.h"

enum { WORDS = 8, WORD_BITS = 64, BLOCK = WORDS * WORD_BITS, BYTES = BLOCK / 8, BYTE_VALUES = 256 };
#define NONE UINT32_MAX

/* Nodes: classes, then segments, then knots. */
struct nodes {
    const struct hops *h;
    uint32_t n_classes, n_segments, n;
};

struct edges {
    const uint32_t *items;
    uint32_t n, add;
};

static struct edges edges_of(const struct nodes *s, uint32_t node)
{
    struct list_view v;

    if (node < s->n_classes) {
        v = hop_graph_knots(s->h->graph, node);
        return (struct edges){v.items, v.n, s->n_classes + s->n_segments};
    }
    if (node < s->n_classes + s->n_segments) {
        const struct segment *x = &s->h->segments[node - s->n_classes];

        return (struct edges){s->h->segment_items + x->first, x->n, 0};
    }
    v = hop_graph_targets(s->h->graph, node - s->n_classes - s->n_segments);
    return (struct edges){v.items, v.n, 0};
}

/* ---- cycles: components are numbered so that edges go to smaller numbers ---- */

struct joining {
    struct nodes nodes;
    uint32_t *index, *low;       /* Of each node; index 0: not seen yet. */
    uint32_t *component;         /* NONE: not known yet. */
    uint32_t *stack, *path, *at; /* Not yet in a component; being looked at, and its next edge. */
    uint32_t n_stack, n_path, n_indices, n_components;
};

static void enter(struct joining *j, uint32_t node)
{
    j->index[node] = j->low[node] = ++j->n_indices;
    j->stack[j->n_stack++] = node;
    j->at[j->n_path] = 0;
    j->path[j->n_path++] = node;
}

static void leave(struct joining *j)
{
    uint32_t node = j->path[--j->n_path], member;

    if (j->n_path) {
        uint32_t above = j->path[j->n_path - 1];

        j->low[above] = j->low[node] < j->low[above] ? j->low[node] : j->low[above];
    }
    if (j->low[node] != j->index[node])
        return;
    do {
        member = j->stack[--j->n_stack];
        j->component[member] = j->n_components;
    } while (member != node);
    j->n_components++;
}

static void join_from(struct joining *j, uint32_t root)
{
    if (!j->index[root])
        enter(j, root);
    while (j->n_path) {
        uint32_t node = j->path[j->n_path - 1], *at = &j->at[j->n_path - 1];
        struct edges e = edges_of(&j->nodes, node);

        if (*at == e.n) {
            leave(j);
            continue;
        }
        uint32_t to = e.items[(*at)++] + e.add;

        if (!j->index[to])
            enter(j, to);
        else if (j->component[to] == NONE && j->index[to] < j->low[node])
            j->low[node] = j->index[to];
    }
}

static void join(struct joining *j)
{
    size_t n = j->nodes.n;

    j->index = xcalloc(n, sizeof *j->index);
    j->low = xcalloc(n, sizeof *j->low);
    j->component = xcalloc(n, sizeof *j->component);
    j->stack = xcalloc(n, sizeof *j->stack);
    j->path = xcalloc(n, sizeof *j->path);
    j->at = xcalloc(n, sizeof *j->at);
    memset(j->component, 0xff, n * sizeof *j->component);
    for (uint32_t i = 0; i < n; i++)
        join_from(j, i);
}

static void joining_done(struct joining *j)
{
    free(j->index);
    free(j->low);
    free(j->component);
    free(j->stack);
    free(j->path);
    free(j->at);
}

/* ---- sets of targets ---- */

struct membership { /* Of ends of one class in a group, sorted by group and component. */
    uint32_t group, component, class;
    uint32_t n; /* Ends. */
};

struct closing {
    const struct joining *j;
    uint32_t *first, *members;  /* Nodes by component. */
    uint32_t *weight, *n_nodes; /* Of each component: endpoints; nodes. */
    uint32_t *bit;              /* Of components with endpoints. */
    uint32_t n_bits;
    uint64_t (*sets)[WORDS];
    uint32_t (*sums)[BYTE_VALUES]; /* Of a block: weight of each byte of a set. */
    uint32_t *reach;
    uint32_t block; /* That 'sets' are about. */

    const struct membership *memberships; /* Of reach_totals(). */
    size_t n_memberships;
    uint32_t *totals;
};

static void list_components(struct closing *c)
{
    const struct joining *j = c->j;
    const struct end_class *classes = j->nodes.h->classes->items;

    for (uint32_t i = 0; i < j->nodes.n; i++)
        c->first[j->component[i] + 1]++;
    for (uint32_t i = 0; i < j->n_components; i++)
        c->first[i + 1] += c->first[i];
    for (uint32_t i = 0; i < j->nodes.n; i++)
        c->members[c->first[j->component[i]] + c->n_nodes[j->component[i]]++] = i;
    for (uint32_t i = 0; i < j->nodes.n_classes; i++)
        if (!classes[i].outside)
            c->weight[j->component[i]] += classes[i].n;
    for (uint32_t i = 0; i < j->n_components; i++)
        c->bit[i] = c->weight[i] ? c->n_bits++ : NONE;
}

static void unite(struct closing *c, uint32_t component)
{
    const struct joining *j = c->j;
    uint64_t *set = c->sets[component];

    for (uint32_t i = c->first[component]; i < c->first[component + 1]; i++) {
        struct edges e = edges_of(&j->nodes, c->members[i]);

        for (uint32_t k = 0; k < e.n; k++) {
            uint32_t to = j->component[e.items[k] + e.add];

            for (int w = 0; to != component && w < WORDS; w++)
                set[w] |= c->sets[to][w];
        }
    }
}

static bool has_cycle(const struct closing *c, uint32_t component)
{
    return c->n_nodes[component] > 1;
}

static bool has_bit_here(const struct closing *c, uint32_t component)
{
    return c->bit[component] != NONE && c->bit[component] / BLOCK == c->block;
}

static size_t word_of(const struct closing *c, uint32_t component)
{
    return c->bit[component] % BLOCK / WORD_BITS;
}

static uint64_t mask_of(const struct closing *c, uint32_t component)
{
    return UINT64_C(1) << (c->bit[component] % WORD_BITS);
}

static void weigh_bytes(struct closing *c, const uint32_t weights[BLOCK])
{
    for (int byte = 0; byte < BYTES; byte++)
        for (int value = 1; value < BYTE_VALUES; value++)
            c->sums[byte][value] = c->sums[byte][value & (value - 1)] +
                                   weights[byte * 8 + __builtin_ctz((unsigned)value)];
}

static uint32_t weigh(const struct closing *c, const uint64_t set[WORDS])
{
    uint32_t sum = 0;

    for (int byte = 0; byte < BYTES; byte++)
        sum += c->sums[byte][(set[byte / 8] >> (byte % 8 * 8)) & (BYTE_VALUES - 1)];
    return sum;
}

/* The sets of a block: what each component reaches, itself only where it has a cycle; then, for
 * those above, itself. */
static void close_block(struct closing *c, uint32_t block, void (*use)(struct closing *c))
{
    uint32_t weights[BLOCK] = {0};

    for (uint32_t i = 0; i < c->j->n_components; i++)
        if (c->bit[i] / BLOCK == block && c->bit[i] != NONE)
            weights[c->bit[i] % BLOCK] = c->weight[i];
    weigh_bytes(c, weights);
    c->block = block;
    for (uint32_t i = 0; i < c->j->n_components; i++) {
        uint64_t *set = c->sets[i];

        memset(set, 0, sizeof *c->sets);
        unite(c, i);
        if (has_bit_here(c, i))
            set[word_of(c, i)] |= mask_of(c, i);
        if (c->weight[i] && !c->memberships)
            c->reach[i] +=
                weigh(c, set) - (has_bit_here(c, i) && !has_cycle(c, i) ? c->weight[i] : 0);
    }
    if (use)
        use(c);
}

static void close_all(struct closing *c, void (*use)(struct closing *c))
{
    size_t n = c->j->n_components;

    c->first = xcalloc(n + 1, sizeof *c->first);
    c->members = xcalloc(c->j->nodes.n, sizeof *c->members);
    c->weight = xcalloc(n, sizeof *c->weight);
    c->n_nodes = xcalloc(n, sizeof *c->n_nodes);
    c->bit = xcalloc(n, sizeof *c->bit);
    c->sets = xcalloc(n, sizeof *c->sets);
    c->sums = xcalloc(BYTES, sizeof *c->sums);
    c->reach = xcalloc(n, sizeof *c->reach);
    list_components(c);
    for (uint32_t block = 0; block * BLOCK < c->n_bits; block++)
        close_block(c, block, use);
}

static void closing_done(struct closing *c)
{
    free(c->first);
    free(c->members);
    free(c->weight);
    free(c->n_nodes);
    free(c->bit);
    free(c->sets);
    free(c->sums);
    free(c->reach);
}

/* ---- the furthest ---- */

static bool is_further(const struct reach_peak *a, const struct reach_peak *b)
{
    return a->reach > b->reach || (a->reach == b->reach && a->endpoint < b->endpoint);
}

static size_t offer(struct reach_peak peaks[], size_t n, size_t room, const struct reach_peak *p)
{
    size_t i = n;

    if (n < room)
        n++;
    else if (!room || !is_further(p, &peaks[--i]))
        return n;
    for (; i > 0 && is_further(p, &peaks[i - 1]); i--)
        peaks[i] = peaks[i - 1];
    peaks[i] = *p;
    return n;
}

size_t reach_furthest(const struct hops *h, struct reach_peak peaks[], size_t room)
{
    const struct end_classes *classes = h->classes;
    struct joining j = {.nodes = {h, (uint32_t)classes->n, (uint32_t)h->n_segments,
                                  (uint32_t)(classes->n + h->n_segments + h->graph->n_knots)}};
    struct closing c = {.j = &j};
    size_t n = 0;

    join(&j);
    close_all(&c, NULL);
    for (uint32_t i = 0; i < classes->n; i++) {
        const struct end_class *k = &classes->items[i];
        uint32_t component = j.component[i];
        /* An end does not reach itself, so a component with a cycle loses one. */
        uint32_t reach = c.reach[component] - has_cycle(&c, component);
        struct reach_peak p = {classes->members[k->first], k->n, reach};

        if (!k->outside && reach)
            n = offer(peaks, n, room, &p);
    }
    closing_done(&c);
    joining_done(&j);
    return n;
}

/* ---- all groups ---- */

static int by_component(const void *a_, const void *b_)
{
    const struct membership *a = a_, *b = b_;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->component != b->component)
        return a->component < b->component ? -1 : 1;
    return (a->class > b->class) - (a->class < b->class);
}

/* Sorts, and joins what is of the same class. */
static size_t join_memberships(struct membership *m, size_t n)
{
    size_t kept = 0;

    if (n)
        qsort(m, n, sizeof *m, by_component);
    for (size_t i = 0; i < n; i++)
        if (kept && by_component(&m[kept - 1], &m[i]) == 0)
            m[kept - 1].n += m[i].n;
        else
            m[kept++] = m[i];
    return kept;
}

static struct membership *list_memberships(const struct hops *h, const struct joining *j,
                                           size_t *ret_n)
{
    const struct world *w = h->world;
    struct membership *all = NULL;
    size_t n = 0, room = 0;

    for (uint32_t i = 0; i < w->inventory->n_endpoints; i++) {
        uint32_t class = h->classes->of_endpoint[i];

        for (size_t k = 0; k < w->n_words; k++)
            for (uint64_t left = w->ends[i].groups.words[k]; left; left &= left - 1) {
                uint32_t g = (uint32_t)(k * WORD_BITS + (size_t)__builtin_ctzll(left));

                GROW(all, n, room);
                all[n++] = (struct membership){g, j->component[class], class, 1};
            }
    }
    *ret_n = join_memberships(all, n);
    return all;
}

/* One end alone in a component with a cycle: that cycle leads it to itself. */
static bool is_alone(const struct membership *m, const struct membership *end)
{
    return m->n == 1 && (m + 1 == end || m[1].group != m->group || m[1].component != m->component);
}

static bool is_first_of_component(const struct membership *start, const struct membership *m)
{
    return m == start || m[-1].component != m->component;
}

/* What one group reaches in this block: bits that some component has, and that more than one has.
 */
static void add_group(struct closing *c, const struct membership *start,
                      const struct membership *end)
{
    uint64_t once[WORDS] = {0}, twice[WORDS] = {0};

    for (const struct membership *m = start; m < end; m++) {
        const uint64_t *set = c->sets[m->component];
        bool own = has_bit_here(c, m->component) && !has_cycle(c, m->component);

        if (!is_first_of_component(start, m))
            continue;
        for (size_t w = 0; w < WORDS; w++) {
            uint64_t reached =
                set[w] & ~(own && w == word_of(c, m->component) ? mask_of(c, m->component) : 0);

            twice[w] |= once[w] & reached;
            once[w] |= reached;
        }
    }
    c->totals[start->group] += weigh(c, once);
    for (const struct membership *m = start; m < end; m++)
        if (has_bit_here(c, m->component) && has_cycle(c, m->component) &&
            is_first_of_component(start, m) && is_alone(m, end) &&
            (once[word_of(c, m->component)] & mask_of(c, m->component)) &&
            !(twice[word_of(c, m->component)] & mask_of(c, m->component)))
            c->totals[start->group]--;
}

static void add_groups(struct closing *c)
{
    const struct membership *end = c->memberships + c->n_memberships, *next;

    for (const struct membership *m = c->memberships; m < end; m = next) {
        for (next = m + 1; next < end && next->group == m->group;)
            next++;
        add_group(c, m, next);
    }
}

/* Components whose ends get outside; edges go to smaller numbers. */
static void find_outside(const struct closing *c, bool gets_out[])
{
    const struct joining *j = c->j;
    const struct end_class *classes = j->nodes.h->classes->items;

    for (uint32_t i = 0; i < j->n_components; i++)
        for (uint32_t k = c->first[i]; k < c->first[i + 1]; k++) {
            uint32_t node = c->members[k];
            struct edges e = edges_of(&j->nodes, node);

            gets_out[i] = gets_out[i] || (node < j->nodes.n_classes && classes[node].outside);
            for (uint32_t x = 0; x < e.n && !gets_out[i]; x++)
                gets_out[i] = gets_out[j->component[e.items[x] + e.add]];
        }
}

void reach_totals(const struct hops *h, uint32_t totals[], bool outside[])
{
    struct joining j = {.nodes = {h, (uint32_t)h->classes->n, (uint32_t)h->n_segments,
                                  (uint32_t)(h->classes->n + h->n_segments + h->graph->n_knots)}};
    struct closing c = {.j = &j, .totals = totals};
    CLEANUP(free_voidp) struct membership *memberships = NULL;
    CLEANUP(free_voidp) void *memory = NULL;
    bool *gets_out;

    join(&j);
    memory = xcalloc(j.n_components, sizeof *gets_out);
    gets_out = memory;
    memberships = list_memberships(h, &j, &c.n_memberships);
    c.memberships = memberships;
    memset(totals, 0, h->world->policy->n_groups * sizeof *totals);
    memset(outside, 0, h->world->policy->n_groups * sizeof *outside);
    close_all(&c, add_groups);
    find_outside(&c, gets_out);
    for (size_t i = 0; i < c.n_memberships; i++)
        outside[c.memberships[i].group] |= gets_out[c.memberships[i].component];
    closing_done(&c);
    joining_done(&j);
}
