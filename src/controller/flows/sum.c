/* SPDX-License-Identifier: Apache-2.0 */
/* Edges: who talks to whom and how, each connection counted once; by groups, and by rules. */
#include <errno.h>

#include "base/date.h"
#include "controller/flows/job.h"
#include "controller/json.h"

static const struct known_end *find_end(const struct flows_job *j, text_t text)
{
    size_t low = 0, high = j->n_ends;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (j->ends[middle].text < text)
            low = middle + 1;
        else
            high = middle;
    }
    return low < j->n_ends && j->ends[low].text == text ? &j->ends[low] : NULL;
}

static uint32_t group_of(const struct flows_job *j, text_t name)
{
    const struct known_end *e = name ? find_end(j, name) : NULL;

    return !name ? 0 : e ? e->group : 1;
}

static struct sum_key edge_key(const struct flow *r)
{
    struct sum_key k = {.from = r->from,
                        .to = r->to,
                        .process = r->process,
                        .user = r->user,
                        .rule = r->rule,
                        .port = r->port,
                        .protocol = r->protocol,
                        .word = (uint8_t)flow_word_of(r),
                        .layer = r->layer,
                        .direction = r->direction,
                        .origin = flow_is_others(r) ? r->origin : 0};

    if (!r->from)
        k.source = r->source;
    if (!r->to)
        k.destination = r->destination;
    return k;
}

static struct sum_key key_of(const struct flows_job *j, const struct flow *r)
{
    if (j->kind == FLOWS_RULES)
        return (struct sum_key){.rule = r->rule};
    if (!j->by)
        return edge_key(r);
    return (struct sum_key){.from = group_of(j, r->from),
                            .to = group_of(j, r->to),
                            .port = j->by_port ? r->port : 0,
                            .protocol = j->by_port ? r->protocol : 0};
}

static bool is_key(const void *sums, uint32_t number, const void *key)
{
    return memcmp(&((const struct sum *)sums)[number].key, key, sizeof(struct sum_key)) == 0;
}

static struct sum *sum_of(struct flows_job *j, const struct sum_key *k)
{
    uint32_t hash = table_hash(k, sizeof(*k), 0);
    uint32_t n = table_find(&j->index, hash, is_key, j->sums, k);

    if (n != TABLE_NONE)
        return &j->sums[n];
    if (j->n_sums >= FLOWS_GROUPS_MAX)
        return NULL;
    GROW(j->sums, j->n_sums, j->sums_room);
    j->sums[j->n_sums] = (struct sum){.key = *k, .first_ms = UINT64_MAX};
    table_add(&j->index, hash, (uint32_t)j->n_sums);
    return &j->sums[j->n_sums++];
}

static int take(void *user, const struct flow *flows, size_t n)
{
    struct flows_job *j = user;

    for (size_t i = 0; i < n; i++) {
        const struct flow *r = &flows[i];
        struct sum_key k;
        struct sum *s;

        if (!asked_matches(&j->asked, r) || !flow_counts(r) || (j->kind == FLOWS_RULES && !r->rule))
            continue;
        k = key_of(j, r);
        s = sum_of(j, &k);
        if (!s)
            return -E2BIG;
        s->first_ms = r->first_ms < s->first_ms ? r->first_ms : s->first_ms;
        s->last_ms = r->last_ms > s->last_ms ? r->last_ms : s->last_ms;
        s->bytes_out += r->bytes_out;
        s->bytes_in += r->bytes_in;
        s->counts[flow_word_of(r)] += r->count;
        s->n++;
    }
    return 0;
}

static uint64_t total(const struct sum *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < FLOW_WORDS; i++)
        n += s->counts[i];
    return n;
}

/* The busiest first; what does not differ in that by its key, so that answers are stable. */
static int busiest_first(const void *a_, const void *b_)
{
    const struct sum *a = a_, *b = b_;

    if (total(a) != total(b))
        return total(a) > total(b) ? -1 : 1;
    return memcmp(&a->key, &b->key, sizeof(a->key));
}

int job_sum(struct flows_job *j)
{
    int r;

    j->asked.query.all_revisions = true;
    r = history_edges(j->snapshot, &j->asked.query, take, j, &j->progress);

    if (r < 0)
        return r;
    for (size_t i = 0; j->kind == FLOWS_RULES && i < j->n_sums; i++) {
        struct history_use use;

        /* Outlives the records; what was asked of a window has the window's. */
        if (!j->since_ms && !j->until_ms &&
            history_rule_use(j->snapshot, j->sums[i].key.rule, &use) == 0)
            j->sums[i].first_ms = use.first_ms;
    }
    if (j->n_sums)
        qsort(j->sums, j->n_sums, sizeof(*j->sums), busiest_first);
    return 0;
}

