/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of hygiene.h: a rule is called unused only where that can be known, and the narrower
 * rules let pass all that was recorded. */
#include "core/hygiene.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/compile.h"
#include "text/hygiene_report.h"
#include "text/policy.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { WORLDS = 600, FLOWS = 120, DAY = 86400 };

static const int64_t now_s = 1795391999; /* As naive.c takes it: the last second of a day. */

/* The keeper's dictionary: number n is texts[n]. */
static const char *const texts[] = {"",     "e0",   "e1", "e2", "e3", "e4", "e5", "/p/a",
                                    "/p/b", "/p/c", "u1", "u2", "u3", "r1", "r2"};
enum { PROGRAMS = 7, N_PROGRAMS = 3, USERS = 10, N_USERS = 3, RULE_1 = 13, RULE_2 = 14 };

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
    struct world *world;
};

static void make_side(struct side *s, const char *policy, const char *inventory)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source a = {"policy.yaml", policy, strlen(policy)};
    struct source b = {"inventory.yaml", inventory, strlen(inventory)};
    struct compile_options options = {.revision = 7, .now_s = now_s};
    const char *what;

    if (policy_read(&a, 1, d, &s->policy) < 0)
        fail_msg("%s:%u: %s\n%s", "policy", d->items[0].place.line, d->items[0].message, policy);
    assert_int_equal(inventory_read(&b, 1, d, &s->inventory), 0);
    assert_int_equal(compile(s->policy, s->inventory, &options, &s->compiled, &what), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
}

static void end_side(struct side *s)
{
    world_free(s->world);
    compiled_free(s->compiled);
    inventory_free(s->inventory);
    policy_free(s->policy);
}

/* ---- narrower rules ---- */

static struct flow random_flow(const struct side *s)
{
    static const char *const outside[] = {"203.0.113.5", "198.51.100.7", "2001:db8::1"};
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct flow f = {.count = 1 + naive_random(5), .verdict = VERDICT_ALLOW, .uid = UINT32_MAX};
    text_t *local, *remote;
    struct address *here, *there;

    f.direction = (uint8_t)naive_random(2);
    local = f.direction == DIRECTION_OUT ? &f.from : &f.to;
    remote = f.direction == DIRECTION_OUT ? &f.to : &f.from;
    here = f.direction == DIRECTION_OUT ? &f.source : &f.destination;
    there = f.direction == DIRECTION_OUT ? &f.destination : &f.source;
    *local = 1 + naive_random(N_ENDPOINTS);
    *here = inventory_endpoint(s->inventory, texts[*local])->addresses[0];
    *remote = naive_random(N_ENDPOINTS + 1);
    if (*remote)
        *there = inventory_endpoint(s->inventory, texts[*remote])->addresses[0];
    else
        assert_int_equal(address_parse(outside[naive_random(3)], there), 0);
    f.protocol = protocols[naive_random(4)];
    f.port = f.protocol == IPPROTO_ICMP ? (uint16_t)(naive_random(2) * 8)
                                        : (uint16_t)(99 + naive_random(13));
    if (naive_random(4))
        f.process = PROGRAMS + naive_random(N_PROGRAMS);
    if (naive_random(6) == 0)
        f.script = PROGRAMS + naive_random(N_PROGRAMS);
    if (naive_random(4))
        f.user = USERS + naive_random(N_USERS);
    f.first_ms = f.last_ms = (uint64_t)now_s * 1000 - 1;
    return f;
}

/* The policy with each narrower rule in the place of its rule: naive.c writes one a line. */
static size_t put_in(const char *policy, const struct hygiene_rule rules[], const struct policy *p,
                     struct buf *out)
{
    size_t n = 0;

    for (const char *line = policy, *next; *line; line = next) {
        const struct hygiene_rule *narrow = NULL;
        char id[32] = "";

        next = line + strcspn(line, "\n") + 1;
        if (sscanf(line, "  - {id: %31[^,]", id) == 1)
            for (size_t i = 0; i < p->n_rules; i++)
                if (rules[i].narrow && strcmp(p->rules[i].id, id) == 0)
                    narrow = &rules[i];
        if (!narrow) {
            buf_add(out, line, (size_t)(next - line));
            continue;
        }
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        hygiene_write_rule(&text, p, narrow->rule, narrow->narrow);
        assert_int_equal(strncmp(buf_str(&text), "allow:\n", 7), 0);
        buf_puts(out, buf_str(&text) + 7);
        n++;
    }
    return n;
}

