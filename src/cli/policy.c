/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - what a policy says, asked without any controller */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/junit.h"
#include "cli/load.h"
#include "cli/program_json.h"
#include "core/compile.h"
#include "core/why.h"
#include "sys/file.h"
#include "sys/sealed.h"
#include "text/json.h"
#include "text/query.h"
#include "text/sentence.h"
#include "wire/records.h"

/* ---- check ---- */

static void print_check_json(const struct invocation *in, const struct loaded *l, int code)
{
    struct buf b = BUF_INIT;

    buf_printf(&b,
               "{\"ok\":%s,\"rules\":%zu,\"groups\":%zu,\"tests\":%zu,\"passed\":%zu,"
               "\"proofs\":%zu,\"held\":%zu,",
               code == EXIT_OK ? "true" : "false", l->policy ? l->policy->n_rules : 0,
               l->policy ? l->policy->n_groups : 0, l->policy ? l->policy->n_tests : 0,
               l->n_tests_passed, l->policy ? l->policy->n_proofs : 0, l->n_proofs_held);
    buf_puts(&b, "\"findings\":");
    report_json(&b, l->d);
    buf_putc(&b, '}');
    print_json_text(in, buf_str(&b));
    buf_done(&b);
}

static void print_check(const struct loaded *l, int code)
{
    struct buf b = BUF_INIT;

    print_findings(l);
    report_summary(&b, l->d);
    if (!l->policy || code == EXIT_INVALID) {
        (void)printf("not valid: %s\n", buf_str(&b));
    } else {
        (void)printf("%s: %zu rule%s, %zu group%s; ", code == EXIT_OK ? "ok" : "tests fail",
                     l->policy->n_rules, l->policy->n_rules == 1 ? "" : "s", l->policy->n_groups,
                     l->policy->n_groups == 1 ? "" : "s");
        if (l->has_inventory)
            (void)printf("%zu of %zu tests passed; ", l->n_tests_passed, l->policy->n_tests);
        if (l->has_inventory && l->policy->n_proofs)
            (void)printf("%zu of %zu proofs hold; ", l->n_proofs_held, l->policy->n_proofs);
        (void)printf("%s\n", buf_str(&b));
        if (!l->has_inventory)
            (void)printf("without --inventory, empty groups, missing enforcers and tests were not "
                         "checked\n");
    }
    buf_done(&b);
}

static int run_check(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l;
    int r = load(&l, in, true);

    if (r != EXIT_OK && !l.d->n)
        return r; /* Complained about: no file was read. */
    if (wants_document(in))
        print_check_json(in, &l, r);
    else
        print_check(&l, r);
    if (invocation_value(in, "junit")) {
        int saved = junit_save(&l, invocation_value(in, "junit"));

        return saved == EXIT_OK ? r : saved;
    }
    return r;
}

/* ---- verdict ---- */

static bool answer_line(const struct loaded *l, size_t number, const char *line, size_t len)
{
    struct buf out = BUF_INIT, why = BUF_INIT;
    CLEANUP(sentences_done) struct sentences reasons = {.items = NULL};
    CLEANUP(why_freep) struct why *y = NULL;
    struct query q = {.json = NULL};
    const char *field = "";
    int r = query_read(line, len, &q, &field, &why);

    if (r == 0) {
        y = why_new(l->world, &(struct why_question){.verdict = q.verdict});
        if (!y->from.is_known || !y->to.is_known) {
            r = -ENOENT;
            field = y->from.is_known ? "to" : "from";
            buf_printf(&why, "no endpoint of the inventory has this name, and it is no address");
        }
    }
    if (r == 0) {
        why_sentences(y, &reasons);
        answer_write(&out, &y->answer, &reasons);
    } else {
        answer_write_error(&out, number, field, buf_str(&why));
    }
    (void)puts(buf_str(&out));
    query_done(&q);
    buf_done(&out);
    buf_done(&why);
    return r == 0;
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '\n')
            return false;
    return true;
}

static int answer_all(const struct loaded *l, FILE *f)
{
    char *line = NULL;
    size_t room = 0, number = 0, n_bad = 0;
    ssize_t len;

    while ((len = getline(&line, &room, f)) >= 0) {
        number++;
        if (!is_blank(line, (size_t)len))
            n_bad += !answer_line(l, number, line, (size_t)len);
    }
    free(line);
    if (fflush(stdout) != 0)
        return complain(EXIT_PARTIAL, "cannot write the answers: %s", strerror(errno));
    if (n_bad)
        return complain(EXIT_USAGE, "%zu of the queries could not be read", n_bad);
    return EXIT_OK;
}

static int run_verdict(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    const char *queries = invocation_value(in, "queries");
    FILE *f;
    int r;

    if (!invocation_value(in, "inventory") || !queries)
        return complain(EXIT_USAGE, "policy verdict needs --inventory FILE and --queries FILE|-");
    r = load_valid(&l, in);
    if (r != EXIT_OK)
        return r;
    if (strcmp(queries, "-") == 0)
        return answer_all(&l, stdin);
    f = fopen(queries, "re");
    if (!f)
        return complain_file(queries, -errno);
    r = answer_all(&l, f);
    (void)fclose(f); /* It was only read. */
    return r;
}

