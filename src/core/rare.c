/* SPDX-License-Identifier: Apache-2.0 */
/* Facts in one table, and the lines that follow from them; see rare.h. */
#include "core/rare.h"

#include "base/table.h"

enum fact_kind {
    FACT_CONNECTION,      /* from, to, program, service */
    FACT_END,             /* end */
    FACT_PROGRAM,         /* program; n: sources */
    FACT_PROGRAM_HERE,    /* from, program; n: destinations */
    FACT_PEER,            /* from, program, to */
    FACT_PROGRAM_SERVICE, /* program, service */
    FACT_PROGRAM_GROUP,   /* program, group */
    FACT_ADDRESS,         /* index of an address; found by it */
    FACT_SCANNER,         /* source, program; its number stands for both */
    FACT_WINDOW,          /* scanner, window; n: pairs */
    FACT_TRY,             /* scanner, window, destination, service */
    FACT_TRY_END,         /* scanner, window, destination */
    FACT_TRY_SERVICE,     /* scanner, window, service */
};

#define NOBODY UINT32_MAX
#define OF_ADDRESS 0x80000000u

struct fact {
    struct fact_key {
        uint32_t kind, a, b, c, d;
    } key;
    uint32_t n, n_ends, n_services;
    uint32_t flow; /* FACT_CONNECTION, FACT_WINDOW: in 'flows'; NOBODY: not in the window. */
    uint64_t first_ms, n_denied;
    bool before, listed;
};

struct rare {
    const struct world *w;
    const uint8_t *ends;
    unsigned kinds;
    uint64_t since_ms;
    const char *(*text)(const void *keeper, text_t number);
    const void *keeper;
    struct fact *facts;
    size_t n_facts, facts_room;
    struct table index, addresses_index;
    struct address *addresses;
    size_t n_addresses, addresses_room;
    struct flow *flows;
    size_t n_flows, flows_room;
    uint32_t *end_of; /* By text: index of the endpoint + 2; 1: none; 0: not looked up yet. */
    size_t n_texts;
    struct rare_line *lines;
    size_t n_lines, lines_room;
    struct rare_totals totals;
};

struct rare *rare_new(const struct world *w, const uint8_t *ends, unsigned kinds, uint64_t since_ms,
                      const char *(*text)(const void *keeper, text_t number), const void *keeper)
{
    struct rare *r = xcalloc(1, sizeof(*r));

    r->w = w;
    r->ends = ends;
    r->kinds = kinds;
    r->since_ms = since_ms;
    r->text = text;
    r->keeper = keeper;
    return r;
}

void rare_free(struct rare *r)
{
    if (!r)
        return;
    table_done(&r->index);
    table_done(&r->addresses_index);
    free(r->facts);
    free(r->addresses);
    free(r->flows);
    free(r->end_of);
    free(r->lines);
    free(r);
}

/* ---- facts ---- */

static bool same_fact(const void *facts, uint32_t number, const void *key)
{
    return memcmp(&((const struct fact *)facts)[number].key, key, sizeof(struct fact_key)) == 0;
}

static struct fact *find(const struct rare *r, const struct fact_key *k)
{
    uint32_t at = table_find(&r->index, table_hash(k, sizeof(*k), 0), same_fact, r->facts, k);

    return at == TABLE_NONE ? NULL : &r->facts[at];
}

/* NULL: there are too many.  Borrowed until the next one. */
static struct fact *get(struct rare *r, struct fact_key k, bool *ret_is_new)
{
    struct fact *f = find(r, &k);

    *ret_is_new = !f;
    if (f)
        return f;
    if (r->n_facts == RARE_MAX) {
        r->totals.n_over++;
        return NULL;
    }
    GROW(r->facts, r->n_facts, r->facts_room);
    r->facts[r->n_facts] = (struct fact){.key = k, .flow = NOBODY, .first_ms = UINT64_MAX};
    table_add(&r->index, table_hash(&k, sizeof(k), 0), (uint32_t)r->n_facts);
    return &r->facts[r->n_facts++];
}

static struct fact *note(struct rare *r, struct fact_key k, const struct flow *f, bool *ret_is_new)
{
    struct fact *x = get(r, k, ret_is_new);

