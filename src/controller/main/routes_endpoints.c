/* SPDX-License-Identifier: Apache-2.0 */
/* Why, and who is there: endpoints, groups, services, and how far an endpoint is trusted. */
#include <errno.h>
#include <netinet/in.h>

#include "controller/api/page.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "sys/clock.h"
#include "text/query.h"
#include "text/why_report.h"

/* What the policy of now says to the same question, beside the answer of then. */
static void add_today(struct app *app, const struct why_question *question, const struct why *then,
                      struct http_response *a)
{
    CLEANUP(why_freep)
    struct why *y = why_new(desired_world(app->desired, clock_unix_s()), question);
    const char *rule = y->answer.rule ? y->answer.rule->id : "";
    const char *old_rule = then->answer.rule ? then->answer.rule->id : "";
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    bool same = y->answer.verdict == then->answer.verdict &&
                y->answer.layer == then->answer.layer && strcmp(rule, old_rule) == 0;

    buf_printf(&text, "%stoday: ", json_text(a->json, "text"));
    if (same)
        buf_puts(&text, "the same\n");
    else
        buf_printf(&text, "%s, by %s%s%s\n", verdict_name(y->answer.verdict),
                   layer_name(y->answer.layer), rule[0] ? " " : "", rule);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
    (void)json_object_set_new(a->json, "today",
                              json_pack("{s:s,s:s,s:s,s:b}", "verdict",
                                        verdict_name(y->answer.verdict), "layer",
                                        layer_name(y->answer.layer), "rule", rule, "same", same));
}

/* An end that the inventory does not have is anybody's to ask about. */
static bool sees_end(struct app *app, const struct who *who, const char *name_or_address)
{
    struct end end;
    struct address address;

    return !name_or_address ||
           world_end(desired_world(app->desired, clock_unix_s()), name_or_address, &end, &address) <
               0 ||
           !end.endpoint || app_sees(app, who, end.endpoint->name);
}

void post_why(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    CLEANUP(query_done) struct query query = {.json = NULL};
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(why_freep) struct why *y = NULL;
    struct why_question question;
    const char *field = "";
    struct view v;

    if (q->body_size > QUERY_MAX) {
        http_problem(a, 413, "a query of at most %d bytes", QUERY_MAX);
        return;
    }
    if (!view_open(app, q, a, &v))
        return;
    if (query_read_why(q->body, q->body_size, v.world->policy, &query, &field, &text) < 0) {
        http_problem(a, 422, "%s%s%s", field, field[0] ? ": " : "", buf_str(&text));
        return;
    }
    if (!sees_end(app, q->who, query.verdict.from) || !sees_end(app, q->who, query.verdict.to)) {
        http_problem(a, 403, "one end is an endpoint outside of %s=%s", q->who->scope.label,
                     q->who->scope.value);
        return;
    }
    question = query_question(&query);
    y = why_new(v.world, &question);
    buf_reset(&text);
    why_report_json(&text, y);
    http_ok(a, json_loads(buf_str(&text), 0, NULL));
    buf_reset(&text);
    why_report_text(&text, y);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
    (void)json_object_set_new(a->json, "revision", json_integer((json_int_t)v.moment.revision));
    if (v.is_past)
        add_today(app, &question, y, a);
    view_stamp(&v, a);
}

static json_t *endpoint_json(const struct world *w, const struct endpoint *e)
{
    const struct end *end = &w->ends[e - w->inventory->endpoints];
    static const char *const enforcers[] = {"host", "edge", "nft", "switch"};
    json_t *labels = json_object(), *addresses = json_array(), *groups = json_array(),
           *places = json_array();
    char text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < e->n_labels; i++)
        (void)json_object_set_new(labels, e->labels[i].key, json_any_text(e->labels[i].value));
    for (size_t i = 0; i < e->n_addresses; i++)
        (void)json_array_append_new(addresses, json_string(address_format(&e->addresses[i], text)));
    for (uint32_t i = 0; i < w->policy->n_groups; i++)
        if (group_set_has(&end->groups, i))
            (void)json_array_append_new(groups, json_any_text(w->policy->groups[i].name));
    for (size_t i = 0; i < ARRAY_SIZE(enforcers); i++)
        if (e->enforcers & (1u << i))
            (void)json_array_append_new(places, json_string(enforcers[i]));
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "name", e->name, "trust",
                     trust_name(e->trust), "mode", mode_name(end->mode), "addresses", addresses,
                     "groups", groups, "labels", labels, "enforcers", places);
}

