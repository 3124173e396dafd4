/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked about, known or not; see parts.h. */
#include "core/why/parts.h"

#include <netinet/in.h>

#include "base/buf.h"

const char *why_text(struct why *y, const char *format, ...)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    return arena_text(y->arena, buf_str(&b), b.size);
}

struct case_of why_case(const struct why *y)
{
    return (struct case_of){y->world, &y->from.end, &y->to.end, &y->facts};
}

const char *why_port_text(struct why *y)
{
    switch (y->facts.protocol) {
    case IPPROTO_TCP:
        return why_text(y, "tcp/%u", y->facts.port);
    case IPPROTO_UDP:
        return why_text(y, "udp/%u", y->facts.port);
    case IPPROTO_ICMP:
        return y->facts.port == 8 ? "icmp/echo" : why_text(y, "icmp/%u", y->facts.port);
    default:
        return why_text(y, "protocol %u", y->facts.protocol);
    }
}

static const char *group_names(struct why *y, const struct end *end)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct policy *p = y->world->policy;
    size_t n = 0;

    for (uint32_t g = 0; g < p->n_groups; g++)
        if (group_set_has(&end->groups, g) && n++ < WHY_MAX_NAMED)
            buf_printf(&b, "%s%s", n > 1 ? ", " : "", p->groups[g].name);
    if (n > WHY_MAX_NAMED)
        buf_printf(&b, " and %zu more", n - WHY_MAX_NAMED);
    return arena_text(y->arena, buf_str(&b), b.size);
}

/* ---- a name that the inventory lacks ---- */

bool why_has_label(const struct label *labels, size_t n, const struct label_match *m)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; strcmp(labels[i].key, m->key) == 0 && k < m->n_values; k++)
            if (strcmp(labels[i].value, m->values[k]) == 0)
                return true;
    return false;
}

static bool group_would_take(const struct group *g, const char *name, const struct label *labels,
                             size_t n)
{
    if (g->kind == GROUP_MEMBERS)
        for (size_t i = 0; i < g->n_members; i++)
            if (strcmp(g->members[i].name, name) == 0)
                return true;
    if (g->kind != GROUP_MATCH)
        return false;
    for (size_t i = 0; i < g->n_matches; i++)
        if (!why_has_label(labels, n, &g->matches[i]))
            return false;
    return g->n_matches > 0;
}

static enum mode mode_of(const struct world *w, const struct end *end)
{
    enum mode strictest = MODE_NONE;

    for (size_t i = 0; i < w->policy->n_modes; i++) {
        const struct mode_entry *e = &w->policy->modes[i];

        if (group_set_has(&end->groups, e->group) && e->mode > strictest)
            strictest = e->mode;
    }
    return strictest == MODE_NONE ? w->policy->default_mode : strictest;
}

void why_suppose_groups(struct why *y, const char *name, const struct label *labels, size_t n,
                        const struct group *also, struct end *end)
{
    const struct world *w = y->world;

    end->groups.words = arena_alloc(y->arena, w->n_words, sizeof(uint64_t));
    for (uint32_t g = 0; g < w->policy->n_groups; g++)
        if (&w->policy->groups[g] == also ||
            group_would_take(&w->policy->groups[g], name, labels, n))
            end->groups.words[g / 64] |= UINT64_C(1) << (g % 64);
    end->mode = mode_of(w, end);
}

static void suppose_end(struct why *y, struct why_end *e)
{
    const struct world *w = y->world;
    struct nearest near = nearest_to(e->asked);

    e->end = (struct end){.endpoint = NULL};
    why_suppose_groups(y, e->asked, e->labels, e->n_labels, NULL, &e->end);
    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        nearest_offer(&near, w->inventory->endpoints[i].name);
    e->nearest = near.best;
}

static void find_end(struct why *y, struct why_end *e, const char *asked,
                     const struct label *labels, size_t n)
{
    e->asked = e->name = asked;
    e->is_known = world_end(y->world, asked, &e->end, &e->address) == 0;
    e->labels = labels;
    e->n_labels = n;
    if (!e->is_known)
        suppose_end(y, e);
    e->endpoint = e->end.endpoint;
    if (e->endpoint) {
        e->labels = e->endpoint->labels;
        e->n_labels = e->endpoint->n_labels;
    }
    if (e->endpoint && strcmp(e->endpoint->name, asked) != 0)
        e->name = why_text(y, "%s (%s)", e->endpoint->name, asked);
    e->groups = group_names(y, &e->end);
}

bool why_find_ends(struct why *y, const struct why_question *q)
{
    const struct verdict_query *v = &q->verdict;

    find_end(y, &y->from, v->from, q->from_labels, q->n_from_labels);
    find_end(y, &y->to, v->to, q->to_labels, q->n_to_labels);
    if (!y->from.is_known && !y->to.is_known)
        return strcmp(v->from, v->to) == 0;
    return y->to.is_known && verdict_is_self(&y->from.end, &y->to.end, &y->to.address);
}
