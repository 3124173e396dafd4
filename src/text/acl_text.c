/* SPDX-License-Identifier: Apache-2.0 */
/* Remarks and entries; see acl_text.h. */
#include "text/acl_text.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "base/table.h"

enum { V4_BITS = 96, ALL_BITS = 128 };

int acl_format_parse(const char *s, enum acl_format *ret_format)
{
    if (strcmp(s, "ios") == 0)
        *ret_format = ACL_FORMAT_IOS;
    else if (strcmp(s, "eos") == 0)
        *ret_format = ACL_FORMAT_EOS;
    else
        return -EINVAL;
    return 0;
}

/* ---- remarks ---- */

/* What a terminal of a switch takes for itself is not among it: ! ? ^ $ and control bytes. */
static bool is_harmless(char c)
{
    return isalnum((unsigned char)c) || strchr(" .,:;()/+-=_@#%&*", c);
}

/* Foreign text: what is not harmless becomes one '_' for each run of it. */
static void add_safe(struct buf *b, const char *s, size_t max)
{
    size_t from = b->size;

    for (; *s; s++) {
        if (b->size - from >= max) {
            b->size = from + max - 3;
            buf_puts(b, "...");
            return;
        }
        if (isascii(*s) && is_harmless(*s))
            buf_putc(b, *s);
        else if (b->size == from || b->data[b->size - 1] != '_')
            buf_putc(b, '_');
    }
}

static void remark(struct buf *b, const char *head, const char *text)
{
    buf_printf(b, " remark %s", head);
    add_safe(b, text, ACL_REMARK_LEN - strlen(head));
    buf_putc(b, '\n');
}

static const char *remark_of_section(const struct acl_entry *e)
{
    switch (e->section) {
    case ACL_LINK:
        return "the link itself: neighbours, routers, an address by DHCP";
    case ACL_ERRORS:
        return "ICMP errors: the switch does not know to which connection they belong";
    case ACL_LIFELINE:
        return "lifeline: agents and controller";
    case ACL_REPLY_TCP:
        return "replies of TCP: established, so that no connection can be opened by them";
    case ACL_REPLY_UDP:
        return "replies of UDP: stateless, so anything from the served port to these passes";
    case ACL_REPLY_ICMP:
        return "replies of echo and its like: stateless, so they pass unasked too";
    case ACL_NAMED:
    case ACL_REST:
        if (e->action == ACL_LOG)
            return "test or learn mode: denied by default, only logged";
        return e->action == ACL_DENY ? "denied" : "allowed";
    case ACL_STOP:
        return "nothing else with these: what follows is for others";
    case ACL_END:
        return "default: nothing else";
    }
    return "";
}

/* Conditions that a switch cannot check: somebody else does, or the rule says that nobody need. */
static void remark_conditions(struct buf *b, const struct policy *p, const struct rule *r)
{
    const struct match *m = &r->match;
    bool functions = false;
    char what[64];

    for (size_t i = 0; i < m->n_services; i++)
        functions = functions || p->services[m->services[i]].n_modbus;
    if (!m->n_processes && !m->n_users && !m->n_served_by && !functions)
        return;
    (void)snprintf(what, sizeof(what), "%s%s%s%s", m->n_processes ? " program" : "",
                   m->n_users ? " user" : "", m->n_served_by ? " server" : "",
                   functions ? " function" : "");
    remark(b, "not checked here but by the agents or edges:", what);
    if (r->accept_weaker)
        remark(b, "where there is none, accept-weaker: ", r->accept_weaker);
}

static void remark_rule(struct buf *b, const struct acl_words *w, uint32_t number)
{
    const char *id = w->names->rules[number - 1].id;
    const struct rule *r = policy_rule(w->policy, id);
    CLEANUP(buf_done) struct buf head = BUF_INIT;
    char day[DATE_TEXT_SIZE];

    buf_printf(&head, "%s, owner ", id);
    if (r)
        add_safe(&head, r->owner, ACL_REMARK_LEN);
    remark(b, "rule ", buf_str(&head));
    if (!r)
        return;
    remark(b, "why: ", r->why);
    remark_conditions(b, w->policy, r);
    if (r->expires_s != MODEL_NEVER_EXPIRES)
        remark(b, "export again when it expires: ", date_format(r->expires_s - 1, day));
}

static bool same_remarks(const struct acl_entry *a, const struct acl_entry *b)
{
    return a->stage == b->stage && a->section == b->section && a->action == b->action &&
           a->n_rules == b->n_rules && a->has_more_rules == b->has_more_rules &&
           memcmp(a->rules, b->rules, a->n_rules * sizeof a->rules[0]) == 0;
}

