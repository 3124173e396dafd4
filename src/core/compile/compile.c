/* SPDX-License-Identifier: Apache-2.0 */
/* One program at a time, from what compiled.h holds. */
#include "core/compile.h"

#include <errno.h>

#include "core/compile/compiled.h"

int compile(const struct policy *policy, const struct inventory *inventory,
            const struct compile_options *options, struct compiled **ret_c, const char **ret_what)
{
    CLEANUP(compiled_freep) struct compiled *c = NULL;
    const struct compiled *old = options->previous;
    int r;

    *ret_what = "lifeline connections";
    if (options->n_lifeline > PROGRAM_MAX_LIFELINE)
        return -E2BIG;
    c = xcalloc(1, sizeof *c);
    c->n_lifeline = options->n_lifeline;
    for (size_t i = 0; i < c->n_lifeline; i++)
        c->lifeline[i] = options->lifeline[i];
    c->next_expiry_s = MODEL_NEVER_EXPIRES;
    if (old) {
        numbering_inherit(&c->names[KIND_RULE], &old->names[KIND_RULE]);
        numbering_inherit(&c->paths, &old->paths);
        numbering_inherit(&c->identities, &old->identities);
        numbering_inherit(&c->service_classes, &old->service_classes);
        numbering_inherit(&c->user_classes, &old->user_classes);
    }
    compiled_put_all(c, policy, inventory);
    r = compiled_commit(c, options->revision, options->now_s, ret_what);
    if (r < 0)
        return r;
    *ret_c = TAKE_PTR(c);
    return 0;
}

static void free_lists(struct list *lists, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(lists[i].items);
}

static void free_states(struct compiled *c)
{
    for (size_t i = 0; i < c->objects_room[KIND_GROUP]; i++) {
        free(c->groups[i].identities.items);
        free_lists(&c->groups[i].rules[0][0], 4);
    }
    for (size_t i = 0; i < c->objects_room[KIND_SERVICE]; i++) {
        free(c->services[i].classes.items);
        free(c->services[i].rules.items);
    }
    for (size_t i = 0; i < c->objects_room[KIND_RULE]; i++) {
        free_lists(c->rules[i].services, 2);
        free_lists(c->rules[i].users, 2);
    }
    for (size_t i = 0; i < c->objects_room[KIND_ENDPOINT]; i++) {
        free(c->endpoints[i].groups);
        free(c->endpoints[i].member_of.items);
    }
    for (size_t i = 0; i < c->identity_room; i++)
        free(c->identity[i].groups);
    free_lists(c->label_groups, c->label_groups_room);
    free_lists(c->class_refs, c->class_refs_room);
    free_lists(&c->any_rules[0][0], 4);
}

static void free_everything(struct compiled *c)
{
    struct list *const lists[] = {
        &c->all_identities,    &c->new_identities,     &c->strangers,
        &c->touched_endpoints, &c->touched_rules,      &c->scratch.remotes,
        &c->scratch.rules,     &c->scratch.candidates, &c->scratch.groups};
    struct numbering *const numberings[] = {&c->labels,     &c->paths,           &c->refs,
                                            &c->identities, &c->service_classes, &c->user_classes};

    free_states(c);
    objects_done(c);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        free(lists[i]->items);
    for (size_t i = 0; i < ARRAY_SIZE(numberings); i++)
        numbering_done(numberings[i]);
    for (size_t i = 0; i < N_KINDS; i++)
        numbering_done(&c->names[i]);
    for (size_t i = 0; i < c->n_steps; i++)
        step_done(&c->steps[i]);
    pair_forget(c);
    table_done(&c->addresses);
    free(c->groups);
    free(c->services);
    free(c->rules);
    free(c->endpoints);
    free(c->user_class);
    free(c->label_groups);
    free(c->class_refs);
    free(c->identity);
    free(c->ref_uses);
    free(c->ranges);
    free(c->cuts);
    free(c->outside);
    free(c->sorted_addresses);
    free(c->scratch.head);
    free(c->scratch.tail);
    free(c->scratch.nodes);
    free(c);
}

void compiled_free(struct compiled *c)
{
    if (c)
        free_everything(c);
}

/* ---- which rules meet whom ---- */

static struct list_view groups_of(const struct compiled *c, uint32_t identity)
{
    return (struct list_view){c->identity[identity].groups, c->identity[identity].n_groups};
}

