/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.h - two directions become one connection, and the client is found
 *
 * Exporters tell each direction of a connection by itself, often in different datagrams.  What is
 * heard is held for a moment; when the other direction comes meanwhile the two become one sighting,
 * and so do pieces of the same direction.  Then it is decided who asked whom:
 *
 *     told        the exporter says who began (biflows, NSG tuples), or ICMP says echo and reply
 *     by flags    TCP: a SYN without ACK is the client's, one with ACK the server's
 *     by time     TCP: both directions were heard from their SYN on, and one began more
 *                 than a millisecond earlier
 *     by ports    the others: below 1024, else below 32768 is the server's, else the lower one;
 *                 marked FLOW_GUESSED
 *
 * Limits: as many as the owner said are held; more are refused.  First in, first out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "core/sighting.h"

enum heard_client { CLIENT_IS_DESTINATION = -1, CLIENT_UNKNOWN = 0, CLIENT_IS_SOURCE = 1 };

enum { PAIRS_TCP_FIN = 1, PAIRS_TCP_SYN = 2, PAIRS_TCP_ACK = 16 };

struct heard {
    struct sighting s; /* As it was told: from sender to receiver. */
    uint32_t teller;   /* Only what one teller says is put together. */
    int8_t client;     /* enum heard_client */
    bool has_syn;      /* It was heard from its SYN on. */
    bool adds_up;      /* Pieces have counts of their own; else pieces of one are one. */
};

struct pairs;
struct pairs *pairs_new(size_t max);
void pairs_free(struct pairs *p);
DEFINE_CLEANUP(struct pairs, pairs_free)

/* Holds it until 'due_ms', or adds it to what it belongs to.  -ENOBUFS: full. */
int pairs_add(struct pairs *p, const struct heard *h, uint64_t due_ms);

size_t pairs_count(const struct pairs *p);

/* The next one that is due at 'now_ms', or the oldest while more than 'keep' are held. */
bool pairs_next(struct pairs *p, uint64_t now_ms, size_t keep, struct sighting *ret_s,
                uint32_t *ret_teller);

/* What TCP's flags say about the sender; 'one_packet': they are of one packet, not of many. */
enum heard_client pairs_client_by_flags(uint8_t flags, bool one_packet);
