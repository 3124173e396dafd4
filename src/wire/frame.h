/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - where one message ends and the next begins: four bytes of length, then the message
 *
 * The length is big-endian and counts what follows it.  A length of zero or over the limit is an
 * error before a single byte of the message is kept: whoever may not say much yet (nobody has shown
 * a certificate, or an agent that only reports) gets a small limit. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    FRAME_HEADER_SIZE = 4,
    FRAME_TO_AGENT_MAX = 64 << 20,  /* Snapshots of large policies. */
    FRAME_FROM_AGENT_MAX = 1 << 20, /* Flow batches. */
    FRAME_STRANGER_MAX = 32 << 10,  /* Enrolment: a token and a request. */
};

/* Looks at the beginning of what has arrived so far.  1: '*ret_size' bytes of message lie, or will
 * lie, behind the header.  0: the header itself is not there yet.  -EMSGSIZE: longer than 'max'.
 * -EBADMSG: empty. */
int frame_peek(const void *data, size_t size, size_t max, size_t *ret_size);

/* Appends a frame that holds 'message' of 1 .. UINT32_MAX bytes. */
void frame_put(struct buf *out, const void *message, size_t size);

/* For encoders that write straight into the buffer: begin returns a mark, end fills in the length
 * of what was appended since. */
size_t frame_begin(struct buf *out);
void frame_end(struct buf *out, size_t mark);
