/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one pair of identities.
 *
 * For each service class that a rule of the pair tells apart, and for each program and user that
 * this end can tell apart, the most permissive verdict over all that only the other end or an edge
 * can tell: representatives instead of algebra, by the rules of core/verdict.h in numbers.
 *
 * Networks repeat themselves: most pairs of identities are taken by the same few lists of rules, so
 * the answer to a list is kept. */
#include <netinet/in.h>

#include "core/compile/compiled.h"

#define ELSE TABLE_NONE /* A known one that no rule names; class 0. */

enum { MAX_TEMPLATES = 1 << 18, MAX_TEMPLATE_ENTRIES = 1 << 21 };

enum truth { TRUTH_NO, TRUTH_YES, TRUTH_BLIND };

struct work { /* One service class of a pair. */
    struct compiled *c;
    const uint32_t *all; /* Rules of the pair. */
    size_t n_all;
    uint8_t flags;
    struct list rules; /* Those that take this service. */
    struct list services;
    struct list own_processes, own_users, other_processes, other_users;
    int functions[MODEL_MAX_MODBUS + 2];
    size_t n_functions;
    int unnamed; /* One that no rule here names; 0: all are named. */
    struct program_entry *entries;
    size_t n, room;
};

struct facts {
    uint32_t service, process, served_by, user; /* Classes' handles, or ELSE. */
    int function;
};

static uint32_t rule_of(uint32_t item)
{
    return item & ~(uint32_t)PAIR_EXCEPT;
}

static const struct object *object_of(const struct work *k, uint32_t item)
{
    return &k->c->objects[KIND_RULE][rule_of(item)];
}

static bool is_out(const struct work *k)
{
    return !(k->flags & PAIR_IN);
}

/* ---- what is true of a rule's match, or of its except ---- */

static bool has_enforcer(const struct work *k, unsigned shift, enum identity_flag enforcer)
{
    return (k->flags >> shift) & (enforcer >> 1);
}

static enum truth place_truth(bool is_named, bool has_host, bool is_in)
{
    if (!is_named)
        return TRUTH_YES;
    if (!has_host)
        return TRUTH_BLIND;
    return is_in ? TRUTH_YES : TRUTH_NO;
}

static enum truth function_truth(const struct work *k, uint32_t service, int function)
{
    const uint32_t *w = k->c->objects[KIND_SERVICE][service].words;
    const uint32_t *functions = w + 1 + (size_t)w[0] * PORT_WORDS;

    if (!functions[0])
        return TRUTH_YES;
    if (!has_enforcer(k, PAIR_FROM_SHIFT, IDENTITY_EDGE) &&
        !has_enforcer(k, PAIR_TO_SHIFT, IDENTITY_EDGE))
        return TRUTH_BLIND;
    for (uint32_t i = 0; i < functions[0]; i++)
        if (functions[1 + i] == (uint32_t)function)
            return TRUTH_YES;
    return TRUTH_NO;
}

static enum truth service_truth(const struct work *k, struct list_view services,
                                const struct facts *f)
{
    enum truth best = TRUTH_NO;

    if (!services.n)
        return TRUTH_YES;
    for (uint32_t i = 0; i < services.n && best != TRUTH_YES; i++) {
        enum truth t;

        if (f->service == ELSE || !list_has(&k->c->services[services.items[i]].classes, f->service))
            continue;
        t = function_truth(k, services.items[i], f->function);
        if (t != TRUTH_NO)
            best = t;
    }
    return best;
}

/* All fields but from and to, the least true of them first. */
static enum truth match_truth(const struct work *k, uint32_t item, bool except,
                              const struct facts *f)
{
    const struct object *o = object_of(k, item);
    struct list_view processes = rule_span(o->words, except, SPAN_PROCESS);
    struct list_view served_by = rule_span(o->words, except, SPAN_SERVED_BY);
    bool from_host = has_enforcer(k, PAIR_FROM_SHIFT, IDENTITY_HOST);
    const enum truth truths[] = {
        service_truth(k, rule_span(o->words, except, SPAN_SERVICE), f),
        place_truth(processes.n, from_host, list_view_has(processes, f->process)),
        place_truth(rule_span(o->words, except, SPAN_USER).n, from_host,
                    list_has(&k->c->rules[rule_of(item)].users[except], f->user)),
        place_truth(served_by.n, has_enforcer(k, PAIR_TO_SHIFT, IDENTITY_HOST),
                    list_view_has(served_by, f->served_by)),
    };
    enum truth least = TRUTH_YES;

    for (size_t i = 0; i < ARRAY_SIZE(truths); i++)
        if (truths[i] == TRUTH_NO)
            return TRUTH_NO;
        else if (truths[i] == TRUTH_BLIND)
            least = TRUTH_BLIND;
    return least;
}

