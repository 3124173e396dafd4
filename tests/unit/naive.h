/* SPDX-License-Identifier: Apache-2.0 */
/* naive.h - the meaning of a policy once more, by strings and loops
 *
 * Written from docs/policy.md alone and sharing nothing with src/core, so that one slip cannot be
 * on both sides.  A random policy is made here, written as YAML for the real reader, and judged
 * here by the plainest code that can be thought of. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { N_ENDPOINTS = 6, N_GROUPS = 9, MAX_RULES = 10, MAX_LIST = 3 };

struct n_list { /* An absent field has given == false. */
    bool given;
    int n;
    const char *items[MAX_LIST];
};

struct n_fields {
    struct n_list from, to, service, process, served_by, user;
};

struct n_rule {
    const char *layer; /* "quarantine", "never", "allow" */
    char id[8];
    struct n_fields fields, except;
    bool has_except, weaker, expired;
};

extern const char *const naive_groups[N_GROUPS];

struct n_endpoint {
    char name[8], v4[20], v6[20];
    const char *a, *b; /* Labels. */
    bool host, edge, nft;
    const char *state;
    bool member; /* Of the group with members. */
};

struct n_policy {
    struct n_endpoint endpoints[N_ENDPOINTS];
    struct n_rule rules[MAX_RULES];
    int n_rules;
    const char *default_mode, *modes[N_GROUPS]; /* NULL: none. */
};

struct n_query {
    const char *from, *to; /* Names or addresses. */
    const char *protocol;  /* "tcp", "udp", "icmp", "gre" */
    int port;              /* Or icmp type. */
    const char *process, *served_by, *user;
    int modbus;
};

struct n_answer {
    const char *verdict, *layer, *rule; /* rule "": none. */
    bool enforced;
};

uint32_t naive_random(uint32_t below); /* A fixed sequence. */
void naive_make(struct n_policy *p);
void naive_write(const struct n_policy *p, struct buf *policy, struct buf *inventory);
struct n_answer naive_judge(const struct n_policy *p, const struct n_query *q);
/* Does this rule alone match?  Quarantine's suspect has to be looked at by the caller. */
bool naive_matches(const struct n_policy *p, int rule, const struct n_query *q);
const struct n_endpoint *naive_endpoint(const struct n_policy *p, const char *name_or_address);
bool naive_in_group(const struct n_policy *p, const char *group, const char *end);
