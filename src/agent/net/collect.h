/* SPDX-License-Identifier: Apache-2.0 */
/* collect.h - one seat's connections, added up to minutes
 *
 * Reports that agree in everything but time, count and bytes become one record of their minute.
 * What somebody waits for goes at once: what was not seen within COLLECT_FORGET_MINUTES, and the
 * first denial of its kind in a minute; what follows of it goes when the minute has ended.  A
 * record that went early is followed by another one for the rest of the minute; sums stay right.
 *
 * At most COLLECT_MAX records are open; whoever adds more gives all away before
 * (collect_is_full()). What was seen is remembered by a number of 64 bits, of at most COLLECT_SEEN
 * kinds; when there are more the one that was not seen for longest is forgotten, and would only go
 * early once more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ipc.h"
#include "base/base.h"
#include "wire/flows.h"

enum {
    COLLECT_MAX = 16384,
    COLLECT_SEEN = 65536,
    COLLECT_FORGET_MINUTES = 60,
    COLLECT_BATCH = 2048,           /* Records of one batch. */
    COLLECT_BATCH_TEXT = 192 << 10, /* Bytes of texts in one, about. */
    COLLECT_LATE_MS = 2000,         /* A minute's last reports come so late. */
};

struct collect;

struct collect *collect_new(void);
void collect_free(struct collect *c);
DEFINE_CLEANUP(struct collect, collect_free)

/* True: it goes at once. */
bool collect_add(struct collect *c, const struct ipc_flow *f);

bool collect_is_full(const struct collect *c);

/* Moves records into an empty batch, the oldest first: those that go at once, those whose minute
 * has ended, or all.  False: there was none.  Call it again, there may be more than one batch. */
bool collect_take(struct collect *c, uint64_t now_ms, bool all, struct flow_batch *b);
