/* SPDX-License-Identifier: Apache-2.0 */
/* One commit: what is touched, how it was, the change, how it is; see compiled.h.
 *
 * Pairs of identities are looked at twice, before and after, and only where something may differ:
 * those that a touched rule takes (as it was or as it will be), and those of identities that come
 * or go.  Marking too many is harmless: what comes out equal is dropped by journal_finish(). */
#include <errno.h>

#include "core/compile/compiled.h"

enum { MAX_PAIRS = 1 << 18 }; /* Beyond, programs are sent whole. */

struct pairs { /* source << 32 | destination */
    uint64_t *items;
    size_t n, room;
    bool overflow;
};

struct committing {
    struct compiled *c;
    struct step step;
    bool is_recording;
    struct pairs pairs;
    struct list services; /* That are staged, or named by staged rules. */
    struct list prefixes; /* Five words each: addresses whose row may change. */
    bool users_staged, outside_staged, everybody_touched;
};

/* ---- what is touched ---- */

void commit_touch_rule(struct compiled *c, uint32_t rule)
{
    if (c->rules[rule].is_touched)
        return;
    c->rules[rule].is_touched = true;
    list_add(&c->touched_rules, rule);
}

static void touch_endpoint(struct compiled *c, uint32_t endpoint)
{
    if (c->endpoints[endpoint].is_touched)
        return;
    c->endpoints[endpoint].is_touched = true;
    list_add(&c->touched_endpoints, endpoint);
}

static void touch_everybody(struct committing *k)
{
    struct compiled *c = k->c;

    if (k->everybody_touched)
        return; /* By another group: many may change at once. */
    k->everybody_touched = true;
    for (uint32_t h = 0; h < c->objects_room[KIND_ENDPOINT]; h++)
        if (c->objects[KIND_ENDPOINT][h].words)
            touch_endpoint(c, h);
}

static void touch_members(struct compiled *c, const uint32_t *words, const uint32_t *others)
{
    bool both = words && others && others[GROUP_KIND] == GROUP_MEMBERS;

    for (uint32_t i = 0; words && i < words[GROUP_N]; i++)
        if (!both || !list_view_has((struct list_view){others + GROUP_ITEMS, others[GROUP_N]},
                                    words[GROUP_ITEMS + i]))
            touch_endpoint(c, words[GROUP_ITEMS + i]);
}

static void touch_group(struct committing *k, uint32_t group)
{
    const struct object *o = &k->c->objects[KIND_GROUP][group];
    const uint32_t *versions[] = {o->words, o->next};

    for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
        if (!versions[i])
            continue;
        else if (versions[i][GROUP_KIND] == GROUP_MATCH)
            touch_everybody(k);
        else if (versions[i][GROUP_KIND] == GROUP_MEMBERS)
            touch_members(k->c, versions[i], versions[!i]);
        else
            k->outside_staged = true;
}

static void note_services(struct committing *k, const uint32_t *words)
{

    for (int except = 0; words && except < 2; except++) {
        struct list_view v = rule_span(words, except, SPAN_SERVICE);

        for (uint32_t i = 0; i < v.n; i++)
            list_add(&k->services, v.items[i]);
    }
}

static bool names(const uint32_t *words, enum span span)
{
    return words && (rule_span(words, false, span).n || rule_span(words, true, span).n);
}

static bool names_programs(const uint32_t *words)
{
    return names(words, SPAN_PROCESS) || names(words, SPAN_SERVED_BY);
}

static int64_t expiry_of(const uint32_t *w)
{
    return (int64_t)((uint64_t)w[RULE_EXPIRES_HIGH] << 32 | w[RULE_EXPIRES_LOW]);
}

static bool is_alive(const struct compiled *c, const uint32_t *words)
{
    return words && c->now_s < expiry_of(words);
}

static void touch_expired(struct compiled *c)
{
    for (uint32_t h = 0; h < c->objects_room[KIND_RULE]; h++)
        if (c->objects[KIND_RULE][h].words &&
            is_alive(c, c->objects[KIND_RULE][h].words) != c->rules[h].is_indexed)
            commit_touch_rule(c, h);
}

static bool becomes_other(const struct compiled *c, uint32_t service)
{
    const struct service_state *s = &c->services[service];

    return c->objects[KIND_SERVICE][service].is_staged ||
           s->rules.n <= c->staged[KIND_RULE].n; /* None, or none after this. */
}

