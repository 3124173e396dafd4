/* SPDX-License-Identifier: Apache-2.0 */
/* What dist/snapshots.h promises: each endpoint hears its own program, and what is worked out and
 * encoded for one is not again for another. */
#include "controller/dist/snapshots.h"

#include <errno.h>
#include <stdio.h>

#include "text/policy.h"
#include "unit/test.h"
#include "wire/frame.h"
#include "wire/records.h"

enum { ENDPOINTS = 30, ROLES = 3 };

static const int64_t now_s = 1795391999;

static const char policy_text[] = "suimitsu: 1\n"
                                  "groups:\n"
                                  "  g0: {match: {r: k0}}\n"
                                  "  g1: {match: {r: k1}}\n"
                                  "  g2: {match: {r: k2}}\n"
                                  "  lan: {outside: [192.0.2.0/24]}\n"
                                  "allow:\n"
                                  "  - {id: a, from: g0, to: g1, service: tcp/80, process: /p/x, "
                                  "why: w, owner: o}\n"
                                  "  - {id: b, from: g1, to: g2, service: %s, why: w, owner: o}\n"
                                  "  - {id: c, from: g0, to: lan, service: udp/53, why: w, "
                                  "owner: o}\n";

struct world_of {
    struct policy *policy;
    struct inventory *inventory;
    struct compiled *compiled;
    struct snapshots snapshots;
    uint64_t revision;
};

static void read_world(struct world_of *w, const char *service, int extra)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT;
    struct source source;

    for (const char *at = policy_text; *at; at++)
        if (at[0] == '%' && at[1] == 's')
            buf_puts(&policy, service), at++;
        else
            buf_putc(&policy, *at);
    buf_puts(&inventory, "suimitsu-inventory: 1\nendpoints:\n");
    for (int i = 0; i < ENDPOINTS; i++) {
        buf_printf(&inventory, "  e%d: {labels: {r: k%d}, enforcers: host, addresses: [10.0.0.%d",
                   i, i % ROLES, i + 1);
        if (i % 4)
            buf_printf(&inventory, ", 'fd00::%d', 172.16.0.%d", i + 1, 200 - i);
        buf_printf(&inventory, "%s]}\n", i == extra ? ", 192.0.2.7" : "");
    }
    policy_free(w->policy);
    inventory_free(w->inventory);
    source = (struct source){"policy.yaml", buf_str(&policy), policy.size};
    assert_int_equal(policy_read(&source, 1, d, &w->policy), 0);
    source = (struct source){"inventory.yaml", buf_str(&inventory), inventory.size};
    assert_int_equal(inventory_read(&source, 1, d, &w->inventory), 0);
}

static void begin(struct world_of *w)
{
    struct compile_options options = {.revision = 1, .now_s = now_s};
    const char *what;

    memset(w, 0, sizeof(*w));
    read_world(w, "tcp/443", -1);
    assert_int_equal(compile(w->policy, w->inventory, &options, &w->compiled, &what), 0);
    w->revision = 1;
}

static void commit(struct world_of *w)
{
    const char *what;

    assert_int_equal(compiled_commit(w->compiled, ++w->revision, now_s, &what), 0);
}

static void end(struct world_of *w)
{
    snapshots_done(&w->snapshots);
    compiled_free(w->compiled);
    inventory_free(w->inventory);
    policy_free(w->policy);
}

static struct rope rope_of(struct world_of *w, int endpoint)
{
    struct rope r = {.n = 0};
    const char *what = "";
    char name[16];

    (void)snprintf(name, sizeof(name), "e%d", endpoint);
    assert_int_equal(snapshots_encode(&w->snapshots, w->compiled, name, 60, 9, &r, &what), 0);
    return r;
}

