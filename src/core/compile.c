/* SPDX-License-Identifier: Apache-2.0 */
/* Numbering what the policy tells apart, then one program at a time; see compile.h. */
#include "core/compile.h"

#include <errno.h>

#include "base/buf.h"
#include "core/numbering.h"
#include "core/pair.h"
#include "core/verdict.h"

struct identity {
    identity_t number;
    struct end end; /* Any one of those that have it. */
};

struct compiled {
    struct arena *arena;
    struct world *world;
    uint64_t revision;
    struct program_lifeline lifeline[PROGRAM_MAX_LIFELINE];
    size_t n_lifeline;

    struct numbering identity_numbers, service_numbers, process_numbers, user_numbers, rule_numbers;
    identity_t *endpoint_identity; /* By endpoint's index. */
    identity_t *outside_identity;  /* By outside range. */
    struct identity *identities;   /* By number minus 1; those with number 0 are not in use. */

    struct program_service *services;
    size_t n_services;
    struct program_process *processes;
    size_t n_processes;
    struct program_user *users;
    size_t n_users;
    struct program_rule *rules;
    uint32_t *number_of_rule; /* By rule's index. */

    const struct rule **alive;
    size_t n_alive;
    struct classes classes;
};

struct texts { /* Keys to be numbered. */
    const char **items;
    size_t n, room;
};

static void add_text(struct texts *t, const char *s)
{
    GROW(t->items, t->n, t->room);
    t->items[t->n++] = s;
}

static const char *keep(struct compiled *c, struct buf *b)
{
    const char *s = arena_text(c->arena, buf_str(b), b->size);

    buf_reset(b);
    return s;
}

/* ---- identities ---- */

static void use_groups(bool *used, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        used[s->groups[i]] = true;
}

/* Groups that some rule names; the others cannot make a difference. */
static void find_used_groups(const struct policy *p, bool *used)
{
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        use_groups(used, &r->match.from);
        use_groups(used, &r->match.to);
        if (r->except) {
            use_groups(used, &r->except->from);
            use_groups(used, &r->except->to);
        }
    }
}

static const char *identity_key(struct compiled *c, const struct end *end, const bool *used)
{
    const struct policy *p = c->world->policy;
    struct buf b = BUF_INIT;
    const char *key;

    buf_puts(&b, end->endpoint ? "endpoint" : "outside");
    if (end->enforcers & ENFORCER_HOST)
        buf_puts(&b, " host");
    if (end->enforcers & ENFORCER_EDGE)
        buf_puts(&b, " edge");
    if (end->is_multicast)
        buf_puts(&b, " multicast");
    for (uint32_t g = 0; g < p->n_groups; g++)
        if (used[g] && group_set_has(&end->groups, g))
            buf_printf(&b, " |%s", p->groups[g].name);
    key = keep(c, &b);
    buf_done(&b);
    return key;
}

static struct end outside_end(const struct outside_range *r)
{
    return (struct end){.groups = r->groups, .is_multicast = r->is_multicast};
}

static void number_identities(struct compiled *c, const struct numbering *previous)
{
    const struct world *w = c->world;
    size_t n_endpoints = w->inventory->n_endpoints;
    CLEANUP(free_voidp) void *memory = xcalloc(w->policy->n_groups, sizeof(bool));
    bool *used = memory;
    struct texts keys = {.n = 0};

    find_used_groups(w->policy, used);
    for (size_t i = 0; i < n_endpoints; i++)
        add_text(&keys, identity_key(c, &w->ends[i], used));
    for (size_t i = 0; i < w->n_outside; i++) {
        struct end end = outside_end(&w->outside[i]);

        add_text(&keys, identity_key(c, &end, used));
    }
    c->identity_numbers = numbering_make(c->arena, previous, keys.items, keys.n);
    c->identities = arena_alloc(c->arena, c->identity_numbers.largest, sizeof *c->identities);
    c->endpoint_identity = arena_alloc(c->arena, n_endpoints, sizeof *c->endpoint_identity);
    c->outside_identity = arena_alloc(c->arena, w->n_outside, sizeof *c->outside_identity);
    for (size_t i = 0; i < keys.n; i++) {
        identity_t number = numbering_find(&c->identity_numbers, keys.items[i]);
        bool inside = i < n_endpoints;
        struct end end = inside ? w->ends[i] : outside_end(&w->outside[i - n_endpoints]);

        c->identities[number - 1] = (struct identity){number, end};
        if (inside)
            c->endpoint_identity[i] = number;
        else
            c->outside_identity[i - n_endpoints] = number;
    }
    free(keys.items);
}

