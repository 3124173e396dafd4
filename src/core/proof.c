/* SPDX-License-Identifier: Apache-2.0 */
/* Breadth-first over classes, with up to two ends to start from for each; see proof.h. */
#include "core/proof.h"

#include <netinet/in.h>

enum { MEMO_MAX = 1 << 26, BESIDES_SHOWN = 10 };
#define NONE UINT32_MAX

struct arrival { /* A class that was reached. */
    uint32_t class;
    uint32_t root; /* The class of the one end that it was reached from; NONE: from several. */
    uint32_t previous, way; /* NONE: a start. */
};

struct search {
    const struct hops *h;
    const struct proof *p;
    struct hop_asker asker;
    struct menu last; /* Of the last hop. */
    bool restricted;  /* 'last' is not any_service. */
    bool *is_target;
    uint32_t *targets;
    size_t n_targets;
    struct arrival *labels; /* The queue, too. */
    size_t n, room;
    uint32_t (*roots)[2]; /* Of each class: those it was reached from. */
    uint8_t *n_roots;
    uint8_t *memo; /* By way, kind, kind, and menu: 1 yes, 2 no. */
    struct arrival found;
    bool is_found;
};

static bool is_box(const struct hops *h, uint32_t class)
{
    return h->kind[class] != HOP_NOWHERE;
}

static uint32_t size_of(const struct hops *h, uint32_t class)
{
    return h->classes->items[class].n;
}

static bool takes(const struct hops *h, const struct selector *s, uint32_t class)
{
    return selector_takes(s, &h->classes->items[class].end);
}

/* ---- one hop, asked once for all ends that are alike ---- */

static bool ask(struct search *s, const struct menu *m, uint32_t way, uint32_t item, uint32_t to)
{
    const struct hops *h = s->h;
    const struct end_class *classes = h->classes->items;
    uint32_t source = s->asker.source;

    if (h->ways[way].kind == WAY_UNENFORCED)
        return hop_is_unenforced(&classes[source].end, &classes[to].end);
    if (item == HOP_NOWHERE)
        return hop_exists(&s->asker, m, way, to, NULL);
    return hop_exists_free(&s->asker, m, way, item, to, NULL);
}

static bool has_hop(struct search *s, const struct menu *m, uint32_t way, uint32_t item,
                    uint32_t to)
{
    const struct hops *h = s->h;
    size_t place = ((size_t)way * h->n_kinds + h->kind[s->asker.source]) * h->n_kinds + h->kind[to];
    uint8_t *memo = NULL;

    /* A function that only some services have depends on the item; others on the kinds alone. */
    if (s->memo && (h->ways[way].kind == WAY_UNENFORCED || (item != HOP_NOWHERE && !(item & 1))))
        memo = &s->memo[2 * place + (m == &s->last)];
    if (!memo)
        return ask(s, m, way, item, to);
    if (!*memo)
        *memo = ask(s, m, way, item, to) ? 1 : 2;
    return *memo == 1;
}

/* ---- the search ---- */

static void arrive(struct search *s, uint32_t class, uint32_t root, uint32_t previous, uint32_t way)
{
    uint32_t *roots = s->roots[class];

    if (s->n_roots[class] == 2 ||
        (s->n_roots[class] == 1 && (roots[0] == root || roots[0] == NONE)))
        return;
    roots[s->n_roots[class]++] = root;
    if (root == NONE)
        s->n_roots[class] = 2; /* No end is left out. */
    GROW(s->labels, s->n, s->room);
    s->labels[s->n++] = (struct arrival){class, root, previous, way};
}

static bool wants(const struct search *s, uint32_t class, uint32_t root)
{
    return s->n_roots[class] == 0 ||
           (s->n_roots[class] == 1 && s->roots[class][0] != root && s->roots[class][0] != NONE);
}

/* From one end of this class to another end of that one, which is not where it started. */
static bool has_other_end(const struct search *s, uint32_t from, uint32_t root, uint32_t to)
{
    return to != root && (to != from || size_of(s->h, to) > 1);
}

static void try_target(struct search *s, uint32_t label, uint32_t way, uint32_t to)
{
    if (!s->is_found) {
        s->is_found = true;
        s->found = (struct arrival){to, s->labels[label].root, label, way};
    }
}

