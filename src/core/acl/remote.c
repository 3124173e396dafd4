/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, behaviours, rows, stages; see remote.h. */
#include "core/acl/remote.h"

#include <netinet/in.h>

#include "base/table.h"
#include "core/acl/cover.h"

enum { V4_LENGTH = 96, MAX_PORT = 65535, MAX_TYPE = 255, NO_PROTOCOL = 0 };
enum { ECHO_REQUEST = 8, ECHO_REPLY = 0, ECHO_REQUEST_6 = 128, ECHO_REPLY_6 = 129, NO_TWIN = 255 };

static const struct prefix v4_root = {{{[10] = 0xff, [11] = 0xff}}, V4_LENGTH};

/* ---- columns ---- */

static int by_number(const void *a_, const void *b_)
{
    const uint16_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

/* The classes in use, ascending; class 0 first. */
static uint16_t *list_classes(const struct program *p, uint32_t *ret_n)
{
    uint16_t *classes = xcalloc(p->n_services + 1, sizeof *classes);
    uint32_t n = 1;

    for (size_t i = 0; i < p->n_services; i++)
        classes[i + 1] = p->services[i].class;
    qsort(classes, p->n_services + 1, sizeof *classes, by_number);
    for (size_t i = 1; i <= p->n_services; i++)
        if (classes[i] != classes[n - 1])
            classes[n++] = classes[i];
    *ret_n = n;
    return classes;
}

static uint32_t column_of(const uint16_t *classes, uint32_t n, uint16_t class)
{
    const uint16_t *at = bsearch(&class, classes, n, sizeof *classes, by_number);

    return at ? (uint32_t)(at - classes) : 0;
}

static void add_range(struct remote_rows *r, uint8_t protocol, uint32_t low, uint32_t high,
                      uint32_t column)
{
    GROW(r->ranges, r->n_ranges, r->ranges_room);
    r->ranges[r->n_ranges++] =
        (struct remote_range){protocol, (uint16_t)low, (uint16_t)high, column};
}

/* The program's ranges of a protocol, and class 0 between them. */
static void add_protocol(struct remote_rows *r, uint8_t protocol, uint32_t max,
                         const uint16_t *classes)
{
    const struct program *p = r->program;
    uint32_t next = 0;

    for (size_t i = 0; i < p->n_services; i++) {
        const struct program_service *s = &p->services[i];

        if (s->protocol != protocol)
            continue;
        if (s->low > next)
            add_range(r, protocol, next, s->low - 1u, 0);
        add_range(r, protocol, s->low, s->high, column_of(classes, r->n_columns, s->class));
        next = s->high + 1u;
    }
    if (next <= max)
        add_range(r, protocol, next, max, 0);
}

/* ICMPv6: echo and its reply have twins, all else is what 255 is (bpf/packet.h). */
static void add_icmp6(struct remote_rows *r, const uint16_t *classes)
{
    struct remote_rows twins = {.program = r->program, .n_columns = r->n_columns};
    uint32_t rest;

    add_protocol(&twins, IPPROTO_ICMP, MAX_TYPE, classes);
    rest = remote_column(&twins, IPPROTO_ICMP, NO_TWIN);
    add_range(r, IPPROTO_ICMP, 0, ECHO_REQUEST_6 - 1, rest);
    add_range(r, IPPROTO_ICMP, ECHO_REQUEST_6, ECHO_REQUEST_6,
              remote_column(&twins, IPPROTO_ICMP, ECHO_REQUEST));
    add_range(r, IPPROTO_ICMP, ECHO_REPLY_6, ECHO_REPLY_6,
              remote_column(&twins, IPPROTO_ICMP, ECHO_REPLY));
    add_range(r, IPPROTO_ICMP, ECHO_REPLY_6 + 1, MAX_TYPE, rest);
    free(twins.ranges);
}

uint32_t remote_column(const struct remote_rows *r, uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < r->n_ranges; i++)
        if (r->ranges[i].protocol == protocol && port >= r->ranges[i].low &&
            port <= r->ranges[i].high)
            return r->ranges[i].column;
    return 0;
}

/* ---- keys and what is said of them ---- */

static int by_key(const void *a_, const void *b_)
{
    const struct remote_key *a = a_, *b = b_;

    if (a->identity != b->identity)
        return a->identity < b->identity ? -1 : 1;
    if (a->mode != b->mode)
        return a->mode < b->mode ? -1 : 1;
    return (a->trust > b->trust) - (a->trust < b->trust);
}

static struct remote_key key_of(const struct program_address *a)
{
    return (struct remote_key){a->identity, a->mode, a->trust};
}

