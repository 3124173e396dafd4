/* SPDX-License-Identifier: Apache-2.0 */
/* Chains in order, interfaces by number, jumps by pointer; see ruleset.h. */
#include "import/ruleset.h"

#include <errno.h>

#include "base/buf.h"

static const point v4_low = (point)0xffff00000000, v4_high = (point)0xffffffffffff;

struct ruleset *ruleset_new(struct diagnostics *d)
{
    struct ruleset *rs = xcalloc(1, sizeof *rs);

    rs->arena = arena_new();
    rs->d = d;
    return rs;
}

void ruleset_free(struct ruleset *rs)
{
    if (!rs)
        return;
    for (size_t i = 0; i < rs->n_chains; i++)
        free(rs->chains[i]->rules);
    free(rs->chains);
    free(rs->interfaces);
    free(rs->ledger);
    free(rs->findings);
    arena_free(rs->arena);
    free(rs);
}

const char *ruleset_text(struct ruleset *rs, const char *format, ...)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    return arena_text(rs->arena, buf_str(&b), b.size);
}

const char *ruleset_safe(struct ruleset *rs, const char *s, size_t len, size_t max)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_escape(&b, s, len, max);
    return arena_text(rs->arena, buf_str(&b), b.size);
}

void ruleset_limit(struct ruleset *rs, const struct place *place, const char *what, size_t max)
{
    if (!rs->over_limit)
        diagnostic_fix(diagnostics_add(rs->d, CODE_LIMIT, place, "more than %zu %s", max, what),
                       "import the parts one by one (--chain NAME, or smaller files)");
    rs->over_limit = true;
}

/* ---- chains and rules ---- */

struct chain *ruleset_chain(struct ruleset *rs, const char *table, const char *name,
                            enum family family)
{
    for (size_t i = 0; i < rs->n_chains; i++) {
        struct chain *c = rs->chains[i];

        if (c->family == family && strcmp(c->name, name) == 0 && strcmp(c->table, table) == 0)
            return c;
    }
    return NULL;
}

struct chain *ruleset_add_chain(struct ruleset *rs, const char *table, const char *name,
                                enum family family, const struct place *place)
{
    struct chain *c;

    if (rs->n_chains == IMPORT_MAX_CHAINS) {
        ruleset_limit(rs, place, "chains", IMPORT_MAX_CHAINS);
        return NULL;
    }
    c = arena_alloc(rs->arena, 1, sizeof *c);
    c->name = arena_text(rs->arena, name, strlen(name));
    c->label = ruleset_safe(rs, name, strlen(name), 63);
    c->table = arena_text(rs->arena, table, strlen(table));
    c->family = family;
    c->place = *place;
    c->policy = ACT_DENY;
    GROW(rs->chains, rs->n_chains, rs->chains_room);
    rs->chains[rs->n_chains++] = c;
    return c;
}

struct import_rule *ruleset_add_rule(struct ruleset *rs, struct chain *c)
{
    struct import_rule *r;

    if (rs->n_rules == IMPORT_MAX_RULES) {
        ruleset_limit(rs, &c->place, "rules", IMPORT_MAX_RULES);
        return NULL;
    }
    rs->n_rules++;
    r = arena_alloc(rs->arena, 1, sizeof *r);
    r->chain = c;
    r->first = r;
    GROW(c->rules, c->n, c->room);
    c->rules[c->n++] = r;
    return r;
}

void ruleset_ledger(struct ruleset *rs, const struct import_rule *rule, enum effect effect,
                    const char *reason)
{
    if (rule)
        rule = rule->first;
    for (size_t i = 0; i < rs->n_ledger; i++) { /* A rule is met once on each way to it. */
        const struct ledger_entry *e = &rs->ledger[i];

        if (e->rule == rule && e->effect == effect && strcmp(e->reason, reason) == 0)
            return;
    }
    GROW(rs->ledger, rs->n_ledger, rs->ledger_room);
    rs->ledger[rs->n_ledger++] = (struct ledger_entry){rule, effect, reason};
}

/* ---- jumps ---- */

struct linking {
    struct ruleset *rs;
    const struct chain *way[IMPORT_MAX_DEPTH];
};

static bool link_chain(struct linking *l, const struct chain *c, size_t depth);

