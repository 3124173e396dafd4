/* SPDX-License-Identifier: Apache-2.0 */
/* unprotected.h - where the policy denies and nobody carries it out, or somebody who can be bribed
 *
 * What
 * ====
 * A verdict says what the policy wants; this says where that is only a wish.  Four reasons:
 *
 *     no enforcer    neither end has one: what the policy denies between them passes, today
 *     agent only     the source has nothing but what runs on it (an agent, nftables), and the other
 *                    end has none: root inside switches it off, and then it passes
 *     plain switch   both are in one /24 (IPv6: /64), which is taken for one segment since the
 *                    inventory does not tell: an enforcer elsewhere in the network sees nothing
 *     guessed identity   two neighbours whom the policy tells apart, by groups or trust, and
 * neither is behind an edge or switch that binds its address to its MAC and port: who takes the
 * other's address is taken for the other, by every enforcer
 *
 * An edge or an enforcing switch in front of the source is neither: whoever owns the source does
 * not own these (core/hop.h).  "Denies" is asked for what no service names, as nobody in
 * particular, so a pair for which only some services are open is listed, and one that may do
 * everything, or whose mode only reports, is not.
 *
 * Ends are told by their groups, a row for each pair of sets of groups: the number of pairs, and
 * one of them as an example.  The outside is one end, and never both.
 *
 * unprotected_owned() asks the same of one endpoint that fell: what still stands, and who is open
 * to it.
 *
 * Cost: for c classes of endpoints (core/classes.h) of which b have no enforcer, c * b judgements
 * of the rules without service; at most UNPROTECTED_MAX_ASKED.  Rules of use: borrows the world. */
#pragma once

#include "base/progress.h"
#include "core/world.h"

enum {
    UNPROTECTED_MAX_ASKED = 1 << 23,
    UNPROTECTED_MAX_ROWS = 1000, /* Of each reason; the others are only counted. */
    UNPROTECTED_EXAMPLES = 8,
};

enum unprotected_reason {
    UNPROTECTED_NO_ENFORCER,
    UNPROTECTED_AGENT_ONLY,
    UNPROTECTED_PLAIN_SWITCH,
    UNPROTECTED_GUESSED_IDENTITY,
    UNPROTECTED_REASONS,
};

struct unprotected_row {
    enum unprotected_reason reason;
    const char *from, *to; /* "office, pcs", "no group", "outside"; of a segment its network. */
    uint32_t n_from, n_to; /* Endpoints; 0: the outside. */
    uint64_t n_pairs;      /* Sources times destinations; the outside counts as one. */
    const struct endpoint *from_example, *to_example; /* NULL: the outside. */
};

struct unprotected {
    struct arena *arena;
    struct unprotected_row *rows; /* By reason, then most pairs first. */
    size_t n_rows;
    struct unprotected_sum {
        size_t n_rows, n_told; /* All, and those in 'rows'. */
        uint64_t n_pairs;
    } sums[UNPROTECTED_REASONS];
    uint32_t n_endpoints, n_bare, n_agent_only; /* Of the inventory. */
};

/* 'p' may be NULL.  -E2BIG: more than UNPROTECTED_MAX_ASKED. */
int unprotected_new(const struct world *w, struct progress *p, struct unprotected **ret_u);
void unprotected_free(struct unprotected *u);
DEFINE_CLEANUP(struct unprotected, unprotected_free)

const char *unprotected_reason_name(enum unprotected_reason reason); /* "no-enforcer", ... */
const char *unprotected_reason_closed_by(enum unprotected_reason reason);

struct unprotected_owned {
    uint8_t still,
        gone; /* enum enforcer, or-ed: what counts, and what does not, once it is owned. */
    bool outside_is_open;
    uint32_t n_open;   /* Other endpoints: denied, and nobody who still counts carries it out. */
    uint32_t n_beside; /* Of these in a /24 or /64 of its own. */
    uint32_t n_held;   /* Other endpoints that have an enforcer of their own. */
    uint32_t open[UNPROTECTED_EXAMPLES]; /* The first of them, those beside it before others. */
    size_t n_told;
};

/* What somebody who owns this endpoint of the inventory still meets. */
struct unprotected_owned unprotected_owned(const struct world *w, uint32_t endpoint);
