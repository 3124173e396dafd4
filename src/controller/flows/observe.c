/* SPDX-License-Identifier: Apache-2.0 */
/* What others saw, named at both ends as of then; see flows.h. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "controller/flows/internal.h"

enum { WIDE_RANGE = 256, PORTS = 65536 };

/* ---- which end is the server: does the policy name one of the ports? ---- */

struct named_ports {
    uint64_t revision;
    uint8_t bits[2][PORTS / 8]; /* TCP, UDP. */
};

static void add_ports(struct named_ports *n, const struct service *s)
{
    for (size_t i = 0; i < s->n_ports; i++) {
        const struct port_range *r = &s->ports[i];

        if ((r->protocol != IPPROTO_TCP && r->protocol != IPPROTO_UDP) ||
            r->high - r->low >= WIDE_RANGE) /* Half of all ports are no service's name. */
            continue;
        for (uint32_t port = r->low; port <= r->high; port++)
            n->bits[r->protocol == IPPROTO_UDP][port / 8] |= (uint8_t)(1u << port % 8);
    }
}

static const struct named_ports *named_ports_now(struct flows *f)
{
    const struct generation *g = desired_current(f->options.desired);

    if (f->named_ports && f->named_ports->revision == g->revision)
        return f->named_ports;
    free(f->named_ports);
    f->named_ports = xcalloc(1, sizeof(*f->named_ports));
    f->named_ports->revision = g->revision;
    for (size_t i = 0; i < g->policy->n_services; i++)
        add_ports(f->named_ports, &g->policy->services[i]);
    return f->named_ports;
}

static bool is_named_port(const struct named_ports *n, uint8_t protocol, uint16_t port)
{
    return n->bits[protocol == IPPROTO_UDP][port / 8] >> port % 8 & 1;
}

/* A guess by the size of ports gives way to one by the policy's services. */
static void guess_better(const struct named_ports *n, struct sighting *s)
{
    if ((s->marks & FLOW_GUESSED) && (s->protocol == IPPROTO_TCP || s->protocol == IPPROTO_UDP) &&
        is_named_port(n, s->protocol, s->source_port) && !is_named_port(n, s->protocol, s->port))
        sighting_reverse(s);
}

/* ---- records ---- */

static text_t name_then(struct flows *f, const struct address *a, uint64_t time_ms)
{
    const char *name = roster_name(past_roster(f->past, (int64_t)(time_ms / 1000)), a);

    return name ? history_text(f->history, name, strlen(name)) : 0;
}

static struct flow record_of(struct flows *f, const struct sighting *seen, text_t reporter,
                             uint64_t now_ms)
{
    uint64_t oldest = now_ms > FLOWS_PAST_MS ? now_ms - FLOWS_PAST_MS : 0;
    struct sighting s = *seen;

    guess_better(named_ports_now(f), &s);
    if (s.last_ms > now_ms + FLOWS_FUTURE_MS || s.first_ms < oldest) {
        s.first_ms = s.last_ms = s.first_ms < oldest ? oldest : now_ms;
        s.marks |= FLOW_RETIMED;
    }
    return (struct flow){.source = s.source,
                         .destination = s.destination,
                         .first_ms = s.first_ms,
                         .last_ms = s.last_ms,
                         .count = s.count,
                         .bytes_out = s.bytes_out,
                         .bytes_in = s.bytes_in,
                         .from = name_then(f, &s.source, s.first_ms),
                         .to = name_then(f, &s.destination, s.first_ms),
                         .reporter = reporter,
                         .uid = UINT32_MAX,
                         .port = s.port,
                         .protocol = s.protocol,
                         .direction = DIRECTION_OUT,
                         .verdict = s.verdict,
                         .layer = LAYER_DEFAULT,
                         .origin = s.origin,
                         .marks = s.marks};
}

/* Sightings of one minute that agree in all that is kept become one record, as an agent's do. */
struct minute_key {
    struct address source, destination;
    uint64_t minute;
    text_t reporter;
    uint16_t port;
    uint8_t protocol, verdict, origin, marks, pad[6];
};
_Static_assert(sizeof(struct minute_key) == 56, "no hidden padding");

static struct minute_key minute_key_of(const struct flow *r)
{
    return (struct minute_key){.source = r->source,
                               .destination = r->destination,
                               .minute = r->first_ms / FLOW_MINUTE_MS,
                               .reporter = r->reporter,
                               .port = r->port,
                               .protocol = r->protocol,
                               .verdict = r->verdict,
                               .origin = r->origin,
                               .marks = r->marks};
}

static bool same_minute(const void *records, uint32_t number, const void *key)
{
    struct minute_key k = minute_key_of(&((const struct flow *)records)[number]);

    return memcmp(&k, key, sizeof(k)) == 0;
}

static size_t add_record(struct flows *f, struct table *index, size_t n, const struct flow *r)
{
    struct minute_key k = minute_key_of(r);
    uint32_t hash = table_hash(&k, sizeof(k), 0);
    uint32_t at = table_find(index, hash, same_minute, f->batch, &k);
    struct flow *to = at == TABLE_NONE ? &f->batch[n] : &f->batch[at];

    if (at == TABLE_NONE) {
        *to = *r;
        table_add(index, hash, (uint32_t)n);
        return n + 1;
    }
    if (r->last_ms > to->last_ms && r->last_ms - to->first_ms <= SIGHTING_MAX_SPAN_MS)
        to->last_ms = r->last_ms;
    if (r->first_ms < to->first_ms && to->last_ms - r->first_ms <= SIGHTING_MAX_SPAN_MS)
        to->first_ms = r->first_ms;
    to->count += r->count;
    to->bytes_out += r->bytes_out;
    to->bytes_in += r->bytes_in;
    return n;
}

size_t observe_batch(struct flows *f, const struct flows_seen *told, uint64_t now_ms,
                     uint64_t *ret_moved)
{
    CLEANUP(free_voidp) text_t *reporters = xcalloc(told->n_reporters, sizeof(*reporters));
    CLEANUP(table_done) struct table index = {.n = 0};
    size_t n = 0;

    *ret_moved = 0;
    for (size_t i = 0; i < told->n_reporters; i++)
        reporters[i] = history_text(f->history, told->reporters[i], strlen(told->reporters[i]));
    if (f->batch_room < told->n) {
        f->batch_room = told->n;
        f->batch = xreallocarray(f->batch, f->batch_room, sizeof(*f->batch));
    }
    for (size_t i = 0; i < told->n; i++) {
        struct flow r = record_of(f, &told->sightings[i],
                                  reporters[told->tellers ? told->tellers[i] : 0], now_ms);

        *ret_moved += (r.marks & FLOW_RETIMED) != 0;
        n = add_record(f, &index, n, &r);
    }
    return n;
}
