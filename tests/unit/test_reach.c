/* SPDX-License-Identifier: Apache-2.0 */
/* core/reach.h against brute force: a search from every box, end by end. */
#include "core/reach.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/date.h"
#include "text/policy.h"
#include "text/report.h"
#include "unit/naive_hop.h"
#include "unit/test.h"

enum { POLICIES = 500, PAIRS = 200, N_ASKED = 9 };

static const char *const asked[N_ASKED] = {"ax",      "ay",  "bx",     "axby", "some",
                                           "all-out", "net", "subnet", "six"};

struct subject {
    struct brute brute;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
    struct hops *hops;
};

static void done(struct subject *s)
{
    hops_free(s->hops);
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
    *s = (struct subject){.policy = NULL};
}

static void read_subject(struct subject *s, struct buf *policy, struct buf *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct source sources[] = {{"policy.yaml", buf_str(policy), policy->size},
                               {"inventory.yaml", buf_str(inventory), inventory->size}};
    int64_t now_s;

    if (policy_read(&sources[0], 1, d, &s->policy) < 0 ||
        inventory_read(&sources[1], 1, d, &s->inventory) < 0) {
        report_text(&b, d, sources, 2);
        print_error("%s", buf_str(&b));
        fail();
    }
    assert_int_equal(date_parse_time("2026-11-22T12:00:00Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
    assert_int_equal(hops_new(s->world, NULL, &s->hops), 0);
}

static void make_subject(struct subject *s)
{
    CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT;

    *s = (struct subject){.policy = NULL};
    naive_make(&s->brute.policy);
    naive_write(&s->brute.policy, &policy, &inventory);
    read_subject(s, &policy, &inventory);
}

/* ---- brute force ---- */

static void search(struct brute *b, int start, bool inside, int far[NODES])
{
    int queue[NODES], n = 0;

    memset(far, 0, NODES * sizeof *far);
    queue[n++] = start;
    for (int at = 0; at < n; at++)
        for (int y = 0; y < NODES && !(inside && at && queue[at] >= N_ENDPOINTS); y++)
            if (y != start && !far[y] && naive_hop(b, 0, queue[at], y)) {
                far[y] = far[queue[at]] + 1;
                queue[n++] = y;
            }
}

/* The smallest number of hops from another box that fell. */
static void search_all(struct brute *b, const bool fell[NODES], bool inside, int far[NODES])
{
    memset(far, 0, NODES * sizeof *far);
    for (int x = 0; x < NODES; x++) {
        int own[NODES];

        if (!fell[x])
            continue;
        search(b, x, inside, own);
        for (int y = 0; y < NODES; y++)
            if (own[y] && (!far[y] || own[y] < far[y]))
                far[y] = own[y];
    }
}

static int node_of(const struct subject *s, uint32_t endpoint)
{
    for (int i = 0; i < N_ENDPOINTS; i++)
        if (strcmp(s->brute.policy.endpoints[i].name, s->inventory->endpoints[endpoint].name) == 0)
            return i;
    fail();
    return -1;
}

static uint32_t outside_at(const int far[NODES])
{
    uint32_t best = 0;

    for (int i = N_ENDPOINTS; i < NODES; i++)
        if (far[i] && (!best || (uint32_t)far[i] < best))
            best = (uint32_t)far[i];
    return best;
}

static void expect(const struct subject *s, const struct reach *r, const int far[NODES])
{
    uint32_t total = 0, sum = 0;

    for (uint32_t i = 0; i < s->inventory->n_endpoints; i++) {
        assert_int_equal(r->hop_of[i], far[node_of(s, i)]);
        total += far[node_of(s, i)] != 0;
    }
    for (size_t i = 0; i < r->n_hops; i++)
        sum += r->by_hop[i];
    assert_int_equal(r->total, total);
    assert_int_equal(sum, total);
    assert_int_equal(r->outside_at, outside_at(far));
}

/* ---- sentences ---- */

static void the_reach_of_groups_and_endpoints_agrees_with_brute_force(void **state)
{
    static struct subject s;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        bool inside = i % 3 == 0;

        make_subject(&s);
        for (size_t g = 0; g < N_ASKED; g++) {
            const struct group *group = policy_group(s.policy, asked[g]);
            bool fell[NODES];
            int far[NODES];
            struct reach r;

            assert_non_null(group);
            naive_members(&s.brute.policy, asked[g], fell);
            search_all(&s.brute, fell, inside, far);
            reach_of_group(s.hops, (uint32_t)(group - s.policy->groups), inside, &r);
            expect(&s, &r, far);
            reach_done(&r);
        }
        for (uint32_t e = 0; e < s.inventory->n_endpoints; e++) {
            int far[NODES];
            struct reach r;

            search(&s.brute, node_of(&s, e), inside, far);
            reach_of_endpoint(s.hops, e, inside, &r);
            expect(&s, &r, far);
            reach_done(&r);
        }
        done(&s);
    }
}

static void the_furthest_are_those_with_the_largest_reach(void **state)
{
    static struct subject s;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct reach_peak peaks[N_ENDPOINTS];
        uint32_t covered = 0, unreaching = 0;
        size_t n;

        make_subject(&s);
        n = reach_furthest(s.hops, peaks, ARRAY_SIZE(peaks));
        for (size_t k = 0; k < n; k++) {
            struct reach r;

            reach_of_endpoint(s.hops, peaks[k].endpoint, false, &r);
            assert_int_equal(peaks[k].reach, r.total);
            assert_true(k == 0 || peaks[k - 1].reach >= peaks[k].reach);
            covered += peaks[k].n_alike;
            reach_done(&r);
        }
        for (uint32_t e = 0; e < s.inventory->n_endpoints; e++) {
            struct reach r;

            reach_of_endpoint(s.hops, e, false, &r);
            unreaching += r.total == 0;
            reach_done(&r);
        }
        assert_int_equal(covered + unreaching, s.inventory->n_endpoints);
        assert_int_equal(reach_furthest(s.hops, peaks, 1), n ? 1 : 0);
        done(&s);
    }
}

