/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, chains, statements; see nft.h. */
#include "import/nft.h"

#include <netinet/in.h>

#include "import/nft_match.h"

struct reading {
    struct ruleset *rs;
    const char *file;
    const struct source *source;
    size_t offset;      /* Of the scanner. */
    struct place place; /* Of the object that is being read. */
    struct nft_sets sets;
    bool ok;
};

struct variant { /* One of the boxes that a rule multiplies out into. */
    struct match_parts match;
};

struct rule_reading {
    struct reading *in;
    struct nft_scope scope;
    struct chain *chain;
    const char *handle, *comment, *text, *same_as;
    struct variant *variants; /* Heap. */
    size_t n, room;
    struct import_rule *first; /* NULL: none was added yet. */
    bool done;                 /* A verdict was met. */
};

static const char *text_of(const json_t *object, const char *field)
{
    const char *s = json_string_value(json_object_get(object, field));

    return s ? s : "";
}

static void wrong(struct reading *in, const char *what, const char *expected)
{
    if (in->ok)
        diagnostic_expected(diagnostics_add(in->rs->d, CODE_VALUE, &in->place, "%s", what), "%s",
                            expected);
    in->ok = false;
}

/* ---- places: where each object of the list begins ---- */

/* Moves to the next '{' inside of the first list; jansson keeps no places. */
static void next_place(struct reading *in)
{
    const char *s = in->source->data;
    bool quoted = false;
    unsigned depth = in->place.line ? 3 : 0; /* Inside an object of the list. */

    if (in->place.line)
        in->place.column++;
    else
        in->place = (struct place){in->file, 1, 1, 1};
    for (; in->offset < in->source->size; in->offset++, in->place.column++) {
        char c = s[in->offset];

        if (quoted) {
            if (c == '\\' && in->offset + 1 < in->source->size) {
                in->offset++;
                in->place.column++;
            } else {
                quoted = c != '"';
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '\n') {
            in->place.line++;
            in->place.column = 0;
        } else if (c == '{' || c == '[') {
            if (c == '{' && depth == 2) {
                in->offset++; /* The next search begins inside of it. */
                return;
            }
            depth++;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
}

/* ---- chains and sets ---- */

static enum family family_of(const char *s)
{
    if (strcmp(s, "ip") == 0)
        return FAMILY_V4;
    if (strcmp(s, "ip6") == 0)
        return FAMILY_V6;
    return strcmp(s, "inet") == 0 ? FAMILY_BOTH : FAMILY_NONE;
}

static const char *table_of(struct reading *in, const json_t *x)
{
    return ruleset_text(in->rs, "%s %s", text_of(x, "family"), text_of(x, "table"));
}

static enum hook hook_of(const json_t *x)
{
    const char *hook = text_of(x, "hook");

    if (strcmp(text_of(x, "type"), "filter") != 0)
        return HOOK_NONE;
    if (strcmp(hook, "input") == 0)
        return HOOK_INPUT;
    if (strcmp(hook, "output") == 0)
        return HOOK_OUTPUT;
    return strcmp(hook, "forward") == 0 ? HOOK_FORWARD : HOOK_NONE;
}

static void read_chain(struct reading *in, const json_t *x)
{
    const char *table = table_of(in, x), *name = text_of(x, "name");
    enum family family = family_of(text_of(x, "family"));
    struct chain *c;

    if (!name[0] || ruleset_chain(in->rs, table, name, family)) {
        wrong(in, "a chain without a name, or twice", "each chain of a table once");
        return;
    }
    c = ruleset_add_chain(in->rs, table, name, family, &in->place);
    if (!c)
        return;
    c->label = ruleset_safe(in->rs, ruleset_text(in->rs, "%s %s", table, name),
                            strlen(table) + 1 + strlen(name), 63);
    c->hook = hook_of(x);
    c->ignored = family == FAMILY_NONE || (text_of(x, "type")[0] && c->hook == HOOK_NONE);
    c->priority = (int)json_integer_value(json_object_get(x, "prio"));
    c->policy = strcmp(text_of(x, "policy"), "drop") == 0 ? ACT_DENY : ACT_ACCEPT;
    c->policy_given = true;
    if (c->hook != HOOK_NONE)
        in->rs->families |= family;
}

static bool has_flag(const json_t *x, const char *flag)
{
    const json_t *flags = json_object_get(x, "flags"), *v;
    size_t i;

    json_array_foreach(flags, i, v) if (json_string_value(v) &&
                                        strcmp(json_string_value(v), flag) == 0) return true;
    return json_string_value(flags) && strcmp(json_string_value(flags), flag) == 0;
}

static void read_set(struct reading *in, const json_t *x)
{
    GROW(in->sets.items, in->sets.n, in->sets.room);
    in->sets.items[in->sets.n++] =
        (struct nft_set){.family = text_of(x, "family"),
                         .table = text_of(x, "table"),
                         .name = text_of(x, "name"),
                         .elements = json_object_get(x, "elem"),
                         .is_dynamic = has_flag(x, "dynamic") || has_flag(x, "timeout")};
}

/* ---- verdicts ---- */

/* Reads {"accept": null} and its like.  False: no verdict. */
static bool read_act(struct ruleset *rs, const json_t *x, enum act *ret_act,
                     const char **ret_target)
{
    static const struct {
        const char *name;
        enum act act;
    } acts[] = {{"accept", ACT_ACCEPT},   {"drop", ACT_DENY}, {"reject", ACT_DENY},
                {"return", ACT_RETURN},   {"jump", ACT_JUMP}, {"goto", ACT_GOTO},
                {"continue", ACT_NOTHING}};

    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        const json_t *v = json_object_get(x, acts[i].name);

        if (!v)
            continue;
        *ret_act = acts[i].act;
        *ret_target = NULL;
        if (acts[i].act == ACT_JUMP || acts[i].act == ACT_GOTO)
            *ret_target = arena_text(rs->arena, text_of(v, "target"), strlen(text_of(v, "target")));
        return true;
    }
    return false;
}

static bool add_rule(struct rule_reading *r, const struct match_parts *m, enum act act,
                     const char *target)
{
    struct ruleset *rs = r->in->rs;
    struct import_rule *rule = ruleset_add_rule(rs, r->chain);

    if (!rule)
        return false;
    rule->place = r->in->place;
    rule->text = r->text;
    rule->same_as = r->first ? "" : r->same_as;
    rule->number = r->handle;
    rule->comment = r->comment;
    rule->owner = owner_of_comment(rs, r->comment);
    rule->act = act;
    rule->target = target;
    match_finish(m, rule);
    if (!r->first)
        r->first = rule;
    rule->first = r->first;
    if (r->chain->ignored && act == ACT_DENY)
        ruleset_ledger(rs, rule, EFFECT_WIDER,
                       "denies elsewhere than in a filter chain at input, output or forward");
    return true;
}

static void add_rules(struct rule_reading *r, enum act act, const char *target)
{
    for (size_t i = 0; i < r->n; i++)
        if (!add_rule(r, &r->variants[i].match, act, target))
            return;
}

/* A reject names the family or protocol that its answer belongs to. */
static void limit_by_reject(struct rule_reading *r, const json_t *x)
{
    const char *type = text_of(json_object_get(x, "reject"), "type");

    for (size_t i = 0; i < r->n; i++) {
        struct match_parts *m = &r->variants[i].match;

        if (strcmp(type, "icmp") == 0)
            m->families &= FAMILY_V4;
        else if (strcmp(type, "icmpv6") == 0)
            m->families &= FAMILY_V6;
        else if (strcmp(type, "tcp reset") == 0)
            match_protocols(m, ranges_one(m->rs->arena, IPPROTO_TCP, IPPROTO_TCP), false);
    }
}

/* ---- statements ---- */

static void inexact(struct rule_reading *r, const char *what)
{
    for (size_t i = 0; i < r->n; i++)
        match_inexact(&r->variants[i].match, "%s", what);
}

/* Each key part with the part of the element that belongs to it. */
static void match_element(struct rule_reading *r, struct match_parts *m, const json_t *key,
                          const json_t *element)
{
    const json_t *keys = json_object_get(key, "concat"), *v = nft_value(element);
    const json_t *values = json_object_get(v, "concat"), *k;
    size_t i;

    if (!keys) {
        nft_condition(&r->scope, m, key, "==", v);
        return;
    }
    json_array_foreach(keys, i, k) nft_condition(&r->scope, m, k, "==", json_array_get(values, i));
}

static void add_variant(struct rule_reading *r, const struct match_parts *m)
{
    GROW(r->variants, r->n, r->room);
    r->variants[r->n++] = (struct variant){*m};
}

/* `ip saddr . tcp dport { a . 1, b . 2 }`: a box for each element. */
static void match_concat(struct rule_reading *r, const json_t *left, const json_t *right)
{
    struct variant *before = r->variants;
    size_t n = r->n, i;
    bool dynamic;
    const json_t *elements = nft_elements(&r->scope, right, &dynamic), *v;

    if (dynamic) {
        inexact(r, "a set that changes by itself");
        return;
    }
    r->variants = NULL;
    r->n = r->room = 0;
    for (size_t k = 0; k < n; k++)
        json_array_foreach(elements, i, v)
        {
            struct match_parts m = before[k].match;

            if (r->n == IMPORT_MAX_RULES) {
                ruleset_limit(r->in->rs, &r->in->place, "rules", IMPORT_MAX_RULES);
                break;
            }
            match_element(r, &m, left, v);
            add_variant(r, &m);
        }
    free(before);
}

static void read_match(struct rule_reading *r, const json_t *x)
{
    const json_t *left = json_object_get(x, "left"), *right = json_object_get(x, "right");
    const char *op = text_of(x, "op");

    if (json_object_get(left, "concat") && strcmp(op, "!=") == 0) {
        inexact(r, "what is not in a set of several values at once");
    } else if (json_object_get(left, "concat")) {
        match_concat(r, left, right);
    } else {
        for (size_t i = 0; i < r->n; i++)
            nft_condition(&r->scope, &r->variants[i].match, left, op, right);
    }
}

static void read_vmap(struct rule_reading *r, const json_t *x)
{
    const json_t *key = json_object_get(x, "key"), *pair;
    bool dynamic, more = true;
    const json_t *elements = nft_elements(&r->scope, json_object_get(x, "data"), &dynamic);
    size_t i;

    if (dynamic) {
        inexact(r, "a map that changes by itself");
        add_rules(r, ACT_DENY, NULL);
        return;
    }
    json_array_foreach(elements, i, pair)
    {
        enum act act;
        const char *target;

        if (!read_act(r->in->rs, json_array_get(pair, 1), &act, &target)) {
            wrong(r->in, "a verdict map without a verdict", "accept, drop, jump, goto, return");
            return;
        }
        for (size_t k = 0; k < r->n && more; k++) {
            struct match_parts m = r->variants[k].match;

            match_element(r, &m, key, json_array_get(pair, 0));
            more = add_rule(r, &m, act, target);
        }
    }
}

static bool is_silent(const json_t *x)
{
    static const char *const names[] = {"counter",   "log",        "mangle", "notrack",
                                        "ct helper", "ct timeout", "flow"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (json_object_get(x, names[i]))
            return true;
    return json_object_get(x, "set") && !json_object_get(json_object_get(x, "set"), "stmt");
}

static const char *first_key(const json_t *x)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)x, key, value) return key;
    return json_string_value(x) ? json_string_value(x) : "a statement";
}

