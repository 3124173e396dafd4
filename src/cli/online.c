/* SPDX-License-Identifier: Apache-2.0 */
/* online.c - the commands that talk to the controller */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"

/* ---- status ---- */

static const struct option_spec only_client[] = {CLIENT_OPTIONS};

static int run_status(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = client_ask(in, "GET", "/api/v1/status", NULL, NULL, &a);

    if (r == EXIT_OK)
        print_object(in, a.json);
    return r;
}

/* ---- lists and single things ---- */

static int ask_path(const struct invocation *in, const char *head, const char *name,
                    const char *tail, const char *method, const json_t *body, struct answer *ret_a)
{
    static const char *const at[] = {"at"};
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    buf_puts(&path, head);
    if (name)
        url_add(&path, name);
    buf_puts(&path, tail);
    url_add_options(&path, in, at, ARRAY_SIZE(at));
    return client_ask(in, method, buf_str(&path), body, NULL, ret_a);
}

static int show_list(const struct invocation *in, const char *path, const struct column *columns,
                     size_t n)
{
    static const char *const at[] = {"at"};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf url = BUF_INIT;
    int r;

    buf_puts(&url, path);
    url_add_options(&url, in, at, ARRAY_SIZE(at));
    r = client_ask_list(in, buf_str(&url), &a);
    if (r == EXIT_OK)
        print_table(in, a.json, columns, n);
    return r;
}

static int show_one(const struct invocation *in, const char *head)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = ask_path(in, head, in->args[0], "", "GET", NULL, &a);

    if (r == EXIT_OK)
        print_object(in, a.json);
    return r;
}

static int run_enforcer_list(const struct invocation *in)
{
    static const struct column columns[] = {
        {"NAME", "name", false},        {"AT EDGE", "edge", false},
        {"STATE", "state", false},      {"WANTED", "wanted", false},
        {"RUNNING", "running", false},  {"LAST RESULT", "last_result", false},
        {"ADDRESS", "address", true},   {"KERNEL", "kernel", true},
        {"SOFTWARE", "software", true}, {"LOST", "lost_flows", true},
    };

    return show_list(in, "/api/v1/enforcers", columns, ARRAY_SIZE(columns));
}

static int run_exporters(const struct invocation *in)
{
    static const struct column columns[] = {
        {"NAME", "name", false},          {"ADDRESS", "address", false},
        {"BELIEVED", "believed", false},  {"KIND", "kind", false},
        {"TEMPLATES", "templates", true}, {"RECORDS", "records", false},
        {"LOST", "lost", false},          {"REFUSED", "refused", false},
        {"MALFORMED", "malformed", true}, {"LAST SEEN", "last_seen", false},
    };

    return show_list(in, "/api/v1/exporters", columns, ARRAY_SIZE(columns));
}

static int run_enforcer_show(const struct invocation *in)
{
    return show_one(in, "/api/v1/enforcers/");
}

static int run_endpoint(const struct invocation *in)
{
    static const struct column columns[] = {
        {"NAME", "name", false},           {"TRUST", "trust", false},   {"MODE", "mode", false},
        {"ADDRESSES", "addresses", false}, {"GROUPS", "groups", false}, {"LABELS", "labels", true},
        {"ENFORCERS", "enforcers", true},
    };

    return in->n_args ? show_one(in, "/api/v1/endpoints/")
                      : show_list(in, "/api/v1/endpoints", columns, ARRAY_SIZE(columns));
}

static int run_group(const struct invocation *in)
{
    static const struct column columns[] = {
        {"NAME", "name", false}, {"KIND", "kind", false}, {"MEMBERS", "members", false}};

    return in->n_args ? show_one(in, "/api/v1/groups/")
                      : show_list(in, "/api/v1/groups", columns, ARRAY_SIZE(columns));
}

static int run_service(const struct invocation *in)
{
    static const struct column columns[] = {{"NAME", "name", false}, {"PORTS", "ports", false}};

    return show_list(in, "/api/v1/services", columns, ARRAY_SIZE(columns));
}

static int run_notices(const struct invocation *in)
{
    static const struct column columns[] = {{"TIME", "time", false},
                                            {"ENDPOINT", "endpoint", false},
                                            {"KIND", "kind", false},
                                            {"OBJECT", "object", false},
                                            {"TEXT", "text", false}};

    return show_list(in, "/api/v1/notices", columns, ARRAY_SIZE(columns));
}

/* ---- policy ---- */

static const struct option_spec policy_show_options[] = {
    CLIENT_OPTIONS,
    {"version", 0, "N", "an older version"},
    CLIENT_AT_OPTION,
};
static const struct option_spec at_options[] = {CLIENT_OPTIONS, CLIENT_AT_OPTION};

