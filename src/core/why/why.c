/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict, layer by layer, and the rules near it; see why.h. */
#include "core/why/parts.h"

#include "base/buf.h"

enum { STEP = 16, DIFFERING = STEP * STEP }; /* Of an order; a rule has fewer conditions. */

/* ---- rules worth telling: the few first by a number, then by id ---- */

struct pick {
    const struct rule *rule;
    size_t order;
};

struct picks {
    struct pick items[WHY_MAX_OTHERS];
    size_t n, max, more;
};

static bool comes_before(const struct pick *a, const struct pick *b)
{
    return a->order != b->order ? a->order < b->order : strcmp(a->rule->id, b->rule->id) < 0;
}

static void offer(struct picks *p, const struct rule *rule, size_t order)
{
    const struct pick new = {rule, order};
    size_t at = p->n;

    if (p->n == p->max)
        p->more++;
    if (p->n == p->max && !comes_before(&new, &p->items[p->n - 1]))
        return;
    if (p->n < p->max)
        p->n++;
    else
        at--;
    for (; at > 0 && comes_before(&new, &p->items[at - 1]); at--)
        p->items[at] = p->items[at - 1];
    p->items[at] = new;
}

/* ---- rules ---- */

struct sight { /* What one look at every rule has found. */
    struct picks others, nearest;
    size_t n_allows;
    bool has_exception;
};

/* Rules of which layer come near to letting this pass. */
static enum layer granting_layer(const struct why *y)
{
    return y->answer.layer == LAYER_QUARANTINE ? LAYER_QUARANTINE : LAYER_ALLOW;
}

static void look_at_rule(const struct why *y, const struct case_of *c, const struct rule *r,
                         struct sight *s)
{
    bool decides = r->layer == y->answer.layer;
    struct why_lacks lacks;

    s->n_allows += r->layer == LAYER_ALLOW;
    if (r == y->answer.rule)
        return;
    if (decides && field_rule_matches(c, r)) {
        offer(&s->others, r, 0);
        return;
    }
    if (r->layer == LAYER_NEVER && y->answer.layer > LAYER_NEVER && r->except &&
        rule_is_alive(r, c->w->now_s) && field_never_selects(c, r)) {
        offer(&s->others, r, 0);
        s->has_exception = true;
        return;
    }
    if (y->answer.verdict == VERDICT_ALLOW || r->layer != granting_layer(y))
        return;
    if (r->layer == LAYER_QUARANTINE && !field_direction_fits(c, &r->match))
        return; /* About the other end: nothing makes it fit. */
    lacks = why_count_lacks(c, r);
    if (lacks.differing || lacks.untold)
        offer(&s->nearest, r, lacks.differing * DIFFERING + lacks.main * STEP + lacks.untold);
}

static void keep_rules(struct why *y, const struct case_of *c, const struct sight *s,
                       const struct rule *const rules[])
{
    bool both = c->from->trust == TRUST_BLACK && c->to->trust == TRUST_BLACK; /* No rule helps. */

    for (size_t i = 0; i < s->others.n; i++)
        y->others[y->n_others++] = why_look_at(y, c, s->others.items[i].rule);
    y->n_others_more = s->others.more;
    for (size_t i = 0; i < s->nearest.n && !both; i++) {
        const struct pick *p = &s->nearest.items[i];
        struct why_rule *near = &y->nearest[y->n_nearest];

        if (p->order / DIFFERING > s->nearest.items[0].order / DIFFERING)
            break;
        *near = why_look_at(y, c, p->rule);
        why_fulfil(y, near, rules);
        y->n_nearest++;
    }
}

/* ---- layers ---- */

static void add_layer(struct why *y, enum layer layer, const char *text)
{
    y->layers[y->n_layers++] =
        (struct why_layer){.layer = layer, .decides = layer == y->answer.layer, .text = text};
}

/* What the deciding rule does, with its reason and owner. */
static const char *owned(struct why *y, const char *verb)
{
    const struct rule *r = y->answer.rule;

    if (!r)
        return ""; /* Not in the layers that ask this. */
    return why_text(y, "\"%s\" %s it: %s — %s", r->id, verb, r->why, r->owner);
}

