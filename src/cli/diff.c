/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - policy diff: what a change of policy means */
#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "text/meaning.h"

enum { OPTION_INVENTORY, OPTION_OLD_INVENTORY, OPTION_NOW };

static int load_one(struct loaded *l, const struct invocation *in, size_t arg,
                    const char *inventory)
{
    struct invocation one = *in;
    int r;

    one.args = &in->args[arg];
    one.n_args = 1;
    one.values[OPTION_INVENTORY] = inventory;
    r = load(l, &one, false);
    if (r != EXIT_OK && l->d->n)
        print_findings(l);
    return r;
}

static int report(const struct invocation *in, const struct loaded *before,
                  const struct loaded *after)
{
    struct meaning m;
    bool same = meaning_of(before->world, after->world, &m);

    if (wants_document(in))
        print_json_text(in, m.json);
    else
        (void)fputs(m.text, stdout);
    meaning_done(&m);
    return same ? EXIT_OK : EXIT_DIFFERS;
}

static int run_diff(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded before = {.d = NULL};
    CLEANUP(loaded_done) struct loaded after = {.d = NULL};
    const char *inventory = in->values[OPTION_INVENTORY], *old = in->values[OPTION_OLD_INVENTORY];
    int r;

    if (!inventory)
        return complain(EXIT_USAGE, "policy diff needs --inventory FILE: without endpoints there "
                                    "is nobody who gains or loses anything");
    r = load_one(&before, in, 0, old ? old : inventory);
    if (r == EXIT_OK)
        r = load_one(&after, in, 1, inventory);
    return r == EXIT_OK ? report(in, &before, &after) : r;
}

static const struct option_spec diff_options[] = {
    [OPTION_INVENTORY] = {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    [OPTION_OLD_INVENTORY] = {"old-inventory", 0, "FILE",
                              "what the inventory was, if it changed too"},
    [OPTION_NOW] = {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct command commands[] = {
    {.name = "policy diff",
     .arguments = "OLD NEW --inventory FILE",
     .summary = "who gains and who loses what between two policies",
     .help = "Compares two policies, each a file or a folder, by their verdicts and not by their\n"
             "words: who may reach what now, who no longer may, by which rules before and after.\n"
             "Renamed rules, other reasons and another order are no change.\n\n"
             "Exit code 0: no change in meaning; 1: there is one; 3: a file is not valid.",
     COMMAND_OPTIONS(diff_options),
     .min_args = 2,
     .max_args = 2,
     .run = run_diff},
};

const struct command_table diff_commands = {commands, ARRAY_SIZE(commands)};
