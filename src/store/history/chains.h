/* SPDX-License-Identifier: Apache-2.0 */
/* chains.h - which things belong to an owner, newest first, of tables that grow
 *
 * Owners and things are numbered from 0 in order of arrival.  One thread adds; another that was
 * told counts by the first may follow chains meanwhile: it leaves out numbers that are not below
 * its count, which come first. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "store/history/pile.h"

#define CHAINS_END UINT32_MAX

struct chains {
    struct pile newest; /* By owner: _Atomic uint32_t. */
    struct pile before; /* By thing: uint32_t. */
};

static inline void chains_init(struct chains *c)
{
    pile_init(&c->newest, sizeof(_Atomic uint32_t));
    pile_init(&c->before, sizeof(uint32_t));
}

static inline void chains_done(struct chains *c)
{
    pile_done(&c->newest);
    pile_done(&c->before);
}

/* The next owner, who has nothing. */
static inline void chains_own(struct chains *c)
{
    _Atomic uint32_t *newest = pile_add(&c->newest);

    atomic_init(newest, CHAINS_END);
}

/* The next thing, which is complete, is his. */
static inline void chains_add(struct chains *c, uint32_t owner)
{
    _Atomic uint32_t *newest = pile_at(&c->newest, owner);
    uint32_t number = (uint32_t)c->before.n;

    *(uint32_t *)pile_add(&c->before) = atomic_load_explicit(newest, memory_order_relaxed);
    atomic_store_explicit(newest, number, memory_order_release);
}

/* CHAINS_END: none. */
static inline uint32_t chains_newest(const struct chains *c, uint32_t owner)
{
    _Atomic uint32_t *newest = pile_at(&c->newest, owner);

    return atomic_load_explicit(newest, memory_order_acquire);
}

static inline uint32_t chains_before(const struct chains *c, uint32_t number)
{
    return *(const uint32_t *)pile_at(&c->before, number);
}
