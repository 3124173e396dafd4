/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of rare.h, against the plainest code that can be thought of, over random records. */
#include "core/rare.h"

#include <netinet/in.h>
#include <stdio.h>

#include "text/policy.h"
#include "text/rare_report.h"
#include "unit/test.h"

enum { ROUNDS = 150, FLOWS = 220, HALF = RARE_SCAN_MS / 2, T = 400 * HALF };

static const char policy_text[] =
    "suimitsu: 1\ngroups:\n  x: {match: {k: x}}\n  y: {match: {k: y}}\n"
    "  both: {match: {k: [x, y]}}\nallow: []\n";
static const char inventory_text[] =
    "suimitsu-inventory: 1\nendpoints:\n"
    "  e0: {labels: {k: x}, addresses: [10.0.0.1], enforcers: [host]}\n"
    "  e1: {labels: {k: y}, addresses: [10.0.0.2], enforcers: [host]}\n"
    "  e2: {labels: {k: y}, addresses: [10.0.0.3], enforcers: [host]}\n"
    "  e3: {labels: {k: z}, addresses: [10.0.0.4], enforcers: [host]}\n";

/* The keeper's dictionary: number n is texts[n]; "gone" is no endpoint any more. */
static const char *const texts[] = {"", "e0", "e1", "e2", "e3", "gone", "/p/a", "/p/b", "/p/c"};
enum { N_ENDS = 6, PROGRAMS = 6, N_PROGRAMS = 3 };

static const char *text_of(const void *keeper, text_t number)
{
    (void)keeper;
    assert_true(number < ARRAY_SIZE(texts));
    return texts[number];
}

static struct policy *policy;
static struct inventory *inventory;
static struct world *world;
static uint8_t ends[4];
static uint64_t state = 5;

static uint32_t random_below(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

static int with_a_world(void **unused)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source a = {"policy.yaml", policy_text, strlen(policy_text)};
    struct source b = {"inventory.yaml", inventory_text, strlen(inventory_text)};

    (void)unused;
    assert_int_equal(policy_read(&a, 1, d, &policy), 0);
    assert_int_equal(inventory_read(&b, 1, d, &inventory), 0);
    world = world_new(policy, inventory, 0);
    memset(ends, HYGIENE_TELLS, sizeof(ends));
    return 0;
}

static int end_world(void **unused)
{
    (void)unused;
    world_free(world);
    inventory_free(inventory);
    policy_free(policy);
    return 0;
}

static void set_address(struct address *a, unsigned last)
{
    char text[ADDRESS_TEXT_SIZE];

    (void)snprintf(text, sizeof(text), "203.0.113.%u", last);
    assert_int_equal(address_parse(text, a), 0);
}

static struct flow random_flow(void)
{
    struct flow f = {.from = random_below(N_ENDS),
                     .to = random_below(N_ENDS),
                     .count = 1 + (random_below(3) == 0),
                     .bytes_in = random_below(4) ? 100 : 0,
                     .protocol = IPPROTO_TCP,
                     .port = (uint16_t)random_below(3),
                     .direction = (uint8_t)(random_below(3) == 0),
                     .verdict = random_below(5) ? VERDICT_ALLOW : VERDICT_DENY,
                     .origin = random_below(6) ? FLOW_AGENT : FLOW_IPFIX};

    set_address(&f.source, 1 + (f.from ? 10 + f.from : random_below(2)));
    set_address(&f.destination, 1 + (f.to ? 10 + f.to : random_below(2)));
    if (random_below(4))
        f.process = PROGRAMS + random_below(N_PROGRAMS);
    if (random_below(8) == 0)
        f.script = PROGRAMS + random_below(N_PROGRAMS);
    if (f.origin == FLOW_AGENT && f.direction == DIRECTION_IN && random_below(2))
        f.marks |= FLOW_TWIN;
    f.first_ms = f.last_ms = T - 20 * HALF + random_below(26 * HALF);
    return f;
}

