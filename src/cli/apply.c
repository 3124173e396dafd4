/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - changing the controller's policy: shown, asked, applied, confirmed, rolled back */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/agree.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/upload.h"
#include "sys/tree.h"

/* ---- apply ---- */

static const struct option_spec apply_options[] = {
    CLIENT_OPTIONS,
    {"inventory", 'i', "FILE", "inventory to apply with it, or alone"},
    {"confirm", 0, "TIME", "roll back unless confirmed within TIME (5m)"},
    {"wait", 0, "WHAT", "accepted, compiled (default) or enforced"},
    {"timeout", 0, "TIME", "how long to wait for enforced (default 60s)"},
    {"comment", 'm', "TEXT", "why; goes to the history and the audit"},
    {"base", 0, "VERSION", "refuse when another version is in force"},
    {"dry-run", 'n', NULL, "say what it would mean, change nothing"},
    {"yes", 'y', NULL, "do not ask, also on a terminal"},
    {"force", 0, "REASON", "override failing tests and proofs; goes to the audit"},
};

/* How it shall be done. */
static int add_options(const struct invocation *in, json_t *body)
{
    const char *confirm = invocation_value(in, "confirm"),
               *comment = invocation_value(in, "comment"), *force = invocation_value(in, "force");
    uint64_t confirm_s = 0;

    if (confirm && (duration_parse(confirm, 86400, &confirm_s) < 0 || confirm_s == 0))
        return complain(EXIT_USAGE, "--confirm %s: expected a time like 5m, at most 1d", confirm);
    if (force && !force[0])
        return complain(EXIT_USAGE, "--force needs a reason; it goes to the audit");
    (void)json_object_set_new(body, "confirm_s", json_integer((json_int_t)confirm_s));
    if ((comment && json_object_set_new(body, "comment", json_string(comment)) < 0) ||
        (force && json_object_set_new(body, "force", json_string(force)) < 0))
        return complain(EXIT_USAGE, "a comment or reason must be UTF-8");
    return EXIT_OK;
}

static int change_body(const struct invocation *in, json_t *body)
{
    const char *inventory = invocation_value(in, "inventory");
    json_t *files = json_array(), *second = json_array();
    int r = EXIT_OK;

    (void)json_object_set_new(body, "files", in->n_args ? files : second);
    for (size_t i = 0; r == EXIT_OK && i < in->n_args; i++)
        r = upload_files(files, in->args[i]);
    if (r == EXIT_OK && inventory)
        r = upload_files(second, inventory);
    if (in->n_args && inventory)
        (void)json_object_set_new(body, "inventory", second);
    else
        json_decref(in->n_args ? second : files);
    return r == EXIT_OK ? add_options(in, body) : r;
}

static int send_change(const struct invocation *in, const json_t *body, struct answer *a)
{
    const char *base = invocation_value(in, "base");

    if (!base && !json_object_get(body, "base"))
        base = "*"; /* Whatever is in force: he did not say. */
    return client_ask(in, "PUT", in->n_args ? "/api/v1/policy" : "/api/v1/inventory", body, base,
                      a);
}

/* ---- what it would mean, and the question ---- */

/* Shows at a terminal what the change would mean, and asks.  What was shown is what is applied: the
 * versions compared with become the base of 'body'. */
static int ask_first(const struct invocation *in, json_t *body)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    FILE *f = wants_document(in) ? stderr : stdout;
    int r;

    (void)json_object_set_new(body, "dry_run", json_true());
    r = send_change(in, body, &a);
    (void)json_object_del(body, "dry_run");
    if (r != EXIT_OK)
        return r;
    (void)json_object_set(body, "base", json_object_get(a.json, "base"));
    print_meaning(f, text_of(a.json, "diff_text"), AGREE_LINES);
    if (is_agreed(f))
        return EXIT_OK;
    return complain(EXIT_DIFFERS, "nothing was applied");
}

/* Counts enforcers by what they run. */
struct progress {
    size_t n, current, refused, absent;
};

