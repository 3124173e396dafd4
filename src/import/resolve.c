/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes minus boxes, with a budget; see resolve.h. */
#include "import/resolve.h"

#include <netinet/in.h>

#include "base/buf.h"
#include "import/finding.h"

enum {
    MAX_TESTS = 200000000, /* Ranges compared: a few seconds. */
    MAX_REST = 400,        /* Pieces of one rule before its shadow is given up. */
    MAX_COVERS = 5,        /* Lines named by a finding. */
};

struct walk {
    struct ruleset *rs;
    struct ranges self, multicast;
    struct pieces allows, denies, nevers, terminals, returns;
    bool *used; /* Of the nevers. */
    size_t used_room;
    enum hook hook;
    bool no_nevers; /* Several base chains: only subtraction. */
    size_t n_visits, tests, work;
    bool stopped;
};

static const enum dimension by_cost[] = {DIM_SERVICE, DIM_DESTINATION, DIM_SOURCE, DIM_IN, DIM_OUT};

void resolved_done(struct resolved *r)
{
    free(r->allows.items);
    free(r->nevers.items);
}

static void stop(struct walk *w, const char *what, size_t max)
{
    ruleset_limit(w->rs, NULL, what, max);
    w->stopped = true;
}

static void add_piece(struct walk *w, struct pieces *to, const struct box *b,
                      const struct import_rule *rule)
{
    if (to->n == IMPORT_MAX_BOXES) {
        stop(w, "pieces that the list falls into", IMPORT_MAX_BOXES);
        return;
    }
    GROW(to->items, to->n, to->room);
    to->items[to->n++] = (struct piece){*b, rule};
}

/* ---- boxes ---- */

static bool box_overlaps(struct walk *w, const struct box *a, const struct box *b)
{
    for (size_t i = 0; i < N_DIMS; i++) {
        struct ranges x = a->dim[by_cost[i]], y = b->dim[by_cost[i]];

        w->tests += x.n + y.n;
        if (!ranges_overlap(x, y))
            return false;
    }
    if (w->tests > MAX_TESTS)
        stop(w, "comparisons between rules", MAX_TESTS);
    return true;
}

static bool box_within(const struct box *a, const struct box *b)
{
    for (size_t i = 0; i < N_DIMS; i++)
        if (!ranges_within(a->dim[by_cost[i]], b->dim[by_cost[i]]))
            return false;
    return true;
}

static void count_work(struct walk *w, struct ranges x, struct ranges y)
{
    w->work += x.n + y.n;
    if (w->work > IMPORT_MAX_WORK)
        stop(w, "steps of set arithmetic", IMPORT_MAX_WORK);
}

/* False: nothing is in both. */
static bool box_and(struct walk *w, const struct box *a, const struct box *b, struct box *ret)
{
    struct box both;

    for (size_t i = 0; i < N_DIMS; i++) {
        count_work(w, a->dim[i], b->dim[i]);
        both.dim[i] = ranges_and(w->rs->arena, a->dim[i], b->dim[i]);
        if (!both.dim[i].n)
            return false;
    }
    *ret = both;
    return !w->stopped;
}

/* Adds what is in 'a' and not in 'b': one piece for each set in which they differ. */
static void box_minus(struct walk *w, const struct box *a, const struct box *b, struct pieces *to)
{
    struct box rest = *a;

    for (size_t i = 0; i < N_DIMS && !w->stopped; i++) {
        struct box out = rest;

        count_work(w, rest.dim[i], b->dim[i]);
        out.dim[i] = ranges_minus(w->rs->arena, rest.dim[i], b->dim[i]);
        rest.dim[i] = ranges_and(w->rs->arena, rest.dim[i], b->dim[i]);
        if (out.dim[i].n)
            add_piece(w, to, &out, NULL);
    }
}

/* The pieces of 'from' without one box. */
static void subtract_one(struct walk *w, struct pieces *from, const struct box *box)
{
    struct pieces rest = {.items = NULL};
    size_t first = 0;

    while (first < from->n && !box_overlaps(w, &from->items[first].box, box))
        first++;
    if (first == from->n)
        return;
    for (size_t k = 0; k < from->n; k++) {
        if (k >= first && box_overlaps(w, &from->items[k].box, box))
            box_minus(w, &from->items[k].box, box, &rest);
        else
            add_piece(w, &rest, &from->items[k].box, NULL);
    }
    free(from->items);
    *from = rest;
}

