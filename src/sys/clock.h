/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the wall clock, read in one way
 *
 * time(2) and CLOCK_REALTIME_COARSE give the time of the last tick, up to 10 ms old, so that a
 * change made just after a full second would be booked in the second before it, where another
 * program (or a record with milliseconds) says that it had not happened yet.  Hence all of ours use
 * these two. Intervals and deadlines are not for this clock, which operators and NTP set:
 * loop_now_ms(). */
#pragma once

#include <stdint.h>

/* Seconds since 1970, UTC. */
int64_t clock_unix_s(void);

/* Milliseconds since 1970, UTC. */
uint64_t clock_unix_ms(void);
