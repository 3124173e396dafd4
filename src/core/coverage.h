/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.h - which test or proof would notice that a rule or a group is gone
 *
 * What
 * ====
 * A policy that passes its tests says little when the tests would pass without half of its rules.
 * So each rule is deleted in thought, and each group emptied (it matches nothing any more, also
 * where modes and proofs name it), and those tests and proofs notice it whose result changes: from
 * success to failure, or the other way round.  A test with `by: RULE` notices that another rule
 * decides.
 *
 * Rules that expired, and groups of endpoints that are empty already, do not count: nothing can be
 * noticed.
 *
 * How
 * ===
 * Only what can change is asked again:
 *   - a test, without each rule that decides one of its questions, and without each group of its
 *     two ends;
 *   - a path that was found, without each rule on it; without those groups of its ends that these
 *     rules, exceptions, modes or the proof itself name;
 *   - that there is no path, without nevers: first without all of them at once, then by halves,
 *     since fewer nevers never take a path away; without groups that nevers select, if that
 *     mattered, or without which some endpoint would be in learn or test mode; and without groups
 *     that are outside.
 * Deleting an allow never opens a path, and deleting a never closes none.
 *
 * Size: tests cost rules times a test's ports; each rule and group that a proof might notice costs
 * one hops_new(): 0.3 CPU-s for 100,000 endpoints in three of 1,000 groups each and 10,000 rules,
 * where 200 tests and 10 proofs needed 41 of them and 13 CPU-s in all.
 *
 * Rules of use: borrows the world; immutable after coverage_new(). */
#pragma once

#include "base/progress.h"
#include "core/list.h"
#include "core/world.h"

enum coverage_state {
    COVERAGE_NOTICED,
    COVERAGE_UNNOTICED,
    COVERAGE_EXPIRED, /* A rule that matches nothing any more. */
    COVERAGE_EMPTY,   /* A group without endpoints. */
};

struct coverage_item { /* A rule or a group, by its index in the policy. */
    enum coverage_state state;
    struct list tests, proofs; /* Those that notice. */
};

struct coverage {
    const struct world *world;
    struct coverage_item *rules, *groups;
    size_t n_rules, n_groups;
    size_t n_counted, n_noticed; /* Of rules and groups together. */
    size_t n_asked;              /* How often hops_new() was needed. */
};

/* 'p', which may be NULL, counts tests, and where there are proofs also rules and groups.  -E2BIG:
 * hops_new(). */
int coverage_new(const struct world *w, struct progress *p, struct coverage **ret_c);
void coverage_free(struct coverage *c);
DEFINE_CLEANUP(struct coverage, coverage_free)

/* A W-UNTESTED for each rule and group that nothing notices. */
void coverage_report(const struct coverage *c, struct diagnostics *d);
