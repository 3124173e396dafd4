/* SPDX-License-Identifier: Apache-2.0 */
/* getopt_long(3) around the table; see command.h. */
#include "cli/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "core/diagnostics.h"

enum { LONG_ONLY = 256 }; /* Values of options without a letter, above all letters. */

const struct option_spec common_options[] = {
    {"help", 'h', NULL, "what the command does, and its options"},
    {"output", 'o', "FORMAT", "table, wide, json or yaml"},
    {NULL, 0, NULL, NULL},
};

int complain(int code, const char *format, ...)
{
    struct buf b = BUF_INIT, safe = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    buf_escape(&safe, buf_str(&b), b.size, b.size);
    (void)fprintf(stderr, "suimitsu: %s\n", buf_str(&safe));
    buf_done(&b);
    buf_done(&safe);
    return code;
}

const char *invocation_value(const struct invocation *in, const char *option)
{
    for (size_t i = 0; i < in->command->n_options; i++)
        if (strcmp(in->command->options[i].name, option) == 0)
            return in->values[i];
    return NULL;
}

/* How many words of the command line are this name; 0: it is another. */
static size_t words_of(const char *name, int argc, char *argv[])
{
    size_t n = 0;

    for (const char *word = name; *word; n++) {
        const char *space = strchr(word, ' ');
        size_t len = space ? (size_t)(space - word) : strlen(word);

        if ((int)n >= argc || strlen(argv[n]) != len || strncmp(argv[n], word, len) != 0)
            return 0;
        word += space ? len + 1 : len;
    }
    return n;
}

static const struct command *find_command(const struct command_table tables[], size_t n_tables,
                                          int argc, char *argv[], size_t *ret_words)
{
    const struct command *best = NULL;

    *ret_words = 0;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            size_t n = words_of(tables[t].commands[i].name, argc, argv);

            if (n > *ret_words) {
                *ret_words = n;
                best = &tables[t].commands[i];
            }
        }
    return best;
}

/* Every command whose name begins with 'prefix'. */
static void list_commands(FILE *f, const struct command_table tables[], size_t n_tables,
                          const char *prefix)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct command *c = &tables[t].commands[i];

            if (!c->hidden && strncmp(c->name, prefix, strlen(prefix)) == 0)
                (void)fprintf(f, "  %-22s %s\n", c->name, c->summary);
        }
}

static void print_overview(FILE *f, const struct command_table tables[], size_t n_tables)
{
    (void)fprintf(f, "usage: suimitsu COMMAND [ARGUMENT...] [OPTION...]\n\nCommands:\n");
    list_commands(f, tables, n_tables, "");
    (void)fprintf(f, "\n\"suimitsu COMMAND --help\" tells more of each.\n");
}

static void print_options(FILE *f, const struct option_spec *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "--%s%s%s", options[i].name,
                       options[i].argument ? " " : "",
                       options[i].argument ? options[i].argument : "");
        if (options[i].letter)
            (void)fprintf(f, "  -%c, %-22s %s\n", options[i].letter, text, options[i].help);
        else
            (void)fprintf(f, "      %-22s %s\n", text, options[i].help);
    }
}

static void print_help(FILE *f, const struct command *c)
{
    (void)fprintf(f, "usage: suimitsu %s%s%s [OPTION...]\n\n%s\n", c->name,
                  c->arguments[0] ? " " : "", c->arguments, c->help);
    (void)fprintf(f, "\nOptions:\n");
    print_options(f, c->options, c->n_options);
    print_options(f, common_options, c->output_is_file ? 1 : 2);
}

static int unknown_command(const struct command_table tables[], size_t n_tables, char *argv[])
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(); /* For first words. */
    struct nearest near = nearest_to(argv[0]);
    char prefix[64];
    bool is_prefix = false;

    (void)snprintf(prefix, sizeof(prefix), "%s ", argv[0]);
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct command *c = &tables[t].commands[i];

            if (c->hidden)
                continue;
            nearest_offer(&near, arena_text(arena, c->name, strcspn(c->name, " ")));
            is_prefix = is_prefix || strncmp(c->name, prefix, strlen(prefix)) == 0;
        }
    if (is_prefix) {
        if (argv[1])
            (void)complain(EXIT_USAGE, "no command \"%s %s\"; there are", argv[0], argv[1]);
        else
            (void)complain(EXIT_USAGE, "\"%s\" what?  There are", argv[0]);
        list_commands(stderr, tables, n_tables, prefix);
        return EXIT_USAGE;
    }
    if (near.best)
        return complain(EXIT_USAGE, "no command \"%s\"; did you mean \"%s\"?", argv[0], near.best);
    return complain(EXIT_USAGE, "no command \"%s\"; see \"suimitsu --help\"", argv[0]);
}

