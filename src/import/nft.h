/* SPDX-License-Identifier: Apache-2.0 */
/* nft.h - "nft -j list ruleset" (libnftables-json(5))
 *
 * Tables of the families ip, ip6 and inet; base chains of type filter at the hooks input, output
 * and forward decide.  Sets and verdict maps become sets and rules; each rule is known by its
 * handle, and by the line and column where its object stands. */
#pragma once

#include "import/ruleset.h"
#include "text/policy.h"

/* Adds the file's chains.  Errors go to rs->d. */
void nft_read(struct ruleset *rs, const struct source *source);
