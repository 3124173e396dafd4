/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - whole files, read with a limit and written so that a crash leaves the old or the new */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/buf.h"

void fd_closep(int *fd); /* For CLEANUP(); does nothing with -1. */

/* Appends all of the file to 'out'.  -EFBIG: more than 'max' bytes.  Else as open(2), read(2). */
int file_read(const char *path, size_t max, struct buf *out);

/* Writes beside the file, flushes, renames over it, and flushes the folder: when this returns 0,
 * a power cut leaves the new content; before, the old one.  Errors as of the failing call. */
int file_write(const char *path, const void *data, size_t size, mode_t mode);
