/* SPDX-License-Identifier: Apache-2.0 */
/* Records become connections, connections are judged end by end; see replay.h. */
#include "core/replay.h"

#include <errno.h>

#include "base/table.h"
#include "core/edge_view.h"

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS, BUSY = 100, SOME = 3 };

struct connection {
    struct flow flow;     /* The first record's, with sums and ends of all. */
    uint64_t hours, days; /* Of which it was seen in, modulo 64. */
    uint32_t local;       /* Endpoint whose program judges it; NOBODY: nobody's. */
    bool is_shared, is_scan;
};

#define NOBODY UINT32_MAX

struct replay {
    struct compiled *candidate;
    const struct inventory *inventory;
    const char *(*text)(const void *keeper, text_t number);
    const void *keeper;
    struct connection *connections;
    size_t n, room;
    struct table index; /* Of 'connections'. */
    uint64_t first_ms, last_ms;
    struct replay_change *changes;
    size_t n_changes, room_changes;
    struct replay_totals totals;
    replay_see *see; /* NULL: nobody watches. */
    void *see_user;
};

struct replay *replay_new(struct compiled *candidate, const struct inventory *inventory,
                          const char *(*text)(const void *keeper, text_t number),
                          const void *keeper)
{
    struct replay *r = xcalloc(1, sizeof(*r));

    r->candidate = candidate;
    r->inventory = inventory;
    r->text = text;
    r->keeper = keeper;
    r->first_ms = UINT64_MAX;
    return r;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    table_done(&r->index);
    free(r->connections);
    free(r->changes);
    free(r);
}

void replay_watch(struct replay *r, replay_see *see, void *user)
{
    r->see = see;
    r->see_user = user;
}

/* ---- records to connections ---- */

static bool is_blind(const struct flow *f)
{
    return f->origin > FLOW_EDGE;
}

static bool is_of_edge(const struct flow *f)
{
    return f->origin == FLOW_EDGE;
}

/* What must agree.  An address counts only where no name stands for it. */
struct key {
    struct address source, destination;
    text_t from, to, process, script, user, rule;
    uint16_t port;
    uint8_t protocol, direction, verdict, layer, blind, edge;
};
_Static_assert(sizeof(struct key) == 32 + 24 + 8, "no hidden padding");

static struct key key_of(const struct flow *f)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    if (!f->from)
        k.source = f->source;
    if (!f->to)
        k.destination = f->destination;
    k.from = f->from;
    k.to = f->to;
    k.process = f->process;
    k.script = f->script;
    k.user = f->user;
    k.rule = f->rule;
    k.port = f->port;
    k.protocol = f->protocol;
    k.direction = f->direction;
    k.verdict = f->verdict;
    k.layer = f->layer;
    k.blind = is_blind(f);
    k.edge = is_of_edge(f);
    return k;
}

static bool same_connection(const void *context, uint32_t number, const void *key)
{
    const struct replay *r = context;
    struct key k = key_of(&r->connections[number].flow);

    return memcmp(&k, key, sizeof(k)) == 0;
}

static struct connection *connection_of(struct replay *r, const struct flow *f)
{
    struct key k = key_of(f);
    uint32_t hash = table_hash(&k, sizeof(k), 0);
    uint32_t at = table_find(&r->index, hash, same_connection, r, &k);

    if (at != TABLE_NONE)
        return &r->connections[at];
    if (r->n == REPLAY_MAX)
        return NULL;
    GROW(r->connections, r->n, r->room);
    table_add(&r->index, hash, (uint32_t)r->n);
    r->connections[r->n] = (struct connection){.flow = *f};
    r->connections[r->n].flow.count = 0;
    r->connections[r->n].flow.bytes_out = 0;
    r->connections[r->n].flow.bytes_in = 0;
    return &r->connections[r->n++];
}

