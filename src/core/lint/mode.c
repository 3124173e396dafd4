/* SPDX-License-Identifier: Apache-2.0 */
/* W-MODE-HOLE: a group in learn or test mode as a bridge.
 *
 * Where both ends are lax, or one is and the other is outside, the default deny is only reported.
 * So whoever reaches a lax endpoint that way goes on by what rules allow to it:
 *
 *     in    somebody lax, or outside  --default-->  bridge  --allow-->  an enforced end
 *     out   an enforced end  --allow-->  bridge  --default-->  outside
 *
 * It is a hole when no allow at all leads from the first to the last of them.  One is told for each
 * `mode` entry; a bounded number of bridges and of ends is tried for each. */
#include <netinet/in.h>

#include "base/buf.h"
#include "core/lint/linting.h"
#include "core/verdict.h"

enum {
    WORD_BITS = 64,
    BRIDGES = 64,
    FAR_ENDS = 8,
    STRANGERS = 16,
    MAX_JUDGED = 1 << 16,
    NO_FUNCTION = -1
};

struct holes {
    const struct linting *l;
    struct list strangers; /* Classes: some of outside, then some lax ones. */
    const struct rule **rules;
    size_t n_judged;
};

struct hole {
    uint32_t first, bridge, last; /* Classes. */
    const struct rule *rule;
    struct verdict_facts facts; /* Of the rule. */
    bool out;
};

static const struct end *end_of(const struct holes *h, uint32_t class)
{
    return &h->l->cover->classes->items[class].end;
}

static bool is_lax(const struct end *e)
{
    return e->endpoint && e->trust != TRUST_BLACK &&
           (e->mode == MODE_LEARN || e->mode == MODE_TEST);
}

static bool is_enforced(const struct end *e)
{
    return e->endpoint && e->trust != TRUST_BLACK && e->mode == MODE_ENFORCE;
}

/* ---- single hops ---- */

static struct verdict_answer judge(struct holes *h, uint32_t from, uint32_t to,
                                   const struct verdict_facts *facts, const struct rule *only)
{
    struct list_view near = cover_rules_between(h->l->cover, from, to);
    size_t n = 0;

    for (uint32_t i = 0; i < near.n; i++) {
        const struct rule *r = &h->l->w->policy->rules[near.items[i]];

        if (!only || r == only || r->layer == LAYER_NEVER)
            h->rules[n++] = r;
    }
    h->n_judged++;
    return verdict_judge(h->l->w, end_of(h, from), end_of(h, to), facts, h->rules, n);
}

/* By what no service names. */
static bool is_only_reported(struct holes *h, uint32_t from, uint32_t to)
{
    struct verdict_facts f = {.modbus = NO_FUNCTION};

    slices_example(h->l->cover->slices, 0, &f.protocol, &f.port);
    return cover_is_pair(h->l->cover, from, to) &&
           judge(h, from, to, &f, NULL).verdict == VERDICT_WOULD_DENY;
}

static bool is_allowed_somehow(struct holes *h, uint32_t from, uint32_t to)
{
    struct list_view near = cover_rules_between(h->l->cover, from, to);

    h->n_judged++;
    for (uint32_t i = 0; i < near.n; i++) {
        const struct rule *r = &h->l->w->policy->rules[near.items[i]];

        if (r->layer == LAYER_ALLOW && rule_is_alive(r, h->l->w->now_s))
            return true;
    }
    return false;
}

/* Does the rule let something through, whatever nevers say?  Somebody of its users, by the first
 * port of one of its services. */
static bool passes(struct holes *h, const struct rule *r, uint32_t from, uint32_t to,
                   struct verdict_facts *f)
{
    const struct policy *p = h->l->w->policy;
    const struct cover *c = h->l->cover;

    if (!cover_is_pair(c, from, to))
        return false;
    *f = (struct verdict_facts){.modbus = NO_FUNCTION};
    f->process = r->match.n_processes ? r->match.processes[0] : NULL;
    f->served_by = r->match.n_served_by ? r->match.served_by[0] : NULL;
    for (size_t i = 0; i < (r->match.n_services ? r->match.n_services : 1); i++) {
        const struct service *s = r->match.n_services ? &p->services[r->match.services[i]] : NULL;

        slices_example(c->slices, 0, &f->protocol, &f->port);
        if (s) {
            f->protocol = s->ports[0].protocol;
            f->port = s->ports[0].low;
            f->modbus = s->n_modbus ? s->modbus[0] : NO_FUNCTION;
        }
        for (size_t u = 0; u < (r->match.n_users ? c->n_users : 1); u++) {
            f->user = r->match.n_users ? c->users[u] : NULL;
            if (judge(h, from, to, f, r).rule == r)
                return true;
        }
    }
    return false;
}

