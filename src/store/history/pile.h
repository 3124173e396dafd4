/* SPDX-License-Identifier: Apache-2.0 */
/* pile.h - a growing array whose elements never move
 *
 * Made of pieces of PILE_PIECE elements.  One thread adds; another that was told a count by the
 * first may read below that count meanwhile, as nothing there moves or changes. */
#pragma once

#include <stddef.h>

#include "base/base.h"

enum {
    PILE_PIECE = 4096,
    PILE_PIECES = 1024,
    PILE_MAX = PILE_PIECE * PILE_PIECES,
};

struct pile {
    char *pieces[PILE_PIECES];
    size_t n;
    size_t size; /* Of an element. */
};

static inline void pile_init(struct pile *p, size_t size)
{
    memset(p->pieces, 0, sizeof(p->pieces));
    p->n = 0;
    p->size = size;
}

static inline void *pile_at(const struct pile *p, size_t i)
{
    return p->pieces[i / PILE_PIECE] + i % PILE_PIECE * p->size;
}

/* The next element, not initialised; its owner keeps n below PILE_MAX. */
static inline void *pile_add(struct pile *p)
{
    if (p->n % PILE_PIECE == 0 && !p->pieces[p->n / PILE_PIECE])
        p->pieces[p->n / PILE_PIECE] = xreallocarray(NULL, PILE_PIECE, p->size);
    return pile_at(p, p->n++);
}

static inline void pile_done(struct pile *p)
{
    for (size_t i = 0; i < PILE_PIECES && p->pieces[i]; i++)
        free(p->pieces[i]);
    pile_init(p, p->size);
}
