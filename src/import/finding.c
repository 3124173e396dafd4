/* SPDX-License-Identifier: Apache-2.0 */
/* One function a finding; see finding.h. */
#include "import/finding.h"

enum { WIDE_BITS = 16 }; /* A destination of at least 2^16 addresses is wide. */

static void add(struct ruleset *rs, enum finding_code code, const struct import_rule *rule,
                const char *message, const char *fix)
{
    GROW(rs->findings, rs->n_findings, rs->findings_room);
    rs->findings[rs->n_findings++] = (struct finding){code, rule, message, fix};
}

/* ---- from the text ---- */

static int by_canonical(const void *a_, const void *b_)
{
    const struct import_rule *const *a = a_, *const *b = b_;
    int c = strcmp((*a)->same_as, (*b)->same_as);

    if (!c)
        c = ((*a)->place.line > (*b)->place.line) - ((*a)->place.line < (*b)->place.line);
    return c ? c
             : ((*a)->place.column > (*b)->place.column) -
                   ((*a)->place.column < (*b)->place.column);
}

static void find_duplicates(struct ruleset *rs, const struct chain *c)
{
    CLEANUP(free_voidp) void *memory = xcalloc(c->n, sizeof(struct import_rule *));
    struct import_rule **sorted = memory;
    const struct import_rule *first;

    if (!c->n)
        return;
    memcpy(sorted, c->rules, c->n * sizeof(struct import_rule *));
    qsort(sorted, c->n, sizeof(struct import_rule *), by_canonical);
    first = sorted[0];
    for (size_t i = 1; i < c->n; i++) {
        if (sorted[i]->first != sorted[i])
            continue; /* A part of the rule before it. */
        if (strcmp(first->same_as, sorted[i]->same_as) != 0) {
            first = sorted[i];
            continue;
        }
        sorted[i]->is_duplicate = true;
        add(rs, FINDING_DUPLICATE, sorted[i],
            ruleset_text(rs, "the same rule as %s", rule_name(rs, first)),
            "delete it: the first one decides");
    }
}

static bool is_wide(struct ruleset *rs, const struct import_rule *r)
{
    struct arena *a = rs->arena;
    struct ranges to = r->match.dim[DIM_DESTINATION];
    struct ranges from = family_addresses(a, r->chain->family);
    bool only_lo = r->n_interfaces && !r->limits_interface && !r->interfaces[0].negated;
    point n = 0;

    if (r->act != ACT_ACCEPT || r->inexact || r->never_opens || only_lo ||
        r->chain->hook == HOOK_NONE || !ranges_within(from, r->match.dim[DIM_SOURCE]) ||
        !ranges_within(services_all(a), r->match.dim[DIM_SERVICE]))
        return false;
    to = ranges_minus(a, to, multicast_addresses(a));
    to = ranges_minus(a, to, loopback_addresses());
    for (size_t i = 0; i < to.n && !(n >> WIDE_BITS); i++)
        n += to.items[i].high - to.items[i].low + (to.items[i].high != ~(point)0);
    return (n >> WIDE_BITS) != 0;
}

static void look_at_rule(struct ruleset *rs, const struct import_rule *r)
{
    if (r->host_network)
        add(rs, FINDING_HOST_NETWORK, r,
            ruleset_text(rs,
                         "%s is a host by its digits and a network by its length: the filter "
                         "takes every address of that network",
                         ruleset_safe(rs, r->host_network, strlen(r->host_network), 64)),
            "write the host alone, or the network with zeros behind its length");
    if (r->by_source_port)
        add(rs, FINDING_SOURCE_PORT, r,
            "whoever sends from this source port reaches every port: the sender chooses it",
            "delete it: replies of allowed connections pass anyway");
    if (r->act == ACT_ACCEPT && r->by_flags && r->never_opens)
        add(rs, FINDING_STATELESS, r,
            "lets every TCP packet in that does not open a connection, also where there is none",
            "delete it: replies of allowed connections pass, other packets should not");
    if (is_wide(rs, r))
        add(rs, FINDING_WIDE, r,
            "from anywhere, by every protocol and port, to a destination of 65,536 addresses or "
            "more",
            "name who needs it, and by which service");
    if (!r->owner)
        add(rs, FINDING_OWNER, r, "nobody is named who could say whether it is still needed",
            "find its owner and write it into the draft; the draft says \"unknown\"");
}