/* ---- holes through one bridge ---- */

static bool find_stranger(struct holes *h, struct hole *x, uint32_t far)
{
    for (size_t i = 0; i < h->strangers.n; i++) {
        uint32_t stranger = h->strangers.items[i];
        uint32_t first = x->out ? far : stranger, last = x->out ? stranger : far;

        if ((x->out && end_of(h, stranger)->endpoint) ||
            !is_only_reported(h, x->out ? x->bridge : stranger, x->out ? stranger : x->bridge) ||
            !cover_is_pair(h->l->cover, first, last) || is_allowed_somehow(h, first, last))
            continue;
        x->first = first;
        x->last = last;
        return true;
    }
    return false;
}

/* Enforced ends at the other side of the rule; some of each group. */
static bool try_rule(struct holes *h, struct hole *x, const struct rule *r)
{
    const struct lists *l = &h->l->cover->classes->of_group;
    const struct selector *s = x->out ? &r->match.from : &r->match.to;

    for (size_t g = 0; g < (s->any ? 1 : s->n_groups); g++) {
        size_t group = s->any ? l->n - 1 : s->groups[g], tried = 0;

        for (uint32_t i = 0; i < list_size(l, group) && tried < FAR_ENDS; i++) {
            uint32_t far = list_items(l, group)[i];

            if (!is_enforced(end_of(h, far)))
                continue;
            tried++;
            if (h->n_judged > MAX_JUDGED)
                return false;
            if (passes(h, r, x->out ? far : x->bridge, x->out ? x->bridge : far, &x->facts) &&
                find_stranger(h, x, far)) {
                x->rule = r;
                return true;
            }
        }
    }
    return false;
}

static bool try_list(struct holes *h, struct hole *x, const struct lists *rules, size_t group)
{
    for (uint32_t i = 0; i < list_size(rules, group); i++) {
        const struct rule *r = &h->l->w->policy->rules[list_items(rules, group)[i]];

        if (r->layer == LAYER_ALLOW && rule_is_alive(r, h->l->w->now_s) && try_rule(h, x, r))
            return true;
    }
    return false;
}

static bool try_bridge(struct holes *h, struct hole *x, uint32_t bridge)
{
    const struct end_classes *k = h->l->cover->classes;
    const struct group_set *groups = &end_of(h, bridge)->groups;

    x->bridge = bridge;
    for (int out = 0; out < 2; out++) {
        const struct lists *rules = out ? &k->to_rules : &k->from_rules;

        x->out = out;
        for (size_t i = 0; i < h->l->w->n_words; i++)
            for (uint64_t left = groups->words[i]; left; left &= left - 1)
                if (try_list(h, x, rules, i * WORD_BITS + (size_t)__builtin_ctzll(left)))
                    return true;
        if (try_list(h, x, rules, rules->n - 1))
            return true;
    }
    return false;
}

/* ---- telling ---- */

static void name_class(const struct holes *h, struct buf *b, uint32_t class)
{
    const struct end_classes *k = h->l->cover->classes;
    uint32_t member = k->members[k->items[class].first];
    char text[ADDRESS_TEXT_SIZE];
    const struct prefix *p;

    if (!k->items[class].outside) {
        buf_puts(b, h->l->w->inventory->endpoints[member].name);
        return;
    }
    p = &h->l->w->outside[member].prefix;
    if (!p->length) {
        buf_puts(b, "outside");
        return;
    }
    (void)address_format_prefix(&p->address, p->length, text);
    buf_puts(b, text);
}

