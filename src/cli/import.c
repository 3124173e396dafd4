/* SPDX-License-Identifier: Apache-2.0 */
/* policy import: inherited packet filters become a draft */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "import/import.h"
#include "sys/file.h"
#include "text/decode.h"
#include "text/json.h"

enum { FOLDER_MODE = 0755, FILE_MODE = 0644, N_OUTPUTS = 4 };

struct output_file {
    const char *name;
    const struct buf *data;
};

struct job {
    const struct invocation *in;
    struct tree tree;
    struct source sources[IMPORT_MAX_FILES];
    size_t n_sources;
    struct diagnostics *d;
    struct import import;
    struct buf ledger, findings;
    const char *folder; /* NULL: only a summary. */
};

static void job_done(struct job *j)
{
    import_done(&j->import);
    diagnostics_free(j->d);
    tree_done(&j->tree);
    buf_done(&j->ledger);
    buf_done(&j->findings);
}

static int read_files(struct job *j)
{
    const char *bad = "";

    for (size_t i = 0; i < j->in->n_args; i++) {
        int r = tree_read(&j->tree, j->in->args[i], IMPORT_MAX_FILES, IMPORT_MAX_SIZE, &bad);

        if (r == -EFBIG)
            return complain(EXIT_INVALID, "%s: larger than %d bytes", bad, IMPORT_MAX_SIZE);
        if (r == -E2BIG)
            return complain(EXIT_INVALID, "more than %d files", IMPORT_MAX_FILES);
        if (r < 0)
            return complain_file(bad, r);
    }
    j->n_sources = j->tree.n;
    for (size_t i = 0; i < j->n_sources; i++)
        j->sources[i] = (struct source){.name = j->tree.files[i].path,
                                        .data = buf_str(&j->tree.files[i].data),
                                        .size = j->tree.files[i].data.size};
    return EXIT_OK;
}

static int read_options(const struct job *j, struct import_options *o)
{
    const char *format = invocation_value(j->in, "format");
    const char *why = "";

    *o = (struct import_options){.self_name = invocation_value(j->in, "self"),
                                 .self_addresses = invocation_value(j->in, "self-address"),
                                 .interfaces = invocation_value(j->in, "interfaces"),
                                 .chain = invocation_value(j->in, "chain")};
    if (format && import_format_parse(format, &o->format) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --format; expected auto, iptables, nft or ios",
                        format);
    if (o->self_name && !grammar_accepts(GRAMMAR_NAME, o->self_name, &why))
        return complain(EXIT_USAGE, "\"%s\" for --self: %s", o->self_name, why);
    if (o->self_name && !o->self_addresses)
        return complain(EXIT_USAGE, "--self needs --self-address: the box's addresses");
    if (j->in->output_text && j->in->output == OUTPUT_TABLE &&
        strcmp(j->in->output_text, "table") != 0)
        return complain(EXIT_USAGE,
                        "\"%s\" for -o; expected json or yaml (--output names a folder)",
                        j->in->output_text);
    return EXIT_OK;
}

/* ---- the folder ---- */

static void path_of(struct buf *b, const struct job *j, const char *name, const char *suffix)
{
    buf_reset(b);
    buf_printf(b, "%s/%s%s", j->folder, name, suffix);
}

static int write_staged(const struct job *j, const struct output_file files[], const char **ret_bad)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    for (size_t i = 0; i < N_OUTPUTS; i++) {
        int r;

        path_of(&path, j, files[i].name, ".draft");
        *ret_bad = files[i].name;
        r = file_write(buf_str(&path), buf_str(files[i].data), files[i].data->size, FILE_MODE);
        if (r < 0)
            return r;
    }
    return 0;
}

static int rename_staged(const struct job *j, const struct output_file files[],
                         const char **ret_bad)
{
    CLEANUP(buf_done) struct buf from = BUF_INIT;
    CLEANUP(buf_done) struct buf to = BUF_INIT;

    for (size_t i = 0; i < N_OUTPUTS; i++) {
        path_of(&from, j, files[i].name, ".draft");
        path_of(&to, j, files[i].name, "");
        *ret_bad = files[i].name;
        if (rename(buf_str(&from), buf_str(&to)) < 0)
            return -errno;
    }
    return 0;
}

static void remove_staged(const struct job *j, const struct output_file files[])
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    for (size_t i = 0; i < N_OUTPUTS; i++) {
        path_of(&path, j, files[i].name, ".draft");
        (void)unlink(buf_str(&path)); /* Some were never written. */
    }
}

static int check_free(const struct job *j, const struct output_file files[])
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    struct stat st;

    for (size_t i = 0; i < N_OUTPUTS; i++) {
        path_of(&path, j, files[i].name, "");
        if (lstat(buf_str(&path), &st) == 0 &&
            (S_ISDIR(st.st_mode) || !invocation_value(j->in, "force")))
            return complain(EXIT_CONFLICT, "%s is there already; nothing was written%s",
                            buf_str(&path), S_ISDIR(st.st_mode) ? "" : " (--force replaces it)");
    }
    return EXIT_OK;
}