/* ---- services ---- */

struct range { /* A service that rules use, at one of its ranges. */
    struct port_range ports;
    const char *name;
};

static int by_range(const void *a_, const void *b_)
{
    const struct range *a = a_, *b = b_;
    int c = (a->ports.protocol > b->ports.protocol) - (a->ports.protocol < b->ports.protocol);

    if (!c)
        c = (a->ports.low > b->ports.low) - (a->ports.low < b->ports.low);
    if (!c)
        c = (a->ports.high > b->ports.high) - (a->ports.high < b->ports.high);
    return c ? c : strcmp(a->name, b->name);
}

static void use_services(bool *used, const struct match *m)
{
    for (size_t i = 0; m && i < m->n_services; i++)
        used[m->services[i]] = true;
}

/* The ranges of all services that rules use, sorted, each once. */
static struct range *list_ranges(const struct policy *p, size_t *ret_n)
{
    CLEANUP(free_voidp) void *memory = xcalloc(p->n_services, sizeof(bool));
    bool *used = memory;
    struct range *all = NULL;
    size_t n = 0, room = 0, kept = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        use_services(used, &p->rules[i].match);
        use_services(used, p->rules[i].except);
    }
    for (size_t i = 0; i < p->n_services; i++)
        for (size_t k = 0; used[i] && k < p->services[i].n_ports; k++) {
            GROW(all, n, room);
            all[n++] = (struct range){p->services[i].ports[k], p->services[i].name};
        }
    if (n > 1)
        qsort(all, n, sizeof *all, by_range);
    for (size_t i = 0; i < n; i++)
        if (!kept || by_range(&all[kept - 1], &all[i]) != 0)
            all[kept++] = all[i];
    *ret_n = kept;
    return all;
}

