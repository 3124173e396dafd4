/* SPDX-License-Identifier: Apache-2.0 */
/* verdict() and compiled programs against the naive evaluator, and promises of lint.h. */
#include "core/verdict.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "core/compile.h"
#include "core/edge_view.h"
#include "core/lint.h"
#include "text/policy.h"
#include "text/port.h"
#include "text/report.h"
#include "unit/naive.h"
#include "unit/test.h"

#ifdef __SANITIZE_ADDRESS__
enum { POLICIES = 1500, QUERIES = 300, PLACED_POLICIES = 150, PLACED_QUERIES = 60 };
#else
enum { POLICIES = 1500, QUERIES = 300, PLACED_POLICIES = 1000, PLACED_QUERIES = 120 };
#endif

static const char *const outside[] = {"203.0.113.5", "203.0.113.200", "198.51.100.7",
                                      "192.0.2.1",   "2001:db8::5",   "2001:db9::5"};

struct setting {
    struct n_policy naive;
    struct buf policy_text, inventory_text;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
    struct compiled *compiled;
    struct program *programs[N_ENDPOINTS];
    bool crosses;
};

static bool has_code(const struct diagnostics *d, enum code code)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->items[i].code == code)
            return true;
    return false;
}

static void read_texts(struct setting *s, struct diagnostics *d)
{
    struct source sources[] = {
        {"policy.yaml", buf_str(&s->policy_text), s->policy_text.size},
        {"inventory.yaml", buf_str(&s->inventory_text), s->inventory_text.size}};
    struct buf b = BUF_INIT;

    if (policy_read(&sources[0], 1, d, &s->policy) < 0 ||
        inventory_read(&sources[1], 1, d, &s->inventory) < 0) {
        report_text(&b, d, sources, 2);
        print_error("%s", buf_str(&b));
        buf_done(&b);
        fail();
    }
}

static void build(struct setting *s, const struct compiled *previous)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct compile_options options = {.revision = 1, .previous = previous};
    const char *what = "";

    read_texts(s, d);
    assert_int_equal(date_parse_time("2026-11-22T23:59:59Z", &options.now_s), 0);
    s->world = world_new(s->policy, s->inventory, options.now_s);
    policy_lint(s->world, true, d);
    s->crosses = has_code(d, CODE_CROSS);
    assert_int_equal(compile(s->policy, s->inventory, &options, &s->compiled, &what), 0);
    for (int i = 0; i < N_ENDPOINTS; i++)
        if (compiled_program(s->compiled, s->naive.endpoints[i].name, &s->programs[i], &what) < 0) {
            print_error("%s\n", what);
            fail();
        }
}

static void tear_down(struct setting *s)
{
    for (int i = 0; i < N_ENDPOINTS; i++)
        program_free(s->programs[i]);
    compiled_free(s->compiled);
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
    buf_done(&s->policy_text);
    buf_done(&s->inventory_text);
}

static const char *pick_end(const struct n_policy *p)
{
    const struct n_endpoint *e = &p->endpoints[naive_random(N_ENDPOINTS)];
    uint32_t how = naive_random(8);

    if (how < 2)
        return outside[naive_random(6)];
    return how < 4 ? e->v4 : how < 6 ? e->v6 : e->name;
}

static struct n_query pick_query(const struct n_policy *p)
{
    static const char *const protocols[] = {"tcp", "tcp", "tcp", "tcp", "udp", "icmp", "gre"};
    static const int ports[] = {100, 101, 104, 105, 106, 108, 110, 99, 22};
    static const char *const programs[] = {"/p/a", "/p/b", "/p/z", NULL};
    static const char *const users[] = {"u1", "u2", "u3", "u4", "nobody", NULL};
    struct n_query q = {.from = pick_end(p), .to = pick_end(p)};

    q.protocol = protocols[naive_random(7)];
    q.port = strcmp(q.protocol, "icmp") == 0  ? (naive_random(3) ? 8 : 13)
             : strcmp(q.protocol, "gre") == 0 ? 0
                                              : ports[naive_random(9)];
    q.process = programs[naive_random(4)];
    q.served_by = programs[naive_random(4)];
    q.user = users[naive_random(6)];
    q.modbus = (int)naive_random(6) - 1;
    return q;
}

