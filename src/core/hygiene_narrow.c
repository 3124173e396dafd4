/* SPDX-License-Identifier: Apache-2.0 */
/* What of a rule was never seen, and the rule without it; see hygiene.h.
 *
 * Each field is narrowed by itself to what was seen in it, so that every connection seen fits all
 * fields together.  A program that some interpreter was seen to run stays named wherever it is:
 * naming it is what makes an enforcer look at the script instead of the interpreter. */
#include "core/hygiene_internal.h"

struct work {
    struct hygiene *h;
    struct hygiene_rule *rule;
    const struct match *match;
    const struct fact *facts;
    size_t first[FACT_SCRIPT], n[FACT_SCRIPT]; /* Of each kind. */
    struct hygiene_item *items;
    size_t n_items;
    struct hygiene_narrow *narrow;
    bool is_narrower;
};

static struct hygiene_item *add_item(struct work *x, enum hygiene_field field, const char *name)
{
    struct hygiene_item *item = &x->items[x->n_items++];

    *item = (struct hygiene_item){.field = field, .name = name};
    return item;
}

static const struct fact *facts_of(const struct work *x, enum fact_kind kind, size_t *ret_n)
{
    *ret_n = x->n[kind];
    return &x->facts[x->first[kind]];
}

static const struct fact *find_fact(const struct work *x, enum fact_kind kind, uint32_t value)
{
    size_t n, low = 0, high;
    const struct fact *f = facts_of(x, kind, &n);

    for (high = n; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (f[middle].key.value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && f[low].key.value == value ? &f[low] : NULL;
}

/* ---- ends ---- */

struct side {
    const struct selector *selector;
    struct selector *narrow;
    enum hygiene_field field;
    const struct fact *seen, *outside; /* Endpoints; groups outside. */
    size_t n_seen, n_outside;
    bool is_outside; /* Somebody outside was seen. */
};

static const struct end *end_of(const struct work *x, uint32_t endpoint)
{
    return &x->h->w->ends[endpoint];
}

static bool is_outside(const struct work *x, uint32_t group)
{
    return x->h->w->policy->groups[group].kind == GROUP_OUTSIDE;
}

static uint64_t seen_in(const struct work *x, const struct side *s, uint32_t group,
                        uint64_t *ret_count)
{
    uint64_t n = 0;

    *ret_count = 0;
    for (size_t i = 0; i < s->n_seen; i++)
        if (group_set_has(&end_of(x, s->seen[i].key.value)->groups, group)) {
            *ret_count += s->seen[i].count;
            n++;
        }
    return n;
}

/* Some of the members that were not seen, by name: endpoints are sorted. */
static void name_never(const struct work *x, const struct side *s, const uint32_t *group,
                       struct hygiene_item *item)
{
    uint32_t *never = arena_alloc(x->h->arena, HYGIENE_NAMED, sizeof(*never));
    size_t at = 0;

    for (uint32_t e = 0; e < x->h->w->inventory->n_endpoints && item->n_never < HYGIENE_NAMED;
         e++) {
        while (at < s->n_seen && s->seen[at].key.value < e)
            at++;
        if ((at < s->n_seen && s->seen[at].key.value == e) ||
            (group && !group_set_has(&end_of(x, e)->groups, *group)))
            continue;
        never[item->n_never++] = e;
    }
    item->never = never;
}

static void look_at_group(struct work *x, const struct side *s, uint32_t group)
{
    struct hygiene_item *item = add_item(x, s->field, x->h->w->policy->groups[group].name);

    if (is_outside(x, group)) {
        for (size_t i = 0; i < s->n_outside; i++)
            if (s->outside[i].key.value == group) {
                item->n_seen = 1;
                item->count = s->outside[i].count;
            }
        return;
    }
    item->n = x->h->w->n_members[group];
    item->n_seen = seen_in(x, s, group, &item->count);
    if (item->n_seen < item->n)
        name_never(x, s, &group, item);
}

static void look_at_any(struct work *x, const struct side *s)
{
    struct hygiene_item *item = add_item(x, s->field, "any");

    item->n = x->h->w->inventory->n_endpoints;
    item->n_seen = s->n_seen;
    for (size_t i = 0; i < s->n_seen; i++)
        item->count += s->seen[i].count;
    if (item->n_seen < item->n)
        name_never(x, s, NULL, item);
}

/* Endpoints that the field takes now. */
static uint64_t n_taken(const struct work *x, const struct selector *s)
{
    uint64_t n = 0;

    if (!s->given || s->any)
        return x->h->w->inventory->n_endpoints;
    for (size_t e = 0; e < x->h->w->inventory->n_endpoints; e++)
        n += selector_takes(s, end_of(x, (uint32_t)e));
    return n;
}

static bool holds_all_seen(const struct work *x, const struct side *s, uint32_t group)
{
    for (size_t i = 0; i < s->n_seen; i++)
        if (!group_set_has(&end_of(x, s->seen[i].key.value)->groups, group))
            return false;
    return true;
}

static bool is_within(const struct work *x, uint32_t group, const struct selector *s)
{
    for (size_t e = 0; s->given && !s->any && e < x->h->w->inventory->n_endpoints; e++)
        if (group_set_has(&end_of(x, (uint32_t)e)->groups, group) &&
            !selector_takes(s, end_of(x, (uint32_t)e)))
            return false;
    return true;
}

/* The smallest group that has all who were seen and nobody new; false: none is smaller. */
static bool smaller_group(const struct work *x, const struct side *s, uint32_t *ret_group)
{
    const struct world *w = x->h->w;
    bool any = !s->selector->given || s->selector->any;
    uint64_t best = n_taken(x, s->selector) + any; /* Any takes the outside, too. */
    bool found = false;

    for (uint32_t g = 0; s->n_seen && g < w->policy->n_groups; g++)
        if (!is_outside(x, g) && w->n_members[g] < best && holds_all_seen(x, s, g) &&
            is_within(x, g, s->selector)) {
            best = w->n_members[g];
            *ret_group = g;
            found = true;
        }
    return found;
}

static void keep_group(struct work *x, struct selector *to, uint32_t group)
{
    (void)x;
    to->groups[to->n_groups++] = group;
}

static void narrow_list(struct work *x, const struct side *s)
{
    uint32_t smaller = 0;
    bool found = smaller_group(x, s, &smaller);
    struct selector *to = s->narrow;

    to->groups = arena_alloc(x->h->arena, s->selector->n_groups + 1, sizeof(*to->groups));
    to->n_groups = 0;
    if (found)
        keep_group(x, to, smaller);
    for (size_t i = 0; i < s->selector->n_groups; i++) {
        uint32_t g = s->selector->groups[i];
        uint64_t count;
        bool keep = false;

        if (!is_outside(x, g))
            keep = !found && seen_in(x, s, g, &count) > 0;
        else
            for (size_t k = 0; k < s->n_outside; k++)
                keep = keep || s->outside[k].key.value == g;
        if (keep)
            keep_group(x, to, g);
    }
    x->is_narrower = x->is_narrower || found || to->n_groups < s->selector->n_groups;
}

static void narrow_side(struct work *x, const struct side *s)
{
    const struct selector *from = s->selector;
    uint32_t group;

    *s->narrow = *from;
    if (from->given && !from->any) {
        for (size_t i = 0; i < from->n_groups; i++)
            look_at_group(x, s, from->groups[i]);
        narrow_list(x, s);
        return;
    }
    look_at_any(x, s);
    if (s->is_outside || !smaller_group(x, s, &group))
        return;
    *s->narrow = (struct selector){.given = true, .n_groups = 1};
    s->narrow->groups = arena_copy(x->h->arena, &group, 1, sizeof(group));
    x->is_narrower = true;
}

static void narrow_ends(struct work *x)
{
    const struct carrying *c = &x->h->carrying[x->rule->rule->index];
    struct side from = {&x->match->from, &x->narrow->from, HYGIENE_FROM, NULL, NULL, 0, 0,
                        c->outside_from};
    struct side to = {&x->match->to, &x->narrow->to, HYGIENE_TO, NULL, NULL, 0, 0, c->outside_to};

    from.seen = facts_of(x, FACT_FROM, &from.n_seen);
    from.outside = facts_of(x, FACT_FROM_OUTSIDE, &from.n_outside);
    to.seen = facts_of(x, FACT_TO, &to.n_seen);
    to.outside = facts_of(x, FACT_TO_OUTSIDE, &to.n_outside);
    narrow_side(x, &from);
    narrow_side(x, &to);
}

/* ---- services ---- */

static void add_port(struct hygiene_narrow *to, struct port_range *ports, struct port_range p)
{
    struct port_range *last = to->n_ports ? &ports[to->n_ports - 1] : NULL;

    for (size_t i = 0; i < to->n_ports; i++) /* Another service of the rule may have it. */
        if (ports[i].protocol == p.protocol && ports[i].low <= p.low && p.high <= ports[i].high)
            return;
    if (last && last->protocol == p.protocol && p.protocol != 1 && last->high + 1 == p.low)
        last->high = p.high; /* ICMP types have no ranges. */
    else
        ports[to->n_ports++] = p;
}

static void look_at_service(struct work *x, uint32_t number, struct port_range *ports,
                            uint32_t *whole)
{
    const struct carrying *c = &x->h->carrying[x->rule->rule->index];
    const struct service *service = &x->h->w->policy->services[x->match->services[number]];
    struct hygiene_item *item = add_item(x, HYGIENE_SERVICE, service->name);
    struct port_range *never = arena_alloc(x->h->arena, HYGIENE_NAMED, sizeof(*never));
    bool keep;

    for (uint32_t i = 0; i < c->n_units; i++) {
        const struct fact *f = c->units[i].service == number ? find_fact(x, FACT_UNIT, i) : NULL;

        if (c->units[i].service != number)
            continue;
        item->n++;
        item->n_seen += f != NULL;
        item->count += f ? f->count : 0;
        if (!f && item->n_never < HYGIENE_NAMED)
            never[item->n_never++] = c->units[i].range;
    }
    item->never_ports = never;
    keep = item->n_seen == item->n || (item->n_seen && service->n_modbus);
    if (keep)
        whole[x->narrow->n_services++] = x->match->services[number];
    else
        x->is_narrower = true;
    for (uint32_t i = 0; !keep && i < c->n_units; i++)
        if (c->units[i].service == number && find_fact(x, FACT_UNIT, i))
            add_port(x->narrow, ports, c->units[i].range);
}

/* A rule without a service takes every protocol: the few ports that it was used for. */
static void look_at_every_port(struct work *x)
{
    const struct carrying *c = &x->h->carrying[x->rule->rule->index];
    struct hygiene_item *item = add_item(x, HYGIENE_SERVICE, "");
    struct port_range *ports;
    size_t n;
    const struct fact *f = facts_of(x, FACT_PORT, &n);

    item->n_seen = n;
    for (size_t i = 0; i < n; i++)
        item->count += f[i].count;
    if (c->odd_protocol || n > HYGIENE_RANGE || !n)
        return;
    ports = arena_alloc(x->h->arena, n, sizeof(*ports));
    for (size_t i = 0; i < n; i++)
        add_port(x->narrow, ports,
                 (struct port_range){(uint8_t)(f[i].key.value >> 16), (uint16_t)f[i].key.value,
                                     (uint16_t)f[i].key.value});
    x->narrow->ports = ports;
    x->is_narrower = true;
}

static void narrow_services(struct work *x)
{
    const struct carrying *c = &x->h->carrying[x->rule->rule->index];
    struct port_range *ports;
    uint32_t *whole;

    if (!x->match->n_services) {
        look_at_every_port(x);
        return;
    }
    ports = arena_alloc(x->h->arena, c->n_units, sizeof(*ports));
    whole = arena_alloc(x->h->arena, x->match->n_services, sizeof(*whole));
    for (uint32_t i = 0; i < x->match->n_services; i++)
        look_at_service(x, i, ports, whole);
    x->narrow->ports = ports;
    x->narrow->services = whole;
}

/* ---- programs and users ---- */

static bool is_a_script(const struct hygiene *h, const char *path)
{
    for (size_t i = h->n_facts; i > 0 && h->facts[i - 1].key.kind == FACT_SCRIPT; i--)
        if (strcmp(h->text(h->keeper, h->facts[i - 1].key.value), path) == 0)
            return true;
    return false;
}

/* One item each; returns the kept ones' number.  'keep' says which, and all of them stay where not
 * all is known. */
static size_t look_at_values(struct work *x, enum hygiene_field field, enum fact_kind kind,
                             const char *const names[], size_t n, bool keep[])
{
    bool is_blind = x->rule->is_blind[field];
    size_t n_kept = 0, n_seen;

    (void)facts_of(x, kind, &n_seen);
    for (uint32_t i = 0; i < n; i++) {
        const struct fact *f = find_fact(x, kind, i);
        struct hygiene_item *item = add_item(x, field, names[i]);

        item->n = 1;
        item->n_seen = f != NULL;
        item->count = f ? f->count : 0;
        keep[i] =
            f || is_blind || !n_seen || (field != HYGIENE_USER && is_a_script(x->h, names[i]));
        n_kept += keep[i];
    }
    x->is_narrower = x->is_narrower || n_kept < n;
    return n_kept;
}

static const char **narrow_programs(struct work *x, enum hygiene_field field, enum fact_kind kind,
                                    const char **paths, size_t n, size_t *ret_n)
{
    bool *keep = arena_alloc(x->h->arena, n, sizeof(*keep));
    const char **kept = arena_alloc(x->h->arena, n, sizeof(*kept));

    (void)look_at_values(x, field, kind, paths, n, keep);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (keep[i])
            kept[(*ret_n)++] = paths[i];
    return kept;
}

static void narrow_users(struct work *x)
{
    size_t n = x->match->n_users;
    bool *keep = arena_alloc(x->h->arena, n, sizeof(*keep));
    const char **names = arena_alloc(x->h->arena, n, sizeof(*names));

    x->narrow->users = arena_alloc(x->h->arena, n, sizeof(struct user_ref));
    for (size_t i = 0; i < n; i++) {
        const struct user_ref *u = &x->match->users[i];
        size_t len = strlen(u->name);
        char *name = arena_alloc(x->h->arena, len + 2, 1);

        name[0] = '@';
        memcpy(name + u->is_group, u->name, len);
        names[i] = name;
    }
    (void)look_at_values(x, HYGIENE_USER, FACT_USER, names, n, keep);
    for (size_t i = 0; i < n; i++)
        if (keep[i])
            x->narrow->users[x->narrow->n_users++] = x->match->users[i];
}

void hygiene_narrow_rule(struct hygiene *h, struct hygiene_rule *r, const struct fact facts[],
                         size_t n)
{
    const struct match *m = &r->rule->match;
    struct work x = {.h = h, .rule = r, .match = m, .facts = facts};
    struct hygiene_narrow narrow = {.n_services = 0};

    for (size_t i = n; i-- > 0;) {
        x.first[facts[i].key.kind] = i;
        x.n[facts[i].key.kind]++;
    }
    x.items = arena_alloc(h->arena,
                          m->from.n_groups + m->to.n_groups + m->n_services + m->n_processes +
                              m->n_served_by + m->n_users + 3,
                          sizeof(*x.items));
    x.narrow = &narrow;
    narrow_ends(&x);
    narrow_services(&x);
    narrow.processes = narrow_programs(&x, HYGIENE_PROCESS, FACT_PROCESS, m->processes,
                                       m->n_processes, &narrow.n_processes);
    narrow.served_by = narrow_programs(&x, HYGIENE_SERVED_BY, FACT_SERVED_BY, m->served_by,
                                       m->n_served_by, &narrow.n_served_by);
    narrow_users(&x);
    r->items = x.items;
    r->n_items = x.n_items;
    if (x.is_narrower)
        r->narrow = arena_copy(h->arena, &narrow, 1, sizeof(narrow));
}
