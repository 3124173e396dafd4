/* SPDX-License-Identifier: Apache-2.0 */
/* W-DEAD and W-NEVER-HIDES.
 *
 * Of rules that cover one another some have to stay: all that are called dead may be deleted
 * together, and what stays is needed.  So a rule that was found dead covers no other.  Rules that
 * one other covers are sought first, then those that only several cover together; each time the
 * later rule of two equal ones is the dead one. */
#include "base/buf.h"
#include "core/lint/linting.h"

enum { NAMES_SHOWN = 5, MINIMIZED = 64 };

struct burying {
    const struct linting *l;
    bool *dead;          /* By rule. */
    struct list suspect; /* Rules that no sample saves. */
};

static struct list_view list_view_of(const struct list *list)
{
    return (struct list_view){list->items, (uint32_t)list->n};
}

static bool may_take_all(const struct selector *all, const struct selector *s)
{
    return s->any || !all->any; /* Else it would have to list whatever there is. */
}

/* The first of the candidates that covers it alone; or their number. */
static size_t find_single(struct cover *c, const struct rule *r, const struct list *candidates)
{
    const struct rule *rules = c->world->policy->rules;

    for (size_t i = 0; i < candidates->n; i++)
        if (may_take_all(&r->match.from, &rules[candidates->items[i]].match.from) &&
            may_take_all(&r->match.to, &rules[candidates->items[i]].match.to) &&
            cover_by(c, r, (struct list_view){&candidates->items[i], 1}) == COVER_YES)
            return i;
    return candidates->n;
}

/* Leaves out what is not needed, the later ones first. */
static void minimize(struct cover *c, const struct rule *r, struct list *by)
{
    for (size_t i = by->n; i-- > 0 && by->n > 1 && by->n <= MINIMIZED;) {
        struct list without = {.n = 0};

        for (size_t k = 0; k < by->n; k++)
            if (k != i)
                list_add(&without, by->items[k]);
        if (cover_by(c, r, list_view_of(&without)) == COVER_YES) {
            free(by->items);
            *by = without;
        } else {
            free(without.items);
        }
    }
}

/* The rules that cover it: one if one does, else few.  Empty: none do. */
static void find_coverers(struct cover *c, const struct rule *r, enum layer layer, const bool *dead,
                          struct list *ret)
{
    size_t single;

    cover_candidates(c, r, layer, dead, ret);
    single = find_single(c, r, ret);
    if (single < ret->n) {
        ret->items[0] = ret->items[single];
        ret->n = 1;
    } else if (cover_by(c, r, list_view_of(ret)) == COVER_YES) {
        minimize(c, r, ret);
    } else {
        ret->n = 0;
    }
}

/* ---- telling ---- */

static void name_rules(struct buf *b, const struct policy *p, const struct list *rules)
{
    size_t shown = rules->n > NAMES_SHOWN ? NAMES_SHOWN : rules->n;

    for (size_t i = 0; i < shown; i++)
        buf_printf(b, "%s\"%s\"",
                   !i                 ? ""
                   : i + 1 < rules->n ? ", "
                                      : " and ",
                   p->rules[rules->items[i]].id);
    if (shown < rules->n)
        buf_printf(b, " and %zu more", rules->n - shown);
}

static const char *verb_of(const struct rule *r)
{
    return r->layer == LAYER_NEVER        ? "forbids"
           : r->layer == LAYER_QUARANTINE ? "lets suspects do"
                                          : "allows";
}

static bool is_same(struct cover *c, const struct rule *a, const struct rule *b)
{
    return cover_by(c, b, (struct list_view){&a->index, 1}) == COVER_YES;
}

