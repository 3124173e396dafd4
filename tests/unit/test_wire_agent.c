/* SPDX-License-Identifier: Apache-2.0 */
/* What wire/frame.h, core/delta.h and wire/agent.h promise. */
#include "unit/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "wire/agent_shared.h"
#include "wire/frame.h"
#include "wire/records.h"

static unsigned rng = 1;

static unsigned next_random(unsigned n)
{
    rng = rng * 1103515245u + 12345u;
    return (rng >> 16) % n;
}

/* A sound program of random tables. */
static struct program *random_program(uint64_t revision)
{
    struct program *p = program_new();
    const char *what;

    p->revision = revision;
    memcpy(p->endpoint, "web1", 5);
    p->identity = 7;
    p->mode = MODE_TEST;
    p->n_rules = 1 + next_random(20);
    p->rules = xcalloc(p->n_rules, sizeof(*p->rules));
    for (size_t i = 0; i < p->n_rules; i++)
        (void)snprintf(p->rules[i].id, sizeof(p->rules[i].id), "rule-%zu", i);
    p->entries = xcalloc(64, sizeof(*p->entries));
    for (uint32_t i = 0; i < 64; i++)
        if (next_random(2))
            p->entries[p->n_entries++] = (struct program_entry){
                .remote = i / 8,
                .service = (uint16_t)(i % 8),
                .direction = (uint8_t)(i % 2),
                .word = (uint8_t)next_random(3),
                .layer = LAYER_ALLOW,
                .rule = next_random((unsigned)p->n_rules),
            };
    p->addresses = xcalloc(32, sizeof(*p->addresses));
    for (uint32_t i = 0; i < 32; i++)
        if (next_random(2))
            p->addresses[p->n_addresses++] = (struct program_address){
                .address.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)i},
                .length = 128,
                .mode = MODE_ENFORCE,
                .trust = (uint8_t)next_random(3),
                .self = i == 0,
                .identity = i,
            };
    p->services = xcalloc(1, sizeof(*p->services));
    p->services[0] = (struct program_service){IPPROTO_TCP, 80, (uint16_t)(81 + next_random(2)), 3};
    p->n_services = 1;
    p->processes = xcalloc(1, sizeof(*p->processes));
    p->processes[0] = (struct program_process){.class = 1, .path = "/usr/sbin/nginx"};
    p->n_processes = 1;
    p->users = xcalloc(1, sizeof(*p->users));
    p->users[0] = (struct program_user){.class = 9, .name = "ops-1"};
    p->n_users = next_random(2);
    p->lifeline[0] = (struct program_lifeline){
        .address.bytes = {[15] = 1}, .port = 7443, .protocol = IPPROTO_TCP};
    p->n_lifeline = 1;
    assert_int_equal(program_check(p, &what), 0);
    return p;
}

static void assert_same_program(const struct program *a, const struct program *b)
{
    CLEANUP(delta_freep) struct delta *d = delta_make(a, b);

    assert_int_equal(delta_weight(d), 0);
    assert_int_equal(a->revision, b->revision);
    assert_string_equal(a->endpoint, b->endpoint);
    assert_int_equal(a->identity, b->identity);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->trust, b->trust);
    assert_int_equal(a->n_lifeline, b->n_lifeline);
    assert_memory_equal(a->lifeline, b->lifeline, sizeof(a->lifeline));
    assert_int_equal(a->n_entries, b->n_entries);
    assert_int_equal(a->n_addresses, b->n_addresses);
    assert_int_equal(a->n_services, b->n_services);
    assert_int_equal(a->n_processes, b->n_processes);
    assert_int_equal(a->n_users, b->n_users);
    assert_int_equal(a->n_rules, b->n_rules);
}

/* Through bytes: what was said is what is heard. */
static struct agent_message *hear(enum agent_side from, const struct agent_message *said)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct agent_message *heard = NULL;
    const char *what = "";
    size_t size = 0;

    assert_int_equal(agent_encode(said, &out), 0);
    assert_int_equal(frame_peek(out.data, out.size, agent_frame_max(from), &size), 1);
    assert_int_equal(size, out.size - FRAME_HEADER_SIZE);
    if (agent_decode(from, out.data + FRAME_HEADER_SIZE, size, &heard, &what) < 0)
        print_message("not heard: %s\n", what);
    assert_non_null(heard);
    assert_int_equal(heard->kind, said->kind);
    return heard;
}

