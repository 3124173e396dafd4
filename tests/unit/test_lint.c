/* SPDX-License-Identifier: Apache-2.0 */
/* core/lint.h against brute force: what a rule takes is tried out on all ends, ports, programs,
 * users and functions by the naive evaluator. */
#include "core/lint.h"

#include <stdio.h>

#include "base/date.h"
#include "text/policy.h"
#include "text/report.h"
#include "unit/naive.h"
#include "unit/test.h"

enum { POLICIES = 250, QUERIES = 400, N_OUTSIDE = 6, NODES = N_ENDPOINTS + N_OUTSIDE };

/* One address of each range; the last is a group of machines. */
static const char *const outside[N_OUTSIDE] = {"192.0.2.1",    "203.0.113.5", "203.0.113.201",
                                               "198.51.100.7", "2001:db8::5", "224.0.0.1"};
static const char *const programs[] = {NULL, "/p/a", "/p/b", "/p/z"};
static const char *const users[] = {NULL, "u1", "u2", "u3", "u4", "nobody"};
static const struct n_query packets[] = {
    {.protocol = "tcp", .port = 100}, {.protocol = "tcp", .port = 101},
    {.protocol = "tcp", .port = 104}, {.protocol = "tcp", .port = 105},
    {.protocol = "tcp", .port = 108}, {.protocol = "tcp", .port = 99},
    {.protocol = "udp", .port = 100}, {.protocol = "icmp", .port = 8},
    {.protocol = "icmp", .port = 13}, {.protocol = "gre", .port = 0},
};
static const int functions[] = {-1, 7, 1, 2, 3};

struct setting {
    struct buf policy_text, inventory_text;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
    struct diagnostics *d;
};

