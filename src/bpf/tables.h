/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* tables.h - the tables of verdict programs and how they are asked, for every enforcer in the
 * kernel
 *
 * core/program.h's program_judge(), without what only a host can tell: judge_begin() decides what
 * no entry decides, the enforcer looks for the entry, judge_end() says what it means.
 *
 * 'index' is where a program's tables stand in the outer maps; whoever includes this says how many
 * places there are: TABLE_SLOTS. */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

enum { MAX_SUSPECTS = 65536 };

/* An array of inner maps, one a slot; the inner prototype gives type, key and value. */
#define SLOTTED_MAP(map_name, ...)                                                                 \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                  \
        __uint(max_entries, TABLE_SLOTS);                                                          \
        __uint(key_size, sizeof(__u32));                                                           \
        __uint(value_size, sizeof(__u32));                                                         \
        __array(values, struct {__VA_ARGS__});                                                     \
    } map_name SEC(".maps")

SLOTTED_MAP(addresses, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1);
            __type(key, struct abi_address); __type(value, struct abi_remote););

SLOTTED_MAP(prefixes, __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 1);
            __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct abi_prefix);
            __type(value, struct abi_remote););

SLOTTED_MAP(services, __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, ABI_ROWS);
            __type(key, __u32); __type(value, __u16[ABI_PORTS]););

SLOTTED_MAP(entries, __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1);
            __type(key, struct abi_entry_key); __type(value, struct abi_entry););

/* Endpoints whose trust is not white. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_SUSPECTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct abi_address);
    __type(value, __u32); /* enum trust */
} suspects SEC(".maps");

/* clang leaves out the layout of a structure that only an inner map names, and libbpf then cannot
 * tell its size.  Asking for the type's number puts it in. */
#define KEEP_TYPE(type)                                                                            \
    do {                                                                                           \
        __u64 id_ = bpf_core_type_id_local(type);                                                  \
        asm volatile("" : : "r"(id_));                                                             \
    } while (0)

static __always_inline void keep_inner_types(void)
{
    KEEP_TYPE(struct abi_remote);
    KEEP_TYPE(struct abi_prefix);
    KEEP_TYPE(struct abi_entry_key);
    KEEP_TYPE(struct abi_entry);
}

struct connection {
    struct abi_file file; /* This end's program; zeros: unknown. */
    struct abi_address remote;
    __u32 uid;
    __u32 pid;  /* 0: unknown.  For reports only. */
    __u16 port; /* Destination port, ICMP type in ICMPv4's numbers, or 0. */
    __u8 protocol;
    __u8 direction;
};

struct decision {
    __u64 active;
    __u32 identity;
    __u32 rule;
    __u8 verdict;
    __u8 layer;
    __u8 refine; /* Of the entry that decided. */
    __u8 pad[5];
};

/* What the tables say of an address; zeros when they say nothing. */
static __always_inline struct abi_remote find_remote(__u32 slot, const struct abi_address *address)
{
    struct abi_prefix prefix = {.length = 128, .address = *address};
    struct abi_remote remote = {};
    const struct abi_remote *found = NULL;
    void *inner = bpf_map_lookup_elem(&addresses, &slot);

    if (inner)
        found = bpf_map_lookup_elem(inner, address);
    if (!found) {
        inner = bpf_map_lookup_elem(&prefixes, &slot);
        found = inner ? bpf_map_lookup_elem(inner, &prefix) : NULL;
    }
    if (found)
        remote = *found;
    return remote;
}

static __always_inline __u16 service_class(__u32 slot, __u8 protocol, __u16 port)
{
    const __u16(*row)[ABI_PORTS];
    void *inner;
    __u32 index;

    switch (protocol) {
    case IPPROTO_TCP:
        index = ABI_ROW_TCP;
        break;
    case IPPROTO_UDP:
        index = ABI_ROW_UDP;
        break;
    case IPPROTO_ICMP:
        index = ABI_ROW_ICMP;
        break;
    default:
        return 0;
    }
    inner = bpf_map_lookup_elem(&services, &slot);
    row = inner ? bpf_map_lookup_elem(inner, &index) : NULL;
    return row ? (*row)[port] : 0;
}

static __always_inline int same_address(const struct abi_address *a, const struct abi_address *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
           a->word[3] == b->word[3];
}

