/* SPDX-License-Identifier: Apache-2.0 */
/* What wire/flows.h promises: the same records at the other end, in few bytes, and nothing that
 * points outside. */
#include "wire/flows.h"

#include <errno.h>
#include <stdio.h>

#include "base/reader.h"
#include "unit/test.h"
#include "wire/agent.h"
#include "wire/frame.h"

static unsigned rng = 1;

static unsigned next_random(unsigned n)
{
    rng = rng * 1103515245u + 12345u;
    return (rng >> 16) % n;
}

static struct address v4(unsigned a, unsigned b)
{
    return (struct address){
        .bytes = {[10] = 0xff, [11] = 0xff, 10, (uint8_t)(a >> 8), (uint8_t)a, (uint8_t)b}};
}

/* A minute of a busy server: 40 programs and ports, 200 peers. */
static void fill_ordinary(struct flow_batch *b, size_t n)
{
    static const char *const names[11] = {"",        "web-in",  "orders", "backup",  "ntp",  "dns",
                                          "metrics", "ssh-ops", "mail",   "archive", "proxy"};
    uint64_t at = UINT64_C(1795000000000) / FLOW_MINUTE_MS * FLOW_MINUTE_MS;

    for (size_t i = 0; i < n; i++) {
        struct address local = v4(1, 1), remote = v4(2, next_random(200));
        unsigned what = next_random(40);
        char process[64];
        struct flow_kind k = {.revision = 812,
                              .local = flow_batch_add_address(b, &local),
                              .user = flow_batch_add_text(b, what % 3 ? "www-data" : "root"),
                              .uid = what % 3 ? 33 : 0,
                              .rule = what % 11,
                              .rule_name = flow_batch_add_text(b, names[what % 11]),
                              .port = (uint16_t)(what % 7 ? 443 : 5432),
                              .protocol = 6,
                              .direction = what & 1,
                              .verdict = VERDICT_ALLOW,
                              .layer = LAYER_ALLOW,
                              .enforced = 1};
        struct flow_record r = {.remote = flow_batch_add_address(b, &remote),
                                .first_ms = at + i * 50000 / n,
                                .count = 1 + next_random(100),
                                .bytes_out = next_random(20000),
                                .bytes_in = next_random(60000)};

        (void)snprintf(process, sizeof(process), "/usr/lib/service-%u/bin/server", what);
        k.process = flow_batch_add_text(b, process);
        r.last_ms = r.first_ms + next_random(9000);
        flow_batch_add(b, &k, &r);
    }
}

static void assert_same(const struct flow_batch *a, const struct flow_batch *b)
{
    assert_int_equal(a->n_records, b->n_records);
    for (size_t i = 0; i < a->n_records; i++) {
        const struct flow_record *x = &a->records[i], *y = &b->records[i];
        struct flow_kind k = a->kinds[x->kind], l = b->kinds[y->kind];

        assert_memory_equal(&a->addresses[x->remote], &b->addresses[y->remote], 16);
        assert_memory_equal(&a->addresses[k.local], &b->addresses[l.local], 16);
        assert_string_equal(flow_batch_text(a, k.process), flow_batch_text(b, l.process));
        assert_string_equal(flow_batch_text(a, k.script), flow_batch_text(b, l.script));
        assert_string_equal(flow_batch_text(a, k.rule_name), flow_batch_text(b, l.rule_name));
        assert_string_equal(flow_batch_text(a, k.user), flow_batch_text(b, l.user));
        k.rule_name = l.rule_name = k.local = l.local = k.process = l.process = k.script =
            l.script = k.user = l.user = 0;
        assert_memory_equal(&k, &l, sizeof(k));
        assert_memory_equal(&x->first_ms, &y->first_ms,
                            sizeof(*x) - offsetof(struct flow_record, first_ms));
    }
}

