/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - what the enforcing half keeps on disk: enough to stand guard before the network is up
 *
 *     program   the verdict program that runs (sealed records)
 *     former    while a change awaits its confirmation: the program to go back to
 *     pending   while it does: revision, boot id, and the moment of CLOCK_BOOTTIME to go back at
 *
 * A damaged file counts as absent, with an alarm; absent never means "allow": the kernel's pinned
 * tables go on, and where there are none either, the caller decides.  A pending change of an
 * earlier boot was never confirmed: it is gone back from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/program.h"

struct pending {
    uint64_t revision;    /* The unconfirmed one; 0: nothing is pending. */
    uint64_t deadline_ns; /* CLOCK_BOOTTIME. */
};

/* -ENOENT: there is none.  -EBADMSG: damaged, and moved aside as NAME.bad for people to look at; as
 * long as that is there and nothing else, it is never "there is none". */
int state_load(const char *dir, const char *name, struct program **ret_p);
int state_save(const char *dir, const char *name, const struct program *p);
void state_remove(const char *dir, const char *name);

/* Of this boot; with revision 0 when there is none, and 'deadline_ns' 0 when it is of another boot,
 * hence overdue. */
struct pending state_pending(const char *dir);
int state_set_pending(const char *dir, const struct pending *p);

uint64_t state_now_ns(void); /* CLOCK_BOOTTIME: goes on while the machine sleeps. */