/* ---- explain ---- */

/* By --language, or else by the locale, or else English. */
static int get_language(const struct invocation *in, enum language *ret)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *s = invocation_value(in, "language");

    *ret = LANGUAGE_EN;
    if (s && (strlen(s) != 2 || language_parse(s, ret) < 0))
        return complain(EXIT_USAGE, "\"%s\" for --language; expected en or ja", s);
    for (size_t i = 0; !s && i < ARRAY_SIZE(variables); i++) {
        s = getenv(variables[i]);
        s = s && s[0] ? s : NULL;
        if (s)
            (void)language_parse(s, ret); /* Of other languages we know none. */
    }
    return EXIT_OK;
}

static void say(struct buf *b, enum language language, const struct policy *p, const struct rule *r)
{
    switch (language) {
    case LANGUAGE_EN:
        sentence_of_rule(b, p, r);
        return;
    case LANGUAGE_JA:
        sentence_of_rule_ja(b, p, r);
        return;
    }
}

static void explain_as_document(const struct invocation *in, const struct policy *policy,
                                enum language language)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT;

    buf_putc(&json, '[');
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct rule *rule = &policy->rules[i];
        CLEANUP(buf_done) struct buf sentence = BUF_INIT;

        say(&sentence, language, policy, rule);
        buf_printf(&json, "%s{\"layer\":\"%s\",\"id\":\"%s\",\"sentence\":", i ? "," : "",
                   layer_name(rule->layer), rule->id);
        json_quote(&json, buf_str(&sentence));
        buf_putc(&json, '}');
    }
    buf_putc(&json, ']');
    print_json_text(in, buf_str(&json));
}

static int run_explain(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    enum language language;
    int r = get_language(in, &language);

    if (r == EXIT_OK)
        r = load_valid(&l, in);
    if (r != EXIT_OK)
        return r;
    if (wants_document(in)) {
        explain_as_document(in, l.policy, language);
        return EXIT_OK;
    }
    for (size_t i = 0; i < l.policy->n_rules; i++) {
        const struct rule *rule = &l.policy->rules[i];
        CLEANUP(buf_done) struct buf sentence = BUF_INIT;

        say(&sentence, language, l.policy, rule);
        (void)printf("%-10s %-20s %s\n", layer_name(rule->layer), rule->id, buf_str(&sentence));
    }
    if (!l.policy->n_rules)
        (void)printf("an empty allow list means nothing is allowed\n");
    return EXIT_OK;
}

/* ---- lifeline and compile ---- */

static int run_lifeline(const struct invocation *in)
{
    struct program_lifeline l = {.port = DEFAULT_CONTROLLER_PORT};
    char text[ADDRESS_TEXT_SIZE] = "the controller's address";
    size_t n;
    int r = get_controller(in, &l, &n);

    if (r != EXIT_OK)
        return r;
    if (n)
        (void)address_format(&l.address, text);
    if (wants_document(in)) {
        CLEANUP(buf_done) struct buf json = BUF_INIT;

        buf_printf(&json,
                   "[{\"name\":\"self\",\"from\":\"an endpoint\",\"to\":\"itself\"},"
                   "{\"name\":\"agent-to-controller\",\"to\":\"%s\",\"protocol\":\"tcp\","
                   "\"port\":%u}]",
                   text, l.port);
        print_json_text(in, buf_str(&json));
        return EXIT_OK;
    }
    (void)printf("Always allowed, above every layer of the policy; at most %d, never tcp/22:\n"
                 "  self                 an endpoint to itself, by everything: the box is the "
                 "compartment\n"
                 "  agent-to-controller  any endpoint to %s, by tcp/%u\n",
                 PROGRAM_MAX_LIFELINE, text, l.port);
    return EXIT_OK;
}

static int write_program(const struct program *p, const char *path)
{
    struct buf b = BUF_INIT;
    int r;

    program_encode(p, &b);
    r = sealed_write(path, b.data, b.size);
    buf_done(&b);
    if (r < 0)
        return complain(EXIT_NOT_ALLOWED, "%s: cannot write it: %s", path, strerror(-r));
    (void)printf("%s: %zu entries, %zu addresses for %s\n", path, p->n_entries, p->n_addresses,
                 p->endpoint);
    return EXIT_OK;
}

static int compile_for(const struct loaded *l, const char *endpoint, const char *output,
                       const struct compile_options *options)
{
    CLEANUP(compiled_freep) struct compiled *c = NULL;
    CLEANUP(program_freep) struct program *p = NULL;
    struct buf b = BUF_INIT;
    const char *what;
    int r = compile(l->policy, l->inventory, options, &c, &what);

    if (r == 0)
        r = compiled_program(c, endpoint, &p, &what);
    if (r == -ENOENT)
        return complain(EXIT_NOT_FOUND, "no endpoint of the inventory is named \"%s\"", endpoint);
    if (r < 0)
        return complain(EXIT_INVALID, "the policy does not fit a program: %s", what);
    assert(p);
    if (strcmp(output, "json") != 0)
        return write_program(p, output);
    program_json(&b, p);
    (void)printf("%s\n", buf_str(&b));
    buf_done(&b);
    return EXIT_OK;
}

