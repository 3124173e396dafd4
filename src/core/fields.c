/* SPDX-License-Identifier: Apache-2.0 */
/* Field by field; see fields.h. */
#include "core/fields.h"

#include <string.h>

static bool in_list(const char *const list[], size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

static enum truth program_truth(const char **list, size_t n, const struct end *place,
                                const char *program)
{
    if (!n)
        return TRUTH_YES;
    if (!(place->enforcers & ENFORCER_HOST))
        return TRUTH_BLIND;
    if (!program)
        return TRUTH_UNTOLD;
    return in_list(list, n, program) ? TRUTH_YES : TRUTH_NO;
}

static bool user_is(const struct inventory *i, const struct user_ref *ref, const char *name)
{
    const struct user *u;

    if (!ref->is_group)
        return strcmp(ref->name, name) == 0;
    u = inventory_user(i, name);
    return u && in_list(u->groups, u->n_groups, ref->name);
}

static enum truth user_truth(const struct case_of *c, const struct match *m)
{
    if (!m->n_users)
        return TRUTH_YES;
    if (!(c->from->enforcers & ENFORCER_HOST))
        return TRUTH_BLIND;
    if (!c->facts->user)
        return TRUTH_UNTOLD;
    for (size_t i = 0; i < m->n_users; i++)
        if (user_is(c->w->inventory, &m->users[i], c->facts->user))
            return TRUTH_YES;
    return TRUTH_NO;
}

bool service_has_port(const struct service *s, uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < s->n_ports; i++)
        if (s->ports[i].protocol == protocol && s->ports[i].low <= port && port <= s->ports[i].high)
            return true;
    return false;
}

bool services_take_port(const struct policy *p, const uint32_t services[], size_t n_services,
                        uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < n_services; i++)
        if (service_has_port(&p->services[services[i]], protocol, port))
            return true;
    return n_services == 0;
}

static enum truth function_truth(const struct case_of *c, const struct service *s)
{
    if (!s->n_modbus)
        return TRUTH_YES;
    if (!((c->from->enforcers | c->to->enforcers) & ENFORCER_EDGE))
        return TRUTH_BLIND;
    if (c->facts->modbus < 0)
        return TRUTH_UNTOLD;
    return memchr(s->modbus, c->facts->modbus, s->n_modbus) ? TRUTH_YES : TRUTH_NO;
}

static enum truth service_truth(const struct case_of *c, const struct match *m)
{
    enum truth best = TRUTH_NO;

    if (!m->n_services)
        return TRUTH_YES;
    for (size_t i = 0; i < m->n_services && best != TRUTH_YES; i++) {
        const struct service *s = &c->w->policy->services[m->services[i]];
        enum truth t = service_has_port(s, c->facts->protocol, c->facts->port)
                           ? function_truth(c, s)
                           : TRUTH_NO;

        if (t != TRUTH_NO)
            best = t;
    }
    return best;
}

enum truth field_truth(const struct case_of *c, const struct match *m, enum field field)
{
    switch (field) {
    case FIELD_FROM:
        return selector_takes(&m->from, c->from) ? TRUTH_YES : TRUTH_NO;
    case FIELD_TO:
        return selector_takes(&m->to, c->to) ? TRUTH_YES : TRUTH_NO;
    case FIELD_SERVICE:
        return service_truth(c, m);
    case FIELD_PROCESS:
        return program_truth(m->processes, m->n_processes, c->from, c->facts->process);
    case FIELD_USER:
        return user_truth(c, m);
    case FIELD_SERVED_BY:
        return program_truth(m->served_by, m->n_served_by, c->to, c->facts->served_by);
    }
    return TRUTH_NO;
}

bool field_grants(enum truth t, const struct rule *r)
{
    return t == TRUTH_YES || (t == TRUTH_BLIND && r->accept_weaker);
}

static bool grant_matches(const struct case_of *c, const struct rule *r, const struct match *m)
{
    for (int f = FIELD_FROM; f < N_FIELDS; f++)
        if (!field_grants(field_truth(c, m, (enum field)f), r))
            return false;
    return true;
}

bool field_never_selects(const struct case_of *c, const struct rule *r)
{
    for (int f = FIELD_FROM; f < N_FIELDS; f++)
        if (field_truth(c, &r->match, (enum field)f) == TRUTH_NO)
            return false;
    return true;
}

bool field_reaches_multicast(const struct case_of *c, const struct match *m)
{
    return c->to->is_multicast && !m->n_services;
}

bool field_direction_fits(const struct case_of *c, const struct match *m)
{
    return c->from->trust == TRUST_BLACK ? m->to.given : m->from.given; /* Not both ends. */
}

static bool quarantine_matches(const struct case_of *c, const struct rule *r)
{
    const struct match *m = &r->match;

    return field_direction_fits(c, m) && !field_reaches_multicast(c, m) && grant_matches(c, r, m);
}

bool field_rule_matches(const struct case_of *c, const struct rule *r)
{
    if (!rule_is_alive(r, c->w->now_s))
        return false;
    if (r->layer == LAYER_QUARANTINE)
        return quarantine_matches(c, r);
    if (r->layer == LAYER_NEVER)
        return field_never_selects(c, r) && !(r->except && grant_matches(c, r, r->except));
    return !field_reaches_multicast(c, &r->match) && grant_matches(c, r, &r->match);
}
