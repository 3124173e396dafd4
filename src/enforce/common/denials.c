/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/common/denials.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t kernel_now_ns(void)
{
    struct timespec t = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void denials_sweep(int map_fd, size_t key_size,
                   void (*tell)(void *user, const void *key, const struct abi_denial *d),
                   void *user)
{
    union {
        uint64_t aligned;
        unsigned char bytes[DENIAL_KEY_MAX];
    } key, next;
    uint64_t now = kernel_now_ns();
    struct abi_denial d;
    void *before = NULL;

    assert(key_size <= DENIAL_KEY_MAX);
    /* The key behind this one is asked for first: what is taken out has none. */
    for (int i = 0, r = bpf_map_get_next_key(map_fd, before, &next);
         i < DENIALS_MAX_SWEPT && r == 0; i++) {
        key = next;
        before = &key;
        r = bpf_map_get_next_key(map_fd, before, &next);
        if (bpf_map_lookup_elem(map_fd, &key, &d) == 0 && d.pending &&
            d.reported_ns + NS_PER_S <= now &&
            bpf_map_lookup_and_delete_elem(map_fd, &key, &d) == 0)
            tell(user, key.bytes, &d);
    }
}
