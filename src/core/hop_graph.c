/* SPDX-License-Identifier: Apache-2.0 */
/* Knots are made when a class first needs them; see hop_graph.h. */
#include "core/hop_graph.h"

#include "base/table.h"

struct building {
    struct hop_graph *g;
    const struct hops *h;
    const struct menu *menu;
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
        return hop_exists(&b->asker, b->menu, way, to, NULL);
    return hop_exists_free(&b->asker, b->menu, way, item, to, NULL);
}

/* No never takes part: all classes of a segment are alike. */
static void add_segments(struct building *b, uint32_t way, size_t group)
{
    const struct hops *h = b->h;
    uint32_t item = hop_free_item(&b->asker, b->menu, way);

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
    struct hop_graph *g = b->g;
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
    list_add(&g->knot_ways, key->way);
    return number;
}

static void add_way(struct building *b, uint32_t class, uint32_t way)
{
    const struct hops *h = b->h;
    uint32_t item =
        h->ways[way].kind == WAY_UNENFORCED ? 0 : hop_free_item(&b->asker, b->menu, way);
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

struct hop_graph *hop_graph_new(const struct hops *h, const struct menu *m)
{
    struct hop_graph *g = xcalloc(1, sizeof *g);
    struct building b = {.g = g, .h = h, .menu = m};
    CLEANUP(free_voidp) void *asked = xcalloc(h->n_to_looks, 1);

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

void hop_graph_free(struct hop_graph *g)
{
    if (!g)
        return;
    free(g->class_first.items);
    free(g->class_edges.items);
    free(g->knot_first.items);
    free(g->knot_edges.items);
    free(g->knot_ways.items);
    free(g);
}
