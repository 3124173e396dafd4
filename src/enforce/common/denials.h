/* SPDX-License-Identifier: Apache-2.0 */
/* denials.h - what the kernel has denied and not told
 *
 * Of a flood the ring carries the first denial; what follows within a second is counted in a map,
 * by an enforcer's own key, and fetched from there.  Nothing is counted twice or lost between the
 * two: an entry is taken out whole, and the next denial begins another with an event of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

enum { DENIAL_KEY_MAX = 64, DENIALS_MAX_SWEPT = 16384 };

/* CLOCK_MONOTONIC in nanoseconds, the clock of bpf_ktime_get_ns(). */
uint64_t kernel_now_ns(void);

/* Takes from the map every entry whose last event is a second old, DENIALS_MAX_SWEPT at most, and
 * tells it; 'key' and 'd' are borrowed.  Keys of at most DENIAL_KEY_MAX bytes. */
void denials_sweep(int map_fd, size_t key_size,
                   void (*tell)(void *user, const void *key, const struct abi_denial *d),
                   void *user);
