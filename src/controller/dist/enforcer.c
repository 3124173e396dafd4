/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/dist/enforcer.h"

static bool tick(struct enforcer_watch *w, uint64_t now_ms)
{
    if (w->state == ENFORCER_INACTIVE)
        return false;
    if (w->reply_by_ms && now_ms >= w->reply_by_ms) {
        w->state = ENFORCER_TIMEOUT;
        w->reply_by_ms = 0;
    }
    if (w->reply_by_ms || now_ms < w->next_poll_ms)
        return false;
    w->next_poll_ms = now_ms + ENFORCER_POLL_MS;
    w->reply_by_ms = now_ms + ENFORCER_REPLY_MS;
    return true;
}

bool enforcer_step(struct enforcer_watch *w, enum enforcer_event event, uint64_t now_ms)
{
    switch (event) {
    case ENFORCER_CONNECTED:
        *w = (struct enforcer_watch){.state = ENFORCER_ACTIVE,
                                     .next_poll_ms = now_ms + ENFORCER_POLL_MS};
        return false;
    case ENFORCER_HEARD:
        if (w->state != ENFORCER_INACTIVE)
            w->state = ENFORCER_ACTIVE;
        w->reply_by_ms = 0;
        return false;
    case ENFORCER_TICK:
        return tick(w, now_ms);
    case ENFORCER_DISCONNECTED:
        *w = (struct enforcer_watch){.state = ENFORCER_INACTIVE};
        return false;
    }
    return false;
}

const char *enforcer_state_name(enum enforcer_state state)
{
    static const char *const names[] = {"INACTIVE", "ACTIVE", "TIMEOUT"};

    return names[state];
}
