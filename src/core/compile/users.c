/* SPDX-License-Identifier: Apache-2.0 */
/* Users that rules tell apart; see compiled.h.
 *
 * A user's class is the set of references by which some rule takes him: his name, his groups.  A
 * person whom rules name is a user even when the inventory has none of that name. */
#include "base/buf.h"
#include "core/compile/compiled.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Uses the class of these references; TABLE_NONE when no rule names any. */
static uint32_t use_class(struct compiled *c, struct list_view refs)
{
    struct list used = {.n = 0};
    const char **names = NULL;
    struct buf b = BUF_INIT;
    uint32_t class = TABLE_NONE;

    for (uint32_t i = 0; i < refs.n; i++)
        if (c->ref_uses[refs.items[i]])
            list_add(&used, refs.items[i]);
    if (!used.n)
        return TABLE_NONE;
    list_sort(&used);
    names = xcalloc(used.n, sizeof *names);
    for (size_t i = 0; i < used.n; i++)
        names[i] = numbering_key(&c->refs, used.items[i]);
    qsort(names, used.n, sizeof *names, by_text);
    for (size_t i = 0; i < used.n; i++)
        buf_printf(&b, "%s ", names[i]);
    class = numbering_use(&c->user_classes, b.data, b.size);
    buf_done(&b);
    free(names);
    if (class >= c->class_refs_room) {
        size_t room = (size_t) class * 2 + 16;

        c->class_refs = xreallocarray(c->class_refs, room, sizeof *c->class_refs);
        memset(c->class_refs + c->class_refs_room, 0,
               (room - c->class_refs_room) * sizeof *c->class_refs);
        c->class_refs_room = room;
    }
    free(c->class_refs[class].items);
    c->class_refs[class] = used;
    return class;
}

static void update_user(struct compiled *c, uint32_t user)
{
    const uint32_t *w = c->objects[KIND_USER][user].words;
    uint32_t before = c->user_class[user];

    c->user_class[user] = w ? use_class(c, (struct list_view){w + 1, w[0]}) : TABLE_NONE;
    if (before != TABLE_NONE)
        numbering_leave(&c->user_classes, before);
}

/* Persons whom only rules know. */
static void update_strangers(struct compiled *c)
{
    struct list before = c->strangers;

    c->strangers = (struct list){.n = 0};
    for (uint32_t ref = 0; ref < c->refs.n; ref++) {
        const char *name = numbering_key(&c->refs, ref);
        uint32_t user;

        if (!name || name[0] == '@' || ref >= c->ref_uses_room || !c->ref_uses[ref])
            continue;
        user = numbering_find(&c->names[KIND_USER], name, strlen(name));
        if (user != TABLE_NONE && c->objects[KIND_USER][user].words)
            continue;
        list_add(&c->strangers, ref);
        list_add(&c->strangers, use_class(c, (struct list_view){&ref, 1}));
    }
    for (size_t i = 1; i < before.n; i += 2)
        numbering_leave(&c->user_classes, before.items[i]);
    free(before.items);
}

bool users_update(struct compiled *c, bool refs_changed)
{
    const struct list *staged = &c->staged[KIND_USER];

    if (!refs_changed && !staged->n)
        return false;
    for (size_t i = 0; i < staged->n; i++) {
        stage_swap(c, KIND_USER, staged->items[i]);
        update_user(c, staged->items[i]);
    }
    for (uint32_t user = 0; refs_changed && user < c->objects_room[KIND_USER]; user++)
        if (c->objects[KIND_USER][user].words)
            update_user(c, user);
    update_strangers(c);
    return true;
}
