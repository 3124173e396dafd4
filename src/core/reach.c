/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of hops, and walks over it; see reach.h.  reach_furthest() is in reach_furthest.c. */
#include "core/reach.h"

#include "core/reach_graph.h"

#define SEVERAL (UINT32_MAX - 1) /* The root of what more than one box reaches. */

/* ---- building ---- */

struct building {
    struct reach_graph *g;
    const struct hops *h;
    struct hop_asker asker;
    struct table knots;
    struct knot_key { /* Of each knot. */
        uint32_t way, from;
        bool by_look;
    } * keys;
    size_t keys_room;
    uint8_t *asked; /* By look of the destination: 1 yes, 2 no; of the knot that is being made. */
};

static bool is_knot(const void *b_, uint32_t number, const void *key_)
{
    const struct building *b = b_;
    const struct knot_key *key = key_, *k = &b->keys[number];

    return k->way == key->way && k->from == key->from && k->by_look == key->by_look;
}

static uint32_t hash_knot(const struct knot_key *key)
{
    uint32_t words[3] = {key->way, key->from, key->by_look};

    return table_hash(words, sizeof words, 0);
}

/* Calls back for each list of segments that the way goes to. */
static void for_each_target(struct building *b, uint32_t way,
                            void (*act)(struct building *b, uint32_t way, size_t group))
{
    const struct rule *r = b->h->ways[way].rule;
    size_t n_groups = b->h->world->policy->n_groups;

    if (!r || r->match.to.any) {
        act(b, way, n_groups);
        return;
    }
    for (size_t i = 0; i < r->match.to.n_groups; i++)
        act(b, way, r->match.to.groups[i]);
}

static bool asks_yes(struct building *b, uint32_t way, uint32_t item, uint32_t to)
{
    const struct end_class *classes = b->h->classes->items;

    if (b->h->ways[way].kind == WAY_UNENFORCED)
        return hop_is_unenforced(&classes[b->asker.source].end, &classes[to].end);
    if (item == HOP_NOWHERE)
        return hop_exists(&b->asker, &b->h->any_service, way, to, NULL);
    return hop_exists_free(&b->asker, &b->h->any_service, way, item, to, NULL);
}

/* No never takes part: all classes of a segment are alike. */
static void add_segments(struct building *b, uint32_t way, size_t group)
{
    const struct hops *h = b->h;
    uint32_t item = hop_free_item(&b->asker, &h->any_service, way);

    for (uint32_t i = 0; i < list_size(&h->of_group, group); i++) {
        uint32_t segment = list_items(&h->of_group, group)[i];

        if (asks_yes(b, way, item, h->segment_items[h->segments[segment].first]))
            list_add(&b->g->knot_edges, (uint32_t)h->classes->n + segment);
    }
}

/* Classes one by one, but those that look alike to all nevers are asked about once. */
static void add_classes(struct building *b, uint32_t way, size_t group)
{
    const struct hops *h = b->h;

    for (uint32_t i = 0; i < list_size(&h->of_group, group); i++) {
        const struct segment *s = &h->segments[list_items(&h->of_group, group)[i]];

        for (uint32_t k = s->first; k < s->first + s->n; k++) {
            uint32_t to = h->segment_items[k];
            uint8_t *asked = &b->asked[h->to_look[to]];

            if (!*asked)
                *asked = asks_yes(b, way, HOP_NOWHERE, to) ? 1 : 2;
            if (*asked == 1)
                list_add(&b->g->knot_edges, to);
        }
    }
}

static uint32_t make_knot(struct building *b, const struct knot_key *key)
{
    struct reach_graph *g = b->g;
    uint32_t number = (uint32_t)g->n_knots++;

    GROW(b->keys, number, b->keys_room);
    b->keys[number] = *key;
    table_add(&b->knots, hash_knot(key), number);
    if (key->by_look) {
        memset(b->asked, 0, b->h->n_to_looks);
        for_each_target(b, key->way, add_classes);
    } else {
        for_each_target(b, key->way, add_segments);
    }
    list_add(&g->knot_first, (uint32_t)g->knot_edges.n);
    return number;
}

static void add_way(struct building *b, uint32_t class, uint32_t way)
{
    const struct hops *h = b->h;
    uint32_t item =
        h->ways[way].kind == WAY_UNENFORCED ? 0 : hop_free_item(&b->asker, &h->any_service, way);
    bool by_look = item == HOP_NOWHERE || (item & 1);
    const struct knot_key key = {way, by_look ? h->from_look[class] : h->kind[class], by_look};
    uint32_t knot = table_find(&b->knots, hash_knot(&key), is_knot, b, &key);

    if (knot == TABLE_NONE)
        knot = make_knot(b, &key);
    if (b->g->knot_first.items[knot] != b->g->knot_first.items[knot + 1])
        list_add(&b->g->class_edges, knot);
}