static void complain_about(const struct setting *s, const struct n_query *q, const char *found,
                           const char *wanted)
{
    print_error("%s", buf_str(&s->policy_text));
    print_error("%s", buf_str(&s->inventory_text));
    print_error("%s to %s by %s/%d process %s served_by %s user %s modbus %d: %s, not %s\n",
                q->from, q->to, q->protocol, q->port, q->process ? q->process : "-",
                q->served_by ? q->served_by : "-", q->user ? q->user : "-", q->modbus, found,
                wanted);
    fail();
}

static void check_verdict(const struct setting *s, const struct n_query *q,
                          const struct n_answer *expected)
{
    struct verdict_query query = {.from = q->from,
                                  .to = q->to,
                                  .port = (uint16_t)q->port,
                                  .process = q->process,
                                  .served_by = q->served_by,
                                  .user = q->user,
                                  .modbus = q->modbus};
    struct verdict_answer a;
    char found[100], wanted[100];
    const char *what;

    assert_int_equal(protocol_parse(q->protocol, &query.protocol), 0);
    assert_int_equal(verdict(s->world, &query, &a, &what), 0);
    (void)snprintf(found, sizeof(found), "%s %s %s %d", verdict_name(a.verdict),
                   layer_name(a.layer), a.rule ? a.rule->id : "", a.enforced);
    (void)snprintf(wanted, sizeof(wanted), "%s %s %s %d", expected->verdict, expected->layer,
                   expected->rule, expected->enforced);
    if (strcmp(found, wanted) != 0)
        complain_about(s, q, found, wanted);
}

/* ---- both ends ---- */

static struct address address_of(const char *text)
{
    struct address a = {.bytes = {0}};

    assert_int_equal(address_parse(text, &a), 0);
    return a;
}

/* Deny is stricter than would-deny, and that than allow. */
static int strictness(const struct program_answer *a)
{
    return a->verdict == VERDICT_DENY ? 2 : a->verdict == VERDICT_WOULD_DENY ? 1 : 0;
}

static struct program_answer ask_end(const struct setting *s, const struct n_endpoint *local,
                                     const struct n_query *q, enum direction direction)
{
    struct program_query pq = {.direction = direction, .port = (uint16_t)q->port};

    assert_int_equal(protocol_parse(q->protocol, &pq.protocol), 0);
    pq.remote = address_of(direction == DIRECTION_OUT ? q->to : q->from);
    pq.process = direction == DIRECTION_OUT ? q->process : q->served_by;
    pq.user = direction == DIRECTION_OUT ? q->user : NULL;
    return program_judge(s->programs[local - s->naive.endpoints], &pq);
}

/* The kernel at each end that has a host agent; the stricter decides.  Returns false when there is
 * none. */
static bool check_ends(const struct setting *s, struct n_query q, const struct n_answer *expected)
{
    const struct n_endpoint *from = naive_endpoint(&s->naive, q.from);
    const struct n_endpoint *to = naive_endpoint(&s->naive, q.to);
    bool source = from && from->host, destination = to && to->host;
    bool edge = (from && from->edge) || (to && to->edge);
    struct program_answer best = {.verdict = VERDICT_ALLOW}, in = best;
    const char *rule = "", *found;
    char text[100], wanted[100];
    bool both = source && destination;

    if (!source && !destination)
        return false;
    if (source)
        best = ask_end(s, from, &q, DIRECTION_OUT);
    if (destination)
        in = ask_end(s, to, &q, DIRECTION_IN);
    if (destination && (!source || strictness(&in) > strictness(&best) ||
                        (strictness(&in) == strictness(&best) && in.layer < best.layer)))
        best = in;
    if (best.rule)
        rule = s->programs[(source ? from : to) - s->naive.endpoints]->rules[best.rule - 1].id;
    found = verdict_name(best.verdict);
    if ((edge || s->crosses) && strcmp(expected->verdict, "allow") != 0)
        return false; /* What only an edge, or nobody, can tell. */
    (void)snprintf(text, sizeof(text), "%s %s %s", found, layer_name(best.layer), both ? "" : rule);
    (void)snprintf(wanted, sizeof(wanted), "%s %s %s", expected->verdict, expected->layer,
                   both ? "" : expected->rule);
    if ((edge || s->crosses) && strcmp(found, expected->verdict) == 0)
        return true;
    if (strcmp(text, wanted) != 0)
        complain_about(s, &q, text, wanted);
    return true;
}

