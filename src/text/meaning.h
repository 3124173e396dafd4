/* SPDX-License-Identifier: Apache-2.0 */
/* meaning.h - what a change would do, in words and as JSON, for whoever has to say yes to it
 *
 * The difference in verdicts (core/diff.h, text/diff_report.h), then what it does to the reach of
 * groups (core/reach.h): "pos reach -14 endpoints in 2 hops (31, now 17)".
 * What is too much to be told ends with a line that says so: at most MEANING_TEXT_MAX bytes of
 * lines, and of JSON MEANING_JSON_MAX, beyond which it has "incomplete" and no changes. */
#pragma once

#include "base/base.h"
#include "core/world.h"

enum { MEANING_TEXT_MAX = 1 << 20, MEANING_JSON_MAX = 16 << 20, MEANING_REACH_SHOWN = 5 };

struct meaning {
    char *text; /* Lines; NULL: was not asked for. */
    char *json; /* An object. */
};
void meaning_done(struct meaning *m);

/* Compares what both say; true when they mean the same.  Cost: diff_new() and reach_changes(). */
bool meaning_of(const struct world *before, const struct world *after, struct meaning *ret_m);
