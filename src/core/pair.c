/* SPDX-License-Identifier: Apache-2.0 */
/* Representatives instead of algebra: the verdict itself is asked; see pair.h. */
#include "core/pair.h"

#include "core/model.h"

/* No path and no name is written like this: a known one that no rule names. */
#define SOMETHING_ELSE "?"

struct values { /* Things to try. */
    struct class_value *items;
    size_t n, room;
};

struct work { /* One service class of a pair. */
    const struct pair *pair;
    const struct rule **rules; /* Those of the pair that take this service. */
    size_t n_rules;
    struct values own_processes, own_users;
    struct values other_processes, other_users; /* At the other end. */
    int functions[MODEL_MAX_MODBUS + 2];
    size_t n_functions;
};

struct value {
    enum program_word word;
    enum layer layer;
    uint32_t rule;
};

static void add(struct values *v, struct class_value x)
{
    GROW(v->items, v->n, v->room);
    v->items[v->n++] = x;
}

static bool has_class(const struct values *v, uint16_t class)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].class == class)
            return true;
    return false;
}

static void add_programs(const struct work *k, struct values *v, const char **list, size_t n)
{
    const struct classes *c = k->pair->classes;

    for (size_t i = 0; i < n; i++) {
        uint16_t class = c->process_class(c->context, list[i]);

        if (!has_class(v, class))
            add(v, (struct class_value){.class = class, .name = list[i]});
    }
}

static bool names_user(const struct world *w, const struct match *m, const char *name)
{
    for (size_t i = 0; i < m->n_users; i++) {
        const struct user_ref *ref = &m->users[i];
        const struct user *u = ref->is_group ? inventory_user(w->inventory, name) : NULL;

        if (!ref->is_group && strcmp(ref->name, name) == 0)
            return true;
        for (size_t g = 0; u && g < u->n_groups; g++)
            if (strcmp(u->groups[g], ref->name) == 0)
                return true;
    }
    return false;
}

static void add_users(const struct work *k, struct values *v, const struct match *m)
{
    const struct classes *c = k->pair->classes;

    for (size_t i = 0; m->n_users && i < c->n_users; i++)
        if (!has_class(v, c->users[i].class) && names_user(k->pair->w, m, c->users[i].name))
            add(v, c->users[i]);
}

static void add_services(const struct pair *pair, struct values *v, const struct match *m)
{
    const struct classes *c = pair->classes;

    for (size_t i = 0; m->n_services && i < c->n_services; i++)
        if (services_take_port(pair->w->policy, m->services, m->n_services, c->services[i].protocol,
                               c->services[i].port) &&
            !has_class(v, c->services[i].class))
            add(v, c->services[i]);
}

static void add_functions(const struct work *k, bool seen[MODEL_MAX_MODBUS + 1],
                          const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &k->pair->w->policy->services[m->services[i]];

        for (size_t f = 0; f < s->n_modbus; f++)
            seen[s->modbus[f]] = true;
    }
}

static void add_match(struct work *k, const struct match *m, bool seen[MODEL_MAX_MODBUS + 1])
{
    bool out = k->pair->direction == DIRECTION_OUT;

    add_functions(k, seen, m);
    add_programs(k, out ? &k->own_processes : &k->other_processes, m->processes, m->n_processes);
    add_programs(k, out ? &k->other_processes : &k->own_processes, m->served_by, m->n_served_by);
    add_users(k, out ? &k->own_users : &k->other_users, m);
}

/* Rules that do not take the service cannot tell anything apart here; leaving them out keeps a pair
 * with many rules, each for its own service and program, from growing with their product. */
static void take_service(struct work *k, const struct class_value *service)
{
    const struct pair *p = k->pair;

    k->n_rules = 0;
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct match *m = &p->rules[i]->match;

        if (services_take_port(p->w->policy, m->services, m->n_services, service->protocol,
                               service->port))
            k->rules[k->n_rules++] = p->rules[i];
    }
}

/* Lists begin with what no rule names, so that among equal verdicts the unconditional one is kept.
 */
static void collect(struct work *k)
{
    const struct class_value other = {.name = SOMETHING_ELSE};
    bool seen[MODEL_MAX_MODBUS + 1] = {false};
    int unnamed = -1;

    k->own_processes.n = k->own_users.n = k->other_processes.n = k->other_users.n = 0;
    k->n_functions = 0;
    add(&k->own_processes, other);
    add(&k->own_users, other);
    add(&k->other_processes, other);
    add(&k->other_users, other);
    for (size_t i = 0; i < k->n_rules; i++) {
        add_match(k, &k->rules[i]->match, seen);
        if (k->rules[i]->except)
            add_match(k, k->rules[i]->except, seen);
    }
    for (int f = 1; f <= MODEL_MAX_MODBUS && unnamed < 0; f++)
        if (!seen[f])
            unnamed = f;
    if (unnamed > 0)
        k->functions[k->n_functions++] = unnamed;
    for (int f = 1; f <= MODEL_MAX_MODBUS; f++)
        if (seen[f])
            k->functions[k->n_functions++] = f;
}

static void forget(struct work *k)
{
    free(k->rules);
    free(k->own_processes.items);
    free(k->own_users.items);
    free(k->other_processes.items);
    free(k->other_users.items);
}

static struct value value_of(const struct work *k, const struct verdict_answer *a)
{
    struct value v = {PROGRAM_DEFAULT, a->layer, 0};

