/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - another program, run to its end
 *
 * Input and output go through memory files, so nothing can fill up and wait for us; the environment
 * is LC_ALL=C alone.  It blocks: for short errands of a process that has nothing to do meanwhile.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Runs 'argv' (its first word is the file) with 'input' (NULL: none) and adds what it said to 'out'
 * and 'complaint', at most 'limit' bytes each.  It is killed after 'timeout_ms'.
 * -EIO: it failed, and 'complaint' says why; -ETIME: it was killed; -EFBIG: it said more than
 * 'limit'; others: it could not be started. */
int child_run(const char *const argv[], const struct buf *input, size_t limit, unsigned timeout_ms,
              struct buf *out, struct buf *complaint);
