/* SPDX-License-Identifier: Apache-2.0 */
/* people.h - users that no rule tells apart
 *
 * Rules name users and groups of users.  Of the users of the inventory and the names in rules that
 * the same of these take, one stands for all; "" stands for whom no rule takes, and is always
 * there, first. */
#pragma once

#include "core/world.h"

/* On the arena. */
const char **people_apart(struct arena *a, const struct world *w, size_t *ret_n);
