/* SPDX-License-Identifier: Apache-2.0 */
/* Stages and sections; see list.h. */
#include "core/acl/list.h"

#include <errno.h>
#include <netinet/in.h>

#include "core/acl/fixed.h"

enum { MAX_COMPARED = 8192 }; /* Entries that drop_covered() compares each with each. */

/* What one kind of entries says of a row, and of which rows it has to. */
struct column {
    enum acl_section section;
    enum acl_action action;
    uint32_t of; /* Column of remote_rows. */
};

/* ---- what entries say of rows ---- */

static bool is_reply(enum acl_section s)
{
    return s == ACL_REPLY_TCP || s == ACL_REPLY_UDP || s == ACL_REPLY_ICMP;
}

static enum acl_action forward_of(const struct making *m, uint32_t key, uint32_t column)
{
    return remote_action(m->rows, m->forward, key, column);
}

static bool passes_all(const struct making *m, uint32_t key)
{
    for (uint32_t c = 0; c < m->rows->n_columns; c++)
        if (forward_of(m, key, c) != ACL_PERMIT)
            return false;
    return true;
}

/* An entry of this column says of such a row what its program says. */
static bool is_true(const struct making *m, const struct column *c, uint32_t key)
{
    if (is_reply(c->section))
        return remote_action(m->rows, m->backward, key, c->of) == ACL_PERMIT;
    return forward_of(m, key, c->of) == c->action;
}

/* The list would say something else without one. */
static bool is_needed(const struct making *m, const struct column *c, uint32_t key)
{
    if (!is_true(m, c, key))
        return false;
    if (c->section == ACL_NAMED)
        return forward_of(m, key, 0) != c->action;
    return true;
}

/* It may stand before the entries of the row's own stage. */
static bool is_true_early(const struct making *m, const struct column *c, uint32_t key)
{
    if (is_reply(c->section))
        return is_true(m, c, key);
    if (c->action != ACL_PERMIT)
        return false;
    return c->section == ACL_NAMED ? is_true(m, c, key) : passes_all(m, key);
}

static uint8_t status_of(const struct making *m, const struct column *c, uint32_t stage, size_t i)
{
    const struct remote_row *row = &m->rows->rows[i];

    if (row->key == REMOTE_SELF || row->stage < stage)
        return COVER_MAYBE; /* Never on this wire; decided. */
    if (row->stage > stage)
        return is_true_early(m, c, row->key) ? COVER_MAYBE : COVER_NO;
    if (is_needed(m, c, row->key))
        return m->covered[i] ? COVER_MAYBE : COVER_YES;
    return is_true(m, c, row->key) ? COVER_MAYBE : COVER_NO;
}

/* The entry is about connections by some of these ports or types. */
static bool is_about(const struct remote_rows *r, const struct acl_entry *e,
                     const struct remote_range *x)
{
    uint16_t low = e->low, high = e->high;

    if (x->protocol != e->protocol)
        return false;
    if (e->section == ACL_REPLY_ICMP)
        low = high = fixed_request_of(e->low, r->v6);
    return !e->has_ports || (x->low <= high && x->high >= low);
}

/* ---- rules ---- */

static void name_rule(struct acl_entry *e, uint32_t rule)
{
    unsigned at = 0;

    while (at < e->n_rules && e->rules[at] < rule)
        at++;
    if (!rule || (at < e->n_rules && e->rules[at] == rule))
        return;
    if (e->n_rules == ACL_MAX_RULES) {
        e->has_more_rules = true;
        return;
    }
    memmove(&e->rules[at + 1], &e->rules[at], (e->n_rules - at) * sizeof e->rules[0]);
    e->rules[at] = rule;
    e->n_rules++;
}

static void name_rules_of_key(const struct making *m, struct acl_entry *e, uint32_t key)
{
    const struct remote_rows *r = m->rows;
    enum direction d = e->is_reply ? m->backward : m->forward;
    enum acl_action wanted = e->is_reply ? ACL_PERMIT : e->action;

    if (key == REMOTE_SELF)
        return;
    if (!e->protocol) {
        if (remote_action(r, d, key, 0) == wanted)
            name_rule(e, remote_rule(r, d, key, 0));
        return;
    }
    for (size_t i = 0; i < r->n_ranges; i++) {
        const struct remote_range *x = &r->ranges[i];

        if (is_about(r, e, x) && remote_action(r, d, key, x->column) == wanted)
            name_rule(e, remote_rule(r, d, key, x->column));
    }
}

