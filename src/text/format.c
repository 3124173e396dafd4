/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along items and the table of fields at once; see format.h. */
#include "text/format.h"

#include <assert.h>
#include <errno.h>

#include "base/utf8.h"
#include "text/comments.h"
#include "text/language.h"
#include "text/scalar.h"

enum {
    LINE_WIDTH = 100, /* Characters; only a single long text makes a line longer. */
    DEEPEST_CONTINUATION = 60,
    INDENT = 2,
};

struct writing {
    struct buf *out;
    struct arena *arena;
    size_t line; /* Where the line begins in 'out'. */
};

/* What the table says about an item's value: a field, or an element of a field's list. */
struct shape {
    const struct field *field; /* Of a scalar, or of the values of a list; NULL: none. */
    const struct schema *sub;  /* Of a mapping with known keys. */
    const struct field *keys;  /* Of a mapping with free keys: its field; 'sub' is each value's. */
    bool block;                /* Written with one item a line. */
    bool sparse;               /* With an empty line between the items. */
};

static void newline(struct writing *w)
{
    buf_putc(w->out, '\n');
    w->line = w->out->size;
}

static void indent(struct writing *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_putc(w->out, ' ');
}

static size_t characters(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

static size_t column(const struct writing *w)
{
    return characters(w->out->data + w->line, w->out->size - w->line);
}

/* ---- shapes ---- */

static const struct field *find_field(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &s->fields[i];
    return NULL;
}

/* The shape of a value that stands for the schema: its mapping, or its brief form. */
static struct shape shape_of_schema(const struct schema *s, const struct node *n)
{
    if (n->kind != NODE_MAP || !s->n_fields)
        return (struct shape){.field = s->brief};
    return (struct shape){.sub = s, .block = s->block};
}

static struct shape shape_of_field(const struct field *f, const struct node *n, bool block)
{
    switch (f->kind) {
    case FIELD_OBJECT:
        return shape_of_schema(f->sub, n);
    case FIELD_OBJECTS:
        return (struct shape){.field = f, .block = block, .sparse = f->sub->block};
    case FIELD_MAP:
        return (struct shape){.keys = f, .sub = f->sub, .block = block};
    case FIELD_WORD:
    case FIELD_WORDS:
    case FIELD_NUMBER:
    case FIELD_NUMBERS:
    case FIELD_CHOICE:
    case FIELD_BOOL:
        break;
    }
    return (struct shape){.field = f};
}

static struct shape shape_of_child(const struct shape *s, const struct item *child)
{
    const struct node *n = child->node;

    if (s->keys)
        return shape_of_schema(s->sub, n);
    if (s->sub) {
        const struct field *f = find_field(s->sub, n->key->text);

        return shape_of_field(f, n, s->sparse);
    }
    assert(s->field); /* A list is always a field's. */
    if (s->field->kind == FIELD_OBJECTS)
        return shape_of_schema(s->field->sub, n);
    return (struct shape){.field = s->field};
}

/* ---- values in one line ---- */

static void put_flow(struct writing *w, const struct shape *s, const struct item *i, size_t base);

static void put_key(struct writing *w, const struct shape *s, const struct item *i, bool flow)
{
    if (!i->node->key)
        return;
    scalar_write(w->out, i->node->key, s->keys, flow);
    buf_puts(w->out, ": ");
}

/* The width that an item would have in one line. */
static size_t flow_width(const struct writing *w, const struct shape *s, const struct item *i)
{
    struct buf b = BUF_INIT;
    struct writing one = {.out = &b, .arena = w->arena};
    struct shape child = shape_of_child(s, i);
    size_t width;

    put_key(&one, s, i, true);
    put_flow(&one, &child, i, SIZE_MAX);
    width = characters(buf_str(&b), b.size);
    buf_done(&b);
    return width;
}

/* The item's children in the order of the table. */
static const struct item **sorted_children(const struct writing *w, const struct shape *s,
                                           const struct item *i)
{
    const struct item **to = arena_alloc(w->arena, i->n_children, sizeof *to);
    size_t n = 0;

    if (s->keys || !s->sub || i->node->kind != NODE_MAP) {
        for (size_t k = 0; k < i->n_children; k++)
            to[n++] = &i->children[k];
        return to;
    }
    for (size_t f = 0; f < s->sub->n_fields; f++)
        for (size_t k = 0; k < i->n_children; k++)
            if (strcmp(i->children[k].node->key->text, s->sub->fields[f].name) == 0)
                to[n++] = &i->children[k];
    return to;
}

/* An empty section is written as what it would be. */
static bool is_map(const struct shape *s, const struct item *i)
{
    return i->node->kind == NODE_MAP || (i->node->kind == NODE_SCALAR && s->keys);
}

static bool is_scalar(const struct shape *s, const struct item *i)
{
    return i->node->kind == NODE_SCALAR && !s->keys &&
           (!s->field || s->field->kind != FIELD_OBJECTS);
}

/* In brackets; lines that would be too long go on under the innermost bracket.  'base' is the
 * indentation of the line, SIZE_MAX: all in one line. */
static void put_flow(struct writing *w, const struct shape *s, const struct item *i, size_t base)
{
    const struct item **children = sorted_children(w, s, i);
    size_t inner;

    if (is_scalar(s, i)) {
        scalar_write(w->out, i->node, s->field, true);
        return;
    }
    buf_putc(w->out, is_map(s, i) ? '{' : '[');
    inner = base == SIZE_MAX ? 0 : column(w);
    if (inner > DEEPEST_CONTINUATION)
        inner = base + (size_t)2 * INDENT;
    for (size_t k = 0; k < i->n_children; k++) {
        struct shape child = shape_of_child(s, children[k]);

        if (k)
            buf_putc(w->out, ',');
        if (k && base != SIZE_MAX && column(w) + 2 + flow_width(w, s, children[k]) > LINE_WIDTH) {
            newline(w);
            indent(w, inner);
        } else if (k) {
            buf_putc(w->out, ' ');
        }
        put_key(w, s, children[k], true);
        put_flow(w, &child, children[k], base);
    }
    buf_putc(w->out, is_map(s, i) ? '}' : ']');
}

/* ---- comments ---- */

static void put_comment(struct writing *w, const struct comment *c)
{
    buf_add(w->out, c->text, c->len);
    newline(w);
}

/* 'gap': an empty line before the first. */
static void put_comments(struct writing *w, const struct comment *c, size_t in, bool gap)
{
    for (; c; c = c->next) {
        if (gap)
            newline(w);
        indent(w, in);
        put_comment(w, c);
        gap = c->next && c->next->blank_before;
    }
}

static void put_side(struct writing *w, const struct comment *side)
{
    if (side) {
        buf_puts(w->out, "  ");
        put_comment(w, side);
    } else {
        newline(w);
    }
}

/* ---- one item a line ---- */

static void put_item(struct writing *w, const struct shape *s, const struct item *i, size_t in);

static const struct item *first_field(const struct writing *w, const struct shape *s,
                                      const struct item *i)
{
    return i->node->kind == NODE_MAP && i->n_children ? sorted_children(w, s, i)[0] : NULL;
}

static bool is_written_in_block(const struct shape *s, const struct item *i)
{
    return i->n_children && (s->block || item_has_comments_inside(i));
}

/* What stands before an item: an empty line, its comments, and for an element of a list the
 * comments of its first field too, which has no line of its own. */
static void put_head(struct writing *w, const struct shape *s, const struct item *i, size_t in,
                     bool first, bool sparse)
{
    struct shape child = shape_of_child(s, i);
    const struct item *field =
        !i->node->key && is_written_in_block(&child, i) ? first_field(w, &child, i) : NULL;
    const struct comment *head = i->head.first, *more = field ? field->head.first : NULL;
    bool blank = i->blank_before;

    if (!first && (sparse || (head ? head->blank_before : blank)))
        newline(w);
    put_comments(w, head, in, false);
    if (!i->node->key && is_written_in_block(&child, i) && i->side) {
        indent(w, in); /* It has no place behind a dash. */
        put_comment(w, i->side);
    }
    if (head && more && more->blank_before)
        newline(w);
    put_comments(w, more, in, false);
    if ((more && field->blank_before) || (head && !more && blank))
        newline(w);
}

static void put_children(struct writing *w, const struct shape *s, const struct item *i, size_t in,
                         bool in_dash)
{
    const struct item **children = sorted_children(w, s, i);

    for (size_t k = 0; k < i->n_children; k++) {
        bool first = k == 0;

        if (!first || !in_dash) {
            put_head(w, s, children[k], in, first, s->sparse);
            indent(w, in);
        }
        put_item(w, s, children[k], in);
    }
    put_comments(w, i->foot.first, in, i->foot.first && i->foot.first->blank_before);
}

static void put_item(struct writing *w, const struct shape *s, const struct item *i, size_t in)
{
    struct shape child = shape_of_child(s, i);

    if (i->node->key) {
        scalar_write(w->out, i->node->key, s->keys, false);
        buf_putc(w->out, ':');
    } else {
        buf_putc(w->out, '-');
    }
    if (is_written_in_block(&child, i) && i->node->key) {
        put_side(w, i->side);
        put_children(w, &child, i, in + INDENT, false);
        return;
    }
    buf_putc(w->out, ' ');
    if (is_written_in_block(&child, i)) {
        put_children(w, &child, i, in + INDENT, true);
        return;
    }
    if (is_scalar(&child, i) && child.field && child.field->grammar == GRAMMAR_TEXT &&
        child.field->kind == FIELD_WORD &&
        scalar_fold(w->out, i->node, in + INDENT, column(w), LINE_WIDTH, i->side)) {
        w->line = w->out->size;
        return;
    }
    if (is_scalar(&child, i))
        scalar_write(w->out, i->node, child.field, false);
    else
        put_flow(w, &child, i, in + INDENT);
    put_side(w, i->side);
    put_comments(w, i->foot.first, in + INDENT, i->foot.first && i->foot.first->blank_before);
}

static void put_file(struct writing *w, const struct schema *schema, const struct item *root)
{
    const struct shape s = {.sub = schema, .block = true, .sparse = true};

    if (root->head.first) {
        put_comments(w, root->head.first, 0, false);
        newline(w);
    }
    put_children(w, &s, root, 0, false);
}

/* ---- the proof ---- */

struct reading {
    struct node *root;
    const struct schema *schema;
    void *raw;
    const struct comment *comments;
    size_t n_comments;
};

static int read_again(const struct source *source, struct arena *arena, struct diagnostics *d,
                      struct reading *to)
{
    const struct decoder dec = {.arena = arena, .d = d};
    size_t before = d->n_errors;

    if (node_read(source, arena, d, &to->root) < 0)
        return -EBADMSG;
    to->schema = &policy_schema;
    for (const struct node *c = to->root->children; c && to->root->kind == NODE_MAP; c = c->next)
        if (strcmp(c->key->text, inventory_schema.fields[0].name) == 0)
            to->schema = &inventory_schema;
    to->raw = arena_alloc(arena, 1, to->schema->size);
    decode(&dec, to->schema, to->root, to->raw);
    if (d->n_errors > before)
        return -EBADMSG;
    to->comments = comments_find(source, arena, to->root, &to->n_comments);
    return 0;
}

static int comment_order(const void *a_, const void *b_)
{
    const struct comment *a = a_, *b = b_;
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->text, b->text, n);

    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static bool same_comments(struct arena *arena, const struct reading *a, const struct reading *b)
{
    struct comment *x, *y;

    if (a->n_comments != b->n_comments)
        return false;
    if (!a->n_comments)
        return true;
    x = arena_copy(arena, a->comments, a->n_comments, sizeof *x);
    y = arena_copy(arena, b->comments, b->n_comments, sizeof *y);
    qsort(x, a->n_comments, sizeof *x, comment_order);
    qsort(y, b->n_comments, sizeof *y, comment_order);
    for (size_t i = 0; i < a->n_comments; i++)
        if (comment_order(&x[i], &y[i]) != 0)
            return false;
    return true;
}

static void write_once(const struct source *source, struct arena *arena, const struct reading *r,
                       struct buf *out)
{
    struct writing w = {.out = out, .arena = arena};

    put_file(&w, r->schema, comments_read(source, arena, r->root));
}

/* The result read again: the same content, the same comments, and nothing left to format. */
static int check(const struct reading *before, const struct source *source, const struct buf *text,
                 struct arena *arena)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    const struct source result = {source->name, buf_str(text), text->size};
    struct reading after = {.root = NULL};
    struct buf again = BUF_INIT;
    bool same;

    if (read_again(&result, arena, d, &after) < 0 || after.schema != before->schema ||
        !decoded_same(before->schema, before->raw, after.raw) ||
        !same_comments(arena, before, &after))
        return -EUCLEAN;
    write_once(&result, arena, &after, &again);
    same = again.size == text->size && memcmp(buf_str(&again), buf_str(text), text->size) == 0;
    buf_done(&again);
    return same ? 0 : -EUCLEAN;
}

int format_source(const struct source *source, struct diagnostics *d, struct buf *out)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct reading r = {.root = NULL};
    size_t len = strlen(source->name);

    if (len >= 5 && strcmp(source->name + len - 5, ".json") == 0)
        return -ENOTSUP;
    if (read_again(source, arena, d, &r) < 0)
        return -EBADMSG;
    write_once(source, arena, &r, &text);
    if (check(&r, source, &text, arena) < 0)
        return -EUCLEAN;
    buf_add(out, text.data, text.size);
    return 0;
}
