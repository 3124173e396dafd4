/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and objects; see reach_report.h. */
#include "text/reach_report.h"

#include "text/json.h"

enum { NAMES_SHOWN = 8 };

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void put_names_at(struct buf *b, const struct inventory *inv, const struct reach *r,
                         uint32_t hop)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_endpoints && n <= NAMES_SHOWN; i++) {
        if (r->hop_of[i] != hop)
            continue;
        if (n < NAMES_SHOWN)
            buf_printf(b, "%s%s", n ? ", " : "", inv->endpoints[i].name);
        else
            buf_puts(b, ", ...");
        n++;
    }
}

static uint32_t count_within(const struct reach *r, size_t hops)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->n_hops && i < hops; i++)
        n += r->by_hop[i];
    return n;
}

static size_t limit(const struct reach *r, size_t max_hops)
{
    return max_hops && max_hops < r->n_hops ? max_hops : r->n_hops;
}

void reach_report_text(struct buf *b, const struct inventory *inv, const struct reach_start *s,
                       const struct reach *r, size_t max_hops)
{
    size_t n = limit(r, max_hops);
    uint32_t reached = count_within(r, n);

    buf_puts(b, s->name);
    if (s->group && s->group->kind == GROUP_OUTSIDE)
        buf_puts(b, " (outside)");
    else if (s->group)
        buf_printf(b, " (%u endpoint%s)", s->n_endpoints, plural(s->n_endpoints));
    buf_printf(b, " reaches %u endpoint%s%s\n", reached, plural(reached), reached ? ":" : "");
    for (size_t i = 0; i < n; i++) {
        if (!r->by_hop[i])
            continue;
        buf_printf(b, "  in %zu hop%s  %6u  ", i + 1, i ? "s" : " ", r->by_hop[i]);
        put_names_at(b, inv, r, (uint32_t)i + 1);
        buf_putc(b, '\n');
    }
    if (r->outside_at && (!max_hops || r->outside_at <= max_hops))
        buf_printf(b, "  and what is outside, in %u hop%s\n", r->outside_at, plural(r->outside_at));
}

void reach_report_json(struct buf *b, const struct inventory *inv, const struct reach_start *s,
                       const struct reach *r, size_t max_hops)
{
    size_t n = limit(r, max_hops);

    buf_puts(b, "{\"from\": ");
    json_quote(b, s->name);
    buf_printf(b, ", \"fallen\": %u, \"reached\": %u, \"outside_at\": ", s->n_endpoints,
               count_within(r, n));
    if (r->outside_at && (!max_hops || r->outside_at <= max_hops))
        buf_printf(b, "%u", r->outside_at);
    else
        buf_puts(b, "null");
    buf_puts(b, ", \"hops\": [");
    for (size_t i = 0; i < n; i++) {
        bool first = true;

        buf_printf(b, "%s{\"hops\": %zu, \"new\": %u, \"endpoints\": [", i ? ", " : "", i + 1,
                   r->by_hop[i]);
        for (size_t k = 0; k < r->n_endpoints; k++)
            if (r->hop_of[k] == i + 1) {
                buf_puts(b, first ? "" : ", ");
                json_quote(b, inv->endpoints[k].name);
                first = false;
            }
        buf_puts(b, "]}");
    }
    buf_puts(b, "]}");
}

/* ---- the furthest ---- */

void reach_report_peaks_text(struct buf *b, const struct inventory *inv,
                             const struct reach_peak peaks[], size_t n)
{
    if (!n)
        buf_puts(b, "no endpoint reaches another\n");
    else
        buf_puts(b, "whose fall reaches furthest, over any number of hops:\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "  %6u  %s", peaks[i].reach, inv->endpoints[peaks[i].endpoint].name);
        if (peaks[i].n_alike > 1)
            buf_printf(b, " and %u alike", peaks[i].n_alike - 1);
        buf_putc(b, '\n');
    }
}

void reach_report_peaks_json(struct buf *b, const struct inventory *inv,
                             const struct reach_peak peaks[], size_t n)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i ? ", {\"endpoint\": " : "{\"endpoint\": ");
        json_quote(b, inv->endpoints[peaks[i].endpoint].name);
        buf_printf(b, ", \"alike\": %u, \"reach\": %u}", peaks[i].n_alike, peaks[i].reach);
    }
    buf_putc(b, ']');
}

/* ---- changes ---- */

static void put_change(struct buf *b, const struct reach_change *c)
{
    uint32_t difference = c->after > c->before ? c->after - c->before : c->before - c->after;

    if (difference)
        buf_printf(b, "%s reach %c%u endpoint%s in %u hop%s (%u, now %u)", c->group,
                   c->after > c->before ? '+' : '-', difference, plural(difference), c->n_hops,
                   plural(c->n_hops), c->before, c->after);
    else
        buf_printf(b, "%s reach %u endpoint%s as before", c->group, c->after, plural(c->after));
    if (c->outside_after != c->outside_before)
        buf_puts(b, c->outside_after ? ", and the outside now" : ", and the outside no longer");
    buf_putc(b, '\n');
}

void reach_report_changes_text(struct buf *b, const char *mark, const struct reach_change changes[],
                               size_t n, size_t max)
{
    if (!n)
        buf_printf(b, "%sno group reaches more or less\n", mark);
    for (size_t i = 0; i < n && i < max; i++) {
        buf_puts(b, mark);
        put_change(b, &changes[i]);
    }
    if (n > max)
        buf_printf(b, "%sand %zu more groups\n", mark, n - max);
}

void reach_report_changes_json(struct buf *b, const struct reach_change changes[], size_t n)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        const struct reach_change *c = &changes[i];

        buf_puts(b, i ? ", {\"group\": " : "{\"group\": ");
        json_quote(b, c->group);
        buf_printf(b,
                   ", \"before\": %u, \"after\": %u, \"hops\": %u, \"outside_before\": %s, "
                   "\"outside_after\": %s}",
                   c->before, c->after, c->n_hops, c->outside_before ? "true" : "false",
                   c->outside_after ? "true" : "false");
    }
    buf_putc(b, ']');
}
