/* SPDX-License-Identifier: Apache-2.0 */
/* try.c - what another policy would have done with the recorded flows */
#include <stdio.h>

#include "base/number.h"
#include "cli/commands.h"
#include "cli/operation.h"
#include "cli/upload.h"

#define WINDOW_OPTIONS                                                                             \
    {"since", 0, "TIME", "flows since this time (UTC), or an age (default 30d)"},                  \
        {"until", 0, "TIME", "flows up to this time"},                                             \
    {                                                                                              \
        "max", 0, "N", "show at most N connections (default 1000)"                                 \
    }

static const struct option_spec try_options[] = {
    CLIENT_OPTIONS,
    {"inventory", 'i', "FILE", "with this inventory, too; a file or a folder"},
    WINDOW_OPTIONS,
};
static const struct option_spec whatif_options[] = {CLIENT_OPTIONS, WINDOW_OPTIONS};

static int add_window(const struct invocation *in, json_t *body)
{
    static const char *const times[] = {"since", "until"};
    const char *max = invocation_value(in, "max");
    uint64_t n;

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        const char *value = invocation_value(in, times[i]);

        if (value && json_object_set_new(body, times[i], json_string(value)) < 0)
            return complain(EXIT_USAGE, "--%s must be UTF-8", times[i]);
    }
    if (max && (number_parse(max, strlen(max), 10000, &n) < 0 || n == 0))
        return complain(EXIT_USAGE, "--max %s: expected a number of 1 to 10000", max);
    if (max)
        (void)json_object_set_new(body, "max", json_integer((json_int_t)n));
    return EXIT_OK;
}

static bool changes_anything(const json_t *answer)
{
    static const char *const kinds[] = {"blocked", "reported", "opened"};
    bool any = false;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        any = any || number_of(json_object_get(answer, kinds[i]), "connections") > 0;
    return any;
}

static int ask(const struct invocation *in, const json_t *body)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = operation_ask(in, "/api/v1/try", body, &a);

    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    if (!wants_document(in) && json_is_true(json_object_get(a.json, "redundant")))
        (void)printf("redundant: others allow all of it; no verdict would change\n");
    return changes_anything(a.json) ? EXIT_DIFFERS : EXIT_OK;
}

static int run_try(const struct invocation *in)
{
    CLEANUP(json_decrefp) json_t *body = json_object();
    const char *inventory = invocation_value(in, "inventory");
    json_t *files = json_array(), *second = json_array();
    int r = add_window(in, body);

    (void)json_object_set_new(body, "files", files);
    for (size_t i = 0; r == EXIT_OK && i < in->n_args; i++)
        r = upload_files(files, in->args[i]);
    if (r == EXIT_OK && inventory)
        r = upload_files(second, inventory);
    if (json_array_size(second))
        (void)json_object_set(body, "inventory", second);
    json_decref(second);
    return r == EXIT_OK ? ask(in, body) : r;
}

static int run_whatif_delete(const struct invocation *in)
{
    CLEANUP(json_decrefp) json_t *body = json_object();
    json_t *ids = json_array();
    int r = add_window(in, body);

    (void)json_object_set_new(body, "delete", ids);
    for (size_t i = 0; r == EXIT_OK && i < in->n_args; i++)
        if (json_array_append_new(ids, json_string(in->args[i])) < 0)
            r = complain(EXIT_USAGE, "the ids of rules must be UTF-8");
    return r == EXIT_OK ? ask(in, body) : r;
}

#define TRY_HELP                                                                                   \
    "Each recorded connection is judged as its enforcer would judge it then.  Told is what "       \
    "would\n"                                                                                      \
    "be blocked, only reported as would-deny, or opened: by owner, how often, last when, and\n"    \
    "whether it is likely needed or likely unwanted, with the facts that speak for it.\n\n"        \
    "Exit code 0: nothing recorded would change; 1: something would; 3: the files are not valid."

static const struct command commands[] = {
    {.name = "try",
     .arguments = "PATH...",
     .summary = "what a policy would have done with the recorded flows",
     .help = "Sends a candidate policy to the controller, which replays its flow history through "
             "it and\nchanges nothing.\n\n" TRY_HELP,
     COMMAND_OPTIONS(try_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_try},
    {.name = "whatif delete",
     .arguments = "RULE...",
     .summary = "what the recorded flows would lose without these rules",
     .help = "As \"try\" with the policy in force, less the named rules.  It says so when they are "
             "redundant:\nwhen other rules give every verdict that they give.\n\n" TRY_HELP,
     COMMAND_OPTIONS(whatif_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_whatif_delete},
};

const struct command_table try_commands = {commands, ARRAY_SIZE(commands)};