static void add_class(struct building *b, uint32_t class)
{
    const struct hops *h = b->h;
    const uint64_t *words = h->classes->items[class].end.groups.words;

    if (h->kind[class] == HOP_NOWHERE)
        return;
    hop_from(&b->asker, class);
    for (size_t word = 0; word <= h->world->n_words; word++) {
        bool last = word == h->world->n_words; /* Any. */

        for (uint64_t left = last ? 1 : words[word]; left; left &= left - 1) {
            size_t g =
                last ? h->world->policy->n_groups : word * 64 + (size_t)__builtin_ctzll(left);

            for (uint32_t i = 0; i < list_size(&h->ways_from, g); i++)
                add_way(b, class, list_items(&h->ways_from, g)[i]);
        }
    }
}

struct reach_graph *reach_graph_new(const struct hops *h)
{
    struct reach_graph *g = xcalloc(1, sizeof *g);
    struct building b = {.g = g, .h = h};
    CLEANUP(free_voidp) void *asked = xcalloc(h->n_to_looks, 1);

    g->hops = h;
    b.asked = asked;
    hop_asker_init(&b.asker, h);
    list_add(&g->knot_first, 0);
    list_add(&g->class_first, 0);
    for (uint32_t i = 0; i < h->classes->n; i++) {
        add_class(&b, i);
        list_add(&g->class_first, (uint32_t)g->class_edges.n);
    }
    hop_asker_done(&b.asker);
    table_done(&b.knots);
    free(b.keys);
    return g;
}

void reach_graph_free(struct reach_graph *g)
{
    if (!g)
        return;
    free(g->class_first.items);
    free(g->class_edges.items);
    free(g->knot_first.items);
    free(g->knot_edges.items);
    free(g);
}

/* ---- walking: each node is passed for at most two roots, so that "another box" is exact ---- */

struct mark {
    uint32_t roots[2];
    uint8_t n;
};

struct passing { /* A class, and the box that it was reached from. */
    uint32_t class, root;
};

struct walk {
    const struct reach_graph *g;
    const uint32_t *owned; /* By class: how many of its ends fell. */
    struct mark *classes, *knots, *segments;
    uint32_t *others, *self; /* By class: hops to its ends; to the one that fell. */
    struct passing *now, *next;
    size_t n_now, n_next, now_room, next_room;
    uint32_t hop;
};

static bool mark(struct mark *m, uint32_t root)
{
    if (m->n == 2 || (m->n == 1 && m->roots[0] == root))
        return false;
    m->roots[m->n++] = root;
    if (root == SEVERAL)
        m->n = 2; /* No box is left out. */
    return true;
}

static void arrive(struct walk *w, uint32_t class, uint32_t root)
{
    bool one = w->owned[class] == 1;

    if (!w->others[class])
        w->others[class] = w->hop;
    if (one && root != class && !w->self[class])
        w->self[class] = w->hop;
    if (!mark(&w->classes[class], root))
        return;
    GROW(w->next, w->n_next, w->next_room);
    w->next[w->n_next++] = (struct passing){class, root};
}

static void pass_segment(struct walk *w, uint32_t segment, uint32_t root)
{
    const struct hops *h = w->g->hops;
    const struct segment *s = &h->segments[segment];

    if (mark(&w->segments[segment], root))
        for (uint32_t i = s->first; i < s->first + s->n; i++)
            arrive(w, h->segment_items[i], root);
}

static void pass_knot(struct walk *w, uint32_t knot, uint32_t root)
{
    const struct reach_graph *g = w->g;
    uint32_t n_classes = (uint32_t)g->hops->classes->n;

    if (!mark(&w->knots[knot], root))
        return;
    for (uint32_t i = g->knot_first.items[knot]; i < g->knot_first.items[knot + 1]; i++) {
        uint32_t to = g->knot_edges.items[i];

        if (to < n_classes)
            arrive(w, to, root);
        else
            pass_segment(w, to - n_classes, root);
    }
}