static void add_one(struct replay *r, const struct flow *f)
{
    struct connection *c = connection_of(r, f);

    r->totals.records++;
    if (!c) {
        r->totals.n_over++;
        return;
    }
    c->flow.count += f->count;
    c->flow.bytes_out += f->bytes_out;
    c->flow.bytes_in += f->bytes_in;
    c->flow.first_ms = f->first_ms < c->flow.first_ms ? f->first_ms : c->flow.first_ms;
    c->flow.last_ms = f->last_ms > c->flow.last_ms ? f->last_ms : c->flow.last_ms;
    c->hours |= UINT64_C(1) << (f->first_ms / HOUR_MS % 64);
    c->days |= UINT64_C(1) << (f->first_ms / DAY_MS % 64);
    r->first_ms = f->first_ms < r->first_ms ? f->first_ms : r->first_ms;
    r->last_ms = f->last_ms > r->last_ms ? f->last_ms : r->last_ms;
}

void replay_add(struct replay *r, const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_one(r, &flows[i]);
}

/* ---- who uses what together ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_end(text_t a, const struct address *a_address, text_t b,
                       const struct address *b_address)
{
    return a != b ? compare_u64(a, b) : a ? 0 : address_compare(a_address, b_address);
}

static int compare_service(const struct flow *a, const struct flow *b)
{
    int r = compare_end(a->to, &a->destination, b->to, &b->destination);

    return r ? r
             : compare_u64((uint64_t)a->protocol << 16 | a->port,
                           (uint64_t)b->protocol << 16 | b->port);
}

static int compare_source(const struct flow *a, const struct flow *b)
{
    return compare_end(a->from, &a->source, b->from, &b->source);
}

static int by_service(const void *a, const void *b, void *user)
{
    const struct replay *r = user;
    const struct flow *x = &r->connections[*(const uint32_t *)a].flow;
    const struct flow *y = &r->connections[*(const uint32_t *)b].flow;
    int c = compare_service(x, y);

    return c ? c : compare_source(x, y);
}

static int by_source(const void *a, const void *b, void *user)
{
    const struct replay *r = user;
    const struct flow *x = &r->connections[*(const uint32_t *)a].flow;
    const struct flow *y = &r->connections[*(const uint32_t *)b].flow;
    int c = compare_source(x, y);

    return c ? c : compare_service(x, y);
}

/* Marks the runs of equal services (or sources) that have enough different sources (services). */
static void mark_runs(struct replay *r, const uint32_t order[], bool services)
{
    for (size_t first = 0, end; first < r->n; first = end) {
        const struct flow *f = &r->connections[order[first]].flow;
        size_t different = 0, tried = 0;

        for (end = first; end < r->n; end++) {
            const struct flow *g = &r->connections[order[end]].flow;
            const struct flow *before = end > first ? &r->connections[order[end - 1]].flow : NULL;
            bool is_new;

            if (services ? compare_service(f, g) != 0 : compare_source(f, g) != 0)
                break;
            is_new = !before || (services ? compare_source(before, g) : compare_service(before, g));
            different += is_new;
            tried += is_new && g->bytes_in == 0 && g->count <= SOME;
        }
        for (size_t i = first; i < end; i++) {
            struct connection *c = &r->connections[order[i]];

            if (services)
                c->is_shared = different >= SOME;
            else
                c->is_scan = tried >= REPLAY_SCAN_PORTS;
        }
    }
}

static void look_around(struct replay *r)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(r->n, sizeof(*order));

    for (size_t i = 0; i < r->n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, r->n, sizeof(*order), by_service, r);
    mark_runs(r, order, true);
    qsort_r(order, r->n, sizeof(*order), by_source, r);
    mark_runs(r, order, false);
}

/* ---- judging ---- */

static uint32_t endpoint_of(const struct replay *r, text_t name)
{
    const struct endpoint *e =
        name ? inventory_endpoint(r->inventory, r->text(r->keeper, name)) : NULL;

    return e ? (uint32_t)(e - r->inventory->endpoints) : NOBODY;
}

/* Who stands at the end where it is judged; of what network gear tells, the source if it has an
 * endpoint. */
static void find_local(struct replay *r, struct connection *c)
{
    struct flow *f = &c->flow;
    bool out = f->direction == DIRECTION_OUT;

    if (is_blind(f)) {
        out = endpoint_of(r, f->from) != NOBODY;
        f->direction = out ? DIRECTION_OUT : DIRECTION_IN;
    }
    c->local = endpoint_of(r, out ? f->from : f->to);
    if (c->local == NOBODY)
        r->totals.unjudged++;
}

