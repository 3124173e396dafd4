/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and objects; see replay_report.h. */
#include "text/replay_report.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "core/verdict.h"
#include "text/json.h"

static const char *const headings[REPLAY_KINDS] = {
    "would be blocked", "would only be reported as would-deny", "would be opened"};

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static const char *told(const struct replay_told *t, text_t number)
{
    return number ? t->text(t->keeper, number) : "";
}

static const char *end_name(const struct replay_told *t, text_t name, const struct address *a,
                            char text[ADDRESS_TEXT_SIZE])
{
    return name ? told(t, name) : address_format(a, text);
}

static const char *owner_in(const struct policy *p, const char *rule)
{
    const struct rule *r = rule[0] ? policy_rule(p, rule) : NULL;

    return r && r->owner ? r->owner : "";
}

static const char *owner_of(const struct replay_told *t, const struct replay_change *c)
{
    return c->kind == REPLAY_OPENED ? owner_in(t->candidate, c->rule)
                                    : owner_in(t->current, told(t, c->flow.rule));
}

static void put_service(struct buf *b, const struct flow *f)
{
    static const struct {
        uint8_t protocol;
        const char *name;
    } names[] = {{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}, {IPPROTO_ICMP, "icmp"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].protocol == f->protocol) {
            buf_printf(b, "%s/%u", names[i].name, f->port);
            return;
        }
    buf_printf(b, "ip/%u", f->protocol);
}

/* ---- by owner ---- */

struct share { /* What of the changes is one owner's. */
    const char *owner;
    uint64_t changes[REPLAY_KINDS], counts[REPLAY_KINDS], last_ms;
};

static int by_owner(const void *a, const void *b)
{
    return strcmp(((const struct share *)a)->owner, ((const struct share *)b)->owner);
}

/* One for each change, sorted, then those of one owner put together. */
static size_t shares_of(const struct replay_told *t, struct share **ret_shares)
{
    const struct replay_change *all;
    size_t n = replay_changes(t->replay, &all), kept = 0;
    struct share *shares = xcalloc(n, sizeof(*shares));

    for (size_t i = 0; i < n; i++) {
        shares[i].owner = owner_of(t, &all[i]);
        shares[i].changes[all[i].kind] = 1;
        shares[i].counts[all[i].kind] = all[i].flow.count;
        shares[i].last_ms = all[i].flow.last_ms;
    }
    if (n)
        qsort(shares, n, sizeof(*shares), by_owner);
    for (size_t i = 0; i < n; i++) {
        struct share *last = &shares[kept - !!kept];

        if (!kept || strcmp(last->owner, shares[i].owner) != 0) {
            shares[kept++] = shares[i];
            continue;
        }
        for (size_t k = 0; k < REPLAY_KINDS; k++) {
            last->changes[k] += shares[i].changes[k];
            last->counts[k] += shares[i].counts[k];
        }
        if (shares[i].last_ms > last->last_ms)
            last->last_ms = shares[i].last_ms;
    }
    *ret_shares = shares;
    return kept;
}

/* ---- lines ---- */

static void put_decision(struct buf *b, enum verdict verdict, enum layer layer, const char *rule,
                         const char *owner)
{
    buf_printf(b, "%s by %s", verdict_name(verdict), layer_name(layer));
    if (rule[0])
        buf_printf(b, " %s", rule);
    if (owner[0])
        buf_printf(b, " (%s)", owner);
}

static void put_reasons(struct buf *b, const struct replay_change *c, bool json)
{
    bool first = true;

    for (unsigned bit = 1; bit & (REPLAY_NEEDED | REPLAY_UNWANTED); bit <<= 1) {
        CLEANUP(buf_done) struct buf words = BUF_INIT;

        if (!(c->reasons & bit))
            continue;
        replay_reason_text(c, (enum replay_reason)bit, &words);
        buf_puts(b, first ? "" : ", ");
        if (json)
            json_quote(b, buf_str(&words));
        else
            buf_puts(b, buf_str(&words));
        first = false;
    }
}

