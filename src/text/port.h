/* SPDX-License-Identifier: Apache-2.0 */
/* port.h - "tcp/443", "udp/5000-5010", "icmp/echo", and the names of protocols */
#pragma once

#include "core/model.h"

/* Reads proto/port, proto/low-high, icmp/type.
 * -EINVAL: not of that form.  -ERANGE: out of range or reversed.  '*ret_why' (static) says what is
 * expected; '*ret_nearest' is a protocol's or type's name that was perhaps meant, or NULL. */
int port_parse(const char *s, struct port_range *ret_range, const char **ret_why,
               const char **ret_nearest);

/* "tcp/443" and so on, as port_parse() reads it. */
void port_format(const struct port_range *r, char *text, size_t size);

/* "tcp", "udp", "icmp", a few others, or a number 0-255.  -EINVAL: none of these. */
int protocol_parse(const char *s, uint8_t *ret_protocol);
const char *protocol_name(uint8_t protocol, char text[8]); /* Or its number, in 'text'. */

/* "echo" and so on, or a number 0-255.  -EINVAL. */
int icmp_type_parse(const char *s, uint16_t *ret_type);
