/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, words, options; see iptables.h and iptables-extensions(8). */
#include "import/iptables.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/number.h"
#include "import/lines.h"
#include "import/match.h"
#include "import/wellknown.h"

enum { MAX_WORDS = 300 };

struct word_at {
    const char *text;
    uint32_t column;
};

struct reading {
    struct ruleset *rs;
    const char *file;
    enum family family;
    const char *table;
    uint32_t line;
    const char *raw; /* The line. */
    size_t raw_len;
    struct word_at words[MAX_WORDS];
    size_t n_words, at;
    bool ok; /* Of this line. */
};

struct line_rule { /* The rule that is being read. */
    struct match_parts match;
    const char *target, *comment;
    bool is_goto;
};

static struct place place_of(const struct reading *in, size_t word)
{
    size_t len = word < in->n_words ? strlen(in->words[word].text) : 1;

    return (struct place){in->file, in->line, word < in->n_words ? in->words[word].column : 1,
                          len ? (uint32_t)len : 1};
}

static void wrong(struct reading *in, enum code code, size_t word, const char *expected)
{
    struct place p = place_of(in, word);
    struct diagnostic *x;

    if (!in->ok)
        return;
    in->ok = false;
    if (word < in->n_words)
        x = diagnostics_add(in->rs->d, code, &p, "\"%s\" here", in->words[word].text);
    else
        x = diagnostics_add(in->rs->d, code, &p, "the line ends too early");
    diagnostic_expected(x, "%s", expected);
}

/* ---- words ---- */

/* One word from offset 'i'; quotes and backslashes as iptables-save writes them. */
static size_t split_word(struct reading *in, size_t i)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    size_t start = i;
    char quote = 0;

    for (; i < in->raw_len; i++) {
        char c = in->raw[i];

        if (quote && c == '\\' && i + 1 < in->raw_len)
            buf_putc(&b, in->raw[++i]);
        else if (quote ? c == quote : c == '"' || c == '\'')
            quote = (char)(quote ? 0 : c);
        else if (!quote && (c == ' ' || c == '\t'))
            break;
        else
            buf_putc(&b, c);
    }
    if (in->n_words == MAX_WORDS) {
        struct place p = place_of(in, 0);

        ruleset_limit(in->rs, &p, "words in a line", MAX_WORDS);
        in->ok = false;
        return in->raw_len;
    }
    in->words[in->n_words++] =
        (struct word_at){arena_text(in->rs->arena, buf_str(&b), b.size), (uint32_t)start + 1};
    if (quote)
        wrong(in, CODE_SYNTAX, in->n_words - 1, "a closing quote");
    return i;
}

static void split(struct reading *in)
{
    in->n_words = in->at = 0;
    in->ok = true;
    for (size_t i = 0; i < in->raw_len;) {
        if (in->raw[i] == ' ' || in->raw[i] == '\t')
            i++;
        else
            i = split_word(in, i);
    }
}

static const char *next(struct reading *in)
{
    if (in->at >= in->n_words) {
        wrong(in, CODE_SYNTAX, in->at, "a value");
        return "";
    }
    return in->words[in->at++].text;
}

static bool is_word(const struct reading *in, const char *s)
{
    return in->at < in->n_words && strcmp(in->words[in->at].text, s) == 0;
}

/* ---- values ---- */

/* A list with commas; each item through 'read', which adds to 'list'. */
struct range_list {
    struct range *items;
    size_t n, room;
};

static bool add_range(struct reading *in, struct range_list *l, struct range r)
{
    struct place p = place_of(in, in->at - 1);

    if (l->n == IMPORT_MAX_RANGES) {
        ruleset_limit(in->rs, &p, "addresses or ports in a list", IMPORT_MAX_RANGES);
        in->ok = false;
        return false;
    }
    GROW(l->items, l->n, l->room);
    l->items[l->n++] = r;
    return true;
}

static bool is_v4(point p)
{
    return p >> 32 == 0xffff;
}

static bool read_address(struct reading *in, struct match_parts *m, const char *s,
                         struct range_list *to)
{
    struct range r;
    bool host;
    int e = parse_addresses(in->rs, s, &r, &host);

