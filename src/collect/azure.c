/* SPDX-License-Identifier: Apache-2.0 */
/* Azure flow logs, of NSGs and of virtual networks: records with tuples, words between commas.
 *
 * Both are stateful: a tuple's source is who began.  A connection is told at its begin (B), goes on
 * every five minutes (C) and ends (E; an NSG's version 1 tells its begin alone); it counts where it
 * begins, its bytes where they are told.  The two differ in the unit of time, in the protocol's
 * words, and in who says that it was denied: a word of its own, or the state D. */
#include <jansson.h>
#include <netinet/in.h>

#include "base/number.h"
#include "collect/cloud_internal.h"

enum {
    TUPLE_TIME,
    TUPLE_SOURCE,
    TUPLE_DESTINATION,
    TUPLE_SOURCE_PORT,
    TUPLE_PORT,
    TUPLE_PROTOCOL,
    TUPLE_DIRECTION,
    TUPLE_DECISION,
    TUPLE_V1_WORDS,
    TUPLE_STATE = TUPLE_V1_WORDS,
    TUPLE_PACKETS_OUT,
    TUPLE_BYTES_OUT,
    TUPLE_PACKETS_IN,
    TUPLE_BYTES_IN,
    TUPLE_WORDS,
    TUPLE_WORD_SIZE = 64,
};

struct tuple {
    char of[TUPLE_WORDS][TUPLE_WORD_SIZE];
    size_t n;
    bool is_vnet;
};

static bool split_tuple(const char *text, struct tuple *t)
{
    t->n = 0;
    for (;;) {
        size_t len = strcspn(text, ",");

        if (t->n == TUPLE_WORDS || len >= TUPLE_WORD_SIZE)
            return false;
        memcpy(t->of[t->n], text, len);
        t->of[t->n++][len] = 0;
        if (!text[len])
            return t->n == TUPLE_WORDS || (t->n == TUPLE_V1_WORDS && !t->is_vnet);
        text += len + 1;
    }
}

/* Empty: not told, which is 0. */
static bool tuple_number(const struct tuple *t, size_t i, uint64_t max, uint64_t *ret_v)
{
    *ret_v = 0;
    return i >= t->n || !t->of[i][0] || number_parse(t->of[i], strlen(t->of[i]), max, ret_v) == 0;
}

static bool tuple_protocol(const struct tuple *t, uint64_t *ret_protocol)
{
    const char *word = t->of[TUPLE_PROTOCOL];

    if (t->is_vnet)
        return *word && tuple_number(t, TUPLE_PROTOCOL, UINT8_MAX, ret_protocol);
    *ret_protocol = strcmp(word, "T") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
    return strcmp(word, "T") == 0 || strcmp(word, "U") == 0;
}

/* NULL: taken; else what was expected. */
static const char *take_tuple_ends(const struct tuple *t, struct sighting *s)
{
    uint64_t time, unit_ms = t->is_vnet ? 1 : 1000, source_port, port, protocol;

    if (!tuple_number(t, TUPLE_TIME, (uint64_t)UINT32_MAX * 1000 / unit_ms, &time) || !time)
        return t->is_vnet ? "milliseconds since 1970 first" : "seconds since 1970 first";
    if (address_parse(t->of[TUPLE_SOURCE], &s->source) < 0 ||
        address_parse(t->of[TUPLE_DESTINATION], &s->destination) < 0)
        return "two IP addresses behind the time";
    if (!tuple_number(t, TUPLE_SOURCE_PORT, UINT16_MAX, &source_port) ||
        !tuple_number(t, TUPLE_PORT, UINT16_MAX, &port))
        return "two ports behind the addresses";
    if (!tuple_protocol(t, &protocol))
        return t->is_vnet ? "a protocol's number" : "T or U for the protocol";
    s->first_ms = s->last_ms = time * unit_ms;
    cloud_ports(s, protocol, source_port, port);
    return NULL;
}

/* 0: neither was told. */
static char tuple_state(const struct tuple *t)
{
    const char *decision = t->of[TUPLE_DECISION];

    if (t->is_vnet || strcmp(decision, "D") == 0)
        return decision[0]; /* A virtual network's state stands there. */
    if (strcmp(decision, "A") != 0)
        return '\0';
    if (t->n > TUPLE_STATE)
        return t->of[TUPLE_STATE][0];
    return 'B';
}