static void touch_all(struct committing *k)
{
    struct compiled *c = k->c;

    for (size_t i = 0; i < c->staged[KIND_GROUP].n; i++)
        touch_group(k, c->staged[KIND_GROUP].items[i]);
    for (size_t i = 0; i < c->staged[KIND_ENDPOINT].n; i++)
        touch_endpoint(c, c->staged[KIND_ENDPOINT].items[i]);
    for (size_t i = 0; i < c->staged[KIND_RULE].n; i++) {
        uint32_t rule = c->staged[KIND_RULE].items[i];
        const struct object *o = &c->objects[KIND_RULE][rule];

        commit_touch_rule(c, rule);
        note_services(k, o->words);
        note_services(k, o->next);
        k->users_staged |= names(o->words, SPAN_USER) || names(o->next, SPAN_USER);
    }
    for (size_t i = 0; i < c->staged[KIND_SERVICE].n; i++)
        list_add(&k->services, c->staged[KIND_SERVICE].items[i]);
    list_sort(&k->services);
    k->users_staged |= c->staged[KIND_USER].n != 0;
    if (c->modes_staged)
        touch_everybody(k);
    if (!k->is_recording)
        return;
    for (size_t i = 0; i < k->services.n; i++)
        if (becomes_other(c, k->services.items[i]))
            ports_touch(c, k->services.items[i]);
    for (uint32_t h = 0; k->users_staged && h < c->objects_room[KIND_RULE]; h++)
        if (names(c->objects[KIND_RULE][h].words, SPAN_USER))
            commit_touch_rule(c, h);
}

/* ---- pairs and addresses, to be compared ---- */

static void add_pair(struct pairs *p, uint32_t from, uint32_t to)
{
    if (p->n >= MAX_PAIRS) {
        p->overflow = true;
        return;
    }
    GROW(p->items, p->n, p->room);
    p->items[p->n++] = (uint64_t)from << 32 | to;
}

static void list_taken(const struct compiled *c, struct list_view groups, struct list *to)
{
    to->n = 0;
    if (!groups.n)
        for (size_t i = 0; i < c->all_identities.n; i++)
            list_add(to, c->all_identities.items[i]);
    for (uint32_t g = 0; g < groups.n; g++) {
        const struct list *l = &c->groups[groups.items[g]].identities;

        for (size_t i = 0; i < l->n; i++)
            list_add(to, l->items[i]);
    }
}

static void add_rule_pairs(struct committing *k, const uint32_t *words)
{
    struct list from = {.n = 0}, to = {.n = 0};

    if (!words)
        return;
    list_taken(k->c, rule_span(words, false, SPAN_FROM), &from);
    list_taken(k->c, rule_span(words, false, SPAN_TO), &to);
    for (size_t i = 0; i < from.n && !k->pairs.overflow; i++)
        for (size_t j = 0; j < to.n && !k->pairs.overflow; j++)
            add_pair(&k->pairs, from.items[i], to.items[j]);
    free(from.items);
    free(to.items);
}

static void add_identity_pairs(struct committing *k, uint32_t identity)
{
    struct list remotes = {.n = 0};

    for (int is_source = 0; is_source < 2; is_source++) {
        remotes.n = 0;
        compile_remotes(k->c, identity, is_source, &remotes);
        for (size_t i = 0; i < remotes.n && !k->pairs.overflow; i++)
            if (is_source)
                add_pair(&k->pairs, identity, remotes.items[i]);
            else
                add_pair(&k->pairs, remotes.items[i], identity);
    }
    free(remotes.items);
}

static int by_pair(const void *a_, const void *b_)
{
    uint64_t a = *(const uint64_t *)a_, b = *(const uint64_t *)b_;

    return (a > b) - (a < b);
}

static void sort_pairs(struct pairs *p)
{
    size_t kept = 0;

    if (p->n > 1)
        qsort(p->items, p->n, sizeof *p->items, by_pair);
    for (size_t i = 0; i < p->n; i++)
        if (!kept || p->items[kept - 1] != p->items[i])
            p->items[kept++] = p->items[i];
    p->n = kept;
}