static void read_all(struct setting *s, bool with_inventory)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct source sources[] = {
        {"policy.yaml", buf_str(&s->policy_text), s->policy_text.size},
        {"inventory.yaml", buf_str(&s->inventory_text), s->inventory_text.size}};
    int64_t now_s = 0;

    s->d = diagnostics_new();
    if (policy_read(&sources[0], 1, s->d, &s->policy) < 0 ||
        inventory_read(&sources[1], with_inventory, s->d, &s->inventory) < 0) {
        report_text(&b, s->d, sources, 2);
        print_error("%s", buf_str(&b));
        fail();
    }
    assert_int_equal(date_parse_time("2026-11-22T12:00:00Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
    policy_lint(s->world, with_inventory, s->d);
}

static void setting_done(struct setting *s)
{
    world_free(s->world);
    inventory_free(s->inventory);
    policy_free(s->policy);
    diagnostics_free(s->d);
    buf_done(&s->policy_text);
    buf_done(&s->inventory_text);
}

/* ---- what lints say about rules ---- */

struct flags {
    bool dead[MAX_RULES], hidden[MAX_RULES];
};

/* The first name in quotes is the rule's. */
static struct flags flags_of(const struct n_policy *p, const struct diagnostics *d)
{
    struct flags f = {{false}, {false}};

    for (size_t i = 0; i < d->n; i++) {
        const char *quote = strchr(d->items[i].message, '"');
        bool dead = d->items[i].code == CODE_DEAD, hidden = d->items[i].code == CODE_NEVER_HIDES;

        for (int r = 0; (dead || hidden) && r < p->n_rules; r++)
            if (strncmp(quote + 1, p->rules[r].id, strlen(p->rules[r].id)) == 0 &&
                quote[1 + strlen(p->rules[r].id)] == '"') {
                f.dead[r] = dead;
                f.hidden[r] = hidden;
            }
    }
    return f;
}

/* ---- brute force ---- */

static const char *node_name(const struct n_policy *p, int node)
{
    return node < N_ENDPOINTS ? p->endpoints[node].name : outside[node - N_ENDPOINTS];
}

static bool selects(const struct n_policy *p, const struct n_list *l, const char *end)
{
    for (int i = 0; i < l->n; i++)
        if (naive_in_group(p, l->items[i], end))
            return true;
    return !l->given;
}

/* Any endpoint may be a suspect one day; multicast is reached by named services only. */
static bool takes(const struct n_policy *p, int rule, const struct n_query *q)
{
    const struct n_rule *r = &p->rules[rule];
    bool never = strcmp(r->layer, "never") == 0;

    if (strcmp(r->layer, "quarantine") == 0 &&
        !naive_endpoint(p, r->fields.to.given ? q->from : q->to))
        return false;
    if (strcmp(q->to, outside[N_OUTSIDE - 1]) == 0 && !never && !r->fields.service.given)
        return false;
    return naive_matches(p, rule, q);
}

static bool is_of_layer(const struct n_policy *p, int a, int b)
{
    const struct n_rule *x = &p->rules[a], *y = &p->rules[b];

    return strcmp(x->layer, y->layer) == 0 &&
           (strcmp(x->layer, "quarantine") != 0 || x->fields.to.given == y->fields.to.given);
}

struct brute {
    const struct n_policy *p;
    int rule;
    const bool *gone;  /* Rules that do not count as others. */
    const char *layer; /* "never": others are nevers; NULL: of the rule's own layer. */
    bool matched;
};

static bool others_take(const struct brute *b, const struct n_query *q)
{
    for (int i = 0; i < b->p->n_rules; i++) {
        bool other =
            b->layer ? strcmp(b->p->rules[i].layer, b->layer) == 0 : is_of_layer(b->p, b->rule, i);

        if (other && i != b->rule && !(b->gone && b->gone[i]) && takes(b->p, i, q))
            return true;
    }
    return false;
}

static bool has_field(const struct n_policy *p, size_t offset)
{
    for (int i = 0; i < p->n_rules; i++) {
        const struct n_rule *r = &p->rules[i];

        if (((const struct n_list *)((const char *)&r->fields + offset))->given ||
            (r->has_except && ((const struct n_list *)((const char *)&r->except + offset))->given))
            return true;
    }
    return false;
}

static bool covered_at(struct brute *b, struct n_query *q)
{
    size_t n_process = has_field(b->p, offsetof(struct n_fields, process)) ? 4 : 1;
    size_t n_served = has_field(b->p, offsetof(struct n_fields, served_by)) ? 4 : 1;
    size_t n_user = has_field(b->p, offsetof(struct n_fields, user)) ? 6 : 1;

    for (size_t i = 0; i < n_process; i++)
        for (size_t j = 0; j < n_served; j++)
            for (size_t k = 0; k < n_user; k++) {
                q->process = programs[i];
                q->served_by = programs[j];
                q->user = users[k];
                if (!takes(b->p, b->rule, q))
                    continue;
                b->matched = true;
                if (!others_take(b, q))
                    return false;
            }
    return true;
}

static bool covered_between(struct brute *b, int x, int y)
{
    const struct n_rule *r = &b->p->rules[b->rule];

    if ((x == y && x < N_ENDPOINTS) || !selects(b->p, &r->fields.from, node_name(b->p, x)) ||
        !selects(b->p, &r->fields.to, node_name(b->p, y)))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
        for (size_t f = 0; f < (packets[i].port == 104 || packets[i].port == 105 ? 5 : 1); f++) {
            struct n_query q = packets[i];

            q.from = node_name(b->p, x);
            q.to = node_name(b->p, y);
            q.modbus = functions[f];
            if (!covered_at(b, &q))
                return false;
        }
    return true;
}

/* Do others take all that the rule takes, and does it take anything? */
static bool is_covered(struct brute *b)
{
    for (int x = 0; x < NODES; x++)
        for (int y = 0; y < NODES; y++)
            if (!covered_between(b, x, y))
                return false;
    return b->matched;
}

/* ---- policies with more repetition than chance gives ---- */

static void make_repetitive(struct n_policy *p)
{
    naive_make(p);
    for (int i = 1; i < p->n_rules; i++) {
        struct n_rule *r = &p->rules[i];
        const struct n_rule *like = &p->rules[naive_random((uint32_t)i)];
        char id[sizeof r->id];

        if (naive_random(3) == 0)
            continue;
        memcpy(id, r->id, sizeof id);
        *r = *like;
        memcpy(r->id, id, sizeof id);
        if (strcmp(r->layer, "never") == 0 && naive_random(2)) {
            r->layer = "allow"; /* What the never forbids. */
            r->has_except = false;
        }
        if (naive_random(2) && !strcmp(r->layer, "allow"))
            r->fields.process = (struct n_list){.given = false};
        if (naive_random(2) && strcmp(r->layer, "quarantine") != 0)
            r->fields.from = (struct n_list){
                .given = true, .n = 2, .items = {naive_random(2) ? "ax" : "ay", "axby"}};
        if (naive_random(3) == 0)
            r->fields.service = (struct n_list){.given = true, .n = 1, .items = {"s2"}};
        if (naive_random(4) == 0)
            r->expired = !r->expired;
    }
}

static void assert_rules_flagged_as_brute_force_says(const struct n_policy *p,
                                                     const struct setting *s, size_t *n_dead,
                                                     size_t *n_hidden)
{
    struct flags f = flags_of(p, s->d);
    bool gone[MAX_RULES];

    for (int i = 0; i < p->n_rules; i++)
        gone[i] = f.dead[i] || f.hidden[i];
    for (int i = 0; i < p->n_rules; i++) {
        struct brute alone = {p, i, gone, NULL, false}, under = {p, i, NULL, "never", false};
        bool covered = is_covered(&alone);
        bool hidden = strcmp(p->rules[i].layer, "allow") == 0 && is_covered(&under);

        if (hidden != f.hidden[i] || (!hidden && covered != f.dead[i])) {
            print_error("%s\n%s\n%s: covered %d, hidden %d\n", buf_str(&s->policy_text),
                        buf_str(&s->inventory_text), p->rules[i].id, covered, hidden);
            for (size_t k = 0; k < s->d->n; k++)
                print_error("%s\n", s->d->items[k].message);
            fail();
        }
        *n_dead += f.dead[i];
        *n_hidden += f.hidden[i];
    }
}

static struct n_query random_query(const struct n_policy *p)
{
    struct n_query q = packets[naive_random(ARRAY_SIZE(packets))];

    q.from = node_name(p, (int)naive_random(NODES - 1));
    q.to = node_name(p, (int)naive_random(NODES - 1));
    q.process = programs[naive_random(4)];
    q.served_by = programs[naive_random(4)];
    q.user = users[naive_random(6)];
    q.modbus = functions[naive_random(5)];
    return q;
}

static void assert_nothing_changes_without(const struct n_policy *p, const struct flags *f)
{
    struct n_policy less = *p;

    less.n_rules = 0;
    for (int i = 0; i < p->n_rules; i++)
        if (!f->dead[i] && !f->hidden[i])
            less.rules[less.n_rules++] = p->rules[i];
    for (int i = 0; i < QUERIES; i++) {
        struct n_query q = random_query(p);
        struct n_answer a = naive_judge(p, &q), b = naive_judge(&less, &q);

        assert_string_equal(a.verdict, b.verdict);
        assert_string_equal(a.layer, b.layer);
        assert_int_equal(a.enforced, b.enforced);
    }
}

static void a_rule_is_dead_or_hidden_exactly_when_brute_force_says_so(void **state)
{
    size_t n_dead = 0, n_hidden = 0;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct setting s = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
        struct n_policy p;
        struct flags f;

        i % 2 ? make_repetitive(&p) : naive_make(&p);
        naive_write(&p, &s.policy_text, &s.inventory_text);
        read_all(&s, true);
        assert_rules_flagged_as_brute_force_says(&p, &s, &n_dead, &n_hidden);
        f = flags_of(&p, s.d);
        assert_nothing_changes_without(&p, &f);
        setting_done(&s);
    }
    print_message("# %zu dead, %zu hidden\n", n_dead, n_hidden);
    assert_true(n_dead > 100 && n_hidden > 20);
}

