/* SPDX-License-Identifier: Apache-2.0 */
/* Every change: read, check, compile, commit, swap, tell; see desired.h. */
#include "controller/desired.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/date.h"
#include "base/log.h"
#include "controller/audit.h"
#include "controller/json.h"
#include "controller/timeline.h"
#include "controller/versions.h"
#include "core/lint.h"
#include "core/proof.h"

enum { KEY_SIZE = 96, MAX_LISTENERS = 4 };

struct desired {
    struct store *store;
    struct program_lifeline lifeline[PROGRAM_MAX_LIFELINE];
    size_t n_lifeline;
    struct desired_head head;
    uint64_t head_stored; /* Store revision of desired/head. */
    struct generation *current;
    struct compiled *compiled;
    struct world *world; /* Of the current generation; NULL: nobody has asked yet. */
    uint64_t world_revision;
    struct timeline *timeline;
    struct desired_listener listeners[MAX_LISTENERS];
    size_t n_listeners;
};

void desired_free(struct desired *d)
{
    if (!d)
        return;
    world_free(d->world);
    generation_free(d->current);
    compiled_free(d->compiled);
    timeline_free(d->timeline);
    free(d);
}

void desired_outcome_done(struct desired_outcome *o)
{
    meaning_done(&o->meaning);
}

void desired_listen(struct desired *d, const struct desired_listener *listener)
{
    if (d->n_listeners == MAX_LISTENERS)
        abort(); /* Our own bug. */
    d->listeners[d->n_listeners++] = *listener;
}

const struct generation *desired_current(const struct desired *d)
{
    return d->current;
}

struct compiled *desired_compiled(const struct desired *d)
{
    return d->compiled;
}

const struct desired_head *desired_head(const struct desired *d)
{
    return &d->head;
}

const struct timeline *desired_timeline(const struct desired *d)
{
    return d->timeline;
}

struct store *desired_store(const struct desired *d)
{
    return d->store;
}

static void forget_world(struct desired *d)
{
    world_free(d->world);
    d->world = NULL;
}

const struct world *desired_world(struct desired *d, int64_t now_s)
{
    if (d->world && (d->world_revision != d->current->revision ||
                     d->world->now_s / DATE_DAY_S != now_s / DATE_DAY_S))
        forget_world(d);
    if (!d->world)
        d->world = world_new(d->current->policy, d->current->inventory, now_s);
    d->world_revision = d->current->revision;
    return d->world;
}

static enum trust trust_parse(const char *name)
{
    return strcmp(name, "black") == 0  ? TRUST_BLACK
           : strcmp(name, "grey") == 0 ? TRUST_GREY
                                       : TRUST_WHITE;
}

/* Trust states given by people and reactions lie over the inventory's own. */
static int overlay_trust(struct desired *d, struct inventory *inventory)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    int r = store_list(d->store, "trust/", NULL, false, MODEL_MAX_ENDPOINTS, &list);

    if (r < 0)
        return r;
    for (size_t i = 0; i < list.n; i++) {
        CLEANUP(json_decrefp)
        json_t *document = json_loadb(list.items[i].data, list.items[i].size, 0, NULL);

        (void)inventory_set_trust(inventory, list.items[i].key + strlen("trust/"),
                                  trust_parse(json_text(document, "state"))); /* Gone: fine. */
    }
    return 0;
}

/* Reads; the result is neither checked nor compiled yet. */
static int read_generation(struct desired *d, const struct version_files *policy,
                           const struct version_files *inventory, struct diagnostics *diagnostics,
                           struct generation **ret_g)
{
    CLEANUP(generation_freep) struct generation *g = NULL;
    int r = generation_read(policy, inventory, diagnostics, &g);

    if (r == 0)
        r = overlay_trust(d, g->inventory);
    if (r == 0)
        *ret_g = TAKE_PTR(g);
    return r;
}

/* As read_generation(), of a change.  What it does not change is not read again: the inventory of a
 * large enterprise takes longer than all the rest of a change of policy.  It stays the current
 * generation's until swap_in(). */
