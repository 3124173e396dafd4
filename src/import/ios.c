/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and words of a configuration; see ios.h. */
#include "import/ios.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/number.h"
#include "import/lines.h"
#include "import/match.h"
#include "import/wellknown.h"

enum { MAX_WORDS = 64, MAX_HOLES = 12 };

struct word_at {
    const char *text;
    uint32_t column;
};

enum block { BLOCK_NONE, BLOCK_LIST, BLOCK_NETWORKS, BLOCK_SERVICES, BLOCK_INTERFACE };

struct object_group { /* Of networks, or of services. */
    const char *name;
    bool is_service, is_inexact;
    struct ranges addresses;
    struct service_entry {
        uint8_t protocol; /* 0: any. */
        struct ranges ports;
        bool has_ports;
    } * services; /* Heap. */
    size_t n, room;
};

struct reading {
    struct ruleset *rs;
    const char *file;
    uint32_t line;
    const char *raw;
    size_t raw_len;
    struct word_at words[MAX_WORDS];
    size_t n_words, at;
    bool ok;       /* Of this line. */
    bool has_more; /* It has more words than are kept. */
    enum block block;
    struct chain *list; /* Of BLOCK_LIST, or the numbered one. */
    bool is_standard;
    bool has_netmasks;  /* "access-list NAME extended": as firewalls write it. */
    const char *remark; /* The last one: of the rules behind it. */
    const struct chain *remark_of;
    struct object_group *groups; /* Heap. */
    size_t n_groups, groups_room;
};

struct entry { /* A permit or deny. */
    struct match_parts match;
    enum act act;
    uint8_t protocol; /* 0: ip. */
    const struct object_group *services;
};

static void wrong(struct reading *in, enum code code, size_t word, const char *expected)
{
    bool there = word < in->n_words;
    struct place p = {in->file, in->line, there ? in->words[word].column : 1,
                      there ? (uint32_t)strlen(in->words[word].text) : 1};
    struct diagnostic *x;

    if (!in->ok)
        return;
    in->ok = false;
    if (there)
        x = diagnostics_add(in->rs->d, code, &p, "\"%s\" here", in->words[word].text);
    else
        x = diagnostics_add(in->rs->d, code, &p, "the line ends too early");
    diagnostic_expected(x, "%s", expected);
}

/* ---- words ---- */

static void split(struct reading *in)
{
    size_t i = 0;

    in->n_words = in->at = 0;
    in->ok = true;
    in->has_more = false;
    while (i < in->raw_len && !in->has_more) {
        size_t start;

        while (i < in->raw_len && (in->raw[i] == ' ' || in->raw[i] == '\t'))
            i++;
        start = i;
        while (i < in->raw_len && in->raw[i] != ' ' && in->raw[i] != '\t')
            i++;
        in->has_more = i > start && in->n_words == MAX_WORDS;
        if (i > start && !in->has_more)
            in->words[in->n_words++] = (struct word_at){
                arena_text(in->rs->arena, in->raw + start, i - start), (uint32_t)start + 1};
    }
}

static const char *peek(const struct reading *in)
{
    return in->at < in->n_words ? in->words[in->at].text : "";
}

static const char *next(struct reading *in)
{
    if (in->at >= in->n_words) {
        wrong(in, CODE_SYNTAX, in->at, "a value");
        return "";
    }
    return in->words[in->at++].text;
}

static bool take(struct reading *in, const char *word)
{
    if (strcasecmp(peek(in), word) != 0)
        return false;
    in->at++;
    return true;
}

static bool is_number(const char *s)
{
    uint64_t v;

    return number_parse(s, strlen(s), UINT32_MAX, &v) == 0;
}

/* ---- addresses ---- */

struct range_list {
    struct range *items;
    size_t n, room;
};

static point v4_point(uint32_t v)
{
    return (point)0xffff00000000 | v;
}