/* At the ends, the query is by address, and agents always know program and user. */
static struct n_query as_packets_go(const struct n_policy *p, struct n_query q)
{
    const struct n_endpoint *from = naive_endpoint(p, q.from), *to = naive_endpoint(p, q.to);

    if (from && strcmp(q.from, from->name) == 0)
        q.from = from->v4;
    if (to && strcmp(q.to, to->name) == 0)
        q.to = to->v6;
    if (!q.process)
        q.process = "/p/z";
    if (!q.user)
        q.user = "nobody";
    return q;
}

static void verdict_and_both_ends_agree_with_the_naive_evaluator(void **state)
{
    (void)state;
    size_t judged = 0, at_ends = 0, words[3] = {0};

    for (int i = 0; i < POLICIES; i++) {
        struct setting s = {.policy_text = BUF_INIT};

        naive_make(&s.naive);
        naive_write(&s.naive, &s.policy_text, &s.inventory_text);
        build(&s, NULL);
        for (int k = 0; k < QUERIES; k++) {
            struct n_query q = pick_query(&s.naive), packet = as_packets_go(&s.naive, q);
            struct n_answer a = naive_judge(&s.naive, &q);

            check_verdict(&s, &q, &a);
            words[strcmp(a.verdict, "allow") == 0 ? 0 : strcmp(a.verdict, "deny") == 0 ? 1 : 2]++;
            a = naive_judge(&s.naive, &packet);
            at_ends += check_ends(&s, packet, &a);
            judged++;
        }
        tear_down(&s);
    }
    print_message("%zu queries, %zu of them at the ends; %zu allow, %zu deny, %zu would-deny\n",
                  judged, at_ends, words[0], words[1], words[2]);
    assert_true(judged >= 100000);
    assert_true(at_ends >= 100000);
    assert_true(words[0] > judged / 20 && words[1] > judged / 20 && words[2] > judged / 20);
}

/* ---- every enforcer at its place ---- */

static const char *const all_programs[] = {"/p/a", "/p/b", "/p/c", "/p/z"};
static const char *const all_users[] = {"u1", "u2", "u3", "nobody"}; /* One of each kind. */
static const int all_functions[] = {1, 2, 3, 9};

enum {
    A_PROGRAMS = ARRAY_SIZE(all_programs),
    A_USERS = ARRAY_SIZE(all_users),
    A_FUNCTIONS = ARRAY_SIZE(all_functions),
    PASSES = 2, /* How far a verdict lets through. */
    IS_REPORTED = 1,
};

/* What the naive evaluator says for each program, user, serving program and function. */
struct truths {
    uint8_t of[A_PROGRAMS][A_USERS][A_PROGRAMS][A_FUNCTIONS];
};

struct seen { /* Indexes; A_...: everything, since this place cannot tell. */
    size_t process, user, served_by, function;
};

static uint8_t permission(const char *verdict)
{
    return strcmp(verdict, "allow") == 0 ? PASSES : strcmp(verdict, "deny") == 0 ? 0 : IS_REPORTED;
}

static bool has_functions(const struct n_query *q)
{
    return strcmp(q->protocol, "tcp") == 0 && q->port >= 104 && q->port <= 106;
}

static void find_truths(const struct n_policy *p, struct n_query q, struct truths *t)
{
    bool functions = has_functions(&q);

    for (size_t i = 0; i < A_PROGRAMS * A_USERS * A_PROGRAMS * A_FUNCTIONS; i++) {
        size_t f = i % A_FUNCTIONS, served = i / A_FUNCTIONS % A_PROGRAMS;
        size_t user = i / A_FUNCTIONS / A_PROGRAMS % A_USERS;
        size_t process = i / A_FUNCTIONS / A_PROGRAMS / A_USERS;

        q.process = all_programs[process];
        q.user = all_users[user];
        q.served_by = all_programs[served];
        q.modbus = all_functions[f];
        t->of[process][user][served][f] = f && !functions ? t->of[process][user][served][0]
                                                          : permission(naive_judge(p, &q).verdict);
    }
}

