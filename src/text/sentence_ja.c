/* SPDX-License-Identifier: Apache-2.0 */
/* Fields in the order of Japanese speech: who, from where, by what, to where, and then the verb;
 * see sentence.h.  Latin names stand between blanks, as Japanese technical text has them. */
#include "base/date.h"
#include "text/sentence.h"

static void add_selector(struct buf *b, const struct policy *p, const struct selector *s)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct group *g = &p->groups[s->groups[i]];

        buf_printf(b, "%s%s%s", i ? " または " : "", g->name,
                   g->kind == GROUP_OUTSIDE ? "（外部）" : "");
    }
}

static void add_particle(struct buf *b, const char *particle)
{
    buf_printf(b, " %s", particle);
}

/* Blanks stand between Latin and Japanese letters only. */
static void tighten(struct buf *b, size_t from)
{
    size_t to = from;

    for (size_t i = from; i < b->size; i++) {
        bool inner = i > from && i + 1 < b->size;

        if (b->data[i] == ' ' && inner && (b->data[i - 1] & 0x80) && (b->data[i + 1] & 0x80))
            continue;
        b->data[to++] = b->data[i];
    }
    b->size = to;
    b->data[to] = 0;
}

static void add_programs(struct buf *b, const char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(paths[i], '/');

        buf_printf(b, "%s%s", i ? " または " : "", slash ? slash + 1 : paths[i]);
    }
}

/* "利用者 alice または @ops の利用者" */
static void add_users(struct buf *b, const struct match *m)
{
    for (size_t i = 0; i < m->n_users; i++) {
        if (i)
            buf_puts(b, m->users[i - 1].is_group ? "または " : " または ");
        if (m->users[i].is_group)
            buf_printf(b, "@%s の利用者", m->users[i].name);
        else
            buf_printf(b, "利用者 %s", m->users[i].name);
    }
}

/* "は" or "が", behind the users. */
static void end_users(struct buf *b, const struct match *m, const char *particle)
{
    buf_printf(b, "%s%s", m->users[m->n_users - 1].is_group ? "" : " ", particle);
}

/* "web の orders", "隔離された端末の curl", "web" */
static void add_place(struct buf *b, const struct policy *p, const struct match *m, bool suspect)
{
    bool anywhere = m->from.any && !suspect;

    if (suspect)
        buf_puts(b, "隔離された端末");
    else if (anywhere)
        buf_puts(b, m->n_processes ? "どの端末" : "どこ");
    else
        add_selector(b, p, &m->from);
    if (!m->n_processes)
        return;
    if (suspect || anywhere)
        buf_puts(b, "の ");
    else {
        add_particle(b, "の");
        buf_putc(b, ' ');
    }
    add_programs(b, m->processes, m->n_processes);
}

/* Does add_place() end in Japanese letters, behind which no blank stands? */
static bool ends_japanese(const struct match *m, bool suspect)
{
    return !m->n_processes && (suspect || m->from.any);
}

static void add_subject(struct buf *b, const struct policy *p, const struct match *m, bool suspect,
                        bool never)
{
    bool anywhere = m->from.any && !suspect && !m->n_processes;

    if (m->n_users) {
        add_users(b, m);
        end_users(b, m, "は");
        buf_puts(b, m->from.any && !suspect && !m->n_processes ? "、" : " ");
    }
    add_place(b, p, m, suspect);
    if (anywhere)
        buf_puts(b, never ? "からも" : "からでも");
    else if (ends_japanese(m, suspect))
        buf_puts(b, m->n_users ? "から" : "は");
    else
        add_particle(b, m->n_users                                  ? "から"
                        : m->from.any && !suspect && m->n_processes ? "も"
                                                                    : "は");
    buf_puts(b, anywhere || (m->from.any && !suspect) ? "、" : " ");
}

