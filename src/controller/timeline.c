/* SPDX-License-Identifier: Apache-2.0 */
/* An array of events in the order of revisions; see timeline.h. */
#include "controller/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <uthash.h>

#include "base/date.h"
#include "controller/json.h"
#include "controller/versions.h"

enum { KEY_SIZE = 128 };

static const char events_prefix[] = "timeline/", base_prefix[] = "timeline-base/";

struct base { /* The trust of an endpoint before the first event. */
    char *endpoint;
    enum trust trust;
    UT_hash_handle hh;
};

struct timeline {
    struct timeline_event *events; /* Sorted by revision; 'time_s' never falls. */
    size_t first, n, room;         /* events[first .. n) are kept. */
    struct base *bases;
};

static void event_done(struct timeline_event *e)
{
    free((void *)(uintptr_t)e->endpoint); /* Ours; const for those who look. */
    free((void *)(uintptr_t)e->actor);
    free((void *)(uintptr_t)e->comment);
}

void timeline_free(struct timeline *t)
{
    struct base *b, *next;

    if (!t)
        return;
    for (size_t i = t->first; i < t->n; i++)
        event_done(&t->events[i]);
    HASH_ITER (hh, t->bases, b, next) {
        HASH_DEL(t->bases, b);
        free(b->endpoint);
        free(b);
    }
    free(t->events);
    free(t);
}

static void set_base(struct timeline *t, const char *endpoint, enum trust trust)
{
    struct base *b;

    HASH_FIND_STR(t->bases, endpoint, b);
    if (!b) {
        b = xcalloc(1, sizeof(*b));
        b->endpoint = xstrdup(endpoint);
        HASH_ADD_KEYPTR(hh, t->bases, b->endpoint, strlen(b->endpoint), b);
    }
    b->trust = trust;
}

/* ---- the store ---- */

static bool trust_of(const char *name, enum trust *ret_trust)
{
    static const enum trust all[] = {TRUST_WHITE, TRUST_GREY, TRUST_BLACK};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strcmp(trust_name(all[i]), name) == 0) {
            *ret_trust = all[i];
            return true;
        }
    return false;
}

static int read_event(struct timeline *t, const struct store_item *item)
{
    CLEANUP(json_decrefp) json_t *j = json_loadb(item->data, item->size, 0, NULL);
    const char *endpoint = json_text(j, "endpoint");
    struct timeline_event e = {.revision = strtoull(item->key + strlen(events_prefix), NULL, 10),
                               .time_s = (int64_t)json_uint(j, "time"),
                               .policy = json_uint(j, "policy"),
                               .inventory = json_uint(j, "inventory"),
                               .endpoint = endpoint[0] ? endpoint : NULL,
                               .actor = json_string_value(json_object_get(j, "actor")),
                               .comment = json_string_value(json_object_get(j, "comment"))};

    if (!j || (e.endpoint && !trust_of(json_text(j, "trust"), &e.trust)))
        return -EUCLEAN;
    timeline_add(t, &e);
    return 0;
}

static int read_base(struct timeline *t, const struct store_item *item)
{
    CLEANUP(json_decrefp) json_t *j = json_loadb(item->data, item->size, 0, NULL);
    enum trust trust;

    if (!j || !trust_of(json_text(j, "trust"), &trust))
        return -EUCLEAN;
    set_base(t, item->key + strlen(base_prefix), trust);
    return 0;
}

static int read_all(struct timeline *t, struct store *s, const char *prefix,
                    int (*read)(struct timeline *t, const struct store_item *item))
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(s, prefix, NULL, false, INT32_MAX, &list);

    for (size_t i = 0; r == 0 && i < list.n; i++)
        r = read(t, &list.items[i]);
    return r;
}

int timeline_open(struct store *s, struct timeline **ret_t)
{
    CLEANUP(timeline_freep) struct timeline *t = xcalloc(1, sizeof(*t));
    int r = read_all(t, s, base_prefix, read_base);

    if (r == 0)
        r = read_all(t, s, events_prefix, read_event);
    if (r == 0)
        *ret_t = TAKE_PTR(t);
    return r;
}

