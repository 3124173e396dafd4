/* SPDX-License-Identifier: Apache-2.0 */
/* What is missing, by stream and hour, in the store; see flows.h.
 *
 * A gap is stored before the batch that told of it is acknowledged, with that batch's number: when
 * the batch comes again, after a kill between the two, it is not counted again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "base/log.h"
#include "controller/flows/internal.h"
#include "controller/json.h"

enum { HOUR_MS = 3600000, PAGE = 1000, SHOWN = 20 };

static const char prefix[] = "gap/";

static void gap_done(struct flows *f, struct gap *g)
{
    HASH_DEL(f->gaps, g);
    free(g);
}

void gaps_free(struct flows *f)
{
    struct gap *g, *next;

    HASH_ITER (hh, f->gaps, g, next)
        gap_done(f, g);
}

static const char *stream_of(const struct gap *g)
{
    const char *name = strchr(g->key + sizeof(prefix) - 1, '/');

    return name ? name + 1 : "";
}

/* What it says of its stream is older than what is known, unless it is the newest. */
static void remember(struct flows *f, const struct gap *g)
{
    struct stream *s;
    const char *name = stream_of(g);

    HASH_FIND(hh, f->streams, name, strlen(name), s);
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        (void)snprintf(s->name, sizeof(s->name), "%s", name);
        HASH_ADD(hh, f->streams, name, strlen(s->name), s);
    }
    s->gap_epoch = g->epoch;
    s->gap_sequence = g->sequence;
}

static void load_one(struct flows *f, const struct store_item *item)
{
    CLEANUP(json_decrefp) json_t *j = json_loadb(item->data, item->size, 0, NULL);
    struct gap *g = xcalloc(1, sizeof(*g));

    *g = (struct gap){.from_ms = json_uint(j, "from"),
                      .to_ms = json_uint(j, "to"),
                      .lost = json_uint(j, "lost"),
                      .interrupted = json_uint(j, "interrupted"),
                      .epoch = strtoull(json_text(j, "epoch"), NULL, 16),
                      .sequence = json_uint(j, "sequence")};
    (void)snprintf(g->key, sizeof(g->key), "%s", item->key);
    HASH_ADD_STR(f->gaps, key, g);
    remember(f, g); /* Keys come in order of hours. */
}

int gaps_load(struct flows *f)
{
    char after[STORE_KEY_SIZE] = "";

    for (;;) {
        struct store_list list = {.items = NULL};
        size_t n;
        int r = store_list(f->options.store, prefix, after[0] ? after : NULL, false, PAGE, &list);

        if (r < 0)
            return r;
        n = list.n;
        for (size_t i = 0; i < n; i++)
            load_one(f, &list.items[i]);
        if (n)
            (void)snprintf(after, sizeof(after), "%s", list.items[n - 1].key);
        store_list_done(&list);
        if (n < PAGE)
            return 0;
    }
}

/* The one of this hour, which holds now what lies between what was told before and 'at_ms'. */
static struct gap *gap_at(struct flows *f, const struct stream *s, uint64_t at_ms, bool *ret_is_new)
{
    uint64_t from = s->told_until_ms;
    char key[STORE_KEY_SIZE];
    struct gap *g;

    if (!from || from > at_ms) /* Not known: an hour is a guess that is not too small often. */
        from = at_ms > HOUR_MS ? at_ms - HOUR_MS : 0;
    (void)snprintf(key, sizeof(key), "%s%010" PRIu64 "/%s", prefix, at_ms / HOUR_MS, s->name);
    HASH_FIND_STR(f->gaps, key, g);
    *ret_is_new = !g;
    if (!g) {
        g = xcalloc(1, sizeof(*g));
        memcpy(g->key, key, sizeof(key));
        g->from_ms = from;
        HASH_ADD_STR(f->gaps, key, g);
    }
    g->from_ms = from < g->from_ms ? from : g->from_ms;
    g->to_ms = at_ms > g->to_ms ? at_ms : g->to_ms;
    g->dirty = true;
    return g;
}

void gaps_add(struct flows *f, struct stream *s, uint64_t n, uint64_t at_ms)
{
    bool is_new;

    gap_at(f, s, at_ms, &is_new)->lost += n;
    if (is_new) /* Once an hour: strangers can make this go on and on. */
        log_warn("%s: evidence is incomplete; suimitsu exporters says why", s->name);
}