static const char *quarantine_text(struct why *y)
{
    bool from = y->from.end.trust == TRUST_BLACK, to = y->to.end.trust == TRUST_BLACK;
    const char *suspect = from ? y->from.name : y->to.name;

    if (!from && !to)
        return "neither end is a suspect";
    if (from && to)
        return why_text(y, "%s and %s are both suspects (black): deny", y->from.name, y->to.name);
    if (y->answer.rule)
        return why_text(y, "%s is a suspect (black), and %s", suspect, owned(y, "allows"));
    return why_text(y, "%s is a suspect (black), and no quarantine rule allows it: deny", suspect);
}

static const char *never_text(struct why *y, const struct sight *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    if (y->answer.layer == LAYER_NEVER)
        return owned(y, "forbids");
    if (!s->has_exception)
        return "no rule forbids it";
    for (size_t i = 0; i < s->others.n; i++)
        if (s->others.items[i].rule->layer == LAYER_NEVER)
            buf_printf(&b, "%s\"%s\" would forbid it, but its exception applies",
                       b.size ? "; " : "", s->others.items[i].rule->id);
    return arena_text(y->arena, buf_str(&b), b.size);
}

static const char *default_text(struct why *y)
{
    if (y->answer.verdict == VERDICT_WOULD_DENY)
        return why_text(y, "it would be denied, but the stricter mode of both ends is %s: %s",
                        mode_name(y->answer.mode),
                        y->answer.mode == MODE_TEST ? "reported, not enforced" : "only learned");
    return y->answer.enforced ? "nothing is allowed unless an allow names it: deny"
                              : "nothing is allowed unless an allow names it: deny, though no "
                                "enforcer at either end carries it out";
}

static void add_layers(struct why *y, const struct sight *s)
{
    if (y->answer.layer == LAYER_LIFELINE) {
        add_layer(y, LAYER_LIFELINE,
                  "an endpoint always reaches itself: the box is the compartment");
        return;
    }
    add_layer(y, LAYER_LIFELINE, "it is not one of its connections");
    add_layer(y, LAYER_QUARANTINE, quarantine_text(y));
    if (y->answer.layer == LAYER_QUARANTINE)
        return;
    add_layer(y, LAYER_GLASS, "nobody has opened it");
    add_layer(y, LAYER_NEVER, never_text(y, s));
    if (y->answer.layer == LAYER_NEVER)
        return;
    if (y->answer.layer == LAYER_ALLOW) {
        add_layer(y, LAYER_ALLOW, owned(y, "names"));
        return;
    }
    add_layer(y, LAYER_ALLOW,
              s->n_allows ? "no rule names it" : "an empty allow list means nothing is allowed");
    add_layer(y, LAYER_DEFAULT, default_text(y));
}

/* ---- what else would change it ---- */

void why_add_change(struct why *y, enum why_action action, const char *subject, const char *value,
                    const char *text)
{
    if (y->n_changes < ARRAY_SIZE(y->changes))
        y->changes[y->n_changes++] = (struct why_change){action, subject, value, text};
}

static void release(struct why *y, const struct why_end *e)
{
    if (e->end.trust == TRUST_BLACK && e->endpoint)
        why_add_change(y, WHY_RELEASE, e->endpoint->name, NULL,
                       why_text(y, "release %s from quarantine (suimitsu release %s --why REASON)",
                                e->endpoint->name, e->endpoint->name));
}

/* What the layers below quarantine would say of both ends in white. */
static void look_below_quarantine(struct why *y, const struct rule *const rules[])
{
    struct end from = y->from.end, to = y->to.end;

    from.trust = to.trust = TRUST_WHITE;
    y->has_below = true;
    y->below = verdict_judge(y->world, &from, &to, &y->facts, rules, y->world->policy->n_rules);
    release(y, &y->from);
    release(y, &y->to);
}

