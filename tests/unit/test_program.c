/* SPDX-License-Identifier: Apache-2.0 */
/* What program.h and address.h promise. */
#include "core/program.h"

#include <errno.h>
#include <netinet/in.h>

#include "unit/test.h"

enum { WEB = 2, DB = 3, POSTGRES = 1, ORDERS = 1, OPS = 1 };

static struct address address_of(const char *s)
{
    struct address a = {.bytes = {0}};

    assert_int_equal(address_parse(s, &a), 0);
    return a;
}

static void one_form_for_both_families(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_SIZE];
    struct address v4 = address_of("192.0.2.1"), mapped = address_of("::ffff:192.0.2.1"), net;
    uint8_t len = 0;

    assert_int_equal(address_compare(&v4, &mapped), 0);
    assert_string_equal(address_format(&mapped, text), "192.0.2.1");
    assert_int_equal(address_parse_prefix("192.0.2.0/24", &net, &len), 0);
    assert_int_equal(len, 120);
    assert_true(address_in_prefix(&v4, &net, len));
    assert_string_equal(address_format_prefix(&net, len, text), "192.0.2.0/24");
    assert_int_equal(address_parse_prefix("192.168.128.103/24", &net, &len), -EDOM);
    assert_string_equal(address_format_prefix(&net, len, text), "192.168.128.0/24");
    assert_int_equal(address_parse_prefix("10.0.0.0/33", &net, &len), -EINVAL);
    assert_int_equal(address_parse("10.1", &net), -EINVAL);
    assert_int_equal(address_parse("fe80::1%eth0", &net), -EINVAL);
}

/* Seen from db: web's orders may come in by postgres; the default is a deny. */
static struct program *db_program(void)
{
    struct program *p = program_new();
    const char *what;

    p->identity = DB;
    p->mode = MODE_ENFORCE;
    p->n_addresses = 3;
    p->addresses = xcalloc(3, sizeof *p->addresses);
    p->addresses[0] = (struct program_address){
        .address = address_of("10.0.0.2"), .length = 128, .mode = MODE_TEST, .identity = WEB};
    p->addresses[1] = (struct program_address){.address = address_of("10.0.0.3"),
                                               .length = 128,
                                               .mode = MODE_ENFORCE,
                                               .self = true,
                                               .identity = DB};
    p->addresses[2] = (struct program_address){.length = 0, .identity = 1};
    p->n_services = 1;
    p->services = xcalloc(1, sizeof *p->services);
    p->services[0] = (struct program_service){IPPROTO_TCP, 5432, 5432, POSTGRES};
    p->n_processes = 1;
    p->processes = xcalloc(1, sizeof *p->processes);
    p->processes[0] = (struct program_process){ORDERS, "/opt/shop/bin/orders"};
    p->n_rules = 1;
    p->rules = xcalloc(1, sizeof *p->rules);
    p->rules[0] = (struct program_rule){"shop-db"};
    p->n_entries = 2;
    p->entries = xcalloc(2, sizeof *p->entries);
    p->entries[0] = (struct program_entry){.remote = WEB,
                                           .service = POSTGRES,
                                           .process = ORDERS,
                                           .word = PROGRAM_ALLOW,
                                           .layer = LAYER_ALLOW,
                                           .rule = 1};
    p->entries[1] = (struct program_entry){.remote = WEB,
                                           .service = POSTGRES,
                                           .word = PROGRAM_DEFAULT,
                                           .layer = LAYER_DEFAULT,
                                           .refine = REFINE_PROCESS};
    assert_int_equal(program_check(p, &what), 0);
    return p;
}

static struct program_answer judge(const struct program *p, const char *remote, uint16_t port,
                                   const char *process)
{
    return program_judge(p, &(struct program_query){.remote = address_of(remote),
                                                    .protocol = IPPROTO_TCP,
                                                    .port = port,
                                                    .process = process});
}

static void only_the_named_program_refines_the_base_entry(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = db_program();
    struct program_answer a = judge(p, "10.0.0.2", 5432, "/opt/shop/bin/orders");

    assert_int_equal(a.verdict, VERDICT_ALLOW);
    assert_int_equal(a.rule, 1);
    a = judge(p, "10.0.0.2", 5432, "/usr/bin/psql");
    assert_int_equal(a.verdict, VERDICT_DENY);
    assert_int_equal(a.layer, LAYER_DEFAULT);
    a = judge(p, "10.0.0.2", 5432, NULL);
    assert_int_equal(a.verdict, VERDICT_DENY);
    a = judge(p, "10.0.0.2", 5433, "/opt/shop/bin/orders");
    assert_int_equal(a.verdict, VERDICT_DENY);
}

static void the_stricter_mode_decides_a_default_deny(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = db_program();

    p->mode = MODE_TEST;
    assert_int_equal(judge(p, "10.0.0.2", 80, NULL).verdict, VERDICT_WOULD_DENY);
    assert_int_equal(judge(p, "203.0.113.9", 80, NULL).verdict, VERDICT_WOULD_DENY);
    p->mode = MODE_ENFORCE;
    assert_int_equal(judge(p, "10.0.0.2", 80, NULL).verdict, VERDICT_DENY);
}

