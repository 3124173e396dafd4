/* SPDX-License-Identifier: Apache-2.0 */
/* operations.c - long questions that somebody asked: whose they are, how far, their end */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/operation.h"

static const struct option_spec only_client[] = {CLIENT_OPTIONS};

/* A row for people, of what the document says more exactly. */
static json_t *row_of(const json_t *operation)
{
    json_t *row = json_copy((json_t *)(uintptr_t)operation);
    const char *asked = text_of(row, "get")[0] ? text_of(row, "get") : text_of(row, "post");
    CLEANUP(buf_done) struct buf progress = BUF_INIT;

    if (json_object_get(row, "percent"))
        buf_printf(&progress, "%lld %%", (long long)number_of(row, "percent"));
    else
        buf_printf(&progress, "%lld", (long long)number_of(row, "done"));
    (void)json_object_set_new(row, "asked", json_string(asked));
    (void)json_object_set_new(row, "progress", json_string(buf_str(&progress)));
    return row;
}

static int run_list(const struct invocation *in)
{
    static const struct column columns[] = {
        {"ID", "id", false},         {"STATE", "state", false}, {"PROGRESS", "progress", false},
        {"S", "elapsed_s", false},   {"BY", "actor", false},    {"ASKED", "asked", false},
        {"CREATED", "created", true}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *rows = json_array();
    int r = client_ask_list(in, "/api/v1/operations", &a);
    const json_t *operation;
    size_t i;

    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    json_array_foreach(a.json, i, operation)(void) json_array_append_new(rows, row_of(operation));
    print_table(in, rows, columns, ARRAY_SIZE(columns));
    return EXIT_OK;
}

/* The answer itself is for -o json. */
static void print_state(const struct invocation *in, json_t *operation)
{
    if (print_document(in, operation))
        return;
    if (json_object_get(operation, "result")) {
        json_int_t status = number_of(json_object_get(operation, "result"), "status");

        (void)json_object_set_new(
            operation, "result",
            json_sprintf("HTTP status %lld; the answer: -o json", (long long)status));
    }
    print_object(in, operation);
}

static int run_show(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = operation_about(in, "GET", in->args[0], "", &a);

    if (r == EXIT_OK)
        print_state(in, a.json);
    return r;
}

static int run_cancel(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = operation_about(in, "POST", in->args[0], "/cancel", &a);

    if (r == EXIT_OK)
        print_state(in, a.json);
    return r;
}

static const struct command commands[] = {
    {.name = "operation list",
     .arguments = "",
     .summary = "long questions, whose they are and how far",
     .help = "One's own, an admin's: everybody's; those that ended are kept for 15 minutes.",
     COMMAND_OPTIONS(only_client),
     .run = run_list},
    {.name = "operation show",
     .arguments = "ID",
     .summary = "how far a long question is, and its answer",
     .help = "The answer itself is in the document: -o json.",
     COMMAND_OPTIONS(only_client),
     .min_args = 1,
     .max_args = 1,
     .run = run_show},
    {.name = "operation cancel",
     .arguments = "ID",
     .summary = "end a long question",
     .help = "At once; nothing is left half done.",
     COMMAND_OPTIONS(only_client),
     .min_args = 1,
     .max_args = 1,
     .run = run_cancel},
};

const struct command_table operations_commands = {commands, ARRAY_SIZE(commands)};
