/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h - what a program says about all addresses of one family, in rows of one behaviour each
 *
 * A behaviour is the list of actions for each service class and direction.  Addresses whose
 * identity, mode and trust are the same share one; neighbours with the same are joined, and what
 * says the same as the row around it is left out.  Stages: see core/acl.h. */
#pragma once

#include "core/acl.h"

struct remote_key { /* All that a program tells remote ends apart by. */
    identity_t identity;
    uint8_t mode, trust;
};

struct remote_rows {
    const struct program *program;
    bool v6;
    struct remote_key *keys;
    uint32_t n_keys;
    uint32_t n_columns; /* Service classes; column 0 is class 0. */
    uint8_t *actions;   /* enum acl_action; see remote_action(). */
    uint32_t *rules;    /* Numbers; see remote_rule(). */

    struct remote_row {
        struct prefix prefix;
        uint32_t key; /* REMOTE_SELF; of 'rows': one key with that behaviour. */
        uint32_t stage;
    } * rows, *all; /* By address and length, the first holds all; 'all': before joining. */
    size_t n, n_all;
    uint32_t n_stages;

    struct remote_range { /* All ports of TCP and UDP, and all ICMP types, in order. */
        uint8_t protocol; /* ICMP types in the family's own numbers. */
        uint16_t low, high;
        uint32_t column;
    } * ranges;
    size_t n_ranges, ranges_room;
};

#define REMOTE_SELF UINT32_MAX

void remote_rows_init(struct remote_rows *r, const struct program *view, bool v6);

/* Gives rows to and from which nothing passes, and that hold no others, the first stage.  False,
 * and nothing has changed: there are none, or they are in a stage of their own already. */
bool remote_rows_deny_first(struct remote_rows *r);
void remote_rows_done(struct remote_rows *r);

static inline size_t remote_at(const struct remote_rows *r, enum direction d, uint32_t key,
                               uint32_t column)
{
    return ((size_t)d * r->n_keys + key) * r->n_columns + column;
}

static inline enum acl_action remote_action(const struct remote_rows *r, enum direction d,
                                            uint32_t key, uint32_t column)
{
    return (enum acl_action)r->actions[remote_at(r, d, key, column)];
}

static inline uint32_t remote_rule(const struct remote_rows *r, enum direction d, uint32_t key,
                                   uint32_t column)
{
    return r->rules[remote_at(r, d, key, column)];
}

/* The column of a protocol and port, or ICMP type in ICMPv4's numbers. */
uint32_t remote_column(const struct remote_rows *r, uint8_t protocol, uint16_t port);
