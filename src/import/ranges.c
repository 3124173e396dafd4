/* SPDX-License-Identifier: Apache-2.0 */
/* Merges of sorted lists; see ranges.h. */
#include "import/ranges.h"

static const point largest = ~(point)0;

struct ranges ranges_one(struct arena *a, point low, point high)
{
    const struct range r = {low, high};

    return (struct ranges){arena_copy(a, &r, 1, sizeof r), 1};
}

static int by_low(const void *a_, const void *b_)
{
    const struct range *a = a_, *b = b_;

    return (a->low > b->low) - (a->low < b->low);
}

struct ranges ranges_of(struct arena *a, struct range *items, size_t n)
{
    struct range *to = arena_alloc(a, n, sizeof *to);
    size_t n_to = 0;

    if (n)
        qsort(items, n, sizeof *items, by_low);
    for (size_t i = 0; i < n; i++) {
        struct range *last = n_to ? &to[n_to - 1] : NULL;

        if (last && (last->high == largest || items[i].low <= last->high + 1)) {
            if (items[i].high > last->high)
                last->high = items[i].high;
        } else {
            to[n_to++] = items[i];
        }
    }
    return (struct ranges){to, n_to};
}

struct ranges ranges_and(struct arena *a, struct ranges x, struct ranges y)
{
    struct range *to;
    size_t i = 0, j = 0, n = 0;

    if (ranges_within(x, y))
        return x;
    if (ranges_within(y, x))
        return y;
    to = arena_alloc(a, x.n + y.n, sizeof *to);
    while (i < x.n && j < y.n) {
        const struct range *p = &x.items[i], *q = &y.items[j];
        point low = p->low > q->low ? p->low : q->low;
        point high = p->high < q->high ? p->high : q->high;

        if (low <= high)
            to[n++] = (struct range){low, high};
        if (p->high < q->high)
            i++;
        else
            j++;
    }
    return (struct ranges){to, n};
}

struct ranges ranges_or(struct arena *a, struct ranges x, struct ranges y)
{
    CLEANUP(free_voidp) void *memory = NULL;
    struct range *all;

    if (ranges_within(x, y))
        return y;
    if (ranges_within(y, x))
        return x;
    memory = xcalloc(x.n + y.n, sizeof *all);
    all = memory;
    memcpy(all, x.items, x.n * sizeof *all);
    memcpy(all + x.n, y.items, y.n * sizeof *all);
    return ranges_of(a, all, x.n + y.n);
}

struct ranges ranges_minus(struct arena *a, struct ranges x, struct ranges y)
{
    struct range *to;
    size_t j = 0, n = 0;

    if (!ranges_overlap(x, y))
        return x;
    to = arena_alloc(a, x.n + y.n, sizeof *to);
    for (size_t i = 0; i < x.n; i++) {
        point low = x.items[i].low, high = x.items[i].high;
        bool rest = true;

        while (j < y.n && y.items[j].high < low)
            j++;
        for (size_t k = j; rest && k < y.n && y.items[k].low <= high; k++) {
            if (y.items[k].low > low)
                to[n++] = (struct range){low, y.items[k].low - 1};
            rest = y.items[k].high < high;
            low = rest ? y.items[k].high + 1 : low;
        }
        if (rest)
            to[n++] = (struct range){low, high};
    }
    return (struct ranges){to, n};
}

bool ranges_overlap(struct ranges x, struct ranges y)
{
    size_t i = 0, j = 0;

    while (i < x.n && j < y.n) {
        if (x.items[i].high < y.items[j].low)
            i++;
        else if (y.items[j].high < x.items[i].low)
            j++;
        else
            return true;
    }
    return false;
}

bool ranges_within(struct ranges x, struct ranges y)
{
    size_t j = 0;

    for (size_t i = 0; i < x.n; i++) {
        while (j < y.n && y.items[j].high < x.items[i].low)
            j++;
        if (j == y.n || y.items[j].low > x.items[i].low || y.items[j].high < x.items[i].high)
            return false;
    }
    return true;
}

bool ranges_equal(struct ranges x, struct ranges y)
{
    bool same = x.n == y.n;

    for (size_t i = 0; same && i < x.n; i++)
        same = x.items[i].low == y.items[i].low && x.items[i].high == y.items[i].high;
    return same;
}

bool ranges_have(struct ranges x, point p)
{
    const struct range one = {p, p};

    return ranges_within((struct ranges){&one, 1}, x);
}