static int run_compile(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    const char *endpoint = invocation_value(in, "endpoint");
    const char *revision = invocation_value(in, "revision");
    struct program_lifeline lifeline;
    struct compile_options options = {.revision = 1, .lifeline = &lifeline};
    int r;

    if (!invocation_value(in, "inventory") || !endpoint || !in->output_text)
        return complain(EXIT_USAGE, "policy compile needs --inventory FILE, --endpoint NAME and "
                                    "-o FILE (or -o json)");
    if (revision && number_parse(revision, strlen(revision), INT64_MAX, &options.revision) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --revision; expected a number", revision);
    r = get_controller(in, &lifeline, &options.n_lifeline);
    if (r == EXIT_OK)
        r = load_valid(&l, in);
    if (r != EXIT_OK)
        return r;
    options.now_s = l.now_s;
    return compile_for(&l, endpoint, in->output_text, &options);
}

/* ---- the table ---- */

#define OPTION_INVENTORY                                                                           \
    {                                                                                              \
        "inventory", 'i', "FILE", "endpoints and users; a file or a folder"                        \
    }
#define OPTION_NOW                                                                                 \
    {                                                                                              \
        "now", 0, "TIME", "judge at this time (RFC 3339) instead of now"                           \
    }
#define OPTION_CONTROLLER                                                                          \
    {                                                                                              \
        "controller", 0, "ADDR:PORT", "the controller, for the lifeline"                           \
    }

static const struct option_spec check_options[] = {
    OPTION_INVENTORY, OPTION_NOW, {"junit", 0, "FILE", "write the results as JUnit XML too"}};
static const struct option_spec verdict_options[] = {
    OPTION_INVENTORY, {"queries", 'q', "FILE|-", "queries, one JSON object a line"}, OPTION_NOW};
static const struct option_spec explain_options[] = {
    {"language", 0, "en|ja", "English or Japanese (default: as LC_ALL, LC_MESSAGES, LANG say)"},
    OPTION_NOW};
static const struct option_spec lifeline_options[] = {OPTION_CONTROLLER};
static const struct option_spec compile_options_[] = {
    OPTION_INVENTORY,
    {"endpoint", 'e', "NAME", "whose program"},
    {"revision", 0, "N", "the program's revision (default 1)"},
    OPTION_CONTROLLER,
    OPTION_NOW};

#define CHECK_HELP                                                                                 \
    "Reads policy files, or all of a folder, as one policy, and reports every error with\n"        \
    "file, line and column.  With --inventory it also finds checks that no enforcer can\n"         \
    "make (E-WIDEN) and empty groups, and runs the policy's own tests.\n\n"                        \
    "Exit code 0: valid; 1: valid, but a test fails; 3: not valid."

static const struct command commands[] = {
    {.name = "check",
     .arguments = "PATH...",
     .summary = "check policy files (short for \"policy check\")",
     .help = CHECK_HELP,
     COMMAND_OPTIONS(check_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_check},
    {.name = "policy check",
     .arguments = "PATH...",
     .summary = "check policy files and run their tests",
     .help = CHECK_HELP,
     COMMAND_OPTIONS(check_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_check},
    {.name = "policy verdict",
     .arguments = "PATH... --inventory FILE --queries FILE|-",
     .summary = "ask a policy about connections, without a controller",
     .help = "Reads queries as JSON lines and writes one answer a line, in order:\n"
             "{\"from\": \"web1\", \"to\": \"db1\", \"protocol\": \"tcp\", \"port\": 5432}\n\n"
             "A query that cannot be read is answered by {\"error\": ..., \"line\": N,\n"
             "\"field\": ...}; the others are answered all the same, and the exit code is 2.\n"
             "A policy or inventory with errors is refused with exit code 3 before any answer.",
     COMMAND_OPTIONS(verdict_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_verdict},
    {.name = "policy explain",
     .arguments = "PATH...",
     .summary = "one sentence for each rule",
     .help = "Says each rule as a sentence: who may reach what by which service, why, whose rule\n"
             "it is, and until when.  In English or Japanese.",
     COMMAND_OPTIONS(explain_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_explain},
    {.name = "policy show lifeline",
     .arguments = "",
     .summary = "the few connections that no policy can cut",
     .help = "Shows the lifeline: what keeps agents and controller in touch, above all layers.",
     COMMAND_OPTIONS(lifeline_options),
     .run = run_lifeline},
    {.name = "policy compile",
     .arguments = "PATH... --inventory FILE --endpoint NAME -o FILE",
     .summary = "write one endpoint's verdict program",
     .help = "Compiles the policy for one endpoint into a program file that an agent can load;\n"
             "-o json prints the tables instead.",
     COMMAND_OPTIONS(compile_options_),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .output_is_file = true,
     .run = run_compile},
};

const struct command_table policy_commands = {commands, ARRAY_SIZE(commands)};
