/* SPDX-License-Identifier: Apache-2.0 */
/* flows_import.c - flow logs of clouds into the controller's history
 *
 * A file is read twice: for a sum of its content, by which it is known again, and to send it.  Both
 * read it in pieces, whatever its size; gzip is unpacked on the way. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/meter.h"
#include "collect/cloud.h"

enum { PIECE = 1 << 16, BATCH = 2000 };

struct log_file {
    const char *path;
    gzFile file;
    uint64_t size; /* As it lies on the disk. */
    struct meter meter;
};

static void log_file_done(struct log_file *f)
{
    if (f->file)
        (void)gzclose(f->file); /* It was only read. */
}

struct import {
    const struct invocation *in;
    const char *origin;
    struct log_file file;
    struct cloud *cloud;
    uint64_t sum, batch, skipped_told;
    json_t *rows;
    uint64_t connections, taken, known;
};

/* ---- reading ---- */

static int open_log(const char *path, struct log_file *ret_f)
{
    struct stat st;

    *ret_f = (struct log_file){.path = path};
    if (stat(path, &st) < 0 || !(ret_f->file = gzopen(path, "rbe")))
        return complain(EXIT_NOT_FOUND, "%s: %s", path, strerror(errno ? errno : ENOMEM));
    if (S_ISDIR(st.st_mode))
        return complain(EXIT_INVALID, "%s: a folder; expected files (DIR/*)", path);
    ret_f->size = (uint64_t)st.st_size;
    (void)gzbuffer(ret_f->file, 2 * PIECE); /* Fails after reading only. */
    return EXIT_OK;
}

static void say_progress(struct log_file *f, const char *what, bool end)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;

    f->meter.unit = " bytes";
    buf_printf(&line, "%s: %s", f->path, what);
    (end ? meter_end : meter_say)(&f->meter, buf_str(&line), (uint64_t)gzoffset(f->file), f->size);
}

/* Bytes read; 0 at the end; -1: complained about. */
static int read_log(struct log_file *f, char bytes[PIECE])
{
    int n = gzread(f->file, bytes, PIECE), error = Z_OK;
    const char *text = gzerror(f->file, &error);

    if (n > 0 || (n == 0 && (error == Z_OK || error == Z_STREAM_END)))
        return n;
    complain(EXIT_INVALID, "%s: %s", f->path, error == Z_ERRNO ? strerror(errno) : text);
    return -1; /* Cut off, too. */
}

static int sum_log(const char *path, uint64_t *ret_sum)
{
    CLEANUP(log_file_done) struct log_file f;
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    char bytes[PIECE];
    int n, r = open_log(path, &f);

    if (r != EXIT_OK)
        return r;
    while ((n = read_log(&f, bytes)) > 0) {
        for (int i = 0; i < n; i++)
            sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
        say_progress(&f, "reading", false);
    }
    say_progress(&f, "reading", true);
    *ret_sum = sum ? sum : 1;
    return n < 0 ? EXIT_INVALID : EXIT_OK;
}

/* ---- sending ---- */

static json_t *reporters_json(const struct cloud *c)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < cloud_tellers(c); i++)
        (void)json_array_append_new(list, json_string(cloud_teller(c, i)));
    return list;
}

static int send_batch(struct import *x, uint64_t number)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = NULL;
    uint64_t skipped = cloud_counts(x->cloud)->skip_data;
    char file[17];
    int r = EXIT_OK;

    (void)snprintf(file, sizeof(file), "%016" PRIx64, x->sum);
    body = json_pack("{s:s,s:I,s:s,s:o,s:I,s:O}", "file", file, "batch", (json_int_t)number,
                     "origin", x->origin, "reporters", reporters_json(x->cloud), "missing",
                     (json_int_t)(skipped - x->skipped_told), "records", x->rows);
    x->skipped_told = skipped;
    if (!invocation_value(x->in, "dry-run"))
        r = client_ask(x->in, "POST", "/api/v1/flows/import", body, NULL, &a);
    (void)json_array_clear(x->rows);
    x->taken += (uint64_t)number_of(a.json, "taken");
    x->known += (uint64_t)number_of(a.json, "known");
    return r;
}

static json_t *row_json(const struct sighting *s, uint32_t teller)
{
    char from[ADDRESS_TEXT_SIZE], to[ADDRESS_TEXT_SIZE];

    return json_pack("[I,I,I,s,s,i,i,i,s,I,I,I,i]", (json_int_t)teller, (json_int_t)s->first_ms,
                     (json_int_t)s->last_ms, address_format(&s->source, from),
                     address_format(&s->destination, to), s->source_port, s->port, s->protocol,
                     s->verdict == VERDICT_ALLOW ? "allow" : "deny", (json_int_t)s->count,
                     (json_int_t)s->bytes_out, (json_int_t)s->bytes_in, s->marks);
}

static int send_ready(struct import *x, bool end)
{
    struct sighting s;
    uint32_t teller;
    int r = EXIT_OK;

    while (r == EXIT_OK && cloud_next(x->cloud, &s, &teller)) {
        (void)json_array_append_new(x->rows, row_json(&s, teller));
        x->connections++;
        if (json_array_size(x->rows) == BATCH)
            r = send_batch(x, ++x->batch);
    }
    if (r == EXIT_OK && end &&
        (json_array_size(x->rows) || cloud_counts(x->cloud)->skip_data > x->skipped_told))
        r = send_batch(x, ++x->batch);
    if (r == EXIT_OK && end && x->batch) /* Answered when all of them are on the disk. */
        r = send_batch(x, x->batch);
    return r;
}