static int by_point(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the services that hold [low, high], as one key; NULL: none. */
static const char *covering(struct compiled *c, const struct range *ranges, size_t n, uint16_t low,
                            uint16_t high)
{
    struct texts names = {.n = 0};
    struct buf b = BUF_INIT;
    const char *key = NULL;

    for (size_t i = 0; i < n && ranges[i].ports.low <= low; i++)
        if (ranges[i].ports.high >= high)
            add_text(&names, ranges[i].name);
    if (names.n)
        qsort(names.items, names.n, sizeof *names.items, by_name);
    for (size_t i = 0; i < names.n; i++)
        if (i == 0 || strcmp(names.items[i - 1], names.items[i]) != 0)
            buf_printf(&b, "%s ", names.items[i]);
    if (names.n)
        key = keep(c, &b);
    buf_done(&b);
    free(names.items);
    return key;
}

struct slices { /* Ranges cut where any begins or ends. */
    struct program_service *items;
    size_t n, room, keys_room;
    const char **keys;
};

/* Ranges of one protocol. */
static void slice(struct compiled *c, const struct range *ranges, size_t n, struct slices *to)
{
    CLEANUP(free_voidp) void *memory = xcalloc(2 * n, sizeof(uint32_t));
    uint32_t *points = memory;

    for (size_t i = 0; i < n; i++) {
        points[2 * i] = ranges[i].ports.low;
        points[2 * i + 1] = ranges[i].ports.high + 1u;
    }
    qsort(points, 2 * n, sizeof *points, by_point);
    for (size_t i = 0; i + 1 < 2 * n; i++) {
        uint16_t low = (uint16_t)points[i], high = (uint16_t)(points[i + 1] - 1);
        const char *key;

        if (points[i] == points[i + 1])
            continue;
        key = covering(c, ranges, n, low, high);
        if (!key)
            continue; /* A gap between two ranges. */
        GROW(to->items, to->n, to->room);
        GROW(to->keys, to->n, to->keys_room);
        to->keys[to->n] = key;
        to->items[to->n++] = (struct program_service){
            .protocol = ranges[0].ports.protocol, .low = low, .high = high};
    }
}

static void number_services(struct compiled *c, const struct numbering *previous)
{
    CLEANUP(free_voidp) void *memory = NULL;
    struct slices slices = {.n = 0};
    struct class_value *values;
    const struct range *ranges;
    size_t n;

    memory = list_ranges(c->world->policy, &n);
    ranges = memory;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && ranges[end].ports.protocol == ranges[i].ports.protocol)
            end++;
        slice(c, ranges + i, end - i, &slices);
    }
    c->service_numbers = numbering_make(c->arena, previous, slices.keys, slices.n);
    values = arena_alloc(c->arena, c->service_numbers.n, sizeof *values);
    for (size_t i = 0; i < slices.n; i++) {
        struct program_service *s = &slices.items[i];
        size_t k = 0;

        s->class = (uint16_t)numbering_find(&c->service_numbers, slices.keys[i]);
        while (k < c->classes.n_services && values[k].class != s->class)
            k++;
        if (k == c->classes.n_services)
            values[c->classes.n_services++] =
                (struct class_value){.class = s->class, .protocol = s->protocol, .port = s->low};
    }
    c->services = arena_copy(c->arena, slices.items, slices.n, sizeof *c->services);
    c->n_services = slices.n;
    c->classes.services = values;
    free(slices.items);
    free(slices.keys);
}

/* ---- programs, users, rules ---- */

static void add_paths(struct texts *to, const struct match *m)
{
    for (size_t i = 0; m && i < m->n_processes; i++)
        add_text(to, m->processes[i]);
    for (size_t i = 0; m && i < m->n_served_by; i++)
        add_text(to, m->served_by[i]);
}

static uint16_t process_class(const void *context, const char *path)
{
    const struct compiled *c = context;

    return (uint16_t)numbering_find(&c->process_numbers, path);
}

static void copy_text(char *to, size_t size, const char *s)
{
    size_t len = strlen(s);

    if (len >= size)
        len = size - 1; /* Cannot happen: the grammars are shorter. */
    memcpy(to, s, len);
    to[len] = 0;
}

static void number_processes(struct compiled *c, const struct numbering *previous)
{
    const struct policy *p = c->world->policy;
    struct texts paths = {.n = 0};

    for (size_t i = 0; i < p->n_rules; i++) {
        add_paths(&paths, &p->rules[i].match);
        add_paths(&paths, p->rules[i].except);
    }
    c->process_numbers = numbering_make(c->arena, previous, paths.items, paths.n);
    c->n_processes = c->process_numbers.n;
    c->processes = arena_alloc(c->arena, c->n_processes, sizeof *c->processes);
    for (size_t i = 0; i < c->n_processes; i++) {
        c->processes[i].class = (uint16_t)c->process_numbers.items[i].number;
        copy_text(c->processes[i].path, PROGRAM_PATH_SIZE, c->process_numbers.items[i].key);
    }
    c->classes.process_class = process_class;
    c->classes.context = c;
    free(paths.items);
}

static int by_ref(const void *a_, const void *b_)
{
    const struct user_ref *a = a_, *b = b_;

    return a->is_group != b->is_group ? a->is_group - b->is_group : strcmp(a->name, b->name);
}

struct refs { /* All that rules say about users, each once. */
    struct user_ref *items;
    size_t n, room;
};

