/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - ports that appear later are closed before their first frame
 *
 * A program can only be put on an interface that is there, and a guest may send before the agent
 * has heard of its port.  So a table of nftables, of our own, drops every frame from and to ports
 * that match a pattern, or hang on a guarded bridge, and are not in its set of open interfaces.  A
 * port gets into the set, by number and not by name, when its programs are on it; a later interface
 * of the same name has another number.  The table stays when the agent ends.
 *
 *     bridge prerouting, postrouting:  iifname "tap*" iif != @open drop   (and oifname, oif)
 *     inet   prerouting, postrouting:  the same, for ports that are routed and not bridged
 *
 * Guarding by bridge needs a kernel with NFT_BRIDGE_META; patterns do not.
 *
 * Names go to nft as JSON strings after a check of every letter; no text of a person gets into its
 * syntax. */
#pragma once

#include <stdint.h>

#include "enforce/edge/internal.h"

/* Replaces our table in one transaction, with the ports that are covered now as the open ones.
 * Nothing to guard: 0.  -EINVAL: a name that no interface can have.  -ENOENT: nft is not installed.
 * -EIO: nft refused. */
int guard_set(struct edge *e, struct buf *why);

/* A port's programs are on it, or no longer.  Errors are told by a notice: closed is what stays. */
void guard_open_port(struct edge *e, uint32_t ifindex);
void guard_close_port(struct edge *e, uint32_t ifindex);

/* The table was removed or emptied by others: put back.  Costs a process, so call it seldom. */
void guard_verify(struct edge *e);

/* Removes our table. */
void guard_remove(void);
