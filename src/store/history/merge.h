/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h - the parts of a day become one
 *
 * A question looks into every part of its window, so few large ones answer quicker than many small
 * ones, and an edge that is in all of them is kept once.  Rows are not touched: a block's edge
 * column gets its new numbers, which keep their order, and the other columns are copied as they
 * are. */
#pragma once

#include "store/history/part.h"

enum { MERGE_PARTS = 8, MERGE_PARTS_MAX = 64, MERGE_EDGES_MAX = 1 << 20 };

/* Which of the parts are worth it; returns how many, 0: none.  At most PART_ROWS_MAX rows. A day
 * that is over is merged when that does not mean to copy much for little; the newest one, and
 * stragglers, when there are MERGE_PARTS of them. */
size_t merge_choose(struct part *const *parts, size_t n, struct part *chosen[MERGE_PARTS_MAX]);

/* Writes the new part.  'info' has day and id, and becomes what was written.  -EUCLEAN: one of them
 * is damaged, and all are marked as not to be merged again.  -EFBIG: too much for one. */
int merge_parts(int folder, struct part *const *parts, size_t n, struct part_info *info);
