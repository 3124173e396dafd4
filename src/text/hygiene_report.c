/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, objects, and rules in the policy's syntax; see hygiene_report.h. */
#include "text/hygiene_report.h"

#include <inttypes.h>

#include "base/date.h"
#include "text/format.h"
#include "text/json.h"
#include "text/port.h"

enum { DAY_MS = 86400000, PORT_TEXT = 40 };

static const char *const field_names[] = {
    [HYGIENE_FROM] = "from",           [HYGIENE_TO] = "to",
    [HYGIENE_SERVICE] = "service",     [HYGIENE_PROCESS] = "process",
    [HYGIENE_SERVED_BY] = "served-by", [HYGIENE_USER] = "user"};

static const char *day_of(uint64_t ms, char text[DATE_TEXT_SIZE])
{
    return date_format((int64_t)(ms / 1000), text);
}

static const char *time_of(uint64_t ms, char text[DATE_TEXT_SIZE])
{
    return ms ? date_format_time((int64_t)(ms / 1000), text) : "";
}

/* ---- a rule in the policy's syntax ---- */

struct listing { /* "a" or "[a, b]" under way. */
    struct buf *b;
    bool any, many;
};

static struct listing begin_list(struct buf *b, const char *key, size_t n)
{
    buf_printf(b, ", %s: %s", key, n == 1 ? "" : "[");
    return (struct listing){.b = b, .many = n != 1};
}

static void put_value(struct listing *l, const char *value)
{
    buf_puts(l->b, l->any ? ", " : "");
    json_quote(l->b, value);
    l->any = true;
}

static void end_list(struct listing *l)
{
    buf_puts(l->b, l->many ? "]" : "");
}

static void put_selector(struct buf *b, const struct policy *p, const char *key,
                         const struct selector *s)
{
    struct listing l;

    if (!s->given)
        return;
    if (s->any) {
        buf_printf(b, ", %s: any", key);
        return;
    }
    l = begin_list(b, key, s->n_groups);
    for (size_t i = 0; i < s->n_groups; i++)
        put_value(&l, p->groups[s->groups[i]].name);
    end_list(&l);
}

static void put_programs(struct buf *b, const char *key, const char *const paths[], size_t n)
{
    struct listing l;

    if (!n)
        return;
    l = begin_list(b, key, n);
    for (size_t i = 0; i < n; i++)
        put_value(&l, paths[i]);
    end_list(&l);
}

static void put_users(struct buf *b, const struct hygiene_narrow *x)
{
    struct listing l;

    if (!x->n_users)
        return;
    l = begin_list(b, "user", x->n_users);
    for (size_t i = 0; i < x->n_users; i++) {
        CLEANUP(buf_done) struct buf name = BUF_INIT;

        buf_printf(&name, "%s%s", x->users[i].is_group ? "@" : "", x->users[i].name);
        put_value(&l, buf_str(&name));
    }
    end_list(&l);
}

static void put_services(struct buf *b, const struct policy *p, const struct hygiene_narrow *x)
{
    char port[PORT_TEXT];
    struct listing l;

    if (!x->n_services && !x->n_ports)
        return;
    l = begin_list(b, "service", x->n_services + x->n_ports);
    for (size_t i = 0; i < x->n_services; i++)
        put_value(&l, p->services[x->services[i]].name);
    for (size_t i = 0; i < x->n_ports; i++) {
        port_format(&x->ports[i], port, sizeof(port));
        put_value(&l, port);
    }
    end_list(&l);
}

static void put_text(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ", %s: ", key);
    json_quote(b, value);
}

static void put_reasons(struct buf *b, const struct rule *r)
{
    char day[DATE_TEXT_SIZE];

    put_text(b, "why", r->why);
    put_text(b, "owner", r->owner);
    if (r->expires_s != MODEL_NEVER_EXPIRES) /* The last day, as the policy says it. */
        buf_printf(b, ", expires: %s", date_format(r->expires_s - DATE_DAY_S, day));
    put_text(b, "accept-weaker", r->accept_weaker);
    if (r->learned) {
        buf_printf(b, ", learned: {from: %s", date_format(r->learned->from_s, day));
        buf_printf(b, ", to: %s, flows: %" PRIu64, date_format(r->learned->to_s, day),
                   r->learned->flows);
        put_text(b, "signed", r->learned->signed_by);
        buf_putc(b, '}');
    }
}