void gaps_note(struct flows *f, struct stream *s, const struct agent_flows *told, uint64_t first_ms)
{
    struct gap *g;
    bool is_new;

    if ((!told->lost && !told->interrupted) ||
        (s->gap_epoch == told->epoch && told->sequence <= s->gap_sequence))
        return;
    g = gap_at(f, s, first_ms, &is_new);
    g->lost += told->lost;
    g->interrupted += told->interrupted;
    g->epoch = s->gap_epoch = told->epoch;
    g->sequence = s->gap_sequence = told->sequence;
    log_warn("agent %s: evidence is incomplete: %" PRIu64 " records lost%s", s->name, told->lost,
             told->interrupted ? ", and its run before was interrupted" : "");
}

static void put_gap(struct store_transaction *t, const struct gap *g)
{
    CLEANUP(free_voidp) char *bytes = NULL;
    CLEANUP(json_decrefp) json_t *j = NULL;
    char epoch[17];

    (void)snprintf(epoch, sizeof(epoch), "%016" PRIx64, g->epoch);
    j = json_pack("{s:I,s:I,s:I,s:I,s:s,s:I}", "from", (json_int_t)g->from_ms, "to",
                  (json_int_t)g->to_ms, "lost", (json_int_t)g->lost, "interrupted",
                  (json_int_t)g->interrupted, "epoch", epoch, "sequence", (json_int_t)g->sequence);
    bytes = json_dumps(j, JSON_COMPACT);
    if (!bytes)
        abort(); /* Out of memory. */
    store_put(t, g->key, bytes, strlen(bytes));
}

/* As many as one transaction takes; after it 'ret_n' is less when that is all. */
static int save_some(struct flows *f, size_t *ret_n)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct gap *put[STORE_MAX_OPERATIONS], *g, *next;
    size_t n = 0, n_put = 0;
    int r;

    while (HASH_COUNT(f->gaps) > FLOWS_GAPS_KEPT && !f->gaps->dirty && n < STORE_MAX_OPERATIONS) {
        store_delete(t, f->gaps->key);
        gap_done(f, f->gaps);
        n++;
    }
    HASH_ITER (hh, f->gaps, g, next)
        if (g->dirty && n < STORE_MAX_OPERATIONS) {
            put_gap(t, g);
            put[n_put++] = g;
            n++;
        }
    r = n ? store_commit(f->options.store, t, NULL) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_put; i++)
        put[i]->dirty = false;
    *ret_n = n;
    return 0;
}

int gaps_save(struct flows *f)
{
    size_t n = 0;
    int r;

    do
        r = save_some(f, &n);
    while (r == 0 && n == STORE_MAX_OPERATIONS);
    return r;
}

/* An agent tells of its own endpoint, and of those that hang on its edge: "edge1/plc". */
static bool mark_agent(const struct inventory *inventory, const char *stream, uint8_t ends[])
{
    size_t len = strcspn(stream, "/");
    bool found = false;

    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];
        const char *agent = e->edge ? e->edge->agent.name : "";
        bool own = strlen(e->name) == len && strncmp(e->name, stream, len) == 0;

        found = found || own;
        if (own || (strlen(agent) == len && strncmp(agent, stream, len) == 0))
            ends[i] |= HYGIENE_LOST;
    }
    return found;
}

bool gaps_mark(const struct flows *f, uint64_t since_ms, uint64_t until_ms,
               const struct inventory *inventory, uint8_t ends[])
{
    struct gap *g, *next;
    bool elsewhere = false;

    HASH_ITER (hh, f->gaps, g, next)
        if (g->to_ms >= since_ms && g->from_ms < until_ms &&
            g->sequence && /* Else of network gear, which decides nothing. */
            !mark_agent(inventory, stream_of(g), ends))
            elsewhere = true;
    return elsewhere;
}

json_t *flows_gaps(const struct flows *f, uint64_t since_ms, uint64_t until_ms)
{
    json_t *list = json_array();
    struct gap *g, *next;

    HASH_ITER (hh, f->gaps, g, next) {
        char from[DATE_TEXT_SIZE], to[DATE_TEXT_SIZE];

        if (g->to_ms < since_ms || (until_ms && g->from_ms >= until_ms))
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:I,s:I}", "stream", stream_of(g), "from",
                            date_format_time((int64_t)(g->from_ms / 1000), from), "to",
                            date_format_time((int64_t)(g->to_ms / 1000), to), "lost",
                            (json_int_t)g->lost, "interrupted", (json_int_t)g->interrupted));
        if (json_array_size(list) > SHOWN) /* The newest matter most. */
            (void)json_array_remove(list, 0);
    }
    return list;
}
