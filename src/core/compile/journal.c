/* SPDX-License-Identifier: Apache-2.0 */
/* What the last commits changed, and the deltas that follow; see compiled.h. */
#include <errno.h>

#include "core/compile/compiled.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

void step_done(struct step *s)
{
    free(s->before.items);
    free(s->after.items);
    free(s->addresses_before.items);
    free(s->addresses_after.items);
    free(s->moved);
    free(s->renamed);
    *s = (struct step){.from = 0};
}

/* ---- keeping what differs ---- */

static int by_row(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    int c = COMPARE(a->local, b->local);

    return c ? c : program_entry_compare(&a->entry, &b->entry);
}

static int by_address_row(const void *a_, const void *b_)
{
    const struct address_row *a = a_, *b = b_;

    return address_row_compare(&a->address, &b->address);
}

static bool same_value(const struct program_entry *a, const struct program_entry *b)
{
    return a->word == b->word && a->layer == b->layer && a->refine == b->refine &&
           a->rule == b->rule;
}

static bool same_address(const struct address_row *a, const struct address_row *b)
{
    return a->address.mode == b->address.mode && a->address.trust == b->address.trust &&
           a->address.identity == b->address.identity && a->owner == b->owner;
}

/* Two sorted lists of rows: what both have alike goes from both. */
struct row_kind {
    size_t size;
    int (*order)(const void *a, const void *b);
    bool (*same)(const void *a, const void *b); /* Of rows that 'order' calls equal. */
};

static void keep_others(const struct row_kind *kind, void *a_, size_t *n_a, void *b_, size_t *n_b)
{
    char *a = a_, *b = b_;
    size_t i = 0, k = 0, kept_a = 0, kept_b = 0, size = kind->size;

    while (i < *n_a || k < *n_b) {
        int c = i == *n_a ? 1 : k == *n_b ? -1 : kind->order(a + i * size, b + k * size);

        if (c == 0 && kind->same(a + i * size, b + k * size)) {
            i++;
            k++;
            continue;
        }
        if (c <= 0)
            memmove(a + kept_a++ * size, a + i++ * size, size);
        if (c >= 0)
            memmove(b + kept_b++ * size, b + k++ * size, size);
    }
    *n_a = kept_a;
    *n_b = kept_b;
}

static bool same_row(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;

    return same_value(&a->entry, &b->entry);
}

static bool same_address_row(const void *a, const void *b)
{
    return same_address(a, b);
}

static void keep_other_rows(struct rows *a, struct rows *b)
{
    static const struct row_kind kind = {sizeof(struct row), by_row, same_row};

    if (a->n > 1)
        qsort(a->items, a->n, sizeof *a->items, by_row);
    if (b->n > 1)
        qsort(b->items, b->n, sizeof *b->items, by_row);
    keep_others(&kind, a->items, &a->n, b->items, &b->n);
}

static void sort_address_rows(struct address_rows *l)
{
    size_t kept = 0;

    if (l->n > 1)
        qsort(l->items, l->n, sizeof *l->items, by_address_row);
    for (size_t i = 0; i < l->n; i++)
        if (!kept || by_address_row(&l->items[kept - 1], &l->items[i]) != 0)
            l->items[kept++] = l->items[i];
    l->n = kept;
}

static void keep_other_addresses(struct address_rows *a, struct address_rows *b)
{
    static const struct row_kind kind = {sizeof(struct address_row), by_address_row,
                                         same_address_row};

    sort_address_rows(a);
    sort_address_rows(b);
    keep_others(&kind, a->items, &a->n, b->items, &b->n);
}

void journal_add(struct compiled *c, struct step *s)
{
    keep_other_addresses(&s->addresses_before, &s->addresses_after);
    addresses_follow(c, &s->addresses_before, &s->addresses_after);
    if (!s->is_complete) {
        struct step empty = {
            .from = s->from, .to = s->to, .renamed = s->renamed, .n_renamed = s->n_renamed};

        s->renamed = NULL;
        step_done(s);
        *s = empty;
    }
    keep_other_rows(&s->before, &s->after);
    if (c->n_steps == STEPS_KEPT) {
        step_done(&c->steps[0]);
        memmove(c->steps, c->steps + 1, (STEPS_KEPT - 1) * sizeof *c->steps);
        c->n_steps--;
    }
    c->steps[c->n_steps++] = *s;
}

const char *compiled_rule_name(const struct compiled *c, uint64_t revision, uint32_t number)
{
    const struct numbering *names = &c->names[KIND_RULE];
    const char *found = NULL;
    size_t i = c->n_steps;

    if (revision > c->revision || (i && revision < c->steps[0].from))
        return NULL;
    for (size_t h = 0; h < names->n && !found; h++)
        if (names->items[h].key && names->items[h].number == number)
            found = names->items[h].key;
    while (i-- > 0 && c->steps[i].to > revision)
        for (size_t k = 0; k < c->steps[i].n_renamed; k++)
            if (c->steps[i].renamed[k].number == number)
                found = c->steps[i].renamed[k].id;
    return found;
}