static void subtract(struct walk *w, struct pieces *from, const struct pieces *list)
{
    for (size_t i = 0; i < list->n && from->n && !w->stopped; i++)
        subtract_one(w, from, &list->items[i].box);
}

/* ---- what a policy has words for ---- */

bool service_is_everything(struct ruleset *rs, struct ranges services)
{
    return ranges_within(services_all(rs->arena), services);
}

struct ranges service_without_words(struct ruleset *rs, struct ranges services)
{
    static const struct range others[] = {{0, 0},
                                          {2, IPPROTO_TCP - 1},
                                          {IPPROTO_TCP + 1, IPPROTO_UDP - 1},
                                          {IPPROTO_UDP + 1, IPPROTO_ICMPV6 - 1},
                                          {IPPROTO_ICMPV6 + 1, 255}};

    if (service_is_everything(rs, services))
        return (struct ranges){.n = 0};
    return ranges_and(rs->arena, services, (struct ranges){others, ARRAY_SIZE(others)});
}

static bool is_all_but_lo(const struct ruleset *rs, struct ranges interfaces)
{
    const struct range all = {1, rs->n_interfaces};

    return ranges_within((struct ranges){&all, 1}, interfaces);
}

bool box_is_of_all_interfaces(const struct ruleset *rs, const struct box *b)
{
    return is_all_but_lo(rs, b->dim[DIM_IN]) && is_all_but_lo(rs, b->dim[DIM_OUT]);
}

static bool is_lo_only(const struct ruleset *rs, struct ranges interfaces)
{
    const struct range others = {1, rs->n_interfaces};

    return !ranges_overlap((struct ranges){&others, 1}, interfaces);
}

/* ---- accepts and denials ---- */

/* Takes away what a never forbids wholly; marks those that the piece needs. */
static bool survives_nevers(struct walk *w, const struct box *b)
{
    for (size_t i = 0; i < w->nevers.n; i++)
        if (box_within(b, &w->nevers.items[i].box))
            return false;
    for (size_t i = 0; i < w->nevers.n; i++)
        if (box_overlaps(w, b, &w->nevers.items[i].box))
            w->used[i] = true;
    return true;
}

/* What a box says to itself is no subject of a policy: no piece depends on it. */
static struct ranges without_lo(struct walk *w, struct ranges interfaces)
{
    return ranges_minus(w->rs->arena, interfaces, ranges_one(w->rs->arena, 0, 0));
}

/* Addresses that never come from or go to another machine: kernels drop them as martians. */
static bool is_loopback(struct ranges set)
{
    return set.n && ranges_within(set, loopback_addresses());
}

static void let_in(struct walk *w, const struct import_rule *rule, const struct box *b,
                   bool names_destination)
{
    struct pieces left = {.items = NULL};
    struct box own = *b;

    if (is_lo_only(w->rs, own.dim[DIM_IN]) || is_lo_only(w->rs, own.dim[DIM_OUT]) ||
        is_loopback(own.dim[DIM_SOURCE]) || is_loopback(own.dim[DIM_DESTINATION])) {
        ruleset_ledger(w->rs, rule, EFFECT_SAME, "loopback: a box always reaches itself");
        return;
    }
    own.dim[DIM_IN] = without_lo(w, own.dim[DIM_IN]);
    own.dim[DIM_OUT] = without_lo(w, own.dim[DIM_OUT]);
    if (w->self.n && w->hook == HOOK_INPUT && !names_destination)
        own.dim[DIM_DESTINATION] = ranges_and(w->rs->arena, own.dim[DIM_DESTINATION], w->self);
    if (!own.dim[DIM_DESTINATION].n)
        return;
    add_piece(w, &left, &own, rule);
    subtract(w, &left, &w->denies);
    subtract(w, &left, &w->returns);
    for (size_t i = 0; i < left.n && !w->stopped; i++)
        if (survives_nevers(w, &left.items[i].box))
            add_piece(w, &w->allows, &left.items[i].box, rule);
    free(left.items);
}

