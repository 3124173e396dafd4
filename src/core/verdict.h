/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - the one definition of what the policy says
 *
 *     lifeline -> quarantine -> glass -> never -> allow -> default
 *
 * The first layer with a match decides.  Inside a layer order means nothing; of several matching
 * rules the smallest id (strcmp) is named.  Every compiler and enforcer is held against this
 * function.
 *
 * A condition is decided at its place: process and user by the source's host agent, served-by by
 * the destination's, protocol functions by an edge at either end.  What nobody can tell is closed:
 * it does not match in an allow, a quarantine rule or an except, and it does match in the selecting
 * fields of a never.  `accept-weaker` makes a condition count as met where no enforcer can check
 * it.
 *
 * Break-glass has its layer in the order; the language has no way to write one yet. */
#pragma once

#include "core/world.h"

struct verdict_query {
    const char *from, *to; /* Endpoint names or addresses. */
    uint8_t protocol;      /* IPPROTO_*; ICMPv6 is asked as ICMP with the ICMPv4 type. */
    uint16_t port;         /* Destination port or ICMP type; 0 for other protocols. */
    const char *process, *served_by, *user; /* NULL: not told. */
    int modbus;                             /* Function; -1: not told. */
};

struct verdict_answer {
    enum verdict verdict;
    enum layer layer;
    const struct rule *rule; /* NULL: none (lifeline, default, two suspects). */
    bool enforced;           /* Some enforcer at either end carries the decision out. */
    enum mode mode;          /* The stricter of both ends. */
};

/* Answers one query; core/why.h gives the reasons.
 * -ENOENT: '*ret_what' ("from" or "to") is neither an endpoint's name nor an address. */
int verdict(const struct world *w, const struct verdict_query *q, struct verdict_answer *ret_answer,
            const char **ret_what);

/* An endpoint reaches itself, and loopback addresses, by the lifeline: what is said of that. */
bool verdict_is_self(const struct end *from, const struct end *to,
                     const struct address *to_address);
struct verdict_answer verdict_of_self(const struct end *from);

/* For the compiler: the same decision on ends that are already known and on some of the rules. */
struct verdict_facts {
    uint8_t protocol;
    uint16_t port;
    const char *process, *served_by, *user; /* NULL: not told. */
    int modbus;                             /* -1: not told. */
};
struct verdict_answer verdict_judge(const struct world *w, const struct end *from,
                                    const struct end *to, const struct verdict_facts *facts,
                                    const struct rule *const rules[], size_t n_rules);

/* True when a service of the list takes this protocol and port, whatever the function. */
bool services_take_port(const struct policy *p, const uint32_t services[], size_t n_services,
                        uint8_t protocol, uint16_t port);
