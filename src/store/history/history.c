/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds have in common; see kind.h. */
#include "store/history.h"

#include <assert.h>
#include <errno.h>

#include "store/history/kind.h"
#include "store/history/rows.h"

struct history_snapshot {
    const struct history_kind *kind;
    void *backend;
    struct uses *uses;
};

struct history_retention {
    const struct history_kind *kind;
    void *work; /* The kind's. */
    int result;
};

struct history_commit {
    const struct history_kind *kind;
    struct streams_news streams;
    void *work; /* The kind's. */
    int result;
};

enum { READ_TRIES = 20 }; /* Beside a process that writes, files come and go. */

static const struct {
    const char *prefix;
    const struct history_kind *kind;
} kinds[] = {
    {"sqlite:", &history_sqlite},
    {"clickhouse:", &history_clickhouse},
    {"", &history_columns}, /* Fits all that no other does. */
};

/* "word:rest" names a keeper, and one that is not there must not become a folder of that name. */
static bool names_a_kind(const char *where)
{
    return where[strcspn(where, ":/")] == ':';
}

static const struct history_kind *kind_of(const char **where)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t len = strlen(kinds[i].prefix);

        if (strncmp(*where, kinds[i].prefix, len) == 0 && (len || !names_a_kind(*where))) {
            *where += len;
            return kinds[i].kind;
        }
    }
    return NULL;
}

static struct history *new_history(const struct history_kind *kind,
                                   const struct history_options *options, bool last_try)
{
    struct history *h = xcalloc(1, sizeof(*h));

    h->kind = kind;
    h->last_try = last_try;
    if (options)
        h->options = *options;
    texts_init(&h->texts);
    h->uses = uses_new();
    return h;
}

int history_open(const char *where, const struct history_options *options, struct history **ret_h,
                 const char **ret_what)
{
    const struct history_kind *kind = kind_of(&where);
    CLEANUP(history_freep) struct history *h = NULL;
    int r = -EINVAL;

    *ret_what = "";
    if (!kind || !*where) {
        *ret_what = "expected a folder, sqlite:FILE or clickhouse:URL#FILE";
        return -EINVAL;
    }
    for (unsigned tries = READ_TRIES; tries > 0; tries--) {
        history_free(TAKE_PTR(h));
        h = new_history(kind, options, tries == 1);
        r = kind->open(h, where, ret_what);
        if (r != -ESTALE)
            break;
    }
    if (r < 0)
        return r;
    streams_synced(&h->streams);
    h->dirty = false;
    *ret_h = TAKE_PTR(h);
    return 0;
}

static void let_go(struct history *h, struct history_commit *c, bool written)
{
    c->kind->commit_end(h, c->work, written);
    streams_news_done(&c->streams);
    free(c);
}

void history_free(struct history *h)
{
    if (!h)
        return;
    if (h->failed)
        let_go(h, TAKE_PTR(h->failed), false);
    if (h->backend)
        h->kind->free(h->backend);
    texts_done(&h->texts);
    streams_done(&h->streams);
    uses_put(h->uses);
    free(h);
}

text_t history_text(struct history *h, const char *text, size_t len)
{
    return texts_number(&h->texts, text, len);
}

text_t history_find_text(const struct history *h, const char *text, size_t len)
{
    return texts_find(&h->texts, text, len);
}

const char *history_text_of(const struct history *h, text_t number)
{
    return texts_of(&h->texts, number);
}

static int check(const struct history_batch *b)
{
    size_t len = b->stream ? strnlen(b->stream, HISTORY_STREAM_SIZE) : 0;

    if (!len || len == HISTORY_STREAM_SIZE || !b->sequence)
        return -EINVAL;
    if (b->n_flows > HISTORY_BATCH_MAX)
        return -E2BIG;
    for (size_t i = 0; i < b->n_flows; i++)
        if (!flow_valid(&b->flows[i]))
            return -EINVAL;
    return 0;
}

int history_append(struct history *h, const struct history_batch *b, bool *ret_known)
{
    uint64_t missing = 0;
    enum stream_answer answer;
    int r = h->options.read_only ? -EROFS : check(b);

    if (r < 0)
        return r;
    answer = streams_ask(&h->streams, b->stream, b->epoch, b->sequence, &missing);
    if (answer == STREAM_FULL)
        return -EUSERS;
    *ret_known = answer == STREAM_KNOWN;
    if (*ret_known) {
        h->counters.duplicates++;
        return 0;
    }
    r = h->kind->append(h, b);
    if (r < 0)
        return r;
    history_count(h, b);
    return 0;
}

void history_count(struct history *h, const struct history_batch *b)
{
    uint64_t missing = 0;

    (void)streams_ask(&h->streams, b->stream, b->epoch, b->sequence, &missing); /* For 'missing'. */
    streams_take(&h->streams, b->stream, b->epoch, b->sequence);
    h->counters.lost_batches += missing;
    h->counters.lost_records += b->lost;
    uses_count(&h->uses, b->flows, b->n_flows);
    h->dirty = true;
}

