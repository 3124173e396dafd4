/* SPDX-License-Identifier: Apache-2.0 */
/* tests.h - one of the policy's own tests, asked as often as somebody likes
 *
 * lint.h runs tests for their findings.  This is for whoever wants to know whether one would hold
 * if something were missing: its ends and the rules that take both are found once. */
#pragma once

#include "core/list.h"
#include "core/verdict.h"

struct test_run {
    const struct world *world;
    const struct policy_test *test;
    struct end from, to;
    bool lifeline; /* An end and itself: no rule is asked. */
    const struct rule **rules;
    size_t n_rules;
};

/* False when the inventory lacks one of its ends; then there is nothing to end. */
bool test_run_init(struct test_run *t, const struct world *w, size_t i);
void test_run_done(struct test_run *t);

/* Would it hold without this rule (NULL: with all), between these ends (t->from and t->to, or what
 * is left of them)?  'deciders', unless NULL, is then the rules without which the answer may be
 * another: no others matter. */
bool test_run_holds(const struct test_run *t, const struct rule *without, const struct end *from,
                    const struct end *to, struct list *deciders);