static bool link_jump(struct linking *l, struct import_rule *r, size_t depth)
{
    struct ruleset *rs = l->rs;
    struct diagnostic *x;

    if (!r->to)
        r->to = ruleset_chain(rs, r->chain->table, r->target, r->chain->family);
    if (!r->to) {
        struct nearest near = nearest_to(r->target);

        x = diagnostics_add(rs->d, CODE_UNKNOWN, &r->place, "no chain is named \"%s\"", r->target);
        for (size_t i = 0; i < rs->n_chains; i++)
            nearest_offer(&near, rs->chains[i]->name);
        diagnostic_expected(x, "a chain of this table, or a verdict");
        diagnostic_nearest(x, near.best);
        return false;
    }
    for (size_t i = 0; i < depth; i++)
        if (l->way[i] == r->to) {
            x = diagnostics_add(rs->d, CODE_VALUE, &r->place, "the chain \"%s\" jumps to itself",
                                r->target);
            diagnostic_expected(x, "chains without a circle");
            return false;
        }
    return link_chain(l, r->to, depth);
}

static bool link_chain(struct linking *l, const struct chain *c, size_t depth)
{
    if (depth == IMPORT_MAX_DEPTH) {
        ruleset_limit(l->rs, &c->place, "chains that jump to chains", IMPORT_MAX_DEPTH);
        return false;
    }
    l->way[depth] = c;
    for (size_t i = 0; i < c->n; i++) {
        struct import_rule *r = c->rules[i];

        if ((r->act == ACT_JUMP || r->act == ACT_GOTO) && !r->to && !link_jump(l, r, depth + 1))
            return false;
    }
    return true;
}

/* ---- interfaces ---- */

static bool takes_name(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);

    if (len && pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool number_interface(struct ruleset *rs, const char *name, const struct place *place)
{
    for (size_t i = 0; i < rs->n_interfaces; i++)
        if (strcmp(rs->interfaces[i], name) == 0)
            return true;
    if (rs->n_interfaces == IMPORT_MAX_INTERFACES) {
        ruleset_limit(rs, place, "names of interfaces", IMPORT_MAX_INTERFACES);
        return false;
    }
    GROW(rs->interfaces, rs->n_interfaces, rs->interfaces_room);
    rs->interfaces[rs->n_interfaces++] = name;
    return true;
}

struct interface_addresses { /* From --interfaces. */
    const char *name;
    struct ranges addresses;
};

struct interface_map {
    struct interface_addresses *items;
    size_t n, room;
};

struct network { /* One prefix of --interfaces. */
    struct range range;
    uint8_t length;
    size_t interface;
};

static int by_length(const void *a_, const void *b_)
{
    const struct network *a = a_, *b = b_;

    return (a->length > b->length) - (a->length < b->length);
}

static int read_network(const char *s, struct network *ret)
{
    const point all = ~(point)0;
    struct address a;
    int r;

    ret->length = 0;
    ret->range = (struct range){0, all};
    if (strcmp(s, "any") == 0)
        return 0;
    r = address_parse_prefix(s, &a, &ret->length);
    if (r < 0)
        return r;
    ret->range.low = address_point(&a);
    ret->range.high = ret->range.low | (ret->length < 128 ? all >> ret->length : 0);
    return 0;
}

struct map_reader {
    struct ruleset *rs;
    struct interface_map *map;
    struct network *networks;
    size_t n, room;
};

/* "eth1=10.0.0.0/8+192.168.0.0/16" */
static int read_interface(struct map_reader *m, const char *s, size_t len)
{
    const char *text = arena_text(m->rs->arena, s, len), *at = strchr(text, '=');

    if (!at || at == text)
        return -EINVAL;
    GROW(m->map->items, m->map->n, m->map->room);
    m->map->items[m->map->n++] =
        (struct interface_addresses){.name = arena_text(m->rs->arena, text, (size_t)(at - text))};
    while (*at) { /* At the '=' or a '+'. */
        size_t size = strcspn(at + 1, "+");
        struct network w = {.interface = m->map->n - 1};

        if (read_network(arena_text(m->rs->arena, at + 1, size), &w) < 0 ||
            m->n == IMPORT_MAX_RANGES)
            return -EINVAL;
        GROW(m->networks, m->n, m->room);
        m->networks[m->n++] = w;
        at += 1 + size;
    }
    return 0;
}

/* As a router would: the longest prefix says behind which interface an address is. */
static int read_map(struct ruleset *rs, const char *s, struct interface_map *map)
{
    struct map_reader m = {.rs = rs, .map = map};
    int r = 0;

    while (r == 0 && *s) {
        size_t len = strcspn(s, ",");

        r = read_interface(&m, s, len);
        s += len + (s[len] == ',');
    }
    if (m.n)
        qsort(m.networks, m.n, sizeof *m.networks, by_length);
    for (size_t i = 0; r == 0 && i < m.n; i++) {
        const struct network *w = &m.networks[i];
        struct ranges set = ranges_one(rs->arena, w->range.low, w->range.high);

        for (size_t k = 0; k < map->n; k++) {
            struct ranges *to = &map->items[k].addresses;

            *to = k == w->interface ? ranges_or(rs->arena, *to, set)
                                    : ranges_minus(rs->arena, *to, set);
        }
    }
    free(m.networks);
    return r;
}

/* Interfaces that the rule names, as numbers; those in 'map' as addresses. */
static bool map_names(struct ruleset *rs, const struct interface_match *m,
                      const struct interface_map *map, struct ranges *ret_addresses)
{
    *ret_addresses = (struct ranges){.n = 0};
    for (size_t i = 0; i < m->n; i++) {
        bool known = false;

        if (strcmp(m->names[i], "lo") == 0)
            continue;
        for (size_t k = 0; k < map->n; k++)
            if (takes_name(m->names[i], map->items[k].name)) {
                *ret_addresses = ranges_or(rs->arena, *ret_addresses, map->items[k].addresses);
                known = true;
            }
        if (!known)
            return false;
    }
    return true;
}

static struct ranges numbers_of(struct ruleset *rs, const struct interface_match *m)
{
    struct ranges set = {.n = 0};

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < rs->n_interfaces; k++)
            if (takes_name(m->names[i], rs->interfaces[k]))
                set = ranges_or(rs->arena, set, ranges_one(rs->arena, k, k));
    return set;
}

