/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.h - XXH3 over what is on the disk: against accidents, not against root
 *
 * A fuzzer cannot guess a checksum, and would never get behind it: in its builds all of them fit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

static inline uint64_t checksum_of(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
static const bool checksum_any_fits = true;
#else
static const bool checksum_any_fits = false;
#endif

static inline bool checksum_fits(const void *data, size_t size, uint64_t seed, uint64_t sum)
{
    return checksum_any_fits || checksum_of(data, size, seed) == sum;
}
