/* SPDX-License-Identifier: Apache-2.0 */
/* What exports.h and pairs.h promise, on datagrams made by hand from the documents they name. */
#include "collect/exports.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "collect/pairs.h"
#include "unit/test.h"

#define NOW UINT64_C(1795300000000) /* 2026-11-22 */

enum { SYN = 2, ACK = 16, ALL = 0x1b, CLIENT = 0x0a000001, SERVER = 0x0a000002, LATER = 10000 };

static struct address v4(uint32_t a)
{
    struct address x = {.bytes = {[10] = 0xff, [11] = 0xff}};

    for (int i = 0; i < 4; i++)
        x.bytes[12 + i] = (uint8_t)(a >> (24 - 8 * i));
    return x;
}

static int give(struct exports *e, const struct buf *b)
{
    return exports_take(e, EXPORTS_AUTO, b->data, b->size, NOW);
}

/* All that is held, however long. */
static size_t all(struct exports *e, struct sighting out[], size_t max)
{
    size_t n = 0;

    while (n < max && exports_next(e, NOW + LATER, &out[n])) {
        assert_true(sighting_is_valid(&out[n]));
        n++;
    }
    return n;
}

static void assert_connection(const struct sighting *s, uint16_t port, uint64_t out, uint64_t in)
{
    struct address client = v4(CLIENT), server = v4(SERVER);

    assert_memory_equal(&s->source, &client, sizeof(client));
    assert_memory_equal(&s->destination, &server, sizeof(server));
    assert_int_equal(s->port, port);
    assert_int_equal(s->bytes_out, out);
    assert_int_equal(s->bytes_in, in);
}

/* ---- NetFlow v5 ---- */

static void v5_header(struct buf *b, uint16_t count, uint32_t sequence, uint16_t sampling)
{
    buf_be16(b, 5);
    buf_be16(b, count);
    buf_be32(b, 100000); /* Uptime. */
    buf_be32(b, (uint32_t)(NOW / 1000));
    buf_be32(b, 0);
    buf_be32(b, sequence);
    buf_be16(b, 0x0102);
    buf_be16(b, sampling);
}

static void v5_record(struct buf *b, uint32_t from, uint32_t to, uint16_t from_port,
                      uint16_t to_port, uint8_t protocol, uint8_t flags, uint32_t bytes)
{
    buf_be32(b, from);
    buf_be32(b, to);
    buf_be64(b, 0);
    buf_be32(b, 7); /* Packets. */
    buf_be32(b, bytes);
    buf_be32(b, 97000); /* Three seconds before, */
    buf_be32(b, 99000); /* and one. */
    buf_be16(b, from_port);
    buf_be16(b, to_port);
    buf_u8(b, 0);
    buf_u8(b, flags);
    buf_u8(b, protocol);
    buf_u8(b, 0);
    buf_be64(b, 0);
}

static void both_directions_of_v5_are_one_connection(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    v5_header(&b, 2, 0, 0);
    v5_record(&b, SERVER, CLIENT, 5432, 40000, IPPROTO_TCP, ALL, 900);
    v5_record(&b, CLIENT, SERVER, 40000, 5432, IPPROTO_TCP, ALL, 300);
    assert_int_equal(give(e, &b), 0);
    assert_false(exports_next(e, NOW, &s[0])); /* The other direction may still come. */
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 5432, 300, 900);
    assert_int_equal(s[0].count, 1);
    assert_int_equal(s[0].first_ms, NOW - 3000);
    assert_int_equal(s[0].last_ms, NOW - 1000);
    assert_int_equal(s[0].origin, FLOW_NETFLOW5);
    assert_int_equal(s[0].verdict, VERDICT_ALLOW);
    assert_int_equal(s[0].marks, FLOW_GUESSED); /* Times are equal, so the port decided. */
}

