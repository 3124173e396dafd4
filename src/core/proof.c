/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over the graph of hops, and a look at the last hop from wherever it is; see proof.h. */
#include "core/proof.h"

#include <netinet/in.h>

#include "core/hop_walk.h"

enum { BESIDES_SHOWN = 10, ENOUGH = 3 };

/* Classes of `to` that a knot of the last hop leads to.  Of three, one is neither where somebody
 * started nor where he is. */
struct goal {
    uint32_t classes[ENOUGH];
    uint8_t n;
};

struct search {
    const struct hops *h;
    const struct proof *p;
    struct hop_walk walk;
    struct menu last_menu; /* Of the last hop, when the proof names services. */
    struct hop_graph *own; /* Then: its hops. */
    const struct hop_graph *last;
    struct goal *goals; /* By knot of 'last'. */
    struct hop_label found;
    bool is_found;
};

static uint32_t size_of(const struct hops *h, uint32_t class)
{
    return h->classes->items[class].n;
}

static bool takes(const struct hops *h, const struct selector *s, uint32_t class)
{
    return selector_takes(s, &h->classes->items[class].end);
}

/* ---- goals ---- */

static void add_goal(const struct search *s, struct goal *g, uint32_t class)
{
    for (uint8_t i = 0; i < g->n; i++)
        if (g->classes[i] == class)
            return;
    if (g->n < ENOUGH && takes(s->h, &s->p->to, class))
        g->classes[g->n++] = class;
}

static void find_goals(struct search *s)
{
    const struct hops *h = s->h;
    uint32_t n_classes = (uint32_t)h->classes->n;
    CLEANUP(free_voidp) void *memory = xcalloc(h->n_segments, sizeof(struct goal));
    struct goal *segments = memory;

    for (size_t i = 0; i < h->n_segments; i++)
        for (uint32_t k = 0; k < h->segments[i].n && segments[i].n < ENOUGH; k++)
            add_goal(s, &segments[i], h->segment_items[h->segments[i].first + k]);
    s->goals = xcalloc(s->last->n_knots, sizeof *s->goals);
    for (uint32_t knot = 0; knot < s->last->n_knots; knot++) {
        struct list_view to = hop_graph_targets(s->last, knot);
        struct goal *g = &s->goals[knot];

        for (uint32_t i = 0; i < to.n && g->n < ENOUGH; i++)
            if (to.items[i] < n_classes)
                add_goal(s, g, to.items[i]);
            else
                for (uint8_t k = 0; k < segments[to.items[i] - n_classes].n; k++)
                    add_goal(s, g, segments[to.items[i] - n_classes].classes[k]);
    }
}

/* ---- the search ---- */

/* From one end of this class to another end of that one, which is not where it started. */
static bool has_other_end(const struct search *s, uint32_t from, uint32_t root, uint32_t to)
{
    return to != root && (to != from || size_of(s->h, to) > 1);
}

static void look_for_goal(struct search *s, uint32_t label)
{
    const struct hop_label l = s->walk.labels[label];
    struct list_view knots = hop_graph_knots(s->last, l.class);

    for (uint32_t i = 0; i < knots.n; i++) {
        const struct goal *g = &s->goals[knots.items[i]];

        for (uint8_t k = 0; k < g->n; k++)
            if (has_other_end(s, l.class, l.root, g->classes[k])) {
                s->is_found = true;
                s->found = (struct hop_label){g->classes[k], l.root, label,
                                              s->last->knot_ways.items[knots.items[i]], l.hops + 1};
                return;
            }
    }
}

static void search(struct search *s)
{
    for (uint32_t i = 0; i < s->h->classes->n; i++)
        if (takes(s->h, &s->p->from, i))
            hop_walk_start(&s->walk, i, size_of(s->h, i) > 1 ? HOP_SEVERAL : i);
    for (uint32_t at = 0; at < s->walk.n; at++) {
        look_for_goal(s, at);
        if (s->is_found)
            return;
        hop_walk_on(&s->walk, at);
    }
}

/* ---- telling ---- */

static const char *name_of(const struct search *s, struct arena *a, uint32_t class, uint32_t member)
{
    const struct hops *h = s->h;
    const struct end_class *c = &h->classes->items[class];
    uint32_t i = h->classes->members[c->first + (member < c->n ? member : 0)];
    char text[ADDRESS_TEXT_SIZE];
    const struct prefix *p;

    if (!c->outside)
        return h->world->inventory->endpoints[i].name;
    p = &h->world->outside[i].prefix;
    if (p->length == 0)
        return "outside";
    (void)address_format_prefix(&p->address, p->length, text);
    return arena_text(a, text, strlen(text));
}