static void replay_all(const struct side *s, const struct flow flows[], struct hygiene *h,
                       struct replay_totals *ret_totals)
{
    CLEANUP(replay_freep)
    struct replay *r = replay_new(s->compiled, s->inventory, text_of, NULL);
    const char *what;

    if (h)
        replay_watch(r, hygiene_see, h);
    replay_add(r, flows, FLOWS);
    assert_int_equal(replay_judge(r, &what), 0);
    *ret_totals = *replay_totals(r);
}

static void the_narrower_rules_block_nothing_recorded_that_the_policy_allows(void **state)
{
    size_t n_narrowed = 0;
    uint64_t n_passed = 0;
    (void)state;

    for (int round = 0; round < WORLDS; round++) {
        CLEANUP(buf_done)
        struct buf policy = BUF_INIT, inventory = BUF_INIT, narrowed = BUF_INIT;
        struct hygiene_past past[MAX_RULES] = {{0, 0}};
        uint8_t ends[N_ENDPOINTS];
        struct hygiene_evidence e = {.since_ms = (uint64_t)(now_s - DAY) * 1000,
                                     .until_ms = (uint64_t)now_s * 1000,
                                     .oldest_ms = 1,
                                     .rules = past,
                                     .ends = ends};
        struct replay_totals before, after;
        struct flow flows[FLOWS];
        struct n_policy naive;
        struct hygiene *h;
        struct side a, b;

        naive_make(&naive);
        naive_write(&naive, &policy, &inventory);
        make_side(&a, buf_str(&policy), buf_str(&inventory));
        for (size_t i = 0; i < N_ENDPOINTS; i++)
            ends[i] = naive_random(3) ? HYGIENE_TELLS : 0;
        for (size_t i = 0; i < FLOWS; i++)
            flows[i] = random_flow(&a);
        h = hygiene_new(a.world, &e, text_of, NULL);
        replay_all(&a, flows, h, &before);
        hygiene_finish(h);
        n_narrowed += put_in(buf_str(&policy), hygiene_rules(h), a.policy, &narrowed);
        make_side(&b, buf_str(&narrowed), buf_str(&inventory));
        replay_all(&b, flows, NULL, &after);
        assert_int_equal(before.changes[REPLAY_BLOCKED], after.changes[REPLAY_BLOCKED]);
        assert_int_equal(before.changes[REPLAY_REPORTED], after.changes[REPLAY_REPORTED]);
        n_passed += before.connections - before.changes[REPLAY_BLOCKED];
        hygiene_free(h);
        end_side(&a);
        end_side(&b);
    }
    assert_true(n_narrowed > WORLDS / 2 && n_passed > WORLDS); /* There was something to lose. */
}

/* ---- a small world ---- */

static const char small_policy[] =
    "suimitsu: 1\n"
    "groups:\n  all: {match: {x: [y, z]}}\n  some: {match: {x: y}}\n  out: {outside: true}\n"
    "never:\n  - {id: n1, from: out, to: all, service: tcp/22, why: w, owner: sec}\n"
    "allow:\n"
    "  - {id: r1, from: all, to: all, service: [tcp/80, tcp/90-92, tcp/5000-6000], why: w, owner: "
    "o}\n"
    "  - {id: r2, from: out, to: all, service: tcp/443, why: w, owner: o}\n"
    "  - {id: r3, from: all, to: all, why: w, owner: o, expires: 2020-01-01}\n";
static const char small_inventory[] =
    "suimitsu-inventory: 1\nendpoints:\n"
    "  e0: {labels: {x: y}, addresses: [10.0.0.1], enforcers: [host]}\n"
    "  e1: {labels: {x: y}, addresses: [10.0.0.2], enforcers: [host]}\n"
    "  e2: {labels: {x: z}, addresses: [10.0.0.3], enforcers: [host]}\n";
enum { N1, R1, R2, R3, N_RULES };

static struct side small;
static struct hygiene_past past[N_RULES];
static uint8_t ends[3];
static struct hygiene_evidence evidence;

static int with_a_small_world(void **state)
{
    (void)state;
    make_side(&small, small_policy, small_inventory);
    for (size_t i = 0; i < N_RULES; i++) /* Older than the window, and never used. */
        past[i] = (struct hygiene_past){.since_s = now_s - 200 * DAY};
    memset(ends, HYGIENE_TELLS, sizeof(ends));
    evidence = (struct hygiene_evidence){.since_ms = (uint64_t)(now_s - 90 * DAY) * 1000,
                                         .until_ms = (uint64_t)now_s * 1000,
                                         .oldest_ms = (uint64_t)(now_s - 100 * DAY) * 1000,
                                         .rules = past,
                                         .ends = ends};
    return 0;
}