static bool matches(const struct work *k, uint32_t item, const struct facts *f)
{
    const uint32_t *w = object_of(k, item)->words;
    enum truth t = match_truth(k, item, false, f);

    if (w[RULE_LAYER] == LAYER_NEVER) {
        enum truth x;

        if (t == TRUTH_NO || !(item & PAIR_EXCEPT))
            return t != TRUTH_NO;
        x = match_truth(k, item, true, f);
        return !(x == TRUTH_YES || (x == TRUTH_BLIND && w[RULE_WEAKER]));
    }
    if ((k->flags & PAIR_MULTICAST) && !rule_span(object_of(k, item)->words, false, SPAN_SERVICE).n)
        return false; /* A group of machines is never reached by saying nothing of the service. */
    return t == TRUTH_YES || (t == TRUTH_BLIND && w[RULE_WEAKER]);
}

struct value {
    enum program_word word;
    enum layer layer;
    uint32_t rule; /* Number. */
};

/* The rule with the smallest id that matches; TABLE_NONE: none. */
static uint32_t find_match(const struct work *k, enum layer layer, const struct facts *f)
{
    const struct numbering *names = &k->c->names[KIND_RULE];
    uint32_t best = TABLE_NONE;

    for (size_t i = 0; i < k->rules.n; i++) {
        uint32_t item = k->rules.items[i], rule = rule_of(item);

        if (object_of(k, item)->words[RULE_LAYER] == layer && matches(k, item, f) &&
            (best == TABLE_NONE ||
             strcmp(numbering_key(names, rule), numbering_key(names, best)) < 0))
            best = rule;
    }
    return best;
}

static struct value judge(const struct work *k, const struct facts *f)
{
    static const struct {
        enum layer layer;
        enum program_word word;
    } layers[] = {{LAYER_QUARANTINE, PROGRAM_ALLOW},
                  {LAYER_NEVER, PROGRAM_DENY},
                  {LAYER_ALLOW, PROGRAM_ALLOW}};
    bool suspect = ((k->flags >> PAIR_SUSPECT_SHIFT) & 3) != SUSPECT_NONE;

    for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
        uint32_t rule = find_match(k, layers[i].layer, f);

        if (rule != TABLE_NONE)
            return (struct value){layers[i].word, layers[i].layer,
                                  numbering_number(&k->c->names[KIND_RULE], rule)};
    }
    return suspect ? (struct value){PROGRAM_DENY, LAYER_QUARANTINE, 0}
                   : (struct value){PROGRAM_DEFAULT, LAYER_DEFAULT, 0};
}

/* ---- what has to be tried ---- */

static void add_once(struct list *l, uint32_t x)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i] == x)
            return;
    list_add(l, x);
}

static void add_view(struct list *l, struct list_view v)
{
    for (uint32_t i = 0; i < v.n; i++)
        add_once(l, v.items[i]);
}

struct functions_seen {
    bool any; /* Else 'is' was not cleared: few services have functions. */
    bool is[MODEL_MAX_MODBUS + 1];
};

static void see_function(struct functions_seen *seen, uint32_t function)
{
    if (!seen->any)
        memset(seen->is, 0, sizeof seen->is);
    seen->any = true;
    seen->is[function] = true;
}

