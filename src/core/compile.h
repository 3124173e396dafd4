/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h - from names to numbers: one verdict program for each endpoint
 *
 * What
 * ====
 * compile() puts policy and inventory together and numbers what the policy tells apart:
 *
 *     endpoints, outside prefixes --> identities        (same groups that rules name, same
 * enforcers) ports                       --> service classes   (covered by the same services)
 *     program files, users        --> classes           (named by the same fields)
 *
 * compiled_program() then writes the tables of core/program.h for one endpoint.  Its entries depend
 * on the endpoint's identity alone, never on the number of endpoints.
 *
 * Who checks what
 * ===============
 * At the source end, process and user are the enforcer's own; served-by is left to a destination
 * that has a host enforcer.  At the destination end, served-by is its own; process and user are
 * left to a source that has a host enforcer.  Protocol functions are left to an edge at either end.
 * A program therefore holds the most permissive verdict over what only others can see, and the
 * stricter end decides.  What nobody can see is closed, by the rules of core/verdict.h.
 * Class 0 of processes and users stands for a known one that no rule names.
 *
 * Time
 * ====
 * Expired rules are left out.  compiled_next_change() tells when to compile again.
 *
 * Numbers stay
 * ============
 * With 'previous', what both versions tell apart keeps its number, so that a small change of the
 * policy is a small change of the tables (wire/delta.h). */
#pragma once

#include "core/model.h"
#include "core/program.h"

struct compile_options {
    uint64_t revision;
    int64_t now_s;
    const struct program_lifeline *lifeline; /* The controller's addresses. */
    size_t n_lifeline;
    const struct compiled *previous; /* NULL: none. */
};

struct compiled;

/* 'policy' and 'inventory' are borrowed and must outlive '*ret_c'; 'previous' is only read.
 * -E2BIG: more identities, classes or rules than a program can number; '*ret_what' (static) says
 * which. */
int compile(const struct policy *policy, const struct inventory *inventory,
            const struct compile_options *options, struct compiled **ret_c, const char **ret_what);
void compiled_free(struct compiled *c);
DEFINE_CLEANUP(struct compiled, compiled_free)

/* The program of the endpoint with this name; it passes program_check().
 * -ENOENT: no such endpoint.  -E2BIG: a table is over its limit; '*ret_what' (static) names it. */
int compiled_program(const struct compiled *c, const char *endpoint, struct program **ret_p,
                     const char **ret_what);

/* The next instant at which a rule expires; MODEL_NEVER_EXPIRES: never. */
int64_t compiled_next_change(const struct compiled *c);

uint64_t compiled_revision(const struct compiled *c);
size_t compiled_n_identities(const struct compiled *c);

/* 0: no such endpoint. */
identity_t compiled_identity(const struct compiled *c, const char *endpoint);