static int refusal(enum agent_side from, const struct agent_message *said)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
    const char *what = NULL;
    int r;

    assert_int_equal(agent_encode(said, &out), 0);
    r = agent_decode(from, out.data + FRAME_HEADER_SIZE, out.size - FRAME_HEADER_SIZE, &heard,
                     &what);
    assert_true(r == 0 || (what && what[0] && !heard));
    return r;
}

static void a_frame_is_known_by_its_first_four_bytes(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    size_t size = 42, mark;

    frame_put(&b, "abc", 3);
    assert_int_equal(frame_peek(b.data, 3, 10, &size), 0);
    assert_int_equal(size, 42);
    assert_int_equal(frame_peek(b.data, 4, 10, &size), 1);
    assert_int_equal(size, 3);
    assert_int_equal(frame_peek(b.data, b.size, 2, &size), -EMSGSIZE);
    assert_int_equal(frame_peek("\0\0\0\0", 4, 10, &size), -EBADMSG);
    assert_int_equal(frame_peek("\xff\xff\xff\xff", 4, FRAME_TO_AGENT_MAX, &size), -EMSGSIZE);
    mark = frame_begin(&b);
    buf_puts(&b, "hello");
    frame_end(&b, mark);
    assert_int_equal(frame_peek(b.data + 7, 4, 10, &size), 1);
    assert_int_equal(size, 5);
}

static void a_delta_turns_any_program_into_any_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        CLEANUP(program_freep) struct program *a = random_program(i + 1);
        CLEANUP(program_freep) struct program *b = random_program(i + 2);
        CLEANUP(program_freep) struct program *c = NULL;
        CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_DELTA);
        CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
        const char *what;

        said->delta.delta = delta_make(a, b);
        said->delta.confirm_s = 300;
        heard = hear(AGENT_SIDE_CONTROLLER, said);
        assert_int_equal(heard->delta.confirm_s, 300);
        assert_int_equal(delta_apply(a, heard->delta.delta, &c, &what), 0);
        assert_same_program(b, c);
    }
}

/* Through a shared encoding: 'said' is for b's endpoint, or for one of any other name. */
static void hear_shared(struct agent_message *said, const char *endpoint)
{
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
    CLEANUP(buf_done) struct buf frame = BUF_INIT;
    CLEANUP(buf_done) struct buf plain = BUF_INIT;
    CLEANUP(buf_done) struct buf again = BUF_INIT;
    struct agent_shared_delta shared;
    const char *what = "";
    size_t size = 0;

    agent_share_delta(&said->delta, &shared);
    assert_int_equal(agent_encode_shared(&shared, endpoint, &frame), 0);
    agent_shared_delta_done(&shared);
    assert_int_equal(frame_peek(frame.data, frame.size, FRAME_TO_AGENT_MAX, &size), 1);
    assert_int_equal(size, frame.size - FRAME_HEADER_SIZE);
    assert_int_equal(
        agent_decode(AGENT_SIDE_CONTROLLER, frame.data + FRAME_HEADER_SIZE, size, &heard, &what),
        0);
    (void)snprintf(said->delta.delta->put->endpoint, PROGRAM_NAME_SIZE, "%s", endpoint);
    assert_int_equal(agent_encode(said, &plain), 0);
    assert_int_equal(agent_encode(heard, &again), 0);
    assert_int_equal(plain.size, again.size);
    assert_memory_equal(plain.data, again.data, plain.size);
    assert_int_equal(plain.size, frame.size);
}

static void a_delta_encoded_for_many_is_heard_as_one_for_each(void **state)
{
    static const char *const names[] = {
        "e", "web1", "a-name-that-is-long-but-not-too-long-for-the-protocol-to-carry"};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        CLEANUP(program_freep) struct program *a = random_program(i + 1);
        CLEANUP(program_freep) struct program *b = random_program(i + 2);
        CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_DELTA);

        said->delta.delta = delta_make(a, b);
        said->delta.confirm_s = i % 2 ? 300 : 0;
        said->delta.trust_sequence = i;
        for (size_t k = 0; k < ARRAY_SIZE(names); k++)
            hear_shared(said, names[k]);
    }
}

static void a_delta_fits_only_its_base(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *a = random_program(4);
    CLEANUP(program_freep) struct program *b = random_program(5);
    CLEANUP(delta_freep) struct delta *d = delta_make(a, b);
    struct program *c = NULL;
    const char *what;

    a->revision = 3;
    assert_int_equal(delta_apply(a, d, &c, &what), -ESTALE);
    a->revision = 4;
    a->n_entries = 0;
    d->n_gone_entries = 1;
    free(d->gone_entries);
    d->gone_entries = xcalloc(1, sizeof(*d->gone_entries));
    d->gone_entries[0].remote = 12345;
    assert_int_equal(delta_apply(a, d, &c, &what), -ENOENT);
    assert_null(c);
}

