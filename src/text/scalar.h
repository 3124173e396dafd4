/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.h - one text in YAML, quoted where it must be */
#pragma once

#include "base/buf.h"
#include "text/comments.h"
#include "text/decode.h"

/* Writes a scalar of 'field' (NULL: a key that the language knows).  Numbers, truth values and
 * keywords stay plain; any other text is plain when no reader, of YAML 1.1 or 1.2, could take it
 * for something else, and stands in double quotes otherwise.  'flow': between brackets. */
void scalar_write(struct buf *b, const struct node *n, const struct field *field, bool flow);

/* Writes a sentence that does not fit into the line (of 'width', being at 'column') as a folded
 * block of lines indented by 'indent', with 'side' behind its mark, and ends the line.
 * False: it fits, or has no places to fold; nothing was written. */
bool scalar_fold(struct buf *b, const struct node *n, size_t indent, size_t column, size_t width,
                 const struct comment *side);
