/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/frames.h"

#include <stdbool.h>

#include "base/reader.h"
#include "store/history/checksum.h"

static const char magic[4] = {'S', 'M', 'F', '1'};

static uint64_t seed_of(size_t size, uint64_t durable)
{
    return durable ^ (uint64_t)size << 40;
}

static void put_number(unsigned char *to, uint64_t v, size_t size)
{
    while (size--) {
        to[size] = (unsigned char)v;
        v >>= 8;
    }
}

size_t frames_begin(struct buf *b)
{
    static const char head[FRAME_HEAD];
    size_t from = b->size;

    buf_add(b, head, sizeof(head));
    return from;
}

void frames_end(struct buf *b, size_t from, uint64_t durable)
{
    unsigned char *head = (unsigned char *)b->data + from;
    size_t size = b->size - from - FRAME_HEAD;

    memcpy(head, magic, sizeof(magic));
    put_number(head + 4, size, 4);
    put_number(head + 8, durable, 8);
    put_number(head + 16, checksum_of(head + FRAME_HEAD, size, seed_of(size, durable)), 8);
}

struct frame {
    const void *payload;
    size_t size;
    uint64_t durable;
};

/* A whole frame at the cursor, which moves behind it. */
static bool whole(struct reader *r, struct frame *ret_frame)
{
    struct reader at = *r;
    const void *start = reader_bytes(&at, sizeof(magic));
    struct frame f = {.size = reader_be32(&at)};
    uint64_t sum;

    f.durable = reader_be64(&at);
    sum = reader_be64(&at);
    if (!reader_ok(&at) || memcmp(start, magic, sizeof(magic)) != 0 || f.size > FRAME_MAX)
        return false;
    f.payload = reader_bytes(&at, f.size);
    if (!f.payload || !checksum_fits(f.payload, f.size, seed_of(f.size, f.durable), sum))
        return false;
    *r = at;
    *ret_frame = f;
    return true;
}

/* Moves to the next place that may be a frame; false: there is none. */
static bool skip(struct reader *r)
{
    const unsigned char *next =
        r->left > 1 ? memmem(r->p + 1, r->left - 1, magic, sizeof(magic)) : NULL;

    return next && reader_bytes(r, (size_t)(next - r->p));
}

/* The next whole frame; '*ret_gap': where what is not one began, if it did; else SIZE_MAX. */
static bool next_frame(struct reader *r, size_t size, struct frame *ret_frame, size_t *ret_gap)
{
    *ret_gap = SIZE_MAX;
    while (r->left) {
        if (whole(r, ret_frame))
            return true;
        if (*ret_gap == SIZE_MAX)
            *ret_gap = size - r->left;
        if (!skip(r))
            return false;
    }
    return false;
}

static uint64_t durable_part(const void *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct frame f = {.size = 0};
    uint64_t durable = 0;
    size_t gap;

    while (next_frame(&r, size, &f, &gap))
        if (f.durable > durable && f.durable <= size)
            durable = f.durable;
    return durable;
}

void frames_read(const void *data, size_t size,
                 int (*take)(void *user, const void *payload, size_t size), void *user,
                 struct frames_found *ret_found)
{
    uint64_t durable = durable_part(data, size);
    struct reader r = reader_of(data, size);
    struct frame f = {.size = 0};
    size_t gap;

    *ret_found = (struct frames_found){.end = 0};
    while (next_frame(&r, size, &f, &gap)) {
        if (gap != SIZE_MAX && gap >= durable)
            return;
        ret_found->damaged += gap != SIZE_MAX;
        ret_found->damaged += take(user, f.payload, f.size) != 0;
        ret_found->end = size - r.left;
    }
    if (gap < durable) { /* Acknowledged, and damaged to the end. */
        ret_found->damaged++;
        ret_found->end = durable;
    }
}
