/* SPDX-License-Identifier: Apache-2.0 */
/* sighting.h - one connection as somebody tells it who is no enforcer of ours
 *
 * Network gear (NetFlow, IPFIX, sFlow) and the flow logs of clouds see packets, not programs and
 * not our rules.  What they tell is a sighting: addresses, ports, amounts.  It gets names, and
 * becomes a record of history (core/flow.h), where the inventory of then is known.
 *
 * A plain fixed-size structure without pointers: it is what the process that reads strangers'
 * datagrams may tell the controller, which checks every field (sighting_is_valid()). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/flow.h"

struct sighting {
    struct address source, destination; /* The client, as far as that is known, and the server. */
    uint64_t first_ms, last_ms;         /* Unix time. */
    uint64_t count;                     /* Connections; packets where connections are not told. */
    uint64_t bytes_out, bytes_in;       /* From source to destination, and back. */
    uint16_t source_port, port;         /* port: of the destination, or ICMP type. */
    uint8_t protocol;                   /* IPPROTO_*; ICMPv6 as IPPROTO_ICMP. */
    uint8_t verdict;                    /* VERDICT_ALLOW: it passed there.  VERDICT_DENY: not. */
    uint8_t origin;                     /* enum flow_origin, of those who are no enforcers. */
    uint8_t marks;                      /* enum flow_mark */
};
_Static_assert(sizeof(struct sighting) == 80, "no hidden padding");

#define SIGHTING_MAX_AMOUNT (UINT64_C(1) << 53) /* Of counts and bytes: JSON has these exactly. */
#define SIGHTING_MAX_SPAN_MS UINT64_C(86400000)

static inline bool sighting_is_valid(const struct sighting *s)
{
    return s->last_ms >= s->first_ms && s->last_ms - s->first_ms <= SIGHTING_MAX_SPAN_MS &&
           s->count <= SIGHTING_MAX_AMOUNT && s->bytes_out <= SIGHTING_MAX_AMOUNT &&
           s->bytes_in <= SIGHTING_MAX_AMOUNT &&
           (s->verdict == VERDICT_ALLOW || s->verdict == VERDICT_DENY) && s->origin > FLOW_EDGE &&
           s->origin < FLOW_ORIGINS && !(s->marks & ~FLOW_MARKS_OF_OTHERS);
}

enum { SIGHTING_ECHO = 8, SIGHTING_ECHO_REPLY = 0 }; /* ICMP types. */

/* Turns it around: who was the destination is the source. */
static inline void sighting_reverse(struct sighting *s)
{
    struct address a = s->source;
    uint64_t bytes = s->bytes_out;
    uint16_t port = s->port;

    s->source = s->destination;
    s->destination = a;
    s->bytes_out = s->bytes_in;
    s->bytes_in = bytes;
    if (s->protocol == 1) { /* IPPROTO_ICMP: a type, which is no port. */
        s->port = port == SIGHTING_ECHO_REPLY ? SIGHTING_ECHO : port;
    } else {
        s->port = s->source_port;
        s->source_port = port;
    }
}
