/* SPDX-License-Identifier: Apache-2.0 */
/* format.h - one way to write a policy
 *
 * So that a change in a file is a change in meaning, and not in blanks: sections and fields stand
 * in the order of the language's table, rules have one field a line and an empty line between them,
 * everything smaller is written in brackets, quotes stand only where a YAML reader of any age could
 * take the text for something else.  Comments stay with what they are about (text/comments.h).
 * Names in lists, rules and groups keep their author's order.
 *
 * It cannot change what a file means: the result is read again, and is given back only when it has
 * the same content and the same comments, and formats to itself. */
#pragma once

#include "base/buf.h"
#include "core/diagnostics.h"
#include "text/policy.h"

/* Appends the canonical form of a policy or an inventory to 'out'.  A file may name what another
 * file of the same policy defines: names are not looked up.
 * -EBADMSG: 'd' has the errors.  -ENOTSUP: JSON has no comments and no need.  -EUCLEAN: the result
 * would not be the same policy; a bug of ours, and 'out' is untouched. */
int format_source(const struct source *source, struct diagnostics *d, struct buf *out);