/* Every network that an address with a wildcard mask means; a mask with holes means several. */
static bool add_wildcard(struct range_list *l, uint32_t base, uint32_t wildcard)
{
    uint32_t low_bits = 0, holes;
    unsigned n = 0;

    while (low_bits != UINT32_MAX && (wildcard & (low_bits + 1)))
        low_bits = low_bits << 1 | 1;
    holes = wildcard & ~low_bits;
    n = (unsigned)__builtin_popcount(holes);
    if (n > MAX_HOLES)
        return false;
    base &= ~wildcard;
    for (uint32_t i = 0, bits = 0; i < (1u << n); i++, bits = (bits - holes) & holes) {
        GROW(l->items, l->n, l->room);
        l->items[l->n++] = (struct range){v4_point(base | bits), v4_point(base | bits | low_bits)};
    }
    return true;
}

static bool parse_v4(const char *s, uint32_t *ret)
{
    struct address a;

    if (strchr(s, ':') || address_parse(s, &a) < 0)
        return false;
    *ret = (uint32_t)address_point(&a);
    return true;
}

static bool one_address(struct reading *in, struct match_parts *m, struct range_list *l)
{
    struct range r = {0, 0};
    bool host;

    if (parse_addresses(in->rs, next(in), &r, &host) < 0) {
        wrong(in, CODE_VALUE, in->at - 1, "an address, a network, any, host or object-group");
        return false;
    }
    if (host && m && !m->host_network)
        m->host_network = in->words[in->at - 1].text;
    GROW(l->items, l->n, l->room);
    l->items[l->n++] = r;
    return true;
}

/* "10.0.0.0 0.0.0.255": with 'netmask', 255.255.255.0 as object groups write it. */
static bool address_and_mask(struct reading *in, struct match_parts *m, struct range_list *l,
                             bool netmask)
{
    const char *text = next(in);
    uint32_t base, mask;

    if (!parse_v4(text, &base)) {
        in->at--;
        return one_address(in, m, l); /* IPv6, or a prefix. */
    }
    if (!parse_v4(peek(in), &mask)) { /* A host alone. */
        in->at--;
        return one_address(in, m, l);
    }
    in->at++;
    mask = netmask ? ~mask : mask;
    if ((base & mask) && mask != UINT32_MAX && m && !m->host_network)
        m->host_network = ruleset_text(in->rs, "%s %s", text, in->words[in->at - 1].text);
    if (add_wildcard(l, base, mask))
        return true;
    if (m)
        match_inexact(m, "a mask with more than %d holes", MAX_HOLES);
    return false;
}

static struct object_group *find_group(const struct reading *in, const char *name, bool is_service)
{
    for (size_t i = 0; i < in->n_groups; i++)
        if (in->groups[i].is_service == is_service && strcmp(in->groups[i].name, name) == 0)
            return &in->groups[i];
    return NULL;
}

static const struct object_group *get_group(struct reading *in, bool is_service)
{
    const char *name = next(in);
    const struct object_group *g = find_group(in, name, is_service);

    if (!g && in->ok)
        wrong(in, CODE_UNKNOWN, in->at - 1, "an object-group of this kind, defined before");
    return g;
}

static void read_end(struct reading *in, struct match_parts *m, bool source)
{
    struct range_list l = {.items = NULL};
    const struct object_group *g;
    bool ok = false;

    if (take(in, "any") || take(in, "any4") || take(in, "any6"))
        return;
    if (take(in, "object-group") || take(in, "addrgroup")) {
        g = get_group(in, false);
        if (g && g->is_inexact)
            match_inexact(m, "an object-group with what is not known here");
        else if (g)
            match_address(m, source, g->addresses, false);
        return;
    }
    ok = take(in, "host") ? one_address(in, m, &l) : address_and_mask(in, m, &l, in->has_netmasks);
    if (ok)
        match_address(m, source, ranges_of(in->rs->arena, l.items, l.n), false);
    free(l.items);
}

/* ---- ports and types ---- */

static bool read_port(struct reading *in, uint64_t *ret)
{
    const char *s = next(in);

    if (number_parse(s, strlen(s), 65535, ret) == 0 || wellknown_port(s, ret) == 0)
        return true;
    wrong(in, CODE_RANGE, in->at - 1, "a port from 0 to 65535, or its name");
    return false;
}

