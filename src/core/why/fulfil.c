/* SPDX-License-Identifier: Apache-2.0 */
/* What would fulfil the conditions that a rule lacks, tried out; see parts.h. */
#include "core/why/parts.h"

#include "base/buf.h"

enum { ROUNDS = 3 }; /* Another service may ask for a function, and that for an edge. */

struct trial { /* The connection as it would be. */
    struct why *y;
    const struct rule *rule;
    struct rule lived; /* The rule, not expired. */
    struct end from, to;
    struct verdict_facts facts;
    struct why_change changes[N_FIELDS + 3];
    size_t n;
    bool possible;
    bool enrols; /* An address becomes an endpoint: nothing is known of what else it would be. */
};

static void change(struct trial *t, enum why_action action, const char *subject, const char *value,
                   const char *text)
{
    if (t->n < ARRAY_SIZE(t->changes))
        t->changes[t->n++] = (struct why_change){action, subject, value, text};
}

static void impossible(struct trial *t, const char *subject, const char *text)
{
    t->possible = false;
    change(t, WHY_NOTHING, subject, NULL, text);
}

/* ---- groups ---- */

static bool has_label(const struct why_end *e, const struct label_match *m)
{
    return why_has_label(e->labels, e->n_labels, m);
}

static size_t count_missing(const struct group *g, const struct why_end *e)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_matches; i++)
        n += !has_label(e, &g->matches[i]);
    return g->kind == GROUP_MEMBERS ? 1 : n;
}

/* The group of the list that takes the fewest labels, of those that such an end can be in. */
static const struct group *easiest_group(const struct trial *t, const struct selector *s,
                                         const struct why_end *e, bool outside)
{
    const struct policy *p = t->y->world->policy;
    const struct group *best = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < s->n_groups; i++) {
        const struct group *g = &p->groups[s->groups[i]];
        size_t n = count_missing(g, e);

        if ((g->kind == GROUP_OUTSIDE) != outside || n >= least)
            continue;
        best = g;
        least = n;
    }
    return best;
}

/* "tier=web instead of db" */
static const char *missing_labels(struct why *y, const struct group *g, const struct why_end *e)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (size_t i = 0; i < g->n_matches; i++) {
        const struct label_match *m = &g->matches[i];

        if (has_label(e, m))
            continue;
        buf_printf(&b, "%s%s=%s", b.size ? ", " : "", m->key, m->values[0]);
        for (size_t k = 0; k < e->n_labels; k++)
            if (strcmp(e->labels[k].key, m->key) == 0)
                buf_printf(&b, " instead of %s", e->labels[k].value);
    }
    return arena_text(y->arena, buf_str(&b), b.size);
}

/* The labels that it would have: another value of a key takes the place of the one there was. */
static void enter(struct trial *t, const struct why_end *e, struct end *end, const struct group *g)
{
    struct label *labels =
        arena_alloc(t->y->arena, e->n_labels + g->n_matches, sizeof(struct label));
    const char *name = e->endpoint ? e->endpoint->name : e->asked;
    size_t n = e->n_labels;

    for (size_t i = 0; i < n; i++)
        labels[i] = e->labels[i];
    for (size_t i = 0; i < g->n_matches; i++) {
        const struct label_match *m = &g->matches[i];
        size_t at = 0;

        if (has_label(e, m))
            continue;
        while (at < n && strcmp(labels[at].key, m->key) != 0)
            at++;
        labels[at] = (struct label){m->key, m->values[0]};
        n += at == n;
    }
    why_suppose_groups(t->y, name, labels, n, g, end);
}

static void join(struct trial *t, const struct why_end *e, struct end *end, const struct group *g)
{
    const char *labels = missing_labels(t->y, g, e);
    const char *name = e->endpoint ? e->endpoint->name : e->asked;

    enter(t, e, end, g);
    if (g->kind == GROUP_MEMBERS)
        change(t, WHY_JOIN_GROUP, name, g->name,
               why_text(t->y, "add %s to group %s (list it under its members)", name, g->name));
    else if (e->endpoint)
        change(t, WHY_JOIN_GROUP, name, g->name,
               why_text(t->y, "add %s to group %s (labels %s)", name, g->name, labels));
    else
        change(t, WHY_ENROL, name, g->name,
               why_text(t->y, "put %s into the inventory, in group %s (labels %s)", name, g->name,
                        labels));
}

static void widen(struct trial *t, struct end *end, const struct group *g)
{
    const struct world *w = t->y->world;
    size_t index = (size_t)(g - w->policy->groups);

    end->groups.words = arena_copy(t->y->arena, end->groups.words, w->n_words, sizeof(uint64_t));
    end->groups.words[index / 64] |= UINT64_C(1) << (index % 64);
}