static void list_keys(struct remote_rows *r)
{
    const struct program *p = r->program;
    uint32_t n = 0;

    /* Identity 0 without mode is what no row of the program holds. */
    r->keys = xcalloc(p->n_addresses + 1, sizeof *r->keys);
    for (size_t i = 0; i < p->n_addresses; i++)
        if (!p->addresses[i].self)
            r->keys[++n] = key_of(&p->addresses[i]);
    qsort(r->keys, n + 1, sizeof *r->keys, by_key);
    r->n_keys = 1;
    for (size_t i = 1; i <= n; i++)
        if (by_key(&r->keys[i], &r->keys[r->n_keys - 1]) != 0)
            r->keys[r->n_keys++] = r->keys[i];
}

static uint32_t find_key(const struct remote_rows *r, const struct program_address *a)
{
    struct remote_key key = key_of(a);
    const struct remote_key *at = bsearch(&key, r->keys, r->n_keys, sizeof key, by_key);

    return at ? (uint32_t)(at - r->keys) : 0;
}

static enum acl_action action_of(enum verdict v)
{
    return v == VERDICT_ALLOW ? ACL_PERMIT : v == VERDICT_WOULD_DENY ? ACL_LOG : ACL_DENY;
}

static void judge_all(struct remote_rows *r, const uint16_t *classes)
{
    struct program p = *r->program; /* Without the lifeline, which has entries of its own. */
    size_t n = 2 * (size_t)r->n_keys * r->n_columns;
    struct program_query *example = xcalloc(r->n_columns, sizeof *example);

    p.n_lifeline = 0;
    example[0].protocol = NO_PROTOCOL;
    for (size_t i = 0; i < p.n_services; i++) {
        struct program_query *q = &example[column_of(classes, r->n_columns, p.services[i].class)];

        q->protocol = p.services[i].protocol;
        q->port = p.services[i].low;
    }
    r->actions = xcalloc(n, sizeof *r->actions);
    r->rules = xcalloc(n, sizeof *r->rules);
    for (uint32_t k = 0; k < r->n_keys; k++) {
        const struct program_address row = {
            .identity = r->keys[k].identity, .mode = r->keys[k].mode, .trust = r->keys[k].trust};

        for (uint32_t c = 0; c < r->n_columns; c++)
            for (enum direction d = DIRECTION_OUT; d <= DIRECTION_IN; d++) {
                size_t at = remote_at(r, d, k, c);
                struct program_answer a;

                example[c].direction = d;
                a = program_judge_row(&p, &example[c], &row);
                r->actions[at] = (uint8_t)action_of(a.verdict);
                r->rules[at] = a.rule;
            }
    }
    free(example);
}

/* ---- behaviours ---- */

struct behaviour {
    const struct remote_rows *r;
    uint32_t key;
};

static bool same_behaviour(const void *r_, uint32_t a, const void *key_)
{
    const struct remote_rows *r = r_;
    uint32_t b = *(const uint32_t *)key_;

    for (enum direction d = DIRECTION_OUT; d <= DIRECTION_IN; d++)
        if (memcmp(&r->actions[remote_at(r, d, a, 0)], &r->actions[remote_at(r, d, b, 0)],
                   r->n_columns) != 0)
            return false;
    return true;
}

/* For each key the first one with its behaviour. */
static uint32_t *list_behaviours(const struct remote_rows *r)
{
    uint32_t *first = xcalloc(r->n_keys, sizeof *first);
    struct table t = {.n = 0};

    for (uint32_t k = 0; k < r->n_keys; k++) {
        uint32_t hash = table_hash(&r->actions[remote_at(r, DIRECTION_OUT, k, 0)], r->n_columns, 0);

        hash = table_hash(&r->actions[remote_at(r, DIRECTION_IN, k, 0)], r->n_columns, hash);
        first[k] = table_find(&t, hash, same_behaviour, r, &k);
        if (first[k] == TABLE_NONE) {
            first[k] = k;
            table_add(&t, hash, k);
        }
    }
    table_done(&t);
    return first;
}

/* ---- rows ---- */

static void list_rows(struct remote_rows *r)
{
    const struct program *p = r->program;
    struct remote_row root = {.key = 0};

    r->all = xcalloc(p->n_addresses + 1, sizeof *r->all);
    if (!r->v6)
        root.prefix = v4_root;
    r->n_all = 1;
    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];
        const struct prefix prefix = {a->address, a->length};
        uint32_t key = a->self ? REMOTE_SELF : find_key(r, a);

        if (prefix_holds(&prefix, &root.prefix))
            root.key = key; /* They are sorted: the longest comes last. */
        else if (prefix_holds(&root.prefix, &prefix) && !(r->v6 && prefix_holds(&v4_root, &prefix)))
            r->all[r->n_all++] = (struct remote_row){.prefix = prefix, .key = key};
    }
    r->all[0] = root;
}

/* Takes out rows that are marked by length > 128. */
static void compact(struct remote_rows *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].prefix.length <= 128)
            r->rows[n++] = r->rows[i];
    r->n = n;
}

static void take_out(struct remote_row *row)
{
    row->prefix.length = UINT8_MAX;
}

