/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - why a connection is allowed or denied: asked of the controller, or of files */
#include <stdio.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "text/query.h"
#include "text/why_report.h"

/* Of both commands. */
#define WHY_OPTIONS                                                                                \
    {"from", 0, "NAME", "the source: an endpoint, an address, or any name"},                       \
        {"to", 0, "NAME", "the destination"},                                                      \
        {"service", 0, "NAME", "a service, or a form like tcp/5432 or icmp/echo"},                 \
        {"process", 0, "PATH", "the client's program"},                                            \
        {"served-by", 0, "PATH", "the server's program"},                                          \
        {"user", 0, "NAME", "the user at the source"},                                             \
        {"modbus", 0, "N", "the protocol function"},                                               \
        {"from-labels", 0, "K=V,...", "labels of a source that the inventory lacks"},              \
    {                                                                                              \
        "to-labels", 0, "K=V,...", "labels of a destination that it lacks"                         \
    }

#define WHY_HELP                                                                                   \
    "Says the verdict, what every layer said, each condition of the deciding rule and who can\n"   \
    "check it; for a deny the nearest allows, what each lacks, and what would change it.  Of a\n"  \
    "service the first port is asked.  A name that the inventory lacks is judged as an endpoint\n" \
    "with --from-labels or --to-labels, which nobody enforces.\n\n"                                \
    "Exit code 0: allowed, or only reported; 1: denied; 4: a name is not in the inventory, but\n"  \
    "the answer is there."

/* "app=shop,tier=web" */
static int add_labels(json_t *query, const char *field, const char *option, const char *list)
{
    json_t *labels = json_object();
    int r = EXIT_OK;

    for (const char *at = list; *at && r == EXIT_OK;) {
        CLEANUP(buf_done) struct buf key = BUF_INIT;
        size_t len = strcspn(at, ","), equals = strcspn(at, "=,");

        buf_add(&key, at, equals);
        if (equals == len || !equals ||
            json_object_set_new(labels, buf_str(&key),
                                json_stringn(at + equals + 1, len - equals - 1)) < 0)
            r = complain(EXIT_USAGE, "--%s %s: expected labels like app=shop,tier=web", option,
                         list);
        at += len + (at[len] == ',');
    }
    (void)json_object_set_new(query, field, labels);
    return r;
}

static int add_options(const struct invocation *in, json_t *query)
{
    static const struct {
        const char *option, *field;
    } texts[] = {{"process", "process"}, {"served-by", "served_by"}, {"user", "user"}},
      labels[] = {{"from-labels", "from_labels"}, {"to-labels", "to_labels"}};
    const char *modbus = invocation_value(in, "modbus");
    uint64_t n;
    int r = EXIT_OK;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *value = invocation_value(in, texts[i].option);

        if (value && json_object_set_new(query, texts[i].field, json_string(value)) < 0)
            return complain(EXIT_USAGE, "--%s must be UTF-8", texts[i].option);
    }
    for (size_t i = 0; i < ARRAY_SIZE(labels) && r == EXIT_OK; i++)
        if (invocation_value(in, labels[i].option))
            r = add_labels(query, labels[i].field, labels[i].option,
                           invocation_value(in, labels[i].option));
    if (modbus && number_parse(modbus, strlen(modbus), 255, &n) < 0)
        return complain(EXIT_USAGE, "--modbus %s: expected a function, 1 to 127", modbus);
    if (modbus)
        (void)json_object_set_new(query, "modbus", json_integer((json_int_t)n));
    return r;
}

