/* SPDX-License-Identifier: Apache-2.0 */
/* finding.h - what is wrong with an inherited rule set, whatever becomes of it
 *
 * W-DUPLICATE     the same rule again, in the same chain
 * W-SHADOWED      rules before it decide everything that it matches
 * W-UNREACHABLE   nothing jumps to its chain, a rule before it decides everything, or no packet can
 *                 match it
 * W-HOST-NETWORK  a host with a network's length: 192.168.128.103/24 is 256 addresses
 * W-SOURCE-PORT   lets in whoever chooses the right source port
 * W-STATELESS     lets packets through by their TCP flags, without a connection
 * W-WIDE          from anywhere to a wide destination, by every protocol
 * W-OWNER         nobody to ask */
#pragma once

#include "import/ruleset.h"

/* What the text alone shows; before or after resolve(). */
void finding_of_text(struct ruleset *rs);

/* What the walk over these base chains has counted on the rules. */
void finding_of_walk(struct ruleset *rs, struct chain *const base[], size_t n);

/* By file, line, column and code. */
void finding_sort(struct ruleset *rs);