static void try_way_to(struct search *s, uint32_t label, uint32_t way, uint32_t item, uint32_t to)
{
    const struct arrival l = s->labels[label];
    bool target = !s->restricted && s->is_target[to] && has_other_end(s, l.class, l.root, to);

    if (!is_box(s->h, to) || (to == l.class && size_of(s->h, to) < 2) ||
        (!target && !wants(s, to, l.root)) || !has_hop(s, &s->h->any_service, way, item, to))
        return;
    if (target)
        try_target(s, label, way, to);
    arrive(s, to, l.root, label, way);
}

static void try_way(struct search *s, uint32_t label, uint32_t way)
{
    const struct hops *h = s->h;
    const struct rule *r = h->ways[way].rule;
    size_t n_groups = h->world->policy->n_groups;
    bool any = !r || r->match.to.any;
    uint32_t item = hop_free_item(&s->asker, &h->any_service, way);

    for (size_t g = 0; g < (any ? 1 : r->match.to.n_groups) && !s->is_found; g++) {
        size_t group = any ? n_groups : r->match.to.groups[g];

        for (uint32_t i = 0; i < list_size(&h->classes->of_group, group) && !s->is_found; i++)
            try_way_to(s, label, way, item, list_items(&h->classes->of_group, group)[i]);
    }
    if (!s->restricted || s->is_found)
        return;
    item = hop_free_item(&s->asker, &s->last, way);
    for (size_t i = 0; i < s->n_targets && !s->is_found; i++) {
        uint32_t to = s->targets[i];

        if (has_other_end(s, s->labels[label].class, s->labels[label].root, to) &&
            (!r || takes(h, &r->match.to, to)) && has_hop(s, &s->last, way, item, to))
            try_target(s, label, way, to);
    }
}

/* Each way from this class, once. */
static void for_each_way(struct search *s, uint32_t class, uint32_t label,
                         void (*act)(struct search *s, uint32_t label, uint32_t way))
{
    const struct hops *h = s->h;
    const struct group_set *groups = &h->classes->items[class].end.groups;
    size_t n_groups = h->world->policy->n_groups;

    hop_from(&s->asker, class);
    for (size_t word = 0; word <= h->world->n_words; word++) {
        bool last = word == h->world->n_words; /* Any. */
        uint64_t left = last ? 1 : groups->words[word];

        for (; left && !s->is_found; left &= left - 1) {
            size_t g = last ? n_groups : word * 64 + (size_t)__builtin_ctzll(left);

            for (uint32_t i = 0; i < list_size(&h->ways_from, g) && !s->is_found; i++)
                act(s, label, list_items(&h->ways_from, g)[i]);
        }
    }
}

