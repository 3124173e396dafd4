/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - an IP address, IPv4 or IPv6, in one form
 *
 * Sixteen bytes in network order; IPv4 is written as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). One
 * form means one table, one comparison, and no rule that holds for one family only: a v4-mapped
 * socket cannot slip between two tables.  A prefix length counts in these 128 bits: 10.0.0.0/8 has
 * length 104. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address {
    uint8_t bytes[16];
};

enum { ADDRESS_TEXT_SIZE = 64 }; /* Bytes for the longest text of address_format(), NUL included. */

/* Reads "192.0.2.1" or "2001:db8::1", also in v4-mapped form.  No zone, no prefix length.
 * -EINVAL: anything else. */
int address_parse(const char *s, struct address *ret_a);

/* Reads "192.0.2.0/24", "2001:db8::/32", or a bare address (length 128).
 * -EINVAL: neither.  -EDOM: bits beyond the length are set ("192.0.2.1/24"), the slip that turns a
 * host into a network; '*ret_a' then holds the network that was perhaps meant. */
int address_parse_prefix(const char *s, struct address *ret_a, uint8_t *ret_len);

bool address_is_v4(const struct address *a);

/* The usual text: dotted for IPv4, RFC 5952 for IPv6.  Returns 'text'. */
const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE]);

/* As address_format() with "/len" behind it, unless the prefix is one address. */
const char *address_format_prefix(const struct address *a, uint8_t len,
                                  char text[ADDRESS_TEXT_SIZE]);

bool address_in_prefix(const struct address *a, const struct address *prefix, uint8_t len);

/* Total order, as memcmp(). */
int address_compare(const struct address *a, const struct address *b);
