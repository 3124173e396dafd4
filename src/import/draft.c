/* SPDX-License-Identifier: Apache-2.0 */
/* YAML, line by line; see draft.h. */
#include "import/draft.h"

#include <netinet/in.h>

#include "core/model.h"
#include "import/roster.h"
#include "import/wellknown.h"
#include "text/json.h"
#include "text/port.h"

enum {
    WHY_COMMENT = 300,    /* Bytes of a comment that becomes a reason. */
    FILE_SHOWN = 100,     /* Bytes of a file's name. */
    MAX_CONTAINED = 3000, /* Pieces up to which those inside another are looked for. */
};

struct writing {
    struct ruleset *rs;
    struct roster roster;
    struct names ids;
    struct draft *to;
    struct buf allows, nevers;
    bool used_ports[65536 * 2]; /* Of tcp, then of udp: named services. */
    bool said_multicast;
};

void draft_done(struct draft *d)
{
    buf_done(&d->policy);
    buf_done(&d->inventory);
}

/* Foreign text for a comment or a sentence: printable, one line, no run of quotes. */
static const char *plain(struct ruleset *rs, const char *s, size_t max)
{
    char *safe = (char *)(uintptr_t)ruleset_safe(rs, s, strlen(s), max);

    for (char *p = safe; *p; p++)
        if (*p == '\'' && p[1] == '\'')
            *p = ' ';
    return safe;
}

static const char *file_name(struct ruleset *rs, const char *path)
{
    const char *slash = strrchr(path, '/');

    return plain(rs, slash && slash[1] ? slash + 1 : path, FILE_SHOWN);
}

/* ---- services ---- */

static void add_item(struct buf *b, size_t *n, const char *text)
{
    buf_printf(b, "%s%s", (*n)++ ? ", " : "", text);
}

static void add_ports(struct writing *w, struct buf *b, size_t *n, uint8_t protocol, point low,
                      point high)
{
    const struct wellknown *known = NULL;
    struct port_range r = {protocol, (uint16_t)low, (uint16_t)high};
    char text[64];

    if (low == high && protocol != IPPROTO_ICMP)
        known = wellknown_of(protocol, (uint16_t)low);
    if (known)
        w->used_ports[(protocol == IPPROTO_UDP ? (point)65536 : 0) + low] = true;
    port_format(&r, text, sizeof(text));
    add_item(b, n, known ? known->name : text);
}

/* The set as a list of services; 0: none of it has words. */
static size_t add_services(struct writing *w, struct buf *b, struct ranges set)
{
    static const struct {
        uint8_t protocol;
        point low, high;
    } lines[] = {{IPPROTO_ICMP, SERVICE_ICMP, SERVICE_ICMP + 255},
                 {IPPROTO_TCP, SERVICE_TCP, SERVICE_TCP + 65535},
                 {IPPROTO_UDP, SERVICE_UDP, SERVICE_UDP + 65535}};
    size_t n = 0;

    for (size_t k = 0; k < ARRAY_SIZE(lines); k++)
        for (size_t i = 0; i < set.n; i++) {
            point low = set.items[i].low, high = set.items[i].high;

            if (low < lines[k].low)
                low = lines[k].low;
            if (high > lines[k].high)
                high = lines[k].high;
            if (low <= high)
                add_ports(w, b, &n, lines[k].protocol, low - lines[k].low, high - lines[k].low);
        }
    return n;
}

static bool overlaps_multicast(struct writing *w, struct ranges set)
{
    return ranges_overlap(set, multicast_addresses(w->rs->arena));
}

/* ---- one rule ---- */

static const char *rule_id(struct writing *w, const struct import_rule *r)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *label = r->chain->label;

    if (label[0] >= '0' && label[0] <= '9')
        buf_puts(&b, "acl");
    for (; *label; label++)
        buf_putc(&b, (char)(*label >= 'A' && *label <= 'Z' ? *label + ('a' - 'A') : *label));
    if (r->is_policy)
        buf_puts(&b, "-policy");
    else if (r->number)
        buf_printf(&b, "-%s", r->number);
    else
        buf_printf(&b, "-%u", r->place.line);
    return names_new(&w->ids, w->rs->arena, buf_str(&b));
}

