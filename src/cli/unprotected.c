/* SPDX-License-Identifier: Apache-2.0 */
/* unprotected.c - where nobody carries out what the policy denies, and what holds when a box is
 * owned: asked of the controller, or of files */
#include <assert.h>
#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "text/unprotected_report.h"

#define REASON_OPTION                                                                              \
    {                                                                                              \
        "reason", 0, "LIST",                                                                       \
            "only these: no-enforcer, agent-only, plain-switch, "                                  \
            "guessed-identity"                                                                     \
    }

static int load_for(struct loaded *l, const struct invocation *in)
{
    int r;

    if (!invocation_value(in, "inventory"))
        return complain(EXIT_USAGE, "%s needs --inventory FILE: it is about endpoints",
                        in->command->name);
    r = load(l, in, false);
    if (r != EXIT_OK && l->d->n)
        print_findings(l);
    return r;
}

static void print_report(const struct invocation *in, const struct buf *b)
{
    if (wants_document(in))
        print_json_text(in, b->data);
    else
        (void)print_lines(stdout, b->data, SIZE_MAX);
}

/* ---- unprotected ---- */

static int read_reasons(const struct invocation *in, unsigned *ret)
{
    const char *list = invocation_value(in, "reason");

    *ret = UNPROTECTED_ALL;
    if (list && unprotected_reasons_parse(list, ret) < 0)
        return complain(EXIT_USAGE,
                        "\"%s\" for --reason; expected a list of no-enforcer, agent-only, "
                        "plain-switch and guessed-identity",
                        list);
    return EXIT_OK;
}

static int run_policy_unprotected(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(unprotected_freep) struct unprotected *u = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    unsigned reasons;
    uint64_t pairs;
    int r = read_reasons(in, &reasons);

    if (r == EXIT_OK)
        r = load_for(&l, in);
    if (r != EXIT_OK)
        return r;
    assert(l.world);
    if (unprotected_new(l.world, NULL, &u) < 0)
        return complain(EXIT_INVALID, "too many kinds of endpoints to ask about all pairs (%d)",
                        UNPROTECTED_MAX_ASKED);
    pairs = wants_document(in) ? unprotected_report_json(&b, u, reasons)
                               : unprotected_report_text(&b, u, reasons);
    print_report(in, &b);
    return pairs ? EXIT_DIFFERS : EXIT_OK;
}

static int run_unprotected(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    const char *list = invocation_value(in, "reason");
    unsigned reasons;
    json_int_t pairs = 0;
    const json_t *x;
    size_t i;
    int r = read_reasons(in, &reasons);

    if (r != EXIT_OK)
        return r;
    buf_puts(&path, "/api/v1/unprotected");
    if (list) {
        buf_puts(&path, "?reason=");
        url_add(&path, list);
    }
    r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    json_array_foreach(json_object_get(a.json, "reasons"), i, x) pairs += number_of(x, "pairs");
    return pairs ? EXIT_DIFFERS : EXIT_OK;
}

/* ---- one endpoint ---- */

static int run_policy_endpoint(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct invocation files = *in;
    const struct endpoint *e;
    uint32_t index;
    int r;

    files.args++; /* The first is the name. */
    files.n_args--;
    r = load_for(&l, &files);
    if (r != EXIT_OK)
        return r;
    assert(l.inventory && l.world);
    e = inventory_endpoint(l.inventory, in->args[0]);
    if (!e)
        return complain(EXIT_NOT_FOUND, "no endpoint \"%s\" in the inventory", in->args[0]);
    index = (uint32_t)(e - l.inventory->endpoints);
    if (wants_document(in))
        unprotected_report_owned_json(&b, l.world, index);
    else
        unprotected_report_owned_text(&b, l.world, index);
    print_report(in, &b);
    return EXIT_OK;
}

static int run_endpoint_show(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r;

    buf_puts(&path, "/api/v1/endpoints/");
    url_add(&path, in->args[0]);
    buf_puts(&path, "/if-owned");
    r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r == EXIT_OK)
        print_answer(in, a.json);
    return r;
}

/* ---- the table ---- */

#define UNPROTECTED_HELP                                                                           \
    "Where what the policy denies passes all the same: between two ends without any enforcer; "    \
    "to\n"                                                                                         \
    "such an end from one that has only an agent or nftables inside, once it is owned; and\n"      \
    "between neighbours on a plain switch, where a /24 (IPv6: a /64) is taken for one segment.\n"  \
    "By pairs of groups, with counts, an example and what would close it.\n\n"                     \
    "Exit code 0: nothing is unprotected by these reasons; 1: something is."

#define ENDPOINT_HELP                                                                              \
    "Its groups, mode, trust and enforcers; and which end still holds if the box is owned: its\n"  \
    "own agent and nftables no longer count, an edge or an enforcing switch before it does, and\n" \
    "without one only the other ends: then whoever has no enforcer is open to it."

static const struct option_spec unprotected_options[] = {CLIENT_OPTIONS, REASON_OPTION};
static const struct option_spec policy_unprotected_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"},
    REASON_OPTION};
static const struct option_spec show_options[] = {CLIENT_OPTIONS};
static const struct option_spec policy_endpoint_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct command commands[] = {
    {.name = "unprotected",
     .arguments = "",
     .summary = "where nobody carries out what the policy denies",
     .help = UNPROTECTED_HELP,
     COMMAND_OPTIONS(unprotected_options),
     .run = run_unprotected},
    {.name = "policy unprotected",
     .arguments = "PATH... --inventory FILE",
     .summary = "the same of policy files, without a controller",
     .help = UNPROTECTED_HELP,
     COMMAND_OPTIONS(policy_unprotected_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_policy_unprotected},
    {.name = "endpoint show",
     .arguments = "NAME",
     .summary = "one endpoint, and which end still holds if it is owned",
     .help = ENDPOINT_HELP,
     COMMAND_OPTIONS(show_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_endpoint_show},
    {.name = "policy endpoint",
     .arguments = "NAME PATH... --inventory FILE",
     .summary = "the same of policy files, without a controller",
     .help = ENDPOINT_HELP,
     COMMAND_OPTIONS(policy_endpoint_options),
     .min_args = 2,
     .max_args = SIZE_MAX,
     .run = run_policy_endpoint},
};

const struct command_table unprotected_commands = {commands, ARRAY_SIZE(commands)};
