/* SPDX-License-Identifier: Apache-2.0 */
/* hygiene.c - rules that nobody uses, or that are wider than what uses them */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/operation.h"

#define SINCE_OPTION                                                                               \
    {                                                                                              \
        "since", 0, "TIME", "by the history since this time (UTC), or an age (default 90d)"        \
    }

static const struct option_spec hygiene_options[] = {CLIENT_OPTIONS, SINCE_OPTION};

static int ask(const struct invocation *in, const char *rule, struct answer *a)
{
    static const char *const passed[] = {"since"};
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    buf_puts(&path, "/api/v1/rules/hygiene");
    if (rule) {
        buf_puts(&path, "?rule=");
        url_add(&path, rule);
    }
    url_add_options(&path, in, passed, ARRAY_SIZE(passed));
    return operation_ask(in, buf_str(&path), NULL, a);
}

static int run_rules_hygiene(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = ask(in, in->n_args ? in->args[0] : NULL, &a);

    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    return EXIT_OK;
}

/* ---- unused ---- */

/* Those of a state that says neither that the rule is used nor that this does not matter. */
static bool is_open(const char *status)
{
    static const char *const closed[] = {"used", "unused", "guard-rail", "expired"};

    for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
        if (strcmp(status, closed[i]) == 0)
            return false;
    return true;
}

static void tell_open(const json_t *rules)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(rules, i, rule)
    {
        CLEANUP(buf_done) struct buf line = BUF_INIT, safe = BUF_INIT;

        buf_printf(&line, "not judged: %s: %s", text_of(rule, "rule"), text_of(rule, "why"));
        buf_escape(&safe, line.data, line.size, 1000);
        (void)fprintf(stderr, "suimitsu: %s\n", buf_str(&safe));
    }
}

static int run_rules_unused(const struct invocation *in)
{
    static const struct column columns[] = {{"RULE", "rule", false},
                                            {"OWNER", "owner", false},
                                            {"STANDS SINCE", "stands_since", false},
                                            {"LAST HIT", "last", false},
                                            {"", "why", false}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *said = NULL;
    json_t *unused = json_array(), *unknown = json_array(), *rule;
    size_t i;
    int r = ask(in, NULL, &a);

    said = json_pack("{s:o,s:o}", "unused", unused, "not_judged", unknown);
    if (r != EXIT_OK)
        return r;
    json_array_foreach(json_object_get(a.json, "rules"), i, rule)
    {
        const char *status = text_of(rule, "status");

        if (strcmp(status, "unused") == 0)
            (void)json_array_append(unused, rule);
        else if (is_open(status))
            (void)json_array_append(unknown, rule);
    }
    (void)json_object_set(said, "since", json_object_get(a.json, "since"));
    (void)json_object_set(said, "oldest", json_object_get(a.json, "oldest"));
    if (!print_document(in, said)) {
        tell_open(unknown);
        if (json_array_size(unused))
            print_table(in, unused, columns, ARRAY_SIZE(columns));
        else
            (void)puts("no rule is known to be unused");
    }
    return json_array_size(unused) ? EXIT_DIFFERS : EXIT_OK;
}

/* ---- rare flows ---- */

static const struct option_spec rare_options[] = {
    CLIENT_OPTIONS,
    {"since", 0, "TIME", "what is new since this time (UTC), or in an age (default 24h)"},
    {"new", 0, NULL, "connections first seen, though both ends were seen before"},
    {"once", 0, NULL, "connections seen once"},
    {"program", 0, NULL, "programs that used a service, or reached a group, for the first time"},
    {"scan", 0, NULL, "sources that tried many destinations or services in vain"},
    {"max", 0, "N", "at most N of each kind (default 100)"},
};

static int run_flows_rare(const struct invocation *in)
{
    static const char *const passed[] = {"since", "max"};
    static const char *const kinds[] = {"new", "once", "program", "scan"};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    bool any = false;
    int r;

    buf_puts(&path, "/api/v1/flows/rare");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!invocation_value(in, kinds[i]))
            continue;
        buf_printf(&path, "%s%s", any ? "," : "?kind=", kinds[i]);
        any = true;
    }
    url_add_options(&path, in, passed, ARRAY_SIZE(passed));
    r = operation_ask(in, buf_str(&path), NULL, &a);
    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    return EXIT_OK;
}

static const struct command commands[] = {
    {.name = "flows rare",
     .arguments = "",
     .summary = "connections that stand out: new, once, a program's first, scan-like",
     .help = "Compares a time with all of the history before it.  Each line says why it is there: "
             "since when its\nprogram is known, what else that does, and which rule decided.  What "
             "could not be judged is counted,\nand how far the history reaches back is said.  "
             "Without a choice all four kinds are shown.",
     COMMAND_OPTIONS(rare_options),
     .run = run_flows_rare},
    {.name = "rules hygiene",
     .arguments = "[RULE]",
     .summary = "which rules are used, how much, and how much wider they are than that",
     .help = "Of every rule in force, or of one: whether it was used in the time, its last hit, "
             "its trend, what it\nselects that was never seen, and a narrower rule to put in its "
             "place.  A narrower rule blocks no\nrecorded connection that the policy in force "
             "allows; \"suimitsu try\" shows it.",
     COMMAND_OPTIONS(hygiene_options),
     .max_args = 1,
     .run = run_rules_hygiene},
    {.name = "rules unused",
     .arguments = "",
     .summary = "allow rules without a hit in all of the time",
     .help = "Named are only those of which that is known: which stood as they stand for all of "
             "the time, while the\nhistory reaches back as far, nothing of their ends was lost, "
             "and an agent tells of each of their\nconnections.  The others are said on standard "
             "error.\n\nExit code 0: none; 1: some.",
     COMMAND_OPTIONS(hygiene_options),
     .run = run_rules_unused},
};

const struct command_table hygiene_commands = {commands, ARRAY_SIZE(commands)};
