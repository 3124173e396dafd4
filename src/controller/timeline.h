/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h - what stood at which instant: one event for each revision
 *
 *     timeline/<revision>          {time, policy, inventory [, endpoint, trust, actor, comment]}
 *     timeline-base/<endpoint>     {trust}: of events that are no longer kept
 *
 * Each commit of desired.c that makes a revision puts its event into the same transaction, so that
 * the past is as whole as the present.  Instants are whole seconds; of several events in one, the
 * last counts.  A clock that was set back makes events look as late as the one before: an instant
 * never shows what came after it in the order of revisions.
 *
 * At most TIMELINE_KEPT events; with the oldest goes the knowledge of when it began, but not the
 * trust states that it gave. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "core/model.h"
#include "store/store.h"

enum { TIMELINE_KEPT = 100000 };

struct timeline_event {
    uint64_t revision;
    int64_t time_s;             /* Unix time from which on it counted. */
    uint64_t policy, inventory; /* Versions. */
    const char *endpoint;       /* Whose trust changed; NULL: none. */
    enum trust trust;
    const char *actor, *comment; /* Of a trust change; NULL: see the versions, or nobody. */
};

struct timeline;

/* Reads what is stored.  Errors as store_list(); -EUCLEAN: a document of it is not ours. */
int timeline_open(struct store *s, struct timeline **ret_t);
void timeline_free(struct timeline *t);
DEFINE_CLEANUP(struct timeline, timeline_free)

/* Adds the event of a new revision to a transaction; after its commit timeline_add() makes it
 * part of what is answered.  Its texts are copied. */
void timeline_put(const struct timeline *t, struct store_transaction *x,
                  const struct timeline_event *e);
void timeline_add(struct timeline *t, const struct timeline_event *e);

/* The event in force at an instant, or that made a revision; borrowed until the next
 * timeline_add(). NULL: before all that is kept. */
const struct timeline_event *timeline_at(const struct timeline *t, int64_t time_s);
const struct timeline_event *timeline_of(const struct timeline *t, uint64_t revision);

/* The oldest event with an inventory; NULL: none. */
const struct timeline_event *timeline_first_inventory(const struct timeline *t);

/* The oldest instant that can be asked for; INT64_MAX: none. */
int64_t timeline_begin(const struct timeline *t);

/* The events from one instant to another, oldest first; '*ret_first' is set if there is any. */
size_t timeline_between(const struct timeline *t, int64_t from_s, int64_t to_s,
                        const struct timeline_event **ret_first);

/* Gives an inventory the trust states that stood when 'e' was in force. */
void timeline_trust(const struct timeline *t, const struct timeline_event *e,
                    struct inventory *inventory);
