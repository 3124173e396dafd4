/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - what an ordered list lets through, without its order
 *
 * A policy has no order, a packet filter is nothing but order.  So the list is walked once, chains
 * and jumps included, with the box of packets that reach each rule:
 *
 *   - an accept becomes an allow of its own box, minus the boxes of the denials before it (earlier
 *     accepts need not be taken away: allowing twice is allowing);
 *   - a denial that stands before every accept it touches becomes a `never`, if a later accept
 *     needs one; the others are subtracted from the accepts behind them;
 *   - what a chain returned, or sent elsewhere by goto, is subtracted inside that chain only.
 *
 * The union of the allows, minus the nevers, is then exactly what first-match lets through, apart
 * from what the ledger names.
 *
 * With the addresses of the box, INPUT is what others send to it, OUTPUT what it sends, FORWARD the
 * rest; without, one chain is taken to judge all packets. */
#pragma once

#include "import/ruleset.h"

struct piece { /* A box that is allowed, or never. */
    struct box box;
    const struct import_rule *rule;
};

struct pieces {
    struct piece *items; /* Heap. */
    size_t n, room;
};

struct resolved {
    struct pieces allows, nevers;
    struct ranges self; /* Of the box; empty: not told. */
    size_t n_visits;
};
void resolved_done(struct resolved *r);

/* Walks what was linked without an error.  'chain' NULL: whatever decides.  Notes go to the ledger,
 * shadowed and unreachable rules to the findings, limits and a choice that nobody made to rs->d. */
void resolve(struct ruleset *rs, struct ranges self, const char *chain, struct resolved *ret);

/* Service sets that a policy has words for: tcp, udp and icmp, or everything. */
bool service_is_everything(struct ruleset *rs, struct ranges services);
struct ranges service_without_words(struct ruleset *rs, struct ranges services);

/* The interfaces are all but perhaps lo. */
bool box_is_of_all_interfaces(const struct ruleset *rs, const struct box *b);
