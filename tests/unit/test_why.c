/* SPDX-License-Identifier: Apache-2.0 */
/* why.h against the verdict, and its promises: what is near, what it lacks, what would change it.
 */
#include "core/why.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "core/lint.h"
#include "text/policy.h"
#include "text/port.h"
#include "text/query.h"
#include "text/report.h"
#include "text/why_report.h"
#include "unit/naive.h"
#include "unit/test.h"

#if defined(__SANITIZE_ADDRESS__) /* Of gcc; a tenth is enough to find a bad access. */
enum { POLICIES = 200 };
#else
enum { POLICIES = 2000 };
#endif
enum { QUERIES = 520, SNIPPET_EACH = 150, THEN_EACH = 150 };

static const char *const outside[] = {"203.0.113.5", "203.0.113.200", "198.51.100.7",
                                      "192.0.2.1",   "2001:db8::5",   "2001:db9::5"};

struct setting {
    struct n_policy naive;
    struct buf policy_text, inventory_text;
    struct policy *policy;
    struct inventory *inventory;
    struct world *world;
    size_t n_widen; /* E-WIDEN that random rules have anyway. */
};

static void read_all(struct setting *s, const char *more)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct source sources[] = {
        {"policy.yaml", buf_str(&s->policy_text), s->policy_text.size},
        {"more.yaml", more, more ? strlen(more) : 0},
        {"inventory.yaml", buf_str(&s->inventory_text), s->inventory_text.size}};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    int64_t now_s;

    if (policy_read(sources, more ? 2 : 1, d, &s->policy) < 0 ||
        inventory_read(&sources[2], 1, d, &s->inventory) < 0) {
        report_text(&b, d, sources, ARRAY_SIZE(sources));
        (void)fprintf(stderr, "%s%s", more ? more : "", buf_str(&b));
        fail();
    }
    assert_int_equal(date_parse_time("2026-11-22T23:59:59Z", &now_s), 0);
    s->world = world_new(s->policy, s->inventory, now_s);
    policy_lint(s->world, true, d);
    s->n_widen = d->n_of[CODE_WIDEN];
}

static void forget(struct setting *s)
{
    world_free(s->world);
    policy_free(s->policy);
    inventory_free(s->inventory);
    buf_done(&s->policy_text);
    buf_done(&s->inventory_text);
}

static void make(struct setting *s)
{
    *s = (struct setting){.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    naive_make(&s->naive);
    naive_write(&s->naive, &s->policy_text, &s->inventory_text);
    read_all(s, NULL);
}

static const char *pick_end(const struct setting *s)
{
    const struct n_endpoint *e = &s->naive.endpoints[naive_random(N_ENDPOINTS)];
    uint32_t how = naive_random(10);

    if (how == 0)
        return outside[naive_random(ARRAY_SIZE(outside))];
    return how < 3 ? e->v4 : how < 5 ? e->v6 : e->name;
}

static struct verdict_query pick_query(const struct setting *s)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP,  IPPROTO_TCP, IPPROTO_TCP,
                                        IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};
    static const uint16_t ports[] = {100, 101, 104, 105, 106, 108, 110, 99, 22};
    static const char *const programs[] = {"/p/a", "/p/b", "/p/z", NULL};
    static const char *const users[] = {"u1", "u2", "u3", "u4", "nobody", NULL};
    struct verdict_query q = {.from = pick_end(s),
                              .to = pick_end(s),
                              .protocol = protocols[naive_random(ARRAY_SIZE(protocols))]};

    q.port = q.protocol == IPPROTO_ICMP  ? (naive_random(3) ? 8 : 13)
             : q.protocol == IPPROTO_GRE ? 0
                                         : ports[naive_random(ARRAY_SIZE(ports))];
    q.process = programs[naive_random(4)];
    q.served_by = programs[naive_random(4)];
    q.user = users[naive_random(6)];
    q.modbus = (int)naive_random(6) - 1;
    return q;
}

static void complain_about(const struct setting *s, const struct why *y, const char *what)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    why_report_text(&b, y);
    (void)fprintf(stderr, "%s%s%s\n%s\n", buf_str(&s->policy_text), buf_str(&s->inventory_text),
                  buf_str(&b), what);
    fail();
}

#define CHECK(s, y, condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            complain_about(s, y, #condition);                                                      \
    } while (0)

static struct verdict_answer ask(const struct setting *s, const struct verdict_query *q)
{
    struct verdict_answer a;
    const char *what;

