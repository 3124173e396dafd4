/* SPDX-License-Identifier: Apache-2.0 */
/* rope.h - bytes in pieces, of which many hold the same
 *
 * What thousands are sent lies in memory once.  A block is written once and never changes; its
 * holders are counted, since whoever is the slowest to take it decides when it goes.  A rope is a
 * list of pieces of blocks, in the order in which they are sent.
 *
 * Rules of use: one thread.  A zeroed rope is empty; its owner calls rope_done(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"

struct rope_block;

/* Takes the bytes, and leaves an empty buffer.  The caller is the first holder. */
struct rope_block *rope_block_new(struct buf *bytes);
struct rope_block *rope_block_hold(struct rope_block *b); /* One holder more; returns 'b'. */
void rope_block_drop(struct rope_block *b);               /* One less; NULL: nothing. */
DEFINE_CLEANUP(struct rope_block, rope_block_drop)

/* As drop; the memory is for what takes its place, when nobody else holds it: new memory of
 * megabytes costs more than writing it. */
struct buf rope_block_reuse(struct rope_block *b);
const void *rope_block_data(const struct rope_block *b);
size_t rope_block_size(const struct rope_block *b);

struct rope_piece {
    struct rope_block *block; /* Held. */
    size_t at, size;          /* Of it. */
};

struct rope {
    struct rope_piece *pieces;
    size_t n, room;
    size_t size; /* Of all. */
};

/* Appends a piece, and holds its block; nothing when 'size' is 0. */
void rope_add(struct rope *r, struct rope_block *b, size_t at, size_t size);
void rope_done(struct rope *r);

/* Appends all its bytes. */
void rope_copy(const struct rope *r, struct buf *out);
