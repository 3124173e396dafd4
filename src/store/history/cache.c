/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/cache.h"

void cache_init(struct cache *c, uint64_t max)
{
    *c = (struct cache){.max = max ? max : CACHE_SIZE_DEFAULT, .random = 88172645463325252};
    (void)pthread_mutex_init(&c->lock, NULL);
}

static void drop(struct cache *c, size_t i)
{
    struct part *p = c->parts[i];

    c->size -= p->tables->size;
    part_tables_put(TAKE_PTR(p->tables));
    c->parts[i] = c->parts[--c->n];
    part_put(p);
}

void cache_done(struct cache *c)
{
    while (c->n)
        drop(c, c->n - 1);
    free(c->parts);
    (void)pthread_mutex_destroy(&c->lock);
}

static struct part_tables *known(const struct part *p)
{
    if (p->tables)
        atomic_fetch_add(&p->tables->refs, 1);
    return p->tables;
}

/* Any but the newest goes.  Questions about all of the past walk through the parts in a circle: the
 * one that was used longest ago would always be the one that is wanted next. */
static void make_room(struct cache *c)
{
    while (c->n > 1 && c->size > c->max) {
        c->random ^= c->random << 13;
        c->random ^= c->random >> 7;
        c->random ^= c->random << 17;
        drop(c, c->random % (c->n - 1));
    }
}

int cache_tables(struct cache *c, struct part *p, struct planes *planes, struct part_tables **ret_t)
{
    struct part_tables *t;
    int r;

    (void)pthread_mutex_lock(&c->lock);
    t = known(p);
    (void)pthread_mutex_unlock(&c->lock);
    if (!t) { /* Without the lock: two threads may both load them, and one of them gives up. */
        r = part_load_tables(p, planes, &t);
        if (r < 0) {
            cache_damaged(c, p, p->info.n_blocks + DAMAGED_TABLES);
            return r;
        }
        (void)pthread_mutex_lock(&c->lock);
        if (!p->tables) {
            atomic_fetch_add(&t->refs, 1);
            p->tables = t;
            GROW(c->parts, c->n, c->room);
            c->parts[c->n++] = part_get(p);
            c->size += t->size;
            make_room(c);
        }
        (void)pthread_mutex_unlock(&c->lock);
    }
    *ret_t = t;
    return 0;
}

void cache_forget(struct cache *c, struct part *p)
{
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n; i++)
        if (c->parts[i] == p) {
            drop(c, i);
            break;
        }
    (void)pthread_mutex_unlock(&c->lock);
}

void cache_damaged(struct cache *c, struct part *p, size_t place)
{
    if (!atomic_exchange(&p->damaged[place], 1))
        atomic_fetch_add(&c->damaged, 1);
}