/* Leaves out rows that say what the row around them says. */
static void drop_same(struct remote_rows *r)
{
    uint32_t around[130], depth = 0; /* Rows that hold each other: at most one of each length. */

    around[0] = 0;
    for (uint32_t i = 1; i < r->n; i++) {
        while (depth && !prefix_holds(&r->rows[around[depth]].prefix, &r->rows[i].prefix))
            depth--;
        if (r->rows[around[depth]].key == r->rows[i].key)
            take_out(&r->rows[i]);
        else
            around[++depth] = i;
    }
    compact(r);
}

static int by_prefix(const void *a_, const void *b_)
{
    const struct remote_row *a = a_, *b = b_;
    int c = address_compare(&a->prefix.address, &b->prefix.address);

    return c ? c : (a->prefix.length > b->prefix.length) - (a->prefix.length < b->prefix.length);
}

/* Joins the two halves of a prefix where they say the same; what else the prefix had is hidden. */
static void join_halves(struct remote_rows *r, uint8_t length)
{
    for (size_t i = 0; i < r->n; i++) {
        struct remote_row *row = &r->rows[i], other = *row, *found;
        uint8_t bit = (uint8_t)(0x80u >> ((length - 1) % 8));

        if (row->prefix.length != length || row->prefix.address.bytes[(length - 1) / 8] & bit)
            continue;
        other.prefix.address.bytes[(length - 1) / 8] |= bit;
        found = bsearch(&other, r->rows, r->n, sizeof other, by_prefix);
        if (!found || found->key != row->key)
            continue;
        for (size_t k = i;
             k-- > 0 && address_compare(&r->rows[k].prefix.address, &row->prefix.address) == 0;)
            if (r->rows[k].prefix.length == length - 1)
                take_out(&r->rows[k]);
        found->prefix.length = UINT8_MAX;
        row->prefix.length--;
    }
    compact(r);
}

static void join_rows(struct remote_rows *r)
{
    uint32_t *first = list_behaviours(r);
    uint8_t shortest = r->v6 ? 0 : V4_LENGTH;

    r->rows = xcalloc(r->n_all, sizeof *r->rows);
    memcpy(r->rows, r->all, r->n_all * sizeof *r->rows);
    r->n = r->n_all;
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].key != REMOTE_SELF)
            r->rows[i].key = first[r->rows[i].key];
    free(first);
    drop_same(r);
    for (uint8_t length = 128; length > shortest + 1; length--)
        join_halves(r, length);
    drop_same(r);
}

static void find_stages(struct remote_rows *r)
{
    uint32_t around[130], depth = 0;

    around[0] = 0;
    for (uint32_t i = 1; i <= r->n; i++) {
        while (depth &&
               (i == r->n || !prefix_holds(&r->rows[around[depth]].prefix, &r->rows[i].prefix))) {
            struct remote_row *outer = &r->rows[around[depth - 1]];
            uint32_t stage = r->rows[around[depth--]].stage + 1;

            if (outer->stage < stage)
                outer->stage = stage;
        }
        if (i < r->n)
            around[++depth] = i;
    }
    r->n_stages = r->rows[0].stage + 1;
}

static bool passes_nothing(const struct remote_rows *r, const struct remote_row *row)
{
    if (row->stage || row->key == REMOTE_SELF)
        return false;
    for (uint32_t c = 0; c < r->n_columns; c++)
        if (remote_action(r, DIRECTION_OUT, row->key, c) != ACL_DENY ||
            remote_action(r, DIRECTION_IN, row->key, c) != ACL_DENY)
            return false;
    return true;
}

bool remote_rows_deny_first(struct remote_rows *r)
{
    CLEANUP(free_voidp) void *memory = xcalloc(r->n, sizeof(bool));
    bool *first = memory;
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += first[i] = passes_nothing(r, &r->rows[i]);
    if (!n || n == r->n)
        return false;
    for (size_t i = 0; i < r->n; i++)
        r->rows[i].stage += !first[i];
    r->n_stages++;
    return true;
}

void remote_rows_init(struct remote_rows *r, const struct program *view, bool v6)
{
    uint16_t *classes;

    *r = (struct remote_rows){.program = view, .v6 = v6};
    classes = list_classes(view, &r->n_columns);
    add_protocol(r, IPPROTO_TCP, MAX_PORT, classes);
    add_protocol(r, IPPROTO_UDP, MAX_PORT, classes);
    if (v6)
        add_icmp6(r, classes);
    else
        add_protocol(r, IPPROTO_ICMP, MAX_TYPE, classes);
    list_keys(r);
    judge_all(r, classes);
    free(classes);
    list_rows(r);
    join_rows(r);
    find_stages(r);
}

void remote_rows_done(struct remote_rows *r)
{
    free(r->keys);
    free(r->actions);
    free(r->rules);
    free(r->rows);
    free(r->all);
    free(r->ranges);
}
