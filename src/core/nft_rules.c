/* SPDX-License-Identifier: Apache-2.0 */
/* Chains, maps, rules; see nft_rules.h. */
#include "core/nft_rules.h"

#include <errno.h>
#include <netinet/in.h>

#include "core/acl/fixed.h"
#include "core/acl/remote.h"

#define IN_TABLE "\"family\":\"inet\",\"table\":\"" NFT_TABLE "\""
#define MATCH(op, left, right)                                                                     \
    "{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define FIELD(protocol, field)                                                                     \
    "{\"payload\":{\"protocol\":\"" protocol "\",\"field\":\"" field "\"}}"
#define CT(key) "{\"ct\":{\"key\":\"" key "\"}}"
#define META(key) "{\"meta\":{\"key\":\"" key "\"}}"
#define ICMP_ONLY MATCH("==", META("l4proto"), "{\"set\":[1,58]}")
#define IS_NEW MATCH("in", CT("state"), "[\"new\"]")
#define IS_KNOWN_TCP                                                                               \
    MATCH("==", META("l4proto"), "6") "," MATCH("in", CT("state"), "[\"established\"]")
#define ACCEPT "{\"accept\":null}"
#define DROP "{\"counter\":null},{\"drop\":null}"

/* How packets are looked at: who is remote, and which port was connected to. */
enum view_of { VIEW_OUT, VIEW_OUT_REPLY, VIEW_IN, VIEW_IN_REPLY, N_VIEWS };

static const struct {
    const char *letter;
    enum direction connection; /* As the program calls it. */
    bool is_reply;
    const char *chain, *remote, *port;
} views[] = {
    [VIEW_OUT] = {"o", DIRECTION_OUT, false, "out", "daddr", "dport"},
    [VIEW_OUT_REPLY] = {"p", DIRECTION_IN, true, "out", "daddr", "sport"},
    [VIEW_IN] = {"i", DIRECTION_IN, false, "in", "saddr", "dport"},
    [VIEW_IN_REPLY] = {"q", DIRECTION_OUT, true, "in", "saddr", "sport"},
};

typedef unsigned __int128 point;

struct writing {
    struct buf *b;
    unsigned slot;
    const struct program *view;
    const struct remote_rows *v4, *v6;
    size_t n_elements;
    bool *denies, *allows; /* By rule number: such a chain is needed. */
};

/* ---- pieces ---- */

static void begin(struct writing *w, const char *kind)
{
    buf_printf(w->b, "{\"add\":{\"%s\":{" IN_TABLE ",", kind);
}

static void end(struct writing *w)
{
    buf_puts(w->b, "}}},\n");
}

static void add_chain(struct writing *w, const char *letter, uint32_t number)
{
    begin(w, "chain");
    buf_printf(w->b, "\"name\":\"g%u_%s%u\"", w->slot, letter, number);
    end(w);
}

/* 'expr' is text of ours. */
static void add_base_rule(struct writing *w, const char *chain, const char *expr)
{
    begin(w, "rule");
    buf_printf(w->b, "\"chain\":\"%s\",\"expr\":[%s]", chain, expr);
    end(w);
}

static void begin_rule(struct writing *w, const char *letter, uint32_t number)
{
    begin(w, "rule");
    buf_printf(w->b, "\"chain\":\"g%u_%s%u\",\"expr\":[", w->slot, letter, number);
}

static void end_rule(struct writing *w)
{
    buf_puts(w->b, "]");
    end(w);
}

/* ---- verdicts ---- */

static void go_to(struct writing *w, enum acl_action action, uint32_t rule)
{
    if (action == ACL_LOG)
        rule = 0;
    buf_printf(w->b, "{\"goto\":{\"target\":\"g%u_%s%u\"}}", w->slot,
               action == ACL_DENY     ? "n"
               : action == ACL_PERMIT ? "a"
                                      : "w",
               rule);
}

/* Only what ids may have by the language; a program may come from somewhere else. */
static void add_comment(struct writing *w, uint32_t rule)
{
    const char *id = rule ? w->view->rules[rule - 1].id : "";

    for (const char *c = id; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            return;
    if (*id)
        buf_printf(w->b, ",\"comment\":\"rule %s\"", id);
}

/* Living connections are cut at once: a reset for this end or the other, and on the way out for
 * ours.  It has nothing in it: 40 bytes, or 60 with IPv6. */
static void add_resets(struct writing *w, uint32_t rule)
{
    begin_rule(w, "n", rule);
    buf_puts(w->b, IS_KNOWN_TCP "," MATCH("in", FIELD("tcp", "flags"), "\"rst\"") "," MATCH(
                       "<=", META("length"), "60") "," ACCEPT);
    end_rule(w);
    begin_rule(w, "n", rule);
    buf_puts(w->b, IS_KNOWN_TCP ",{\"counter\":null},{\"reject\":{\"type\":\"tcp reset\"}}");
    end_rule(w);
}

static void add_verdict(struct writing *w, const char *letter, uint32_t rule)
{
    bool allows = *letter == 'a', would = *letter == 'w';

    add_chain(w, letter, rule);
    if (!allows && !would)
        add_resets(w, rule);
    begin_rule(w, letter, rule);
    buf_puts(w->b, allows || would ? IS_NEW ",{\"counter\":null}" : DROP);
    buf_putc(w->b, ']');
    add_comment(w, rule);
    end(w);
    if (would) { /* So many are logged, all are counted. */
        begin_rule(w, letter, rule);
        buf_puts(w->b, IS_NEW ",{\"limit\":{\"rate\":10,\"per\":\"second\"}},"
                              "{\"log\":{\"prefix\":\"suimitsu would deny: \",\"group\":0}}");
        end_rule(w);
    }
    if (allows || would) {
        begin_rule(w, letter, rule);
        buf_puts(w->b, ACCEPT);
        end_rule(w);
    }
}

static void add_verdicts(struct writing *w)
{
    size_t n = 2 * (size_t)w->v4->n_keys * w->v4->n_columns;

    for (size_t i = 0; i < n; i++) {
        if (w->v4->actions[i] == ACL_PERMIT)
            w->allows[w->v4->rules[i]] = true;
        else if (w->v4->actions[i] == ACL_DENY)
            w->denies[w->v4->rules[i]] = true;
    }
    w->denies[0] = true;
    for (uint32_t i = 0; i <= w->view->n_rules; i++) {
        if (w->allows[i])
            add_verdict(w, "a", i);
        if (w->denies[i])
            add_verdict(w, "n", i);
    }
    add_verdict(w, "w", 0);
}

/* ---- what is said of one kind of remote ends ---- */

static bool is_rest(const struct remote_rows *r, enum direction d, uint32_t key, uint32_t column)
{
    return remote_action(r, d, key, column) == remote_action(r, d, key, 0) &&
           remote_rule(r, d, key, column) == remote_rule(r, d, key, 0);
}

static void add_element(struct writing *w, bool *first, const struct remote_rows *r,
                        enum direction d, uint32_t key, uint32_t column)
{
    buf_puts(w->b, ",");
    go_to(w, remote_action(r, d, key, column), remote_rule(r, d, key, column));
    buf_puts(w->b, "]");
    *first = false;
    w->n_elements++;
}

/* False, and nothing was added: no port differs from the rest. */
static bool add_services(struct writing *w, enum direction d, uint32_t key)
{
    const struct remote_rows *r = w->v4;
    bool first = true;

    for (size_t i = 0; i < r->n_ranges; i++) {
        const struct remote_range *x = &r->ranges[i];

        if (x->protocol == IPPROTO_ICMP || is_rest(r, d, key, x->column))
            continue;
        if (first) {
            begin(w, "map");
            buf_printf(w->b,
                       "\"name\":\"g%u_s%u%u\",\"type\":[\"inet_proto\",\"inet_service\"],"
                       "\"map\":\"verdict\",\"flags\":[\"interval\"],\"elem\":[",
                       w->slot, d, key);
        }
        buf_printf(w->b, "%s[{\"concat\":[%u,{\"range\":[%u,%u]}]}", first ? "" : ",", x->protocol,
                   x->low, x->high);
        add_element(w, &first, r, d, key, x->column);
    }
    if (first)
        return false;
    buf_puts(w->b, "]");
    end(w);
    return true;
}

static void add_types(struct writing *w, enum view_of v, const struct remote_rows *r, uint32_t key)
{
    enum direction d = views[v].connection;
    bool first = true;

    for (size_t i = 0; i < r->n_ranges; i++) {
        const struct remote_range *x = &r->ranges[i];

        if (x->protocol != IPPROTO_ICMP || is_rest(r, d, key, x->column))
            continue;
        for (uint16_t t = x->low; t <= x->high; t++) {
            int type = views[v].is_reply ? fixed_reply_to(t, r->v6) : t;

            if (type < 0)
                continue;
            if (first) {
                begin_rule(w, views[v].letter, key);
                buf_printf(w->b, "{\"vmap\":{\"key\":" FIELD("%s", "type") ",\"data\":{\"set\":[",
                           r->v6 ? "icmpv6" : "icmp");
            }
            buf_printf(w->b, "%s[%d", first ? "" : ",", type);
            add_element(w, &first, r, d, key, x->column);
        }
    }
    if (!first) {
        buf_puts(w->b, "]}}}");
        end_rule(w);
    }
}

static void add_key(struct writing *w, uint32_t key)
{
    bool has_map[2];

    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++)
        add_chain(w, views[v].letter, key);
    for (enum direction d = DIRECTION_OUT; d <= DIRECTION_IN; d++)
        has_map[d] = add_services(w, d, key);
    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++) {
        enum direction d = views[v].connection;

        if (has_map[d]) {
            begin_rule(w, views[v].letter, key);
            buf_printf(w->b,
                       "{\"vmap\":{\"key\":{\"concat\":[" META("l4proto") "," FIELD(
                           "th", "%s") "]},\"data\":\"@g%u_s%u%u\"}}",
                       views[v].port, w->slot, d, key);
            end_rule(w);
        }
        add_types(w, v, w->v4, key);
        add_types(w, v, w->v6, key);
        begin_rule(w, views[v].letter, key);
        go_to(w, remote_action(w->v4, d, key, 0), remote_rule(w->v4, d, key, 0));
        end_rule(w);
    }
}

