/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and inventories from anybody: the input is a policy, then "\n%%%\n", then an inventory.
 * What reads is linted, tested, compiled, asked, and explained. */
#include <stdint.h>
#include <string.h>

#include "core/compile.h"
#include "core/lint.h"
#include "core/why.h"
#include "text/policy.h"
#include "text/report.h"
#include "text/sentence.h"
#include "text/why_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compile_all(const struct policy *policy, const struct inventory *inventory)
{
    const struct compile_options options = {.revision = 1, .now_s = 1795305600};
    CLEANUP(compiled_freep) struct compiled *c = NULL;
    const char *what;

    if (compile(policy, inventory, &options, &c, &what) < 0)
        return;
    for (size_t i = 0; i < inventory->n_endpoints && i < 4; i++) {
        CLEANUP(program_freep) struct program *p = NULL;
        int r = compiled_program(c, inventory->endpoints[i].name, &p, &what);

        if (r < 0 && r != -7) /* -E2BIG: a table over its limit. */
            __builtin_trap();
    }
}

/* Reasons for what was answered, in every form. */
static void explain(const struct world *w, const struct verdict_query *q,
                    const struct verdict_answer *a)
{
    CLEANUP(why_freep) struct why *y = why_new(w, &(struct why_question){.verdict = *q});
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    if (y->answer.verdict != a->verdict || y->answer.rule != a->rule)
        __builtin_trap();
    why_report_text(&b, y);
    why_report_json(&b, y);
}

static void use(const struct policy *policy, const struct inventory *inventory,
                struct diagnostics *d)
{
    CLEANUP(world_freep) struct world *w = world_new(policy, inventory, 1795305600);
    struct buf b = BUF_INIT;

    policy_lint(w, true, d);
    (void)policy_run_tests(w, d); /* Whatever it finds is fine. */
    for (size_t i = 0; i < policy->n_rules; i++)
        sentence_of_rule(&b, policy, &policy->rules[i]);
    for (size_t i = 0; i < policy->n_rules; i++)
        sentence_of_rule_ja(&b, policy, &policy->rules[i]);
    for (size_t i = 0; i < inventory->n_endpoints && i < 4; i++) {
        const struct verdict_query q = {.from = inventory->endpoints[i].name,
                                        .to = "192.0.2.1",
                                        .protocol = 6,
                                        .port = 443,
                                        .modbus = -1};
        struct verdict_answer a;
        const char *what;

        if (verdict(w, &q, &a, &what) < 0)
            __builtin_trap();
        explain(w, &q, &a);
    }
    buf_done(&b);
    compile_all(policy, inventory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(policy_freep) struct policy *policy = NULL;
    CLEANUP(inventory_freep) struct inventory *inventory = NULL;
    const char *split = size ? memmem(data, size, "\n%%%\n", 5) : NULL;
    size_t first = split ? (size_t)(split - (const char *)data) + 1 : size;
    struct source sources[] = {
        {size && data[0] == '{' ? "p.json" : "p.yaml", (const char *)data, first},
        {"i.yaml", split ? split + 5 : "", split ? size - first - 4 : 0}};
    struct buf b = BUF_INIT;
    int policy_read_r, inventory_read_r;

    policy_read_r = policy_read(&sources[0], 1, d, &policy);
    inventory_read_r = inventory_read(&sources[1], split ? 1 : 0, d, &inventory);
    if ((policy_read_r < 0 || inventory_read_r < 0) && !d->n_errors)
        __builtin_trap(); /* A refusal without a reason. */
    if (policy && inventory)
        use(policy, inventory, d);
    diagnostics_sort(d);
    report_text(&b, d, sources, 2);
    report_json(&b, d);
    buf_done(&b);
    return 0;
}
