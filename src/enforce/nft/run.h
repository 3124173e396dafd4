/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - nft as a child process, and the generation of the kernel's ruleset */
#pragma once

#include "base/buf.h"

/* Runs `nft -j` with this input on what it is told; NULL input: lists our table.  Output of a
 * success is added to 'out', of a failure (-EIO) to 'why'.  Both through memory files: nothing can
 * fill up and wait.  -EFBIG: it said too much. */
int run_nft(const char *binary, const struct buf *input, struct buf *out, struct buf *why);

int generation_open(void); /* A netlink socket, or -errno. */

/* Rises with each transaction of anybody in this network namespace. */
int generation_get(int fd, uint32_t *ret_generation);