/* An address that is nobody's is outside; once it is an endpoint, it is not. */
static void leave_outside(struct trial *t, const struct why_end *e, struct end *end,
                          const struct group *outside, const struct group *inside)
{
    if (outside) {
        widen(t, end, outside);
        change(t, WHY_WIDEN_OUTSIDE, e->asked, outside->name,
               why_text(t->y, "add %s to the outside group %s", e->asked, outside->name));
        return;
    }
    if (e->end.is_multicast) {
        impossible(t, e->asked,
                   why_text(t->y, "nothing makes %s a part of %s: it is multicast or broadcast",
                            e->asked, inside->name));
        return;
    }
    t->enrols = true;
    t->possible = false; /* Which other groups it would be in is not known. */
    change(t, WHY_ENROL, e->asked, inside->name,
           why_text(t->y, "make %s the address of an endpoint in group %s%s%s%s", e->asked,
                    inside->name, inside->n_matches ? " (labels " : "",
                    missing_labels(t->y, inside, e), inside->n_matches ? ")" : ""));
}

static void fulfil_end(struct trial *t, const struct why_end *e, struct end *end,
                       const struct selector *s)
{
    const struct group *inside = easiest_group(t, s, e, false);
    const struct group *outside = easiest_group(t, s, e, true);

    if (e->is_known && !e->endpoint)
        leave_outside(t, e, end, outside, inside);
    else if (inside)
        join(t, e, end, inside);
    else
        impossible(t, e->name,
                   why_text(t->y, "nothing makes %s a part of %s: an endpoint is never outside",
                            e->name, outside->name));
}

/* ---- services ---- */

static void fulfil_service(struct trial *t, const struct match *m)
{
    const struct service *s = &t->y->world->policy->services[m->services[0]];

    if (!s->n_ports) {
        impossible(t, NULL, why_text(t->y, "the service %s has no ports", s->name));
        return;
    }
    t->facts.protocol = s->ports[0].protocol;
    t->facts.port = s->ports[0].low;
    change(t, WHY_USE_SERVICE, NULL, s->name,
           s->is_inline ? why_text(t->y, "use %s", s->name)
                        : why_text(t->y, "use the service %s", s->name));
}

static void add_enforcer(struct trial *t, const struct why_end *e, struct end *end,
                         enum enforcer enforcer)
{
    const char *name = enforcer == ENFORCER_HOST ? "host" : "edge";

    if (e->is_known && !e->endpoint && !t->enrols) {
        impossible(t, e->name,
                   why_text(t->y,
                            "%s is outside, where nobody can check it: only accept-weaker "
                            "in \"%s\" would let it pass",
                            e->name, t->rule->id));
        return;
    }
    if (end->enforcers & enforcer)
        return; /* Another condition has asked for it. */
    end->enforcers |= (uint8_t)enforcer;
    change(t, WHY_ADD_ENFORCER, e->endpoint ? e->endpoint->name : e->asked, name,
           enforcer == ENFORCER_HOST
               ? why_text(t->y, "run a host agent on %s (enforcers: [host])", e->name)
               : why_text(t->y, "put an edge in front of %s (enforcers: [edge])", e->name));
}

static void fulfil_function(struct trial *t, const struct match *m, enum why_state state)
{
    const struct policy *p = t->y->world->policy;
    bool to_inside = t->y->to.endpoint || !t->y->to.is_known;

    if (state == WHY_BLIND)
        add_enforcer(t, to_inside ? &t->y->to : &t->y->from, to_inside ? &t->to : &t->from,
                     ENFORCER_EDGE);
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &p->services[m->services[i]];

        if (!s->n_modbus || !service_has_port(s, t->facts.protocol, t->facts.port))
            continue;
        if (t->facts.modbus >= 0 && memchr(s->modbus, t->facts.modbus, s->n_modbus))
            return;
        t->facts.modbus = s->modbus[0];
        change(t, WHY_USE_FUNCTION, s->name, why_text(t->y, "%u", s->modbus[0]),
               why_text(t->y, "use a protocol function of %s, such as %u", s->name, s->modbus[0]));
        return;
    }
}

/* ---- programs and people ---- */

