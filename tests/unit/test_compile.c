/* SPDX-License-Identifier: Apache-2.0 */
/* What core/compile.h promises of changes: the same bytes as compiling everything again.
 *
 * A small world whose every object has a random definition is changed step by step.  One compiled
 * policy is changed with it; another is compiled anew at each step, with the former one's numbers.
 * The programs of all endpoints must be equal, and each delta must turn an old program into the
 * present one. */
#include "core/compile.h"

#include <errno.h>
#include <stdio.h>

#include "base/date.h"
#include "text/policy.h"
#include "text/report.h"
#include "unit/test.h"
#include "wire/agent_shared.h"
#include "wire/records.h"

enum { ENDPOINTS = 10, GROUPS = 8, SERVICES = 6, USERS = 4, RULES = 12, TEXT = 400, BACK = 4 };
enum { COMMITS = 4000, SHARED_ADDRESSES = 4 };

enum thing { ENDPOINT, GROUP, SERVICE, USER, RULE, N_THINGS };
static const int how_many[N_THINGS] = {ENDPOINTS, GROUPS, SERVICES, USERS, RULES};

struct object_text {
    bool present;
    char text[TEXT]; /* Behind the name, as YAML. */
};

struct toy { /* The world as texts. */
    struct object_text things[N_THINGS][RULES];
    int owner[SHARED_ADDRESSES]; /* Which endpoint has this address; -1: none. */
    char modes[TEXT];
    int day; /* Of November 2026. */
};

struct parsed {
    struct policy *policy;
    struct inventory *inventory;
};

static uint64_t state = 7;

