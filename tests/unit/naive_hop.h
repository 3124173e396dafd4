/* SPDX-License-Identifier: Apache-2.0 */
/* naive_hop.h - who can be reached from where, by asking naive_judge() about everything
 *
 * Every port, program, user and function that a random policy of naive_make() could tell apart. */
#pragma once

#include "unit/naive.h"

enum { N_OUTSIDE = 5, NODES = N_ENDPOINTS + N_OUTSIDE, N_SERVICES = 7 };

extern const char *const naive_ranges[N_OUTSIDE];    /* What the outside ranges are called. */
extern const char *const naive_services[N_SERVICES]; /* [0] is NULL: any. */

struct brute {
    struct n_policy policy;
    signed char hop[N_SERVICES][NODES][NODES]; /* 0: not asked; 1: yes; -1: no. */
};

/* Endpoints first, then an address of each outside range. */
const char *naive_node(const struct n_policy *p, int node);

/* Can somebody who owns x send something of this service to y? */
bool naive_hop(struct brute *b, int service, int x, int y);

void naive_members(const struct n_policy *p, const char *group, bool to[NODES]);
