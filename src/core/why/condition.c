/* SPDX-License-Identifier: Apache-2.0 */
/* What each condition of a rule said, and who can check it; see parts.h. */
#include "core/why/parts.h"

#include "base/buf.h"
#include "base/date.h"

enum { MAX_CONDITIONS = N_FIELDS + 3 }; /* A function, expiry, a named service. */

/* ---- lists, cut ---- */

struct list_text { /* "web or front or 12 more" */
    struct buf b;
    size_t n;
};

static void list_add(struct list_text *l, const char *before, const char *item)
{
    if (l->n++ < WHY_MAX_NAMED)
        buf_printf(&l->b, "%s%s%s", l->n > 1 ? " or " : "", before, item);
}

static const char *list_end(struct why *y, struct list_text *l)
{
    const char *text;

    if (l->n > WHY_MAX_NAMED)
        buf_printf(&l->b, " or %zu more", l->n - WHY_MAX_NAMED);
    text = arena_text(y->arena, buf_str(&l->b), l->b.size);
    buf_done(&l->b);
    return text;
}

static const char *wanted_groups(struct why *y, const struct selector *s)
{
    struct list_text l = {.b = BUF_INIT};

    for (size_t i = 0; i < s->n_groups; i++)
        list_add(&l, "", y->world->policy->groups[s->groups[i]].name);
    if (s->any)
        list_add(&l, "", "any");
    return list_end(y, &l);
}

static const char *wanted_programs(struct why *y, const char **list, size_t n)
{
    struct list_text l = {.b = BUF_INIT};

    for (size_t i = 0; i < n; i++)
        list_add(&l, "", list[i]);
    return list_end(y, &l);
}

static const char *wanted_users(struct why *y, const struct match *m)
{
    struct list_text l = {.b = BUF_INIT};

    for (size_t i = 0; i < m->n_users; i++)
        list_add(&l, m->users[i].is_group ? "one of @" : "", m->users[i].name);
    return list_end(y, &l);
}

static const char *wanted_services(struct why *y, const struct match *m)
{
    struct list_text l = {.b = BUF_INIT};

    for (size_t i = 0; i < m->n_services; i++)
        list_add(&l, "", y->world->policy->services[m->services[i]].name);
    return list_end(y, &l);
}

/* The functions of those services that have the port; "" when one of them asks for none. */
static const char *wanted_functions(struct why *y, const struct match *m)
{
    struct list_text l = {.b = BUF_INIT};

    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &y->world->policy->services[m->services[i]];

        if (!service_has_port(s, y->facts.protocol, y->facts.port))
            continue;
        if (!s->n_modbus) { /* Any function will do. */
            buf_done(&l.b);
            return "";
        }
        for (size_t k = 0; k < s->n_modbus; k++)
            list_add(&l, "", why_text(y, "%u", s->modbus[k]));
    }
    return list_end(y, &l);
}

/* ---- one condition ---- */

static enum why_state state_of(enum truth t, const struct rule *r, bool grants)
{
    switch (t) {
    case TRUTH_NO:
        return WHY_UNMET;
    case TRUTH_YES:
        return WHY_MET;
    case TRUTH_UNTOLD:
        return WHY_UNTOLD;
    case TRUTH_BLIND:
        return grants && r->accept_weaker ? WHY_ACCEPTED : WHY_BLIND;
    }
    return WHY_UNMET;
}

struct scene { /* One rule's fields, being looked at. */
    struct why *y;
    const struct case_of *c;
    const struct rule *rule;
    const struct match *m;
    bool grants; /* Closed to what nobody can tell. */
    struct why_condition *out;
    size_t n;
};

static const char *unseen(const struct scene *s)
{
    return s->grants ? "" : ", so that it counts as met";
}

static void say_group(const struct scene *s, struct why_condition *x, const struct why_end *e)
{
    const char *is = x->state == WHY_MET ? "is in" : "is not in";

    x->found = e->groups[0] ? e->groups : "no group";
    if (strcmp(x->wanted, "any") == 0)
        x->text = x->what == WHY_FROM ? "any source will do" : "any destination will do";
    else
        x->text = why_text(s->y, "%s %s %s", e->name, is, x->wanted);
}