    if (!x)
        return NULL;
    x->first_ms = f->first_ms < x->first_ms ? f->first_ms : x->first_ms;
    x->before = x->before || f->first_ms < r->since_ms;
    return x;
}

/* One more of something different that 'k' counts. */
static void count_at(struct rare *r, struct fact_key k)
{
    struct fact *x = find(r, &k);

    if (x)
        x->n++;
}

/* ---- who tells ---- */

static uint32_t endpoint_of(struct rare *r, text_t name)
{
    size_t room = r->n_texts ? r->n_texts : 1024;

    if (!name)
        return NOBODY;
    if (name >= r->n_texts) {
        while (room <= name)
            room *= 2;
        r->end_of = xreallocarray(r->end_of, room, sizeof(*r->end_of));
        memset(r->end_of + r->n_texts, 0, (room - r->n_texts) * sizeof(*r->end_of));
        r->n_texts = room;
    }
    if (!r->end_of[name]) {
        const struct endpoint *e = inventory_endpoint(r->w->inventory, r->text(r->keeper, name));

        r->end_of[name] = e ? (uint32_t)(e - r->w->inventory->endpoints) + 2 : 1;
    }
    return r->end_of[name] - 2;
}

static bool tells(struct rare *r, text_t name)
{
    uint32_t e = endpoint_of(r, name);

    return e != NOBODY && (r->ends[e] & HYGIENE_TELLS);
}

/* One record of each connection, of the reporter who knows most. */
static bool is_told_best(struct rare *r, const struct flow *f)
{
    if (flow_is_others(f))
        return !tells(r, f->from) && !tells(r, f->to);
    return !(f->marks & FLOW_TWIN);
}

static text_t program_of(const struct flow *f)
{
    if (f->direction != DIRECTION_OUT)
        return 0;
    return f->script ? f->script : f->process;
}

static uint32_t service_of(const struct flow *f)
{
    return (uint32_t)f->protocol << 16 | f->port;
}

/* ---- what a record tells ---- */

static void note_groups(struct rare *r, const struct flow *f, text_t program)
{
    uint32_t to = endpoint_of(r, f->to);
    bool is_new;

    if (to == NOBODY) {
        (void)note(r, (struct fact_key){FACT_PROGRAM_GROUP, program, NOBODY, 0, 0}, f, &is_new);
        return;
    }
    for (size_t i = 0; i < r->w->n_words; i++)
        for (uint64_t left = r->w->ends[to].groups.words[i]; left; left &= left - 1)
            (void)note(r,
                       (struct fact_key){FACT_PROGRAM_GROUP, program,
                                         (uint32_t)(i * 64 + (size_t)__builtin_ctzll(left)), 0, 0},
                       f, &is_new);
}

static void note_program(struct rare *r, const struct flow *f, text_t program)
{
    bool is_new;

    (void)note(r, (struct fact_key){FACT_PROGRAM, program, 0, 0, 0}, f, &is_new);
    (void)note(r, (struct fact_key){FACT_PROGRAM_HERE, f->from, program, 0, 0}, f, &is_new);
    if (is_new)
        count_at(r, (struct fact_key){FACT_PROGRAM, program, 0, 0, 0});
    (void)note(r, (struct fact_key){FACT_PEER, f->from, program, f->to, 0}, f, &is_new);
    if (is_new)
        count_at(r, (struct fact_key){FACT_PROGRAM_HERE, f->from, program, 0, 0});
    (void)note(r, (struct fact_key){FACT_PROGRAM_SERVICE, program, service_of(f), 0, 0}, f,
               &is_new);
    note_groups(r, f, program);
}

static uint32_t keep_flow(struct rare *r, const struct flow *f)
{
    if (r->n_flows == RARE_FLOWS) {
        r->totals.n_over++;
        return NOBODY;
    }
    GROW(r->flows, r->n_flows, r->flows_room);
    r->flows[r->n_flows] = *f;
    return (uint32_t)r->n_flows++;
}

