/* SPDX-License-Identifier: Apache-2.0 */
/* libfyaml's events made into nodes; see node.h. */
#include "text/node.h"

#include <assert.h>
#include <errno.h>
#include <libfyaml.h>

#include "base/buf.h"
#include "base/utf8.h"

enum { MAX_QUOTES = 4 }; /* In a row. */

struct building {
    struct fy_parser *parser;
    struct arena *arena;
    struct diagnostics *d;
    const struct source *source;
    const char *file; /* The source's name, in the arena. */
    bool json;
};

struct open { /* A list or mapping that has not ended yet. */
    struct node *node;
    struct node **tail; /* Where the next child goes. */
    struct node *key;   /* A key that waits for its value. */
    struct node *last;  /* The last child. */
};

const char *node_kind_name(const struct node *n)
{
    static const char *const names[] = {"text", "a list", "a mapping"};

    return names[n->kind];
}

static struct place place_of(const struct building *b, struct fy_token *token)
{
    const struct fy_mark *start = token ? fy_token_start_mark(token) : NULL;
    const struct fy_mark *end = token ? fy_token_end_mark(token) : NULL;
    struct place p = {.file = b->file, .line = 1, .column = 1, .width = 1};

    if (!start)
        return p;
    p.line = (uint32_t)start->line + 1;
    p.column = (uint32_t)start->column + 1;
    if (end && end->line == start->line && end->column > start->column)
        p.width = (uint32_t)(end->column - start->column);
    return p;
}

static int refuse(const struct building *b, struct fy_token *token, const char *what,
                  const char *fix)
{
    struct place p = place_of(b, token);
    bool sigil = strstr(what, "(\"&") || strstr(what, "(\"*");
    struct diagnostic *x;

    if (sigil && p.column > 1) { /* The token is the name alone. */
        p.column--;
        p.width++;
    }
    x = diagnostics_add(b->d, CODE_STRICT, &p, "%s", what);

    diagnostic_fix(x, "%s", fix);
    return -EBADMSG;
}

/* libfyaml 0.7.12 leaks memory for some texts with doubled quotes in a row ('a''''b'''''c'): a
 * stranger could make it grow.  Nobody writes that; JSON has no such texts. */
static int refuse_quotes(const struct building *b, const struct place *p)
{
    struct diagnostic *x = diagnostics_add(b->d, CODE_STRICT, p, "%d quotes in a row", MAX_QUOTES);

    diagnostic_fix(x, "write such a text in double quotes, and the quotes in it as \\x27");
    return -EBADMSG;
}

/* The scan before the parser: what a reviewer cannot see must not be there. */
static int scan_text(const struct building *b)
{
    const char *s = b->source->data;
    struct place p = {.file = b->file, .line = 1, .column = 1, .width = 1};
    size_t size = b->source->size, n;
    unsigned quotes = 0;
    uint32_t c = 0;

    for (size_t i = 0; i < size; i += n, p.column++) {
        struct diagnostic *x;

        quotes = s[i] == '\'' ? quotes + 1 : 0;
        if (quotes == MAX_QUOTES && !b->json)
            return refuse_quotes(b, &p);

        n = s[i] == '\t' || s[i] == '\r' ? 1 : utf8_printable(s + i, size - i);
        if (s[i] == '\n') {
            n = 1;
            p.line++;
            p.column = 0;
        }
        if (n)
            continue;
        if (s[i] == 0)
            x = diagnostics_add(b->d, CODE_TEXT, &p, "a NUL byte");
        else if (!utf8_decode(s + i, size - i, &c))
            x = diagnostics_add(b->d, CODE_TEXT, &p, "the byte 0x%02x, which is not UTF-8",
                                (unsigned char)s[i]);
        else
            x = diagnostics_add(b->d, CODE_TEXT, &p, "the hidden or control character U+%04X", c);
        diagnostic_fix(x, "remove it: nobody can review what does not show");
        return -EBADMSG;
    }
    return 0;
}

static struct node *new_node(const struct building *b, enum node_kind kind, struct fy_token *token)
{
    struct node *n = arena_alloc(b->arena, 1, sizeof *n);