static bool is_port(const char *s)
{
    uint64_t port;

    return number_parse(s, strlen(s), 65535, &port) == 0 || wellknown_port(s, &port) == 0;
}

static void add_port(struct range_list *l, uint64_t low, uint64_t high)
{
    if (!low)
        low = 1;
    if (low > high)
        return; /* Port 0 alone. */
    GROW(l->items, l->n, l->room);
    l->items[l->n++] = (struct range){low, high};
}

/* "eq 80 443", "range 1 5", "gt 1023", "lt 10", "neq 25".  False: none of these. */
static bool read_operator(struct reading *in, struct ranges *ret, bool *ret_negated)
{
    struct range_list l = {.items = NULL};
    uint64_t low = 0, high = 0;
    bool neq = strcasecmp(peek(in), "neq") == 0;

    *ret_negated = neq;
    if (take(in, "eq") || take(in, "neq")) {
        do {
            if (read_port(in, &low))
                add_port(&l, low, low);
        } while (in->ok && is_port(peek(in)));
    } else if (take(in, "range")) {
        if (read_port(in, &low) && read_port(in, &high) && low > high)
            wrong(in, CODE_RANGE, in->at - 1, "the lower port first");
        else
            add_port(&l, low, high);
    } else if (take(in, "gt")) {
        if (read_port(in, &low))
            add_port(&l, low + 1, 65535);
    } else if (take(in, "lt")) {
        if (read_port(in, &low) && low)
            add_port(&l, 1, low - 1);
    } else {
        return false;
    }
    *ret = ranges_of(in->rs->arena, l.items, l.n);
    free(l.items);
    return true;
}

static void read_ports(struct reading *in, struct entry *e, bool source)
{
    struct ranges set;
    bool negated;

    if (e->protocol == IPPROTO_TCP || e->protocol == IPPROTO_UDP) {
        if (read_operator(in, &set, &negated) && in->ok)
            match_ports(&e->match, source, set, negated);
    }
}

static void read_type(struct reading *in, struct entry *e)
{
    bool v6 = e->protocol == IPPROTO_ICMPV6;
    unsigned type;

    if ((e->protocol != IPPROTO_ICMP && !v6) || in->at >= in->n_words ||
        wellknown_icmp(peek(in), v6, &type) < 0)
        return;
    in->at++;
    match_types(&e->match, v6, ranges_one(in->rs->arena, type, type), false);
    if (is_number(peek(in)))
        match_inexact(&e->match, "an ICMP code, %s", next(in));
}

/* ---- entries ---- */

static void read_rest(struct reading *in, struct entry *e)
{
    while (in->ok && in->at < in->n_words) {
        const char *s = next(in);

        if (strcasecmp(s, "established") == 0)
            match_flags(&e->match, 0x14, 0, true); /* RST or ACK is set. */
        else if (strcasecmp(s, "sequence") == 0)
            (void)next(in);
        else if (strcasecmp(s, "log") != 0 && strcasecmp(s, "log-input") != 0)
            match_inexact(&e->match, "%s", s);
    }
}

static void read_protocol(struct reading *in, struct entry *e, enum family family)
{
    const char *s = next(in);

    if (strcasecmp(s, "object-group") == 0) {
        e->services = get_group(in, true);
        return;
    }
    if (strcasecmp(s, "ip") == 0 || strcasecmp(s, "ipv6") == 0)
        return;
    if (wellknown_protocol(s, &e->protocol) < 0) {
        CLEANUP(buf_done) struct buf lower = BUF_INIT;

        for (const char *c = s; *c; c++)
            buf_putc(&lower, (char)tolower((unsigned char)*c));
        if (wellknown_protocol(buf_str(&lower), &e->protocol) < 0) {
            if (in->ok)
                wrong(in, CODE_VALUE, in->at - 1, "ip, tcp, udp, icmp, or another protocol");
            return;
        }
    }
    if (family == FAMILY_V6 && e->protocol == IPPROTO_ICMP)
        e->protocol = IPPROTO_ICMPV6;
    match_protocols(&e->match, ranges_one(in->rs->arena, e->protocol, e->protocol), false);
}

