/* SPDX-License-Identifier: Apache-2.0 */
/* versions.h - the documents of policy and inventory in the store, old and new
 *
 *     policy/<version>, inventory/<version>          {kind, version, time, actor, comment, files}
 *     policy-log/<version>, inventory-log/<version>  the same without files, for the history
 *
 * Documents are JSON; large ones are packed by zstd, since each version of an inventory of a
 * hundred thousand endpoints would be 14 MB else.
 *
 * 'what' is "policy" or "inventory".  Version 0 is the built-in one, before anything was applied:
 * everything in learn mode, and nobody there. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/audit.h"
#include "store/store.h"
#include "text/policy.h"

enum {
    VERSION_HISTORY = 1000,          /* That may be looked at and gone back to. */
    VERSION_DOCUMENT_MAX = 32 << 20, /* All files of one policy or inventory. */
    VERSION_PLAIN_MAX = 1 << 20,     /* A larger document is packed. */
};

struct version_files { /* Borrowed from the document, or from elsewhere. */
    json_t *document;  /* Owned; or NULL. */
    struct source *sources;
    size_t n;
};
void version_files_done(struct version_files *f);

/* The files of a version, with 0 the built-in ones.  -ENOENT, -EUCLEAN, or as store_get(). */
int version_files_get(struct store *s, const char *what, uint64_t version,
                      struct version_files *ret_f);
void version_files_borrow(struct version_files *f, const struct source *sources, size_t n);
void version_files_digest(const struct version_files *f, char digest[AUDIT_DIGEST_SIZE]);

/* One document; all without files, newest first.  The caller owns the JSON.  Errors as above. */
int version_get(struct store *s, const char *what, uint64_t version, json_t **ret_document);
int version_list(struct store *s, const char *what, json_t **ret_array);

struct version_note {
    const char *actor, *comment;
    int64_t now_s;
};

/* -E2BIG: more than VERSION_DOCUMENT_MAX, or not UTF-8.  The commit refuses what is more than
 * STORE_VALUE_MAX packed. */
int version_put(struct store_transaction *t, const char *what, uint64_t version,
                const struct version_files *f, const struct version_note *note);

/* Forgets the oldest version beyond the history, unless it is among 'used'. */
int version_prune(struct store *s, struct store_transaction *t, const char *what,
                  const uint64_t used[], size_t n_used);

/* Any document with such files, packed when it is large; as version_get(). */
void version_put_document(struct store_transaction *t, const char *key, const json_t *document);
int version_get_document(struct store *s, const char *key, json_t **ret_document);

/* Any document, with sorted keys. */
void version_put_json(struct store_transaction *t, const char *key, const json_t *document);
