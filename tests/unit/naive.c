/* SPDX-License-Identifier: Apache-2.0 */
/* See naive.h. */
#include "unit/naive.h"

#include <stdio.h>
#include <string.h>

static uint64_t state = 20261122;

uint32_t naive_random(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

const char *const naive_groups[N_GROUPS] = {"ax",      "ay",  "bx",     "axby", "some",
                                            "all-out", "net", "subnet", "six"};
static const char *const services[] = {"s1", "s2", "s3", "s4", "s5", "tcp/108"};
static const char *const programs[] = {"/p/a", "/p/b", "/p/c"};
static const char *const users[] = {"u1", "@ops", "@dev"};
static const char *const modes[] = {"learn", "test", "enforce"};

/* ---- making ---- */

static struct n_list some_of(const char *const from[], uint32_t n_from, uint32_t absent_percent)
{
    struct n_list l = {.given = naive_random(100) >= absent_percent};

    for (uint32_t i = 0; l.given && i <= naive_random(2); i++)
        l.items[l.n++] = from[naive_random(n_from)];
    return l;
}

static struct n_list some_groups(void)
{
    struct n_list l = some_of(naive_groups, N_GROUPS, 20);

    if (l.given && naive_random(8) == 0)
        l.items[l.n++] = "any";
    return l;
}

static struct n_fields make_fields(bool with_served_by)
{
    return (struct n_fields){.from = some_groups(),
                             .to = some_groups(),
                             .service = some_of(services, 6, 30),
                             .process = some_of(programs, 2, 70),
                             .served_by = some_of(programs, 2, with_served_by ? 80 : 100),
                             .user = some_of(users, 3, 75)};
}

static void make_rule(struct n_rule *r, int number)
{
    static const char *const layers[] = {"quarantine", "never", "allow", "allow", "allow"};

    *r = (struct n_rule){.layer = layers[naive_random(5)]};
    (void)snprintf(r->id, sizeof(r->id), "r%u-%d", naive_random(9), number);
    r->fields = make_fields(strcmp(r->layer, "never") != 0);
    r->weaker = naive_random(5) == 0;
    r->expired = naive_random(10) == 0;
    if (strcmp(r->layer, "quarantine") == 0) { /* Exactly one of from and to. */
        struct n_list *drop = naive_random(2) ? &r->fields.from : &r->fields.to;
        struct n_list *keep = drop == &r->fields.from ? &r->fields.to : &r->fields.from;

        *drop = (struct n_list){.given = false};
        if (!keep->given)
            *keep = (struct n_list){.given = true, .n = 1, .items = {"any"}};
    }
    if (strcmp(r->layer, "never") == 0 && naive_random(2)) {
        r->has_except = true;
        r->except = make_fields(false);
        if (!r->except.from.given)
            r->except.from = (struct n_list){.given = true, .n = 1, .items = {"ax"}};
    }
}

void naive_make(struct n_policy *p)
{
    static const char *const values[] = {"x", "y"};

    *p = (struct n_policy){.default_mode = modes[naive_random(3)]};
    for (uint32_t i = 0; i < N_ENDPOINTS; i++) {
        struct n_endpoint *e = &p->endpoints[i];

        (void)snprintf(e->name, sizeof(e->name), "e%u", i);
        (void)snprintf(e->v4, sizeof(e->v4), "203.0.113.%u", 100 + i * 20);
        (void)snprintf(e->v6, sizeof(e->v6), "fd66::%u", i + 1);
        e->a = values[naive_random(2)];
        e->b = values[naive_random(2)];
        e->host = naive_random(4) > 0;
        e->edge = naive_random(4) == 0;
        e->nft = naive_random(6) == 0;
        e->state = naive_random(8) == 0 ? "black" : naive_random(6) == 0 ? "grey" : "white";
        e->member = naive_random(2);
    }
    p->n_rules = (int)naive_random(MAX_RULES + 1);
    for (int i = 0; i < p->n_rules; i++)
        make_rule(&p->rules[i], i);
    for (uint32_t g = 0; g < 5; g++) /* Outside groups have no mode. */
        if (naive_random(3) == 0)
            p->modes[g] = modes[naive_random(3)];
}

/* ---- writing ---- */

static void write_list(struct buf *b, const char *key, const struct n_list *l)
{
    if (!l->given)
        return;
    buf_printf(b, ", %s: [", key);
    for (int i = 0; i < l->n; i++)
        buf_printf(b, "%s\"%s\"", i ? ", " : "", l->items[i]);
    buf_puts(b, "]");
}

static void write_fields(struct buf *b, const struct n_fields *f)
{
    write_list(b, "from", &f->from);
    write_list(b, "to", &f->to);
    write_list(b, "service", &f->service);
    write_list(b, "process", &f->process);
    write_list(b, "served-by", &f->served_by);
    write_list(b, "user", &f->user);
}

static void write_layer(const struct n_policy *p, struct buf *b, const char *layer)
{
    buf_printf(b, "%s:\n", layer);
    for (int i = 0; i < p->n_rules; i++) {
        const struct n_rule *r = &p->rules[i];
        struct buf except = BUF_INIT;

        if (strcmp(r->layer, layer) != 0)
            continue;
        buf_printf(b, "  - {id: %s, why: w, owner: o", r->id);
        write_fields(b, &r->fields);
        if (r->has_except) {
            write_fields(&except, &r->except);
            buf_printf(b, ", except: {%s}", buf_str(&except) + 2);
        }
        buf_done(&except);
        buf_printf(b, "%s, expires: %s}\n", r->weaker ? ", accept-weaker: reason" : "",
                   r->expired ? "2026-11-21" : "2026-11-22");
    }
}

void naive_write(const struct n_policy *p, struct buf *b, struct buf *inventory)
{
    buf_puts(b, "suimitsu: 1\n"
                "groups:\n"
                "  ax: {match: {a: x}}\n"
                "  ay: {match: {a: y}}\n"
                "  bx: {match: {b: [x, z]}}\n"
                "  axby: {match: {a: x, b: y}}\n"
                "  all-out: {outside: true}\n"
                "  net: {outside: [203.0.113.0/24]}\n"
                "  subnet: {outside: [203.0.113.128/25, 198.51.100.7]}\n"
                "  six: {outside: \"2001:db8::/32\"}\n"
                "  some: {members: [");
    for (int i = 0, n = 0; i < N_ENDPOINTS; i++)
        if (p->endpoints[i].member)
            buf_printf(b, "%s%s", n++ ? ", " : "", p->endpoints[i].name);
    buf_puts(b, "]}\n"
                "services:\n"
                "  s1: tcp/100\n"
                "  s2: [tcp/100-110, udp/100]\n"
                "  s3: [icmp/echo]\n"
                "  s4: {ports: tcp/105, modbus: [1, 2]}\n"
                "  s5: {ports: [tcp/104-106], modbus: [2, 3]}\n"
                "mode:\n");
    buf_printf(b, "  default: %s\n", p->default_mode);
    for (int g = 0; g < N_GROUPS; g++)
        if (p->modes[g])
            buf_printf(b, "  %s: %s\n", naive_groups[g], p->modes[g]);
    write_layer(p, b, "quarantine");
    write_layer(p, b, "never");
    write_layer(p, b, "allow");
    buf_puts(inventory, "suimitsu-inventory: 1\nendpoints:\n");
    for (int i = 0; i < N_ENDPOINTS; i++) {
        const struct n_endpoint *e = &p->endpoints[i];

        buf_printf(inventory,
                   "  %s: {labels: {a: %s, b: %s}, addresses: [%s, \"%s\"], enforcers: [%s], "
                   "state: %s}\n",
                   e->name, e->a, e->b, e->v4, e->v6,
                   e->host && e->edge ? "host, edge"
                   : e->host          ? "host"
                   : e->edge          ? "edge"
                   : e->nft           ? "nft"
                                      : "",
                   e->state);
    }
    buf_puts(inventory, "users: {u1: {groups: [ops]}, u2: {groups: [ops, dev]}, u3: {groups: "
                        "[dev]}, u4: {groups: []}}\n");
}

/* ---- judging ---- */

const struct n_endpoint *naive_endpoint(const struct n_policy *p, const char *s)
{
    for (int i = 0; i < N_ENDPOINTS; i++)
        if (strcmp(p->endpoints[i].name, s) == 0 || strcmp(p->endpoints[i].v4, s) == 0 ||
            strcmp(p->endpoints[i].v6, s) == 0)
            return &p->endpoints[i];
    return NULL;
}

bool naive_in_group(const struct n_policy *p, const char *group, const char *end)
{
    const struct n_endpoint *e = naive_endpoint(p, end);
    unsigned last = 0;

    if (strcmp(group, "any") == 0)
        return true;
    if (e) {
        if (strcmp(group, "ax") == 0)
            return strcmp(e->a, "x") == 0;
        if (strcmp(group, "ay") == 0)
            return strcmp(e->a, "y") == 0;
        if (strcmp(group, "bx") == 0)
            return strcmp(e->b, "x") == 0;
        if (strcmp(group, "axby") == 0)
            return strcmp(e->a, "x") == 0 && strcmp(e->b, "y") == 0;
        return strcmp(group, "some") == 0 && e->member;
    }
    if (strcmp(group, "all-out") == 0)
        return true;
    if (strcmp(group, "six") == 0)
        return strncmp(end, "2001:db8:", 9) == 0;
    if (strcmp(group, "subnet") == 0 && strcmp(end, "198.51.100.7") == 0)
        return true;
    if (sscanf(end, "203.0.113.%u", &last) != 1)
        return false;
    return strcmp(group, "net") == 0 || (strcmp(group, "subnet") == 0 && last >= 128);
}

/* "yes", "no", "?" (not told), "blind" (nobody there can tell). */
static const char *group_field(const struct n_policy *p, const struct n_list *l, const char *end)
{
    for (int i = 0; i < l->n; i++)
        if (naive_in_group(p, l->items[i], end))
            return "yes";
    return l->given ? "no" : "yes";
}

static const char *program_field(const struct n_list *l, const struct n_endpoint *place,
                                 const char *program)
{
    if (!l->given)
        return "yes";
    if (!place || !place->host)
        return "blind";
    if (!program)
        return "?";
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->items[i], program) == 0)
            return "yes";
    return "no";
}

