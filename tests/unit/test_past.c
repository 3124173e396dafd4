/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/timeline.h and controller/past.h promise: what was, is what is told. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller/desired.h"
#include "controller/past.h"
#include "controller/versions.h"
#include "core/verdict.h"
#include "store/history.h"
#include "unit/store_folder.h"

enum { N_ENDPOINTS = 5, START_S = 1790000000, DAY_S = 86400 };

static uint32_t below(uint32_t n) /* A fixed sequence (Numerical Recipes' constants). */
{
    static uint32_t x = 4;

    x = x * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)x * n) >> 32);
}

static struct desired *open_desired(int64_t now_s)
{
    struct desired *d = NULL;
    const char *what = "";

    assert_int_equal(desired_open(store, NULL, 0, now_s, &d, &what), 0);
    return d;
}

static void apply(struct desired *d, const char *policy, const char *inventory, int64_t now_s)
{
    const struct source p = {.name = "p.yaml", .data = policy, .size = policy ? strlen(policy) : 0};
    const struct source i = {
        .name = "i.yaml", .data = inventory, .size = inventory ? strlen(inventory) : 0};
    struct desired_change c = {.policy = policy ? &p : NULL,
                               .n_policy = policy != NULL,
                               .inventory = inventory ? &i : NULL,
                               .n_inventory = inventory != NULL,
                               .base_policy = DESIRED_ANY,
                               .base_inventory = DESIRED_ANY,
                               .actor = "test"};
    CLEANUP(diagnostics_freep) struct diagnostics *ds = diagnostics_new();
    CLEANUP(desired_outcome_done) struct desired_outcome o = {.revision = 0};
    const char *what = "";

    assert_int_equal(desired_apply(d, &c, now_s, ds, &o, &what), 0);
}

static const char *inventory_text(unsigned shift, char text[1024])
{
    size_t at = (size_t)snprintf(text, 1024, "suimitsu-inventory: 1\nendpoints:\n");

    for (unsigned i = 0; i < N_ENDPOINTS; i++)
        at += (size_t)snprintf(text + at, 1024 - at,
                               "  e%u:\n    labels: {role: r%u}\n    addresses: [10.0.0.%u]\n"
                               "    enforcers: [host]\n",
                               i, (i + shift) % 3, 1 + (i + shift) % N_ENDPOINTS);
    return text;
}

/* One allow between two of the groups, with an expiry when 'until' is given. */
static const char *policy_text(unsigned from, unsigned to, unsigned port, const char *until,
                               char text[1024])
{
    (void)snprintf(text, 1024,
                   "suimitsu: 1\ngroups:\n  r0: {match: {role: r0}}\n  r1: {match: {role: r1}}\n"
                   "  r2: {match: {role: r2}}\n"
                   "mode: {default: enforce}\nallow:\n  - id: only\n    from: r%u\n    to: r%u\n"
                   "    service: tcp/%u\n    owner: o\n    why: test\n%s%s\n",
                   from, to, port, until ? "    expires: " : "", until ? until : "");
    return text;
}

struct memory { /* What the present said when it was the present. */
    int64_t at_s;
    uint64_t revision;
    uint8_t verdicts[N_ENDPOINTS * N_ENDPOINTS * 2];
    char names[N_ENDPOINTS + 1][16];
};

static void remember(const struct world *w, uint8_t verdicts[])
{
    const char *what;
    size_t n = 0;

    for (unsigned i = 0; i < N_ENDPOINTS; i++)
        for (unsigned k = 0; k < N_ENDPOINTS; k++)
            for (unsigned port = 1; port <= 2; port++) {
                char from[8], to[8];
                struct verdict_query q = {
                    .from = from, .to = to, .protocol = 6, .port = (uint16_t)port, .modbus = -1};
                struct verdict_answer a;

                (void)snprintf(from, sizeof(from), "e%u", i);
                (void)snprintf(to, sizeof(to), "e%u", k);
                assert_int_equal(verdict(w, &q, &a, &what), 0);
                verdicts[n++] = (uint8_t)(a.verdict * 16 + a.layer);
            }
}

static struct address address_of(unsigned i)
{
    char text[16];
    struct address a;

    (void)snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
    assert_int_equal(address_parse(text, &a), 0);
    return a;
}

