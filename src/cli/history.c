/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - a history's records as files, and what there is of it
 *
 * These work on the history itself, not through the controller: what takes hours should not take
 * its time.  Those that only read may run beside it; those that write need it stopped. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/date.h"
#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/history_lines.h"
#include "cli/meter.h"
#include "sys/clock.h"
#include "text/json.h"

enum { IMPORT_BATCH = 4096, SYNC_BATCHES = 64, OUT_SIZE = 1 << 16 };

static int complain_history(const char *where, const char *what, int error)
{
    if (error == -EBUSY)
        return complain(EXIT_CONFLICT, "%s: another process has it; stop suimitsud first", where);
    return complain(error == -ENOENT ? EXIT_NOT_FOUND : EXIT_INVALID, "%s: %s%s%s", where, what,
                    *what ? ": " : "", strerror(-error));
}

/* The first argument. */
static int open_history(const struct invocation *in, struct history_options *o,
                        struct history **ret_h)
{
    const char *where = in->args[0], *what = "";
    int r;

    o->password_file = invocation_value(in, "password-file");
    r = history_open(where, o, ret_h, &what);

    return r < 0 ? complain_history(where, what, r) : EXIT_OK;
}

static int format_of(const struct invocation *in, const char *path, enum lines_format *ret)
{
    const char *name = invocation_value(in, "format"), *dot = path ? strrchr(path, '.') : NULL;

    if (!name)
        name = dot && strncmp(dot, ".json", 5) == 0 ? "json" : "csv";
    if (strcmp(name, "csv") != 0 && strcmp(name, "json") != 0)
        return complain(EXIT_USAGE, "\"%s\" for --format; expected csv or json", name);
    *ret = strcmp(name, "csv") == 0 ? LINES_CSV : LINES_JSON;
    return EXIT_OK;
}

/* ---- export ---- */

struct exporting {
    const struct history *h;
    enum lines_format format;
    struct buf out;
    struct history_progress progress;
    struct meter meter;
    uint64_t n;
};

static int write_out(struct exporting *x)
{
    if (x->out.size && fwrite(x->out.data, 1, x->out.size, stdout) != x->out.size)
        return -EIO;
    buf_reset(&x->out);
    return 0;
}

static int export_some(void *user, const struct flow *flows, size_t n)
{
    struct exporting *x = user;

    for (size_t i = 0; i < n; i++)
        lines_put(&x->out, x->format, x->h, &flows[i]);
    x->n += n;
    meter_say(&x->meter, "export", x->progress.rows_read, x->progress.rows_total);
    return x->out.size >= OUT_SIZE ? write_out(x) : 0;
}

/* 0: not given. */
static int read_time(const struct invocation *in, const char *option, uint64_t *ret_ms)
{
    const char *s = invocation_value(in, option);
    int64_t seconds = 0;
    uint64_t ago;

    if (!s)
        return EXIT_OK;
    if (duration_parse(s, UINT32_MAX, &ago) == 0)
        seconds = clock_unix_s() - (int64_t)ago;
    else if (date_parse_time(s, &seconds) < 0)
        return complain(EXIT_USAGE,
                        "\"%s\" for --%s; expected a time like 2026-11-22T10:00:00Z or 2d ago as "
                        "2d",
                        s, option);
    *ret_ms = seconds > 0 ? (uint64_t)seconds * 1000 : 0;
    return EXIT_OK;
}

/* A name that no record has is an empty answer, which is said. */
static int read_name(const struct invocation *in, const struct history *h, const char *option,
                     text_t *ret)
{
    const char *s = invocation_value(in, option);

    if (!s)
        return EXIT_OK;
    *ret = history_find_text(h, s, strlen(s));
    return *ret ? EXIT_OK
                : complain(EXIT_NOT_FOUND, "no record of this history knows \"%s\" (--%s)", s,
                           option);
}

static int read_query(const struct invocation *in, const struct history *h,
                      struct history_query *ret)
{
    struct history_query q = HISTORY_QUERY_ALL;
    int r = read_time(in, "since", &q.since_ms);