static void read_statement(struct rule_reading *r, const json_t *x)
{
    static const char *const translations[] = {"dnat",   "snat",  "masquerade", "redirect",
                                               "tproxy", "queue", "synproxy"};
    const char *target;
    enum act act;

    if (json_object_get(x, "match")) {
        read_match(r, json_object_get(x, "match"));
    } else if (json_object_get(x, "vmap")) {
        read_vmap(r, json_object_get(x, "vmap"));
    } else if (read_act(r->in->rs, x, &act, &target)) {
        if (json_object_get(x, "reject"))
            limit_by_reject(r, x);
        add_rules(r, act, target);
        r->done = true;
    } else if (!is_silent(x)) {
        inexact(r, first_key(x));
        for (size_t i = 0; i < ARRAY_SIZE(translations); i++)
            if (json_object_get(x, translations[i])) {
                add_rules(r, ACT_DENY, NULL);
                r->done = true;
            }
    }
}

/* Without counters, as text. */
static const char *canonical(struct reading *in, const json_t *expr)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const json_t *x;
    size_t i;

    json_array_foreach(expr, i, x)
    {
        char *text = json_dumps(x, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

        if (!json_object_get(x, "counter") && text)
            buf_puts(&b, text);
        free(text);
    }
    return arena_text(in->rs->arena, buf_str(&b), b.size);
}