struct history_commit *history_commit_begin(struct history *h)
{
    struct history_commit *c = TAKE_PTR(h->failed);

    assert(!h->commits);
    if (!c) {
        if (!h->dirty && !(h->kind->commit_is_due && h->kind->commit_is_due(h)))
            return NULL;
        c = xcalloc(1, sizeof(*c));
        c->kind = h->kind;
        streams_take_news(&h->streams, &c->streams);
        c->work = h->kind->commit_new(h, &c->streams);
        h->dirty = false;
    }
    c->result = -ECANCELED; /* Until somebody tries. */
    h->commits = true;
    return c;
}

void history_commit_write(struct history_commit *c)
{
    c->result = c->kind->commit_write(c->work);
}

int history_commit_end(struct history *h, struct history_commit *c)
{
    int r = c->result;

    h->commits = false;
    if (r < 0) {
        h->failed = c;
        return r;
    }
    streams_news_durable(&h->streams, &c->streams);
    let_go(h, c, true);
    return 0;
}

int history_sync(struct history *h)
{
    struct history_commit *c;
    int r = 0;

    while (r == 0 && (c = history_commit_begin(h)) != NULL) {
        history_commit_write(c);
        r = history_commit_end(h, c);
    }
    return r;
}

uint64_t history_acknowledged(const struct history *h, const char *stream, uint64_t epoch)
{
    return streams_durable(&h->streams, stream, epoch);
}

struct history_snapshot *history_snapshot(struct history *h)
{
    struct history_snapshot *s = xcalloc(1, sizeof(*s));

    s->kind = h->kind;
    s->backend = h->kind->snapshot(h);
    s->uses = uses_get(h->uses);
    return s;
}

void history_snapshot_free(struct history_snapshot *s)
{
    if (!s)
        return;
    s->kind->snapshot_free(s->backend);
    uses_put(s->uses);
    free(s);
}

int history_scan(const struct history_snapshot *s, const struct history_query *q,
                 history_take *take, void *user, struct history_progress *progress)
{
    struct history_progress unseen = {.rows_read = 0};
    struct history_query records = *q;

    records.all_revisions = false;
    return s->kind->scan(s->backend, &records, take, user, progress ? progress : &unseen);
}

int history_edges(const struct history_snapshot *s, const struct history_query *q,
                  history_take *take, void *user, struct history_progress *progress)
{
    struct history_progress unseen = {.rows_read = 0};
    int (*edges)(const void *, const struct history_query *, history_take *, void *,
                 struct history_progress *) = s->kind->edges ? s->kind->edges : s->kind->scan;

    return edges(s->backend, q, take, user, progress ? progress : &unseen);
}

static int use_in(const struct uses *uses, text_t rule, struct history_use *ret_use)
{
    const struct history_use *use = uses_of(uses, rule);

    if (!use)
        return -ENOENT;
    *ret_use = *use;
    return 0;
}

int history_rule_use(const struct history_snapshot *s, text_t rule, struct history_use *ret_use)
{
    return use_in(s->uses, rule, ret_use);
}

int history_use(const struct history *h, text_t rule, struct history_use *ret_use)
{
    return use_in(h->uses, rule, ret_use);
}

struct history_retention *history_retain_begin(struct history *h, uint64_t now_ms)
{
    void *work = h->options.read_only ? NULL : h->kind->retain_new(h, now_ms);
    struct history_retention *r;

    if (!work && !h->options.read_only)
        return NULL;
    r = xcalloc(1, sizeof(*r));
    *r = (struct history_retention){.kind = h->kind, .work = work, .result = -ECANCELED};
    return r;
}

void history_retain_write(struct history_retention *r)
{
    r->result = r->work ? r->kind->retain_write(r->work) : 0;
}

int history_retain_end(struct history *h, struct history_retention *r, uint64_t *ret_forgotten)
{
    uint64_t forgotten = 0;
    int result = h->options.read_only ? -EROFS : r->result;

    if (r->work)
        forgotten = r->kind->retain_end(h, r->work, result == 0);
    free(r);
    if (result == 0)
        *ret_forgotten = forgotten;
    return result;
}

int history_retain(struct history *h, uint64_t now_ms, uint64_t *ret_forgotten)
{
    struct history_retention *r = history_retain_begin(h, now_ms);

    *ret_forgotten = 0;
    if (!r)
        return 0;
    history_retain_write(r);
    return history_retain_end(h, r, ret_forgotten);
}

void history_state(const struct history *h, struct history_state *ret_state)
{
    *ret_state = h->counters;
    ret_state->other_texts = h->texts.n_other;
    h->kind->state(h, ret_state);
}
