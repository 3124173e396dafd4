/* SPDX-License-Identifier: Apache-2.0 */
/* cover_ask.h - the questions behind cover.h; for its own files only */
#pragma once

#include "core/lint/cover.h"

/* Lists ends and slices of the rule in c->froms, c->tos and c->at_slices; 'by' as in cover_by(). */
void cover_set_rule(struct cover *c, const struct rule *r, struct list_view by);

/* Does the rule take the slice, whatever the function? */
bool cover_on_slice(const struct cover *c, const struct rule *r, uint32_t slice);

/* Do the rules 'by', all of which take the slice and both classes, take there what 'r' takes?
 * '*matched' becomes true when 'r' takes something. */
bool cover_takes_at(struct cover *c, const struct rule *r, struct list_view by, uint32_t from,
                    uint32_t to, uint32_t slice, bool *matched);