static const char *user_field(const struct n_list *l, const struct n_endpoint *place,
                              const char *user)
{
    if (!l->given)
        return "yes";
    if (!place || !place->host)
        return "blind";
    if (!user)
        return "?";
    for (int i = 0; i < l->n; i++) {
        if (strcmp(l->items[i], user) == 0)
            return "yes";
        if (strcmp(l->items[i], "@ops") == 0 && (!strcmp(user, "u1") || !strcmp(user, "u2")))
            return "yes";
        if (strcmp(l->items[i], "@dev") == 0 && (!strcmp(user, "u2") || !strcmp(user, "u3")))
            return "yes";
    }
    return "no";
}

static const char *one_service(const char *s, const struct n_query *q, bool edge)
{
    bool tcp = strcmp(q->protocol, "tcp") == 0, first = strcmp(s, "s4") == 0;

    if (strcmp(s, "s1") == 0)
        return tcp && q->port == 100 ? "yes" : "no";
    if (strcmp(s, "tcp/108") == 0)
        return tcp && q->port == 108 ? "yes" : "no";
    if (strcmp(s, "s2") == 0)
        return (tcp && q->port >= 100 && q->port <= 110) ||
                       (strcmp(q->protocol, "udp") == 0 && q->port == 100)
                   ? "yes"
                   : "no";
    if (strcmp(s, "s3") == 0)
        return strcmp(q->protocol, "icmp") == 0 && q->port == 8 ? "yes" : "no";
    if (!tcp || q->port < (first ? 105 : 104) || q->port > (first ? 105 : 106))
        return "no";
    if (!edge)
        return "blind";
    if (q->modbus < 0)
        return "?";
    return q->modbus == 2 || q->modbus == (first ? 1 : 3) ? "yes" : "no";
}

