/* SPDX-License-Identifier: Apache-2.0 */
/* See coverage_report.h. */
#include "text/coverage_report.h"

#include "text/json.h"
#include "text/proof_report.h"

enum { PERCENT = 100 };

void test_write_name(struct buf *b, const struct policy *p, const struct policy_test *t)
{
    buf_printf(b, "%s", t->from.name);
    if (t->process)
        buf_printf(b, " %s", t->process);
    if (t->user)
        buf_printf(b, " as %s", t->user);
    buf_printf(b, " to %s", t->to.name);
    if (t->served_by)
        buf_printf(b, " %s", t->served_by);
    buf_printf(b, " by %s", p->services[t->service].name);
    if (t->modbus >= 0)
        buf_printf(b, " function %d", t->modbus);
    buf_printf(b, ": %s", verdict_name(t->expect));
    if (t->by)
        buf_printf(b, " by %s", t->by);
}

unsigned coverage_percent(const struct coverage *c)
{
    return c->n_counted ? (unsigned)(c->n_noticed * PERCENT / c->n_counted) : PERCENT;
}

/* ---- text ---- */

static void put_place(struct buf *b, const struct place *p)
{
    if (p->line)
        buf_printf(b, "%s:%u ", p->file ? p->file : "", p->line);
}

/* The first of them, and how many more. */
static void put_noticing(struct buf *b, const struct policy *p, const struct coverage_item *item)
{
    size_t n = item->tests.n + item->proofs.n;

    if (item->tests.n) {
        const struct policy_test *t = &p->tests[item->tests.items[0]];

        put_place(b, &t->place);
        test_write_name(b, p, t);
    } else if (item->proofs.n) {
        const struct proof *proof = &p->proofs[item->proofs.items[0]];

        put_place(b, &proof->place);
        proof_write_name(b, p, proof);
    }
    if (n > 1)
        buf_printf(b, ", and %zu more", n - 1);
}

static void put_item(struct buf *b, const struct policy *p, const struct coverage_item *item,
                     const char *kind, const char *name)
{
    buf_printf(b, "%-6s %-24s ", kind, name);
    switch (item->state) {
    case COVERAGE_NOTICED:
        put_noticing(b, p, item);
        break;
    case COVERAGE_UNNOTICED:
        buf_puts(b, "nothing notices");
        break;
    case COVERAGE_EXPIRED:
        buf_puts(b, "expired: does not count");
        break;
    case COVERAGE_EMPTY:
        buf_puts(b, "has no endpoint: does not count");
        break;
    }
    buf_putc(b, '\n');
}

struct share {
    size_t counted, noticed;
};

static struct share share_of(const struct coverage_item *items, size_t n)
{
    struct share s = {0, 0};

    for (size_t i = 0; i < n; i++) {
        s.noticed += items[i].state == COVERAGE_NOTICED;
        s.counted += items[i].state == COVERAGE_NOTICED || items[i].state == COVERAGE_UNNOTICED;
    }
    return s;
}

void coverage_report_text(struct buf *b, const struct coverage *c)
{
    const struct policy *p = c->world->policy;
    struct share rules = share_of(c->rules, p->n_rules), groups = share_of(c->groups, p->n_groups);

    for (size_t i = 0; i < p->n_rules; i++)
        put_item(b, p, &c->rules[i], "rule", p->rules[i].id);
    for (size_t g = 0; g < p->n_groups; g++)
        put_item(b, p, &c->groups[g], "group", p->groups[g].name);
    buf_printf(b, "%zu of %zu noticed (%u %%): %zu of %zu rules, %zu of %zu groups\n", c->n_noticed,
               c->n_counted, coverage_percent(c), rules.noticed, rules.counted, groups.noticed,
               groups.counted);
}

/* ---- JSON ---- */

static const char *state_name(enum coverage_state state)
{
    static const char *const names[] = {"noticed", "unnoticed", "expired", "empty"};

    return names[state];
}

static void put_json_place(struct buf *b, const struct place *place)
{
    buf_puts(b, "\"file\": ");
    json_quote(b, place->file ? place->file : "");
    buf_printf(b, ", \"line\": %u", place->line);
}

static void put_json_list(struct buf *b, const struct policy *p, const char *key,
                          const struct list *list, bool proofs)
{
    buf_printf(b, ", \"%s\": [", key);
    for (size_t i = 0; i < list->n; i++) {
        CLEANUP(buf_done) struct buf name = BUF_INIT;

        buf_puts(b, i ? ", {" : "{");
        if (proofs) {
            proof_write_name(&name, p, &p->proofs[list->items[i]]);
            put_json_place(b, &p->proofs[list->items[i]].place);
        } else {
            test_write_name(&name, p, &p->tests[list->items[i]]);
            put_json_place(b, &p->tests[list->items[i]].place);
        }
        buf_puts(b, ", \"text\": ");
        json_quote(b, buf_str(&name));
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void put_json_item(struct buf *b, const struct policy *p, const struct coverage_item *item,
                          const char *key, const char *name, const struct place *place)
{
    buf_printf(b, "{\"%s\": ", key);
    json_quote(b, name);
    buf_puts(b, ", ");
    put_json_place(b, place);
    buf_printf(b, ", \"state\": \"%s\"", state_name(item->state));
    put_json_list(b, p, "tests", &item->tests, false);
    put_json_list(b, p, "proofs", &item->proofs, true);
    buf_putc(b, '}');
}

void coverage_report_json(struct buf *b, const struct coverage *c)
{
    const struct policy *p = c->world->policy;

    buf_printf(b, "\"counted\": %zu, \"noticed\": %zu, \"percent\": %u, \"rules\": [", c->n_counted,
               c->n_noticed, coverage_percent(c));
    for (size_t i = 0; i < p->n_rules; i++) {
        buf_puts(b, i ? ", " : "");
        put_json_item(b, p, &c->rules[i], "id", p->rules[i].id, &p->rules[i].place);
    }
    buf_puts(b, "], \"groups\": [");
    for (size_t g = 0; g < p->n_groups; g++) {
        buf_puts(b, g ? ", " : "");
        put_json_item(b, p, &c->groups[g], "name", p->groups[g].name, &p->groups[g].place);
    }
    buf_putc(b, ']');
}
