/* SPDX-License-Identifier: Apache-2.0 */
/* reach_report.h - the blast radius, for people and for programs
 *
 *     pos (3 endpoints) reaches 14 endpoints:
 *       in 1 hop    2   till-server1, till-server2
 *       in 2 hops  12   db1, db2, web1, ...
 *       and what is outside, in 2 hops
 *
 *     pos reach -14 endpoints in 2 hops (31, now 17) */
#pragma once

#include "base/buf.h"
#include "core/reach.h"

/* 'max_hops' 0: all. */
void reach_report_text(struct buf *b, const struct inventory *inv, const struct reach_start *s,
                       const struct reach *r, size_t max_hops);
void reach_report_json(struct buf *b, const struct inventory *inv, const struct reach_start *s,
                       const struct reach *r, size_t max_hops);

void reach_report_peaks_text(struct buf *b, const struct inventory *inv,
                             const struct reach_peak peaks[], size_t n);
void reach_report_peaks_json(struct buf *b, const struct inventory *inv,
                             const struct reach_peak peaks[], size_t n);

/* One line for each of the first 'max', behind the mark; "no group reaches more or less" when there
 * is none. */
void reach_report_changes_text(struct buf *b, const char *mark, const struct reach_change changes[],
                               size_t n, size_t max);
void reach_report_changes_json(struct buf *b, const struct reach_change changes[], size_t n);