static bool is_seen(size_t seen, size_t all, size_t i)
{
    return seen == all || seen == i;
}

/* The most permissive of all that a place cannot tell apart. */
static uint8_t most(const struct truths *t, const struct seen *s)
{
    uint8_t best = 0;

    for (size_t p = 0; p < A_PROGRAMS; p++)
        for (size_t u = 0; u < A_USERS; u++)
            for (size_t v = 0; v < A_PROGRAMS; v++)
                for (size_t f = 0; f < A_FUNCTIONS; f++)
                    if (is_seen(s->process, A_PROGRAMS, p) && is_seen(s->user, A_USERS, u) &&
                        is_seen(s->served_by, A_PROGRAMS, v) &&
                        is_seen(s->function, A_FUNCTIONS, f) && t->of[p][u][v][f] > best)
                        best = t->of[p][u][v][f];
    return best;
}

static void expect_permission(const struct setting *s, const struct n_query *q, const char *where,
                              uint8_t found, uint8_t wanted)
{
    char text[100];

    if (found == wanted)
        return;
    (void)snprintf(text, sizeof text, "%s: %u", where, found);
    complain_about(s, q, text, wanted == PASSES ? "allow" : wanted ? "would-deny" : "deny");
}

static uint8_t ask_view(const struct setting *s, const struct n_endpoint *local,
                        const struct n_query *q, enum direction direction)
{
    struct program_query pq = {.direction = direction, .port = (uint16_t)q->port};
    CLEANUP(program_freep)
    struct program *view = edge_view(s->programs[local - s->naive.endpoints]);

    assert_int_equal(protocol_parse(q->protocol, &pq.protocol), 0);
    pq.remote = address_of(direction == DIRECTION_OUT ? q->to : q->from);
    pq.function = local->edge ? (uint8_t)q->modbus : 0;
    return permission(verdict_name(program_judge(view, &pq).verdict));
}

struct place_counts {
    size_t agents, edges, both, whole;
};

/* The enforcers at one end: what each says, and the strictest of them. */
static uint8_t check_place(const struct setting *s, const struct n_endpoint *e,
                           const struct n_query *q, const struct truths *t,
                           const struct seen *packet, enum direction direction,
                           struct place_counts *n)
{
    struct seen agent = *packet, edge = {A_PROGRAMS, A_USERS, A_PROGRAMS, A_FUNCTIONS};
    uint8_t strictest = PASSES, found;

    agent.function = A_FUNCTIONS;
    if (direction == DIRECTION_OUT)
        agent.served_by = A_PROGRAMS;
    else
        agent.process = A_PROGRAMS, agent.user = A_USERS;
    if (e && e->host) {
        struct program_answer a = ask_end(s, e, q, direction);

        found = permission(verdict_name(a.verdict));
        expect_permission(s, q, "the agent", found, most(t, &agent));
        strictest = found;
        n->agents++;
    }
    if (e && (e->edge || e->nft)) { /* nftables knows names and ports, too. */
        if (e->edge)
            edge.function = packet->function;
        found = ask_view(s, e, q, direction);
        expect_permission(s, q, "the edge", found, most(t, &edge));
        n->both += e->host;
        n->edges++;
        strictest = found < strictest ? found : strictest;
    }
    return strictest;
}

static void check_places(const struct setting *s, const struct n_query *asked,
                         struct place_counts *n)
{
    struct seen packet = {naive_random(A_PROGRAMS), naive_random(A_USERS), naive_random(A_PROGRAMS),
                          naive_random(A_FUNCTIONS)};
    struct n_query q = as_packets_go(&s->naive, *asked);
    const struct n_endpoint *from = naive_endpoint(&s->naive, q.from);
    const struct n_endpoint *to = naive_endpoint(&s->naive, q.to);
    bool in_stream = has_functions(asked) && ((from && from->edge) || (to && to->edge));
    struct truths t;
    uint8_t out, in, wanted;

