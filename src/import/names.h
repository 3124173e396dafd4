/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - names that nobody has yet, within the grammar of names
 *
 * Interfaces, chains and comments become names of groups and rules: what is no letter, digit, dot,
 * dash or underscore becomes a dash, and a second owner of a name gets "-2". */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

struct names {          /* A set of texts, by open addressing. */
    const char **slots; /* Heap. */
    size_t n, room;
};
void names_done(struct names *set);

/* False: it was there already.  's' is borrowed. */
bool names_add(struct names *set, const char *s);

/* A name like 'wanted' that was not in the set, and now is. */
const char *names_new(struct names *set, struct arena *a, const char *wanted);
