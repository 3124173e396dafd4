/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pack.h"

#include <string.h>

#include "base/base.h"
#include "sys/gzip.h"

void pack_body(const json_t *json, struct buf *to)
{
    CLEANUP(free_voidp) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    size_t size = text ? strlen(text) : 0;

    if (size > PACK_FROM && size <= GZIP_MAX)
        gzip_pack(text, size, GZIP_QUICK, to);
    else if (text)
        buf_add(to, text, size);
}

/* JSON begins with no byte of these. */
bool pack_is_packed(const struct buf *body)
{
    return body->size > 2 && memcmp(body->data, "\x1f\x8b", 2) == 0;
}
