/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - a verdict program as bytes: program files, and the way from agent/net to
 * agent/enforce
 *
 * The privileged half of the agent must not parse anything rich.  So what it takes is this: a
 * magic, a version, the head, then seven tables, each a count and records of one fixed size, all
 * numbers big-endian.  The reader allocates only after it has seen that the bytes for a table are
 * there, and hands the result to program_check(), which vouches for every number.
 *
 *     "SMPROG" version:u16                        revision:u64 endpoint:64 identity:u32 mode:u8
 *     trust:u8                                    then count:u32 and records of
 *     entries 19 B | addresses 24 B | services 7 B | processes 258 B | users 66 B | rules 64 B |
 *     lifeline 19 B
 *
 * A file of this on disk carries a digest around it: sys/sealed.h. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "core/program.h"

enum { RECORDS_VERSION = 1 };

/* Appends the bytes of 'p', which has passed program_check(). */
void program_encode(const struct program *p, struct buf *b);

/* Reads what program_encode() wrote.  -EPROTO: not a program of this version, cut off, or with
 * bytes behind its end.  -EINVAL, -E2BIG: as program_check(); '*ret_what' (static) names it. */
int program_decode(const void *data, size_t size, struct program **ret_p, const char **ret_what);
