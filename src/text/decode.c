/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along the table of fields; see decode.h. */
#include "text/decode.h"

#include <errno.h>

#include "base/buf.h"
#include "base/number.h"
#include "base/utf8.h"
#include "core/model.h"

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool name_accepts(const char *s, const char *also, const char **ret_why)
{
    size_t len = strlen(s);

    if (!len)
        *ret_why = "a name that is not empty";
    else if (len > MODEL_NAME_LEN)
        *ret_why = "a name of at most 63 characters";
    else if (!is_letter_or_digit(s[0]))
        *ret_why = "a name that begins with a letter a-z A-Z or a digit";
    else {
        for (size_t i = 0; i < len; i++)
            if (!is_letter_or_digit(s[i]) && !strchr(also, s[i])) {
                *ret_why = strchr(also, '@')
                               ? "a name of letters a-z A-Z, digits, and the characters . _ - @"
                               : "a name of letters a-z A-Z, digits, and the characters . _ -";
                return false;
            }
        return true;
    }
    return false;
}

static bool printable(const char *s, size_t max, const char *except, const char **ret_why)
{
    size_t len = strlen(s), n;

    if (!len)
        *ret_why = "text that is not empty";
    else if (len > max)
        *ret_why = max == MODEL_TEXT_LEN   ? "text of at most 500 bytes"
                   : max == MODEL_PATH_LEN ? "a path of at most 255 bytes"
                                           : "text of at most 200 bytes";
    else if (s[0] == ' ' || s[len - 1] == ' ')
        *ret_why = "text without a blank at its beginning or end";
    else {
        for (size_t i = 0; i < len; i += n) {
            n = utf8_printable(s + i, len - i);
            if (!n) {
                *ret_why = "one line of characters that show";
                return false;
            }
            if (n == 1 && strchr(except, s[i])) {
                *ret_why = "text without quotes, backslashes, braces, semicolons, < > & $";
                return false;
            }
        }
        return true;
    }
    return false;
}

static bool path_accepts(const char *s, const char **ret_why)
{
    size_t len = strlen(s);

    if (!printable(s, MODEL_PATH_LEN, "", ret_why))
        return false;
    if (s[0] != '/')
        *ret_why = "the whole path of the program, from the first /";
    else if (strstr(s, "//") || strstr(s, "/./") || strstr(s, "/../") || s[len - 1] == '/' ||
             (len >= 2 && strcmp(s + len - 2, "/.") == 0) ||
             (len >= 3 && strcmp(s + len - 3, "/..") == 0))
        *ret_why = "a path without //, /./, /../ and without a slash at its end";
    else
        return true;
    return false;
}

bool grammar_accepts(enum grammar grammar, const char *s, const char **ret_why)
{
    switch (grammar) {
    case GRAMMAR_NAME:
    case GRAMMAR_REF:
        return name_accepts(s, "._-", ret_why);
    case GRAMMAR_PORT_NAME:
        return name_accepts(s, "/.:-", ret_why);
    case GRAMMAR_USER:
        return name_accepts(s, "._-@", ret_why);
    case GRAMMAR_USER_REF:
        return s[0] == '@' ? name_accepts(s + 1, "._-", ret_why) : name_accepts(s, "._-@", ret_why);
    case GRAMMAR_VALUE:
        return printable(s, MODEL_VALUE_LEN, "\"'`\\{};<>&$", ret_why);
    case GRAMMAR_TEXT:
        return printable(s, MODEL_TEXT_LEN, "", ret_why);
    case GRAMMAR_PATH:
        return path_accepts(s, ret_why);
    case GRAMMAR_INTERFACE:
        if (strlen(s) <= MODEL_INTERFACE_LEN && name_accepts(s, "._-", ret_why))
            return true;
        *ret_why = "an interface's name: at most 15 letters, digits, . _ -";
        return false;
    case GRAMMAR_ANY:
    case GRAMMAR_MAC:
    case GRAMMAR_PORT:
    case GRAMMAR_SERVICE:
    case GRAMMAR_DAY:
    case GRAMMAR_PREFIX:
    case GRAMMAR_ADDRESS:
    case GRAMMAR_END:
        return true;
    }
    return false;
}