static uint32_t pick(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

static const char *one_of(const char *const list[], uint32_t n)
{
    return list[pick(n)];
}
#define ONE_OF(list) one_of((list), ARRAY_SIZE(list))

/* ---- random definitions ---- */

static const char *const values[] = {"x", "y", "z"};
static const char *const group_refs[] = {"g0", "g1", "g2", "g3", "g4", "g5", "g6", "any"};
static const char *const services[] = {"s0", "s1", "s2", "s3", "tcp/100", "udp/5-9", "icmp/echo"};

static void define_endpoint(struct toy *t, int i)
{
    static const char *const enforcers[] = {"host", "host", "host", "host, edge",
                                            "edge", "nft",  ""};
    static const char *const states[] = {"white", "white", "white", "grey", "black"};
    struct object_text *o = &t->things[ENDPOINT][i];
    int n = snprintf(o->text, TEXT,
                     "labels: {a: %s, b: %s}, enforcers: [%s], state: %s, addresses: [10.0.0.%d",
                     ONE_OF(values), ONE_OF(values), ONE_OF(enforcers), ONE_OF(states), i + 1);

    for (int k = 0; k < SHARED_ADDRESSES; k++) {
        if (t->owner[k] == i && pick(2))
            t->owner[k] = -1;
        else if (t->owner[k] == -1 && pick(4) == 0 && o->present)
            t->owner[k] = i;
        if (t->owner[k] == i)
            n += snprintf(o->text + n, TEXT - (size_t)n, ", 192.0.2.%d", k + 1);
    }
    (void)snprintf(o->text + n, TEXT - (size_t)n, "]");
}

static void define_group(struct toy *t, int i)
{
    char *to = t->things[GROUP][i].text;
    int n;

    if (i == 6) { /* 192.0.2.1 may be an endpoint's address, too. */
        static const char *const outside[] = {"true", "[192.0.2.0/24]",
                                              "[192.0.2.1, 198.51.100.0/24]"};

        (void)snprintf(to, TEXT, "outside: %s", ONE_OF(outside));
    } else if (i >= 4) {
        n = snprintf(to, TEXT, "members: [e%u", pick(ENDPOINTS));
        for (uint32_t k = 0, more = pick(4); k < more; k++)
            n += snprintf(to + n, TEXT - (size_t)n, ", e%u", pick(ENDPOINTS));
        (void)snprintf(to + n, TEXT - (size_t)n, "]");
    } else if (pick(3)) {
        (void)snprintf(to, TEXT, "match: {%s: %s}", pick(2) ? "a" : "b", ONE_OF(values));
    } else {
        (void)snprintf(to, TEXT, "match: {a: [%s, %s], b: %s}", ONE_OF(values), ONE_OF(values),
                       ONE_OF(values));
    }
}

static void define_service(struct toy *t, int i)
{
    char *to = t->things[SERVICE][i].text;
    unsigned low = 90 + pick(20);
    int n = snprintf(to, TEXT, "ports: [tcp/%u", low);

    if (pick(2))
        n += snprintf(to + n, TEXT - (size_t)n, "-%u", low + pick(20));
    if (pick(3) == 0)
        n += snprintf(to + n, TEXT - (size_t)n, ", udp/%u-%u", 1 + pick(8), 9 + pick(4));
    if (pick(3) == 0)
        n += snprintf(to + n, TEXT - (size_t)n, ", tcp/%u", 90 + pick(40));
    n += snprintf(to + n, TEXT - (size_t)n, "]");
    if (pick(4) == 0)
        (void)snprintf(to + n, TEXT - (size_t)n, ", modbus: [%u, %u]", 1 + pick(3), 4 + pick(3));
}

static void define_user(struct toy *t, int i)
{
    static const char *const groups[] = {"[]", "[ops]", "[dev]", "[ops, dev]"};

    (void)snprintf(t->things[USER][i].text, TEXT, "groups: %s", ONE_OF(groups));
}

static int add_field(char *to, int n, const char *name, const char *value, const char *other)
{
    n += snprintf(to + n, TEXT - (size_t)n, ", %s: [\"%s\"", name, value);
    if (other && strcmp(other, value) != 0)
        n += snprintf(to + n, TEXT - (size_t)n, ", \"%s\"", other);
    return n + snprintf(to + n, TEXT - (size_t)n, "]");
}

static int add_fields(char *to, int n, bool served_by)
{
    static const char *const programs[] = {"/p/a", "/p/b", "/p/c"};
    static const char *const users[] = {"u0", "u1", "@ops", "@dev", "stranger"};

    if (pick(4))
        n = add_field(to, n, "from", ONE_OF(group_refs), pick(2) ? ONE_OF(group_refs) : NULL);
    if (pick(4))
        n = add_field(to, n, "to", ONE_OF(group_refs), pick(2) ? ONE_OF(group_refs) : NULL);
    if (pick(4))
        n = add_field(to, n, "service", ONE_OF(services), pick(2) ? ONE_OF(services) : NULL);
    if (pick(4) == 0)
        n = add_field(to, n, "process", ONE_OF(programs), pick(2) ? ONE_OF(programs) : NULL);
    if (pick(5) == 0)
        n = add_field(to, n, "user", ONE_OF(users), pick(2) ? ONE_OF(users) : NULL);
    if (served_by && pick(6) == 0)
        n = add_field(to, n, "served-by", ONE_OF(programs), NULL);
    return n;
}

/* The first letter says the layer: 'q', 'n' or 'a'. */
static void define_rule(struct toy *t, int i)
{
    static const char letters[] = "qnnaaaaa";
    char *to = t->things[RULE][i].text, except[TEXT];
    char layer = letters[pick(8)];
    int n = snprintf(to, TEXT, "%cwhy: w, owner: o", layer);

    if (layer == 'q') {
        n = add_field(to, n, pick(2) ? "from" : "to", ONE_OF(group_refs), NULL);
        if (pick(2))
            n = add_field(to, n, "service", ONE_OF(services), NULL);
    } else {
        n = add_fields(to, n, layer == 'a');
    }
    if (layer == 'n' && pick(2) && add_fields(except, 0, false) > 0)
        n += snprintf(to + n, TEXT - (size_t)n, ", except: {%s}", except + 2);
    if (pick(4) == 0)
        n += snprintf(to + n, TEXT - (size_t)n, ", accept-weaker: reason");
    if (pick(3) == 0)
        (void)snprintf(to + n, TEXT - (size_t)n, ", expires: 2026-11-%02u", 10 + pick(18));
}

static void (*const define[N_THINGS])(struct toy *, int) = {
    define_endpoint, define_group, define_service, define_user, define_rule};

static void define_modes(struct toy *t)
{
    static const char *const modes[] = {"learn", "test", "enforce"};

    (void)snprintf(t->modes, TEXT, "{default: %s, g%u: %s, g%u: %s}", ONE_OF(modes), pick(3),
                   ONE_OF(modes), 3 + pick(3), ONE_OF(modes));
}

/* ---- text, parsed ---- */

static const char letters[N_THINGS] = {'e', 'g', 's', 'u', 'r'};

static void write_things(const struct toy *t, struct buf *b, enum thing thing)
{
    for (int i = 0; i < how_many[thing]; i++)
        if (t->things[thing][i].present)
            buf_printf(b, "  %c%d: {%s}\n", letters[thing], i, t->things[thing][i].text);
}

static void write_layer(const struct toy *t, struct buf *b, const char *layer)
{
    buf_printf(b, "%s:\n", layer);
    for (int i = 0; i < RULES; i++)
        if (t->things[RULE][i].present && t->things[RULE][i].text[0] == layer[0])
            buf_printf(b, "  - {id: r%d, %s}\n", i, t->things[RULE][i].text + 1);
}

static void parse(const struct toy *t, struct parsed *to)
{
    CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT, report = BUF_INIT;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source sources[2];

    buf_puts(&policy, "suimitsu: 1\ngroups:\n");
    write_things(t, &policy, GROUP);
    buf_puts(&policy, "services:\n");
    write_things(t, &policy, SERVICE);
    write_layer(t, &policy, "quarantine");
    write_layer(t, &policy, "never");
    write_layer(t, &policy, "allow");
    buf_printf(&policy, "mode: %s\n", t->modes);
    buf_puts(&inventory, "suimitsu-inventory: 1\nendpoints:\n");
    write_things(t, &inventory, ENDPOINT);
    buf_puts(&inventory, "users:\n");
    write_things(t, &inventory, USER);
    sources[0] = (struct source){"policy.yaml", buf_str(&policy), policy.size};
    sources[1] = (struct source){"inventory.yaml", buf_str(&inventory), inventory.size};
    if (policy_read(&sources[0], 1, d, &to->policy) < 0 ||
        inventory_read(&sources[1], 1, d, &to->inventory) < 0) {
        report_text(&report, d, sources, 2);
        print_error("%s", buf_str(&report));
        fail();
    }
}

static void parsed_done(struct parsed *p)
{
    policy_free(p->policy);
    inventory_free(p->inventory);
    *p = (struct parsed){.policy = NULL};
}

/* ---- changing ---- */

struct touched {
    enum thing thing;
    int i;
};

static void put_inline_services(struct compiled *c, const struct policy *p)
{
    for (size_t i = p->n_named_services; i < p->n_services; i++)
        compiled_put_service(c, &p->services[i]);
}

static void put(struct compiled *c, const struct parsed *p, const struct toy *t,
                const struct touched *x)
{
    bool present = t->things[x->thing][x->i].present;
    char name[8];

    (void)snprintf(name, sizeof name, "%c%d", letters[x->thing], x->i);
    switch (x->thing) {
    case ENDPOINT:
        if (present)
            compiled_put_endpoint(c, inventory_endpoint(p->inventory, name));
        else
            (void)compiled_remove_endpoint(c, name);
        break;
    case GROUP:
        if (present)
            compiled_put_group(c, policy_group(p->policy, name));
        else
            (void)compiled_remove_group(c, name);
        break;
    case SERVICE:
        if (present)
            compiled_put_service(c, policy_service(p->policy, name));
        else
            (void)compiled_remove_service(c, name);
        break;
    case USER:
        if (present)
            compiled_put_user(c, inventory_user(p->inventory, name));
        else
            (void)compiled_remove_user(c, name);
        break;
    case RULE:
        put_inline_services(c, p->policy);
        if (present)
            compiled_put_rule(c, p->policy, policy_rule(p->policy, name));
        else
            (void)compiled_remove_rule(c, name);
        break;
    case N_THINGS:
        break;
    }
}

/* Groups g0 .. g6 and services s0 .. s3 are named by rules, so they stay. */
static bool may_go(enum thing thing, int i)
{
    return thing == GROUP ? i == 7 : thing == SERVICE ? i > 3 : true;
}

static void change_something(struct toy *t, struct touched *ret_x)
{
    enum thing thing = (enum thing)pick(N_THINGS);

    if (pick(2))
        thing = pick(3) ? RULE : ENDPOINT;
    *ret_x = (struct touched){thing, (int)pick((uint32_t)how_many[thing])};
    if (may_go(thing, ret_x->i) && pick(4) == 0)
        t->things[thing][ret_x->i].present ^= 1;
    define[thing](t, ret_x->i);
    for (int k = 0; thing == ENDPOINT && k < SHARED_ADDRESSES; k++)
        if (!t->things[ENDPOINT][ret_x->i].present && t->owner[k] == ret_x->i)
            t->owner[k] = -1;
}

static void start(struct toy *t)
{
    *t = (struct toy){.owner = {-1, -1, -1, -1}, .day = 15};
    for (int thing = 0; thing < N_THINGS; thing++)
        for (int i = 0; i < how_many[thing]; i++) {
            t->things[thing][i].present = true;
            define[thing](t, i);
        }
    define_modes(t);
}

/* ---- comparing ---- */

static void bytes_of(const struct program *p, struct buf *to)
{
    buf_reset(to);
    program_encode(p, to);
}

struct walk {
    struct toy toy;
    struct parsed parsed;
    struct compiled *changed, *whole;
    uint64_t revision;
    struct program *past[BACK][ENDPOINTS]; /* Of revision - 1 - index. */
    size_t n_deltas, n_stale, n_changes;
    struct kindred {
        uint64_t base;
        struct compiled_kin kin;
        struct agent_shared_delta first;
    } kindred[BACK * ENDPOINTS]; /* Of this commit. */
    size_t n_kindred, n_shared;
};

static struct program *program_of(struct compiled *c, int i)
{
    struct program *p = NULL;
    const char *what;
    char name[8];
    int r;

    (void)snprintf(name, sizeof name, "e%d", i);
    r = compiled_program(c, name, &p, &what);
    assert_true(r == 0 || r == -ENOENT);
    return p;
}

static void expect_same(const struct program *a, const struct program *b, const char *what, int i)
{
    CLEANUP(buf_done) struct buf x = BUF_INIT, y = BUF_INIT;

    bytes_of(a, &x);
    bytes_of(b, &y);
    if (x.size == y.size && memcmp(x.data, y.data, x.size) == 0)
        return;
    print_error("e%d: %s: %zu and %zu entries, %zu and %zu addresses, %zu and %zu services, "
                "%zu and %zu programs, %zu and %zu users, %zu and %zu rules\n",
                i, what, a->n_entries, b->n_entries, a->n_addresses, b->n_addresses, a->n_services,
                b->n_services, a->n_processes, b->n_processes, a->n_users, b->n_users, a->n_rules,
                b->n_rules);
    fail();
}

/* Kin have one delta, but for the name. */
static void check_kin(struct walk *w, const char *name, struct delta *d)
{
    const struct agent_delta told = {.delta = d};
    struct kindred new = {.base = d->base};

    if (!compiled_delta_kin(w->changed, name, d->base, &new.kin))
        return;
    assert_int_equal(new.kin.identity, d->put->identity);
    agent_share_delta(&told, &new.first);
    for (size_t i = 0; i < w->n_kindred; i++) {
        const struct kindred *k = &w->kindred[i];

        if (k->base != new.base || memcmp(&k->kin, &new.kin, sizeof new.kin) != 0)
            continue;
        assert_int_equal(k->first.put.size, new.first.put.size);
        assert_memory_equal(k->first.put.data, new.first.put.data, new.first.put.size);
        assert_int_equal(k->first.delta.size, new.first.delta.size);
        assert_memory_equal(k->first.delta.data, new.first.delta.data, new.first.delta.size);
        agent_shared_delta_done(&new.first);
        w->n_shared++;
        return;
    }
    w->kindred[w->n_kindred++] = new;
}

static void forget_kindred(struct walk *w)
{
    while (w->n_kindred)
        agent_shared_delta_done(&w->kindred[--w->n_kindred].first);
}

static void check_deltas(struct walk *w, int i, const struct program *now)
{
    char name[8];

    (void)snprintf(name, sizeof name, "e%d", i);
    for (int k = 0; k < BACK; k++) {
        CLEANUP(program_freep) struct program *to = NULL;
        CLEANUP(delta_freep) struct delta *d = NULL;
        const struct program *from = w->past[k][i];
        const char *what = "";

        if (!from)
            break; /* It was not there: its agent knows no program. */
        if (compiled_delta(w->changed, name, from->revision, &d) < 0) {
            assert_true(k > 0); /* One step is always kept. */
            w->n_stale++;
            continue;
        }
        if (delta_apply(from, d, &to, &what) < 0) {
            print_error("e%d, %d back: %s\n", i, k + 1, what);
            fail();
        }
        expect_same(to, now, "the delta", i);
        check_kin(w, name, d);
        w->n_deltas++;
    }
}

static void check(struct walk *w)
{
    for (int i = 0; i < ENDPOINTS; i++) {
        CLEANUP(program_freep) struct program *whole = program_of(w->whole, i);
        struct program *now = program_of(w->changed, i);

        assert_int_equal(now != NULL, whole != NULL);
        assert_int_equal(now != NULL, w->toy.things[ENDPOINT][i].present);
        if (now) {
            expect_same(now, whole, "the changed and the whole", i);
            check_deltas(w, i, now);
        }
        program_free(w->past[BACK - 1][i]);
        for (int k = BACK - 1; k > 0; k--)
            w->past[k][i] = w->past[k - 1][i];
        w->past[0][i] = now;
    }
    forget_kindred(w);
}

/* ---- the walk ---- */

static void commit(struct walk *w)
{
    struct compile_options options = {.revision = ++w->revision, .previous = w->whole};
    struct compiled *next;
    const char *what;

    options.now_s = 1793491200 + (int64_t)w->toy.day * 86400; /* 2026-11-01, plus days. */
    if (w->revision > 1) {
        assert_int_equal(compiled_commit(w->changed, w->revision, options.now_s, &what), 0);
    } else {
        assert_int_equal(
            compile(w->parsed.policy, w->parsed.inventory, &options, &w->changed, &what), 0);
    }
    assert_int_equal(compile(w->parsed.policy, w->parsed.inventory, &options, &next, &what), 0);
    compiled_free(w->whole);
    w->whole = next;
    check(w);
}

static void walk_on(struct walk *w)
{
    struct touched touched[4];
    uint32_t n = 1 + (pick(3) ? 0 : pick(4));
    bool modes = pick(12) == 0;

    for (uint32_t i = 0; i < n; i++)
        change_something(&w->toy, &touched[i]);
    if (modes)
        define_modes(&w->toy);
    if (pick(10) == 0)
        w->toy.day = 8 + (int)pick(22);
    w->n_changes += n + modes;
    parsed_done(&w->parsed);
    parse(&w->toy, &w->parsed);
    if (pick(15) == 0) {
        compiled_put_all(w->changed, w->parsed.policy, w->parsed.inventory);
    } else {
        for (uint32_t i = 0; i < n; i++)
            put(w->changed, &w->parsed, &w->toy, &touched[i]);
        compiled_set_modes(w->changed, w->parsed.policy);
    }
    commit(w);
}

static void ten_thousand_changes_give_the_same_bytes_as_compiling_again(void **context)
{
    struct walk w = {.revision = 0};

    (void)context;
    start(&w.toy);
    parse(&w.toy, &w.parsed);
    commit(&w);
    for (int i = 0; i < COMMITS || w.n_changes < 10000; i++)
        walk_on(&w);
    print_message("%zu changes, %zu deltas applied, %zu as another's, %zu too old\n", w.n_changes,
                  w.n_deltas, w.n_shared, w.n_stale);
    assert_true(w.n_shared > 1000);
    assert_true(w.n_deltas > 10 * w.n_stale); /* Who moved some steps ago gets a snapshot. */
    for (int k = 0; k < BACK; k++)
        for (int i = 0; i < ENDPOINTS; i++)
            program_free(w.past[k][i]);
    compiled_free(w.changed);
    compiled_free(w.whole);
    parsed_done(&w.parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_changes_give_the_same_bytes_as_compiling_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
