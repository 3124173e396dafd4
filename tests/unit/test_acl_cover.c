/* SPDX-License-Identifier: Apache-2.0 */
/* What core/acl/cover.h promises, by brute force over spaces of 16 addresses. */
#include "core/acl/cover.h"

#include "unit/test.h"

enum { SEED = 20261122, ROUNDS = 3000, BITS = 4, SPACE = 1 << BITS, ROOT = 128 - BITS };

static uint32_t state_of_chance = SEED;

static uint32_t chance(uint32_t below)
{
    state_of_chance = state_of_chance * 1664525u + 1013904223u;
    return (state_of_chance >> 8) % below;
}

struct rows {
    struct prefix items[32];
    uint8_t status[32];
    size_t n;
};

/* Random prefixes, each at most once, in order; the first is everything. */
static void make_rows(struct rows *r)
{
    r->n = 0;
    for (unsigned low = 0; low < SPACE; low++)
        for (unsigned bits = BITS + 1; bits-- > 0;) {
            bool aligned = (low & ((1u << bits) - 1)) == 0, root = bits == BITS;

            if (!aligned || (!root && (r->n == ARRAY_SIZE(r->items) || chance(3))))
                continue;
            r->items[r->n] = (struct prefix){.length = (uint8_t)(128 - bits)};
            r->items[r->n].address.bytes[15] = (uint8_t)low;
            r->status[r->n++] = (uint8_t)chance(3);
        }
}

static uint8_t status_at(const struct rows *r, uint8_t address)
{
    struct address a = {.bytes = {[15] = address}};
    uint8_t status = COVER_NO;

    for (size_t i = 0; i < r->n; i++) /* The longest comes last. */
        if (address_in_prefix(&a, &r->items[i].address, r->items[i].length))
            status = r->status[i];
    return status;
}

/* The fewest prefixes within low .. low + 2^bits that hold each YES and no NO, by trying. */
static unsigned fewest(const struct rows *r, unsigned low, unsigned bits)
{
    bool yes = false, no = false;

    for (unsigned a = low; a < low + (1u << bits); a++) {
        yes = yes || status_at(r, (uint8_t)a) == COVER_YES;
        no = no || status_at(r, (uint8_t)a) == COVER_NO;
    }
    if (!yes)
        return 0;
    if (!no)
        return 1;
    return fewest(r, low, bits - 1) + fewest(r, low + (1u << (bits - 1)), bits - 1);
}

static void a_cover_holds_each_yes_and_no_no_and_none_has_fewer(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct prefixes to = {.items = NULL};
        struct rows r;

        make_rows(&r);
        cover(r.items, r.status, r.n, &to);
        for (unsigned low = 0; low < SPACE; low++) {
            const struct prefix one = {{.bytes = {[15] = (uint8_t)low}}, 128};
            uint8_t status = status_at(&r, (uint8_t)low);
            bool held = false;

            for (size_t i = 0; i < to.n; i++)
                held = held || prefix_holds(&to.items[i], &one);
            assert_true(status == COVER_MAYBE || held == (status == COVER_YES));
        }
        assert_int_equal(to.n, fewest(&r, 0, BITS));
        prefixes_done(&to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cover_holds_each_yes_and_no_no_and_none_has_fewer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
