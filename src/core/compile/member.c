/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, identity and addresses of endpoints, and of what is outside; see compiled.h. */
#include "base/buf.h"
#include "core/compile/compiled.h"

/* ---- groups ---- */

static struct list *label_list(struct compiled *c, uint32_t label)
{
    if (label >= c->label_groups_room) {
        size_t room = (size_t)label * 2 + 64;

        c->label_groups = xreallocarray(c->label_groups, room, sizeof *c->label_groups);
        memset(c->label_groups + c->label_groups_room, 0,
               (room - c->label_groups_room) * sizeof *c->label_groups);
        c->label_groups_room = room;
    }
    return &c->label_groups[label];
}

void member_index_group(struct compiled *c, uint32_t group, bool add)
{
    const uint32_t *w = c->objects[KIND_GROUP][group].words;
    void (*change)(struct list *, uint32_t) = add ? list_add : list_drop;

    if (!w)
        return;
    if (w[GROUP_KIND] == GROUP_MEMBERS)
        for (uint32_t i = 0; i < w[GROUP_N]; i++)
            change(&c->endpoints[w[GROUP_ITEMS + i]].member_of, group);
    else if (w[GROUP_KIND] == GROUP_MATCH && w[GROUP_N])
        for (uint32_t i = 0; i < w[GROUP_ITEMS]; i++) /* The values of its first condition. */
            change(label_list(c, w[GROUP_ITEMS + 1 + i]), group);
}

static struct list_view labels_of(const uint32_t *words)
{
    const uint32_t *at =
        words + ENDPOINT_ADDRESSES + (size_t)words[ENDPOINT_N_ADDRESSES] * ADDRESS_WORDS;

    return (struct list_view){at + 1, at[0]};
}

bool member_same_labels(const uint32_t *a, const uint32_t *b)
{
    struct list_view x = labels_of(a), y = labels_of(b);

    return x.n == y.n && memcmp(x.items, y.items, x.n * sizeof *x.items) == 0;
}

static bool has_labels(const struct compiled *c, uint32_t group, struct list_view labels)
{
    const uint32_t *w = c->objects[KIND_GROUP][group].words, *at = w + GROUP_ITEMS;

    for (uint32_t i = 0; i < w[GROUP_N]; i++) {
        if (!lists_meet((struct list_view){at + 1, at[0]}, labels))
            return false;
        at += 1 + at[0];
    }
    return true;
}

static void find_groups(struct compiled *c, uint32_t endpoint, struct list *to)
{
    struct list_view labels = labels_of(c->objects[KIND_ENDPOINT][endpoint].words);
    const struct list *named = &c->endpoints[endpoint].member_of;

    to->n = 0;
    for (uint32_t i = 0; i < labels.n; i++) {
        const struct list *groups = label_list(c, labels.items[i]);

        for (size_t g = 0; g < groups->n; g++)
            if (has_labels(c, groups->items[g], labels))
                list_add(to, groups->items[g]);
    }
    for (size_t g = 0; g < named->n; g++)
        list_add(to, named->items[g]);
    list_sort(to);
}

/* ---- identities ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint32_t use_identity(struct compiled *c, const struct list *groups, uint8_t flags)
{
    CLEANUP(free_voidp) void *memory = groups->n ? xcalloc(groups->n, sizeof(char *)) : NULL;
    const char **names = memory;
    struct buf b = BUF_INIT;
    uint32_t handle;

    buf_putc(&b, (char)('a' + flags));
    for (size_t i = 0; i < groups->n; i++)
        names[i] = numbering_key(&c->names[KIND_GROUP], groups->items[i]);
    if (groups->n > 1)
        qsort(names, groups->n, sizeof *names, by_text);
    for (size_t i = 0; i < groups->n; i++) {
        buf_putc(&b, '|');
        buf_puts(&b, names[i]);
    }
    handle = numbering_use(&c->identities, b.data, b.size);
    buf_done(&b);
    if (handle >= c->identity_room) {
        size_t room = (size_t)handle * 2 + 64;

        c->identity = xreallocarray(c->identity, room, sizeof *c->identity);
        memset(c->identity + c->identity_room, 0, (room - c->identity_room) * sizeof *c->identity);
        c->identity_room = room;
    }
    return handle;
}

/* Its groups are those of the first that comes. */
static void define_identity(struct compiled *c, uint32_t handle, const struct list *groups,
                            uint8_t flags)
{
    struct identity_state *x = &c->identity[handle];

    if (x->is_used)
        return;
    *x = (struct identity_state){.n_groups = (uint32_t)groups->n, .flags = flags, .is_used = true};
    x->groups = xcalloc(groups->n, sizeof *x->groups);
    if (groups->n)
        memcpy(x->groups, groups->items, groups->n * sizeof *x->groups);
    for (size_t i = 0; i < groups->n; i++)
        list_add(&c->groups[groups->items[i]].identities, handle);
    list_add(&c->all_identities, handle);
    list_add(&c->new_identities, handle);
}

