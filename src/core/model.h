/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - a policy and an inventory as plain data
 *
 * What
 * ====
 * text/policy.h makes these from files; nothing changes them afterwards, so that compilers, the
 * verdict and proofs may all read one copy.  A policy names groups, services and rules by their
 * index here: every name was resolved, or the policy was refused.  An inventory is separate, since
 * machines come and go while the policy stays.
 *
 * Places of all that a person may have written wrongly are kept, so that findings made later (a
 * check without an enforcer, a group without endpoints) can point at the line.
 *
 * Rules of use
 * ============
 * Everything hangs on one arena; policy_free() and inventory_free() end it.  Strings are
 * terminated, printable UTF-8, and within the grammars of docs/policy.md; lists may be NULL when
 * their count is 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/base.h"
#include "core/address.h"
#include "core/diagnostics.h"
#include "core/program.h" /* enum layer, mode, trust, verdict */

enum model_limits {
    MODEL_NAME_LEN = PROGRAM_NAME_SIZE - 1,
    MODEL_PATH_LEN = PROGRAM_PATH_SIZE - 1,
    MODEL_TEXT_LEN = 500,  /* Bytes of why, owner and other sentences. */
    MODEL_VALUE_LEN = 200, /* Bytes of a label's value. */
    MODEL_MAX_GROUPS = 1 << 14,
    MODEL_MAX_RULES = 1 << 16,
    MODEL_MAX_SERVICES = 1 << 15,
    MODEL_MAX_ENDPOINTS = 1 << 20,
    MODEL_INTERFACE_LEN = 15, /* IFNAMSIZ - 1 */
    MODEL_MAX_MACS = 8,       /* Of one endpoint at its port. */
    MODEL_MAX_MODBUS = 127,   /* Function codes 1 .. 127; the high bit marks an exception reply. */
};

#define MODEL_NEVER_EXPIRES INT64_MAX

struct label {
    const char *key, *value;
};

struct label_match { /* Any of the values. */
    const char *key;
    const char **values;
    size_t n_values;
};

enum group_kind {
    GROUP_MATCH,   /* Endpoints whose labels satisfy all of 'matches'. */
    GROUP_MEMBERS, /* The endpoints named. */
    GROUP_OUTSIDE, /* Addresses that are no endpoint's, within 'prefixes'. */
};

struct prefix {
    struct address address;
    uint8_t length;
};

struct named {
    const char *name;
    struct place place;
};

struct group {
    const char *name;
    struct place place;
    enum group_kind kind;
    struct label_match *matches;
    size_t n_matches;
    struct named *members;
    size_t n_members;
    struct prefix *prefixes; /* `outside: true` is the one prefix ::/0. */
    size_t n_prefixes;
};

struct port_range {
    uint8_t protocol;   /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP */
    uint16_t low, high; /* Ports, or ICMPv4 types. */
};

struct service {      /* Any of the ports; and, if there are functions, any of those. */
    const char *name; /* Or the text "tcp/22" when it is written into a rule. */
    bool is_inline;
    struct place place;
    struct port_range *ports;
    size_t n_ports;
    uint8_t *modbus;
    size_t n_modbus;
};

struct selector { /* Which endpoints: any, or one of the groups. */
    bool given;   /* False: the field is absent, which means any. */
    bool any;
    uint32_t *groups;
    size_t n_groups;
    struct place place;
};

struct user_ref {
    const char *name; /* Without the '@'. */
    bool is_group;
};

struct match { /* Several values in one field: any of them.  Several fields: all of them. */
    struct selector from, to;
    uint32_t *services; /* None: every protocol. */
    size_t n_services;
    const char **processes; /* Of the source. */
    size_t n_processes;
    const char **served_by; /* Programs of the destination. */
    size_t n_served_by;
    struct user_ref *users; /* At the source. */
    size_t n_users;
    struct place service_place, process_place, served_by_place, user_place;
};

struct learned { /* Where a learned rule comes from. */
    int64_t from_s, to_s;
    uint64_t flows;
    const char *signed_by;
};

struct rule {
    enum layer layer; /* LAYER_QUARANTINE, LAYER_NEVER or LAYER_ALLOW. */
    uint32_t index;   /* In policy.rules. */
    const char *id;
    struct place place; /* Of the id. */
    struct match match;
    struct match *except; /* LAYER_NEVER; NULL: none. */
    const char *why, *owner;
    const char *accept_weaker; /* The reason; NULL: not accepted. */
    int64_t expires_s;         /* First instant at which the rule no longer matches. */
    struct place expires_place;
    struct learned *learned; /* NULL: written by a person. */
};

