/* SPDX-License-Identifier: Apache-2.0 */
/* unprotected_report.h - what nobody carries out, and what holds when a box is owned, for people
 * and for programs
 *
 *     no enforcer: 3 pairs of 2 endpoints or kinds of them ...
 *       printers -> office          1 to 3          3  such as printer1 to pc1
 *       closed by an agent on either end, ... */
#pragma once

#include "base/buf.h"
#include "core/unprotected.h"

/* A set of reasons: bits by enum unprotected_reason. */
#define UNPROTECTED_ALL ((1u << UNPROTECTED_REASONS) - 1)

/* Reads "agent-only,plain-switch".  -EINVAL: anything else. */
int unprotected_reasons_parse(const char *s, unsigned *ret_reasons);

/* Both return the number of pairs by these reasons: 0 means that nothing is unprotected. */
uint64_t unprotected_report_text(struct buf *b, const struct unprotected *u, unsigned reasons);
uint64_t unprotected_report_json(struct buf *b, const struct unprotected *u, unsigned reasons);

/* One endpoint: its enforcers, groups, mode and trust, and who holds when it is owned. */
void unprotected_report_owned_text(struct buf *b, const struct world *w, uint32_t endpoint);
void unprotected_report_owned_json(struct buf *b, const struct world *w, uint32_t endpoint);