/* True when no accept before it lets any of it through, and a policy can say it. */
static bool can_be_never(struct walk *w, const struct box *b)
{
    if (w->no_nevers || (w->self.n && w->hook == HOOK_FORWARD) ||
        !box_is_of_all_interfaces(w->rs, b) || service_without_words(w->rs, b->dim[DIM_SERVICE]).n)
        return false;
    for (size_t i = 0; i < w->allows.n; i++)
        if (box_overlaps(w, b, &w->allows.items[i].box))
            return false;
    return true;
}

static void deny_box(struct walk *w, const struct import_rule *rule, const struct box *b)
{
    if (!can_be_never(w, b)) {
        add_piece(w, &w->denies, b, rule);
        return;
    }
    add_piece(w, &w->nevers, b, rule);
    GROW(w->used, w->nevers.n, w->used_room);
    w->used[w->nevers.n - 1] = false;
}

static void keep_out(struct walk *w, const struct import_rule *rule, const struct box *b)
{
    struct pieces left = {.items = NULL};
    struct box others = *b;

    others.dim[DIM_IN] = without_lo(w, others.dim[DIM_IN]);
    others.dim[DIM_OUT] = without_lo(w, others.dim[DIM_OUT]);
    if (!others.dim[DIM_IN].n || !others.dim[DIM_OUT].n)
        return;
    if (is_loopback(others.dim[DIM_SOURCE]) || is_loopback(others.dim[DIM_DESTINATION])) {
        ruleset_ledger(w->rs, rule, EFFECT_SAME,
                       "loopback: kernels drop such packets from other machines by themselves");
        return;
    }
    add_piece(w, &left, &others, rule);
    subtract(w, &left, &w->returns);
    for (size_t i = 0; i < left.n && !w->stopped; i++) {
        struct box own = left.items[i].box, group = own;

        if (!w->self.n || w->hook != HOOK_INPUT) {
            deny_box(w, rule, &own);
            continue;
        }
        /* What a group of machines hears is apart: a never would say it of other boxes too. */
        own.dim[DIM_DESTINATION] = ranges_and(w->rs->arena, own.dim[DIM_DESTINATION], w->self);
        group.dim[DIM_DESTINATION] =
            ranges_minus(w->rs->arena, group.dim[DIM_DESTINATION], w->self);
        if (own.dim[DIM_DESTINATION].n)
            deny_box(w, rule, &own);
        if (group.dim[DIM_DESTINATION].n)
            add_piece(w, &w->denies, &group, rule);
    }
    free(left.items);
}

/* ---- shadows ---- */

static void name_cover(struct walk *w, struct buf *b, size_t n, const struct import_rule *rule)
{
    if (n == MAX_COVERS)
        buf_puts(b, " and others");
    else if (n < MAX_COVERS)
        buf_printf(b, "%s%s", n ? ", " : "", rule_name(w->rs, rule));
}

/* What of the rule's box no rule before it decides; counts on the rule whether any is left. */
static void look_for_shadow(struct walk *w, struct import_rule *of, const struct box *b)
{
    struct import_rule *rule = of->first;
    CLEANUP(buf_done) struct buf covers = BUF_INIT;
    struct pieces left = {.items = NULL};
    size_t n = 0;

    rule->n_met++;
    if (rule->n_live)
        return;
    add_piece(w, &left, b, rule);
    subtract(w, &left, &w->returns);
    for (size_t i = 0; i < w->terminals.n && left.n && !w->stopped; i++) {
        const struct piece *t = &w->terminals.items[i];

        if (!box_overlaps(w, b, &t->box))
            continue;
        subtract_one(w, &left, &t->box);
        name_cover(w, &covers, n++, t->rule);
        if (left.n > MAX_REST)
            break;
    }
    if (left.n)
        rule->n_live++;
    else
        rule->covers = arena_text(w->rs->arena, buf_str(&covers), covers.size);
    free(left.items);
}

/* ---- the walk ---- */

