/* SPDX-License-Identifier: Apache-2.0 */
/* jansson in, text out; see query.h. */
#include "text/query.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>

#include "text/json.h"
#include "text/port.h"

/* Those from "service" on are only for query_read_why(). */
static const char *const fields[] = {"from",   "to",      "protocol",    "port",
                                     "type",   "process", "served_by",   "user",
                                     "modbus", "service", "from_labels", "to_labels"};
enum { N_PLAIN_FIELDS = 9 };

void query_done(struct query *q)
{
    json_decref(q->json);
    free(q->from_labels);
    free(q->to_labels);
    *q = (struct query){.json = NULL};
}

struct reading {
    json_t *object;
    const char **field;
    struct buf *why;
    const struct policy *policy; /* NULL: the plain form. */
};

static int wrong(const struct reading *r, const char *field, const char *why)
{
    *r->field = field;
    buf_reset(r->why);
    buf_puts(r->why, why);
    return -EBADMSG;
}

/* NULL: absent or null. */
static json_t *get(const struct reading *r, const char *field)
{
    json_t *v = json_object_get(r->object, field);

    return json_is_null(v) ? NULL : v;
}

static int get_text(const struct reading *r, const char *field, const char **ret)
{
    json_t *v = get(r, field);

    *ret = NULL;
    if (!v)
        return 0;
    if (!json_is_string(v) || !json_string_length(v) ||
        strlen(json_string_value(v)) != json_string_length(v))
        return wrong(r, field, "expected a text that is not empty");
    *ret = json_string_value(v);
    return 0;
}

/* -1: absent. */
static int get_number(const struct reading *r, const char *field, int max, int *ret)
{
    json_t *v = get(r, field);

    *ret = -1;
    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max) {
        (void)wrong(r, field, "");
        buf_printf(r->why, "expected a whole number from 0 to %d", max);
        return -EBADMSG;
    }
    *ret = (int)json_integer_value(v);
    return 0;
}

static int check_fields(const struct reading *r)
{
    size_t n = r->policy ? ARRAY_SIZE(fields) : N_PLAIN_FIELDS;
    const char *key;
    json_t *value;

    json_object_foreach(r->object, key, value)
    {
        struct nearest near = nearest_to(key);
        bool known = false;

        for (size_t i = 0; i < n; i++) {
            known = known || strcmp(fields[i], key) == 0;
            nearest_offer(&near, fields[i]);
        }
        if (known)
            continue;
        (void)wrong(r, "", "the unknown field \"");
        buf_escape(r->why, key, strlen(key), MODEL_NAME_LEN);
        buf_puts(r->why, "\"");
        if (near.best)
            buf_printf(r->why, "; did you mean \"%s\"?", near.best);
        return -EBADMSG;
    }
    return 0;
}

static int get_protocol(const struct reading *r, struct verdict_query *q)
{
    json_t *v = get(r, "protocol");

    if (json_is_string(v) && protocol_parse(json_string_value(v), &q->protocol) == 0)
        return 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= 255) {
        q->protocol = (uint8_t)json_integer_value(v);
        return 0;
    }
    return wrong(r, "protocol", "expected tcp, udp, icmp, another protocol's name, or its number");
}

static int get_type(const struct reading *r, uint16_t *ret)
{
    json_t *v = get(r, "type");

    if (json_is_string(v) && icmp_type_parse(json_string_value(v), ret) == 0)
        return 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= 255) {
        *ret = (uint16_t)json_integer_value(v);
        return 0;
    }
    return wrong(r, "type", "expected \"echo\", another type's name, or an ICMPv4 type");
}

static int get_port(const struct reading *r, struct verdict_query *q)
{
    bool has_ports = q->protocol == IPPROTO_TCP || q->protocol == IPPROTO_UDP;
    int port, e = get_number(r, "port", 65535, &port);

    if (e < 0)
        return e;
    if (has_ports && port < 0)
        return wrong(r, "port", "expected the destination port, 0 to 65535");
    if (!has_ports && port >= 0)
        return wrong(r, "port", "expected none: this protocol has no ports");
    if (q->protocol == IPPROTO_ICMP)
        return get_type(r, &q->port);
    if (get(r, "type"))
        return wrong(r, "type", "expected none: only icmp has types");
    q->port = (uint16_t)(has_ports ? port : 0);
    return 0;
}

/* A service of the policy, of which the first port is asked, or a text like "tcp/5432". */
static int get_service(const struct reading *r, const char *name, struct verdict_query *q)
{
    const struct service *s = policy_service(r->policy, name);
    struct nearest near = nearest_to(name);
    const char *why, *nearest = NULL;
    struct port_range range;
    int e;

    if (get(r, "protocol") || get(r, "port") || get(r, "type"))
        return wrong(r, "service", "expected either a service, or protocol and port");
    if (s && s->n_ports) {
        q->protocol = s->ports[0].protocol;
        q->port = s->ports[0].low;
        return 0;
    }
    e = port_parse(name, &range, &why, &nearest);
    if (e == 0 && range.low == range.high) {
        q->protocol = range.protocol;
        q->port = range.low;
        return 0;
    }
    for (size_t i = 0; i < r->policy->n_named_services; i++)
        nearest_offer(&near, r->policy->services[i].name);
    (void)wrong(r, "service", "no service of the policy is named \"");
    buf_escape(r->why, name, strlen(name), MODEL_NAME_LEN);
    buf_puts(r->why, "\", and it is no text like tcp/443 or icmp/echo");
    if (near.best || nearest)
        buf_printf(r->why, "; did you mean \"%s\"?", near.best ? near.best : nearest);
    return -EBADMSG;
}

