/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, roles, prefixes; see roster.h. */
#include "import/roster.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/buf.h"
#include "core/model.h"
#include "import/wellknown.h"

enum {
    FEW_HOSTS = 16,     /* A destination of more names no role. */
    MANY_HOSTS = 64,    /* A set of more single addresses is a pattern, and names no hosts. */
    FEW_INTERFACES = 4, /* More are told by those that are not meant. */
    MAX_PREFIXES = 100000,
    SHOWN_PREFIXES = 8,
};

void roster_done(struct roster *r)
{
    names_done(&r->names);
    free(r->endpoints);
    free(r->groups);
}

/* ---- prefixes ---- */

/* The largest prefix that begins at 'low' and ends before or at 'high'. */
static uint8_t prefix_length(point low, point high)
{
    uint8_t length = 128;

    while (length > 0) {
        point behind = ~(point)0 >> (length - 1);

        if (length == 1 ? low != 0 || ~high != 0 : (low & behind) || (low | behind) > high)
            break;
        length--;
    }
    return length;
}

/* Calls for one prefix after the other; returns how many there are. */
static size_t add_prefixes(struct buf *b, struct ranges set, size_t max, const char *quote)
{
    size_t n = 0;

    for (size_t i = 0; i < set.n; i++) {
        point low = set.items[i].low, high = set.items[i].high;

        while (n < MAX_PREFIXES) {
            uint8_t length = prefix_length(low, high);
            point last = low | (length < 128 ? ~(point)0 >> length : 0);
            struct address a = point_address(low);
            char text[ADDRESS_TEXT_SIZE];

            if (n < max)
                buf_printf(b, "%s%s%s%s", n ? ", " : "", quote,
                           address_format_prefix(&a, length, text), quote);
            n++;
            if (last >= high)
                break;
            low = last + 1;
        }
    }
    return n;
}

const char *prefixes_text(struct ruleset *rs, struct ranges set, size_t max)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    size_t n = add_prefixes(&b, set, max, "");

    if (n > max)
        buf_printf(&b, " and %zu more", n - max);
    return arena_text(rs->arena, buf_str(&b), b.size);
}

/* ---- hosts ---- */

static bool is_private(point p)
{
    static const struct range ranges[] = {
        {(point)0xffff0a000000, (point)0xffff0affffff}, /* RFC 1918 */
        {(point)0xffff64400000, (point)0xffff647fffff}, /* RFC 6598 */
        {(point)0xffffac100000, (point)0xffffac1fffff},
        {(point)0xffffc0a80000, (point)0xffffc0a8ffff},
        {(point)0xfc << 120, ((point)0xfe << 120) - 1}}; /* RFC 4193 */

    return ranges_have((struct ranges){ranges, ARRAY_SIZE(ranges)}, p);
}

static void add_endpoint(struct roster *r, struct ranges addresses, bool is_self)
{
    GROW(r->endpoints, r->n_endpoints, r->endpoints_room);
    r->endpoints[r->n_endpoints++] =
        (struct roster_endpoint){.addresses = addresses, .is_self = is_self};
    r->hosts = ranges_or(r->rs->arena, r->hosts, addresses);
}

struct host_list {
    struct range *items;
    size_t n, room;
};

static void list_hosts(const struct roster *r, const struct pieces *pieces, struct host_list *l)
{
    static const enum dimension ends[] = {DIM_SOURCE, DIM_DESTINATION};

    for (size_t i = 0; i < pieces->n; i++)
        for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
            /* With the box in its own hole, so that its neighbours are no hosts. */
            struct ranges set = ranges_or(r->rs->arena, pieces->items[i].box.dim[ends[e]], r->self);

            for (size_t k = 0; k < set.n && set.n <= MANY_HOSTS; k++) {
                point p = set.items[k].low;

                if (p != set.items[k].high || !is_private(p) || ranges_have(r->self, p))
                    continue;
                GROW(l->items, l->n, l->room);
                l->items[l->n++] = (struct range){p, p};
            }
        }
}

static int by_low(const void *a_, const void *b_)
{
    const struct range *a = a_, *b = b_;

    return (a->low > b->low) - (a->low < b->low);
}

static void find_hosts(struct roster *r, const struct resolved *what)
{
    struct host_list l = {.items = NULL};
    struct ranges set = {.n = 0};

    list_hosts(r, &what->allows, &l);
    list_hosts(r, &what->nevers, &l);
    if (l.n)
        qsort(l.items, l.n, sizeof *l.items, by_low);
    for (size_t i = 0; i < l.n; i++) {
        if (i && l.items[i].low == l.items[i - 1].low)
            continue;
        if (r->n_endpoints == IMPORT_MAX_ENDPOINTS)
            break; /* The others stay addresses of the outside, with the same verdicts. */
        set = ranges_one(r->rs->arena, l.items[i].low, l.items[i].low);
        GROW(r->endpoints, r->n_endpoints, r->endpoints_room);
        r->endpoints[r->n_endpoints++] = (struct roster_endpoint){.addresses = set};
    }
    free(l.items);
}