    assert_int_equal(verdict(s->world, q, &a, &what), 0);
    return a;
}

static bool is_same(const struct verdict_answer *a, const struct verdict_answer *b)
{
    return a->verdict == b->verdict && a->layer == b->layer && a->rule == b->rule &&
           a->enforced == b->enforced && a->mode == b->mode;
}

static bool is_open(const struct why_condition *x)
{
    return x->state == WHY_MET || x->state == WHY_ACCEPTED;
}

/* ---- layers and the deciding rule ---- */

static void check_layers(const struct setting *s, const struct why *y)
{
    for (size_t i = 0; i < y->n_layers; i++) {
        CHECK(s, y, (int)y->layers[i].layer == (int)i);
        CHECK(s, y, y->layers[i].decides == (i + 1 == y->n_layers));
    }
    CHECK(s, y, y->layers[y->n_layers - 1].layer == y->answer.layer);
}

static void check_decider(const struct setting *s, const struct why *y)
{
    const struct why_rule *d = y->decider;

    CHECK(s, y, (d != NULL) == (y->answer.rule != NULL));
    if (!d)
        return;
    CHECK(s, y, d->rule == y->answer.rule && d->n_lacks == 0 && !d->is_excepted);
    for (size_t i = 0; i < d->n_conditions; i++)
        CHECK(s, y,
              d->rule->layer == LAYER_NEVER ? d->conditions[i].state != WHY_UNMET
                                            : is_open(&d->conditions[i]));
}

/* ---- what is near ---- */

struct lacks {
    size_t differing, main, untold; /* main: of those that differ, the ends and the service. */
};

static struct lacks lacks_of(const struct why_rule *r)
{
    struct lacks n = {.differing = 0};

    for (size_t i = 0; i < r->n_conditions; i++)
        if (r->conditions[i].state == WHY_UNTOLD) {
            n.untold++;
        } else if (!is_open(&r->conditions[i])) {
            n.differing++;
            n.main += r->conditions[i].what <= WHY_FUNCTION;
        }
    return n;
}

/* By the model's own data: "is it in the list" for each field; -1: untold. */
static int program_lacks(const char *const *list, size_t n, const struct end *place,
                         const char *program, bool weaker)
{
    if (!n || (weaker && !(place->enforcers & ENFORCER_HOST)))
        return 0;
    if (place->enforcers & ENFORCER_HOST && !program)
        return -1;
    for (size_t i = 0; i < n && place->enforcers & ENFORCER_HOST; i++)
        if (strcmp(list[i], program) == 0)
            return 0;
    return 1;
}

static int user_lacks(const struct why *y, const struct rule *r)
{
    const struct match *m = &r->match;
    const struct user *u =
        y->facts.user ? inventory_user(y->world->inventory, y->facts.user) : NULL;

    if (!m->n_users)
        return 0;
    if (!(y->from.end.enforcers & ENFORCER_HOST))
        return r->accept_weaker ? 0 : 1;
    if (!y->facts.user)
        return -1;
    for (size_t i = 0; i < m->n_users; i++) {
        if (!m->users[i].is_group && strcmp(m->users[i].name, y->facts.user) == 0)
            return 0;
        for (size_t k = 0; u && m->users[i].is_group && k < u->n_groups; k++)
            if (strcmp(u->groups[k], m->users[i].name) == 0)
                return 0;
    }
    return 1;
}

static int service_lacks(const struct why *y, const struct rule *r)
{
    bool edge = (y->from.end.enforcers | y->to.end.enforcers) & ENFORCER_EDGE;
    int best = 1;

    for (size_t i = 0; i < r->match.n_services; i++) {
        const struct service *s = &y->world->policy->services[r->match.services[i]];

        if (!services_take_port(y->world->policy, &r->match.services[i], 1, y->facts.protocol,
                                y->facts.port))
            continue;
        if (!s->n_modbus || (!edge && r->accept_weaker))
            return 0;
        if (edge && y->facts.modbus < 0)
            best = -1;
        else if (edge && memchr(s->modbus, y->facts.modbus, s->n_modbus))
            return 0;
    }
    return r->match.n_services ? best : 0;
}