static int by_identity(const void *a, const void *b, void *user)
{
    const struct replay *r = user;
    const struct connection *x = &r->connections[*(const uint32_t *)a];
    const struct connection *y = &r->connections[*(const uint32_t *)b];
    const struct endpoint *all = r->inventory->endpoints;
    int c = compare_u64(compiled_identity(r->candidate, all[x->local].name),
                        compiled_identity(r->candidate, all[y->local].name));

    return c ? c : compare_u64(x->local, y->local);
}

/* Endpoints of one identity share a program but for this: whose addresses are their own. */
static void set_self(struct program *p, const struct endpoint *e, bool self)
{
    for (size_t i = 0; i < e->n_addresses; i++) {
        size_t low = 0, high = p->n_addresses;

        while (low < high) {
            size_t middle = low + (high - low) / 2;
            int c = address_compare(&p->addresses[middle].address, &e->addresses[i]);

            if (c < 0 || (c == 0 && p->addresses[middle].length < 128))
                low = middle + 1;
            else
                high = middle;
        }
        if (low < p->n_addresses && p->addresses[low].length == 128 &&
            address_compare(&p->addresses[low].address, &e->addresses[i]) == 0)
            p->addresses[low].self = self;
    }
}

/* The text, or NULL for none. */
static const char *told(const struct replay *r, text_t number)
{
    return number ? r->text(r->keeper, number) : NULL;
}

static struct program_query query_of(const struct replay *r, const struct program *p,
                                     const struct connection *c)
{
    const struct flow *f = &c->flow;
    bool out = f->direction == DIRECTION_OUT;
    uint32_t remote = endpoint_of(r, out ? f->to : f->from);
    struct program_query q = {.direction = (enum direction)f->direction,
                              .remote = out ? f->destination : f->source,
                              .protocol = f->protocol,
                              .port = f->port,
                              .process = told(r, f->process),
                              .user = told(r, f->user)};
    const char *script = told(r, f->script);

    /* A name goes where the inventory of the candidate has it, not where it was. */
    if (remote != NOBODY && r->inventory->endpoints[remote].n_addresses)
        q.remote = r->inventory->endpoints[remote].addresses[0];
    if (script && program_process_class(p, script))
        q.process = script;
    return q;
}

static const char *rule_name(const struct replay *r, const struct program_answer *a)
{
    return a->rule ? compiled_rule_name(r->candidate, compiled_revision(r->candidate), a->rule)
                   : "";
}

static void tell_watcher(const struct replay *r, const struct connection *c,
                         const struct program_query *q, const struct program_answer *now)
{
    struct replay_judged j = {.flow = &c->flow,
                              .remote = q->remote,
                              .local = c->local,
                              .verdict = now->verdict,
                              .layer = now->layer,
                              .rule = rule_name(r, now),
                              .is_blind = is_blind(&c->flow)};

    if (r->see)
        r->see(r->see_user, &j);
}

static bool passed(const struct flow *f)
{
    return f->verdict != VERDICT_DENY;
}

/* False: nothing changes that anybody has to know. */
static bool kind_of(const struct flow *f, enum verdict now, enum replay_kind *ret_kind)
{
    if (passed(f) && now == VERDICT_DENY)
        *ret_kind = REPLAY_BLOCKED;
    else if (f->verdict == VERDICT_ALLOW && now == VERDICT_WOULD_DENY)
        *ret_kind = REPLAY_REPORTED;
    else if (f->verdict != VERDICT_ALLOW && now != VERDICT_DENY && now != f->verdict)
        *ret_kind = REPLAY_OPENED;
    else
        return false;
    return true;
}

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

static bool is_odd_program(const char *path)
{
    return starts_with(path, "/tmp/") || starts_with(path, "/var/tmp/") ||
           starts_with(path, "/dev/shm/") || strstr(path, " (deleted)");
}

static bool is_suspect(const struct replay *r, text_t name)
{
    uint32_t e = endpoint_of(r, name);

    return e != NOBODY && r->inventory->endpoints[e].trust == TRUST_BLACK;
}

