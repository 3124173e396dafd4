/* SPDX-License-Identifier: Apache-2.0 */
/* W-PLAIN-SWITCH: neighbours whom nobody keeps apart.
 *
 * The inventory does not say who hangs on which switch, so a /24 (IPv6: a /64) is taken for one
 * segment.  In it, whoever owns an endpoint without an edge or switch before it reaches one that
 * has no enforcer at all: his own agent no longer counts.  That is told where the policy denies
 * what it has no service for, once for each segment. */
#include "base/buf.h"
#include "core/lint/linting.h"
#include "core/verdict.h"

enum { V4_BYTES = 15, V6_BYTES = 8, BYTE = 8, TOLD = 16, TRIED = 8, NO_FUNCTION = -1 };

struct segment {
    uint32_t bare[TRIED], plain[TRIED]; /* The first of them, by index. */
    size_t n_bare, n_plain;             /* All; those that are bare are plain, too. */
    bool is_news;                       /* Some bare one was not told of in another segment. */
};

struct segments {
    const struct linting *l;
    uint32_t *seen; /* By endpoint: the number of the segment it was last met in. */
    bool *told;
    const struct rule **rules;
    uint32_t number;
    size_t n_told, n_more;
    const struct endpoint *more; /* The first of those that are only counted. */
};

static size_t bytes_of(const struct address *a)
{
    return address_is_v4(a) ? V4_BYTES : V6_BYTES;
}

static bool is_neighbour(const struct address *a, const struct address *b)
{
    return address_is_v4(a) == address_is_v4(b) && memcmp(a->bytes, b->bytes, bytes_of(a)) == 0;
}

static void add(const struct segments *s, struct segment *g, uint32_t endpoint)
{
    uint8_t enforcers = s->l->w->inventory->endpoints[endpoint].enforcers;

    if (s->seen[endpoint] == s->number || (enforcers & (ENFORCER_EDGE | ENFORCER_SWITCH)))
        return;
    s->seen[endpoint] = s->number;
    if (g->n_plain < TRIED)
        g->plain[g->n_plain] = endpoint;
    g->n_plain++;
    if (enforcers)
        return;
    if (g->n_bare < TRIED)
        g->bare[g->n_bare] = endpoint;
    g->n_bare++;
    g->is_news = g->is_news || !s->told[endpoint];
}

static bool is_denied(const struct segments *s, uint32_t from, uint32_t to)
{
    const struct linting *l = s->l;
    const uint32_t *classes = l->cover->classes->of_endpoint;
    struct list_view near = cover_rules_between(l->cover, classes[from], classes[to]);
    struct verdict_facts f = {.modbus = NO_FUNCTION};

    for (uint32_t i = 0; i < near.n; i++)
        s->rules[i] = &l->w->policy->rules[near.items[i]];
    slices_example(l->cover->slices, 0, &f.protocol, &f.port);
    return verdict_judge(l->w, &l->w->ends[from], &l->w->ends[to], &f, s->rules, near.n).verdict ==
           VERDICT_DENY;
}

static void tell(struct segments *s, const struct segment *g, const struct address *a,
                 uint32_t from, uint32_t to)
{
    const struct inventory *inv = s->l->w->inventory;
    const struct endpoint *bare = &inv->endpoints[to];
    struct address network = *a;
    char text[ADDRESS_TEXT_SIZE];
    struct diagnostic *x;

    if (s->n_told++ >= TOLD) {
        s->more = s->n_more++ ? s->more : bare;
        return;
    }
    memset(network.bytes + bytes_of(a), 0, sizeof network.bytes - bytes_of(a));
    (void)address_format_prefix(&network, (uint8_t)(bytes_of(a) * BYTE), text);
    x = diagnostics_add(s->l->d, CODE_PLAIN_SWITCH, &bare->place,
                        "nobody enforces at %s, nor between it and its neighbours in %s, such as "
                        "%s: what the policy denies there, a plain switch carries (%zu such "
                        "endpoint%s, %zu neighbour%s)",
                        bare->name, text, inv->endpoints[from].name, g->n_bare,
                        g->n_bare == 1 ? "" : "s", g->n_plain - 1, g->n_plain == 2 ? "" : "s");
    diagnostic_expected(x, "an edge or a switch that enforces before neighbours, or an agent on "
                           "both; who is on which switch the inventory does not tell, so a /24 "
                           "(IPv6: /64) is taken for one");
    diagnostic_fix(x,
                   "put an edge or an enforcing switch before %s, or move it to a network of "
                   "its own",
                   bare->name);
}

static void look_at(struct segments *s, const struct segment *g, const struct address *a)
{
    for (size_t i = 0; i < g->n_bare && i < TRIED; i++)
        for (size_t k = 0; k < g->n_plain && k < TRIED; k++) {
            if (g->plain[k] == g->bare[i] || !is_denied(s, g->plain[k], g->bare[i]))
                continue;
            tell(s, g, a, g->plain[k], g->bare[i]);
            return;
        }
}

void lint_plain(const struct linting *l)
{
    const struct world *w = l->w;
    CLEANUP(free_voidp) void *seen = xcalloc(w->inventory->n_endpoints, sizeof(uint32_t));
    CLEANUP(free_voidp) void *told = xcalloc(w->inventory->n_endpoints, sizeof(bool));
    CLEANUP(free_voidp) void *rules = xcalloc(w->policy->n_rules, sizeof(struct rule *));
    struct segments s = {.l = l, .seen = seen, .told = told, .rules = rules};
    struct diagnostic *x;

    for (size_t i = 0, end; l->cover && l->has_inventory && i < w->n_addresses; i = end) {
        const struct address *a = &w->addresses[i].address;
        struct segment g = {.n_bare = 0};

        s.number++;
        for (end = i; end < w->n_addresses && is_neighbour(a, &w->addresses[end].address); end++)
            add(&s, &g, w->addresses[end].endpoint);
        if (g.n_plain < 2 || !g.is_news)
            continue;
        look_at(&s, &g, a);
        for (size_t k = i; k < end; k++)
            s.told[w->addresses[k].endpoint] = true;
    }
    if (!s.n_more)
        return;
    x = diagnostics_add(l->d, CODE_PLAIN_SWITCH, &s.more->place,
                        "the same in %zu more segments, such as that of %s", s.n_more,
                        s.more->name);
    diagnostic_expected(x, "an edge or a switch that enforces before neighbours");
}