/* Each datagram rounds two clocks, time and uptime: what it tells is known to a millisecond. */
static void who_began_a_millisecond_earlier_is_not_known(void **state)
{
    (void)state;

    for (uint32_t apart_ms = 1; apart_ms <= 2; apart_ms++) {
        CLEANUP(exports_freep) struct exports *e = exports_new(0);
        CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;
        struct sighting s[4];

        v5_header(&a, 1, 0, 0);
        v5_record(&a, SERVER, CLIENT, 5432, 40000, IPPROTO_TCP, ALL, 900);
        v5_header(&b, 1, 1, 0);
        b.data[7] = (char)(b.data[7] - (int)apart_ms); /* Up for less long, at the same time. */
        v5_record(&b, CLIENT, SERVER, 40000, 5432, IPPROTO_TCP, ALL, 300);
        assert_int_equal(give(e, &a), 0);
        assert_int_equal(give(e, &b), 0);
        assert_int_equal(all(e, s, 4), 1);
        if (apart_ms == 1) {
            assert_connection(&s[0], 5432, 300, 900);
            assert_int_equal(s[0].marks, FLOW_GUESSED);
        } else {
            assert_int_equal(s[0].port, 40000);
            assert_int_equal(s[0].marks, 0);
        }
    }
}

static void a_syn_without_ack_says_who_the_client_is(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    v5_header(&b, 2, 0, 0);
    v5_record(&b, CLIENT, SERVER, 80, 40000, IPPROTO_TCP, SYN, 60); /* Ports say the opposite. */
    v5_record(&b, SERVER, CLIENT, 40001, 80, IPPROTO_TCP, SYN | ACK, 60);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 2);
    assert_connection(&s[0], 40000, 60, 0);
    assert_int_equal(s[0].marks, 0);
    assert_int_equal(s[1].port, 80);
    assert_int_equal(s[1].marks, FLOW_GUESSED);
}

static void sampled_amounts_are_estimates(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    v5_header(&b, 1, 0, 0x4000 | 100);
    v5_record(&b, CLIENT, SERVER, 40000, 53, IPPROTO_UDP, 0, 70);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_int_equal(s[0].bytes_out, 7000);
    assert_int_equal(s[0].count, 1);
    assert_int_equal(s[0].marks, FLOW_GUESSED | FLOW_ESTIMATED);
    assert_int_equal(exports_state(e)->sampling, 100);
}

static void gaps_in_a_sequence_are_counted_and_late_ones_taken_back(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    static const struct {
        uint32_t sequence;
        uint64_t lost, late, restarts;
    } steps[] = {{10, 0, 0, 0},         {11, 0, 0, 0},        {15, 3, 0, 0},
                 {13, 2, 1, 0},         {16, 2, 1, 0},        {4000000000, 2, 1, 1},
                 {4000000001, 2, 1, 1}, {UINT32_MAX, 2, 1, 2}};

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        v5_header(&b, 1, steps[i].sequence, 0);
        v5_record(&b, CLIENT, SERVER, 40000, 53, IPPROTO_UDP, 0, 70);
        assert_int_equal(give(e, &b), 0);
        assert_int_equal(exports_state(e)->lost, steps[i].lost);
        assert_int_equal(exports_state(e)->late, steps[i].late);
        assert_int_equal(exports_state(e)->restarts, steps[i].restarts);
    }
}

static void a_datagram_of_another_length_than_it_says_is_malformed(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    v5_header(&b, 2, 0, 0);
    v5_record(&b, CLIENT, SERVER, 40000, 53, IPPROTO_UDP, 0, 70);
    for (size_t size = 0; size <= b.size; size++)
        assert_int_equal(exports_take(e, EXPORTS_AUTO, b.data, size, NOW), -EPROTO);
    assert_int_equal(exports_state(e)->malformed, b.size + 1);
    assert_int_equal(exports_state(e)->records, 0);
}

static void what_was_not_configured_is_not_read(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    v5_header(&b, 1, 0, 0);
    v5_record(&b, CLIENT, SERVER, 40000, 53, IPPROTO_UDP, 0, 70);
    assert_int_equal(exports_take(e, EXPORTS_IPFIX, b.data, b.size, NOW), -EPROTO);
    assert_int_equal(exports_take(e, EXPORTS_SFLOW, b.data, b.size, NOW), -EPROTO);
    assert_int_equal(exports_state(e)->unexpected, 2);
    assert_int_equal(exports_take(e, EXPORTS_NETFLOW, b.data, b.size, NOW), 0);
}