static unsigned reasons_of(const struct replay *r, const struct connection *c)
{
    const struct flow *f = &c->flow;
    bool short_window = r->last_ms - r->first_ms < (uint64_t)SOME * DAY_MS;
    const char *process = told(r, f->process);
    unsigned reasons = 0;

    if (__builtin_popcountll(short_window ? c->hours : c->days) >= SOME)
        reasons |= REPLAY_REGULAR;
    if (f->count >= BUSY)
        reasons |= REPLAY_BUSY;
    if (c->is_shared)
        reasons |= REPLAY_SHARED;
    if (f->bytes_in)
        reasons |= REPLAY_ANSWERED;
    if (f->first_ms / FLOW_MINUTE_MS == f->last_ms / FLOW_MINUTE_MS)
        reasons |= REPLAY_ONCE;
    if (!f->bytes_in && f->bytes_out && f->count >= SOME)
        reasons |= REPLAY_UNANSWERED;
    if (c->is_scan)
        reasons |= REPLAY_SCAN_LIKE;
    if (is_suspect(r, f->from) || is_suspect(r, f->to))
        reasons |= REPLAY_SUSPECT;
    if (process && f->direction == DIRECTION_OUT && is_odd_program(process))
        reasons |= REPLAY_ODD_PROGRAM;
    return reasons;
}

static enum replay_likely likely_of(unsigned reasons)
{
    int needed = __builtin_popcount(reasons & REPLAY_NEEDED);
    int unwanted = __builtin_popcount(reasons & REPLAY_UNWANTED);

    return needed > unwanted   ? REPLAY_LIKELY_NEEDED
           : needed < unwanted ? REPLAY_LIKELY_UNWANTED
                               : REPLAY_UNCLEAR;
}

static void judge_one(struct replay *r, const struct program *p, const struct connection *c)
{
    struct program_query q = query_of(r, p, c);
    struct program_answer now = program_judge(p, &q);
    struct replay_change *to;
    enum replay_kind kind;

    tell_watcher(r, c, &q, &now);
    if (!kind_of(&c->flow, now.verdict, &kind))
        return;
    GROW(r->changes, r->n_changes, r->room_changes);
    to = &r->changes[r->n_changes++];
    *to = (struct replay_change){
        .kind = kind,
        .reasons = reasons_of(r, c),
        .flow = c->flow,
        .n_hours = (uint32_t)__builtin_popcountll(c->hours),
        .n_days = (uint32_t)__builtin_popcountll(c->days),
        .is_blind = is_blind(&c->flow),
        .verdict = now.verdict,
        .layer = now.layer,
        .rule = rule_name(r, &now),
    };
    to->likely = likely_of(to->reasons);
}

/* Of one identity: what its agents and what the edges before it judge by. */
struct judges {
    struct program *host, *edge; /* NULL: not asked for yet. */
    identity_t identity;
};

static void judges_done(struct judges *j)
{
    program_free(j->host);
    program_free(j->edge);
    *j = (struct judges){.host = NULL};
}

static int judges_of(struct judges *j, const struct replay *r, const struct endpoint *e,
                     const char **ret_what)
{
    identity_t identity = compiled_identity(r->candidate, e->name);
    int error;

    if (j->host && identity == j->identity)
        return 0;
    judges_done(j);
    error = compiled_program(r->candidate, e->name, &j->host, ret_what);
    if (error < 0)
        return error;
    j->identity = identity;
    for (size_t k = 0; k < j->host->n_addresses; k++)
        j->host->addresses[k].self = false;
    return 0;
}

static int judge_all(struct replay *r, const uint32_t order[], size_t n, const char **ret_what)
{
    CLEANUP(judges_done) struct judges j = {.host = NULL};

    for (size_t i = 0; i < n; i++) {
        const struct connection *c = &r->connections[order[i]];
        const struct endpoint *e = &r->inventory->endpoints[c->local];
        int error = judges_of(&j, r, e, ret_what);
        struct program *p = j.host;

        if (error < 0)
            return error;
        if (is_of_edge(&c->flow))
            p = j.edge = j.edge ? j.edge : edge_view(j.host);
        p->trust = e->trust;
        set_self(p, e, true);
        judge_one(r, p, c);
        set_self(p, e, false);
    }
    return 0;
}

/* ---- changes ---- */