static void what_is_dead_without_an_inventory_is_dead_in_every_one(void **state)
{
    size_t n_dead = 0, n_hidden = 0;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct setting s = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
        struct n_policy p;
        struct flags f;

        make_repetitive(&p);
        naive_write(&p, &s.policy_text, &s.inventory_text);
        read_all(&s, false);
        f = flags_of(&p, s.d);
        for (int r = 0; r < p.n_rules; r++) {
            n_dead += f.dead[r];
            n_hidden += f.hidden[r];
        }
        assert_nothing_changes_without(&p, &f);
        setting_done(&s);
    }
    print_message("# %zu dead, %zu hidden\n", n_dead, n_hidden);
    assert_true(n_dead > 50 && n_hidden > 5);
}

/* ---- W-CROSS, pair by pair ---- */

static bool has_item(const struct n_list *l, const char *s)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

static bool list_within(const struct n_list *a, const struct n_list *b)
{
    for (int i = 0; b->given && i < a->n; i++)
        if (!has_item(b, a->items[i]))
            return false;
    return !b->given || a->given;
}

static bool has_port(const struct n_list *services, size_t packet)
{
    static const char *const of[][4] = {{"s1", "s2"},      {"s2"}, {"s2", "s5"}, {"s2", "s4", "s5"},
                                        {"s2", "tcp/108"}, {""},   {"s2"},       {"s3"}};

    for (size_t i = 0; i < 4 && packet < ARRAY_SIZE(of) && of[packet][i]; i++)
        if (has_item(services, of[packet][i]))
            return true;
    return !services->given;
}