static void a_batch_arrives_as_it_was_sent(void **state)
{
    (void)state;
    CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_FLOWS);
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct flow_kind odd = {.revision = FLOWS_MAX_AMOUNT,
                            .uid = UINT32_MAX,
                            .port = UINT16_MAX,
                            .protocol = UINT8_MAX,
                            .direction = DIRECTION_IN,
                            .verdict = VERDICT_WOULD_DENY,
                            .layer = LAYER_DEFAULT,
                            .rule = PROGRAM_MAX_RULES};
    struct address six = {.bytes = {0xfd, [15] = 9}};
    const char *what;

    fill_ordinary(&said->flows.batch, 1000);
    odd.local = flow_batch_add_address(&said->flows.batch, &six);
    odd.script = flow_batch_add_text(&said->flows.batch, "/home/\xc3\xa9mile/run.py");
    flow_batch_add(&said->flows.batch, &odd,
                   &(struct flow_record){.remote = odd.local,
                                         .count = FLOWS_MAX_AMOUNT,
                                         .bytes_out = FLOWS_MAX_AMOUNT,
                                         .bytes_in = FLOWS_MAX_AMOUNT});
    said->flows.epoch = UINT64_MAX;
    said->flows.sequence = 7;
    said->flows.lost = 3;
    said->flows.sent_ms = 5;
    said->flows.interrupted = true;
    assert_int_equal(agent_encode(said, &out), 0);
    assert_int_equal(agent_decode(AGENT_SIDE_AGENT, out.data + FRAME_HEADER_SIZE,
                                  out.size - FRAME_HEADER_SIZE, &heard, &what),
                     0);
    assert_same(&said->flows.batch, &heard->flows.batch);
    assert_int_equal(heard->flows.epoch, UINT64_MAX);
    assert_int_equal(heard->flows.sequence, 7);
    assert_int_equal(heard->flows.lost, 3);
    assert_int_equal(heard->flows.sent_ms, 5);
    assert_true(heard->flows.interrupted);
}

static void a_record_of_ordinary_traffic_takes_at_most_sixteen_bytes(void **state)
{
    (void)state;
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;

    fill_ordinary(&b, 2000);
    flow_batch_encode(&b, &out);
    print_message("# %.1f bytes a record\n", (double)out.size / 2000);
    assert_in_range(out.size, 1, 2000 * 16);
    assert_in_range(flow_batch_size_max(&b), out.size, SIZE_MAX);
}

static void an_empty_batch_is_one(void **state)
{
    (void)state;
    CLEANUP(flow_batch_done) struct flow_batch none = {.texts = NULL}, b = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    const char *what;

    flow_batch_encode(&none, &out);
    assert_int_equal(flow_batch_decode(out.data, out.size, &b, &what), 0);
    assert_int_equal(b.n_records, 0);
}

static void a_strange_text_is_escaped_or_cut_and_never_refused(void **state)
{
    (void)state;
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL}, heard = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    char longest[600];
    const char *what;

    memset(longest, 'x', sizeof(longest));
    memcpy(longest + 253, "\xe6\x97\xa5\xe6\x97\xa5", 6); /* A character across the limit. */
    longest[599] = 0;
    assert_int_equal(flow_batch_add_text(&b, ""), 0);
    assert_string_equal(flow_batch_text(&b, flow_batch_add_text(&b, "/tmp/\xff")), "/tmp/\\xff");
    assert_int_equal(strlen(flow_batch_text(&b, flow_batch_add_text(&b, longest))), 253);
    assert_int_equal(flow_batch_add_text(&b, "/tmp/\xff"), 1); /* Known already. */
    flow_batch_encode(&b, &out);
    assert_int_equal(flow_batch_decode(out.data, out.size, &heard, &what), 0);
    assert_int_equal(heard.n_texts, 2);
}

/* What the decoder says of one record with these columns. */
static int verdict_on(const uint64_t kind[11], const uint64_t record[7], uint64_t base)
{
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    const char *what;

    buf_u8(&out, FLOWS_FORMAT);
    buf_varint(&out, 1); /* Texts. */
    buf_varint(&out, 1);
    buf_u8(&out, 'x');
    buf_varint(&out, 1); /* IPv4. */
    buf_be32(&out, 1);
    buf_varint(&out, 0); /* IPv6. */
    buf_varint(&out, 1);
    for (int i = 0; i < 11; i++)
        buf_varint(&out, kind[i]);
    buf_varint(&out, 1);
    buf_varint(&out, base);
    for (int i = 0; i < 7; i++)
        buf_varint(&out, record[i]);
    return flow_batch_decode(out.data, out.size, &b, &what);
}

