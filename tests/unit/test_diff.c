/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of diff.h, on random pairs of policies: every verdict that changes is told, and
 * nothing is told that no verdict shows. */
#include "core/diff.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/date.h"
#include "core/verdict.h"
#include "text/policy.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { PAIRS = 400, QUERIES = 300, SIDES = 2 };

struct side {
    struct buf policy_text, inventory_text;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
};

static const char *const outside[] = {"203.0.113.5", "203.0.113.201", "198.51.100.7", "2001:db8::1",
                                      "192.0.2.1",   "2001:db9::1",   "224.0.0.251",  "ff02::fb"};
enum { N_OUTSIDE = ARRAY_SIZE(outside), N_ENDS = N_ENDPOINTS + N_OUTSIDE };

static const char *end_name(size_t i)
{
    static const char *const names[N_ENDPOINTS] = {"e0", "e1", "e2", "e3", "e4", "e5"};

    return i < N_ENDPOINTS ? names[i] : outside[i - N_ENDPOINTS];
}

static void read_side(struct side *s)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source a = {"policy.yaml", buf_str(&s->policy_text), s->policy_text.size};
    struct source b = {"inventory.yaml", buf_str(&s->inventory_text), s->inventory_text.size};
    int64_t now_s = 0;

    assert_int_equal(policy_read(&a, 1, d, &s->policy), 0);
    assert_int_equal(inventory_read(&b, 1, d, &s->inventory), 0);
    assert_int_equal(date_parse_time("2026-11-22T23:59:59Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
}

static void make_side(struct side *s, const struct n_policy *p)
{
    *s = (struct side){.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    naive_write(p, &s->policy_text, &s->inventory_text);
}

static void end_side(struct side *s)
{
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
    buf_done(&s->policy_text);
    buf_done(&s->inventory_text);
}

/* Takes the line of one endpoint out of the inventory. */
static void drop_endpoint(struct side *s, uint32_t number)
{
    struct buf rest = BUF_INIT;
    const char *text = buf_str(&s->inventory_text), *line, *end;
    char key[16];

    (void)snprintf(key, sizeof(key), "  e%u:", number);
    line = strstr(text, key);
    assert_non_null(line);
    end = strchr(line, '\n') + 1;
    buf_add(&rest, text, (size_t)(line - text));
    buf_puts(&rest, end);
    buf_done(&s->inventory_text);
    s->inventory_text = rest;
}

/* Another policy, or the same with some of another in it. */
static void change(struct n_policy *p)
{
    struct n_policy other;

    naive_make(&other);
    if (naive_random(3) == 0) {
        *p = other;
        return;
    }
    for (uint32_t i = 0; i <= naive_random(3); i++)
        switch (naive_random(6)) {
        case 0:
            if (p->n_rules && other.n_rules)
                p->rules[naive_random((uint32_t)p->n_rules)].fields = other.rules[0].fields;
            break;
        case 1:
            if (p->n_rules < MAX_RULES && other.n_rules) {
                struct n_rule *r = &p->rules[p->n_rules++];

                *r = other.rules[0];
                (void)snprintf(r->id, sizeof(r->id), "q%u", (unsigned)p->n_rules % 100);
            }
            break;
        case 2:
            if (p->n_rules)
                p->n_rules--;
            break;
        case 3:
            p->endpoints[i] = other.endpoints[i];
            break;
        case 4:
            p->endpoints[i].state = other.endpoints[i].state;
            break;
        default:
            p->default_mode = other.default_mode;
            memcpy(p->modes, other.modes, sizeof(p->modes));
            break;
        }
    for (int i = 0; i < p->n_rules; i++) /* As naive_make() does: a quarantine rule has one end. */
        if (strcmp(p->rules[i].layer, "quarantine") == 0) {
            p->rules[i].fields.to = (struct n_list){.given = false};
            if (!p->rules[i].fields.from.given)
                p->rules[i].fields.from = (struct n_list){.given = true, .n = 1, .items = {"any"}};
        } else if (strcmp(p->rules[i].layer, "never") == 0) {
            p->rules[i].fields.served_by = (struct n_list){.given = false};
        }
}

static void make_pair(struct side s[SIDES])
{
    struct n_policy p;

    naive_make(&p);
    make_side(&s[0], &p);
    change(&p);
    make_side(&s[1], &p);
    for (int side = 0; side < SIDES; side++) {
        if (naive_random(8) == 0)
            drop_endpoint(&s[side], naive_random(N_ENDPOINTS));
        read_side(&s[side]);
    }
}

/* ---- what the two sides say ---- */

struct both {
    struct diff_side side[SIDES];
    bool differs;
    enum diff_kind kind;
};

static struct both ask(const struct side s[SIDES], const struct verdict_query *q)
{
    static const enum diff_kind kinds[3][3] = {
        [VERDICT_DENY] = {[VERDICT_ALLOW] = DIFF_GAIN, [VERDICT_WOULD_DENY] = DIFF_GAIN},
        [VERDICT_ALLOW] = {[VERDICT_DENY] = DIFF_LOSE, [VERDICT_WOULD_DENY] = DIFF_REPORTED},
        [VERDICT_WOULD_DENY] = {[VERDICT_DENY] = DIFF_LOSE, [VERDICT_ALLOW] = DIFF_SETTLED}};
    struct both b;

    for (int i = 0; i < SIDES; i++) {
        struct verdict_answer a = {.verdict = VERDICT_DENY, .layer = LAYER_DEFAULT};
        const char *what;
        bool exists = verdict(s[i].world, q, &a, &what) == 0;

        b.side[i] = (struct diff_side){a.verdict, a.layer, a.rule, exists};
    }
    b.differs = b.side[0].verdict != b.side[1].verdict &&
                !(b.side[0].layer == LAYER_DEFAULT && b.side[1].layer == LAYER_DEFAULT);
    b.kind = kinds[b.side[0].verdict][b.side[1].verdict];
    return b;
}

static bool same_side(const struct diff_side *a, const struct diff_side *b)
{
    return a->verdict == b->verdict && a->layer == b->layer && a->rule == b->rule &&
           a->exists == b->exists;
}

static bool lists_end(const struct diff *d, const struct diff_ends *e, const char *name)
{
    for (size_t i = 0; i < e->n_endpoints; i++)
        if (strcmp(d->names[e->endpoints[i]], name) == 0)
            return true;
    return name[0] != 'e' && e->n_outside > 0;
}

/* "s2" or "tcp/105-106"; the services of naive.c once more. */
static bool covers(const char *name, uint8_t protocol, unsigned port)
{
    unsigned low = 0, high = 0;
    char text[8] = "";

    if (strcmp(name, "s1") == 0)
        return protocol == IPPROTO_TCP && port == 100;
    if (strcmp(name, "s2") == 0)
        return protocol == IPPROTO_TCP ? port >= 100 && port <= 110
                                       : protocol == IPPROTO_UDP && port == 100;
    if (strcmp(name, "s3") == 0)
        return protocol == IPPROTO_ICMP && port == 8;
    if (strcmp(name, "s4") == 0)
        return protocol == IPPROTO_TCP && port == 105;
    if (strcmp(name, "s5") == 0)
        return protocol == IPPROTO_TCP && port >= 104 && port <= 106;
    if (sscanf(name, "%7[a-z]/%u-%u", text, &low, &high) == 2)
        high = low;
    return low <= port && port <= high &&
           protocol == (strcmp(text, "tcp") == 0   ? IPPROTO_TCP
                        : strcmp(text, "udp") == 0 ? IPPROTO_UDP
                                                   : IPPROTO_ICMP);
}

static bool names_port(const struct side *s, const struct match *m, const struct verdict_query *q,
                       const void *key)
{
    (void)key;
    return m->n_services &&
           services_take_port(s->policy, m->services, m->n_services, q->protocol, q->port);
}

/* True when 'what' is, for a living rule of both sides that takes the ends and the port. */
static bool any_rule(const struct side s[SIDES], const struct verdict_query *q, const void *key,
                     bool (*what)(const struct side *s, const struct match *m,
                                  const struct verdict_query *q, const void *key))
{
    for (int i = 0; i < SIDES; i++) {
        struct end from, to;
        struct address a;

        if (world_end(s[i].world, q->from, &from, &a) < 0 ||
            world_end(s[i].world, q->to, &to, &a) < 0)
            continue;
        for (size_t k = 0; k < s[i].policy->n_rules; k++) {
            const struct rule *r = &s[i].policy->rules[k];

            if (rule_is_alive(r, s[i].world->now_s) && selector_takes(&r->match.from, &from) &&
                selector_takes(&r->match.to, &to) &&
                (what == names_port ||
                 services_take_port(s[i].policy, r->match.services, r->match.n_services,
                                    q->protocol, q->port)) &&
                (what(&s[i], &r->match, q, key) || (r->except && what(&s[i], r->except, q, key))))
                return true;
        }
    }
    return false;
}

static bool names_program(const struct side *s, const struct match *m,
                          const struct verdict_query *q, const void *key)
{
    (void)s;
    (void)q;
    for (size_t i = 0; i < m->n_processes; i++)
        if (strcmp(m->processes[i], key) == 0)
            return true;
    return false;
}

static bool names_server(const struct side *s, const struct match *m, const struct verdict_query *q,
                         const void *key)
{
    (void)s;
    (void)q;
    for (size_t i = 0; i < m->n_served_by; i++)
        if (strcmp(m->served_by[i], key) == 0)
            return true;
    return false;
}

static bool has_user(const struct side *s, const struct user_ref *ref, const char *name)
{
    const struct user *u = inventory_user(s->inventory, name);

    if (!ref->is_group)
        return strcmp(ref->name, name) == 0;
    for (size_t i = 0; u && i < u->n_groups; i++)
        if (strcmp(u->groups[i], ref->name) == 0)
            return true;
    return false;
}

/* Some name in it takes one of both people and not the other. */
static bool tells_users_apart(const struct side *s, const struct match *m,
                              const struct verdict_query *q, const void *other)
{
    for (size_t i = 0; i < m->n_users; i++)
        if (has_user(s, &m->users[i], q->user) != has_user(s, &m->users[i], other))
            return true;
    return false;
}

static bool holds(const struct side s[SIDES], const struct diff *d, const struct diff_change *c,
                  const struct verdict_query *q, const struct both *b)
{
    bool port = c->other_services && !any_rule(s, q, NULL, names_port);

    for (size_t i = 0; i < c->n_services && !port; i++)
        port = covers(c->services[i], q->protocol, q->port);
    if (!port || c->kind != b->kind || !same_side(&c->before, &b->side[0]) ||
        !same_side(&c->after, &b->side[1]) || !lists_end(d, &c->from, q->from) ||
        !lists_end(d, &c->to, q->to))
        return false;
    if (c->process && strcmp(c->process, q->process) != 0 &&
        (strcmp(c->process, "?") != 0 || any_rule(s, q, q->process, names_program)))
        return false;
    if (c->served_by && strcmp(c->served_by, q->served_by) != 0 &&
        (strcmp(c->served_by, "?") != 0 || any_rule(s, q, q->served_by, names_server)))
        return false;
    return !c->user || !any_rule(s, q, c->user, tells_users_apart);
}

/* ---- every difference is told ---- */

static struct verdict_query random_query(void)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP,  IPPROTO_TCP,
                                        IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};
    static const char *const programs[] = {"/p/a", "/p/b", "/p/c"};
    static const char *const users[] = {"u1", "u2", "u3", "u4"};
    size_t from = naive_random(N_ENDS), to = naive_random(N_ENDS);

    while (from == to || (from >= N_ENDPOINTS && to >= N_ENDPOINTS)) {
        from = naive_random(N_ENDS);
        to = naive_random(N_ENDS);
    }
    struct verdict_query q = {.from = end_name(from),
                              .to = end_name(to),
                              .protocol = protocols[naive_random(6)],
                              .process = programs[naive_random(3)],
                              .served_by = programs[naive_random(3)],
                              .user = users[naive_random(4)],
                              .modbus = (int)naive_random(5)};
    q.port = q.protocol == IPPROTO_GRE    ? 0
             : q.protocol == IPPROTO_ICMP ? (uint16_t)(naive_random(2) * 8)
                                          : (uint16_t)(99 + naive_random(13));
    return q;
}