static bool is_told(const char *list[], size_t n, const char *s)
{
    for (size_t i = 0; s && i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

static void fulfil_process(struct trial *t, const struct match *m, enum why_state state)
{
    if (state == WHY_BLIND)
        add_enforcer(t, &t->y->from, &t->from, ENFORCER_HOST);
    if (is_told(m->processes, m->n_processes, t->facts.process))
        return;
    t->facts.process = m->processes[0];
    change(t, WHY_START_BY, t->y->from.name, m->processes[0],
           why_text(t->y, "start it by %s", m->processes[0]));
}

static void fulfil_served_by(struct trial *t, const struct match *m, enum why_state state)
{
    if (state == WHY_BLIND)
        add_enforcer(t, &t->y->to, &t->to, ENFORCER_HOST);
    if (is_told(m->served_by, m->n_served_by, t->facts.served_by))
        return;
    t->facts.served_by = m->served_by[0];
    change(t, WHY_SERVE_BY, t->y->to.name, m->served_by[0],
           why_text(t->y, "serve it by %s", m->served_by[0]));
}

static const char *somebody_of(const struct inventory *inv, const char *group)
{
    for (size_t i = 0; i < inv->n_users; i++)
        for (size_t k = 0; k < inv->users[i].n_groups; k++)
            if (strcmp(inv->users[i].groups[k], group) == 0)
                return inv->users[i].name;
    return NULL;
}

static void fulfil_user(struct trial *t, const struct match *m, enum why_state state)
{
    const struct case_of c = {t->y->world, &t->from, &t->to, &t->facts};
    const struct user_ref *u = &m->users[0];
    const char *name = u->is_group ? somebody_of(t->y->world->inventory, u->name) : u->name;

    if (state == WHY_BLIND)
        add_enforcer(t, &t->y->from, &t->from, ENFORCER_HOST);
    if (field_truth(&c, m, FIELD_USER) == TRUTH_YES)
        return;
    if (!name) {
        impossible(t, u->name,
                   why_text(t->y, "put a user into the group @%s: it has none", u->name));
        return;
    }
    t->facts.user = name;
    change(t, WHY_BE_USER, u->is_group ? why_text(t->y, "@%s", u->name) : u->name, name,
           u->is_group ? why_text(t->y, "do it as one of @%s, such as %s", u->name, name)
                       : why_text(t->y, "do it as %s", name));
}

/* ---- all of them ---- */

static void fulfil_one(struct trial *t, const struct why_condition *x)
{
    const struct match *m = &t->rule->match;

    switch (x->what) {
    case WHY_FROM:
        fulfil_end(t, &t->y->from, &t->from, &m->from);
        return;
    case WHY_TO:
        fulfil_end(t, &t->y->to, &t->to, &m->to);
        return;
    case WHY_SERVICE:
        fulfil_service(t, m);
        return;
    case WHY_FUNCTION:
        fulfil_function(t, m, x->state);
        return;
    case WHY_PROCESS:
        fulfil_process(t, m, x->state);
        return;
    case WHY_USER:
        fulfil_user(t, m, x->state);
        return;
    case WHY_SERVED_BY:
        fulfil_served_by(t, m, x->state);
        return;
    case WHY_EXPIRY:
        t->lived.expires_s = MODEL_NEVER_EXPIRES;
        change(t, WHY_RENEW, t->rule->id, NULL,
               why_text(t->y, "renew \"%s\" (expires), if %s still answers for it", t->rule->id,
                        t->rule->owner));
        return;
    case WHY_NAMED_SERVICE:
        t->possible = false;
        change(t, WHY_NAME_SERVICE, t->rule->id, NULL,
               why_text(t->y, "name the service in \"%s\"", t->rule->id));
        return;
    }
}

/* What a service that was chosen asks for besides: a function, and an edge that tells it. */
static void fulfil_rest(struct trial *t)
{
    struct case_of c = {t->y->world, &t->from, &t->to, &t->facts};
    const struct match *m = &t->rule->match;

    for (int round = 0; t->possible && round < ROUNDS; round++) {
        enum truth f = field_truth(&c, m, FIELD_SERVICE);

        if (field_grants(f, t->rule) ||
            !services_take_port(t->y->world->policy, m->services, m->n_services, t->facts.protocol,
                                t->facts.port))
            return;
        fulfil_function(t, m, f == TRUTH_BLIND ? WHY_BLIND : WHY_UNMET);
    }
}

static struct verdict_answer judge(struct trial *t, const struct rule *const rules[])
{
    const struct world *w = t->y->world;
    CLEANUP(free_voidp) void *memory = xcalloc(w->policy->n_rules, sizeof(struct rule *));
    const struct rule **all = memory;
    struct verdict_answer a;

    for (size_t i = 0; i < w->policy->n_rules; i++)
        all[i] = rules[i] == t->rule ? &t->lived : rules[i];
    a = verdict_judge(w, &t->from, &t->to, &t->facts, all, w->policy->n_rules);
    if (a.rule == &t->lived)
        a.rule = t->rule;
    return a;
}

void why_fulfil(struct why *y, struct why_rule *near, const struct rule *const rules[])
{
    struct trial t = {.y = y,
                      .rule = near->rule,
                      .lived = *near->rule,
                      .from = y->from.end,
                      .to = y->to.end,
                      .facts = y->facts,
                      .possible = true};

    for (size_t i = 0; i < near->n_conditions; i++)
        if (near->conditions[i].state != WHY_MET && near->conditions[i].state != WHY_ACCEPTED)
            fulfil_one(&t, &near->conditions[i]);
    fulfil_rest(&t);
    near->changes = arena_copy(y->arena, t.changes, t.n, sizeof *t.changes);
    near->n_changes = t.n;
    near->has_then = t.possible;
    if (t.possible)
        near->then = judge(&t, rules);
}