void member_drop_identity(struct compiled *c, uint32_t handle)
{
    struct identity_state *x = &c->identity[handle];

    for (uint32_t i = 0; i < x->n_groups; i++)
        list_drop(&c->groups[x->groups[i]].identities, handle);
    list_drop(&c->all_identities, handle);
    free(x->groups);
    *x = (struct identity_state){.groups = NULL};
}

/* ---- endpoints ---- */

static enum mode mode_of(const struct compiled *c, const struct endpoint_state *e)
{
    enum mode mode = MODE_NONE;

    for (uint32_t i = 0; i < e->n_groups; i++)
        if (c->groups[e->groups[i]].mode > mode)
            mode = c->groups[e->groups[i]].mode;
    return mode == MODE_NONE ? c->default_mode : mode;
}

static void set_groups(struct endpoint_state *e, const struct list *groups)
{
    free(e->groups);
    e->groups = NULL;
    e->n_groups = (uint32_t)groups->n;
    if (groups->n) {
        e->groups = xcalloc(groups->n, sizeof *e->groups);
        memcpy(e->groups, groups->items, groups->n * sizeof *e->groups);
    }
}

void member_update(struct compiled *c, uint32_t endpoint)
{
    struct endpoint_state *e = &c->endpoints[endpoint];
    const uint32_t *w = c->objects[KIND_ENDPOINT][endpoint].words;
    struct list *groups = &c->scratch.groups;
    uint32_t before = e->identity;
    uint8_t flags = IDENTITY_INSIDE;

    groups->n = 0;
    e->identity = TABLE_NONE;
    if (w) {
        find_groups(c, endpoint, groups);
        e->enforcers = (uint8_t)w[ENDPOINT_ENFORCERS];
        e->trust = (uint8_t)w[ENDPOINT_TRUST];
        flags |= e->enforcers & ENFORCER_HOST ? IDENTITY_HOST : 0;
        flags |= e->enforcers & ENFORCER_EDGE ? IDENTITY_EDGE : 0;
        e->identity = use_identity(c, groups, flags);
        define_identity(c, e->identity, groups, flags);
    }
    set_groups(e, groups);
    e->mode = (uint8_t)mode_of(c, e);
    if (before != TABLE_NONE)
        numbering_leave(&c->identities, before);
}

/* ---- addresses ---- */

static bool has_address(const void *context, uint32_t endpoint, const void *key)
{
    const struct compiled *c = context;
    const uint32_t *w = c->objects[KIND_ENDPOINT][endpoint].words;

    for (uint32_t i = 0; w && i < w[ENDPOINT_N_ADDRESSES]; i++)
        if (memcmp(w + ENDPOINT_ADDRESSES + (size_t)i * ADDRESS_WORDS, key,
                   sizeof(struct address)) == 0)
            return true;
    return false;
}

uint32_t member_owner(const struct compiled *c, const struct address *a)
{
    return table_find(&c->addresses, table_hash(a, sizeof *a, 0), has_address, c, a);
}

