/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and objects; see rare_report.h. */
#include "text/rare_report.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "text/json.h"

enum { DAY_MS = 86400000, SERVICE_TEXT = 16 };

static const char *const headings[RARE_KINDS] = {
    "first seen in this time", "only once in this time", "programs that never did that",
    "sources that tried much in vain"};

static const char *told(const struct rare_told *t, text_t number)
{
    return number ? t->text(t->keeper, number) : "";
}

static const char *time_of(uint64_t ms, char text[DATE_TEXT_SIZE])
{
    text[0] = '\0';
    return ms ? date_format_time((int64_t)(ms / 1000), text) : text;
}

static const char *service_of(const struct flow *f, char text[SERVICE_TEXT])
{
    const char *name = f->protocol == IPPROTO_TCP    ? "tcp"
                       : f->protocol == IPPROTO_UDP  ? "udp"
                       : f->protocol == IPPROTO_ICMP ? "icmp"
                                                     : NULL;

    if (name)
        (void)snprintf(text, SERVICE_TEXT, "%s/%u", name, f->port);
    else
        (void)snprintf(text, SERVICE_TEXT, "ip/%u", f->protocol);
    return text;
}

static const char *end_name(const struct rare_told *t, text_t name, const struct address *a,
                            char text[ADDRESS_TEXT_SIZE])
{
    return name ? told(t, name) : address_format(a, text);
}

static const char *program_of(const struct rare_told *t, const struct flow *f)
{
    if (f->direction != DIRECTION_OUT)
        return "";
    return told(t, f->script ? f->script : f->process);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- reasons ---- */

static void put_program(struct buf *b, const struct rare_told *t, const struct rare_line *line)
{
    const char *program = program_of(t, &line->flow);
    char here[DATE_TEXT_SIZE], ever[DATE_TEXT_SIZE];

    if (!program[0]) {
        buf_puts(b, "; its program was not told");
        return;
    }
    if (line->program_here_ms < t->since_ms)
        buf_printf(b, "; %s is known there since %s, with %u other destination%s", program,
                   time_of(line->program_here_ms, here), line->n_peers, plural(line->n_peers));
    else if (line->program_ms < t->since_ms)
        buf_printf(b, "; %s is new there, and known elsewhere since %s, on %u endpoint%s", program,
                   time_of(line->program_ms, ever), line->n_sources - 1,
                   plural(line->n_sources - 1));
    else
        buf_printf(b, "; %s is new everywhere, since %s", program, time_of(line->program_ms, ever));
}

static void put_why(struct buf *b, const struct rare_told *t, const struct rare_line *line)
{
    uint64_t days =
        t->oldest_ms && t->oldest_ms < t->since_ms ? (t->since_ms - t->oldest_ms) / DAY_MS : 0;
    char text[DATE_TEXT_SIZE], service[SERVICE_TEXT];

    switch (line->kind) {
    case RARE_NEW:
        buf_printf(b, "not seen in the %" PRIu64 " days before, when both ends were", days);
        break;
    case RARE_ONCE:
        if (line->before_ms)
            buf_printf(b, "one connection; seen before this time, first %s",
                       time_of(line->before_ms, text));
        else
            buf_puts(b, "one connection, never seen before");
        break;
    case RARE_PROGRAM:
        if (line->reasons == RARE_GROUP)
            buf_puts(b, "it never reached a group of this destination before");
        else
            buf_printf(b, "it never used %s%s before", service_of(&line->flow, service),
                       line->reasons & RARE_GROUP
                           ? ", and never reached a group of this destination"
                           : "");
        break;
    case RARE_SCAN:
        buf_printf(b,
                   "%u%s different attempts within %d minutes, %u destination%s, %u service%s, "
                   "%" PRIu64 " times denied; from %d on it is told",
                   line->n_tries, line->n_tries == RARE_SCAN_COUNTED ? " or more" : "",
                   RARE_SCAN_MS / 60000, line->n_destinations, plural(line->n_destinations),
                   line->n_services, plural(line->n_services), line->n_denied, RARE_SCAN_TRIES);
        return;
    case RARE_KINDS:
        return;
    }
    put_program(b, t, line);
}

/* ---- lines ---- */

static void put_line(struct buf *b, const struct rare_told *t, const struct rare_line *line)
{
    char from[ADDRESS_TEXT_SIZE], to[ADDRESS_TEXT_SIZE], first[DATE_TEXT_SIZE],
        last[DATE_TEXT_SIZE], service[SERVICE_TEXT];
    const struct flow *f = &line->flow;
    const char *program = program_of(t, f), *user = told(t, f->user), *rule = told(t, f->rule);

    buf_printf(b, "  %s -> ", end_name(t, f->from, &f->source, from));
    if (line->kind == RARE_SCAN)
        buf_puts(b, "many");
    else
        buf_printf(b, "%s %s", end_name(t, f->to, &f->destination, to), service_of(f, service));
    if (program[0])
        buf_printf(b, " %s", program);
    if (user[0])
        buf_printf(b, " as %s", user);
    if (line->kind != RARE_SCAN)
        buf_printf(b, "  x%" PRIu64, f->count);
    buf_printf(b, ", %s", time_of(f->first_ms, first));
    if (f->last_ms / 1000 != f->first_ms / 1000)
        buf_printf(b, " to %s", time_of(f->last_ms, last));
    buf_printf(b, "\n    %s by %s%s%s\n    ", flow_word_name(flow_word_of(f)),
               flow_is_others(f) ? "others" : layer_name((enum layer)f->layer), rule[0] ? " " : "",
               rule);
    put_why(b, t, line);
    buf_putc(b, '\n');
}

static void put_window(struct buf *b, const struct rare_told *t)
{
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE], oldest[DATE_TEXT_SIZE];

    buf_printf(b, "%s to %s: %" PRIu64 " connections; ", time_of(t->since_ms, since),
               time_of(t->until_ms, until), t->totals->connections);
    if (!t->oldest_ms)
        buf_puts(b, "the history is empty\n");
    else if (t->oldest_ms >= t->since_ms)
        buf_printf(b,
                   "the history begins at %s: nothing is known of before, so nothing can be told "
                   "to be new\n",
                   time_of(t->oldest_ms, oldest));
    else
        buf_printf(b, "before it the history reaches back to %s\n", time_of(t->oldest_ms, oldest));
    if (t->totals->n_unknown_ends)
        buf_printf(b,
                   "%" PRIu64 " new connections are not told: an end was not seen before this "
                   "time\n",
                   t->totals->n_unknown_ends);
    if (t->totals->n_over)
        buf_puts(b, "INCOMPLETE: too much was seen; something known may stand here as new. Take a "
                    "shorter time\n");
}

