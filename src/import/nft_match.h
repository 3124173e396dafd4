/* SPDX-License-Identifier: Apache-2.0 */
/* nft_match.h - conditions of nft rules, from JSON into match.h
 *
 * Private to the reader of nft rulesets. */
#pragma once

#include <jansson.h>

#include "import/match.h"

struct nft_sets { /* Named sets and maps of the ruleset. */
    struct nft_set {
        const char *family, *table, *name;
        const json_t *elements; /* NULL: none. */
        bool is_dynamic;        /* Its contents change as packets come. */
    } * items;                  /* Heap. */
    size_t n, room;
};

struct nft_scope { /* Where names of sets are looked up. */
    struct ruleset *rs;
    const struct nft_sets *sets;
    const char *family, *table;
};

/* The elements of the set that "@name" names, or of an anonymous one.  NULL: none; '*ret_dynamic':
 * nobody knows them. */
const json_t *nft_elements(const struct nft_scope *s, const json_t *right, bool *ret_dynamic);

/* Narrows 'm' by `left op right`; what it does not know makes it inexact. */
void nft_condition(const struct nft_scope *s, struct match_parts *m, const json_t *left,
                   const char *op, const json_t *right);

/* The value within {"elem": {"val": ...}}, or itself. */
const json_t *nft_value(const json_t *element);