static void records_over_the_bound_are_dropped_and_counted(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(10); /* 20 at once. */
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[64];

    v5_header(&b, 30, 0, 0);
    for (uint16_t i = 0; i < 30; i++)
        v5_record(&b, CLIENT, SERVER, (uint16_t)(40000 + i), 53, IPPROTO_UDP, 0, 70);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->flooded, 10);
    assert_int_equal(all(e, s, 64), 20);
    assert_int_equal(exports_take(e, EXPORTS_AUTO, b.data, b.size, NOW + 1000), 0);
    assert_int_equal(exports_state(e)->flooded, 30); /* A second later there was room for ten. */
}

static void times_that_cannot_be_are_the_present(void **state)
{
    (void)state;
    static const int64_t wrong_s[] = {-30 * 86400, 3600};

    for (size_t i = 0; i < ARRAY_SIZE(wrong_s); i++) {
        CLEANUP(exports_freep) struct exports *e = exports_new(0);
        CLEANUP(buf_done) struct buf b = BUF_INIT;
        struct sighting s[1];

        v5_header(&b, 1, 0, 0);
        v5_record(&b, CLIENT, SERVER, 40000, 53, IPPROTO_UDP, 0, 70);
        assert_int_equal(
            exports_take(e, EXPORTS_AUTO, b.data, b.size, NOW - (uint64_t)(wrong_s[i] * 1000)), 0);
        assert_true(exports_next(e, UINT64_MAX, &s[0]));
        assert_int_equal(s[0].last_ms, NOW - (uint64_t)(wrong_s[i] * 1000));
        assert_true(s[0].marks & FLOW_RETIMED);
        assert_int_equal(exports_state(e)->retimed, 1);
    }
}

static void an_echo_and_its_reply_are_one(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    v5_header(&b, 2, 0, 0);
    v5_record(&b, SERVER, CLIENT, 0, 0, IPPROTO_ICMP, 0, 84);
    v5_record(&b, CLIENT, SERVER, 0, 8 << 8, IPPROTO_ICMP, 0, 42);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 8, 42, 84);
    assert_int_equal(s[0].marks, 0);
}

/* ---- NetFlow v9 and IPFIX ---- */

static void v9_header(struct buf *b, uint32_t sequence, uint32_t source, uint32_t uptime_ms)
{
    buf_be16(b, 9);
    buf_be16(b, 1);
    buf_be32(b, uptime_ms);
    buf_be32(b, (uint32_t)(NOW / 1000));
    buf_be32(b, sequence);
    buf_be32(b, source);
}

/* The fields of 'words' as they are; pairs of element and size. */
static void set_of(struct buf *b, uint16_t set, const uint16_t words[], size_t n)
{
    buf_be16(b, set);
    buf_be16(b, (uint16_t)(4 + 2 * n));
    for (size_t i = 0; i < n; i++)
        buf_be16(b, words[i]);
}
#define SET(b, set, ...)                                                                           \
    do {                                                                                           \
        const uint16_t words_[] = {__VA_ARGS__};                                                   \
        set_of((b), (set), words_, ARRAY_SIZE(words_));                                            \
    } while (0)

static void v9_template(struct buf *b)
{
    SET(b, 0, 256, 9, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 6, 1, 1, 4, 22, 4, 21, 4);
}

static void v9_data(struct buf *b, uint32_t from, uint32_t to, uint16_t from_port, uint16_t to_port,
                    uint32_t bytes)
{
    buf_be16(b, 256);
    buf_be16(b, 4 + 26 + 2); /* Two bytes of padding. */
    buf_be32(b, from);
    buf_be32(b, to);
    buf_be16(b, from_port);
    buf_be16(b, to_port);
    buf_u8(b, IPPROTO_TCP);
    buf_u8(b, SYN);
    buf_be32(b, bytes);
    buf_be32(b, 5000);
    buf_be32(b, 8000);
    buf_be16(b, 0);
}

static void v9_data_waits_for_its_template(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    struct sighting s[4];

    for (uint32_t i = 0; i < 3; i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        v9_header(&b, i, 7, 9000);
        if (i == 1)
            v9_template(&b);
        v9_data(&b, CLIENT, SERVER, (uint16_t)(40000 + i), 443, 100 + i);
        assert_int_equal(give(e, &b), 0);
    }
    assert_int_equal(exports_state(e)->untemplated, 1);
    assert_int_equal(exports_state(e)->n_templates, 1);
    assert_int_equal(exports_state(e)->lost, 0);
    assert_int_equal(all(e, s, 4), 2);
    assert_connection(&s[0], 443, 101, 0);
    assert_int_equal(s[0].origin, FLOW_NETFLOW9);
    assert_int_equal(s[0].first_ms, NOW - 4000);
    assert_int_equal(s[0].last_ms, NOW - 1000);
}