static void add_choices(struct buf *b, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        buf_printf(b, "%s%s", i ? ", " : "", choices[i]);
}

static const char *expected_of(const struct field *f)
{
    if (f->expected)
        return f->expected;
    switch (f->kind) {
    case FIELD_CHOICE:
    case FIELD_WORD:
        return f->grammar == GRAMMAR_PATH   ? "a path"
               : f->grammar == GRAMMAR_TEXT ? "text"
                                            : "a name";
    case FIELD_WORDS:
        return "one value or a list of values";
    case FIELD_NUMBER:
        return "a number";
    case FIELD_NUMBERS:
        return "a number or a list of numbers";
    case FIELD_BOOL:
        return "true, false, yes or no";
    case FIELD_OBJECT:
        return "a mapping";
    case FIELD_MAP:
        return "a mapping of names, each on a line of its own: \"name: ...\"";
    case FIELD_OBJECTS:
        return "a list, whose items begin with \"- \"";
    }
    return "";
}

static void expect_field(struct diagnostic *x, const struct field *f)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, f->choices && !f->expected ? "one of " : "");
    if (f->choices && !f->expected)
        add_choices(&b, f->choices);
    else
        buf_puts(&b, expected_of(f));
    diagnostic_expected(x, "%s", buf_str(&b));
    buf_done(&b);
}

static void wrong_type(const struct decoder *dec, const struct field *f, const struct node *n)
{
    struct diagnostic *x;

    if (n->kind == NODE_SCALAR && !n->text[0] && !n->quoted)
        x = diagnostics_add(dec->d, CODE_TYPE, &n->place, "nothing for \"%s\"", f->name);
    else
        x = diagnostics_add(dec->d, CODE_TYPE, &n->place, "%s for \"%s\"", node_kind_name(n),
                            f->name);
    expect_field(x, f);
}

/* An address where a name belongs deserves to be told so. */
static bool looks_like_address(const char *s)
{
    struct address a;
    uint8_t len;

    return address_parse_prefix(s, &a, &len) != -EINVAL;
}

static void refuse_address(const struct decoder *dec, const struct node *n)
{
    struct diagnostic *x = diagnostics_add(dec->d, CODE_ADDR, &n->place,
                                           "the address %s where a name belongs", n->text);

    diagnostic_expected(x, "a name");
    diagnostic_fix(x,
                   "a policy has no addresses: name the endpoint in the inventory, or the "
                   "network in a group with outside: [%s]",
                   n->text);
}

static bool read_word(const struct decoder *dec, const struct field *f, const struct node *n,
                      struct word *to)
{
    const char *why = NULL;
    struct diagnostic *x;
    size_t len;
    char *text;

    if (n->kind != NODE_SCALAR || (!n->text[0] && !n->quoted)) {
        wrong_type(dec, f, n);
        return false;
    }
    len = strlen(n->text);
    text = arena_text(dec->arena, n->text, len);
    if (f->grammar == GRAMMAR_TEXT && len && text[len - 1] == '\n')
        text[len - 1] = 0; /* A block text (why: >) ends in a newline. */
    if (f->grammar == GRAMMAR_REF && looks_like_address(text)) {
        refuse_address(dec, n);
        return false;
    }
    if (!grammar_accepts(f->grammar, text, &why)) {
        x = diagnostics_add(dec->d,
                            f->grammar == GRAMMAR_TEXT || f->grammar == GRAMMAR_PATH ||
                                    f->grammar == GRAMMAR_VALUE
                                ? CODE_VALUE
                                : CODE_NAME,
                            &n->place, "\"%s\" %s \"%s\"", text,
                            f->kind == FIELD_MAP ? "as a name in" : "for", f->name);
        diagnostic_expected(x, "%s", why);
        if (f->grammar == GRAMMAR_REF && text[0] == '@')
            diagnostic_fix(x, "\"@\" names a group of users: write user: \"%s\"", text);
        return false;
    }
    for (size_t i = 0; f->reserved && f->reserved[i]; i++)
        if (strcmp(f->reserved[i], text) == 0) {
            x = diagnostics_add(dec->d, CODE_NAME, &n->place,
                                "the reserved word \"%s\" as a name in \"%s\"", text, f->name);
            diagnostic_expected(x, "another name: this word has a meaning of its own");
            return false;
        }
    *to = (struct word){.text = text, .place = n->place, .quoted = n->quoted};
    return true;
}