    if (r == EXIT_OK)
        r = read_time(in, "until", &q.until_ms);
    if (r == EXIT_OK)
        r = read_name(in, h, "endpoint", &q.endpoint);
    if (r == EXIT_OK)
        r = read_name(in, h, "rule", &q.rule);
    if (r == EXIT_OK && q.until_ms && q.until_ms <= q.since_ms)
        r = complain(EXIT_USAGE, "--until is not after --since: nothing can match");
    *ret = q;
    return r;
}

static int run_export(const struct invocation *in)
{
    struct history_options o = {.read_only = true};
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = NULL;
    struct exporting x = {.meter = {.unit = " records"}};
    struct history_query q;
    int r = format_of(in, NULL, &x.format);

    if (r == EXIT_OK)
        r = open_history(in, &o, &h);
    if (r == EXIT_OK)
        r = read_query(in, h, &q);
    if (r != EXIT_OK)
        return r;
    x.h = h;
    s = history_snapshot(h);
    lines_header(&x.out, x.format);
    r = history_scan(s, &q, export_some, &x, &x.progress);
    if (r == 0)
        r = write_out(&x);
    if (r == 0 && fflush(stdout) != 0)
        r = -errno;
    meter_end(&x.meter, "export", x.progress.rows_read, x.progress.rows_total);
    buf_done(&x.out);
    return r < 0 ? complain(EXIT_INVALID, "after %llu records: %s", (unsigned long long)x.n,
                            strerror(-r))
                 : EXIT_OK;
}

/* ---- import ---- */

static int open_lines(struct lines_reader *r, const char *path, uint64_t *ret_size)
{
    struct stat st;

    r->file = fopen(path, "re");
    if (!r->file || fstat(fileno(r->file), &st) < 0)
        return complain(EXIT_NOT_FOUND, "%s: %s", path, strerror(errno));
    *ret_size = (uint64_t)st.st_size;
    return EXIT_OK;
}

/* Reads all of it once: what is wrong is said before anything is taken.  '*ret_sum' tells this
 * content from any other, so that the same file is not taken twice. */