    if (a->rule)
        v.rule = k->pair->classes->rule_numbers[a->rule->index];
    if (a->verdict == VERDICT_ALLOW)
        v.word = PROGRAM_ALLOW;
    else if (a->layer != LAYER_DEFAULT)
        v.word = PROGRAM_DENY;
    return v;
}

static int permissiveness(const struct value *v)
{
    return v->word == PROGRAM_ALLOW ? 2 : v->word == PROGRAM_DEFAULT ? 1 : 0;
}

/* The most permissive verdict over what others tell, for what this end knows. */
static struct value ask(const struct work *k, const struct class_value *service,
                        const struct class_value *process, const struct class_value *user)
{
    const struct pair *p = k->pair;
    bool out = p->direction == DIRECTION_OUT, first = true;
    struct verdict_facts f = {.protocol = service->protocol, .port = service->port};
    struct value best = {.word = PROGRAM_DENY};

    for (size_t i = 0; i < k->other_processes.n; i++)
        for (size_t j = 0; j < k->other_users.n; j++)
            for (size_t m = 0; m < k->n_functions; m++) {
                const char *other = k->other_processes.items[i].name;
                struct verdict_answer a;
                struct value v;

                f.process = out ? process->name : other;
                f.served_by = out ? other : process->name;
                f.user = out ? user->name : k->other_users.items[j].name;
                f.modbus = k->functions[m];
                a = verdict_judge(p->w, p->from, p->to, &f, k->rules, k->n_rules);
                v = value_of(k, &a);
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

static void emit(const struct work *k, struct entries *to, const struct value *v, uint16_t service,
                 uint16_t process, uint16_t user)
{
    GROW(to->items, to->n, to->room);
    to->items[to->n++] = (struct program_entry){.remote = k->pair->remote,
                                                .service = service,
                                                .process = process,
                                                .user = user,
                                                .direction = (uint8_t)k->pair->direction,
                                                .suspect = (uint8_t)k->pair->suspect,
                                                .word = (uint8_t)v->word,
                                                .layer = (uint8_t)v->layer,
                                                .rule = v->rule};
}

/* The entries of one service class that differ from its base; returns the base's refine bits.  The
 * kernel looks for (process, user), (process, 0), (0, user), base: what that finds anyway is left
 * out. */
static uint8_t refine(const struct work *k, const struct class_value *service,
                      const struct value *base, struct entries *to)
{
    CLEANUP(free_voidp) void *memory = xcalloc(k->own_users.n, sizeof(struct value));
    struct value *by_user = memory;
    uint8_t bits = 0;

    for (size_t u = 1; u < k->own_users.n; u++) {
        by_user[u] = ask(k, service, &k->own_processes.items[0], &k->own_users.items[u]);
        if (same(&by_user[u], base))
            continue;
        emit(k, to, &by_user[u], service->class, 0, k->own_users.items[u].class);
        bits |= REFINE_USER;
    }
    for (size_t p = 1; p < k->own_processes.n; p++) {
        const struct class_value *process = &k->own_processes.items[p];
        struct value alone = ask(k, service, process, &k->own_users.items[0]);

        if (!same(&alone, base)) {
            emit(k, to, &alone, service->class, process->class, 0);
            bits |= REFINE_PROCESS;
        }
        for (size_t u = 1; u < k->own_users.n; u++) {
            struct value v = ask(k, service, process, &k->own_users.items[u]);
            const struct value *found = !same(&alone, base)        ? &alone
                                        : !same(&by_user[u], base) ? &by_user[u]
                                                                   : base;

            if (same(&v, found))
                continue;
            emit(k, to, &v, service->class, process->class, k->own_users.items[u].class);
            bits |= REFINE_PROCESS | REFINE_USER;
        }
    }
    return bits;
}

/* What program_judge() says where it finds nothing. */
static bool is_nothing(const struct value *v)
{
    return v->word == PROGRAM_DEFAULT || (v->word == PROGRAM_DENY && v->layer == LAYER_QUARANTINE);
}

void pair_compile(const struct pair *pair, struct entries *to)
{
    struct work k = {.pair = pair, .rules = xcalloc(pair->n_rules, sizeof(struct rule *))};
    struct values services = {.n = 0};
    struct value otherwise = {.word = PROGRAM_DEFAULT}; /* Of class 0. */
    bool otherwise_refined = false;

    add(&services, (struct class_value){.class = 0});
    for (size_t i = 0; i < pair->n_rules; i++) {
        add_services(pair, &services, &pair->rules[i]->match);
        if (pair->rules[i]->except)
            add_services(pair, &services, pair->rules[i]->except);
    }
    for (size_t s = 0; s < services.n; s++) {
        const struct class_value *service = &services.items[s];
        struct value base;
        uint8_t bits;

        take_service(&k, service);
        collect(&k);
        base = ask(&k, service, &k.own_processes.items[0], &k.own_users.items[0]);
        bits = refine(&k, service, &base, to);

        if (s == 0) {
            otherwise = base;
            otherwise_refined = bits != 0;
        }
        if (!bits && ((s == 0 && is_nothing(&base)) ||
                      (s > 0 && !otherwise_refined && same(&base, &otherwise))))
            continue;
        emit(&k, to, &base, service->class, 0, 0);
        to->items[to->n - 1].refine = bits;
    }
    forget(&k);
    free(services.items);
}
