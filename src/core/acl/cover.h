/* SPDX-License-Identifier: Apache-2.0 */
/* cover.h - the fewest prefixes that hold all that must be held and nothing that must not
 *
 * Rows are prefixes, sorted by address and length; what is in a row and in none within it has the
 * row's status.  Every prefix without a NO lies in one largest such prefix; those of them that hold
 * a YES are the answer, and no other answer has fewer. */
#pragma once

#include "core/model.h"

enum cover { COVER_NO, COVER_MAYBE, COVER_YES };

struct prefixes {
    struct prefix *items; /* Heap. */
    size_t n, room;
};
void prefixes_done(struct prefixes *p);
void prefixes_add(struct prefixes *p, const struct address *a, uint8_t length);

/* Row 0 holds all others.  Adds to 'to', in the order of addresses. */
void cover(const struct prefix rows[], const uint8_t status[], size_t n, struct prefixes *to);

bool prefix_holds(const struct prefix *around, const struct prefix *p);