static void put_change(struct buf *b, const struct replay_told *t, const struct replay_change *c)
{
    char from[ADDRESS_TEXT_SIZE], to[ADDRESS_TEXT_SIZE], last[DATE_TEXT_SIZE];
    const struct flow *f = &c->flow;
    const char *process = told(t, f->process), *script = told(t, f->script),
               *user = told(t, f->user), *rule = told(t, f->rule);

    buf_printf(b, "    %s -> %s ", end_name(t, f->from, &f->source, from),
               end_name(t, f->to, &f->destination, to));
    put_service(b, f);
    if (process[0])
        buf_printf(b, " %s%s", f->direction == DIRECTION_IN ? "served by " : "", process);
    if (script[0])
        buf_printf(b, " %s", script);
    if (user[0])
        buf_printf(b, " as %s", user);
    buf_printf(b, "  x%" PRIu64 ", last %s\n      was ", f->count,
               date_format_time((int64_t)(f->last_ms / 1000), last));
    if (c->is_blind)
        buf_printf(b, "%s by %s", flow_word_name(flow_word_of(f)), told(t, f->reporter));
    else
        put_decision(b, (enum verdict)f->verdict, (enum layer)f->layer, rule,
                     owner_in(t->current, rule));
    buf_puts(b, "; now ");
    put_decision(b, c->verdict, c->layer, c->rule, owner_in(t->candidate, c->rule));
    if (c->reasons) {
        buf_puts(b, "\n      ");
        put_reasons(b, c, false);
    }
    if (c->is_blind)
        buf_puts(b, "\n      told by others than enforcers: judged without a program");
    buf_putc(b, '\n');
}

static void put_owners(struct buf *b, const struct replay_told *t)
{
    CLEANUP(free_voidp) struct share *shares = NULL;
    size_t n = shares_of(t, &shares);
    char last[DATE_TEXT_SIZE];

    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "  %s:", shares[i].owner[0] ? shares[i].owner : "(nobody's rule)");
        for (size_t k = 0; k < REPLAY_KINDS; k++)
            if (shares[i].changes[k])
                buf_printf(b, " %" PRIu64 " %s (x%" PRIu64 "),", shares[i].changes[k],
                           replay_kind_name((enum replay_kind)k), shares[i].counts[k]);
        buf_printf(b, " last %s\n", date_format_time((int64_t)(shares[i].last_ms / 1000), last));
    }
}

static void put_totals(struct buf *b, const struct replay_told *t)
{
    const struct replay_totals *n = replay_totals(t->replay);
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE];

    buf_printf(b, "%" PRIu64 " record%s of %s to %s, %" PRIu64 " different connection%s\n",
               n->records, plural(n->records), date_format_time(t->since_s, since),
               date_format_time(t->until_s, until), n->connections, plural(n->connections));
    if (n->unjudged)
        buf_printf(b, "not judged: %" PRIu64 ", neither end has an enforcer in the inventory\n",
                   n->unjudged);
    if (n->n_over)
        buf_printf(b,
                   "INCOMPLETE: %" PRIu64 " records over the limit of %d connections; take a "
                   "shorter window\n",
                   n->n_over, REPLAY_MAX);
}

void replay_report_text(struct buf *b, const struct replay_told *t)
{
    const struct replay_change *all;
    size_t n = replay_changes(t->replay, &all);

    put_totals(b, t);
    if (n == 0) {
        buf_puts(b, "nothing that was recorded would change\n");
        return;
    }
    put_owners(b, t);
    for (size_t i = 0; i < n && i < t->max; i++) {
        bool new_kind = i == 0 || all[i].kind != all[i - 1].kind;

        if (new_kind)
            buf_printf(b, "%s: %" PRIu64 " connection%s, %" PRIu64 " time%s\n",
                       headings[all[i].kind], replay_totals(t->replay)->changes[all[i].kind],
                       plural(replay_totals(t->replay)->changes[all[i].kind]),
                       replay_totals(t->replay)->counts[all[i].kind],
                       plural(replay_totals(t->replay)->counts[all[i].kind]));
        if (new_kind || all[i].likely != all[i - 1].likely)
            buf_printf(b, "  %s\n", replay_likely_name(all[i].likely));
        put_change(b, t, &all[i]);
    }
    if (n > t->max)
        buf_printf(b, "and %zu more\n", n - t->max);
}

/* ---- JSON ---- */

