/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3629, table of section 4; see utf8.h. */
#include "base/utf8.h"

size_t utf8_decode(const char *s, size_t len, uint32_t *ret_c)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;
    uint32_t c;
    size_t n;

    if (len == 0)
        return 0;
    if (p[0] < 0x80) {
        *ret_c = p[0];
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2, c = p[0] & 0x1f;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3, c = p[0] & 0x0f;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4, c = p[0] & 0x07;
    else
        return 0;
    if (len < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_c = c;
    return n;
}

static bool hides(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

size_t utf8_printable(const char *s, size_t len)
{
    uint32_t c;
    size_t n = utf8_decode(s, len, &c);

    return n && !hides(c) ? n : 0;
}

bool utf8_valid(const char *s, size_t len, size_t *ret_at)
{
    size_t i = 0;

    while (i < len) {
        uint32_t c;
        size_t n = utf8_decode(s + i, len - i, &c);

        if (!n) {
            *ret_at = i;
            return false;
        }
        i += n;
    }
    return true;
}