static int look(const struct invocation *in, json_int_t revision, struct progress *p, bool tell)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = client_ask_list(in, "/api/v1/enforcers", &a);
    const json_t *e;
    size_t i;

    *p = (struct progress){.n = 0};
    if (r != EXIT_OK)
        return r;
    json_array_foreach(a.json, i, e)
    {
        bool refused = json_is_true(json_object_get(e, "refused"));
        bool absent = strcmp(text_of(e, "state"), "INACTIVE") == 0;
        bool current = !absent && number_of(e, "running") >= revision;

        p->n++;
        p->current += current;
        p->refused += refused;
        p->absent += absent;
        if (tell && !current)
            (void)complain(EXIT_PARTIAL, "%s: %s, runs revision %lld; %s", text_of(e, "name"),
                           text_of(e, "state"), number_of(e, "running"), text_of(e, "last_result"));
    }
    return EXIT_OK;
}

static int wait_enforced(const struct invocation *in, json_int_t revision)
{
    const char *timeout = invocation_value(in, "timeout");
    struct timespec now, pause = {.tv_nsec = 200000000};
    uint64_t timeout_s = 60;
    struct progress p;
    time_t end;
    int r;

    if (timeout && duration_parse(timeout, 86400, &timeout_s) < 0)
        return complain(EXIT_USAGE, "--timeout %s: expected a time like 60s", timeout);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec + (time_t)timeout_s;
    for (;;) {
        r = look(in, revision, &p, false);
        if (r != EXIT_OK)
            return r;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (p.current == p.n || p.current + p.refused == p.n || now.tv_sec >= end)
            break;
        (void)nanosleep(&pause, NULL); /* The API has no event for it yet. */
    }
    (void)printf("enforced by %zu of %zu enforcers", p.current, p.n);
    (void)printf(p.absent ? ", %zu not connected\n" : "\n", p.absent);
    if (p.current == p.n)
        return EXIT_OK;
    (void)look(in, revision, &p, true);
    return p.current + p.refused == p.n || p.current ? EXIT_PARTIAL : EXIT_TIMED_OUT;
}

static void print_overridden(const json_t *answer)
{
    const json_t *o = json_object_get(answer, "overridden");

    if (number_of(o, "tests") || number_of(o, "proofs"))
        (void)printf("overridden, and written to the audit: %lld failing tests, %lld failing "
                     "proofs\n",
                     number_of(o, "tests"), number_of(o, "proofs"));
}

static void print_applied(const struct invocation *in, const json_t *answer)
{
    if (print_document(in, answer))
        return;
    print_overridden(answer);
    if (!json_is_true(json_object_get(answer, "applied"))) {
        print_meaning(stdout, text_of(answer, "diff_text"), SIZE_MAX);
        (void)printf("good; nothing was changed\n");
        return;
    }
    (void)printf("applied as revision %lld\n", number_of(answer, "revision"));
    if (number_of(answer, "confirm_s"))
        (void)printf("confirm within %lld s with \"suimitsu confirm\", or it is rolled back\n",
                     number_of(answer, "confirm_s"));
}

static int check_usage(const struct invocation *in)
{
    const char *wait = invocation_value(in, "wait");

    if (wait && strcmp(wait, "enforced") != 0 && strcmp(wait, "accepted") != 0 &&
        strcmp(wait, "compiled") != 0)
        return complain(EXIT_USAGE, "--wait %s: expected accepted, compiled or enforced", wait);
    if (!in->n_args && !invocation_value(in, "inventory"))
        return complain(EXIT_USAGE, "apply what?  PATH..., or --inventory FILE, or both");
    return EXIT_OK;
}

static int run_apply(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_object();
    const char *wait = invocation_value(in, "wait");
    bool dry_run = invocation_value(in, "dry-run") != NULL;
    bool asks =
        !dry_run && !invocation_value(in, "yes") && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    int r = check_usage(in);

    if (r == EXIT_OK)
        r = change_body(in, body);
    if (r == EXIT_OK && asks)
        r = ask_first(in, body);
    if (r != EXIT_OK)
        return r;
    if (dry_run)
        (void)json_object_set_new(body, "dry_run", json_true());
    a.is_repeat = asks;
    r = send_change(in, body, &a);
    if (r != EXIT_OK)
        return r;
    print_applied(in, a.json);
    return wait && strcmp(wait, "enforced") == 0 && !dry_run
               ? wait_enforced(in, number_of(a.json, "revision"))
               : EXIT_OK;
}

static int run_confirm(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_object();
    int r = client_ask(in, "POST", "/api/v1/policy/confirm", body, NULL, &a);

    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("confirmed; revision %lld stays\n", number_of(a.json, "revision"));
    return r;
}