static void a_delta_that_makes_an_unsound_program_is_refused(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *a = random_program(4);
    CLEANUP(program_freep) struct program *b = random_program(5);
    CLEANUP(delta_freep) struct delta *d = NULL;
    struct program *c = NULL;
    const char *what;

    a->n_rules = b->n_rules = a->n_rules < b->n_rules ? a->n_rules : b->n_rules;
    b->entries[0].rule = (uint32_t)b->n_rules + 1;
    b->entries[0].word = PROGRAM_ALLOW;
    a->entries[0].remote = 999; /* So that entry 0 of b is certainly put. */
    d = delta_make(a, b);
    d->n_gone_entries = 0;
    assert_int_equal(delta_apply(a, d, &c, &what), -EINVAL);
    assert_null(c);
}

static void a_snapshot_arrives_as_it_was_sent(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_SNAPSHOT);
        CLEANUP(agent_message_freep) struct agent_message *heard = NULL;

        said->snapshot.program = random_program(i + 1);
        said->snapshot.trust_sequence = 1ull << 40;
        heard = hear(AGENT_SIDE_CONTROLLER, said);
        assert_same_program(said->snapshot.program, heard->snapshot.program);
        assert_int_equal(heard->snapshot.trust_sequence, 1ull << 40);
    }
}

static struct rope_block *block(struct buf *b)
{
    return rope_block_new(b);
}

/* 'p' through its parts, which know nothing of its endpoint: the frame. */
static void frame_of_parts(const struct program *p, const struct agent_own *head, struct buf *frame)
{
    CLEANUP(rope_done) struct rope rope = {.n = 0};
    CLEANUP(program_freep) struct program *others = program_copy(p);
    struct agent_shared_snapshot parts = {.n_addresses = p->n_addresses};
    struct agent_own own = *head;
    struct buf bytes[4] = {BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT};
    uint32_t rows[32];

    own.rows = rows;
    for (uint32_t i = 0; i < p->n_addresses; i++)
        if (p->addresses[i].self)
            rows[own.n_rows++] = i;
    memcpy(others->endpoint, "else", 5);
    others->trust = TRUST_BLACK;
    agent_share_common(others, &bytes[0]);
    agent_share_kin(others, &bytes[1]);
    agent_share_addresses(others->addresses, others->n_addresses, &bytes[2]);
    agent_share_selves(others->n_addresses, &bytes[3]);
    parts.common = block(&bytes[0]);
    parts.kin = block(&bytes[1]);
    parts.addresses = block(&bytes[2]);
    parts.selves = block(&bytes[3]);
    assert_int_equal(agent_encode_snapshot(&parts, &own, &rope), 0);
    rope_block_drop(parts.common);
    rope_block_drop(parts.kin);
    rope_block_drop(parts.addresses);
    rope_block_drop(parts.selves);
    rope_copy(&rope, frame);
    assert_int_equal(frame->size, rope.size);
}

static void a_snapshot_put_together_of_parts_is_heard_as_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_SNAPSHOT);
        CLEANUP(agent_message_freep) struct agent_message *plain = NULL;
        CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
        CLEANUP(buf_done) struct buf frame = BUF_INIT, a = BUF_INIT, b = BUF_INIT;
        struct program *p = said->snapshot.program = random_program(i + 1);
        struct agent_own own = {.endpoint = p->endpoint,
                                .identity = p->identity,
                                .mode = p->mode,
                                .trust = p->trust,
                                .confirm_s = i % 2 ? 300 : 0,
                                .trust_sequence = 1ull << (i % 60)};
        const char *what = "";
        size_t size = 0;

        for (size_t k = 0; k < p->n_addresses; k++) {
            p->addresses[k].self = next_random(3) == 0;
            p->addresses[k].identity *= 0x01234567; /* Of one to five bytes. */
        }
        said->snapshot.confirm_s = own.confirm_s;
        said->snapshot.trust_sequence = own.trust_sequence;
        plain = hear(AGENT_SIDE_CONTROLLER, said);
        frame_of_parts(p, &own, &frame);
        assert_int_equal(frame_peek(frame.data, frame.size, FRAME_TO_AGENT_MAX, &size), 1);
        assert_int_equal(size, frame.size - FRAME_HEADER_SIZE);
        assert_int_equal(agent_decode(AGENT_SIDE_CONTROLLER, frame.data + FRAME_HEADER_SIZE, size,
                                      &heard, &what),
                         0);
        assert_int_equal(heard->kind, AGENT_SNAPSHOT);
        assert_int_equal(heard->snapshot.confirm_s, own.confirm_s);
        assert_int_equal(heard->snapshot.trust_sequence, own.trust_sequence);
        program_encode(plain->snapshot.program, &a);
        program_encode(heard->snapshot.program, &b);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
    }
}

