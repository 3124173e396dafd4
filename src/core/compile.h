/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h - from names to numbers: one verdict program for each endpoint
 *
 * What
 * ====
 * A compiled policy holds policy and inventory in numbers, and numbers what the policy tells apart:
 *
 *     endpoints, outside prefixes --> identities        (same groups, same enforcers)
 *     ports                       --> service classes   (covered by the same services)
 *     program files, users        --> classes           (named by the same fields)
 *
 * compiled_program() then writes the tables of core/program.h for one endpoint.  Its entries depend
 * on the endpoint's identity alone, never on the number of endpoints.
 *
 * Changes cost what they touch
 * ============================
 * A policy is compiled once; then rules, groups, services, endpoints and users are put and removed
 * one by one, and compiled_commit() works out what that means: which identities come and go, which
 * pairs of identities have other entries, which addresses another identity.  Only those pairs are
 * looked at.  compiled_delta() answers, for one endpoint, what turns its former program into the
 * present one, also without looking at the rest.  What a change then costs:
 *
 *     a trust state, an address        that endpoint's addresses
 *     a rule                           the pairs of identities that it takes
 *     labels, or a member of a group   the pairs of the identities that came or went
 *     a service                        the rules that use it or overlap with it
 *     a group's labels; a mode         one look at each endpoint
 *     a user group named first or last one look at each user
 *
 * The result is the same, byte for byte, as compiling everything again with the former numbers.
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
 * Expired rules are left out.  compiled_next_change() tells when to commit again.
 *
 * Rules of use
 * ============
 * Nothing is borrowed: what is put is copied.  Names are resolved by the policy that is given with
 * them.  After an error of compiled_commit() only compiled_free() is allowed. */
#pragma once

#include "core/delta.h"
#include "core/model.h"
#include "core/program.h"

struct compile_options {
    uint64_t revision;
    int64_t now_s;
    const struct program_lifeline *lifeline; /* The controller's addresses. */
    size_t n_lifeline;
    const struct compiled *previous; /* What both tell apart keeps its number; NULL: none. */
};

struct compiled;

/* Compiles everything; 'previous' is only read.
 * -E2BIG: more identities, classes or rules than a program can number; '*ret_what' (static) says
 * which. */
int compile(const struct policy *policy, const struct inventory *inventory,
            const struct compile_options *options, struct compiled **ret_c, const char **ret_what);
void compiled_free(struct compiled *c);
DEFINE_CLEANUP(struct compiled, compiled_free)

/* ---- changes: put and removed now, in force with the next commit ---- */

/* Adds, or replaces what has this name.  What is equal costs nothing later.  An endpoint takes its
 * addresses from whoever had them. */
void compiled_put_endpoint(struct compiled *c, const struct endpoint *e);
void compiled_put_user(struct compiled *c, const struct user *u);
void compiled_put_group(struct compiled *c, const struct group *g);
void compiled_put_service(struct compiled *c, const struct service *s);
void compiled_put_rule(struct compiled *c, const struct policy *p, const struct rule *r);

/* -ENOENT: there is none of this name.  A group or service that rules still name matches nothing
 * until it is put again. */
int compiled_remove_endpoint(struct compiled *c, const char *name);
int compiled_remove_user(struct compiled *c, const char *name);
int compiled_remove_group(struct compiled *c, const char *name);
int compiled_remove_service(struct compiled *c, const char *name);
int compiled_remove_rule(struct compiled *c, const char *id);

int compiled_set_trust(struct compiled *c, const char *endpoint, enum trust trust); /* -ENOENT */
void compiled_set_modes(struct compiled *c, const struct policy *p);

/* Puts all that these have and removes what they lack: cost by their size. */
void compiled_put_all(struct compiled *c, const struct policy *p, const struct inventory *i);

/* Makes all changes since the last commit the compiled policy of this revision.
 * -E2BIG: as compile(). */
int compiled_commit(struct compiled *c, uint64_t revision, int64_t now_s, const char **ret_what);

/* ---- results ---- */

/* The program of the endpoint with this name; it passes program_check().
 * -ENOENT: no such endpoint.  -E2BIG: a table is over its limit; '*ret_what' (static) names it. */
int compiled_program(struct compiled *c, const char *endpoint, struct program **ret_p,
                     const char **ret_what);

/* What turns the program that this endpoint had at 'revision' into the present one.
 * -ESTALE: too long ago, or too much has changed: send the program.  -ENOENT: no such endpoint. */
int compiled_delta(struct compiled *c, const char *endpoint, uint64_t revision,
                   struct delta **ret_d);

/* Whose deltas from one revision are the same, but for the name of the endpoint.  Those of one
 * identity have the same program but for name, trust, and which of the addresses are their own. */
struct compiled_kin {
    identity_t identity;
    enum mode mode;
    enum trust trust;
};

/* ---- programs in parts, for those who send them to many ---- */

/* Everybody's addresses: the table of each program, but without 'self'.  Borrowed until the next
 * commit; '*ret_stamp' is another one whenever anything in it is. */
const struct program_address *compiled_addresses(struct compiled *c, size_t *ret_n,
                                                 uint64_t *ret_stamp);

/* As compiled_program(), without addresses. */
int compiled_program_but_addresses(struct compiled *c, const char *endpoint, struct program **ret_p,
                                   const char **ret_what);

/* What is the endpoint's own: in which rows of compiled_addresses() 'self' is set (ascending; the
 * caller frees them), and whose kin it is.  Costs as many searches as it has addresses.
 * -ENOENT: no such endpoint. */
int compiled_own(struct compiled *c, const char *endpoint, struct compiled_kin *ret_kin,
                 uint32_t **ret_rows, size_t *ret_n);

/* True: the delta that compiled_delta() makes of these is that of all of its kin.  False: it is its
 * own, since its identity changed or its own addresses are in it; or there is none. */
bool compiled_delta_kin(const struct compiled *c, const char *endpoint, uint64_t revision,
                        struct compiled_kin *ret_kin);

/* The next instant at which a rule expires; MODEL_NEVER_EXPIRES: never. */
int64_t compiled_next_change(const struct compiled *c);

uint64_t compiled_revision(const struct compiled *c);
size_t compiled_n_identities(const struct compiled *c);

/* 0: no such endpoint. */
identity_t compiled_identity(const struct compiled *c, const char *endpoint);

/* The id of the rule that had this number at 'revision', which is the present one or one that
 * compiled_delta() still knows; NULL: there was none, or too long ago. */
const char *compiled_rule_name(const struct compiled *c, uint64_t revision, uint32_t number);