/* A later chain at the same hook may still deny what this one's policy lets through. */
static bool is_alone(const struct ruleset *rs, const struct chain *c)
{
    for (size_t i = 0; i < rs->n_chains; i++)
        if (rs->chains[i] != c && rs->chains[i]->hook == c->hook &&
            (rs->chains[i]->family & c->family))
            return false;
    return true;
}

void finding_of_text(struct ruleset *rs)
{
    for (size_t i = 0; i < rs->n_chains; i++) {
        const struct chain *c = rs->chains[i];

        if (c->ignored)
            continue;
        find_duplicates(rs, c);
        for (size_t k = 0; k < c->n; k++)
            if (c->rules[k]->first == c->rules[k])
                look_at_rule(rs, c->rules[k]);
        if (c->policy_rule && c->policy == ACT_ACCEPT && c->hook != HOOK_OUTPUT &&
            c->hook != HOOK_FORWARD && is_alone(rs, c))
            add(rs, FINDING_WIDE, c->policy_rule,
                "whatever no rule decides is let in, by the chain's policy",
                "name what is needed and let the policy deny the rest");
    }
}

/* ---- from the walk ---- */

static bool has_jump_to(const struct ruleset *rs, const struct chain *to)
{
    for (size_t i = 0; i < rs->n_chains; i++)
        for (size_t k = 0; k < rs->chains[i]->n; k++)
            if (rs->chains[i]->rules[k]->to == to)
                return true;
    return false;
}

static bool decides_everything(struct ruleset *rs, const struct import_rule *r)
{
    struct box all = box_of_everything(rs, r->chain->family);
    bool decides = (r->act == ACT_ACCEPT || r->act == ACT_DENY || r->act == ACT_RETURN ||
                    r->act == ACT_GOTO) &&
                   !r->inexact && !r->never_opens;

    for (size_t i = 0; i < N_DIMS && decides; i++)
        decides = ranges_within(all.dim[i], r->match.dim[i]);
    return decides;
}

static void look_at_walked(struct ruleset *rs, const struct import_rule *r,
                           const struct import_rule *catch_all)
{
    if (ranges_within(r->match.dim[DIM_SOURCE], loopback_addresses()) ||
        ranges_within(r->match.dim[DIM_DESTINATION], loopback_addresses()))
        return; /* What a box says to itself goes other ways than those that were walked. */
    if (r->first != r || r->act == ACT_NOTHING || !r->n_reached || r->n_live || r->is_duplicate)
        return;
    if (catch_all)
        add(rs, FINDING_UNREACHABLE, r,
            ruleset_text(rs, "no packet gets here: %s decides everything",
                         rule_name(rs, catch_all)),
            "delete it, or move it before that rule");
    else if (!r->n_met)
        add(rs, FINDING_UNREACHABLE, r,
            "no packet can match it: its conditions exclude each other, the way to its chain, or "
            "the addresses of this box",
            "delete it, or mend the condition");
    else
        add(rs, FINDING_SHADOWED, r,
            ruleset_text(rs, "everything that it matches is decided before, by %s", r->covers),
            "delete it, or move it before those rules if it was meant to decide");
}

static void look_at_chain(struct ruleset *rs, const struct chain *c)
{
    const struct import_rule *catch_all = NULL;

    for (size_t i = 0; i < c->n; i++) {
        look_at_walked(rs, c->rules[i], catch_all);
        if (!catch_all && decides_everything(rs, c->rules[i]))
            catch_all = c->rules[i];
    }
}

void finding_of_walk(struct ruleset *rs, struct chain *const base[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        look_at_chain(rs, base[i]);
    for (size_t i = 0; i < rs->n_chains; i++) {
        const struct chain *c = rs->chains[i];

        if (c->ignored || c->hook != HOOK_NONE)
            continue;
        look_at_chain(rs, c);
        if (has_jump_to(rs, c))
            continue;
        for (size_t k = 0; k < c->n; k++)
            if (c->rules[k]->first == c->rules[k])
                add(rs, FINDING_UNREACHABLE, c->rules[k], "nothing jumps to its chain",
                    "delete the chain, or jump to it");
    }
}

static int compare(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a_, const void *b_)
{
    const struct finding *a = a_, *b = b_;
    int c = strcmp(a->rule->place.file, b->rule->place.file);

    if (!c)
        c = compare(a->rule->place.line, b->rule->place.line);
    if (!c)
        c = compare(a->rule->place.column, b->rule->place.column);
    return c ? c : compare(a->code, b->code);
}

void finding_sort(struct ruleset *rs)
{
    if (rs->n_findings)
        qsort(rs->findings, rs->n_findings, sizeof *rs->findings, by_place);
}
