/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/common/suspects.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "base/base.h"
#include "enforce/common/tables.h"

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct abi_address));
}

void suspects_done(struct suspects *s)
{
    free(s->items);
    *s = (struct suspects){.items = NULL};
}

static bool is_suspect(const struct program_address *a)
{
    return a->length == 128 && a->trust != TRUST_WHITE;
}

struct suspects suspects_of(const struct program *p)
{
    struct suspects s = {.items = NULL};

    for (size_t i = 0; i < p->n_addresses; i++)
        s.n += is_suspect(&p->addresses[i]);
    if (!s.n)
        return s;
    s.items = xcalloc(s.n, sizeof *s.items);
    for (size_t i = 0, n = 0; i < p->n_addresses; i++)
        if (is_suspect(&p->addresses[i]))
            s.items[n++] = abi_address_of(&p->addresses[i].address);
    qsort(s.items, s.n, sizeof *s.items, compare);
    return s;
}

static struct abi_address *find(const struct suspects *s, const struct abi_address *a)
{
    return s->n ? bsearch(a, s->items, s->n, sizeof *s->items, compare) : NULL;
}

bool suspects_have(const struct suspects *s, const struct abi_address *a)
{
    return find(s, a) != NULL;
}

void suspects_remove(struct suspects *s, const struct abi_address *a)
{
    struct abi_address *at = find(s, a);

    if (at)
        memmove(at, at + 1, (char *)(s->items + s->n--) - (char *)(at + 1));
}

int suspects_add(int map_fd, const struct program *p)
{
    for (size_t i = 0; i < p->n_addresses; i++) {
        struct abi_address key = abi_address_of(&p->addresses[i].address);
        uint32_t trust = p->addresses[i].trust;

        if (is_suspect(&p->addresses[i]) && bpf_map_update_elem(map_fd, &key, &trust, BPF_ANY) < 0)
            return -errno;
    }
    return 0;
}

void suspects_trim(int map_fd, bool (*stays)(void *arg, const struct abi_address *a), void *arg)
{
    struct abi_address key, next;
    void *previous = NULL;

    while (bpf_map_get_next_key(map_fd, previous, &next) == 0) {
        if (!stays(arg, &next)) {
            (void)bpf_map_delete_elem(map_fd, &next);
            previous = NULL; /* A walk over a hash begins again then. */
            continue;
        }
        key = next;
        previous = &key;
    }
}

int suspects_set(int map_fd, const struct abi_address *a, enum trust trust)
{
    uint32_t value = (uint32_t)trust;

    if (trust == TRUST_WHITE)
        return bpf_map_delete_elem(map_fd, a) < 0 && errno != ENOENT ? -errno : 0;
    return bpf_map_update_elem(map_fd, a, &value, BPF_ANY) < 0 ? -errno : 0;
}

bool suspects_any(int map_fd)
{
    struct abi_address any;

    return bpf_map_get_next_key(map_fd, NULL, &any) == 0;
}