/* Somebody tries many ports within a few minutes. */
static void add_burst(struct flow flows[], size_t n)
{
    uint64_t begin = T + random_below(4 * HALF);
    text_t from = random_below(N_ENDS);

    for (size_t i = 0; i < n; i++) {
        flows[i] = random_flow();
        flows[i].from = from;
        set_address(&flows[i].source, 1 + (from ? 10 + from : 0));
        flows[i].process = PROGRAMS + (random_below(5) == 0);
        flows[i].script = 0;
        flows[i].direction = DIRECTION_OUT;
        flows[i].marks = 0;
        flows[i].port = (uint16_t)random_below(30);
        flows[i].bytes_in = 0;
        flows[i].first_ms = flows[i].last_ms = begin + random_below(2 * HALF);
    }
}

/* ---- the same once more ---- */

static bool tells(text_t end)
{
    return end >= 1 && end <= 4 && ends[end - 1];
}

static bool is_best(const struct flow *f)
{
    if (f->origin == FLOW_IPFIX)
        return !tells(f->from) && !tells(f->to);
    return !(f->marks & FLOW_TWIN);
}

static text_t program(const struct flow *f)
{
    return f->direction != DIRECTION_OUT ? 0 : f->script ? f->script : f->process;
}

static bool same(const struct flow *a, const struct flow *b)
{
    return a->from == b->from && a->to == b->to && a->port == b->port && program(a) == program(b);
}

static bool has_end(const struct flow *f, text_t end)
{
    return f->from == end || f->to == end;
}

static const char *groups_of(text_t end)
{
    static const char *const groups[N_ENDS] = {"O", "xb", "yb", "yb", "", "O"};

    return groups[end];
}

static bool shares_group(text_t a, text_t b)
{
    return strpbrk(groups_of(a), groups_of(b)) != NULL;
}

/* Is any of the records of before like this? */
#define BEFORE(condition)                                                                          \
    ({                                                                                             \
        bool any_ = false;                                                                         \
        for (size_t i_ = 0; i_ < n; i_++) {                                                        \
            const struct flow *o = &flows[i_];                                                     \
            any_ = any_ || (o->first_ms < T && is_best(o) && (condition));                         \
        }                                                                                          \
        any_;                                                                                      \
    })

static bool naive_new(const struct flow flows[], size_t n, const struct flow *f)
{
    return !BEFORE(same(o, f)) && BEFORE(has_end(o, f->from)) && BEFORE(has_end(o, f->to));
}

static bool naive_once(const struct flow flows[], size_t n, const struct flow *f)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (flows[i].first_ms >= T && is_best(&flows[i]) && same(&flows[i], f))
            count += flows[i].count;
    return count == 1;
}

/* Has the program a reason, whichever of its connections is told for it? */
static unsigned naive_reasons(const struct flow flows[], size_t n, const struct flow *f)
{
    text_t p = program(f);
    unsigned reasons = 0;

    if (!p || BEFORE(same(o, f)) || !BEFORE(program(o) == p))
        return 0;
    if (!BEFORE(program(o) == p && o->port == f->port))
        reasons |= RARE_SERVICE;
    if (groups_of(f->to)[0] && !BEFORE(program(o) == p && shares_group(o->to, f->to)))
        reasons |= RARE_GROUP;
    return reasons;
}

static const struct rare_line *line_of(const struct rare_line *lines, size_t n, enum rare_kind kind,
                                       const struct flow *f)
{
    for (size_t i = 0; i < n; i++)
        if (lines[i].kind == kind && same(&lines[i].flow, f))
            return &lines[i];
    return NULL;
}

static bool in_vain(const struct flow *f)
{
    return is_best(f) && f->first_ms >= T && (f->verdict == VERDICT_DENY || !f->bytes_in);
}

static bool same_scanner(const struct flow *a, const struct flow *b)
{
    return program(a) == program(b) && a->from == b->from &&
           (a->from || address_compare(&a->source, &b->source) == 0);
}

static bool same_end(text_t a, const struct address *x, text_t b, const struct address *y)
{
    return a == b && (a || address_compare(x, y) == 0);
}

