/* SPDX-License-Identifier: Apache-2.0 */
/* Versions from the newest back; see births.h. */
#include "controller/births.h"

#include <errno.h>

#include "base/buf.h"
#include "base/table.h"
#include "controller/versions.h"

struct birth {
    char *id;
    uint64_t print; /* Of what the rule says. */
    int64_t since_s;
    bool open; /* The version before may have it, too. */
};

struct births {
    struct desired *desired;
    uint64_t version;    /* Of the policy; 0: none, or the built-in one. */
    struct birth *items; /* Sorted by id. */
    size_t n;
};

struct births *births_new(struct desired *d)
{
    struct births *b = xcalloc(1, sizeof(*b));

    b->desired = d;
    return b;
}

static void forget(struct birth *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(items[i].id);
    free(items);
}

void births_free(struct births *b)
{
    if (!b)
        return;
    forget(b->items, b->n);
    free(b);
}

/* ---- what a rule says ---- */

static void put_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text) + 1);
}

static void put_selector(struct buf *b, const struct policy *p, const struct selector *s)
{
    buf_u8(b, (uint8_t)(s->given << 1 | s->any));
    buf_be32(b, (uint32_t)s->n_groups);
    for (size_t i = 0; i < s->n_groups; i++)
        put_text(b, p->groups[s->groups[i]].name);
}

static void put_match(struct buf *b, const struct policy *p, const struct match *m)
{
    put_selector(b, p, &m->from);
    put_selector(b, p, &m->to);
    buf_be32(b, (uint32_t)m->n_services);
    for (size_t i = 0; i < m->n_services; i++)
        put_text(b, p->services[m->services[i]].name);
    buf_be32(b, (uint32_t)m->n_processes);
    for (size_t i = 0; i < m->n_processes; i++)
        put_text(b, m->processes[i]);
    buf_be32(b, (uint32_t)m->n_served_by);
    for (size_t i = 0; i < m->n_served_by; i++)
        put_text(b, m->served_by[i]);
    buf_be32(b, (uint32_t)m->n_users);
    for (size_t i = 0; i < m->n_users; i++) {
        buf_u8(b, m->users[i].is_group);
        put_text(b, m->users[i].name);
    }
}

static uint64_t print_of(const struct policy *p, const struct rule *r)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    uint32_t low;

    buf_u8(&b, (uint8_t)r->layer);
    put_match(&b, p, &r->match);
    if (r->except)
        put_match(&b, p, r->except);
    buf_u8(&b, r->accept_weaker != NULL);
    low = table_hash(b.data, b.size, 0);
    return (uint64_t)table_hash(b.data, b.size, low | 1) << 32 | low;
}

/* ---- versions ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct birth *)a)->id, ((const struct birth *)b)->id);
}

static struct birth *find(struct birth *items, size_t n, const char *id)
{
    struct birth key = {.id = (char *)(uintptr_t)id};

    return n ? bsearch(&key, items, n, sizeof(key), by_id) : NULL;
}

static struct birth *births_in(const struct policy *p)
{
    struct birth *items = xcalloc(p->n_rules, sizeof(*items));

    for (size_t i = 0; i < p->n_rules; i++)
        items[i] = (struct birth){
            .id = xstrdup(p->rules[i].id), .print = print_of(p, &p->rules[i]), .open = true};
    if (p->n_rules)
        qsort(items, p->n_rules, sizeof(*items), by_id);
    return items;
}

/* What a version that is older by one has to say; returns how many may be older still. */
static size_t compare(struct birth *items, size_t n, const struct policy *p, int64_t time_s)
{
    CLEANUP(free_voidp) bool *seen = xcalloc(n, sizeof(*seen));
    size_t n_open = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        struct birth *x = find(items, n, p->rules[i].id);

        if (x && x->open && x->print == print_of(p, &p->rules[i])) {
            x->since_s = time_s;
            seen[x - items] = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        items[i].open = seen[i];
        n_open += seen[i];
    }
    return n_open;
}

/* What was known of an older version answers for all that is older. */
static void take_over(const struct births *b, struct birth *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct birth *old = items[i].open ? find(b->items, b->n, items[i].id) : NULL;

        if (old && old->print == items[i].print && old->since_s)
            items[i].since_s = old->since_s;
    }
}

static int read_version(const struct births *b, uint64_t version, uint64_t *bytes,
                        struct policy **ret_p)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(version_files_done) struct version_files f = {.n = 0};
    int r = version_files_get(desired_store(b->desired), "policy", version, &f);

    for (size_t i = 0; r == 0 && i < f.n; i++)
        *bytes += f.sources[i].size;
    return r < 0 ? r : policy_read(f.sources, f.n, d, ret_p);
}

/* Events are asked from the newest back; those of one version stand together. */
static int search(struct births *b, struct birth *items, size_t n)
{
    const struct timeline_event *first = NULL;
    size_t left = timeline_between(desired_timeline(b->desired), 0, INT64_MAX, &first);
    uint64_t bytes = 0;

    for (size_t versions = 0; left && versions < BIRTHS_VERSIONS && bytes < BIRTHS_BYTES;
         versions++) {
        CLEANUP(policy_freep) struct policy *p = NULL;
        uint64_t version = first[left - 1].policy;
        int r;

        while (left > 1 && first[left - 2].policy == version)
            left--;
        if (!version)
            return 0;
        if (b->version && version == b->version) {
            take_over(b, items, n);
            return 0;
        }
        r = read_version(b, version, &bytes, &p);
        if (r == -ENOENT || r == -EBADMSG || r == -EUCLEAN)
            return 0; /* Not kept any more, or not to be read: what is older is not known. */
        if (r < 0)
            return r;
        if (!compare(items, n, p, first[left - 1].time_s))
            return 0;
        left--;
    }
    return 0;
}

int births_ready(struct births *b)
{
    uint64_t version = desired_head(b->desired)->policy;
    const struct policy *p = desired_current(b->desired)->policy;
    struct birth *items;
    int r;

    if (version == b->version)
        return 0;
    items = births_in(p);
    r = search(b, items, p->n_rules);
    forget(b->items, b->n);
    b->items = r < 0 ? NULL : items;
    b->n = r < 0 ? 0 : p->n_rules;
    b->version = r < 0 ? 0 : version;
    if (r < 0)
        forget(items, p->n_rules);
    return r;
}

int64_t births_of(const struct births *b, const char *rule)
{
    const struct birth *x = find(b->items, b->n, rule);

    return x ? x->since_s : 0;
}
