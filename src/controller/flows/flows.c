/* SPDX-License-Identifier: Apache-2.0 */
/* Batches into the history, and their acknowledgement; see flows.h. */
#include "controller/flows/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "base/log.h"
#include "controller/flows/internal.h"
#include "sys/clock.h"

enum { RETRY_MS = 1000, HOUSEKEEPING_MS = 60000 };

static struct stream *stream_of(struct flows *f, const char *name)
{
    struct stream *s;

    HASH_FIND(hh, f->streams, name, strlen(name), s);
    if (s)
        return s;
    s = xcalloc(1, sizeof(*s));
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    HASH_ADD(hh, f->streams, name, strlen(s->name), s);
    return s;
}

/* ---- committing ---- */

static void commit_soon(struct flows *f)
{
    if (f->write.commit)
        f->write.again = true;
    else if (!timer_is_running(f->commit))
        timer_start(f->commit, FLOWS_COMMIT_MS);
}

/* True: some wait for the next commit. */
static bool answer(struct flows *f)
{
    struct stream *s, *next;
    bool more = false;

    HASH_ITER (hh, f->streams, s, next) {
        uint64_t durable = s->due ? history_acknowledged(f->history, s->name, s->epoch) : 0;

        if (durable >= s->due)
            s->due = 0;
        more = more || s->due;
        if (durable)
            f->options.durable(f->options.user, s->name, s->epoch, durable);
    }
    return more;
}

static void note_commit(struct flows *f, int r)
{
    if (r < 0) {
        if (r != f->error)
            log_err("flows: the disk does not take them, agents keep theirs until it does: %s",
                    strerror(-r));
        f->error = r;
        f->refuses = true;
        timer_start(f->commit, RETRY_MS);
        return;
    }
    if (f->error)
        log_info("flows: the disk takes them again");
    f->error = 0;
    f->refuses = false;
    if (answer(f) || f->pending || f->write.again)
        commit_soon(f);
}

static void write_commit(struct crew_job *job)
{
    history_commit_write(((struct flows_commit *)job)->commit);
}

static void commit_is_written(struct crew_job *job, bool has_run)
{
    struct flows_commit *c = (struct flows_commit *)job;
    struct flows *f = c->f;
    int r = history_commit_end(f->history, TAKE_PTR(c->commit));

    (void)has_run; /* Then it says so. */
    c->failed = r < 0;
    if (r == 0)
        f->pending -= c->n;
    if (!f->ends)
        note_commit(f, r);
}

static void commit(void *user)
{
    struct flows *f = user;
    int r;

    if (f->forget.retention) { /* The thread has it; whoever ends it begins again. */
        f->write.again = true;
        return;
    }
    r = gaps_save(f);
    if (r < 0) {
        note_commit(f, r);
        return;
    }
    f->write.commit = history_commit_begin(f->history);
    if (!f->write.commit) { /* All of it was known. */
        note_commit(f, 0);
        return;
    }
    f->write.again = false;
    if (!f->write.failed)
        f->write.n = f->pending;
    (void)crew_submit(f->writer, &f->write.job); /* Nothing else waits there. */
}

/* Its sender is told when this one is on the disk. */
static void owe_answer(struct stream *s, uint64_t epoch, uint64_t sequence)
{
    if (s->epoch != epoch || sequence > s->due)
        s->due = sequence;
    s->epoch = epoch;
}

/* ---- taking ---- */

/* Over its share of this minute?  A batch that is larger than all of it goes alone. */
static bool is_flood(const struct flows *f, struct stream *s, size_t n, uint64_t now_ms)
{
    uint64_t minute = now_ms / FLOW_MINUTE_MS;

    if (s->minute != minute) {
        s->minute = minute;
        s->in_minute = 0;
    }
    if (!f->options.max_rate || !s->in_minute || s->in_minute + n <= f->options.max_rate)
        return false;
    if (!s->n_floods++)
        log_warn("stream %s: over %" PRIu64 " records a minute; the others wait in its spool, or "
                 "are refused",
                 s->name, f->options.max_rate);
    return true;
}

/* Whoever is refused is refused until it comes again: nothing may be taken that is behind it. */
static bool is_refused(struct flows *f, struct stream *s, const struct agent_flows *told,
                       uint64_t now_ms)
{
    if (s->refused_from && s->epoch == told->epoch && told->sequence > s->refused_from)
        return true;
    if (f->refuses || f->pending >= FLOWS_PENDING_MAX ||
        is_flood(f, s, told->batch.n_records, now_ms)) {
        if (!s->refused_from)
            f->refused++;
        s->refused_from = told->sequence;
        s->epoch = told->epoch;
        return true;
    }
    s->refused_from = 0;
    return false;
}

static void keep_tail(struct flows *f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f->tail[++f->last % FLOWS_TAIL] = f->batch[i];
}