static void names_now(const struct desired *d, char names[][16])
{
    const struct inventory *in = desired_current(d)->inventory;

    for (unsigned i = 0; i <= N_ENDPOINTS; i++) {
        struct address a = address_of(i);

        names[i][0] = 0;
        for (size_t k = 0; k < in->n_endpoints; k++)
            if (address_compare(&in->endpoints[k].addresses[0], &a) == 0)
                (void)snprintf(names[i], 16, "%s", in->endpoints[k].name);
    }
}

static void change_something(struct desired *d, int64_t now_s)
{
    static const char *const days[] = {NULL, "2026-09-25", "2026-09-28", NULL};
    char text[1024], name[8];
    uint64_t revision;

    switch (below(4)) {
    case 0:
        apply(d, NULL, inventory_text(below(N_ENDPOINTS), text), now_s);
        return;
    case 1:
        (void)snprintf(name, sizeof(name), "e%u", below(N_ENDPOINTS));
        if (inventory_endpoint(desired_current(d)->inventory, name))
            assert_int_equal(desired_set_trust(d, name, below(2) ? TRUST_BLACK : TRUST_WHITE,
                                               "test", "test", now_s, &revision),
                             0);
        return;
    default:
        apply(d, policy_text(below(3), below(3), 1 + below(2), days[below(4)], text), NULL, now_s);
    }
}

static void compare(struct past *p, const struct memory *m, int64_t now_s)
{
    struct moment then = {.world = NULL};
    uint8_t verdicts[sizeof(m->verdicts)];
    const struct roster *r;

    assert_int_equal(past_at(p, m->at_s, now_s, &then), 0);
    assert_int_equal(then.revision, m->revision);
    assert_true(then.since_s <= m->at_s);
    remember(then.world, verdicts);
    assert_memory_equal(verdicts, m->verdicts, sizeof(verdicts));
    r = past_roster(p, m->at_s);
    for (unsigned i = 0; i <= N_ENDPOINTS; i++) {
        struct address a = address_of(i);
        const char *name = roster_name(r, &a);

        assert_string_equal(name ? name : "", m->names[i]);
    }
}

/* 60 changes over some days, in which rules expire by themselves, with restarts between. */
static void every_moment_is_told_as_it_was(void **state)
{
    enum { CHANGES = 60 };
    struct memory *memories = xcalloc(CHANGES, sizeof(*memories));
    struct desired *d;
    struct past *p;
    int64_t now_s = START_S;
    char text[1024];
    (void)state;

    d = open_desired(now_s);
    apply(d, NULL, inventory_text(0, text), now_s);
    for (unsigned i = 0; i < CHANGES; i++) {
        now_s += 3600 + below(4 * 3600);
        desired_tick(d, now_s); /* Expiry. */
        if (below(10) == 0) {
            desired_free(d);
            d = open_desired(now_s);
        }
        change_something(d, now_s);
        memories[i].at_s = now_s + below(1800);
        memories[i].revision = desired_current(d)->revision;
        remember(desired_world(d, memories[i].at_s), memories[i].verdicts);
        names_now(d, memories[i].names);
    }
    p = past_new(d);
    for (unsigned i = 0; i < CHANGES; i++)
        compare(p, &memories[i], now_s + DAY_S);
    for (unsigned i = 0; i < 200; i++) /* In any order, too. */
        compare(p, &memories[below(CHANGES)], now_s + DAY_S);
    past_free(p);
    desired_free(d);
    free(memories);
}

/* Whose the first address was; "": nobody's. */
static const char *first_of_all(struct past *p, int64_t at_s)
{
    struct address a = address_of(0);
    const char *name = roster_name(past_roster(p, at_s), &a);

    return name ? name : "";
}

/* Records are told late: what is older than all that is known is named by what was known first,
 * also when the daemon had stood a while without an inventory. */
