/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the privileged half share; nobody else includes it */
#pragma once

#include <stdio.h>

#include "agent/enforce/enforce.h"
#include "agent/enforce/report.h"
#include "agent/enforce/state.h"
#include "agent/ipc.h"
#include "base/buf.h"
#include "sys/loop.h"

struct enforce {
    struct enforce_options options;
    struct loop *loop;
    struct host *host;
    struct report *report;
    struct program *running; /* NULL: what the kernel holds is not on disk. */
    struct pending pending;
    uint64_t trust_sequence;
    bool trust_unsaved;

    struct buf incoming; /* A program that is being received. */
    uint64_t incoming_size, incoming_trust;
    uint32_t incoming_confirm_s;
    struct ipc_piece *message;

    struct timer *watch_timer, *flush_timer, *confirm_timer;
    struct watch *events_watch, *links_watch, *net_watch, *status_watch;
    int lock_fd, status_fd;
    FILE *flows;
    uint64_t n_flushes, n_untold;
};

uint64_t enforce_unix_ms(void);

/* status.c */
int enforce_listen_status(struct enforce *e, struct buf *why);
void enforce_end_status(struct enforce *e);
void enforce_status(struct enforce *e, struct ipc_status *ret_s);
void enforce_write_flow(struct enforce *e, const struct ipc_flow *f);
void enforce_write_notice(struct enforce *e, enum enforcer_notice kind, const char *text);

/* enforce.c */
void enforce_ack(struct enforce *e, uint64_t revision, enum ipc_result result,
                 enum ipc_reason reason, const char *text);

/* Owns 'taken' from now on.  0, or why it was refused, which was also acknowledged. */
int enforce_take_program(struct enforce *e, struct program *taken, uint32_t confirm_s);