static void note(struct flows *f, struct stream *s, const struct agent_flows *told, uint64_t now_ms,
                 uint64_t moved)
{
    size_t n = told->batch.n_records;

    gaps_note(f, s, told, n ? f->batch[0].first_ms : now_ms);
    s->lost += told->lost;
    s->interrupted += told->interrupted;
    s->moved += moved;
    for (size_t i = 0; i < n; i++)
        if (f->batch[i].last_ms > s->told_until_ms)
            s->told_until_ms = f->batch[i].last_ms;
}

void flows_take(struct flows *f, const char *stream, const struct agent_flows *told)
{
    struct stream *s = stream_of(f, stream);
    struct history_batch b = {.stream = stream,
                              .epoch = told->epoch,
                              .sequence = told->sequence,
                              .n_flows = told->batch.n_records,
                              .lost = told->lost};
    uint64_t now_ms = clock_unix_ms(), moved;
    bool known = false;
    int r;

    s->heard_ms = now_ms;
    s->skew_ms = told->sent_ms ? (int64_t)(told->sent_ms - now_ms) : 0;
    if (is_refused(f, s, told, now_ms))
        return;
    moved = name_batch(f, stream, told, now_ms);
    b.flows = f->batch;
    r = history_append(f->history, &b, &known);
    if (r < 0) {
        if (!f->error)
            log_err("flows: the history takes no more, agents keep theirs: %s", strerror(-r));
        f->error = r;
        f->refuses = true;
        s->refused_from = told->sequence;
        s->epoch = told->epoch;
        f->refused++;
        commit_soon(f);
        return;
    }
    owe_answer(s, told->epoch, told->sequence);
    commit_soon(f);
    if (known)
        return;
    s->sequence = told->sequence;
    f->pending += b.n_flows;
    s->in_minute += b.n_flows;
    note(f, s, told, now_ms, moved);
    keep_tail(f, b.n_flows);
    if (b.n_flows)
        f->options.news(f->options.user);
}

/* ---- what others saw ---- */

int flows_observe(struct flows *f, const struct flows_seen *told)
{
    struct stream *s = stream_of(f, told->stream);
    struct history_batch b = {
        .stream = told->stream, .epoch = told->epoch, .sequence = told->sequence};
    uint64_t now_ms = clock_unix_ms(), moved;
    bool known = false;
    int r;

    s->heard_ms = now_ms;
    if (f->refuses || f->pending >= FLOWS_PENDING_MAX || is_flood(f, s, told->n, now_ms))
        return -EBUSY;
    if (!told->sequence) {
        b.epoch = f->born_ms;
        b.sequence = s->own + 1;
    }
    b.n_flows = observe_batch(f, told, now_ms, &moved);
    b.flows = f->batch;
    r = history_append(f->history, &b, &known);
    if (r == 0 && told->sequence)
        owe_answer(s, told->epoch, told->sequence);
    commit_soon(f);
    if (r < 0) {
        if (!f->error)
            log_err("flows: the history takes no more: %s", strerror(-r));
        f->error = r;
        f->refuses = true;
        f->refused++;
        return -EBUSY;
    }
    if (known)
        return 1;
    s->epoch = b.epoch;
    s->sequence = b.sequence;
    s->own += !told->sequence;
    f->pending += b.n_flows;
    s->in_minute += told->n;
    s->moved += moved;
    for (size_t i = 0; i < b.n_flows; i++)
        if (f->batch[i].last_ms > s->told_until_ms)
            s->told_until_ms = f->batch[i].last_ms;
    keep_tail(f, b.n_flows);
    if (b.n_flows)
        f->options.news(f->options.user);
    return 0;
}

enum flows_place flows_place_of(const struct flows *f, const char *stream, uint64_t epoch,
                                uint64_t sequence)
{
    struct stream *s;

    if (history_acknowledged(f->history, stream, epoch) >= sequence)
        return FLOWS_ON_DISK;
    HASH_FIND(hh, f->streams, stream, strlen(stream), s);
    return s && s->epoch == epoch && s->sequence >= sequence ? FLOWS_IN_MEMORY : FLOWS_NOWHERE;
}

void flows_missing(struct flows *f, const char *stream, uint64_t n)
{
    struct stream *s = stream_of(f, stream);

    gaps_add(f, s, n, clock_unix_ms());
    s->lost += n;
    commit_soon(f);
}

/* ---- state ---- */

uint64_t flows_last(const struct flows *f)
{
    return f->last;
}

json_t *flows_stream_json(const struct flows *f, const char *stream)
{
    struct stream *s;
    char heard[DATE_TEXT_SIZE];

    HASH_FIND(hh, f->streams, stream, strlen(stream), s);
    if (!s || !s->heard_ms)
        return NULL;
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "last_batch",
                     date_format_time((int64_t)(s->heard_ms / 1000), heard), "lost",
                     (json_int_t)s->lost, "interrupted", (json_int_t)s->interrupted,
                     "clock_ahead_ms", (json_int_t)s->skew_ms, "times_not_believed",
                     (json_int_t)s->moved, "refused_from", (json_int_t)s->refused_from, "floods",
                     (json_int_t)s->n_floods);
}