/* Of the services that take the packet: bits 1 to 3, and bit 0 for all others. */
static unsigned functions_at(const struct n_list *services, size_t packet)
{
    unsigned all = services->given ? 0 : 15;

    for (int i = 0; i < services->n; i++) {
        const struct n_list one = {.given = true, .n = 1, .items = {services->items[i]}};

        if (has_port(&one, packet))
            all |= !strcmp(one.items[0], "s4") ? 6 : !strcmp(one.items[0], "s5") ? 12 : 15;
    }
    return all;
}

static bool is_within(const struct n_fields *a, const struct n_fields *b, int place, size_t packet)
{
    if (place == 0)
        return list_within(&a->process, &b->process) && list_within(&a->user, &b->user);
    if (place == 1)
        return list_within(&a->served_by, &b->served_by);
    return !(functions_at(&a->service, packet) & ~functions_at(&b->service, packet));
}

static bool ends_meet(const struct n_policy *p, const struct n_list *a, const struct n_list *b)
{
    for (int i = 0; i < a->n; i++)
        if (has_item(b, a->items[i]))
            return true;
    for (int i = 0; i < NODES; i++)
        if (selects(p, a, node_name(p, i)) && selects(p, b, node_name(p, i)))
            return true;
    return false;
}

static bool has_more_than_source(const struct n_fields *f)
{
    return f->served_by.given || has_item(&f->service, "s4") || has_item(&f->service, "s5");
}

static bool are_crossing(const struct n_policy *p, int x, int y)
{
    const struct n_fields *a = &p->rules[x].fields, *b = &p->rules[y].fields;
    bool cross = false;

    if (!is_of_layer(p, x, y) || strcmp(p->rules[x].layer, "never") == 0 || p->rules[x].expired ||
        p->rules[y].expired || (!has_more_than_source(a) && !has_more_than_source(b)))
        return false;
    for (size_t packet = 0; packet < ARRAY_SIZE(packets); packet++)
        for (int i = 0; has_port(&a->service, packet) && has_port(&b->service, packet) && i < 3;
             i++)
            for (int k = 0; k < 3; k++)
                cross =
                    cross || (i != k && !is_within(b, a, i, packet) && !is_within(a, b, k, packet));
    return cross && ends_meet(p, &a->from, &b->from) && ends_meet(p, &a->to, &b->to);
}

static bool is_told_crossing(const struct n_policy *p, const struct diagnostics *d, int x, int y)
{
    for (size_t i = 0; i < d->n; i++) {
        char both[2][40];

        (void)snprintf(both[0], sizeof both[0], "\"%s\" and \"%s\" overlap", p->rules[x].id,
                       p->rules[y].id);
        (void)snprintf(both[1], sizeof both[1], "\"%s\" and \"%s\" overlap", p->rules[y].id,
                       p->rules[x].id);
        if (d->items[i].code == CODE_CROSS &&
            (strstr(d->items[i].message, both[0]) == d->items[i].message ||
             strstr(d->items[i].message, both[1]) == d->items[i].message))
            return true;
    }
    return false;
}