static int read_change(struct desired *d, const struct desired_change *c,
                       const struct version_files *policy, const struct version_files *inventory,
                       struct diagnostics *diagnostics, struct generation **ret_g)
{
    CLEANUP(generation_freep) struct generation *g = NULL;
    int r;

    if (c->inventory || !d->current)
        return read_generation(d, policy, inventory, diagnostics, ret_g);
    g = xcalloc(1, sizeof(*g));
    g->inventory = d->current->inventory;
    g->borrows_inventory = true;
    r = policy_read(policy->sources, policy->n, diagnostics, &g->policy);
    if (r == 0)
        *ret_g = TAKE_PTR(g);
    return r;
}

/* Whether a person may want this, and for a dry run what it would mean. */
static int check_generation(const struct desired *d, const struct generation *g,
                            const struct desired_change *c, int64_t now_s,
                            struct diagnostics *diagnostics, struct desired_outcome *o)
{
    CLEANUP(world_freep) struct world *after = world_new(g->policy, g->inventory, now_s);
    CLEANUP(world_freep) struct world *before = NULL;
    size_t failed;

    policy_lint(after, true, diagnostics);
    (void)policy_run_tests(after, diagnostics); /* Failures are errors in 'diagnostics'. */
    (void)policy_run_proofs(after, diagnostics);
    o->failed_tests = diagnostics->n_of[CODE_TEST];
    o->failed_proofs = diagnostics->n_of[CODE_PROOF];
    failed = o->failed_tests + o->failed_proofs;
    if (diagnostics->n_errors > failed || (failed && !c->force))
        return -EBADMSG;
    if (c->dry_run) {
        before = world_new(d->current->policy, d->current->inventory, now_s);
        (void)meaning_of(before, after, &o->meaning); /* It says itself when there is none. */
    }
    return 0;
}

/* Whether it is within what programs can number is found out apart, before anything is stored:
 * what is in force must not be half changed. */
static int try_to_compile(struct desired *d, const struct generation *g, int64_t now_s,
                          struct compiled **ret_c, const char **ret_what)
{
    struct compile_options options = {
        .revision = d->head.revision + 1,
        .now_s = now_s,
        .lifeline = d->lifeline,
        .n_lifeline = d->n_lifeline,
        .previous = d->compiled,
    };

    return compile(g->policy, g->inventory, &options, ret_c, ret_what);
}

static void put_head(struct desired *d, struct store_transaction *t, const struct desired_head *h)
{
    CLEANUP(json_decrefp)
    json_t *document = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "revision", (json_int_t)h->revision, "policy",
        (json_int_t)h->policy, "inventory", (json_int_t)h->inventory, "trust_sequence",
        (json_int_t)h->trust_sequence, "confirm_revision", (json_int_t)h->confirm_revision,
        "confirm_policy", (json_int_t)h->confirm_policy, "confirm_inventory",
        (json_int_t)h->confirm_inventory, "confirm_deadline_s", (json_int_t)h->confirm_deadline_s);

    store_expect(t, "desired/head", d->head_stored);
    version_put_json(t, "desired/head", document);
}

static int get_head(struct desired *d)
{
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    CLEANUP(json_decrefp) json_t *j = NULL;
    int r = store_get(d->store, "desired/head", &item);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    j = json_loadb(item.data, item.size, 0, NULL);
    if (!j)
        return -EUCLEAN;
    d->head = (struct desired_head){
        .revision = json_uint(j, "revision"),
        .policy = json_uint(j, "policy"),
        .inventory = json_uint(j, "inventory"),
        .trust_sequence = json_uint(j, "trust_sequence"),
        .confirm_revision = json_uint(j, "confirm_revision"),
        .confirm_policy = json_uint(j, "confirm_policy"),
        .confirm_inventory = json_uint(j, "confirm_inventory"),
        .confirm_deadline_s = (int64_t)json_uint(j, "confirm_deadline_s"),
    };
    d->head_stored = item.revision;
    return 0;
}