static void add_selection(struct buf *b, const char *field, const struct selection *s)
{
    if (s->any)
        return;
    buf_printf(b, "    %s: %s", field, s->n > 1 ? "[" : "");
    for (size_t i = 0; i < s->n; i++)
        buf_printf(b, "%s%s", i ? ", " : "", s->groups[i]);
    buf_puts(b, s->n > 1 ? "]\n" : "\n");
}

static void add_why(struct writing *w, struct buf *b, const struct import_rule *r)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    const char *file = file_name(w->rs, r->place.file);

    bool comment = r->comment && r->comment[0];

    buf_printf(&why, "%s%s", comment ? plain(w->rs, r->comment, WHY_COMMENT) : "carried over from",
               comment ? " (" : " ");
    if (r->number)
        buf_printf(&why, "%s %s", file, rule_name(w->rs, r));
    else
        buf_printf(&why, "%s:%u", file, r->place.line);
    buf_puts(&why, comment ? ")" : "");
    buf_puts(b, "    why: ");
    json_quote(b, buf_str(&why));
    buf_puts(b, "\n    owner: ");
    json_quote(b, r->owner ? plain(w->rs, r->owner, FILE_SHOWN) : "unknown");
    buf_putc(b, '\n');
}

static void write_rule(struct writing *w, struct buf *b, const struct piece *p,
                       const struct selection *from, const struct selection *to,
                       const char *services)
{
    buf_printf(b, "  # %s\n  - id: %s\n", plain(w->rs, p->rule->text, IMPORT_MAX_TEXT),
               rule_id(w, p->rule));
    add_selection(b, "from", from);
    add_selection(b, "to", to);
    if (services)
        buf_printf(b, "    service: [%s]\n", services);
    add_why(w, b, p->rule);
}

static void note_interface(struct writing *w, const struct import_rule *rule, const char *group,
                           const char *which)
{
    ruleset_ledger(w->rs, rule, EFFECT_NARROWER,
                   ruleset_text(w->rs,
                                "who is behind %s is not in the file: the group \"%s\" is empty, "
                                "and lets nobody through, until --interfaces or a person says it",
                                which, group));
}

static void select_ends(struct writing *w, const struct piece *p, struct selection *from,
                        struct selection *to)
{
    struct roster *r = &w->roster;
    const struct box *b = &p->box;
    const struct range all = {1, w->rs->n_interfaces};
    struct ranges others = {&all, 1};
    const char *which;

    if (ranges_within(others, b->dim[DIM_IN])) {
        *from = roster_select(r, b->dim[DIM_SOURCE], b->dim[DIM_DESTINATION], false);
    } else {
        *from = roster_behind(r, b->dim[DIM_IN], b->dim[DIM_SOURCE], &which);
        note_interface(w, p->rule, from->groups[0], which);
    }
    if (ranges_within(others, b->dim[DIM_OUT])) {
        *to = roster_select(r, b->dim[DIM_DESTINATION], b->dim[DIM_SOURCE], from->any);
    } else {
        *to = roster_behind(r, b->dim[DIM_OUT], b->dim[DIM_DESTINATION], &which);
        note_interface(w, p->rule, to->groups[0], which);
    }
}

/* Every protocol, but to a group of machines only those that have a name. */
static struct ranges services_of_piece(struct writing *w, const struct piece *p,
                                       const struct selection *to, bool *ret_everything)
{
    struct ranges services = p->box.dim[DIM_SERVICE];
    bool everything = service_is_everything(w->rs, services);
    bool to_group = everything && overlaps_multicast(w, p->box.dim[DIM_DESTINATION]);

    *ret_everything = everything && (!to_group || to->any);
    if (everything && to_group && to->any && !w->said_multicast) {
        ruleset_ledger(w->rs, NULL, EFFECT_NARROWER,
                       "rules by every protocol do not reach multicast and broadcast in a policy");
        w->said_multicast = true;
    }
    if (everything && !*ret_everything)
        ruleset_ledger(w->rs, p->rule, EFFECT_NARROWER,
                       "to multicast, protocols other than tcp, udp and icmp have no words");
    else if (service_without_words(w->rs, services).n)
        ruleset_ledger(w->rs, p->rule, EFFECT_NARROWER,
                       "protocols other than tcp, udp and icmp have no words, except all together");
    return services;
}