    q.process = all_programs[packet.process];
    q.user = all_users[packet.user];
    q.served_by = all_programs[packet.served_by];
    q.modbus = all_functions[packet.function];
    find_truths(&s->naive, q, &t);
    wanted = t.of[packet.process][packet.user][packet.served_by][packet.function];
    out = check_place(s, from, &q, &t, &packet, DIRECTION_OUT, n);
    in = check_place(s, to, &q, &t, &packet, DIRECTION_IN, n);
    if (!naive_judge(&s->naive, &q).enforced)
        return;
    if (s->crosses || in_stream) /* What no place can tell alone may pass. */
        assert_true((out < in ? out : in) >= wanted);
    else
        expect_permission(s, &q, "all places together", out < in ? out : in, wanted);
    n->whole += !s->crosses && !in_stream;
}

static void every_enforcer_says_the_most_permissive_of_what_others_have_to_tell(void **state)
{
    (void)state;
    struct place_counts n = {.agents = 0};

    for (int i = 0; i < PLACED_POLICIES; i++) {
        struct setting s = {.policy_text = BUF_INIT};

        naive_make(&s.naive);
        for (int k = 0; k < N_ENDPOINTS; k++) /* One in three has an agent and an edge. */
            s.naive.endpoints[k].edge |= s.naive.endpoints[k].host && naive_random(3) == 0;
        naive_write(&s.naive, &s.policy_text, &s.inventory_text);
        build(&s, NULL);
        for (int k = 0; k < PLACED_QUERIES; k++) {
            struct n_query q = pick_query(&s.naive);

            check_places(&s, &q, &n);
        }
        tear_down(&s);
    }
    print_message("%zu answers of agents, %zu of edges and the like, %zu where both stand, "
                  "%zu connections by all together\n",
                  n.agents, n.edges, n.both, n.whole);
    assert_true(n.agents > PLACED_POLICIES * PLACED_QUERIES / 2);
    assert_true(n.edges > PLACED_POLICIES * PLACED_QUERIES / 4);
    assert_true(n.both > PLACED_POLICIES * PLACED_QUERIES / 10);
    assert_true(n.whole > PLACED_POLICIES * PLACED_QUERIES / 10);
}

static void numbers_stay_when_the_policy_grows(void **state)
{
    (void)state;
    static const char inventory[] = "suimitsu-inventory: 1\n"
                                    "endpoints: {e0: {labels: {a: x}}, e1: {labels: {a: y}},"
                                    " e2: {}, e3: {}, e4: {}, e5: {}}\n";
    struct setting one = {.policy_text = BUF_INIT}, two = one;

    naive_make(&one.naive); /* Only for the names of its endpoints. */
    two.naive = one.naive;
    buf_puts(&one.policy_text, "suimitsu: 1\ngroups: {y: {match: {a: y}}}\n"
                               "allow: [{id: m, to: y, service: tcp/50, process: /m, user: u5,"
                               " why: w, owner: o}]\n");
    buf_puts(&two.policy_text, "suimitsu: 1\ngroups: {x: {match: {a: x}}, y: {match: {a: y}}}\n"
                               "allow:\n"
                               "  - {id: a, to: x, service: tcp/40, process: /a, user: u0, why: w,"
                               " owner: o}\n"
                               "  - {id: m, to: y, service: tcp/50, process: /m, user: u5, why: w,"
                               " owner: o}\n");
    buf_puts(&one.inventory_text, inventory);
    buf_puts(&two.inventory_text, inventory);
    build(&one, NULL);
    build(&two, one.compiled);
    assert_int_equal(compiled_identity(one.compiled, "e1"), compiled_identity(two.compiled, "e1"));
    assert_int_equal(compiled_identity(one.compiled, "e5"), compiled_identity(two.compiled, "e5"));
    assert_int_not_equal(compiled_identity(two.compiled, "e0"),
                         compiled_identity(two.compiled, "e5"));
    assert_string_equal(two.programs[0]->rules[0].id, "m");
    assert_int_equal(two.programs[0]->services[0].class, 2); /* tcp/40 is new. */
    assert_int_equal(two.programs[0]->services[1].class, one.programs[0]->services[0].class);
    assert_int_equal(two.programs[0]->processes[1].class, one.programs[0]->processes[0].class);
    assert_int_equal(two.programs[0]->users[1].class, one.programs[0]->users[0].class);
    tear_down(&two);
    tear_down(&one);
}

