/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of endpoints and users; see policy.h. */
#include <errno.h>

#include "text/language.h"
#include "text/policy.h"

enum { MAC_TEXT_LEN = 17 };

struct linking {
    struct arena *arena;
    struct diagnostics *d;
    struct inventory *i;
};

static int label_order(const void *a_, const void *b_)
{
    const struct label *a = a_, *b = b_;

    return strcmp(a->key, b->key);
}

static void link_labels(const struct linking *l, const struct objects *raw, struct endpoint *e)
{
    const struct raw_label *items = raw->items;

    e->labels = arena_alloc(l->arena, raw->n, sizeof *e->labels);
    for (size_t i = 0; i < raw->n; i++)
        if (items[i].value.text)
            e->labels[e->n_labels++] = (struct label){items[i].key.text, items[i].value.text};
    if (e->n_labels)
        qsort(e->labels, e->n_labels, sizeof *e->labels, label_order);
}

/* An address that belongs to one machine: not a group of them, not everybody's own. */
static bool is_unicast(const struct address *a)
{
    static const struct address zero;
    const uint8_t *b = a->bytes;
    bool v6_loopback = memcmp(b, zero.bytes, 15) == 0 && b[15] <= 1;

    if (address_is_v4(a))
        return b[12] != 0 && b[12] != 127 && b[12] < 224;
    return b[0] != 0xff && !v6_loopback;
}

static void link_addresses(const struct linking *l, const struct words *raw, struct endpoint *e)
{
    e->addresses = arena_alloc(l->arena, raw->n, sizeof *e->addresses);
    for (size_t i = 0; i < raw->n; i++) {
        struct address a;
        struct diagnostic *x;

        if (address_parse(raw->items[i].text, &a) == 0 && is_unicast(&a)) {
            e->addresses[e->n_addresses++] = a;
            continue;
        }
        x = diagnostics_add(l->d, CODE_VALUE, &raw->items[i].place, "\"%s\" for \"addresses\"",
                            raw->items[i].text);
        diagnostic_expected(x,
                            "one IPv4 or IPv6 address of this machine alone, without a length: no "
                            "network, loopback or multicast");
    }
}

static void link_enforcers(const struct linking *l, const struct words *raw, struct endpoint *e)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } known[] = {{"host", ENFORCER_HOST},
                 {"edge", ENFORCER_EDGE},
                 {"nft", ENFORCER_NFT},
                 {"switch", ENFORCER_SWITCH},
                 {"none", 0}};

    for (size_t i = 0; i < raw->n; i++) {
        const struct word *w = &raw->items[i];
        struct nearest near = nearest_to(w->text);
        size_t k = 0;

        while (k < ARRAY_SIZE(known) && strcmp(known[k].name, w->text) != 0)
            nearest_offer(&near, known[k++].name);
        if (k < ARRAY_SIZE(known) && (known[k].bit || raw->n == 1)) {
            e->enforcers |= known[k].bit;
        } else {
            struct diagnostic *x =
                diagnostics_add(l->d, CODE_VALUE, &w->place, "\"%s\" for \"enforcers\"", w->text);

            diagnostic_expected(x, "host, edge, nft, switch, a list of them, or none alone");
            diagnostic_nearest(x, near.best);
        }
    }
}

/* ---- places at an edge ---- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Six bytes in hexadecimal, of one machine and not zero. */
static bool parse_mac(const char *s, struct mac *ret)
{
    struct mac m;
    uint8_t any = 0;

    if (strlen(s) != MAC_TEXT_LEN)
        return false;
    for (size_t i = 0; i < sizeof m.bytes; i++) {
        int high = hex_value(s[3 * i]), low = hex_value(s[3 * i + 1]);

        if (high < 0 || low < 0 || (i && s[3 * i - 1] != ':'))
            return false;
        m.bytes[i] = (uint8_t)(high << 4 | low);
        any |= m.bytes[i];
    }
    if (!any || (m.bytes[0] & 1))
        return false;
    *ret = m;
    return true;
}

