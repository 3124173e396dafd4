/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h - the entries of one pair of identities, asked of the verdict
 *
 * For each service class that a rule of the pair tells apart, and for each program and user that
 * this end can tell apart, the most permissive verdict over all that only the other end or an edge
 * can tell.  Private to the compiler. */
#pragma once

#include "core/program.h"
#include "core/verdict.h"

struct class_value { /* A class and a connection property that stands for it. */
    uint16_t class;
    const char *name; /* Program or user. */
    uint8_t protocol; /* Service. */
    uint16_t port;
};

struct classes { /* What the whole policy tells apart; by class number minus 1. */
    const struct class_value *services;
    size_t n_services;
    const struct class_value *users;
    size_t n_users;
    uint16_t (*process_class)(const void *context, const char *path);
    const void *context;
    const uint32_t *rule_numbers; /* By rule index. */
};

struct pair {
    const struct world *w;
    const struct classes *classes;
    const struct rule *const *rules; /* Alive, of this suspect's layers, taking both ends. */
    size_t n_rules;
    const struct end *from, *to; /* With the trust that 'suspect' says. */
    enum direction direction;    /* Of the end whose program this is. */
    enum suspect suspect;
    identity_t remote;
};

struct entries {
    struct program_entry *items;
    size_t n, room;
};

void pair_compile(const struct pair *pair, struct entries *to);
