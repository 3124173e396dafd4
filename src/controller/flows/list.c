/* SPDX-License-Identifier: Apache-2.0 */
/* A page of records, newest first.
 *
 * The window of the question is looked at in pieces from its new end, each four times as long as
 * the one before: a page of a busy hour reads minutes, one of a quiet year reads a few long pieces.
 * A record belongs to the piece in which it begins. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "controller/flows/job.h"

enum { PIECE_MS = 600000, GROWTH = 4, DAY_MS = 86400000, SPARE = 4096 };

static struct list_key key_of(const struct flow *r)
{
    uint32_t low = table_hash(r, sizeof(*r), 0);

    return (struct list_key){r->first_ms, (uint64_t)table_hash(r, sizeof(*r), low) << 32 | low};
}

static int newest_first(const void *a, const void *b)
{
    struct list_key x = key_of(a), y = key_of(b);

    if (x.first_ms != y.first_ms)
        return x.first_ms > y.first_ms ? -1 : 1;
    return x.tie > y.tie ? -1 : x.tie < y.tie;
}

/* Whether it stands behind the cursor. */
static bool is_behind(const struct flows_job *j, const struct flow *r)
{
    struct list_key k;

    if (!j->has_cursor || r->first_ms < j->cursor.first_ms)
        return true;
    if (r->first_ms > j->cursor.first_ms)
        return false;
    k = key_of(r);
    return k.tie < j->cursor.tie;
}

/* Keeps a page, one record more, and whatever cannot be told from the last of the page. */
static void cut(struct flows_job *j)
{
    size_t n = j->max;

    qsort(j->rows, j->n_rows, sizeof(*j->rows), newest_first);
    while (n < j->n_rows && newest_first(&j->rows[n - 1], &j->rows[n]) == 0)
        n++;
    if (n >= j->n_rows)
        return;
    j->more = true;
    j->n_rows = n;
}

static int take(void *user, const struct flow *flows, size_t n)
{
    struct flows_job *j = user;

    for (size_t i = 0; i < n; i++) {
        const struct flow *r = &flows[i];

        if (r->first_ms < j->window_from || r->first_ms >= j->window_to ||
            !asked_matches(&j->asked, r) || !is_behind(j, r))
            continue;
        GROW(j->rows, j->n_rows, j->rows_room);
        j->rows[j->n_rows++] = *r;
        if (j->n_rows >= 2 * j->max + SPARE)
            cut(j);
    }
    return 0;
}

int job_list(struct flows_job *j)
{
    struct history_query q = j->asked.query;
    uint64_t to = j->newest_ms + 1, from, piece = PIECE_MS;
    uint64_t end = j->since_ms > DAY_MS ? j->since_ms - DAY_MS : 0; /* None lasts longer. */

    if (q.until_ms && q.until_ms < to)
        to = q.until_ms;
    if (j->has_cursor && j->cursor.first_ms < to)
        to = j->cursor.first_ms + 1;
    if (end < j->oldest_ms)
        end = j->oldest_ms;
    for (; to > end && !j->more; to = from, piece *= GROWTH) {
        int r;

        from = to - end > piece ? to - piece : end;
        j->window_from = from;
        j->window_to = to;
        q.since_ms = from > j->since_ms ? from : j->since_ms;
        q.until_ms = to;
        r = history_scan(j->snapshot, &q, take, j, &j->progress);
        if (r < 0)
            return r;
        cut(j);
        if (j->n_rows >= j->max &&
            from > end) /* There may be more behind it: the next page says. */
            j->more = true;
    }
    return 0;
}

json_t *job_list_json(struct flows_job *j)
{
    json_t *list = json_array();
    char next[40] = "";

    for (size_t i = j->n_rows; i-- > 0;) /* A page reads downwards, as time goes. */
        (void)json_array_append_new(list, flow_json(j->f, &j->rows[i], 0));
    if (j->more && j->n_rows) {
        struct list_key last = key_of(&j->rows[j->n_rows - 1]);

        (void)snprintf(next, sizeof(next), "%" PRIx64 "-%016" PRIx64, last.first_ms, last.tie);
    }
    return json_pack("{s:I,s:s,s:o}", "last", (json_int_t)j->f->last, "next", next, "flows", list);
}
