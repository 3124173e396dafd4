/* SPDX-License-Identifier: Apache-2.0 */
/* See shape.h. */
#include "bench/shape.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"

enum { FIRST_PORT = 1000 };

double bench_cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Not ru_maxrss, which remembers whoever started us. */
long bench_peak_kb(void)
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
    char text[SHAPE_NAME_SIZE];
    int n = snprintf(text, sizeof text, "%s%07zu", letter, i); /* Sorted by name, as by number. */

    return arena_text(a, text, (size_t)n);
}

static uint32_t group_of(const struct shape *s, size_t endpoint, size_t k)
{
    size_t step = endpoint / s->groups * 7 + 31;

    return (uint32_t)((endpoint + k * step * s->zones) % s->groups);
}

struct address shape_address(size_t i)
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
    e->addresses[0] = shape_address(i);
    e->n_addresses = 1;
    e->labels = arena_alloc(a, s->overlap, sizeof *e->labels);
    for (size_t k = 0; k < s->overlap; k++)
        e->labels[e->n_labels++] = (struct label){keys[k], name_of(a, "g", group_of(s, i, k))};
}

static void make_rule(const struct shape *s, struct arena *a, struct policy *p, size_t i)
{
    struct rule *r = &p->rules[p->n_rules];
    size_t to = i % s->groups, k = i / s->groups, from = to * 7 + k;

    *r = (struct rule){.layer = LAYER_ALLOW,
                       .index = (uint32_t)p->n_rules++,
                       .id = name_of(a, "r", i),
                       .why = "work",
                       .owner = "owner",
                       .expires_s = MODEL_NEVER_EXPIRES};
    r->match.from = (struct selector){.given = true, .n_groups = 1};
    r->match.from.groups = arena_alloc(a, 1, sizeof(uint32_t));
    r->match.from.groups[0] = (uint32_t)((from + (from - to) % s->zones) % s->groups);
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

void shape_inventory(const struct shape *s, struct inventory *ret)
{
    *ret = (struct inventory){.arena = arena_new(), .n_endpoints = s->endpoints};
    ret->endpoints = arena_alloc(ret->arena, s->endpoints, sizeof(struct endpoint));
    for (size_t i = 0; i < s->endpoints; i++)
        make_endpoint(s, ret->arena, &ret->endpoints[i], i);
}

void shape_policy(const struct shape *s, const struct inventory *inventory, struct policy *ret)
{
    *ret = (struct policy){.n_rules = 0};
    make_policy(s, ret);
    if (s->overlap > 1)
        list_members(s, ret, inventory);
}
