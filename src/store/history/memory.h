/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - the newest records, until they are sealed into parts
 *
 * One thread adds.  Others may read the first n rows, when the first has told them n and gave them
 * a reference (memory_get()): nothing below n changes. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/base.h"
#include "base/table.h"
#include "store/history/tables.h"

struct memory {
    _Atomic unsigned refs;
    struct tables tables;
    struct pile rows;
    struct tables_chains edges_of;     /* The ends. */
    struct chains rows_of;             /* The edges. */
    struct table ends, manners, edges; /* The adder's. */
    uint64_t first_ms, last_ms;
    /* By piece of rows: its earliest and latest instant. */
    uint64_t piece_first_ms[PILE_PIECES], piece_last_ms[PILE_PIECES];
};

struct memory *memory_new(void);
struct memory *memory_get(struct memory *m);
void memory_put(struct memory *m);
static inline void memory_putp(struct memory **m)
{
    memory_put(*m);
}

void memory_add(struct memory *m, const struct flow *flows, size_t n);