static void read_choice(const struct decoder *dec, const struct field *f, const struct node *n,
                        struct word *to)
{
    struct buf b = BUF_INIT;
    struct nearest near;
    struct diagnostic *x;

    if (n->kind != NODE_SCALAR || !n->text[0]) {
        wrong_type(dec, f, n);
        return;
    }
    near = nearest_to(n->text);
    for (size_t i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], n->text) == 0) {
            *to = (struct word){.text = f->choices[i], .place = n->place};
            buf_done(&b);
            return;
        }
        nearest_offer(&near, f->choices[i]);
    }
    add_choices(&b, f->choices);
    x = diagnostics_add(dec->d, CODE_VALUE, &n->place, "\"%s\" for \"%s\"", n->text, f->name);
    diagnostic_expected(x, "one of %s", buf_str(&b));
    diagnostic_nearest(x, near.best);
    buf_done(&b);
}

static bool read_number(const struct decoder *dec, const struct field *f, const struct node *n,
                        struct number *to)
{
    struct diagnostic *x;
    uint64_t v = 0;
    bool plain = n->kind == NODE_SCALAR && !n->quoted && n->text[0];

    if (!plain || (n->text[0] == '0' && n->text[1]) ||
        number_parse(n->text, strlen(n->text), INT64_MAX, &v) < 0) {
        if (n->kind != NODE_SCALAR || !n->text[0]) {
            wrong_type(dec, f, n);
            return false;
        }
        x = diagnostics_add(dec->d, CODE_TYPE, &n->place, "\"%s\" for \"%s\"", n->text, f->name);
        diagnostic_expected(x, "a decimal number without quotes, sign or leading zeros");
        return false;
    }
    if ((int64_t)v < f->low || (int64_t)v > f->high) {
        x = diagnostics_add(dec->d, CODE_RANGE, &n->place, "%s for \"%s\"", n->text, f->name);
        if (f->expected)
            diagnostic_expected(x, "%s", f->expected);
        else
            diagnostic_expected(x, "%lld to %lld", (long long)f->low, (long long)f->high);
        return false;
    }
    *to = (struct number){.value = (int64_t)v, .given = true, .place = n->place};
    return true;
}

static void read_bool(const struct decoder *dec, const struct field *f, const struct node *n,
                      struct number *to)
{
    bool plain = n->kind == NODE_SCALAR && !n->quoted;
    bool yes = plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "yes") == 0);
    bool no = plain && (strcmp(n->text, "false") == 0 || strcmp(n->text, "no") == 0);

    if (yes || no) {
        *to = (struct number){.value = yes, .given = true, .place = n->place};
        return;
    }
    if (n->kind == NODE_SCALAR && n->text[0]) {
        struct diagnostic *x =
            diagnostics_add(dec->d, CODE_TYPE, &n->place, "\"%s\" for \"%s\"", n->text, f->name);

        diagnostic_expected(x, "%s", expected_of(f));
    } else {
        wrong_type(dec, f, n);
    }
}

