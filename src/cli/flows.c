/* SPDX-License-Identifier: Apache-2.0 */
/* flows.c - who talked to whom: flows, edges, rules use */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/operation.h"

enum { PAGE = 1000, DEFAULT_MAX = 200 };

#define WINDOW_OPTIONS                                                                             \
    {"since", 0, "TIME", "last seen since: 5m, or 2026-11-22T10:00:00Z"},                          \
    {                                                                                              \
        "until", 0, "TIME", "first seen before"                                                    \
    }
#define FILTER_OPTIONS                                                                             \
    {"from", 0, "NAME", "from this endpoint or address"},                                          \
        {"to", 0, "NAME", "to this endpoint or address"},                                          \
        {"endpoint", 0, "NAME", "with this endpoint or address at either end"},                    \
        {"verdict", 0, "VERDICT", "allow, deny, would-deny; by others: seen, seen-deny"},          \
        {"reporter", 0, "NAME", "told by this endpoint, exporter or interface"},                   \
        {"denied", 0, NULL, "only denied and would-be denied"},                                    \
        {"rule", 0, "ID", "decided by this rule"}, {"process", 0, "FILE", "of this program file"}, \
        {"user", 0, "NAME", "of this user"},                                                       \
    {                                                                                              \
        "port", 0, "PORT", "to this port: 443, or tcp/443"                                         \
    }

static void add_options(const struct invocation *in, struct buf *path)
{
    static const char *const passed[] = {"since",   "until", "from",    "to",      "endpoint",
                                         "verdict", "rule",  "process", "user",    "port",
                                         "denied",  "by",    "split",   "reporter"};

    url_add_options(path, in, passed, ARRAY_SIZE(passed));
}

/* Whatever is printed, what is missing in it is said. */
static void tell_gaps(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "incomplete"), *g;
    size_t i;

    json_array_foreach(list, i, g)
    {
        CLEANUP(buf_done) struct buf line = BUF_INIT, safe = BUF_INIT;

        buf_printf(&line, "evidence is incomplete: %s, %s to %s: ", text_of(g, "stream"),
                   text_of(g, "from"), text_of(g, "to"));
        if (number_of(g, "lost"))
            buf_printf(&line, "%lld records lost", (long long)number_of(g, "lost"));
        if (number_of(g, "interrupted"))
            buf_printf(&line, "%sits agent was interrupted", number_of(g, "lost") ? ", " : "");
        buf_escape(&safe, line.data, line.size, 1000);
        (void)fprintf(stderr, "suimitsu: %s\n", buf_str(&safe));
    }
}

/* ---- flows ---- */

static const struct option_spec flows_options[] = {
    CLIENT_OPTIONS,
    WINDOW_OPTIONS,
    FILTER_OPTIONS,
    {"follow", 'f', NULL, "go on with new ones until interrupted"},
    {"max", 0, "N", "the newest N (default 200)"},
};

static const char *end_of(const json_t *f, const char *name, const char *address)
{
    return text_of(f, name)[0] ? text_of(f, name) : text_of(f, address);
}

/* Who told it, and what of it is not as it seems. */
static void add_teller(struct buf *line, const json_t *f)
{
    const json_t *marks = json_object_get(f, "marks"), *m;
    size_t i;

    buf_printf(line, "  (seen by %s, %s", text_of(f, "reporter"),
               text_of(f, marks ? "origin" : "direction"));
    json_array_foreach(marks, i, m)
    {
        const char *word = json_string_value(m);

        buf_printf(line, "%s %s", i ? "," : ";",
                   strcmp(word, "guessed") == 0 ? "direction guessed" : word);
    }
    buf_puts(line, ")");
}

static void print_flow(const json_t *f)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT, safe = BUF_INIT;
    const char *script = text_of(f, "script");

    buf_printf(&line, "%s  %-10s %s -> %s %s/%lld", text_of(f, "last"), text_of(f, "verdict"),
               end_of(f, "from", "from_address"), end_of(f, "to", "to_address"),
               text_of(f, "protocol"), (long long)number_of(f, "port"));
    buf_printf(&line, "  %s%s%s%s  %s  x%lld  %s", text_of(f, "process"), script[0] ? " " : "",
               script, text_of(f, "process")[0] ? "" : "?", text_of(f, "user"),
               (long long)number_of(f, "count"), text_of(f, "layer"));
    if (text_of(f, "rule")[0])
        buf_printf(&line, " %s", text_of(f, "rule"));
    add_teller(&line, f);
    buf_escape(&safe, line.data, line.size, 4000);
    (void)puts(buf_str(&safe));
}

