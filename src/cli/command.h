/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - one table of commands: dispatch, --help, completion and man pages all follow it
 *
 * To add commands: a table of struct command in cli/NAME.c, and its line in cli/main.c.  A name may
 * have several words ("policy check"); the longest that fits the command line wins.  A handler
 * prints to standard output, complains to standard error, and returns an exit code. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_DIFFERS = 1, /* Differs, or denied. */
    EXIT_USAGE = 2,
    EXIT_INVALID = 3, /* A file is not valid. */
    EXIT_NOT_FOUND = 4,
    EXIT_NOT_ALLOWED = 5,
    EXIT_CONFLICT = 6,
    EXIT_UNREACHABLE = 7, /* The controller. */
    EXIT_TIMED_OUT = 8,
    EXIT_PARTIAL = 9,
};

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML };

enum { COMMAND_MAX_OPTIONS = 24 };

struct option_spec {
    const char *name;     /* "inventory" */
    char letter;          /* 'i', or 0. */
    const char *argument; /* "FILE"; NULL: a flag. */
    const char *help;
};

struct invocation {
    const struct command *command;
    const char *const *args; /* What is not an option, behind the command's name. */
    size_t n_args;
    enum output output;
    const char *output_text; /* What -o was given, for commands that take a file there; or NULL. */
    const char *values[COMMAND_MAX_OPTIONS]; /* By the option's place in the command's table. */
};

struct command {
    const char *name;
    const char *arguments; /* "PATH... [--inventory FILE]" without the options; "" for none. */
    const char *summary;   /* One line, for the list of commands. */
    const char *help;      /* Paragraphs, for --help and the man page. */
    const struct option_spec *options;
    size_t n_options;
    size_t min_args, max_args; /* SIZE_MAX: any number. */
    bool hidden;               /* Not in lists and completion. */
    bool output_is_file;       /* -o names a file (or json); see output_text. */
    int (*run)(const struct invocation *in);
};

struct command_table {
    const struct command *commands;
    size_t n;
};

/* The value of an option; "" for a flag that was given; NULL: not given. */
const char *invocation_value(const struct invocation *in, const char *option);

/* Runs the command line; returns the exit code. */
int command_main(const struct command_table tables[], size_t n_tables, int argc, char *argv[]);

/* Says "suimitsu: ..." on standard error and returns 'code'. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What completion.c and man.c make of the tables, on standard output. */
int print_completion(const struct command_table tables[], size_t n_tables, const char *shell);
void print_man(const struct command_table tables[], size_t n_tables);

/* Options that every command has: help, output.  NULL-named at the end. */
extern const struct option_spec common_options[];

#define COMMAND_OPTIONS(table) .options = (table), .n_options = ARRAY_SIZE(table)