static void walk_chain(struct walk *w, const struct chain *c, const struct box *path,
                       bool names_destination);

static void skip_inexact(struct walk *w, const struct import_rule *rule)
{
    const char *reason = ruleset_text(
        w->rs, "it also asks for what a policy has no words for: %s%s", rule->inexact,
        rule->act == ACT_ACCEPT ? "" : "; what it kept out is not kept out by the draft");

    ruleset_ledger(w->rs, rule, rule->act == ACT_ACCEPT ? EFFECT_NARROWER : EFFECT_WIDER, reason);
}

static void skip_replies(struct walk *w, const struct import_rule *rule)
{
    if (rule->act == ACT_ACCEPT)
        ruleset_ledger(w->rs, rule, EFFECT_SAME,
                       "no packet that opens a connection: replies of what is allowed always pass");
    else
        ruleset_ledger(w->rs, rule, EFFECT_SAME,
                       "no packet that opens a connection: such packets belong to no allowed one");
}

static void terminate(struct walk *w, struct import_rule *rule, const struct box *b,
                      bool names_destination)
{
    if (rule->act == ACT_ACCEPT)
        let_in(w, rule, b, names_destination);
    else
        keep_out(w, rule, b);
    add_piece(w, &w->terminals, b, rule);
    if (rule->loosened)
        ruleset_ledger(w->rs, rule, EFFECT_WIDER, rule->loosened);
}

static void walk_rule(struct walk *w, struct import_rule *rule, const struct box *path,
                      bool names_destination)
{
    struct box b;

    if (rule->act == ACT_NOTHING)
        return;
    if (++w->n_visits > IMPORT_MAX_VISITS) {
        stop(w, "rules met on all ways through the chains", IMPORT_MAX_VISITS);
        return;
    }
    if (rule->never_opens) {
        rule->first->n_met++;
        rule->first->n_live++;
        skip_replies(w, rule);
        return;
    }
    rule->first->n_reached++;
    if (!box_and(w, path, &rule->match, &b))
        return;
    look_for_shadow(w, rule, &b);
    if (rule->inexact) {
        skip_inexact(w, rule);
        return;
    }
    names_destination = names_destination || rule->names_destination;
    if (rule->act == ACT_ACCEPT || rule->act == ACT_DENY)
        terminate(w, rule, &b, names_destination);
    if (rule->act == ACT_JUMP || rule->act == ACT_GOTO)
        walk_chain(w, rule->to, &b, names_destination);
    if (rule->act == ACT_RETURN || rule->act == ACT_GOTO)
        add_piece(w, &w->returns, &b, rule);
}

static void walk_chain(struct walk *w, const struct chain *c, const struct box *path,
                       bool names_destination)
{
    size_t mark = w->returns.n;

    for (size_t i = 0; i < c->n && !w->stopped; i++)
        walk_rule(w, c->rules[i], path, names_destination);
    w->returns.n = mark;
}

/* ---- base chains ---- */

static struct box domain_of(struct walk *w, enum family family)
{
    struct arena *a = w->rs->arena;
    struct box b = box_of_everything(w->rs, family);
    struct ranges *from = &b.dim[DIM_SOURCE], *to = &b.dim[DIM_DESTINATION];
    struct ranges own = ranges_and(a, *to, w->self), others = ranges_minus(a, *to, w->self);

    if (!w->self.n || w->hook == HOOK_LIST)
        return b;
    *from = w->hook == HOOK_OUTPUT ? own : others;
    if (w->hook == HOOK_INPUT)
        *to = ranges_or(a, own, ranges_and(a, *to, w->multicast));
    else
        *to = w->hook == HOOK_FORWARD ? ranges_minus(a, others, w->multicast) : others;
    return b;
}

static void walk_base(struct walk *w, const struct chain *c)
{
    struct box domain = domain_of(w, c->family);

    if (!domain.dim[DIM_SOURCE].n || !domain.dim[DIM_DESTINATION].n)
        return; /* The box has no address of this family. */
    walk_chain(w, c, &domain, false);
    if (!c->policy_given && c->hook != HOOK_LIST) {
        look_for_shadow(w, c->policy_rule, &domain);
        if (c->policy_rule->n_live)
            ruleset_ledger(w->rs, c->policy_rule, EFFECT_NARROWER,
                           "the chain's policy is not in the file: taken as DROP");
    }
    if (c->policy == ACT_ACCEPT && !w->stopped)
        let_in(w, c->policy_rule, &domain, false);
}

