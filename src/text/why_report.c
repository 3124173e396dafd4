/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and an object; see why_report.h. */
#include "text/why_report.h"

#include <netinet/in.h>

#include "text/json.h"
#include "text/port.h"

static const char *const enforcer_names[] = {"host", "edge", "nft", "switch"};

static void put_port(struct buf *b, const struct why *y)
{
    const struct port_range range = {y->facts.protocol, y->facts.port, y->facts.port};
    bool has_ports = range.protocol == IPPROTO_TCP || range.protocol == IPPROTO_UDP ||
                     range.protocol == IPPROTO_ICMP;
    char text[32];

    if (has_ports)
        port_format(&range, text, sizeof text);
    buf_puts(b, has_ports ? text : protocol_name(range.protocol, text));
}

static void put_answer(struct buf *b, const struct verdict_answer *a)
{
    buf_printf(b, "%s (%s%s%s%s)", verdict_name(a->verdict), layer_name(a->layer),
               a->rule ? ", rule " : "", a->rule ? a->rule->id : "",
               a->enforced ? "" : ", not enforced");
}

/* ---- text ---- */

static void put_asked(struct buf *b, const struct why *y)
{
    const struct verdict_facts *f = &y->facts;

    buf_printf(b, "%s to %s by ", y->from.name, y->to.name);
    put_port(b, y);
    if (f->process)
        buf_printf(b, " as program %s", f->process);
    if (f->user)
        buf_printf(b, " as user %s", f->user);
    if (f->served_by)
        buf_printf(b, " served by %s", f->served_by);
    if (f->modbus >= 0)
        buf_printf(b, " with function %d", f->modbus);
    buf_putc(b, '\n');
}

static void put_enforcers(struct buf *b, uint8_t enforcers, const char *place, size_t *n)
{
    for (size_t i = 0; i < ARRAY_SIZE(enforcer_names); i++)
        if (enforcers & (1u << i))
            buf_printf(b, "%s%s%s%s", (*n)++ ? ", " : "", enforcer_names[i], place ? " at " : "",
                       place ? place : "");
}

static void put_end(struct buf *b, const struct why_end *e)
{
    size_t n = 0;

    buf_printf(b, "  %s: ", e->name);
    if (e->is_known && !e->endpoint) {
        buf_printf(b, "no endpoint's address: outside%s%s%s\n", e->groups[0] ? ", in " : "",
                   e->groups, e->end.is_multicast ? "; multicast or broadcast" : "");
        return;
    }
    if (!e->is_known)
        buf_printf(b, "the inventory has no endpoint of this name%s%s; judged as one ",
                   e->nearest ? ", the nearest is " : "", e->nearest ? e->nearest : "");
    else
        buf_puts(b, "endpoint ");
    buf_printf(b, "%s%s; ", e->groups[0] ? "in " : "in no group", e->groups);
    put_enforcers(b, e->end.enforcers, NULL, &n);
    buf_printf(b, "%s; %s; %s\n", n ? "" : "no enforcer", mode_name(e->end.mode),
               trust_name(e->end.trust));
}

static void put_condition(struct buf *b, const struct why *y, const struct why_condition *x)
{
    static const char *const states[] = {"met", "NOT MET", "NOT TOLD", "UNSEEN", "accepted"};
    const char *from = y->from.endpoint ? y->from.endpoint->name : y->from.asked;
    const char *to = y->to.endpoint ? y->to.endpoint->name : y->to.asked;
    size_t n = 0;

    buf_printf(b, "  %-9s %-10s %s", states[x->state], why_what_name(x->what), x->text);
    if (x->what < WHY_EXPIRY) {
        buf_puts(b, "  [");
        put_enforcers(b, x->at_from, from, &n);
        put_enforcers(b, x->at_to, to, &n);
        buf_puts(b, n ? "]" : "nobody can check it]");
    }
    buf_putc(b, '\n');
}

static void put_conditions(struct buf *b, const struct why *y, const struct why_rule *r)
{
    for (size_t i = 0; i < r->n_conditions; i++)
        put_condition(b, y, &r->conditions[i]);
    if (!r->n_conditions)
        buf_puts(b, "  it has no condition\n");
    if (!r->n_excepts)
        return;
    buf_printf(b, "  except, which %s:\n", r->is_excepted ? "applies" : "does not apply");
    for (size_t i = 0; i < r->n_excepts; i++)
        put_condition(b, y, &r->excepts[i]);
}

static void put_changes(struct buf *b, const struct why_change *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "  -> %s\n", list[i].text);
}

static void put_rule(struct buf *b, const struct why *y, const struct why_rule *r, const char *how)
{
    buf_printf(b, "\n%s \"%s\": %s — %s\n", how, r->rule->id, r->rule->why, r->rule->owner);
    put_conditions(b, y, r);
}

static const char *kind_of(const struct rule *r)
{
    return r->layer == LAYER_ALLOW        ? "allow"
           : r->layer == LAYER_QUARANTINE ? "quarantine rule"
                                          : "never";
}

