/* SPDX-License-Identifier: Apache-2.0 */
/* junit.h - results of tests as the XML that CI systems read
 *
 * JUnit's format has no standard; this is the part that Jenkins, GitLab and GitHub's reporters
 * agree on: a testsuite of testcases, each with nothing, <failure>, <error> or <skipped> inside.
 * Names of people's files and rules are escaped; what XML cannot hold becomes \xNN. */
#pragma once

#include "base/buf.h"
#include "core/diagnostics.h"

enum junit_result { JUNIT_PASSED, JUNIT_FAILED, JUNIT_ERROR, JUNIT_SKIPPED };

struct junit {
    struct buf cases;
    size_t n, n_failed, n_errors, n_skipped;
};

void junit_done(struct junit *j);

/* Adds one case.  'kind' groups cases ("tests", "proofs"); 'message' is one line and 'details' may
 * be more (both NULL when it passed). */
void junit_case(struct junit *j, const char *kind, const char *name, const struct place *place,
                enum junit_result result, const char *message, const char *details);

/* Appends the whole document. */
void junit_write(struct buf *b, const struct junit *j, const char *suite);