static void read_extended(struct reading *in, struct entry *e, enum family family)
{
    read_protocol(in, e, family);
    if (in->ok)
        read_end(in, &e->match, true);
    if (in->ok)
        read_ports(in, e, true);
    if (in->ok)
        read_end(in, &e->match, false);
    if (in->ok)
        read_ports(in, e, false);
    if (in->ok)
        read_type(in, e);
    read_rest(in, e);
}

/* Words without the sequence number and what only logs. */
static const char *canonical(struct reading *in, size_t from)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (size_t i = from; i < in->n_words; i++)
        if (strcasecmp(in->words[i].text, "log") != 0 &&
            strcasecmp(in->words[i].text, "log-input") != 0)
            buf_printf(&b, "%s ", in->words[i].text);
    return arena_text(in->rs->arena, buf_str(&b), b.size);
}

static struct import_rule *add_rule(struct reading *in, const struct entry *e,
                                    const struct match_parts *m, const char *same_as,
                                    struct import_rule *first)
{
    struct import_rule *r = ruleset_add_rule(in->rs, in->list);

    if (!r) {
        in->ok = false;
        return first;
    }
    r->place = (struct place){in->file, in->line, 1, (uint32_t)(in->raw_len ? in->raw_len : 1)};
    r->text = ruleset_safe(in->rs, in->raw, in->raw_len, IMPORT_MAX_TEXT);
    r->same_as = first ? "" : same_as;
    r->comment = in->remark_of == in->list ? in->remark : NULL;
    r->owner = owner_of_comment(in->rs, r->comment);
    r->act = e->act;
    r->first = first ? first : r;
    match_finish(m, r);
    return r->first;
}

/* One rule, or one for each service of its group. */
static void add_rules(struct reading *in, const struct entry *e, const char *same_as)
{
    const struct object_group *g = e->services;
    struct import_rule *first = NULL;

    if (!g) {
        (void)add_rule(in, e, &e->match, same_as, NULL);
        return;
    }
    for (size_t i = 0; i < g->n && in->ok; i++) {
        struct match_parts m = e->match;
        const struct service_entry *s = &g->services[i];

        if (s->protocol)
            match_protocols(&m, ranges_one(in->rs->arena, s->protocol, s->protocol), false);
        if (s->has_ports)
            match_ports(&m, false, s->ports, false);
        if (g->is_inexact)
            match_inexact(&m, "an object-group with what is not known here");
        first = add_rule(in, e, &m, same_as, first);
    }
}

/* Behind "access-list NAME" or within a named list: [SEQUENCE] permit|deny|remark ... */
static void read_entry(struct reading *in)
{
    enum family family = in->list->family;
    struct entry e = {.match = match_begin(in->rs, family)};
    size_t from;

    if (is_number(peek(in)))
        in->at++;
    if (take(in, "sequence"))
        in->at++;
    from = in->at;
    if (take(in, "remark")) {
        uint32_t column = in->at < in->n_words ? in->words[in->at].column : 1;

        in->remark = in->at < in->n_words
                         ? arena_text(in->rs->arena, in->raw + column - 1, in->raw_len - column + 1)
                         : NULL;
        in->remark_of = in->list;
        return;
    }
    if (take(in, "evaluate")) {
        e.act = ACT_ACCEPT;
        match_inexact(&e.match, "evaluate %s: what it reflects changes by itself", next(in));
        add_rules(in, &e, canonical(in, from));
        return;
    }
    if (!take(in, "permit") && !take(in, "deny")) {
        wrong(in, CODE_SYNTAX, in->at, "permit, deny or remark");
        return;
    }
    if (in->has_more)
        wrong(in, CODE_LIMIT, 0, "at most 64 words in an entry");
    e.act = strcasecmp(in->words[in->at - 1].text, "permit") == 0 ? ACT_ACCEPT : ACT_DENY;
    if (in->is_standard) {
        read_end(in, &e.match, true);
        read_rest(in, &e);
    } else {
        read_extended(in, &e, family);
    }
    if (in->ok)
        add_rules(in, &e, canonical(in, from));
}