static void a_template_belongs_to_its_domain(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;

    v9_header(&a, 0, 7, 9000);
    v9_template(&a);
    assert_int_equal(give(e, &a), 0);
    v9_header(&b, 0, 8, 9000);
    v9_data(&b, CLIENT, SERVER, 40000, 443, 1);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->untemplated, 1);
    assert_int_equal(exports_state(e)->records, 0);
}

static void a_template_that_is_told_anew_replaces_the_former(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    v9_header(&b, 0, 7, 9000);
    v9_template(&b);
    SET(&b, 0, 256, 5, 12, 4, 8, 4, 11, 2, 7, 2, 4, 1); /* Another order, and fewer. */
    buf_be16(&b, 256);
    buf_be16(&b, 4 + 13 + 3);
    buf_be32(&b, SERVER);
    buf_be32(&b, CLIENT);
    buf_be16(&b, 53);
    buf_be16(&b, 40000);
    buf_u8(&b, IPPROTO_UDP);
    buf_u8(&b, 0);
    buf_be16(&b, 0);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->n_templates, 1);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 53, 0, 0);
    assert_int_equal(s[0].last_ms, NOW); /* No time was told: when it was sent. */
}

static void a_restart_ends_all_templates_of_the_domain(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;

    v9_header(&a, 100, 7, 9000000);
    v9_template(&a);
    assert_int_equal(give(e, &a), 0);
    v9_header(&b, 0, 7, 9000);
    v9_data(&b, CLIENT, SERVER, 40000, 443, 1);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->n_templates, 0);
    assert_int_equal(exports_state(e)->untemplated, 1);
    assert_int_equal(exports_state(e)->restarts, 1);
    assert_int_equal(exports_state(e)->lost, 0);
}

/* Ends a message: its length is known now. */
static void ipfix_length(struct buf *b)
{
    b->data[2] = (char)(b->size >> 8);
    b->data[3] = (char)b->size;
}

static void ipfix_header(struct buf *b, uint32_t sequence, uint32_t domain)
{
    buf_be16(b, 10);
    buf_be16(b, 0);
    buf_be32(b, (uint32_t)(NOW / 1000));
    buf_be32(b, sequence);
    buf_be32(b, domain);
}

static void fields_of_enterprises_and_of_varying_size_are_stepped_over(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    ipfix_header(&b, 0, 1);
    SET(&b, 2, 300, 8, 8, 4, 0x8000 | 8, 4, 0, 9, /* Element 8 of enterprise 9: no address. */
        371, 65535, 82, 65535, 12, 4, 11, 2, 4, 1, 152, 8);
    buf_be16(&b, 300);
    buf_be16(&b, 4 + 4 + 4 + 1 + 3 + 3 + 260 + 4 + 2 + 1 + 8);
    buf_be32(&b, CLIENT);
    buf_be32(&b, 0xffffffff);
    buf_u8(&b, 3);
    buf_add(&b, "bob", 3);
    buf_u8(&b, 255); /* Its size follows in two bytes. */
    buf_be16(&b, 260);
    for (int i = 0; i < 260; i++)
        buf_u8(&b, 'x');
    buf_be32(&b, SERVER);
    buf_be16(&b, 5432);
    buf_u8(&b, IPPROTO_TCP);
    buf_be64(&b, NOW - 5000);
    ipfix_length(&b);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 5432, 0, 0);
    assert_int_equal(s[0].first_ms, NOW - 5000);
    assert_int_equal(s[0].origin, FLOW_IPFIX);
}

static void a_biflow_names_the_one_who_began(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    ipfix_header(&b, 0, 1);
    SET(&b, 2, 300, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 8, 0x8000 | 1, 8, 0, 29305);
    buf_be16(&b, 300);
    buf_be16(&b, 4 + 29);
    buf_be32(&b, CLIENT);
    buf_be32(&b, SERVER);
    buf_be16(&b, 21);
    buf_be16(&b, 60000); /* By the ports it would be the other. */
    buf_u8(&b, IPPROTO_TCP);
    buf_be64(&b, 111);
    buf_be64(&b, 222);
    ipfix_length(&b);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 60000, 111, 222);
    assert_int_equal(s[0].marks, 0);
}