static void add_refs(struct refs *to, const struct match *m)
{
    for (size_t i = 0; m && i < m->n_users; i++) {
        GROW(to->items, to->n, to->room);
        to->items[to->n++] = m->users[i];
    }
}

static struct refs list_refs(const struct policy *p)
{
    struct refs r = {.n = 0};
    size_t kept = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        add_refs(&r, &p->rules[i].match);
        add_refs(&r, p->rules[i].except);
    }
    if (r.n > 1)
        qsort(r.items, r.n, sizeof *r.items, by_ref);
    for (size_t i = 0; i < r.n; i++)
        if (!kept || by_ref(&r.items[kept - 1], &r.items[i]) != 0)
            r.items[kept++] = r.items[i];
    r.n = kept;
    return r;
}

static bool has_ref(const struct refs *refs, const char *name, bool is_group)
{
    const struct user_ref key = {name, is_group};

    return refs->n && bsearch(&key, refs->items, refs->n, sizeof key, by_ref);
}

/* What rules say about this user, as one key; NULL: nothing. */
static const char *user_key(struct compiled *c, const struct refs *refs, const char *name)
{
    const struct user *u = inventory_user(c->world->inventory, name);
    struct buf b = BUF_INIT;
    const char *key = NULL;

    if (has_ref(refs, name, false))
        buf_puts(&b, name);
    for (size_t i = 0; u && i < u->n_groups; i++)
        if ((i == 0 || strcmp(u->groups[i - 1], u->groups[i]) != 0) &&
            has_ref(refs, u->groups[i], true))
            buf_printf(&b, " @%s", u->groups[i]);
    if (b.size)
        key = keep(c, &b);
    buf_done(&b);
    return key;
}

static void number_users(struct compiled *c, const struct numbering *previous)
{
    const struct inventory *inv = c->world->inventory;
    struct refs refs = list_refs(c->world->policy);
    struct texts names = {.n = 0}, keys = {.n = 0};
    struct class_value *values;

    for (size_t i = 0; i < inv->n_users; i++)
        add_text(&names, inv->users[i].name);
    for (size_t i = 0; i < refs.n; i++)
        if (!refs.items[i].is_group && !inventory_user(inv, refs.items[i].name))
            add_text(&names, refs.items[i].name);
    c->users = arena_alloc(c->arena, names.n, sizeof *c->users);
    for (size_t i = 0; i < names.n; i++) {
        const char *key = user_key(c, &refs, names.items[i]);

        if (!key)
            continue; /* Class 0, like everybody whom no rule names. */
        copy_text(c->users[c->n_users++].name, PROGRAM_NAME_SIZE, names.items[i]);
        add_text(&keys, key);
    }
    c->user_numbers = numbering_make(c->arena, previous, keys.items, keys.n);
    values = arena_alloc(c->arena, c->user_numbers.n, sizeof *values);
    for (size_t i = 0; i < keys.n; i++) {
        uint16_t class = (uint16_t)numbering_find(&c->user_numbers, keys.items[i]);
        size_t k = 0;

        c->users[i].class = class;
        while (k < c->classes.n_users && values[k].class != class)
            k++;
        if (k == c->classes.n_users)
            values[c->classes.n_users++] =
                (struct class_value){.class = class, .name = c->users[i].name};
    }
    c->classes.users = values;
    free(refs.items);
    free(names.items);
    free(keys.items);
}

static void number_rules(struct compiled *c, const struct numbering *previous)
{
    const struct policy *p = c->world->policy;
    struct texts ids = {.n = 0};

    for (size_t i = 0; i < p->n_rules; i++)
        add_text(&ids, p->rules[i].id);
    c->rule_numbers = numbering_make(c->arena, previous, ids.items, ids.n);
    c->rules = arena_alloc(c->arena, c->rule_numbers.largest, sizeof *c->rules);
    c->number_of_rule = arena_alloc(c->arena, p->n_rules, sizeof *c->number_of_rule);
    c->alive = arena_alloc(c->arena, p->n_rules, sizeof *c->alive);
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        c->number_of_rule[i] = numbering_find(&c->rule_numbers, r->id);
        copy_text(c->rules[c->number_of_rule[i] - 1].id, PROGRAM_NAME_SIZE, r->id);
        if (rule_is_alive(r, c->world->now_s))
            c->alive[c->n_alive++] = r;
    }
    c->classes.rule_numbers = c->number_of_rule;
    free(ids.items);
}