static void write_hop(const struct holes *h, struct buf *b, const struct hole *x, bool allowed)
{
    uint32_t from = allowed == x->out ? x->first : x->bridge;
    uint32_t to = allowed == x->out ? x->bridge : x->last;

    name_class(h, b, from);
    buf_puts(b, " to ");
    name_class(h, b, to);
    if (!allowed)
        buf_puts(b, " (the default is only reported)");
    else if (x->rule->match.n_services)
        buf_printf(b, " by %s/%u (\"%s\")",
                   x->facts.protocol == IPPROTO_TCP   ? "tcp"
                   : x->facts.protocol == IPPROTO_UDP ? "udp"
                                                      : "icmp",
                   x->facts.port, x->rule->id);
    else
        buf_printf(b, " (\"%s\")", x->rule->id);
}

static void tell(const struct holes *h, const struct hole *x, const struct place *place,
                 const char *group, enum mode mode)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT, first = BUF_INIT, last = BUF_INIT;
    struct diagnostic *d;

    write_hop(h, &path, x, x->out);
    buf_puts(&path, ", ");
    write_hop(h, &path, x, !x->out);
    name_class(h, &first, x->first);
    name_class(h, &last, x->last);
    d = diagnostics_add(h->l->d, CODE_MODE_HOLE, place,
                        "%s%s%s in %s mode opens a path: %s; no rule lets %s reach %s",
                        group ? "\"" : "", group ? group : "the default", group ? "\"" : "",
                        mode_name(mode), buf_str(&path), buf_str(&first), buf_str(&last));
    diagnostic_expected(d, "enforce mode where allows lead to or from enforced ends: between lax "
                           "ends, and between them and outside, the default deny holds nobody up");
    diagnostic_fix(d, "put it in enforce mode, or do without \"%s\" there until then", x->rule->id);
}

/* ---- all ---- */

static bool is_of_default(const struct holes *h, const struct end *e)
{
    const struct policy *p = h->l->w->policy;

    for (size_t i = 0; i < p->n_modes; i++)
        if (group_set_has(&e->groups, p->modes[i].group))
            return false;
    return true;
}

static void look_at(struct holes *h, size_t group, enum mode mode, const struct place *place)
{
    const struct lists *l = &h->l->cover->classes->of_group;
    bool is_default = group == l->n - 1;
    struct hole x = {.rule = NULL};
    size_t tried = 0;

    for (uint32_t i = 0; i < list_size(l, group) && tried < BRIDGES && h->n_judged <= MAX_JUDGED;
         i++) {
        uint32_t class = list_items(l, group)[i];
        const struct end *e = end_of(h, class);

        if (!is_lax(e) || e->mode != mode || (is_default && !is_of_default(h, e)))
            continue;
        tried++;
        if (!try_bridge(h, &x, class))
            continue;
        tell(h, &x, place, is_default ? NULL : h->l->w->policy->groups[group].name, mode);
        return;
    }
}

/* Returns false when nothing is lax, or nothing enforced. */
static bool list_strangers(struct holes *h)
{
    const struct end_classes *k = h->l->cover->classes;
    size_t n_outside = 0, n_lax = 0, n_enforced = 0;

    for (size_t i = k->n; i-- > 0;) { /* Those outside come last. */
        const struct end *e = &k->items[i].end;

        n_enforced += is_enforced(e);
        if (!e->endpoint && !e->is_multicast && n_outside++ < STRANGERS / 2)
            list_add(&h->strangers, (uint32_t)i);
        else if (is_lax(e) && n_lax++ < STRANGERS / 2)
            list_add(&h->strangers, (uint32_t)i);
    }
    return n_lax && n_enforced;
}

void lint_mode(const struct linting *l)
{
    const struct policy *p = l->w->policy;
    CLEANUP(free_voidp) void *memory = xcalloc(p->n_rules, sizeof(struct rule *));
    struct holes h = {.l = l, .rules = memory};

    if (l->cover && l->has_inventory && list_strangers(&h)) {
        for (size_t i = 0; i < p->n_modes; i++)
            if (p->modes[i].mode != MODE_ENFORCE)
                look_at(&h, p->modes[i].group, p->modes[i].mode, &p->modes[i].place);
        if (p->default_mode != MODE_ENFORCE)
            look_at(&h, p->n_groups, p->default_mode, &p->default_mode_place);
    }
    if (h.n_judged > MAX_JUDGED)
        lint_unfinished(l, "bridges between modes");
    free(h.strangers.items);
}
