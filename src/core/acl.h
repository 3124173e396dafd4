/* SPDX-License-Identifier: Apache-2.0 */
/* acl.h - verdict programs as the access lists of a switch port
 *
 * What
 * ====
 * A switch judges single packets, by addresses and ports, by the first entry that matches.  From
 * the programs of the endpoints at a port, as an enforcer outside may use them (core/edge_view.h),
 * acl_new() makes the list for one way through the port and one family of addresses:
 *
 *     way IN to the network  = what the endpoint sends:     its connections, and its replies
 *     way OUT of the network = what the endpoint receives:  connections to it, replies to it
 *
 * In program.h's words: forward is the direction whose connections go the list's way, backward is
 * the other one, whose replies go the list's way.
 *
 * What a switch cannot remember
 * =============================
 * Replies need entries of their own.  Those of TCP ask for `established` (ACK or RST set), with
 * which no connection can be opened.  Those of UDP have the served port as source and any port as
 * destination: whoever owns the endpoint can also send something else from that port to those that
 * may ask it.  That is accepted for ports that a service names, and for no others: where a rule
 * without service allows all UDP, mirroring it would open all UDP the other way, so replies of UDP
 * and of protocols without ports do not pass there.  Echo and its like have their reply's type.
 *
 * Order
 * =====
 * All addresses are first cut into rows with one behaviour each.  Rows lie in one another, so they
 * come in stages: first those that hold no others, then those around them.  Within a stage all
 * entries are positive or exact, so that order matters between sections only:
 *
 *     replies | what named services say | what the rest says | "nothing else to these"
 *
 * and the last section is there only where a later stage would let something through.  An entry
 * takes the widest prefix in which every address says the same or has been decided before: no cover
 * by prefixes has fewer.  So a verdict is never widened, whatever is merged.  What passes nothing
 * may be decided before everything else, which is done where it makes the list shorter.
 *
 * Rules of use: borrows nothing; immutable. */
#pragma once

#include "core/model.h"
#include "core/program.h"

enum acl_limits {
    ACL_MAX_ENTRIES = 1 << 16, /* Of one list. */
    ACL_MAX_ENDPOINTS = 256,   /* At one port. */
    ACL_MAX_RULES = 4,         /* Named at one entry. */
};

enum acl_way { ACL_IN, ACL_OUT }; /* As the switch sees its port. */

enum acl_action { ACL_DENY, ACL_PERMIT, ACL_LOG }; /* LOG: permit, and log: would-deny. */

enum acl_section {
    ACL_LINK,     /* What keeps the link alive: neighbours, routers, an address by DHCP. */
    ACL_ERRORS,   /* ICMP errors: they belong to connections, which a switch does not know. */
    ACL_LIFELINE, /* Agents and controller. */
    ACL_REPLY_TCP,
    ACL_REPLY_UDP,
    ACL_REPLY_ICMP,
    ACL_NAMED, /* Ports that services name. */
    ACL_REST,  /* Everything that no service names. */
    ACL_STOP,  /* Nothing else to these: the following entries are for others. */
    ACL_END,   /* Nothing else at all. */
};

struct acl_entry {
    uint8_t stage; /* See above. */
    enum acl_section section;
    enum acl_action action;
    uint8_t protocol; /* IPPROTO_*; 0: any. */
    bool has_ports;   /* low..high: destination ports, or source ports of a reply; ICMP types. */
    bool is_reply;
    bool has_peer_port; /* DHCP: both ends have a port. */
    uint16_t low, high, peer_port;
    struct prefix local, remote; /* At the endpoint, and in the network. */
    uint8_t n_rules;             /* Named in 'rules'. */
    bool has_more_rules;
    uint32_t rules[ACL_MAX_RULES]; /* Numbers of the program's rules that say so; ascending. */
};

struct acl {
    enum acl_way way;
    bool v6;
    struct acl_entry *entries;
    size_t n, room;
    size_t n_udp_replies; /* Entries of ACL_REPLY_UDP. */
    bool unnamed_replies; /* Some connections are allowed whose replies cannot pass; see above. */
};

/* 'views' are from one compiled policy, so that their rules have the same numbers.
 * -E2BIG: more than ACL_MAX_ENTRIES. */
int acl_new(const struct program *const views[], size_t n, enum acl_way way, bool v6,
            struct acl **ret_acl);
void acl_free(struct acl *a);
DEFINE_CLEANUP(struct acl, acl_free)
