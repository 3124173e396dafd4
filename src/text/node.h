/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - a text as a tree of nodes with positions
 *
 * Built from libfyaml's events, not from its documents: each event is checked as it comes, so that
 * an anchor, a tag or a thirty-third level stops the reading before anything is built from it.
 * Whole files are looked through first: NUL, control characters, characters that reorder or hide
 * text, and bytes that are not UTF-8 are refused wherever they stand, in comments too.
 *
 * Duplicate keys are found here; unknown ones by text/decode.h. */
#pragma once

#include "base/arena.h"
#include "core/diagnostics.h"
#include "text/policy.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    bool quoted;       /* A scalar in quotes or a block: text, never a number. */
    bool flow;         /* A list in [] or a mapping in {}. */
    size_t start, end; /* Its bytes in the source; of what is not flow, only 'start'. */
    struct place place;
    const char *text; /* NODE_SCALAR; printable is checked by whoever uses it.  No NUL inside. */
    struct node *key; /* In a mapping: this child's key. */
    struct node *children, *next;
    size_t n_children;
};

/* Reads one document.  Nodes live in 'arena'.
 * -EBADMSG: 'd' has the errors. */
int node_read(const struct source *source, struct arena *arena, struct diagnostics *d,
              struct node **ret_root);

/* "a list", "a mapping", "text": for messages. */
const char *node_kind_name(const struct node *n);
