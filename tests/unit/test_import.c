/* SPDX-License-Identifier: Apache-2.0 */
/* What ranges.h and names.h promise; the importers themselves are held against independent
 * evaluators by tests/system/test_import.py. */
#include <errno.h>
#include <stdio.h>

#include "core/model.h"
#include "import/import.h"
#include "import/match.h"
#include "import/names.h"
#include "unit/test.h"

enum { WORLD = 24, ROUNDS = 20000 };

static uint64_t next_random(uint64_t *state) /* xorshift64 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Bits as ranges, at the low or the high end of the number line. */
static struct ranges of_bits(struct arena *a, uint32_t bits, point base)
{
    struct range items[WORLD];
    size_t n = 0;

    for (unsigned i = WORLD; i-- > 0;) /* Backwards: ranges_of() sorts. */
        if (bits >> i & 1)
            items[n++] = (struct range){base + i, base + i};
    return ranges_of(a, items, n);
}

static void assert_bits(struct ranges set, uint32_t bits, point base)
{
    for (unsigned i = 0; i < WORLD; i++)
        assert_int_equal(ranges_have(set, base + i), bits >> i & 1);
    for (size_t i = 1; i < set.n; i++) /* Sorted, disjoint, not touching. */
        assert_true(set.items[i].low > set.items[i - 1].high + 1);
}

static void sets_of_ranges_agree_with_sets_of_bits(void **state)
{
    (void)state;
    const uint32_t all = (1u << WORLD) - 1;
    uint64_t random = 0x5eed;

    for (unsigned round = 0; round < ROUNDS; round++) {
        CLEANUP(arena_freep) struct arena *a = arena_new();
        point base = round % 2 ? ~(point)0 - (WORLD - 1) : 0;
        uint64_t one = next_random(&random), two = next_random(&random);
        uint32_t x = (uint32_t)(one & (one >> 32)) & all; /* Sparse. */
        uint32_t y = (uint32_t)(round % 3 ? two : two | (two >> 32)) & all;
        struct ranges p = of_bits(a, x, base), q = of_bits(a, y, base);

        assert_bits(ranges_and(a, p, q), x & y, base);
        assert_bits(ranges_or(a, p, q), x | y, base);
        assert_bits(ranges_minus(a, p, q), x & ~y, base);
        assert_int_equal(ranges_overlap(p, q), (x & y) != 0);
        assert_int_equal(ranges_within(p, q), (x & ~y) == 0);
        assert_int_equal(ranges_equal(p, q), x == y);
    }
}

static void a_name_is_within_the_grammar_and_nobody_elses(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new();
    CLEANUP(names_done) struct names names = {.slots = NULL};
    char text[32];

    assert_string_equal(names_new(&names, a, "eth0:1 \"x\""), "eth0-1--x-");
    assert_string_equal(names_new(&names, a, "eth0:1 \"x\""), "eth0-1--x--2");
    assert_string_equal(names_new(&names, a, "-dash"), "x-dash");
    assert_string_equal(names_new(&names, a, ""), "x");
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(text, sizeof(text), "n%d", i % 1000);
        assert_true(strlen(names_new(&names, a, text)) <= MODEL_NAME_LEN);
    }
    assert_false(names_add(&names, "n999-3"));
    assert_true(names_add(&names, "n999-4"));
}

static void a_mask_with_holes_is_refused_and_a_host_bit_is_told(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(ruleset_freep) struct ruleset *rs = ruleset_new(d);
    struct range r;
    bool host;

    assert_int_equal(parse_addresses(rs, "10.0.0.0/255.0.255.0", &r, &host), -EDOM);
    assert_int_equal(parse_addresses(rs, "10.0.0.9-10.0.0.1", &r, &host), -EINVAL);
    assert_int_equal(parse_addresses(rs, "10.0.0.1-fd00::1", &r, &host), -EINVAL);
    assert_int_equal(parse_addresses(rs, "10.0.0.1/33", &r, &host), -EINVAL);
    assert_int_equal(parse_addresses(rs, "192.168.128.103/24", &r, &host), 0);
    assert_true(host);
    assert_true(r.high - r.low == 255);
    assert_int_equal(parse_addresses(rs, "10.0.0.0/255.255.0.0", &r, &host), 0);
    assert_false(host);
    assert_true(r.high - r.low == 65535);
    assert_int_equal(parse_addresses(rs, "::/0", &r, &host), 0);
    assert_true(r.low == 0 && r.high == ~(point)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_of_ranges_agree_with_sets_of_bits),
        cmocka_unit_test(a_name_is_within_the_grammar_and_nobody_elses),
        cmocka_unit_test(a_mask_with_holes_is_refused_and_a_host_bit_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