static void add_match(struct work *k, uint32_t item, bool except, struct functions_seen *seen)
{
    const struct object *o = object_of(k, item);
    const struct list *users = &k->c->rules[rule_of(item)].users[except];
    struct list_view services = rule_span(o->words, except, SPAN_SERVICE);

    for (uint32_t i = 0; i < services.n; i++) {
        const uint32_t *w = k->c->objects[KIND_SERVICE][services.items[i]].words;
        const uint32_t *functions = w ? w + 1 + (size_t)w[0] * PORT_WORDS : NULL;

        for (uint32_t f = 0; w && f < functions[0]; f++)
            see_function(seen, functions[1 + f]);
    }
    add_view(is_out(k) ? &k->own_processes : &k->other_processes,
             rule_span(o->words, except, SPAN_PROCESS));
    add_view(is_out(k) ? &k->other_processes : &k->own_processes,
             rule_span(o->words, except, SPAN_SERVED_BY));
    add_view(is_out(k) ? &k->own_users : &k->other_users,
             (struct list_view){users->items, (uint32_t)users->n});
}

static bool takes_service(const struct work *k, uint32_t item, uint32_t service)
{
    return !rule_span(object_of(k, item)->words, false, SPAN_SERVICE).n ||
           (service != ELSE && list_has(&k->c->rules[rule_of(item)].services[0], service));
}

static void start_with_else(struct list *l)
{
    l->n = 0;
    list_add(l, ELSE);
}

/* By number, so that the order in which rules came makes no difference. */
static void sort_rest(struct list *l, const struct numbering *n)
{
    for (size_t i = 2; i < l->n; i++) {
        uint32_t x = l->items[i];
        size_t at = i;

        while (at > 1 && numbering_number(n, l->items[at - 1]) > numbering_number(n, x)) {
            l->items[at] = l->items[at - 1];
            at--;
        }
        l->items[at] = x;
    }
}

/* One that nobody names stands for all such, and goes first. */
static void list_functions(struct work *k, const struct functions_seen *seen)
{
    int f = 1;

    while (seen->any && f <= MODEL_MAX_MODBUS && seen->is[f])
        f++;
    k->unnamed = f <= MODEL_MAX_MODBUS ? f : 0;
    if (k->unnamed)
        k->functions[k->n_functions++] = f;
    for (f = 1; seen->any && f <= MODEL_MAX_MODBUS; f++)
        if (seen->is[f])
            k->functions[k->n_functions++] = f;
}

/* Rules that do not take the service cannot tell anything apart here.  Lists begin with what no
 * rule names, so that among equal verdicts the unconditional one is kept. */
static void collect(struct work *k, uint32_t service)
{
    struct functions_seen seen;

    seen.any = false;
    k->rules.n = k->n_functions = 0;
    start_with_else(&k->own_processes);
    start_with_else(&k->own_users);
    start_with_else(&k->other_processes);
    start_with_else(&k->other_users);
    for (size_t i = 0; i < k->n_all; i++) {
        if (!takes_service(k, k->all[i], service))
            continue;
        list_add(&k->rules, k->all[i]);
        add_match(k, k->all[i], false, &seen);
        if (object_of(k, k->all[i])->words[RULE_HAS_EXCEPT])
            add_match(k, k->all[i], true, &seen);
    }
    sort_rest(&k->other_processes, &k->c->paths);
    sort_rest(&k->other_users, &k->c->user_classes);
    list_functions(k, &seen);
}

/* ---- entries ---- */

static int permissiveness(const struct value *v)
{
    return v->word == PROGRAM_ALLOW ? 2 : v->word == PROGRAM_DEFAULT ? 1 : 0;
}

/* The most permissive verdict over what others tell, for what this end knows. */
static struct value ask(const struct work *k, uint32_t service, uint32_t process, uint32_t user)
{
    bool out = is_out(k), first = true;
    struct value best = {.word = PROGRAM_DENY};

    for (size_t i = 0; i < k->other_processes.n; i++)
        for (size_t j = 0; j < k->other_users.n; j++)
            for (size_t m = 0; m < k->n_functions; m++) {
                uint32_t other = k->other_processes.items[i];
                const struct facts f = {.service = service,
                                        .process = out ? process : other,
                                        .served_by = out ? other : process,
                                        .user = out ? user : k->other_users.items[j],
                                        .function = k->functions[m]};
                struct value v = judge(k, &f);

                if (first || permissiveness(&v) > permissiveness(&best))
                    best = v;
                if (best.word == PROGRAM_ALLOW)
                    return best;
                first = false;
            }
    return best;
}

static bool same(const struct value *a, const struct value *b)
{
    return a->word == b->word && a->layer == b->layer && a->rule == b->rule;
}

