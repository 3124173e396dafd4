/* SPDX-License-Identifier: Apache-2.0 */
/* Places and columns decide whose a comment is; see comments.h. */
#include "text/comments.h"

struct finding {
    const struct source *source;
    struct arena *arena;
    struct comment *all; /* In their order. */
    size_t n, room;
    size_t at; /* Looked through up to here. */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* ---- finding ---- */

/* Is there an empty line between this byte and what stands before it? */
static bool blank_before(const struct source *s, size_t at)
{
    unsigned newlines = 0;

    while (at > 0 && (is_blank(s->data[at - 1]) || s->data[at - 1] == '\n'))
        newlines += s->data[--at] == '\n';
    return newlines >= 2 && at > 0;
}

static uint32_t column_of(const struct source *s, size_t at)
{
    size_t start = at;

    while (start > 0 && s->data[start - 1] != '\n')
        start--;
    return (uint32_t)(at - start);
}

static void add_comment(struct finding *f, size_t at)
{
    const char *text = f->source->data + at;
    const char *newline = memchr(text, '\n', f->source->size - at);
    size_t len = newline ? (size_t)(newline - text) : f->source->size - at;

    f->at = at + len;
    while (is_blank(text[len - 1])) /* Ends at the '#'. */
        len--;
    GROW(f->all, f->n, f->room);
    f->all[f->n++] = (struct comment){.text = text,
                                      .len = len,
                                      .at = at,
                                      .column = column_of(f->source, at),
                                      .blank_before = blank_before(f->source, at)};
}

/* Between scalars, every '#' begins a comment. */
static void look_until(struct finding *f, size_t end)
{
    while (f->at < end) {
        const char *from = f->source->data + f->at;
        const char *hash = memchr(from, '#', end - f->at);

        if (!hash)
            break;
        add_comment(f, (size_t)(hash - f->source->data));
    }
    if (f->at < end)
        f->at = end;
}

static void find_in(struct finding *f, const struct node *n)
{
    if (n->key)
        find_in(f, n->key);
    if (n->kind == NODE_SCALAR && n->end > n->start) {
        look_until(f, n->start);
        f->at = n->end;
    }
    for (const struct node *c = n->children; c; c = c->next)
        find_in(f, c);
}

const struct comment *comments_find(const struct source *source, struct arena *arena,
                                    const struct node *root, size_t *ret_n)
{
    struct finding f = {.source = source};
    const struct comment *all;

    find_in(&f, root);
    look_until(&f, source->size);
    all = arena_copy(arena, f.all, f.n, sizeof *f.all);
    free(f.all);
    *ret_n = f.n;
    return all;
}

/* ---- items ---- */

/* From here on, the next byte that is neither blank nor in a comment. */
static size_t next_token(const struct source *s, size_t at)
{
    while (at < s->size) {
        if (s->data[at] == '#')
            while (at < s->size && s->data[at] != '\n')
                at++;
        else if (is_blank(s->data[at]) || s->data[at] == '\n')
            at++;
        else
            break;
    }
    return at;
}

static size_t last_token(const struct source *s, size_t start, size_t end)
{
    while (end > start && (is_blank(s->data[end - 1]) || s->data[end - 1] == '\n'))
        end--;
    return end;
}

static void fill_item(struct finding *f, const struct node *n, struct item *i)
{
    const struct item *last = NULL;
    size_t at = n->start, k = 0;

    i->node = n;
    i->children = arena_alloc(f->arena, n->n_children, sizeof *i->children);
    i->n_children = n->n_children;
    for (const struct node *c = n->children; c; c = c->next) {
        struct item *child = &i->children[k++];

        if (n->kind == NODE_MAP) {
            child->start = c->key->start;
            child->key_end = c->key->end;
        } else {
            child->start = n->flow ? c->start : next_token(f->source, at);
            child->key_end = n->flow ? child->start : child->start + 1;
        }
        child->column = column_of(f->source, child->start);
        child->blank_before = blank_before(f->source, child->start);
        fill_item(f, c, child);
        if (child->end < child->key_end)
            child->end = child->key_end;
        at = child->end;
        last = child;
    }
    if (n->kind == NODE_SCALAR || n->flow)
        i->end = last_token(f->source, n->start, n->end);
    else
        i->end = last ? last->end : n->start;
}

/* ---- whose comment ---- */

static bool same_line(const struct source *s, size_t from, size_t to)
{
    return from <= to && !memchr(s->data + from, '\n', to - from);
}

static void append(struct comment_list *list, struct comment *c)
{
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

static bool is_block(const struct item *i)
{
    return i->node->kind != NODE_SCALAR && !i->node->flow && i->n_children > 0;
}

static bool flow_holds(const struct item *i, const struct comment *c)
{
    return i->node->flow && i->node->start < c->at && c->at < i->node->end;
}

/* The last child that begins before the comment; NULL: none. */
static struct item *child_before(struct item *i, const struct comment *c, size_t *ret_next)
{
    size_t low = 0, high = i->n_children;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (i->children[middle].start < c->at)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_next = low;
    return low ? &i->children[low - 1] : NULL;
}

/* The item whose line the comment ends; NULL: it has a line of its own, or begins a collection. */
static struct item *find_side(const struct source *s, struct item *in, const struct comment *c)
{
    size_t next;
    struct item *child = child_before(in, c, &next);

    if (!child)
        return NULL;
    if (child->end > c->at) { /* Inside of it. */
        if (flow_holds(child, c) && child->n_children)
            return find_side(s, child, c);
        if (is_block(child) && child->node->start < c->at)
            return find_side(s, child, c);
        return same_line(s, child->key_end, c->at) ? child : NULL;
    }
    if (is_block(child))
        return find_side(s, child, c);
    return same_line(s, child->end, c->at) ? child : NULL;
}

static bool is_nothing(const struct item *i)
{
    return !i->n_children && (i->node->kind != NODE_SCALAR || i->node->start == i->node->end);
}

/* A comment with a line of its own goes before the next item, or to the end of the innermost
 * collection whose items stand in its column or left of it. */
static void place_own(struct item *in, struct comment *c)
{
    size_t next;
    struct item *before = child_before(in, c, &next);
    struct comment_list *here = next < in->n_children ? &in->children[next].head : &in->foot;

    if (before && (flow_holds(before, c) || before->end > c->at)) {
        if (before->n_children)
            place_own(before, c);
        else
            append(&before->head, c); /* Between a key and its value. */
        return;
    }
    if (before && !in->node->flow && !here->first) { /* Comments keep their order. */
        if (is_block(before) && before->children[0].column > in->column &&
            before->children[0].column <= c->column) {
            place_own(before, c);
            return;
        }
        if (is_nothing(before) && c->column > before->column) {
            append(&before->foot, c); /* A section that has only comments so far. */
            return;
        }
    }
    append(here, c);
}

/* Comments at the top belong to the file, but for the last ones, without an empty line between
 * them and the first item. */
static void split_top(struct item *root)
{
    struct item *first = root->n_children ? &root->children[0] : NULL;
    struct comment_list all = {.first = NULL};
    struct comment *c, *next, *own = NULL; /* The first of the item's own. */

    if (!first)
        return;
    all = first->head;
    first->head = (struct comment_list){.first = NULL};
    for (c = all.first; c; c = c->next)
        if (!own || c->blank_before)
            own = c;
    if (first->blank_before)
        own = NULL;
    for (c = all.first; c; c = next) {
        next = c->next;
        c->next = NULL;
        append(c->at < (own ? own->at : SIZE_MAX) ? &root->head : &first->head, c);
    }
}

struct item *comments_read(const struct source *source, struct arena *arena,
                           const struct node *root)
{
    struct finding f = {.source = source, .arena = arena};
    struct item *top = arena_alloc(arena, 1, sizeof *top);
    size_t n;
    const struct comment *all = comments_find(source, arena, root, &n);

    fill_item(&f, root, top);
    for (size_t i = 0; i < n; i++) {
        struct comment *c = arena_copy(arena, &all[i], 1, sizeof *c);
        struct item *side = find_side(source, top, c);

        if (!side)
            place_own(top, c);
        else if (side->side)
            append(&side->head, c);
        else
            side->side = c;
    }
    split_top(top);
    return top;
}

bool item_has_comments_inside(const struct item *i)
{
    if (i->foot.first)
        return i->n_children > 0;
    for (size_t k = 0; k < i->n_children; k++) {
        const struct item *c = &i->children[k];

        if (c->head.first || c->side || c->foot.first || item_has_comments_inside(c))
            return true;
    }
    return false;
}