static struct lacks count(const struct why *y, const struct rule *r)
{
    const struct match *m = &r->match;
    const int each[] = {
        selector_takes(&m->from, &y->from.end) ? 0 : 1,
        selector_takes(&m->to, &y->to.end) ? 0 : 1,
        service_lacks(y, r),
        program_lacks(m->processes, m->n_processes, &y->from.end, y->facts.process,
                      r->accept_weaker),
        program_lacks(m->served_by, m->n_served_by, &y->to.end, y->facts.served_by,
                      r->accept_weaker),
        user_lacks(y, r),
        rule_is_alive(r, y->world->now_s) ? 0 : 1,
    };
    struct lacks n = {.differing = 0};

    for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
        n.differing += each[i] > 0;
        n.main += i < 3 && each[i] > 0;
        n.untold += each[i] < 0;
    }
    return n;
}

static bool is_before(struct lacks a, const char *id_a, struct lacks b, const char *id_b)
{
    if (a.differing != b.differing)
        return a.differing < b.differing;
    if (a.main != b.main)
        return a.main < b.main;
    return a.untold != b.untold ? a.untold < b.untold : strcmp(id_a, id_b) < 0;
}

static void check_nearest(const struct setting *s, const struct why *y)
{
    for (size_t i = 0; i < y->n_nearest; i++) {
        const struct why_rule *r = &y->nearest[i];
        struct lacks found = lacks_of(r), counted = count(y, r->rule);

        CHECK(s, y, r->n_lacks == found.differing + found.untold && r->n_lacks > 0);
        CHECK(s, y, r->n_changes > 0);
        CHECK(s, y, i == 0 || is_before(lacks_of(r - 1), r[-1].rule->id, found, r->rule->id));
        if (r->rule->layer == LAYER_ALLOW)
            CHECK(s, y,
                  found.differing == counted.differing && found.main == counted.main &&
                      found.untold == counted.untold);
    }
    if (y->answer.layer != LAYER_DEFAULT)
        return;
    for (size_t i = 0; i < s->policy->n_rules; i++) { /* No allow is nearer than the nearest. */
        const struct rule *r = &s->policy->rules[i];

        if (r->layer != LAYER_ALLOW)
            continue;
        CHECK(s, y, y->n_nearest > 0);
        CHECK(s, y,
              r == y->nearest[0].rule ||
                  is_before(lacks_of(&y->nearest[0]), y->nearest[0].rule->id, count(y, r), r->id));
    }
}

/* ---- what it lacks ---- */

/* True when the question alone can do it; then it is done. */
static bool follow(struct verdict_query *q, const struct why *y, const struct why_change *c)
{
    const struct policy *p = y->world->policy;

    switch (c->action) {
    case WHY_USE_SERVICE:
        for (size_t i = 0; i < p->n_services; i++)
            if (strcmp(p->services[i].name, c->value) == 0) {
                q->protocol = p->services[i].ports[0].protocol;
                q->port = p->services[i].ports[0].low;
            }
        return true;
    case WHY_USE_FUNCTION:
        assert_int_equal(sscanf(c->value, "%d", &q->modbus), 1);
        return true;
    case WHY_START_BY:
        q->process = c->value;
        return true;
    case WHY_SERVE_BY:
        q->served_by = c->value;
        return true;
    case WHY_BE_USER:
        q->user = c->value;
        return true;
    case WHY_JOIN_GROUP:
    case WHY_ENROL:
    case WHY_WIDEN_OUTSIDE:
    case WHY_ADD_ENFORCER:
    case WHY_RENEW:
    case WHY_NAME_SERVICE:
    case WHY_RELEASE:
    case WHY_EXCEPT:
    case WHY_CHANGE_RULE:
    case WHY_NOTHING:
        return false;
    }
    return false;
}

struct tally {
    size_t asked, given, allowed, stopped, snippets, thens;
};

static void check_gift(const struct setting *s, const struct why *y, const struct verdict_query *q,
                       const struct why_rule *r, struct tally *t)
{
    struct verdict_query more = *q;
    struct verdict_answer a;

    for (size_t i = 0; i < r->n_changes; i++)
        if (!follow(&more, y, &r->changes[i]))
            return;
    a = ask(s, &more);
    t->given++;
    CHECK(s, y, r->has_then && is_same(&a, &r->then));
    if (a.layer == r->rule->layer) { /* Of several that match then, the smallest id is named. */
        CHECK(s, y, a.verdict == VERDICT_ALLOW);
        CHECK(s, y, a.rule && strcmp(a.rule->id, r->rule->id) <= 0);
        t->allowed++;
    } else { /* A layer above decides, and the answer said so. */
        CHECK(s, y, a.layer < r->rule->layer);
        t->stopped++;
    }
}

