/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/history_model.h"

#include "unit/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "core/program.h"
#include "core/verdict.h"

void model_init(struct model *m, uint64_t seed, uint64_t start_ms)
{
    *m = (struct model){.random = seed, .start_ms = start_ms};
}

void model_done(struct model *m)
{
    free(m->flows);
}

uint64_t model_random(struct model *m, uint64_t below)
{
    m->random ^= m->random << 13; /* Xorshift, Marsaglia 2003. */
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random % below;
}

const char *model_word(text_t i)
{
    static char words[MODEL_WORDS][16];

    if (i && !words[i][0])
        (void)snprintf(words[i], sizeof(words[i]), i % 7 ? "word-%u" : "\xe8\xaa\x9e'%u", i);
    return words[i];
}

/* Few are busy, many are rare. */
static text_t word(struct model *m)
{
    return (text_t)(model_random(m, MODEL_WORDS) * model_random(m, MODEL_WORDS) / MODEL_WORDS);
}

static struct address address(struct model *m, text_t end)
{
    struct address a = {{0}};

    if (end % 5 == 4) {
        a.bytes[0] = 0xfd;
        a.bytes[15] = (uint8_t)end;
    } else {
        a.bytes[10] = a.bytes[11] = 0xff;
        a.bytes[12] = 10;
        a.bytes[15] = (uint8_t)(end ? end : model_random(m, 256));
    }
    return a;
}

struct flow model_flow(struct model *m, uint64_t offset_ms)
{
    struct flow f = {.from = word(m), .to = word(m)};

    f.first_ms = m->start_ms + offset_ms + model_random(m, 30000);
    f.last_ms = f.first_ms + (model_random(m, 3) ? model_random(m, 1000) : 0);
    f.source = address(m, f.from);
    f.destination = address(m, f.to);
    f.count = 1 + model_random(m, 9) * model_random(m, 9);
    f.bytes_out = model_random(m, 1 + model_random(m, 1 << 20));
    f.bytes_in = model_random(m, 20) ? model_random(m, 5000) : UINT64_C(1) << 40;
    f.revision = 7 + offset_ms / 600000;
    f.direction = model_random(m, 2) ? DIRECTION_IN : DIRECTION_OUT;
    f.reporter = f.direction == DIRECTION_IN ? f.to : f.from;
    if (model_random(m, 10) == 0)
        f.reporter = word(m);
    f.process = word(m);
    f.script = model_random(m, 4) ? 0 : word(m);
    f.user = word(m);
    f.rule = word(m);
    f.uid = model_random(m, 3) ? (uint32_t)model_random(m, 2000) : UINT32_MAX;
    f.port = (uint16_t)(model_random(m, 8) ? 443 : model_random(m, 65536));
    f.protocol = model_random(m, 3) ? IPPROTO_TCP : IPPROTO_UDP;
    f.verdict = (uint8_t)model_random(m, 3);
    f.layer = (uint8_t)model_random(m, 3);
    f.origin = (uint8_t)model_random(m, FLOW_ORIGINS);
    f.marks = (uint8_t)model_random(m, FLOW_MARKS_ALL + 1);
    return f;
}

static text_t number(struct history *h, text_t i)
{
    return history_text(h, model_word(i), strlen(model_word(i)));
}

struct flow model_translate(struct history *h, const struct flow *f)
{
    struct flow t = *f;

    t.from = number(h, f->from);
    t.to = number(h, f->to);
    t.reporter = number(h, f->reporter);
    t.process = number(h, f->process);
    t.script = number(h, f->script);
    t.user = number(h, f->user);
    t.rule = number(h, f->rule);
    return t;
}

int model_append(struct model *m, struct history *h, const char *stream, uint64_t sequence,
                 size_t n, uint64_t offset_ms)
{
    CLEANUP(free_voidp) struct flow *own = xcalloc(n, sizeof(*own));
    CLEANUP(free_voidp) struct flow *theirs = xcalloc(n, sizeof(*theirs));
    struct history_batch b = {
        .stream = stream, .epoch = 1, .sequence = sequence, .flows = theirs, .n_flows = n};
    bool known;
    int r;

    for (size_t i = 0; i < n; i++) {
        own[i] = model_flow(m, offset_ms);
        theirs[i] = model_translate(h, &own[i]);
    }
    r = history_append(h, &b, &known);
    for (size_t i = 0; r == 0 && !known && i < n; i++) {
        GROW(m->flows, m->n, m->room);
        m->flows[m->n++] = own[i];
    }
    return r;
}

