/* SPDX-License-Identifier: Apache-2.0 */
/* See lines.h. */
#include "import/lines.h"

#include <string.h>

bool lines_next(struct lines *l, const char **ret_s, size_t *ret_len)
{
    const char *s = l->source->data + l->at, *newline;
    size_t len = l->source->size - l->at;

    if (!len)
        return false;
    newline = memchr(s, '\n', len);
    if (newline)
        len = (size_t)(newline - s);
    l->at += newline ? len + 1 : len;
    l->number++;
    if (len && s[len - 1] == '\r')
        len--;
    *ret_s = s;
    *ret_len = len;
    return true;
}
