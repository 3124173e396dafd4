/* SPDX-License-Identifier: Apache-2.0 */
/* Who speaks which protocol, sequences, bounds; see exports.h. */
#include "collect/exports.h"

#include <errno.h>

#include "collect/internal.h"

enum {
    RESTART_GAP = 1 << 20, /* A larger step in a sequence is a restart, not a loss. */
    LATE_MAX = 1000,       /* A smaller step back is a datagram that came late. */
    BURST_S = 2,
    THOUSAND = 1000,
};

struct exports *exports_new(uint32_t max_rate)
{
    struct exports *e = xcalloc(1, sizeof(*e));

    e->pairs = pairs_new(EXPORTS_HELD_MAX);
    e->max_rate = max_rate;
    e->tokens = (uint64_t)max_rate * BURST_S * THOUSAND;
    return e;
}

void exports_free(struct exports *e)
{
    if (!e)
        return;
    templates_free(e);
    pairs_free(e->pairs);
    free(e);
}

const struct exports_state *exports_state(const struct exports *e)
{
    return &e->state;
}

/* ---- domains ---- */

struct domain *exports_domain(struct exports *e, uint8_t version, uint32_t id, uint64_t now_ms)
{
    struct domain *oldest = &e->domains[0];

    for (size_t i = 0; i < e->n_domains; i++) {
        struct domain *d = &e->domains[i];

        if (d->version == version && d->id == id) {
            d->used_ms = now_ms;
            return d;
        }
        if (d->used_ms < oldest->used_ms)
            oldest = d;
    }
    if (e->n_domains < EXPORTS_MAX_DOMAINS) {
        oldest = &e->domains[e->n_domains++];
    } else {
        e->state.evicted++;
        template_forget(e, oldest, 0);
    }
    *oldest = (struct domain){.id = id, .version = version, .used_ms = now_ms};
    return oldest;
}

void exports_sequence(struct exports *e, struct domain *d, uint32_t sequence, uint32_t n,
                      bool known)
{
    uint32_t step = sequence - d->last_sequence, gap;

    if (d->has_sequence && step == 1 && d->n_last > 1)
        d->by_datagram = true;
    gap = step - (d->by_datagram ? 1 : d->n_last);
    if (!d->has_sequence || gap == 0 || step == n) {
        /* As it should be. */
    } else if (gap < RESTART_GAP) {
        e->state.lost += gap;
    } else if (gap > UINT32_MAX - LATE_MAX) {
        e->state.late++;
        e->state.lost -= e->state.lost > 0; /* One that had been counted at least. */
        if (known)
            return; /* What comes next has come. */
    } else {
        e->state.restarts++;
    }
    d->has_sequence = known;
    d->last_sequence = sequence;
    d->n_last = n;
}

/* ---- records ---- */

/* Is there room under the bound for one more? */
static bool has_token(struct exports *e, uint64_t now_ms)
{
    const uint64_t longest = (uint64_t)BURST_S * THOUSAND, full = e->max_rate * longest;
    uint64_t passed = now_ms > e->filled_ms ? now_ms - e->filled_ms : 0;

    if (!e->max_rate)
        return true;
    e->filled_ms = now_ms;
    e->tokens += (passed > longest ? longest : passed) * e->max_rate;
    if (e->tokens > full)
        e->tokens = full;
    if (e->tokens < THOUSAND)
        return false;
    e->tokens -= THOUSAND;
    return true;
}

static void check_times(struct exports *e, struct sighting *s, uint64_t now_ms)
{
    if (s->last_ms < s->first_ms)
        s->first_ms = s->last_ms;
    if (s->last_ms > now_ms + EXPORTS_FUTURE_MS || s->last_ms + EXPORTS_PAST_MS < now_ms) {
        s->first_ms = s->last_ms = now_ms;
        s->marks |= FLOW_RETIMED;
    } else if (s->last_ms - s->first_ms > SIGHTING_MAX_SPAN_MS) {
        s->first_ms = s->last_ms - SIGHTING_MAX_SPAN_MS;
        s->marks |= FLOW_RETIMED;
    }
    e->state.retimed += (s->marks & FLOW_RETIMED) != 0;
}

static uint64_t scaled(uint64_t n, uint32_t sampling)
{
    uint64_t product;

    if (__builtin_mul_overflow(n, (uint64_t)sampling, &product) || product > SIGHTING_MAX_AMOUNT)
        return SIGHTING_MAX_AMOUNT;
    return product;
}

void exports_hear(struct exports *e, struct heard *h, uint32_t sampling, uint64_t now_ms)
{
    uint32_t rate = sampling ? sampling : 1;

    e->state.records++;
    e->state.origins |= 1u << h->s.origin;
    if (sampling)
        e->state.sampling = sampling;
    if (sampling > 1)
        h->s.marks |= FLOW_ESTIMATED;
    if (h->adds_up)
        h->s.count = scaled(h->s.count, rate);
    h->s.bytes_out = scaled(h->s.bytes_out, rate);
    h->s.bytes_in = scaled(h->s.bytes_in, rate);
    check_times(e, &h->s, now_ms);
    if (!has_token(e, now_ms) || pairs_add(e->pairs, h, now_ms + EXPORTS_HOLD_MS) < 0)
        e->state.flooded++;
}

bool exports_next(struct exports *e, uint64_t now_ms, struct sighting *ret_s)
{
    uint32_t teller;

    return pairs_next(e->pairs, now_ms, EXPORTS_HELD_MAX / 2, ret_s, &teller);
}

size_t exports_held(const struct exports *e)
{
    return pairs_count(e->pairs);
}

/* ---- datagrams ---- */

static bool is_expected(enum exports_kind kind, uint16_t version, bool is_sflow)
{
    if (kind == EXPORTS_AUTO)
        return true;
    if (is_sflow)
        return kind == EXPORTS_SFLOW;
    return version == 10 ? kind == EXPORTS_IPFIX : kind == EXPORTS_NETFLOW;
}

/* sFlow's version has 32 bits, the others' 16: the first two bytes of it are 0. */
int exports_take(struct exports *e, enum exports_kind kind, const void *data, size_t size,
                 uint64_t now_ms)
{
    struct reader r = reader_of(data, size);
    uint16_t version = reader_be16(&r);
    bool is_sflow = version == 0 && reader_be16(&r) == 5;
    int result = -EPROTO;

    e->state.datagrams++;
    e->state.last_ms = now_ms;
    if (!is_sflow && version != 5 && version != 9 && version != 10) {
        e->state.malformed++;
        return -EPROTO;
    }
    if (!is_expected(kind, version, is_sflow)) {
        e->state.unexpected++;
        return -EPROTO;
    }
    if (is_sflow)
        result = sflow_take(e, &r, now_ms);
    else if (version == 5)
        result = netflow5_take(e, &r, now_ms);
    else
        result = ipfix_take(e, &r, (uint8_t)version, now_ms);
    e->state.malformed += result < 0;
    return result;
}
