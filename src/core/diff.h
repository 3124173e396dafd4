/* SPDX-License-Identifier: Apache-2.0 */
/* diff.h - what a change of policy or inventory means: who gains and who loses what
 *
 * What
 * ====
 * Two worlds are compared by verdicts, not by text: renamed rules, other words, another order, a
 * group split in two that all name alike, change nothing here.  Endpoints are compared by name;
 * one that only one side has, has nothing on the other.  Outside ranges of both are cut together.
 *
 * Changes that mean the same are one: the same kind, the same rules before and after, the same
 * conditions, and the same of both ends a suspect.  Each says from which endpoints to which, by
 * which services, and how many pairs; every end and service is there for some pair, which need not
 * be all combinations.
 *
 * What only the roll-out changes - a default deny that is enforced now and was only reported
 * before, or the reverse - is told by endpoint (struct diff_mode), not by pairs: it would be all of
 * them.
 *
 * Cost
 * ====
 * Only pairs are judged that a changed rule takes, or one of whose ends changed its groups,
 * enforcers or suspicion; pairs with the same rules and ends are judged once.  At most
 * DIFF_MAX_PAIRS pairs of classes, and DIFF_MAX_CASES combinations of programs, users and functions
 * for one service of one pair; beyond, the result says that it is incomplete. */
#pragma once

#include "core/world.h"

enum { DIFF_MAX_PAIRS = 1 << 22, DIFF_MAX_CASES = 1 << 16 };

enum diff_kind {
    DIFF_GAIN,     /* Passes now, was denied. */
    DIFF_LOSE,     /* Is denied now, passed. */
    DIFF_REPORTED, /* Was allowed, is only reported now (would-deny): passes still. */
    DIFF_SETTLED,  /* Was only reported, is allowed now. */
};

struct diff_side {
    enum verdict verdict;
    enum layer layer;
    const struct rule *rule; /* Of that side's policy; NULL: none. */
    bool exists;             /* Both ends are there. */
};

struct diff_ends {       /* Of one change. */
    uint32_t *endpoints; /* Indices in 'names', ascending. */
    size_t n_endpoints;
    size_t n_outside; /* Ranges of the outside. */
};

struct diff_change {
    enum diff_kind kind;
    struct diff_side before, after;
    const char *process, *user, *served_by; /* NULL: whatever; "?": one that no rule for these ends
                                             * and services names.  The user stands for all whom
                                             * those rules do not tell from him. */
    int modbus;                             /* -1: whatever. */
    char **services;                        /* Names, or proto/port texts. */
    size_t n_services;
    bool other_services; /* All that no rule of the pair names, too. */
    struct diff_ends from, to;
    uint64_t pairs; /* Of endpoints and outside ranges. */
};

struct diff_mode {
    uint32_t endpoint; /* In 'names'. */
    enum mode before, after;
};

struct diff {
    struct arena *arena;
    const char **names; /* Endpoints of both sides, sorted. */
    size_t n_names;
    struct diff_change *changes;
    size_t n_changes;
    uint32_t *added, *removed; /* Endpoints. */
    size_t n_added, n_removed;
    struct diff_mode *modes;
    size_t n_modes;
    bool incomplete;
    size_t pairs_judged; /* Of classes. */
};

/* Compares; both worlds are borrowed while the result lives.  -E2BIG: as slices_new(). */
int diff_new(const struct world *before, const struct world *after, struct diff **ret_d);
void diff_free(struct diff *d);
DEFINE_CLEANUP(struct diff, diff_free)

static inline bool diff_is_empty(const struct diff *d)
{
    return !d->n_changes && !d->n_added && !d->n_removed && !d->n_modes && !d->incomplete;
}

const char *diff_kind_name(enum diff_kind kind); /* "gain", "lose", "reported", "settled" */
