/* SPDX-License-Identifier: Apache-2.0 */
/* draft.c - changes that one person proposes and another applies */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/agree.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/upload.h"

static const char drafts_path[] = "/api/v1/policy/drafts";

/* The draft that is named, or a part of it. */
static int ask_draft(const struct invocation *in, const char *method, const char *part,
                     const json_t *body, struct answer *ret_a)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    buf_printf(&path, "%s/", drafts_path);
    url_add(&path, in->args[0]);
    buf_puts(&path, part);
    return client_ask(in, method, buf_str(&path), body, NULL, ret_a);
}

/* ---- list, show ---- */

static int run_list(const struct invocation *in)
{
    static const struct column columns[] = {{"ID", "id", false},
                                            {"AUTHOR", "author", false},
                                            {"TIME", "time", false},
                                            {"COMMENT", "comment", false},
                                            {"BASE", "base", true}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = client_ask_list(in, drafts_path, &a);

    if (r == EXIT_OK)
        print_table(in, a.json, columns, ARRAY_SIZE(columns));
    return r;
}

/* What it would mean now: a dry run of what it would apply. */
static int ask_meaning(const struct invocation *in, const json_t *draft, struct answer *ret_a)
{
    CLEANUP(json_decrefp)
    json_t *body = json_pack("{s:O*,s:O*,s:O*,s:b}", "files", json_object_get(draft, "files"),
                             "inventory", json_object_get(draft, "inventory"), "base",
                             json_object_get(draft, "base"), "dry_run", 1);
    bool has_policy = json_object_get(draft, "files") != NULL;

    if (!has_policy) { /* An inventory alone has a route of its own, where its files are "files". */
        (void)json_object_set(body, "files", json_object_get(draft, "inventory"));
        (void)json_object_del(body, "inventory");
    }
    return client_ask(in, "PUT", has_policy ? "/api/v1/policy" : "/api/v1/inventory", body, NULL,
                      ret_a);
}

static void print_texts(const json_t *files)
{
    const json_t *file;
    size_t i;

    json_array_foreach(files, i, file)
    {
        (void)printf("# %s\n", text_of(file, "name"));
        (void)fputs(text_of(file, "text"), stdout); /* The reader has refused hidden characters. */
    }
}

static void print_head(const struct invocation *in, const json_t *draft)
{
    CLEANUP(json_decrefp) json_t *head = json_copy((json_t *)(uintptr_t)draft);

    (void)json_object_del(head, "files");
    (void)json_object_del(head, "inventory");
    print_object(in, head);
}

static int run_show(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(answer_done) struct answer meaning = {.json = NULL};
    int r = ask_draft(in, "GET", "", NULL, &a);

    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    if (invocation_value(in, "text")) {
        print_texts(json_object_get(a.json, "files"));
        print_texts(json_object_get(a.json, "inventory"));
        return EXIT_OK;
    }
    print_head(in, a.json);
    r = ask_meaning(in, a.json, &meaning);
    if (r == EXIT_OK)
        print_meaning(stdout, text_of(meaning.json, "diff_text"), SIZE_MAX);
    return r;
}

/* ---- propose ---- */

static const struct option_spec propose_options[] = {
    CLIENT_OPTIONS,
    {"inventory", 'i', "FILE", "inventory to propose with it, or alone"},
    {"comment", 'm', "TEXT", "what it is for; whoever reviews it reads it"},
};

static int run_propose(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *files = json_array();
    CLEANUP(json_decrefp) json_t *inventory = json_array();
    CLEANUP(json_decrefp) json_t *body = json_object();
    const char *ledger = invocation_value(in, "inventory"),
               *comment = invocation_value(in, "comment");
    int r = EXIT_OK;

    if (!in->n_args && !ledger)
        return complain(EXIT_USAGE, "propose what?  PATH..., or --inventory FILE, or both");
    for (size_t i = 0; r == EXIT_OK && i < in->n_args; i++)
        r = upload_files(files, in->args[i]);
    if (r == EXIT_OK && ledger)
        r = upload_files(inventory, ledger);
    if (r != EXIT_OK)
        return r;
    if (in->n_args)
        (void)json_object_set(body, "files", files);
    if (ledger)
        (void)json_object_set(body, "inventory", inventory);
    if (comment && json_object_set_new(body, "comment", json_string(comment)) < 0)
        return complain(EXIT_USAGE, "a comment must be UTF-8");
    r = client_ask(in, "POST", drafts_path, body, NULL, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("proposed as draft %s\n", text_of(a.json, "id"));
    return r;
}

/* ---- apply, withdraw ---- */

static const struct option_spec apply_options[] = {
    CLIENT_OPTIONS,
    {"confirm", 0, "TIME", "roll back unless confirmed within TIME (5m)"},
    {"yes", 'y', NULL, "do not ask, also on a terminal"},
    {"force", 0, "REASON", "override failing tests and proofs; goes to the audit"},
};

/* Shows at a terminal what it would mean, and asks; its base makes sure that this is applied. */
static int ask_first(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(answer_done) struct answer meaning = {.json = NULL};
    FILE *f = wants_document(in) ? stderr : stdout;
    int r = ask_draft(in, "GET", "", NULL, &a);

    if (r == EXIT_OK)
        r = ask_meaning(in, a.json, &meaning);
    if (r != EXIT_OK)
        return r;
    print_meaning(f, text_of(meaning.json, "diff_text"), AGREE_LINES);
    return is_agreed(f) ? EXIT_OK : complain(EXIT_DIFFERS, "nothing was applied");
}

static int run_apply(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_object();
    const char *confirm = invocation_value(in, "confirm"), *force = invocation_value(in, "force");
    uint64_t confirm_s = 0;
    int r = EXIT_OK;

    if (confirm && (duration_parse(confirm, 86400, &confirm_s) < 0 || confirm_s == 0))
        return complain(EXIT_USAGE, "--confirm %s: expected a time like 5m, at most 1d", confirm);
    (void)json_object_set_new(body, "confirm_s", json_integer((json_int_t)confirm_s));
    if (force && (!force[0] || json_object_set_new(body, "force", json_string(force)) < 0))
        return complain(EXIT_USAGE, "--force needs a reason in UTF-8; it goes to the audit");
    if (!invocation_value(in, "yes") && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        r = ask_first(in);
    if (r == EXIT_OK)
        r = ask_draft(in, "POST", "/apply", body, &a);
    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    (void)printf("applied as revision %lld\n", number_of(a.json, "revision"));
    if (confirm_s)
        (void)printf("confirm within %llu s with \"suimitsu confirm\", or it is rolled back\n",
                     (unsigned long long)confirm_s);
    return EXIT_OK;
}

static int run_withdraw(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = ask_draft(in, "DELETE", "", NULL, &a);

    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("withdrawn\n");
    return r;
}

static const struct option_spec only_client[] = {CLIENT_OPTIONS};
static const struct option_spec show_options[] = {
    CLIENT_OPTIONS, {"text", 0, NULL, "its files, instead of what they would mean"}};

static const struct command commands[] = {
    {.name = "draft list",
     .arguments = "",
     .summary = "changes that wait for somebody to apply them",
     .help = "Changes that were proposed and neither applied nor withdrawn, with who proposed "
             "them, when and why.",
     COMMAND_OPTIONS(only_client),
     .run = run_list},
    {.name = "draft show",
     .arguments = "ID [--text]",
     .summary = "what a draft would mean if it were applied now",
     .help = "Who gains and who loses what, as \"policy diff\" says it; --text gives the files, "
             "and so does -o json.\n\nExit code 6: something else is in force than when it was "
             "proposed, so that it cannot be applied.",
     COMMAND_OPTIONS(show_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_show},
    {.name = "draft propose",
     .arguments = "[PATH...] [--inventory FILE] [-m TEXT]",
     .summary = "propose a policy, an inventory, or both",
     .help = "Takes only what could be applied at this moment; nothing changes until somebody "
             "applies it.\n\nExit code 3: not valid, or a test fails.",
     COMMAND_OPTIONS(propose_options),
     .max_args = SIZE_MAX,
     .run = run_propose},
    {.name = "draft apply",
     .arguments = "ID",
     .summary = "put in force what somebody has proposed",
     .help = "On a terminal it first says what the draft means, and asks; --yes skips that.  With "
             "four-eyes: yes\nin the daemon's settings nobody applies a draft of his own.  "
             "--confirm is that of \"suimitsu apply\".\n\nExit codes: 1 the answer was not yes, 3 "
             "a test fails, 6 something else is in force than when\nit was proposed.",
     COMMAND_OPTIONS(apply_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_apply},
    {.name = "draft withdraw",
     .arguments = "ID",
     .summary = "take back a draft, or reject one",
     .help = "Its author can, and whoever may apply it.  The audit keeps that it was there.",
     COMMAND_OPTIONS(only_client),
     .min_args = 1,
     .max_args = 1,
     .run = run_withdraw},
};

const struct command_table draft_commands = {commands, ARRAY_SIZE(commands)};