static void search(struct search *s)
{
    for (uint32_t i = 0; i < s->h->classes->n; i++)
        if (is_box(s->h, i) && takes(s->h, &s->p->from, i)) {
            GROW(s->labels, s->n, s->room);
            s->labels[s->n++] = (struct arrival){i, size_of(s->h, i) > 1 ? NONE : i, NONE, NONE};
        }
    for (uint32_t at = 0; at < s->n && !s->is_found; at++)
        for_each_way(s, s->labels[at].class, at, try_way);
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
static void tell_hop(struct search *s, struct arena *a, uint32_t from, uint32_t way, uint32_t to,
                     const struct menu *m, struct proof_hop *ret)
{
    const struct hops *h = s->h;
    struct hop_facts f = {.slice = 0};

    hop_from(&s->asker, from);
    ret->service = "any service";
    if (h->ways[way].kind == WAY_UNENFORCED) {
        ret->unenforced = true;
        return;
    }
    (void)hop_exists(&s->asker, m, way, to, &f);
    ret->rule = h->ways[way].rule;
    ret->reported = h->ways[way].kind == WAY_LAX;
    ret->service = service_text(a, &f);
    if (ret->rule && ret->rule->match.n_processes)
        ret->process = f.facts.process;
    if (ret->rule && ret->rule->match.n_users)
        ret->user = f.facts.user;
}

/* Members are chosen so that neighbours, and both ends, differ. */
static void tell_path(struct search *s, struct proof_result *r)
{
    uint32_t *steps, *ways, previous = s->found.previous, member = 0;
    size_t n = 1;

    for (uint32_t at = previous; at != NONE; at = s->labels[at].previous)
        n++;
    steps = arena_alloc(r->arena, n, sizeof *steps);
    ways = arena_alloc(r->arena, n, sizeof *ways);
    steps[n - 1] = s->found.class;
    ways[n - 1] = s->found.way;
    for (size_t i = n - 1; i-- > 0; previous = s->labels[previous].previous) {
        steps[i] = s->labels[previous].class;
        ways[i] = s->labels[previous].way;
    }
    r->hops = arena_alloc(r->arena, n, sizeof *r->hops);
    for (size_t i = 1; i < n; i++) {
        struct proof_hop *hop = &r->hops[r->n_hops++];
        bool is_last = i == n - 1;

        hop->from = i > 1 ? r->hops[i - 2].to : name_of(s, r->arena, steps[0], 0);
        member = steps[i] == steps[i - 1] || (is_last && steps[i] == steps[0]) ? 1 : 0;
        hop->to = name_of(s, r->arena, steps[i], member);
        tell_hop(s, r->arena, steps[i - 1], ways[i], steps[i],
                 is_last && s->restricted ? &s->last : &s->h->any_service, hop);
    }
}

/* ---- only-path ---- */

static void find_besides(struct search *s, struct proof_result *r)
{
    const struct hops *h = s->h;
    const struct menu *m = s->restricted ? &s->last : &h->any_service;

    r->hops = arena_alloc(r->arena, h->classes->n, sizeof *r->hops);
    for (uint32_t class = 0; class < h->classes->n; class ++) {
        bool in = false;

        if (!is_box(h, class) || takes(h, &s->p->from, class) || takes(h, &s->p->to, class))
            continue;
        hop_from(&s->asker, class);
        for (uint32_t way = 0; way < h->n_ways && !in; way++) {
            const struct rule *rule = h->ways[way].rule;
            uint32_t item;

            if (rule && !takes(h, &rule->match.from, class))
                continue;
            item = hop_free_item(&s->asker, m, way);
            for (size_t i = 0; i < s->n_targets && !in; i++) {
                uint32_t to = s->targets[i];

                if ((rule && !takes(h, &rule->match.to, to)) || !has_hop(s, m, way, item, to))
                    continue;
                in = true;
                r->hops[r->n_hops].from = name_of(s, r->arena, class, 0);
                r->hops[r->n_hops].to = name_of(s, r->arena, to, 0);
                tell_hop(s, r->arena, class, way, to, m, &r->hops[r->n_hops]);
                r->n_hops++;
            }
        }
    }
}

/* ---- the whole ---- */

static void search_init(struct search *s, const struct hops *h, const struct proof *p)
{
    size_t n = h->classes->n, memo = 2 * h->n_ways * h->n_kinds * h->n_kinds;

    *s = (struct search){.h = h, .p = p, .restricted = p->n_services != 0};
    hop_asker_init(&s->asker, h);
    if (s->restricted)
        s->last = menu_of_services(h, p->services, p->n_services);
    s->is_target = xcalloc(n, sizeof *s->is_target);
    s->targets = xcalloc(n, sizeof *s->targets);
    s->roots = xcalloc(n, sizeof *s->roots);
    s->n_roots = xcalloc(n, sizeof *s->n_roots);
    if (memo <= MEMO_MAX)
        s->memo = xcalloc(memo, 1);
    for (uint32_t i = 0; i < n; i++)
        if (is_box(h, i) && takes(h, &p->to, i)) {
            s->is_target[i] = true;
            s->targets[s->n_targets++] = i;
        }
}

static void search_done(struct search *s)
{
    hop_asker_done(&s->asker);
    if (s->restricted)
        menu_done(&s->last);
    free(s->is_target);
    free(s->targets);
    free(s->labels);
    free(s->roots);
    free(s->n_roots);
    free(s->memo);
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

size_t policy_run_proofs(const struct world *w, struct diagnostics *d)
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
    for (size_t i = 0; i < w->policy->n_proofs; i++)
        held += policy_run_proof(h, i, d);
    return held;
}