static void tell_dead(const struct burying *b, const struct rule *r)
{
    const struct policy *p = b->l->w->policy;
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    struct list by = {.n = 0};
    struct diagnostic *x;
    bool same;

    if (b->l->d->n < DIAGNOSTICS_MAX) /* Others are only counted. */
        find_coverers(b->l->cover, r, r->layer, b->dead, &by);
    name_rules(&names, p, &by);
    same = by.n == 1 && is_same(b->l->cover, r, &p->rules[by.items[0]]);
    if (same)
        x = diagnostics_add(b->l->d, CODE_DEAD, &r->place, "\"%s\" %s the same as %s%s", r->id,
                            verb_of(r), buf_str(&names), in_this_inventory(b->l));
    else
        x = diagnostics_add(b->l->d, CODE_DEAD, &r->place,
                            "all that \"%s\" %s is covered by %s%s%s", r->id, verb_of(r),
                            by.n ? buf_str(&names) : "others", by.n > 1 ? " together" : "",
                            in_this_inventory(b->l));
    diagnostic_expected(x, "a rule that decides something which no other rule of its layer does");
    if (same)
        diagnostic_fix(x, "delete one of them: no verdict changes");
    else
        diagnostic_fix(x, "delete \"%s\": no verdict changes; or narrow %s", r->id,
                       by.n ? buf_str(&names) : "the others");
    free(by.items);
}

static void tell_hidden(const struct linting *l, const struct rule *r, const struct list *by)
{
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    struct diagnostic *x;

    name_rules(&names, l->w->policy, by);
    x = diagnostics_add(l->d, CODE_NEVER_HIDES, &r->place,
                        "nothing that \"%s\" allows gets through%s: %s forbid%s all of it", r->id,
                        in_this_inventory(l), buf_str(&names), by->n > 1 ? "" : "s");
    diagnostic_expected(x, "an allow that some never leaves open: never stands above allow");
    diagnostic_fix(x, "delete \"%s\", or name what it is for in the except of %s", r->id,
                   buf_str(&names));
}

/* ---- finding ---- */

static void find_hidden(struct burying *b)
{
    const struct policy *p = b->l->w->policy;
    struct cover *c = b->l->cover;
    size_t n_nevers = 0;
    struct list by = {.n = 0};

    for (size_t i = 0; i < p->n_rules; i++)
        n_nevers += p->rules[i].layer == LAYER_NEVER;
    for (size_t i = 0; n_nevers && i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        if (r->layer != LAYER_ALLOW || !rule_is_alive(r, b->l->w->now_s) ||
            cover_is_refuted(c, r, LAYER_NEVER, NULL))
            continue;
        find_coverers(c, r, LAYER_NEVER, NULL, &by);
        if (!by.n)
            continue;
        tell_hidden(b->l, r, &by);
        b->dead[i] = true;
    }
    free(by.items);
}

static void find_suspects(struct burying *b)
{
    const struct policy *p = b->l->w->policy;

    for (size_t i = p->n_rules; i-- > 0;)
        if (!b->dead[i] && rule_is_alive(&p->rules[i], b->l->w->now_s) &&
            !cover_is_refuted(b->l->cover, &p->rules[i], p->rules[i].layer, b->dead))
            list_add(&b->suspect, (uint32_t)i);
}

static void bury(struct burying *b, bool by_one)
{
    const struct policy *p = b->l->w->policy;
    struct cover *c = b->l->cover;
    struct list candidates = {.n = 0};

    for (size_t i = 0; i < b->suspect.n && !cover_is_unfinished(c); i++) {
        const struct rule *r = &p->rules[b->suspect.items[i]];

        if (b->dead[r->index])
            continue;
        cover_candidates(c, r, r->layer, b->dead, &candidates);
        b->dead[r->index] =
            by_one ? find_single(c, r, &candidates) < candidates.n
                   : candidates.n > 1 && cover_by(c, r, list_view_of(&candidates)) == COVER_YES;
    }
    free(candidates.items);
}

void lint_cover(const struct linting *l)
{
    const struct policy *p = l->w->policy;
    CLEANUP(free_voidp) void *memory = xcalloc(p->n_rules, sizeof(bool));
    struct burying b = {.l = l, .dead = memory};
    struct list hidden = {.n = 0};

    if (!l->cover) {
        lint_unfinished(l, "rules that others cover");
        return;
    }
    find_hidden(&b);
    for (uint32_t i = 0; i < p->n_rules; i++)
        if (b.dead[i])
            list_add(&hidden, i);
    find_suspects(&b);
    bury(&b, true);
    bury(&b, false);
    for (size_t i = 0; i < p->n_rules; i++)
        if (b.dead[i] && !list_has(&hidden, (uint32_t)i))
            tell_dead(&b, &p->rules[i]);
    if (cover_is_unfinished(l->cover))
        lint_unfinished(l, "rules that others cover");
    free(hidden.items);
    free(b.suspect.items);
}