static void print_pair(const struct side s[SIDES])
{
    for (int i = 0; i < SIDES; i++)
        print_error("---- %s\n%s%s", i ? "after" : "before", buf_str(&s[i].policy_text),
                    buf_str(&s[i].inventory_text));
}

static void print_changes(const struct diff *d)
{
    for (size_t i = 0; i < d->n_changes; i++) {
        const struct diff_change *c = &d->changes[i];

        print_error("%s %s -> %s process %s user %s served-by %s modbus %d other %d services",
                    diff_kind_name(c->kind), c->before.rule ? c->before.rule->id : "-",
                    c->after.rule ? c->after.rule->id : "-", c->process ? c->process : "-",
                    c->user ? c->user : "-", c->served_by ? c->served_by : "-", c->modbus,
                    c->other_services);
        for (size_t k = 0; k < c->n_services; k++)
            print_error(" %s", c->services[k]);
        print_error("; from");
        for (size_t k = 0; k < c->from.n_endpoints; k++)
            print_error(" %s", d->names[c->from.endpoints[k]]);
        print_error(" + %zu; to", c->from.n_outside);
        for (size_t k = 0; k < c->to.n_endpoints; k++)
            print_error(" %s", d->names[c->to.endpoints[k]]);
        print_error(" + %zu\n", c->to.n_outside);
    }
}

