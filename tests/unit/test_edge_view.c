/* SPDX-License-Identifier: Apache-2.0 */
/* What core/edge_view.h promises, by brute force over all programs and users; and what an edge says
 * of protocol functions, against the evaluator. */
#include "core/edge_view.h"

#include <netinet/in.h>

#include "unit/test.h"

#include "base/buf.h"
#include "core/compile.h"
#include "core/verdict.h"
#include "text/policy.h"

enum { SEED = 20261122, ROUNDS = 400, REMOTES = 3, SERVICES = 3, PROCESSES = 3, USERS = 3 };

static uint32_t state_of_chance = SEED;

static uint32_t chance(uint32_t below)
{
    state_of_chance = state_of_chance * 1664525u + 1013904223u;
    return (state_of_chance >> 8) % below;
}

static void number_name(char *to, size_t room, const char *prefix, unsigned n)
{
    size_t len = strlen(prefix);

    assert_true(len + 2 <= room);
    memcpy(to, prefix, len);
    to[len] = (char)('0' + n);
    to[len + 1] = 0;
}

static struct address address_of(unsigned n)
{
    struct address a = {.bytes = {0xfd}};

    a.bytes[15] = (uint8_t)n;
    return a;
}

static void add_tables(struct program *p)
{
    p->addresses = xcalloc(REMOTES, sizeof *p->addresses);
    for (unsigned i = 0; i < REMOTES; i++)
        p->addresses[p->n_addresses++] = (struct program_address){.address = address_of(i),
                                                                  .length = 128,
                                                                  .mode = (uint8_t)chance(4),
                                                                  .trust = (uint8_t)chance(3),
                                                                  .identity = i};
    p->services = xcalloc(SERVICES, sizeof *p->services);
    for (uint16_t i = 1; i < SERVICES; i++)
        p->services[p->n_services++] = (struct program_service){IPPROTO_TCP, i, i, i};
    p->processes = xcalloc(PROCESSES, sizeof *p->processes);
    p->users = xcalloc(USERS, sizeof *p->users);
    for (uint16_t i = 1; i < PROCESSES; i++) {
        p->processes[p->n_processes].class = i;
        number_name(p->processes[p->n_processes++].path, PROGRAM_PATH_SIZE, "/p", i);
        p->users[p->n_users].class = i;
        number_name(p->users[p->n_users++].name, PROGRAM_NAME_SIZE, "u", i);
    }
    p->rules = xcalloc(9, sizeof *p->rules);
    for (p->n_rules = 0; p->n_rules < 9; p->n_rules++)
        number_name(p->rules[p->n_rules].id, PROGRAM_NAME_SIZE, "r", (unsigned)p->n_rules);
}

/* Any program that program_check() takes, also such as no compiler writes. */
static struct program *any_program(void)
{
    struct program *p = program_new();
    const char *what;

    p->revision = 1;
    p->mode = (enum mode)(MODE_LEARN + chance(3));
    p->trust = (enum trust)chance(3);
    add_tables(p);
    p->entries = xcalloc(REMOTES * 6 * SERVICES * PROCESSES * USERS, sizeof *p->entries);
    for (unsigned n = 0; n < REMOTES * 6 * SERVICES * PROCESSES * USERS; n++) {
        unsigned base = n % (REMOTES * 6 * SERVICES), own = n / (REMOTES * 6 * SERVICES);
        struct program_entry e = {.remote = base % REMOTES,
                                  .direction = (uint8_t)(base / REMOTES % 2),
                                  .suspect = (uint8_t)(base / REMOTES / 2 % 3),
                                  .service = (uint16_t)(base / REMOTES / 6),
                                  .process = (uint16_t)(own % PROCESSES),
                                  .user = (uint16_t)(own / PROCESSES),
                                  .word = (uint8_t)chance(3),
                                  .layer = (uint8_t)chance(6),
                                  .rule = chance(10)};

        if (!e.process && !e.user)
            e.refine = (uint8_t)chance(4);
        if (chance(3))
            p->entries[p->n_entries++] = e;
    }
    assert_int_equal(program_check(p, &what), 0);
    return p;
}

static int permissiveness(struct program_answer a)
{
    return a.verdict == VERDICT_ALLOW ? 2 : a.verdict == VERDICT_WOULD_DENY ? 1 : 0;
}

static int most_permissive(const struct program *p, struct program_query q)
{
    static const char *const processes[] = {NULL, "/p1", "/p2"}, *const users[] = {NULL, "u1",
                                                                                   "u2"};
    int best = 0;

    for (size_t i = 0; i < PROCESSES; i++)
        for (size_t j = 0; j < USERS; j++) {
            struct program_answer a;

            q.process = processes[i];
            q.user = users[j];
            a = program_judge(p, &q);
            if (permissiveness(a) > best)
                best = permissiveness(a);
        }
    return best;
}

static void an_edge_says_the_most_permissive_of_what_only_a_host_can_tell(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        CLEANUP(program_freep) struct program *p = any_program();
        CLEANUP(program_freep) struct program *view = edge_view(p);
        const char *what;

        assert_int_equal(program_check(view, &what), 0);
        assert_int_equal(view->n_processes + view->n_users, 0);
        for (unsigned n = 0; n < (REMOTES + 1) * 2 * (SERVICES + 1); n++) {
            struct program_query q = {.remote = address_of(n % (REMOTES + 1)),
                                      .direction = (enum direction)(n / (REMOTES + 1) % 2),
                                      .protocol = IPPROTO_TCP,
                                      .port = (uint16_t)(n / (REMOTES + 1) / 2)};

            assert_int_equal(permissiveness(program_judge(view, &q)), most_permissive(p, q));
        }
    }
}