static int commit(struct desired *d, struct store_transaction *t, const struct desired_head *head)
{
    int r;

    put_head(d, t, head);
    r = store_commit(d->store, t, &d->head_stored);
    if (r < 0)
        return r;
    d->head = *head;
    return 0;
}

/* The same for a head with a new revision, which has an instant; 'trusted' says whose trust it
 * changed, who did that and why; NULL: nobody's. */
static int commit_revision(struct desired *d, struct store_transaction *t,
                           const struct desired_head *head, int64_t now_s,
                           const struct timeline_event *trusted)
{
    struct timeline_event e = trusted ? *trusted : (struct timeline_event){.endpoint = NULL};
    int r;

    e.revision = head->revision;
    e.time_s = now_s;
    e.policy = head->policy;
    e.inventory = head->inventory;
    timeline_put(d->timeline, t, &e);
    r = commit(d, t, head);
    if (r == 0)
        timeline_add(d->timeline, &e);
    return r;
}

/* What was changed in the compiled policy is in force as 'revision' now. */
static void tell(struct desired *d)
{
    for (size_t i = 0; i < d->n_listeners; i++)
        if (d->listeners[i].generation)
            d->listeners[i].generation(d->listeners[i].user);
}

static void commit_compiled(struct desired *d, int64_t now_s)
{
    const char *what;

    if (compiled_commit(d->compiled, d->head.revision, now_s, &what) < 0)
        abort(); /* Our own bug: try_to_compile() said that it fits. */
    d->current->revision = d->head.revision;
    tell(d);
}

/* Takes both; 'tried' is what the first generation of this run starts from. */
static void swap_in(struct desired *d, struct generation *g, struct compiled **tried, int64_t now_s)
{
    forget_world(d);
    if (g->borrows_inventory) {
        g->borrows_inventory = false;
        d->current->inventory = NULL;
    }
    generation_free(d->current);
    d->current = g;
    if (d->compiled) {
        compiled_put_all(d->compiled, g->policy, g->inventory);
        commit_compiled(d, now_s);
        return;
    }
    d->compiled = TAKE_PTR(*tried);
    g->revision = d->head.revision;
    tell(d);
}

static void clear_confirm(struct desired_head *h)
{
    h->confirm_revision = h->confirm_policy = h->confirm_inventory = 0;
    h->confirm_deadline_s = 0;
}

/* Compiles what 'head' names as its revision, commits, swaps. */
static int renew(struct desired *d, struct desired_head head, int64_t now_s,
                 struct store_transaction *t, const char **ret_what)
{
    CLEANUP(version_files_done) struct version_files policy = {.document = NULL};
    CLEANUP(version_files_done) struct version_files inventory = {.document = NULL};
    CLEANUP(diagnostics_freep) struct diagnostics *ignored = diagnostics_new();
    CLEANUP(generation_freep) struct generation *g = NULL;
    CLEANUP(compiled_freep) struct compiled *tried = NULL;
    int r;

    *ret_what = "a stored policy or inventory cannot be read";
    r = version_files_get(d->store, "policy", head.policy, &policy);
    if (r == 0)
        r = version_files_get(d->store, "inventory", head.inventory, &inventory);
    if (r == 0)
        r = read_generation(d, &policy, &inventory, ignored, &g);
    if (r < 0 || !g)
        return r == -EBADMSG || r == -ENOENT ? -EUCLEAN : r;
    r = try_to_compile(d, g, now_s, &tried, ret_what);
    if (r < 0)
        return r;
    *ret_what = "the store does not take the new revision";
    r = commit_revision(d, t, &head, now_s, NULL);
    if (r < 0)
        return r;
    swap_in(d, TAKE_PTR(g), &tried, now_s);
    return 0;
}