/* 400 rules for any to any, each with its own service, program and user: their product would be 64
 * million questions for each pair; in time this is a fraction of a second. */
static void many_rules_of_one_pair_do_not_multiply(void **state)
{
    (void)state;
    struct setting s = {.policy_text = BUF_INIT};

    naive_make(&s.naive); /* Only for the names of its endpoints. */
    buf_puts(&s.policy_text, "suimitsu: 1\nallow:\n");
    for (int i = 0; i < 400; i++)
        buf_printf(&s.policy_text,
                   "  - {id: r%d, service: tcp/%d, process: /p/%d, user: u%d, accept-weaker: x,"
                   " why: w, owner: o}\n",
                   i, 1000 + i, i, i);
    buf_puts(&s.inventory_text, "suimitsu-inventory: 1\nendpoints: {e0: {enforcers: host},"
                                " e1: {}, e2: {}, e3: {}, e4: {}, e5: {}}\n");
    build(&s, NULL);
    assert_int_equal(s.programs[0]->n_services, 400);
    assert_in_range(s.programs[0]->n_entries, 400, 20000);
    tear_down(&s);
}

/* ---- lints ---- */

static struct diagnostics *lint(const char *policy, const char *inventory, size_t *ret_passed)
{
    struct diagnostics *d = diagnostics_new();
    struct setting s = {.policy_text = BUF_INIT};
    int64_t now;

    buf_puts(&s.policy_text, policy);
    buf_puts(&s.inventory_text, inventory);
    read_texts(&s, d);
    assert_int_equal(date_parse("2026-11-22", &now), 0);
    s.world = world_new(s.policy, s.inventory, now);
    policy_lint(s.world, true, d);
    *ret_passed = policy_run_tests(s.world, d);
    tear_down(&s);
    return d;
}

#define LINT_GROUPS                                                                                \
    "suimitsu: 1\ngroups: {web: {match: {t: web}}, db: {match: {t: db}}, bare: {match: {t: "       \
    "bare}}, net: {outside: true}}\n"
#define LINT_INVENTORY                                                                             \
    "suimitsu-inventory: 1\nendpoints:\n"                                                          \
    "  w: {labels: {t: web}, enforcers: host}\n  d: {labels: {t: db}, enforcers: [host, edge]}\n"  \
    "  b: {labels: {t: bare}, enforcers: nft}\nusers: {u: {groups: [ops]}}\n"

static void assert_lint(const char *rules, const char *code)
{
    struct buf b = BUF_INIT;
    struct diagnostics *d;
    size_t passed;

    buf_printf(&b, LINT_GROUPS "%s\n", rules);
    d = lint(buf_str(&b), LINT_INVENTORY, &passed);
    if (d->n != (code ? 1u : 0u) || (code && strcmp(code_name(d->items[0].code), code) != 0)) {
        for (size_t i = 0; i < d->n; i++)
            print_error("%s %s\n", code_name(d->items[i].code), d->items[i].message);
        print_error("%s: expected %s\n", rules, code ? code : "nothing");
        fail();
    }
    diagnostics_free(d);
    buf_done(&b);
}

#define ALLOW(fields) "allow: [{id: a, why: w, owner: o, " fields "}]"

static void a_check_that_nobody_can_make_is_an_error(void **state)
{
    (void)state;
    assert_lint(ALLOW("from: web, process: /x"), NULL);
    assert_lint(ALLOW("from: bare, process: /x"), "E-WIDEN");
    assert_lint(ALLOW("from: [web, bare], user: u"), "E-WIDEN");
    assert_lint(ALLOW("user: u"), "E-WIDEN");
    assert_lint(ALLOW("from: net, user: u"), "E-WIDEN");
    assert_lint(ALLOW("from: bare, process: /x, accept-weaker: because"), NULL);
    assert_lint(ALLOW("from: bare, process: /x, expires: 2026-11-21"), "W-EXPIRED");
    assert_lint(ALLOW("from: bare, to: db, served-by: /x"), NULL);
    assert_lint(ALLOW("from: web, served-by: /x"), "E-WIDEN");
    assert_lint(
        "services: {m: {ports: tcp/502, modbus: 1}}\n" ALLOW("from: web, to: db, service: m"),
        NULL);
    assert_lint(
        "services: {m: {ports: tcp/502, modbus: 1}}\n" ALLOW("from: web, to: bare, service: m"),
        "E-WIDEN");
    assert_lint("services: {m: {ports: tcp/502, modbus: 1}}\n" ALLOW("from: net, to: db, service: "
                                                                     "m"),
                NULL);
}

