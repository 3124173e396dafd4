/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - tries TCP connections, not too many and not too fast
 *
 * What
 * ====
 * For `suimitsu drill --really`: which of a few named addresses and ports can be connected to from
 * here.  It connects, sends nothing, and closes.  A worm's scan from an operator's own machine
 * would be an alarm at best and an outage at worst: so there is a limit to how many, how many at
 * once and how many a second, and the limits are here and not with the caller.
 *
 * Rules of use: blocks until all have been tried; the caller's function runs about five times a
 * second meanwhile.  One thread. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { SCAN_MAX_TARGETS = 2048, SCAN_MAX_RATE = 100, SCAN_MAX_ANSWER_MS = 5000, SCAN_AT_ONCE = 32 };

enum scan_result {
    SCAN_SILENT,      /* No answer in time. */
    SCAN_OPEN,        /* Connected. */
    SCAN_REFUSED,     /* A reset came back. */
    SCAN_DENIED,      /* This machine's own kernel refused: an agent here. */
    SCAN_UNREACHABLE, /* No route, or an ICMP error. */
};

struct scan_target {
    struct sockaddr_in6 address; /* IPv4 as v4-mapped. */
    enum scan_result result;
};

/* 'text' and 'port' as an address; -EINVAL: it is neither IPv4 nor IPv6. */
int scan_address(const char *text, uint16_t port, struct sockaddr_in6 *ret_a);

/* Tries each once, 'per_second' of them a second, and waits 'answer_ms' for an answer.
 * -E2BIG: more than SCAN_MAX_TARGETS.  -ERANGE: a rate or a time of 0 or above the limits.
 * Else as of poll(2). */
int scan_run(struct scan_target *targets, size_t n, unsigned per_second, unsigned answer_ms,
             void (*between)(void *user), void *user);

const char *scan_result_name(enum scan_result r);