static int roll_back_unconfirmed(struct desired *d, int64_t now_s, const char **ret_what)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct desired_head head = d->head;
    char detail[128];
    int r;

    (void)snprintf(detail, sizeof(detail),
                   "revision %" PRIu64 " was not confirmed in time; policy %" PRIu64
                   " is in force again",
                   head.confirm_revision, head.confirm_policy);
    head.policy = head.confirm_policy;
    head.inventory = head.confirm_inventory;
    head.revision++;
    clear_confirm(&head);
    r = audit_add(d->store, t,
                  &(struct audit_entry){.actor = "suimitsud",
                                        .action = "policy.rollback",
                                        .object = "policy",
                                        .detail = detail});
    if (r == 0)
        r = renew(d, head, now_s, t, ret_what);
    if (r == 0)
        log_warn("policy: %s", detail);
    return r;
}

int desired_open(struct store *s, const struct program_lifeline *lifeline, size_t n_lifeline,
                 int64_t now_s, struct desired **ret_d, const char **ret_what)
{
    CLEANUP(desired_freep) struct desired *d = xcalloc(1, sizeof(*d));
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct desired_head head;
    int r;

    d->store = s;
    d->n_lifeline = n_lifeline < PROGRAM_MAX_LIFELINE ? n_lifeline : PROGRAM_MAX_LIFELINE;
    if (d->n_lifeline)
        memcpy(d->lifeline, lifeline, d->n_lifeline * sizeof(*lifeline));
    *ret_what = "desired/head cannot be read";
    r = get_head(d);
    if (r < 0)
        return r;
    *ret_what = "the timeline cannot be read";
    r = timeline_open(s, &d->timeline);
    if (r < 0)
        return r;
    if (d->head.confirm_revision && now_s >= d->head.confirm_deadline_s) {
        r = roll_back_unconfirmed(d, now_s, ret_what);
    } else {
        head = d->head;
        head.revision++;
        r = renew(d, head, now_s, t, ret_what);
    }
    if (r < 0)
        return r;
    *ret_d = TAKE_PTR(d);
    return 0;
}

static bool is_forced(const struct desired_outcome *o)
{
    return o->failed_tests || o->failed_proofs;
}

/* Who forced it, over what, and why, stands in the same transaction as the change. */
static int audit_change(struct desired *d, struct store_transaction *t,
                        const struct desired_change *c, const struct desired_outcome *o,
                        uint64_t revision, const char *before, const char *after)
{
    CLEANUP(buf_done) struct buf detail = BUF_INIT;
    char what[128];
    struct audit_entry entry = {
        .actor = c->actor, .object = what, .detail = c->comment, .before = before, .after = after};

    (void)snprintf(what, sizeof(what), "%s%s%s, revision %" PRIu64, c->policy ? "policy" : "",
                   c->policy && c->inventory ? " and " : "", c->inventory ? "inventory" : "",
                   revision);
    entry.action = c->policy ? "policy.apply" : "inventory.apply";
    if (is_forced(o)) {
        entry.action = c->policy ? "policy.force" : "inventory.force";
        buf_printf(&detail, "forced over %zu E-TEST and %zu E-PROOF: %s", o->failed_tests,
                   o->failed_proofs, c->force);
        if (c->comment && c->comment[0])
            buf_printf(&detail, "; %s", c->comment);
        entry.detail = buf_str(&detail);
    }
    return audit_add(d->store, t, &entry);
}

struct documents { /* What a change starts from, and what it becomes. */
    struct version_files old_policy, old_inventory, policy, inventory;
};

static void documents_done(struct documents *x)
{
    version_files_done(&x->old_policy);
    version_files_done(&x->old_inventory);
    version_files_done(&x->policy);
    version_files_done(&x->inventory);
}

/* Without 'with_inventory' that one stays empty, unless the change is about it: megabytes that a
 * change of policy does not look at. */
static int get_documents(struct desired *d, const struct desired_change *c, bool with_inventory,
                         struct documents *x)
{
    int r = version_files_get(d->store, "policy", d->head.policy, &x->old_policy);

