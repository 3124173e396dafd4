/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - conditions of one rule, gathered in any order, then made into its box
 *
 * "--dport 53" may stand before or behind "-p udp", and in nft a port may belong to any of several
 * protocols: so conditions are collected, and match_finish() multiplies them out. */
#pragma once

#include "base/buf.h"
#include "import/ruleset.h"

enum { MATCH_MAX_INTERFACES = 4 };

struct match_parts {
    struct ruleset *rs;
    enum family families; /* To which the rule still applies. */
    struct ranges source, destination;
    bool names_destination;
    struct ranges protocols; /* 0-255 */
    struct ranges ports, source_ports;
    struct ranges types, types6; /* ICMP, ICMPv6 */
    bool has_ports, has_source_ports, has_types, has_types6;
    bool never_opens, by_flags;
    const char *inexact;
    const char *host_network;
    struct interface_match interfaces[MATCH_MAX_INTERFACES];
    size_t n_interfaces;
};

struct match_parts match_begin(struct ruleset *rs, enum family family);

/* Each narrows what was there before. */
void match_address(struct match_parts *m, bool source, struct ranges set, bool negated);
void match_protocols(struct match_parts *m, struct ranges set, bool negated);
void match_ports(struct match_parts *m, bool source, struct ranges set, bool negated);
void match_types(struct match_parts *m, bool v6, struct ranges set, bool negated);
void match_interface(struct match_parts *m, bool outgoing, const char **names, size_t n,
                     bool negated);
/* Connection states as bits of enum state_bit. */
void match_states(struct match_parts *m, unsigned states, bool negated);
/* True of a packet whose flags under 'mask' are 'value' (RFC 9293: FIN 1, SYN 2, ...). */
void match_flags(struct match_parts *m, unsigned mask, unsigned value, bool negated);
void match_inexact(struct match_parts *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum state_bit {
    STATE_NEW = 1,
    STATE_ESTABLISHED = 2,
    STATE_RELATED = 4,
    STATE_INVALID = 8,
    STATE_UNTRACKED = 16,
    STATE_ALL = 31
};
enum { FLAG_SYN = 2 };

/* "new", "ESTABLISHED"...; 0: no such state. */
unsigned state_of_name(const char *name);
/* "SYN" and so on, "ALL", "NONE".  -1: no such flag. */
int flags_of_name(const char *name);

/* Fills the rule's match and flags; 'act' was set by the caller. */
void match_finish(const struct match_parts *parts, struct import_rule *rule);

/* Takes "owner: NAME" or "owner=NAME" out of a comment. */
const char *owner_of_comment(struct ruleset *rs, const char *comment);

/* ICMPv6 type to its place on the service line. */
point icmp6_point(unsigned type);

/* "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1-10.0.0.9".  'ret_host' is set when bits
 * behind the length are set.  -EINVAL: none of these; -EDOM: a mask with holes. */
int parse_addresses(struct ruleset *rs, const char *s, struct range *ret_range, bool *ret_host);