static const char *service_text(struct arena *a, const struct hop_facts *f)
{
    struct buf b = BUF_INIT;
    const char *text;

    if (!f->slice)
        return "any service";
    buf_printf(&b, "%s/%u",
               f->facts.protocol == IPPROTO_TCP   ? "tcp"
               : f->facts.protocol == IPPROTO_UDP ? "udp"
                                                  : "icmp",
               f->facts.port);
    text = arena_text(a, buf_str(&b), b.size);
    buf_done(&b);
    return text;
}

/* Asks again, for the facts. */
static void tell_hop(const struct search *s, struct arena *a, uint32_t from, uint32_t way,
                     uint32_t to, const struct menu *m, struct proof_hop *ret)
{
    const struct hops *h = s->h;
    CLEANUP(hop_asker_done) struct hop_asker asker;
    struct hop_facts f = {.slice = 0};

    hop_asker_init(&asker, h);
    hop_from(&asker, from);
    ret->service = "any service";
    if (h->ways[way].kind == WAY_UNENFORCED) {
        ret->unenforced = true;
        return;
    }
    (void)hop_exists(&asker, m, way, to, &f);
    ret->rule = h->ways[way].rule;
    ret->reported = h->ways[way].kind == WAY_LAX;
    ret->service = service_text(a, &f);
    if (ret->rule && ret->rule->match.n_processes)
        ret->process = f.facts.process;
    if (ret->rule && ret->rule->match.n_users)
        ret->user = f.facts.user;
}

static const struct menu *last_menu(const struct search *s)
{
    return s->own ? &s->last_menu : &s->h->any_service;
}

/* Members are chosen so that neighbours, and both ends, differ. */
static void tell_path(const struct search *s, struct proof_result *r)
{
    size_t n = s->found.hops;
    struct hop_label *steps = arena_alloc(r->arena, n + 1, sizeof *steps);

    steps[n] = s->found;
    for (size_t i = n; i > 0; i--)
        steps[i - 1] = s->walk.labels[steps[i].previous];
    r->hops = arena_alloc(r->arena, n, sizeof *r->hops);
    for (size_t i = 1; i <= n; i++) {
        struct proof_hop *hop = &r->hops[r->n_hops++];
        uint32_t from = steps[i - 1].class, to = steps[i].class;
        bool is_last = i == n, is_back = to == from || (is_last && to == steps[0].class);

        hop->from = i > 1 ? r->hops[i - 2].to : name_of(s, r->arena, from, 0);
        hop->to = name_of(s, r->arena, to, is_back ? 1 : 0);
        tell_hop(s, r->arena, from, steps[i].way, to, is_last ? last_menu(s) : &s->h->any_service,
                 hop);
    }
}

/* ---- only-path ---- */

static void find_besides(const struct search *s, struct proof_result *r)
{
    const struct hops *h = s->h;

    r->hops = arena_alloc(r->arena, h->classes->n, sizeof *r->hops);
    for (uint32_t class = 0; class < h->classes->n; class ++) {
        struct list_view knots = hop_graph_knots(s->last, class);
        bool in = false;

        if (takes(h, &s->p->from, class) || takes(h, &s->p->to, class))
            continue;
        for (uint32_t i = 0; i < knots.n && !in; i++) {
            const struct goal *g = &s->goals[knots.items[i]];

            in = g->n != 0;
            if (!in)
                continue;
            r->hops[r->n_hops].from = name_of(s, r->arena, class, 0);
            r->hops[r->n_hops].to = name_of(s, r->arena, g->classes[0], 0);
            tell_hop(s, r->arena, class, s->last->knot_ways.items[knots.items[i]], g->classes[0],
                     last_menu(s), &r->hops[r->n_hops]);
            r->n_hops++;
        }
    }
}

/* ---- the whole ---- */

static void search_init(struct search *s, const struct hops *h, const struct proof *p)
{
    *s = (struct search){.h = h, .p = p, .last = h->graph};
    hop_walk_init(&s->walk, h);
    if (p->n_services) {
        s->last_menu = menu_of_services(h, p->services, p->n_services);
        s->last = s->own = hop_graph_new(h, &s->last_menu);
    }
    find_goals(s);
}