/* True when random policies and inventories can be written so; then they are. */
static bool follow_outside(struct n_policy *p, const struct why_change *c)
{
    static const struct {
        const char *group, *a, *b;
    } labels[] = {{"ax", "x", NULL}, {"ay", "y", NULL}, {"bx", NULL, "x"}, {"axby", "x", "y"}};
    struct n_endpoint *e = NULL;

    for (size_t i = 0; c->subject && i < N_ENDPOINTS; i++)
        if (strcmp(p->endpoints[i].name, c->subject) == 0)
            e = &p->endpoints[i];
    if (c->action == WHY_RENEW) {
        for (int i = 0; i < p->n_rules; i++)
            if (strcmp(p->rules[i].id, c->subject) == 0)
                p->rules[i].expired = false;
        return true;
    }
    if (c->action == WHY_ADD_ENFORCER) {
        e->host = e->host || strcmp(c->value, "host") == 0;
        e->edge = e->edge || strcmp(c->value, "edge") == 0;
        return true;
    }
    if (c->action != WHY_JOIN_GROUP)
        return false;
    e->member = e->member || strcmp(c->value, "some") == 0;
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        if (strcmp(labels[i].group, c->value) == 0) {
            e->a = labels[i].a ? labels[i].a : e->a;
            e->b = labels[i].b ? labels[i].b : e->b;
        }
    return true;
}

