/* SPDX-License-Identifier: Apache-2.0 */
/* enforce.h - the privileged half of the agent
 *
 * Start, in this order: program from disk (or what the kernel still holds, or learn mode when there
 * was never a policy, or nothing but the controller when there was one and it is lost), tables,
 * hooks, then the other half.  So the policy stands before the first message from the controller,
 * and before the network when the unit is ordered so.
 *
 * Beside the machine's own program there may be edges: endpoints that hang on ports of this
 * machine, each a seat of its own (seat.h).  Their bindings and programs are taken up at start,
 * too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "enforce/edge/edge.h"
#include "enforce/host/host.h"

struct enforce_options {
    struct host_options host;
    struct edge_options edge; /* For endpoints that hang on ports of this machine. */
    bool edge_only;           /* The machine itself is not enforced. */
    bool nft;                 /* The machine itself is enforced by nftables, not by eBPF. */
    const char *state_dir;
    const char *run_dir;
    const char *program_file; /* Standalone: enforce this file, read again on SIGHUP.  Or NULL. */
    const char *flows_file;   /* Append reports as JSON lines.  Or NULL. */
    struct program_lifeline controller; /* Port 0: none. */
    int net_fd;                         /* To the other half; -1: none. */
    int lock_fd;                        /* From enforce_lock(); -1: it is taken at start. */
    bool keep_capabilities;
};

/* One agent an instance: two would fight over the hooks.  Held until every copy of 'ret_fd' is
 * closed, also those of processes that were forked since.  -EBUSY: another one runs. */
int enforce_lock(const char *run_dir, int *ret_fd, struct buf *why);

/* Runs until SIGTERM or SIGINT, detaching nothing.  Returns an exit code. */
int enforce_run(const struct enforce_options *options);

/* Can `run --enforcer nft` do its work here?  Changes nothing.  'why' says what is in the way. */
int enforce_nft_try(struct buf *why);

/* Deletes the table of nftables that is ours by its name.  -ENOENT: there is none, or no nft. */
int enforce_nft_detach(struct buf *why);

/* Asks a running agent by its socket in 'run_dir' and prints what it answers.  Exit code: 7 when
 * nobody answers. */
int enforce_ask_status(const char *run_dir, bool json);