static int parse_output(struct invocation *in, const char *s)
{
    static const char *const formats[] = {"table", "wide", "json", "yaml"};

    in->output_text = s;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i], s) == 0) {
            in->output = (enum output)i;
            return 0;
        }
    if (in->command->output_is_file)
        return 0;
    return complain(EXIT_USAGE, "\"%s\" for --output; expected table, wide, json or yaml", s);
}

struct parser {
    struct option longs[COMMAND_MAX_OPTIONS + 4];
    char shorts[3 * (COMMAND_MAX_OPTIONS + 4)];
    size_t n, n_shorts;
};

static void add_option(struct parser *p, const struct option_spec *o)
{
    int value = o->letter ? o->letter : LONG_ONLY + (int)p->n;

    p->longs[p->n++] = (struct option){
        .name = o->name, .has_arg = o->argument ? required_argument : no_argument, .val = value};
    if (o->letter) {
        p->shorts[p->n_shorts++] = o->letter;
        if (o->argument)
            p->shorts[p->n_shorts++] = ':';
    }
}

/* Returns an exit code above EXIT_OK, EXIT_OK, or -1 when help was asked for. */
static int parse_options(struct invocation *in, int argc, char *argv[])
{
    const struct command *c = in->command;
    struct parser p = {.n = 0};
    int value, r = EXIT_OK;

    for (size_t i = 0; i < c->n_options; i++)
        add_option(&p, &c->options[i]);
    for (size_t i = 0; common_options[i].name; i++)
        add_option(&p, &common_options[i]);
    optind = 0; /* Anew, also when a test calls us twice. */
    opterr = 0;
    while (r == EXIT_OK &&
           (value = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1) { /* NOLINT */
        size_t i = 0;

        if (value == 'h')
            return -1;
        if (value == '?') {
            const char *bad = argv[optind - 1];

            if (optopt && optopt < LONG_ONLY)
                return complain(EXIT_USAGE, "the option -%c %s; see \"suimitsu %s --help\"", optopt,
                                strchr(p.shorts, optopt) ? "needs an argument" : "is unknown",
                                c->name);
            return complain(EXIT_USAGE,
                            "the option %s is unknown or lacks an argument; see "
                            "\"suimitsu %s --help\"",
                            bad, c->name);
        }
        while (i < p.n && p.longs[i].val != value)
            i++;
        if (i < c->n_options)
            in->values[i] = optarg ? optarg : "";
        else
            r = parse_output(in, optarg);
    }
    return r;
}

static int check_arguments(const struct invocation *in)
{
    const struct command *c = in->command;

    if (in->n_args >= c->min_args && in->n_args <= c->max_args)
        return EXIT_OK;
    if (in->n_args < c->min_args)
        return complain(EXIT_USAGE, "%s needs %s; see \"suimitsu %s --help\"", c->name,
                        c->arguments, c->name);
    return complain(EXIT_USAGE, "%s does not know what to do with \"%s\"", c->name,
                    in->args[c->max_args]);
}

int command_main(const struct command_table tables[], size_t n_tables, int argc, char *argv[])
{
    struct invocation in = {.output = OUTPUT_TABLE};
    size_t words;
    int r;

    if (argc < 2) {
        print_overview(stderr, tables, n_tables);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_overview(stdout, tables, n_tables);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("suimitsu %s\n", SUIMITSU_VERSION);
        return EXIT_OK;
    }
    in.command = find_command(tables, n_tables, argc - 1, argv + 1, &words);
    if (!in.command)
        return unknown_command(tables, n_tables, argv + 1);
    argv[words] = argv[0];
    r = parse_options(&in, argc - (int)words, argv + words);
    if (r < 0) {
        print_help(stdout, in.command);
        return EXIT_OK;
    }
    if (r != EXIT_OK)
        return r;
    in.args = (const char *const *)argv + words + optind;
    in.n_args = (size_t)(argc - (int)words - optind);
    r = check_arguments(&in);
    return r == EXIT_OK ? in.command->run(&in) : r;
}