static void join_hosts(struct roster *r)
{
    CLEANUP(free_voidp) void *memory = NULL;
    struct range *all;
    size_t n = 0;

    for (size_t i = 0; i < r->n_endpoints; i++)
        n += r->endpoints[i].addresses.n;
    memory = xcalloc(n, sizeof *all);
    all = memory;
    n = 0;
    for (size_t i = 0; i < r->n_endpoints; i++)
        for (size_t k = 0; k < r->endpoints[i].addresses.n; k++)
            all[n++] = r->endpoints[i].addresses.items[k];
    r->hosts = ranges_of(r->rs->arena, all, n);
}

/* ---- the box itself ---- */

static bool splits(const struct roster *r, struct ranges set)
{
    for (enum family f = FAMILY_V4; f <= FAMILY_V6; f++) {
        struct ranges own = ranges_and(r->rs->arena, r->self, family_addresses(r->rs->arena, f));

        if (ranges_overlap(own, set) && !ranges_within(own, set))
            return true;
    }
    return false;
}

static bool any_splits(const struct roster *r, const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->n; i++)
        if (splits(r, pieces->items[i].box.dim[DIM_SOURCE]) ||
            splits(r, pieces->items[i].box.dim[DIM_DESTINATION]))
            return true;
    return false;
}

static void add_self(struct roster *r, const struct resolved *what)
{
    struct arena *a = r->rs->arena;

    r->self_is_split = any_splits(r, &what->allows) || any_splits(r, &what->nevers);
    if (!r->self_is_split) {
        add_endpoint(r, r->self, true);
        return;
    }
    for (size_t i = 0; i < r->self.n; i++)
        for (point p = r->self.items[i].low; p <= r->self.items[i].high; p++)
            add_endpoint(r, ranges_one(a, p, p), true);
}

/* ---- roles ---- */

static const struct wellknown *role_of(struct ranges services)
{
    for (size_t i = 0; i < services.n; i++) {
        point low = services.items[i].low, high = services.items[i].high;
        const struct wellknown *w = NULL;

        if (high - low > FEW_HOSTS)
            continue;
        for (point p = low; p <= high && (!w || !w->is_role); p++)
            if (p > SERVICE_TCP)
                w = wellknown_of(p > SERVICE_UDP ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)p);
        if (w && w->is_role)
            return w;
    }
    return NULL;
}

static void give_role(struct roster *r, const struct piece *p, enum dimension end)
{
    const struct wellknown *w = role_of(p->box.dim[DIM_SERVICE]);
    struct ranges set = p->box.dim[end];

    if (!w || !ranges_within(set, r->hosts) || set.n > FEW_HOSTS)
        return;
    for (size_t i = 0; i < r->n_endpoints; i++) {
        struct roster_endpoint *e = &r->endpoints[i];

        if (e->role || !ranges_overlap(e->addresses, set) || e->is_self)
            continue;
        e->role = end == DIM_SOURCE ? ruleset_text(r->rs, "%s-client", w->name) : w->name;
        e->reason = ruleset_text(r->rs, "%s %s/%u, %s: %s",
                                 end == DIM_SOURCE ? "may open" : "is reached by",
                                 w->protocol == IPPROTO_TCP ? "tcp" : "udp", w->port, w->title,
                                 rule_name(r->rs, p->rule));
    }
}

static const char *address_name(struct roster *r, const char *before, point p, uint8_t length)
{
    struct address a = point_address(p);
    char text[ADDRESS_TEXT_SIZE];

    return ruleset_text(r->rs, "%s%s", before, address_format_prefix(&a, length, text));
}

static size_t count_role(const struct roster *r, const char *role)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_endpoints; i++)
        n += r->endpoints[i].role && strcmp(r->endpoints[i].role, role) == 0;
    return n;
}

static void name_endpoints(struct roster *r)
{
    struct names names = {.slots = NULL};

    for (size_t i = 0; i < r->n_endpoints; i++) {
        struct roster_endpoint *e = &r->endpoints[i];
        const char *wanted = r->self_name;

        if (e->is_self && r->self_is_split)
            wanted = address_name(r, ruleset_text(r->rs, "%s-", r->self_name),
                                  e->addresses.items[0].low, 128);
        else if (!e->is_self && e->role && count_role(r, e->role) > 1)
            wanted = ruleset_text(r->rs, "%s-1", e->role);
        else if (!e->is_self)
            wanted = e->role ? e->role : address_name(r, "host-", e->addresses.items[0].low, 128);
        for (size_t k = 2; e->role && !names_add(&names, wanted); k++)
            wanted = ruleset_text(r->rs, "%s-%zu", e->role, k);
        e->name = e->role ? wanted : names_new(&names, r->rs->arena, wanted);
    }
    names_done(&names);
}

