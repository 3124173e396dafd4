/* SPDX-License-Identifier: Apache-2.0 */
/* Reading two sets of files; see generation.h. */
#include "controller/generation.h"

#include <errno.h>

void generation_free(struct generation *g)
{
    if (!g)
        return;
    if (!g->borrows_inventory)
        inventory_free(g->inventory);
    policy_free(g->policy);
    free(g);
}

int generation_read(const struct version_files *policy, const struct version_files *inventory,
                    struct diagnostics *diagnostics, struct generation **ret_g)
{
    CLEANUP(generation_freep) struct generation *g = xcalloc(1, sizeof(*g));
    int r = policy_read(policy->sources, policy->n, diagnostics, &g->policy);
    int r2 = inventory_read(inventory->sources, inventory->n, diagnostics, &g->inventory);

    if (r < 0 || r2 < 0)
        return r < 0 ? r : r2;
    *ret_g = TAKE_PTR(g);
    return 0;
}

int generation_get(struct store *s, uint64_t policy, uint64_t inventory, struct generation **ret_g)
{
    CLEANUP(version_files_done) struct version_files p = {.document = NULL};
    CLEANUP(version_files_done) struct version_files i = {.document = NULL};
    CLEANUP(diagnostics_freep) struct diagnostics *ignored = diagnostics_new();
    int r = version_files_get(s, "policy", policy, &p);

    if (r == 0)
        r = version_files_get(s, "inventory", inventory, &i);
    if (r == 0)
        r = generation_read(&p, &i, ignored, ret_g);
    return r == -EBADMSG ? -EUCLEAN : r;
}