/* Another trust state or address makes no other identity. */
static bool may_move(const struct compiled *c, uint32_t endpoint)
{
    const struct object *o = &c->objects[KIND_ENDPOINT][endpoint];

    if (c->staged[KIND_GROUP].n)
        return true;
    return o->is_staged &&
           (!o->next || o->words[ENDPOINT_ENFORCERS] != o->next[ENDPOINT_ENFORCERS] ||
            !member_same_labels(o->words, o->next));
}

/* Identities all of whose endpoints are touched may be gone afterwards. */
static void add_leaving(struct committing *k)
{
    struct compiled *c = k->c;
    CLEANUP(free_voidp) uint32_t *left = xcalloc(c->identity_room, sizeof *left);
    struct list *touched = &c->touched_endpoints;

    for (size_t i = 0; i < touched->n; i++) {
        uint32_t x = c->endpoints[touched->items[i]].identity;

        if (x != TABLE_NONE && may_move(c, touched->items[i]) &&
            ++left[x] == c->identities.items[x].uses)
            add_identity_pairs(k, x);
    }
    for (size_t i = 0; k->outside_staged && i < c->n_outside; i++)
        add_identity_pairs(k, c->outside[i].identity);
}

static void add_prefix(struct committing *k, uint8_t length, const uint32_t address[ADDRESS_WORDS])
{
    list_add(&k->prefixes, length);
    for (size_t i = 0; i < ADDRESS_WORDS; i++)
        list_add(&k->prefixes, address[i]);
}

/* The addresses of touched endpoints, and when the outside is cut again, all of its ranges. */
static void add_prefixes(struct committing *k)
{
    struct compiled *c = k->c;

    for (size_t i = 0; i < c->touched_endpoints.n; i++) {
        const uint32_t *w = c->objects[KIND_ENDPOINT][c->touched_endpoints.items[i]].words;

        for (uint32_t a = 0; w && a < w[ENDPOINT_N_ADDRESSES]; a++)
            add_prefix(k, 128, w + ENDPOINT_ADDRESSES + (size_t)a * ADDRESS_WORDS);
    }
    for (size_t i = 0; k->outside_staged && i < c->n_outside; i++) {
        uint32_t address[ADDRESS_WORDS];

        memcpy(address, &c->outside[i].prefix.address, sizeof address);
        add_prefix(k, c->outside[i].prefix.length, address);
    }
}

/* Addresses that endpoints will have stand in 'next' until they are swapped in. */
static void add_next_prefixes(struct committing *k)
{
    struct compiled *c = k->c;

    for (size_t i = 0; i < c->staged[KIND_ENDPOINT].n; i++) {
        const uint32_t *w = c->objects[KIND_ENDPOINT][c->staged[KIND_ENDPOINT].items[i]].next;

        for (uint32_t a = 0; w && a < w[ENDPOINT_N_ADDRESSES]; a++)
            add_prefix(k, 128, w + ENDPOINT_ADDRESSES + (size_t)a * ADDRESS_WORDS);
    }
}

static void take_rows(struct committing *k, struct rows *rows, struct address_rows *addresses)
{
    struct compiled *c = k->c;
    struct list sources[2] = {{.n = 0}, {.n = 0}};
    uint32_t source = TABLE_NONE;

    for (size_t i = 0; i < k->pairs.n; i++) {
        uint32_t from = (uint32_t)(k->pairs.items[i] >> 32), to = (uint32_t)k->pairs.items[i];

        if (!c->identity[from].is_used || !c->identity[to].is_used)
            continue;
        if (from != source)
            compile_source(c, from, sources);
        source = from;
        compile_pair(c, from, to, sources, rows);
    }
    free(sources[0].items);
    free(sources[1].items);
    for (size_t i = 0; i < k->prefixes.n; i += PREFIX_WORDS) {
        struct prefix p = {.length = (uint8_t)k->prefixes.items[i]};
        struct address_row row;

        memcpy(&p.address, k->prefixes.items + i + 1, sizeof p.address);
        if (!member_address_row(c, &p, &row))
            continue;
        GROW(addresses->items, addresses->n, addresses->room);
        addresses->items[addresses->n++] = row;
    }
}