static void a_suspect_meets_quarantine_and_only_the_lifeline_is_above(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = db_program();
    struct program_answer a;

    p->mode = MODE_LEARN;
    p->trust = TRUST_BLACK;
    p->lifeline[0] = (struct program_lifeline){address_of("10.0.0.9"), 7443, IPPROTO_TCP};
    p->n_lifeline = 1;
    a = judge(p, "10.0.0.2", 5432, "/opt/shop/bin/orders");
    assert_int_equal(a.verdict, VERDICT_DENY);
    assert_int_equal(a.layer, LAYER_QUARANTINE);
    assert_int_equal(judge(p, "10.0.0.3", 9999, NULL).layer, LAYER_LIFELINE);
    assert_int_equal(judge(p, "10.0.0.9", 7443, NULL).verdict, VERDICT_ALLOW);
    assert_int_equal(judge(p, "10.0.0.9", 22, NULL).verdict, VERDICT_DENY);
}

static void a_program_with_numbers_out_of_range_is_refused_by_name(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = db_program();
    const char *what = NULL;

    p->entries[0].rule = 2;
    assert_int_equal(program_check(p, &what), -EINVAL);
    assert_string_equal(what, "an entry's rule number");
    p->entries[0].rule = 1;
    p->addresses[1].length = 64;
    assert_int_equal(program_check(p, &what), -EINVAL);
    p->addresses[1].length = 128;
    p->n_services = PROGRAM_MAX_SERVICES + 1;
    assert_int_equal(program_check(p, &what), -E2BIG);
    p->n_services = 1;
    memset(p->processes[0].path, 'x', PROGRAM_PATH_SIZE);
    assert_int_equal(program_check(p, &what), -EINVAL);
}

/* ---- which row holds an address ---- */

enum { ROWS = 300, ASKED = 3000, WORLDS = 40 };

static uint32_t below(uint32_t n) /* A fixed sequence (Numerical Recipes' constants). */
{
    static uint32_t x = 11;

    x = x * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)x * n) >> 32);
}

/* Of few bits, far apart, so that prefixes nest and neighbours abound. */
static struct address some_address(void)
{
    struct address a = {.bytes = {0}};
    static const uint8_t where[] = {0, 3, 7, 12, 15};

    for (size_t i = 0; i < sizeof(where); i++)
        a.bytes[where[i]] = (uint8_t)(below(2) ? 0x80 >> below(8) : 0);
    return a;
}

static const struct program_address *longest(const struct program *p, const struct address *a)
{
    const struct program_address *best = NULL;

    for (size_t i = 0; i < p->n_addresses; i++)
        if (address_in_prefix(a, &p->addresses[i].address, p->addresses[i].length) &&
            (!best || p->addresses[i].length > best->length))
            best = &p->addresses[i];
    return best;
}

/* Each row has an identity of its own, with an entry that only it finds. */
static struct program *program_of_rows(size_t n)
{
    struct program *p = program_new();
    const char *what = "";

    p->identity = 1;
    p->mode = MODE_ENFORCE;
    p->n_addresses = n;
    p->addresses = xcalloc(n, sizeof *p->addresses);
    for (size_t i = 0; i < n; i++) {
        struct program_address *row = &p->addresses[i];
        bool is_new = false;

        while (!is_new) {
            *row = (struct program_address){.address = some_address(),
                                            .length = (uint8_t)(below(4) ? below(129) : 128)};
            for (unsigned bit = row->length; bit < 128; bit++)
                row->address.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
            is_new = true;
            for (size_t k = 0; k < i; k++)
                is_new = is_new && (row->length != p->addresses[k].length ||
                                    address_compare(&row->address, &p->addresses[k].address) != 0);
        }
        row->identity = (identity_t)(i + 2);
    }
    p->n_rules = n + 2;
    p->rules = xcalloc(p->n_rules, sizeof *p->rules);
    p->n_entries = n;
    p->entries = xcalloc(n, sizeof *p->entries);
    for (size_t i = 0; i < p->n_rules; i++)
        p->rules[i] = (struct program_rule){"r"};
    for (size_t i = 0; i < n; i++)
        p->entries[i] = (struct program_entry){.remote = (identity_t)(i + 2),
                                               .word = PROGRAM_ALLOW,
                                               .layer = LAYER_ALLOW,
                                               .rule = (uint32_t)(i + 2)};
    assert_int_equal(program_check(p, &what), 0);
    return p;
}

static void the_longest_prefix_that_holds_an_address_is_found(void **state)
{
    (void)state;
    size_t found = 0, prefixes = 0, none = 0;

    for (size_t world = 0; world < WORLDS; world++) {
        CLEANUP(program_freep) struct program *p = program_of_rows(world % 5 ? ROWS : world / 5);

        for (size_t i = 0; i < ASKED; i++) {
            struct address a = some_address();
            const struct program_address *row = longest(p, &a);
            struct program_answer answer = program_judge(
                p, &(struct program_query){.remote = a, .protocol = IPPROTO_TCP, .port = 1});

            assert_int_equal(answer.rule, row ? row->identity : 0);
            found += row != NULL;
            prefixes += row && row->length < 128;
            none += row == NULL;
        }
    }
    assert_true(found > ASKED && prefixes > ASKED && none > ASKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_form_for_both_families),
        cmocka_unit_test(only_the_named_program_refines_the_base_entry),
        cmocka_unit_test(the_stricter_mode_decides_a_default_deny),
        cmocka_unit_test(a_suspect_meets_quarantine_and_only_the_lifeline_is_above),
        cmocka_unit_test(a_program_with_numbers_out_of_range_is_refused_by_name),
        cmocka_unit_test(the_longest_prefix_that_holds_an_address_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