json_t *flows_state_json(const struct flows *f)
{
    struct history_state h;
    char oldest[DATE_TEXT_SIZE] = "", newest[DATE_TEXT_SIZE] = "";

    history_state(f->history, &h);
    if (h.rows) {
        (void)date_format_time((int64_t)(h.oldest_ms / 1000), oldest);
        (void)date_format_time((int64_t)(h.newest_ms / 1000), newest);
    }
    return json_pack("{s:I,s:I,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:s}", "records",
                     (json_int_t)h.rows, "bytes", (json_int_t)h.bytes, "oldest", oldest, "newest",
                     newest, "duplicates", (json_int_t)h.duplicates, "lost_records",
                     (json_int_t)h.lost_records, "lost_batches", (json_int_t)h.lost_batches,
                     "damaged_blocks", (json_int_t)h.damaged_blocks, "refused_batches",
                     (json_int_t)f->refused, "pending", (json_int_t)f->pending, "disk",
                     f->error ? strerror(-f->error) : "ok", "waiting", (json_int_t)h.waiting,
                     "keeper", h.error ? strerror(-h.error) : "ok");
}

/* ---- beginning and end ---- */

static void write_retention(struct crew_job *job)
{
    history_retain_write(((struct flows_retention *)job)->retention);
}

static void retention_is_written(struct crew_job *job, bool has_run)
{
    struct flows *f = ((struct flows_retention *)job)->f;
    uint64_t forgotten = 0;
    int r = history_retain_end(f->history, TAKE_PTR(f->forget.retention), &forgotten);

    (void)has_run; /* Then it says so. */
    if (f->ends)
        return;
    if (r < 0)
        log_warn("flows: what is too old or too much cannot be forgotten, trying again: %s",
                 strerror(-r));
    else if (forgotten)
        log_info("flows: %" PRIu64 " records were forgotten: too old, or too many", forgotten);
    timer_start(f->housekeeping, HOUSEKEEPING_MS);
    commit_soon(f); /* What came meanwhile; and what is only in the memory goes with a commit. */
}

static void keep_house(void *user)
{
    struct flows *f = user;

    if (f->write.commit) { /* Soon: a commit begins after a rest. */
        timer_start(f->housekeeping, FLOWS_COMMIT_MS / 2);
        return;
    }
    f->forget.retention = history_retain_begin(f->history, clock_unix_ms());
    if (f->forget.retention)
        (void)crew_submit(f->writer, &f->forget.job); /* Nothing else waits there. */
    else
        timer_start(f->housekeeping, HOUSEKEEPING_MS);
}

int flows_new(const struct flows_options *options, struct flows **ret_f, const char **ret_what)
{
    CLEANUP(flows_freep) struct flows *f = xcalloc(1, sizeof(*f));
    struct history_options limits = options->limits;
    int r;

    limits.apart = true;
    r = history_open(options->history, &limits, &f->history, ret_what);

    if (r < 0)
        return r;
    f->options = *options;
    f->options.history = NULL; /* Borrowed for this call only. */
    f->tail = xcalloc(FLOWS_TAIL, sizeof(*f->tail));
    f->past = options->past;
    f->born_ms = clock_unix_ms();
    f->first_revision = desired_current(options->desired)->revision;
    f->worker = worker_new(options->loop);
    f->long_worker = worker_new(options->loop);
    f->writer = crew_new(options->loop, 1, 1);
    f->write = (struct flows_commit){.job = {write_commit, commit_is_written, NULL}, .f = f};
    f->forget =
        (struct flows_retention){.job = {write_retention, retention_is_written, NULL}, .f = f};
    f->commit = timer_new(options->loop, commit, f);
    f->housekeeping = timer_new(options->loop, keep_house, f);
    *ret_what = "the gaps of the history";
    r = gaps_load(f);
    if (r < 0)
        return r;
    timer_start(f->housekeeping, FLOWS_COMMIT_MS);
    *ret_f = TAKE_PTR(f);
    return 0;
}

void flows_free(struct flows *f)
{
    struct stream *s, *next;

    if (!f)
        return;
    f->ends = true;
    worker_free(f->worker);
    worker_free(f->long_worker);
    crew_free(f->writer);
    if (f->history && (gaps_save(f) < 0 || history_sync(f->history) < 0))
        log_warn("flows: the last ones are not on the disk; their agents still have them");
    timer_free(f->commit);
    timer_free(f->housekeeping);
    HASH_ITER (hh, f->streams, s, next) {
        HASH_DEL(f->streams, s);
        free(s);
    }
    gaps_free(f);
    free(f->named_ports);
    history_free(f->history);
    free(f->batch);
    free(f->tail);
    free(f);
}
