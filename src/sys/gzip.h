/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h - one gzip member (RFC 1952) in memory: what we send or serve, and what somebody sent,
 * which is unpacked into not more than was allowed */
#pragma once

#include <stddef.h>

#include "base/buf.h"

enum { GZIP_MAX = 1 << 30 }; /* Bytes at a time; more is our own bug, or refused. */

enum gzip_effort { GZIP_QUICK, GZIP_SMALL };

/* Appends 'data', packed. */
void gzip_pack(const void *data, size_t size, enum gzip_effort effort, struct buf *to);

/* Appends what one member holds.  -E2BIG: more than 'max' bytes.  -EBADMSG: it is none, it is
 * damaged or cut, or something follows it.  After an error '*to' has a part of it. */
int gzip_unpack(const void *data, size_t size, size_t max, struct buf *to);
