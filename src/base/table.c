/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing in a power of two, at most two thirds full; see table.h. */
#include "base/table.h"

#include "base/base.h"

#define REMOVED (TABLE_NONE - 1)

enum { FIRST_ROOM = 16 };

uint32_t table_hash(const void *data, size_t size, uint32_t seed)
{
    const unsigned char *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static void put(struct table *t, uint32_t hash, uint32_t number)
{
    size_t at = hash & (t->room - 1);

    while (t->slots[at].number < REMOVED)
        at = (at + 1) & (t->room - 1);
    t->n_removed -= t->slots[at].number == REMOVED;
    t->slots[at] = (struct table_slot){hash, number};
    t->n++;
}

static void resize(struct table *t, size_t room)
{
    struct table old = *t;

    *t = (struct table){.slots = xreallocarray(NULL, room, sizeof *t->slots), .room = room};
    memset(t->slots, 0xff, room * sizeof *t->slots);
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i].number < REMOVED)
            put(t, old.slots[i].hash, old.slots[i].number);
    free(old.slots);
}

uint32_t table_find(const struct table *t, uint32_t hash,
                    bool (*same)(const void *context, uint32_t number, const void *key),
                    const void *context, const void *key)
{
    if (!t->room)
        return TABLE_NONE;
    for (size_t at = hash & (t->room - 1);; at = (at + 1) & (t->room - 1)) {
        const struct table_slot *s = &t->slots[at];

        if (s->number == TABLE_NONE)
            return TABLE_NONE;
        if (s->number != REMOVED && s->hash == hash && same(context, s->number, key))
            return s->number;
    }
}

void table_add(struct table *t, uint32_t hash, uint32_t number)
{
    if (!t->room)
        resize(t, FIRST_ROOM);
    else if ((t->n + t->n_removed + 1) * 3 > t->room * 2)
        resize(t, t->n * 3 < t->room ? t->room : t->room * 2); /* Or only sweeps what went. */
    put(t, hash, number);
}

void table_remove(struct table *t, uint32_t hash, uint32_t number)
{
    for (size_t at = hash & (t->room - 1); t->slots[at].number != TABLE_NONE;
         at = (at + 1) & (t->room - 1))
        if (t->slots[at].number == number && t->slots[at].hash == hash) {
            t->slots[at].number = REMOVED;
            t->n--;
            t->n_removed++;
            return;
        }
}

void table_done(struct table *t)
{
    free(t->slots);
    *t = (struct table){.slots = NULL};
}
