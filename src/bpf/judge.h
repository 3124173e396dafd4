/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* judge.h - the verdict on one connection: core/program.h's program_judge(), in the kernel
 *
 * Everything unknown is closed: a missing map, a missing slot or a missing entry is a deny. */
#pragma once

#include <linux/in.h>

#include <bpf/bpf_endian.h>

#include "bpf/maps.h"

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
    __u8 pad[6];
};

static __always_inline const struct abi_config *get_config(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&config, &zero);
}

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

static __always_inline __u16 process_class(__u32 slot, const struct abi_file *file)
{
    void *inner = bpf_map_lookup_elem(&processes, &slot);
    const __u16 *class = inner && file->inode ? bpf_map_lookup_elem(inner, file) : NULL;

    return class ? *class : 0;
}

static __always_inline __u16 user_class(__u32 slot, __u32 uid)
{
    void *inner = bpf_map_lookup_elem(&users, &slot);
    const __u16 *class = inner ? bpf_map_lookup_elem(inner, &uid) : NULL;

    return class ? *class : 0;
}

/* The entry that decides, or NULL: steps 3 and 4 of program.h. */
static __always_inline const struct abi_entry *find_entry(__u32 slot, struct abi_entry_key *key,
                                                          const struct connection *c)
{
    void *inner = bpf_map_lookup_elem(&entries, &slot);
    const struct abi_entry *base, *e;
    __u16 process = 0, user = 0;

    if (!inner)
        return NULL;
    base = bpf_map_lookup_elem(inner, key);
    if (!base && key->service) {
        key->service = 0;
        base = bpf_map_lookup_elem(inner, key);
    }
    if (!base || !base->refine)
        return base;

    if (base->refine & ABI_REFINE_PROCESS)
        process = process_class(slot, &c->file);
    if ((base->refine & ABI_REFINE_USER) && c->direction == ABI_OUT)
        user = user_class(slot, c->uid);
    key->process = process;
    key->user = user;
    if (process && user) {
        e = bpf_map_lookup_elem(inner, key);
        if (e)
            return e;
        key->user = 0;
    }
    if (process) {
        e = bpf_map_lookup_elem(inner, key);
        if (e)
            return e;
    }
    if (user) {
        key->process = 0;
        key->user = user;
        e = bpf_map_lookup_elem(inner, key);
        if (e)
            return e;
    }
    return base;
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

static __always_inline __u32 trust_of(const struct abi_config *cfg, const struct abi_address *a)
{
    const __u32 *trust = NULL;

    if (cfg->flags & ABI_FLAG_SUSPECTS)
        trust = bpf_map_lookup_elem(&suspects, a);
    return trust ? *trust : 0;
}

/* Fills '*d' and returns 0.  A global function: the verifier checks it once, by itself, and clang
 * cannot drop the value that the verifier insists on. */
__noinline int judge(const struct connection *asked, struct decision *d)
{
    const struct abi_config *cfg = get_config();
    struct abi_entry_key key = {};
    struct connection c;
    struct abi_entry entry = {.word = ABI_WORD_DEFAULT};
    struct abi_remote remote;
    const struct abi_entry *e;
    __u32 slot, mode;
    __u32 remote_trust;

    if (!asked || !d)
        return 0;
    c = *asked; /* Linux 6.1 takes map keys from the stack, not from a global function's caller. */
    keep_inner_types();
    __builtin_memset(d, 0, sizeof(*d));
    d->verdict = ABI_DENY;
    d->layer = ABI_LAYER_DEFAULT;
    if (!cfg || !cfg->active) {
        count(ABI_COUNT_NO_CONFIG);
        return 0;
    }
    d->active = cfg->active;
    slot = cfg->active & 1;
    mode = cfg->slots[slot].mode;

    remote = find_remote(slot, &c.remote);
    d->identity = remote.identity;
    if (remote.mode > mode)
        mode = remote.mode;
    if ((remote.flags & ABI_REMOTE_SELF) || on_lifeline(&cfg->slots[slot], &c)) {
        d->verdict = ABI_ALLOW;
        d->layer = ABI_LAYER_LIFELINE;
        return 0;
    }

    remote_trust = trust_of(cfg, &c.remote);
    if (cfg->trust == ABI_TRUST_BLACK)
        key.suspect = c.direction == ABI_OUT ? ABI_SUSPECT_SOURCE : ABI_SUSPECT_DESTINATION;
    else if (remote_trust == ABI_TRUST_BLACK)
        key.suspect = c.direction == ABI_OUT ? ABI_SUSPECT_DESTINATION : ABI_SUSPECT_SOURCE;
    if (key.suspect)
        d->layer = ABI_LAYER_QUARANTINE;
    if (cfg->trust == ABI_TRUST_BLACK && remote_trust == ABI_TRUST_BLACK)
        return 0;

    key.remote = d->identity;
    key.service = service_class(slot, c.protocol, c.port);
    key.direction = c.direction;
    e = find_entry(slot, &key, &c);
    if (e)
        entry = *e;
    if (entry.word != ABI_WORD_DEFAULT) {
        d->verdict = entry.word == ABI_WORD_ALLOW ? ABI_ALLOW : ABI_DENY;
        d->layer = entry.layer;
        d->rule = entry.rule;
    } else if (!key.suspect && mode < ABI_MODE_ENFORCE) {
        d->verdict = ABI_WOULD_DENY;
    }
    return 0;
}
