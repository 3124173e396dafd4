/* SPDX-License-Identifier: Apache-2.0 */
/* diff_pair.h - both sides' verdicts for one pair of ends, compared; private to diff.c
 *
 * For each slice of ports that a rule of the pair tells apart, and one for all others, every
 * program, user, serving program and function that makes a difference is asked of both sides.  What
 * makes none is left out of the answer.  Pairs with the same rules and the same kinds of ends have
 * the same answer, which is kept. */
#pragma once

#include "core/classes.h"
#include "core/diff.h"

struct diff_pair_ends {
    const struct end *from, *to; /* NULL: not there. */
};

struct diff_found {
    enum diff_kind kind;
    struct diff_side side[2];
    const char *process, *user, *served_by; /* NULL: whatever. */
    int modbus;                             /* -1: whatever. */
    uint32_t slice;                         /* 0: what no rule of the pair names. */
};

struct diff_pairs;

/* Borrows worlds; the classes are given later, before anything is judged.  -E2BIG: slices_new(). */
int diff_pairs_new(const struct world *before, const struct world *after,
                   struct diff_pairs **ret_p);
void diff_pairs_free(struct diff_pairs *p);
void diff_pairs_use(struct diff_pairs *p, struct end_classes *const classes[2]);

/* The differences, by slice, until the next call. */
size_t diff_pairs_judge(struct diff_pairs *p, const struct diff_pair_ends ends[2],
                        const struct diff_found **ret_found);

/* Some slice had more than DIFF_MAX_CASES combinations, and was left out. */
bool diff_pairs_incomplete(const struct diff_pairs *p);

/* Names what the slices are, preferring the words of the rules that decide. */
void diff_pairs_services(const struct diff_pairs *p, const uint32_t slices[], size_t n,
                         struct arena *arena, struct diff_change *c);

/* Same change, whatever the slice. */
bool diff_found_same(const struct diff_found *a, const struct diff_found *b);
uint32_t diff_found_hash(const struct diff_found *f);