/* ---- lists ---- */

static struct chain *get_list(struct reading *in, const char *name, enum family family)
{
    struct place p = {in->file, in->line, 1, 1};
    struct chain *c = ruleset_chain(in->rs, "access-list", name, family);

    if (!c)
        c = ruleset_add_chain(in->rs, "access-list", name, family, &p);
    if (!c)
        return NULL;
    c->hook = HOOK_LIST;
    c->policy = ACT_DENY;
    c->policy_given = true;
    in->rs->families |= family;
    return c;
}

static bool is_standard_number(const char *s)
{
    uint64_t n;

    return number_parse(s, strlen(s), 65535, &n) == 0 &&
           ((n >= 1 && n <= 99) || (n >= 1300 && n <= 1999));
}

static void read_numbered(struct reading *in)
{
    const char *name = next(in);

    in->block = BLOCK_NONE;
    in->list = in->ok ? get_list(in, name, FAMILY_V4) : NULL;
    in->has_netmasks = take(in, "extended") || strcasecmp(peek(in), "standard") == 0;
    in->is_standard = take(in, "standard") || is_standard_number(name);
    if (in->list)
        read_entry(in);
}

/* "ip access-list extended NAME", "ipv6 access-list NAME", and what only sets a list's ways. */
static void begin_named(struct reading *in, enum family family)
{
    const char *name;

    in->block = BLOCK_NONE;
    in->has_netmasks = false;
    if (take(in, "resequence") || take(in, "log-update") || take(in, "logging"))
        return;
    in->is_standard = strcasecmp(peek(in), "standard") == 0;
    (void)(take(in, "standard") || take(in, "extended")); /* NX-OS has neither. */
    name = next(in);
    in->list = in->ok ? get_list(in, name, family) : NULL;
    if (in->list)
        in->block = BLOCK_LIST;
}

static void apply_list(struct reading *in, enum family family)
{
    struct place p = {in->file, in->line, 1, 1};
    struct chain *c;
    const char *name = next(in);

    if (!in->ok)
        return;
    c = ruleset_chain(in->rs, "access-list", name, family);
    if (!c) /* Its entries may still come. */
        c = ruleset_add_chain(in->rs, "access-list", name, family, &p);
    if (c)
        c->applied = true;
}

/* ---- object groups ---- */

static void begin_group(struct reading *in)
{
    struct place p = {in->file, in->line, 1, 1};
    bool is_service = false;
    const char *name;

    if (take(in, "service"))
        is_service = true;
    else if (!take(in, "network") && !(take(in, "ip") && take(in, "address")))
        return;
    name = next(in);
    if (!in->ok || find_group(in, name, is_service))
        return;
    in->block = is_service ? BLOCK_SERVICES : BLOCK_NETWORKS;
    if (in->n_groups == IMPORT_MAX_CHAINS) {
        ruleset_limit(in->rs, &p, "object-groups", IMPORT_MAX_CHAINS);
        return;
    }
    GROW(in->groups, in->n_groups, in->groups_room);
    in->groups[in->n_groups++] = (struct object_group){.name = name, .is_service = is_service};
}

static void read_network(struct reading *in, struct object_group *g)
{
    struct range_list l = {.items = NULL};
    bool ok;

    if (is_number(peek(in)))
        in->at++;
    if (take(in, "description"))
        return;
    if (take(in, "group-object")) {
        const struct object_group *other = get_group(in, false);

        if (other)
            g->addresses = ranges_or(in->rs->arena, g->addresses, other->addresses);
        g->is_inexact = g->is_inexact || (other && other->is_inexact);
        return;
    }
    if (take(in, "range")) {
        const char *low = next(in), *high = next(in);
        struct range r;
        bool host;

        ok = parse_addresses(in->rs, ruleset_text(in->rs, "%s-%s", low, high), &r, &host) == 0;
        if (ok) {
            GROW(l.items, l.n, l.room);
            l.items[l.n++] = r;
        }
    } else {
        (void)take(in, "network-object");
        ok = take(in, "host") ? one_address(in, NULL, &l) : address_and_mask(in, NULL, &l, true);
    }
    if (ok)
        g->addresses =
            ranges_or(in->rs->arena, g->addresses, ranges_of(in->rs->arena, l.items, l.n));
    g->is_inexact = g->is_inexact || !ok || in->at < in->n_words;
    free(l.items);
}