static void link_macs(const struct linking *l, const struct words *raw, struct edge_place *e)
{
    if (raw->n > MODEL_MAX_MACS)
        (void)diagnostics_add(l->d, CODE_LIMIT, &raw->items[MODEL_MAX_MACS].place,
                              "%zu MAC addresses, where %d is the limit", raw->n, MODEL_MAX_MACS);
    e->macs = arena_alloc(l->arena, raw->n, sizeof *e->macs);
    for (size_t i = 0; i < raw->n; i++)
        if (parse_mac(raw->items[i].text, &e->macs[e->n_macs]))
            e->n_macs++;
        else
            diagnostic_expected(diagnostics_add(l->d, CODE_VALUE, &raw->items[i].place,
                                                "\"%s\" for \"macs\"", raw->items[i].text),
                                "six bytes such as 02:00:5e:10:00:01, of one machine: no group's "
                                "address and not all zero");
}

static void link_may(const struct linking *l, const struct words *raw, struct edge_place *e)
{
    for (size_t i = 0; i < raw->n; i++) {
        const struct word *w = &raw->items[i];

        e->dhcp_server = e->dhcp_server || strcmp(w->text, "serve-dhcp") == 0;
        e->router = e->router || strcmp(w->text, "route") == 0;
        if (strcmp(w->text, "serve-dhcp") == 0 || strcmp(w->text, "route") == 0)
            continue;
        diagnostic_expected(
            diagnostics_add(l->d, CODE_VALUE, &w->place, "\"%s\" for \"may\"", w->text),
            "serve-dhcp, route, or both");
    }
}

static void link_pair(const struct linking *l, const struct raw_edge *raw, struct edge_place *e)
{
    struct diagnostic *x;

    if (!raw->pair.text)
        return;
    e->pair = raw->pair.text;
    if (!raw->port.text || strcmp(raw->pair.text, raw->port.text) != 0)
        return;
    x = diagnostics_add(l->d, CODE_VALUE, &raw->pair.place, "\"%s\" for \"pair\"", raw->pair.text);
    diagnostic_expected(x, "another interface than the port");
}

static struct edge_place *link_edge(const struct linking *l, const struct raw_edge *raw,
                                    const struct endpoint *of)
{
    struct edge_place *e;

    if (!raw)
        return NULL;
    e = arena_alloc(l->arena, 1, sizeof *e);
    e->agent = (struct named){raw->agent.text, raw->agent.place};
    e->port = (struct named){raw->port.text, raw->port.place};
    link_pair(l, raw, e);
    e->open_before = raw->before.text && strcmp(raw->before.text, "open") == 0;
    e->learn_dhcp = raw->learn.text != NULL;
    if (raw->refuse.text)
        e->refusal = strcmp(raw->refuse.text, "reset") == 0       ? REFUSE_RESET
                     : strcmp(raw->refuse.text, "exception") == 0 ? REFUSE_EXCEPTION
                                                                  : REFUSE_DROP;
    link_macs(l, &raw->macs, e);
    link_may(l, &raw->may, e);
    if (!(of->enforcers & ENFORCER_EDGE) && e->agent.name) {
        struct diagnostic *x = diagnostics_add(
            l->d, CODE_VALUE, &raw->agent.place,
            "\"%s\" has a place at an edge, but no edge among its enforcers", of->name);

        diagnostic_expected(x, "enforcers: [edge], perhaps with others");
        diagnostic_fix(x, "add edge to its enforcers, or take the place away");
    }
    return e;
}