/* Does the field hold, where "closed" says what the unknown counts as? */
static bool holds(const char *truth, bool unknown_counts, bool blind_counts)
{
    if (strcmp(truth, "yes") == 0)
        return true;
    if (strcmp(truth, "?") == 0)
        return unknown_counts;
    return strcmp(truth, "blind") == 0 && blind_counts;
}

static bool matches(const struct n_policy *p, const struct n_fields *f, const struct n_query *q,
                    bool unknown, bool blind)
{
    const struct n_endpoint *from = naive_endpoint(p, q->from), *to = naive_endpoint(p, q->to);
    bool edge = (from && from->edge) || (to && to->edge), service = !f->service.given;

    for (int i = 0; i < f->service.n; i++)
        service = service || holds(one_service(f->service.items[i], q, edge), unknown, blind);
    return service && holds(group_field(p, &f->from, q->from), false, false) &&
           holds(group_field(p, &f->to, q->to), false, false) &&
           holds(program_field(&f->process, from, q->process), unknown, blind) &&
           holds(user_field(&f->user, from, q->user), unknown, blind) &&
           holds(program_field(&f->served_by, to, q->served_by), unknown, blind);
}

static bool rule_matches(const struct n_policy *p, const struct n_rule *r, const struct n_query *q)
{
    if (r->expired)
        return false;
    if (strcmp(r->layer, "never") == 0)
        return matches(p, &r->fields, q, true, true) &&
               !(r->has_except && matches(p, &r->except, q, false, r->weaker));
    return matches(p, &r->fields, q, false, r->weaker);
}