static const char *take_tuple_fate(const struct tuple *t, struct sighting *s)
{
    char state = tuple_state(t);

    if (!state && !t->is_vnet)
        return "A or D for the decision";
    if (!state || !strchr("BCED", state))
        return t->is_vnet ? "B, C, E or D for the state" : "B, C or E for the state";
    if (!tuple_number(t, TUPLE_BYTES_OUT, UINT64_MAX, &s->bytes_out) ||
        !tuple_number(t, TUPLE_BYTES_IN, UINT64_MAX, &s->bytes_in))
        return "numbers of bytes";
    s->verdict = state == 'D' ? VERDICT_DENY : VERDICT_ALLOW;
    s->count = state == 'B' || state == 'D';
    return NULL;
}

/* Where it stands in the record, if it was written as it reads. */
static size_t place_of_tuple(const struct cloud *c, const char *text)
{
    CLEANUP(buf_done) struct buf quoted = BUF_INIT;
    const char *at;

    buf_printf(&quoted, "\"%s\"", text);
    at = strstr(buf_str(&c->piece), buf_str(&quoted));
    return at ? (size_t)(at - c->piece.data) : 0;
}

static void take_tuple(struct cloud *c, const char *text, uint32_t teller, bool is_vnet)
{
    struct heard h = {
        .s = {.origin = FLOW_AZURE}, .teller = teller, .client = CLIENT_IS_SOURCE, .adds_up = true};
    struct tuple t = {.is_vnet = is_vnet};
    const char *expected = is_vnet ? "13 words" : "8 words (version 1) or 13 (2)";

    if (split_tuple(text, &t))
        expected = take_tuple_ends(&t, &h.s);
    if (!expected)
        expected = take_tuple_fate(&t, &h.s);
    if (expected)
        cloud_wrong(c, place_of_tuple(c, text), "a tuple", text, strlen(text), expected);
    else
        cloud_hear(c, &h);
}

/* The last part of a resource's path: its name. */
static const char *resource_name(const json_t *record, const char *key)
{
    const char *path = json_string_value(json_object_get(record, key));
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path;
}

/* An NSG's connections are told once; of a virtual network each interface tells. */
static uint32_t azure_teller(struct cloud *c, const json_t *record, bool is_vnet)
{
    const char *name = resource_name(record, is_vnet ? "targetResourceID" : "resourceId");
    const char *mac = json_string_value(json_object_get(record, "macAddress"));
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    if (name && *name)
        buf_puts(&b, name);
    if (mac && *mac && (is_vnet || !b.size))
        buf_printf(&b, "%s%s", b.size ? "/" : "", mac);
    if (!b.size)
        buf_puts(&b, "azure");
    return cloud_teller_of(c, buf_str(&b), b.size);
}

static void take_tuples(struct cloud *c, const json_t *group, uint32_t teller, bool is_vnet)
{
    const json_t *tuple;
    size_t i;

    json_array_foreach(json_object_get(group, "flowTuples"), i, tuple)
    {
        if (json_is_string(tuple))
            take_tuple(c, json_string_value(tuple), teller, is_vnet);
        else
            cloud_wrong(c, 0, "a tuple", NULL, 0, "a string");
    }
}

/* An NSG: rules, and their interfaces' tuples; a virtual network: ACLs, and their rules' tuples. */
static void take_flows(struct cloud *c, const json_t *record, const json_t *flows, bool is_vnet)
{
    uint32_t teller = azure_teller(c, record, is_vnet);
    const json_t *flow, *group;
    size_t i, k;

    json_array_foreach(flows, i, flow)
    {
        json_array_foreach(json_object_get(flow, is_vnet ? "flowGroups" : "flows"), k, group)
            take_tuples(c, group, teller, is_vnet);
    }
}

void azure_record(struct cloud *c, const char *text, size_t len)
{
    json_error_t error;
    json_t *record = json_loadb(text, len, 0, &error);
    const json_t *nsg = json_object_get(json_object_get(record, "properties"), "flows");
    const json_t *vnet = json_object_get(json_object_get(record, "flowRecords"), "flows");

    if (!json_is_object(record))
        cloud_wrong(c, error.position > 0 ? (size_t)error.position - 1 : 0, "a record", NULL, 0,
                    "an object of JSON");
    else if (json_is_array(nsg))
        take_flows(c, record, nsg, false);
    else if (json_is_array(vnet))
        take_flows(c, record, vnet, true);
    else
        c->counts.other++;
    json_decref(record);
}
