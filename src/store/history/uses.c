/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/uses.h"

struct uses *uses_new(void)
{
    struct uses *u = xcalloc(1, sizeof(*u));

    u->refs = 1;
    return u;
}

struct uses *uses_get(struct uses *u)
{
    atomic_fetch_add(&u->refs, 1);
    return u;
}

void uses_put(struct uses *u)
{
    if (!u || atomic_fetch_sub(&u->refs, 1) > 1)
        return;
    free(u->rules);
    table_done(&u->index);
    free(u);
}

static bool same(const void *context, uint32_t number, const void *key)
{
    const struct uses *u = context;

    return u->rules[number].rule == *(const text_t *)key;
}

static struct history_use *find(const struct uses *u, text_t rule)
{
    uint32_t at = table_find(&u->index, table_hash(&rule, sizeof(rule), 0), same, u, &rule);

    return at == TABLE_NONE ? NULL : &u->rules[at].use;
}

const struct history_use *uses_of(const struct uses *u, text_t rule)
{
    return find(u, rule);
}

void uses_set(struct uses *u, text_t rule, const struct history_use *use)
{
    struct history_use *known = find(u, rule);

    if (!known) {
        GROW(u->rules, u->n, u->room);
        u->rules[u->n] = (struct uses_rule){.rule = rule};
        known = &u->rules[u->n].use;
        table_add(&u->index, table_hash(&rule, sizeof(rule), 0), (uint32_t)u->n++);
    }
    *known = *use;
}

static struct uses *copy_of(const struct uses *u)
{
    struct uses *copy = uses_new();

    for (size_t i = 0; i < u->n; i++)
        uses_set(copy, u->rules[i].rule, &u->rules[i].use);
    for (size_t i = 0; i < u->n; i++)
        copy->rules[i].dirty = u->rules[i].dirty;
    return copy;
}

static void count(struct uses *u, const struct flow *f)
{
    struct history_use *use = find(u, f->rule), first = {.first_ms = f->first_ms};

    if (!use) {
        uses_set(u, f->rule, &first);
        use = find(u, f->rule);
    }
    u->rules[table_find(&u->index, table_hash(&f->rule, sizeof(f->rule), 0), same, u, &f->rule)]
        .dirty = true;
    if (f->first_ms < use->first_ms)
        use->first_ms = f->first_ms;
    if (f->last_ms > use->last_ms)
        use->last_ms = f->last_ms;
    use->count += f->count;
}

void uses_count(struct uses **u, const struct flow *flows, size_t n)
{
    if (atomic_load(&(*u)->refs) > 1) {
        struct uses *copy = copy_of(*u);

        uses_put(*u);
        *u = copy;
    }
    for (size_t i = 0; i < n; i++)
        if (flows[i].rule)
            count(*u, &flows[i]);
}

size_t uses_take_dirty(struct uses *u, struct uses_rule **ret_rules)
{
    struct uses_rule *rules = NULL;
    size_t n = 0, room = 0;

    for (size_t i = 0; i < u->n; i++) {
        if (!u->rules[i].dirty)
            continue;
        GROW(rules, n, room);
        rules[n++] = u->rules[i];
        u->rules[i].dirty = false;
    }
    *ret_rules = rules;
    return n;
}

void uses_write(const struct uses *u, struct buf *out)
{
    buf_be32(out, (uint32_t)u->n);
    for (size_t i = 0; i < u->n; i++) {
        buf_be32(out, u->rules[i].rule);
        buf_be64(out, u->rules[i].use.first_ms);
        buf_be64(out, u->rules[i].use.last_ms);
        buf_be64(out, u->rules[i].use.count);
    }
}

bool uses_load(struct uses *u, struct reader *r)
{
    uint32_t n = reader_be32(r);

    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        text_t rule = reader_be32(r);
        struct history_use use = {.first_ms = reader_be64(r)};

        use.last_ms = reader_be64(r);
        use.count = reader_be64(r);
        if (reader_ok(r))
            uses_set(u, rule, &use);
    }
    return reader_ok(r);
}
