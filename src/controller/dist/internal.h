/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of dist share; nobody else includes it */
#pragma once

#include <uthash.h>

#include "base/buf.h"
#include "controller/dist/dist.h"
#include "controller/dist/enforcer.h"
#include "controller/dist/snapshots.h"
#include "controller/dist/turns.h"
#include "controller/json.h"

enum stage { STRANGER, GREETING, CONTENDING, LIVE, LEAVING };

struct session {
    struct dist *dist;
    struct channel *channel;
    struct session *next, *before;
    UT_hash_handle hh; /* Of dist.live; LIVE ones only. */
    enum stage stage;
    uint64_t accepted_ms;
    char endpoint[PROGRAM_NAME_SIZE]; /* Whose program it gets; the key while it is LIVE. */
    char agent[PROGRAM_NAME_SIZE];    /* Whose certificate it has. */
    char stream[DIST_STREAM_SIZE];    /* Of its flows. */
    bool guards;                      /* It stands outside the endpoint, at an edge. */
    bool edge_only;                   /* It wants no program: its machine is not enforced. */
    struct buf ports;                 /* The frame that was last sent about its ports. */
    uint64_t ports_of;                /* Inventory version that it was told of, plus 1. */
    struct enforcer_watch watch;
    uint64_t ticket_ms; /* When it was given the last ticket. */
    uint64_t nonce;
    uint64_t since_s;
    uint64_t contend_by_ms; /* CONTENDING: when the older counts as gone. */

    uint64_t sent_revision;    /* Under way; 0: nothing. */
    struct turn turn;          /* Of its program among those of all. */
    uint64_t running_revision; /* As acknowledged or greeted. */
    bool based_here;           /* 'running_revision' was sent by this run: good for deltas. */
    uint64_t refused_revision; /* Not sent again until something changes. */
    uint64_t trust_sequence;
    char last_result[AGENT_TEXT_SIZE + 64];
    char *boot_id, *kernel, *software; /* Of its greeting; NULL before.  Owned. */
    json_t *features;
    json_t *status;      /* Counters and hooks of the last reply. */
    uint64_t lost_flows; /* As told by its batches, in this connection. */
    uint64_t told;       /* Of what hooks.enforcer was told last; 0: of nothing. */
};

/* What an enforcer acknowledged last to this run of the daemon: when it comes back with that, it is
 * a base for deltas.  Kept beyond its connection; as many as the inventory ever had. */
struct held {
    UT_hash_handle hh;
    uint64_t revision;
    char name[]; /* "pc1", or "edge1/plc", as the stream of its flows. */
};

struct shared; /* sending.c */

struct sending_moment { /* Compared as bytes. */
    uint64_t revision, trust_sequence, confirm_s;
};

struct dist {
    struct loop *loop;
    struct tls *tls;
    struct listener *listener;
    struct timer *ticker, *spreader;
    struct session
        *spread_next;   /* Who has not been brought the newest generation; NULL: all have. */
    struct turns turns; /* Of programs. */
    struct desired *desired;
    struct dist_hooks hooks;
    struct session *sessions; /* The newest is first. */
    struct session *live[2];  /* By endpoint: on it, and those that guard it from outside. */
    struct held *held;
    struct shared *shared; /* Deltas that many get, encoded; of one moment only. */
    size_t shared_size;
    struct sending_moment shared_of;
    struct snapshots snapshots;
    size_t n_sessions, n_strangers, n_contending;
    bool is_paused; /* The listener, for strangers. */
    size_t n_gone;  /* Live ones that have ended since hooks.enforcer was told. */
    uint64_t minute;
    uint64_t enrolments, max_enrolments; /* In this minute. */
    size_t *edged; /* ports.c: which endpoints of the inventory are at a port of some agent, */
    size_t n_edged, edged_room;
    uint64_t edged_of;          /* in this version of it, plus 1. */
    struct dist_summary counts; /* The last three fields only. */
};

/* The connection about this endpoint that is in use; from outside it with 'guards'.  NULL: none. */
struct session *dist_live_session(struct dist *d, const char *endpoint, bool guards);

/* Says why, and ends the connection. */
void dist_refuse(struct session *s, enum agent_reason reason, const char *text);

/* ---- sending.c: programs and deltas ---- */

/* Sends what it lacks, when it is its turn, unless something is under way, or it has refused just
 * this. */
void sending_bring_up_to_date(struct session *s);
void sending_answered(struct session *s); /* Nothing is under way to it any more. */
void sending_serve_line(struct dist *d);  /* Those whose turn it is now. */
void sending_prepare(struct dist *d);     /* Before the first comes. */
void sending_done(struct dist *d);

/* ---- held.c: what this run has sent, and was acknowledged ---- */

void held_note(struct dist *d, const char *stream, uint64_t revision);

/* It says that it runs this: is it what was acknowledged last? */
bool held_is(const struct dist *d, const char *stream, uint64_t revision);

void held_done(struct dist *d);

/* ---- ports.c: what hangs on the machines of agents ---- */

/* The agent of this connection stands outside this endpoint. */
bool ports_is_guard(const struct session *s, const struct endpoint *e);

/* Tells an agent what hangs on its machine, when that is news. */
void ports_tell(struct session *s);

void ports_done(struct dist *d);
