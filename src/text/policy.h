/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - policy and inventory from text
 *
 * Strict YAML, or JSON, by one decoder and one table of fields: no anchors, aliases, tags, merges,
 * duplicate or unknown keys, hidden characters; scalars take their type from the schema (22:22, no
 * and 010 are what they look like).  At most SOURCE_MAX bytes and SOURCE_DEPTH levels a file.
 *
 * Reading does no I/O (sys/tree.h reads files and folders), and needs no inventory: what depends on
 * one is core/lint.h. */
#pragma once

#include "core/model.h"

enum source_limits {
    SOURCE_MAX = 1 << 20, /* Bytes a file. */
    SOURCE_DEPTH = 32,    /* Lists and mappings within each other. */
    SOURCE_FILES = 1000,  /* Files of one policy. */
};

struct source {
    const char *name; /* For findings; ".json" at its end: read as JSON. */
    const char *data; /* Borrowed until the findings have been printed. */
    size_t size;
};

/* All sources make one policy.  Findings are added to 'd', several in one run; warnings and notices
 * may be there on success too.
 * -EBADMSG: 'd' has at least one error. */
int policy_read(const struct source sources[], size_t n, struct diagnostics *d,
                struct policy **ret_policy);
int inventory_read(const struct source sources[], size_t n, struct diagnostics *d,
                   struct inventory **ret_inventory);