static void rules_cross_exactly_when_asked_pair_by_pair(void **state)
{
    size_t n_crossing = 0;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct setting s = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
        struct n_policy p;

        naive_make(&p);
        naive_write(&p, &s.policy_text, &s.inventory_text);
        read_all(&s, true);
        for (int x = 0; x < p.n_rules; x++)
            for (int y = 0; y < x; y++) {
                bool crossing = are_crossing(&p, x, y);

                if (crossing != is_told_crossing(&p, s.d, x, y))
                    print_error("%s\n%s\n%s and %s: %d\n", buf_str(&s.policy_text),
                                buf_str(&s.inventory_text), p.rules[x].id, p.rules[y].id, crossing);
                assert_int_equal(crossing, is_told_crossing(&p, s.d, x, y));
                n_crossing += crossing;
            }
        setting_done(&s);
    }
    print_message("# %zu crossing\n", n_crossing);
    assert_true(n_crossing > 100);
}

/* ---- findings with a path of their own ---- */

static void read_texts(struct setting *s, const char *policy, const char *inventory)
{
    *s = (struct setting){.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    buf_puts(&s->policy_text, policy);
    buf_puts(&s->inventory_text, inventory);
    read_all(s, true);
}

static const struct diagnostic *find(const struct setting *s, enum code code, size_t *ret_n)
{
    const struct diagnostic *first = NULL;

    *ret_n = 0;
    for (size_t i = 0; i < s->d->n; i++)
        if (s->d->items[i].code == code) {
            first = first ? first : &s->d->items[i];
            ++*ret_n;
        }
    return first;
}

#define TRAP                                                                                       \
    "suimitsu: 1\n"                                                                                \
    "groups: {pos: {match: {kind: pos}}, office: {match: {kind: pc}},\n"                           \
    "  servers: {match: {kind: server}}, internet: {outside: true}}\n"

static const char shop[] =
    "suimitsu-inventory: 1\n"
    "endpoints:\n"
    "  pos1: {labels: {kind: pos}, addresses: 10.0.0.1, enforcers: [host, edge]}\n"
    "  pc1: {labels: {kind: pc}, addresses: 10.0.1.2, enforcers: [host, edge]}\n"
    "  srv1: {labels: {kind: server}, addresses: 10.0.2.2, enforcers: [host, edge]}\n";

static const struct mode_case {
    const char *policy;
    const char *path; /* NULL: no hole. */
} mode_cases[] = {
    {TRAP "mode: {default: enforce, office: test}\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o}]\n",
     "\"office\" in test mode opens a path: pos1 to pc1 by tcp/631 (\"print\"), pc1 to outside "
     "(the "
     "default is only reported); no rule lets pos1 reach outside"},
    {TRAP "mode: {default: enforce, office: learn}\n"
          "allow: [{id: files, from: office, to: servers, why: w, owner: o}]\n",
     "\"office\" in learn mode opens a path: outside to pc1 (the default is only reported), pc1 to "
     "srv1 (\"files\"); no rule lets outside reach srv1"},
    {TRAP "mode: {default: test, servers: enforce}\n"
          "allow: [{id: files, from: office, to: servers, why: w, owner: o}]\n",
     "the default in test mode opens a path: outside to pc1 (the default is only reported), pc1 to "
     "srv1 (\"files\"); no rule lets outside reach srv1"},
    {TRAP "mode: {default: enforce, office: test, pos: test}\n"
          "never: [{id: n, from: internet, to: [office, pos], why: w, owner: o}]\n"
          "allow: [{id: files, from: office, to: servers, why: w, owner: o}]\n",
     "\"office\" in test mode opens a path: pos1 to pc1 (the default is only reported), pc1 to "
     "srv1 "
     "(\"files\"); no rule lets pos1 reach srv1"},
    {TRAP "mode: {default: enforce}\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o}]\n",
     NULL},
    {TRAP "mode: {default: test}\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o}]\n",
     NULL},
    /* It gets there anyway. */
    {TRAP "mode: {default: enforce, office: test}\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o},\n"
          "  {id: web, from: pos, to: internet, why: w, owner: o}]\n",
     NULL},
    /* A never is enforced in test mode, too: behind the bridge, or before it. */
    {TRAP "mode: {default: enforce, office: test}\n"
          "never: [{id: n, from: office, to: internet, why: w, owner: o}]\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o}]\n",
     NULL},
    {TRAP "mode: {default: enforce, office: test}\n"
          "never: [{id: n, from: pos, service: tcp/600-700, why: w, owner: o}]\n"
          "allow: [{id: print, from: pos, to: office, service: tcp/631, why: w, owner: o}]\n",
     NULL},
};

static void a_lax_group_that_is_a_bridge_is_told_with_the_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mode_cases); i++) {
        const struct diagnostic *x;
        struct setting s;
        size_t n;

        read_texts(&s, mode_cases[i].policy, shop);
        x = find(&s, CODE_MODE_HOLE, &n);
        if (!mode_cases[i].path != !x)
            print_error("case %zu: %s\n", i, x ? x->message : "nothing");
        assert_int_equal(n, mode_cases[i].path != NULL);
        if (x) {
            assert_string_equal(x->message, mode_cases[i].path);
            assert_int_equal(x->place.line, 4);
            assert_true(x->expected && x->fix);
        }
        setting_done(&s);
    }
}

