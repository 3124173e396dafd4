/* SPDX-License-Identifier: Apache-2.0 */
/* questions.c - what is asked of a policy before it touches a packet, at a wanted size
 *
 *     questions ENDPOINTS RULES GROUPS OVERLAP [SAMPLE]
 *
 * The shape is shape.h's with two zones, so that a proof between them holds and cannot stop early.
 * Prints one line of JSON: CPU seconds for the world, lints, the tables behind hops, a no-path that
 * holds and one that fails, reaches, the furthest ten, a diff of one changed rule, and memory.
 *
 * Beside it brute force from SAMPLE endpoints: breadth-first over endpoints, rule by rule, without
 * classes.  Its reach has to be the same, or the program says so and fails. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/shape.h"
#include "core/diff.h"
#include "core/lint.h"
#include "core/proof.h"
#include "core/reach.h"

enum { DEFAULT_SAMPLE = 10, PEAKS = 10 };

struct work {
    struct shape shape;
    struct policy policy;
    struct inventory inventory;
    struct world *world;
    struct hops *hops;
    double since;
};

static double lap(struct work *w)
{
    double now = bench_cpu_s(), took = now - w->since;

    w->since = now;
    return took;
}

/* ---- brute force ---- */

struct members {
    uint32_t **of;
    size_t *n;
};

static struct members list_members(const struct work *w)
{
    struct members m = {xcalloc(w->policy.n_groups, sizeof *m.of),
                        xcalloc(w->policy.n_groups, sizeof *m.n)};

    for (uint32_t g = 0; g < w->policy.n_groups; g++) {
        size_t room = 0;

        for (uint32_t i = 0; i < w->inventory.n_endpoints; i++)
            if (group_set_has(&w->world->ends[i].groups, g)) {
                GROW(m.of[g], m.n[g], room);
                m.of[g][m.n[g]++] = i;
            }
    }
    return m;
}

static uint32_t brute_reach(const struct work *w, const struct members *m, uint32_t start)
{
    bool *seen = xcalloc(w->inventory.n_endpoints, sizeof *seen);
    uint32_t *queue = xcalloc(w->inventory.n_endpoints, sizeof *queue), n = 0;

    seen[start] = true;
    queue[n++] = start;
    for (uint32_t at = 0; at < n; at++)
        for (size_t r = 0; r < w->policy.n_rules; r++) {
            const struct match *match = &w->policy.rules[r].match;

            if (!selector_takes(&match->from, &w->world->ends[queue[at]]))
                continue;
            for (size_t i = 0; i < m->n[match->to.groups[0]]; i++) {
                uint32_t to = m->of[match->to.groups[0]][i];

                if (!seen[to]) {
                    seen[to] = true;
                    queue[n++] = to;
                }
            }
        }
    free(seen);
    free(queue);
    return n - 1;
}

static bool compare(struct work *w, size_t sample, double *ret_s)
{
    struct members m = list_members(w);
    bool agree = true;

    (void)lap(w);
    *ret_s = 0;
    for (size_t i = 0; i < sample; i++) {
        uint32_t start = (uint32_t)(i * 7919 % w->shape.endpoints), brute;
        struct reach r;

        (void)lap(w);
        brute = brute_reach(w, &m, start);
        *ret_s += lap(w);
        reach_of_endpoint(w->hops, start, false, &r);
        if (r.total != brute) {
            (void)fprintf(stderr, "questions: e%u reaches %u, brute force says %u\n", start,
                          r.total, brute);
            agree = false;
        }
        reach_done(&r);
    }
    for (size_t g = 0; g < w->policy.n_groups; g++)
        free(m.of[g]);
    free(m.of);
    free(m.n);
    return agree;
}

/* ---- questions ---- */