void hygiene_write_rule(struct buf *b, const struct policy *p, const struct rule *r,
                        const struct hygiene_narrow *x)
{
    static const char head[] = "suimitsu: 1\n";
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf plain = BUF_INIT, formatted = BUF_INIT;
    struct source source = {.name = "rule.yaml"};
    const char *text, *begin;

    buf_printf(&plain, "%sallow:\n  - {id: ", head);
    json_quote(&plain, r->id);
    put_selector(&plain, p, "from", &x->from);
    put_programs(&plain, "process", x->processes, x->n_processes);
    put_users(&plain, x);
    put_selector(&plain, p, "to", &x->to);
    put_programs(&plain, "served-by", x->served_by, x->n_served_by);
    put_services(&plain, p, x);
    put_reasons(&plain, r);
    buf_puts(&plain, "}\n");
    source.data = buf_str(&plain);
    source.size = plain.size;
    text = format_source(&source, d, &formatted) == 0 ? buf_str(&formatted) : buf_str(&plain);
    begin = strstr(text, "allow:");
    buf_puts(b, begin ? begin : text);
}

/* ---- reasons ---- */

void hygiene_write_status(struct buf *b, const struct hygiene_evidence *e,
                          const struct hygiene_rule *r)
{
    uint64_t days = (e->until_ms - e->since_ms) / DAY_MS;
    char text[DATE_TEXT_SIZE];

    switch (r->status) {
    case HYGIENE_USED:
        buf_puts(b, "used");
        return;
    case HYGIENE_UNUSED:
        if (r->past.last_ms)
            buf_printf(b, "no hit for %" PRIu64 " days", days);
        else
            buf_printf(b, "never, in the %" PRIu64 " days that the history holds",
                       (e->until_ms - e->oldest_ms) / DAY_MS);
        return;
    case HYGIENE_GUARD:
        buf_puts(b, "a guard-rail: no hit is what it is for");
        return;
    case HYGIENE_EXPIRED:
        buf_puts(b, "it has expired and matches nothing");
        return;
    case HYGIENE_YOUNG:
        if (r->past.since_s > 0)
            buf_printf(b, "no hit, but it stands as it does only since %s",
                       date_format(r->past.since_s, text));
        else
            buf_puts(b, "no hit, but since when it stands as it does is not known");
        return;
    case HYGIENE_SHORT:
        buf_printf(b, "no hit, but the history reaches back to %s",
                   e->oldest_ms ? day_of(e->oldest_ms, text) : "nothing");
        return;
    case HYGIENE_GAPS:
        buf_puts(b, "no hit, but the evidence is incomplete: records of its ends were lost");
        return;
    case HYGIENE_UNSEEN:
        buf_puts(b, "no hit, but some of its connections have no agent at either end");
        return;
    case HYGIENE_STATES:
        return;
    }
}

/* ---- lines ---- */