/* ---- addresses ---- */

static point point_of(const struct address *a)
{
    point p = 0;

    for (size_t i = 0; i < sizeof a->bytes; i++)
        p = p << 8 | a->bytes[i];
    return p;
}

static void add_address(struct writing *w, point p)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address a;

    for (size_t i = sizeof a.bytes; i-- > 0; p >>= 8)
        a.bytes[i] = (uint8_t)p;
    buf_printf(w->b, "\"%s\"", address_format(&a, text));
}

static point last_of(const struct prefix *p)
{
    return point_of(&p->address) | (p->length ? ((point)1 << (128 - p->length)) - 1 : ~(point)0);
}

static void add_interval(struct writing *w, enum view_of v, point low, point high, uint32_t key)
{
    buf_puts(w->b, w->b->data[w->b->size - 1] == '[' ? "[{\"range\":[" : ",[{\"range\":[");
    add_address(w, low);
    buf_putc(w->b, ',');
    add_address(w, high);
    buf_puts(w->b, "]},");
    if (key == REMOTE_SELF) /* Our own address comes and goes by lo only. */
        go_to(w, ACL_DENY, 0);
    else
        buf_printf(w->b, "{\"goto\":{\"target\":\"g%u_%s%u\"}}", w->slot, views[v].letter, key);
    buf_putc(w->b, ']');
    w->n_elements++;
}

