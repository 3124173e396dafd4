/* SPDX-License-Identifier: Apache-2.0 */
/* diff_pair_inner.h - what the two files of diff_pair.h share: the pair that is being judged */
#pragma once

#include "base/table.h"
#include "core/diff_pair.h"
#include "core/list.h"
#include "core/slices.h"

enum { SIDES = 2, BEFORE = 0, AFTER = 1 };
#define SOMETHING_ELSE "?" /* No path and no name is written like this. */

enum dimension { PROCESS, USER, SERVED_BY, FUNCTION, DIMENSIONS };

struct texts {
    const char **items;
    size_t n, room;
};

struct answer { /* To one list of rules and kind of ends. */
    uint32_t *key;
    size_t n_key;
    struct diff_found *found;
    size_t n;
};

struct outcome {
    bool differs;
    enum diff_kind kind;
    struct diff_side side[SIDES];
};

struct diff_pairs {
    const struct world *w[SIDES];
    struct end_classes *classes[SIDES];
    struct policy both; /* The services of both sides, one behind the other. */
    struct slices *slices;
    struct arena *arena;

    const struct end *source[SIDES]; /* Whose rules these are. */
    struct list of_source[SIDES];
    struct list rules[SIDES]; /* Of the pair. */
    const struct rule **pointers[SIDES];
    size_t pointers_room[SIDES];
    const struct rule **in_slice[SIDES]; /* Those that may take the slice. */
    size_t n_in_slice[SIDES], in_slice_room[SIDES];
    bool incomplete;
    struct texts values[DIMENSIONS - 1];
    struct list pair_slices;
    struct list key;
    struct outcome *outcomes;
    size_t outcomes_room;
    struct diff_found *found;
    size_t n_found, found_room;
    struct answer *answers;
    size_t n_answers, answers_room;
    struct table index;
};

/* ---- diff_pair_try.c ---- */

/* Of the pair: its rules; all on which its answer depends; its slices. */
void diff_pair_find_rules(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES]);
void diff_pair_make_key(struct diff_pairs *p, const struct diff_pair_ends ends[SIDES]);
void diff_pair_find_slices(struct diff_pairs *p);

/* The rules that may take the slice, and what they tell apart. */
void diff_pair_find_values(struct diff_pairs *p, uint32_t slice);

/* Where the services of a side begin among those of both. */
static inline uint32_t diff_pair_services(const struct diff_pairs *p, int side)
{
    return side == AFTER ? (uint32_t)p->w[BEFORE]->policy->n_services : 0;
}
