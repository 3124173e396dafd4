/* SPDX-License-Identifier: Apache-2.0 */
/* date.h - days and instants as people write them, and back
 *
 * Seconds since 1970-01-01 00:00 UTC, proleptic Gregorian, years 1970 to 9999, no leap seconds, no
 * time zone of this machine: a rule that expires must do so at the same instant everywhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { DATE_DAY_S = 86400, DATE_TEXT_SIZE = 32 };

/* "2027-06-30": its first second.  -EINVAL: anything else, also a 30 February. */
int date_parse(const char *s, int64_t *ret_s);

/* RFC 3339: "2027-06-30T12:00:00Z", with offset "+09:00", or fractions (cut off); also as people
 * type it, without seconds or without zone, which is UTC, and a bare date.
 * -EINVAL: anything else. */
int date_parse_time(const char *s, int64_t *ret_s);

/* "2027-06-30" of the day that holds 's'.  Returns 'text'. */
const char *date_format(int64_t s, char text[DATE_TEXT_SIZE]);

/* "2027-06-30T12:00:00Z".  Returns 'text'. */
const char *date_format_time(int64_t s, char text[DATE_TEXT_SIZE]);