    if (e == -EDOM) {
        match_inexact(m, "a mask with holes, %s", s);
        return true;
    }
    if (e < 0) {
        wrong(in, CODE_VALUE, in->at - 1, "an address, a network like 10.0.0.0/8, or a range");
        return false;
    }
    if (host && !m->host_network)
        m->host_network = s;
    if (is_v4(r.low) != (in->family == FAMILY_V4)) {
        wrong(in, CODE_VALUE, in->at - 1,
              in->family == FAMILY_V4 ? "an IPv4 address, as elsewhere in this file"
                                      : "an IPv6 address, as elsewhere in this file");
        return false;
    }
    return add_range(in, to, r);
}

static bool read_port(struct reading *in, struct match_parts *m, const char *s,
                      struct range_list *to)
{
    const char *colon = strchr(s, ':');
    size_t len = colon ? (size_t)(colon - s) : strlen(s);
    uint64_t low = 0, high = 65535;
    struct range r;

    (void)m;
    if (len && number_parse(s, len, 65535, &low) < 0 &&
        wellknown_port(arena_text(in->rs->arena, s, len), &low) < 0)
        low = UINT64_MAX;
    if (!colon)
        high = low;
    else if (colon[1] && number_parse(colon + 1, strlen(colon + 1), 65535, &high) < 0 &&
             wellknown_port(colon + 1, &high) < 0)
        high = UINT64_MAX;
    if (low > 65535 || high > 65535 || low > high) {
        wrong(in, CODE_RANGE, in->at - 1, "a port from 0 to 65535, or LOW:HIGH");
        return false;
    }
    r = (struct range){low ? low : 1, high};
    return r.high == 0 || add_range(in, to, r);
}

static bool read_list(struct reading *in, struct match_parts *m,
                      bool (*read)(struct reading *, struct match_parts *, const char *,
                                   struct range_list *),
                      struct ranges *ret)
{
    const char *s = next(in);
    struct range_list l = {.items = NULL};
    bool ok = in->ok;

    while (ok) {
        size_t len = strcspn(s, ",");

        ok = read(in, m, arena_text(in->rs->arena, s, len), &l);
        if (!s[len])
            break;
        s += len + 1;
    }
    *ret = ranges_of(in->rs->arena, l.items, l.n);
    free(l.items);
    return ok;
}

static void read_addresses(struct reading *in, struct match_parts *m, bool source, bool negated)
{
    const char *before = m->inexact;
    struct ranges set;

    if (read_list(in, m, read_address, &set) && m->inexact == before)
        match_address(m, source, set, negated);
}

static void read_ports(struct reading *in, struct match_parts *m, bool source, bool negated)
{
    struct ranges set;

    if (read_list(in, m, read_port, &set))
        match_ports(m, source, set, negated);
}

static void read_protocol(struct reading *in, struct match_parts *m, bool negated)
{
    const char *s = next(in);
    uint8_t protocol;

    if (strcmp(s, "all") == 0 || strcmp(s, "0") == 0)
        return;
    if (wellknown_protocol(s, &protocol) < 0)
        match_inexact(m, "the protocol %s", s);
    else
        match_protocols(m, ranges_one(in->rs->arena, protocol, protocol), negated);
}

static void read_interface(struct reading *in, struct match_parts *m, bool outgoing, bool negated)
{
    const char *s = next(in);
    size_t len = strlen(s);

    if (len && s[len - 1] == '+')
        s = ruleset_text(in->rs, "%.*s*", (int)len - 1, s);
    match_interface(m, outgoing, &s, 1, negated);
}

static void read_states(struct reading *in, struct match_parts *m, bool negated)
{
    const char *s = next(in);
    unsigned states = 0;

    while (in->ok) {
        size_t len = strcspn(s, ",");
        const char *name = arena_text(in->rs->arena, s, len);
        unsigned state = state_of_name(name);

        if (!state && (strcmp(name, "SNAT") == 0 || strcmp(name, "DNAT") == 0))
            match_inexact(m, "the state %s", name);
        else if (!state)
            wrong(in, CODE_VALUE, in->at - 1, "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED");
        states |= state;
        if (!s[len])
            break;
        s += len + 1;
    }
    match_states(m, states, negated);
}

