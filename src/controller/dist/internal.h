/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of dist share; nobody else includes it */
#pragma once

#include "base/buf.h"
#include "controller/dist/dist.h"
#include "controller/dist/enforcer.h"
#include "controller/json.h"

enum stage { STRANGER, GREETING, CONTENDING, LIVE, LEAVING };

struct session {
    struct dist *dist;
    struct channel *channel;
    struct session *next;
    enum stage stage;
    char endpoint[PROGRAM_NAME_SIZE]; /* Whose program it gets. */
    char agent[PROGRAM_NAME_SIZE];    /* Whose certificate it has. */
    bool guards;                      /* It stands outside the endpoint, at an edge. */
    bool edge_only;                   /* It wants no program: its machine is not enforced. */
    struct buf ports;                 /* The frame that was last sent about its ports. */
    uint64_t ports_of;                /* Inventory version that it was told of, plus 1. */
    struct enforcer_watch watch;
    uint64_t nonce;
    uint64_t since_s;
    uint64_t contend_by_ms; /* CONTENDING: when the older counts as gone. */

    uint64_t sent_revision;    /* Under way; 0: nothing. */
    uint64_t running_revision; /* As acknowledged or greeted. */
    bool based_here;           /* 'running_revision' was sent by this run: good for deltas. */
    uint64_t refused_revision; /* Not sent again until something changes. */
    uint64_t trust_sequence;
    char last_result[AGENT_TEXT_SIZE + 64];
    struct agent_hello hello; /* Without its features. */
    json_t *features;
    json_t *status; /* Counters and hooks of the last reply. */
    uint64_t lost_events, lost_records;
};

struct dist {
    struct loop *loop;
    struct tls *tls;
    struct listener *listener;
    struct timer *ticker;
    struct desired *desired;
    struct dist_hooks hooks;
    struct session *sessions;
    size_t n_sessions, n_strangers;
    uint64_t minute;
    unsigned enrolments;
    struct dist_summary counts; /* The last three fields only. */
};

/* The connection about this endpoint that is in use; from outside it with 'guards'.  NULL: none. */
struct session *dist_live_session(struct dist *d, const char *endpoint, bool guards);

/* ---- ports.c: what hangs on the machines of agents ---- */

/* The agent of this connection stands outside this endpoint. */
bool ports_is_guard(const struct session *s, const struct endpoint *e);

/* Tells an agent what hangs on its machine, when that is news. */
void ports_tell(struct session *s);
