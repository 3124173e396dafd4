/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions as words, staged until the commit; see compiled.h. */
#include <errno.h>

#include "base/buf.h"
#include "core/compile/compiled.h"

/* ---- references: every name in a definition is one use ---- */

struct referring {
    struct compiled *c;
    void (*visit)(struct numbering *n, uint32_t handle);
};

static void visit_all(const struct referring *r, struct numbering *n, const uint32_t *items,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        r->visit(n, items[i]);
}

static void visit_group(const struct referring *r, const uint32_t *w)
{
    const uint32_t *at = w + GROUP_ITEMS;

    if (w[GROUP_KIND] == GROUP_MEMBERS)
        visit_all(r, &r->c->names[KIND_ENDPOINT], at, w[GROUP_N]);
    for (uint32_t i = 0; w[GROUP_KIND] == GROUP_MATCH && i < w[GROUP_N]; i++) {
        visit_all(r, &r->c->labels, at + 1, at[0]);
        at += 1 + at[0];
    }
}

static void visit_rule(const struct referring *r, const uint32_t *w)
{
    struct compiled *c = r->c;
    struct numbering *const of[N_SPANS] = {&c->names[KIND_GROUP],
                                           &c->names[KIND_GROUP],
                                           &c->names[KIND_SERVICE],
                                           &c->paths,
                                           &c->paths,
                                           &c->refs};

    for (int s = 0; s < 2 * N_SPANS; s++) {
        const uint32_t *span = w + RULE_SPANS + (size_t)s * SPAN_WORDS;

        visit_all(r, of[s % N_SPANS], w + span[0], span[1]);
    }
}

static void visit_references(const struct referring *r, enum kind kind, const uint32_t *w)
{
    if (!w)
        return;
    if (kind == KIND_GROUP)
        visit_group(r, w);
    else if (kind == KIND_RULE)
        visit_rule(r, w);
    else if (kind == KIND_USER)
        visit_all(r, &r->c->refs, w + 1, w[0]);
    else if (kind == KIND_ENDPOINT) {
        const uint32_t *labels =
            w + ENDPOINT_ADDRESSES + (size_t)w[ENDPOINT_N_ADDRESSES] * ADDRESS_WORDS;

        visit_all(r, &r->c->labels, labels + 1, labels[0]);
    }
}

static void leave_references(struct compiled *c, enum kind kind, const uint32_t *words)
{
    const struct referring r = {c, numbering_leave};

    visit_references(&r, kind, words);
}

/* ---- objects ---- */

static void *grow_states(void *states, size_t old, size_t room, size_t size)
{
    states = xreallocarray(states, room, size);
    memset((char *)states + old * size, 0, (room - old) * size);
    return states;
}

static void make_room(struct compiled *c, enum kind kind, uint32_t handle)
{
    size_t old = c->objects_room[kind], room = old ? old : 64;

    while (room <= handle)
        room *= 2;
    if (room == old)
        return;
    c->objects_room[kind] = room;
    c->objects[kind] = grow_states(c->objects[kind], old, room, sizeof *c->objects[kind]);
    if (kind == KIND_GROUP)
        c->groups = grow_states(c->groups, old, room, sizeof *c->groups);
    else if (kind == KIND_SERVICE)
        c->services = grow_states(c->services, old, room, sizeof *c->services);
    else if (kind == KIND_RULE)
        c->rules = grow_states(c->rules, old, room, sizeof *c->rules);
    else if (kind == KIND_ENDPOINT)
        c->endpoints = grow_states(c->endpoints, old, room, sizeof *c->endpoints);
    else
        c->user_class = grow_states(c->user_class, old, room, sizeof *c->user_class);
    for (size_t i = old; i < room; i++)
        if (kind == KIND_ENDPOINT)
            c->endpoints[i].identity = TABLE_NONE;
        else if (kind == KIND_USER)
            c->user_class[i] = TABLE_NONE;
}

static uint32_t use_name(struct compiled *c, enum kind kind, const char *name)
{
    uint32_t handle = numbering_use(&c->names[kind], name, strlen(name));

    make_room(c, kind, handle);
    return handle;
}

static bool is_current(const struct object *o, const struct list *words)
{
    return o->words && !o->is_staged && o->n_words == words->n &&
           memcmp(o->words, words->items, words->n * sizeof(uint32_t)) == 0;
}

/* Takes 'words' and the uses in it; NULL: to be removed.  'handle' was used for this call. */
static void stage(struct compiled *c, enum kind kind, uint32_t handle, struct list *words)
{
    struct object *o = &c->objects[kind][handle];

    o->seen = c->epoch;
    if (words && is_current(o, words)) {
        leave_references(c, kind, words->items);
        free(words->items);
        numbering_leave(&c->names[kind], handle);
        return;
    }
    if (o->is_staged) {
        leave_references(c, kind, o->next);
        free(o->next);
        numbering_leave(&c->names[kind], handle);
    } else {
        list_add(&c->staged[kind], handle);
    }
    o->next = words ? words->items : NULL;
    o->n_next = words ? (uint32_t)words->n : 0;
    o->is_staged = true;
}

