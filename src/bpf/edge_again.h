/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_again.h - what a client's stream holds is settled when it first passes
 *
 * A segment that passed here need not have arrived: a wrong checksum, a lost frame.  TCP sends it
 * again, and nothing but the client's honesty makes it the same bytes.  Read alone, both tries may
 * be harmless; but the server may join the second one with what followed the first, and where we
 * saw data it sees a request.  So until the server has acknowledged them, bytes may come again only
 * as they were.
 *
 * Of each segment that passed, the number behind its last byte is kept with a sum of the stream up
 * to there: a polynomial in a secret of the flow, modulo a prime of 32 bits, which does not depend
 * on how the stream was cut.  What comes again has to begin and end where segments did, as TCP's
 * own does, and to have the same sum.  Other bytes are an attack, or a client's broken memory: the
 * connection is over, so that nobody can try sums. */
#pragma once

#include "bpf/edge_judge.h"

#define SUM_PRIME 4294967291ull

enum {
    SUM_BEGIN = 1,
    SUM_PIECE = 16,
    SUM_PIECES = 528, /* 8,448 bytes: more than 32 requests. */
};

/* Two processors must not read one stream at once: both would begin at the same place.  1: not now;
 * TCP sends it again. */
static __always_inline int take_stream(struct edge_stream *t)
{
    return __sync_lock_test_and_set(&t->busy, 1);
}

static __always_inline void give_stream(struct edge_stream *t)
{
    __sync_lock_test_and_set(&t->busy, 0);
}

static __always_inline struct edge_stream *get_stream(const struct scratch *s)
{
    return bpf_map_lookup_elem(&edge_streams, &s->key);
}

/* The client of the scratch's flow will begin with the byte of number 'first'. */
__noinline int begin_stream(__u32 first)
{
    struct scratch *s = get_scratch();
    struct edge_stream t = {.begun = first,
                            .acknowledged = first,
                            .reader = {.sequence = first},
                            .secret = bpf_get_prandom_u32() | 1};

    if (!s)
        return -1;
    for (int i = 1; i < EDGE_MARKS; i++)
        t.marks[i].sequence = first - 1; /* Free. */
    t.marks[0].sequence = first;
    t.marks[0].sum = SUM_BEGIN;
    return bpf_map_update_elem(&edge_streams, &s->key, &t, BPF_ANY);
}

/* Is there a beginning or end at this number, of what may come again or come next? */
static __always_inline int find_mark(const struct edge_stream *t, __u32 sequence, __u32 *ret_sum)
{
    if (sequence - t->acknowledged > t->reader.sequence - t->acknowledged)
        return 0;
    for (int i = 0; i < EDGE_MARKS; i++)
        if (t->marks[i].sequence == sequence) {
            *ret_sum = t->marks[i].sum;
            return 1;
        }
    return 0;
}

/* The stream's sum, 'size' bytes at 'at' later. */
__noinline __u32 add_to_sum(struct __sk_buff *skb, __u32 at, __u32 size, __u32 sum, __u32 secret)
{
    __u8 piece[SUM_PIECE];
    __u64 s = sum;

    for (int i = 0; i < SUM_PIECES && size >= SUM_PIECE; i++) {
        if (bpf_skb_load_bytes(skb, at, piece, SUM_PIECE))
            return 0;
        for (int j = 0; j < SUM_PIECE; j++)
            s = (s * secret + piece[j] + 1) % SUM_PRIME;
        at += SUM_PIECE;
        size -= SUM_PIECE;
    }
    for (int i = 0; i < SUM_PIECE && size; i++) {
        if (bpf_skb_load_bytes(skb, at, piece, 1))
            return 0;
        s = (s * secret + piece[0] + 1) % SUM_PRIME;
        at++;
        size--;
    }
    return s;
}

/* New bytes up to 'end' pass.  -1: too many segments wait for their acknowledgement. */
static __always_inline int add_mark(struct edge_stream *t, __u32 end, __u32 sum)
{
    __u32 at = (t->last_mark + 1) % EDGE_MARKS, old = t->marks[at].sequence;

    if (old - t->acknowledged <= t->reader.sequence - t->acknowledged)
        return -1;
    t->marks[at] = (struct edge_mark){.sequence = end, .sum = sum};
    t->last_mark = at;
    return 0;
}