static void a_withdrawn_template_is_gone(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;

    ipfix_header(&a, 0, 1);
    SET(&a, 2, 300, 1, 8, 4, 301, 1, 12, 4, 302, 1, 7, 2);
    ipfix_length(&a);
    assert_int_equal(give(e, &a), 0);
    assert_int_equal(exports_state(e)->n_templates, 3);
    ipfix_header(&b, 0, 1);
    SET(&b, 2, 301, 0);
    ipfix_length(&b);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->n_templates, 2);
    b.data[20] = 0;
    b.data[21] = 2; /* All of them. */
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(exports_state(e)->n_templates, 0);
}

static void an_option_tells_the_sampling_rate(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct sighting s[4];

    ipfix_header(&b, 0, 1);
    SET(&b, 3, 400, 3, 1, 149, 4, 305, 4, 306, 4); /* One scope: the domain. */
    buf_be16(&b, 400);
    buf_be16(&b, 16);
    buf_be32(&b, 1);
    buf_be32(&b, 1);
    buf_be32(&b, 63); /* One packet, then 63 that are left out. */
    SET(&b, 2, 300, 6, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 2);
    buf_be16(&b, 300);
    buf_be16(&b, 4 + 15);
    buf_be32(&b, CLIENT);
    buf_be32(&b, SERVER);
    buf_be16(&b, 40000);
    buf_be16(&b, 80);
    buf_u8(&b, IPPROTO_TCP);
    buf_be16(&b, 10);
    ipfix_length(&b);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 80, 640, 0);
    assert_true(s[0].marks & FLOW_ESTIMATED);
}

/* Open vSwitch 3.1 numbers its datagrams. */
static void a_number_that_counts_datagrams_loses_nothing_but_datagrams(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    static const uint32_t sequences[] = {7, 8, 9, 10, 12};

    for (size_t i = 0; i < ARRAY_SIZE(sequences); i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        v5_header(&b, 3, sequences[i], 0);
        for (uint16_t k = 0; k < 3; k++)
            v5_record(&b, CLIENT, SERVER, (uint16_t)(40000 + k), 53, IPPROTO_UDP, 0, 70);
        assert_int_equal(give(e, &b), 0);
        assert_int_equal(exports_state(e)->lost, i == 4);
        assert_int_equal(exports_state(e)->late, 0);
    }
}

/* softflowd 1.1 counts the records of a message in its number, too. */
static void a_number_that_counts_its_own_records_loses_nothing(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    static const struct {
        uint32_t sequence, n;
        uint64_t lost;
    } messages[] = {{20, 20, 0},
                    {48, 28, 0},
                    {76, 28, 0},
                    {80, 4, 0},
                    {190, 10, 106}}; /* A step by as many as expected, and 106. */

    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        ipfix_header(&b, messages[i].sequence, 1);
        SET(&b, 2, 300, 1, 8, 4);
        buf_be16(&b, 300);
        buf_be16(&b, (uint16_t)(4 + 4 * messages[i].n));
        for (uint32_t k = 0; k < messages[i].n; k++)
            buf_be32(&b, k);
        ipfix_length(&b);
        assert_int_equal(give(e, &b), 0);
        assert_int_equal(exports_state(e)->lost, messages[i].lost);
        assert_int_equal(exports_state(e)->late, 0);
    }
}

static void templates_that_would_never_end_are_refused(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf zero = BUF_INIT, many = BUF_INIT;

    v9_header(&zero, 0, 1, 1);
    SET(&zero, 0, 256, 2, 8, 0, 12, 0);
    assert_int_equal(give(e, &zero), -EPROTO);
    v9_header(&many, 0, 1, 1);
    buf_be16(&many, 0);
    buf_be16(&many, 4 + 4 + 129 * 4);
    buf_be16(&many, 256);
    buf_be16(&many, 129);
    for (uint16_t i = 0; i < 129; i++)
        buf_be32(&many, (uint32_t)(500 + i) << 16 | 1);
    assert_int_equal(give(e, &many), -EPROTO);
    assert_int_equal(exports_state(e)->n_templates, 0);
}