static void walk_hops(struct walk *w)
{
    const struct reach_graph *g = w->g;

    while (w->n_next) {
        struct passing *swap = w->now;
        size_t room = w->now_room;

        w->now = w->next;
        w->now_room = w->next_room;
        w->n_now = w->n_next;
        w->next = swap;
        w->next_room = room;
        w->n_next = 0;
        w->hop++;
        for (size_t i = 0; i < w->n_now; i++) {
            const struct passing p = w->now[i];

            for (uint32_t k = g->class_first.items[p.class]; k < g->class_first.items[p.class + 1];
                 k++)
                pass_knot(w, g->class_edges.items[k], p.root);
        }
    }
}

static void start(struct walk *w)
{
    for (uint32_t i = 0; i < w->g->hops->classes->n; i++) {
        uint32_t root = w->owned[i] > 1 ? SEVERAL : i;

        if (!w->owned[i] || w->g->hops->kind[i] == HOP_NOWHERE)
            continue;
        (void)mark(&w->classes[i], root);
        GROW(w->next, w->n_next, w->next_room);
        w->next[w->n_next++] = (struct passing){i, root};
    }
}

/* ---- counting ---- */

static void count_endpoint(struct reach *r, uint32_t endpoint, uint32_t hop)
{
    r->hop_of[endpoint] = hop;
    if (!hop)
        return;
    r->by_hop[hop - 1]++;
    r->total++;
    if (hop > r->n_hops)
        r->n_hops = hop;
}

static void count(const struct walk *w, const uint32_t fell[], struct reach *r)
{
    const struct end_classes *c = w->g->hops->classes;

    r->n_endpoints = c->world->inventory->n_endpoints;
    r->hop_of = xcalloc(r->n_endpoints, sizeof *r->hop_of);
    r->by_hop = xcalloc(w->hop + 1, sizeof *r->by_hop);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct end_class *k = &c->items[i];
        bool one = w->owned[i] == 1;

        if (k->outside) {
            uint32_t hop = one && k->n == 1 ? w->self[i] : w->others[i];

            if (hop && (!r->outside_at || hop < r->outside_at))
                r->outside_at = hop;
            continue;
        }
        for (uint32_t m = k->first; m < k->first + k->n; m++) {
            bool self = one && c->members[m] == fell[i];

            count_endpoint(r, c->members[m], self ? w->self[i] : w->others[i]);
        }
    }
}

static void run(const struct reach_graph *g, const uint32_t owned[], const uint32_t fell[],
                struct reach *ret_r)
{
    const struct hops *h = g->hops;
    size_t n = h->classes->n;
    struct walk w = {.g = g, .owned = owned};
    CLEANUP(free_voidp) void *marks = xcalloc(n + g->n_knots + h->n_segments, sizeof(struct mark));
    CLEANUP(free_voidp) void *hops = xcalloc(2 * n, sizeof(uint32_t));

    w.classes = marks;
    w.knots = w.classes + n;
    w.segments = w.knots + g->n_knots;
    w.others = hops;
    w.self = w.others + n;
    *ret_r = (struct reach){.hop_of = NULL};
    start(&w);
    walk_hops(&w);
    count(&w, fell, ret_r);
    free(w.now);
    free(w.next);
}

void reach_of_group(const struct reach_graph *g, uint32_t group, struct reach *ret_r)
{
    const struct end_classes *c = g->hops->classes;
    const struct world *w = c->world;
    CLEANUP(free_voidp) void *memory = xcalloc(2 * c->n, sizeof(uint32_t));
    uint32_t *owned = memory, *fell = owned + c->n;

    for (uint32_t i = 0; i < w->inventory->n_endpoints; i++)
        if (group_set_has(&w->ends[i].groups, group)) {
            owned[c->of_endpoint[i]]++;
            fell[c->of_endpoint[i]] = i;
        }
    for (size_t i = 0; i < w->n_outside; i++)
        owned[c->of_outside[i]] += group_set_has(&w->outside[i].groups, group);
    run(g, owned, fell, ret_r);
}

void reach_of_endpoint(const struct reach_graph *g, uint32_t endpoint, struct reach *ret_r)
{
    const struct end_classes *c = g->hops->classes;
    CLEANUP(free_voidp) void *memory = xcalloc(2 * c->n, sizeof(uint32_t));
    uint32_t *owned = memory, *fell = owned + c->n;

    owned[c->of_endpoint[endpoint]] = 1;
    fell[c->of_endpoint[endpoint]] = endpoint;
    run(g, owned, fell, ret_r);
}

void reach_done(struct reach *r)
{
    free(r->hop_of);
    free(r->by_hop);
    *r = (struct reach){.hop_of = NULL};
}