/* Whether it holds; groups 0 and 1 are of different zones, 0 and 2 of the same. */
static bool prove(struct work *w, uint32_t to)
{
    uint32_t from = 0;
    struct proof p = {.kind = PROOF_NO_PATH,
                      .from = {.given = true, .groups = &from, .n_groups = 1},
                      .to = {.given = true, .groups = &to, .n_groups = 1}};
    struct proof_result r;
    bool holds;

    proof_run(w->hops, &p, &r);
    holds = r.holds;
    proof_result_done(&r);
    return holds;
}

static void ask_diff(struct work *w)
{
    struct policy other = w->policy;
    struct world *after;
    struct diff *d;
    struct reach_change *changes;
    struct hops *hops;
    uint32_t to = 4;
    double world_s;
    size_t n;

    other.rules = xcalloc(other.n_rules, sizeof *other.rules);
    memcpy(other.rules, w->policy.rules, other.n_rules * sizeof *other.rules);
    other.rules[other.n_rules / 2].match.to.groups = &to;
    (void)lap(w);
    after = world_new(&other, &w->inventory, 0);
    world_s = lap(w);
    if (diff_new(w->world, after, &d) < 0)
        abort();
    printf(", \"diff_s\": %.4f, \"diff_changes\": %zu, \"diff_world_s\": %.4f", lap(w),
           d->n_changes, world_s);
    diff_free(d);
    if (hops_new(after, NULL, &hops) < 0)
        abort();
    (void)lap(w);
    n = reach_changes(w->hops, hops, &changes);
    printf(", \"reach_changes\": %zu, \"reach_changes_s\": %.4f", n, lap(w));
    free(changes);
    hops_free(hops);
    world_free(after);
    free(other.rules);
}

static void ask_all(struct work *w)
{
    struct diagnostics *d = diagnostics_new();
    struct reach_peak peaks[PEAKS];
    bool holds;

    w->since = bench_cpu_s();
    w->world = world_new(&w->policy, &w->inventory, 0);
    printf(", \"world_s\": %.4f", lap(w));
    policy_lint(w->world, true, d);
    printf(", \"lint_s\": %.4f, \"findings\": %zu", lap(w), d->n);
    diagnostics_free(d);
    (void)lap(w);
    if (hops_new(w->world, NULL, &w->hops) < 0)
        abort();
    printf(", \"classes\": %zu, \"hops_s\": %.4f", w->hops->classes->n, lap(w));
    holds = prove(w, 1);
    printf(", \"no_path_s\": %.4f, \"holds\": %s", lap(w), holds ? "true" : "false");
    holds = prove(w, 2);
    printf(", \"path_s\": %.4f, \"path_holds\": %s", lap(w), holds ? "true" : "false");
    printf(", \"furthest\": %zu", reach_furthest(w->hops, peaks, PEAKS));
    printf(", \"furthest_s\": %.4f", lap(w));
    ask_diff(w);
}

int main(int argc, char **argv)
{
    struct work w = {.world = NULL};
    size_t sample = DEFAULT_SAMPLE;
    double brute_s;
    bool agree;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: questions ENDPOINTS RULES GROUPS OVERLAP [SAMPLE]\n");
        return 2;
    }
    w.shape = (struct shape){strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
                             strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), 2};
    if (argc > 5)
        sample = strtoul(argv[5], NULL, 10);
    shape_inventory(&w.shape, &w.inventory);
    shape_policy(&w.shape, &w.inventory, &w.policy);
    printf("{\"endpoints\": %zu, \"rules\": %zu, \"groups\": %zu, \"overlap\": %zu, "
           "\"model_kb\": %ld",
           w.shape.endpoints, w.shape.rules, w.shape.groups, w.shape.overlap, bench_peak_kb());
    ask_all(&w);
    printf(", \"peak_kb\": %ld", bench_peak_kb());
    agree = compare(&w, sample, &brute_s);
    printf(", \"brute_s\": %.4f, \"sample\": %zu, \"agree\": %s}\n", brute_s, sample,
           agree ? "true" : "false");
    hops_free(w.hops);
    world_free(w.world);
    return agree ? 0 : 1;
}