static void an_unsound_snapshot_is_refused(void **state)
{
    (void)state;
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_SNAPSHOT);
    struct program *p = m->snapshot.program = random_program(1);

    p->services[0].low = 90;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), -EINVAL);
    p->services[0].low = 80;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), 0);
    p->processes[0].path[0] = '\xff';
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), -EINVAL);
    p->processes[0].path[0] = '/';
    m->snapshot.confirm_s = AGENT_MAX_CONFIRM_S + 1;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), -EINVAL);
}

static void each_side_says_only_what_is_its_to_say(void **state)
{
    (void)state;
    static const struct {
        enum agent_kind kind;
        enum agent_side from;
    } cases[] = {
        {AGENT_CONFIRM, AGENT_SIDE_CONTROLLER},        {AGENT_TRUST, AGENT_SIDE_CONTROLLER},
        {AGENT_STATUS_REQUEST, AGENT_SIDE_CONTROLLER}, {AGENT_REFUSED, AGENT_SIDE_CONTROLLER},
        {AGENT_FLOWS_ACK, AGENT_SIDE_CONTROLLER},      {AGENT_FLOWS, AGENT_SIDE_AGENT},
        {AGENT_STATUS_REPLY, AGENT_SIDE_AGENT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(cases[i].kind);

        if (m->kind == AGENT_FLOWS)
            m->flows.sequence = 1;
        assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m),
                         cases[i].from == AGENT_SIDE_CONTROLLER ? 0 : -EACCES);
        assert_int_equal(refusal(AGENT_SIDE_AGENT, m),
                         cases[i].from == AGENT_SIDE_AGENT ? 0 : -EACCES);
        assert_int_equal(refusal(AGENT_SIDE_STRANGER, m), -EACCES);
    }
}

static void a_control_count_is_between_one_and_its_limit(void **state)
{
    (void)state;
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_CONTROL);

    memcpy(m->control.target, "web1", 5);
    m->control.verb = AGENT_VERB_VERIFY;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), -EINVAL);
    m->control.count = 1;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), 0);
    m->control.count = AGENT_MAX_CONTROL_COUNT;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), 0);
    m->control.count = AGENT_MAX_CONTROL_COUNT + 1;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, m), -EINVAL);
}

static void trust_status_and_hello_arrive_as_they_were_sent(void **state)
{
    (void)state;
    CLEANUP(agent_message_freep) struct agent_message *trust = agent_message_new(AGENT_TRUST);
    CLEANUP(agent_message_freep)
    struct agent_message *status = agent_message_new(AGENT_STATUS_REPLY);
    CLEANUP(agent_message_freep) struct agent_message *hello = agent_message_new(AGENT_HELLO);
    CLEANUP(agent_message_freep) struct agent_message *trust2 = NULL;
    CLEANUP(agent_message_freep) struct agent_message *status2 = NULL;
    CLEANUP(agent_message_freep) struct agent_message *hello2 = NULL;

    trust->trust.sequence = 5;
    trust->trust.n_items = 1;
    trust->trust.items = xcalloc(1, sizeof(*trust->trust.items));
    trust->trust.items[0] =
        (struct agent_trust_item){.address.bytes = {[15] = 9}, .trust = TRUST_BLACK};
    trust2 = hear(AGENT_SIDE_CONTROLLER, trust);
    assert_int_equal(trust2->trust.sequence, 5);
    assert_memory_equal(trust2->trust.items, trust->trust.items, sizeof(*trust->trust.items));
    trust->trust.items[0].trust = TRUST_BLACK + 1;
    assert_int_equal(refusal(AGENT_SIDE_CONTROLLER, trust), -EINVAL);

    status->status_reply.nonce = 77;
    status->status_reply.n_hooks = status->status_reply.n_counters = 1;
    status->status_reply.hooks = xcalloc(1, sizeof(struct agent_hook));
    status->status_reply.hooks[0] =
        (struct agent_hook){.name = "connect4", .state = AGENT_HOOK_REPAIRED, .hits = 3};
    status->status_reply.counters = xcalloc(1, sizeof(struct agent_counter));
    status->status_reply.counters[0] = (struct agent_counter){.name = "lost", .value = 4};
    status2 = hear(AGENT_SIDE_AGENT, status);
    assert_int_equal(status2->status_reply.nonce, 77);
    assert_string_equal(status2->status_reply.hooks[0].name, "connect4");
    assert_int_equal(status2->status_reply.hooks[0].state, AGENT_HOOK_REPAIRED);
    assert_int_equal(status2->status_reply.counters[0].value, 4);

    assert_int_equal(refusal(AGENT_SIDE_AGENT, hello), -EINVAL); /* Nameless. */
    memcpy(hello->hello.endpoint, "web1", 5);
    hello->hello.n_features = 1;
    hello->hello.features = xcalloc(1, PROGRAM_NAME_SIZE);
    memcpy(hello->hello.features[0], "tcx", 4);
    hello2 = hear(AGENT_SIDE_AGENT, hello);
    assert_string_equal(hello2->hello.features[0], "tcx");
}