static void add_up(struct flow *to, const struct flow *f)
{
    if (f->first_ms < to->first_ms) { /* What decided first stands in the line. */
        struct flow first = *f;

        first.count += to->count;
        first.bytes_out += to->bytes_out;
        first.bytes_in += to->bytes_in;
        first.last_ms = f->last_ms > to->last_ms ? f->last_ms : to->last_ms;
        *to = first;
        return;
    }
    to->count += f->count;
    to->bytes_out += f->bytes_out;
    to->bytes_in += f->bytes_in;
    to->last_ms = f->last_ms > to->last_ms ? f->last_ms : to->last_ms;
}

static void note_connection(struct rare *r, const struct flow *f)
{
    text_t program = program_of(f);
    bool is_new;
    struct fact *x;

    (void)note(r, (struct fact_key){FACT_END, f->from, 0, 0, 0}, f, &is_new);
    (void)note(r, (struct fact_key){FACT_END, f->to, 0, 0, 0}, f, &is_new);
    if (program)
        note_program(r, f, program);
    x = note(r, (struct fact_key){FACT_CONNECTION, f->from, f->to, program, service_of(f)}, f,
             &is_new);
    if (!x || f->first_ms < r->since_ms)
        return;
    if (x->flow == NOBODY)
        x->flow = keep_flow(r, f);
    else
        add_up(&r->flows[x->flow], f);
}

/* ---- scans ---- */

static bool same_address(const void *rare, uint32_t number, const void *key)
{
    return address_compare(&((const struct rare *)rare)->addresses[number], key) == 0;
}

/* A number for a name, or for an address that has none; NOBODY: there are too many. */
static uint32_t end_number(struct rare *r, text_t name, const struct address *a)
{
    uint32_t hash, at;

    if (name)
        return name;
    hash = table_hash(a, sizeof(*a), 0);
    at = table_find(&r->addresses_index, hash, same_address, r, a);
    if (at != TABLE_NONE)
        return at | OF_ADDRESS;
    if (r->n_addresses == RARE_MAX) {
        r->totals.n_over++;
        return NOBODY;
    }
    GROW(r->addresses, r->n_addresses, r->addresses_room);
    r->addresses[r->n_addresses] = *a;
    table_add(&r->addresses_index, hash, (uint32_t)r->n_addresses);
    return (uint32_t)r->n_addresses++ | OF_ADDRESS;
}

static bool is_in_vain(const struct flow *f)
{
    return f->verdict == VERDICT_DENY || (f->bytes_in == 0 && f->count <= 3);
}

/* One attempt in one of the two windows that it lies in. */
static void note_try(struct rare *r, const struct flow *f, uint32_t window, uint32_t scanner,
                     uint32_t to)
{
    struct fact_key of_window = {FACT_WINDOW, scanner, window, 0, 0};
    bool is_new, is_end, is_service;
    struct fact *x = note(r, of_window, f, &is_new);

    if (!x)
        return;
    if (x->flow == NOBODY)
        x->flow = keep_flow(r, f);
    else
        add_up(&r->flows[x->flow], f);
    x->n_denied += f->verdict == VERDICT_DENY ? f->count : 0;
    if (x->n >= RARE_SCAN_COUNTED)
        return;
    (void)get(r, (struct fact_key){FACT_TRY, scanner, window, to, service_of(f)}, &is_new);
    (void)get(r, (struct fact_key){FACT_TRY_END, scanner, window, to, 0}, &is_end);
    (void)get(r, (struct fact_key){FACT_TRY_SERVICE, scanner, window, service_of(f), 0},
              &is_service);
    x = find(r, &of_window);
    x->n += is_new;
    x->n_ends += is_end;
    x->n_services += is_service;
}

static void note_vain(struct rare *r, const struct flow *f)
{
    uint32_t half = (uint32_t)(f->first_ms / (RARE_SCAN_MS / 2));
    uint32_t from = end_number(r, f->from, &f->source);
    uint32_t to = end_number(r, f->to, &f->destination);

    struct fact *x = NULL;
    uint32_t scanner;
    bool is_new;

    if (from != NOBODY && to != NOBODY)
        x = get(r, (struct fact_key){FACT_SCANNER, from, program_of(f), 0, 0}, &is_new);
    if (!x)
        return;
    scanner = (uint32_t)(x - r->facts);
    note_try(r, f, half, scanner, to);
    if (half)
        note_try(r, f, half - 1, scanner, to);
}

