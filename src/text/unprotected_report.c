/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and objects; see unprotected_report.h. */
#include "text/unprotected_report.h"

#include <errno.h>
#include <inttypes.h>

#include "text/json.h"

enum { ROWS_SHOWN = 20, ENDS_COLUMN = 36 };

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

int unprotected_reasons_parse(const char *s, unsigned *ret_reasons)
{
    unsigned found = 0;

    while (true) {
        size_t len = strcspn(s, ",");
        enum unprotected_reason i = 0;

        while (i < UNPROTECTED_REASONS && (strlen(unprotected_reason_name(i)) != len ||
                                           strncmp(unprotected_reason_name(i), s, len) != 0))
            i++;
        if (i == UNPROTECTED_REASONS)
            return -EINVAL;
        found |= 1u << i;
        if (!s[len])
            break;
        s += len + 1;
    }
    *ret_reasons = found;
    return 0;
}

/* ---- all ---- */

static const char *example_name(const struct endpoint *e)
{
    return e ? e->name : "an address outside";
}

static bool is_of_network(const struct unprotected_row *r)
{
    return r->reason == UNPROTECTED_PLAIN_SWITCH || r->reason == UNPROTECTED_GUESSED_IDENTITY;
}

static void put_row(struct buf *b, const struct unprotected_row *r)
{
    CLEANUP(buf_done) struct buf ends = BUF_INIT;

    if (is_of_network(r))
        buf_printf(&ends, "in %s", r->from);
    else
        buf_printf(&ends, "%s -> %s", r->from, r->to);
    buf_printf(b, "  %-*s %6" PRIu64 " pair%-1s  such as %s to %s\n", ENDS_COLUMN, buf_str(&ends),
               r->n_pairs, plural(r->n_pairs), example_name(r->from_example),
               example_name(r->to_example));
}

static const char *heading(enum unprotected_reason reason)
{
    static const char *const texts[] = {
        "no enforcer at either end: what the policy denies passes today",
        "agent only: passes when the source is owned, since root inside switches its agent off",
        "plain switch: neighbours in one /24 or /64, taken for one segment, with nothing between",
        "guessed identity: neighbours whom the policy tells apart by addresses that nobody binds",
    };

    return texts[reason];
}

uint64_t unprotected_report_text(struct buf *b, const struct unprotected *u, unsigned reasons)
{
    uint64_t pairs = 0;

    for (size_t i = 0, at = 0; i < UNPROTECTED_REASONS; at += u->sums[i++].n_told) {
        const struct unprotected_sum *sum = &u->sums[i];
        size_t shown = sum->n_told < ROWS_SHOWN ? sum->n_told : ROWS_SHOWN;

        if (!(reasons & (1u << i)) || !sum->n_pairs)
            continue;
        pairs += sum->n_pairs;
        buf_printf(b, "%s\n", heading((enum unprotected_reason)i));
        for (size_t k = 0; k < shown; k++)
            put_row(b, &u->rows[at + k]);
        if (sum->n_rows > shown)
            buf_printf(b, "  and %zu more (-o json has up to %d)\n", sum->n_rows - shown,
                       UNPROTECTED_MAX_ROWS);
        buf_printf(b, "  closed by %s\n\n",
                   unprotected_reason_closed_by((enum unprotected_reason)i));
    }
    if (!pairs)
        buf_puts(b, "nothing is unprotected by these reasons\n");
    buf_printf(b, "%u endpoint%s: %u without any enforcer, %u with nothing but what runs inside\n",
               u->n_endpoints, plural(u->n_endpoints), u->n_bare, u->n_agent_only);
    return pairs;
}

static void put_name_or_null(struct buf *b, const struct endpoint *e)
{
    if (e)
        json_quote(b, e->name);
    else
        buf_puts(b, "null");
}

static void put_row_json(struct buf *b, const struct unprotected_row *r)
{
    if (is_of_network(r)) {
        buf_puts(b, "{\"network\": ");
        json_quote(b, r->from);
    } else {
        buf_puts(b, "{\"from\": ");
        json_quote(b, r->from);
        buf_puts(b, ", \"to\": ");
        json_quote(b, r->to);
    }
    buf_printf(b,
               ", \"sources\": %u, \"destinations\": %u, \"pairs\": %" PRIu64
               ", \"example\": {\"from\": ",
               r->n_from, r->n_to, r->n_pairs);
    put_name_or_null(b, r->from_example);
    buf_puts(b, ", \"to\": ");
    put_name_or_null(b, r->to_example);
    buf_puts(b, "}}");
}

