/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - the access list of one program, without its own addresses; see core/acl.h */
#pragma once

#include "core/acl/cover.h"
#include "core/acl/remote.h"

struct making {
    const struct remote_rows *rows;
    enum direction forward, backward;
    struct acl_entry *entries; /* Without local ends. */
    size_t n, room;
    uint8_t *covered; /* Of the column at hand: rows that earlier stages have covered. */
    uint8_t *status;  /* Of the column at hand. */
    struct prefix *prefixes;
    bool unnamed_replies;
};

/* -E2BIG: more than ACL_MAX_ENTRIES.  Borrows the rows, and may give them other stages. */
int making_init(struct making *m, struct remote_rows *rows, enum acl_way way);
void making_done(struct making *m); /* Also after an error. */

/* Both lists have the same entries for the same reasons. */
bool making_same(const struct making *a, const struct making *b);
