/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_helpers.h - a kernel that fits into a fuzzer
 *
 * Takes the place of libbpf's header, so that src/bpf/edge.bpf.c compiles as ordinary C, with
 * sanitizers and coverage.  Maps are small and linear, one packet exists at a time, time stands
 * still unless somebody moves it, and timers never come.  What the verifier proves is not proven
 * here; what the programs decide is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#define SEC(name)
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define __noinline __attribute__((noinline))
#define __uint(name, number) int(*name)[number]
#define __type(name, type) __typeof__(type) *name
#define __array(name, type) __typeof__(type) *name[]
#define SHIM __attribute__((unused)) static

enum shim_kind { SHIM_ARRAY, SHIM_HASH, SHIM_OUTER };
enum { SHIM_MAPS = 48, SHIM_FRAME = 2048 };

struct shim_map {
    const void *is; /* The program's map, or an inner map itself. */
    enum shim_kind kind;
    uint32_t key_size, value_size, max, n;
    uint8_t *used, *keys, *values;
};

SHIM struct shim_map shim_maps[SHIM_MAPS];
SHIM unsigned shim_n_maps;
SHIM uint64_t shim_now_ns = 1000000000;
SHIM uint32_t shim_random = 1;
SHIM struct {
    uint8_t bytes[SHIM_FRAME];
    uint32_t size;
    unsigned n_clones;
} shim_packet;

#define SHIM_ADD(map, kind, max)                                                                   \
    shim_add(&(map), (kind), sizeof(*(map).key), sizeof(*(map).value), (max))

SHIM struct shim_map *shim_add(const void *is, enum shim_kind kind, size_t key_size,
                               size_t value_size, uint32_t max)
{
    struct shim_map *m = &shim_maps[shim_n_maps++];

    if (shim_n_maps > SHIM_MAPS)
        abort();
    *m = (struct shim_map){.is = is ? is : m,
                           .kind = kind,
                           .key_size = (uint32_t)key_size,
                           .value_size = (uint32_t)value_size,
                           .max = max,
                           .n = kind == SHIM_HASH ? 0 : max};
    m->used = calloc(max, 1);
    m->keys = calloc(max, key_size);
    m->values = calloc(max, value_size);
    if (!m->used || !m->keys || !m->values)
        abort();
    return m;
}

/* What 'map' is; NULL: nobody has added it, so that it is empty. */
SHIM struct shim_map *shim_find(const void *map)
{
    for (unsigned i = 0; i < shim_n_maps; i++)
        if (shim_maps[i].is == map)
            return &shim_maps[i];
    return NULL;
}

SHIM void shim_clear(const void *map)
{
    struct shim_map *m = shim_find(map);

    memset(m->used, 0, m->n);
    m->n = 0;
}

SHIM int shim_at(const struct shim_map *m, const void *key)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->used[i] && memcmp(m->keys + (size_t)i * m->key_size, key, m->key_size) == 0)
            return (int)i;
    return -1;
}

SHIM void *bpf_map_lookup_elem(const void *map, const void *key)
{
    struct shim_map *m = shim_find(map);
    int at = -1;

    if (!m)
        return NULL;
    if (m->kind == SHIM_HASH)
        at = shim_at(m, key);
    else if (*(const uint32_t *)key < m->max)
        at = (int)*(const uint32_t *)key;
    if (at < 0)
        return NULL;
    if (m->kind == SHIM_OUTER)
        return *(void **)(m->values + (size_t)at * sizeof(void *));
    return m->values + (size_t)at * m->value_size;
}

SHIM long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
    struct shim_map *m = shim_find(map);
    int at = m ? shim_at(m, key) : -1;

    if (!m || m->kind != SHIM_HASH)
        abort();
    if (at >= 0 && flags == BPF_NOEXIST)
        return -17;
    for (uint32_t i = 0; at < 0 && i < m->max; i++)
        if (i >= m->n || !m->used[i])
            at = (int)i;
    if (at < 0)
        return -7;
    if ((uint32_t)at >= m->n)
        m->n = (uint32_t)at + 1;
    m->used[at] = 1;
    memcpy(m->keys + (size_t)at * m->key_size, key, m->key_size);
    memcpy(m->values + (size_t)at * m->value_size, value, m->value_size);
    return 0;
}

SHIM long bpf_map_delete_elem(const void *map, const void *key)
{
    struct shim_map *m = shim_find(map);
    int at = m ? shim_at(m, key) : -1;

    if (at < 0)
        return -2;
    m->used[at] = 0;
    return 0;
}

/* Nothing is idle here: time does not pass between a look at a flow and the sweep. */
#define bpf_for_each_map_elem(map, callback, context, flags)                                       \
    ((void)(map), (void)(callback), (void)(context), 0L)
#define bpf_loop(n, callback, context, flags) ((void)(callback), (void)(context), 0L)
#define bpf_map_push_elem(map, value, flags) ((void)(map), (void)(value), 0L)
#define bpf_map_peek_elem(map, value) ((void)(map), memset(value, 0, sizeof(*(value))), -2L)
#define bpf_map_pop_elem(map, value) bpf_map_peek_elem(map, value)
#define bpf_timer_init(timer, map, flags) ((void)(timer), 0)
#define bpf_timer_set_callback(timer, callback) ((void)(callback), 0)
#define bpf_timer_start(timer, ns, flags) ((void)(timer), (void)(ns), 0)

SHIM __u64 bpf_ktime_get_ns(void)
{
    return shim_now_ns;
}

SHIM __u64 bpf_ktime_get_coarse_ns(void)
{
    return shim_now_ns;
}

SHIM __u32 bpf_get_prandom_u32(void)
{
    shim_random = shim_random * 1664525 + 1013904223;
    return shim_random;
}

SHIM void *bpf_ringbuf_reserve(void *ring, __u64 size, __u64 flags)
{
    static uint64_t room[64];

    (void)ring;
    (void)flags;
    return size <= sizeof(room) ? room : NULL;
}

SHIM void bpf_ringbuf_submit(void *event, __u64 flags)
{
    (void)event;
    (void)flags;
}

SHIM __u64 bpf_ringbuf_query(void *ring, __u64 what)
{
    (void)ring;
    (void)what;
    return 0;
}

SHIM long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
    if (at > skb->len || size > skb->len - at)
        return -14;
    memcpy(to, shim_packet.bytes + at, size);
    return 0;
}

SHIM long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 at, const void *from, __u32 size,
                              __u64 flags)
{
    (void)flags;
    if (at > skb->len || size > skb->len - at)
        return -14;
    memcpy(shim_packet.bytes + at, from, size);
    return 0;
}

SHIM long bpf_skb_change_tail(struct __sk_buff *skb, __u32 size, __u64 flags)
{
    (void)flags;
    if (size > SHIM_FRAME)
        return -22;
    if (size > skb->len)
        memset(shim_packet.bytes + skb->len, 0, size - skb->len);
    skb->len = shim_packet.size = size;
    return 0;
}

SHIM long bpf_clone_redirect(struct __sk_buff *skb, __u32 ifindex, __u64 flags)
{
    (void)skb;
    (void)ifindex;
    (void)flags;
    shim_packet.n_clones++;
    return 0;
}

SHIM __s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
                         __u32 seed)
{
    __u64 sum = seed;

    (void)from;
    (void)from_size;
    for (__u32 i = 0; i < to_size / 4; i++)
        sum += to[i];
    while (sum >> 32)
        sum = (sum & 0xffffffff) + (sum >> 32);
    return (__s64)sum;
}