static void forget_lists(struct walk *w)
{
    w->denies.n = w->terminals.n = w->returns.n = 0;
}

static int by_priority(const void *a_, const void *b_)
{
    const struct chain *const *a = a_, *const *b = b_;

    return ((*a)->priority > (*b)->priority) - ((*a)->priority < (*b)->priority);
}

/* A packet has to pass each of the chains: pieces of what all let through. */
static void intersect(struct walk *w, struct pieces *all, const struct pieces *more)
{
    struct pieces both = {.items = NULL};

    for (size_t i = 0; i < all->n && !w->stopped; i++)
        for (size_t k = 0; k < more->n && !w->stopped; k++) {
            const struct piece *p = &all->items[i], *q = &more->items[k];
            bool later_says_more = !p->rule || (q->rule && !q->rule->is_policy);
            struct box b;

            if (box_overlaps(w, &p->box, &q->box) && box_and(w, &p->box, &q->box, &b))
                add_piece(w, &both, &b, later_says_more ? q->rule : p->rule);
        }
    free(all->items);
    *all = both;
}

static void walk_together(struct walk *w, struct chain *chains[], size_t n)
{
    enum family family = FAMILY_NONE;
    struct pieces before = w->allows, all = {.items = NULL};
    struct box domain;

    qsort(chains, n, sizeof(struct chain *), by_priority);
    for (size_t i = 0; i < n; i++)
        family |= chains[i]->family;
    w->no_nevers = true;
    for (size_t i = 0; i < n && !w->stopped; i++) {
        w->allows = (struct pieces){.items = NULL};
        walk_base(w, chains[i]);
        domain = domain_of(w, family & ~chains[i]->family); /* This chain does not see it. */
        if (domain.dim[DIM_SOURCE].n && domain.dim[DIM_DESTINATION].n)
            add_piece(w, &w->allows, &domain, NULL);
        if (i) {
            intersect(w, &all, &w->allows);
            free(w->allows.items);
        } else {
            all = w->allows;
        }
        forget_lists(w);
    }
    w->no_nevers = false;
    w->allows = before;
    for (size_t i = 0; i < all.n; i++)
        add_piece(w, &w->allows, &all.items[i].box, all.items[i].rule);
    free(all.items);
}

static void walk_hook(struct walk *w, enum hook hook, struct chain *chains[], size_t n)
{
    bool overlap = false;

    w->hook = hook;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            overlap = overlap || (chains[i]->family & chains[k]->family);
    if (overlap && hook != HOOK_LIST) {
        walk_together(w, chains, n);
        return;
    }
    for (size_t i = 0; i < n && !w->stopped; i++) {
        walk_base(w, chains[i]);
        forget_lists(w);
    }
}

/* ---- which chains decide ---- */

struct choice {
    struct ruleset *rs;
    struct chain **chains; /* Heap: base chains that decide. */
    size_t n;
    const char *name; /* --chain, or NULL. */
    bool has_self;
};

static bool is_trivial(const struct chain *c)
{
    return c->n == 0;
}

static void leave_out(struct ruleset *rs, const struct chain *c, const char *reason)
{
    for (size_t i = 0; i < c->n; i++)
        ruleset_ledger(rs, c->rules[i], EFFECT_NARROWER, reason);
    if (!c->n && c->policy == ACT_ACCEPT)
        ruleset_ledger(rs, c->policy_rule, EFFECT_NARROWER, reason);
}

/* Without the box's address, only one hook can be taken for all packets. */
static enum hook only_hook(const struct choice *c)
{
    static const enum hook order[] = {HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT};

    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        for (size_t k = 0; k < c->n; k++)
            if (c->chains[k]->hook == order[i] && !is_trivial(c->chains[k]))
                return order[i];
    return HOOK_INPUT;
}