static void empty_list(const struct decoder *dec, const struct field *f, const struct node *n)
{
    struct diagnostic *x = diagnostics_add(
        dec->d, CODE_VALUE, &n->place, "%s without content for \"%s\"", node_kind_name(n), f->name);

    diagnostic_expected(x, "at least one: %s", expected_of(f));
}

/* A section whose content is still missing ("allow:", or null in JSON) is an empty one. */
static bool is_nothing(const struct node *n)
{
    return n->kind == NODE_SCALAR && !n->quoted &&
           (!n->text[0] || strcmp(n->text, "null") == 0 || strcmp(n->text, "~") == 0);
}

/* The values of a field that takes one or a list. */
static const struct node *first_value(const struct node *n)
{
    return n->kind == NODE_LIST ? n->children : n;
}

/* Whether 'n' is one value or a list that may stand here; if not, a finding says so. */
static bool takes_values(const struct decoder *dec, const struct field *f, const struct node *n,
                         size_t *ret_n)
{
    size_t n_values = n->kind == NODE_LIST ? n->n_children : 1;

    if (n->kind == NODE_MAP) {
        wrong_type(dec, f, n);
        return false;
    }
    if (!n_values && !f->may_be_empty) {
        empty_list(dec, f, n);
        return false;
    }
    *ret_n = n_values;
    return true;
}

static void read_words(const struct decoder *dec, const struct field *f, const struct node *n,
                       struct words *to)
{
    size_t room;

    if (!takes_values(dec, f, n, &room))
        return;
    *to = (struct words){.given = true, .place = n->place};
    to->items = arena_alloc(dec->arena, room, sizeof *to->items);
    for (const struct node *v = first_value(n); v; v = n->kind == NODE_LIST ? v->next : NULL)
        to->n += read_word(dec, f, v, &to->items[to->n]);
}

static void read_numbers(const struct decoder *dec, const struct field *f, const struct node *n,
                         struct numbers *to)
{
    size_t room;

    if (!takes_values(dec, f, n, &room))
        return;
    *to = (struct numbers){.given = true, .place = n->place};
    to->items = arena_alloc(dec->arena, room, sizeof *to->items);
    for (const struct node *v = first_value(n); v; v = n->kind == NODE_LIST ? v->next : NULL)
        to->n += read_number(dec, f, v, &to->items[to->n]);
}

static void read_object(const struct decoder *dec, const struct field *f, const struct node *n,
                        void **to)
{
    *to = arena_alloc(dec->arena, 1, f->sub->size);
    decode(dec, f->sub, n, *to);
}

static void read_list(const struct decoder *dec, const struct field *f, const struct node *n,
                      struct objects *to)
{
    if (n->kind != NODE_LIST && !is_nothing(n)) {
        wrong_type(dec, f, n);
        return;
    }
    *to = (struct objects){.given = true, .place = n->place};
    to->items = arena_alloc(dec->arena, n->n_children, f->sub->size);
    for (const struct node *c = n->children; c; c = c->next)
        decode(dec, f->sub, c, (char *)to->items + to->n++ * f->sub->size);
}

static void read_map(const struct decoder *dec, const struct field *f, const struct node *n,
                     struct objects *to)
{
    const struct field key = {
        .name = f->name, .kind = FIELD_MAP, .grammar = f->grammar, .reserved = f->reserved};

    if (n->kind != NODE_MAP && !is_nothing(n)) {
        wrong_type(dec, f, n);
        return;
    }
    if (!n->n_children && !f->may_be_empty) {
        empty_list(dec, f, n);
        return;
    }
    *to = (struct objects){.given = true, .place = n->place};
    to->items = arena_alloc(dec->arena, n->n_children, f->sub->size);
    for (const struct node *c = n->children; c; c = c->next) {
        char *item = (char *)to->items + to->n * f->sub->size;
        struct word name = {.text = NULL};

        if (!read_word(dec, &key, c->key, &name))
            continue;
        decode(dec, f->sub, c, item);
        memcpy(item, &name, sizeof name);
        to->n++;
    }
}

