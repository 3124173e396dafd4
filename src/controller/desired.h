/* SPDX-License-Identifier: Apache-2.0 */
/* desired.h - what shall be enforced: policy, inventory, trust, and the revision of it all
 *
 * What
 * ====
 * Documents in the store, the generation that is read from them, and one compiled policy, which is
 * changed with each generation (core/compile.h: a change costs what it touches):
 *
 *     policy/<version> + inventory/<version> + trust/<endpoint>  --compile-->  generation
 * <revision> desired/head: the revision, the two versions in force, and a confirmation that is
 * awaited
 *
 * The revision rises with every change: a new policy or inventory, a trust state, a rule that
 * expired, a rollback, and each start of the daemon (numbers inside a program are only comparable
 * within one run).  A version is the revision at which it was applied.  Each revision is an event
 * of the timeline (timeline.h), so that the past can be asked.
 *
 * Commit-confirm
 * ==============
 * An apply with 'confirm_s' stores the deadline before anything is sent.  Agents roll back by
 * themselves; when nobody confirmed, desired_tick() (or the next start, if the daemon was dead at
 * the deadline) makes the former versions wanted again, as a new revision.  While one is awaited,
 * another apply is refused; trust changes go through.
 *
 * Tests and proofs
 * ================
 * A change whose tests or proofs fail (E-TEST, E-PROOF) is refused, unless a person gives a reason
 * to override them; the audit then has the action "policy.force" or "inventory.force", with the
 * reason and how many were overridden.  No other error can be overridden.
 *
 * Before the first policy everything is in learn mode: nothing is blocked.
 *
 * Rules of use: one thread; listeners are called inside the changing call, after the commit. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/generation.h"
#include "controller/timeline.h"
#include "core/compile.h"
#include "core/diagnostics.h"
#include "core/model.h"
#include "store/store.h"
#include "text/meaning.h"
#include "text/policy.h"

enum {
    DESIRED_MAX_CONFIRM_S = 86400,
};

#define DESIRED_ANY UINT64_MAX /* Whatever version is in force. */

struct desired_head {
    uint64_t revision;
    uint64_t policy, inventory; /* Versions; 0: none was ever applied. */
    uint64_t trust_sequence;
    uint64_t confirm_revision;                  /* 0: nothing awaited. */
    uint64_t confirm_policy, confirm_inventory; /* What comes back without confirmation. */
    int64_t confirm_deadline_s;                 /* Unix time. */
};

struct trust_change {
    const struct address *addresses;
    size_t n_addresses;
    enum trust trust;
    uint64_t sequence;
};

struct desired_listener {
    void (*generation)(void *user); /* desired_current() is another one. */
    void (*trust)(const struct trust_change *change, void *user); /* Before its generation. */
    void (*confirmed)(uint64_t revision, void *user);
    void *user;
};

struct desired;

/* 'listener' and 'lifeline' are copied.  -EUCLEAN: stored documents do not make a policy;
 * '*ret_what' names it.  Else as store_get() and compile(). */
int desired_open(struct store *s, const struct program_lifeline *lifeline, size_t n_lifeline,
                 int64_t now_s, struct desired **ret_d, const char **ret_what);
void desired_free(struct desired *d);
DEFINE_CLEANUP(struct desired, desired_free)
void desired_listen(struct desired *d, const struct desired_listener *listener);

const struct generation *desired_current(const struct desired *d);
struct compiled *desired_compiled(const struct desired *d); /* Of the current revision. */
const struct desired_head *desired_head(const struct desired *d);

/* What stood when, and the store of all versions: for past.h. */
const struct timeline *desired_timeline(const struct desired *d);
struct store *desired_store(const struct desired *d);

/* Policy and inventory of the current revision put together, as of today: expiry counts in days.
 * Built at the first question and kept; borrowed until the next change. */
const struct world *desired_world(struct desired *d, int64_t now_s);

struct desired_change {
    const struct source *policy; /* NULL: unchanged. */
    size_t n_policy;
    const struct source *inventory; /* NULL: unchanged. */
    size_t n_inventory;
    uint64_t base_policy, base_inventory; /* Versions that it was written against; DESIRED_ANY. */
    uint32_t confirm_s;                   /* 0: final at once. */
    bool dry_run;                         /* Check, compile and compare only. */
    const char *force; /* Why failing tests and proofs shall not matter; NULL: they do. */
    const char *actor, *comment;
};

struct desired_outcome {
    uint64_t revision; /* That the change has, or would have. */
    uint64_t policy,
        inventory; /* Versions in force when it was judged: what it was compared with. */
    size_t failed_tests, failed_proofs; /* Overridden, or why it was refused. */
    struct meaning meaning;             /* Of a dry run: the change, from what is in force. */
};
void desired_outcome_done(struct desired_outcome *o);

/* -EBADMSG: 'diagnostics' says what is wrong.  -ESTALE: not the base.  -EALREADY: a confirmation is
 * awaited.  -E2BIG: over a limit; '*ret_what' says which.  Else as store_commit().
 * 'o' begins as zeroes, and is filled as far as it came, also after errors. */
int desired_apply(struct desired *d, const struct desired_change *c, int64_t now_s,
                  struct diagnostics *diagnostics, struct desired_outcome *o,
                  const char **ret_what);

/* What would be in force with the files of 'c', without those of its rules that 'deleted' names
 * (they count as expired): read, compiled and the caller's; nothing is stored.  Tests, proofs and
 * lints are not asked.  -ENOENT: '*ret_what' is no rule of it.  -EBADMSG and -E2BIG as above. */
int desired_candidate(struct desired *d, const struct desired_change *c,
                      const char *const deleted[], size_t n_deleted, int64_t now_s,
                      struct diagnostics *diagnostics, struct generation **ret_g,
                      struct compiled **ret_c, const char **ret_what);

/* -ENOENT: nothing is awaited. */
int desired_confirm(struct desired *d, const char *actor);

/* Brings an old policy version back, as a new one; of 'how' the actor, the reason to force it and
 * the confirmation count.  -ENOENT: not in the history.  Else as apply. */
int desired_roll_back(struct desired *d, uint64_t version, const struct desired_change *how,
                      int64_t now_s, struct diagnostics *diagnostics, struct desired_outcome *o,
                      const char **ret_what);

/* -ENOENT: no such endpoint. */
int desired_set_trust(struct desired *d, const char *endpoint, enum trust trust, const char *reason,
                      const char *actor, int64_t now_s, uint64_t *ret_revision);

/* Deadlines and expiries; call it about once a second. */
void desired_tick(struct desired *d, int64_t now_s);

/* Documents of 'what' ("policy", "inventory"): one version (0: the current), or all without texts,
 * newest first.  The caller owns the JSON.  -ENOENT: no such version. */
int desired_version(struct desired *d, const char *what, uint64_t version, json_t **ret_document);
int desired_versions(struct desired *d, const char *what, json_t **ret_array);

/* What changed in meaning from one version of the policy to another (0: before anything was
 * applied), both over the inventory and the trust states of now.  -ENOENT: no such version.
 * -EUCLEAN: a stored document is no policy. */
int desired_compare(struct desired *d, uint64_t from, uint64_t to, int64_t now_s,
                    struct meaning *ret_m);
