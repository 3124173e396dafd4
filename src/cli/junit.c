/* SPDX-License-Identifier: Apache-2.0 */
/* Each test is asked again, alone, so that its findings are its own; see junit.h. */
#include "cli/junit.h"

#include "core/proof.h"
#include "sys/file.h"
#include "text/coverage_report.h"
#include "text/junit.h"
#include "text/proof_report.h"

/* The first finding as the message, all of them, with their lines, as the details. */
static void add_findings(struct junit *j, const struct loaded *l, const char *kind,
                         const char *name, const struct place *place, enum junit_result result,
                         const struct diagnostics *d)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    report_text(&text, d, l->sources, l->n_sources);
    junit_case(j, kind, name, place, d->n ? result : JUNIT_PASSED,
               d->n ? d->items[0].message : NULL, buf_str(&text));
}

static void add_tests(struct junit *j, const struct loaded *l)
{
    for (size_t i = 0; i < l->policy->n_tests; i++) {
        CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
        CLEANUP(buf_done) struct buf name = BUF_INIT;
        const struct policy_test *t = &l->policy->tests[i];

        test_write_name(&name, l->policy, t);
        if (l->has_inventory) {
            (void)policy_run_test(l->world, i, d); /* Its findings say it. */
            add_findings(j, l, "tests", buf_str(&name), &t->place, JUNIT_FAILED, d);
        } else {
            junit_case(j, "tests", buf_str(&name), &t->place, JUNIT_SKIPPED,
                       "tests need --inventory", NULL);
        }
    }
}

static void add_proofs(struct junit *j, const struct loaded *l)
{
    CLEANUP(hops_freep) struct hops *h = NULL;
    const struct policy *p = l->policy;

    if (l->has_inventory && p->n_proofs)
        (void)hops_new(l->world, NULL, &h); /* Else they are skipped; load() said why. */
    for (size_t i = 0; i < p->n_proofs; i++) {
        CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
        CLEANUP(buf_done) struct buf name = BUF_INIT;
        const struct proof *proof = &p->proofs[i];

        proof_write_name(&name, p, proof);
        if (h) {
            (void)policy_run_proof(h, i, d); /* Its finding says it. */
            add_findings(j, l, "proofs", buf_str(&name), &proof->place, JUNIT_FAILED, d);
        } else {
            junit_case(j, "proofs", buf_str(&name), &proof->place, JUNIT_SKIPPED,
                       "proofs need --inventory", NULL);
        }
    }
}

/* Whatever is wrong besides tests that fail. */
static void add_validity(struct junit *j, const struct loaded *l)
{
    CLEANUP(diagnostics_freep) struct diagnostics *wrong = diagnostics_new();

    for (size_t i = 0; i < l->d->n; i++) {
        const struct diagnostic *x = &l->d->items[i];
        struct diagnostic *copy;

        if (code_severity(x->code) != SEVERITY_ERROR || (l->world && l->has_tests_run))
            continue;
        copy = diagnostics_add(wrong, x->code, &x->place, "%s", x->message);
        diagnostic_nearest(copy, x->nearest);
        if (x->expected)
            diagnostic_expected(copy, "%s", x->expected);
        if (x->fix)
            diagnostic_fix(copy, "%s", x->fix);
    }
    add_findings(j, l, "policy", "the policy is valid", NULL, JUNIT_ERROR, wrong);
}

int junit_save(const struct loaded *l, const char *path)
{
    CLEANUP(junit_done) struct junit j = {.n = 0};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    int r;

    add_validity(&j, l);
    if (l->world) {
        add_tests(&j, l);
        add_proofs(&j, l);
    }
    junit_write(&b, &j, l->n_sources ? l->sources[0].name : "policy");
    r = file_write(path, b.data, b.size, 0644);
    if (r < 0)
        return complain(EXIT_NOT_ALLOWED, "%s: cannot write it: %s", path, strerror(-r));
    return EXIT_OK;
}