void rare_report_text(struct buf *b, const struct rare_told *t)
{
    size_t shown = 0;

    put_window(b, t);
    for (size_t i = 0; i < t->n; i++) {
        enum rare_kind kind = t->lines[i].kind;
        uint64_t all = t->totals->lines[kind];

        if (!i || kind != t->lines[i - 1].kind) {
            buf_printf(b, "%s: %" PRIu64 "\n", headings[kind], all);
            shown = 0;
        }
        if (shown++ < t->max)
            put_line(b, t, &t->lines[i]);
        else if (shown == all)
            buf_printf(b, "  and %" PRIu64 " more\n", all - t->max);
    }
    if (!t->n)
        buf_puts(b, "nothing stands out\n");
}

/* ---- JSON ---- */

static void put_numbers(struct buf *b, const struct rare_line *line)
{
    const struct flow *f = &line->flow;
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"count", f->count},
                   {"port", f->port},
                   {"peers", line->n_peers},
                   {"sources", line->n_sources},
                   {"tries", line->n_tries},
                   {"destinations", line->n_destinations},
                   {"services", line->n_services},
                   {"denied", line->n_denied}};

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buf_printf(b, ", \"%s\": %" PRIu64, numbers[i].key, numbers[i].value);
}

static void put_line_json(struct buf *b, const struct rare_told *t, const struct rare_line *line)
{
    char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], service[SERVICE_TEXT],
        first[DATE_TEXT_SIZE], last[DATE_TEXT_SIZE], before[DATE_TEXT_SIZE], ever[DATE_TEXT_SIZE],
        here[DATE_TEXT_SIZE];
    const struct flow *f = &line->flow;
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    bool is_scan = line->kind == RARE_SCAN;
    const struct {
        const char *key, *value;
    } texts[] = {
        {"kind", rare_kind_name(line->kind)},
        {"from", told(t, f->from)},
        {"from_address", address_format(&f->source, source)},
        {"to", is_scan ? "" : told(t, f->to)},
        {"to_address", is_scan ? "" : address_format(&f->destination, destination)},
        {"service", is_scan ? "" : service_of(f, service)},
        {"process", f->direction == DIRECTION_OUT ? told(t, f->process) : ""},
        {"script", f->direction == DIRECTION_OUT ? told(t, f->script) : ""},
        {"user", told(t, f->user)},
        {"reporter", told(t, f->reporter)},
        {"first", time_of(f->first_ms, first)},
        {"last", time_of(f->last_ms, last)},
        {"verdict", flow_word_name(flow_word_of(f))},
        {"layer", layer_name((enum layer)f->layer)},
        {"rule", told(t, f->rule)},
        {"before", time_of(line->before_ms, before)},
        {"program_since", time_of(line->program_ms, ever)},
        {"program_here_since", time_of(line->program_here_ms, here)},
    };

    put_why(&why, t, line);
    buf_putc(b, '{');
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_text(b, texts[i].key, texts[i].value);
        buf_puts(b, ", ");
    }
    json_text(b, "why", buf_str(&why));
    put_numbers(b, line);
    buf_putc(b, '}');
}

void rare_report_json(struct buf *b, const struct rare_told *t)
{
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE], oldest[DATE_TEXT_SIZE];
    uint64_t shown[RARE_KINDS] = {0};
    bool first = true;

    buf_printf(
        b,
        "{\"since\": \"%s\", \"until\": \"%s\", \"oldest\": \"%s\", \"connections\": %" PRIu64
        ", \"unknown_ends\": %" PRIu64 ", \"over\": %s, \"totals\": {",
        time_of(t->since_ms, since), time_of(t->until_ms, until), time_of(t->oldest_ms, oldest),
        t->totals->connections, t->totals->n_unknown_ends, t->totals->n_over ? "true" : "false");
    for (unsigned k = 0; k < RARE_KINDS; k++)
        if (t->kinds & 1u << k) {
            buf_printf(b, "%s\"%s\": %" PRIu64, first ? "" : ", ",
                       rare_kind_name((enum rare_kind)k), t->totals->lines[k]);
            first = false;
        }
    buf_puts(b, "}, \"lines\": [");
    first = true;
    for (size_t i = 0; i < t->n; i++) {
        if (shown[t->lines[i].kind]++ >= t->max)
            continue;
        buf_puts(b, first ? "\n" : ",\n");
        put_line_json(b, t, &t->lines[i]);
        first = false;
    }
    buf_puts(b, "]}");
}
