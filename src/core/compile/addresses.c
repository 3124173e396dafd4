/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody's addresses in the order of programs.  Sorting a hundred thousand endpoints takes a
 * tenth of a second: that is done once, and then each commit puts its rows in their places. */
#include <assert.h>

#include "core/compile/compiled.h"

int address_row_compare(const struct program_address *a, const struct program_address *b)
{
    int r = address_compare(&a->address, &b->address);

    return r ? r : a->length - b->length;
}

static int by_address(const void *a, const void *b)
{
    return address_row_compare(a, b);
}

static void take_endpoint(struct compiled *c, uint32_t h, size_t *n)
{
    const uint32_t *w = c->objects[KIND_ENDPOINT][h].words;

    for (uint32_t i = 0; w && i < w[ENDPOINT_N_ADDRESSES]; i++) {
        struct prefix p = {.length = 128};
        struct address_row row;

        memcpy(&p.address, w + ENDPOINT_ADDRESSES + (size_t)i * ADDRESS_WORDS, sizeof p.address);
        if (member_address_row(c, &p, &row) && row.owner == h)
            c->sorted_addresses[(*n)++] = row.address;
    }
}

void addresses_sort(struct compiled *c)
{
    size_t n = 0;

    if (c->sorted_addresses)
        return;
    c->sorted_addresses = xcalloc(c->addresses.n + c->n_outside, sizeof *c->sorted_addresses);
    for (uint32_t h = 0; h < c->objects_room[KIND_ENDPOINT]; h++)
        take_endpoint(c, h, &n);
    for (size_t i = 0; i < c->n_outside; i++) {
        struct address_row row;

        /* An endpoint may have the very address that an outside group names: it is not outside. */
        if (member_address_row(c, &c->outside[i].prefix, &row) && row.owner == TABLE_NONE)
            c->sorted_addresses[n++] = row.address;
    }
    if (n > 1)
        qsort(c->sorted_addresses, n, sizeof *c->sorted_addresses, by_address);
    c->n_sorted_addresses = n;
    c->addresses_stamp++;
}

void addresses_own(const struct compiled *c, uint32_t endpoint, struct list *to)
{
    const uint32_t *w = c->objects[KIND_ENDPOINT][endpoint].words;

    for (uint32_t i = 0; i < w[ENDPOINT_N_ADDRESSES]; i++) {
        struct program_address key = {.length = 128}, *mine = NULL;

        memcpy(&key.address, w + ENDPOINT_ADDRESSES + (size_t)i * ADDRESS_WORDS,
               sizeof key.address);
        if (c->n_sorted_addresses)
            mine =
                bsearch(&key, c->sorted_addresses, c->n_sorted_addresses, sizeof key, by_address);
        if (mine && member_owner(c, &key.address) == endpoint)
            list_add(to, (uint32_t)(mine - c->sorted_addresses));
    }
    list_sort(to);
}

void addresses_add(struct compiled *c, uint32_t endpoint, struct program *p)
{
    struct list own = {.n = 0};

    addresses_sort(c);
    p->n_addresses = c->n_sorted_addresses;
    p->addresses = xcalloc(p->n_addresses, sizeof *p->addresses);
    memcpy(p->addresses, c->sorted_addresses, p->n_addresses * sizeof *p->addresses);
    addresses_own(c, endpoint, &own);
    for (size_t i = 0; i < own.n; i++)
        p->addresses[own.items[i]].self = true;
    free(own.items);
}

/* ---- what commits change ---- */

/* How many rows from 'from' on come before this one. */
static size_t rows_before(const struct compiled *c, size_t from, const struct program_address *row)
{
    size_t low = from, high = c->n_sorted_addresses;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (address_row_compare(&c->sorted_addresses[middle], row) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - from;
}

/* The rows between those that change are copied as they are. */
static void merge(struct compiled *c, const struct address_rows *before,
                  const struct address_rows *after)
{
    const struct program_address *old = c->sorted_addresses;
    struct program_address *to = xcalloc(c->n_sorted_addresses + after->n, sizeof *to);
    size_t n = 0, at = 0, b = 0, a = 0;

    while (b < before->n || a < after->n) {
        int order = b == before->n ? 1
                    : a == after->n
                        ? -1
                        : address_row_compare(&before->items[b].address, &after->items[a].address);
        const struct program_address *row =
            order <= 0 ? &before->items[b].address : &after->items[a].address;
        size_t same = rows_before(c, at, row);

        memcpy(to + n, old + at, same * sizeof *to);
        n += same;
        at += same;
        if (order <= 0) {
            assert(at < c->n_sorted_addresses && address_row_compare(&old[at], row) == 0);
            at++;
            b++;
        }
        if (order >= 0)
            to[n++] = after->items[a++].address;
    }
    memcpy(to + n, old + at, (c->n_sorted_addresses - at) * sizeof *to);
    free(c->sorted_addresses);
    c->n_sorted_addresses += n - at;
    c->sorted_addresses = to;
}

static bool have_the_same_keys(const struct address_rows *a, const struct address_rows *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (address_row_compare(&a->items[i].address, &b->items[i].address) != 0)
            return false;
    return true;
}

static void replace(struct compiled *c, const struct address_rows *with)
{
    size_t at = 0;

    for (size_t i = 0; i < with->n; i++) {
        const struct program_address *row = &with->items[i].address;

        at += rows_before(c, at, row);
        assert(at < c->n_sorted_addresses &&
               address_row_compare(&c->sorted_addresses[at], row) == 0);
        c->sorted_addresses[at] = *row;
    }
}

void addresses_follow(struct compiled *c, const struct address_rows *before,
                      const struct address_rows *after)
{
    if (!c->sorted_addresses)
        return;
    if (!before) {
        free(TAKE_PTR(c->sorted_addresses));
        return;
    }
    if (!before->n && !after->n)
        return;
    if (have_the_same_keys(before, after))
        replace(c, after); /* Other trust, modes or identities. */
    else
        merge(c, before, after);
    c->addresses_stamp++;
}