struct mode_entry {
    uint32_t group;
    enum mode mode;
    struct place place; /* Of the group's name. */
};

struct policy_test {
    struct place place;
    struct named from, to; /* Endpoints or addresses. */
    uint32_t service;
    const char *process, *served_by, *user; /* NULL: not told. */
    int modbus;                             /* -1: not told. */
    enum verdict expect;
    const char *by; /* A rule's id or a layer's name; NULL: whatever decides. */
    int enforced;   /* 1, 0, or -1: whatever. */
};

enum proof_kind {
    PROOF_NO_PATH,   /* Nobody in 'from' gets to 'to', over any number of hops. */
    PROOF_PATH,      /* Somebody in 'from' gets to somebody in 'to'. */
    PROOF_ONLY_PATH, /* Nobody outside of 'from' gets to 'to'. */
};

struct proof {
    struct place place;
    enum proof_kind kind;
    struct selector from, to; /* Both given. */
    uint32_t *services;
    size_t n_services;
};

struct policy {
    struct arena *arena;
    struct group *groups; /* Sorted by name. */
    size_t n_groups;
    struct service *services; /* Named ones first, sorted by name. */
    size_t n_services, n_named_services;
    struct rule *rules; /* In the order of the files. */
    size_t n_rules;
    enum mode default_mode;
    struct place default_mode_place; /* Of `default`; line 0: it is not written. */
    struct mode_entry *modes;
    size_t n_modes;
    struct policy_test *tests;
    size_t n_tests;
    struct proof *proofs;
    size_t n_proofs;
};

enum enforcer {
    ENFORCER_HOST = 1,   /* Names, ports, process, served-by, user. */
    ENFORCER_EDGE = 2,   /* Names, ports, protocol functions. */
    ENFORCER_NFT = 4,    /* Names, ports. */
    ENFORCER_SWITCH = 8, /* Names, ports. */
};

struct mac {
    uint8_t bytes[6];
};

struct edge_place {           /* Where an endpoint hangs on an edge. */
    struct named agent, port; /* The endpoint whose agent it is; an interface of that machine. */
    const char *pair;         /* The other interface, in line before a device; NULL: not in line. */
    struct mac *macs;
    size_t n_macs;
    bool open_before; /* Passes everything until the first policy: in line before a device. */
    bool dhcp_server; /* It may answer DHCP requests. */
    bool router;      /* It may advertise itself as a router. */
    bool learn_dhcp;  /* What an authorised DHCP server leases to it is its own. */
    enum refusal refusal;
};

struct endpoint {
    const char *name;
    struct place place;
    struct label *labels; /* Sorted by key. */
    size_t n_labels;
    struct address *addresses;
    size_t n_addresses;
    uint8_t enforcers; /* enum enforcer, or-ed. */
    enum trust trust;
    struct edge_place *edge;               /* NULL: not told. */
    const char *switch_name, *switch_port; /* Where it hangs; NULL: not told. */
};

struct user {
    const char *name;
    struct place place;
    const char **groups; /* Sorted. */
    size_t n_groups;
};

struct inventory {
    struct arena *arena;
    struct endpoint *endpoints; /* Sorted by name. */
    size_t n_endpoints;
    struct user *users; /* Sorted by name. */
    size_t n_users;
};

void policy_free(struct policy *p);
DEFINE_CLEANUP(struct policy, policy_free)
void inventory_free(struct inventory *i);
DEFINE_CLEANUP(struct inventory, inventory_free)

/* Lookups by name; NULL: not there.  The index is the pointer minus the array. */
const struct group *policy_group(const struct policy *p, const char *name);
const struct service *policy_service(const struct policy *p, const char *name);
const struct rule *policy_rule(const struct policy *p, const char *id); /* Linear. */
const struct endpoint *inventory_endpoint(const struct inventory *i, const char *name);
const struct user *inventory_user(const struct inventory *i, const char *name);

/* Overlays a trust state that a person or a reaction gave: the one change that an inventory takes,
 * made by its owner before anybody compiles it.  -ENOENT: no such endpoint. */
int inventory_set_trust(struct inventory *i, const char *name, enum trust trust);

/* True until the end of the rule's `expires` day (UTC). */
bool rule_is_alive(const struct rule *r, int64_t now_s);