static void write_allow(struct writing *w, const struct piece *p)
{
    CLEANUP(buf_done) struct buf services = BUF_INIT;
    struct selection from, to;
    bool everything;
    struct ranges set;

    select_ends(w, p, &from, &to);
    set = services_of_piece(w, p, &to, &everything);
    if (!everything && !add_services(w, &services, set)) {
        if (!service_without_words(w->rs, set).n)
            ruleset_ledger(w->rs, p->rule, EFFECT_SAME,
                           "neighbour discovery and the like: no subject of a policy");
        return;
    }
    write_rule(w, &w->allows, p, &from, &to, everything ? NULL : buf_str(&services));
    w->to->n_allows++;
}

/* A network of machines and groups of machines at once: a rule for each. */
static void write_allow_by_kind(struct writing *w, const struct piece *p)
{
    struct arena *a = w->rs->arena;
    struct ranges to = p->box.dim[DIM_DESTINATION], multicast = multicast_addresses(a);
    struct piece part = *p;

    if (!service_is_everything(w->rs, p->box.dim[DIM_SERVICE]) || !ranges_overlap(to, multicast) ||
        ranges_within(to, multicast) ||
        roster_select(&w->roster, to, p->box.dim[DIM_SOURCE], false).any) {
        write_allow(w, p);
        return;
    }
    part.box.dim[DIM_DESTINATION] = ranges_minus(a, to, multicast);
    write_allow(w, &part);
    part.box.dim[DIM_DESTINATION] = ranges_and(a, to, multicast);
    write_allow(w, &part);
}

static void write_never(struct writing *w, const struct piece *p)
{
    CLEANUP(buf_done) struct buf services = BUF_INIT;
    struct selection from, to;
    bool everything = service_is_everything(w->rs, p->box.dim[DIM_SERVICE]);

    if (!everything && !add_services(w, &services, p->box.dim[DIM_SERVICE]))
        return;
    select_ends(w, p, &from, &to);
    write_rule(w, &w->nevers, p, &from, &to, everything ? NULL : buf_str(&services));
    w->to->n_nevers++;
}

/* A piece inside an earlier one says nothing more. */
static bool is_contained(const struct pieces *all, size_t at)
{
    const struct piece *p = &all->items[at];

    for (size_t i = 0; at < MAX_CONTAINED && i < at; i++) {
        bool inside = true;

        for (size_t d = N_DIMS; d-- > 0 && inside;)
            inside = ranges_within(p->box.dim[d], all->items[i].box.dim[d]);
        if (inside)
            return true;
    }
    return false;
}

/* ---- the files ---- */

static void write_header(struct writing *w, const struct draft_options *options)
{
    struct buf *b = &w->to->policy;

    buf_puts(b, "# A draft, proposed by \"suimitsu policy import\" from\n");
    for (size_t i = 0; i < options->n_files; i++)
        buf_printf(b, "#   %s\n", plain(w->rs, options->files[i], IMPORT_MAX_TEXT));
    buf_puts(b, "#\n"
                "# The original is a list in which the first match decides.  A policy has no "
                "order: nothing is\n"
                "# allowed unless an allow names it, and a never stands above every allow.  So "
                "each accept became\n"
                "# an allow of what it really decided: what denials before it keep out was taken "
                "away from it, or\n"
                "# stands below as a never, where no accept came first.  Accepts that an earlier "
                "one covers, and\n"
                "# denials that deny what nothing allows, are not written: the default is deny.  "
                "The verdicts on\n"
                "# packets that open a connection are those of the original, except for what the "
                "ledger lists\n"
                "# (ledger.txt); replies of what is allowed pass by themselves.\n"
                "#\n"
                "# To do: find an owner for each rule, name the groups, mark who enforces what in "
                "the inventory,\n"
                "# and begin with `mode: {default: learn}`.\n"
                "suimitsu: 1\n\n");
}

