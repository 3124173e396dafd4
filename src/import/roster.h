/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - address sets as names: proposed endpoints and groups
 *
 * Made from the pieces that resolve() left.  An address set becomes at most two groups: the
 * endpoints in it by name, and the rest as `outside` prefixes; equal sets share their groups. */
#pragma once

#include "import/names.h"
#include "import/resolve.h"

struct roster_endpoint {
    const char *name;
    const char *role;   /* NULL: nothing is known. */
    const char *reason; /* Why the role, or where it was seen. */
    struct ranges addresses;
    bool is_self;
};

struct roster_group {
    const char *name;
    const char *key;     /* What it holds, as text: equal keys are one group. */
    const char *comment; /* May be NULL. */
    bool is_outside;
};

struct roster {
    struct ruleset *rs;
    const char *self_name;
    struct ranges self;
    bool self_is_split; /* Some rule tells the box's addresses apart: an endpoint for each. */
    struct names names; /* Of groups. */
    struct roster_endpoint *endpoints; /* Heap; sorted by their first address, self first. */
    size_t n_endpoints, endpoints_room;
    struct roster_group *groups; /* Heap. */
    size_t n_groups, groups_room;
    struct ranges hosts; /* Addresses of all endpoints. */
};

struct selection { /* Of one end of a rule. */
    bool any;
    const char *groups[3];
    size_t n;
};

void roster_begin(struct roster *r, struct ruleset *rs, const struct resolved *what,
                  const char *self_name);
void roster_done(struct roster *r);

/* 'set' as groups, where the other end is 'other'; 'other_is_any' when that end was left open. */
struct selection roster_select(struct roster *r, struct ranges set, struct ranges other,
                               bool other_is_any);

/* The closed group for what is behind these interfaces; '*ret_which' is how to call them. */
struct selection roster_behind(struct roster *r, struct ranges interfaces, struct ranges set,
                               const char **ret_which);

/* "10.0.0.0/8, 192.168.0.1": a set as prefixes, at most 'max' of them. */
const char *prefixes_text(struct ruleset *rs, struct ranges set, size_t max);
