/* SPDX-License-Identifier: Apache-2.0 */
/* core/coverage.h against brute force: each rule is really deleted, each group really emptied, and
 * every test and proof run again. */
#include "core/coverage.h"

#include <stdio.h>

#include "base/date.h"
#include "core/lint.h"
#include "core/proof.h"
#include "text/policy.h"
#include "text/report.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { POLICIES = 400, TESTS = 10, PROOFS = 6, N_OUTSIDE = 5 };

static const char *const outside[N_OUTSIDE] = {"192.0.2.1", "203.0.113.5", "203.0.113.201",
                                               "198.51.100.7", "2001:db8::5"};
static const char *const groups[] = {"ax",      "ay",  "bx",     "axby", "some",
                                     "all-out", "net", "subnet", "six",  "any"};
static const char *const services[] = {"s1", "s2", "s3", "s4", "s5", "tcp/108", "tcp/1-200"};

static const char *random_end(const struct n_policy *p)
{
    uint32_t i = naive_random(N_ENDPOINTS + 2);

    return i < N_ENDPOINTS ? p->endpoints[i].name : outside[naive_random(N_OUTSIDE)];
}

/* Most expect what is so; some do not. */
static void write_test(const struct n_policy *p, struct buf *b)
{
    static const char *const programs[] = {NULL, "/p/a", "/p/b"};
    static const char *const users[] = {NULL, "u1", "u2", "u4"};
    struct n_query q = {.from = random_end(p),
                        .to = random_end(p),
                        .protocol = "tcp",
                        .process = programs[naive_random(3)],
                        .served_by = programs[naive_random(3)],
                        .user = users[naive_random(4)],
                        .modbus = naive_random(3) ? -1 : 2};
    uint32_t service = naive_random(ARRAY_SIZE(services));
    struct n_answer a;

    q.port = service == 3 ? 105 : service == 4 ? 104 : service == 5 ? 108 : 100;
    if (service == 2) {
        q.protocol = "icmp";
        q.port = 8;
    }
    a = naive_judge(p, &q);
    buf_printf(b, "  - {from: \"%s\", to: \"%s\", service: %s", q.from, q.to, services[service]);
    if (q.process)
        buf_printf(b, ", process: %s", q.process);
    if (q.served_by)
        buf_printf(b, ", served-by: %s", q.served_by);
    if (q.user)
        buf_printf(b, ", user: %s", q.user);
    if (q.modbus >= 0)
        buf_printf(b, ", modbus: %d", q.modbus);
    if (naive_random(5) == 0)
        a.verdict = naive_random(2) ? "allow" : "deny";
    buf_printf(b, ", expect: %s", strcmp(a.verdict, "allow") == 0 ? "allow" : "deny");
    if (naive_random(2))
        buf_printf(b, ", by: %s", a.rule[0] && naive_random(2) ? a.rule : a.layer);
    if (naive_random(3) == 0)
        buf_printf(b, ", enforced: %s", a.enforced ? "yes" : "no");
    buf_puts(b, "}\n");
}

static void write_proof(struct buf *b)
{
    static const char *const kinds[] = {"no-path", "no-path", "path", "only-path"};

    buf_printf(b, "  - {%s: {from: [\"%s\"", kinds[naive_random(4)], groups[naive_random(10)]);
    if (naive_random(3) == 0)
        buf_printf(b, ", \"%s\"", groups[naive_random(9)]);
    buf_printf(b, "], to: \"%s\"", groups[naive_random(10)]);
    if (naive_random(2))
        buf_printf(b, ", service: %s", services[naive_random(6)]);
    buf_puts(b, "}}\n");
}

struct setting {
    struct policy *policy;
    struct inventory *inventory;
    int64_t now_s;
};

static void read_all(struct setting *s, struct buf *policy, struct buf *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct source sources[] = {{"policy.yaml", buf_str(policy), policy->size},
                               {"inventory.yaml", buf_str(inventory), inventory->size}};

    if (policy_read(&sources[0], 1, d, &s->policy) < 0 ||
        inventory_read(&sources[1], 1, d, &s->inventory) < 0) {
        report_text(&b, d, sources, 2);
        print_error("%s", buf_str(&b));
        fail();
    }
    assert_int_equal(date_parse_time("2026-11-22T12:00:00Z", &s->now_s), 0);
}

/* ---- brute force ---- */

struct results {
    bool test[TESTS], proof[PROOFS];
};

static struct results run_all(const struct policy *p, const struct setting *s)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(world_freep) struct world *w = world_new(p, s->inventory, s->now_s);
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct results r;

    assert_int_equal(hops_new(w, NULL, &h), 0);
    for (size_t i = 0; i < TESTS; i++)
        r.test[i] = policy_run_test(w, i, d);
    for (size_t i = 0; i < PROOFS; i++)
        r.proof[i] = policy_run_proof(h, i, d);
    return r;
}

