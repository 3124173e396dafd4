/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h - a file that only grows, in checksummed pieces
 *
 *     "SMF1"  payload's size: 4  durable: 8  XXH3: 8  payload
 *
 * 'durable' is how many bytes of the file were known to be on the disk when the frame was made.
 * So a reader can tell damage from a torn tail: a frame below the highest 'durable' of all was
 * acknowledged; if it does not agree with its checksum, it is damage, is counted, and reading goes
 * on behind it.  Above, nothing was acknowledged, and a crash may have left any of it: the first
 * frame there that is not whole ends the file, even when whole ones follow. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { FRAME_MAX = 64 << 20, FRAME_HEAD = 24 };

/* Makes a frame of what is added between both calls.  Returns where it begins in 'b'. */
size_t frames_begin(struct buf *b);
void frames_end(struct buf *b, size_t from, uint64_t durable);

struct frames_found {
    uint64_t end;     /* Where the last frame that counts ends. */
    uint64_t damaged; /* Places. */
};

/* Calls 'take' for each frame that counts; when it returns other than 0, the frame is damaged. */
void frames_read(const void *data, size_t size,
                 int (*take)(void *user, const void *payload, size_t size), void *user,
                 struct frames_found *ret_found);
