/* SPDX-License-Identifier: Apache-2.0 */
/* draft.h - a policy and an inventory, proposed from what an inherited list lets through
 *
 * Hosts with private addresses become endpoints, named after the well-known port by which others
 * reach them; other hosts and networks become `outside` groups.  An endpoint is never outside, so a
 * network's rule names the endpoints inside it too.  What depends on an interface whose addresses
 * nobody told gets a group without members: closed until a person says who is behind it. */
#pragma once

#include "base/buf.h"
#include "import/resolve.h"

struct draft_options {
    const char *self_name;    /* NULL: no box. */
    const char *const *files; /* For the header. */
    size_t n_files;
};

struct draft {
    struct buf policy, inventory;
    size_t n_allows, n_nevers, n_groups, n_endpoints;
};
void draft_done(struct draft *d);

/* What has no words goes to the ledger, limits to rs->d. */
void draft_write(struct ruleset *rs, const struct resolved *what,
                 const struct draft_options *options, struct draft *ret);
