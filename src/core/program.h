/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - the verdict program: what one enforcer needs in order to judge, as plain tables
 *
 * What
 * ====
 * The compiler (core/compile.h) turns names into numbers and writes, for each local identity, one
 * verdict program.  All endpoints with that identity share its entries; addresses, services,
 * processes and users are the same for everybody.  Controller, wire formats, agent and kernel maps
 * carry exactly these tables, so that none of them has to understand policy.
 *
 *     remote address --addresses--> identity, mode, trust       longest prefix wins
 *     protocol, port --services---> service class               0: no rule names this port
 *     program file   --processes--> process class               0: no rule names this file
 *     login name     --users------> user class                  0: no rule names this person
 *     (direction, suspect, remote identity, service, process, user) --entries--> verdict
 *
 * How a connection is judged (program_judge() is the definition; the kernel does the same)
 * ========================================================================================
 *   1. lifeline: the endpoint itself, and the controller's address and port: allow.
 *   2. both ends black: deny (quarantine).  One end black: look up with 'suspect' set; nothing
 *      found: deny (quarantine).
 *   3. base entry = (service, 0, 0), or else (0, 0, 0) "every service that has no entry of its
 * own". If the base entry says 'refine', the first present of these replaces it, with the base's
 *      service: (process, user), (process, 0), (0, user).  The compiler writes all combinations
 *      that any rule of this pair tells apart, so a missing one means that the base is right.
 *      At an edge a base may say REFINE_FUNCTION instead: then what is asked with a protocol
 * function is decided by (PROGRAM_FUNCTION | function), or else by (PROGRAM_FUNCTION), any other
 * one. Without a function the base tells whether any would pass.
 *   4. PROGRAM_DEFAULT, or no entry: deny by default, or would-deny when the stricter mode of both
 *      ends is learn or test.
 *
 * At the source end 'process' and 'user' are the client's; what only the destination can check
 * (served-by) is left to it when it has a host enforcer.  At the destination end 'process' is the
 * server program and 'user' is 0.
 *
 * A program is immutable once built: enforcers compare revisions and swap whole programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "core/address.h"

typedef uint32_t identity_t;

enum program_limits {
    PROGRAM_MAX_ADDRESSES = 1 << 20,
    PROGRAM_MAX_ENTRIES = 1 << 21,
    PROGRAM_MAX_SERVICES = 1 << 16,
    PROGRAM_MAX_PROCESSES = 1 << 14,
    PROGRAM_MAX_USERS = 1 << 15,
    PROGRAM_MAX_RULES = 1 << 17,
    PROGRAM_MAX_LIFELINE = 5,
    PROGRAM_NAME_SIZE = 64,  /* Rule ids, user and endpoint names, NUL included. */
    PROGRAM_PATH_SIZE = 256, /* Program files, NUL included. */
};

enum layer { /* In the order in which they are asked. */
             LAYER_LIFELINE,
             LAYER_QUARANTINE,
             LAYER_GLASS,
             LAYER_NEVER,
             LAYER_ALLOW,
             LAYER_DEFAULT,
};

enum verdict { VERDICT_DENY, VERDICT_ALLOW, VERDICT_WOULD_DENY };

enum mode { /* The stricter is the larger.  NONE: the outside, which has no mode. */
            MODE_NONE,
            MODE_LEARN,
            MODE_TEST,
            MODE_ENFORCE,
};

enum refusal { /* What a client hears of a request for a protocol function that is denied. */
               REFUSE_DROP,
               REFUSE_RESET,     /* TCP RST, to both ends. */
               REFUSE_EXCEPTION, /* The protocol's own refusal; then the connection ends. */
};

enum trust { TRUST_WHITE, TRUST_GREY, TRUST_BLACK };

enum direction { DIRECTION_OUT, DIRECTION_IN }; /* OUT: this endpoint is the source. */

enum suspect { SUSPECT_NONE, SUSPECT_SOURCE, SUSPECT_DESTINATION }; /* Which end is black. */

enum program_word { PROGRAM_DENY, PROGRAM_ALLOW, PROGRAM_DEFAULT };

enum program_refine {
    REFINE_PROCESS = 1,
    REFINE_USER = 2,
    REFINE_FUNCTION = 4, /* For edges; see PROGRAM_FUNCTION. */
};

/* In the place of a process, which an edge does not know and whose classes are smaller: the
 * protocol function in the low bits.  Hosts never find such an entry. */
enum { PROGRAM_FUNCTION = 0x8000 };