bool naive_matches(const struct n_policy *p, int rule, const struct n_query *q)
{
    return rule_matches(p, &p->rules[rule], q);
}

static int strictness(const char *mode)
{
    return !mode ? 0 : strcmp(mode, "learn") == 0 ? 1 : strcmp(mode, "test") == 0 ? 2 : 3;
}

/* The strictest mode of its groups, else the default; the outside has none. */
static int mode_of(const struct n_policy *p, const char *end)
{
    int mode = 0;

    if (!naive_endpoint(p, end))
        return 0;
    for (int g = 0; g < N_GROUPS; g++)
        if (p->modes[g] && naive_in_group(p, naive_groups[g], end) &&
            strictness(p->modes[g]) > mode)
            mode = strictness(p->modes[g]);
    return mode ? mode : strictness(p->default_mode);
}

static const char *smallest(const struct n_policy *p, const struct n_query *q, const char *layer,
                            bool suspect_sends)
{
    const char *best = "";

    for (int i = 0; i < p->n_rules; i++) {
        const struct n_rule *r = &p->rules[i];

        if (strcmp(r->layer, layer) != 0 || !rule_matches(p, r, q))
            continue;
        if (strcmp(layer, "quarantine") == 0 && r->fields.to.given != suspect_sends)
            continue;
        if (!best[0] || strcmp(r->id, best) < 0)
            best = r->id;
    }
    return best;
}

struct n_answer naive_judge(const struct n_policy *p, const struct n_query *q)
{
    const struct n_endpoint *from = naive_endpoint(p, q->from), *to = naive_endpoint(p, q->to);
    bool from_black = from && strcmp(from->state, "black") == 0;
    bool to_black = to && strcmp(to->state, "black") == 0;
    bool somebody = (from && (from->host || from->edge || from->nft)) ||
                    (to && (to->host || to->edge || to->nft));
    int mode = mode_of(p, q->from) > mode_of(p, q->to) ? mode_of(p, q->from) : mode_of(p, q->to);
    const char *rule;

    if (from && from == to)
        return (struct n_answer){"allow", "lifeline", "", true};
    if (from_black && to_black)
        return (struct n_answer){"deny", "quarantine", "", somebody};
    if (from_black || to_black) {
        rule = smallest(p, q, "quarantine", from_black);
        return (struct n_answer){rule[0] ? "allow" : "deny", "quarantine", rule,
                                 rule[0] || somebody};
    }
    rule = smallest(p, q, "never", false);
    if (rule[0])
        return (struct n_answer){"deny", "never", rule, somebody};
    rule = smallest(p, q, "allow", false);
    if (rule[0])
        return (struct n_answer){"allow", "allow", rule, true};
    if (mode == 1 || mode == 2)
        return (struct n_answer){"would-deny", "default", "", false};
    return (struct n_answer){"deny", "default", "", somebody};
}