/* Program, serving program and user alike: "what" is seen at 'place' by its host agent. */
static void say_seen(const struct scene *s, struct why_condition *x, const char *what,
                     const struct why_end *place)
{
    switch (x->state) {
    case WHY_MET:
        x->text = x->what == WHY_USER && strcmp(x->found, x->wanted) != 0
                      ? why_text(s->y, "the user %s is %s", x->found, x->wanted)
                      : why_text(s->y, "the %s is %s", what, x->found);
        return;
    case WHY_UNMET:
        x->text = why_text(s->y, "the %s is %s, and it must be %s", what, x->found, x->wanted);
        return;
    case WHY_UNTOLD:
        x->text =
            s->grants
                ? why_text(s->y, "the %s is not told, and it must be %s", what, x->wanted)
                : why_text(s->y, "the %s is not told, and may be %s%s", what, x->wanted, unseen(s));
        return;
    case WHY_BLIND:
        x->text = s->grants
                      ? why_text(s->y, "no host agent at %s can tell the %s, and it must be %s",
                                 place->name, what, x->wanted)
                      : why_text(s->y, "no host agent at %s can tell the %s%s", place->name, what,
                                 unseen(s));
        return;
    case WHY_ACCEPTED:
        x->text = why_text(s->y, "no host agent at %s can tell the %s; accepted: %s", place->name,
                           what, s->rule->accept_weaker);
        return;
    }
}

static void say_function(const struct scene *s, struct why_condition *x)
{
    switch (x->state) {
    case WHY_MET:
        x->text = why_text(s->y, "the protocol function %s is one of %s", x->found, x->wanted);
        return;
    case WHY_UNMET:
        x->text =
            why_text(s->y, "the protocol function is %s, and it must be %s", x->found, x->wanted);
        return;
    case WHY_UNTOLD:
        x->text = why_text(s->y, "the protocol function is not told%s%s",
                           s->grants ? ", and it must be " : unseen(s), s->grants ? x->wanted : "");
        return;
    case WHY_BLIND:
        x->text = why_text(s->y, "no edge at either end can tell the protocol function%s%s",
                           s->grants ? ", and it must be " : unseen(s), s->grants ? x->wanted : "");
        return;
    case WHY_ACCEPTED:
        x->text = why_text(s->y,
                           "no edge at either end can tell the protocol function; accepted: "
                           "%s",
                           s->rule->accept_weaker);
        return;
    }
}

static void add_service(struct scene *s, enum truth t)
{
    const struct match *m = s->m;
    bool takes_port = services_take_port(s->y->world->policy, m->services, m->n_services,
                                         s->y->facts.protocol, s->y->facts.port);
    struct why_condition *x = &s->out[s->n++];
    const char *functions;

    *x = (struct why_condition){.what = WHY_SERVICE,
                                .state = takes_port ? WHY_MET : WHY_UNMET,
                                .at_from = s->c->from->enforcers,
                                .at_to = s->c->to->enforcers,
                                .found = why_port_text(s->y),
                                .wanted = wanted_services(s->y, m)};
    if (!takes_port)
        x->text = why_text(s->y, "the service is %s, and it must be %s", x->found, x->wanted);
    else if (strcmp(x->found, x->wanted) == 0)
        x->text = why_text(s->y, "the service is %s", x->found);
    else
        x->text = why_text(s->y, "%s is %s", x->found, x->wanted);
    functions = takes_port ? wanted_functions(s->y, m) : "";
    if (!functions[0])
        return;
    x = &s->out[s->n++];
    *x = (struct why_condition){.what = WHY_FUNCTION,
                                .state = state_of(t, s->rule, s->grants),
                                .at_from = s->c->from->enforcers & ENFORCER_EDGE,
                                .at_to = s->c->to->enforcers & ENFORCER_EDGE,
                                .wanted = functions};
    if (s->y->facts.modbus >= 0)
        x->found = why_text(s->y, "%d", s->y->facts.modbus);
    say_function(s, x);
}

static void add_field(struct scene *s, enum field field)
{
    const struct match *m = s->m;
    struct why *y = s->y;
    const enum truth t = field_truth(s->c, m, field);
    struct why_condition x = {.state = state_of(t, s->rule, s->grants),
                              .at_from = s->c->from->enforcers,
                              .at_to = s->c->to->enforcers};

    switch (field) {
    case FIELD_FROM:
    case FIELD_TO:
        x.what = field == FIELD_FROM ? WHY_FROM : WHY_TO;
        x.wanted = wanted_groups(y, field == FIELD_FROM ? &m->from : &m->to);
        say_group(s, &x, field == FIELD_FROM ? &y->from : &y->to);
        break;
    case FIELD_SERVICE:
        add_service(s, t);
        return;
    case FIELD_PROCESS:
        x.what = WHY_PROCESS;
        x.found = y->facts.process;
        x.wanted = wanted_programs(y, m->processes, m->n_processes);
        x.at_from &= ENFORCER_HOST;
        x.at_to = 0;
        say_seen(s, &x, "program", &y->from);
        break;
    case FIELD_USER:
        x.what = WHY_USER;
        x.found = y->facts.user;
        x.wanted = wanted_users(y, m);
        x.at_from &= ENFORCER_HOST;
        x.at_to = 0;
        say_seen(s, &x, "user", &y->from);
        break;
    case FIELD_SERVED_BY:
        x.what = WHY_SERVED_BY;
        x.found = y->facts.served_by;
        x.wanted = wanted_programs(y, m->served_by, m->n_served_by);
        x.at_from = 0;
        x.at_to &= ENFORCER_HOST;
        say_seen(s, &x, "serving program", &y->to);
        break;
    }
    s->out[s->n++] = x;
}