static void add_remarks(struct buf *b, const struct acl_words *w, const struct acl_entry *e,
                        const struct acl_entry *before)
{
    if (before && same_remarks(e, before))
        return;
    remark(b, "", remark_of_section(e));
    for (unsigned i = 0; i < e->n_rules; i++)
        remark_rule(b, w, e->rules[i]);
    if (e->has_more_rules)
        remark(b, "", "and more rules that say the same");
}

/* ---- entries ---- */

static void add_end(struct buf *b, const struct acl *a, enum acl_format format,
                    const struct prefix *p)
{
    unsigned length = a->v6 ? p->length : p->length - V4_BITS;
    char text[ADDRESS_TEXT_SIZE];
    uint32_t wildcard;

    (void)address_format(&p->address, text);
    if (!length)
        buf_puts(b, " any");
    else if (p->length == ALL_BITS)
        buf_printf(b, " host %s", text);
    else if (a->v6 || format == ACL_FORMAT_EOS)
        buf_printf(b, " %s/%u", text, length);
    else {
        wildcard = UINT32_MAX >> length;
        buf_printf(b, " %s %u.%u.%u.%u", text, wildcard >> 24, (wildcard >> 16) & 0xff,
                   (wildcard >> 8) & 0xff, wildcard & 0xff);
    }
}

static void add_port(struct buf *b, uint16_t low, uint16_t high)
{
    if (low == high)
        buf_printf(b, " eq %u", low);
    else
        buf_printf(b, " range %u %u", low, high);
}

static const char *protocol_word(const struct acl *a, enum acl_format format, uint8_t protocol)
{
    if (protocol == IPPROTO_TCP)
        return "tcp";
    if (protocol == IPPROTO_UDP)
        return "udp";
    if (protocol == IPPROTO_ICMP)
        return a->v6 && format == ACL_FORMAT_EOS ? "icmpv6" : "icmp";
    return a->v6 ? "ipv6" : "ip";
}

/* Both formats write an entry alike, but for prefixes and the name of ICMPv6. */
static void add_entry(struct buf *b, const struct acl *a, enum acl_format format,
                      const struct acl_entry *e)
{
    bool leaves = a->way == ACL_IN, ports = e->has_ports && e->protocol != IPPROTO_ICMP;

    buf_printf(b, " %s %s", e->action == ACL_DENY ? "deny" : "permit",
               protocol_word(a, format, e->protocol));
    add_end(b, a, format, leaves ? &e->local : &e->remote);
    if (ports && e->is_reply)
        add_port(b, e->low, e->high);
    else if (e->has_peer_port)
        add_port(b, e->peer_port, e->peer_port);
    add_end(b, a, format, leaves ? &e->remote : &e->local);
    if (ports && !e->is_reply)
        add_port(b, e->low, e->high);
    if (e->has_ports && !ports)
        buf_printf(b, " %u", e->low);
    if (e->is_reply && e->protocol == IPPROTO_TCP)
        buf_puts(b, " established");
    if (e->action == ACL_LOG)
        buf_puts(b, " log");
    buf_putc(b, '\n');
}

static void name_list(const struct acl *a, enum acl_format format, char ret_name[ACL_NAME_SIZE])
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (size_t i = 0; i < a->n; i++)
        add_entry(&b, a, format, &a->entries[i]);
    (void)snprintf(ret_name, ACL_NAME_SIZE, "SM-%s%u-%08x", a->way == ACL_IN ? "IN" : "OUT",
                   a->v6 ? 6u : 4u, table_hash(buf_str(&b), b.size, 0));
}

void acl_text(struct buf *b, const struct acl *a, const struct acl_words *w,
              char ret_name[ACL_NAME_SIZE])
{
    const char *head = a->v6                         ? "ipv6 access-list"
                       : w->format == ACL_FORMAT_IOS ? "ip access-list extended"
                                                     : "ip access-list";

    name_list(a, w->format, ret_name);
    buf_printf(b, "%s %s\n", head, ret_name);
    for (size_t i = 0; i < a->n; i++) {
        add_remarks(b, w, &a->entries[i], i ? &a->entries[i - 1] : NULL);
        add_entry(b, a, w->format, &a->entries[i]);
    }
    buf_puts(b, "!\n");
}

void acl_text_use(struct buf *b, const struct acl *a, const struct acl_words *w, const char *name)
{
    const char *verb = a->v6 && w->format == ACL_FORMAT_IOS ? "ipv6 traffic-filter"
                       : a->v6                              ? "ipv6 access-group"
                                                            : "ip access-group";

    buf_printf(b, " %s %s %s\n", verb, name, a->way == ACL_IN ? "in" : "out");
}