static int get_connection(const struct reading *r, struct verdict_query *q)
{
    const char *service = NULL;
    int e = r->policy ? get_text(r, "service", &service) : 0;

    if (e == 0 && service)
        return get_service(r, service, q);
    if (e == 0)
        e = get_protocol(r, q);
    return e == 0 ? get_port(r, q) : e;
}

static int get_labels(const struct reading *r, const char *field, struct label **ret, size_t *ret_n)
{
    json_t *v = get(r, field), *value;
    const char *key;

    if (!v)
        return 0;
    if (!json_is_object(v) || json_object_size(v) > QUERY_MAX_LABELS)
        return wrong(r, field, "expected up to 64 labels, as in {\"app\": \"shop\"}");
    *ret = xcalloc(json_object_size(v), sizeof **ret);
    json_object_foreach(v, key, value)
    {
        if (!json_is_string(value))
            return wrong(r, field, "expected a text for each label");
        (*ret)[(*ret_n)++] = (struct label){key, json_string_value(value)};
    }
    return 0;
}

static int read_fields(const struct reading *r, struct verdict_query *q)
{
    int e = check_fields(r);

    if (e == 0)
        e = get_text(r, "from", &q->from);
    if (e == 0 && !q->from)
        e = wrong(r, "from", "expected an endpoint's name, or an address");
    if (e == 0)
        e = get_text(r, "to", &q->to);
    if (e == 0 && !q->to)
        e = wrong(r, "to", "expected an endpoint's name, or an address");
    if (e == 0)
        e = get_connection(r, q);
    if (e == 0)
        e = get_text(r, "process", &q->process);
    if (e == 0)
        e = get_text(r, "served_by", &q->served_by);
    if (e == 0)
        e = get_text(r, "user", &q->user);
    if (e == 0)
        e = get_number(r, "modbus", 255, &q->modbus);
    return e;
}

int query_read_why(const char *s, size_t len, const struct policy *p, struct query *ret_q,
                   const char **ret_field, struct buf *why)
{
    struct reading r = {.field = ret_field, .why = why, .policy = p};
    struct query q = {.json = NULL};
    json_error_t error;
    int e;

    if (len > QUERY_MAX)
        return wrong(&r, "", "the query is longer than 65536 bytes");
    q.json = r.object = json_loadb(s, len, JSON_REJECT_DUPLICATES, &error);
    if (!r.object) {
        (void)wrong(&r, "", "this is not JSON: ");
        buf_puts(why, error.text);
        return -EBADMSG;
    }
    e = json_is_object(r.object) ? read_fields(&r, &q.verdict)
                                 : wrong(&r, "", "expected a JSON object");
    if (e == 0)
        e = get_labels(&r, "from_labels", &q.from_labels, &q.n_from_labels);
    if (e == 0)
        e = get_labels(&r, "to_labels", &q.to_labels, &q.n_to_labels);
    if (e < 0)
        query_done(&q);
    else
        *ret_q = q;
    return e;
}

int query_read(const char *s, size_t len, struct query *ret_q, const char **ret_field,
               struct buf *why)
{
    return query_read_why(s, len, NULL, ret_q, ret_field, why);
}

struct why_question query_question(const struct query *q)
{
    return (struct why_question){.verdict = q->verdict,
                                 .from_labels = q->from_labels,
                                 .n_from_labels = q->n_from_labels,
                                 .to_labels = q->to_labels,
                                 .n_to_labels = q->n_to_labels};
}

void answer_write(struct buf *b, const struct verdict_answer *a, const struct sentences *why)
{
    buf_printf(b, "{\"verdict\": \"%s\", \"layer\": \"%s\", \"rule\": ", verdict_name(a->verdict),
               layer_name(a->layer));
    if (a->rule)
        json_quote(b, a->rule->id);
    else
        buf_puts(b, "null");
    buf_printf(b, ", \"enforced\": %s, \"why\": [", a->enforced ? "true" : "false");
    for (size_t i = 0; i < why->n; i++) {
        buf_puts(b, i ? ", " : "");
        json_quote(b, why->items[i]);
    }
    buf_puts(b, "]}");
}

void answer_write_error(struct buf *b, size_t line, const char *field, const char *why)
{
    buf_puts(b, "{\"error\": ");
    json_quote(b, why);
    buf_printf(b, ", \"line\": %zu, \"field\": ", line);
    json_quote(b, field);
    buf_puts(b, "}");
}
