/* SPDX-License-Identifier: Apache-2.0 */
/* Digits and nothing else; see number.h. */
#include "base/number.h"

#include <errno.h>
#include <string.h>

int number_parse(const char *s, size_t len, uint64_t max, uint64_t *ret_v)
{
    uint64_t v = 0;

    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9')
            return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(s[i] - '0');

        if (v > (max - digit) / 10 || digit > max)
            return -ERANGE;
        v = v * 10 + digit;
    }
    *ret_v = v;
    return 0;
}

int duration_parse(const char *s, uint64_t max_s, uint64_t *ret_s)
{
    size_t len = strlen(s);
    uint64_t unit = 1, v;
    int r;

    if (len == 0)
        return -EINVAL;
    switch (s[len - 1]) {
    case 's':
        len--;
        break;
    case 'm':
        unit = 60, len--;
        break;
    case 'h':
        unit = 3600, len--;
        break;
    case 'd':
        unit = 86400, len--;
        break;
    default:
        break;
    }
    r = number_parse(s, len, max_s / unit, &v);
    if (r < 0)
        return r;
    *ret_s = v * unit;
    return 0;
}