static void read_field(const struct decoder *dec, const struct field *f, const struct node *n,
                       void *to_)
{
    void *to = (char *)to_ + f->offset;

    switch (f->kind) {
    case FIELD_WORD:
        (void)read_word(dec, f, n, to); /* It has reported what is wrong. */
        break;
    case FIELD_WORDS:
        read_words(dec, f, n, to);
        break;
    case FIELD_NUMBER:
        (void)read_number(dec, f, n, to); /* As above. */
        break;
    case FIELD_NUMBERS:
        read_numbers(dec, f, n, to);
        break;
    case FIELD_CHOICE:
        read_choice(dec, f, n, to);
        break;
    case FIELD_BOOL:
        read_bool(dec, f, n, to);
        break;
    case FIELD_OBJECT:
        read_object(dec, f, n, to);
        break;
    case FIELD_OBJECTS:
        read_list(dec, f, n, to);
        break;
    case FIELD_MAP:
        read_map(dec, f, n, to);
        break;
    }
}

static const struct field *find_field(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &s->fields[i];
    return NULL;
}

/* "no-path, path, only-path" */
static void list_fields(struct buf *b, const struct schema *s)
{
    for (size_t i = 0; i < s->n_fields; i++)
        buf_printf(b, "%s%s", i ? ", " : "", s->fields[i].name);
}

/* Lists the mappings that have such a field. */
static void find_homes(struct buf *b, const struct schema *in, const char *name)
{
    const char *known = strstr(buf_str(b), in->title);

    if (find_field(in, name) && !known)
        buf_printf(b, "%s%s", b->size ? " or " : "", in->title);
    for (size_t i = 0; i < in->n_fields; i++)
        if (in->fields[i].sub)
            find_homes(b, in->fields[i].sub, name);
}

static void unknown_key(const struct decoder *dec, const struct schema *s, const struct node *key)
{
    struct nearest near = nearest_to(key->text);
    struct diagnostic *x;
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < s->n_fields; i++)
        nearest_offer(&near, s->fields[i].name);
    list_fields(&b, s);
    x = diagnostics_add(dec->d, CODE_UNKNOWN, &key->place, "the unknown key \"%s\" in %s",
                        key->text, s->title);
    diagnostic_expected(x, "one of %s", buf_str(&b));
    diagnostic_nearest(x, near.best);
    buf_reset(&b);
    if (!near.best && dec->root && s->n_fields > 1)
        find_homes(&b, dec->root, key->text);
    if (b.size)
        diagnostic_fix(x, "\"%s\" belongs in %s", key->text, buf_str(&b));
    buf_done(&b);
}

/* Is an unknown key perhaps this field, misspelt?  Then it was reported, with this as the nearest.
 */
static bool is_misspelt(const struct schema *s, const struct field *f, const struct node *n)
{
    for (const struct node *c = n->children; c; c = c->next) {
        struct nearest near = nearest_to(c->key->text);

        if (find_field(s, c->key->text))
            continue;
        nearest_offer(&near, f->name);
        if (near.best)
            return true;
    }
    return false;
}

static void find_missing(const struct decoder *dec, const struct schema *s, const struct node *n)
{
    for (size_t i = 0; i < s->n_fields; i++) {
        const struct field *f = &s->fields[i];
        const struct node *c = n->children;
        struct diagnostic *x;

        while (f->required && c && strcmp(c->key->text, f->name) != 0)
            c = c->next;
        if (!f->required || c || is_misspelt(s, f, n))
            continue;
        x = diagnostics_add(dec->d, CODE_MISSING, &n->place, "no \"%s\" in %s", f->name, s->title);
        expect_field(x, f);
        if (f->low == f->high && f->kind == FIELD_NUMBER)
            diagnostic_fix(x, "add \"%s: %lld\"", f->name, (long long)f->low);
        else
            diagnostic_fix(x, "add \"%s: ...\"", f->name);
    }
}

