/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of parts that are encoded already; see wire/agent_shared.h. */
#include "wire/agent_shared.h"

#include <assert.h>
#include <errno.h>

#include "wire/agent_pb.h"
#include "wire/frame.h"

static void add_packed(const ProtobufCMessage *pb, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(pb);
    CLEANUP(free_voidp) uint8_t *bytes = xcalloc(size, 1);

    (void)protobuf_c_message_pack(pb, bytes); /* Returns the size that we know. */
    buf_add(out, bytes, size);
}

static size_t varint_size(uint64_t n)
{
    size_t size = 1;

    for (; n > 0x7f; n >>= 7)
        size++;
    return size;
}

enum { /* Fields of wire/agent.proto, with their wire types: 0 a number, 2 what has a length. */
       MESSAGE_SNAPSHOT = 1 << 3 | 2,
       SNAPSHOT_PROGRAM = 1 << 3 | 2,
       SNAPSHOT_CONFIRM_S = 2 << 3,
       SNAPSHOT_TRUST_SEQUENCE = 3 << 3,
       PROGRAM_ENDPOINT = 2 << 3 | 2,
       PROGRAM_IDENTITY = 3 << 3,
       PROGRAM_MODE = 4 << 3,
       PROGRAM_TRUST = 5 << 3,
       PROGRAM_ADDRESSES = 7 << 3 | 2,
       ADDRESSES_ADDRESS = 1 << 3 | 2,
       ADDRESSES_LENGTH = 2 << 3 | 2,
       ADDRESSES_MODE = 3 << 3 | 2,
       ADDRESSES_TRUST = 4 << 3 | 2,
       ADDRESSES_SELF = 5 << 3 | 2,
       ADDRESSES_IDENTITY = 6 << 3 | 2,
};

static void put_number(struct buf *b, char tag, uint64_t n)
{
    buf_putc(b, tag);
    buf_varint(b, n);
}

/* ---- deltas ---- */

void agent_share_delta(const struct agent_delta *d, struct agent_shared_delta *ret_s)
{
    CLEANUP(scratch_done) struct scratch s = {.blocks = NULL};
    Suimitsu__Delta *pb = delta_to_pb(&s, d);
    Suimitsu__Program *put = pb->put;

    pb->put = NULL;
    put->endpoint = lend(""); /* Is not written at all. */
    *ret_s = (struct agent_shared_delta){.delta = BUF_INIT, .put = BUF_INIT};
    add_packed(&pb->base, &ret_s->delta);
    add_packed(&put->base, &ret_s->put);
}

void agent_shared_delta_done(struct agent_shared_delta *s)
{
    buf_done(&s->delta);
    buf_done(&s->put);
}

int agent_encode_shared(const struct agent_shared_delta *s, const char *endpoint, struct buf *out)
{
    /* Message.delta, Delta.put and Program.endpoint: each is field 2, of wire type 2. */
    enum { TAG = 2 << 3 | 2 };
    size_t len = strlen(endpoint);
    size_t put = s->put.size + 1 + varint_size(len) + len;
    size_t delta = s->delta.size + 1 + varint_size(put) + put, mark;

    if (1 + varint_size(delta) + delta > FRAME_TO_AGENT_MAX)
        return -EMSGSIZE;
    mark = frame_begin(out);
    buf_putc(out, TAG);
    buf_varint(out, delta);
    buf_add(out, s->delta.data, s->delta.size);
    buf_putc(out, TAG);
    buf_varint(out, put);
    buf_add(out, s->put.data, s->put.size);
    buf_putc(out, TAG);
    buf_varint(out, len);
    buf_add(out, endpoint, len);
    frame_end(out, mark);
    return 0;
}

/* ---- the shared parts of snapshots ---- */

/* A program that says nothing but what is set in it afterwards. */
static Suimitsu__Program *nothing_but(Suimitsu__Program *to)
{
    suimitsu__program__init(to);
    return to;
}

void agent_share_common(const struct program *p, struct buf *out)
{
    CLEANUP(scratch_done) struct scratch s = {.blocks = NULL};
    const Suimitsu__Program *all = program_to_pb(&s, p);
    Suimitsu__Program common, *pb = nothing_but(&common);

    pb->revision = all->revision;
    pb->services = all->services;
    pb->n_rules = all->n_rules;
    pb->rules = all->rules;
    pb->n_lifeline = all->n_lifeline;
    pb->lifeline = all->lifeline;
    add_packed(&pb->base, out);
}

void agent_share_kin(const struct program *p, struct buf *out)
{
    CLEANUP(scratch_done) struct scratch s = {.blocks = NULL};
    const Suimitsu__Program *all = program_to_pb(&s, p);
    Suimitsu__Program kin, *pb = nothing_but(&kin);

    pb->entries = all->entries;
    pb->processes = all->processes;
    pb->users = all->users;
    add_packed(&pb->base, out);
}

static uint8_t *put_varint(uint8_t *at, uint32_t n)
{
    for (; n > 0x7f; n >>= 7)
        *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
    return at;
}