static const char *over_limit(const struct compiled *c)
{
    if (c->service_numbers.largest > UINT16_MAX || c->n_services > PROGRAM_MAX_SERVICES)
        return "service classes";
    if (c->process_numbers.largest > UINT16_MAX || c->n_processes > PROGRAM_MAX_PROCESSES)
        return "program classes";
    if (c->user_numbers.largest > UINT16_MAX || c->n_users > PROGRAM_MAX_USERS)
        return "user classes";
    if (c->rule_numbers.largest > PROGRAM_MAX_RULES)
        return "rules";
    if (c->world->n_addresses + c->world->n_outside > PROGRAM_MAX_ADDRESSES)
        return "addresses";
    return c->n_lifeline > PROGRAM_MAX_LIFELINE ? "lifeline connections" : NULL;
}

int compile(const struct policy *policy, const struct inventory *inventory,
            const struct compile_options *options, struct compiled **ret_c, const char **ret_what)
{
    CLEANUP(compiled_freep) struct compiled *c = xcalloc(1, sizeof *c);
    const struct compiled *old = options->previous;

    *ret_what = "lifeline connections";
    if (options->n_lifeline > PROGRAM_MAX_LIFELINE)
        return -E2BIG;
    c->arena = arena_new();
    c->world = world_new(policy, inventory, options->now_s);
    c->revision = options->revision;
    c->n_lifeline = options->n_lifeline;
    for (size_t i = 0; i < c->n_lifeline; i++)
        c->lifeline[i] = options->lifeline[i];
    number_identities(c, old ? &old->identity_numbers : NULL);
    number_services(c, old ? &old->service_numbers : NULL);
    number_processes(c, old ? &old->process_numbers : NULL);
    number_users(c, old ? &old->user_numbers : NULL);
    number_rules(c, old ? &old->rule_numbers : NULL);
    *ret_what = over_limit(c);
    if (*ret_what)
        return -E2BIG;
    *ret_c = TAKE_PTR(c);
    return 0;
}

void compiled_free(struct compiled *c)
{
    if (!c)
        return;
    world_free(c->world);
    arena_free(c->arena);
    free(c);
}

/* ---- one program ---- */

struct meeting { /* A rule that takes the local end, and one of the remote identities it takes. */
    identity_t remote;
    const struct rule *rule;
};

struct meetings {
    struct meeting *items;
    size_t n, room;
};

static int by_meeting(const void *a_, const void *b_)
{
    const struct meeting *a = a_, *b = b_;

    if (a->remote != b->remote)
        return a->remote > b->remote ? 1 : -1;
    return (a->rule->index > b->rule->index) - (a->rule->index < b->rule->index);
}

static bool fits(const struct rule *r, enum suspect suspect)
{
    if (suspect == SUSPECT_NONE)
        return r->layer != LAYER_QUARANTINE;
    return r->layer == LAYER_QUARANTINE &&
           (suspect == SUSPECT_SOURCE ? r->match.to.given : r->match.from.given);
}

/* The outside is never a suspect. */
static bool can_be_suspect(const struct end *from, const struct end *to, enum suspect suspect)
{
    return suspect == SUSPECT_NONE || (suspect == SUSPECT_SOURCE ? from : to)->endpoint;
}

static struct meetings find_meetings(const struct compiled *c, const struct end *local,
                                     enum direction direction, enum suspect suspect)
{
    struct meetings m = {.n = 0};

