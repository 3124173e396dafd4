/* SPDX-License-Identifier: Apache-2.0 */
/* Breadth-first over the graph of hops; see hop_walk.h. */
#include "core/hop_walk.h"

void hop_walk_init(struct hop_walk *w, const struct hops *h)
{
    size_t n = h->classes->n;

    *w = (struct hop_walk){.h = h};
    w->classes = xcalloc(n + h->n_segments + h->graph->n_knots, sizeof *w->classes);
    w->segments = w->classes + n;
    w->knots = w->segments + h->n_segments;
}

void hop_walk_done(struct hop_walk *w)
{
    free(w->labels);
    free(w->classes);
    *w = (struct hop_walk){.h = NULL};
}

/* False: it was passed for this root, or for enough of them. */
static bool mark(struct hop_mark *m, uint32_t root)
{
    if (m->n == 2 || (m->n == 1 && m->roots[0] == root))
        return false;
    m->roots[m->n++] = root;
    if (root == HOP_SEVERAL)
        m->n = 2; /* No box is left out. */
    return true;
}

static void add_label(struct hop_walk *w, const struct hop_label *l)
{
    if ((w->stay_inside && l->hops && w->h->classes->items[l->class].outside) ||
        !mark(&w->classes[l->class], l->root))
        return;
    GROW(w->labels, w->n, w->room);
    w->labels[w->n++] = *l;
}

void hop_walk_start(struct hop_walk *w, uint32_t class, uint32_t root)
{
    const struct hop_label l = {class, root, HOP_START, 0, 0};

    if (w->h->kind[class] != HOP_NOWHERE)
        add_label(w, &l);
}

static void arrive(struct hop_walk *w, uint32_t class)
{
    const struct hop_label *from = &w->labels[w->passing];
    const struct hop_label l = {class, from->root, w->passing, w->way, from->hops + 1};

    if (w->arrived)
        w->arrived(w, class, l.root, l.hops);
    add_label(w, &l);
}

static void pass_segment(struct hop_walk *w, uint32_t segment)
{
    const struct segment *s = &w->h->segments[segment];

    if (mark(&w->segments[segment], w->labels[w->passing].root))
        for (uint32_t i = s->first; i < s->first + s->n; i++)
            arrive(w, w->h->segment_items[i]);
}

static void pass_knot(struct hop_walk *w, uint32_t knot)
{
    const struct hop_graph *g = w->h->graph;
    struct list_view targets = hop_graph_targets(g, knot);
    uint32_t n_classes = (uint32_t)w->h->classes->n;

    if (!mark(&w->knots[knot], w->labels[w->passing].root))
        return;
    w->way = g->knot_ways.items[knot];
    for (uint32_t i = 0; i < targets.n; i++)
        if (targets.items[i] < n_classes)
            arrive(w, targets.items[i]);
        else
            pass_segment(w, targets.items[i] - n_classes);
}

void hop_walk_on(struct hop_walk *w, uint32_t label)
{
    struct list_view knots = hop_graph_knots(w->h->graph, w->labels[label].class);

    w->passing = label;
    for (uint32_t i = 0; i < knots.n; i++)
        pass_knot(w, knots.items[i]);
}
