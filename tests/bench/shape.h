/* SPDX-License-Identifier: Apache-2.0 */
/* shape.h - a policy and an inventory of a wanted size, for benchmarks
 *
 * Endpoint i is in group i % GROUPS (and with OVERLAP n in n groups, spread), and each group's
 * rules let one other group in by one TCP port.  With two ZONES, groups with odd numbers and those
 * with even numbers are strangers: nothing leads from one to the other. */
#pragma once

#include "core/model.h"

enum { SHAPE_NAME_SIZE = 24 };

struct shape {
    size_t endpoints, rules, groups, overlap, zones; /* Zones: 1 or 2; then groups are even. */
};

struct address shape_address(size_t i);
void shape_inventory(const struct shape *s, struct inventory *ret);
void shape_policy(const struct shape *s, const struct inventory *inventory, struct policy *ret);

double bench_cpu_s(void); /* Of this process. */
long bench_peak_kb(void); /* Memory, not of whoever started us. */
