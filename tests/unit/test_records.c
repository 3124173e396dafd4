/* SPDX-License-Identifier: Apache-2.0 */
/* What records.h promises. */
#include "wire/records.h"

#include <errno.h>
#include <netinet/in.h>

#include "unit/test.h"

/* One record in every table. */
static struct program *small_program(void)
{
    struct program *p = program_new();
    const char *what;

    p->revision = 7;
    memcpy(p->endpoint, "db1", 4);
    p->identity = 3;
    p->mode = MODE_TEST;
    p->trust = TRUST_GREY;
    p->entries = xcalloc(p->n_entries = 1, sizeof *p->entries);
    p->entries[0] = (struct program_entry){.remote = 9,
                                           .service = 1,
                                           .direction = DIRECTION_IN,
                                           .suspect = SUSPECT_SOURCE,
                                           .word = PROGRAM_ALLOW,
                                           .layer = LAYER_ALLOW,
                                           .refine = REFINE_PROCESS,
                                           .rule = 1};
    p->addresses = xcalloc(p->n_addresses = 1, sizeof *p->addresses);
    p->addresses[0] = (struct program_address){
        .length = 128, .mode = MODE_ENFORCE, .trust = TRUST_BLACK, .self = true, .identity = 9};
    p->services = xcalloc(p->n_services = 1, sizeof *p->services);
    p->services[0] = (struct program_service){IPPROTO_UDP, 53, 54, 1};
    p->processes = xcalloc(p->n_processes = 1, sizeof *p->processes);
    p->processes[0] = (struct program_process){5, "/usr/sbin/nginx"};
    p->users = xcalloc(p->n_users = 1, sizeof *p->users);
    p->users[0] = (struct program_user){2, "ops-1"};
    p->rules = xcalloc(p->n_rules = 1, sizeof *p->rules);
    p->rules[0] = (struct program_rule){"shop-db"};
    p->n_lifeline = 1;
    p->lifeline[0] = (struct program_lifeline){.port = 7443, .protocol = IPPROTO_TCP};
    assert_int_equal(program_check(p, &what), 0);
    return p;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = small_program(), *q = NULL;
    CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;
    const char *what;

    program_encode(p, &a);
    assert_int_equal(program_decode(a.data, a.size, &q, &what), 0);
    program_encode(q, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    assert_int_equal(q->revision, 7);
    assert_string_equal(q->endpoint, "db1");
    assert_string_equal(q->rules[0].id, "shop-db");
    assert_int_equal(q->lifeline[0].port, 7443);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = small_program(), *q = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *what;

    program_encode(p, &b);
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(program_decode(b.data, size, &q, &what), -EPROTO);
    buf_u8(&b, 0);
    assert_int_equal(program_decode(b.data, b.size, &q, &what), -EPROTO);
    assert_null(q);
}

static void every_flipped_bit_is_read_or_refused_but_never_believed_beyond_its_limits(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = small_program();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *what;

    program_encode(p, &b);
    for (size_t bit = 0; bit < b.size * 8; bit++) {
        CLEANUP(program_freep) struct program *q = NULL;

        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
        if (program_decode(b.data, b.size, &q, &what) == 0)
            assert_int_equal(program_check(q, &what), 0);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_bit_is_read_or_refused_but_never_believed_beyond_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
