/* SPDX-License-Identifier: Apache-2.0 */
/* Fields in the order of speech; see sentence.h. */
#include "text/sentence.h"

#include "base/date.h"

static void add_selector(struct buf *b, const struct policy *p, const struct selector *s)
{
    if (s->any) {
        buf_puts(b, "any");
        return;
    }
    for (size_t i = 0; i < s->n_groups; i++)
        buf_printf(b, "%s%s", i ? " or " : "", p->groups[s->groups[i]].name);
}

/* "orders or psql": the last part of each path. */
static void add_programs(struct buf *b, const char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(paths[i], '/');

        buf_printf(b, "%s%s", i ? " or " : "", slash ? slash + 1 : paths[i]);
    }
}

static void add_users(struct buf *b, const struct match *m)
{
    for (size_t i = 0; i < m->n_users; i++)
        buf_printf(b, "%s%s%s", i ? " or " : " as ", m->users[i].is_group ? "one of @" : "",
                   m->users[i].name);
}

static void add_services(struct buf *b, const struct policy *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++)
        buf_printf(b, "%s%s", i ? " or " : " by ", p->services[m->services[i]].name);
}

static void add_source(struct buf *b, const struct policy *p, const struct match *m)
{
    if (m->n_processes) {
        add_programs(b, m->processes, m->n_processes);
        buf_puts(b, " on ");
    }
    add_selector(b, p, &m->from);
    add_users(b, m);
}

static void add_rest(struct buf *b, const struct policy *p, const struct match *m)
{
    add_services(b, p, m);
    if (m->n_served_by) {
        buf_puts(b, " served by ");
        add_programs(b, m->served_by, m->n_served_by);
    }
}

static void add_except(struct buf *b, const struct policy *p, const struct match *m)
{
    buf_puts(b, ", except");
    if (m->n_processes) {
        buf_puts(b, " ");
        add_programs(b, m->processes, m->n_processes);
    }
    if (m->from.given) {
        buf_puts(b, m->n_processes ? " on " : " from ");
        add_selector(b, p, &m->from);
    }
    add_users(b, m);
    if (m->to.given) {
        buf_puts(b, " to ");
        add_selector(b, p, &m->to);
    }
    add_services(b, p, m);
}

void sentence_of_rule(struct buf *b, const struct policy *p, const struct rule *r)
{
    const struct match *m = &r->match;
    bool suspect_sends = r->layer == LAYER_QUARANTINE && m->to.given;
    bool suspect_receives = r->layer == LAYER_QUARANTINE && !m->to.given;
    char day[DATE_TEXT_SIZE];

    if (suspect_sends) {
        buf_puts(b, m->n_processes ? "" : "a suspect");
        add_programs(b, m->processes, m->n_processes);
        buf_puts(b, m->n_processes ? " on a suspect" : "");
        add_users(b, m);
    } else {
        add_source(b, p, m);
    }
    buf_puts(b, r->layer == LAYER_NEVER ? " may never reach " : " may reach ");
    if (suspect_receives)
        buf_puts(b, "a suspect");
    else
        add_selector(b, p, &m->to);
    add_rest(b, p, m);
    if (r->except)
        add_except(b, p, r->except);
    buf_printf(b, ", because %s — %s", r->why, r->owner);
    if (r->expires_s != MODEL_NEVER_EXPIRES)
        buf_printf(b, ", until %s", date_format(r->expires_s - DATE_DAY_S, day));
    if (r->accept_weaker)
        buf_printf(b, "; weaker checks accepted: %s", r->accept_weaker);
}