void stage_swap(struct compiled *c, enum kind kind, uint32_t handle)
{
    struct object *o = &c->objects[kind][handle];

    leave_references(c, kind, o->words);
    if (o->words)
        numbering_leave(&c->names[kind], handle); /* The use of what was. */
    if (!o->next)
        numbering_leave(&c->names[kind], handle); /* The use of the wish to remove it. */
    free(o->words);
    o->words = o->next;
    o->n_words = o->n_next;
    o->next = NULL;
    o->is_staged = false;
}

void objects_done(struct compiled *c)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (size_t i = 0; i < c->objects_room[kind]; i++) {
            free(c->objects[kind][i].words);
            free(c->objects[kind][i].next);
        }
        free(c->objects[kind]);
        free(c->staged[kind].items);
    }
}

/* ---- endpoints and users ---- */

static uint32_t label_handle(struct compiled *c, const char *key, const char *value)
{
    struct buf b = BUF_INIT;
    uint32_t handle;

    buf_printf(&b, "%s=%s", key, value); /* No key has a '='. */
    handle = numbering_use(&c->labels, b.data, b.size);
    buf_done(&b);
    return handle;
}

static void add_address(struct list *w, const struct address *a)
{
    uint32_t part[ADDRESS_WORDS];

    memcpy(part, a->bytes, sizeof part);
    for (size_t i = 0; i < ADDRESS_WORDS; i++)
        list_add(w, part[i]);
}

void compiled_put_endpoint(struct compiled *c, const struct endpoint *e)
{
    struct list w = {.n = 0}, labels = {.n = 0};

    list_add(&w, e->enforcers);
    list_add(&w, e->trust);
    list_add(&w, (uint32_t)e->n_addresses);
    for (size_t i = 0; i < e->n_addresses; i++)
        add_address(&w, &e->addresses[i]);
    for (size_t i = 0; i < e->n_labels; i++)
        list_add(&labels, label_handle(c, e->labels[i].key, e->labels[i].value));
    list_sort(&labels);
    list_add(&w, (uint32_t)labels.n);
    for (size_t i = 0; i < labels.n; i++)
        list_add(&w, labels.items[i]);
    free(labels.items);
    stage(c, KIND_ENDPOINT, use_name(c, KIND_ENDPOINT, e->name), &w);
}

static const struct object *latest(const struct compiled *c, enum kind kind, const char *name,
                                   uint32_t *ret_handle)
{
    uint32_t handle = numbering_find(&c->names[kind], name, strlen(name));
    const struct object *o;

    if (handle == TABLE_NONE || handle >= c->objects_room[kind])
        return NULL;
    o = &c->objects[kind][handle];
    *ret_handle = handle;
    return (o->is_staged ? o->next : o->words) ? o : NULL;
}

int compiled_set_trust(struct compiled *c, const char *endpoint, enum trust trust)
{
    const struct referring again = {c, numbering_use_again};
    struct list w = {.n = 0};
    uint32_t handle;
    const struct object *o = latest(c, KIND_ENDPOINT, endpoint, &handle);
    const uint32_t *words;

    if (!o)
        return -ENOENT;
    words = o->is_staged ? o->next : o->words;
    for (size_t i = 0; i < (o->is_staged ? o->n_next : o->n_words); i++)
        list_add(&w, i == ENDPOINT_TRUST ? (uint32_t)trust : words[i]);
    visit_references(&again, KIND_ENDPOINT, w.items);
    numbering_use_again(&c->names[KIND_ENDPOINT], handle);
    stage(c, KIND_ENDPOINT, handle, &w);
    return 0;
}

static uint32_t ref_handle(struct compiled *c, const char *name, bool is_group)
{
    struct buf b = BUF_INIT;
    uint32_t handle;

    buf_printf(&b, "%s%s", is_group ? "@" : "", name);
    handle = numbering_use(&c->refs, b.data, b.size);
    buf_done(&b);
    if (handle >= c->ref_uses_room) {
        size_t room = (size_t)handle * 2 + 64;

        c->ref_uses = grow_states(c->ref_uses, c->ref_uses_room, room, sizeof *c->ref_uses);
        c->ref_uses_room = room;
    }
    return handle;
}

