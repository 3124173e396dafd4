/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of replay.h: what a candidate would change is what the programs of its endpoints
 * say, and the reasons beside it are facts of the records. */
#include "core/replay.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/compile.h"
#include "core/edge_view.h"
#include "text/policy.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { PAIRS = 300, FLOWS = 150 };

static const int64_t now_s = 1795391999; /* As naive.c takes it: the last second of a day. */

/* The keeper's dictionary: number n is texts[n]. */
static const char *const texts[] = {"",     "e0",   "e1",   "e2", "e3", "e4", "e5",
                                    "/p/a", "/p/b", "/p/c", "u1", "u2", "u3", "gone"};
enum { PROGRAMS = 7, N_PROGRAMS = 3, USERS = 10, N_USERS = 3, GONE = 13 };

static const char *text_of(const void *keeper, text_t number)
{
    (void)keeper;
    assert_true(number < ARRAY_SIZE(texts));
    return texts[number];
}

struct side {
    struct policy *policy;
    struct inventory *inventory;
    struct compiled *compiled;
};

static void make_side(struct side *s, struct buf *policy, struct buf *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source a = {"policy.yaml", buf_str(policy), policy->size};
    struct source b = {"inventory.yaml", buf_str(inventory), inventory->size};
    struct compile_options options = {.revision = 7, .now_s = now_s};
    const char *what;

    assert_int_equal(policy_read(&a, 1, d, &s->policy), 0);
    assert_int_equal(inventory_read(&b, 1, d, &s->inventory), 0);
    assert_int_equal(compile(s->policy, s->inventory, &options, &s->compiled, &what), 0);
}

static void end_side(struct side *s)
{
    compiled_free(s->compiled);
    inventory_free(s->inventory);
    policy_free(s->policy);
}

/* The endpoint's own program, apart from all sharing. */
static struct program_answer ask(const struct side *s, const struct flow *f)
{
    CLEANUP(program_freep) struct program *p = NULL, *view = NULL;
    bool out = f->direction == DIRECTION_OUT;
    struct program_query q = {.direction = (enum direction)f->direction,
                              .remote = out ? f->destination : f->source,
                              .protocol = f->protocol,
                              .port = f->port,
                              .process = f->process ? texts[f->process] : NULL,
                              .user = f->user ? texts[f->user] : NULL};
    const char *what;

    assert_int_equal(compiled_program(s->compiled, texts[out ? f->from : f->to], &p, &what), 0);
    if (f->origin != FLOW_EDGE)
        return program_judge(p, &q);
    view = edge_view(p);
    return program_judge(view, &q);
}

static struct address address_of(const struct side *s, text_t name)
{
    return inventory_endpoint(s->inventory, texts[name])->addresses[0];
}

static struct flow random_flow(const struct side *s)
{
    static const char *const outside[] = {"203.0.113.5", "198.51.100.7", "2001:db8::1"};
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct flow f = {.count = 1 + naive_random(5), .bytes_out = 10, .uid = UINT32_MAX};
    text_t *local, *remote;
    struct address *there;

    f.direction = (uint8_t)naive_random(2);
    local = f.direction == DIRECTION_OUT ? &f.from : &f.to;
    remote = f.direction == DIRECTION_OUT ? &f.to : &f.from;
    there = f.direction == DIRECTION_OUT ? &f.destination : &f.source;
    *local = 1 + naive_random(N_ENDPOINTS);
    *remote = naive_random(N_ENDPOINTS + 1);
    if (*remote)
        *there = address_of(s, *remote);
    else
        assert_int_equal(address_parse(outside[naive_random(3)], there), 0);
    if (f.direction == DIRECTION_OUT)
        f.source = address_of(s, *local);
    else
        f.destination = address_of(s, *local);
    f.protocol = protocols[naive_random(4)];
    f.port = f.protocol == IPPROTO_ICMP ? (uint16_t)(naive_random(2) * 8)
                                        : (uint16_t)(99 + naive_random(13));
    f.origin = naive_random(4) ? FLOW_AGENT : FLOW_EDGE;
    if (f.origin == FLOW_AGENT && naive_random(3))
        f.process = PROGRAMS + naive_random(N_PROGRAMS);
    if (f.origin == FLOW_AGENT && naive_random(3))
        f.user = USERS + naive_random(N_USERS);
    f.first_ms = f.last_ms = (uint64_t)now_s * 1000 + naive_random(3) * 3600000ull;
    return f;
}

static bool changes(const struct flow *f, enum verdict now)
{
    return f->verdict != now;
}

static bool same_service(const struct flow *a, const struct flow *b)
{
    return a->from == b->from && a->to == b->to && a->protocol == b->protocol &&
           a->port == b->port && (a->from || address_compare(&a->source, &b->source) == 0) &&
           (a->to || address_compare(&a->destination, &b->destination) == 0);
}

