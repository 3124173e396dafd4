/* SPDX-License-Identifier: Apache-2.0 */
/* iptables.h - iptables-save, ip6tables-save, iptables -S, and bare "-A CHAIN ..." lines
 *
 * Counters, "iptables" in front, and "-t TABLE" are understood.  INPUT, OUTPUT and FORWARD of the
 * filter table decide; what other tables deny or translate goes to the ledger.  The family is taken
 * from the text: ip6tables-save, ICMPv6 or a v6 address in it mean IPv6; addresses of both are an
 * error. */
#pragma once

#include "import/ruleset.h"
#include "text/policy.h"

/* Adds the file's chains.  Errors go to rs->d. */
void iptables_read(struct ruleset *rs, const struct source *source);
