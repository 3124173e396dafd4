/* SPDX-License-Identifier: Apache-2.0 */
/* A ring in order of arrival, and an index of it by connection; see pairs.h. */
#include "collect/pairs.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/table.h"

enum {
    ECHO = 8,
    ECHO_REPLY = 0,
    WELL_KNOWN = 1024,
    EPHEMERAL = 32768,
    SAME_MS = 60000,
    GRAIN_MS = 1, /* So far apart is not apart. */
    FIRST_ROOM = 64
};

struct pair_key { /* Compared as bytes: the same for both directions. */
    struct address a, b;
    uint32_t teller;
    uint16_t a_port, b_port;
    uint8_t protocol, verdict, origin, type;
};
_Static_assert(sizeof(struct pair_key) == 44, "no hidden padding");

struct held {
    struct heard h;
    struct pair_key key;
    uint32_t hash;
    uint64_t due_ms, back_first_ms; /* back: of the other direction, if has_back. */
    bool has_back, back_has_syn;
};

struct pairs {
    struct held *ring;
    size_t max, room, first, n; /* Number i of n is at (first + i) % room. */
    struct table index;         /* Of places in the ring. */
};

struct pairs *pairs_new(size_t max)
{
    struct pairs *p = xcalloc(1, sizeof(*p));

    p->max = max;
    p->room = max < FIRST_ROOM ? max : FIRST_ROOM;
    p->ring = xcalloc(p->room, sizeof(*p->ring));
    return p;
}

void pairs_free(struct pairs *p)
{
    if (!p)
        return;
    table_done(&p->index);
    free(p->ring);
    free(p);
}

size_t pairs_count(const struct pairs *p)
{
    return p->n;
}

static void swap_u64(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;

    *a = *b;
    *b = t;
}

enum heard_client pairs_client_by_flags(uint8_t flags, bool one_packet)
{
    if ((flags & (PAIRS_TCP_SYN | PAIRS_TCP_ACK)) == PAIRS_TCP_SYN)
        return CLIENT_IS_SOURCE;
    if (one_packet && (flags & PAIRS_TCP_SYN))
        return CLIENT_IS_DESTINATION;
    return CLIENT_UNKNOWN;
}

static struct pair_key pair_key_of(const struct heard *h)
{
    const struct sighting *s = &h->s;
    struct pair_key k = {.a = s->source,
                         .b = s->destination,
                         .teller = h->teller,
                         .protocol = s->protocol,
                         .verdict = s->verdict,
                         .origin = s->origin};
    int order = address_compare(&s->source, &s->destination);

    if (s->protocol == IPPROTO_ICMP) {
        k.type = s->port == ECHO_REPLY ? ECHO : (uint8_t)s->port;
        if (k.type != ECHO)
            return k; /* Errors and the like have no answer. */
    } else {
        k.a_port = s->source_port;
        k.b_port = s->port;
        if (order == 0)
            order = k.a_port - k.b_port;
    }
    if (order > 0) {
        k.a = s->destination;
        k.b = s->source;
        k.a_port = s->protocol == IPPROTO_ICMP ? 0 : s->port;
        k.b_port = s->protocol == IPPROTO_ICMP ? 0 : s->source_port;
    }
    return k;
}

static bool same_pair(const void *ring, uint32_t number, const void *key)
{
    return memcmp(&((const struct held *)ring)[number].key, key, sizeof(struct pair_key)) == 0;
}

static bool same_way(const struct sighting *a, const struct sighting *b)
{
    return address_compare(&a->source, &b->source) == 0 && a->source_port == b->source_port &&
           a->port == b->port;
}

/* Pieces that lie far apart in time are told apart, though their ports agree. */
static bool is_near(const struct held *x, const struct sighting *more)
{
    uint64_t first =
        x->has_back && x->back_first_ms < x->h.s.first_ms ? x->back_first_ms : x->h.s.first_ms;
    uint64_t last = x->h.s.last_ms;

    if (more->first_ms > last + SAME_MS || first > more->last_ms + SAME_MS)
        return false;
    first = more->first_ms < first ? more->first_ms : first;
    last = more->last_ms > last ? more->last_ms : last;
    return last - first <= SIGHTING_MAX_SPAN_MS;
}

static uint64_t amount_sum(uint64_t a, uint64_t b)
{
    return a + b > SIGHTING_MAX_AMOUNT ? SIGHTING_MAX_AMOUNT : a + b;
}

static void pair_merge(struct held *to, const struct heard *h)
{
    struct sighting *s = &to->h.s, more = h->s;
    int8_t client = h->client;

    if (same_way(s, &h->s)) {
        to->h.has_syn = to->h.has_syn || h->has_syn;
    } else {
        if (!to->has_back || more.first_ms < to->back_first_ms)
            to->back_first_ms = more.first_ms;
        to->has_back = true;
        to->back_has_syn = to->back_has_syn || h->has_syn;
        client = (int8_t)-client;
        swap_u64(&more.bytes_out, &more.bytes_in);
    }
    if (to->h.client == CLIENT_UNKNOWN)
        to->h.client = client;
    s->bytes_out = amount_sum(s->bytes_out, more.bytes_out);
    s->bytes_in = amount_sum(s->bytes_in, more.bytes_in);
    if (h->adds_up)
        s->count = amount_sum(s->count, more.count);
    else if (more.count > s->count)
        s->count = more.count;
    s->marks |= more.marks;
    if (same_way(s, &h->s) && more.first_ms < s->first_ms)
        s->first_ms = more.first_ms;
    if (more.last_ms > s->last_ms)
        s->last_ms = more.last_ms;
}

