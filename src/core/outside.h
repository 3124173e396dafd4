/* SPDX-License-Identifier: Apache-2.0 */
/* outside.h - the addresses that are no endpoint's, cut into ranges
 *
 * Outside groups name prefixes, which may lie in one another.  A range is one distinct prefix; an
 * address belongs to the longest that holds it, and with it to the groups of all ranges around it.
 * ::/0 and the multicast prefixes are always there: multicast and broadcast are reached only by
 * named services (RFC 1112, RFC 919, RFC 4291 section 2.7). */
#pragma once

#include "core/model.h"

#define OUTSIDE_NO_GROUP UINT32_MAX

struct outside_prefix {
    struct prefix prefix;
    uint32_t group; /* Whatever number the caller gives it. */
};

struct outside_node {
    struct prefix prefix;
    uint32_t around; /* The range that holds it; UINT32_MAX: none. */
    bool is_multicast;
    size_t first, n; /* Its own prefixes in the sorted list. */
};

struct outside {
    struct outside_prefix *prefixes; /* Sorted; some have OUTSIDE_NO_GROUP. */
    struct outside_node *nodes; /* Sorted by address and length: a range follows those around. */
    size_t n_prefixes, n_nodes;
};

/* Cuts these prefixes; the caller ends it by outside_done(). */
struct outside outside_cut(const struct outside_prefix prefixes[], size_t n);
void outside_done(struct outside *o);
