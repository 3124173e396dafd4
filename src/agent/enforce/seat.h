/* SPDX-License-Identifier: Apache-2.0 */
/* seat.h - one enforcer's program through its life: taken, pending, confirmed, gone back from
 *
 * The agent has a seat for the machine itself and one for each port of its edge.  Each has a folder
 * (agent/enforce/state.h), a program, a revision that only rises, a clock for what awaits its
 * confirmation, and reports of its own; what differs - where the tables go - is behind seat_ops.
 *
 *     IDLE --program with confirm_s--> PENDING --confirm--> IDLE
 *                                         '--- time is up: back to the former program ---> IDLE
 *
 * A program with a lower revision than the running one is refused; going back is only for what was
 * pending. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "agent/enforce/report.h"
#include "agent/enforce/state.h"
#include "agent/ipc.h"
#include "base/buf.h"
#include "sys/loop.h"

struct seat;

struct seat_ops {
    int (*apply)(struct seat *s, const struct program *p, struct buf *why);
    /* -EINPROGRESS: taken; seat_trust_holds() follows. */
    int (*set_trust)(struct seat *s, const struct address *address, bool own, enum trust trust);
    uint64_t (*revision)(const struct seat *s); /* As the kernel has it; 0: none. */
    /* 0, or an error of ipc_send(): not told. */
    int (*tell)(struct seat *s, enum ipc_kind kind, const void *body, size_t size);
};

enum { SEAT_UNTOLD = UINT32_MAX, SEAT_DIR_SIZE = 512 };

struct seat {
    const struct seat_ops *ops;
    void *owner;     /* For the ops. */
    uint32_t number; /* In messages; SEAT_UNTOLD: the other half has not named it yet. */
    char dir[SEAT_DIR_SIZE];
    UT_hash_handle hh;    /* Of its owner: by the endpoint's name. */
    struct ipc_port port; /* With an empty endpoint: the machine itself. */
    struct report *report;
    bool lost_known;        /* The next was read from the folder. */
    uint64_t lost_told;     /* Of what the kernel counts as lost. */
    uint64_t lost_reported; /* Of what found no room in 'report'. */
    struct timer *confirm_timer;

    struct program_rule *former_rules; /* Names of the rules of the program before. */
    size_t n_former_rules;
    uint64_t former_revision;

    struct program *running; /* NULL: what the kernel holds is not on disk. */
    struct pending pending;
    uint64_t trust_sequence; /* In force. */
    uint64_t trust_taken;    /* Of what is in progress. */
    bool trust_unsaved;

    struct buf incoming; /* A program that is being received. */
    uint64_t incoming_size, incoming_trust;
    uint32_t incoming_confirm_s;
};

void seat_init(struct seat *s, struct loop *l, const struct seat_ops *ops, void *owner,
               const char *dir);
void seat_done(struct seat *s);

/* Owns 'taken' from now on.  0, or why it was refused, which was also acknowledged. */
int seat_take_program(struct seat *s, struct program *taken, uint32_t confirm_s);

/* Loads what the folder has: the program, or the former one when the pending one is overdue.
 * Errors as state_load(). */
int seat_load_stored(struct seat *s, struct program **ret_p);
void seat_set_running(struct seat *s, struct program *p); /* Owns it. */
void seat_start_clock(struct seat *s);
void seat_save_trust(struct seat *s); /* When something changed since. */

/* What the other half says. */
void seat_announce(struct seat *s, const struct ipc_program *a);
void seat_take_piece(struct seat *s, const struct ipc_piece *piece);
void seat_confirm(struct seat *s, uint64_t revision);
void seat_take_trust(struct seat *s, const struct ipc_trust *t);
void seat_trust_holds(struct seat *s); /* All that was taken. */

void seat_ack(struct seat *s, uint64_t revision, enum ipc_result result, enum ipc_reason reason,
              const char *text);
