/* SPDX-License-Identifier: Apache-2.0 */
/* nft_rules.h - a verdict program as a table of nftables, for hosts where eBPF cannot go
 *
 * What
 * ====
 * One table of our own, `inet suimitsu`, as the JSON that `nft -j -f -` takes.  Names in it are
 * made of letters of ours and numbers; nothing of the policy is ever syntax (a set called `jump`
 * would be an error, one called `x; flush ruleset` something else).  Rule ids stand in comments.
 *
 *     remote address --map, intervals--> chain of what is said of such ends
 *     protocol . port --map, intervals--> accept by rule n | deny by rule n | would deny
 *
 * So a packet costs two look-ups, whatever the number of rules and endpoints.
 *
 * Each packet of a connection is judged, not only the first: those the way of the connection by
 * their destination port, those of the other way by their source port, as conntrack tells them
 * apart.  So a change of the policy holds for living connections with their next packet; those of
 * TCP that it forbids are reset.
 * Packets of unknown connections, and what conntrack takes for invalid, are closed; of ICMP what is
 * not tracked is judged by its type, and errors that belong to a connection pass.  What keeps the
 * link alive passes as with the host agent.
 *
 * Two slots
 * =========
 * The base chains `in` and `out` stay; what they use is called g0_... or g1_..., by slot.  A
 * replacement is three transactions: the other slot is added, the base chains are filled anew, the
 * former slot is deleted.  Each packet meets the old or the new, whole, and both with all of their
 * elements: a map of ranges in two dimensions gets its elements a moment after the rules of the
 * same transaction are in force (Linux, nft_pipapo_commit()), and for so long refused what is
 * allowed.  (A deleted and added base chain would be open for a moment or closed for one, by its
 * policy.)
 *
 * 'view' is an edge_view(): nft sees neither programs nor users. */
#pragma once

#include "base/buf.h"
#include "core/program.h"

#define NFT_TABLE "suimitsu"

enum nft_rules_limits { NFT_RULES_MAX_ELEMENTS = 1 << 20 }; /* Of all maps. */

enum nft_rules_part {
    NFT_RULES_SLOT = 1,  /* All of the slot, which nothing uses yet. */
    NFT_RULES_BASES = 2, /* The base chains unless they are there, and their rules, anew. */
    NFT_RULES_ALL = NFT_RULES_SLOT | NFT_RULES_BASES,
};

/* Adds commands, separated by commas: the table unless it is there, and these parts for 'slot' (0
 * or 1).  -E2BIG: more than NFT_RULES_MAX_ELEMENTS. */
int nft_rules(struct buf *b, const struct program *view, unsigned slot, enum nft_rules_part parts);

/* A document that puts the table in the place of whatever there is under its name. */
int nft_rules_document(struct buf *b, const struct program *view);
