/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - nft as a child process, and the generation of the kernel's ruleset */
#pragma once

#include "base/buf.h"

enum nft_errand {
    NFT_LIST,  /* Our table, without its counters; 'input' is NULL. */
    NFT_LOAD,  /* The commands of 'input'. */
    NFT_CHECK, /* Whether the kernel would take them; nothing is changed. */
};

/* Runs `nft -j`, for a minute at most.  Output of a success is added to 'out', of a failure (-EIO)
 * to 'why'.  Other errors as of sys/child.h. */
int run_nft(const char *binary, enum nft_errand errand, const struct buf *input, struct buf *out,
            struct buf *why);

int generation_open(void); /* A netlink socket, or -errno. */

/* Rises with each transaction of anybody in this network namespace. */
int ruleset_generation(int fd, uint32_t *ret_generation);
