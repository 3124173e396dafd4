/* SPDX-License-Identifier: Apache-2.0 */
/* delta.h - what turns one verdict program into the next
 *
 * A policy of a million entries changes by a handful: a delta carries just these.  Entries and
 * addresses are put (added or changed) and removed by key; services, processes, users and rules are
 * short and travel whole, when they changed at all.  A delta names the revision that it starts
 * from, and fits no other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/program.h"

struct delta {
    uint64_t base; /* Revision it starts from. */
    struct program
        *put; /* Revision, endpoint, identity, mode, trust and lifeline of the result, its
                 new and changed entries and addresses, and whole tables where set: */
    bool services_replaced, processes_replaced, users_replaced, rules_replaced;
    struct program_entry *gone_entries; /* Only the key counts. */
    size_t n_gone_entries;
    struct program_address *gone_addresses; /* Only address and length count. */
    size_t n_gone_addresses;
};

struct delta *delta_new(void); /* With an empty 'put'. */
void delta_free(struct delta *d);
DEFINE_CLEANUP(struct delta, delta_free)

/* What turns 'from' into 'to', both checked programs.  The caller frees it. */
struct delta *delta_make(const struct program *from, const struct program *to);

/* The program that 'd' makes of 'from', checked by program_check(); the caller frees it.
 * -ESTALE: 'd' starts from another revision.  -ENOENT: it removes what is not there.
 * -EINVAL, -E2BIG: the result is no sound program; '*ret_what' (static) names it. */
int delta_apply(const struct program *from, const struct delta *d, struct program **ret_to,
                const char **ret_what);

/* Entries and addresses that it touches: to choose between delta and snapshot. */
size_t delta_weight(const struct delta *d);

/* A copy of a program, owned by the caller. */
struct program *program_copy(const struct program *p);
