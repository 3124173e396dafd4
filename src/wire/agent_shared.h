/* SPDX-License-Identifier: Apache-2.0 */
/* agent_shared.h - programs and deltas that many agents get, encoded once
 *
 * What agents of one identity are sent differs in the endpoint's name and in which addresses are
 * its own; of other identities, in the entries, too, while the addresses, which are most of it, are
 * everybody's.  Protocol buffers know no order of fields, and a column of flags has a byte a row:
 * so a frame is put together of blocks that lie in memory once (base/rope.h), and of the few bytes
 * that are the agent's own.  Agents see no difference. */
#pragma once

#include "base/rope.h"
#include "wire/agent.h"

/* ---- deltas ---- */

struct agent_shared_delta {
    struct buf delta, put; /* The fields of Delta but 'put', and of that but 'endpoint'. */
};

void agent_share_delta(const struct agent_delta *d, struct agent_shared_delta *ret_s);
void agent_shared_delta_done(struct agent_shared_delta *s);

/* Appends the frame for this endpoint.  -EMSGSIZE: as agent_encode(). */
int agent_encode_shared(const struct agent_shared_delta *s, const char *endpoint, struct buf *out);

/* ---- snapshots ---- */

/* Each appends some fields of a program: those that all endpoints of a revision have alike, those
 * that all of an identity have, and the table of addresses without 'self'. */
void agent_share_common(const struct program *p, struct buf *out);
void agent_share_kin(const struct program *p, struct buf *out);
void agent_share_addresses(const struct program_address *rows, size_t n, struct buf *out);

/* What the column 'self' of so many rows is cut from. */
void agent_share_selves(size_t n, struct buf *out);

struct agent_shared_snapshot { /* Blocks of the above; borrowed. */
    struct rope_block *common, *kin, *addresses, *selves;
    size_t n_addresses; /* Rows. */
};

struct agent_own { /* What is the endpoint's own of a snapshot. */
    const char *endpoint;
    identity_t identity;
    enum mode mode;
    enum trust trust;
    const uint32_t *rows; /* Of the addresses: where 'self' is set; ascending. */
    size_t n_rows;
    uint32_t confirm_s;
    uint64_t trust_sequence;
};

/* Appends the frame: what agent_decode() makes of it is as if it came from agent_encode().
 * -EMSGSIZE: as there; 'out' is unchanged. */
int agent_encode_snapshot(const struct agent_shared_snapshot *s, const struct agent_own *own,
                          struct rope *out);
