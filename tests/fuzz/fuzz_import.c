/* SPDX-License-Identifier: Apache-2.0 */
/* Inherited rule sets from anybody.  The first byte says which reader ('0' auto, '1' iptables, '2'
 * nft, '3' IOS) and, above '3', that the box has an address ('4'-'7') and that interfaces are
 * mapped
 * ('8'-';').  What reads has to become a draft that the policy's own reader takes, and that can be
 * asked. */
#include <stdint.h>
#include <string.h>

#include "core/verdict.h"
#include "import/import.h"
#include "text/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUT = 1 << 14 }; /* Longer ones find nothing but the limits. */

static void ask(const struct import *im, struct diagnostics *d)
{
    const struct source p = {"p.yaml", buf_str(&im->draft.policy), im->draft.policy.size};
    const struct source i = {"i.yaml", buf_str(&im->draft.inventory), im->draft.inventory.size};
    const struct verdict_query q = {
        .from = "192.0.2.1", .to = "10.0.0.1", .protocol = 6, .port = 443, .modbus = -1};
    CLEANUP(policy_freep) struct policy *policy = NULL;
    CLEANUP(inventory_freep) struct inventory *inventory = NULL;
    CLEANUP(world_freep) struct world *w = NULL;
    struct verdict_answer a;
    const char *what;

    if (policy_read(&p, 1, d, &policy) < 0 || inventory_read(&i, 1, d, &inventory) < 0)
        __builtin_trap(); /* import_read() said that it reads. */
    w = world_new(policy, inventory, 1795305600);
    if (verdict(w, &q, &a, &what) < 0)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(import_done) struct import im = {.rules = NULL};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    unsigned mode = size ? (unsigned)(data[0] - '0') % 12 : 0;
    const struct import_options options = {.format = (enum import_format)(mode % 4),
                                           .self_addresses = mode / 4 == 1 ? "10.0.0.1" : NULL,
                                           .interfaces =
                                               mode / 4 == 2 ? "eth0=any,eth1=10.0.0.0/8" : NULL};
    struct source s = {"rules", (const char *)data + (size > 0), size - (size > 0)};
    int r;

    if (s.size > MAX_INPUT)
        return 0;
    if (!size)
        s.data = "";
    r = import_read(&s, 1, &options, d, &im);
    if (r < 0 && !d->n_errors)
        __builtin_trap(); /* A refusal without a reason. */
    diagnostics_sort(d);
    report_text(&b, d, &s, 1);
    report_json(&b, d);
    if (r == 0) {
        import_write_ledger(&im, &b);
        import_write_findings(&im, &b);
        import_write_json(&im, &b);
        ask(&im, d);
    }
    return 0;
}
