/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h - who changed what, when and why, in a chain that shows a missing or altered link
 *
 * Each entry is one document "audit/<number>" and is written by the same transaction as the change
 * itself: there is no change without its entry and no entry without its change.  An entry holds the
 * SHA-256 of the one before it, over the exact bytes stored.  Whoever holds the last digest (it is
 * shown by `suimitsu audit verify`, and goes to the log) can tell later whether history was
 * rewritten; whoever can write the file can still cut the end off, which only that copy shows.
 *
 * An entry is JSON with sorted keys:
 *   action, actor, after, before, detail, object, prev, seq, time
 * 'before' and 'after' are SHA-256 of the object's content, or empty. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "store/store.h"

enum { AUDIT_DIGEST_SIZE = 65, AUDIT_DETAIL_LEN = 500, AUDIT_HISTORY = 1000000 };

struct audit_entry {
    const char *actor;  /* "root (unix socket)", "token ci", "agent web1", "suimitsud" */
    const char *action; /* "policy.apply", "token.revoke", ... */
    const char *object; /* "policy", "endpoint pc1", ... */
    const char *detail; /* Reason or remark; NULL: none. */
    const char *before; /* Digests; NULL: none. */
    const char *after;
};

/* Adds the entry to 't', numbered behind the last one; at most one for each transaction.
 * Errors as store_get(). */
int audit_add(struct store *s, struct store_transaction *t, const struct audit_entry *e);

/* SHA-256 of a content in hexadecimal.  Returns 'digest'. */
const char *audit_digest(const void *data, size_t size, char digest[AUDIT_DIGEST_SIZE]);

struct audit_state {
    uint64_t n;                   /* Entries that hold. */
    uint64_t bad;                 /* Number of the first that does not; 0: all hold. */
    char last[AUDIT_DIGEST_SIZE]; /* Digest of the last that holds. */
};

/* Walks the whole chain.  Errors as store_list(); a broken chain is no error of this call. */
int audit_verify(struct store *s, struct audit_state *ret_state);

/* The newest 'max' entries below number 'before' (0: from the end), newest first, as a JSON array
 * that the caller owns. */
int audit_list(struct store *s, uint64_t before, size_t max, json_t **ret_array);