/* As timeline_add() will do it: the oldest one goes when there are too many. */
static void put_pruning(const struct timeline *t, struct store_transaction *x)
{
    const struct timeline_event *oldest;
    CLEANUP(json_decrefp) json_t *document = NULL;
    char key[KEY_SIZE];

    if (t->n - t->first < TIMELINE_KEPT)
        return;
    oldest = &t->events[t->first];
    (void)snprintf(key, sizeof(key), "%s%016" PRIu64, events_prefix, oldest->revision);
    store_delete(x, key);
    if (!oldest->endpoint)
        return;
    document = json_pack("{s:s}", "trust", trust_name(oldest->trust));
    (void)snprintf(key, sizeof(key), "%s%s", base_prefix, oldest->endpoint);
    version_put_json(x, key, document);
}

void timeline_put(const struct timeline *t, struct store_transaction *x,
                  const struct timeline_event *e)
{
    CLEANUP(json_decrefp)
    json_t *document = json_pack("{s:I,s:I,s:I}", "time", as_json(e->time_s), "policy",
                                 (json_int_t)e->policy, "inventory", (json_int_t)e->inventory);
    char key[KEY_SIZE];

    if (e->endpoint) {
        (void)json_object_set_new(document, "endpoint", json_any_text(e->endpoint));
        (void)json_object_set_new(document, "trust", json_string(trust_name(e->trust)));
        (void)json_object_set_new(document, "actor", json_any_text(e->actor));
        (void)json_object_set_new(document, "comment", json_any_text(e->comment));
    }
    (void)snprintf(key, sizeof(key), "%s%016" PRIu64, events_prefix, e->revision);
    version_put_json(x, key, document);
    put_pruning(t, x);
}

/* ---- memory ---- */

static void forget_oldest(struct timeline *t)
{
    struct timeline_event *oldest = &t->events[t->first++];

    if (oldest->endpoint)
        set_base(t, oldest->endpoint, oldest->trust);
    event_done(oldest);
    if (t->first < t->n / 2)
        return;
    t->n -= t->first; /* Seldom: once for as many events as are kept. */
    memmove(t->events, t->events + t->first, t->n * sizeof(*t->events));
    t->first = 0;
}

void timeline_add(struct timeline *t, const struct timeline_event *e)
{
    struct timeline_event *to;

    if (t->n - t->first >= TIMELINE_KEPT)
        forget_oldest(t);
    GROW(t->events, t->n, t->room);
    to = &t->events[t->n++];
    *to = *e;
    to->endpoint = xstrdup(e->endpoint);
    to->actor = xstrdup(e->actor);
    to->comment = xstrdup(e->comment);
    if (t->n - t->first > 1 && to->time_s < to[-1].time_s)
        to->time_s = to[-1].time_s;
}

/* ---- questions ---- */

/* How many of the kept events have a time (or revision) of at most this. */
static size_t count_until(const struct timeline *t, int64_t time_s)
{
    size_t low = t->first, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->events[middle].time_s <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low - t->first;
}

const struct timeline_event *timeline_at(const struct timeline *t, int64_t time_s)
{
    size_t n = count_until(t, time_s);

    return n ? &t->events[t->first + n - 1] : NULL;
}

const struct timeline_event *timeline_of(const struct timeline *t, uint64_t revision)
{
    size_t low = t->first, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->events[middle].revision <= revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low > t->first ? &t->events[low - 1] : NULL;
}

const struct timeline_event *timeline_first_inventory(const struct timeline *t)
{
    for (size_t i = t->first; i < t->n; i++)
        if (t->events[i].inventory)
            return &t->events[i];
    return NULL;
}

int64_t timeline_begin(const struct timeline *t)
{
    return t->n > t->first ? t->events[t->first].time_s : INT64_MAX;
}

size_t timeline_between(const struct timeline *t, int64_t from_s, int64_t to_s,
                        const struct timeline_event **ret_first)
{
    size_t before = from_s > INT64_MIN ? count_until(t, from_s - 1) : 0;
    size_t until = count_until(t, to_s);

    if (until <= before)
        return 0;
    *ret_first = &t->events[t->first + before];
    return until - before;
}

void timeline_trust(const struct timeline *t, const struct timeline_event *e,
                    struct inventory *inventory)
{
    for (const struct base *b = t->bases; b; b = b->hh.next)
        (void)inventory_set_trust(inventory, b->endpoint, b->trust); /* Gone: fine. */
    for (const struct timeline_event *i = t->events + t->first; i <= e; i++)
        if (i->endpoint)
            (void)inventory_set_trust(inventory, i->endpoint, i->trust);
}