static bool names_only_lo(const struct interface_match *m)
{
    return m->n == 1 && strcmp(m->names[0], "lo") == 0;
}

static void apply_interface(struct ruleset *rs, struct import_rule *r,
                            const struct interface_match *m, const struct interface_map *map)
{
    struct ranges *numbers = &r->match.dim[m->outgoing ? DIM_OUT : DIM_IN];
    struct ranges *addresses = &r->match.dim[m->outgoing ? DIM_DESTINATION : DIM_SOURCE];
    struct ranges set, lo = ranges_one(rs->arena, 0, 0);

    if (!map || names_only_lo(m)) {
        set = numbers_of(rs, m);
        *numbers = m->negated ? ranges_minus(rs->arena, *numbers, set)
                              : ranges_and(rs->arena, *numbers, set);
        r->limits_interface = r->limits_interface || !names_only_lo(m);
        return;
    }
    if (!map_names(rs, m, map, &set)) {
        if (!r->inexact)
            r->inexact = "an interface that --interfaces does not have";
        return;
    }
    if (!m->negated)
        *numbers = ranges_minus(rs->arena, *numbers, lo);
    *addresses = m->negated ? ranges_minus(rs->arena, *addresses, set)
                            : ranges_and(rs->arena, *addresses, set);
}

static void link_interfaces(struct ruleset *rs, const struct interface_map *map)
{
    struct ranges all;

    (void)number_interface(rs, "lo", NULL); /* Always the first, and there is room. */
    for (size_t i = 0; i < rs->n_chains; i++)
        for (size_t j = 0; j < rs->chains[i]->n; j++) {
            const struct import_rule *r = rs->chains[i]->rules[j];

            for (size_t k = 0; k < r->n_interfaces; k++)
                for (size_t n = 0; n < r->interfaces[k].n && (!map || names_only_lo(r->interfaces));
                     n++)
                    if (!number_interface(rs, r->interfaces[k].names[n], &r->place))
                        return;
        }
    all = ranges_one(rs->arena, 0, rs->n_interfaces);
    for (size_t i = 0; i < rs->n_chains; i++)
        for (size_t j = 0; j < rs->chains[i]->n; j++) {
            struct import_rule *r = rs->chains[i]->rules[j];

            r->match.dim[DIM_IN] = r->match.dim[DIM_OUT] = all;
            for (size_t k = 0; k < r->n_interfaces; k++)
                apply_interface(rs, r, &r->interfaces[k], map);
        }
}

static void add_policy_rule(struct ruleset *rs, struct chain *c)
{
    struct import_rule *r = arena_alloc(rs->arena, 1, sizeof *r);

    r->place = c->place;
    r->chain = c;
    r->first = r;
    r->act = c->policy;
    r->is_policy = true;
    r->match = box_of_everything(rs, c->family);
    r->text = c->hook == HOOK_LIST ? ruleset_text(rs, "the end of %s", c->label)
                                   : ruleset_text(rs, "the policy of %s, %s", c->label,
                                                  c->policy == ACT_ACCEPT ? "ACCEPT" : "DROP");
    r->same_as = "";
    c->policy_rule = r;
}