uint64_t unprotected_report_json(struct buf *b, const struct unprotected *u, unsigned reasons)
{
    uint64_t pairs = 0;
    bool first = true;

    buf_printf(b,
               "{\"endpoints\": %u, \"without_enforcer\": %u, \"agent_only\": %u, \"reasons\": [",
               u->n_endpoints, u->n_bare, u->n_agent_only);
    for (size_t i = 0, at = 0; i < UNPROTECTED_REASONS; at += u->sums[i++].n_told) {
        const struct unprotected_sum *sum = &u->sums[i];

        if (!(reasons & (1u << i)))
            continue;
        pairs += sum->n_pairs;
        buf_printf(
            b, "%s{\"reason\": \"%s\", \"pairs\": %" PRIu64 ", \"closed_by\": ", first ? "" : ", ",
            unprotected_reason_name((enum unprotected_reason)i), sum->n_pairs);
        json_quote(b, unprotected_reason_closed_by((enum unprotected_reason)i));
        buf_printf(b, ", \"left_out\": %zu, \"rows\": [", sum->n_rows - sum->n_told);
        for (size_t k = 0; k < sum->n_told; k++) {
            buf_puts(b, k ? ", " : "");
            put_row_json(b, &u->rows[at + k]);
        }
        buf_puts(b, "]}");
        first = false;
    }
    buf_puts(b, "]}");
    return pairs;
}

/* ---- one endpoint ---- */

static const struct {
    enum enforcer bit;
    const char *name;
} enforcers[] = {{ENFORCER_HOST, "host"},
                 {ENFORCER_EDGE, "edge"},
                 {ENFORCER_NFT, "nft"},
                 {ENFORCER_SWITCH, "switch"}};

static void put_enforcers(struct buf *b, uint8_t set, const char *join, const char *none)
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(enforcers); i++)
        if (set & enforcers[i].bit)
            buf_printf(b, "%s%s", n++ ? join : "", enforcers[i].name);
    if (!n)
        buf_puts(b, none);
}

static void put_groups(struct buf *b, const struct world *w, const struct end *e)
{
    size_t n = 0;

    for (uint32_t g = 0; g < w->policy->n_groups; g++)
        if (group_set_has(&e->groups, g))
            buf_printf(b, "%s%s", n++ ? ", " : "", w->policy->groups[g].name);
    if (!n)
        buf_puts(b, "none");
}

static void put_open(struct buf *b, const struct world *w, const struct unprotected_owned *o)
{
    buf_printf(b, "    %u endpoint%s with an enforcer of %s own: judged there\n", o->n_held,
               plural(o->n_held), o->n_held == 1 ? "its" : "their");
    if (o->n_open) {
        buf_printf(b, "    %u endpoint%s without: open, though the policy denies it: ", o->n_open,
                   plural(o->n_open));
        for (size_t i = 0; i < o->n_told; i++)
            buf_printf(b, "%s%s", i ? ", " : "", w->inventory->endpoints[o->open[i]].name);
        buf_printf(b, "%s\n", o->n_open > o->n_told ? ", ..." : "");
        buf_printf(b, "      %u of them beside it, in one /24 or /64\n", o->n_beside);
    }
    if (o->outside_is_open)
        buf_puts(b, "    what is outside: open, though the policy denies it\n");
    if (o->n_open || o->outside_is_open)
        buf_puts(b, "    closed by an edge or an enforcing switch before it\n");
}

/* Where the edge is that stands before it, and what passes there without a program. */
static void put_place(struct buf *b, const struct edge_place *at)
{
    if (!at || !at->agent.name || !at->port.name)
        return;
    buf_printf(b, "\n  edge       port %s of %s", at->port.name, at->agent.name);
    if (at->pair)
        buf_printf(b, ", in line with %s", at->pair);
    buf_puts(b, at->open_before ? "; fail-open: without a program everything passes"
                                : "; fail-closed: without a program nothing passes");
}