void rare_add(struct rare *r, const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct flow *f = &flows[i];

        if (!is_told_best(r, f))
            continue;
        r->totals.records += f->first_ms >= r->since_ms;
        note_connection(r, f);
        if ((r->kinds & 1 << RARE_SCAN) && f->first_ms >= r->since_ms && is_in_vain(f))
            note_vain(r, f);
    }
}

/* ---- lines ---- */

static struct rare_line *add_line(struct rare *r, enum rare_kind kind, const struct fact *x)
{
    struct rare_line *line;

    GROW(r->lines, r->n_lines, r->lines_room);
    line = &r->lines[r->n_lines++];
    *line = (struct rare_line){.kind = kind, .flow = r->flows[x->flow]};
    r->totals.lines[kind]++;
    return line;
}

/* What is known of the connection and its program. */
static void explain(const struct rare *r, const struct fact *x, struct rare_line *line)
{
    uint32_t from = x->key.a, to = x->key.b, program = x->key.c;
    const struct fact *any = find(r, &(struct fact_key){FACT_PROGRAM, program, 0, 0, 0});
    const struct fact *here = find(r, &(struct fact_key){FACT_PROGRAM_HERE, from, program, 0, 0});

    line->before_ms = x->before ? x->first_ms : 0;
    if (!any || !here)
        return;
    line->program_ms = any->first_ms;
    line->program_here_ms = here->first_ms;
    line->n_sources = any->n;
    line->n_peers =
        here->n - (find(r, &(struct fact_key){FACT_PEER, from, program, to, 0}) != NULL);
}

static bool was_before(const struct rare *r, struct fact_key k)
{
    const struct fact *x = find(r, &k);

    return x && x->before;
}

static void look_if_new(struct rare *r, const struct fact *x)
{
    if (x->before)
        return;
    if (!was_before(r, (struct fact_key){FACT_END, x->key.a, 0, 0, 0}) ||
        !was_before(r, (struct fact_key){FACT_END, x->key.b, 0, 0, 0})) {
        r->totals.n_unknown_ends++;
        return;
    }
    if (r->kinds & 1 << RARE_NEW)
        explain(r, x, add_line(r, RARE_NEW, x));
}

static void look_if_once(struct rare *r, const struct fact *x)
{
    if ((r->kinds & 1 << RARE_ONCE) && r->flows[x->flow].count == 1)
        explain(r, x, add_line(r, RARE_ONCE, x));
}

/* Fresh: none of the destination's groups was this program's before, nor told already. */
static bool is_fresh_group(struct rare *r, uint32_t to, uint32_t program)
{
    uint32_t endpoint = endpoint_of(r, to);
    bool any = false, fresh = true;

    if (endpoint == NOBODY) {
        struct fact *x = find(r, &(struct fact_key){FACT_PROGRAM_GROUP, program, NOBODY, 0, 0});

        fresh = x && !x->before && !x->listed;
        if (x)
            x->listed = true;
        return fresh;
    }
    for (size_t i = 0; i < r->w->n_words; i++)
        for (uint64_t left = r->w->ends[endpoint].groups.words[i]; left; left &= left - 1) {
            uint32_t group = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(left));
            struct fact *x = find(r, &(struct fact_key){FACT_PROGRAM_GROUP, program, group, 0, 0});

            any = true;
            fresh = fresh && x && !x->before && !x->listed;
            if (x)
                x->listed = true;
        }
    return any && fresh;
}

static void look_at_program(struct rare *r, const struct fact *x)
{
    uint32_t program = x->key.c;
    struct fact *service;
    unsigned reasons = 0;
    struct rare_line *line;

    if (!(r->kinds & 1 << RARE_PROGRAM) || !program || x->before ||
        !was_before(r, (struct fact_key){FACT_PROGRAM, program, 0, 0, 0}))
        return;
    service = find(r, &(struct fact_key){FACT_PROGRAM_SERVICE, program, x->key.d, 0, 0});
    if (service && !service->before && !service->listed) {
        service->listed = true;
        reasons |= RARE_SERVICE;
    }
    if (is_fresh_group(r, x->key.b, program))
        reasons |= RARE_GROUP;
    if (!reasons)
        return;
    line = add_line(r, RARE_PROGRAM, x);
    line->reasons = reasons;
    explain(r, x, line);
}