static bool takes(const struct compiled *c, struct list_view groups, uint32_t identity)
{
    return !groups.n || lists_meet(groups, groups_of(c, identity));
}

static uint8_t pair_flags(const struct compiled *c, uint32_t from, uint32_t to, bool in,
                          enum suspect suspect)
{
    const unsigned enforcers = IDENTITY_HOST | IDENTITY_EDGE;

    return (uint8_t)((in ? PAIR_IN : 0) | (unsigned)suspect << PAIR_SUSPECT_SHIFT |
                     (c->identity[from].flags & enforcers) >> 1 << PAIR_FROM_SHIFT |
                     (c->identity[to].flags & enforcers) >> 1 << PAIR_TO_SHIFT |
                     (c->identity[to].flags & IDENTITY_MULTICAST ? PAIR_MULTICAST : 0));
}

/* The outside is never a suspect; a quarantine rule has one direction. */
static bool is_possible(const struct compiled *c, uint32_t from, uint32_t to, enum suspect suspect)
{
    uint32_t black = suspect == SUSPECT_SOURCE ? from : to;

    return suspect == SUSPECT_NONE || (c->identity[black].flags & IDENTITY_INSIDE);
}

static bool fits(const struct compiled *c, uint32_t rule, enum suspect suspect)
{
    const uint32_t *w = c->objects[KIND_RULE][rule].words;

    return suspect == SUSPECT_NONE ||
           w[suspect == SUSPECT_SOURCE ? RULE_TO_GIVEN : RULE_FROM_GIVEN];
}

/* The rule as pair_template() wants it. */
static uint32_t with_except(const struct compiled *c, uint32_t rule, uint32_t from, uint32_t to)
{
    const struct object *o = &c->objects[KIND_RULE][rule];
    bool excepts = o->words[RULE_HAS_EXCEPT] &&
                   takes(c, rule_span(o->words, true, SPAN_FROM), from) &&
                   takes(c, rule_span(o->words, true, SPAN_TO), to);

    return rule | (excepts ? PAIR_EXCEPT : 0);
}

/* Rules with this identity on that side (0: from), sorted. */
static void find_candidates(const struct compiled *c, uint32_t identity, bool quarantine, int side,
                            struct list *to)
{
    const struct list *any = &c->any_rules[quarantine][side];
    struct list_view groups = groups_of(c, identity);

    to->n = 0;
    for (size_t i = 0; i < any->n; i++)
        list_add(to, any->items[i]);
    for (uint32_t g = 0; g < groups.n; g++) {
        const struct list *rules = &c->groups[groups.items[g]].rules[quarantine][side];

        for (size_t i = 0; i < rules->n; i++)
            list_add(to, rules->items[i]);
    }
    list_sort(to);
}

/* ---- one pair ---- */

static void add_template(const struct template *t, identity_t local, identity_t remote,
                         struct rows *rows)
{
    for (size_t i = 0; i < t->n_entries; i++) {
        GROW(rows->items, rows->n, rows->room);
        rows->items[rows->n] = (struct row){.local = local, .entry = t->entries[i]};
        rows->items[rows->n++].entry.remote = remote;
    }
}

/* For all pairs of one source, 'sources' are the rules that take it, found by compile_source(). */
void compile_source(const struct compiled *c, uint32_t from, struct list sources[2])
{
    for (int quarantine = 0; quarantine < 2; quarantine++)
        find_candidates(c, from, quarantine, 0, &sources[quarantine]);
}

void compile_pair(struct compiled *c, uint32_t from, uint32_t to, const struct list sources[2],
                  struct rows *rows)
{
    struct list *rules = &c->scratch.rules;
    identity_t from_number = numbering_number(&c->identities, from);
    identity_t to_number = numbering_number(&c->identities, to);

    for (int suspect = SUSPECT_NONE; suspect <= SUSPECT_DESTINATION; suspect++) {
        const struct list *candidates = &sources[suspect != SUSPECT_NONE];

        rules->n = 0;
        for (size_t i = 0; i < candidates->n; i++) {
            uint32_t rule = candidates->items[i];

            if (fits(c, rule, (enum suspect)suspect) &&
                takes(c, rule_span(c->objects[KIND_RULE][rule].words, false, SPAN_TO), to))
                list_add(rules, with_except(c, rule, from, to));
        }
        if (!rules->n || !is_possible(c, from, to, (enum suspect)suspect))
            continue;
        for (int in = 0; in < 2; in++)
            add_template(pair_template(c, rules->items, rules->n,
                                       pair_flags(c, from, to, in, (enum suspect)suspect)),
                         in ? to_number : from_number, in ? from_number : to_number, rows);
    }
}

