/* SPDX-License-Identifier: Apache-2.0 */
/* linting.h - what the families of lints share; for the files of this folder only
 *
 * One family a file.  Each takes the whole policy and adds its findings; policy_lint() calls them
 * all.  What only an inventory can tell is left out where 'has_inventory' is false. */
#pragma once

#include "core/diagnostics.h"
#include "core/lint/cover.h"
#include "core/world.h"

struct linting {
    const struct world *w;
    bool has_inventory;
    struct diagnostics *d;
    struct cover *cover; /* NULL: too many services. */
};

/* Appended to what holds for these endpoints only: " with this inventory", or "". */
static inline const char *in_this_inventory(const struct linting *l)
{
    return l->has_inventory ? " with this inventory" : "";
}

/* Says that 'what' was not looked for everywhere. */
void lint_unfinished(const struct linting *l, const char *what);

void lint_widen(const struct linting *l); /* E-WIDEN, some of W-WIDE */
void lint_cross(const struct linting *l); /* W-CROSS */
void lint_cover(const struct linting *l); /* W-DEAD, W-NEVER-HIDES */
void lint_mode(const struct linting *l);  /* W-MODE-HOLE */
void lint_wide(const struct linting *l);  /* W-WIDE */
void lint_plain(const struct linting *l); /* W-PLAIN-SWITCH */
