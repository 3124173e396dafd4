/* SPDX-License-Identifier: Apache-2.0 */
/* wellknown.h - names that people and routers use for ports, protocols and ICMP types
 *
 * The same table proposes names for a draft: who is reached by tcp/5432 is probably PostgreSQL. */
#pragma once

#include <stdint.h>

#include "import/ruleset.h"

struct wellknown {
    uint16_t port;
    uint8_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP */
    const char *name;  /* A service's name: "postgres". */
    const char *title; /* "PostgreSQL" */
    bool is_role;      /* Says what a machine is: a database, not "ssh". */
};

/* NULL: nothing is known of it. */
const struct wellknown *wellknown_of(uint8_t protocol, uint16_t port);

/* "www", "ssh", "domain".  -EINVAL. */
int wellknown_port(const char *name, uint64_t *ret_port);

/* "tcp", "ipv6-icmp", "ospf", or a number.  -EINVAL. */
int wellknown_protocol(const char *name, uint8_t *ret_protocol);

/* "echo-request", "ttl-exceeded", or a number; ICMPv6 names with 'v6'.  -EINVAL. */
int wellknown_icmp(const char *name, bool v6, unsigned *ret_type);