/* A group that is listed twice is used once. */
static void sort_uses(struct numbering *n, struct list *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        bool again = false;

        for (size_t k = 0; k < kept && !again; k++)
            again = l->items[k] == l->items[i];
        if (again)
            numbering_leave(n, l->items[i]);
        else
            l->items[kept++] = l->items[i];
    }
    l->n = kept;
    list_sort(l);
}

void compiled_put_user(struct compiled *c, const struct user *u)
{
    struct list w = {.n = 0}, refs = {.n = 0};

    list_add(&refs, ref_handle(c, u->name, false));
    for (size_t i = 0; i < u->n_groups; i++)
        list_add(&refs, ref_handle(c, u->groups[i], true));
    sort_uses(&c->refs, &refs);
    list_add(&w, (uint32_t)refs.n);
    for (size_t i = 0; i < refs.n; i++)
        list_add(&w, refs.items[i]);
    free(refs.items);
    stage(c, KIND_USER, use_name(c, KIND_USER, u->name), &w);
}

/* ---- groups and services ---- */

void compiled_put_group(struct compiled *c, const struct group *g)
{
    struct list w = {.n = 0}, items = {.n = 0};

    list_add(&w, g->kind);
    list_add(&w, (uint32_t)(g->kind == GROUP_MATCH     ? g->n_matches
                            : g->kind == GROUP_MEMBERS ? 0
                                                       : g->n_prefixes));
    for (size_t i = 0; g->kind == GROUP_MATCH && i < g->n_matches; i++) {
        items.n = 0;
        for (size_t v = 0; v < g->matches[i].n_values; v++)
            list_add(&items, label_handle(c, g->matches[i].key, g->matches[i].values[v]));
        sort_uses(&c->labels, &items);
        list_add(&w, (uint32_t)items.n);
        for (size_t v = 0; v < items.n; v++)
            list_add(&w, items.items[v]);
    }
    items.n = 0;
    for (size_t i = 0; g->kind == GROUP_MEMBERS && i < g->n_members; i++)
        list_add(&items, use_name(c, KIND_ENDPOINT, g->members[i].name));
    if (g->kind == GROUP_MEMBERS) {
        sort_uses(&c->names[KIND_ENDPOINT], &items);
        w.items[GROUP_N] = (uint32_t)items.n;
    }
    for (size_t i = 0; i < items.n; i++)
        list_add(&w, items.items[i]);
    for (size_t i = 0; g->kind == GROUP_OUTSIDE && i < g->n_prefixes; i++) {
        list_add(&w, g->prefixes[i].length);
        add_address(&w, &g->prefixes[i].address);
    }
    free(items.items);
    stage(c, KIND_GROUP, use_name(c, KIND_GROUP, g->name), &w);
}

void compiled_put_service(struct compiled *c, const struct service *s)
{
    struct list w = {.n = 0};

    list_add(&w, (uint32_t)s->n_ports);
    for (size_t i = 0; i < s->n_ports; i++) {
        list_add(&w, s->ports[i].protocol);
        list_add(&w, s->ports[i].low);
        list_add(&w, s->ports[i].high);
    }
    list_add(&w, (uint32_t)s->n_modbus);
    for (size_t i = 0; i < s->n_modbus; i++)
        list_add(&w, s->modbus[i]);
    stage(c, KIND_SERVICE, use_name(c, KIND_SERVICE, s->name), &w);
}

/* ---- rules ---- */

static void add_span(struct compiled *c, struct list *w, size_t span, struct numbering *n,
                     struct list *items)
{
    sort_uses(n, items);
    w->items[RULE_SPANS + span * SPAN_WORDS] = (uint32_t)w->n;
    w->items[RULE_SPANS + span * SPAN_WORDS + 1] = (uint32_t)items->n;
    for (size_t i = 0; i < items->n; i++)
        list_add(w, items->items[i]);
    items->n = 0;
    (void)c;
}

static void add_groups(struct compiled *c, struct list *items, const struct policy *p,
                       const struct selector *s)
{
    for (size_t i = 0; !s->any && i < s->n_groups; i++)
        list_add(items, use_name(c, KIND_GROUP, p->groups[s->groups[i]].name));
}

static void add_paths(struct compiled *c, struct list *items, const char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        list_add(items, numbering_use(&c->paths, paths[i], strlen(paths[i])));
}