static int check_file(const char *path, enum lines_format format, uint64_t *ret_sum,
                      uint64_t *ret_size)
{
    CLEANUP(lines_reader_done) struct lines_reader r = {.format = format};
    struct meter meter = {.unit = " bytes"};
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    struct flow f;
    int e = open_lines(&r, path, ret_size);

    if (e != EXIT_OK)
        return e;
    while ((e = lines_read(&r, &f)) == 1) {
        for (size_t i = 0; i < r.text.size; i++)
            sum = (sum ^ (unsigned char)r.text.data[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
        meter_say(&meter, "reading", r.bytes, *ret_size);
    }
    meter_end(&meter, "reading", r.bytes, *ret_size);
    *ret_sum = sum;
    if (e == -EINVAL)
        return complain(EXIT_INVALID, "%s: %s", path, r.problem.data);
    return e < 0 ? complain(EXIT_INVALID, "%s: %s", path, strerror(-e)) : EXIT_OK;
}

struct importing {
    struct history *h;
    struct flow *flows;
    size_t n;
    uint64_t sum, sequence, taken, known;
};

static int append(struct importing *x)
{
    struct history_batch b = {.stream = "import",
                              .epoch = x->sum,
                              .sequence = x->sequence + 1,
                              .flows = x->flows,
                              .n_flows = x->n};
    char stream[32];
    bool known;
    int r;

    if (!x->n)
        return 0;
    (void)snprintf(stream, sizeof(stream), "import/%016llx", (unsigned long long)x->sum);
    b.stream = stream;
    r = history_append(x->h, &b, &known);
    if (r < 0)
        return r;
    *(known ? &x->known : &x->taken) += x->n;
    x->n = 0;
    return ++x->sequence % SYNC_BATCHES ? 0 : history_sync(x->h);
}

static int import_lines(struct importing *x, const char *path, enum lines_format format)
{
    CLEANUP(lines_reader_done) struct lines_reader r = {.format = format, .h = x->h};
    struct meter meter = {.unit = " bytes"};
    uint64_t size = 0;
    int e = open_lines(&r, path, &size);

    if (e != EXIT_OK)
        return -ENOENT;
    while ((e = lines_read(&r, &x->flows[x->n])) == 1) {
        if (++x->n == IMPORT_BATCH)
            e = append(x);
        if (e < 0)
            return e;
        meter_say(&meter, "import", r.bytes, size);
    }
    meter_end(&meter, "import", r.bytes, size);
    if (e == 0)
        e = append(x);
    return e < 0 ? e : history_sync(x->h);
}

static int run_import(const struct invocation *in)
{
    struct history_options o = {.read_only = false};
    CLEANUP(history_freep) struct history *h = NULL;
    CLEANUP(free_voidp) struct flow *flows = xcalloc(IMPORT_BATCH, sizeof(*flows));
    struct importing x = {.flows = flows};
    enum lines_format format = LINES_CSV;
    uint64_t size = 0;
    int r = format_of(in, in->args[1], &format);

    if (r == EXIT_OK)
        r = check_file(in->args[1], format, &x.sum, &size);
    if (r == EXIT_OK)
        r = open_history(in, &o, &h);
    if (r != EXIT_OK)
        return r;
    x.h = h;
    r = import_lines(&x, in->args[1], format);
    if (r < 0)
        return complain(EXIT_PARTIAL, "%s: after %llu records: %s; the same command goes on",
                        in->args[1], (unsigned long long)x.taken, strerror(-r));
    printf("%llu records imported, %llu were there already\n", (unsigned long long)x.taken,
           (unsigned long long)x.known);
    return EXIT_OK;
}

/* ---- state, retain ---- */

static void add_time(struct buf *b, const char *key, uint64_t ms)
{
    char text[DATE_TEXT_SIZE];

    buf_puts(b, ", ");
    json_text(b, key, ms ? date_format_time((int64_t)(ms / 1000), text) : NULL);
}

static void print_state(const struct invocation *in, const struct history_state *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct {
        const char *json, *text;
        uint64_t value;
    } numbers[] = {
        {"records", "records", s->rows},
        {"bytes", "bytes on disk", s->bytes},
        {"duplicates", "batches that came again", s->duplicates},
        {"lost_batches", "batches that never came", s->lost_batches},
        {"lost_records", "records lost before they came", s->lost_records},
        {"damaged", "damaged places", s->damaged_blocks},
        {"other_texts", "names over the limit", s->other_texts},
    };
    char text[DATE_TEXT_SIZE];

    if (wants_document(in)) {
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
            buf_printf(&b, "%s\"%s\": %llu", i ? ", " : "{", numbers[i].json,
                       (unsigned long long)numbers[i].value);
        add_time(&b, "oldest", s->oldest_ms);
        add_time(&b, "newest", s->newest_ms);
        buf_puts(&b, "}");
        print_json_text(in, b.data);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (i < 2 || numbers[i].value)
            printf("%-30s %llu\n", numbers[i].text, (unsigned long long)numbers[i].value);
    if (s->rows) {
        printf("%-30s %s\n", "oldest", date_format_time((int64_t)(s->oldest_ms / 1000), text));
        printf("%-30s %s\n", "newest", date_format_time((int64_t)(s->newest_ms / 1000), text));
    }
}

static int run_state(const struct invocation *in)
{
    struct history_options o = {.read_only = true};
    CLEANUP(history_freep) struct history *h = NULL;
    struct history_state s;
    int r = open_history(in, &o, &h);

    if (r != EXIT_OK)
        return r;
    history_state(h, &s);
    print_state(in, &s);
    return EXIT_OK;
}

/* "10G", "500M", bytes. */
static int read_size(const char *s, uint64_t *ret)
{
    static const char units[] = "KMGT";
    size_t len = strlen(s);
    const char *unit = len ? strchr(units, s[len - 1]) : NULL;
    unsigned shift = unit && *unit ? 10 * (unsigned)(unit - units + 1) : 0;

    if (number_parse(s, len - (shift ? 1 : 0), UINT64_MAX >> shift, ret) < 0 || !*ret)
        return -EINVAL;
    *ret <<= shift;
    return 0;
}

static int read_limits(const struct invocation *in, struct history_options *o)
{
    const char *age = invocation_value(in, "age"), *size = invocation_value(in, "size");
    uint64_t age_s = 0;

    if (!age && !size)
        return complain(EXIT_USAGE, "%s needs --age or --size", in->command->name);
    if (age && (duration_parse(age, UINT32_MAX, &age_s) < 0 || !age_s))
        return complain(EXIT_USAGE, "\"%s\" for --age; expected a duration like 90d", age);
    if (size && read_size(size, &o->max_bytes) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --size; expected bytes, or a size like 500M or 10G",
                        size);
    o->max_age_ms = age_s * 1000;
    return EXIT_OK;
}

static int run_retain(const struct invocation *in)
{
    struct history_options o = {.max_bytes = 0};
    CLEANUP(history_freep) struct history *h = NULL;
    uint64_t forgotten = 0;
    int r = read_limits(in, &o);

    if (r == EXIT_OK)
        r = open_history(in, &o, &h);
    if (r != EXIT_OK)
        return r;
    r = history_retain(h, clock_unix_ms(), &forgotten);
    if (r < 0)
        return complain_history(in->args[0], "", r);
    printf("%llu records forgotten\n", (unsigned long long)forgotten);
    return EXIT_OK;
}

/* ---- the table ---- */

#define WHERE_HELP                                                                                 \
    "WHERE is a folder (suimitsud's: history/ in its state directory), sqlite:FILE, or\n"          \
    "clickhouse:http://[USER@]HOST[:PORT]/DATABASE#FILE (suimitsud's FILE: history.db in its\n"    \
    "state directory)."

#define PASSWORD_OPTION                                                                            \
    {                                                                                              \
        "password-file", 0, "FILE", "of ClickHouse's user: its password is in this file"           \
    }

static const struct option_spec export_options[] = {
    {"format", 0, "FORMAT", "csv (default) or json: one object a line"},
    {"since", 0, "TIME", "only records that end then or later: 2d (ago), or an RFC 3339 time"},
    {"until", 0, "TIME", "only records that begin before"},
    {"endpoint", 0, "NAME", "only those with this endpoint at either end"},
    {"rule", 0, "ID", "only those that this rule decided"},
    PASSWORD_OPTION};
static const struct option_spec state_options[] = {PASSWORD_OPTION};
static const struct option_spec import_options[] = {
    {"format", 0, "FORMAT", "csv or json; default: by the file's name, else csv"}, PASSWORD_OPTION};
static const struct option_spec retain_options[] = {
    {"age", 0, "DURATION", "forget days that are older: 90d"},
    {"size", 0, "SIZE", "forget the oldest days until it is smaller: 10G; today stays"},
    PASSWORD_OPTION};

static const struct command commands[] = {
    {.name = "history export",
     .arguments = "WHERE",
     .summary = "the recorded connections as CSV or JSON lines",
     .help = "Writes the records of a history to standard output, the oldest first.  It reads the\n"
             "history itself and may run beside the daemon.  CSV is for programs: names are as\n"
             "they were told, and a spreadsheet may take some for formulas.\n\n" WHERE_HELP,
     COMMAND_OPTIONS(export_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_export},
    {.name = "history import",
     .arguments = "WHERE FILE",
     .summary = "records of such a file into a history",
     .help =
         "All of the file is read before anything is taken, and what is wrong is told with its\n"
         "line.  The same file is never taken twice, and an import that was cut off goes on\n"
         "where it was.  The daemon must not run.\n\n" WHERE_HELP,
     COMMAND_OPTIONS(import_options),
     .min_args = 2,
     .max_args = 2,
     .run = run_import},
    {.name = "history state",
     .arguments = "WHERE",
     .summary = "how much there is, from when, and what is missing",
     .help = "Counts records, bytes, losses and damage.  May run beside the daemon.\n\n" WHERE_HELP,
     COMMAND_OPTIONS(state_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_state},
    {.name = "history retain",
     .arguments = "WHERE [--age DURATION] [--size SIZE]",
     .summary = "forget what is older, or too much",
     .help = "Forgets whole days (UTC), the oldest first.  When a rule was used last is not\n"
             "forgotten.  The daemon must not run: it does the same by its own "
             "settings.\n\n" WHERE_HELP,
     COMMAND_OPTIONS(retain_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_retain},
};

const struct command_table history_commands = {commands, ARRAY_SIZE(commands)};
