/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.c - what changed when, and what it meant */
#include <stdio.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"

static const struct option_spec timeline_options[] = {
    CLIENT_OPTIONS,
    {"since", 0, "TIME", "from this time on (UTC), or an age like 2d"},
    {"until", 0, "TIME", "up to this time"},
    {"max", 0, "N", "at most N (default 200)"},
};

static int run_timeline(const struct invocation *in)
{
    static const char *const passed[] = {"since", "until", "max"};
    static const struct column columns[] = {
        {"TIME", "time", false},         {"REVISION", "revision", false},
        {"WHAT", "what", false},         {"ENDPOINT", "endpoint", false},
        {"TRUST", "trust", false},       {"ACTOR", "actor", false},
        {"COMMENT", "comment", false},   {"POLICY", "policy", true},
        {"INVENTORY", "inventory", true}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r;

    buf_puts(&path, "/api/v1/timeline");
    url_add_options(&path, in, passed, ARRAY_SIZE(passed));
    r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r == EXIT_OK)
        print_table(in, a.json, columns, ARRAY_SIZE(columns));
    return r;
}

static const struct option_spec only_client[] = {CLIENT_OPTIONS};

static int run_timeline_diff(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r;

    buf_puts(&path, "/api/v1/timeline/diff?from=");
    url_add(&path, in->args[0]);
    if (in->n_args > 1) {
        buf_puts(&path, "&to=");
        url_add(&path, in->args[1]);
    }
    r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r != EXIT_OK)
        return r;
    if (!print_document(in, json_object_get(a.json, "diff"))) {
        (void)printf("from %s to %s:\n", text_of(a.json, "from"), text_of(a.json, "to"));
        (void)print_lines(stdout, text_of(a.json, "diff_text"), SIZE_MAX);
    }
    return json_is_true(json_object_get(json_object_get(a.json, "diff"), "same")) ? EXIT_OK
                                                                                  : EXIT_DIFFERS;
}

static const struct option_spec note_options[] = {
    CLIENT_OPTIONS,
    {"detect-ms", 0, "N", "measured: from the first attempt to the first alarm"},
    {"contain-ms", 0, "N", "measured: from the command to the cut connection"},
};

static int run_timeline_note(const struct invocation *in)
{
    static const struct {
        const char *option, *field;
    } numbers[] = {{"detect-ms", "detect_ms"}, {"contain-ms", "contain_ms"}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_pack("{s:s}", "comment", in->args[0]);
    uint64_t n;
    int r;

    if (!body)
        return complain(EXIT_USAGE, "the note must be UTF-8");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const char *text = invocation_value(in, numbers[i].option);

        if (!text)
            continue;
        if (number_parse(text, strlen(text), INT32_MAX, &n) < 0)
            return complain(EXIT_USAGE, "--%s %s: expected milliseconds", numbers[i].option, text);
        (void)json_object_set_new(body, numbers[i].field, json_integer((json_int_t)n));
    }
    r = client_ask(in, "POST", "/api/v1/timeline", body, NULL, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("noted beside revision %lld\n", (long long)number_of(a.json, "revision"));
    return r;
}

static const struct command commands[] = {
    {.name = "timeline",
     .arguments = "",
     .summary = "what changed when: policy, inventory, trust, and notes",
     .help = "Every revision with its time and what made it, newest first, and what people and "
             "drills noted.\n\"revision\" alone: rules expired, or the controller began anew.",
     COMMAND_OPTIONS(timeline_options),
     .run = run_timeline},
    {.name = "timeline diff",
     .arguments = "TIME [TIME]",
     .summary = "who gained and who lost what between two instants",
     .help = "Compares what stood at an instant with what stood at another, or stands now: policy, "
             "inventory,\ntrust states and expired rules together.  A time is "
             "2026-11-03T14:05 (UTC), or an age like 2h.\n\nExit code 0: no change in meaning; 1: "
             "there is one; 4: nothing is known of then.",
     COMMAND_OPTIONS(only_client),
     .min_args = 1,
     .max_args = 2,
     .run = run_timeline_diff},
    {.name = "timeline note",
     .arguments = "TEXT",
     .summary = "writes a note beside what is in force now",
     .help = "It stands in `suimitsu timeline` and on the console's time slider, and changes "
             "nothing.  A drill writes\none, with what it measured; the console's overview shows "
             "the newest numbers.",
     COMMAND_OPTIONS(note_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_timeline_note},
};

const struct command_table timeline_commands = {commands, ARRAY_SIZE(commands)};