static void what_is_older_than_the_first_inventory_is_named_by_it(void **state)
{
    struct desired *d = open_desired(START_S);
    struct past *p = past_new(d);
    char text[1024];
    (void)state;

    assert_string_equal(first_of_all(p, START_S - DAY_S), "");
    apply(d, policy_text(0, 1, 1, NULL, text), NULL, START_S + 5);
    assert_string_equal(first_of_all(p, START_S - DAY_S), "");
    apply(d, NULL, inventory_text(0, text), START_S + 10);
    apply(d, NULL, inventory_text(1, text), START_S + 20);
    assert_string_equal(first_of_all(p, START_S - DAY_S), "e0");
    assert_string_equal(first_of_all(p, START_S), "e0");
    assert_string_equal(first_of_all(p, START_S + 7), "e0");
    assert_string_equal(first_of_all(p, START_S + 12), "e0");
    assert_string_equal(first_of_all(p, START_S + 20), "e4");
    past_free(p);
    desired_free(d);
}

/* ---- recorded flows ---- */

enum { ROUNDS = 25, FLOWS_A_ROUND = 4096 };

/* What enforcers of this revision said of random connections, into the history. */
static void record_flows(struct desired *d, struct history *h, unsigned round, int64_t now_s)
{
    struct flow *flows = xcalloc(FLOWS_A_ROUND, sizeof(*flows));
    const struct history_batch batch = {.stream = "test",
                                        .epoch = 1,
                                        .sequence = round + 1,
                                        .flows = flows,
                                        .n_flows = FLOWS_A_ROUND};
    struct program *programs[N_ENDPOINTS] = {NULL};
    const char *what;
    bool known;

    for (size_t i = 0; i < FLOWS_A_ROUND; i++) {
        unsigned from = below(N_ENDPOINTS), to = below(N_ENDPOINTS);
        struct flow *f = &flows[i];
        char names[2][8];
        struct program_query q = {.direction = DIRECTION_OUT, .protocol = 6};
        struct program_answer a;
        const char *rule = "";

        (void)snprintf(names[0], sizeof(names[0]), "e%u", from);
        (void)snprintf(names[1], sizeof(names[1]), "e%u", to);
        if (!programs[from])
            assert_int_equal(
                compiled_program(desired_compiled(d), names[0], &programs[from], &what), 0);
        q.remote = inventory_endpoint(desired_current(d)->inventory, names[1])->addresses[0];
        q.port = (uint16_t)(1 + below(2));
        a = program_judge(programs[from], &q);
        if (a.rule)
            rule = compiled_rule_name(desired_compiled(d), desired_current(d)->revision, a.rule);
        *f = (struct flow){.destination = q.remote,
                           .first_ms = (uint64_t)now_s * 1000 + below(1000),
                           .count = 1,
                           .revision = desired_current(d)->revision,
                           .from = history_text(h, names[0], strlen(names[0])),
                           .to = history_text(h, names[1], strlen(names[1])),
                           .rule = rule[0] ? history_text(h, rule, strlen(rule)) : 0,
                           .port = q.port,
                           .protocol = 6,
                           .verdict = (uint8_t)a.verdict,
                           .layer = (uint8_t)a.layer};
        f->last_ms = f->first_ms;
        f->source = inventory_endpoint(desired_current(d)->inventory, names[0])->addresses[0];
    }
    assert_int_equal(history_append(h, &batch, &known), 0);
    assert_int_equal(history_sync(h), 0);
    for (unsigned i = 0; i < N_ENDPOINTS; i++)
        program_free(programs[i]);
    free(flows);
}

struct asked {
    struct history *history;
    struct past *past;
    int64_t now_s;
    uint64_t n, by_verdict[3];
};

static void ask_of_then(struct asked *x, const struct flow *f, const struct moment *m)
{
    struct verdict_query q = {.from = history_text_of(x->history, f->from),
                              .to = history_text_of(x->history, f->to),
                              .protocol = f->protocol,
                              .port = f->port,
                              .modbus = -1};
    struct verdict_answer a;
    const char *what;

    assert_int_equal(m->revision, f->revision);
    assert_int_equal(verdict(m->world, &q, &a, &what), 0);
    assert_int_equal(a.verdict, f->verdict);
    assert_int_equal(a.layer, f->layer);
    assert_string_equal(a.rule ? a.rule->id : "", history_text_of(x->history, f->rule));
}

static int ask_flows(void *user, const struct flow *flows, size_t n)
{
    struct asked *x = user;
    struct moment m = {.world = NULL};

    for (size_t i = 0; i < n; i++) {
        if (!m.world || m.at_s != (int64_t)(flows[i].first_ms / 1000))
            assert_int_equal(past_at(x->past, (int64_t)(flows[i].first_ms / 1000), x->now_s, &m),
                             0);
        ask_of_then(x, &flows[i], &m);
        x->by_verdict[flows[i].verdict]++;
    }
    x->n += n;
    return 0;
}

