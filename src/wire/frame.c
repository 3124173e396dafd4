/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <errno.h>

#include "base/reader.h"

int frame_peek(const void *data, size_t size, size_t max, size_t *ret_size)
{
    struct reader r = reader_of(data, size);
    uint32_t length = reader_be32(&r);

    if (!reader_ok(&r))
        return 0;
    if (length == 0)
        return -EBADMSG;
    if (length > max)
        return -EMSGSIZE;
    *ret_size = length;
    return 1;
}

void frame_put(struct buf *out, const void *message, size_t size)
{
    buf_be32(out, (uint32_t)size);
    buf_add(out, message, size);
}

size_t frame_begin(struct buf *out)
{
    buf_be32(out, 0);
    return out->size;
}

void frame_end(struct buf *out, size_t mark)
{
    uint32_t size = (uint32_t)(out->size - mark);

    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        out->data[mark - FRAME_HEADER_SIZE + i] = (char)(size >> (24 - 8 * i));
}