static int end_small(void **state)
{
    (void)state;
    end_side(&small);
    return 0;
}

static enum hygiene_status judged(size_t rule)
{
    CLEANUP(hygiene_ends_freep)
    struct hygiene_ends *x = hygiene_ends_new(small.world, &evidence);

    return hygiene_judge(x, &small.policy->rules[rule]);
}

static void a_rule_without_a_hit_is_unused_only_where_that_is_known(void **state)
{
    (void)state;
    assert_int_equal(judged(R1), HYGIENE_UNUSED);
    past[R1].last_ms = evidence.since_ms;
    assert_int_equal(judged(R1), HYGIENE_USED);
    past[R1].last_ms = evidence.since_ms - 1;
    assert_int_equal(judged(R1), HYGIENE_UNUSED);
    past[R1].since_s = now_s - 89 * DAY;
    assert_int_equal(judged(R1), HYGIENE_YOUNG);
    past[R1].since_s = 0;
    assert_int_equal(judged(R1), HYGIENE_YOUNG);
    past[R1].since_s = now_s - 200 * DAY;
    evidence.oldest_ms = (uint64_t)(now_s - 80 * DAY) * 1000;
    assert_int_equal(judged(R1), HYGIENE_SHORT);
    evidence.oldest_ms = 0;
    assert_int_equal(judged(R1), HYGIENE_SHORT);
}

static void a_use_that_nobody_may_have_told_of_is_not_denied(void **state)
{
    (void)state;
    ends[2] = 0; /* Its connections with itself apart, the other end tells of none with it: */
    assert_int_equal(judged(R1), HYGIENE_UNSEEN); /* e2 to e2's like is nobody's to tell. */
    ends[2] = HYGIENE_TELLS | HYGIENE_LOST;
    assert_int_equal(judged(R1), HYGIENE_GAPS);
    assert_int_equal(judged(R2), HYGIENE_GAPS); /* The outside tells nothing. */
    ends[2] = HYGIENE_TELLS;
    assert_int_equal(judged(R2), HYGIENE_UNUSED);
    evidence.lost_elsewhere = true;
    assert_int_equal(judged(R2), HYGIENE_GAPS);
}

static void guard_rails_and_expired_rules_are_never_unused(void **state)
{
    (void)state;
    assert_int_equal(judged(N1), HYGIENE_GUARD);
    assert_int_equal(judged(R3), HYGIENE_EXPIRED);
}

static void findings_name_rule_owner_age_and_last_hit_or_say_what_is_not_known(void **state)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(diagnostics_freep) struct diagnostics *unknown = diagnostics_new();
    (void)state;

    past[R2].last_ms = (uint64_t)(now_s - 95 * DAY) * 1000;
    hygiene_lint(small.world, &evidence, d);
    assert_int_equal(d->n_of[CODE_UNUSED], 2);
    assert_int_equal(d->n, 2);
    assert_string_equal(d->items[0].message, "\"r1\" of o was not used for 90 days");
    assert_string_equal(d->items[0].expected,
                        "a hit; it stands since 2026-05-06, and never had one "
                        "in the 100 days that the history holds");
    assert_string_equal(d->items[1].expected,
                        "a hit; it stands since 2026-05-06, the last one was on 2026-08-19");
    assert_int_equal(d->items[0].place.line, 9);
    evidence.oldest_ms = evidence.until_ms - 1;
    hygiene_lint(small.world, &evidence, unknown);
    assert_int_equal(unknown->n_of[CODE_UNUSED], 0);
    assert_int_equal(unknown->n_of[CODE_UNFINISHED], 1);
}

static struct flow of_rule(text_t rule, uint16_t port, unsigned days_ago)
{
    struct flow f = {.from = 1,
                     .to = 2,
                     .rule = rule,
                     .protocol = IPPROTO_TCP,
                     .port = port,
                     .direction = DIRECTION_OUT,
                     .verdict = VERDICT_ALLOW,
                     .layer = LAYER_ALLOW,
                     .count = 10};

    f.source = inventory_endpoint(small.inventory, "e0")->addresses[0];
    f.destination = inventory_endpoint(small.inventory, "e1")->addresses[0];
    f.first_ms = f.last_ms = evidence.until_ms - 1 - (uint64_t)days_ago * DAY * 1000;
    return f;
}

static enum hygiene_trend trend_of(const unsigned days_ago[], size_t n)
{
    CLEANUP(hygiene_freep)
    struct hygiene *h = hygiene_new(small.world, &evidence, text_of, NULL);

