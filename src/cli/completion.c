/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for bash and zsh, and a man page in troff, all from the table; see command.h. */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "cli/command.h"

static void add_options(struct buf *b, const struct option_spec *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, " --%s", options[i].name);
}

/* One "case" arm for each command: its options.  Words that continue a name come from the list. */
static void add_arms(struct buf *b, const struct command_table tables[], size_t n_tables)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct command *c = &tables[t].commands[i];

            if (c->hidden)
                continue;
            buf_printf(b, "    \"%s\"*) options=\"", c->name);
            add_options(b, c->options, c->n_options);
            add_options(b, common_options, 2);
            buf_puts(b, "\" ;;\n");
        }
}

static void add_names(struct buf *b, const struct command_table tables[], size_t n_tables)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++)
            if (!tables[t].commands[i].hidden)
                buf_printf(b, "%s\n", tables[t].commands[i].name);
}

int print_completion(const struct command_table tables[], size_t n_tables, const char *shell)
{
    bool zsh = strcmp(shell, "zsh") == 0;
    struct buf b = BUF_INIT;

    if (!zsh && strcmp(shell, "bash") != 0)
        return complain(EXIT_USAGE, "completion for \"%s\"; expected bash or zsh", shell);
    if (zsh)
        buf_puts(&b, "#compdef suimitsu\nautoload -U +X bashcompinit && bashcompinit\n");
    buf_puts(&b, "_suimitsu() {\n"
                 "  local words_ names next options current=${COMP_WORDS[COMP_CWORD]}\n"
                 "  words_=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
                 "  names='");
    add_names(&b, tables, n_tables);
    buf_puts(&b, "'\n"
                 "  if [[ $current == -* ]]; then\n"
                 "    case \"$words_\" in\n");
    add_arms(&b, tables, n_tables);
    buf_puts(&b, "    esac\n"
                 "    COMPREPLY=( $(compgen -W \"$options\" -- \"$current\") )\n"
                 "    return\n"
                 "  fi\n"
                 "  next=$(while read -r name; do\n"
                 "    if [[ -z $words_ ]]; then echo \"${name%% *}\"\n"
                 "    elif [[ $name == \"$words_ \"* ]]; then\n"
                 "      name=${name#\"$words_ \"}; echo \"${name%% *}\"; fi\n"
                 "  done <<<\"$names\" | sort -u)\n"
                 "  if [[ -n $next ]]; then COMPREPLY=( $(compgen -W \"$next\" -- \"$current\") )\n"
                 "  else COMPREPLY=( $(compgen -f -- \"$current\") ); fi\n"
                 "}\n"
                 "complete -o filenames -F _suimitsu suimitsu\n");
    (void)fputs(buf_str(&b), stdout);
    buf_done(&b);
    return EXIT_OK;
}

/* troff gives a meaning to dots and quotes that begin a line, to backslashes and hyphens. */
static void put_troff(const char *s)
{
    bool line_begins = true;

    for (; *s; s++) {
        if (line_begins && (*s == '.' || *s == '\''))
            (void)fputs("\\&", stdout);
        if (*s == '\n' && s[1] == '\n') {
            (void)fputs("\n.PP", stdout);
            s++;
        }
        if (*s == '\\')
            (void)fputs("\\e", stdout);
        else if (*s == '-')
            (void)fputs("\\-", stdout);
        else
            (void)putchar(*s);
        line_begins = *s == '\n';
    }
}

static void man_options(const struct option_spec *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)printf(".TP\n.B ");
        if (options[i].letter)
            (void)printf("\\-%c, ", options[i].letter);
        (void)printf("\\-\\-");
        put_troff(options[i].name);
        if (options[i].argument)
            (void)printf(" \\fI%s\\fR", options[i].argument);
        (void)printf("\n");
        put_troff(options[i].help);
        (void)printf("\n");
    }
}

void print_man(const struct command_table tables[], size_t n_tables)
{
    (void)printf(".TH SUIMITSU 1 \"\" \"Suimitsu %s\"\n.SH NAME\nsuimitsu \\- microsegmentation by "
                 "names\n.SH SYNOPSIS\n.B suimitsu\n.I COMMAND\n[\\fIARGUMENT\\fR...] "
                 "[\\fIOPTION\\fR...]\n.SH COMMANDS\n",
                 SUIMITSU_VERSION);
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct command *c = &tables[t].commands[i];

            if (c->hidden)
                continue;
            (void)printf(".SS ");
            put_troff(c->name);
            (void)printf(" ");
            put_troff(c->arguments);
            (void)printf("\n");
            put_troff(c->help);
            (void)printf("\n");
            man_options(c->options, c->n_options);
        }
    (void)printf(".SH COMMON OPTIONS\n");
    man_options(common_options, 2);
    (void)printf(
        ".SH EXIT STATUS\n0 ok; 1 differs or denied; 2 usage; 3 invalid file; 4 not found; "
        "5 not allowed; 6 conflict; 7 controller unreachable; 8 timed out; 9 partial\n");
}