static uint32_t within(const struct reach *r, size_t hops)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->n_hops && i < hops; i++)
        n += r->by_hop[i];
    return n;
}

static void changes_name_every_group_whose_reach_differs_and_no_other(void **state)
{
    static struct subject a, b;

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        struct reach_change *changes;
        size_t n, named = 0;

        make_subject(&a);
        make_subject(&b);
        n = reach_changes(a.hops, b.hops, &changes);
        for (size_t g = 0; g < N_ASKED; g++) {
            const struct group *old = policy_group(a.policy, asked[g]);
            const struct group *new = policy_group(b.policy, asked[g]);
            struct reach was, is;

            reach_of_group(a.hops, (uint32_t)(old - a.policy->groups), false, &was);
            reach_of_group(b.hops, (uint32_t)(new - b.policy->groups), false, &is);
            for (size_t k = 0; k < n; k++) {
                size_t hops = changes[k].n_hops;

                if (strcmp(changes[k].group, asked[g]) != 0)
                    continue;
                named++;
                assert_int_equal(changes[k].before, was.total);
                assert_int_equal(changes[k].after, is.total);
                assert_int_equal(changes[k].outside_after, is.outside_at != 0);
                assert_int_equal((int)within(&is, hops) - (int)within(&was, hops),
                                 (int)is.total - (int)was.total);
                assert_true(was.total != is.total || !was.outside_at != !is.outside_at);
                old = NULL;
            }
            if (old && old->kind != GROUP_OUTSIDE)
                assert_true(was.total == is.total && !was.outside_at == !is.outside_at);
            reach_done(&was);
            reach_done(&is);
        }
        assert_int_equal(named, n);
        free(changes);
        done(&a);
        done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reach_of_groups_and_endpoints_agrees_with_brute_force),
        cmocka_unit_test(the_furthest_are_those_with_the_largest_reach),
        cmocka_unit_test(changes_name_every_group_whose_reach_differs_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