/* 127.0.0.0/8, ::1: inside the box. */
static __always_inline int is_loopback(const struct abi_address *a)
{
    return !a->word[0] && !a->word[1] &&
           ((!a->word[2] && a->word[3] == bpf_htonl(1)) ||
            (a->word[2] == bpf_htonl(0xffff) && (bpf_ntohl(a->word[3]) >> 24) == 127));
}

static __always_inline int on_lifeline(const struct abi_slot *slot, const struct connection *c)
{
    for (int i = 0; i < ABI_LIFELINE; i++) {
        const struct abi_lifeline *l = &slot->lifeline[i];

        if (!l->protocol || l->protocol != c->protocol || l->port != c->port)
            continue;
        if (c->direction == ABI_OUT ? same_address(&l->address, &c->remote) : l->here)
            return 1;
    }
    return 0;
}

static __always_inline __u32 trust_of(__u32 has_suspects, const struct abi_address *a)
{
    const __u32 *trust = NULL;

    if (has_suspects)
        trust = bpf_map_lookup_elem(&suspects, a);
    return trust ? *trust : 0;
}

struct own_end { /* What a judgement has to know of this end, besides the tables. */
    __u32 index;
    __u32 trust;
    __u32 has_suspects;
    const struct abi_slot *slot;
};

enum { UNDECIDED, DECIDED };

/* Steps 1 and 2 of program.h, and the key for step 3.  '*ret_mode' is the stricter of both ends. */
static __always_inline int judge_begin(const struct own_end *own, const struct connection *c,
                                       struct decision *d, struct abi_entry_key *key,
                                       __u32 *ret_mode)
{
    struct abi_remote remote = find_remote(own->index, &c->remote);
    __u32 mode = own->slot->mode, remote_trust;

    keep_inner_types();
    d->identity = remote.identity;
    *ret_mode = remote.mode > mode ? remote.mode : mode;
    if ((remote.flags & ABI_REMOTE_SELF) || on_lifeline(own->slot, c)) {
        d->verdict = ABI_ALLOW;
        d->layer = ABI_LAYER_LIFELINE;
        return DECIDED;
    }

    remote_trust = trust_of(own->has_suspects, &c->remote);
    if (own->trust == ABI_TRUST_BLACK)
        key->suspect = c->direction == ABI_OUT ? ABI_SUSPECT_SOURCE : ABI_SUSPECT_DESTINATION;
    else if (remote_trust == ABI_TRUST_BLACK)
        key->suspect = c->direction == ABI_OUT ? ABI_SUSPECT_DESTINATION : ABI_SUSPECT_SOURCE;
    if (key->suspect)
        d->layer = ABI_LAYER_QUARANTINE;
    if (own->trust == ABI_TRUST_BLACK && remote_trust == ABI_TRUST_BLACK)
        return DECIDED;

    key->remote = remote.identity;
    key->service = service_class(own->index, c->protocol, c->port);
    key->direction = c->direction;
    return UNDECIDED;
}

/* Step 4; 'entry' is NULL when there is none. */
static __always_inline void judge_end(const struct abi_entry *e, int suspect, __u32 mode,
                                      struct decision *d)
{
    struct abi_entry entry = {.word = ABI_WORD_DEFAULT};

    if (e)
        entry = *e;
    d->refine = entry.refine;
    if (entry.word != ABI_WORD_DEFAULT) {
        d->verdict = entry.word == ABI_WORD_ALLOW ? ABI_ALLOW : ABI_DENY;
        d->layer = entry.layer;
        d->rule = entry.rule;
    } else if (!suspect && mode < ABI_MODE_ENFORCE) {
        d->verdict = ABI_WOULD_DENY;
    }
}

enum { WAKING = 4096 /* Bytes, some 40 events: several processors may write at once. */ };

/* The flags of bpf_ringbuf_submit() that wake the reader of a ring that fills: when an eighth waits
 * for him, and not again for each event that follows while he is on his way - a wake-up is an
 * interrupt, which costs more than all else that is done for a connection. */
static __always_inline __u64 wake_when_filling(__u64 waiting, __u64 size)
{
    return waiting > size / 8 && waiting <= size / 8 + WAKING ? BPF_RB_FORCE_WAKEUP
                                                              : BPF_RB_NO_WAKEUP;
}