static bool text_fits(text_t asked, text_t has)
{
    return !asked || asked == has;
}

static bool fits(const struct history_query *q, const struct flow *f)
{
    if (f->last_ms < q->since_ms || (q->until_ms && f->first_ms >= q->until_ms))
        return false;
    if (q->endpoint && f->from != q->endpoint && f->to != q->endpoint)
        return false;
    if (q->address && memcmp(&f->source, q->address, 16) != 0 &&
        memcmp(&f->destination, q->address, 16) != 0)
        return false;
    return text_fits(q->from, f->from) && text_fits(q->to, f->to) && text_fits(q->rule, f->rule) &&
           text_fits(q->process, f->process) && text_fits(q->user, f->user) &&
           text_fits(q->reporter, f->reporter) && (q->port < 0 || q->port == f->port) &&
           (q->protocol < 0 || q->protocol == f->protocol) &&
           (q->verdict < 0 || q->verdict == f->verdict) &&
           (q->origin < 0 || q->origin == f->origin);
}

static text_t sometimes(struct model *m, unsigned one_of)
{
    return model_random(m, one_of) ? 0 : word(m);
}

static struct history_query random_question(struct model *m, struct address *address_room)
{
    struct history_query q = HISTORY_QUERY_ALL;
    uint64_t last = m->n ? m->flows[m->n - 1].last_ms - m->start_ms + 60000 : 60000;

    if (model_random(m, 3)) {
        q.since_ms = m->start_ms + model_random(m, last);
        q.until_ms = model_random(m, 3) ? q.since_ms + model_random(m, last) : 0;
    }
    q.endpoint = sometimes(m, 3);
    q.from = sometimes(m, 5);
    q.to = sometimes(m, 5);
    q.rule = sometimes(m, 5);
    q.process = sometimes(m, 9);
    q.user = sometimes(m, 9);
    q.reporter = sometimes(m, 9);
    q.port = model_random(m, 4) ? -1 : 443;
    q.protocol = model_random(m, 6) ? -1 : IPPROTO_TCP;
    q.verdict = model_random(m, 6) ? -1 : (int)model_random(m, 3);
    q.origin = model_random(m, 9) ? -1 : (int)model_random(m, FLOW_ORIGINS);
    if (model_random(m, 9) == 0 && m->n) {
        *address_room = m->flows[model_random(m, m->n)].source;
        q.address = address_room;
    }
    q.newest_first = model_random(m, 2) != 0;
    return q;
}

struct answer {
    const struct history *h;
    struct flow *flows;
    size_t n, room;
};

static void answer_done(struct answer *a)
{
    free(a->flows);
}

/* The place of a text among the words. */
static text_t word_of(const char *text)
{
    for (text_t i = 0; i < MODEL_WORDS; i++)
        if (strcmp(model_word(i), text) == 0)
            return i;
    fail_msg("a text that nobody told: '%s'", text);
    return 0;
}

static int collect(void *user, const struct flow *flows, size_t n)
{
    struct answer *a = user;

    for (size_t i = 0; i < n; i++) {
        struct flow f = flows[i];

        f.from = word_of(history_text_of(a->h, f.from));
        f.to = word_of(history_text_of(a->h, f.to));
        f.reporter = word_of(history_text_of(a->h, f.reporter));
        f.process = word_of(history_text_of(a->h, f.process));
        f.script = word_of(history_text_of(a->h, f.script));
        f.user = word_of(history_text_of(a->h, f.user));
        f.rule = word_of(history_text_of(a->h, f.rule));
        GROW(a->flows, a->n, a->room);
        a->flows[a->n++] = f;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct flow));
}

static void clear_sums(struct flow *f)
{
    f->first_ms = f->last_ms = f->count = f->bytes_out = f->bytes_in = 0;
}

static int compare_edges(const void *a, const void *b)
{
    struct flow x = *(const struct flow *)a, y = *(const struct flow *)b;

    clear_sums(&x);
    clear_sums(&y);
    return compare(&x, &y);
}