    n->kind = kind;
    n->place = place_of(b, token);
    if (token) {
        n->start = fy_token_start_mark(token)->input_pos;
        n->end = fy_token_end_mark(token)->input_pos;
        n->flow = kind != NODE_SCALAR && n->end > n->start;
    }
    return n;
}

static int read_scalar(const struct building *b, struct fy_token *token, struct node **ret)
{
    struct node *n = new_node(b, NODE_SCALAR, token);
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";

    if (!text)
        return -ENOMEM;
    if (memchr(text, 0, len)) {
        diagnostic_fix(diagnostics_add(b->d, CODE_TEXT, &n->place, "a NUL character in a text"),
                       "remove it: nobody can review what does not show");
        return -EBADMSG;
    }
    n->quoted = token && fy_token_scalar_style(token) != FYSS_PLAIN;
    if (b->json && !n->quoted && len == 4 && memcmp(text, "null", len) == 0)
        len = 0; /* JSON's word for nothing; YAML's texts are what they look like. */
    n->text = arena_text(b->arena, text, len);
    if (token && (fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED ||
                  fy_token_scalar_style(token) == FYSS_DOUBLE_QUOTED)) {
        n->start--; /* The marks are inside of the quotes. */
        n->end++;
    }
    *ret = n;
    return 0;
}

static int check_key(const struct building *b, const struct node *key)
{
    if (key->kind != NODE_SCALAR) {
        diagnostic_expected(
            diagnostics_add(b->d, CODE_TYPE, &key->place, "%s as a key", node_kind_name(key)),
            "a word, a colon and a blank");
        return -EBADMSG;
    }
    if (strcmp(key->text, "<<") == 0 && !key->quoted) {
        struct diagnostic *x =
            diagnostics_add(b->d, CODE_STRICT, &key->place, "a merge key \"<<\"");

        diagnostic_fix(x, "write the values where they are used");
        return -EBADMSG;
    }
    return 0;
}

/* The dash behind a list's item, where the next item was left away. */
static struct place next_dash(const struct building *b, const struct node *item)
{
    const char *s = b->source->data;
    struct place p = item->place;
    bool comment = false;

    p.width = 1;
    for (size_t at = item->start; at < b->source->size; at++, p.column++) {
        if (at >= item->end && s[at] == '-' && !comment)
            break;
        comment = at >= item->end && (s[at] == '#' || (comment && s[at] != '\n'));
        if (s[at] == '\n') {
            p.line++;
            p.column = 0;
        }
    }
    return p;
}

/* Puts a finished node where it belongs: as the root, a list's item, a key, or a key's value. */
static int put(const struct building *b, struct open *top, struct node *n, struct node **root)
{
    if (!top) {
        *root = n;
        return 0;
    }
    assert(top->node);
    if (top->node->kind == NODE_MAP && !top->key) {
        top->key = n;
        return check_key(b, n);
    }
    n->key = top->key;
    top->key = NULL;
    if (n->kind == NODE_SCALAR && !n->end) { /* Nothing there: it stands where it was missed. */
        const struct node *before = n->key ? n->key : top->node;

        n->place = before->place;
        n->start = n->end = before->end;
        if (!n->key && top->last && top->last->end)
            n->place = next_dash(b, top->last);
    }
    top->last = n;
    *top->tail = n;
    top->tail = &n->next;
    top->node->n_children++;
    return 0;
}

static int by_key(const void *a_, const void *b_)
{
    const struct node *const *a = a_, *const *b = b_;
    int c = strcmp((*a)->key->text, (*b)->key->text);

    if (c)
        return c;
    return ((*a)->key->place.line > (*b)->key->place.line) -
           ((*a)->key->place.line < (*b)->key->place.line);
}