/* ---- one identity and all whom it meets ---- */

static void prepare_scratch(struct scratch *s, size_t n_identities)
{
    if (s->room < n_identities) {
        s->head = xreallocarray(s->head, n_identities, sizeof *s->head);
        s->tail = xreallocarray(s->tail, n_identities, sizeof *s->tail);
        for (size_t i = s->room; i < n_identities; i++)
            s->head[i] = TABLE_NONE;
        s->room = n_identities;
    }
    s->n_nodes = 0;
    s->remotes.n = 0;
}

static void meet(struct scratch *s, uint32_t remote, uint32_t rule)
{
    bool is_first = s->head[remote] == TABLE_NONE;

    if (!is_first && s->nodes[s->tail[remote]].rule == rule)
        return; /* In two groups of the same rule. */
    GROW(s->nodes, s->n_nodes, s->nodes_room);
    s->nodes[s->n_nodes] = (struct scratch_node){rule, TABLE_NONE};
    if (is_first) {
        s->head[remote] = (uint32_t)s->n_nodes;
        list_add(&s->remotes, remote);
    } else {
        s->nodes[s->tail[remote]].next = (uint32_t)s->n_nodes;
    }
    s->tail[remote] = (uint32_t)s->n_nodes++;
}

/* Fills the scratch with a list of rules for each remote identity. */
static void walk(struct compiled *c, uint32_t identity, bool is_source, enum suspect suspect)
{
    struct scratch *s = &c->scratch;

    prepare_scratch(s, c->identity_room);
    find_candidates(c, identity, suspect != SUSPECT_NONE, is_source ? 0 : 1, &s->candidates);
    for (size_t i = 0; i < s->candidates.n; i++) {
        uint32_t rule = s->candidates.items[i];
        struct list_view groups =
            rule_span(c->objects[KIND_RULE][rule].words, false, is_source ? SPAN_TO : SPAN_FROM);

        if (!fits(c, rule, suspect))
            continue;
        for (size_t k = 0; !groups.n && k < c->all_identities.n; k++)
            meet(s, c->all_identities.items[k], rule);
        for (uint32_t g = 0; g < groups.n; g++) {
            const struct list *l = &c->groups[groups.items[g]].identities;

            for (size_t k = 0; k < l->n; k++)
                meet(s, l->items[k], rule);
        }
    }
}

static void forget_walk(struct scratch *s)
{
    for (size_t i = 0; i < s->remotes.n; i++)
        s->head[s->remotes.items[i]] = TABLE_NONE;
}

void compile_remotes(struct compiled *c, uint32_t identity, bool is_source, struct list *to)
{
    for (int suspect = SUSPECT_NONE; suspect <= SUSPECT_DESTINATION; suspect++) {
        walk(c, identity, is_source, (enum suspect)suspect);
        for (size_t i = 0; i < c->scratch.remotes.n; i++)
            list_add(to, c->scratch.remotes.items[i]);
        forget_walk(&c->scratch);
    }
    list_sort(to);
}

static void add_remote(struct compiled *c, uint32_t local, uint32_t remote, bool is_source,
                       enum suspect suspect, struct entries *to)
{
    uint32_t from = is_source ? local : remote, dest = is_source ? remote : local;
    struct scratch *s = &c->scratch;
    const struct template *t;

    if (!is_possible(c, from, dest, suspect))
        return;
    s->rules.n = 0;
    for (uint32_t at = s->head[remote]; at != TABLE_NONE; at = s->nodes[at].next)
        list_add(&s->rules, with_except(c, s->nodes[at].rule, from, dest));
    t = pair_template(c, s->rules.items, s->rules.n,
                      pair_flags(c, from, dest, !is_source, suspect));
    for (size_t i = 0; i < t->n_entries; i++) {
        GROW(to->items, to->n, to->room);
        to->items[to->n] = t->entries[i];
        to->items[to->n++].remote = numbering_number(&c->identities, remote);
    }
}

