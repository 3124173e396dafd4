/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - a policy of a wanted size: compiled whole, then changed in one place
 *
 *     compile ENDPOINTS RULES GROUPS OVERLAP [CHANGES]
 *
 * The shape is that of the peer in tests/bench/run.py: endpoint i is in group i % GROUPS (and with
 * OVERLAP n in n groups, spread), and each group's rules let one other group in by one TCP port.
 * Prints one line of JSON: CPU seconds and memory for the class stage and for the tables of all
 * enforcers, CPU milliseconds a change (median and largest of CHANGES) with the deltas that it
 * causes, one for each identity that it touches. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "core/compile.h"
#include "core/compile/compiled.h" /* compile_entries(): the tables, without copies of the addresses. */

enum { DEFAULT_CHANGES = 200, NAME = 24, FIRST_PORT = 1000, RULES_OF_NOBODY = 50000 };

struct shape {
    size_t endpoints, rules, groups, overlap;
};

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Not ru_maxrss, which remembers whoever started us. */
static long peak_kb(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[128];
    long kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (f)
        (void)fclose(f);
    return kb;
}

static const char *name_of(struct arena *a, const char *letter, size_t i)
{
    char text[NAME];
    int n = snprintf(text, sizeof text, "%s%zu", letter, i);

    return arena_text(a, text, (size_t)n);
}

static uint32_t group_of(const struct shape *s, size_t endpoint, size_t k)
{
    return (uint32_t)((endpoint + k * (endpoint / s->groups * 7 + 31)) % s->groups);
}

static struct address address_of(size_t i)
{
    struct address a = {.bytes = {[10] = 0xff, 0xff}};
    uint32_t v4 = htonl(0x0a000000u + (uint32_t)i);

    memcpy(a.bytes + 12, &v4, 4);
    return a;
}

/* Labels "k0=g17", "k1=g203" ...: group g takes whoever has it in any place. */
static void make_endpoint(const struct shape *s, struct arena *a, struct endpoint *e, size_t i)
{
    static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};

    *e = (struct endpoint){.name = name_of(a, "e", i), .enforcers = ENFORCER_HOST};
    e->addresses = arena_alloc(a, 1, sizeof *e->addresses);
    e->addresses[0] = address_of(i);
    e->n_addresses = 1;
    e->labels = arena_alloc(a, s->overlap, sizeof *e->labels);
    for (size_t k = 0; k < s->overlap; k++)
        e->labels[e->n_labels++] = (struct label){keys[k], name_of(a, "g", group_of(s, i, k))};
}

static void make_rule(const struct shape *s, struct arena *a, struct policy *p, size_t i)
{
    struct rule *r = &p->rules[p->n_rules];
    size_t to = i % s->groups, k = i / s->groups;

    *r = (struct rule){.layer = LAYER_ALLOW,
                       .index = (uint32_t)p->n_rules++,
                       .id = name_of(a, "r", i),
                       .why = "work",
                       .owner = "owner",
                       .expires_s = MODEL_NEVER_EXPIRES};
    r->match.from = (struct selector){.given = true, .n_groups = 1};
    r->match.from.groups = arena_alloc(a, 1, sizeof(uint32_t));
    r->match.from.groups[0] = (uint32_t)((to * 7 + k) % s->groups);
    r->match.to = (struct selector){.given = true, .n_groups = 1};
    r->match.to.groups = arena_alloc(a, 1, sizeof(uint32_t));
    r->match.to.groups[0] = (uint32_t)to;
    r->match.services = arena_alloc(a, 1, sizeof(uint32_t));
    r->match.services[0] = (uint32_t)(k % p->n_services);
    r->match.n_services = 1;
}