static int run_policy_show(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    const char *version = invocation_value(in, "version");
    const json_t *file;
    size_t i;
    int r = ask_path(in, version ? "/api/v1/policy?version=" : "/api/v1/policy", version, "", "GET",
                     NULL, &a);

    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    json_array_foreach(json_object_get(a.json, "files"), i, file)
    {
        (void)printf("# %s, version %lld of %s by %s\n", text_of(file, "name"),
                     number_of(a.json, "version"), text_of(a.json, "time"),
                     text_of(a.json, "actor"));
        (void)fputs(text_of(file, "text"), stdout); /* The reader has refused hidden characters. */
    }
    return EXIT_OK;
}

static int run_policy_history(const struct invocation *in)
{
    static const struct column columns[] = {{"VERSION", "version", false},
                                            {"TIME", "time", false},
                                            {"ACTOR", "actor", false},
                                            {"COMMENT", "comment", false}};

    return show_list(in, "/api/v1/policy/history", columns, ARRAY_SIZE(columns));
}

/* ---- quarantine ---- */

static const struct option_spec reason_options[] = {
    CLIENT_OPTIONS,
    {"why", 0, "TEXT", "the reason; required"},
    {"reason", 0, "TEXT", "the same as --why"},
};

static int set_trust(const struct invocation *in, const char *verb)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    const char *why = invocation_value(in, invocation_value(in, "why") ? "why" : "reason");
    CLEANUP(json_decrefp) json_t *body = json_pack("{s:s?}", "reason", why);
    int r;

    if (!why || !why[0])
        return complain(EXIT_USAGE, "--why TEXT is required; it goes to the audit");
    r = ask_path(in, "/api/v1/endpoints/", in->args[0], verb, "POST", body, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("%s is %s, revision %lld\n", in->args[0], text_of(a.json, "trust"),
                     number_of(a.json, "revision"));
    return r;
}

static int run_quarantine(const struct invocation *in)
{
    return set_trust(in, "/quarantine");
}

static int run_release(const struct invocation *in)
{
    return set_trust(in, "/release");
}

/* ---- tokens ---- */

static const struct option_spec token_options[] = {
    CLIENT_OPTIONS,
    {"valid", 0, "TIME", "how long (default 1h; for api 90d)"},
    {"role", 0, "ROLE",
     "of an API token: viewer, auditor, operator, editor, approver, admin, scraper"},
    {"scope", 0, "LABEL=VALUE", "of an API token: only endpoints with this label"},
};

static int new_token(const struct invocation *in, json_t *body)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    const char *valid = invocation_value(in, "valid");
    uint64_t valid_s = 0;
    int r;

    if (valid && duration_parse(valid, UINT32_MAX, &valid_s) < 0)
        return complain(EXIT_USAGE, "--valid %s: expected a time like 1h", valid);
    if (valid_s)
        (void)json_object_set_new(body, "valid_s", json_integer((json_int_t)valid_s));
    r = client_ask(in, "POST", "/api/v1/tokens", body, NULL, &a);
    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    (void)puts(text_of(a.json, "token"));
    if (strcmp(text_of(body, "kind"), "enroll") == 0 &&
        !json_is_true(json_object_get(a.json, "known_endpoint")))
        (void)complain(EXIT_OK, "note: no endpoint \"%s\" in the inventory yet",
                       text_of(body, "endpoint"));
    return EXIT_OK;
}

static int run_token_create(const struct invocation *in)
{
    CLEANUP(json_decrefp)
    json_t *body = json_pack("{s:s,s:s}", "kind", "enroll", "endpoint", in->args[0]);

    return body ? new_token(in, body) : complain(EXIT_USAGE, "the name must be UTF-8");
}

static int run_token_api(const struct invocation *in)
{
    const char *role = invocation_value(in, "role");
    CLEANUP(json_decrefp)
    json_t *body = json_pack("{s:s,s:s,s:s}", "kind", "api", "name", in->args[0], "role",
                             role ? role : "viewer");

    if (!body)
        return complain(EXIT_USAGE, "the name must be UTF-8");
    return client_add_scope(in, body) == EXIT_OK ? new_token(in, body) : EXIT_USAGE;
}

static int run_token_list(const struct invocation *in)
{
    static const struct column columns[] = {
        {"ID", "id", false},     {"KIND", "kind", false}, {"ENDPOINT", "endpoint", false},
        {"NAME", "name", false}, {"ROLE", "role", false}, {"EXPIRES", "expires", false},
    };

    return show_list(in, "/api/v1/tokens", columns, ARRAY_SIZE(columns));
}

static int run_token_revoke(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = ask_path(in, "/api/v1/tokens/", in->args[0], "", "DELETE", NULL, &a);

    if (r == EXIT_OK)
        (void)printf("revoked\n");
    return r;
}

/* ---- audit ---- */

static int run_audit_list(const struct invocation *in)
{
    static const struct column columns[] = {
        {"SEQ", "seq", false},       {"TIME", "time", false},     {"ACTOR", "actor", false},
        {"ACTION", "action", false}, {"OBJECT", "object", false}, {"DETAIL", "detail", false},
        {"BEFORE", "before", true},  {"AFTER", "after", true},
    };

    return show_list(in, "/api/v1/audit", columns, ARRAY_SIZE(columns));
}