static uint16_t number_of(const struct numbering *n, uint32_t handle)
{
    return handle == ELSE ? 0 : (uint16_t)numbering_number(n, handle);
}

static void emit(struct work *k, const struct value *v, uint32_t service, uint32_t process,
                 uint32_t user)
{
    GROW(k->entries, k->n, k->room);
    k->entries[k->n++] =
        (struct program_entry){.service = number_of(&k->c->service_classes, service),
                               .process = number_of(&k->c->paths, process),
                               .user = number_of(&k->c->user_classes, user),
                               .direction = is_out(k) ? DIRECTION_OUT : DIRECTION_IN,
                               .suspect = (k->flags >> PAIR_SUSPECT_SHIFT) & 3,
                               .word = (uint8_t)v->word,
                               .layer = (uint8_t)v->layer,
                               .rule = v->rule};
}

/* The entries of one service class that differ from its base; returns the base's refine bits.  The
 * kernel looks for (process, user), (process, 0), (0, user), base: what that finds anyway is left
 * out. */
static uint8_t refine(struct work *k, uint32_t service, const struct value *base)
{
    CLEANUP(free_voidp) void *memory = NULL;
    struct value *by_user;
    uint8_t bits = 0;

    if (k->own_users.n == 1 && k->own_processes.n == 1)
        return 0;
    memory = xcalloc(k->own_users.n, sizeof(struct value));
    by_user = memory;
    for (size_t u = 1; u < k->own_users.n; u++) {
        by_user[u] = ask(k, service, ELSE, k->own_users.items[u]);
        if (same(&by_user[u], base))
            continue;
        emit(k, &by_user[u], service, ELSE, k->own_users.items[u]);
        bits |= REFINE_USER;
    }
    for (size_t p = 1; p < k->own_processes.n; p++) {
        uint32_t process = k->own_processes.items[p];
        struct value alone = ask(k, service, process, ELSE);

        if (!same(&alone, base)) {
            emit(k, &alone, service, process, ELSE);
            bits |= REFINE_PROCESS;
        }
        for (size_t u = 1; u < k->own_users.n; u++) {
            struct value v = ask(k, service, process, k->own_users.items[u]);
            const struct value *found = !same(&alone, base)        ? &alone
                                        : !same(&by_user[u], base) ? &by_user[u]
                                                                   : base;

            if (same(&v, found))
                continue;
            emit(k, &v, service, process, k->own_users.items[u]);
            bits |= REFINE_PROCESS | REFINE_USER;
        }
    }
    return bits;
}

/* The most permissive verdict on one function, over everything but it. */
static struct value ask_function(const struct work *k, uint32_t service, int function)
{
    struct value best = {.word = PROGRAM_DENY};
    struct work narrow = *k; /* Borrows its lists. */

    narrow.functions[0] = function;
    narrow.n_functions = 1;
    for (size_t p = 0; p < k->own_processes.n; p++)
        for (size_t u = 0; u < k->own_users.n; u++) {
            struct value v =
                ask(&narrow, service, k->own_processes.items[p], k->own_users.items[u]);

            if ((p == 0 && u == 0) || permissiveness(&v) > permissiveness(&best))
                best = v;
        }
    return best;
}

static void emit_function(struct work *k, const struct value *v, uint32_t service, int function)
{
    emit(k, v, service, ELSE, ELSE);
    k->entries[k->n - 1].process = (uint16_t)(PROGRAM_FUNCTION | function);
}

/* An edge of its own tells functions apart: one entry for each that differs from "any other". */
static uint8_t refine_functions(struct work *k, uint32_t service)
{
    struct value other = {.word = PROGRAM_DEFAULT, .layer = LAYER_DEFAULT};
    size_t before = k->n;

    if (k->n_functions < 2 ||
        !has_enforcer(k, is_out(k) ? PAIR_FROM_SHIFT : PAIR_TO_SHIFT, IDENTITY_EDGE))
        return 0;
    sort_rest(&k->own_processes, &k->c->paths); /* As collect() does with the other end's. */
    sort_rest(&k->own_users, &k->c->user_classes);
    if (k->unnamed)
        other = ask_function(k, service, k->unnamed);
    for (size_t m = 0; m < k->n_functions; m++) {
        struct value v = ask_function(k, service, k->functions[m]);

        if (!same(&v, &other))
            emit_function(k, &v, service, k->functions[m]);
    }
    if (k->n == before)
        return 0;
    emit_function(k, &other, service, 0);
    return REFINE_FUNCTION;
}

