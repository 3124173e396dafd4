/* SPDX-License-Identifier: Apache-2.0 */
/* Days from the civil calendar by counting 400-year eras; see date.h. */
#include "base/date.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

enum { DATE_LEN = 10, MAX_YEAR = 9999 };

/* Days since 1970-01-01; years begin in March, so that the leap day comes last. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    int64_t era, year_of_era, day_of_year;

    if (m <= 2)
        y--;
    era = y / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void civil_from_days(int64_t days, int64_t *y, int64_t *m, int64_t *d)
{
    int64_t z = days + 719468, era = z / 146097, day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    *d = of_year - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = year + era * 400 + (*m <= 2);
}

static bool field(const char *s, size_t at, size_t len, uint64_t max, int64_t *ret)
{
    uint64_t v;

    if (number_parse(s + at, len, max, &v) < 0)
        return false;
    *ret = (int64_t)v;
    return true;
}

static int parse_day(const char *s, int64_t *ret_s)
{
    int64_t y, m, d, back_y, back_m, back_d, days;

    if (strnlen(s, DATE_LEN) < DATE_LEN || s[4] != '-' || s[7] != '-')
        return -EINVAL;
    if (!field(s, 0, 4, MAX_YEAR, &y) || !field(s, 5, 2, 12, &m) || !field(s, 8, 2, 31, &d))
        return -EINVAL;
    if (y < 1970 || m < 1 || d < 1)
        return -EINVAL;
    days = days_from_civil(y, m, d);
    civil_from_days(days, &back_y, &back_m, &back_d);
    if (back_y != y || back_m != m || back_d != d)
        return -EINVAL; /* A day that this month does not have. */
    *ret_s = days * DATE_DAY_S;
    return 0;
}

int date_parse(const char *s, int64_t *ret_s)
{
    if (strlen(s) != DATE_LEN)
        return -EINVAL;
    return parse_day(s, ret_s);
}

/* What follows the seconds: nothing, "Z", or "+hh:mm" and "-hh:mm" as the seconds ahead of UTC. */
static int parse_zone(const char *s, int64_t *ret_ahead_s)
{
    int64_t hours, minutes;

    if (!*s || strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
        *ret_ahead_s = 0;
        return 0;
    }
    if (strlen(s) != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
        return -EINVAL;
    if (!field(s, 1, 2, 23, &hours) || !field(s, 4, 2, 59, &minutes))
        return -EINVAL;
    *ret_ahead_s = (hours * 3600 + minutes * 60) * (s[0] == '-' ? -1 : 1);
    return 0;
}

/* ":ss", with fractions, or nothing.  Returns what follows; NULL: neither. */
static const char *parse_seconds(const char *s, int64_t *ret_second)
{
    size_t digits;

    *ret_second = 0;
    if (*s != ':')
        return s;
    if (strnlen(s, 3) < 3 || !field(s, 1, 2, 60, ret_second))
        return NULL;
    s += 3;
    if (*s != '.')
        return s;
    digits = strspn(s + 1, "0123456789");
    return digits ? s + 1 + digits : NULL;
}

int date_parse_time(const char *s, int64_t *ret_s)
{
    int64_t day, hour, minute, second, ahead;
    const char *zone;

    if (strlen(s) == DATE_LEN)
        return date_parse(s, ret_s);
    if (parse_day(s, &day) < 0 || strlen(s) < DATE_LEN + 6)
        return -EINVAL;
    s += DATE_LEN;
    if ((s[0] != 'T' && s[0] != 't' && s[0] != ' ') || s[3] != ':' || !field(s, 1, 2, 23, &hour) ||
        !field(s, 4, 2, 59, &minute))
        return -EINVAL;
    zone = parse_seconds(s + 6, &second);
    if (!zone || parse_zone(zone, &ahead) < 0)
        return -EINVAL;
    *ret_s = day + hour * 3600 + minute * 60 + second - ahead;
    return 0;
}

const char *date_format(int64_t s, char text[DATE_TEXT_SIZE])
{
    int64_t y, m, d, days = s >= 0 ? s / DATE_DAY_S : -((-s + DATE_DAY_S - 1) / DATE_DAY_S);

    civil_from_days(days, &y, &m, &d);
    (void)snprintf(text, DATE_TEXT_SIZE, "%04d-%02d-%02d", (int)y, (int)m, (int)d);
    return text;
}

const char *date_format_time(int64_t s, char text[DATE_TEXT_SIZE])
{
    int of_day = (int)(((s % DATE_DAY_S) + DATE_DAY_S) % DATE_DAY_S);

    (void)date_format(s, text);
    (void)snprintf(text + DATE_LEN, DATE_TEXT_SIZE - DATE_LEN, "T%02d:%02d:%02dZ", of_day / 3600,
                   of_day / 60 % 60, of_day % 60);
    return text;
}