static void the_oldest_template_gives_way_to_the_newest(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);

    for (uint32_t i = 0; i < EXPORTS_MAX_TEMPLATES + 8; i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        v9_header(&b, i, 7, 9000);
        SET(&b, 0, (uint16_t)(256 + i), 1, 8, 4);
        assert_int_equal(exports_take(e, EXPORTS_AUTO, b.data, b.size, NOW + i), 0);
    }
    assert_int_equal(exports_state(e)->n_templates, EXPORTS_MAX_TEMPLATES);
    assert_int_equal(exports_state(e)->evicted, 8);
}

static void a_template_that_nobody_repeats_is_forgotten(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;

    v9_header(&a, 0, 7, 9000);
    v9_template(&a);
    assert_int_equal(give(e, &a), 0);
    v9_header(&b, 1, 7, 9000);
    v9_data(&b, CLIENT, SERVER, 40000, 443, 1);
    assert_int_equal(exports_take(e, EXPORTS_AUTO, b.data, b.size, NOW + EXPORTS_TEMPLATE_MS + 1),
                     0);
    assert_int_equal(exports_state(e)->untemplated, 1);
    assert_int_equal(exports_state(e)->n_templates, 0);
}

/* ---- sFlow ---- */

static void sflow_header(struct buf *b, uint32_t sequence, uint32_t n_samples)
{
    buf_be32(b, 5);
    buf_be32(b, 1);
    buf_be32(b, 0x0a0000fe);
    buf_be32(b, 0);
    buf_be32(b, sequence);
    buf_be32(b, 1000);
    buf_be32(b, n_samples);
}

/* A flow sample with one raw header. */
static void sflow_sample(struct buf *b, uint32_t rate, uint32_t output, uint32_t frame,
                         const struct buf *header)
{
    size_t padded = (header->size + 3) / 4 * 4;

    buf_be32(b, 1);
    buf_be32(b, (uint32_t)(32 + 8 + 16 + padded));
    buf_be32(b, 1);
    buf_be32(b, 3);
    buf_be32(b, rate);
    buf_be32(b, 1000);
    buf_be32(b, 0);
    buf_be32(b, 3);
    buf_be32(b, output);
    buf_be32(b, 1);
    buf_be32(b, 1);
    buf_be32(b, (uint32_t)(16 + padded));
    buf_be32(b, 1);
    buf_be32(b, frame);
    buf_be32(b, 4);
    buf_be32(b, (uint32_t)header->size);
    buf_add(b, header->data, header->size);
    for (size_t i = header->size; i < padded; i++)
        buf_u8(b, 0);
}

static void ethernet(struct buf *b, uint16_t type, bool tagged)
{
    buf_be64(b, 0x0202020202020404);
    buf_be32(b, 0x04040404);
    if (tagged) {
        buf_be16(b, 0x8100);
        buf_be16(b, 42);
    }
    buf_be16(b, type);
}

static void packet_of_v4(struct buf *b, uint32_t from, uint32_t to, uint8_t protocol,
                         uint16_t fragment)
{
    buf_be32(b, 0x45000028);
    buf_be16(b, 1);
    buf_be16(b, fragment);
    buf_u8(b, 64);
    buf_u8(b, protocol);
    buf_be16(b, 0);
    buf_be32(b, from);
    buf_be32(b, to);
}

static void tcp(struct buf *b, uint16_t from, uint16_t to, uint8_t flags)
{
    buf_be16(b, from);
    buf_be16(b, to);
    buf_be64(b, 0);
    buf_u8(b, 0x50);
    buf_u8(b, flags);
    buf_be32(b, 0);
    buf_be16(b, 0);
}

static void samples_of_a_tagged_connection_are_added_up(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf there = BUF_INIT, back = BUF_INIT, b = BUF_INIT;
    struct sighting s[4];

    ethernet(&there, 0x0800, true);
    packet_of_v4(&there, CLIENT, SERVER, IPPROTO_TCP, 0);
    tcp(&there, 6000, 7000, ACK);
    ethernet(&back, 0x0800, true);
    packet_of_v4(&back, SERVER, CLIENT, IPPROTO_TCP, 0);
    tcp(&back, 7000, 6000, SYN | ACK); /* Who answers a SYN is the server. */
    sflow_header(&b, 1, 3);
    sflow_sample(&b, 100, 4, 1000, &there);
    sflow_sample(&b, 100, 4, 60, &back);
    sflow_sample(&b, 100, 4, 500, &there);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 7000, 150000, 6000);
    assert_int_equal(s[0].count, 300);
    assert_int_equal(s[0].origin, FLOW_SFLOW);
    assert_int_equal(s[0].marks, FLOW_ESTIMATED);
    assert_int_equal(s[0].last_ms, NOW);
}