static int run_audit_verify(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = client_ask(in, "GET", "/api/v1/audit/verify", NULL, NULL, &a);
    bool whole;

    if (r != EXIT_OK)
        return r;
    whole = json_is_true(json_object_get(a.json, "whole"));
    if (!print_document(in, a.json)) {
        if (whole)
            (void)printf("whole: %lld entries, last digest %s\n", number_of(a.json, "entries"),
                         text_of(a.json, "last_digest"));
        else
            (void)printf("BROKEN: entry %lld is missing or was altered\n",
                         number_of(a.json, "first_bad"));
    }
    return whole ? EXIT_OK : EXIT_DIFFERS;
}

static int run_control(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = NULL;
    uint64_t count = 1;
    int r;

    if (in->n_args > 2 && number_parse(in->args[2], strlen(in->args[2]), 1000, &count) < 0)
        return complain(EXIT_USAGE, "%s: expected a count of 1 to 1000", in->args[2]);
    body = json_pack("{s:s,s:I}", "verb", in->args[1], "count", (json_int_t)count);
    r = ask_path(in, "/api/v1/enforcers/", in->args[0], "/control", "POST", body, &a);
    if (r == EXIT_OK)
        (void)printf("sent\n");
    return r;
}

#define SIMPLE_WITH(options_, words, arguments_, summary_, n_min, n_max, run_)                     \
    {                                                                                              \
        .name = words, .arguments = arguments_, .summary = summary_, .help = summary_ ".",         \
        COMMAND_OPTIONS(options_), .min_args = n_min, .max_args = n_max, .run = run_               \
    }
#define SIMPLE(words, arguments_, summary_, n_min, n_max, run_)                                    \
    SIMPLE_WITH(only_client, words, arguments_, summary_, n_min, n_max, run_)

static const struct command commands[] = {
    SIMPLE("status", "", "revision, enforcers, what awaits confirmation", 0, 0, run_status),
    SIMPLE("notices", "", "what agents noticed: tampering, replaced programs", 0, 0, run_notices),
    SIMPLE("enforcer list", "", "wanted and running revision and state of each enforcer", 0, 0,
           run_enforcer_list),
    SIMPLE("enforcer show", "NAME", "all that is known of one enforcer", 1, 1, run_enforcer_show),
    SIMPLE("enforcer control", "NAME report|verify|resync [COUNT]", "ask one agent to do something",
           2, 3, run_control),
    SIMPLE("exporters", "", "network gear that tells flows, and what of it is lost or refused", 0,
           0, run_exporters),
    SIMPLE_WITH(at_options, "endpoint", "[NAME]", "endpoints with groups, labels and trust", 0, 1,
                run_endpoint),
    SIMPLE_WITH(at_options, "group", "[NAME]", "groups and their members", 0, 1, run_group),
    SIMPLE_WITH(at_options, "service", "", "named services", 0, 0, run_service),
    {.name = "policy show",
     .arguments = "",
     .summary = "the policy in force, or an older one",
     .help = "Prints the files as they were applied.",
     COMMAND_OPTIONS(policy_show_options),
     .run = run_policy_show},
    SIMPLE("policy history", "", "versions of the policy", 0, 0, run_policy_history),
    {.name = "quarantine",
     .arguments = "ENDPOINT",
     .summary = "let an endpoint reach only what suspects may",
     .help = "Makes the endpoint black: only the policy's quarantine rules hold for it, living "
             "connections are cut.",
     COMMAND_OPTIONS(reason_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_quarantine},
    {.name = "release",
     .arguments = "ENDPOINT",
     .summary = "end an endpoint's quarantine",
     .help = "Makes the endpoint white again.",
     COMMAND_OPTIONS(reason_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_release},
    {.name = "token create",
     .arguments = "ENDPOINT",
     .summary = "an enrolment token for one endpoint's agent",
     .help = "Prints the token, this once.  It works once, for this endpoint, within --valid.",
     COMMAND_OPTIONS(token_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_token_create},
    {.name = "token api",
     .arguments = "NAME",
     .summary = "a token for the API",
     .help = "Prints the token, this once.  NAME is what the audit calls its user.",
     COMMAND_OPTIONS(token_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_token_api},
    SIMPLE("token list", "", "tokens, without their secrets", 0, 0, run_token_list),
    SIMPLE("token revoke", "ID", "make a token worthless", 1, 1, run_token_revoke),
    SIMPLE("audit list", "", "who changed what, newest first", 0, 0, run_audit_list),
    SIMPLE("audit verify", "", "whether the audit log is whole", 0, 0, run_audit_verify),
};

const struct command_table online_commands = {commands, ARRAY_SIZE(commands)};