/* ---- protocol functions ---- */

static void add_functions(struct buf *b)
{
    unsigned n = 1 + chance(3);

    buf_puts(b, ", modbus: [");
    for (unsigned i = 0, f = 0; i < n; i++) {
        f += 1 + chance(3);
        buf_printf(b, "%s%u", i ? ", " : "", f);
    }
    buf_puts(b, "]");
}

static void any_policy(struct buf *b)
{
    static const char *const ends[] = {"x", "y", "z", "any"}, *const layers[] = {"allow", "never"};

    buf_puts(b, "suimitsu: 1\ngroups:\n");
    for (int i = 0; i < 3; i++)
        buf_printf(b, "  %s: {members: [%s1]}\n", ends[i], ends[i]);
    buf_puts(b, "services:\n");
    for (int i = 0; i < 4; i++) {
        buf_printf(b, "  s%d: {ports: [tcp/%s]", i, i & 1 ? "502" : "500-510");
        if (i < 3)
            add_functions(b);
        buf_puts(b, "}\n");
    }
    for (size_t layer = 0; layer < ARRAY_SIZE(layers); layer++) {
        buf_printf(b, "%s:\n", layers[layer]);
        for (int i = 0; i < 3; i++)
            buf_printf(b, "  - {id: %s%d, from: %s, to: %s, service: s%u, why: w, owner: o}\n",
                       layers[layer], i, ends[chance(4)], ends[chance(4)],
                       layer ? chance(3) : chance(4));
    }
}

struct parsed {
    struct policy *policy;
    struct inventory *inventory;
};

static void parse(struct parsed *to)
{
    static const char ledger[] = "suimitsu-inventory: 1\nendpoints:\n"
                                 "  x1: {addresses: 10.0.0.1, enforcers: edge}\n"
                                 "  y1: {addresses: 10.0.0.2, enforcers: [host, edge]}\n"
                                 "  z1: {addresses: 10.0.0.3, enforcers: edge}\n";
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct source sources[2];

    any_policy(&text);
    sources[0] = (struct source){"policy.yaml", buf_str(&text), text.size};
    sources[1] = (struct source){"inventory.yaml", ledger, sizeof(ledger) - 1};
    if (policy_read(&sources[0], 1, d, &to->policy) < 0 ||
        inventory_read(&sources[1], 1, d, &to->inventory) < 0)
        fail_msg("%s", buf_str(&text));
}

static bool edge_lets(struct compiled *c, const char *end, enum direction direction,
                      const char *remote, const struct verdict_query *v)
{
    CLEANUP(program_freep) struct program *p = NULL, *view = NULL;
    struct program_query q = {.direction = direction,
                              .protocol = IPPROTO_TCP,
                              .port = v->port,
                              .function = (uint8_t)v->modbus};
    const char *what;

    assert_int_equal(compiled_program(c, end, &p, &what), 0);
    view = edge_view(p);
    assert_int_equal(program_check(view, &what), 0);
    assert_int_equal(address_parse(remote, &q.remote), 0);
    return program_judge(view, &q).verdict == VERDICT_ALLOW;
}

static void an_edge_at_either_end_says_of_each_function_what_the_evaluator_says(void **state)
{
    (void)state;
    static const char *const names[] = {"x1", "y1", "z1"}, *const addresses[] = {
                                                               "10.0.0.1", "10.0.0.2", "10.0.0.3"};
    size_t n_mixed = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct parsed parsed = {.policy = NULL};
        struct compile_options options = {.revision = 1, .now_s = 1};
        CLEANUP(compiled_freep) struct compiled *c = NULL;
        CLEANUP(world_freep) struct world *w = NULL;
        const char *what;

        parse(&parsed);
        assert_int_equal(compile(parsed.policy, parsed.inventory, &options, &c, &what), 0);
        w = world_new(parsed.policy, parsed.inventory, 1);
        for (unsigned pair = 0; pair < 6; pair++) {
            unsigned from = pair / 2, to = (from + 1 + pair % 2) % 3;
            size_t allowed = 0;

            for (int f = 1; f <= 12; f++) {
                struct verdict_query v = {.from = names[from],
                                          .to = names[to],
                                          .protocol = IPPROTO_TCP,
                                          .port = 502,
                                          .modbus = f};
                struct verdict_answer a;

                assert_int_equal(verdict(w, &v, &a, &what), 0);
                allowed += a.verdict == VERDICT_ALLOW;
                assert_int_equal(edge_lets(c, names[from], DIRECTION_OUT, addresses[to], &v),
                                 a.verdict == VERDICT_ALLOW);
                assert_int_equal(edge_lets(c, names[to], DIRECTION_IN, addresses[from], &v),
                                 a.verdict == VERDICT_ALLOW);
            }
            n_mixed += allowed > 0 && allowed < 12;
        }
        policy_free(parsed.policy);
        inventory_free(parsed.inventory);
    }
    assert_true(n_mixed > ROUNDS / 4); /* Else the test would show nothing. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_says_the_most_permissive_of_what_only_a_host_can_tell),
        cmocka_unit_test(an_edge_at_either_end_says_of_each_function_what_the_evaluator_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