/* No service of naive.c with this port tells the two functions apart. */
static bool same_function(const struct verdict_query *q, int a, int b)
{
    bool is_s4 = covers("s4", q->protocol, q->port), is_s5 = covers("s5", q->protocol, q->port);

    return !(is_s4 && (a == 1 || a == 2) != (b == 1 || b == 2)) &&
           !(is_s5 && (a == 2 || a == 3) != (b == 2 || b == 3));
}

static bool is_told(const struct side s[SIDES], const struct diff *d, const struct verdict_query *q,
                    const struct both *b)
{
    for (size_t i = 0; i < d->n_changes; i++) {
        const struct diff_change *c = &d->changes[i];

        if ((c->modbus < 0 || same_function(q, c->modbus, q->modbus)) && holds(s, d, c, q, b))
            return true;
    }
    return false;
}

static void a_verdict_that_changes_is_told_with_its_ends_service_and_conditions(void **state)
{
    size_t n_different = 0;

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        CLEANUP(diff_freep) struct diff *d = NULL;
        struct side s[SIDES];

        make_pair(s);
        assert_int_equal(diff_new(s[0].world, s[1].world, &d), 0);
        assert_false(d->incomplete);
        for (int k = 0; k < QUERIES; k++) {
            struct verdict_query q = random_query();
            struct both b = ask(s, &q);

            if (!b.differs)
                continue;
            n_different++;
            if (is_told(s, d, &q, &b))
                continue;
            print_pair(s);
            print_changes(d);
            print_error("pair %d: %s -> %s %u/%u process %s served-by %s user %s modbus %d: %s\n",
                        i, q.from, q.to, q.protocol, q.port, q.process, q.served_by, q.user,
                        q.modbus, diff_kind_name(b.kind));
            fail();
        }
        end_side(&s[0]);
        end_side(&s[1]);
    }
    assert_true(n_different > 5000);
}