/* Different pairs that a source tried in the window of two halves. */
static uint32_t naive_tries(const struct flow flows[], size_t n, const struct flow *source,
                            uint64_t half)
{
    uint32_t tries = 0;

    for (size_t i = 0; i < n; i++) {
        const struct flow *f = &flows[i];
        bool known = false;

        if (!in_vain(f) || f->first_ms / HALF < half || f->first_ms / HALF > half + 1 ||
            !same_scanner(f, source))
            continue;
        for (size_t k = 0; k < i; k++)
            known =
                known || (in_vain(&flows[k]) && flows[k].first_ms / HALF >= half &&
                          flows[k].first_ms / HALF <= half + 1 && same_scanner(&flows[k], f) &&
                          same_end(flows[k].to, &flows[k].destination, f->to, &f->destination) &&
                          flows[k].port == f->port);
        tries += !known;
    }
    return tries;
}

static void compare_scans(const struct flow flows[], size_t n, const struct rare_line *lines,
                          size_t n_lines, uint64_t *n_seen)
{
    for (size_t i = 0; i < n; i++) { /* Each record's windows are in a line, with the most tries. */
        const struct rare_line *line = NULL;
        uint32_t most = 0;

        for (uint64_t half = flows[i].first_ms / HALF - 1; half <= flows[i].first_ms / HALF; half++)
            most = naive_tries(flows, n, &flows[i], half) > most
                       ? naive_tries(flows, n, &flows[i], half)
                       : most;
        if (!in_vain(&flows[i]) || most < RARE_SCAN_TRIES)
            continue;
        for (size_t k = 0; k < n_lines; k++)
            if (lines[k].kind == RARE_SCAN && lines[k].n_tries >= most &&
                same_scanner(&lines[k].flow, &flows[i]) &&
                lines[k].flow.first_ms <= flows[i].first_ms &&
                lines[k].flow.last_ms >= flows[i].last_ms)
                line = &lines[k];
        assert_non_null(line);
        ++*n_seen;
    }
    for (size_t k = 0; k < n_lines; k++) { /* And each line's number is that of some window. */
        bool found = lines[k].kind != RARE_SCAN;

        for (uint64_t half = T / HALF - 1; !found && half < T / HALF + 8; half++)
            found = naive_tries(flows, n, &lines[k].flow, half) == lines[k].n_tries;
        assert_true(found);
    }
}

static void compare(const struct flow flows[], size_t n, const struct rare_line *lines,
                    size_t n_lines, uint64_t seen[RARE_KINDS])
{
    for (size_t i = 0; i < n; i++) {
        const struct flow *f = &flows[i];
        const struct rare_line *line;

        if (f->first_ms < T || !is_best(f))
            continue;
        assert_int_equal(line_of(lines, n_lines, RARE_NEW, f) != NULL, naive_new(flows, n, f));
        assert_int_equal(line_of(lines, n_lines, RARE_ONCE, f) != NULL, naive_once(flows, n, f));
        line = line_of(lines, n_lines, RARE_PROGRAM, f);
        if (line) /* It has no reason that is none. */
            assert_int_equal(line->reasons & ~naive_reasons(flows, n, f), 0);
        for (unsigned reason = 1; reason <= 2; reason <<= 1) { /* And each reason has one line. */
            unsigned told = 0;

            if (!(naive_reasons(flows, n, f) & reason))
                continue;
            for (size_t k = 0; k < n_lines; k++)
                told += lines[k].kind == RARE_PROGRAM && (lines[k].reasons & reason) &&
                        program(&lines[k].flow) == program(f) &&
                        (reason == RARE_SERVICE ? lines[k].flow.port == f->port
                                                : shares_group(lines[k].flow.to, f->to));
            assert_true(reason == RARE_SERVICE ? told == 1 : told >= 1);
        }
        seen[RARE_NEW] += naive_new(flows, n, f);
        seen[RARE_ONCE] += naive_once(flows, n, f);
        seen[RARE_PROGRAM] += naive_reasons(flows, n, f) != 0;
    }
    compare_scans(flows, n, lines, n_lines, &seen[RARE_SCAN]);
}

