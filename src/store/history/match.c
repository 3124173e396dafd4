/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/match.h"

static bool any_edge(const struct history_query *q)
{
    return !q->endpoint && !q->from && !q->to && !q->address && !q->rule && !q->process &&
           !q->user && !q->reporter && q->port < 0 && q->protocol < 0 && q->verdict < 0 &&
           q->origin < 0;
}

static bool same_address(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool ends_match(const struct history_query *q, const struct end *from, const struct end *to)
{
    if (q->from && from->text != q->from)
        return false;
    if (q->to && to->text != q->to)
        return false;
    if (q->endpoint && from->text != q->endpoint && to->text != q->endpoint)
        return false;
    return !q->address || same_address(&from->address, q->address) ||
           same_address(&to->address, q->address);
}

static bool wanted(int asked, int value)
{
    return asked < 0 || asked == value;
}

static bool manner_matches(const struct history_query *q, const struct manner *m)
{
    return (!q->rule || m->rule == q->rule) && (!q->process || m->process == q->process) &&
           (!q->user || m->user == q->user) && wanted(q->port, m->port) &&
           wanted(q->protocol, m->protocol) && wanted(q->verdict, m->verdict) &&
           wanted(q->origin, m->origin);
}

bool query_matches(const struct history_query *q, const struct flow *f)
{
    struct end from, to;
    struct manner manner;

    tables_split(f, &from, &to, &manner);
    return ends_match(q, &from, &to) && manner_matches(q, &manner) &&
           (!q->reporter || f->reporter == q->reporter);
}

static void add(struct match *m, uint32_t edge)
{
    if (m->bits[edge / 64] >> edge % 64 & 1)
        return;
    m->bits[edge / 64] |= UINT64_C(1) << edge % 64;
    GROW(m->edges, m->n, m->room);
    m->edges[m->n++] = edge;
}

static void try_edge(struct match *m, const struct history_query *q, const struct tables *t,
                     uint32_t edge)
{
    const struct edge *e = tables_edge(t, edge);

    if ((!q->reporter || e->reporter == q->reporter) &&
        ends_match(q, tables_end(t, e->from), tables_end(t, e->to)) &&
        manner_matches(q, tables_manner(t, e->manner)))
        add(m, edge);
}

/* All edges, the manners judged once each. */
static void try_all(struct match *m, const struct history_query *q, const struct tables *t,
                    size_t n_edges, size_t n_manners)
{
    CLEANUP(free_voidp) unsigned char *fits = xcalloc(n_manners, 1);

    for (uint32_t i = 0; i < n_manners; i++)
        fits[i] = manner_matches(q, tables_manner(t, i));
    for (uint32_t i = 0; i < n_edges; i++) {
        const struct edge *e = tables_edge(t, i);

        if (fits[e->manner] && (!q->reporter || e->reporter == q->reporter) &&
            ends_match(q, tables_end(t, e->from), tables_end(t, e->to)))
            add(m, i);
    }
}

/* Of sorted ends: the first with this text or a higher one. */
static uint32_t first_end(const struct tables *t, text_t text)
{
    uint32_t low = 0, high = (uint32_t)t->ends.n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (tables_end(t, middle)->text < text)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The edges of an end, by index. */
static void try_end(struct match *m, const struct history_query *q, const struct tables *t,
                    uint32_t end)
{
    const struct tables_index *x = &t->index;

    for (uint32_t i = x->to_start[end]; !q->from && i < x->to_start[end + 1]; i++)
        try_edge(m, q, t, i);
    for (uint32_t i = x->from_start[end]; i < x->from_start[end + 1]; i++)
        if (q->from || !q->to)
            try_edge(m, q, t, x->by_from[i]);
}

/* The same of tables that grow. */
static void try_chains(struct match *m, const struct history_query *q, const struct tables *t,
                       uint32_t end, size_t n_edges)
{
    const struct chains *to = &t->chains->to, *from = &t->chains->from;

    for (uint32_t i = q->from ? CHAINS_END : chains_newest(to, end); i != CHAINS_END;
         i = chains_before(to, i))
        if (i < n_edges)
            try_edge(m, q, t, i);
    for (uint32_t i = q->from || !q->to ? chains_newest(from, end) : CHAINS_END; i != CHAINS_END;
         i = chains_before(from, i))
        if (i < n_edges)
            try_edge(m, q, t, i);
}

static int compare_edges(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

enum { FEW = 512 }; /* One in so many edges: sorting them is quicker than looking at all bits. */

static void sort_edges(struct match *m, size_t n_edges)
{
    if (m->n < n_edges / FEW) {
        if (m->n)
            qsort(m->edges, m->n, sizeof(*m->edges), compare_edges);
        return;
    }
    m->n = 0;
    for (size_t i = 0; i <= n_edges / 64; i++)
        for (uint64_t bits = m->bits[i]; bits; bits &= bits - 1)
            m->edges[m->n++] = (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(bits);
}

static bool end_is_asked(const struct history_query *q, text_t text, const struct end *end)
{
    return text ? end->text == text : same_address(&end->address, q->address);
}

/* Only the edges of the ends that are asked for. */
static void try_ends(struct match *m, const struct history_query *q, const struct tables *t,
                     const struct match_extent *x)
{
    text_t text = q->from ? q->from : q->to ? q->to : q->endpoint;
    bool sorted = t->index.to_start;

    for (uint32_t i = sorted && text ? first_end(t, text) : 0; i < x->n_ends; i++) {
        if (end_is_asked(q, text, tables_end(t, i))) {
            if (sorted)
                try_end(m, q, t, i);
            else
                try_chains(m, q, t, i, x->n_edges);
        } else if (sorted && text) {
            break;
        }
    }
    if (sorted)
        sort_edges(m, x->n_edges);
}

void match_init(struct match *m, const struct history_query *q, const struct tables *t,
                const struct match_extent *extent)
{
    *m = (struct match){.all = any_edge(q)};
    if (m->all)
        return;
    m->bits = xcalloc(extent->n_edges / 64 + 1, sizeof(*m->bits));
    if ((t->index.to_start || t->chains) && (q->endpoint || q->from || q->to || q->address))
        try_ends(m, q, t, extent);
    else
        try_all(m, q, t, extent->n_edges, extent->n_manners);
}

void match_done(struct match *m)
{
    free(m->bits);
    free(m->edges);
}
