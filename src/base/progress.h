/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - how far a long piece of work is, for somebody else to look at meanwhile
 *
 * What works counts its steps; who looks may be another thread, or another process that shares the
 * memory.  Whoever asks for the work gives it a place to count in, or NULL: nobody looks. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct progress {
    _Atomic uint64_t done, total; /* Steps; total 0: nobody knows how many there will be. */
};

/* So many more steps will come. */
static inline void progress_expect(struct progress *p, uint64_t n)
{
    if (p)
        p->total += n;
}

static inline void progress_step(struct progress *p, uint64_t n)
{
    if (p)
        p->done += n;
}
