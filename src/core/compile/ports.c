/* SPDX-License-Identifier: Apache-2.0 */
/* Ports cut where any used service begins or ends; see compiled.h.
 *
 * A few changed services cut only the ports around their own; many cut everything again. */
#include "base/buf.h"
#include "core/compile/compiled.h"

enum { FEW = 16 };

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_range(const void *a_, const void *b_)
{
    const struct range *a = a_, *b = b_;
    int c = COMPARE(a->protocol, b->protocol);

    if (!c)
        c = COMPARE(a->low, b->low);
    if (!c)
        c = COMPARE(a->high, b->high);
    return c ? c : COMPARE(a->service, b->service);
}

static int by_point(const void *a, const void *b)
{
    return COMPARE(*(const uint32_t *)a, *(const uint32_t *)b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct window { /* Ports of one protocol. */
    uint8_t protocol;
    uint32_t low, high;
};

struct windows {
    struct window *items;
    size_t n, room;
};

struct cutting {
    struct compiled *c;
    struct cut *cuts; /* The new ones. */
    size_t n, room;
    struct list services; /* Whose ports were cut. */
    const char **names;
    size_t names_room;
};

/* ---- cutting ---- */

/* The class of ports that exactly these services take. */
static uint32_t class_of(struct cutting *k, const struct range *const active[], size_t n)
{
    struct compiled *c = k->c;
    struct buf b = BUF_INIT;
    uint32_t class;

    while (k->names_room < n)
        GROW(k->names, k->names_room, k->names_room);
    for (size_t i = 0; i < n; i++)
        k->names[i] = numbering_key(&c->names[KIND_SERVICE], active[i]->service);
    if (n > 1)
        qsort(k->names, n, sizeof *k->names, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(k->names[i - 1], k->names[i]) != 0)
            buf_printf(&b, "%s ", k->names[i]);
    class = numbering_use(&c->service_classes, b.data, b.size);
    buf_done(&b);
    return class;
}

/* Cuts a window by the ranges, sorted, that reach into it. */
static void cut(struct cutting *k, const struct window *w, const struct range *const ranges[],
                size_t n)
{
    CLEANUP(free_voidp) void *points_memory = xcalloc(2 * n, sizeof(uint32_t));
    CLEANUP(free_voidp) void *active_memory = xcalloc(n, sizeof(struct range *));
    uint32_t *points = points_memory;
    const struct range **active = active_memory;
    size_t n_active = 0, next = 0;

    for (size_t i = 0; i < n; i++) {
        points[2 * i] = ranges[i]->low < w->low ? w->low : ranges[i]->low;
        points[2 * i + 1] = (ranges[i]->high > w->high ? w->high : ranges[i]->high) + 1u;
    }
    if (n)
        qsort(points, 2 * n, sizeof *points, by_point);
    for (size_t i = 0; i + 1 < 2 * n; i++) {
        size_t kept = 0;

        if (points[i] == points[i + 1])
            continue;
        while (next < n && ranges[next]->low <= points[i])
            active[n_active++] = ranges[next++];
        for (size_t a = 0; a < n_active; a++)
            if (active[a]->high >= points[i])
                active[kept++] = active[a];
        n_active = kept;
        if (!n_active)
            continue;
        GROW(k->cuts, k->n, k->room);
        k->cuts[k->n++] =
            (struct cut){w->protocol, (uint16_t)points[i], (uint16_t)(points[i + 1] - 1),
                         class_of(k, active, n_active)};
    }
}

static size_t first_slice_from(const struct compiled *c, uint8_t protocol, uint32_t port)
{
    size_t low = 0, high = c->n_cuts;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct cut *s = &c->cuts[mid];

        if (s->protocol < protocol || (s->protocol == protocol && s->high < port))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Cuts the ports around [low, high] again: with the slices that touch them, which may now be one
 * with them. */
static void cut_again(struct cutting *k, struct window w)
{
    struct compiled *c = k->c;
    CLEANUP(free_voidp) void *memory = xcalloc(c->n_ranges, sizeof(struct range *));
    const struct range **inside = memory;
    size_t first = first_slice_from(c, w.protocol, w.low ? w.low - 1 : 0), end = first, n = 0;

    while (end < c->n_cuts && c->cuts[end].protocol == w.protocol && c->cuts[end].low <= w.high + 1)
        end++;
    if (end > first) {
        w.low = c->cuts[first].low < w.low ? c->cuts[first].low : w.low;
        w.high = c->cuts[end - 1].high > w.high ? c->cuts[end - 1].high : w.high;
    }
    for (size_t i = 0; i < c->n_ranges; i++) {
        const struct range *r = &c->ranges[i];

        if (r->protocol != w.protocol || r->low > w.high || r->high < w.low)
            continue;
        inside[n++] = r;
        list_add(&k->services, r->service);
    }
    k->n = 0;
    cut(k, &w, inside, n);
    for (size_t i = first; i < end; i++)
        numbering_leave(&c->service_classes, c->cuts[i].class);
    while (c->cuts_room < c->n_cuts + k->n)
        GROW(c->cuts, c->cuts_room, c->cuts_room);
    if (c->n_cuts > end)
        memmove(c->cuts + first + k->n, c->cuts + end, (c->n_cuts - end) * sizeof *c->cuts);
    if (k->n)
        memcpy(c->cuts + first, k->cuts, k->n * sizeof *c->cuts);
    c->n_cuts = c->n_cuts - (end - first) + k->n;
}

static void cut_everything(struct cutting *k)
{
    struct compiled *c = k->c;
    CLEANUP(free_voidp) void *memory = xcalloc(c->n_ranges, sizeof(struct range *));
    const struct range **all = memory;

    for (size_t i = 0; i < c->n_ranges; i++)
        all[i] = &c->ranges[i];
    for (size_t i = 0, end; i < c->n_ranges; i = end) {
        const struct window w = {all[i]->protocol, 0, UINT16_MAX};

        for (end = i; end < c->n_ranges && all[end]->protocol == all[i]->protocol; end++)
            list_add(&k->services, all[end]->service);
        cut(k, &w, all + i, end - i);
    }
    for (size_t i = 0; i < c->n_cuts; i++)
        numbering_leave(&c->service_classes, c->cuts[i].class);
    free(c->cuts);
    c->cuts = k->cuts;
    c->n_cuts = k->n;
    c->cuts_room = k->room;
    k->cuts = NULL;
}

/* ---- ranges ---- */

static void add_window(struct windows *to, const struct range *r)
{
    GROW(to->items, to->n, to->room);
    to->items[to->n++] = (struct window){r->protocol, r->low, r->high};
}

static void take_ranges(struct compiled *c, struct windows *windows)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_ranges; i++)
        if (c->services[c->ranges[i].service].is_changed)
            add_window(windows, &c->ranges[i]);
        else
            c->ranges[kept++] = c->ranges[i];
    c->n_ranges = kept;
}

static void add_ranges(struct compiled *c, uint32_t service, struct windows *windows)
{
    const uint32_t *w = c->objects[KIND_SERVICE][service].words;

    for (uint32_t i = 0; i < w[0]; i++) {
        const uint32_t *port = w + 1 + (size_t)i * PORT_WORDS;

        GROW(c->ranges, c->n_ranges, c->ranges_room);
        c->ranges[c->n_ranges++] =
            (struct range){(uint8_t)port[0], (uint16_t)port[1], (uint16_t)port[2], service};
        add_window(windows, &c->ranges[c->n_ranges - 1]);
    }
}

/* New ranges stand behind the sorted ones. */
static void sort_ranges(struct compiled *c, size_t sorted)
{
    struct range *all = c->ranges;
    size_t kept = 0;

    if (c->n_ranges - sorted > FEW) {
        qsort(all, c->n_ranges, sizeof *all, by_range);
    } else {
        for (size_t i = sorted; i < c->n_ranges; i++) {
            struct range x = all[i];
            size_t at = i;

            while (at > 0 && by_range(&all[at - 1], &x) > 0) {
                all[at] = all[at - 1];
                at--;
            }
            all[at] = x;
        }
    }
    for (size_t i = 0; i < c->n_ranges; i++)
        if (!kept || by_range(&all[kept - 1], &all[i]) != 0)
            all[kept++] = all[i];
    c->n_ranges = kept;
}

/* The classes of a service; true when they are others than before. */
static bool derive(struct compiled *c, uint32_t service)
{
    struct service_state *s = &c->services[service];
    const uint32_t *w = c->objects[KIND_SERVICE][service].words;
    struct list classes = {.n = 0};
    bool changed;

    for (uint32_t i = 0; s->is_cut && i < w[0]; i++) {
        const uint32_t *port = w + 1 + (size_t)i * PORT_WORDS;

        for (size_t k = first_slice_from(c, (uint8_t)port[0], port[1]);
             k < c->n_cuts && c->cuts[k].protocol == port[0] && c->cuts[k].low <= port[2]; k++)
            list_add(&classes, c->cuts[k].class);
    }
    list_sort(&classes);
    changed = classes.n != s->classes.n ||
              (classes.n &&
               memcmp(classes.items, s->classes.items, classes.n * sizeof *classes.items) != 0);
    free(s->classes.items);
    s->classes = classes;
    return changed;
}

bool ports_update(struct compiled *c, struct list *changed)
{
    struct cutting k = {.c = c};
    struct windows windows = {.n = 0};
    size_t sorted, kept = 0;

    list_sort(changed);
    for (size_t i = 0; i < changed->n; i++) {
        uint32_t h = changed->items[i];
        struct service_state *s = &c->services[h];
        bool is_wanted = c->objects[KIND_SERVICE][h].words && s->rules.n;

        if (is_wanted == s->is_cut && !s->is_changed)
            continue; /* Named by another rule than before, no more. */
        s->is_changed = true;
        changed->items[kept++] = h;
    }
    changed->n = kept;
    if (!kept)
        return false;
    take_ranges(c, &windows);
    sorted = c->n_ranges;
    for (size_t i = 0; i < changed->n; i++) {
        struct service_state *s = &c->services[changed->items[i]];

        s->is_changed = false;
        s->is_cut = c->objects[KIND_SERVICE][changed->items[i]].words && s->rules.n;
        if (s->is_cut)
            add_ranges(c, changed->items[i], &windows);
        list_add(&k.services, changed->items[i]);
    }
    sort_ranges(c, sorted);
    if (changed->n > FEW)
        cut_everything(&k);
    for (size_t i = 0; changed->n <= FEW && i < windows.n; i++)
        cut_again(&k, windows.items[i]);
    list_sort(&k.services);
    for (size_t i = 0; i < k.services.n; i++)
        if (derive(c, k.services.items[i])) {
            const struct list *rules = &c->services[k.services.items[i]].rules;

            for (size_t r = 0; r < rules->n; r++)
                commit_touch_rule(c, rules->items[r]);
        }
    free(windows.items);
    free(k.services.items);
    free(k.cuts);
    free(k.names);
    return true;
}

/* ---- before a commit: whose classes may change ---- */

static void touch_overlapping(struct compiled *c, const uint32_t *words)
{
    for (uint32_t i = 0; words && i < words[0]; i++) {
        const uint32_t *port = words + 1 + (size_t)i * PORT_WORDS;

        for (size_t k = 0; k < c->n_ranges; k++) {
            const struct range *r = &c->ranges[k];
            const struct list *rules = &c->services[r->service].rules;

            if (r->protocol != port[0] || r->low > port[2] || r->high < port[1])
                continue;
            for (size_t x = 0; x < rules->n; x++)
                commit_touch_rule(c, rules->items[x]);
        }
    }
}

void ports_touch(struct compiled *c, uint32_t service)
{
    const struct object *o = &c->objects[KIND_SERVICE][service];

    touch_overlapping(c, o->words);
    if (o->is_staged)
        touch_overlapping(c, o->next);
}
