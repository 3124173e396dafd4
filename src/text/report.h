/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - findings for people and for programs
 *
 *     shop.yaml:12:11: error E-UNKNOWN: no group is named "wbe"
 *        12 |     from: wbe
 *           |           ^~~
 *        expected: a group of this policy, or any
 *        nearest: web
 *
 * Foreign text is escaped, and long lines are cut around the caret. */
#pragma once

#include "base/buf.h"
#include "text/policy.h"

/* Sorted by place.  'sources' give the lines under the carets. */
void report_text(struct buf *b, const struct diagnostics *d, const struct source sources[],
                 size_t n);

/* "2 errors, 1 warning" */
void report_summary(struct buf *b, const struct diagnostics *d);

/* A JSON array of {code, severity, file, line, column, message, expected, nearest, fix}. */
void report_json(struct buf *b, const struct diagnostics *d);