static unsigned read_flag_list(struct reading *in)
{
    const char *s = next(in);
    unsigned flags = 0;

    while (in->ok) {
        size_t len = strcspn(s, ",");
        int flag = flags_of_name(arena_text(in->rs->arena, s, len));

        if (flag < 0)
            wrong(in, CODE_VALUE, in->at - 1, "FIN, SYN, RST, PSH, ACK, URG, ALL or NONE");
        else
            flags |= (unsigned)flag;
        if (!s[len])
            break;
        s += len + 1;
    }
    return flags;
}

static void read_flags(struct reading *in, struct match_parts *m, bool negated)
{
    unsigned mask = read_flag_list(in), value = read_flag_list(in);

    match_flags(m, mask, value, negated);
}

static void read_type(struct reading *in, struct match_parts *m, bool negated)
{
    const char *s = next(in);
    bool v6 = in->family == FAMILY_V6;
    unsigned type;

    if (strchr(s, '/'))
        match_inexact(m, "an ICMP code, %s", s);
    else if (strcmp(s, "any") == 0)
        return;
    else if (wellknown_icmp(s, v6, &type) < 0)
        match_inexact(m, "the ICMP type %s", s);
    else
        match_types(m, v6, ranges_one(in->rs->arena, type, type), negated);
}

/* ---- options ---- */

enum option {
    OPTION_SOURCE,
    OPTION_DESTINATION,
    OPTION_PROTOCOL,
    OPTION_IN,
    OPTION_OUT,
    OPTION_MODULE,
    OPTION_JUMP,
    OPTION_GOTO,
    OPTION_SPORT,
    OPTION_DPORT,
    OPTION_BOTH_PORTS,
    OPTION_FLAGS,
    OPTION_SYN,
    OPTION_TYPE,
    OPTION_STATE,
    OPTION_COMMENT,
    OPTION_COUNTERS,
    OPTION_ONE_VALUE, /* Of targets: means nothing to a verdict. */
    OPTION_NO_VALUE,
    OPTION_OTHER,
};

static const struct {
    const char *name;
    enum option option;
} options[] = {{"-s", OPTION_SOURCE},
               {"--source", OPTION_SOURCE},
               {"--src", OPTION_SOURCE},
               {"--src-range", OPTION_SOURCE},
               {"-d", OPTION_DESTINATION},
               {"--destination", OPTION_DESTINATION},
               {"--dst", OPTION_DESTINATION},
               {"--dst-range", OPTION_DESTINATION},
               {"-p", OPTION_PROTOCOL},
               {"--protocol", OPTION_PROTOCOL},
               {"--proto", OPTION_PROTOCOL},
               {"-i", OPTION_IN},
               {"--in-interface", OPTION_IN},
               {"-o", OPTION_OUT},
               {"--out-interface", OPTION_OUT},
               {"-m", OPTION_MODULE},
               {"--match", OPTION_MODULE},
               {"-j", OPTION_JUMP},
               {"--jump", OPTION_JUMP},
               {"-g", OPTION_GOTO},
               {"--goto", OPTION_GOTO},
               {"--sport", OPTION_SPORT},
               {"--source-port", OPTION_SPORT},
               {"--sports", OPTION_SPORT},
               {"--source-ports", OPTION_SPORT},
               {"--dport", OPTION_DPORT},
               {"--destination-port", OPTION_DPORT},
               {"--dports", OPTION_DPORT},
               {"--destination-ports", OPTION_DPORT},
               {"--ports", OPTION_BOTH_PORTS},
               {"--tcp-flags", OPTION_FLAGS},
               {"--syn", OPTION_SYN},
               {"--icmp-type", OPTION_TYPE},
               {"--icmpv6-type", OPTION_TYPE},
               {"--state", OPTION_STATE},
               {"--ctstate", OPTION_STATE},
               {"--comment", OPTION_COMMENT},
               {"-c", OPTION_COUNTERS},
               {"--set-counters", OPTION_COUNTERS},
               {"--reject-with", OPTION_ONE_VALUE},
               {"--log-prefix", OPTION_ONE_VALUE},
               {"--log-level", OPTION_ONE_VALUE},
               {"--nflog-prefix", OPTION_ONE_VALUE},
               {"--nflog-group", OPTION_ONE_VALUE},
               {"--nflog-threshold", OPTION_ONE_VALUE},
               {"--set-mark", OPTION_ONE_VALUE},
               {"--set-xmark", OPTION_ONE_VALUE},
               {"--log-tcp-sequence", OPTION_NO_VALUE},
               {"--log-tcp-options", OPTION_NO_VALUE},
               {"--log-ip-options", OPTION_NO_VALUE},
               {"--log-uid", OPTION_NO_VALUE},
               {"-4", OPTION_NO_VALUE},
               {"-6", OPTION_NO_VALUE}};