static void recorded_flows_are_explained_as_they_were_judged(void **state)
{
    const struct history_query everything = HISTORY_QUERY_ALL;
    struct desired *d = open_desired(START_S);
    struct history_snapshot *snapshot;
    struct history_options options = {0};
    struct asked x = {.now_s = START_S};
    const char *what = "";
    char text[1024], where[96];
    (void)state;

    (void)snprintf(where, sizeof(where), "%s/history", folder);
    assert_int_equal(history_open(where, &options, &x.history, &what), 0);
    apply(d, NULL, inventory_text(0, text), x.now_s);
    for (unsigned round = 0; round < ROUNDS; round++) {
        x.now_s += 3600 + below(4 * 3600);
        desired_tick(d, x.now_s);
        change_something(d, x.now_s);
        record_flows(d, x.history, round, x.now_s);
    }
    desired_free(d);
    history_free(x.history);
    d = open_desired(x.now_s + DAY_S); /* As after a restart, a day later. */
    assert_int_equal(history_open(where, &options, &x.history, &what), 0);
    x.past = past_new(d);
    x.now_s += DAY_S;
    snapshot = history_snapshot(x.history);
    assert_int_equal(history_scan(snapshot, &everything, ask_flows, &x, NULL), 0);
    assert_int_equal(x.n, ROUNDS * FLOWS_A_ROUND);
    assert_true(x.by_verdict[VERDICT_ALLOW] > 1000 && x.by_verdict[VERDICT_DENY] > 1000);
    history_snapshot_free(snapshot);
    past_free(x.past);
    history_free(x.history);
    desired_free(d);
}

static void before_the_first_event_nothing_is_told(void **state)
{
    struct desired *d = open_desired(START_S);
    CLEANUP(past_freep) struct past *p = past_new(d);
    struct moment m;
    (void)state;

    assert_int_equal(past_at(p, START_S - 1, START_S + 9, &m), -ENOENT);
    assert_int_equal(past_at(p, START_S, START_S + 9, &m), 0);
    assert_int_equal(past_of_revision(p, 0, START_S + 9, &m), -ENOENT);
    past_free(TAKE_PTR(p));
    desired_free(d);
}

static void a_moment_ahead_is_now(void **state)
{
    struct desired *d = open_desired(START_S);
    CLEANUP(past_freep) struct past *p = past_new(d);
    struct moment m;
    (void)state;

    assert_int_equal(past_at(p, START_S + 1000, START_S + 9, &m), 0);
    assert_int_equal(m.at_s, START_S + 9);
    assert_ptr_equal(m.world, desired_world(d, START_S + 9));
    past_free(TAKE_PTR(p));
    desired_free(d);
}

static void a_clock_that_was_set_back_hides_nothing(void **state)
{
    struct desired *d = open_desired(START_S);
    CLEANUP(past_freep) struct past *p = past_new(d);
    uint64_t before, after;
    struct moment m;
    char text[1024];
    (void)state;

    apply(d, NULL, inventory_text(0, text), START_S + 1000);
    before = desired_current(d)->revision;
    apply(d, NULL, inventory_text(1, text), START_S + 500);
    after = desired_current(d)->revision;
    assert_int_equal(past_at(p, START_S + 700, START_S + 2000, &m), 0);
    assert_true(m.revision < before);
    assert_int_equal(past_at(p, START_S + 1000, START_S + 2000, &m), 0);
    assert_int_equal(m.revision, after);
    past_free(TAKE_PTR(p));
    desired_free(d);
}