/* ---- on the loop ---- */

static json_t *times_json(const struct sum *s)
{
    char first[DATE_TEXT_SIZE], last[DATE_TEXT_SIZE];

    return json_pack("{s:s,s:s,s:I,s:I}", "first",
                     date_format_time((int64_t)(s->first_ms / 1000), first), "last",
                     date_format_time((int64_t)(s->last_ms / 1000), last), "bytes_out",
                     (json_int_t)s->bytes_out, "bytes_in", (json_int_t)s->bytes_in);
}

static json_t *counts_json(const struct sum *s)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "allow", (json_int_t)s->counts[FLOW_WORD_ALLOW],
                     "deny", (json_int_t)s->counts[FLOW_WORD_DENY], "would_deny",
                     (json_int_t)s->counts[FLOW_WORD_WOULD_DENY], "seen",
                     (json_int_t)s->counts[FLOW_WORD_SEEN], "seen_deny",
                     (json_int_t)s->counts[FLOW_WORD_SEEN_DENY]);
}

static json_t *group_json(const struct flows_job *j, const struct sum *s)
{
    json_t *g = json_pack("{s:O,s:O,s:o,s:I}", "from", json_array_get(j->groups, s->key.from), "to",
                          json_array_get(j->groups, s->key.to), "counts", counts_json(s), "edges",
                          (json_int_t)s->n);
    char protocol[8];

    if (j->by_port)
        (void)json_object_update_new(g, json_pack("{s:s,s:i}", "protocol",
                                                  flow_protocol_name(s->key.protocol, protocol),
                                                  "port", s->key.port));
    (void)json_object_update_new(g, times_json(s));
    return g;
}

static json_t *edge_json(const struct flows_job *j, const struct sum *s)
{
    const struct sum_key *k = &s->key;
    const struct history *h = j->f->history;
    char source[ADDRESS_TEXT_SIZE] = "", destination[ADDRESS_TEXT_SIZE] = "", protocol[8];
    json_t *e;

    if (!k->from)
        (void)address_format(&k->source, source);
    if (!k->to)
        (void)address_format(&k->destination, destination);
    e = json_pack("{s:o,s:o,s:s,s:s,s:s,s:i,s:o,s:s,s:o,s:o,s:s,s:s,s:I}", "from",
                  json_any_text(history_text_of(h, k->from)), "to",
                  json_any_text(history_text_of(h, k->to)), "from_address", source, "to_address",
                  destination, "protocol", flow_protocol_name(k->protocol, protocol), "port",
                  k->port, "process", json_any_text(history_text_of(h, k->process)), "process_of",
                  k->direction == DIRECTION_OUT ? "from" : "to", "user",
                  json_any_text(history_text_of(h, k->user)), "rule",
                  json_any_text(history_text_of(h, k->rule)), "verdict",
                  flow_word_name((enum flow_word)k->word), "layer",
                  k->origin ? "" : layer_name((enum layer)k->layer), "count", (json_int_t)total(s));
    if (k->origin)
        (void)json_object_set_new(e, "origin", json_string(flow_origin_name(k->origin)));
    (void)json_object_update_new(e, times_json(s));
    return e;
}

json_t *job_edges_json(struct flows_job *j)
{
    json_t *list = json_array();

    for (size_t i = 0; i < j->n_sums && i < j->max; i++)
        (void)json_array_append_new(list,
                                    j->by ? group_json(j, &j->sums[i]) : edge_json(j, &j->sums[i]));
    return json_pack("{s:I,s:o}", "total", (json_int_t)j->n_sums, "edges", list);
}

json_t *job_rules_json(struct flows_job *j)
{
    json_t *list = json_array();

    for (size_t i = 0; i < j->n_sums && i < j->max; i++) {
        const struct sum *s = &j->sums[i];
        json_t *rule = json_pack("{s:o,s:I,s:o}", "rule",
                                 json_any_text(history_text_of(j->f->history, s->key.rule)), "hits",
                                 (json_int_t)total(s), "counts", counts_json(s));

        (void)json_object_update_new(rule, times_json(s));
        (void)json_array_append_new(list, rule);
    }
    return json_pack("{s:o}", "rules", list);
}