static void put_place_json(struct buf *b, const struct edge_place *at)
{
    if (!at || !at->agent.name || !at->port.name)
        return;
    buf_puts(b, ", \"edge\": {\"agent\": ");
    json_quote(b, at->agent.name);
    buf_puts(b, ", \"port\": ");
    json_quote(b, at->port.name);
    if (at->pair) {
        buf_puts(b, ", \"pair\": ");
        json_quote(b, at->pair);
    }
    buf_printf(b, ", \"fail\": \"%s\"}", at->open_before ? "open" : "closed");
}

void unprotected_report_owned_text(struct buf *b, const struct world *w, uint32_t endpoint)
{
    const struct endpoint *e = &w->inventory->endpoints[endpoint];
    const struct end *end = &w->ends[endpoint];
    struct unprotected_owned o = unprotected_owned(w, endpoint);

    buf_printf(b, "%s\n  groups     ", e->name);
    put_groups(b, w, end);
    buf_printf(b, "\n  mode       %s\n  trust      %s\n  enforcers  ", mode_name(end->mode),
               trust_name(e->trust));
    put_enforcers(b, e->enforcers, ", ", "none");
    put_place(b, e->edge);
    buf_puts(b, "\nif it is owned:\n");
    if (o.gone) {
        buf_puts(b, "  ");
        put_enforcers(b, o.gone, " and ", "");
        buf_puts(b, " no longer counts: whoever is root inside switches it off\n");
    }
    if (o.still) {
        buf_puts(b, "  ");
        put_enforcers(b, o.still, " and ", "");
        buf_puts(b, " in front of it still holds: the policy stands towards everybody\n");
    } else {
        buf_printf(b, "  nothing in front of it, so %s:\n",
                   o.n_held ? "only the other ends hold" : "nobody holds");
        put_open(b, w, &o);
    }
    if (end->mode != MODE_ENFORCE)
        buf_printf(b, "  in mode %s what no rule decides is only reported between such ends\n",
                   mode_name(end->mode));
}

static void put_quoted(struct buf *b, uint8_t set)
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(enforcers); i++)
        if (set & enforcers[i].bit)
            buf_printf(b, "%s\"%s\"", n++ ? ", " : "", enforcers[i].name);
}

void unprotected_report_owned_json(struct buf *b, const struct world *w, uint32_t endpoint)
{
    const struct endpoint *e = &w->inventory->endpoints[endpoint];
    const struct end *end = &w->ends[endpoint];
    struct unprotected_owned o = unprotected_owned(w, endpoint);
    size_t n = 0;

    buf_puts(b, "{\"name\": ");
    json_quote(b, e->name);
    buf_puts(b, ", \"groups\": [");
    for (uint32_t g = 0; g < w->policy->n_groups; g++)
        if (group_set_has(&end->groups, g)) {
            buf_puts(b, n++ ? ", " : "");
            json_quote(b, w->policy->groups[g].name);
        }
    buf_printf(b, "], \"mode\": \"%s\", \"trust\": \"%s\", \"enforcers\": [", mode_name(end->mode),
               trust_name(e->trust));
    put_quoted(b, e->enforcers);
    buf_puts(b, "]");
    put_place_json(b, e->edge);
    buf_puts(b, ", \"if_owned\": {\"no_longer\": [");
    put_quoted(b, o.gone);
    buf_puts(b, "], \"still\": [");
    put_quoted(b, o.still);
    buf_printf(b, "], \"holds\": \"%s\", \"held\": %u, \"open\": %u, \"open_beside\": %u",
               o.still    ? "in-front"
               : o.n_held ? "other-ends"
                          : "nobody",
               o.n_held, o.n_open, o.n_beside);
    buf_puts(b, ", \"open_examples\": [");
    for (size_t i = 0; i < o.n_told; i++) {
        buf_puts(b, i ? ", " : "");
        json_quote(b, w->inventory->endpoints[o.open[i]].name);
    }
    buf_printf(b, "], \"outside_open\": %s}}", o.outside_is_open ? "true" : "false");
}
