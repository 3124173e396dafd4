/* SPDX-License-Identifier: Apache-2.0 */
/* flows.h - who talks to whom: from the agents' batches into the history, and questions about it
 *
 * Taking
 * ======
 * A batch is named at both ends as of its records' time, given to the history (store/history.h),
 * and acknowledged when it is on the disk: all batches of FLOWS_COMMIT_MS are committed together,
 * by a thread of its own (sys/crew.h), so that a slow disk keeps nobody else waiting; it also
 * forgets what is too old. A batch that the history knows already is only acknowledged again.
 * While the disk refuses, or too much waits for it, batches are refused in silence, and so are
 * those behind them: the agents keep them and send them again.  So is what one stream sends over
 * its share of a minute: an agent that floods loses its own telemetry, and fills no disk with it.
 *
 * Clocks.  An agent's clock may be wrong.  How far is shown (flows_stream_json()); what would lie
 * in the future, or more than FLOWS_PAST_MS back, is put at the present, and counted.  What others
 * told of a past that is too long ago, as an import may, is put at that limit.
 *
 * Gaps.  What agents lost, and runs of theirs that were killed, are kept in the store, by stream
 * and hour: gap/<hour>/<stream>.  An answer about a window names those that touch it.
 *
 * Asking
 * ======
 * Questions are answered by a thread (worker.h) over a snapshot; its records count each connection
 * once though both ends told it (flow_counts()): a record of the destination's enforcer is marked
 * when it comes, if the source had one, too, when that was.  The newest FLOWS_TAIL records also
 * wait in memory in order of arrival, for those who follow.
 *
 * Rules of use: on the loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/progress.h"
#include "controller/births.h"
#include "controller/past.h"
#include "core/hygiene.h"
#include "core/sighting.h"
#include "store/history.h"
#include "sys/loop.h"
#include "wire/agent.h"

enum {
    FLOWS_COMMIT_MS = 200,
    FLOWS_PENDING_MAX = 1 << 21, /* Records that wait for the disk. */
    FLOWS_TAIL = 50000,
    FLOWS_PAGE_MAX = 1000,
    FLOWS_EDGES_MAX = 10000,    /* In one answer. */
    FLOWS_GROUPS_MAX = 1 << 20, /* Different edges that one answer may look at. */
    FLOWS_FUTURE_MS = 60000,
    FLOWS_GAPS_KEPT = 10000,
};
#define FLOWS_PAST_MS (UINT64_C(400) * 86400000)

struct flows;

struct flows_options {
    struct loop *loop;
    struct store *store;
    struct desired *desired;
    struct past *past;   /* For names. */
    const char *history; /* As history_open(). */
    struct history_options limits;
    uint64_t max_rate; /* Records of one stream in a minute; 0: no limit. */
    /* A batch is on the disk; its sender may be told. */
    void (*durable)(void *user, const char *stream, uint64_t epoch, uint64_t sequence);
    void (*news)(void *user);                          /* Who waits may be answered. */
    bool (*reports)(void *user, const char *endpoint); /* Is there an agent that tells of it? */
    /* Since when there is an agent of that name that can; Unix time in ms, UINT64_MAX: never. */
    uint64_t (*enrolled_ms)(void *user, const char *agent);
    /* Is the endpoint's own agent connected now?  What an edge tells of it is told twice then. */
    bool (*has_agent)(void *user, const char *endpoint);
    void *user;
};

/* Errors as history_open(), store_list(). */
int flows_new(const struct flows_options *options, struct flows **ret_f, const char **ret_what);

/* Commits what waits. */
void flows_free(struct flows *f);
DEFINE_CLEANUP(struct flows, flows_free)

/* A batch that dist has found to be its sender's to tell; 'stream' counts it. */
void flows_take(struct flows *f, const char *stream, const struct agent_flows *told);

/* What others saw: exporters of network gear, files of flow logs. */
struct flows_seen {
    const char *stream;           /* "exporter/core-sw1": who counts the batches, */
    uint64_t epoch, sequence;     /* and how far he is; see store/history.h.  0, 0: nobody does,
                                   * and what is given is new. */
    const char *const *reporters; /* Who saw it; the history keeps the name. */
    size_t n_reporters;
    const struct sighting *sightings; /* Valid ones. */
    const uint32_t *tellers;          /* Of each: its number in 'reporters'; NULL: all of 0. */
    size_t n;                         /* At most HISTORY_BATCH_MAX. */
};

/* Names both ends as of then, and keeps it.  1: it is known already.  -EBUSY: the disk refuses, too
 * much waits for it, or it is over the stream's share of a minute. */