static void find_duplicate_keys(const struct building *b, const struct node *map)
{
    CLEANUP(free_voidp) void *memory = xcalloc(map->n_children, sizeof(struct node *));
    const struct node **sorted = memory;
    size_t n = 0;

    if (map->n_children < 2)
        return;
    for (const struct node *c = map->children; c; c = c->next)
        sorted[n++] = c;
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 1; i < n; i++) {
        struct diagnostic *x;

        if (strcmp(sorted[i - 1]->key->text, sorted[i]->key->text) != 0)
            continue;
        x = diagnostics_add(b->d, CODE_DUPKEY, &sorted[i]->key->place, "the key \"%s\" again",
                            sorted[i]->key->text);
        diagnostic_expected(x, "each key once; the first is in line %u",
                            sorted[i - 1]->key->place.line);
        diagnostic_fix(x, "keep one; several values of one field are a list");
    }
}

static int check_event(const struct building *b, const struct fy_event *e)
{
    struct fy_token *anchor = NULL, *tag = NULL;

    if (e->type == FYET_ALIAS)
        return refuse(b, e->alias.anchor, "an alias (\"*name\")",
                      "write the value here, or in quotes if it is text");
    if (e->type == FYET_SCALAR) {
        anchor = e->scalar.anchor;
        tag = e->scalar.tag;
    } else if (e->type == FYET_SEQUENCE_START) {
        anchor = e->sequence_start.anchor;
        tag = e->sequence_start.tag;
    } else if (e->type == FYET_MAPPING_START) {
        anchor = e->mapping_start.anchor;
        tag = e->mapping_start.tag;
    }
    if (anchor)
        return refuse(b, anchor, "an anchor (\"&name\")", "write the value where it is used");
    if (tag)
        return refuse(b, tag, "a tag (\"!type\")",
                      "remove it: the type of each value is known from its key");
    return 0;
}

static int too_deep(const struct building *b, const struct node *n)
{
    struct diagnostic *x =
        diagnostics_add(b->d, CODE_LIMIT, &n->place,
                        "lists and mappings more than %d deep within each other", SOURCE_DEPTH);

    diagnostic_expected(x, "at most %d; the language itself needs 6", SOURCE_DEPTH);
    return -EBADMSG;
}

/* Where a list or mapping in brackets ends. */
static size_t end_of(const struct fy_event *e)
{
    struct fy_token *token =
        e->type == FYET_MAPPING_END ? e->mapping_end.mapping_end : e->sequence_end.sequence_end;

    return token ? fy_token_end_mark(token)->input_pos : 0;
}

/* One event inside the document. */
static int take(const struct building *b, const struct fy_event *e, struct open stack[SOURCE_DEPTH],
                size_t *depth, struct node **root)
{
    struct open *top = *depth ? &stack[*depth - 1] : NULL;
    struct node *n = NULL;
    int r = check_event(b, e);

    if (r < 0)
        return r;
    if (e->type == FYET_SCALAR) {
        r = read_scalar(b, e->scalar.value, &n);
        return r < 0 ? r : put(b, top, n, root);
    }
    if (e->type == FYET_MAPPING_END || e->type == FYET_SEQUENCE_END) {
        assert(top && top->node); /* libfyaml's ends and starts are balanced. */
        if (e->type == FYET_MAPPING_END)
            find_duplicate_keys(b, top->node);
        if (top->node->flow)
            top->node->end = end_of(e);
        --*depth;
        return 0;
    }
    if (e->type == FYET_MAPPING_START)
        n = new_node(b, NODE_MAP, e->mapping_start.mapping_start);
    else if (e->type == FYET_SEQUENCE_START)
        n = new_node(b, NODE_LIST, e->sequence_start.sequence_start);
    else
        return 0; /* Starts and ends of stream and document. */
    if (*depth == SOURCE_DEPTH)
        return too_deep(b, n);
    r = put(b, top, n, root);
    if (r < 0)
        return r;
    stack[(*depth)++] = (struct open){.node = n, .tail = &n->children};
    return 0;
}

static int read_events(const struct building *b, struct node **ret_root)
{
    struct open stack[SOURCE_DEPTH] = {{.node = NULL}};
    struct node *root = NULL;
    size_t depth = 0, documents = 0;
    int r = 0;

    while (r >= 0) {
        struct fy_event *e = fy_parser_parse(b->parser);
        bool last;

        if (!e)
            return -EBADMSG;
        last = e->type == FYET_STREAM_END;
        if (e->type == FYET_DOCUMENT_START && ++documents > 1)
            r = refuse(b, e->document_start.document_start, "a second document (\"---\")",
                       "one document a file; several files make one policy");
        else
            r = take(b, e, stack, &depth, &root);
        fy_parser_event_free(b->parser, e);
        if (last)
            break;
    }
    if (r >= 0)
        *ret_root = root;
    return r;
}

