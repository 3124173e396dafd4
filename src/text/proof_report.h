/* SPDX-License-Identifier: Apache-2.0 */
/* proof_report.h - proofs and their results, for people and for programs
 *
 *     holds  no path from pos to internet (four.yaml:61:5)
 *            over 9 endpoints and 2 ranges outside, in 8 classes, by 12 kinds of service and 7
 * rules FAILS  no path from pc to db (four.yaml:62:5) 1  pc1 to jump1 by tcp/22 ("ops", as user
 * ops-1) 2  jump1 to db1 by tcp/5432 ("care") */
#pragma once

#include "base/buf.h"
#include "core/proof.h"

/* "no path from pos or office to internet by https" */
void proof_write_name(struct buf *b, const struct policy *policy, const struct proof *p);

void proof_report_text(struct buf *b, const struct policy *policy, const struct proof *p,
                       const struct proof_result *r);

/* {kind, name, file, line, holds, hops, over} */
void proof_report_json(struct buf *b, const struct policy *policy, const struct proof *p,
                       const struct proof_result *r);

/* An array of these, for all proofs of the policy, with a step of 'p' (or NULL) for each; returns
 * how many hold. */
size_t proof_report_all_json(struct buf *b, const struct hops *h, struct progress *p);
