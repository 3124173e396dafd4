/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's own tests, asked of the verdict; see lint.h and tests.h. */
#include "core/tests.h"

#include "base/buf.h"
#include "core/lint.h"
#include "core/why.h"

enum { NEAREST_SOUGHT = 20 }; /* Each is compared with all endpoints. */

struct asking {
    const struct test_run *run;
    const struct rule **rules;
    size_t n_rules;
    const struct end *from, *to;
    struct list *deciders; /* NULL: nobody wants to know. */
    struct diagnostics *d; /* NULL: quiet. */
};

static void describe(struct buf *b, const char *verdict, const char *by, int enforced)
{
    buf_puts(b, verdict);
    if (by)
        buf_printf(b, " by %s", by);
    if (enforced >= 0)
        buf_printf(b, ", %senforced", enforced ? "" : "not ");
}

static bool is_expected(const struct policy_test *t, const struct verdict_answer *a)
{
    bool word = a->verdict == t->expect ||
                (t->expect == VERDICT_DENY && a->verdict == VERDICT_WOULD_DENY && t->enforced == 0);
    const char *id = a->rule ? a->rule->id : "";

    if (t->by && strcmp(t->by, id) != 0 && strcmp(t->by, layer_name(a->layer)) != 0)
        return false;
    return word && (t->enforced < 0 || t->enforced == a->enforced);
}

/* Asks once more, for the reasons. */
static void report(const struct asking *q, const struct verdict_facts *f,
                   const struct verdict_answer *a)
{
    const struct policy_test *t = q->run->test;
    const struct policy *p = q->run->world->policy;
    const struct verdict_query query = {.from = t->from.name,
                                        .to = t->to.name,
                                        .protocol = f->protocol,
                                        .port = f->port,
                                        .process = f->process,
                                        .served_by = f->served_by,
                                        .user = f->user,
                                        .modbus = f->modbus};
    CLEANUP(why_freep)
    struct why *y = why_new(q->run->world, &(struct why_question){.verdict = query});
    CLEANUP(sentences_done) struct sentences why = {.items = NULL};
    CLEANUP(buf_done) struct buf found = BUF_INIT, wanted = BUF_INIT;
    struct diagnostic *x;

    describe(&found, verdict_name(a->verdict), a->rule ? a->rule->id : layer_name(a->layer),
             t->enforced >= 0 ? a->enforced : -1);
    describe(&wanted, verdict_name(t->expect), t->by, t->enforced);
    x = diagnostics_add(q->d, CODE_TEST, &t->place, "%s to %s by %s (%u): %s", t->from.name,
                        t->to.name, p->services[t->service].name, f->port, buf_str(&found));
    diagnostic_expected(x, "%s", buf_str(&wanted));
    why_sentences(y, &why);
    diagnostic_fix(x, "see why: %s", why.items[why.n - 1]);
}

static bool holds_for(const struct asking *q, uint8_t protocol, uint16_t port, int modbus)
{
    const struct policy_test *t = q->run->test;
    const struct verdict_facts f = {protocol, port, t->process, t->served_by, t->user, modbus};
    struct verdict_answer a = {
        .verdict = VERDICT_ALLOW, .layer = LAYER_LIFELINE, .enforced = true, .mode = q->from->mode};
    bool ok;

    if (!q->run->lifeline)
        a = verdict_judge(q->run->world, q->from, q->to, &f, q->rules, q->n_rules);
    ok = is_expected(t, &a);
    if (q->deciders && !ok)
        q->deciders->n = 0; /* It stays as it is while this answer does. */
    if (q->deciders && a.rule)
        list_add(q->deciders, a.rule->index);
    if (!ok && q->d)
        report(q, &f, &a);
    return ok;
}

/* All functions that the service names, when the test tells none. */
static bool holds_for_functions(const struct asking *q, uint8_t protocol, uint16_t port)
{
    const struct policy_test *t = q->run->test;
    const struct service *s = &q->run->world->policy->services[t->service];

    if (t->modbus >= 0 || !s->n_modbus)
        return holds_for(q, protocol, port, t->modbus);
    for (size_t i = 0; i < s->n_modbus; i++)
        if (!holds_for(q, protocol, port, s->modbus[i]))
            return false;
    return true;
}

