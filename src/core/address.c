/* SPDX-License-Identifier: Apache-2.0 */
/* inet_pton(3) does the reading: it takes one canonical dotted form and no zones. */
#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

int address_parse(const char *s, struct address *ret_a)
{
    struct address a;

    memcpy(a.bytes, v4_mapped, sizeof(v4_mapped));
    if (inet_pton(AF_INET, s, a.bytes + 12) != 1 && inet_pton(AF_INET6, s, a.bytes) != 1)
        return -EINVAL;
    *ret_a = a;
    return 0;
}

static bool clear_host_bits(struct address *a, uint8_t len)
{
    bool any = false;

    for (unsigned i = len; i < 128; i++) {
        uint8_t bit = (uint8_t)(0x80u >> (i % 8));

        any = any || (a->bytes[i / 8] & bit);
        a->bytes[i / 8] &= (uint8_t)~bit;
    }
    return any;
}

int address_parse_prefix(const char *s, struct address *ret_a, uint8_t *ret_len)
{
    const char *slash = strchr(s, '/');
    char text[ADDRESS_TEXT_SIZE];
    struct address a;
    uint64_t len;
    bool v4;

    if (!slash) {
        if (address_parse(s, &a) < 0)
            return -EINVAL;
        *ret_a = a;
        *ret_len = 128;
        return 0;
    }
    if ((size_t)(slash - s) >= sizeof(text))
        return -EINVAL;
    memcpy(text, s, (size_t)(slash - s));
    text[slash - s] = 0;
    v4 = strchr(text, ':') == NULL;
    if (address_parse(text, &a) < 0)
        return -EINVAL;
    if (number_parse(slash + 1, strlen(slash + 1), v4 ? 32 : 128, &len) < 0 ||
        (slash[1] == '0' && slash[2]))
        return -EINVAL;
    *ret_len = (uint8_t)(v4 ? len + 96 : len);
    if (clear_host_bits(&a, *ret_len)) {
        *ret_a = a;
        return -EDOM;
    }
    *ret_a = a;
    return 0;
}

bool address_is_v4(const struct address *a)
{
    return memcmp(a->bytes, v4_mapped, sizeof(v4_mapped)) == 0;
}

const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
    bool v4 = address_is_v4(a);

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->bytes + 12 : a->bytes, text, ADDRESS_TEXT_SIZE))
        text[0] = 0; /* Cannot happen: the family is known and the room is enough. */
    return text;
}

const char *address_format_prefix(const struct address *a, uint8_t len,
                                  char text[ADDRESS_TEXT_SIZE])
{
    size_t n;

    (void)address_format(a, text);
    if (len == 128)
        return text;
    n = strlen(text);
    (void)snprintf(text + n, ADDRESS_TEXT_SIZE - n, "/%d",
                   address_is_v4(a) && len >= 96 ? len - 96 : len);
    return text;
}

bool address_in_prefix(const struct address *a, const struct address *prefix, uint8_t len)
{
    unsigned whole = len / 8, rest = len % 8;

    if (memcmp(a->bytes, prefix->bytes, whole) != 0)
        return false;
    return rest == 0 || ((a->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest)) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}
