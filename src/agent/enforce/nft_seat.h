/* SPDX-License-Identifier: Apache-2.0 */
/* nft_seat.h - the machine's own seat where eBPF cannot go: its program as a table of nftables
 *
 * The operator asks for it (--enforcer nft); nobody falls back to it, because it sees packets and
 * not programs or users.  A program that asks for these, made for an inventory that promises a host
 * enforcer here, is refused with E-WIDEN: what nobody would check must not be allowed.
 *
 * Everything else is as with the host enforcer: the stored program stands before the other half is
 * there, ending the agent changes nothing, a table that somebody changed is loaded again within one
 * round of the watch and told as tamper.  What it cannot tell is who talked: the kernel counts
 * connections and denials by rule, in the table, and there are no flow events. */
#pragma once

#include "agent/enforce/internal.h"

extern const struct seat_ops nft_seat_ops;

/* Puts the stored program in force, or goes on with the table that the kernel holds. */
int nft_seat_start(struct enforce *e, struct buf *why);
void nft_seat_watch(struct enforce *e);  /* Repairs. */
void nft_seat_finish(struct enforce *e); /* Detaches nothing. */

void nft_seat_status(const struct enforce *e, struct ipc_status *ret_s);