void compile_entries(struct compiled *c, uint32_t identity, struct entries *to)
{
    for (int is_source = 0; is_source < 2; is_source++)
        for (int suspect = SUSPECT_NONE; suspect <= SUSPECT_DESTINATION; suspect++) {
            walk(c, identity, is_source, (enum suspect)suspect);
            for (size_t i = 0; i < c->scratch.remotes.n; i++)
                add_remote(c, identity, c->scratch.remotes.items[i], is_source,
                           (enum suspect)suspect, to);
            forget_walk(&c->scratch);
        }
}

/* ---- tables ---- */

static void copy_text(char *to, size_t size, const char *s)
{
    size_t len = strlen(s);

    if (len >= size)
        len = size - 1; /* Cannot happen: the grammars are shorter. */
    memcpy(to, s, len);
    to[len] = 0;
}

void compile_head(struct compiled *c, uint32_t endpoint, struct program *p)
{
    const struct endpoint_state *e = &c->endpoints[endpoint];

    p->revision = c->revision;
    copy_text(p->endpoint, PROGRAM_NAME_SIZE, numbering_key(&c->names[KIND_ENDPOINT], endpoint));
    p->identity = numbering_number(&c->identities, e->identity);
    p->mode = (enum mode)e->mode;
    p->trust = (enum trust)e->trust;
    memcpy(p->lifeline, c->lifeline, sizeof p->lifeline);
    p->n_lifeline = c->n_lifeline;
}

/* Program files and people that no rule asks for at this endpoint are none of its business: its
 * agent need not look for them, nor say that they are missing. */
struct concern {
    struct list paths, users;
};

static void add_concern(const struct compiled *c, uint32_t identity, struct concern *to)
{
    struct list rules = {.n = 0};

    for (int quarantine = 0; quarantine < 2; quarantine++)
        for (int side = 0; side < 2; side++) {
            find_candidates(c, identity, quarantine, side, &rules);
            for (size_t i = 0; i < rules.n; i++)
                for (int except = 0; except < 2; except++) {
                    const struct object *o = &c->objects[KIND_RULE][rules.items[i]];
                    struct list_view v =
                        rule_span(o->words, except, side ? SPAN_SERVED_BY : SPAN_PROCESS);
                    const struct list *users = &c->rules[rules.items[i]].users[except];

                    for (uint32_t k = 0; k < v.n; k++)
                        list_add(&to->paths, v.items[k]);
                    for (size_t k = 0; !side && k < users->n; k++)
                        list_add(&to->users, users->items[k]);
                }
        }
    list_sort(&to->paths);
    list_sort(&to->users);
    free(rules.items);
}

static void add_user(struct compiled *c, struct program *p, size_t *room, const char *name,
                     uint32_t class)
{
    GROW(p->users, p->n_users, *room);
    p->users[p->n_users] =
        (struct program_user){.class = (uint16_t)numbering_number(&c->user_classes, class)};
    copy_text(p->users[p->n_users++].name, PROGRAM_NAME_SIZE, name);
}

static void add_users(struct compiled *c, const struct concern *mine, struct program *p)
{
    size_t room = 0;

    if (!mine->users.n)
        return;
    for (uint32_t u = 0; u < c->objects_room[KIND_USER]; u++)
        if (c->user_class[u] != TABLE_NONE && list_has(&mine->users, c->user_class[u]))
            add_user(c, p, &room, numbering_key(&c->names[KIND_USER], u), c->user_class[u]);
    for (size_t i = 0; i < c->strangers.n; i += 2)
        if (list_has(&mine->users, c->strangers.items[i + 1]))
            add_user(c, p, &room, numbering_key(&c->refs, c->strangers.items[i]),
                     c->strangers.items[i + 1]);
}

static void add_processes(struct compiled *c, const struct concern *mine, struct program *p)
{
    p->processes = xcalloc(mine->paths.n, sizeof *p->processes);
    for (size_t i = 0; i < mine->paths.n; i++) {
        struct program_process *x = &p->processes[p->n_processes++];

        x->class = (uint16_t)numbering_number(&c->paths, mine->paths.items[i]);
        copy_text(x->path, PROGRAM_PATH_SIZE, numbering_key(&c->paths, mine->paths.items[i]));
    }
}

static void add_services(struct compiled *c, struct program *p)
{
    p->services = xcalloc(c->n_cuts, sizeof *p->services);
    for (size_t i = 0; i < c->n_cuts; i++)
        p->services[p->n_services++] = (struct program_service){
            .protocol = c->cuts[i].protocol,
            .low = c->cuts[i].low,
            .high = c->cuts[i].high,
            .class = (uint16_t)numbering_number(&c->service_classes, c->cuts[i].class)};
}