/* ---- one endpoint's delta ---- */

struct event { /* An entry as some step found it or left it. */
    struct program_entry entry;
    uint32_t at; /* 2 * step: found; 2 * step + 1: left. */
};
struct events {
    struct event *items;
    size_t n, room;
};

static int by_event(const void *a_, const void *b_)
{
    const struct event *a = a_, *b = b_;
    int c = program_entry_compare(&a->entry, &b->entry);

    return c ? c : COMPARE(a->at, b->at);
}

static size_t first_row(const struct rows *rows, identity_t local)
{
    size_t low = 0, high = rows->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (rows->items[mid].local < local)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void add_events(struct events *to, const struct rows *rows, identity_t local, uint32_t at)
{
    for (size_t i = first_row(rows, local); i < rows->n && rows->items[i].local == local; i++) {
        GROW(to->items, to->n, to->room);
        to->items[to->n++] = (struct event){rows->items[i].entry, at};
    }
}

static void put_entry(struct delta *d, size_t *room, const struct program_entry *e)
{
    GROW(d->put->entries, d->put->n_entries, *room);
    d->put->entries[d->put->n_entries++] = *e;
}

static void drop_entry(struct delta *d, size_t *room, const struct program_entry *e)
{
    GROW(d->gone_entries, d->n_gone_entries, *room);
    d->gone_entries[d->n_gone_entries++] = *e;
}

/* Each key's first event says whether it was there, its last whether it is. */
static void settle(struct events *all, struct delta *d)
{
    size_t put_room = 0, gone_room = 0;

    if (all->n > 1)
        qsort(all->items, all->n, sizeof *all->items, by_event);
    for (size_t i = 0, end; i < all->n; i = end) {
        const struct event *first = &all->items[i], *last;

        for (end = i + 1;
             end < all->n && program_entry_compare(&all->items[end].entry, &first->entry) == 0;)
            end++;
        last = &all->items[end - 1];
        if (last->at % 2)
            put_entry(d, &put_room, &last->entry);
        else if (first->at % 2 == 0)
            drop_entry(d, &gone_room, &first->entry);
    }
}

static size_t find_step(const struct compiled *c, uint64_t from)
{
    for (size_t i = 0; i < c->n_steps; i++)
        if (c->steps[i].from == from)
            return i;
    return c->n_steps;
}

static bool are_complete(const struct compiled *c, size_t first)
{
    for (size_t i = first; i < c->n_steps; i++)
        if (!c->steps[i].is_complete || (i > first && c->steps[i].from != c->steps[i - 1].to))
            return false;
    return first < c->n_steps;
}

static const struct moved *find_move(const struct step *s, uint32_t endpoint)
{
    for (size_t i = 0; i < s->n_moved; i++)
        if (s->moved[i].endpoint == endpoint)
            return &s->moved[i];
    return NULL;
}

static uint32_t handle_of_number(const struct compiled *c, identity_t number)
{
    for (size_t i = 0; i < c->all_identities.n; i++)
        if (numbering_number(&c->identities, c->all_identities.items[i]) == number)
            return c->all_identities.items[i];
    return TABLE_NONE;
}

static void add_all(struct events *to, const struct entries *entries, uint32_t at)
{
    for (size_t i = 0; i < entries->n; i++) {
        GROW(to->items, to->n, to->room);
        to->items[to->n++] = (struct event){entries->items[i], at};
    }
}

/* From another identity's entries, as they were before the step, to those of the present one. */
static void move_entries(struct compiled *c, const struct step *s, uint32_t endpoint,
                         identity_t before, struct delta *d)
{
    uint32_t other = handle_of_number(c, before);
    struct entries had = {.n = 0}, has = {.n = 0};
    struct events was = {.n = 0}, all = {.n = 0};

    /* What that identity has now, less what the step put, plus what it found. */
    if (other != TABLE_NONE)
        compile_entries(c, other, &had);
    add_all(&was, &had, 2);
    add_events(&was, &s->after, before, 1);
    add_events(&was, &s->before, before, 0);
    if (was.n > 1)
        qsort(was.items, was.n, sizeof *was.items, by_event);
    for (size_t i = 0, end; i < was.n; i = end) {
        bool found = was.items[i].at == 0 || was.items[i].at == 2; /* Else the step put it. */

        for (end = i + 1;
             end < was.n && program_entry_compare(&was.items[end].entry, &was.items[i].entry) == 0;)
            end++;
        if (!found)
            continue;
        GROW(all.items, all.n, all.room);
        all.items[all.n++] = (struct event){was.items[i].entry, 0};
    }
    compile_entries(c, c->endpoints[endpoint].identity, &has);
    add_all(&all, &has, 1);
    settle(&all, d);
    free(had.items);
    free(has.items);
    free(was.items);
    free(all.items);
}

struct address_event {
    struct address_row row;
    uint32_t at;
};

static int by_address_event(const void *a_, const void *b_)
{
    const struct address_event *a = a_, *b = b_;
    int r = by_address_row(&a->row, &b->row);

    return r ? r : COMPARE(a->at, b->at);
}

static void settle_addresses(const struct compiled *c, size_t first, uint32_t endpoint,
                             struct delta *d)
{
    struct address_event *all = NULL;
    size_t n = 0, room = 0, put_room = 0, gone_room = 0;

    for (size_t s = first; s < c->n_steps; s++)
        for (uint32_t left = 0; left < 2; left++) {
            const struct address_rows *l =
                left ? &c->steps[s].addresses_after : &c->steps[s].addresses_before;

            for (size_t i = 0; i < l->n; i++) {
                GROW(all, n, room);
                all[n++] = (struct address_event){l->items[i], (uint32_t)(2 * s) + left};
            }
        }
    if (n > 1)
        qsort(all, n, sizeof *all, by_address_event);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && by_address_row(&all[end].row, &all[i].row) == 0;)
            end++;
        if (all[end - 1].at % 2) {
            GROW(d->put->addresses, d->put->n_addresses, put_room);
            d->put->addresses[d->put->n_addresses] = all[end - 1].row.address;
            d->put->addresses[d->put->n_addresses++].self = all[end - 1].row.owner == endpoint;
        } else if (all[i].at % 2 == 0) {
            GROW(d->gone_addresses, d->n_gone_addresses, gone_room);
            d->gone_addresses[d->n_gone_addresses++] = all[i].row.address;
        }
    }
    free(all);
}