static void drop_chain(struct choice *c, size_t i, const char *reason)
{
    leave_out(c->rs, c->chains[i], reason);
    c->chains[i] = c->chains[--c->n];
}

static void choose_hooks(struct choice *c)
{
    enum hook only = c->has_self ? HOOK_NONE : only_hook(c);

    for (size_t i = c->n; i-- > 0;) {
        const struct chain *x = c->chains[i];

        if (x->hook == HOOK_LIST)
            continue;
        if (c->name && strcmp(c->name, x->name) != 0)
            drop_chain(c, i, "of another chain than --chain names");
        else if (x->hook == HOOK_FORWARD && is_trivial(x))
            drop_chain(c, i,
                       "a box that forwards everything says nothing of who may talk: left to "
                       "the rules of the others");
        else if (only != HOOK_NONE && x->hook != only)
            drop_chain(c, i,
                       "without --self-address the chains of one box cannot be told apart, "
                       "and only one is carried over");
    }
}

static size_t count_lists(const struct choice *c, enum family family, bool applied_only)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->chains[i]->hook == HOOK_LIST && c->chains[i]->family == family &&
             (c->chains[i]->applied || !applied_only);
    return n;
}

static void choose_lists(struct choice *c, enum family family)
{
    bool one_applied = count_lists(c, family, true) == 1;

    for (size_t i = c->n; i-- > 0;) {
        const struct chain *x = c->chains[i];

        if (x->hook != HOOK_LIST || x->family != family)
            continue;
        if (c->name && strcmp(c->name, x->name) != 0)
            drop_chain(c, i, "of another list than --chain names");
        else if (!c->name && one_applied && !x->applied)
            drop_chain(c, i, "of a list that no interface applies");
    }
    if (count_lists(c, family, false) > 1)
        diagnostic_fix(diagnostics_add(c->rs->d, CODE_VALUE, &c->chains[0]->place,
                                       "%zu access lists that may each stand elsewhere",
                                       count_lists(c, family, false)),
                       "choose one by --chain NAME");
}

static void choose(struct choice *c)
{
    c->chains = xcalloc(c->rs->n_chains, sizeof(struct chain *));
    for (size_t i = 0; i < c->rs->n_chains; i++)
        if (c->rs->chains[i]->hook != HOOK_NONE && !c->rs->chains[i]->ignored)
            c->chains[c->n++] = c->rs->chains[i];
    choose_hooks(c);
    choose_lists(c, FAMILY_V4);
    choose_lists(c, FAMILY_V6);
    if (c->name && !c->n)
        (void)diagnostics_add(c->rs->d, CODE_UNKNOWN, NULL, "no chain is named \"%s\"", c->name);
}

static void walk_all(struct walk *w, const struct choice *c)
{
    CLEANUP(free_voidp) void *memory = xcalloc(c->n, sizeof(struct chain *));
    struct chain **of_hook = memory;

    for (enum hook hook = HOOK_INPUT; hook <= HOOK_LIST && !w->stopped; hook++) {
        size_t n = 0;

        for (size_t i = 0; i < c->n; i++)
            if (c->chains[i]->hook == hook)
                of_hook[n++] = c->chains[i];
        if (n)
            walk_hook(w, hook, of_hook, n);
    }
}

/* Nevers that an allow needs stay. */
static void keep_used(struct walk *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->nevers.n; i++)
        if (w->used[i])
            w->nevers.items[n++] = w->nevers.items[i];
    w->nevers.n = n;
}

void resolve(struct ruleset *rs, struct ranges self, const char *chain, struct resolved *ret)
{
    struct choice c = {.rs = rs, .name = chain, .has_self = self.n > 0};
    struct walk w = {.rs = rs, .self = self, .multicast = multicast_addresses(rs->arena)};

    choose(&c);
    if (!rs->d->n_errors)
        walk_all(&w, &c);
    keep_used(&w);
    finding_of_walk(rs, c.chains, c.n);
    free(c.chains);
    free(w.denies.items);
    free(w.terminals.items);
    free(w.returns.items);
    free(w.used);
    *ret = (struct resolved){w.allows, w.nevers, self, w.n_visits};
}