static const struct plain_case {
    const char *policy, *endpoints;
    size_t n;
} plain_cases[] = {
    {"", "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.0.2}\n", 1},
    {"", "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.1.2}\n", 0},
    {"", "  a: {addresses: 10.0.0.1, enforcers: host}\n  b: {addresses: 10.0.0.2}\n", 1},
    {"", "  a: {addresses: 10.0.0.1, enforcers: edge}\n  b: {addresses: 10.0.0.2}\n", 0},
    {"",
     "  a: {addresses: 10.0.0.1, enforcers: host}\n"
     "  b: {addresses: 10.0.0.2, enforcers: nft}\n",
     0},
    {"", "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.0.2, enforcers: switch}\n", 0},
    {"", "  a: {addresses: [10.0.0.1, 10.0.0.2]}\n", 0},
    {"", "  a: {addresses: \"fd00::1\"}\n  b: {addresses: \"fd00::2:0:0:1\"}\n", 1},
    {"", "  a: {addresses: \"fd00::1\"}\n  b: {addresses: \"fd00:0:0:1::1\"}\n", 0},
    /* The same neighbours twice are told once; others are told, too. */
    {"", "  a: {addresses: [10.0.0.1, \"fd00::1\"]}\n  b: {addresses: [10.0.0.2, \"fd00::2\"]}\n",
     1},
    {"",
     "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.0.2}\n"
     "  c: {addresses: 10.0.1.1}\n  d: {addresses: 10.0.1.2}\n",
     2},
    /* Nothing is denied between them, or it is only reported. */
    {"allow: [{id: all, why: w, owner: o}]\n",
     "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.0.2}\n", 0},
    {"mode: {default: test}\n", "  a: {addresses: 10.0.0.1}\n  b: {addresses: 10.0.0.2}\n", 0},
};

static void neighbours_whom_nobody_keeps_apart_are_told_once_for_each_segment(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(plain_cases); i++) {
        struct setting s = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
        const struct diagnostic *x;
        size_t n;

        buf_printf(&s.policy_text, "suimitsu: 1\n%s", plain_cases[i].policy);
        buf_printf(&s.inventory_text, "suimitsu-inventory: 1\nendpoints:\n%s",
                   plain_cases[i].endpoints);
        read_all(&s, true);
        x = find(&s, CODE_PLAIN_SWITCH, &n);
        if (n != plain_cases[i].n)
            print_error("case %zu\n", i);
        assert_int_equal(n, plain_cases[i].n);
        assert_true(!x || (x->place.line && x->expected && x->fix));
        setting_done(&s);
    }
}