struct sweep {
    point next; /* The first address that no interval holds yet. */
    bool over;  /* The last address of all has been reached. */
};

/* What is left of a row behind all that it holds. */
static void add_rest(struct writing *w, enum view_of v, const struct remote_row *row,
                     struct sweep *s)
{
    point last = last_of(&row->prefix);

    if (!s->over && s->next <= last)
        add_interval(w, v, s->next, last, row->key);
    s->over = s->over || last == ~(point)0;
    s->next = last + 1;
}

/* Rows lie in one another; the map wants intervals side by side. */
static void add_intervals(struct writing *w, enum view_of v, const struct remote_rows *r)
{
    struct sweep s = {.next = point_of(&r->all[0].prefix.address)};
    size_t around[130] = {0}, depth = 0; /* The first row holds all. */

    for (size_t i = 1; i < r->n_all; i++) {
        point low = point_of(&r->all[i].prefix.address);

        while (depth && low > last_of(&r->all[around[depth]].prefix))
            add_rest(w, v, &r->all[around[depth--]], &s);
        if (s.next < low)
            add_interval(w, v, s.next, low - 1, r->all[around[depth]].key);
        s.next = low;
        around[++depth] = i;
    }
    for (; depth; depth--)
        add_rest(w, v, &r->all[around[depth]], &s);
    add_rest(w, v, &r->all[0], &s);
}