static void put_pieces(struct buf *b, const struct hygiene_told *t, const struct hygiene_rule *r)
{
    static const char *const bars[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
    size_t n = hygiene_n_buckets(t->hygiene);
    uint64_t most = 0;

    for (size_t i = 0; i < n; i++)
        most = r->buckets[i] > most ? r->buckets[i] : most;
    if (!most || n < 2)
        return;
    buf_puts(b, "    ");
    for (size_t i = 0; i < n; i++)
        buf_puts(b, r->buckets[i] ? bars[(r->buckets[i] * (ARRAY_SIZE(bars) - 1) + most - 1) / most]
                                  : bars[0]);
    buf_printf(b, "  at most %" PRIu64 " in %.3g day(s)%s%s\n", most,
               (double)hygiene_bucket_ms(t->hygiene) / DAY_MS, r->trend ? ", " : "",
               hygiene_trend_name(r->trend));
}

static void put_never(struct buf *b, const struct hygiene_told *t, const struct hygiene_item *item,
                      bool json)
{
    for (size_t i = 0; i < item->n_never; i++) {
        char port[PORT_TEXT];
        const char *name = port;

        if (item->field == HYGIENE_SERVICE)
            port_format(&item->never_ports[i], port, sizeof(port));
        else
            name = t->world->inventory->endpoints[item->never[i]].name;
        buf_puts(b, i ? ", " : "");
        if (json)
            json_quote(b, name);
        else
            buf_puts(b, name);
    }
}

static bool is_wider(const struct hygiene_rule *r, const struct hygiene_item *item)
{
    if (item->field >= HYGIENE_PROCESS)
        return !item->n_seen && !r->is_blind[item->field];
    return item->n ? item->n_seen < item->n : item->name[0] && !item->n_seen;
}

static void put_item(struct buf *b, const struct hygiene_told *t, const struct hygiene_item *item)
{
    buf_printf(b, "      %s %s: ", field_names[item->field], item->name);
    if (item->field >= HYGIENE_PROCESS || !item->n) {
        buf_puts(b, "never seen\n");
        return;
    }
    buf_printf(b, "%" PRIu64 " of %" PRIu64 " seen", item->n_seen, item->n);
    if (item->n_never) {
        buf_puts(b, ", not ");
        put_never(b, t, item, false);
        if (item->n - item->n_seen > item->n_never)
            buf_printf(b, " and %" PRIu64 " more", item->n - item->n_seen - item->n_never);
    }
    buf_putc(b, '\n');
}

static void put_indented(struct buf *b, const char *text, const char *indent)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        buf_puts(b, indent);
        buf_add(b, line, len);
        buf_putc(b, '\n');
        line += len + (line[len] == '\n');
    }
}

static void put_width(struct buf *b, const struct hygiene_told *t, const struct hygiene_rule *r)
{
    CLEANUP(buf_done) struct buf rule = BUF_INIT;
    bool first = true;

    for (size_t i = 0; i < r->n_items; i++) {
        if (!is_wider(r, &r->items[i]))
            continue;
        buf_puts(b, first ? "    wider than used:\n" : "");
        put_item(b, t, &r->items[i]);
        first = false;
    }
    if (!r->narrow)
        return;
    hygiene_write_rule(&rule, t->world->policy, r->rule, r->narrow);
    buf_printf(b,
               "    narrower; of the recorded connections it blocks none of the %" PRIu64
               " that the rule allows:\n",
               r->carried);
    put_indented(b, buf_str(&rule), "      ");
}

static void put_rule(struct buf *b, const struct hygiene_told *t, const struct hygiene_rule *r)
{
    char text[DATE_TEXT_SIZE];

    buf_printf(b, "%s (%s): ", r->rule->id, r->rule->owner ? r->rule->owner : "");
    hygiene_write_status(b, t->evidence, r);
    if (r->past.last_ms)
        buf_printf(b, ", last %s", time_of(r->past.last_ms, text));
    if (r->hits)
        buf_printf(b, ", x%" PRIu64, r->hits);
    if (r->past.since_s > 0 && r->status != HYGIENE_YOUNG)
        buf_printf(b, ", stands since %s", date_format(r->past.since_s, text));
    buf_putc(b, '\n');
    put_pieces(b, t, r);
    put_width(b, t, r);
}

static bool is_asked(const struct hygiene_told *t, const struct hygiene_rule *r)
{
    return !t->rule || strcmp(t->rule, r->rule->id) == 0;
}

void hygiene_report_text(struct buf *b, const struct hygiene_told *t)
{
    const struct hygiene_evidence *e = t->evidence;
    const struct hygiene_rule *rules = hygiene_rules(t->hygiene);
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE], oldest[DATE_TEXT_SIZE];

    buf_printf(b, "%s to %s; the history reaches back to %s\n", time_of(e->since_ms, since),
               time_of(e->until_ms, until),
               e->oldest_ms ? time_of(e->oldest_ms, oldest) : "nothing: it is empty");
    if (hygiene_is_over(t->hygiene))
        buf_puts(b, "INCOMPLETE: too much was seen to say what is wider than used; take a shorter "
                    "time\n");
    for (size_t i = 0; i < t->world->policy->n_rules; i++)
        if (is_asked(t, &rules[i]))
            put_rule(b, t, &rules[i]);
}

