/* SPDX-License-Identifier: Apache-2.0 */
/* exports.h - what one exporter's datagrams say: NetFlow v5 and v9, IPFIX, sFlow v5
 *
 * What
 * ====
 * Datagrams of one exporter go in, sightings come out.  No I/O and no clock: the time comes in.
 *
 *     datagram --> v5 / v9, IPFIX with templates / sFlow --> bound --> pairs.h --> sightings
 *
 * Templates belong to this exporter and to one observation domain (source id) of it; a later one
 * of the same number replaces the former, a withdrawal ends it, and a restart of the exporter ends
 * all.  Of options templates only the sampling rate is read.  Fields of enterprises are skipped,
 * but for the reverse ones of RFC 5103.
 *
 * Sources: NetFlow v5 as Cisco documents it; RFC 3954 (v9), RFC 7011 (IPFIX), RFC 5103 (biflows),
 * IANA's ipfix registry for the elements; "sFlow version 5", sflow.org, July 2004.
 *
 * What is not believed
 * ====================
 * UDP can be spoofed, so an exporter's datagrams are bounded: records a second (the rest is
 * counted), templates, fields, domains; the oldest of each gives way.  A time in the future or over
 * EXPORTS_PAST_MS back becomes the present, marked FLOW_RETIMED.  Numbers that were lost on the way
 * are counted by the sequence of each domain: v5 and IPFIX count records, v9 and sFlow datagrams.
 *
 * Amounts are multiplied by the sampling rate that the datagram, an option or a field tells, and
 * marked FLOW_ESTIMATED.  sFlow tells packets, so its counts are packets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "core/sighting.h"

enum {
    EXPORTS_MAX_DOMAINS = 64,
    EXPORTS_MAX_TEMPLATES = 512,
    EXPORTS_MAX_FIELDS = 128, /* Of one template. */
    EXPORTS_HELD_MAX = 16384,
    EXPORTS_HOLD_MS = 1000, /* How long one direction waits for the other. */
    EXPORTS_FUTURE_MS = 60000,
    EXPORTS_TEMPLATE_MS = 3600000, /* Not told again for so long: forgotten (RFC 7011, 8.4). */
    EXPORTS_DATAGRAM_MAX = 65535,
};
#define EXPORTS_PAST_MS (UINT64_C(7) * 86400000)

enum exports_kind { EXPORTS_AUTO, EXPORTS_NETFLOW, EXPORTS_IPFIX, EXPORTS_SFLOW, EXPORTS_KINDS };

struct exports_state {
    uint64_t datagrams, records;    /* Records: that were understood. */
    uint64_t malformed;             /* Datagrams, or what was left of them. */
    uint64_t unexpected;            /* Datagrams of another protocol than configured. */
    uint64_t untemplated;           /* Data sets whose template is not known (yet). */
    uint64_t skipped;               /* Records without two addresses. */
    uint64_t lost, late, restarts;  /* By sequence numbers. */
    uint64_t flooded;               /* Records over the bound. */
    uint64_t retimed;               /* Records whose time was not believed. */
    uint64_t evicted;               /* Templates and domains that gave way to others. */
    uint64_t last_ms;               /* When the last datagram came; 0: never. */
    uint32_t n_templates, sampling; /* The rate that was told last; 0: none. */
    uint32_t origins;               /* Bits of enum flow_origin that were heard. */
    uint32_t pad;
};

struct exports;

/* 'max_rate': records a second, in the mean over two; 0: no bound. */
struct exports *exports_new(uint32_t max_rate);
void exports_free(struct exports *e);
DEFINE_CLEANUP(struct exports, exports_free)

/* -EPROTO: malformed, or not of this kind; what was understood before that place counts. */
int exports_take(struct exports *e, enum exports_kind kind, const void *data, size_t size,
                 uint64_t now_ms);

/* The next one that was held for long enough; call it until it is false, after every datagram and
 * at least once a second. */
bool exports_next(struct exports *e, uint64_t now_ms, struct sighting *ret_s);

size_t exports_held(const struct exports *e); /* How many wait. */

const struct exports_state *exports_state(const struct exports *e);