void roster_begin(struct roster *r, struct ruleset *rs, const struct resolved *what,
                  const char *self_name)
{
    static const char *const reserved[] = {"any",   "default", "lifeline", "quarantine",
                                           "glass", "never",   "allow"};

    *r = (struct roster){.rs = rs, .self_name = self_name, .self = what->self};
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        (void)names_add(&r->names, reserved[i]); /* They differ. */
    if (r->self.n)
        add_self(r, what);
    find_hosts(r, what);
    join_hosts(r);
    for (size_t i = 0; i < what->allows.n; i++)
        give_role(r, &what->allows.items[i], DIM_DESTINATION);
    for (size_t i = 0; i < what->allows.n; i++)
        give_role(r, &what->allows.items[i], DIM_SOURCE);
    name_endpoints(r);
}

/* ---- groups ---- */

static const char *get_group(struct roster *r, const char *wanted, const char *key,
                             const char *comment, bool is_outside)
{
    for (size_t i = 0; i < r->n_groups; i++)
        if (r->groups[i].is_outside == is_outside && strcmp(r->groups[i].key, key) == 0)
            return r->groups[i].name;
    if (r->n_groups == IMPORT_MAX_GROUPS) {
        ruleset_limit(r->rs, NULL, "groups", IMPORT_MAX_GROUPS);
        return "any";
    }
    GROW(r->groups, r->n_groups, r->groups_room);
    r->groups[r->n_groups++] =
        (struct roster_group){.name = names_new(&r->names, r->rs->arena, wanted),
                              .key = key,
                              .comment = comment,
                              .is_outside = is_outside};
    return r->groups[r->n_groups - 1].name;
}

static const char *members_group(struct roster *r, struct ranges set)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct roster_endpoint *first = NULL;
    bool same_role = true, only_self = true;
    const char *wanted;
    size_t n = 0;

    for (size_t i = 0; i < r->n_endpoints; i++) {
        const struct roster_endpoint *e = &r->endpoints[i];

        if (!ranges_overlap(e->addresses, set))
            continue;
        if (!first)
            first = e;
        only_self = only_self && e->is_self;
        same_role = same_role && e->role && first->role && strcmp(e->role, first->role) == 0;
        buf_printf(&b, "%s%s", n++ ? ", " : "", e->name);
    }
    if (!first)
        return NULL;
    wanted = n == 1 || !same_role ? first->name : ruleset_text(r->rs, "%s-hosts", first->role);
    if (only_self && n > 1)
        wanted = r->self_name;
    else if (n == r->n_endpoints && n > 1)
        wanted = "all-hosts";
    else if (n > 1 && !same_role)
        wanted = ruleset_text(r->rs, "%s-and-%zu-more", first->name, n - 1);
    return get_group(r, wanted, arena_text(r->rs->arena, buf_str(&b), b.size), NULL, false);
}

/* Without the endpoints' own addresses, and with holes filled that only endpoints make. */
static struct ranges outside_of(struct roster *r, struct ranges set)
{
    struct arena *a = r->rs->arena;
    struct ranges others = ranges_minus(a, set, r->hosts), filled = ranges_or(a, set, r->hosts);
    struct range *kept = arena_alloc(a, filled.n, sizeof *kept);
    size_t n = 0;

    if (!others.n)
        return others;
    for (size_t i = 0; i < filled.n; i++) {
        struct ranges one = {&filled.items[i], 1};

        if (ranges_overlap(one, others))
            kept[n++] = filled.items[i];
    }
    return (struct ranges){kept, n};
}

static bool is_family(struct roster *r, struct ranges set, enum family family)
{
    return ranges_equal(set, family_addresses(r->rs->arena, family));
}