int flows_observe(struct flows *f, const struct flows_seen *told);

/* How far a batch is, and all before it. */
enum flows_place { FLOWS_NOWHERE, FLOWS_IN_MEMORY, FLOWS_ON_DISK };
enum flows_place flows_place_of(const struct flows *f, const char *stream, uint64_t epoch,
                                uint64_t sequence);

/* So many records of a stream will never come: evidence is incomplete. */
void flows_missing(struct flows *f, const char *stream, uint64_t n);

/* How the disk does, and all in all: rows, bytes, losses. */
json_t *flows_state_json(const struct flows *f);

/* What is known of one stream: losses, clock; NULL: nothing was heard of it. */
json_t *flows_stream_json(const struct flows *f, const char *stream);

/* ---- those who follow ---- */

uint64_t flows_last(const struct flows *f); /* Number of the newest; 0: none. */

/* ---- questions ---- */

enum flows_kind { FLOWS_LIST, FLOWS_EDGES, FLOWS_RULES, FLOWS_TRY, FLOWS_HYGIENE, FLOWS_RARE };

struct flows_trial { /* A candidate for FLOWS_TRY; malloc'ed, as all of it. */
    struct policy *policy;
    struct inventory *inventory;
    struct compiled *compiled;
    bool is_redundant; /* It differs by rules without which no verdict changes. */
};
void trial_free(struct flows_trial *t);

/* What is known, without reading records, of the use of rules and of who tells (core/hygiene.h). */
struct flows_evidence {
    struct hygiene_evidence evidence; /* Its arrays are those: */
    struct hygiene_past *rules;
    uint8_t *ends;
};
/* Of this policy and inventory; 'births' of the policy in force. */
struct flows_evidence *flows_evidence_new(const struct flows *f, const struct births *births,
                                          const struct policy *policy,
                                          const struct inventory *inventory, uint64_t since_ms,
                                          uint64_t until_ms);
void flows_evidence_free(struct flows_evidence *e);
DEFINE_CLEANUP(struct flows_evidence, flows_evidence_free)

struct flows_question {
    enum flows_kind kind;
    uint64_t since_ms, until_ms; /* 0: open. */
    const char *from, *to;       /* Endpoint names or addresses; NULL: any. */
    const char *endpoint;        /* Either end. */
    const char *rule, *process, *user, *reporter;
    int port, protocol; /* -1: any. */
    int word;           /* enum flow_word; -1: any. */
    bool denied;        /* deny or would-deny. */
    size_t max;
    const char *cursor; /* FLOWS_LIST: where the page before ended; NULL: at the newest. */
    const char *by;     /* FLOWS_EDGES: this label stands for endpoints; NULL: names. */
    bool by_port;       /* With 'by': still apart by protocol and port. */
    /* FLOWS_TRY; FLOWS_HYGIENE, FLOWS_RARE: what is in force.  Is the job's then, also after an
     * error. */
    struct flows_trial *trial;
    const struct births *births; /* FLOWS_HYGIENE, where 'rule' is the only one told; FLOWS_RARE. */
    unsigned rare_kinds;         /* FLOWS_RARE: bits 1 << enum rare_kind. */
    bool may_take_long;          /* It waits for others of its kind, and no other for it. */
};

struct flows_job;

/* The question is copied.  -EINVAL: not a cursor.  -EBUSY: too many are being answered. */
int flows_ask(struct flows *f, const struct flows_question *q, struct flows_job **ret_j);
bool flows_job_is_done(const struct flows_job *j);

/* It turns out to be one that may take long: it goes on, and no other waits for it.  -EBUSY: too
 * many are; all is as it was. */
int flows_job_step_aside(struct flows_job *j);

/* 0, or: -E2BIG: over FLOWS_GROUPS_MAX.  -ECANCELED.  Else as history_scan().  The caller owns the
 * JSON. */
int flows_job_answer(struct flows_job *j, json_t **ret_answer);
void flows_job_look(const struct flows_job *j, struct progress *ret_p); /* Records, as read. */
void flows_job_free(struct flows_job *j); /* Also before it is done: it is cancelled. */
DEFINE_CLEANUP(struct flows_job, flows_job_free)

/* Those after number 'after' that match, oldest first, from memory. */
json_t *flows_tail(struct flows *f, const struct flows_question *q, uint64_t after);

/* What is missing in a window: [{stream, from, to, lost, interrupted}]. */
json_t *flows_gaps(const struct flows *f, uint64_t since_ms, uint64_t until_ms);