static void look_before(struct committing *k)
{
    struct compiled *c = k->c;

    for (size_t i = 0; i < c->touched_rules.n; i++) {
        const struct object *o = &c->objects[KIND_RULE][c->touched_rules.items[i]];

        add_rule_pairs(k, o->words);
        if (o->is_staged)
            add_rule_pairs(k, o->next);
        /* An endpoint's program lists what the rules that take it name. */
        k->step.processes |= names_programs(o->words) || names_programs(o->next);
        k->step.users |= names(o->words, SPAN_USER) || names(o->next, SPAN_USER);
    }
    add_leaving(k);
    add_prefixes(k);
    add_next_prefixes(k);
    sort_pairs(&k->pairs);
    take_rows(k, &k->step.before, &k->step.addresses_before);
    for (size_t i = 0; i < c->touched_endpoints.n; i++) {
        uint32_t h = c->touched_endpoints.items[i], x = c->endpoints[h].identity;

        if (x == TABLE_NONE)
            continue;
        GROW(k->step.moved, k->step.n_moved, k->step.moved_room);
        k->step.moved[k->step.n_moved++] =
            (struct moved){h, x, numbering_number(&c->identities, x)};
    }
}

/* An endpoint that has the very address of a new range was looked at before, or is what it was. */
static void take_new_outside(const struct compiled *c, struct address_rows *to)
{
    for (size_t i = 0; i < c->n_outside; i++) {
        struct address_row row;

        if (!member_address_row(c, &c->outside[i].prefix, &row) || row.owner != TABLE_NONE)
            continue;
        GROW(to->items, to->n, to->room);
        to->items[to->n++] = row;
    }
}

static void look_after(struct committing *k)
{
    struct compiled *c = k->c;
    size_t kept = 0;

    for (size_t i = 0; i < c->new_identities.n; i++)
        if (c->identity[c->new_identities.items[i]].is_used)
            add_identity_pairs(k, c->new_identities.items[i]);
    sort_pairs(&k->pairs);
    take_rows(k, &k->step.after, &k->step.addresses_after);
    if (k->outside_staged)
        take_new_outside(c, &k->step.addresses_after);
    for (size_t i = 0; i < k->step.n_moved; i++) {
        const struct moved *m = &k->step.moved[i];
        uint32_t x = c->endpoints[m->endpoint].identity;

        if (x == TABLE_NONE || (x == m->handle && numbering_number(&c->identities, x) == m->before))
            continue;
        if (numbering_number(&c->identities, x) == m->before)
            k->step.processes = k->step.users = true; /* Other rules take the same number now. */
        else
            k->step.moved[kept++] = *m;
    }
    k->step.n_moved = kept;
}

/* ---- the change ---- */

static void index_rule(struct compiled *c, uint32_t rule, bool add)
{
    const struct object *o = &c->objects[KIND_RULE][rule];
    bool quarantine = o->words[RULE_LAYER] == LAYER_QUARANTINE;
    void (*change)(struct list *, uint32_t) = add ? list_add : list_drop;

    for (int side = 0; side < 2; side++) {
        struct list_view groups = rule_span(o->words, false, side ? SPAN_TO : SPAN_FROM);

        if (!groups.n)
            change(&c->any_rules[quarantine][side], rule);
        for (uint32_t g = 0; g < groups.n; g++)
            change(&c->groups[groups.items[g]].rules[quarantine][side], rule);
    }
    c->rules[rule].is_indexed = add;
}

/* What names this rule from elsewhere: services, user references. */
static void name_rule(struct compiled *c, uint32_t rule, bool add, bool *ret_users)
{
    const struct object *o = &c->objects[KIND_RULE][rule];
    struct list services = {.n = 0};

    for (int except = 0; except < 2; except++) {
        struct list_view v = rule_span(o->words, except, SPAN_SERVICE),
                         users = rule_span(o->words, except, SPAN_USER);

        for (uint32_t i = 0; i < v.n; i++)
            list_add(&services, v.items[i]);
        for (uint32_t i = 0; i < users.n; i++) {
            uint32_t *uses = &c->ref_uses[users.items[i]];

            *uses += add ? 1 : -1u;
            *ret_users |= add ? *uses == 1 : *uses == 0;
        }
    }
    list_sort(&services);
    for (size_t i = 0; i < services.n; i++)
        (add ? list_add : list_drop)(&c->services[services.items[i]].rules, rule);
    free(services.items);
}

