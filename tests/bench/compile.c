/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - a policy of a wanted size: compiled whole, then changed in one place
 *
 *     compile ENDPOINTS RULES GROUPS OVERLAP [CHANGES]
 *
 * The shape (shape.h) is that of the peer in tests/bench/northd.py.
 * Prints one line of JSON: CPU seconds and memory for the class stage and for the tables of all
 * enforcers, CPU milliseconds a change (median and largest of CHANGES) with the deltas that it
 * causes, one for each identity that it touches. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "bench/shape.h"
#include "core/compile.h"
#include "core/compile/compiled.h" /* compile_entries(): the tables, without copies of the addresses. */

enum { DEFAULT_CHANGES = 200 };

/* ---- changes ---- */

struct work {
    struct shape shape;
    struct policy policy;
    struct inventory inventory;
    struct compiled *c;
    const char **somebody; /* An endpoint of each identity, by number; NULL: of the outside. */
    uint64_t revision;
    size_t n_changes, n_deltas, n_rows;
};

static int by_time(const void *a_, const void *b_)
{
    double a = *(const double *)a_, b = *(const double *)b_;

    return (a > b) - (a < b);
}

/* Commits, then makes the delta of each identity that the commit touched (of one endpoint: the
 * others with that identity get the same bytes). */
static double commit(struct work *w)
{
    const char *what;
    double start = bench_cpu_s();
    const struct step *s;
    identity_t last = 0;

    if (compiled_commit(w->c, ++w->revision, 0, &what) < 0)
        abort();
    s = &w->c->steps[w->c->n_steps - 1];
    for (int after = 0; after < 2; after++) {
        const struct rows *rows = after ? &s->after : &s->before;

        for (size_t i = 0; i < rows->n; i++) {
            struct delta *d = NULL;

            if (rows->items[i].local == last)
                continue;
            last = rows->items[i].local;
            if (!w->somebody[last] ||
                compiled_delta(w->c, w->somebody[last], w->revision - 1, &d) < 0)
                continue;
            w->n_deltas++;
            delta_free(d);
        }
        w->n_rows += rows->n;
    }
    return (bench_cpu_s() - start) * 1e3;
}

static void change_rule(struct work *w, size_t i)
{
    struct rule r = w->policy.rules[i * 37 % w->shape.rules];
    uint32_t to = (uint32_t)(i * 11 % w->shape.groups);

    r.match.to.groups = &to;
    compiled_put_rule(w->c, &w->policy, &r);
}

static void change_member(struct work *w, size_t i)
{
    struct endpoint e = w->inventory.endpoints[i * 41 % w->shape.endpoints];
    char value[SHAPE_NAME_SIZE];
    struct label l = {"k0", value};

    (void)snprintf(value, sizeof value, "g%07zu", (i * 13 + 1) % w->shape.groups);
    e.labels = &l;
    e.n_labels = 1;
    compiled_put_endpoint(w->c, &e);
}

static void change_address(struct work *w, size_t i)
{
    struct endpoint e = w->inventory.endpoints[i * 43 % w->shape.endpoints];
    struct address a = shape_address(w->shape.endpoints + i);

    e.addresses = &a;
    compiled_put_endpoint(w->c, &e);
}

static void change_trust(struct work *w, size_t i)
{
    (void)compiled_set_trust(w->c, w->inventory.endpoints[i * 47 % w->shape.endpoints].name,
                             i % 2 ? TRUST_BLACK : TRUST_GREY);
}

static void measure(struct work *w, const char *name, void (*change)(struct work *, size_t))
{
    double *ms = xcalloc(w->n_changes, sizeof *ms);

    w->n_deltas = w->n_rows = 0;
    for (size_t i = 0; i < w->n_changes; i++) {
        double start = bench_cpu_s();

        change(w, i);
        ms[i] = (bench_cpu_s() - start) * 1e3 + commit(w);
    }
    qsort(ms, w->n_changes, sizeof *ms, by_time);
    printf(", \"%s\": {\"median_ms\": %.4f, \"max_ms\": %.4f, \"deltas\": %.1f, \"rows\": %.1f}",
           name, ms[w->n_changes / 2], ms[w->n_changes - 1],
           (double)w->n_deltas / (double)w->n_changes, (double)w->n_rows / (double)w->n_changes);
    free(ms);
}

int main(int argc, char **argv)
{
    struct work w = {.revision = 1, .n_changes = DEFAULT_CHANGES};
    struct compile_options options = {.revision = 1};
    struct entries entries = {.n = 0};
    size_t n_entries = 0;
    long before_kb;
    const char *what = "";
    double start, classes_s;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: compile ENDPOINTS RULES GROUPS OVERLAP [CHANGES]\n");
        return 2;
    }
    w.shape = (struct shape){strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
                             strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), 1};
    if (argc > 5)
        w.n_changes = strtoul(argv[5], NULL, 10);
    shape_inventory(&w.shape, &w.inventory);
    shape_policy(&w.shape, &w.inventory, &w.policy);
    before_kb = bench_peak_kb();
    start = bench_cpu_s();
    if (compile(&w.policy, &w.inventory, &options, &w.c, &what) < 0) {
        (void)fprintf(stderr, "compile: %s\n", what);
        return 1;
    }
    classes_s = bench_cpu_s() - start;
    printf("{\"endpoints\": %zu, \"rules\": %zu, \"groups\": %zu, \"overlap\": %zu, "
           "\"identities\": %zu, \"classes_s\": %.4f, \"model_kb\": %ld, \"classes_kb\": %ld",
           w.shape.endpoints, w.shape.rules, w.shape.groups, w.shape.overlap,
           compiled_n_identities(w.c), classes_s, before_kb, bench_peak_kb());
    start = bench_cpu_s();
    for (size_t i = 0; i < w.c->all_identities.n; i++) {
        entries.n = 0;
        compile_entries(w.c, w.c->all_identities.items[i], &entries);
        n_entries += entries.n;
    }
    printf(", \"tables_s\": %.4f, \"entries\": %zu, \"peak_kb\": %ld", bench_cpu_s() - start,
           n_entries, bench_peak_kb());
    w.somebody = xcalloc(w.c->identities.largest + w.n_changes + 1, sizeof *w.somebody);
    for (size_t i = 0; i < w.shape.endpoints; i++)
        w.somebody[compiled_identity(w.c, w.inventory.endpoints[i].name)] =
            w.inventory.endpoints[i].name;
    measure(&w, "rule", change_rule);
    if (w.shape.overlap == 1)
        measure(&w, "member", change_member);
    measure(&w, "address", change_address);
    measure(&w, "trust", change_trust);
    printf("}\n");
    free(entries.items);
    compiled_free(w.c);
    return 0;
}