static void search_done(struct search *s)
{
    hop_walk_done(&s->walk);
    if (s->own)
        menu_done(&s->last_menu);
    hop_graph_free(s->own);
    free(s->goals);
}

void proof_run(const struct hops *h, const struct proof *p, struct proof_result *ret_r)
{
    struct search s;

    *ret_r = (struct proof_result){.arena = arena_new(),
                                   .n_endpoints = h->world->inventory->n_endpoints,
                                   .n_outside = h->world->n_outside,
                                   .n_classes = h->classes->n,
                                   .n_slices = h->slices->n,
                                   .n_rules = h->world->policy->n_rules};
    search_init(&s, h, p);
    if (p->kind == PROOF_ONLY_PATH) {
        find_besides(&s, ret_r);
        ret_r->holds = ret_r->n_hops == 0;
    } else {
        search(&s);
        ret_r->holds = s.is_found == (p->kind == PROOF_PATH);
        if (s.is_found)
            tell_path(&s, ret_r);
    }
    search_done(&s);
}

void proof_result_done(struct proof_result *r)
{
    arena_free(r->arena);
    *r = (struct proof_result){.arena = NULL};
}

void proof_write_hop(struct buf *b, const struct proof_hop *hop)
{
    buf_printf(b, "%s to %s by %s (", hop->from, hop->to, hop->service);
    if (hop->rule)
        buf_printf(b, "\"%s\"", hop->rule->id);
    else if (hop->reported)
        buf_puts(b, "the default is only reported: both are in learn or test mode");
    else
        buf_puts(b, "nobody enforces there");
    if (hop->process && hop->process[0])
        buf_printf(b, ", as %s", hop->process);
    if (hop->user && hop->user[0])
        buf_printf(b, ", as user %s", hop->user);
    buf_putc(b, ')');
}

static void report(const struct proof *p, const struct proof_result *r, struct diagnostics *d)
{
    struct buf b = BUF_INIT;
    struct diagnostic *x;

    for (size_t i = 0; i < r->n_hops && (p->kind != PROOF_ONLY_PATH || i < BESIDES_SHOWN); i++) {
        buf_puts(&b, i ? ", " : "");
        proof_write_hop(&b, &r->hops[i]);
    }
    if (p->kind == PROOF_NO_PATH)
        x = diagnostics_add(d, CODE_PROOF, &p->place, "there is a path: %s", buf_str(&b));
    else if (p->kind == PROOF_PATH)
        x = diagnostics_add(d, CODE_PROOF, &p->place,
                            "there is no path, over %zu endpoints in %zu classes and %zu rules",
                            r->n_endpoints, r->n_classes, r->n_rules);
    else
        x = diagnostics_add(d, CODE_PROOF, &p->place, "others get in, too (%zu): %s", r->n_hops,
                            buf_str(&b));
    diagnostic_expected(x, "%s",
                        p->kind == PROOF_NO_PATH ? "no path over any number of hops"
                        : p->kind == PROOF_PATH  ? "a path"
                                                 : "only the groups of \"from\" reach \"to\"");
    buf_done(&b);
}

bool policy_run_proof(const struct hops *h, size_t i, struct diagnostics *d)
{
    const struct proof *p = &h->world->policy->proofs[i];
    struct proof_result result;
    bool holds;

    proof_run(h, p, &result);
    holds = result.holds;
    if (!holds)
        report(p, &result, d);
    proof_result_done(&result);
    return holds;
}

size_t policy_count_proofs(const struct world *w, struct progress *p, struct diagnostics *d)
{
    CLEANUP(hops_freep) struct hops *h = NULL;
    size_t held = 0;

    if (!w->policy->n_proofs)
        return 0;
    if (hops_new(w, NULL, &h) < 0) {
        (void)diagnostics_add(d, CODE_LIMIT, &w->policy->proofs[0].place,
                              "too many services or kinds of endpoints to prove anything");
        return 0;
    }
    for (size_t i = 0; i < w->policy->n_proofs; i++) {
        held += policy_run_proof(h, i, d);
        progress_step(p, 1);
    }
    return held;
}

size_t policy_run_proofs(const struct world *w, struct diagnostics *d)
{
    return policy_count_proofs(w, NULL, d);
}