static void swap_rules(struct compiled *c, bool *ret_users)
{
    for (size_t i = 0; i < c->touched_rules.n; i++) {
        uint32_t rule = c->touched_rules.items[i];
        const struct object *o = &c->objects[KIND_RULE][rule];

        if (c->rules[rule].is_indexed)
            index_rule(c, rule, false);
        if (o->is_staged) {
            if (o->words)
                name_rule(c, rule, false, ret_users);
            stage_swap(c, KIND_RULE, rule);
            if (o->words)
                name_rule(c, rule, true, ret_users);
        }
        if (is_alive(c, o->words))
            index_rule(c, rule, true);
    }
}

static void swap_groups(struct compiled *c)
{
    const struct list *staged = &c->staged[KIND_GROUP];

    for (size_t i = 0; i < staged->n; i++) {
        uint32_t group = staged->items[i];

        member_index_group(c, group, false);
        stage_swap(c, KIND_GROUP, group);
        member_index_group(c, group, true);
        if (!c->objects[KIND_GROUP][group].words)
            c->groups[group].mode = c->groups[group].next_mode = MODE_NONE;
    }
    if (!c->modes_staged)
        return;
    for (size_t i = 0; i < c->objects_room[KIND_GROUP]; i++)
        c->groups[i].mode = c->groups[i].next_mode;
    c->default_mode = c->next_default_mode;
}

static void swap_endpoints(struct compiled *c)
{
    const struct list *touched = &c->touched_endpoints;

    for (size_t i = 0; i < touched->n; i++)
        if (c->objects[KIND_ENDPOINT][touched->items[i]].is_staged)
            member_own(c, touched->items[i], false);
    for (size_t i = 0; i < touched->n; i++)
        if (c->objects[KIND_ENDPOINT][touched->items[i]].is_staged) {
            stage_swap(c, KIND_ENDPOINT, touched->items[i]);
            member_own(c, touched->items[i], true);
        }
    for (size_t i = 0; i < touched->n; i++)
        member_update(c, touched->items[i]);
}

static void drop_identities(struct compiled *c)
{
    for (size_t i = 0; i < c->identities.n_changed; i++) {
        uint32_t x = c->identities.changed[i];

        if (!c->identities.items[x].uses && c->identity[x].is_used)
            member_drop_identity(c, x);
    }
}

static void replace(struct list *old, const struct list *with)
{
    free(old->items);
    *old = *with;
}

/* Classes of services and users that a rule takes. */
static void derive_rule(struct compiled *c, uint32_t rule)
{
    const struct object *o = &c->objects[KIND_RULE][rule];
    struct rule_state *s = &c->rules[rule];

    s->is_touched = false;
    for (int except = 0; except < 2; except++) {
        struct list services = {.n = 0}, users = {.n = 0};
        struct list_view v = {.n = 0}, refs = {.n = 0};

        if (o->words) {
            v = rule_span(o->words, except, SPAN_SERVICE);
            refs = rule_span(o->words, except, SPAN_USER);
        }
        for (uint32_t i = 0; i < v.n; i++) {
            const struct list *classes = &c->services[v.items[i]].classes;

            for (size_t k = 0; k < classes->n; k++)
                list_add(&services, classes->items[k]);
        }
        list_sort(&services);
        for (size_t i = 0; refs.n && i < c->user_classes.n; i++)
            if (c->user_classes.items[i].uses &&
                lists_meet(
                    refs, (struct list_view){c->class_refs[i].items, (uint32_t)c->class_refs[i].n}))
                list_add(&users, (uint32_t)i);
        replace(&s->services[except], &services);
        replace(&s->users[except], &users);
    }
    s->stamp = ++c->last_stamp;
}

/* Numbers whose rule goes away may name another one from now on. */
static void note_renames(struct committing *k)
{
    struct compiled *c = k->c;
    const struct numbering *n = &c->names[KIND_RULE];

    for (size_t i = 0; i < n->n_changed; i++) {
        const struct numbered *x = &n->items[n->changed[i]];

        if (x->uses || !x->number)
            continue;
        GROW(k->step.renamed, k->step.n_renamed, k->step.renamed_room);
        k->step.renamed[k->step.n_renamed] = (struct renamed){.number = x->number};
        memcpy(k->step.renamed[k->step.n_renamed].id, x->key, x->size);
        k->step.n_renamed++;
    }
}