static void read_service(struct reading *in, struct object_group *g)
{
    struct service_entry s = {.protocol = 0};
    bool negated = false;

    if (take(in, "description"))
        return;
    (void)take(in, "service-object");
    if (!take(in, "ip") && wellknown_protocol(next(in), &s.protocol) < 0)
        g->is_inexact = true;
    (void)take(in, "destination");
    if (strcasecmp(peek(in), "source") == 0 || strcasecmp(peek(in), "tcp-udp") == 0)
        g->is_inexact = true;
    else if (in->at < in->n_words && read_operator(in, &s.ports, &negated))
        s.has_ports = true;
    else if (is_port(peek(in))) {
        struct range_list l = {.items = NULL};
        uint64_t port;

        if (read_port(in, &port))
            add_port(&l, port, port);
        s.ports = ranges_of(in->rs->arena, l.items, l.n);
        s.has_ports = true;
        free(l.items);
    }
    g->is_inexact = g->is_inexact || negated || in->at < in->n_words;
    GROW(g->services, g->n, g->room);
    g->services[g->n++] = s;
}

/* ---- lines ---- */

static bool begins_block(struct reading *in)
{
    if (take(in, "access-list")) {
        read_numbered(in);
    } else if (take(in, "object-group")) {
        in->block = BLOCK_NONE;
        begin_group(in);
    } else if (take(in, "interface") || take(in, "line")) {
        in->block = BLOCK_INTERFACE;
    } else if (strcasecmp(peek(in), "ip") == 0 || strcasecmp(peek(in), "ipv6") == 0) {
        enum family family = peek(in)[2] ? FAMILY_V6 : FAMILY_V4;

        in->at++;
        if (take(in, "access-list"))
            begin_named(in, family);
        else if (take(in, "access-group") || take(in, "traffic-filter"))
            apply_list(in, family);
    } else if (take(in, "access-class") || take(in, "access-group")) {
        apply_list(in, FAMILY_V4);
    } else {
        return false;
    }
    return true;
}

static void read_line(struct reading *in)
{
    split(in);
    if (!in->n_words || in->words[0].text[0] == '!') {
        if (in->n_words && in->words[0].column == 1)
            in->block = BLOCK_NONE;
        return;
    }
    if (begins_block(in))
        return;
    in->at = 0;
    if (in->words[0].column == 1 && in->block != BLOCK_LIST) {
        in->block = BLOCK_NONE; /* Another part of the configuration. */
        return;
    }
    if (in->block == BLOCK_LIST && in->words[0].column == 1 && !is_number(peek(in)) &&
        strcasecmp(peek(in), "permit") != 0 && strcasecmp(peek(in), "deny") != 0 &&
        strcasecmp(peek(in), "remark") != 0)
        in->block = BLOCK_NONE;
    if (in->block == BLOCK_LIST)
        read_entry(in);
    else if (in->block == BLOCK_NETWORKS && in->n_groups)
        read_network(in, &in->groups[in->n_groups - 1]);
    else if (in->block == BLOCK_SERVICES && in->n_groups)
        read_service(in, &in->groups[in->n_groups - 1]);
}

void ios_read(struct ruleset *rs, const struct source *source)
{
    struct reading in = {.rs = rs, .file = source->name};
    struct lines lines = {.source = source};

    while (!rs->over_limit && lines_next(&lines, &in.raw, &in.raw_len)) {
        in.line = lines.number;
        read_line(&in);
    }
    for (size_t i = 0; i < in.n_groups; i++)
        free(in.groups[i].services);
    free(in.groups);
}