/* ---- JSON ---- */

static void put_item_json(struct buf *b, const struct hygiene_told *t, const struct hygiene_rule *r,
                          const struct hygiene_item *item)
{
    buf_printf(b, "{\"field\": \"%s\", ", field_names[item->field]);
    json_text(b, "name", item->name);
    buf_printf(b,
               ", \"n\": %" PRIu64 ", \"seen\": %" PRIu64 ", \"count\": %" PRIu64
               ", \"told\": %s, \"never\": [",
               item->n, item->n_seen, item->count, r->is_blind[item->field] ? "false" : "true");
    put_never(b, t, item, true);
    buf_puts(b, "]}");
}

static void put_rule_json(struct buf *b, const struct hygiene_told *t, const struct hygiene_rule *r)
{
    CLEANUP(buf_done) struct buf status = BUF_INIT, rule = BUF_INIT;
    char since[DATE_TEXT_SIZE] = "", last[DATE_TEXT_SIZE];
    size_t n = hygiene_n_buckets(t->hygiene);
    bool wider = false;

    if (r->past.since_s > 0)
        (void)date_format_time(r->past.since_s, since);
    hygiene_write_status(&status, t->evidence, r);
    if (r->narrow)
        hygiene_write_rule(&rule, t->world->policy, r->rule, r->narrow);
    buf_puts(b, "{");
    json_text(b, "rule", r->rule->id);
    buf_printf(b, ", \"layer\": \"%s\", ", layer_name(r->rule->layer));
    json_text(b, "owner", r->rule->owner ? r->rule->owner : "");
    buf_printf(b, ", \"status\": \"%s\", ", hygiene_status_name(r->status));
    json_text(b, "why", buf_str(&status));
    buf_printf(b,
               ", \"stands_since\": \"%s\", \"last\": \"%s\", \"hits\": %" PRIu64
               ", \"carried\": %" PRIu64 ", \"trend\": \"%s\", \"pieces\": [",
               since, time_of(r->past.last_ms, last), r->hits, r->carried,
               hygiene_trend_name(r->trend));
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%" PRIu64, i ? ", " : "", r->buckets[i]);
    buf_puts(b, "], \"fields\": [");
    for (size_t i = 0; i < r->n_items; i++) {
        buf_puts(b, i ? ", " : "");
        put_item_json(b, t, r, &r->items[i]);
        wider = wider || is_wider(r, &r->items[i]);
    }
    buf_printf(b, "], \"wider\": %s, ", wider || r->narrow ? "true" : "false");
    json_text(b, "proposal", buf_str(&rule));
    buf_puts(b, "}");
}

void hygiene_report_json(struct buf *b, const struct hygiene_told *t)
{
    const struct hygiene_evidence *e = t->evidence;
    const struct hygiene_rule *rules = hygiene_rules(t->hygiene);
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE], oldest[DATE_TEXT_SIZE];
    bool first = true;

    buf_printf(b,
               "{\"since\": \"%s\", \"until\": \"%s\", \"oldest\": \"%s\", \"piece_s\": %" PRIu64
               ", \"over\": %s, \"rules\": [",
               time_of(e->since_ms, since), time_of(e->until_ms, until),
               time_of(e->oldest_ms, oldest), hygiene_bucket_ms(t->hygiene) / 1000,
               hygiene_is_over(t->hygiene) ? "true" : "false");
    for (size_t i = 0; i < t->world->policy->n_rules; i++) {
        if (!is_asked(t, &rules[i]))
            continue;
        buf_puts(b, first ? "\n" : ",\n");
        put_rule_json(b, t, &rules[i]);
        first = false;
    }
    buf_puts(b, "]}");
}