static int by_window(const void *a_, const void *b_)
{
    const struct fact *a = *(const struct fact *const *)a_, *b = *(const struct fact *const *)b_;

    if (a->key.a != b->key.a)
        return a->key.a < b->key.a ? -1 : 1;
    return a->key.b < b->key.b ? -1 : a->key.b > b->key.b;
}

/* Windows that follow each other are one scan; each attempt lies in two of them. */
static void tell_scans(struct rare *r, const struct fact *const windows[], size_t n)
{
    struct rare_line *line = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct fact *x = windows[i], *last = i ? windows[i - 1] : NULL;
        const struct flow *f = &r->flows[x->flow];
        bool goes_on = line && last->key.a == x->key.a && last->key.b + 1 == x->key.b;

        if (!goes_on) {
            line = add_line(r, RARE_SCAN, x);
            line->n_denied = x->n_denied;
        } else if (f->last_ms > line->flow.last_ms) {
            line->flow.last_ms = f->last_ms;
        }
        if (x->n <= line->n_tries)
            continue;
        line->n_tries = x->n;
        line->n_destinations = x->n_ends;
        line->n_services = x->n_services;
        line->n_denied = x->n_denied;
    }
}

static void look_for_scans(struct rare *r)
{
    CLEANUP(free_voidp) const struct fact **windows = xcalloc(r->n_facts, sizeof(*windows));
    size_t n = 0;

    for (size_t i = 0; i < r->n_facts; i++) {
        const struct fact *x = &r->facts[i];

        if (x->key.kind == FACT_WINDOW && x->n >= RARE_SCAN_TRIES && x->flow != NOBODY)
            windows[n++] = x;
    }
    if (n)
        qsort(windows, n, sizeof(*windows), by_window);
    tell_scans(r, windows, n);
}

/* ---- order ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_flows(const struct flow *a, const struct flow *b)
{
    int c = compare_u64(a->first_ms, b->first_ms);

    c = c ? c : compare_u64(a->from, b->from);
    c = c ? c : compare_u64(a->to, b->to);
    c = c ? c : compare_u64(service_of(a), service_of(b));
    c = c ? c : compare_u64(program_of(a), program_of(b));
    return c ? c : address_compare(&a->source, &b->source);
}

static int by_kind(const void *a_, const void *b_)
{
    const struct rare_line *a = a_, *b = b_;
    int c = compare_u64(a->kind, b->kind);

    return c ? c : compare_flows(&b->flow, &a->flow);
}

static int by_time(const void *a, const void *b, void *user)
{
    const struct rare *r = user;
    const struct fact *x = &r->facts[*(const uint32_t *)a], *y = &r->facts[*(const uint32_t *)b];

    return compare_flows(&r->flows[x->flow], &r->flows[y->flow]);
}

/* The earliest first: of several that would be told for one reason it is told. */
static void look_at_connections(struct rare *r)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(r->n_facts, sizeof(*order));
    size_t n = 0;

    for (uint32_t i = 0; i < r->n_facts; i++)
        if (r->facts[i].key.kind == FACT_CONNECTION && r->facts[i].flow != NOBODY)
            order[n++] = i;
    if (n)
        qsort_r(order, n, sizeof(*order), by_time, r);
    r->totals.connections = n;
    for (size_t i = 0; i < n; i++) {
        look_if_new(r, &r->facts[order[i]]);
        look_if_once(r, &r->facts[order[i]]);
        look_at_program(r, &r->facts[order[i]]);
    }
}

size_t rare_find(struct rare *r, const struct rare_line **ret_lines)
{
    look_at_connections(r);
    look_for_scans(r);
    if (r->n_lines)
        qsort(r->lines, r->n_lines, sizeof(*r->lines), by_kind);
    *ret_lines = r->lines;
    return r->n_lines;
}

const struct rare_totals *rare_totals(const struct rare *r)
{
    return &r->totals;
}

const char *rare_kind_name(enum rare_kind kind)
{
    static const char *const names[RARE_KINDS] = {"new", "once", "program", "scan"};

    return names[kind];
}
