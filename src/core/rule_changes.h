/* SPDX-License-Identifier: Apache-2.0 */
/* rule_changes.h - which rules say something else than the rule of that id in another policy
 *
 * Compared is what a rule means by the names in it: groups, services and their ports, programs, and
 * of users also who they are in either inventory.  Why, owner and dates do not count, but whether
 * the rule is alive does. */
#pragma once

#include "core/world.h"

/* By rule of 'mine': it has no equal in 'other'.  The caller frees it. */
bool *rule_changes(const struct world *mine, const struct world *other);

/* The user by name, or by a group of the inventory. */
bool user_ref_takes(const struct inventory *inv, const struct user_ref *ref, const char *name);