static void make_policy(const struct shape *s, struct policy *p)
{
    struct arena *a = p->arena = arena_new();
    size_t n_services = s->rules / s->groups + 1;

    p->default_mode = MODE_ENFORCE;
    p->n_groups = s->groups;
    p->groups = arena_alloc(a, s->groups, sizeof *p->groups);
    for (size_t g = 0; g < s->groups; g++) {
        struct group *x = &p->groups[g];

        /* One condition with all keys would need "or": each group has one key's value a place. */
        *x = (struct group){.name = name_of(a, "g", g), .kind = GROUP_MATCH, .n_matches = 1};
        x->matches = arena_alloc(a, 1, sizeof *x->matches);
        x->matches[0] = (struct label_match){.key = "k0", .n_values = 1};
        x->matches[0].values = arena_alloc(a, 1, sizeof(char *));
        x->matches[0].values[0] = x->name;
    }
    p->n_services = p->n_named_services = n_services;
    p->services = arena_alloc(a, n_services, sizeof *p->services);
    for (size_t i = 0; i < n_services; i++) {
        struct service *x = &p->services[i];

        *x = (struct service){.name = name_of(a, "s", i), .n_ports = 1};
        x->ports = arena_alloc(a, 1, sizeof *x->ports);
        x->ports[0] = (struct port_range){IPPROTO_TCP, (uint16_t)(FIRST_PORT + i),
                                          (uint16_t)(FIRST_PORT + i)};
    }
    p->rules = arena_alloc(a, s->rules + 1, sizeof *p->rules);
    for (size_t i = 0; i < s->rules; i++)
        make_rule(s, a, p, i);
}

/* With overlap, groups list their members: that is what differs from the plain shape. */
static void list_members(const struct shape *s, struct policy *p, const struct inventory *inv)
{
    size_t *room = xcalloc(s->groups, sizeof *room);

    for (size_t g = 0; g < s->groups; g++)
        p->groups[g].kind = GROUP_MEMBERS;
    for (size_t i = 0; i < s->endpoints; i++)
        for (size_t k = 0; k < s->overlap; k++) {
            struct group *g = &p->groups[group_of(s, i, k)];

            if (g->n_members && g->members[g->n_members - 1].name == inv->endpoints[i].name)
                continue;
            GROW(g->members, g->n_members, room[g - p->groups]);
            g->members[g->n_members++] = (struct named){.name = inv->endpoints[i].name};
        }
    free(room);
}

/* ---- changes ---- */

struct work {
    struct shape shape;
    struct policy policy;
    struct inventory inventory;
    struct compiled *c;
    const char **somebody; /* An endpoint of each identity, by number. */
    uint64_t revision;
    size_t n_changes, n_deltas, n_rows;
};

static int by_time(const void *a_, const void *b_)
{
    double a = *(const double *)a_, b = *(const double *)b_;

    return (a > b) - (a < b);
}

/* Commits, then makes the delta of each identity that the commit touched (of one endpoint: the
 * others with that identity get the same bytes). */
static double commit(struct work *w)
{
    const char *what;
    double start = cpu_s();
    const struct step *s;
    identity_t last = 0;

    if (compiled_commit(w->c, ++w->revision, 0, &what) < 0)
        abort();
    s = &w->c->steps[w->c->n_steps - 1];
    for (int after = 0; after < 2; after++) {
        const struct rows *rows = after ? &s->after : &s->before;

        for (size_t i = 0; i < rows->n; i++) {
            struct delta *d = NULL;
            uint32_t h;

            if (rows->items[i].local == last)
                continue;
            last = rows->items[i].local;
            for (h = 0; h < w->shape.endpoints; h++) /* Some endpoint of it. */
                if (w->c->endpoints[h].identity != TABLE_NONE &&
                    numbering_number(&w->c->identities, w->c->endpoints[h].identity) == last)
                    break;
            if (h == w->shape.endpoints ||
                compiled_delta(w->c, numbering_key(&w->c->names[KIND_ENDPOINT], h), w->revision - 1,
                               &d) < 0)
                continue;
            w->n_deltas++;
            delta_free(d);
        }
        w->n_rows += rows->n;
    }
    return (cpu_s() - start) * 1e3;
}

static void change_rule(struct work *w, size_t i)
{
    struct rule r = w->policy.rules[i * 37 % w->shape.rules];
    uint32_t to = (uint32_t)(i * 11 % w->shape.groups);

    r.match.to.groups = &to;
    compiled_put_rule(w->c, &w->policy, &r);
}

static void change_member(struct work *w, size_t i)
{
    struct endpoint e = w->inventory.endpoints[i * 41 % w->shape.endpoints];
    char value[NAME];
    struct label l = {"k0", value};

    (void)snprintf(value, sizeof value, "g%zu", (i * 13 + 1) % w->shape.groups);
    e.labels = &l;
    e.n_labels = 1;
    compiled_put_endpoint(w->c, &e);
}

