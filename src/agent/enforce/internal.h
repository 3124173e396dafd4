/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the privileged half share; nobody else includes it */
#pragma once

#include <stdio.h>

#include "agent/enforce/enforce.h"
#include "agent/enforce/seat.h"
#include "agent/ipc.h"
#include "base/buf.h"
#include "enforce/edge/edge.h"
#include "sys/loop.h"

struct enforce {
    struct enforce_options options;
    struct loop *loop;
    struct host *host;
    struct seat host_seat;

    struct nft *nft;               /* In the place of 'host'; see nft_seat.h. */
    struct timer *nft_trust_timer; /* Changes of trust that came and do not hold yet. */
    uint64_t nft_tampers;
    bool nft_failing; /* The last look at its table, or the repair, failed; that was told. */
    bool nft_unsure; /* Others changed the ruleset while ours was loaded: the next one is no tamper.
                      */

    struct edge *edge; /* NULL: nothing hangs here. */
    struct seat **edges;
    struct seat *edges_by_name;
    size_t n_edges, edges_room;
    struct watch *edge_events_watch, *edge_links_watch;

    struct ipc_piece *message;
    struct timer *watch_timer, *flush_timer;
    struct watch *events_watch, *links_watch, *net_watch, *status_watch;
    int lock_fd, status_fd;
    FILE *flows;
    uint64_t n_flushes, n_untold;
    int flows_room; /* Bytes of the way to the other half that reports may fill. */
};

/* status.c */
int enforce_listen_status(struct enforce *e, struct buf *why);
void enforce_end_status(struct enforce *e);
void enforce_status(struct enforce *e, struct ipc_status *ret_s);
void enforce_write_flow(struct enforce *e, const struct seat *s, const struct ipc_flow *f);
void enforce_write_notice(struct enforce *e, enum enforcer_notice kind, const char *text);

/* enforce.c */
int enforce_tell(struct seat *s, enum ipc_kind kind, const void *body, size_t size);
void enforce_notice(void *arg, enum enforcer_notice kind, const char *text);
struct enforcer_events enforce_events(struct enforce *e);
/* tell.c: what goes to the other half */
void tell_begin(struct enforce *e);
void tell_losses(struct enforce *e, struct seat *s); /* What is new since it was told last. */
void tell_report(struct enforce *e, struct seat *s); /* Its connections until now. */
void tell_end(struct enforce *e);                    /* All that is known, and that it is all. */

int enforce_make_dir(const char *path, struct buf *why);

/* Before the first policy: everybody may do everything, and is watched doing it. */
struct program *enforce_learning_program(void);

/* Puts the stored program in force at the machine's own seat, or leaves it at what the kernel
 * holds: 'held', of 'revision' (0: unknown). */
int enforce_first_program(struct enforce *e, bool held, uint64_t revision, struct buf *why);

/* edges.c: the seats of endpoints that hang on ports of this machine */

/* Takes up what the state folder knows, before the other half says anything: bindings and
 * programs.  An edge that cannot be loaded is told, and the machine's own enforcement goes on. */
int edges_start(struct enforce *e, struct buf *why);
void edges_finish(struct enforce *e); /* Detaches nothing. */

/* What the controller says hangs here; stored before it is done. */
void edges_put(struct enforce *e, uint32_t number, const struct ipc_port *port);
void edges_remove(struct enforce *e, struct seat *s); /* Ends the enforcement at its port. */

struct seat *edges_find(const struct enforce *e, const char *endpoint);
struct seat *edges_of_number(const struct enforce *e, uint32_t number);
void edges_status(struct enforce *e, const struct seat *s, struct ipc_status *ret_s);
/* In line: the two interfaces are one wire. */
bool edges_is_joined(const struct enforce *e, const struct seat *s);
void edges_watch(struct enforce *e);

/* For the host enforcer beside: is this interface a guarded port, or a port of a bridge that has
 * one?  What passes there is the guests'. */
bool edges_hold(void *e, const char *interface);
void edges_flush(struct enforce *e, bool counts); /* 'counts': those that the kernel keeps, too. */
void edges_tell_losses(struct enforce *e);
