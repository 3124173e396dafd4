/* SPDX-License-Identifier: Apache-2.0 */
/* core/proof.h against brute force: every end, every port, program, user and function, hop by hop,
 * by the naive evaluator.
 *
 * Built once more for each planted error (tests/meson.build): then the same comparison has to find
 * a disagreement. */
#include "core/proof.h"

#include <stdio.h>

#include "base/date.h"
#include "core/lint.h"
#include "text/policy.h"
#include "text/report.h"
#include "unit/naive_hop.h"
#include "unit/test.h"

#ifdef PLANTED
enum { EXPECT_AGREEMENT = false };
#else
enum { EXPECT_AGREEMENT = true };
#endif

#ifdef PLANT_LAXER_END_DECIDES
enum { LAXER_END_DECIDES = true };
#else
enum { LAXER_END_DECIDES = false };
#endif

enum { POLICIES = 1000, PROOFS = 6, FAR = 1000 };

static const char *const groups[] = {"ax",      "ay",  "bx",     "axby", "some",
                                     "all-out", "net", "subnet", "six",  "any"};

struct wish {
    const char *kind, *from, *to;
    int service;
};

/* ---- brute force ---- */

/* Hops of the shortest path from s to any other node of 'to', or FAR. */
static int distance(struct brute *b, int s, const bool to[NODES], int service)
{
    int far[NODES], queue[NODES], n = 0;

    for (int i = 0; i < NODES; i++)
        far[i] = FAR;
    far[s] = 0;
    queue[n++] = s;
    for (int at = 0; at < n; at++) {
        int x = queue[at];

        for (int y = 0; y < NODES; y++)
            if (to[y] && y != s && naive_hop(b, service, x, y))
                return far[x] + 1;
        for (int y = 0; y < NODES; y++)
            if (far[y] == FAR && naive_hop(b, 0, x, y)) {
                far[y] = far[x] + 1;
                queue[n++] = y;
            }
    }
    return FAR;
}

static int shortest(struct brute *b, const struct wish *w)
{
    bool from[NODES], to[NODES];
    int best = FAR;

    naive_members(&b->policy, w->from, from);
    naive_members(&b->policy, w->to, to);
    for (int s = 0; s < NODES; s++) {
        int d = from[s] ? distance(b, s, to, w->service) : FAR;

        best = d < best ? d : best;
    }
    return best;
}

static bool gets_in_besides(struct brute *b, const struct wish *w)
{
    bool from[NODES], to[NODES];

    naive_members(&b->policy, w->from, from);
    naive_members(&b->policy, w->to, to);
    for (int x = 0; x < NODES; x++)
        for (int y = 0; y < NODES && !from[x] && !to[x]; y++)
            if (to[y] && naive_hop(b, w->service, x, y))
                return true;
    return false;
}

/* ---- comparing ---- */

static int node_of(const struct n_policy *p, const char *name)
{
    for (int i = 0; i < N_OUTSIDE; i++)
        if (strcmp(naive_ranges[i], name) == 0)
            return N_ENDPOINTS + i;
    for (int i = 0; i < N_ENDPOINTS; i++)
        if (strcmp(p->endpoints[i].name, name) == 0)
            return i;
    fail_msg("no end is called %s", name);
    return -1;
}

static bool is_real_path(struct brute *b, const struct wish *w, const struct proof_result *r)
{
    for (size_t i = 0; i < r->n_hops; i++) {
        int x = node_of(&b->policy, r->hops[i].from), y = node_of(&b->policy, r->hops[i].to);

        if (!naive_hop(b, i + 1 == r->n_hops ? w->service : 0, x, y) ||
            (i && strcmp(r->hops[i - 1].to, r->hops[i].from) != 0))
            return false;
    }
    return r->n_hops && strcmp(r->hops[0].from, r->hops[r->n_hops - 1].to) != 0 &&
           naive_in_group(&b->policy, w->from,
                          naive_node(&b->policy, node_of(&b->policy, r->hops[0].from))) &&
           naive_in_group(&b->policy, w->to,
                          naive_node(&b->policy, node_of(&b->policy, r->hops[r->n_hops - 1].to)));
}

static bool agrees(struct brute *b, const struct wish *w, const struct proof_result *r)
{
    int d;

    if (strcmp(w->kind, "only-path") == 0)
        return r->holds == !gets_in_besides(b, w);
    d = shortest(b, w);
    if (r->holds != ((d == FAR) == (strcmp(w->kind, "no-path") == 0)))
        return false;
    return d == FAR || ((int)r->n_hops == d && is_real_path(b, w, r));
}

static struct wish random_wish(void)
{
    static const char *const kinds[] = {"no-path", "no-path", "path", "only-path"};

    return (struct wish){kinds[naive_random(4)], groups[naive_random(10)], groups[naive_random(10)],
                         naive_random(2) ? 0 : 1 + (int)naive_random(N_SERVICES - 1)};
}

static void read_all(struct buf *policy_text, struct buf *inventory_text, struct policy **ret_p,
                     struct inventory **ret_i)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct source sources[] = {{"policy.yaml", buf_str(policy_text), policy_text->size},
                               {"inventory.yaml", buf_str(inventory_text), inventory_text->size}};

    if (policy_read(&sources[0], 1, d, ret_p) < 0 || inventory_read(&sources[1], 1, d, ret_i) < 0) {
        report_text(&b, d, sources, 2);
        print_error("%s", buf_str(&b));
        fail();
    }
}

