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

/* To add a file of commands, add its table here and in all_tables(). */
enum { N_TABLES = 9 };

static void all_tables(struct command_table tables[N_TABLES])
{
    tables[0] = policy_commands;
    tables[1] = online_commands;
    tables[2] = format_commands;
    tables[3] = language_commands;
    tables[4] = template_commands;
    tables[5] = import_commands;
    tables[6] = diff_commands;
    tables[7] = apply_commands;
    tables[8] = own_table;
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
