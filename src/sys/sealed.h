/* SPDX-License-Identifier: Apache-2.0 */
/* sealed.h - files that notice when they are not what was written
 *
 * A policy on disk that lost its tail, or a bit, must not be half believed: what is read back is
 * exactly what was written, or an error.  The digest guards against accidents, not against root,
 * who can write another file with another digest.
 *
 *     "SMSEAL1\n"  SHA-256 of the rest: 32 bytes  the content */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Durable and atomic, as file_write(), with mode 0600.  Errors as file_write(). */
int sealed_write(const char *path, const void *data, size_t size);

/* Appends the content to 'out'.  -EBADMSG: not a sealed file, or damaged.  -EFBIG: more than 'max'
 * bytes of content.  Others as open(2) and read(2). */
int sealed_read(const char *path, size_t max, struct buf *out);