/* What changed from a version to another, or to what is in force. */
static int run_policy_changes(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    uint64_t version;
    int r;

    for (size_t i = 0; i < in->n_args; i++)
        if (number_parse(in->args[i], strlen(in->args[i]), INT64_MAX, &version) < 0)
            return complain(EXIT_USAGE, "%s: expected a version; see \"suimitsu policy history\"",
                            in->args[i]);
    buf_printf(&path, "/api/v1/policy/diff?from=%s", in->args[0]);
    if (in->n_args > 1)
        buf_printf(&path, "&to=%s", in->args[1]);
    r = client_ask(in, "GET", buf_str(&path), NULL, NULL, &a);
    if (r != EXIT_OK)
        return r;
    if (!print_document(in, json_object_get(a.json, "diff")))
        print_meaning(stdout, text_of(a.json, "diff_text"), SIZE_MAX);
    return json_is_true(json_object_get(json_object_get(a.json, "diff"), "same")) ? EXIT_OK
                                                                                  : EXIT_DIFFERS;
}

static const struct option_spec rollback_options[] = {
    CLIENT_OPTIONS,
    {"confirm", 0, "TIME", "roll back again unless confirmed within TIME"},
    {"force", 0, "REASON", "override its failing tests and proofs; goes to the audit"},
};

static int run_policy_rollback(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_object();
    uint64_t version;
    int r;

    if (number_parse(in->args[0], strlen(in->args[0]), INT64_MAX, &version) < 0)
        return complain(EXIT_USAGE, "%s: expected a version; see \"suimitsu policy history\"",
                        in->args[0]);
    (void)json_object_set_new(body, "version", json_integer((json_int_t)version));
    r = add_options(in, body);
    if (r == EXIT_OK)
        r = client_ask(in, "POST", "/api/v1/policy/rollback", body, NULL, &a);
    if (r == EXIT_OK && !print_document(in, a.json)) {
        print_overridden(a.json);
        (void)printf("policy %s is in force again, as revision %lld\n", in->args[0],
                     number_of(a.json, "revision"));
    }
    return r;
}

static const struct option_spec only_client[] = {CLIENT_OPTIONS};

static const struct command commands[] = {
    {.name = "apply",
     .arguments = "[PATH...]",
     .summary = "apply a policy, an inventory, or both",
     .help =
         "Sends the files to the controller, which checks and compiles them all before it "
         "changes anything.\nOn a terminal it first says what the change means, and asks; "
         "--yes skips that.  What was shown is\nwhat is applied: when another version came in "
         "between, nothing is.  --dry-run says it all and\nchanges nothing.\n\nFailing tests "
         "and proofs refuse the change, unless --force gives a reason, which is audited.\n\nWith "
         "--confirm every agent goes back to its former policy unless \"suimitsu confirm\" comes "
         "in time,\nalso when the controller is dead or cut off meanwhile.\n\nExit codes: 1 the "
         "answer was not yes, 3 not valid or a test fails, 6 the base is another,\n8 not "
         "enforced in time, 9 enforced by some only.",
     COMMAND_OPTIONS(apply_options),
     .max_args = SIZE_MAX,
     .run = run_apply},
    {.name = "confirm",
     .arguments = "",
     .summary = "keep what was applied with --confirm",
     .help = "Keep what was applied with --confirm.",
     COMMAND_OPTIONS(only_client),
     .run = run_confirm},
    {.name = "policy changes",
     .arguments = "VERSION [VERSION]",
     .summary = "who gained and who lost what since a version",
     .help = "Compares an older version of the policy with another, or with what is in force, as "
             "\"policy diff\" does,\nboth over the inventory of now; 0 is before the "
             "first.\n\nExit code 0: no change in "
             "meaning; 1: there is one; 4: no such version.",
     COMMAND_OPTIONS(only_client),
     .min_args = 1,
     .max_args = 2,
     .run = run_policy_changes},
    {.name = "policy rollback",
     .arguments = "VERSION",
     .summary = "apply an older version again",
     .help =
         "The old text becomes a new version.  Its tests and proofs must hold with the inventory "
         "of now, or\n--force gives a reason, which is audited.",
     COMMAND_OPTIONS(rollback_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_policy_rollback},
};

const struct command_table apply_commands = {commands, ARRAY_SIZE(commands)};
