/* SPDX-License-Identifier: Apache-2.0 */
/* snapshots.h - whole programs, of parts that are worked out and encoded once for all
 *
 * After a start all agents want their whole programs, and with a hundred thousand endpoints each of
 * these is megabytes, nearly all of them everybody's addresses.  So a snapshot is a rope: the
 * addresses, as long as no address changes; what all have alike, and what all of an identity have,
 * of one revision; and a few bytes of its own.  An agent's greeting costs these bytes, and a change
 * costs what it changed, whoever greets afterwards.
 *
 * What is kept of identities has a bound, beyond which it is forgotten and made again. */
#pragma once

#include "base/rope.h"
#include "core/compile.h"
#include "wire/agent_shared.h"

enum { SNAPSHOTS_KIN_MAX = 64 << 20 }; /* Bytes of all identities' parts. */

struct kin_part;

struct snapshots { /* Zeroes at first. */
    uint64_t revision;
    struct rope_block *common;             /* Of this revision; NULL: not yet. */
    struct kin_part *kin;                  /* Of this revision, by identity. */
    size_t kin_size;                       /* Bytes. */
    uint64_t stamp;                        /* Of compiled_addresses(). */
    struct rope_block *addresses;          /* Of this stamp; NULL: not yet. */
    struct rope_block *selves;             /* For as many rows. */
    size_t n_addresses;                    /* Rows. */
    uint64_t n_addresses_made, n_kin_made; /* How often: what others did not have to wait for. */
};

/* Appends the frame of an endpoint's snapshot.  As compiled_program(); -EMSGSIZE: longer than a
 * frame may be. */
int snapshots_encode(struct snapshots *s, struct compiled *c, const char *endpoint,
                     uint32_t confirm_s, uint64_t trust_sequence, struct rope *out,
                     const char **ret_what);

/* Makes now what the first greeting would wait for. */
void snapshots_prepare(struct snapshots *s, struct compiled *c);

void snapshots_done(struct snapshots *s);
