/* SPDX-License-Identifier: Apache-2.0 */
/* Used or not, from what is known without reading records; see hygiene.h. */
#include "core/hygiene.h"

#include <inttypes.h>

#include "base/date.h"

enum { DAY_MS = 86400000 };

/* A side whose ends all tell, and have lost nothing, has told of every use. */
enum { SIDE_SILENT = 1, SIDE_LOST = 2 };

struct hygiene_ends {
    const struct world *w;
    struct hygiene_evidence evidence;
    uint8_t *groups; /* SIDE_*, or-ed over the members. */
    uint8_t all;     /* Over all endpoints. */
};

static uint8_t side_of(uint8_t end)
{
    return (uint8_t)((end & HYGIENE_TELLS ? 0 : SIDE_SILENT) |
                     (end & HYGIENE_LOST ? SIDE_LOST : 0));
}

static void add_to_groups(struct hygiene_ends *x, const struct group_set *s, uint8_t side)
{
    for (size_t i = 0; i < x->w->n_words; i++)
        for (uint64_t left = s->words[i]; left; left &= left - 1)
            x->groups[i * 64 + (size_t)__builtin_ctzll(left)] |= side;
}

struct hygiene_ends *hygiene_ends_new(const struct world *w, const struct hygiene_evidence *e)
{
    struct hygiene_ends *x = xcalloc(1, sizeof(*x));

    x->w = w;
    x->evidence = *e;
    x->groups = xcalloc(w->n_words * 64, 1);
    for (size_t i = 0; i < w->inventory->n_endpoints; i++) {
        uint8_t side = side_of(e->ends[i]);

        x->all |= side;
        if (side)
            add_to_groups(x, &w->ends[i].groups, side);
    }
    for (size_t g = 0; g < w->policy->n_groups; g++)
        if (w->policy->groups[g].kind == GROUP_OUTSIDE)
            x->groups[g] |= SIDE_SILENT;
    return x;
}

void hygiene_ends_free(struct hygiene_ends *x)
{
    if (!x)
        return;
    free(x->groups);
    free(x);
}

static uint8_t selector_side(const struct hygiene_ends *x, const struct selector *s)
{
    uint8_t side = 0;

    if (!s->given || s->any)
        return x->all | SIDE_SILENT; /* The outside is among them. */
    for (size_t i = 0; i < s->n_groups; i++)
        side |= x->groups[s->groups[i]];
    return side;
}

enum hygiene_status hygiene_judge(const struct hygiene_ends *x, const struct rule *r)
{
    const struct hygiene_evidence *e = &x->evidence;
    const struct hygiene_past *past = &e->rules[r->index];
    uint8_t from = selector_side(x, &r->match.from), to = selector_side(x, &r->match.to);

    if (r->layer != LAYER_ALLOW)
        return HYGIENE_GUARD;
    if (!rule_is_alive(r, x->w->now_s))
        return HYGIENE_EXPIRED;
    if (past->last_ms && past->last_ms >= e->since_ms)
        return HYGIENE_USED;
    if (past->since_s <= 0 || (uint64_t)past->since_s * 1000 > e->since_ms)
        return HYGIENE_YOUNG;
    if (!e->oldest_ms || e->oldest_ms > e->since_ms + DAY_MS) /* Whole days are forgotten. */
        return HYGIENE_SHORT;
    if (e->lost_elsewhere)
        return HYGIENE_GAPS;
    if (!from || !to)
        return HYGIENE_UNUSED;
    return (from & SIDE_SILENT) && (to & SIDE_SILENT) ? HYGIENE_UNSEEN : HYGIENE_GAPS;
}

/* ---- findings ---- */

static void tell_unused(const struct hygiene_evidence *e, const struct rule *r,
                        struct diagnostics *d)
{
    const struct hygiene_past *past = &e->rules[r->index];
    char since[DATE_TEXT_SIZE], last[DATE_TEXT_SIZE];
    uint64_t days = (e->until_ms - e->oldest_ms) / DAY_MS;
    struct diagnostic *x = diagnostics_add(
        d, CODE_UNUSED, &r->place, "\"%s\" of %s was not used for %" PRIu64 " days", r->id,
        r->owner ? r->owner : "nobody", (e->until_ms - e->since_ms) / DAY_MS);

    (void)date_format(past->since_s, since);
    if (past->last_ms)
        diagnostic_expected(x, "a hit; it stands since %s, the last one was on %s", since,
                            date_format((int64_t)(past->last_ms / 1000), last));
    else
        diagnostic_expected(x,
                            "a hit; it stands since %s, and never had one in the %" PRIu64
                            " days that the history holds",
                            since, days);
    diagnostic_fix(x, "suimitsu whatif delete %s, then ask its owner", r->id);
}

static void tell_unknown(const struct hygiene_evidence *e, const size_t n[HYGIENE_STATES],
                         struct diagnostics *d)
{
    char oldest[DATE_TEXT_SIZE];
    uint64_t days = (e->until_ms - e->since_ms) / DAY_MS;

    if (n[HYGIENE_SHORT])
        (void)diagnostics_add(
            d, CODE_UNFINISHED, NULL,
            "rules without a hit for %" PRIu64 " days (W-UNUSED) were not looked for among %zu: "
            "the history reaches back to %s",
            days, n[HYGIENE_SHORT],
            e->oldest_ms ? date_format((int64_t)(e->oldest_ms / 1000), oldest) : "nothing");
    if (n[HYGIENE_GAPS])
        (void)diagnostics_add(
            d, CODE_UNFINISHED, NULL,
            "whether %zu rules were used (W-UNUSED) is not known: the evidence of %" PRIu64
            " days is incomplete",
            n[HYGIENE_GAPS], days);
    if (n[HYGIENE_UNSEEN])
        (void)diagnostics_add(d, CODE_UNFINISHED, NULL,
                              "whether %zu rules were used (W-UNUSED) is not known: some of their "
                              "connections have no agent at either end",
                              n[HYGIENE_UNSEEN]);
}

void hygiene_lint(const struct world *w, const struct hygiene_evidence *e, struct diagnostics *d)
{
    CLEANUP(hygiene_ends_freep) struct hygiene_ends *x = hygiene_ends_new(w, e);
    size_t n[HYGIENE_STATES] = {0};

    for (size_t i = 0; i < w->policy->n_rules; i++) {
        enum hygiene_status status = hygiene_judge(x, &w->policy->rules[i]);

        n[status]++;
        if (status == HYGIENE_UNUSED)
            tell_unused(e, &w->policy->rules[i], d);
    }
    tell_unknown(e, n, d);
}

/* ---- words ---- */

const char *hygiene_status_name(enum hygiene_status status)
{
    static const char *const names[HYGIENE_STATES] = {[HYGIENE_USED] = "used",
                                                      [HYGIENE_UNUSED] = "unused",
                                                      [HYGIENE_GUARD] = "guard-rail",
                                                      [HYGIENE_EXPIRED] = "expired",
                                                      [HYGIENE_YOUNG] = "young",
                                                      [HYGIENE_SHORT] = "history-too-short",
                                                      [HYGIENE_GAPS] = "evidence-incomplete",
                                                      [HYGIENE_UNSEEN] = "nobody-tells"};

    return names[status];
}

const char *hygiene_trend_name(enum hygiene_trend trend)
{
    static const char *const names[] = {"", "rising", "steady", "falling", "stopped"};

    return names[trend];
}