/* Adds up what agrees in all but times, counts and bytes; sorted. */
static void add_up(struct answer *a)
{
    size_t n = 0;

    if (a->n)
        qsort(a->flows, a->n, sizeof(*a->flows), compare_edges);
    for (size_t i = 0; i < a->n; i++) {
        struct flow *sum = &a->flows[n ? n - 1 : 0], *f = &a->flows[i];

        if (!n || compare_edges(sum, f) != 0) {
            a->flows[n++] = *f;
            continue;
        }
        sum->first_ms = f->first_ms < sum->first_ms ? f->first_ms : sum->first_ms;
        sum->last_ms = f->last_ms > sum->last_ms ? f->last_ms : sum->last_ms;
        sum->count += f->count;
        sum->bytes_out += f->bytes_out;
        sum->bytes_in += f->bytes_in;
    }
    a->n = n;
}

static void forget_revisions(struct answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        a->flows[i].revision = 0;
}

static void assert_same(const struct answer *expected, const struct answer *got)
{
    assert_int_equal(got->n, expected->n);
    for (size_t i = 0; i < got->n; i++)
        assert_memory_equal(&got->flows[i], &expected->flows[i], sizeof(struct flow));
}

static void sort(struct answer *a)
{
    if (a->n)
        qsort(a->flows, a->n, sizeof(*a->flows), compare);
}

static struct history_query translate_question(struct history *h, const struct history_query *q)
{
    struct history_query t = *q;

    t.endpoint = number(h, q->endpoint);
    t.from = number(h, q->from);
    t.to = number(h, q->to);
    t.rule = number(h, q->rule);
    t.process = number(h, q->process);
    t.user = number(h, q->user);
    t.reporter = number(h, q->reporter);
    return t;
}

static void compare_uses(struct model *m, struct history *h, const struct history_snapshot *s)
{
    for (text_t rule = 1; rule < MODEL_WORDS; rule++) {
        struct history_use own = {.first_ms = UINT64_MAX}, theirs;

        for (size_t i = 0; i < m->n; i++) {
            const struct flow *f = &m->flows[i];

            if (f->rule != rule)
                continue;
            own.first_ms = f->first_ms < own.first_ms ? f->first_ms : own.first_ms;
            own.last_ms = f->last_ms > own.last_ms ? f->last_ms : own.last_ms;
            own.count += f->count;
        }
        assert_int_equal(history_rule_use(s, number(h, rule), &theirs), own.count ? 0 : -ENOENT);
        if (own.count)
            assert_memory_equal(&own, &theirs, sizeof(own));
    }
}

void model_forget(struct model *m, uint64_t before_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        if (m->flows[i].first_ms >= before_ms)
            m->flows[n++] = m->flows[i];
    m->forgot = m->forgot || n < m->n;
    m->n = n;
}

void model_compare(struct model *m, struct history *h, unsigned n_questions)
{
    CLEANUP(history_snapshot_freep) struct history_snapshot *s = history_snapshot(h);
    struct history_state state;

    history_state(h, &state);
    assert_int_equal(state.rows, m->n);
    if (!m->forgot)
        compare_uses(m, h, s);
    for (unsigned i = 0; i < n_questions; i++) {
        CLEANUP(answer_done) struct answer own = {.n = 0}, theirs = {.h = h}, sums = {.h = h};
        struct address a;
        struct history_query q = i ? random_question(m, &a) : HISTORY_QUERY_ALL;
        struct history_query translated = translate_question(h, &q);

        for (size_t j = 0; j < m->n; j++)
            if (fits(&q, &m->flows[j])) {
                GROW(own.flows, own.n, own.room);
                own.flows[own.n++] = m->flows[j];
            }
        assert_int_equal(history_scan(s, &translated, collect, &theirs, NULL), 0);
        sort(&own);
        sort(&theirs);
        assert_same(&own, &theirs);
        assert_int_equal(history_edges(s, &translated, collect, &sums, NULL), 0);
        add_up(&own);
        add_up(&sums);
        assert_same(&own, &sums);
        translated.all_revisions = true;
        sums.n = 0;
        assert_int_equal(history_edges(s, &translated, collect, &sums, NULL), 0);
        forget_revisions(&own);
        add_up(&own);
        add_up(&sums);
        assert_same(&own, &sums);
    }
}