/* Does this change tell of the record, which may be the edge's or the other end's? */
static bool tells_of(const struct replay_change *c, const struct flow *f)
{
    if (!same_service(&c->flow, f))
        return false;
    if (c->flow.direction != f->direction)
        return c->flow.direction == DIRECTION_OUT;
    return f->origin == FLOW_EDGE || (c->flow.process == f->process && c->flow.user == f->user);
}

/* Each change that is told is one; each record whose verdict changes is told, by itself or by
 * another. */
static void compare(const struct side *b, const struct flow flows[], const struct replay *r)
{
    const struct replay_change *all;
    size_t n = replay_changes(r, &all);

    for (size_t i = 0; i < n; i++) {
        struct program_answer now = ask(b, &all[i].flow);

        assert_int_equal(now.verdict, all[i].verdict);
        assert_int_equal(now.layer, all[i].layer);
        assert_true(changes(&all[i].flow, now.verdict));
        assert_string_equal(now.rule ? compiled_rule_name(b->compiled, 7, now.rule) : "",
                            all[i].rule);
    }
    for (size_t i = 0; i < FLOWS; i++) {
        enum verdict now = ask(b, &flows[i]).verdict;
        bool told = false;

        for (size_t k = 0; k < n; k++)
            told = told || tells_of(&all[k], &flows[i]);
        assert_true(told || !changes(&flows[i], now));
    }
}

static void a_candidate_changes_what_its_programs_say(void **state)
{
    uint64_t seen[REPLAY_KINDS] = {0};
    (void)state;

    for (int pair = 0; pair < PAIRS; pair++) {
        CLEANUP(buf_done)
        struct buf policy = BUF_INIT, inventory = BUF_INIT, other = BUF_INIT, ignored = BUF_INIT;
        struct n_policy first, second;
        struct side a, b;
        struct flow flows[FLOWS];
        struct replay *r;
        const char *what;

        naive_make(&first);
        naive_make(&second);
        naive_write(&first, &policy, &inventory);
        naive_write(&second, &other, &ignored);
        make_side(&a, &policy, &inventory);
        make_side(&b, &other, &inventory);
        r = replay_new(b.compiled, b.inventory, text_of, NULL);
        for (size_t i = 0; i < FLOWS; i++) {
            flows[i] = random_flow(&a);
            flows[i].verdict = (uint8_t)ask(&a, &flows[i]).verdict;
        }
        replay_add(r, flows, FLOWS);
        assert_int_equal(replay_judge(r, &what), 0);
        compare(&b, flows, r);
        for (size_t k = 0; k < REPLAY_KINDS; k++)
            seen[k] += replay_totals(r)->changes[k];
        assert_int_equal(replay_totals(r)->records, FLOWS);
        replay_free(r);
        end_side(&a);
        end_side(&b);
    }
    for (size_t k = 0; k < REPLAY_KINDS; k++) /* The comparison had something to compare. */
        assert_true(seen[k] > 50);
}

/* ---- reasons ---- */

static const char small_policy[] = "suimitsu: 1\ngroups:\n  all: {match: {x: y}}\n"
                                   "mode: {default: enforce}\nallow: []\n";
static const char small_inventory[] =
    "suimitsu-inventory: 1\nendpoints:\n"
    "  e0: {labels: {x: y}, addresses: [10.0.0.1], enforcers: [host]}\n"
    "  e1: {labels: {x: y}, addresses: [10.0.0.2], enforcers: [host]}\n"
    "  e2: {labels: {x: y}, addresses: [10.0.0.3], enforcers: [host]}\n"
    "  e3: {labels: {x: y}, addresses: [10.0.0.4], enforcers: [host]}\n"
    "  e4: {labels: {x: y}, addresses: [10.0.0.5], enforcers: [host], state: black}\n";

static struct side small;

static int with_a_small_world(void **state)
{
    CLEANUP(buf_done) struct buf policy = BUF_INIT, inventory = BUF_INIT;

    (void)state;
    buf_puts(&policy, small_policy);
    buf_puts(&inventory, small_inventory);
    make_side(&small, &policy, &inventory);
    return 0;
}

static int end_small(void **state)
{
    (void)state;
    end_side(&small);
    return 0;
}

static struct flow allowed(text_t from, text_t to, uint16_t port, int64_t after_s)
{
    struct flow f = {.from = from,
                     .to = to,
                     .protocol = IPPROTO_TCP,
                     .port = port,
                     .direction = DIRECTION_OUT,
                     .verdict = VERDICT_ALLOW,
                     .layer = LAYER_ALLOW,
                     .count = 1,
                     .bytes_out = 100};