/* Within a range, the verdict can change only where some service begins or ends. */
static bool holds_for_range(const struct asking *q, const struct port_range *r)
{
    const struct policy *p = q->run->world->policy;

    if (!holds_for_functions(q, r->protocol, r->low))
        return false;
    for (size_t i = 0; r->low < r->high && i < p->n_services; i++)
        for (size_t k = 0; k < p->services[i].n_ports; k++) {
            const struct port_range *s = &p->services[i].ports[k];

            if (s->protocol != r->protocol)
                continue;
            if (s->low > r->low && s->low <= r->high &&
                !holds_for_functions(q, r->protocol, s->low))
                return false;
            if (s->high >= r->low && s->high < r->high &&
                !holds_for_functions(q, r->protocol, (uint16_t)(s->high + 1)))
                return false;
        }
    return true;
}

static bool holds(const struct asking *q)
{
    const struct service *s = &q->run->world->policy->services[q->run->test->service];

    for (size_t k = 0; k < s->n_ports; k++)
        if (!holds_for_range(q, &s->ports[k]))
            return false;
    return true;
}

/* ---- one test ---- */

bool test_run_init(struct test_run *t, const struct world *w, size_t i)
{
    const struct policy_test *test = &w->policy->tests[i];
    const struct verdict_query query = {.from = test->from.name, .to = test->to.name};
    struct verdict_answer a;
    struct address address;
    const char *what;

    *t = (struct test_run){.world = w, .test = test};
    if (verdict(w, &query, &a, &what) < 0 ||
        world_end(w, test->from.name, &t->from, &address) < 0 ||
        world_end(w, test->to.name, &t->to, &address) < 0)
        return false;
    t->lifeline = a.layer == LAYER_LIFELINE;
    t->rules = xcalloc(w->policy->n_rules, sizeof *t->rules);
    for (size_t k = 0; k < w->policy->n_rules; k++) {
        const struct match *m = &w->policy->rules[k].match;

        if (selector_takes(&m->from, &t->from) && selector_takes(&m->to, &t->to))
            t->rules[t->n_rules++] = &w->policy->rules[k];
    }
    return true;
}

void test_run_done(struct test_run *t)
{
    free(t->rules);
    *t = (struct test_run){.rules = NULL};
}

bool test_run_holds(const struct test_run *t, const struct rule *without, const struct end *from,
                    const struct end *to, struct list *deciders)
{
    CLEANUP(free_voidp) void *memory = xcalloc(t->n_rules, sizeof *t->rules);
    struct asking q = {t, memory, 0, from, to, deciders, NULL};
    bool ok;

    for (size_t i = 0; i < t->n_rules; i++)
        if (t->rules[i] != without)
            q.rules[q.n_rules++] = t->rules[i];
    if (deciders)
        deciders->n = 0;
    ok = holds(&q);
    if (deciders)
        list_sort(deciders);
    return ok;
}

/* ---- all, with their findings ---- */

/* Not in the inventory: the test cannot be asked. */
static bool is_known(const struct world *w, const struct named *end, struct diagnostics *d)
{
    struct nearest near = nearest_to(end->name);
    struct address a;
    struct diagnostic *x;

    if (inventory_endpoint(w->inventory, end->name) || address_parse(end->name, &a) == 0)
        return true;
    for (size_t k = 0; d->n < NEAREST_SOUGHT && k < w->inventory->n_endpoints; k++)
        nearest_offer(&near, w->inventory->endpoints[k].name);
    x = diagnostics_add(d, CODE_UNKNOWN, &end->place, "no endpoint is named \"%s\"", end->name);
    diagnostic_expected(x, "an endpoint of the inventory, or an address");
    diagnostic_nearest(x, near.best);
    return false;
}

bool policy_run_test(const struct world *w, size_t i, struct diagnostics *d)
{
    const struct policy_test *test = &w->policy->tests[i];
    bool from_known = is_known(w, &test->from, d), known = is_known(w, &test->to, d) && from_known;
    struct test_run run;
    struct asking q = {.run = &run, .from = &run.from, .to = &run.to, .d = d};
    bool ok;

    if (!known || !test_run_init(&run, w, i))
        return false;
    q.rules = run.rules;
    q.n_rules = run.n_rules;
    ok = holds(&q);
    test_run_done(&run);
    return ok;
}

size_t policy_run_tests(const struct world *w, struct diagnostics *d)
{
    size_t passed = 0;

    for (size_t i = 0; i < w->policy->n_tests; i++)
        passed += policy_run_test(w, i, d);
    return passed;
}