static void what_is_too_old_goes_but_its_trust_stays(void **state)
{
    struct timeline *t = NULL;
    struct desired *d = open_desired(START_S);
    const struct timeline_event *first;
    char text[1024];
    (void)state;

    apply(d, NULL, inventory_text(0, text), START_S);
    assert_int_equal(timeline_open(store, &t), 0);
    for (uint64_t i = 0; i < TIMELINE_KEPT + 10; i++) {
        struct timeline_event e = {.revision = 1000 + i, .time_s = START_S + 10 + (int64_t)i};

        if (i == 3) {
            e.endpoint = "e1";
            e.trust = TRUST_BLACK;
        }
        timeline_add(t, &e);
    }
    assert_int_equal(timeline_between(t, INT64_MIN, INT64_MAX, &first), TIMELINE_KEPT);
    assert_true(first->revision > 1003);
    assert_null(timeline_at(t, START_S + 11));
    timeline_trust(t, first, desired_current(d)->inventory);
    assert_int_equal(inventory_endpoint(desired_current(d)->inventory, "e1")->trust, TRUST_BLACK);
    timeline_free(t);
    desired_free(d);
}

/* ---- large documents ---- */

static char *comment_of(size_t size)
{
    char *text = xcalloc(size + 1, 1);

    for (size_t i = 0; i < size; i++)
        text[i] = i % 64 == 0 ? '#' : i % 64 == 63 ? '\n' : (char)('a' + below(26));
    return text;
}

static int put_version(const struct source *sources, size_t n, uint64_t version)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    const struct version_note note = {.actor = "test", .comment = "", .now_s = START_S};
    struct version_files f = {.document = NULL};
    int r;

    version_files_borrow(&f, sources, n);
    r = version_put(t, "inventory", version, &f, &note);
    version_files_done(&f);
    return r < 0 ? r : store_commit(store, t, NULL);
}

static void a_large_inventory_is_kept_packed_and_read_as_it_was(void **state)
{
    (void)state;
    enum { FILES = 3, SIZE = 700000 };
    struct source sources[FILES];
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    struct version_files f = {.document = NULL};
    static const char key[] = "inventory/0000000000000007";

    for (size_t i = 0; i < FILES; i++)
        sources[i] = (struct source){.name = "i.yaml", .data = comment_of(SIZE), .size = SIZE};
    assert_int_equal(put_version(sources, FILES, 7), 0);
    assert_int_equal(store_get(store, key, &item), 0);
    assert_true(item.size < FILES * SIZE * 3 / 4);
    assert_int_equal(version_files_get(store, "inventory", 7, &f), 0);
    assert_int_equal(f.n, FILES);
    for (size_t i = 0; i < FILES; i++) {
        assert_int_equal(f.sources[i].size, SIZE);
        assert_memory_equal(f.sources[i].data, sources[i].data, SIZE);
        free((char *)(uintptr_t)sources[i].data);
    }
    version_files_done(&f);
    for (size_t at = 4; at < item.size; at += item.size / 50) { /* Behind the mark of zstd. */
        CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
        json_t *document = NULL;

        store_put(t, key, item.data, at);
        assert_int_equal(store_commit(store, t, NULL), 0);
        assert_int_equal(version_get(store, "inventory", 7, &document), -EUCLEAN);
    }
}

static void what_is_over_the_limit_is_refused_packed_or_not(void **state)
{
    (void)state;
    enum { SIZE = VERSION_DOCUMENT_MAX / 2 };
    CLEANUP(free_voidp) char *text = comment_of(SIZE);
    const struct source sources[] = {{.name = "a", .data = text, .size = SIZE},
                                     {.name = "b", .data = text, .size = SIZE},
                                     {.name = "c", .data = text, .size = 1}};

    assert_int_equal(put_version(sources, 3, 8), -E2BIG); /* Itself, */
    assert_int_equal(put_version(sources, 2, 8), -E2BIG); /* and what is stored of it. */
    memset(text, '#', SIZE);
    assert_int_equal(put_version(sources, 2, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_moment_is_told_as_it_was, in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(recorded_flows_are_explained_as_they_were_judged,
                                        in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(before_the_first_event_nothing_is_told, in_a_new_folder,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_moment_ahead_is_now, in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(what_is_older_than_the_first_inventory_is_named_by_it,
                                        in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_hides_nothing, in_a_new_folder,
                                        clean_up),
        cmocka_unit_test_setup_teardown(what_is_too_old_goes_but_its_trust_stays, in_a_new_folder,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_large_inventory_is_kept_packed_and_read_as_it_was,
                                        in_a_new_folder, clean_up),
        cmocka_unit_test_setup_teardown(what_is_over_the_limit_is_refused_packed_or_not,
                                        in_a_new_folder, clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
