/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - policy and inventory files for a command, with their findings */
#pragma once

#include "cli/command.h"
#include "core/lint.h"
#include "core/program.h"
#include "core/world.h"
#include "sys/tree.h"
#include "text/report.h"

struct loaded {
    struct tree tree;
    struct source *sources; /* Of all files, policy first. */
    size_t n_sources, n_policy;
    struct diagnostics *d;
    struct policy *policy;       /* NULL after errors. */
    struct inventory *inventory; /* Empty when no file was given. */
    bool has_inventory;
    int64_t now_s;
    struct world *world; /* NULL after errors. */
    size_t n_tests_passed, n_proofs_held;
    bool has_tests_run; /* There was no error before, so that any error is a test's. */
};
void loaded_done(struct loaded *l);

/* Reads the paths of the command line and --inventory, at --now, then lints; with 'tests' also runs
 * the policy's tests and proofs.  EXIT_OK, EXIT_DIFFERS when only these fail, EXIT_INVALID with
 * findings in 'd', or another exit code that was complained about. */
int load(struct loaded *l, const struct invocation *in, bool tests);

/* Findings on standard error, with carets. */
void print_findings(const struct loaded *l);

/* The exit code for a file that cannot be read, with its complaint. */
int complain_file(const char *path, int error);

/* For commands that need a policy without errors: load() without tests, findings printed. */
int load_valid(struct loaded *l, const struct invocation *in);

enum { DEFAULT_CONTROLLER_PORT = 7443 };

/* The option --controller; '*ret_n' is 0 when it was not given, else 1. */
int get_controller(const struct invocation *in, struct program_lifeline *to, size_t *ret_n);