    for (size_t i = 0; i < c->n_alive; i++) {
        const struct match *match = &c->alive[i]->match;
        bool out = direction == DIRECTION_OUT;

        if (!fits(c->alive[i], suspect) || !selector_takes(out ? &match->from : &match->to, local))
            continue;
        for (size_t k = 0; k < c->identity_numbers.largest; k++) {
            const struct identity *remote = &c->identities[k];

            if (!remote->number || !selector_takes(out ? &match->to : &match->from, &remote->end) ||
                !can_be_suspect(out ? local : &remote->end, out ? &remote->end : local, suspect))
                continue;
            GROW(m.items, m.n, m.room);
            m.items[m.n++] = (struct meeting){remote->number, c->alive[i]};
        }
    }
    if (m.n > 1)
        qsort(m.items, m.n, sizeof *m.items, by_meeting);
    return m;
}

static void add_entries(const struct compiled *c, const struct end *local_end,
                        enum direction direction, enum suspect suspect, struct entries *to)
{
    struct meetings m = find_meetings(c, local_end, direction, suspect);
    CLEANUP(free_voidp) void *memory = xcalloc(m.n, sizeof(struct rule *));
    const struct rule **rules = memory;

    for (size_t i = 0; i < m.n; i++)
        rules[i] = m.items[i].rule;
    for (size_t i = 0, next; i < m.n; i = next) {
        struct end local = *local_end, remote = c->identities[m.items[i].remote - 1].end;
        struct pair pair = {.w = c->world,
                            .classes = &c->classes,
                            .rules = rules + i,
                            .from = direction == DIRECTION_OUT ? &local : &remote,
                            .to = direction == DIRECTION_OUT ? &remote : &local,
                            .direction = direction,
                            .suspect = suspect,
                            .remote = m.items[i].remote};
        bool source_is_local = direction == DIRECTION_OUT;

        next = i + 1;
        while (next < m.n && m.items[next].remote == m.items[i].remote)
            next++;
        pair.n_rules = next - i;
        local.trust = remote.trust = TRUST_WHITE;
        if (suspect != SUSPECT_NONE)
            *((suspect == SUSPECT_SOURCE) == source_is_local ? &local.trust : &remote.trust) =
                TRUST_BLACK;
        pair_compile(&pair, to);
    }
    free(m.items);
}

static void add_addresses(const struct compiled *c, uint32_t self, struct program *p)
{
    const struct world *w = c->world;

    p->n_addresses = w->n_addresses + w->n_outside;
    p->addresses = xcalloc(p->n_addresses, sizeof *p->addresses);
    for (size_t i = 0; i < w->n_addresses; i++) {
        uint32_t e = w->addresses[i].endpoint;

        p->addresses[i] = (struct program_address){.address = w->addresses[i].address,
                                                   .length = 128,
                                                   .mode = (uint8_t)w->ends[e].mode,
                                                   .trust = (uint8_t)w->ends[e].trust,
                                                   .self = e == self,
                                                   .identity = c->endpoint_identity[e]};
    }
    for (size_t i = 0; i < w->n_outside; i++)
        p->addresses[w->n_addresses + i] =
            (struct program_address){.address = w->outside[i].prefix.address,
                                     .length = w->outside[i].prefix.length,
                                     .identity = c->outside_identity[i]};
}

/* An endpoint may have the very address that an outside group names: it is not outside. */
static void drop_shadowed(struct program *p, size_t n_endpoint_addresses)
{
    size_t kept = n_endpoint_addresses;

    for (size_t i = n_endpoint_addresses; i < p->n_addresses; i++) {
        bool shadowed = false;

        for (size_t k = 0; p->addresses[i].length == 128 && !shadowed && k < n_endpoint_addresses;
             k++)
            shadowed = address_compare(&p->addresses[k].address, &p->addresses[i].address) == 0;
        if (!shadowed)
            p->addresses[kept++] = p->addresses[i];
    }
    p->n_addresses = kept;
}

