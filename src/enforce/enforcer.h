/* SPDX-License-Identifier: Apache-2.0 */
/* enforcer.h - what every enforcer tells its agent
 *
 * An enforcer takes whole verdict programs (core/program.h), makes them hold atomically or refuses
 * them by name and number, and reports through these callbacks.  Everything passed to a callback is
 * borrowed for the call. */
#pragma once

#include <stdint.h>

#include "core/program.h"

struct enforcer_flow {    /* Connections or denials of one kind since the last report. */
    const char *endpoint; /* Whose program judged; NULL: this machine's own. */
    struct address local; /* That end's address; zeros: not told. */
    enum direction direction;
    enum verdict verdict;
    enum layer layer;
    struct address remote;
    identity_t identity; /* Of the remote end, as this enforcer saw it. */
    uint8_t protocol;    /* IPPROTO_*; ICMPv6 as IPPROTO_ICMP. */
    uint16_t port;       /* Destination port, or ICMP type in ICMPv4's numbers. */
    const char *process; /* This end's program file; "" when unknown. */
    const char *script;  /* What that program interprets, as it was called; "" when unknown. */
    uint32_t uid;
    uint32_t pid;      /* 0: unknown. */
    uint32_t rule;     /* Number in the program of 'revision'; 0: none. */
    uint64_t revision; /* Under which it was judged; 0: unknown. */
    uint64_t count;    /* Connections, flows or denied packets; 0: only bytes are added. */
    uint64_t bytes_out;
    uint64_t bytes_in;
};

enum enforcer_notice {
    NOTICE_TAMPER,          /* Somebody detached, removed or edited; it is repaired. */
    NOTICE_PROGRAM_CHANGED, /* A program file named by the policy has other contents now. */
    NOTICE_PROGRAM_UNSAFE,  /* It could be written by others than root, hence is not trusted. */
    NOTICE_PROGRAM_MISSING, /* It is not there; its rules match nobody. */
    NOTICE_ADOPTED,         /* Sockets older than the enforcer were given their program. */
    NOTICE_CUT,             /* Living connections were ended by a change. */
    NOTICE_NIC,             /* A network interface appeared and is covered. */
    NOTICE_LOST,            /* Events were lost; counted exactly. */
    NOTICE_SPOOF, /* A port sent what it may not: another's address, a server's answers. */
    NOTICES,
};

struct enforcer_events {
    void (*flow)(void *arg, const struct enforcer_flow *flow);
    void (*notice)(void *arg, enum enforcer_notice kind, const char *text);
    void *arg;
};

static inline const char *notice_name(enum enforcer_notice kind)
{
    static const char *const names[NOTICES] = {"tamper",
                                               "program-changed",
                                               "program-unsafe",
                                               "program-missing",
                                               "adopted",
                                               "cut",
                                               "nic",
                                               "lost",
                                               "spoof"};

    return names[kind];
}
