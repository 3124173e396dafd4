/* SPDX-License-Identifier: Apache-2.0 */
/* What core/unprotected.h promises, pair by pair with the naive evaluator's words. */
#include "core/unprotected.h"

#include <errno.h>

#include "base/date.h"
#include "text/policy.h"
#include "text/unprotected_report.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { POLICIES = 600 };

static const char *const outside[] = {"203.0.113.5", "203.0.113.250", "198.51.100.7",
                                      "192.0.2.1",   "2001:db8::5",   "2001:db9::5"};

struct setting {
    struct n_policy naive;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
};

static void build(struct setting *s, const struct buf *policy, const struct buf *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source sources[] = {{"policy.yaml", buf_str(policy), policy->size},
                               {"inventory.yaml", buf_str(inventory), inventory->size}};
    int64_t now_s;

    assert_int_equal(policy_read(&sources[0], 1, d, &s->policy), 0);
    assert_int_equal(inventory_read(&sources[1], 1, d, &s->inventory), 0);
    assert_int_equal(date_parse_time("2026-11-22T23:59:59Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
}

static void make(struct setting *s)
{
    CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT;

    naive_make(&s->naive);
    for (int i = 0; i < N_ENDPOINTS; i++)
        if (naive_random(2))
            s->naive.endpoints[i].host = s->naive.endpoints[i].nft = false;
    naive_write(&s->naive, &policy, &inventory);
    build(s, &policy, &inventory);
}

static void tear_down(struct setting *s)
{
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
}

static bool is_denied(const struct setting *s, const char *from, const char *to)
{
    struct n_query q = {.from = from, .to = to, .protocol = "gre", .modbus = -1};

    return strcmp(naive_judge(&s->naive, &q).verdict, "deny") == 0;
}

static bool is_outside_denied(const struct setting *s, const char *end, bool is_source)
{
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        if (is_source ? is_denied(s, end, outside[i]) : is_denied(s, outside[i], end))
            return true;
    return false;
}

static bool is_bare(const struct n_endpoint *e)
{
    return !e->host && !e->edge && !e->nft;
}

/* By groups or quarantine, which is all that a policy sees of an endpoint. */
static bool is_told_apart(const struct setting *s, const struct n_endpoint *a,
                          const struct n_endpoint *b)
{
    for (int g = 0; g < N_GROUPS; g++)
        if (naive_in_group(&s->naive, naive_groups[g], a->name) !=
            naive_in_group(&s->naive, naive_groups[g], b->name))
            return true;
    return (strcmp(a->state, "black") == 0) != (strcmp(b->state, "black") == 0);
}

static void check_sums(const struct setting *s, const struct unprotected *u)
{
    uint64_t pairs[UNPROTECTED_REASONS] = {0};

    for (int i = 0; i < N_ENDPOINTS; i++) {
        const struct n_endpoint *from = &s->naive.endpoints[i];

        if (from->edge)
            continue;
        pairs[is_bare(from) ? UNPROTECTED_NO_ENFORCER : UNPROTECTED_AGENT_ONLY] +=
            is_outside_denied(s, from->name, true);
        pairs[UNPROTECTED_NO_ENFORCER] += is_bare(from) && is_outside_denied(s, from->name, false);
        for (int k = 0; k < N_ENDPOINTS; k++) {
            const struct n_endpoint *to = &s->naive.endpoints[k];

            if (i != k && !to->edge && is_told_apart(s, from, to))
                pairs[UNPROTECTED_GUESSED_IDENTITY]++;
            if (i == k || !is_bare(to) || !is_denied(s, from->name, to->name))
                continue;
            pairs[is_bare(from) ? UNPROTECTED_NO_ENFORCER : UNPROTECTED_AGENT_ONLY]++;
            pairs[UNPROTECTED_PLAIN_SWITCH]++; /* All are in one /24, which is told once. */
        }
    }
    for (int i = 0; i < UNPROTECTED_REASONS; i++)
        assert_int_equal(u->sums[i].n_pairs, pairs[i]);
}

static void check_rows(const struct setting *s, const struct unprotected *u)
{
    uint64_t pairs[UNPROTECTED_REASONS] = {0};

    for (size_t i = 0; i < u->n_rows; i++) {
        const struct unprotected_row *r = &u->rows[i];
        const char *from = r->from_example ? r->from_example->name : NULL;
        const char *to = r->to_example ? r->to_example->name : NULL;

        pairs[r->reason] += r->n_pairs;
        assert_true(from || to);
        if (r->reason == UNPROTECTED_GUESSED_IDENTITY) {
            assert_true(
                from && to &&
                is_told_apart(s, naive_endpoint(&s->naive, from), naive_endpoint(&s->naive, to)));
            continue;
        }
        assert_true(from && to ? strcmp(from, to) != 0 && is_denied(s, from, to)
                    : from     ? is_outside_denied(s, from, true)
                               : is_outside_denied(s, to, false));
        assert_true(r->n_pairs <= (uint64_t)(r->n_from ? r->n_from : 1) * (r->n_to ? r->n_to : 1));
        if (i && u->rows[i - 1].reason == r->reason)
            assert_true(u->rows[i - 1].n_pairs >= r->n_pairs);
    }
    for (int i = 0; i < UNPROTECTED_REASONS; i++)
        assert_int_equal(u->sums[i].n_pairs, pairs[i]);
}

static size_t check_owned(const struct setting *s, int i)
{
    const struct n_endpoint *own = &s->naive.endpoints[i];
    uint32_t index =
        (uint32_t)(inventory_endpoint(s->inventory, own->name) - s->inventory->endpoints);
    struct unprotected_owned o = unprotected_owned(s->world, index);
    uint32_t open = 0, held = 0;

    for (int k = 0; k < N_ENDPOINTS; k++) {
        const struct n_endpoint *to = &s->naive.endpoints[k];

        if (k == i)
            continue;
        held += !is_bare(to);
        open += !own->edge && is_bare(to) && is_denied(s, own->name, to->name);
    }
    assert_int_equal(o.n_open, open);
    assert_int_equal(o.n_beside, open); /* All are in one /24. */
    assert_int_equal(o.n_told, open);
    assert_int_equal(o.n_held, held);
    assert_int_equal(o.outside_is_open, !own->edge && is_outside_denied(s, own->name, true));
    assert_int_equal(o.still != 0, own->edge);
    return open;
}

static void what_is_unprotected_is_what_asking_pair_by_pair_finds(void **state)
{
    (void)state;
    uint64_t seen[UNPROTECTED_REASONS] = {0};
    size_t open = 0;

    for (int i = 0; i < POLICIES; i++) {
        CLEANUP(unprotected_freep) struct unprotected *u = NULL;
        struct setting s;

        make(&s);
        assert_int_equal(unprotected_new(s.world, NULL, &u), 0);
        check_sums(&s, u);
        check_rows(&s, u);
        for (int k = 0; k < N_ENDPOINTS; k++)
            open += check_owned(&s, k);
        for (int k = 0; k < UNPROTECTED_REASONS; k++)
            seen[k] += u->sums[k].n_pairs;
        unprotected_free(u);
        u = NULL;
        tear_down(&s);
    }
    print_message("%zu, %zu, %zu and %zu pairs; %zu open to one that fell\n",
                  (size_t)seen[UNPROTECTED_NO_ENFORCER], (size_t)seen[UNPROTECTED_AGENT_ONLY],
                  (size_t)seen[UNPROTECTED_PLAIN_SWITCH],
                  (size_t)seen[UNPROTECTED_GUESSED_IDENTITY], open);
    assert_true(seen[UNPROTECTED_GUESSED_IDENTITY] > POLICIES);
    assert_true(seen[UNPROTECTED_NO_ENFORCER] > POLICIES);
    assert_true(seen[UNPROTECTED_AGENT_ONLY] > POLICIES / 2);
    assert_true(open > POLICIES);
}

/* 4,000 bare endpoints, each in a group of its own, are 16 million pairs of kinds. */
static void too_many_kinds_are_refused_and_many_rows_are_cut(void **state)
{
    (void)state;
    for (int n = 60; n <= 4000; n = n == 60 ? 4000 : n + 1) {
        CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT, text = BUF_INIT;
        CLEANUP(unprotected_freep) struct unprotected *u = NULL;
        struct setting s;
        int r;

        buf_puts(&policy, "suimitsu: 1\ngroups:\n");
        buf_puts(&inventory, "suimitsu-inventory: 1\nendpoints:\n");
        for (int i = 0; i < n; i++) {
            buf_printf(&policy, "  g%d: {members: [e%d]}\n", i, i);
            buf_printf(&inventory, "  e%d: {addresses: 10.%d.%d.1}\n", i, i / 250, i % 250);
        }
        build(&s, &policy, &inventory);
        r = unprotected_new(s.world, NULL, &u);
        if (n == 60) {
            assert_int_equal(r, 0);
            assert_int_equal(u->sums[UNPROTECTED_NO_ENFORCER].n_rows, 60 * 59 + 120);
            assert_int_equal(u->n_rows, UNPROTECTED_MAX_ROWS);
            assert_int_equal(unprotected_report_text(&text, u, UNPROTECTED_ALL), 60 * 59 + 120);
            assert_non_null(strstr(buf_str(&text), "  and 3640 more"));
            assert_in_range(text.size, 500, 4000);
        } else {
            assert_int_equal(r, -E2BIG);
        }
        tear_down(&s);
    }
}

static void reasons_are_read_by_name(void **state)
{
    (void)state;
    unsigned reasons = 77;

    assert_int_equal(unprotected_reasons_parse("", &reasons), -EINVAL);
    assert_int_equal(unprotected_reasons_parse("agent-only,", &reasons), -EINVAL);
    assert_int_equal(unprotected_reasons_parse("agent", &reasons), -EINVAL);
    assert_int_equal(reasons, 77);
    assert_int_equal(unprotected_reasons_parse("plain-switch,no-enforcer", &reasons), 0);
    assert_int_equal(reasons, 1u << UNPROTECTED_PLAIN_SWITCH | 1u << UNPROTECTED_NO_ENFORCER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unprotected_is_what_asking_pair_by_pair_finds),
        cmocka_unit_test(too_many_kinds_are_refused_and_many_rows_are_cut),
        cmocka_unit_test(reasons_are_read_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