static bool is_stated(const struct match *m, enum field field)
{
    switch (field) {
    case FIELD_FROM:
        return m->from.given;
    case FIELD_TO:
        return m->to.given;
    case FIELD_SERVICE:
        return m->n_services > 0;
    case FIELD_PROCESS:
        return m->n_processes > 0;
    case FIELD_USER:
        return m->n_users > 0;
    case FIELD_SERVED_BY:
        return m->n_served_by > 0;
    }
    return false;
}

static void add_fields(struct scene *s)
{
    for (int f = FIELD_FROM; f < N_FIELDS; f++)
        if (is_stated(s->m, (enum field)f))
            add_field(s, (enum field)f);
}

/* ---- of the whole rule ---- */

static void add_expiry(struct scene *s)
{
    bool alive = rule_is_alive(s->rule, s->y->world->now_s);
    char last[DATE_TEXT_SIZE], today[DATE_TEXT_SIZE];
    struct why_condition *x;

    if (s->rule->expires_s == MODEL_NEVER_EXPIRES)
        return;
    (void)date_format(s->rule->expires_s - DATE_DAY_S, last);
    x = &s->out[s->n++];
    *x = (struct why_condition){
        .what = WHY_EXPIRY,
        .state = alive ? WHY_MET : WHY_UNMET,
        .found = why_text(s->y, "%s", date_format(s->y->world->now_s, today)),
        .wanted = why_text(s->y, "until %s", last),
        .text = why_text(s->y, alive ? "it holds until %s" : "it expired at the end of %s", last),
    };
}

static void add_whole(struct scene *s)
{
    const struct rule *r = s->rule;

    add_expiry(s);
    if (r->layer != LAYER_NEVER && field_reaches_multicast(s->c, s->m))
        s->out[s->n++] = (struct why_condition){
            .what = WHY_NAMED_SERVICE,
            .state = WHY_UNMET,
            .wanted = "a named service",
            .text = "groups of machines are reached only by a named service"};
}

/* What keeps it from matching: for a never only what is known not to hold. */
static size_t count_lacks(const struct scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += s->out[i].state == WHY_UNMET ||
             (s->grants && (s->out[i].state == WHY_UNTOLD || s->out[i].state == WHY_BLIND));
    return n;
}

static void take(struct scene *s, struct why_condition **ret_list, size_t *ret_n)
{
    *ret_list = arena_copy(s->y->arena, s->out, s->n, sizeof *s->out);
    *ret_n = s->n;
    s->n = 0;
}

struct why_rule why_look_at(struct why *y, const struct case_of *c, const struct rule *r)
{
    struct why_condition room[MAX_CONDITIONS];
    struct scene s = {y, c, r, &r->match, r->layer != LAYER_NEVER, room, 0};
    struct why_rule x = {.rule = r};

    add_fields(&s);
    add_whole(&s);
    x.n_lacks = count_lacks(&s);
    take(&s, &x.conditions, &x.n_conditions);
    if (!r->except)
        return x;
    s.m = r->except;
    s.grants = true;
    add_fields(&s);
    x.is_excepted = count_lacks(&s) == 0;
    take(&s, &x.excepts, &x.n_excepts);
    return x;
}

struct why_lacks why_count_lacks(const struct case_of *c, const struct rule *r)
{
    struct why_lacks n = {.differing = 0};

    for (int f = FIELD_FROM; f < N_FIELDS; f++) {
        enum truth t = field_truth(c, &r->match, (enum field)f);

        if (t == TRUTH_UNTOLD) {
            n.untold++;
        } else if (!field_grants(t, r)) {
            n.differing++;
            n.main += f <= FIELD_SERVICE;
        }
    }
    n.differing += !rule_is_alive(r, c->w->now_s);
    n.differing += field_reaches_multicast(c, &r->match);
    return n;
}
