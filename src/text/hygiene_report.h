/* SPDX-License-Identifier: Apache-2.0 */
/* hygiene_report.h - which rules are used, and how (core/hygiene.h), in lines and as JSON
 *
 * A narrower rule is written in the policy's own syntax, in the form of `policy fmt`, so that it
 * can be put in the place of the rule. */
#pragma once

#include "base/buf.h"
#include "core/hygiene.h"

struct hygiene_told {
    const struct hygiene *hygiene;
    const struct world *world;
    const struct hygiene_evidence *evidence;
    const char *rule; /* Only this one; NULL: all. */
};

void hygiene_report_text(struct buf *b, const struct hygiene_told *t);
void hygiene_report_json(struct buf *b, const struct hygiene_told *t);

/* "allow:\n  - id: ..." of a rule with what 'x' leaves of its fields. */
void hygiene_write_rule(struct buf *b, const struct policy *p, const struct rule *r,
                        const struct hygiene_narrow *x);

/* Why a rule has its status, as a sentence without its id. */
void hygiene_write_status(struct buf *b, const struct hygiene_evidence *e,
                          const struct hygiene_rule *r);