    f.source = address_of(&small, from);
    f.destination = address_of(&small, to);
    f.first_ms = f.last_ms = (uint64_t)(now_s + after_s) * 1000;
    return f;
}

static void busy_connections_of_many_days_are_likely_needed(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    CLEANUP(buf_done) struct buf words = BUF_INIT;
    const struct replay_change *all;
    const char *what;
    (void)state;

    for (int day = 0; day < 5; day++) {
        struct flow f = allowed(1, 2, 5432, day * 86400);

        f.count = 40;
        f.bytes_in = 1000;
        replay_add(r, &f, 1);
    }
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), 1);
    assert_int_equal(all[0].kind, REPLAY_BLOCKED);
    assert_int_equal(all[0].reasons, REPLAY_REGULAR | REPLAY_BUSY | REPLAY_ANSWERED);
    assert_int_equal(all[0].likely, REPLAY_LIKELY_NEEDED);
    assert_int_equal(all[0].flow.count, 200);
    replay_reason_text(&all[0], REPLAY_REGULAR, &words);
    assert_string_equal(buf_str(&words), "on 5 days");
}

static void what_was_tried_once_in_a_scan_is_likely_unwanted(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    const struct replay_change *all;
    const char *what;
    (void)state;

    for (uint16_t port = 0; port < REPLAY_SCAN_PORTS; port++) {
        struct flow f = allowed(1, 2, (uint16_t)(1000 + port), 0);

        f.process = PROGRAMS;
        replay_add(r, &f, 1);
    }
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), REPLAY_SCAN_PORTS);
    assert_int_equal(all[0].reasons, REPLAY_ONCE | REPLAY_SCAN_LIKE);
    assert_int_equal(all[0].likely, REPLAY_LIKELY_UNWANTED);
}

static void a_suspect_and_a_shared_service_are_seen(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    const struct replay_change *all;
    const char *what;
    unsigned n_suspect = 0;
    (void)state;

    for (text_t from = 1; from <= 5; from++)
        if (from != 2) {
            struct flow f = allowed(from, 2, 80, 0);

            replay_add(r, &f, 1);
        }
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(all[i].reasons & REPLAY_SHARED);
        n_suspect += (all[i].reasons & REPLAY_SUSPECT) != 0;
    }
    assert_int_equal(n_suspect, 1);
}

static void both_ends_of_a_connection_are_one_change(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    struct flow both[2] = {allowed(1, 2, 80, 0), allowed(1, 2, 80, 0)};
    const struct replay_change *all;
    const char *what;
    (void)state;

    both[0].process = PROGRAMS;
    both[1].process = PROGRAMS + 1; /* The server's. */
    both[1].direction = DIRECTION_IN;
    replay_add(r, both, 2);
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), 1);
    assert_int_equal(all[0].flow.process, PROGRAMS);
}

static void who_is_gone_is_not_judged_but_counted(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    struct flow f = allowed(1, 2, 80, 0);
    const struct replay_change *all;
    const char *what;
    (void)state;

    f.from = GONE;
    replay_add(r, &f, 1);
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), 0);
    assert_int_equal(replay_totals(r)->unjudged, 1);
}

static void what_network_gear_tells_is_judged_at_the_end_that_has_an_endpoint(void **state)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    struct flow f = allowed(1, 2, 80, 0);
    const struct replay_change *all;
    const char *what;
    (void)state;

    f.from = 0;
    assert_int_equal(address_parse("203.0.113.5", &f.source), 0);
    f.origin = FLOW_IPFIX;
    replay_add(r, &f, 1);
    assert_int_equal(replay_judge(r, &what), 0);
    assert_int_equal(replay_changes(r, &all), 1);
    assert_true(all[0].is_blind);
    assert_int_equal(all[0].flow.direction, DIRECTION_IN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_candidate_changes_what_its_programs_say),
        cmocka_unit_test_setup_teardown(busy_connections_of_many_days_are_likely_needed,
                                        with_a_small_world, end_small),
        cmocka_unit_test_setup_teardown(what_was_tried_once_in_a_scan_is_likely_unwanted,
                                        with_a_small_world, end_small),
        cmocka_unit_test_setup_teardown(a_suspect_and_a_shared_service_are_seen, with_a_small_world,
                                        end_small),
        cmocka_unit_test_setup_teardown(both_ends_of_a_connection_are_one_change,
                                        with_a_small_world, end_small),
        cmocka_unit_test_setup_teardown(who_is_gone_is_not_judged_but_counted, with_a_small_world,
                                        end_small),
        cmocka_unit_test_setup_teardown(
            what_network_gear_tells_is_judged_at_the_end_that_has_an_endpoint, with_a_small_world,
            end_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
