/* SPDX-License-Identifier: Apache-2.0 */
/* coverage_report.h - which tests and proofs notice what, for people and for programs
 *
 *     rule   shop-db     four.yaml:75 web1 /opt/orders to db1 by postgres: allow by shop-db, and 1
 * more group  internet    nothing notices 11 of 12 noticed (91 %): 5 of 5 rules, 6 of 7 groups */
#pragma once

#include "base/buf.h"
#include "core/coverage.h"

/* "web1 /opt/orders as ops-1 to db1 by postgres: allow by shop-db" */
void test_write_name(struct buf *b, const struct policy *p, const struct policy_test *t);

/* Of what counts, rounded down; 100 when nothing counts. */
unsigned coverage_percent(const struct coverage *c);

void coverage_report_text(struct buf *b, const struct coverage *c);

/* The members counted, noticed, percent, rules and groups, without braces around them: each of
 * these with id (or name), file, line, state, tests and proofs; each of those with file, line and
 * text. */
void coverage_report_json(struct buf *b, const struct coverage *c);
