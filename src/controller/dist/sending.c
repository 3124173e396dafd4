/* SPDX-License-Identifier: Apache-2.0 */
/* The program that an enforcer should run, as a delta when its base is known, and how it is sent to
 * many: of one identity all deltas of a change are the same but for the name, and are worked out
 * and encoded once; whole programs are in snapshots.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "controller/dist/internal.h"
#include "core/delta.h"
#include "sys/clock.h"

enum { MAX_SHARED_SIZE = 8 << 20 }; /* Of all that is kept; beyond, each is worked out. */

struct shared_key { /* Compared as bytes. */
    uint64_t base;
    uint32_t identity, mode, trust, zero;
};

struct shared {
    UT_hash_handle hh;
    struct shared_key key;
    struct agent_shared_delta delta;
};

static uint32_t confirm_left_s(const struct dist *d)
{
    const struct desired_head *h = desired_head(d->desired);
    int64_t left = h->confirm_deadline_s - 1 - clock_unix_s();

    if (!h->confirm_revision)
        return 0;
    return left < 1 ? 1 : left > DESIRED_MAX_CONFIRM_S ? DESIRED_MAX_CONFIRM_S : (uint32_t)left;
}

/* ---- deltas ---- */

static void forget_deltas(struct dist *d)
{
    struct shared *s, *next;

    HASH_ITER (hh, d->shared, s, next) {
        HASH_DEL(d->shared, s);
        agent_shared_delta_done(&s->delta);
        free(s);
    }
    d->shared_size = 0;
}

/* What is kept is of one moment: whatever is in each of them besides its key. */
static void forget_older(struct dist *d, uint32_t confirm_s)
{
    struct sending_moment now = {.revision = desired_current(d->desired)->revision,
                                 .trust_sequence = desired_head(d->desired)->trust_sequence,
                                 .confirm_s = confirm_s};

    if (memcmp(&now, &d->shared_of, sizeof(now)) == 0)
        return;
    forget_deltas(d);
    d->shared_of = now;
}

/* What turns what it runs into the present program, when that is still known. */
static int make_delta(struct session *s, uint32_t confirm_s, struct agent_message **ret_m)
{
    struct delta *delta = NULL;
    int r = compiled_delta(desired_compiled(s->dist->desired), s->endpoint, s->running_revision,
                           &delta);

    if (r < 0)
        return r;
    *ret_m = agent_message_new(AGENT_DELTA);
    (*ret_m)->delta =
        (struct agent_delta){.delta = delta,
                             .confirm_s = confirm_s,
                             .trust_sequence = desired_head(s->dist->desired)->trust_sequence};
    return 0;
}

static struct shared *share(struct dist *d, const struct shared_key *key,
                            const struct agent_delta *delta)
{
    struct shared *s = xcalloc(1, sizeof(*s));

    s->key = *key;
    agent_share_delta(delta, &s->delta);
    d->shared_size += sizeof(*s) + s->delta.delta.size + s->delta.put.size;
    HASH_ADD(hh, d->shared, key, sizeof(s->key), s);
    return s;
}

/* Appends its frame.  As agent_encode(); -ESTALE: there is no delta for it. */
static int encode_delta(struct session *s, struct buf *frame)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    struct compiled *compiled = desired_compiled(s->dist->desired);
    uint32_t confirm_s = confirm_left_s(s->dist);
    struct shared_key key;
    struct compiled_kin kin;
    struct shared *shared = NULL;
    bool has_kin;
    int r;

    if (!s->based_here)
        return -ESTALE;
    forget_older(s->dist, confirm_s);
    has_kin = compiled_delta_kin(compiled, s->endpoint, s->running_revision, &kin);
    memset(&key, 0, sizeof(key));
    if (has_kin) {
        key.base = s->running_revision;
        key.identity = kin.identity;
        key.mode = kin.mode;
        key.trust = kin.trust;
        HASH_FIND(hh, s->dist->shared, &key, sizeof(key), shared);
    }
    if (!shared) {
        r = make_delta(s, confirm_s, &m);
        if (r < 0)
            return -ESTALE;
        if (!has_kin || s->dist->shared_size >= MAX_SHARED_SIZE)
            return agent_encode(m, frame);
        shared = share(s->dist, &key, &m->delta);
    }
    return agent_encode_shared(&shared->delta, s->endpoint, frame);
}

/* ---- whole programs ---- */

/* As snapshots_encode(). */
static int encode_snapshot(struct session *s, struct rope *frame, const char **ret_what)
{
    struct desired *desired = s->dist->desired;

    return snapshots_encode(&s->dist->snapshots, desired_compiled(desired), s->endpoint,
                            confirm_left_s(s->dist), desired_head(desired)->trust_sequence, frame,
                            ret_what);
}

static void not_sent(struct session *s, const char *what)
{
    uint64_t revision = desired_current(s->dist->desired)->revision;

    (void)snprintf(s->last_result, sizeof(s->last_result), "not sent: %s", what);
    log_err("agent %s: revision %" PRIu64 " not sent, it keeps %" PRIu64 ": %s", s->endpoint,
            revision, s->running_revision, what);
    s->refused_revision = revision;
}

/* A delta when its base is known.  The size of what was sent, or as snapshots_encode() and
 * channel_send(). */
static int64_t send_frame(struct session *s, const char **ret_what)
{
    CLEANUP(buf_done) struct buf delta = BUF_INIT;
    CLEANUP(rope_done) struct rope snapshot = {.n = 0};
    int r = encode_delta(s, &delta);

    if (r == 0)
        r = channel_send(s->channel, delta.data, delta.size);
    if (r != -ESTALE)
        return r < 0 ? r : (int64_t)delta.size;
    r = encode_snapshot(s, &snapshot, ret_what);
    if (r == 0)
        r = channel_send_rope(s->channel, &snapshot);
    return r < 0 ? r : (int64_t)snapshot.size;
}

static void send_program(struct session *s)
{
    const char *what = "";
    int64_t size = send_frame(s, &what);

    if (size == -ENOENT) {
        dist_refuse(s, AGENT_REASON_UNKNOWN_ENDPOINT, "this endpoint is not in the inventory");
    } else if (size == -EMSGSIZE) {
        not_sent(s, "larger than a frame");
    } else if (size == -EPIPE || size == -ENOBUFS) {
        return; /* It is closing. */
    } else if (size < 0) {
        not_sent(s, what);
    } else {
        s->sent_revision = desired_current(s->dist->desired)->revision;
        turns_sent(&s->dist->turns, &s->turn, (size_t)size, loop_now_ms());
    }
}

void sending_bring_up_to_date(struct session *s)
{
    const struct generation *g = desired_current(s->dist->desired);

    if (s->stage != LIVE || s->edge_only || s->sent_revision ||
        s->running_revision == g->revision || s->refused_revision == g->revision)
        return;
    if (turns_ask(&s->dist->turns, &s->turn))
        send_program(s);
}

void sending_serve_line(struct dist *d)
{
    struct turn *turn;

    while ((turn = turns_next(&d->turns)))
        sending_bring_up_to_date((struct session *)((char *)turn - offsetof(struct session, turn)));
}

void sending_answered(struct session *s)
{
    s->sent_revision = 0;
    turns_done(&s->dist->turns, &s->turn);
}

void sending_prepare(struct dist *d)
{
    snapshots_prepare(&d->snapshots, desired_compiled(d->desired));
}

void sending_done(struct dist *d)
{
    forget_deltas(d);
    snapshots_done(&d->snapshots);
}
