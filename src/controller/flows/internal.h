/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of flows share; nobody else includes it */
#pragma once

#include <uthash.h>

#include "controller/flows/flows.h"
#include "controller/flows/worker.h"
#include "store/store.h"
#include "sys/crew.h"

struct stream {
    char name[HISTORY_STREAM_SIZE];
    uint64_t epoch, sequence;   /* Of the batch that was taken last. */
    uint64_t refused_from;      /* Nothing from this number on is taken before it; 0: all is. */
    uint64_t minute, in_minute; /* Records that were taken in this minute. */
    uint64_t n_floods;          /* Batches refused because they were too many. */
    uint64_t due;               /* An answer is due when this one is on the disk; 0: none. */
    int64_t skew_ms;            /* How far its clock is ahead. */
    uint64_t own;               /* Batches that it does not number itself. */
    uint64_t told_until_ms;     /* The newest time that it told. */
    uint64_t heard_ms;          /* When its last batch came. */
    uint64_t lost, interrupted; /* By this run of the daemon. */
    uint64_t moved;             /* Records whose time was not believed. */
    uint64_t gap_epoch, gap_sequence; /* Of the batch whose gap was noted last. */
    UT_hash_handle hh;
};

struct gap {
    char key[STORE_KEY_SIZE]; /* gap/<hour>/<stream> */
    uint64_t from_ms, to_ms, lost, interrupted;
    uint64_t epoch, sequence; /* Of the batch that said so last. */
    bool dirty;
    UT_hash_handle hh; /* In order of hours, but for what came late. */
};

struct flows {
    struct flows_options options;
    struct past *past;
    struct history *history;
    struct worker *worker, *long_worker; /* For those who wait, and for operations. */
    uint64_t first_revision;             /* Of this run of the daemon. */
    uint64_t born_ms; /* The epoch of streams that do not number their batches. */
    struct stream *streams;
    struct gap *gaps;

    struct timer *commit, *housekeeping;
    struct crew *writer; /* A thread of its own: questions may take long. */
    struct flows_commit {
        struct crew_job job; /* First: one is the other. */
        struct flows *f;
        struct history_commit *commit; /* NULL: none is under way. */
        uint64_t n;                    /* Of 'pending'. */
        bool failed;                   /* The next one is the same again. */
        bool again;                    /* There is more. */
    } write;
    struct flows_retention {
        struct crew_job job; /* First: one is the other. */
        struct flows *f;
        struct history_retention *retention; /* NULL: none is under way. */
    } forget;                                /* By the same thread: one of both at a time. */
    bool ends;
    uint64_t pending; /* Records that wait for the disk. */
    bool refuses;     /* The disk does. */
    int error;        /* Of the last commit; 0: it went well. */
    uint64_t refused; /* Batches. */

    struct named_ports *named_ports; /* observe.c's; NULL: not asked yet. */
    struct flow *tail;               /* Number n is at n % FLOWS_TAIL. */
    uint64_t last;
    struct flow *batch; /* Being taken. */
    size_t batch_room, n_jobs;
};

/* ---- name.c: numbers and addresses of a batch become texts ---- */

/* The records of a batch as the history wants them, in f->batch; returns how many times were
 * moved. */
uint64_t name_batch(struct flows *f, const char *stream, const struct agent_flows *told,
                    uint64_t now_ms);

/* ---- observe.c ---- */

/* Into f->batch; returns how many records they are, and how many times were moved. */
size_t observe_batch(struct flows *f, const struct flows_seen *told, uint64_t now_ms,
                     uint64_t *ret_moved);

/* ---- gap.c ---- */

int gaps_load(struct flows *f);
void gaps_note(struct flows *f, struct stream *s, const struct agent_flows *told,
               uint64_t first_ms);
/* Marks the ends whose records are missing in a window; true: some are, of nobody here. */
bool gaps_mark(const struct flows *f, uint64_t since_ms, uint64_t until_ms,
               const struct inventory *inventory, uint8_t ends[]);
/* So many of a stream without numbers of its own, up to 'at_ms'. */
void gaps_add(struct flows *f, struct stream *s, uint64_t n, uint64_t at_ms);
int gaps_save(struct flows *f); /* Errors as store_commit(). */
void gaps_free(struct flows *f);

/* ---- show.c ---- */

json_t *flow_json(const struct flows *f, const struct flow *r, uint64_t number);
const char *flow_origin_name(uint8_t origin);
const char *flow_layer_name(const struct flow *r); /* "": no layer of ours decided. */
const char *flow_protocol_name(uint8_t protocol, char text[8]);

/* ---- ask.c ---- */

/* What a question means in the numbers of the history. */
struct asked {
    struct history_query query;
    struct address from, to, either; /* When an end is an address. */
    int word;                        /* enum flow_word; -1: any. */
    bool from_address, to_address, either_address, denied;
    bool nothing; /* It names something that no record can have. */
};
void asked_of(const struct flows *f, const struct flows_question *q, struct asked *ret_a);

/* What the history does not look at. */
bool asked_matches(const struct asked *a, const struct flow *r);
/* And what it does, for those that do not come from it. */
bool asked_matches_all(const struct asked *a, const struct flow *r);
