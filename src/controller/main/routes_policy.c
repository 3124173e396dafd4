/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and inventory as documents, and changes of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "sys/clock.h"
#include "text/decode.h"
#include "text/report.h"

static void get_document(struct app *app, const char *what, const struct http_request *q,
                         struct http_response *a)
{
    const char *version = http_query(q, "version");
    uint64_t n = 0;
    json_t *document = NULL;
    struct view v;
    int r;

    if (version && number_parse(version, strlen(version), INT64_MAX, &n) < 0) {
        http_problem(a, 400, "version must be a number");
        return;
    }
    if (!view_open(app, q, a, &v))
        return;
    if (v.is_past && version) {
        http_problem(a, 400, "version, at and revision exclude each other");
        return;
    }
    if (v.is_past) {
        n = strcmp(what, "policy") == 0 ? v.moment.policy : v.moment.inventory;
        if (!n) {
            http_problem(a, 404, "none had been applied then: everything was in learn mode");
            return;
        }
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
    view_stamp(&v, a);
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
    r = desired_compare(app->desired, versions[0], versions[1], clock_unix_s(), &m);
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

int app_files(const json_t *list, struct source **ret_sources, size_t *ret_n)
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

/* Trying needs a right of its own, and applying another one; with four eyes nobody but root applies
 * what no other person has proposed. */
static bool refuse_apply(const struct app *app, const struct http_request *q, bool dry_run,
                         struct http_response *a)
{
    if (dry_run)
        return false;
    if (!who_may(q->who, RIGHT_APPLY)) {
        http_problem_field(a, 403, "dry_run", "\"dry_run\": true, or propose a draft",
                           "the role %s may try a change, not apply it", role_name(q->who->role));
        return true;
    }
    if (app->four_eyes && !q->who->is_root) {
        http_problem(a, 403,
                     "four eyes: one person proposes a draft (POST /api/v1/policy/drafts), another "
                     "applies it");
        return true;
    }
    return false;
}

/* Whoever replaces something says what he has seen: If-Match, or base in the body. */
static bool refuse_blind(const struct http_request *q, const json_t *body,
                         const struct desired_change *c, struct http_response *a)
{
    if (c->dry_run || q->if_match || json_object_get(body, "base"))
        return false;
    http_problem_field(a, 428, "If-Match", "If-Match: \"VERSION\" from the ETag, or * for any",
                       "say which version this was written against, or it may undo what somebody "
                       "else has just applied");
    return true;
}

static void refuse_files(struct http_response *a, const char *field)
{
    http_problem_field(a, 422, field, "[{\"name\": \"shop.yaml\", \"text\": \"suimitsu: 1\"}]",
                       "%s: expected a list of {\"name\": ..., \"text\": ...}", field);
}

/* Carries out a change whose base and options have been read into 'c'. */
static void apply_files(struct app *app, const json_t *first, const json_t *second,
                        struct desired_change *c, struct http_response *a)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(free_voidp) struct source *policy = NULL;
    CLEANUP(free_voidp) struct source *inventory = NULL;
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";
    int r;

    if (first && app_files(first, &policy, &c->n_policy) < 0) {
        refuse_files(a, "files");
        return;
    }
    if (second && app_files(second, &inventory, &c->n_inventory) < 0) {
        refuse_files(a, first ? "inventory" : "files");
        return;
    }
    c->policy = policy;
    c->inventory = c->n_inventory || !first ? inventory : NULL;
    r = desired_apply(app->desired, c, clock_unix_s(), d, &o, &what);
    answer_change(a, r, d, &o, what, c);
}

void put_policy(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files",   "inventory", "confirm_s", "comment",
                                         "dry_run", "base",      "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    struct desired_change c = {
        .base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY, .actor = q->who->actor};

    if (!body || base_of(q, &c.base_policy, a) < 0 || read_change(body, &c, a) < 0 ||
        refuse_apply(app, q, c.dry_run, a) || refuse_blind(q, body, &c, a))
        return;
    if (!json_object_get(body, "files")) {
        refuse_files(a, "files");
        return;
    }
    apply_files(app, json_object_get(body, "files"), json_object_get(body, "inventory"), &c, a);
}

void put_inventory(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"files",   "confirm_s", "comment",
                                         "dry_run", "base",      "force"};
    struct app *app = user;
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    struct desired_change c = {
        .base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY, .actor = q->who->actor};

    if (!body || base_of(q, &c.base_inventory, a) < 0 || read_change(body, &c, a) < 0 ||
        refuse_apply(app, q, c.dry_run, a) || refuse_blind(q, body, &c, a))
        return;
    if (!json_object_get(body, "files")) {
        refuse_files(a, "files");
        return;
    }
    apply_files(app, NULL, json_object_get(body, "files"), &c, a);
}

void app_apply(struct app *app, const struct http_request *q, const json_t *body, bool dry_run,
               struct http_response *a)
{
    struct desired_change c = {
        .base_policy = DESIRED_ANY, .base_inventory = DESIRED_ANY, .actor = q->who->actor};
    const json_t *files = json_object_get(body, "files");

    if (!files && !json_object_get(body, "inventory")) {
        refuse_files(a, "files");
        return;
    }
    if (read_change(body, &c, a) < 0)
        return;
    c.dry_run = dry_run;
    apply_files(app, files, json_object_get(body, "inventory"), &c, a);
}

void post_confirm(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;
    int r = desired_confirm(app->desired, q->who->actor);

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
    struct desired_change c = {.actor = q->who->actor};
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";
    int r;

    if (!body || read_change(body, &c, a) < 0)
        return;
    r = desired_roll_back(app->desired, json_uint(body, "version"), &c, clock_unix_s(), d, &o,
                          &what);
    if (r == -ENOENT)
        http_problem(a, 404, "no such version in the history");
    else
        answer_change(a, r, d, &o, what, &c);
}
