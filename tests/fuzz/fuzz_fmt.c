/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting changes no meaning: what is formatted reads as the same policy, says the same
 * sentences, and formats to itself. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "text/format.h"
#include "text/sentence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that a policy says, as text; its errors when it has some. */
static void say(const struct source *s, struct buf *to)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(policy_freep) struct policy *p = NULL;

    if (policy_read(s, 1, d, &p) < 0) {
        buf_printf(to, "%zu errors", d->n_errors);
        return;
    }
    buf_printf(to, "%zu %zu %zu %zu %zu\n", p->n_groups, p->n_services, p->n_modes, p->n_tests,
               p->n_proofs);
    for (size_t i = 0; i < p->n_rules; i++)
        sentence_of_rule(to, p, &p->rules[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct buf once = BUF_INIT, twice = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
    struct source s = {"p.yaml", (const char *)data, size};
    int r = format_source(&s, d, &once);

    if (r == -EUCLEAN || (r == -EBADMSG && !d->n_errors))
        __builtin_trap();
    if (r == 0) {
        struct source formatted = {"p.yaml", buf_str(&once), once.size};

        if (format_source(&formatted, d, &twice) < 0 || twice.size != once.size ||
            memcmp(twice.data, once.data, once.size) != 0)
            __builtin_trap();
        say(&s, &before);
        say(&formatted, &after);
        if (strcmp(buf_str(&before), buf_str(&after)) != 0)
            __builtin_trap();
    }
    buf_done(&once);
    buf_done(&twice);
    buf_done(&before);
    buf_done(&after);
    return 0;
}