static bool is_listed(const char *const *list, const char *s)
{
    for (size_t i = 0; list && list[i]; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

static void check_one_of(const struct decoder *dec, const struct schema *s, const struct node *n)
{
    struct buf b = BUF_INIT;
    struct diagnostic *x;
    size_t n_given = 0, n_unknown = 0;

    for (const struct node *c = n->children; c; c = c->next) {
        n_given += is_listed(s->one_of, c->key->text);
        n_unknown += !find_field(s, c->key->text);
    }
    if (n_given == 1 || (!n_given && n_unknown))
        return; /* An unknown key was reported, and was perhaps meant to be the one. */
    for (size_t i = 0; s->one_of[i]; i++)
        buf_printf(&b, "%s%s", !i ? "" : s->one_of[i + 1] ? ", " : " and ", s->one_of[i]);
    x = diagnostics_add(dec->d, n_given ? CODE_VALUE : CODE_MISSING, &n->place, "%s of %s in %s",
                        n_given ? "more than one" : "none", buf_str(&b), s->title);
    diagnostic_expected(x, "exactly one of them");
    if (s->one_of_fix)
        diagnostic_fix(x, "%s", s->one_of_fix);
    buf_done(&b);
}

static void check_not_empty(const struct decoder *dec, const struct schema *s, const struct node *n)
{
    struct buf b = BUF_INIT;
    struct diagnostic *x;

    if (n->n_children)
        return;
    list_fields(&b, s);
    x = diagnostics_add(dec->d, CODE_MISSING, &n->place, "nothing in %s", s->title);
    diagnostic_expected(x, "at least one of %s", buf_str(&b));
    buf_done(&b);
}

static void not_a_mapping(const struct decoder *dec, const struct schema *s, const struct node *n)
{
    struct diagnostic *x = diagnostics_add(dec->d, CODE_TYPE, &n->place, "%s as %s",
                                           is_nothing(n) ? "nothing" : node_kind_name(n), s->title);
    struct buf b = BUF_INIT;

    list_fields(&b, s);
    diagnostic_expected(x, "a mapping, of %s", buf_str(&b));
    buf_done(&b);
}

void decode(const struct decoder *dec, const struct schema *schema, const struct node *n, void *to)
{
    if (schema->place_offset)
        memcpy((char *)to + schema->place_offset, &n->place, sizeof n->place);
    if (n->kind != NODE_MAP && schema->brief) {
        read_field(dec, schema->brief, n, to);
        return;
    }
    if (n->kind != NODE_MAP || !schema->n_fields) {
        not_a_mapping(dec, schema, n);
        return;
    }
    for (const struct node *c = n->children; c; c = c->next) {
        const struct field *f = find_field(schema, c->key->text);

        if (f)
            read_field(dec, f, c, to);
        else
            unknown_key(dec, schema, c->key);
    }
    find_missing(dec, schema, n);
    if (schema->one_of)
        check_one_of(dec, schema, n);
    if (schema->at_least_one)
        check_not_empty(dec, schema, n);
}

bool decode_is_of(const struct decoder *dec, const struct node *root, const struct schema *wanted,
                  const struct schema *other)
{
    const struct node *of_other = NULL;
    struct diagnostic *x;

    for (const struct node *c = root->children; c && root->kind == NODE_MAP; c = c->next) {
        if (strcmp(c->key->text, wanted->fields[0].name) == 0)
            return true;
        if (strcmp(c->key->text, other->fields[0].name) == 0)
            of_other = c;
    }
    if (!of_other)
        return true; /* The decoder says what is missing. */
    x = diagnostics_add(dec->d, CODE_VALUE, &of_other->key->place, "%s where %s belongs",
                        other->title, wanted->title);
    diagnostic_expected(x, "a file that begins with %s: 1", wanted->fields[0].name);
    diagnostic_fix(x, "policies are given by their paths, inventories by --inventory");
    return false;
}
