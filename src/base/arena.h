/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - many small pieces of memory with one end
 *
 * A policy is thousands of names and lists that live and die together: the arena's owner frees all
 * of them at once, and nothing in between can be forgotten or freed twice.  Pieces are zeroed and
 * aligned for any type.  One arena belongs to one thread. */
#pragma once

#include <stddef.h>

#include "base/base.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
DEFINE_CLEANUP(struct arena, arena_free)

/* Zeroed memory for n things of 'size' bytes, until arena_free().  Never NULL. */
void *arena_alloc(struct arena *a, size_t n, size_t size);

/* A copy of 'len' bytes at 's' with a NUL behind them. */
char *arena_text(struct arena *a, const char *s, size_t len);

/* A copy of n things of 'size' bytes; NULL for none. */
void *arena_copy(struct arena *a, const void *data, size_t n, size_t size);
