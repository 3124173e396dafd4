/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted by qsort, searched by halves; see list.h. */
#include "core/list.h"

#include "base/base.h"

void list_add(struct list *l, uint32_t x)
{
    GROW(l->items, l->n, l->room);
    l->items[l->n++] = x;
}

void list_drop(struct list *l, uint32_t x)
{
    for (size_t i = l->n; i-- > 0;)
        if (l->items[i] == x) {
            l->items[i] = l->items[--l->n];
            return;
        }
}

static int by_number(const void *a_, const void *b_)
{
    uint32_t a = *(const uint32_t *)a_, b = *(const uint32_t *)b_;

    return (a > b) - (a < b);
}

void list_sort(struct list *l)
{
    size_t kept = 0;
    bool is_sorted = true;

    for (size_t i = 1; i < l->n && is_sorted; i++)
        is_sorted = l->items[i - 1] < l->items[i];
    if (is_sorted)
        return;
    qsort(l->items, l->n, sizeof *l->items, by_number);
    for (size_t i = 0; i < l->n; i++)
        if (!kept || l->items[kept - 1] != l->items[i])
            l->items[kept++] = l->items[i];
    l->n = kept;
}

bool list_view_has(struct list_view v, uint32_t x)
{
    size_t low = 0, high = v.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (v.items[mid] == x)
            return true;
        if (v.items[mid] < x)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

bool list_has(const struct list *l, uint32_t x)
{
    return list_view_has((struct list_view){l->items, (uint32_t)l->n}, x);
}

bool lists_meet(struct list_view a, struct list_view b)
{
    for (uint32_t i = 0, k = 0; i < a.n && k < b.n;)
        if (a.items[i] == b.items[k])
            return true;
        else if (a.items[i] < b.items[k])
            i++;
        else
            k++;
    return false;
}