static void add_match(struct compiled *c, struct list *w, size_t first, const struct policy *p,
                      const struct match *m)
{
    struct list items = {.n = 0};

    add_groups(c, &items, p, &m->from);
    add_span(c, w, first + SPAN_FROM, &c->names[KIND_GROUP], &items);
    add_groups(c, &items, p, &m->to);
    add_span(c, w, first + SPAN_TO, &c->names[KIND_GROUP], &items);
    for (size_t i = 0; i < m->n_services; i++)
        list_add(&items, use_name(c, KIND_SERVICE, p->services[m->services[i]].name));
    add_span(c, w, first + SPAN_SERVICE, &c->names[KIND_SERVICE], &items);
    add_paths(c, &items, m->processes, m->n_processes);
    add_span(c, w, first + SPAN_PROCESS, &c->paths, &items);
    add_paths(c, &items, m->served_by, m->n_served_by);
    add_span(c, w, first + SPAN_SERVED_BY, &c->paths, &items);
    for (size_t i = 0; i < m->n_users; i++)
        list_add(&items, ref_handle(c, m->users[i].name, m->users[i].is_group));
    add_span(c, w, first + SPAN_USER, &c->refs, &items);
    free(items.items);
}

void compiled_put_rule(struct compiled *c, const struct policy *p, const struct rule *r)
{
    struct list w = {.n = 0};

    for (size_t i = 0; i < RULE_WORDS; i++)
        list_add(&w, 0);
    w.items[RULE_LAYER] = r->layer;
    w.items[RULE_WEAKER] = r->accept_weaker != NULL;
    w.items[RULE_HAS_EXCEPT] = r->except != NULL;
    w.items[RULE_FROM_GIVEN] = r->match.from.given;
    w.items[RULE_TO_GIVEN] = r->match.to.given;
    w.items[RULE_EXPIRES_LOW] = (uint32_t)r->expires_s;
    w.items[RULE_EXPIRES_HIGH] = (uint32_t)((uint64_t)r->expires_s >> 32);
    add_match(c, &w, 0, p, &r->match);
    if (r->except)
        add_match(c, &w, N_SPANS, p, r->except);
    stage(c, KIND_RULE, use_name(c, KIND_RULE, r->id), &w);
}

/* ---- removal, and everything at once ---- */

static int stage_removal(struct compiled *c, enum kind kind, const char *name)
{
    uint32_t handle;

    if (!latest(c, kind, name, &handle))
        return -ENOENT;
    numbering_use_again(&c->names[kind], handle);
    stage(c, kind, handle, NULL);
    return 0;
}

int compiled_remove_endpoint(struct compiled *c, const char *name)
{
    return stage_removal(c, KIND_ENDPOINT, name);
}

int compiled_remove_user(struct compiled *c, const char *name)
{
    return stage_removal(c, KIND_USER, name);
}

int compiled_remove_group(struct compiled *c, const char *name)
{
    return stage_removal(c, KIND_GROUP, name);
}

int compiled_remove_service(struct compiled *c, const char *name)
{
    return stage_removal(c, KIND_SERVICE, name);
}

int compiled_remove_rule(struct compiled *c, const char *id)
{
    return stage_removal(c, KIND_RULE, id);
}

void compiled_set_modes(struct compiled *c, const struct policy *p)
{
    for (size_t i = 0; i < c->objects_room[KIND_GROUP]; i++)
        c->groups[i].next_mode = MODE_NONE;
    for (size_t i = 0; i < p->n_modes; i++) {
        const char *name = p->groups[p->modes[i].group].name;
        uint32_t handle = numbering_find(&c->names[KIND_GROUP], name, strlen(name));

        if (handle != TABLE_NONE)
            c->groups[handle].next_mode = (uint8_t)p->modes[i].mode;
    }
    c->next_default_mode = p->default_mode;
    c->modes_staged = c->next_default_mode != c->default_mode;
    for (size_t i = 0; i < c->objects_room[KIND_GROUP]; i++)
        c->modes_staged |= c->groups[i].next_mode != c->groups[i].mode;
}

static void remove_unseen(struct compiled *c, enum kind kind)
{
    for (uint32_t h = 0; h < c->objects_room[kind]; h++) {
        const struct object *o = &c->objects[kind][h];

        if (o->seen == c->epoch || !(o->is_staged ? o->next : o->words))
            continue;
        numbering_use_again(&c->names[kind], h);
        stage(c, kind, h, NULL);
    }
}

void compiled_put_all(struct compiled *c, const struct policy *p, const struct inventory *inv)
{
    c->epoch++;
    for (size_t i = 0; i < p->n_groups; i++)
        compiled_put_group(c, &p->groups[i]);
    for (size_t i = 0; i < p->n_services; i++)
        compiled_put_service(c, &p->services[i]);
    for (size_t i = 0; i < p->n_rules; i++)
        compiled_put_rule(c, p, &p->rules[i]);
    for (size_t i = 0; i < inv->n_endpoints; i++)
        compiled_put_endpoint(c, &inv->endpoints[i]);
    for (size_t i = 0; i < inv->n_users; i++)
        compiled_put_user(c, &inv->users[i]);
    for (int kind = 0; kind < N_KINDS; kind++)
        remove_unseen(c, (enum kind)kind);
    compiled_set_modes(c, p);
}