static const char *lacking_excepts(struct why *y)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (size_t i = 0; i < y->decider->n_excepts; i++) {
        const struct why_condition *x = &y->decider->excepts[i];

        if (x->state != WHY_MET && x->state != WHY_ACCEPTED)
            buf_printf(&b, "%s%s", b.size ? "; " : "", x->text);
    }
    return arena_text(y->arena, buf_str(&b), b.size);
}

/* What allow and default would say, if no never stood above. */
static void look_below_never(struct why *y, const struct rule *r, const struct rule *const rules[])
{
    CLEANUP(free_voidp) void *memory = xcalloc(y->world->policy->n_rules, sizeof(struct rule *));
    const struct rule **below = memory;
    size_t n = 0;

    for (size_t i = 0; i < y->world->policy->n_rules; i++)
        if (rules[i]->layer != LAYER_NEVER)
            below[n++] = rules[i];
    y->has_below = true;
    y->below = verdict_judge(y->world, &y->from.end, &y->to.end, &y->facts, below, n);
    if (y->below.layer == LAYER_ALLOW)
        y->n_nearest = 0; /* An allow is there already. */
    if (r->except)
        why_add_change(y, WHY_EXCEPT, r->id, NULL,
                       why_text(y,
                                "the never \"%s\" stands above every allow: only its exception "
                                "gets by it, and that does not apply: %s",
                                r->id, lacking_excepts(y)));
    else
        why_add_change(y, WHY_CHANGE_RULE, r->id, NULL,
                       why_text(y,
                                "the never \"%s\" stands above every allow and has no exception: "
                                "only %s can change it",
                                r->id, r->owner));
}

/* What the nearest allow lacks is more than this program, user or function. */
static bool needs_own_rule(const struct why *y)
{
    for (size_t i = 0; y->n_nearest && i < y->nearest[0].n_conditions; i++) {
        const struct why_condition *x = &y->nearest[0].conditions[i];

        if (x->state == WHY_UNMET &&
            (x->what == WHY_FROM || x->what == WHY_TO || x->what == WHY_SERVICE))
            return true;
    }
    return !y->n_nearest;
}

/* ---- all of it ---- */

static void explain(struct why *y, const struct rule *const rules[])
{
    const struct case_of c = why_case(y);
    struct sight s = {.others = {.max = WHY_MAX_OTHERS}, .nearest = {.max = WHY_MAX_NEAREST}};

    if (y->answer.rule) {
        y->decider = arena_alloc(y->arena, 1, sizeof *y->decider);
        *y->decider = why_look_at(y, &c, y->answer.rule);
    }
    for (size_t i = 0; i < y->world->policy->n_rules; i++)
        look_at_rule(y, &c, rules[i], &s);
    keep_rules(y, &c, &s, rules);
    add_layers(y, &s);
    if (y->answer.verdict == VERDICT_ALLOW)
        return;
    if (y->answer.layer == LAYER_QUARANTINE)
        look_below_quarantine(y, rules);
    if (y->answer.layer == LAYER_NEVER && y->answer.rule)
        look_below_never(y, y->answer.rule, rules);
    if (y->answer.layer == LAYER_DEFAULT && needs_own_rule(y))
        why_write_allow(y);
}

struct why *why_new(const struct world *w, const struct why_question *q)
{
    struct arena *arena = arena_new();
    struct why *y = arena_alloc(arena, 1, sizeof *y);
    const struct verdict_query *v = &q->verdict;
    size_t n = w->policy->n_rules;
    CLEANUP(free_voidp) void *memory = xcalloc(n, sizeof(struct rule *));
    const struct rule **rules = memory;

    y->arena = arena;
    y->world = w;
    y->facts =
        (struct verdict_facts){v->protocol, v->port, v->process, v->served_by, v->user, v->modbus};
    if (why_find_ends(y, q)) {
        y->answer = verdict_of_self(&y->from.end);
        add_layers(y, &(struct sight){.n_allows = 0});
        return y;
    }
    for (size_t i = 0; i < n; i++)
        rules[i] = &w->policy->rules[i];
    y->answer = verdict_judge(w, &y->from.end, &y->to.end, &y->facts, rules, n);
    explain(y, rules);
    return y;
}

void why_free(struct why *y)
{
    if (y)
        arena_free(y->arena);
}