static enum option option_of(const char *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (strcmp(options[i].name, s) == 0)
            return options[i].option;
    return OPTION_OTHER;
}

/* An extension that we do not know: its values go on until the next option. */
static void read_other(struct reading *in, struct line_rule *r, const char *name)
{
    if (name[0] != '-') {
        in->at--;
        wrong(in, CODE_SYNTAX, in->at, "an option like -s, -p, --dport or -j");
        return;
    }
    match_inexact(&r->match, "%s", name);
    while (in->at < in->n_words && in->words[in->at].text[0] != '-' && !is_word(in, "!"))
        in->at++;
}

static void read_option(struct reading *in, struct line_rule *r, const char *name, bool negated)
{
    struct match_parts *m = &r->match;
    enum option option = option_of(name);

    if (is_word(in, "!") && option != OPTION_COMMENT) { /* As old versions write it. */
        in->at++;
        negated = !negated;
    }
    switch (option) {
    case OPTION_SOURCE:
    case OPTION_DESTINATION:
        read_addresses(in, m, option == OPTION_SOURCE, negated);
        break;
    case OPTION_PROTOCOL:
        read_protocol(in, m, negated);
        break;
    case OPTION_IN:
    case OPTION_OUT:
        read_interface(in, m, option == OPTION_OUT, negated);
        break;
    case OPTION_SPORT:
    case OPTION_DPORT:
        read_ports(in, m, option == OPTION_SPORT, negated);
        break;
    case OPTION_BOTH_PORTS:
        match_inexact(m, "--ports: a port at either end");
        (void)next(in);
        break;
    case OPTION_FLAGS:
        read_flags(in, m, negated);
        break;
    case OPTION_SYN:
        match_flags(m, 0x17, FLAG_SYN, negated); /* SYN,RST,ACK,FIN SYN */
        break;
    case OPTION_TYPE:
        read_type(in, m, negated);
        break;
    case OPTION_STATE:
        read_states(in, m, negated);
        break;
    case OPTION_JUMP:
    case OPTION_GOTO:
        r->target = next(in);
        r->is_goto = option == OPTION_GOTO;
        break;
    case OPTION_COMMENT:
        r->comment = next(in);
        break;
    case OPTION_COUNTERS:
        (void)next(in);
        (void)next(in);
        break;
    case OPTION_MODULE:
    case OPTION_ONE_VALUE:
        (void)next(in);
        break;
    case OPTION_NO_VALUE:
        break;
    case OPTION_OTHER:
        read_other(in, r, name);
        break;
    }
}

/* ---- targets ---- */

static const char *const silent_targets[] = {
    "LOG",      "NFLOG",    "ULOG",        "MARK",  "CONNMARK", "CT", "NOTRACK", "AUDIT",
    "SET",      "TCPMSS",   "TOS",         "DSCP",  "TTL",      "HL", "SECMARK", "CONNSECMARK",
    "CLASSIFY", "CHECKSUM", "TCPOPTSTRIP", "TRACE", "TEE",      "ECN"};
static const char *const other_targets[] = {"QUEUE", "NFQUEUE", "SYNPROXY", "TARPIT", "TPROXY",
                                            "DNAT",  "SNAT",    "REDIRECT", "NETMAP", "MASQUERADE"};