/* The rules that say so, of the rows within the entry's prefix and of the row around it. */
static void name_rules(const struct making *m, struct acl_entry *e)
{
    const struct remote_rows *r = m->rows;
    size_t low = 0, high = r->n_all;

    while (low < high) { /* The first behind the prefix's own beginning. */
        size_t middle = low + (high - low) / 2;
        int c = address_compare(&r->all[middle].prefix.address, &e->remote.address);

        if (c < 0 || (c == 0 && r->all[middle].prefix.length < e->remote.length))
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < r->n_all && prefix_holds(&e->remote, &r->all[i].prefix); i++)
        name_rules_of_key(m, e, r->all[i].key);
    if (low < r->n_all && r->all[low].prefix.length == e->remote.length &&
        prefix_holds(&e->remote, &r->all[low].prefix))
        return; /* It is a row itself. */
    while (low-- > 0)
        if (prefix_holds(&r->all[low].prefix, &e->remote)) {
            name_rules_of_key(m, e, r->all[low].key);
            return;
        }
}

/* ---- entries of one column in one stage ---- */

static void add_entry(struct making *m, const struct acl_entry *e)
{
    GROW(m->entries, m->n, m->room);
    m->entries[m->n++] = *e;
}

static void add_ranges(struct making *m, const struct column *c, const struct prefix *remote)
{
    static const uint8_t protocols[] = {[ACL_REPLY_TCP] = IPPROTO_TCP,
                                        [ACL_REPLY_UDP] = IPPROTO_UDP,
                                        [ACL_REPLY_ICMP] = IPPROTO_ICMP,
                                        [ACL_NAMED] = 0};
    struct acl_entry e = {.section = c->section,
                          .action = c->action,
                          .is_reply = is_reply(c->section),
                          .remote = *remote};

    if (c->section == ACL_REST || c->section == ACL_STOP) {
        add_entry(m, &e);
        return;
    }
    for (size_t i = 0; i < m->rows->n_ranges; i++) {
        const struct remote_range *r = &m->rows->ranges[i];

        if (r->column != c->of || (protocols[c->section] && r->protocol != protocols[c->section]))
            continue;
        e.protocol = r->protocol;
        e.low = r->low;
        e.high = r->high;
        e.has_ports = true;
        if (c->section != ACL_REPLY_ICMP)
            add_entry(m, &e);
        else
            for (uint16_t t = r->low; t <= r->high; t++)
                if (fixed_reply_to(t, m->rows->v6) >= 0) {
                    e.low = e.high = (uint16_t)fixed_reply_to(t, m->rows->v6);
                    add_entry(m, &e);
                }
    }
}

static void make_column(struct making *m, const struct column *c, uint32_t stage)
{
    struct prefixes to = {.items = NULL};
    bool any = false;

    for (size_t i = 0; i < m->rows->n; i++) {
        m->status[i] = status_of(m, c, stage, i);
        any = any || m->status[i] == COVER_YES;
    }
    if (any)
        cover(m->prefixes, m->status, m->rows->n, &to);
    for (size_t k = 0; k < to.n; k++) {
        add_ranges(m, c, &to.items[k]);
        for (size_t i = 0; stage + 1 < m->rows->n_stages && i < m->rows->n; i++)
            m->covered[i] = m->covered[i] || prefix_holds(&to.items[k], &m->prefixes[i]);
    }
    prefixes_done(&to);
}

static bool has_ports_of(const struct remote_rows *r, uint8_t protocol, uint32_t column)
{
    for (size_t i = 0; i < r->n_ranges; i++)
        if (r->ranges[i].protocol == protocol && r->ranges[i].column == column)
            return true;
    return false;
}

/* The column in all stages, each behind what its stage has so far; sorted by stage afterwards. */
static void make_everywhere(struct making *m, const struct column *c)
{
    memset(m->covered, 0, m->rows->n);
    for (uint32_t s = 0; s < m->rows->n_stages; s++) {
        size_t from = m->n;

        make_column(m, c, s);
        for (size_t i = from; i < m->n; i++)
            m->entries[i].stage = (uint8_t)s;
    }
}

static int make_columns(struct making *m)
{
    const struct remote_rows *r = m->rows;

    for (uint32_t c = 0; c < r->n_columns && m->n <= ACL_MAX_ENTRIES; c++) {
        if (has_ports_of(r, IPPROTO_TCP, c))
            make_everywhere(m, &(struct column){ACL_REPLY_TCP, ACL_PERMIT, c});
        if (c && has_ports_of(r, IPPROTO_UDP, c))
            make_everywhere(m, &(struct column){ACL_REPLY_UDP, ACL_PERMIT, c});
        if (has_ports_of(r, IPPROTO_ICMP, c))
            make_everywhere(m, &(struct column){ACL_REPLY_ICMP, ACL_PERMIT, c});
        for (enum acl_action a = ACL_DENY; c && a <= ACL_LOG; a++)
            make_everywhere(m, &(struct column){ACL_NAMED, a, c});
    }
    make_everywhere(m, &(struct column){ACL_REST, ACL_PERMIT, 0});
    make_everywhere(m, &(struct column){ACL_REST, ACL_LOG, 0});
    return m->n > ACL_MAX_ENTRIES ? -E2BIG : 0;
}

