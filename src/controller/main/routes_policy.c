/* SPDX-License-Identifier: Apache-2.0 */
/* Policy, inventory, and questions to them. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "base/number.h"
#include "controller/json.h"
#include "controller/main/app.h"
#include "core/world.h"
#include "text/decode.h"
#include "text/query.h"
#include "text/report.h"
#include "text/why_report.h"

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static void get_document(struct app *app, const char *what, const struct http_request *q,
                         struct http_response *a)
{
    const char *version = http_query(q, "version");
    uint64_t n = 0;
    json_t *document = NULL;
    int r;

    if (version && number_parse(version, strlen(version), INT64_MAX, &n) < 0) {
        http_problem(a, 400, "version must be a number");
        return;
    }
    r = desired_version(app->desired, what, n, &document);
    if (r == -ENOENT) {
        http_problem(a, 404,
                     version ? "no such version in the history"
                             : "none was applied yet: everything is in learn mode");
        return;
    }
    if (r < 0) {
        app_fail(a, r, what);
        return;
    }
    (void)snprintf(a->etag, sizeof(a->etag), "\"%" PRIu64 "\"", json_uint(document, "version"));
    http_ok(a, document);
}

void get_policy(void *user, const struct http_request *q, struct http_response *a)
{
    get_document(user, "policy", q, a);
}

void get_inventory(void *user, const struct http_request *q, struct http_response *a)
{
    get_document(user, "inventory", q, a);
}

static void get_history(struct app *app, const char *what, struct http_response *a)
{
    json_t *list = NULL;
    int r = desired_versions(app->desired, what, &list);

    if (r < 0)
        app_fail(a, r, what);
    else
        http_ok(a, list);
}

void get_policy_history(void *user, const struct http_request *q, struct http_response *a)
{
    (void)q;
    get_history(user, "policy", a);
}

void get_inventory_history(void *user, const struct http_request *q, struct http_response *a)
{
    (void)q;
    get_history(user, "inventory", a);
}

void get_policy_diff(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const char *from = http_query(q, "from"), *to = http_query(q, "to");
    CLEANUP(meaning_done) struct meaning m = {.text = NULL};
    uint64_t versions[2] = {0, desired_head(app->desired)->policy};
    int r;

    if (!from || number_parse(from, strlen(from), INT64_MAX, &versions[0]) < 0 ||
        (to && number_parse(to, strlen(to), INT64_MAX, &versions[1]) < 0)) {
        http_problem(a, 400, "from and to must be versions; from is required");
        return;
    }
    r = desired_compare(app->desired, versions[0], versions[1], now_s(), &m);
    if (r == -ENOENT) {
        http_problem(a, 404, "no such version in the history");
        return;
    }
    if (r < 0) {
        app_fail(a, r, "policy");
        return;
    }
    http_ok(a, json_pack("{s:I,s:I,s:o,s:o}", "from", (json_int_t)versions[0], "to",
                         (json_int_t)versions[1], "diff", json_loads(m.json, 0, NULL), "diff_text",
                         json_any_text(m.text)));
}

/* "\"12\"" or 12; absent: any. */
static int base_of(const struct http_request *q, uint64_t *ret_version, struct http_response *a)
{
    const char *s = q->if_match;
    size_t len = s ? strlen(s) : 0;

    if (!s || strcmp(s, "*") == 0)
        return 0;
    if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
        s++;
        len -= 2;
    }
    if (number_parse(s, len, INT64_MAX, ret_version) == 0)
        return 0;
    http_problem(a, 400, "If-Match: expected a version, as in the ETag");
    return -EINVAL;
}

/* Files of a body, borrowed from it.  -EINVAL: not a list of {name, text}. */
static int files_of(const json_t *list, struct source **ret_sources, size_t *ret_n)
{
    struct source *sources;
    const json_t *file;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > SOURCE_FILES)
        return -EINVAL;
    sources = xcalloc(json_array_size(list), sizeof(*sources));
    json_array_foreach(list, i, file)
    {
        const json_t *name = json_object_get(file, "name"), *text = json_object_get(file, "text");

        if (!json_is_string(name) || !json_is_string(text)) {
            free(sources);
            return -EINVAL;
        }
        sources[i] = (struct source){.name = json_string_value(name),
                                     .data = json_string_value(text),
                                     .size = json_string_length(text)};
    }
    *ret_sources = sources;
    *ret_n = i;
    return 0;
}

static json_t *findings_of(const struct diagnostics *d)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    json_t *findings;

    report_json(&text, d);
    findings = json_loads(buf_str(&text), 0, NULL);
    return findings ? findings : json_array();
}