/* Twice the room; what is found where changes. */
static void pairs_grow(struct pairs *p)
{
    size_t room = p->room * 2 < p->max ? p->room * 2 : p->max;
    struct held *ring = xcalloc(room, sizeof(*ring));
    struct table index = {.n = 0};

    for (size_t i = 0; i < p->n; i++) {
        size_t from = (p->first + i) % p->room;

        ring[i] = p->ring[from];
        if (table_find(&p->index, ring[i].hash, same_pair, p->ring, &ring[i].key) == from)
            table_add(&index, ring[i].hash, (uint32_t)i);
    }
    table_done(&p->index);
    free(p->ring);
    p->ring = ring;
    p->index = index;
    p->room = room;
    p->first = 0;
}

int pairs_add(struct pairs *p, const struct heard *h, uint64_t due_ms)
{
    struct pair_key key = pair_key_of(h);
    uint32_t hash = table_hash(&key, sizeof(key), 0);
    uint32_t found = table_find(&p->index, hash, same_pair, p->ring, &key);
    size_t at;

    if (found != TABLE_NONE && is_near(&p->ring[found], &h->s)) {
        pair_merge(&p->ring[found], h);
        return 0;
    }
    if (p->n == p->max)
        return -ENOBUFS;
    if (p->n == p->room) {
        pairs_grow(p);
        found = table_find(&p->index, hash, same_pair, p->ring, &key);
    }
    at = (p->first + p->n) % p->room;
    if (found != TABLE_NONE) /* The newer one is found from now on. */
        table_remove(&p->index, p->ring[found].hash, found);
    p->ring[at] = (struct held){.h = *h, .key = key, .hash = hash, .due_ms = due_ms};
    table_add(&p->index, hash, (uint32_t)at);
    p->n++;
    return 0;
}

static int port_class(uint16_t port)
{
    return port == 0 ? 3 : port < WELL_KNOWN ? 0 : port < EPHEMERAL ? 1 : 2;
}

/* CLIENT_UNKNOWN: the ports are alike. */
static enum heard_client client_by_ports(const struct sighting *s)
{
    int mine = port_class(s->source_port), theirs = port_class(s->port);

    if (mine != theirs)
        return mine > theirs ? CLIENT_IS_SOURCE : CLIENT_IS_DESTINATION;
    if (s->source_port == s->port)
        return CLIENT_UNKNOWN;
    return s->source_port > s->port ? CLIENT_IS_SOURCE : CLIENT_IS_DESTINATION;
}

/* NetFlow's times are uptimes: each datagram rounds both clocks that they are told by. */
static enum heard_client client_by_time(const struct held *x)
{
    int64_t later_ms = x->has_back ? (int64_t)(x->back_first_ms - x->h.s.first_ms) : 0;

    if (later_ms >= -GRAIN_MS && later_ms <= GRAIN_MS)
        return CLIENT_UNKNOWN;
    return later_ms > 0 ? CLIENT_IS_SOURCE : CLIENT_IS_DESTINATION;
}

static void find_client(struct held *x)
{
    struct sighting *s = &x->h.s;
    enum heard_client client = (enum heard_client)x->h.client;

    if (s->protocol == IPPROTO_ICMP) {
        client = s->port == ECHO_REPLY ? CLIENT_IS_DESTINATION : CLIENT_IS_SOURCE;
    } else if (client == CLIENT_UNKNOWN && s->protocol == IPPROTO_TCP && x->h.has_syn &&
               x->back_has_syn) {
        client = client_by_time(x);
    }
    if (client == CLIENT_UNKNOWN) {
        s->marks |= FLOW_GUESSED;
        client = client_by_ports(s);
    }
    if (client == CLIENT_UNKNOWN)
        client = client_by_time(x);
    if (x->has_back && x->back_first_ms < s->first_ms)
        s->first_ms = x->back_first_ms;
    if (client == CLIENT_IS_DESTINATION)
        sighting_reverse(s);
}

bool pairs_next(struct pairs *p, uint64_t now_ms, size_t keep, struct sighting *ret_s,
                uint32_t *ret_teller)
{
    struct held *x = &p->ring[p->first];

    if (!p->n || (x->due_ms > now_ms && p->n <= keep))
        return false;
    if (table_find(&p->index, x->hash, same_pair, p->ring, &x->key) == p->first)
        table_remove(&p->index, x->hash, (uint32_t)p->first);
    find_client(x);
    *ret_s = x->h.s;
    *ret_teller = x->h.teller;
    p->first = (p->first + 1) % p->room;
    p->n--;
    return true;
}
