/* SPDX-License-Identifier: Apache-2.0 */
/* ios.h - access lists as IOS and its relatives write them
 *
 * Numbered and named, standard and extended, IPv4 and IPv6; wildcard masks, object groups, remarks.
 * Other lines of a configuration are passed over, but `ip access-group NAME in` and the like say
 * which lists are in use.  "access-list NAME extended", as firewalls of the family write it, has
 * netmasks where routers have wildcard masks. */
#pragma once

#include "import/ruleset.h"
#include "text/policy.h"

/* Adds the file's lists.  Errors go to rs->d. */
void ios_read(struct ruleset *rs, const struct source *source);