static void add_services(struct buf *b, const struct policy *p, const struct match *m)
{
    for (size_t i = 0; i < m->n_services; i++) {
        const struct service *s = &p->services[m->services[i]];

        buf_printf(b, "%s%s", i ? " または " : "", s->name);
        if (s->n_modbus) {
            buf_puts(b, "（機能コード ");
            sentence_add_functions(b, s);
            buf_puts(b, " のみ）");
        }
    }
}

/* "postgres で " */
static void add_means(struct buf *b, const struct policy *p, const struct match *m)
{
    if (!m->n_services)
        return;
    add_services(b, p, m);
    add_particle(b, "で");
    buf_putc(b, ' ');
}

/* "db に", "db の postgres に", "どこにでも" */
static void add_target(struct buf *b, const struct policy *p, const struct match *m, bool suspect,
                       bool never)
{
    bool anywhere = m->to.any && !suspect;

    if (suspect)
        buf_puts(b, "隔離された端末");
    else if (anywhere)
        buf_puts(b, m->n_served_by ? "どの端末" : "どこ");
    else
        add_selector(b, p, &m->to);
    if (m->n_served_by) {
        if (suspect || anywhere)
            buf_puts(b, "の ");
        else {
            add_particle(b, "の");
            buf_putc(b, ' ');
        }
        add_programs(b, m->served_by, m->n_served_by);
        buf_puts(b, anywhere && !never ? " にでも" : anywhere ? " にも" : " に");
    } else if (anywhere) {
        buf_puts(b, never ? "にも" : "にでも");
    } else if (suspect) {
        buf_puts(b, "に");
    } else {
        add_particle(b, "に");
    }
}

static void add_except(struct buf *b, const struct policy *p, const struct match *m)
{
    buf_puts(b, "ただし、");
    if (m->n_users) {
        add_users(b, m);
        end_users(b, m, "が");
        buf_putc(b, ' ');
    }
    if (m->from.given || m->n_processes) {
        add_place(b, p, m, false);
        if (ends_japanese(m, false))
            buf_puts(b, "から");
        else
            add_particle(b, "から");
        buf_putc(b, ' ');
    }
    add_means(b, p, m);
    if (m->to.given) {
        add_target(b, p, m, false, false);
        buf_putc(b, ' ');
    }
    buf_puts(b, "接続する場合を除く。");
}

static void add_reasons(struct buf *b, const struct rule *r)
{
    char day[DATE_TEXT_SIZE];

    buf_printf(b, "理由: %s（担当 %s", r->why, r->owner);
    if (r->expires_s != MODEL_NEVER_EXPIRES)
        buf_printf(b, "、%s まで", date_format(r->expires_s - DATE_DAY_S, day));
    buf_puts(b, "）");
    if (r->learned) {
        buf_printf(b, "。%s から ", date_format(r->learned->from_s, day));
        buf_printf(b, "%s までの %llu フローから学習（署名 %s）",
                   date_format(r->learned->to_s, day), (unsigned long long)r->learned->flows,
                   r->learned->signed_by);
    }
    if (r->accept_weaker)
        buf_printf(b, "。条件を確認できない所では満たされたものとみなす: %s", r->accept_weaker);
}

void sentence_of_rule_ja(struct buf *b, const struct policy *p, const struct rule *r)
{
    const struct match *m = &r->match;
    bool never = r->layer == LAYER_NEVER;
    bool from_suspect = r->layer == LAYER_QUARANTINE && m->to.given;
    bool to_suspect = r->layer == LAYER_QUARANTINE && !m->to.given;
    size_t start = b->size;

    add_subject(b, p, m, from_suspect, never);
    add_means(b, p, m);
    add_target(b, p, m, to_suspect, never);
    if (!m->n_services)
        buf_puts(b, never ? "いっさい" : "どのプロトコルでも");
    buf_puts(b, never ? "接続してはならない。" : "接続できる。");
    if (r->except)
        add_except(b, p, r->except);
    tighten(b, start); /* Not the reasons, which are a person's own words. */
    add_reasons(b, r);
}