static struct results run_without_rule(const struct setting *s, size_t rule)
{
    struct policy p = *s->policy;
    struct results r;

    p.rules = xcalloc(p.n_rules, sizeof *p.rules);
    p.n_rules = 0;
    for (size_t i = 0; i < s->policy->n_rules; i++)
        if (i != rule) {
            p.rules[p.n_rules] = s->policy->rules[i];
            p.rules[p.n_rules].index = (uint32_t)p.n_rules;
            p.n_rules++;
        }
    r = run_all(&p, s);
    free(p.rules);
    return r;
}

static struct results run_without_group(const struct setting *s, size_t group)
{
    struct policy p = *s->policy;
    struct results r;

    p.groups = xcalloc(p.n_groups, sizeof *p.groups);
    memcpy(p.groups, s->policy->groups, p.n_groups * sizeof *p.groups);
    p.groups[group].kind = GROUP_MEMBERS;
    p.groups[group].n_matches = p.groups[group].n_members = p.groups[group].n_prefixes = 0;
    r = run_all(&p, s);
    free(p.groups);
    return r;
}

struct tally {
    size_t tests, proofs, unnoticed, runs, asked;
};

static void assert_same(const struct coverage_item *item, const struct results *all,
                        const struct results *less, const char *what, const struct buf *text,
                        struct tally *t)
{
    bool any = false;

    for (uint32_t i = 0; i < TESTS; i++) {
        if (list_has(&item->tests, i) != (all->test[i] != less->test[i])) {
            (void)fputs(buf_str(text), stderr);
            print_error("without %s: test %u, %d before, %d after, listed %d\n", what, i,
                        all->test[i], less->test[i], list_has(&item->tests, i));
            fail();
        }
        t->tests += list_has(&item->tests, i);
        any = any || list_has(&item->tests, i);
    }
    for (uint32_t i = 0; i < PROOFS; i++) {
        if (list_has(&item->proofs, i) != (all->proof[i] != less->proof[i])) {
            (void)fputs(buf_str(text), stderr);
            print_error("without %s: proof %u, %d before\n", what, i, all->proof[i]);
            fail();
        }
        t->proofs += list_has(&item->proofs, i);
        any = any || list_has(&item->proofs, i);
    }
    t->unnoticed += !any;
    if (item->state == COVERAGE_NOTICED || item->state == COVERAGE_UNNOTICED)
        assert_int_equal(item->state == COVERAGE_NOTICED, any);
    else
        assert_false(any);
}

static void compare_one(struct tally *t)
{
    CLEANUP(buf_done) struct buf policy_text = BUF_INIT, inventory_text = BUF_INIT;
    CLEANUP(coverage_freep) struct coverage *c = NULL;
    CLEANUP(world_freep) struct world *w = NULL;
    struct setting s = {.policy = NULL};
    struct progress progress = {.done = 0};
    struct results all;
    struct n_policy p;

    naive_make(&p);
    naive_write(&p, &policy_text, &inventory_text);
    buf_puts(&policy_text, "tests:\n");
    for (int i = 0; i < TESTS; i++)
        write_test(&p, &policy_text);
    buf_puts(&policy_text, "prove:\n");
    for (int i = 0; i < PROOFS; i++)
        write_proof(&policy_text);
    read_all(&s, &policy_text, &inventory_text);
    w = world_new(s.policy, s.inventory, s.now_s);
    assert_int_equal(coverage_new(w, &progress, &c), 0);
    assert_true(progress.done == progress.total && progress.total >= s.policy->n_rules);
    buf_puts(&policy_text, buf_str(&inventory_text));
    all = run_all(s.policy, &s);
    for (size_t i = 0; i < s.policy->n_rules; i++) {
        struct results less = run_without_rule(&s, i);

        assert_same(&c->rules[i], &all, &less, s.policy->rules[i].id, &policy_text, t);
    }
    for (size_t g = 0; g < s.policy->n_groups; g++) {
        struct results less = run_without_group(&s, g);

        assert_same(&c->groups[g], &all, &less, s.policy->groups[g].name, &policy_text, t);
    }
    t->runs += 1 + s.policy->n_rules + s.policy->n_groups;
    t->asked += c->n_asked;
    policy_free(s.policy);
    inventory_free(s.inventory);
}

static void coverage_is_what_deleting_and_emptying_one_by_one_shows(void **state)
{
    struct tally t = {.tests = 0};

    (void)state;
    for (int i = 0; i < POLICIES; i++)
        compare_one(&t);
    print_message("# noticed by %zu tests, %zu proofs; by none %zu; %zu worlds instead of %zu\n",
                  t.tests, t.proofs, t.unnoticed, t.asked, t.runs);
    assert_true(t.tests > 500 && t.proofs > 500 && t.unnoticed > 500);
    assert_true(t.asked < t.runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coverage_is_what_deleting_and_emptying_one_by_one_shows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
