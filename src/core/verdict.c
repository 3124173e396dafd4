/* SPDX-License-Identifier: Apache-2.0 */
/* Layers from the top, and what is true of each field; see verdict.h. */
#include "core/verdict.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "base/date.h"

#ifdef PLANT_LAXER_END_DECIDES
#define PLANTED_LAXER_END true
#else
#define PLANTED_LAXER_END false
#endif

enum truth {
    TRUTH_NO,
    TRUTH_YES,
    TRUTH_UNTOLD, /* The query does not say. */
    TRUTH_BLIND,  /* No enforcer there can see it. */
};

enum { NEAREST_SHOWN = 3, FIELDS = 6 };

struct case_of { /* One connection, looked at. */
    const struct world *w;
    const struct end *from, *to;
    const struct verdict_facts *facts;
};

/* ---- fields ---- */

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

static bool has_port(const struct service *s, uint8_t protocol, uint16_t port)
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
        if (has_port(&p->services[services[i]], protocol, port))
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
        enum truth t =
            has_port(s, c->facts->protocol, c->facts->port) ? function_truth(c, s) : TRUTH_NO;

        if (t != TRUTH_NO)
            best = t;
    }
    return best;
}

enum field { FIELD_FROM, FIELD_TO, FIELD_SERVICE, FIELD_PROCESS, FIELD_USER, FIELD_SERVED_BY };

static enum truth field_truth(const struct case_of *c, const struct match *m, enum field field)
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

/* What grants something is open only where every field is known to hold. */
static bool grants(enum truth t, const struct rule *r)
{
    return t == TRUTH_YES || (t == TRUTH_BLIND && r->accept_weaker);
}

static bool grant_matches(const struct case_of *c, const struct rule *r, const struct match *m)
{
    for (int f = FIELD_FROM; f < FIELDS; f++)
        if (!grants(field_truth(c, m, (enum field)f), r))
            return false;
    return true;
}

/* What forbids is left out only where some field is known not to hold. */
static bool never_selects(const struct case_of *c, const struct rule *r)
{
    for (int f = FIELD_FROM; f < FIELDS; f++)
        if (field_truth(c, &r->match, (enum field)f) == TRUTH_NO)
            return false;
    return true;
}

/* A group of machines is never reached by saying nothing about the service. */
static bool reaches_multicast(const struct case_of *c, const struct match *m)
{
    return c->to->is_multicast && !m->n_services;
}

static bool quarantine_matches(const struct case_of *c, const struct rule *r)
{
    const struct match *m = &r->match;
    bool direction =
        c->from->trust == TRUST_BLACK ? m->to.given : m->from.given; /* Not both ends. */

    return direction && !reaches_multicast(c, m) && grant_matches(c, r, m);
}

static bool rule_matches(const struct case_of *c, const struct rule *r)
{
    if (!rule_is_alive(r, c->w->now_s))
        return false;
    if (r->layer == LAYER_QUARANTINE)
        return quarantine_matches(c, r);
    if (r->layer == LAYER_NEVER)
        return never_selects(c, r) && !(r->except && grant_matches(c, r, r->except));
    return !reaches_multicast(c, &r->match) && grant_matches(c, r, &r->match);
}

/* ---- layers ---- */

static const struct rule *find_match(const struct case_of *c, enum layer layer,
                                     const struct rule *const rules[], size_t n)
{
    const struct rule *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (rules[i]->layer == layer && (!best || strcmp(rules[i]->id, best->id) < 0) &&
            rule_matches(c, rules[i]))
            best = rules[i];
    return best;
}

/* The stricter end decides.  The planted error (tests/meson.build) is "if either end is in test
 * mode, only report": it passes every test of a policy, and opens the way over the lax one. */
static enum mode mode_of_both(enum mode a, enum mode b)
{
    if (PLANTED_LAXER_END && (a == MODE_TEST || b == MODE_TEST))
        return MODE_TEST;
    return a > b ? a : b;
}

static struct verdict_answer answer_of(const struct case_of *c, enum layer layer,
                                       enum verdict verdict, const struct rule *rule)
{
    struct verdict_answer a = {.verdict = verdict, .layer = layer, .rule = rule};