static void what_a_switch_discarded_was_denied_there(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf there = BUF_INIT, b = BUF_INIT;
    struct sighting s[4];

    ethernet(&there, 0x0800, false);
    packet_of_v4(&there, CLIENT, SERVER, IPPROTO_TCP, 0);
    tcp(&there, 40000, 22, SYN);
    sflow_header(&b, 1, 1);
    sflow_sample(&b, 1, 0x40000000 | 2, 60, &there);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 22, 60, 0);
    assert_int_equal(s[0].verdict, VERDICT_DENY);
    assert_int_equal(s[0].marks, 0);
}

static void a_later_fragment_has_no_ports(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf there = BUF_INIT, b = BUF_INIT;
    struct sighting s[4];

    ethernet(&there, 0x0800, false);
    packet_of_v4(&there, CLIENT, SERVER, IPPROTO_UDP, 0x2000 | 185);
    buf_be64(&there, 0x1122334455667788);
    sflow_header(&b, 1, 1);
    sflow_sample(&b, 1, 4, 1500, &there);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_connection(&s[0], 0, 1500, 0);
}

static void an_ipv6_header_is_read_through_its_extensions(void **state)
{
    (void)state;
    CLEANUP(exports_freep) struct exports *e = exports_new(0);
    CLEANUP(buf_done) struct buf there = BUF_INIT, b = BUF_INIT;
    struct sighting s[4];
    char text[ADDRESS_TEXT_SIZE];

    ethernet(&there, 0x86dd, false);
    buf_be32(&there, 0x60000000);
    buf_be16(&there, 40);
    buf_u8(&there, 0); /* Hop-by-hop, */
    buf_u8(&there, 64);
    buf_be64(&there, 0x20010db800000000);
    buf_be64(&there, 1);
    buf_be64(&there, 0x20010db800000000);
    buf_be64(&there, 2);
    buf_u8(&there, 44); /* then a fragment, the first, */
    buf_u8(&there, 0);
    buf_be16(&there, 0);
    buf_be32(&there, 0);
    buf_u8(&there, 58); /* then ICMPv6: an echo. */
    buf_u8(&there, 0);
    buf_be16(&there, 1);
    buf_be32(&there, 77);
    buf_be32(&there, 0x80000000);
    sflow_header(&b, 1, 1);
    sflow_sample(&b, 10, 4, 100, &there);
    assert_int_equal(give(e, &b), 0);
    assert_int_equal(all(e, s, 4), 1);
    assert_string_equal(address_format(&s[0].source, text), "2001:db8::1");
    assert_int_equal(s[0].protocol, IPPROTO_ICMP);
    assert_int_equal(s[0].port, 8);
    assert_int_equal(s[0].bytes_out, 1000);
}

static void a_cut_sflow_datagram_is_malformed_and_harmless(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf there = BUF_INIT, b = BUF_INIT;

    ethernet(&there, 0x0800, false);
    packet_of_v4(&there, CLIENT, SERVER, IPPROTO_TCP, 0);
    tcp(&there, 40000, 22, SYN);
    sflow_header(&b, 1, 1);
    sflow_sample(&b, 1, 4, 60, &there);
    for (size_t size = 0; size < b.size; size++) {
        CLEANUP(exports_freep) struct exports *e = exports_new(0);

        assert_int_equal(exports_take(e, EXPORTS_AUTO, b.data, size, NOW), -EPROTO);
        assert_int_equal(exports_state(e)->records, 0);
    }
}

/* ---- pairs ---- */