static void put_near(struct buf *b, const struct why *y, size_t i)
{
    const struct why_rule *r = &y->nearest[i];
    CLEANUP(buf_done) struct buf how = BUF_INIT;

    buf_printf(&how, "%s %s", i ? "next" : "nearest", kind_of(r->rule));
    put_rule(b, y, r, buf_str(&how));
    put_changes(b, r->changes, r->n_changes);
    if (!r->has_then)
        return;
    buf_puts(b, "  then: ");
    put_answer(b, &r->then);
    buf_putc(b, '\n');
}

static void put_rules(struct buf *b, const struct why *y)
{
    CLEANUP(buf_done) struct buf how = BUF_INIT;

    if (y->decider) {
        buf_printf(&how, "the %s", kind_of(y->decider->rule));
        put_rule(b, y, y->decider, buf_str(&how));
    }
    for (size_t i = 0; i < y->n_others; i++)
        put_rule(b, y, &y->others[i],
                 y->others[i].is_excepted ? "excepted from the never" : "also");
    if (y->n_others_more)
        buf_printf(b, "\nand %zu more\n", y->n_others_more);
    for (size_t i = 0; i < y->n_nearest; i++)
        put_near(b, y, i);
}

/* A file, as it stands; its lines are ours, except for a program's path. */
static void put_file(struct buf *b, const char *text)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        buf_printf(b, "  %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

void why_report_text(struct buf *b, const struct why *y)
{
    put_answer(b, &y->answer);
    buf_putc(b, '\n');
    put_asked(b, y);
    buf_putc(b, '\n');
    put_end(b, &y->from);
    put_end(b, &y->to);
    buf_putc(b, '\n');
    for (size_t i = 0; i < y->n_layers; i++)
        buf_printf(b, "%s %-11s %s\n", y->layers[i].decides ? ">" : " ",
                   layer_name(y->layers[i].layer), y->layers[i].text);
    put_rules(b, y);
    if (y->n_changes || y->allow_like)
        buf_puts(b, "\nwhat would change it\n");
    put_changes(b, y->changes, y->n_changes);
    if (y->has_below) {
        buf_puts(b, y->answer.layer == LAYER_NEVER ? "  without it: " : "  then: ");
        put_answer(b, &y->below);
        buf_putc(b, '\n');
    }
    if (!y->allow_like)
        return;
    buf_puts(b, "  -> an allow like this, in a file beside the others:\n");
    put_file(b, y->allow_like);
}

/* ---- JSON ---- */

static void json_answer(struct buf *b, const struct verdict_answer *a)
{
    buf_printf(b, "\"verdict\": \"%s\", \"layer\": \"%s\", ", verdict_name(a->verdict),
               layer_name(a->layer));
    json_text(b, "rule", a->rule ? a->rule->id : NULL);
    buf_printf(b, ", \"enforced\": %s", a->enforced ? "true" : "false");
}

static void json_hypothesis(struct buf *b, const char *key, bool has,
                            const struct verdict_answer *a)
{
    buf_printf(b, ", \"%s\": ", key);
    if (!has) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '{');
    json_answer(b, a);
    buf_putc(b, '}');
}

static void json_enforcers(struct buf *b, uint8_t enforcers, const char *place, size_t *n)
{
    for (size_t i = 0; i < ARRAY_SIZE(enforcer_names); i++) {
        if (!(enforcers & (1u << i)))
            continue;
        buf_puts(b, (*n)++ ? ", " : "");
        if (place) {
            buf_puts(b, "{");
            json_text(b, "endpoint", place);
            buf_printf(b, ", \"enforcer\": \"%s\"}", enforcer_names[i]);
        } else {
            buf_printf(b, "\"%s\"", enforcer_names[i]);
        }
    }
}

static void json_groups(struct buf *b, const struct why *y, const struct why_end *e)
{
    size_t n = 0;

    buf_puts(b, "\"groups\": [");
    for (uint32_t g = 0; g < y->world->policy->n_groups; g++)
        if (group_set_has(&e->end.groups, g)) {
            buf_puts(b, n++ ? ", " : "");
            json_quote(b, y->world->policy->groups[g].name);
        }
    buf_putc(b, ']');
}

static void json_end(struct buf *b, const struct why *y, const char *key, const struct why_end *e)
{
    const char *kind = !e->is_known ? "unknown" : e->endpoint ? "endpoint" : "outside";
    size_t n = 0;

    buf_printf(b, ", \"%s\": {\"kind\": \"%s\", ", key, kind);
    json_text(b, "asked", e->asked);
    buf_puts(b, ", ");
    json_text(b, "endpoint", e->endpoint ? e->endpoint->name : NULL);
    buf_puts(b, ", ");
    json_text(b, "nearest", e->nearest);
    buf_puts(b, ", ");
    json_groups(b, y, e);
    buf_puts(b, ", \"enforcers\": [");
    json_enforcers(b, e->end.enforcers, NULL, &n);
    buf_printf(b, "], \"mode\": \"%s\", \"trust\": \"%s\"}", mode_name(e->end.mode),
               trust_name(e->end.trust));
}