    if (r == 0 && (with_inventory || c->inventory))
        r = version_files_get(d->store, "inventory", d->head.inventory, &x->old_inventory);
    if (r < 0)
        return r;
    version_files_borrow(&x->policy, c->policy ? c->policy : x->old_policy.sources,
                         c->policy ? c->n_policy : x->old_policy.n);
    version_files_borrow(&x->inventory, c->inventory ? c->inventory : x->old_inventory.sources,
                         c->inventory ? c->n_inventory : x->old_inventory.n);
    return 0;
}

static int put_version(struct desired *d, struct store_transaction *t, const char *what,
                       const struct version_files *f, const struct desired_head *head,
                       const struct version_note *note)
{
    const uint64_t used[] = {head->policy, head->inventory, head->confirm_policy,
                             head->confirm_inventory};
    int r = version_put(t, what, head->revision, f, note);

    return r < 0 ? r : version_prune(d->store, t, what, used, ARRAY_SIZE(used));
}

static int add_documents(struct desired *d, struct store_transaction *t,
                         const struct desired_change *c, const struct desired_outcome *o,
                         const struct documents *x, struct desired_head *head, int64_t now_s)
{
    const struct version_note note = {c->actor, c->comment, now_s};
    char before[AUDIT_DIGEST_SIZE], after[AUDIT_DIGEST_SIZE];
    int r = 0;

    version_files_digest(c->policy ? &x->old_policy : &x->old_inventory, before);
    version_files_digest(c->policy ? &x->policy : &x->inventory, after);
    if (c->policy) {
        head->policy = head->revision;
        r = put_version(d, t, "policy", &x->policy, head, &note);
    }
    if (r == 0 && c->inventory) {
        head->inventory = head->revision;
        r = put_version(d, t, "inventory", &x->inventory, head, &note);
    }
    return r < 0 ? r : audit_change(d, t, c, o, head->revision, before, after);
}

static int may_apply(const struct desired *d, const struct desired_change *c)
{
    const struct desired_head *h = &d->head;

    if ((c->base_policy != DESIRED_ANY && c->base_policy != h->policy) ||
        (c->base_inventory != DESIRED_ANY && c->base_inventory != h->inventory))
        return -ESTALE;
    return h->confirm_revision && !c->dry_run ? -EALREADY : 0;
}

int desired_apply(struct desired *d, const struct desired_change *c, int64_t now_s,
                  struct diagnostics *diagnostics, struct desired_outcome *o, const char **ret_what)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(documents_done) struct documents x = {.policy = {.document = NULL}};
    CLEANUP(generation_freep) struct generation *g = NULL;
    CLEANUP(compiled_freep) struct compiled *tried = NULL;
    struct desired_head head = d->head;
    int r = may_apply(d, c);

    *ret_what = "";
    o->policy = head.policy;
    o->inventory = head.inventory;
    if (r == 0)
        r = get_documents(d, c, !d->current, &x);
    if (r == 0)
        r = read_change(d, c, &x.policy, &x.inventory, diagnostics, &g);
    if (r == 0 && g)
        r = check_generation(d, g, c, now_s, diagnostics, o);
    if (r < 0 || !g)
        return r;
    o->revision = ++head.revision;
    r = try_to_compile(d, g, now_s, &tried, ret_what);
    if (r < 0 || c->dry_run)
        return r;
    if (c->confirm_s) {
        head.confirm_revision = head.revision;
        head.confirm_policy = head.policy;
        head.confirm_inventory = head.inventory;
        head.confirm_deadline_s = now_s + c->confirm_s + 1; /* Never before a full 'confirm_s'. */
    }
    *ret_what = "the size of a document";
    r = add_documents(d, t, c, o, &x, &head, now_s);
    if (r == 0)
        r = commit_revision(d, t, &head, now_s, NULL);
    if (r < 0)
        return r;
    if (is_forced(o))
        log_warn("policy: %s applies revision %" PRIu64
                 " over %zu failing tests and %zu failing proofs: %s",
                 c->actor, o->revision, o->failed_tests, o->failed_proofs, c->force);
    swap_in(d, TAKE_PTR(g), &tried, now_s);
    return 0;
}

