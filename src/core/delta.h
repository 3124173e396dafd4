/* SPDX-License-Identifier: Apache-2.0 */
/* delta.h - what turns one verdict program into another
 *
 * The controller sends changes, not whole programs.  A delta removes by key and adds (or changes:
 * an added row replaces the row with its key); the rule names and the head are small or change
 * together, so they are sent whole when they differ.  Applied to exactly the revision that it was
 * made from, a delta gives exactly the target, which program_check() then passes; applied to
 * anything else it is refused. */
#pragma once

#include "core/program.h"

struct program_delta {
    uint64_t from_revision;
    /* The target's head: revision, endpoint, identity, mode, trust and lifeline, and the rows to
     * add or change in each table. */
    struct program *put;
    bool rules_changed; /* 'put->rules' replaces all names. */

    struct program_entry *gone_entries; /* Keys only. */
    size_t n_gone_entries;
    struct program_address *gone_addresses; /* Address and length only. */
    size_t n_gone_addresses;
    struct program_service *gone_services; /* Protocol and low only. */
    size_t n_gone_services;
    struct program_process *gone_processes; /* Path only. */
    size_t n_gone_processes;
    struct program_user *gone_users; /* Name only. */
    size_t n_gone_users;
};

struct program_delta *program_delta_new(void); /* Empty, for a decoder to fill; owns its tables. */
void program_delta_free(struct program_delta *d);
DEFINE_CLEANUP(struct program_delta, program_delta_free)

/* Both programs have passed program_check().  Never fails. */
struct program_delta *program_diff(const struct program *from, const struct program *to);

/* The number of rows that 'd' removes, adds or changes: to decide between delta and snapshot. */
size_t program_delta_size(const struct program_delta *d);

/* -ESTALE: 'from' has another revision.  -EINVAL, -E2BIG: as program_check(); '*ret_what' names it.
 */
int program_apply(const struct program *from, const struct program_delta *d,
                  struct program **ret_to, const char **ret_what);
