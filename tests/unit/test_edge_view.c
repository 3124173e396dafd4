/* SPDX-License-Identifier: Apache-2.0 */
/* What core/edge_view.h promises, by brute force over all programs and users. */
#include "core/edge_view.h"

#include <netinet/in.h>

#include "unit/test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_says_the_most_permissive_of_what_only_a_host_can_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