static void conditions_that_mix_at_the_two_ends_are_a_warning(void **state)
{
    (void)state;
#define TWO(a, b)                                                                                  \
    "allow:\n  - {id: a, from: web, to: db, why: w, owner: o, " a "}\n"                            \
    "  - {id: b, from: web, to: db, why: w, owner: o, " b "}\n"
    assert_lint(TWO("process: /x", "served-by: /y"), "W-CROSS");
    assert_lint(TWO("process: /x, served-by: /y", "process: /z, served-by: /q"), "W-CROSS");
    assert_lint(TWO("process: /x, served-by: /y", "process: /z, served-by: /y"), NULL);
    assert_lint(TWO("process: /x, served-by: /y", "served-by: /y"), "W-DEAD"); /* No W-CROSS. */
    assert_lint(TWO("process: /x, service: tcp/1", "served-by: /y, service: tcp/2"), NULL);
    assert_lint(TWO("process: /x", "user: u"), NULL);
    assert_lint("services: {m: {ports: tcp/502, modbus: 1}}\nallow: [{id: a, why: w, owner: o}]\n"
                "never: [{id: n, from: web, to: db, service: m, process: /x, why: w, owner: o}]",
                "W-CROSS");
}

static void what_matches_nothing_is_said(void **state)
{
    (void)state;
    size_t passed;
    struct diagnostics *d = lint("suimitsu: 1\ngroups: {g: {match: {t: no}}, m: {members: [ww]}}\n",
                                 LINT_INVENTORY, &passed);

    diagnostics_sort(d);
    assert_int_equal(d->n, 4);
    assert_int_equal(d->items[0].code, CODE_EMPTY);
    assert_string_equal(d->items[3].message, "an empty allow list means nothing is allowed");
    assert_true(has_code(d, CODE_UNKNOWN));
    diagnostics_free(d);
    assert_lint(ALLOW("from: web, user: \"@devs\""), "W-EMPTY");
}

static void a_policy_runs_its_own_tests(void **state)
{
    (void)state;
    size_t passed;
    struct diagnostics *d = lint(
        LINT_GROUPS ALLOW(
            "from: web, to: db, service: tcp/10-20") "\n"
                                                     "tests:\n"
                                                     "  - {from: w, to: d, service: tcp/10-20, "
                                                     "expect: allow, by: a}\n"
                                                     "  - {from: w, to: d, service: tcp/10-21, "
                                                     "expect: allow, by: a}\n"
                                                     "  - {from: d, to: w, service: tcp/10, "
                                                     "expect: deny, by: default, enforced: yes}\n"
                                                     "  - {from: d, to: w, service: tcp/10, "
                                                     "expect: deny, enforced: no}\n",
        LINT_INVENTORY, &passed);

    assert_int_equal(passed, 2);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->items[0].code, CODE_TEST);
    assert_int_equal(d->items[0].place.line, 6);
    diagnostics_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_and_both_ends_agree_with_the_naive_evaluator),
        cmocka_unit_test(every_enforcer_says_the_most_permissive_of_what_others_have_to_tell),
        cmocka_unit_test(numbers_stay_when_the_policy_grows),
        cmocka_unit_test(many_rules_of_one_pair_do_not_multiply),
        cmocka_unit_test(a_check_that_nobody_can_make_is_an_error),
        cmocka_unit_test(conditions_that_mix_at_the_two_ends_are_a_warning),
        cmocka_unit_test(what_matches_nothing_is_said),
        cmocka_unit_test(a_policy_runs_its_own_tests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