/* ---- nothing else is told ---- */

struct seen {
    bool from[N_ENDS], to[N_ENDS], other;
    bool services[64];
};

/* All ports that services tell apart, and some that none names, between two ends. */
static void look_at(const struct side s[SIDES], const struct diff_change *c, size_t from, size_t to,
                    struct seen *seen)
{
    static const struct {
        uint8_t protocol;
        uint16_t first, last;
    } ranges[] = {
        {IPPROTO_TCP, 99, 111}, {IPPROTO_UDP, 100, 100}, {IPPROTO_ICMP, 8, 8}, {IPPROTO_GRE, 0, 0}};

    for (size_t r = 0; r < ARRAY_SIZE(ranges); r++)
        for (uint16_t port = ranges[r].first; port <= ranges[r].last; port++) {
            const struct verdict_query q = {.from = end_name(from),
                                            .to = end_name(to),
                                            .protocol = ranges[r].protocol,
                                            .port = port,
                                            .process = c->process ? c->process : "/p/c",
                                            .served_by = c->served_by ? c->served_by : "/p/b",
                                            .user = c->user ? c->user : "u4",
                                            .modbus = c->modbus >= 0 ? c->modbus : 4};
            struct both b = ask(s, &q);

            if (!b.differs || b.kind != c->kind || !same_side(&c->before, &b.side[0]) ||
                !same_side(&c->after, &b.side[1]))
                continue;
            seen->from[from] = seen->to[to] = true;
            seen->other |= ranges[r].protocol == IPPROTO_GRE;
            for (size_t i = 0; i < c->n_services; i++)
                seen->services[i] |= covers(c->services[i], q.protocol, q.port);
        }
}

static void assert_seen(const struct diff *d, const struct diff_ends *e, const bool seen[N_ENDS])
{
    bool outside_seen = false;

    for (size_t i = N_ENDPOINTS; i < N_ENDS; i++)
        outside_seen |= seen[i];
    assert_true(outside_seen || !e->n_outside);
    for (size_t i = 0; i < N_ENDPOINTS; i++) {
        bool told = false;

        for (size_t k = 0; k < e->n_endpoints; k++)
            told |= strcmp(d->names[e->endpoints[k]], end_name(i)) == 0;
        assert_true(seen[i] || !told);
    }
}

