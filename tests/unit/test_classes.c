/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of classes.h and slices.h, on random policies. */
#include "core/classes.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "core/slices.h"
#include "core/verdict.h"
#include "text/policy.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { POLICIES = 300, PORTS = 300 };

struct setting {
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
    struct end_classes *classes;
    struct slices *slices;
};

static void read_policy(struct setting *s, const char *policy, const char *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source a = {"policy.yaml", policy, strlen(policy)};
    struct source b = {"inventory.yaml", inventory, strlen(inventory)};
    int64_t now_s = 0;

    assert_int_equal(policy_read(&a, 1, d, &s->policy), 0);
    assert_int_equal(inventory_read(&b, 1, d, &s->inventory), 0);
    assert_int_equal(date_parse_time("2026-11-22T23:59:59Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
    s->classes = end_classes_new(s->world, NULL, 0);
    assert_int_equal(slices_new(s->policy, &s->slices), 0);
}

static void make_random(struct setting *s)
{
    struct buf policy = BUF_INIT, inventory = BUF_INIT;
    struct n_policy p;

    naive_make(&p);
    naive_write(&p, &policy, &inventory);
    read_policy(s, buf_str(&policy), buf_str(&inventory));
    buf_done(&policy);
    buf_done(&inventory);
}

static void tear_down(struct setting *s)
{
    slices_free(s->slices);
    end_classes_free(s->classes);
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
}

static struct verdict_answer judge(const struct setting *s, const struct end *from,
                                   const struct end *to, const struct verdict_facts *facts)
{
    const struct rule *rules[MAX_RULES];

    for (size_t i = 0; i < s->policy->n_rules; i++)
        rules[i] = &s->policy->rules[i];
    return verdict_judge(s->world, from, to, facts, rules, s->policy->n_rules);
}

static void assert_alike(const struct setting *s, const struct end *a, const struct end *b)
{
    static const char *const programs[] = {"/p/a", "/p/b", "/p/c", ""};
    static const char *const users[] = {"u1", "u2", "u3", ""};

    for (size_t i = 0; i < s->classes->n; i++) {
        const struct end *third = &s->classes->items[i].end;
        struct verdict_facts facts = {.protocol = IPPROTO_TCP,
                                      .port = (uint16_t)(100 + naive_random(10)),
                                      .process = programs[naive_random(4)],
                                      .served_by = programs[naive_random(4)],
                                      .user = users[naive_random(4)],
                                      .modbus = (int)naive_random(5)};
        struct verdict_answer x = judge(s, a, third, &facts), y = judge(s, b, third, &facts);

        assert_int_equal(x.verdict, y.verdict);
        assert_ptr_equal(x.rule, y.rule);
        assert_int_equal(x.enforced, y.enforced);
        x = judge(s, third, a, &facts);
        y = judge(s, third, b, &facts);
        assert_int_equal(x.verdict, y.verdict);
        assert_ptr_equal(x.rule, y.rule);
        assert_int_equal(x.enforced, y.enforced);
    }
}

static bool is_named(const struct policy *p, uint32_t group)
{
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct match *m[] = {&p->rules[i].match, p->rules[i].except};

        for (size_t k = 0; k < 2 && m[k]; k++)
            for (size_t j = 0; j < m[k]->from.n_groups + m[k]->to.n_groups; j++)
                if ((j < m[k]->from.n_groups ? m[k]->from.groups[j]
                                             : m[k]->to.groups[j - m[k]->from.n_groups]) == group)
                    return true;
    }
    return false;
}

static bool are_different(const struct setting *s, const struct end *a, const struct end *b)
{
    for (uint32_t g = 0; g < s->policy->n_groups; g++)
        if (is_named(s->policy, g) && group_set_has(&a->groups, g) != group_set_has(&b->groups, g))
            return true;
    return a->enforcers != b->enforcers || a->mode != b->mode ||
           (a->trust == TRUST_BLACK) != (b->trust == TRUST_BLACK);
}

static void endpoints_of_one_class_have_the_same_verdicts_and_others_differ(void **state)
{
    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct setting s;
        size_t n = 0;

        make_random(&s);
        for (size_t a = 0; a < s.inventory->n_endpoints; a++)
            for (size_t b = 0; b < a; b++) {
                bool same = s.classes->of_endpoint[a] == s.classes->of_endpoint[b];

                assert_int_equal(same, !are_different(&s, &s.world->ends[a], &s.world->ends[b]));
                if (same)
                    assert_alike(&s, &s.world->ends[a], &s.world->ends[b]);
            }
        for (size_t c = 0; c < s.classes->n; c++) {
            const struct end_class *k = &s.classes->items[c];

            assert_int_equal(k->outside, c >= s.classes->n_of_endpoints);
            for (uint32_t m = 0; m < k->n; m++) {
                uint32_t member = s.classes->members[k->first + m];

                assert_int_equal(
                    k->outside ? s.classes->of_outside[member] : s.classes->of_endpoint[member], c);
            }
            n += k->n;
        }
        assert_int_equal(n, s.inventory->n_endpoints + s.world->n_outside);
        tear_down(&s);
    }
}