    a.mode = mode_of_both(c->from->mode, c->to->mode);
    if (layer == LAYER_DEFAULT && (a.mode == MODE_LEARN || a.mode == MODE_TEST))
        a.verdict = VERDICT_WOULD_DENY;
    a.enforced = a.verdict == VERDICT_ALLOW ||
                 (a.verdict == VERDICT_DENY && (c->from->enforcers | c->to->enforcers));
    return a;
}

struct verdict_answer verdict_judge(const struct world *w, const struct end *from,
                                    const struct end *to, const struct verdict_facts *facts,
                                    const struct rule *const rules[], size_t n_rules)
{
    const struct case_of c = {w, from, to, facts};
    bool both = from->trust == TRUST_BLACK && to->trust == TRUST_BLACK;
    const struct rule *r;

    if (from->trust == TRUST_BLACK || to->trust == TRUST_BLACK) {
        r = both ? NULL : find_match(&c, LAYER_QUARANTINE, rules, n_rules);
        return answer_of(&c, LAYER_QUARANTINE, r ? VERDICT_ALLOW : VERDICT_DENY, r);
    }
    r = find_match(&c, LAYER_NEVER, rules, n_rules);
    if (r)
        return answer_of(&c, LAYER_NEVER, VERDICT_DENY, r);
    r = find_match(&c, LAYER_ALLOW, rules, n_rules);
    if (r)
        return answer_of(&c, LAYER_ALLOW, VERDICT_ALLOW, r);
    return answer_of(&c, LAYER_DEFAULT, VERDICT_DENY, NULL);
}

/* ---- why ---- */

void sentences_done(struct sentences *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i]);
    free(s->items);
    *s = (struct sentences){.items = NULL};
}

static void say(struct sentences *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentences *s, const char *format, ...)
{
    struct buf b = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    GROW(s->items, s->n, s->room);
    s->items[s->n++] = buf_take(&b);
}

struct names { /* The ends as the query named them. */
    const char *from, *to;
};

static void list_groups(struct buf *b, const struct world *w, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        buf_printf(b, "%s%s", i ? " or " : "", w->policy->groups[s->groups[i]].name);
}

static void list_texts(struct buf *b, const char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? " or " : "", list[i]);
}

static void explain_program(struct buf *b, enum truth t, const char *what, const char *place,
                            const char *program, const char **list, size_t n)
{
    if (t == TRUTH_BLIND)
        buf_printf(b, "no host agent at %s can tell the %s", place, what);
    else if (t == TRUTH_UNTOLD)
        buf_printf(b, "the %s is not told", what);
    else
        buf_printf(b, "the %s is %s", what, program);
    buf_puts(b, ", and it must be ");
    list_texts(b, list, n);
}

static void explain_user(struct buf *b, enum truth t, const struct case_of *c,
                         const struct match *m, const struct names *names)
{
    if (t == TRUTH_BLIND)
        buf_printf(b, "no host agent at %s can tell the user", names->from);
    else if (t == TRUTH_UNTOLD)
        buf_puts(b, "the user is not told");
    else
        buf_printf(b, "the user is %s", c->facts->user);
    buf_puts(b, ", and must be ");
    for (size_t i = 0; i < m->n_users; i++)
        buf_printf(b, "%s%s%s", i ? " or " : "", m->users[i].is_group ? "one of @" : "",
                   m->users[i].name);
}

static void explain_service(struct buf *b, enum truth t, const struct case_of *c,
                            const struct match *m)
{
    if (t == TRUTH_BLIND)
        buf_puts(b, "no edge at either end can tell the protocol function of ");
    else if (t == TRUTH_UNTOLD)
        buf_puts(b, "the protocol function is not told for ");
    else
        buf_puts(b, "the service must be ");
    for (size_t i = 0; i < m->n_services; i++)
        buf_printf(b, "%s%s", i ? " or " : "", c->w->policy->services[m->services[i]].name);
}

/* One field that keeps a grant from matching. */
static void explain_field(struct buf *b, const struct case_of *c, const struct match *m,
                          enum field field, const struct names *names)
{
    enum truth t = field_truth(c, m, field);