/* ---- order ---- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_place(const void *a_, const void *b_)
{
    const struct acl_entry *a = a_, *b = b_;
    int c = COMPARE(a->stage, b->stage);

    c = c ? c : COMPARE(a->section, b->section);
    c = c ? c : COMPARE(a->protocol, b->protocol);
    c = c ? c : COMPARE(a->action, b->action);
    c = c ? c : address_compare(&a->remote.address, &b->remote.address);
    c = c ? c : COMPARE(a->remote.length, b->remote.length);
    return c ? c : COMPARE(a->low, b->low);
}

static bool is_neighbour(const struct acl_entry *a, const struct acl_entry *b)
{
    return a->stage == b->stage && a->section == b->section && a->protocol == b->protocol &&
           a->action == b->action && a->has_ports && b->has_ports &&
           address_compare(&a->remote.address, &b->remote.address) == 0 &&
           a->remote.length == b->remote.length && a->high + 1 >= b->low;
}

static void join_ports(struct making *m)
{
    size_t n = 0;

    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, by_place);
    for (size_t i = 0; i < m->n; i++)
        if (n && is_neighbour(&m->entries[n - 1], &m->entries[i]))
            m->entries[n - 1].high = m->entries[i].high;
        else
            m->entries[n++] = m->entries[i];
    m->n = n;
    for (size_t i = 0; i < n; i++)
        if (m->entries[i].low == 0 &&
            m->entries[i].high == (m->entries[i].protocol == IPPROTO_ICMP ? 255 : 65535))
            m->entries[i].has_ports = false;
}

/* There is no entry for a range of ICMP types. */
static int split_types(struct making *m)
{
    for (size_t i = 0, n = m->n; i < n; i++) {
        struct acl_entry *e = &m->entries[i];
        struct acl_entry one = *e;

        if (e->protocol != IPPROTO_ICMP || !e->has_ports || e->low == e->high)
            continue;
        e->high = e->low;
        for (unsigned type = one.low + 1u; type <= one.high; type++) {
            struct acl_entry next = one;

            next.low = next.high = (uint16_t)type;
            add_entry(m, &next);
        }
        if (m->n > ACL_MAX_ENTRIES)
            return -E2BIG;
    }
    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, by_place);
    return 0;
}

/* Within a section order means nothing: what the same rules say stands together. */
static int by_rules(const void *a_, const void *b_)
{
    const struct acl_entry *a = a_, *b = b_;
    int c = COMPARE(a->stage, b->stage);

    c = c ? c : COMPARE(a->section, b->section);
    for (unsigned i = 0; !c && i < ACL_MAX_RULES; i++)
        c = COMPARE(i < a->n_rules ? a->rules[i] : 0, i < b->n_rules ? b->rules[i] : 0);
    c = c ? c : COMPARE(a->has_more_rules, b->has_more_rules);
    return c ? c : by_place(a, b);
}

/* ---- where a later stage would let something through ---- */

/* Lets through, towards such a row, what its program does not. */
static bool is_harmful(const struct making *m, const struct acl_entry *e, uint32_t key)
{
    const struct remote_rows *r = m->rows;

    if (e->action == ACL_DENY)
        return false;
    if (!e->protocol)
        return true; /* The rest is denied here. */
    for (size_t i = 0; i < r->n_ranges; i++) {
        const struct remote_range *x = &r->ranges[i];
        enum acl_action here;

        if (!is_about(r, e, x))
            continue;
        here = remote_action(r, e->is_reply ? m->backward : m->forward, key, x->column);
        if (here == ACL_DENY || (e->is_reply && here != ACL_PERMIT))
            return true;
    }
    return false;
}

static bool is_open_later(const struct making *m, size_t from, size_t row)
{
    for (size_t i = from; i < m->n; i++)
        if ((prefix_holds(&m->entries[i].remote, &m->prefixes[row]) ||
             prefix_holds(&m->prefixes[row], &m->entries[i].remote)) &&
            is_harmful(m, &m->entries[i], m->rows->rows[row].key))
            return true;
    return false;
}