static const char *outside_group(struct roster *r, struct ranges set)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct ranges outside = outside_of(r, set);
    const char *wanted, *comment = NULL;
    size_t n;

    if (!outside.n)
        return NULL;
    if (is_family(r, outside, FAMILY_BOTH))
        buf_puts(&b, "\"::/0\"");
    n = b.size ? 1 : add_prefixes(&b, outside, MAX_PREFIXES, "\"");
    if (n == MAX_PREFIXES)
        ruleset_limit(r->rs, NULL, "prefixes in a group", MAX_PREFIXES);
    if (is_family(r, outside, FAMILY_V4)) {
        wanted = "ipv4";
        comment = "every IPv4 address that is no endpoint's";
    } else if (is_family(r, outside, FAMILY_V6)) {
        wanted = "ipv6";
        comment = "every IPv6 address that is no endpoint's";
    } else if (is_family(r, outside, FAMILY_BOTH)) {
        wanted = "internet";
        comment = "every address that is no endpoint's";
    } else {
        uint8_t length = prefix_length(outside.items[0].low, outside.items[0].high);

        wanted = address_name(r, length == 128 ? "host-" : "net-", outside.items[0].low, length);
        if (n > 1)
            wanted = ruleset_text(r->rs, "%s-and-%zu-more", wanted, n - 1);
    }
    return get_group(r, wanted, arena_text(r->rs->arena, buf_str(&b), b.size), comment, true);
}

/* ---- selections ---- */

/* Families in which an address of 'set' talks, with the other addresses of its endpoints. */
static enum family families_of(struct roster *r, struct ranges set)
{
    struct arena *a = r->rs->arena;
    enum family families = FAMILY_NONE;

    if (r->self.n && ranges_overlap(set, r->self))
        set = ranges_or(a, set, r->self);
    if (ranges_overlap(set, family_addresses(a, FAMILY_V4)))
        families |= FAMILY_V4;
    if (ranges_overlap(set, family_addresses(a, FAMILY_V6)))
        families |= FAMILY_V6;
    return families;
}

/* `any` has the same meaning: it adds no pair but the box to itself. */
static bool is_any(struct roster *r, struct ranges set, struct ranges other, bool other_is_any)
{
    enum family families = other_is_any ? FAMILY_BOTH : families_of(r, other);
    struct ranges all = family_addresses(r->rs->arena, families);

    if (ranges_within(all, set))
        return true;
    return r->self.n && !other_is_any && ranges_within(other, r->self) &&
           ranges_within(all, ranges_or(r->rs->arena, set, r->self));
}

struct selection roster_select(struct roster *r, struct ranges set, struct ranges other,
                               bool other_is_any)
{
    struct selection s = {.any = is_any(r, set, other, other_is_any)};
    const char *group;

    if (s.any)
        return s;
    group = members_group(r, set);
    if (group)
        s.groups[s.n++] = group;
    group = outside_group(r, set);
    if (group)
        s.groups[s.n++] = group;
    return s;
}

static void add_interfaces(struct roster *r, struct buf *b, struct ranges numbers, const char *sep)
{
    size_t n = 0;

    for (size_t i = 1; i < r->rs->n_interfaces; i++)
        if (ranges_have(numbers, i))
            buf_printf(b, "%s%s", n++ ? sep : "", r->rs->interfaces[i]);
}

static size_t count_numbers(struct ranges numbers)
{
    size_t n = 0;

    for (size_t i = 0; i < numbers.n; i++)
        n += (size_t)(numbers.items[i].high - numbers.items[i].low) + 1;
    return n;
}

struct selection roster_behind(struct roster *r, struct ranges interfaces, struct ranges set,
                               const char **ret_which)
{
    struct arena *a = r->rs->arena;
    struct ranges all = ranges_one(a, 1, r->rs->n_interfaces);
    struct ranges rest = ranges_minus(a, all, interfaces);
    bool by_rest = ranges_have(interfaces, r->rs->n_interfaces);
    CLEANUP(buf_done) struct buf name = BUF_INIT;
    CLEANUP(buf_done) struct buf which = BUF_INIT;
    const char *comment, *key, *text = prefixes_text(r->rs, set, SHOWN_PREFIXES);

    if (is_any(r, set, set, false))
        text = "whatever address";
    buf_puts(&name, by_rest ? "behind-not" : "behind");
    if (count_numbers(by_rest ? rest : interfaces) > FEW_INTERFACES) {
        buf_puts(&name, "-some");
    } else {
        buf_putc(&name, '-');
        add_interfaces(r, &name, by_rest ? rest : interfaces, "-");
    }
    buf_puts(&which, by_rest ? "every interface but " : "");
    add_interfaces(r, &which, by_rest ? rest : interfaces, ", ");
    *ret_which = ruleset_safe(r->rs, buf_str(&which), which.size, IMPORT_MAX_TEXT);
    comment = ruleset_text(r->rs, "behind %s, of %s: closed until you write who that is",
                           *ret_which, text);
    key = ruleset_text(r->rs, "?%s %s", *ret_which, text);
    return (struct selection){.groups = {get_group(r, buf_str(&name), key, comment, false)},
                              .n = 1};
}
