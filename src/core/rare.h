/* SPDX-License-Identifier: Apache-2.0 */
/* rare.h - recorded connections that stand out, and the facts that make them
 *
 * What
 * ====
 * Records (core/flow.h) of before an instant T, and of the window that begins there.  A connection
 * is what agrees in source, destination, service and the source's program; all of the outside is
 * one end.
 *
 *   RARE_NEW      first seen in the window, though both its ends were seen before T
 *   RARE_ONCE     one connection in the whole window
 *   RARE_PROGRAM  a program that was seen before T, on whatever endpoint, and never with this
 *                 service, or never with any group of the destination
 *   RARE_SCAN     a program of one source (here each address of the outside is one) that tried
 *                 RARE_SCAN_TRIES or more different pairs of destination and service in vain
 *                 within RARE_SCAN_MS: denied, or without a byte of answer at most three times.
 *                 Windows of that length begin every half of it; those that follow each other are
 *                 one line
 *
 * Who tells: the source's record, or the destination's where nobody tells for the source; network
 * gear where nobody tells for either.  A script counts as the program that it is.
 *
 * Nothing of this says that something is wrong.  Lines are sorted by kind, then the newest first.
 *
 * Limits: RARE_MAX facts and RARE_FLOWS connections of the window; what is over is counted
 * ('n_over'), and then something known may be shown as new. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"
#include "core/hygiene.h" /* HYGIENE_TELLS */
#include "core/world.h"

enum {
    RARE_MAX = 1 << 20,
    RARE_FLOWS = 1 << 18,
    RARE_SCAN_TRIES = 20,
    RARE_SCAN_MS = 600000,
    RARE_SCAN_COUNTED = 1000, /* Of one window; more are not told apart. */
};

enum rare_kind { RARE_NEW, RARE_ONCE, RARE_PROGRAM, RARE_SCAN, RARE_KINDS };
enum { RARE_ALL = (1 << RARE_KINDS) - 1 }; /* Bits 1 << kind. */

enum rare_reason { /* Of RARE_PROGRAM, or-ed. */
                   RARE_SERVICE = 1,
                   RARE_GROUP = 2,
};

struct rare_line {
    enum rare_kind kind;
    unsigned reasons;
    struct flow flow;         /* The connection with the sums of the window; of a scan its first
                               * attempt with first and last of all. */
    uint64_t before_ms;       /* The connection was first seen then, before T; 0: it was not. */
    uint64_t program_ms;      /* Its program was first seen then, on any endpoint, */
    uint64_t program_here_ms; /* and on the source; 0: the program was not told. */
    uint32_t n_peers;         /* Other destinations of the program on the source, ever. */
    uint32_t n_sources;       /* Endpoints that run the program, ever. */
    uint32_t n_tries, n_destinations, n_services; /* Of a scan, in the window with the most. */
    uint64_t n_denied;                            /* Of its attempts there. */
};

struct rare_totals {
    uint64_t records, connections; /* Of the window. */
    uint64_t n_unknown_ends;       /* New connections of which an end was not seen before T. */
    uint64_t n_over;
    uint64_t lines[RARE_KINDS];
};

struct rare;

/* 'w' and 'ends' (enum hygiene_end, by index of the endpoint) are borrowed, as is the keeper.
 * 'kinds' are bits 1 << kind. */
struct rare *rare_new(const struct world *w, const uint8_t *ends, unsigned kinds, uint64_t since_ms,
                      const char *(*text)(const void *keeper, text_t number), const void *keeper);
void rare_free(struct rare *r);
DEFINE_CLEANUP(struct rare, rare_free)

/* In any order.  Those that begin before T may be sums of many. */
void rare_add(struct rare *r, const struct flow *flows, size_t n);

/* Once, after the last record.  Borrowed. */
size_t rare_find(struct rare *r, const struct rare_line **ret_lines);
const struct rare_totals *rare_totals(const struct rare *r);

const char *rare_kind_name(enum rare_kind kind); /* "new", "once", "program", "scan" */