static void *copy_rows(const void *rows, size_t n, size_t size)
{
    void *to = xcalloc(n, size);

    if (n)
        memcpy(to, rows, n * size);
    return to;
}

static void copy_tables(const struct compiled *c, struct program *p)
{
    p->services = copy_rows(c->services, c->n_services, sizeof *p->services);
    p->n_services = c->n_services;
    p->processes = copy_rows(c->processes, c->n_processes, sizeof *p->processes);
    p->n_processes = c->n_processes;
    p->users = copy_rows(c->users, c->n_users, sizeof *p->users);
    p->n_users = c->n_users;
    p->rules = copy_rows(c->rules, c->rule_numbers.largest, sizeof *p->rules);
    p->n_rules = c->rule_numbers.largest;
    memcpy(p->lifeline, c->lifeline, sizeof p->lifeline);
    p->n_lifeline = c->n_lifeline;
}

/* Program files and people that no entry of this endpoint asks for are none of its business: its
 * agent need not look for them, nor say that they are missing. */
static void drop_unused_names(struct program *p)
{
    CLEANUP(free_voidp) uint8_t *process_used = xcalloc(UINT16_MAX + 1, 1);
    CLEANUP(free_voidp) uint8_t *user_used = xcalloc(UINT16_MAX + 1, 1);
    size_t n = 0;

    for (size_t i = 0; i < p->n_entries; i++) {
        process_used[p->entries[i].process] = 1;
        user_used[p->entries[i].user] = 1;
    }
    for (size_t i = 0; i < p->n_processes; i++)
        if (process_used[p->processes[i].class])
            p->processes[n++] = p->processes[i];
    p->n_processes = n;
    n = 0;
    for (size_t i = 0; i < p->n_users; i++)
        if (user_used[p->users[i].class])
            p->users[n++] = p->users[i];
    p->n_users = n;
}

int compiled_program(const struct compiled *c, const char *endpoint, struct program **ret_p,
                     const char **ret_what)
{
    CLEANUP(program_freep) struct program *p = program_new();
    const struct world *w = c->world;
    const struct endpoint *e = inventory_endpoint(w->inventory, endpoint);
    struct entries entries = {.n = 0};
    uint32_t self;
    int r;

    *ret_what = "no such endpoint";
    if (!e)
        return -ENOENT;
    self = (uint32_t)(e - w->inventory->endpoints);
    p->revision = c->revision;
    copy_text(p->endpoint, PROGRAM_NAME_SIZE, endpoint);
    p->identity = c->endpoint_identity[self];
    p->mode = w->ends[self].mode;
    p->trust = w->ends[self].trust;
    add_addresses(c, self, p);
    drop_shadowed(p, w->n_addresses);
    copy_tables(c, p);
    for (int direction = DIRECTION_OUT; direction <= DIRECTION_IN; direction++)
        for (int suspect = SUSPECT_NONE; suspect <= SUSPECT_DESTINATION; suspect++)
            add_entries(c, &w->ends[self], (enum direction)direction, (enum suspect)suspect,
                        &entries);
    p->entries = entries.items;
    p->n_entries = entries.n;
    drop_unused_names(p);
    r = program_check(p, ret_what);
    if (r < 0)
        return r;
    *ret_p = TAKE_PTR(p);
    return 0;
}

int64_t compiled_next_change(const struct compiled *c)
{
    int64_t next = MODEL_NEVER_EXPIRES;

    for (size_t i = 0; i < c->n_alive; i++)
        if (c->alive[i]->expires_s < next)
            next = c->alive[i]->expires_s;
    return next;
}

uint64_t compiled_revision(const struct compiled *c)
{
    return c->revision;
}

size_t compiled_n_identities(const struct compiled *c)
{
    return c->identity_numbers.n;
}

identity_t compiled_identity(const struct compiled *c, const char *endpoint)
{
    const struct endpoint *e = inventory_endpoint(c->world->inventory, endpoint);

    return e ? c->endpoint_identity[e - c->world->inventory->endpoints] : 0;
}
