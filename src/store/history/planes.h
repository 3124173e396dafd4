/* SPDX-License-Identifier: Apache-2.0 */
/* planes.h - a column of numbers, in few bytes and quick to read
 *
 * The numbers, less the smallest of them (or as differences to the one before), are laid out as
 * planes: all lowest bytes, then all second bytes, and so on, up to the highest that is not zero in
 * all of them.  Each plane is compressed for itself by zstd, unless it is noise.  The upper planes
 * of sizes and times are nearly constant, and cost nearly nothing; the lowest ones are noise and
 * are copied.
 *
 *     transform: 1  base: 8  number of planes: 1  then of each plane: kind: 1  size: 4  bytes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"

enum planes_transform { PLANES_PLAIN, PLANES_DELTA }; /* On disk. */

enum { PLANES_MAX_N = 1 << 22 };

struct planes; /* Memory for the work; one a thread. */

struct planes *planes_new(void);
void planes_free(struct planes *p);
DEFINE_CLEANUP(struct planes, planes_free)

void planes_put(struct planes *p, struct buf *out, enum planes_transform transform,
                const uint64_t *values, size_t n);

/* Reads 'n' numbers.  False: not such a column. */
bool planes_take(struct planes *p, struct reader *r, uint64_t *values, size_t n);

/* Moves behind a column without reading it. */
bool planes_skip(struct reader *r);
