/* SPDX-License-Identifier: Apache-2.0 */
/* Halving prefixes; see cover.h. */
#include "core/acl/cover.h"

enum { ALL_BITS = 128 };

typedef unsigned __int128 size128;

enum found { FOUND_NO, FOUND_NOTHING, FOUND_YES }; /* YES: no NO in it, and not added yet. */

struct covering {
    const struct prefix *rows;
    const uint8_t *status;
    const uint32_t *n_yes, *n_no; /* Before each row. */
    const size128 *taken;         /* By the rows before each row. */
    struct prefixes *to;
};

void prefixes_done(struct prefixes *p)
{
    free(p->items);
}

void prefixes_add(struct prefixes *p, const struct address *a, uint8_t length)
{
    GROW(p->items, p->n, p->room);
    p->items[p->n++] = (struct prefix){*a, length};
}

bool prefix_holds(const struct prefix *around, const struct prefix *p)
{
    return around->length <= p->length &&
           address_in_prefix(&p->address, &around->address, around->length);
}

static enum found found_of(uint8_t status)
{
    return status == COVER_NO ? FOUND_NO : status == COVER_YES ? FOUND_YES : FOUND_NOTHING;
}

/* Addresses of a prefix; all of them are 2^128, which is 0 here. */
static size128 size_of(const struct prefix *p)
{
    return p->length ? (size128)1 << (ALL_BITS - p->length) : 0;
}

/* Where the rows of the upper half begin; rows before 'from' and from 'to' on are not within. */
static size_t split(const struct covering *c, size_t from, size_t to, unsigned bit)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (c->rows[middle].address.bytes[bit / 8] & (0x80u >> (bit % 8)))
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

/* Rows from..to lie in 'p'; what is in none of them has the status 'around'. */
static enum found visit(const struct covering *c, struct prefix p, size_t from, size_t to,
                        uint8_t around)
{
    struct prefix upper;
    enum found low, high;
    size_t middle;
    bool yes, no;

    if (from < to && c->rows[from].length == p.length)
        around = c->status[from++];
    if (from == to)
        return found_of(around);
    if (c->taken[to] - c->taken[from] == size_of(&p))
        around = COVER_MAYBE; /* Nothing is left for it. */
    yes = around == COVER_YES || c->n_yes[to] > c->n_yes[from];
    no = around == COVER_NO || c->n_no[to] > c->n_no[from];
    if (!no)
        return yes ? FOUND_YES : FOUND_NOTHING;
    if (!yes)
        return FOUND_NO;
    middle = split(c, from, to, p.length);
    p.length++;
    upper = p;
    upper.address.bytes[(p.length - 1) / 8] |= (uint8_t)(0x80u >> ((p.length - 1) % 8));
    low = visit(c, p, from, middle, around);
    if (low == FOUND_YES) { /* Added before what the upper half adds, and taken back if it fits. */
        size_t before = c->to->n;

        prefixes_add(c->to, &p.address, p.length);
        high = visit(c, upper, middle, to, around);
        if (high != FOUND_NO) {
            c->to->n = before;
            return FOUND_YES;
        }
        return FOUND_NO;
    }
    high = visit(c, upper, middle, to, around);
    if (low == FOUND_NOTHING || high != FOUND_YES)
        return low == FOUND_NOTHING ? high : FOUND_NO;
    prefixes_add(c->to, &upper.address, upper.length);
    return FOUND_NO;
}

/* What each row has that is in no other. */
static void find_own(const struct prefix rows[], size_t n, size128 *own)
{
    size_t around[ALL_BITS + 2], depth = 0;

    for (size_t i = 0; i < n; i++) {
        own[i] = size_of(&rows[i]);
        while (depth && !prefix_holds(&rows[around[depth - 1]], &rows[i]))
            depth--;
        if (depth)
            own[around[depth - 1]] -= size_of(&rows[i]);
        around[depth++] = i;
    }
}

void cover(const struct prefix rows[], const uint8_t status[], size_t n, struct prefixes *to)
{
    CLEANUP(free_voidp) void *counts = xcalloc(2 * (n + 1), sizeof(uint32_t));
    CLEANUP(free_voidp) void *sizes = xcalloc(2 * (n + 1), sizeof(size128));
    uint32_t *n_yes = counts, *n_no = n_yes + n + 1;
    size128 *own = sizes, *taken = own + n + 1;
    const struct covering c = {rows, status, n_yes, n_no, taken, to};

    find_own(rows, n, own);
    for (size_t i = 0; i < n; i++) {
        bool has_own = own[i] || n == 1; /* With others, something is taken from the first. */

        taken[i + 1] = taken[i] + own[i];
        n_yes[i + 1] = n_yes[i] + (has_own && status[i] == COVER_YES);
        n_no[i + 1] = n_no[i] + (has_own && status[i] == COVER_NO);
    }
    if (n && visit(&c, rows[0], 0, n, COVER_NO) == FOUND_YES)
        prefixes_add(to, &rows[0].address, rows[0].length);
}
