/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - growing lists of numbers: handles, indices, classes
 *
 * A zeroed list is empty; its owner frees 'items'.  "Sorted" means ascending, each once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
    uint32_t *items;
    size_t n, room;
};

struct list_view { /* Numbers of somebody else's. */
    const uint32_t *items;
    uint32_t n;
};

void list_add(struct list *l, uint32_t x);
void list_drop(struct list *l, uint32_t x);              /* One of them; the order may change. */
void list_sort(struct list *l);                          /* And keeps each once. */
bool list_has(const struct list *l, uint32_t x);         /* Of a sorted one. */
bool list_view_has(struct list_view v, uint32_t x);      /* Of a sorted one. */
bool lists_meet(struct list_view a, struct list_view b); /* Both sorted. */
