/* SPDX-License-Identifier: Apache-2.0 */
/* nft.h - the nftables enforcer: for Linux hosts where eBPF cannot go
 *
 * Takes the same verdict programs as the other enforcers and keeps one table of its own,
 * `inet suimitsu` (core/nft_rules.h), by running nft(8): its library is GPL, and ours is not.
 * Other tables are never touched; theirs may drop more, and cannot let pass what ours drops.
 *
 * What it cannot see (programs, users, functions) is checked by somebody else or was refused when
 * the policy was compiled; see core/edge_view.h.
 *
 * A replacement is prepared, put in force and cleaned up behind, a transaction each
 * (core/nft_rules.h): each packet meets the old rules or the new ones, whole; one that nft refuses,
 * or that is interrupted, changes no verdict.  nft_free() leaves all in force: a dead agent changes
 * nothing.
 *
 *     nft_load()  --> listing and generation of the kernel's ruleset are remembered
 *     nft_check() --> same generation: nothing was changed by anybody (one small netlink message);
 *                     another one, same listing: somebody changed his own table;
 *                     another listing: loaded again, whole, and told
 *
 * Rules of use: one thread; CAP_NET_ADMIN; in the network namespace that it is to guard.  Calls
 * block while nft runs. */
#pragma once

#include "base/buf.h"
#include "core/program.h"

struct nft_options {
    const char *binary; /* NULL: /usr/sbin/nft. */
};

struct nft;

/* Loads nothing yet.  -errno: no netlink socket. */
int nft_new(const struct nft_options *o, struct nft **ret_n);
void nft_free(struct nft *n); /* What is loaded stays. */
DEFINE_CLEANUP(struct nft, nft_free)

/* Puts the program in force, or leaves what there was.  -E2BIG: too many elements.  -EIO: nft
 * refused, 'why' has what it said.  -EBUSY: others change the ruleset
 * without end, so that nobody can vouch for what is in force; nft_check() loads it again.  Else
 * errors of starting a process. */
int nft_load(struct nft *n, const struct program *p, struct buf *why);

/* Would the kernel take it?  Changes nothing.  Errors as nft_load(), -EBUSY apart. */
int nft_try(struct nft *n, const struct program *p, struct buf *why);

/* What the kernel holds under our table's name, whoever loaded it. */
enum nft_found {
    NFT_NONE,
    NFT_STRANGE, /* Not of the shape that we leave behind. */
    NFT_OURS,
};

/* enum nft_found, or errors of starting a process. */
int nft_found(struct nft *n);

/* 0: as it was loaded.  1: it was not, and has been repaired.  -ENOENT: nothing was loaded yet.
 * Else as nft_load(). */
int nft_check(struct nft *n, struct buf *why);

/* Deletes the table; the host is open then. */
int nft_detach(struct nft *n, struct buf *why);

uint64_t nft_revision(const struct nft *n); /* Of what is in force; 0: nothing. */