/* All files or none: each is written under another name first. */
static int write_folder(const struct job *j)
{
    const struct output_file files[N_OUTPUTS] = {{"policy.yaml", &j->import.draft.policy},
                                                 {"inventory.yaml", &j->import.draft.inventory},
                                                 {"ledger.txt", &j->ledger},
                                                 {"findings.txt", &j->findings}};
    bool made = mkdir(j->folder, FOLDER_MODE) == 0;
    const char *bad = "";
    int r;

    if (!made && errno != EEXIST)
        return complain(EXIT_NOT_ALLOWED, "%s: cannot make this folder: %s", j->folder,
                        strerror(errno));
    r = check_free(j, files);
    if (r != EXIT_OK)
        return r;
    r = write_staged(j, files, &bad);
    if (r == 0)
        r = rename_staged(j, files, &bad);
    if (r == 0)
        return EXIT_OK;
    remove_staged(j, files);
    if (made)
        (void)rmdir(j->folder); /* It was empty before. */
    return complain(EXIT_NOT_ALLOWED, "%s/%s: cannot write it: %s; nothing was written", j->folder,
                    bad, strerror(-r));
}

/* ---- answers ---- */

static void print_json(const struct job *j)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_puts(&b, j->d->n_errors ? "{\"ok\":false,\"errors\":" : "{\"ok\":true,\"errors\":");
    report_json(&b, j->d);
    buf_puts(&b, ",\"folder\":");
    if (j->folder && !j->d->n_errors)
        json_quote(&b, j->folder);
    else
        buf_puts(&b, "null");
    if (!j->d->n_errors) {
        buf_putc(&b, ',');
        import_write_json(&j->import, &b);
    }
    buf_putc(&b, '}');
    print_json_text(j->in, buf_str(&b));
}

static void print_counts(const struct job *j)
{
    const struct ruleset *rs = j->import.rules;

    for (enum finding_code c = 0; c < N_FINDINGS; c++) {
        size_t n = 0;

        for (size_t i = 0; i < rs->n_findings; i++)
            n += rs->findings[i].code == c;
        if (n)
            (void)printf("  %-16s %zu\n", finding_code_name(c), n);
    }
}

static void print_summary(const struct job *j)
{
    const struct import *im = &j->import;

    assert(im->rules); /* For clang's analyzer: import_read() always sets it. */
    (void)printf("%zu rules became %zu allow and %zu never rules, %zu groups, %zu endpoints\n",
                 im->n_rules, im->draft.n_allows, im->draft.n_nevers, im->draft.n_groups,
                 im->draft.n_endpoints);
    (void)printf("%zu entries in the ledger, %zu of them change a verdict\n", im->rules->n_ledger,
                 im->n_effective);
    (void)printf("%zu findings%s\n", im->rules->n_findings, im->rules->n_findings ? ":" : "");
    print_counts(j);
    if (j->folder) {
        (void)printf("written: %s/policy.yaml, inventory.yaml, ledger.txt, findings.txt\n",
                     j->folder);
        return;
    }
    (void)printf("\n%s\n%s\n(--output FOLDER writes the draft)\n", buf_str(&j->ledger),
                 buf_str(&j->findings));
}

static int refuse(const struct job *j)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    diagnostics_sort(j->d);
    if (wants_document(j->in)) {
        print_json(j);
        return EXIT_INVALID;
    }
    report_text(&b, j->d, j->sources, j->n_sources);
    (void)fputs(buf_str(&b), stderr);
    return complain(EXIT_INVALID, "nothing was imported");
}

static int run_import(const struct invocation *in)
{
    CLEANUP(job_done) struct job j = {.in = in, .folder = invocation_value(in, "output")};
    struct import_options options;
    int r = read_options(&j, &options);

    if (r == EXIT_OK)
        r = read_files(&j);
    if (r != EXIT_OK)
        return r;
    j.d = diagnostics_new();
    if (import_read(j.sources, j.n_sources, &options, j.d, &j.import) < 0)
        return refuse(&j);
    import_write_ledger(&j.import, &j.ledger);
    import_write_findings(&j.import, &j.findings);
    if (j.folder)
        r = write_folder(&j);
    if (r != EXIT_OK)
        return r;
    if (wants_document(in))
        print_json(&j);
    else
        print_summary(&j);
    return j.import.n_effective ? EXIT_PARTIAL : EXIT_OK;
}

static const struct option_spec import_options_[] = {
    {"format", 'f', "FORMAT", "auto, iptables, nft or ios (default auto)"},
    {"self", 's', "NAME", "how to call the box whose rules these are (default self)"},
    {"self-address", 'a', "ADDR,...", "its addresses; needed to tell INPUT, OUTPUT, FORWARD apart"},
    {"interfaces", 'i', "MAP", "eth0=any,eth1=10.0.0.0/8+fd00::/8: who is behind which"},
    {"chain", 'c', "NAME", "only this base chain or access list"},
    {"output", 0, "FOLDER", "write policy.yaml, inventory.yaml, ledger.txt, findings.txt"},
    {"force", 0, NULL, "replace files of a former import"},
};

static const struct command commands[] = {
    {.name = "policy import",
     .arguments = "FILE...",
     .summary = "a draft policy from iptables, nft or IOS rules",
     .help = "Reads iptables-save, ip6tables-save, iptables -S, \"nft -j list ruleset\" or IOS\n"
             "access lists, and proposes a policy and an inventory that give the same verdicts on\n"
             "packets that open a connection.  ledger.txt lists what could not be carried over,\n"
             "findings.txt what is wrong with the original.  Without --output both are printed;\n"
             "-o json (or yaml) prints them as a document.  Several files are the rules of one\n"
             "box.  \"-\" is standard input.  docs/import.md has the details.\n\n"
             "Exit code 0: everything was carried over; 9: a draft was made, and the ledger lists\n"
             "what changes a verdict; 2: usage; 3: a file is not valid; 4: no such file; 5: not\n"
             "allowed to read or write; 6: the folder has such files already.",
     COMMAND_OPTIONS(import_options_),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .output_is_file = true,
     .run = run_import},
};

const struct command_table import_commands = {commands, ARRAY_SIZE(commands)};