static void print_flows(const struct invocation *in, const json_t *list)
{
    const json_t *f;
    size_t i;

    json_array_foreach(list, i, f)
    {
        if (in->output == OUTPUT_JSON) {
            (void)json_dumpf(f, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
            (void)putchar('\n');
        } else {
            print_flow(f);
        }
    }
    (void)fflush(stdout);
}

/* The newest 'max', by as many pages as that takes; oldest first in '*ret_list'. */
static int collect(const struct invocation *in, uint64_t max, json_t *list, json_int_t *ret_last)
{
    CLEANUP(buf_done) struct buf cursor = BUF_INIT;

    do {
        CLEANUP(answer_done) struct answer a = {.json = NULL};
        CLEANUP(buf_done) struct buf path = BUF_INIT;
        uint64_t left = max - json_array_size(list);
        const json_t *page;
        int r;

        buf_puts(&path, "/api/v1/flows");
        buf_printf(&path, "?max=%llu", (unsigned long long)(left < PAGE ? left : PAGE));
        add_options(in, &path);
        if (cursor.size)
            buf_printf(&path, "&cursor=%s", buf_str(&cursor));
        r = operation_get(in, buf_str(&path), &a);
        if (r != EXIT_OK)
            return r;
        if (!cursor.size)
            tell_gaps(a.json);
        if (!cursor.size)
            *ret_last = number_of(a.json, "last");
        page = json_object_get(a.json, "flows");
        for (size_t i = json_array_size(page); i-- > 0;)
            (void)json_array_insert(list, 0, json_array_get(page, i));
        buf_reset(&cursor);
        url_add(&cursor, text_of(a.json, "next"));
    } while (cursor.size && json_array_size(list) < max);
    return EXIT_OK;
}

static int follow(const struct invocation *in, json_int_t last)
{
    for (;;) {
        CLEANUP(answer_done) struct answer a = {.json = NULL};
        CLEANUP(buf_done) struct buf path = BUF_INIT;
        const json_t *list;
        int r;

        buf_printf(&path, "/api/v1/flows?after=%lld&wait&max=%d", (long long)last, PAGE);
        add_options(in, &path);
        r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
        if (r != EXIT_OK)
            return r;
        list = json_object_get(a.json, "flows");
        last = number_of(a.json, "last");
        if (json_array_size(list) == PAGE) /* A page may end before the last. */
            last = number_of(json_array_get(list, PAGE - 1), "number");
        print_flows(in, list);
    }
}

static int run_flows(const struct invocation *in)
{
    CLEANUP(json_decrefp) json_t *list = json_array();
    const char *text = invocation_value(in, "max");
    uint64_t max = DEFAULT_MAX;
    json_int_t last = 0;
    int r;

    if (text && (number_parse(text, strlen(text), 1000000, &max) < 0 || !max))
        return complain(EXIT_USAGE, "--max %s: expected 1 to 1000000", text);
    r = collect(in, max, list, &last);
    if (r != EXIT_OK)
        return r;
    if (!invocation_value(in, "follow") && print_document(in, list))
        return EXIT_OK;
    print_flows(in, list);
    return invocation_value(in, "follow") ? follow(in, last) : EXIT_OK;
}

/* ---- edges ---- */

static const struct option_spec edges_options[] = {
    CLIENT_OPTIONS,
    WINDOW_OPTIONS,
    FILTER_OPTIONS,
    {"by", 0, "LABEL", "this label's values instead of endpoints"},
    {"split", 0, "port", "with --by: apart by protocol and port"},
    {"max", 0, "N", "the busiest N (default 1000)"},
};

static void print_groups(const json_t *list)
{
    const json_t *g;
    size_t i;

    json_array_foreach(list, i, g)
    {
        CLEANUP(buf_done) struct buf line = BUF_INIT, safe = BUF_INIT;
        const json_t *n = json_object_get(g, "counts");

        buf_printf(&line, "%s -> %s", text_of(g, "from"), text_of(g, "to"));
        if (json_object_get(g, "port"))
            buf_printf(&line, " %s/%lld", text_of(g, "protocol"), (long long)number_of(g, "port"));
        buf_printf(&line, "  allow %lld  deny %lld  would-deny %lld",
                   (long long)number_of(n, "allow"), (long long)number_of(n, "deny"),
                   (long long)number_of(n, "would_deny"));
        if (number_of(n, "seen") || number_of(n, "seen_deny"))
            buf_printf(&line, "  by others: seen %lld  seen-deny %lld",
                       (long long)number_of(n, "seen"), (long long)number_of(n, "seen_deny"));
        buf_printf(&line, "  (%s to %s)", text_of(g, "first"), text_of(g, "last"));
        buf_escape(&safe, line.data, line.size, 1000);
        (void)puts(buf_str(&safe));
    }
}

static void print_edges(const json_t *list)
{
    const json_t *e;
    size_t i;

    json_array_foreach(list, i, e)
    {
        CLEANUP(buf_done) struct buf line = BUF_INIT, safe = BUF_INIT;

        buf_printf(&line, "%-10s %s -> %s %s/%lld  %s%s  %s  x%lld  %s%s%s  (%s to %s)",
                   text_of(e, "verdict"), end_of(e, "from", "from_address"),
                   end_of(e, "to", "to_address"), text_of(e, "protocol"),
                   (long long)number_of(e, "port"),
                   strcmp(text_of(e, "process_of"), "to") == 0 ? "served by " : "",
                   text_of(e, "process")[0] ? text_of(e, "process") : "?", text_of(e, "user"),
                   (long long)number_of(e, "count"),
                   text_of(e, "origin")[0] ? text_of(e, "origin") : text_of(e, "layer"),
                   text_of(e, "rule")[0] ? " " : "", text_of(e, "rule"), text_of(e, "first"),
                   text_of(e, "last"));
        buf_escape(&safe, line.data, line.size, 2000);
        (void)puts(buf_str(&safe));
    }
}

static int run_edges(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    const char *max = invocation_value(in, "max");
    const json_t *list;
    json_int_t total;
    int r;

    buf_puts(&path, "/api/v1/edges");
    if (max) {
        buf_puts(&path, "?max=");
        url_add(&path, max);
    }
    add_options(in, &path);
    r = operation_get(in, buf_str(&path), &a);
    if (r != EXIT_OK)
        return r;
    tell_gaps(a.json);
    list = json_object_get(a.json, "edges");
    total = number_of(a.json, "total");
    if ((size_t)total > json_array_size(list))
        (void)fprintf(stderr, "suimitsu: the busiest %zu of %lld; --max shows more\n",
                      json_array_size(list), (long long)total);
    if (print_document(in, list))
        return EXIT_OK;
    if (invocation_value(in, "by"))
        print_groups(list);
    else
        print_edges(list);
    return EXIT_OK;
}

/* ---- rules ---- */

static const struct option_spec rules_options[] = {CLIENT_OPTIONS, WINDOW_OPTIONS};

static int run_rules_use(const struct invocation *in)
{
    static const struct column columns[] = {
        {"RULE", "rule", false}, {"HITS", "hits", false},         {"FIRST", "first", false},
        {"LAST", "last", false}, {"IN FORCE", "in_force", false},
    };
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r;

    buf_puts(&path, "/api/v1/rules/use");
    add_options(in, &path);
    r = client_ask_list_by(in, buf_str(&path), operation_get, &a);
    if (r != EXIT_OK)
        return r;
    tell_gaps(a.json);
    print_table(in, json_object_get(a.json, "rules"), columns, ARRAY_SIZE(columns));
    return EXIT_OK;
}

#define SLOW_HELP                                                                                  \
    "What takes more than 30 s goes on as an operation: on a terminal it says how far it is, and " \
    "Ctrl-C ends it."

static const struct command commands[] = {
    {.name = "flows",
     .arguments = "",
     .summary = "connections that agents and others have reported",
     .help = "Names, program, user, verdict, layer and rule of each, from the history, oldest "
             "first.  What agents lost in that time is said on standard error.\n\n" SLOW_HELP,
     COMMAND_OPTIONS(flows_options),
     .run = run_flows},
    {.name = "edges",
     .arguments = "",
     .summary = "who talks to whom and how, added up",
     .help = "Connections that agree in both ends, port, program, user, rule and verdict, with "
             "their number, first and last; the busiest first.  What both ends told is counted "
             "once.  What network gear and clouds saw stands apart, as seen and seen-deny.  With "
             "--by, groups of endpoints: suimitsu edges --by role\n\n" SLOW_HELP,
     COMMAND_OPTIONS(edges_options),
     .run = run_edges},
    {.name = "rules use",
     .arguments = "",
     .summary = "hits, first and last use of each rule",
     .help = "Rules in force stand here though nobody used them, and so do others that were used "
             "in the time.\n\n" SLOW_HELP,
     COMMAND_OPTIONS(rules_options),
     .run = run_rules_use},
};

const struct command_table flows_commands = {commands, ARRAY_SIZE(commands)};