/* What the verdict would be, asked of a policy and an inventory that were really changed so. */
static void check_then(const struct setting *s, const struct why *y, const struct verdict_query *q,
                       const struct why_rule *r, struct tally *t)
{
    struct setting with = {.naive = s->naive, .policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    struct verdict_query more = *q;
    struct verdict_answer a;

    for (size_t i = 0; i < r->n_changes; i++)
        if (!follow(&more, y, &r->changes[i]) && !follow_outside(&with.naive, &r->changes[i]))
            return;
    naive_write(&with.naive, &with.policy_text, &with.inventory_text);
    read_all(&with, NULL);
    a = ask(&with, &more);
    CHECK(s, y, r->has_then);
    CHECK(s, y, a.verdict == r->then.verdict && a.layer == r->then.layer);
    CHECK(s, y, a.enforced == r->then.enforced && a.mode == r->then.mode);
    CHECK(s, y, (a.rule != NULL) == (r->then.rule != NULL));
    CHECK(s, y, !a.rule || strcmp(a.rule->id, r->then.rule->id) == 0);
    forget(&with);
    t->thens++;
}

/* ---- what would change it ---- */

static void check_allow_like(const struct setting *s, const struct why *y,
                             const struct verdict_query *q)
{
    struct setting with = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    struct verdict_answer a;

    buf_puts(&with.policy_text, buf_str(&s->policy_text));
    buf_puts(&with.inventory_text, buf_str(&s->inventory_text));
    read_all(&with, y->allow_like);
    a = ask(&with, q);
    CHECK(s, y, a.verdict == VERDICT_ALLOW && a.layer == LAYER_ALLOW);
    CHECK(s, y, with.n_widen == s->n_widen);
    forget(&with);
}

static void check_one(const struct setting *s, const struct verdict_query *q, struct tally *t)
{
    CLEANUP(why_freep)
    struct why *y = why_new(s->world, &(struct why_question){.verdict = *q});
    struct verdict_answer a = ask(s, q);

    CHECK(s, y, is_same(&y->answer, &a));
    CHECK(s, y, y->from.is_known && y->to.is_known);
    check_layers(s, y);
    check_decider(s, y);
    check_nearest(s, y);
    CHECK(s, y, a.verdict != VERDICT_ALLOW || (!y->n_nearest && !y->n_changes && !y->allow_like));
    CHECK(s, y, y->has_below == (a.verdict == VERDICT_DENY && a.layer != LAYER_DEFAULT));
    for (size_t i = 0; i < y->n_nearest; i++)
        check_gift(s, y, q, &y->nearest[i], t);
    if (y->n_nearest && t->asked % THEN_EACH == 1)
        check_then(s, y, q, &y->nearest[t->asked / THEN_EACH % y->n_nearest], t);
    if (y->allow_like && t->asked % SNIPPET_EACH == 0) {
        check_allow_like(s, y, q);
        t->snippets++;
    }
    t->asked++;
}

static void its_verdict_is_the_verdict_and_what_is_near_becomes_an_allow(void **state)
{
    (void)state;
    struct tally t = {.asked = 0};

    for (int i = 0; i < POLICIES; i++) {
        struct setting s;

        make(&s);
        for (int k = 0; k < QUERIES; k++) {
            const struct verdict_query q = pick_query(&s);

            check_one(&s, &q, &t);
        }
        forget(&s);
    }
    print_message("%zu questions; %zu near rules got all that they lack: %zu allowed, %zu stopped "
                  "by a layer above; %zu allows written, %zu changes made\n",
                  t.asked, t.given, t.allowed, t.stopped, t.snippets, t.thens);
    assert_true(t.asked >= (size_t)500 * POLICIES);
    assert_true(t.allowed > t.asked / 20 && t.stopped > t.asked / 1000 && t.snippets > 100);
    assert_true(t.thens > 100);
}

/* ---- names that nobody knows ---- */

static void an_unknown_name_is_judged_as_the_endpoint_that_it_would_be(void **state)
{
    (void)state;
    static const struct label labels[] = {{"a", "x"}, {"b", "y"}};
    size_t words[3] = {0};

    for (int i = 0; i < POLICIES / 10; i++) {
        struct setting s, with = {.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
        size_t n = naive_random(3);

        make(&s);
        buf_puts(&with.policy_text, buf_str(&s.policy_text));
        buf_puts(&with.inventory_text, "suimitsu-inventory: 1\nendpoints:\n  x9: {labels: {");
        for (size_t k = 0; k < n; k++)
            buf_printf(&with.inventory_text, "%s%s: %s", k ? ", " : "", labels[k].key,
                       labels[k].value);
        buf_printf(&with.inventory_text, "}, enforcers: none}\n%s",
                   strstr(buf_str(&s.inventory_text), "  e0:"));
        read_all(&with, NULL);
        for (int k = 0; k < QUERIES; k++) {
            struct why_question q = {
                .verdict = pick_query(&s), .from_labels = labels, .to_labels = labels};
            CLEANUP(why_freep) struct why *y = NULL;
            struct verdict_answer a;

            q.n_from_labels = q.n_to_labels = n;
            if (k % 2)
                q.verdict.from = "x9";
            else
                q.verdict.to = "x9";
            y = why_new(s.world, &q);
            a = ask(&with, &q.verdict);
            CHECK(&s, y, k % 2 ? !y->from.is_known : !y->to.is_known);
            CHECK(&s, y,
                  y->answer.verdict == a.verdict && y->answer.layer == a.layer &&
                      y->answer.enforced == a.enforced);
            CHECK(&s, y, !a.rule || strcmp(y->answer.rule->id, a.rule->id) == 0);
            words[a.verdict]++;
        }
        forget(&with);
        forget(&s);
    }
    assert_true(words[VERDICT_ALLOW] && words[VERDICT_DENY] && words[VERDICT_WOULD_DENY]);
}

static void small(struct setting *s, const char *policy, const char *inventory)
{
    *s = (struct setting){.policy_text = BUF_INIT, .inventory_text = BUF_INIT};
    buf_puts(&s->policy_text, policy);
    buf_puts(&s->inventory_text, inventory);
    read_all(s, NULL);
}

static void an_unknown_name_is_said_with_the_nearest_and_nothing_is_made_up(void **state)
{
    (void)state;
    struct setting s;
    CLEANUP(why_freep) struct why *y = NULL;

    small(&s,
          "suimitsu: 1\ngroups: {web: {match: {t: web}}}\n"
          "allow: [{id: a, to: web, service: tcp/80, process: /p, why: w, owner: o}]\n",
          "suimitsu-inventory: 1\nendpoints: {web1: {labels: {t: web}, enforcers: host},"
          " db1: {enforcers: host}}\n");
    y = why_new(s.world, &(struct why_question){.verdict = {.from = "weeb1",
                                                            .to = "web1",
                                                            .protocol = IPPROTO_TCP,
                                                            .port = 80,
                                                            .process = "/p",
                                                            .modbus = -1}});
    assert_false(y->from.is_known);
    assert_string_equal(y->from.nearest, "web1");
    assert_int_equal(y->answer.verdict, VERDICT_DENY); /* Nobody sees the program there. */
    assert_int_equal(y->nearest[0].conditions[2].state, WHY_BLIND);
    assert_int_equal(y->nearest[0].changes[0].action, WHY_ADD_ENFORCER);
    assert_int_equal(y->nearest[0].then.verdict, VERDICT_ALLOW);
    assert_null(y->allow_like);
    forget(&s);
}

static void a_group_that_would_bring_a_never_is_said_to(void **state)
{
    (void)state;
    struct setting s;
    CLEANUP(why_freep) struct why *y = NULL;

    small(&s,
          "suimitsu: 1\ngroups: {web: {match: {t: web}}, db: {match: {t: db}}}\n"
          "never: [{id: n, from: web, to: db, service: tcp/22, why: w, owner: o}]\n"
          "allow: [{id: a, from: web, to: db, why: w, owner: o}]\n",
          "suimitsu-inventory: 1\nendpoints: {x: {enforcers: host}, d: {labels: {t: db},"
          " enforcers: host}}\n");
    y = why_new(
        s.world,
        &(struct why_question){
            .verdict = {
                .from = "x", .to = "d", .protocol = IPPROTO_TCP, .port = 22, .modbus = -1}});
    assert_int_equal(y->n_nearest, 1);
    assert_string_equal(y->nearest[0].changes[0].text, "add x to group web (labels t=web)");
    assert_true(y->nearest[0].has_then);
    assert_int_equal(y->nearest[0].then.verdict, VERDICT_DENY);
    assert_string_equal(y->nearest[0].then.rule->id, "n");
    forget(&s);
}

/* Foreign words go into no file that somebody might use. */
static void a_program_that_no_file_can_say_makes_no_allow(void **state)
{
    (void)state;
    static const char *const odd[] = {"/x\nallow: []", "relative", "/\x7f", ""};
    struct setting s;

    small(&s, "suimitsu: 1\ngroups: {e: {match: {t: e}}}\nallow: []\n",
          "suimitsu-inventory: 1\nendpoints: {a: {labels: {t: e}, enforcers: host}, b: {labels:"
          " {t: e}, enforcers: host}}\n");
    for (size_t i = 0; i <= ARRAY_SIZE(odd); i++) {
        const struct verdict_query q = {.from = "a",
                                        .to = "b",
                                        .protocol = IPPROTO_TCP,
                                        .port = 80,
                                        .process = i ? odd[i - 1] : "/has \"quotes\" \\ in",
                                        .modbus = -1};
        CLEANUP(why_freep)
        struct why *y = why_new(s.world, &(struct why_question){.verdict = q});

        assert_int_equal(y->allow_like != NULL, i == 0);
        if (i == 0)
            check_allow_like(&s, y, &q);
    }
    forget(&s);
}

/* ---- questions as JSON ---- */

static void a_question_may_name_a_service_and_labels(void **state)
{
    (void)state;
    struct setting s;
    static const struct {
        const char *text, *field; /* NULL: good. */
    } cases[] = {
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pg\"}", NULL},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"tcp/5432\",\"from_labels\":{\"t\":\"e\"}}",
         NULL},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pgg\"}", "service"},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"tcp/1-9\"}", "service"},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pg\",\"port\":1}", "service"},
        {"{\"from\":\"a\",\"to\":\"b\"}", "protocol"},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pg\",\"to_labels\":[]}", "to_labels"},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pg\",\"to_labels\":{\"t\":1}}", "to_labels"},
        {"{\"from\":\"a\",\"to\":\"b\",\"service\":\"pg\",\"labels\":{}}", ""},
    };

    small(&s, "suimitsu: 1\nservices: {pg: [tcp/5432, tcp/6432]}\nallow: []\n",
          "suimitsu-inventory: 1\nendpoints: {}\n");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct query q = {.json = NULL};
        CLEANUP(buf_done) struct buf why = BUF_INIT;
        const char *field = "";
        int r = query_read_why(cases[i].text, strlen(cases[i].text), s.policy, &q, &field, &why);

        assert_int_equal(r == 0, cases[i].field == NULL);
        if (r == 0)
            assert_int_equal(q.verdict.port, 5432);
        else
            assert_string_equal(field, cases[i].field);
        query_done(&q);
    }
    forget(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_verdict_is_the_verdict_and_what_is_near_becomes_an_allow),
        cmocka_unit_test(an_unknown_name_is_judged_as_the_endpoint_that_it_would_be),
        cmocka_unit_test(an_unknown_name_is_said_with_the_nearest_and_nothing_is_made_up),
        cmocka_unit_test(a_group_that_would_bring_a_never_is_said_to),
        cmocka_unit_test(a_program_that_no_file_can_say_makes_no_allow),
        cmocka_unit_test(a_question_may_name_a_service_and_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
