/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.c - policy coverage: what tests and proofs would notice */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "base/number.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/operation.h"
#include "core/slices.h"
#include "text/coverage_report.h"

enum { ALL = 100 };

static void print_as_document(const struct invocation *in, const struct loaded *l,
                              const struct coverage *c)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_putc(&b, '{');
    coverage_report_json(&b, c);
    buf_puts(&b, ", \"findings\": ");
    report_json(&b, l->d);
    buf_putc(&b, '}');
    print_json_text(in, buf_str(&b));
}

static int run_files(const struct invocation *in, uint64_t wanted)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(coverage_freep) struct coverage *c = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    int r;

    if (!invocation_value(in, "inventory"))
        return complain(EXIT_USAGE, "policy coverage needs --inventory FILE: tests and proofs "
                                    "are about its endpoints");
    r = load(&l, in, false);
    if (r != EXIT_OK) {
        if (l.d->n)
            print_findings(&l);
        return r;
    }
    assert(l.world);
    if (coverage_new(l.world, NULL, &c) < 0)
        return complain(EXIT_INVALID, "the services of the policy overlap too often (%d)",
                        SLICES_MAX_SERVICES);
    coverage_report(c, l.d);
    diagnostics_sort(l.d);
    if (wants_document(in)) {
        print_as_document(in, &l, c);
    } else {
        print_findings(&l);
        coverage_report_text(&b, c);
        (void)fputs(buf_str(&b), stdout);
    }
    if (wanted == ALL)
        return c->n_noticed == c->n_counted ? EXIT_OK : EXIT_DIFFERS;
    return coverage_percent(c) >= wanted ? EXIT_OK : EXIT_DIFFERS;
}

/* ---- of the policy in force ---- */

static int run_in_force(const struct invocation *in, uint64_t wanted)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = operation_ask(in, "/api/v1/policy/coverage", NULL, &a);

    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    return number_of(a.json, "percent") >= (json_int_t)wanted &&
                   (wanted < ALL || number_of(a.json, "noticed") == number_of(a.json, "counted"))
               ? EXIT_OK
               : EXIT_DIFFERS;
}

static int run_coverage(const struct invocation *in)
{
    const char *min = invocation_value(in, "min");
    uint64_t wanted = ALL;

    if (min && number_parse(min, strlen(min), ALL, &wanted) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --min; expected a percentage from 0 to 100", min);
    if (in->n_args)
        return run_files(in, wanted);
    if (invocation_value(in, "inventory") || invocation_value(in, "now"))
        return complain(EXIT_USAGE, "--inventory and --now need PATH...; without, it is the policy "
                                    "in force");
    return run_in_force(in, wanted);
}

static const struct option_spec coverage_options[] = {
    CLIENT_OPTIONS,
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"min", 0, "PERCENT", "be content with this share of rules and groups (default 100)"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct command commands[] = {
    {.name = "policy coverage",
     .arguments = "[PATH... --inventory FILE]",
     .summary = "which test or proof notices what",
     .help = "For each rule: which tests and proofs have another result when it is deleted.  For\n"
             "each group: which, when it matches nothing.  What nothing notices is a W-UNTESTED.\n"
             "Expired rules and empty groups do not count.\n\n"
             "Without PATH it is about the policy in force: the controller works it out beside\n"
             "everything else, and Ctrl-C ends that.\n\n"
             "Exit code 0: all is noticed, or the share that --min asks for; 1: less is;\n"
             "3: not valid.",
     COMMAND_OPTIONS(coverage_options),
     .max_args = SIZE_MAX,
     .run = run_coverage},
};

const struct command_table coverage_commands = {commands, ARRAY_SIZE(commands)};
