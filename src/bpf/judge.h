/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* judge.h - the verdict on one connection: core/program.h's program_judge(), in the kernel
 *
 * Everything unknown is closed: a missing map, a missing slot or a missing entry is a deny. */
#pragma once

#include "bpf/maps.h"

static __always_inline const struct abi_config *get_config(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&config, &zero);
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

/* Fills '*d' and returns 0.  A global function: the verifier checks it once, by itself, and clang
 * cannot drop the value that the verifier insists on. */
__noinline int judge(const struct connection *asked, struct decision *d)
{
    const struct abi_config *cfg = get_config();
    struct abi_entry_key key = {};
    struct connection c;
    struct own_end own;
    __u32 mode, slot;

    if (!asked || !d)
        return 0;
    c = *asked; /* Linux 6.1 takes map keys from the stack, not from a global function's caller. */
    __builtin_memset(d, 0, sizeof(*d));
    d->verdict = ABI_DENY;
    d->layer = ABI_LAYER_DEFAULT;
    if (!cfg || !cfg->active) {
        count(ABI_COUNT_NO_CONFIG);
        return 0;
    }
    d->active = cfg->active;
    slot = cfg->active & 1;
    own.index = slot;
    own.trust = cfg->trust;
    own.has_suspects = cfg->flags & ABI_FLAG_SUSPECTS;
    own.slot = &cfg->slots[slot];
    if (judge_begin(&own, &c, d, &key, &mode) == UNDECIDED)
        judge_end(find_entry(slot, &key, &c), key.suspect, mode, d);
    return 0;
}
