/* SPDX-License-Identifier: Apache-2.0 */
/* coverage_proof.h - the proofs' part of coverage.h; for its own files only */
#pragma once

#include "core/coverage.h"

/* Takes a step of 'p' for each rule and each group.  -E2BIG: hops_new(). */
int coverage_ask_proofs(struct coverage *c, struct progress *p);

/* The end without one group: the mode of an endpoint may be another then.  'words' holds the
 * set of groups that it is given. */
struct end coverage_end_without(const struct world *w, const struct end *e, uint32_t group,
                                uint64_t *words);