static bool is_among(const char *s, const char *const list[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

static void set_act(struct import_rule *rule, struct line_rule *r)
{
    const char *t = r->target;

    rule->act = ACT_NOTHING;
    if (!t || is_among(t, silent_targets, ARRAY_SIZE(silent_targets)))
        return;
    if (strcmp(t, "ACCEPT") == 0) {
        rule->act = ACT_ACCEPT;
    } else if (strcmp(t, "DROP") == 0 || strcmp(t, "REJECT") == 0) {
        rule->act = ACT_DENY;
    } else if (strcmp(t, "RETURN") == 0) {
        rule->act = ACT_RETURN;
    } else if (is_among(t, other_targets, ARRAY_SIZE(other_targets))) {
        rule->act = ACT_DENY;
        match_inexact(&r->match, "the target %s", t);
    } else {
        rule->act = r->is_goto ? ACT_GOTO : ACT_JUMP;
        rule->target = t;
    }
}

/* ---- lines ---- */

static bool is_builtin(const char *name)
{
    static const char *const builtins[] = {"INPUT", "OUTPUT", "FORWARD", "PREROUTING",
                                           "POSTROUTING"};

    return is_among(name, builtins, ARRAY_SIZE(builtins));
}

static struct chain *get_chain(struct reading *in, const char *name)
{
    struct place p = place_of(in, 0);
    struct chain *c = ruleset_chain(in->rs, in->table, name, in->family);
    bool filter = strcmp(in->table, "filter") == 0;

    if (c)
        return c;
    c = ruleset_add_chain(in->rs, in->table, name, in->family, &p);
    if (!c)
        return NULL;
    c->ignored = !filter;
    if (filter && is_builtin(name))
        c->hook = strcmp(name, "INPUT") == 0    ? HOOK_INPUT
                  : strcmp(name, "OUTPUT") == 0 ? HOOK_OUTPUT
                                                : HOOK_FORWARD;
    if (!filter)
        c->label = ruleset_text(in->rs, "%s %s",
                                ruleset_safe(in->rs, in->table, strlen(in->table), 63), c->label);
    return c;
}

static void set_policy(struct reading *in, struct chain *c, const char *policy)
{
    if (!c || strcmp(policy, "-") == 0)
        return;
    if (strcmp(policy, "ACCEPT") != 0 && strcmp(policy, "DROP") != 0) {
        wrong(in, CODE_VALUE, in->at - 1, "ACCEPT or DROP");
        return;
    }
    c->policy = policy[0] == 'A' ? ACT_ACCEPT : ACT_DENY;
    c->policy_given = true;
    c->place = place_of(in, 0);
}

/* Words from the chain on, without counters, comments and modules: equal ones are duplicates. */
static const char *canonical(struct reading *in, size_t from)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (size_t i = from; i < in->n_words; i++) {
        enum option o = option_of(in->words[i].text);

        if (o == OPTION_COMMENT || o == OPTION_MODULE)
            i++;
        else if (o == OPTION_COUNTERS)
            i += 2;
        else
            buf_printf(&b, "%s ", in->words[i].text);
    }
    return arena_text(in->rs->arena, buf_str(&b), b.size);
}

static void ledger_of_other_table(struct reading *in, const struct import_rule *rule,
                                  const struct line_rule *r)
{
    const char *t = r->target ? r->target : "";

    if (is_among(t, other_targets, ARRAY_SIZE(other_targets)))
        ruleset_ledger(in->rs, rule, EFFECT_SAME,
                       "translates addresses: the draft speaks of addresses as the filter table "
                       "sees them");
    else if (rule->act == ACT_DENY)
        ruleset_ledger(in->rs, rule, EFFECT_WIDER,
                       "denies outside of the filter table, which alone is carried over");
}

static void read_rule(struct reading *in)
{
    size_t from = in->at;
    struct chain *c = get_chain(in, next(in));
    struct line_rule r = {.match = match_begin(in->rs, in->family)};
    struct import_rule *rule = c && in->ok ? ruleset_add_rule(in->rs, c) : NULL;

    if (!rule) {
        in->ok = false;
        return;
    }
    while (in->ok && in->at < in->n_words) {
        bool negated = is_word(in, "!");

        in->at += negated;
        read_option(in, &r, next(in), negated);
    }
    set_act(rule, &r);
    match_finish(&r.match, rule);
    rule->place = (struct place){in->file, in->line, 1, (uint32_t)(in->raw_len ? in->raw_len : 1)};
    rule->text = ruleset_safe(in->rs, in->raw, in->raw_len, IMPORT_MAX_TEXT);
    rule->same_as = canonical(in, from);
    rule->comment = r.comment;
    rule->owner = owner_of_comment(in->rs, r.comment);
    if (c->ignored)
        ledger_of_other_table(in, rule, &r);
}

static bool is_either(const char *s, const char *a, const char *b)
{
    return strcmp(s, a) == 0 || strcmp(s, b) == 0;
}

static void read_command(struct reading *in)
{
    const char *s = next(in);

    if (s[0] == '[') /* Counters, "[12:3456]". */
        s = next(in);
    if (is_either(s, "iptables", "ip6tables"))
        s = next(in);
    while (in->ok && (is_either(s, "-t", "--table") || is_either(s, "-w", "--wait"))) {
        if (s[1] == 't' || s[2] == 't')
            in->table = next(in);
        s = next(in);
    }
    if (is_either(s, "-A", "--append")) {
        read_rule(in);
    } else if (is_either(s, "-P", "--policy")) {
        struct chain *c = get_chain(in, next(in));

        set_policy(in, c, next(in));
    } else if (is_either(s, "-N", "--new-chain")) {
        (void)get_chain(in, next(in));
    } else if (!is_either(s, "-F", "--flush") && !is_either(s, "-X", "--delete-chain") &&
               !is_either(s, "-Z", "--zero")) {
        in->at -= in->at > 0;
        wrong(in, CODE_SYNTAX, in->at,
              "-A CHAIN ..., -P CHAIN POLICY, -N CHAIN, *TABLE, :CHAIN or "
              "COMMIT");
    }
}

static void read_line(struct reading *in)
{
    const char *s;

    split(in);
    if (!in->ok || !in->n_words)
        return;
    s = in->words[0].text;
    if (s[0] == '#') {
        return;
    } else if (s[0] == '*') {
        in->table = s + 1;
    } else if (s[0] == ':') {
        struct chain *c = get_chain(in, s + 1);

        in->at = 1;
        set_policy(in, c, next(in));
    } else if (strcmp(s, "COMMIT") != 0) {
        read_command(in);
    }
}

/* A v6 address behind -s or -d, or a word that only ip6tables has. */
static enum family family_of(const struct source *source)
{
    static const char *const words[] = {"Generated by ip6tables-save", "-p ipv6-icmp", "-p icmpv6",
                                        "--icmpv6-type", "ip6tables -"};
    const char *end = source->data + source->size;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (memmem(source->data, source->size, words[i], strlen(words[i])))
            return FAMILY_V6;
    for (const char *s = source->data; (s = memmem(s, (size_t)(end - s), " -", 2)); s += 2) {
        size_t left = (size_t)(end - s), len = 4;

        if (left < 5 || (s[2] != 's' && s[2] != 'd') || s[3] != ' ')
            continue;
        while (len < left && s[len] != ' ' && s[len] != '\n' && s[len] != ':')
            len++;
        if (len < left && s[len] == ':')
            return FAMILY_V6;
    }
    return FAMILY_V4;
}

void iptables_read(struct ruleset *rs, const struct source *source)
{
    struct reading in = {.rs = rs, .file = source->name, .table = "filter"};
    struct lines lines = {.source = source};

    if (!source->size)
        return;
    in.family = family_of(source);
    if (rs->families & in.family) {
        const struct place p = {source->name, 1, 1, 1};

        diagnostic_fix(diagnostics_add(rs->d, CODE_VALUE, &p, "a second file for the same family"),
                       "import one box at a time: an iptables and an ip6tables file");
        return;
    }
    rs->families |= in.family;
    while (!rs->over_limit && lines_next(&lines, &in.raw, &in.raw_len)) {
        in.line = lines.number;
        read_line(&in);
    }
}
