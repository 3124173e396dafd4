/* SPDX-License-Identifier: Apache-2.0 */
/* generation.h - a policy and an inventory as they were read together */
#pragma once

#include <stdbool.h>

#include "base/base.h"
#include "controller/versions.h"
#include "core/diagnostics.h"
#include "core/model.h"

struct generation { /* Immutable but for trust states. */
    uint64_t revision;
    struct policy *policy;
    struct inventory *inventory;
    bool borrows_inventory; /* It is another generation's, for now. */
};

void generation_free(struct generation *g);
DEFINE_CLEANUP(struct generation, generation_free)

/* Reads; the result is neither checked nor compiled, and has the inventory's own trust states.
 * -EBADMSG: 'diagnostics' says what is wrong. */
int generation_read(const struct version_files *policy, const struct version_files *inventory,
                    struct diagnostics *diagnostics, struct generation **ret_g);

/* The same of two stored versions.  -ENOENT: one is not kept.  -EUCLEAN: it cannot be read.  Else
 * as store_get(). */
int generation_get(struct store *s, uint64_t policy, uint64_t inventory, struct generation **ret_g);
