/* SPDX-License-Identifier: Apache-2.0 */
/* diff_report.h - a change of meaning for people and for programs
 *
 *     + web may reach db by postgres as program /opt/orders: shop-db, 6 pairs
 *     - office may no longer reach internet by https: was out, now default, 12 pairs
 *     ~ pc1, pc2 may reach db1 by http, which is only reported now: was old, now default, 2 pairs
 *     = mode of web1: test, now enforce
 *
 * An end is told by the groups of the rule when all of these changed, by names when they are few,
 * or else by their number.  Worlds are those that were compared. */
#pragma once

#include "base/buf.h"
#include "core/diff.h"

void diff_report_text(struct buf *b, const struct diff *d, const struct world *before,
                      const struct world *after);

/* The fields of an object: same, incomplete, changes, added, removed, modes. */
void diff_report_json_fields(struct buf *b, const struct diff *d);
