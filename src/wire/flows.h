/* SPDX-License-Identifier: Apache-2.0 */
/* flows.h - a batch of flow records as columns of small numbers
 *
 * What is repeated is told once: texts, addresses, and kinds (everything about a connection but
 * its remote end, time and amounts) stand in tables, and a record is seven numbers, each in a
 * column of its own, as a difference where that is smaller.  A record of ordinary traffic takes 11
 * to 16 bytes, a fifth of what the structs of protocol buffers take.
 *
 *     format:u8 = 1
 *     n, then texts        length, bytes: UTF-8 without NUL
 *     n, then addresses    4 bytes each, IPv4
 *     n, then addresses    16 bytes each; numbers go on from those above
 *     n, then columns      of kinds: local, protocol, port, flags, process, script, user, uid,
 *                          rule, its
 *                          name, revision
 *     n, base, columns     of records: kind, remote, first, lasting, count, bytes out, bytes in
 *
 * All numbers are varints (base/reader.h).  Texts are numbered from 1, 0 is the empty one; the
 * rest from 0.  uid is one more than it is, modulo 2^32, so that "unknown" is 0.  flags: bit 0
 * direction, 1 enforced, 2-3 verdict, 4-6 layer.  revision, kind and first are zigzag differences
 * from the one before, where the one before the first is 0, 0 and base (Unix milliseconds).
 *
 * A record stands for connections of one minute: first and first + lasting are in the same one.
 *
 * Rules of use: what decodes is inside its limits, and every number points at what is there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/table.h"
#include "core/flow.h"
#include "core/program.h"

enum {
    FLOWS_FORMAT = 1,
    FLOWS_MAX_RECORDS = 4096, /* In one batch. */
    FLOWS_MAX_TEXTS = 4 * FLOWS_MAX_RECORDS,
    FLOWS_MAX_ADDRESSES = 2 * FLOWS_MAX_RECORDS,
    FLOWS_TEXT_SIZE = PROGRAM_PATH_SIZE, /* Of one text, NUL included. */
};
#define FLOWS_MAX_AMOUNT (UINT64_C(1) << 53) /* Of counts and bytes: JSON has these exactly. */

struct flow_kind {
    uint64_t revision;              /* Of the policy whose rule number this is; 0: unknown. */
    uint32_t local;                 /* Address. */
    uint32_t process, script, user; /* Texts. */
    uint32_t uid;                   /* UINT32_MAX: unknown. */
    uint32_t rule;                  /* Number in the program of 'revision'; 0: none. */
    uint32_t rule_name;             /* Text: its id, when the reporter still knows it. */
    uint16_t port;                  /* Destination port, or ICMP type (ICMPv4's number). */
    uint8_t protocol;               /* IPPROTO_* */
    uint8_t direction;              /* enum direction */
    uint8_t verdict;                /* enum verdict */
    uint8_t layer;                  /* enum layer */
    uint8_t enforced;               /* 0 for a would-deny. */
    uint8_t pad[5];                 /* Zero: kinds are compared as bytes. */
};
_Static_assert(sizeof(struct flow_kind) == 48, "no hidden padding");

struct flow_record {
    uint32_t kind;
    uint32_t remote;            /* Address. */
    uint64_t first_ms, last_ms; /* Unix time. */
    uint64_t count;             /* Connections, or packets where there is no connection. */
    uint64_t bytes_out;         /* Seen from the reporter's endpoint. */
    uint64_t bytes_in;
};

struct flow_batch {   /* Zeroes are an empty one. */
    struct buf bytes; /* Of texts, each with its NUL. */
    uint32_t *texts;  /* Where in 'bytes' number i + 1 begins. */
    struct address *addresses;
    struct flow_kind *kinds;
    struct flow_record *records;
    size_t n_texts, n_addresses, n_kinds, n_records;
    size_t texts_room, addresses_room, kinds_room, records_room;
    struct table text_index, address_index, kind_index; /* While it is being built. */
};

void flow_batch_done(struct flow_batch *b);

/* Text number 'n', or "". */
static inline const char *flow_batch_text(const struct flow_batch *b, uint32_t n)
{
    return n ? b->bytes.data + b->texts[n - 1] : "";
}

/* The number of a text or address, which is added if it is new.  What is no UTF-8 in a text is
 * escaped, what is too long is cut: program files are named by strangers. */
uint32_t flow_batch_add_text(struct flow_batch *b, const char *text);
uint32_t flow_batch_add_address(struct flow_batch *b, const struct address *a);

/* Adds a record; its 'kind' is found or added.  Texts and addresses are numbers of this batch. */
void flow_batch_add(struct flow_batch *b, const struct flow_kind *kind,
                    const struct flow_record *record);

/* The most bytes that flow_batch_encode() may append. */
size_t flow_batch_size_max(const struct flow_batch *b);
void flow_batch_encode(const struct flow_batch *b, struct buf *out);

/* Fills an empty batch.  -EINVAL, -E2BIG (over a limit); '*ret_what' (static) names it, and the
 * batch is still to be ended with flow_batch_done(). */
int flow_batch_decode(const void *data, size_t size, struct flow_batch *b, const char **ret_what);