static json_t *failed_of(const struct desired_outcome *o)
{
    return json_pack("{s:I,s:I}", "tests", (json_int_t)o->failed_tests, "proofs",
                     (json_int_t)o->failed_proofs);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void refuse_change(struct http_response *a, const struct diagnostics *d,
                          const struct desired_outcome *o)
{
    size_t failed = o->failed_tests + o->failed_proofs;

    if (d->n_errors > failed)
        http_problem(a, 422, "%zu error(s), %zu warning(s); nothing was changed", d->n_errors,
                     d->n_warnings);
    else
        http_problem(a, 422,
                     "%zu test%s and %zu proof%s of the policy fail%s; nothing was changed: mend "
                     "them, or give a reason to override them (apply --force REASON)",
                     o->failed_tests, plural(o->failed_tests), o->failed_proofs,
                     plural(o->failed_proofs), failed == 1 ? "s" : "");
    (void)json_object_set_new(a->json, "findings", findings_of(d));
    (void)json_object_set_new(a->json, "failed", failed_of(o));
}

static void answer_change(struct http_response *a, int r, const struct diagnostics *d,
                          const struct desired_outcome *o, const char *what,
                          const struct desired_change *c)
{
    if (r == -EBADMSG) {
        refuse_change(a, d, o);
        return;
    }
    if (r == -ESTALE) {
        http_problem(a, 412,
                     "somebody has changed it meanwhile: policy %" PRIu64 " and inventory %" PRIu64
                     " are in force; look again what the change means now",
                     o->policy, o->inventory);
        return;
    }
    if (r < 0) {
        app_fail(a, r, what);
        return;
    }
    (void)snprintf(a->etag, sizeof(a->etag), "\"%" PRIu64 "\"", o->revision);
    http_ok(a, json_pack("{s:I,s:b,s:I,s:{s:I,s:I},s:o,s:o}", "revision", (json_int_t)o->revision,
                         "applied", !c->dry_run, "confirm_s", (json_int_t)c->confirm_s, "base",
                         "policy", (json_int_t)o->policy, "inventory", (json_int_t)o->inventory,
                         "overridden", failed_of(o), "findings", findings_of(d)));
    if (!o->meaning.text)
        return;
    (void)json_object_set_new(a->json, "diff", json_loads(o->meaning.json, 0, NULL));
    (void)json_object_set_new(a->json, "diff_text", json_any_text(o->meaning.text));
}

static int read_version(const json_t *base, const char *key, uint64_t *ret_version)
{
    const json_t *v = json_object_get(base, key);

    if (!v)
        return 0;
    *ret_version = json_uint(base, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? 0 : -EINVAL;
}

/* {"policy": N, "inventory": N}: what must still be in force.  Beside If-Match, which takes one. */
static int read_base(const json_t *body, struct desired_change *c, struct http_response *a)
{
    const json_t *base = json_object_get(body, "base");

    if (!base || (json_is_object(base) && read_version(base, "policy", &c->base_policy) == 0 &&
                  read_version(base, "inventory", &c->base_inventory) == 0))
        return 0;
    http_problem(a, 422, "base: expected {\"policy\": VERSION, \"inventory\": VERSION}");
    return -EINVAL;
}

static int read_force(const json_t *body, struct desired_change *c, struct http_response *a)
{
    const json_t *force = json_object_get(body, "force");
    const char *why = "a text";

    if (!force)
        return 0;
    c->force = json_string_value(force);
    if (c->force && grammar_accepts(GRAMMAR_TEXT, c->force, &why))
        return 0;
    http_problem(a, 422,
                 "force: expected the reason why failing tests and proofs shall not "
                 "matter: %s",
                 why);
    return -EINVAL;
}

static int read_change(const json_t *body, struct desired_change *c, struct http_response *a)
{
    uint64_t confirm_s = json_uint(body, "confirm_s");

    if (read_base(body, c, a) < 0 || read_force(body, c, a) < 0)
        return -EINVAL;
    if (confirm_s > DESIRED_MAX_CONFIRM_S) {
        http_problem(a, 422, "confirm_s: at most %d", DESIRED_MAX_CONFIRM_S);
        return -EINVAL;
    }
    c->confirm_s = (uint32_t)confirm_s;
    c->dry_run = json_is_true(json_object_get(body, "dry_run"));
    c->comment = json_text(body, "comment");
    return 0;
}

void put_policy(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files",   "inventory", "confirm_s", "comment",
                                         "dry_run", "base",      "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(free_voidp) struct source *policy = NULL;
    CLEANUP(free_voidp) struct source *inventory = NULL;
    const json_t *second = json_object_get(body, "inventory");
    struct desired_change c = {
        .base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY, .actor = q->actor};
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";
    int r;

    if (!body || base_of(q, &c.base_policy, a) < 0 || read_change(body, &c, a) < 0)
        return;
    if (files_of(json_object_get(body, "files"), &policy, &c.n_policy) < 0 ||
        (second && files_of(second, &inventory, &c.n_inventory) < 0)) {
        http_problem(a, 422, "files: expected a list of {\"name\": ..., \"text\": ...}");
        return;
    }
    c.policy = policy;
    c.inventory = c.n_inventory ? inventory : NULL;
    r = desired_apply(app->desired, &c, now_s(), d, &o, &what);
    answer_change(a, r, d, &o, what, &c);
}

void put_inventory(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files",   "confirm_s", "comment",
                                         "dry_run", "base",      "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(free_voidp) struct source *inventory = NULL;
    struct desired_change c = {
        .base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY, .actor = q->actor};
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";
    int r;

    if (!body || base_of(q, &c.base_inventory, a) < 0 || read_change(body, &c, a) < 0)
        return;
    if (files_of(json_object_get(body, "files"), &inventory, &c.n_inventory) < 0) {
        http_problem(a, 422, "files: expected a list of {\"name\": ..., \"text\": ...}");
        return;
    }
    c.inventory = inventory;
    r = desired_apply(app->desired, &c, now_s(), d, &o, &what);
    answer_change(a, r, d, &o, what, &c);
}

void post_confirm(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = desired_confirm(app->desired, q->actor);

    if (r == -ENOENT)
        http_problem(a, 404,
                     "nothing waits for confirmation: it was confirmed, or rolled back already");
    else if (r < 0)
        app_fail(a, r, "confirm");
    else
        http_ok(a,
                json_pack("{s:I}", "revision", (json_int_t)desired_head(app->desired)->revision));
}

void post_rollback(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"version", "confirm_s", "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct desired_change c = {.actor = q->actor};
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";
    int r;

    if (!body || read_change(body, &c, a) < 0)
        return;
    r = desired_roll_back(app->desired, json_uint(body, "version"), &c, now_s(), d, &o, &what);
    if (r == -ENOENT)
        http_problem(a, 404, "no such version in the history");
    else
        answer_change(a, r, d, &o, what, &c);
}

void post_why(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const struct generation *g = desired_current(app->desired);
    CLEANUP(query_done) struct query query = {.json = NULL};
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(why_freep) struct why *y = NULL;
    struct why_question question;
    const char *field = "";

    if (q->body_size > QUERY_MAX) {
        http_problem(a, 413, "a query of at most %d bytes", QUERY_MAX);
        return;
    }
    if (query_read_why(q->body, q->body_size, g->policy, &query, &field, &text) < 0) {
        http_problem(a, 422, "%s%s%s", field, field[0] ? ": " : "", buf_str(&text));
        return;
    }
    question = query_question(&query);
    y = why_new(desired_world(app->desired, now_s()), &question);
    buf_reset(&text);
    why_report_json(&text, y);
    http_ok(a, json_loads(buf_str(&text), 0, NULL));
    buf_reset(&text);
    why_report_text(&text, y);
    (void)json_object_set_new(a->json, "text", json_any_text(buf_str(&text)));
    (void)json_object_set_new(a->json, "revision", json_integer((json_int_t)g->revision));
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

static const struct world *world_of(struct app *app)
{
    return desired_world(app->desired, now_s());
}

void get_endpoints(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    json_t *list = json_array();

    (void)q;
    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        (void)json_array_append_new(list, endpoint_json(w, &w->inventory->endpoints[i]));
    http_ok(a, list);
}

void get_endpoint(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    const struct endpoint *e = inventory_endpoint(w->inventory, q->param);

    if (e)
        http_ok(a, endpoint_json(w, e));
    else
        http_problem(a, 404, "no endpoint \"%s\" in the inventory", q->param);
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
    const struct world *w = world_of(user);
    json_t *list = json_array();

    (void)q;
    for (uint32_t i = 0; i < w->policy->n_groups; i++)
        (void)json_array_append_new(list, group_json(w, i));
    http_ok(a, list);
}

void get_group(void *user, const struct http_request *q, struct http_response *a)
{
    const struct world *w = world_of(user);
    const struct group *g = policy_group(w->policy, q->param);

    if (g)
        http_ok(a, group_json(w, (uint32_t)(g - w->policy->groups)));
    else
        http_problem(a, 404, "no group \"%s\" in the policy", q->param);
}

void get_services(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    const struct policy *p = desired_current(app->desired)->policy;
    json_t *list = json_array();

    (void)q;
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
    r = desired_set_trust(app->desired, q->param, trust, reason, q->actor, now_s(), &revision);
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
