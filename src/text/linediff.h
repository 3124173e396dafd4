/* SPDX-License-Identifier: Apache-2.0 */
/* linediff.h - what changed between two texts, as a unified diff */
#pragma once

#include "base/buf.h"

/* Appends "--- name", "+++ name" and hunks with three lines around each change; nothing for equal
 * texts.  The shortest script is sought (Myers 1986) up to some thousand changed lines; beyond,
 * what lies between the first and the last difference is replaced as a whole. */
void linediff(struct buf *b, const char *name, const char *old, size_t old_size, const char *new,
              size_t new_size);
