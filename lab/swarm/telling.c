/* SPDX-License-Identifier: Apache-2.0 */
/* Connections as text, judged, in batches, until the controller has them; see swarm.h. */
#include <netinet/in.h>
#include <stdio.h>

#include "base/number.h"
#include "swarm.h"

enum { /* Words of a flow. */
       FLOW_SRC,
       FLOW_DST,
       FLOW_SRC_IP,
       FLOW_DST_IP,
       FLOW_PROTOCOL,
       FLOW_PORT,
       FLOW_PROGRAM,
       FLOW_USER,
       FLOW_SERVER,
       FLOW_COUNT,
       FLOW_FIRST_MS,
       FLOW_LASTING_MS,
       FLOW_BYTES_OUT,
       FLOW_BYTES_IN,
       FLOW_FIELDS,
};

struct told { /* One connection, as both of its ends may see it. */
    struct address source, destination;
    uint8_t protocol;
    uint16_t port;
    const char *program, *user, *server; /* NULL: nothing is known. */
    uint64_t count, first_ms, lasting_ms, out, in;
};

static uint64_t number(const char *word, uint64_t max)
{
    uint64_t n = 0;

    if (number_parse(word, strlen(word), max, &n) < 0)
        swarm_die("flow: %s is no number up to %llu", word, (unsigned long long)max);
    return n;
}

static void address(const char *word, struct address *ret_a)
{
    if (address_parse(word, ret_a) < 0)
        swarm_die("flow: %s is no address", word);
}

static const char *text(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

static void parse(char *words[], struct told *t)
{
    const char *protocol = words[FLOW_PROTOCOL];

    address(words[FLOW_SRC_IP], &t->source);
    address(words[FLOW_DST_IP], &t->destination);
    t->protocol = strcmp(protocol, "tcp") == 0   ? IPPROTO_TCP
                  : strcmp(protocol, "udp") == 0 ? IPPROTO_UDP
                                                 : IPPROTO_ICMP;
    t->port = (uint16_t)number(words[FLOW_PORT], UINT16_MAX);
    t->program = text(words[FLOW_PROGRAM]);
    t->user = text(words[FLOW_USER]);
    t->server = text(words[FLOW_SERVER]);
    t->count = number(words[FLOW_COUNT], FLOWS_MAX_AMOUNT);
    t->first_ms = number(words[FLOW_FIRST_MS], FLOWS_MAX_AMOUNT);
    t->lasting_ms = number(words[FLOW_LASTING_MS], FLOW_MINUTE_MS);
    t->out = number(words[FLOW_BYTES_OUT], FLOWS_MAX_AMOUNT);
    t->in = number(words[FLOW_BYTES_IN], FLOWS_MAX_AMOUNT);
}

static void send_some(struct member *m)
{
    for (struct batch *b = m->spool; b && m->is_open; b = b->next) {
        struct agent_message f = {.kind = AGENT_FLOWS,
                                  .flows = {.epoch = m->epoch,
                                            .sequence = b->sequence,
                                            .sent_ms = b->last_ms,
                                            .columns = b->columns.data,
                                            .columns_size = b->columns.size}};

        if (b->sequence <= m->sent)
            continue;
        if (b->sequence >= m->spool->sequence + SWARM_WINDOW)
            return;
        memcpy(f.flows.endpoint, m->name, sizeof(f.flows.endpoint));
        m->sent = b->sequence;
        member_say(m, &f);
    }
}

static void close_batch(struct member *m)
{
    struct batch *b;

    if (!m->telling.n_records)
        return;
    b = xcalloc(1, sizeof(*b));
    flow_batch_encode(&m->telling, &b->columns);
    b->last_ms = m->telling.records[m->telling.n_records - 1].last_ms;
    b->sequence = ++m->sequence;
    flow_batch_done(&m->telling);
    if (!m->spool)
        m->spool_end = &m->spool;
    *m->spool_end = b;
    m->spool_end = &b->next;
    m->swarm->n_unanswered++;
    send_some(m);
}

/* What this end says about it, and whether it lets it pass. */
static bool tell(struct member *m, const struct told *t, enum direction direction)
{
    const struct program *p = m->shared->program;
    bool out = direction == DIRECTION_OUT;
    struct program_query q = {.direction = direction,
                              .remote = out ? t->destination : t->source,
                              .protocol = t->protocol,
                              .port = t->port,
                              .process = out ? t->program : t->server,
                              .user = out ? t->user : NULL};
    struct program_answer a = program_judge(p, &q);
    struct flow_batch *b = &m->telling;
    struct flow_kind k = {.revision = p->revision,
                          .local = flow_batch_add_address(b, out ? &t->source : &t->destination),
                          .process = flow_batch_add_text(b, q.process ? q.process : ""),
                          .user = flow_batch_add_text(b, q.user ? q.user : ""),
                          .uid = UINT32_MAX,
                          .rule = a.rule,
                          .port = t->port,
                          .protocol = t->protocol,
                          .direction = (uint8_t)direction,
                          .verdict = (uint8_t)a.verdict,
                          .layer = (uint8_t)a.layer,
                          .enforced = a.verdict != VERDICT_WOULD_DENY};
    bool passes = a.verdict != VERDICT_DENY;
    struct flow_record r = {.remote = flow_batch_add_address(b, &q.remote),
                            .first_ms = t->first_ms,
                            .last_ms = t->first_ms + t->lasting_ms,
                            .count = t->count};

    if (a.rule)
        k.rule_name = flow_batch_add_text(b, p->rules[a.rule - 1].id);
    if (passes) {
        r.bytes_out = out ? t->out : t->in;
        r.bytes_in = out ? t->in : t->out;
    }
    flow_batch_add(b, &k, &r);
    m->swarm->records++;
    m->swarm->denied += !passes;
    if (b->n_records >= SWARM_BATCH)
        close_batch(m);
    return passes;
}

void telling_take(struct swarm *s, char *words[], size_t n)
{
    struct member *source, *destination;
    struct told t;

    if (n != FLOW_FIELDS)
        swarm_die("flow: expected %d words, found %zu", FLOW_FIELDS, n);
    parse(words, &t);
    source = swarm_find(s, words[FLOW_SRC]);
    destination = swarm_find(s, words[FLOW_DST]);
    if ((source && !source->shared) || (destination && !destination->shared))
        swarm_die("flow: %s or %s runs no program yet; settle first", words[FLOW_SRC],
                  words[FLOW_DST]);
    if (!source && !destination)
        s->untold++; /* Nobody sees it. */
    if (source && !tell(source, &t, DIRECTION_OUT))
        return;
    if (destination)
        (void)tell(destination, &t, DIRECTION_IN);
}

void telling_flush(struct swarm *s)
{
    for (size_t i = 0; i < s->n_members; i++)
        if (s->members[i])
            close_batch(s->members[i]);
}

/* What has no answer is sent again. */
void telling_connected(struct member *m)
{
    m->sent = m->spool ? m->spool->sequence - 1 : m->sequence;
    send_some(m);
}

static void drop_first(struct member *m)
{
    struct batch *b = m->spool;

    m->spool = b->next;
    buf_done(&b->columns);
    free(b);
    m->swarm->n_unanswered--;
}

void telling_acknowledged(struct member *m, const struct agent_flows_ack *a)
{
    if (a->epoch != m->epoch)
        return;
    while (m->spool && m->spool->sequence <= a->sequence)
        drop_first(m);
    send_some(m);
    m->swarm->progress(m->swarm);
}

void telling_end(struct member *m)
{
    while (m->spool)
        drop_first(m);
    flow_batch_done(&m->telling);
}