static void add_rules(struct compiled *c, struct program *p)
{
    const struct numbering *names = &c->names[KIND_RULE];

    p->n_rules = names->largest;
    p->rules = xcalloc(p->n_rules, sizeof *p->rules);
    for (size_t h = 0; h < names->n; h++)
        if (names->items[h].key)
            copy_text(p->rules[names->items[h].number - 1].id, PROGRAM_NAME_SIZE,
                      names->items[h].key);
}

void compile_tables(struct compiled *c, uint32_t endpoint, struct program *p, bool services,
                    bool processes, bool users, bool rules)
{
    struct concern mine = {.paths.n = 0};

    if (processes || users)
        add_concern(c, c->endpoints[endpoint].identity, &mine);
    if (services)
        add_services(c, p);
    if (processes)
        add_processes(c, &mine, p);
    if (users)
        add_users(c, &mine, p);
    if (rules)
        add_rules(c, p);
    free(mine.paths.items);
    free(mine.users.items);
}

/* ---- programs ---- */

static uint32_t find_endpoint(const struct compiled *c, const char *name)
{
    uint32_t h = numbering_find(&c->names[KIND_ENDPOINT], name, strlen(name));

    return h != TABLE_NONE && c->objects[KIND_ENDPOINT][h].words ? h : TABLE_NONE;
}

static void add_all_but_addresses(struct compiled *c, uint32_t endpoint, struct program *p)
{
    struct entries entries = {.n = 0};

    compile_head(c, endpoint, p);
    compile_tables(c, endpoint, p, true, true, true, true);
    compile_entries(c, c->endpoints[endpoint].identity, &entries);
    p->entries = entries.items;
    p->n_entries = entries.n;
}

static int make_program(struct compiled *c, const char *endpoint, bool with_addresses,
                        struct program **ret_p, const char **ret_what)
{
    CLEANUP(program_freep) struct program *p = program_new();
    uint32_t h = find_endpoint(c, endpoint);
    int r;

    *ret_what = "no such endpoint";
    if (h == TABLE_NONE)
        return -ENOENT;
    add_all_but_addresses(c, h, p);
    if (with_addresses)
        addresses_add(c, h, p);
    r = program_check(p, ret_what);
    if (r < 0)
        return r;
    *ret_p = TAKE_PTR(p);
    return 0;
}

int compiled_program(struct compiled *c, const char *endpoint, struct program **ret_p,
                     const char **ret_what)
{
    return make_program(c, endpoint, true, ret_p, ret_what);
}

int compiled_program_but_addresses(struct compiled *c, const char *endpoint, struct program **ret_p,
                                   const char **ret_what)
{
    return make_program(c, endpoint, false, ret_p, ret_what);
}

const struct program_address *compiled_addresses(struct compiled *c, size_t *ret_n,
                                                 uint64_t *ret_stamp)
{
    addresses_sort(c);
    *ret_n = c->n_sorted_addresses;
    *ret_stamp = c->addresses_stamp;
    return c->sorted_addresses;
}

int compiled_own(struct compiled *c, const char *endpoint, struct compiled_kin *ret_kin,
                 uint32_t **ret_rows, size_t *ret_n)
{
    uint32_t h = find_endpoint(c, endpoint);
    const struct endpoint_state *e;
    struct list rows = {.n = 0};

    if (h == TABLE_NONE)
        return -ENOENT;
    e = &c->endpoints[h];
    *ret_kin = (struct compiled_kin){.identity = numbering_number(&c->identities, e->identity),
                                     .mode = (enum mode)e->mode,
                                     .trust = (enum trust)e->trust};
    addresses_sort(c);
    addresses_own(c, h, &rows);
    *ret_rows = rows.items;
    *ret_n = rows.n;
    return 0;
}

int64_t compiled_next_change(const struct compiled *c)
{
    return c->next_expiry_s;
}

uint64_t compiled_revision(const struct compiled *c)
{
    return c->revision;
}

size_t compiled_n_identities(const struct compiled *c)
{
    return c->identities.n_keys;
}

identity_t compiled_identity(const struct compiled *c, const char *endpoint)
{
    uint32_t h = find_endpoint(c, endpoint);

    return h == TABLE_NONE ? 0 : numbering_number(&c->identities, c->endpoints[h].identity);
}