static size_t compare_one(struct brute *b)
{
    CLEANUP(buf_done) struct buf policy_text = BUF_INIT, inventory_text = BUF_INIT;
    CLEANUP(policy_freep) struct policy *p = NULL;
    CLEANUP(inventory_freep) struct inventory *inv = NULL;
    CLEANUP(world_freep) struct world *w = NULL;
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct wish wishes[PROOFS];
    size_t disagreements = 0;
    int64_t now_s;

    memset(b->hop, 0, sizeof b->hop);
    naive_make(&b->policy);
    naive_write(&b->policy, &policy_text, &inventory_text);
    buf_puts(&policy_text, "prove:\n");
    for (int i = 0; i < PROOFS; i++) {
        wishes[i] = random_wish();
        buf_printf(&policy_text, "  - {%s: {from: \"%s\", to: \"%s\"", wishes[i].kind,
                   wishes[i].from, wishes[i].to);
        if (wishes[i].service)
            buf_printf(&policy_text, ", service: \"%s\"", naive_services[wishes[i].service]);
        buf_puts(&policy_text, "}}\n");
    }
    read_all(&policy_text, &inventory_text, &p, &inv);
    assert_int_equal(date_parse_time("2026-11-22T12:00:00Z", &now_s), 0);
    w = world_new(p, inv, now_s);
    assert_int_equal(hops_new(w, NULL, &h), 0);
    for (int i = 0; i < PROOFS; i++) {
        struct proof_result r;

        proof_run(h, &p->proofs[i], &r);
        if (!agrees(b, &wishes[i], &r)) {
            disagreements++;
            if (EXPECT_AGREEMENT && disagreements == 1) {
                print_error("%s\n", buf_str(&policy_text));
                print_error("%s\n", buf_str(&inventory_text));
                print_error("%s from %s to %s by %s: %s, %zu hops; brute force: %d\n",
                            wishes[i].kind, wishes[i].from, wishes[i].to,
                            wishes[i].service ? naive_services[wishes[i].service] : "any",
                            r.holds ? "holds" : "fails", r.n_hops, shortest(b, &wishes[i]));
                for (size_t k = 0; k < r.n_hops; k++)
                    print_error("  %s -> %s by %s %s\n", r.hops[k].from, r.hops[k].to,
                                r.hops[k].service, r.hops[k].rule ? r.hops[k].rule->id : "-");
            }
        }
        proof_result_done(&r);
    }
    return disagreements;
}

static void proofs_agree_with_brute_force_on_a_thousand_random_policies(void **state)
{
    static struct brute b;
    size_t disagreements = 0;

    (void)state;
    for (int i = 0; i < POLICIES && (!disagreements || EXPECT_AGREEMENT); i++) {
        disagreements += compare_one(&b);
        if (EXPECT_AGREEMENT)
            assert_int_equal(disagreements, 0);
    }
    assert_int_equal(disagreements == 0, EXPECT_AGREEMENT);
}

/* ---- the trap: "if either end is in test mode, only report" ---- */

static const char trap[] =
    "suimitsu: 1\n"
    "groups: {pos: {match: {kind: pos}}, office: {match: {kind: pc}}, internet: {outside: true}}\n"
    "mode: {default: enforce, office: test}\n"
    "allow: [{id: web, from: office, to: internet, service: tcp/443, why: w, owner: o}]\n"
    "prove: [{no-path: {from: pos, to: internet}}]\n";
static const char trap_inventory[] =
    "suimitsu-inventory: 1\n"
    "endpoints:\n"
    "  pos1: {labels: {kind: pos}, addresses: 10.0.0.1, enforcers: [host, edge]}\n"
    "  pc1: {labels: {kind: pc}, addresses: 10.0.0.2, enforcers: [host, edge]}\n";

static void a_group_in_test_mode_opens_a_way_only_where_the_laxer_end_decides(void **state)
{
    CLEANUP(buf_done) struct buf policy_text = BUF_INIT, inventory_text = BUF_INIT;
    CLEANUP(policy_freep) struct policy *p = NULL;
    CLEANUP(inventory_freep) struct inventory *inv = NULL;
    CLEANUP(world_freep) struct world *w = NULL;
    CLEANUP(hops_freep) struct hops *h = NULL;
    struct proof_result r;

    (void)state;
    buf_puts(&policy_text, trap);
    buf_puts(&inventory_text, trap_inventory);
    read_all(&policy_text, &inventory_text, &p, &inv);
    w = world_new(p, inv, 0);
    assert_int_equal(hops_new(w, NULL, &h), 0);
    proof_run(h, &p->proofs[0], &r);
    assert_int_equal(r.holds, !LAXER_END_DECIDES);
    assert_int_equal(r.n_endpoints, 2);
    assert_int_equal(r.n_hops, LAXER_END_DECIDES ? 2 : 0);
    if (r.n_hops == 2) {
        assert_string_equal(r.hops[0].from, "pos1");
        assert_string_equal(r.hops[0].to, "pc1");
        assert_true(r.hops[0].reported);
        assert_string_equal(r.hops[1].to, "outside");
        assert_string_equal(r.hops[1].rule->id, "web");
    }
    proof_result_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proofs_agree_with_brute_force_on_a_thousand_random_policies),
        cmocka_unit_test(a_group_in_test_mode_opens_a_way_only_where_the_laxer_end_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