static void link_endpoint(const struct linking *l, const struct raw_endpoint *raw)
{
    struct endpoint *e = &l->i->endpoints[l->i->n_endpoints++];

    *e = (struct endpoint){.name = raw->name.text, .place = raw->name.place};
    link_labels(l, &raw->labels, e);
    link_addresses(l, &raw->addresses, e);
    link_enforcers(l, &raw->enforcers, e);
    e->edge = link_edge(l, raw->edge, e);
    if (raw->state.text)
        e->trust = strcmp(raw->state.text, "black") == 0  ? TRUST_BLACK
                   : strcmp(raw->state.text, "grey") == 0 ? TRUST_GREY
                                                          : TRUST_WHITE;
    if (raw->at_switch && raw->at_switch->name.text && raw->at_switch->port.text) {
        e->switch_name = raw->at_switch->name.text;
        e->switch_port = raw->at_switch->port.text;
    }
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void link_user(const struct linking *l, const struct raw_user *raw)
{
    struct user *u = &l->i->users[l->i->n_users++];

    *u = (struct user){.name = raw->name.text, .place = raw->name.place};
    u->groups = arena_alloc(l->arena, raw->groups.n, sizeof *u->groups);
    for (size_t i = 0; i < raw->groups.n; i++)
        u->groups[u->n_groups++] = raw->groups.items[i].text;
    if (u->n_groups)
        qsort(u->groups, u->n_groups, sizeof *u->groups, text_order);
}

static int endpoint_order(const void *a_, const void *b_)
{
    const struct endpoint *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static int user_order(const void *a_, const void *b_)
{
    const struct user *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static void check_twice(const struct linking *l, const char *what, const char *name,
                        const struct place *a, const struct place *b)
{
    struct diagnostic *x;

    if (strcmp(a->file, b->file) == 0)
        return; /* Found as a duplicate key already. */
    x = diagnostics_add(l->d, CODE_DUPKEY, b, "the %s \"%s\" again", what, name);
    diagnostic_expected(x, "each %s once; the first is in %s:%u", what, a->file, a->line);
    diagnostic_fix(x, "give one of them another name, or delete it");
}

static void check_names(const struct linking *l)
{
    const struct endpoint *e = l->i->endpoints;
    const struct user *u = l->i->users;

    for (size_t k = 1; k < l->i->n_endpoints; k++)
        if (strcmp(e[k - 1].name, e[k].name) == 0)
            check_twice(l, "endpoint", e[k].name, &e[k - 1].place, &e[k].place);
    for (size_t k = 1; k < l->i->n_users; k++)
        if (strcmp(u[k - 1].name, u[k].name) == 0)
            check_twice(l, "user", u[k].name, &u[k - 1].place, &u[k].place);
}

struct owned {
    const struct address *address;
    const struct endpoint *endpoint;
};

static int owned_order(const void *a_, const void *b_)
{
    const struct owned *a = a_, *b = b_;
    int c = address_compare(a->address, b->address);

    return c ? c : (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}

static void check_addresses(const struct linking *l)
{
    CLEANUP(free_voidp) void *memory = NULL;
    struct owned *all;
    size_t n = 0;

    for (size_t k = 0; k < l->i->n_endpoints; k++)
        n += l->i->endpoints[k].n_addresses;
    memory = xcalloc(n, sizeof *all);
    all = memory;
    n = 0;
    for (size_t k = 0; k < l->i->n_endpoints; k++)
        for (size_t j = 0; j < l->i->endpoints[k].n_addresses; j++)
            all[n++] = (struct owned){&l->i->endpoints[k].addresses[j], &l->i->endpoints[k]};
    qsort(all, n, sizeof *all, owned_order);
    for (size_t k = 1; k < n; k++) {
        char text[ADDRESS_TEXT_SIZE];
        struct diagnostic *x;

        if (address_compare(all[k - 1].address, all[k].address) != 0)
            continue;
        x = diagnostics_add(l->d, CODE_DUPKEY, &all[k].endpoint->place,
                            "the address %s of \"%s\" again", address_format(all[k].address, text),
                            all[k].endpoint->name);
        diagnostic_expected(x, "each address once; the first is of \"%s\" in %s:%u",
                            all[k - 1].endpoint->name, all[k - 1].endpoint->place.file,
                            all[k - 1].endpoint->place.line);
        diagnostic_fix(x, "take it from the endpoint that no longer has it");
    }
}

static int place_order(const void *a_, const void *b_)
{
    const struct edge_place *a = (*(struct endpoint *const *)a_)->edge,
                            *b = (*(struct endpoint *const *)b_)->edge;
    int c = strcmp(a->agent.name, b->agent.name);

    return c ? c : strcmp(a->port.name, b->port.name);
}

/* Agents are endpoints, and a port has one endpoint. */
static void check_edges(const struct linking *l)
{
    CLEANUP(free_voidp) void *memory = xcalloc(l->i->n_endpoints, sizeof(struct endpoint *));
    const struct endpoint **all = memory;
    size_t n = 0;

    for (size_t k = 0; k < l->i->n_endpoints; k++) {
        const struct endpoint *e = &l->i->endpoints[k];

        if (!e->edge || !e->edge->agent.name || !e->edge->port.name)
            continue;
        all[n++] = e;
        if (!inventory_endpoint(l->i, e->edge->agent.name)) {
            struct nearest near = nearest_to(e->edge->agent.name);
            struct diagnostic *x =
                diagnostics_add(l->d, CODE_UNKNOWN, &e->edge->agent.place,
                                "no endpoint is named \"%s\"", e->edge->agent.name);

            for (size_t i = 0; i < l->i->n_endpoints; i++)
                nearest_offer(&near, l->i->endpoints[i].name);
            diagnostic_expected(x, "the endpoint whose agent stands outside \"%s\"", e->name);
            diagnostic_nearest(x, near.best);
        }
    }
    if (n)
        qsort(memory, n, sizeof *all, place_order);
    for (size_t k = 1; k < n; k++) {
        struct diagnostic *x;

        if (place_order(&all[k - 1], &all[k]) != 0)
            continue;
        x = diagnostics_add(l->d, CODE_DUPKEY, &all[k]->edge->port.place, "the port %s of %s again",
                            all[k]->edge->port.name, all[k]->edge->agent.name);
        diagnostic_expected(x, "one endpoint a port; \"%s\" hangs there, in %s:%u",
                            all[k - 1]->name, all[k - 1]->edge->port.place.file,
                            all[k - 1]->edge->port.place.line);
        diagnostic_fix(x, "name the port that it really hangs on");
    }
}

static void link_all(const struct linking *l, const struct raw_inventory *raw, size_t n)
{
    size_t n_endpoints = 0, n_users = 0;

    for (size_t k = 0; k < n; k++) {
        n_endpoints += raw[k].endpoints.n;
        n_users += raw[k].users.n;
    }
    l->i->endpoints = arena_alloc(l->arena, n_endpoints, sizeof *l->i->endpoints);
    l->i->users = arena_alloc(l->arena, n_users, sizeof *l->i->users);
    for (size_t k = 0; k < n; k++) {
        for (size_t j = 0; j < raw[k].endpoints.n; j++)
            link_endpoint(l, (const struct raw_endpoint *)raw[k].endpoints.items + j);
        for (size_t j = 0; j < raw[k].users.n; j++)
            link_user(l, (const struct raw_user *)raw[k].users.items + j);
    }
    qsort(l->i->endpoints, n_endpoints, sizeof *l->i->endpoints, endpoint_order);
    qsort(l->i->users, n_users, sizeof *l->i->users, user_order);
}

int inventory_read(const struct source sources[], size_t n, struct diagnostics *d,
                   struct inventory **ret_inventory)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const struct decoder dec = {.arena = arena, .d = d, .root = &inventory_schema};
    struct linking l = {.arena = arena, .d = d};
    size_t before = d->n_errors, n_read = 0;
    struct raw_inventory *raw;

    if (n > SOURCE_FILES) {
        (void)diagnostics_add(d, CODE_LIMIT, NULL, "%zu files, where %d is the limit", n,
                              SOURCE_FILES);
        return -EBADMSG;
    }
    raw = arena_alloc(arena, n, sizeof *raw);
    for (size_t k = 0; k < n; k++) {
        struct node *root;

        if (node_read(&sources[k], arena, d, &root) == 0 &&
            decode_is_of(&dec, root, &inventory_schema, &policy_schema))
            decode(&dec, &inventory_schema, root, &raw[n_read++]);
    }
    l.i = arena_alloc(arena, 1, sizeof *l.i);
    link_all(&l, raw, n_read);
    check_names(&l);
    check_addresses(&l);
    check_edges(&l);
    if (l.i->n_endpoints > MODEL_MAX_ENDPOINTS)
        (void)diagnostics_add(d, CODE_LIMIT, NULL, "%zu endpoints, where %d is the limit",
                              l.i->n_endpoints, MODEL_MAX_ENDPOINTS);
    if (d->n_errors > before)
        return -EBADMSG;
    l.i->arena = TAKE_PTR(arena);
    *ret_inventory = l.i;
    return 0;
}
