/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON. */
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "controller/flows/internal.h"
#include "controller/json.h"

const char *flow_protocol_name(uint8_t protocol, char text[8])
{
    if (protocol == IPPROTO_TCP)
        return "tcp";
    if (protocol == IPPROTO_UDP)
        return "udp";
    if (protocol == IPPROTO_ICMP)
        return "icmp";
    (void)snprintf(text, 8, "ip/%u", protocol);
    return text;
}

const char *flow_origin_name(uint8_t origin)
{
    static const char *const names[FLOW_ORIGINS] = {
        "agent", "edge", "ipfix", "netflow5", "netflow9", "sflow", "aws", "azure", "gcp"};

    return origin < FLOW_ORIGINS ? names[origin] : "?";
}

static json_t *text_json(const struct flows *f, text_t text)
{
    return json_any_text(history_text_of(f->history, text));
}

const char *flow_layer_name(const struct flow *r)
{
    return flow_is_others(r) ? "" : layer_name((enum layer)r->layer);
}

/* What of it is not as it seems. */
static json_t *marks_json(uint8_t marks)
{
    json_t *list = json_array();

    if (marks & FLOW_GUESSED)
        (void)json_array_append_new(list, json_string("guessed"));
    if (marks & FLOW_ESTIMATED)
        (void)json_array_append_new(list, json_string("estimated"));
    if (marks & FLOW_RETIMED)
        (void)json_array_append_new(list, json_string("retimed"));
    return list;
}

json_t *flow_json(const struct flows *f, const struct flow *r, uint64_t number)
{
    char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], protocol[8];
    char first[DATE_TEXT_SIZE], last[DATE_TEXT_SIZE];
    json_t *j = json_pack("{s:o,s:o,s:o,s:s,s:s,s:i,s:s,s:s,s:s,s:o,s:b,s:I}", "reporter",
                          text_json(f, r->reporter), "from", text_json(f, r->from), "to",
                          text_json(f, r->to), "from_address", address_format(&r->source, source),
                          "to_address", address_format(&r->destination, destination), "port",
                          r->port, "protocol", flow_protocol_name(r->protocol, protocol), "verdict",
                          flow_word_name(flow_word_of(r)), "layer", flow_layer_name(r), "rule",
                          text_json(f, r->rule), "enforced", r->marks & FLOW_ENFORCED, "revision",
                          (json_int_t)r->revision);

    if (!j)
        return json_object();
    if (number)
        (void)json_object_set_new(j, "number", json_integer((json_int_t)number));
    (void)json_object_update_new(
        j, json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:s,s:s,s:I,s:I,s:I}", "direction",
                     r->direction == DIRECTION_OUT ? "out" : "in", "origin",
                     flow_origin_name(r->origin), "process", text_json(f, r->process), "script",
                     text_json(f, r->script), "user", text_json(f, r->user), "uid",
                     r->uid == UINT32_MAX ? (json_int_t)-1 : (json_int_t)r->uid, "first",
                     date_format_time((int64_t)(r->first_ms / 1000), first), "last",
                     date_format_time((int64_t)(r->last_ms / 1000), last), "count",
                     (json_int_t)r->count, "bytes_out", (json_int_t)r->bytes_out, "bytes_in",
                     (json_int_t)r->bytes_in));
    if (flow_is_others(r))
        (void)json_object_set_new(j, "marks", marks_json(r->marks));
    return j;
}
