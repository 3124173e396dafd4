/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/auth/throttle.h"

#include <stdio.h>
#include <uthash.h>

struct count {
    char key[THROTTLE_KEY_SIZE];
    int64_t began_s;
    uint32_t n;
    UT_hash_handle hh;
};

struct throttle {
    struct count *counts;
};

struct throttle *throttle_new(void)
{
    return xcalloc(1, sizeof(struct throttle));
}

static void forget(struct throttle *t, struct count *c)
{
    HASH_DEL(t->counts, c);
    free(c);
}

void throttle_free(struct throttle *t)
{
    struct count *c, *next;

    if (!t)
        return;
    HASH_ITER (hh, t->counts, c, next) {
        forget(t, c);
    }
    free(t);
}

static struct count *find(const struct throttle *t, const char *key)
{
    struct count *c = NULL;
    char cut[THROTTLE_KEY_SIZE];

    (void)snprintf(cut, sizeof(cut), "%s", key);
    HASH_FIND_STR(t->counts, cut, c);
    return c;
}

static void make_room(struct throttle *t)
{
    struct count *oldest = t->counts;

    if (HASH_COUNT(t->counts) < THROTTLE_MAX)
        return;
    for (struct count *c = t->counts; c; c = c->hh.next)
        if (c->began_s < oldest->began_s)
            oldest = c;
    forget(t, oldest);
}

uint32_t throttle_try(struct throttle *t, const char *key, uint32_t limit, int64_t now_s)
{
    struct count *c = find(t, key);

    if (!c) {
        make_room(t);
        c = xcalloc(1, sizeof(*c));
        (void)snprintf(c->key, sizeof(c->key), "%s", key);
        c->began_s = now_s;
        HASH_ADD_STR(t->counts, key, c);
    }
    if (now_s < c->began_s || now_s >= c->began_s + THROTTLE_WINDOW_S) {
        c->began_s = now_s;
        c->n = 0;
    }
    if (c->n >= limit)
        return (uint32_t)(c->began_s + THROTTLE_WINDOW_S - now_s);
    c->n++;
    return 0;
}

void throttle_take_back(struct throttle *t, const char *key)
{
    struct count *c = find(t, key);

    if (c && c->n)
        c->n--;
}

void throttle_forget(struct throttle *t, const char *key)
{
    struct count *c = find(t, key);

    if (c)
        forget(t, c);
}

size_t throttle_size(const struct throttle *t)
{
    return HASH_COUNT(t->counts);
}