static void every_end_and_service_of_a_change_is_there_for_some_verdict(void **state)
{
    size_t n_changes = 0;

    (void)state;
    for (int i = 0; i < PAIRS / 4; i++) {
        CLEANUP(diff_freep) struct diff *d = NULL;
        struct side s[SIDES];

        make_pair(s);
        assert_int_equal(diff_new(s[0].world, s[1].world, &d), 0);
        n_changes += d->n_changes;
        for (size_t k = 0; k < d->n_changes; k++) {
            const struct diff_change *c = &d->changes[k];
            struct seen seen = {.other = false};

            assert_in_range(c->n_services, 0, ARRAY_SIZE(seen.services));
            for (size_t from = 0; from < N_ENDS; from++)
                for (size_t to = 0; to < N_ENDS; to++)
                    if (from != to && (from < N_ENDPOINTS || to < N_ENDPOINTS))
                        look_at(s, c, from, to, &seen);
            assert_seen(d, &c->from, seen.from);
            assert_seen(d, &c->to, seen.to);
            assert_true(seen.other || !c->other_services);
            for (size_t v = 0; v < c->n_services; v++)
                assert_true(seen.services[v]);
        }
        end_side(&s[0]);
        end_side(&s[1]);
    }
    assert_true(n_changes > 200);
}

static void other_words_names_and_another_order_are_no_change(void **state)
{
    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        CLEANUP(diff_freep) struct diff *d = NULL;
        struct buf text = BUF_INIT;
        struct n_policy p;
        struct side s[SIDES];

        naive_make(&p);
        make_side(&s[0], &p);
        for (int k = 0; k < p.n_rules / 2; k++) {
            struct n_rule r = p.rules[k];

            p.rules[k] = p.rules[p.n_rules - 1 - k];
            p.rules[p.n_rules - 1 - k] = r;
        }
        for (int k = 0; k < p.n_rules && i % 2; k++)
            p.rules[k].id[0] = 'z';
        make_side(&s[1], &p);
        for (const char *at = buf_str(&s[1].policy_text); *at; at++)
            if (strncmp(at, "why: w", 6) == 0) {
                buf_puts(&text, "why: other words");
                at += 5;
            } else {
                buf_putc(&text, *at);
            }
        buf_done(&s[1].policy_text);
        s[1].policy_text = text;
        read_side(&s[0]);
        read_side(&s[1]);
        assert_int_equal(diff_new(s[0].world, s[1].world, &d), 0);
        assert_true(diff_is_empty(d));
        diff_free(d);
        d = NULL;
        assert_int_equal(diff_new(s[0].world, s[0].world, &d), 0);
        assert_true(diff_is_empty(d));
        assert_int_equal(d->pairs_judged, 0);
        end_side(&s[0]);
        end_side(&s[1]);
    }
}

static void what_only_one_side_has_and_new_modes_are_told_by_endpoint(void **state)
{
    CLEANUP(diff_freep) struct diff *d = NULL;
    struct n_policy p;
    struct side s[SIDES];

    (void)state;
    naive_make(&p);
    memset(p.modes, 0, sizeof(p.modes));
    p.n_rules = 0;
    for (int i = 0; i < N_ENDPOINTS; i++)
        p.endpoints[i].state = "white";
    p.default_mode = "test";
    make_side(&s[0], &p);
    p.default_mode = "enforce";
    make_side(&s[1], &p);
    drop_endpoint(&s[0], 1);
    drop_endpoint(&s[1], 4);
    read_side(&s[0]);
    read_side(&s[1]);
    assert_int_equal(diff_new(s[0].world, s[1].world, &d), 0);
    assert_int_equal(d->n_changes, 0);
    assert_int_equal(d->n_added, 1);
    assert_string_equal(d->names[d->added[0]], "e1");
    assert_int_equal(d->n_removed, 1);
    assert_string_equal(d->names[d->removed[0]], "e4");
    assert_int_equal(d->n_modes, 4);
    assert_int_equal(d->modes[0].before, MODE_TEST);
    assert_int_equal(d->modes[0].after, MODE_ENFORCE);
    end_side(&s[0]);
    end_side(&s[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_that_changes_is_told_with_its_ends_service_and_conditions),
        cmocka_unit_test(every_end_and_service_of_a_change_is_there_for_some_verdict),
        cmocka_unit_test(other_words_names_and_another_order_are_no_change),
        cmocka_unit_test(what_only_one_side_has_and_new_modes_are_told_by_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
