/* SPDX-License-Identifier: Apache-2.0 */
/* swarm.h - thousands of agents in one process, over the real protocol, without a kernel to enforce
 * in
 *
 * What
 * ====
 * Each member has a key and a certificate of its own, got with a token of its own; it keeps one TLS
 * connection, greets, takes snapshots and deltas, answers status requests, and comes back as a real
 * agent does (after 0.5 to 1.5 s, twice as long each time, at most 30 s).  Connections are handed
 * to it as text; it judges them by the program that it runs, as the kernel would (program_judge()),
 * and tells them in batches until they are acknowledged, again after a new connection.
 *
 * What is honest
 * ==============
 * Every program is decoded and checked before it is acknowledged.  Members of one identity that run
 * the same revision have the same tables but for their own addresses ('self'), and share one copy
 * here; that they are equal is checked for each snapshot, and it is an error when they are not.  Of
 * a delta the first member of each identity works out the result, and the others take that, if
 * theirs starts from what they run.  One that fits nothing is refused, and a snapshot comes.
 *
 * Commands
 * ========
 * Lines on standard input, words apart by a space, done in order; answers are lines of JSON.
 *
 *     enrol NAME TOKEN       queued; 'settle' waits for it
 *     connect                all that are enrolled keep a connection from now on
 *     settle REVISION        until all are enrolled and run it (0: run any): {"settled", "acks_us"}
 *     mark                   instants in 'acks_us' count from here (CLOCK_MONOTONIC): {"marked"}
 *     flow ...               FLOW_FIELDS words (telling.c), "-" for nothing; no answer
 *     flush                  until all that was told is acknowledged: {"flushed", "untold", ...}
 *     forget NAME            it is retired: ends its connection
 *     turn PORT bare|real    all go to another server.  A bare one speaks no protocol but its
 *                            frames: each is answered by an acknowledgement, and 'settle N' waits
 *                            for the Nth.  Each kind of server has tickets of its own
 *     forget-tickets         the next connection of each is a full handshake
 *     drop                   all connections are cut and come back: {"dropped"}
 *     state                  {"members", "connected", "connects", "resumed", "bytes_in", ...}
 *
 * One thread, one loop.  A mistake in a command ends the program with exit code 1 and the reason.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/table.h"
#include "sys/channel.h"
#include "wire/agent.h"

enum {
    SWARM_ENROLLING = 32,   /* At once. */
    SWARM_CONNECTING = 64,  /* Until they run their first program; later they come as they like. */
    SWARM_BATCH = 1000,     /* Records. */
    SWARM_WINDOW = 8,       /* Batches of one member without an answer. */
    SWARM_UNTOLD = 1 << 16, /* Batches of all that wait, before no more commands are read. */
};

struct shared { /* A program that some members run. */
    struct program *program;
    struct shared *next;
    size_t n_users;
};

struct batch { /* Sent, or waiting for its turn, until it is acknowledged. */
    struct batch *next;
    struct buf columns;
    uint64_t sequence;
    uint64_t last_ms;
};

struct member {
    struct swarm *swarm;
    char name[PROGRAM_NAME_SIZE];
    uint32_t number;
    char *token; /* Until it is enrolled. */
    char *key;
    struct tls *tls;
    struct ssl_session_st *aside; /* The ticket of the other kind of server. */
    struct channel *channel;
    struct timer *retry; /* Only while it is to come back. */
    bool is_enrolling, is_enrolled, is_open, is_wanted;
    bool is_first; /* Connecting for the first time, or without a program yet. */
    uint64_t backoff_ms;
    uint64_t running, trust_sequence;
    uint64_t pushed;   /* Frames of a bare server. */
    uint64_t acked_ns; /* When 'running' was acknowledged last. */
    struct shared *shared;
    /* telling.c */
    uint64_t epoch, sequence, sent; /* Last that was made, and that was sent on this connection. */
    struct flow_batch telling;
    struct batch *spool, **spool_end;
};

enum swarm_wait { WAIT_NOTHING, WAIT_SETTLED, WAIT_FLUSHED };

struct swarm {
    struct loop *loop;
    const char *address;
    uint16_t port;
    struct tls *stranger; /* For newcomers. */
    char *ca_pem;
    struct member **members; /* NULL: forgotten. */
    size_t n_members, members_room;
    struct table by_name;
    struct shared *programs;
    uint32_t first_waiting;     /* No member before it waits for enrolment. */
    uint32_t first_unconnected; /* No member before it waits for its first connection. */
    size_t n_here, n_enrolling, n_unenrolled, n_open, n_first;
    bool wanted; /* Members keep a connection. */
    bool bare;   /* To a server that speaks no protocol. */

    enum swarm_wait waits;
    uint64_t wait_revision;
    size_t n_behind; /* Members that do not run it yet. */
    uint64_t mark_ns;
    size_t n_unanswered; /* Batches. */

    uint64_t connects, resumed, failures, snapshots, deltas, refused, bytes_in, shared_found;
    uint64_t records, denied, untold;
    void (*progress)(struct swarm *s); /* Something that is waited for may have happened. */
};

/* Exits with code 1. */
void swarm_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

struct member *swarm_find(const struct swarm *s, const char *name);
void swarm_enrol(struct swarm *s, const char *name, const char *token);
void swarm_connect(struct swarm *s);
void swarm_forget(struct swarm *s, struct member *m);
void swarm_drop(struct swarm *s);
void swarm_turn(struct swarm *s, uint16_t port, bool bare);
void swarm_forget_tickets(struct swarm *s);
uint64_t swarm_now_ns(void);
void member_say(struct member *m, const struct agent_message *message);

/* True when the member is where 'settle' wants it. */
bool member_is_settled(const struct member *m, uint64_t revision);

/* ---- programs.c ---- */

/* 0: it runs the program from now on, and may say so.  Else the reason to refuse. */
enum agent_reason programs_take_snapshot(struct member *m, struct program **taken);
enum agent_reason programs_take_delta(struct member *m, const struct delta *d);
void programs_leave(struct member *m);

/* ---- telling.c ---- */

/* The words of a "flow" command. */
void telling_take(struct swarm *s, char *words[], size_t n);
void telling_flush(struct swarm *s); /* Batches that are not full go, too. */
void telling_connected(struct member *m);
void telling_acknowledged(struct member *m, const struct agent_flows_ack *a);
void telling_end(struct member *m);