struct program_entry {
    identity_t remote;
    uint16_t service;  /* Class; 0: every service without an entry of its own. */
    uint16_t process;  /* Class; 0 in base entries. */
    uint16_t user;     /* Class; 0 in base entries. */
    uint8_t direction; /* enum direction */
    uint8_t suspect;   /* enum suspect */
    uint8_t word;      /* enum program_word */
    uint8_t layer;     /* enum layer */
    uint8_t refine;    /* enum program_refine, or-ed; in base entries only. */
    uint32_t rule;     /* Number of the deciding rule, 1 .. n_rules; 0: none. */
};

struct program_address {
    struct address address; /* Host bits are zero. */
    uint8_t length;         /* 128: one address. */
    uint8_t mode;           /* enum mode of the endpoint; MODE_NONE for the outside. */
    uint8_t trust;          /* enum trust */
    bool self;              /* An address of this program's own endpoint. */
    identity_t identity;
};

struct program_service {
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP or IPPROTO_ICMP. */
    uint16_t low;  /* First and last port; ICMP: first and last type in ICMPv4's numbers, which */
    uint16_t high; /* stand for their ICMPv6 twins too (echo: 8 means 128). */
    uint16_t class;
};

struct program_process {
    uint16_t class;
    char path[PROGRAM_PATH_SIZE];
};

struct program_user {
    uint16_t class;
    char name[PROGRAM_NAME_SIZE];
};

struct program_rule { /* The name of rule number i + 1, for people and reports. */
    char id[PROGRAM_NAME_SIZE];
};

struct program_lifeline { /* Always allowed, as client or as server: agents and controller. */
    struct address address;
    uint16_t port;    /* At the controller. */
    uint8_t protocol; /* IPPROTO_TCP. */
};

struct program {
    uint64_t revision;                /* Rises with each change; 0: before any policy. */
    char endpoint[PROGRAM_NAME_SIZE]; /* Whose program this is. */
    identity_t identity;              /* Of that endpoint. */
    enum mode mode;
    enum trust trust;

    struct program_entry *entries; /* Sorted by program_entry_compare(), unique. */
    size_t n_entries;
    struct program_address *addresses; /* Sorted by address and length, unique. */
    size_t n_addresses;
    struct program_service *services; /* Sorted by protocol and port; disjoint ranges. */
    size_t n_services;
    struct program_process *processes; /* Sorted by path, unique paths. */
    size_t n_processes;
    struct program_user *users; /* Sorted by name, unique names. */
    size_t n_users;
    struct program_rule *rules;
    size_t n_rules;
    struct program_lifeline lifeline[PROGRAM_MAX_LIFELINE];
    size_t n_lifeline;
};

struct program *program_new(void);
void program_free(struct program *p); /* And its tables. */
DEFINE_CLEANUP(struct program, program_free)

/* Brings the tables of a hand- or wire-made program into their order.  Then checks everything that
 * program_judge() and the kernel rely on: limits, ranges of every number, uniqueness, disjoint
 * services, terminated strings, absolute paths.
 * -E2BIG: a table is over its limit.  -EINVAL: something else; '*ret_what' (static) names it. */
int program_check(struct program *p, const char **ret_what);

int program_entry_compare(const struct program_entry *a, const struct program_entry *b); /* Key. */

struct program_query { /* One connection as this endpoint's enforcer sees it. */
    enum direction direction;
    struct address remote;
    uint8_t protocol;    /* IPPROTO_*; ICMPv6 is asked as IPPROTO_ICMP with the ICMPv4 type. */
    uint16_t port;       /* Destination port, or ICMP type. */
    const char *process; /* The client's program for OUT, the server's for IN; NULL: unknown. */
    const char *user;    /* NULL: unknown; not asked for IN. */
    uint8_t function;    /* Modbus function, for edges; 0: none is told. */
};

struct program_answer {
    enum verdict verdict;
    enum layer layer;
    uint32_t rule;  /* 0: none. */
    enum mode mode; /* The stricter of both ends. */
};

/* Judges a connection as the kernel does; the reference that the kernel is tested against. */
struct program_answer program_judge(const struct program *p, const struct program_query *q);

/* As program_judge(), where the row that holds q->remote is known; NULL: none does. */
struct program_answer program_judge_row(const struct program *p, const struct program_query *q,
                                        const struct program_address *remote);

/* The class of a program's path; 0: no rule names it, or 'path' is NULL.  O(log n). */
uint16_t program_process_class(const struct program *p, const char *path);

const char *layer_name(enum layer layer);       /* "lifeline" .. "default" */
const char *verdict_name(enum verdict verdict); /* "deny", "allow", "would-deny" */
const char *mode_name(enum mode mode);          /* "none", "learn", "test", "enforce" */
const char *trust_name(enum trust trust);       /* "white", "grey", "black" */