    for (size_t i = 0; i < n; i++) {
        struct flow f = of_rule(RULE_1, 80, days_ago[i]);

        hygiene_add(h, &f, 1);
    }
    hygiene_finish(h);
    assert_int_equal(hygiene_rules(h)[R1].hits, 10 * n);
    return hygiene_rules(h)[R1].trend;
}

static void the_last_third_against_the_first_gives_the_word(void **state)
{
    static const unsigned steady[] = {5, 35, 65, 85}, rising[] = {1, 2, 70},
                          falling[] = {1, 70, 80}, stopped[] = {31, 70}, even[] = {1, 70};
    (void)state;

    assert_int_equal(trend_of(steady, 4), TREND_FALLING); /* One against two. */
    assert_int_equal(trend_of(even, 2), TREND_STEADY);
    assert_int_equal(trend_of(rising, 3), TREND_RISING);
    assert_int_equal(trend_of(falling, 3), TREND_FALLING);
    assert_int_equal(trend_of(stopped, 2), TREND_STOPPED);
    assert_int_equal(trend_of(NULL, 0), TREND_NONE);
    past[R1].since_s = now_s - 8 * DAY; /* What was before its time is no fall. */
    assert_int_equal(trend_of(even, 1), TREND_NONE);
}

static void what_both_ends_told_is_one_hit(void **state)
{
    CLEANUP(hygiene_freep)
    struct hygiene *h = hygiene_new(small.world, &evidence, text_of, NULL);
    struct flow both[2] = {of_rule(RULE_1, 80, 1), of_rule(RULE_1, 80, 1)};
    (void)state;

    both[1].direction = DIRECTION_IN;
    both[1].marks |= FLOW_TWIN;
    hygiene_add(h, both, 2);
    hygiene_finish(h);
    assert_int_equal(hygiene_rules(h)[R1].hits, 10);
}

static void what_was_never_seen_is_named_and_left_out_of_the_narrower_rule(void **state)
{
    CLEANUP(hygiene_freep)
    struct hygiene *h = hygiene_new(small.world, &evidence, text_of, NULL);
    CLEANUP(replay_freep)
    struct replay *r = replay_new(small.compiled, small.inventory, text_of, NULL);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct flow flows[] = {of_rule(RULE_1, 90, 1), of_rule(RULE_1, 91, 1),
                           of_rule(RULE_1, 5500, 1)};
    const struct hygiene_rule *rule = &hygiene_rules(h)[R1];
    const char *what;
    (void)state;

    replay_watch(r, hygiene_see, h);
    replay_add(r, flows, ARRAY_SIZE(flows));
    assert_int_equal(replay_judge(r, &what), 0);
    hygiene_finish(h);
    assert_int_equal(rule->carried, 30);
    assert_int_equal(rule->n_items, 5);
    assert_string_equal(rule->items[0].name, "all");
    assert_int_equal(rule->items[0].n, 3);
    assert_int_equal(rule->items[0].n_seen, 1);
    assert_int_equal(rule->items[0].never[0], 1); /* e1 */
    assert_int_equal(rule->items[3].n, 3);
    assert_int_equal(rule->items[3].n_seen, 2);
    assert_int_equal(rule->items[3].never_ports[0].low, 92);
    hygiene_write_rule(&text, small.policy, rule->rule, rule->narrow);
    assert_string_equal(buf_str(&text), "allow:\n"
                                        "  - id: r1\n"
                                        "    from: some\n"
                                        "    to: some\n"
                                        "    service: [tcp/5000-6000, tcp/90-91]\n"
                                        "    why: w\n"
                                        "    owner: o\n");
}

int main(void)
{
#define IN_A_SMALL_WORLD(f) cmocka_unit_test_setup_teardown(f, with_a_small_world, end_small)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_narrower_rules_block_nothing_recorded_that_the_policy_allows),
        IN_A_SMALL_WORLD(a_rule_without_a_hit_is_unused_only_where_that_is_known),
        IN_A_SMALL_WORLD(a_use_that_nobody_may_have_told_of_is_not_denied),
        IN_A_SMALL_WORLD(guard_rails_and_expired_rules_are_never_unused),
        IN_A_SMALL_WORLD(findings_name_rule_owner_age_and_last_hit_or_say_what_is_not_known),
        IN_A_SMALL_WORLD(the_last_third_against_the_first_gives_the_word),
        IN_A_SMALL_WORLD(what_both_ends_told_is_one_hit),
        IN_A_SMALL_WORLD(what_was_never_seen_is_named_and_left_out_of_the_narrower_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