static void write_groups(struct writing *w)
{
    struct buf *b = &w->to->policy;

    buf_printf(b, "groups:%s\n", w->roster.n_groups ? "" : " {}");
    for (size_t i = 0; i < w->roster.n_groups; i++) {
        const struct roster_group *g = &w->roster.groups[i];

        buf_printf(b, "  %s: {%s: [%s]}", g->name, g->is_outside ? "outside" : "members",
                   g->key[0] == '?' ? "" : g->key);
        if (g->comment)
            buf_printf(b, "   # %s", plain(w->rs, g->comment, IMPORT_MAX_TEXT));
        buf_putc(b, '\n');
    }
    buf_putc(b, '\n');
}

static void write_services(struct writing *w)
{
    struct buf *b = &w->to->policy;
    bool any = false;

    for (size_t i = 0; i < ARRAY_SIZE(w->used_ports); i++) {
        uint8_t protocol = i < 65536 ? IPPROTO_TCP : IPPROTO_UDP;
        const struct wellknown *known;

        if (!w->used_ports[i])
            continue;
        known = wellknown_of(protocol, (uint16_t)(i % 65536));
        if (!any)
            buf_puts(b, "services:   # named after the well-known users of their ports\n");
        any = true;
        if (known)
            buf_printf(b, "  %s: [%s/%zu]   # %s\n", known->name,
                       protocol == IPPROTO_TCP ? "tcp" : "udp", i % 65536, known->title);
    }
    buf_puts(b, any ? "\n" : "");
}

static void write_inventory(struct writing *w)
{
    struct buf *b = &w->to->inventory;

    buf_printf(b,
               "# Proposed by \"suimitsu policy import\": addresses that the rules name.  Names "
               "come from\n"
               "# well-known ports; enforcers are not known yet.\n"
               "suimitsu-inventory: 1\nendpoints:%s\n",
               w->roster.n_endpoints ? "" : " {}");
    for (size_t i = 0; i < w->roster.n_endpoints; i++) {
        const struct roster_endpoint *e = &w->roster.endpoints[i];
        size_t n = 0;

        buf_printf(b, "  %s: {labels: {%s%s%simported: draft}, addresses: [", e->name,
                   e->role ? "role: " : "", e->role ? e->role : "", e->role ? ", " : "");
        for (size_t k = 0; k < e->addresses.n; k++)
            for (point p = e->addresses.items[k].low; p <= e->addresses.items[k].high; p++) {
                struct address a = point_address(p);
                char text[ADDRESS_TEXT_SIZE];

                buf_printf(b, "%s\"%s\"", n++ ? ", " : "", address_format(&a, text));
            }
        buf_puts(b, "], enforcers: none}");
        if (e->is_self)
            buf_puts(b, "   # the box whose rules these are");
        else if (e->reason)
            buf_printf(b, "   # %s", e->reason);
        buf_putc(b, '\n');
    }
    w->to->n_endpoints = w->roster.n_endpoints;
}

static void write_policy(struct writing *w, const struct draft_options *options)
{
    struct buf *b = &w->to->policy;

    write_header(w, options);
    write_groups(w);
    write_services(w);
    if (w->nevers.size) {
        buf_puts(b, "never:   # denials that stood before every accept that they touch\n");
        buf_add(b, w->nevers.data, w->nevers.size);
        buf_putc(b, '\n');
    }
    buf_printf(b, "allow:%s\n", w->allows.size ? "" : " []");
    buf_puts(b, buf_str(&w->allows));
    w->to->n_groups = w->roster.n_groups;
}

void draft_write(struct ruleset *rs, const struct resolved *what,
                 const struct draft_options *options, struct draft *ret)
{
    CLEANUP(free_voidp) void *memory = xcalloc(1, sizeof(struct writing));
    struct writing *w = memory;

    w->rs = rs;
    w->to = ret;
    roster_begin(&w->roster, rs, what, options->self_name ? options->self_name : "self");
    (void)names_add(&w->ids, "any"); /* Reserved words of the language; they differ. */
    (void)names_add(&w->ids, "default");
    for (size_t i = 0; i < what->nevers.n && !rs->over_limit; i++)
        write_never(w, &what->nevers.items[i]);
    for (size_t i = 0; i < what->allows.n && !rs->over_limit; i++)
        if (!is_contained(&what->allows, i))
            write_allow_by_kind(w, &what->allows.items[i]);
    write_policy(w, options);
    write_inventory(w);
    roster_done(&w->roster);
    names_done(&w->ids);
    buf_done(&w->allows);
    buf_done(&w->nevers);
}