static void change(struct committing *k)
{
    struct compiled *c = k->c;
    bool refs_changed = false;

    swap_rules(c, &refs_changed);
    for (size_t i = 0; i < c->staged[KIND_SERVICE].n; i++) {
        c->services[c->staged[KIND_SERVICE].items[i]].is_changed = true;
        stage_swap(c, KIND_SERVICE, c->staged[KIND_SERVICE].items[i]);
    }
    swap_groups(c);
    k->step.services = ports_update(c, &k->services);
    k->step.users |= users_update(c, refs_changed);
    swap_endpoints(c);
    if (k->outside_staged || !c->n_outside)
        member_cut_outside(c);
    drop_identities(c);
    note_renames(k);
    k->step.processes |= numbering_commit(&c->paths) != 0;
    k->step.services |= numbering_commit(&c->service_classes) != 0;
    (void)numbering_commit(&c->user_classes);
    k->step.rules = numbering_commit(&c->names[KIND_RULE]) != 0;
    (void)numbering_commit(&c->identities);
    (void)numbering_commit(&c->labels);
    (void)numbering_commit(&c->refs);
    for (int kind = 0; kind < N_KINDS; kind++)
        if (kind != KIND_RULE)
            (void)numbering_commit(&c->names[kind]);
    for (size_t i = 0; i < c->touched_rules.n; i++) {
        uint32_t rule = c->touched_rules.items[i];
        const struct object *o = &c->objects[KIND_RULE][rule];

        derive_rule(c, rule);
        if (!o->words || expiry_of(o->words) == MODEL_NEVER_EXPIRES)
            continue;
        if (expiry_of(o->words) > c->now_s && expiry_of(o->words) < c->next_expiry_s)
            c->next_expiry_s = expiry_of(o->words);
    }
}

/* ---- the whole ---- */

static void forget_staged(struct compiled *c)
{
    for (int kind = 0; kind < N_KINDS; kind++)
        c->staged[kind].n = 0;
    for (size_t i = 0; i < c->touched_endpoints.n; i++)
        c->endpoints[c->touched_endpoints.items[i]].is_touched = false;
    c->touched_endpoints.n = c->touched_rules.n = c->new_identities.n = 0;
    c->modes_staged = false;
}

static const char *over_limit(const struct compiled *c)
{
    if (c->service_classes.largest > UINT16_MAX || c->n_cuts > PROGRAM_MAX_SERVICES)
        return "service classes";
    if (c->paths.largest > UINT16_MAX || c->paths.n_keys > PROGRAM_MAX_PROCESSES)
        return "program classes";
    if (c->user_classes.largest > UINT16_MAX ||
        c->names[KIND_USER].n_keys + c->strangers.n / 2 > PROGRAM_MAX_USERS)
        return "user classes";
    if (c->names[KIND_RULE].largest > PROGRAM_MAX_RULES)
        return "rules";
    if (c->addresses.n + c->n_outside > PROGRAM_MAX_ADDRESSES)
        return "addresses";
    return NULL;
}

int compiled_commit(struct compiled *c, uint64_t revision, int64_t now_s, const char **ret_what)
{
    struct committing k = {.c = c, .is_recording = c->revision != 0};
    bool expired = now_s < c->now_s || now_s >= c->next_expiry_s;

    k.step.from = c->revision;
    k.step.to = revision;
    c->now_s = now_s;
    if (expired) {
        touch_expired(c);
        c->next_expiry_s = MODEL_NEVER_EXPIRES;
        for (uint32_t h = 0; h < c->objects_room[KIND_RULE]; h++) {
            const uint32_t *w = c->objects[KIND_RULE][h].words;

            if (w && expiry_of(w) > now_s && expiry_of(w) < c->next_expiry_s)
                c->next_expiry_s = expiry_of(w);
        }
    }
    touch_all(&k);
    if (k.is_recording)
        look_before(&k);
    change(&k);
    if (k.is_recording)
        look_after(&k);
    forget_staged(c);
    if (!k.is_recording)
        addresses_follow(c, NULL, NULL);
    c->revision = revision;
    k.step.is_complete = k.is_recording && !k.pairs.overflow;
    journal_add(c, &k.step);
    free(k.pairs.items);
    free(k.services.items);
    free(k.prefixes.items);
    *ret_what = over_limit(c);
    return *ret_what ? -E2BIG : 0;
}
