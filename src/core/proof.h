/* SPDX-License-Identifier: Apache-2.0 */
/* proof.h - what an attacker who owns one box can reach, over any number of hops
 *
 * What
 * ====
 * A proof of the policy (`prove:`) is worked out over all endpoints and outside ranges at once, by
 * the classes of core/classes.h; what one hop is, core/hop.h says.  Any endpoint that was reached
 * by any service may be the next one; `service` holds the last hop alone.
 *
 *     no-path    no end of `from` gets to another end of `to`
 *     path       some end of `from` does: the negation
 *     only-path  no end that is neither in `from` nor in `to` has a hop into `to`
 *
 * Time: a walk over the graph of hops (hop_walk.h), whose edges are about as many as memberships;
 * a proof with services makes the graph of its last hop first. */
#pragma once

#include "base/buf.h"
#include "base/progress.h"
#include "core/hop.h"

struct proof_hop {
    const char *from, *to;      /* Names, or prefixes of the outside; on the arena. */
    const char *service;        /* "tcp/22", or "any service". */
    const struct rule *rule;    /* That allows it; NULL: see below. */
    bool unenforced;            /* Nobody carries the denial out. */
    bool reported;              /* The denial is only reported: learn or test mode. */
    const char *process, *user; /* What the attacker claims; NULL: whatever. */
};

struct proof_result {
    struct arena *arena;
    bool holds;
    struct proof_hop *hops; /* A shortest path, or for only-path the ends that get in besides. */
    size_t n_hops;
    size_t n_endpoints, n_outside, n_classes, n_slices, n_rules; /* Over what it was computed. */
};

/* 'h' is of hops_new(). */
void proof_run(const struct hops *h, const struct proof *p, struct proof_result *ret_r);
void proof_result_done(struct proof_result *r);

/* "pc1 to db1 by tcp/5432 ("shop-db", as /opt/orders)" */
void proof_write_hop(struct buf *b, const struct proof_hop *hop);

/* Runs proof number 'i' of the policy; one that fails is an E-PROOF with its path. */
bool policy_run_proof(const struct hops *h, size_t i, struct diagnostics *d);

/* All of them; returns the number that hold.  Ends too many to be told apart are an E-LIMIT. */
size_t policy_run_proofs(const struct world *w, struct diagnostics *d);

/* The same, with a step of 'p' for each. */
size_t policy_count_proofs(const struct world *w, struct progress *p, struct diagnostics *d);
