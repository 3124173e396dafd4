/* SPDX-License-Identifier: Apache-2.0 */
/* language.h - the tables that are the language: every key, its type, its grammar
 *
 * What text/decode.h fills from them: words with places, names not yet looked up.  text/policy.c
 * and text/inventory.c make the model from these. */
#pragma once

#include "text/decode.h"

struct raw_group {
    struct word name; /* The key: first, as FIELD_MAP wants it. */
    struct place place;
    struct objects match; /* struct raw_label_match */
    struct words members, outside;
};

struct raw_label_match {
    struct word key;
    struct words values;
};

struct raw_service {
    struct word name;
    struct place place;
    struct words ports;
    struct numbers modbus;
};

struct raw_program {
    struct words exe;
};

struct raw_learned {
    struct word from, to, signed_by;
    struct number flows;
};

struct raw_rule {
    struct word id, why, owner, expires, accept_weaker;
    struct words from, to, service, user;
    struct raw_program *process, *served_by;
    struct raw_rule *except;
    struct raw_learned *learned;
    struct place place;
};

struct raw_mode {
    struct word group;
    struct word mode;
};

struct raw_test {
    struct word from, to, service, user, expect, by;
    struct raw_program *process, *served_by;
    struct number modbus, enforced;
    struct place place;
};

struct raw_path {
    struct words from, to, service;
    struct place place;
};

struct raw_proof {
    struct raw_path *no_path, *path, *only_path; /* Exactly one. */
    struct place place;
};

struct raw_policy {
    struct number version;
    struct objects groups, services, quarantine, never, allow, mode, tests, prove;
};

struct raw_switch {
    struct word name, port;
    struct place place;
};

struct raw_endpoint {
    struct word name;
    struct place place;
    struct objects labels; /* struct raw_label */
    struct words addresses, enforcers;
    struct word state;
    struct raw_edge *edge;
    struct raw_switch *at_switch;
};

struct raw_edge {
    struct word agent, port, pair, before, refuse, learn;
    struct words macs, may;
};

struct raw_label {
    struct word key;
    struct word value;
};

struct raw_user {
    struct word name;
    struct place place;
    struct words groups;
};

struct raw_inventory {
    struct number version;
    struct objects endpoints, users;
};

extern const struct schema policy_schema, inventory_schema;