/* What program_judge() says where it finds nothing. */
static bool is_nothing(const struct value *v)
{
    return v->word == PROGRAM_DEFAULT || (v->word == PROGRAM_DENY && v->layer == LAYER_QUARANTINE);
}

static void work_out(struct work *k)
{
    struct value otherwise = {.word = PROGRAM_DEFAULT}; /* Of class 0. */
    bool otherwise_refined = false;

    start_with_else(&k->services);
    for (size_t i = 0; i < k->n_all; i++)
        for (int except = 0; except < 2; except++) {
            const struct list *l = &k->c->rules[rule_of(k->all[i])].services[except];

            add_view(&k->services, (struct list_view){l->items, (uint32_t)l->n});
        }
    for (size_t s = 0; s < k->services.n; s++) {
        uint32_t service = k->services.items[s];
        struct value base;
        uint8_t bits;

        collect(k, service);
        base = ask(k, service, ELSE, ELSE);
        bits = refine(k, service, &base);
        bits = (uint8_t)(bits | refine_functions(k, service));
        if (s == 0) {
            otherwise = base;
            otherwise_refined = bits != 0;
        }
        if (!bits && ((s == 0 && is_nothing(&base)) ||
                      (s > 0 && !otherwise_refined && same(&base, &otherwise))))
            continue;
        emit(k, &base, service, ELSE, ELSE);
        k->entries[k->n - 1].refine = bits;
    }
}

/* ---- what was worked out already ---- */

struct wanted {
    const uint64_t *key;
    size_t n;
};

static bool is_wanted(const void *context, uint32_t number, const void *key)
{
    const struct template *t = &((const struct compiled *)context)->templates.items[number];
    const struct wanted *w = key;

    return t->n_key == w->n && memcmp(t->key, w->key, w->n * sizeof *w->key) == 0;
}

void pair_forget(struct compiled *c)
{
    for (size_t i = 0; i < c->templates.n; i++) {
        free(c->templates.items[i].key);
        free(c->templates.items[i].entries);
    }
    free(c->templates.items);
    table_done(&c->templates.index);
    c->templates = (struct template_table){.items = NULL};
}

static void keep(struct compiled *c, struct work *k, uint64_t *key, uint32_t hash)
{
    struct template_table *t = &c->templates;

    GROW(t->items, t->n, t->room);
    t->items[t->n] =
        (struct template){.key = key,
                          .n_key = k->n_all + 1,
                          .entries = xreallocarray(k->entries, k->n, sizeof *k->entries),
                          .n_entries = k->n};
    t->entries += k->n;
    table_add(&t->index, hash, (uint32_t)t->n++);
}

const struct template *pair_template(struct compiled *c, const uint32_t rules[], size_t n_rules,
                                     uint8_t flags)
{
    CLEANUP(free_voidp) uint64_t *key = xreallocarray(NULL, n_rules + 1, sizeof *key);
    struct work k = {.c = c, .all = rules, .n_all = n_rules, .flags = flags};
    const struct wanted w = {key, n_rules + 1};
    uint32_t hash, number;

    key[0] = flags;
    for (size_t i = 0; i < n_rules; i++)
        key[1 + i] = c->rules[rule_of(rules[i])].stamp << 1 | ((rules[i] & PAIR_EXCEPT) != 0);
    hash = table_hash(key, (n_rules + 1) * sizeof *key, 0);
    number = table_find(&c->templates.index, hash, is_wanted, c, &w);
    if (number != TABLE_NONE)
        return &c->templates.items[number];
    if (c->templates.n >= MAX_TEMPLATES || c->templates.entries >= MAX_TEMPLATE_ENTRIES)
        pair_forget(c);
    work_out(&k);
    keep(c, &k, TAKE_PTR(key), hash);
    free(k.rules.items);
    free(k.services.items);
    free(k.own_processes.items);
    free(k.own_users.items);
    free(k.other_processes.items);
    free(k.other_users.items);
    return &c->templates.items[c->templates.n - 1];
}
