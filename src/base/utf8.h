/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - is this text, and is it text that shows what it says?
 *
 * Names come from people, files and devices.  A name with U+202E in it reads backwards on a
 * terminal, one with ESC rewrites the line above it: both have been used to make a reviewer approve
 * what he did not read.  Strictly RFC 3629: no overlong forms, no surrogates, nothing over
 * U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes of the character at 's' (1..4), and the character; 0 when it is not UTF-8. */
size_t utf8_decode(const char *s, size_t len, uint32_t *ret_c);

/* As utf8_decode(), and 0 for control characters and those that reorder or hide text. */
size_t utf8_printable(const char *s, size_t len);

/* True when all of 's' is UTF-8; else '*ret_at' is the offset of the first byte that is not. */
bool utf8_valid(const char *s, size_t len, size_t *ret_at);
