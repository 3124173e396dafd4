/* SPDX-License-Identifier: Apache-2.0 */
/* enforcer.h - is this enforcer there, and does it run what it should: one pure state machine
 *
 *                 connect                      poll (every POLL_MS): request sent
 *     INACTIVE ------------> ACTIVE --------------------------------------------.
 *        ^                   |  ^  \ no reply within REPLY_MS                    |
 *        |        disconnect |  |   '--> TIMEOUT --- reply, or any message ------'
 *        '-------------------'--'------------'        goes back to ACTIVE
 *
 * INACTIVE: no connection.  ACTIVE: connected and answering.  TIMEOUT: connected, but the last
 * status poll was not answered in time.  Polls are bounded: one outstanding at a time, never a
 * retry before the next period. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum enforcer_state { ENFORCER_INACTIVE, ENFORCER_ACTIVE, ENFORCER_TIMEOUT };

enum enforcer_event {
    ENFORCER_CONNECTED,
    ENFORCER_HEARD, /* Any message. */
    ENFORCER_TICK,  /* Time has passed. */
    ENFORCER_DISCONNECTED,
};

enum { ENFORCER_POLL_MS = 10000, ENFORCER_REPLY_MS = 5000 };

struct enforcer_watch {
    enum enforcer_state state;
    uint64_t next_poll_ms; /* When to ask. */
    uint64_t reply_by_ms;  /* 0: nothing outstanding. */
};

/* Steps, and says whether a status request is to be sent now. */
bool enforcer_step(struct enforcer_watch *w, enum enforcer_event event, uint64_t now_ms);

const char *enforcer_state_name(enum enforcer_state state); /* "INACTIVE", ... */
