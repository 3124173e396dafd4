/* SPDX-License-Identifier: Apache-2.0 */
/* All reaches at once: cycles are joined (Tarjan 1972), then sets of targets are handed up, one
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
    struct view v;

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

struct closing {
    const struct joining *j;
    uint32_t *first, *members;  /* Nodes by component. */
    uint32_t *weight, *n_nodes; /* Of each component: endpoints; nodes. */
    uint32_t *bit;              /* Of components with endpoints. */
    uint32_t n_bits;
    uint64_t (*sets)[WORDS];
    uint32_t (*sums)[BYTE_VALUES]; /* Of a block: weight of each byte of a set. */
    uint32_t *reach;
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

/* Is a component's own weight within its reach: does it have a cycle?  A set holds what lies below,
 * and the component itself for those above. */
static void close_block(struct closing *c, uint32_t block)
{
    uint32_t weights[BLOCK] = {0};

    for (uint32_t i = 0; i < c->j->n_components; i++)
        if (c->bit[i] / BLOCK == block && c->bit[i] != NONE)
            weights[c->bit[i] % BLOCK] = c->weight[i];
    weigh_bytes(c, weights);
    for (uint32_t i = 0; i < c->j->n_components; i++) {
        uint64_t *set = c->sets[i];
        bool own = c->bit[i] != NONE && c->bit[i] / BLOCK == block;
        uint64_t mask = own ? UINT64_C(1) << (c->bit[i] % WORD_BITS) : 0;

        memset(set, 0, sizeof *c->sets);
        unite(c, i);
        if (own && c->n_nodes[i] > 1)
            set[c->bit[i] % BLOCK / WORD_BITS] |= mask;
        if (c->weight[i])
            c->reach[i] += weigh(c, set);
        if (own)
            set[c->bit[i] % BLOCK / WORD_BITS] |= mask;
    }
}

static void close_all(struct closing *c)
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
        close_block(c, block);
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
    close_all(&c);
    for (uint32_t i = 0; i < classes->n; i++) {
        const struct end_class *k = &classes->items[i];
        uint32_t component = j.component[i];
        /* An end does not reach itself, so a component with a cycle loses one. */
        uint32_t reach = c.reach[component] - (c.n_nodes[component] > 1);
        struct reach_peak p = {classes->members[k->first], k->n, reach};

        if (!k->outside && reach)
            n = offer(peaks, n, room, &p);
    }
    closing_done(&c);
    joining_done(&j);
    return n;
}
