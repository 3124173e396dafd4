/* SPDX-License-Identifier: Apache-2.0 */
/* Readers, then what is common; see import.h. */
#include "import/import.h"

#include <errno.h>

#include "import/finding.h"
#include "import/ios.h"
#include "import/iptables.h"
#include "import/nft.h"
#include "text/json.h"

enum { MAX_SELF = 64 };

void import_done(struct import *im)
{
    ruleset_free(im->rules);
    draft_done(&im->draft);
}

int import_format_parse(const char *s, enum import_format *ret)
{
    static const char *const names[] = {"auto", "iptables", "nft", "ios"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], s) == 0) {
            *ret = (enum import_format)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- reading ---- */

/* True when some line, behind blanks, begins with one of these. */
static bool has_line(const struct source *s, const char *const begins[], size_t n)
{
    for (size_t at = 0; at < s->size;) {
        const char *line = s->data + at;
        const char *newline = memchr(line, '\n', s->size - at);
        size_t len = newline ? (size_t)(newline - line) : s->size - at;

        at += len + 1;
        while (len && (*line == ' ' || *line == '\t')) {
            line++;
            len--;
        }
        for (size_t i = 0; i < n; i++)
            if (len >= strlen(begins[i]) && strncasecmp(line, begins[i], strlen(begins[i])) == 0)
                return true;
    }
    return false;
}

static enum import_format guess(const struct source *s)
{
    static const char *const nft[] = {"{"};
    static const char *const ios[] = {"access-list ", "ip access-list ", "ipv6 access-list "};
    static const char *const iptables[] = {"-A ", "-P ", "-N ", "*", ":", "iptables", "ip6tables"};

    if (has_line(s, nft, ARRAY_SIZE(nft)))
        return IMPORT_NFT;
    if (has_line(s, ios, ARRAY_SIZE(ios)))
        return IMPORT_IOS;
    return has_line(s, iptables, ARRAY_SIZE(iptables)) ? IMPORT_IPTABLES : IMPORT_AUTO;
}

static void read_source(struct ruleset *rs, const struct source *s, enum import_format format)
{
    const struct place p = {s->name, 1, 1, 1};
    struct diagnostic *x;

    if (format == IMPORT_AUTO)
        format = guess(s);
    if (s->size > IMPORT_MAX_SIZE) {
        ruleset_limit(rs, &p, "bytes in a file", IMPORT_MAX_SIZE);
        return;
    }
    switch (format) {
    case IMPORT_AUTO:
        x = diagnostics_add(rs->d, CODE_SYNTAX, &p, "no rules of a known format");
        diagnostic_expected(x, "iptables-save, nft -j list ruleset, or IOS access lists; "
                               "--format says which");
        break;
    case IMPORT_IPTABLES:
        iptables_read(rs, s);
        break;
    case IMPORT_NFT:
        nft_read(rs, s);
        break;
    case IMPORT_IOS:
        ios_read(rs, s);
        break;
    }
}

static bool wrong_self(struct ruleset *rs, const char *addresses, const char *expected)
{
    struct diagnostic *x =
        diagnostics_add(rs->d, CODE_VALUE, NULL, "\"%s\" for --self-address", addresses);

    diagnostic_expected(x, "%s", expected);
    return false;
}

/* Addresses of families of which the files say nothing are left out. */
static bool read_self(struct ruleset *rs, const char *addresses, struct ranges *ret)
{
    struct range items[MAX_SELF];
    size_t n = 0;

    *ret = (struct ranges){.n = 0};
    for (const char *s = addresses; s && *s;) {
        size_t len = strcspn(s, ",");
        const char *text = arena_text(rs->arena, s, len);
        struct address a;
        point p;

        if (address_parse(text, &a) < 0)
            return wrong_self(rs, addresses, "addresses with commas between, 10.0.0.4,fd00::4");
        if (n == MAX_SELF)
            return wrong_self(rs, addresses, "at most 64 addresses");
        p = address_point(&a);
        s += len + (s[len] == ',');
        if (ranges_have(family_addresses(rs->arena, rs->families), p))
            items[n++] = (struct range){p, p};
        else
            ruleset_ledger(rs, NULL, EFFECT_SAME,
                           ruleset_text(rs,
                                        "no file speaks of the family of %s: it is not in the "
                                        "draft",
                                        text));
    }
    *ret = ranges_of(rs->arena, items, n);
    if (addresses && !n)
        return wrong_self(rs, addresses, "an address of a family that the files speak of");
    return true;
}

/* The draft has to be what it claims to be: a policy that reads without an error. */
static int check_draft(const struct draft *draft, struct diagnostics *d)
{
    CLEANUP(diagnostics_freep) struct diagnostics *own = diagnostics_new();
    CLEANUP(policy_freep) struct policy *policy = NULL;
    CLEANUP(inventory_freep) struct inventory *inventory = NULL;
    const struct source p = {"policy.yaml", buf_str(&draft->policy), draft->policy.size};
    const struct source i = {"inventory.yaml", buf_str(&draft->inventory), draft->inventory.size};

    if (policy_read(&p, 1, own, &policy) == 0 && inventory_read(&i, 1, own, &inventory) == 0)
        return 0;
    diagnostic_fix(diagnostics_add(d, own->items[0].code, NULL,
                                   "the draft would not be a valid policy: line %u: %s",
                                   own->items[0].place.line, own->items[0].message),
                   "import the parts one by one (--chain NAME, or smaller files)");
    return -EBADMSG;
}

static int make_draft(struct import *im, const struct source sources[], size_t n,
                      const struct import_options *options, const struct resolved *what)
{
    CLEANUP(free_voidp) void *memory = xcalloc(n, sizeof(const char *));
    const char **files = memory;
    const struct draft_options d = {options->self_name, files, n};

    for (size_t i = 0; i < n; i++)
        files[i] = sources[i].name;
    draft_write(im->rules, what, &d, &im->draft);
    return im->rules->d->n_errors ? -EBADMSG : check_draft(&im->draft, im->rules->d);
}

/* As they were written: a verdict map is one. */
static size_t count_rules(const struct ruleset *rs)
{
    size_t n = 0;

    for (size_t i = 0; i < rs->n_chains; i++)
        for (size_t k = 0; k < rs->chains[i]->n; k++)
            n += rs->chains[i]->rules[k]->first == rs->chains[i]->rules[k];
    return n;
}

int import_read(const struct source sources[], size_t n, const struct import_options *options,
                struct diagnostics *d, struct import *ret)
{
    struct ruleset *rs = ruleset_new(d);
    struct resolved what = {.n_visits = 0};
    struct ranges self;
    int r = -EBADMSG;

    *ret = (struct import){.rules = rs};
    if (n > IMPORT_MAX_FILES)
        ruleset_limit(rs, NULL, "files", IMPORT_MAX_FILES);
    for (size_t i = 0; i < n && !rs->over_limit; i++)
        read_source(rs, &sources[i], options->format);
    if (!d->n_errors)
        ruleset_link(rs, options->interfaces);
    if (d->n_errors || !read_self(rs, options->self_addresses, &self))
        return r;
    finding_of_text(rs);
    resolve(rs, self, options->chain, &what);
    if (!d->n_errors)
        r = make_draft(ret, sources, n, options, &what);
    resolved_done(&what);
    finding_sort(rs);
    ret->n_rules = count_rules(rs);
    for (size_t i = 0; i < rs->n_ledger; i++)
        ret->n_effective += rs->ledger[i].effect != EFFECT_SAME;
    return r;
}

/* ---- writing ---- */

static void write_place(struct buf *b, const struct import_rule *r)
{
    buf_escape(b, r->place.file, strlen(r->place.file), IMPORT_MAX_TEXT);
    buf_printf(b, ":%u", r->place.line);
    if (r->number) /* Its line may be the whole file. */
        buf_printf(b, ":%u", r->place.column);
    buf_puts(b, ": ");
}

void import_write_ledger(const struct import *im, struct buf *b)
{
    const struct ruleset *rs = im->rules;

    buf_puts(b, "# What could not be carried over as it stands, and what the draft does instead:\n"
                "#   wider     the draft allows more than the original\n"
                "#   narrower  the draft allows less\n"
                "#   same      it is not written, and no verdict differs\n");
    for (enum effect e = EFFECT_WIDER;; e--) {
        for (size_t i = 0; i < rs->n_ledger; i++) {
            const struct ledger_entry *x = &rs->ledger[i];

            if (x->effect != e)
                continue;
            if (x->rule)
                write_place(b, x->rule);
            buf_printf(b, "%s: %s\n", effect_name(e), x->reason);
            if (x->rule)
                buf_printf(b, "    %s\n", x->rule->text);
        }
        if (e == EFFECT_SAME)
            break;
    }
}

void import_write_findings(const struct import *im, struct buf *b)
{
    for (size_t i = 0; i < im->rules->n_findings; i++) {
        const struct finding *f = &im->rules->findings[i];

        write_place(b, f->rule);
        buf_printf(b, "warning %s: %s\n    %s\n    fix: %s\n", finding_code_name(f->code),
                   f->message, f->rule->text, f->fix);
    }
}

static void json_rule(struct buf *b, const struct import_rule *r)
{
    buf_putc(b, ',');
    json_text(b, "file", r->place.file);
    buf_printf(b, ",\"line\":%u,\"column\":%u,", r->place.line, r->place.column);
    json_text(b, "text", r->text);
}

void import_write_json(const struct import *im, struct buf *b)
{
    const struct ruleset *rs = im->rules;

    buf_printf(b,
               "\"rules\":%zu,\"allows\":%zu,\"nevers\":%zu,\"groups\":%zu,\"endpoints\":%zu,"
               "\"not_carried_over\":%zu,\"ledger\":[",
               im->n_rules, im->draft.n_allows, im->draft.n_nevers, im->draft.n_groups,
               im->draft.n_endpoints, im->n_effective);
    for (size_t i = 0; i < rs->n_ledger; i++) {
        buf_printf(b, "%s{\"effect\":\"%s\",", i ? "," : "", effect_name(rs->ledger[i].effect));
        json_text(b, "reason", rs->ledger[i].reason);
        if (rs->ledger[i].rule)
            json_rule(b, rs->ledger[i].rule);
        buf_putc(b, '}');
    }
    buf_puts(b, "],\"findings\":[");
    for (size_t i = 0; i < rs->n_findings; i++) {
        const struct finding *f = &rs->findings[i];

        buf_printf(b, "%s{\"code\":\"%s\",", i ? "," : "", finding_code_name(f->code));
        json_text(b, "message", f->message);
        buf_putc(b, ',');
        json_text(b, "fix", f->fix);
        json_rule(b, f->rule);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}