    switch (field) {
    case FIELD_FROM:
        buf_printf(b, "%s is not in ", names->from);
        list_groups(b, c->w, &m->from);
        break;
    case FIELD_TO:
        buf_printf(b, "%s is not in ", names->to);
        list_groups(b, c->w, &m->to);
        break;
    case FIELD_SERVICE:
        explain_service(b, t, c, m);
        break;
    case FIELD_PROCESS:
        explain_program(b, t, "program", names->from, c->facts->process, m->processes,
                        m->n_processes);
        break;
    case FIELD_USER:
        explain_user(b, t, c, m, names);
        break;
    case FIELD_SERVED_BY:
        explain_program(b, t, "serving program", names->to, c->facts->served_by, m->served_by,
                        m->n_served_by);
        break;
    }
}

/* What all is missing for this grant; returns the number of fields. */
static size_t explain_lacks(struct buf *b, const struct case_of *c, const struct rule *r,
                            const struct match *m, const struct names *names)
{
    size_t n = 0;

    for (int f = FIELD_FROM; f < FIELDS; f++) {
        if (grants(field_truth(c, m, (enum field)f), r))
            continue;
        if (b) {
            buf_puts(b, n ? "; " : "");
            explain_field(b, c, m, (enum field)f, names);
        }
        n++;
    }
    if (!rule_is_alive(r, c->w->now_s)) {
        char day[DATE_TEXT_SIZE];

        if (b)
            buf_printf(b, "%sit expired at the end of %s", n ? "; " : "",
                       date_format(r->expires_s - DATE_DAY_S, day));
        n++;
    }
    if (m == &r->match && reaches_multicast(c, m)) {
        if (b)
            buf_printf(b, "%sgroups of machines are reached only by a named service",
                       n ? "; " : "");
        n++;
    }
    return n;
}

struct candidate {
    const struct rule *rule;
    size_t lacks;
};

static int by_lacks(const void *a_, const void *b_)
{
    const struct candidate *a = a_, *b = b_;

    if (a->lacks != b->lacks)
        return a->lacks > b->lacks ? 1 : -1;
    return strcmp(a->rule->id, b->rule->id);
}

/* The grants of this layer that come closest, and what each lacks. */
static void say_nearest(struct sentences *why, const struct case_of *c, enum layer layer,
                        const struct names *names)
{
    const struct policy *p = c->w->policy;
    CLEANUP(free_voidp) void *memory = xcalloc(p->n_rules, sizeof(struct candidate));
    struct candidate *all = memory;
    size_t n = 0;

    for (size_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].layer == layer)
            all[n++] = (struct candidate){
                &p->rules[i], explain_lacks(NULL, c, &p->rules[i], &p->rules[i].match, names)};
    qsort(all, n, sizeof *all, by_lacks);
    if (!n && layer == LAYER_ALLOW)
        say(why, "an empty allow list means nothing is allowed");
    for (size_t i = 0; i < n && i < NEAREST_SHOWN && all[i].lacks <= all[0].lacks + 1; i++) {
        struct buf b = BUF_INIT;

        (void)explain_lacks(&b, c, all[i].rule, &all[i].rule->match, names);
        say(why, "the %s %s \"%s\" does not apply: %s", i ? "next" : "nearest",
            layer == LAYER_ALLOW ? "allow" : "quarantine rule", all[i].rule->id, buf_str(&b));
        buf_done(&b);
    }
}

static void say_quarantine(struct sentences *why, const struct case_of *c,
                           const struct verdict_answer *a, const struct names *names)
{
    bool from = c->from->trust == TRUST_BLACK, to = c->to->trust == TRUST_BLACK;

    if (!from && !to) {
        say(why, "quarantine: neither end is a suspect");
    } else if (from && to) {
        say(why, "quarantine: %s and %s are both suspects (black): deny", names->from, names->to);
    } else if (a->rule) {
        say(why, "quarantine: %s is a suspect (black), and \"%s\" allows it: %s — %s",
            from ? names->from : names->to, a->rule->id, a->rule->why, a->rule->owner);
    } else {
        say(why, "quarantine: %s is a suspect (black), and no quarantine rule allows it: deny",
            from ? names->from : names->to);
        say_nearest(why, c, LAYER_QUARANTINE, names);
    }
}

