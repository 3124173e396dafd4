/* SPDX-License-Identifier: Apache-2.0 */
/* Words become numbers: raw policies of all files are merged, sorted and looked up; see policy.h.
 */
#include "text/policy.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/date.h"
#include "text/language.h"
#include "text/port.h"

struct linking {
    struct arena *arena;
    struct diagnostics *d;
    struct policy *p;
    struct raw_policy *raw; /* One for each source. */
    size_t n_raw;
    size_t services_room;
};

static const char *const layer_words[] = {"lifeline", "quarantine", "glass", "never",
                                          "allow",    "default",    "any"};

static bool is_layer_word(const char *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(layer_words); i++)
        if (strcmp(layer_words[i], s) == 0)
            return true;
    return false;
}

static void defined_twice(const struct linking *l, const char *what, const char *name,
                          const struct place *again, const struct place *first)
{
    struct diagnostic *x =
        diagnostics_add(l->d, CODE_DUPKEY, again, "the %s \"%s\" again", what, name);

    diagnostic_expected(x, "each %s once; the first is in %s:%u", what, first->file, first->line);
    diagnostic_fix(x, "give one of them another name, or delete it");
}

/* ---- groups ---- */

static int group_order(const void *a_, const void *b_)
{
    const struct group *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static void link_outside(const struct linking *l, const struct raw_group *raw, struct group *g)
{
    const struct words *w = &raw->outside;
    struct diagnostic *x;

    g->kind = GROUP_OUTSIDE;
    g->prefixes = arena_alloc(l->arena, w->n, sizeof *g->prefixes);
    if (w->n == 1 && strcmp(w->items[0].text, "true") == 0 && !w->items[0].quoted) {
        g->n_prefixes = 1; /* ::/0 */
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        struct prefix *to = &g->prefixes[g->n_prefixes];
        int r = address_parse_prefix(w->items[i].text, &to->address, &to->length);
        char text[ADDRESS_TEXT_SIZE];

        if (r == 0) {
            g->n_prefixes++;
            continue;
        }
        x = diagnostics_add(l->d, CODE_VALUE, &w->items[i].place, "\"%s\" for \"outside\"",
                            w->items[i].text);
        if (r == -EDOM) {
            diagnostic_expected(x, "a network without bits behind its length, %s",
                                address_format_prefix(&to->address, to->length, text));
            diagnostic_fix(x, "write the network, or one host's address without a length");
        } else
            diagnostic_expected(x, "true, or prefixes like 203.0.113.0/24 and 2001:db8::/32");
    }
}

static void link_group(const struct linking *l, const struct raw_group *raw, struct group *g)
{
    const struct raw_label_match *labels = raw->match.items;

    *g = (struct group){.name = raw->name.text, .place = raw->name.place};
    if (raw->outside.given) {
        link_outside(l, raw, g);
        return;
    }
    if (raw->members.given) {
        g->kind = GROUP_MEMBERS;
        g->n_members = raw->members.n;
        g->members = arena_alloc(l->arena, g->n_members, sizeof *g->members);
        for (size_t i = 0; i < g->n_members; i++)
            g->members[i] = (struct named){raw->members.items[i].text, raw->members.items[i].place};
        return;
    }
    g->kind = GROUP_MATCH;
    g->matches = arena_alloc(l->arena, raw->match.n, sizeof *g->matches);
    for (size_t i = 0; i < raw->match.n; i++) {
        struct label_match *m = &g->matches[g->n_matches++];

        m->key = labels[i].key.text;
        m->values = arena_alloc(l->arena, labels[i].values.n, sizeof *m->values);
        for (size_t j = 0; j < labels[i].values.n; j++)
            m->values[m->n_values++] = labels[i].values.items[j].text;
    }
}

static void link_groups(const struct linking *l)
{
    struct policy *p = l->p;
    size_t n = 0;

    for (size_t i = 0; i < l->n_raw; i++)
        n += l->raw[i].groups.n;
    p->groups = arena_alloc(l->arena, n, sizeof *p->groups);
    for (size_t i = 0; i < l->n_raw; i++) {
        const struct raw_group *raw = l->raw[i].groups.items;

        for (size_t j = 0; j < l->raw[i].groups.n; j++)
            link_group(l, &raw[j], &p->groups[p->n_groups++]);
    }
    if (n)
        qsort(p->groups, n, sizeof *p->groups, group_order);
    for (size_t i = 1; i < n; i++) {
        const struct group *a = &p->groups[i - 1], *b = &p->groups[i];

        if (strcmp(a->name, b->name) == 0 && strcmp(a->place.file, b->place.file) != 0)
            defined_twice(l, "group", a->name, &b->place, &a->place);
    }
}

static void unknown_group(const struct linking *l, const struct word *w)
{
    struct nearest near = nearest_to(w->text);
    struct diagnostic *x;

    for (size_t i = 0; i < l->p->n_groups; i++)
        nearest_offer(&near, l->p->groups[i].name);
    nearest_offer(&near, "any");
    x = diagnostics_add(l->d, CODE_UNKNOWN, &w->place, "no group is named \"%s\"", w->text);
    diagnostic_expected(x, "a group of this policy, or any");
    diagnostic_nearest(x, near.best);
    if (!near.best)
        diagnostic_fix(x,
                       "define it under groups; a single endpoint is a group too: "
                       "%s: {members: [%s]}",
                       w->text, w->text);
}

static struct selector link_selector(const struct linking *l, const struct words *w)
{
    struct selector s = {.given = w->given, .any = !w->given, .place = w->place};

    s.groups = arena_alloc(l->arena, w->n, sizeof *s.groups);
    for (size_t i = 0; i < w->n; i++) {
        const struct group *g = policy_group(l->p, w->items[i].text);

        if (strcmp(w->items[i].text, "any") == 0)
            s.any = true;
        else if (g)
            s.groups[s.n_groups++] = (uint32_t)(g - l->p->groups);
        else
            unknown_group(l, &w->items[i]);
    }
    return s;
}

/* ---- services ---- */

static int service_order(const void *a_, const void *b_)
{
    const struct service *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

/* What people write for a port, and what they mean by it. */
static void mend_port(struct diagnostic *x, const char *s)
{
    size_t digits = strspn(s, "0123456789");

    if (digits && !s[digits])
        diagnostic_fix(x, "write the protocol too: tcp/%s or udp/%s", s, s);
    else if (digits && s[digits] == '/')
        diagnostic_fix(x, "the protocol comes first: %s/%.*s", s + digits + 1, (int)digits, s);
    else if (strchr(s, ','))
        diagnostic_fix(x, "several ports are a list: [tcp/80, tcp/443]");
    else if (strspn(s, "0123456789:") == strlen(s))
        diagnostic_fix(x, "a port is written tcp/PORT or udp/PORT");
    else if (strchr(s, ':'))
        diagnostic_fix(x, "a service has no address: from and to say who");
    else if (strstr(s, "/0") && s[strcspn(s, "/") + 2])
        diagnostic_fix(x, "write the number without leading zeros");
    else if ((strncmp(s, "tcp/", 4) == 0 || strncmp(s, "udp/", 4) == 0) &&
             !strspn(s + 4, "0123456789"))
        diagnostic_fix(x, "ports are numbers; services give them names");
}

static bool link_port(const struct linking *l, const struct word *w, struct port_range *to)
{
    const char *why = NULL, *nearest = NULL;
    int r = port_parse(w->text, to, &why, &nearest);
    struct diagnostic *x;

    if (r == 0)
        return true;
    x = diagnostics_add(l->d, r == -ERANGE ? CODE_RANGE : CODE_VALUE, &w->place, "\"%s\" as a port",
                        w->text);
    diagnostic_expected(x, "%s", why);
    diagnostic_nearest(x, nearest);
    mend_port(x, w->text);
    return false;
}

static void link_service(const struct linking *l, const struct raw_service *raw)
{
    struct service *s = &l->p->services[l->p->n_services++];

    *s = (struct service){.name = raw->name.text, .place = raw->name.place};
    s->ports = arena_alloc(l->arena, raw->ports.n, sizeof *s->ports);
    for (size_t i = 0; i < raw->ports.n; i++)
        s->n_ports += link_port(l, &raw->ports.items[i], &s->ports[s->n_ports]);
    s->modbus = arena_alloc(l->arena, raw->modbus.n, 1);
    for (size_t i = 0; i < raw->modbus.n; i++)
        s->modbus[s->n_modbus++] = (uint8_t)raw->modbus.items[i].value;
    for (size_t i = 0; raw->modbus.given && i < s->n_ports; i++)
        if (s->ports[i].protocol == IPPROTO_ICMP) {
            struct diagnostic *x =
                diagnostics_add(l->d, CODE_VALUE, &raw->modbus.place, "modbus functions for icmp");

            diagnostic_expected(x, "tcp or udp ports");
        }
}

/* Services that everybody needs and few know the ports of; a policy may define its own. */
static const struct builtin {
    const char *name;
    const char *ports[4];
} builtins[] = {{"dhcp", {"udp/67", "udp/68", "udp/546", "udp/547"}}, {"mdns", {"udp/5353"}}};

static void add_builtin(const struct linking *l, const struct builtin *b)
{
    struct service *s = &l->p->services[l->p->n_services];
    const char *why, *nearest;

    for (size_t i = 0; i < l->p->n_services; i++)
        if (strcmp(l->p->services[i].name, b->name) == 0)
            return;
    *s = (struct service){.name = b->name};
    s->ports = arena_alloc(l->arena, ARRAY_SIZE(b->ports), sizeof *s->ports);
    for (size_t i = 0; i < ARRAY_SIZE(b->ports) && b->ports[i]; i++)
        s->n_ports += port_parse(b->ports[i], &s->ports[s->n_ports], &why, &nearest) == 0;
    l->p->n_services++;
}

/* Of whichever kind; NULL: it was wrong. */
static const struct raw_path *path_of(const struct raw_proof *raw)
{
    return raw->no_path ? raw->no_path : raw->path ? raw->path : raw->only_path;
}

static void link_services(struct linking *l)
{
    struct policy *p = l->p;
    size_t n = ARRAY_SIZE(builtins);

    for (size_t i = 0; i < l->n_raw; i++) {
        const struct raw_rule *rules[] = {l->raw[i].quarantine.items, l->raw[i].never.items,
                                          l->raw[i].allow.items};
        size_t counts[] = {l->raw[i].quarantine.n, l->raw[i].never.n, l->raw[i].allow.n};
        const struct raw_proof *proofs = l->raw[i].prove.items;

        n += l->raw[i].services.n + l->raw[i].tests.n;
        for (size_t k = 0; k < ARRAY_SIZE(rules); k++)
            for (size_t j = 0; j < counts[k]; j++)
                n += rules[k][j].service.n +
                     (rules[k][j].except ? rules[k][j].except->service.n : 0);
        for (size_t j = 0; j < l->raw[i].prove.n; j++)
            n += path_of(&proofs[j]) ? path_of(&proofs[j])->service.n : 0;
    }
    p->services = arena_alloc(l->arena, n, sizeof *p->services); /* Room for inline ones too. */
    l->services_room = n;
    for (size_t i = 0; i < l->n_raw; i++) {
        const struct raw_service *raw = l->raw[i].services.items;

        for (size_t j = 0; j < l->raw[i].services.n; j++)
            link_service(l, &raw[j]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
        add_builtin(l, &builtins[i]);
    p->n_named_services = p->n_services;
    qsort(p->services, p->n_services, sizeof *p->services, service_order);
    for (size_t i = 1; i < p->n_services; i++) {
        const struct service *a = &p->services[i - 1], *b = &p->services[i];

        if (strcmp(a->name, b->name) == 0 && strcmp(a->place.file, b->place.file) != 0)
            defined_twice(l, "service", a->name, &b->place, &a->place);
    }
}

/* A service's name, or a port written in place. */
static bool link_service_ref(const struct linking *l, const struct word *w, uint32_t *ret)
{
    struct nearest near = nearest_to(w->text);
    const struct service *s = policy_service(l->p, w->text);
    struct diagnostic *x;
    struct address a;
    uint8_t len;

    if (s) {
        *ret = (uint32_t)(s - l->p->services);
        return true;
    }
    if (strchr(w->text, '/') && address_parse_prefix(w->text, &a, &len) == -EINVAL) {
        struct service *inlined = &l->p->services[l->p->n_services];

        assert(l->p->n_services < l->services_room);
        *inlined = (struct service){.name = w->text, .is_inline = true, .place = w->place};
        inlined->ports = arena_alloc(l->arena, 1, sizeof *inlined->ports);
        inlined->n_ports = 1;
        if (!link_port(l, w, &inlined->ports[0]))
            return false;
        *ret = (uint32_t)l->p->n_services++;
        return true;
    }
    for (size_t i = 0; i < l->p->n_named_services; i++)
        nearest_offer(&near, l->p->services[i].name);
    x = diagnostics_add(l->d, CODE_UNKNOWN, &w->place, "no service is named \"%s\"", w->text);
    diagnostic_expected(x, "a service of this policy, proto/port, or proto/low-high");
    diagnostic_nearest(x, near.best);
    if (strpbrk(w->text, ",:") || strspn(w->text, "0123456789") == strlen(w->text))
        mend_port(x, w->text);
    else if (policy_group(l->p, w->text))
        diagnostic_fix(x, "\"%s\" is a group: groups stand in from and to", w->text);
    else if (!near.best)
        diagnostic_fix(x, "define it under services: %s: [tcp/PORT]", w->text);
    return false;
}

static uint32_t *link_service_refs(const struct linking *l, const struct words *w, size_t *ret_n)
{
    uint32_t *to = arena_alloc(l->arena, w->n, sizeof *to);

    *ret_n = 0;
    for (size_t i = 0; i < w->n; i++)
        *ret_n += link_service_ref(l, &w->items[i], &to[*ret_n]);
    return to;
}

/* ---- rules ---- */

static const char **link_paths(const struct linking *l, const struct raw_program *raw,
                               size_t *ret_n, struct place *ret_place)
{
    const char **to;

    *ret_n = 0;
    if (!raw)
        return NULL;
    to = arena_alloc(l->arena, raw->exe.n, sizeof *to);
    for (size_t i = 0; i < raw->exe.n; i++)
        to[(*ret_n)++] = raw->exe.items[i].text;
    *ret_place = raw->exe.place;
    return to;
}

static struct match link_match(const struct linking *l, const struct raw_rule *raw)
{
    struct match m = {.from = link_selector(l, &raw->from), .to = link_selector(l, &raw->to)};

    m.services = link_service_refs(l, &raw->service, &m.n_services);
    m.service_place = raw->service.place;
    m.processes = link_paths(l, raw->process, &m.n_processes, &m.process_place);
    m.served_by = link_paths(l, raw->served_by, &m.n_served_by, &m.served_by_place);
    m.users = arena_alloc(l->arena, raw->user.n, sizeof *m.users);
    m.user_place = raw->user.place;
    for (size_t i = 0; i < raw->user.n; i++) {
        const char *s = raw->user.items[i].text;

        m.users[m.n_users++] = (struct user_ref){s[0] == '@' ? s + 1 : s, s[0] == '@'};
    }
    return m;
}

static bool link_day(const struct linking *l, const struct word *w, const char *field, int64_t *ret)
{
    struct diagnostic *x;

    if (date_parse(w->text, ret) == 0)
        return true;
    x = diagnostics_add(l->d, CODE_VALUE, &w->place, "\"%s\" for \"%s\"", w->text, field);
    diagnostic_expected(x, "a day that exists, as 2027-06-30");
    return false;
}

static struct learned *link_learned(const struct linking *l, const struct raw_learned *raw)
{
    struct learned *to;

    if (!raw)
        return NULL;
    to = arena_alloc(l->arena, 1, sizeof *to);
    to->flows = (uint64_t)raw->flows.value;
    to->signed_by = raw->signed_by.text;
    if (raw->from.text && raw->to.text && link_day(l, &raw->from, "from", &to->from_s) &&
        link_day(l, &raw->to, "to", &to->to_s) && to->from_s > to->to_s)
        diagnostic_expected(diagnostics_add(l->d, CODE_RANGE, &raw->from.place,
                                            "\"learned\" ends before it begins"),
                            "from: the first day, to: the last");
    return to;
}

static void link_rule(const struct linking *l, enum layer layer, const struct raw_rule *raw)
{
    struct rule *r = &l->p->rules[l->p->n_rules];
    int64_t day;

    *r = (struct rule){.layer = layer,
                       .index = (uint32_t)l->p->n_rules,
                       .id = raw->id.text,
                       .place = raw->id.text ? raw->id.place : raw->place,
                       .match = link_match(l, raw),
                       .why = raw->why.text,
                       .owner = raw->owner.text,
                       .accept_weaker = raw->accept_weaker.text,
                       .expires_s = MODEL_NEVER_EXPIRES,
                       .expires_place = raw->expires.place,
                       .learned = link_learned(l, raw->learned)};
    if (!r->id)
        r->id = ""; /* Reported already; the policy will not be returned. */
    l->p->n_rules++;
    if (raw->expires.text && link_day(l, &raw->expires, "expires", &day))
        r->expires_s = day + DATE_DAY_S;
    if (raw->except) {
        r->except = arena_alloc(l->arena, 1, sizeof *r->except);
        *r->except = link_match(l, raw->except);
    }
}

static int rule_order(const void *a_, const void *b_)
{
    const struct rule *const *a = a_, *const *b = b_;
    int c = strcmp((*a)->id, (*b)->id);

    return c ? c : ((*a)->index > (*b)->index) - ((*a)->index < (*b)->index);
}

static void find_duplicate_ids(const struct linking *l)
{
    CLEANUP(free_voidp) void *memory = xcalloc(l->p->n_rules, sizeof(struct rule *));
    const struct rule **sorted = memory;

    for (size_t i = 0; i < l->p->n_rules; i++)
        sorted[i] = &l->p->rules[i];
    qsort(sorted, l->p->n_rules, sizeof *sorted, rule_order);
    for (size_t i = 1; i < l->p->n_rules; i++)
        if (sorted[i]->id[0] && strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            defined_twice(l, "rule", sorted[i]->id, &sorted[i]->place, &sorted[i - 1]->place);
}

static void link_rules(const struct linking *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_raw; i++)
        n += l->raw[i].quarantine.n + l->raw[i].never.n + l->raw[i].allow.n;
    l->p->rules = arena_alloc(l->arena, n, sizeof *l->p->rules);
    for (size_t i = 0; i < l->n_raw; i++) {
        const struct objects *lists[] = {&l->raw[i].quarantine, &l->raw[i].never, &l->raw[i].allow};
        static const enum layer layers[] = {LAYER_QUARANTINE, LAYER_NEVER, LAYER_ALLOW};

        for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
            for (size_t j = 0; j < lists[k]->n; j++)
                link_rule(l, layers[k], (const struct raw_rule *)lists[k]->items + j);
    }
    find_duplicate_ids(l);
}

/* ---- modes, tests, proofs ---- */

static enum mode mode_of(const char *s)
{
    return strcmp(s, "learn") == 0 ? MODE_LEARN : strcmp(s, "test") == 0 ? MODE_TEST : MODE_ENFORCE;
}

static void link_mode(const struct linking *l, const struct raw_mode *raw, bool *default_given)
{
    const struct group *g = policy_group(l->p, raw->group.text);
    struct mode_entry e = {.mode = raw->mode.text ? mode_of(raw->mode.text) : MODE_ENFORCE,
                           .place = raw->group.place};
    struct diagnostic *x;

    if (strcmp(raw->group.text, "default") == 0) {
        if (*default_given && l->p->default_mode != e.mode)
            diagnostic_expected(diagnostics_add(l->d, CODE_DUPKEY, &raw->group.place,
                                                "another default mode than in a file before"),
                                "one default for the whole policy");
        l->p->default_mode = e.mode;
        l->p->default_mode_place = e.place;
        *default_given = true;
        return;
    }
    if (!g) {
        unknown_group(l, &raw->group);
        return;
    }
    if (g->kind == GROUP_OUTSIDE) {
        x = diagnostics_add(l->d, CODE_VALUE, &raw->group.place,
                            "a mode for the outside group "
                            "\"%s\"",
                            g->name);
        diagnostic_expected(x, "a group of endpoints: the outside has no mode");
        return;
    }
    e.group = (uint32_t)(g - l->p->groups);
    l->p->modes[l->p->n_modes++] = e;
}

static void link_modes(const struct linking *l)
{
    bool default_given = false;
    size_t n = 0;

    l->p->default_mode = MODE_ENFORCE;
    for (size_t i = 0; i < l->n_raw; i++)
        n += l->raw[i].mode.n;
    l->p->modes = arena_alloc(l->arena, n, sizeof *l->p->modes);
    for (size_t i = 0; i < l->n_raw; i++)
        for (size_t j = 0; j < l->raw[i].mode.n; j++)
            link_mode(l, (const struct raw_mode *)l->raw[i].mode.items + j, &default_given);
}

static struct named link_end(const struct linking *l, const struct word *w)
{
    const char *why = NULL;
    struct address a;

    if (w->text && address_parse(w->text, &a) < 0 &&
        !grammar_accepts(GRAMMAR_NAME, w->text, &why)) {
        struct diagnostic *x =
            diagnostics_add(l->d, CODE_NAME, &w->place, "\"%s\" as an end", w->text);

        diagnostic_expected(x, "an endpoint's name, or an address (%s)", why);
    }
    return (struct named){w->text, w->place};
}

static const char *one_path(const struct linking *l, const struct raw_program *raw)
{
    if (!raw || !raw->exe.n)
        return NULL;
    if (raw->exe.n > 1)
        diagnostic_expected(
            diagnostics_add(l->d, CODE_VALUE, &raw->exe.place, "several programs in one test"),
            "one program; write a test for each");
    return raw->exe.items[0].text;
}

static void check_by(const struct linking *l, const struct word *by)
{
    struct nearest near = nearest_to(by->text);
    struct diagnostic *x;

    if ((is_layer_word(by->text) && strcmp(by->text, "any") != 0) || policy_rule(l->p, by->text))
        return;
    for (size_t i = 0; i < l->p->n_rules; i++)
        nearest_offer(&near, l->p->rules[i].id);
    for (size_t i = 0; i < ARRAY_SIZE(layer_words); i++)
        nearest_offer(&near, layer_words[i]);
    x = diagnostics_add(l->d, CODE_UNKNOWN, &by->place, "no rule has the id \"%s\"", by->text);
    diagnostic_expected(x, "a rule's id, or a layer: quarantine, never, allow, default");
    diagnostic_nearest(x, near.best);
}

static void link_test(const struct linking *l, const struct raw_test *raw)
{
    struct policy_test *t = &l->p->tests[l->p->n_tests];

    *t = (struct policy_test){.place = raw->place,
                              .from = link_end(l, &raw->from),
                              .to = link_end(l, &raw->to),
                              .process = one_path(l, raw->process),
                              .served_by = one_path(l, raw->served_by),
                              .user = raw->user.text,
                              .modbus = raw->modbus.given ? (int)raw->modbus.value : -1,
                              .by = raw->by.text,
                              .enforced = -1};
    if (raw->enforced.given)
        t->enforced = raw->enforced.value != 0;
    if (raw->expect.text)
        t->expect = strcmp(raw->expect.text, "allow") == 0  ? VERDICT_ALLOW
                    : strcmp(raw->expect.text, "deny") == 0 ? VERDICT_DENY
                                                            : VERDICT_WOULD_DENY;
    if (raw->by.text)
        check_by(l, &raw->by);
    if (raw->service.text && link_service_ref(l, &raw->service, &t->service))
        l->p->n_tests++;
}

static void link_proof(const struct linking *l, const struct raw_proof *raw)
{
    struct proof *to = &l->p->proofs[l->p->n_proofs];
    const struct raw_path *path = path_of(raw);

    if (!path)
        return;
    *to = (struct proof){.place = raw->place,
                         .kind = raw->no_path ? PROOF_NO_PATH
                                 : raw->path  ? PROOF_PATH
                                              : PROOF_ONLY_PATH,
                         .from = link_selector(l, &path->from),
                         .to = link_selector(l, &path->to)};
    to->services = link_service_refs(l, &path->service, &to->n_services);
    l->p->n_proofs++;
}

static void link_questions(const struct linking *l)
{
    size_t n_tests = 0, n_proofs = 0;

    for (size_t i = 0; i < l->n_raw; i++) {
        n_tests += l->raw[i].tests.n;
        n_proofs += l->raw[i].prove.n;
    }
    l->p->tests = arena_alloc(l->arena, n_tests, sizeof *l->p->tests);
    l->p->proofs = arena_alloc(l->arena, n_proofs, sizeof *l->p->proofs);
    for (size_t i = 0; i < l->n_raw; i++) {
        for (size_t j = 0; j < l->raw[i].tests.n; j++)
            link_test(l, (const struct raw_test *)l->raw[i].tests.items + j);
        for (size_t j = 0; j < l->raw[i].prove.n; j++)
            link_proof(l, (const struct raw_proof *)l->raw[i].prove.items + j);
    }
}

static void check_limit(const struct linking *l, const char *what, size_t n, size_t max)
{
    if (n > max)
        (void)diagnostics_add(l->d, CODE_LIMIT, NULL, "%zu %s, where %zu is the limit", n, what,
                              max);
}

int policy_read(const struct source sources[], size_t n, struct diagnostics *d,
                struct policy **ret_policy)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const struct decoder dec = {.arena = arena, .d = d, .root = &policy_schema};
    struct linking l = {.arena = arena, .d = d};
    size_t before = d->n_errors;

    if (!n)
        (void)diagnostics_add(d, CODE_MISSING, NULL, "no policy file");
    if (n > SOURCE_FILES)
        (void)diagnostics_add(d, CODE_LIMIT, NULL, "%zu files, where %d is the limit", n,
                              SOURCE_FILES);
    if (d->n_errors > before)
        return -EBADMSG;
    l.raw = arena_alloc(arena, n, sizeof *l.raw);
    for (size_t i = 0; i < n; i++) {
        struct node *root;

        if (node_read(&sources[i], arena, d, &root) == 0 &&
            decode_is_of(&dec, root, &policy_schema, &inventory_schema))
            decode(&dec, &policy_schema, root, &l.raw[l.n_raw++]);
    }
    if (l.n_raw < n)
        return -EBADMSG; /* A missing file would make unknown names of what it defines. */
    l.p = arena_alloc(arena, 1, sizeof *l.p);
    link_groups(&l);
    link_services(&l);
    link_rules(&l);
    link_modes(&l);
    link_questions(&l);
    check_limit(&l, "groups", l.p->n_groups, MODEL_MAX_GROUPS);
    check_limit(&l, "services", l.p->n_services, MODEL_MAX_SERVICES);
    check_limit(&l, "rules", l.p->n_rules, MODEL_MAX_RULES);
    if (d->n_errors > before)
        return -EBADMSG;
    l.p->arena = TAKE_PTR(arena);
    *ret_policy = l.p;
    return 0;
}
