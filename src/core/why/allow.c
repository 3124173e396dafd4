/* SPDX-License-Identifier: Apache-2.0 */
/* A rule of its own, as a file that stands beside the others; see parts.h. */
#include "core/why/parts.h"

#include <netinet/in.h>

#include "base/buf.h"

enum { MAX_TRIES = 100 };

struct side { /* One end of the rule that is being written. */
    const struct why_end *end;
    const char *group;
    const struct group *existing; /* NULL: a group of its own. */
};

/* How many of the first 128 bits an outside group's best prefix fixes for this address. */
static int width_of(const struct group *g, const struct address *a)
{
    int best = -1;

    for (size_t i = 0; i < g->n_prefixes; i++)
        if (g->prefixes[i].length > best &&
            address_in_prefix(a, &g->prefixes[i].address, g->prefixes[i].length))
            best = g->prefixes[i].length;
    return best;
}

/* The smallest group that the end is in. */
static const struct group *narrowest(const struct why *y, const struct why_end *e)
{
    const struct world *w = y->world;
    const struct group *best = NULL;
    uint32_t best_index = 0;

    for (uint32_t g = 0; g < w->policy->n_groups; g++) {
        const struct group *group = &w->policy->groups[g];
        bool outside = e->is_known && !e->endpoint;

        if (!group_set_has(&e->end.groups, g) || (group->kind == GROUP_OUTSIDE) != outside ||
            (outside && width_of(group, &e->address) <= 0))
            continue; /* Not the whole internet for one address. */
        if (!best || (outside ? width_of(group, &e->address) > width_of(best, &e->address)
                              : w->n_members[g] < w->n_members[best_index])) {
            best = group;
            best_index = g;
        }
    }
    return best;
}

static bool all_have_hosts(const struct why *y, const struct group *g)
{
    const struct world *w = y->world;
    uint32_t index = (uint32_t)(g - w->policy->groups);

    for (size_t i = 0; i < w->inventory->n_endpoints; i++)
        if (group_set_has(&w->ends[i].groups, index) && !(w->ends[i].enforcers & ENFORCER_HOST))
            return false;
    return true;
}

/* A name that no group has yet. */
static const char *new_name(struct why *y, const char *base)
{
    const char *name = why_text(y, "only-%.50s", base);

    for (int i = 2; policy_group(y->world->policy, name) && i < MAX_TRIES; i++)
        name = why_text(y, "only-%.50s-%d", base, i);
    return name;
}

/* False: no group can name this end. */
static bool choose_side(struct why *y, const struct why_end *e, const char *role, bool needs_host,
                        struct side *ret_side)
{
    const struct group *g = narrowest(y, e);

    if (g && needs_host && !all_have_hosts(y, g))
        g = NULL;
    *ret_side = (struct side){.end = e, .existing = g, .group = g ? g->name : NULL};
    if (!g && !e->is_known)
        return false; /* First it has to be in the inventory. */
    if (!g)
        ret_side->group = new_name(y, e->endpoint ? e->endpoint->name : role);
    return true;
}

static void write_group(struct buf *b, const struct side *s)
{
    char text[ADDRESS_TEXT_SIZE];

    if (s->existing)
        return;
    if (s->end->endpoint)
        buf_printf(b, "  %s: {members: [%s]}\n", s->group, s->end->endpoint->name);
    else
        buf_printf(b, "  %s: {outside: [\"%s\"]}\n", s->group,
                   address_format(&s->end->address, text));
}

static void write_end(struct buf *b, const struct why *y, const char *key, const struct side *s)
{
    buf_printf(b, "    %s: %s", key, s->group);
    if (s->existing && s->existing->kind != GROUP_OUTSIDE) {
        uint32_t n = y->world->n_members[s->existing - y->world->policy->groups];

        buf_printf(b, "  # %u endpoint%s", n, n == 1 ? "" : "s");
    }
    buf_putc(b, '\n');
}

/* The named service with this port that has the fewest others, or the port itself. */
static void write_service(struct buf *b, struct why *y)
{
    const struct policy *p = y->world->policy;
    const struct service *best = NULL;
    size_t least = SIZE_MAX;
    bool functions = false;

    for (size_t i = 0; i < p->n_named_services; i++) {
        const struct service *s = &p->services[i];
        size_t ports = 0;

        for (size_t k = 0; k < s->n_ports; k++)
            ports += (size_t)(s->ports[k].high - s->ports[k].low) + 1;
        if (!service_has_port(s, y->facts.protocol, y->facts.port))
            continue;
        functions = functions || s->n_modbus;
        if (s->n_modbus || ports >= least)
            continue;
        best = s;
        least = ports;
    }
    buf_printf(b, "    service: %s%s\n", best ? best->name : why_port_text(y),
               functions ? "  # with any protocol function" : "");
}

static bool has_service(const struct verdict_facts *f)
{
    bool has_ports = f->protocol == IPPROTO_TCP || f->protocol == IPPROTO_UDP;

    return f->protocol == IPPROTO_ICMP ? f->port <= UINT8_MAX : has_ports && f->port;
}

static const char *new_id(struct why *y, const char *from, const char *to)
{
    const char *id = why_text(y, "%.28s-to-%.28s", from, to);

    for (int i = 2; policy_rule(y->world->policy, id) && i < MAX_TRIES; i++)
        id = why_text(y, "%.25s-to-%.25s-%d", from, to, i);
    return id;
}

/* Paths have no line breaks; quotes and backslashes they may have. */
static void write_program(struct buf *b, const char *key, const char *path)
{
    buf_printf(b, "    %s: \"", key);
    for (; *path; path++) {
        if (*path == '"' || *path == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *path);
    }
    buf_puts(b, "\"\n");
}

/* What a file can say: 's' comes from whoever asks. */
static bool is_path(const char *s)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            return false;
    return s[0] == '/' && len <= MODEL_PATH_LEN;
}

/* Not to be said, or sayable. */
static bool can_say(const char *program)
{
    return !program || is_path(program);
}

void why_write_allow(struct why *y)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct verdict_facts *f = &y->facts;
    bool process = f->process && (y->from.end.enforcers & ENFORCER_HOST);
    bool server = f->served_by && (y->to.end.enforcers & ENFORCER_HOST);
    struct side from, to;

    if (!has_service(f) || !can_say(f->process) || !can_say(f->served_by) ||
        !choose_side(y, &y->from, "source", process, &from) ||
        !choose_side(y, &y->to, "destination", server, &to))
        return;
    buf_puts(&b, "suimitsu: 1\n");
    if (!from.existing || !to.existing)
        buf_puts(&b, "groups:\n");
    write_group(&b, &from);
    write_group(&b, &to);
    buf_printf(&b, "allow:\n  - id: %s\n", new_id(y, from.group, to.group));
    write_end(&b, y, "from", &from);
    if (process)
        write_program(&b, "process", f->process);
    write_end(&b, y, "to", &to);
    if (server)
        write_program(&b, "served-by", f->served_by);
    write_service(&b, y);
    buf_puts(&b, "    why: say what needs it\n    owner: say who answers for it\n");
    y->allow_like = arena_text(y->arena, buf_str(&b), b.size);
}
