/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - small documents under keys, with revisions, transactions and watches
 *
 * All state of the controller lives here.  Each commit gets the next revision, which only goes up;
 * a document remembers the revision that wrote it, and a transaction can demand that it is still
 * the one that was read.  Whoever depends on documents watches a prefix, and is told of what is
 * newer than a revision that he knows, and then of each change: he may be restarted at any time.
 *
 * Behind it is SQLite in one file (write-ahead log, synchronous=FULL): store_commit() returns 0
 * only after the disk has it, kill -9 at any moment leaves all of a transaction or nothing. Opening
 * checks the file, and takes a lock, so that two daemons cannot share it.  The interface is that of
 * etcd in small, which shall be able to take its place.
 *
 * Keys are paths, "policy/current", of printable ASCII.  Errors of commits and reads:
 * -ENOSPC: disk full.  -EROFS: read-only.  -EUCLEAN: damaged.  -EIO: the disk fails.
 * After any of them nothing has changed, and later calls may be tried. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum {
    STORE_KEY_SIZE = 512,        /* NUL included. */
    STORE_VALUE_MAX = 8 << 20,   /* Bytes. */
    STORE_MAX_OPERATIONS = 4096, /* In one transaction. */
    STORE_MAX_WATCHES = 64,
    STORE_TOMBSTONES = 10000, /* Revisions for which deletions are remembered. */
};

struct store;

struct store_item {
    char *key;
    char *data; /* With a NUL behind it. */
    size_t size;
    uint64_t revision; /* That wrote it; of a deletion, that deleted it. */
    bool deleted;      /* Seen by watches only. */
};

struct store_list {
    struct store_item *items;
    size_t n;
    size_t room;
};

/* Creates the file if it is absent.  -EUCLEAN: damaged, '*ret_what' says how.  -EBUSY: another
 * process has it.  Else errno of the opening. '*ret_what' is static. */
int store_open(const char *path, struct store **ret_s, const char **ret_what);
void store_free(struct store *s);
DEFINE_CLEANUP(struct store, store_free)

uint64_t store_revision(const struct store *s);

/* -ENOENT: no such key.  The caller ends the item with store_item_done(). */
int store_get(struct store *s, const char *key, struct store_item *ret_item);
void store_item_done(struct store_item *i);

/* Keys that begin with 'prefix', sorted, at most 'max', from 'after' (not included; NULL: from the
 * first); 'backwards': from the last, and before 'after'. */
int store_list(struct store *s, const char *prefix, const char *after, bool backwards, size_t max,
               struct store_list *ret_list);
void store_list_done(struct store_list *l);

struct store_transaction;
struct store_transaction *store_transaction_new(void);
void store_transaction_free(struct store_transaction *t);
DEFINE_CLEANUP(struct store_transaction, store_transaction_free)

/* The commit fails unless 'key' was written by 'revision'; 0: unless it is absent. */
void store_expect(struct store_transaction *t, const char *key, uint64_t revision);
void store_put(struct store_transaction *t, const char *key, const void *data, size_t size);
void store_delete(struct store_transaction *t, const char *key); /* Absent is fine. */

/* -ESTALE: an expectation does not hold.  -E2BIG: key, value or transaction over its limit.
 * Watches are called before it returns, in the order of the operations. */
int store_commit(struct store *s, const struct store_transaction *t, uint64_t *ret_revision);

/* Puts 'key' along with the next commit, whichever that is, until store_unride(): so that one who
 * called somebody else knows afterwards, also after kill -9, whether that one has committed
 * anything.  One at a time; 'key' and 'data' are copied.  A commit that fails takes nothing along.
 */
void store_ride(struct store *s, const char *key, const void *data, size_t size);
/* Whether a commit has taken it along. */
bool store_unride(struct store *s);

/* Tells 'changed' of all items under 'prefix' that are newer than 'revision', at once, and of every
 * later change.  A callback must not commit.  Returns a handle for store_unwatch().
 * -ENOSPC: too many watches. */
int store_watch(struct store *s, const char *prefix, uint64_t revision,
                void (*changed)(const struct store_item *item, void *user), void *user);
void store_unwatch(struct store *s, int handle);
