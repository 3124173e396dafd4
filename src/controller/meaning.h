/* SPDX-License-Identifier: Apache-2.0 */
/* meaning.h - what a change would do, in words and as JSON, for whoever has to say yes to it
 *
 * The same words and fields as `suimitsu policy diff`; see core/diff.h and text/diff_report.h.
 * What is too much to be told ends with a line that says so: at most MEANING_TEXT_MAX bytes of
 * lines, and of JSON MEANING_JSON_MAX, beyond which it has "incomplete" and no changes. */
#pragma once

#include "base/base.h"
#include "core/world.h"

enum { MEANING_TEXT_MAX = 1 << 20, MEANING_JSON_MAX = 16 << 20 };

struct meaning {
    char *text; /* Lines; NULL: was not asked for. */
    char *json; /* An object. */
};
void meaning_done(struct meaning *m);

/* Compares what both say.  Cost: as diff_new(). */
void meaning_of(const struct world *before, const struct world *after, struct meaning *ret_m);