static void a_number_out_of_range_is_refused(void **state)
{
    (void)state;
    static const uint64_t kind[11] = {0, 6, 443, 0x12, 1, 0, 1, 1, 3, 1, 18};
    static const uint64_t record[7] = {0, 0, 0, 59999, 1, 2, 3};
    static const struct {
        unsigned column;
        uint64_t value;
    } kinds[] = {{0, 1},
                 {1, 256},
                 {2, 65536},
                 {3, 0x80},
                 {3, 0x0c},
                 {3, 0x60},
                 {4, 2},
                 {5, 2},
                 {6, 2},
                 {7, 1u << 31 | UINT64_C(1) << 32},
                 {8, PROGRAM_MAX_RULES + 1},
                 {9, 2},
                 {10, 1}},
      records[] = {{0, 2},
                   {1, 1},
                   {2, 1},
                   {3, 60000},
                   {4, FLOWS_MAX_AMOUNT + 1},
                   {5, FLOWS_MAX_AMOUNT + 1},
                   {6, FLOWS_MAX_AMOUNT + 1}};

    assert_int_equal(verdict_on(kind, record, 60000), 0);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        uint64_t bad[11];

        memcpy(bad, kind, sizeof(bad));
        bad[kinds[i].column] = kinds[i].value;
        assert_int_equal(verdict_on(bad, record, 60000), -EINVAL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        uint64_t bad[7];

        memcpy(bad, record, sizeof(bad));
        bad[records[i].column] = records[i].value;
        assert_int_equal(verdict_on(kind, bad, 60000), -EINVAL);
    }
    assert_int_equal(verdict_on(kind, record, 60001), -EINVAL); /* Two minutes. */
    assert_int_equal(verdict_on(kind, record, UINT64_C(1) << 60), -EINVAL);
}

static void a_count_that_its_bytes_cannot_hold_takes_no_memory(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        int error;
    } cases[] = {
        {"\x02", 1, -EINVAL},                             /* Another format. */
        {"\x01\xff\xff\xff\x7f", 5, -E2BIG},              /* Texts. */
        {"\x01\x00\xff\x3f", 4, -EINVAL},                 /* Addresses without bytes. */
        {"\x01\x00\x00\x00\xff\x1f", 6, -EINVAL},         /* Kinds. */
        {"\x01\x00\x00\x00\x00\xff\x1f\x00", 8, -EINVAL}, /* Records. */
        {"\x01\x00\x00\x00\x00\x00\x00\x00", 8, -EINVAL}, /* Something behind its end. */
        {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, -EINVAL}, /* No 64 bits. */
        {"", 0, -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
        const char *what;

        assert_int_equal(flow_batch_decode(cases[i].bytes, cases[i].size, &b, &what),
                         cases[i].error);
    }
}

static void random_damage_never_gets_through_as_something_unchecked(void **state)
{
    (void)state;
    CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    size_t accepted = 0;

    fill_ordinary(&b, 50);
    flow_batch_encode(&b, &out);
    for (int i = 0; i < 50000; i++) {
        CLEANUP(flow_batch_done) struct flow_batch heard = {.texts = NULL};
        size_t at = next_random((unsigned)out.size), end = out.size - next_random(3) / 2;
        char before = out.data[at];
        const char *what;

        out.data[at] = (char)next_random(256);
        if (flow_batch_decode(out.data, end, &heard, &what) == 0) {
            accepted++;
            for (size_t k = 0; k < heard.n_records; k++) {
                assert_in_range(heard.records[k].kind, 0, heard.n_kinds - 1);
                assert_in_range(heard.records[k].remote, 0, heard.n_addresses - 1);
                assert_in_range(heard.kinds[heard.records[k].kind].process, 0, heard.n_texts);
            }
        }
        out.data[at] = before;
    }
    assert_in_range(accepted, 100, 49999);
}

static void all_varints_are_read_as_they_were_written(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct reader r;

    for (unsigned bit = 0; bit < 64; bit++) {
        buf_varint(&b, UINT64_C(1) << bit);
        buf_varint(&b, (UINT64_C(1) << bit) - 1);
        buf_varint(&b, UINT64_MAX >> bit);
    }
    r = reader_of(b.data, b.size);
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_int_equal(reader_varint(&r), UINT64_C(1) << bit);
        assert_int_equal(reader_varint(&r), (UINT64_C(1) << bit) - 1);
        assert_int_equal(reader_varint(&r), UINT64_MAX >> bit);
    }
    assert_true(reader_ok(&r));
    assert_int_equal(r.left, 0);
    assert_int_equal(reader_varint(&r), 0);
    assert_false(reader_ok(&r));
    r = reader_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    assert_int_equal(reader_varint(&r), 0);
    assert_false(reader_ok(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_arrives_as_it_was_sent),
        cmocka_unit_test(a_record_of_ordinary_traffic_takes_at_most_sixteen_bytes),
        cmocka_unit_test(an_empty_batch_is_one),
        cmocka_unit_test(a_strange_text_is_escaped_or_cut_and_never_refused),
        cmocka_unit_test(a_number_out_of_range_is_refused),
        cmocka_unit_test(a_count_that_its_bytes_cannot_hold_takes_no_memory),
        cmocka_unit_test(random_damage_never_gets_through_as_something_unchecked),
        cmocka_unit_test(all_varints_are_read_as_they_were_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
