/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - `policy fmt`: one way to write a policy, in files or from standard input */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "sys/file.h"
#include "text/format.h"
#include "text/json.h"
#include "text/linediff.h"

struct formatting {
    const struct invocation *in;
    bool check, diff, write;
    size_t n_changed;
    struct buf json;
};

static int print_error(const struct source *source, const struct diagnostics *d)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    report_text(&b, d, source, 1);
    (void)fputs(buf_str(&b), stderr);
    return EXIT_INVALID;
}

/* In place of the file that a link may point to, with its owner and its mode. */
static int write_back(const char *path, const struct buf *text)
{
    CLEANUP(free_voidp) void *real = realpath(path, NULL);
    CLEANUP(buf_done) struct buf beside = BUF_INIT;
    struct stat st;
    int r;

    if (!real || stat(real, &st) < 0)
        return complain_file(path, -errno);
    buf_printf(&beside, "%s.new", (const char *)real);
    if (access(buf_str(&beside), F_OK) == 0)
        return complain(EXIT_CONFLICT, "%s is in the way; move it first", buf_str(&beside));
    r = file_write(real, text->data, text->size, st.st_mode & 07777);
    if (r < 0)
        return complain(EXIT_NOT_ALLOWED, "%s: cannot write it: %s", path, strerror(-r));
    if ((st.st_uid != geteuid() || st.st_gid != getegid()) && chown(real, st.st_uid, st.st_gid) < 0)
        return complain(EXIT_PARTIAL, "%s: cannot give it back to its owner: %s", path,
                        strerror(errno));
    return EXIT_OK;
}

static void note_json(struct formatting *f, const char *path, bool changed)
{
    buf_puts(&f->json, f->json.size ? ",{\"file\":" : "[{\"file\":");
    json_quote(&f->json, path);
    buf_printf(&f->json, ",\"formatted\":%s,\"written\":%s}", changed ? "false" : "true",
               changed && f->write ? "true" : "false");
}

static int show(struct formatting *f, const struct source *source, const struct buf *text)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    bool changed =
        text->size != source->size || memcmp(buf_str(text), source->data, source->size) != 0;

    f->n_changed += changed;
    if (wants_document(f->in)) {
        note_json(f, source->name, changed);
    } else if (f->diff && changed) {
        linediff(&b, source->name, source->data, source->size, buf_str(text), text->size);
        (void)fputs(buf_str(&b), stdout);
    } else if ((f->check || f->write) && changed) {
        buf_escape(&b, source->name, strlen(source->name), SIZE_MAX);
        (void)printf("%s\n", buf_str(&b));
    } else if (!f->check && !f->write && !f->diff) {
        (void)fputs(buf_str(text), stdout);
    }
    return changed && f->write ? write_back(source->name, text) : EXIT_OK;
}

static int format_one(struct formatting *f, const struct source *source)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    int r = format_source(source, d, &text);

    if (r == -EBADMSG) {
        diagnostics_sort(d);
        return print_error(source, d);
    }
    if (r == -ENOTSUP)
        return complain(EXIT_USAGE, "%s: only YAML is formatted, not JSON", source->name);
    if (r < 0)
        return complain(EXIT_INVALID, "%s: left alone: formatting it would change what it means",
                        source->name);
    return show(f, source, &text);
}

static int check_usage(const struct formatting *f, const struct tree *t)
{
    if (f->check + f->diff + f->write > 1)
        return complain(EXIT_USAGE, "policy fmt takes one of --check, --diff and --write");
    if (t->n > 1 && !f->check && !f->diff && !f->write && !wants_document(f->in))
        return complain(EXIT_USAGE, "policy fmt prints one file; for several there are --check, "
                                    "--diff and --write");
    for (size_t i = 0; f->write && i < t->n; i++)
        if (strcmp(t->files[i].path, "-") == 0)
            return complain(EXIT_USAGE, "--write has no file to write standard input to");
    return EXIT_OK;
}

static int run_format(const struct invocation *in)
{
    CLEANUP(tree_done) struct tree t = TREE_INIT;
    struct formatting f = {.in = in,
                           .check = invocation_value(in, "check"),
                           .diff = invocation_value(in, "diff"),
                           .write = invocation_value(in, "write")};
    const char *bad = "";
    int r, worst;

    for (size_t i = 0; i < in->n_args; i++) {
        r = tree_read(&t, in->args[i], SOURCE_FILES, SOURCE_MAX, &bad);
        if (r < 0)
            return complain_file(bad, r);
    }
    worst = check_usage(&f, &t);
    for (size_t i = 0; worst != EXIT_USAGE && i < t.n; i++) {
        const struct source s = {t.files[i].path, buf_str(&t.files[i].data), t.files[i].data.size};

        r = format_one(&f, &s);
        worst = r == EXIT_OK ? worst : r;
    }
    if (wants_document(in) && f.json.size) {
        buf_putc(&f.json, ']');
        print_json_text(in, buf_str(&f.json));
    }
    buf_done(&f.json);
    return worst == EXIT_OK && f.n_changed && (f.check || f.diff) ? EXIT_DIFFERS : worst;
}

static const struct option_spec options[] = {
    {"check", 0, NULL, "only name the files that are not formatted; exit code 1 if there are any"},
    {"diff", 0, NULL, "only show what would change; exit code 1 if anything would"},
    {"write", 'w', NULL, "write the files, and name those that changed"},
};

static const struct command commands[] = {
    {.name = "policy fmt",
     .arguments = "PATH...|-",
     .summary = "write policies and inventories in their one form",
     .help = "Puts sections and fields into the order of the reference, one field of a rule a\n"
             "line, and quotes where they are needed.  Comments stay where they belong.  The\n"
             "result is read again before it is given out: it says the same, or the file is left\n"
             "alone.  Files with errors are refused (exit code 3).  Without an option the result\n"
             "of one file goes to standard output.",
     COMMAND_OPTIONS(options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_format},
};

const struct command_table format_commands = {commands, ARRAY_SIZE(commands)};
