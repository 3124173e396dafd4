/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - how far a long command is: one line on standard error that is written over, at most
 * once a second, and only where somebody looks (a terminal) */
#pragma once

#include <stdint.h>

struct meter {
    const char *unit; /* " bytes"; NULL: none. */
    const char *hint; /* What else to say, as "; Ctrl-C ends it"; NULL: nothing. */
    int64_t said_s;   /* Its own. */
};

/* "what: 12 of 40 bytes (30 %)"; 'all' is 0: "what: 12 bytes". */
void meter_say(struct meter *m, const char *what, uint64_t done, uint64_t all);

/* The last time: what was said stays, or goes. */
void meter_end(struct meter *m, const char *what, uint64_t done, uint64_t all);
void meter_clear(struct meter *m);