static void say_never(struct sentences *why, const struct case_of *c,
                      const struct verdict_answer *a, const struct names *names)
{
    const struct policy *p = c->w->policy;
    bool excepted = false;

    if (a->layer == LAYER_NEVER) {
        say(why, "never: \"%s\" forbids it: %s — %s", a->rule->id, a->rule->why, a->rule->owner);
        if (a->rule->except) {
            struct buf b = BUF_INIT;

            (void)explain_lacks(&b, c, a->rule, a->rule->except, names);
            say(why, "its exception does not apply: %s", buf_str(&b));
            buf_done(&b);
        }
        return;
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        if (r->layer != LAYER_NEVER || !rule_is_alive(r, c->w->now_s) || !never_selects(c, r))
            continue;
        say(why, "never: \"%s\" would forbid it, but its exception applies", r->id);
        excepted = true;
    }
    if (!excepted)
        say(why, "never: no rule forbids it");
}

static void say_default(struct sentences *why, const struct case_of *c,
                        const struct verdict_answer *a, const struct names *names)
{
    say(why, "allow: no rule names it");
    if (a->verdict == VERDICT_WOULD_DENY)
        say(why, "default: it would be denied, but the stricter mode of both ends is %s: %s",
            mode_name(a->mode), a->mode == MODE_TEST ? "reported, not enforced" : "only learned");
    else
        say(why, "default: nothing is allowed unless an allow names it: deny%s",
            a->enforced ? "" : ", though no enforcer at either end carries it out");
    say_nearest(why, c, LAYER_ALLOW, names);
}

static void explain(struct sentences *why, const struct case_of *c, const struct verdict_answer *a,
                    const struct names *names)
{
    say(why, "lifeline: it is not one of its connections");
    say_quarantine(why, c, a, names);
    if (a->layer == LAYER_QUARANTINE)
        return;
    say(why, "break-glass: nobody has opened it");
    say_never(why, c, a, names);
    if (a->layer == LAYER_NEVER)
        return;
    if (a->layer == LAYER_ALLOW)
        say(why, "allow: \"%s\" names it: %s — %s", a->rule->id, a->rule->why, a->rule->owner);
    else
        say_default(why, c, a, names);
}

/* ---- queries ---- */

/* 127.0.0.0/8 and ::1. */
static bool is_loopback(const struct address *a)
{
    static const struct address one = {.bytes = {[15] = 1}};

    return address_is_v4(a) ? a->bytes[12] == 127 : address_compare(a, &one) == 0;
}

int verdict(const struct world *w, const struct verdict_query *q, struct verdict_answer *ret_answer,
            struct sentences *why, const char **ret_what)
{
    const struct verdict_facts facts = {q->protocol,  q->port, q->process,
                                        q->served_by, q->user, q->modbus};
    struct address from_address = {.bytes = {0}}, to_address = {.bytes = {0}};
    const struct names names = {q->from, q->to};
    CLEANUP(free_voidp) void *memory = NULL;
    const struct rule **rules;
    struct end from, to;

    *ret_what = "from";
    if (world_end(w, q->from, &from, &from_address) < 0)
        return -ENOENT;
    *ret_what = "to";
    if (world_end(w, q->to, &to, &to_address) < 0)
        return -ENOENT;

    if ((from.endpoint && from.endpoint == to.endpoint) || is_loopback(&to_address)) {
        *ret_answer = (struct verdict_answer){
            .verdict = VERDICT_ALLOW, .layer = LAYER_LIFELINE, .enforced = true, .mode = from.mode};
        if (why)
            say(why, "lifeline: an endpoint always reaches itself: the box is the compartment");
        return 0;
    }
    memory = xcalloc(w->policy->n_rules, sizeof *rules);
    rules = memory;
    for (size_t i = 0; i < w->policy->n_rules; i++)
        rules[i] = &w->policy->rules[i];
    *ret_answer = verdict_judge(w, &from, &to, &facts, rules, w->policy->n_rules);
    if (why)
        explain(why, &(struct case_of){w, &from, &to, &facts}, ret_answer, &names);
    return 0;
}
