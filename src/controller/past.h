/* SPDX-License-Identifier: Apache-2.0 */
/* past.h - the policy world of any instant, and whose address it was then
 *
 * Built from the timeline and the stored versions, and kept for the next question: PAST_KEPT worlds
 * and PAST_ROSTERS rosters, the least recently used goes.  Asking in order of time, as a replay
 * does, builds each once.
 *
 * Errors: -ENOENT: before all that is known, or the version that stood then is not kept any more.
 * -EUCLEAN: it cannot be read.  Else as store_get(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/desired.h"
#include "core/world.h"

enum { PAST_KEPT = 4, PAST_ROSTERS = 4 };

struct past;

struct past *past_new(struct desired *d);
void past_free(struct past *p);
DEFINE_CLEANUP(struct past, past_free)

struct moment {
    int64_t at_s;               /* As asked; rules that had expired then are dead in 'world'. */
    uint64_t revision;          /* In force at that instant, */
    int64_t since_s;            /* since when, */
    uint64_t policy, inventory; /* and its versions. */
    const struct world *world;  /* With policy and inventory; borrowed until the next call. */
};

/* Policy and inventory of an event with the trust states of then, the caller's for good. */
int past_generation(const struct desired *d, const struct timeline_event *e,
                    struct generation **ret_g);

/* An instant that lies ahead is now. */
int past_at(struct past *p, int64_t at_s, int64_t now_s, struct moment *ret_m);

/* The world in which a revision decided: the one that flows carry. */
int past_of_revision(struct past *p, uint64_t revision, int64_t now_s, struct moment *ret_m);

/* ---- names ---- */

struct roster; /* Of one version of the inventory. */

/* Borrowed until PAST_ROSTERS others were asked for; never NULL: of an instant before the first
 * inventory, that one, and where it cannot be read or there is none, an empty one. */
const struct roster *past_roster(struct past *p, int64_t at_s);

struct roster_end { /* An endpoint. */
    const char *name;
    /* The agents that tell of its connections when they are enrolled: its own, and that of the edge
     * before it; NULL: it has none. */
    const char *tellers[2];
};

/* Whose address it was; NULL: outside, or unknown then.  Borrowed from the roster. */
const struct roster_end *roster_find(const struct roster *r, const struct address *a);

/* Its name, or NULL. */
const char *roster_name(const struct roster *r, const struct address *a);

uint64_t roster_version(const struct roster *r); /* Of the inventory. */