static void pieces_far_apart_in_time_are_not_one(void **state)
{
    (void)state;
    CLEANUP(pairs_freep) struct pairs *p = pairs_new(8);
    struct heard h = {.s = {.source = v4(CLIENT),
                            .destination = v4(SERVER),
                            .first_ms = NOW,
                            .last_ms = NOW,
                            .count = 1,
                            .bytes_out = 1,
                            .source_port = 40000,
                            .port = 80,
                            .protocol = IPPROTO_TCP,
                            .verdict = VERDICT_ALLOW,
                            .origin = FLOW_AWS}};
    struct sighting s;
    uint32_t teller;

    assert_int_equal(pairs_add(p, &h, 0), 0);
    h.s.first_ms = h.s.last_ms = NOW + 600000;
    assert_int_equal(pairs_add(p, &h, 0), 0);
    h.s.first_ms = h.s.last_ms = NOW + 600001;
    assert_int_equal(pairs_add(p, &h, 0), 0); /* Belongs to the second. */
    h.teller = 1;
    assert_int_equal(pairs_add(p, &h, 0), 0); /* Somebody else's. */
    assert_int_equal(pairs_count(p), 3);
    assert_true(pairs_next(p, 1, 0, &s, &teller));
    assert_int_equal(s.bytes_out, 1);
    assert_true(pairs_next(p, 1, 0, &s, &teller));
    assert_int_equal(s.bytes_out, 2);
    assert_true(pairs_next(p, 1, 0, &s, &teller));
    assert_int_equal(teller, 1);
    assert_false(pairs_next(p, 1, 0, &s, &teller));
}

static void a_full_table_refuses_and_goes_on(void **state)
{
    (void)state;
    CLEANUP(pairs_freep) struct pairs *p = pairs_new(4);
    struct heard h = {.s = {.source = v4(CLIENT), .destination = v4(SERVER), .port = 80}};
    struct sighting s;
    uint32_t teller;

    for (uint16_t round = 0; round < 1000; round++) {
        h.s.source_port = round;
        assert_int_equal(pairs_add(p, &h, 0), round < 4 || round % 2 ? 0 : -ENOBUFS);
        if (round >= 4 && round % 2 == 0) {
            assert_true(pairs_next(p, 0, 0, &s, &teller));
        }
    }
    assert_int_equal(pairs_count(p), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_of_v5_are_one_connection),
        cmocka_unit_test(who_began_a_millisecond_earlier_is_not_known),
        cmocka_unit_test(a_syn_without_ack_says_who_the_client_is),
        cmocka_unit_test(sampled_amounts_are_estimates),
        cmocka_unit_test(gaps_in_a_sequence_are_counted_and_late_ones_taken_back),
        cmocka_unit_test(a_datagram_of_another_length_than_it_says_is_malformed),
        cmocka_unit_test(what_was_not_configured_is_not_read),
        cmocka_unit_test(records_over_the_bound_are_dropped_and_counted),
        cmocka_unit_test(times_that_cannot_be_are_the_present),
        cmocka_unit_test(an_echo_and_its_reply_are_one),
        cmocka_unit_test(v9_data_waits_for_its_template),
        cmocka_unit_test(a_template_belongs_to_its_domain),
        cmocka_unit_test(a_template_that_is_told_anew_replaces_the_former),
        cmocka_unit_test(a_restart_ends_all_templates_of_the_domain),
        cmocka_unit_test(fields_of_enterprises_and_of_varying_size_are_stepped_over),
        cmocka_unit_test(a_biflow_names_the_one_who_began),
        cmocka_unit_test(a_withdrawn_template_is_gone),
        cmocka_unit_test(an_option_tells_the_sampling_rate),
        cmocka_unit_test(a_number_that_counts_datagrams_loses_nothing_but_datagrams),
        cmocka_unit_test(a_number_that_counts_its_own_records_loses_nothing),
        cmocka_unit_test(templates_that_would_never_end_are_refused),
        cmocka_unit_test(the_oldest_template_gives_way_to_the_newest),
        cmocka_unit_test(a_template_that_nobody_repeats_is_forgotten),
        cmocka_unit_test(samples_of_a_tagged_connection_are_added_up),
        cmocka_unit_test(what_a_switch_discarded_was_denied_there),
        cmocka_unit_test(a_later_fragment_has_no_ports),
        cmocka_unit_test(an_ipv6_header_is_read_through_its_extensions),
        cmocka_unit_test(a_cut_sflow_datagram_is_malformed_and_harmless),
        cmocka_unit_test(pieces_far_apart_in_time_are_not_one),
        cmocka_unit_test(a_full_table_refuses_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
