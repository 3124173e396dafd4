/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - `policy template`: tested policies to begin with */
#include "cli/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "core/diagnostics.h"
#include "sys/file.h"
#include "text/json.h"

static void list_templates(const struct invocation *in)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    if (!wants_document(in)) {
        for (size_t i = 0; i < n_templates; i++)
            (void)printf("%-18s %s\n", templates[i].name, templates[i].summary);
        return;
    }
    for (size_t i = 0; i < n_templates; i++) {
        buf_printf(&b, "%s{\"name\":\"%s\",\"summary\":", i ? "," : "[", templates[i].name);
        json_quote(&b, templates[i].summary);
        buf_putc(&b, '}');
    }
    buf_putc(&b, ']');
    print_json_text(in, buf_str(&b));
}

/* Into a file that is not there yet: somebody's policy is not overwritten. */
static int write_new(const char *path, const char *text)
{
    CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t len = strlen(text), at = 0;

    if (fd < 0 && errno == EEXIST)
        return complain(EXIT_CONFLICT, "%s: is there already", path);
    if (fd < 0)
        return complain(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_ALLOWED,
                        "%s: cannot write it: %s", path, strerror(errno));
    while (at < len) {
        ssize_t n = write(fd, text + at, len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return complain(EXIT_PARTIAL, "%s: cannot write all of it: %s", path, strerror(errno));
        at += (size_t)n;
    }
    return EXIT_OK;
}

static int give(const struct invocation *in, const struct template *t)
{
    const char *path = invocation_value(in, "into");
    const char *text = invocation_value(in, "inventory") ? t->inventory : t->policy;
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    if (path)
        return write_new(path, text);
    if (!wants_document(in)) {
        (void)fputs(text, stdout);
        return EXIT_OK;
    }
    buf_printf(&b, "{\"name\":\"%s\",\"policy\":", t->name);
    json_quote(&b, t->policy);
    buf_puts(&b, ",\"inventory\":");
    json_quote(&b, t->inventory);
    buf_putc(&b, '}');
    print_json_text(in, buf_str(&b));
    return EXIT_OK;
}

static int run_template(const struct invocation *in)
{
    struct nearest near;

    if (!in->n_args) {
        list_templates(in);
        return EXIT_OK;
    }
    near = nearest_to(in->args[0]);
    for (size_t i = 0; i < n_templates; i++) {
        if (strcmp(templates[i].name, in->args[0]) == 0)
            return give(in, &templates[i]);
        nearest_offer(&near, templates[i].name);
    }
    if (near.best)
        return complain(EXIT_NOT_FOUND, "no template is named \"%s\"; did you mean \"%s\"?",
                        in->args[0], near.best);
    return complain(EXIT_NOT_FOUND, "no template is named \"%s\"; \"policy template\" lists them",
                    in->args[0]);
}

static const struct option_spec options[] = {
    {"inventory", 'i', NULL, "the example inventory that its tests ask about, instead"},
    {"into", 'O', "FILE", "write to FILE, which must not be there yet"},
};

static const struct command commands[] = {
    {.name = "policy template",
     .arguments = "[NAME]",
     .summary = "tested policies to begin with",
     .help =
         "Without a name: the list.  With one: a policy with comments, tests and proofs, to be\n"
         "changed to your labels.  It is a whole file, and may be one of several of your\n"
         "policy.  To see its tests pass before you change it:\n\n"
         "  suimitsu policy template jump-hosts -O jump.yaml\n"
         "  suimitsu policy template jump-hosts --inventory -O example.yaml\n"
         "  suimitsu policy check jump.yaml --inventory example.yaml",
     COMMAND_OPTIONS(options),
     .max_args = 1,
     .run = run_template},
};

const struct command_table template_commands = {commands, ARRAY_SIZE(commands)};