/* What an agent hears is the program that is compiled for it alone. */
static void hears_its_own(struct world_of *w, int endpoint)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT, a = BUF_INIT, b = BUF_INIT;
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
    CLEANUP(program_freep) struct program *alone = NULL;
    CLEANUP(rope_done) struct rope r = rope_of(w, endpoint);
    const char *what = "";
    char name[16];

    (void)snprintf(name, sizeof(name), "e%d", endpoint);
    assert_int_equal(compiled_program(w->compiled, name, &alone, &what), 0);
    rope_copy(&r, &frame);
    assert_int_equal(agent_decode(AGENT_SIDE_CONTROLLER, frame.data + FRAME_HEADER_SIZE,
                                  frame.size - FRAME_HEADER_SIZE, &heard, &what),
                     0);
    assert_int_equal(heard->kind, AGENT_SNAPSHOT);
    assert_int_equal(heard->snapshot.confirm_s, 60);
    assert_int_equal(heard->snapshot.trust_sequence, 9);
    program_encode(alone, &a);
    program_encode(heard->snapshot.program, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

static void all_hear_their_own(struct world_of *w)
{
    for (int i = 0; i < ENDPOINTS; i++)
        hears_its_own(w, i);
}

static void each_endpoint_hears_its_own_program_after_any_change(void **state)
{
    (void)state;
    struct world_of w;

    begin(&w);
    all_hear_their_own(&w);
    assert_int_equal(compiled_set_trust(w.compiled, "e4", TRUST_BLACK), 0);
    commit(&w);
    all_hear_their_own(&w);
    read_world(&w, "tcp/8443", 5); /* A rule is another one; e5 has an address that was outside. */
    compiled_put_all(w.compiled, w.policy, w.inventory);
    commit(&w);
    all_hear_their_own(&w);
    assert_int_equal(compiled_remove_endpoint(w.compiled, "e29"), 0);
    commit(&w);
    for (int i = 0; i < ENDPOINTS - 1; i++)
        hears_its_own(&w, i);
    end(&w);
}

static size_t shared_bytes(const struct rope *a, const struct rope *b)
{
    size_t size = 0;

    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++)
            if (a->pieces[i].block == b->pieces[k].block && a->pieces[i].at == b->pieces[k].at &&
                a->pieces[i].size == b->pieces[k].size) {
                size += a->pieces[i].size;
                break;
            }
    return size;
}

static void what_is_made_for_one_is_not_made_again_for_another(void **state)
{
    (void)state;
    enum { OWN = 150 }; /* Bytes: its name, and where its addresses stand. */
    struct world_of w;
    struct rope first, kin, other;

    begin(&w);
    first = rope_of(&w, 0);
    kin = rope_of(&w, 0 + ROLES);
    other = rope_of(&w, 1);
    assert_true(first.size > 10 * OWN);
    assert_true(shared_bytes(&first, &kin) > kin.size - OWN);
    assert_true(shared_bytes(&first, &other) > (size_t)ENDPOINTS * 2 * 20);
    assert_true(shared_bytes(&first, &other) < shared_bytes(&first, &kin));
    for (int i = 0; i < ENDPOINTS; i++) {
        struct rope r = rope_of(&w, i);

        rope_done(&r);
    }
    assert_int_equal(w.snapshots.n_addresses_made, 1);
    assert_int_equal(w.snapshots.n_kin_made, ROLES);
    rope_done(&first);
    rope_done(&kin);
    rope_done(&other);
    end(&w);
}

static void a_change_makes_again_only_what_it_changed(void **state)
{
    (void)state;
    struct world_of w;

    begin(&w);
    all_hear_their_own(&w);
    read_world(&w, "tcp/8443", -1); /* Another rule: all addresses are what they were. */
    compiled_put_all(w.compiled, w.policy, w.inventory);
    commit(&w);
    all_hear_their_own(&w);
    assert_int_equal(w.snapshots.n_addresses_made, 1);
    assert_int_equal(w.snapshots.n_kin_made, 2 * ROLES);
    assert_int_equal(compiled_set_trust(w.compiled, "e3", TRUST_GREY), 0);
    commit(&w);
    all_hear_their_own(&w);
    assert_int_equal(w.snapshots.n_addresses_made, 2);
    end(&w);
}

static void who_is_still_being_sent_the_former_program_gets_that(void **state)
{
    (void)state;
    struct world_of w;
    CLEANUP(buf_done) struct buf before = BUF_INIT, after = BUF_INIT;
    struct rope slow;

    begin(&w);
    slow = rope_of(&w, 2);
    rope_copy(&slow, &before);
    assert_int_equal(compiled_set_trust(w.compiled, "e3", TRUST_BLACK), 0);
    commit(&w);
    all_hear_their_own(&w);
    rope_copy(&slow, &after);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
    end(&w); /* The rope holds what it is made of. */
    buf_reset(&after);
    rope_copy(&slow, &after);
    assert_memory_equal(before.data, after.data, before.size);
    rope_done(&slow);
}

static void nobody_is_told_of_an_endpoint_that_is_not_there(void **state)
{
    (void)state;
    struct world_of w;
    struct rope r = {.n = 0};
    const char *what = "";

    begin(&w);
    assert_int_equal(snapshots_encode(&w.snapshots, w.compiled, "nobody", 0, 0, &r, &what),
                     -ENOENT);
    assert_int_equal(r.n, 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_endpoint_hears_its_own_program_after_any_change),
        cmocka_unit_test(what_is_made_for_one_is_not_made_again_for_another),
        cmocka_unit_test(a_change_makes_again_only_what_it_changed),
        cmocka_unit_test(who_is_still_being_sent_the_former_program_gets_that),
        cmocka_unit_test(nobody_is_told_of_an_endpoint_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