static void random_records_give_what_the_definitions_say(void **unused)
{
    uint64_t seen[RARE_KINDS] = {0};
    (void)unused;

    for (int round = 0; round < ROUNDS; round++) {
        struct flow flows[FLOWS];
        size_t n = 10 + random_below(60), n_lines;
        const struct rare_line *lines;
        struct rare *r;

        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
            ends[i] = random_below(2) ? HYGIENE_TELLS : 0;
        for (size_t i = 0; i < n; i++)
            flows[i] = random_flow();
        if (round % 3 == 0) {
            add_burst(flows + n, FLOWS - n);
            n = FLOWS;
        }
        r = rare_new(world, ends, RARE_ALL, T, text_of, NULL);
        rare_add(r, flows, n / 2);
        rare_add(r, flows + n / 2, n - n / 2);
        n_lines = rare_find(r, &lines);
        compare(flows, n, lines, n_lines, seen);
        rare_free(r);
    }
    for (size_t k = 0; k < RARE_KINDS; k++) /* The comparison had something to compare. */
        assert_true(seen[k] > 100);
}

/* ---- by hand ---- */

static struct flow flow_of(text_t from, text_t to, text_t process, uint16_t port, int64_t after_ms)
{
    struct flow f = {.from = from,
                     .to = to,
                     .process = process,
                     .protocol = IPPROTO_TCP,
                     .port = port,
                     .count = 5,
                     .bytes_in = 1,
                     .verdict = VERDICT_ALLOW,
                     .layer = LAYER_ALLOW};

    set_address(&f.source, from);
    set_address(&f.destination, to);
    f.first_ms = f.last_ms = (uint64_t)(T + after_ms);
    return f;
}

static void a_line_says_since_when_its_program_is_known_and_what_else_it_does(void **unused)
{
    const struct flow flows[] = {flow_of(1, 2, 6, 80, -3000), flow_of(1, 3, 6, 80, -2000),
                                 flow_of(2, 3, 6, 80, -1000), flow_of(1, 4, 7, 22, -500),
                                 flow_of(1, 4, 6, 443, 1000)};
    CLEANUP(rare_freep) struct rare *r = rare_new(world, ends, RARE_ALL, T, text_of, NULL);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    const struct rare_line *lines;
    struct rare_told told = {
        .text = text_of, .since_ms = T, .until_ms = T + 9000, .max = 10, .oldest_ms = T - 3000};
    (void)unused;

    rare_add(r, flows, ARRAY_SIZE(flows));
    told.n = rare_find(r, &lines);
    told.lines = lines;
    told.totals = rare_totals(r);
    assert_int_equal(told.n, 2);
    assert_int_equal(lines[0].kind, RARE_NEW);
    assert_int_equal(lines[0].program_here_ms, T - 3000);
    assert_int_equal(lines[0].n_peers, 2);
    assert_int_equal(lines[0].n_sources, 2);
    assert_int_equal(lines[1].kind, RARE_PROGRAM);
    assert_int_equal(lines[1].reasons, RARE_SERVICE); /* e3 is in no group. */
    rare_report_text(&text, &told);
    assert_non_null(strstr(buf_str(&text), "it never used tcp/443 before; /p/a is known there "
                                           "since 1970-01-02T09:19:57Z, with 2 other "
                                           "destinations"));
}

static void without_history_before_nothing_is_new_and_that_is_said(void **unused)
{
    const struct flow flows[] = {flow_of(1, 2, 6, 80, 3000)};
    CLEANUP(rare_freep) struct rare *r = rare_new(world, ends, RARE_ALL, T, text_of, NULL);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct rare_told told = {
        .text = text_of, .since_ms = T, .until_ms = T + 9000, .max = 10, .oldest_ms = T + 3000};
    const struct rare_line *lines;
    (void)unused;

    rare_add(r, flows, 1);
    told.n = rare_find(r, &lines);
    told.lines = lines;
    told.totals = rare_totals(r);
    assert_int_equal(told.n, 0);
    assert_int_equal(told.totals->n_unknown_ends, 1);
    rare_report_text(&text, &told);
    assert_non_null(strstr(buf_str(&text), "nothing is known of before"));
    assert_non_null(strstr(buf_str(&text), "1 new connections are not told"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_records_give_what_the_definitions_say),
        cmocka_unit_test(a_line_says_since_when_its_program_is_known_and_what_else_it_does),
        cmocka_unit_test(without_history_before_nothing_is_new_and_that_is_said),
    };

    return cmocka_run_group_tests(tests, with_a_world, end_world);
}
