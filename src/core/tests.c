/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's own tests, asked of the verdict; see lint.h. */
#include <stdio.h>

#include "base/buf.h"
#include "core/lint.h"
#include "core/why.h"

struct asking {
    const struct world *w;
    const struct policy_test *test;
    struct diagnostics *d;
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

static void report(const struct asking *q, const struct verdict_query *query,
                   const struct verdict_answer *a)
{
    const struct policy_test *t = q->test;
    CLEANUP(why_freep) struct why *y = why_new(q->w, &(struct why_question){.verdict = *query});
    CLEANUP(sentences_done) struct sentences why = {.items = NULL};
    struct buf found = BUF_INIT, wanted = BUF_INIT;
    struct diagnostic *x;

    describe(&found, verdict_name(a->verdict), a->rule ? a->rule->id : layer_name(a->layer),
             t->enforced >= 0 ? a->enforced : -1);
    describe(&wanted, verdict_name(t->expect), t->by, t->enforced);
    x = diagnostics_add(q->d, CODE_TEST, &t->place, "%s to %s by %s (%u): %s", t->from.name,
                        t->to.name, q->w->policy->services[t->service].name, query->port,
                        buf_str(&found));
    diagnostic_expected(x, "%s", buf_str(&wanted));
    why_sentences(y, &why);
    diagnostic_fix(x, "see why: %s", why.items[why.n - 1]);
    buf_done(&found);
    buf_done(&wanted);
}

static bool holds_for(const struct asking *q, uint8_t protocol, uint16_t port, int modbus)
{
    const struct policy_test *t = q->test;
    const struct verdict_query query = {.from = t->from.name,
                                        .to = t->to.name,
                                        .protocol = protocol,
                                        .port = port,
                                        .process = t->process,
                                        .served_by = t->served_by,
                                        .user = t->user,
                                        .modbus = modbus};
    struct verdict_answer a;
    const char *what;
    bool ok;

    if (verdict(q->w, &query, &a, &what) < 0)
        return false; /* Cannot happen: both ends are known. */
    ok = is_expected(t, &a);
    if (!ok)
        report(q, &query, &a);
    return ok;
}

/* All functions that the service names, when the test tells none. */
static bool holds_for_functions(const struct asking *q, uint8_t protocol, uint16_t port)
{
    const struct service *s = &q->w->policy->services[q->test->service];

    if (q->test->modbus >= 0 || !s->n_modbus)
        return holds_for(q, protocol, port, q->test->modbus);
    for (size_t i = 0; i < s->n_modbus; i++)
        if (!holds_for(q, protocol, port, s->modbus[i]))
            return false;
    return true;
}

/* Within a range, the verdict can change only where some service begins or ends. */
static bool holds_for_range(const struct asking *q, const struct port_range *r)
{
    const struct policy *p = q->w->policy;

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

/* Not in the inventory: the test cannot be asked. */
static bool is_known(const struct asking *q, const struct named *end)
{
    struct nearest near = nearest_to(end->name);
    struct address a;
    struct diagnostic *x;

    if (inventory_endpoint(q->w->inventory, end->name) || address_parse(end->name, &a) == 0)
        return true;
    for (size_t k = 0; k < q->w->inventory->n_endpoints; k++)
        nearest_offer(&near, q->w->inventory->endpoints[k].name);
    x = diagnostics_add(q->d, CODE_UNKNOWN, &end->place, "no endpoint is named \"%s\"", end->name);
    diagnostic_expected(x, "an endpoint of the inventory, or an address");
    diagnostic_nearest(x, near.best);
    return false;
}

bool policy_run_test(const struct world *w, size_t i, struct diagnostics *d)
{
    const struct asking q = {w, &w->policy->tests[i], d};
    const struct service *s = &w->policy->services[q.test->service];
    bool from_known = is_known(&q, &q.test->from), ok = is_known(&q, &q.test->to) && from_known;

    for (size_t k = 0; ok && k < s->n_ports; k++)
        ok = holds_for_range(&q, &s->ports[k]);
    return ok;
}

size_t policy_run_tests(const struct world *w, struct diagnostics *d)
{
    size_t passed = 0;

    for (size_t i = 0; i < w->policy->n_tests; i++)
        passed += policy_run_test(w, i, d);
    return passed;
}