static void change_address(struct work *w, size_t i)
{
    struct endpoint e = w->inventory.endpoints[i * 43 % w->shape.endpoints];
    struct address a = address_of(w->shape.endpoints + i);

    e.addresses = &a;
    compiled_put_endpoint(w->c, &e);
}

static void change_trust(struct work *w, size_t i)
{
    (void)compiled_set_trust(w->c, w->inventory.endpoints[i * 47 % w->shape.endpoints].name,
                             i % 2 ? TRUST_BLACK : TRUST_GREY);
}

static void measure(struct work *w, const char *name, void (*change)(struct work *, size_t))
{
    double *ms = xcalloc(w->n_changes, sizeof *ms);

    w->n_deltas = w->n_rows = 0;
    for (size_t i = 0; i < w->n_changes; i++) {
        double start = cpu_s();

        change(w, i);
        ms[i] = (cpu_s() - start) * 1e3 + commit(w);
    }
    qsort(ms, w->n_changes, sizeof *ms, by_time);
    printf(", \"%s\": {\"median_ms\": %.4f, \"max_ms\": %.4f, \"deltas\": %.1f, \"rows\": %.1f}",
           name, ms[w->n_changes / 2], ms[w->n_changes - 1],
           (double)w->n_deltas / (double)w->n_changes, (double)w->n_rows / (double)w->n_changes);
    free(ms);
}

int main(int argc, char **argv)
{
    struct work w = {.revision = 1, .n_changes = DEFAULT_CHANGES};
    struct compile_options options = {.revision = 1};
    struct entries entries = {.n = 0};
    size_t n_entries = 0;
    long before_kb;
    const char *what = "";
    double start, classes_s;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: compile ENDPOINTS RULES GROUPS OVERLAP [CHANGES]\n");
        return 2;
    }
    w.shape = (struct shape){strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
                             strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10)};
    if (argc > 5)
        w.n_changes = strtoul(argv[5], NULL, 10);
    w.inventory.arena = arena_new();
    w.inventory.n_endpoints = w.shape.endpoints;
    w.inventory.endpoints =
        arena_alloc(w.inventory.arena, w.shape.endpoints, sizeof(struct endpoint));
    for (size_t i = 0; i < w.shape.endpoints; i++)
        make_endpoint(&w.shape, w.inventory.arena, &w.inventory.endpoints[i], i);
    make_policy(&w.shape, &w.policy);
    if (w.shape.overlap > 1)
        list_members(&w.shape, &w.policy, &w.inventory);
    before_kb = peak_kb();
    start = cpu_s();
    if (compile(&w.policy, &w.inventory, &options, &w.c, &what) < 0) {
        (void)fprintf(stderr, "compile: %s\n", what);
        return 1;
    }
    classes_s = cpu_s() - start;
    printf("{\"endpoints\": %zu, \"rules\": %zu, \"groups\": %zu, \"overlap\": %zu, "
           "\"identities\": %zu, \"classes_s\": %.4f, \"model_kb\": %ld, \"classes_kb\": %ld",
           w.shape.endpoints, w.shape.rules, w.shape.groups, w.shape.overlap,
           compiled_n_identities(w.c), classes_s, before_kb, peak_kb());
    start = cpu_s();
    for (size_t i = 0; i < w.c->all_identities.n; i++) {
        entries.n = 0;
        compile_entries(w.c, w.c->all_identities.items[i], &entries);
        n_entries += entries.n;
    }
    printf(", \"tables_s\": %.4f, \"entries\": %zu, \"peak_kb\": %ld", cpu_s() - start, n_entries,
           peak_kb());
    w.somebody = xcalloc(w.c->identities.largest + w.n_changes + 1, sizeof *w.somebody);
    for (size_t i = 0; i < w.shape.endpoints; i++)
        w.somebody[compiled_identity(w.c, w.inventory.endpoints[i].name)] =
            w.inventory.endpoints[i].name;
    measure(&w, "rule", change_rule);
    if (w.shape.overlap == 1)
        measure(&w, "member", change_member);
    measure(&w, "address", change_address);
    measure(&w, "trust", change_trust);
    printf("}\n");
    free(entries.items);
    compiled_free(w.c);
    return 0;
}