static void add_addresses(struct writing *w, enum view_of v, const struct remote_rows *r)
{
    begin(w, "map");
    buf_printf(w->b,
               "\"name\":\"g%u_%s_%s\",\"type\":\"%s\",\"map\":\"verdict\","
               "\"flags\":[\"interval\"],\"elem\":[",
               w->slot, views[v].letter, r->v6 ? "v6" : "v4", r->v6 ? "ipv6_addr" : "ipv4_addr");
    add_intervals(w, v, r);
    buf_puts(w->b, "]");
    end(w);
}

/* ---- base chains ---- */

static void add_base(struct writing *w, const char *name, const char *hook)
{
    begin(w, "chain");
    buf_printf(w->b,
               "\"name\":\"%s\",\"type\":\"filter\",\"hook\":\"%s\",\"prio\":0,"
               "\"policy\":\"drop\"",
               name, hook);
    end(w);
    buf_printf(w->b, "{\"flush\":{\"chain\":{" IN_TABLE ",\"name\":\"%s\"}}},\n", name);
}

#define UDP(from, to)                                                                              \
    MATCH("==", FIELD("udp", "sport"), #from) "," MATCH("==", FIELD("udp", "dport"), #to)

/* As the host agent (bpf/host.bpf.c) lets pass. */
static void add_link_rules(struct writing *w)
{
    add_base_rule(w, "out", MATCH("==", META("oifname"), "\"lo\"") "," ACCEPT);
    add_base_rule(w, "in", MATCH("==", META("iifname"), "\"lo\"") "," ACCEPT);
    add_base_rule(
        w, "out",
        MATCH("==", FIELD("icmpv6", "type"), "{\"set\":[131,132,133,135,136,143]}") "," ACCEPT);
    add_base_rule(w, "in",
                  MATCH("==", FIELD("icmpv6", "type"),
                        "{\"set\":[130,131,132,133,134,135,136,143]}") "," ACCEPT);
    add_base_rule(w, "out",
                  MATCH("==", FIELD("ip", "protocol"), "2") "," MATCH(
                      "==", FIELD("ip", "daddr"),
                      "{\"prefix\":{\"addr\":\"224.0.0.0\",\"len\":4}}") "," ACCEPT);
    add_base_rule(w, "in", MATCH("==", FIELD("ip", "protocol"), "2") "," ACCEPT);
    add_base_rule(
        w, "out",
        MATCH("==", FIELD("ip", "daddr"), "\"255.255.255.255\"") "," UDP(68, 67) "," ACCEPT);
    add_base_rule(w, "out",
                  MATCH("==", FIELD("ip6", "daddr"), "\"ff02::1:2\"") "," UDP(546, 547) "," ACCEPT);
    add_base_rule(w, "in", UDP(67, 68) "," ACCEPT);
    add_base_rule(w, "in", UDP(547, 546) "," ACCEPT);
    for (int i = 0; i < 2; i++)
        add_base_rule(w, i ? "in" : "out",
                      ICMP_ONLY "," MATCH("in", CT("state"), "[\"related\"]") "," ACCEPT);
}

static bool is_own(const struct program *p, const struct address *a)
{
    for (size_t i = 0; i < p->n_addresses; i++)
        if (p->addresses[i].self && address_compare(&p->addresses[i].address, a) == 0)
            return true;
    return false;
}

static void add_lifeline(struct writing *w, const struct program_lifeline *l)
{
    const char *ip = address_is_v4(&l->address) ? "ip" : "ip6";
    bool here = is_own(w->view, &l->address);
    char text[ADDRESS_TEXT_SIZE];

    (void)address_format(&l->address, text);
    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++) {
        if ((views[v].connection == DIRECTION_IN) != here)
            continue;
        begin(w, "rule");
        buf_printf(w->b, "\"chain\":\"%s\",\"expr\":[" MATCH("==", CT("direction"), "\"%s\"") ",",
                   views[v].chain, views[v].is_reply ? "reply" : "original");
        if (!here)
            buf_printf(w->b, MATCH("==", FIELD("%s", "%s"), "\"%s\"") ",", ip, views[v].remote,
                       text);
        buf_printf(w->b, MATCH("==", FIELD("tcp", "%s"), "%u") "," ACCEPT "]", views[v].port,
                   l->port);
        end(w);
    }
}