static int delete_rules(struct policy *p, const char *const deleted[], size_t n,
                        const char **ret_what)
{
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        for (size_t k = 0; k < p->n_rules; k++)
            if (strcmp(p->rules[k].id, deleted[i]) == 0) {
                p->rules[k].expires_s = 1; /* Long ago. */
                found = true;
            }
        *ret_what = deleted[i];
        if (!found)
            return -ENOENT;
    }
    return 0;
}

int desired_candidate(struct desired *d, const struct desired_change *c,
                      const char *const deleted[], size_t n_deleted, int64_t now_s,
                      struct diagnostics *diagnostics, struct generation **ret_g,
                      struct compiled **ret_c, const char **ret_what)
{
    CLEANUP(documents_done) struct documents x = {.policy = {.document = NULL}};
    CLEANUP(generation_freep) struct generation *g = NULL;
    int r = get_documents(d, c, true, &x);

    *ret_what = "";
    if (r == 0)
        r = read_generation(d, &x.policy, &x.inventory, diagnostics, &g);
    if (r < 0 || !g)
        return r;
    r = delete_rules(g->policy, deleted, n_deleted, ret_what);
    if (r == 0)
        r = try_to_compile(d, g, now_s, ret_c, ret_what);
    if (r == 0)
        *ret_g = TAKE_PTR(g);
    return r;
}

int desired_confirm(struct desired *d, const char *actor)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct desired_head head = d->head;
    char object[64];
    int r;

    if (!head.confirm_revision)
        return -ENOENT;
    (void)snprintf(object, sizeof(object), "policy, revision %" PRIu64, head.confirm_revision);
    clear_confirm(&head);
    r = audit_add(
        d->store, t,
        &(struct audit_entry){.actor = actor, .action = "policy.confirm", .object = object});
    if (r == 0)
        r = commit(d, t, &head);
    if (r < 0)
        return r;
    for (size_t i = 0; i < d->n_listeners; i++)
        if (d->listeners[i].confirmed)
            d->listeners[i].confirmed(head.revision, d->listeners[i].user);
    return 0;
}

int desired_roll_back(struct desired *d, uint64_t version, const struct desired_change *how,
                      int64_t now_s, struct diagnostics *diagnostics, struct desired_outcome *o,
                      const char **ret_what)
{
    CLEANUP(version_files_done) struct version_files old = {.document = NULL};
    char comment[64];
    struct desired_change c = {.base_policy = DESIRED_ANY,
                               .base_inventory = DESIRED_ANY,
                               .confirm_s = how->confirm_s,
                               .force = how->force,
                               .actor = how->actor,
                               .comment = comment};
    int r;

    if (version == 0)
        return -ENOENT;
    r = version_files_get(d->store, "policy", version, &old);
    if (r < 0)
        return r;
    (void)snprintf(comment, sizeof(comment), "back to policy %" PRIu64, version);
    c.policy = old.sources;
    c.n_policy = old.n;
    return desired_apply(d, &c, now_s, diagnostics, o, ret_what);
}

/* Time has changed what the policy means: that is a revision, too. */
static int next_revision(struct desired *d, int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct desired_head head = d->head;
    int r;

    head.revision++;
    r = commit_revision(d, t, &head, now_s, NULL);
    if (r == 0)
        commit_compiled(d, now_s);
    return r;
}