static int send_log(struct import *x)
{
    char bytes[PIECE];
    int n, r = EXIT_OK;

    while (r == EXIT_OK && (n = read_log(&x->file, bytes)) != 0) {
        if (n < 0)
            return EXIT_INVALID;
        cloud_feed(x->cloud, bytes, (size_t)n);
        r = send_ready(x, false);
        say_progress(&x->file, "importing", false);
    }
    say_progress(&x->file, "importing", true);
    if (r != EXIT_OK)
        return r;
    cloud_end(x->cloud);
    return send_ready(x, true);
}

/* ---- telling ---- */

static void tell_problems(const struct import *x)
{
    const struct cloud_problem *p;
    size_t n = cloud_problems(x->cloud, &p);
    uint64_t all = cloud_counts(x->cloud)->malformed;

    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s:%zu:%zu: %s\n", x->file.path, p[i].line, p[i].column, p[i].text);
    if (all > n)
        fprintf(stderr, "%s: and %" PRIu64 " more\n", x->file.path, all - n);
}

static json_t *outcome_json(const struct import *x)
{
    const struct cloud_counts *n = cloud_counts(x->cloud);

    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "file", x->file.path, "records",
                     (json_int_t)n->told, "connections", (json_int_t)x->connections, "imported",
                     (json_int_t)x->taken, "there_already", (json_int_t)x->known, "no_data",
                     (json_int_t)n->no_data, "skip_data", (json_int_t)n->skip_data, "other",
                     (json_int_t)n->other, "malformed", (json_int_t)n->malformed);
}

static void import_done(struct import *x)
{
    log_file_done(&x->file);
    cloud_free(x->cloud);
    json_decref(x->rows);
}

/* Adds what became of it to 'list', also when it could not be finished. */
static int import_one(const struct invocation *in, const char *path, enum cloud_format format,
                      json_t *list)
{
    static const char *const origins[CLOUD_FORMATS] = {"aws", "azure", "gcp"};
    CLEANUP(import_done) struct import x = {.in = in, .origin = origins[format]};
    int r = sum_log(path, &x.sum);

    if (r == EXIT_OK)
        r = open_log(path, &x.file);
    if (r != EXIT_OK)
        return r;
    x.cloud = cloud_new(format);
    x.rows = json_array();
    r = send_log(&x);
    tell_problems(&x);
    (void)json_array_append_new(list, outcome_json(&x));
    if (r != EXIT_OK)
        return complain(r, "%s: stopped after %" PRIu64 " connections; the same command goes on",
                        path, x.taken + x.known);
    return cloud_counts(x.cloud)->malformed ? EXIT_PARTIAL : EXIT_OK;
}

static int run_flows_import(const struct invocation *in)
{
    static const struct column columns[] = {
        {"FILE", "file", false},
        {"RECORDS", "records", false},
        {"CONNECTIONS", "connections", false},
        {"IMPORTED", "imported", false},
        {"THERE ALREADY", "there_already", false},
        {"NODATA", "no_data", false},
        {"SKIPDATA", "skip_data", false},
        {"OTHER", "other", false},
        {"MALFORMED", "malformed", false},
    };
    CLEANUP(json_decrefp) json_t *list = json_array();
    const char *name = invocation_value(in, "format");
    enum cloud_format format;
    int worst = EXIT_OK;

    if (!name || cloud_format_parse(name, &format) < 0)
        return complain(EXIT_USAGE,
                        "--format %s: expected aws-vpc, azure-nsg, azure-vnet or gcp-vpc",
                        name ? name : "is missing");
    for (size_t i = 0; i < in->n_args; i++) {
        int r = import_one(in, in->args[i], format, list);

        worst = worst == EXIT_OK || r > worst ? r : worst;
        if (r == EXIT_UNREACHABLE || r == EXIT_NOT_ALLOWED)
            break; /* It would be the same for the others. */
    }
    if (json_array_size(list))
        print_table(in, list, columns, ARRAY_SIZE(columns));
    return worst;
}

static const struct option_spec import_options[] = {
    CLIENT_OPTIONS,
    {"format", 0, "FORMAT", "aws-vpc, azure-nsg, azure-vnet or gcp-vpc"},
    {"dry-run", 0, NULL, "read and check, import nothing; needs no controller"},
};

static const struct command commands[] = {
    {.name = "flows import",
     .arguments = "--format FORMAT FILE...",
     .summary = "flow logs of a cloud into the history",
     .help =
         "Reads flow logs (plain or gzip) of AWS VPCs, versions 2 to 5; of Azure NSGs, versions 1\n"
         "and 2, and virtual networks; of GCP, VPC flows and firewall logs as JSON.  The\n"
         "controller names both ends as of then.  What passed is \"seen\" in the history, what "
         "the\n"
         "cloud refused \"seen-deny\".\n\n"
         "Importing the same file again changes nothing, and an import that was cut off goes on\n"
         "where it was.  A file that has grown meanwhile is another file: import closed ones.\n\n"
         "What is malformed is told with file, line and column, counted and left out.\n"
         "Exit code 9: something was malformed; the rest was imported.",
     COMMAND_OPTIONS(import_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_flows_import},
};

const struct command_table flows_import_commands = {commands, ARRAY_SIZE(commands)};