void get_endpoints(void *user, const struct http_request *q, struct http_response *a)
{
    struct page page;
    struct view v;
    json_t *list;

    if (!page_read(q, &page, a) || !view_open(user, q, a, &v))
        return;
    list = json_array();
    for (size_t i = 0; i < v.world->inventory->n_endpoints; i++)
        if (page_wants(&page, v.world->inventory->endpoints[i].name, json_array_size(list)) &&
            app_sees(user, q->who, v.world->inventory->endpoints[i].name))
            (void)json_array_append_new(list,
                                        endpoint_json(v.world, &v.world->inventory->endpoints[i]));
    http_ok(a, list);
}

void get_endpoint(void *user, const struct http_request *q, struct http_response *a)
{
    const struct endpoint *e;
    struct view v;

    if (!view_open(user, q, a, &v))
        return;
    e = inventory_endpoint(v.world->inventory, q->param);
    if (e)
        http_ok(a, endpoint_json(v.world, e));
    else
        http_problem(a, 404, "no endpoint \"%s\" in the inventory%s", q->param,
                     v.is_past ? " of then" : "");
    view_stamp(&v, a);
}

static json_t *group_json(const struct world *w, uint32_t index)
{
    static const char *const kinds[] = {"match", "members", "outside"};
    const struct group *g = &w->policy->groups[index];
    json_t *members = json_array();
    char text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        if (group_set_has(&w->ends[i].groups, index))
            (void)json_array_append_new(members, json_any_text(w->inventory->endpoints[i].name));
    for (size_t i = 0; i < g->n_prefixes; i++)
        (void)json_array_append_new(
            members, json_string(address_format_prefix(&g->prefixes[i].address,
                                                       g->prefixes[i].length, text)));
    return json_pack("{s:s,s:s,s:o}", "name", g->name, "kind", kinds[g->kind], "members", members);
}

void get_groups(void *user, const struct http_request *q, struct http_response *a)
{
    struct view v;
    json_t *list;

    if (!view_open(user, q, a, &v))
        return;
    list = json_array();
    for (uint32_t i = 0; i < v.world->policy->n_groups; i++)
        (void)json_array_append_new(list, group_json(v.world, i));
    http_ok(a, list);
}

void get_group(void *user, const struct http_request *q, struct http_response *a)
{
    const struct group *g;
    struct view v;

    if (!view_open(user, q, a, &v))
        return;
    g = policy_group(v.world->policy, q->param);
    if (g)
        http_ok(a, group_json(v.world, (uint32_t)(g - v.world->policy->groups)));
    else
        http_problem(a, 404, "no group \"%s\" in the policy%s", q->param,
                     v.is_past ? " of then" : "");
    view_stamp(&v, a);
}

void get_services(void *user, const struct http_request *q, struct http_response *a)
{
    const struct policy *p;
    struct view v;
    json_t *list;

    if (!view_open(user, q, a, &v))
        return;
    p = v.world->policy;
    list = json_array();
    for (size_t i = 0; i < p->n_named_services; i++) {
        const struct service *s = &p->services[i];
        json_t *ports = json_array();

        for (size_t k = 0; k < s->n_ports; k++) {
            const struct port_range *range = &s->ports[k];
            char text[32];

            (void)snprintf(text, sizeof(text), range->low == range->high ? "%s/%u" : "%s/%u-%u",
                           range->protocol == IPPROTO_TCP   ? "tcp"
                           : range->protocol == IPPROTO_UDP ? "udp"
                                                            : "icmp",
                           range->low, range->high);
            (void)json_array_append_new(ports, json_string(text));
        }
        (void)json_array_append_new(list, json_pack("{s:s,s:o,s:I}", "name", s->name, "ports",
                                                    ports, "functions", (json_int_t)s->n_modbus));
    }
    http_ok(a, list);
}

static void set_trust(struct app *app, enum trust trust, const struct http_request *q,
                      struct http_response *a)
{
    static const char *const fields[] = {"reason"};
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    const char *reason = json_text(body, "reason");
    uint64_t revision = 0;
    int r;

    if (!body)
        return;
    if (!reason[0] || strlen(reason) > MODEL_TEXT_LEN) {
        http_problem(a, 422, "reason: required, at most %d bytes", MODEL_TEXT_LEN);
        return;
    }
    r = desired_set_trust(app->desired, q->param, trust, reason, q->who->actor, clock_unix_s(),
                          &revision);
    if (r == -ENOENT)
        http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
    else if (r < 0)
        app_fail(a, r, "trust");
    else
        http_ok(a, json_pack("{s:s,s:s,s:I}", "endpoint", q->param, "trust", trust_name(trust),
                             "revision", (json_int_t)revision));
}

void post_quarantine(void *user, const struct http_request *q, struct http_response *a)
{
    set_trust(user, TRUST_BLACK, q, a);
}

void post_release(void *user, const struct http_request *q, struct http_response *a)
{
    set_trust(user, TRUST_WHITE, q, a);
}
