/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - a policy and an inventory at one instant, put together
 *
 * Which groups is each endpoint in, whose address is this, which outside groups hold that one,
 * which rules are still alive: worked out once, then asked by the verdict, the lints and the
 * compiler. Group membership is a set of bits, so that "is it in one of the rule's groups" costs
 * the rule's groups and not the endpoint's.
 *
 * Borrows policy and inventory, which must outlive it; immutable after world_new(). */
#pragma once

#include "core/model.h"

struct group_set { /* One bit for each group of the policy. */
    uint64_t *words;
};

/* One end of a connection, as far as a policy can tell ends apart. */
struct end {
    const struct endpoint *endpoint; /* NULL: outside. */
    struct group_set groups;
    uint8_t enforcers;
    enum mode mode;
    enum trust trust;
    bool is_multicast; /* A multicast or broadcast address. */
};

struct outside_range { /* Longest prefix wins; the set holds the groups of all shorter ones too. */
    struct prefix prefix;
    struct group_set groups;
    bool is_multicast;
};

struct world {
    const struct policy *policy;
    const struct inventory *inventory;
    int64_t now_s;
    size_t n_words;                /* In each group_set. */
    struct end *ends;              /* Of the endpoints, by their index. */
    struct outside_range *outside; /* Sorted by address and length; ::/0 is always there. */
    size_t n_outside;
    struct world_address {
        struct address address;
        uint32_t endpoint;
    } * addresses; /* Sorted. */
    size_t n_addresses;
    uint32_t *n_members; /* Of each group, by its index. */
    struct arena *arena;
};

/* Never fails: names that the inventory lacks match nothing (world_lint() reports them). */
struct world *world_new(const struct policy *policy, const struct inventory *inventory,
                        int64_t now_s);
void world_free(struct world *w);
DEFINE_CLEANUP(struct world, world_free)

bool group_set_has(const struct group_set *s, uint32_t group);

/* The end that has this address: an endpoint, or the outside. */
struct end world_end_of_address(const struct world *w, const struct address *a);

/* The end named, or with the address written.  -ENOENT: neither. */
int world_end(const struct world *w, const char *name_or_address, struct end *ret_end,
              struct address *ret_address);

/* True when the selector takes this end. */
bool selector_takes(const struct selector *s, const struct end *end);
