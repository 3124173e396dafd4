/* SPDX-License-Identifier: Apache-2.0 */
/* GCP: entries of Cloud Logging with VPC flows, or with what firewall rules decided. */
#include <jansson.h>
#include <netinet/in.h>

#include "base/date.h"
#include "base/number.h"
#include "collect/cloud_internal.h"

/* Numbers stand as numbers, or (of 64 bits) as strings.  -1: something else. */
static int gcp_number(const json_t *object, const char *key, uint64_t max, uint64_t *ret_v)
{
    const json_t *v = json_object_get(object, key);

    *ret_v = 0;
    if (!v)
        return 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0 &&
        (uint64_t)json_integer_value(v) <= max) {
        *ret_v = (uint64_t)json_integer_value(v);
        return 0;
    }
    return json_is_string(v) ? number_parse(json_string_value(v), json_string_length(v), max, ret_v)
                             : -1;
}

static const char *gcp_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static bool gcp_time(const char *text, uint64_t *ret_ms)
{
    int64_t s;

    if (date_parse_time(text, &s) < 0 || s <= 0)
        return false;
    *ret_ms = (uint64_t)s * 1000;
    return true;
}

/* NULL: taken; else what was expected. */
static const char *take_connection(const json_t *connection, struct sighting *s)
{
    uint64_t protocol, source_port, port;

    if (address_parse(gcp_text(connection, "src_ip"), &s->source) < 0 ||
        address_parse(gcp_text(connection, "dest_ip"), &s->destination) < 0)
        return "src_ip and dest_ip in jsonPayload.connection";
    if (gcp_number(connection, "protocol", UINT8_MAX, &protocol) < 0 ||
        gcp_number(connection, "src_port", UINT16_MAX, &source_port) < 0 ||
        gcp_number(connection, "dest_port", UINT16_MAX, &port) < 0)
        return "numbers for protocol, src_port and dest_port";
    cloud_ports(s, protocol, source_port, port);
    return NULL;
}

static const char *take_payload(const json_t *entry, const json_t *payload, struct heard *h)
{
    const char *disposition = gcp_text(payload, "disposition"),
               *start = gcp_text(payload, "start_time");
    struct sighting *s = &h->s;

    if (gcp_number(payload, "bytes_sent", UINT64_MAX, &s->bytes_out) < 0)
        return "a number for bytes_sent";
    if (*disposition) { /* A firewall rule: it tells who asked, and every time. */
        if (strcmp(disposition, "ALLOWED") != 0 && strcmp(disposition, "DENIED") != 0)
            return "ALLOWED or DENIED for disposition";
        s->verdict = disposition[0] == 'A' ? VERDICT_ALLOW : VERDICT_DENY;
        h->client = CLIENT_IS_SOURCE;
    } else {
        s->verdict = VERDICT_ALLOW;
        s->marks |= FLOW_ESTIMATED;
    }
    if (!*start)
        start = gcp_text(entry, "timestamp");
    if (!gcp_time(start, &s->first_ms))
        return "a start_time, or a timestamp";
    if (!gcp_time(gcp_text(payload, "end_time"), &s->last_ms))
        s->last_ms = s->first_ms;
    return NULL;
}

/* The machine that tells it, else its network. */
static uint32_t gcp_teller(struct cloud *c, const json_t *entry, const json_t *payload)
{
    bool dest = strcmp(gcp_text(payload, "reporter"), "DEST") == 0;
    const char *name =
        gcp_text(json_object_get(payload, dest ? "dest_instance" : "src_instance"), "vm_name");

    if (!*name)
        name = gcp_text(json_object_get(payload, "instance"), "vm_name");
    if (!*name)
        name = gcp_text(json_object_get(json_object_get(entry, "resource"), "labels"),
                        "subnetwork_name");
    return cloud_teller_of(c, *name ? name : "gcp", *name ? strlen(name) : 3);
}

void gcp_entry(struct cloud *c, const char *text, size_t len)
{
    struct heard h = {.s = {.count = 1, .origin = FLOW_GCP}};
    json_error_t error;
    json_t *entry = json_loadb(text, len, 0, &error);
    const json_t *payload = json_object_get(entry, "jsonPayload"),
                 *connection = json_object_get(payload, "connection");
    const char *expected = NULL;

    if (!json_is_object(entry)) {
        cloud_wrong(c, error.position > 0 ? (size_t)error.position - 1 : 0, "an entry", NULL, 0,
                    "an object of JSON");
        json_decref(entry);
        return;
    }
    if (!json_is_object(connection)) {
        c->counts.other++;
        json_decref(entry);
        return;
    }
    expected = take_connection(connection, &h.s);
    if (!expected)
        expected = take_payload(entry, payload, &h);
    h.teller = gcp_teller(c, entry, payload);
    if (expected)
        cloud_wrong(c, 0, "an entry", NULL, 0, expected);
    else
        cloud_hear(c, &h);
    json_decref(entry);
}
