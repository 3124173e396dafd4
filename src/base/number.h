/* SPDX-License-Identifier: Apache-2.0 */
/* number.h - numbers from text, all of the text or nothing
 *
 * The C library's strtoul() takes "22abc", " 22", "-1" and "": each of them has been somebody's
 * port once.  Here the whole string is decimal digits without sign, or the answer is -EINVAL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* 'len' digits at 's' as a number of at most 'max'.
 * -EINVAL: not a decimal number.  -ERANGE: larger than 'max'. */
int number_parse(const char *s, size_t len, uint64_t max, uint64_t *ret_v);

/* "90", "90s", "5m", "2h", "1d" in seconds, at most 'max_s'.  -EINVAL and -ERANGE as above. */
int duration_parse(const char *s, uint64_t max_s, uint64_t *ret_s);
