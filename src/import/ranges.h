/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.h - sets of whole numbers as sorted ranges: addresses, services, interfaces alike
 *
 * A packet filter's rule is a product of five sets, and working out what a list of rules means is
 * intersecting and subtracting such products.  One kind of set for all five keeps that arithmetic
 * in one place: addresses are their 128 bits, services a number line (import/packet.h), interfaces
 * their numbers.
 *
 * Sets are immutable and live in the caller's arena; an operation shares its argument's memory
 * where the result is the same. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

typedef unsigned __int128 point;

struct range {
    point low, high; /* Both belong to it. */
};

struct ranges { /* Sorted, disjoint, and not touching. */
    const struct range *items;
    size_t n;
};

struct ranges ranges_one(struct arena *a, point low, point high);

/* Of any ranges: unsorted and overlapping is fine.  'items' is sorted in place. */
struct ranges ranges_of(struct arena *a, struct range *items, size_t n);

struct ranges ranges_and(struct arena *a, struct ranges x, struct ranges y);
struct ranges ranges_or(struct arena *a, struct ranges x, struct ranges y);
struct ranges ranges_minus(struct arena *a, struct ranges x, struct ranges y);

bool ranges_overlap(struct ranges x, struct ranges y);
bool ranges_within(struct ranges x, struct ranges y); /* Each of x is in y. */
bool ranges_equal(struct ranges x, struct ranges y);
bool ranges_have(struct ranges x, point p);