static int by_pair(const void *a, const void *b)
{
    const struct replay_change *x = a, *y = b;
    int c = compare_u64(x->kind, y->kind);

    c = c ? c : compare_source(&x->flow, &y->flow);
    c = c ? c : compare_service(&x->flow, &y->flow);
    c = c ? c : compare_u64(x->flow.direction, y->flow.direction);
    return c ? c : compare_u64(is_of_edge(&x->flow), is_of_edge(&y->flow));
}

/* What both ends told is one change: that of the source, who knows the program; and so is what an
 * agent and the edge before it told. */
static void drop_second_ends(struct replay *r)
{
    size_t kept = 0;

    qsort(r->changes, r->n_changes, sizeof(*r->changes), by_pair);
    for (size_t i = 0; i < r->n_changes; i++) {
        const struct replay_change *x = &r->changes[i], *last = &r->changes[kept - !!kept];

        if (kept && last->kind == x->kind && compare_source(&last->flow, &x->flow) == 0 &&
            compare_service(&last->flow, &x->flow) == 0 &&
            (last->flow.direction != x->flow.direction ||
             (is_of_edge(&x->flow) && !is_of_edge(&last->flow))))
            continue;
        r->changes[kept++] = *x;
    }
    r->n_changes = kept;
}

static int by_weight(const void *a, const void *b)
{
    const struct replay_change *x = a, *y = b;
    int c = compare_u64(x->kind, y->kind);

    c = c ? c : compare_u64(x->likely, y->likely);
    c = c ? c : compare_u64(y->flow.count, x->flow.count);
    return c ? c : by_pair(a, b);
}

int replay_judge(struct replay *r, const char **ret_what)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(r->n, sizeof(*order));
    size_t n = 0;
    int error;

    look_around(r);
    for (size_t i = 0; i < r->n; i++) {
        find_local(r, &r->connections[i]);
        if (r->connections[i].local != NOBODY)
            order[n++] = (uint32_t)i;
    }
    qsort_r(order, n, sizeof(*order), by_identity, r);
    error = judge_all(r, order, n, ret_what);
    if (error < 0)
        return error;
    if (r->n_changes) {
        drop_second_ends(r);
        qsort(r->changes, r->n_changes, sizeof(*r->changes), by_weight);
    }
    r->totals.connections = r->n;
    for (size_t i = 0; i < r->n_changes; i++) {
        r->totals.changes[r->changes[i].kind]++;
        r->totals.counts[r->changes[i].kind] += r->changes[i].flow.count;
    }
    return 0;
}

size_t replay_changes(const struct replay *r, const struct replay_change **ret_changes)
{
    *ret_changes = r->changes;
    return r->n_changes;
}

const struct replay_totals *replay_totals(const struct replay *r)
{
    return &r->totals;
}

/* ---- words ---- */

const char *replay_kind_name(enum replay_kind kind)
{
    static const char *const names[REPLAY_KINDS] = {"blocked", "reported", "opened"};

    return names[kind];
}

const char *replay_likely_name(enum replay_likely likely)
{
    static const char *const names[] = {"likely needed", "unclear", "likely unwanted"};

    return names[likely];
}

void replay_reason_text(const struct replay_change *c, enum replay_reason reason, struct buf *b)
{
    switch (reason) {
    case REPLAY_REGULAR:
        if (c->n_days >= SOME)
            buf_printf(b, "on %u days", c->n_days);
        else
            buf_printf(b, "in %u hours", c->n_hours);
        return;
    case REPLAY_BUSY:
        buf_puts(b, "often");
        return;
    case REPLAY_SHARED:
        buf_puts(b, "others use the same service there");
        return;
    case REPLAY_ANSWERED:
        buf_puts(b, "it is answered");
        return;
    case REPLAY_ONCE:
        buf_puts(b, "in one minute only");
        return;
    case REPLAY_UNANSWERED:
        buf_puts(b, "it is never answered");
        return;
    case REPLAY_SCAN_LIKE:
        buf_puts(b, "its source tries many services");
        return;
    case REPLAY_SUSPECT:
        buf_puts(b, "one end is in quarantine");
        return;
    case REPLAY_ODD_PROGRAM:
        buf_puts(b, "a program from a folder that anybody may write to");
        return;
    }
}
