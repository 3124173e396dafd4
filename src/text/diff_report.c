/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and an object; see diff_report.h. */
#include "text/diff_report.h"

#include "text/json.h"

enum { NAMES_SHOWN = 3, SERVICES_SHOWN = 8 };

static void put_comma(struct buf *b, size_t i)
{
    if (i)
        buf_puts(b, ", ");
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- ends ---- */

struct rule_of { /* And whose it is. */
    const struct world *world;
    const struct rule *rule; /* NULL: none. */
};

static size_t count_taken(const struct world *w, const struct selector *s)
{
    size_t n = 0;

    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        n += selector_takes(s, &w->ends[i]);
    return n;
}

static void put_groups(struct buf *b, const struct policy *p, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        buf_printf(b, "%s%s", i ? ", " : "", p->groups[s->groups[i]].name);
}

static bool has_groups(const struct selector *s)
{
    return s && s->given && !s->any && s->n_groups;
}

static void put_names(struct buf *b, const struct diff *d, const uint32_t endpoints[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? ", " : "", d->names[endpoints[i]]);
}

static void put_ends(struct buf *b, const struct diff *d, const struct diff_ends *e,
                     const struct world *w, const struct selector *s)
{
    bool all = s && count_taken(w, s) == e->n_endpoints;

    if (all && has_groups(s)) {
        put_groups(b, w->policy, s);
        return;
    }
    if (all && e->n_outside) {
        buf_puts(b, "anybody");
        return;
    }
    if (e->n_endpoints && e->n_endpoints <= NAMES_SHOWN)
        put_names(b, d, e->endpoints, e->n_endpoints);
    else if (e->n_endpoints)
        buf_printf(b, "%zu endpoints", e->n_endpoints);
    if (e->n_endpoints > NAMES_SHOWN && has_groups(s)) {
        buf_puts(b, " of ");
        put_groups(b, w->policy, s);
    }
    if (e->n_outside)
        buf_printf(b, "%saddresses outside", e->n_endpoints ? " and " : "");
}

/* ---- changes ---- */

/* The rule that grants, of the side where it does; or whatever decides. */
static struct rule_of telling_rule(const struct diff_change *c, const struct world *before,
                                   const struct world *after)
{
    const struct rule_of a = {before, c->before.rule}, b = {after, c->after.rule};
    bool newer = c->kind == DIFF_GAIN || c->kind == DIFF_SETTLED;

    return (newer && b.rule) || !a.rule ? b : a;
}

static void put_services(struct buf *b, const struct diff_change *c)
{
    size_t shown = c->n_services <= SERVICES_SHOWN ? c->n_services : SERVICES_SHOWN;

    buf_puts(b, " by ");
    for (size_t i = 0; i < shown; i++)
        buf_printf(b, "%s%s", i ? ", " : "", c->services[i]);
    if (shown < c->n_services)
        buf_printf(b, " and %zu more", c->n_services - shown);
    if (c->other_services)
        buf_printf(b, "%sany service that no other rule names", c->n_services ? " and " : "");
}

static bool names_user(const struct rule *r, const char *user)
{
    for (size_t i = 0; r && i < r->match.n_users; i++)
        if (!r->match.users[i].is_group && strcmp(r->match.users[i].name, user) == 0)
            return true;
    return false;
}

static bool is_other(const char *value)
{
    return strcmp(value, "?") == 0;
}

static void put_conditions(struct buf *b, const struct diff_change *c)
{
    if (c->process && is_other(c->process))
        buf_puts(b, " as another program");
    else if (c->process)
        buf_printf(b, " as program %s", c->process);
    if (c->user && is_other(c->user))
        buf_puts(b, " as another user");
    else if (c->user)
        buf_printf(b, " as %s %s",
                   names_user(c->after.rule, c->user) || names_user(c->before.rule, c->user)
                       ? "user"
                       : "a user like",
                   c->user);
    if (c->served_by && is_other(c->served_by))
        buf_puts(b, " served by another program");
    else if (c->served_by)
        buf_printf(b, " served by %s", c->served_by);
    if (c->modbus == 0)
        buf_puts(b, " with another function");
    else if (c->modbus > 0)
        buf_printf(b, " with function %d and those like it", c->modbus);
}

static void put_side(struct buf *b, const struct diff_side *s)
{
    buf_puts(b, s->rule ? s->rule->id : s->exists ? layer_name(s->layer) : "not there");
}

static void put_change(struct buf *b, const struct diff *d, const struct diff_change *c,
                       const struct world *before, const struct world *after)
{
    static const char *const marks[] = {"+ ", "- ", "~ ", "~ "};
    const struct rule_of r = telling_rule(c, before, after);

    buf_puts(b, marks[c->kind]);
    put_ends(b, d, &c->from, r.world, r.rule ? &r.rule->match.from : NULL);
    buf_puts(b, c->kind == DIFF_LOSE ? " may no longer reach " : " may reach ");
    put_ends(b, d, &c->to, r.world, r.rule ? &r.rule->match.to : NULL);
    put_services(b, c);
    put_conditions(b, c);
    if (c->kind == DIFF_REPORTED || (c->kind == DIFF_GAIN && c->after.verdict != VERDICT_ALLOW))
        buf_puts(b, ", which is only reported now");
    else if (c->kind == DIFF_SETTLED)
        buf_puts(b, ", which was only reported");
    buf_puts(b, ": ");
    if (c->kind != DIFF_GAIN || c->before.layer != LAYER_DEFAULT || !c->before.exists ||
        !c->after.rule) {
        buf_puts(b, "was ");
        put_side(b, &c->before);
        buf_puts(b, ", now ");
    }
    put_side(b, &c->after);
    buf_printf(b, ", %llu pair%s\n", (unsigned long long)c->pairs, plural(c->pairs));
}

/* ---- endpoints ---- */

static void put_some(struct buf *b, const struct diff *d, const char *mark, const char *what,
                     const uint32_t endpoints[], size_t n)
{
    if (!n)
        return;
    buf_printf(b, "%s %zu endpoint%s %s: ", mark, n, plural(n), what);
    put_names(b, d, endpoints, n < NAMES_SHOWN ? n : NAMES_SHOWN);
    buf_puts(b, n > NAMES_SHOWN ? ", ...\n" : "\n");
}

static void put_modes(struct buf *b, const struct diff *d)
{
    size_t end;

    for (size_t i = 0; i < d->n_modes; i = end) { /* Sorted: those alike stand together. */
        const struct diff_mode *m = &d->modes[i];

        for (end = i; end < d->n_modes && d->modes[end].before == m->before &&
                      d->modes[end].after == m->after;
             end++)
            ;
        buf_puts(b, "= mode of ");
        for (size_t k = i; k < end && end - i <= NAMES_SHOWN; k++)
            buf_printf(b, "%s%s", k > i ? ", " : "", d->names[d->modes[k].endpoint]);
        if (end - i > NAMES_SHOWN)
            buf_printf(b, "%zu endpoints", end - i);
        buf_printf(b, ": %s, now %s\n", mode_name(m->before), mode_name(m->after));
    }
}

void diff_report_text(struct buf *b, const struct diff *d, const struct world *before,
                      const struct world *after)
{
    if (diff_is_empty(d)) {
        buf_puts(b, "no change in meaning\n");
        return;
    }
    put_some(b, d, "+", "new", d->added, d->n_added);
    put_some(b, d, "-", "gone", d->removed, d->n_removed);
    for (size_t i = 0; i < d->n_changes; i++)
        put_change(b, d, &d->changes[i], before, after);
    put_modes(b, d);
    if (d->incomplete)
        buf_puts(b, "! too much changed: there may be differences that are not told here\n");
}

/* ---- JSON ---- */

static void json_names(struct buf *b, const struct diff *d, const char *key, const uint32_t *list,
                       size_t n)
{
    buf_printf(b, "\"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        put_comma(b, i);
        json_quote(b, d->names[list[i]]);
    }
    buf_putc(b, ']');
}

static void json_side(struct buf *b, const char *key, const struct diff_side *s)
{
    buf_printf(b, "\"%s\": {\"exists\": %s, \"verdict\": \"%s\", \"layer\": \"%s\", ", key,
               s->exists ? "true" : "false", verdict_name(s->verdict), layer_name(s->layer));
    json_text(b, "rule", s->rule ? s->rule->id : NULL);
    buf_puts(b, "}, ");
}

static void json_ends(struct buf *b, const struct diff *d, const char *key,
                      const struct diff_ends *e)
{
    buf_printf(b, "\"%s\": {", key);
    json_names(b, d, "endpoints", e->endpoints, e->n_endpoints);
    buf_printf(b, ", \"outside\": %zu}, ", e->n_outside);
}

static void json_change(struct buf *b, const struct diff *d, const struct diff_change *c)
{
    buf_printf(b, "{\"kind\": \"%s\", ", diff_kind_name(c->kind));
    json_side(b, "before", &c->before);
    json_side(b, "after", &c->after);
    json_ends(b, d, "from", &c->from);
    json_ends(b, d, "to", &c->to);
    buf_puts(b, "\"services\": [");
    for (size_t i = 0; i < c->n_services; i++) {
        put_comma(b, i);
        json_quote(b, c->services[i]);
    }
    buf_printf(b, "], \"other_services\": %s, ", c->other_services ? "true" : "false");
    json_text(b, "process", c->process);
    buf_puts(b, ", ");
    json_text(b, "user", c->user);
    buf_puts(b, ", ");
    json_text(b, "served_by", c->served_by);
    if (c->modbus >= 0)
        buf_printf(b, ", \"modbus\": %d", c->modbus);
    else
        buf_puts(b, ", \"modbus\": null");
    buf_printf(b, ", \"pairs\": %llu}", (unsigned long long)c->pairs);
}

void diff_report_json_fields(struct buf *b, const struct diff *d)
{
    buf_printf(b, "\"same\": %s, \"incomplete\": %s, \"changes\": [",
               diff_is_empty(d) ? "true" : "false", d->incomplete ? "true" : "false");
    for (size_t i = 0; i < d->n_changes; i++) {
        put_comma(b, i);
        json_change(b, d, &d->changes[i]);
    }
    buf_puts(b, "], ");
    json_names(b, d, "added", d->added, d->n_added);
    buf_puts(b, ", ");
    json_names(b, d, "removed", d->removed, d->n_removed);
    buf_puts(b, ", \"modes\": [");
    for (size_t i = 0; i < d->n_modes; i++) {
        put_comma(b, i);
        buf_putc(b, '{');
        json_text(b, "endpoint", d->names[d->modes[i].endpoint]);
        buf_printf(b, ", \"before\": \"%s\", \"after\": \"%s\"}", mode_name(d->modes[i].before),
                   mode_name(d->modes[i].after));
    }
    buf_puts(b, "]");
}