static void a_stranger_may_only_enroll(void **state)
{
    (void)state;
    CLEANUP(agent_message_freep) struct agent_message *m = agent_message_new(AGENT_ENROLL);
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;

    memcpy(m->enroll.token, "smt1.a.b.c", 11);
    assert_int_equal(refusal(AGENT_SIDE_STRANGER, m), -EINVAL); /* No request. */
    m->enroll.csr = xstrdup("-----BEGIN");
    heard = hear(AGENT_SIDE_STRANGER, m);
    assert_string_equal(heard->enroll.token, "smt1.a.b.c");
    assert_int_equal(refusal(AGENT_SIDE_AGENT, m), -EACCES);
}

static void few_bytes_cannot_ask_for_much_memory(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
    const char *what;
    enum { N = 400000 };

    /* Field 16 (hello), then N empty features of two bytes: their strings would be 13 MB. */
    buf_add(&b, "\x82\x01", 2);
    buf_add(&b, "\x80\xea\x30", 3); /* 800,000 as a varint. */
    for (int i = 0; i < N; i++)
        buf_add(&b, "\x32\x00", 2);
    assert_int_equal(agent_decode(AGENT_SIDE_AGENT, b.data, b.size, &heard, &what), -EBADMSG);
}

static void random_damage_never_gets_through_as_something_unchecked(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(agent_message_freep) struct agent_message *said = agent_message_new(AGENT_SNAPSHOT);
    size_t accepted = 0;

    said->snapshot.program = random_program(3);
    assert_int_equal(agent_encode(said, &out), 0);
    for (int i = 0; i < 20000; i++) {
        CLEANUP(agent_message_freep) struct agent_message *heard = NULL;
        size_t at = FRAME_HEADER_SIZE + next_random((unsigned)out.size - FRAME_HEADER_SIZE);
        char before = out.data[at];
        const char *what = NULL;

        out.data[at] = (char)next_random(256);
        if (agent_decode(AGENT_SIDE_CONTROLLER, out.data + FRAME_HEADER_SIZE,
                         out.size - FRAME_HEADER_SIZE, &heard, &what) == 0) {
            accepted++;
            if (heard->kind == AGENT_SNAPSHOT)
                assert_int_equal(program_check(heard->snapshot.program, &what), 0);
        } else {
            assert_true(what && what[0]);
        }
        out.data[at] = before;
    }
    assert_true(accepted > 0 && accepted < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_known_by_its_first_four_bytes),
        cmocka_unit_test(a_delta_turns_any_program_into_any_other),
        cmocka_unit_test(a_delta_encoded_for_many_is_heard_as_one_for_each),
        cmocka_unit_test(a_delta_fits_only_its_base),
        cmocka_unit_test(a_delta_that_makes_an_unsound_program_is_refused),
        cmocka_unit_test(a_snapshot_arrives_as_it_was_sent),
        cmocka_unit_test(a_snapshot_put_together_of_parts_is_heard_as_one),
        cmocka_unit_test(an_unsound_snapshot_is_refused),
        cmocka_unit_test(each_side_says_only_what_is_its_to_say),
        cmocka_unit_test(a_control_count_is_between_one_and_its_limit),
        cmocka_unit_test(trust_status_and_hello_arrive_as_they_were_sent),
        cmocka_unit_test(a_stranger_may_only_enroll),
        cmocka_unit_test(few_bytes_cannot_ask_for_much_memory),
        cmocka_unit_test(random_damage_never_gets_through_as_something_unchecked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
