/* SPDX-License-Identifier: Apache-2.0 */
/* spool.h - batches of flows on disk until the controller has them
 *
 * Segments in a folder, each a header and frames with a digest; only the newest is written to, only
 * the oldest is sent from, and it is removed when all of it is acknowledged.  A frame that is torn
 * or damaged ends its segment.
 *
 *     head  [acknowledged | under way | not sent yet]   [ ... ]   [ ... ]   tail  <-- spool_add()
 *
 * Counting.  Every record has a position, which only rises: also those that are lost take one.
 * What lies between two frames that are sent one after the other was lost, exactly that many,
 * whatever lost it: spool_lose(), a damaged frame, or a dropped segment.
 *
 * Over its limit the spool drops its oldest telemetry, but never the head: what is under way may
 * have arrived, and to drop it would count it as lost though it is not.
 *
 * Never twice.  Batches are numbered within an epoch, and the controller takes each number once.
 * Each run begins a new epoch (after a power cut the newest numbers may be gone from the disk, and
 * must not be used again); a segment is of one epoch, so the next begins only when the one before
 * has arrived whole.
 *
 * A run that did not end by spool_close() knew more than it had written; the first batch of the
 * next run says so ('interrupted').  Nothing is flushed to the platter: only a power cut loses what
 * was added, and is such an interruption.
 *
 * Errors of the disk are counted as losses, and later calls are tried again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum {
    SPOOL_WINDOW = 8,           /* Batches that may be under way. */
    SPOOL_BATCH_MAX = 512 << 10 /* Bytes of one. */
};

struct spool;

struct spool_batch {
    uint64_t epoch, sequence;
    uint64_t lost; /* Records since the batch before. */
    bool interrupted;
    const void *columns; /* Borrowed until the next call. */
    size_t size;
};

/* Makes the folder, which is this spool's alone, and takes up what is there.  Errors as mkdir(2),
 * open(2), read(2). */
int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret_s);

void spool_close(struct spool *s); /* Everything that is known has been added or lost. */
void spool_free(struct spool *s);  /* As a kill would end it. */
DEFINE_CLEANUP(struct spool, spool_free)

/* -EMSGSIZE, -ENOSPC, -EIO: not added; its records are counted as lost. */
int spool_add(struct spool *s, const void *columns, size_t size, size_t n_records);
void spool_lose(struct spool *s, uint64_t n_records);

/* The next batch to send, when the window has room; false: none. */
bool spool_next(struct spool *s, struct spool_batch *ret_b);

/* All batches up to this one have arrived.  One that is not under way is ignored: false. */
bool spool_acknowledge(struct spool *s, uint64_t epoch, uint64_t sequence);

void spool_rewind(struct spool *s); /* Another connection: what is under way is sent again. */

bool spool_waits(const struct spool *s);       /* Something is under way. */
uint64_t spool_bytes(const struct spool *s);   /* On disk. */
uint64_t spool_dropped(const struct spool *s); /* Records, by this run. */
