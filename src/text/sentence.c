/* SPDX-License-Identifier: Apache-2.0 */
/* Fields in the order of English speech; see sentence.h. */
#include "text/sentence.h"

#include <errno.h>

#include "base/date.h"

int language_parse(const char *s, enum language *ret_language)
{
    static const char *const names[] = {[LANGUAGE_EN] = "en", [LANGUAGE_JA] = "ja"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strncmp(s, names[i], 2) == 0 && (!s[2] || strchr("_.@", s[2]))) {
            *ret_language = (enum language)i;
            return 0;
        }
    return -EINVAL;
}

void sentence_add_functions(struct buf *b, const struct service *s)
{
    bool wanted[MODEL_MAX_MODBUS + 2] = {false}; /* One more, where the last run ends. */
    const char *comma = "";

    for (size_t i = 0; i < s->n_modbus; i++)
        wanted[s->modbus[i]] = true;
    for (unsigned f = 1, end; f <= MODEL_MAX_MODBUS; f++) {
        if (!wanted[f])
            continue;
        for (end = f; wanted[end + 1];)
            end++;
        buf_printf(b, end > f ? "%s%u-%u" : "%s%u", comma, f, end);
        comma = ", ";
        f = end;
    }
}

/* 'any' is how "any" is said here. */
static void add_selector(struct buf *b, const struct policy *p, const struct selector *s,
                         const char *any)
{
    if (s->any) {
        buf_puts(b, any);
        return;
    }
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct group *g = &p->groups[s->groups[i]];

        buf_printf(b, "%s%s%s", i ? " or " : "", g->name,
                   g->kind == GROUP_OUTSIDE ? " (outside)" : "");
    }
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
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &p->services[m->services[i]];

        buf_printf(b, "%s%s", i ? " or " : " by ", s->name);
        if (s->n_modbus) {
            buf_puts(b, s->n_modbus == 1 ? " (only function " : " (only functions ");
            sentence_add_functions(b, s);
            buf_putc(b, ')');
        }
    }
}

static void add_source(struct buf *b, const struct policy *p, const struct match *m,
                       const char *any)
{
    if (m->n_processes) {
        add_programs(b, m->processes, m->n_processes);
        buf_puts(b, " on ");
    }
    add_selector(b, p, &m->from, m->n_processes ? "anything" : any);
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
        add_selector(b, p, &m->from, m->n_processes ? "anything" : "anywhere");
    }
    add_users(b, m);
    if (m->to.given) {
        buf_puts(b, " to ");
        add_selector(b, p, &m->to, "anything");
    }
    add_services(b, p, m);
}

static void add_suspect(struct buf *b, const struct match *m)
{
    add_programs(b, m->processes, m->n_processes);
    buf_puts(b, m->n_processes ? " on a suspect" : "a suspect");
    add_users(b, m);
}

static void add_reasons(struct buf *b, const struct rule *r)
{
    char day[DATE_TEXT_SIZE];

    buf_printf(b, ", because %s — %s", r->why, r->owner);
    if (r->expires_s != MODEL_NEVER_EXPIRES)
        buf_printf(b, ", until %s", date_format(r->expires_s - DATE_DAY_S, day));
    if (r->learned) {
        buf_printf(b, "; learned from %llu flows of %s", (unsigned long long)r->learned->flows,
                   date_format(r->learned->from_s, day));
        buf_printf(b, " to %s, signed by %s", date_format(r->learned->to_s, day),
                   r->learned->signed_by);
    }
    if (r->accept_weaker)
        buf_printf(b, "; where nobody can check its conditions they count as met: %s",
                   r->accept_weaker);
}

void sentence_of_rule(struct buf *b, const struct policy *p, const struct rule *r)
{
    const struct match *m = &r->match;
    bool never = r->layer == LAYER_NEVER, nobody = never && m->from.any && !m->n_processes;

    if (r->layer == LAYER_QUARANTINE && m->to.given)
        add_suspect(b, m);
    else
        add_source(b, p, m, nobody ? "nobody" : "anybody");
    buf_puts(b, never && !nobody ? " may never reach " : " may reach ");
    if (r->layer == LAYER_QUARANTINE && !m->to.given)
        buf_puts(b, "a suspect");
    else
        add_selector(b, p, &m->to, "anything");
    add_rest(b, p, m);
    if (r->except)
        add_except(b, p, r->except);
    add_reasons(b, r);
}
