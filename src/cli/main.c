/* SPDX-License-Identifier: Apache-2.0 */
/* suimitsu - the command line.  Each file of commands has one line in tables[]. */
#include "base/base.h"
#include "cli/command.h"
#include "cli/commands.h"

static int run_completion(const struct invocation *in);
static int run_man(const struct invocation *in);

static const struct command own_commands[] = {
    {.name = "completion",
     .arguments = "bash|zsh",
     .summary = "a completion script for the shell",
     .help = "Prints a completion script: source <(suimitsu completion bash)",
     .min_args = 1,
     .max_args = 1,
     .run = run_completion},
    {.name = "man",
     .arguments = "",
     .summary = "the man page",
     .help = "Prints the man page in troff: suimitsu man | man -l -",
     .hidden = true,
     .run = run_man},
};

static const struct command_table own_table = {own_commands, ARRAY_SIZE(own_commands)};

/* To add a file of commands, add its table here. */
/* One a line. */
/* clang-format off */
static const struct command_table *const all[] = {
    &account_commands,
    &apply_commands,
    &draft_commands,
    &coverage_commands,
    &diff_commands,
    &drill_commands,
    &export_commands,
    &flows_commands,
    &flows_import_commands,
    &format_commands,
    &history_commands,
    &hygiene_commands,
    &import_commands,
    &language_commands,
    &online_commands,
    &operations_commands,
    &own_table,
    &policy_commands,
    &prove_commands,
    &template_commands,
    &timeline_commands,
    &try_commands,
    &unprotected_commands,
    &why_commands,
};
/* clang-format on */

enum { N_TABLES = ARRAY_SIZE(all) };

static void all_tables(struct command_table tables[N_TABLES])
{
    for (size_t i = 0; i < N_TABLES; i++)
        tables[i] = *all[i];
}

static int run_completion(const struct invocation *in)
{
    struct command_table tables[N_TABLES];

    all_tables(tables);
    return print_completion(tables, N_TABLES, in->args[0]);
}

static int run_man(const struct invocation *in)
{
    struct command_table tables[N_TABLES];

    (void)in; /* It has no arguments. */
    all_tables(tables);
    print_man(tables, N_TABLES);
    return EXIT_OK;
}

int main(int argc, char *argv[])
{
    struct command_table tables[N_TABLES];

    all_tables(tables);
    return command_main(tables, N_TABLES, argc, argv);
}