/* A packed column; 'room' is for the longest. */
#define ADD_COLUMN(out, tag, room, rows, n, field)                                                 \
    do {                                                                                           \
        uint8_t *end_ = (room);                                                                    \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            end_ = put_varint(end_, (rows)[i_].field);                                             \
        put_number((out), (tag), (size_t)(end_ - (room)));                                         \
        buf_add((out), (room), (size_t)(end_ - (room)));                                           \
    } while (0)

/* By hand: generated code takes several times as long for hundreds of thousands of rows. */
void agent_share_addresses(const struct program_address *rows, size_t n, struct buf *out)
{
    enum { USUAL_ROW = 24, LONGEST_NUMBER = 5 }; /* Bytes. */
    const size_t size = sizeof(rows->address.bytes);
    CLEANUP(free_voidp) void *memory = xreallocarray(NULL, n, LONGEST_NUMBER);
    uint8_t *room = memory;

    buf_reserve(out, n * USUAL_ROW);
    put_number(out, ADDRESSES_ADDRESS, n * size);
    for (size_t i = 0; i < n; i++)
        buf_add(out, rows[i].address.bytes, size);
    ADD_COLUMN(out, ADDRESSES_LENGTH, room, rows, n, length);
    ADD_COLUMN(out, ADDRESSES_MODE, room, rows, n, mode);
    ADD_COLUMN(out, ADDRESSES_TRUST, room, rows, n, trust);
    ADD_COLUMN(out, ADDRESSES_IDENTITY, room, rows, n, identity);
}

/* Zeroes, and a one behind them: the end of it is a run of rows of others, and then one's own. */
void agent_share_selves(size_t n, struct buf *out)
{
    static const char zeroes[4096];

    for (size_t left = n; left;) {
        size_t piece = left < sizeof(zeroes) ? left : sizeof(zeroes);

        buf_add(out, zeroes, piece);
        left -= piece;
    }
    buf_putc(out, 1);
}

/* ---- snapshots ---- */

static void put_head(const struct agent_own *own, struct buf *b)
{
    size_t len = strlen(own->endpoint);

    put_number(b, PROGRAM_ENDPOINT, len);
    buf_add(b, own->endpoint, len);
    put_number(b, PROGRAM_IDENTITY, own->identity);
    put_number(b, PROGRAM_MODE, own->mode);
    put_number(b, PROGRAM_TRUST, own->trust);
}

static size_t with_head(size_t size)
{
    return 1 + varint_size(size) + size;
}

static void add_whole(struct rope *r, struct rope_block *b)
{
    rope_add(r, b, 0, rope_block_size(b));
}

static void add_selves(const struct agent_shared_snapshot *s, const struct agent_own *own,
                       struct rope *out)
{
    size_t row = 0;

    for (size_t i = 0; i < own->n_rows; i++) {
        size_t others = own->rows[i] - row;

        assert(own->rows[i] >= row && own->rows[i] < s->n_addresses);
        rope_add(out, s->selves, s->n_addresses - others, others + 1);
        row = (size_t)own->rows[i] + 1;
    }
    rope_add(out, s->selves, 0, s->n_addresses - row);
}

int agent_encode_snapshot(const struct agent_shared_snapshot *s, const struct agent_own *own,
                          struct rope *out)
{
    CLEANUP(buf_done) struct buf head = BUF_INIT, tail = BUF_INIT, all = BUF_INIT;
    struct rope_block *mine;
    size_t addresses = rope_block_size(s->addresses) + with_head(s->n_addresses);
    size_t program, snapshot, columns_at, selves_at;

    put_head(own, &head);
    put_number(&tail, SNAPSHOT_CONFIRM_S, own->confirm_s);
    put_number(&tail, SNAPSHOT_TRUST_SEQUENCE, own->trust_sequence);
    program =
        head.size + with_head(addresses) + rope_block_size(s->common) + rope_block_size(s->kin);
    snapshot = with_head(program) + tail.size;
    if (with_head(snapshot) > FRAME_TO_AGENT_MAX)
        return -EMSGSIZE;

    /* All that is its own in one block, and the others between. */
    buf_be32(&all, (uint32_t)with_head(snapshot));
    put_number(&all, MESSAGE_SNAPSHOT, snapshot);
    put_number(&all, SNAPSHOT_PROGRAM, program);
    buf_add(&all, head.data, head.size);
    put_number(&all, PROGRAM_ADDRESSES, addresses);
    columns_at = all.size;
    put_number(&all, ADDRESSES_SELF, s->n_addresses);
    selves_at = all.size;
    buf_add(&all, tail.data, tail.size);
    mine = rope_block_new(&all);
    rope_add(out, mine, 0, columns_at);
    add_whole(out, s->addresses);
    rope_add(out, mine, columns_at, selves_at - columns_at);
    add_selves(s, own, out);
    add_whole(out, s->common);
    add_whole(out, s->kin);
    rope_add(out, mine, selves_at, rope_block_size(mine) - selves_at);
    rope_block_drop(mine);
    return 0;
}