static void add_lookup(struct writing *w, enum view_of v, const char *matches)
{
    for (int v6 = 0; v6 < 2; v6++) {
        begin(w, "rule");
        buf_printf(w->b,
                   "\"chain\":\"%s\",\"expr\":[%s,{\"vmap\":{\"key\":" FIELD(
                       "%s", "%s") ",\"data\":\"@g%u_%s_%s\"}}]",
                   views[v].chain, matches, v6 ? "ip6" : "ip", views[v].remote, w->slot,
                   views[v].letter, v6 ? "v6" : "v4");
        end(w);
    }
}

static void add_base_rules(struct writing *w)
{
    add_link_rules(w);
    for (size_t i = 0; i < w->view->n_lifeline; i++)
        add_lifeline(w, &w->view->lifeline[i]);
    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++) {
        if (views[v].is_reply)
            continue;
        add_lookup(w, v, ICMP_ONLY "," MATCH("in", CT("state"), "[\"invalid\",\"untracked\"]"));
        add_base_rule(w, views[v].chain, MATCH("in", CT("state"), "[\"invalid\"]") "," DROP);
    }
    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++)
        add_lookup(w, v,
                   views[v].is_reply ? MATCH("==", CT("direction"), "\"reply\"")
                                     : MATCH("==", CT("direction"), "\"original\""));
    add_base_rule(w, "out", DROP);
    add_base_rule(w, "in", DROP);
}

/* ---- all of it ---- */

static void write_slot(struct writing *w)
{
    add_verdicts(w);
    for (uint32_t k = 0; k < w->v4->n_keys; k++)
        add_key(w, k);
    for (enum view_of v = VIEW_OUT; v < N_VIEWS; v++) {
        add_addresses(w, v, w->v4);
        add_addresses(w, v, w->v6);
    }
}

static void write_parts(struct writing *w, enum nft_rules_part parts)
{
    buf_puts(w->b, "{\"add\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE "\"}}},\n");
    if (parts & NFT_RULES_BASES) {
        add_base(w, "out", "output");
        add_base(w, "in", "input");
    }
    if (parts & NFT_RULES_SLOT)
        write_slot(w);
    if (parts & NFT_RULES_BASES)
        add_base_rules(w);
    w->b->size -= 2; /* The last comma. */
    w->b->data[w->b->size] = 0;
}

int nft_rules(struct buf *b, const struct program *view, unsigned slot, enum nft_rules_part parts)
{
    CLEANUP(free_voidp) void *flags = xcalloc(2 * (view->n_rules + 1), sizeof(bool));
    struct remote_rows v4, v6;
    struct writing w = {.b = b,
                        .slot = slot & 1,
                        .view = view,
                        .v4 = &v4,
                        .v6 = &v6,
                        .denies = flags,
                        .allows = (bool *)flags + view->n_rules + 1};
    size_t before = b->size;

    remote_rows_init(&v4, view, false);
    remote_rows_init(&v6, view, true);
    write_parts(&w, parts);
    remote_rows_done(&v4);
    remote_rows_done(&v6);
    if (w.n_elements <= NFT_RULES_MAX_ELEMENTS)
        return 0;
    b->size = before;
    if (b->data)
        b->data[before] = 0;
    return -E2BIG;
}

int nft_rules_document(struct buf *b, const struct program *view)
{
    int r;

    buf_puts(b, "{\"nftables\":[\n");
    for (int i = 0; i < 2; i++) /* Added first, so that there is one to delete. */
        buf_printf(b, "{\"%s\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE "\"}}},\n",
                   i ? "delete" : "add");
    r = nft_rules(b, view, 0, NFT_RULES_ALL);
    if (r < 0)
        return r;
    buf_puts(b, "\n]}\n");
    return 0;
}
