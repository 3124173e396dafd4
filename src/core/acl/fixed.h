/* SPDX-License-Identifier: Apache-2.0 */
/* fixed.h - entries that every access list has, whatever the policy
 *
 * The link: without neighbour discovery there is no IPv6, without DHCP often no address; a host
 * agent lets the same through (bpf/host.bpf.c).  What a guest may not say (router advertisements,
 * redirects, offers of addresses) is not among it.  ICMP errors belong to connections that a switch
 * does not know.  Then the lifeline, and "nothing else" at the end. */
#pragma once

#include "core/acl.h"
#include "core/acl/cover.h"

void fixed_begin(struct acl *a);
bool fixed_is_controller(const struct program *view);
void fixed_lifeline(struct acl *a, const struct program *view, const struct prefixes *own);
void fixed_end(struct acl *a);

/* The ICMP type that answers this one, or that asks for it; -1 (0 of requests): none. */
int fixed_reply_to(uint16_t type, bool v6);
uint16_t fixed_request_of(uint16_t reply, bool v6);

/* Sorts addresses behind a first prefix that holds everything of the family. */
void fixed_sort(struct prefixes *p, bool v6);