static void read_rule(struct reading *in, const json_t *x)
{
    const char *table = table_of(in, x);
    enum family family = family_of(text_of(x, "family"));
    struct rule_reading r = {
        .in = in, .scope = {in->rs, &in->sets, text_of(x, "family"), text_of(x, "table")}};
    const json_t *expr = json_object_get(x, "expr"), *statement;
    const char *comment = json_string_value(json_object_get(x, "comment"));
    struct match_parts m = match_begin(in->rs, family);
    size_t i;

    r.chain = ruleset_chain(in->rs, table, text_of(x, "chain"), family);
    if (!r.chain) {
        wrong(in, "a rule of a chain that is not there", "the chain before its rules");
        return;
    }
    r.handle =
        ruleset_text(in->rs, "%lld", (long long)json_integer_value(json_object_get(x, "handle")));
    r.comment = comment ? arena_text(in->rs->arena, comment, strlen(comment)) : NULL;
    r.same_as = canonical(in, expr);
    r.text =
        ruleset_text(in->rs, "%s handle %s: %s", r.chain->label, r.handle,
                     ruleset_safe(in->rs, r.same_as, strlen(r.same_as), IMPORT_MAX_TEXT - 100));
    add_variant(&r, &m);
    json_array_foreach(expr, i, statement) if (!r.done && !in->rs->over_limit)
        read_statement(&r, statement);
    if (!r.first)
        (void)add_rule(&r, &m, ACT_NOTHING, NULL); /* It only counts or logs. */
    free(r.variants);
}

