/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h - two interfaces as one wire: in line before a device
 *
 *     network ---- far | bridge suimitsuXXXX | port ---- device        (XXXX: of the port's name)
 *
 * The kernel's own bridge, without addresses, spanning tree and multicast snooping, so that the
 * wire goes on when the agent ends.  Where the two are ports of one bridge already, that one is
 * taken as it is.
 *
 * Fail-open or fail-closed is the port's choice ('open_before'): a wire that is open stands before
 * the programs do, and without them; one that is closed is joined when they are on the port, and is
 * taken apart when the enforcement ends.  The bridge's alias says which (`ip link`). */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* Joins the two; there already: 0.  -ENODEV: an interface is not there (yet).  -EBUSY: one of them
 * is a port of another bridge.  Others: from the kernel. */
int pair_join(const char *port, const char *far, bool open, struct buf *why);

bool pair_is_joined(const char *port, const char *far);

/* The enforcement at 'port' ends: a closed wire of ours is taken apart, an open one stays. */
void pair_end(const char *port);

/* The same for all of this name space. */
void pair_end_all(void);