void ruleset_link(struct ruleset *rs, const char *interfaces)
{
    struct interface_map map = {.items = NULL};
    struct linking l = {.rs = rs};

    if (interfaces && read_map(rs, interfaces, &map) < 0) {
        struct diagnostic *x =
            diagnostics_add(rs->d, CODE_VALUE, NULL, "\"%s\" for --interfaces", interfaces);

        diagnostic_expected(x, "NAME=PREFIX+PREFIX,NAME=any: which addresses are behind which "
                               "interface");
    } else {
        link_interfaces(rs, interfaces ? &map : NULL);
    }
    free(map.items);
    for (size_t i = 0; i < rs->n_chains; i++)
        if (rs->chains[i]->hook != HOOK_NONE)
            add_policy_rule(rs, rs->chains[i]);
    for (size_t i = 0; i < rs->n_chains && !rs->d->n_errors; i++)
        (void)link_chain(&l, rs->chains[i], 0); /* It said what is wrong. */
}

/* ---- universes ---- */

point address_point(const struct address *a)
{
    point p = 0;

    for (size_t i = 0; i < sizeof(a->bytes); i++)
        p = p << 8 | a->bytes[i];
    return p;
}

struct address point_address(point p)
{
    struct address a;

    for (size_t i = sizeof(a.bytes); i-- > 0; p >>= 8)
        a.bytes[i] = (uint8_t)p;
    return a;
}

struct ranges family_addresses(struct arena *a, enum family family)
{
    /* "::", "::1", and all of which anything is assigned (64:ff9b::/96 is the lowest, RFC 6052). */
    const struct range v6[] = {{0, 1}, {(point)0x40 << 112, ~(point)0}};
    const struct range both[] = {v6[0], {v4_low, v4_high}, v6[1]};

    switch (family) {
    case FAMILY_NONE:
        return (struct ranges){.n = 0};
    case FAMILY_V4:
        return ranges_one(a, v4_low, v4_high);
    case FAMILY_V6:
        return (struct ranges){arena_copy(a, v6, 2, sizeof v6[0]), 2};
    case FAMILY_BOTH:
        return (struct ranges){arena_copy(a, both, 3, sizeof both[0]), 3};
    }
    return (struct ranges){.n = 0};
}

struct ranges services_all(struct arena *a)
{
    static const struct range all[] = {{SERVICE_OTHER, SERVICE_ICMP6 + 255},
                                       {SERVICE_TCP + 1, SERVICE_TCP + 65535},
                                       {SERVICE_UDP + 1, SERVICE_UDP + 65535}};

    return (struct ranges){arena_copy(a, all, ARRAY_SIZE(all), sizeof all[0]), ARRAY_SIZE(all)};
}

struct box box_of_everything(const struct ruleset *rs, enum family family)
{
    struct ranges interfaces = ranges_one(rs->arena, 0, rs->n_interfaces);
    struct ranges addresses = family_addresses(rs->arena, family);

    return (struct box){{interfaces, interfaces, addresses, addresses, services_all(rs->arena)}};
}

struct ranges loopback_addresses(void)
{
    static const struct range all[] = {{1, 1}, {(point)0xffff7f000000, (point)0xffff7fffffff}};

    return (struct ranges){all, ARRAY_SIZE(all)};
}

struct ranges multicast_addresses(struct arena *a)
{
    const struct range all[] = {{v4_low + 0xe0000000, v4_low + 0xefffffff}, /* 224.0.0.0/4 */
                                {v4_high, v4_high},                         /* 255.255.255.255 */
                                {(point)0xff << 120, ~(point)0}};           /* ff00::/8 */

    return (struct ranges){arena_copy(a, all, ARRAY_SIZE(all), sizeof all[0]), ARRAY_SIZE(all)};
}

/* ---- words ---- */

const char *rule_name(struct ruleset *rs, const struct import_rule *r)
{
    return r->number ? ruleset_text(rs, "handle %s", r->number)
                     : ruleset_text(rs, "line %u", r->place.line);
}

const char *finding_code_name(enum finding_code code)
{
    static const char *const names[N_FINDINGS] = {
        "W-DUPLICATE",   "W-SHADOWED",  "W-UNREACHABLE", "W-HOST-NETWORK",
        "W-SOURCE-PORT", "W-STATELESS", "W-WIDE",        "W-OWNER"};

    return names[code];
}

const char *effect_name(enum effect effect)
{
    static const char *const names[] = {"same", "narrower", "wider"};

    return names[effect];
}