int compiled_delta(struct compiled *c, const char *endpoint, uint64_t revision,
                   struct delta **ret_d)
{
    uint32_t h = numbering_find(&c->names[KIND_ENDPOINT], endpoint, strlen(endpoint));
    size_t first = find_step(c, revision);
    struct events all = {.n = 0};
    const struct moved *moved = NULL;
    struct delta *d;

    if (h == TABLE_NONE || !c->objects[KIND_ENDPOINT][h].words)
        return -ENOENT;
    if (!are_complete(c, first))
        return -ESTALE;
    for (size_t s = first; s < c->n_steps; s++)
        if (find_move(&c->steps[s], h)) {
            moved = find_move(&c->steps[s], h);
            if (s != first || first + 1 != c->n_steps)
                return -ESTALE;
        }
    d = delta_new();
    d->base = revision;
    compile_head(c, h, d->put);
    for (size_t s = first; s < c->n_steps && !moved; s++) {
        add_events(&all, &c->steps[s].before, d->put->identity, (uint32_t)(2 * s));
        add_events(&all, &c->steps[s].after, d->put->identity, (uint32_t)(2 * s) + 1);
    }
    if (moved)
        move_entries(c, &c->steps[first], h, moved->before, d);
    else
        settle(&all, d);
    settle_addresses(c, first, h, d);
    for (size_t s = first; s < c->n_steps; s++) {
        d->services_replaced |= c->steps[s].services;
        d->processes_replaced |= c->steps[s].processes || moved;
        d->users_replaced |= c->steps[s].users || moved;
        d->rules_replaced |= c->steps[s].rules;
    }
    compile_tables(c, h, d->put, d->services_replaced, d->processes_replaced, d->users_replaced,
                   d->rules_replaced);
    free(all.items);
    *ret_d = d;
    return 0;
}

static bool is_own(const struct step *s, uint32_t endpoint)
{
    if (find_move(s, endpoint))
        return true;
    for (size_t i = 0; i < s->addresses_after.n; i++)
        if (s->addresses_after.items[i].owner == endpoint)
            return true;
    return false;
}

bool compiled_delta_kin(const struct compiled *c, const char *endpoint, uint64_t revision,
                        struct compiled_kin *ret_kin)
{
    uint32_t h = numbering_find(&c->names[KIND_ENDPOINT], endpoint, strlen(endpoint));
    size_t first = find_step(c, revision);
    const struct endpoint_state *e;

    if (h == TABLE_NONE || !c->objects[KIND_ENDPOINT][h].words || !are_complete(c, first))
        return false;
    for (size_t s = first; s < c->n_steps; s++)
        if (is_own(&c->steps[s], h))
            return false;
    e = &c->endpoints[h];
    *ret_kin = (struct compiled_kin){.identity = numbering_number(&c->identities, e->identity),
                                     .mode = (enum mode)e->mode,
                                     .trust = (enum trust)e->trust};
    return true;
}