static int commit_trust(struct desired *d, const struct endpoint *e, enum trust trust,
                        const char *reason, const char *actor, int64_t now_s)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(json_decrefp) json_t *document = NULL;
    struct desired_head head = d->head;
    char key[KEY_SIZE], when[DATE_TEXT_SIZE], object[PROGRAM_NAME_SIZE + 16];
    int r;

    document =
        json_pack("{s:s,s:o,s:o,s:s}", "state", trust_name(trust), "reason", json_any_text(reason),
                  "actor", json_any_text(actor), "time", date_format_time(now_s, when));
    (void)snprintf(key, sizeof(key), "trust/%s", e->name);
    version_put_json(t, key, document);
    (void)snprintf(object, sizeof(object), "endpoint %s", e->name);
    r = audit_add(d->store, t,
                  &(struct audit_entry){.actor = actor,
                                        .action = trust == TRUST_BLACK ? "endpoint.quarantine"
                                                                       : "endpoint.release",
                                        .object = object,
                                        .detail = reason});
    head.trust_sequence++;
    head.revision++;
    return r < 0 ? r
                 : commit_revision(
                       d, t, &head, now_s,
                       &(struct timeline_event){
                           .endpoint = e->name, .trust = trust, .actor = actor, .comment = reason});
}

int desired_set_trust(struct desired *d, const char *endpoint, enum trust trust, const char *reason,
                      const char *actor, int64_t now_s, uint64_t *ret_revision)
{
    const struct endpoint *e = inventory_endpoint(d->current->inventory, endpoint);
    struct trust_change change = {.trust = trust};
    int r;

    if (!e)
        return -ENOENT;
    r = commit_trust(d, e, trust, reason, actor, now_s);
    if (r < 0)
        return r;
    change.addresses = e->addresses;
    change.n_addresses = e->n_addresses;
    change.sequence = d->head.trust_sequence;
    for (size_t i = 0; i < d->n_listeners; i++)
        if (d->listeners[i].trust)
            d->listeners[i].trust(&change, d->listeners[i].user);
    forget_world(d);
    (void)inventory_set_trust(d->current->inventory, endpoint, trust);
    (void)compiled_set_trust(d->compiled, endpoint, trust);
    commit_compiled(d, now_s);
    *ret_revision = d->head.revision;
    return 0;
}

void desired_tick(struct desired *d, int64_t now_s)
{
    const char *what = "the store does not take the new revision";
    int r = 0;

    if (d->head.confirm_revision && now_s >= d->head.confirm_deadline_s)
        r = roll_back_unconfirmed(d, now_s, &what);
    else if (now_s >= compiled_next_change(d->compiled))
        r = next_revision(d, now_s);
    if (r < 0)
        log_err("policy: keeping revision %" PRIu64 ", trying again: %s (%s)", d->head.revision,
                what, strerror(-r));
}

int desired_version(struct desired *d, const char *what, uint64_t version, json_t **ret_document)
{
    if (version == 0)
        version = strcmp(what, "policy") == 0 ? d->head.policy : d->head.inventory;
    return version ? version_get(d->store, what, version, ret_document) : -ENOENT;
}

int desired_versions(struct desired *d, const char *what, json_t **ret_array)
{
    return version_list(d->store, what, ret_array);
}

/* What 'version' says, over the inventory and the trust states in force. */
static int old_generation(struct desired *d, uint64_t version, struct generation **ret_g)
{
    CLEANUP(generation_freep) struct generation *g = NULL;
    int r = generation_get(d->store, version, d->head.inventory, &g);

    if (r == 0)
        r = overlay_trust(d, g->inventory);
    if (r == 0)
        *ret_g = TAKE_PTR(g);
    return r;
}

int desired_compare(struct desired *d, uint64_t from, uint64_t to, int64_t now_s,
                    struct meaning *ret_m)
{
    CLEANUP(generation_freep) struct generation *before = NULL;
    CLEANUP(generation_freep) struct generation *after = NULL;
    CLEANUP(world_freep) struct world *w_before = NULL;
    CLEANUP(world_freep) struct world *w_after = NULL;
    int r = old_generation(d, from, &before);

    if (r == 0)
        r = old_generation(d, to, &after);
    if (r < 0 || !before || !after)
        return r;
    w_before = world_new(before->policy, before->inventory, now_s);
    w_after = world_new(after->policy, after->inventory, now_s);
    (void)meaning_of(w_before, w_after, ret_m); /* It says itself when there is none. */
    return 0;
}
