/* SPDX-License-Identifier: Apache-2.0 */
/* lint.h - what a policy that reads well still gets wrong
 *
 * Each has a code, a place, an explanation and a fix; docs/policy.md says what each means exactly.
 * One family a file in core/lint/.
 *
 * E-WIDEN       a check that no enforcer can make (needs an inventory)
 * E-UNKNOWN     a member that the inventory does not have
 * W-EMPTY       a group without endpoints, a user group without members
 * W-EXPIRED     a rule that no longer matches
 * W-CROSS       two rules whose conditions live at different places: the ends together would let
 *               through a combination that no single rule allows
 * W-DEAD        a rule that others of its layer cover
 * W-NEVER-HIDES an allow of which nevers leave nothing
 * W-MODE-HOLE   a group in learn or test mode that is a bridge (needs an inventory)
 * W-PLAIN-SWITCH neighbours whom nobody keeps apart (needs an inventory)
 * W-WIDE        what a rule lists and no endpoint uses (needs an inventory)
 * N-NO-ALLOW    "an empty allow list means nothing is allowed"
 * N-UNFINISHED  some of the above was not looked for everywhere: that would take too long
 *
 * Size: 100,000 endpoints, each in three of 1,000 groups, and 10,000 rules take 0.25 CPU-s beside
 * world_new(); policies made to be hard (10,000 rules from any, or each with its own programs) up
 * to 1 CPU-s, where N-UNFINISHED ends the search. */
#pragma once

#include "core/world.h"

/* Adds what it finds to 'd'.  'w->inventory' may be empty: then only what needs no inventory is
 * looked at when 'has_inventory' is false. */
void policy_lint(const struct world *w, bool has_inventory, struct diagnostics *d);

/* Runs the policy's own tests; each that fails is an E-TEST, and an E-UNKNOWN when the inventory
 * lacks one of its ends.  Returns the number that passed. */
size_t policy_run_tests(const struct world *w, struct diagnostics *d);

/* Runs one of them, by its index in policy.tests; true when it passed. */
bool policy_run_test(const struct world *w, size_t i, struct diagnostics *d);