/* What people did when libfyaml says this. */
static const char *mend_syntax(const char *message)
{
    static const struct {
        const char *part, *fix;
    } known[] = {
        {"cannot start with '@'", "put it in double quotes: \"@ops\""},
        {"cannot start with", "put the text in double quotes"},
        {"tab character", "indent with blanks, not with a tab"},
        {"without a closing bracket", "a [ or { is never closed: look above"},
        {"without closing quote", "close the text with a quote, or leave both away"},
        {"invalid nested block mapping", "a text with a colon and a blank in it stands in quotes"},
        {"multiline plain key", "a blank stands behind the colon of a key: \"id: a\""},
        {"expected '-' indicator", "begin the fields of one item in the same column"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strstr(message, known[i].part))
            return known[i].fix;
    return "look at this line and the one above: indentation, quotes, brackets, colons";
}

/* libfyaml's own errors, when it stopped before we did. */
static void report_syntax(const struct building *b, struct fy_diag *diag)
{
    struct place p = {.file = b->file, .line = 1, .column = 1, .width = 1};
    struct diagnostic *x;
    struct fy_diag_error *e;
    void *at = NULL;

    e = fy_diag_errors_iterate(diag, &at);
    if (e && e->line > 0) {
        p.line = (uint32_t)e->line;
        p.column = e->column > 0 ? (uint32_t)e->column : 1;
    }
    x = diagnostics_add(b->d, CODE_SYNTAX, &p, "this is not %s: %s", b->json ? "JSON" : "YAML",
                        e && e->msg ? e->msg : "the reader gave up");
    diagnostic_fix(x, "%s",
                   b->json ? "look for a comma, quote or bracket here or just before"
                           : mend_syntax(e && e->msg ? e->msg : ""));
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static int parse(struct building *b, struct node **ret_root)
{
    struct fy_diag_cfg diag_config = {.level = FYET_ERROR, .module_mask = ~0u};
    struct fy_diag *diag = fy_diag_create(&diag_config);
    struct fy_parse_cfg config = {.diag = diag};
    size_t before = b->d->n_errors;
    int r = -ENOMEM;

    config.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 |
                   (b->json ? FYPCF_JSON_FORCE : FYPCF_JSON_NONE);
    if (!diag)
        abort();
    fy_diag_set_collect_errors(diag, true);
    b->parser = fy_parser_create(&config);
    if (!b->parser)
        abort();
    if (fy_parser_set_string(b->parser, b->source->data, b->source->size) == 0)
        r = read_events(b, ret_root);
    if (r < 0 && b->d->n_errors == before)
        report_syntax(b, diag);
    fy_parser_destroy(b->parser);
    fy_diag_destroy(diag);
    return r < 0 ? -EBADMSG : 0;
}

int node_read(const struct source *source, struct arena *arena, struct diagnostics *d,
              struct node **ret_root)
{
    struct building b = {.arena = arena, .d = d, .source = source};
    struct place whole = {.line = 1, .column = 1, .width = 1};
    struct node *root = NULL;

    b.file = whole.file = arena_text(arena, source->name, strlen(source->name));
    b.json = ends_with(source->name, ".json");
    if (source->size > SOURCE_MAX) {
        struct diagnostic *x =
            diagnostics_add(d, CODE_LIMIT, &whole, "a file of %zu bytes", source->size);

        diagnostic_expected(x, "at most %d bytes", SOURCE_MAX);
        return -EBADMSG;
    }
    if (scan_text(&b) < 0)
        return -EBADMSG;
    if (parse(&b, &root) < 0)
        return -EBADMSG;
    if (!root) {
        diagnostic_expected(diagnostics_add(d, CODE_MISSING, &whole, "a file without content"),
                            "suimitsu: 1, or suimitsu-inventory: 1, and what it says");
        return -EBADMSG;
    }
    *ret_root = root;
    return 0;
}
