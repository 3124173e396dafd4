/* SPDX-License-Identifier: Apache-2.0 */
/* comments.h - the comments of a text, each at the thing that it is about
 *
 * A YAML reader forgets comments, and libfyaml 0.7's own keeping of them loses some.  So they are
 * found here in the source itself: every '#' outside of the scalars whose places the reader told.
 * Each belongs to one item (an entry of a mapping, or an element of a list):
 *
 *     # head: stands before its item
 *     web: {match: {app: shop}}   # side: on the item's line, at most one
 *       # foot: after the last item of a collection, in its column
 *
 * What stands at the top of the file, with an empty line behind it, is the head of the root. */
#pragma once

#include "text/node.h"

struct comment {
    const char *text; /* From '#' on, without blanks at its end; borrowed from the source. */
    size_t len, at;
    uint32_t column;   /* From 0, in bytes. */
    bool blank_before; /* An empty line stands before it. */
    struct comment *next;
};

struct comment_list {
    struct comment *first, *last;
};

struct item {
    const struct node *node;        /* The value. */
    size_t start, key_end, end;     /* Bytes; a list's element begins with its dash. */
    uint32_t column;                /* Of the start, from 0. */
    bool blank_before;              /* An empty line stands right before it. */
    struct comment_list head, foot; /* 'foot' is inside of the collection. */
    struct comment *side;
    struct item *children;
    size_t n_children;
};

/* The items of a tree that node_read() made of 'source', with all comments. */
struct item *comments_read(const struct source *source, struct arena *arena,
                           const struct node *root);

/* Whether any comment stands inside of the item's collection. */
bool item_has_comments_inside(const struct item *i);

/* Appends all comments of the source, in their order, to an array in the arena. */
const struct comment *comments_find(const struct source *source, struct arena *arena,
                                    const struct node *root, size_t *ret_n);