static void make_stop(struct making *m, uint32_t stage)
{
    const struct column c = {.section = ACL_STOP, .action = ACL_DENY};
    struct prefixes to = {.items = NULL};
    size_t from = 0, before = m->n;
    bool any = false;

    while (from < before && m->entries[from].stage <= stage)
        from++;
    for (size_t i = 0; i < m->rows->n; i++) {
        const struct remote_row *row = &m->rows->rows[i];

        m->status[i] = row->stage > stage && row->key != REMOTE_SELF ? COVER_NO : COVER_MAYBE;
        if (row->stage == stage && row->key != REMOTE_SELF &&
            forward_of(m, row->key, 0) == ACL_DENY && is_open_later(m, from, i))
            m->status[i] = COVER_YES;
        any = any || m->status[i] == COVER_YES;
    }
    if (any)
        cover(m->prefixes, m->status, m->rows->n, &to);
    for (size_t k = 0; k < to.n; k++) {
        add_ranges(m, &c, &to.items[k]);
        m->entries[m->n - 1].stage = (uint8_t)stage;
    }
    prefixes_done(&to);
}

/* ---- what is never met ---- */

/* Whatever 'b' matches, 'a' matches too. */
static bool covers(const struct acl_entry *a, const struct acl_entry *b)
{
    if (!prefix_holds(&a->remote, &b->remote) || (a->protocol && a->protocol != b->protocol))
        return false;
    if (a->is_reply && a->protocol == IPPROTO_TCP && !b->is_reply)
        return false; /* Only what is established. */
    if (!a->has_ports)
        return true;
    return b->has_ports && (a->is_reply == b->is_reply || a->protocol == IPPROTO_ICMP) &&
           a->low <= b->low && b->high <= a->high;
}

static void drop_covered(struct making *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++) {
        bool dead = false;

        for (size_t k = 0; k < n && n <= MAX_COMPARED && !dead; k++)
            dead = covers(&m->entries[k], &m->entries[i]);
        if (!dead)
            m->entries[n++] = m->entries[i];
    }
    m->n = n;
}

/* ---- one program's list ---- */

/* Connections whose replies a switch cannot let through: see core/acl.h. */
static bool has_unnamed_replies(const struct making *m)
{
    for (uint32_t k = 0; k < m->rows->n_keys; k++)
        if (remote_action(m->rows, m->backward, k, 0) == ACL_PERMIT &&
            forward_of(m, k, 0) == ACL_DENY)
            return true;
    return false;
}

static int make_list(struct making *m)
{
    int r = make_columns(m);

    if (r < 0)
        return r;
    join_ports(m);
    r = split_types(m);
    if (r < 0)
        return r;
    for (uint32_t s = 0; s + 1 < m->rows->n_stages; s++) {
        make_stop(m, s);
        if (m->n > ACL_MAX_ENTRIES)
            return -E2BIG;
        qsort(m->entries, m->n, sizeof *m->entries, by_place);
    }
    drop_covered(m);
    for (size_t i = 0; i < m->n; i++)
        name_rules(m, &m->entries[i]);
    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, by_rules);
    m->unnamed_replies = has_unnamed_replies(m);
    return 0;
}

void making_done(struct making *m)
{
    free(m->entries);
    free(m->covered);
    free(m->status);
    free(m->prefixes);
}

static int make_once(struct making *m, const struct remote_rows *rows, enum acl_way way)
{
    *m = (struct making){.rows = rows,
                         .forward = way == ACL_IN ? DIRECTION_OUT : DIRECTION_IN,
                         .backward = way == ACL_IN ? DIRECTION_IN : DIRECTION_OUT};
    m->covered = xcalloc(rows->n, 1);
    m->status = xcalloc(rows->n, 1);
    m->prefixes = xcalloc(rows->n, sizeof *m->prefixes);
    for (size_t i = 0; i < rows->n; i++)
        m->prefixes[i] = rows->rows[i].prefix;
    return make_list(m);
}

/* Both ways to order what passes nothing; the shorter list. */
int making_init(struct making *m, struct remote_rows *rows, enum acl_way way)
{
    struct making other = {.n = 0};
    int r = make_once(m, rows, way);

    if ((r < 0 && r != -E2BIG) || !remote_rows_deny_first(rows))
        return r;
    if (make_once(&other, rows, way) == 0 && (r < 0 || other.n < m->n)) {
        struct making longer = *m;

        *m = other;
        other = longer;
        r = 0;
    }
    making_done(&other);
    return r;
}

bool making_same(const struct making *a, const struct making *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct acl_entry *x = &a->entries[i], *y = &b->entries[i];

        if (by_rules(x, y) != 0 || x->high != y->high || x->has_ports != y->has_ports)
            return false;
    }
    return true;
}
