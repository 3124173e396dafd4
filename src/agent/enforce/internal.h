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

    struct edge *edge; /* NULL: nothing hangs here. */
    struct seat **edges;
    size_t n_edges, edges_room;
    struct watch *edge_events_watch, *edge_links_watch;

    struct ipc_piece *message;
    struct timer *watch_timer, *flush_timer;
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
void enforce_write_flow(struct enforce *e, const struct seat *s, const struct ipc_flow *f);
void enforce_write_notice(struct enforce *e, enum enforcer_notice kind, const char *text);

/* enforce.c */
void enforce_tell(struct seat *s, enum ipc_kind kind, const void *body, size_t size);
void enforce_notice(void *arg, enum enforcer_notice kind, const char *text);
struct enforcer_events enforce_events(struct enforce *e);
int enforce_make_dir(const char *path, struct buf *why);

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
void edges_watch(struct enforce *e);

/* For the host enforcer beside: is this interface a guarded port, or a port of a bridge that has
 * one?  What passes there is the guests'. */
bool edges_hold(void *e, const char *interface);
void edges_flush(struct enforce *e);
