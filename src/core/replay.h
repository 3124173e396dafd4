/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h - recorded connections, judged by another policy: what would it have blocked or opened
 *
 * What
 * ====
 * Records (core/flow.h) of one window go in, in any order.  Each is judged by the program that its
 * reporter would have under the candidate, at the end where the reporter stands and with what he
 * saw there: the same program_judge() that defines the enforcers.  Records that agree in everything
 * but time become one connection, and connections whose judgement differs from the recorded one are
 * the result.
 *
 * A connection of which both ends told is one change, not two, when they agree on it.  Network
 * gear and files of flow logs tell no program and no user; their records are judged at the
 * source's end as an unknown program, and marked so ('is_blind').  What an edge told is judged by
 * the program's view for edges (core/edge_view.h).
 *
 * How likely a change hurts
 * =========================
 * Reasons, not a number: each is a fact of the records (enum replay_reason), some speak for
 * "needed" and some for "unwanted".  More of one kind than of the other decides; a tie is
 * "unclear".
 *
 * Limits: REPLAY_MAX connections; more are counted ('n_over') and not judged. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "core/compile.h"
#include "core/flow.h"

enum { REPLAY_MAX = 1 << 20, REPLAY_SCAN_PORTS = 20 };

enum replay_kind {
    REPLAY_BLOCKED,  /* It passed, and would be denied. */
    REPLAY_REPORTED, /* It was allowed, and would pass as would-deny. */
    REPLAY_OPENED,   /* It was denied or would-deny, and would be allowed. */
    REPLAY_KINDS,
};

enum replay_reason {
    /* needed */
    REPLAY_REGULAR = 1,  /* On three days or more, or in three hours when the window is short. */
    REPLAY_BUSY = 2,     /* A hundred connections or more. */
    REPLAY_SHARED = 4,   /* Three sources or more use the same service there. */
    REPLAY_ANSWERED = 8, /* Bytes came back. */
    /* unwanted */
    REPLAY_ONCE = 16,         /* In one minute only. */
    REPLAY_UNANSWERED = 32,   /* Several times, and no byte ever came back. */
    REPLAY_SCAN_LIKE = 64,    /* Its source tried REPLAY_SCAN_PORTS or more services. */
    REPLAY_SUSPECT = 128,     /* One end is in quarantine now. */
    REPLAY_ODD_PROGRAM = 256, /* From /tmp, /var/tmp, /dev/shm, or a deleted file. */
};
enum { REPLAY_NEEDED = 15, REPLAY_UNWANTED = 496 };

enum replay_likely { REPLAY_LIKELY_NEEDED, REPLAY_UNCLEAR, REPLAY_LIKELY_UNWANTED };

struct replay_change {
    enum replay_kind kind;
    enum replay_likely likely;
    unsigned reasons; /* enum replay_reason, or-ed. */
    struct flow flow; /* Of the connection: first, last, sums; the recorded verdict and rule. */
    uint32_t n_hours, n_days; /* In which it was seen, at most 64. */
    bool is_blind;
    enum verdict verdict; /* By the candidate, */
    enum layer layer;
    const char *rule; /* and its rule; "": none.  Borrowed from the candidate. */
};

struct replay_totals {
    uint64_t records, connections; /* Different ones; counts of flows are in the changes. */
    uint64_t unjudged;             /* The reporter or both ends are not in the inventory. */
    uint64_t n_over;
    uint64_t changes[REPLAY_KINDS];
    uint64_t counts[REPLAY_KINDS]; /* Connections of them as they were counted. */
};

struct replay;

/* What was judged, changed or not: for whoever wants to know what a policy's rules carry. */
struct replay_judged {
    const struct flow *flow; /* Of the connection, as in a change; where nobody stands at the end
                              * that was told, 'direction' is the one that it was judged at. */
    struct address remote;   /* The other end's, as it was judged. */
    uint32_t local;          /* Endpoint that judged it, in the inventory. */
    enum verdict verdict;
    enum layer layer;
    const char *rule; /* "": none. */
    bool is_blind;
};
typedef void replay_see(void *user, const struct replay_judged *j);

/* 'candidate' is compiled and committed; it and 'keeper' must outlive the replay.  'text' gives the
 * texts that the records' numbers stand for. */
struct replay *replay_new(struct compiled *candidate, const struct inventory *inventory,
                          const char *(*text)(const void *keeper, text_t number),
                          const void *keeper);
void replay_free(struct replay *r);
DEFINE_CLEANUP(struct replay, replay_free)

/* Before replay_judge(): 'see' is called with each connection that it judges. */
void replay_watch(struct replay *r, replay_see *see, void *user);

void replay_add(struct replay *r, const struct flow *flows, size_t n);

/* Judges all; call it once, after the last record.  Changes are sorted: blocked first, then by
 * likely needed, then by count.  Borrowed.  -E2BIG: a program is over its limit. */
int replay_judge(struct replay *r, const char **ret_what);
size_t replay_changes(const struct replay *r, const struct replay_change **ret_changes);
const struct replay_totals *replay_totals(const struct replay *r);

const char *replay_kind_name(enum replay_kind kind);       /* "blocked" */
const char *replay_likely_name(enum replay_likely likely); /* "likely needed" */

/* One of the bits as a sentence: "on 12 days". */
void replay_reason_text(const struct replay_change *c, enum replay_reason reason, struct buf *b);