static const struct wide_case {
    const char *rules, *message; /* NULL: nothing. */
} wide_cases[] = {
    {"allow: [{id: a, from: [office, computers], to: servers, why: w, owner: o}]\n",
     "\"office\" adds nothing to from of \"a\": \"computers\" has all of it with this inventory"},
    {"allow: [{id: a, from: office, to: [internet, partner], why: w, owner: o}]\n",
     "\"partner\" adds nothing to to of \"a\": \"internet\" has all of it with this inventory"},
    {"allow: [{id: a, from: [office, clerks], to: servers, why: w, owner: o}]\n",
     "\"clerks\" adds nothing to from of \"a\": \"office\" has all of it with this inventory"},
    {"allow: [{id: a, from: [office, servers], to: [pos, office], why: w, owner: o}]\n", NULL},
    {"allow: [{id: a, from: [office, nobody], to: servers, why: w, owner: o}]\n", NULL},
    {"allow: [{id: a, from: pos, to: servers, service: [tcp/80-90, tcp/85], why: w, owner: o}]\n",
     "\"tcp/85\" adds nothing to service of \"a\": \"tcp/80-90\" has all of it"},
    {"allow: [{id: a, from: pos, to: servers, service: [read, tcp/502], why: w, owner: o}]\n",
     "\"read\" adds nothing to service of \"a\": \"tcp/502\" has all of it"},
    {"allow: [{id: a, from: pos, to: servers, service: [read, write], why: w, owner: o}]\n", NULL},
    {"allow: [{id: a, from: pos, to: servers, process: /x, accept-weaker: r, why: w, owner: o}]\n",
     "\"a\" accepts weaker checks, and no end of it needs that with this inventory"},
    {"allow: [{id: a, from: pos, to: servers, accept-weaker: r, why: w, owner: o}]\n",
     "\"a\" accepts weaker checks, and has nothing to be checked weakly"},
    {"allow: [{id: a, from: office, to: servers, process: /x, accept-weaker: r, why: w, owner: "
     "o}]\n",
     NULL},
    {"never: [{id: n, to: servers, except: {to: pos}, why: w, owner: o}]\n",
     "the except of \"n\" never applies with this inventory: nothing in its to is in that of the "
     "rule"},
    {"never: [{id: n, to: servers, service: tcp/22, except: {service: tcp/23}, why: w, owner: "
     "o}]\n",
     "the except of \"n\" never applies with this inventory: nothing in its service is in that of "
     "the rule"},
    {"never: [{id: n, to: [servers, pos], except: {to: pos}, why: w, owner: o}]\n", NULL},
    {"never: [{id: n, to: servers, except: {from: pos, user: u}, accept-weaker: r, why: w, owner: "
     "o}]\n",
     NULL},
};

static void what_a_rule_lists_and_no_endpoint_uses_is_told(void **state)
{
    static const char groups[] =
        "suimitsu: 1\n"
        "groups: {pos: {match: {kind: pos}}, office: {match: {kind: pc}},\n"
        "  servers: {match: {kind: server}}, internet: {outside: true},\n"
        "  partner: {outside: [203.0.113.0/24]}, computers: {match: {kind: [pc, server]}},\n"
        "  clerks: {match: {desk: clerk}}, nobody: {match: {kind: none}}}\n"
        "services: {read: {ports: tcp/502, modbus: [1]}, write: {ports: tcp/502, modbus: [5]}}\n";
    static const char inventory[] =
        "suimitsu-inventory: 1\n"
        "endpoints:\n"
        "  pos1: {labels: {kind: pos}, addresses: 10.0.0.1, enforcers: [host, edge]}\n"
        "  pc1: {labels: {kind: pc, desk: clerk}, addresses: 10.0.1.2, enforcers: edge}\n"
        "  srv1: {labels: {kind: server}, addresses: 10.0.2.2, enforcers: [host, edge]}\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wide_cases); i++) {
        CLEANUP(buf_done) struct buf policy = BUF_INIT;
        const struct diagnostic *x;
        struct setting s;
        size_t n;

        buf_printf(&policy, "%s%s", groups, wide_cases[i].rules);
        read_texts(&s, buf_str(&policy), inventory);
        x = find(&s, CODE_WIDE, &n);
        if (!wide_cases[i].message != !x)
            print_error("case %zu: %s\n", i, x ? x->message : "nothing");
        assert_int_equal(n, wide_cases[i].message != NULL);
        if (x) {
            assert_string_equal(x->message, wide_cases[i].message);
            assert_true(x->place.line && x->expected && x->fix);
        }
        setting_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_dead_or_hidden_exactly_when_brute_force_says_so),
        cmocka_unit_test(what_is_dead_without_an_inventory_is_dead_in_every_one),
        cmocka_unit_test(rules_cross_exactly_when_asked_pair_by_pair),
        cmocka_unit_test(a_lax_group_that_is_a_bridge_is_told_with_the_path),
        cmocka_unit_test(what_a_rule_lists_and_no_endpoint_uses_is_told),
        cmocka_unit_test(neighbours_whom_nobody_keeps_apart_are_told_once_for_each_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