static void put_decision_json(struct buf *b, const char *key, const char *verdict,
                              const char *layer, const char *rule, const char *owner)
{
    buf_printf(b, ", \"%s\": {\"verdict\": \"%s\", \"layer\": \"%s\", ", key, verdict, layer);
    json_text(b, "rule", rule);
    buf_puts(b, ", ");
    json_text(b, "owner", owner);
    buf_putc(b, '}');
}

static void put_change_json(struct buf *b, const struct replay_told *t,
                            const struct replay_change *c)
{
    char from[ADDRESS_TEXT_SIZE], to[ADDRESS_TEXT_SIZE], first[DATE_TEXT_SIZE],
        last[DATE_TEXT_SIZE];
    const struct flow *f = &c->flow;
    const struct {
        const char *key, *value;
    } texts[] = {
        {"kind", replay_kind_name(c->kind)},
        {"likely", replay_likely_name(c->likely)},
        {"from", end_name(t, f->from, &f->source, from)},
        {"to", end_name(t, f->to, &f->destination, to)},
        {"direction", f->direction == DIRECTION_OUT ? "out" : "in"},
        {"process", told(t, f->process)},
        {"script", told(t, f->script)},
        {"user", told(t, f->user)},
        {"first", date_format_time((int64_t)(f->first_ms / 1000), first)},
        {"last", date_format_time((int64_t)(f->last_ms / 1000), last)},
    };

    buf_putc(b, '{');
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        buf_puts(b, i ? ", " : "");
        json_text(b, texts[i].key, texts[i].value);
    }
    buf_puts(b, ", \"service\": \"");
    put_service(b, f);
    buf_printf(b, "\", \"count\": %" PRIu64 ", \"days\": %u, \"blind\": %s, \"reasons\": [",
               f->count, c->n_days, c->is_blind ? "true" : "false");
    put_reasons(b, c, true);
    buf_putc(b, ']');
    put_decision_json(b, "was", flow_word_name(flow_word_of(f)),
                      c->is_blind ? "" : layer_name((enum layer)f->layer), told(t, f->rule),
                      owner_in(t->current, told(t, f->rule)));
    put_decision_json(b, "now", verdict_name(c->verdict), layer_name(c->layer), c->rule,
                      owner_in(t->candidate, c->rule));
    buf_putc(b, '}');
}

static void put_kinds_json(struct buf *b, const uint64_t changes[], const uint64_t counts[])
{
    for (size_t k = 0; k < REPLAY_KINDS; k++)
        buf_printf(b, ", \"%s\": {\"connections\": %" PRIu64 ", \"times\": %" PRIu64 "}",
                   replay_kind_name((enum replay_kind)k), changes[k], counts[k]);
}

void replay_report_json(struct buf *b, const struct replay_told *t)
{
    const struct replay_totals *totals = replay_totals(t->replay);
    CLEANUP(free_voidp) struct share *shares = NULL;
    size_t n_shares = shares_of(t, &shares), n;
    char since[DATE_TEXT_SIZE], until[DATE_TEXT_SIZE];
    const struct replay_change *all;

    n = replay_changes(t->replay, &all);
    buf_printf(b,
               "{\"since\": \"%s\", \"until\": \"%s\", \"records\": %" PRIu64
               ", \"connections\": %" PRIu64 ", \"unjudged\": %" PRIu64 ", \"incomplete\": %s",
               date_format_time(t->since_s, since), date_format_time(t->until_s, until),
               totals->records, totals->connections, totals->unjudged,
               totals->n_over ? "true" : "false");
    put_kinds_json(b, totals->changes, totals->counts);
    buf_puts(b, ", \"owners\": [");
    for (size_t i = 0; i < n_shares; i++) {
        buf_puts(b, i ? ", {" : "{");
        json_text(b, "owner", shares[i].owner);
        put_kinds_json(b, shares[i].changes, shares[i].counts);
        buf_putc(b, '}');
    }
    buf_puts(b, "], \"changes\": [");
    for (size_t i = 0; i < n && i < t->max; i++) {
        buf_puts(b, i ? ",\n" : "\n");
        put_change_json(b, t, &all[i]);
    }
    buf_printf(b, "], \"more\": %zu}", n > t->max ? n - t->max : 0);
}