static void json_conditions(struct buf *b, const struct why *y, const char *key,
                            const struct why_condition *list, size_t n)
{
    buf_printf(b, ", \"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        const struct why_condition *x = &list[i];
        size_t checkers = 0;

        buf_printf(b, "%s{\"what\": \"%s\", \"state\": \"%s\", ", i ? ", " : "",
                   why_what_name(x->what), why_state_name(x->state));
        json_text(b, "found", x->found);
        buf_puts(b, ", ");
        json_text(b, "wanted", x->wanted);
        buf_puts(b, ", \"checked_by\": [");
        json_enforcers(b, x->at_from, y->from.endpoint ? y->from.endpoint->name : y->from.asked,
                       &checkers);
        json_enforcers(b, x->at_to, y->to.endpoint ? y->to.endpoint->name : y->to.asked, &checkers);
        buf_puts(b, "], ");
        json_text(b, "text", x->text);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void json_changes(struct buf *b, const struct why_change *list, size_t n)
{
    buf_puts(b, ", \"changes\": [");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s{\"action\": \"%s\", ", i ? ", " : "", why_action_name(list[i].action));
        json_text(b, "subject", list[i].subject);
        buf_puts(b, ", ");
        json_text(b, "value", list[i].value);
        buf_puts(b, ", ");
        json_text(b, "text", list[i].text);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void json_rule(struct buf *b, const struct why *y, const struct why_rule *r)
{
    buf_putc(b, '{');
    json_text(b, "id", r->rule->id);
    buf_printf(b, ", \"layer\": \"%s\", ", layer_name(r->rule->layer));
    json_text(b, "owner", r->rule->owner);
    buf_puts(b, ", ");
    json_text(b, "why", r->rule->why);
    json_conditions(b, y, "conditions", r->conditions, r->n_conditions);
    json_conditions(b, y, "except", r->excepts, r->n_excepts);
    buf_printf(b, ", \"excepted\": %s, \"lacks\": %zu", r->is_excepted ? "true" : "false",
               r->n_lacks);
    json_changes(b, r->changes, r->n_changes);
    json_hypothesis(b, "then", r->has_then, &r->then);
    buf_putc(b, '}');
}

static void json_rules(struct buf *b, const struct why *y, const char *key,
                       const struct why_rule *list, size_t n)
{
    buf_printf(b, ", \"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i ? ", " : "");
        json_rule(b, y, &list[i]);
    }
    buf_putc(b, ']');
}

static void json_asked(struct buf *b, const struct why *y)
{
    const struct verdict_facts *f = &y->facts;

    buf_puts(b, ", \"asked\": {\"service\": \"");
    put_port(b, y);
    buf_puts(b, "\", ");
    json_text(b, "process", f->process);
    buf_puts(b, ", ");
    json_text(b, "served_by", f->served_by);
    buf_puts(b, ", ");
    json_text(b, "user", f->user);
    if (f->modbus >= 0)
        buf_printf(b, ", \"modbus\": %d}", f->modbus);
    else
        buf_puts(b, ", \"modbus\": null}");
}

static void json_sentences(struct buf *b, const struct why *y)
{
    CLEANUP(sentences_done) struct sentences s = {.items = NULL};

    why_sentences(y, &s);
    buf_puts(b, ", \"why\": [");
    for (size_t i = 0; i < s.n; i++) {
        buf_puts(b, i ? ", " : "");
        json_quote(b, s.items[i]);
    }
    buf_putc(b, ']');
}

static void json_layers(struct buf *b, const struct why *y)
{
    buf_puts(b, ", \"layers\": [");
    for (size_t i = 0; i < y->n_layers; i++) {
        buf_printf(b, "%s{\"layer\": \"%s\", \"decides\": %s, ", i ? ", " : "",
                   layer_name(y->layers[i].layer), y->layers[i].decides ? "true" : "false");
        json_text(b, "text", y->layers[i].text);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

void why_report_json(struct buf *b, const struct why *y)
{
    buf_putc(b, '{');
    json_answer(b, &y->answer);
    buf_printf(b, ", \"mode\": \"%s\", \"known\": %s", mode_name(y->answer.mode),
               y->from.is_known && y->to.is_known ? "true" : "false");
    json_sentences(b, y);
    json_asked(b, y);
    json_end(b, y, "from", &y->from);
    json_end(b, y, "to", &y->to);
    json_layers(b, y);
    buf_puts(b, ", \"decider\": ");
    if (y->decider)
        json_rule(b, y, y->decider);
    else
        buf_puts(b, "null");
    json_rules(b, y, "others", y->others, y->n_others);
    buf_printf(b, ", \"others_more\": %zu", y->n_others_more);
    json_rules(b, y, "nearest", y->nearest, y->n_nearest);
    json_changes(b, y->changes, y->n_changes);
    json_hypothesis(b, "below", y->has_below, &y->below);
    buf_puts(b, ", ");
    json_text(b, "allow_like", y->allow_like);
    buf_putc(b, '}');
}
