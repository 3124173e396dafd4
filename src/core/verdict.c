/* SPDX-License-Identifier: Apache-2.0 */
/* Layers from the top; see verdict.h. */
#include "core/verdict.h"

#include <errno.h>

#include "core/fields.h"

#ifdef PLANT_LAXER_END_DECIDES
#define PLANTED_LAXER_END true
#else
#define PLANTED_LAXER_END false
#endif

/* ---- layers ---- */

static const struct rule *find_match(const struct case_of *c, enum layer layer,
                                     const struct rule *const rules[], size_t n)
{
    const struct rule *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (rules[i]->layer == layer && (!best || strcmp(rules[i]->id, best->id) < 0) &&
            field_rule_matches(c, rules[i]))
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

/* ---- queries ---- */

/* 127.0.0.0/8 and ::1. */
static bool is_loopback(const struct address *a)
{
    static const struct address one = {.bytes = {[15] = 1}};

    return address_is_v4(a) ? a->bytes[12] == 127 : address_compare(a, &one) == 0;
}

bool verdict_is_self(const struct end *from, const struct end *to, const struct address *to_address)
{
    return (from->endpoint && from->endpoint == to->endpoint) || is_loopback(to_address);
}

struct verdict_answer verdict_of_self(const struct end *from)
{
    return (struct verdict_answer){
        .verdict = VERDICT_ALLOW, .layer = LAYER_LIFELINE, .enforced = true, .mode = from->mode};
}

int verdict(const struct world *w, const struct verdict_query *q, struct verdict_answer *ret_answer,
            const char **ret_what)
{
    const struct verdict_facts facts = {q->protocol,  q->port, q->process,
                                        q->served_by, q->user, q->modbus};
    struct address from_address = {.bytes = {0}}, to_address = {.bytes = {0}};
    CLEANUP(free_voidp) void *memory = NULL;
    const struct rule **rules;
    struct end from, to;

    *ret_what = "from";
    if (world_end(w, q->from, &from, &from_address) < 0)
        return -ENOENT;
    *ret_what = "to";
    if (world_end(w, q->to, &to, &to_address) < 0)
        return -ENOENT;
    if (verdict_is_self(&from, &to, &to_address)) {
        *ret_answer = verdict_of_self(&from);
        return 0;
    }
    memory = xcalloc(w->policy->n_rules, sizeof *rules);
    rules = memory;
    for (size_t i = 0; i < w->policy->n_rules; i++)
        rules[i] = &w->policy->rules[i];
    *ret_answer = verdict_judge(w, &from, &to, &facts, rules, w->policy->n_rules);
    return 0;
}