static void read_object(struct reading *in, const json_t *x, bool rules)
{
    const json_t *chain = json_object_get(x, "chain"), *rule = json_object_get(x, "rule");
    const json_t *set = json_object_get(x, "set"), *map = json_object_get(x, "map");

    if (rules && rule)
        read_rule(in, rule);
    else if (!rules && chain)
        read_chain(in, chain);
    else if (!rules && (set || map))
        read_set(in, set ? set : map);
}

/* Twice: chains and sets first, since rules may stand before what they name. */
static void read_all(struct reading *in, const json_t *list)
{
    const json_t *x;
    size_t i;

    for (int pass = 0; pass < 2; pass++) {
        in->offset = 0;
        in->place.line = 0;
        json_array_foreach(list, i, x)
        {
            if (in->rs->over_limit || !in->ok)
                return;
            next_place(in);
            read_object(in, x, pass == 1);
        }
    }
}

void nft_read(struct ruleset *rs, const struct source *source)
{
    struct reading in = {.rs = rs, .file = source->name, .source = source, .ok = true};
    struct place p = {source->name, 1, 1, 1};
    json_error_t error;
    json_t *root = json_loadb(source->data, source->size, 0, &error), *list;

    if (!root) {
        p.line = error.line > 0 ? (uint32_t)error.line : 1;
        p.column = error.column > 0 ? (uint32_t)error.column : 1;
        (void)diagnostics_add(rs->d, CODE_SYNTAX, &p, "%s", error.text);
        return;
    }
    list = json_object_get(root, "nftables");
    if (!json_is_array(list))
        diagnostic_expected(diagnostics_add(rs->d, CODE_SYNTAX, &p, "no list \"nftables\""),
                            "the output of nft -j list ruleset");
    else if (rs->families)
        diagnostic_fix(diagnostics_add(rs->d, CODE_VALUE, &p, "a ruleset beside other files"),
                       "import one box at a time");
    else
        read_all(&in, list);
    free(in.sets.items);
    json_decref(root);
}
