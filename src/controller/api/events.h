/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what has just happened, for browsers that watch and for systems that collect
 *
 * A ring of the last events, numbered from 1: at most EVENTS_MAX and EVENTS_MAX_BYTES, whichever is
 * met first.  Readers keep the number of the last one that they have seen and ask for the next; who
 * is too slow finds that events_first() has passed him, and knows what he has missed.  Flows are
 * not in here, since there are too many: they have numbers and a store of their own.
 *
 * Numbers begin anew with each run of the daemon: whoever keeps one keeps the run beside it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum event_topic { /* Bits of a set are 1u << topic. */
                   EVENT_FLOWS,
                   EVENT_ALERTS,
                   EVENT_ENFORCERS,
                   EVENT_POLICY,
                   EVENT_AUDIT,
                   EVENT_TRUST,
                   EVENT_OPERATIONS,
                   EVENT_TOPICS,
};

enum { EVENTS_MAX = 10000, EVENTS_MAX_BYTES = 16 << 20, EVENTS_MAX_LISTENERS = 4 };

struct event {
    uint64_t number;
    enum event_topic topic;
    const char *endpoint; /* Whom it is about; "": the whole. */
    const char *owner;    /* Whose it is, who alone may know of it; "": nobody's. */
    const char *data;     /* JSON on one line. */
};

struct events;

struct events *events_new(void);
void events_free(struct events *e);
DEFINE_CLEANUP(struct events, events_free)

const char *event_topic_name(enum event_topic topic);

/* "flows,audit" as a set; what is unknown is left out, so that a newer console gets from an older
 * daemon what that has.  -EINVAL: nothing is left. */
int event_topics_parse(const char *list, unsigned *ret_topics);

/* Takes 'data'.  Returns its number. */
uint64_t events_add(struct events *e, enum event_topic topic, const char *endpoint, json_t *data);

/* The same, of what is somebody's own. */
uint64_t events_add_own(struct events *e, enum event_topic topic, const char *owner, json_t *data);

/* The first one above 'after' in one of the topics; NULL: none yet.  Borrowed until the next
 * events_add(). */
const struct event *events_next(const struct events *e, uint64_t after, unsigned topics);

uint64_t events_first(const struct events *e); /* The oldest that is kept; 0: none ever was. */
uint64_t events_last(const struct events *e);

/* Calls 'came' for each later event, inside of events_add(). */
void events_listen(struct events *e, void (*came)(const struct event *event, void *user),
                   void *user);