void member_own(struct compiled *c, uint32_t endpoint, bool add)
{
    const uint32_t *w = c->objects[KIND_ENDPOINT][endpoint].words;

    for (uint32_t i = 0; w && i < w[ENDPOINT_N_ADDRESSES]; i++) {
        const uint32_t *address = w + ENDPOINT_ADDRESSES + (size_t)i * ADDRESS_WORDS;
        uint32_t hash = table_hash(address, sizeof(struct address), 0);

        if (add)
            table_add(&c->addresses, hash, endpoint);
        else
            table_remove(&c->addresses, hash, endpoint);
    }
}

static struct program_address row_of(const struct compiled *c, const struct prefix *p,
                                     uint32_t owner, uint32_t identity)
{
    const struct endpoint_state *e = owner == TABLE_NONE ? NULL : &c->endpoints[owner];

    return (struct program_address){.address = p->address,
                                    .length = p->length,
                                    .mode = e ? e->mode : MODE_NONE,
                                    .trust = e ? e->trust : TRUST_WHITE,
                                    .identity = numbering_number(&c->identities, identity)};
}

static int by_prefix(const void *key, const void *item)
{
    const struct prefix *a = key, *b = &((const struct outside_state *)item)->prefix;
    int r = address_compare(&a->address, &b->address);

    return r ? r : a->length - b->length;
}

bool member_address_row(const struct compiled *c, const struct prefix *p, struct address_row *ret)
{
    uint32_t owner = p->length == 128 ? member_owner(c, &p->address) : TABLE_NONE;
    const struct outside_state *o = NULL;

    if (owner != TABLE_NONE) {
        *ret = (struct address_row){row_of(c, p, owner, c->endpoints[owner].identity), owner};
        return true;
    }
    if (c->n_outside)
        o = bsearch(p, c->outside, c->n_outside, sizeof *o, by_prefix);
    if (o)
        *ret = (struct address_row){row_of(c, p, TABLE_NONE, o->identity), TABLE_NONE};
    return o;
}

/* ---- the outside ---- */

static struct outside_prefix *list_prefixes(const struct compiled *c, size_t *ret_n)
{
    struct outside_prefix *all = NULL;
    size_t n = 0, room = 0;

    for (uint32_t g = 0; g < c->objects_room[KIND_GROUP]; g++) {
        const uint32_t *w = c->objects[KIND_GROUP][g].words;

        for (uint32_t i = 0; w && w[GROUP_KIND] == GROUP_OUTSIDE && i < w[GROUP_N]; i++) {
            const uint32_t *at = w + GROUP_ITEMS + (size_t)i * PREFIX_WORDS;

            GROW(all, n, room);
            all[n] = (struct outside_prefix){.prefix.length = (uint8_t)at[0], .group = g};
            memcpy(&all[n++].prefix.address, at + 1, sizeof(struct address));
        }
    }
    *ret_n = n;
    return all;
}

void member_cut_outside(struct compiled *c)
{
    CLEANUP(free_voidp) void *memory = NULL;
    CLEANUP(outside_done) struct outside cut = {.prefixes = NULL};
    struct outside_state *before = c->outside;
    size_t n_before = c->n_outside, n = 0;
    struct list *groups = &c->scratch.groups;

    memory = list_prefixes(c, &n);
    cut = outside_cut(memory, n);
    c->n_outside = cut.n_nodes;
    c->outside = xcalloc(cut.n_nodes, sizeof *c->outside);
    for (size_t i = 0; i < cut.n_nodes; i++) {
        uint8_t flags = cut.nodes[i].is_multicast ? IDENTITY_MULTICAST : 0;

        groups->n = 0;
        for (uint32_t at = (uint32_t)i; at != UINT32_MAX; at = cut.nodes[at].around)
            for (size_t k = 0; k < cut.nodes[at].n; k++)
                if (cut.prefixes[cut.nodes[at].first + k].group != OUTSIDE_NO_GROUP)
                    list_add(groups, cut.prefixes[cut.nodes[at].first + k].group);
        list_sort(groups);
        c->outside[i] = (struct outside_state){cut.nodes[i].prefix, use_identity(c, groups, flags)};
        define_identity(c, c->outside[i].identity, groups, flags);
    }
    for (size_t i = 0; i < n_before; i++)
        numbering_leave(&c->identities, before[i].identity);
    free(before);
}