/* FROM, TO and SERVICE by their options, and the rest of them by place. */
static int read_question(const struct invocation *in, const char *const *args, size_t n_args,
                         json_t *query)
{
    static const char *const options[] = {"from", "to", "service"};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const char *value = invocation_value(in, options[i]);

        if (!value && n < n_args)
            value = args[n++];
        if (!value)
            return complain(EXIT_USAGE, "%s: what %s?  See \"suimitsu %s --help\"",
                            in->command->name, options[i], in->command->name);
        if (json_object_set_new(query, options[i], json_string(value)) < 0)
            return complain(EXIT_USAGE, "the names must be UTF-8");
    }
    if (n < n_args)
        return complain(EXIT_USAGE, "%s: too many arguments", in->command->name);
    return add_options(in, query);
}

static int exit_of(bool known, bool denied)
{
    return !known ? EXIT_NOT_FOUND : denied ? EXIT_DIFFERS : EXIT_OK;
}

/* ---- the controller's ---- */

static int run_why(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    static const char *const times[] = {"at", "revision"};
    CLEANUP(json_decrefp) json_t *query = json_object();
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    int r = read_question(in, in->args, in->n_args, query);

    buf_puts(&path, "/api/v1/why");
    url_add_options(&path, in, times, ARRAY_SIZE(times));
    if (r == EXIT_OK)
        r = client_ask(in, "POST", buf_str(&path), query, NULL, &a);
    if (r != EXIT_OK)
        return r;
    print_answer(in, a.json);
    return exit_of(json_is_true(json_object_get(a.json, "known")),
                   strcmp(text_of(a.json, "verdict"), "deny") == 0);
}

/* ---- of files ---- */

static int answer(const struct invocation *in, const struct loaded *l, const json_t *question)
{
    CLEANUP(free_voidp) char *text = json_dumps(question, JSON_COMPACT);
    CLEANUP(query_done) struct query query = {.json = NULL};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(why_freep) struct why *y = NULL;
    struct why_question q;
    const char *field = "";

    if (!text || query_read_why(text, strlen(text), l->policy, &query, &field, &b) < 0)
        return complain(EXIT_USAGE, "%s%s%s", field, field[0] ? ": " : "", buf_str(&b));
    q = query_question(&query);
    y = why_new(l->world, &q);
    buf_reset(&b);
    if (wants_document(in)) {
        why_report_json(&b, y);
        print_json_text(in, buf_str(&b));
    } else {
        why_report_text(&b, y);
        (void)print_lines(stdout, buf_str(&b), SIZE_MAX);
    }
    return exit_of(y->from.is_known && y->to.is_known, y->answer.verdict == VERDICT_DENY);
}

static int run_policy_why(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(json_decrefp) json_t *question = json_object();
    int r;

    if (!invocation_value(in, "inventory"))
        return complain(EXIT_USAGE, "policy why needs --inventory FILE");
    r = read_question(in, NULL, 0, question);
    if (r != EXIT_OK)
        return r;
    r = load(&l, in, false);
    if (r != EXIT_OK && l.d->n)
        print_findings(&l);
    return r == EXIT_OK ? answer(in, &l, question) : r;
}

static const struct option_spec why_options[] = {
    CLIENT_OPTIONS,
    CLIENT_AT_OPTION,
    {"revision", 0, "N", "as of this revision, which every flow carries"},
    WHY_OPTIONS};
static const struct option_spec policy_why_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"},
    WHY_OPTIONS};

static const struct command commands[] = {
    {.name = "why",
     .arguments = "FROM TO SERVICE",
     .summary = "the verdict for a connection, its reasons, and what would change it",
     .help = WHY_HELP "\n\nWith --at or --revision it is the verdict of then, with the policy, "
                      "the addresses and the\ntrust of then; the last line says whether today "
                      "differs.",
     COMMAND_OPTIONS(why_options),
     .max_args = 3,
     .run = run_why},
    {.name = "policy why",
     .arguments = "PATH... --inventory FILE --from NAME --to NAME --service NAME",
     .summary = "the same of policy files, without a controller",
     .help = WHY_HELP,
     COMMAND_OPTIONS(policy_why_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_policy_why},
};

const struct command_table why_commands = {commands, ARRAY_SIZE(commands)};