static uint32_t times_in(const struct lists *l, size_t i, uint32_t item)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < list_size(l, i); k++)
        n += list_items(l, i)[k] == item;
    return n;
}

static void
lists_by_group_have_each_class_once_and_each_rule_as_often_as_it_names_the_group(void **state)
{
    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct setting s;

        make_random(&s);
        for (uint32_t g = 0; g < s.policy->n_groups; g++) {
            for (uint32_t c = 0; c < s.classes->n; c++)
                assert_int_equal(times_in(&s.classes->of_group, g, c),
                                 is_named(s.policy, g) &&
                                     group_set_has(&s.classes->items[c].end.groups, g));
            for (uint32_t r = 0; r < s.policy->n_rules; r++) {
                const struct selector *from = &s.policy->rules[r].match.from;
                uint32_t named = 0;

                for (size_t k = 0; !from->any && k < from->n_groups; k++)
                    named += from->groups[k] == g;
                assert_int_equal(times_in(&s.classes->from_rules, g, r), named);
            }
        }
        for (uint32_t r = 0; r < s.policy->n_rules; r++)
            assert_int_equal(times_in(&s.classes->to_rules, s.policy->n_groups, r),
                             s.policy->rules[r].match.to.any);
        assert_int_equal(list_size(&s.classes->of_group, s.policy->n_groups), s.classes->n);
        tear_down(&s);
    }
}

static bool service_has(const struct service *s, uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < s->n_ports; i++)
        if (s->ports[i].protocol == protocol && s->ports[i].low <= port && port <= s->ports[i].high)
            return true;
    return false;
}

static void a_slice_has_exactly_the_services_of_its_ports(void **state)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct buf b = BUF_INIT;
    struct setting s;

    (void)state;
    buf_puts(&b, "suimitsu: 1\nservices:\n");
    for (int i = 0; i < 200; i++) {
        unsigned low = 1 + naive_random(400), high = low + naive_random(60) * naive_random(3);

        buf_printf(&b, "  s%d: [tcp/%u-%u, udp/%u, tcp/%u, icmp/%u]\n", i, low, high, low, low,
                   low % 256);
    }
    buf_puts(&b, "  all: tcp/1-65535\n  top: tcp/65535\nallow: []\n");
    read_policy(&s, buf_str(&b), "suimitsu-inventory: 1\nendpoints: {}\n");
    for (int i = 0; i < PORTS; i++) {
        uint8_t protocol = protocols[naive_random(3)];
        uint16_t port = (uint16_t)(naive_random(9) ? naive_random(600) : naive_random(1 << 16));
        uint32_t slice = slices_find(s.slices, protocol, port), n = 0;

        for (uint32_t v = 0; v < s.policy->n_services; v++) {
            bool has = service_has(&s.policy->services[v], protocol, port);

            n += has;
            assert_int_equal(slices_in_service(s.slices, slice, v), has);
            assert_int_equal(times_in(&s.slices->services, slice, v), has);
        }
        assert_int_equal(slice == 0, n == 0);
    }
    for (uint32_t i = 1; i < s.slices->n; i++) {
        uint8_t protocol;
        uint16_t port;

        slices_example(s.slices, i, &protocol, &port);
        assert_int_equal(slices_find(s.slices, protocol, port), i);
    }
    tear_down(&s);
    buf_done(&b);
}

static void functions_that_the_same_services_name_are_one(void **state)
{
    struct setting s;
    uint32_t slice;

    (void)state;
    read_policy(&s,
                "suimitsu: 1\nservices:\n"
                "  a: {ports: tcp/502, modbus: [1, 2, 3]}\n"
                "  b: {ports: tcp/502-503, modbus: [3, 4]}\n"
                "  c: tcp/502\nallow: []\n",
                "suimitsu-inventory: 1\nendpoints: {}\n");
    slice = slices_find(s.slices, IPPROTO_TCP, 502);
    assert_int_equal(list_size(&s.slices->functions, slice), 4); /* 0, 1 = 2, 3, 4 */
    slice = slices_find(s.slices, IPPROTO_TCP, 503);
    assert_int_equal(list_size(&s.slices->functions, slice), 2); /* 0, 3 = 4 */
    assert_int_equal(list_size(&s.slices->functions, 0), 1);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_of_one_class_have_the_same_verdicts_and_others_differ),
        cmocka_unit_test(
            lists_by_group_have_each_class_once_and_each_rule_as_often_as_it_names_the_group),
        cmocka_unit_test(a_slice_has_exactly_the_services_of_its_ports),
        cmocka_unit_test(functions_that_the_same_services_name_are_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
